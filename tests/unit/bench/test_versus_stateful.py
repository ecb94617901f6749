# SPDX-License-Identifier: BSD-3-Clause
"""Where state is kept: what is made of windows of both systems and of the runs without I/O."""
import pytest

from benchmark.cases import ORDER, load, versus_stateful
from benchmark.context import Context
from benchmark.row import Row


def window(done, own_ns, lost=0, ns=500_000_000):
    return {"done": done, "lost": lost, "ns": ns, "own_ns": own_ns}


def ring(median):
    return Row("register", "registrations_per_cpu_second", "1/s", median / 2, median, median * 2, "ring", "cpu")


@pytest.fixture
def found():
    context = Context("versus-stateful")
    windows = {"kamailio": [window(100, 1_000_000), window(90, 1_000_000), window(110, 1_000_000, lost=10)],
               "siplane_af_packet": [window(300, 1_000_000), window(90, 500_000), window(440, 2_000_000)]}
    rows = list(versus_stateful.rows(context, "save", windows, [ring(900_000), ring(1_100_000)], "Kamailio 1.2"))
    return {r.metric: r for r in rows}


def test_the_case_has_its_name():
    assert "versus-stateful" in ORDER and load("versus-stateful") is versus_stateful


def test_a_second_of_own_cpu_is_what_counts(found):
    r = found["registrations_per_own_cpu_second/kamailio"]
    assert (r.min, r.median, r.max) == (90_000, 100_000, 110_000) and "Kamailio 1.2" in r.note
    r = found["registrations_per_own_cpu_second/siplane_ring"]
    assert (r.min, r.max) == (450_000, 2_200_000)
    assert found["registrations_per_second/kamailio"].median == 200


def test_ratios_are_of_medians_and_of_windows_beside_each_other(found):
    r = found["ratio_save"]
    assert (r.min, r.max) == (9, 11) and r.device == "ring"
    r = found["ratio_save/af_packet"]
    assert (r.min, r.median, r.max) == (2, 2, 3)


def test_what_was_lost_is_said(found):
    assert found["lost/registrations/kamailio"].max == pytest.approx(100 * 10 / 120)
    assert found["lost/registrations/siplane_af_packet"].max == 0
