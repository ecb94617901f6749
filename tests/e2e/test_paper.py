# SPDX-License-Identifier: BSD-3-Clause
"""siplane -c: an INVITE, its CANCEL and the ACK of its failure on paper; it warns where they part (RFC 3261 16.11)."""
import os
import pathlib
import subprocess

import pytest

ROOT = pathlib.Path(__file__).resolve().parents[2]
BINARY = os.environ.get("SIPLANE", str(ROOT / "build/app/siplane/siplane"))
HEAD = 'port "edge" { device = "net_null0"; address = 10.10.0.1/24; }\n' + "".join(
    f'loadmodule "{m}.so"\n' for m in ("sl", "rr", "maxfwd", "siputils", "textops", "dispatcher", "permissions", "tm"))
LIST = "".join(f"1 sip:10.20.0.{n}:5060\n" for n in range(11, 16))


@pytest.fixture
def check(tmp_path):
    (tmp_path / "list").write_text(LIST)
    (tmp_path / "addresses").write_text("1 192.0.2.0 24\n")

    def run(script, head=HEAD):
        path = tmp_path / "x.cfg"
        path.write_text(head + f'modparam("dispatcher", "list_file", "{tmp_path}/list")\n'
                        f'modparam("permissions", "address_file", "{tmp_path}/addresses")\n' + script)
        r = subprocess.run([BINARY, "-c", "-f", str(path)], capture_output=True, text=True, timeout=20)
        return r.returncode, r.stdout + r.stderr
    return run


@pytest.mark.parametrize("name", ["edge.cfg", "quickstart.cfg"])
def test_configurations_of_the_tree_are_good(name):
    r = subprocess.run([BINARY, "-c", "-f", str(ROOT / "conf" / name)], capture_output=True, text=True, timeout=20)
    assert r.returncode == 0 and r.stdout.endswith("good\n") and "not compared" not in r.stdout + r.stderr, r.stdout + r.stderr


@pytest.mark.parametrize("algorithm", [0, 1, 2, 3, 4, 6, 8, 9])
def test_every_algorithm_keeps_a_transaction_together(check, algorithm):
    status, said = check(f'request_route {{ if (!ds_select_dst("1", "{algorithm}")) {{ sl_send_reply("503", "None"); exit; }} forward(); }}\n')
    assert status == 0 and "warning" not in said and "not compared" not in said, said


def test_a_script_that_takes_a_failure_ack_for_in_dialog_is_warned_of(check):
    status, said = check("""
request_route {
	if (has_totag()) {
		if (loose_route()) { forward(); exit; }
		sl_send_reply("404", "Not Here"); exit;
	}
	ds_select_dst("1", "0");
	forward();
}
""")
    assert status == 0 and "the ACK of its failure" in said and "its CANCEL" not in said and "1 warning" in said, said


def test_a_script_that_sends_a_cancel_elsewhere_is_warned_of(check):
    status, said = check("""
request_route {
	if (is_method("CANCEL")) { $du = "sip:10.20.0.99:5060"; forward(); exit; }
	ds_select_dst("1", "0");
	forward();
}
""")
    assert status == 0 and "its CANCEL goes to 10.20.0.99:5060" in said and "ACK" not in said.split("16.11")[0].split("CANCEL")[1], said
    status, said = check('request_route { if (is_method("CANCEL")) { sl_send_reply("481", "No"); exit; } ds_select_dst("1", "0"); forward(); }\n')
    assert "its CANCEL is answered 481" in said
    status, said = check('request_route { if (is_method("ACK")) exit; ds_select_dst("1", "0"); forward(); }\n')
    assert "the ACK of its failure is dropped" in said


def test_a_choice_by_method_or_at_random_is_warned_of(check):
    status, said = check('request_route { $du = "sip:10.20.0." + $(rm{s.len}) + ":5060"; forward(); }\n')
    assert "ACK" in said and "goes to 10.20.0.3:5060" in said, said


def test_callers_that_only_a_list_lets_in_are_tried(check):
    script = 'request_route {{ if ({}) {{ sl_send_reply("403", "No"); exit; }} if (is_method("ACK")) exit; ds_select_dst("1", "0"); forward(); }}\n'
    status, said = check(script.format('!ds_is_from_list("1")'))
    assert status == 0 and "the ACK of its failure is dropped" in said, said
    status, said = check(script.format('!allow_source_address("1")'))
    assert status == 0 and "the ACK of its failure is dropped" in said, said


def test_where_nothing_can_be_compared_that_is_said(check):
    status, said = check('request_route { sl_send_reply("403", "No"); }\n')
    assert status == 0 and "not compared" in said and "403" in said and "warning" not in said, said
    status, said = check('request_route { t_relay(); }\n')
    assert status == 0 and "not compared" in said, said
    status, said = check('request_route { forward(); }\n', head=HEAD.replace("10.10.0.1/24", "fd00:10::1/64"))
    assert status == 0, said


def test_ipv6_alone_is_checked_too(check):
    status, said = check('request_route { if (is_method("ACK")) exit; $du = "sip:[fd00:20::11]:5060"; forward(); }\n',
                         head=HEAD.replace("10.10.0.1/24", "fd00:10::1/64"))
    assert status == 0 and "the ACK of its failure is dropped" in said, said
