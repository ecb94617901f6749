# SPDX-License-Identifier: BSD-3-Clause
"""The control socket of a siplane that serves: what it answers, and what nobody there can do to it."""
import json
import os
import pathlib
import re
import signal
import socket
import subprocess
import threading
import time

import pytest
from conftest import MODULES, Labs
from ctl import SIPLANE, Client, Refused, ask, socket_of
from ua import UA

ROOT = pathlib.Path(__file__).resolve().parents[2]
EDGE = ("10.10.0.1", 5060)
REGISTRAR = MODULES + 'loadmodule "usrloc.so"\nloadmodule "registrar.so"\n'
SAVE = """
request_route {
	if (is_method("REGISTER")) { save("location"); exit; }
	if (is_method("OPTIONS")) { sl_send_reply("200", "OK"); exit; }
	sl_send_reply("404", "Not Found");
}
"""


def registrar(labs, **kw):
    return labs.make(modules=REGISTRAR, script=SAVE, **kw)


def register(ua, user, *contacts, cseq=1, expires=3600):
    lines = [f"Contact: <{c}>;expires={expires}" for c in contacts]
    answer = ua.asked(ua.request("REGISTER", "sip:example.com", to=f"<sip:{user}@example.com>", contact=False, call_id=f"c-{user}",
                                 cseq=cseq, headers=lines), EDGE)
    assert answer.status == 200, answer
    return answer


def dump(client):
    """All pages: {address-of-record: [contact, ...]}, and the number of pages."""
    found, pages, cursor = {}, 0, None
    while True:
        page = client.ask("ul.dump", **({"cursor": cursor} if cursor else {}))
        pages += 1
        for aor in page["aors"]:
            assert aor["aor"] not in found, "seen twice"
            found[aor["aor"]] = [c["contact"] for c in aor["contacts"]]
        cursor = page["cursor"]
        if cursor is None:
            return found, pages


@pytest.mark.sanitize
def test_every_method_answers(labs):
    lab = registrar(labs)
    ua = UA(lab, "caller", "10.10.0.2")
    register(ua, "alice", "sip:a@10.10.0.2:5070")
    with Client(socket_of(lab)) as c:
        methods = {m["name"] for m in c.ask("rpc.list")}
        assert c.ask("core.version")["pid"] == lab_pid(lab)
        up = c.ask("core.uptime")
        assert up["generation"] == 1 and up["config"] == str(lab.config) and up["uptime_s"] < 60
        stats = c.ask("core.stats")
        assert stats["registrar"]["registrar_accepted"] == 1 and stats["control"]["control_clients"] == 1
        assert stats["location"]["contacts"] == 1
        # What telemetry says is the same figures.
        assert set(stats["stats"]) >= set(lab.stats()) - {"drop"}
        assert c.ask("core.stats", group="location") == {"location": lab.location()}
        assert c.ask("ul.lookup", aor="alice@example.com")["contacts"][0]["contact"] == "sip:a@10.10.0.2:5070"
        assert dump(c) == ({"alice": ["sip:a@10.10.0.2:5070"]}, 1)
        first = c.ask("ds.list")["destinations"][0]
        assert first["destination"] == "sip:10.20.0.11:5060" and first["health"] == "up"
        assert c.ask("ds.set_health", id=first["id"], up=False) is None
        assert c.ask("ds.list")["destinations"][0]["health"] == "down"
        assert c.ask("ds.set_health", id=first["id"], up=True) is None
        for state, usable in (("drain", 1), ("disabled", 1), ("enabled", 2)):
            assert c.ask("ds.set_state", set=1, destination=first["destination"], state=state) == {"destinations": 1, "usable": usable}
            assert c.ask("ds.list")["destinations"][0]["state"] == state
        assert c.ask("ul.rm", aor="alice") == {"removed": 1}
        assert c.ask("cfg.reload") == {"generation": 2, "warnings": ""}
        assert c.ask("ds.reload") == c.ask("dispatcher.reload") == {"from_file": 2, "from_table": None, "warnings": ""}
        # Of modules that are not loaded; test_lists.py has those that are.
        absent = ("domain.reload", "address.reload", "permissions.addressReload")
        assert c.ask("db.forget") == {"rows": 0}
        assert c.ask("db.list") == []
        asked = {"rpc.list", "core.version", "core.uptime", "core.stats", "ul.lookup", "ul.dump", "ul.rm", "ds.list",
                 "ds.set_health", "ds.set_state", "ds.reload", "dispatcher.reload", "cfg.reload", "db.forget", "db.list", *absent}
        assert methods <= asked, methods - asked
        for method, params in (("ul.lookup", {"aor": "nobody"}), ("ul.rm", {"aor": "nobody"}),
                               ("ul.rm", {"aor": "nobody", "table": "none"}), ("ds.set_health", {"id": 77, "up": True}),
                               ("ds.set_state", {"set": 1, "destination": "sip:nobody", "state": "drain"}),
                               ("ds.set_state", {"set": 2, "destination": first["destination"], "state": "drain"}),
                               ("ds.set_state", {"set": -1, "destination": first["destination"], "state": "drain"}),
                               ("core.stats", {"group": "none"}), *((method, {}) for method in absent)):
            with pytest.raises(Refused) as e:
                c.ask(method, params)
            assert e.value.code == -32001, (method, e.value.message)
        for method, params in (("ul.lookup", {}), ("ul.lookup", {"aor": ""}), ("ul.dump", {"cursor": "9:0"}),
                               ("ul.dump", {"cursor": "x"}), ("ul.rm", {"aor": "a", "contact": ""}),
                               ("ul.rm", {"aor": "a", "contact": "x" * 2000}), ("ds.list", {"cursor": "-1"}),
                               ("ds.set_health", {"id": "1", "up": True}), ("ds.set_state", {"set": 1, "destination": "x"}),
                               ("ds.set_state", {"set": 1, "destination": first["destination"], "state": "off"})):
            with pytest.raises(Refused) as e:
                c.ask(method, params)
            assert e.value.code == -32602, (method, params, e.value.message)


