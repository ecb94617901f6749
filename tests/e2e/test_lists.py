# SPDX-License-Identifier: BSD-3-Clause
"""Domains, addresses and destinations that stand in tables: read at the start, by siplanectl's word, and when their database is back."""
import json
import re
import sqlite3
import time

import pytest

import databases
from conftest import MODULES
from ctl import ctl, socket_of
from test_reload import reload
from ua import UA

EDGE = ("10.10.0.1", 5060)
LISTS = MODULES.replace('loadmodule "dispatcher.so"\n', "") + 'loadmodule "domain.so"\nloadmodule "permissions.so"\n'
# Each question is an OPTIONS, whose status says yes or no.
SCRIPT = """
request_route {
	if (uri=~"^sip:domain@") $var(yes) = is_uri_host_local();
	else if (uri=~"^sip:myself@") { $var(yes) = 0; if (uri==myself) $var(yes) = 1; }
	else if (uri=~"^sip:from@") $var(yes) = is_from_local();
	else $var(yes) = allow_source_address("2");
	if ($var(yes) > 0) sl_send_reply("200", "Yes $avp(tag)");
	else sl_send_reply("404", "No");
	exit;
}
"""


class SQLite:
    """The same as a server's, for what a test needs of it."""
    name = "sqlite"

    def __init__(self, path):
        self.path = path

    def url(self, **_):
        return f"sqlite://{self.path}"

    def sql(self, text):
        with sqlite3.connect(self.path, timeout=20) as db:
            db.executescript(text)

    def stop(self):
        self.sql("ALTER TABLE domain RENAME TO away; ALTER TABLE address RENAME TO gone;")

    def start(self):
        self.sql("ALTER TABLE away RENAME TO domain; ALTER TABLE gone RENAME TO address;")


@pytest.fixture(params=["sqlite", "mysql", "postgres"])
def server(request, tmp_path):
    if request.param == "sqlite":
        yield SQLite(tmp_path / "lists.sqlite")
        return
    try:
        with databases.start(request.param) as server:
            yield server
    except databases.Missing as e:
        pytest.skip(str(e))


class Asker:
    def __init__(self, lab, url):
        self.ua, self.lab = UA(lab, "caller", "10.10.0.2"), lab
        self.env = {"SIPLANE_CONTROL_SOCKET": str(socket_of(lab)), "SIPLANE_DB_URL": url}

    def __call__(self, what, host="10.10.0.1"):
        uri = f"sip:{what}@{host}"
        self.ua.send(self.ua.request("OPTIONS", uri, contact=False), EDGE)
        return self.ua.receive(10).status == 200

    def ctl(self, *args):
        return ctl(*args, env=self.env)

    def good(self, *args):
        status, out, err = self.ctl(*args)
        assert status == 0 and err == "", (args, out, err)
        return out

    def until(self, wanted, *args, seconds=60):
        deadline = time.monotonic() + seconds
        while self(*args) != wanted:
            assert time.monotonic() < deadline, (args, self.lab.log()[-3000:])
            time.sleep(0.2)


def params(url, more=""):
    return (f'modparam("domain|permissions", "db_url", "{url}")\nmodparam("domain", "register_myself", 1)\n'
            f'modparam("permissions", "peer_tag_avp", "$avp(tag)")\n{more}')


def make(labs, url, more=""):
    # What the lab's configuration says of the dispatcher is not for these modules.
    lab = labs.make(modules=LISTS, script=params(url, more) + SCRIPT, start=False)
    lab.config.write_text(re.sub(r"modparam\(.dispatcher.*\n", "", lab.config.read_text()))
    lab.start_siplane(lab.config)
    return lab, Asker(lab, url)


