# SPDX-License-Identifier: BSD-3-Clause
"""
The call flows of RFC 3665: order of messages and the fields that matter. Of section 3 those that a proxy takes part in; siplane is
the proxy next to Bob ("Proxy 2", his registrar), and what is said of F numbers is that proxy's part. Section 2 and what of 3.2 and 3.3
is authentication stand at the end, with users in a database and real digests. Not here: 3.1 (no proxy), 3.5 (an ALG, which is a B2BUA).
"""
import hashlib

import pytest

import credentials
import phone
from call import replace_method
from phone import DOMAIN, SDP, bindings, call, quiet, script
from test_register import Rig
from test_rows import Users

pytestmark = pytest.mark.sanitize

NO_RESPONSE_MS, NO_ANSWER_MS = 1800, 2500
PARAMS = f"""
modparam("tm", "fr_timer", {NO_RESPONSE_MS})
modparam("tm", "fr_inv_timer", {NO_ANSWER_MS})
"""


@pytest.fixture(scope="module")
def made():
    rig = Rig(script(params=PARAMS, initial="""
	if (is_method("INVITE") && $hdr(X-Path) == "leave") {
		if (!lookup("location")) { sl_send_reply("404", "Not Found"); exit; }
		t_relay();
		exit;
	}
""", before_relay='if ($hdr(X-Second) != $null) t_on_failure("second");', blocks="""
failure_route[second] {
	if (t_branch_timeout()) {
		$du = "sip:" + $hdr(X-Second);
		t_relay();
	}
}
"""))
    yield rig
    rig.close()


@pytest.fixture
def rig(made):
    yield made
    made.check()


@pytest.fixture
def pair(rig):
    alice, bob = rig.phone(), rig.phone("b1")
    bob.registered()
    return alice, bob


def invited(alice, bob, **kw):
    """F1 to F3: (Alice's INVITE, Bob's): Alice hears 100 before anything else."""
    text = alice.invite(bob.aor, **kw)
    got = bob.expect("INVITE")
    trying = alice.expect(100)
    assert trying.tag("to") is None and trying.source == alice.proxy
    assert trying.get("call-id") == got.get("call-id") and trying.get("cseq") == got.get("cseq")
    assert len(trying.vias()) == 1 and not trying.record_routes()
    return text, got


def same_transaction(request, invite, method):
    """A CANCEL or the ACK of a failure as the proxy makes it (RFC 3261 9.1, 17.1.1.3): one Via, and it is the INVITE's."""
    assert request.method == method and request.uri == invite.uri
    assert len(request.vias()) == 1 and request.branch() == invite.branch()
    for name in ("from", "call-id"):
        assert request.get(name) == invite.get(name)
    assert request.get("cseq") == f"{invite.get('cseq').split()[0]} {method}"
    assert request.all("route") == invite.all("route")
    assert request.get("content-length") == "0"


def fail(alice, bob, text, got, status, reason, **kw):
    """Bob's failure to Alice: the proxy's ACK to him, hers to the proxy. Returns what she got."""
    bob.answer(got, status, reason, **kw)
    ack = bob.expect("ACK")
    same_transaction(ack, got, "ACK")
    assert ack.tag("to") == f"t{bob.user}{bob.port}"
    said = alice.expect(status)
    assert len(said.vias()) == 1 and said.tag("to") == ack.tag("to")
    alice.to_proxy(replace_method(text, "ACK", said.tag("to")))
    return said


def test_3_2_session_establishment(pair):
    alice, bob = pair
    _, got = invited(alice, bob)
    assert got.uri == bob.uri and got.body == SDP.format(alice.address).encode()
    assert len(got.vias()) == 2 and f"{alice.host}:{alice.port}" in got.vias()[1] and "received=" in got.vias()[1]
    assert got.get("max-forwards") == "69"
    # The proxy stays: one Record-Route a side, ours, the one towards Bob above.
    assert len(got.record_routes()) == 2 and "10.20.0.1" in got.record_routes()[0] and "10.10.0.1" in got.record_routes()[1]
    assert all(";lr" in r for r in got.record_routes())
    bob.answer(got, 180, "Ringing")
    ringing = alice.expect(180)
    assert ringing.tag("to") and ringing.record_routes() == got.record_routes() and len(ringing.vias()) == 1
    bob.answer(got, 200, body=SDP.format(bob.address), headers=["Content-Type: application/sdp"])
    ok = alice.expect(200)
    assert ok.record_routes() == got.record_routes() and ok.body == SDP.format(bob.address).encode()
    assert ok.contact_uri() == bob.uri
    # ACK is a transaction of its own, from end to end.
    alice.ack(ok)
    ack = bob.expect("ACK")
    assert ack.uri == bob.uri and len(ack.vias()) == 2 and ack.branch() != got.branch() and not ack.all("route")
    # Bob hangs up.
    bob.to_proxy(bob.in_dialog_back(got, "BYE"))
    bye = alice.expect("BYE")
    assert bye.uri == alice.uri and len(bye.vias()) == 2 and not bye.all("route")
    alice.answer(bye, 200)
    assert bob.expect(200).get("cseq") == "1 BYE"
    quiet(alice, bob)


