# SPDX-License-Identifier: BSD-3-Clause
"""Registrations and calls of users with passwords, on the wire: RFC 3665 2.1 to 2.4, what algorithms are offered, and what a
stranger gets who has seen all of it."""
import hashlib
import re
import select
import sqlite3
import time

import pytest

import phone
from phone import DOMAIN, EDGE, Phone, bindings, script
from test_rows import Users

pytestmark = pytest.mark.sanitize

MODULES = phone.MODULES + "".join(f'loadmodule "{m}.so"\n' for m in ("auth", "auth_db", "uri_db", "group"))
SAVE = f"""
	if (!www_authorize("{DOMAIN}", "subscriber")) {{ www_challenge("{DOMAIN}", "1"); exit; }}
	if (!check_to()) {{ sl_send_reply("403", "Not Yours"); exit; }}
	save("location")"""
ALGORITHMS = {"MD5": "md5", "SHA-256": "sha256", "SHA-512-256": "sha512_256"}


def make(labs, params="", driver="tap"):
    lab = labs.make(driver, script=script(save=SAVE, params=params), modules=MODULES, start=False)
    lab.config.write_text('db_url = "sqlite://users.sqlite"\n' + lab.config.read_text())
    users = Users(lab.dir / "users.sqlite")
    users.add("alice", "secret")
    users.add("bob", "zanzibar")
    lab.start_siplane(lab.config)
    return lab


def challenges(reply):
    return [dict(re.findall(r'(\w+)="?([^",]*)"?', line)) for line in reply.all("www-authenticate")]


def credentials(challenge, user, password, method, uri, nc=1, cnonce="0a4f113b"):
    def digest(text):
        return hashlib.new(ALGORITHMS[challenge["algorithm"]], text.encode()).hexdigest()

    a1 = digest(f"{user}:{challenge['realm']}:{password}")
    response = digest(f"{a1}:{challenge['nonce']}:{nc:08x}:{cnonce}:auth:{digest(f'{method}:{uri}')}")
    return (f'Authorization: Digest username="{user}", realm="{challenge["realm"]}", nonce="{challenge["nonce"]}", uri="{uri}", '
            f'response="{response}", algorithm={challenge["algorithm"]}, qop=auth, nc={nc:08x}, cnonce="{cnonce}"')


class Client:
    """A phone that registers as RFC 3665 2 shows."""

    def __init__(self, phone_, password):
        self.phone, self.password, self.cseq, self.nc, self.challenge = phone_, password, 0, 0, None
        self.call_id = f"{phone_.user}-{phone_.port}-{time.monotonic_ns()}"

    def send(self, headers=(), to=None):
        self.cseq += 1
        text = self.phone.request("REGISTER", f"sip:{DOMAIN}", to=to or f"<{self.phone.aor}>", call_id=self.call_id, cseq=self.cseq,
                                  contact=False, headers=list(headers))
        return self.repeat(text), text

    def repeat(self, text):
        self.phone.send(text, EDGE)
        return self.phone.receive()

    def authorized(self, headers=(), to=None, password=None):
        if self.challenge is None:
            reply, _ = self.send(headers)
            assert reply.status == 401
            self.challenge, self.nc = challenges(reply)[0], 0
        self.nc += 1
        line = credentials(self.challenge, self.phone.user, password or self.password, "REGISTER", f"sip:{DOMAIN}", self.nc)
        return self.send([line, *headers], to)


def test_registrations_of_rfc_3665(labs):
    lab = make(labs)
    alice = Client(Phone(lab, "alice"), "secret")
    contact = f"Contact: <sip:alice@{alice.phone.host}:{alice.phone.port}>"

    # 2.1: a new registration
    reply, _ = alice.authorized([contact + ";expires=600"])
    assert reply.status == 200 and len(bindings(reply)) == 1
    # 2.2: an update of the list, with the nonce that is known
    reply, _ = alice.authorized([contact.replace("alice@", "desk@") + ";expires=600"])
    assert reply.status == 200 and len(bindings(reply)) == 2
    # 2.3: a question for it
    reply, _ = alice.authorized()
    assert reply.status == 200 and len(bindings(reply)) == 2
    # 2.4: the end of all
    reply, _ = alice.authorized(["Contact: *", "Expires: 0"])
    assert reply.status == 200 and len(bindings(reply)) == 0
    assert lab.telemetry("/siplane/auth")["auth_accepted"] == 4


