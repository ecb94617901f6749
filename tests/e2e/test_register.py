# SPDX-License-Identifier: BSD-3-Clause
"""Registrations: the flows of RFC 3665 2 (those without authentication), RFC 3261 10 on the wire, Path, and calls to who registered."""
import itertools
import os
import time

import pytest

import phone
from call import replace_method
from conftest import Labs
from phone import DOMAIN, Phone, bindings, call, hang_up, quiet, script

pytestmark = pytest.mark.sanitize

_users, _rigs = itertools.count(1), itertools.count(1)

PARAMS = """
modparam("registrar", "min_expires", 1)
modparam("registrar", "max_expires", 7200)
modparam("registrar", "default_expires", 3600)
modparam("registrar", "max_contacts", 10)
modparam("registrar", "use_path", 1)
modparam("registrar", "path_mode", 1)
modparam("registrar", "outbound_mode", 1)
"""


class Rig:
    """A lab for many tests; each has users of its own."""

    def __init__(self, text, modules=phone.MODULES, **kw):
        self.labs, self.phones = Labs(), []
        try:
            self.lab = self.labs.make("tap", script=text, modules=modules, name=f"sl{os.getpid()}r{next(_rigs)}-", **kw)
        except BaseException:
            self.close()
            raise

    def start(self, *args, **kw):
        """Where it was made with start=False. What does not start leaves nothing behind."""
        try:
            self.lab.start_siplane(*args, **kw)
        except BaseException:
            self.lab.siplane = None  # its process, if any, is among those that close() ends
            self.close()
            raise

    def phone(self, who="caller", user=None, **kw):
        p = Phone(self.lab, user or f"user{next(_users)}", who, **kw)
        self.phones.append(p)
        return p

    def check(self):
        """After each test: every frame is accounted for, and siplane runs on."""
        for p in self.phones:
            p.close()
        self.phones = []
        stats = self.lab.settle()
        assert stats["exact"] and stats["in"] == stats["done"] + stats["dropped"] + stats["held"], stats
        assert self.lab.siplane.poll() is None, self.lab.log()[-4000:]

    def close(self):
        try:
            if self.labs.all and self.labs.all[0].siplane is not None:
                status, seconds = self.labs.all[0].stop_siplane()
                assert status == 0 and seconds < 10, self.labs.all[0].log()[-6000:]
        finally:
            for lab in self.labs.all:
                lab.close()


@pytest.fixture(scope="module")
def made():
    rig = Rig(script(params=PARAMS, initial="""
	if (is_method("REGISTER") && uri != myself) { sl_send_reply("404", "No Such Domain"); exit; }
	if (is_method("INVITE") && $hdr(X-How) == "forward") {
		if (!lookup("location")) { sl_send_reply("404", "Not Found"); exit; }
		record_route();
		forward();
		exit;
	}
"""), head='alias = "biloxi.example.com"\n')
    yield rig
    rig.close()


@pytest.fixture
def rig(made):
    yield made
    made.check()


# ---- RFC 3665 2 ----

def test_successful_new_registration(rig):
    """RFC 3665 2.1, without its challenge."""
    bob = rig.phone()
    got = bob.register()
    assert got.status == 200 and got.source == bob.proxy
    assert got.tag("to") and got.get("call-id") == bob.call_id and got.get("cseq") == "1 REGISTER"
    assert len(got.vias()) == 1 and f"rport={bob.port}" in got.vias()[0]
    assert bindings(got) == {bob.uri: {"expires": "3600"}}
    assert got.get("content-length") == "0"
    quiet(bob)


def test_update_of_contact_list(rig):
    """RFC 3665 2.2: another contact beside the first, which stays."""
    bob = rig.phone()
    bob.registered()
    second = f"sip:{bob.user}@10.20.0.12:5070"
    listed = bob.registered([f"<{second}>"], expires=1800)
    assert set(listed) == {bob.uri, second}
    assert listed[second]["expires"] == "1800" and 3590 <= int(listed[bob.uri]["expires"]) <= 3600


def test_request_for_current_contact_list(rig):
    """RFC 3665 2.3: no Contact changes nothing and lists all."""
    bob = rig.phone()
    assert bob.registered([]) == {}
    bob.registered(expires=100)
    listed = bob.registered([])
    assert set(listed) == {bob.uri} and 95 <= int(listed[bob.uri]["expires"]) <= 100


def test_cancellation_of_registration(rig):
    """RFC 3665 2.4: Contact: * with Expires: 0 takes all away."""
    bob, alice = rig.phone("b1"), rig.phone()
    bob.registered([f"<{bob.uri}>", f"<sip:{bob.user}@10.20.0.12:5070>"])
    assert bob.registered(["*"], expires=0) == {}
    assert bob.registered([]) == {}
    alice.invite(bob.aor)
    alice.expect(404)
    quiet(bob)


