# SPDX-License-Identifier: BSD-3-Clause
"""Two builds of the program `differential` get the same frames; what comes out of both is compared."""
import difflib
import random
import re
import struct
import subprocess
from collections import Counter, namedtuple
from concurrent.futures import ThreadPoolExecutor

import datagram
import messages
import mutate

BATCH = 250  # records that stand in one batch
BURST_MAX = 12
STATUSES = [t.encode("latin-1") for t in (
    "SIP/2.0 200 OK", "SIP/2.0 100 Trying", "SIP/2.0 180 Ringing", "SIP/2.0 404 Not Found", "SIP/2.0 699 ", "SIP/2.0 200", "SIP/2.0 099 x",
    "sip/2.0 200 OK", "SIP/2.0 700 x", "SIP/2.0 503 Service Unavailable due to a rather long reason phrase \xc3\xa9")]
# What is of each program's own making: branches, tokens of our Record-Routes and Vias, tags of our replies.
TOKEN = re.compile(rb"(?i)(?:(?<=;branch=z9hG4bK)[a-z2-7]{16}(?![a-z2-7])|(?<=;sp=)[a-z2-7]{9,}|(?<=;tag=)[a-z2-7]{12}(?=[\r; ]|$))")

# frames: (port, queue, bytes) each; in a follow-up the frames of each program are its own.
Record = namedtuple("Record", "name frames")
Answer = namedtuple("Answer", "frames counters")
Difference = namedtuple("Difference", "kind record answers names")


class Ended(Exception):
    """A program went away, or says what it should not."""


class Program:
    def __init__(self, command):
        self.command = command
        self.process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        try:
            self.names = [self.read(self.read(1)[0]).decode() for _ in range(*struct.unpack("<H", self.read(2)))]
        except Ended:
            self.process.kill()
            raise

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.process.kill()
        self.process.communicate()

    def read(self, n):
        data = self.process.stdout.read(n)
        if len(data) != n:
            said = self.process.stderr.read().decode(errors="replace")
            raise Ended(f"{self.command[0]}: exit status {self.process.wait()}\n{said[-3000:]}")
        return data

    def run(self, records):
        """The answer to each record, a list of frames; a program that ended is said by Ended."""
        parts = []
        for frames in records:
            parts.append(struct.pack("<H", len(frames)))
            for port, queue, frame in frames:
                parts += [struct.pack("<BBI", port, queue, len(frame)), frame]
        body = b"".join(parts)
        try:
            self.process.stdin.write(struct.pack("<I", len(body)) + body)
            self.process.stdin.flush()
        except BrokenPipeError:
            pass  # why is said by what is to be read
        return [self.answer() for _ in records]

    def answer(self):
        frames = []
        for _ in range(*struct.unpack("<H", self.read(2))):
            port, length = struct.unpack("<BI", self.read(5))
            frames.append((port, self.read(length)))
        moved = (struct.unpack("<HQ", self.read(10)) for _ in range(*struct.unpack("<H", self.read(2))))
        return Answer(frames, {self.names[i]: by for i, by in moved})


# ---- what is sent ----

def sender(lot, port=None, family=None):
    """(port, source, destination) of a datagram to one of our listeners."""
    at = lot.choice([a for a in datagram.LISTENERS if port in (None, a[0]) and family in (None, datagram.family(a[1]))])
    network = at[0], datagram.family(at[1])
    return at[0], lot.choice(datagram.PEERS[network]) if lot.randrange(20) else datagram.STRANGERS[network], at[1:]


def pick(lot, texts):
    """One of the messages; our own, which stand in front, more often than those of the corpus, of which many are no SIP."""
    return texts[int(len(texts) * lot.random() ** 2)]


