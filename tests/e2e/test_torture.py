# SPDX-License-Identifier: BSD-3-Clause
"""RFC 4475 and RFC 5118 on the wire: each message is sent to a running siplane, and the RFC's own outcome is held.

The archives lie outside this tree (SIPLANE_SHARED, or ../shared beside the checkout) and are read from there; each case
carries the sentence of the RFC that asks for its outcome, of a proxy where the RFC tells roles apart, and another test
looks the sentences up. Messages of our own for the same points follow below, for a tree without the archives.

RFC 4475's responses bear somebody else's top Via. A stateless proxy has one answer to those (RFC 3261 16.11: "If the
address does not match the proxy, the message MUST be silently discarded"), which is tested; then each comes again with
a Via of ours on top, won by forwarding a request with the same Call-ID, CSeq and Via below.
"""
import os
import pathlib
import re

import pytest

from stand import Stand, expected

pytestmark = pytest.mark.sanitize

ROOT = pathlib.Path(__file__).resolve().parents[2]
SHARED = pathlib.Path(os.environ.get("SIPLANE_SHARED") or ROOT.parent / "shared")
# The ports that the messages' top Vias name: replies go there (RFC 3261 18.2.2), and to the packet's source address.
PORTS = (5060, 5050, 6050, 19823)


@pytest.fixture(scope="module")
def stand():
    s = Stand(PORTS)
    try:
        yield s
        s.finish()
    finally:
        s.close()


@pytest.fixture(autouse=True)
def equation(stand):
    yield
    stand.balanced()


def corpus(folder, name, ending):
    path = SHARED / "corpus" / folder / f"{name}.{ending}"
    if not path.exists():
        pytest.skip(f"no {path.name}: the archive of the RFC's messages is not here (SIPLANE_SHARED)")
    return path.read_bytes()


# ---- what may become of a message ----

class Forward:
    def __init__(self, keep=(), top_received=None):
        self.keep, self.top_received = keep, top_received

    def hold(self, stand, text, family):
        got = stand.forwarded(text, family, self.top_received)
        for piece in self.keep:
            assert piece in got.data, piece
        return got


class Reply:
    """`port` None: the packet's own source port."""

    def __init__(self, status, reason, port=5060, has=(), lacks=()):
        self.status, self.reason, self.port, self.has, self.lacks = status, reason, port, has, lacks

    def hold(self, stand, text, family):
        got = stand.answered(text, self.status, family, self.port, self.reason)
        for piece in self.has:
            assert piece in got.data, (piece, got)
        for piece in self.lacks:
            assert piece not in got.data, (piece, got)
        return got


class Drop:
    def __init__(self, counter):
        self.counter = counter

    def hold(self, stand, text, family):
        stand.dropped(stand.send(text, family), self.counter)


FORWARD = Forward()