def test_3_4_session_with_proxy_failure(rig):
    """The first next hop is silent; seven times in 32 s there, fewer here, and the call goes by the second."""
    alice, bob, silent = rig.phone(), rig.phone("b1"), rig.phone("b2")
    bob.registered([f"<sip:{bob.user}@{silent.host}:{silent.port}>"])
    _, first = invited(alice, silent_as(bob, silent), headers=[f"X-Second: {bob.host}:{bob.port}"])
    again = [silent.receive() for _ in range(2)]  # at 0.5 and 1.5 s (Timer A)
    assert all(m.data == first.data for m in again)
    got = bob.expect("INVITE", 3)
    assert got.branch() != first.branch() and got.branch(1) == first.branch(1) and got.get("cseq") == first.get("cseq")
    bob.answer(got, 180, "Ringing")
    alice.expect(180)
    bob.answer(got, 200)
    ok = alice.expect(200)
    alice.ack(ok)
    bob.expect("ACK")
    bob.to_proxy(bob.in_dialog_back(got, "BYE"))
    alice.answer(alice.expect("BYE"), 200)
    bob.expect(200)
    quiet(alice, bob, silent)


def silent_as(bob, silent):
    silent.aor = bob.aor
    return silent


def test_3_6_redirect_and_sdp_in_ack(rig):
    """A redirect server behind the proxy; Alice calls what its 302 names. No SDP in the INVITE, hers is in the ACK."""
    alice, redirect, bob = rig.phone(), rig.phone("b2"), rig.phone("b1")
    redirect.registered()
    bob.registered()
    text, got = invited(alice, redirect, sdp=False)
    moved = fail(alice, redirect, text, got, 302, "Moved Temporarily", contact=False, headers=[f"Contact: <{bob.aor}>"])
    target = moved.contact_uri()
    assert target == bob.aor
    text = alice.invite(target, sdp=False, call_id=moved.get("call-id"), cseq=2)
    got = bob.expect("INVITE")
    alice.expect(100)
    assert got.body == b"" and got.get("cseq") == "2 INVITE"
    bob.answer(got, 180, "Ringing")
    alice.expect(180)
    bob.answer(got, 200, body=SDP.format(bob.address), headers=["Content-Type: application/sdp"])
    ok = alice.expect(200)
    alice.to_proxy(alice.in_dialog(ok, "ACK", cseq=2, headers=["Content-Type: application/sdp"], body=SDP.format(alice.address)))
    assert bob.expect("ACK").body == SDP.format(alice.address).encode()
    bob.to_proxy(bob.in_dialog_back(got, "BYE"))
    alice.answer(alice.expect("BYE"), 200)
    bob.expect(200)
    quiet(alice, bob, redirect)


def test_3_7_reinvite_without_the_proxy(rig):
    """The proxy writes no Record-Route and is out of the dialog after the 200: ACK, re-INVITE and BYE pass it by."""
    alice, bob = rig.phone("b2"), rig.phone("b1")
    bob.registered()
    alice.invite(bob.aor, headers=["X-Path: leave"])
    got = bob.expect("INVITE")
    alice.expect(100)
    assert not got.record_routes()
    bob.answer(got, 180, "Ringing")
    alice.expect(180)
    bob.answer(got, 200)
    ok = alice.expect(200)
    assert not ok.record_routes() and ok.contact_uri() == bob.uri
    # What 3.7 has next goes between the two alone.
    alice.send(alice.in_dialog(ok, "ACK", cseq=1), (bob.address, bob.port))
    assert len(bob.expect("ACK").vias()) == 1
    quiet(alice, bob, seconds=0.6)


