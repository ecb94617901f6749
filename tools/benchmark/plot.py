# SPDX-License-Identifier: BSD-3-Clause
"""Rows become pictures: SVG and PNG by gnuplot. A picture whose rows are missing is left out."""
import math
import pathlib
import re
import shutil
import subprocess
import sys

INK, FAINT = "#222222", "#bbbbbb"
# Colours that people with any kind of sight tell apart (Okabe and Ito).
BLUE, ORANGE, GREEN, RED, SKY, PINK, YELLOW, GREY = (
    "#0072B2", "#E69F00", "#009E73", "#D55E00", "#56B4E9", "#CC79A7", "#F0E442", "#999999")
STAGE_COLOURS = {"receive": GREY, "classify": SKY, "index": BLUE, "route": ORANGE, "rewrite": RED, "transmit": GREEN, "send": PINK}
WIDTH, HEIGHT = 960, 560
PNG_SCALE = 2
FONT = "DejaVu Sans"


def quoted(text):
    """A gnuplot string in which nothing is markup."""
    return '"' + text.replace("\\", "\\\\").replace('"', '\\"') + '"'


def of(rows, case, name=None):
    return [r for r in rows if r.case == case and (name is None or r.name == name)]


def first_number(text):
    m = re.search(r"\d+", text)
    return int(m.group()) if m else None


def caption(rows):
    """Device and CPU, which every picture says."""
    return f"{', '.join(dict.fromkeys(r.device for r in rows))} · {', '.join(dict.fromkeys(r.cpu for r in rows))}"


def head(title, rows, more=()):
    """What all pictures have: a title with the caption below it, quiet axes, numbers with thousands apart."""
    return [
        "set encoding utf8", f'set title "{{/:Bold*1.25 {escape(title)}}}\\n{{/*0.8 {escape(caption(rows))}}}" textcolor rgb "{INK}"',
        f'set border 3 linewidth 1 linecolor rgb "{FAINT}"', f'set tics nomirror textcolor rgb "{INK}"',
        f'set grid ytics linetype 1 linewidth 0.5 linecolor rgb "{FAINT}"', "set style fill solid 1.0 noborder",
        "set key top left Left reverse samplen 2 spacing 1.2", *more]


def escape(text):
    """For gnuplot's enhanced text inside a double-quoted string."""
    return re.sub(r'([_^{}@&~"\\])', lambda m: ('\\\\' if m.group() not in '"\\' else '\\') + m.group(), text)


def tic(label):
    """A label below an axis: lines are parted by a newline."""
    return "\\n".join(escape(line) for line in label.split("\n"))


def data(name, lines):
    return [f"${name} << END", *(" ".join(str(x) for x in line) for line in lines), "END"]


def big(value):
    """1,234,567 as people say it: 1.23 M."""
    for size, unit in ((1e6, " M"), (1e3, " k")):
        if value >= size:
            return f"{value / size:.3g}{unit}" if value < 1000 * size else f"{value / size:.0f}{unit}"
    return f"{value:.3g}"


# ---- the pictures: each takes all rows and gives gnuplot's lines, or None ----

def size(rows):
    """Throughput by message size."""
    found = sorted((first_number(r.variant), r) for r in of(rows, "size", "messages_per_second") if first_number(r.variant))
    if len(found) < 2:
        return None
    points = [(n, r.median / 1e6, r.max / 1e6, r.median * n * 8 / 1e9) for n, r in found]
    return head("Throughput by message size, one worker", [r for _, r in found], [
        'set xlabel "bytes of a message"', 'set ylabel "million messages a second"', 'set y2label "Gbit/s of SIP"',
        "set logscale x 2", f"set xtics ({', '.join(f'{quoted(str(n))} {n}' for n, _ in found)})", "set y2tics",
        f"set yrange [0:{max(p[2] for p in points) * 1.15:.3f}]", f"set y2range [0:{max(p[3] for p in points) * 1.15:.3f}]",
        "set key top center horizontal"]) + data("d", points) + [
        f'plot $d using 1:3 with lines lw 1 dt 2 lc rgb "{BLUE}" title "messages, best window", '
        f'$d using 1:2 with linespoints lw 2.5 pt 7 lc rgb "{BLUE}" title "messages, median", '
        f'$d using 1:4 axes x1y2 with linespoints lw 2 pt 5 lc rgb "{ORANGE}" title "Gbit/s, median"']


def nines(percent):
    """Where a percentile stands on the axis: 90 at 1, 99 at 2, 99.9 at 3."""
    return -math.log10(1 - percent / 100)


# The loopback hardly changes with the rate: one curve of it says enough.
LATENCY_LEFT_OUT = ("loopback_10_percent", "loopback_90_percent")


