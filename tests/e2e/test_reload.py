# SPDX-License-Identifier: BSD-3-Clause
"""SIGHUP: a file is applied as a whole, or refused as a whole; calls under way go on."""
import ctypes
import os
import pathlib
import re
import signal
import socket
import subprocess
import threading
import time

from call import ALICE, EDGE, Call, replace_method
from ua import UA, inside

BINARY = os.environ.get("SIPLANE", str(pathlib.Path(__file__).resolve().parents[2] / "build/app/siplane/siplane"))


def reload(lab, text=None, good=True):
    """Sends SIGHUP, with another configuration or with the same; returns what the log says of it."""
    if text is not None:
        lab.config.write_text(text)
    mark = len(lab.log())
    lab.siplane.send_signal(signal.SIGHUP)
    deadline = time.monotonic() + 5
    while True:
        said = lab.log()[mark:]
        if "is current, generation" in said or "configuration stays" in said:
            break
        assert time.monotonic() < deadline, said
        time.sleep(0.02)
    assert ("is current" in said) == good, said
    return said


def sockets(lab):
    with inside(lab.ns("dut")):
        text = open("/proc/thread-self/net/udp").read()
    return sorted({int(m, 16) for m in re.findall(r"^ *\d+: [0-9A-F]+:([0-9A-F]{4})", text, re.M)})


def answers(ua, to, uri="sip:10.10.0.1"):
    ua.send(ua.request("OPTIONS", uri), to)
    try:
        return ua.receive(0.7).source == to
    except socket.timeout:
        return False


def test_listeners_come_and_go(labs):
    lab = labs.make()
    c = Call(lab)
    first = lab.config.read_text()
    more = first.replace("listen = udp:edge:5060\n", "listen = udp:edge:5080\nlisten = udp:edge:5060\n")
    text, backend, got = c.invite()
    reload(lab, more)
    assert 5080 in sockets(lab)
    assert answers(c.caller, ("10.10.0.1", 5080), "sip:10.10.0.1:5080") and answers(c.caller, EDGE)
    # What was received before by 5060 is answered from 5060, wherever that stands in the file now.
    backend.answer(got, 180, "Ringing")
    assert c.caller.receive().source == EDGE
    reload(lab, first)
    assert 5080 not in sockets(lab)
    assert not answers(c.caller, ("10.10.0.1", 5080), "sip:10.10.0.1:5080") and answers(c.caller, EDGE)


def test_a_refused_file_changes_nothing_at_all(labs):
    lab = labs.make()
    c = Call(lab)
    first = lab.config.read_text()
    with inside(lab.ns("dut")):
        other = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    other.bind(("0.0.0.0", 5090))
    # The first new port could be had, the second belongs to somebody; names and answers would change, too.
    text = first.replace("listen = udp:edge:5060\n", 'server_header = "Server: Other"\nalias = "new.example"\n'
                         "listen = udp:edge:5080\nlisten = udp:edge:5090\n").replace('"404", "Not Here"', '"404", "Changed"')
    said = reload(lab, text, good=False)
    assert "5090" in said and "another program" in said
    assert sockets(lab).count(5080) == 0 and 5060 in sockets(lab)
    assert answers(c.caller, EDGE) and not answers(c.caller, ("10.10.0.1", 5080))
    c.caller.send(c.caller.request("BYE", ALICE, to_tag="x"), EDGE)
    reply = c.caller.receive()
    assert reply.status == 404 and "Not Here" in reply.start and reply.get("server") is None
    other.close()
    said = reload(lab, text)
    assert answers(c.caller, ("10.10.0.1", 5080), "sip:10.10.0.1:5080") and not answers(c.caller, EDGE)


def test_a_listener_twice_and_a_bad_list_are_refused(labs):
    lab = labs.make()
    c = Call(lab)
    first = lab.config.read_text()
    said = reload(lab, first.replace("listen = udp:edge:5060\n", "listen = udp:edge:5060\nlisten = udp:10.10.0.1:5060\n"), good=False)
    assert "two `listen`" in said and "10.10.0.1:5060" in said
    lab.config.write_text(first)
    good = (lab.dir / "dispatcher.list").read_text()
    (lab.dir / "dispatcher.list").write_text(good + "1 nonsense\n")
    said = reload(lab, good=False)
    assert "dispatcher.list:3" in said
    (lab.dir / "dispatcher.list").unlink()
    said = reload(lab, good=False)
    assert "dispatcher.list" in said
    (lab.dir / "dispatcher.list").write_text("1 sip:10.20.0.11:5060\n")
    c.invite()


def test_what_a_running_process_cannot_change_is_said(labs):
    lab = labs.make()
    said = reload(lab, lab.config.read_text().replace("cores { idle = sleep; }", "cores { idle = poll; }\nreply_rate = 7")
                  .replace("\taddress = fd00:20::1/64;\n", ""))
    for word in ("cores { }", "port { }", "reply_rate"):
        assert f"{word} takes effect at the next start" in said


