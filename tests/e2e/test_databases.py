# SPDX-License-Identifier: BSD-3-Clause
"""siplane and siplanectl with the servers of Debian: what SQLite does they do, and an outage is no more than that."""
import json
import subprocess
import time

import databases
import pytest
from ctl import ctl
from phone import DOMAIN, Phone, call, hang_up, script
from test_register import Rig
from test_rows import ask, make, md5, register

pytestmark = pytest.mark.sanitize

PARAMS = 'modparam("auth_db", "use_domain", 1)\nmodparam("auth_db", "cache_negative_ttl", 1)'
# What an operator does, right and wrong.
VERBS = (
    ("db", "check"), ("db", "create"), ("db", "create"), ("db", "check"), ("db", "migrate"),
    ("add", "alice", "wonder:land", "alice@mail.example"), ("add", "alice", "twice"), ("add", "it's \"me\" \\ %s?", "pw"), ("add", "b\u00f6rje", "pw"),
    ("show",), ("show", "alice"), ("show", "nobody"), ("passwd", "alice", "new"), ("passwd", "nobody", "new"),
    ("acl", "grant", "alice", "int"), ("acl", "grant", "alice", "ld"), ("acl", "grant", "alice", "ld"), ("acl", "show", "alice"),
    ("acl", "revoke", "alice", "ld"), ("acl", "revoke", "alice", "ld"), ("acl", "show"),
    ("alias", "add", "boss", "alice"), ("alias", "add", "boss", "alice"), ("alias", "show"), ("alias", "rm", "boss"), ("alias", "rm", "boss"),
    ("domain", "add", "example.net"), ("domain", "add", "example.net"), ("domain", "show"), ("domain", "rm", "example.net"),
    ("address", "add", "1", "192.0.2.0/24", "5060", "gw"), ("address", "add", "2", "2001:db8::/32"), ("address", "show"),
    ("address", "rm", "1", "192.0.2.0/24", "5060"), ("address", "show"),
    ("acl", "grant", "alice", "int"), ("rm", "alice"), ("rm", "alice"), ("show",), ("acl", "show"),
)


@pytest.fixture(params=["mysql", "postgres"])
def server(request):
    try:
        with databases.start(request.param) as s:
            yield s
    except databases.Missing as e:
        pytest.skip(str(e))


def test_a_killed_server_leaves_no_process(server):
    """What is left of it holds PostgreSQL's shared memory, and a server of the same folder does not start beside it."""
    for _ in range(3):
        clients = [subprocess.Popen([server.client, *server.by_hand()], stdin=subprocess.PIPE, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
                                    env=server.environment(), cwd=server.folder, text=True) for _ in range(20)]
        for c in clients:
            c.stdin.write("SELECT 1;\n")
            c.stdin.flush()
        time.sleep(0.2)
        members = server.members()
        server.kill()
        assert all(server.stopped(pid, server.ENDED) for pid in members)
        server.start()
        for c in clients:
            c.stdin.close()
            c.wait()


def url_of(server):
    """By its Unix socket: siplane is in a network of its own."""
    return server.url(over_socket=True)


def operate(url):
    answers = []
    for verb in VERBS:
        status, out, err = ctl("--json", *verb, env={"SIPLANE_DB_URL": url, "SIP_DOMAIN": DOMAIN})
        text = out or err
        # The database's own name apart, which a sentence may begin with.
        answers.append((verb, status, json.loads(text) if verb[-1] in ("show", "alice") and status == 0 else text.split("siplane: ")[-1]
                        .split("sqlite: ")[-1]))
    return answers


def test_an_operator_sees_no_difference(server, tmp_path):
    expected = operate(f"sqlite://{tmp_path}/siplane.sqlite")
    got = operate(url_of(server))
    assert [a[1] for a in expected].count(0) > 20 and [a[1] for a in expected].count(1) > 6
    for one, other in zip(expected, got):
        assert one == other
    assert databases.PASSWORD not in str(got)


def add(url, user, password):
    status, out, err = ctl("add", f"{user}@{DOMAIN}", password, env={"SIPLANE_DB_URL": url})
    assert status == 0, (out, err)


def registers(p, password, within):
    """Until he does; how long others let it take."""
    deadline = time.monotonic() + within
    while (status := register(p, password)) != 200:
        assert time.monotonic() < deadline, status
        time.sleep(0.1)


