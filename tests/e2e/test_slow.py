# SPDX-License-Identifier: BSD-3-Clause
"""Slow lcores of a running siplane: where they run, what a reload and an end do to them, what is said about them."""
import itertools
import os
import pathlib
import re
import signal
import stat
import subprocess
import time

import pytest

import phone
from conftest import ROOT
from phone import DOMAIN, Phone, call, hang_up, quiet, script
from test_names import Dns

SEED = pathlib.Path(os.environ.get("SIPLANE_SHARED") or ROOT.parent / "shared") / "seed/openser.cfg"
# What today's operators still have, with no word of ports, cores and memory.
OPENSER = """
debug=3
fork=yes
log_stderror=yes
children=4
port=5060
mpath="/usr/lib/openser/modules/"
loadmodule "sl.so"
loadmodule "tm.so"
loadmodule "rr.so"
loadmodule "maxfwd.so"
loadmodule "usrloc.so"
loadmodule "registrar.so"
loadmodule "textops.so"
modparam("usrloc", "db_mode", 0)
route{
	if (!mf_process_maxfwd_header("10")) { sl_send_reply("483", "Too Many Hops"); exit; }
	if (loose_route()) { t_relay(); exit; }
	if (method=="INVITE") record_route();
	if (method=="REGISTER") { save("location"); exit; }
	if (!lookup("location")) { sl_send_reply("404", "ABSENT"); exit; }
	t_relay();
}
"""


def make(labs, text=None, **kw):
    return labs.make("af_packet", script=text or script(), modules=phone.MODULES, **kw)


users = itertools.count(1)


def pair(lab):
    caller, callee = Phone(lab, "bob"), Phone(lab, f"alice{next(users)}", "b1")
    assert set(callee.registered()) == {callee.uri}
    return caller, callee


def one_call(lab):
    caller, callee = pair(lab)
    _, ok = call(caller, callee)
    hang_up(caller, callee, ok)
    quiet(caller, callee)


def restart_with(lab, old, new):
    lab.stop_siplane()
    lab.config.write_text(lab.config.read_text().replace(old, new))
    lab.start_siplane(lab.config)
    return lab.log()


# ---- layouts ----

@pytest.mark.parametrize("cores,slow", [
    ("control = {0}; slow = {0}; workers = {0};", 1),
    ("control = {0}; slow = {0},{0},{0}; workers = {0};", 3),
    ("control = {0}; slow = {1}; workers = {0},{1};", 1),
    ("slow_count = 2; workers_count = 3;", 2),
    ("", 1),
])
def test_slow_lcores_where_the_configuration_says(labs, cores, slow):
    cpus = sorted(os.sched_getaffinity(0))
    lab = make(labs)
    said = restart_with(lab, "idle = sleep;", f"idle = sleep; {cores.format(cpus[0], cpus[-1])}")
    assert f" {slow} slow," in said, said[-1500:]
    assert lab.location()["shards"] == lab.transactions()["shards"] == lab.telemetry("/siplane/slow")["lcores"] == slow
    for _ in range(3):
        one_call(lab)
    assert lab.stats()["slow_crossed"] > 10


def test_cores_that_are_not_there_are_said(labs):
    lab = make(labs, start=False)
    good = lab.config.read_text()
    for cores, words in (("slow = 900;", "CPU 900"), ("slow = x;", "list"), ("slow_count = 33;", "slow_count"),
                         ("slow = " + ",".join(["0"] * 33) + ";", "33 are more than 32")):
        lab.config.write_text(good.replace("idle = sleep;", f"idle = sleep; {cores}"))
        with pytest.raises(Exception) as e:
            lab.start_siplane(lab.config)
        assert words in str(e.value)
        lab.siplane = None


def cpu_seconds(pid):
    fields = pathlib.Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


@pytest.mark.parametrize("text", [None, 'request_route { sl_send_reply("404", "No"); }\n'])
def test_a_slow_lcore_beside_control_does_not_spin(labs, text):
    """idle = poll, the default: the worker's thread has a CPU of its own and spins, the one of control and the slow lcore does not."""
    cpus = sorted(os.sched_getaffinity(0))
    if len(cpus) < 2:
        pytest.skip("two CPUs are wanted")
    lab = make(labs, text)
    restart_with(lab, "idle = sleep;", f"idle = poll; control = {cpus[0]}; slow = {cpus[0]}; workers = {cpus[1]};")
    time.sleep(0.3)
    main = f"{lab.siplane.pid}/task/{lab.siplane.pid}"
    before, at = cpu_seconds(main), time.monotonic()
    time.sleep(1.5)
    spent = (cpu_seconds(main) - before) / (time.monotonic() - at)
    assert spent < 0.5, f"{100 * spent:.0f} % of a CPU while nothing happens"


# ---- an OpenSER configuration as it is ----

