# SPDX-License-Identifier: BSD-3-Clause
"""The stateless proxy on the wire: RFC 3261 16.11 and the keyed tokens, message by message."""
import os
import re
import signal
import time

import pytest

from call import ALICE, EDGE, Call, replace_method
from ua import UA

pytestmark = pytest.mark.sanitize


def test_request_gets_via_received_and_max_forwards(labs, driver):
    c = Call(labs.make(driver))
    _, backend, got = c.invite()
    assert got.source[0] == "10.20.0.1" and got.source[1] == 5060
    assert len(got.vias()) == 2
    assert "10.20.0.1" in got.vias()[0] and got.branch().startswith("z9hG4bK")
    assert f";rport={c.caller.port}" in got.vias()[1] and "received=10.10.0.2" in got.vias()[1]
    assert got.get("max-forwards") == "69"
    assert len(got.record_routes()) == 2, "two sides, two Record-Routes"


def test_response_loses_our_via_and_goes_to_the_source_port(labs):
    c = Call(labs.make())
    _, backend, got = c.invite()
    backend.answer(got, 180, "Ringing")
    ringing = c.caller.receive()
    assert ringing.status == 180 and len(ringing.vias()) == 1
    assert ringing.source == EDGE


def test_retransmission_cancel_and_failure_ack_follow_the_invite(labs, driver):
    c = Call(labs.make(driver))
    for _ in range(12):
        text, backend, got = c.invite()
        c.caller.send(text, EDGE)
        again, repeated = c.at_a_backend()
        assert again is backend and repeated.branch() == got.branch()
        other_port = UA(c.lab, "caller", "10.10.0.2")
        other_port.send(replace_method(text, "CANCEL"), EDGE)
        at, cancel = c.at_a_backend()
        assert at is backend and cancel.method == "CANCEL" and cancel.branch() == got.branch()
        backend.answer(got, 487, "Request Terminated")
        failure = c.caller.receive()
        assert failure.status == 487
        c.caller.send(replace_method(text, "ACK", failure.tag("to")), EDGE)
        at, ack = c.at_a_backend()
        assert at is backend and ack.method == "ACK" and ack.branch() == got.branch()


def test_cancel_reaches_the_same_backend_after_kill_and_restart(labs):
    lab = labs.make("af_packet")
    c = Call(lab)
    text, backend, got = c.invite()
    lab.stop_siplane(signal.SIGKILL)
    lab.start_siplane(lab.config)
    c.caller.send(replace_method(text, "CANCEL"), EDGE)
    at, cancel = c.at_a_backend()
    assert at is backend and cancel.branch() == got.branch()


def test_call_set_up_before_kill_ends_with_a_proxied_bye(labs):
    lab = labs.make("af_packet")
    c = Call(lab)
    backend, invite, ok = c.established()
    lab.stop_siplane(signal.SIGKILL)
    lab.start_siplane(lab.config)
    c.caller.send(c.in_dialog(ok, "BYE"), EDGE)
    bye = backend.receive()
    assert bye.method == "BYE" and len(bye.vias()) == 2
    backend.answer(bye, 200)
    assert c.caller.receive().status == 200


def test_in_dialog_requests_pass_both_ways(labs, driver):
    c = Call(labs.make(driver))
    backend, invite, ok = c.established()
    for method, cseq in (("INVITE", 2), ("INFO", 3), ("REFER", 4), ("NOTIFY", 5)):
        c.caller.send(c.in_dialog(ok, method, cseq), EDGE)
        got = backend.receive()
        assert got.method == method and got.get("route") is None
        backend.answer(got, 200)
        assert c.caller.receive().status == 200
    backend.send(c.from_callee(backend, invite, "BYE"), ("10.20.0.1", 5060))
    bye = c.caller.receive()
    assert bye.method == "BYE" and bye.source == EDGE
    c.caller.answer(bye, 200)
    assert backend.receive().status == 200


def test_out_of_dialog_extensions_are_routed(labs):
    c = Call(labs.make())
    for method in ("MESSAGE", "SUBSCRIBE", "PUBLISH", "REFER", "NOTIFY", "WHATEVER"):
        c.caller.send(c.caller.request(method, ALICE, body="hello"), EDGE)
        backend, got = c.at_a_backend()
        assert got.method == method and got.body == b"hello"
        backend.answer(got, 202, "Accepted")
        assert c.caller.receive().status == 202