def test_unsuccessful_registration(rig):
    """RFC 3665 2.5, for another reason than a password: the script refuses, and nothing is bound."""
    bob = rig.phone()
    got = bob.register(domain="elsewhere.example")
    assert got.status == 404 and not got.all("contact")
    assert bob.registered([]) == {}


# ---- RFC 3261 10.3 ----

@pytest.mark.parametrize("contacts,expires", [(["*"], None), (["*"], 3600), (["*", "<sip:x@10.20.0.12>"], 0), (["*;expires=0"], None)],
                         ids=["no_expires", "expires", "and_another", "parameter"])
def test_a_star_that_is_not_alone_or_not_zero_is_a_bad_request(rig, contacts, expires):
    bob = rig.phone()
    bob.registered()
    assert bob.register(contacts, expires=expires).status == 400
    assert set(bob.registered([])) == {bob.uri}


def test_a_contact_is_taken_away_alone(rig):
    bob = rig.phone()
    second = f"sip:{bob.user}@10.20.0.12:5070"
    bob.registered([f"<{bob.uri}>", f"<{second}>"])
    assert set(bob.registered([f"<{second}>;expires=0"])) == {bob.uri}
    assert bob.registered(expires=0) == {}, "the header's Expires is that of contacts without one"
    assert bob.registered(expires=0) == {}, "what is not there is taken away without complaint"


def test_a_contacts_own_expires_is_before_the_headers(rig):
    bob = rig.phone()
    listed = bob.registered([f"<{bob.uri}>;expires=50", f"<sip:{bob.user}@10.20.0.12:5070>"], expires=200)
    assert listed[bob.uri]["expires"] == "50" and listed[f"sip:{bob.user}@10.20.0.12:5070"]["expires"] == "200"


def test_what_the_registrar_makes_of_an_expires_is_what_it_says(rig):
    bob = rig.phone()
    assert bob.registered(expires=999999)[bob.uri]["expires"] == "7200"
    # RFC 3261 20.19: a malformed value is as 3600 seconds.
    for strange in ("4294967296", "18446744073709551617"):
        listed = bob.registered(expires=strange)
        assert 1 <= int(listed[bob.uri]["expires"]) <= 7200


def test_older_requests_of_the_same_phone_change_nothing(rig):
    """10.3 step 7: the same Call-ID with a CSeq that is not higher."""
    bob = rig.phone()
    bob.registered(cseq=10, expires=100)
    got = bob.register(cseq=9, expires=500)
    assert got.status >= 400, got
    assert int(bob.registered([], cseq=11)[bob.uri]["expires"]) <= 100
    # Another Call-ID's CSeq is its own.
    assert int(bob.registered(call_id="rebooted@10.10.0.2", cseq=1, expires=500)[bob.uri]["expires"]) == 500


def test_a_cseq_beyond_32_bits_is_refused(rig):
    """8.1.1.5: no number of 32 bits, and not what is left of it in 32 bits: 0 and 1 of Call-IDs that are not known yet."""
    bob = rig.phone()
    bob.registered(expires=100)
    for n in (2**32, 2**32 + 1, 2**64 + 1):
        got = bob.register([f"<sip:{bob.user}@10.20.0.12:5070>"], expires=500, cseq=n, call_id=f"wide-{n}@{bob.host}")
        assert got.status == 400 and got.get("cseq") == f"{n} REGISTER", got
        got = bob.register(expires=500, cseq=n)
        assert got.status == 400, got
    listed = bob.registered([])
    assert set(listed) == {bob.uri} and int(listed[bob.uri]["expires"]) <= 100


def test_a_retransmission_is_answered_and_changes_nothing(rig):
    bob = rig.phone()
    text = bob.registration(expires=300)
    for _ in range(3):
        bob.to_proxy(text)
        got = bob.receive()
        assert got.status == 200 and set(bindings(got)) == {bob.uri}


def test_all_contacts_of_a_request_or_none(rig):
    """10.3: a failure of any leaves all as they were."""
    bob = rig.phone()
    bob.registered(expires=100)
    got = bob.register([f"<{bob.uri}>;expires=0", f"<sip:{bob.user}@10.20.0.12:5070>", "<not a uri"], expires=500)
    assert got.status == 400, got
    listed = bob.registered([])
    assert set(listed) == {bob.uri} and int(listed[bob.uri]["expires"]) <= 100


def test_too_many_contacts_are_refused_and_those_before_stay(rig):
    bob = rig.phone()
    bob.registered([f"<sip:{bob.user}@10.20.0.11:{6000 + n}>" for n in range(10)])
    got = bob.register()
    assert got.status == 503 and not got.all("retry-after")
    assert len(bob.registered([])) == 10


