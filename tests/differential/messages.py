# SPDX-License-Identifier: BSD-3-Clause
"""What is sent, before it is changed: messages of the project's own, and those of the shared corpus where it is present."""
import os
import pathlib
import re

LONGEST = 60000
SHARED = pathlib.Path(os.environ.get("SIPLANE_SHARED", pathlib.Path(__file__).resolve().parents[3] / "shared"))
METHODS = ("INVITE ACK BYE CANCEL OPTIONS REGISTER SUBSCRIBE NOTIFY MESSAGE INFO UPDATE PRACK REFER PUBLISH FOO").split()
SDP = (b"v=0\r\no=- 1 1 IN IP4 10.10.0.2\r\ns=-\r\nc=IN IP4 10.10.0.2\r\nt=0 0\r\nm=audio 4000 RTP/AVP 0 8\r\na=rtpmap:0 PCMU/8000\r\n")
CALLEE = "<sip:alice@10.10.0.1>"
CALLER = '"Bob" <sip:bob@10.10.0.2>;tag=f1'
VIA = "SIP/2.0/UDP 10.10.0.2:5080;branch=z9hG4bKabc;rport"


def request(method="INVITE", uri="sip:alice@10.10.0.1", vias=(VIA,), top="", sender=CALLER, to=CALLEE, call="c1@10.10.0.2", hops="70",
            rest="", body=b""):
    """`top` stands behind the Vias, `rest` before Content-Length: whole header lines."""
    text = f"{method} {uri} SIP/2.0\r\n" + "".join(f"Via: {v}\r\n" for v in vias)
    if hops is not None:
        text += f"Max-Forwards: {hops}\r\n"
    text += (f"{top}From: {sender}\r\nTo: {to}\r\nCall-ID: {call}\r\nCSeq: 1 {method}\r\nContact: <sip:bob@10.10.0.2:5080>\r\n"
             f"User-Agent: t/1.0\r\n{rest}")
    if body:
        text += "Content-Type: application/sdp\r\n"
    return f"{text}Content-Length: {len(body)}\r\n\r\n".encode() + body


def response(status, vias):
    ours = "SIP/2.0/UDP 10.20.0.1:5060;branch=z9hG4bKaaaaaaaaaaaaaaaa;sp=asaaaaaaaaaaaaaaaaaaaaaaaa"
    below = [f"SIP/2.0/UDP 10.10.0.{n}:5080;branch=z9hG4bK{n}" for n in range(vias - 1)]
    return (f"SIP/2.0 {status}\r\n" + "".join(f"Via: {v}\r\n" for v in (ours, *below)) +
            "From: <sip:b@c>;tag=1\r\nTo: <sip:b@c>;tag=2\r\nCall-ID: r\r\nCSeq: 1 INVITE\r\nContent-Length: 0\r\n\r\n").encode()


ROUTES = (
    "<sip:10.10.0.1;lr>", "<sip:10.10.0.1;lr>,<sip:10.20.0.12;lr>", "<sip:10.20.0.12;lr>", "<sip:10.20.0.12>", "sip:10.20.0.12;lr",
    "<sip:10.20.0.1;lr>\r\nRoute: <sip:10.10.0.1;lr>\r\nRoute: <sip:10.20.0.12>", '"x,y" <sip:10.20.0.12;lr;x=",">, <sip:b>',
    "<sip:10.10.0.1;lr;sp=aaaaaaaaaaaaa;ftag=f1;r2=on>,<sip:10.20.0.1;lr;sp=aaaaaaaaaaaaa;r2=on>",
    "<sip:a@10.20.0.11;lr>\r\nRoute: <sip:b@10.20.0.12;lr>\r\nRoute: , <sip:c@d>,", "<sip:[fd00:20::1]:5070;lr>, <sip:[fd00:20::12];lr>",
)
VIAS = (
    "SIP/2.0/UDP 10.10.0.2", "SIP/2.0/UDP host.example.com;branch=z9hG4bKh", "SIP/2.0/UDP 10.10.0.2:5080",
    "SIP/2.0/UDP 10.10.0.2;branch=1", "SIP/2.0/UDP 10.10.0.2;maddr=10.10.0.88;branch=z9hG4bKm;ttl=3",
    "SIP/2.0/UDP [fd00:10::2]:5080;branch=z9hG4bK6;rport", "SIP/2.0/UDP 10.10.0.99:5080;received=10.10.0.2;branch=z9hG4bKr;rport=77",
    "SIP / 2.0 / UDP 10.10.0.2 : 5080 ; branch = z9hG4bKws", "SIP/2.0/TCP 10.10.0.2:5080;branch=z9hG4bKtcp",
    'SIP/2.0/UDP 10.10.0.2:5080;branch=z9hG4bKq;x="a,b;c"', "sip/2.0/udp 10.10.0.2:5080;BRANCH=Z9hG4bKCase;RPORT",
)
URIS = (
    "sip:+15551234;phone-context=x@10.10.0.1:5060;user=phone", "tel:+1-555", "sips:a@b", "sip:a@10.10.0.1;maddr=10.10.0.1",
    "sip:[fd00:10::1]", "sip:u:p@example.com:5060;transport=udp?x=y", "sip:10.20.0.1", "sip:a@198.51.100.7", "sip:a@10.20.0.200",
)
HEADERS = (
    "Proxy-Require: a,b\r\n", "Record-Route: <sip:p1;lr>, <sip:p2;lr>\r\nRecord-Route: <sip:p3;lr>\r\n",
    'P-Asserted-Identity: "x" <sip:p@q>, <tel:+1>\r\nDiversion: <sip:d@e>;reason=x\r\n'
    "Remote-Party-ID: <sip:r@s>;party=calling\r\nP-Preferred-Identity: Disp <sip:pp@x>\r\n",
    'Authorization: Digest username="bob@x.y", realm="r", nonce="n", uri="sip:x", response="00", algorithm=MD5\r\n',
    'Proxy-Authorization: Digest username="bob", realm="r"\r\n', "Timestamp: 54.1\r\nSubject: x\r\n", "Refer-To: <sip:r@h?Replaces=x>\r\n",
    "X-Fold: a\r\n b\r\n\tc\r\n", "".join(f"X-{n}: {n}\r\n" for n in range(60)), "".join(f"X-{n}: {n}\r\n" for n in range(190)),
)
NAMES = (("Via", "v"), ("From", "f"), ("To", "t"), ("Call-ID", "i"), ("Contact", "m"), ("Content-Type", "c"), ("Content-Length", "l"))


