# SPDX-License-Identifier: BSD-3-Clause
"""usrloc's db_mode with a file of SQLite: what a REGISTER's 200 says is there after any end of the process."""
import os
import signal
import sqlite3
import subprocess
import threading
import time

import databases
import pytest

from ctl import SIPLANECTL, Client, Refused, socket_of
from phone import call, hang_up, script
from test_register import Rig

DB_MODE = 'modparam("usrloc", "db_mode", {})\n'


def schema(url):
    """The tables, as an operator makes them."""
    subprocess.run([SIPLANECTL, "db", "create"], check=True, capture_output=True, timeout=60,
                   env={**os.environ, "SIPLANE_DB_URL": url})


@pytest.fixture
def kept(tmp_path):
    """A maker of rigs on one database, one after the other."""
    path = tmp_path / "siplane.sqlite"
    schema(f"sqlite://{path}")
    made = []

    def start(mode, **kw):
        if made:
            made.pop().close()
        rig = Rig(script(params=DB_MODE.format(mode)), head=f'db_url = "sqlite://{path}"\n', **kw)
        made.append(rig)
        return rig

    start.path = path
    yield start
    for rig in made:
        rig.close()


def rows(path):
    with sqlite3.connect(f"file:{path}?mode=ro", uri=True, timeout=10) as db:
        return sorted(db.execute("SELECT username, contact FROM location").fetchall())


def kill(rig):
    """kill -9: nothing is put in order."""
    lab = rig.lab
    lab.siplane.send_signal(signal.SIGKILL)
    lab.siplane.wait(60)
    lab.processes.remove(lab.siplane)
    lab.siplane = None


def test_a_call_after_a_restart(kept):
    rig = kept(1)
    bob = rig.phone("b1")
    bob.registered()
    user, uri = bob.user, bob.uri
    assert rows(kept.path) == [(user, uri)]
    port = bob.port
    rig.check()
    rig = kept(1)
    assert "1 contacts read" in rig.lab.log()
    alice, bob = rig.phone(), rig.phone("b1", user=user, port=port)
    _, ok = call(alice, bob)
    hang_up(alice, bob, ok)
    rig.check()


def test_what_was_acknowledged_is_there_after_kill_9(kept):
    """Phones register all the while; the process is killed in the midst of it."""
    rig = kept(1)
    phones = [rig.phone("caller" if n % 2 else "b1") for n in range(40)]
    acknowledged = set()
    for n, p in enumerate(phones):
        p.to_proxy(p.registration())
        if n % 3 == 2:
            # Some are answered, of others nobody knows.
            for q in phones[n - 2:n]:
                if q.expect(None).status == 200:
                    acknowledged.add((q.user, q.uri))
    kill(rig)
    for p in phones:
        p.close()
    rig.phones = []
    assert len(acknowledged) >= 20
    assert acknowledged <= set(rows(kept.path))


def test_a_dead_database_is_a_503_and_comes_back(kept):
    rig = kept(1)
    alice = rig.phone()
    alice.registered()
    # Somebody else holds the file.
    other = sqlite3.connect(kept.path, timeout=10, isolation_level=None)
    other.execute("BEGIN EXCLUSIVE")
    alice.to_proxy(alice.registration())
    assert alice.expect(None, timeout=8).status == 503
    # Calls go on: contacts are found in memory.
    bob = rig.phone("b1")
    bob.invite(alice.aor)
    alice.answer(alice.expect("INVITE"), 486, "Busy Here")
    assert bob.expect(486)
    other.execute("ROLLBACK")
    other.close()
    deadline = time.monotonic() + 15
    while alice.register().status != 200:
        assert time.monotonic() < deadline, rig.lab.log()[-2000:]
        time.sleep(0.2)
    rig.check()


def test_nobody_waits_in_mode_2(kept):
    rig = kept(2)
    phones = [rig.phone() for _ in range(20)]
    for p in phones:
        p.registered()
    wanted = sorted((p.user, p.uri) for p in phones)
    deadline = time.monotonic() + 10
    while rows(kept.path) != wanted:
        assert time.monotonic() < deadline
        time.sleep(0.05)
    rig.check()


def test_a_database_that_is_not_there_is_said(tmp_path):
    rig = Rig(script(params=DB_MODE.format(1)), head='db_url = "sqlite:///nowhere/siplane.sqlite"\n')
    try:
        assert "contacts cannot be read" in rig.lab.log() and "/nowhere" in rig.lab.log()
        alice = rig.phone()
        assert alice.register().status == 503
        rig.check()
    finally:
        rig.close()


@pytest.fixture(params=["mysql", "postgres"])
def server(request):
    try:
        with databases.start(request.param) as s:
            yield s
    except databases.Missing as e:
        pytest.skip(str(e))