def test_ack_to_our_own_reply_reaches_no_backend(labs):
    c = Call(labs.make())
    text = c.caller.request("INVITE", ALICE).replace(b"Max-Forwards: 70", b"Max-Forwards: 0")
    c.caller.send(text, EDGE)
    reply = c.caller.receive()
    assert reply.status == 483 and reply.tag("to")
    c.caller.send(replace_method(text, "ACK", reply.tag("to")), EDGE)
    assert c.nothing_at_backends()
    assert c.lab.settle()["drop/ack_own_reply"] == 1


def test_replayed_and_altered_responses_go_nowhere(labs):
    c = Call(labs.make())
    _, backend, got = c.invite()
    good = backend.reply(got, 180, "Ringing")
    victim = UA(c.lab, "caller", "10.10.0.2")
    altered = [
        re.sub(rb"branch=z9hG4bK[a-z2-7]", lambda m: b"branch=z9hG4bK" + (b"a" if m.group()[-1:] != b"a" else b"b"), good, count=1),
        good.replace(f"rport={c.caller.port}".encode(), f"rport={victim.port}".encode()),
        good.replace(b"received=10.10.0.2", b"received=10.20.0.12"),
        re.sub(rb"Call-ID: ", b"Call-ID: x", good),
        good.replace(b"1 INVITE", b"2 INVITE"),
        re.sub(rb";sp=[a-z2-7]+", b"", good, count=1),
        good.replace(b"10.20.0.1:5060", b"10.20.0.9:5060", 1),
    ]
    for text in altered:
        assert text != good
        backend.send(text, ("10.20.0.1", 5060))
    assert c.caller.silent() and victim.silent(0.2) and c.nothing_at_backends(0.1)
    backend.send(good, ("10.20.0.1", 5060))
    assert c.caller.receive().status == 180
    stats = c.lab.settle()
    assert stats["drop/via_mac"] + stats["drop/via_not_ours"] == len(altered)


def test_forged_route_relays_nothing(labs):
    c = Call(labs.make())
    outside = c.backend[1]
    forged = [["<sip:10.10.0.1;lr>", f"<sip:{outside.address};lr>"],
              ["<sip:10.10.0.1;lr;sp=abcdefghijklm>", f"<sip:{outside.address};lr>"],
              ["<sip:10.10.0.1;lr>", "<sip:10.20.0.1;lr>", f"<sip:{outside.address};lr>"]]
    for routes in forged:
        text = c.caller.request("BYE", "sip:victim@10.20.0.12:5060", routes=routes, to_tag="guess")
        c.caller.send(text, EDGE)
        assert c.caller.receive().status in (403, 404)
    assert c.nothing_at_backends()


def test_record_route_token_of_another_dialog_is_worth_nothing(labs):
    c = Call(labs.make())
    backend, invite, ok = c.established()
    text = c.in_dialog(ok, "BYE").replace(ok.get("call-id").encode(), b"other-call-id")
    c.caller.send(text, EDGE)
    assert c.caller.receive().status in (403, 404)
    assert c.nothing_at_backends(0.3)


def test_options_to_ourselves_and_keepalives_are_answered(labs):
    c = Call(labs.make())
    c.caller.send(c.caller.request("OPTIONS", "sip:10.10.0.1"), EDGE)
    assert c.caller.receive().status == 200
    c.caller.send(b"\r\n\r\n", EDGE)
    assert c.caller.receive().data == b"\r\n"
    stun = b"\x00\x01\x00\x00\x21\x12\xa4\x42" + b"transaction!"
    c.caller.send(stun, EDGE)
    answer = c.caller.receive().data
    assert answer[:2] == b"\x01\x01" and answer[8:20] == b"transaction!"
    port = int.from_bytes(answer[26:28], "big") ^ 0x2112
    assert port == c.caller.port
    assert c.nothing_at_backends(0.2)


def test_malformed_requests_get_the_reason(labs):
    c = Call(labs.make())
    good = c.caller.request("INVITE", ALICE, body="x" * 20)
    cases = [
        (good.replace(b"CSeq: 1 INVITE", b"CSeq: 4294967296 INVITE"), 400),
        (good.replace(b"CSeq: 1 INVITE", b"CSeq: 1 BYE"), 400),
        (good.replace(b"Content-Length: 20", b"Content-Length: 9999"), 400),
        (good.replace(b"Content-Length: 20", b"Content-Length: -1"), 400),
        (good.replace(b"SIP/2.0\r\n", b"SIP/7.0\r\n", 1), 505),
        (good.replace(b"INVITE sip:alice@10.10.0.1 ", b"INVITE nobodyKnows:alice ", 1), 416),
        (good.replace(b"Max-Forwards: 70", b"Max-Forwards: many"), 400),
        (good.replace(b"To: <", b'To: "unbalanced <', 1), 400),
        (good.replace(b"Max-Forwards: 70\r\n", b"Max-Forwards: 70\r\nProxy-Require: nothing-we-know\r\n"), 420),
    ]
    for text, status in cases:
        assert text != good
        c.caller.send(text, EDGE)
        reply = c.caller.receive()
        assert reply.status == status, (status, text)
        assert len(reply.data) <= 1.5 * len(text)
    assert c.nothing_at_backends(0.2)