def test_a_stranger_has_no_use_for_what_he_has_seen(labs):
    lab = make(labs)
    alice, eve = Client(Phone(lab, "alice"), "secret"), Phone(lab, "eve")
    reply, text = alice.authorized([f"Contact: <sip:alice@{alice.phone.host}:{alice.phone.port}>;expires=600"])
    assert reply.status == 200
    # It was lost: who sends it again gets it again.
    assert alice.repeat(text).status == 200
    # The same from elsewhere, with his own Contact, with another count.
    stolen = re.search(rb"Authorization: .*\r\n", text).group().decode().strip()
    for line in (stolen, stolen.replace("nc=00000001", "nc=00000002"), stolen.replace('username="alice"', 'username="bob"')):
        eve.send(eve.request("REGISTER", f"sip:{DOMAIN}", to=f"<sip:alice@{DOMAIN}>", cseq=9, contact=False,
                             headers=[line, f"Contact: <sip:eve@{eve.host}:{eve.port}>"]), EDGE)
        got = eve.receive()
        assert got.status == 401
        assert ("stale" in challenges(got)[0]) == (line == stolen)
    # With a password of one's own for somebody else's address.
    bob = Client(Phone(lab, "bob"), "zanzibar")
    reply, _ = bob.authorized([f"Contact: <sip:bob@{bob.phone.host}:{bob.phone.port}>"], to=f"<sip:alice@{DOMAIN}>")
    assert reply.status == 403
    reply, _ = alice.authorized()
    assert reply.status == 200 and len(bindings(reply)) == 1 and "eve" not in str(bindings(reply))
    figures = lab.telemetry("/siplane/auth")
    assert figures["auth_nonce_replayed"] == 1 and figures["auth_repeated"] == 1 and figures["auth_wrong_password"] == 2, figures


FLOOD = 3000  # at some thousand a second


def flood(lab, made_up):
    """A phone whose password is always wrong, for one user or for names that it makes up; in the midst of it bob registers."""
    eve, bob = Client(Phone(lab, "eve"), "guess"), Client(Phone(lab, "bob"), "zanzibar")
    contact = f"Contact: <sip:bob@{bob.phone.host}:{bob.phone.port}>;expires=600"
    assert bob.authorized([contact])[0].status == 200
    challenge = challenges(eve.send()[0])[0]
    answered, registered = 0, 0
    for n in range(FLOOD):
        user = f"made-up-{n}" if made_up else "alice"
        line = credentials(challenge, user, "guess", "REGISTER", f"sip:{DOMAIN}", n + 1)
        eve.phone.send(eve.phone.request("REGISTER", f"sip:{DOMAIN}", to=f"<sip:alice@{DOMAIN}>", call_id=eve.call_id, cseq=n + 10,
                                         contact=False, headers=[line]), EDGE)
        # A real sender does not wait; this one must not outrun its own socket.
        while n - answered > 50:
            if not select.select([eve.phone.sock], [], [], 5)[0]:
                answered = n  # they were lost
                break
            got = eve.phone.receive()
            assert got.status in (401, 503), got
            answered += 1
        if n % 300 == 299:
            assert bob.authorized([contact])[0].status == 200, n
            registered += 1
    assert registered == FLOOD // 300
    return lab.settle(), lab.telemetry("/siplane/auth"), lab.telemetry("/siplane/db")


def test_thousands_of_wrong_passwords_from_one_source_stop_nobody(labs):
    """auth_wrong_password shows it. The database is asked for the row once, so that who guesses asks it nothing."""
    lab = make(labs)
    stats, auth, db = flood(lab, made_up=False)
    assert auth["auth_wrong_password"] > FLOOD * 0.9 and auth["auth_accepted"] == 1 + FLOOD // 300, auth
    assert auth["auth_no_answer"] == 0 and stats["database_refused"] == 0
    assert db["db_questions"] == 2 and db["db_rows_evicted"] == 0, db


