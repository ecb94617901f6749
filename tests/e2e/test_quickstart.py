# SPDX-License-Identifier: BSD-3-Clause
"""tools/quickstart's scenarios with the build under test; what it installs and builds is not run here."""
import json
import subprocess

import pytest

from conftest import ROOT


def quickstart(*args):
    r = subprocess.run(["/usr/bin/python3", ROOT / "tools/lab/quickstart.py", "--json", *map(str, args)], capture_output=True, text=True, timeout=90)
    return r.returncode, r.stdout, r.stderr


@pytest.mark.parametrize("options", [(), ("--ipv6", "--driver", "af_packet")], ids=["tap", "af_packet-ipv6"])
def test_registered_users_call_each_other(options):
    status, out, err = quickstart("--scenario", "register", "--users", 12, "--calls", 40, "--rate", 40, *options)
    assert status == 0, out + err
    result = json.loads(out.strip().splitlines()[-1])
    assert result["users"] == result["registered"] == 12 and result["calls"] == result["ok"] == 40 and result["failed"] == 0
    assert sum(result["calls_from"].values()) == 40 and len(result["calls_from"]) == 3
    assert result["contacts"] == 12 and result["transactions"] >= 80, "an INVITE and a BYE each"
    assert result["setup_ms_p50"] <= result["setup_ms_p99"]
    assert "12 registered" in out and "(exact)" in out


def test_calls_are_spread_over_backends():
    status, out, err = quickstart("--calls", 40, "--rate", 40)
    assert status == 0, out + err
    result = json.loads(out.strip().splitlines()[-1])
    assert result["ok"] == 40 and sum(result["per_backend"].values()) == 40


def test_wrong_usage_is_said():
    for wrong in (("--scenario", "none"), ("--users", "1"), ("--calls", "0")):
        assert quickstart(*wrong)[0] == 2