LOCKS = {"mysql": "LOCK TABLES location WRITE; SELECT SLEEP(60)",
         "postgres": "BEGIN; LOCK TABLE location; SELECT pg_sleep(60)"}
SLEEPERS = {"mysql": "SELECT count(*) FROM information_schema.processlist WHERE info LIKE 'SELECT SLEEP%'",
            "postgres": "SELECT count(*) FROM pg_stat_activity WHERE state = 'active' AND query LIKE 'SELECT pg_sleep%'"}


def test_a_database_that_hangs_keeps_nobody_from_starting(server):
    """Somebody has locked the table: it is said, and contacts are found as phones register."""
    url = server.url(over_socket=True)
    schema(url)
    holder = threading.Thread(target=lambda: pytest.raises(Exception, server.sql, LOCKS[server.name]), daemon=True)
    holder.start()
    deadline = time.monotonic() + 20
    while int(server.sql(SLEEPERS[server.name])) == 0:
        assert time.monotonic() < deadline
        time.sleep(0.1)
    rig = Rig(script(params=DB_MODE.format(2)), head=f'db_url = "{url}"\n', start=False)
    try:
        rig.start(rig.lab.config, timeout=60)
        log = rig.lab.log()
        assert "contacts cannot be read" in log, log
        assert "waiting for rows from" in log and databases.PASSWORD not in log, log
        rig.phone().registered()
        rig.check()
    finally:
        server.kill()
        holder.join()
        rig.close()


# ---- db_mode 3: the database alone says who is registered, to all processes that share it ----

# Who asks a database that is down is told so, and not that nobody is registered.
TELLS = """
	if (is_method("INVITE")) {{
		record_route();
		if (!lookup("location")) {{
			if ($rc == -3) sl_send_reply("503", "Database");
			else sl_send_reply("404", "Not Found");
			exit;
		}}
		{}
		if (!t_relay()) sl_reply_error();
		exit;
	}}
"""


@pytest.fixture(params=["sqlite", "mysql", "postgres"])
def shared(request, tmp_path):
    """A maker of rigs that run side by side on one database."""
    made, server = [], None
    if request.param == "sqlite":
        url = f"sqlite://{tmp_path}/siplane.sqlite"
    else:
        try:
            server = databases.start(request.param)
        except databases.Missing as e:
            pytest.skip(str(e))
        url = server.url(over_socket=True)
    try:
        schema(url)

        def start(before_relay="", blocks=""):
            made.append(Rig(script(params=DB_MODE.format(3), initial=TELLS.format(before_relay), blocks=blocks),
                            head=f'db_url = "{url}"\n'))
            return made[-1]

        start.server, start.path = server, tmp_path / "siplane.sqlite"
        yield start
    finally:
        for rig in made:
            rig.close()
        if server is not None:
            server.close()


def test_who_registers_at_one_is_called_through_the_other(shared):
    a, b = shared(), shared()
    bob = a.phone("b1")
    # Each rig is a world of its own: this is the same phone, as the other process reaches it.
    twin = b.phone("b1", user=bob.user, port=bob.port)
    alice = b.phone()
    alice.invite(bob.aor)
    assert alice.expect(404)
    bob.registered()
    _, ok = call(alice, twin)
    hang_up(alice, twin, ok)
    # A refresh by the other one is one of the same binding; its removal is seen by the first.
    twin.cseq, twin.call_id = bob.cseq, bob.call_id
    assert set(twin.registered()) == {bob.uri}
    assert twin.registered(expires=0) == {}
    assert bob.register([]).all("contact") == []
    caller = a.phone()
    caller.invite(bob.aor)
    assert caller.expect(404)
    a.check()
    b.check()


def test_contacts_by_hand(shared):
    """ul show and ul rm of one user ask the database; what lists all says that it would have to."""
    rig = shared()
    bob = rig.phone("b1")
    second = f"sip:{bob.user}@10.20.0.12:5070"
    bob.registered([f"<{bob.uri}>;q=0.5", f"<{second}>"])
    with Client(socket_of(rig.lab)) as c:
        got = c.ask("ul.lookup", aor=bob.user)
        assert [x["contact"] for x in got["contacts"]] == [bob.uri, second] and got["contacts"][0]["q"] == 0.5
        with pytest.raises(Refused, match="has no contact"):
            c.ask("ul.rm", aor=bob.user, contact="sip:nobody@10.20.0.12")
        assert c.ask("ul.rm", aor=bob.user, contact=second) == {"removed": 1}
        assert set(bob.registered([])) == {bob.uri}
        assert c.ask("ul.rm", aor=bob.user) == {"removed": 1}
        for method in ("ul.lookup", "ul.rm"):
            with pytest.raises(Refused, match="is not registered"):
                c.ask(method, aor=bob.user)
        with pytest.raises(Refused, match="in the database alone"):
            c.ask("ul.dump")
    assert bob.registered([]) == {}
    rig.check()


