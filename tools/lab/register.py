# SPDX-License-Identifier: BSD-3-Clause
"""tools/quickstart --scenario register: users register from three places, and call each other."""
import pathlib
import sys
import time

from lab.lab import CORE4, CORE6, EDGE4, EDGE6, LabError

SIPP = pathlib.Path(__file__).resolve().parent / "sipp"
ANSWERS, CALLS, REGISTERS = 5060, 5080, 5070  # ports of a place's sipps


class Place:
    """Where phones are: a network namespace, its address, and siplane's on that side."""

    def __init__(self, who, address, server, users):
        self.who, self.address, self.users = who, address, users
        self.server = f"[{server}]" if ":" in server else server
        self.calls = 0

    def common(self, port):
        return f"{self.server}:5060", "-i", self.address, "-mi", self.address, "-p", port


def places(lab, args):
    """The outside has half of the users, each phone network inside its share of the others."""
    core, edge = (CORE6, EDGE6) if args.ipv6 else (CORE4, EDGE4)
    names = [f"u{n}" for n in range(1, args.users + 1)]
    out = [Place("caller", edge.format(2), edge.format(1), names[:args.users // 2])]
    inside = names[args.users // 2:]
    out += [Place(f"b{i + 1}", core.format(11 + i), core.format(1), inside[i::lab.backends]) for i in range(lab.backends)]
    return [p for p in out if p.users]


def injection(lab, name, lines):
    path = lab.dir / name
    path.write_text("SEQUENTIAL\n" + "".join(f"{line}\n" for line in lines))
    return path


def wait(lab, processes, total, what):
    begun = time.monotonic()
    while any(p.poll() is None for p in processes):
        time.sleep(0.1)
        if sys.stderr.isatty() and time.monotonic() - begun > 2:
            done = sum(int(lab.sipp_stats(p).get("SuccessfulCall(C)", "0") or 0) for p in processes)
            print(f"\r{done} of {total} {what}", end="", file=sys.stderr, flush=True)
    if sys.stderr.isatty():
        print("\r\033[K", end="", file=sys.stderr)
    return sum(int(lab.sipp_stats(p).get("SuccessfulCall(C)", "0") or 0) for p in processes)


def register(lab, at, rate):
    """Each place's users at once; returns how many were let in."""
    running = []
    for p in at:
        users = injection(lab, f"{p.who}-users.csv", [f"{u};{ANSWERS}" for u in p.users])
        running.append(lab.sipp(p.who, SIPP / "register.xml", *p.common(REGISTERS), "-inf", users, "-m", len(p.users), "-r", rate,
                                "-timeout", f"{len(p.users) // rate + 20}s", "-timeout_error", name=f"{p.who}-register"))
    return wait(lab, running, sum(len(p.users) for p in at), "users")


def pairs(at, calls):
    """Who calls whom: (place of the caller, "caller;callee"). Each call goes to another place, as far as there is one."""
    out = []
    for n in range(calls):
        a = at[n % len(at)]
        b = at[(n + 1 + n // len(at) % max(1, len(at) - 1)) % len(at)]
        out.append((a, f"{a.users[n % len(a.users)]};{b.users[(n + 1) % len(b.users)]}"))
    return out


def place_calls(lab, args, timer):
    """Registers the users and has them call each other. `timer` measures set-up times in a namespace."""
    at = places(lab, args)
    print(f"registering {args.users} users ...", file=sys.stderr)
    registered = register(lab, at, args.rate)
    if registered != args.users:
        raise LabError(f"{registered} of {args.users} users are registered\n{lab.log()[-2000:]}")
    phones = [lab.sipp(p.who, SIPP / "uas.xml", "-i", p.address, "-mi", p.address, "-p", ANSWERS, "-mp", 10000) for p in at]
    timers = [timer(lab, p.who) for p in at]
    print(f"placing {args.calls} calls, {args.rate} a second ...", file=sys.stderr)
    wanted = pairs(at, args.calls)
    running = []
    for p in at:
        mine = [line for a, line in wanted if a is p]
        p.calls = len(mine)
        if mine:
            rate = max(1, round(args.rate * len(mine) / args.calls))
            running.append(lab.sipp(p.who, SIPP / "user.xml", *p.common(CALLS), "-inf", injection(lab, f"{p.who}-calls.csv", mine),
                                    "-m", len(mine), "-r", rate, "-l", max(1000, 4 * rate), "-d", "100", "-mp", 20000,
                                    "-timeout", f"{len(mine) // rate + 60}s", "-timeout_error", name=f"{p.who}-calls"))
    ok = wait(lab, running, args.calls, "calls")
    if not args.keep:
        for p in phones:
            lab.end(p)
    times = [t for timer in timers for t in timer.end()]
    return {"users": args.users, "registered": registered, "calls": args.calls, "ok": ok, "failed": args.calls - ok,
            "calls_from": {p.address: p.calls for p in at}, "transactions": lab.transactions()["txn_created"],
            "contacts": lab.location()["contacts"]}, times
