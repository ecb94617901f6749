# SPDX-License-Identifier: BSD-3-Clause
"""Calls with state at the edges: what waits for a name or a neighbour, what is large, what races, contacts that lead nowhere."""
import select
import time

import pytest

from call import replace_method
from phone import DOMAIN, MODULES, Phone, bindings, call, hang_up, quiet, script
from test_names import A, Dns, a
from test_register import Rig
from test_reload import reload

pytestmark = pytest.mark.sanitize

PARAMS = """
modparam("tm", "fr_timer", 1500)
modparam("tm", "fr_inv_timer", 4000)
modparam("tm", "contacts_avp", "$avp(contacts)")
"""
NAMES = """
	if ($rd =~ "example$") {
		record_route();
		t_on_failure("gone");
		if (!t_relay()) sl_reply_error();
		exit;
	}
"""
BEFORE = """
	if ($hdr(X-How) == "serial") {
		if (!t_load_contacts()) { sl_send_reply("500", "No Contacts"); exit; }
		if (!t_next_contacts()) { sl_send_reply("500", "No Contact"); exit; }
		t_on_failure("serial");
	}
	if ($hdr(X-How) == "branch") t_on_branch("edit");
	if ($hdr(X-How) == "answer") t_on_failure("answer");
"""
BLOCKS = """
branch_route[edit] {
	append_hf("X-Branch: $rU\\r\\n");
	if ($rp == 6002) drop;
	$rU = "edited";
}
failure_route[serial] {
	if (t_is_canceled()) exit;
	if (t_next_contacts()) {
		t_on_failure("serial");
		t_relay();
	}
}
failure_route[answer] {
	t_reply("403", "Said By The Script");
}
failure_route[gone] {
	if (t_check_status("478")) t_reply("480", "No Such Place");
}
"""


@pytest.fixture(scope="module")
def made():
    rig = Rig(script(params=PARAMS, initial=NAMES, before_relay=BEFORE, blocks=BLOCKS), head='dns_servers = "127.0.0.1:5353"\n', backends=3,
              start=False)
    rig.dns = Dns(rig.lab, {(f"{name}.example", A): a("10.20.0.12") for name in ("one", "two", "three", "four")})
    rig.start(rig.lab.config)
    yield rig
    rig.dns.close()
    rig.close()


@pytest.fixture
def rig(made):
    yield made
    made.dns.delay, made.dns.silent = 0, False
    made.check()


@pytest.fixture
def pair(rig):
    alice, bob = rig.phone(), rig.phone("b1")
    bob.registered()
    return alice, bob


def ack(alice, text, said):
    alice.to_proxy(replace_method(text, "ACK", said.tag("to")))


# ---- races ----

def test_a_cancel_right_behind_its_invite(pair):
    """The INVITE is still on its way to the slow lcore when the CANCEL comes: it stays in front of it."""
    alice, bob = pair
    for _ in range(20):
        text = alice.request("INVITE", bob.aor)
        alice.to_proxy(text)
        alice.to_proxy(replace_method(text, "CANCEL"))
        got = bob.expect("INVITE")
        assert alice.expect(200).get("cseq") == "1 CANCEL"
        bob.answer(got, 100, "Trying")
        cancel = bob.expect("CANCEL")
        assert cancel.branch() == got.branch()
        bob.answer(cancel, 200)
        bob.answer(got, 487, "Request Terminated")
        bob.expect("ACK")
        ack(alice, text, alice.expect(487))


def test_an_invite_and_itself_at_once(pair):
    alice, bob = pair
    for _ in range(20):
        text = alice.request("INVITE", bob.aor)
        for _ in range(3):
            alice.to_proxy(text)
        got = bob.expect("INVITE")
        bob.answer(got, 486, "Busy Here")
        bob.expect("ACK")
        ack(alice, text, alice.expect(486))
    quiet(bob, seconds=0.1)


