# SPDX-License-Identifier: BSD-3-Clause
"""Latency over memif at parts of the highest rate without loss, the generator's own loopback and the machine's gaps beside."""
import contextlib
import json
import os
import pathlib
import statistics
import subprocess
import tempfile
import time

from lab.lab import LabError, run as lab_run

from ..context import ROOT, Failed, Skipped

SUMMARY = "latency through siplane over memif, generator and siplane on a core each"

PERCENT_OF_NDR = (10, 50, 90)
PERCENTILES = (10, 25, 50, 75, 90, 95, 99, 99.9, 99.99)
GAPS_US = tuple(2 ** n for n in range(16))
DESTINATIONS = [f"10.20.0.{n}" for n in range(11, 15)]
# Memory that two processes share: rings of 2^12 ride out what the machine takes away from either.
MEMIF = "net_memif_{name},role={role},socket-abstract=no,socket={socket},rsize=12"
MAC = {"edge": "02:00:00:00:0e:01", "core": "02:00:00:00:0c:01", "caller": "02:00:00:00:0e:02", "reflector": "02:00:00:00:0c:02"}
ROUNDS = 9
TRIAL_S = 0.3
SEARCH_S = 0.3
RATE_FIRST, RATE_LEAST, RATE_MOST = 10_000, 100, 10_000_000
REACHED = 0.98  # of the rate, or the generator did not keep up
RESOLUTION = 0.05
CONFIRMATIONS = 5  # trials that count for a rate; most of them decide: one gap of the machine is no limit of siplane
MAJORITY = CONFIRMATIONS // 2 + 1
TRIALS_MOST = 11  # of a rate; those that the generator limited count for neither side
SEARCHES = 3
FAR, NEAR = 2.0, 1.15  # a search's first steps: where nothing is known, and around what an earlier one found
QUIET_PERCENT = 5
GAP_WINDOWS = 8
NO_DEVICE = "no device"
READY_S = 20
STARTS = 3  # of a generator that does not start: another program may take the pages that it has just found free


