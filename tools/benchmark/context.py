# SPDX-License-Identifier: BSD-3-Clause
"""What a case gets: where things are, how long it may take, builds, progress, and the way to its rows."""
import contextlib
import os
import pathlib
import re
import subprocess
import sys
import threading
import time

from . import row

ROOT = pathlib.Path(__file__).resolve().parents[2]
BUILD = ROOT / "build-bench"
RELEASE = ("-Dbuildtype=release", "-Db_lto=true")
DEFAULT_SECONDS = 5
DRAW_EVERY_S, SAY_EVERY_S = 0.25, 10  # progress on a terminal, and elsewhere


class Failed(Exception):
    """The case could not measure; the text says why."""


class Skipped(Exception):
    """This machine or user cannot run the case; the text says what is missing."""


class Progress:
    """One line that changes on a terminal, a line every ten seconds elsewhere; on stderr, so that --json stays clean."""

    def __init__(self, out=sys.stderr, clock=time.monotonic):
        self.out, self.clock = out, clock
        self.live = out.isatty()
        self.begun = self.shown = clock()
        self.width = 0
        self.silent = True  # nothing said yet of what goes on now

    def say(self, text):
        now = self.clock()
        if self.live:
            if now - self.shown < DRAW_EVERY_S and self.width:
                return
            line = f"{text} ({now - self.begun:.0f} s)"
            print(f"\r{line.ljust(self.width)}", end="", file=self.out, flush=True)
            self.width = len(line)
        elif self.silent or now - self.shown >= SAY_EVERY_S:
            print(f"{text} ({now - self.begun:.0f} s)", file=self.out, flush=True)
        else:
            return
        self.shown, self.silent = now, False

    def done(self):
        if self.live and self.width:
            print(f"\r{' ' * self.width}\r", end="", file=self.out, flush=True)
        self.width, self.silent = 0, True
        self.begun = self.shown = self.clock()


def cpu_model():
    """The processor's name, and what else one has to know to compare: how many of them."""
    text = pathlib.Path("/proc/cpuinfo").read_text(errors="replace")
    found = re.search(r"^model name\s*:\s*(.+)$", text, re.M)
    model = re.sub(r"\s+", " ", found.group(1)).strip() if found else "unknown"
    return f"{model}, {len(os.sched_getaffinity(0))} CPUs"


def commit(folder=ROOT):
    """The commit of a checkout, "-dirty" behind it where tracked files differ; "" where there is none."""
    try:
        return subprocess.run(["git", "-C", folder, "describe", "--always", "--dirty", "--abbrev=12", "--exclude=*"], text=True,
                              stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, check=True).stdout.strip()
    except (OSError, subprocess.CalledProcessError):
        return ""


class Context:
    configured = False  # the build folder, by this process

    def __init__(self, case, seconds=DEFAULT_SECONDS, progress=None):
        self.case = case
        self.seconds = seconds  # for each figure or family of figures that is measured together
        self.root = ROOT
        self.cpu = cpu_model()
        self.progress = progress or Progress()

    def say(self, text):
        """Progress: what is going on now."""
        self.progress.say(f"{self.case}: {text}")

    def row(self, metric, unit, samples, device, note=""):
        """A row of this case from the samples of its windows."""
        return row.of_samples(self.case, metric, unit, samples, device, self.cpu, note)

    def build(self, *targets):
        """Builds the targets (paths below the build folder) with release flags; the folder."""
        # Also a folder that is there: whoever changed its options would measure another program.
        if not Context.configured:
            verb = "configure" if (BUILD / "build.ninja").exists() else "setup"
            self._ninja(["meson", verb, str(BUILD), *RELEASE], "configuring")
            Context.configured = True
        self._ninja(["ninja", "-C", str(BUILD), *targets], "building " + " ".join(targets))
        return BUILD

    def _ninja(self, command, what):
        self.say(what)
        p = subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, errors="replace")
        tail = []
        for line in p.stdout:
            tail = tail[-40:] + [line]
            step = re.match(r"\[(\d+)/(\d+)\]", line)
            self.say(f"{what}, {step.group(1)} of {step.group(2)}" if step else what)
        if p.wait() != 0:
            raise Failed(f"{' '.join(command)} failed:\n{''.join(tail)}")

    def rows_of(self, command, timeout=None, **kw):
        """Runs a program that writes rows as JSON on stdout and its progress on stderr; yields its rows as they come."""
        command = [str(c) for c in command]
        with contextlib.ExitStack() as stack:
            p = stack.enter_context(subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                                                     text=True, errors="replace", **kw))
            said = []
            listener = threading.Thread(target=self._listen, args=(p.stderr, said), daemon=True)
            listener.start()
            try:
                for line in p.stdout:
                    yield row.parse(line)
                status = p.wait(timeout)
            except BaseException:
                p.kill()
                raise
            listener.join()
            if status != 0:
                raise Failed(f"{' '.join(command)} ended with {status}:\n" + "".join(said[-20:]))

    def _listen(self, stream, said):
        for line in stream:
            said.append(line)
            self.say(line.strip())