@pytest.mark.parametrize("branch", ["", ";branch=1", ";branch=0.oldstyle"], ids=["none", "number", "text"])
def test_a_caller_without_the_magic_cookie(pair, branch):
    """RFC 2543: retransmissions, CANCEL and ACK are known by the fields that 17.2.3 lists."""
    alice, bob = pair
    for way in ("busy", "cancel"):
        text = alice.request("INVITE", bob.aor, branch="z9hG4bKtaken").replace(b";branch=z9hG4bKtaken", branch.encode())
        for _ in range(2):
            alice.to_proxy(text)
        got = bob.expect("INVITE")
        bob.answer(got, 180, "Ringing")
        alice.expect(180)
        alice.to_proxy(text)
        assert alice.receive().status == 180
        if way == "cancel":
            alice.to_proxy(replace_method(text, "CANCEL"))
            assert alice.expect(200).get("cseq") == "1 CANCEL"
            bob.answer(bob.expect("CANCEL"), 200)
        bob.answer(got, 486 if way == "busy" else 487, "Ended")
        bob.expect("ACK")
        said = alice.expect(486 if way == "busy" else 487)
        ack(alice, text, said)
        quiet(alice, bob, seconds=0.8)


def test_a_cancel_may_write_its_via_otherwise(pair):
    """Case of the branch's host and name, blanks, order of parameters: RFC 3261 compares values."""
    alice, bob = pair
    text = alice.request("INVITE", bob.aor)
    alice.to_proxy(text)
    got = bob.expect("INVITE")
    bob.answer(got, 180, "Ringing")
    alice.expect(180)
    branch = text.split(b"branch=")[1].split(b";")[0]
    cancel = replace_method(text, "CANCEL").replace(b";branch=" + branch + b";rport", b" ;rport ; Branch = " + branch)
    assert b"Branch = " in cancel
    alice.to_proxy(cancel)
    alice.expect(200)
    bob.answer(bob.expect("CANCEL"), 200)
    bob.answer(got, 487, "Request Terminated")
    bob.expect("ACK")
    ack(alice, text, alice.expect(487))


def test_many_invites_in_one_burst(pair):
    """Their timers are due in the same tick."""
    alice, bob = pair
    sent = {}
    for n in range(300):
        text = alice.request("INVITE", bob.aor)
        sent[text.split(b"Call-ID: ")[1].split(b"\r")[0].decode()] = text
        alice.to_proxy(text)
        if n % 50 == 49:
            time.sleep(0.002)
    got = {}
    end = time.monotonic() + 5
    while len(got) < len(sent) and time.monotonic() < end:
        m = bob.next()
        got[m.get("call-id")] = m
    assert set(got) == set(sent)
    finals = set()
    while finals != set(sent):
        m = alice.expect(408, 6)
        finals.add(m.get("call-id"))
        ack(alice, sent[m.get("call-id")], m)


# ---- names and neighbours ----

def test_a_call_waits_for_a_name(rig):
    alice, server = rig.phone(), rig.phone("b2", "server", port=5068)
    rig.dns.delay = 0.5
    text = alice.invite("sip:x@one.example:5068")
    alice.to_proxy(text)
    got = server.expect("INVITE")
    server.answer(got, 200)
    ok = alice.expect(200)
    alice.ack(ok)
    server.expect("ACK")
    hang_up(alice, server, ok)
    quiet(alice, server)


def test_a_caller_gives_up_while_a_name_is_asked(rig):
    alice, server = rig.phone(), rig.phone("b2", "server", port=5068)
    rig.dns.delay = 0.7
    text = alice.invite("sip:x@two.example:5068")
    time.sleep(0.1)
    alice.to_proxy(replace_method(text, "CANCEL"))
    # Either the INVITE has a transaction by then and ends in 487, or the CANCEL met none and the call goes on.
    if select.select([server.sock], [], [], 1.5)[0]:
        got = server.expect("INVITE")
        server.answer(got, 180, "Ringing")
        server.answer(got, 486, "Busy Here")
    while (said := alice.expect(None, 6)).status < 300:
        pass
    assert said.status in (486, 487), said
    ack(alice, text, said)


def test_a_reload_while_a_name_is_asked(rig):
    """The call goes on under the script that it began with."""
    alice, server = rig.phone(), rig.phone("b2", "server", port=5068)
    rig.dns.delay = 0.7
    alice.invite("sip:x@three.example:5068")
    time.sleep(0.1)
    before = rig.lab.config.read_text()
    reload(rig.lab, before.replace("record_route();", 'append_hf("X-Script: second\\r\\n"); record_route();'))
    try:
        got = server.expect("INVITE")
        assert got.get("x-script") is None
        server.answer(got, 200)
        alice.ack(alice.expect(200))
    finally:
        reload(rig.lab, before)