def own():
    """Requests of each method, routes, Vias, URIs, headers, sizes; responses; datagrams that are no SIP."""
    for method in METHODS:
        yield request(method)
        yield request(method, to=f"{CALLEE};tag=t1")
        yield request(method, body=SDP, call=f"{method}x")
    for n in range(2, 7):
        yield request(vias=[f"SIP/2.0/UDP 10.10.0.{i}:50{i}0;branch=z9hG4bK{i}" for i in range(2, 2 + n)])
        yield request(vias=[", ".join(f"SIP/2.0/UDP 10.10.0.{i}:50{i}0;branch=z9hG4bK{i};received=1.2.3.{i}" for i in range(2, 2 + n))])
    for route in ROUTES:
        for to in (CALLEE, f"{CALLEE};tag=t1"):
            for method in ("INVITE", "BYE", "ACK"):
                yield request(method, top=f"Route: {route}\r\n", to=to)
    for via in VIAS:
        yield request(vias=[via])
        yield request("OPTIONS", "sip:10.10.0.1", vias=[via])
    for sender in ("sip:bob@10.10.0.2;tag=f1", '"A \\"q\\" B" <sip:bob@10.10.0.2>;tag=f1;x=y', "A B C <sip:bob@10.10.0.2>;tag=f1"):
        yield request(sender=sender)
    for uri in URIS:
        yield request(uri=uri)
        yield request("OPTIONS", uri)
    for header in HEADERS:
        yield request(top=header)
        yield request(rest=header, body=SDP)
    for hops in (None, "0", "1", "10"):
        yield request(hops=hops)
        yield request("OPTIONS", "sip:10.10.0.1", hops=hops)
    for size in (1300, 6000, 58000):
        yield request(body=b"x" * size)
    yield request(rest="X-Big: " + "y" * 20000 + "\r\n")
    compact = request(body=SDP)
    for name, letter in NAMES:
        compact = compact.replace(f"\n{name}:".encode(), f"\n{letter}:".encode())
    yield compact
    for vias in range(1, 7):
        yield response("200 OK", vias)
        yield response("486 Busy Here", vias)
    yield from (b"\r\n\r\n", b"\r\n", b"\0\1\0\0\x21\x12\xa4\x42" + b"a" * 12, b"\r\n\r\n" + request(), b"   " + request(), b"\0" * 4, b"x")


def corpus():
    """The messages of the shared corpus, also with the line ends that SIP has; its URIs as those of a request."""
    folder = SHARED / "corpus"
    for path in sorted(p for p in folder.rglob("*") if p.is_file() and p.suffix != ".tsv"):
        text = path.read_bytes()
        yield text
        if b"\r\n" not in text and re.search(rb"SIP/2\.0", text):
            yield text.replace(b"\n", b"\r\n")
        if len(text) < 200 and b"\n" not in text.strip():
            uri = text.strip().decode("latin-1")
            line = f"INVITE {uri} SIP/2.0\r\nVia: SIP/2.0/UDP 10.10.0.2:5080;branch=z9hG4bKu;rport\r\nMax-Forwards: 70\r\n"
            yield (f"{line}From: <sip:bob@10.10.0.2>;tag=f\r\nTo: <{uri}>\r\nCall-ID: u\r\nCSeq: 1 INVITE\r\nRoute: <{uri}>\r\n"
                   f"Contact: <{uri}>\r\nContent-Length: 0\r\n\r\n").encode("latin-1")


def all_messages():
    """Each once, in the same order on each machine that has the same corpus."""
    return [text for text in dict.fromkeys([*own(), *corpus()]) if 0 < len(text) <= LONGEST]