def lab_pid(lab):
    """Of siplane itself: `ip netns exec` becomes it."""
    return lab.siplane.pid


def test_the_manual_names_every_method(labs):
    lab = labs.make()
    page = (ROOT / "docs/siplanectl.md").read_text()
    for method in ask(lab, "rpc.list"):
        assert f"| `{method['name']}` |" in page, method["name"]
        for param in method["params"]:
            row = re.search(rf"\| `{re.escape(method['name'])}` \|(.*)", page).group(1)
            assert f"`{param['name']}`" in row, (method["name"], param["name"])


@pytest.mark.sanitize
def test_contacts_are_removed_where_they_are_kept(labs):
    """Two slow lcores: each removes what is its own, while phones register."""
    lab = registrar(labs, head="cores { slow_count = 2; }")
    ua = UA(lab, "caller", "10.10.0.2")
    for n in range(40):
        register(ua, f"u{n}", f"sip:u{n}@10.10.0.2:5070", f"sip:u{n}@10.10.0.2:5071")
    with Client(socket_of(lab)) as c:
        found, pages = dump(c)
        assert len(found) == 40 and pages > 1 and all(len(v) == 2 for v in found.values())
        assert lab.location()["shards"] == 2
        for n in range(40):
            assert c.ask("ul.rm", aor=f"u{n}", contact=f"sip:u{n}@10.10.0.2:5071") == {"removed": 1}
            register(ua, f"v{n}", f"sip:v{n}@10.10.0.2:5070")
        found, _ = dump(c)
        assert len(found) == 80 and all(len(v) == 1 for v in found.values())
        for n in range(40):
            assert c.ask("ul.rm", aor=f"sip:U{n}@example.com") == {"removed": 1}
        assert sorted(dump(c)[0]) == sorted(f"v{n}" for n in range(40))
    # What is removed is registered again as if it had never been.
    register(ua, "u1", "sip:u1@10.10.0.2:5070")
    assert ask(lab, "ul.lookup", aor="u1")["contacts"][0]["cseq"] == 1


