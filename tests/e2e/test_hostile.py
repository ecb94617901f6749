# SPDX-License-Identifier: BSD-3-Clause
"""What an attacker sends: by bypass, injection, reflection, forged responses, lies of length, and floods.

One siplane for all of it, whose script does by the user part of the Request-URI what a case needs. After each case the counters'
equation holds, after the last one nothing is held, a plain message still crosses, and siplane ends well.
"""
import os
import struct
import time

import pytest
from scapy.layers.inet6 import IPv6ExtHdrDestOpt, IPv6ExtHdrHopByHop, IPv6ExtHdrRouting

from stand import MODULES, Stand
from ua import UA
from wire import ARP, ICMP, IP, UDP, Ether, IPv6, IPv6ExtHdrFragment, Raw, Wire

pytestmark = pytest.mark.sanitize

SCRIPT = """
request_route {
	if ($rz == "tel") {
		if ($rU == "100") sethost("10.20.0.11");
		if ($rU == "101") sethostport("10.20.0.11:5060");
		if ($rU == "102") setuser("alice");
		if ($rU == "103") prefix("9");
		if ($rU == "104") strip(2);
		if ($rU == "105") $rd = "10.20.0.11";
		if ($rU == "106") $rU = "alice";
		if ($rU == "107") seturi("sip:alice@10.20.0.11");
		$du = "sip:10.20.0.11:5060";
		forward();
		exit;
	}
	switch ($rU) {
	case "uri":
		forward();
		exit;
	case "answer":
		append_to_reply("X-Long: LONG\\r\\n");
		sl_send_reply("404", "Not Here");
		exit;
	case "bypass":
		if (is_present_hf("X-Trusted")) append_hf("X-Seen: yes\\r\\n");
		remove_hf("X-Trusted");
		remove_hf("Subject");
		break;
	}
	if ($rU =~ "^inject") {
		append_hf("X-User: $rU\\r\\n");
		append_hf("X-Bare: $rb\\r\\n");
		append_hf("X-From: $fn\\r\\n");
	}
	if (af == INET6) $du = "sip:[fd00:20::11]:5060"; else $du = "sip:10.20.0.11:5060";
	forward();
}
""".replace("LONG", "x" * 400)


class Hostile(Stand):
    def __init__(self):
        super().__init__(script=SCRIPT, modules=MODULES)
        self.wire = Wire(self.lab, "caller", "eth0")
        w = self.wire
        w.send(Ether(dst="ff:ff:ff:ff:ff:ff", src=w.mac) / ARP(op=1, hwsrc=w.mac, psrc="10.10.0.2", pdst="10.10.0.1"))
        self.mac = w.gather(2, lambda f: ARP in f and f[ARP].op == 2, stop_after=1)[0][ARP].hwsrc

    def ether(self, **kw):
        return Ether(**{"dst": self.mac, "src": self.wire.mac, **kw})

    def frame(self, frame, counter, seconds=3):
        """Sends one frame and waits until it is counted as a drop for this reason."""
        before = self.balanced()
        self.wire.send(frame)
        end = time.monotonic() + seconds
        while self.balanced().get(f"drop/{counter}", 0) == before.get(f"drop/{counter}", 0):
            assert time.monotonic() < end, (counter, changed(before, self.balanced()))
            time.sleep(0.005)

    def dropped_frames(self, text, counter, family=4):
        """A message that came in several frames is dropped for this reason."""
        moved = self.send(text, family)
        # The networks' own frames (ARP, neighbour discovery) come when they like, and end in the kernel.
        assert moved[f"drop/{counter}"] == moved["in"] - moved.get("kernel", 0) == moved["dropped"] and "answered" not in moved, moved
        assert self.answer(0.05) is None and self.wait([*self.backend.values()], 0)[1] is None

    def still_forwards(self):
        self.forwarded(self.request("plain"))

    def request(self, user="plain", method="OPTIONS", host="10.10.0.1", **kw):
        return self.caller[4].request(method, f"sip:{user}@{host}", **kw)


def changed(before, now):
    return {k: v - before.get(k, 0) for k, v in now.items() if isinstance(v, int) and v != before.get(k, 0)}


@pytest.fixture(scope="module")
def stand():
    s = Hostile()
    try:
        yield s
        s.still_forwards()
        s.finish()
    finally:
        s.close()


@pytest.fixture(autouse=True)
def equation(stand):
    stand.drain()
    yield
    stand.balanced()


def crossed(stand, text, family=4):
    """The message as the backend got it."""
    moved = stand.send(text, family)
    _, got = stand.wait([stand.backend[family]])
    assert got is not None, (moved, stand.answer(0.1))
    return got


# ---- headers in disguise, headers by injection ----