@pytest.mark.sanitize
def test_lists_of_a_database_live(labs, server):
    url = server.url(over_socket=True)
    if server.name != "sqlite":
        server.stop()
    # Nothing is there yet: it starts, says so, and knows nobody.
    lab, ask = make(labs, url)
    assert "table domain cannot be read" in lab.log() and "table address cannot be read" in lab.log()
    assert not ask("domain", "one.example") and not ask("source")
    status, out, err = ask.ctl("domain", "reload")
    assert status == 1 and "stays as it was" in err and "table domain cannot be read" in err and "p@" not in err
    if server.name != "sqlite":
        server.start()
    ask.good("db", "create")
    # A change is current when siplanectl has ended.
    assert ask.good("domain", "add", "One.example") == "domain one.example is added\n"
    for what in ("domain", "myself"):
        assert ask(what, "ONE.example") and not ask(what, "two.example"), what
    assert ask("myself", "one.example:5099") and not ask("source")
    ask.good("address", "add", "2", "10.10.0.0/24", "0", "lan")
    ask.ua.send(ask.ua.request("OPTIONS", "sip:x@y", contact=False), EDGE)
    assert ask.ua.receive(10).start == "SIP/2.0 200 Yes lan"
    ask.good("domain", "add", "two.example")
    ask.good("domain", "rm", "one.example")
    assert ask("domain", "two.example") and not ask("domain", "one.example")
    assert json.loads(ask.good("--json", "domain", "reload")) == {"from_file": None, "from_table": 1, "warnings": ""}
    assert ask.good("address", "reload") == "the list of addresses is current: 1 of its table\n"
    # Rows that are wrong are named and left out; the others are read.
    server.sql("INSERT INTO domain (domain) VALUES ('a b'), ('three.example')")
    status, out, err = ask.ctl("domain", "reload")
    assert status == 0 and "'a b': neither a domain name nor an address" in err and "2 of its table" in out
    assert ask("domain", "three.example")
    for name in ("permissions.addressReload", "domain.reload"):
        assert json.loads(ask.ctl("call", name)[1])["from_table"] in (1, 2)
    # The database goes, and somebody has changed it before: what was read stays, whether the list or the whole configuration is read again.
    server.sql("DELETE FROM domain WHERE domain = 'two.example'")
    server.stop()
    status, out, err = ask.ctl("domain", "reload")
    assert status == 1 and out == "" and "what was read before stays" in err
    said = reload(lab)
    assert "what was read before stays" in said
    assert ask("domain", "two.example") and ask("source")
    # A table that was never read is another thing.
    text = lab.config.read_text()
    assert "nothing is known of it yet" in reload(lab, text.replace("request_route", 'modparam("domain", "domain_table", "other")\nrequest_route'),
                                                  good=False)
    lab.config.write_text(text)
    # It comes back, and is read by itself.
    server.start()
    ask.until(False, "domain", "two.example")
    assert ask("domain", "three.example") and ask("source")


SETS = """
request_route {
	if (!ds_select_dst("1", "8")) { sl_send_reply("503", "None"); exit; }
	sl_send_reply("200", "To $du");
	exit;
}
"""


def with_sets(labs, url, start=True):
    lab = labs.make(script=f'modparam("dispatcher", "db_url", "{url}")\n{SETS}', start=False)
    lab.config.write_text(re.sub(r'modparam\("dispatcher", "list_file".*\n', "", lab.config.read_text()))
    if start:
        lab.start_siplane(lab.config)
    return lab, Asker(lab, url)


def first(ask):
    """Where a call would go; None: nowhere."""
    ask.ua.send(ask.ua.request("OPTIONS", "sip:x@y", contact=False), EDGE)
    got = ask.ua.receive(10)
    return got.start.rpartition(" ")[2] if got.status == 200 else None


@pytest.mark.sanitize
def test_sets_of_a_database_live(labs, server):
    url = server.url(over_socket=True)
    if server.name == "sqlite":
        server.stop = lambda: server.sql("ALTER TABLE dispatcher RENAME TO away")
        server.start = lambda: server.sql("ALTER TABLE away RENAME TO dispatcher")
    else:
        server.stop()
    lab, ask = with_sets(labs, url)
    assert "table dispatcher cannot be read" in lab.log() and first(ask) is None
    status, out, err = ask.ctl("ds", "reload")
    assert status == 1 and "stays as it was" in err
    if server.name != "sqlite":
        server.start()
    ask.good("db", "create")
    ask.good("dispatcher", "add", "1", "sip:10.20.0.12:5060", "0", "5", "weight=1")
    assert first(ask) == "sip:10.20.0.12:5060"
    ask.good("dispatcher", "add", "1", "sip:10.20.0.11:5060", "0", "10", "weight=20;duid=one", "the first one")
    rows = json.loads(ask.good("--json", "dispatcher", "show"))
    assert rows[0] == {"set": 1, "destination": "sip:10.20.0.11:5060", "flags": 0, "priority": 10, "attributes": "weight=20;duid=one",
                       "description": "the first one"} and len(rows) == 2
    listed = json.loads(ask.good("--json", "ds", "list"))
    assert [(d["destination"], d["weight"]) for d in listed] == [("sip:10.20.0.11:5060", 20), ("sip:10.20.0.12:5060", 1)]
    assert ask.good("ds", "reload") == "the list of destinations is current: 2 of its table\n"
    # Rows that are wrong are named and left out.
    server.sql("INSERT INTO dispatcher (setid, destination, attrs) VALUES (1, 'http://x', ''), (1, 'sip:10.20.0.13:5060', 'weight=x'), "
               "(1, 'sip:10.20.0.14 sip:b', ''), (-1, 'sip:10.20.0.15', ''), (2, 'sip:10.20.0.13:5060', '')")
    status, out, err = ask.ctl("ds", "reload")
    assert status == 0 and "3 of its table" in out and "4 rows are wrong and left out" in err and "no SIP URI" in err, (out, err)
    for wrong in (("x", "sip:10.20.0.1"), ("1", "http://x"), ("1", "sip:a b"), ("1", "sip:10.20.0.1", "64"), ("1", "sip:10.20.0.1", "0", "x"),
                  ("1", "sip:10.20.0.1", "0", "0", "weight=1 2")):
        assert ask.ctl("dispatcher", "add", *wrong)[0] == 1, wrong
    assert "already" in ask.ctl("dispatcher", "add", "1", "sip:10.20.0.12:5060")[2]
    assert "has no" in ask.ctl("dispatcher", "rm", "7", "sip:10.20.0.12:5060")[2]
    # The database goes, and what was read stays; it comes back, and what somebody has changed is seen by itself.
    server.sql("DELETE FROM dispatcher WHERE setid = 2 OR setid < 0")
    server.stop()
    status, out, err = ask.ctl("ds", "reload")
    assert status == 1 and "what was read before stays" in err
    assert "what was read before stays" in reload(lab)
    assert len(json.loads(ask.good("--json", "ds", "list"))) == 3
    server.start()
    deadline = time.monotonic() + 60
    while len(json.loads(ask.good("--json", "ds", "list"))) != 2:
        assert time.monotonic() < deadline, lab.log()[-3000:]
        time.sleep(0.2)


