# SPDX-License-Identifier: BSD-3-Clause
"""A start that can't be: each refusal says what is wrong and what mends it; exit status 1, and 2 for wrong usage."""
import os
import pathlib
import re
import socket
import subprocess
import threading
import time

import pytest

from call import ALICE, EDGE, Call
from lab.lab import run
from ua import inside

BINARY = os.environ.get("SIPLANE", str(pathlib.Path(__file__).resolve().parents[2] / "build/app/siplane/siplane"))


def start(lab, *args, text=None, prefix=()):
    """Runs siplane to its end in the appliance's namespace: (status, what it said)."""
    if text is not None:
        lab.config.write_text(text)
    r = subprocess.run(["ip", "netns", "exec", lab.ns("dut"), *prefix, BINARY, *(args or ("-f", str(lab.config)))],
                       capture_output=True, text=True, timeout=30, cwd=lab.dir, stdin=subprocess.DEVNULL)
    return r.returncode, r.stdout + r.stderr


@pytest.fixture
def lab(labs):
    lab = labs.make(start=False)
    yield lab
    assert lab.siplane is None


def refused(lab, edit, *words, prefix=()):
    status, said = start(lab, text=edit(lab.config.read_text()), prefix=prefix)
    assert status == 1, said
    for word in words:
        assert word in said, said
    # A sentence, not a dump.
    assert len(said.splitlines()) <= 6 and not re.search(r"^EAL:", said, re.M), said
    assert "ready" not in said


def test_usage_and_checks_have_their_status(lab):
    assert start(lab, "--no-such-option")[0] == 2
    assert start(lab, "-f")[0] == 2
    assert start(lab, "-f", str(lab.config), "surplus")[0] == 2
    assert start(lab, "--help")[0] == 0 and "Usage" in start(lab, "--help")[1]
    assert re.fullmatch(r"siplane \d+\.\d+\.\d+\n", start(lab, "--version")[1])
    status, said = start(lab, "-c", "-f", str(lab.config))
    assert status == 0 and said.endswith("good\n")
    status, said = start(lab, "-c", "-f", "/nowhere/siplane.cfg")
    assert status == 1 and "/nowhere/siplane.cfg" in said and "No such file" in said
    status, said = start(lab, "-c", "-f", str(lab.config), text=lab.config.read_text().replace("forward();", "forwrd();"))
    assert status == 1 and re.search(r"siplane.cfg:\d+:\d+: error: unknown function 'forwrd' \(did you mean 'forward'\?\)", said)


def test_device_that_is_not_there(lab):
    refused(lab, lambda t: t.replace("net_tap_edge,iface=edge", "0000:ff:1f.7"), "port edge", "0000:ff:1f.7", "drivers-config/bind --list")
    refused(lab, lambda t: t.replace("0000:ff:1f.7", "net_af_packet0,iface=eth77"), "port edge", "eth77")
    refused(lab, lambda t: t.replace("net_af_packet0,iface=eth77", "net_nothing0"), "port edge", "net_nothing0")


def test_no_port_at_all(lab):
    refused(lab, lambda t: re.sub(r'port "\w+" \{[^}]*\}', "", t).replace("listen = udp:edge:5060\nlisten = udp:core:5060\n", ""), "no port { }")


def test_listen_lines_that_cannot_be(lab):
    good = lab.config.read_text()
    refused(lab, lambda t: good.replace("udp:edge:5060", "udp:10.99.0.1:5060"), "siplane.cfg:", "10.99.0.1", "address =")
    refused(lab, lambda t: good.replace("udp:edge:5060", "udp:wan:5060"), "siplane.cfg:", "'wan'")
    refused(lab, lambda t: good.replace("udp:edge:5060", "tcp:edge:5060"), "siplane.cfg:", "only udp")


def test_port_that_another_program_has(lab):
    with inside(lab.ns("dut")):
        other = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    other.bind(("0.0.0.0", 5060))
    refused(lab, lambda t: t, "10.10.0.1:5060", "another program", "ss -ulpn 'sport = :5060'")
    other.close()


def test_cpus_that_are_not_there(lab):
    good = lab.config.read_text()
    for cores, words in (("workers = 900;", ("CPU 900", "taskset")), ("control = 3-4;", ("one CPU",)),
                         ("control = 901;", ("CPU 901",)), ("workers = x;", ("siplane.cfg:",))):
        refused(lab, lambda t: good.replace("idle = sleep;", f"idle = sleep; {cores}"), *words)


