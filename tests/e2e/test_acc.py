# SPDX-License-Identifier: BSD-3-Clause
"""
Accounting over SQLite, MariaDB and PostgreSQL: rows of transactions, missed calls and calls, lines of the log, and a database that is away.
"""
import os
import pathlib
import re
import sqlite3
import subprocess
import time

import pytest

import databases
import phone
from call import replace_method
from ctl import SIPLANECTL
from phone import call, hang_up, script
from test_contacts_kept import kill
from test_register import Rig
from test_reload import reload

pytestmark = pytest.mark.sanitize

MODULES = phone.MODULES + 'loadmodule "acc.so"\nloadmodule "avpops.so"\n'
WAIT_S = 30
COLUMNS = {"caller": 255, "note": 255, "number": 64}
# Each transaction is marked; what fails, too.
MARKED = """
	setflag(1); setflag(2); setflag(3); setflag(4); setflag(5);
	$avp(note) = $hdr(X-Note);
	$avp(number) = 7;
"""
PARAMS = """
modparam("acc", "log_flag", 1)
modparam("acc", "db_flag", 2)
modparam("acc", "log_missed_flag", 3)
modparam("acc", "db_missed_flag", 4)
modparam("acc", "failed_transaction_flag", 5)
modparam("acc", "db_extra", "caller=$fu;note=$avp(note);number=$avp(number)")
modparam("acc", "log_extra", "note=$avp(note)")
modparam("acc", "cdr_enable", 1)
modparam("acc", "cdr_start_on_confirmed", 1)
modparam("acc", "cdrs_table", "acc_cdrs")
modparam("acc", "cdr_extra", "note=$avp(note)")
modparam("acc", "spool_file", "{spool}")
modparam("acc", "spool_size", 16)
modparam("tm", "fr_timer", 1500)
"""


def seconds(text):
    return time.mktime(time.strptime(text[:19], "%Y-%m-%d %H:%M:%S"))


class Store:
    """A database with the tables, and questions to it as its administrator."""

    def __init__(self, url, server=None, path=None):
        self.url, self.server, self.path = url, server, path
        subprocess.run([SIPLANECTL, "db", "create"], check=True, capture_output=True, timeout=60, env={**os.environ, "SIPLANE_DB_URL": url})
        for table, columns in (("acc", COLUMNS), ("missed_calls", COLUMNS), ("acc_cdrs", {"note": 255})):
            for name, size in columns.items():
                self.sql(f"ALTER TABLE {table} ADD COLUMN {name} VARCHAR({size}) NOT NULL DEFAULT ''")

    def sql(self, text):
        """Rows as lists of texts."""
        if self.path is not None:
            with sqlite3.connect(self.path, timeout=20) as db:
                return [[str(v) for v in row] for row in db.execute(text).fetchall()]
        if self.server.name == "mysql":  # as it stands there: sql() would escape it
            out = self.server.run(self.server.client, "--no-defaults", f"--socket={self.server.socket_path()}", "-u", "root", "-N", "-B", "--raw",
                                  "--default-character-set=utf8mb4", databases.DATABASE, input=text)
        else:
            out = self.server.sql(text)
        return [line.split("\t" if self.server.name == "mysql" else "|") for line in out.splitlines()]

    def rows(self, question, count, seconds=WAIT_S):
        """What a question gives when it gives so many rows, which it has to in time."""
        end = time.monotonic() + seconds
        while len(got := self.sql(question)) < count and time.monotonic() < end:
            time.sleep(0.05)
        assert len(got) == count, (question, got)
        return got


@pytest.fixture(scope="module", params=["sqlite", "mysql", "postgres"])
def store(request, tmp_path_factory):
    if request.param == "sqlite":
        path = tmp_path_factory.mktemp("acc") / "siplane.sqlite"
        yield Store(f"sqlite://{path}", path=path)
        return
    try:
        with databases.start(request.param) as server:
            # Its Unix socket: siplane's namespace has a loopback of its own.
            yield Store(server.url(over_socket=True), server=server)
    except databases.Missing as e:
        pytest.skip(str(e))


def make(store, spool, before_relay="", blocks="", params=PARAMS):
    text = script(params=params.replace("{spool}", str(spool)), before_relay=before_relay, blocks=blocks)
    text = text.replace("	if (has_totag()) {", MARKED + "	if (has_totag()) {", 1)
    # Two slow lcores: each call is one's, and each has its own way to the database.
    return Rig(text, modules=MODULES, head=f'cores {{ slow_count = 2; }}\ndb_url = "{store.url}"\n')


