# SPDX-License-Identifier: BSD-3-Clause
"""The command line of tools/bench."""
import argparse
import difflib
import subprocess
import sys

from . import cases, context, row

STDERR = 2


def arguments(argv):
    p = argparse.ArgumentParser(
        prog="tools/bench", formatter_class=argparse.RawDescriptionHelpFormatter,
        description="Measures siplane. Without a name every case runs; --list names them.",
        epilog="Each figure is the least, the median and the greatest of many short windows, since machines are noisy.\n"
               "Rows go to stdout, progress to stderr.\n\n"
               "Exit status: 0 measured, 1 a case failed or one that was named cannot run here, 2 wrong usage.")
    p.add_argument("name", nargs="*", metavar="NAME", help="a case (default: all)")
    p.add_argument("--json", action="store_true", help="one JSON object a line: " + ", ".join(row.KEYS))
    p.add_argument("--save", metavar="FILE", help="write the rows as JSON to FILE too")
    p.add_argument("--plot", metavar="DIR", help="draw the rows as SVG and PNG into DIR (gnuplot)")
    p.add_argument("--report", action="store_true", help="write the figures of a whole run into docs/performance.md, with its pictures")
    p.add_argument("--from", metavar="FILE", dest="source", help="take the rows of a file that --json or --save wrote; measure nothing")
    p.add_argument("--seconds", type=float, default=context.DEFAULT_SECONDS, metavar="S",
                   help="time for each figure (default %(default)s)")
    p.add_argument("--list", action="store_true", help="name the cases and exit")
    args = p.parse_args(argv)
    for name in args.name:
        if name not in cases.ORDER:
            near = difflib.get_close_matches(name, cases.ORDER, 1)
            p.error(f"unknown case '{name}'" + (f" (did you mean '{near[0]}'?)" if near else "; --list names them"))
    if not 0.1 <= args.seconds <= 3600:
        p.error("--seconds takes 0.1 to 3600")
    if args.source and args.name:
        p.error("--from measures nothing: no NAME beside it")
    return args


def install(args):
    """What measuring or drawing wants; the rows of a file alone want nothing."""
    purposes = ["bench"] if args.source else ["build", "run", "bench"]
    if args.source and not args.plot and not args.report:
        return
    # Its words are progress: on stdout are rows.
    if subprocess.run([context.ROOT / "tools/install-packages", *purposes], stdout=STDERR, check=False).returncode != 0:
        raise context.Failed("packages are missing")


class Output:
    """Where rows go: the table or JSON on stdout, and the file of --save."""

    def __init__(self, args):
        self.json = args.json
        self.file = open(args.save, "w", encoding="utf-8") if args.save else None

    def row(self, r):
        if self.json:
            print(r.json(), flush=True)
        if self.file:
            print(r.json(), file=self.file, flush=True)

    def case(self, name, summary, rows):
        if not self.json:
            print(f"\n{name}: {summary}", *row.table(rows), sep="\n", flush=True)

    def commit(self, commit):
        if not self.json:
            print(f"commit: {commit}", flush=True)

    def words(self, name, text):
        print(f"{name}: {text}", file=sys.stderr if self.json else sys.stdout, flush=True)


def machine(output):
    """The row that says what is measured, where that is known."""
    commit = context.commit()
    if not commit:
        return []
    r = row.of_samples("machine", "commit", "", [0], "", context.cpu_model(), commit)
    output.row(r)
    output.commit(commit)
    return [r]


def measure(name, args, output):
    """Runs one case: its rows, and whether it failed."""
    module = cases.load(name)
    here = context.Context(name, args.seconds)
    rows, failed = [], False
    try:
        for r in module.run(here):
            rows.append(r)
            output.row(r)
    except context.Skipped as e:
        here.progress.done()
        output.words(name, f"skipped: {e}")
        failed = name in args.name
    except (context.Failed, ValueError, OSError) as e:
        here.progress.done()
        output.words(name, f"failed: {e}")
        failed = True
    here.progress.done()
    if rows:
        output.case(name, module.SUMMARY, rows)
    return rows, failed


def from_file(args, output):
    rows = row.read(args.source)
    for r in rows:
        output.row(r)
    for name in dict.fromkeys(r.case for r in rows):
        summary = cases.load(name).SUMMARY if name in cases.ORDER else ""
        output.case(name, summary, [r for r in rows if r.case == name])
    return rows


def main(argv=None):
    args = arguments(argv)
    if args.list:
        for name in cases.ORDER:
            print(f"{name:<12} {cases.load(name).SUMMARY}")
        return 0
    failed = False
    try:
        install(args)
        output = Output(args)
        if args.source:
            rows = from_file(args, output)
        else:
            rows = machine(output)
            for name in args.name or cases.ORDER:
                found, bad = measure(name, args, output)
                rows += found
                failed |= bad
        if args.plot:
            from . import plot
            plot.draw(rows, args.plot)
        if args.report:
            from . import report
            for path in report.write(rows):
                output.words("report", path)
    except (OSError, ValueError, context.Failed) as e:
        print(f"tools/bench: {e}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("tools/bench: interrupted", file=sys.stderr)
        return 1
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
