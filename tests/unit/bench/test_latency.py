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
    def __init__(self, capacity, reach=1e9):
        self.capacity, self.reach, self.rates = capacity, reach, []

    def trial(self, rate, seconds, through=True):
        self.rates.append(rate)
        return result(rate, self.capacity, self.reach), []


@pytest.fixture
def context():
    return Context("latency", progress=Progress(out=io.StringIO()))


@pytest.mark.parametrize("capacity", [700, 9_999, 123_456, 2_345_678])
def test_search_ends_just_below_what_the_system_can(context, capacity):
    stand = Simulated(capacity)
    ndr, limit = latency.find_ndr(context, stand)
    assert (1 - 2 * latency.RESOLUTION) * capacity <= ndr <= capacity and limit == ""
    assert len(stand.rates) < 30 * latency.TRIES


def test_search_says_that_the_generator_was_the_limit(context):
    ndr, limit = latency.find_ndr(context, Simulated(10**9, reach=50_000))
    assert 45_000 <= ndr <= 51_100 and limit == "it was late"


def test_one_gap_of_the_machine_is_no_limit(context):
    stand = Simulated(100_000)
    whole, bad = stand.trial, iter([True, False, True, True, False] * 20)
    stand.trial = lambda rate, seconds, through=True: (result(rate, 0), []) if next(bad) else whole(rate, seconds)
    ndr, _ = latency.find_ndr(context, stand)
    assert 90_000 <= ndr <= 100_000


def test_search_gives_up_where_nothing_goes_through(context):
    with pytest.raises(Failed):
        latency.find_ndr(context, Simulated(0))


def test_search_ends_where_nothing_is_ever_lost(context):
    assert latency.find_ndr(context, Simulated(1e12))[0] <= latency.RATE_MOST


def test_points_and_percentiles():
    points = latency.read_points("# us share count\n1.5 0.25 25\n2.5 0.5 25\n8.0 0.99 49\n20.0 1 1\n")
    assert points == [(1.5, 0.25), (2.5, 0.5), (8.0, 0.99), (20.0, 1.0)]
    assert [latency.percentile(points, p) for p in (10, 25, 50, 50.1, 99, 99.9)] == [1.5, 1.5, 2.5, 8.0, 8.0, 20.0]


def test_what_a_full_ring_refused_is_lost_too():
    """The ring between the processes is emptied by the system: that it is full is the system's doing."""
    r = result(1000, 0)
    assert "lost 0.700 %" in latency.note_of([r])
    assert "lost 0.100 %" in latency.note_of([{**r, "failed": 1, "tx_refused": 1}])