def test_the_same_uri_is_the_same_contact(rig):
    """RFC 3261 19.1.4: case of scheme, host and parameters, escapes of what needs none, order of parameters."""
    bob = rig.phone()
    bob.registered(["<sip:bob@phone.example.com:5070;transport=udp;lr>"])
    listed = bob.registered(["<SIP:%62ob@PHONE.example.COM:5070;LR;transport=UDP>"])
    assert len(listed) == 1, listed
    assert len(bob.registered(["<sip:BOB@phone.example.com:5070;transport=udp;lr>"])) == 2, "a user part has its case"


def test_an_address_of_record_is_canonical(rig):
    """Case and needless escapes of the user part, port and parameters of the To make no other user."""
    bob = rig.phone(user=f"Bob-{next(_users)}")
    bob.registered(to=f"<sip:{bob.user}@{DOMAIN}:5060;x=y>")
    escaped = bob.user.replace("o", "%6f").upper().replace("%6F", "%6f")
    assert set(bob.registered([], to=f'"Bob" <sip:{escaped}@{DOMAIN}>;x=1')) == {bob.uri}


def test_a_registration_ends_by_itself(rig):
    bob, alice = rig.phone("b1"), rig.phone()
    bob.registered(expires=1)
    text = alice.invite(bob.aor)
    got = bob.expect("INVITE")
    bob.answer(got, 486, "Busy Here")
    alice.expect(486)
    alice.to_proxy(replace_method(text, "ACK", to_tag="x"))
    bob.expect("ACK")
    time.sleep(2.1)
    alice.invite(bob.aor)
    alice.expect(404)
    assert bob.registered([]) == {}
    # A refreshed one does not.
    bob.registered(expires=1)
    bob.registered(expires=30)
    time.sleep(2.1)
    assert set(bob.registered([])) == {bob.uri}


def test_malformed_registrations_are_refused(rig):
    bob = rig.phone()
    bob.registered()
    assert bob.register(["<sip:>"]).status == 400
    assert bob.register(["<sip:bob@[::1>"]).status == 400
    assert bob.register([f"<{bob.uri}>;q=7"]).status == 400
    text = bob.registration().replace(f"To: <{bob.aor}>".encode(), b"To: <sip:>")
    bob.to_proxy(text)
    assert bob.expect(None).status == 400
    assert set(bob.registered([])) == {bob.uri}


def test_contacts_are_listed_by_q(rig):
    """The highest first; one without q is the last choice."""
    bob = rig.phone()
    at = f"sip:{bob.user}@10.20.0.11"
    listed = bob.registered([f"<{at}:6001>;q=0.25", f"<{at}:6003>", f"<{at}:6002>;q=1"])
    assert list(listed) == [f"{at}:6002", f"{at}:6001", f"{at}:6003"]
    assert [float(v["q"]) if "q" in v else None for v in listed.values()] == [1, 0.25, None]


def test_a_contact_that_leads_to_its_own_user_is_refused(rig):
    """RFC 5393: it would send each request round and round."""
    bob = rig.phone()
    for uri in (bob.aor, f"sip:{bob.user}@10.20.0.1:5060;x=1", f"sip:{bob.user}@biloxi.example.com"):
        assert 400 <= bob.register([f"<{uri}>"]).status < 500
    assert bob.registered([]) == {}


def test_the_highest_q_is_called_and_others_are_branches(rig):
    """lookup() takes the first as Request-URI; here all contacts are called at once (append_branches is on)."""
    first, second, alice = rig.phone("b1"), rig.phone("b2"), rig.phone()
    second.user = first.user
    first.registered([f"<{first.uri}>;q=0.9", f"<sip:{first.user}@{second.host}:{second.port}>;q=0.5"])
    alice.invite(first.aor)
    one, two = first.expect("INVITE"), second.expect("INVITE")
    assert one.uri == first.uri and one.branch() != two.branch() and one.branch(1) == two.branch(1)
    second.answer(two, 486, "Busy Here")
    second.expect("ACK")
    first.answer(one, 200)
    ok = alice.expect(200)
    alice.ack(ok)
    first.expect("ACK")
    hang_up(alice, first, ok)
    quiet(alice, first, second)


# ---- calls ----

def test_registered_users_call_each_other(rig):
    alice, bob = rig.phone(), rig.phone("b1")
    alice.registered()
    bob.registered()
    got, ok = call(alice, bob)
    assert got.uri == bob.uri and len(got.vias()) == 2 and len(got.record_routes()) == 2
    assert got.get("max-forwards") == "69"
    hang_up(alice, bob, ok)
    got, ok = call(bob, alice)
    assert got.uri == alice.uri
    # The callee hangs up.
    alice.to_proxy(alice.in_dialog_back(got, "BYE"))
    bob.answer(bob.expect("BYE"), 200)
    alice.expect(200)
    quiet(alice, bob)


