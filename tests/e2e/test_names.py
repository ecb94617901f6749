# SPDX-License-Identifier: BSD-3-Clause
"""Names in Request-URI, Route and $du: asked off the path while the message waits (RFC 3263, RFC 3261 8.1.2)."""
import signal
import socket
import struct
import threading
import time

import pytest

from call import EDGE, Call, replace_method
from test_reload import reload
from ua import UA, inside

A, AAAA, SRV = 1, 28, 33
FORWARD = """
request_route {
	if ($rU == "du") $du = "sip:" + $rd + ":5060";
	else if ($rU == "answer") { forward(); sl_send_reply("480", "No Way"); exit; }
	record_route();
	forward();
}
"""


def encode(name):
    return b"".join(bytes([len(p)]) + p.encode() for p in name.split(".") if p) + b"\0"


class Dns:
    """A name server in the appliance's namespace. `zone`: (name, type) to a list of (ttl, rdata)."""

    def __init__(self, lab, zone, port=5353):
        self.zone, self.asked, self.delay, self.silent, self.failing = zone, [], 0, False, False
        self.silent_about = set()  # types
        with inside(lab.ns("dut")):
            self.sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.sock.bind(("127.0.0.1", port))
        self.thread = threading.Thread(target=self.serve, daemon=True)
        self.thread.start()

    def serve(self):
        while True:
            try:
                query, source = self.sock.recvfrom(2000)
            except OSError:
                return
            at, labels = 12, []
            while query[at]:
                labels.append(query[at + 1:at + 1 + query[at]].decode().lower())
                at += query[at] + 1
            kind = struct.unpack("!H", query[at + 1:at + 3])[0]
            name = ".".join(labels)
            self.asked.append((name, kind))
            if self.silent or kind in self.silent_about:
                continue
            time.sleep(self.delay)
            found = self.zone.get((name, kind), [])
            exists = any(n == name for n, _ in self.zone)
            code = 2 if self.failing else 0 if exists else 3
            out = query[:2] + struct.pack("!HHHHH", 0x8180 | code, 1, len(found) if code == 0 else 0, 0, 0) + query[12:at + 5]
            for ttl, data in found if code == 0 else []:
                out += b"\xc0\x0c" + struct.pack("!HHIH", kind, 1, ttl, len(data)) + data
            try:
                self.sock.sendto(out, source)
            except OSError:
                return

    def close(self):
        self.sock.close()


def a(*addresses, ttl=60):
    return [(ttl, socket.inet_aton(x)) for x in addresses]


def srv(*targets, ttl=60):
    return [(ttl, struct.pack("!HHH", priority, weight, port) + encode(host)) for priority, weight, port, host in targets]


ZONE = {
    ("b1.example", A): a("10.20.0.11"),
    ("b2.example", A): a("10.20.0.12"),
    ("two.example", A): a("10.20.0.12", "10.20.0.11"),
    ("six.example", AAAA): [(60, socket.inet_pton(socket.AF_INET6, "fd00:20::11"))],
    ("_sip._udp.service.example", SRV): srv((20, 0, 5060, "b2.example"), (10, 0, 5060, "b1.example")),
    ("loop.example", A): a("127.0.0.1"),
    ("group.example", A): a("224.0.0.5"),
}


@pytest.fixture
def named(labs):
    lab = labs.make(script=FORWARD, head='dns_servers = "127.0.0.1:5353"\n', start=False)
    dns = Dns(lab, dict(ZONE))
    lab.start_siplane(lab.config)
    yield Call(lab), dns
    dns.close()


def test_a_name_in_the_request_uri_is_asked_while_the_message_waits(named):
    c, dns = named
    dns.delay = 0.4
    c.caller.send(c.caller.request("INVITE", "sip:x@b1.example:5060"), EDGE)
    time.sleep(0.15)
    stats = c.lab.stats()
    assert stats["held"] == 1 and stats["waiting"] == 1
    # Others pass meanwhile.
    c.caller.send(c.caller.request("MESSAGE", "sip:x@10.20.0.12:5060"), EDGE)
    b, got = c.at_a_backend(0.2)
    assert b is c.backend[1]
    b, got = c.at_a_backend()
    assert b is c.backend[0] and got.uri == "sip:x@b1.example:5060" and got.record_routes()
    b.answer(got, 200)
    assert c.caller.receive().status == 200
    asked = len(dns.asked)
    c.caller.send(c.caller.request("INVITE", "sip:x@B1.Example:5060"), EDGE)
    assert c.at_a_backend()[0] is c.backend[0]
    assert len(dns.asked) == asked, "the second is answered from the cache"
    assert c.lab.settle()["held_name_enter"] == 1