def test_names_and_answers_follow(labs):
    lab = labs.make(head='server_header = "Server: One"\n')
    c = Call(lab)
    c.caller.send(c.caller.request("OPTIONS", "sip:10.10.0.1"), EDGE)
    assert c.caller.receive().get("server") == "One"
    reload(lab, lab.config.read_text().replace("Server: One", "Server: Two") .replace("listen", 'alias = "later.example"\nlisten', 1))
    c.caller.send(c.caller.request("OPTIONS", "sip:later.example"), EDGE)
    reply = c.caller.receive()
    assert reply.status == 200 and reply.get("server") == "Two"


def roll(path):
    r = subprocess.run([BINARY, "--roll-secret", str(path)], capture_output=True, text=True, timeout=10)
    assert r.returncode == 0 and "rolled" in r.stdout, r.stderr


def test_a_roll_of_the_keys_within_calls_loses_nothing(labs):
    lab = labs.make()
    c = Call(lab)
    backend, invite, ok = c.established()
    text, ringing, got = c.invite()
    before = re.search(r";sp=(\w)", got.vias()[0]).group(1)
    roll(lab.dir / "secret")
    reload(lab)
    # The response to what went out before, its CANCEL, and a request within the call of before.
    ringing.answer(got, 180, "Ringing")
    assert c.caller.receive().status == 180
    c.caller.send(replace_method(text, "CANCEL"), EDGE)
    at, cancel = c.at_a_backend()
    assert at is ringing and cancel.branch() == got.branch()
    assert re.search(r";sp=(\w)", cancel.vias()[0]).group(1) != before, "the new key signs"
    c.caller.send(c.in_dialog(ok, "BYE"), EDGE)
    bye = backend.receive()
    assert bye.method == "BYE"
    backend.answer(bye, 200)
    assert c.caller.receive().status == 200


def test_six_rolls_within_a_call_lose_nothing(labs):
    """A file holds eight keys: the one that signs, the next, six that are retired."""
    lab = labs.make()
    c = Call(lab)
    backend, invite, ok = c.established()
    for _ in range(6):
        roll(lab.dir / "secret")
        reload(lab)
    c.caller.send(c.in_dialog(ok, "BYE"), EDGE)
    assert backend.receive().method == "BYE"
    assert subprocess.run([BINARY, "--roll-secret", "/nowhere/secret"], capture_output=True).returncode == 1


def test_a_file_with_another_branch_key_is_refused(labs):
    lab = labs.make()
    c = Call(lab)
    text, backend, got = c.invite()
    secret = lab.dir / "secret"
    good = secret.read_text()
    secret.write_text(re.sub(r"branch \w+", "branch " + "12" * 16, good))
    assert "another branch key" in reload(lab, good=False)
    secret.chmod(0o644)
    assert "chmod 600" in reload(lab, good=False)
    c.caller.send(replace_method(text, "CANCEL"), EDGE)
    at, cancel = c.at_a_backend()
    assert at is backend and cancel.branch() == got.branch()


def test_reloads_under_load_lose_no_message(labs):
    """Lists and listeners change again and again while requests cross: each one arrives, from the port it has to."""
    lab = labs.make("af_packet")
    c = Call(lab)
    first = lab.config.read_text()
    swapped = first.replace("listen = udp:edge:5060\nlisten = udp:core:5060\n",
                            "listen = udp:core:5060\nlisten = udp:core:5081\nlisten = udp:edge:5080\nlisten = udp:edge:5060\n")
    total, got, sources = 1500, set(), set()

    def gather(b):
        while True:
            try:
                m = b.receive(1.5)
            except socket.timeout:
                return
            got.add(m.get("call-id"))
            sources.add(m.source)

    threads = [threading.Thread(target=gather, args=(b,)) for b in c.backend]
    for t in threads:
        t.start()
    for n in range(total):
        c.caller.send(c.caller.request("MESSAGE", ALICE), EDGE)
        if n % 150 == 75:
            lab.config.write_text(swapped if n // 150 % 2 == 0 else first)
            (lab.dir / "dispatcher.list").write_text("1 sip:10.20.0.11:5060\n" + "1 sip:10.20.0.12:5060\n" * (n // 150 % 2))
            lab.siplane.send_signal(signal.SIGHUP)
        time.sleep(0.001)
    for t in threads:
        t.join()
    assert len(got) == total
    assert sources == {("10.20.0.1", 5060)}
    assert lab.log().count("is current, generation") >= 5


def test_a_signal_in_any_thread_disturbs_none_of_them(labs):
    """The kernel gives a signal of the process to whichever thread it likes: each of them gets one, in a system call or not."""
    lab = labs.make("af_packet")
    pid = lab.siplane.pid
    libc = ctypes.CDLL(None, use_errno=True)
    threads = [int(t.name) for t in pathlib.Path(f"/proc/{pid}/task").iterdir()]
    assert len(threads) >= 4, "control, a worker, and the two of DPDK"
    for n in range(3):
        for t in threads:
            assert libc.tgkill(pid, t, int(signal.SIGUSR1 if n % 2 else signal.SIGHUP)) == 0, os.strerror(ctypes.get_errno())
        time.sleep(0.3)
    assert lab.stats()["generation"] > 1
    assert {int(t.name) for t in pathlib.Path(f"/proc/{pid}/task").iterdir()} >= set(threads), "one of them left"
