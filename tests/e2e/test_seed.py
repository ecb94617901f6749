# SPDX-License-Identifier: BSD-3-Clause
"""
OpenSER's own configuration, as a deck of slides shows it, unchanged: REGISTER, calls between registered phones, voicemail.

The file lies outside of this tree (SIPLANE_SHARED, or ../shared beside the checkout); without it these cases skip.
"""
import os
import pathlib
import time

import pytest

from call import replace_method
from conftest import ROOT
from phone import DOMAIN, call, hang_up, quiet
from test_register import Rig

SEED = pathlib.Path(os.environ.get("SIPLANE_SHARED") or ROOT.parent / "shared") / "seed/openser.cfg"
# The slides' machine has no words for devices: --ports names them, and here shortens one timer.
NO_ANSWER = 'loadmodule "tm.so"\nmodparam("tm", "fr_timer", 1200)\n'


@pytest.fixture(scope="module")
def made():
    if not SEED.exists():
        pytest.skip(f"no {SEED.name}: the seed is not here (SIPLANE_SHARED)")
    rig = Rig("", start=False)
    ports = rig.lab.dir / "ports.cfg"
    ports.write_text(f'cores {{ idle = sleep; }}\nsecret_file = "{rig.lab.dir}/secret"\n{rig.lab.port_config()}{NO_ANSWER}')
    rig.start(SEED, options=("--ports", ports))
    yield rig
    rig.close()


@pytest.fixture
def rig(made):
    yield made
    made.check()


def test_registered_phones_call_each_other(rig):
    alice, bob = rig.phone(), rig.phone("b1")
    for p in (alice, bob):
        assert set(p.registered()) == {p.uri}
    got, ok = call(alice, bob)
    assert got.uri == bob.uri and got.record_routes()
    assert ok.get("x-seen") == "reply", "onreply_route[1] ran"
    alice.to_proxy(alice.in_dialog(ok, "BYE"))
    bye = bob.expect("BYE")
    assert bye.get("x-via-route") == "yes", "loose_route() led it"
    bob.answer(bye, 200)
    alice.expect(200)
    got, ok = call(bob, alice)
    hang_up(bob, alice, ok)
    quiet(alice, bob)


def test_who_is_not_registered_is_not_found(rig):
    alice = rig.phone()
    alice.invite(f"sip:nobody@{DOMAIN}")
    alice.expect(404)


def test_options_and_oversized_requests(rig):
    alice = rig.phone()
    alice.to_proxy(alice.request("OPTIONS", f"sip:{DOMAIN}"))
    got = alice.expect(200)
    assert "Alive" in got.start
    alice.to_proxy(alice.request("MESSAGE", alice.aor, body="x" * 4096))
    alice.expect(513)


def test_a_caller_gives_up(rig):
    alice, bob = rig.phone(), rig.phone("b1")
    bob.registered()
    text = alice.invite(bob.aor)
    got = bob.expect("INVITE")
    bob.answer(got, 180, "Ringing")
    assert alice.expect(180).get("x-seen") == "reply"
    alice.to_proxy(replace_method(text, "CANCEL"))
    alice.expect(200)
    bob.answer(bob.expect("CANCEL"), 200)
    bob.answer(got, 487, "Request Terminated")
    bob.expect("ACK")
    alice.to_proxy(replace_method(text, "ACK", alice.expect(487).tag("to")))
    quiet(alice, bob)


@pytest.mark.parametrize("how", ["busy", "no_answer"])
def test_voicemail_takes_the_call(rig, how):
    """failure_route[1]: the user "vm-" and the name, who is registered like others."""
    alice, bob, mail = rig.phone(), rig.phone("b1"), rig.phone("b2")
    mail.user, mail.aor, mail.uri = f"vm-{bob.user}", f"sip:vm-{bob.user}@{DOMAIN}", mail.uri.replace(mail.user, f"vm-{bob.user}", 1)
    bob.registered()
    mail.registered()
    alice.invite(bob.aor)
    got = bob.expect("INVITE")
    if how == "busy":
        bob.answer(got, 486, "Busy Here")
        bob.expect("ACK")
    begun = time.monotonic()
    there = mail.expect("INVITE", 5)
    assert how == "busy" or 0.6 < time.monotonic() - begun < 4
    # The voicemail's URI is ours again, so the INVITE comes to us and is looked up there: two more Vias.
    assert there.uri == mail.uri and there.get("from") == got.get("from") and there.get("call-id") == got.get("call-id")
    mail.answer(there, 200)
    ok = alice.expect(200)
    alice.ack(ok)
    mail.expect("ACK")
    hang_up(alice, mail, ok)
    quiet(alice, bob if how == "busy" else mail)


def test_voicemail_that_is_not_there(rig):
    alice, bob = rig.phone(), rig.phone("b1")
    bob.registered()
    text = alice.invite(bob.aor)
    got = bob.expect("INVITE")
    bob.answer(got, 486, "Busy Here")
    bob.expect("ACK")
    said = alice.expect(None)
    assert said.status in (404, 486), said
    alice.to_proxy(replace_method(text, "ACK", said.tag("to")))
    quiet(alice, bob)
