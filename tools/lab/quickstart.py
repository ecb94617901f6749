# SPDX-License-Identifier: BSD-3-Clause
"""The second half of tools/quickstart: calls through siplane, and a table of what became of them."""
import argparse
import json
import pathlib
import re
import shutil
import signal
import socket
import struct
import sys
import tempfile
import threading
import time

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1]))
from lab import register  # noqa: E402
from lab.lab import CORE4, CORE6, DRIVERS, EDGE4, EDGE6, ROOT, Lab, LabError, inside, run  # noqa: E402

SIPP = ROOT / "tools/lab/sipp"
CONFIGURATIONS = {"dispatch": "quickstart.cfg", "register": "registrar.cfg"}
USERS_MAX = 10000  # contacts that conf/registrar.cfg makes room for
SO_TIMESTAMPNS = 35
CALL_ID = re.compile(rb"\r\nCall-ID: ([^\r]+)")


def parse():
    p = argparse.ArgumentParser(prog="tools/quickstart")
    p.add_argument("--scenario", choices=CONFIGURATIONS, default="dispatch")
    p.add_argument("--users", type=int, default=30)
    p.add_argument("--calls", type=int, default=200)
    p.add_argument("--rate", type=int, default=50)
    p.add_argument("--driver", choices=DRIVERS, default="tap")
    p.add_argument("--ipv6", action="store_true")
    p.add_argument("--json", action="store_true")
    p.add_argument("--keep", action="store_true")
    p.add_argument("--stop", metavar="NAME")
    a = p.parse_args()
    if a.calls < 1 or a.rate < 1:
        p.error("--calls and --rate want at least 1")
    if not 2 <= a.users <= USERS_MAX:
        p.error(f"--users wants 2 to {USERS_MAX}")
    return a


def config(lab, args):
    """The scenario's configuration with what the options choose."""
    defines = [f'#!define SECRET "{lab.dir}/secret"\n']
    if args.driver != "tap":
        defines.append(f"#!define WITH_{args.driver.upper()}\n")
    if args.ipv6:
        defines.append("#!define WITH_IPV6\n")
    path = lab.dir / "siplane.cfg"
    path.write_text("".join(defines) + f'include_file "{ROOT}/conf/{CONFIGURATIONS[args.scenario]}"\n')
    return path


def milliseconds(values, p):
    """The p-th percentile in milliseconds, to the microsecond; None where nothing was measured."""
    values = sorted(values)
    return round(values[min(len(values) - 1, int(len(values) * p / 100))], 3) if values else None


class SetupTimes:
    """Milliseconds from INVITE to 200 of the calls that a place makes, read off its link with the kernel's time stamps."""

    def __init__(self, lab, who="caller"):
        with inside(lab.ns(who)):
            self.sock = socket.socket(socket.AF_PACKET, socket.SOCK_DGRAM, socket.htons(3))
            self.sock.bind(("eth0", 3))
        self.sock.setsockopt(socket.SOL_SOCKET, SO_TIMESTAMPNS, 1)
        self.sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 16 << 20)
        self.sock.settimeout(0.2)
        self.sent, self.times, self.ended = {}, [], False
        self.thread = threading.Thread(target=self.watch, daemon=True)
        self.thread.start()

    def watch(self):
        while not self.ended:
            try:
                data, aux, _, address = self.sock.recvmsg(2048, 256)
            except TimeoutError:
                continue
            except OSError:  # the link goes
                return
            call = CALL_ID.search(data)
            if not call:
                continue
            at = next((struct.unpack("qq", value) for _, kind, value in aux if kind == SO_TIMESTAMPNS), None)
            at = at[0] * 1e3 + at[1] / 1e6
            if b"INVITE sip:" in data and address[2] == socket.PACKET_OUTGOING:
                self.sent.setdefault(call.group(1), at)
            elif b"SIP/2.0 200 " in data and b" INVITE\r\n" in data and call.group(1) in self.sent:
                self.times.append(at - self.sent.pop(call.group(1)))

    def end(self):
        self.ended = True
        self.thread.join()
        self.sock.close()
        return self.times


def place_calls(lab, args):
    core, edge = (CORE6, EDGE6) if args.ipv6 else (CORE4, EDGE4)
    backends = [lab.sipp(f"b{i + 1}", SIPP / "uas.xml", "-i", core.format(11 + i), "-p", "5060", "-mi", core.format(11 + i))
                for i in range(lab.backends)]
    timer = SetupTimes(lab)
    target, me = edge.format(1), edge.format(2)
    if args.ipv6:
        target = f"[{target}]"
    caller = lab.sipp("caller", SIPP / "uac.xml", f"{target}:5060", "-i", me, "-mi", me, "-p", "5080", "-s", "alice",
                      "-m", args.calls, "-r", args.rate, "-l", max(1000, 4 * args.rate), "-d", "100",
                      "-timeout", f"{args.calls // args.rate + 60}s", "-timeout_error")
    begun = time.monotonic()
    while caller.poll() is None:
        time.sleep(0.1)
        if sys.stderr.isatty() and time.monotonic() - begun > 2:
            done = lab.sipp_stats(caller).get("SuccessfulCall(C)", "0")
            print(f"\r{done} of {args.calls} calls", end="", file=sys.stderr, flush=True)
    if sys.stderr.isatty():
        print("\r\033[K", end="", file=sys.stderr)
    stats = lab.sipp_stats(caller)
    time.sleep(1.2)  # the backends' next line of statistics
    served = []
    for b in backends:
        served.append(int(lab.sipp_stats(b).get("TotalCallCreated", "0") or 0))
        if not args.keep:
            lab.end(b)
    ok = int(stats.get("SuccessfulCall(C)", "0") or 0)
    times = timer.end()
    return {"calls": args.calls, "ok": ok, "failed": args.calls - ok,
            "per_backend": {core.format(11 + i): n for i, n in enumerate(served)},
            "setup_ms_p50": milliseconds(times, 50), "setup_ms_p99": milliseconds(times, 99)}


