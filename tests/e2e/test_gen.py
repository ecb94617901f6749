# SPDX-License-Identifier: BSD-3-Clause
"""siplane-gen: both of its sides over sockets and devices, against sipp, and through siplane.

What one side counts, the other has to have counted too. No figure of this machine is judged.
"""
import itertools
import json
import os
import pathlib
import re
import signal
import socket
import subprocess
import time

import pytest

from conftest import DISPATCH, MODULES
from lab.lab import CORE4, EDGE4, inside, listens, run

ROOT = pathlib.Path(__file__).resolve().parents[2]
GEN = os.environ.get("SIPLANE_GEN", str(ROOT / "build/app/siplane-gen/siplane-gen"))
SIPLANE = os.environ.get("SIPLANE", str(ROOT / "build/app/siplane/siplane"))
CONF = ROOT / "conf/gen"
ONE, TWO = "192.0.2.1", "192.0.2.2"
# A busy machine runs us late; here that is not what is tested.
PATIENT = ("--late", "20s")
numbers = itertools.count()


class Nets:
    """Two namespaces with a cable between them, and processes in them."""

    def __init__(self, directory):
        self.dir = directory
        self.name = f"ge{os.getpid()}-{next(numbers)}"
        self.processes = []
        self.pair = [f"{self.name}{x}" for x in "ab"]
        for ns in self.pair:
            run("ip", "netns", "add", ns)
            run("ip", "-n", ns, "link", "set", "lo", "up")
            run("ip", "netns", "exec", ns, "sysctl", "-qw", "net.ipv6.conf.default.accept_dad=0", check=False)
        run("ip", "-n", self.pair[0], "link", "add", "wire", "type", "veth", "peer", "name", "wire", "netns", self.pair[1])
        for ns in self.pair:
            run("ip", "-n", ns, "link", "set", "wire", "up")
        for address in (f"{ONE}/32", f"{TWO}/32", "fd00::1/128", "fd00::2/128"):
            run("ip", "-n", self.pair[0], "addr", "add", address, "dev", "lo", *(["nodad"] if ":" in address else []))

    def popen(self, side, *args, **kw):
        kw.setdefault("stdout", subprocess.PIPE)
        kw.setdefault("stderr", subprocess.PIPE)
        p = subprocess.Popen(["ip", "netns", "exec", self.pair[side], *map(str, args)], stdin=subprocess.DEVNULL, text=True,
                             cwd=self.dir, **kw)
        self.processes.append(p)
        return p

    def gen(self, *args, side=0, timeout=90):
        """Runs a caller: (status, JSON, what it said)."""
        p = self.popen(side, GEN, "--json", *args)
        out, err = p.communicate(timeout=timeout)
        return p.returncode, json.loads(out) if out else None, err

    def reflector(self, *args, side=0):
        """A reflector that says that it is there; its figures come when it is ended."""
        p = self.popen(side, GEN, "--reflect", *args)
        line = p.stdout.readline()
        assert line.startswith("reflecting on "), (line, p.stderr.read() if p.poll() is not None else "")
        return p

    def close(self):
        for p in self.processes:
            if p.poll() is None:
                p.kill()
            p.wait()
            for f in (p.stdout, p.stderr):
                if f:
                    f.close()
        for ns in self.pair:
            run("ip", "netns", "del", ns, check=False)


@pytest.fixture
def nets(tmp_path):
    made = Nets(tmp_path)
    yield made
    made.close()


def end(p):
    """Ends a reflector; its table as a dict."""
    p.send_signal(signal.SIGINT)
    out, err = p.communicate(timeout=20)
    assert p.returncode == 0, err
    table = {}
    for line in out.splitlines():
        words = line.split()
        for i, word in enumerate(words):
            if word.isdigit():
                table[" ".join(words[:i])] = int(word)
                break
    return table


def good(result, attempts):
    status, r, err = result
    assert r is not None, err
    assert status == 0 and r["good"], (status, json.dumps(r), err)
    assert r["attempts"] == r["ok"] == attempts and r["failed"] == 0
    return r


# ---- sockets ----