# Name, outcome, the sentence. Forwarded means: octet for octet but for what RFC 3261 16.6 and 18.2.1 have a proxy change.
RFC4475 = [
    # 3.1.1.1: also Route, Contact and both unknown header fields go on as they are, folds and all.
    ("wsinv", Forward(keep=(b"UnknownHeaderWithUnusualValue: ;;,,;;,;\r\n", b"MaX-fOrWaRdS: 67\r\n",
                            b"NewFangledHeader:   newfangled value\r\n continued newfangled value\r\n")),
     "Proxies would forward this header field unchanged."),
    ("intmeth", Forward(keep=(b"!interesting-Method0123456789_*+`.%indeed'~ sip:1_unusual.URI~", b"\\\x00")),
     "If this unusual URI has been defined at a proxy, the proxy will forward this request normally."),
    ("esc01", Forward(keep=(b"sip:sips%3Auser%40example.com@example.net", b"%6C%72;n%61me=v%61lue%25%34%31")),
     "A parser must accept this as a well-formed message."),
    ("escnull", Forward(keep=(b"null-%00-null", b"<sip:%00%00@host5.example.com>")),
     "The message is well formed - parsers must accept this message."),
    ("esc02", Forward(keep=(b"RE%47IST%45R sip:registrar.example.com SIP/2.0\r\n", b"C%6Fntact: ")),
     "A proxy would forward or reject the message depending on what the Request-URI meant to it."),
    ("lwsdisp", FORWARD, "Elements should accept this request as well formed."),
    ("longreq", FORWARD, "This well-formed request contains header fields with many values and values that are very long."),
    ("dblreq", FORWARD,
     "If the element is a proxy choosing to forward the REGISTER, the INVITE octets would not appear in the forwarded request."),
    ("semiuri", Forward(keep=(b"OPTIONS sip:user;par=u%40example.net@example.com SIP/2.0\r\n",)),
     "Receiving elements will accept this as a well-formed message."),
    ("transports", FORWARD,
     "Elements receiving this message would process it exactly as if the 2nd and subsequent header field values specified UDP "
     "(or other transport)."),
    # The body has 553 octets, NULs among them.
    ("mpart01", FORWARD, "Receivers must take care to frame the received message properly."),
    ("unreason", Drop("via_not_ours"), "This response is well formed. A parser must accept this message."),
    ("noreason", Drop("via_not_ours"), "This well-formed response contains no reason phrase. A parser must accept this message."),
    # 3.1.2: invalid. Of a top Via that cannot be read, the reply goes to where the packet came from, and bears the Via as it came.
    ("badinv01", Reply(400, "Via", port=None, has=(b"Via: SIP/2.0/UDP 192.0.2.15;;,;,,\r\n",)),
     "An element receiving this request should respond with a 400 Bad Request error."),
    ("clerr", Reply(400, "Content-Length"), "the receiving element should respond with a 400 Bad Request error."),
    ("ncl", Reply(400, "Content-Length"), "An element receiving this message should respond with an error."),
    ("scalar02", Reply(400, "CSeq"),
     "An element receiving this request should respond with a 400 Bad Request due to the CSeq error."),
    ("scalarlg", Drop("cseq"), "An element receiving this response will simply discard it."),
    ("quotbal", Reply(400, "To", port=5050), "An element receiving this request should return a 400 Bad Request error."),
    ("ltgtruri", Reply(400, "Request-URI"),
     "It is reasonable always to reject a request with this error with a 400 Bad Request."),
    ("lwsruri", Reply(400, "Request-URI"), "An element receiving this request should respond with a 400 Bad Request."),
    ("lwsstart", Reply(400, "Start Line"), "It is acceptable to reject this request as malformed."),
    ("trws", Reply(400, "Start Line"), "It is acceptable to reject this request as malformed."),
    ("escruri", Reply(400, "Request-URI", lacks=(b"\r\nRoute:",)),
     "If the element is a proxy, the escaped headers must not appear in the Request-URI of the forwarded request (and most "
     "certainly must not be translated into the actual header of the forwarded request)."),
    ("baddate", Forward(keep=(b"Date: Fri, 01 Jan 2010 16:00:00 EST\r\n",)),
     "an element shouldn't do that unless the contents of the Date header field were actually important to its processing"),
    ("regbadct", Reply(400, "Contact"),
     "It is reasonable for an element receiving this request to respond with a 400 Bad Request."),
    ("badaspec", Reply(400, "To"), "It is reasonable to reject this request with a 400 Bad Request response."),
    # The archive's copy has no blank line, which is what is named; with the line: test_baddn_with_its_blank_line.
    ("baddn", Reply(400, "End Of Headers"),
     "It is reasonable always to reject this kind of error with a 400 Bad Request response."),
    ("badvers", Reply(505, "Version Not Supported"),
     "The element should respond to the request with a 505 Version Not Supported error."),
    ("mismatch01", Reply(400, "CSeq Method"), "Any element receiving this request will respond with a 400 Bad Request."),
    ("mismatch02", Reply(501, "Method"),
     "A 400 Bad Request is also acceptable, but choosing a 501 (particularly at proxies) has better future-proof characteristics."),
    ("bigcode", Drop("status"), "An element receiving this response should simply drop it."),
    # 3.2
    ("badbranch", FORWARD, "or it could fall back to the RFC 2543-style transaction identifier."),
    # 3.3
    ("insuf", Reply(400, "Missing", lacks=(b"\r\nCall-ID", b"\r\nFrom", b"\r\nTo:")), "Ideally, it will respond with a 400 Bad Request error."),
    ("unkscm", Reply(416, "Unsupported URI Scheme"),
     "An element receiving this request will reject it with a 416 Unsupported URI Scheme response."),
    ("novelsc", Reply(416, "Unsupported URI Scheme"),
     "it is appropriate to treat it as unknown and return a 416 Unsupported URI Scheme response."),
    ("unksm2", FORWARD, "Proxies should treat this message as they would any other request for this URI."),
    ("bext01", Reply(420, "Bad Extension", has=(b"Unsupported: noProxiesSupportThis, norDoAnyProxiesSupportThis\r\n",),
                     lacks=(b"nothingSupportsThis",)),
     "Any element receiving this request will respond with a 420 Bad Extension response, containing an Unsupported header field "
     "listing these features from either the Require or Proxy-Require header field, depending on the role in which the element is "
     "responding."),
    ("invut", FORWARD, "A proxy receiving this request would process it just as it would any other INVITE."),
    ("regaut01", Forward(keep=(b"Authorization: NoOneKnowsThisScheme opaque-data=here\r\n",)),
     "If it forwards the request, it will include this Authorization header field unmodified in the forwarded messages."),
    ("multi01", Reply(400, "Repeated"), "An element receiving this request would respond with a 400 Bad Request error."),
    ("mcl01", Reply(400, "Repeated"), "An element receiving this message should respond with an error."),
    ("bcast", Drop("via_not_ours"), "To protect against this as an avenue of attack, proxies should drop such responses."),
    # RFC 3261 16.3 step 3 would let a proxy be the final recipient of an OPTIONS. Only one that asks for us gets that.
    ("zeromf", Reply(483, "Too Many Hops"),
     "A proxy should not forward the request and should respond 483 (Too Many Hops)."),
    ("cparam01", Forward(keep=(b"Contact: sip:+19725552222@gw1.example.net;unknownparam\r\n",)), "This REGISTER should succeed."),
    ("cparam02", Forward(keep=(b"Contact: <sip:+19725552222@gw1.example.net;unknownparam>\r\n",)), "The register should succeed"),
    ("regescrt", Forward(keep=(b"M: <sip:user@example.com?Route=%3Csip:sip.example.com%3E>\r\n",)), "The register should succeed"),
    # The refusals are those of a user agent; a proxy asks nothing of Accept (RFC 3261 16.3: other components are ignored).
    ("sdp01", FORWARD, "The recipient of this request could respond with a 406 Not Acceptable"),
    ("inv2543", Forward(keep=(b"Record-Route: <sip:UserB@example.com;maddr=ss1.example.com>\r\n", b"Max-Forwards: 70\r\n")),
     "should be accepted by RFC 3261 elements that want to maintain backwards compatibility."),
]