def test_3_7_reinvite_after_an_address_change(rig, pair):
    """The same with a proxy that stays: Bob goes on from another address and his new Contact is the target."""
    alice, bob = pair
    got, ok = call(alice, bob)
    moved = rig.phone("b2", user=bob.user)
    again = moved.request("INVITE", got.contact_uri(), routes=got.record_routes(), call_id=got.get("call-id"), from_tag=ok.tag("to"),
                          to_tag=ok.tag("from"), to=got.get("from").split(";tag=")[0], cseq=1, headers=["Content-Type: application/sdp"],
                          body=SDP.format(moved.address))
    moved.to_proxy(again)
    seen = alice.expect("INVITE")
    assert seen.uri == alice.uri and seen.contact_uri() == moved.uri
    moved.expect(100)
    alice.send(alice.reply(seen, 200), seen.source[:2])
    ok2 = moved.expect(200)
    assert ok2.contact_uri() == alice.uri
    moved.to_proxy(moved.request("ACK", ok2.contact_uri(), routes=got.record_routes(), call_id=got.get("call-id"), from_tag=ok.tag("to"),
                                 to_tag=ok.tag("from"), to=got.get("from").split(";tag=")[0], cseq=1))
    alice.expect("ACK")
    bye = alice.request("BYE", moved.uri, routes=reversed(ok.record_routes()), call_id=ok.get("call-id"), from_tag=ok.tag("from"),
                        to_tag=ok.tag("to"), to=ok.get("to").split(";tag=")[0], cseq=2)
    alice.to_proxy(bye)
    moved.answer(moved.expect("BYE"), 200)
    alice.expect(200)
    quiet(alice, bob, moved)


def test_3_8_no_answer(pair):
    """Alice gives up: CANCEL is answered hop by hop, Bob's 487 goes to her."""
    alice, bob = pair
    text, got = invited(alice, bob)
    bob.answer(got, 180, "Ringing")
    alice.expect(180)
    alice.to_proxy(replace_method(text, "CANCEL"))
    ok = alice.expect(200)
    assert ok.get("cseq") == "1 CANCEL" and ok.branch() in text.decode() and len(ok.vias()) == 1
    cancel = bob.expect("CANCEL")
    same_transaction(cancel, got, "CANCEL")
    bob.answer(cancel, 200)
    fail(alice, bob, text, got, 487, "Request Terminated")
    quiet(alice, bob)


def test_3_9_busy(pair):
    alice, bob = pair
    text, got = invited(alice, bob)
    fail(alice, bob, text, got, 486, "Busy Here")
    quiet(alice, bob, seconds=0.8)


def test_3_10_no_response_from_user_agent(pair):
    """Bob's phone is gone: the INVITE is sent again at 0.5 and 1.5 s, then Alice gets 408 (Timer B, shortened here)."""
    alice, bob = pair
    text, got = invited(alice, bob)
    assert [bob.receive().data for _ in range(2)] == [got.data] * 2
    said = alice.expect(408, 3)
    assert said.tag("to") and len(said.vias()) == 1
    alice.to_proxy(replace_method(text, "ACK", said.tag("to")))
    quiet(alice, bob, seconds=0.8)


def test_3_10_nobody_picks_up(pair):
    """Bob's phone rings and rings (Timer C, shortened here): the proxy cancels the branch and answers 408."""
    alice, bob = pair
    text, got = invited(alice, bob)
    bob.answer(got, 180, "Ringing")
    alice.expect(180)
    cancel = bob.expect("CANCEL", 5)
    same_transaction(cancel, got, "CANCEL")
    bob.answer(cancel, 200)
    bob.answer(got, 487, "Request Terminated")
    same_transaction(bob.expect("ACK"), got, "ACK")
    said = alice.expect(None)
    assert said.status in (408, 487), said
    alice.to_proxy(replace_method(text, "ACK", said.tag("to")))
    quiet(alice, bob)


def test_3_11_temporarily_unavailable(pair):
    alice, bob = pair
    text, got = invited(alice, bob)
    bob.answer(got, 180, "Ringing")
    alice.expect(180)
    said = fail(alice, bob, text, got, 480, "Temporarily Unavailable", headers=["Retry-After: 3600"])
    assert said.get("retry-after") == "3600"
    quiet(alice, bob)


# ---- 2, and 3.2 and 3.3, with authentication ----

PASSWORD = "zanzibar"
AUTH_MODULES = phone.MODULES + "".join(f'loadmodule "{m}.so"\n' for m in ("auth", "auth_db", "uri_db"))
PROVE = f"""
	if (is_method("INVITE")) {{
		if (!proxy_authorize("{DOMAIN}", "subscriber")) {{ proxy_challenge("{DOMAIN}", "1"); exit; }}
		if (!check_from()) {{ sl_send_reply("403", "Not You"); exit; }}
		consume_credentials();
	}}
	if (is_method("INVITE") && $hdr(X-Next) != $null) {{
		record_route();
		$du = "sip:" + $hdr(X-Next);
		t_relay();
		exit;
	}}
"""
SAVE = f"""
	if (!www_authorize("{DOMAIN}", "subscriber")) {{ www_challenge("{DOMAIN}", "1"); exit; }}
	if (!check_to()) {{ sl_send_reply("403", "Not Yours"); exit; }}
	save("location")"""
