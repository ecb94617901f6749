# SPDX-License-Identifier: BSD-3-Clause
"""
The configuration that Debian's package of Kamailio installs, as it stands there: registrations and calls; and with its switches
WITH_AUTH, WITH_USRLOCDB, WITH_IPAUTH and WITH_MULTIDOMAIN on, over a database as kamdbctl and kamctl leave it.
"""
import os
import pathlib
import re
import subprocess
import time

import pytest

import credentials
import databases
from ctl import SIPLANE, SIPLANECTL, socket_of
from phone import DOMAIN, call, hang_up, quiet
from test_examples_users import PASSWORDS, as_user, invite, register
from test_register import Rig

KAMAILIO = pathlib.Path("/etc/kamailio/kamailio.cfg")
pytestmark = pytest.mark.skipif(not KAMAILIO.exists(), reason="no /etc/kamailio/kamailio.cfg: tools/install-packages versus")


def start(defines=()):
    rig = Rig("", start=False)
    lab = rig.lab
    ports = lab.dir / "ports.cfg"
    ports.write_text(f'cores {{ idle = sleep; }}\nsecret_file = "{lab.dir}/secret"\ncontrol_socket = "{socket_of(lab)}"\n{lab.port_config()}')
    # What an operator writes into kamailio-local.cfg or on the command line (-A); the file itself stays as it is.
    config = lab.dir / "kamailio.cfg"
    config.write_text("".join(f"#!define {d}\n" for d in defines) + f'include_file "{KAMAILIO}"\n')
    rig.start(config, options=("--ports", ports))
    return rig


@pytest.mark.parametrize("defines", ["", "WITH_MYSQL WITH_ACCDB WITH_AUTH WITH_USRLOCDB"])
def test_the_check_says_warnings_and_that_it_is_good(tmp_path, defines):
    config, ports = tmp_path / "kamailio.cfg", tmp_path / "ports.cfg"
    config.write_text("".join(f"#!define {d}\n" for d in defines.split()) + f'include_file "{KAMAILIO}"\n')
    ports.write_text('port "edge" { device = "net_null0"; address = 198.51.100.10/24; }\n')
    r = subprocess.run([SIPLANE, "--ports", ports, "-c", "-f", config], capture_output=True, text=True, timeout=60,
                       stdin=subprocess.DEVNULL)
    said = (r.stdout + r.stderr).splitlines()
    assert r.returncode == 0 and f"{config}: good" in said, said
    # What is no warning of a line, its text, or a note is about the machine, of which a check wants nothing.
    other = [line for line in said if not re.match(r".*: (warning|note|good)|.*good$| +\d* \|", line)]
    assert other == []


def test_it_serves_as_it_is():
    rig = start()
    try:
        alice, bob = rig.phone(), rig.phone("b1")
        for p in (alice, bob):
            assert set(p.registered()) == {p.uri}
        got, ok = call(alice, bob)
        assert got.record_routes()
        hang_up(alice, bob, ok)
        alice.invite("sip:nobody@192.0.2.1")
        alice.expect(403)
        alice.invite(f"sip:nobody@{DOMAIN}")
        alice.expect(404)
        quiet(alice, bob)
        rig.check()
    finally:
        rig.close()


@pytest.fixture(scope="module", params=databases.SERVERS)
def server(request):
    try:
        with databases.start(request.param) as server:
            subprocess.run([SIPLANECTL, "db", "create"], env={**os.environ, "SIPLANE_DB_URL": server.url(over_socket=True)},
                           check=True, capture_output=True, timeout=60)
            # As `kamctl add` writes them where STORE_PLAINTEXT_PW is 1, its default.
            for user, password in PASSWORDS.items():
                quoted = password.replace("'", "''")
                server.sql(f"INSERT INTO subscriber (username, domain, password) VALUES ('{user}', '{DOMAIN}', '{quoted}')")
            yield server
    except databases.Missing as e:
        pytest.skip(str(e))


