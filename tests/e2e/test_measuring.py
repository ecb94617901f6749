# SPDX-License-Identifier: BSD-3-Clause
"""docs/measuring.md: its commands run, in their order, at rates and for times that a test can bear; its outputs look like theirs."""
import os
import pathlib
import re
import shutil
import signal
import subprocess

import pytest

from lab.lab import run

ROOT = pathlib.Path(__file__).resolve().parents[2]
PAGE = (ROOT / "docs/measuring.md").read_text()
GEN = os.environ.get("SIPLANE_GEN", ROOT / "build/app/siplane-gen/siplane-gen")
SIPLANE = os.environ.get("SIPLANE", ROOT / "build/app/siplane/siplane")
BLOCK = re.compile(r"^```(\w*)\n(.*?)^```$", re.M | re.S)
# What the page says, and what the test makes of it. `--late 5s`: a busy machine runs us late, and that is not what is tested.
SHORTER = [("--late 20ms", "--late 5s"), ("--seconds 5", "--seconds 1"), ("--rate 1000", "--rate 60"), ("--rate 500", "--rate 60"),
           ("--trial 1s", "--trial 300ms"), ("--final 5s", "--final 600ms"), ("--max 5k", "--max 80"), ("--trial 2s", "--trial 300ms"),
           ("--attempts 1000", "--attempts 30"), ("--start 1000", "--start 75"), ("--attempts 2000", "--attempts 30"),
           ("--max 20k", "--max 80")]
# Lines that a run has only where there was something to say.
SOMETIMES = {"missed slots", "retransmissions", "reordered", "foreign", "status", "500", "100", "180", "stale", "late", "duplicates", "lost", "missing"}


def blocks(language):
    return [text for kind, text in BLOCK.findall(PAGE) if kind == language]


def script(lab, dut):
    text = "\n".join(blocks("sh"))
    for long, short in SHORTER:
        assert re.search(re.escape(long) + r"\b", text), f"the page no longer says {long}"
        text = re.sub(re.escape(long) + r"\b", short, text)
    text, n = re.subn(r"^apt-get .*\n", "", text, flags=re.M)
    assert n == 1
    for word, name in (("lab", lab), ("dut", dut)):
        text = re.sub(rf"(netns (?:add|del|exec|pids) |-n |netns ){word}\b", rf"\g<1>{name}", text)
    return "set -euo pipefail\n" + text


def names(text):
    """What stands in front of the figures, line by line."""
    found = set()
    for line in text.splitlines():
        m = re.match(r" {0,6}([A-Za-z0-9][^=]*?)(?: {2,}| \(| \d|$)", line)
        if m and not re.match(r"^\d", m.group(1)):
            found.add(m.group(1).strip())
    return found


@pytest.mark.skipif(shutil.which("kamailio") is None, reason="kamailio is missing: tools/install-packages versus")
def test_the_page_is_true(tmp_path):
    lab, dut = f"sm{os.getpid()}-lab", f"sm{os.getpid()}-dut"
    (tmp_path / "conf").symlink_to(ROOT / "conf")
    tools = tmp_path / "bin"
    tools.mkdir()
    # Exit status 1 is what a search says that found no end: here --max is the end.
    (tools / "siplane-gen").write_text(f"""#!/bin/bash
[ "$1" != --reflect ] || exec "{GEN}" "$@" # the page ends it by its pid
[ "$1" != search ] || set -- "$@" --pause 50ms
"{GEN}" "$@"
status=$?
echo "$status $*" >>"{tmp_path}/ran"
[ $status -le 1 ]
""")
    (tools / "siplane-gen").chmod(0o755)
    (tools / "siplane").symlink_to(SIPLANE)
    p = subprocess.Popen(["bash", "-c", script(lab, dut)], cwd=tmp_path, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                         stderr=subprocess.PIPE, text=True, env={**os.environ, "PATH": f"{tools}:{os.environ['PATH']}"},
                         start_new_session=True)
    try:
        out, err = p.communicate(timeout=240)
    finally:
        for ns in (lab, dut):
            for pid in run("ip", "netns", "pids", ns, check=False).stdout.split():
                os.kill(int(pid), signal.SIGKILL)
            run("ip", "netns", "del", ns, check=False)
        if p.poll() is None:
            os.killpg(p.pid, signal.SIGKILL)
    assert p.returncode == 0, out + err
    ran = [line.split(" ", 1) for line in (tmp_path / "ran").read_text().splitlines()]
    assert len([r for r in ran if "--reflect" not in r[1]]) == len(re.findall(r"^lab siplane-gen (?!--reflect)", PAGE, re.M)) == 7
    # Three runs without a failed call; four searches that --max ended.
    assert re.findall(r"^  failed +(\d+)$", out, re.M) == ["0"] * 3, out
    assert re.findall(r"^  ok +(\d+)$", out, re.M) == ["60"] * 3, out
    assert len(re.findall(r"not found: 80 .* passed and --max allows no more", out)) == 5, out + err
    assert "half of the answers came within" in out and "all but a thousandth within" in out
    assert "3 packets transmitted, 3 received" in out
    # The reports on the page are those of today's program.
    shown = [b for b in blocks("") if b.startswith(("attempts  ", "Test Setup Report"))]
    assert len(shown) >= 6
    for block in shown:
        missing = names(block) - names(out) - SOMETIMES
        assert {m for m in missing if not m.startswith(("at ", "found", "not found", "- ", "Trial "))} == set(), block