REGISTRAR = f"sip:{DOMAIN}"


@pytest.fixture(scope="module")
def guarded():
    rig = Rig(script(save=SAVE, initial=PROVE), modules=AUTH_MODULES, start=False)
    rig.lab.config.write_text('db_url = "sqlite://users.sqlite"\n' + rig.lab.config.read_text())
    rig.users = Users(rig.lab.dir / "users.sqlite")
    rig.start(rig.lab.config)
    yield rig
    rig.close()


@pytest.fixture
def guard(guarded):
    yield guarded
    guarded.check()


def known(rig, *args, password=PASSWORD):
    """A phone whose user is in the database."""
    p = rig.phone(*args)
    rig.users.add(p.user, password)
    return p


def challenged(p, **kw):
    """F1, F2: a REGISTER without credentials and its 401, which is fit to be answered."""
    got = p.register(**kw)
    assert got.status == 401 and got.start == "SIP/2.0 401 Unauthorized"
    assert got.tag("to") and got.get("cseq").endswith(" REGISTER") and got.get("content-length") == "0" and not got.all("contact")
    c = credentials.challenge(got)
    assert c["realm"] == DOMAIN and c["nonce"] and c["qop"] == "auth" and "stale" not in c
    return got


def registers(p, got, nc=1, password=PASSWORD, **kw):
    """F3, F4: the same again with credentials, one CSeq further."""
    line = credentials.answer(got, "REGISTER", REGISTRAR, p.user, password, nc=nc)
    again = p.register(headers=[line], **kw)
    assert again.get("call-id") == got.get("call-id")
    assert int(again.get("cseq").split()[0]) == int(got.get("cseq").split()[0]) + nc
    return again


def test_2_1_successful_new_registration(guard):
    bob = known(guard)
    again = registers(bob, challenged(bob, expires=7200), expires=7200)
    assert again.status == 200 and bindings(again) == {bob.uri: {"expires": "7200"}}
    assert again.tag("to") and not again.all("www-authenticate")


def test_2_2_update_of_contact_list(guard):
    """He has credentials already: they go with the first REGISTER, the nonce's count one further."""
    bob = known(guard)
    got = challenged(bob)
    assert registers(bob, got).status == 200
    second = f"sip:{bob.user}@10.20.0.12:5070"
    updated = registers(bob, got, nc=2, contacts=[f"<{second}>"])
    assert updated.status == 200 and set(bindings(updated)) == {bob.uri, second}


def test_2_3_request_for_current_contact_list(guard):
    bob = known(guard)
    got = challenged(bob)
    assert registers(bob, got).status == 200
    asked = registers(bob, got, nc=2, contacts=[])
    assert asked.status == 200 and set(bindings(asked)) == {bob.uri}


def test_2_4_cancellation_of_registration(guard):
    bob, alice = known(guard, "b1"), known(guard)
    got = challenged(bob)
    assert registers(bob, got).status == 200
    gone = registers(bob, got, nc=2, contacts=["*"], expires=0)
    assert gone.status == 200 and not gone.all("contact")
    # Who is not registered any more is not called.
    invited_with_credentials(alice, bob.aor)
    failed = alice.expect(404)
    assert failed.tag("to")
    quiet(bob)


def test_2_5_unsuccessful_registration(guard):
    """A wrong password: challenged again with another nonce, and not as stale, since asking again would not help."""
    bob = known(guard)
    got = challenged(bob)
    again = registers(bob, got, password="kathmandu")
    assert again.status == 401 and not again.all("contact")
    c = credentials.challenge(again)
    assert c["nonce"] != credentials.challenge(got)["nonce"] and "stale" not in c
    # Nothing was bound. And what he should have written is good.
    right = registers(bob, again, contacts=[])
    assert right.status == 200 and bindings(right) == {}


def from_domain(p, text):
    """check_from(): From is the user of the credentials."""
    return text.replace(f"From: <sip:{p.user}@{p.host}>".encode(), f"From: <{p.aor}>".encode())


