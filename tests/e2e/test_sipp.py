# SPDX-License-Identifier: BSD-3-Clause
"""Real SIP peers through siplane: sipp scenarios of dialogs, sipsak, reloads and load."""
import os
import pathlib
import signal
import time

import pytest

from conftest import DISPATCH, LIST

HERE = pathlib.Path(__file__).resolve().parent / "sipp"
LAB = pathlib.Path(__file__).resolve().parents[2] / "tools/lab/sipp"
ONE = {4: "1 sip:10.20.0.11:5060\n", 6: "1 sip:[fd00:20::11]:5060\n"}
EDGE = {4: "10.10.0.{}", 6: "fd00:10::{}"}
CORE = {4: "10.20.0.{}", 6: "fd00:20::{}"}


def bracket(address):
    return f"[{address}]" if ":" in address else address


def backend(lab, scenario, family=4, n=1, *args, name=None):
    address = CORE[family].format(10 + n)
    return lab.sipp(f"b{n}", scenario, "-i", address, "-mi", address, "-p", "5060", *args, name=name)


def caller(lab, scenario, calls, rate, family=4, port=5080, user="alice", *args, name=None):
    me = EDGE[family].format(2)
    return lab.sipp("caller", scenario, f"{bracket(EDGE[family].format(1))}:5060", "-i", me, "-mi", me, "-p", port, "-s", user,
                    "-m", calls, "-r", rate, "-timeout", "20s", "-timeout_error", "-mp", 20000 + 10 * (port % 1000), *args, name=name)


def said(lab, p):
    """What a sipp has to say about its failures, and what it counted."""
    err = lab.dir / f"{p.lab_name}.err"
    text = err.read_text(errors="replace")[:3000] if err.exists() else "no errors written"
    counted = {k: v for k, v in lab.sipp_stats(p).items() if k.endswith(("(C)", "CurrentCall")) and v.isdigit() and v != "0"}
    return f"{p.lab_name}: exit status {p.returncode}, {counted}: {text}"


def count(lab, p, column):
    return int(lab.sipp_stats(p).get(column, "0") or 0)


def wait_for(what, timeout=10):
    end = time.monotonic() + timeout
    while not what():
        assert time.monotonic() < end
        time.sleep(0.02)


# The scenario, and for its backend another status than 486. A backend leaves with 0 when each of its calls went as it says.
DIALOGS = [("cancel", None), ("reinvite", None), ("failure", None), ("failure", "302 Moved Temporarily"), ("failure", "603 Decline"),
           ("refer", None), ("subscribe", None), ("message", None), ("early", None)]
CALLS = 10


def dialogs(lab, family):
    for scenario, status in DIALOGS:
        name = scenario + (status or "")[:3]
        script = lab.dir / f"{name}.xml"
        script.write_text((HERE / f"{scenario}_backend.xml").read_text().replace("486 Busy Here", status or "486 Busy Here"))
        b = backend(lab, script, family, 1, "-m", CALLS, "-timeout", "15s", "-timeout_error", name=f"b-{name}")
        c = caller(lab, HERE / f"{scenario}_caller.xml", CALLS, 40, family, name=f"c-{name}")
        assert c.wait(40) == 0, f"{name}: the caller: {said(lab, c)}\n{said(lab, b)}"
        assert b.wait(40) == 0, f"{name}: the backend: {said(lab, b)}"
        assert count(lab, b, "SuccessfulCall(C)") == CALLS and count(lab, c, "SuccessfulCall(C)") == CALLS


def test_dialogs_of_every_kind(labs, driver):
    """CANCEL while ringing, re-INVITE, 486, 302 and 603 with their ACKs, REFER with NOTIFY and a BYE of the callee, SUBSCRIBE, MESSAGE, PRACK, UPDATE."""
    lab = labs.make(driver, list_text=ONE[4])
    dialogs(lab, 4)


def test_dialogs_of_every_kind_over_ipv6(labs):
    lab = labs.make("tap", list_text=ONE[6])
    dialogs(lab, 6)


def test_lost_messages_come_again_and_no_call_fails(labs, driver):
    """A backend that loses INVITEs, ACKs and BYEs and a caller that loses 200s: retransmissions cross in both directions."""
    lab = labs.make(driver, list_text=ONE[4])
    b = backend(lab, HERE / "lossy_backend.xml")
    # A call that loses four in a row on each leg, as one in a hundred does, takes longer than others.
    c = caller(lab, HERE / "lossy_caller.xml", 30, 30, 4, 5080, "alice", "-timeout", "36s")
    assert c.wait(40) == 0, said(lab, c)
    assert count(lab, c, "SuccessfulCall(C)") == 30
    assert count(lab, c, "Retransmissions(C)") > 0
    time.sleep(1.2)  # the backend writes its figures once a second
    assert count(lab, b, "Retransmissions(C)") > 0
    lab.end(b)
    lab.settle()