@pytest.mark.parametrize("line", [b"X-Trusted: me", b"x-tRUSTED: me", b"X-Trusted : me", b"X-Trusted\t: me", b"X-Trusted:me", b"X-Trusted: \r\n me",
                                  b"X-Trusted \t :\r\n\tme\r\n me", b"X-Trusted:", b"X-Trusted: a\r\nA: b\r\nx-trusted : c\r\nX-TRUSTED:\r\n d"])
def test_no_spelling_of_a_header_gets_past_its_removal(stand, line):
    text = stand.request("bypass", headers=["X-Mark: 1"]).replace(b"X-Mark: 1", line)
    got = crossed(stand, text)
    assert not got.all("x-trusted") and b"trusted" not in got.data.lower()
    assert got.all("x-seen") == ["yes"], "the script saw it"


@pytest.mark.parametrize("line", [b"Subject: hi", b"s: hi", b"S :hi", b"s\t:\r\n hi", b"subject: a\r\ns: b\r\nS: c"])
def test_compact_forms_are_removed_with_the_long_one(stand, line):
    got = crossed(stand, stand.request("bypass", headers=["X-Mark: 1"]).replace(b"X-Mark: 1", line))
    assert not got.all("subject") and not got.all("s")


def names(message):
    return [k.lower() for k, _ in message.headers]


@pytest.mark.parametrize("user", ["inject%0d%0aX-Evil%3a%20yes", "inject%0D%0A%0D%0Abody", "inject%0aX-Evil%3a%201", "inject%0dX-Evil%3a%201", "inject%00x",
                                  "inject%250d%250aX-Evil%3a%20x"])
def test_escaped_line_ends_never_become_headers(stand, user):
    moved = stand.send(stand.request(user))
    _, got = stand.wait([stand.backend[4]], 1)
    if got is None:
        answer = stand.answer(0.5)
        assert answer is not None and answer.status >= 400, moved
        return
    assert "x-evil" not in names(got) and got.body == b""
    head = got.data.partition(b"\r\n\r\n")[0]
    assert b"\x00" not in head
    for line in head.split(b"\r\n"):
        assert b"\r" not in line and b"\n" not in line
    assert got.all("x-user") == [user], "what was escaped stays escaped"


@pytest.mark.parametrize("uri", ["sip:plain@10.10.0.1?Route=%3Csip:10.20.0.12%3E", "sip:plain@10.10.0.1?Via=x&From=y", "sip:plain@10.10.0.1?%0d%0aVia:%20x=y"])
def test_headers_in_the_request_uri_are_refused(stand, uri):
    stand.answered(stand.caller[4].request("OPTIONS", uri), 400, port=None)


def test_headers_in_other_uris_stay_where_they_are(stand):
    extra = ["Refer-To: <sip:a@b.example?Route=%3Csip:evil.example%3E&Replaces=x%3Bto-tag%3D1>", "Contact: <sip:a@b.example?Via=%0d%0aX:%201>"]
    got = stand.forwarded(stand.request(headers=extra, contact=False))
    assert not got.all("route") and got.get("refer-to") == extra[0][10:]


def test_folded_and_quoted_line_ends_of_a_display_name_add_no_header(stand):
    text = stand.request("inject").replace(b"From: <", b'From: "a\r\n X-Evil: 1" <')
    moved = stand.send(text)
    _, got = stand.wait([stand.backend[4]], 1)
    if got is None:
        assert stand.answer(0.5).status >= 400, moved
    else:
        assert "x-evil" not in names(got)
        assert "x-evil: 1" not in got.data.decode("latin1").lower().split("\r\n")


# ---- odd values ----

ODD_VIAS = ["SIP/2.0/UDP :5060", "SIP/2.0/UDP host::5060", "SIP/2.0/UDP 1.2.3.4:99999", "SIP/2.0/UDP 1.2.3.4:0x13c4", "SIP/2.0/UDP", "SIP/2.0/UDP ;branch=x",
            "SIP/2.0/UDP [::1", "SIP/2.0/UDP fe80::1", "SIP/2.0 UDP h", "UDP h", "SIP/2.0/UDP h;received=nowhere", "SIP/2.0/UDP h;received=1.2.3.4;received=1.2.3.5",
            "SIP/2.0/UDP h;rport=70000", "SIP/2.0/UDP h;rport;rport", "SIP/2.0/UDP h;ttl=256", "SIP/2.0/UDP h;branch=a;branch=b", 'SIP/2.0/UDP h;x="a\\', "SIP/2.0/UDP h,",
            "SIP/2.0/UDP h;maddr=", "SIP/2.0/UDP h h"]


@pytest.mark.parametrize("via", ODD_VIAS)
def test_a_via_that_confuses_is_answered_to_the_source(stand, via):
    text = stand.request().split(b"\r\n")
    text[1] = b"Via: " + via.encode()
    got = stand.answered(b"\r\n".join(text), 400, port=None, reason="Via")
    assert got.data.split(b"\r\n")[1] == b"Via: " + via.encode()


