# SPDX-License-Identifier: BSD-3-Clause
"""Rows become the tables of docs/performance.md: what stands between `<!-- figures: NAME -->` and `<!-- end -->` is written anew.

NAME is `machine`, `targets`, or `CASE` with patterns of metrics behind it (`versus ratio_* lost/*`; none: all of the case).
"""
import dataclasses
import fnmatch
import pathlib
import platform
import re

from . import plot, row
from .context import ROOT

PAGE = ROOT / "docs/performance.md"
PICTURES = ROOT / "docs/plots"
BLOCK = re.compile(r"(<!-- figures: (.+?) -->\n).*?(<!-- end -->)", re.S)
MISSING = "not measured"


@dataclasses.dataclass(frozen=True)
class Target:
    """What is aimed for. `reach` first, then `toward`; `more`: more is better."""
    what: str
    case: str
    metric: str
    unit: str
    reach: float
    toward: float | None = None
    more: bool = True
    stages: str = ""  # the case whose stages explain a figure that falls short


TARGETS = (
    Target("INVITEs of 600 to 900 bytes dispatched", "dispatch", "messages_per_second", "/s", 3e6, 5e6, stages="dispatch"),
    Target("the same time, messages of others", "dispatch", "ratio/corpus", ": 1", 1.25, more=False),
    Target("requests in a dialog, loose routed", "indialog", "messages_per_second", "/s", 3e6, 5e6, stages="indialog"),
    Target("responses", "response", "messages_per_second", "/s", 6e6, 12e6, stages="response"),
    Target("malformed or unwanted, dropped", "malformed", "messages_per_second", "/s", 10e6, stages="malformed"),
    Target("OPTIONS answered", "options", "messages_per_second", "/s", 4e6, stages="options"),
    Target("header index of an 812-byte INVITE", "parse", "ns_per_message/812", "ns", 80, 65, more=False),
    Target("Kamailio, siplane without I/O", "versus", "ratio_ring", ": 1", 30, 50, stages="dispatch"),
    Target("Kamailio, af_xdp on veth, whole box", "versus", "ratio_af_xdp", ": 1", 3, stages="af_xdp"),
    Target("latency added at half of NDR, p50, memif", "latency", "added_latency_us_p50/50_percent", "µs", 5, 3, more=False, stages="passes"),
    Target("two workers, one worker", "scale", "ratio", ": 1", 1.9),
    Target("registrations, a million users, phones and worker on the other CPU", "register", "registrations_per_second", "/s", 4e5, 1e6,
           stages="register"),
    Target("registrations in a second of the slow lcore's own", "register", "registrations_per_slow_second", "/s", 4e5, 1e6,
           stages="register"),
    Target("registrations with digest MD5, users remembered", "register-auth", "registrations_per_second", "/s", 2e5, 5e5, stages="register-auth"),
    Target("the same with SHA-256", "register-auth", "registrations_per_second/sha256", "/s", 1.5e5, 4e5),
    Target("first REGISTER of users, whose rows are asked of SQLite", "register-auth", "registrations_per_second/first", "/s", 3e4, 1e5),
    Target("registrations, each answered when it is on disk, SQLite", "db", "registrations_per_second", "/s", 2e4, 6e4),
    Target("a million contacts read from SQLite at the start", "db", "seconds_to_load/1000000", "s", 3, 1, more=False),
    Target("sessions by t_relay, phones and worker on the other CPU", "calls", "sessions_per_second", "/s", 6e4, 1.5e5, stages="calls"),
    Target("sessions in a second of the slow lcore's own", "calls", "sessions_per_slow_second", "/s", 6e4, 1.5e5, stages="calls"),
    Target("a transaction in progress: an INVITE that rings", "calls", "bytes_per_transaction/ringing", "B", 4096, 2048, more=False),
    Target("a transaction that is completed", "calls", "bytes_per_transaction", "B", 512, 256, more=False),
    Target("a contact, all in", "location", "bytes_per_contact/10000000", "B", 256, 192, more=False),
    Target("look-ups among ten million contacts, 32 together", "location", "lookups_per_second/10000000", "/s", 2e6, 4e6),
    Target("INVITEs forwarded by lookup(), ten million contacts", "lookup", "messages_per_second/10000000", "/s", 2e6, 4e6),
    Target("the fast path beside a busy slow lcore, and beside an idle one", "beside", "ratio", ": 1", 0.97),
    Target("Kamailio, save(), siplane without I/O", "versus-stateful", "ratio_save", ": 1", 5, 10, stages="register"),
    Target("Kamailio, t_relay(), siplane without I/O", "versus-stateful", "ratio_t_relay", ": 1", 5, 10, stages="calls"),
    Target("Kamailio, save(), af_packet on veth", "versus-stateful", "ratio_save/af_packet", ": 1", 5, 10, stages="sockets"),
    Target("Kamailio, t_relay(), af_packet on veth", "versus-stateful", "ratio_t_relay/af_packet", ": 1", 5, 10, stages="sockets"),
    Target("start to first packet", "start", "first_packet_ms", "ms", 1000, more=False),
    Target("start to first packet, ten million location slots", "start", "first_packet_ms/10000000", "ms", 3000, more=False),
)


def find(rows, case, metric):
    return next((r for r in rows if r.case == case and r.metric == metric), None)


def reached(target, r):
    return r.median >= target.reach if target.more else r.median <= target.reach