@pytest.mark.sanitize
@pytest.mark.parametrize("family", [4, 6])
def test_both_sides_count_the_same(nets, family):
    me, there = (ONE, TWO) if family == 4 else ("fd00::1", "fd00::2")
    target = there if family == 4 else f"[{there}]:5060"
    other = nets.reflector("--address", there)
    r = good(nets.gen("--target", target, "--address", me, "--port", "6000-6015", "-r", "500", "-n", "400", *PATIENT,
                      CONF / "invite.gen"), 400)
    assert r["sent_by"] == {"INVITE": 400, "ACK": 400, "BYE": 400}
    assert r["received_by"] == {"180": 400, "200": 800}
    assert r["latency_us"]["final"]["count"] == 800
    told = end(other)
    assert told["INVITE"] == told["ACK"] == told["BYE"] == 400 and told["answers"] == 1200
    assert "malformed" not in told and "refused" not in told


@pytest.mark.parametrize("name", sorted(p.stem for p in CONF.glob("*.gen")))
def test_every_sample(nets, name):
    more = ["--reflect-status", "180"] if name == "cancel" else []
    more += ["--challenge", "SHA-512-256"] if name == "register-auth" else []
    r = good(nets.gen("--address", ONE, "--reflect-address", TWO, "-r", "300", "-n", "150", *more, *PATIENT, CONF / f"{name}.gen"),
             150)
    assert r["reflected"]["requests"] + r["reflected"]["malformed"] == r["sent"]


@pytest.mark.parametrize("algorithm", ["MD5", "SHA-256", "SHA-512-256"])
def test_digests(nets, algorithm):
    both = ("--address", ONE, "--reflect-address", TWO, "-r", "300", "-n", "30", *PATIENT, "--challenge", algorithm)
    r = good(nets.gen(*both, CONF / "register-auth.gen"), 30)
    assert r["received_by"] == {"200": 30, "401": 30}
    # The caller's password only: the reflector keeps its own.
    scenario = nets.dir / "wrong.gen"
    scenario.write_text((CONF / "register-auth.gen").read_text().replace('"secret"', '"wrong"'))
    status, r, _ = nets.gen(*both, scenario)
    assert status == 1 and r["failed_status"] == {"403": 30}


def test_nobody_is_there(nets):
    scenario = nets.dir / "short.gen"
    scenario.write_text((CONF / "options.gen").read_text().replace("within 4s", "within 700ms"))
    status, r, _ = nets.gen("--address", ONE, "--target", TWO, "-r", "100", "-n", "20", *PATIENT, scenario)
    assert status == 1
    assert r["failed"] == r["lost"] == r["failed_by"]["timeout"] == 20
    assert r["retransmissions"] == 20  # after 500 ms
    assert r["received"] == 0 and not r["generator_limit"]
    status, r, _ = nets.gen("--address", ONE, "--target", TWO, "-r", "100", "-n", "20", "--no-retransmit", *PATIENT, scenario)
    assert status == 1 and r["lost"] == 20 and r["retransmissions"] == 0


@pytest.mark.alone
def test_a_rate_is_kept(nets):
    for more in ([], ["--poisson", "--seed", "3"]):
        r = good(nets.gen("--address", ONE, "--reflect-address", TWO, "-r", "1000", "-n", "2000", *more, *PATIENT,
                          CONF / "options.gen"), 2000)
        assert 1.8 < r["sending_s"] < 2.4, r["sending_s"]


@pytest.mark.alone
def test_what_was_too_much_is_said(nets):
    """More than any machine makes with one thread: the slots are missed, and the run ends in its time."""
    begun = time.monotonic()
    status, r, _ = nets.gen("--address", ONE, "--reflect-address", TWO, "-r", "50M", "-s", "1", "--no-retransmit", "--drain", "1s",
                            CONF / "options.gen")
    assert status == 1 and r["generator_limit"] and "late" in r["limit_reason"]
    assert r["slots"] == 50_000_000 == r["attempts"] + r["skipped"] and r["missed"] > r["slots"] * 0.5
    assert time.monotonic() - begun < 20


def test_a_signal_ends_it_in_order(nets):
    p = nets.popen(0, GEN, "--json", "--address", ONE, "--reflect-address", TWO, "-r", "200", "-s", "600", CONF / "invite.gen",
                   "--set", "hold=300s")
    time.sleep(1.5)
    p.send_signal(signal.SIGINT)
    begun = time.monotonic()
    out, err = p.communicate(timeout=15)
    r = json.loads(out)
    assert p.returncode == 1 and r["interrupted"] and not r["good"], err
    assert r["attempts"] > 0 and r["failed_by"]["unfinished"] == r["failed"] == r["attempts"]
    assert time.monotonic() - begun < 5


