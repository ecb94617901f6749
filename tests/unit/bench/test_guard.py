# SPDX-License-Identifier: BSD-3-Clause
"""What tests/bench/guard.py makes of callgrind's files, and when it fails."""
import json
import pathlib
import sys

import pytest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[2] / "bench"))
import guard  # noqa: E402

# main calls outer twice, outer calls inner; a variant of inner is called by main.
FILE = """# callgrind format
version: 1
cmd: guard dispatch
events: Ir

fl=a.c
fn=main
0 5
cfn=outer
calls=2 0
0 70
cfn=inner.constprop.0
calls=1 0
0 10

fn=outer
0 20
cfn=inner
calls=4 0
0 50

fl=b.c
fn=inner
0 50

fn=inner.constprop.0
0 10

totals: 85
"""


def test_a_function_has_its_own_instructions_and_those_of_all_it_calls():
    assert guard.inclusive(FILE) == {"main": 85, "outer": 70, "inner": 50, "inner.constprop.0": 10}


def test_stages_are_a_message_and_take_the_compilers_variants_too():
    assert guard.stages(FILE, 10, {"a": ("outer",), "b": ("inner",)}) == {"a": 7.0, "b": 6.0, "total": 8.5}


def test_a_stage_that_is_gone_is_said_by_name():
    with pytest.raises(guard.Broken, match="no function route_burst was called"):
        guard.stages(FILE, 10, {"route": ("route_burst",)})


def test_a_file_without_a_total_is_refused():
    with pytest.raises(guard.Broken):
        guard.whole("fn=main\n0 5\n")


@pytest.mark.parametrize("now, fails", [(1000, False), (1030, False), (1031, True), (2000, True), (500, False)])
def test_more_than_three_percent_up_fails(now, fails):
    assert [r[4] for r in guard.compare({"index": 1000.0, "total": 1000.0}, {"index": now, "total": now})] == [fails, fails]


def test_a_few_instructions_of_a_tiny_stage_do_not_fail():
    assert [r[4] for r in guard.compare({"send": 20.0, "total": 5000.0}, {"send": 25.0, "total": 5005.0})] == [False, False]
    assert guard.compare({"send": 20.0, "total": 5000.0}, {"send": 26.0, "total": 5006.0})[0][4]


def test_a_stage_cannot_hide_behind_another_that_shrank():
    rows = guard.compare({"index": 1000.0, "route": 1000.0, "total": 2000.0}, {"index": 1100.0, "route": 800.0, "total": 1900.0})
    assert {r[0]: r[4] for r in rows} == {"index": True, "route": False, "total": False}


def test_a_stage_that_is_new_or_gone_fails():
    rows = guard.compare({"old": 10.0, "total": 10.0}, {"new": 10.0, "total": 10.0})
    assert {r[0]: r[4] for r in rows} == {"old": True, "new": True, "total": False}
    assert [r[0] for r in rows][-1] == "total"


SAID = "3072 frames\n  answered 79\n  not_sip 2993\n  frames_out 79\n"


def test_what_became_of_the_frames_is_read():
    assert guard.ends(SAID) == (3072, {"answered": 79, "not_sip": 2993, "frames_out": 79})


@pytest.mark.parametrize("said", ["", "0 frames\n  answered 0\n", "3072 frames\n", "  answered 3072\n"])
def test_a_program_that_does_not_say_what_became_of_its_frames_is_refused(said):
    with pytest.raises(guard.Broken):
        guard.ends(said)


def stub(tmp_path, said, status):
    """A program that stands for valgrind: its file, its words, its status."""
    path = tmp_path / "valgrind"
    path.write_text(f"""#!/usr/bin/python3
import sys
out = next(a for a in sys.argv if a.startswith("--callgrind-out-file=")).partition("=")[2]
open(out, "w").write("fn=sip_msg_index\\n0 3072\\nfn=sip_msg_check\\n0 3072\\ntotals: 6144\\n")
sys.stdout.write({said!r})
sys.exit({status})
""")
    path.chmod(0o755)


