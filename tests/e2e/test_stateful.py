# SPDX-License-Identifier: BSD-3-Clause
"""
Calls with state (t_relay): load, loss and doubling, CANCEL, forking, failover, reload, and what somebody does who means harm.

Every test ends with the counters' equation and, where it says so, with no transaction left.
"""
import concurrent.futures
import ctypes
import os
import pathlib
import socket
import time

import pytest

from call import replace_method
from phone import DOMAIN, MODULES, any_of, call, hang_up, quiet, script
from test_names import A, SRV, Dns, a, srv
from test_register import Rig
from test_reload import reload
from test_sipp import HERE, count, dialogs, said
from test_sipp import backend as sipp_backend
from test_sipp import caller as sipp_caller

pytestmark = pytest.mark.sanitize

LAB = pathlib.Path(__file__).resolve().parents[2] / "tools/lab/sipp"
FR_MS, FR_INV_MS = 1800, 4000


def timers(fr_ms):
    return f"""
modparam("tm", "fr_timer", {fr_ms})
modparam("tm", "fr_inv_timer", {FR_INV_MS})
modparam("dispatcher", "flags", 2)
"""


PARAMS = timers(FR_MS)
# T1 and with it timers D, H, J, L, M: what is done with is gone after 64 times as long (RFC 3261 17), where nobody sends copies for longer.
# Under load a peer may stand for a few seconds until it has a CPU again: a call that is given up meanwhile fails, as it should.
BRIEF_T1_MS = 80
BRIEF_FR_MS = FR_INV_MS
BRIEF_S = 64 * BRIEF_T1_MS / 1000
BRIEF = timers(BRIEF_FR_MS) + f"""
modparam("tm", "retr_timer1", {BRIEF_T1_MS})
modparam("tm", "absorb_timer", {64 * BRIEF_T1_MS})
modparam("tm", "wt_timer", 500)
"""
# Two queues a way that the dispatcher's failure route walks; the backends of the lab.
FAILOVER = """
	if ($rU == "service") {
		if (!ds_select_dst("1", "4")) { sl_send_reply("503", "No Destination"); exit; }
		t_on_failure("next");
		record_route();
		if (!t_relay()) sl_reply_error();
		exit;
	}
	if ($rU == "both") {
		$ru = "sip:one@10.20.0.12:5068";
		append_branch("sip:two@10.20.0.13:5068");
		t_on_branch("late");
		record_route();
		if (!t_relay()) sl_reply_error();
		exit;
	}
	if ($rd =~ "example$") {
		record_route();
		if (!t_relay()) sl_reply_error();
		exit;
	}
"""
NEXT = """
failure_route[next] {
	if (t_is_canceled()) exit;
	if (t_branch_timeout() || t_check_status("503")) {
		if (ds_next_dst()) {
			t_on_failure("next");
			t_relay();
		}
	}
}
branch_route[late] {
	$var(runs) = $var(runs) + 1;
	append_hf("X-Runs: $var(runs)\r\n");
	if ($rU == "two") $du = "sip:" + $hdr(X-Host) + ":5068";
}
"""


@pytest.fixture(scope="module")
def made():
    rig = Rig(script(params=PARAMS, initial=FAILOVER, blocks=NEXT), head='dns_servers = "127.0.0.1:5353"\n', backends=3, start=False,
              list_text="1 sip:10.20.0.12:5066\n1 sip:10.20.0.13:5066\n")
    rig.dns = Dns(rig.lab, {
        ("_sip._udp.pair.example", SRV): srv((10, 0, 5067, "one.example"), (20, 0, 5067, "two.example")),
        ("one.example", A): a("10.20.0.12"),
        ("two.example", A): a("10.20.0.13"),
        ("both.example", A): a("10.20.0.12", "10.20.0.13"),
        ("late.example", A): a("10.20.0.13"),
    })
    rig.start(rig.lab.config)
    yield rig
    rig.dns.close()
    rig.close()


@pytest.fixture
def rig(made):
    yield made
    made.check()


@pytest.fixture(scope="module")
def made_brief():
    rig = Rig(script(params=BRIEF))
    yield rig
    rig.close()


@pytest.fixture
def brief(made_brief):
    """Where transactions are over soon."""
    yield made_brief
    made_brief.check()


def two(rig):
    alice, bob = rig.phone(), rig.phone("b1")
    bob.registered()
    return alice, bob


@pytest.fixture
def pair(rig):
    return two(rig)


def usage(lab):
    return lab.transactions()["transactions"]


def ended(rig, timeout=BRIEF_FR_MS / 1000 + BRIEF_S + 3):
    """No transaction is left: all memory is back."""
    end = time.monotonic() + timeout
    while (left := usage(rig.lab)) != 0:
        assert time.monotonic() < end, f"{left} transactions are left: {rig.lab.transactions()}"
        time.sleep(0.05)