def test_a_call_by_lookup_and_forward_keeps_no_state(rig):
    alice, bob = rig.phone(), rig.phone("b1")
    bob.registered()
    before = rig.lab.transactions()["txn_created"]
    alice.invite(bob.aor, headers=["X-How: forward"])
    got = bob.expect("INVITE")
    assert got.uri == bob.uri
    bob.answer(got, 180, "Ringing")
    alice.expect(180)
    bob.answer(got, 486, "Busy Here")
    alice.expect(486)
    assert rig.lab.transactions()["txn_created"] == before, "no transaction was made"


def test_a_message_and_its_answer(rig):
    alice, bob = rig.phone(), rig.phone("b1")
    bob.registered()
    alice.to_proxy(alice.request("MESSAGE", bob.aor, headers=["Content-Type: text/plain"], body="hello", contact=False))
    got = bob.expect("MESSAGE")
    assert got.body == b"hello" and not got.record_routes()
    bob.answer(got, 200)
    alice.expect(200)
    quiet(alice, bob)


# ---- Path (RFC 3327) ----

def test_a_path_is_kept_told_and_taken(rig):
    bob, hop, alice = rig.phone("b1"), rig.phone("b2"), rig.phone()
    path = f"<sip:edge-1@{hop.host}:{hop.port};lr>"
    got = bob.register(headers=[f"Path: {path}", "Supported: path"])
    assert got.status == 200 and got.get("path") == path
    alice.invite(bob.aor)
    there = hop.expect("INVITE")
    assert there.uri == bob.uri and there.all("route") == [path]
    hop.answer(there, 200)
    alice.ack(alice.expect(200))
    quiet(bob)


def test_two_paths_stay_in_order(rig):
    bob, hop, alice = rig.phone("b1"), rig.phone("b2"), rig.phone()
    first, second = f"<sip:{hop.host}:{hop.port};lr>", "<sip:10.20.0.99;lr>"
    got = bob.register(headers=[f"Path: {first}, {second}", "Supported: path"])
    assert got.status == 200
    alice.invite(bob.aor)
    there = hop.expect("INVITE")
    assert [r.strip() for line in there.all("route") for r in line.split(",")] == [first, second]
    hop.answer(there, 603, "Decline")
    alice.expect(603)


# ---- outbound's instance (RFC 5626) ----

def test_an_instance_that_comes_back_elsewhere_replaces_its_flow(rig):
    bob = rig.phone()
    instance = '+sip.instance="<urn:uuid:00000000-0000-1000-8000-000A95A0E128>"'
    bob.registered([f"<sip:{bob.user}@10.10.0.2:7001>;{instance};reg-id=1"], headers=["Supported: path, outbound"])
    listed = bob.registered([f"<sip:{bob.user}@10.10.0.2:7002>;{instance};reg-id=1"], headers=["Supported: path, outbound"], call_id="again")
    assert set(listed) == {f"sip:{bob.user}@10.10.0.2:7002"}
    listed = bob.registered([f"<sip:{bob.user}@10.10.0.2:7003>;{instance};reg-id=2"], headers=["Supported: path, outbound"])
    assert len(listed) == 2


# ---- 423 ----

@pytest.fixture(scope="module")
def made_long():
    rig = Rig(script(params='modparam("registrar", "min_expires", 60)\nmodparam("registrar", "min_expires_mode", 1)\n'))
    yield rig
    rig.close()


def test_an_interval_too_brief(made_long):
    bob = made_long.phone()
    got = bob.register(expires=5)
    assert got.status == 423 and int(got.get("min-expires")) == 60, got
    assert bob.registered([]) == {}
    got = bob.register(expires=int(got.get("min-expires")))
    assert got.status == 200
    assert bob.registered(expires=0) == {}, "0 is no interval"
    made_long.check()


def test_several_registrars_phones_at_once(made_long):
    """Forty phones, their requests all under way together."""
    phones = [made_long.phone("caller" if n % 2 else "b1") for n in range(40)]
    for p in phones:
        p.to_proxy(p.registration())
    for p in phones:
        got = p.expect(200)
        assert set(bindings(got)) == {p.uri}
    made_long.check()


def test_contacts_that_have_expired_make_room():
    """A table full of what is over is not full: nobody can shut it by short registrations."""
    rig = Rig(script(params=PARAMS), head="memory { contacts = 64; }")
    try:
        expires = 8  # seconds: longer than a slow machine needs to fill the table
        first = [200]
        while len(first) < 200 and first[-1] == 200:
            first.append(rig.phone().register(expires=expires).status)
        assert first[-1] == 503, first
        time.sleep(expires + 1.1)
        assert [rig.phone().register(expires=600).status for _ in range(32)] == [200] * 32
        rig.check()
    finally:
        rig.close()
