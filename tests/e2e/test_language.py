# SPDX-License-Identifier: BSD-3-Clause
"""The language on the wire: error_route, AVPs and branches on the fast path; and the reference that is printed from the tables."""
import os
import pathlib
import subprocess

from call import EDGE
from ua import UA

ROOT = pathlib.Path(__file__).resolve().parents[2]
BINARY = os.environ.get("SIPLANE", str(ROOT / "build/app/siplane/siplane"))

ERROR_ROUTE = """
error_route {
	if ($(err.info) =~ "cseq") { sl_send_reply("$err.rcode", "Not This CSeq"); exit; }
	if ($ua == "quiet") drop;
	append_to_reply("X-Error: $(err.class) $(err.level) $(err.info) $rs\\r\\n");
	if ($ua == "loop") while (1) $var(i) = 1;
}
request_route { sl_send_reply("200", "Fine"); }
"""


def test_error_route_changes_the_reply_of_what_is_malformed(labs):
    lab = labs.make(script=ERROR_ROUTE)
    caller = UA(lab, "caller", "10.10.0.2")

    def ask(edit=lambda text: text, agent="test"):
        text = caller.request("OPTIONS", "sip:10.10.0.1", headers=[f"User-Agent: {agent}"])
        caller.send(edit(text), EDGE)
        return caller

    def break_from(text):
        return text.replace(b"From: ", b"From: <<")

    got = ask().receive()
    assert got.status == 200 and got.get("x-error") is None
    got = ask(lambda t: t.replace(b" OPTIONS\r\n", b" INVITE\r\n")).receive()
    assert got.start == "SIP/2.0 400 Not This CSeq", got
    got = ask(break_from).receive()
    assert got.status == 400 and got.get("x-error").startswith("1 3 ") and got.get("x-error").endswith(" 400"), got
    # What the block does not get to the end of leaves the reply that was planned.
    got = ask(break_from, "loop").receive()
    assert got.status == 400
    ask(break_from, "quiet").silent()
    assert ask().receive().status == 200


AVPS = """
request_route {
	$avp(x) = "first";
	$avp(x) = $fU;
	append_branch("sip:other@10.20.0.12", "0.5");
	append_hf("X-Avp: $(avp(x)[*]); $avp(x) $cnt(avp(x)) $bR $(hdr(Via)[-1]{s.len})\\r\\n");
	$du = "sip:10.20.0.11:5060";
	forward();
}
"""


def test_avps_and_branches_need_no_slow_path(labs):
    lab = labs.make(script=AVPS)
    caller, callee = UA(lab, "caller", "10.10.0.2"), UA(lab, "b1", "10.20.0.11", 5060)
    caller.send(caller.request("MESSAGE", "sip:bob@example.com", body="hi"), EDGE)
    got = callee.receive()
    avps, rest = got.get("x-avp").split("; ")
    last, first = avps.split(", ")
    assert first == "first" and rest.startswith(f"{last} 2 <sip:other@10.20.0.12>;q=0.5 "), got


def test_the_committed_reference_is_what_the_tables_say():
    r = subprocess.run([BINARY, "--reference"], capture_output=True, text=True, timeout=30, stdin=subprocess.DEVNULL)
    assert r.returncode == 0
    assert r.stdout == (ROOT / "docs/configuration.md").read_text(), "siplane --reference > docs/configuration.md"

