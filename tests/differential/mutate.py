# SPDX-License-Identifier: BSD-3-Clause
"""Changes to messages and frames, drawn by lot: the same lot (random.Random) makes the same change."""
import re
import struct

import datagram

LONGEST = 65000

SPECIALS = [t.encode("latin-1") for t in (
    "\r\n ", "\r\n\t", "\r\n", "\n", "\r", ",", ";", ":", '"', "<", ">", "\\", "%", "%41", "%00", "=", "@", "[", "]", "?", " ",
    "\t", "  ",
    "/", "(", ")", "(c)", "\x80", "\xc3\xa9", "\xff", "\x7f", "*", "&", "+", "-", "~", "'", "{", "}", "|", "^", "`", "#", ",,",
    ";;", "<>",
    '""', "::", "[::1]", "//", "\x01", "\0")]
PARAMETERS = [t.encode() for t in (
    ";lr", ";lr=on", ";received=10.10.0.77", ";received=::1", ";rport", ";rport=99", ";rport=99999", ";maddr=10.20.0.12",
    ";maddr=224.0.0.1", ";branch=z9hG4bK", ";branch=z9hG4bKxyz", ";branch=1", ";branch", ";tag=x", ";tag", ';tag="q"', ";ttl=1",
    ";ttl=300",
    ";transport=udp", ";transport=tcp", ";transport=UDP", ";transport=", ";user=phone", ";method=BYE",
    ';x="a,b;c>"', ';x="a\\"b"', ";x=y",
    ";sp=abcdefghijklm", ";r2=on", ";ftag=abc", ";q=0.7", ";Branch=z9hG4bKu", ";BRANCH=Z9HG4BKu", ";comp=sigcomp",
    "?Route=%3Csip:a%3E")]
HEADERS = [t.encode() + b"\r\n" for t in (
    "Route: <sip:10.20.0.12;lr>", "Route: <sip:10.10.0.1;lr>, <sip:10.20.0.12;lr>",
    "Route: <sip:10.20.0.1:5060;lr>,<sip:10.10.0.1;lr>,<sip:10.20.0.12:5070;lr>", "Route: sip:10.20.0.12",
    "Route: <sip:strict@10.20.0.12>", "Route: ,", "Route: <sip:[fd00:20::12];lr>",
    'Route: "A, B" <sip:10.20.0.12;lr>;x=y , <sip:10.20.0.11;lr>',
    "Record-Route: <sip:10.9.9.9;lr>",
    "Record-Route: <sip:a.b;lr>,<sip:c.d;lr>", "Max-Forwards: 0", "Max-Forwards: 1", "Max-Forwards: 70", "Max-Forwards: 255",
    "Max-Forwards: 256", "Max-Forwards:  007 ", "Max-Forwards: x", "Content-Length: 0", "l: 5", "Content-Length: 99999",
    "Content-Length : 4",
    "v: SIP/2.0/UDP 10.10.0.9:5099;branch=z9hG4bKold;received=10.10.0.3;rport=5091",
    "Via: SIP/2.0/UDP a.example.com,SIP/2.0/TCP b;branch=z9hG4bKb",
    "Via: SIP / 2.0 / UDP  10.10.0.9 : 5099 ; branch = z9hG4bKws ; rport",
    "Via: SIP/2.0/UDP [fd00:10::9]:5099;branch=z9hG4bK6", "Via: SIP/2.0/TLS-SCTP host;branch=z9hG4bKt;maddr=10.10.0.55", "Via: ",
    "Via: SIP/2.0/UDP 10.10.0.2:0;branch=z9hG4bKp", "Proxy-Require: foo, bar", "Proxy-Require: ", "Require: 100rel",
    "f: <sip:z@z>;tag=1",
    "t: <sip:z@z>;tag=2", 'To: "X" <sip:z@z>', "To: sip:z@z;tag=abc", "i: other@id", "CSeq: 2 BYE", "CSeq: 4294967296 INVITE",
    "CSeq: 00001   INVITE ", "Subject: hello", "s: ", "X-Long: " + "a" * 110, "Contact: *", "m: <sip:u@h>;expires=3, sip:q@h",
    "X:", ":",
    "nocolon", " leading fold", "X-P: \r\n folded\r\n\tmore", "P-Asserted-Identity: <sip:pai@h>, <tel:+1>", "User-Agent: me",
    "Expires: 10",
    "c: text/plain", "Timestamp: 1.5", 'Authorization: Digest username="bob@x", realm="r", nonce="n", uri="sip:x", response="0123"',
    "Refer-To: <sip:r@h?Replaces=1>", "Date: x", "X-Utf8: \u00e9\t\u20ac")]
