# SPDX-License-Identifier: BSD-3-Clause
"""
Figures of other parsers, to set beside ours. None of them is measured by tools/bench: each row says where it comes from, and its
`cpu` is the machine that it was measured on. What stands on the design's machine was measured for the design of the index, on one
thread, as the best of 40 to 60 windows of 6 to 12 ms; the index that was designed there is among them, as a scale between that
machine and the one at hand.
"""
from . import row

DESIGN = "KVM guest, AMD EPYC family 26 (Zen 5), about 2.6 GHz, gcc 12.2 -O3 -march=native"
MAC_2018, MAC = "a Mac of 2018", "a later Mac"
INVITE = "measured for the design: headers of INVITEs of 812 bytes"
OBJECTS = "measured for the design: INVITEs of 812 bytes, made objects; Debian 12's"
REQUEST = "published by kei10in (gist, with thhp): an HTTP request of 703 bytes"

# what, nanoseconds a message (least, greatest), what it was measured with and by whom, machine
PARSERS = (
    ("picohttpparser/l1", 115, 115, f"{INVITE}, in the first cache", DESIGN),
    ("picohttpparser/6MB", 220, 220, f"{INVITE}, a set of 6 MB", DESIGN),
    ("picohttpparser/200MB", 562, 562, f"{INVITE}, from memory", DESIGN),
    ("design/l1", 66, 68, f"{INVITE}, in the first cache: the index as it was designed", DESIGN),
    ("design/6MB", 75, 75, f"{INVITE}, a set of 6 MB: the index as it was designed", DESIGN),
    ("picohttpparser/http/2018", 199, 211, f"{REQUEST}, SSE4.2", MAC_2018),
    ("picohttpparser/http", 153, 160, f"{REQUEST}, SSE4.2", MAC),
    ("httparse/http", 279, 279, f"{REQUEST}, AVX2", "a Mac"),
    ("sofia-sip", 2593, 2593, f"{OBJECTS} 1.12.11", DESIGN),
    ("osip", 3917, 3917, f"{OBJECTS} 5.3.0", DESIGN),
    ("re", 7101, 7101, f"{OBJECTS} 1.1.0, sip_msg_decode()", DESIGN),
)


def parsers():
    """Rows of the case parse."""
    for what, least, greatest, source, machine in PARSERS:
        yield row.of_samples("parse", f"{row.REFERENCE}ns_per_message/{what}", "ns", [least, greatest], "memory", machine,
                             f"not of this run: {source}")
