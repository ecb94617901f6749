# SPDX-License-Identifier: BSD-3-Clause
"""siplanectl: each verb, against a database that it makes and a siplane that runs."""
import hashlib
import json
import os
import pathlib
import pty
import re
import select
import signal
import socket
import sqlite3
import subprocess
import tempfile
import termios
import threading
import time

import databases
import phone
import pytest
from ctl import SIPLANECTL, Client, ctl, socket_of
from phone import DOMAIN
from test_control import register, registrar
from ua import UA

ROOT = pathlib.Path(__file__).resolve().parents[2]
TABLE = re.findall(r'^\t\{"([a-z ]+)", "([^"]*)"', (ROOT / "app/siplanectl/verbs.c").read_text(), re.M)
VERBS, NAMES = [f"{name} {args}".strip() for name, args in TABLE], [name for name, _ in TABLE]


def ha1(algorithm, user, realm, password):
    return hashlib.new(algorithm, f"{user}:{realm}:{password}".encode()).hexdigest()


class Base:
    """A SQLite database of siplane's, and siplanectl on it."""

    def __init__(self, path):
        self.path = path
        self.env = {"SIPLANE_DB_URL": f"sqlite://{path}", "SIP_DOMAIN": "example.com"}
        assert self("db", "create")[0] == 0

    def __call__(self, *args, **kw):
        return ctl(*args, env=self.env, **kw)

    def good(self, *args, **kw):
        status, out, err = self(*args, **kw)
        assert status == 0 and err == "", (args, status, out, err)
        return out

    def bad(self, *args, status=1, **kw):
        got, out, err = self(*args, **kw)
        assert got == status and out == "" and err.startswith(("siplanectl: ", "Usage: ")), (args, got, out, err)
        return err

    def json(self, *args, **kw):
        return json.loads(self.good("--json", *args, **kw))

    def rows(self, sql, *args):
        with sqlite3.connect(self.path) as db:
            return db.execute(sql, args).fetchall()


@pytest.fixture
def base(tmp_path):
    return Base(tmp_path / "siplane.sqlite")


# ---- users ----


@pytest.mark.sanitize
def test_users_come_and_go(base):
    assert base.good("show") == "there are no users\n"
    base.good("add", "alice", "wonder:land", "alice@mail.example")
    base.good("add", "bob@b.example", "pw")
    assert base.json("show") == [{"username": "bob", "domain": "b.example", "email": ""},
                                 {"username": "alice", "domain": "example.com", "email": "alice@mail.example"}]
    assert "already" in base.bad("add", "alice@example.com", "other")
    assert base.rows("SELECT password, ha1, ha1b, ha1_sha256, ha1_sha512t256 FROM subscriber WHERE username = 'alice'") == [(
        "", ha1("md5", "alice", "example.com", "wonder:land"),
        ha1("md5", "alice@example.com", "example.com", "wonder:land"),
        ha1("sha256", "alice", "example.com", "wonder:land"),
        ha1("sha512_256", "alice", "example.com", "wonder:land"))]
    base.good("passwd", "alice", "new", "--realm", "other realm")
    assert base.rows("SELECT ha1, ha1_sha512t256 FROM subscriber WHERE username = 'alice'") == [(
        ha1("md5", "alice", "other realm", "new"), ha1("sha512_256", "alice", "other realm", "new"))]
    assert b"wonder:land" not in base.path.read_bytes()
    base.good("acl", "grant", "alice", "int")
    base.good("alias", "add", "100", "alice")
    base.good("rm", "alice")
    assert base.rows("SELECT username FROM subscriber") == [("bob",)]
    assert base.rows("SELECT * FROM grp") == [] and base.rows("SELECT * FROM dbaliases") == []
    for verb in (("rm", "alice"), ("passwd", "alice", "x"), ("show", "alice"), ("acl", "grant", "alice", "int"),
                 ("alias", "add", "1", "alice")):
        assert "there is no user alice@example.com" in base.bad(*verb)


def test_a_password_comes_from_standard_input(base):
    base.good("add", "alice", stdin="from a pipe\nmore\n")
    assert base.rows("SELECT ha1 FROM subscriber") == [(ha1("md5", "alice", "example.com", "from a pipe"),)]
    assert "empty" in base.bad("passwd", "alice", stdin="\n")
    assert "empty" in base.bad("passwd", "alice", stdin="")
    assert "no NUL" in base.bad("passwd", "alice", stdin="left\0right\n")
    assert "at most" in base.bad("passwd", "alice", stdin="x" * 300 + "\n")
    assert "1 to 256" in base.bad("passwd", "alice", "")
    # Nobody is asked for what is of no use.
    assert "already" in base.bad("add", "alice", stdin="")
    assert "no user" in base.bad("passwd", "nobody", stdin="")


def on_terminal(args, env, answers, timeout=20):
    """Runs siplanectl on a terminal and answers its questions: (status, all that stood there)."""
    pid, fd = pty.fork()
    if pid == 0:
        os.execve(SIPLANECTL, [SIPLANECTL, *args], {"PATH": os.environ["PATH"], "SIPLANECTLRC": "/dev/null", **env})
    seen, answers, end = b"", list(answers), time.monotonic() + timeout
    while time.monotonic() < end:
        if select.select([fd], [], [], 0.2)[0]:
            try:
                data = os.read(fd, 4096)
            except OSError:
                break
            if not data:
                break
            seen += data
        if answers and seen.endswith(answers[0][0]):
            os.write(fd, answers.pop(0)[1])
    os.close(fd)  # whoever waits for an answer still gets a SIGHUP
    status = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
    return status, seen.decode()


def test_a_password_is_asked_for_twice_and_not_shown(base):
    env = {**base.env, "SIPLANE_CONTROL_SOCKET": "/nonexistent"}
    status, seen = on_terminal(["add", "alice"], env, [(b"Password: ", b"quiet1\n"), (b"Again: ", b"quiet1\n")])
    assert status == 0 and "alice@example.com is added" in seen and "quiet1" not in seen
    assert base.rows("SELECT ha1 FROM subscriber") == [(ha1("md5", "alice", "example.com", "quiet1"),)]
    status, seen = on_terminal(["passwd", "alice"], env, [(b"Password: ", b"quiet2\n"), (b"Again: ", b"quiet3\n")])
    assert status == 1 and "not the same" in seen and "quiet" not in seen
    assert base.rows("SELECT ha1 FROM subscriber") == [(ha1("md5", "alice", "example.com", "quiet1"),)]


