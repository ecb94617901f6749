# SPDX-License-Identifier: BSD-3-Clause
"""The page of figures says what the rows say, and what is missing."""
import re

import pytest

from benchmark import report, row
from benchmark.row import Row

PAGE = """# Page

<!-- figures: targets -->
old
<!-- end -->
text | stays
<!-- figures: dispatch stage_cycles/* -->
<!-- end -->
"""


def row_of(case, metric, median, unit="1/s", least=None, most=None, note=""):
    return Row(case, metric, unit, median if least is None else least, median, median if most is None else most, "ring", "a CPU", note)


def line_of(text, start):
    return next(x for x in text.splitlines() if x.startswith(start))


def test_nothing_measured_is_said():
    text = report.fill(PAGE, [])
    assert "| INVITEs of 600 to 900 bytes dispatched | 3,000,000 a second | 5,000,000 a second | not measured |" in text
    assert "(dispatch: not measured)" in text and "old" not in text and "text | stays" in text


def test_filling_twice_is_filling_once():
    rows = [row_of("dispatch", "messages_per_second", 4e6), row_of("dispatch", "stage_cycles/route", 300, "cycles")]
    once = report.fill(PAGE, rows)
    assert report.fill(once, rows) == once


@pytest.mark.parametrize("median, said", [(3e6, "yes"), (2999999, "**no**")])
def test_reached_from_the_median(median, said):
    rows = [row_of("dispatch", "messages_per_second", median, most=9e6)]
    cells = line_of(report.fill(PAGE, rows), "| INVITEs").split(" | ")
    assert cells[5] == said and cells[4] == "9,000,000 a second"


def test_less_is_better_for_times():
    aim = next(t for t in report.TARGETS if t.case == "latency")
    below, above = row_of("latency", aim.metric, 4.9, "us", least=4), row_of("latency", aim.metric, 5.1, "us", least=4)
    assert report.reached(aim, below) and not report.reached(aim, above)
    assert line_of(report.fill(PAGE, [above]), "| latency added").split(" | ")[4] == "4 µs"


def test_what_falls_short_names_its_stages_greatest_first():
    rows = [row_of("dispatch", "messages_per_second", 2e6), row_of("dispatch", "stage_cycles/index", 200, "cycles"),
            row_of("dispatch", "stage_cycles/route", 1300, "cycles"), row_of("dispatch", "stage_cycles/corpus/route", 9999, "cycles")]
    assert "1,500 cycles: route 1,300, index 200 |" in line_of(report.fill(PAGE, rows), "| INVITEs")


def test_af_xdp_is_split_by_who_spends_it():
    rows = [row_of("versus", "ratio_af_xdp", 2.5, ""), row_of("versus", "cpu_ns_per_message/siplane_af_xdp", 3000, "ns"),
            row_of("versus", "messages_per_own_cpu_second/siplane_af_xdp", 500_000), row_of("dispatch", "ns_per_message", 600, "ns")]
    said = line_of(report.fill(PAGE, rows), "| Kamailio, af_xdp")
    assert "3,000 ns of CPU: 600 siplane's stages" in said and "1,400 system calls" in said and "1,000 receiving" in said


@pytest.mark.parametrize("work, what, floor", [("save", "registrations", 2000), ("t_relay", "sessions", 14000)])
def test_where_state_is_kept_the_ratio_with_sockets_stands_with_their_floor(work, what, floor):
    own = f"{what}_per_own_cpu_second"
    rows = [row_of("versus-stateful", f"ratio_{work}/af_packet", 3.3, "1"), row_of("versus-stateful", f"{own}/siplane_af_packet", 400_000),
            row_of("versus-stateful", f"{own}/siplane_ring", 1_000_000), row_of("versus-stateful", f"{own}/kamailio", 1e9 / (3 * floor))]
    said = line_of(report.fill(PAGE, rows), f"| Kamailio, {work}(), af_packet on veth")
    assert "| 5 : 1 | 10 : 1 | 3.30 : 1 | 3.30 : 1 | **no** |" in said
    assert "2,500 ns of its own CPU: 1,000 siplane without I/O, 1,500 system calls" in said and "floor" not in said
    rows += [row_of("versus", "messages_per_own_cpu_second/forwarder", 500_000)]
    said = line_of(report.fill(PAGE, rows), f"| Kamailio, {work}(), af_packet on veth")
    assert f"; {floor:,} is the sockets' floor" in said and re.search(r"would be 3(\.00)? : 1 \|", said)


def test_patterns_choose_metrics():
    rows = [row_of("dispatch", "messages_per_second", 2e6), row_of("dispatch", "stage_cycles/index", 200, "cycles")]
    text = report.fill(PAGE, rows).split("text | stays")[1]
    assert "stage_cycles/index" in text and "messages_per_second" not in text


def test_a_reference_is_of_its_own_machine():
    of = row.Row("parse", "reference_ns_per_message/picohttpparser/l1", "ns", 115, 115, 115, "memory", "another machine", "from a book")
    rows = [row_of("parse", "ns_per_message/812", 100, "ns"), of]
    text = report.fill("<!-- figures: machine -->\n<!-- end -->\n<!-- figures: parse -->\n<!-- end -->\n", rows)
    assert "* CPU: a CPU\n" in text and "| from a book; another machine |" in text
