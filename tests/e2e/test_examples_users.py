# SPDX-License-Identifier: BSD-3-Clause
"""Examples 2 and 3 of conf/examples: users with passwords in SQLite, MariaDB and PostgreSQL, and a gateway for those who may call it."""
import os
import shutil
import subprocess
import time

import pytest

import credentials
import databases
from call import replace_method
from ctl import SIPLANECTL
from phone import DOMAIN, SDP, hang_up, quiet
from test_baresip import Baresip
from test_examples import start
from test_sipp import LAB
from test_sipp import backend as sipp_backend

GATEWAY = "10.20.0.11"
OTHER = "example.org"
PASSWORDS = {"alice": "wonder:land", "bob": "s3cret", "carol": "c@r0l's", "dave": "dave5", "erin": "erin6"}


class Users:
    """A database with users, and siplanectl on it."""

    def __init__(self, url):
        self.url = url
        self("db", "create")
        for user, password in PASSWORDS.items():
            self("add", f"{user}@{DOMAIN}", password)
        self("add", f"alice@{OTHER}", "another")

    def __call__(self, *args):
        r = subprocess.run([SIPLANECTL, *args], env={**os.environ, "SIPLANE_DB_URL": self.url}, capture_output=True, text=True, timeout=60)
        assert r.returncode == 0, (args, r.stdout, r.stderr)
        return r.stdout


@pytest.fixture(scope="module", params=["sqlite", "mysql", "postgres"])
def users(request, tmp_path_factory):
    if request.param == "sqlite":
        yield Users(f"sqlite://{tmp_path_factory.mktemp('db')}/siplane.sqlite")
        return
    try:
        with databases.start(request.param) as server:
            # Its Unix socket: siplane's namespace has a loopback of its own.
            yield Users(server.url(over_socket=True))
    except databases.Missing as e:
        pytest.skip(str(e))


def extra(users):
    return f'db_url = "{users.url}"\nalias = "{DOMAIN}"\n'


def register(phone, password, algorithm="MD5", domain=DOMAIN, user=None, **kw):
    """REGISTER, its challenge, REGISTER with credentials: the last answer."""
    uri = f"sip:{domain}"
    to = f"<sip:{user or phone.user}@{domain}>"
    got = phone.register(domain=domain, to=to)
    assert got.status == 401, got
    line = credentials.answer(got, "REGISTER", uri, phone.user, password, algorithm=algorithm, **kw)
    return phone.register(domain=domain, to=to, headers=[line])


def as_user(phone, text, domain=DOMAIN, user=None):
    """The From of a request that is no REGISTER."""
    return text.replace(f"From: <sip:{phone.user}@{phone.host}>".encode(), f"From: <sip:{user or phone.user}@{domain}>".encode())


def invite(phone, uri, password, user=None):
    """INVITE, its challenge, ACK, INVITE with credentials: the text of that one."""
    def text(cseq, headers=(), branch=None, call_id=None):
        return as_user(phone, phone.request("INVITE", uri, headers=[*headers, "Content-Type: application/sdp"], body=SDP.format(phone.address),
                                            cseq=cseq, call_id=call_id, branch=branch, from_tag="f1"), user=user)
    first = phone.to_proxy(text(1))
    got = phone.expect(407)
    phone.to_proxy(replace_method(first, "ACK", got.tag("to")))
    return phone.to_proxy(text(2, [credentials.answer(got, "INVITE", uri, phone.user, password)], call_id=got.get("call-id")))


# ---- 2 ----


@pytest.fixture(scope="module")
def authentication(users):
    rig = start("2-authentication.cfg", extra=extra(users))
    yield rig
    rig.close()


@pytest.fixture
def rig(authentication):
    yield authentication
    authentication.check()


def test_who_knows_the_password_registers(rig):
    alice = rig.phone(user="alice")
    got = register(alice, PASSWORDS["alice"])
    assert got.status == 200 and alice.uri in str(got)
    # Wrong: the same answer as for who does not exist.
    mallory, nobody = rig.phone(user="alice"), rig.phone(user="nobody")
    wrong, unknown = register(mallory, "wrong"), register(nobody, "wrong")
    assert wrong.status == unknown.status == 401 and wrong.start == unknown.start
    assert {k for k, _ in wrong.headers} == {k for k, _ in unknown.headers}


