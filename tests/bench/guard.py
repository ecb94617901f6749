# SPDX-License-Identifier: BSD-3-Clause
"""Instructions a message, counted under callgrind and held against tests/bench/baseline.json.

Wall time on a shared machine says nothing about a change of some percent; the number of instructions does, and it is
the same each time: the scanner is AVX2, keys, clock and messages are fixed, and only the worker's passes are counted.
What becomes of the messages is fixed too: a case looks at its counters (all forwarded, all answered, none sent on), and the
number of frames that ended in each way has to be the baseline's.

    tests/run --suite bench                      compare; a stage that grew by more than 3 % fails, and so does
                                                 a message that ended otherwise
    tests/run --suite bench --accept             write a new baseline; its commit gives the reason
"""
import json
import pathlib
import re
import subprocess
import tempfile

BASELINE = pathlib.Path(__file__).with_name("baseline.json")
LIMIT_PERCENT = 3.0
# A stage of a handful of instructions may not fail on one more.
LEAST_GROWTH = 5.0
BURSTS = 96
SCANNER = "avx2"
CONTACTS = 1000  # of the case lookup

# A stage is what its entry point and all that it calls execute.
PIPELINE = {"classify": ("classify_burst",), "index": ("index_burst",), "route": ("route_burst",), "rewrite": ("rewrite_burst",),
            "transmit": ("transmit_burst",), "send": ("transmit_flush",)}
CASES = {"parse": {"index": ("sip_msg_index",), "check": ("sip_msg_check",)},
         **{case: PIPELINE for case in ("dispatch", "response", "indialog", "options", "malformed", "lookup")}}


class Broken(Exception):
    """Nothing could be counted; the text says why."""


def inclusive(text):
    """{function: instructions of it and of all it calls} from a callgrind file without compressed names."""
    total = {}
    fn = None
    for line in text.splitlines():
        if line.startswith("fn="):
            fn = line[3:]
        elif fn is not None and re.match(r"[+*-]?\d+ \d+$|\* \d+$", line):
            total[fn] = total.get(fn, 0) + int(line.rpartition(" ")[2])
    return total


def whole(text):
    """All instructions of a callgrind file."""
    found = re.search(r"^(?:totals|summary): (\d+)", text, re.M)
    if found is None:
        raise Broken("callgrind's file has no total")
    return int(found.group(1))


def stages(text, messages, entries):
    """Instructions a message of each stage, and of all."""
    of = inclusive(text)
    out = {}
    for stage, names in entries.items():
        # The compiler may have made a variant of a function: name.constprop.0 and the like.
        found = [v for k, v in of.items() if k.partition(".")[0] in names]
        if not found:
            raise Broken(f"no function {' or '.join(names)} was called: where is the stage '{stage}' now? (tests/bench/guard.py)")
        out[stage] = round(sum(found) / messages, 2)
    out["total"] = round(whole(text) / messages, 2)
    return out


def ends(text):
    """What the program says of its frames: (how many, {how they ended: frames})."""
    found = re.search(r"^(\d+) frames\n((?:  \w+ \d+\n)+)", text, re.M)
    if found is None or int(found.group(1)) == 0:
        raise Broken(f"the program does not say what became of its frames:\n{text[-500:]}")
    return int(found.group(1)), {name: int(n) for name, n in re.findall(r"^  (\w+) (\d+)$", found.group(2), re.M)}


def count(program, case):
    """Instructions a message of a case, by stage, and how its frames ended."""
    with tempfile.TemporaryDirectory(prefix="bench-guard-") as folder:
        out = pathlib.Path(folder) / "callgrind.out"
        r = subprocess.run(["valgrind", "--tool=callgrind", "--collect-atstart=no", f"--callgrind-out-file={out}",
                            "--compress-strings=no", "--compress-pos=no", "--dump-line=no", str(program), case,
                            "--count", str(BURSTS), "--scanner", SCANNER, "--no-huge", "--contacts", str(CONTACTS)],
                           capture_output=True, text=True, errors="replace", timeout=600, stdin=subprocess.DEVNULL)
        if r.returncode != 0:
            raise Broken(f"{case}: status {r.returncode}\n{r.stdout[-500:]}{r.stderr[-2000:]}")
        frames, ended = ends(r.stdout)
        return stages(out.read_text(), frames, CASES[case]), ended


def compare(before, now):
    """[(stage, before, now, percent, whether that fails)], the total last; a stage that is new or gone fails too."""
    rows = []
    for stage in dict.fromkeys([*(s for s in (*before, *now) if s != "total"), "total"]):
        a, b = before.get(stage), now.get(stage)
        if a is None or b is None:
            rows.append((stage, a, b, None, True))
            continue
        grown = b - a
        percent = 100 * grown / a if a else 0.0
        rows.append((stage, a, b, percent, grown > LEAST_GROWTH and percent > LIMIT_PERCENT))
    return rows


def compare_ends(before, now):
    """[(how frames ended, before, now)] where the two differ."""
    return [(e, before.get(e), now.get(e)) for e in dict.fromkeys([*before, *now]) if before.get(e) != now.get(e)]


def table(case, rows, ended=()):
    def cell(v):
        return "-" if v is None else f"{v:,.0f}"
    lines = [f"  {case:<14} {'before':>9} {'now':>9}"]
    for stage, a, b, percent, failed in rows:
        change = "" if percent is None else f"{percent:+.1f} %"
        lines.append(f"    {stage:<12} {cell(a):>9} {cell(b):>9} {change:>9}{'  FAILED' if failed else ''}".rstrip())
    lines += [f"    {end:<12} {cell(a):>9} {cell(b):>9} {'FAILED':>17}" for end, a, b in ended]
    return lines


def compiler():
    r = subprocess.run(["gcc", "-dumpfullversion"], capture_output=True, text=True)
    return f"gcc {r.stdout.strip()}"


def read():
    return json.loads(BASELINE.read_text()) if BASELINE.exists() else None


def write(counted, ended):
    BASELINE.write_text(json.dumps({"unit": "instructions a message", "compiler": compiler(), "scanner": SCANNER, "cases": counted, "ends": ended},
                                   indent=1) + "\n")


def run(program, accept=False, say=print):
    """Counts all cases: (passed, failed). With `accept` what was counted becomes the baseline."""
    counted, ended = {}, {}
    for case in CASES:
        counted[case], ended[case] = count(program, case)
    baseline = read()
    if baseline is None and not accept:
        say("  no tests/bench/baseline.json: --accept writes it")
        return 0, 1
    if baseline is not None and baseline["compiler"] != compiler():
        say(f"  the baseline was counted with {baseline['compiler']}, this is {compiler()}: differences may be the compiler's")
    failed = 0
    for case, now in counted.items():
        rows = compare((baseline or {}).get("cases", {}).get(case, {}), now)
        otherwise = compare_ends((baseline or {}).get("ends", {}).get(case, {}), ended[case])
        if accept:
            rows, otherwise = [(*r[:4], False) for r in rows], []
        failed += bool(otherwise) or any(r[4] for r in rows)
        for line in table(case, rows, otherwise):
            say(line)
    if accept:
        write(counted, ended)
        say(f"  written to {BASELINE.name}: give the reason in its commit")
        return len(counted), 0
    if failed:
        say(f"  more than {LIMIT_PERCENT:.0f} % up, or messages that ended otherwise. Where it is meant: "
            "tests/run --suite bench --accept, and the reason in the commit.")
    return len(counted) - failed, failed