def test_several_callers_at_once_and_a_ping_between(labs, driver):
    lab = labs.make(driver)
    servers = [backend(lab, LAB / "uas.xml", 4, n) for n in (1, 2)]
    callers = [caller(lab, LAB / "uac.xml", 40, 40, 4, 5080 + i, f"user{i}", "-d", "200", name=f"caller{i}") for i in range(5)]
    ping = lab.popen("caller", "sipsak", "-H", "10.10.0.2", "-s", "sip:10.10.0.1:5060", "-v")
    assert ping.wait(10) == 0, "sipsak wants a 200 to its OPTIONS"
    for c in callers:
        assert c.wait(40) == 0, said(lab, c)
    for s in servers:
        lab.end(s)
    assert sum(count(lab, s, "TotalCallCreated") for s in servers) == 200


def reload(lab, text):
    before = lab.log().count("is current")
    (lab.dir / "dispatcher.list").write_text(text)
    lab.siplane.send_signal(signal.SIGHUP)
    wait_for(lambda: lab.log().count("is current") > before)


@pytest.mark.parametrize("driver,algorithm", [("af_packet", 0), ("tap", 4)], ids=["af_packet-hash", "tap-round_robin"])
def test_reloads_under_load_lose_no_call(labs, driver, algorithm):
    """Destinations come, go and change weight, every 0.6 s, while calls begin, ring, last and end."""
    lab = labs.make(driver, script=DISPATCH.replace('("1", "0")', f'("1", "{algorithm}")'), backends=3)
    lists = [LIST, LIST + "1 sip:10.20.0.13:5060\n", "1 sip:10.20.0.12:5060\n1 sip:10.20.0.13:5060\n", "1 sip:10.20.0.13:5060\n",
             "1 sip:10.20.0.11:5060 0 0 weight=10\n1 sip:10.20.0.13:5060 0 0 weight=90\n",
             "1 sip:10.20.0.11:5060 0 0 weight=90\n1 sip:10.20.0.12:5060 0 0 weight=50\n1 sip:10.20.0.13:5060 0 0 weight=10\n"]
    servers = [backend(lab, LAB / "uas.xml", 4, n) for n in (1, 2, 3)]
    c = caller(lab, LAB / "uac.xml", 500, 90, 4, 5080, "alice", "-d", "300")
    changes = 0
    while c.poll() is None:
        changes += 1
        reload(lab, lists[changes % len(lists)])
        time.sleep(0.6)
    assert c.returncode == 0, said(lab, c)
    assert changes >= len(lists)
    for s in servers:
        lab.end(s)
    served = [count(lab, s, "TotalCallCreated") for s in servers]
    assert sum(served) == 500
    # A hash moves no Call-ID within 64*T1 of a planned change: the third one's first call is 32 s away. Turns move at once.
    assert (served[2] > 0) == (algorithm == 4), served
    assert count(lab, c, "SuccessfulCall(C)") == 500
    assert count(lab, c, "FailedCall(C)") == 0


CORES = {
    "four_workers": ("cores { workers_count = 4; }", ""),
    "four_workers_one_queue": ("cores { workers_count = 4; }", "\tqueues = 1;\n"),
    "one_cpu": ("cores { control = 0; workers = 0; }", ""),
}


@pytest.mark.parametrize("cores", CORES)
def test_calls_under_load(labs, driver, cores):
    """More workers than CPUs, than queues too; everything on one CPU."""
    if cores == "one_cpu" and 0 not in os.sched_getaffinity(0):
        pytest.skip("CPU 0 is not one that this process may use")
    head, port = CORES[cores]
    lab = labs.make(driver, head=head, port_extra=port)
    servers = [backend(lab, LAB / "uas.xml", 4, n) for n in (1, 2)]
    callers = [caller(lab, LAB / "uac.xml", 150, 60, 4, 5080 + i, f"user{i}", "-d", "100", name=f"caller{i}") for i in range(2)]
    for c in callers:
        assert c.wait(60) == 0, said(lab, c)
    for s in servers:
        lab.end(s)
    assert sum(count(lab, s, "TotalCallCreated") for s in servers) == 300
    text = lab.log()
    assert ("1 worker," if cores == "one_cpu" else "4 workers,") in text, text[:600]
    if cores == "four_workers_one_queue":
        assert " 1 queue " in text and lab.settle()["crossed"] > 0, "the others get theirs from the one that has the queue"


def test_sigterm_under_load_ends_within_two_seconds(labs, driver):
    lab = labs.make(driver)
    servers = [backend(lab, LAB / "uas.xml", 4, n) for n in (1, 2)]
    c = caller(lab, LAB / "uac.xml", 2000, 150, 4, 5080, "alice", "-d", "100")
    wait_for(lambda: count(lab, c, "SuccessfulCall(C)") > 100, 15)
    status, seconds = lab.stop_siplane()
    assert status == 0, lab.log()[-3000:]
    assert seconds < 5, f"SIGTERM took {seconds:.2f} s"
    for p in (c, *servers):
        p.kill()
        p.wait()
        lab.processes.remove(p)


def test_scenarios_name_every_file_that_is_there():
    used = {f"{s}_{side}.xml" for s in [d[0] for d in DIALOGS] + ["lossy"] for side in ("caller", "backend")}
    assert used == {p.name for p in HERE.glob("*.xml")}