RFC5118 = [
    ("ipv6-good", FORWARD, "The request below is well-formatted according to the grammar in [RFC3261]."),
    ("ipv6-bad", Reply(400, "Request-URI"), "A SIP implementation receiving this request should respond with a 400 Bad Request error."),
    ("port-ambiguous", FORWARD, "From a parsing perspective, the request below is well-formed."),
    ("port-unambiguous", FORWARD, "This REGISTER request is well formatted per the grammar in [RFC3261]."),
    # What was written there by the sender gives way to what we saw (RFC 3261 18.2.1), without brackets:
    # "When sending a request, implementations must not put the delimiting "[" and "]" tokens."
    ("via-received-param-with-delim", Forward(keep=(b";received=fd00:10::2;",), top_received=b"[2001:db8::9:255]"),
     "robust implementations must nonetheless be able to parse the topmost Via header field and continue processing the request."),
    ("via-received-param-no-delim", Forward(keep=(b";received=fd00:10::2;",), top_received=b"2001:db8::9:255"),
     "This request is valid according to the grammar in [RFC3261]."),
    ("ipv6-in-sdp", FORWARD, "This request below is valid and well-formed according to the grammar in [RFC3261]."),
    ("mult-ip-in-header", FORWARD, "The Via list contains a mix of IPv4 addresses and IPv6 references."),
    ("mult-ip-in-sdp", FORWARD,
     "The SDP contains multiple media lines, and each media line is identified by a different network connection address."),
    ("ipv4-mapped-ipv6", FORWARD,
     "A SIP implementation receiving a message that contains such a mapped address must be prepared to parse it successfully."),
    ("ipv6-bug-abnf-3-colons", FORWARD, "an implementation must tolerate both of the above constructs."),
    ("ipv6-correct-abnf-2-colons", FORWARD, "The next message has the correct syntax for the IPv6 reference in the R-URI."),
]


@pytest.mark.parametrize("name,outcome,says", RFC4475, ids=[c[0] for c in RFC4475])
def test_rfc4475(stand, name, outcome, says):
    outcome.hold(stand, corpus("rfc4475", name, "dat"), 4)


@pytest.mark.parametrize("name,outcome,says", RFC5118, ids=[c[0] for c in RFC5118])
def test_rfc5118(stand, name, outcome, says):
    outcome.hold(stand, corpus("rfc5118-crlf", name, "sip"), 6)