FAILURE = """
failure_route[mail] {
	if (t_is_canceled()) exit;
	if (t_check_status("486") && $hdr(X-Mail) != $null) {
		$du = "sip:" + $hdr(X-Mail);
		t_relay();
	}
}
"""


@pytest.fixture(scope="module")
def made(store, tmp_path_factory):
    rig = make(store, tmp_path_factory.mktemp("spool") / "spool", before_relay='if (is_method("INVITE")) t_on_failure("mail");', blocks=FAILURE)
    yield rig
    rig.close()


@pytest.fixture
def rig(made, store):
    for table in ("acc", "missed_calls", "acc_cdrs"):
        store.sql(f"DELETE FROM {table}")
    yield made
    made.check()


def two(rig):
    alice, bob = rig.phone(), rig.phone("b1")
    bob.registered()
    return alice, bob


def of_call(store, table, columns, call_id, count):
    return store.rows(f"SELECT {columns} FROM {table} WHERE callid = '{call_id}' ORDER BY id", count)


def test_a_call_is_an_invite_a_bye_and_a_cdr(rig, store):
    alice, bob = two(rig)
    invite, ok = call(alice, bob, headers=["X-Note: it's; DROP TABLE acc;--"])
    time.sleep(1.2)  # the call's length
    hang_up(alice, bob, ok)
    call_id = ok.get("call-id")
    got = of_call(store, "acc", "method, sip_code, sip_reason, from_tag, to_tag, caller, note, number", call_id, 2)
    tags = [ok.tag("from"), ok.tag("to")]
    caller = re.search(r"<(.*)>", ok.get("from"))[1]
    assert got == [["INVITE", "200", "OK", *tags, caller, "it's; DROP TABLE acc;--", "7"], ["BYE", "200", "OK", *tags, caller, "", "7"]]
    (cdr,) = of_call(store, "acc_cdrs", "from_tag, to_tag, caller, callee, end_reason, note, duration, start_time, end_time", call_id, 1)
    assert cdr[:6] == [*tags, caller, bob.aor, "bye caller", "it's; DROP TABLE acc;--"]
    assert 1.2 <= float(cdr[6]) < 1.2 + WAIT_S
    assert abs(seconds(cdr[7]) - time.time()) < 2 * WAIT_S
    log = rig.lab.log()
    assert f"call_id={call_id};code=200;reason=OK;note=it's\\x3b DROP TABLE acc\\x3b--" in log
    figures = rig.lab.telemetry("/siplane/acc")
    assert figures["acc_lost"] == figures["acc_log_lost"] == figures["acc_calls_now"] == 0


def test_the_callee_hangs_up(rig, store):
    alice, bob = two(rig)
    invite, ok = call(alice, bob)
    bob.to_proxy(bob.in_dialog_back(invite, "BYE"))
    alice.answer(alice.expect("BYE"), 200)
    bob.expect(200)
    (cdr,) = of_call(store, "acc_cdrs", "from_tag, to_tag, end_reason", ok.get("call-id"), 1)
    assert cdr == [ok.tag("from"), ok.tag("to"), "bye callee"]


def test_a_busy_phone_and_the_mailbox(rig, store):
    alice, bob = two(rig)
    mail = rig.phone("b2")
    alice.invite(bob.aor, headers=[f"X-Mail: {mail.address}:{mail.port}"])
    invite = bob.expect("INVITE")
    bob.answer(invite, 486, "Busy Here")
    bob.expect("ACK")
    mail.answer(mail.expect("INVITE"), 200)
    ok = alice.expect(200)
    alice.ack(ok)
    mail.expect("ACK")
    hang_up(alice, mail, ok)
    call_id = ok.get("call-id")
    assert of_call(store, "missed_calls", "method, sip_code, sip_reason", call_id, 1) == [["INVITE", "486", "Busy Here"]]
    assert of_call(store, "acc", "method, sip_code", call_id, 2) == [["INVITE", "200"], ["BYE", "200"]]
    of_call(store, "acc_cdrs", "id", call_id, 1)