def test_a_reflector_is_good(nets):
    """Its JSON says what its exit status says."""
    p = nets.popen(0, GEN, "--reflect", "--json", "--address", ONE, "--seconds", "0.2")
    out, err = p.communicate(timeout=20)
    assert p.returncode == 0 and json.loads(out)["good"], err


def test_points_that_cannot_be_written(nets):
    """Said before the run, not behind it."""
    begun = time.monotonic()
    status, r, err = nets.gen("--address", ONE, "--reflect-address", TWO, "-r", "10", "-s", "30", "--histogram", nets.dir / "no/points",
                              CONF / "options.gen")
    assert status == 1 and r is None and "no/points: No such file" in err
    assert time.monotonic() - begun < 10


def test_latency_points(nets):
    points = nets.dir / "points"
    good(nets.gen("--address", ONE, "--reflect-address", TWO, "-r", "500", "-n", "100", "--histogram", points, *PATIENT,
                  CONF / "options.gen"), 100)
    head, *lines = points.read_text().splitlines()
    assert head.startswith("#")
    rows = [tuple(map(float, line.split())) for line in lines]
    assert rows == sorted(rows) and rows[-1][1] == 1 and sum(row[2] for row in rows) == 100


def test_a_refused_message_is_neither_sent_nor_lost(nets):
    run("ip", "-n", nets.pair[0], "route", "add", "unreachable", "198.51.100.0/24")
    begun = time.monotonic()
    status, r, _ = nets.gen("--address", ONE, "--target", "198.51.100.7", "-r", "100", "-n", "20", *PATIENT, CONF / "invite.gen")
    assert status == 1 and r["generator_limit"]
    assert r["failed_by"]["send"] == r["failed"] == r["tx_refused"] == 20
    assert r["sent"] == r["sent_by"].get("INVITE", 0) == r["lost"] == r["expected"] == 0
    assert r["limit_reason"] == "its device or socket did not take all messages: No route to host"
    # Nobody waits 32 s for answers to what never went.
    assert time.monotonic() - begun < 10


def test_a_socket_tells_its_losses_without_another_packet(nets):
    """The reflector is stopped while its socket overflows, and nothing comes after that."""
    other = nets.reflector("--address", TWO)
    pid = int(run("ip", "netns", "pids", nets.pair[0]).stdout.split()[0])
    os.kill(pid, signal.SIGSTOP)
    with inside(nets.pair[0]):
        flood = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    with flood:
        for _ in range(9000):
            flood.sendto(b"x" * 1200, (TWO, 5060))
    os.kill(pid, signal.SIGCONT)
    time.sleep(0.5)
    other.send_signal(signal.SIGINT)
    out, err = other.communicate(timeout=20)
    assert other.returncode == 1, out + err
    lost = int(re.search(r"^  lost here +(\d+)", out, re.M).group(1))
    taken = int(re.search(r"^  malformed +(\d+)", out, re.M).group(1))
    assert lost > 0 and lost + taken == 9000, out
    assert "THE REFLECTOR WAS THE LIMIT: its device or socket lost messages that came" in out


def test_a_cpu_of_its_own(nets):
    last = max(os.sched_getaffinity(0))
    other = nets.reflector("--address", TWO, "--cpu", last)
    pid = run("ip", "netns", "pids", nets.pair[0]).stdout.split()[0]
    assert os.sched_getaffinity(int(pid)) == {last}
    end(other)
    status, out, err = gen("--reflect", "--address", "127.0.0.1", "--port", "45061", "--cpu", "1023")
    assert status == 1 and "--cpu 1023: this process may not run there" in err


# ---- devices ----

@pytest.mark.parametrize("driver", ["af_packet", "af_xdp"])
def test_devices_with_arp(nets, driver):
    other = nets.reflector("--device", f"net_{driver}0,iface=wire", "--address", "10.99.0.2/24", "--idle", "sleep", side=1)
    r = good(nets.gen("--device", f"net_{driver}0,iface=wire", "--address", "10.99.0.1/24", "--target", "10.99.0.2", "--idle", "sleep",
                      "-r", "300", "-n", "150", *PATIENT, CONF / "invite.gen"), 150)
    assert r["received_by"] == {"180": 150, "200": 300}
    told = end(other)
    assert told["INVITE"] == told["BYE"] == 150


