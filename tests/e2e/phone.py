# SPDX-License-Identifier: BSD-3-Clause
"""Phones by hand: they register, call and are called, one message at a time; and the proxy's script that serves them."""
import select
import time

from ua import PATIENCE_S, UA, Message

EDGE, CORE = ("10.10.0.1", 5060), ("10.20.0.1", 5060)
DOMAIN = "10.10.0.1"
MODULES = "".join(f'loadmodule "{m}.so"\n' for m in
                  ("sl", "tm", "rr", "maxfwd", "siputils", "textops", "usrloc", "registrar", "dispatcher"))
SDP = "v=0\r\no=- 1 1 IN IP4 {0}\r\ns=-\r\nc=IN IP4 {0}\r\nt=0 0\r\nm=audio 4000 RTP/AVP 0\r\n"


def script(before_relay="", relay="t_relay()", save='save("location")', params="", blocks="", initial="", reply_routes=""):
    """
    A registrar and stateful proxy as operators write it. `initial` runs first for requests outside of a dialog,
    `before_relay` when the callee has been found; `params` are modparam lines, `blocks` further route blocks.
    """
    return f"""
{params}
request_route {{
	if (!mf_process_maxfwd_header("10")) {{ sl_send_reply("483", "Too Many Hops"); exit; }}
	if (is_method("CANCEL")) {{
		if (t_check_trans()) t_relay();
		exit;
	}}
	if (has_totag()) {{
		if (loose_route()) {{
			if (!t_relay()) sl_reply_error();
			exit;
		}}
		if (is_method("ACK")) {{
			if (t_check_trans()) t_relay();
			exit;
		}}
		sl_send_reply("404", "Not Here");
		exit;
	}}
	{initial}
	if (is_method("REGISTER")) {{
		{save};
		exit;
	}}
	if (is_method("INVITE|SUBSCRIBE")) record_route();
	if (!lookup("location")) {{
		sl_send_reply("404", "Not Found");
		exit;
	}}
	{before_relay}
	if (!{relay}) sl_reply_error();
}}
{blocks}
{reply_routes}
"""


class Phone(UA):
    """A user's phone. It sits in `who`'s network and talks to the appliance's side there."""

    ADDRESSES = {"caller": "10.10.0.2", "b1": "10.20.0.11", "b2": "10.20.0.12", "b3": "10.20.0.13"}

    def __init__(self, lab, user, who="caller", port=0, timeout=PATIENCE_S, proxy=None, address=None):
        super().__init__(lab, who, address or self.ADDRESSES[who], port, timeout)
        self.user = user
        self.proxy = proxy or (EDGE if who == "caller" else CORE)
        self.aor = f"sip:{user}@{DOMAIN}"
        self.uri = f"sip:{user}@{self.host}:{self.port}"
        self.call_id, self.cseq = f"reg-{user}-{self.port}@{self.host}", 0
        self.seen = set()

    # ---- sending ----

    def request(self, method, uri, **kw):
        return super().request(method, uri, **kw).replace(b"sip:caller@", f"sip:{self.user}@".encode())

    def reply(self, request, status, reason="OK", to_tag=None, **kw):
        text = super().reply(request, status, reason, to_tag=to_tag or f"t{self.user}{self.port}", **kw)
        return text.replace(b"Contact: <sip:callee@", f"Contact: <sip:{self.user}@".encode())

    def to_proxy(self, text):
        self.send(text, self.proxy)
        return text

    def registration(self, contacts=None, expires=None, headers=(), to=None, call_id=None, cseq=None, domain=DOMAIN):
        """The text of a REGISTER. `contacts`: Contact values; by default this phone's own, [] for none."""
        if cseq is None:
            self.cseq += 1
        contacts = [f"<{self.uri}>"] if contacts is None else contacts
        lines = [f"Contact: {c}" for c in contacts] + ([f"Expires: {expires}"] if expires is not None else []) + list(headers)
        text = self.request("REGISTER", f"sip:{domain}", headers=lines, contact=False, call_id=call_id or self.call_id,
                            cseq=self.cseq if cseq is None else cseq, to=to or f"<{self.aor}>")
        return text

    def register(self, *args, **kw):
        """Registers and returns the answer."""
        return self.asked(self.registration(*args, **kw), self.proxy, lambda timeout: self.expect(None, timeout))

    def registered(self, *args, **kw):
        """Registers, has to be let in, and returns the bindings that the 200 lists: {URI: parameters}."""
        got = self.register(*args, **kw)
        assert got.status == 200, got
        return bindings(got)

    def invite(self, uri, sdp=True, headers=(), **kw):
        headers = [*headers, "Content-Type: application/sdp"] if sdp else headers
        return self.to_proxy(self.request("INVITE", uri, headers=headers, body=SDP.format(self.address) if sdp else "", **kw))

    def in_dialog(self, ok, method, cseq=2, headers=(), body="", **kw):
        """The text of a caller's request in the dialog that `ok` made (RFC 3261 12.1.2)."""
        return self.request(method, ok.contact_uri(), routes=reversed(ok.record_routes()), call_id=ok.get("call-id"),
                            from_tag=ok.tag("from"), to_tag=ok.tag("to"), cseq=cseq, to=ok.get("to").split(";tag=")[0],
                            headers=headers, body=body, **kw)

    def in_dialog_back(self, invite, method, cseq=1, headers=(), body="", **kw):
        """The text of a callee's request in the dialog that `invite` made (RFC 3261 12.1.1)."""
        return self.request(method, invite.contact_uri(), routes=invite.record_routes(), call_id=invite.get("call-id"),
                            from_tag=f"t{self.user}{self.port}", to_tag=invite.tag("from"), cseq=cseq,
                            to=invite.get("from").split(";tag=")[0], headers=headers, body=body, **kw)

    def ack(self, ok):
        return self.to_proxy(self.in_dialog(ok, "ACK", cseq=int(ok.get("cseq").split()[0])))

    # ---- receiving ----

    def next(self, timeout=None):
        """The next message that is no retransmission, which on a busy machine comes at any time."""
        end = time.monotonic() + (self.timeout if timeout is None else timeout)
        while True:
            got = self.receive(max(0.001, end - time.monotonic()))
            if got.data not in self.seen:
                self.seen.add(got.data)
                return got

    def expect(self, what, timeout=None):
        """The next message, which has to be this method or status. A 100 nobody asked for is passed over."""
        while True:
            got = self.next(timeout)
            if got.status == 100 and what != 100:
                continue
            assert what is None or what in (got.status, got.method), f"{self.user} wants {what}, but got\n{got}"
            return got

    def drain(self):
        while select.select([self.sock], [], [], 0)[0]:
            self.sock.recvfrom(70000)


