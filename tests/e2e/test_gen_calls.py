# SPDX-License-Identifier: BSD-3-Clause
"""siplane-gen as a user agent in calls that do not go by the book, against sipp and Kamailio: both have to be content."""
import shutil
import subprocess
import time

import pytest

from lab.lab import listens
from test_gen import CONF, GEN, ONE, PATIENT, TWO, Nets, end, good

CALLS = 40
VIA = "Via: SIP/2.0/UDP {local_ip}:{local_port};branch={branch};rport\nMax-Forwards: 70\n"
ENDS = ("From: <sip:c{user}@{domain}>;tag={tag}\nTo: <sip:u{user}@{domain}>{to_tag}\nCall-ID: {call_id}\nCSeq: {cseq} %s\n"
        "Contact: <sip:c{user}@{local_ip}:{local_port}>\n")
OFFER = "Content-Type: application/sdp\nContent-Length: {length}\n\nv=0\no=- 1 1 IN IP4 192.0.2.1\ns=-\nt=0 0\n"


def message(name, method, uri="{contact}", more="", body="Content-Length: 0\n"):
    routes = "{routes}\n" if uri == "{contact}" else ""
    return f"message {name} {{\n{method} {uri} SIP/2.0\n{VIA}{routes}{more}{ENDS % method}{body}}}\n"


def invite(name="invite", more="", uri="sip:u{user}@{domain}"):
    return message(name, "INVITE", uri, more, OFFER).replace("{to_tag}", "").replace("{routes}\n", "")


DIALOG = message("ack", "ACK") + message("bye", "BYE")
AUTH = 'set auth_user = "alice"; set auth_password = "secret";\n'

# ---- sipp's side ----

RECV = '<recv request="{}" {}></recv>'
REPLY = """<send {retrans}><![CDATA[
SIP/2.0 {status}
[last_Via:]
[last_From:]
[last_To:]{tag}
[last_Call-ID:]
[last_CSeq:]
[last_Record-Route:]
{more}Contact: <sip:uas@[local_ip]:[local_port]>
Content-Length: 0

]]></send>"""
# The requests of the callee: its From is the INVITE's To.
REQUEST = """<send retrans="500"><![CDATA[
{method} sip:caller@[remote_ip]:[remote_port] SIP/2.0
Via: SIP/2.0/UDP [local_ip]:[local_port];branch=[branch]
Max-Forwards: 70
From: [$to];tag=[call_number]
To: [$from]
Call-ID: [call_id]
CSeq: {cseq} {method}
Contact: <sip:moved@[local_ip]:[local_port]>
Content-Length: 0

]]></send>"""
OK = '<recv response="200" {}></recv>'
KEEP = ('<action><ereg regexp="&lt;.*" search_in="hdr" header="From:" assign_to="from"/>'
        '<ereg regexp="&lt;.*" search_in="hdr" header="To:" assign_to="to"/></action>')
FIRST = '<recv request="INVITE">' + KEEP + '</recv>'
# Every variable has to be used somewhere.
USED = '<nop><action><log message="[$from] [$to]"/></action></nop>'


def reply(status, more="", retrans="", tag=";tag=[call_number]"):
    return REPLY.format(status=status, more=more, retrans=f'retrans="{retrans}"' if retrans else "", tag=tag)


def request(method, cseq):
    return REQUEST.format(method=method, cseq=cseq)


def sipp(nets, *steps, calls=CALLS):
    """A sipp that plays the callee; ends after so many calls, with 0 if all were as its scenario has it."""
    path = nets.dir / "uas.xml"
    path.write_text('<?xml version="1.0" encoding="UTF-8" ?>\n<scenario name="uas">\n' + "\n".join(steps) + "\n</scenario>\n")
    p = nets.popen(0, "sipp", "-sf", path, "-i", TWO, "-p", "5060", "-nostdin", "-m", str(calls), "-timeout", "40s", "-timeout_error",
                   "-trace_err", "-error_file", nets.dir / "sipp.err", stdout=subprocess.DEVNULL)
    listens(p, 5060)
    return p