def shown_of(base, args, secret, env=None):
    """A database that is locked holds siplanectl up: whoever looks meanwhile sees no secret in the list of processes. What he sees."""
    lock = sqlite3.connect(base.path, isolation_level=None)
    lock.execute("BEGIN EXCLUSIVE")
    p = subprocess.Popen([SIPLANECTL, *args], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
                         env={**os.environ, **base.env, "SIPLANECTLRC": "/dev/null", **(env or {})})
    try:
        deadline = time.monotonic() + 3
        while secret in (shown := pathlib.Path(f"/proc/{p.pid}/cmdline").read_bytes()) or b"siplanectl" not in shown:
            assert time.monotonic() < deadline, "it stands there"
            time.sleep(0.01)
        assert p.poll() is None
        return shown
    finally:
        lock.execute("ROLLBACK")
        lock.close()
        p.wait(30)


def test_a_password_does_not_stay_in_the_list_of_processes(base):
    shown_of(base, ["add", "alice", "in-the-clear"], b"in-the-clear")


def test_a_databases_password_does_not_stay_in_the_list_of_processes(base, tmp_path):
    for args in (["--db-url", "mysql://root:g%40heim:x@127.0.0.1:PORT/x"], ["--db-url=postgres://root:g%40heim:x@127.0.0.1:PORT/x"]):
        # Somebody who takes the connection and says nothing.
        with socket.create_server(("127.0.0.1", 0)) as silent:
            port = silent.getsockname()[1]
            shown = shown_of(base, [*(a.replace("PORT", str(port)) for a in args), "show"], b"heim")
        assert f"://root:**********@127.0.0.1:{port}/x".encode() in shown, shown


def echoes(fd):
    return bool(termios.tcgetattr(fd)[3] & termios.ECHO)


def until(what, why, seconds=20):
    deadline = time.monotonic() + seconds
    while not what():
        assert time.monotonic() < deadline, why
        time.sleep(0.01)


def test_a_question_that_is_stopped_leaves_the_terminal_as_it_was(base):
    mine, its = pty.openpty()
    seen = bytearray()

    def reads(text):
        if select.select([mine], [], [], 0)[0]:
            seen.extend(os.read(mine, 4096))
        return text in seen

    # A group of its own, as a shell's job has it.
    p = subprocess.Popen([SIPLANECTL, "add", "alice"], stdin=its, stdout=its, stderr=its, preexec_fn=lambda: os.setpgid(0, 0),
                         env={"PATH": os.environ["PATH"], "SIPLANECTLRC": "/dev/null", "SIPLANE_CONTROL_SOCKET": "/nonexistent", **base.env})

    def state():
        return pathlib.Path(f"/proc/{p.pid}/stat").read_text().rsplit(")", 1)[1].split()[0]

    try:
        until(lambda: reads(b"Password: "), "nothing is asked")
        assert not echoes(mine)
        os.kill(p.pid, signal.SIGTSTP)
        until(lambda: state() == "T", "it does not stop")
        assert echoes(mine)
        os.kill(p.pid, signal.SIGCONT)
        until(lambda: reads(b"never") or seen.count(b"Password: ") == 2, "it is not asked again")
        until(lambda: not echoes(mine), "it is not silent again")
        os.write(mine, b"quiet\n")
        until(lambda: reads(b"Again: "), "nothing is asked again")
        os.write(mine, b"quiet\n")
        assert p.wait(20) == 0
        until(lambda: reads(b"is added"), "not added")
        assert b"quiet" not in seen and echoes(mine)
    finally:
        p.kill()
        p.wait()
        os.close(mine)
        os.close(its)
    assert base.rows("SELECT ha1 FROM subscriber") == [(ha1("md5", "alice", "example.com", "quiet"),)]


# ---- what hangs on users ----


@pytest.mark.sanitize
def test_groups(base):
    base.good("add", "alice", "pw")
    assert base.good("acl", "show") == "nobody is in any group\n"
    for group in ("local", "ld", "int", "local"):
        base.good("acl", "grant", "alice", group)
    assert [r["group"] for r in base.json("acl", "show", "alice")] == ["int", "ld", "local"]
    base.good("acl", "revoke", "alice", "ld")
    assert "no such group" in base.bad("acl", "revoke", "alice", "ld")
    assert base.rows("SELECT username, domain, grp FROM grp ORDER BY grp") == [("alice", "example.com", "int"),
                                                                              ("alice", "example.com", "local")]
    base.good("acl", "revoke", "alice")
    assert base.json("acl", "show") == []
    assert "no name of a group" in base.bad("acl", "grant", "alice", "x' OR 1=1")


@pytest.mark.sanitize
def test_aliases(base):
    base.good("add", "alice", "pw")
    base.good("add", "bob", "pw")
    base.good("alias", "add", "100", "alice")
    base.good("alias", "add", "sales@b.example", "alice")
    assert "already" in base.bad("alias", "add", "100", "bob")
    assert "a user bob@example.com already" in base.bad("alias", "add", "bob", "alice")
    assert len(base.json("alias", "show")) == 2 and len(base.json("alias", "show", "alice")) == 2
    assert base.json("alias", "show", "100") == [{"alias": "100", "alias_domain": "example.com", "username": "alice",
                                                  "domain": "example.com"}]
    base.good("alias", "rm", "100")
    assert "no alias" in base.bad("alias", "rm", "100")


@pytest.mark.sanitize
def test_domains_and_addresses(base):
    base.good("domain", "add", "example.com")
    base.good("domain", "add", "[2001:db8::1]")
    assert "already" in base.bad("domain", "add", "example.com")
    assert "no domain" in base.bad("domain", "add", "a b")
    assert base.json("domain", "show") == [{"domain": "[2001:db8::1]"}, {"domain": "example.com"}]
    base.good("domain", "rm", "example.com")
    assert "no domain" in base.bad("domain", "rm", "example.com")
    base.good("address", "add", "1", "192.0.2.0/24")
    base.good("address", "add", "1", "2001:db8::1", "5060", "gateway")
    assert "already" in base.bad("address", "add", "1", "192.0.2.0/24")
    for wrong in (("0", "192.0.2.1"), ("x", "192.0.2.1"), ("1", "192.0.2"), ("1", "192.0.2.1/33"), ("1", "::/129"),
                  ("1", "192.0.2.1", "65536"), ("1", "1" * 80)):
        base.bad("address", "add", *wrong)
    assert base.rows("SELECT grp, ip_addr, mask, port, tag FROM address ORDER BY ip_addr") == [
        (1, "192.0.2.0", 24, 0, None), (1, "2001:db8::1", 128, 5060, "gateway")]
    assert len(base.json("address", "show")) == 2
    base.good("address", "rm", "1", "192.0.2.0/24")
    assert "has no" in base.bad("address", "rm", "1", "192.0.2.0/24")