def test_every_message_of_the_archives_is_in_the_tables():
    folder = SHARED / "corpus"
    if not folder.is_dir():
        pytest.skip("the archives of the RFCs' messages are not here (SIPLANE_SHARED)")
    assert len(RFC4475) == 49
    # test.dat is in the archive, but in no section of the RFC.
    assert {p.stem for p in (folder / "rfc4475").glob("*.dat")} - {"test"} == {c[0] for c in RFC4475}
    assert {p.stem for p in (folder / "rfc5118-crlf").glob("*.sip")} == {c[0] for c in RFC5118}


@pytest.mark.parametrize("rfc,table", [("rfc4475", RFC4475), ("rfc5118", RFC5118)], ids=["rfc4475", "rfc5118"])
def test_the_rfc_says_so(rfc, table):
    path = SHARED / "rfc" / f"{rfc}.txt"
    if not path.exists():
        pytest.skip(f"no {rfc}.txt (SIPLANE_SHARED)")
    lines = [line for line in path.read_text(errors="replace").split("\n")
             if not re.match(r"RFC \d|.*\[Page \d", line)]
    words = " ".join(" ".join(lines).split())
    for name, _, says in table:
        assert says in words, name


def test_baddn_with_its_blank_line(stand):
    """RFC 4475 3.1.2.15: what its archive's copy cannot show, since that lacks the end of its headers."""
    stand.answered(corpus("rfc4475", "baddn", "dat") + b"\r\n", 400, reason="From")


# ---- responses behind a Via of ours ----

@pytest.mark.parametrize("name", ["unreason", "noreason"])
def test_rfc4475_response_is_forwarded(stand, name):
    """RFC 4475 3.1.1.12, 3.1.1.13: reason phrase and body cross octet by octet; a 100 does too (RFC 3261 16.11)."""
    text = corpus("rfc4475", name, "dat")
    moved, without = stand.cross_response(text, top=0)
    assert moved["forwarded"] == 1
    at, got = stand.wait(stand.at_port)
    assert at.port == 5060 and got.data == expected_response(without)


def expected_response(text):
    head, blank, body = text.partition(b"\r\n\r\n")
    said = re.search(rb"(?im)^(?:content-length|l)[ \t]*:[ \t]*(\d+)", head)
    return head + blank + (body[:int(said.group(1))] if said else body)


def test_rfc4475_bad_responses_are_dropped_behind_our_via_too(stand):
    """RFC 4475 3.1.2.5, 3.1.2.19. No request with scalarlg's CSeq can have crossed; another's Via is as good here."""
    text = corpus("rfc4475", "bigcode", "dat")
    moved, _ = stand.cross_response(text, top=0)
    stand.dropped(moved, "status")
    text = corpus("rfc4475", "scalarlg", "dat")
    via = stand.forwarded(corpus("rfc4475", "regescrt", "dat")).all("via")[0]
    stand.dropped(stand.respond(text.replace(b"Via:", f"Via: {via}\r\nVia:".encode(), 1)), "cseq")


def test_rfc4475_bcast_goes_to_no_broadcast_address(stand):
    """
    RFC 4475 3.3.10. With the Via below ours as the archive has it no token of ours fits: dropped. Where a request really came with
    that Via, it is marked with `received` and the response goes back to whoever sent it. With a maddr nothing leads elsewhere: dropped.
    """
    text = corpus("rfc4475", "bcast", "dat")
    moved, without = stand.cross_response(text)
    assert moved["forwarded"] == 1
    at, got = stand.wait(stand.at_port)
    assert at.address == "10.10.0.2" and got.data == expected_response(without)
    seen = stand.forwarded(corpus("rfc4475", "regescrt", "dat")).all("via")[0]
    stand.dropped(stand.respond(text.replace(b"Via:", f"Via: {seen}\r\nVia:".encode(), 1)), "via_mac")
    for target in ("255.255.255.255", "224.0.0.5", "127.0.0.1", "0.0.0.0", "10.10.0.255"):
        moved, _ = stand.cross_response(text, next_via=f"SIP/2.0/UDP 192.0.2.7;maddr={target};branch=z9hG4bK1m")
        # Which address is a network's broadcast address is known to the kernel's table of routes.
        stand.dropped(moved, "no_route" if target == "10.10.0.255" else "response_target")


# ---- messages of our own for the same points ----

