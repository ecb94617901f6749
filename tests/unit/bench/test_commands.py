# SPDX-License-Identifier: BSD-3-Clause
"""What tests/run and tools/quickstart say and refuse, before and after their work."""
import pathlib
import re
import shutil
import subprocess
import types

import pytest

from lab import lab, quickstart

ROOT = pathlib.Path(__file__).resolve().parents[3]


@pytest.fixture
def tests_run(tmp_path):
    """tests/run beside scripts that only say what they were asked for."""
    for folder in ("tests", "tools"):
        (tmp_path / folder).mkdir()
    shutil.copy(ROOT / "tests/run", tmp_path / "tests/run")
    (tmp_path / "tests/run.py").write_text("import sys\nprint('runs', *sys.argv[1:])\n")
    install = tmp_path / "tools/install-packages"
    install.write_text("#!/bin/sh\necho installs\n")
    install.chmod(0o755)
    return lambda *args: subprocess.run([tmp_path / "tests/run", *args], capture_output=True, text=True, timeout=30)


@pytest.mark.parametrize("args", (["--suite", "foo"], ["--suite=foo"], ["--suit"], ["foo"], ["--suite"], ["--suite", "unit", "--k"]))
def test_a_wrong_word_is_refused_before_anything_is_installed(tests_run, args):
    r = tests_run(*args)
    assert r.returncode == 2 and r.stdout == "", r
    assert args[-1].split("=")[-1] in r.stderr and "--help" in r.stderr, r.stderr


def test_each_suite_and_option_goes_through(tests_run):
    suites = re.search(r"^SUITES = \((.*)\)$", (ROOT / "tests/run.py").read_text(), re.M)[1].replace('"', "").split(", ")
    assert len(suites) > 5
    for args in ([], *(["--suite", s] for s in suites), *([f"--suite={s}"] for s in suites),
                 ["--suite", "e2e", "--k", "a or b", "--keep", "--fuzz-seconds", "3"], ["--k=x", "--accept", "--fuzz-seconds=3"]):
        r = tests_run(*args)
        assert r.stdout.split("\n")[:2] == ["installs", " ".join(["runs", *args])], r


def test_what_to_do_by_hand_is_said_where_it_is_kept(capsys):
    network = types.SimpleNamespace(ns=lambda who: f"x-{who}", siplane=types.SimpleNamespace(pid=7), dir="dir", name="x")
    args = types.SimpleNamespace(ipv6=False, scenario="dispatch", users=3)
    quickstart.by_hand(network, args, kept=True)
    said = capsys.readouterr().out
    assert "ip netns exec x-caller" in said and "--stop x" in said
    quickstart.by_hand(network, args, kept=False)
    said = capsys.readouterr().out
    assert "--keep" in said and "x-" not in said


def test_a_root_that_is_no_mount_point_is_explained():
    with pytest.raises(lab.LabError, match="mount --bind"):
        lab.run("sh", "-c", "echo 'mount --make-rslave / failed: Invalid argument' >&2; exit 255")
    with pytest.raises(lab.LabError) as other:
        lab.run("sh", "-c", "echo no >&2; exit 1")
    assert "mount" not in str(other.value)
