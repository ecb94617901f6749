# SPDX-License-Identifier: BSD-3-Clause
"""Rows of a database on the wire: who registers waits for his, once; what has changed there; a database that is not there."""
import hashlib
import json
import re
import socket
import sqlite3
import time

import pytest

import phone
from phone import DOMAIN, EDGE, Phone, script
from test_reload import reload

pytestmark = pytest.mark.sanitize

MODULES = phone.MODULES + 'loadmodule "auth.so"\nloadmodule "auth_db.so"\n'
SAVE = f"""
	if (!www_authorize("{DOMAIN}", "subscriber")) {{ www_challenge("{DOMAIN}", "0"); exit; }}
	save("location")"""
TABLE = """CREATE TABLE subscriber (id INTEGER PRIMARY KEY, username VARCHAR(64) NOT NULL, domain VARCHAR(64) NOT NULL,
    password VARCHAR(64) NOT NULL DEFAULT '', ha1 VARCHAR(128) NOT NULL DEFAULT '', ha1b VARCHAR(128) NOT NULL DEFAULT '')"""


def md5(text):
    return hashlib.md5(text.encode()).hexdigest()


class Users:
    """The table of who may register."""

    def __init__(self, path):
        self.db = sqlite3.connect(path, isolation_level=None)
        self.db.execute("PRAGMA journal_mode=WAL")
        self.db.execute(TABLE)

    def add(self, user, password):
        self.db.execute("INSERT INTO subscriber (username, domain, ha1) VALUES (?, ?, ?)",
                        (user, DOMAIN, md5(f"{user}:{DOMAIN}:{password}")))

    def change(self, user, password):
        self.db.execute("UPDATE subscriber SET ha1 = ? WHERE username = ?", (md5(f"{user}:{DOMAIN}:{password}"), user))


def ask(lab, method):
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as s:
        s.settimeout(5)
        s.connect(str(lab.dir / "control.sock"))
        s.sendall(json.dumps({"jsonrpc": "2.0", "id": 1, "method": method}).encode() + b"\n")
        answer = json.loads(s.makefile().readline())
        assert "result" in answer, answer
        return answer["result"]


def register(p, password, name=None):
    """A REGISTER that is challenged and comes again, of who calls himself name: its last status."""
    name = name or p.user
    uri = f"sip:{DOMAIN}"
    call_id = f"{p.user}-{p.port}-{time.monotonic_ns()}"

    def send(cseq, headers=()):
        p.send(p.request("REGISTER", uri, to=f"<{p.aor}>", call_id=call_id, cseq=cseq, headers=headers), EDGE)
        return p.receive()

    got = send(1)
    assert got.status == 401, got
    challenge = dict(re.findall(r'(\w+)="([^"]*)"', got.get("www-authenticate")))
    quoted = re.sub(r'(["\\\\])', r"\\\1", name)
    response = md5(f"{md5(f'{name}:{DOMAIN}:{password}')}:{challenge['nonce']}:{md5(f'REGISTER:{uri}')}")
    if "qop" in challenge:
        middle = f"{challenge['nonce']}:00000001:c:auth"
        response = md5(f"{md5(f'{name}:{DOMAIN}:{password}')}:{middle}:{md5(f'REGISTER:{uri}')}")
    extra = ', qop=auth, nc=00000001, cnonce="c"' if "qop" in challenge else ""
    return send(2, [f'Authorization: Digest username="{quoted}", realm="{DOMAIN}", nonce="{challenge["nonce"]}", uri="{uri}", '
                    f'response="{response}"{extra}']).status


def make(labs, url, head="", params=""):
    lab = labs.make("tap", script=script(save=SAVE, params=params), modules=MODULES, start=False)
    text = lab.config.read_text()
    lab.config.write_text(f'db_url = "{url}"\ncontrol_socket = "{lab.dir}/control.sock"\n{head}\n' + text)
    return lab


def waited(lab):
    stats = lab.settle()
    assert stats["held_database_enter"] == stats["held_database_leave"], stats
    return stats["held_database_enter"]


def test_who_registers_waits_for_his_row_once(labs):
    lab = make(labs, "sqlite://users.sqlite", params='modparam("auth_db", "use_domain", 1)')
    users = Users(lab.dir / "users.sqlite")
    users.add("alice", "secret")
    lab.start_siplane(lab.config)
    assert [d["connected"] for d in ask(lab, "db.list")] == [False]
    alice, eve = Phone(lab, "alice"), Phone(lab, "eve")
    assert register(alice, "secret") == 200
    assert waited(lab) == 1
    assert register(alice, "wrong") == 401 and register(alice, "secret") == 200
    assert waited(lab) == 1
    # That there is no such user is remembered, too.
    assert register(eve, "secret") == 401 and register(eve, "other") == 401
    assert waited(lab) == 2
    figures = lab.telemetry("/siplane/db")
    assert figures["db_questions"] == 2 and figures["db_rows_fetched"] == 2 and figures["db_rows"] == 2, figures
    assert ask(lab, "db.list") == [{"url": f"sqlite://{lab.dir}/users.sqlite", "connected": True, "waiting": 0, "error": ""}]

    # What has changed there is seen when siplane is told so, or the row's time is over.
    users.change("alice", "changed")
    users.add("eve", "hers")
    assert register(alice, "secret") == 200 and register(eve, "hers") == 401
    assert ask(lab, "db.forget") == {"rows": 2}
    assert register(alice, "secret") == 401 and register(alice, "changed") == 200 and register(eve, "hers") == 200
    assert waited(lab) == 4


def test_a_database_that_comes_later(labs):
    """It is no reason not to start, nor is it waited for by each message; and siplane has it as soon as it is there."""
    lab = make(labs, "sqlite://later/users.sqlite")
    lab.start_siplane(lab.config)
    alice = Phone(lab, "alice")
    for _ in range(3):
        begun = time.monotonic()
        assert register(alice, "secret") == 503, "no phone takes it for a wrong password"
        assert time.monotonic() - begun < 3  # a question has 4 s
    assert "later" in ask(lab, "db.list")[0]["error"]
    assert not (lab.dir / "later").exists()
    (lab.dir / "later").mkdir()
    Users(lab.dir / "later/users.sqlite").add("alice", "secret")
    deadline = time.monotonic() + 15
    while register(alice, "secret") != 200:
        assert time.monotonic() < deadline, ask(lab, "db.list")
        time.sleep(0.2)


def test_nothing_is_opened_that_nobody_asks_for(labs):
    lab = make(labs, "sqlite://users.sqlite")
    lab.start_siplane(lab.config)
    alice = Phone(lab, "alice")
    alice.send(alice.request("OPTIONS", f"sip:nobody@{DOMAIN}"), EDGE)
    assert alice.receive().status == 404
    assert not (lab.dir / "users.sqlite").exists()
    assert lab.telemetry("/siplane/db")["db_connects"] == 0


def test_another_database_by_a_reload(labs):
    lab = make(labs, "sqlite://one.sqlite")
    Users(lab.dir / "one.sqlite").add("alice", "one")
    Users(lab.dir / "two.sqlite").add("alice", "two")
    lab.start_siplane(lab.config)
    alice = Phone(lab, "alice")
    assert register(alice, "one") == 200
    text = lab.config.read_text()
    reload(lab, text.replace("sqlite://one.sqlite", "sqlite://two.sqlite"))
    assert register(alice, "one") == 401 and register(alice, "two") == 200
    said = reload(lab, text.replace("sqlite://one.sqlite", "nothing://x"), good=False)
    assert "a URL of a database begins with" in said
    assert register(alice, "two") == 200
