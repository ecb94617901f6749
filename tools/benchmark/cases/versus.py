# SPDX-License-Identifier: BSD-3-Clause
"""siplane beside Kamailio, both with the routing of conf/bench.cfg, and a bare forwarder as the floor of the kernel's sockets."""
import pathlib
import re
import shutil
import statistics
import subprocess
import tempfile

from .. import invites, veth
from ..context import ROOT, Failed, Skipped

SUMMARY = "siplane and Kamailio forward the same INVITEs with the same routing file"

WINDOW_S = 0.5
BLOCKS = 3  # before, between and behind them the case dispatch runs
ROUNDS_MIN = 2  # of a block
RING_SECONDS_MAX = 3
LOSS_MAX = 0.001
KAMAILIO = ("kamailio", "-DD", "-E", "-x", "fm", "-X", "fm", "-m", "64", "-M", "8", "-w", ROOT / "conf",
            "-f", ROOT / "conf/bench-kamailio.cfg")
SIPLANE = {"siplane_af_xdp": ("af_xdp", "#!define WITH_AF_XDP\n"), "siplane_af_packet": ("af_packet", "")}
KAMAILIO_CONFIG = "one UDP child, no TCP, DNS or log, mem_join = 0, append_fromtag = 0"
KERNEL = {"kamailio": "UDP sockets on veth", "forwarder": "UDP sockets on veth"}


def device(system):
    return KERNEL[system] if system in KERNEL else f"{SIPLANE[system][0]} on veth"


def start_siplane(pair, head):
    config = pair.dir / "siplane.cfg"
    config.write_text(f'#!define BENCH_SLEEP\n{head}secret_file = "{pair.dir}/secret"\n'
                      f'include_file "{ROOT}/conf/bench-siplane.cfg"\n')
    pair.start([pair.build / "app/siplane/siplane", "-f", config], "ready")


def start(pair, system):
    pair.open()
    if system in SIPLANE:
        start_siplane(pair, SIPLANE[system][1])
    else:
        pair.addresses()
    if system == "kamailio":
        pair.start(KAMAILIO, None, pair.system_cpu)
    elif system == "forwarder":
        pair.start([pair.build / "tests/bench/forwarder", veth.SIP_PORT, veth.DESTINATIONS[0], veth.SIP_PORT], "ready",
                   pair.system_cpu)
    pair.start_flood()
    check(pair, system)


def check(pair, system):
    """What arrives is what the routing file says, from each alike."""
    text = pair.ask("one")
    wanted = [r"INVITE sip:"] if system == "forwarder" else [
        r"INVITE sip:", r"\r\nVia: SIP/2\.0/UDP 10\.[12]0\.0\.1[;:]", r"\r\nVia: SIP/2\.0/UDP 10\.10\.0\.2:",
        r"\r\nMax-Forwards: 69\r\n", r"\r\nRecord-Route: <sip:10\.[12]0\.0\.1[;:]"]
    for pattern in wanted:
        if not re.search(pattern, text):
            raise Failed(f"{system} does not forward as conf/bench.cfg says: no {pattern} in\n{text}")


def install(context):
    context.say("installing Kamailio")
    r = subprocess.run([ROOT / "tools/install-packages", "versus"], capture_output=True, text=True)
    if r.returncode != 0:
        raise Skipped(f"Kamailio is missing: {r.stderr.strip()}")


def kamailio_version():
    r = subprocess.run(["kamailio", "-v"], capture_output=True, text=True)
    version = re.search(r"kamailio (\S+)", r.stdout)
    return f"Kamailio {version.group(1) if version else ''}"


def kamailio_as_it_runs():
    """Its version and what it was tuned with, for notes."""
    return f"{kamailio_version()} {' '.join(KAMAILIO[3:KAMAILIO.index('-w')])}; {KAMAILIO_CONFIG}"


def dispatch_rate(context, build):
    """Messages a second of one worker without I/O, as the case dispatch finds it."""
    seconds = min(context.seconds / BLOCKS, RING_SECONDS_MAX)
    rows = context.rows_of([build / "tests/bench/bench", "dispatch", "--json", "--seconds", f"{seconds:.2f}"])
    return [r for r in rows if r.metric == "messages_per_second"][0]


def measure_block(context, block, pairs, send_ns):
    """{system: windows}, the systems in turn; who is not measured stands still."""
    found = {system: [] for system in pairs}
    rounds = max(ROUNDS_MIN, round(context.seconds / WINDOW_S / BLOCKS))
    for n in range(rounds):
        for system, pair in pairs.items():
            context.say(f"block {block + 1} of {BLOCKS}, round {n + 1} of {rounds}, {system}")
            pair.resume()
            got = pair.window(WINDOW_S, send_ns)
            pair.pause()
            if got["received"] == 0 or got["strange"] or got["answers"]:
                raise Failed(f"{system} did not forward: {got}")
            found[system].append(got)
    return found


