# SPDX-License-Identifier: BSD-3-Clause
"""The command line of tools/bench: what is refused, how cases end, what goes where."""
import io
import json
import os
import pathlib
import subprocess
import sys

import pytest

from benchmark import __main__ as runner
from benchmark import cases, context, report, row
from benchmark.cases import self_fed


class Case:
    SUMMARY = "a case of the test's"

    def __init__(self, rows=(), end=None):
        self.rows, self.end = rows, end

    def run(self, here):
        for metric, samples in self.rows:
            yield here.row(metric, "ns", samples, "ring")
        if self.end:
            raise self.end


@pytest.fixture
def registry(monkeypatch):
    known = {}
    monkeypatch.setattr(cases, "ORDER", ())
    monkeypatch.setattr(cases, "load", known.__getitem__)
    monkeypatch.setattr(runner, "install", lambda args: None)
    monkeypatch.setattr(context, "commit", lambda: "")  # an unpacked archive

    def add(name, case):
        known[name] = case
        monkeypatch.setattr(cases, "ORDER", (*cases.ORDER, name))
    return add


def test_every_case_of_the_registry_has_a_summary_and_can_run():
    for name in cases.ORDER:
        case = cases.load(name)
        assert isinstance(case.SUMMARY, str) and case.SUMMARY and "\n" not in case.SUMMARY
        assert callable(case.run)


def test_names_that_are_none_are_refused():
    with pytest.raises(KeyError):
        cases.load("nothing")


@pytest.fixture
def asked(tmp_path, monkeypatch):
    """What dpkg and apt are asked, where nothing is installed and nothing can be."""
    log = tmp_path / "asked"
    for name in ("dpkg-query", "apt-get"):
        stub = tmp_path / name
        stub.write_text(f"#!/bin/sh\necho {name} >>{log}\nexit 1\n")
        stub.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")
    return lambda: log.read_text() if log.exists() else ""


@pytest.mark.parametrize("argv, status", [(["dispach"], 2), (["--list"], 0), (["--help"], 0), (["--from", "/dev/null"], 0)])
def test_nothing_is_installed_where_nothing_is_measured(asked, argv, status):
    r = subprocess.run([context.ROOT / "tools/bench", *argv], capture_output=True, text=True, timeout=60)
    assert r.returncode == status and asked() == "", r.stderr


def test_what_cannot_be_installed_is_said(asked):
    r = subprocess.run([context.ROOT / "tools/bench", "--json", "parse"], capture_output=True, text=True, timeout=60)
    assert r.returncode == 1 and r.stdout == "" and "tools/bench: packages are missing" in r.stderr
    assert "dpkg-query" in asked()


@pytest.mark.parametrize("argv, words", [
    (["dispach"], "did you mean 'dispatch'?"), (["--seconds", "0"], "0.1 to 3600"), (["--seconds", "x"], "invalid"),
    (["--from", "f", "dispatch"], "measures nothing"), (["--no-such"], "unrecognized")])
def test_wrong_usage_is_status_2(argv, words, capsys):
    with pytest.raises(SystemExit) as e:
        runner.main(argv)
    assert e.value.code == 2 and words in capsys.readouterr().err


def test_list_names_all_cases(capsys):
    assert runner.main(["--list"]) == 0
    assert [line.split()[0] for line in capsys.readouterr().out.splitlines()] == list(cases.ORDER)


def test_json_is_rows_alone_and_save_has_the_same(registry, capsys, tmp_path):
    registry("one", Case([("a", [1.0, 2.0, 4.0])]))
    registry("two", Case([("b", [3.0])]))
    assert runner.main(["--json", "--save", str(tmp_path / "rows")]) == 0
    out = capsys.readouterr().out
    assert [(r["case"], r["metric"], r["median"]) for r in map(json.loads, out.splitlines())] == [("one", "a", 2.0), ("two", "b", 3.0)]
    assert (tmp_path / "rows").read_text() == out


def test_rows_say_which_commit_was_measured(registry, monkeypatch, capsys, tmp_path):
    """Of the time of measuring: the report may be written later, from the file."""
    registry("one", Case([("a", [1.0])]))
    monkeypatch.setattr(context, "commit", lambda: "0123456789ab-dirty")
    assert runner.main(["--json", "--save", str(tmp_path / "rows")]) == 0
    assert capsys.readouterr().out == (tmp_path / "rows").read_text()
    rows = row.read(tmp_path / "rows")
    assert [(r.case, r.metric, r.note) for r in rows] == [("machine", "commit", "0123456789ab-dirty"), ("one", "a", "")]
    assert "* commit: 0123456789ab, with changes\n" in report.fill("<!-- figures: machine -->\n<!-- end -->\n", rows)
    assert runner.main([]) == 0
    assert "0123456789ab-dirty" in capsys.readouterr().out


