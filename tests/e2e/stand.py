# SPDX-License-Identifier: BSD-3-Clause
"""One lab for many messages: a siplane that forwards whatever it may, and what became of each message.

A message is sent as it stands. Its outcome is read at three places: what came back to the caller (on the port that
the top Via names, RFC 3261 18.2.2), what reached the backend, and which counter moved.
"""
import re
import select
import time

from conftest import Labs
from ua import UA, Message

MODULES = "".join(f'loadmodule "{m}.so"\n' for m in ("sl", "rr", "maxfwd", "siputils", "textops"))
FORWARD_ALL = """
request_route {
	if (af == INET6) $du = "sip:[fd00:20::11]:5060"; else $du = "sip:10.20.0.11:5060";
	forward();
}
"""
OUR_VIA = re.compile(rb"Via: SIP/2\.0/UDP (?:10\.20\.0\.1|\[fd00:20::1\])(?::5060)?;branch=z9hG4bK[a-z0-9]+;sp=[a-z0-9]+\r\n")
HEAD = 'reply_rate = 100000\n'


class Stand:
    """`ports`: those that the senders' Vias name, so that replies are seen there."""

    def __init__(self, ports=(5060,), script=FORWARD_ALL, modules=MODULES, head=HEAD, driver="tap", **kw):
        self.labs = Labs()
        try:
            self.lab = self.labs.make(driver, script=script, modules=modules + 'loadmodule "dispatcher.so"\n', head=head, **kw)
            self.caller = {4: UA(self.lab, "caller", "10.10.0.2"), 6: UA(self.lab, "caller", "fd00:10::2")}
            self.edge = {4: ("10.10.0.1", 5060), 6: ("fd00:10::1", 5060)}
            self.core = {4: ("10.20.0.1", 5060), 6: ("fd00:20::1", 5060)}
            self.backend = {4: UA(self.lab, "b1", "10.20.0.11", 5060), 6: UA(self.lab, "b1", "fd00:20::11", 5060)}
            self.at_port = [UA(self.lab, "caller", self.caller[f].address, p) for f in (4, 6) for p in ports]
        except BaseException:
            self.close()
            raise

    def close(self):
        for lab in self.labs.all:
            lab.close()

    def finish(self):
        """The labs fixture's last checks."""
        stats = self.balanced()
        assert stats["held"] == 0 and stats["waiting"] == 0, stats
        assert self.lab.siplane.poll() is None, self.lab.log()[-4000:]
        status, seconds = self.lab.stop_siplane()
        assert status == 0 and seconds < 10, (status, seconds, self.lab.log()[-6000:])

    def balanced(self, timeout=5):
        """The counters, once frames in = done + dropped + held."""
        end = time.monotonic() + timeout
        while True:
            stats = self.lab.stats()
            if stats["exact"] and stats["in"] == stats["done"] + stats["dropped"] + stats["held"]:
                return stats
            assert self.lab.siplane.poll() is None, self.lab.log()[-4000:]
            assert time.monotonic() < end, stats
            time.sleep(0.01)

    def drain(self):
        for ua in [*self.caller.values(), *self.backend.values(), *self.at_port]:
            while select.select([ua.sock], [], [], 0)[0]:
                ua.sock.recvfrom(70000)

    def wait(self, uas, seconds=3):
        """(where, message): the next one that reaches any of them, or (None, None)."""
        ready = select.select([u.sock for u in uas], [], [], seconds)[0]
        if not ready:
            return None, None
        ua = next(u for u in uas if u.sock in ready)
        return ua, ua.receive()

    def send(self, text, family=4):
        """Sends a message and waits until it is counted: {counter: how far it moved}."""
        self.drain()
        before = self.balanced()
        self.caller[family].send(text, self.edge[family])
        return self.moved(before)

    def respond(self, text, family=4):
        self.drain()
        before = self.balanced()
        self.backend[family].send(text, self.core[family])
        return self.moved(before)

    SIP = ("forwarded", "answered", "script_drop", "script_silent")

    def moved(self, before, timeout=4):
        end = time.monotonic() + timeout
        while True:
            now = self.balanced()
            out = {k: v - before.get(k, 0) for k, v in now.items() if isinstance(v, int) and v != before.get(k, 0)}
            if out.get("forwarded") or out.get("answered") or any(k.startswith("drop/") for k in out):
                return out
            assert time.monotonic() < end, f"the message is not counted: {out}"
            time.sleep(0.005)

    # ---- outcomes ----

    def forwarded(self, text, family=4, top_received=None):
        """What reached the backend is what was sent but for what RFC 3261 16.6, 18.2.1 and 18.3 ask for."""
        moved = self.send(text, family)
        _, got = self.wait([self.backend[family]])
        assert got is not None, f"nothing reached the backend: {moved} {self.answer(0.1)}"
        assert len(OUR_VIA.findall(got.data)) == 1
        assert OUR_VIA.match(b"Via: " + got.all("via")[0].encode() + b"\r\n"), "ours is the topmost Via"
        assert self.answer(0) is None
        caller = self.caller[family]
        plain = OUR_VIA.sub(b"", got.data, count=1)
        plain = plain.replace(f";rport={caller.port}".encode(), b";rport", 1)
        assert plain.count(f";received={caller.address}".encode()) == 1
        plain = plain.replace(f";received={caller.address}".encode(), b"", 1)
        assert plain == expected(text, top_received)
        return got

    def answer(self, seconds=3):
        return self.wait([*self.caller.values(), *self.at_port], seconds)[1]

    def answered(self, text, status, family=4, port=5060, reason=None, cap=1.5):
        """The reply: its status, where it came, and that it belongs to the request (RFC 3261 8.2.6)."""
        moved = self.send(text, family)
        assert moved.get("answered"), moved
        at, got = self.wait([*self.caller.values(), *self.at_port])
        assert got is not None, "no reply came"
        assert got.status == status, got
        assert at.port == (port or self.caller[family].port) and at.address == self.caller[family].address
        if reason:
            assert reason.lower() in got.start.lower(), got.start
        if cap:
            assert len(got.data) <= cap * len(text)
        assert got.get("content-length") == "0" and got.body == b""
        asked = Message(text)
        assert len(got.vias()) >= 1
        for name in ("call-id", "cseq", "from"):
            assert (got.get(name) or "") == (asked.get(name) or ""), name
        assert self.wait([*self.backend.values()], 0)[1] is None, "it reached the backend too"
        return got

    def dropped(self, moved, counter):
        assert moved.get(f"drop/{counter}") == 1, moved
        assert "forwarded" not in moved and "answered" not in moved
        assert self.answer(0.05) is None and self.wait([*self.backend.values()], 0)[1] is None

    # ---- responses ----

    def cross_response(self, text, family=4, top=1, next_via=None):
        """
        Sends a response whose top Via is ours. The others' Vias in `text` are what the caller had written, so a
        request with the Via below ours is forwarded first, and what the backend saw is put in front of the rest.
        Returns (counters, the response as it was sent, without our Via).
        """
        asked = Message(text)
        theirs = next_via or asked.vias()[top]
        request = (f"OPTIONS sip:x@example.com SIP/2.0\r\nVia: {theirs}\r\nMax-Forwards: 70\r\n"
                   f"From: {asked.get('from')}\r\nTo: <sip:x@example.com>\r\nCall-ID: {asked.get('call-id')}\r\n"
                   f"CSeq: {asked.get('cseq')}\r\nContent-Length: 0\r\n\r\n").replace("OPTIONS", asked.get("cseq").split()[1])
        self.send(request.encode(), family)
        _, seen = self.wait([self.backend[family]])
        assert seen is not None, "the request did not cross: " + repr(self.answer(0.1))
        head, blank, body = text.partition(b"\r\n\r\n")
        lines = head.split(b"\r\n")
        rest = [line for line in lines[1:] if not line.lower().startswith(b"via:")]
        below = [f"Via: {v}".encode() for v in [seen.vias()[1], *asked.vias()[top + 1:]]]
        without = b"\r\n".join([lines[0], *below, *rest]) + blank + body
        whole = b"\r\n".join([lines[0], f"Via: {seen.vias()[0]}".encode(), *below, *rest]) + blank + body
        return self.respond(whole, family), without


def expected(text, top_received=None):
    """`text` as it must leave, our own Via and what we note in the client's left out."""
    text = text.lstrip(b"\r\n")
    head, blank, body = text.partition(b"\r\n\r\n")
    said = re.search(rb"(?im)^(?:content-length|l)[ \t]*:[ \t]*(\d+)", head)
    if said:
        body = body[:int(said.group(1))]
    hops = re.search(rb"(?im)^(max-forwards[ \t]*:\s*)(\d+)", head)
    if hops:
        head = head[:hops.start(2)] + str(int(hops.group(2)) - 1).encode() + head[hops.end(2):]
    else:
        last = [m for m in re.finditer(rb"(?im)^(?:via|v)[ \t]*:.*(?:\r\n[ \t].*)*", head + b"\r\n")][-1]
        at = last.end()
        line = head[last.start():at].rstrip(b"\r")
        head = head[:last.start()] + line + b"\r\nMax-Forwards: 70" + head[last.start() + len(line):]
    if top_received:
        head = head.replace(b";received=" + top_received, b"", 1)
    return head + blank + body