def test_a_call_that_is_cancelled(rig, store):
    alice, bob = two(rig)
    text = alice.invite(bob.aor)
    invite = bob.expect("INVITE")
    bob.answer(invite, 180, "Ringing")
    alice.expect(180)
    alice.to_proxy(replace_method(text, "CANCEL"))
    alice.expect(200)
    bob.answer(bob.expect("CANCEL"), 200)
    bob.answer(invite, 487, "Request Terminated")
    bob.expect("ACK")
    got = alice.expect(487)
    alice.to_proxy(replace_method(text, "ACK", got.tag("to")))
    call_id = got.get("call-id")
    assert of_call(store, "missed_calls", "sip_code, sip_reason", call_id, 1) == [["487", "Request Terminated"]]
    assert of_call(store, "acc", "method, sip_code", call_id, 1) == [["INVITE", "487"]]
    assert of_call(store, "acc_cdrs", "end_reason, duration", call_id, 1)[0][0] == "failed 487"


def test_nobody_answers(rig, store):
    alice, bob = two(rig)
    text = alice.invite(bob.aor)
    got = alice.expect(408, timeout=WAIT_S)
    alice.to_proxy(replace_method(text, "ACK", got.tag("to")))
    bob.drain()
    call_id = got.get("call-id")
    assert of_call(store, "missed_calls", "sip_code", call_id, 1) == [["408"]]
    assert of_call(store, "acc", "sip_code, sip_reason", call_id, 1) == [["408", "Request Timeout"]]


def test_a_call_that_two_phones_take(rig, store):
    """Both answer at the same time: one row of the transaction, and two calls."""
    alice = rig.phone()
    bobs = [rig.phone("b1", user="both"), rig.phone("b2", user="both")]
    for n, bob in enumerate(bobs):
        bob.registered(call_id=f"both{n}@{bob.address}")
    alice.invite(bobs[0].aor)
    invites = [bob.expect("INVITE") for bob in bobs]
    for n, (bob, invite) in enumerate(zip(bobs, invites)):
        bob.answer(invite, 200, to_tag=f"both{n}")
    oks = sorted([alice.expect(200), alice.expect(200)], key=lambda ok: ok.tag("to"))
    call_id = oks[0].get("call-id")
    for bob, ok in zip(bobs, oks):
        alice.ack(ok)
        bob.expect("ACK")
        hang_up(alice, bob, ok)
    assert of_call(store, "acc", "method", call_id, 3) == [["INVITE"], ["BYE"], ["BYE"]]
    got = of_call(store, "acc_cdrs", "to_tag, end_reason", call_id, 2)
    assert sorted(got) == [["both0", "bye caller"], ["both1", "bye caller"]]


HOSTILE = ["Robert'); DROP TABLE acc;--", "\\'; DELETE FROM acc; --", "%s%n%x?$1:p", "\u20ac\U0001f600 \u00fc", "a" * 250]


def in_ascii(text):
    """As rows have tags, Call-IDs and reasons, so that a table of any character set takes them."""
    return "".join(chr(b) if b < 0x80 else f"\\x{b:02x}" for b in text.encode())


@pytest.mark.parametrize("text", HOSTILE, ids=range(len(HOSTILE)))
def test_texts_are_never_sql(rig, store, text):
    """In an extra field, the Call-ID, a tag and the reason phrase, as far as SIP lets them be there."""
    alice, bob = two(rig)
    word = re.sub(r"[^A-Za-z0-9.!%*_+`'~()<>:\\\"/\[\]?{}-]", "", text)[:60]
    token = re.sub(r"[^A-Za-z0-9.!%*_+`'~-]", "", text)[:60]
    alice.invite(bob.aor, headers=[f"X-Note: {text}"], call_id=f"{word}@x", from_tag=f"f{token}")
    invite = bob.expect("INVITE")
    bob.answer(invite, 603, text)
    bob.expect("ACK")
    alice.expect(603)
    (row,) = store.rows("SELECT callid, from_tag, note FROM acc WHERE sip_code = '603'", 1)
    reasons = store.sql("SELECT sip_reason FROM acc WHERE sip_code = '603'")
    assert row == [f"{word}@x", f"f{token}", text]
    reason = in_ascii(text)
    assert reasons[0][0] == reason if len(reason) <= 128 else reasons[0][0].startswith(reason[:111] + "~")