def moved(rig, before, name):
    rig.lab.settle()
    return rig.lab.transactions()[name] - before[name]


def frames(rig, before, **wanted):
    """Since `before`, so many messages ended in these counters of the equation (drop_x is drop/x), and none elsewhere."""
    wanted = {k.replace("drop_", "drop/", 1): n for k, n in wanted.items()}
    end = time.monotonic() + 4
    while True:
        now = rig.lab.settle()
        went = {k: now[k] - before.get(k, 0) for k in now if k in ("forwarded", "answered", "absorbed") or k.startswith("drop/")}
        went = {k: n for k, n in went.items() if n != 0}
        if went == wanted or time.monotonic() > end:
            assert went == wanted
            return


def ack(alice, text, said):
    alice.to_proxy(replace_method(text, "ACK", said.tag("to")))


def refuse(bob, got, status, reason):
    bob.answer(got, status, reason)
    assert bob.expect("ACK").branch() == got.branch()


# ---- sipp's dialogs, and a lossy way ----

TO_BACKEND = """
	if (is_method("INVITE|SUBSCRIBE|REFER")) record_route();
	$du = "sip:10.20.0.11:5060";
	if (!t_relay()) sl_reply_error();
	exit;
"""


def test_dialogs_of_every_kind(labs):
    """test_sipp's, each message of which t_relay() sends: CANCEL, re-INVITE, failures, REFER, SUBSCRIBE, MESSAGE, PRACK."""
    lab = labs.make(script=script(initial=TO_BACKEND), modules=MODULES)
    dialogs(lab, 4)


def test_lost_messages_are_made_good_hop_by_hop(labs):
    """A backend that loses INVITEs and BYEs hears them again from us, a caller that loses answers asks again."""
    lab = labs.make(script=script(initial=TO_BACKEND), modules=MODULES)
    server = sipp_backend(lab, HERE / "lossy_backend.xml")
    c = sipp_caller(lab, HERE / "lossy_caller.xml", 30, 30, 4, 5080, "alice", "-timeout", "36s")
    assert c.wait(40) == 0, said(lab, c)
    assert count(lab, c, "SuccessfulCall(C)") == 30
    lab.end(server)
    assert lab.transactions()["txn_retransmitted"] > 0


# ---- loss, doubling, retransmissions ----

def test_an_invite_that_is_lost_is_sent_again(pair):
    """Timer A: 0.5 s, then 1 s, until something comes; the caller's own are absorbed."""
    alice, bob = pair
    text = alice.invite(bob.aor)
    first = bob.expect("INVITE")
    at = [time.monotonic()]
    alice.expect(100)
    alice.to_proxy(text)
    assert alice.receive(0.4).status == 100, "a retransmission is answered with what was last said"
    for wanted in (0.5, 1.0):
        again = bob.receive()
        at.append(time.monotonic())
        assert again.data == first.data and abs(at[-1] - at[-2] - wanted) < 0.3, at
    bob.answer(first, 180, "Ringing")
    alice.expect(180)
    alice.to_proxy(text)
    assert alice.receive().status == 180
    # A provisional answer ends the retransmissions (17.1.1.2).
    quiet(bob, seconds=0.1)
    with pytest.raises(socket.timeout):
        bob.receive(2.2)
    refuse(bob, first, 486, "Busy Here")
    ack(alice, text, alice.expect(486))


def test_other_requests_are_sent_again_until_a_final_answer(pair):
    """Timer E: 0.5, 1, 2 ... s; a 1xx makes it T2 (17.1.2.2)."""
    alice, bob = pair
    text = alice.to_proxy(alice.request("MESSAGE", bob.aor, contact=False))
    first = bob.expect("MESSAGE")
    begun = time.monotonic()
    assert bob.receive(1).data == first.data and 0.2 < time.monotonic() - begun < 0.8
    alice.to_proxy(text)
    bob.answer(first, 200)
    ok = alice.expect(200)
    alice.to_proxy(text)
    assert alice.receive().data == ok.data, "the answer is kept and said again (17.2.2)"
    quiet(bob, seconds=0.8)


def test_a_failure_is_repeated_until_its_ack(pair):
    """Timer G, and the ACK of a second copy is absorbed."""
    alice, bob = pair
    text = alice.invite(bob.aor)
    got = bob.expect("INVITE")
    refuse(bob, got, 486, "Busy Here")
    first = alice.expect(486)
    begun = time.monotonic()
    # Bob's own repetitions get their ACK from us each time.
    bob.answer(got, 486, "Busy Here")
    assert bob.receive(0.4).method == "ACK"
    assert alice.receive(1).data == first.data and 0.2 < time.monotonic() - begun < 0.8
    for _ in range(3):
        ack(alice, text, first)
    with pytest.raises(socket.timeout):
        alice.receive(1.6)
    quiet(bob, seconds=0.1)


