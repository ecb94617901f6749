# SPDX-License-Identifier: BSD-3-Clause
"""Pictures: what they need, what they leave out, and that gnuplot takes them whatever the texts hold."""
import io
import shutil

import pytest

from benchmark import plot
from benchmark.row import Row

CPU = 'A "CPU" {of} 50 % _sub^up @ \\n & ~ kind'


def row(case, metric, median, device="net_ring"):
    return Row(case, metric, "1/s", median * 0.9, median, median * 1.1, device, CPU, "")


ALL = [row("size", "messages_per_second/300", 2e6), row("size", "messages_per_second/1200", 1e6),
       row("latency", "latency_us_p50/loopback_50_percent", 5), row("latency", "latency_us_p99.9/loopback_50_percent", 50),
       row("latency", "latency_us_p50/50_percent", 9), row("latency", "latency_us_p99.9/50_percent", 90),
       row("dispatch", "stage_cycles/index", 200), row("dispatch", "stage_cycles/a_new_stage", 300),
       row("scale", "messages_per_second/1", 2e6), row("scale", "messages_per_second/2", 3.9e6),
       row("versus", "messages_per_cpu_second/kamailio", 1e5), row("versus", "messages_per_cpu_second/siplane_af_xdp", 3e5),
       row("versus", "ratio_af_xdp", 3.0)]


@pytest.mark.parametrize("name", plot.FIGURES)
def test_a_picture_without_rows_is_left_out(name):
    assert plot.FIGURES[name]([]) is None
    assert plot.FIGURES[name](ALL) is not None


def test_says_what_was_left_out(tmp_path):
    if not shutil.which("gnuplot"):
        pytest.skip("gnuplot is missing")
    said = io.StringIO()
    assert plot.draw([], tmp_path, out=said) == []
    assert "plot versus: its case was not measured" in said.getvalue()


def test_draws_all_with_texts_of_any_kind(tmp_path):
    if not shutil.which("gnuplot"):
        pytest.skip("gnuplot is missing")
    files = plot.draw(ALL, tmp_path / "new", kinds=("svg", "png"))
    assert sorted(f.name for f in files) == sorted(f"{n}.{k}" for n in plot.FIGURES for k in ("svg", "png"))
    for f in files:
        assert f.stat().st_size > 1000
    text = (tmp_path / "new/versus.svg").read_text()
    for part in ("3.0 ×", "siplane", "{of} 50 % _sub^up @", "Kamailio"):
        assert part in text, part


def test_the_bar_without_io_says_what_its_ratio_is_of():
    rows = ALL + [row("versus", "messages_per_cpu_second/siplane_ring", 1.4e6), row("versus", "ratio_ring", 9.0)]
    text = "\n".join(plot.versus(rows))
    assert '9.0 × own CPU time"' in text and '3.0 ×"' in text


def test_no_gnuplot_is_an_error(tmp_path, monkeypatch):
    monkeypatch.setattr(plot.shutil, "which", lambda _: None)
    with pytest.raises(OSError, match="gnuplot is missing"):
        plot.draw(ALL, tmp_path)


def test_variants_of_a_case_stay_out_of_its_bar():
    rows = ALL + [row("dispatch", "stage_cycles/corpus/index", 9999)]
    assert plot.stage_cycles(rows, "dispatch") == {"index": 200, "a_new_stage": 300}


def test_gaps_become_the_wait_of_a_moment():
    # 100 gaps a second of 10 ms would be all the time; one a second of 10,000 us is 1 %, and half of it waits 5,000 us.
    rows = [row("latency", f"gaps_per_second/{us}us", 1) for us in (1, 5000)]
    rows.append(Row("latency", "gaps_longest_us", "us", 10_000, 10_000, 10_000, "", "", ""))
    wait = dict(plot.gaps(rows))
    assert wait[1] == pytest.approx(plot.nines(100 - 0.75), rel=0.01)  # between the last bound and the longest, half are taken
    assert wait[5000] == pytest.approx(plot.nines(100 - 0.25), rel=0.01)
    assert plot.gaps([]) == []


def test_percentiles_on_the_axis():
    assert [round(plot.nines(p), 9) for p in (0, 90, 99, 99.9)] == [0, 1, 2, 3]
