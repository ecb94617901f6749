# SPDX-License-Identifier: BSD-3-Clause
"""Example 4 of conf/examples: calls forwarded always, on busy and on no answer, and voicemail, over SQLite, MariaDB and PostgreSQL."""
import itertools
import shutil
import sqlite3
import subprocess

import pytest

import databases
from call import replace_method
from phone import DOMAIN, any_of, hang_up, quiet
from test_baresip import Baresip
from test_examples import EXAMPLES, start
from test_examples_users import PASSWORDS, Users, extra, invite, register
from test_sipp import LAB
from test_sipp import backend as sipp_backend
from test_sipp import wait_for

VOICEMAIL = "10.20.0.12:5060"
LONG = 20  # seconds for what takes its time
numbers = itertools.count(1)


@pytest.fixture(scope="module", params=["sqlite", "mysql", "postgres"])
def users(request, tmp_path_factory):
    if request.param == "sqlite":
        path = tmp_path_factory.mktemp("db") / "siplane.sqlite"
        made = Users(f"sqlite://{path}")
        made.path, made.server = path, None
        yield made
        return
    try:
        with databases.start(request.param) as server:
            made = Users(server.url(over_socket=True))
            made.path, made.server = None, server
            yield made
    except databases.Missing as e:
        pytest.skip(str(e))


@pytest.fixture(scope="module")
def forwarding(users):
    rig = start("4-forwarding.cfg", defines=[f'VOICEMAIL "{VOICEMAIL}"'], extra=extra(users))
    yield rig
    rig.close()


@pytest.fixture
def rig(forwarding):
    yield forwarding
    forwarding.check()


class Person:
    """A user of his own for a test, with what is kept for him."""

    def __init__(self, rig, users, registered=True, who="b1", **avps):
        self.name = f"person{next(numbers)}"
        self.aor = f"sip:{self.name}@{DOMAIN}"
        users("add", f"{self.name}@{DOMAIN}", "pw")
        self.phone = rig.phone(who, user=self.name)
        self.users = users
        for name, value in avps.items():
            self.keep(name, value)
        if registered:
            assert register(self.phone, "pw").status == 200

    def keep(self, name, value):
        kind, text = ("1", str(value)) if isinstance(value, int) else ("0", getattr(value, "aor", value))
        self.users("avp", "add", f"{self.name}@{DOMAIN}", name, kind, text)


def caller(rig):
    return rig.phone(user="alice")


def dial(rig, person):
    """Alice calls: (her phone, the text of her INVITE)."""
    alice = caller(rig)
    return alice, invite(alice, person.aor, PASSWORDS["alice"])


def taken(alice, callee, got):
    """The callee takes it, and it ends."""
    callee.answer(got, 200)
    ok = alice.expect(200, LONG)
    alice.ack(ok)
    callee.expect("ACK")
    hang_up(alice, callee, ok, cseq=3)


def refuse(phone, got, status, reason):
    phone.answer(got, status, reason)
    phone.expect("ACK")


def final(alice, text):
    """The refusal that a caller gets, and its ACK."""
    got = alice.expect(None, LONG)
    while got.status < 200:
        got = alice.expect(None, LONG)
    assert got.status >= 300, got
    alice.to_proxy(replace_method(text, "ACK", got.tag("to")))
    return got


def test_always(rig, users):
    bob = Person(rig, users)
    carol = Person(rig, users, callfwd=bob)
    alice, _ = dial(rig, carol)
    got = bob.phone.expect("INVITE", LONG)
    assert got.uri == bob.phone.uri
    taken(alice, bob.phone, got)
    quiet(carol.phone)
    # Twice: by somebody who forwards to somebody who forwards.
    dave = Person(rig, users, callfwd=carol)
    alice, _ = dial(rig, dave)
    taken(alice, bob.phone, bob.phone.expect("INVITE", LONG))
    quiet(carol.phone, dave.phone)


def test_who_has_nothing_kept_gets_his_calls(rig, users):
    bob = Person(rig, users)
    alice, _ = dial(rig, bob)
    taken(alice, bob.phone, bob.phone.expect("INVITE", LONG))