def test_everything_twice(pair):
    """A network that doubles each datagram makes no second call."""
    alice, bob = pair
    text = alice.invite(bob.aor)
    alice.to_proxy(text)
    got = bob.expect("INVITE")
    for _ in range(2):
        bob.answer(got, 180, "Ringing")
    alice.expect(180)
    for _ in range(2):
        bob.answer(got, 200)
    ok = alice.expect(200)
    assert alice.receive().data == ok.data, "a 2xx goes through each time (13.3.1.4, RFC 6026)"
    again = alice.ack(ok)
    alice.to_proxy(again)
    bob.expect("ACK")
    bye = alice.in_dialog(ok, "BYE")
    for _ in range(2):
        alice.to_proxy(bye)
    gone = bob.expect("BYE")
    for _ in range(2):
        bob.answer(gone, 200)
    alice.expect(200)
    quiet(alice, bob)


def test_a_2xx_that_comes_late_and_often_still_reaches_the_caller(pair):
    """RFC 6026: the Accepted state passes retransmissions of a 200 on; its lost ACK is the caller's to send again."""
    alice, bob = pair
    alice.invite(bob.aor)
    got = bob.expect("INVITE")
    bob.answer(got, 200)
    ok = alice.expect(200)
    for _ in range(3):
        time.sleep(0.3)
        bob.answer(got, 200)
        assert alice.receive().data == ok.data
    alice.ack(ok)
    bob.expect("ACK")
    hang_up(alice, bob, ok)


# ---- CANCEL ----

def test_cancel_waits_for_a_provisional_answer(pair):
    """9.1: no CANCEL before the callee has said anything; the caller has its 200 at once."""
    alice, bob = pair
    text = alice.invite(bob.aor)
    got = bob.expect("INVITE")
    alice.to_proxy(replace_method(text, "CANCEL"))
    assert alice.expect(200).get("cseq") == "1 CANCEL"
    quiet(bob, seconds=0.2)
    bob.answer(got, 180, "Ringing")
    cancel = bob.expect("CANCEL")
    assert cancel.branch() == got.branch()
    bob.answer(cancel, 200)
    refuse(bob, got, 487, "Request Terminated")
    said = alice.expect(None)
    if said.status == 180:
        said = alice.expect(487)
    assert said.status == 487
    ack(alice, text, said)
    quiet(alice, bob)


def test_cancel_and_200_cross(pair):
    """The call stands; Bob's 481 to the CANCEL is nobody's."""
    alice, bob = pair
    text = alice.invite(bob.aor)
    got = bob.expect("INVITE")
    bob.answer(got, 180, "Ringing")
    alice.expect(180)
    alice.to_proxy(replace_method(text, "CANCEL"))
    alice.expect(200)
    cancel = bob.expect("CANCEL")
    bob.answer(got, 200)
    bob.answer(cancel, 481, "Call/Transaction Does Not Exist")
    ok = alice.expect(200)
    assert ok.get("cseq") == "1 INVITE"
    alice.ack(ok)
    bob.expect("ACK")
    hang_up(alice, bob, ok)
    quiet(alice, bob)


def test_cancel_without_a_transaction_reaches_nobody(pair, rig):
    """The script that says nothing to it: it ends in script_silent."""
    alice, bob = pair
    before = rig.lab.settle()
    alice.to_proxy(replace_method(alice.request("INVITE", bob.aor), "CANCEL"))
    quiet(alice, bob, seconds=0.4)
    frames(rig, before, drop_script_silent=1)


# ---- forking ----

@pytest.fixture
def family(rig):
    """Alice, and three phones of one user."""
    alice, phones = rig.phone(), [rig.phone(who) for who in ("b1", "b2", "b3")]
    phones[0].registered([f"<{p.uri}>" for p in phones])
    for p in phones:
        p.aor = phones[0].aor
    return alice, phones


def ringing(alice, phones):
    text = alice.invite(phones[0].aor)
    got = [p.expect("INVITE") for p in phones]
    assert len({g.branch() for g in got}) == len(phones) and len({g.branch(1) for g in got}) == 1
    assert [g.uri for g in got] == [p.uri for p in phones]
    for p, g in zip(phones, got):
        p.answer(g, 180, "Ringing")
    assert {alice.expect(180).tag("to") for _ in phones} == {f"t{p.user}{p.port}" for p in phones}
    return text, got


def test_the_first_to_answer_wins_and_others_are_cancelled(family):
    alice, phones = family
    _, got = ringing(alice, phones)
    phones[1].answer(got[1], 200)
    ok = alice.expect(200)
    assert ok.tag("to") == f"t{phones[1].user}{phones[1].port}"
    for n in (0, 2):
        cancel = phones[n].expect("CANCEL")
        assert cancel.branch() == got[n].branch() and cancel.uri == got[n].uri
        phones[n].answer(cancel, 200)
        refuse(phones[n], got[n], 487, "Request Terminated")
    alice.ack(ok)
    phones[1].expect("ACK")
    hang_up(alice, phones[1], ok)
    quiet(alice, *phones)