def test_name_in_du_and_by_srv_and_of_both_families(named):
    c, dns = named
    c.caller.send(c.caller.request("MESSAGE", "sip:du@b2.example"), EDGE)
    assert c.at_a_backend()[0] is c.backend[1]
    # Priority 10 goes before 20 (RFC 2782), every time.
    for _ in range(3):
        c.caller.send(c.caller.request("MESSAGE", "sip:x@service.example"), EDGE)
        assert c.at_a_backend()[0] is c.backend[0]
    # One order for all who ask (RFC 3263 4.4), whatever order the server has.
    seen = set()
    for _ in range(4):
        c.caller.send(c.caller.request("MESSAGE", "sip:x@two.example:5060"), EDGE)
        seen.add(c.at_a_backend()[0].address)
    assert len(seen) == 1
    six = UA(c.lab, "b1", "fd00:20::11", 5060)
    c.caller.send(c.caller.request("MESSAGE", "sip:x@six.example:5060"), EDGE)
    got = six.receive()
    six.answer(got, 200)
    assert c.caller.receive().status == 200


def test_a_name_in_a_route_of_a_dialog(named):
    c, dns = named
    c.caller.send(c.caller.request("INVITE", "sip:x@b1.example:5060", call_id="named-route"), EDGE)
    b, got = c.at_a_backend()
    routes = [*reversed(got.record_routes()), "<sip:b2.example;lr>"]
    c.caller.send(c.caller.request("BYE", "sip:callee@b1.example", routes=routes, call_id="named-route", cseq=2,
                                   from_tag=got.tag("from"), to_tag="callee"), EDGE)
    b, got = c.at_a_backend()
    assert b is c.backend[1] and got.method == "BYE" and got.uri == "sip:callee@b1.example"


def test_a_name_that_is_not_there_is_answered_478_at_once(named):
    c, dns = named
    c.caller.send(c.caller.request("INVITE", "sip:x@gone.example:5060"), EDGE)
    begun = time.monotonic()
    reply = c.caller.receive()
    assert reply.status == 478 and time.monotonic() - begun < 1
    asked = len(dns.asked)
    c.caller.send(c.caller.request("INVITE", "sip:x@gone.example:5060"), EDGE)
    assert c.caller.receive().status == 478 and len(dns.asked) == asked, "remembered for some seconds"
    c.caller.send(c.caller.request("INVITE", "sip:answer@nowhere.example:5060"), EDGE)
    assert c.caller.receive().status == 480, "the script's own answer replaces it"
    # An ACK is answered by nobody.
    c.caller.send(c.caller.request("ACK", "sip:x@lost.example:5060", to_tag="t"), EDGE)
    assert c.caller.silent()


def test_names_that_lead_to_forbidden_places_relay_nothing(named):
    c, dns = named
    # A multicast address is none that a name can have here.
    for name, status in (("loop.example", 403), ("group.example", 478)):
        c.caller.send(c.caller.request("MESSAGE", f"sip:x@{name}:5060"), EDGE)
        assert c.caller.receive().status == status


def test_servers_that_are_silent_or_fail_end_in_an_answer(named):
    c, dns = named
    dns.failing = True
    c.caller.send(c.caller.request("MESSAGE", "sip:x@failing.example:5060"), EDGE)
    assert c.caller.receive(6).status == 478
    dns.failing, dns.silent = False, True
    c.caller.send(c.caller.request("MESSAGE", "sip:x@silent.example:5060"), EDGE)
    assert c.caller.receive(8).status == 478
    dns.silent = False
    c.caller.send(c.caller.request("MESSAGE", "sip:x@b1.example:5060"), EDGE)
    c.at_a_backend()


def test_a_message_that_waits_outlives_a_reload_that_moves_its_listener(named):
    c, dns = named
    dns.delay = 0.8
    first = c.lab.config.read_text()
    c.caller.send(c.caller.request("MESSAGE", "sip:x@gone.example:5060"), EDGE)
    c.caller.send(c.caller.request("MESSAGE", "sip:x@b1.example:5060"), EDGE)
    time.sleep(0.1)
    reload(c.lab, first.replace("listen = udp:edge:5060\nlisten = udp:core:5060\n",
                                "listen = udp:core:5060\nlisten = udp:core:5081\nlisten = udp:edge:5080\nlisten = udp:edge:5060\n")
           .replace("forward();", "sl_send_reply(\"404\", \"Other Script\");"))
    b, got = c.at_a_backend()
    assert got.source == ("10.20.0.1", 5060)
    b.answer(got, 200)
    replies = [c.caller.receive(), c.caller.receive()]
    assert sorted(r.status for r in replies) == [200, 478]
    assert {r.source for r in replies} == {EDGE}, "answers leave from where the request came in"