def make(seed, texts):
    """The record of a seed: one message, a burst of mixed ones, or frames with odd headers. The first seeds, as many as there are
    messages, send each as it is."""
    lot = random.Random(seed)
    queue = 0 if lot.randrange(8) else 1
    if seed < len(texts):
        port, source, destination = sender(lot)
        return Record(f"{seed}", [(port, queue, datagram.build(port, source, destination, texts[seed]))])
    kind = lot.randrange(8)
    if kind < 4:
        port, source, destination = sender(lot)
        text = mutate.message(lot, pick(lot, texts), lot.randrange(5))
        return Record(f"{seed}", [(port, queue, datagram.build(port, source, destination, text))])
    frames = []
    for _ in range(1 + lot.randrange(BURST_MAX)):
        port, source, destination = sender(lot)
        text = pick(lot, texts)
        if kind < 7:
            data = datagram.build(port, source, destination, mutate.message(lot, text, lot.choice((0, 0, 1, 3))))
        else:
            data = mutate.frame(lot, datagram.build(port, source, destination, text[:1400]), lot.randrange(4))
        frames.append((port, queue, data))
    return Record(f"{seed} burst" if kind < 7 else f"{seed} frames", frames)


def placeholder(n, length):
    """Stands for a token, as long as it is."""
    return (b"q%dq" % n).ljust(length, b"z")


class Tokens:
    """The tokens of one message that left both programs, by a name that stands for them until it is sent on."""

    def __init__(self, payloads):
        found = [list(dict.fromkeys(TOKEN.findall(p))) for p in payloads]
        self.equal = [len(t) for t in found[0]] == [len(t) for t in found[1]]
        self.names = [placeholder(n, len(t)) for n, t in enumerate(found[0])]
        self.own = [dict(zip(self.names, t)) for t in found]

    def hide(self, which, text):
        for name, token in self.own[which].items():
            text = text.replace(token, name)
        return text

    def show(self, which, text):
        for name, token in self.own[which].items():
            text = text.replace(name, token)
        return text


def line(text, name, nth=0):
    """The value of the nth header of a name, b"" where there is none."""
    found = re.findall(rb"(?im)^" + name + rb"[ \t]*:[ \t]*([^\r\n]*)\r$", text.partition(b"\r\n\r\n")[0] + b"\r\n")
    return found[nth] if nth < len(found) else b""


def respond(lot, text):
    status = STATUSES[0] if lot.randrange(2) else lot.choice(STATUSES)
    return mutate.message(lot, status + b"\r\n" + text.partition(b"\r\n")[2], lot.randrange(4))


def within_dialog(lot, text, six):
    """A request of either party of the dialog that a forwarded request would open; first the port that it comes in by. None where the
    request has no Record-Route."""
    routes = [r for r in (line(text, b"Record-Route", n) for n in (0, 1)) if r]
    if not routes:
        return None, None
    up = lot.randrange(2)
    caller, callee = ("[fd00:10::2]:5080", "[fd00:20::11]:5060") if six else ("10.10.0.2:5080", "10.20.0.11:5060")
    by, to = (callee, caller) if up else (caller, callee)
    verb = lot.choice(("BYE", "ACK", "INVITE", "INFO", "UPDATE"))
    routes = routes if up else routes[::-1]
    how = lot.randrange(4)
    if how == 1:
        routes = [b", ".join(routes)]
    elif how == 2:
        routes.append(b"<sip:10.20.0.12:5070;lr>")
    elif how == 3:
        routes.append(b"<sip:10.20.0.12:5070>,<sip:x@10.20.0.11;lr>")
    parties = [line(text, b"From"), line(text, b"To") + b";tag=callee"]
    made = (f"{verb} sip:target@{to} SIP/2.0\r\nVia: SIP/2.0/UDP {by};branch=z9hG4bKdlg{lot.randrange(10000)};rport\r\n"
            f"Max-Forwards: 70\r\n").encode() + b"".join(b"Route: %s\r\n" % r for r in routes)
    made += b"From: %s\r\nTo: %s\r\n" % tuple(parties[::-1] if up else parties)
    made += b"Call-ID: %s\r\nCSeq: %d %s\r\nContent-Length: 0\r\n\r\n" % (line(text, b"Call-ID"), lot.randrange(100), verb.encode())
    return up, mutate.message(lot, made, lot.randrange(4))