def test_two_that_answer_both_reach_the_caller(family):
    """16.7 step 5: every 2xx goes through."""
    alice, phones = family
    _, got = ringing(alice, phones)
    phones[0].answer(got[0], 200)
    phones[1].answer(got[1], 200)
    oks = {alice.expect(200).tag("to") for _ in range(2)}
    assert oks == {f"t{p.user}{p.port}" for p in phones[:2]}
    cancel = phones[2].expect("CANCEL")
    phones[2].answer(cancel, 200)
    refuse(phones[2], got[2], 487, "Request Terminated")


def test_the_best_answer_of_all_goes_back(family):
    alice, phones = family
    text, got = ringing(alice, phones)
    refuse(phones[0], got[0], 503, "Service Unavailable")
    refuse(phones[1], got[1], 404, "Not Found")
    quiet(alice, seconds=0.3)
    refuse(phones[2], got[2], 480, "Temporarily Unavailable")
    said = alice.expect(None)
    assert said.status in (404, 480), "a 4xx is before a 503 (16.7 step 6)"
    ack(alice, text, said)
    quiet(alice, *phones)


def test_a_lone_503_is_a_500_to_the_caller(pair):
    """16.7 step 6: 503 says something of this hop, not of us."""
    alice, bob = pair
    text = alice.invite(bob.aor)
    got = bob.expect("INVITE")
    refuse(bob, got, 503, "Service Unavailable")
    said = alice.expect(None)
    assert said.status in (500, 503), said
    ack(alice, text, said)


def test_a_decline_ends_the_search(family):
    """6xx: the others are cancelled, and it goes back although a 4xx came before."""
    alice, phones = family
    text, got = ringing(alice, phones)
    refuse(phones[0], got[0], 486, "Busy Here")
    refuse(phones[1], got[1], 603, "Decline")
    cancel = phones[2].expect("CANCEL")
    phones[2].answer(cancel, 200)
    refuse(phones[2], got[2], 487, "Request Terminated")
    said = alice.expect(603)
    ack(alice, text, said)
    quiet(alice, *phones)


def test_a_caller_who_gives_up_ends_every_branch(family):
    alice, phones = family
    text, got = ringing(alice, phones)
    alice.to_proxy(replace_method(text, "CANCEL"))
    alice.expect(200)
    for p, g in zip(phones, got):
        p.answer(p.expect("CANCEL"), 200)
        refuse(p, g, 487, "Request Terminated")
    ack(alice, text, alice.expect(487))
    quiet(alice, *phones)


def test_a_branch_that_never_says_anything_does_not_hold_the_others(family):
    alice, phones = family
    text = alice.invite(phones[0].aor)
    got = [p.expect("INVITE") for p in phones]
    refuse(phones[0], got[0], 486, "Busy Here")
    refuse(phones[1], got[1], 486, "Busy Here")
    said = alice.expect(None, 4)  # the third one times out
    assert said.status in (408, 486)
    ack(alice, text, said)


# ---- failover ----

def test_the_dispatchers_next_destination_takes_the_call(rig):
    """A destination that answers 503, then one that is silent: failure_route, ds_next_dst."""
    alice, servers = rig.phone(), [rig.phone("b2", "s2", port=5066), rig.phone("b3", "s3", port=5066)]
    alice.invite(f"sip:service@{DOMAIN}")
    first, got = any_of(servers)
    second = next(s for s in servers if s is not first)
    refuse(first, got, 503, "Service Unavailable")
    there = second.expect("INVITE")
    assert there.uri == got.uri and there.branch() != got.branch()
    second.answer(there, 200)
    ok = alice.expect(200)
    alice.ack(ok)
    second.expect("ACK")
    hang_up(alice, second, ok)
    # Silence: after fr_timer, the other one.
    text = alice.invite(f"sip:service@{DOMAIN}")
    first, got = any_of(servers)
    second = next(s for s in servers if s is not first)
    there = second.expect("INVITE", FR_MS / 1000 + 1.5)
    refuse(second, there, 404, "Not Found")
    said = alice.expect(404)
    ack(alice, text, said)
    # Both fail: what the last one said.
    text = alice.invite(f"sip:service@{DOMAIN}")
    for _ in range(2):
        at, got = any_of(servers)
        while got.method != "INVITE":
            at, got = any_of(servers)
        at.answer(got, 503, "Service Unavailable")
    said = alice.expect(None)
    assert said.status in (500, 503)
    ack(alice, text, said)


