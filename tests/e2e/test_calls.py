# SPDX-License-Identifier: BSD-3-Clause
"""Real sipp calls through siplane."""
import pathlib

import pytest

SIPP = pathlib.Path(__file__).resolve().parents[2] / "tools/lab/sipp"


def place(lab, calls, rate, ipv6=False):
    core, edge = ("fd00:20::{}", "fd00:10::{}") if ipv6 else ("10.20.0.{}", "10.10.0.{}")
    servers = [lab.sipp(f"b{i}", SIPP / "uas.xml", "-i", core.format(10 + i), "-mi", core.format(10 + i), "-p", "5060") for i in (1, 2)]
    target = f"[{edge.format(1)}]:5060" if ipv6 else f"{edge.format(1)}:5060"
    caller = lab.sipp("caller", SIPP / "uac.xml", target, "-i", edge.format(2), "-mi", edge.format(2), "-p", "5080", "-s", "alice",
                      "-m", calls, "-r", rate, "-d", "100", "-timeout", "60s", "-timeout_error")
    status = caller.wait(90)
    for s in servers:
        lab.end(s)
    return status, [int(lab.sipp_stats(s)["TotalCallCreated"]) for s in servers]


@pytest.mark.sanitize
@pytest.mark.parametrize("ipv6", [False, True], ids=["ipv4", "ipv6"])
def test_calls_reach_both_backends_and_none_fails(labs, driver, ipv6):
    lab = labs.make(driver, list_text="1 sip:[fd00:20::11]:5060\n1 sip:[fd00:20::12]:5060\n" if ipv6 else None or
                    "1 sip:10.20.0.11:5060\n1 sip:10.20.0.12:5060\n")
    status, served = place(lab, 100, 50, ipv6)
    assert status == 0, (lab.dir / "caller-uac.err").read_text()[:3000] if (lab.dir / "caller-uac.err").exists() else status
    assert sum(served) == 100 and min(served) > 20
