# SPDX-License-Identifier: BSD-3-Clause
"""
RFC 3665 3.2 and 3.8 as they stand there: two proxies in a row, each a siplane of its own.

    Alice ── P1 (10.10.0.1, 10.20.0.1) ── lan ── P2 (10.20.0.9) ── lan ── Bob

P1 sends what is for Bob's domain to P2, which is his registrar and has one port.
"""
import os
import subprocess
import time

import pytest

from call import replace_method
from lab.lab import ROOT, run
from phone import MODULES, SDP, quiet, script
from test_register import Rig

pytestmark = pytest.mark.sanitize

DOMAIN, P2 = "biloxi.example.com", ("10.20.0.9", 5060)
TO_P2 = f"""
	if ($rd == "{DOMAIN}") {{
		if (is_method("INVITE")) record_route();
		$du = "sip:{P2[0]}:{P2[1]}";
		if (!t_relay()) sl_reply_error();
		exit;
	}}
"""


class SecondProxy:
    """A siplane in a namespace of its own; its one port is on the lab's lan."""

    def __init__(self, lab):
        self.lab = lab
        lab._add_ns("p2")
        config = lab.dir / "p2.cfg"
        config.write_text(
            f'cores {{ idle = sleep; }}\nsecret_file = "{lab.dir}/secret2"\nalias = "{DOMAIN}"\n'
            f'port "core" {{\n\tdevice = "net_tap_p2,iface=p2";\n\taddress = {P2[0]}/24;\n}}\nlisten = udp:core:5060\n'
            f'{MODULES}modparam("dispatcher", "list_file", "{lab.dir}/dispatcher.list")\n{script()}')
        self.path = lab.dir / "p2.log"
        with open(self.path, "wb") as log:
            self.process = lab.popen("p2", os.environ.get("SIPLANE", ROOT / "build/app/siplane/siplane"), "-f", config, stdout=log, stderr=subprocess.STDOUT)
        self.until(lambda: "\nready" in self.log(), "it is not ready")
        lab.ip("p2", "link", "set", "p2", "netns", lab.ns("lan"))
        lab.ip("lan", "link", "set", "p2", "master", "br0", "up")
        self.until(lambda: run("ip", "netns", "exec", lab.ns("b1"), "ping", "-nqc1", "-W1", P2[0], check=False).returncode == 0, "it does not answer ping")

    def log(self):
        return self.path.read_text(errors="replace")

    def until(self, true, what, seconds=20):
        end = time.monotonic() + seconds
        while not true():
            assert self.process.poll() is None and time.monotonic() < end, f"{what}:\n{self.log()}"
            time.sleep(0.02)

    def stats(self):
        return self.lab.telemetry("/siplane/stats", self.process.pid)

    def transactions(self):
        return self.lab.telemetry("/siplane/transactions", self.process.pid)

    def check(self):
        """Every frame is accounted for."""
        def balanced():
            s = self.stats()
            return s["exact"] and s["in"] == s["done"] + s["dropped"] + s["held"] and s["held"] == 0 and s["waiting"] == 0
        self.until(balanced, "its counters do not come to rest", 8)

    def stop(self):
        self.process.terminate()
        assert self.process.wait(10) == 0, self.log()[-6000:]
        self.lab.processes.remove(self.process)


@pytest.fixture(scope="module")
def made():
    rig = Rig(script(initial=TO_P2))
    try:
        rig.second = SecondProxy(rig.lab)
        yield rig
        rig.second.stop()
    finally:
        rig.close()


@pytest.fixture
def rig(made):
    yield made
    made.check()
    made.second.check()


@pytest.fixture
def pair(rig):
    alice, bob = rig.phone(), rig.phone("b1", proxy=P2)
    bob.aor = f"sip:{bob.user}@{DOMAIN}"
    bob.to_proxy(bob.registration(domain=DOMAIN, to=f"<{bob.aor}>"))
    assert bob.expect(200).contact_uri() == bob.uri
    return alice, bob