@pytest.mark.sanitize
def test_two_names_that_the_registrar_takes_for_one_are_not_added(base):
    base.good("add", "Alice@Example.COM", "pw")
    # A domain is stored in lower case, and that is the realm of the digest.
    assert base.rows("SELECT username, domain, ha1 FROM subscriber") == [("Alice", "example.com", ha1("md5", "Alice", "example.com", "pw"))]
    for name in ("alice", "ALICE", "aLice@EXAMPLE.com"):
        for verb in (("add", name, "pw"), ("alias", "add", name, "Alice")):
            err = base.bad(*verb)
            assert "a user Alice@example.com already" in err and "letter case" in err, (verb, err)
    base.good("alias", "add", "Sales", "Alice")
    for verb in (("add", "sales", "pw"), ("alias", "add", "SALES@Example.com", "Alice")):
        assert "an alias Sales@example.com already" in base.bad(*verb)
    for name in ("al%69ce", "bob%00", "b%0ab", "100%", "%"):
        for verb in (("add", name, "pw"), ("alias", "add", name, "Alice")):
            assert "without escapes" in base.bad(*verb), verb
    # A name with other letters, and the same one in another domain, are others.
    base.good("add", "alice2", "pw")
    base.good("add", "alice@b.example", "pw")
    # Rows of somebody else's are found as they stand there, and stand in the way as well.
    with sqlite3.connect(base.path) as db:
        db.execute("INSERT INTO subscriber (username, domain) VALUES ('d%41ve', 'Old.Example'), ('eve', 'OLD.example'), ('eve', 'old.Example')")
        db.execute("INSERT INTO grp (username, domain, grp) VALUES ('d%41ve', 'Old.Example', 'int')")
        db.execute("INSERT INTO dbaliases (alias_username, alias_domain, username, domain) VALUES ('x', 'Old.EXAMPLE', 'eve', 'OLD.example')")
    assert "a user d%41ve@old.example already" in base.bad("add", "dave@old.example", "pw")
    base.good("passwd", "d%41ve@old.example", "pw")
    assert base.rows("SELECT ha1 FROM subscriber WHERE domain = 'Old.Example'") == [(ha1("md5", "d%41ve", "Old.Example", "pw"),)]
    assert [g["group"] for g in base.json("acl", "show", "d%41ve@OLD.example")] == ["int"]
    base.good("acl", "grant", "d%41ve@old.example", "ld")
    assert base.rows("SELECT domain FROM grp") == [("Old.Example",)] * 2
    base.good("acl", "revoke", "d%41ve@old.example", "ld")
    base.good("rm", "d%41ve@old.example")
    assert base.rows("SELECT * FROM grp") == []
    assert "domains differ in letter case" in base.bad("rm", "eve@old.example")
    base.good("alias", "rm", "x@old.example")
    base.good("rm", "eve@old.Example")
    assert base.rows("SELECT domain FROM subscriber WHERE username = 'eve'") == [("OLD.example",)]


def test_a_domain_is_stored_in_lower_case(base):
    assert base.good("domain", "add", "Example.COM") == "domain example.com is added\n"
    assert base.rows("SELECT domain FROM domain") == [("example.com",)]
    assert "already" in base.bad("domain", "add", "EXAMPLE.com")
    with sqlite3.connect(base.path) as db:
        db.execute("UPDATE domain SET domain = 'Example.com'")
    assert "already" in base.bad("domain", "add", "example.com")
    base.good("domain", "rm", "EXAMPLE.COM")
    assert base.rows("SELECT domain FROM domain") == []


HOSTILE = ["' OR '1'='1", "x'; DROP TABLE subscriber; --", "a\nb", "\x1b[31m", "a b", "a:b", 'a"b', "a\\b", "", "x" * 65, "a@b@c d", "%"]


@pytest.mark.sanitize
def test_what_is_typed_reaches_sql_as_a_value(base):
    base.good("add", "alice", "pw")
    for text in HOSTILE:
        for verb in (("add", text, "pw"), ("rm", text), ("passwd", text, "pw"), ("acl", "grant", text, "int"),
                     ("acl", "grant", "alice", text), ("alias", "add", text, "alice"), ("alias", "rm", text),
                     ("domain", "rm", text), ("domain", "add", text), ("add", f"u@{text}", "pw")):
            status, out, err = base(*verb)
            assert "\x1b" not in out + err
            assert status == 1, (verb, out, err)
    # Values may be anything.
    base.good("add", "o'brien", "x'; DROP TABLE subscriber; --", "a'b@mail")
    assert base.rows("SELECT ha1, email_address FROM subscriber WHERE username = ?", "o'brien") == [
        (ha1("md5", "o'brien", "example.com", "x'; DROP TABLE subscriber; --"), "a'b@mail")]
    assert ("alice",) in base.rows("SELECT username FROM subscriber")


# ---- databases ----


def test_tables_are_made_and_looked_at(tmp_path):
    env = {"SIPLANE_DB_URL": f"sqlite://{tmp_path}/new.sqlite", "SIP_DOMAIN": "x.example"}
    status, out, _ = ctl("db", "check", env=env)
    assert status == 1 and re.search(r"^subscriber +no ", out, re.M)
    assert "db create" in ctl("show", env=env)[2]
    assert "tables are made" in ctl("db", "create", env=env)[1]
    assert "already" in ctl("db", "create", env=env)[1]
    status, out, _ = ctl("db", "check", "--json", env=env)
    assert status == 0 and all(t["usable"] for t in json.loads(out))
    assert os.stat(tmp_path / "new.sqlite").st_mode & 0o077 == 0