def test_busy(rig, users):
    bob = Person(rig, users)
    carol = Person(rig, users, fwdbusy=bob)
    for status, reason in ((486, "Busy Here"), (600, "Busy Everywhere")):
        alice, _ = dial(rig, carol)
        refuse(carol.phone, carol.phone.expect("INVITE", LONG), status, reason)
        taken(alice, bob.phone, bob.phone.expect("INVITE", LONG))
    quiet(carol.phone, bob.phone)


def test_no_answer(rig, users):
    bob = Person(rig, users)
    carol = Person(rig, users, fwdnoanswer=bob, ringtime=1)
    alice, _ = dial(rig, carol)
    got = carol.phone.expect("INVITE", LONG)
    carol.phone.answer(got, 180, "Ringing")
    alice.expect(180, LONG)
    carol.phone.answer(carol.phone.expect("CANCEL", LONG), 200)
    refuse(carol.phone, got, 487, "Request Terminated")
    taken(alice, bob.phone, bob.phone.expect("INVITE", LONG))
    # Whose phone says that nobody is there, or who has none.
    alice, _ = dial(rig, carol)
    refuse(carol.phone, carol.phone.expect("INVITE", LONG), 480, "Temporarily Unavailable")
    taken(alice, bob.phone, bob.phone.expect("INVITE", LONG))
    dave = Person(rig, users, registered=False, fwdnoanswer=bob)
    alice, _ = dial(rig, dave)
    taken(alice, bob.phone, bob.phone.expect("INVITE", LONG))


def test_the_ring_time_of_one_is_not_the_next_ones(rig, users):
    """Carol has a second, bob who gets it then half a minute."""
    bob = Person(rig, users)
    carol = Person(rig, users, fwdnoanswer=bob, ringtime=1)
    alice, text = dial(rig, carol)
    got = carol.phone.expect("INVITE", LONG)
    carol.phone.answer(got, 180, "Ringing")
    alice.expect(180, LONG)
    carol.phone.answer(carol.phone.expect("CANCEL", LONG), 200)
    refuse(carol.phone, got, 487, "Request Terminated")
    got = bob.phone.expect("INVITE", LONG)
    bob.phone.answer(got, 180, "Ringing")
    alice.expect(180, LONG)
    quiet(bob.phone, seconds=2.5)
    # Who hangs up cancels what rings now.
    alice.to_proxy(replace_method(text, "CANCEL"))
    assert alice.expect(None, LONG).get("cseq").endswith("CANCEL")
    bob.phone.answer(bob.phone.expect("CANCEL", LONG), 200)
    refuse(bob.phone, got, 487, "Request Terminated")
    assert final(alice, text).status == 487
    quiet(alice, bob.phone, carol.phone)


def test_voicemail(rig, users):
    mail = rig.phone("b2", user="voicemail", port=5060)
    nobody = Person(rig, users, registered=False)
    alice, _ = dial(rig, nobody)
    got = mail.expect("INVITE", LONG)
    assert got.uri == f"sip:{nobody.name}@{VOICEMAIL}"
    taken(alice, mail, got)
    bob = Person(rig, users)
    for status, reason in ((486, "Busy Here"), (603, "Decline"), (480, "Away")):
        alice, _ = dial(rig, bob)
        refuse(bob.phone, bob.phone.expect("INVITE", LONG), status, reason)
        got = mail.expect("INVITE", LONG)
        assert got.uri == f"sip:{bob.name}@{VOICEMAIL}"
        taken(alice, mail, got)
    # It is the mailbox of whom the call was for first.
    carol = Person(rig, users, callfwd=bob)
    alice, text = dial(rig, carol)
    refuse(bob.phone, bob.phone.expect("INVITE", LONG), 486, "Busy Here")
    got = mail.expect("INVITE", LONG)
    assert got.uri == f"sip:{carol.name}@{VOICEMAIL}"
    # What it refuses is refused.
    refuse(mail, got, 404, "No Such Mailbox")
    assert final(alice, text).status == 404
    quiet(mail, bob.phone)


def test_any_other_refusal_is_the_callers(rig, users):
    bob = Person(rig, users, fwdbusy="sip:nobody@example.com", fwdnoanswer="sip:nobody@example.com")
    alice, text = dial(rig, bob)
    refuse(bob.phone, bob.phone.expect("INVITE", LONG), 415, "Unsupported Media Type")
    assert final(alice, text).status == 415


