# SPDX-License-Identifier: BSD-3-Clause
"""
Calls with state beside registrations that come and expire, and whether all memory is back afterwards.

`--seconds 600` is the soak; a shorter one finds what leaks fast. The time is spent in three rounds, and after each everything is
to have ended. What is left over is no matter of degree: the case fails where a transaction or an expired contact stays, or a call or a
registration failed. The process may
touch a page for the first time in any round; what leaks makes it larger in each.
"""
import json
import pathlib
import re
import signal
import subprocess
import time

from lab.lab import CORE4, EDGE4, Lab, LabError, listens

from ..context import ROOT, Failed, Skipped

SUMMARY = "calls with transactions, and registrations that expire: whether all memory comes back (--seconds 600)"

DEVICE = "tap"
USERS = 1000  # who are called, and stay
CALLS_PER_SECOND, REGISTERS_PER_SECOND = 200, 300
CHURN_USERS, CHURN_EXPIRES_S = 20_000, 2  # who come and go
T1_MS = 100  # what is done with is gone after 64 times as long (timers D, H, J, L, M of RFC 3261 17)
SETTLE_S = 90  # for those timers, and until expired contacts have been met
ROUNDS = ("first round", "second round", "third round")
ROUND_MIN_S = 2
GROWTH_MAX_KB = 512  # from a round to the next, the smaller of both steps
LATE = "20s"  # a busy machine runs the generator late: no rate is judged here

CONFIG = """#!define SECRET "{dir}/secret"
include_file "{root}/conf/registrar.cfg"
modparam("registrar", "min_expires", 1)
modparam("tm", "retr_timer1", {t1})
modparam("tm", "absorb_timer", {absorb})
"""


def churn(directory):
    """The sample's REGISTERs for other users."""
    path = directory / "churn.gen"
    path.write_text((ROOT / "conf/gen/register.gen").read_text().replace("sip:u{user}@", "sip:churn{user}@"))
    return path


def rss_kb(pid):
    return int(re.search(r"^VmRSS:\s+(\d+)", pathlib.Path(f"/proc/{pid}/status").read_text(), re.M).group(1))


class Soak:
    def __init__(self, context, lab, gen):
        self.context, self.lab, self.gen = context, lab, gen

    def start(self, who, *args):
        return self.lab.popen(who, self.gen, "--json", *args, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)

    def transactions(self):
        return self.lab.transactions()["transactions"]

    def contacts(self):
        return self.lab.location()["contacts"]

    def finished(self, p, what):
        out, _ = p.communicate(timeout=60)
        self.lab.processes.remove(p)
        if not out:
            raise Failed(f"{what} left with {p.returncode}")
        return json.loads(out)

    def register(self):
        """The users who are called: where the reflector will be."""
        r = self.finished(self.start("b1", "--address", CORE4.format(11), "--port", 5060, "--target", CORE4.format(1), "--domain", EDGE4.format(1),
                                     "--users", USERS, "-r", 500, "-n", USERS, "--late", LATE, ROOT / "conf/gen/register.gen"), "registering")
        if r["ok"] != USERS:
            raise Failed(f"{r['ok']} of {USERS} users are registered: {r['failed_status']}")

    def load(self, seconds, name):
        """What became of the calls, and of the registrations."""
        reflector = self.start("b1", "--reflect", "--address", CORE4.format(11))
        listens(reflector, 5060)
        calls = self.start("caller", "--address", EDGE4.format(2), "--target", EDGE4.format(1), "--users", USERS, "-r", CALLS_PER_SECOND,
                           "-s", seconds, "--late", LATE, ROOT / "conf/gen/invite.gen")
        phones = self.start("b2", "--address", CORE4.format(12), "--target", CORE4.format(1), "--domain", EDGE4.format(1), "--users", CHURN_USERS,
                            "-r", REGISTERS_PER_SECOND, "-s", seconds, "--late", LATE, "--set", f"expires={CHURN_EXPIRES_S}", churn(self.lab.dir))
        begun = time.monotonic()
        while calls.poll() is None or phones.poll() is None:
            passed = time.monotonic() - begun
            if passed > seconds + 60:
                raise Failed("the load does not end")
            self.context.say(f"{name}, {passed:.0f} of {seconds:.0f} s, {self.transactions()} transactions, {self.contacts()} contacts")
            time.sleep(0.5)
        reflector.send_signal(signal.SIGINT)
        reflector.communicate(timeout=20)
        self.lab.processes.remove(reflector)
        return self.finished(calls, "calling"), self.finished(phones, "registering")

    def settled(self):
        """(transactions, contacts too many, resident KB) once nothing goes on, or after the longest timers."""
        end = time.monotonic() + SETTLE_S
        while True:
            left = self.transactions(), self.contacts() - USERS
            if left == (0, 0) or time.monotonic() > end:
                return *left, rss_kb(self.lab.siplane.pid)
            self.context.say(f"{left[0]} transactions and {left[1]} contacts to go")
            time.sleep(0.5)


def rounds(context, soak):
    """[(calls, registrations, (transactions, contacts, KB) left)]."""
    seconds = max(ROUND_MIN_S, context.seconds / len(ROUNDS))
    return [(*soak.load(seconds, name), soak.settled()) for name in ROUNDS]


def run(context):
    build = context.build("app/siplane/siplane", "app/siplane-gen/siplane-gen")
    try:
        with Lab(driver=DEVICE, backends=2, ipv6=False) as lab:
            config = lab.dir / "soak.cfg"
            config.write_text(CONFIG.format(dir=lab.dir, root=ROOT, t1=T1_MS, absorb=64 * T1_MS))
            lab.start_siplane(config, build / "app/siplane/siplane")
            soak = Soak(context, lab, build / "app/siplane-gen/siplane-gen")
            soak.register()
            done = rounds(context, soak)
            stats = lab.settle()
            if stats["in"] != stats["done"] + stats["dropped"] + stats["held"]:
                raise Failed(f"frames are missing: {stats}")
    except LabError as e:
        raise Skipped(str(e)) if "root" in str(e) else Failed(str(e)) from e
    for what, r in ((what, r) for calls, phones, _ in done for what, r in (("calls", calls), ("registrations", phones))):
        if r["failed"]:
            raise Failed(f"{r['failed']} of {r['attempts']} {what} failed: {r['failed_by']} {r['failed_status']}")
    note = (f"{sum(c['attempts'] for c, _, _ in done)} calls, {sum(r['attempts'] for _, r, _ in done)} registrations of {CHURN_EXPIRES_S} s, "
            f"in {len(ROUNDS)} rounds")
    size = [left[2] for _, _, left in done]
    growth = [after - before for before, after in zip(size, size[1:])]
    yield context.row("calls_failed", "calls", [c["failed"] for c, _, _ in done], DEVICE, note)
    yield context.row("registrations_failed", "registrations", [r["failed"] for _, r, _ in done], DEVICE, note)
    yield context.row("transactions_left", "transactions", [left[0] for _, _, left in done], DEVICE, note)
    yield context.row("contacts_left", "contacts", [left[1] for _, _, left in done], DEVICE, note)
    yield context.row("growth_kb", "KB", growth, DEVICE, "resident memory after a round, against after the one before; " + note)
    if any(left[0] or left[1] for _, _, left in done) or min(growth) > GROWTH_MAX_KB:
        raise Failed(f"memory is not back: {[left for _, _, left in done]}")