def test_a_database_of_openser_takes_what_it_can(tmp_path):
    """Without columns for SHA-256: users are added with MD5, and a warning says so until it is migrated."""
    path = tmp_path / "old.sqlite"
    with sqlite3.connect(path) as db:
        db.execute("CREATE TABLE subscriber (id INTEGER PRIMARY KEY, username TEXT NOT NULL DEFAULT '', domain TEXT NOT NULL DEFAULT '', "
                   "password TEXT NOT NULL DEFAULT '', email_address TEXT NOT NULL DEFAULT '', ha1 TEXT NOT NULL DEFAULT '', "
                   "ha1b TEXT NOT NULL DEFAULT '', UNIQUE (username, domain))")
        db.execute("INSERT INTO subscriber (username, domain, password) VALUES ('old', 'x.example', 'clear')")
    env = {"SIPLANE_DB_URL": f"sqlite://{path}", "SIP_DOMAIN": "x.example"}
    status, out, err = ctl("add", "alice", "pw", env=env)
    assert status == 0 and "only MD5" in err and "added" in out
    with sqlite3.connect(path) as db:
        assert db.execute("SELECT ha1 FROM subscriber WHERE username = 'alice'").fetchone() == (ha1("md5", "alice", "x.example", "pw"),)
    assert ctl("db", "migrate", env=env)[0] == 0
    status, out, err = ctl("passwd", "alice", "pw2", env=env)
    assert status == 0 and err == ""
    with sqlite3.connect(path) as db:
        assert db.execute("SELECT ha1_sha256 FROM subscriber WHERE username = 'alice'").fetchone() == (ha1("sha256", "alice", "x.example", "pw2"),)
        assert db.execute("SELECT password FROM subscriber WHERE username = 'old'").fetchone() == ("clear",)


def test_a_database_of_kamailio_takes_what_it_can(tmp_path):
    """Its subscriber has no mail addresses either: users are added and shown without."""
    path = tmp_path / "kamailio.sqlite"
    with sqlite3.connect(path) as db:
        db.execute("CREATE TABLE subscriber (id INTEGER PRIMARY KEY, username VARCHAR(64) DEFAULT '' NOT NULL, "
                   "domain VARCHAR(64) DEFAULT '' NOT NULL, password VARCHAR(64) DEFAULT '' NOT NULL, ha1 VARCHAR(128) DEFAULT '' NOT NULL, "
                   "ha1b VARCHAR(128) DEFAULT '' NOT NULL, UNIQUE (username, domain))")
        db.execute("INSERT INTO subscriber (username, domain) VALUES ('old', 'x.example')")
    env = {"SIPLANE_DB_URL": f"sqlite://{path}", "SIP_DOMAIN": "x.example"}
    status, out, err = ctl("add", "alice", "pw", env=env)
    assert status == 0 and "only MD5" in err and "mail" not in err and "added" in out, (out, err)
    status, out, err = ctl("add", "bob", "pw", "bob@mail.example", env=env)
    assert status == 0 and "no column for mail addresses" in err and "added" in out, (out, err)
    with sqlite3.connect(path) as db:
        assert db.execute("SELECT ha1 FROM subscriber WHERE username = 'bob'").fetchone() == (ha1("md5", "bob", "x.example", "pw"),)
    status, out, err = ctl("show", "--json", env=env)
    assert status == 0 and [u["username"] for u in json.loads(out)] == ["alice", "bob", "old"], err
    status, out, err = ctl("show", "bob", "--json", env=env)
    assert status == 0 and json.loads(out) == [{"username": "bob", "domain": "x.example", "email": ""}], err
    assert ctl("rm", "bob", env=env)[0] == 1  # without grp and dbaliases there is no telling what is his
    assert ctl("db", "create", env=env)[0] == 0 and ctl("rm", "bob", env=env)[0] == 0
    assert ctl("db", "migrate", env=env)[0] == 0
    assert ctl("add", "carol", "pw", "carol@mail.example", env=env) == (0, "user carol@x.example is added\n", "")
    assert "carol@mail.example" in ctl("show", "carol", env=env)[1]


def test_a_database_that_is_not_there_is_named_without_its_password(tmp_path):
    for url, why in (("mysql://root:geheim@127.0.0.1:1/x", "mysql://root:***@"), ("postgres://root:geheim@127.0.0.1:1/x", ":***@"),
                     ("sqlite:///nonexistent/x.sqlite", "/nonexistent"), (f"sqlite://{tmp_path}/text", "text"),
                     ("foo://x", "db_url"), ("mysql://" + "x" * 600, "longer")):
        (tmp_path / "text").write_text("no database " * 1000)
        status, out, err = ctl("--db-url", url, "show")
        assert status == 1 and out == "" and why in err and "geheim" not in err, (url, err)


# ---- settings ----


def settings_of(text, tmp_path, *args, env=None):
    """Which database and domain siplanectl takes: what its errors say."""
    rc = tmp_path / "rc"
    rc.write_text(text)
    rc.chmod(0o600)
    return ctl("--rc", rc, *args, env=env)


def test_settings_of_openser_are_understood(tmp_path):
    openserctlrc = """
# $Id$
SIP_DOMAIN=rc.example   # behind it
DBENGINE=MYSQL
DBHOST=127.0.0.1
DBPORT='1'
DBNAME="open ser"
DBRWUSER=openser
DBRWPW="p@ss/w:rd"
DBROUSER=openserro
export VERBOSE=1
OSER_FIFO="/tmp/openser_fifo"
"""
    _, _, err = settings_of(openserctlrc, tmp_path, "show")
    assert "mysql://openser:***@127.0.0.1:1/open" in err and "p@ss" not in err
    _, _, err = settings_of(openserctlrc.replace("MYSQL", "PGSQL"), tmp_path, "show")
    assert "postgres://openser:***@127.0.0.1:1/open" in err
    status, out, _ = settings_of(f"DBENGINE=SQLITE\nDB_PATH={tmp_path}/x.sqlite\n", tmp_path, "db", "create")
    assert status == 0 and f"{tmp_path}/x.sqlite" in out
    for text, why in (("DBENGINE=ORACLE\n", "DBENGINE=ORACLE"), ("SIP_DOMAIN=$(hostname)\n", "nothing is evaluated"),
                      ("SIP_DOMAIN=`hostname`\n", "nothing is evaluated"), ("if true; then\n", "KEY=value is wanted"),
                      ("SIP_DOMAIN='x\n", "between quotes"), ("SIP_DOMAIN=" + "x" * 3000 + "\n", "longer"),
                      ("SIP_DOMAIN=" + "x" * 65 + "\n", "longer"), ("control_socket=" + "x" * 200 + "\n", "longer")):
        status, _, err = settings_of(text, tmp_path, "show")
        assert status == 1 and why in err and "rc:1" in err or "DBENGINE" in err, (text[:40], err)
    assert "No such file" in ctl("--rc", tmp_path / "none", "show")[2]