def content(nets, p):
    status = p.wait(60)
    err = nets.dir / "sipp.err"
    assert status == 0, (p.stderr.read(), err.read_text()[:3000] if err.exists() else "")


def play(nets, text, *more, calls=CALLS):
    scenario = nets.dir / "calls.gen"
    scenario.write_text(text)
    return nets.gen("--address", ONE, "--target", TWO, "-r", "40", "-n", calls, *PATIENT, *more, scenario)


@pytest.fixture
def nets(tmp_path):
    made = Nets(tmp_path)
    yield made
    made.close()


def test_the_callee_hangs_up(nets):
    p = sipp(nets, FIRST, reply("180 Ringing"), reply("200 OK", retrans="500"), RECV.format("ACK", ""), '<pause milliseconds="100"/>',
             request("BYE", 7), OK.format(""), USED)
    r = good(play(nets, invite() + DIALOG + "call c { send invite; expect 200; send ack; expect BYE within 10s; }"), CALLS)
    content(nets, p)
    assert r["received_requests"] == CALLS and r["sent_by"]["responses"] == CALLS and "BYE" not in r["sent_by"]


def test_a_call_that_the_callee_ends_has_an_outcome_of_its_own(nets):
    p = sipp(nets, FIRST, reply("200 OK", retrans="500"), RECV.format("ACK", ""), '<pause milliseconds="100"/>', request("BYE", 7),
             OK.format(""), USED)
    status, r, err = play(nets, invite() + DIALOG + "call c { send invite; expect 200; send ack; wait 5s; send bye; expect 200; }")
    content(nets, p)
    assert status == 1 and r["failed_by"]["peer"] == r["failed"] == CALLS, err
    assert "BYE" not in r["sent_by"] and r["duration_s"] < 5


@pytest.mark.sanitize
def test_the_callee_asks_in_the_dialog(nets):
    p = sipp(nets, FIRST, reply("200 OK", retrans="500"), RECV.format("ACK", ""), request("OPTIONS", 7), OK.format(""),
             request("UPDATE", 8), OK.format(""), request("INVITE", 9),
             '<recv response="200"><action><ereg regexp="v=0" search_in="body" check_it="true" assign_to="sdp"/></action></recv>',
             request("ACK", 9).replace(' retrans="500"', ""), '<recv request="BYE"></recv>', reply("200 OK", tag=""),
             '<nop><action><log message="[$from] [$to] [$sdp]"/></action></nop>')
    r = good(play(nets, invite() + DIALOG + "call c { send invite; expect 200; send ack; wait 2s; send bye; expect 200; }"), CALLS)
    content(nets, p)
    assert r["received_requests"] == 4 * CALLS and r["sent_by"]["responses"] == 3 * CALLS


@pytest.mark.sanitize
def test_picked_up_as_it_is_cancelled(nets):
    """sipp answers the CANCEL, and the INVITE with 200: it has to get ACK and BYE."""
    p = sipp(nets, '<recv request="INVITE"><action><ereg regexp=".*" search_in="hdr" header="Via:" assign_to="via"/>'
             '<ereg regexp=".*" search_in="hdr" header="From:" assign_to="from"/>'
             '<ereg regexp=".*" search_in="hdr" header="To:" assign_to="to"/></action></recv>',
             reply("180 Ringing"), '<recv request="CANCEL"></recv>', reply("200 OK"),
             reply("200 OK", retrans="500").replace("[last_Via:]", "Via:[$via]").replace("[last_CSeq:]", "CSeq: 1 INVITE"),
             RECV.format("ACK", ""), RECV.format("BYE", ""), reply("200 OK", tag=""), USED)
    cancel = message("cancel", "CANCEL", "sip:u{user}@{domain}").replace("{to_tag}", "")
    status, r, err = play(nets, invite() + DIALOG + cancel + "call c { send invite; expect 180; send cancel; expect 487 within 5s; }")
    content(nets, p)
    assert status == 1 and r["failed_status"] == {"200": CALLS}, err
    assert r["sent_by"]["ACK"] >= CALLS and r["sent_by"]["BYE"] >= CALLS and r["uncleared"] == 0


