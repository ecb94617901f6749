# SPDX-License-Identifier: BSD-3-Clause
"""Destinations are taken out of service and back by hand, while calls are under way: none is split."""
import json
import re
import time

import pytest

from call import EDGE, Call, replace_method
from conftest import DISPATCH
from ctl import Client, Refused, ask, ctl, socket_of
from test_sipp import LAB, backend, caller, count, said

ONE, TWO, THREE = (f"sip:10.20.0.{n}:5060" for n in (11, 12, 13))
TURNS = DISPATCH.replace('("1", "0")', '("1", "4")')
ORDER = f"1 {ONE} 0 9\n1 {TWO} 0 5\n1 {THREE} 0 1\n"
FAILOVER = """
request_route {
	if (is_method("CANCEL")) { t_relay_cancel(); exit; }
	if (!ds_select_dst("1", "8")) { sl_send_reply("503", "No Destination"); exit; }
	t_on_failure("next");
	t_relay();
}
failure_route[next] {
	if (t_check_status("503") && ds_next_dst()) { t_on_failure("next"); t_relay(); }
}
"""


def good(lab, *args):
    status, out, err = ctl(*args, env={"SIPLANE_CONTROL_SOCKET": str(socket_of(lab))})
    assert status == 0, (args, out, err)
    return out + err


def refused(lab, *args):
    status, out, err = ctl(*args, env={"SIPLANE_CONTROL_SOCKET": str(socket_of(lab))})
    assert status == 1 and out == "", (args, out, err)
    return err


def listed(lab):
    return {d["destination"]: d for d in json.loads(good(lab, "--json", "ds", "list"))}


def begin(c):
    """A call that rings: (its text, backend, what the backend got)."""
    text, at, got = c.invite()
    at.answer(got, 180, "Ringing")
    assert c.caller.receive().status == 180
    return text, at, got


def cancelled(c, text, at, got):
    c.caller.send(replace_method(text, "CANCEL"), EDGE)
    there, cancel = c.at_a_backend()
    assert there is at and cancel.method == "CANCEL" and cancel.branch() == got.branch()


def ended(c, at, ok):
    c.caller.send(c.in_dialog(ok, "BYE"), EDGE)
    there, bye = c.at_a_backend()
    assert there is at and bye.method == "BYE"
    at.answer(bye, 200)
    assert c.caller.receive().status == 200


@pytest.mark.sanitize
@pytest.mark.parametrize("verb", ["drain", "disable"])
def test_calls_go_on_where_they_are_and_new_ones_elsewhere(labs, verb):
    lab = labs.make(script=TURNS)
    c = Call(lab)
    state = {"drain": "drain", "disable": "disabled"}[verb]
    # One that has been answered and one that rings, at each of the two.
    up, ringing = {}, {}
    while len(up) < 2:
        at, _, ok = c.established()
        up[at] = ok
    while len(ringing) < 2:
        text, at, got = begin(c)
        ringing[at] = (text, got)
    one, two = c.backend
    assert good(lab, "ds", verb, "1", ONE).startswith("1 destination is d")
    assert [d["state"] for d in listed(lab).values()] == [state, "enabled"]
    for _ in range(6):
        text, at, got = begin(c)
        assert at is two
    # What went there before: sent again, cancelled, ended.
    c.caller.send(ringing[one][0], EDGE)
    at, again = c.at_a_backend()
    assert at is one and again.branch() == ringing[one][1].branch()
    cancelled(c, ringing[one][0], one, ringing[one][1])
    ended(c, one, up[one])
    # Its own side may begin requests within the call, and is still known.
    assert "no destination left" in good(lab, "ds", verb, "1", TWO)
    c.caller.send(c.caller.request("INVITE", "sip:alice@10.10.0.1"), EDGE)
    assert c.caller.receive().status == 503
    ended(c, two, up[two])
    cancelled(c, ringing[two][0], two, ringing[two][1])
    assert good(lab, "ds", "enable", "1", ONE, TWO) == "2 destinations are enabled\n"
    assert {begin(c)[1] for _ in range(6)} == {one, two}