def test_each_setting_stands_above_the_one_before(tmp_path):
    rc = f"db_url=sqlite://{tmp_path}/rc.sqlite\ncontrol_socket={tmp_path}/rc.sock\n"
    (tmp_path / "home").mkdir()
    (tmp_path / "home/.siplanectlrc").write_text(rc.replace("/rc.", "/home."))

    def asks(*args, env=None, file=False):
        plain = {"HOME": str(tmp_path / "home"), "PATH": os.environ["PATH"], **(env or {})}
        (tmp_path / "rc").write_text(rc)
        r = subprocess.run([SIPLANECTL, *(["--rc", str(tmp_path / "rc")] if file else []), *args, "uptime"], env=plain,
                           capture_output=True, text=True, timeout=20)
        return re.search(r"(\w+)\.sock", r.stderr).group(1)

    assert asks() == "home"
    assert asks(file=True) == "rc"
    assert asks(env={"SIPLANECTLRC": str(tmp_path / "rc")}) == "rc"
    assert asks(file=True, env={"SIPLANE_CONTROL_SOCKET": "/x/env.sock"}) == "env"
    assert asks("--socket", "/x/option.sock", env={"SIPLANE_CONTROL_SOCKET": "/x/env.sock"}) == "option"


def test_a_file_with_a_password_that_others_read_is_warned_of(tmp_path):
    rc = tmp_path / "rc"
    rc.write_text(f"DBRWPW=x\ndb_url=sqlite://{tmp_path}/x.sqlite\n")
    rc.chmod(0o644)
    assert "chmod 600" in ctl("--rc", rc, "db", "create")[2]
    rc.chmod(0o600)
    assert ctl("--rc", rc, "db", "create")[2] == ""
    # A password stands behind "://" and before the last '@', and nowhere else.
    for url, password in (("mysql://u:p@127.0.0.1:1/x", True), ("mysql://u@127.0.0.1:1/x", False), ("mysql://127.0.0.1:1/x", False),
                          ("a@b://x", False), ("@://", False), ("@://x:y", False)):
        rc.write_text(f"db_url={url}\n")
        rc.chmod(0o644)
        status, _, err = ctl("--rc", rc, "show")
        assert status == 1 and ("chmod 600" in err) == password, (url, err)


# ---- a siplane that runs ----


@pytest.mark.sanitize
def test_verbs_of_the_running_siplane(labs):
    lab = registrar(labs)
    ua = UA(lab, "caller", "10.10.0.2")
    env = {"SIPLANE_CONTROL_SOCKET": str(socket_of(lab))}

    def good(*args):
        status, out, err = ctl(*args, env=env)
        assert status == 0 and err == "", (args, out, err)
        return out

    def js(*args):
        return json.loads(good("--json", *args))

    assert good("online") == "nobody is registered\n" and js("online") == [] and js("ul", "dump") == []
    register(ua, "alice", "sip:a@10.10.0.2:5070", "sip:b@10.10.0.2:5070")
    register(ua, "bob", "sip:b@10.10.0.2:5071")
    assert js("online") == [{"aor": "alice", "contacts": 2}, {"aor": "bob", "contacts": 1}] or len(js("online")) == 2
    assert {r["contact"] for r in js("ul", "show", "alice")} == {"sip:a@10.10.0.2:5070", "sip:b@10.10.0.2:5070"}
    assert len(js("ul", "show")) == 3 and len(js("ul", "dump")) == 3
    assert re.search(r"^AOR +CONTACT +Q ", good("ul", "show"), re.M) and "sip:b@10.10.0.2:5071" in good("ul", "show")
    assert good("ul", "rm", "alice", "sip:b@10.10.0.2:5070") == "1 contact of alice removed\n"
    assert js("ul", "rm", "alice") == {"done": "1 contact of alice removed"}
    assert ctl("ul", "show", "alice", env=env)[::2] == (1, "siplanectl: alice is not registered\n")
    assert ctl("--json", "ul", "rm", "alice", env=env)[:2] == (1, '{\n  "error": "alice is not registered"\n}\n')

    assert [d["destination"] for d in js("ds", "list")] == ["sip:10.20.0.11:5060", "sip:10.20.0.12:5060"]
    first = js("ds", "list")[0]["id"]
    assert good("ds", "down", first) == "1 destination is down\n"
    good("ds", "down", "sip:10.20.0.12:5060")
    assert [d["health"] for d in js("ds", "list")] == ["down", "down"]
    good("ds", "up", first)
    assert [d["health"] for d in js("ds", "list")] == ["up", "down"]
    assert "no destination" in ctl("ds", "up", "sip:nobody", env=env)[2]

    assert js("uptime")["generation"] == 1 and js("version")["pid"] == lab.siplane.pid
    assert re.search(r"^generation +1$", good("uptime"), re.M)
    assert js("stats")["registrar"]["registrar_accepted"] == 2 == js("stats", "registrar")["registrar_accepted"]
    assert good("stats", "registrar_accepted") == "2\n" and js("stats", "registrar_accepted") == {"registrar_accepted": 2}
    assert re.search(r"^registrar\n(?:  .*\n)*  registrar_accepted +2$", good("stats"), re.M)
    assert "no figure" in ctl("stats", "none", env=env)[2]

    assert good("reload") == "the configuration is current, generation 2\n"
    assert js("ds", "reload") == {"from_file": 2, "from_table": None, "warnings": ""}
    assert good("ds", "reload") == "the list of destinations is current: 2 of its file\n"
    text = lab.config.read_text()
    lab.config.write_text(text + "\nno such thing\n")
    status, out, err = ctl("reload", env=env)
    assert status == 1 and out == "" and "stays" in err and "siplane.cfg:" in err
    lab.config.write_text(text)

    assert {m["name"] for m in js("methods")} >= {"ul.dump", "cfg.reload"} and "ul.rm" in good("methods")
    assert json.loads(good("call", "ul.lookup", "aor=bob"))["aor"] == "bob"
    assert json.loads(good("call", "ds.set_health", f"id={first}", "up=true")) is None
    assert ctl("call", "ul.lookup", "bob", env=env)[0] == 2
    # A name that looks like a number is a name.
    register(ua, "100", "sip:c@10.10.0.2:5072")
    assert json.loads(good("call", "ul.lookup", "aor=100"))["aor"] == "100"
    assert "'up' is a truth" in ctl("call", "ds.set_health", f"id={first}", "up=maybe", env=env)[2]
    assert "there is no method" in ctl("call", "none", env=env)[2]