@pytest.mark.parametrize("uri", ["sip:", "sip:@10.20.0.12", "sip::@h", "sip:a:@:5060", "sip:%", "sip:%4@h", "sip:%zz@h", "sip:a@h;x=%", "sip:a@1.2.3.4:65536", "sips:", "tel:"])
def test_request_uris_without_their_parts_are_400(stand, uri):
    stand.answered(stand.caller[4].request("OPTIONS", uri).replace(f"To: <{uri}>".encode(), b"To: <sip:x@y>"), 400, port=None, reason="URI")


def test_deep_escapes_cross_as_they_are(stand):
    for user in ("%25" * 2000, "%41" * 3000, "%00" * 1000, "%2525252525252541", "a%0"[:1] + "%25" * 10 + "30"):
        assert len(stand.forwarded(stand.request(user)).uri) > len(user)


@pytest.mark.parametrize("number", range(100, 108))
def test_rewriting_a_tel_uri_breaks_nothing(stand, number):
    """CVE-2023-27597: a host or a user set in a URI that has none. What leaves is one well-formed request, or nothing and a reply."""
    moved = stand.send(stand.caller[4].request("MESSAGE", f"tel:{number};phone-context=example.com", body="hi").replace(b"To: <tel:", b"To: <sip:x@"))
    _, got = stand.wait([stand.backend[4]], 1)
    if got is None:
        answer = stand.answer(0.5)
        assert answer is not None and 400 <= answer.status < 600, moved
    else:
        assert got.method == "MESSAGE" and got.uri.split(":")[0] in ("tel", "sip") and got.body == b"hi"
        assert " " not in got.uri and "@@" not in got.uri


@pytest.mark.parametrize("uri", ["urn:service:sos", "urn:", "tel+x:1", "http://10.20.0.12/", "data:,x"])
def test_other_schemes_are_416_or_400(stand, uri):
    stand.answered(stand.caller[4].request("MESSAGE", uri).replace(f"To: <{uri}>".encode(), b"To: <sip:x@y>"), 400 if uri == "urn:" else 416, port=None)


# ---- sizes ----

def test_500_vias(stand):
    lines = b"".join(b"Via: SIP/2.0/UDP h%d.example;branch=z9hG4bK%d\r\n" % (i, i) for i in range(500))
    # The reply would have to bear all of them (RFC 3261 8.2.6.2), and no more than 128 header fields are looked at.
    stand.dropped_frames(stand.request().replace(b"Max-Forwards", lines + b"Max-Forwards"), "headers_max")
    stand.answered(stand.request(headers=["X: y"] * 500), 513, port=None, reason="Header Fields")
    one = stand.request().replace(b"Max-Forwards", b"v: " + b", ".join(b"SIP/2.0/UDP h%d;branch=z9hG4bK%d" % (i, i) for i in range(500)) + b"\r\nMax-Forwards")
    assert len(stand.forwarded(one).vias()) == 502


@pytest.mark.parametrize("what", ["tag", "call_id", "branch", "method", "uri", "accepts", "name", "folds", "via_parameter", "digest"])
def test_oversized_tokens_cross_whole(stand, what):
    """CVE-2018-8828, CVE-2017-9372, CVE-2020-27507: fixed buffers. Nothing is cut: it crosses as it came or is refused."""
    long = "n" * 5000
    text = {"tag": lambda: stand.request(from_tag=long), "call_id": lambda: stand.request(call_id=long + "@h"), "branch": lambda: stand.request(branch="z9hG4bK" + long),
            "method": lambda: stand.request(method="M" * 5000), "uri": lambda: stand.request(long), "accepts": lambda: stand.request(headers=["Accept: a/b"] * 50),
            "name": lambda: stand.request(headers=["N" * 255 + ": x"]), "folds": lambda: stand.request(headers=["X: a" + "\r\n b" * 10000]),
            "via_parameter": lambda: stand.request().replace(b";rport", f";{long}={long};rport".encode(), 1),
            "digest": lambda: stand.request(headers=['Authorization: Digest\r\n realm="x", nonce="' + "k" * 20000 + '", username*=', "Authorization: Digest", "Proxy-Authorization: Digestn a="])}[what]()
    stand.forwarded(text)


def test_a_header_name_beyond_its_bound_is_refused(stand):
    stand.answered(stand.request(headers=["N" * 256 + ": x"]), 400, port=None, reason="Header Name")


