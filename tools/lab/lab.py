# SPDX-License-Identifier: BSD-3-Clause
"""A small network on this machine: an appliance, callers and backends in network namespaces.

    caller ── edge ── siplane ── core ── bridge ── b1, b2, ...

Used by tools/quickstart and tests/e2e. Everything it makes carries the lab's name and goes away with close().
"""
import contextlib
import ctypes
import json
import os
import pathlib
import re
import shutil
import signal
import socket
import subprocess
import tempfile
import time

ROOT = pathlib.Path(__file__).resolve().parents[2]
EDGE4, CORE4 = "10.10.0.{}", "10.20.0.{}"
EDGE6, CORE6 = "fd00:10::{}", "fd00:20::{}"
DRIVERS = ("tap", "af_packet", "af_xdp")
# Where the kernel stands (/proc/PID/wchan) while all CPUs let go of a network device.
KERNEL_WAITS = re.compile("rcu|exp_funnel_lock|synchronize_|rtnl|tun_|flush_work")


_libc = ctypes.CDLL(None, use_errno=True)


class LabError(Exception):
    pass


def listens(process, port, timeout=20):
    """Waits until a process has opened a UDP port in its network namespace, or has left. What is sent to it earlier gets an ICMP error."""
    ending, end = f":{port:04X}", time.monotonic() + timeout
    while process.poll() is None and time.monotonic() < end:
        tables = ""
        for name in ("udp", "udp6"):
            with contextlib.suppress(OSError):
                tables += pathlib.Path(f"/proc/{process.pid}/net/{name}").read_text()
        if any(len(words := line.split()) > 1 and words[1].endswith(ending) for line in tables.splitlines()):
            return
        time.sleep(0.01)
    if process.poll() is None:
        raise LabError(f"{process.args} has not opened port {port} in {timeout} s")


@contextlib.contextmanager
def inside(namespace):
    """What is opened here belongs to the namespace, and stays there."""
    own = os.open("/proc/thread-self/ns/net", os.O_RDONLY)
    other = os.open(f"/run/netns/{namespace}", os.O_RDONLY)
    try:
        if _libc.setns(other, 0x40000000) != 0:
            raise OSError(ctypes.get_errno(), "setns")
        yield
    finally:
        _libc.setns(own, 0x40000000)
        os.close(own)
        os.close(other)


def run(*args, check=True, **kw):
    r = subprocess.run([str(a) for a in args], capture_output=True, text=True, **kw)
    if check and r.returncode != 0:
        said = r.stderr.strip() or r.stdout.strip()
        if "--make-rslave" in said:
            said += " (/ is no mount point here; for a chroot in DIR: mount --bind DIR DIR before it is entered)"
        raise LabError(f"{' '.join(map(str, args))}: {said}")
    return r