# Each verb once or more, in an order in which each has something to do; then what it answers.
SPEAKS = """
db create | db migrate | db check | add bob pw | add alice pw a@mail | passwd alice pw2 | show | show alice
acl grant alice int | acl show | acl revoke alice | alias add 100 alice | alias show | alias rm 100
avp add alice@example.com color 0 red | avp list | avp rm -u alice@example.com | domain add one.example | domain show | domain reload
domain rm one.example | address add 1 192.0.2.1 5060 gw | address show | address reload | address rm 1 192.0.2.1 5060
dispatcher add 1 sip:10.20.0.11:5060 0 0 weight=1 | dispatcher show | ds reload | ds list | ds down sip:10.20.0.11:5060
ds up sip:10.20.0.11:5060 | ds drain 1 sip:10.20.0.11:5060 | ds disable 1 sip:10.20.0.11:5060
ds enable 1 sip:10.20.0.11:5060 | dispatcher rm 1 sip:10.20.0.11:5060 | online | ul show | ul show carol | ul dump | ul rm carol | stats
stats registrar | stats registrar_accepted | uptime | version | reload | methods | call core.uptime | rm alice
"""


@pytest.mark.sanitize
def test_every_verb_speaks_json(labs, base):
    """What it has done, a list, an object: one JSON text on standard output, with nothing beside it."""
    lab = registrar(labs, start=False)
    text = re.sub(r'modparam\("dispatcher", "list_file".*\n', 'loadmodule "domain.so"\nloadmodule "permissions.so"\n'
                  f'modparam("domain|permissions|dispatcher", "db_url", "sqlite://{base.path}")\n', lab.config.read_text())
    lab.config.write_text(text)
    lab.start_siplane(lab.config)
    register(UA(lab, "caller", "10.10.0.2"), "carol", "sip:c@10.10.0.2:5070")
    base.env["SIPLANE_CONTROL_SOCKET"] = str(socket_of(lab))
    left = set(NAMES)
    for line in SPEAKS.replace("\n", " | ").split(" | "):
        words = line.split()
        if not words:
            continue
        verb = " ".join(words[:2]) if " ".join(words[:2]) in NAMES else words[0]
        said = base.json(*words)
        assert isinstance(said, (list, dict)), (line, said)
        assert not (isinstance(said, dict) and "error" in said), (line, said)
        left.discard(verb)
    assert not left, f"without a line here: {left}"


@pytest.mark.parametrize("verb", NAMES)
def test_every_verb_speaks_of_errors_in_json(verb, tmp_path):
    """No database, no siplane: why not is JSON, too, on standard output, and nothing stands beside it."""
    least = {"address add": ["1", "192.0.2.1"], "address rm": ["1", "192.0.2.1"], "dispatcher add": ["1", "sip:192.0.2.1"],
             "dispatcher rm": ["1", "sip:192.0.2.1"], "avp add": ["a@b.example", "x", "0", "y"], "add": ["a", "pw"], "passwd": ["a", "pw"],
             "acl grant": ["a", "int"], "alias add": ["1", "a"]}
    needed = re.sub(r"(^| )\[[^]]*\]\S*", "", dict(TABLE)[verb]).split()
    words = least.get(verb, ["x"] * len(needed))
    status, out, err = ctl("--json", *verb.split(), *words,
                           env={"SIPLANE_DB_URL": f"sqlite://{tmp_path}/no/such/folder.sqlite", "SIP_DOMAIN": "example.com"})
    assert status == 1 and err == "", (out, err)
    assert list(json.loads(out)) == ["error"], out


def test_nobody_sends_commands_to_an_operators_terminal(labs):
    lab = registrar(labs)
    ua = UA(lab, "caller", "10.10.0.2")
    ua.send(ua.request("REGISTER", "sip:example.com", to="<sip:alice@example.com>", contact=False,
                       headers=["Contact: <sip:a@10.10.0.2>", "User-Agent: \x1b]0;owned\x07\x1b[31mred \xc2\x9b2J"]), ("10.10.0.1", 5060))
    assert ua.receive().status in (200, 400)
    status, out, err = ctl("ul", "dump", env={"SIPLANE_CONTROL_SOCKET": str(socket_of(lab))})
    assert status == 0 and not set(out) & {"\x1b", "\x07", "\x9b"}, out


def test_a_change_is_told_to_a_running_siplane(labs, base):
    lab = labs.make()
    base.env["SIPLANE_CONTROL_SOCKET"] = str(socket_of(lab))
    assert base.good("add", "alice", "pw") == "user alice@example.com is added\n"
    with Client(socket_of(lab)) as c:
        before = c.ask("core.stats", group="control")["control"]
        base.good("acl", "grant", "alice", "int")
        after = c.ask("core.stats", group="control")["control"]
    assert after["control_connected"] == before["control_connected"] + 1
    assert after["control_errors"] == before["control_errors"]
    # One that was killed has left its socket: nobody is there to be told.
    lab.siplane.kill()
    lab.siplane.wait(10)
    base.good("acl", "revoke", "alice", "int")
    lab.start_siplane(lab.config) if lab.driver != "tap" else restart(lab)


def restart(lab):
    lab.processes.remove(lab.siplane)
    lab.start_siplane(lab.config)


# ---- answers that do not come ----