@pytest.mark.parametrize("family", [4, 6])
def test_datagrams_of_any_size_up_to_udps_own(stand, family):
    caller = stand.caller[family]
    host = "10.10.0.1" if family == 4 else "[fd00:10::1]"

    def message(size):
        text = caller.request("MESSAGE", f"sip:plain@{host}", body="b" * 60000)
        more = size - len(text)
        return text.replace(b"Content-Length: 60000", b"Content-Length: %d" % (60000 + more)) + b"b" * more

    whole = message(64000)
    assert len(whole) == 64000
    stand.forwarded(whole, family)
    # What IPv6 can carry beyond 65,535 bytes with its headers is longer than any buffer.
    for size in (64001, 65507 if family == 4 else 65487):
        stand.answered(message(size), 513, family, port=None, reason="Too Large")
    if family == 6:
        stand.dropped_frames(message(65507), "reassembly_too_big", 6)


def test_bodies_are_opaque(stand):
    for kind, body in (("multipart/mixed", b"--\r\n--\r\n"), ("multipart/mixed;boundary=", b"----"), ("multipart/mixed;boundary=x", b"--x\r\nA: b\r\n--x"),
                       ("multipart/mixed;boundary=x", b"\n--x\n\n--x--\n"), ("application/sdp", b"v=0\r\nm=\r\na=\r\nc=" + b"x" * 300),
                       ("application/sdp", b"a=fmtp:-1 " + b"y" * 20000), ("application/xml", b"<a>" * 10000), ("text/plain", b"\r\n\r\nINVITE sip:x SIP/2.0\r\n\r\n")):
        text = stand.request(method="MESSAGE", headers=[f"Content-Type: {kind}"], body=body)
        assert stand.forwarded(text).body == body


# ---- what is no SIP ----

def test_other_protocols_get_no_answer(stand):
    stun = b"\x00\x01\x00\x00\x21\x12\xa4\x42" + b"t" * 12
    junk = [b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + os.urandom(500), b"\x80\x00\x12\x34" + b"\x00" * 160, b"\x12\x34\x01\x00\x00\x01\x00\x00\x00\x00\x00\x00\x07example\x00\x00\x01\x00\x01",
            stun[:2] + b"\x00\x08" + stun[4:], stun[:2] + b"\xff\xfc" + stun[4:], stun[:19], b"\x00\x01\x00\x03" + stun[4:] + b"abc", b"\x01\x01" + stun[2:],
            b"GET / HTTP/1.1\r\nHost: x\r\n\r\n", b"\x00\x00\x00\x00", b"\r\n", b"\r", b"\n\n", b"x"]
    before = stand.balanced()
    for data in junk:
        stand.caller[4].send(data, stand.edge[4])
    assert stand.answer(0.5) is None and stand.wait([stand.backend[4]], 0)[1] is None
    assert changed(before, stand.balanced())["dropped"] == len(junk)


def test_a_flood_of_garbage_writes_no_log(stand):
    size = len(stand.lab.log())
    before = stand.balanced()
    data = [b"INVITE sip:x SIP/2.0\r\n\x00" + os.urandom(40) for _ in range(50)] + [os.urandom(200) for _ in range(50)]
    for _ in range(30):
        for d in data:
            stand.caller[4].send(d, stand.edge[4])
        time.sleep(0.01)
    time.sleep(0.2)
    stand.drain()
    assert changed(before, stand.balanced())["dropped"] > 1500
    assert len(stand.lab.log()) - size < 2000


# ---- reflections ----

def only_replies(stand, seconds):
    out, end = [], time.monotonic() + seconds
    while time.monotonic() < end:
        got = stand.answer(max(0.01, end - time.monotonic()))
        if got is not None:
            out.append(got)
    return out


def test_one_reply_without_a_100_and_without_retransmissions(stand):
    stand.caller[4].send(stand.request("answer", method="INVITE"), stand.edge[4])
    replies = only_replies(stand, 1.3)
    assert [r.status for r in replies] == [404]


def test_a_reply_never_exceeds_one_and_a_half_requests(stand):
    small = b"OPTIONS sip:answer@h SIP/2.0\r\nv:SIP/2.0/UDP h;branch=z9hG4bK1;rport\r\nf:<sip:a@b>;tag=1\r\nt:<sip:c@d>\r\ni:1\r\nCSeq:1 OPTIONS\r\nX-Pad: 0123456789012345678901234567890123456789\r\n\r\n"
    got = stand.answered(small, 404, port=None)
    assert got.get("x-long") is None, "what the script adds goes before the bound is broken"
    tiny = b"OPTIONS sip:answer@h SIP/2.0\r\nv:SIP/2.0/UDP h;rport\r\nf:a:b\r\nt:a:b\r\ni:1\r\nCSeq:1 OPTIONS\r\n\r\n"
    moved = stand.send(tiny)
    replies = only_replies(stand, 0.2)
    if moved.get("drop/reply_size"):
        assert not replies
    else:
        assert len(replies) == 1 and len(replies[0].data) <= 1.5 * len(tiny)
    full = stand.request("answer", headers=["X-Pad: " + "p" * 1200])
    got = stand.answered(full, 404, port=None)
    assert len(got.get("x-long")) == 400


