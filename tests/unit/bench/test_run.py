# SPDX-License-Identifier: BSD-3-Clause
"""What tests/run says at its end: of each failure the suite, the test and how its reason begins, then the sum."""
import json
import os
import pathlib
import shutil
import subprocess

import pytest

ROOT = pathlib.Path(__file__).resolve().parents[3]

LOST = """#!/bin/sh
echo 1..3
echo 'ok 1 - test_kept'
echo '[  ERROR   ] --- 63 != 64' >&2
echo 'not ok 2 - test_lost'
echo '# 0x3f != 0x40'
echo '# ../tests/unit/room/test_lost.c:7: error: Failure!'
echo 'not ok 3 # SKIP test_not_here'
exit 1
"""
# Every test passes, and the tool that it runs under has something to say all the same.
LEAK = """#!/bin/sh
echo 1..1
echo 'ok 1 - test_leaks'
echo 'siplane: started' >&2
echo '==7== Invalid read of size 8' >&2
echo '==7==    at 0x1: take (table.c:12)' >&2
exit 99
"""
MANY = "#!/bin/sh\necho 1..100\nfor i in $(seq 100); do echo \"not ok $i - test_$i\"; for j in $(seq 30); do echo \"# line $j of $i\"; done; done\nexit 1\n"
PYTEST = """import pytest
def test_good(): pass
@pytest.mark.parametrize("n", (1, 2))
def test_bad(n):
    assert [n, "x"] == [1, "x"], "two is too many"
class TestAll:
    @pytest.fixture
    def gone(self):
        raise OSError("no such host")
    def test_fixture(self, gone): pass
"""


@pytest.fixture
def tests_run(tmp_path):
    """tests/run.py in a tree whose programs are scripts, and whose meson and ninja only say so."""
    for folder in ("bin", "build", "tests/unit/bench", "tests/unit/differential"):
        (tmp_path / folder).mkdir(parents=True)
    (tmp_path / "build/build.ninja").touch()
    shutil.copy(ROOT / "tests/run.py", tmp_path / "tests/run.py")
    (tmp_path / "tests/unit/differential/test_none.py").write_text("def test_good(): pass\n")

    def script(name, text):
        path = tmp_path / name
        path.write_text(text)
        path.chmod(0o755)
        return str(path)

    def run(*suites, pytest="def test_good(): pass\n", ninja="exit 0", **programs):
        (tmp_path / "tests/unit/bench/test_some.py").write_text(pytest)
        # Tests and targets at once, of which each has what is asked for.
        known = [{"name": n, "id": n, "suite": ["unit"], "priority": 0, "env": {}, "cmd": [script(f"build/{n}", text)], "depends": [n],
                  "filename": []} for n, text in programs.items()]
        script("bin/meson", f"#!/bin/sh\ncat <<'END'\n{json.dumps(known)}\nEND\n")
        script("bin/ninja", f"#!/bin/sh\n{ninja}\n")
        r = subprocess.run(["/usr/bin/python3", tmp_path / "tests/run.py", "--suite", "unit", *suites], capture_output=True, text=True, timeout=120,
                           env={**{k: v for k, v in os.environ.items() if k != "CI"}, "PATH": f"{tmp_path / 'bin'}:{os.environ['PATH']}"})
        lines = r.stdout.splitlines()
        return r, lines, lines[lines.index("== failed"):] if "== failed" in lines else []
    return run


def test_nothing_is_said_where_nothing_failed(tests_run):
    r, lines, summary = tests_run(good="#!/bin/sh\necho 'ok 1 - test_good'\n")
    assert r.returncode == 0 and not summary and lines[-1] == "3 passed, 0 failed, 0 skipped", r


def test_each_failure_is_said_again_before_the_sum(tests_run):
    r, lines, summary = tests_run(lost=LOST, leak=LEAK, killed="#!/bin/sh\nkill -9 $$\n", pytest=PYTEST)
    assert r.returncode == 1, r
    assert lines[-1] == "5 passed, 5 failed, 1 skipped", lines
    own = [line for line in summary if "assert [" not in line and "At index" not in line and "Use -v" not in line]  # pytest's of lists
    assert own[:-1] == [
        "== failed",
        "  unit: lost: test_lost",
        "      0x3f != 0x40",
        "      ../tests/unit/room/test_lost.c:7: error: Failure!",
        "      [  ERROR   ] --- 63 != 64",
        "  unit: leak",
        "      exit status 99, after 1 tests that passed",
        "      ==7== Invalid read of size 8",
        "      ==7==    at 0x1: take (table.c:12)",
        "  unit: killed",
        "      exit status -9, after 0 tests that passed",
        "  unit: unit tests/unit/bench/test_some.py::test_bad[2]",
        "      tests/unit/bench/test_some.py:5: AssertionError",
        "      E       AssertionError: two is too many",
        "  unit: unit tests/unit/bench/test_some.py::TestAll::test_fixture",
        "      tests/unit/bench/test_some.py:9: OSError",
        "      E       OSError: no such host",
    ]


def test_a_file_that_does_not_load_is_named(tests_run):
    r, lines, summary = tests_run(pytest="import no_such_module\n")
    assert lines[-1] == "1 passed, 1 failed, 0 skipped", r
    assert "tests/unit/bench/test_some.py" in summary[1] and any("no_such_module" in line for line in summary[2:-1]), summary


def test_a_run_of_pytest_that_does_not_end_well_has_failed(tests_run):
    r, lines, summary = tests_run(pytest="import os\ndef test_gone(): os._exit(3)\n")
    assert lines[-1] == "1 passed, 1 failed, 0 skipped", r
    assert summary[1:-1] == ["  unit: unit tests/unit/bench", "      pytest ended with status 3 and left no report"]


def test_many_failures_still_fit_a_log_of_200_lines(tests_run):
    r, lines, summary = tests_run(many=MANY)
    assert lines[-1] == "2 passed, 100 failed, 0 skipped", r
    assert len([line for line in summary if line.startswith("  unit: many: test_")]) == 40
    assert summary[-2] == "  and 60 more" and summary[1:3] == ["  unit: many: test_1", "      line 1 of 1"]
    assert len(summary) < 200


def test_a_suite_that_does_not_build_hides_no_failure_before_it(tests_run):
    r, lines, summary = tests_run("--suite", "sanitize", lost=LOST, ninja='case $2 in *build-asan) echo undefined reference; exit 1; esac')
    assert r.returncode == 1 and "build-asan does not build" in r.stderr, r
    assert summary[:2] == ["== failed", "  unit: lost: test_lost"]
