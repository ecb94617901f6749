# SPDX-License-Identifier: BSD-3-Clause
"""xlog and the levels of messages, replies' rates and sizes, and what telemetry says."""
import signal
import socket
import time

from call import ALICE, EDGE, Call
from conftest import MODULES
from test_reload import reload

LOGGING = """
request_route {
	xlog("L_ERR", "error from $si call $ci\\n");
	xlog("L_NOTICE", "notice of $rm\\n");
	xlog("L_INFO", "info of $rm\\n");
	xlog("L_DBG", "debug of $rm\\n");
	sl_send_reply("404", "Not Found");
}
"""


def ask(c, user="x", **kw):
    c.caller.send(c.caller.request("MESSAGE", f"sip:{user}@10.10.0.1", **kw), EDGE)
    return c.caller.receive()


def said(lab, word, seconds=1.0):
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        if word in lab.log():
            return True
        time.sleep(0.02)
    return False


def test_script_logs_come_out_by_their_level(labs):
    lab = labs.make(script=LOGGING, modules=MODULES + 'loadmodule "xlog.so"\n')
    c = Call(lab)
    ask(c, call_id="first-call")
    assert said(lab, "error from 10.10.0.2 call first-call") and said(lab, "notice of MESSAGE")
    assert "info of" not in lab.log() and "debug of" not in lab.log()
    first = lab.config.read_text()
    reload(lab, "debug = 5\n" + first)
    ask(c)
    assert said(lab, "info of MESSAGE") and said(lab, "debug of MESSAGE")
    reload(lab, "debug = 5\n" + first)
    lab.config.write_text("debug = 1\n" + first)
    lab.siplane.send_signal(signal.SIGHUP)
    time.sleep(0.4)
    mark = len(lab.log())
    ask(c, call_id="quiet-call")
    assert said(lab, "call quiet-call")
    time.sleep(0.1)
    assert "notice of" not in lab.log()[mark:]


def test_script_logs_are_limited_and_what_is_left_out_is_said(labs):
    lab = labs.make(modules=MODULES + 'loadmodule "xlog.so"\n', script='request_route { xlog("L_NOTICE", "line of $ci\\n"); sl_send_reply("404", "Not Found"); }\n', head="xlog_rate = 20\n")
    c = Call(lab)
    for _ in range(300):
        ask(c)
    time.sleep(1.5)
    ask(c, call_id="later")
    assert said(lab, "line of later")
    lines = [line for line in lab.log().splitlines() if "line of call" in line]
    assert 20 <= len(lines) <= 80, len(lines)
    assert said(lab, "lines not written, being over the rate", 6)


def test_error_replies_to_one_source_are_limited(labs):
    lab = labs.make(head="reply_rate = 10\n")
    c = Call(lab)
    bad = c.caller.request("MESSAGE", ALICE).replace(b"CSeq: 1 MESSAGE", b"CSeq: x MESSAGE")
    for _ in range(200):
        c.caller.send(bad, EDGE)
    got = 0
    while not c.caller.silent(0.3):
        got += 1
    assert 10 <= got <= 40
    stats = lab.settle()
    assert stats["drop/reply_rate"] + got == 200


def test_no_reply_exceeds_one_and_a_half_times_its_request(labs):
    long = "x" * 600
    script = f"""
request_route {{
	append_to_reply("X-Long: {long}\\r\\n");
	if ($rU == "challenge") {{ sl_send_reply("401", "Unauthorized"); exit; }}
	if ($rU == "proxy") {{ sl_send_reply("407", "Unauthorized"); exit; }}
	sl_send_reply("404", "Not Found");
}}
"""
    lab = labs.make(script=script, head="reply_rate = 10\n")
    c = Call(lab)
    text = c.caller.request("MESSAGE", "sip:x@10.10.0.1")
    c.caller.send(text, EDGE)
    reply = c.caller.receive()
    assert reply.status == 404 and len(reply.data) <= 1.5 * len(text) and reply.get("x-long") is None
    # A challenge may be longer: as often as reply_rate permits.
    for user, status in (("challenge", 401), ("proxy", 407)):
        time.sleep(2.5)
        text = c.caller.request("MESSAGE", f"sip:{user}@10.10.0.1")
        for _ in range(100):
            c.caller.send(text, EDGE)
        got = []
        try:
            while True:
                got.append(c.caller.receive(0.4))
        except socket.timeout:
            pass
        assert got[0].status == status and len(got[0].data) > 1.5 * len(text)
        assert 10 <= len(got) <= 40, len(got)


def test_telemetry_is_whole(labs):
    lab = labs.make()
    c = Call(lab)
    for _ in range(3):
        c.established()
    stats = lab.settle()
    for name in ("in", "done", "dropped", "held", "exact", "waiting", "frames_in", "forwarded", "answered", "kernel", "frames_out",
                 "sip_requests", "sip_responses", "bursts", "icmp_unreachable", "icmp_too_big", "dispatch_selected", "dispatch_none",
                 "dispatch_pin_full", "xlog_lost", "uptime_s", "generation"):
        assert name in stats, name
    assert stats["forwarded"] == 9 and stats["sip_requests"] == 6 and stats["sip_responses"] == 3
    assert stats["dispatch_selected"] == 3
    ports = lab.telemetry("/siplane/ports")
    assert set(ports) == {"edge", "core"}
    assert {"driver", "queues", "mtu", "link_up", "mac", "rx_missed", "rx_errors", "rx_nombuf", "tx_errors"} <= set(ports["edge"])
    rows = lab.telemetry("/siplane/dispatcher").values()
    assert sum(r["selected"] for r in rows) == 3
    assert all({"set", "destination", "state", "health", "weight", "priority", "selected", "unreachable"} <= set(r) for r in rows)
    lab.siplane.send_signal(signal.SIGUSR1)
    assert said(lab, "frames in ") and said(lab, "(exact)") and said(lab, "forwarded")