def test_a_name_that_is_not_answered(rig):
    alice = rig.phone()
    rig.dns.silent = True
    text = alice.invite("sip:x@silent.example:5068")
    said = alice.expect(None, 8)
    assert 400 <= said.status < 600, said
    ack(alice, text, said)


def test_a_phone_whose_network_is_gone(rig):
    """Nobody answers ARP for its address: 408 or the like when the timer ends, and what stands beside it goes on."""
    alice, bob = rig.phone(), rig.phone("b1")
    bob.registered([f"<sip:{bob.user}@10.20.0.77:5060>"])
    text = alice.invite(bob.aor)
    said = alice.expect(None, 5)
    assert said.status in (408, 480, 500, 503), said
    ack(alice, text, said)
    bob.registered()
    text = alice.invite(bob.aor)
    got = bob.expect("INVITE")  # one of two branches
    bob.answer(got, 200)
    alice.ack(alice.expect(200))


# ---- contacts that lead nowhere ----

@pytest.mark.parametrize("contact", ["sip:x@10.20.0.11:5060;transport=tcp", "sips:x@10.20.0.11", "mailto:bob@example.com", "tel:+4930123",
                                     "sip:x@127.0.0.1:5060", "sip:x@224.0.0.1", "sip:x@255.255.255.255", "sip:x@0.0.0.0"])
def test_a_contact_that_cannot_be_reached(rig, contact):
    """It may be registered (10.2.1 allows any URI); a call to it is answered, and no packet leaves."""
    alice, bob = rig.phone(), rig.phone("b1")
    got = bob.register([f"<{contact}>"])
    if got.status != 200:
        assert 400 <= got.status < 500, got
        return
    assert len(bindings(got)) == 1
    text = alice.invite(bob.aor)
    said = alice.expect(None, 5)
    assert 400 <= said.status < 700, said
    ack(alice, text, said)
    quiet(bob)


def test_a_contact_that_can_be_reached_beside_one_that_cannot(rig):
    alice, bob = rig.phone(), rig.phone("b1")
    bob.registered([f"<sip:{bob.user}@10.20.0.12:5060;transport=tcp>;q=0.9", f"<{bob.uri}>;q=0.5"])
    alice.invite(bob.aor)
    got = bob.expect("INVITE")
    bob.answer(got, 200)
    alice.ack(alice.expect(200))
    bob.expect("ACK")


# ---- size ----

@pytest.mark.parametrize("size", [1600, 9000, 60000])
def test_large_requests_are_relayed_and_repeated_whole(pair, size):
    """Fragments both ways; what is sent again has all of its bytes."""
    alice, bob = pair
    body = "".join(chr(97 + n % 26) for n in range(size))
    alice.to_proxy(alice.request("INVITE", bob.aor, headers=["Content-Type: text/plain"], body=body))
    got = bob.expect("INVITE")
    assert got.body == body.encode()
    assert bob.receive().data == got.data, "Timer A"
    bob.answer(got, 200, headers=["Content-Type: text/plain"], body=body)
    ok = alice.expect(200)
    assert ok.body == body.encode()
    alice.ack(ok)
    bob.expect("ACK")


def test_between_the_families(rig):
    """A caller over IPv6, a phone over IPv4."""
    alice = rig.phone("caller", address="fd00:10::2", proxy=("fd00:10::1", 5060))
    bob = rig.phone("b1")
    bob.registered()
    got, ok = call(alice, bob)
    assert len(got.record_routes()) == 2
    hang_up(alice, bob, ok)


# ---- the script's blocks ----