@pytest.mark.parametrize("user", ["plain", "answer"])
def test_received_and_rport_of_the_sender_are_overwritten(stand, user):
    text = stand.request(user).split(b"\r\n")
    text[1] = b"Via: SIP/2.0/UDP 10.20.0.12:5060;received=10.20.0.12;branch=z9hG4bKvictim" + user.encode() + b";rport=53"
    text = b"\r\n".join(text)
    victim = UA(stand.lab, "b2", "10.20.0.12", 5060)
    try:
        if user == "plain":
            request = crossed(stand, text)
            stand.backend[4].answer(request, 200)
        else:
            stand.send(text)
        at, got = stand.wait([*stand.caller.values(), *stand.at_port])
        assert got is not None and at.port == stand.caller[4].port
        parameters = got.vias()[0].split(";")[1:]
        assert [p for p in parameters if p.startswith("received")] == ["received=10.10.0.2"]
        assert [p for p in parameters if p.startswith("rport")] == [f"rport={stand.caller[4].port}"]
        assert victim.silent(0.3)
    finally:
        victim.close()


FORBIDDEN = ["224.0.1.75", "239.255.255.1", "255.255.255.255", "127.0.0.1", "127.9.9.9", "0.0.0.0", "0.1.2.3", "240.0.0.1"]
FORBIDDEN6 = ["ff02::1", "ff0e::1", "::1", "::", "::ffff:10.20.0.12"]


@pytest.mark.parametrize("address", FORBIDDEN)
def test_no_reply_goes_to_a_via_maddr_of_many_or_of_ourselves(stand, address):
    text = stand.request("answer").split(b"\r\n")
    text[1] = f"Via: SIP/2.0/UDP 10.10.0.2:5060;maddr={address};ttl=16;branch=z9hG4bKm".encode()
    stand.dropped(stand.send(b"\r\n".join(text)), "reply_target")


@pytest.mark.parametrize("uri", [f"sip:uri@{a}" for a in FORBIDDEN] + [f"sip:uri@[{a}]" for a in FORBIDDEN6] + [f"sip:uri@10.20.0.12;maddr={a}" for a in FORBIDDEN])
def test_no_request_goes_to_many_or_to_ourselves(stand, uri):
    """RFC 4475 3.3.10's reasoning for requests: the Request-URI is the caller's word, and only one host may be meant by it."""
    got = stand.answered(stand.caller[4].request("MESSAGE", uri), 403, port=None)
    assert got.status == 403


def test_the_networks_own_broadcast_address_is_no_destination(stand):
    wire = Wire(stand.lab, "lan", "br0")
    moved = stand.send(stand.request("uri", host="10.20.0.255"))
    assert "forwarded" not in moved
    assert not wire.gather(0.3, lambda f: UDP in f)
    stand.drain()


def test_a_request_to_our_own_address_is_a_loop(stand):
    for host in ("10.10.0.1", "10.20.0.1", "10.20.0.1:5060;transport=udp"):
        stand.send(stand.request("uri", host=host))
        replies = only_replies(stand, 0.3)
        assert [r.status for r in replies] == [482], (host, replies)


@pytest.mark.parametrize("source,counter", [("224.0.0.9", "ip_source"), ("127.0.0.1", "ip_source"), ("0.0.0.0", "ip_source"), ("255.255.255.255", "ip_source")])
def test_impossible_sources_are_not_answered(stand, source, counter):
    stand.wire.drain()
    stand.frame(stand.ether() / IP(src=source, dst="10.10.0.1") / UDP(sport=5060, dport=5060) / Raw(stand.request("answer")), counter)
    assert not stand.wire.gather(0.2, lambda f: UDP in f)


def test_no_storm_from_a_packet_that_claims_to_be_from_us(stand):
    """Source and destination are the listener itself: at most one turn, and an end."""
    before = stand.balanced()
    for payload in (stand.request("answer"), stand.request("plain"), b"\r\n\r\n", b"SIP/2.0 200 OK\r\n\r\n"):
        for address, port in (("10.10.0.1", 5060), ("10.20.0.1", 5060)):
            stand.wire.send(stand.ether() / IP(src=address, dst="10.10.0.1") / UDP(sport=port, dport=5060) / Raw(payload))
    time.sleep(0.5)
    first = stand.balanced()
    time.sleep(0.3)
    now = stand.balanced()
    assert changed(before, first)["in"] >= 8 and changed(before, now).get("looped", 0) <= 16
    assert changed(first, now).get("sip_requests", 0) == 0 and changed(first, now).get("sip_responses", 0) == 0
    stand.drain()