def test_a_long_tag_escapes_no_bill(rig, store):
    """500 bytes, where the column has 128: all rows of the call have the same 128, and a long one that differs at its end has others."""
    alice, bob = two(rig)
    tags = []
    for end in ("x", "y"):
        tag = "t" * 499 + end
        alice.invite(bob.aor, from_tag=tag)
        bob.answer(bob.expect("INVITE"), 200)
        ok = alice.expect(200)
        alice.ack(ok)
        bob.expect("ACK")
        hang_up(alice, bob, ok)
        got = of_call(store, "acc", "from_tag", ok.get("call-id"), 2)
        assert got[0] == got[1] and re.fullmatch(r"t{111}~[0-9a-f]{16}", got[0][0]), got
        of_call(store, "acc_cdrs", "from_tag", ok.get("call-id"), 1)
        tags.append(got[0][0])
    assert tags[0] != tags[1]
    assert rig.lab.telemetry("/siplane/acc")["acc_shortened"] >= 6


def test_what_the_database_could_not_take_is_escaped(rig, store):
    alice, bob = two(rig)
    text = alice.request("INVITE", bob.aor, headers=["X-Note: NOTE"]).replace(b"NOTE", b"\xff\xfe;\xc3(")
    alice.to_proxy(text)
    bob.answer(bob.expect("INVITE"), 486, "Busy Here")
    bob.expect("ACK")
    got = alice.expect(486)
    assert of_call(store, "acc", "note", got.get("call-id"), 1) == [["\\xff\\xfe;\\xc3("]]


def test_the_manuals_question_makes_calls_of_rows(rig, store):
    """docs/accounting.md has SQL for when calls are not in acc_cdrs: it finds the same calls."""
    text = (pathlib.Path(__file__).resolve().parents[2] / "docs/accounting.md").read_text()
    question = re.search(r"```sql\n(.*?)```", text, re.S)[1]
    alice, bob = two(rig)
    invite, ok = call(alice, bob)
    # A re-INVITE is no call.
    alice.to_proxy(alice.in_dialog(ok, "INVITE", cseq=2))
    bob.answer(bob.expect("INVITE"), 200)
    alice.expect(200)
    alice.to_proxy(alice.in_dialog(ok, "ACK"))
    bob.expect("ACK")
    hang_up(alice, bob, ok, cseq=3)
    invite, ok = call(alice, bob)
    bob.to_proxy(bob.in_dialog_back(invite, "BYE"))
    alice.answer(alice.expect("BYE"), 200)
    bob.expect(200)
    alice.invite(bob.aor)
    bob.answer(bob.expect("INVITE"), 486, "Busy Here")
    bob.expect("ACK")
    alice.expect(486)
    store.rows("SELECT id FROM acc", 6)
    cdrs = store.rows("SELECT callid, start_time, end_time FROM acc_cdrs WHERE end_reason LIKE 'bye %'", 2)
    found = {row[0]: row[1:] for row in store.sql(question)}
    assert set(found) == {row[0] for row in cdrs}
    for call_id, start, end in cdrs:
        assert abs(seconds(found[call_id][0]) - seconds(start)) <= 1 and abs(seconds(found[call_id][1]) - seconds(end)) <= 1


def test_a_reload_changes_what_is_accounted(rig, store):
    """Other extra fields, no accounting at all, and as before; a call that lasts has its record all the same."""
    before = rig.lab.config.read_text()
    alice, bob = two(rig)
    _, ok = call(alice, bob)
    without = re.sub(r'modparam\("acc".*\n', "", before).replace('loadmodule "acc.so"\n', "")
    changed = before.replace('"caller=$fu;note=$avp(note);number=$avp(number)"', '"caller=$tu"')
    assert len({before, without, changed}) == 3
    try:
        reload(rig.lab, changed)
        hang_up(alice, bob, ok)
        (cdr,) = of_call(store, "acc_cdrs", "end_reason", ok.get("call-id"), 1)
        assert cdr == ["bye caller"]
        rows = of_call(store, "acc", "method, caller, number", ok.get("call-id"), 2)
        assert rows[1] == ["BYE", bob.aor, ""]
        reload(rig.lab, without)
        counted = rig.lab.telemetry("/siplane/acc")["acc_rows"]
        _, ok = call(alice, bob)
        hang_up(alice, bob, ok)
        assert rig.lab.telemetry("/siplane/acc")["acc_rows"] == counted
    finally:
        reload(rig.lab, before)
    _, ok = call(alice, bob)
    hang_up(alice, bob, ok)
    of_call(store, "acc", "id", ok.get("call-id"), 2)