def test_a_hash_splits_nothing_and_sends_nothing_new_after_64_t1(labs):
    lab = labs.make()
    c = Call(lab)
    one, two = c.backend
    before = []
    while not any(at is one for _, at, _ in before):
        before.append(begin(c))
    good(lab, "ds", "drain", "1", ONE)
    began = time.monotonic()
    # Nobody can tell what is new from what is sent again; whoever goes there keeps his place.
    within = []
    while not any(at is one for _, at, _ in within):
        within.append(begin(c))
        assert len(within) < 100
    if time.monotonic() - began > 25:
        pytest.skip("a machine too busy to look at half a minute")
    elsewhere, deadline = 0, time.monotonic() + 120
    while elsewhere < 20:
        text, at, got = begin(c)
        cancelled(c, text, at, got)
        elsewhere = elsewhere + 1 if at is two else 0
        assert time.monotonic() < deadline, "new calls still go there"
        time.sleep(0.3)
    assert time.monotonic() - began > 30
    for text, at, got in before + within:
        cancelled(c, text, at, got)
    assert 0 <= listed(lab)[ONE]["left"] < 220


@pytest.mark.sanitize
def test_a_call_that_fails_does_not_go_on_to_one_that_is_drained(labs):
    lab = labs.make(script=FAILOVER, list_text=ORDER, backends=3, modules="".join(
        f'loadmodule "{m}.so"\n' for m in ("sl", "tm", "rr", "maxfwd", "siputils", "textops", "dispatcher")))
    c = Call(lab, backends=3)

    def at_a_backend():
        while True:
            at, m = c.at_a_backend()
            if m.method == "INVITE":
                return at, m

    def next_after_one():
        c.caller.send(c.caller.request("INVITE", "sip:alice@10.10.0.1"), EDGE)
        at, got = at_a_backend()
        assert at is c.backend[0]
        at.answer(got, 503, "Service Unavailable", to_tag="x")
        there, got = at_a_backend()
        there.answer(got, 486, "Busy Here", to_tag="y")
        return there

    assert next_after_one() is c.backend[1]
    good(lab, "ds", "drain", "1", TWO)
    assert next_after_one() is c.backend[2]
    good(lab, "ds", "enable", "1", TWO)
    assert next_after_one() is c.backend[1]


@pytest.mark.sanitize
def test_states_are_listed_kept_through_reloads_and_gone_with_a_restart(labs):
    lab = labs.make("af_packet")
    file = lab.dir / "dispatcher.list"
    plain = file.read_text()
    first = listed(lab)[ONE]
    assert (first["state"], first["by"], first["since"], first["left"], first["pins"]) == ("enabled", "list", None, None, 0)
    assert good(lab, "ds", "drain", "1", ONE) == "1 destination is drained: new calls go elsewhere in 32 s at most\n"
    now = listed(lab)[ONE]
    assert (now["state"], now["by"], now["health"]) == ("drain", "hand", "up") and now["since"] >= 0 and 0 < now["left"] < 250
    assert re.search(rf"^1 +\d+ +{ONE} +drain +hand +\d+ +\d+ +up ", good(lab, "ds", "list"), re.M)
    # A verdict on health is another thing.
    good(lab, "ds", "down", ONE)
    good(lab, "ds", "up", ONE)
    assert listed(lab)[ONE]["state"] == "drain"
    # What is wrong is said.
    assert refused(lab, "ds", "drain", "7", ONE) == "siplanectl: there is no set 7\n"
    assert refused(lab, "ds", "drain", "1", THREE) == f"siplanectl: set 1 has no destination '{THREE}'\n"
    assert refused(lab, "ds", "drain", "1", ONE) == f"siplanectl: set 1: {ONE} is in the state 'drain' already\n"
    assert "is no set" in refused(lab, "ds", "drain", "x", ONE)
    assert ctl("ds", "drain", "1")[0] == 2
    for method in ({"set": 1, "destination": ONE, "state": "off"}, {"set": -1, "destination": ONE, "state": "drain"},
                   {"set": 1 << 40, "destination": ONE, "state": "drain"}, {"set": 1, "destination": "", "state": "drain"},
                   {"set": 1, "destination": "x" * 60000, "state": "drain"}):
        with pytest.raises(Refused):
            ask(lab, "ds.set_state", **method)
    # Another list, and another configuration: it is still in it.
    file.write_text(plain + f"1 {THREE}\n")
    good(lab, "ds", "reload")
    assert len(listed(lab)) == 3 and listed(lab)[ONE]["state"] == "drain" and listed(lab)[ONE]["by"] == "hand"
    good(lab, "reload")
    assert listed(lab)[ONE]["state"] == "drain"
    # The list says something else of it than before.
    file.write_text(plain.replace(ONE, f"{ONE} 0 0 state=disabled"))
    good(lab, "ds", "reload")
    assert (listed(lab)[ONE]["state"], listed(lab)[ONE]["by"]) == ("disabled", "list")
    file.write_text(plain)
    good(lab, "ds", "reload")
    good(lab, "ds", "disable", "1", ONE)
    assert (listed(lab)[ONE]["state"], listed(lab)[ONE]["by"]) == ("disabled", "hand")
    lab.stop_siplane()
    lab.start_siplane(lab.config)
    assert (listed(lab)[ONE]["state"], listed(lab)[ONE]["by"]) == ("enabled", "list")