def test_a_page_ends_though_one_user_has_many(labs):
    lab = registrar(labs)
    ua = UA(lab, "caller", "10.10.0.2")
    for n in range(30):
        register(ua, f"u{n}", *[f"sip:{'x' * 30}{m}@10.10.0.2:5070" for m in range(10)])
    with Client(socket_of(lab)) as c:
        found, pages = dump(c)
    assert len(found) == 30 and all(len(v) == 10 for v in found.values()) and pages >= 4


@pytest.mark.sanitize
def test_a_reload_is_answered_when_it_is_done(labs):
    lab = labs.make()
    good = lab.config.read_text()
    with Client(socket_of(lab)) as c, Client(socket_of(lab)) as other:
        lab.config.write_text(good + "\nno such thing\n")
        with pytest.raises(Refused) as e:
            c.ask("cfg.reload")
        assert e.value.code == -32002 and "the running configuration stays" in e.value.message
        assert re.search(r"siplane\.cfg:\d+:\d+: error", e.value.message)
        lab.config.write_text(good + "\nudp_workers = 4\n")
        said = c.ask("cfg.reload")
        assert said["generation"] == 2 and "udp_workers" in said["warnings"]
        lab.config.write_text(good)
        # Two at once: both hear of a load that began after they asked.
        for client in (c, other):
            client.send('{"jsonrpc": "2.0", "method": "cfg.reload", "id": 1}\n')
        assert {c.line()["result"]["generation"], other.line()["result"]["generation"]} <= {3, 4}
        assert c.ask("core.uptime")["generation"] in (3, 4)
        # One that nobody waits for any more ends as well.
        third = Client(socket_of(lab))
        third.send('{"jsonrpc": "2.0", "method": "cfg.reload", "id": 1}\n')
        time.sleep(0.01)
        third.close()
        assert c.ask("cfg.reload")["generation"] >= 4


GARBAGE = [b"\x00" * 100, b"GET / HTTP/1.1\r\nHost: x\r\n\r\n", b"x" + os.urandom(5000), b"}" * 10, b"[" * 1000, b'"text"', b"\xff\xfe\x00",
           b"a" * 200000]


@pytest.mark.sanitize
def test_garbage_is_answered_and_ends_the_connection(labs):
    lab = labs.make()
    for data in GARBAGE:
        data = data.lstrip(b" \t\r\n{[") if data[:1] not in (b"[",) else data
        with Client(socket_of(lab)) as c:
            try:
                c.send(data)
            except (BrokenPipeError, ConnectionResetError):
                pass
            answer = c.line()
            assert answer["error"]["code"] == -32700 and answer["id"] is None, (data[:20], answer)
            try:
                assert c.line() is None
            except ConnectionResetError:
                pass
    # Within brackets the connection goes on.
    with Client(socket_of(lab)) as c:
        for text in ("{nonsense}", '{"jsonrpc": "2.0"}', "[]", '[{"a": 1}, 2]', '{"jsonrpc": "2.0", "method": "\\ud800", "id": 1}'):
            c.send(text)
            answer = c.line()
            assert (answer[0] if isinstance(answer, list) else answer)["error"]["code"] in (-32600, -32700), text
        assert c.ask("core.version")["name"] == "siplane"
    stats = ask(lab, "core.stats", group="control")["control"]
    assert stats["control_garbage"] == len(GARBAGE) and stats["control_clients"] == 1


def test_half_a_request_is_closed_after_its_time(labs):
    lab = labs.make()
    with Client(socket_of(lab), timeout=20) as half, Client(socket_of(lab)) as idle:
        begun = time.monotonic()
        half.send('{"jsonrpc": "2.0", "method": "core.ver')
        assert "takes too long" in half.line()["error"]["message"]
        assert 9 < time.monotonic() - begun < 13
        assert half.line() is None
        assert idle.ask("core.version")["name"] == "siplane"