def test_circles_end(rig, users):
    carol = Person(rig, users)
    bob = Person(rig, users, callfwd=carol)
    carol.keep("callfwd", bob)
    alice, text = dial(rig, bob)
    assert final(alice, text).status == 482
    quiet(bob.phone, carol.phone)
    # Of those who are busy each rings until the bound is met.
    dave = Person(rig, users)
    erin = Person(rig, users, fwdbusy=dave)
    dave.keep("fwdbusy", erin)
    alice, text = dial(rig, erin)
    rang = []
    for _ in range(5):
        phone, got = any_of((dave.phone, erin.phone), LONG)
        assert got.method == "INVITE"
        rang.append(phone.user)
        refuse(phone, got, 486, "Busy Here")
    assert rang == [p.name for p in (erin, dave, erin, dave, erin)]
    assert final(alice, text).status == 482
    quiet(dave.phone, erin.phone)


def test_beyond_our_domain(rig, users):
    other = rig.phone("b1", user="elsewhere")
    bob = Person(rig, users, callfwd=other.uri)
    alice, _ = dial(rig, bob)
    got = other.expect("INVITE", LONG)
    assert got.uri == other.uri
    taken(alice, other, got)


def ask(phone, user, code):
    """Calls a code; the answer."""
    text = invite(phone, f"sip:{code}@{DOMAIN}", "pw", user=user)
    phone.to_proxy(text)  # once more, as after a loss
    return final(phone, text)


def test_a_user_forwards_his_calls_by_himself(rig, users):
    bob = Person(rig, users)
    carol = Person(rig, users, who="caller")
    # What is known of her before is of no use afterwards.
    alice, text = dial(rig, carol)
    refuse(carol.phone, carol.phone.expect("INVITE", LONG), 415, "Unsupported Media Type")
    assert final(alice, text).status == 415
    got = ask(carol.phone, carol.name, f"*72{bob.name}")
    assert got.start == f"SIP/2.0 480 Forwarded To {bob.name}"
    listed = users("avp", "list", "-u", f"{carol.name}@{DOMAIN}")
    assert listed.count("callfwd") == 1 and bob.aor in listed
    alice, _ = dial(rig, carol)
    taken(alice, bob.phone, bob.phone.expect("INVITE", LONG))
    got = ask(carol.phone, carol.name, "*73")
    assert got.start == "SIP/2.0 480 Not Forwarded"
    assert "callfwd" not in users("avp", "list", "-u", f"{carol.name}@{DOMAIN}")
    alice, _ = dial(rig, carol)
    taken(alice, carol.phone, carol.phone.expect("INVITE", LONG))
    for code in ("*72", f"*72{carol.name}"):
        assert ask(carol.phone, carol.name, code).status == 404
    # A stranger has no calls here, and nobody speaks for another.
    stranger = rig.phone(user="stranger")
    stranger.to_proxy(text := stranger.request("INVITE", f"sip:*72{bob.name}@{DOMAIN}", from_tag="f1").replace(
        f"From: <sip:stranger@{stranger.host}>".encode(), b"From: <sip:stranger@elsewhere.example>"))
    mail = rig.phone("b2", user="voicemail", port=5060)
    # There is no user of that name: it is the voicemail's to say so.
    refuse(mail, mail.expect("INVITE", LONG), 404, "No Such Mailbox")
    assert final(stranger, text).status == 404
    mallory = rig.phone(user="alice")
    text = invite(mallory, f"sip:*72{bob.name}@{DOMAIN}", PASSWORDS["alice"], user=carol.name)
    assert final(mallory, text).status == 403
    assert "callfwd" not in users("avp", "list", "-u", f"{carol.name}@{DOMAIN}")


def test_other_requests_are_not_forwarded(rig, users):
    bob = Person(rig, users)
    carol = Person(rig, users, callfwd=bob)
    stranger = rig.phone(user="stranger")
    text = stranger.request("OPTIONS", carol.aor, from_tag="f1").replace(
        f"From: <sip:stranger@{stranger.host}>".encode(), b"From: <sip:stranger@elsewhere.example>")
    stranger.to_proxy(text)
    carol.phone.answer(carol.phone.expect("OPTIONS", LONG), 200)
    stranger.expect(200, LONG)
    quiet(bob.phone)