def start_with_ports(lab, config, ports):
    """Starts siplane with --ports: through a program of that name, since the lab knows only -f."""
    binary = os.environ.get("SIPLANE", ROOT / "build/app/siplane/siplane")
    wrapper = lab.dir / "siplane-with-ports"
    wrapper.write_text(f'#!/bin/sh\nexec {binary} --ports {ports} "$@"\n')
    wrapper.chmod(wrapper.stat().st_mode | stat.S_IXUSR)
    lab.start_siplane(config, binary=wrapper)


def ports_file(lab):
    ports = lab.dir / "ports.cfg"
    ports.write_text(f'cores {{ idle = sleep; }}\nsecret_file = "{lab.dir}/secret"\n{lab.port_config("")}')
    return ports


@pytest.mark.parametrize("which", ["openser", "seed"])
def test_openser_cfg_with_its_ports_beside_it(labs, which):
    if which == "seed" and not SEED.exists():
        pytest.skip("no seed here (SIPLANE_SHARED)")
    lab = labs.make("af_packet", start=False)
    config = lab.dir / "openser.cfg"
    config.write_text(OPENSER if which == "openser" else SEED.read_text())
    start_with_ports(lab, config, ports_file(lab))
    one_call(lab)
    if which == "seed":
        return
    # A reload reads both again, and a mistake is shown where it stands.
    caller = Phone(lab, "carol")
    config.write_text(OPENSER.replace("ABSENT", "Gone"))
    lab.siplane.send_signal(signal.SIGHUP)
    end = time.monotonic() + 5
    while "generation 2" not in lab.log() and time.monotonic() < end:
        time.sleep(0.05)
    caller.invite(f"sip:nobody@{DOMAIN}")
    assert "Gone" in caller.expect(404).start
    config.write_text(OPENSER.replace("save(", "safe("))
    lab.siplane.send_signal(signal.SIGHUP)
    while "safe" not in lab.log() and time.monotonic() < end:
        time.sleep(0.05)
    line = next(i for i, text in enumerate(OPENSER.splitlines(), 1) if "save(" in text)
    assert re.search(rf"openser\.cfg:{line}:\d+: error: .*safe", lab.log())


def test_the_ports_file_of_conf(tmp_path):
    (tmp_path / "openser.cfg").write_text(OPENSER)
    binary = os.environ.get("SIPLANE", ROOT / "build/app/siplane/siplane")
    r = subprocess.run([binary, "-c", "-p", ROOT / "conf/ports.cfg", "-f", tmp_path / "openser.cfg"], capture_output=True, text=True)
    assert r.returncode == 0 and "good" in r.stdout, r.stderr


def test_a_ports_file_that_is_not_there(labs):
    lab = labs.make("af_packet", start=False)
    (lab.dir / "openser.cfg").write_text(OPENSER)
    with pytest.raises(Exception, match="No such file"):
        start_with_ports(lab, lab.dir / "openser.cfg", lab.dir / "nowhere.cfg")
    with pytest.raises(Exception, match="--ports"):
        lab.start_siplane(lab.dir / "openser.cfg")
    lab.siplane = None


# ---- reload, end ----

def test_a_call_keeps_the_script_that_it_began_with(labs):
    routes = 'onreply_route[mark] {{ append_hf("X-Script: {0}\\r\\n"); }}\n'
    text = script(before_relay='t_on_reply("mark");', reply_routes=routes.format("old"))
    lab = make(labs, text)
    caller, callee = pair(lab)
    caller.invite(callee.aor)
    got = callee.expect("INVITE")
    lab.config.write_text(lab.config.read_text().replace("X-Script: old", "X-Script: new"))
    lab.siplane.send_signal(signal.SIGHUP)
    end = time.monotonic() + 5
    while "generation 2" not in lab.log() and time.monotonic() < end:
        time.sleep(0.05)
    callee.answer(got, 200)
    ok = caller.expect(200)
    assert ok.get("x-script") == "old"
    caller.ack(ok)
    callee.expect("ACK")
    _, ok = call(caller, callee)
    assert ok.get("x-script") == "new"


def beside_control(labs, **kw):
    """A slow lcore that shares control's thread, and a worker elsewhere."""
    cpus = sorted(os.sched_getaffinity(0))
    lab = make(labs, **kw)
    restart_with(lab, "idle = sleep;", f"idle = sleep; control = {cpus[0]}; slow = {cpus[0]}; workers = {cpus[-1]};")
    return lab