def test_a_call_stays_where_it_is_when_the_answer_changes(named):
    """Without state a CANCEL and an ACK go where the INVITE went (RFC 3261 16.11), whatever the name stands for by then."""
    c, dns = named
    dns.zone[("move.example", A)] = a("10.20.0.11", ttl=1)

    def invite(call_id, backend):
        text = c.caller.request("INVITE", "sip:x@move.example:5060", call_id=call_id)
        c.caller.send(text, EDGE)
        b, got = c.at_a_backend()
        assert b is c.backend[backend] and got.method == "INVITE", got
        return text, got

    def moves(address, backend):
        dns.zone[("move.example", A)] = a(address, ttl=1)
        end = time.monotonic() + 20
        while True:
            c.caller.send(c.caller.request("MESSAGE", "sip:x@move.example:5060"), EDGE)
            if c.at_a_backend()[0] is c.backend[backend]:
                return
            assert time.monotonic() < end
            time.sleep(0.5)

    first, went = invite("before", 0)
    moves("10.20.0.12", 1)
    second, went_too = invite("after", 1)
    moves("10.20.0.11", 0)
    for text, got, backend in ((first, went, 0), (second, went_too, 1)):
        for method in ("CANCEL", "ACK"):
            c.caller.send(replace_method(text, method), EDGE)
            b, follows = c.at_a_backend()
            assert b is c.backend[backend] and follows.method == method and follows.branch() == got.branch()
    assert c.lab.stats()["dns_followed"] >= 2


def test_names_and_servers_of_a_refused_file_are_not_taken(named):
    c, dns = named
    first = c.lab.config.read_text()
    other = Dns(c.lab, {("b1.example", A): a("10.20.0.12"), ("b3.example", A): a("10.20.0.12")}, 5354)
    reload(c.lab, first.replace("5353", "5354").replace("listen = udp:edge", "listen = udp:10.99.0.1:5060\nlisten = udp:edge"), good=False)
    c.caller.send(c.caller.request("MESSAGE", "sip:x@b3.example:5060"), EDGE)
    assert c.caller.receive().status == 478 and not other.asked
    reload(c.lab, first.replace("5353", "5354"))
    c.caller.send(c.caller.request("MESSAGE", "sip:x@b2.example:5060"), EDGE)
    assert c.caller.receive().status == 478 and other.asked
    other.close()


def test_names_in_the_list_are_asked_at_load(labs):
    lab = labs.make(head='dns_servers = "127.0.0.1:5353"\n', list_text="1 sip:b2.example:5060\n1 sip:service.example\n", start=False)
    dns = Dns(lab, dict(ZONE))
    lab.start_siplane(lab.config)
    c = Call(lab)
    for _ in range(12):
        c.invite()
    (lab.dir / "dispatcher.list").write_text("1 sip:gone.example:5060\n")
    said = reload(lab, good=False)
    assert "dispatcher.list:1" in said and "gone.example" in said
    c.invite()
    dns.close()


def test_a_reload_that_waits_for_names_ends_with_the_process(labs):
    lab = labs.make(head='dns_servers = "127.0.0.1:5353"\n', list_text="1 sip:b2.example:5060\n", start=False)
    dns = Dns(lab, dict(ZONE))
    lab.start_siplane(lab.config)
    dns.silent = True
    (lab.dir / "dispatcher.list").write_text("".join(f"1 sip:dead{n}.example:5060\n" for n in range(20)))
    lab.siplane.send_signal(signal.SIGHUP)
    deadline = time.monotonic() + 5
    while ("dead0.example", A) not in dns.asked:
        assert time.monotonic() < deadline, dns.asked
        time.sleep(0.01)
    status, seconds = lab.stop_siplane(signal.SIGTERM)
    assert status == 0 and seconds < 1.5, seconds  # each of the names would be waited for
    dns.close()


def test_messages_that_wait_for_a_name_end_with_the_process(named):
    c, dns = named
    dns.silent = True
    c.caller.send(c.caller.request("MESSAGE", "sip:x@silent.example:5060"), EDGE)
    time.sleep(0.2)
    assert c.lab.stats()["held"] == 1
    status, seconds = c.lab.stop_siplane(signal.SIGTERM)
    assert status == 0 and seconds < 4.5, seconds  # it would wait for 5 s
