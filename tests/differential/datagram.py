# SPDX-License-Identifier: BSD-3-Clause
"""Frames: UDP datagrams are made, and what left is put together and described. The network is that of differential.h."""
import socket
import struct
from collections import namedtuple

# Where we listen: port, address, UDP port, as network.c has it.
LISTENERS = ((0, "10.10.0.1", 5060), (1, "10.20.0.1", 5060), (0, "fd00:10::1", 5060), (1, "fd00:20::1", 5060), (1, "10.20.0.1", 5070),
             (0, "10.10.0.1", 5070), (1, "fd00:20::1", 5070))
# Who sends, by port and family.
PEERS = {(0, 4): (("10.10.0.2", 5080), ("10.10.0.77", 5080), ("10.10.0.2", 40001)),
         (1, 4): (("10.20.0.11", 5060), ("10.20.0.12", 5060), ("10.20.0.11", 5090)),
         (0, 6): (("fd00:10::2", 5080), ("fd00:10::9", 5060)),
         (1, 6): (("fd00:20::11", 5060), ("fd00:20::12", 5070))}
OUR_MACS = (bytes.fromhex("020000000001"), bytes.fromhex("020000000002"))
# Senders whose MAC is not known: what is to go back to them waits.
STRANGERS = {(0, 4): ("10.10.0.150", 5080), (1, 4): ("10.20.0.200", 5060), (0, 6): ("fd00:10::f0", 5080), (1, 6): ("fd00:20::f0", 5060)}
PEER_MAC = bytes.fromhex("020000000098")
UDP = 17
FRAGMENT = 44  # IPv6 next header

# head: one line of all that is not payload; ends: (source, destination) where it is a UDP datagram.
Sent = namedtuple("Sent", "port head ends payload")


def family(address):
    return 6 if ":" in address else 4


def packed(address):
    return socket.inet_pton(socket.AF_INET6 if ":" in address else socket.AF_INET, address)


def checksum(data):
    """RFC 1071: 0xffff less the sum of the words in ones' complement."""
    total = int.from_bytes(data + b"\0" * (len(data) & 1), "big")
    rest = total % 0xffff
    return 0xffff - (0xffff if rest == 0 and total else rest)


def sum_header(frame):
    """The header of an IPv4 packet in a bytearray gets the checksum that is right, as far as it is there."""
    frame[24:26] = b"\0\0"
    frame[24:26] = struct.pack(">H", checksum(bytes(frame[14:14 + 4 * (frame[14] & 15)])))


def udp_sum(src, dst, udp):
    return checksum(src + dst + struct.pack(">IxxxB", len(udp), UDP) + udp)


def build(port, source, destination, payload):
    """An Ethernet frame to our MAC at a port; source and destination are (address, UDP port)."""
    src, dst = packed(source[0]), packed(destination[0])
    udp = struct.pack(">HHHH", source[1], destination[1], 8 + len(payload), 0) + payload
    udp = udp[:6] + struct.pack(">H", udp_sum(src, dst, udp) or 0xffff) + udp[8:]
    ether = OUR_MACS[port] + PEER_MAC
    if len(src) == 16:
        return ether + b"\x86\xdd" + struct.pack(">IHBB", 6 << 28, len(udp), UDP, 64) + src + dst + udp
    ip = bytearray(ether + b"\x08\x00" + struct.pack(">BBHHHBBH", 0x45, 0, 20 + len(udp), 0, 0x4000, 64, UDP, 0) + src + dst)
    sum_header(ip)
    return bytes(ip) + udp


def parse_ip(frame):
    """(what the header says but for identification and length, key of its datagram, offset, whether more follow, payload), or None."""
    kind = frame[12:14]
    if kind == b"\x08\x00" and len(frame) >= 34 and frame[14] == 0x45 and frame[23] == UDP:
        tos, length, ident, flags, ttl, _, _ = struct.unpack_from(">xBHHHBBH", frame, 14)
        right = checksum(frame[14:34]) == 0 and 20 <= length <= len(frame) - 14
        head = f"tos {tos} ttl {ttl} flags {flags >> 13 & 6}{'' if right else ' IP HEADER IS WRONG'}"
        return head, frame[26:34], ident, (flags & 0x1fff) * 8, bool(flags & 0x2000), frame[34:14 + length]
    if kind == b"\x86\xdd" and len(frame) >= 54 and frame[20] in (UDP, FRAGMENT):
        word, length, following, hops = struct.unpack_from(">IHBB", frame, 14)
        data = frame[54:54 + length]
        head = f"class {word >> 20 & 255} hops {hops}{'' if len(data) == length else ' IP HEADER IS WRONG'}"
        if following == UDP:
            return head, frame[22:54], 0, 0, False, data
        if len(data) >= 8 and data[0] == UDP:
            offset, ident = struct.unpack_from(">xxHI", data)
            return head + " fragment", frame[22:54], ident, offset & 0xfff8, bool(offset & 1), data[8:]
    return None


def datagrams(frames):
    """What left, (port, frame) each, as Sent: fragments put together, right checksums and identifications gone from sight."""
    found, pieces = [], {}
    for port, frame in frames:
        ip = parse_ip(frame)
        if ip is None:
            found.append(Sent(port, f"port {port}: a frame of {len(frame)} bytes", None, frame))
            continue
        head, addresses, ident, offset, more, data = ip
        macs = f"{frame[6:12].hex(':')} > {frame[:6].hex(':')}"
        if offset == 0 and not more:
            found.append(describe(port, f"{macs} {head}", addresses, data, ""))
        else:
            pieces.setdefault((port, macs, head, addresses, ident), []).append((offset, more, data))
    for (port, macs, head, addresses, _), parts in pieces.items():
        data = b""
        for offset, _, part in sorted(parts):
            data = data[:offset].ljust(offset, b"?") + part
        shape = " in pieces of " + "+".join(str(len(part)) for _, _, part in parts)
        ends = sorted(parts)[-1]
        if ends[1] or sum(len(part) for _, _, part in parts) != len(data):
            shape += " THAT MAKE NO DATAGRAM"
        found.append(describe(port, f"{macs} {head}", addresses, data, shape))
    return found


def describe(port, head, addresses, udp, shape):
    half = len(addresses) // 2
    src, dst = (socket.inet_ntop(socket.AF_INET6 if half == 16 else socket.AF_INET, a) for a in (addresses[:half], addresses[half:]))
    if len(udp) < 8:
        return Sent(port, f"port {port}: {head} {src} > {dst} TOO SHORT FOR UDP{shape}", None, udp)
    sport, dport, length, sum_ = struct.unpack_from(">HHHH", udp)
    wrong = "" if length == len(udp) else " LENGTH IS WRONG"
    if sum_ == 0:
        wrong += " without checksum"
    elif udp_sum(addresses[:half], addresses[half:], udp) != 0:
        wrong += " CHECKSUM IS WRONG"
    return Sent(port, f"port {port}: {head} {src} {sport} > {dst} {dport}{shape}{wrong}", ((src, sport), (dst, dport)), udp[8:])