def rung(alice, bob):
    """F1 to F10 of 3.2: (Alice's INVITE, Bob's), and Alice has heard it ring."""
    text = alice.invite(bob.aor)
    got = bob.expect("INVITE")
    trying = alice.expect(100)
    assert trying.source == alice.proxy and len(trying.vias()) == 1 and trying.tag("to") is None
    assert got.source[:2] == P2 and got.uri == bob.uri and got.body == SDP.format(alice.address).encode()
    hops = got.vias()
    assert len(hops) == 3 and P2[0] in hops[0] and "10.20.0.1" in hops[1] and f"{alice.host}:{alice.port}" in hops[2]
    assert len({got.branch(n) for n in range(3)}) == 3
    assert got.get("max-forwards") == "68"
    # Each proxy stays: P2 with one, P1 with one a side, the last to write above.
    routes = got.record_routes()
    assert [next(a for a in (P2[0], "10.20.0.1", "10.10.0.1") if a in r) for r in routes] == [P2[0], "10.20.0.1", "10.10.0.1"]
    assert all(";lr" in r for r in routes)
    bob.answer(got, 180, "Ringing")
    ringing = alice.expect(180)
    assert len(ringing.vias()) == 1 and ringing.tag("to") and ringing.record_routes() == routes
    quiet(alice, seconds=0.1)  # P2's 100 is P1's alone (16.7 step 4)
    return text, got


def went(rig, before, name):
    return [after[name] - was[name] for was, after in zip(before, (rig.lab.transactions(), rig.second.transactions()))]


def test_3_2_session_establishment_through_two_proxies(pair, rig):
    alice, bob = pair
    before = rig.lab.transactions(), rig.second.transactions()
    _, got = rung(alice, bob)
    bob.answer(got, 200, body=SDP.format(bob.address), headers=["Content-Type: application/sdp"])
    ok = alice.expect(200)
    assert len(ok.vias()) == 1 and ok.record_routes() == got.record_routes() and ok.contact_uri() == bob.uri
    assert ok.body == SDP.format(bob.address).encode()
    # From end to end, by both, and no transaction of theirs.
    alice.ack(ok)
    ack = bob.expect("ACK")
    assert ack.source[:2] == P2 and ack.uri == bob.uri and len(ack.vias()) == 3 and not ack.all("route")
    assert ack.branch() != got.branch() and ack.get("max-forwards") == "68"
    # Bob hangs up.
    bob.to_proxy(bob.in_dialog_back(got, "BYE"))
    bye = alice.expect("BYE")
    assert bye.source == alice.proxy and bye.uri == alice.uri and not bye.all("route")
    assert len(bye.vias()) == 3 and "10.10.0.1" in bye.vias()[0] and P2[0] in bye.vias()[1]
    alice.answer(bye, 200)
    gone = bob.expect(200)
    assert gone.get("cseq") == "1 BYE" and gone.source[:2] == P2 and len(gone.vias()) == 1
    quiet(alice, bob)
    assert went(rig, before, "txn_created") == [2, 2], "an INVITE and a BYE each"


def test_3_8_a_cancel_through_two_proxies(pair, rig):
    """Each hop answers the CANCEL and sends one of its own; the 487 and its ACKs likewise."""
    alice, bob = pair
    before = rig.lab.transactions(), rig.second.transactions()
    text, got = rung(alice, bob)
    alice.to_proxy(replace_method(text, "CANCEL"))
    ok = alice.expect(200)
    assert ok.get("cseq") == "1 CANCEL" and ok.source == alice.proxy and len(ok.vias()) == 1
    cancel = bob.expect("CANCEL")
    assert cancel.source[:2] == P2 and cancel.uri == bob.uri
    assert len(cancel.vias()) == 1 and cancel.branch() == got.branch() and cancel.get("cseq") == "1 CANCEL"
    bob.answer(cancel, 200)
    bob.answer(got, 487, "Request Terminated")
    ack = bob.expect("ACK")
    assert ack.source[:2] == P2 and len(ack.vias()) == 1 and ack.branch() == got.branch() and ack.tag("to") == f"t{bob.user}{bob.port}"
    said = alice.expect(487)
    assert said.source == alice.proxy and len(said.vias()) == 1 and said.tag("to") == ack.tag("to")
    alice.to_proxy(replace_method(text, "ACK", said.tag("to")))
    quiet(alice, bob, seconds=0.8)
    assert went(rig, before, "txn_created") == [1, 1] and went(rig, before, "txn_cancelled") == [1, 1]
