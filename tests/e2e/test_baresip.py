# SPDX-License-Identifier: BSD-3-Clause
"""Phones that people use: two baresip of Debian register, and one calls the other through siplane."""
import json
import re
import shutil
import socket
import subprocess
import time

import pytest

import phone
from phone import DOMAIN
from ua import inside

pytestmark = pytest.mark.skipif(not shutil.which("baresip"), reason="baresip is missing: tools/install-packages test")

CONTROL = 4444
# No sound card: a bridge of its own end is microphone and loudspeaker.
CONFIG = """poll_method epoll
sip_listen {address}:5060
audio_player aubridge,nil
audio_source aubridge,nil
audio_alert aubridge,nil
rtp_ports 10000-10100
ctrl_tcp_listen 127.0.0.1:{control}
module_path {modules}
module g711.so
module aubridge.so
module ctrl_tcp.so
module_tmp uuid.so
module_tmp account.so
module_app menu.so
"""


def modules():
    """Where Debian puts them."""
    listed = subprocess.run(["dpkg", "-L", "baresip-core"], capture_output=True, text=True).stdout
    found = re.search(r"^(/\S+)/account\.so$", listed, re.M)
    return found.group(1) if found else "/usr/lib/baresip/modules"


class Baresip:
    def __init__(self, lab, user, who, proxy, *options):
        self.lab, self.user, self.who = lab, user, who
        home = lab.dir / f"baresip-{user}"
        home.mkdir()
        address = phone.Phone.ADDRESSES[who]
        (home / "config").write_text(CONFIG.format(address=address, control=CONTROL, modules=modules()))
        (home / "accounts").write_text(";".join([f"<sip:{user}@{DOMAIN}>", "regint=60", f'outbound="sip:{proxy}"', *options]) + "\n")
        self.out = open(home / "out", "wb+")
        self.process = lab.popen(who, "baresip", "-f", home, "-s", stdout=self.out, stderr=subprocess.STDOUT)
        self.events, self.rest = [], b""
        self.control = self.connect()

    def connect(self):
        end = time.monotonic() + 10
        while True:
            with inside(self.lab.ns(self.who)):
                s = socket.socket()
            try:
                s.connect(("127.0.0.1", CONTROL))
                return s
            except OSError:
                s.close()
                assert self.process.poll() is None and time.monotonic() < end, self.said()
                time.sleep(0.05)

    def said(self):
        self.out.flush()
        self.out.seek(0)
        return self.out.read().decode("utf-8", "replace")[-6000:]

    def registered(self, timeout=10):
        """Until it says so; the event may come before anybody is connected to hear of it."""
        end = time.monotonic() + timeout
        while "200 OK" not in self.said() or "binding]" not in self.said():
            assert self.process.poll() is None and time.monotonic() < end, self.said()
            time.sleep(0.05)

    def command(self, name, params=""):
        text = json.dumps({"command": name, "params": params}).encode()
        self.control.sendall(str(len(text)).encode() + b":" + text + b",")

    def wait(self, kind, timeout=10):
        """Until an event of that type comes."""
        end = time.monotonic() + timeout
        while not any(e.get("type") == kind for e in self.events):
            self.control.settimeout(max(0.001, end - time.monotonic()))
            try:
                data = self.control.recv(65536)
            except socket.timeout:
                data = b""
            assert data, f"{self.user}: no {kind}, but {[e.get('type') for e in self.events]}\n{self.said()}"
            self.rest += data
            self.take()

    def take(self):
        """Netstrings: LENGTH:JSON,"""
        while (m := re.match(rb"(\d+):", self.rest)) and len(self.rest) > m.end() + int(m.group(1)):
            end = m.end() + int(m.group(1))
            self.events.append(json.loads(self.rest[m.end():end]))
            self.rest = self.rest[end + 1:]

    def close(self):
        self.control.close()
        self.process.terminate()
        self.process.wait(10)
        self.lab.processes.remove(self.process)
        self.out.close()


def recorded(lab, path):
    """(source, destination, first line, Call-ID) of each SIP message, as tshark reads it."""
    fields = [x for f in ("ip.src", "ip.dst", "sip.Request-Line", "sip.Status-Line", "sip.Call-ID") for x in ("-e", f)]
    r = subprocess.run(["tshark", "-r", path, "-Y", "sip", "-T", "fields", "-E", "separator=|", *fields], capture_output=True, text=True, timeout=60)
    assert r.returncode == 0, r.stderr
    out = []
    for line in r.stdout.splitlines():
        source, to, request, status, call_id = (line.split("|") + [""] * 5)[:5]
        out.append((source, to, (request or status).split("\\r")[0], call_id))
    return out


def test_two_phones_register_and_call(labs):
    lab = labs.make(script=phone.script(), modules=phone.MODULES)
    trace = lab.dir / "b1.pcap"
    wire = lab.popen("b1", "tcpdump", "-U", "--immediate-mode", "-i", "eth0", "-w", trace, "udp", "port", "5060", stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    end = time.monotonic() + 10
    while not trace.exists() or not trace.stat().st_size:
        assert wire.poll() is None and time.monotonic() < end
        time.sleep(0.02)
    bob = Baresip(lab, "bob", "b1", "10.20.0.1", "answermode=auto")
    bob.registered()
    alice = Baresip(lab, "alice", "caller", "10.10.0.1")
    alice.registered()
    alice.command("dial", f"sip:bob@{DOMAIN}")
    alice.wait("CALL_RINGING")
    alice.wait("CALL_ESTABLISHED")
    bob.wait("CALL_ESTABLISHED")
    time.sleep(0.5)
    alice.command("hangup")
    bob.wait("CALL_CLOSED")
    alice.wait("CALL_CLOSED")
    made = lab.transactions()["txn_created"]
    said = alice.said(), bob.said()
    alice.close()
    bob.close()
    wire.terminate()
    wire.wait(10)
    lab.processes.remove(wire)
    messages = recorded(lab, trace)
    # What one call was at Bob's, between the proxy's side there and him.
    ids = {call_id for _, _, line, call_id in messages if line.startswith("INVITE")}
    assert len(ids) == 1, messages
    us, him = "10.20.0.1", "10.20.0.11"
    seen = []
    for source, to, line, call_id in messages:
        if call_id in ids and (not seen or seen[-1] != (source, to, line.split()[0] if not line.startswith("SIP") else line.split()[1])):
            seen.append((source, to, line.split()[0] if not line.startswith("SIP") else line.split()[1]))
    order = [(a, b, w) for a, b, w in seen if w != "100"]
    assert order == [(us, him, "INVITE"), (him, us, "180"), (him, us, "200"), (us, him, "ACK"), (us, him, "BYE"), (him, us, "200")], messages
    assert any(line.startswith("REGISTER") for *_, line, _ in messages)
    assert made >= 2, "INVITE and BYE went by t_relay()"
    for text in said:
        assert "Call established" in text or "call established" in text.lower(), text


def test_a_phone_that_went_is_not_found(labs):
    """baresip takes its registration away when it ends; then its user is not there."""
    lab = labs.make(script=phone.script(), modules=phone.MODULES)
    bob = Baresip(lab, "bob", "b1", "10.20.0.1", "answermode=auto")
    bob.registered()
    caller = phone.Phone(lab, "carol")
    watch = phone.Phone(lab, "bob")
    assert len(watch.registered([])) == 1
    bob.close()
    end = time.monotonic() + 5
    while watch.registered([]) != {}:
        assert time.monotonic() < end
        time.sleep(0.1)
    caller.invite(watch.aor)
    caller.expect(404)