class Stand:
    """siplane on one CPU, siplane-gen on the other, one namespace for both."""

    def __init__(self, build):
        self.build = build
        self.name = f"slb{os.getpid()}latency"
        self.dir = pathlib.Path(tempfile.mkdtemp(prefix="siplane-bench-latency-"))
        self.siplane = None
        cpus = sorted(os.sched_getaffinity(0))
        if len(cpus) < 2:
            raise Skipped("two CPUs are needed: one for siplane, one for the generator")
        self.cpu = cpus[0]

    def __enter__(self):
        try:
            lab_run("ip", "netns", "add", self.name)
            lab_run("ip", "-n", self.name, "link", "set", "lo", "up")
            self._start()
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *exc):
        if self.siplane is not None and self.siplane.poll() is None:
            self.siplane.terminate()
            try:
                self.siplane.wait(5)
            except subprocess.TimeoutExpired:
                self.siplane.kill()
                self.siplane.wait()
        lab_run("ip", "netns", "del", self.name, check=False)
        lab_run("rm", "-rf", self.dir, check=False)

    def memif(self, name, role, socket):
        return MEMIF.format(name=name, role=role, socket=self.dir / socket)

    def _start(self):
        ports = "".join(f'port "{port}" {{ device = "{self.memif(port, "server", port)}"; address = {address}; mac = "{MAC[port]}"; }}\n'
                        for port, address in (("edge", "10.10.0.1/24"), ("core", "10.20.0.1/24")))
        config = self.dir / "siplane.cfg"
        config.write_text("cores { workers = 1; control = 1; idle = poll; }\n" f'secret_file = "{self.dir}/secret"\n{ports}'
                          f'listen = udp:edge:5060\nlisten = udp:core:5060\ninclude_file "{ROOT}/conf/bench.cfg"\n')
        log = self.dir / "siplane.log"
        with open(log, "wb") as out:
            self.siplane = subprocess.Popen(
                ["ip", "netns", "exec", self.name, self.build / "app/siplane/siplane", "-f", config],
                stdin=subprocess.DEVNULL, stdout=out, stderr=subprocess.STDOUT, cwd=self.dir)
        end = time.monotonic() + READY_S
        while "\nready" not in log.read_text(errors="replace"):
            if self.siplane.poll() is not None or time.monotonic() > end:
                raise Failed(f"siplane did not start:\n{log.read_text(errors='replace')[-2000:]}")
            time.sleep(0.05)
        # The generator has no kernel behind it that would answer ARP.
        for host, port, who in [("10.10.0.2", "edge", "caller"), *((d, "core", "reflector") for d in DESTINATIONS)]:
            lab_run("ip", "-n", self.name, "neigh", "replace", host, "lladdr", MAC[who], "dev", f"ct-{port}", "nud", "permanent")

    def trial(self, rate, seconds, through=True):
        """One run of the generator, through siplane or to its own reflector: (result, [(microseconds, share)])."""
        if through:
            caller, reflector = self.memif("caller", "client", "edge"), self.memif("reflector", "client", "core")
            macs = MAC["edge"], MAC["core"]
        else:
            caller, reflector = self.memif("caller", "server", "loop"), self.memif("reflector", "client", "loop")
            macs = MAC["reflector"], MAC["caller"]
        points = self.dir / "points"
        address = [a for d in DESTINATIONS for a in ("--reflect-address", f"{d}/24")]
        result = self._generate(seconds, [
            "--cpu", str(self.cpu), "--device", caller, "--address", "10.10.0.2/24", "--mac", MAC["caller"], "--peer-mac", macs[0],
            "--reflect-device", reflector, *address, "--reflect-mac", MAC["reflector"], "--reflect-peer-mac", macs[1],
            "--target", "10.10.0.1:5060" if through else f"{DESTINATIONS[0]}:5060", "--no-retransmit", "--no-ringing",
            "--rate", f"{rate:.0f}", "--seconds", str(seconds), "--drain", "1s", "--json", "--histogram", points,
            ROOT / "conf/bench-latency.gen"])
        if result["ok"] == 0:
            raise Failed(f"no answer came through: {json.dumps(result)[:1500]}")
        return result, read_points(points.read_text())

    def _generate(self, seconds, options):
        """What siplane-gen says as JSON; one that does not start gets another chance."""
        command = ["ip", "netns", "exec", self.name, self.build / "app/siplane-gen/siplane-gen", *options]
        for _ in range(STARTS):
            try:
                r = subprocess.run(command, capture_output=True, text=True, timeout=seconds + READY_S, cwd=self.dir)
            except subprocess.TimeoutExpired as e:
                raise Failed(f"siplane-gen did not end in {seconds + READY_S:.0f} s") from e
            with contextlib.suppress(IndexError, ValueError):
                return json.loads(r.stdout.strip().splitlines()[-1])
        raise Failed(f"siplane-gen ended with {r.returncode}:\n{r.stdout[-500:]}{r.stderr[-1500:]}")


def read_points(text):
    """[(microseconds, share of answers that took no longer)] of siplane-gen --histogram."""
    return [tuple(float(x) for x in line.split()[:2]) for line in text.splitlines() if line and not line.startswith("#")]


def percentile(points, percent):
    return next((us for us, share in points if share >= percent / 100 - 1e-12), points[-1][0])


def limit_of(result, rate):
    """Why the generator, and not what it loads, was the limit of a trial; "" where it was not."""
    if result["generator_limit"]:
        return result["limit_reason"]
    if result["attempts_per_second"] < REACHED * rate:
        return f"it sent {result['attempts_per_second']:,.0f} a second"
    return ""


def sustains(context, stand, rate):
    """Whether most short trials at the rate lose nothing; and where it was the generator that did not keep up, its words."""
    clean = lost = limited = 0
    words = ""
    for _ in range(TRIALS_MOST):
        result, _ = stand.trial(rate, SEARCH_S)
        limit = limit_of(result, rate)
        if limit:
            words = limit
            limited += 1
        elif result["failed"] == 0:
            clean += 1
        else:
            lost += 1
        context.say(f"{rate:,.0f} a second: {limit or (str(result['failed']) + ' lost' if result['failed'] else 'nothing lost')}")
        if MAJORITY in (clean, lost) or (limited == CONFIRMATIONS and clean + lost == 0):
            break
    if clean == MAJORITY:
        return True, ""
    return False, words if lost < MAJORITY else ""


def find_ndr(context, stand, first=RATE_FIRST, step=FAR):
    """The highest rate at which most short trials lose nothing: up or down by steps until it is enclosed, then by halves."""
    low, high, rate, limit = 0, None, first, ""
    while high is None or high - low > RESOLUTION * high:
        held, words = sustains(context, stand, rate)
        if held:
            low = rate
        else:
            high, limit = rate, words
            if high < RATE_LEAST:
                raise Failed(f"even {high:.0f} a second are {'too much for the generator: ' + words if words else 'not free of loss'}")
        rate = rate * step if high is None else (low + high) / 2 if low else high / step
        if rate > RATE_MOST:
            break
    return low, limit