def run_scenario(lab, args):
    if args.scenario == "dispatch":
        print(f"placing {args.calls} calls, {args.rate} a second ...", file=sys.stderr)
        return place_calls(lab, args)
    result, times = register.place_calls(lab, args, SetupTimes)
    return {**result, "setup_ms_p50": milliseconds(times, 50), "setup_ms_p99": milliseconds(times, 99)}


def table(result, args, stats):
    print(f"{'driver':<14}{args.driver}, IPv{6 if args.ipv6 else 4}")
    if "users" in result:
        print(f"{'users':<14}{result['users']}, {result['registered']} registered")
    print(f"{'calls':<14}{result['calls']}")
    print(f"{'failed':<14}{result['failed']}")
    for backend, n in result.get("per_backend", {}).items():
        print(f"{'backend':<14}{backend}  {n} calls")
    for address, n in result.get("calls_from", {}).items():
        print(f"{'calls from':<14}{address}  {n}")
    if "transactions" in result:
        print(f"{'kept':<14}{result['contacts']} contacts; {result['transactions']} transactions were made")
    if result["setup_ms_p50"] is not None:
        print(f"{'set-up time':<14}p50 {result['setup_ms_p50']:.2f} ms, p99 {result['setup_ms_p99']:.2f} ms")
    exact = "exact" if stats["exact"] else "NOT EXACT"
    print(f"{'frames':<14}{stats['in']} in = {stats['done']} done + {stats['dropped']} dropped + {stats['held']} held ({exact})")


def by_hand(lab, args, kept):
    if not kept:
        print("\nWith --keep it goes on running, and can be looked at by hand.")
        return
    edge = EDGE6 if args.ipv6 else EDGE4
    target = f"[{edge.format(1)}]" if args.ipv6 else edge.format(1)
    print("\nGo on by hand:")
    print(f"  ip netns exec {lab.ns('caller')} sipp -sf tools/lab/sipp/uac.xml {target}:5060 -i {edge.format(2)} -p 5081 -m 1"
          + (f" -s u{args.users}" if args.scenario == "register" else ""))
    print(f"  ip netns exec {lab.ns('caller')} ping {edge.format(1)}")
    print(f"  ip netns exec {lab.ns('dut')} ss -uln")
    print(f"  kill -USR1 {lab.siplane.pid}          the counters, in {lab.dir}/siplane.log")
    print(f"  tools/quickstart --stop {lab.name}    ends it all")


def stop(name):
    """Ends what --keep left: the processes in its namespaces, by pid, then the namespaces."""
    spaces = [line.split()[0] for line in run("ip", "netns", "list").stdout.splitlines()
              if line.split() and line.split()[0].startswith(name + "-")]
    if not spaces:
        print(f"tools/quickstart: nothing named {name} is running", file=sys.stderr)
        return 1
    for ns in spaces:
        for pid in run("ip", "netns", "pids", ns, check=False).stdout.split():
            run("kill", pid, check=False)
    time.sleep(1.5)
    for ns in spaces:
        run("ip", "netns", "del", ns, check=False)
    for path in pathlib.Path(tempfile.gettempdir()).glob(f"siplane-{name}-*"):
        shutil.rmtree(path, ignore_errors=True)
    print(f"stopped {name}")
    return 0


def main():
    args = parse()
    if args.stop is not None:
        return stop(args.stop)
    # Also SIGINT: a shell starts what runs in the background with it ignored.
    signals = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
    for sig in signals:
        signal.signal(sig, lambda *_: sys.exit(1))
    lab, kept = None, False
    try:
        lab = Lab(driver=args.driver)
        lab.open()
        print(f"starting siplane on {args.driver} ...", file=sys.stderr)
        lab.start_siplane(config(lab, args))
        result = run_scenario(lab, args)
        stats = lab.settle()
        table(result, args, stats)
        good = result["failed"] == 0 and bool(stats["exact"])
        if not good:
            print("\n" + lab.log()[-2000:], file=sys.stderr)
            for err in lab.dir.glob("*.err"):
                print(err.read_text(errors="replace")[:1500], file=sys.stderr)
        kept = args.keep
        by_hand(lab, args, kept)
        if args.json:
            print(json.dumps(result))
        return 0 if good else 1
    except LabError as e:
        print(f"tools/quickstart: {e}", file=sys.stderr)
        return 1
    finally:
        for sig in signals:  # a second one leaves nothing behind
            signal.signal(sig, signal.SIG_IGN)
        if lab is not None and not kept:
            lab.close()


if __name__ == "__main__":
    sys.exit(main())
