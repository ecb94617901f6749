# SPDX-License-Identifier: BSD-3-Clause
"""The search for the highest rate without loss, and what is read of the generator's points."""
import io

import pytest

from benchmark.cases import latency
from benchmark.context import Context, Failed, Progress


def result(rate, capacity, reach=1e9):
    sent = min(rate, reach)
    return {"rate": rate, "attempts_per_second": sent, "attempts": 1000, "slots": 1000, "missed": 0, "tx_refused": 0,
            "failed": 0 if sent <= capacity else 7, "generator_limit": rate > reach, "limit_reason": "it was late" if rate > reach else ""}


class Simulated:
    """A system that loses what exceeds its capacity, before a generator that does not go beyond its reach."""

    def __init__(self, capacity, reach=1e9):
        self.capacity, self.reach, self.rates = capacity, reach, []

    def trial(self, rate, seconds, through=True):
        self.rates.append(rate)
        return result(rate, self.capacity, self.reach), []


class Scripted:
    """Trials that end as they are told, in turn: by and by "clean", "lost" and "limited"."""

    def __init__(self, *ends):
        self.ends, self.trials = list(ends), 0

    def trial(self, rate, seconds, through=True):
        end = self.ends[self.trials % len(self.ends)]
        self.trials += 1
        return {**result(rate, 1e9), "failed": 7 if end == "lost" else 0, "generator_limit": end == "limited",
                "limit_reason": "it was late" if end == "limited" else ""}, []


@pytest.fixture
def context():
    return Context("latency", progress=Progress(out=io.StringIO()))


@pytest.mark.parametrize("capacity", [700, 9_999, 123_456, 2_345_678])
def test_search_ends_just_below_what_the_system_can(context, capacity):
    stand = Simulated(capacity)
    ndr, limit = latency.find_ndr(context, stand)
    assert (1 - 2 * latency.RESOLUTION) * capacity <= ndr <= capacity and limit == ""
    assert len(stand.rates) < 30 * latency.CONFIRMATIONS


@pytest.mark.parametrize("first, capacity", [(100_000, 123_456), (200_000, 123_456), (123_000, 123_456)])
def test_a_search_near_the_last_ones_end_finds_the_same(context, first, capacity):
    stand = Simulated(capacity)
    ndr, _ = latency.find_ndr(context, stand, first, latency.NEAR)
    assert (1 - 2 * latency.RESOLUTION) * capacity <= ndr <= capacity
    assert len(stand.rates) < 10 * latency.CONFIRMATIONS


def test_search_says_that_the_generator_was_the_limit(context):
    ndr, limit = latency.find_ndr(context, Simulated(10**9, reach=50_000))
    assert 45_000 <= ndr <= 50_000 and limit == "it was late"


def test_one_gap_of_the_machine_is_no_limit(context):
    """Two trials of five may lose something."""
    stand = Simulated(100_000)
    whole, bad = stand.trial, iter([True, False, False, False, True] * 40)
    stand.trial = lambda rate, seconds, through=True: (result(rate, 0), []) if next(bad) else whole(rate, seconds)
    ndr, _ = latency.find_ndr(context, stand)
    assert 90_000 <= ndr <= 100_000


def test_most_trials_decide(context):
    assert latency.sustains(context, Scripted("clean", "lost", "clean", "lost", "clean"), 1000) == (True, "")
    assert latency.sustains(context, Scripted("clean", "lost", "lost", "clean", "lost"), 1000) == (False, "")


def test_one_lucky_trial_is_not_enough(context):
    assert latency.sustains(context, Scripted("lost", "lost", "clean", "lost"), 1000) == (False, "")


def test_a_trial_that_the_generator_limited_never_passes(context):
    stand = Scripted("limited")
    assert latency.sustains(context, stand, 1000) == (False, "it was late")
    assert stand.trials == latency.CONFIRMATIONS  # it will not get better
    stand = Scripted("clean", *["limited"] * latency.TRIALS_MOST)
    assert latency.sustains(context, stand, 1000) == (False, "it was late")
    assert stand.trials == latency.TRIALS_MOST


def test_a_trial_that_the_generator_limited_counts_for_neither_side(context):
    stand = Scripted("limited", "clean", "limited", "clean", "clean")
    assert latency.sustains(context, stand, 1000) == (True, "") and stand.trials == 5
    assert latency.sustains(context, Scripted("limited", "lost", "lost", "lost"), 1000) == (False, "")


def test_a_rate_that_was_not_reached_is_the_generators_limit(context):
    stand = Scripted("clean")
    whole = stand.trial
    stand.trial = lambda rate, seconds, through=True: ({**whole(rate, seconds)[0], "attempts_per_second": 0.9 * rate}, [])
    held, words = latency.sustains(context, stand, 1000)
    assert not held and "900 a second" in words


