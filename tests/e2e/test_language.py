# SPDX-License-Identifier: BSD-3-Clause
"""The language on the wire: error_route, AVPs and branches on the fast path; and the reference that is printed from the tables."""
import gzip
import os
import pathlib
import re
import subprocess
import sys

import pytest

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


def test_the_list_of_kamailio_says_what_the_reference_says():
    r = subprocess.run([ROOT / "tools/kamailio-list"], capture_output=True, text=True, timeout=30, stdin=subprocess.DEVNULL)
    assert r.returncode == 0, r.stderr
    assert r.stdout == (ROOT / "docs/kamailio.md").read_text(), "tools/kamailio-list > docs/kamailio.md"
    assert r.stdout.count("\n| `") > 700


def test_a_name_that_nobody_answers_for_ends_the_list(tmp_path):
    """A copy of the tree with one name more."""
    for name in ("tools/kamailio-list", "docs/configuration.md", "docs/from-openser.md", "tests/e2e/manuals.txt"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text((ROOT / name).read_text())
    path = tmp_path / "tests/e2e/manuals.txt"
    path.write_text(path.read_text().replace("sl func: ", "sl func: sl_no_such_function ", 1))
    r = subprocess.run([sys.executable, tmp_path / "tools/kamailio-list"], capture_output=True, text=True, timeout=30)
    assert r.returncode != 0 and r.stdout == "" and "sl function sl_no_such_function" in r.stderr, r.stderr


MANUALS = pathlib.Path("/usr/share/doc/kamailio/modules")
# What modules call of each other, and what an RPC client does.
NOT_FOR_SCRIPTS = re.compile(r"ul_|bind_|load_|register_rrcb$|get_route_param$|ctl\.")


def contents(module):
    """{"func": names, "param": names} of the table of contents of a manual of the installed package."""
    text = gzip.open(MANUALS / f"README.{module}.gz", "rt", errors="replace").read().split("Table of Contents", 1)[1]
    found, kind = {"func": set(), "param": set()}, None
    for line in re.split(r"\n\s*List of Examples|\nChapter 1", text)[0].splitlines():
        chapter = re.match(r"\s+\d+\. (.*)", line)
        if chapter is not None:
            kind = {"Parameters": "param", "Functions": "func"}.get(chapter[1].split()[-1])
        entry = re.match(r"\s+\d+\.\d+\.\s+([\w.]+)", line)
        if entry is not None and kind is not None and not NOT_FOR_SCRIPTS.match(entry[1]):
            found[kind].add(entry[1])
    return found


@pytest.mark.skipif(not MANUALS.is_dir(), reason="no manuals of Kamailio: tools/install-packages versus")
def test_the_list_has_what_the_manuals_of_the_installed_kamailio_have():
    modules = set(re.findall(r"^## (\w+)$", (ROOT / "docs/kamailio.md").read_text(), re.M))
    assert len(modules) > 25
    listed = {kind: set(manuals(kind)) for kind in ("func", "param")}
    missing = [(module, kind, name) for module in modules for kind, names in contents(module).items() for name in names
               if (module, name) not in listed[kind]]
    assert missing == []


def test_what_is_there_is_not_said_to_be_missing():
    functions, missing = {name for _, name in functions_of_the_reference()}, not_there({"function"})
    assert [n for n in missing if n[1] in functions] == []
    assert [n for n in not_there({"parameter"}) if n in reference()] == []


@pytest.mark.parametrize("page", ["README.md", *sorted(str(p.relative_to(ROOT)) for p in (ROOT / "docs").glob("*.md"))])
def test_each_row_of_a_table_has_the_columns_of_its_head(page):
    wrong, columns, code = [], None, False
    for number, line in enumerate((ROOT / page).read_text().splitlines(), 1):
        code ^= line.startswith("```")
        here = len(re.findall(r"(?<!\\)\|", line)) if line.startswith("|") and not code else None
        if here is not None and columns not in (None, here):
            wrong.append((number, line))
        columns = here
    assert wrong == []



# ---- what other servers' scripts bring along ----

def load(tmp_path, text):
    """The exit code of a load, and what it says of each line."""
    path = tmp_path / "t.cfg"
    path.write_text(text)
    r = subprocess.run([BINARY, "-c", "-f", str(path)], capture_output=True, text=True, timeout=30, stdin=subprocess.DEVNULL)
    said = {}
    for line, kind, what in re.findall(r"t\.cfg:(\d+):\d+: (error|warning): (.*)", r.stdout + r.stderr):
        said.setdefault(int(line), []).append((kind, what))
    return r.returncode, said, r.stdout + r.stderr


def manuals(kind):
    """(module, name) of each parameter, function or pseudo-variable."""
    for line in (pathlib.Path(__file__).parent / "manuals.txt").read_text().splitlines():
        found = re.match(r"(\w+) (\w+): (.*)", line)
        if found is not None and found[2] == kind:
            yield from ((found[1], name) for name in found[3].split())


def reference():
    """{(module, parameter): (type, default, meaning)} of the reference."""
    rows, module = {}, None
    for line in (ROOT / "docs/configuration.md").read_text().splitlines():
        if line.startswith("## "):
            module = (re.match(r"## Module `(\w+)`", line) or [None, None])[1]
        row = re.match(r"\| `(\w+)` \| ((?:number|text)[^|]*) \| ([^|]*) \| (.*) \|", line)
        if row is not None and module is not None:
            rows[module, row[1]] = (row[2], row[3].strip(), row[4])
    return rows


def functions_of_the_reference():
    """(module, name) of each function."""
    module = None
    for line in (ROOT / "docs/configuration.md").read_text().splitlines():
        if line.startswith("## "):
            module = (re.match(r"## Module `(\w+)`", line) or [None, ""])[1]
        row = re.match(r"\| (`\w+\(.*?) \| (fast|slow)", line)
        if row is not None:
            yield from ((module, name) for name in re.findall(r"`(\w+)", row[1]))


def not_there(kinds):
    """Names of the tables `not here`, with whether they are accepted: {(module, name): accepted}."""
    rows, module, within = {}, None, False
    for line in (ROOT / "docs/configuration.md").read_text().splitlines():
        if line.startswith("## "):
            module = (re.match(r"## Module `(\w+)`", line) or [None, ""])[1]
        within = line.startswith("|") and (within or line.startswith("| not here |"))
        row = re.match(r"\| (`[^|]*`) \| (.*) \|$", line) if within else None
        for name in re.findall(r"`(\$?[\w:-]+(?:\(\))?)`", row[1]) if row is not None else []:
            if {"$": "variable", ")": "function"}.get(name[0] if name[0] == "$" else name[-1], "parameter") in kinds:
                rows[module, name.strip("$()")] = row[2].endswith("(accepted)")
    return rows


def test_each_parameter_of_the_manuals_is_there_or_said_to_be_of_no_use_or_an_error(tmp_path):
    rows, others = reference(), not_there({"parameter"})
    names = list(manuals("param"))
    assert len(names) > 350
    missing = [n for n in names if n not in rows and n not in others]
    assert missing == []
    # One configuration with all that are accepted.
    modules = sorted({module for module, _ in names})
    (tmp_path / "list").write_text("1 sip:10.0.0.1\n")
    (tmp_path / "addresses").write_text("1 10.0.0.0 8\n")
    lines = [f'loadmodule "{m}.so"' for m in modules]
    lines += ['modparam("dispatcher", "list_file", "list")', 'modparam("permissions", "address_file", "addresses")']
    wanted = {}
    for module, name in names:
        kind, default, meaning = rows.get((module, name), ("text", "", ""))
        if (module, name) in others and not others[module, name]:
            continue
        if name in ("list_file", "address_file", "domain_file", "db_url", "db_mode", "service_route", "secret") or "AVP" in meaning:
            continue
        number = re.match(r"number(?: (-?\d+) to)?", kind)
        value = (default or number[1] or "1") if number else f'"{default}"'
        lines.append(f'modparam("{module}", "{name}", {value})')
        if (module, name) in others or "no effect" in meaning:
            wanted[len(lines)] = name
    code, said, output = load(tmp_path, "\n".join(lines + ["request_route { exit; }"]) + "\n")
    assert code == 0, output
    for line, name in wanted.items():
        assert any(kind == "warning" and f"'{name}' has no effect here: " in what for kind, what in said.get(line, [])), (
            lines[line - 1], said.get(line))
    for line, what in said.items():
        assert line in wanted, (lines[line - 1], what)
    # And each of the others is an error that says what to do.
    refused = [(m, n) for (m, n), accepted in others.items() if m and not accepted]
    assert ("registrar", "aor_avp") in refused
    for module, name in refused:
        code, said, output = load(tmp_path, f'loadmodule "{module}.so"\nmodparam("{module}", "{name}", "x")\nrequest_route {{ exit; }}\n')
        assert code != 0 and said[2][0][0] == "error" and said[2][0][1].startswith(f"parameter '{name}' is not there: "), output


def test_each_global_of_the_manuals_is_there_or_said_to_be_of_no_use(tmp_path):
    names = [name for _, name in manuals("global")]
    assert len(names) > 250
    for at in range(0, len(names), ENOUGH):
        some = names[at:at + ENOUGH]
        _, said, output = load(tmp_path, "".join(f"{n} = 1\n" for n in some) + "request_route { exit; }\n")
        for i, name in enumerate(some):
            assert not any("unknown" in what or "syntax" in what for _, what in said.get(i + 1, [])), (name, said[i + 1], output)


ENOUGH = 12  # errors of one load: it gives up at 20


@pytest.mark.parametrize("kind", ["func", "pv"])
def test_each_function_and_variable_of_the_manuals_is_there_or_an_error_that_says_what_to_do(tmp_path, kind):
    others = not_there({"function" if kind == "func" else "variable"})
    names = sorted(set(manuals(kind)))
    head = "".join(f'loadmodule "{m}.so"\n' for m in sorted({m for m, _ in names}))
    assert len(names) > (250 if kind == "func" else 15)
    for at in range(0, len(names), ENOUGH):
        some = names[at:at + ENOUGH]
        body = "".join(f"{n}();\n" if kind == "func" else f"if (${n} == 1) exit;\n" for _, n in some)
        _, said, output = load(tmp_path, head + "request_route {\n" + body + "}\n")
        for i, (module, name) in enumerate(some):
            what = [w for _, w in said.get(head.count("\n") + 2 + i, [])]
            assert not any("unknown" in w for w in what), (module, name, what)
            if any(n == name for _, n in others):
                assert any("is not there: " in w for w in what), (module, name, what, output)


def test_each_event_and_module_that_is_not_there_says_why(tmp_path):
    text = (ROOT / "docs/configuration.md").read_text().split("## Events and modules of other servers")[1]
    seen = 0
    for names, why in re.findall(r"^\| (`[^|]*) \| (.*) \|$", text, re.M):
        for name in re.findall(r"`([^`]*)`", names):
            if ":" in name:
                name += "x" if name.endswith(":") else ""
                code, said, output = load(tmp_path, f"request_route {{ exit; }}\nevent_route[{name}] {{ exit; }}\n")
                accepted = why.endswith("(accepted)")
                assert (code == 0) == accepted, output
            elif name in ("local_route", "startup_route"):
                code, said, output = load(tmp_path, f"request_route {{ exit; }}\n{name} {{ exit; }}\n")
                assert code != 0 and f"'{name}' is not there: " in output, output
            elif seen % 8 == 0:
                code, said, output = load(tmp_path, f'loadmodule "{name}.so"\nrequest_route {{ exit; }}\n')
                assert code != 0 and f"module '{name}' is not there: " in output, output
            seen += 1
    assert seen > 200


# ---- what their default scripts do, in this project's words ----

OPENSER = """
debug=3
fork=yes
children=4
mpath="/usr/lib/openser/modules/"
loadmodule "sl.so"  loadmodule "tm.so"  loadmodule "rr.so"  loadmodule "maxfwd.so"  loadmodule "usrloc.so"
loadmodule "registrar.so"  loadmodule "textops.so"  loadmodule "mi_fifo.so"  loadmodule "uri_db.so"  loadmodule "uri.so"
loadmodule "xlog.so"  loadmodule "acc.so"
modparam("mi_fifo", "fifo_name", "/tmp/openser_fifo")
modparam("rr", "enable_full_lr", 1)
modparam("usrloc", "db_mode", 0)
modparam("acc", "log_flag", 1)
route {
	if (!mf_process_maxfwd_header("10")) { sl_send_reply("483", "Too Many Hops"); exit; }
	if (is_method("CANCEL")) { if (t_check_trans()) t_relay(); exit; }
	t_check_trans();
	if (!uri==myself) { append_hf("P-hint: outbound\\r\\n"); route(1); }
	if (is_method("REGISTER")) { if (!save("location")) sl_reply_error(); exit; }
	if ($rU==NULL) { sl_send_reply("484", "Address Incomplete"); exit; }
	if (!lookup("location")) {
		switch ($retcode) {
			case -1:
			case -3: t_newtran(); t_reply("404", "Not Found"); exit;
			case -2: sl_send_reply("405", "Method Not Allowed"); exit;
		}
	}
	setflag(2);
	route(1);
}
route[1] { if (is_method("INVITE")) { t_on_branch("2"); t_on_reply("2"); t_on_failure("1"); } if (!t_relay()) { sl_reply_error(); }; exit; }
branch_route[2] { xlog("new branch at $ru\\n"); }
onreply_route[2] { xlog("incoming reply\\n"); }
failure_route[1] { if (t_was_cancelled()) { exit; } }
"""

OPENSIPS = """
log_level=3
xlog_level=3
stderror_enabled=yes
syslog_enabled=no
udp_workers=4
loadmodule "signaling.so"  loadmodule "sl.so"  loadmodule "tm.so"  loadmodule "rr.so"  loadmodule "maxfwd.so"
loadmodule "sipmsgops.so"  loadmodule "mi_fifo.so"  loadmodule "usrloc.so"  loadmodule "registrar.so"  loadmodule "proto_udp.so"
modparam("tm", "fr_timeout", 5)
modparam("tm", "fr_inv_timeout", 30)
modparam("tm", "onreply_avp_mode", 1)
modparam("usrloc", "nat_bflag", "NAT")
modparam("usrloc", "working_mode_preset", "single-instance-no-db")
modparam("registrar", "tcp_persistent_flag", "TCP_PERSISTENT")
modparam("registrar", "method_filtering", 1)
route {
	if (!mf_process_maxfwd_header(10)) { send_reply(483, "Too Many Hops"); exit; }
	if (is_method("CANCEL")) { if (t_check_trans()) t_relay(); exit; }
	t_check_trans();
	if (!is_method("REGISTER") && !is_myself("$rd")) { send_reply(403, "Relay Forbidden"); exit; }
	if (!is_method("REGISTER|MESSAGE")) record_route();
	if (is_method("REGISTER")) { if (!save("location")) xlog("failed to register AoR $tu\\n"); exit; }
	if ($rU==NULL) { send_reply(484, "Address Incomplete"); exit; }
	if (!lookup("location", "method-filtering")) { t_reply(404, "Not Found"); exit; }
	route(relay);
}
route[relay] {
	if (is_method("INVITE")) { t_on_branch("per_branch_ops"); t_on_reply("handle_nat"); t_on_failure("missed_call"); }
	if (!t_relay()) { send_reply(500, "Internal Error"); }
	exit;
}
branch_route[per_branch_ops] { xlog("new branch at $ru\\n"); }
onreply_route[handle_nat] { xlog("incoming reply\\n"); }
failure_route[missed_call] { if (t_was_cancelled()) { exit; } }
"""


KAMAILIO = """
#!KAMAILIO
#!define FLT_ACC 1
#!define FLB_NATB 6
#!ifdef WITH_AUTH
#!define NEEDS_A_DATABASE
#!endif
debug=2
log_facility=LOG_LOCAL0
children=8
loadmodule "jsonrpcs.so"  loadmodule "kex.so"  loadmodule "corex.so"  loadmodule "tm.so"  loadmodule "tmx.so"  loadmodule "sl.so"
loadmodule "rr.so"  loadmodule "pv.so"  loadmodule "maxfwd.so"  loadmodule "usrloc.so"  loadmodule "registrar.so"  loadmodule "textops.so"
loadmodule "textopsx.so"  loadmodule "siputils.so"  loadmodule "xlog.so"  loadmodule "sanity.so"  loadmodule "ctl.so"
loadmodule "cfg_rpc.so"  loadmodule "acc.so"  loadmodule "counters.so"
modparam("jsonrpcs", "pretty_format", 1)
modparam("tm", "failure_reply_mode", 3)
modparam("tm", "fr_timer", 30000)
modparam("tm", "fr_inv_timer", 120000)
modparam("registrar", "method_filtering", 1)
modparam("registrar", "max_expires", 3600)
modparam("registrar", "gruu_enabled", 0)
modparam("acc", "log_flag", FLT_ACC)
modparam("usrloc", "timer_interval", 60)
modparam("usrloc", "use_domain", 0)
request_route {
	route(REQINIT);
	if (is_method("CANCEL")) { if (t_check_trans()) { route(RELAY); } exit; }
	if (!is_method("ACK")) { if (t_precheck_trans()) { t_check_trans(); exit; } t_check_trans(); }
	if (has_totag()) { if (loose_route()) { route(RELAY); exit; } if (!is_method("ACK")) sl_send_reply("404", "Not here"); exit; }
	remove_hf("Route");
	if (is_method("INVITE|SUBSCRIBE")) { record_route(); }
	if (is_method("INVITE")) { setflag(FLT_ACC); }
	if (uri != myself) { append_hf("P-Hint: outbound\\r\\n"); route(RELAY); exit; }
	if (is_method("PUBLISH|SUBSCRIBE")) { sl_send_reply("404", "Not here"); exit; }
	if (is_method("REGISTER")) { if (!save("location")) { sl_reply_error(); } exit; }
	if ($rU == $null) { sl_send_reply("484", "Address Incomplete"); exit; }
	route(LOCATION);
}
route[REQINIT] {
	if ($ua =~ "friendly-scanner|sipcli|sipvicious") { exit; }
	if (!mf_process_maxfwd_header("10")) { sl_send_reply("483", "Too Many Hops"); exit; }
	if (is_method("OPTIONS") && uri == myself && $rU == $null) { sl_send_reply("200", "Keepalive"); exit; }
	if (!sanity_check("17895", "7")) { xlog("Malformed SIP request from $si:$sp\\n"); exit; }
}
route[LOCATION] {
	if (!lookup("location")) {
		$var(rc) = $rc;
		t_newtran();
		switch ($var(rc)) {
			case -1:
			case -3: send_reply("404", "Not Found"); exit;
			case -2: send_reply("405", "Method Not Allowed"); exit;
		}
	}
	route(RELAY);
	exit;
}
route[RELAY] {
	if (is_method("INVITE|BYE|SUBSCRIBE|UPDATE")) { if (!t_is_set("branch_route")) t_on_branch("MANAGE_BRANCH"); }
	if (is_method("INVITE|SUBSCRIBE|UPDATE")) { if (!t_is_set("onreply_route")) t_on_reply("MANAGE_REPLY"); }
	if (is_method("INVITE")) { if (!t_is_set("failure_route")) t_on_failure("MANAGE_FAILURE"); }
	if (!t_relay()) { sl_reply_error(); }
	exit;
}
branch_route[MANAGE_BRANCH] { xdbg("new branch [$T_branch_idx] to $ru\\n"); }
reply_route { if (!sanity_check("17604", "6")) { xlog("Malformed SIP response from $si:$sp\\n"); drop; } }
onreply_route[MANAGE_REPLY] { xdbg("incoming reply\\n"); }
failure_route[MANAGE_FAILURE] { if (t_is_canceled()) { exit; } }
"""


@pytest.mark.parametrize("script", [OPENSER, OPENSIPS, KAMAILIO], ids=["openser", "opensips", "kamailio"])
def test_the_default_scripts_register_and_call(labs, script):
    lab = labs.make(script=script)
    caller, callee = UA(lab, "caller", "10.10.0.2"), UA(lab, "b1", "10.20.0.11", 5060)
    ours = "10.10.0.1"
    caller.send(caller.request("INVITE", f"sip:nobody@{ours}"), EDGE)
    got = caller.receive()
    assert got.status == 404, got
    callee.send(callee.request("REGISTER", f"sip:{ours}", to=f"<sip:bob@{ours}>", headers=["Expires: 60"]),
                ("10.20.0.1", 5060))
    assert callee.receive().status == 200
    invite = caller.request("INVITE", f"sip:bob@{ours}")
    caller.send(invite, EDGE)
    assert callee.receive().start.startswith("INVITE sip:caller@10.20.0.11:5060 ")
    # The 404 has had no ACK, and comes again after half a second.
    assert caller.receive_of(invite).status == 100