def test_the_commit_is_gits(tmp_path):
    def git(*words):
        return subprocess.run(["git", "-C", tmp_path, "-c", "user.name=a", "-c", "user.email=a@example.org", *words], check=True,
                              capture_output=True, text=True).stdout.strip()
    assert context.commit(tmp_path) == ""
    git("init", "-q")
    (tmp_path / "f").write_text("1")
    git("add", "f")
    git("commit", "-qm", "one")
    assert context.commit(tmp_path) == git("rev-parse", "--short=12", "HEAD")
    (tmp_path / "f").write_text("2")
    assert context.commit(tmp_path) == git("rev-parse", "--short=12", "HEAD") + "-dirty"


def test_people_get_a_table_a_case(registry, capsys):
    registry("one", Case([("a", [1.0])]))
    assert runner.main([]) == 0
    out = capsys.readouterr().out
    assert "one: a case of the test's" in out and "metric" in out and "{" not in out


def test_only_named_cases_run(registry, capsys):
    registry("one", Case([("a", [1.0])]))
    registry("two", Case(end=context.Failed("must not run")))
    assert runner.main(["one"]) == 0


def test_a_case_that_fails_says_why_and_the_others_go_on(registry, capsys):
    registry("bad", Case([("a", [1.0])], context.Failed("no such thing")))
    registry("good", Case([("b", [1.0])]))
    assert runner.main([]) == 1
    out = capsys.readouterr().out
    assert "bad: failed: no such thing" in out and "good: a case" in out


def test_a_skipped_case_fails_only_where_it_was_named(registry, capsys):
    registry("root", Case(end=context.Skipped("needs root")))
    assert runner.main([]) == 0
    assert "root: skipped: needs root" in capsys.readouterr().out
    assert runner.main(["root"]) == 1


def test_rows_of_a_file_are_printed_again(capsys, tmp_path):
    r = row.of_samples("dispatch", "ns_per_message", "ns", [1.0, 2.0, 3.0], "ring", "cpu")
    (tmp_path / "rows").write_text(r.json() + "\n")
    assert runner.main(["--from", str(tmp_path / "rows"), "--json"]) == 0
    assert row.parse(capsys.readouterr().out) == r
    assert runner.main(["--from", str(tmp_path / "none")]) == 1


def program(tmp_path, text):
    path = tmp_path / "program.py"
    path.write_text(text)
    return [sys.executable, path]


ROW = row.of_samples("c", "m", "u", [1.0], "ring", "cpu").json()


def test_a_programs_rows_come_as_it_prints_them(tmp_path):
    here = context.Context("c", progress=context.Progress(io.StringIO()))
    assert [r.metric for r in here.rows_of(program(tmp_path, f"print('''{ROW}''')"))] == ["m"]


@pytest.mark.parametrize("text, error, words", [
    ("import sys; print('why', file=sys.stderr); sys.exit(3)", context.Failed, "why"), ("print('nothing')", ValueError, "not JSON")])
def test_a_program_that_fails_or_prints_anything_else_fails_the_case(tmp_path, text, error, words):
    here = context.Context("c", progress=context.Progress(io.StringIO()))
    with pytest.raises(error, match=words):
        list(here.rows_of(program(tmp_path, text)))


def test_progress_is_a_line_at_the_begin_and_each_ten_seconds_where_there_is_no_terminal():
    now = [0.0]
    out = io.StringIO()
    progress = context.Progress(out, lambda: now[0])
    for second in range(25):
        now[0] = float(second)
        progress.say("at work")
    assert out.getvalue().splitlines() == ["at work (0 s)", "at work (10 s)", "at work (20 s)"]


def test_other_parsers_stand_beside_ours(monkeypatch):
    here = context.Context("parse", progress=context.Progress(io.StringIO()))
    measured = here.row("ns_per_message/812", "ns", [80.0], "memory")
    monkeypatch.setattr(here, "build", lambda *targets: pathlib.Path("none"))
    monkeypatch.setattr(here, "rows_of", lambda command: [measured])
    first, *others = cases.load("parse").run(here)
    assert first == measured and any(r.variant.startswith("picohttpparser/") for r in others)
    for r in others:
        assert r.is_reference and r.cpu != here.cpu and r.case == "parse" and r.min <= r.median <= r.max
        assert "not of this run" in r.note and row.parse(r.json()) == r
    monkeypatch.setattr(here, "case", "dispatch")
    assert list(cases.load("dispatch").run(here)) == [measured]


def test_two_workers_want_two_cpus(monkeypatch):
    here = context.Context("scale", progress=context.Progress(io.StringIO()))
    monkeypatch.setattr(here, "build", lambda *targets: pathlib.Path("none"))
    monkeypatch.setattr(self_fed.os, "sched_getaffinity", lambda pid: {3})
    with pytest.raises(context.Skipped, match="two CPUs"):
        list(cases.load("scale").run(here))