def listens(lab):
    """Whether the voicemail has its socket: until then the network says that nobody is there."""
    r = subprocess.run(["ip", "netns", "exec", lab.ns("b2"), "ss", "-Hlun", "sport", "=", ":5060"], capture_output=True, text=True)
    return VOICEMAIL in r.stdout


@pytest.mark.skipif(not shutil.which("baresip"), reason="baresip is missing: tools/install-packages test")
def test_softphones_and_a_voicemail_that_answers(rig, users):
    """Erin calls carol, who forwards to dave, and then somebody who is not there: sipp takes that call."""
    carol = Person(rig, users, registered=False, callfwd=f"sip:dave@{DOMAIN}")
    nobody = Person(rig, users, registered=False)
    dave = Baresip(rig.lab, "dave", "b1", "10.20.0.1", f"auth_pass={PASSWORDS['dave']}", "answermode=auto")
    dave.registered()
    erin = Baresip(rig.lab, "erin", "caller", "10.10.0.1", f"auth_pass={PASSWORDS['erin']}")
    erin.registered()
    erin.command("dial", carol.aor)
    erin.wait("CALL_ESTABLISHED", LONG)
    dave.wait("CALL_ESTABLISHED", LONG)
    erin.command("hangup")
    dave.wait("CALL_CLOSED", LONG)
    erin.wait("CALL_CLOSED", LONG)
    mail = sipp_backend(rig.lab, LAB / "uas.xml", n=2, name="voicemail")
    wait_for(lambda: listens(rig.lab), LONG)
    erin.events.clear()
    erin.command("dial", nobody.aor)
    erin.wait("CALL_ESTABLISHED", LONG)
    erin.command("hangup")
    erin.wait("CALL_CLOSED", LONG)
    rig.lab.end(mail)
    erin.close()
    dave.close()


def sql(users, text):
    if users.server is not None:
        users.server.sql(text)
        return
    with sqlite3.connect(users.path) as db:
        db.execute(text)


def test_a_script_may_refuse_calls_while_the_database_fails(users):
    """avp_db_load() is -2 then, and -1 where there is nothing: the example with a line more."""
    text = (EXAMPLES / "4-forwarding.cfg").read_text()
    more = text.replace("\n\t$avp(s:callee) = $ru;\n", '\n\tif ($rc == -2) { t_reply("503", "Try Again Later"); exit; }\n\t$avp(s:callee) = $ru;\n')
    assert more != text
    rig = start("4-forwarding.cfg", extra=extra(users), text=more)
    try:
        bob = Person(rig, users)
        alice, _ = dial(rig, bob)
        taken(alice, bob.phone, bob.phone.expect("INVITE", LONG))
        carol = Person(rig, users)
        sql(users, "ALTER TABLE usr_preferences RENAME TO gone")
        try:
            alice, text = dial(rig, carol)
            assert final(alice, text).status == 503
            quiet(carol.phone)
        finally:
            sql(users, "ALTER TABLE gone RENAME TO usr_preferences")
        rig.check()
    finally:
        rig.close()


def test_a_database_that_fails_forwards_nothing(rig, users):
    """The last one: the call goes on, to his phone or the voicemail. His own code is answered 503."""
    bob = Person(rig, users)
    carol = Person(rig, users, callfwd=bob, who="caller")
    alice, text = dial(rig, bob)  # whose password is known from here on
    refuse(bob.phone, bob.phone.expect("INVITE", LONG), 415, "Unsupported Media Type")
    assert final(alice, text).status == 415
    if users.server is not None:
        users.server.kill()
    else:
        sql(users, "ALTER TABLE usr_preferences RENAME TO gone")
    try:
        alice, _ = dial(rig, carol)
        taken(alice, carol.phone, carol.phone.expect("INVITE", LONG))
        assert ask(carol.phone, carol.name, f"*72{bob.name}").status == 503
    finally:
        if users.server is not None:
            users.server.start()
        else:
            sql(users, "ALTER TABLE gone RENAME TO usr_preferences")
