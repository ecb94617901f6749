# SPDX-License-Identifier: BSD-3-Clause
"""What tools/compare-builds stands on: a build does not differ from itself, and each sort of change is found and said."""
import os
import pathlib
import random
import stat
import sys

import pytest

FOLDER = pathlib.Path(__file__).resolve().parents[2] / "differential"
sys.path.insert(0, str(FOLDER))
import compare  # noqa: E402
import datagram  # noqa: E402
import messages  # noqa: E402
import mutate  # noqa: E402

PROGRAM = pathlib.Path(os.environ.get("SIPLANE_DIFFERENTIAL", FOLDER.parents[1] / "build/tests/differential/differential"))
SCRIPTS = sorted((FOLDER / "scripts").glob("*.cfg"))
OWN = [t for t in messages.own() if len(t) <= messages.LONGEST]
SEEDS = len(OWN) + 150


@pytest.fixture(scope="module")
def shared(tmp_path_factory):
    folder = tmp_path_factory.mktemp("differential")
    (folder / "list").write_text("1 sip:10.20.0.11:5060\n1 sip:10.20.0.12:5060\n2 sip:[fd00:20::11]:5060\n")
    with compare.Program(command(folder, SCRIPTS[0])):  # makes the keys
        return folder


def command(folder, script, program=PROGRAM):
    return [str(program), str(script), str(folder / "list"), str(folder / "secret")]


def compared(folder, before, now, seeds=SEEDS):
    c = compare.Comparison((command(folder, before), command(folder, now)), ("before", "now"), OWN)
    c.run(range(seeds))
    return c


@pytest.mark.parametrize("script", SCRIPTS, ids=lambda p: p.stem)
def test_a_build_does_not_differ_from_itself(shared, script):
    c = compared(shared, script, script)
    assert not c.kinds, "\n".join(compare.report(d) for d in c.example.values())
    # It is no comparison of nothing: each way that a message can take was taken, and answers came back.
    for name in ("forwarded", "answered", "sip_responses", "fragments_out", "held_neighbour_enter"):
        assert c.counters[name] > 0, name
    assert c.records > 1.2 * SEEDS


def changed(folder, change):
    text = (FOLDER / "scripts/quick.cfg").read_text()
    other = folder / "changed.cfg"
    other.write_text(change(text))
    assert other.read_text() != text
    return compared(folder, FOLDER / "scripts/quick.cfg", other)


def test_a_header_more_is_found_and_named(shared):
    c = changed(shared, lambda t: t.replace("request_route {", 'request_route {\n\tif (is_method("NOTIFY")) append_hf("X-More: 1\\r\\n");'))
    assert any("datagram: " in kind for kind in c.kinds)
    assert not any("counters" in kind for kind in c.kinds)
    assert any("+X-More: 1\\r" in compare.report(d) and "NOTIFY sip:" in compare.report(d) for d in c.example.values())


def test_a_datagram_less_and_its_counters_are_found(shared):
    c = changed(shared, lambda t: t.replace("request_route {", 'request_route {\n\tif (is_method("INFO")) exit;'))
    assert any("1 datagrams out, 0 now, counters: " in kind and "forwarded-" in kind and "script_silent+" in kind for kind in c.kinds)


def test_of_a_burst_that_message_is_left_that_shows_it(shared):
    quick = (FOLDER / "scripts/quick.cfg").read_text()
    (shared / "publish.cfg").write_text(quick.replace("request_route {", 'request_route {\n\tif (is_method("PUBLISH")) exit;'))
    c = compare.Comparison((command(shared, FOLDER / "scripts/quick.cfg"), command(shared, shared / "publish.cfg")), ("before", "now"), OWN)
    listener, ends = 0, (("10.10.0.2", 5080), ("10.10.0.1", 5060))
    burst = [(listener, 0, datagram.build(listener, *ends, messages.request(m))) for m in ("INFO", "PUBLISH", "NOTIFY", "INFO", "INFO")]
    c.note("kind", compare.Record("1 burst", burst), (compare.Answer([], {}),) * 2, "1 burst")
    assert c.shrink("kind") == "also alone"
    assert c.example["kind"].record.frames == [burst[1]]


def test_another_way_is_found(shared):
    c = changed(shared, lambda t: t.replace('if (!ds_select_dst("1", "0"))', '$du = "sip:10.20.0.13";\n\tif (false)'))
    assert "headers of a frame" in c.kinds