def test_a_slow_reader_is_in_nobodys_way(labs):
    lab = registrar(labs)
    ua = UA(lab, "caller", "10.10.0.2")
    for n in range(30):
        register(ua, f"u{n}", *[f"sip:{'x' * 200}{m}@10.10.0.2:5070" for m in range(10)])
    slow = [Client(socket_of(lab)) for _ in range(10)]
    batch = "[" + ",".join('{"jsonrpc": "2.0", "method": "ul.dump", "id": 1}' for _ in range(64)) + "]\n"
    for c in slow:
        c.send(batch)
    begun = time.monotonic()
    with Client(socket_of(lab)) as c:
        for n in range(50):
            assert c.ask("core.version")["name"] == "siplane"
    # Phones register meanwhile, on the one CPU that control may share with everybody.
    for n in range(50):
        register(ua, f"w{n}", f"sip:w{n}@10.10.0.2:5070")
    assert time.monotonic() - begun < 9, "before the slow ones are cut off"
    deadline = time.monotonic() + 25
    while ask(lab, "core.stats", group="control")["control"]["control_slow"] < len(slow):
        assert time.monotonic() < deadline
        time.sleep(0.2)
    for c in slow:
        c.close()
    assert ask(lab, "core.stats", group="control")["control"]["control_clients"] == 1


@pytest.mark.sanitize
def test_a_hundred_clients(labs):
    lab = registrar(labs)
    ua = UA(lab, "caller", "10.10.0.2")
    register(ua, "alice", "sip:a@10.10.0.2:5070")
    failed = []

    def client(n):
        try:
            with Client(socket_of(lab), timeout=30) as c:
                for i in range(20):
                    assert c.ask("ul.lookup", aor="alice")["aor"] == "alice"
                    assert c.ask("core.stats", group="location")["location"]["contacts"] == 1
        except Exception as e:  # noqa: BLE001 (whatever it is, the test says it)
            failed.append(f"{n}: {e!r}")

    threads = [threading.Thread(target=client, args=(n,)) for n in range(100)]
    for t in threads:
        t.start()
    for t in threads:
        t.join(60)
    assert not failed, failed[:5]
    stats = ask(lab, "core.stats", group="control")["control"]
    assert stats["control_connected"] == 101 and stats["control_requests"] == 4000 and stats["control_full"] == 0


def test_more_clients_than_places(labs):
    lab = labs.make()
    clients = [Client(socket_of(lab)) for _ in range(128)]
    for c in clients:
        assert c.ask("core.version")["name"] == "siplane"
    with Client(socket_of(lab)) as more:
        answer = more.line()
        assert answer["error"]["code"] == -32004
    time.sleep(1.2)
    # Who has been idle longest gives his place.
    with Client(socket_of(lab)) as more:
        assert more.ask("core.version")["name"] == "siplane"
    closed = 0
    for c in clients:
        try:
            c.ask("core.version")
        except (AssertionError, BrokenPipeError, ConnectionResetError):
            closed += 1
        c.close()
    assert closed == 1


NOBODY = 65534
AS_NOBODY = """
import os, socket, sys
os.setgroups([]); os.setgid({id}); os.setuid({id})
s = socket.socket(socket.AF_UNIX); s.settimeout(5)
try:
    s.connect(sys.argv[1])
except PermissionError:
    print("refused"); sys.exit()
s.sendall(b'{{"jsonrpc": "2.0", "method": "core.version", "id": 1}}')
print(s.makefile().readline())
"""


def as_nobody(path):
    r = subprocess.run(["/usr/bin/python3", "-c", AS_NOBODY.format(id=NOBODY), str(path)], capture_output=True, text=True, timeout=20)
    assert r.returncode == 0, r.stderr
    return r.stdout.strip()


def test_a_stranger_gets_nothing(labs):
    lab = labs.make()
    path = socket_of(lab)
    lab.dir.chmod(0o755)
    assert os.stat(path).st_mode & 0o777 == 0o600
    assert as_nobody(path) == "refused"
    # Though somebody has opened the file to all.
    os.chmod(path, 0o666)
    answer = json.loads(as_nobody(path))
    assert answer["error"]["code"] == -32003 and "result" not in answer
    assert ask(lab, "core.stats", group="control")["control"]["control_strangers"] == 1
    assert f"user {NOBODY} may not use it" in lab.log()


