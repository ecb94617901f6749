# SPDX-License-Identifier: BSD-3-Clause
"""Fixtures: a lab with siplane running in it. Every test ends with the counters' equation."""
import pathlib
import sys

import pytest

ROOT = pathlib.Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "tools"))
sys.path.insert(0, str(ROOT / "tests/e2e"))

from lab.lab import Lab  # noqa: E402

DISPATCH = """
request_route {
	if (!mf_process_maxfwd_header("10")) { sl_send_reply("483", "Too Many Hops"); exit; }
	if (has_totag()) {
		if (loose_route()) { forward(); exit; }
		if (!is_method("ACK")) { sl_send_reply("404", "Not Here"); exit; }
	}
	if (is_method("OPTIONS") && uri==myself) { options_reply(); exit; }
	if (is_method("INVITE|SUBSCRIBE|REFER")) record_route();
	if (!ds_select_dst("1", "0")) { sl_send_reply("503", "No Destination"); exit; }
	forward();
}
"""
MODULES = "".join(f'loadmodule "{m}.so"\n' for m in ("sl", "rr", "maxfwd", "siputils", "textops", "dispatcher"))
# What the end of siplane may take: a database and a spool that do not answer are waited for.
STOP_S = 20
LIST = "1 sip:10.20.0.11:5060\n1 sip:10.20.0.12:5060\n"


def pytest_addoption(parser):
    parser.addoption("--keep", action="store_true", help="leave a failed test's network in place")


def pytest_configure(config):
    config.addinivalue_line("markers", "sanitize: runs under the sanitizers too")
    config.addinivalue_line("markers", "alone: looks at rates or times, so that nothing else may run beside it")


# Where several run at once, each takes a file at a time (pytest-xdist's loadfile). None of these is to be what the others wait for at the end.
LONGEST = ("lists", "search", "sipp", "stateful", "databases", "siplanectl", "network", "acc", "gen", "proxy", "control", "reload", "examples_forwarding",
           "register", "contacts_kept", "names_flood", "names", "examples_users", "slow", "calls", "group", "language")


def pytest_collection_modifyitems(items):
    rank = {f"test_{name}": n for n, name in enumerate(LONGEST)}
    items.sort(key=lambda item: rank.get(item.path.stem, len(LONGEST)))


@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_makereport(item, call):
    report = (yield).get_result()
    if report.when == "call":
        item.failed_call = report.failed


class Labs:
    """Makes the labs of one test and starts siplane in them."""

    def __init__(self):
        self.all = []

    def make(self, driver="tap", script=DISPATCH, list_text=LIST, head="", port_extra="", modules=MODULES, start=True,
             listen="listen = udp:edge:5060\nlisten = udp:core:5060\n", **kw):
        lab = Lab(driver=driver, **kw)
        lab.name = f"{lab.name}{len(self.all)}"
        self.all.append(lab)
        lab.open()
        (lab.dir / "dispatcher.list").write_text(list_text)
        lab.config = lab.dir / "siplane.cfg"
        lab.config.write_text(
            f'cores {{ idle = sleep; }}\nsecret_file = "{lab.dir}/secret"\ncontrol_socket = "{lab.dir}/control.sock"\n{head}\n{lab.port_config(port_extra)}{listen}'
            f'{modules}modparam("dispatcher", "list_file", "{lab.dir}/dispatcher.list")\n{script}')
        if start:
            lab.start_siplane(lab.config)
        return lab


@pytest.fixture
def labs(request):
    made = Labs()
    yield made
    failed = getattr(request.node, "failed_call", True)
    kept = request.config.getoption("--keep") and failed
    try:
        for lab in made.all:
            if failed:
                print(f"---- {lab.name}\n{lab.log()[-4000:]}")
            elif lab.siplane is not None:
                stats = lab.settle()
                assert stats["exact"] and stats["in"] == stats["done"] + stats["dropped"] + stats["held"], stats
                assert stats["held"] == 0 and stats["waiting"] == 0, stats
                assert lab.siplane.poll() is None, lab.log()[-4000:]
                status, seconds = lab.stop_siplane()
                assert status == 0, lab.log()[-6000:]
                assert seconds < STOP_S, f"SIGTERM took {seconds:.1f} s"
    finally:
        for lab in made.all:
            if kept:
                lab.processes = []
                print(f"kept: ip netns exec {lab.ns('dut')} bash; siplane {lab.siplane.pid}; "
                      f"tools/quickstart --stop {lab.name}")
            else:
                lab.close()


@pytest.fixture(params=["tap", "af_packet"])
def driver(request):
    return request.param
