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

from ctl import SIPLANECTL
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
    lab.siplane.wait(10)
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
