# SPDX-License-Identifier: BSD-3-Clause
"""siplane-gen search over kernel sockets: against its own reflector, and against a system that refuses above a rate.

No figure of this machine is judged: where a rate must come out, the system under test makes it.
"""
import itertools
import json
import os
import pathlib
import re
import select
import signal
import socket
import subprocess
import threading
import time

import pytest

from lab.lab import Lab, inside, run

ROOT = pathlib.Path(__file__).resolve().parents[2]
GEN = pathlib.Path(os.environ.get("SIPLANE_GEN", ROOT / "build/app/siplane-gen/siplane-gen"))
CONF = ROOT / "conf/gen"
ME, SYSTEM, BACKEND = "192.0.2.1", "192.0.2.2", "192.0.2.3"
# A busy machine runs us late; here that is not what is tested.
PATIENT = ("--late", "5s", "--pause", "50ms")
numbers = itertools.count()


class Loop:
    """A namespace with addresses on its loopback interface."""

    def __init__(self):
        self.name = f"sg{os.getpid()}-{next(numbers)}"
        self.processes = []
        run("ip", "netns", "add", self.name)
        run("ip", "-n", self.name, "link", "set", "lo", "up")
        for address in (ME, SYSTEM, BACKEND):
            run("ip", "-n", self.name, "addr", "add", address, "dev", "lo")

    def popen(self, *args, **kw):
        p = subprocess.Popen(["ip", "netns", "exec", self.name, *map(str, args)], stdin=subprocess.DEVNULL,
                             stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, **kw)
        self.processes.append(p)
        return p

    def gen(self, *args, timeout=120):
        """Runs siplane-gen: (status, out, err)."""
        p = self.popen(GEN, *args)
        try:
            out, err = p.communicate(timeout=timeout)
        finally:
            p.kill()
        return p.returncode, out, err

    def reflector(self, *args):
        p = self.popen(GEN, "--reflect", "--address", BACKEND, *args)
        line = p.stdout.readline()
        assert line.startswith("reflecting on"), line + p.stderr.read()
        return p

    def close(self):
        for p in self.processes:
            if p.poll() is None:
                p.terminate()
        for p in self.processes:
            try:
                p.communicate(timeout=5)
            except subprocess.TimeoutExpired:
                p.kill()
                p.communicate()
        run("ip", "netns", "del", self.name, check=False)


@pytest.fixture
def loop():
    made = Loop()
    yield made
    made.close()


class Bucket(threading.Thread):
    """A system that answers 200 to so many requests a second, and 503 to the rest."""

    def __init__(self, loop, rate, depth):
        super().__init__(daemon=True)
        self.rate, self.depth, self.users, self.running = rate, depth, [], True
        with inside(loop.name):
            self.sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1 << 22)
        self.sock.bind((SYSTEM, 5060))
        self.start()

    def run(self):
        tokens, last = self.depth, time.monotonic()
        while self.running:
            if not select.select([self.sock], [], [], 0.1)[0]:
                continue
            data, peer = self.sock.recvfrom(65536)
            now = time.monotonic()
            tokens, last = min(self.depth, tokens + (now - last) * self.rate), now
            status = b"200 OK" if tokens >= 1 else b"503 Busy"
            tokens -= tokens >= 1
            self.users.append(re.search(rb"^To:.*?sip:u?(\w+)@", data, re.M))
            kept = [line for line in data.split(b"\r\n\r\n")[0].split(b"\r\n")
                    if re.match(rb"(?i)(via|from|to|call-id|cseq):", line)]
            self.sock.sendto(b"SIP/2.0 " + status + b"\r\n" + b"\r\n".join(kept) + b"\r\nContent-Length: 0\r\n\r\n", peer)

    def stop(self):
        self.running = False
        self.join()
        self.sock.close()


@pytest.fixture
def bucket(loop):
    # Deep enough for what a busy machine delays and delivers at once.
    made = Bucket(loop, 400, 150)
    yield made
    made.stop()


def report(out):
    return json.loads(out)


def test_ser_finds_what_the_system_allows(loop, bucket):
    status, out, err = loop.gen("search", "ser", "--address", ME, "--target", SYSTEM, "--start", 350, "-n", 800, "--repeats", 1,
                                "--json", *PATIENT, CONF / "options.gen")
    result = report(out)["result"]
    assert status == 0, out + err
    # 800 at R last 800 / R seconds, in which 400 a second and the bucket's 150 are answered.
    assert 330 <= result["rate"] <= 800 / 650 * 400 + 10, err
    assert result["not_passed"] > 400
    assert "answered 503" in err
    assert all(t["ended_early"] == (t["outcome"] == "failed") for t in result["trials"] if t["failures"] > 100), err


