# SPDX-License-Identifier: BSD-3-Clause
"""
Phones that do anything at any time: answer twice, late, never, with whatever status; cancel, repeat, and send what is broken.

Nothing is asked of single messages. siplane lives on, every frame is accounted for, and when all is quiet no transaction is left.
What is done is drawn from a seed; what comes of it depends on timing, too.
"""
import random
import select
import time

import pytest

from call import replace_method
from phone import DOMAIN, script
from test_register import Rig
from ua import Message

pytestmark = pytest.mark.sanitize

SECONDS = 4
USERS = 8
FINALS = (200, 200, 202, 299, 300, 302, 400, 404, 408, 410, 480, 481, 482, 486, 486, 487, 500, 503, 503, 600, 603, 604, 699)
METHODS = ("MESSAGE", "OPTIONS", "SUBSCRIBE", "INFO", "PUBLISH")
PARAMS = """
modparam("tm", "fr_timer", 400)
modparam("tm", "fr_inv_timer", 1000)
modparam("tm", "retr_timer1", 20)
modparam("tm", "absorb_timer", 1280)
modparam("tm", "wt_timer", 300)
modparam("registrar", "min_expires", 1)
"""
# Each way that a transaction can go, by the number of the caller's CSeq.
WAYS = """
	t_on_branch("mark");
	t_on_reply("seen");
	if ($cs % 7 == 1) t_on_failure("mail");
	if ($cs % 7 == 2) t_on_failure("again");
	if ($cs % 7 == 3) { append_branch(); t_on_failure("own"); }
	if ($cs % 7 == 4) { t_newtran(); t_reply("480", "Not Now"); exit; }
	if ($cs % 7 == 5) { setflag(3); $avp(way) = "five"; $avp(way) = $rU; }
"""
BLOCKS = """
branch_route[mark] {
	append_hf("X-Branch: $avp(way)\\r\\n");
	if ($cs % 11 == 3) $rU = "changed";
}
onreply_route[seen] {
	if (status =~ "18[0-9]") append_hf("X-Seen: $T_branch_idx\\r\\n");
	if (status == "183") drop;
}
failure_route[mail] {
	if (t_is_canceled()) exit;
	if (t_check_status("486|408|480")) {
		revert_uri();
		prefix("vm-");
		append_branch();
		t_relay();
	}
}
failure_route[again] {
	if (t_check_status("5[0-9][0-9]") || t_branch_timeout()) {
		t_on_failure("own");
		append_branch();
		t_relay();
	}
}
failure_route[own] {
	t_reply("488", "Enough");
}
"""


