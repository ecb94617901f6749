# SPDX-License-Identifier: BSD-3-Clause
"""A lab whose appliance is a machine of its own: QEMU with two NICs, one at the caller's network and one at the backends'."""
import ctypes
import re
import signal
import subprocess
import time

from lab.lab import CORE4, CORE6, EDGE4, EDGE6, Lab, LabError, run

PR_SET_PDEATHSIG = 1
BOOT_SECONDS = 60
LINK_SECONDS = 20


def die_with_parent():
    """For preexec_fn: a runner that is killed outright takes QEMU along."""
    ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)


class Nic:
    """An emulated NIC: QEMU's name and properties for it, queue pairs of its tap, the driver that must take it, and the
    kernel's driver where the guest's kernel has one."""

    def __init__(self, model, driver, properties="", queues=1, cpus=2, kernel_driver=None):
        self.model, self.driver, self.properties, self.queues, self.cpus = model, driver, properties, queues, cpus
        self.kernel_driver = kernel_driver

    def arguments(self):
        out = []
        for n, port in ((4, "edge"), (5, "core")):
            queues = f",queues={self.queues}" if self.queues > 1 else ""
            out += ["-netdev", f"tap,id={port},ifname={port},script=no,downscript=no{queues}",
                    "-device", f"{self.model},netdev={port},mac=02:00:00:00:00:0{n},addr={n},romfile=" +
                    (f",{self.properties}" if self.properties else "")]
        return out


class GuestLab(Lab):
    """The taps are opened by QEMU in NAME-dut and then handed to the caller's and the backends' namespaces."""

    def boot(self, nic, kernel, initramfs):
        self.open()
        log = open(self.dir / "siplane.log", "ab")
        # Emulation even where /dev/kvm opens: nested in some virtual machines KVM starts a guest that never boots.
        # The IOMMU stands before the devices behind it.
        self.qemu = self.popen(
            "dut", "qemu-system-x86_64", "-accel", "tcg,thread=multi", "-machine", "q35", "-cpu", "max", "-smp", nic.cpus,
            "-m", "768", "-nodefaults", "-nographic", "-no-reboot", "-serial", "stdio", "-device", "intel-iommu,intremap=on",
            *nic.arguments(), "-kernel", kernel, "-initrd", initramfs,
            "-append", "console=ttyS0 quiet panic=-1 intel_iommu=on", stdin=subprocess.PIPE, stdout=log,
            stderr=subprocess.STDOUT, preexec_fn=die_with_parent)
        self.wait_for(r"^GUEST up", BOOT_SECONDS)
        self.ip("dut", "link", "set", "edge", "netns", self.ns("caller"), "name", "eth0")
        self.ip("dut", "link", "set", "core", "netns", self.ns("lan"))
        self._attach()
        self.wait_for(r"^GUEST bound", BOOT_SECONDS)

    def begin(self):
        """Starts siplane in the guest; returns when a frame passes both ways on both sides."""
        self.wait_for(r"^ready", BOOT_SECONDS, self.order("start"))
        self.wait_link()

    def finish(self, seconds=10):
        """SIGTERM; siplane's exit status, None where it does not end."""
        mark, deadline = self.order("stop"), time.monotonic() + seconds
        while time.monotonic() < deadline:
            left = re.search(r"^GUEST siplane left with (\d+)", self.log()[mark:], re.M)
            if left:
                return int(left.group(1))
            time.sleep(0.05)
        return None

    def popen(self, who, *args, **kw):
        kw.setdefault("preexec_fn", die_with_parent)
        if "stdin" not in kw:
            return super().popen(who, *args, **kw)
        p = subprocess.Popen(["ip", "netns", "exec", self.ns(who), *map(str, args)], cwd=self.dir, **kw)
        self.processes.append(p)
        return p

    def log(self):
        return super().log().replace("\r", "")

    def wait_for(self, pattern, seconds, start=0):
        """The match of a line on the guest's console after `start` characters."""
        deadline = time.monotonic() + seconds
        while True:
            text = self.log()[start:]
            found = re.search(pattern, text, re.M)
            if found:
                return found
            end = re.search(r"^GUEST (end .*|siplane left .*)", text, re.M)
            if end:
                raise LabError(f"guest: {end.group(1)}\n{self.tail()}")
            if self.qemu.poll() is not None:
                raise LabError(f"QEMU left with {self.qemu.returncode}\n{self.tail()}")
            if time.monotonic() > deadline:
                raise LabError(f"no '{pattern}' on the console within {seconds} s\n{self.tail()}")
            time.sleep(0.05)

    def tail(self):
        return "\n".join(self.log().splitlines()[-12:])

    def order(self, word):
        """Tells the guest something; returns where its console stood."""
        mark = len(self.log())
        self.qemu.stdin.write(f"{word}\n".encode())
        self.qemu.stdin.flush()
        return mark

    def ping(self, who, address, count=1):
        return run("ip", "netns", "exec", self.ns(who), "ping", "-n", f"-c{count}", "-i0.2", "-W2", address, check=False).stdout

    def wait_link(self):
        """Until the appliance answers everybody in both families: links are up, neighbours known."""
        deadline = time.monotonic() + LINK_SECONDS
        for who, address in ((w, a) for w, pair in (("caller", (EDGE4, EDGE6)), ("b1", (CORE4, CORE6)), ("b2", (CORE4, CORE6)))
                             for a in pair):
            while " 0% packet loss" not in self.ping(who, address.format(1)):
                if time.monotonic() > deadline:
                    raise LabError(f"{who}: {address.format(1)} does not answer ping\n{self.tail()}")

    def counters(self):
        """What SIGUSR1 prints: in, done, dropped, held, whether siplane calls it exact, and the terms by name."""
        mark = self.order("stats")
        m = self.wait_for(r"^frames in (\d+) = done (\d+) \+ dropped (\d+) \+ held (\d+) +\((.*)\)\n(?=(?:  .*\n)*)", 10, mark)
        time.sleep(0.2)
        out = dict(zip(("in", "done", "dropped", "held"), map(int, m.groups()[:4])), word=m.group(5))
        for name, n in re.findall(r"^  (\S.*?) +(\d+)$", self.log()[mark:], re.M):
            out[name] = int(n)
        return out

    def settled(self, seconds=10):
        """The counters once two readings agree."""
        deadline, before = time.monotonic() + seconds, self.counters()
        while True:
            now = self.counters()
            if now == before and now["held"] == 0 or time.monotonic() > deadline:
                return now
            before = now