@pytest.mark.sanitize
def test_a_state_waits_for_a_list_that_is_read_and_for_others(labs):
    """The list's names are asked of a server that is not there; whoever asks for a state meanwhile has it in his turn."""
    lab = labs.make(head='dns_servers = "10.20.0.99"\n')
    file = lab.dir / "dispatcher.list"
    plain = file.read_text()
    file.write_text(plain + "1 sip:gateway.example:5060\n")
    with Client(socket_of(lab), timeout=30) as reader, Client(socket_of(lab), timeout=30) as a, Client(socket_of(lab), timeout=30) as b:
        for c, method, params in ((reader, "ds.reload", {}), (a, "ds.set_state", {"set": 1, "destination": ONE, "state": "drain"}),
                                  (b, "ds.set_state", {"set": 1, "destination": TWO, "state": "disabled"})):
            c.send(json.dumps({"jsonrpc": "2.0", "method": method, "params": params, "id": 1}))
        assert {d["state"] for d in ask(lab, "ds.list")["destinations"]} == {"enabled"}
        assert "stays as it was" in reader.line()["error"]["message"]
        assert [c.line()["result"]["destinations"] for c in (a, b)] == [1, 1]
        assert [d["state"] for d in ask(lab, "ds.list")["destinations"]] == ["drain", "disabled"]
        # Who asks and is gone has asked all the same; the end of siplane waits for none of it.
        file.write_text(plain)
        a.send(json.dumps({"jsonrpc": "2.0", "method": "ds.set_state", "params": {"set": 1, "destination": ONE, "state": "enabled"}, "id": 1}))
    deadline = time.monotonic() + 60
    while ask(lab, "ds.list")["destinations"][0]["state"] != "enabled":
        assert time.monotonic() < deadline
        time.sleep(0.05)
    file.write_text(plain + "1 sip:gateway.example:5060\n")
    with Client(socket_of(lab)) as reader, Client(socket_of(lab)) as a:
        reader.send(json.dumps({"jsonrpc": "2.0", "method": "ds.reload", "params": {}, "id": 1}))
        a.send(json.dumps({"jsonrpc": "2.0", "method": "ds.set_state", "params": {"set": 1, "destination": ONE, "state": "drain"}, "id": 1}))
        ask(lab, "ds.list")
        status, seconds = lab.stop_siplane()
        assert status == 0 and seconds < 10


@pytest.mark.parametrize("driver,algorithm", [("af_packet", 0), ("tap", 4)], ids=["af_packet-hash", "tap-round_robin"])
def test_states_under_load_lose_no_call(labs, driver, algorithm):
    """Destinations go and come back by hand while calls begin, ring, last and end, and lists are read meanwhile."""
    lab = labs.make(driver, script=DISPATCH.replace('("1", "0")', f'("1", "{algorithm}")'), backends=3,
                    list_text=f"1 {ONE}\n1 {TWO}\n1 {THREE}\n")
    servers = [backend(lab, LAB / "uas.xml", 4, n) for n in (1, 2, 3)]
    c = caller(lab, LAB / "uac.xml", 300, 60, 4, 5080, "alice", "-d", "300")
    steps = [("drain", ONE), ("disable", TWO), ("enable", ONE), ("disable", THREE), ("enable", TWO), ("drain", ONE), ("enable", THREE),
             ("enable", ONE)]
    changes = 0
    while c.poll() is None:
        if changes < len(steps):
            verb, uri = steps[changes]
            good(lab, "ds", verb, "1", uri)
            good(lab, "ds", "reload")
            changes += 1
        time.sleep(0.5)
    assert c.returncode == 0, said(lab, c)
    assert changes == len(steps)
    for s in servers:
        lab.end(s)
    assert sum(count(lab, s, "TotalCallCreated") for s in servers) == 300
    assert count(lab, c, "SuccessfulCall(C)") == 300 and count(lab, c, "FailedCall(C)") == 0