@pytest.mark.sanitize
def test_reliable_provisional_answers(nets):
    p = sipp(nets, '<recv request="INVITE"><action><ereg regexp=".*" search_in="hdr" header="Via:" assign_to="via"/></action></recv>',
             reply("183 Session Progress", "Require: 100rel\nRSeq: 71\n", "500"),
             '<recv request="PRACK"><action><ereg regexp="71 1 INVITE" search_in="hdr" header="RAck:" check_it="true" assign_to="rack"/>'
             '</action></recv>', reply("200 OK", tag=""),
             reply("200 OK", retrans="500", tag="").replace("[last_Via:]", "Via:[$via]").replace("[last_CSeq:]", "CSeq: 1 INVITE"),
             RECV.format("ACK", ""), RECV.format("BYE", ""), reply("200 OK", tag=""),
             '<nop><action><log message="[$rack]"/></action></nop>')
    r = good(play(nets, invite(more="Supported: 100rel\n") + DIALOG +
                  "call c { send invite; expect 180-183 optional; expect 200; send ack; send bye; expect 200; }"), CALLS)
    content(nets, p)
    assert r["sent_by"]["PRACK"] >= CALLS


def test_a_redirection(nets):
    p = sipp(nets, RECV.format("INVITE", ""), reply("302 Moved").replace("sip:uas@", "sip:there@"), RECV.format("ACK", ""),
             '<recv request="INVITE"><action><ereg regexp="INVITE sip:there@" search_in="msg" check_it="true" assign_to="uri"/></action></recv>',
             reply("200 OK", retrans="500"), RECV.format("ACK", ""), RECV.format("BYE", ""), reply("200 OK", tag=""),
             '<nop><action><log message="[$uri]"/></action></nop>')
    r = good(play(nets, invite() + invite("there", uri="{contact}") + DIALOG +
                  "call c { send invite; expect 3xx; send there; expect 200; send ack; send bye; expect 200; }"), CALLS)
    content(nets, p)
    assert r["sent_by"] == {"INVITE": 2 * CALLS, "ACK": 2 * CALLS, "BYE": CALLS}


# ---- Kamailio ----

KAMAILIO = """#!KAMAILIO
debug = 1
log_stderror = yes
children = 2
disable_tcp = yes
auto_aliases = no
dns = no
rev_dns = no
loadmodule "tm.so"
loadmodule "sl.so"
loadmodule "rr.so"
loadmodule "pv.so"
loadmodule "siputils.so"
loadmodule "textops.so"
loadmodule "corex.so"
loadmodule "auth.so"
modparam("auth", "nonce_expire", 1)
modparam("auth", "qop", "auth")
modparam("auth", "nc_array_size", 65536)
modparam("auth", "nonce_count", 1)
request_route {
	if (is_method("CANCEL")) {
		if (t_check_trans()) t_relay();
		exit;
	}
	if (has_totag()) {
		if (loose_route() || is_method("ACK")) t_relay();
		else sl_send_reply("404", "Not Here");
		exit;
	}
	t_check_trans();
	if (is_method("REGISTER")) {
		if (pv_www_authenticate("$td", "secret", "0")) sl_send_reply("200", "OK");
		else if ($rc == -4) www_challenge("$td", "17"); # qop, stale
		else www_challenge("$td", "1");
		exit;
	}
	if (AUTHENTICATE && is_method("INVITE") && !pv_proxy_authenticate("$fd", "secret", "0")) {
		if ($rc == -4) proxy_challenge("$fd", "17");
		else proxy_challenge("$fd", "1");
		exit;
	}
	record_route();
	$ru = "sip:callee@FIRST";
	FORK
	if (!t_relay()) sl_reply_error();
}
"""
needs_kamailio = pytest.mark.skipif(shutil.which("kamailio") is None, reason="kamailio is missing: tools/install-packages versus")


