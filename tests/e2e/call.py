# SPDX-License-Identifier: BSD-3-Clause
"""A caller and two backends by hand, and the steps of a call that most tests begin with."""
import select

from ua import PATIENCE_S, UA

EDGE = ("10.10.0.1", 5060)
ALICE = "sip:alice@10.10.0.1"


class Call:
    """A caller at the edge and both backends at the core, IPv4."""

    def __init__(self, lab, backends=2):
        self.lab = lab
        self.caller = UA(lab, "caller", "10.10.0.2")
        self.backend = [UA(lab, f"b{i + 1}", f"10.20.0.{11 + i}", 5060) for i in range(backends)]

    def at_a_backend(self, timeout=PATIENCE_S):
        """(backend, message): the next message that reaches any backend."""
        ready, _, _ = select.select([b.sock for b in self.backend], [], [], timeout)
        assert ready, "nothing reached a backend\n" + self.lab.log()[-2000:]
        b = next(b for b in self.backend if b.sock in ready)
        return b, b.receive()

    def nothing_at_backends(self, seconds=0.5):
        ready, _, _ = select.select([b.sock for b in self.backend], [], [], seconds)
        return not ready

    def invite(self, **kw):
        """Sends an INVITE and returns (its text, backend, what the backend got)."""
        text = self.caller.request("INVITE", ALICE, **kw)
        self.caller.send(text, EDGE)
        return (text, *self.at_a_backend())

    def established(self):
        """A dialog: (backend, the backend's INVITE, the caller's 200)."""
        _, backend, invite = self.invite()
        backend.answer(invite, 200)
        ok = self.caller.receive()
        assert ok.status == 200
        self.caller.send(self.in_dialog(ok, "ACK", cseq=1), EDGE)
        ack = backend.receive()
        assert ack.method == "ACK"
        return backend, invite, ok

    def in_dialog(self, ok, method, cseq=2, **kw):
        """A request of the caller inside the dialog that `ok` confirmed: the route set in reverse (RFC 3261 12.1.2)."""
        return self.caller.request(method, ok.contact_uri(), routes=reversed(ok.record_routes()), call_id=ok.get("call-id"),
                                   from_tag=ok.tag("from"), to_tag=ok.tag("to"), cseq=cseq, to=ok.get("to").split(";tag=")[0], **kw)

    def from_callee(self, backend, invite, method, cseq=1, **kw):
        """A request of the callee inside the dialog: the route set as it stands, From and To swapped."""
        return backend.request(method, invite.contact_uri(), routes=invite.record_routes(), call_id=invite.get("call-id"),
                               from_tag="callee", to_tag=invite.tag("from"), cseq=cseq,
                               to=invite.get("from").split(";tag=")[0], **kw)


def replace_method(text, method, to_tag=None):
    """The CANCEL or the ACK of a failure for an INVITE: same branch, Call-ID, From, CSeq number (RFC 3261 9.1, 17.1.1.3)."""
    out = text.replace(b"INVITE ", method.encode() + b" ", 1).replace(b" INVITE\r\n", b" " + method.encode() + b"\r\n")
    head, _, _ = out.partition(b"\r\n\r\n")
    lines = []
    for line in head.split(b"\r\n"):
        if line.startswith(b"Content-Length:"):
            line = b"Content-Length: 0"
        if to_tag and line.startswith(b"To:"):
            line += b";tag=" + to_tag.encode()
        if line.startswith(b"Content-Type:"):
            continue
        lines.append(line)
    return b"\r\n".join(lines) + b"\r\n\r\n"
