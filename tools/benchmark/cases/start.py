# SPDX-License-Identifier: BSD-3-Clause
"""From exec to the first forwarded packet, and to the word "ready", with the quickstart's configuration, and with ten million location slots."""
import select
import socket
import subprocess
import threading
import time

from lab.lab import Lab, LabError, inside

from ..context import ROOT, Failed, Skipped

SUMMARY = "time from exec to the first forwarded packet and to 'ready'"

STARTS_MIN, STARTS_MAX = 5, 15
EVERY_S = 0.001
TIMEOUT_S = 20
SLOTS = 10_000_000  # of the location, in a start of its own
DEVICE = "af_packet on veth"

INVITE = ("INVITE sip:+49301234567@10.10.0.1 SIP/2.0\r\n"
          "Via: SIP/2.0/UDP 10.10.0.2:5080;branch=z9hG4bKstart{n}\r\n"
          "Max-Forwards: 70\r\n"
          "From: <sip:+49891234567@10.10.0.2>;tag=start{n}\r\n"
          "To: <sip:+49301234567@10.10.0.1>\r\n"
          "Call-ID: start-{n}@10.10.0.2\r\n"
          "CSeq: 1 INVITE\r\n"
          "Contact: <sip:+49891234567@10.10.0.2:5080>\r\n"
          "Content-Length: 0\r\n\r\n")


def udp_socket(lab, who, address):
    with inside(lab.ns(who)):
        s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        s.bind(address)
    s.setblocking(False)
    return s


class Knocking:
    """Sends an INVITE each millisecond, and notes when the first one arrives at a backend."""

    def __init__(self, caller, backends):
        self.caller, self.backends = caller, backends
        self.arrived = None
        self.over = threading.Event()
        self.threads = [threading.Thread(target=self._send, daemon=True), threading.Thread(target=self._receive, daemon=True)]

    def __enter__(self):
        for t in self.threads:
            t.start()
        return self

    def __exit__(self, *exc):
        self.over.set()
        for t in self.threads:
            t.join()

    def _send(self):
        n = 0
        while not self.over.wait(EVERY_S):
            n += 1
            try:
                self.caller.sendto(INVITE.format(n=n).encode(), ("10.10.0.1", 5060))
            except OSError:
                pass  # nobody there yet

    def _receive(self):
        while self.arrived is None and not self.over.is_set():
            ready = select.select(self.backends, [], [], 0.1)[0]
            if ready:
                self.arrived = time.monotonic()


def drain(sockets):
    for s in sockets:
        try:
            while True:
                s.recv(65536)
        except OSError:
            pass


def one_start(lab, binary, config, caller, backends):
    """Seconds to the first packet and to 'ready' of one start."""
    for who in ("caller", "b1", "b2", "dut"):
        lab.ip(who, "neigh", "flush", "all", check=False)
    drain([caller, *backends])
    said, ready = [], None
    with Knocking(caller, backends) as knocking:
        begun = time.monotonic()
        p = subprocess.Popen(["ip", "netns", "exec", lab.ns("dut"), str(binary), "-f", str(config)], cwd=lab.dir, text=True,
                             stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, errors="replace")
        try:
            watchdog = threading.Timer(TIMEOUT_S, p.kill)
            watchdog.start()
            for line in p.stdout:
                said.append(line)
                if line.startswith("ready"):
                    ready = time.monotonic()
                    break
            while knocking.arrived is None and p.poll() is None and time.monotonic() < begun + TIMEOUT_S:
                time.sleep(0.002)
        finally:
            watchdog.cancel()
            p.terminate()
            try:
                p.communicate(timeout=5)
            except subprocess.TimeoutExpired:
                p.kill()
                p.communicate()
    if ready is None or knocking.arrived is None:
        raise Failed(f"{'not ready' if ready is None else 'nothing forwarded'} after {TIMEOUT_S} s:\n{''.join(said[-20:])}")
    return knocking.arrived - begun, ready - begun


def config(lab, slots):
    """The quickstart's configuration, as it is or with a location table."""
    path = lab.dir / f"start-{slots}.cfg"
    path.write_text(f'#!define WITH_AF_PACKET\n#!define SECRET "{lab.dir}/secret"\n'
                    + (f"memory {{ contacts = {slots}; }}\n"
                       'loadmodule "usrloc.so"\nloadmodule "registrar.so"\n' if slots else "")
                    + f'include_file "{ROOT}/conf/quickstart.cfg"\n'
                    + ('route[REGISTRAR] { save("location"); exit; }\n' if slots else ""))
    return path


def run(context):
    build = context.build("app/siplane/siplane")
    starts = max(STARTS_MIN, min(STARTS_MAX, int(context.seconds)))
    found = {0: [], SLOTS: []}
    try:
        with Lab(driver="af_packet", backends=2, ipv6=False) as lab:
            # A caller that asks for a MAC once a second would hide what is measured.
            for who in ("caller", "b1", "b2"):
                lab.sysctl(who, "net.ipv4.neigh.eth0.retrans_time_ms=5")
            caller = udp_socket(lab, "caller", ("10.10.0.2", 5080))
            backends = [udp_socket(lab, f"b{i + 1}", (f"10.20.0.{11 + i}", 5060)) for i in range(2)]
            for slots, times in found.items():
                path = config(lab, slots)
                for n in range(starts):
                    context.say(f"{slots} location slots, start {n + 1} of {starts}")
                    times.append(one_start(lab, build / "app/siplane/siplane", path, caller, backends))
            for s in (caller, *backends):
                s.close()
    except LabError as e:
        raise Skipped(str(e)) if "root" in str(e) else Failed(str(e)) from e
    for slots, times in found.items():
        note = "conf/quickstart.cfg; from exec of `ip netns exec`, which takes some ms"
        note += "; and a registrar with room for ten million contacts, memory taken as it is used" if slots else ""
        variant = f"/{slots}" if slots else ""
        yield context.row(f"first_packet_ms{variant}", "ms", [1000 * first for first, _ in times], DEVICE, note)
        yield context.row(f"ready_ms{variant}", "ms", [1000 * ready for _, ready in times], DEVICE, note)