def test_a_case_in_which_a_message_ended_otherwise_is_broken(tmp_path, monkeypatch):
    """The case itself looks at its counters and ends with 1: no count of it is taken."""
    monkeypatch.setenv("PATH", str(tmp_path), prepend=":")
    stub(tmp_path, SAID, 1)
    with pytest.raises(guard.Broken, match="parse: status 1"):
        guard.count("program", "parse")
    stub(tmp_path, SAID, 0)
    assert guard.count("program", "parse") == ({"index": 1.0, "check": 1.0, "total": 2.0},
                                               {"answered": 79, "not_sip": 2993, "frames_out": 79})


class Counted(dict):
    ends = None


@pytest.fixture
def counted(monkeypatch, tmp_path):
    """Counts are what the test says; the baseline is a file of the test's."""
    found = Counted({case: {**{stage: 100.0 for stage in entries}, "total": 1000.0} for case, entries in guard.CASES.items()})
    ends = {case: {"forwarded": 3072, "frames_out": 3072} for case in guard.CASES}
    monkeypatch.setattr(guard, "count", lambda program, case: (found[case], ends[case]))
    monkeypatch.setattr(guard, "BASELINE", tmp_path / "baseline.json")
    found.ends = ends
    return found


def run(accept=False):
    said = []
    return guard.run("program", accept=accept, say=said.append), "\n".join(said)


def test_without_a_baseline_it_fails_and_says_how_to_write_one(counted):
    (passed, failed), said = run()
    assert (passed, failed) == (0, 1) and "--accept" in said


def test_accept_writes_what_the_next_run_holds_against(counted):
    assert run(accept=True)[0] == (len(guard.CASES), 0)
    assert json.loads(guard.BASELINE.read_text())["cases"] == counted
    assert run()[0] == (len(guard.CASES), 0)
    counted["response"]["route"] = 110.0
    (passed, failed), said = run()
    assert (passed, failed) == (len(guard.CASES) - 1, 1)
    assert [line for line in said.splitlines() if "FAILED" in line] == ["    route              100       110   +10.0 %  FAILED"]
    assert run(accept=True)[0] == (len(guard.CASES), 0) and run()[0] == (len(guard.CASES), 0)


def test_messages_that_end_otherwise_fail_however_few_instructions_they_take(counted):
    run(accept=True)
    counted["malformed"]["total"] = 1.0
    counted.ends["malformed"] = {"forwarded": 3000, "not_sip": 72, "frames_out": 3000}
    (passed, failed), said = run()
    assert (passed, failed) == (len(guard.CASES) - 1, 1)
    assert [" ".join(line.split()) for line in said.splitlines() if "FAILED" in line] == [
        "forwarded 3,072 3,000 FAILED", "frames_out 3,072 3,000 FAILED", "not_sip - 72 FAILED"]
    assert run(accept=True)[0] == (len(guard.CASES), 0) and run()[0] == (len(guard.CASES), 0)


def test_a_baseline_of_another_compiler_is_said(counted, monkeypatch):
    run(accept=True)
    monkeypatch.setattr(guard, "compiler", lambda: "gcc 99.0.0")
    (_, failed), said = run()
    assert failed == 0 and "gcc 99.0.0" in said


def test_the_committed_baseline_has_every_case_and_stage():
    cases = json.loads((pathlib.Path(guard.__file__).with_name("baseline.json")).read_text())["cases"]
    assert {c: set(s) for c, s in cases.items()} == {c: {*s, "total"} for c, s in guard.CASES.items()}
    ends = guard.read()["ends"]
    assert set(ends) == set(guard.CASES)
    assert ends["dispatch"]["forwarded"] == ends["dispatch"]["frames_out"] == guard.BURSTS * 32
    assert "forwarded" not in ends["malformed"] and ends["options"]["answered"] == guard.BURSTS * 32