class Lab:
    """Namespaces NAME-dut, NAME-caller, NAME-lan and one a backend. The appliance's two ports are edge and core."""

    def __init__(self, name=None, driver="tap", backends=2, ipv6=True, vlan=None):
        if os.geteuid() != 0:
            raise LabError("network namespaces need root: run it with sudo")
        if driver not in DRIVERS:
            raise LabError(f"driver {driver}: one of {', '.join(DRIVERS)} is wanted")
        self.name = name or f"sl{os.getpid()}"
        self.driver, self.backends, self.ipv6, self.vlan = driver, backends, ipv6, vlan
        self.dir = pathlib.Path(tempfile.mkdtemp(prefix=f"siplane-{self.name}-"))
        self.namespaces, self.processes = [], []
        self.siplane = None

    # ---- making ----

    def __enter__(self):
        try:
            self.open()
        except BaseException:
            self.close()
            raise
        return self

    def __exit__(self, *exc):
        self.close()

    def ns(self, who):
        return f"{self.name}-{who}"

    def _add_ns(self, who):
        run("ip", "netns", "add", self.ns(who))
        self.namespaces.append(self.ns(who))
        self.ip(who, "link", "set", "lo", "up")
        # Addresses are ready at once: nobody else is on these links.
        for what in ("all", "default"):
            self.sysctl(who, f"net.ipv6.conf.{what}.accept_dad=0")

    def ip(self, who, *args, check=True):
        return run("ip", "-n", self.ns(who), *args, check=check)

    def sysctl(self, who, setting):
        return run("ip", "netns", "exec", self.ns(who), "sysctl", "-qw", setting, check=False)

    def open(self):
        for who in ["dut", "caller", "lan"] + [f"b{i + 1}" for i in range(self.backends)]:
            self._add_ns(who)
        run("ip", "netns", "exec", self.ns("dut"), "true")  # what hinders it is said here
        self.ip("lan", "link", "add", "br0", "type", "bridge")
        self.ip("lan", "link", "set", "br0", "up")
        for i in range(self.backends):
            who = f"b{i + 1}"
            self.ip(who, "link", "add", "eth0", "type", "veth", "peer", "name", who, "netns", self.ns("lan"))
            self.ip("lan", "link", "set", who, "master", "br0", "up")
            self._address(who, "eth0", CORE4.format(11 + i) + "/24", CORE6.format(11 + i) + "/64")
            self._routes(who, CORE4.format(1), CORE6.format(1))
        if self.driver != "tap":
            for port, far, peer in (("edge", "caller", "eth0"), ("core", "lan", "core")):
                self.ip("dut", "link", "add", port, "type", "veth", "peer", "name", peer, "netns", self.ns(far))
                self.ip("dut", "link", "set", port, "up")
            self._attach()

    def _address(self, who, dev, v4, v6):
        self.ip(who, "addr", "add", v4, "dev", dev)
        if self.ipv6:
            self.ip(who, "addr", "add", v6, "dev", dev, "nodad")
        self.ip(who, "link", "set", dev, "up")

    def _routes(self, who, gw4, gw6):
        self.ip(who, "route", "add", "default", "via", gw4)
        if self.ipv6:
            self.ip(who, "-6", "route", "add", "default", "via", gw6)

    def _attach(self):
        """The far ends of the appliance's ports."""
        self._address("caller", "eth0", EDGE4.format(2) + "/24", EDGE6.format(2) + "/64")
        self._routes("caller", EDGE4.format(1), EDGE6.format(1))
        self.ip("lan", "link", "set", "core", "master", "br0", "up")

    def device(self, port):
        """What `device =` says for a port."""
        if self.driver == "tap":
            return f"net_tap_{port},iface={port}"
        return f"net_{self.driver}_{port},iface={port}"

    def port_config(self, extra=""):
        """The port { } blocks, for a configuration's include."""
        out = []
        for port, v4, v6 in (("edge", EDGE4, EDGE6), ("core", CORE4, CORE6)):
            addresses = [v4.format(1) + "/24"] + ([v6.format(1) + "/64"] if self.ipv6 else [])
            lines = "".join(f"\taddress = {a};\n" for a in addresses)
            out.append(f'port "{port}" {{\n\tdevice = "{self.device(port)}";\n{lines}{extra}}}\n')
        return "".join(out)

    # ---- siplane ----

    def start_siplane(self, config, binary=None, timeout=20, env=None, wait_addresses=True, options=()):
        """Starts siplane in the appliance's namespace with a configuration file; returns when it is ready."""
        binary = binary or os.environ.get("SIPLANE", ROOT / "build/app/siplane/siplane")
        log = open(self.dir / "siplane.log", "ab")
        mark = log.tell()
        self.siplane = subprocess.Popen(
            ["ip", "netns", "exec", self.ns("dut"), str(binary), "-f", str(config), *map(str, options)],
            stdout=log, stderr=subprocess.STDOUT, stdin=subprocess.DEVNULL, cwd=self.dir,
            env={**os.environ, **(env or {})})
        self.processes.append(self.siplane)
        deadline = time.monotonic() + timeout
        while True:
            text = self.log()[mark:]
            if "\nready" in text:
                break
            if self.siplane.poll() is not None:
                raise LabError(f"siplane left with {self.siplane.returncode}:\n{text}")
            if time.monotonic() > deadline:
                raise LabError(f"siplane is not ready after {timeout} s:\n{text}")
            time.sleep(0.02)
        if self.driver == "tap":
            self.ip("dut", "link", "set", "edge", "netns", self.ns("caller"), "name", "eth0")
            self.ip("dut", "link", "set", "core", "netns", self.ns("lan"))
            self._attach()
        self._wait_link()
        return self.siplane

    def _wait_link(self):
        """Until a frame passes both ways on both ports."""
        for who, address in (("caller", EDGE4), ("b1", CORE4)):
            deadline = time.monotonic() + 10
            while run("ip", "netns", "exec", self.ns(who), "ping", "-nqc1", "-W1", address.format(1),
                      check=False).returncode != 0:
                if time.monotonic() > deadline:
                    raise LabError(f"{who}: {address.format(1)} does not answer ping\n{self.log()}")

    def log(self):
        path = self.dir / "siplane.log"
        return path.read_text(errors="replace") if path.exists() else ""

    def stop_siplane(self, sig=signal.SIGTERM, timeout=240):
        """
        Ends siplane; returns (exit status, seconds it took). Those in which it stood in the kernel are not counted: it waits for
        all CPUs (RCU) before it takes a network device away, on a busy machine for a minute.
        """
        begun = last = time.monotonic()
        self.siplane.send_signal(sig)
        in_kernel, status = 0, None
        while status is None:
            waits_for = ""
            for thread in pathlib.Path(f"/proc/{self.siplane.pid}/task").glob("*/wchan"):
                with contextlib.suppress(OSError):
                    waits_for += f" {thread.read_text()}"
            try:
                status = self.siplane.wait(0.02)
            except subprocess.TimeoutExpired:
                if time.monotonic() - begun > timeout:
                    raise
            now = time.monotonic()
            in_kernel += now - last if KERNEL_WAITS.search(waits_for) else 0
            last = now
        self.processes.remove(self.siplane)
        self.siplane = None
        return status, last - begun - in_kernel

    def telemetry(self, command, pid=None):
        """Asks DPDK's telemetry socket: telemetry('/siplane/stats')."""
        pid = pid or self.siplane.pid
        with socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET) as s:
            s.settimeout(5)
            s.connect(f"/var/run/dpdk/siplane-{pid}/dpdk_telemetry.v2")
            s.recv(16384)
            s.send(command.encode())
            return json.loads(s.recv(65536))[command.split(",")[0]]

    def stats(self):
        return self.telemetry("/siplane/stats")

    def transactions(self):
        return self.telemetry("/siplane/transactions")

    def location(self):
        return self.telemetry("/siplane/location")

    def settle(self, timeout=8):
        """The counters once nothing is in flight: two equal readings with nobody waiting."""
        deadline = time.monotonic() + timeout
        before = self.stats()
        while True:
            time.sleep(0.15)
            now = self.stats()
            quiet = {k: v for k, v in now.items() if k not in ("bursts",)}
            if quiet == {k: v for k, v in before.items() if k not in ("bursts",)} and now["held"] == 0:
                return now
            if time.monotonic() > deadline:
                return now
            before = now

    # ---- others ----

    def popen(self, who, *args, **kw):
        p = subprocess.Popen(["ip", "netns", "exec", self.ns(who), *map(str, args)],
                             stdin=subprocess.DEVNULL, cwd=self.dir, **kw)
        self.processes.append(p)
        return p

    def sipp(self, who, scenario, *args, name=None, **kw):
        """A sipp in a namespace, which has its port (-p); its files carry `name`. Output goes to NAME.out."""
        name = name or f"{who}-{pathlib.Path(scenario).stem}"
        out = open(self.dir / f"{name}.out", "wb")
        p = self.popen(who, "sipp", "-sf", scenario, "-nostdin", "-trace_err", "-error_file",
                       self.dir / f"{name}.err", "-trace_stat", "-stf", self.dir / f"{name}.csv", "-fd", "1",
                       "-buff_size", "1048576",  # a peer that waits for its CPU loses nothing meanwhile
                       *args, stdout=out, stderr=subprocess.STDOUT, **kw)
        p.lab_name = name
        if "-p" in args:
            listens(p, int(args[args.index("-p") + 1]))
        return p

    def sipp_stats(self, p):
        """The last line of a sipp's statistics as a dict of column name to text."""
        path = self.dir / f"{p.lab_name}.csv"
        lines = path.read_text().strip().split("\n") if path.exists() else []
        if len(lines) < 2:
            return {}
        return dict(zip(lines[0].split(";"), lines[-1].split(";")))

    def end(self, p, timeout=10):
        """Ends a process that serves until told: by its pid, politely, then not."""
        if p.poll() is None:
            p.send_signal(signal.SIGUSR1)
            try:
                p.wait(timeout)
            except subprocess.TimeoutExpired:
                p.kill()
                p.wait()
        if p in self.processes:
            self.processes.remove(p)
        return p.returncode

    def close(self):
        for p in self.processes:
            if p.poll() is None:
                p.terminate()
        for p in self.processes:
            try:
                p.wait(4)
            except subprocess.TimeoutExpired:
                p.kill()
                p.wait()
        self.processes = []
        for ns in self.namespaces:
            run("ip", "netns", "del", ns, check=False)
        self.namespaces = []
        shutil.rmtree(self.dir, ignore_errors=True)