def test_it_serves_users_with_passwords_and_keeps_where_they_are(server):
    defines = ["WITH_MYSQL", "WITH_AUTH", "WITH_USRLOCDB", f'DBURL "{server.url(over_socket=True)}"']
    rig = start(defines)
    try:
        alice, bob = rig.phone(user="alice"), rig.phone("b1", user="bob")
        assert register(alice, PASSWORDS["alice"]).status == 200
        assert register(bob, PASSWORDS["bob"]).status == 200
        assert register(rig.phone(user="carol"), "wrong").status == 401
        # Without credentials; as somebody else; for nobody of here.
        alice.to_proxy(as_user(alice, alice.request("INVITE", bob.aor)))
        alice.expect(407)
        mallory = rig.phone(user="carol")
        invite(mallory, bob.aor, PASSWORDS["carol"], user="alice")
        assert mallory.expect(None).status == 407
        mallory.invite("sip:somebody@192.0.2.1")
        mallory.expect(403)
        invite(alice, bob.aor, PASSWORDS["alice"])
        got = bob.expect("INVITE")
        assert not got.all("proxy-authorization")
        bob.answer(got, 200)
        ok = alice.expect(200)
        alice.ack(ok)
        bob.expect("ACK")
        hang_up(alice, bob, ok, cseq=3)
        # db_mode 2: shortly after.
        deadline = time.monotonic() + 10
        while server.sql("SELECT username FROM location ORDER BY username").split() != ["alice", "bob"]:
            assert time.monotonic() < deadline
            time.sleep(0.1)
        port = bob.port
        rig.check()
        rig.close()
        # And they are where they were.
        rig = start(defines)
        alice, bob = rig.phone(user="alice"), rig.phone("b1", user="bob", port=port)
        invite(alice, bob.aor, PASSWORDS["alice"])
        bob.answer(bob.expect("INVITE"), 486, "Busy Here")
        alice.expect(486)
        rig.check()
    finally:
        rig.close()


def register_as(phone, domain, password):
    """As one of that domain says who he is: its name stands in From, too, of which the realm is made."""
    got = None
    for _ in range(2):
        headers = [credentials.answer(got, "REGISTER", f"sip:{domain}", phone.user, password)] if got is not None else []
        phone.to_proxy(as_user(phone, phone.registration(domain=domain, to=f"<sip:{phone.user}@{domain}>", headers=headers), domain=domain))
        got = phone.expect(None)
        assert got.status in (200, 401), got
    return got.status


def test_it_serves_domains_and_trusted_addresses_of_the_database(server):
    """WITH_MULTIDOMAIN: a domain of the table is ours, and users have one; WITH_IPAUTH: who calls from an address of group 1 is not asked."""
    ours = "customers.example"
    server.sql(f"INSERT INTO domain (domain) VALUES ('{ours}'); INSERT INTO domain (domain) VALUES ('{DOMAIN}')")
    server.sql(f"INSERT INTO subscriber (username, domain, password) VALUES ('zoe', '{ours}', 'zoe7')")
    rig = start(["WITH_MYSQL", "WITH_AUTH", "WITH_IPAUTH", "WITH_MULTIDOMAIN", f'DBURL "{server.url(over_socket=True)}"'])
    env = {**os.environ, "SIPLANE_DB_URL": server.url(over_socket=True), "SIPLANE_CONTROL_SOCKET": str(socket_of(rig.lab))}
    try:
        caller, zoe = rig.phone(user="gateway"), rig.phone("b1", user="zoe")
        assert register_as(zoe, ours, "zoe7") == 200
        # The same name in another domain of ours is nobody.
        assert register_as(rig.phone(user="zoe"), DOMAIN, "zoe7") == 401
        # A stranger is asked where he says that he is one of us, and may call in otherwise; nobody may call through.
        caller.to_proxy(as_user(caller, caller.request("INVITE", f"sip:zoe@{ours}"), domain=ours))
        caller.expect(407)
        caller.to_proxy(as_user(caller, caller.request("INVITE", "sip:zoe@elsewhere.example"), domain="strangers.example"))
        assert caller.expect(403).status == 403
        # His address in the table: he is let in without being asked.
        subprocess.run([SIPLANECTL, "address", "add", "1", caller.host], env=env, check=True, capture_output=True, timeout=60)
        caller.to_proxy(as_user(caller, caller.request("INVITE", f"sip:zoe@{ours}"), domain=ours))
        got = zoe.expect("INVITE")
        zoe.answer(got, 486, "Busy Here")
        assert caller.expect(486).status == 486
        rig.check()
    finally:
        rig.close()
