# SPDX-License-Identifier: BSD-3-Clause
"""The cases in the order in which they run. Each is a module of this folder: SUMMARY (a line) and run(context) -> rows."""
import importlib

ORDER = ("dispatch", "versus")


def load(name):
    """The module of a case; KeyError where there is none of that name."""
    if name not in ORDER:
        raise KeyError(name)
    return importlib.import_module(f"{__name__}.{name}")