def gaps(rows):
    """[(microseconds, where on the axis)]: how long a moment drawn by lot has to wait until the machine goes on."""
    rate = sorted((first_number(r.variant), r.median / 1e6) for r in of(rows, "latency", "gaps_per_second"))  # a microsecond
    longest = max((r.max for r in of(rows, "latency", "gaps_longest_us")), default=0)
    rate = [(us, n) for us, n in rate if us < longest] + [(longest, 0)]
    points, share = [], 0.0
    for (us, n), (further, m) in reversed(list(zip(rate, rate[1:]))):
        share += (n + m) / 2 * (further - us)
        if 0 < share < 1:
            points.append((us, nines(100 * (1 - share))))
    return points


def latency(rows):
    """Latency CDF at parts of the highest rate without loss."""
    curves = {}
    for r in of(rows, "latency"):
        m = re.fullmatch(r"latency_us_p([\d.]+)", r.name)
        if m and float(m.group(1)) < 100 and r.variant not in LATENCY_LEFT_OUT:
            curves.setdefault(r.variant, []).append((r.median, nines(float(m.group(1))), r))
    if not curves:
        return None
    colours = {"loopback": GREY, "10": SKY, "50": BLUE, "90": RED}
    used = [r for points in curves.values() for _, _, r in points]
    out, plots = [], []
    for i, variant in enumerate(sorted(curves, key=lambda v: not v.startswith("loopback"))):
        colour = next((c for key, c in colours.items() if variant.startswith(key)), GREEN)
        out += data(f"c{i}", [(x, y) for x, y, _ in sorted(curves[variant], key=lambda p: p[1])])
        text = f"through siplane at {variant.split('_')[0]} % of NDR"
        if variant.startswith("loopback"):
            text = "generator alone, its own reflector"
        plots.append(f'$c{i} using 1:2 with linespoints lw 2.5 pt 7 ps 0.6 lc rgb "{colour}"'
                     f'{" dt 2" if variant.startswith("loopback") else ""} title {quoted(text)}')
    if len(still := gaps(rows)) > 1:
        out += data("gaps", still)
        plots.append(f'$gaps using 1:2 with lines lw 1.5 dt 3 lc rgb "{INK}" title "a loop that only reads the clock"')
    tics = ", ".join(f'"{p} %%" {nines(p):.4f}' for p in (0, 50, 90, 99, 99.9, 99.99))
    return head("Latency, request to answer, both through one worker", used, [
        'set xlabel "microseconds"', 'set ylabel "answers that are there"', "set logscale x", f"set ytics ({tics})",
        f'set grid xtics mxtics ytics linetype 1 linewidth 0.5 linecolor rgb "{FAINT}"', "set rmargin 5",
        "set yrange [0:4.2]", "set key top left Left reverse"]) + out + ["plot " + ", ".join(plots)]


STAGE_CASES = (("dispatch", "", "dispatch\nINVITE"), ("indialog", "", "in-dialog"), ("response", "", "response"),
               ("options", "", "OPTIONS\nanswered"), ("mix", "", "mix of\na call"), ("malformed", "", "malformed\ndropped"),
               ("fragments", "", "fragments"))


def stage_cycles(rows, case):
    """{stage: cycles} of a case's plain variant."""
    return {r.variant: r.median for r in of(rows, case, "stage_cycles") if "/" not in r.variant}


def stages(rows):
    """Cycles by stage, a bar a case."""
    found = [(label, case, stage_cycles(rows, case)) for case, _, label in STAGE_CASES]
    found = [f for f in found if f[2]]
    if not found:
        return None
    names = list(dict.fromkeys(s for _, _, cycles in found for s in cycles))
    lines = [[f'"{tic(label)}"', *(cycles.get(s, 0) for s in names)] for label, _, cycles in found]
    used = [r for _, case, _ in found for r in of(rows, case, "stage_cycles")]
    plots = [f'$d using {i + 2}{":xtic(1)" if i == 0 else ""} lc rgb "{STAGE_COLOURS.get(s, YELLOW)}" title {quoted(s)}'
             for i, s in enumerate(names)]
    sums = data("s", [(i, sum(cycles.values()), quoted(f"{sum(cycles.values()):,.0f}")) for i, (_, _, cycles) in enumerate(found)])
    top = max(sum(cycles.values()) for _, _, cycles in found)
    return head("Cycles of a message by stage, one worker", used, [
        "set bmargin 3.5", 'set ylabel "TSC cycles, median"', "set style data histograms", "set style histogram rowstacked", "set boxwidth 0.62",
        f"set yrange [0:{top * 1.12:.0f}]", "set xtics scale 0", "set key outside right center vertical invert Left reverse"
    ]) + data("d", lines) + sums + ["plot " + ", ".join(plots) + ', $s using 1:2:3 with labels offset 0,0.7 notitle']