@pytest.mark.sanitize
def test_a_file_and_a_table_add_up(labs, tmp_path):
    server = SQLite(tmp_path / "x.sqlite")
    assert ctl("db", "create", env={"SIPLANE_DB_URL": server.url()})[0] == 0
    (tmp_path / "domains").write_text("file.example\n")
    lab, ask = make(labs, server.url(), f'modparam("domain", "domain_file", "{tmp_path}/domains")\n')
    ask.good("domain", "add", "table.example")
    assert ask("domain", "file.example") and ask("domain", "table.example")
    # The file is read again with the table.
    (tmp_path / "domains").write_text("new.example\n")
    assert ask.good("domain", "reload") == "the list of domains is current: 1 of its file, 1 of its table\n"
    assert ask("domain", "new.example") and not ask("domain", "file.example")
    (tmp_path / "domains").write_text("not a domain\n")
    status, out, err = ask.ctl("domain", "reload")
    assert status == 1 and "domains:1:" in err and "one domain a line" in err
    assert ask("domain", "new.example") and ask("domain", "table.example")


def test_who_changes_what_is_not_read_hears_so(labs, tmp_path):
    server = SQLite(tmp_path / "x.sqlite")
    env = {"SIPLANE_DB_URL": server.url()}
    assert ctl("db", "create", env=env)[0] == 0
    (tmp_path / "domains").write_text("file.example\n")
    lab = labs.make(modules=MODULES + 'loadmodule "domain.so"\n', script=f'modparam("domain", "domain_file", "{tmp_path}/domains")\n{SCRIPT}'
                    .replace('allow_source_address("2")', "0"))
    env["SIPLANE_CONTROL_SOCKET"] = str(socket_of(lab))
    status, out, err = ctl("domain", "add", "one.example", env=env)
    assert status == 0 and "is added" in out and "reads its domains from a file alone" in err
    status, out, err = ctl("address", "add", "1", "192.0.2.1", env=env)
    assert status == 0 and "does not load the module permissions" in err
    status, out, err = ctl("address", "reload", env=env)
    assert status == 1 and "does not load the module permissions" in err


def test_reloads_of_lists_and_of_the_configuration_come_in_turn(labs, tmp_path):
    """Many at once: each is answered, by what was read after it was asked for."""
    server = SQLite(tmp_path / "x.sqlite")
    assert ctl("db", "create", env={"SIPLANE_DB_URL": server.url()})[0] == 0
    lab, ask = make(labs, server.url())
    from ctl import Client
    clients = [Client(socket_of(lab), timeout=30) for _ in range(12)]
    methods = ["domain.reload", "address.reload", "cfg.reload"]
    for round_ in range(3):
        server.sql(f"INSERT INTO domain (domain) VALUES ('d{round_}.example')")
        for i, c in enumerate(clients):
            c.send(json.dumps({"jsonrpc": "2.0", "method": methods[i % 3], "id": i}))
        for i, c in enumerate(clients):
            answer = c.line()
            assert answer["id"] == i and "result" in answer, answer
            if methods[i % 3] == "domain.reload":
                assert answer["result"]["from_table"] == round_ + 1
    for c in clients:
        c.close()
    assert ask("domain", "d2.example")
