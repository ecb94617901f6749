# SPDX-License-Identifier: BSD-3-Clause
"""The control socket by hand, and siplanectl."""
import json
import os
import pathlib
import socket
import subprocess

ROOT = pathlib.Path(__file__).resolve().parents[2]
SIPLANE = pathlib.Path(os.environ.get("SIPLANE", ROOT / "build/app/siplane/siplane"))
SIPLANECTL = os.environ.get("SIPLANECTL", str(SIPLANE.parents[1] / "siplanectl/siplanectl"))


class Refused(Exception):
    def __init__(self, error):
        super().__init__(error["message"])
        self.code, self.message = error["code"], error["message"]


class Client:
    """A connection to the control socket."""

    def __init__(self, path, timeout=10):
        self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.sock.settimeout(timeout)
        self.sock.connect(str(path))
        self.file = self.sock.makefile("rb")

    def __enter__(self):
        return self

    def __exit__(self, *exc):
        self.close()

    def close(self):
        self.file.close()
        self.sock.close()

    def send(self, data):
        self.sock.sendall(data if isinstance(data, bytes) else data.encode())

    def line(self):
        """The next answer; None where the connection has ended."""
        line = self.file.readline()
        return json.loads(line) if line else None

    def ask(self, method, params=None, **named):
        self.send(json.dumps({"jsonrpc": "2.0", "method": method, "params": params or named, "id": method}))
        answer = self.line()
        assert answer is not None, f"{method}: closed"
        assert answer["jsonrpc"] == "2.0" and answer["id"] == method, answer
        if "error" in answer:
            raise Refused(answer["error"])
        return answer["result"]


def socket_of(lab):
    return lab.dir / "control.sock"


def ask(lab, method, params=None, **named):
    with Client(socket_of(lab)) as c:
        return c.ask(method, params, **named)


def ctl(*args, env=None, stdin=None, **kw):
    """siplanectl with nothing of this machine's settings: (exit status, standard output, standard error)."""
    plain = {k: v for k, v in os.environ.items() if not k.startswith(("SIP_", "SIPLANE"))}
    plain.update({"SIPLANECTLRC": "/dev/null", "SIPLANE_CONTROL_SOCKET": "/nonexistent/control.sock"})
    r = subprocess.run([SIPLANECTL, *map(str, args)], env={**plain, **(env or {})}, text=True, capture_output=True, timeout=60,
                       **({"input": stdin} if stdin is not None else {"stdin": subprocess.DEVNULL}), **kw)
    return r.returncode, r.stdout, r.stderr
