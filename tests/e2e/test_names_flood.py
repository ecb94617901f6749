# SPDX-License-Identifier: BSD-3-Clause
"""Names that strangers make up, and a real name server (dnsmasq), which asks a black hole for some of them."""
import select
import socket
import threading
import time

import pytest

from call import EDGE, Call
from test_names import FORWARD, SRV, A, Dns, a, srv
from test_reload import reload
from ua import UA, inside

RECORDS = (
    "--host-record=pbx.example,10.20.0.11,1",
    "--host-record=one.example,10.20.0.11,60",
    "--host-record=two.example,10.20.0.12,60",
    "--srv-host=_sip._udp.farm.example,two.example,5060,10,1",
    "--naptr-record=service.example,10,1,s,SIP+D2U,,_sip._udp.farm.example",
    "--address=/wild.example/10.20.0.12",
)


class NameServer:
    """dnsmasq in the appliance's namespace. What is below hole.example it asks of one that never answers."""

    def __init__(self, lab):
        self.lab = lab
        with inside(lab.ns("dut")):
            self.hole = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.hole.bind(("127.0.0.1", 5399))
        self.process = None
        self.start()

    def start(self):
        self.process = self.lab.popen(
            "dut", "dnsmasq", "--keep-in-foreground", "--conf-file=/dev/null", "--no-resolv", "--no-hosts", "--port=5353",
            "--listen-address=127.0.0.1", "--bind-interfaces", "--user=root", "--pid-file=", "--local=/example/", "--dns-forward-max=2000",
            "--server=/hole.example/127.0.0.1#5399", *RECORDS)
        with inside(self.lab.ns("dut")):
            probe = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        probe.settimeout(0.2)
        question = b"\x12\x34\x01\x00\x00\x01\x00\x00\x00\x00\x00\x00\x03one\x07example\x00\x00\x01\x00\x01"
        for _ in range(50):
            try:
                probe.sendto(question, ("127.0.0.1", 5353))
                probe.recv(512)
                break
            except OSError:
                time.sleep(0.1)
        else:
            raise AssertionError("dnsmasq does not answer")
        probe.close()

    def stop(self):
        self.process.terminate()
        self.process.wait(5)
        if self.process in self.lab.processes:
            self.lab.processes.remove(self.process)

    def close(self):
        self.stop()
        self.hole.close()


class Flood:
    """A caller of its own that sends MESSAGEs to made-up names, so many a second."""

    def __init__(self, lab, zone, rate):
        self.ua, self.zone, self.rate, self.sent, self.over = UA(lab, "caller", "10.10.0.2"), zone, rate, 0, False
        self.thread = threading.Thread(target=self.run, daemon=True)
        self.thread.start()

    def run(self):
        begun = time.monotonic()
        while not self.over:
            while self.sent < (time.monotonic() - begun) * self.rate:
                self.ua.send(self.ua.request("MESSAGE", f"sip:x@made-up-{self.sent}.{self.zone % (self.sent % 97)}"), EDGE)
                self.sent += 1
            time.sleep(0.005)

    def stop(self):
        self.over = True
        self.thread.join()
        return self.sent


@pytest.fixture
def served(labs):
    lab = labs.make(script=FORWARD, head='dns_servers = "127.0.0.1:5353"\n', start=False)
    names = NameServer(lab)
    lab.start_siplane(lab.config)
    yield Call(lab), names
    names.close()


def takes(c, uri, backend):
    """Seconds until a message to a URI is at a backend and its answer at the caller."""
    begun = time.monotonic()
    c.caller.send(c.caller.request("MESSAGE", uri), EDGE)
    ready, _, _ = select.select([c.caller.sock, *(b.sock for b in c.backend)], [], [], 6)
    assert c.backend[backend].sock in ready, (c.caller.receive() if c.caller.sock in ready else "nothing came", c.lab.stats())
    b, got = c.backend[backend], c.backend[backend].receive()
    assert got.uri == uri
    b.answer(got, 200)
    assert c.caller.receive().status == 200
    return time.monotonic() - begun


def drain(ua):
    """Takes what has arrived, unread."""
    ua.sock.setblocking(False)
    try:
        while True:
            ua.sock.recv(2000)
    except BlockingIOError:
        ua.sock.settimeout(4)