def scale(rows):
    """Messages a second by number of workers."""
    found = sorted((first_number(r.variant), r) for r in of(rows, "scale", "messages_per_second") if first_number(r.variant))
    if len(found) < 2:
        return None
    one = found[0][1].median / found[0][0]
    lines = [(i, r.median / 1e6, quoted(f"{big(r.median)}{'' if n == 1 else f', {r.median / one:.2f} ×'}"), one * n / 1e6)
             for i, (n, r) in enumerate(found)]
    tics = ", ".join(f'"{n} worker{"s" * (n > 1)}" {i}' for i, (n, _) in enumerate(found))
    top = max(max(line[1], line[3]) for line in lines)
    return head("Throughput by workers, each on a core of its own", [r for _, r in found], [
        'set ylabel "million messages a second"', f"set yrange [0:{top * 1.2:.3f}]", f"set xrange [-0.7:{len(found) - 0.3}]",
        "set boxwidth 0.5", f"set xtics ({tics}) scale 0"]) + data("d", lines) + [
        f'plot $d using 1:2 with boxes lc rgb "{BLUE}" title "measured, median", '
        f'$d using ($1-0.35):4:(0.7):(0) with vectors nohead dt 2 lw 2 lc rgb "{RED}" title "one worker, times as many", '
        '$d using 1:($2/2):3 with labels textcolor rgb "white" notitle']


VERSUS = (("siplane_ring", "siplane\nno I/O", BLUE), ("siplane_af_xdp", "siplane\naf_xdp", BLUE),
          ("siplane_af_packet", "siplane\naf_packet", BLUE), ("forwarder", "recvfrom,\nsendto", GREY),
          ("kamailio", "Kamailio\nUDP sockets", ORANGE))


def versus(rows):
    """Messages a second of CPU: siplane, Kamailio, and the floor of the kernel's sockets."""
    by_name = {r.variant: r for r in of(rows, "versus", "messages_per_cpu_second")}
    if "kamailio" not in by_name:
        return None
    found = [(by_name[name], label, colour) for name, label, colour in VERSUS if name in by_name]
    ratio = {r.metric.removeprefix("ratio_"): r.median for r in of(rows, "versus") if r.metric.startswith("ratio_")}
    lines = []
    for i, (r, _, colour) in enumerate(found):
        times = ratio.get(r.variant.removeprefix("siplane_"))
        # Without I/O it is set against Kamailio's own CPU time, which is less than that of the box.
        whose = " own CPU time" if r.variant == "siplane_ring" else ""
        text = f'"{big(r.median)}\\n{times:.1f} ×{whose}"' if times else quoted(big(r.median))
        lines.append((i, r.median / 1e6, text, colour.replace("#", "0x")))
    tics = ", ".join(f'"{tic(label)}" {i}' for i, (_, label, _) in enumerate(found))
    return head("INVITEs forwarded in a second of CPU, same routing file", [r for r, _, _ in found], [
        "set bmargin 3.5", 'set ylabel "million messages a CPU-second"', f"set yrange [0:{max(line[1] for line in lines) * 1.2:.3f}]",
        f"set xrange [-0.7:{len(found) - 0.3}]", "set boxwidth 0.6", f"set xtics ({tics}) scale 0", "unset key"]) + data(
        "d", lines) + ["plot $d using 1:2:4 with boxes lc rgb variable, $d using 1:2:3 with labels offset 0,1.4"]


FIGURES = {"size": size, "latency": latency, "stages": stages, "scale": scale, "versus": versus}
TERMINALS = {"svg": f'svg size {WIDTH},{HEIGHT} font "{FONT},13" background rgb "white" enhanced',
             "png": f'pngcairo size {WIDTH * PNG_SCALE},{HEIGHT * PNG_SCALE} fontscale {PNG_SCALE} linewidth {PNG_SCALE} '
                    f'pointscale {PNG_SCALE} font "{FONT},11" enhanced'}


def draw(rows, directory, kinds=("svg", "png"), out=sys.stderr):
    """Draws what the rows have; returns the files. OSError or ValueError where gnuplot is missing or fails."""
    if not shutil.which("gnuplot"):
        raise OSError("gnuplot is missing: tools/install-packages bench")
    folder = pathlib.Path(directory)
    folder.mkdir(parents=True, exist_ok=True)
    files = []
    for name, figure in FIGURES.items():
        lines = figure(rows)
        if lines is None:
            print(f"plot {name}: its case was not measured", file=out)
            continue
        for kind in kinds:
            path = folder / f"{name}.{kind}"
            script = "\n".join([f"set terminal {TERMINALS[kind]}", f"set output {quoted(str(path))}", *lines, "unset output"])
            r = subprocess.run(["gnuplot"], input=script, capture_output=True, text=True)
            if r.returncode != 0 or r.stderr.strip():
                raise ValueError(f"gnuplot: {name}: {r.stderr.strip()}")
            files.append(path)
    return files
