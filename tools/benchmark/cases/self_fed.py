# SPDX-License-Identifier: BSD-3-Clause
"""The cases of tests/bench/bench: one process, which feeds itself and prints its rows."""
import os

from .. import references
from ..context import Skipped

SUMMARIES = {
    "parse": "header index and check of a message, with each scanner, as sets grow out of the caches; other parsers beside",
    "dispatch": "one worker forwards INVITEs of 600 to 900 bytes, ring to ring; messages of others beside",
    "response": "one worker verifies and forwards 180 and 200",
    "indialog": "one worker forwards ACK, BYE and re-INVITE by their Route, both ways",
    "options": "one worker answers OPTIONS",
    "mix": "one worker forwards all messages of calls",
    "malformed": "one worker drops noise, broken messages and scanners",
    "fragments": "one worker reassembles INVITEs of two fragments and sends them in two",
    "size": "one worker forwards INVITEs of 300 to 8,000 bytes",
    "tables": "look-ups, rebuilding and memory of destinations, address groups and next hops",
    "register": "a slow lcore registers a million users, beside the worker that hands their REGISTERs over",
    "register-auth": "a million users register with passwords: rows from SQLite, rows that are remembered, MD5 and SHA-256, challenged anew",
    "db": "a million users register, each answered when it is on disk (SQLite); questions; contacts read at a start",
    "calls": "sessions (INVITE, 100, 180, 200, ACK, BYE, 200) through t_relay(), a slow lcore beside the worker",
    "lookup": "one worker forwards INVITEs to where their users are registered, of a thousand to ten million",
    "beside": "one worker forwards INVITEs while a slow lcore has all it can do, and while it has nothing to do",
    "location": "contacts: bytes each, inserts and look-ups a second, from a thousand to ten million",
    "scale": "one worker and two, a CPU each, at the same time",
}
TWO_CPUS = ("scale", "register", "register-auth", "calls", "beside")


class Case:
    def __init__(self, name):
        self.name = name
        self.SUMMARY = SUMMARIES[name]

    def run(self, context):
        if self.name in TWO_CPUS and len(os.sched_getaffinity(0)) < 2:
            raise Skipped("two CPUs are needed, one for each worker or slow lcore")
        build = context.build("tests/bench/bench")
        yield from context.rows_of([build / "tests/bench/bench", self.name, "--json", "--seconds", context.seconds])
        if self.name == "parse":
            yield from references.parsers()