def test_nobody_registers_for_another(rig):
    bob = rig.phone(user="bob")
    assert register(bob, PASSWORDS["bob"], user="alice").status == 403


def test_users_of_two_domains_are_not_each_other(rig):
    alice = rig.phone(user="alice")
    got = register(alice, "another", domain=OTHER)
    assert got.status == 200
    other = rig.phone(user="alice")
    assert register(other, "another").status == 401, "that password is of the other domain"


def test_a_user_of_one_domain_is_nobody_of_another(rig):
    """username="alice@example.org" with the password of that one is right, and says nothing of alice@DOMAIN."""
    thief = rig.phone(user="alice")
    got = thief.register()
    line = credentials.answer(got, "REGISTER", f"sip:{DOMAIN}", f"alice@{OTHER}", "another", hashed_realm=OTHER)
    assert thief.register(headers=[line]).status in (401, 403)
    bob = rig.phone("b1", user="bob")
    text = as_user(thief, thief.request("INVITE", bob.aor, from_tag="f1"))
    thief.to_proxy(text)
    got = thief.expect(407)
    thief.to_proxy(replace_method(text, "ACK", got.tag("to")))
    line = credentials.answer(got, "INVITE", bob.aor, f"alice@{OTHER}", "another", hashed_realm=OTHER)
    thief.to_proxy(as_user(thief, thief.request("INVITE", bob.aor, headers=[line], cseq=2, call_id=got.get("call-id"), from_tag="f1")))
    assert thief.expect(None).status in (403, 407)


def test_a_replayed_registration_is_refused(rig):
    carol = rig.phone(user="carol")
    uri = f"sip:{DOMAIN}"
    got = carol.register()
    line = credentials.answer(got, "REGISTER", uri, "carol", PASSWORDS["carol"])
    assert carol.register(headers=[line]).status == 200
    thief = rig.phone(user="carol")
    assert thief.register(headers=[line]).status == 401


def test_a_call_with_credentials_a_cancel_and_a_call_without(rig):
    alice, bob = rig.phone(user="alice"), rig.phone("b1", user="bob")
    assert register(alice, PASSWORDS["alice"]).status == 200
    assert register(bob, PASSWORDS["bob"]).status == 200
    invite(alice, bob.aor, PASSWORDS["alice"])
    got = bob.expect("INVITE")
    assert not got.all("proxy-authorization"), "credentials are for us"
    bob.answer(got, 200)
    ok = alice.expect(200)
    alice.ack(ok)
    bob.expect("ACK")
    hang_up(alice, bob, ok, cseq=3)
    # CANCEL: no credentials with it (RFC 3261 22.1).
    text = invite(alice, bob.aor, PASSWORDS["alice"])
    got = bob.expect("INVITE")
    bob.answer(got, 180, "Ringing")
    alice.expect(180)
    alice.to_proxy(replace_method(text, "CANCEL"))
    alice.expect(200)
    bob.answer(bob.expect("CANCEL"), 200)
    bob.answer(got, 487, "Request Terminated")
    bob.expect("ACK")
    alice.to_proxy(replace_method(text, "ACK", alice.expect(487).tag("to")))
    # A name that is not his.
    mallory = rig.phone(user="bob")
    invite(mallory, alice.aor, PASSWORDS["bob"], user="alice")
    assert mallory.expect(None).status == 403
    quiet(alice, bob)


@pytest.mark.skipif(not shutil.which("baresip"), reason="baresip is missing: tools/install-packages test")
def test_softphones_register_and_call_with_their_passwords(rig):
    dave = Baresip(rig.lab, "dave", "b1", "10.20.0.1", f"auth_pass={PASSWORDS['dave']}", "answermode=auto")
    dave.registered()
    erin = Baresip(rig.lab, "erin", "caller", "10.10.0.1", f"auth_pass={PASSWORDS['erin']}")
    erin.registered()
    erin.command("dial", f"sip:dave@{DOMAIN}")
    erin.wait("CALL_ESTABLISHED")
    dave.wait("CALL_ESTABLISHED")
    erin.command("hangup")
    dave.wait("CALL_CLOSED")
    erin.close()
    dave.close()


# ---- 3 ----