def follow(record, answers, depth):
    """What comes back upon a request that left both programs alike: for each program the records that are made of its own output."""
    sent = [datagram.datagrams(a.frames) for a in answers]
    forwarded = [[s for s in each if s.ends and s.payload[:7] != b"SIP/2.0" and b" SIP/2.0\r\n" in s.payload] for each in sent]
    if len(record.frames) != 1 or not forwarded[0] or not forwarded[1]:
        return []
    first = [each[0] for each in forwarded]
    tokens = Tokens([s.payload for s in first])
    text = tokens.hide(0, first[0].payload)
    if not tokens.equal or text != tokens.hide(1, first[1].payload) or first[0].ends != first[1].ends:
        return []
    lot = random.Random(f"{record.name} {depth}")
    (ours, theirs), port = first[0].ends, first[0].port
    made = [("response", port, theirs, ours, respond(lot, text))]
    if depth == 0 and lot.randrange(2):
        family = datagram.family(ours[0])
        up, request = within_dialog(lot, text, family == 6)
        if request is not None:
            made.append(("in-dialog", *sender(lot, up, family), request))
    return [(Record(f"{record.name} {name}", None), tokens, at, source, destination, text) for name, at, source, destination, text in made]


# ---- what came out ----

def masked(answer, tokens=None, which=0):
    """Each datagram that left as (head, payload), in an order that does not depend on the one in which they left."""
    out = []
    for s in datagram.datagrams(answer.frames):
        payload = tokens.hide(which, s.payload) if tokens else s.payload
        out.append((s.head, TOKEN.sub(lambda m: b"~" * len(m[0]), payload)))
    return sorted(out)


def kind_of(outs, counters):
    """In what two answers differ, in few words; None where they do not."""
    parts = []
    gone, come = (list((Counter(outs[i]) - Counter(outs[1 - i])).elements()) for i in (0, 1))
    if len(outs[0]) != len(outs[1]):
        parts.append(f"{len(outs[0])} datagrams out, {len(outs[1])} now" if not outs[0] or not outs[1] else "another number of datagrams")
    elif gone:
        (head_a, a), (head_b, b) = min(gone), min(come)
        if head_a != head_b:
            parts.append("headers of a frame")
        if a != b:
            parts.append(f"datagram: {field(a, b)}")
    names = sorted(n for n in counters[0].keys() | counters[1].keys() if counters[0].get(n) != counters[1].get(n))
    if names:
        parts.append("counters: " + " ".join(
            f"{n}{'+' if counters[1].get(n, 0) > counters[0].get(n, 0) else '-'}" for n in names))
    return ", ".join(parts) or None


def field(a, b):
    """Where two payloads differ first: a header's name, the start line, or the body."""
    for n, (x, y) in enumerate(zip(a.split(b"\n"), b.split(b"\n"))):
        if x != y:
            if n == 0:
                return "start line"
            name = (x if b":" in x else y).partition(b":")[0]
            return name.decode("latin-1")[:30] if re.fullmatch(rb"[A-Za-z0-9-]+", name) else f"line {n + 1}"
    return "length"


def printable(data):
    text = data.decode("latin-1")
    return "".join(c if " " <= c <= "~" else "\n" if c == "\n" else {"\r": "\\r", "\t": "\\t"}.get(c, f"\\x{ord(c):02x}") for c in text)


def shortened(text, limit=3000):
    return text if len(text) <= limit else f"{text[:limit]}\n[... {len(text) - limit} more characters]"


def report(difference):
    """A difference with the datagrams that show it."""
    d = difference
    lines = [f"record {d.record.name}"]
    for port, queue, frame in d.record.frames:
        lines.append(f"--- in, port {port}, queue {queue}, {len(frame)} bytes, headers {frame[:62].hex()}")
        for s in datagram.datagrams([(port, frame)]):
            lines += [f"    {s.head}", shortened(printable(s.payload))]
    texts = []
    for answer in d.answers:
        text = [f"{name} +{by}" for name, by in sorted(answer.counters.items())]
        for head, payload in masked(answer):
            text += [head, *printable(payload).split("\n")]
        texts.append(text)
    lines += [line[:2000] for line in difflib.unified_diff(*texts, *d.names, lineterm="", n=2)][:80]
    return "\n".join(lines)