def test_contacts_one_after_the_other(rig):
    """t_load_contacts, t_next_contacts: by q, the next when the one before has failed."""
    alice, phones = rig.phone(), [rig.phone(who) for who in ("b1", "b2", "b3")]
    phones[0].registered([f"<{p.uri}>;q={q}" for p, q in zip(phones, (0.3, 0.9, 0.6))])
    text = alice.invite(phones[0].aor, headers=["X-How: serial"])
    for p in (phones[1], phones[2]):
        got = p.expect("INVITE")
        quiet(*[x for x in phones if x is not p], seconds=0.15)
        p.answer(got, 486, "Busy Here")
        p.expect("ACK")
    got = phones[0].expect("INVITE")
    phones[0].answer(got, 200)
    ok = alice.expect(200)
    alice.ack(ok)
    phones[0].expect("ACK")
    # All refuse.
    text = alice.invite(phones[0].aor, headers=["X-How: serial"])
    for p in (phones[1], phones[2], phones[0]):
        p.answer(p.expect("INVITE"), 486, "Busy Here")
        p.expect("ACK")
    ack(alice, text, alice.expect(486))
    quiet(alice, *phones)


def test_a_branch_route_edits_its_own_branch(rig):
    """What it changes is that branch's alone; one that it drops is not sent."""
    alice, bob, second = rig.phone(), rig.phone("b1"), rig.phone("b2")
    bob.registered([f"<{bob.uri}>;q=0.9", f"<sip:other@{second.host}:{second.port}>;q=0.5", "<sip:dropped@10.20.0.13:6002>;q=0.1"])
    alice.invite(bob.aor, headers=["X-How: branch"])
    one, two = bob.expect("INVITE"), second.expect("INVITE")
    assert one.all("x-branch") == [bob.user] and two.all("x-branch") == ["other"]
    assert one.uri.startswith("sip:edited@") and two.uri.startswith("sip:edited@")
    bob.answer(one, 200)
    alice.ack(alice.expect(200))
    second.answer(two, 100, "Trying")
    second.answer(second.expect("CANCEL"), 200)


def test_a_failure_route_answers_itself(pair):
    alice, bob = pair
    text = alice.invite(bob.aor, headers=["X-How: answer"])
    got = bob.expect("INVITE")
    bob.answer(got, 486, "Busy Here")
    bob.expect("ACK")
    said = alice.expect(403)
    assert "Said By The Script" in said.start and said.tag("to")
    ack(alice, text, said)
    quiet(alice, bob)


def test_port_and_parameters_of_the_request_uri_name_no_other_user(rig):
    alice, bob = rig.phone(), rig.phone("b1")
    bob.registered()
    alice.invite(f"sip:{bob.user}@{DOMAIN}:5060;user=phone")
    got = bob.expect("INVITE")
    assert got.uri == bob.uri
    bob.answer(got, 200)
    alice.ack(alice.expect(200))


def test_an_invite_without_state_and_its_cancel_by_t_relay(labs):
    """RFC 3261 16.10: who forwarded the INVITE by forward() has its CANCEL and ACK go the same way with the same branch."""
    lab = labs.make(modules=MODULES, script="""
request_route {
	$du = "sip:10.20.0.11:5060";
	if (is_method("INVITE")) { forward(); exit; }
	t_relay();
}
""")
    alice, bob = Phone(lab, "alice"), Phone(lab, "bob", "b1", 5060)
    text = alice.invite(bob.aor)
    got = bob.expect("INVITE")
    bob.answer(got, 180, "Ringing")
    alice.expect(180)
    alice.to_proxy(replace_method(text, "CANCEL"))
    cancel = bob.expect("CANCEL")
    assert cancel.branch() == got.branch()
    bob.answer(cancel, 200)
    assert alice.expect(200).get("cseq") == "1 CANCEL"
    bob.answer(got, 487, "Request Terminated")
    ack(alice, text, alice.expect(487))
    assert bob.expect("ACK").branch() == got.branch()
    assert lab.transactions()["txn_created"] == 0


def test_a_200_whose_ack_goes_by_t_relay(labs):
    """Without Record-Route in the way: an ACK is sent on at once, and no transaction is made for it."""
    lab = labs.make(modules=MODULES, script="""
request_route {
	$du = "sip:10.20.0.11:5060";
	t_relay();
}
""")
    alice, bob = Phone(lab, "alice"), Phone(lab, "bob", "b1", 5060)
    alice.invite(bob.aor)
    got = bob.expect("INVITE")
    bob.answer(got, 200)
    ok = alice.expect(200)
    alice.ack(ok)
    seen = bob.expect("ACK")
    assert len(seen.vias()) == 2 and seen.branch() != got.branch()
    assert lab.transactions()["txn_created"] == 1
