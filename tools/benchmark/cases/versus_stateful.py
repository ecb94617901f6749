# SPDX-License-Identifier: BSD-3-Clause
"""siplane beside Kamailio where state is kept, both with the routing of conf/bench-state.cfg: save() and t_relay()."""
import contextlib
import json
import shutil
import statistics
import subprocess

from .. import veth
from ..context import ROOT, Failed
from . import versus

SUMMARY = "siplane and Kamailio register the same phones and relay the same calls with the same routing file"

WINDOW_S = 0.5
ROUNDS_MIN = 4
USERS = 200_000
KAMAILIO = ("kamailio", "-DD", "-E", "-x", "tlsf", "-X", "fm", "-m", "2048", "-M", "16", "-w", ROOT / "conf",
            "-f", ROOT / "conf/bench-kamailio-state.cfg")
KAMAILIO_NOTE = "-x tlsf -X fm; one UDP child, no TCP, DNS or log, mem_join = 0, append_fromtag = 0, hash_size = 17"
RING_SECONDS = 2
# What is done: the case of tests/bench/bench that does it, the metric, how many of `new` come first.
WORK = {
    "save": ("register", "registrations", USERS),
    "t_relay": ("calls", "sessions", 2000),
}
SYSTEMS = ("kamailio", "siplane_af_packet")
DEVICE = {"kamailio": "UDP sockets on veth", "siplane_af_packet": "af_packet on veth", "siplane_ring": "ring"}


class Around:
    """A system with phones and backends around it, which do one kind of work."""

    def __init__(self, system, work, build):
        self.system, self.work = system, work
        self.pair = veth.Pair(f"{system[0]}{work[0]}", build, "")
        self.phones = None

    def start(self):
        pair = self.pair.open()
        if self.system == "kamailio":
            pair.addresses()
            pair.start(KAMAILIO, None, pair.system_cpu)
        else:
            config = pair.dir / "siplane.cfg"
            config.write_text(f'secret_file = "{pair.dir}/secret"\ninclude_file "{ROOT}/conf/bench-siplane-state.cfg"\n')
            pair.start([pair.build / "app/siplane/siplane", "-f", config], "ready")
        pair.system_mac()  # the neighbours know each other
        case, _, new = WORK[self.work]
        with open(pair.dir / "phones.log", "wb") as log:
            self.phones = pair.popen("net", pair.flood_cpu,
                                     [pair.build / "tests/bench/bench", case, "--wire", "--contacts", USERS],
                                     stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=log, text=True)
        if self.phones.stdout.readline() != "ready\n":
            raise Failed(f"the phones did not start: {self.said()}")
        self.ask(f"new {new}")
        self.ask("run 0.2")
        pair.pause()

    def said(self):
        return "".join((self.pair.dir / name).read_text(errors="replace")[-1500:] for name in ("phones.log", "system.log")
                       if (self.pair.dir / name).exists())

    def ask(self, command):
        with contextlib.suppress(BrokenPipeError):
            self.phones.stdin.write(command + "\n")
            self.phones.stdin.flush()
        line = self.phones.stdout.readline()
        if not line:
            raise Failed(f"{self.system}, {self.work}: the phones ended: {self.said()}")
        return json.loads(line)

    def window(self):
        """What was done, with the CPU time of the system's own processes."""
        self.pair.resume()
        family = veth.with_children(self.pair.system.pid)
        before = sum(map(veth.run_time_ns, family))
        got = self.ask(f"run {WINDOW_S}")
        got["own_ns"] = sum(map(veth.run_time_ns, family)) - before
        self.pair.pause()
        if got["done"] == 0:
            raise Failed(f"{self.system} did no {self.work}: {got} {self.said()}")
        return got


def ring(context, build, work):
    """The row of a second of siplane's own CPU without I/O: worker and slow lcore take turns."""
    case, metric, _ = WORK[work]
    seconds = min(context.seconds, RING_SECONDS)
    rows = context.rows_of([build / "tests/bench/bench", case, "--json", "--threads", 1, "--contacts", USERS,
                            "--seconds", f"{seconds:.2f}"])
    return [r for r in rows if r.metric == f"{metric}_per_cpu_second"][0]


def measure(context, build, work):
    """({system: windows}, [rows of `ring` before and behind them])."""
    around = {s: Around(s, work, build) for s in SYSTEMS}
    found = {s: [] for s in SYSTEMS}
    rings = [ring(context, build, work)]
    rounds = max(ROUNDS_MIN, round(context.seconds / WINDOW_S))
    try:
        for system, a in around.items():
            context.say(f"{work}: starting {system}")
            a.start()
        for n in range(rounds):
            for system, a in around.items():
                context.say(f"{work}: round {n + 1} of {rounds}, {system}")
                found[system].append(a.window())
    finally:
        for a in around.values():
            a.pair.close()
    rings.append(ring(context, build, work))
    return found, rings


def rows(context, work, found, rings, kamailio):
    metric = WORK[work][1]
    yield context.row(f"{metric}_per_own_cpu_second/siplane_ring", "1/s",
                      [min(r.min for r in rings), *(r.median for r in rings), max(r.max for r in rings)], "ring",
                      "worker and slow lcore, without I/O")
    per = {s: [1e9 * w["done"] / w["own_ns"] for w in windows] for s, windows in found.items()}
    for system, windows in found.items():
        note = kamailio if system == "kamailio" else "worker, slow lcore and control in one thread, idle = sleep"
        yield context.row(f"{metric}_per_own_cpu_second/{system}", "1/s", per[system], DEVICE[system],
                          f"CPU of its own processes, system calls in it; {note}")
        yield context.row(f"{metric}_per_second/{system}", "1/s", [1e9 * w["done"] / w["ns"] for w in windows], DEVICE[system],
                          "as far as the phones, on one CPU, let it")
        yield context.row(f"lost/{metric}/{system}", "%", [100 * w["lost"] / (w["done"] + w["lost"]) for w in windows],
                          DEVICE[system])
    median = statistics.median(per["kamailio"])
    yield context.row(f"ratio_{work}", "1", [r.median / median for r in rings], "ring",
                      f"siplane without I/O against Kamailio with its sockets, a second of own CPU each; {kamailio}")
    yield context.row(f"ratio_{work}/af_packet", "1", [a / b for a, b in zip(per["siplane_af_packet"], per["kamailio"])],
                      "af_packet on veth", "a second of own CPU each, window beside window")


def run(context):
    if not shutil.which("kamailio"):
        versus.install(context)
    build = context.build("app/siplane/siplane", "tests/bench/bench")
    note = f"{versus.kamailio_version()} {KAMAILIO_NOTE}"
    for work in WORK:
        yield from rows(context, work, *measure(context, build, work), note)
