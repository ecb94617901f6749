# SPDX-License-Identifier: BSD-3-Clause
"""The configurations of conf/examples, each as it stands, with the calls that it is for. What a lab needs beside them comes by --ports."""
import shutil
import time

import pytest

from call import replace_method
from conftest import ROOT
from phone import CORE, call, hang_up, quiet
from test_baresip import Baresip
from test_register import Rig

EXAMPLES = ROOT / "conf/examples"


def start(name, defines=(), extra="", text=None):
    """A lab with that example in it, or one that was made of it. `defines` are set before it, as a person would who takes a comment sign away."""
    rig = Rig("", start=False)
    lab = rig.lab
    ports = lab.dir / "ports.cfg"
    ports.write_text(f'cores {{ idle = sleep; }}\nsecret_file = "{lab.dir}/secret"\n{lab.port_config()}{extra}')
    config = lab.dir / name
    config.write_text("".join(f"#!define {d}\n" for d in defines) + (text or (EXAMPLES / name).read_text()))
    rig.start(config, options=("--ports", ports))
    return rig


def by_us(message):
    """Whether it came by way of siplane, to a phone on the lan."""
    return message.source[:2] == CORE


# ---- 1: a stateful proxy ----


@pytest.fixture(scope="module")
def stateful():
    rig = start("1-stateful.cfg")
    yield rig
    rig.close()


def test_stateful_calls_between_registered_phones(stateful):
    alice, bob = stateful.phone(), stateful.phone("b1")
    for p in (alice, bob):
        assert set(p.registered()) == {p.uri}
    got, ok = call(alice, bob)
    assert got.uri == bob.uri and by_us(got)
    hang_up(alice, bob, ok)
    got, ok = call(bob, alice)
    hang_up(bob, alice, ok)
    quiet(alice, bob)
    stateful.check()


def test_stateful_takes_a_cancel_and_absorbs_what_comes_again(stateful):
    alice, bob = stateful.phone(), stateful.phone("b1")
    bob.registered()
    text = alice.invite(bob.aor)
    got = bob.expect("INVITE")
    alice.to_proxy(text)
    quiet(bob)
    bob.answer(got, 180, "Ringing")
    alice.expect(180)
    alice.to_proxy(replace_method(text, "CANCEL"))
    alice.expect(200)
    bob.answer(bob.expect("CANCEL"), 200)
    bob.answer(got, 487, "Request Terminated")
    bob.expect("ACK")
    alice.to_proxy(replace_method(text, "ACK", alice.expect(487).tag("to")))
    quiet(alice, bob)
    stateful.check()


def test_stateful_relays_for_its_own_users_only(stateful):
    alice = stateful.phone()
    alice.invite(f"sip:nobody@{alice.proxy[0]}")
    text = alice.expect(404)
    assert text.tag("to")
    alice.invite("sip:somebody@192.0.2.1")
    alice.expect(403)
    stateful.check()


@pytest.mark.skipif(not shutil.which("baresip"), reason="baresip is missing: tools/install-packages test")
def test_stateful_serves_softphones(stateful):
    bob = Baresip(stateful.lab, "bob", "b1", "10.20.0.1", "answermode=auto")
    bob.registered()
    alice = Baresip(stateful.lab, "alice", "caller", "10.10.0.1")
    alice.registered()
    alice.command("dial", "sip:bob@10.10.0.1")
    alice.wait("CALL_ESTABLISHED")
    bob.wait("CALL_ESTABLISHED")
    alice.command("hangup")
    bob.wait("CALL_CLOSED")
    alice.close()
    bob.close()
    stateful.check()


# ---- 1.1: a stateless one ----


def call_on_the_lan(rig):
    """A call between two phones that reach each other without us: {message: whether it passed siplane}."""
    alice, bob = rig.phone("b1"), rig.phone("b2")
    alice.registered()
    bob.registered()
    alice.invite(bob.aor)
    invite = bob.expect("INVITE")
    bob.answer(invite, 180, "Ringing")
    ringing = alice.expect(180)
    bob.answer(invite, 200)
    ok = alice.expect(200)

    def to_callee(method, cseq):
        # Where the first Route leads, or the callee's Contact (RFC 3261 12.2.1.1).
        text = alice.in_dialog(ok, method, cseq=cseq)
        alice.send(text, alice.proxy if ok.record_routes() else (bob.address, bob.port))
        return bob.expect(method)

    ack = to_callee("ACK", 1)
    bye = to_callee("BYE", 2)
    bob.answer(bye, 200)
    done = alice.expect(200)
    quiet(alice, bob)
    return {name: by_us(m) for name, m in (("INVITE", invite), ("180", ringing), ("200", ok), ("ACK", ack), ("BYE", bye), ("200 to BYE", done))}


@pytest.mark.parametrize("defines, leaves_at", [((), "ACK"), (("WITH_RECORD_ROUTE",), None)], ids=["left", "stays"])
def test_stateless_which_messages_pass(defines, leaves_at):
    rig = start("1.1-stateless.cfg", defines)
    try:
        passed = call_on_the_lan(rig)
        before, after = ["INVITE", "180", "200"], ["ACK", "BYE", "200 to BYE"]
        assert [m for m in passed if passed[m]] == (before if leaves_at else before + after), passed
        assert rig.lab.transactions()["txn_created"] == 0, "nothing is kept of a call"
        rig.check()
    finally:
        rig.close()


def test_stateless_a_cancel_and_a_failure_find_their_way():
    rig = start("1.1-stateless.cfg")
    try:
        alice, bob = rig.phone(), rig.phone("b1")
        bob.registered()
        text = alice.invite(bob.aor)
        got = bob.expect("INVITE")
        alice.to_proxy(text)
        again = bob.receive()
        assert again.branch() == got.branch(), "a copy goes on as a copy (RFC 3261 16.11)"
        alice.to_proxy(replace_method(text, "CANCEL"))
        cancel = bob.expect("CANCEL")
        assert cancel.branch() == got.branch()
        bob.answer(cancel, 200)
        alice.expect(200)
        bob.answer(got, 487, "Request Terminated")
        alice.to_proxy(replace_method(text, "ACK", alice.expect(487).tag("to")))
        assert bob.expect("ACK").branch() == got.branch()
        # Somebody who has gone is not found any more.
        assert bob.registered(expires=0) == {}
        time.sleep(0.05)
        alice.invite(bob.aor)
        alice.expect(404)
        rig.check()
    finally:
        rig.close()