def test_a_group_may(labs):
    lab = labs.make(head='control_group = "nogroup"')
    lab.dir.chmod(0o755)
    assert os.stat(socket_of(lab)).st_mode & 0o777 == 0o660
    assert json.loads(as_nobody(socket_of(lab)))["result"]["name"] == "siplane"


def test_a_dead_ones_socket_is_replaced_and_a_living_ones_is_not(labs):
    lab = labs.make()
    path, pid = socket_of(lab), lab_pid(lab)
    # A second one with the same socket says whose it is, and touches nothing.
    other = lab.dir / "other.cfg"
    other.write_text(f'cores {{ idle = sleep; }}\ncontrol_socket = "{path}"\n'
                     f'port "x" {{\n\tdevice = "net_null0";\n\tkernel_interface = "ctx";\n\taddress = 10.99.0.1/24;\n}}\n'
                     'request_route { exit; }\n')
    r = subprocess.run(["ip", "netns", "exec", lab.ns("dut"), str(SIPLANE), "-f", str(other)], capture_output=True, text=True,
                       timeout=30)
    assert r.returncode == 1 and f"process {pid} serves it already" in r.stderr, r.stderr[-2000:]
    assert ask(lab, "core.version")["pid"] == pid
    lab.siplane.send_signal(signal.SIGKILL)
    lab.siplane.wait(10)
    lab.processes.remove(lab.siplane)
    assert path.is_socket()
    with pytest.raises(ConnectionRefusedError):
        Client(path)
    for link in ("edge", "core"):  # a tap's other end went with the process
        subprocess.run(["ip", "-n", lab.ns("dut"), "link", "del", link], capture_output=True)
    lab.start_siplane(lab.config)
    assert ask(lab, "core.version")["pid"] == lab_pid(lab) != pid
    # An orderly end takes it away.
    assert path.is_socket()


def test_the_socket_goes_with_the_process():
    labs = Labs()
    try:
        lab = labs.make()
        assert socket_of(lab).is_socket()
        status, _ = lab.stop_siplane()
        assert status == 0 and not socket_of(lab).exists()
    finally:
        for lab in labs.all:
            lab.close()


def test_what_cannot_be_a_socket_ends_the_start():
    labs = Labs()
    try:
        lab = labs.make(start=False)
        for value, why in ((f"{lab.dir}/file", "is no socket"), ("/nonexistent/a/b.sock", "No such file"),
                           ("/tmp/" + "x" * 120, "longer than")):
            (lab.dir / "file").write_text("mine")
            lab.config.write_text(re.sub(r'control_socket = ".*"', f'control_socket = "{value}"', lab.config.read_text()))
            r = subprocess.run(["ip", "netns", "exec", lab.ns("dut"), str(SIPLANE), "-f", str(lab.config)], capture_output=True,
                               text=True, timeout=30)
            assert r.returncode == 1 and why in r.stderr, r.stderr[-1000:]
            assert (lab.dir / "file").read_text() == "mine"
    finally:
        for lab in labs.all:
            lab.close()


def test_requests_on_many_lines_and_in_pieces(labs):
    lab = labs.make()
    pretty = json.dumps({"jsonrpc": "2.0", "method": "core.version", "id": 7}, indent=4) + "\n\n"
    with Client(socket_of(lab)) as c:
        for byte in pretty:
            c.send(byte)
        assert c.line()["id"] == 7
        c.send(pretty * 20)
        assert [c.line()["id"] for _ in range(20)] == [7] * 20
        c.send("[" + ",".join([pretty] * 3) + "]")
        assert [a["id"] for a in c.line()] == [7, 7, 7]
        c.send(pretty)
        c.sock.shutdown(socket.SHUT_WR)
        assert c.line()["id"] == 7 and c.line() is None