@pytest.mark.parametrize("how", ["503", "silence", "nobody"])
def test_a_names_next_address_takes_the_call(rig, how):
    """RFC 3263 4.3: SRV gives two servers; the first one fails, or nobody is at its port, as Linux says by ICMP."""
    alice, two = rig.phone(), rig.phone("b3", "two", port=5067)
    one = rig.phone("b2", "one", port=5067) if how != "nobody" else None
    began = time.monotonic()
    alice.invite("sip:x@pair.example")
    got = one.expect("INVITE") if one else None
    if how == "503":
        one.answer(got, 503, "Service Unavailable")
        assert one.expect("ACK").branch() == got.branch()
    there = two.expect("INVITE", FR_MS / 1000 + 1.5)
    assert there.uri == "sip:x@pair.example" and (got is None or there.branch() != got.branch())
    if how == "nobody":
        assert time.monotonic() - began < FR_MS / 1000 - 0.3
    two.answer(there, 200)
    ok = alice.expect(200)
    alice.ack(ok)
    two.expect("ACK")
    hang_up(alice, two, ok)
    quiet(alice)


@pytest.mark.parametrize("answered", [True, False])
def test_a_fork_whose_branch_route_names_a_host(rig, answered):
    """Both branches leave when the name is there; without it the other one does, and the caller may hang up meanwhile."""
    alice, one, two = rig.phone(), rig.phone("b2", "one", port=5068), rig.phone("b3", "two", port=5068)
    rig.dns.silent = not answered
    try:
        began = time.monotonic()
        text = alice.invite(f"sip:both@{DOMAIN}", headers=[f"X-Host: {'late' if answered else 'never'}.example"])
        got = one.expect("INVITE", 8)
        assert got.get("x-runs") == "1"
        if answered:
            there = two.expect("INVITE", 1)
            assert there.get("x-runs") == "2" and there.uri == "sip:two@10.20.0.13:5068" and there.branch() != got.branch()
            refuse(two, there, 486, "Busy Here")
        else:
            assert time.monotonic() - began > 1, "the name server was asked"
            quiet(two)
        refuse(one, got, 404, "Not Found")
        ack(alice, text, alice.expect(404))
        if not answered:
            text = alice.invite(f"sip:both@{DOMAIN}", headers=["X-Host: nor.example"])
            assert alice.expect(100).status == 100
            alice.to_proxy(replace_method(text, "CANCEL"))
            said = [alice.expect(None), alice.expect(None)]
            assert sorted(s.status for s in said) == [200, 487]
            ack(alice, text, next(s for s in said if s.status == 487))
            quiet(one, two, seconds=6)
    finally:
        rig.dns.silent = False


def test_a_name_that_does_not_exist_is_answered(rig):
    alice = rig.phone()
    text = alice.invite("sip:x@gone.example")
    said = alice.expect(None, 6)
    assert said.status >= 400 and said.status != 408, said
    ack(alice, text, said)


# ---- load ----

def sipp_phone(rig, user, who, port=5060):
    """A sipp that answers, registered by hand. Its REGISTER comes from elsewhere (third party, 10.2)."""
    p = rig.phone(who, user)
    p.registered([f"<sip:{user}@{p.address}:{port}>"])
    return rig.lab.sipp(who, LAB / "uas.xml", "-i", p.address, "-mi", p.address, "-p", port, name=f"uas-{user}-{who}")


def test_calls_under_load_leave_nothing(brief):
    before = brief.lab.transactions()
    server = sipp_phone(brief, "load", "b1")
    c = sipp_caller(brief.lab, LAB / "uac.xml", 400, 130, 4, 5081, "load", "-d", "50", name="load")
    assert c.wait(60) == 0, said(brief.lab, c)
    brief.lab.end(server)
    assert count(brief.lab, c, "SuccessfulCall(C)") == 400
    assert moved(brief, before, "txn_created") >= 800, "an INVITE and a BYE each"
    ended(brief)


def test_a_phone_that_dies_under_load(brief):
    """INVITEs end in a failure, BYEs in silence (RFC 4320 4.2); the equation holds and memory comes back."""
    server = sipp_phone(brief, "dying", "b1", 5069)
    c = sipp_caller(brief.lab, LAB / "uac.xml", 200, 100, 4, 5082, "dying", "-d", "100", "-timeout", "12s", name="dying")
    end = time.monotonic() + 10
    while count(brief.lab, c, "SuccessfulCall(C)") < 40 and time.monotonic() < end:
        time.sleep(0.05)
    server.kill()
    server.wait()
    brief.lab.processes.remove(server)
    c.wait(60)
    ok, failed = (count(brief.lab, c, f"{what}Call(C)") for what in ("Successful", "Failed"))
    assert ok >= 40 and failed >= 20 and ok + failed >= 150, (ok, failed)
    ended(brief)