def test_naptr_srv_and_a_of_a_real_server(served):
    c, names = served
    for _ in range(3):
        takes(c, "sip:x@service.example", 1)
    takes(c, "sip:x@pbx.example", 0)
    takes(c, "sip:x@anything.wild.example", 1)
    stats = c.lab.stats()
    assert stats["dns_naptr"] == 3 and stats["dns_found"] == 3 and stats["dns_names"] == 3


def test_a_black_hole_delays_no_other_name(served):
    """Thousands of names below it, while one name is in use (its TTL is 1 s, 5 here) and others come for the first time."""
    c, names = served
    takes(c, "sip:x@pbx.example", 0)
    flood = Flood(c.lab, "z%d.hole.example", 500)
    worst, fresh = 0, 0
    for i in range(30):
        worst = max(worst, takes(c, "sip:x@pbx.example", 0))
        fresh = max(fresh, takes(c, f"sip:x@new-{i}.wild.example", 1))
        time.sleep(0.25)
    sent = flood.stop()
    stats = c.lab.stats()
    assert sent > 3000 and stats["dns_zone_full"] > 1000
    assert worst < 3 and fresh < 3, (worst, fresh)  # a machine that is busy; 4 s is what silence takes
    assert stats["dns_asking"] <= 32 and stats["dns_stale"] == 0
    # Nobody waits for ever: the last of them is told within the time that a name may take.
    end = time.monotonic() + 6
    while c.lab.stats()["dns_waiting"] != 0:
        assert time.monotonic() < end
        time.sleep(0.1)
    c.lab.settle()


def test_names_that_are_found_push_out_none_in_use(served):
    """A wildcard: more of its names than there is room for, and a name that is in use."""
    c, names = served
    takes(c, "sip:x@service.example", 1)
    flood = Flood(c.lab, "z%d.wild.example", 1500)
    end = time.monotonic() + 20
    while c.lab.stats()["dns_evicted"] == 0:
        assert time.monotonic() < end, c.lab.stats()
        drain(c.backend[1])
        time.sleep(0.02)
    flood.stop()
    c.lab.settle()
    drain(c.backend[1])
    asked = c.lab.stats()["dns_naptr"]
    takes(c, "sip:x@service.example", 1)
    assert c.lab.stats()["dns_naptr"] == asked, "it is there still"


def test_names_in_use_outlive_their_server(served):
    """RFC 8767: the server is gone for longer than a TTL; names go on, and are fresh when it is back."""
    c, names = served
    takes(c, "sip:x@pbx.example", 0)
    names.stop()
    for _ in range(18):
        takes(c, "sip:x@pbx.example", 0)
        time.sleep(0.5)
    stats = c.lab.stats()
    assert stats["dns_stale"] >= 1 and stats["held_name_enter"] == 1, "no message has waited but the first"
    names.start()
    found = c.lab.stats()["dns_found"]
    end = time.monotonic() + 15
    while c.lab.stats()["dns_found"] == found:
        assert time.monotonic() < end
        takes(c, "sip:x@pbx.example", 0)
        time.sleep(0.3)


def test_other_servers_are_taken_while_a_flood_waits(served):
    """A reload that names another server does not depend on strangers' patience."""
    c, names = served
    flood = Flood(c.lab, "z%d.hole.example", 300)
    time.sleep(1)
    other = Dns(c.lab, {("three.example", A): a("10.20.0.12")}, 5354)
    reload(c.lab, c.lab.config.read_text().replace("5353", "5354"))
    takes(c, "sip:x@three.example", 1)
    flood.stop()
    other.close()
    end = time.monotonic() + 6
    while c.lab.stats()["dns_waiting"] != 0:
        assert time.monotonic() < end
        time.sleep(0.1)
    c.lab.settle()


def test_a_server_that_is_silent_about_naptr_costs_a_second(labs):
    """RFC 3263 4.1: many know nothing of it, and some firewalls swallow it."""
    lab = labs.make(script=FORWARD, head='dns_servers = "127.0.0.1:5353"\n', start=False)
    dns = Dns(lab, {("_sip._udp.quiet.example", SRV): srv((10, 0, 5060, "two.example")), ("two.example", A): a("10.20.0.12")})
    dns.silent_about = {35}
    lab.start_siplane(lab.config)
    c = Call(lab)
    assert 0.5 < takes(c, "sip:x@quiet.example", 1) < 2.5
    takes(c, "sip:x@quiet.example", 1)
    assert lab.stats()["held_name_enter"] == 1
    dns.close()