def test_ndr_and_pdr_find_what_the_system_allows(loop, bucket):
    common = ("search", "ndr", "--address", ME, "--target", SYSTEM, "--start", 350, "--max", 3000, "--resolution", 5, "--trial", "1s",
              "--final", "2s", "--json", *PATIENT, CONF / "options.gen")
    status, out, err = loop.gen(*common)
    result = report(out)["result"]
    assert status == 0, out + err
    assert 380 <= result["rate"] <= 400 + 150 / 2 + 10, err
    assert result["at_rate"]["full_length"] and result["at_rate"]["seconds"] > 1.9
    status, out, err = loop.gen(*common, "--loss", 20)
    assert status == 0, out + err
    assert report(out)["result"]["rate"] > result["rate"]


class Relay(threading.Thread):
    """Carries everything between the caller and whoever is at BACKEND, but for what `loses` says."""

    def __init__(self, loop, loses, backend=(BACKEND, 5060)):
        super().__init__(daemon=True)
        self.loses, self.backend, self.running, self.caller = loses, backend, True, None
        with inside(loop.name):
            self.front, self.back = (socket.socket(socket.AF_INET, socket.SOCK_DGRAM) for _ in range(2))
        for sock, port in ((self.front, 5060), (self.back, 5080)):
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1 << 22)
            sock.bind((SYSTEM, port))
        self.start()

    def run(self):
        while self.running:
            for sock in select.select([self.front, self.back], [], [], 0.1)[0]:
                data, peer = sock.recvfrom(65536)
                if sock is self.front:
                    self.caller = peer
                if self.loses(data):
                    continue
                if sock is self.front:
                    self.back.sendto(data, self.backend)
                else:
                    self.front.sendto(data, self.caller)

    def stop(self):
        self.running = False
        self.join()
        self.front.close()
        self.back.close()


def bursting(begins, rate):
    """True for the messages that begin so where they come faster than `rate` a second, once 40 have come."""
    tokens, last = 40, time.monotonic()

    def loses(data):
        nonlocal tokens, last
        if not data.startswith(begins):
            return False
        now = time.monotonic()
        tokens, last = min(40, tokens + (now - last) * rate), now
        lost = tokens < 1
        tokens -= not lost
        return lost
    return loses


@pytest.mark.parametrize("begins, both", [(b"SIP/2.0 180", False), (b"ACK ", True)])
def test_ndr_sees_what_no_step_misses(loop, begins, both):
    """Every call goes well, at any rate; above 100 a second a 180, or an ACK, gets lost."""
    if not both:
        loop.reflector()
    relay = Relay(loop, bursting(begins, 100))
    try:
        status, out, err = loop.gen("search", "ndr", "--address", ME, "--target", SYSTEM, *(["--reflect-address", BACKEND] if both else []),
                                    "--start", 60, "--max", 400, "--resolution", 20, "--trial", "1s", "--final", "2s", "--json", *PATIENT,
                                    CONF / "invite.gen")
    finally:
        relay.stop()
    result = report(out)["result"]
    assert status == 0, out + err
    assert 60 <= result["rate"] <= 130 and result["not_passed"] <= 160, err
    lost = "answers_missing" if not both else "acks_lost"
    assert any(t[lost] > 0 for t in result["trials"]) and f"{'ACKs' if both else 'provisional answers'} lost" in err
    assert report(out)["setup"]["sees_provisional_loss"] and report(out)["setup"]["sees_ack_loss"] == both


def test_a_verdict_that_is_certain_ends_the_trial(loop):
    """Nobody answers, and the scenario gives each call 32 s; an NDR gives it two."""
    begun = time.monotonic()
    status, out, err = loop.gen("search", "ndr", "--address", ME, "--target", SYSTEM, "--start", 200, "--min", 100, "--trial", "30s",
                                "--json", *PATIENT, CONF / "invite.gen")
    assert status == 1 and report(out)["result"]["end"] == "none", out + err
    trials = report(out)["result"]["trials"]
    assert len(trials) == 2 and all(t["ended_early"] and t["seconds"] < 5 for t in trials), trials
    assert report(out)["setup"]["establishment_threshold_time"] == 2
    assert time.monotonic() - begun < 15


def test_a_ceiling_is_no_answer(loop):
    loop.reflector()
    status, out, err = loop.gen("search", "ndr", "--address", ME, "--target", BACKEND, "--start", 50, "--max", 100, "--trial", "500ms",
                                "--final", "1s", *PATIENT, CONF / "invite.gen")
    assert status == 1, out + err
    assert "at least 100 attempts/s" in out and "--max allows no more" in out
    assert "lasted 1.0 s, which is less than 60 s" in out


def test_nobody_answers(loop):
    scenario = CONF / "options.gen"
    status, out, err = loop.gen("search", "ser", "--address", ME, "--target", SYSTEM, "--start", 1, "-n", 2, "--json",
                                *PATIENT, scenario)
    assert status == 1, out + err
    assert report(out)["result"]["end"] == "none" and report(out)["result"]["rate"] is None