# ---- forged responses ----

def test_guessed_and_embellished_responses_go_nowhere(stand):
    request = crossed(stand, stand.request(method="INVITE"))
    good = stand.backend[4].reply(request, 200)
    top, below = request.vias()
    token = top.split("sp=")[1]
    forged = [good.replace(token.encode(), os.urandom(8).hex().encode().translate(bytes.maketrans(b"0189", b"abcd"))) for _ in range(40)]
    forged += [good.replace(b"Via: " + below.encode(), b"Via: SIP/2.0/UDP 10.20.0.12;branch=z9hG4bKx\r\nVia: " + below.encode()),
               good.replace(b"Via: " + below.encode(), b"Via: " + below.encode().replace(b"10.10.0.2", b"10.20.0.12")),
               good.replace(b"Via: " + below.encode(), b"Via: " + below.encode() + b";maddr=10.20.0.12"),
               good.replace(b"Via: " + top.encode() + b"\r\n", b""),
               good.replace(b"Via: " + below.encode() + b"\r\n", b""),
               good.replace(b"Via: " + top.encode(), b"Via: " + top.encode() + b", " + top.encode()),
               good.replace(top.encode(), top.encode().split(b";sp=")[0]),
               good.replace(b" INVITE\r\n", b" BYE\r\n"), good.replace(b"CSeq: 1 ", b"CSeq: 3 ")]
    victim = UA(stand.lab, "b2", "10.20.0.12", 5060)
    before = stand.balanced()
    for i, text in enumerate(forged):
        assert text != good
        # From the core, and from the edge where attackers are.
        ua, to = (stand.backend[4], stand.core[4]) if i % 2 else (stand.caller[4], stand.edge[4])
        ua.send(text, to)
    assert stand.answer(0.5) is None and victim.silent(0.1) and stand.wait([stand.backend[4]], 0)[1] is None
    moved = changed(before, stand.balanced())
    assert moved["dropped"] == len(forged)
    assert sum(moved.get(f"drop/{k}", 0) for k in ("via_mac", "via_not_ours", "via_none_below", "via", "missing_via")) == len(forged), moved
    stand.backend[4].send(good, stand.core[4])
    assert stand.answer().status == 200
    victim.close()


def test_a_good_response_of_one_call_serves_no_other(stand):
    one, two = (crossed(stand, stand.request(method="INVITE")) for _ in range(2))
    reply = stand.backend[4].reply(two, 200)
    stand.dropped(stand.respond(reply.replace(two.vias()[0].encode(), one.vias()[0].encode())), "via_mac")


def test_retransmissions_without_end_leave_alike(stand):
    text = stand.request(method="INVITE")
    for _ in range(10):
        for _ in range(40):
            stand.caller[4].send(text, stand.edge[4])
        time.sleep(0.01)
    seen = set()
    while (got := stand.wait([stand.backend[4]], 0.4)[1]) is not None:
        seen.add(got.data)
    assert len(seen) == 1


# ---- lies of length (frames by hand) ----

def sip_frame(stand, user="plain", **udp):
    return stand.ether() / IP(src="10.10.0.2", dst="10.10.0.1") / UDP(sport=stand.caller[4].port, dport=5060, **udp) / Raw(stand.request(user))


def test_lengths_that_lie(stand):
    plain = bytes(sip_frame(stand))
    ip, udp = 14, 34

    def put(at, data, frame=plain, fix=True):
        out = bytearray(frame)
        out[at:at + len(data)] = data
        if fix:
            out[24:26] = b"\0\0"
            total = sum(struct.unpack(f"!{(out[ip] & 15) * 2}H", bytes(out[ip:ip + (out[ip] & 15) * 4]))) if (out[ip] & 15) >= 5 else 0
            total = (total & 0xffff) + (total >> 16)
            total = (total & 0xffff) + (total >> 16)
            out[24:26] = struct.pack("!H", ~total & 0xffff)
        return bytes(out)

    length = len(plain) - 14
    for frame, counter in [(put(udp + 4, b"\x00\x00"), "udp_length"), (put(udp + 4, b"\x00\x07"), "udp_length"), (put(udp + 4, struct.pack("!H", length - 20 + 1)), "udp_length"),
                           (put(udp + 4, b"\xff\xff"), "udp_length"), (put(ip + 2, struct.pack("!H", length + 1)), "ip_length"), (put(ip + 2, b"\xff\xff"), "ip_length"),
                           (put(ip + 2, b"\x00\x13"), "ip_length"), (put(ip + 2, struct.pack("!H", 27)), "udp_length"), (put(ip, b"\x44"), "ip_header"), (put(ip, b"\x40"), "ip_header"),
                           (put(ip, b"\x55"), "ip_version"), (put(ip, b"\x05"), "ip_version"), (put(ip + 10, b"\xde\xad", fix=False), "ip_checksum"), (plain[:30], "frame_short"),
                           (put(udp + 2, b"\x00\x00"), "udp_port")]:
        stand.frame(frame, counter)
    assert stand.wait([stand.backend[4]], 0.1)[1] is None


