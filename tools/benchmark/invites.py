# SPDX-License-Identifier: BSD-3-Clause
"""The messages of the case dispatch as a file for tests/bench/flood.c, so that all systems get the same ones."""
import re
import subprocess

from .context import Failed

COUNT = 6144
SIP_PORT = 5060


def read(text):
    """[(source host, source port, message)] of what `bench dispatch --show` prints."""
    found = []
    for message in re.split(rb"(?:\A|(?<=\r\n)\n)port \d+\n", text)[1:]:
        message = message[:-1] if message.endswith(b"\r\n\n") else message  # the last one
        head, _, body = message.partition(b"\r\n\r\n")
        said = re.search(rb"^(?:content-length|l)\s*:\s*(\d+)", head, re.M | re.I)
        via = re.search(rb"^(?:via|v)\s*:\s*SIP/2\.0/UDP\s+([0-9.]+)(?::(\d+))?", head, re.M | re.I)
        if said is None or int(said.group(1)) != len(body) or via is None:
            raise Failed(f"bench dispatch --show: not a message: {message[:200]!r}")
        found.append((via.group(1).decode(), int(via.group(2) or SIP_PORT), message))
    if not found:
        raise Failed("bench dispatch --show: no messages")
    return found


def write(build, path):
    """Writes them, each behind a line `LENGTH HOST:PORT`; the path."""
    r = subprocess.run([build / "tests/bench/bench", "dispatch", "--show", str(COUNT)], stdout=subprocess.PIPE,
                       stderr=subprocess.PIPE, stdin=subprocess.DEVNULL)
    if r.returncode != 0:
        raise Failed(f"bench dispatch --show ended with {r.returncode}: {r.stderr.decode(errors='replace')[-500:]}")
    path.write_bytes(b"".join(b"%d %s:%d\n%s" % (len(m), host.encode(), port, m) for host, port, m in read(r.stdout)))
    return path