def test_thousands_of_names_that_are_made_up_stop_nobody(labs):
    """auth_unknown_user shows it. Each name is a question, none is asked twice, and they push out no row that was found."""
    lab = make(labs)
    stats, auth, db = flood(lab, made_up=True)
    assert auth["auth_unknown_user"] + auth["auth_no_answer"] + stats["database_refused"] > FLOOD * 0.9, (auth, stats)
    assert auth["auth_accepted"] == 1 + FLOOD // 300 and auth["auth_wrong_password"] == 0, auth
    assert auth["auth_unknown_user"] <= db["db_questions"] <= FLOOD + 1, (auth, db)
    # bob was asked for once, in front of all of them.
    rows = stats["held_database_enter"]
    bob = Client(Phone(lab, "bob"), "zanzibar")
    assert bob.authorized([f"Contact: <sip:bob@{bob.phone.host}:{bob.phone.port}>;expires=600"])[0].status == 200
    assert lab.settle()["held_database_enter"] == rows


def test_a_restart_asks_no_user_for_his_password(labs):
    """Without secret_file the keys are a process's own. RFC 7616 3.3: of a nonce that is no good stale=true says that it is not the password."""
    lab = make(labs, driver="af_packet")
    alice = Client(Phone(lab, "alice"), "secret")
    contact = f"Contact: <sip:alice@{alice.phone.host}:{alice.phone.port}>;expires=600"
    reply, _ = alice.authorized([contact])
    assert reply.status == 200
    assert lab.stop_siplane()[0] == 0
    lab.start_siplane(lab.config)
    reply, _ = alice.authorized([contact])
    assert reply.status == 401 and challenges(reply)[0]["stale"] == "true"
    alice.challenge, alice.nc = challenges(reply)[0], 0
    reply, _ = alice.authorized([contact])
    assert reply.status == 200
    # Nor do two nodes that do not know each other, or a clock that was put back: any nonce that is none of ours.
    alice.challenge["nonce"] = "dcd98b7102dd2f0e8b11d0f600bfb0c093"
    reply, _ = alice.authorized([contact])
    assert reply.status == 401 and challenges(reply)[0]["stale"] == "true"


def test_a_reply_proves_that_it_knows_the_password(labs):
    """RFC 7616 3.5, in the 200 that save() makes, beside what it says of contacts."""
    lab = make(labs, 'modparam("auth", "add_authinfo_hdr", 1)')
    alice = Client(Phone(lab, "alice"), "secret")
    reply, _ = alice.authorized([f"Contact: <sip:alice@{alice.phone.host}:{alice.phone.port}>;expires=600"])
    assert reply.status == 200 and len(bindings(reply)) == 1
    said = dict(re.findall(r'(\w+)="?([^",]*)"?', reply.get("authentication-info")))
    a1, a2 = (hashlib.md5(text.encode()).hexdigest() for text in (f"alice:{DOMAIN}:secret", f":sip:{DOMAIN}"))
    nonce = alice.challenge["nonce"]
    assert said == {"qop": "auth", "nc": "00000001", "cnonce": "0a4f113b",
                    "rspauth": hashlib.md5(f"{a1}:{nonce}:00000001:0a4f113b:auth:{a2}".encode()).hexdigest()}


def test_the_strongest_algorithm_is_offered_first(labs):
    lab = make(labs, 'modparam("auth", "algorithm", "MD5,SHA-256,SHA-512-256")\n'
                     'modparam("auth_db", "calculate_ha1", 1)\nmodparam("auth_db", "password_column", "password")')
    sqlite3.connect(lab.dir / "users.sqlite", isolation_level=None).execute("UPDATE subscriber SET password = 'secret' WHERE username = 'alice'")
    alice = Client(Phone(lab, "alice"), "secret")
    reply, _ = alice.send()
    offered = challenges(reply)
    assert [c["algorithm"] for c in offered] == ["SHA-512-256", "SHA-256", "MD5"]
    for nc, challenge in enumerate(offered, 1):
        if ALGORITHMS[challenge["algorithm"]] not in hashlib.algorithms_available:
            continue
        line = credentials(challenge, "alice", "secret", "REGISTER", f"sip:{DOMAIN}", nc)
        reply, _ = alice.send([line])
        assert reply.status == 200, challenge