def kamailio(nets, authenticate, first, fork=None):
    config = nets.dir / "kamailio.cfg"
    second = f'append_branch("sip:callee@{fork}");' if fork else ""
    config.write_text(KAMAILIO.replace("AUTHENTICATE", "1" if authenticate else "0").replace("FIRST", first).replace("FORK", second))
    p = nets.popen(0, "kamailio", "-DD", "-E", "-f", config, "-l", f"udp:{TWO}:5060", "-Y", nets.dir, "-m", "64",
                   stdout=subprocess.DEVNULL, stderr=open(nets.dir / "kamailio.log", "w"))
    listens(p, 5060)
    assert p.poll() is None, (nets.dir / "kamailio.log").read_text()[-3000:]
    return p


@needs_kamailio
def test_a_proxy_and_the_callee_want_a_digest(nets):
    """Kamailio asks with 407, counts uses of its nonce, and the reflector behind it asks with 401."""
    kamailio(nets, True, f"{ONE}:5090")
    other = nets.reflector("--address", ONE, "--port", "5090", "--no-ringing", "--challenge", "SHA-256")
    r = good(play(nets, AUTH + invite(more="{authorization}\n") + DIALOG +
                  "call c { send invite; expect 200; send ack; send bye; expect 200; }"), CALLS)
    assert r["received_by"]["407"] == r["received_by"]["401"] == CALLS and r["sent_by"]["INVITE"] == 3 * CALLS
    assert end(other)["BYE"] == CALLS


@needs_kamailio
def test_a_nonce_is_used_again_and_grows_old(nets):
    kamailio(nets, False, f"{ONE}:5090")
    register = message("register", "REGISTER", "sip:{domain}", "{authorization}\n")
    r = good(play(nets, AUTH + register + "call c { repeat 3 { send register; expect 200; wait 100ms; } wait 2500ms; send register; "
                  "expect 200; }"), CALLS)
    # One challenge at first, and one when the nonce is too old: `stale`.
    assert r["received_by"] == {"200": 4 * CALLS, "401": 2 * CALLS}, r["received_by"]
    status, r, _ = play(nets, AUTH.replace("secret", "wrong") + register + "call c { send register; expect 200; }")
    assert status == 1 and r["failed_status"] == {"401": CALLS} and r["sent"] == 2 * CALLS


@needs_kamailio
def test_a_proxy_forks(nets):
    """Both reflectors pick up at once: one is the call, the other is acknowledged and ended."""
    kamailio(nets, False, f"{ONE}:5090", f"{ONE}:5091")
    # Kamailio drops a 180 that comes behind the other one's 200: none is sent.
    others = [nets.reflector("--address", ONE, "--no-ringing", "--port", str(port)) for port in (5090, 5091)]
    status, r, err = nets.gen("--address", ONE, "--target", TWO, "-r", "40", "-n", CALLS, *PATIENT, "--set", "hold=300ms", CONF / "invite.gen")
    assert r["ok"] == CALLS and r["forked"] > 0 and r["uncleared"] == 0, (r, err)
    assert status == 0, r
    told = [end(other) for other in others]
    for t in told:
        assert t["INVITE"] == CALLS
    assert sum(t.get("BYE", 0) for t in told) == CALLS + r["forked"]


def test_what_nobody_answers_is_said(nets):
    """The reflector rings for ever and is killed then: the CANCEL goes unheard."""
    other = nets.reflector("--address", TWO, "--reflect-status", "180")
    scenario = nets.dir / "rings.gen"
    scenario.write_text(invite() + "call c { send invite; expect 180; expect 200 within 1s; }")
    p = nets.popen(0, GEN, "--json", "--address", ONE, "--target", TWO, "-r", "100", "-n", "10", "--t1", "20ms", *PATIENT, scenario)
    time.sleep(0.8)
    other.kill()
    out, err = p.communicate(timeout=30)
    assert '"uncleared":10' in out and '"timeout":10' in out, (out, err)
