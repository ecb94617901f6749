# SPDX-License-Identifier: BSD-3-Clause
"""A user agent by hand: UDP sockets that live in a lab's namespaces, and SIP messages as text."""
import itertools
import os
import re
import socket

from lab.lab import inside

_count = itertools.count(1)
PATIENCE_S = 30  # for what has to come: a test that fails waits so long, a busy machine may need it


class Message:
    """A received message: start line, headers in order, body, and where it came from."""

    def __init__(self, data, source=None):
        self.data, self.source = data, source
        head, _, self.body = data.partition(b"\r\n\r\n")
        lines = re.sub(r"\r\n[ \t]+", " ", head.decode("utf-8", "replace")).split("\r\n")
        self.start = lines[0]
        self.headers = [tuple(part.strip() for part in line.split(":", 1)) for line in lines[1:] if ":" in line]
        self.status = int(self.start.split()[1]) if self.start.startswith("SIP/2.0 ") else None
        words = [] if self.status else self.start.split()
        self.method, self.uri = (words[0], words[1]) if len(words) == 3 else (None, None)

    _COMPACT = {"v": "via", "f": "from", "t": "to", "i": "call-id", "m": "contact", "l": "content-length", "c": "content-type"}

    def all(self, name):
        name = name.lower()
        return [v for k, v in self.headers if self._COMPACT.get(k.lower(), k.lower()) == name]

    def get(self, name):
        values = self.all(name)
        return values[0] if values else None

    def vias(self):
        return [v.strip() for line in self.all("via") for v in line.split(",")]

    def branch(self, n=0):
        m = re.search(r";\s*branch=([^;,\s]+)", self.vias()[n])
        return m.group(1) if m else None

    def tag(self, name):
        m = re.search(r";\s*tag=([^;\s]+)", self.get(name) or "")
        return m.group(1) if m else None

    def record_routes(self):
        return [v.strip() for line in self.all("record-route") for v in line.split(",")]

    def contact_uri(self):
        m = re.search(r"<([^>]+)>", self.get("contact") or "")
        return m.group(1) if m else None

    def __repr__(self):
        return self.data.decode("utf-8", "replace")


class UA:
    """A UDP socket in a namespace that speaks SIP."""

    def __init__(self, lab, who, address, port=0, timeout=PATIENCE_S):
        self.lab, self.timeout, self.who, self.address = lab, timeout, who, address
        with inside(lab.ns(who)):
            self.sock = socket.socket(socket.AF_INET6 if ":" in address else socket.AF_INET, socket.SOCK_DGRAM)
        self.sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4 << 20)
        self.sock.bind((address, port))
        self.port = self.sock.getsockname()[1]
        self.sock.settimeout(timeout)  # for who reads it by himself

    @property
    def host(self):
        return f"[{self.address}]" if ":" in self.address else self.address

    def send(self, text, to):
        self.sock.sendto(text if isinstance(text, bytes) else text.encode(), to)

    def receive(self, timeout=None):
        """The next message; a keep-alive's answer is a Message too."""
        # Each time: a short look for what is not to come says nothing about the next message.
        self.sock.settimeout(self.timeout if timeout is None else timeout)
        data, source = self.sock.recvfrom(70000)
        return Message(data, source)

    def asked(self, request, to, hear=None):
        """What comes next, as hear(timeout) or receive() has it. A request that is lost, on a machine that is too busy even for ARP, is sent again (RFC 3261 17.1.2)."""
        hear = hear or self.receive
        for _ in range(3):
            self.send(request, to)
            try:
                return hear(self.timeout / 4)
            except socket.timeout:
                pass
        self.send(request, to)
        return hear(self.timeout)

    def receive_of(self, request):
        """The next message of a request's call: what is sent again of others, timers being what they are, is passed over."""
        wanted = Message(request).get("call-id")
        while True:
            got = self.receive()
            if got.get("call-id") == wanted:
                return got

    def silent(self, seconds=0.6):
        """Whether nothing comes for a while."""
        try:
            self.receive(seconds)
            return False
        except socket.timeout:
            return True

    def request(self, method, uri, headers=(), body="", branch=None, call_id=None, cseq=1, from_tag=None, to_tag=None,
                to=None, routes=(), contact=True, cseq_method=None, via_port=None):
        """The text of a request from here."""
        n = next(_count)
        call_id = call_id or f"call{n}-{os.getpid()}@{self.address}"
        lines = [f"{method} {uri} SIP/2.0",
                 f"Via: SIP/2.0/UDP {self.host}:{via_port or self.port};branch={branch or f'z9hG4bKua{n}x{os.getpid()}'};rport",
                 *[f"Route: {r}" for r in routes],
                 "Max-Forwards: 70",
                 f"From: <sip:caller@{self.host}>;tag={from_tag or f'f{n}'}",
                 f"To: {to or f'<{uri}>'}" + (f";tag={to_tag}" if to_tag else ""),
                 f"Call-ID: {call_id}",
                 f"CSeq: {cseq} {cseq_method or method}"]
        if contact:
            lines.append(f"Contact: <sip:caller@{self.host}:{self.port}>")
        lines += list(headers)
        body = body.encode() if isinstance(body, str) else body
        lines.append(f"Content-Length: {len(body)}")
        return ("\r\n".join(lines) + "\r\n\r\n").encode() + body

    def reply(self, request, status, reason="OK", to_tag="callee", headers=(), body="", contact=True):
        """The text of a response to a received request."""
        lines = [f"SIP/2.0 {status} {reason}"]
        lines += [f"Via: {v}" for v in request.all("via")]
        lines += [f"Record-Route: {v}" for v in request.all("record-route")]
        lines.append(f"From: {request.get('from')}")
        to = request.get("to")
        lines.append(f"To: {to}" + ("" if ";tag=" in to or status == 100 else f";tag={to_tag}"))
        lines += [f"Call-ID: {request.get('call-id')}", f"CSeq: {request.get('cseq')}"]
        if contact:
            lines.append(f"Contact: <sip:callee@{self.host}:{self.port}>")
        lines += list(headers)
        body = body.encode() if isinstance(body, str) else body
        lines.append(f"Content-Length: {len(body)}")
        return ("\r\n".join(lines) + "\r\n\r\n").encode() + body

    def answer(self, request, status, reason="OK", **kw):
        """Sends a response where the request's top Via says (RFC 3261 18.2.2, RFC 3581)."""
        self.send(self.reply(request, status, reason, **kw), request.source[:2])

    def close(self):
        self.sock.close()