def test_memory_that_is_not_there(lab):
    good = lab.config.read_text()
    if "HugePages_Total:       0" in pathlib.Path("/proc/meminfo").read_text():
        refused(lab, lambda t: good.replace("cores {", "memory { huge = yes; }\ncores {"), "huge", "drivers-config/hugepages")
    status, said = start(lab, text=good, prefix=("prlimit", "--as=150000000"))
    assert status == 1 and "memory" in said, said


def test_without_root(lab):
    os.chmod(lab.dir, 0o755)
    lab.config.chmod(0o644)
    (lab.dir / "dispatcher.list").chmod(0o644)
    r = run("setpriv", "--reuid=65534", "--regid=65534", "--clear-groups", "test", "-x", BINARY, check=False)
    if r.returncode != 0:
        pytest.skip("the binary is where only root can read")
    good = re.sub(r'secret_file = "[^"]*"\n', "", lab.config.read_text())
    status, said = start(lab, text=good, prefix=("setpriv", "--reuid=65534", "--regid=65534", "--clear-groups", "--bounding-set=-all"))
    assert status == 1 and ("root" in said or "CAP_" in said), said


def test_secret_files_that_cannot_be_used(lab):
    secret = lab.dir / "secret"
    secret.write_text("version 1\n")
    secret.chmod(0o600)
    refused(lab, lambda t: t, "secret", "not whole")
    secret.write_text("version 1\nbranch xyz\n")
    refused(lab, lambda t: t, f"{secret}:2", "32 hexadecimal")
    secret.chmod(0o640)
    refused(lab, lambda t: t, "chmod 600")
    secret.unlink()
    secret.mkdir()
    refused(lab, lambda t: t, "regular file")
    refused(lab, lambda t: t.replace(str(secret), "/nowhere/secret"), "/nowhere/secret", "No such file")


def test_lists_that_cannot_be_read(lab):
    good, path = lab.config.read_text(), lab.dir / "dispatcher.list"
    path.write_text("1 sip:10.20.0.11:5060\n1 http://x\n")
    refused(lab, lambda t: t, "dispatcher.list:2")
    path.unlink()
    refused(lab, lambda t: t, "dispatcher.list", "No such file")
    path.write_text("1 sip:10.20.0.11:5060\n")
    (lab.dir / "address.list").write_text("1 10.0.0.0 33\n")
    refused(lab, lambda t: good.replace('loadmodule "rr.so"', 'loadmodule "rr.so"\nloadmodule "permissions.so"\n'
                                        f'modparam("permissions", "address_file", "{lab.dir}/address.list")'), "address.list:1")
    refused(lab, lambda t: t.replace("address.list", "missing.list"), "missing.list", "No such file")


def test_a_start_that_failed_leaves_nothing_and_the_next_one_runs(labs):
    lab = labs.make(start=False)
    good = lab.config.read_text()
    before = run("ip", "-n", lab.ns("dut"), "-br", "link").stdout
    status, said = start(lab, text=good.replace("udp:core:5060", "udp:10.99.0.1:5060"))
    assert status == 1
    assert run("ip", "-n", lab.ns("dut"), "-br", "link").stdout == before
    lab.config.write_text(good)
    lab.start_siplane(lab.config)
    Call(lab).invite()


def test_more_workers_than_cpus_and_one_cpu_for_everything(labs):
    cpu = min(os.sched_getaffinity(0))
    for cores in (f"control = {cpu}; workers = {cpu};", f"control = {cpu}; workers = {cpu},{cpu},{cpu},{cpu};", "workers_count = 5;"):
        lab = labs.make("af_packet")
        lab.stop_siplane()
        lab.config.write_text(lab.config.read_text().replace("idle = sleep;", f"idle = sleep; {cores}"))
        lab.start_siplane(lab.config)
        c = Call(lab)
        for _ in range(5):
            c.established()
        lab.stop_siplane()
        lab.close()
        labs.all.remove(lab)


def test_sigterm_under_load_ends_in_time_and_answers_until_then(labs):
    lab = labs.make("af_packet")
    c = Call(lab)
    end = threading.Event()

    def load():
        while not end.is_set():
            c.caller.send(c.caller.request("MESSAGE", ALICE), EDGE)
            c.caller.send(c.caller.request("OPTIONS", "sip:10.10.0.1"), EDGE)
            time.sleep(0.002)

    thread = threading.Thread(target=load)
    thread.start()
    time.sleep(0.3)
    status, seconds = lab.stop_siplane()
    end.set()
    thread.join()
    assert status == 0 and seconds < 5
    assert not run("ip", "-n", lab.ns("dut"), "-br", "link", "show", "type", "tun").stdout.strip(), "its interfaces are gone"
    lab.start_siplane(lab.config)
    c.invite()