def tap(nets, *args):
    """A caller on a tap whose kernel's end goes to the other namespace, as a cable does; a reflector is there."""
    p = nets.popen(0, GEN, "--json", "--device", "net_tap0,iface=gentap", "--address", "10.99.0.1/24", "--target", "10.99.0.2", "--idle",
                   "sleep", *args, *PATIENT)
    deadline = time.monotonic() + 10
    while True:  # until its port is up and takes all multicast, DPDK still asks for it by its name
        shown = run("ip", "-n", nets.pair[0], "-j", "link", "show", "gentap", check=False)
        if shown.returncode == 0 and {"UP", "ALLMULTI"} <= set(json.loads(shown.stdout)[0]["flags"]):
            break
        assert p.poll() is None and time.monotonic() < deadline, p.communicate()
        time.sleep(0.05)
    run("ip", "-n", nets.pair[0], "link", "set", "gentap", "netns", nets.pair[1])
    run("ip", "-n", nets.pair[1], "addr", "add", "10.99.0.2/24", "dev", "gentap")
    run("ip", "-n", nets.pair[1], "link", "set", "gentap", "up")
    nets.reflector("--address", "10.99.0.2", side=1)
    return p


def test_a_tap(nets):
    p = tap(nets, "-r", "100", "-n", "100", CONF / "invite.gen")
    out, err = p.communicate(timeout=60)
    good((p.returncode, json.loads(out) if out else None, err), 100)


def test_frames_that_are_no_messages(nets):
    """Fragments are not put together, and said to be a limit; other ports' and broken frames are counted."""
    p = tap(nets, "-r", "100", "-n", "300", CONF / "options.gen")
    with inside(nets.pair[1]):
        odd = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    with odd:
        deadline = time.monotonic() + 20
        while p.poll() is None and time.monotonic() < deadline:
            try:
                odd.sendto(b"y" * 4000, ("10.99.0.1", 5070))
                odd.sendto(b"z" * 100, ("10.99.0.1", 9))
            except OSError:
                break  # it has ended just now, and the cable with it
            time.sleep(0.1)
    out, err = p.communicate(timeout=60)
    r = json.loads(out)
    assert r["ok"] == 300, err
    assert r["rx_fragments"] >= 3 and r["rx_other"] >= 1 and r["rx_bad"] == 0, {k: v for k, v in r.items() if k.startswith("rx_")}
    assert r["generator_limit"] and "fragments" in r["limit_reason"] and p.returncode == 1


def test_a_device_against_the_kernel(nets):
    """Checksums, ARP and ports as Linux wants them: sockets on the other end of the cable."""
    run("ip", "-n", nets.pair[1], "addr", "add", "10.99.0.2/24", "dev", "wire")
    run("ip", "-n", nets.pair[1], "addr", "add", "fd99::2/64", "dev", "wire", "nodad")
    for me, there, target in (("10.99.0.1/24", "10.99.0.2", "10.99.0.2"), ("fd99::1/64", "fd99::2", "[fd99::2]")):
        other = nets.reflector("--address", there, side=1)
        good(nets.gen("--device", "net_af_packet0,iface=wire", "--address", me, "--target", target, "--port", "6000-6003", "--idle",
                      "sleep", "-r", "300", "-n", "150", *PATIENT, CONF / "invite.gen"), 150)
        assert end(other)["ACK"] == 150


def test_memif(nets):
    spec = f"net_memif0,socket={nets.dir}/memif.sock,socket-abstract=no,role="
    macs = ("02:00:00:00:00:01", "02:00:00:00:00:02")
    other = nets.reflector("--device", spec + "server", "--address", "10.99.0.2", "--mac", macs[1], "--peer-mac", macs[0],
                           "--idle", "sleep")
    good(nets.gen("--device", spec + "client", "--address", "10.99.0.1", "--mac", macs[0], "--peer-mac", macs[1], "--target",
                  "10.99.0.2", "--idle", "sleep", "-r", "300", "-n", "150", *PATIENT, CONF / "invite.gen"), 150)
    assert end(other)["answers"] == 450


RING = ("--device", "net_ring0", "--reflect-device", "net_ring0", "--address", "10.0.0.1", "--reflect-address", "10.0.0.2")