def test_search_gives_up_where_nothing_goes_through(context):
    with pytest.raises(Failed, match="not free of loss"):
        latency.find_ndr(context, Simulated(0))


def test_search_gives_up_where_the_generator_never_keeps_up(context):
    with pytest.raises(Failed, match="too much for the generator: it was late"):
        latency.find_ndr(context, Simulated(1e9, reach=1))


def test_search_ends_where_nothing_is_ever_lost(context):
    assert latency.find_ndr(context, Simulated(1e12))[0] <= latency.RATE_MOST


def test_the_row_is_of_several_searches(context):
    capacity = iter([100_000] * 200)
    stand = Simulated(100_000)
    whole = stand.trial

    def trial(rate, seconds, through=True):
        stand.capacity = next(capacity, 130_000)  # the machine is quieter toward the end
        return whole(rate, seconds, through)
    stand.trial = trial
    found, limit = latency.search(context, stand)
    assert len(found) == latency.SEARCHES and limit == ""
    assert all(90_000 <= ndr <= 130_000 for ndr in found)


def test_points_and_percentiles():
    points = latency.read_points("# us share count\n1.5 0.25 25\n2.5 0.5 25\n8.0 0.99 49\n20.0 1 1\n")
    assert points == [(1.5, 0.25), (2.5, 0.5), (8.0, 0.99), (20.0, 1.0)]
    assert [latency.percentile(points, p) for p in (10, 25, 50, 50.1, 99, 99.9)] == [1.5, 1.5, 2.5, 8.0, 8.0, 20.0]


def test_what_a_full_ring_refused_is_lost_too():
    """The ring between the processes is emptied by the system: that it is full is the system's doing."""
    r = result(1000, 0)
    assert "lost 0.700 %" in latency.note_of([r])
    assert "lost 0.100 %" in latency.note_of([{**r, "failed": 1, "tx_refused": 1}])


def test_gaps_are_of_windows_and_rare_ones_of_all_of_them(context):
    def cpu(gap_ms, longest_ms, long_ones):
        return {"ns": 10**9, "gap_ns": gap_ms * 10**6, "longest_ns": longest_ms * 10**6,
                "at_least_us": {str(us): long_ones if us >= 1024 else 100 for us in latency.GAPS_US}}
    rows = {r.metric: r for r in latency.gap_rows(context, [[cpu(10, 2, 0), cpu(20, 2, 0)], [cpu(30, 6, 1), cpu(30, 2, 0)]])}
    assert (rows["gaps_time"].min, rows["gaps_time"].median, rows["gaps_time"].max) == (1, 2.5, 3)
    assert rows["gaps_longest_us"].max == 6000 and rows["gaps_longest_us"].median == 2000
    assert (rows["gaps_per_second/1024us"].min, rows["gaps_per_second/1024us"].max) == (0, 0.5)
    assert all(r.device for r in rows.values())


class Stand(Simulated):
    """A whole stand, whose latencies follow from the rate: 2 us through the loopback, and more through the system."""

    def __init__(self, build):
        super().__init__(100_000)

    def __enter__(self):
        return self

    def __exit__(self, *exc):
        pass

    def trial(self, rate, seconds, through=True):
        self.rates.append((rate, through))
        return result(rate, self.capacity), [(us + (rate / 10_000 if through else 0), share) for us, share in ((2.0, 0.5), (9.0, 1.0))]


def test_latencies_are_at_parts_of_the_ndr_beside_the_loopback(context, monkeypatch):
    monkeypatch.setattr(latency.os, "geteuid", lambda: 0)
    monkeypatch.setattr(context, "build", lambda *targets: None)
    monkeypatch.setattr(latency, "gaps", lambda *args: ())
    monkeypatch.setattr(latency, "Stand", Stand)
    rows = {r.metric: r for r in latency.run(context)}
    ndr = rows["ndr"].median
    assert 90_000 <= rows["ndr"].min <= ndr <= rows["ndr"].max <= 100_000
    for part in (10, 50, 90):
        assert rows[f"latency_us_p50/loopback_{part}_percent"].median == 2
        assert rows[f"latency_us_p50/{part}_percent"].median == pytest.approx(2 + ndr * part / 1e6)
        assert rows[f"latency_us_p99/{part}_percent"].median == pytest.approx(9 + ndr * part / 1e6)
        assert rows[f"added_latency_us_p50/{part}_percent"].median == pytest.approx(ndr * part / 1e6)
        assert f"{ndr * part / 100:,.0f} requests a second" in rows[f"latency_us_p50/{part}_percent"].note
