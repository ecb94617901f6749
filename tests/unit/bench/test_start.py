# SPDX-License-Identifier: BSD-3-Clause
"""Starts with an empty location of ten million slots stand beside those without one."""
import contextlib
import pathlib
import types

from benchmark import context, report
from benchmark.cases import start


def test_both_starts_have_rows_of_their_own(monkeypatch, tmp_path):
    lab = types.SimpleNamespace(dir=tmp_path, sysctl=lambda *_: None)
    monkeypatch.setattr(start, "Lab", lambda **_: contextlib.nullcontext(lab))
    monkeypatch.setattr(start, "udp_socket", lambda *_: types.SimpleNamespace(close=lambda: None))
    monkeypatch.setattr(context.Context, "build", lambda *_: pathlib.Path("/nowhere"))

    def one_start(lab, binary, config, caller, backends):
        text = config.read_text()
        return (0.5, 0.25) if "contacts = 10000000;" in text and 'save("location")' in text else (0.2, 0.1)

    monkeypatch.setattr(start, "one_start", one_start)
    rows = list(start.run(context.Context("start", 1)))
    assert {r.metric: r.median for r in rows} == {
        "first_packet_ms": 200, "ready_ms": 100, "first_packet_ms/10000000": 500, "ready_ms/10000000": 250}
    said = next(x for x in report.targets(rows) if x.startswith("| start to first packet, ten million"))
    assert "| 3,000 ms |  | 500 ms | 500 ms | yes |" in said