BRANCH = """
branch_route[B] {
	if (registered("location", "$tu")) append_hf("X-Callee: there\\r\\n");
	if (!registered("location", "$fu")) append_hf("X-Caller: not there\\r\\n");
}
"""


def test_a_branch_route_asks(shared):
    """It stops in its midst, once for each user that it asks for, and runs again from its start."""
    rig = shared(before_relay='t_on_branch("B");', blocks=BRANCH)
    alice, one, two = rig.phone(), rig.phone("b1"), rig.phone("b2")
    two.user, two.aor = one.user, one.aor
    one.registered()
    two.registered()
    alice.invite(one.aor)
    for p in (one, two):
        got = p.expect("INVITE")
        assert got.all("x-callee") == ["there"] and got.all("x-caller") == ["not there"]
        p.answer(got, 486, "Busy Here")
    assert alice.expect(486)
    rig.check()


def test_a_start_finds_what_is_there(shared):
    a = shared()
    bob = a.phone("b1")
    bob.registered()
    kill(a)
    b = shared()
    assert "contacts read" not in b.lab.log()
    twin, alice = b.phone("b1", user=bob.user, port=bob.port), b.phone()
    _, ok = call(alice, twin)
    hang_up(alice, twin, ok)
    b.check()
    a.labs.all[0].siplane = None


def test_phones_of_one_user_at_once(shared):
    """At both processes, several of one user under way: whoever was told so is there."""
    rigs = [shared(), shared()]
    acknowledged = {}
    for round_ in range(3):
        phones = [rigs[n % 2].phone("b1", user=f"shared{round_}") for n in range(8)]
        for p in phones:
            p.to_proxy(p.registration())
        for p in phones:
            got = p.expect(None)
            assert got.status == 200, got
            acknowledged.setdefault(p.user, set()).add(p.uri)
    for user, uris in acknowledged.items():
        for rig in rigs:
            assert set(rig.phone("b1", user=user).registered([])) == uris
    for rig in rigs:
        rig.check()


def test_the_second_of_a_user_waits_for_the_first(shared):
    """While the first one's change is held up the second one is not judged by the rows before it."""
    if shared.server is not None:
        pytest.skip("who writes to SQLite holds all others up, as this needs")
    rig = shared()
    one, two, other = rig.phone("b1"), rig.phone("b2"), rig.phone()
    two.user, two.aor = one.user, one.aor
    holder = sqlite3.connect(shared.path, timeout=10, isolation_level=None)
    holder.execute("BEGIN IMMEDIATE")
    one.to_proxy(one.registration())
    one.to_proxy(one.registration(cseq=one.cseq))
    two.to_proxy(two.registration())
    deadline = time.monotonic() + 30
    while rig.lab.telemetry("/siplane/registrar")["registrar_turns"] == 0:
        assert time.monotonic() < deadline
        time.sleep(0.02)
    # Who asks only is not held up.
    assert other.registered([]) == {}
    holder.execute("ROLLBACK")
    holder.close()
    for p in (one, two):
        # Where that took long, the database has been given up, and they register again.
        status = p.expect(None).status
        while status != 200:
            assert status == 503 and time.monotonic() < deadline
            status = p.register().status
    assert set(other.registered([], to=f"<{one.aor}>")) == {one.uri, two.uri}
    rig.check()


def test_a_database_that_does_not_answer_is_told(shared):
    if shared.server is None:
        pytest.skip("a file is there")
    rig = shared()
    alice, bob = rig.phone(), rig.phone("b1")
    bob.registered()
    shared.server.sql("ALTER TABLE location RENAME TO elsewhere")
    with Client(socket_of(rig.lab)) as c, pytest.raises(Refused, match="does not answer, or says no"):
        c.ask("ul.lookup", aor=bob.user)
    shared.server.sql("ALTER TABLE elsewhere RENAME TO location")
    for fail, again in ((shared.server.pause, shared.server.resume), (shared.server.kill, None)):
        fail()
        try:
            alice.invite(bob.aor, call_id=f"{fail.__name__}@test")
            assert alice.expect(None).status == 503
            bob.to_proxy(bob.registration())
            assert bob.expect(None).status == 503
        finally:
            if again is not None:
                again()
        if again is not None:
            deadline = time.monotonic() + 30
            while bob.register().status != 200:
                assert time.monotonic() < deadline, rig.lab.log()[-2000:]
                time.sleep(0.2)
    rig.check()
