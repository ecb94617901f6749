# SPDX-License-Identifier: BSD-3-Clause
"""siplanectl's avp verbs: what is kept for users, with kamctl's options."""
import databases
import pytest

from test_siplanectl import Base, ctl


@pytest.fixture
def base(tmp_path):
    return Base(tmp_path / "siplane.sqlite")


def test_values_of_users_come_and_go(base):
    assert base.good("avp", "list") == "there is no such AVP\n"
    base.good("avp", "add", "alice@example.com", "callfwd", "0", "sip:bob@example.com")
    base.good("avp", "add", "alice@example.com", "callfwd", "0", "sip:carol@example.com")
    base.good("avp", "add", "sip:alice@example.com", "limit", "1", "5")
    base.good("avp", "add", "u-17", "7", "2", "by uuid")
    assert base.json("avp", "list", "-u", "alice@example.com", "-a", "callfwd") == [
        {"username": "alice", "domain": "example.com", "uuid": "", "attribute": "callfwd", "type": 0, "value": f"sip:{who}@example.com"}
        for who in ("bob", "carol")]
    assert [r["value"] for r in base.json("avp", "list", "-t", "1")] == ["5"]
    assert [r["attribute"] for r in base.json("avp", "list", "-u", "u-17")] == ["7"]
    assert [r["username"] for r in base.json("avp", "list", "-v", "by uuid")] == [""]
    base.good("avp", "rm", "-u", "alice@example.com", "-v", "sip:bob@example.com")
    assert [r["value"] for r in base.json("avp", "list", "-a", "callfwd")] == ["sip:carol@example.com"]
    assert "no such AVP" in base.bad("avp", "rm", "-a", "nothing")
    # Nobody empties the table by leaving something out.
    assert "which ones" in base.bad("avp", "rm")
    assert len(base.json("avp", "list")) == 3
    base.good("avp", "rm", "-u", "alice@example.com")
    assert [r["uuid"] for r in base.json("avp", "list")] == ["u-17"]


def test_what_is_no_avp_is_refused(base):
    for verb in (("add", "a@b.example", "x", "4", "y"), ("add", "a@b.example", "x", "one", "y"), ("add", "a@b.example", "x", "1", "y"),
                 ("add", "a@b.example", "x", "3", "5"), ("add", "a@b.example", "a b", "0", "y"), ("add", "a@b.example", "", "0", "y"),
                 ("add", "", "x", "0", "y"), ("add", "a b@b.example", "x", "0", "y"), ("list", "-T", "t; DROP TABLE usr_preferences"),
                 ("list", "-t", "x"), ("list", "-T", "no_table"), ("add", "-u", "a@b.example", "c@b.example", "x", "0", "y")):
        base.bad("avp", *verb)
    text = "x'); DROP TABLE usr_preferences; --"
    base.good("avp", "add", "a@b.example", "x", "0", text)
    assert [r["value"] for r in base.json("avp", "list", "-v", text)] == [text]
    assert ctl("acl", "show", "-u", "alice")[0] == 2


def test_another_table(base):
    base.rows("CREATE TABLE fwd_table (uuid TEXT, username TEXT, domain TEXT, attribute TEXT, type INT, value TEXT)")
    base.good("avp", "add", "-T", "fwd_table", "a@b.example", "x", "0", "y")
    assert [r["value"] for r in base.json("avp", "list", "-T", "fwd_table")] == ["y"]
    assert base.json("avp", "list") == []
    base.good("avp", "rm", "-T", "fwd_table", "-a", "x")
    assert base.json("avp", "list", "-T", "fwd_table") == []


@pytest.mark.parametrize("engine", ["mysql", "postgres"])
def test_values_in_both_servers(engine):
    try:
        server = databases.start(engine)
    except databases.Missing as e:
        pytest.skip(str(e))
    with server:
        def run(*args, status=0):
            got, out, err = ctl(*args, env={"SIPLANE_DB_URL": server.url()})
            assert got == status, (args, out, err)
            return out
        run("db", "create")
        run("avp", "add", "alice@example.com", "callfwd", "0", "sip:bob@example.com")
        run("avp", "add", "alice@example.com", "limit", "1", "5")
        assert "sip:bob@example.com" in run("avp", "list", "-u", "alice@example.com")
        run("avp", "rm", "-a", "callfwd", "-t", "0")
        run("avp", "rm", "-a", "callfwd", status=1)
        assert "limit" in run("avp", "list")
