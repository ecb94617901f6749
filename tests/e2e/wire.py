# SPDX-License-Identifier: BSD-3-Clause
"""Frames by hand: a packet socket in a lab's namespace, and scapy to build and read."""
import json
import socket
import struct
import time

from scapy.layers.inet import ICMP, IP, UDP, fragment  # noqa: F401
from scapy.layers.inet6 import IPv6, IPv6ExtHdrFragment  # noqa: F401
from scapy.layers.l2 import ARP, Dot1Q, Ether  # noqa: F401
from scapy.packet import Raw  # noqa: F401

from ua import inside

SOL_PACKET, PACKET_AUXDATA, TP_STATUS_VLAN_VALID = 263, 8, 0x10


class Wire:
    """Sees and sends every frame of one interface in one namespace."""

    def __init__(self, lab, who, dev):
        with inside(lab.ns(who)):
            self.sock = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(3))
            self.sock.bind((dev, 3))
        # The kernel takes a VLAN tag out of the frame and tells it beside.
        self.sock.setsockopt(SOL_PACKET, PACKET_AUXDATA, 1)
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
                data, aux, _, address = self.sock.recvmsg(70000, 256)
            except socket.timeout:
                break
            if address[2] == socket.PACKET_OUTGOING:
                continue
            for level, kind, value in aux:
                if level == SOL_PACKET and kind == PACKET_AUXDATA:
                    status, _, _, _, _, tci, tpid = struct.unpack("IIIHHHH", value[:20])
                    if status & TP_STATUS_VLAN_VALID:
                        data = data[:12] + struct.pack("!HH", tpid or 0x8100, tci) + data[12:]
            frame = Ether(data)
            if want(frame):
                out.append(frame)
                if stop_after and len(out) >= stop_after:
                    break
        return out
