# SPDX-License-Identifier: BSD-3-Clause
"""Frames by hand: a packet socket in a lab's namespace, and scapy to build and read."""
import json
import socket
import time

from scapy.layers.inet import ICMP, IP, UDP, fragment  # noqa: F401
from scapy.layers.inet6 import IPv6, IPv6ExtHdrFragment  # noqa: F401
from scapy.layers.l2 import ARP, Dot1Q, Ether  # noqa: F401
from scapy.packet import Raw  # noqa: F401

from ua import inside


class Wire:
    """Sees and sends every frame of one interface in one namespace."""

    def __init__(self, lab, who, dev):
        with inside(lab.ns(who)):
            self.sock = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(3))
            self.sock.bind((dev, 3))
        self.mac = json.loads(lab.ip(who, "-j", "link", "show", dev).stdout)[0]["address"]
        self.drain()

    def drain(self):
        self.sock.setblocking(False)
        try:
            while True:
                self.sock.recv(70000)
        except BlockingIOError:
            pass
        self.sock.setblocking(True)

    def send(self, frame):
        self.sock.send(bytes(frame))

    def gather(self, seconds, want=lambda f: True, stop_after=None):
        """Received frames (not those sent from this namespace) that `want` accepts."""
        out, end = [], time.monotonic() + seconds
        while (left := end - time.monotonic()) > 0:
            self.sock.settimeout(left)
            try:
                data, address = self.sock.recvfrom(70000)
            except socket.timeout:
                break
            if address[2] == socket.PACKET_OUTGOING:
                continue
            frame = Ether(data)
            if want(frame):
                out.append(frame)
                if stop_after and len(out) >= stop_after:
                    break
        return out
