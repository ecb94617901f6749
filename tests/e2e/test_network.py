# SPDX-License-Identifier: BSD-3-Clause
"""Below SIP: ARP, ping, fragments, VLANs, path MTU, checksums, neighbours."""
import json
import time

import pytest

from call import ALICE, EDGE, Call
from lab.lab import run
from ua import UA
from wire import ARP, ICMP, IP, UDP, Dot1Q, Ether, IPv6, Raw, Wire, fragment

pytestmark = pytest.mark.sanitize


def mac_of_appliance(lab, who="caller", dev="eth0", address="10.10.0.1"):
    run("ip", "netns", "exec", lab.ns(who), "ping", "-qnc1", "-W2", address)
    return json.loads(lab.ip(who, "-j", "neigh", "show", address).stdout)[0]["lladdr"]


def test_exactly_one_arp_and_one_ping_reply(labs, driver):
    lab = labs.make(driver)
    mac = mac_of_appliance(lab)
    w = Wire(lab, "caller", "eth0")
    w.send(Ether(dst="ff:ff:ff:ff:ff:ff", src=w.mac) / ARP(op=1, hwsrc=w.mac, psrc="10.10.0.2", pdst="10.10.0.1"))
    replies = w.gather(1, lambda f: ARP in f and f[ARP].op == 2)
    assert len(replies) == 1 and replies[0][ARP].hwsrc == mac
    w.send(Ether(dst=mac, src=w.mac) / IP(src="10.10.0.2", dst="10.10.0.1") / ICMP(id=7, seq=1) / Raw(b"x" * 32))
    replies = w.gather(1, lambda f: ICMP in f)
    assert len(replies) == 1 and replies[0][ICMP].type == 0


def test_ping_and_neighbour_discovery(labs, driver):
    lab = labs.make(driver)
    for who, addresses in (("caller", ("10.10.0.1", "fd00:10::1")), ("b1", ("10.20.0.1", "fd00:20::1"))):
        for address in addresses:
            run("ip", "netns", "exec", lab.ns(who), "ping", "-qnc2", "-i0.2", "-W2", address)


def test_listener_shows_in_ss_and_draws_no_icmp_error(labs):
    lab = labs.make()
    text = run("ip", "netns", "exec", lab.ns("dut"), "ss", "-uln").stdout
    assert "10.10.0.1:5060" in text and "10.20.0.1:5060" in text
    c = Call(lab)
    w = Wire(lab, "caller", "eth0")
    c.invite()
    assert not w.gather(0.5, lambda f: ICMP in f)


def test_port_in_use_is_said(labs):
    from lab.lab import LabError
    from ua import inside
    import socket
    lab = labs.make(start=False)
    with inside(lab.ns("dut")):
        other = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    other.bind(("0.0.0.0", 5060))
    with pytest.raises(LabError) as e:
        lab.start_siplane(lab.config)
    assert "10.10.0.1:5060" in str(e.value) and "open" in str(e.value)
    other.close()
    lab.siplane = None