def test_users_register_through_an_outage(server, labs):
    url = url_of(server)
    assert ctl("db", "create", env={"SIPLANE_DB_URL": url})[0] == 0
    add(url, "alice", "secret")
    lab = make(labs, url, params=PARAMS)
    lab.start_siplane(lab.config)
    alice, bob, carol = (Phone(lab, name) for name in ("alice", "bob", "carol"))
    assert register(alice, "secret") == 200 and register(alice, "wrong") == 401 and register(bob, "hers") == 401
    shown = ask(lab, "db.list")[0]
    assert shown["connected"] and shown["error"] == "" and ":***@" in shown["url"], shown

    # Who is remembered registers; who is not has no answer from there, and is told so at once.
    server.kill()
    begun = time.monotonic()
    assert register(alice, "secret") == 200
    assert register(carol, "hers") != 200
    assert time.monotonic() - begun < 3
    server.start()
    add(url, "bob", "hers")
    registers(bob, "hers", 15)

    # One that hangs keeps him who asks waiting, and nobody else.
    server.pause()
    begun = time.monotonic()
    assert register(alice, "secret") == 200
    assert time.monotonic() - begun < 3
    server.resume()
    add(url, "carol", "hers")
    registers(carol, "hers", 15)
    log = lab.log()
    assert "a:b@c" not in log and "%3A" not in log, log


def test_users_of_kamailio_register(server, labs):
    """Its columns, its digests, none of ours."""
    text = "VARCHAR(64) NOT NULL DEFAULT ''"
    server.sql(f"CREATE TABLE subscriber (username {text}, domain {text}, password {text}, ha1 {text}, ha1b {text})")
    if server.name == "postgres":
        server.sql("GRANT SELECT ON subscriber TO siplane")
    server.sql("INSERT INTO subscriber (username, domain, ha1) VALUES "
               f"('alice', '{DOMAIN}', '{md5(f'alice:{DOMAIN}:secret')}')")
    lab = make(labs, url_of(server), params=PARAMS)
    lab.start_siplane(lab.config)
    alice = Phone(lab, "alice")
    assert register(alice, "secret") == 200
    assert register(alice, "wrong") == 401
    # Text that has a meaning elsewhere.
    for name in ("' OR '1'='1", "alice' --", "alice\\'", "\u00f6", "alice\u200b"):
        assert register(alice, "secret", name=name) == 401, name
    assert register(alice, "secret") == 200
    assert ask(lab, "db.list")[0]["connected"]


# OpenSER 1.3's, with the columns that it has.
OPENSER_LOCATION = """CREATE TABLE location ({id}, username VARCHAR(64) NOT NULL DEFAULT '', domain VARCHAR(64),
    contact VARCHAR(255) NOT NULL DEFAULT '', received VARCHAR(128), path VARCHAR(128), expires {time} NOT NULL, q {real} NOT NULL DEFAULT 1.0,
    callid VARCHAR(255) NOT NULL DEFAULT '', cseq INT NOT NULL DEFAULT 13, last_modified {time} NOT NULL, flags INT NOT NULL DEFAULT 0,
    cflags INT NOT NULL DEFAULT 0, user_agent VARCHAR(255) NOT NULL DEFAULT '', socket VARCHAR(64), methods INT)"""


@pytest.mark.parametrize("made_by", ["siplanectl", "openser"])
def test_contacts_are_kept(server, made_by):
    """usrloc's db_mode 1: a 200 is a row; a server that is gone a 503, and contacts are there after a restart."""
    url = url_of(server)
    if made_by == "siplanectl":
        assert ctl("db", "create", env={"SIPLANE_DB_URL": url})[0] == 0
    elif server.name == "mysql":
        server.sql(OPENSER_LOCATION.format(id="id INT UNSIGNED AUTO_INCREMENT PRIMARY KEY", time="DATETIME", real="FLOAT(10,2)"))
    else:
        server.sql(OPENSER_LOCATION.format(id="id SERIAL PRIMARY KEY", time="TIMESTAMP", real="REAL"))
        server.sql("GRANT ALL ON location, location_id_seq TO siplane")
    made = {"text": script(params='modparam("usrloc", "db_mode", 1)\n'), "head": f'db_url = "{url}"\n'}
    rig = Rig(**made)
    try:
        bob = rig.phone("b1")
        bob.registered()
        user, uri, port = bob.user, bob.uri, bob.port
        assert server.sql("SELECT username, contact FROM location").replace("|", "\t").split() == [user, uri]
        server.kill()
        bob.to_proxy(bob.registration())
        assert bob.expect(None, timeout=8).status == 503
        server.start()
        deadline = time.monotonic() + 15
        while bob.register().status != 200:
            assert time.monotonic() < deadline, rig.lab.log()[-2000:]
            time.sleep(0.2)
        rig.check()
        rig.close()
        rig = Rig(**made)
        assert "1 contacts read" in rig.lab.log()
        alice, bob = rig.phone(), rig.phone("b1", user=user, port=port)
        _, ok = call(alice, bob)
        hang_up(alice, bob, ok)
        rig.check()
    finally:
        rig.close()