def by_stage(rows, case):
    """ "1,200 cycles: rewrite 500, route 400, ..." of a case, the greatest first."""
    cycles = {s: c for s, c in plot.stage_cycles(rows, case).items() if c >= 1}
    if not cycles:
        return ""
    parts = ", ".join(f"{s} {c:,.0f}" for s, c in sorted(cycles.items(), key=lambda x: -x[1]))
    return f"{sum(cycles.values()):,.0f} cycles: {parts}"


def by_kernel(rows, system):
    """Where the time of a message goes when the kernel carries it."""
    whole = find(rows, "versus", f"cpu_ns_per_message/siplane_{system}")
    own = find(rows, "versus", f"messages_per_own_cpu_second/siplane_{system}")
    ring = find(rows, "dispatch", "ns_per_message")
    if None in (whole, own, ring):
        return ""
    process = 1e9 / own.median
    return (f"{whole.median:,.0f} ns of CPU: {ring.median:,.0f} siplane's stages (case dispatch), {max(process - ring.median, 0):,.0f} "
            f"system calls and copies of its device, {max(whole.median - process, 0):,.0f} receiving softirq")


# What a stateful case does, by its ratio: its plural, and the messages that one takes in and sends.
DONE = {"ratio_save": ("registrations", 1), "ratio_t_relay": ("sessions", 7)}


def by_sockets(rows, metric):
    """What of siplane's own CPU goes to its device, and what a program would reach that does nothing but receive and send."""
    what, messages = DONE[metric.partition("/")[0]]
    whole, ring, kamailio = (find(rows, "versus-stateful", f"{what}_per_own_cpu_second/{system}")
                             for system in ("siplane_af_packet", "siplane_ring", "kamailio"))
    floor = find(rows, "versus", "messages_per_own_cpu_second/forwarder")
    if None in (whole, ring, kamailio):
        return ""
    ns, own = 1e9 / whole.median, 1e9 / ring.median
    said = f"{ns:,.0f} ns of its own CPU: {own:,.0f} siplane without I/O, {max(ns - own, 0):,.0f} system calls and copies of its device"
    if floor is None:
        return said
    least = 1e9 * messages / floor.median
    return (f"{said}; {least:,.0f} is the sockets' floor (case versus, `forwarder`: receives and sends as many messages and does nothing else), "
            f"which would be {row.number(1e9 / kamailio.median / least)} : 1")


def by_passes(rows):
    """What of a round trip is siplane's own work."""
    request, answer = find(rows, "dispatch", "ns_per_message"), find(rows, "response", "ns_per_message")
    if None in (request, answer):
        return ""
    return (f"{request.median + answer.median:,.0f} ns are siplane's stages (cases dispatch and response), the rest one more hop of memif "
            "each way and polling")


def holds_back(target, rows):
    if target.stages in ("af_xdp", "af_packet"):
        return by_kernel(rows, target.stages)
    if target.stages == "sockets":
        return by_sockets(rows, target.metric)
    if target.stages == "passes":
        return by_passes(rows)
    return by_stage(rows, target.stages) if target.stages else ""


def amount(value, unit):
    return f"{row.number(value)} {unit}".replace("/s", "a second") if unit == "/s" else f"{row.number(value)} {unit}"


def targets(rows):
    lines = ["| | aim | then toward | median | best | reached | where the time goes |", "|---|---|---|---|---|---|---|"]
    for t in TARGETS:
        r = find(rows, t.case, t.metric)
        toward = amount(t.toward, t.unit) if t.toward else ""
        cells = [MISSING, "", "", ""] if r is None else [
            amount(r.median, t.unit), amount(r.max if t.more else r.min, t.unit), "yes" if reached(t, r) else "**no**",
            "" if reached(t, r) and not t.toward else holds_back(t, rows)]
        lines.append(f"| {t.what} | {amount(t.reach, t.unit)} | {toward} | {' | '.join(cells)} |")
    return lines


def commit(rows):
    r = find(rows, "machine", "commit")
    return [f"* commit: {r.note.replace('-dirty', ', with changes')}"] if r is not None else []


def machine(rows):
    """What the rows themselves say, and the kernel of the machine that writes the report."""
    builds = dict.fromkeys(r.note for r in rows if r.case == "dispatch" and r.metric == "messages_per_second" and r.note)
    return [f"* CPU: {', '.join(dict.fromkeys(r.cpu for r in rows if r.cpu and not r.is_reference))}", f"* kernel: Linux {platform.release()}",
            *(f"* build: {b}" for b in builds), *commit(rows)]


def table(rows, words):
    case, patterns = words[0], words[1:] or ["*"]
    found = [r for r in rows if r.case == case and any(fnmatch.fnmatch(r.metric, p) for p in patterns)]
    if not found:
        return [f"({case}: {MISSING})"]
    lines = ["| metric | unit | least | median | greatest | device | |", "|---|---|--:|--:|--:|---|---|"]
    return lines + [f"| `{r.metric}` | {r.unit} | {row.number(r.min)} | {row.number(r.median)} | {row.number(r.max)} | {r.device} | "
                    f"{r.remark.replace('|', ' ')} |" for r in found]


def block(name, rows):
    words = name.split()
    if words[0] in ("targets", "machine"):
        return {"targets": targets, "machine": machine}[words[0]](rows)
    return table(rows, words)


def fill(text, rows):
    """The page with the rows' figures in it."""
    return BLOCK.sub(lambda m: m.group(1) + "\n".join(block(m.group(2), rows)) + "\n" + m.group(3), text)


def write(rows, page=PAGE, pictures=PICTURES):
    """Fills the page and draws its pictures."""
    page = pathlib.Path(page)
    page.write_text(fill(page.read_text(encoding="utf-8"), rows), encoding="utf-8")
    return [page, *plot.draw(rows, pictures, kinds=("svg",))]