def invite_text(p, uri, cseq, headers=(), call_id=None):
    return from_domain(p, p.request("INVITE", uri, headers=[*headers, "Content-Type: application/sdp"], body=SDP.format(p.address), cseq=cseq,
                                    call_id=call_id, from_tag=f"f{p.port}"))


def invited_with_credentials(alice, uri, headers=()):
    """3.2 F1 to F4: INVITE, 407, ACK, INVITE with credentials. (the text of that one, the 407)"""
    first = alice.to_proxy(invite_text(alice, uri, 1, headers))
    got = alice.expect(407)
    assert got.start == "SIP/2.0 407 Proxy Authentication Required" and got.tag("to") and len(got.vias()) == 1
    assert credentials.challenge(got)["realm"] == DOMAIN and not got.all("www-authenticate")
    # F3 ends at the proxy: nobody else hears of it.
    alice.to_proxy(replace_method(first, "ACK", got.tag("to")))
    line = credentials.answer(got, "INVITE", uri, alice.user, PASSWORD)
    return alice.to_proxy(invite_text(alice, uri, 2, [*headers, line], got.get("call-id"))), got


def test_3_2_session_establishment_with_credentials(guard):
    alice, bob = known(guard), known(guard, "b1")
    assert registers(bob, challenged(bob)).status == 200
    invited_with_credentials(alice, bob.aor)
    got = bob.expect("INVITE")
    alice.expect(100)
    # RFC 3261 22.3: what was for this proxy is used up.
    assert not got.all("proxy-authorization") and got.get("cseq") == "2 INVITE" and got.get("max-forwards") == "69"
    bob.answer(got, 180, "Ringing")
    alice.expect(180)
    bob.answer(got, 200)
    ok = alice.expect(200)
    alice.to_proxy(from_domain(alice, alice.in_dialog(ok, "ACK", cseq=2)))
    assert bob.expect("ACK").get("cseq") == "2 ACK"
    bob.to_proxy(bob.in_dialog_back(got, "BYE"))
    alice.answer(alice.expect("BYE"), 200)
    bob.expect(200)
    quiet(alice, bob)


def test_3_3_multiple_proxy_authentication(guard):
    """
    siplane is Proxy 1 here, next to Alice. Proxy 2 wants to know her, too: its 407 comes through as it is, and the credentials for it go
    on, while those for Proxy 1 end here.
    """
    alice, second = known(guard), guard.phone("b1")
    uri, next_hop = f"sip:bob@{DOMAIN}", f"X-Next: {second.host}:{second.port}"
    text, own = invited_with_credentials(alice, uri, [next_hop])
    got = second.expect("INVITE")
    alice.expect(100)
    assert not got.all("proxy-authorization")
    theirs = 'Digest realm="biloxi.example.com", qop="auth", nonce="f84f1cec41e6cbe5aea9c8e88d359", opaque="5ccc", algorithm=MD5'
    second.answer(got, 407, "Proxy Authentication Required", contact=False, headers=[f"Proxy-Authenticate: {theirs}"])
    same_transaction(second.expect("ACK"), got, "ACK")
    said = alice.expect(407)
    assert said.all("proxy-authenticate") == [theirs]
    alice.to_proxy(replace_method(text, "ACK", said.tag("to")))
    # F10: both, the one of Proxy 1 with the next count.
    lines = [credentials.answer(said, "INVITE", uri, alice.user, "another"), credentials.answer(own, "INVITE", uri, alice.user, PASSWORD, nc=2)]
    alice.to_proxy(invite_text(alice, uri, 3, [next_hop, *lines], own.get("call-id")))
    got = second.expect("INVITE")
    alice.expect(100)
    assert [f"Proxy-Authorization: {v}" for v in got.all("proxy-authorization")] == lines[:1]
    a1, a2 = (hashlib.md5(t.encode()).hexdigest() for t in (f"{alice.user}:biloxi.example.com:another", f"INVITE:{uri}"))
    cnonce = lines[0].split('cnonce="')[1].split('"')[0]
    proof = hashlib.md5(f"{a1}:f84f1cec41e6cbe5aea9c8e88d359:00000001:{cnonce}:auth:{a2}".encode()).hexdigest()
    assert f'response="{proof}"' in got.get("proxy-authorization")
    second.answer(got, 200)
    ok = alice.expect(200)
    alice.to_proxy(from_domain(alice, alice.in_dialog(ok, "ACK", cseq=3)))
    second.expect("ACK")
    second.to_proxy(second.in_dialog_back(got, "BYE"))
    alice.answer(alice.expect("BYE"), 200)
    second.expect(200)
    quiet(alice, second)
