# SPDX-License-Identifier: BSD-3-Clause
"""
The cases in the order in which they run. A case has a SUMMARY (a line) and a run(context) that yields rows: a module of this
folder, or one of those that tests/bench/bench measures.
"""
import importlib

from . import self_fed

ORDER = (*self_fed.SUMMARIES, "start", "latency", "soak", "versus", "versus-stateful")


def load(name):
    """The case of a name; KeyError where there is none."""
    if name not in ORDER:
        raise KeyError(name)
    return self_fed.Case(name) if name in self_fed.SUMMARIES else importlib.import_module(
        f"{__name__}.{name.replace('-', '_')}")