def quiet(*phones, seconds=0.2):
    """Nothing new comes to any of them."""
    end = time.monotonic() + seconds
    while (left := end - time.monotonic()) > 0:
        for sock in select.select([p.sock for p in phones], [], [], left)[0]:
            phone = next(p for p in phones if p.sock is sock)
            data, _ = sock.recvfrom(70000)
            assert data in phone.seen, f"{phone.user} got\n{Message(data)}"


def any_of(phones, timeout=PATIENCE_S):
    """(phone, message): what comes next to any of them, no retransmission."""
    end = time.monotonic() + timeout
    while True:
        ready = select.select([p.sock for p in phones], [], [], max(0, end - time.monotonic()))[0]
        assert ready, f"nothing came to {', '.join(p.user for p in phones)}"
        phone = next(p for p in phones if p.sock in ready)
        got = phone.receive()
        if got.data not in phone.seen:
            phone.seen.add(got.data)
            return phone, got


def bindings(ok):
    """The Contacts of a 200 to a REGISTER: {URI: {parameter: value}}."""
    out = {}
    for line in ok.all("contact"):
        for value in split(line):
            uri, _, rest = value.strip().lstrip("<").partition(">")
            parts = [p.partition("=") for p in rest.split(";") if p.strip()]
            out[uri] = {k.strip().lower(): v.strip() for k, _, v in parts}
    return out


def split(line):
    """The values of a header field, at the commas outside of angle brackets and quotes."""
    out, depth, quoted = [""], 0, False
    for c in line:
        quoted ^= c == '"'
        depth += {"<": 1, ">": -1}.get(c, 0) if not quoted else 0
        if c == "," and not depth and not quoted:
            out.append("")
        else:
            out[-1] += c
    return out


def call(caller, callee, **kw):
    """A call up to its ACK: (the callee's INVITE, the caller's 200)."""
    caller.invite(callee.aor, **kw)
    got = callee.expect("INVITE")
    callee.answer(got, 180, "Ringing")
    caller.expect(180)
    callee.answer(got, 200)
    ok = caller.expect(200)
    caller.ack(ok)
    callee.expect("ACK")
    return got, ok


def hang_up(caller, callee, ok, cseq=2):
    caller.to_proxy(caller.in_dialog(ok, "BYE", cseq=cseq))
    callee.answer(callee.expect("BYE"), 200)
    return caller.expect(200)
