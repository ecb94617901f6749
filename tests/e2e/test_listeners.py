# SPDX-License-Identifier: BSD-3-Clause
"""Which address and port a message leaves from, and by which names we are known (RFC 3261 18.1.1, 18.2.2, RFC 5658)."""
import re

from call import ALICE, EDGE, Call
from lab.lab import run
from ua import UA
from wire import ICMP, IP, UDP, Ether, Wire
from test_network import mac_of_appliance

ALT = ("10.10.0.1", 5080)
TWO = "listen = udp:edge:5060\nlisten = udp:edge:5080\nlisten = udp:core:5060\nlisten = udp:core:5080\n"


def test_messages_leave_by_the_port_that_the_request_came_in_by(labs):
    c = Call(labs.make(listen=TWO))
    for edge in (EDGE, ALT):
        c.caller.send(c.caller.request("OPTIONS", f"sip:10.10.0.1:{edge[1]}"), edge)
        assert c.caller.receive().source == edge
        text = c.caller.request("INVITE", ALICE)
        c.caller.send(text, edge)
        b, got = c.at_a_backend()
        assert got.source == ("10.20.0.1", edge[1]) and f"10.20.0.1:{edge[1]}" in got.vias()[0]
        assert [re.search(r"sip:([\d.:]+)", r).group(1) for r in got.record_routes()] == [f"10.20.0.1:{edge[1]}", f"10.10.0.1:{edge[1]}"]
        # The answer goes back by the same pair, even where it comes to the other port.
        b.send(b.reply(got, 200), ("10.20.0.1", 5060))
        ok = c.caller.receive()
        assert ok.status == 200 and ok.source == edge
        # A request of the callee takes both Routes and leaves by the caller's port.
        b.send(c.from_callee(b, got, "BYE"), ("10.20.0.1", edge[1]))
        bye = c.caller.receive()
        assert bye.method == "BYE" and bye.source == edge


def test_advertised_names_stand_in_via_and_record_route_and_are_ours(labs):
    lab = labs.make(listen="listen = udp:edge:5060 advertise sip.example.net:5061\nlisten = udp:core:5060 advertise inside.example.net:5062\n")
    c = Call(lab)
    backend, invite, ok = c.established()
    assert "inside.example.net:5062" in invite.vias()[0] and "10.20.0.1" not in invite.vias()[0]
    assert "sip:inside.example.net:5062" in invite.record_routes()[0] and "sip:sip.example.net:5061" in invite.record_routes()[1]
    c.caller.send(c.in_dialog(ok, "BYE"), EDGE)
    bye = backend.receive()
    assert bye.get("route") is None and bye.source == ("10.20.0.1", 5060)
    backend.answer(bye, 200)
    assert c.caller.receive().status == 200
    c.caller.send(c.caller.request("OPTIONS", "sip:sip.example.net:5061"), EDGE)
    assert c.caller.receive().status == 200


def test_record_route_advertised_and_forced_sockets(labs):
    script = """
request_route {
	if (has_totag() && loose_route()) { forward(); exit; }
	record_route_advertised_address("edge.example.net:5060");
	if ($rU == "forced") force_send_socket(udp:10.20.0.1:5080);
	if ($rU == "fs") $fs = "udp:10.20.0.1:5080";
	$du = "sip:10.20.0.11:5060";
	forward();
}
"""
    c = Call(labs.make(listen=TWO, script=script, head='alias = "edge.example.net"\n'))
    for user, port in (("forced", 5080), ("fs", 5080), ("plain", 5060)):
        c.caller.send(c.caller.request("INVITE", f"sip:{user}@10.10.0.1", call_id=f"forced-{user}"), EDGE)
        b, got = c.at_a_backend()
        assert got.source == ("10.20.0.1", port)
        assert all("edge.example.net" in r for r in got.record_routes())
        b.answer(got, 200)
        ok = c.caller.receive()
        assert ok.source == EDGE
        c.caller.send(c.in_dialog(ok, "BYE"), EDGE)
        assert b.receive().method == "BYE"