class Silent:
    """Somebody who takes the connection, and answers after a time, or what he likes."""

    def __init__(self, path, answer=None, delay=0.0):
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.bind(str(path))
        self.sock.listen(5)
        self.answer, self.delay = answer, delay
        self.thread = threading.Thread(target=self.serve, daemon=True)
        self.thread.start()

    def serve(self):
        try:
            while True:
                c, _ = self.sock.accept()
                c.recv(65536)
                time.sleep(self.delay)
                if self.answer is not None:
                    c.sendall(self.answer)
                else:
                    time.sleep(30)
                c.close()
        except OSError:
            pass


def test_a_siplane_that_does_not_answer(tmp_path):
    path = tmp_path / "s"
    server = Silent(path)
    begun = time.monotonic()
    status, _, err = ctl("--socket", path, "--timeout", "1", "uptime")
    assert status == 1 and "in time" in err and time.monotonic() - begun < 5
    server.answer = b"no JSON\n"
    for answer, why in ((b"no JSON\n", "no JSON-RPC"), (b"", "closed the connection"), (b"[1]\n", "no JSON-RPC"),
                        (b'{"error": 1}\n', "refuses")):
        server.sock.close()
        path.unlink()
        server = Silent(path, answer)
        status, out, err = ctl("--socket", path, "uptime")
        assert status == 1 and why in err, (answer, err)
    server.sock.close()


STRANGER = """
import os, socket, sys
os.setgroups([]); os.setgid(65534); os.setuid(65534)
s = socket.socket(socket.AF_UNIX); s.bind(sys.argv[1]); s.listen(5); os.chmod(sys.argv[1], 0o666)
print("ready", flush=True)
while True:
    c, _ = s.accept()
    if c.recv(4096): c.sendall(b'{"jsonrpc": "2.0", "result": {"uptime_s": 1}, "id": 1}\\n')
"""


@pytest.mark.skipif(os.geteuid() != 0, reason="needs root, to be another user")
def test_a_strangers_socket_is_not_believed(base):
    """In a folder where everybody may write: who serves there answers what he likes."""
    with tempfile.TemporaryDirectory(prefix="siplane-ctl-") as folder:
        os.chmod(folder, 0o1777)
        path = pathlib.Path(folder) / "control.sock"
        p = subprocess.Popen(["/usr/bin/python3", "-c", STRANGER, str(path)], stdout=subprocess.PIPE, text=True)
        try:
            assert p.stdout.readline() == "ready\n"
            status, out, err = ctl("--socket", path, "uptime")
            assert status == 1 and out == "" and f"process {p.pid} of user 65534" in err, (out, err)
            base.env["SIPLANE_CONTROL_SOCKET"] = str(path)
            status, out, err = base("add", "alice", "pw")
            assert status == 0 and "is added" in out and "has not been told" in err and "65534" in err
            # Where the folder is his own, he is siplane.
            os.chmod(folder, 0o755)
            os.chown(folder, 65534, 65534)
            assert ctl("--socket", path, "uptime")[:2] == (0, "uptime_s  1\n")
        finally:
            p.kill()
            p.wait()


def test_what_takes_long_says_so(tmp_path):
    server = Silent(tmp_path / "s", b'{"jsonrpc": "2.0", "result": {"uptime_s": 1}, "id": 1}\n', delay=5)
    status, seen = on_terminal(["--socket", str(tmp_path / "s"), "uptime"], {}, [])
    assert status == 0 and "uptime: 2 s" in seen and "uptime: 3 s" in seen and "uptime: 1 s" not in seen
    # And it is gone from the terminal before the answer.
    assert seen.endswith("uptime_s  1\r\n") and "\x1b[K" in seen
    server.sock.close()


# ---- usage, manual, completion ----


@pytest.mark.parametrize("verb", NAMES)
def test_each_verb_has_help(verb):
    status, out, err = ctl(*verb.split(), "--help")
    assert status == 0 and err == "" and out.startswith(f"Usage: siplanectl {verb}")


def test_wrong_usage():
    for args in ((), ("none",), ("ul",), ("acl", "none"), ("add",), ("add", "a", "b", "c", "d"), ("--none",), ("--timeout", "x", "uptime"),
                 ("--timeout", "0", "uptime"), ("uptime", "x")):
        status, out, err = ctl(*args)
        assert status == 2 and out == "" and err, args
    assert ctl("--version")[1].startswith("siplanectl ")


def test_the_manual_names_every_verb():
    assert len(VERBS) > 30 and all(f"  {verb} " in ctl("--help")[1] for verb in VERBS)
    page = (ROOT / "docs/siplanectl.md").read_text().replace("\\|", "|")
    for verb in VERBS:
        assert f"`{verb}`" in page, verb
    manual = ctl("--manual")[1]
    for name in NAMES:
        assert f"*{name}* " in manual


def test_completion(tmp_path):
    script = tmp_path / "completion"
    script.write_text(ctl("--completion")[1])

    def complete(*words):
        line = " ".join(f"'{w}'" for w in ("siplanectl", *words))
        r = subprocess.run(["bash", "-c", f"source {script}; COMP_WORDS=({line}); COMP_CWORD={len(words)}; _siplanectl; "
                                          'printf "%s\\n" "${COMPREPLY[@]}"'], capture_output=True, text=True, timeout=20)
        assert r.stderr == "", r.stderr
        return r.stdout.split()

    assert complete("a") == ["add", "acl", "alias", "avp", "address"]
    assert complete("acl", "") == ["show", "grant", "revoke"]
    assert complete("--domain", "x", "ul", "r") == ["rm"]
    assert complete("--js") == ["--json"]
    assert {w.split()[0] for w in NAMES} == set(complete(""))
    for verb in NAMES:
        words = verb.split()
        assert words[0] in complete(words[0])
        if len(words) > 1:
            assert words[1] in complete(words[0], words[1])


# ---- the other engines ----


@pytest.fixture(params=["mysql", "postgres"])
def server(request):
    try:
        running = databases.start(request.param)
    except databases.Missing as e:
        pytest.skip(str(e))
    with running as s:
        s.engine = request.param
        yield s