def own(*changes, start=b"OPTIONS sip:carol@example.net SIP/2.0", body=b""):
    """A request that is well formed but for the changes: (what stands there, what shall stand there)."""
    text = (start + b"\r\n"
            b"Via: SIP/2.0/UDP client.example.net;branch=z9hG4bKown1\r\n"
            b"Max-Forwards: 70\r\n"
            b"From: <sip:dan@example.net>;tag=aa1\r\n"
            b"To: <sip:carol@example.net>\r\n"
            b"Call-ID: own.1@client.example.net\r\n"
            b"CSeq: 1 " + start.split(b" ")[0] + b"\r\n"
            b"Contact: <sip:dan@client.example.net>\r\n"
            b"Content-Length: " + str(len(body)).encode() + b"\r\n\r\n" + body)
    for old, new in changes:
        assert old in text, old
        text = text.replace(old, new, 1)
    return text


PARTS = (b"--cut\r\nContent-Type: text/plain\r\n\r\nfirst\r\n--cut\r\nContent-Type: application/octet-stream\r\n\r\n"
         + bytes(range(256)) + b"\r\n--cut--\r\n")

OWN = {
    # RFC 4475 3.1.1.1
    "folds_everywhere": (own((b"Max-Forwards: 70", b"MAX-forwards:\r\n 0070"), (b"CSeq: 1 OPTIONS", b"cseq: 0001\r\n\t OPTIONS"),
                             (b"To: <sip:carol@example.net>", b"tO :\r\n <sip:carol@example.net>\r\n  "),
                             (b"Via: SIP/2.0/UDP client.example.net;", b"vIA :  SIP /  2.0\r\n / UDP\r\n\tclient.example.net ;\r\n ")), FORWARD),
    "lists_in_one_line_and_in_several": (own((b"\r\nMax", b" ,\r\n SIP / 2.0 / TCP second.example.net ; branch = z9hG4bKtwo\r\n"
                                              b"v: SIP/2.0/UDP third.example.net;branch=z9hG4bKthree, SIP/2.0/SCTP fourth.example.net\r\nMax")), FORWARD),
    "unknown_headers_of_any_shape": (own((b"Contact:", b"Odd-One: ;;,,;=;\r\nS :\r\nContact:")), FORWARD),
    # 3.1.1.2
    "method_of_all_token_characters": (own(start=b"!odd-Meth0d_*+`.%x'~ sip:o_d~(a!b)&c+d$e/f?,g;;*:p&q=1,w*$o~_(.')@example.com SIP/2.0"), FORWARD),
    "nul_in_a_quoted_pair": (own((b"To: <", b'To: "BEL:\\\x07 NUL:\\\x00 DEL:\\\x7f" <')), Forward(keep=(b"NUL:\\\x00 DEL",))),
    "call_id_of_all_word_characters": (own((b"own.1@client.example.net", b"w%ZK-!.*_+'@word`~)(><:\\/\"][?}{")), FORWARD),
    # 3.1.1.3 to 3.1.1.5
    "escapes_stay_escaped": (own((b"sip:carol@example.net SIP", b"sip:sips%3Ax%40y%2525@example.net;n%61me=v%61lue%25%34%31 SIP")), FORWARD),
    "escaped_nul_in_a_user": (own((b"<sip:carol@example.net>", b"<sip:a-%00-b@example.net>")), FORWARD),
    "percent_is_no_escape_in_names": (own((b"Contact:", b"C%6Fntact: <sip:second@example.net>\r\nContact:"), start=b"OPTI%4FNS sip:x@example.net SIP/2.0"), FORWARD),
    # 3.1.1.6, 3.1.1.7
    "no_blank_before_the_bracket": (own((b"From: <", b"From: dan<")), FORWARD),
    "long_values": (own((b"own.1@", b"r" * 3000 + b"@"), (b"tag=aa1", b"tag=" + b"7" * 2000), (b"\r\nMax", b"\r\nv: SIP/2.0/TCP far.example.net" * 40 + b"\r\nMax")), FORWARD),
    # 3.1.1.8
    "second_request_behind_the_body": (own(body=b"hello") + own(), FORWARD),
    "blank_lines_before_the_request": (b"\r\n\r\n" + own(), FORWARD),
    # 3.1.1.9 to 3.1.1.11
    "semicolon_in_the_user": (own((b"sip:carol@example.net SIP", b"sip:u;par=v%40example.org@example.net SIP")), FORWARD),
    "unknown_transports_below": (own((b"\r\nMax", b"\r\nVia: SIP/2.0/SCTP b.example.net;branch=z9hG4bKb\r\nVia: SIP/2.0/CARRIER-PIGEON c.example.net;branch=z9hG4bKc\r\nMax")), FORWARD),
    "several_bodies_and_any_octet": (own((b"Contact:", b"Content-Type: multipart/mixed;boundary=cut\r\nContact:"), body=PARTS), Forward(keep=(PARTS,))),
    # 3.1.2.1
    "separators_without_parameters_in_via": (own((b"client.example.net;branch=z9hG4bKown1", b"client.example.net;;,;,,")), Reply(400, "Via", port=None, has=(b"Via: SIP/2.0/UDP client.example.net;;,;,,\r\n",))),
    "separators_without_parameters_in_contact": (own((b"Contact: <sip:dan@client.example.net>", b"Contact: <sip:dan@client.example.net>;;;;")), Reply(400, "Contact")),
    # 3.1.2.2, 3.1.2.3
    "content_length_too_large": (own((b"Content-Length: 4", b"Content-Length: 5"), body=b"four"), Reply(400, "Content-Length")),
    "content_length_negative": (own((b"Content-Length: 4", b"Content-Length: -4"), body=b"four"), Reply(400, "Content-Length")),
    "content_length_in_words": (own((b"Content-Length: 4", b"Content-Length: four"), body=b"four"), Reply(400, "Content-Length")),
    "content_length_of_2_to_the_32_and_4": (own((b"Content-Length: 4", b"Content-Length: 4294967300"), body=b"four"), Reply(400, "Content-Length")),
    # 3.1.2.4, RFC 3261 8.1.1.5
    "cseq_of_2_to_the_31": (own((b"CSeq: 1 ", b"CSeq: 2147483648 ")), Reply(400, "CSeq")),
    "cseq_of_2_to_the_32_and_1": (own((b"CSeq: 1 ", b"CSeq: 4294967297 ")), Reply(400, "CSeq")),
    "cseq_as_large_as_may_be": (own((b"CSeq: 1 ", b"CSeq: 2147483647 ")), FORWARD),
    "max_forwards_of_256": (own((b"Max-Forwards: 70", b"Max-Forwards: 256")), Reply(400, "Max-Forwards")),
    "expires_beyond_any_range": (own((b"Contact:", b"Expires: 1" + b"0" * 90 + b"\r\nContact:")), FORWARD),
    # 3.1.2.6
    "quote_that_is_not_closed": (own((b"To: <", b'To: "Carol <')), Reply(400, "To")),
    "quote_closed_by_an_escaped_one": (own((b"From: <", b'From: "Dan\\" <')), Reply(400, "From")),
    # 3.1.2.7 to 3.1.2.11
    "brackets_around_the_request_uri": (own(start=b"OPTIONS <sip:carol@example.net> SIP/2.0"), Reply(400, "Request-URI")),
    "blank_in_the_request_uri": (own(start=b"OPTIONS sip:carol@example.net; lr SIP/2.0"), Reply(400, "Request-URI")),
    "two_blanks_in_the_start_line": (own(start=b"OPTIONS  sip:carol@example.net SIP/2.0"), Reply(400, "Start Line")),
    "blanks_behind_the_version": (own(start=b"OPTIONS sip:carol@example.net SIP/2.0  "), Reply(400, "Start Line")),
    "headers_in_the_request_uri": (own(start=b"OPTIONS sip:carol@example.net?Route=%3Csip:evil.example%3E SIP/2.0"), Reply(400, "Request-URI", lacks=(b"Route:",))),
    # 3.1.2.12 to 3.1.2.15
    "date_of_another_zone": (own((b"Contact:", b"Date: Mon, 02 Mar 2015 10:00:00 CET\r\nContact:")), FORWARD),
    "contact_with_headers_and_no_brackets": (own((b"<sip:dan@client.example.net>", b"sip:dan@client.example.net?Route=%3Csip:evil.example%3E")), Reply(400, "Contact")),
    "blanks_within_the_brackets": (own((b"To: <sip:carol@example.net>", b"To: < sip:carol@example.net >")), Reply(400, "To")),
    "comma_in_a_bare_display_name": (own((b"From: <", b"From: Doe, Dan <")), Reply(400, "From")),
    # 3.1.2.16 to 3.1.2.18
    "version_of_the_future": (own(start=b"OPTIONS sip:carol@example.net SIP/7.0"), Reply(505, "Version")),
    "version_in_lower_case": (own(start=b"OPTIONS sip:carol@example.net sip/2.0"), FORWARD),
    "version_with_a_tail": (own(start=b"OPTIONS sip:carol@example.net SIP/2.0x"), Reply(400, "Start Line")),
    "method_of_cseq_is_another": (own((b"CSeq: 1 OPTIONS", b"CSeq: 1 INVITE")), Reply(400, "CSeq Method")),
    "unknown_method_and_another_in_cseq": (own((b"CSeq: 1 FROBNICATE", b"CSeq: 1 INVITE"), start=b"FROBNICATE sip:carol@example.net SIP/2.0"), Reply(501, "Method")),
    "unknown_method": (own(start=b"FROBNICATE sip:carol@example.net SIP/2.0"), FORWARD),
    "method_in_lower_case_is_unknown": (own(start=b"invite sip:carol@example.net SIP/2.0"), FORWARD),
    # 3.2.1, 3.4.1
    "branch_of_the_cookie_alone": (own((b"z9hG4bKown1", b"z9hG4bK")), FORWARD),
    "neither_branch_nor_tag_nor_length": (own((b";branch=z9hG4bKown1", b""), (b";tag=aa1", b""), (b"Max-Forwards: 70\r\n", b""), (b"Content-Length: 4\r\n", b""), body=b"four"), FORWARD),
    # 3.3.1
    "no_call_id": (own((b"Call-ID: own.1@client.example.net\r\n", b"")), Reply(400, "Call-ID")),
    "no_from_nor_to": (own((b"From: <sip:dan@example.net>;tag=aa1\r\n", b""), (b"To: <sip:carol@example.net>\r\n", b"")), Reply(400, "Missing")),
    "no_via": (own((b"Via: SIP/2.0/UDP client.example.net;branch=z9hG4bKown1\r\n", b"")), Drop("missing_via")),
    "no_cseq": (own((b"CSeq: 1 OPTIONS\r\n", b"")), Drop("missing_cseq")),
    # 3.3.2 to 3.3.5
    "unknown_scheme": (own(start=b"OPTIONS frobnicate:whatever SIP/2.0"), Reply(416, "Scheme")),
    "known_scheme_that_is_none_of_ours": (own(start=b"OPTIONS urn:service:sos SIP/2.0"), Reply(416, "Scheme")),
    "unknown_schemes_in_other_headers": (own((b"<sip:carol@example.net>", b"<isbn:9780>"), (b"<sip:dan@example.net>", b"<http://example.net/>"), (b"<sip:dan@client.example.net>", b"<name:Dan>")), FORWARD),
    "extension_of_proxies": (own((b"Contact:", b"Proxy-Require: unheard-of, never\r\nRequire: nor-this\r\nContact:")), Reply(420, "Bad Extension", has=(b"Unsupported: unheard-of, never\r\n",), lacks=(b"nor-this",))),
    "extension_of_the_recipient": (own((b"Contact:", b"Require: nor-this\r\nContact:")), FORWARD),
    # 3.3.6, 3.3.7, 3.3.15
    "unknown_type_scheme_and_accept": (own((b"Contact:", b"Content-Type: application/x-odd\r\nAuthorization: Odd a=b\r\nAccept: text/x-odd\r\nContact:"), body=b"<odd/>"), FORWARD),
    # 3.3.8, 3.3.9
    "call_id_twice": (own((b"Contact:", b"i: other@example.net\r\nContact:")), Reply(400, "Repeated")),
    "cseq_twice": (own((b"Contact:", b"CSeq: 1 OPTIONS\r\nContact:")), Reply(400, "Repeated")),
    "to_twice": (own((b"Contact:", b"t: <sip:x@example.net>\r\nContact:")), Reply(400, "Repeated")),
    "max_forwards_twice": (own((b"Contact:", b"Max-Forwards: 5\r\nContact:")), Reply(400, "Repeated")),
    "content_length_twice": (own((b"Contact:", b"l: 0\r\nContact:")), Reply(400, "Repeated")),
    # 3.3.11
    "max_forwards_of_zero": (own((b"Max-Forwards: 70", b"Max-Forwards: 0"), start=b"INVITE sip:carol@example.net SIP/2.0"), Reply(483, "Too Many Hops")),
    "options_to_another_without_hops": (own((b"Max-Forwards: 70", b"Max-Forwards: 0")), Reply(483, "Too Many Hops")),
    "options_to_us_without_hops": (own((b"Max-Forwards: 70", b"Max-Forwards: 00"), start=b"OPTIONS sip:10.10.0.1 SIP/2.0"), Reply(200, "OK")),
    # 3.3.12 to 3.3.14: whose parameters these are is for the registrar to say; nothing moves.
    "contact_parameters_and_escaped_headers": (own((b"Contact: <sip:dan@client.example.net>", b"m: sip:dan@client.example.net;odd, <sip:dan@client.example.net;odd>, <sip:d@h.example.net?Route=%3Csip:x%3E>"), start=b"REGISTER sip:example.net SIP/2.0"), FORWARD),
    # A line ends with CRLF (RFC 3261 7).
    "bare_lf_in_a_header": (own((b"Contact:", b"X: one\nContact:")), Reply(400, "CR Or LF")),
    "bare_cr_in_a_header": (own((b"Contact:", b"X: one\rRoute: <sip:evil.example;lr>\r\nContact:")), Reply(400, "CR Or LF")),
    "nul_in_a_header": (own((b"Contact:", b"X: a\x00b\r\nContact:")), Reply(400, "NUL")),
    "fold_before_the_first_header": (own((b"Via:", b" folded: what\r\nVia:")), Reply(400, "Folding")),
    "no_blank_line": (own()[:-2], Reply(400, "End Of Headers")),
    # An ACK is never answered (RFC 3261 17.1.1.3, 16.3).
    "malformed_ack": (own((b"Content-Length: 0", b"Content-Length: 9"), start=b"ACK sip:carol@example.net SIP/2.0"), Drop("body_short")),
    "ack_without_hops": (own((b"Max-Forwards: 70", b"Max-Forwards: 0"), start=b"ACK sip:carol@example.net SIP/2.0"), Drop("ack_unroutable")),
}