def test_a_reload_that_waits_for_names_holds_up_no_message(labs):
    """The name server is silent for two seconds. REGISTERs go on, one after the other; what is asked for meanwhile follows."""
    lab = beside_control(labs, head='dns_servers = "127.0.0.1:5353"\n')
    dns = Dns(lab, {})
    dns.silent = True
    good = (lab.dir / "dispatcher.list").read_text()
    (lab.dir / "dispatcher.list").write_text(good + "1 sip:nowhere.example:5060\n")
    phone, answered, again = Phone(lab, "alice1", "b1"), 0, False
    begun = time.monotonic()
    lab.siplane.send_signal(signal.SIGHUP)
    while "configuration stays" not in lab.log() and time.monotonic() < begun + 20:
        phone.registered()
        answered += 1
        if not again and dns.asked:
            for _ in range(3):
                lab.siplane.send_signal(signal.SIGHUP)
                time.sleep(0.05)
            (lab.dir / "dispatcher.list").write_text(good)
            again = True
    assert time.monotonic() - begun > 1.5 and "nowhere.example: no answer within" in lab.log()
    assert answered > 20
    while "generation 2" not in lab.log() and time.monotonic() < begun + 20:
        time.sleep(0.05)
    time.sleep(0.5)
    assert lab.log().count("this one follows it") == 1 and lab.log().count("is current, generation") == 1
    dns.close()


def test_a_large_file_is_read_beside_a_slow_lcore(labs):
    """Many REGISTERs cross while a file of 19,000 statements and a list of 500 destinations are loaded: none finds the way full."""
    lab = beside_control(labs)
    big = "".join(f'if ($rU =~ "^x{n}[0-9]+$") xlog("L_INFO", "message {n} of $ru\\n");\n' for n in range(9500))
    text = lab.config.read_text().replace("request_route {", "request_route {\nif ($rU == \"big\") route(BIG);", 1)
    lab.config.write_text(f'{text}\nloadmodule "xlog.so"\nroute[BIG] {{\n{big}}}\n')
    (lab.dir / "dispatcher.list").write_text("".join(f"{n % 5 + 1} sip:10.20.{n // 250 + 1}.{n % 250 + 1}:5060\n" for n in range(500)))
    phone, sent = Phone(lab, "alice1", "b1"), 0
    texts = [phone.registration(call_id=f"many-{n}@b1", to=f"<sip:many{n}@{DOMAIN}>", cseq=1) for n in range(500)]
    begun = moved = time.monotonic()
    crossed = longest = 0
    lab.siplane.send_signal(signal.SIGHUP)
    while "generation 2" not in lab.log() and time.monotonic() < begun + 60:
        for _ in range(20):
            phone.sock.sendto(texts[sent % len(texts)], phone.proxy)
            sent += 1
            time.sleep(0.001)
        now = lab.stats()["slow_crossed"]
        if now != crossed:
            crossed, moved = now, time.monotonic()
        longest = max(longest, time.monotonic() - moved)
    took = time.monotonic() - begun
    stats = lab.settle()
    assert "generation 2" in lab.log() and "error" not in lab.log()
    assert sent > 100 and longest < took / 2, (sent, longest, took)
    assert stats["slow_refused_new"] == 0 and "drop/slow_full" not in stats, (sent, took, stats)


def test_sigterm_while_transactions_stand(labs):
    lab = make(labs)
    caller, callee = pair(lab)
    for _ in range(20):
        caller.invite(callee.aor)
        callee.expect("INVITE")
    assert lab.transactions()["transactions"] >= 20
    status, seconds = lab.stop_siplane()
    assert status == 0 and seconds < 10, seconds  # they would stand for minutes


# ---- what is said ----

def test_telemetry_and_the_table_of_counters(labs):
    lab = make(labs)
    one_call(lab)
    lab.settle()
    assert lab.location()["contacts"] == 1 and lab.location()["aors"] == 1
    registrar = lab.telemetry("/siplane/registrar")
    assert registrar["registrar_accepted"] == 1 and registrar["registrar_lookup_hits"] >= 1
    transactions = lab.transactions()
    assert transactions["txn_created"] >= 2 and transactions["bytes"] > 0
    memory = lab.telemetry("/siplane/memory")
    assert memory["contacts"] == 1 and memory["contacts_max"] == lab.location()["contacts_max"] and memory["messages"] == 0 < memory["messages_max"]
    assert memory["transactions"] == transactions["transactions"] <= memory["transactions_max"] > 1000
    assert 0 < memory["transactions_bytes"] < memory["transactions_bytes_max"]
    assert {k: v for k, v in memory.items() if k.startswith("contacts") or k.startswith("transactions")} == memory["slow0"]
    slow = lab.telemetry("/siplane/slow")
    assert slow["messages"] == lab.stats()["slow_crossed"] and slow["state"] > 0
    lab.siplane.send_signal(signal.SIGUSR1)
    time.sleep(0.5)
    said = lab.log()
    assert re.search(r"slow_crossed +\d", said) and re.search(r"contacts +1 of", said) and re.search(r"transactions +\d+ of \d", said) and "txn_created" in said
    assert "memory for" in said


def test_ten_million_contacts_do_not_delay_the_start(labs):
    lab = make(labs, start=False)
    lab.config.write_text("memory { contacts = 10M; }\n" + lab.config.read_text())
    begun = time.monotonic()
    lab.start_siplane(lab.config)
    assert lab.location()["contacts_max"] >= 10_000_000
    started = float(re.search(r"started in ([\d.]+) s", lab.log()).group(1))
    assert started < 3 and time.monotonic() - begun < 6
    one_call(lab)