def measure(context, pairs, send_ns, ring):
    """([{system: windows} of a block], [what `ring` gave before, between and behind them])."""
    for pair in pairs.values():
        pair.ask("run 0.2")  # tables are warm, neighbours known
        pair.pause()
    blocks, rings = [], [ring()]
    for n in range(BLOCKS):
        blocks.append(measure_block(context, n, pairs, send_ns))
        rings.append(ring())
    return blocks, rings


def rows_of_systems(context, found, rings, kamailio):
    medians = [r.median for r in rings]
    yield context.row("messages_per_cpu_second/siplane_ring", "1/s",
                      [min(r.min for r in rings), *medians, max(r.max for r in rings)], "ring",
                      f"without I/O: {len(rings)} runs of the case dispatch, between those below")
    for system, windows in found.items():
        lost = [w["lost"] / w["sent"] for w in windows]
        others = sorted(w["others_ns"] / w["ns"] for w in windows)[len(windows) // 2]
        note = f"CPU of the whole box but sender and sink; others took {100 * max(others, 0):.0f} % of a CPU"
        if system == "kamailio":
            note += f"; {kamailio}"
        per_cpu = [1e9 * w["received"] / w["system_ns"] for w in windows]
        yield context.row(f"messages_per_cpu_second/{system}", "1/s", per_cpu, device(system), note)
        yield context.row(f"messages_per_own_cpu_second/{system}", "1/s", [1e9 * w["received"] / w["own_ns"] for w in windows],
                          device(system), "CPU of its own processes alone, system calls in it")
        yield context.row(f"messages_per_second/{system}", "1/s", [1e9 * w["received"] / w["ns"] for w in windows],
                          device(system), "as far as sender and sink, on one CPU, let it")
        yield context.row(f"cpu_ns_per_message/{system}", "ns", [w["system_ns"] / w["received"] for w in windows], device(system))
        yield context.row(f"lost/{system}", "%", [100 * x for x in lost], device(system),
                          "too much: what is lost cost CPU time too" if max(lost) > LOSS_MAX else "")


def joined(blocks):
    """{system: windows} of all blocks."""
    return {system: [w for block in blocks for w in block[system]] for system in blocks[0]}


def median_own_rate(windows):
    """Messages in a second of CPU of the system's own processes."""
    return statistics.median(1e9 * w["received"] / w["own_ns"] for w in windows)


def ratios(context, blocks, rings, kamailio_note):
    found = joined(blocks)
    kamailio = found["kamailio"]
    # Of each block: what ran before and behind it, against what ran in it.
    ring = [(before.median + behind.median) / 2 / median_own_rate(block["kamailio"])
            for block, before, behind in zip(blocks, rings, rings[1:])]
    yield context.row("ratio_ring", "1", ring, "ring",
                      "siplane without I/O (case dispatch, before and behind) against Kamailio with its sockets, a second of CPU each, "
                      f"medians; {kamailio_note}")
    for system in found:
        if system != "kamailio":
            pairs = zip(found[system], kamailio)
            yield context.row(
                f"ratio_{system.removeprefix('siplane_')}", "1",
                [(a["received"] / a["system_ns"]) / (b["received"] / b["system_ns"]) for a, b in pairs], device(system),
                "messages a CPU-second, softirq in it, window beside window; siplane with idle = sleep"
                if system in SIPLANE else "recvfrom, sendto and nothing else: the floor of the kernel's sockets")


def run(context):
    if not shutil.which("kamailio"):
        install(context)
    build = context.build("app/siplane/siplane", "tests/bench/bench", "tests/bench/flood", "tests/bench/forwarder")
    pairs = {}
    with tempfile.TemporaryDirectory(prefix="siplane-bench-") as folder:
        messages = invites.write(build, pathlib.Path(folder) / "messages")
        context.say("what the sender's own part costs")
        send = veth.send_cost_ns(build, messages, min(context.seconds, 2))
        yield context.row("sender_ns_per_message", "ns", send, "dummy or ifb", "the sender's own part, taken off")
        try:
            for system in ("kamailio", *SIPLANE, "forwarder"):
                context.say(f"starting {system}")
                pairs[system] = veth.Pair(system[-4:], build, messages)
                start(pairs[system], system)
            blocks, rings = measure(context, pairs, send[len(send) // 2], lambda: dispatch_rate(context, build))
        finally:
            for pair in pairs.values():
                pair.close()
    note = kamailio_as_it_runs()
    yield from rows_of_systems(context, joined(blocks), rings, note)
    yield from ratios(context, blocks, rings, note)
