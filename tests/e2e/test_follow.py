# SPDX-License-Identifier: BSD-3-Clause
"""lookup() and forward() without state while contacts come, go and end: what belongs to a call goes where its INVITE went
(RFC 3261 16.11), and a new call to whoever comes first now."""
import time

import pytest

from call import replace_method
from phone import quiet
from test_register import Rig

pytestmark = pytest.mark.sanitize

SCRIPT = """
modparam("registrar", "min_expires", 1)
modparam("registrar", "default_expires", 3600)
request_route {
	if (!mf_process_maxfwd_header("10")) { sl_send_reply("483", "Too Many Hops"); exit; }
	if (is_method("REGISTER")) { save("location"); exit; }
	if (loose_route()) { forward(); exit; }
	if (is_method("INVITE")) record_route();
	if (!lookup("location")) { sl_send_reply("404", "Not Found"); exit; }
	forward();
}
"""


@pytest.fixture(scope="module")
def made():
    rig = Rig(SCRIPT)
    yield rig
    rig.close()


@pytest.fixture
def rig(made):
    yield made
    made.check()
    assert made.lab.transactions()["txn_created"] == 0, "all of it is without state"


def rings(alice, bob):
    """alice calls, and bob's phone rings: (what alice sent, what bob got)."""
    sent = alice.invite(bob.aor)
    got = bob.expect("INVITE")
    bob.answer(got, 180, "Ringing")
    alice.expect(180)
    return sent, got


def again(alice, bob, sent, got):
    """The INVITE comes once more, and goes to the same phone, as it went."""
    alice.to_proxy(sent)
    copy = bob.receive()
    assert copy.data == got.data, copy


def cancelled(alice, bob, sent, got):
    """alice hangs up before bob answers: his phone stops ringing, and hears the ACK."""
    alice.to_proxy(replace_method(sent, "CANCEL"))
    cancel = bob.expect("CANCEL")
    assert cancel.branch() == got.branch() and cancel.uri == got.uri
    bob.answer(cancel, 200)
    bob.answer(got, 487, "Request Terminated")
    answers = {alice.next().get("cseq").split()[1], alice.next().get("cseq").split()[1]}
    assert answers == {"CANCEL", "INVITE"}
    acknowledged(alice, bob, sent, got)


def acknowledged(alice, bob, sent, got):
    alice.to_proxy(replace_method(sent, "ACK", to_tag=f"t{bob.user}{bob.port}"))
    ack = bob.expect("ACK")
    assert ack.branch() == got.branch() and ack.uri == got.uri


def test_a_better_phone_registers_while_one_rings(rig):
    alice, desk = rig.phone(), rig.phone("b1")
    mobile = rig.phone("b2", user=desk.user)
    desk.registered([f"<{desk.uri}>;q=0.5"])
    first = rings(alice, desk)
    second = rings(alice, desk)
    mobile.registered([f"<{mobile.uri}>;q=0.9"])
    third = rings(alice, mobile)
    again(alice, desk, *first)
    again(alice, mobile, *third)
    cancelled(alice, desk, *first)
    cancelled(alice, mobile, *third)
    desk.answer(second[1], 486, "Busy Here")
    alice.expect(486)
    acknowledged(alice, desk, *second)
    quiet(alice, desk, mobile)
    assert rig.lab.telemetry("/siplane/registrar")["registrar_lookup_pin_full"] == 0


def test_the_phone_that_rings_leaves(rig):
    alice, desk = rig.phone(), rig.phone("b1")
    mobile = rig.phone("b2", user=desk.user)
    mobile.registered([f"<{mobile.uri}>;q=0.1"])
    desk.registered([f"<{desk.uri}>;q=0.5"])
    first = rings(alice, desk)
    assert list(desk.registered(expires=0)) == [mobile.uri]
    again(alice, desk, *first)
    third = rings(alice, mobile)
    cancelled(alice, desk, *first)
    cancelled(alice, mobile, *third)
    # The last one leaves as well.
    third = rings(alice, mobile)
    assert mobile.registered(expires=0) == {}
    alice.invite(mobile.aor)
    alice.expect(404)
    cancelled(alice, mobile, *third)
    quiet(alice, desk, mobile)


def test_the_phone_that_rings_moves(rig):
    """Another address of one instance takes the place of the first."""
    alice, old = rig.phone(), rig.phone("b1")
    new = rig.phone("b2", user=old.user)
    instance = ';+sip.instance="<urn:uuid:f81d4fae-7dec-11d0-a765-00a0c91e6bf6>"'
    old.registered([f"<{old.uri}>{instance}"])
    first = rings(alice, old)
    assert list(old.registered([f"<{new.uri}>{instance}"])) == [new.uri]
    again(alice, old, *first)
    third = rings(alice, new)
    cancelled(alice, old, *first)
    cancelled(alice, new, *third)
    quiet(alice, old, new)


def test_the_registration_of_the_phone_that_rings_ends(rig):
    alice, desk = rig.phone(), rig.phone("b1")
    mobile = rig.phone("b2", user=desk.user)
    mobile.registered([f"<{mobile.uri}>;q=0.1"])
    desk.registered([f"<{desk.uri}>;q=0.5"], expires=1)
    first = rings(alice, desk)
    deadline = time.monotonic() + 10
    while list(desk.registered([])) != [mobile.uri]:
        assert time.monotonic() < deadline
        time.sleep(0.2)
    again(alice, desk, *first)
    third = rings(alice, mobile)
    cancelled(alice, desk, *first)
    cancelled(alice, mobile, *third)
    quiet(alice, desk, mobile)
