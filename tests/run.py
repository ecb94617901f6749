# SPDX-License-Identifier: BSD-3-Clause
"""The second half of tests/run: builds, runs the suites, adds up."""
import argparse
import json
import os
import pathlib
import re
import subprocess
import sys
import time
import xml.etree.ElementTree as ET
from concurrent.futures import ThreadPoolExecutor

ROOT = pathlib.Path(__file__).resolve().parents[1]
SUITES = ("unit", "sanitize", "valgrind", "e2e", "fuzz", "nic", "bench")
JOBS = os.cpu_count() or 1


# What the summary at the end may be: who keeps no more than a log's last 200 lines finds all of it there.
SUMMARY_FAILURES = 40
SUMMARY_REASON = 15
SUMMARY_LINES = 180
SUMMARY_WIDTH = 200


class Tally:
    def __init__(self):
        self.passed = self.failed = self.skipped = 0
        self.suite = ""
        self.failures = []  # (suite, test, lines of its reason)

    def add(self, passed=0, failed=0, skipped=0):
        self.passed += passed
        self.failed += failed
        self.skipped += skipped

    def fail(self, test, reason):
        """Why one of the tests failed that add() counts; `reason` is its text, or lines."""
        lines = reason.splitlines() if isinstance(reason, str) else [one for line in reason for one in line.splitlines()]
        self.failures.append((self.suite, test, [line.rstrip()[:SUMMARY_WIDTH] for line in lines if line.strip()]))

    def summary(self):
        """Lines that say of each failure what it was and how its reason begins; the more there are, the less of each."""
        shown = self.failures[:SUMMARY_FAILURES]
        each = min(SUMMARY_REASON, SUMMARY_LINES // max(len(shown), 1) - 1)
        lines = ["== failed"] if self.failed or shown else []
        for suite, test, reason in shown:
            lines += [f"  {suite}: {test[:SUMMARY_WIDTH]}", *(f"      {line}" for line in reason[:each])]
        if max(self.failed, len(self.failures)) > len(shown):
            lines.append(f"  and {max(self.failed, len(self.failures)) - len(shown)} more")
        return lines


def sh(*args, env=None, **kw):
    return subprocess.run([str(a) for a in args], cwd=ROOT, env={**os.environ, **(env or {})}, **kw)


def configure(directory, *options, cc="gcc"):
    path = ROOT / directory
    if not (path / "build.ninja").exists():
        r = sh("meson", "setup", path, *options, env={"CC": cc}, capture_output=True, text=True)
        if r.returncode != 0:
            sys.exit(f"{r.stdout}\n{r.stderr}\ntests/run: meson setup {directory} failed")
    return path


def build(directory, *options, cc="gcc", targets=()):
    """Configures (once) and builds; prints the compiler's words only where it fails."""
    path = configure(directory, *options, cc=cc)
    print(f"building {directory} ...", flush=True)
    r = sh("ninja", "-C", path, *targets, capture_output=True, text=True)
    if r.returncode != 0:
        sys.exit(f"{r.stdout[-6000:]}\ntests/run: {directory} does not build")
    return path


def read_tap(text):
    """(passed, failures, skipped, lines that say why) of cmocka's TAP output, whose skipped tests are `not ok N # SKIP`.
    A failure is a list: the test's name, and what it said."""
    passed = skipped = 0
    failures, why, said = [], [], []
    for line in text.splitlines():
        if re.match(r"(not )?ok \d+ # SKIP", line, re.I):
            skipped += 1
            reason = "; ".join(said) or "(no reason given)"
            why.append(f"skipped: {line.split('# ')[1].split(maxsplit=1)[-1]}: {reason.removeprefix('skipped: ')}")
        elif re.match(r"not ok\b", line):
            failures.append([re.sub(r"not ok\s*\d*\s*(- )?", "", line), *said[-10:]])
            why.extend([line, *said[-10:]])
        elif re.match(r"ok\b", line):
            passed += 1
        elif line.startswith("# ") and failures:
            why.append(line)
            failures[-1].append(line[2:])
        elif line.strip() and not re.match(r"(1\.\.|# )", line):
            said.append(line.strip())
            continue
        said = []
    return passed, failures, skipped, why


def report_of(err):
    """The lines of a program's stderr from the first report of valgrind or a sanitizer on; without one its last lines."""
    lines = err.splitlines()
    found = next((i for i, line in enumerate(lines) if re.search(r"==\d+==|runtime error:|SUMMARY: ", line)), None)
    return lines[-SUMMARY_REASON:] if found is None else lines[found:]


# One more than there are CPUs: some wait for servers and the kernel's timers most of their time.
def run_cmocka(directory, tally, wrap=(), only=None, env=None, label="", jobs=JOBS + 1):
    tests = introspect(directory, "tests")
    # Those that take longest first (meson's `priority`), so that none of them is left over at the end.
    tests = sorted((t for t in tests if only is None or only(t)), key=lambda t: -t["priority"])

    def one(t):
        begun = time.monotonic()
        try:
            r = sh(*wrap, *t["cmd"], env={**t["env"], "CMOCKA_MESSAGE_OUTPUT": "TAP", **(env or {})},
                   capture_output=True, text=True, errors="replace", timeout=600, stdin=subprocess.DEVNULL)
            return t, r.returncode, r.stdout, r.stderr, time.monotonic() - begun
        except subprocess.TimeoutExpired:
            return t, -1, "", "took longer than 600 s", 600

    with ThreadPoolExecutor(jobs) as pool:
        for t, status, out, err, seconds in pool.map(one, tests):
            passed, failures, skipped, why = read_tap(out)
            failed = len(failures)
            if status == 77 and not passed and not failed:
                skipped = max(skipped, 1)
            elif status != 0 and failed == 0:
                failed += 1
                why.append(f"exit status {status}\n{out[-1500:]}\n{err[-4000:]}")
                tally.fail(f"{label}{t['name']}", [f"exit status {status}, after {passed} tests that passed", *report_of(err)])
            elif passed + failed + skipped == 0:
                passed = 1  # a test that is no cmocka group: its exit status is its word
            if failed:
                why.append(err[-4000:])
            for test, *reason in failures:
                tally.fail(f"{label}{t['name']}: {test}", [*reason, *report_of(err)])
            tally.add(passed, failed, skipped)
            print(f"  {label}{t['name']:<28} {passed} passed, {failed} failed, {skipped} skipped  ({seconds:.1f} s)")
            for line in why:
                print(f"      {line}")
            sys.stdout.flush()


def is_of(test, name):
    return name in (suite.split(":")[-1] for suite in test["suite"])


def runs_once(test):
    """Its seconds would be minutes under tools (meson's suite `once`)."""
    return is_of(test, "once")


def is_timed(test):
    """Its threads have bounds of time, which do not hold where one runs at a time (meson's suite `timed`)."""
    return is_of(test, "timed")


def unit(args, tally):
    path = build("build", targets=("all",))
    run_cmocka(path, tally)
    run_pytest("tests/unit/bench", "unit", tally)
    run_pytest("tests/unit/differential", "differential", tally)


SANITIZERS = {
    "ASAN_OPTIONS": "abort_on_error=0:detect_leaks=1:detect_stack_use_after_return=1",
    "UBSAN_OPTIONS": "print_stacktrace=1:halt_on_error=1",
    "LSAN_OPTIONS": f"suppressions={ROOT}/tests/lsan.supp:print_suppressions=0",
}


def introspect(path, what):
    return json.loads(sh("meson", "introspect", f"--{what}", path, capture_output=True, text=True).stdout)


def programs_of_tests(path):
    """What meson's tests run, for ninja: not what measures, nor what is run by hand."""
    wanted = {target for test in introspect(path, "tests") for target in test["depends"]}
    return [pathlib.Path(f).relative_to(path) for t in introspect(path, "targets") if t["id"] in wanted for f in t["filename"]]


def sanitize(args, tally):
    # -O1 keeps every check, leaves the optimizer less to take away, and compiles in two thirds of the time.
    path = configure("build-asan", "-Db_sanitize=address,undefined", "-Db_lundef=false", "-Doptimization=1")
    build("build-asan", targets=("app/siplane/siplane", "app/siplane-gen/siplane-gen", "app/siplanectl/siplanectl", *programs_of_tests(path)))
    # These compute; with more of them at once than there are CPUs, servers of databases miss the times that changes have.
    run_cmocka(path, tally, env=SANITIZERS, label="asan ", only=lambda t: not runs_once(t), jobs=JOBS)
    pytest_run(args, tally, "asan", {**SANITIZERS, "SIPLANE": str(path / "app/siplane/siplane"),
                                     "SIPLANE_GEN": str(path / "app/siplane-gen/siplane-gen")}, marker="sanitize")


NO_EAL = ("base", "sip", "net", "resolve", "db", "route", "proxy", "access", "location", "dispatch", "txn", "registrar", "auth")


def valgrind(args, tally):
    path = build("build", targets=("all",))
    run_cmocka(path, tally, label="valgrind ", env={"TEST_SCANNERS": "scalar,sse42,avx2", "LD_PRELOAD": path / "tests/unit/no_jit.so"},
               wrap=("valgrind", "-q", "--error-exitcode=99", "--leak-check=full", "--errors-for-leak-kinds=definite"),
               only=lambda t: pathlib.Path(t["cmd"][0]).parent.name in NO_EAL and not runs_once(t) and not is_timed(t))


def pytest_run(args, tally, name, env, marker=None):
    if os.geteuid() != 0:
        print(f"  {name}: skipped, network namespaces need root")
        tally.add(skipped=1)
        return
    options = []
    if args.k:
        options += ["-k", args.k]
    if args.keep:
        options += ["--keep"]
    both = f"{marker} and " if marker else ""
    # Most of them wait most of the time, and each has namespaces of its own.
    run_pytest("tests/e2e", name, tally, *options, "-m", f"{both}not alone", "-n", str(JOBS + 1), "--dist", "loadfile", env=env)
    run_pytest("tests/e2e", f"{name}-alone", tally, *options, "-m", f"{both}alone", env=env)


def run_pytest(folder, name, tally, *options, env=None):
    xml = ROOT / "build" / f"pytest-{name}.xml"
    xml.unlink(missing_ok=True)
    r = sh("/usr/bin/python3", "-m", "pytest", "-q", "-rs", folder, f"--junitxml={xml}", "-p", "no:cacheprovider", *options, env=env)
    if not xml.exists():
        tally.add(failed=1)
        tally.fail(f"{name} {folder}", f"pytest ended with status {r.returncode} and left no report")
        return
    failed = 0
    for suite in ET.parse(xml).getroot().iter("testsuite"):
        n = {k: int(suite.get(k, "0")) for k in ("tests", "failures", "errors", "skipped")}
        failed = n["failures"] + n["errors"]
        tally.add(n["tests"] - failed - n["skipped"], failed, n["skipped"])
        for case in suite.iter("testcase"):
            for said in (*case.iter("failure"), *case.iter("error")):
                tally.fail(f"{name} {node_id(folder, case.get('classname', ''), case.get('name', ''))}", reason_of(said))
    if r.returncode not in (0, 1, 5) and not failed:  # 5: no test was asked for
        tally.add(failed=1)
        tally.fail(f"{name} {folder}", f"pytest ended with status {r.returncode}, and no test failed")


def node_id(folder, classname, name):
    """What pytest would be given to run the test: the report has its file and classes with dots between."""
    parts = [p for p in (*classname.split("."), *([] if classname else name.split("."))) if p]
    for base in (ROOT / folder, ROOT):
        for i in range(len(parts), 0, -1):
            file = base.joinpath(*parts[:i]).with_suffix(".py")
            if file.is_file():
                return "::".join([str(file.relative_to(ROOT)), *parts[i:], *([name] if classname else [])])
    return "::".join(p for p in (classname, name) if p)


def reason_of(said):
    """pytest's lines that begin with E, and where; the message where it has none of them (an error before the test)."""
    text = (said.text or "").splitlines()
    lines = [line for line in text if re.match(r"E\s", line)]
    where = [line for line in text if re.match(r"\S+:\d+: ", line)][-1:]
    return [*where, *lines] if lines else [*(said.get("message") or "").splitlines(), *text[-SUMMARY_REASON:]]


def e2e(args, tally):
    build("build", targets=("app/siplane/siplane", "app/siplane-gen/siplane-gen", "app/siplanectl/siplanectl"))
    pytest_run(args, tally, "e2e", {})


# Where a run reaches much, libFuzzer's entropic schedule costs more than the run: 400 of these took 5.6 s instead of 0.3.
LONG_RUNS = {"fuzz_txn"}


def fuzz(args, tally):
    path = configure("build-fuzz", "-Dfuzz=true", "-Db_sanitize=address,undefined", "-Db_lundef=false",
                     "-Doptimization=1", cc="clang")
    build("build-fuzz", targets=[pathlib.Path(f).relative_to(path) for t in introspect(path, "targets") if t["name"].startswith("fuzz_")
                                 for f in t["filename"]])
    seconds = args.fuzz_seconds or (10 if os.environ.get("CI") else 60)
    targets = sorted(p for p in path.glob("tests/fuzz/*/fuzz_*") if p.is_file() and os.access(p, os.X_OK))

    def one(target):
        corpus = path / "corpus" / target.name
        corpus.mkdir(parents=True, exist_ok=True)
        own = ROOT / "tests/fuzz" / target.parent.name / "seeds"
        name = target.name.removeprefix("fuzz_")
        seeds = [d for d in (own / name, own / name.removeprefix(target.parent.name + "_"), own) if d.is_dir()][:1]
        r = sh(target, corpus, *seeds, f"-entropic={int(target.name not in LONG_RUNS)}", f"-max_total_time={seconds}", "-max_len=66000", "-timeout=10",
               "-rss_limit_mb=3072", f"-artifact_prefix={path}/", env=SANITIZERS, capture_output=True, text=True,
               errors="replace", timeout=seconds * 3 + 120)
        return target.name, r

    with ThreadPoolExecutor(JOBS) as pool:
        for name, r in pool.map(one, targets):
            runs = re.findall(r"stat::number_of_executed_units:\s*(\d+)|Done (\d+) runs", r.stderr)
            count = next((a or b for a, b in reversed(runs)), "?")
            tally.add(passed=int(r.returncode == 0), failed=int(r.returncode != 0))
            print(f"  {name:<28} {'passed' if r.returncode == 0 else 'FAILED'}, {count} runs in {seconds} s", flush=True)
            if r.returncode != 0:
                print(r.stderr[-5000:])
                tally.fail(name, [f"exit status {r.returncode}, {count} runs", *report_of(r.stderr)])
    if not targets:
        tally.add(failed=1)
        tally.fail("fuzz", "no fuzz targets were built")
        print("  no fuzz targets were built")


def nic(args, tally):
    build("build", targets=("app/siplane/siplane", "app/siplane-gen/siplane-gen"))
    r = sh("tests/nic/run", capture_output=True, text=True, errors="replace", timeout=1200)
    print(r.stdout[-4000:], end="")
    found = re.findall(r"^(\d+) passed, (\d+) failed, (\d+) skipped$", r.stdout, re.M)
    if found:
        tally.add(*map(int, found[-1]))
        for line in re.findall(r"^.*\bFAILED\b.*$", r.stdout, re.M):
            tally.fail("tests/nic/run", line)
    else:
        tally.add(failed=1)
        tally.fail("tests/nic/run", [f"exit status {r.returncode}", *report_of(r.stderr)])
        print(r.stderr[-4000:])


def bench(args, tally):
    """Instructions a message against the committed baseline. Without LTO, so that the stages keep their functions."""
    sys.path.insert(0, str(ROOT / "tests/bench"))
    import guard
    if "avx2" not in pathlib.Path("/proc/cpuinfo").read_text():
        print("  bench: skipped, the baseline was counted with AVX2, which this CPU does not have")
        tally.add(skipped=1)
        return
    path = build("build-guard", "-Dbuildtype=release", targets=("tests/bench/guard",))
    said = []

    def say(line):
        said.append(line)
        print(line)

    try:
        passed, failed = guard.run(path / "tests/bench/guard", accept=args.accept, say=say)
    except guard.Broken as e:
        say(f"  {e}")
        passed, failed = 0, 1
    tally.add(passed, failed)
    cases = {}
    for line in said:
        heading = re.match(r"  (\S+) +before +now", line)
        if heading:
            case = heading[1]
        elif "FAILED" in line:
            cases.setdefault(case, []).append(line.strip())
    for case, lines in cases.items():
        tally.fail(case, lines)
    if failed and not cases:
        tally.fail("tests/bench/guard", said)


def main():
    p = argparse.ArgumentParser(prog="tests/run")
    p.add_argument("--suite", action="append", choices=SUITES)
    p.add_argument("--fuzz-seconds", type=int)
    p.add_argument("--k")
    p.add_argument("--keep", action="store_true")
    p.add_argument("--accept", action="store_true")
    args = p.parse_args()
    if args.accept and args.suite != ["bench"]:
        p.error("--accept goes with --suite bench alone")
    tally = Tally()
    try:
        for name in args.suite or SUITES:
            begun = time.monotonic()
            print(f"== {name}", flush=True)
            tally.suite = name
            globals()[name](args, tally)
            print(f"   {name} took {time.monotonic() - begun:.0f} s", flush=True)
    finally:
        # Also where a suite does not build, after others that failed.
        print(*tally.summary(), sep="\n", end="\n" if tally.failures or tally.failed else "", flush=True)
    print(f"{tally.passed} passed, {tally.failed} failed, {tally.skipped} skipped")
    return 1 if tally.failed or not tally.passed else 0


sys.exit(main())