def search(context, stand):
    """What several searches found, and what limited the generator above it."""
    found = [find_ndr(context, stand)]
    while len(found) < SEARCHES:
        found.append(find_ndr(context, stand, found[0][0], NEAR))
    return [rate for rate, _ in found], next((words for _, words in found if words), "")


def gap_rows(context, windows):
    """Rows of what tests/bench/gaps found in each window: a list of what it says of each CPU."""
    found = [c for window in windows for c in window]
    still = [100 * c["gap_ns"] / c["ns"] for c in found]
    yield context.row("gaps_time", "%", still, NO_DEVICE, "of a CPU's time, stood still"
                      + ("; OTHERS ARE BUSY HERE: the latencies below are theirs" if max(still) > QUIET_PERCENT else ""))
    yield context.row("gaps_longest_us", "us", [c["longest_ns"] / 1e3 for c in found], NO_DEVICE, "in a window, a CPU")
    cpus = list(zip(*windows))  # what is rare is no figure of a window: all windows of a CPU together
    for us in GAPS_US:
        rates = [1e9 * sum(c["at_least_us"][str(us)] for c in cpu) / sum(c["ns"] for c in cpu) for cpu in cpus]
        yield context.row(f"gaps_per_second/{us}us", "1/s", rates, NO_DEVICE, "that long or longer, a CPU")


def gaps(context, build, seconds):
    """What the machine takes away from a loop on each CPU."""
    windows = []
    for _ in range(GAP_WINDOWS):
        r = subprocess.run([build / "tests/bench/gaps", f"{seconds / GAP_WINDOWS:.3f}"], capture_output=True, text=True, check=True)
        windows.append([json.loads(line) for line in r.stdout.splitlines()])
    yield from gap_rows(context, windows)


def measure(context, stand, ndr):
    """{variant: [points of a round]}, and the results; through and loopback in turn."""
    found, results = {}, {}
    for n in range(ROUNDS):
        for part in PERCENT_OF_NDR:
            for through in (False, True):
                variant = f"{'' if through else 'loopback_'}{part}_percent"
                context.say(f"round {n + 1} of {ROUNDS}, {variant.replace('_', ' ')}")
                result, points = stand.trial(ndr * part / 100, max(TRIAL_S, context.seconds / ROUNDS), through)
                found.setdefault(variant, []).append(points)
                results.setdefault(variant, []).append(result)
    return found, results


def note_of(results):
    lost = sum(r["failed"] for r in results) / max(sum(r["attempts"] for r in results), 1)
    missed = sum(r["missed"] for r in results) / max(sum(r["slots"] for r in results), 1)
    return f"{results[0]['rate']:,.0f} requests a second; lost {100 * lost:.3f} %, sent late {100 * missed:.2f} %"


def run(context):
    if os.geteuid() != 0:
        raise Skipped("network namespaces need root")
    build = context.build("app/siplane/siplane", "app/siplane-gen/siplane-gen", "tests/bench/gaps")
    context.say("gaps of the machine")
    yield from gaps(context, build, min(context.seconds, 5))
    with contextlib.ExitStack() as stack:
        try:
            stand = stack.enter_context(Stand(build))
        except LabError as e:
            raise Failed(str(e)) from e
        stand.trial(1000, 1)  # links are up, tables warm
        rates, limit = search(context, stand)
        ndr = statistics.median(rates)
        yield context.row("ndr", "1/s", rates, "memif",
                          f"requests, each with its answer; of {SEARCHES} searches, in each of which most of {CONFIRMATIONS} trials "
                          f"of {SEARCH_S} s lost nothing" + (f"; above it the generator is the limit: {limit}" if limit else ""))
        found, results = measure(context, stand, ndr)
    for variant, rounds in found.items():
        for p in PERCENTILES:
            yield context.row(f"latency_us_p{p:g}/{variant}", "us", [percentile(points, p) for points in rounds], "memif",
                              note_of(results[variant]) if p == 50 else "")
    for part in PERCENT_OF_NDR:
        both = zip(found[f"{part}_percent"], found[f"loopback_{part}_percent"])
        yield context.row(f"added_latency_us_p50/{part}_percent", "us", [percentile(a, 50) - percentile(b, 50) for a, b in both],
                          "memif", "above the generator's loopback: request and answer, two passes of siplane")