@pytest.mark.parametrize("rate", ["2000", "max"])
def test_a_wire_of_its_own(nets, rate):
    r = good(nets.gen(*RING, "-r", rate, "-n", "2000", *PATIENT, CONF / "mix.gen"), 2000)
    assert r["reflected"]["requests"] == r["sent"] and r["reflected"]["responses"] == r["received"]


# ---- other systems ----

def test_sipp_answers(nets):
    sipp = nets.popen(0, "sipp", "-sn", "uas", "-i", TWO, "-p", "5060", "-nostdin", "-m", "100", "-timeout", "60s",
                      stdout=subprocess.DEVNULL)
    listens(sipp, 5060)
    r = good(nets.gen("--address", ONE, "--target", TWO, "-r", "50", "-n", "100", "--set", "hold=50ms", *PATIENT, CONF / "invite.gen"), 100)
    assert r["sent_by"]["ACK"] == r["sent_by"]["BYE"] == 100
    assert sipp.wait(60) == 0


def test_sipp_calls(nets):
    other = nets.reflector("--address", TWO)
    sipp = nets.popen(0, "sipp", "-sn", "uac", "-i", ONE, "-p", "5070", "-nostdin", "-m", "100", "-r", "50", "-d", "20", "-timeout", "60s",
                      TWO, stdout=subprocess.DEVNULL)
    assert sipp.wait(60) == 0, sipp.stderr.read()
    told = end(other)
    assert told["INVITE"] == told["BYE"] == 100 and told["ACK"] >= 100