def test_alias_is_us_with_its_port_or_with_any(labs):
    script = """
request_route {
	if (uri == myself) { sl_send_reply("200", "Me"); exit; }
	sl_send_reply("404", "Not Me");
}
"""
    c = Call(labs.make(script=script, head='alias = "any.example"\nalias = "one.example:5070"\n'))
    for host, status in (("any.example", 200), ("any.example:7777", 200), ("ANY.example", 200), ("one.example:5070", 200), ("one.example", 404),
                         ("other.example", 404), ("10.10.0.1", 200), ("10.20.0.1:5060", 200), ("10.10.0.1:5061", 404), ("[fd00:10:0::1]", 200)):
        c.caller.send(c.caller.request("MESSAGE", f"sip:x@{host}"), EDGE)
        assert c.caller.receive().status == status, host


def test_mhomed_leaves_by_the_address_that_the_route_says(labs):
    lab = labs.make(head="mhomed = yes\n", port_extra="", list_text="1 sip:10.20.0.11:5060\n1 sip:[fd00:20::11]:5060\n",
                    script='request_route { record_route(); if ($rU == "six") $du = "sip:[fd00:20::11]:5060"; else $du = "sip:10.20.0.11:5060"; forward(); }\n')
    c = Call(lab, backends=1)
    six = UA(lab, "b1", "fd00:20::11", 5060)
    c.caller.send(c.caller.request("INVITE", "sip:six@10.10.0.1"), EDGE)
    got = six.receive()
    assert got.source[:2] == ("fd00:20::1", 5060) and len(got.record_routes()) == 2
    six.answer(got, 200)
    assert c.caller.receive().source == EDGE
    c.caller.send(c.caller.request("INVITE", "sip:four@10.10.0.1"), EDGE)
    assert c.backend[0].receive().source == ("10.20.0.1", 5060)


def test_an_address_that_comes_and_goes_takes_its_listener_along(labs):
    lab = labs.make()
    c = Call(lab)
    lab.ip("dut", "addr", "add", "10.10.0.9/24", "dev", "ct-edge")
    other = ("10.10.0.9", 5060)
    for _ in range(40):
        c.caller.send(c.caller.request("OPTIONS", "sip:10.10.0.9"), other)
        try:
            assert c.caller.receive(0.1).source == other
            break
        except TimeoutError:
            pass
    else:
        raise AssertionError("the new address is not served")
    assert "10.10.0.9:5060" in run("ip", "netns", "exec", lab.ns("dut"), "ss", "-uln").stdout
    lab.ip("dut", "addr", "del", "10.10.0.9/24", "dev", "ct-edge")
    for _ in range(40):
        if "10.10.0.9:5060" not in run("ip", "netns", "exec", lab.ns("dut"), "ss", "-uln").stdout:
            break
    else:
        raise AssertionError("the listener outlives its address")
    c.invite()


def test_icmp_unreachable_is_counted_for_its_destination(labs):
    lab = labs.make("af_packet")
    w = Wire(lab, "b1", "eth0")
    mac = mac_of_appliance(lab, "b1", "eth0", "10.20.0.1")

    def unreachable(src, sport, dst, dport):
        quoted = bytes(IP(src=src, dst=dst) / UDP(sport=sport, dport=dport))[:28]
        w.send(Ether(dst=mac, src=w.mac) / IP(src="10.20.0.254", dst="10.20.0.1") / ICMP(type=3, code=3) / quoted)

    for _ in range(3):
        unreachable("10.20.0.1", 5060, "10.20.0.12", 5060)
    # What quotes a datagram that no listener of ours can have sent, or that went elsewhere, counts for nobody.
    unreachable("10.99.0.1", 5060, "10.20.0.12", 5060)
    unreachable("10.20.0.1", 5999, "10.20.0.12", 5060)
    unreachable("10.20.0.1", 5060, "10.20.0.12", 5999)
    assert lab.settle()["icmp_unreachable"] == 4
    rows = lab.telemetry("/siplane/dispatcher").values()
    assert {r["destination"]: r["unreachable"] for r in rows} == {"sip:10.20.0.11:5060": 0, "sip:10.20.0.12:5060": 3}
    # It is no verdict: both are chosen on.
    c = Call(lab)
    seen = set()
    for _ in range(30):
        seen.add(c.invite()[1].address)
    assert len(seen) == 2