def test_reload_in_the_middle_of_calls(pair, rig):
    """What was begun under one script goes on under it; the next call has the new one."""
    alice, bob = pair
    alice.invite(bob.aor)
    got = bob.expect("INVITE")
    bob.answer(got, 180, "Ringing")
    alice.expect(180)
    before = rig.lab.config.read_text()
    reload(rig.lab, before.replace('sl_send_reply("404", "Not Here")', 'sl_send_reply("405", "Other Script")')
           .replace("{\n\tif (!mf_process", '{\n\tif (is_method("INVITE") && !has_totag()) append_hf("X-Script: second\\r\\n");\n\tif (!mf_process'))
    try:
        bob.answer(got, 200)
        ok = alice.expect(200)
        alice.ack(ok)
        assert bob.expect("ACK").get("x-script") is None
        hang_up(alice, bob, ok)
        got, ok = call(alice, bob)
        assert got.get("x-script") == "second" and len(bob.registered([])) == 1, "registrations live on"
        hang_up(alice, bob, ok)
    finally:
        reload(rig.lab, before)


# ---- harm ----

def test_responses_with_forged_branches_go_nowhere(pair, rig):
    """A guessed branch, another call's token, a token with one character changed: dropped and counted."""
    alice, bob = pair
    alice.invite(bob.aor)
    got = bob.expect("INVITE")
    alice.expect(100)
    via = got.vias()[0]
    before = rig.lab.settle()
    forged = [via.replace(got.branch(), "z9hG4bK" + "a" * (len(got.branch()) - 7)),
              via[:-1] + ("a" if via[-1] != "a" else "b"),
              f"SIP/2.0/UDP 10.20.0.1;branch={got.branch()}"]
    for one in forged:
        text = bob.reply(got, 200).replace(f"Via: {via}".encode(), f"Via: {one}".encode())
        bob.send(text, got.source[:2])
    # The right Via with another Via below, another Call-ID, another CSeq.
    good = bob.reply(got, 200)
    for old, new in ((got.get("call-id").encode(), b"other-call"), (b"CSeq: 1 INVITE", b"CSeq: 2 INVITE"),
                     (f"{alice.host}:{alice.port}".encode(), b"10.10.0.2:9")):
        bob.send(good.replace(old, new, 1 if old.startswith(b"CSeq") else -1), got.source[:2])
    quiet(alice, seconds=0.4)
    after = rig.lab.settle()
    assert after["dropped"] - before["dropped"] == len(forged) + 3, {k: after[k] - before[k] for k in after if after[k] != before.get(k)}
    # The call goes on.
    refuse(bob, got, 480, "Temporarily Unavailable")
    assert alice.expect(480).status == 480


def test_cancels_of_others_end_no_call(pair, rig):
    """Another branch, another sent-by, another source with a guess: the call goes on."""
    alice, bob = pair
    mallory = rig.phone("b2")
    text = alice.invite(bob.aor)
    got = bob.expect("INVITE")
    bob.answer(got, 180, "Ringing")
    alice.expect(180)
    cancel = replace_method(text, "CANCEL")
    forged = [cancel.replace(b"branch=z9hG4bKua", b"branch=z9hG4bKuu"),
              cancel.replace(f"{alice.host}:{alice.port}".encode(), f"{mallory.host}:{mallory.port}".encode())]
    before, cancelled = rig.lab.settle(), rig.lab.transactions()
    for one in forged:
        mallory.to_proxy(one)
    # Alice and who sent it hear as little: the script is silent to a CANCEL of nothing here.
    quiet(alice, bob, mallory, seconds=0.3)
    frames(rig, before, drop_script_silent=len(forged))
    assert moved(rig, cancelled, "txn_cancelled") == 0
    bob.answer(got, 200)
    ok = alice.expect(200)
    alice.ack(ok)
    bob.expect("ACK")
    hang_up(alice, bob, ok)


def test_a_storm_of_retransmissions_sends_nothing_on(pair, rig):
    alice, bob = pair
    before = rig.lab.transactions()
    text = alice.invite(bob.aor)
    got = bob.expect("INVITE")
    bob.answer(got, 180, "Ringing")
    alice.expect(180)
    for n in range(2000):
        alice.to_proxy(text)
        if n % 100 == 99:
            time.sleep(0.01)
    quiet(bob, seconds=0.5)
    alice.drain()
    refuse(bob, got, 486, "Busy Here")
    ack(alice, text, alice.expect(486))
    assert moved(rig, before, "txn_absorbed") >= 1500 and moved(rig, before, "txn_created") == 1


def test_callers_who_never_acknowledge_cost_a_while_and_no_more(brief):
    alice, bob = two(brief)
    ended(brief)
    for _ in range(50):
        alice.invite(bob.aor)
        refuse(bob, bob.expect("INVITE"), 486, "Busy Here")
    assert usage(brief.lab) >= 50
    ended(brief)