def test_the_generator_is_told_from_the_system(loop):
    """Every slot is late by more than a nanosecond: nothing is said of the system."""
    loop.reflector()
    status, out, err = loop.gen("search", "ser", "--address", ME, "--target", BACKEND, "--start", 50, "-n", 20, "--late", "1ns", "--pause", 0,
                                "--trials", 5, "--json", CONF / "options.gen")
    assert status == 1, out + err
    result = report(out)["result"]
    assert result["rate"] is None
    assert {t["outcome"] for t in result["trials"]} == {"limited"}
    assert "the generator was the limit" in err


def test_baseline(loop, bucket):
    common = ("search", "ser", "--address", ME, "--target", SYSTEM, "--start", 400, "-n", 600, "--repeats", 1, "--max", 800, "--json",
              *PATIENT, CONF / "options.gen")
    status, out, err = loop.gen(*common, "--baseline")
    both = report(out)
    assert status == 0, out + err
    # The reflector has no bucket.
    assert both["baseline"]["end"] == "ceiling" and both["baseline"]["rate"] == 800
    assert both["result"]["rate"] < 800
    assert "baseline of the testbed" in err


def test_registrations_have_addresses_of_their_own(loop, bucket, tmp_path):
    bucket.rate = 1e9
    status, out, err = loop.gen("search", "rr", "--address", ME, "--target", SYSTEM, "--start", 100, "-n", 40, "--repeats", 1, "--max", 110,
                                "--json", *PATIENT, "--trials", 4, CONF / "register.gen")
    assert report(out)["result"]["unit"] == "rps", err
    assert status == 1 and report(out)["result"]["end"] == "ceiling", err
    users = [m.group(1) for m in bucket.users if m]
    assert len(users) == report(out)["result"]["attempts"] == len(set(users))


def test_sigint_ends_a_search_with_its_report(loop):
    loop.reflector()
    p = loop.popen(GEN, "search", "ser", "--address", ME, "--target", BACKEND, "--start", 100, "-n", 50, "--json", *PATIENT,
                   CONF / "options.gen")
    seen = ""
    while "passed" not in seen:
        line = p.stderr.readline()
        assert line, seen
        seen += line
    p.send_signal(signal.SIGINT)
    out, _ = p.communicate(timeout=20)
    assert p.returncode == 1
    assert report(out)["result"]["end"] == "stopped" and report(out)["result"]["rate"] >= 100


def test_sigterm_ends_a_search_with_its_report_though_it_comes_twice(loop):
    """timeout(1) sends it to the process and to the process group; open calls hold the end up for half a second."""
    loop.reflector()
    p = loop.popen(GEN, "search", "ser", "--address", ME, "--target", BACKEND, "--start", 100, "-n", 5000, "--json", "--set", "hold=9s",
                   *PATIENT, CONF / "invite.gen")
    while "trial" not in p.stderr.readline():
        assert p.poll() is None
    time.sleep(0.5)
    for _ in range(2):
        p.send_signal(signal.SIGTERM)
        time.sleep(0.05)
    out, _ = p.communicate(timeout=20)
    assert p.returncode == 1 and report(out)["result"]["end"] == "stopped"


def test_wrong_usage(loop):
    for args in (["search"], ["search", "xyz"], ["search", "ser"], ["search", "ser", "--loss", "x", "a.gen"]):
        status, out, err = loop.gen(*args)
        assert status == 2 and not out and "Try 'siplane-gen" in err, args


def test_every_option_is_in_the_manual_and_completed():
    helps = "".join(subprocess.run([GEN, *args, "--help"], capture_output=True, text=True, check=True).stdout for args in ([], ["search"]))
    options = set(re.findall(r"(--[a-z][a-z0-9-]+)", helps))
    assert len(options) > 50
    page = (ROOT / "docs/man/siplane-gen.1.scd").read_text()
    completion = (ROOT / "docs/completion/siplane-gen").read_text()
    assert [o for o in sorted(options) if not re.search(rf"[* ]{o}\*", page)] == []
    assert [o for o in sorted(options) if not re.search(rf"{o}\b", completion)] == []
    # And nothing else is.
    assert sorted(set(re.findall(r"(--[a-z][a-z0-9-]+)", page + completion)) - options) == []


@pytest.mark.parametrize("scenario", ["tools/lab/sipp/uac.xml", "tests/e2e/sipp/message_caller.xml"])
def test_sipp_calls_the_reflector(loop, scenario, tmp_path):
    loop.reflector()
    p = loop.popen("sipp", "-sf", ROOT / scenario, f"{BACKEND}:5060", "-i", ME, "-mi", ME, "-p", 5080, "-s", "alice", "-m", 50, "-r", 50,
                   "-timeout", "30s", "-timeout_error", "-nostdin", cwd=tmp_path)
    out, err = p.communicate(timeout=60)
    assert p.returncode == 0, out[-3000:] + err