COMPACT = [(a.encode(), b.encode()) for a, b in (
    ("Via", "v"), ("From", "f"), ("To", "t"), ("Call-ID", "i"), ("Contact", "m"), ("Content-Length", "l"), ("Content-Type", "c"),
    ("Subject", "s"), ("Supported", "k"), ("Content-Encoding", "e"), ("Refer-To", "r"), ("Event", "o"), ("Allow-Events", "u"))]
NUMBERS = [t.encode() for t in (
    "0", "1", "00", "255", "256", "65535", "65536", "4294967295", "4294967296", "18446744073709551616", "-1", "", "007",
    "99999999999999999999999999", "5060", "70")]
URIS = [t.encode() for t in (
    "sip:10.20.0.12", "sip:alice@10.10.0.1", "sip:10.10.0.1", "sip:alice@example.com", "sip:al%69ce@10.20.0.12:5070",
    "sips:a@10.20.0.12",
    "tel:+123", "sip:a@[fd00:20::12]", "sip:a@[fd00:20::12]:5070;transport=udp", "sip:a@10.20.0.12;maddr=10.20.0.13",
    "sip:a@10.20.0.12;maddr=10.10.0.1", "sip:a:pw@10.20.0.12;transport=tcp", "sip:a@10.20.0.12?h=v", "sip:a;b=c@10.20.0.12",
    "sip:@10.20.0.12", "sip:10.20.0.12:", "sip:10.20.0.12:99999", "sip:a@256.1.1.1", "sip:a@1.2.3", "SIP:A@10.20.0.12",
    "sip:a@host.invalid",
    "mailto:a@b", "sip:", "sip:a@10.20.0.12;lr", "sip:a@10.20.0.012", "sip:a@[::ffff:10.20.0.12]", "sip:a@127.0.0.1", "sip:a@0.0.0.0",
    "sip:a@255.255.255.255", "sip:10.10.0.1:5060;lr", "sip:10.20.0.1:5070", "sip:10.20.0.1;transport=udp;lr;sp=abcdefghijklm",
    "http://x",
    "sip:a@[fd00:20::12", "sip:a@10.20.0.12:5060;user=phone;method=INVITE;ttl=5", "sip:a@198.51.100.7", "sip:a@192.0.2.5",
    "sip:a@10.20.0.150", "sip:a@8.8.8.8")]
METHODS = (b"ACK CANCEL BYE INVITE OPTIONS REGISTER SUBSCRIBE FOO invite INVITEX A UPDATE PRACK INFO MESSAGE REFER NOTIFY "
           b"PUBLISH").split()
DELIMITERS = re.compile(rb"[,;:<>=@ \r\"/]")


def place(lot, text):
    return lot.randrange(len(text) + 1)


def place_of(lot, text, pattern):
    """Where one of a pattern's matches begins: the next behind a place drawn by lot."""
    start = place(lot, text)
    found = pattern.search(text, start) or pattern.search(text)
    return found.start() if found else start


def lines_of(text):
    """The start line and the headers with their ends, and what follows the blank line's beginning."""
    end = text.find(b"\r\n\r\n")
    end = len(text) if end < 0 else end + 2
    return text[:end].splitlines(keepends=True) or [b""], text[end:]


def byte(lot, text):
    p = lot.randrange(len(text))
    return text[:p] + bytes([lot.randrange(256)]) + text[p + 1:]


def bit(lot, text):
    p = lot.randrange(len(text))
    return text[:p] + bytes([text[p] ^ 1 << lot.randrange(8)]) + text[p + 1:]


def truncate(lot, text):
    if lot.randrange(4):
        return text[:max(text.find(b"\r\n\r\n") + 4 - lot.randrange(5), 1)]
    return text[:place(lot, text)]


def cut(lot, text):
    p = place(lot, text)
    return text[:p] + text[p + 1 + lot.randrange(4 if lot.randrange(8) else 200):]


def special(lot, text):
    p = place(lot, text) if lot.randrange(3) == 0 else place_of(lot, text, DELIMITERS) + lot.randrange(2)
    return text[:p] + lot.choice(SPECIALS) + text[p:]


def line_again(lot, text):
    lines, rest = lines_of(text)
    line = lot.choice(lines)
    lines.insert(lot.randrange(len(lines) + 1), line)
    return b"".join(lines) + rest