def test_a_callee_who_only_rings_is_given_up(pair):
    """1xx every while do not keep a branch for ever (Timer C)."""
    alice, bob = pair
    text = alice.invite(bob.aor)
    got = bob.expect("INVITE")
    begun = time.monotonic()
    bob.answer(got, 180, "Ringing")
    alice.expect(180)
    cancel = bob.expect("CANCEL", FR_INV_MS / 1000 + 2)
    assert FR_INV_MS / 1000 - 0.5 < time.monotonic() - begun
    bob.answer(cancel, 200)
    refuse(bob, got, 487, "Request Terminated")
    ack(alice, text, alice.expect(None))


def test_a_thousand_contacts_are_refused_as_one(rig):
    bob = rig.phone("b1")
    bob.registered()
    got = bob.register([f"<sip:x{n}@10.20.0.11:5060>" for n in range(1000)])
    assert got.status >= 400, got
    assert set(bob.registered([])) == {bob.uri}


def test_contacts_that_lead_back_end_in_a_loop_detected(rig):
    """RFC 5393: two users whose contacts are each other, twice: the storm ends by itself."""
    one, two, alice = rig.phone("b1"), rig.phone("b2"), rig.phone()
    for p, other in ((one, two), (two, one)):
        p.registered([f"<sip:{other.user}@{DOMAIN};x=1>", f"<sip:{other.user}@{DOMAIN};x=2>"])
    before = rig.lab.transactions()
    text = alice.invite(one.aor)
    said = alice.expect(None, 20)
    assert said.status in (482, 440, 483, 500), said
    ack(alice, text, said)
    assert moved(rig, before, "txn_branches") < 200
    one.registered(["*"], expires=0)
    two.registered(["*"], expires=0)


def test_a_late_answer_to_a_transaction_that_ended():
    """
    A 486 after our 408, while the server's transaction stands, is absorbed. When that has ended, what comes goes back to the
    caller without state (RFC 3261 16.11): in the first three minutes an earlier process may have asked. Later it is dropped
    as txn_stray, for which tests/unit/pipeline/test_timers.c has a clock. A siplane of its own, as it has to be young.
    """
    rig = Rig(script(params=BRIEF))
    try:
        alice, bob = two(rig)
        text = alice.invite(bob.aor)
        got = bob.expect("INVITE")
        said = alice.expect(408, BRIEF_FR_MS / 1000 + 3)
        before = rig.lab.stats()
        bob.answer(got, 486, "Busy Here")
        quiet(alice, bob, seconds=0.1)
        ack(alice, text, said)
        ended(rig)
        frames(rig, before, absorbed=2)  # and the ACK
        created, before = rig.lab.transactions(), rig.lab.settle()
        for status, reason in ((486, "Busy Here"), (200, "OK")):
            bob.answer(got, status, reason)
            late = alice.expect(status)
            assert len(late.vias()) == 1 and late.tag("to") == f"t{bob.user}{bob.port}"
        quiet(alice, bob)
        frames(rig, before, forwarded=2)
        assert moved(rig, created, "txn_created") == 0 and usage(rig.lab) == 0
        rig.check()
    finally:
        rig.close()


# ---- no room ----

def test_when_the_pool_is_empty():
    """New work is refused, what is under way goes on, and there is room again when it has ended."""
    rig = Rig(script(params=BRIEF), head="memory { transactions = 64; contacts = 16; }")
    try:
        alice, bob = two(rig)
        _, standing = call(alice, bob)
        alice.invite(bob.aor)
        got = bob.expect("INVITE")
        bob.answer(got, 180, "Ringing")
        alice.expect(180)
        flood, statuses = rig.phone(), set()
        for _ in range(400):
            flood.to_proxy(flood.request("MESSAGE", bob.aor, contact=False))
        try:
            while True:
                statuses.add(flood.receive(0.5).status)
        except socket.timeout:
            pass
        assert statuses == {503}, statuses
        assert rig.lab.transactions()["txn_refused"] > 100
        # The call that rings is answered, the one that stands ends as soon as there is room.
        alice.seen.clear()
        bob.drain()
        bob.answer(got, 200)
        ok = alice.expect(200)
        alice.ack(ok)
        ended(rig)
        bob.drain()
        hang_up(alice, bob, standing)
        hang_up(alice, bob, ok)
        # The table of contacts, likewise.
        full = [rig.phone().register().status for _ in range(60)]
        assert full[0] == 200 and full[-1] == 503, full
        assert set(bob.registered([])) == {bob.uri}
        rig.check()
    finally:
        rig.close()


def test_sigterm_in_the_middle_of_calls():
    """Calls with state do not hold the end up."""
    rig = Rig(script(params=PARAMS))
    try:
        alice, bob = two(rig)
        for _ in range(50):
            alice.invite(bob.aor)
        status, seconds = rig.lab.stop_siplane()
        assert status == 0 and seconds < 10, (status, seconds, rig.lab.log()[-3000:])
    finally:
        rig.close()


