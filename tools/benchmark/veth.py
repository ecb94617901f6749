# SPDX-License-Identifier: BSD-3-Clause
"""A system under test between two veth pairs, and the sender and sink of tests/bench/flood.c at their other ends.

    NAME-net [flood]  10.10.0.2 … .201 ── edge  10.10.0.1 ┐
                     10.20.0.11 … .14 ── core  10.20.0.1 ┘ NAME-dut [system]

The system has the second CPU, sender and sink the first. CPU time is read from /proc: exact run times of the scheduler, not ticks.
"""
import contextlib
import gzip
import json
import os
import pathlib
import platform
import re
import signal
import subprocess
import tempfile
import time

from lab import lab

from .context import Failed, Skipped

WINDOW = 128  # messages under way; what the smallest queue on the way holds (a socket of Kamailio: 184)
EDGE, CORE = "10.10.0.1", "10.20.0.1"
CALLERS = [f"10.10.0.{n}" for n in range(2, 202)]
DESTINATIONS = [f"10.20.0.{11 + i}" for i in range(4)]
CALLER_PORT, SIP_PORT = 5080, 5060
READY_S = 20


def run(*args, **kw):
    try:
        return lab.run(*args, **kw)
    except lab.LabError as e:
        raise Failed(str(e)) from e


def run_time_ns(pid):
    """What the scheduler gave all threads of a process so far."""
    total = 0
    for task in pathlib.Path(f"/proc/{pid}/task").iterdir():
        with contextlib.suppress(OSError):
            total += int((task / "schedstat").read_text().split()[0])
    return total


def processes():
    """{pid: (name, parent)} of all there are."""
    found = {}
    for entry in pathlib.Path("/proc").iterdir():
        if entry.name.isdigit():
            with contextlib.suppress(OSError):
                m = re.match(r"\d+ \((.*)\) \S (\d+)", (entry / "stat").read_text(), re.S)
                found[int(entry.name)] = (m.group(1), int(m.group(2)))
    return found


def with_children(pid):
    family, all_of_them = [pid], processes()
    for parent in family:
        family += [p for p, (_, its_parent) in all_of_them.items() if its_parent == parent]
    return family


def softirq_threads():
    return [pid for pid, (name, parent) in processes().items() if parent == 2 and name.startswith("ksoftirqd/")]


def cpu_times_ns(text):
    """What all CPUs together spent, of /proc/stat: (on anything at all, on interrupts and softirq)."""
    ticks = [int(x) for x in text.split("\n", 1)[0].split()[1:9]]
    tick = 1_000_000_000 // os.sysconf("SC_CLK_TCK")
    user, nice, system, _, _, irq, softirq, steal = ticks
    return (user + nice + system + irq + softirq + steal) * tick, (irq + softirq) * tick


def box_times_ns():
    return cpu_times_ns(pathlib.Path("/proc/stat").read_text())


def irq_is_apart():
    """Whether the kernel keeps interrupts and softirq out of the run time of whom they interrupt."""
    for path, opener in ((f"/boot/config-{platform.release()}", open), ("/proc/config.gz", gzip.open)):
        with contextlib.suppress(OSError):
            with opener(path, "rt") as f:
                return "CONFIG_IRQ_TIME_ACCOUNTING=y\n" in f.read()
    return False