OWN6 = {
    "ip6_reference": (own((b"client.example.net;", b"[2001:db8::9:1];"), start=b"OPTIONS sip:[2001:db8::10]:5070 SIP/2.0"), FORWARD),
    "ip6_without_brackets": (own(start=b"OPTIONS sip:2001:db8::10 SIP/2.0"), Reply(400, "Request-URI")),
    "ip6_with_its_port_inside": (own(start=b"OPTIONS sip:[2001:db8::10:5070] SIP/2.0"), FORWARD),
    "ip6_with_a_dotted_tail": (own((b"client.example.net;", b"[::ffff:192.0.2.10]:19823;"), start=b"OPTIONS sip:[2001:db8::192.0.2.1] SIP/2.0"), FORWARD),
    "ip6_with_the_old_grammars_third_colon": (own(start=b"OPTIONS sip:u@[2001:db8:::192.0.2.1] SIP/2.0"), FORWARD),
    "ip6_with_two_gaps": (own(start=b"OPTIONS sip:[2001::db8::1] SIP/2.0"), Reply(400, "Request-URI")),
    "received_in_brackets": (own((b";branch", b";received=[2001:db8::77];branch")), Forward(top_received=b"[2001:db8::77]")),
    "received_without_brackets": (own((b";branch", b";received=2001:db8::77;branch")), Forward(top_received=b"2001:db8::77")),
    "received_of_a_via_below": (own((b"\r\nMax", b"\r\nVia: SIP/2.0/TCP [2001:db8::3];received=192.0.2.200;branch=z9hG4bKd\r\nMax")), FORWARD),
}

