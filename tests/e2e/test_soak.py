# SPDX-License-Identifier: BSD-3-Clause
"""tools/bench soak, for as long as tests may take: after calls and registrations all memory is back."""
import os
import pathlib
import subprocess
import sys

import pytest

from conftest import ROOT

# A process of its own: what the case leaves behind in one ends with it.
SOAK = """
import pathlib, sys
from benchmark import context
from benchmark.cases import soak
here = context.Context("soak", float(sys.argv[2]))
here.build = lambda *targets: pathlib.Path(sys.argv[1])
for row in soak.run(here):
    print(row.metric, row.max)
"""
SECONDS = 9


@pytest.fixture(scope="module")
def build():
    """The build folder that siplane comes from, with the load generator."""
    path = pathlib.Path(os.environ.get("SIPLANE", ROOT / "build/app/siplane/siplane")).resolve().parents[2]
    subprocess.run(["ninja", "-C", path, "app/siplane-gen/siplane-gen"], check=True, capture_output=True)
    return path


def test_memory_comes_back_after_calls_and_registrations(build):
    r = subprocess.run([sys.executable, "-c", SOAK, build, str(SECONDS)], capture_output=True, text=True, timeout=240,
                       env={**os.environ, "PYTHONPATH": str(ROOT / "tools")})
    assert r.returncode == 0, r.stdout + r.stderr[-3000:]
    rows = dict(line.split() for line in r.stdout.splitlines())
    assert float(rows["transactions_left"]) == 0 and float(rows["contacts_left"]) == 0
    assert float(rows["calls_failed"]) == 0 and float(rows["registrations_failed"]) == 0
