# SPDX-License-Identifier: BSD-3-Clause
"""Two appliances that share a secret file stand in for each other in the middle of a call (RFC 3261 16.11)."""
import shutil

import pytest

from call import EDGE, Call, replace_method
from test_reload import reload, roll


class Pair:
    """Two labs alike, each with addresses of its own world; what one's backend got is carried to the other's by hand."""

    def __init__(self, labs, **kw):
        self.a = labs.make("af_packet", **kw)
        b = labs.make("af_packet", start=False, **kw)
        shutil.copy2(self.a.dir / "secret", b.dir / "secret")
        b.start_siplane(b.config)
        self.b = b
        self.on_a, self.on_b = Call(self.a), Call(self.b)
        # The caller has one address and one port, whichever of the two its packets reach.
        self.on_b.caller.close()
        from ua import UA
        self.on_b.caller = UA(self.b, "caller", "10.10.0.2", self.on_a.caller.port)


@pytest.fixture
def pair(labs):
    return Pair(labs)


def test_cancel_and_ack_by_the_other_one_take_the_invites_way(pair):
    for n in range(8):
        text, backend, got = pair.on_a.invite()
        for method, tag in (("CANCEL", None), ("ACK", "callee"), ("INVITE", None)):
            pair.on_b.caller.send(replace_method(text, method, tag) if method != "INVITE" else text, EDGE)
            at, other = pair.on_b.at_a_backend()
            assert at.address == backend.address and other.branch() == got.branch() and other.method == method


def test_responses_and_requests_of_a_dialog_pass_by_the_other_one(pair):
    backend, invite, ok = pair.on_a.established()
    twin = next(b for b in pair.on_b.backend if b.address == backend.address)
    pair.on_b.caller.send(pair.on_a.in_dialog(ok, "BYE"), EDGE)
    bye = twin.receive()
    assert bye.method == "BYE"
    text, backend, got = pair.on_a.invite()
    twin = next(b for b in pair.on_b.backend if b.address == backend.address)
    twin.send(backend.reply(got, 180, "Ringing"), ("10.20.0.1", 5060))
    ringing = pair.on_b.caller.receive()
    assert ringing.status == 180 and ringing.source == EDGE


def test_ack_to_a_reply_of_the_one_is_absorbed_by_the_other(pair):
    text = pair.on_a.caller.request("INVITE", "sip:alice@10.10.0.1").replace(b"Max-Forwards: 70", b"Max-Forwards: 0")
    pair.on_a.caller.send(text, EDGE)
    reply = pair.on_a.caller.receive()
    assert reply.status == 483
    pair.on_b.caller.send(replace_method(text, "ACK", reply.tag("to")), EDGE)
    assert pair.on_b.nothing_at_backends(0.3)
    assert pair.b.settle()["drop/ack_own_reply"] == 1


def test_nodes_roll_one_after_the_other(pair):
    """Whoever has rolled already and whoever has not yet take each other's tokens."""
    backend, invite, ok = pair.on_a.established()
    roll(pair.a.dir / "secret")
    reload(pair.a)
    text, ringing, got = pair.on_a.invite()
    twin = next(b for b in pair.on_b.backend if b.address == ringing.address)
    twin.send(ringing.reply(got, 180, "Ringing"), ("10.20.0.1", 5060))
    assert pair.on_b.caller.receive().status == 180, "a token of the announced key"
    shutil.copy2(pair.a.dir / "secret", pair.b.dir / "secret")
    reload(pair.b)
    pair.on_b.caller.send(pair.on_a.in_dialog(ok, "BYE"), EDGE)
    assert next(b for b in pair.on_b.backend if b.address == backend.address).receive().method == "BYE"


def test_a_stranger_with_another_secret_takes_nothing(labs):
    a, b = labs.make("af_packet"), labs.make("af_packet")
    on_a, on_b = Call(a), Call(b)
    text, backend, got = on_a.invite()
    backend.answer(got, 200)
    ok = on_a.caller.receive()
    twin = next(x for x in on_b.backend if x.address == backend.address)
    twin.send(backend.reply(got, 180, "Ringing"), ("10.20.0.1", 5060))
    assert on_b.caller.silent(0.3) and b.settle()["drop/via_mac"] == 1
    on_b.caller.send(on_a.in_dialog(ok, "BYE"), EDGE)
    assert on_b.nothing_at_backends(0.3)
