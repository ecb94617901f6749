# SPDX-License-Identifier: BSD-3-Clause
"""What the comparison reads: messages from the program that writes them, CPU time from /proc, ratios from windows."""
import os
import shutil
import subprocess
import sys
import time

import pytest

from benchmark import invites, veth
from benchmark.cases import versus
from benchmark.context import Context, Failed
from benchmark.row import Row

def message(host, body, length=None):
    said = len(body) if length is None else length
    return b"INVITE sip:a@b SIP/2.0\r\nVia: SIP/2.0/UDP %s;branch=z9hG4bK1\r\nl: %d\r\n\r\n%s" % (host, said, body)


def test_messages_are_split_and_their_sender_is_found():
    first, second = message(b"10.10.0.2:5080", b"v=0\r\n"), message(b"10.10.0.3", b"port 0\r\nport 1\r\n")
    shown = b"port 0\n" + first + b"\nport 0\n" + second + b"\n"
    assert invites.read(shown) == [("10.10.0.2", 5080, first), ("10.10.0.3", 5060, second)]


@pytest.mark.parametrize("shown", [b"", b"port 0\n" + message(b"10.10.0.2", b"v=0\r\n", 7) + b"\n",
                                   b"port 0\n" + message(b"somewhere", b"v=0\r\n") + b"\n"])
def test_what_is_no_message_is_refused(shown):
    with pytest.raises(Failed):
        invites.read(shown)


def test_run_time_is_what_was_used():
    begun = veth.run_time_ns(os.getpid())
    end = time.thread_time_ns() + 50_000_000
    while time.thread_time_ns() < end:
        pass
    time.sleep(0.01)  # the scheduler writes it down when the thread leaves the CPU
    assert 45_000_000 <= veth.run_time_ns(os.getpid()) - begun <= 500_000_000


def test_times_of_the_box():
    tick = 1_000_000_000 // os.sysconf("SC_CLK_TCK")
    text = "cpu  10 1 20 1000 500 3 7 2 9 9\ncpu0 5 1 10 500 250 1 3 1 9 9\n"
    assert veth.cpu_times_ns(text) == (43 * tick, 10 * tick)
    busy, irq = veth.box_times_ns()
    assert busy > irq >= 0


def test_children_belong_to_the_family():
    p = subprocess.Popen([sys.executable, "-c", "import subprocess as s; s.run(['sleep', '20'])"])
    try:
        end = time.monotonic() + 10
        while len(family := veth.with_children(p.pid)) < 2 and time.monotonic() < end:
            time.sleep(0.02)
        assert family[0] == p.pid and len(family) == 2
    finally:
        for pid in veth.with_children(p.pid):
            os.kill(pid, 9)
        p.wait()


def window(received, system_ns, own_ns):
    return {"received": received, "sent": received, "lost": 0, "ns": 10**9, "system_ns": system_ns, "own_ns": own_ns, "others_ns": 0}


def ring(median):
    return Row("dispatch", "messages_per_second", "1/s", median / 2, median, median * 2, "ring", "", "")


def test_ratios_are_of_neighbouring_windows():
    found = {"kamailio": [window(100, 1000, 800), window(100, 2000, 1600)],
             "siplane_af_xdp": [window(300, 1000, 900), window(300, 1500, 900)], "forwarder": [window(400, 1000, 900)] * 2}
    rows = {r.metric: r for r in versus.ratios(Context("versus"), [found], [ring(2e9), ring(4e9)], "as it runs")}
    assert (rows["ratio_af_xdp"].min, rows["ratio_af_xdp"].max) == (pytest.approx(3), pytest.approx(4))
    assert rows["ratio_forwarder"].min == pytest.approx(4)
    own = (1e9 * 100 / 800 + 1e9 * 100 / 1600) / 2
    assert rows["ratio_ring"].median == pytest.approx(3e9 / own) and "as it runs" in rows["ratio_ring"].note


def test_a_machine_that_slows_down_does_not_change_the_ratio_without_io():
    """Each block of windows is set against the runs at both its ends."""
    speeds = [1, 0.5, 0.25, 0.125]
    blocks = [{"kamailio": [window(100, 1000, 1000 / s)] * 3} for s in [(a + b) / 2 for a, b in zip(speeds, speeds[1:])]]
    r = next(versus.ratios(Context("versus"), blocks, [ring(2e9 * s) for s in speeds], ""))
    assert r.min == pytest.approx(r.max) == pytest.approx(20)


def test_the_rate_without_io_is_of_all_runs():
    r = next(versus.rows_of_systems(Context("versus"), {}, [ring(1.0), ring(3.0), ring(4.0), ring(2.0)], ""))
    assert (r.min, r.median, r.max) == (0.5, 2.5, 8.0)


class Still:
    """A pair that is paused between its windows."""

    def __init__(self, log, name):
        self.log, self.name, self.runs = log, name, True

    def ask(self, command):
        assert self.runs

    def pause(self):
        self.runs = False

    def resume(self):
        self.runs = True

    def window(self, seconds, send_ns):
        self.log.append(self.name)
        return {**window(10, 100, 100), "strange": 0, "answers": 0}


def test_dispatch_runs_before_between_and_behind_while_all_systems_stand_still():
    log = []
    pairs = {name: Still(log, name) for name in ("kamailio", "forwarder")}

    def run():
        assert not any(p.runs for p in pairs.values())
        log.append("ring")
        return ring(1.0)
    blocks, rings = versus.measure(Context("versus", 0.1), pairs, 0, run)
    assert len(blocks) == versus.BLOCKS and len(rings) == versus.BLOCKS + 1
    turn = ["kamailio", "forwarder"] * versus.ROUNDS_MIN
    assert log == ["ring", *(turn + ["ring"]) * versus.BLOCKS]


def test_the_note_says_how_kamailio_was_tuned():
    said = versus.kamailio_as_it_runs() if shutil.which("kamailio") else f"-x fm -X fm {versus.KAMAILIO_CONFIG}"
    config = (versus.ROOT / "conf/bench-kamailio.cfg").read_text()
    assert "-x fm -X fm" in said
    for word in ("mem_join = 0", 'modparam("rr", "append_fromtag", 0)', "children = 1", "disable_tcp = yes"):
        assert word in config
