# SPDX-License-Identifier: BSD-3-Clause
"""What tools/bench versus stands on: each system forwards conf/bench.cfg's way, nothing is lost, and CPU time is found."""
import json
import os
import pathlib
import shutil
import subprocess
import sys

import pytest

ROOT = pathlib.Path(__file__).resolve().parents[2]

# A process of its own: what the case leaves behind in one ends with it.
WINDOW = """
import json, pathlib, sys
from benchmark import veth
from benchmark.cases import versus
build, messages, system = pathlib.Path(sys.argv[1]), pathlib.Path(sys.argv[2]), sys.argv[3]
pair = veth.Pair("test", build, messages)
try:
    versus.start(pair, system)
    pair.ask("run 0.1")
    pair.pause()
    pair.resume()
    print(json.dumps(pair.window(0.3, 300)))
finally:
    pair.close()
"""

INVITE = ("INVITE sip:+49301{n:04d}@10.10.0.1:5060 SIP/2.0\r\n"
          "Via: SIP/2.0/UDP 10.10.0.{host}:5060;branch=z9hG4bKbench{n};rport\r\n"
          "Max-Forwards: 70\r\n"
          "From: <sip:+49891@10.10.0.{host}>;tag=t{n}\r\n"
          "To: <sip:+49301{n:04d}@10.10.0.1>\r\n"
          "Call-ID: bench-{n}@10.10.0.{host}\r\n"
          "CSeq: 1 INVITE\r\n"
          "Contact: <sip:+49891@10.10.0.{host}:5060>\r\n"
          "Content-Length: 0\r\n\r\n")


@pytest.fixture(scope="module")
def build():
    """The helpers, in the build folder that siplane comes from."""
    path = pathlib.Path(os.environ.get("SIPLANE", ROOT / "build/app/siplane/siplane")).resolve().parents[2]
    subprocess.run(["ninja", "-C", path, "tests/bench/bench", "tests/bench/flood", "tests/bench/forwarder", "tests/bench/gaps"], check=True,
                   capture_output=True)
    return path


@pytest.mark.alone
@pytest.mark.parametrize("system", ["forwarder", "siplane_af_packet", "siplane_af_xdp", "kamailio"])
def test_what_is_sent_arrives_and_its_cost_is_found(build, tmp_path, system):
    if system == "kamailio" and not shutil.which("kamailio"):
        pytest.skip("kamailio is missing: tools/install-packages versus")
    messages = tmp_path / "messages"
    texts = [(2 + n % 200, INVITE.format(n=n, host=2 + n % 200)) for n in range(256)]
    messages.write_text("".join(f"{len(t)} 10.10.0.{host}:5060\n{t}" for host, t in texts), newline="")
    r = subprocess.run([sys.executable, "-c", WINDOW, build, messages, system], capture_output=True, text=True, timeout=120,
                       env={**os.environ, "PYTHONPATH": str(ROOT / "tools")})
    assert r.returncode == 0, r.stderr
    got = json.loads(r.stdout)
    assert got["received"] == got["sent"] > 100, got
    assert got["lost"] == got["strange"] == got["answers"] == got["late"] == 0, got
    assert 0 < got["own_ns"] <= got["system_ns"], got


AROUND = """
import json, pathlib, sys
from benchmark.cases import versus_stateful as versus
build, system, work = pathlib.Path(sys.argv[1]), sys.argv[2], sys.argv[3]
versus.USERS = 2000
case, metric, new = versus.WORK[work]
versus.WORK[work] = (case, metric, 2000 if work == "save" else 100)
around = versus.Around(system, work, build)
try:
    around.start()
    print(json.dumps(around.window()))
finally:
    around.pair.close()
"""


@pytest.mark.alone
@pytest.mark.parametrize("system", ["siplane_af_packet", "kamailio"])
@pytest.mark.parametrize("work", ["save", "t_relay"])
def test_phones_register_and_call_around_each_system(build, system, work):
    if system == "kamailio" and not shutil.which("kamailio"):
        pytest.skip("kamailio is missing: tools/install-packages versus")
    subprocess.run(["ninja", "-C", build, "app/siplane/siplane"], check=True, capture_output=True)
    r = subprocess.run([sys.executable, "-c", AROUND, build, system, work], capture_output=True, text=True, timeout=120,
                       env={**os.environ, "PYTHONPATH": str(ROOT / "tools")})
    assert r.returncode == 0, r.stderr
    got = json.loads(r.stdout)
    assert got["done"] > 50 and got["lost"] == 0 and got["own_ns"] > 0, got


@pytest.mark.parametrize("case, route, words", [
    ("dispatch", 'drop();', "not all frames ended as they should"),
    ("options", 'ds_select_dst("1", "0"); forward();', "not all frames ended as they should"),
    ("malformed", 'ds_select_dst("1", "0"); forward();', "what came out is no message: no answer"),
    ("dispatch", 'append_hf("Call-ID: a second one\\r\\n"); ds_select_dst("1", "0"); forward();', "what came out is no message")])
@pytest.mark.parametrize("options", [["--seconds", "0.05"], ["--count", "32"]])
def test_a_case_whose_messages_end_otherwise_is_no_figure(build, tmp_path, case, route, words, options):
    """Also where instructions are counted: what is dropped costs few of them."""
    config = tmp_path / "bench.cfg"
    config.write_text('loadmodule "dispatcher"\nloadmodule "textops"\n' f'modparam("dispatcher", "list_file", "{ROOT}/conf/bench-dispatcher.list")\n'
                      f'request_route {{ if (is_method("OPTIONS|INVITE|REGISTER")) {{ {route} exit; }} }}\n')
    r = subprocess.run([build / "tests/bench/bench", case, "--config", config, "--no-huge", *options], capture_output=True, text=True,
                       errors="replace", timeout=60)
    assert r.returncode == 1 and words in r.stderr, r.stderr
    assert "messages_per_second" not in r.stdout and " frames\n" not in r.stdout


def test_gaps_are_counted(build):
    out = subprocess.run([build / "tests/bench/gaps", "0.2", "0"], capture_output=True, text=True, check=True).stdout
    got = json.loads(out)
    counts = list(got["at_least_us"].values())
    assert got["cpu"] == 0 and got["ns"] >= 199_000_000
    assert counts[0] == got["gaps"] and counts == sorted(counts, reverse=True)
    assert got["gap_ns"] >= got["longest_ns"] and got["gap_ns"] <= got["ns"]