@pytest.mark.parametrize("size", [8000, 60000])
@pytest.mark.parametrize("ipv6", [False, True], ids=["ipv4", "ipv6"])
def test_big_invite_crosses_in_fragments_both_ways(labs, driver, size, ipv6):
    lab = labs.make(driver, list_text="1 sip:[fd00:20::11]:5060\n" if ipv6 else "1 sip:10.20.0.11:5060\n")
    caller = UA(lab, "caller", "fd00:10::2" if ipv6 else "10.10.0.2")
    backend = UA(lab, "b1", "fd00:20::11" if ipv6 else "10.20.0.11", 5060)
    edge = ("fd00:10::1", 5060) if ipv6 else EDGE
    body = bytes(range(256)) * (size // 256)
    text = caller.request("INVITE", "sip:alice@[fd00:10::1]" if ipv6 else ALICE, body=body)
    for _ in range(3):
        caller.send(text, edge)
        got = backend.receive()
        assert got.body == body
    backend.send(backend.reply(got, 200, body=body), got.source[:2])
    assert caller.receive().body == body
    # Its CANCEL is small and goes the same way.
    caller.send(caller.request("CANCEL", "sip:alice@[fd00:10::1]" if ipv6 else ALICE), edge)
    assert backend.receive().method == "CANCEL"


def fragments_of(packet, size):
    return fragment(packet, fragsize=size)


def test_fragments_that_overlap_are_dropped_whole(labs):
    lab = labs.make(list_text="1 sip:10.20.0.11:5060\n")
    c = Call(lab)
    mac = mac_of_appliance(lab)
    w = Wire(lab, "caller", "eth0")
    text = c.caller.request("MESSAGE", ALICE, body="y" * 2000)
    packet = IP(src="10.10.0.2", dst="10.10.0.1", id=99) / UDP(sport=c.caller.port, dport=5060) / Raw(text)
    pieces = fragments_of(packet, 800)
    evil = pieces[1].copy()
    evil.frag -= 1
    for p in [pieces[0], evil] + pieces[1:]:
        w.send(Ether(dst=mac, src=w.mac) / p)
    assert c.nothing_at_backends()
    time.sleep(2.3)
    stats = lab.settle()
    assert stats["drop/reassembly_overlap"] >= 2
    # In order, reversed and doubled it arrives, once each.
    for n, order in enumerate((pieces, pieces[::-1], pieces[:1] + pieces)):
        for p in order:
            q = p.copy()
            q.id = 200 + n
            w.send(Ether(dst=mac, src=w.mac) / q)
        _, got = c.at_a_backend()
        assert got.body == b"y" * 2000
        assert c.nothing_at_backends(0.2)


def test_missing_fragment_times_out_and_is_counted(labs):
    lab = labs.make()
    c = Call(lab)
    mac = mac_of_appliance(lab)
    w = Wire(lab, "caller", "eth0")
    packet = IP(src="10.10.0.2", dst="10.10.0.1", id=5) / UDP(sport=c.caller.port, dport=5060) / Raw(b"z" * 3000)
    for p in fragments_of(packet, 1000)[:-1]:
        w.send(Ether(dst=mac, src=w.mac) / p)
    time.sleep(0.3)
    assert lab.stats()["held"] == 3
    time.sleep(2.5)
    stats = lab.settle()
    assert stats["held"] == 0 and stats["drop/reassembly_timeout"] == 3


def test_wrong_checksum_is_dropped_and_none_is_taken(labs):
    lab = labs.make()
    c = Call(lab)
    mac = mac_of_appliance(lab)
    w = Wire(lab, "caller", "eth0")
    text = c.caller.request("MESSAGE", ALICE)
    packet = Ether(dst=mac, src=w.mac) / IP(src="10.10.0.2", dst="10.10.0.1") / UDP(sport=c.caller.port, dport=5060, chksum=0x1234) / Raw(text)
    w.send(packet)
    assert c.nothing_at_backends()
    packet[UDP].chksum = 0
    w.send(packet)
    c.at_a_backend()
    assert lab.settle()["drop/udp_checksum"] == 1
    six = Ether(dst=mac, src=w.mac) / IPv6(src="fd00:10::2", dst="fd00:10::1") / UDP(sport=c.caller.port, dport=5060, chksum=0) / Raw(text)
    w.send(six)
    assert c.nothing_at_backends()
    assert lab.settle()["drop/udp_checksum"] == 2


def test_vlan_traffic_keeps_its_tag(labs):
    lab = labs.make("af_packet", port_extra="\tvlan = 7;\n", start=False, ipv6=False)
    lab._wait_link = lambda: None
    lab.start_siplane(lab.config)
    edge, core = Wire(lab, "caller", "eth0"), Wire(lab, "lan", "core")
    edge.send(Ether(dst="ff:ff:ff:ff:ff:ff", src=edge.mac) / Dot1Q(vlan=7) / ARP(op=1, hwsrc=edge.mac, psrc="10.10.0.2", pdst="10.10.0.1"))
    replies = edge.gather(2, lambda f: ARP in f and f[ARP].op == 2, stop_after=1)
    assert replies and replies[0][Dot1Q].vlan == 7
    mac = replies[0][ARP].hwsrc
    ua = UA(lab, "caller", "10.10.0.2")
    text = ua.request("MESSAGE", ALICE)
    sip = IP(src="10.10.0.2", dst="10.10.0.1") / UDP(sport=ua.port, dport=5060) / Raw(text)
    edge.send(Ether(dst=mac, src=edge.mac) / Dot1Q(vlan=7) / sip)
    asked = core.gather(2, lambda f: ARP in f and f[ARP].op == 1, stop_after=1)
    assert asked and asked[0][Dot1Q].vlan == 7
    target = asked[0][ARP].pdst
    core.send(Ether(dst=asked[0].src, src="02:00:00:00:00:77") / Dot1Q(vlan=7) /
              ARP(op=2, hwsrc="02:00:00:00:00:77", psrc=target, hwdst=asked[0].src, pdst=asked[0][ARP].psrc))
    out = core.gather(2, lambda f: UDP in f, stop_after=1)
    assert out and out[0][Dot1Q].vlan == 7 and out[0].dst == "02:00:00:00:00:77", "the first message waited and was sent"
    for tags in ((), (8,), (7, 9)):
        frame = Ether(dst=mac, src=edge.mac)
        for t in tags:
            frame = frame / Dot1Q(vlan=t)
        edge.send(frame / sip)
    assert not core.gather(0.5, lambda f: UDP in f)
    assert lab.settle()["drop/vlan_not_ours"] >= 3


def test_path_mtu_that_shrinks_makes_fragments(labs):
    lab = labs.make("af_packet", list_text="1 sip:10.20.0.11:5060\n")
    c = Call(lab, backends=1)
    body = "m" * 900
    c.caller.send(c.caller.request("MESSAGE", ALICE, body=body), EDGE)
    _, got = c.at_a_backend()
    w = Wire(lab, "b1", "eth0")
    mac = mac_of_appliance(lab, "b1", "eth0", "10.20.0.1")
    quoted = bytes(IP(src="10.20.0.1", dst="10.20.0.11", len=1300) / UDP(sport=5060, dport=5060, len=1280))[:28]
    w.send(Ether(dst=mac, src=w.mac) / IP(src="10.20.0.254", dst="10.20.0.1") / ICMP(type=3, code=4, nexthopmtu=600) / Raw(quoted))
    time.sleep(0.5)
    w.drain()
    c.caller.send(c.caller.request("MESSAGE", ALICE, body=body), EDGE)
    pieces = w.gather(1.5, lambda f: IP in f and f[IP].proto == 17)
    assert len(pieces) >= 2 and all(p[IP].len <= 600 for p in pieces)
    assert c.backend[0].receive().body == body.encode()
    # One that quotes nothing of ours changes nothing.
    forged = bytes(IP(src="10.99.0.1", dst="10.20.0.11") / UDP(sport=5060, dport=5060))[:28]
    w.send(Ether(dst=mac, src=w.mac) / IP(src="10.20.0.254", dst="10.20.0.1") / ICMP(type=3, code=4, nexthopmtu=80) / Raw(forged))
    assert lab.settle()["icmp_too_big"] == 1


def test_backend_that_silently_changes_its_mac_is_found_again(labs):
    lab = labs.make("af_packet", list_text="1 sip:10.20.0.11:5060\n")
    c = Call(lab, backends=1)
    c.invite()
    lab.sysctl("b1", "net.ipv4.conf.all.arp_notify=0")
    lab.ip("b1", "link", "set", "eth0", "address", "02:00:00:00:0b:0b")
    deadline = time.monotonic() + 45
    while time.monotonic() < deadline:
        c.caller.send(c.caller.request("MESSAGE", ALICE), EDGE)
        if not c.nothing_at_backends(1):
            return
    pytest.fail("the new MAC was never learnt")


def test_first_message_to_an_unknown_neighbour_is_not_lost(labs, driver):
    lab = labs.make(driver)
    c = Call(lab)
    for i in range(6):
        lab.ip("dut", "neigh", "flush", "all")
        text, backend, got = c.invite()
        backend.answer(got, 200)
        assert c.caller.receive().status == 200


def test_neighbour_that_never_answers_is_a_counted_drop(labs):
    lab = labs.make(list_text="1 sip:10.20.0.99:5060\n")
    c = Call(lab)
    c.caller.send(c.caller.request("MESSAGE", ALICE), EDGE)
    time.sleep(0.5)
    assert lab.stats()["held"] == 1
    time.sleep(4)
    stats = lab.settle()
    assert stats["held"] == 0 and stats["drop/neighbour_timeout"] == 1


def test_gateway_of_the_kernels_table_is_used(labs):
    lab = labs.make(list_text="1 sip:172.31.5.5:5060\n")
    lab.ip("dut", "route", "add", "172.31.0.0/16", "via", "10.20.0.11")
    lab.ip("b1", "addr", "add", "172.31.5.5/32", "dev", "lo")
    time.sleep(0.3)
    c = Call(lab)
    far = UA(lab, "b1", "172.31.5.5", 5060)
    c.caller.send(c.caller.request("MESSAGE", ALICE), EDGE)
    got = far.receive()
    assert got.method == "MESSAGE" and got.source[0] == "10.20.0.1"