# ---- several slow lcores, one that stalls ----

PTRACE_SEIZE, PTRACE_INTERRUPT, PTRACE_DETACH = 0x4206, 0x4207, 17
_libc = ctypes.CDLL(None, use_errno=True)
_libc.ptrace.argtypes = [ctypes.c_long, ctypes.c_long, ctypes.c_void_p, ctypes.c_void_p]


SLOW_THREAD = "rte-worker-1"


class Stalled:
    """Stops one thread of siplane, as a hypervisor may do with a virtual CPU."""

    def __init__(self, pid, name):
        self.tid = next(int(t.name) for t in pathlib.Path(f"/proc/{pid}/task").iterdir() if (t / "comm").read_text().strip().startswith(name))

    def __enter__(self):
        for request in (PTRACE_SEIZE, PTRACE_INTERRUPT):
            if _libc.ptrace(request, self.tid, None, None) != 0:
                raise OSError(ctypes.get_errno(), "ptrace")
        os.waitpid(self.tid, 0x40000000)
        return self

    def __exit__(self, *exc):
        _libc.ptrace(PTRACE_DETACH, self.tid, None, None)


def standing_calls(rig, n):
    """n calls of as many Call-IDs at once, up to their ACK: [(caller, callee, 200)]."""
    users = [rig.phone("b1") for _ in range(n)]
    for u in users:
        u.to_proxy(u.registration())
    for u in users:
        u.expect(200)
    callers = [rig.phone() for _ in users]
    with concurrent.futures.ThreadPoolExecutor(8) as pool:
        done = list(pool.map(lambda p: call(*p), zip(callers, users)))
    return [(c, u, ok) for c, u, (_, ok) in zip(callers, users, done)]


@pytest.mark.parametrize("cores", ["slow = 0,1,0; workers_count = 2;", "control = 0; workers = 0; slow = 0;"], ids=["three_slow", "one_cpu"])
def test_calls_and_registrations_over_all_shards(cores):
    """Shards by Call-ID and by address-of-record; several slow lcores, and all of siplane on one CPU."""
    rig = Rig(script(params=BRIEF), head=f"cores {{ {cores} }}")
    try:
        for c, u, ok in standing_calls(rig, 24):
            hang_up(c, u, ok)
            assert set(u.registered([])) == {u.uri}
        ended(rig)
        rig.check()
    finally:
        rig.close()


FAST = """
	if (is_method("OPTIONS") && $rU =~ "^fast") {
		if (lookup("location")) forward();
		exit;
	}
"""


def test_a_slow_lcore_that_stalls():
    """The fast path goes on; new work is refused with a plain 503 when the ring fills; what was taken in is done when it goes on."""
    if len(os.sched_getaffinity(0)) < 2:
        pytest.skip("two CPUs are needed: one for the slow path alone")
    rig = Rig(script(params=BRIEF, initial=FAST), head="cores { control = 0; workers = 0; slow = 1; }")
    try:
        bob, alice = rig.phone("b1"), rig.phone()
        fast = rig.phone("b2", "fast")
        bob.registered()
        fast.registered()
        _, ok = call(alice, bob)
        flood = rig.phone()
        with Stalled(rig.lab.siplane.pid, SLOW_THREAD):
            for n in range(3000):
                flood.to_proxy(flood.request("MESSAGE", bob.aor, contact=False))
                if n % 50 == 49:
                    time.sleep(0.005)
            got = flood.expect(503)
            assert not got.all("retry-after"), "it would take all of us out of who sends to us"
            # Nothing of this waits, while new work goes on to be refused.
            refused, answered = [rig.lab.stats()["slow_refused_new"]], 0
            for n in range(20):
                for _ in range(5):
                    flood.to_proxy(flood.request("MESSAGE", bob.aor, contact=False))
                alice.to_proxy(alice.request("OPTIONS", fast.aor, contact=False))
                fast.answer(fast.expect("OPTIONS", 1), 200)
                answered += alice.expect(200, 1).get("cseq") == "1 OPTIONS"
                if n % 5 == 4:
                    refused.append(rig.lab.stats()["slow_refused_new"])
            assert answered == 20
            assert refused[0] > 0 and all(b > a for a, b in zip(refused, refused[1:])), refused
            # What belongs to a call has room that new work has not.
            alice.to_proxy(alice.in_dialog(ok, "BYE"))
            with pytest.raises(socket.timeout):
                alice.receive(0.3)
        while bob.expect(None, 5).method != "BYE":
            pass
        flood.drain()
        ended(rig, 30)
        after = rig.lab.settle()
        assert after["held"] == 0
        bob.drain()
        call(alice, bob)
        rig.check()
    finally:
        rig.close()