def test_padding_behind_the_packet_is_no_part_of_it(stand):
    keepalive = stand.ether() / IP(src="10.10.0.2", dst="10.10.0.1") / UDP(sport=stand.caller[4].port, dport=5060) / Raw(b"\r\n\r\n")
    stand.wire.send(bytes(keepalive).ljust(60, b"\xaa"))
    assert stand.answer().data == b"\r\n"
    text = stand.request()
    stand.wire.send(bytes(stand.ether() / IP(src="10.10.0.2", dst="10.10.0.1") / UDP(sport=stand.caller[4].port, dport=5060) / Raw(text)) + b"\xbb" * 40)
    got = stand.wait([stand.backend[4]])[1]
    assert got.body == b"" and b"\xbb" not in got.data


def test_udp_without_payload_is_dropped_alone(stand):
    stand.frame(stand.ether() / IP(src="10.10.0.2", dst="10.10.0.1") / UDP(sport=9, dport=5060), "keepalive")


# ---- IPv6 extension headers ----

def six(stand, *headers, text=None):
    text = text or stand.caller[6].request("MESSAGE", "sip:plain@[fd00:10::1]")
    packet = IPv6(src="fd00:10::2", dst="fd00:10::1")
    for h in headers:
        packet = packet / h
    return packet / UDP(sport=stand.caller[6].port, dport=5060) / Raw(text)


def sum6(packet):
    """The checksum as it is without extension headers: they are no part of it (RFC 8200 8.1)."""
    plain = IPv6(bytes(IPv6(src="fd00:10::2", dst="fd00:10::1") / packet[UDP].copy()))
    packet[UDP].chksum = plain[UDP].chksum
    return packet


def test_extension_headers_are_walked_within_bounds(stand):
    for headers in ((IPv6ExtHdrHopByHop(),), (IPv6ExtHdrDestOpt(),), (IPv6ExtHdrHopByHop(), IPv6ExtHdrDestOpt(), IPv6ExtHdrDestOpt()), (IPv6ExtHdrFragment(id=7),),
                    (IPv6ExtHdrDestOpt(), IPv6ExtHdrFragment(id=8))):
        stand.wire.send(stand.ether() / sum6(six(stand, *headers)))
        got = stand.wait([stand.backend[6]])[1]
        assert got is not None and got.method == "MESSAGE", [h.name for h in headers]
    for headers, counter in (((IPv6ExtHdrDestOpt(),) * 9, "ip_extensions"), ((IPv6ExtHdrDestOpt(),) * 100, "ip_extensions"),
                             ((IPv6ExtHdrRouting(type=0, segleft=1, addresses=["fd00:20::12"]),), "ip_routing_header"),
                             ((IPv6ExtHdrDestOpt(), IPv6ExtHdrHopByHop()), "ip_extensions")):
        stand.frame(stand.ether() / sum6(six(stand, *headers)), counter)
    lie = bytearray(bytes(stand.ether() / sum6(six(stand, IPv6ExtHdrDestOpt()))))
    lie[14 + 40 + 1] = 255
    stand.frame(bytes(lie), "ip_extensions")
    assert stand.wait([stand.backend[6]], 0.1)[1] is None


