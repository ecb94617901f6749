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


class Tally:
    def __init__(self):
        self.passed = self.failed = self.skipped = 0

    def add(self, passed=0, failed=0, skipped=0):
        self.passed += passed
        self.failed += failed
        self.skipped += skipped


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
    """(passed, failed, skipped, lines that say why) of cmocka's TAP output, whose skipped tests are `not ok N # SKIP`."""
    passed = failed = skipped = 0
    why, said = [], []
    for line in text.splitlines():
        if re.match(r"(not )?ok \d+ # SKIP", line, re.I):
            skipped += 1
            reason = "; ".join(said) or "(no reason given)"
            why.append(f"skipped: {line.split('# ')[1].split(maxsplit=1)[-1]}: {reason.removeprefix('skipped: ')}")
        elif re.match(r"not ok\b", line):
            failed += 1
            why.extend([line, *said[-10:]])
        elif re.match(r"ok\b", line):
            passed += 1
        elif line.startswith("# ") and failed:
            why.append(line)
        elif line.strip() and not re.match(r"(1\.\.|# )", line):
            said.append(line.strip())
            continue
        said = []
    return passed, failed, skipped, why


def run_cmocka(directory, tally, wrap=(), only=None, env=None, label=""):
    tests = json.loads(sh("meson", "introspect", "--tests", directory, capture_output=True, text=True).stdout)
    tests = [t for t in tests if only is None or only(t)]

    def one(t):
        begun = time.monotonic()
        try:
            r = sh(*wrap, *t["cmd"], env={**t["env"], "CMOCKA_MESSAGE_OUTPUT": "TAP", **(env or {})},
                   capture_output=True, text=True, errors="replace", timeout=600, stdin=subprocess.DEVNULL)
            return t, r.returncode, r.stdout, r.stderr, time.monotonic() - begun
        except subprocess.TimeoutExpired:
            return t, -1, "", "took longer than 600 s", 600

    # One more than there are CPUs: some wait for the kernel's timers most of their time.
    with ThreadPoolExecutor(JOBS + 1) as pool:
        for t, status, out, err, seconds in pool.map(one, tests):
            passed, failed, skipped, why = read_tap(out)
            if status == 77 and not passed and not failed:
                skipped = max(skipped, 1)
            elif status != 0 and failed == 0:
                failed += 1
                why.append(f"exit status {status}\n{out[-1500:]}\n{err[-4000:]}")
            elif passed + failed + skipped == 0:
                passed = 1  # a test that is no cmocka group: its exit status is its word
            if failed:
                why.append(err[-4000:])
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


def sanitize(args, tally):
    path = build("build-asan", "-Db_sanitize=address,undefined", "-Db_lundef=false", targets=("all",))
    run_cmocka(path, tally, env=SANITIZERS, label="asan ", only=lambda t: not runs_once(t))
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
    sh("/usr/bin/python3", "-m", "pytest", "-q", "-rs", folder, f"--junitxml={xml}", "-p", "no:cacheprovider", *options, env=env)
    if not xml.exists():
        tally.add(failed=1)
        return
    for suite in ET.parse(xml).getroot().iter("testsuite"):
        n = {k: int(suite.get(k, "0")) for k in ("tests", "failures", "errors", "skipped")}
        failed = n["failures"] + n["errors"]
        tally.add(n["tests"] - failed - n["skipped"], failed, n["skipped"])


def e2e(args, tally):
    build("build", targets=("app/siplane/siplane", "app/siplane-gen/siplane-gen"))
    pytest_run(args, tally, "e2e", {})


# Where a run reaches much, libFuzzer's entropic schedule costs more than the run: 400 of these took 5.6 s instead of 0.3.
LONG_RUNS = {"fuzz_txn"}


def fuzz(args, tally):
    path = configure("build-fuzz", "-Dfuzz=true", "-Db_sanitize=address,undefined", "-Db_lundef=false",
                     "-Doptimization=1", cc="clang")
    known = json.loads(sh("meson", "introspect", "--targets", path, capture_output=True, text=True).stdout)
    build("build-fuzz", targets=[pathlib.Path(f).relative_to(path) for t in known if t["name"].startswith("fuzz_")
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
    if not targets:
        tally.add(failed=1)
        print("  no fuzz targets were built")


def nic(args, tally):
    build("build", targets=("app/siplane/siplane", "app/siplane-gen/siplane-gen"))
    r = sh("tests/nic/run", capture_output=True, text=True, errors="replace", timeout=1200)
    print(r.stdout[-4000:], end="")
    found = re.findall(r"^(\d+) passed, (\d+) failed, (\d+) skipped$", r.stdout, re.M)
    if found:
        tally.add(*map(int, found[-1]))
    else:
        tally.add(failed=1)
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
    try:
        passed, failed = guard.run(path / "tests/bench/guard", accept=args.accept)
    except guard.Broken as e:
        print(f"  {e}")
        passed, failed = 0, 1
    tally.add(passed, failed)


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
    for name in args.suite or SUITES:
        begun = time.monotonic()
        print(f"== {name}", flush=True)
        globals()[name](args, tally)
        print(f"   {name} took {time.monotonic() - begun:.0f} s", flush=True)
    print(f"{tally.passed} passed, {tally.failed} failed, {tally.skipped} skipped")
    return 1 if tally.failed or not tally.passed else 0


sys.exit(main())
