# SPDX-License-Identifier: BSD-3-Clause
SUMMARY = "one worker forwards INVITEs, self-fed, ring to ring"


def run(context):
    path = context.build("tests/bench/bench")
    yield from context.rows_of([path / "tests/bench/bench", "dispatch", "--json", "--seconds", context.seconds])