class Comparison:
    """`commands` are those of the two programs, `names` what they are called in reports."""

    def __init__(self, commands, names, texts=None):
        self.commands, self.names = commands, names
        self.texts = texts if texts is not None else messages.all_messages()
        self.records = self.sent = 0
        self.counters = Counter()
        self.kinds = Counter()
        self.example = {}

    def note(self, kind, record, answers, name):
        self.kinds[kind] += 1
        if kind not in self.example or len(record.frames) < len(self.example[kind].record.frames):
            self.example[kind] = Difference(kind, record._replace(name=name), answers, self.names)

    def both(self, programs, records):
        """The answers of both to records, one list for each."""
        with ThreadPoolExecutor(2) as pool:
            return list(pool.map(lambda p, r: p.run(r), programs, records))

    def check(self, record, answers, tokens=None):
        self.records += 1
        self.sent += len(answers[0].frames)
        self.counters.update(answers[0].counters)
        if answers[0].frames == answers[1].frames and answers[0].counters == answers[1].counters:
            return True
        kind = kind_of([masked(a, tokens, i) for i, a in enumerate(answers)], [a.counters for a in answers])
        if kind is not None:
            self.note(kind, record, answers, record.name)
        return kind is None

    def batch(self, programs, seeds):
        records = [make(seed, self.texts) for seed in seeds]
        before = self.both(programs, [[r.frames for r in records]] * 2)
        due = []
        for record, answers in zip(records, zip(*before)):
            if self.check(record, answers):
                due += follow(record, answers, 0)
        for depth in (1, 2):
            due = self.follow_ups(programs, due, depth)

    def follow_ups(self, programs, due, depth):
        made = [[[(port, 0, datagram.build(port, source, destination, tokens.show(i, text)))]
                 for _, tokens, port, source, destination, text in due] for i in (0, 1)]
        following = []
        for (record, tokens, *_), frames, answers in zip(due, made[0], zip(*self.both(programs, made))):
            record = record._replace(frames=frames)
            if self.check(record, answers, tokens) and depth == 1:
                following += follow(record, answers, depth)
        return following

    def run(self, seeds, until=lambda: False):
        """Runs records of these seeds, a range; ends early where until() says so, or where a program ended, which is a difference."""
        with Program(self.commands[0]) as a, Program(self.commands[1]) as b:
            for at in range(seeds.start, seeds.stop, BATCH):
                if until():
                    return
                part = range(at, min(at + BATCH, seeds.stop))
                try:
                    self.batch((a, b), part)
                except Ended as e:
                    self.find_end(part, e)
                    return

    def again(self, programs, record):
        """The answers to one record, and in what they differ, which is not noted."""
        answers = [r[0] for r in self.both(programs, [[record.frames]] * 2)]
        return answers, kind_of([masked(a) for a in answers], [a.counters for a in answers])

    def shrink(self, kind):
        """Looks for less that shows the example of a kind: its record alone, then with one frame after another left out. The example
        becomes what was found. A word on whether it shows alone; a program that ends is said by Ended."""
        found = self.example[kind]
        if any(name in found.record.name for name in ("response", "in-dialog")):
            return "a follow-up of what that seed sent first"
        with Program(self.commands[0]) as a, Program(self.commands[1]) as b:
            answers, differs = self.again((a, b), found.record)
            if differs is None:
                return "only after what went before"
            found = found._replace(answers=answers)
            for frame in found.record.frames if len(found.record.frames) > 1 else ():
                less = found.record._replace(frames=[f for f in found.record.frames if f is not frame])
                answers, differs = self.again((a, b), less)
                if differs is not None:
                    found = found._replace(record=less, answers=answers)
        self.example[kind] = found
        return "also alone"

    def find_end(self, seeds, reason):
        """Which seed it is at which a program ends: each in a batch of its own, from the first of these on."""
        with Program(self.commands[0]) as a, Program(self.commands[1]) as b:
            for seed in seeds:
                record = make(seed, self.texts)
                try:
                    self.batch((a, b), [seed])
                except Ended as e:
                    self.note(f"a program ended: {e}", record, (Answer([], {}),) * 2, record.name)
                    return
        self.note(f"a program ended within seeds {seeds.start} to {seeds.stop - 1}, not from there on: {reason}", Record("?", []),
                  (Answer([], {}),) * 2, "?")