def test_garbage_is_dropped_and_counted(labs):
    c = Call(labs.make())
    junk = [b"\x00", b"\x16\x03\x01\x02\x00\x01", b"GET / HTTP/1.1\r\nHost: x\r\n\r\n", os.urandom(900), b"x" * 1400,
            b"SIP/2.0 200 OK\r\n\r\n", b"INVITE", b""]
    for text in junk:
        c.caller.send(text, EDGE)
    assert c.caller.silent() and c.nothing_at_backends(0.1)
    stats = c.lab.settle()
    assert stats["dropped"] >= len(junk)


def test_down_destination_is_skipped(labs):
    lab = labs.make(list_text="1 sip:10.20.0.11:5060\n1 sip:10.20.0.12:5060 1\n")
    c = Call(lab)
    for _ in range(10):
        _, backend, got = c.invite()
        assert backend is c.backend[0]


def test_no_destination_is_503_without_retry_after(labs):
    c = Call(labs.make(list_text="1 sip:10.20.0.11:5060 1\n1 sip:10.20.0.12:5060 1\n"))
    c.caller.send(c.caller.request("INVITE", ALICE), EDGE)
    reply = c.caller.receive()
    assert reply.status == 503 and reply.get("retry-after") is None


def test_spiral_through_two_domains_passes_and_a_loop_is_482(labs):
    script = """
request_route {
	if ($rU == "loop") { forward(); exit; }
	if ($rd == "first.example") { $rd = "second.example"; $du = "sip:10.10.0.1:5060"; forward(); exit; }
	if ($rd == "second.example") { ds_select_dst("1", "0"); forward(); exit; }
	sl_send_reply("404", "Not Found");
}
"""
    c = Call(labs.make(script=script, head='alias = "first.example"\nalias = "second.example"\n'))
    c.caller.send(c.caller.request("INVITE", "sip:bob@first.example"), EDGE)
    backend, got = c.at_a_backend()
    assert got.uri == "sip:bob@second.example" and len(got.vias()) == 3
    backend.answer(got, 200)
    assert c.caller.receive().status == 200
    c.caller.send(c.caller.request("INVITE", "sip:loop@10.10.0.1"), EDGE)
    assert c.caller.receive().status == 482


def test_reload_keeps_calls_and_a_bad_file_changes_nothing(labs):
    lab = labs.make()
    c = Call(lab)
    text, backend, got = c.invite()
    other = 12 if backend is c.backend[0] else 11
    (lab.dir / "dispatcher.list").write_text(f"1 sip:10.20.0.{other}:5060\n")
    lab.siplane.send_signal(signal.SIGHUP)
    for _ in range(50):
        if "is current" in lab.log():
            break
        time.sleep(0.05)
    assert "is current" in lab.log()
    c.caller.send(replace_method(text, "CANCEL"), EDGE)
    at, cancel = c.at_a_backend()
    assert at is backend and cancel.branch() == got.branch(), "the transaction stays where it began"
    good = lab.config.read_text()
    lab.config.write_text(good + "\nrequest_route { nonsense( }\n")
    lab.siplane.send_signal(signal.SIGHUP)
    time.sleep(0.5)
    assert "error" in lab.log() and "stays" in lab.log()
    c.caller.send(c.caller.request("MESSAGE", ALICE), EDGE)
    c.at_a_backend()
    lab.config.write_text(good)


def test_sigterm_ends_within_two_seconds(labs):
    lab = labs.make()
    Call(lab).invite()
    status, seconds = lab.stop_siplane()
    assert status == 0 and seconds < 5
    lab.start = None


def test_stateful_statement_answers_500_with_a_reason(labs):
    lab = labs.make(script='loadmodule "nathelper.so"\nrequest_route { fix_nated_contact(); }\n')
    c = Call(lab)
    c.caller.send(c.caller.request("INVITE", ALICE), EDGE)
    reply = c.caller.receive()
    assert reply.status == 500 and "State" in reply.start
    assert lab.settle()["state_refused"] == 1