OWN_RESPONSES = {
    "unusual_reason": (b"200 = 2**3 \xd0\xbd\xd0\xbe %41", None),
    "empty_reason": (b"180 ", None),
    "no_blank_behind_the_code": (b"180", None),
    "code_beyond_2_to_the_32": (b"4294967301 Odd", "status"),
    "code_700": (b"700 Odd", "status"),
    "code_of_two_digits": (b"20 Odd", "status"),
    "code_of_four_digits": (b"2000 Odd", "status"),
}


@pytest.mark.parametrize("name", OWN)
def test_own(stand, name):
    text, outcome = OWN[name]
    outcome.hold(stand, text, 4)


@pytest.mark.parametrize("name", OWN6)
def test_own_over_ipv6(stand, name):
    text, outcome = OWN6[name]
    outcome.hold(stand, text, 6)


@pytest.mark.parametrize("name", OWN_RESPONSES)
def test_own_response(stand, name):
    line, counter = OWN_RESPONSES[name]
    text = own(body=b"v=0\r\n").replace(b"OPTIONS sip:carol@example.net SIP/2.0", b"SIP/2.0 " + line, 1)
    moved, without = stand.cross_response(text, top=0)
    if counter:
        stand.dropped(moved, counter)
    else:
        at, got = stand.wait(stand.at_port)
        assert at.port == 5060 and got.data == expected_response(without)


def test_the_own_table_is_well_filled():
    assert len(OWN) + len(OWN6) + len(OWN_RESPONSES) >= 25
    for text, outcome in [*OWN.values(), *OWN6.values()]:
        if isinstance(outcome, Forward):
            assert expected(text)