def line_gone(lot, text):
    lines, rest = lines_of(text)
    if len(lines) > 1:
        del lines[lot.randrange(1, len(lines))]
    return b"".join(lines) + rest


def line_moved(lot, text):
    lines, rest = lines_of(text)
    if len(lines) > 1:
        line = lines.pop(lot.randrange(1, len(lines)))
        lines.insert(lot.randrange(1, len(lines) + 1), line)
    return b"".join(lines) + rest


def fold(lot, text):
    p = place_of(lot, text, re.compile(rb"[ ;,]|(?<=:)."))
    return text[:p] + lot.choice((b"\r\n ", b"\r\n\t  ")) + text[p:]


def compact(lot, text):
    name, letter = lot.choice(COMPACT)
    return re.sub(rb"(?im)^" + name + rb"(?=:)", letter, text, count=lot.randrange(2))


def name_case(lot, text):
    lines, rest = lines_of(text)
    k = lot.randrange(len(lines))
    name, colon, value = lines[k].partition(b":")
    lines[k] = bytes(c ^ 32 if chr(c).isalpha() and c < 128 and lot.randrange(2) else c for c in name) + colon + value
    return b"".join(lines) + rest


def before_colon(lot, text):
    lines, rest = lines_of(text)
    k = lot.randrange(len(lines))
    lines[k] = lines[k].replace(b":", lot.choice((b" :", b"\t:")), 1)
    return b"".join(lines) + rest


def line_end(lot, text):
    lines, rest = lines_of(text)
    k = lot.randrange(len(lines))
    lines[k] = lines[k].replace(b"\r\n", lot.choice((b"\r", b"\n")))
    return b"".join(lines) + rest


def parameter(lot, text):
    if lot.randrange(2):
        p = place_of(lot, text, re.compile(rb"[;>,\r]"))
        return text[:p] + lot.choice(PARAMETERS) + text[p:]
    lines, rest = lines_of(text)
    k = lot.randrange(len(lines))
    lines[k] = lines[k].replace(b"\r\n", lot.choice(PARAMETERS) + b"\r\n")
    return b"".join(lines) + rest


def header(lot, text):
    lines, rest = lines_of(text)
    lines.insert(1 if lot.randrange(3) == 0 else lot.randrange(1, len(lines) + 1), lot.choice(HEADERS))
    return b"".join(lines) + rest


def number(lot, text):
    p = place_of(lot, text, re.compile(rb"[0-9]+"))
    return text[:p] + re.sub(rb"^[0-9]+", lot.choice(NUMBERS), text[p:p + 40]) + text[p + 40:]


def uri(lot, text):
    p = place_of(lot, text, re.compile(rb"(?i)sips?:"))
    return text[:p] + re.sub(rb"^[^ >,;\r\n\"]*", lambda _: lot.choice(URIS), text[p:p + 300], count=1) + text[p + 300:]


def request_uri(lot, text):
    first, end, rest = text.partition(b"\r\n")
    words = first.split(b" ")
    if len(words) > 1:
        words[1] = lot.choice(URIS)
    return b" ".join(words) + end + rest


def joined(lot, text):
    """Two headers of one name become one with a comma."""
    lines, rest = lines_of(text)
    for k in range(1, len(lines) - 1):
        a, b = lines[k].partition(b":"), lines[k + 1].partition(b":")
        if a[0].lower() == b[0].lower() and b[1]:
            lines[k:k + 2] = [lines[k].rstrip(b"\r\n") + lot.choice((b",", b" , ", b",\r\n ")) + b[2].lstrip()]
            break
    return b"".join(lines) + rest


def split(lot, text):
    lines, rest = lines_of(text)
    p = lot.randrange(len(lines))
    for k in [*range(p, len(lines)), *range(p)]:
        name, colon, value = lines[k].partition(b":")
        if b"," in value:
            lines[k] = lines[k].replace(b",", b"\r\n" + name + colon, 1)
            break
    return b"".join(lines) + rest


def huge(lot, text):
    p = place(lot, text)
    return text[:p] + bytes([lot.choice(b"a, ;=1:")]) * lot.randrange(3000 if lot.randrange(6) else 60000) + text[p:]


def many(lot, text):
    lines, rest = lines_of(text)
    k = lot.randrange(1, len(lines) + 1)
    lines[k:k] = [lot.choice(HEADERS)] * (1 + lot.randrange(20 if lot.randrange(2) else 150))
    return b"".join(lines) + rest