def test_what_only_in_dialog_requests_show_is_found(shared):
    ends = 'if (loose_route() && is_method("BYE|UPDATE") && $rU == "target") exit;'
    c = changed(shared, lambda t: t.replace("if (loose_route()) {", f"{ends}\n\t\tif (loose_route()) {{"))
    assert c.kinds
    assert all("in-dialog" in d.record.name for d in c.example.values())


def test_a_program_that_ends_is_a_difference(shared, tmp_path):
    """The second one is fed through something that ends it after some bytes."""
    broken = tmp_path / "broken"
    broken.write_text(f'#!/bin/sh\ndd bs=4096 count=20 status=none | {PROGRAM} "$@"\n')
    broken.chmod(broken.stat().st_mode | stat.S_IXUSR)
    c = compare.Comparison((command(shared, SCRIPTS[0]), command(shared, SCRIPTS[0], broken)), ("before", "now"), OWN)
    c.run(range(300))
    assert len(c.kinds) == 1 and next(iter(c.kinds)).startswith("a program ended: ")


def test_each_listener_and_both_families_are_sent_to_within_one_burst():
    met = set()
    for seed in range(len(OWN), len(OWN) + 40):
        record = compare.make(seed, OWN)
        ends = {s.ends[1] for port, _, data in record.frames for s in datagram.datagrams([(port, data)]) if s.ends}
        if record.name.endswith("burst"):
            met.add(len(ends & {at[1:] for at in datagram.LISTENERS}))
    assert max(met) >= 5


def test_the_same_seed_makes_the_same_record():
    assert [compare.make(n, OWN) for n in range(600)] == [compare.make(n, OWN) for n in range(600)]


@pytest.mark.parametrize("source, destination", [(("10.10.0.2", 5080), ("10.10.0.1", 5060)), (("fd00:10::2", 5080), ("fd00:10::1", 5060))])
def test_a_datagram_is_read_as_it_was_built_and_damage_is_said(source, destination):
    frame = datagram.build(0, source, destination, b"payload")
    sent, = datagram.datagrams([(0, frame)])
    assert (sent.ends, sent.payload) == ((source, destination), b"payload")
    assert "WRONG" not in sent.head
    damaged, = datagram.datagrams([(0, frame[:-1] + b"?")])
    assert "CHECKSUM IS WRONG" in damaged.head


def test_fragments_are_put_together_and_a_missing_one_is_said():
    frame = datagram.build(1, ("10.20.0.11", 5060), ("10.20.0.1", 5060), bytes(range(256)) * 10)
    pieces = []
    for at, more in ((0, True), (1480, False)):
        part = frame[34 + at:34 + at + 1480]
        head = bytearray(frame[:34])
        head[16:18] = (20 + len(part)).to_bytes(2, "big")
        head[20:22] = ((0x2000 if more else 0) | at // 8).to_bytes(2, "big")
        datagram.sum_header(head)
        pieces.append((1, bytes(head) + part))
    whole, = datagram.datagrams(pieces)
    assert whole.payload == bytes(range(256)) * 10
    assert "pieces of 1480+1088" in whole.head and "WRONG" not in whole.head
    part, = datagram.datagrams(pieces[:1])
    assert "THAT MAKE NO DATAGRAM" in part.head


def test_tokens_are_hidden_and_each_program_gets_its_own_back():
    texts = [b"Via: SIP/2.0/UDP h;branch=z9hG4bK%s;sp=%s\r\nX: %s\r\n" % (a, b, b)
             for a, b in ((b"abcdefghijklmnop", b"aaaaaaaaa"), (b"qrstuvwxyz234567", b"bbbbbbbbb"))]
    tokens = compare.Tokens(texts)
    assert tokens.equal and tokens.hide(0, texts[0]) == tokens.hide(1, texts[1])
    assert [tokens.show(i, tokens.hide(i, t)) for i, t in enumerate(texts)] == texts


@pytest.mark.parametrize("change", [*dict.fromkeys(mutate.CHANGES)], ids=lambda f: f.__name__)
def test_each_change_changes_something_and_bears_any_text(change):
    text = messages.request(vias=["SIP/2.0/UDP a;branch=z9hG4bKa", "SIP/2.0/UDP b;branch=z9hG4bKb"],
                            rest="X: a, b\r\nSubject: x\r\n", body=messages.SDP)
    assert any(change(random.Random(n), text) != text for n in range(40))
    for n in range(200):
        change(random.Random(n), random.Random(n).choice((b"\r\n\r\n", b"x", b"\n", b" ", b":", b"\xff\xfe: ,", b"a: b, c\r\n\r\n")))