@pytest.fixture(scope="module")
def pstn(users):
    for group in ("local", "national"):
        users("acl", "grant", f"alice@{DOMAIN}", group)
    users("acl", "grant", f"bob@{DOMAIN}", "local")
    rig = start("3-pstn.cfg", defines=[f'GATEWAY "{GATEWAY}"'], extra=extra(users))
    rig.gateway = sipp_backend(rig.lab, LAB / "uas.xml", name="gateway")
    yield rig
    rig.lab.end(rig.gateway)
    rig.close()


@pytest.mark.parametrize("user, number, status", [
    ("alice", "5551234", 200), ("alice", "0301234567", 200), ("alice", "0041441234567", 403),
    ("bob", "5551234", 200), ("bob", "0301234567", 403), ("carol", "5551234", 403)])
def test_groups_say_who_may_call_where(pstn, user, number, status):
    caller = pstn.phone(user=user)
    text = invite(caller, f"sip:{number}@{DOMAIN}", PASSWORDS[user])
    got = caller.expect(None)
    while got.status < 200:
        got = caller.expect(None)
    assert got.status == status, got
    if status == 200:
        caller.ack(got)
        caller.to_proxy(caller.in_dialog(got, "BYE", cseq=3))
        caller.expect(200)
    else:
        caller.to_proxy(replace_method(text, "ACK", got.tag("to")))
    pstn.check()


def test_a_contact_at_the_gateway_is_no_way_into_the_network(pstn):
    """Whoever registers the gateway as his phone gets calls there that do not carry what the gateway asks for."""
    gateway = pstn.phone("b1", user="gateway")
    carol, alice = pstn.phone(user="carol"), pstn.phone(user="alice")
    carol.uri = f"sip:0041441234567@{GATEWAY}:{gateway.port}"
    assert register(carol, PASSWORDS["carol"]).status == 200
    uri = carol.aor
    text = as_user(alice, alice.request("INVITE", uri, headers=["X-Edge-Key: guessed"], from_tag="f1"))
    alice.to_proxy(text)
    got = alice.expect(407)
    alice.to_proxy(replace_method(text, "ACK", got.tag("to")))
    line = credentials.answer(got, "INVITE", uri, "alice", PASSWORDS["alice"])
    alice.to_proxy(as_user(alice, alice.request("INVITE", uri, headers=[line, "X-Edge-Key: guessed", "P-Asserted-Identity: <sip:boss@example.com>"],
                                                cseq=2, call_id=got.get("call-id"), from_tag="f1")))
    invite_there = gateway.expect("INVITE")
    assert not invite_there.all("x-edge-key")
    gateway.answer(invite_there, 603, "Decline")
    alice.expect(603)
    gateway.expect("ACK")
    pstn.check()


def test_the_gateway_is_shown_its_key(pstn):
    """The same request by way of route[gateway]."""
    log = pstn.lab.dir / "gateway.log"
    alice = pstn.phone(user="alice")
    watch = pstn.lab.popen("b1", "tcpdump", "-nU", "--immediate-mode", "-A", "-s0", "-i", "eth0", "udp", "port", "5060", stdout=open(log, "wb"),
                           stderr=subprocess.DEVNULL)
    time.sleep(0.5)
    invite(alice, f"sip:5551234@{DOMAIN}", PASSWORDS["alice"])
    got = alice.expect(None)
    while got.status < 200:
        got = alice.expect(None)
    assert got.status == 200
    alice.ack(got)
    alice.to_proxy(alice.in_dialog(got, "BYE", cseq=3))
    alice.expect(200)
    time.sleep(0.3)
    watch.terminate()
    watch.wait(10)
    pstn.lab.processes.remove(watch)
    text = log.read_text(errors="replace")
    assert "INVITE sip:5551234@" in text and "X-Edge-Key: change-this" in text
    pstn.check()


def test_the_network_calls_a_user(pstn):
    alice = pstn.phone(user="alice")
    assert register(alice, PASSWORDS["alice"]).status == 200
    # From the gateway's address, which has proved nothing and need not.
    line = pstn.phone("b1", user="0301112223")
    line.invite(alice.aor)
    got = alice.expect("INVITE")
    alice.answer(got, 200)
    ok = line.expect(200)
    line.ack(ok)
    alice.expect("ACK")
    hang_up(line, alice, ok)
    # Nobody calls the network by way of it who is not asked for a password: a number is no user.
    line.invite(f"sip:0041441234567@{DOMAIN}")
    line.expect(404)
    pstn.check()
