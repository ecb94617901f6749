# SPDX-License-Identifier: BSD-3-Clause
"""The second half of tools/bench. A case is a module of `cases` with a SUMMARY and a run(context) that yields rows."""