# ---- a database that is away ----


class Traffic:
    """Messages that are answered, each a transaction with a Call-ID of its own."""

    def __init__(self, rig, name):
        self.alice, self.bob = two(rig)
        self.name, self.sent = name, 0

    def send(self, count):
        for _ in range(count):
            self.alice.to_proxy(self.alice.request("MESSAGE", self.bob.aor, call_id=f"{self.name}-{self.sent}"))
            self.bob.answer(self.bob.expect("MESSAGE", timeout=WAIT_S), 200)
            self.alice.expect(200, timeout=WAIT_S)
            self.sent += 1

    def all_there(self, store, count=None):
        """Each of them, once."""
        count = self.sent if count is None else count
        found = [row[0] for row in store.rows(f"SELECT callid FROM acc WHERE callid LIKE '{self.name}-%'", count)]
        assert len(set(found)) == count
        return found


def figures(rig):
    return {**rig.lab.telemetry("/siplane/acc"), **rig.lab.telemetry("/siplane/db")}


def reaches(rig, name, least):
    """Waits until a figure is there."""
    end = time.monotonic() + WAIT_S
    while (got := figures(rig)[name]) < least:
        assert time.monotonic() < end, (name, got, rig.lab.log()[-3000:])
        time.sleep(0.05)


class Away:
    """A database that is stopped; of SQLite, a file that somebody keeps locked."""

    def __init__(self, store):
        self.store, self.lock = store, None

    def __enter__(self):
        if self.store.path is None:
            self.store.server.stop()
        else:
            self.lock = sqlite3.connect(self.store.path, timeout=20, isolation_level=None)
            self.lock.execute("BEGIN EXCLUSIVE")

    def __exit__(self, *exc):
        if self.store.path is None:
            self.store.server.start()
        else:
            self.lock.execute("COMMIT")
            self.lock.close()


@pytest.fixture
def fresh(store, tmp_path):
    """A maker of rigs on one spool, one after the other."""
    rigs = []

    def start():
        rigs.append(make(store, tmp_path / "spool"))
        return rigs[-1]

    yield start
    for rig in rigs:
        rig.close()


def test_no_row_is_lost_or_double_where_the_database_is_away_for_a_while(fresh, store):
    rig = fresh()
    traffic = Traffic(rig, "away")
    traffic.send(10)
    with Away(store):
        traffic.send(30)
    traffic.send(10)
    traffic.all_there(store)
    assert figures(rig)["acc_lost"] == figures(rig)["db_spool_lost"] == 0
    rig.check()


def test_rows_outlive_siplane_while_the_database_is_away(fresh, store):
    """kill -9 in the midst of the outage: what is in the spool is in the database after the next start."""
    rig = fresh()
    traffic = Traffic(rig, "killed")
    traffic.send(5)
    traffic.all_there(store)
    with Away(store):
        traffic.send(20)
        reaches(rig, "db_spooled", 20)
        kill(rig)
        rig = fresh()
        reaches(rig, "db_spool_rows", 20)
    traffic.all_there(store)
    rig.check()


def test_a_database_that_is_killed_again_and_again_has_each_row_once(fresh, store):
    if store.path is not None:
        pytest.skip("SQLite is no server")
    rig = fresh()
    traffic = Traffic(rig, "again")
    for _ in range(4):
        traffic.send(15)
        store.server.kill()
        traffic.send(15)
        store.server.start()
    traffic.all_there(store)
    assert figures(rig)["acc_lost"] == 0
    rig.check()


# ---- tables of OpenSER and Kamailio ----

OLDER = {"mysql": ("INT(10) UNSIGNED AUTO_INCREMENT PRIMARY KEY NOT NULL", "DATETIME", "FLOAT(10,3)"),
         "postgres": ("SERIAL PRIMARY KEY NOT NULL", "TIMESTAMP WITHOUT TIME ZONE", "REAL"),
         "sqlite": ("INTEGER PRIMARY KEY NOT NULL", "DATETIME", "FLOAT(10,3)")}