def test_every_verb_on_a_server(server, tmp_path):
    """With openserctlrc's words for it, and a password that has to be escaped in a URL."""
    rc = tmp_path / "openserctlrc"
    host = server.url().rpartition("@")[2].partition("/")[0]
    rc.write_text(f'SIP_DOMAIN=example.com\nDBENGINE={ {"mysql": "MYSQL", "postgres": "PGSQL"}[server.engine] }\n'
                  f'DBHOST={host.partition(":")[0]}\nDBPORT={host.partition(":")[2]}\nDBNAME={databases.DATABASE}\n'
                  f'DBRWUSER={databases.USER}\nDBRWPW="{databases.PASSWORD}"\n')
    rc.chmod(0o600)

    def good(*args):
        status, out, err = ctl("--rc", rc, "--json", *args)
        assert status == 0 and err == "", (args, out, err)
        return json.loads(out)

    def bad(*args):
        status, out, err = ctl("--rc", rc, *args)
        assert status == 1 and out == "" and databases.PASSWORD not in err, (args, out, err)
        return err

    assert "db create" in bad("show")
    assert "tables are made" in good("db", "create")["done"]
    assert all(t["usable"] for t in good("db", "check"))
    good("db", "migrate")
    good("add", "alice", "x'; DROP TABLE subscriber; --", "a'b@mail")
    good("add", "bob@b.example", "pw")
    assert "already" in bad("add", "alice", "pw")
    assert {u["username"]: u["email"] for u in good("show")} == {"alice": "a'b@mail", "bob": ""}
    said = server.sql("SELECT ha1, ha1_sha256, ha1_sha512t256, password FROM subscriber WHERE username = 'alice'")
    for algorithm in ("md5", "sha256", "sha512_256"):
        assert ha1(algorithm, "alice", "example.com", "x'; DROP TABLE subscriber; --") in said
    good("passwd", "alice", "new")
    assert ha1("sha512_256", "alice", "example.com", "new") in server.sql("SELECT ha1_sha512t256 FROM subscriber")
    good("acl", "grant", "alice", "int")
    good("acl", "grant", "alice", "int")
    good("acl", "grant", "alice", "local")
    good("acl", "revoke", "alice", "int")
    assert "no such group" in bad("acl", "revoke", "alice", "int")
    assert good("acl", "show") == [{"username": "alice", "domain": "example.com", "group": "local"}]
    good("alias", "add", "100", "alice")
    assert "already" in bad("alias", "add", "100", "alice")
    assert good("alias", "show", "alice")[0]["alias"] == "100"
    good("domain", "add", "example.com")
    assert good("domain", "show") == [{"domain": "example.com"}]
    good("domain", "rm", "example.com")
    assert "no domain" in bad("domain", "rm", "example.com")
    good("address", "add", "1", "2001:db8::/32", "5060", "gateway")
    assert good("address", "show") == [{"group": 1, "address": "2001:db8::", "mask": 32, "port": 5060, "tag": "gateway"}]
    good("address", "rm", "1", "2001:db8::/32", "5060")
    good("rm", "alice")
    assert good("acl", "show") == [] and good("alias", "show") == [] and len(good("show")) == 1
    good("alias", "add", "200", "bob@b.example")
    good("alias", "rm", "200")
    server.kill()
    assert "***@" in bad("show")


# ---- what it writes is what siplane reads ----

ALGORITHMS = {"MD5": "md5", "SHA-256": "sha256", "SHA-512-256": "sha512_256"}
CHALLENGES = f"""
	if (!www_authorize("{DOMAIN}", "subscriber")) {{
		www_challenge("{DOMAIN}", "1", "MD5, SHA-256, SHA-512-256");
		exit;
	}}
	if (is_user_in("Credentials", "banned")) {{ sl_send_reply("403", "Forbidden"); exit; }}
	save("location")"""


def log_in(p, password, algorithm):
    """The last status of a REGISTER that answers the challenge of this algorithm."""
    call_id = f"{p.user}-{time.monotonic_ns()}"
    uri = f"sip:{DOMAIN}"

    def h(text):
        return hashlib.new(ALGORITHMS[algorithm], text.encode()).hexdigest()

    def send(cseq, headers=()):
        p.send(p.request("REGISTER", uri, to=f"<{p.aor}>", call_id=call_id, cseq=cseq, headers=headers), ("10.10.0.1", 5060))
        return p.receive()

    got = send(1)
    assert got.status == 401, got
    challenge = next(c for c in got.all("www-authenticate") if re.search(rf"algorithm={algorithm}(,|$)", c))
    nonce = re.search(r'nonce="([^"]*)"', challenge).group(1)
    response = h(f"{h(f'{p.user}:{DOMAIN}:{password}')}:{nonce}:00000001:c:auth:{h(f'REGISTER:{uri}')}")
    return send(2, [f'Authorization: Digest username="{p.user}", realm="{DOMAIN}", nonce="{nonce}", uri="{uri}", response="{response}", '
                    f'algorithm={algorithm}, qop=auth, nc=00000001, cnonce="c"']).status


@pytest.mark.sanitize
def test_a_user_who_is_added_gets_in_at_once(labs):
    """With each algorithm; and a changed password, a group and a removal hold from the next message on."""
    path = "users.sqlite"
    lab = labs.make("tap", start=False, modules=phone.MODULES + "".join(f'loadmodule "{m}.so"\n' for m in ("auth", "auth_db", "group")),
                    script=phone.script(save=CHALLENGES, params='modparam("auth_db|group", "use_domain", 1)'))
    lab.config.write_text(f'db_url = "sqlite://{path}"\n' + lab.config.read_text())
    base = Base(lab.dir / path)
    base.env.update(SIPLANE_CONTROL_SOCKET=str(socket_of(lab)), SIP_DOMAIN=DOMAIN)
    lab.start_siplane(lab.config)
    alice = phone.Phone(lab, "alice")
    assert {log_in(alice, "first", a) for a in ALGORITHMS} == {401}
    base.good("add", "alice", "first")
    assert {log_in(alice, "first", a) for a in ALGORITHMS} == {200}
    base.good("passwd", "alice", "second")
    assert {log_in(alice, "first", a) for a in ALGORITHMS} == {401}
    assert {log_in(alice, "second", a) for a in ALGORITHMS} == {200}
    base.good("acl", "grant", "alice", "banned")
    assert log_in(alice, "second", "SHA-256") == 403
    base.good("acl", "revoke", "alice", "banned")
    assert log_in(alice, "second", "SHA-256") == 200
    assert [r["aor"] for r in base.json("online")] == ["alice"]
    base.good("rm", "alice")
    base.good("ul", "rm", "alice")
    assert {log_in(alice, "second", a) for a in ALGORITHMS} == {401} and base.json("online") == []
