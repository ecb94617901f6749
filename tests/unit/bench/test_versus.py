# SPDX-License-Identifier: BSD-3-Clause
"""What the comparison reads: messages from the program that writes them, CPU time from /proc, ratios from windows."""
import os
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


def test_ratios_are_of_neighbouring_windows():
    found = {"kamailio": [window(100, 1000, 800), window(100, 2000, 1600)],
             "siplane_af_xdp": [window(300, 1000, 900), window(300, 1500, 900)], "forwarder": [window(400, 1000, 900)] * 2}
    ring = Row("dispatch", "messages_per_second", "1/s", 1e9, 2e9, 3e9, "ring", "", "")
    rows = {r.metric: r for r in versus.ratios(Context("versus"), found, ring)}
    assert (rows["ratio_af_xdp"].min, rows["ratio_af_xdp"].max) == (pytest.approx(3), pytest.approx(4))
    # the median of Kamailio's own rate of two windows is the greater one
    assert rows["ratio_ring"].median == pytest.approx(2e9 / (1e9 * 100 / 800))
    assert rows["ratio_forwarder"].min == pytest.approx(4)