class Monkey:
    def __init__(self, rig, seed):
        self.rig, self.random = rig, random.Random(seed)
        self.phones = [rig.phone(("caller", "b1", "b2")[n % 3], f"m{seed}x{n}") for n in range(USERS)]
        self.users = [p.user for p in self.phones] + [f"vm-{self.phones[0].user}", "nobody"]
        self.sent = []      # (phone, text), what may come again
        self.pending = []   # (when, phone, text, to)
        self.cseq = 0
        for p in self.phones:
            self.register(p)

    def choice(self, of):
        return of[self.random.randrange(len(of))]

    def chance(self, share):
        return self.random.random() < share

    def send(self, phone, text, to=None):
        if not isinstance(text, bytes):
            text = text.encode()
        self.sent = self.sent[-200:] + [(phone, text, to)]
        phone.send(text, to or phone.proxy)

    def later(self, phone, text, to):
        self.pending.append((time.monotonic() + self.random.random() ** 3 * 1.5, phone, text, to))

    def register(self, phone):
        others = [f"<{p.uri}>;q={self.random.random():.2f}" for p in self.phones if self.chance(0.2)]
        self.send(phone, phone.registration([f"<{phone.uri}>", *others] if self.chance(0.9) else ["*"],
                                            expires=self.choice([0, 1, 60, 3600])))

    def begin(self):
        caller, self.cseq = self.choice(self.phones), self.cseq + 1
        method = "INVITE" if self.chance(0.75) else self.choice(METHODS)
        self.send(caller, caller.request(method, f"sip:{self.choice(self.users)}@{DOMAIN}", cseq=self.cseq, body="x" * self.random.randrange(0, 1200)))

    def broken(self):
        """Something that was sent, with bytes changed, lines doubled or taken away, or cut."""
        phone, text, to = self.choice(self.sent)
        text = bytearray(text)
        kind = self.random.randrange(4)
        if kind == 0:
            for _ in range(self.random.randrange(1, 6)):
                text[self.random.randrange(len(text))] = self.random.randrange(256)
        elif kind == 1:
            del text[self.random.randrange(len(text)):]
        else:
            lines = bytes(text).split(b"\r\n")
            at = self.random.randrange(len(lines))
            lines[at:at + 1] = [lines[at]] * 2 if kind == 2 else []
            text = b"\r\n".join(lines)
        phone.send(bytes(text), to or phone.proxy)

    def act(self):
        n = self.random.random()
        if n < 0.45:
            self.begin()
        elif n < 0.55:
            self.register(self.choice(self.phones))
        elif n < 0.75:
            self.send(*self.choice(self.sent))
        elif n < 0.9:
            phone, text, _ = self.choice(self.sent)
            if text.startswith(b"INVITE "):
                self.send(phone, replace_method(text, self.choice(["CANCEL", "CANCEL", "ACK"])))
        else:
            self.broken()

    def heard(self, phone, got):
        if got.status is None:
            if got.method not in (None, "ACK"):
                self.answer(phone, got)
        elif got.status >= 200 and (got.get("cseq") or "").endswith("INVITE") and self.chance(0.8) and got.contact_uri():
            self.send(phone, phone.in_dialog(got, "ACK", cseq=int(got.get("cseq").split()[0])))
            if got.status < 300 and self.chance(0.7):
                self.later(phone, phone.in_dialog(got, "BYE", cseq=self.cseq + 1000), None)
        elif got.status >= 300 and self.chance(0.8):
            mine = [t for _, t, _ in self.sent if t.startswith(b"INVITE ") and (got.get("call-id") or "-").encode() in t]
            if mine:
                self.send(phone, replace_method(mine[-1], "ACK", got.tag("to")))

    def answer(self, phone, request):
        if self.chance(0.15) or not request.vias():
            return
        to = request.source[:2]
        for status in [100] * self.chance(0.2) + [self.choice([180, 183, 199])] * self.chance(0.6):
            self.later(phone, phone.reply(request, status, "Going On"), to)
        for _ in range(1 + self.chance(0.15)):
            final = self.choice(FINALS) if self.chance(0.5) else 200
            self.later(phone, phone.reply(request, final, "Done", headers=["Retry-After: 1"] * self.chance(0.1)), to)

    def run(self, seconds):
        by_socket = {p.sock: p for p in self.phones}
        end = time.monotonic() + seconds
        while (now := time.monotonic()) < end + 2:
            due = [x for x in self.pending if x[0] <= now]
            self.pending = [x for x in self.pending if x[0] > now]
            for _, phone, text, to in due:
                self.send(phone, text, to)
            if now < end and self.chance(0.6):
                self.act()
            for sock in select.select(list(by_socket), [], [], 0.002)[0]:
                phone = by_socket[sock]
                data, source = sock.recvfrom(70000)
                self.heard(phone, Message(data, source))


@pytest.mark.parametrize("slow,seed", [("", 1), ("cores { slow = 0,1; workers_count = 2; }", 2)], ids=["one_slow", "two_slow"])
def test_phones_that_do_anything(slow, seed):
    rig = Rig(script(params=PARAMS, before_relay=WAYS, blocks=BLOCKS), head=slow)
    try:
        Monkey(rig, seed).run(SECONDS)
        end = time.monotonic() + 12
        while (left := rig.lab.transactions())["transactions"]:
            assert time.monotonic() < end, left
            time.sleep(0.1)
        assert left["txn_created"] == left["txn_ended"] > 100, left
        rig.check()
    finally:
        rig.close()