def test_a_first_fragment_without_the_udp_header_is_refused(stand):
    """RFC 7112 for IPv6; IPv4's tiny fragment (RFC 1858) is put together like any other."""
    stand.frame(stand.ether() / IPv6(src="fd00:10::2", dst="fd00:10::1", nh=44) / IPv6ExtHdrFragment(nh=60, offset=0, m=1, id=5) / Raw(b"\x11\x00" + b"\x01\x04\0\0\0\0"), "ip_extensions")
    text = stand.request()
    whole = bytes(IP(bytes(IP(src="10.10.0.2", dst="10.10.0.1") / UDP(sport=stand.caller[4].port, dport=5060) / Raw(text))).payload)
    for off, more in ((0, 1), (8, 1), (16, 0)):
        piece = whole[off:off + 8] if more else whole[off:]
        stand.wire.send(stand.ether() / IP(src="10.10.0.2", dst="10.10.0.1", proto=17, id=4242, flags=more, frag=off // 8) / Raw(piece))
    assert stand.wait([stand.backend[4]])[1].method == "OPTIONS"


# ---- fragments ----

def test_fragments_that_cannot_be(stand):
    for offset, data, more, counter in ((8191, b"x" * 800, 0, "fragment_size"), (8189, b"x" * 24, 0, "fragment_size"), (10, b"", 1, "fragment_size"), (10, b"x" * 13, 1, "fragment_size")):
        stand.frame(stand.ether() / IP(src="10.10.0.2", dst="10.10.0.1", proto=17, id=77, frag=offset, flags=more) / Raw(data), counter)


def test_5000_half_datagrams_end_and_hinder_nobody(stand):
    """First halves only, from one source: bounded by source, gone after 2 s, while others' datagrams are put together."""
    before = stand.balanced()
    head = bytes(stand.ether() / IP(src="10.10.0.77", dst="10.10.0.1", proto=17, flags=1) / Raw(b"\x13\xc4\x13\xc4\x10\x00\x00\x00" + b"y" * 600))
    for i in range(5000):
        frame = bytearray(head)
        frame[18:20] = struct.pack("!H", i)
        frame[24:26] = b"\0\0"
        total = sum(struct.unpack("!10H", bytes(frame[14:34])))
        total = (total & 0xffff) + (total >> 16)
        frame[24:26] = struct.pack("!H", ~((total & 0xffff) + (total >> 16)) & 0xffff)
        stand.wire.send(bytes(frame))
        if i % 100 == 0:
            time.sleep(0.005)
        if i == 4000:
            body = "z" * 5000
            stand.caller[4].send(stand.request(method="MESSAGE", body=body), stand.edge[4])
            got = stand.wait([stand.backend[4]])[1]
            assert got is not None and len(got.body) == 5000
    assert stand.balanced()["held"] < 2500, "what one source may hold is bounded"
    end = time.monotonic() + 6
    while stand.balanced()["held"] > 0:
        assert time.monotonic() < end
        time.sleep(0.05)
    moved = changed(before, stand.balanced())
    lost = sum(moved.get(f"drop/{k}", 0) for k in ("reassembly_full", "reassembly_timeout"))
    assert lost == moved["dropped"] > 3000, moved


# ---- link layer ----

def test_frames_of_others_and_of_our_own(stand):
    w = stand.wire
    sip = IP(src="10.10.0.2", dst="10.10.0.1") / UDP(sport=stand.caller[4].port, dport=5060) / Raw(stand.request())
    stand.frame(stand.ether(dst="02:00:00:00:00:99") / sip, "not_our_mac")
    stand.frame(stand.ether(src=stand.mac) / sip, "own_mac")
    before = stand.balanced()
    for dst in ("ff:ff:ff:ff:ff:ff", "01:00:5e:00:01:4b", "33:33:00:00:00:01"):
        w.send(stand.ether(dst=dst) / sip)
    for dst in ("10.10.0.255", "255.255.255.255", "224.0.1.75"):
        w.send(stand.ether(dst="ff:ff:ff:ff:ff:ff") / IP(src="10.10.0.2", dst=dst) / UDP(sport=stand.caller[4].port, dport=5060) / Raw(stand.request()))
    assert stand.wait([stand.backend[4]], 0.4)[1] is None and stand.answer(0) is None
    assert changed(before, stand.balanced()).get("sip_requests", 0) == 0, "SIP to many is not ours to answer"
    w.send(stand.ether()[0] / Raw(b"\x00" * 3))
    w.send(Ether(dst=stand.mac, src="01:02:03:04:05:06") / sip)
    stand.drain()


def test_a_flood_of_arp_and_ping_keeps_sip_alive(stand):
    before = stand.balanced()
    arp = [bytes(stand.ether(dst="ff:ff:ff:ff:ff:ff") / ARP(op=1, hwsrc=stand.wire.mac, psrc=f"10.10.0.{2 + i % 200}", pdst="10.10.0.1")) for i in range(200)]
    lie = bytes(stand.ether(dst="ff:ff:ff:ff:ff:ff") / ARP(op=2, hwsrc="02:de:ad:00:00:01", psrc="10.10.0.1", hwdst="ff:ff:ff:ff:ff:ff", pdst="10.10.0.1"))
    ping = bytes(stand.ether() / IP(src="10.10.0.2", dst="10.10.0.1") / ICMP() / Raw(b"p" * 400))
    for i in range(20):
        for frame in arp:
            stand.wire.send(frame)
        for _ in range(50):
            stand.wire.send(lie)
            stand.wire.send(ping)
        if i % 4 == 0:
            # What the interface's own queue loses under the flood comes again, as SIP over UDP does.
            stand.drain()
            text = stand.request()
            for _ in range(6):
                stand.caller[4].send(text, stand.edge[4])
                if stand.wait([stand.backend[4]], 0.5)[1] is not None:
                    break
            else:
                pytest.fail("nothing crosses beside the flood")
    moved = changed(before, stand.balanced())
    assert moved["in"] >= 1000
    stand.drain()
    time.sleep(0.2)
    stand.still_forwards()