@pytest.fixture
def older(store):
    """Tables beside ours, as Kamailio makes them: they have no `rid`, and CDRs have times and their own extra fields only."""
    ident, date, real = OLDER[store.server.name if store.server is not None else "sqlite"]
    start = f"{date} DEFAULT '2000-01-01 00:00:00' NOT NULL"
    texts = ", ".join(f"{name} VARCHAR({size}) DEFAULT '' NOT NULL" for name, size in
                      {"method": 16, "from_tag": 128, "to_tag": 128, "callid": 255, "sip_code": 3, "sip_reason": 128, **COLUMNS}.items())
    for table in ("old_acc", "old_missed"):
        store.sql(f"CREATE TABLE {table} (id {ident}, {texts}, time {date} NOT NULL)")
    store.sql(f"CREATE TABLE old_cdrs (id {ident}, start_time {start}, end_time {start}, duration {real} DEFAULT 0 NOT NULL, "
              "note VARCHAR(255) DEFAULT '' NOT NULL)")
    if store.server is not None and store.server.name == "postgres":
        store.sql(f"GRANT ALL ON ALL TABLES IN SCHEMA public TO {databases.USER}; GRANT ALL ON ALL SEQUENCES IN SCHEMA public TO {databases.USER}")
    yield PARAMS.replace('"acc_cdrs"', '"old_cdrs"') + """
modparam("acc", "db_table_acc", "old_acc")
modparam("acc", "db_table_missed_calls", "old_missed")
"""
    for table in ("old_acc", "old_missed", "old_cdrs"):
        store.sql(f"DROP TABLE {table}")


def test_tables_of_kamailio_serve_as_they_are(older, store, tmp_path):
    """Rows are written without their id, and those that a database away has waiting for it are, too."""
    rig = make(store, tmp_path / "spool", params=older)
    try:
        alice, bob = two(rig)
        calls = []

        def one():
            calls.append(call(alice, bob, headers=["X-Note: one"]))
            hang_up(alice, bob, calls[-1][1])

        one()
        alice.invite(bob.aor)
        bob.answer(bob.expect("INVITE"), 486, "Busy Here")
        bob.expect("ACK")
        busy = alice.expect(486).get("call-id")
        store.rows("SELECT id FROM old_acc", 3)
        with Away(store):
            one()
        for _, ok in calls:
            assert of_call(store, "old_acc", "method, sip_code, sip_reason, note", ok.get("call-id"), 2) == [
                ["INVITE", "200", "OK", "one"], ["BYE", "200", "OK", ""]]
        assert of_call(store, "old_acc", "method, sip_code", busy, 1) == [["INVITE", "486"]]
        assert of_call(store, "old_missed", "method, sip_code", busy, 1) == [["INVITE", "486"]]
        rows = store.rows("SELECT start_time, end_time, duration, note FROM old_cdrs", 3)
        assert sorted(row[3] for row in rows) == ["", "one", "one"]
        for start, end, duration, _ in rows:
            assert 0 <= seconds(end) - seconds(start) <= WAIT_S and 0 <= float(duration) < WAIT_S
        got = figures(rig)
        assert got["acc_lost"] == got["db_refused"] == got["db_spool_lost"] == 0
        rig.check()
    finally:
        rig.close()


def test_what_a_narrow_column_refuses_is_kept_aside(fresh, store, tmp_path):
    """An extra field of 200 bytes in a column of 64: MySQL and PostgreSQL refuse the row, which the spool keeps with the reason."""
    if store.path is not None:
        pytest.skip("SQLite takes any length")
    for table in ("acc", "missed_calls"):
        alter = "MODIFY note VARCHAR(64)" if store.server.name == "mysql" else "ALTER COLUMN note TYPE VARCHAR(64)"
        store.sql(f"ALTER TABLE {table} {alter}")
    rig = fresh()
    alice, bob = two(rig)
    for note in ("x" * 200, "short"):
        alice.to_proxy(alice.request("MESSAGE", bob.aor, headers=[f"X-Note: {note}"]))
        bob.answer(bob.expect("MESSAGE"), 200)
        ok = alice.expect(200)
    of_call(store, "acc", "id", ok.get("call-id"), 1)
    end = time.monotonic() + WAIT_S
    aside = []
    while not aside and time.monotonic() < end:
        with sqlite3.connect(f"file:{tmp_path}/spool?mode=ro", uri=True, timeout=10) as db:
            aside = db.execute("SELECT sentence, what FROM refused").fetchall()
        time.sleep(0.05)
    assert len(aside) == 1 and "note" in str(aside) + rig.lab.log(), aside
    rig.check()