def test_through_siplane(labs):
    """Record-Route, routes and the proxy's Vias: ACK and BYE go the dialog's way, responses come back."""
    lab = labs.make()
    backends = []
    for n in (1, 2):
        p = lab.popen(f"b{n}", GEN, "--reflect", "--address", CORE4.format(10 + n), stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                      text=True)
        assert p.stdout.readline().startswith("reflecting")
        backends.append(p)
    p = lab.popen("caller", GEN, "--json", "--target", EDGE4.format(1), "-r", "100", "-n", "200", *PATIENT, CONF / "invite.gen",
                  stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    out, err = p.communicate(timeout=90)
    r = good((p.returncode, json.loads(out) if out else None, err), 200)
    assert r["sent_by"] == {"INVITE": 200, "ACK": 200, "BYE": 200}
    told = [end(b) for b in backends]
    for method in ("INVITE", "ACK", "BYE"):
        assert sum(t.get(method, 0) for t in told) == 200
    assert all(t["INVITE"] > 0 for t in told)
    stats = lab.settle()
    assert stats["forwarded"] == 600 + 600


def test_one_process_on_both_sides_of_siplane(nets):
    """Two memifs to two ports of siplane: the caller on one, the reflector on the other, ARP by both kernels."""
    memif = f"socket={nets.dir}/memif.sock,socket-abstract=no"
    (nets.dir / "list").write_text("1 sip:10.20.0.11:5060\n")
    ports = "".join(f'port "{name}" {{ device = "net_memif{i},role=server,id={i},{memif}"; address = {address}; }}\n'
                    f"listen = udp:{name}:5060\n" for i, (name, address) in enumerate((("edge", "10.10.0.1/24"), ("core", "10.20.0.1/24"))))
    (nets.dir / "siplane.cfg").write_text(
        f'cores {{ idle = sleep; }}\nsecret_file = "{nets.dir}/secret"\n{ports}{MODULES}'
        f'modparam("dispatcher", "list_file", "{nets.dir}/list")\n{DISPATCH}')
    with open(nets.dir / "siplane.log", "w+") as log:
        siplane = nets.popen(0, SIPLANE, "-f", nets.dir / "siplane.cfg", stdout=log, stderr=log)
        deadline = time.monotonic() + 20
        while "\nready" not in (nets.dir / "siplane.log").read_text():
            assert siplane.poll() is None and time.monotonic() < deadline, (nets.dir / "siplane.log").read_text()
            time.sleep(0.05)
    sides = ("--device", f"net_memif0,role=client,id=0,{memif}", "--address", "10.10.0.2/24", "--target", "10.10.0.1",
             "--reflect-device", f"net_memif1,role=client,id=1,{memif}", "--reflect-address", "10.20.0.11/24", "--idle", "sleep", "--settle", "3s")
    r = good(nets.gen(*sides, "-r", "200", "-n", "200", *PATIENT, CONF / "invite.gen", side=1), 200)
    assert r["reflected"]["requests_by"] == {"INVITE": 200, "ACK": 200, "BYE": 200} and r["reflected"]["responses"] == 600
    assert r["received_by"] == {"180": 200, "200": 400}
    siplane.send_signal(signal.SIGTERM)
    assert siplane.wait(10) == 0


# ---- the command line ----

def gen(*args):
    r = subprocess.run([GEN, *map(str, args)], capture_output=True, text=True, timeout=60, stdin=subprocess.DEVNULL)
    return r.returncode, r.stdout, r.stderr


@pytest.mark.parametrize("args, says", [
    ((), "a scenario file is expected"),
    (("--bogus",), "--bogus"),
    (("-r", "x", "a.gen"), "--rate 'x': attempts a second"),
    (("-r", "0", "a.gen"), "--rate '0'"),
    (("-n", "1.5", "a.gen"), "--attempts '1.5': a whole number"),
    (("-s", "-1", "a.gen"), "--seconds '-1'"),
    (("--calls", "100M", "a.gen"), "--calls '100M'"),
    (("--port", "70000", "a.gen"), "--port '70000'"),
    (("--port", "20-10", "a.gen"), "--port '20-10'"),
    (("--set", "x", "a.gen"), "--set 'x': NAME=VALUE"),
    (("--idle", "maybe", "a.gen"), "--idle 'maybe': poll or sleep"),
    (("--reflect", "a.gen"), "--reflect takes no scenario"),
    (("a.gen", "b.gen"), "one scenario file"),
    (("--device", "net_ring0", "--reflect-address", "10.0.0.1", "a.gen"), "both or none"),
    ((CONF / "options.gen",), "--target is needed"),
    (("--target", "example.com", CONF / "options.gen"), "--target example.com: ADDRESS[:PORT] is expected, not a name"),
    (("--reflect",), "--address is needed"),
    (("--target", "127.0.0.1:99999", "a.gen"), "--target 127.0.0.1:99999: ADDRESS[:PORT] is expected"),
    (("--target", "127.0.0.1", "--address", "300.1.1.1", "a.gen"), "'300.1.1.1' is no address"),
    (("--udp", "--device", "net_ring0", "--address", "10.0.0.1", "--target", "10.0.0.2", "a.gen"), "one or the other"),
    (("--device", "net_ring0", "--target", "10.0.0.2", "a.gen"), "--address is needed with a device"),
    (("--reflect", "--address", "127.0.0.1", "--rate", "5"), "--rate, --attempts and --histogram are a run's"),
])
def test_wrong_usage(args, says):
    status, out, err = gen(*args)
    assert status == 2 and out == "" and says in err and "Try 'siplane-gen --help'" in err, err


@pytest.mark.parametrize("args, says", [
    (("--target", "127.0.0.1", "/nowhere/x.gen"), "/nowhere/x.gen: No such file"),
    (("--target", "127.0.0.1", "--set", "x=1", CONF / "options.gen"), "the scenario has no 'set x"),
    (("--target", "127.0.0.1", "--address", "192.0.2.77", CONF / "options.gen"), "udp 192.0.2.77:5070: Cannot assign"),
    (("--target", "127.0.0.1", "--address", "::1", CONF / "options.gen"), "not of one family"),
    (("--target", "10.0.0.1", "--device", "net_bogus0", "--address", "10.0.0.2", CONF / "options.gen"), "net_bogus0"),
])
def test_refused(args, says):
    status, out, err = gen(*args)
    assert status == 1 and out == "" and says in err, (status, err)


def test_help_and_reference():
    status, out, _ = gen("--help")
    assert status == 0 and "--reflect-device" in out and "Exit status" in out
    status, out, _ = gen("--version")
    assert status == 0 and out.startswith("siplane-gen ")
    status, out, _ = gen("--reference")
    assert status == 0 and "{call_id}" in out


def members(value, skip=()):
    """Names of an object's members and of all objects in it; those of `skip` are data."""
    found = set()
    for name, inner in value.items() if isinstance(value, dict) else ():
        found.add(name)
        if name == "messages":
            found |= set().union(*(members(m, skip) for m in inner.values()))
        elif name not in skip:
            found |= members(inner, skip)
    for inner in value if isinstance(value, list) else ():
        found |= members(inner, skip)
    return found


def test_the_manual_knows_every_key():
    """And the JSON has all that the manual names."""
    manual = (ROOT / "docs/man/siplane-gen.1.scd").read_text().split("# JSON\n")[1].split("\n# ")[0]
    of_run, of_search = (set(re.findall(r"\*([a-z0-9_]+)\*", part)) for part in manual.split("A search's object:"))
    side = ("--address", "127.0.0.1", "--reflect-address", "127.0.0.1", "--reflect-port", "45060", "--port", "45070", "--json")
    _, out, err = gen(*side, "-n", "5", "-r", "100", CONF / "options.gen")
    assert out, err
    assert members(json.loads(out), ("failed_by", "failed_status", "sent_by", "received_by", "requests_by")) == of_run
    found = set()
    for search in (("ndr", "--trial", "100ms", "--final", "100ms"), ("rr", "-n", "10", "--repeats", "1", "--reregister", "--wait", "0")):
        _, out, err = gen("search", *search, *side, "--max", "100", "--start", "100", "--pause", "0", "--quiet", "--late", "5s",
                          CONF / "register.gen")
        assert out, err
        found |= members(json.loads(out))
    assert found == of_search - {"file"}  # of --baseline-from


def test_a_scenario_error_says_where(tmp_path):
    scenario = tmp_path / "bad.gen"
    scenario.write_text("message m {\n\tOPTIONS sip:{usr} SIP/2.0\n}\ncall c {\n\tsend m;\n}\n")
    status, _, err = gen("--target", "127.0.0.1", scenario)
    assert status == 1 and f"{scenario}:2:14: error: 'usr' is no field" in err, err
    assert err.endswith("\n    2 | OPTIONS sip:{usr} SIP/2.0\n      |             ^\n"), err


@pytest.mark.parametrize("options, line, says", [
    ((), 'set auth_user = "a{usr}";', ":3:19: error: 'usr' is no field"),
    ((), 'set auth_user = a; set auth_password = "b{";', ":3:42: error: '{' begins"),
    (("--set", "auth_user=x{usr}"), 'set auth_user = "a";', "--set auth_user 'x{usr}': 'usr' is no field"),
    (("--password", "x{"), 'set auth_user = "a";', "--password 'x{': '{' begins")])
def test_credentials_that_are_wrong_say_where(tmp_path, options, line, says):
    scenario = tmp_path / "bad.gen"
    password = "" if "auth_password" in line else 'set auth_password = "b";'
    scenario.write_text(f"# a comment\n\n{line}\n{password}\n"
                        "message m {\n\tOPTIONS sip:a SIP/2.0\n\tVia: SIP/2.0/UDP a;branch={branch}\n\t{authorization}\n}\n"
                        "call c {\n\tsend m;\n}\n")
    status, _, err = gen("--target", "127.0.0.1", *options, scenario)
    assert status == 1 and says in err and ("--" in says or f"{scenario}{says}" in err), err


def test_an_answer_that_could_not_be_known_is_not_expected(tmp_path):
    scenario = tmp_path / "bad.gen"
    message = "message m {\n\tOPTIONS sip:a SIP/2.0\n\tVia: SIP/2.0/UDP {local_ip};branch=z9hG4bK1\n}\n"
    scenario.write_text(message + "call c {\n\tsend m;\n\texpect 200;\n}\n")
    status, _, err = gen("--target", "127.0.0.1", "-n", "1", "--drain", "0", scenario)
    assert status == 1 and f"{scenario}:2:2: error: call 'c' expects an answer to message 'm', which has no {{branch}}" in err, err
    scenario.write_text(message + "call c {\n\tsend m;\n}\n")
    status, _, err = gen("--target", "127.0.0.1", "-n", "1", "--drain", "0", scenario)
    assert "branch" not in err, err


def test_output_that_cannot_be_written():
    with open("/dev/full", "w") as full:
        r = subprocess.run([GEN, "--address", "127.0.0.1", "--reflect-address", "127.0.0.1", "--reflect-port", "45060", "--port", "45070",
                            "-n", "5", "-r", "100", CONF / "options.gen"], stdout=full, stderr=subprocess.PIPE, text=True, timeout=60)
    assert r.returncode == 1 and "could not be written" in r.stderr