class Pair:
    """Two namespaces and what runs in them; all goes with close()."""

    def __init__(self, name, build, messages):
        if os.geteuid() != 0:
            raise Skipped("network namespaces need root")
        self.name, self.build, self.messages = f"slb{os.getpid()}{name}", build, messages
        self.dir = pathlib.Path(tempfile.mkdtemp(prefix=f"siplane-bench-{name}-"))
        cpus = sorted(os.sched_getaffinity(0))
        self.flood_cpu, self.system_cpu = cpus[0], cpus[-1 if len(cpus) < 2 else 1]
        self.processes, self.namespaces = [], []
        self.flood = self.system = None

    def open(self):
        for who in ("dut", "net"):
            run("ip", "netns", "add", f"{self.name}-{who}")
            self.namespaces.append(f"{self.name}-{who}")
            self._ip(who, "link", "set", "lo", "up")
            for what in ("all", "default"):
                run("ip", "netns", "exec", f"{self.name}-{who}", "sysctl", "-qw", f"net.ipv4.conf.{what}.rp_filter=0")
        for port in ("edge", "core"):
            self._ip("dut", "link", "add", port, "type", "veth", "peer", "name", port, "netns", f"{self.name}-net")
            self._ip("dut", "link", "set", port, "up")
        lines = [f"addr add {a}/24 dev {port}" for hosts, port in ((CALLERS, "edge"), (DESTINATIONS, "core")) for a in hosts]
        run("ip", "-n", f"{self.name}-net", "-batch", "-", input="\n".join(lines))
        for port in ("edge", "core"):
            self._ip("net", "link", "set", port, "up")
        return self

    def _ip(self, who, *args):
        return run("ip", "-n", f"{self.name}-{who}", *args)

    def add_nowhere(self):
        """A device that throws away whatever is sent: dummy, or ifb where the kernel has no dummy."""
        for kind in ("dummy", "ifb"):
            if run("ip", "-n", f"{self.name}-net", "link", "add", "nowhere", "type", kind, check=False).returncode == 0:
                self._ip("net", "link", "set", "nowhere", "up")
                return
        raise Skipped("the kernel has neither dummy nor ifb devices, so what the sender costs cannot be told apart")

    def addresses(self):
        """Gives the system's own addresses to the kernel; siplane's stand in its configuration."""
        for address, port in ((EDGE, "edge"), (CORE, "core")):
            self._ip("dut", "addr", "add", f"{address}/24", "dev", port)

    def popen(self, who, cpu, command, **kw):
        """Starts a command in a namespace on a CPU (None: where it likes)."""
        pin = [] if cpu is None else ["taskset", "-c", str(cpu)]
        p = subprocess.Popen(["ip", "netns", "exec", f"{self.name}-{who}", *pin, *map(str, command)], **kw)
        self.processes.append(p)
        return p

    # ---- the system ----

    def start(self, command, ready, cpu=None):
        """Starts the system and waits for a line of its log that begins with `ready`, or until its port is bound (None)."""
        log = self.dir / "system.log"
        with open(log, "wb") as out:
            self.system = self.popen("dut", cpu, command, stdout=out, stderr=subprocess.STDOUT, stdin=subprocess.DEVNULL,
                                     cwd=self.dir)
        end = time.monotonic() + READY_S
        while not self._is_ready(log, ready):
            if self.system.poll() is not None or time.monotonic() > end:
                raise Failed(f"{command[0]} did not start:\n{log.read_text(errors='replace')[-2000:]}")
            time.sleep(0.05)

    def _is_ready(self, log, ready):
        if ready is not None:
            return re.search(rf"^{ready}", log.read_text(errors="replace"), re.M) is not None
        bound = run("ip", "netns", "exec", f"{self.name}-dut", "ss", "-Hlun", "sport", "=", f":{SIP_PORT}", check=False).stdout
        return bool(bound.strip())

    def system_mac(self):
        """As the caller's kernel has learnt it."""
        for _ in range(READY_S):
            run("ip", "netns", "exec", f"{self.name}-net", "ping", "-nqc1", "-W1", EDGE, check=False)
            m = re.search(r"lladdr (\S+)", self._ip("net", "neigh", "show", EDGE, "dev", "edge").stdout)
            if m:
                return m.group(1)
        raise Failed(f"{EDGE} does not answer\n{(self.dir / 'system.log').read_text(errors='replace')[-2000:]}")

    def pause(self):
        for pid in with_children(self.system.pid):
            os.kill(pid, signal.SIGSTOP)

    def resume(self):
        for pid in with_children(self.system.pid):
            os.kill(pid, signal.SIGCONT)

    # ---- sender and sink ----

    def start_flood(self, interface="edge", mac=None):
        self.flood = self.popen("net", self.flood_cpu, [
            self.build / "tests/bench/flood", interface, mac or self.system_mac(), f"{EDGE}:{SIP_PORT}", SIP_PORT,
            CALLER_PORT, WINDOW, self.messages],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        if self.flood.stdout.readline() != "ready\n":
            raise Failed("tests/bench/flood did not start")

    def ask(self, command):
        self.flood.stdin.write(command + "\n")
        self.flood.stdin.flush()
        line = self.flood.stdout.readline()
        if not line:
            raise Failed(f"tests/bench/flood ended with {self.flood.wait()}")
        return json.loads(line)

    def window(self, seconds, send_ns):
        """One window: what flood counted, and the CPU time of the system: its own, and softirq on whoever's behalf.

        `send_ns` is what sending a message costs the sender alone.
        """
        family, softirq = with_children(self.system.pid), softirq_threads()
        before, (busy, irq) = [sum(map(run_time_ns, pids)) for pids in (family, softirq)], box_times_ns()
        got = self.ask(f"run {seconds}")
        busy, irq = (b - a for a, b in zip((busy, irq), box_times_ns()))
        own, kernel = (sum(map(run_time_ns, pids)) - b for pids, b in zip((family, softirq), before))
        borrowed = max(got["cpu_send_ns"] - send_ns * got["sent"], 0)  # the kernel's work for the system while the sender sent
        kernel = borrowed + (irq if irq_is_apart() else kernel)
        sender = got["cpu_ns"] - borrowed
        got.update(own_ns=own, system_ns=own + kernel, others_ns=busy - own - kernel - sender)
        return got

    def close(self):
        for p in self.processes:
            if p.poll() is None:
                if p is self.system:
                    with contextlib.suppress(OSError):
                        self.resume()
                p.terminate()
        for p in self.processes:
            try:
                p.wait(5)
            except subprocess.TimeoutExpired:
                p.kill()
                p.wait()
        for name in self.namespaces:
            run("ip", "netns", "del", name, check=False)
        run("rm", "-rf", self.dir)


def send_cost_ns(build, messages, seconds):
    """What the sender's own part of sending costs a message: the same program, a device that throws all away."""
    pair = Pair("idle", build, messages)
    try:
        pair.open()
        pair.add_nowhere()
        pair.start_flood("nowhere", "02:00:00:00:00:01")
        samples = []
        for _ in range(max(int(seconds / 0.1), 3)):
            got = pair.ask("unheard 0.1")
            samples.append(got["cpu_send_ns"] / got["sent"])
        return sorted(samples)
    finally:
        pair.close()