def method(lot, text):
    old, _, _ = text.partition(b" ")
    new = lot.choice(METHODS)
    text = new + text[len(old):]
    if lot.randrange(4):
        text = re.sub(rb"(?im)^(cseq\s*:\s*[0-9]+\s+)[^\s]+", lambda m: m[1] + new, text, count=1)
    return text


def body(lot, text):
    return text + b"b" * lot.randrange(50 if lot.randrange(3) else 3000)


def range_again(lot, text):
    p, q = place(lot, text), place(lot, text)
    return text[:q] + text[p:p + 1 + lot.randrange(60)] + text[q:]


CHANGES = (byte, bit, truncate, cut, special, special, special, line_again, line_gone, line_moved, fold, compact, name_case, before_colon,
           line_end, parameter, parameter, header, header, number, uri, request_uri, joined, split, huge, many, method, body, range_again)


def message(lot, text, times):
    for _ in range(times):
        if text:
            text = lot.choice(CHANGES)(lot, text)[:LONGEST]
    return text


# ---- frames: Ethernet, IP and UDP headers ----

ODD_SOURCES = [bytes(a) for a in ((127, 0, 0, 1), (0, 0, 0, 0), (224, 0, 0, 1), (255, 255, 255, 255), (223, 255, 255, 255), (240, 1, 1, 1),
                                  (10, 10, 0, 1))]
ODD_SOURCES_6 = [bytes(16), bytes(15) + b"\1", bytes(10) + b"\xff\xff\x0a\x0a\0\2", b"\xff\2" + bytes(13) + b"\1",
                 b"\xfe\x80" + bytes(13) + b"\x09"]
MACS = [bytes.fromhex(t) for t in ("01005e000001", "ffffffffffff", "020000000001", "020000000002", "000000000000")]


def frame(lot, data, times):
    for _ in range(times):
        data = frame_once(lot, bytearray(data))
    return bytes(data[:65000])


def frame_once(lot, d):
    """`d` is a frame that may have been changed before, of at least a byte."""
    six, headers = d[12:14] == b"\x86\xdd", min(len(d), 62 if d[12:14] == b"\x86\xdd" else 42)
    whole = len(d) > headers
    kind = lot.randrange(12)
    if kind == 0:
        d[lot.randrange(headers)] = lot.randrange(256)
    elif kind == 1:
        d[lot.randrange(headers)] ^= 1 << lot.randrange(8)
    elif kind == 2:
        del d[1 + lot.randrange(len(d)):]
    elif kind == 3:
        d += bytes([lot.randrange(256)]) * (1 + lot.randrange(60))
    elif kind == 4 and len(d) > 14:
        d[12:12] = struct.pack(">HH", lot.choice((0x8100, 0x8100, 0x88a8)), lot.choice((0, 0, 1, 7, lot.randrange(65536))))
    elif kind == 5 and whole and not six:
        d[14 + lot.choice((0, 1, 2, 3, 6, 7, 8, 9, 12, 15, 16, 19))] = lot.randrange(256)
        datagram.sum_header(d)
    elif kind == 5 and whole:
        d[14 + lot.randrange(8)] = lot.randrange(256)
    elif kind == 6 and whole:
        d[headers - 2:headers] = b"\0\0"
    elif kind == 7 and whole:
        d[headers - 3] = lot.randrange(256)
        if lot.randrange(2):
            d[headers - 2:headers] = b"\0\0"
    elif kind == 8 and whole and not six:
        words = 1 + lot.randrange(4)
        d[34:34] = b"\1" * (4 * words)
        d[14] = 0x45 + words
        d[16:18] = struct.pack(">H", (struct.unpack_from(">H", d, 16)[0] + 4 * words) & 0xffff)
        datagram.sum_header(d)
    elif kind == 9 and whole and not six:
        at = lot.choice((26, 30))
        d[at:at + 4] = lot.choice(ODD_SOURCES)
        d[40:42] = b"\0\0"
        datagram.sum_header(d)
    elif kind == 9 and whole:
        at = lot.choice((22, 38))
        d[at:at + 16] = lot.choice(ODD_SOURCES_6)
    elif kind == 10 and whole:
        at = lot.choice((0, 6))
        d[at:at + 6] = lot.choice(MACS)
    elif kind == 11 and whole and not six:
        d[20:22] = bytes((lot.choice((0x20, 0x40, 0x80, 0, 0x1f)), lot.choice((0, lot.randrange(256)))))
        datagram.sum_header(d)
    elif kind == 11 and whole:
        d[20] = lot.choice((0, 43, 44, 60, 17, 51, 58, 59))
    return d
