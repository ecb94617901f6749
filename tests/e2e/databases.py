#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
"""Database servers of Debian for tests: one each in a folder of its own, on a Unix socket and a loopback port of its own.

    with databases.start("mysql") as server:
        server.sql("CREATE TABLE ...")
        program(server.url())

Programs that are not Python start it as a child:

    databases.py serve mysql|postgres       one answer for each line on stdin: "ok TEXT" or "no TEXT"; ends with stdin
    databases.py run mysql|postgres PROGRAM ...     with TEST_DB_URL in PROGRAM's environment

Commands of `serve`: url, url socket (wrong, absent, reader), folder, start, stop, kill (SIGKILL), pause (SIGSTOP), resume, sql STATEMENTS (as administrator).
Exit status 77: the server is not installed, and stderr says which package has it.
"""
import os
import pathlib
import pwd
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
import urllib.parse

USER, PASSWORD, DATABASE = "siplane", "a:b@c/d %41?e'f", "siplane"  # what has a meaning in a URL, in SQL and in a shell
START_S = 60


class Missing(Exception):
    """No such server on this machine."""


class Failed(Exception):
    """A server did not start, or did not take a statement."""


def free_port():
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


def find(name, package, folders=()):
    path = shutil.which(name, path=os.pathsep.join([*map(str, folders), os.environ.get("PATH", ""), "/usr/sbin", "/usr/bin"]))
    if path is None:
        raise Missing(f"{name} is not there (Debian: {package}; tools/install-packages databases)")
    return path


# In memory, if it can be: what tests wait for shall not wait for other tests' disk. Short, as it holds a Unix socket.
IN = "/dev/shm" if os.access("/dev/shm", os.W_OK) else "/tmp"


class Server:
    def __init__(self):
        self.process = None
        self.paused = False
        self.find()
        self.folder = pathlib.Path(tempfile.mkdtemp(prefix="siplane-db-", dir=IN))
        self.data = self.folder / "data"
        self.port = free_port()
        self.account = {}
        try:
            # Neither server is to run as root, and PostgreSQL's does not.
            if os.geteuid() == 0:
                nobody = pwd.getpwnam("nobody")
                os.chown(self.folder, nobody.pw_uid, nobody.pw_gid)
                self.account = {"user": nobody.pw_uid, "group": nobody.pw_gid, "extra_groups": []}
            self.make_certificate()
            self.make()
            self.start()
            self.prepare()
        except BaseException:
            self.close()
            raise

    def __enter__(self):
        return self

    def __exit__(self, *exc):
        self.close()

    def run(self, *command, **kw):
        r = subprocess.run([str(c) for c in command], cwd=self.folder, capture_output=True, text=True, errors="replace",
                           env=self.environment(), timeout=START_S, **kw, **self.account)
        if r.returncode != 0:
            raise Failed(f"{pathlib.Path(command[0]).name}: {(r.stderr or r.stdout).strip()[-2000:]}")
        return r.stdout

    def make_certificate(self):
        """For TLS: one that signs itself, which `my.cnf` in the same folder has MariaDB's library ask for."""
        openssl = find("openssl", "openssl")
        self.certificate, self.key = self.folder / "cert.pem", self.folder / "key.pem"
        self.run(openssl, "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days", "2",
                 "-keyout", self.key, "-out", self.certificate, "-subj", "/CN=localhost", "-addext",
                 "subjectAltName=DNS:localhost,IP:127.0.0.1")
        (self.folder / "my.cnf").write_text(f"[siplane]\nssl-ca={self.certificate}\nssl-verify-server-cert\n")

    def environment(self):
        return {"PATH": os.environ.get("PATH", "/usr/bin"), "HOME": str(self.folder), "LC_ALL": "C", "TZ": "UTC"}

    def start(self):
        if self.process is not None:
            return
        with open(self.folder / "log", "ab") as log:
            self.process = subprocess.Popen([str(c) for c in self.command()], cwd=self.folder, stdin=subprocess.DEVNULL, stdout=log,
                                            stderr=log, env=self.environment(), start_new_session=True, **self.account)
        deadline = time.monotonic() + START_S
        while True:
            try:
                self.ping()
                return
            except Failed:
                if self.process.poll() is not None or time.monotonic() > deadline:
                    text = (self.folder / "log").read_text(errors="replace")[-3000:]
                    self.kill()
                    raise Failed(f"{self.name} did not start:\n{text}") from None
                time.sleep(0.05)

    def stop(self):
        """As an administrator does it."""
        self.end(self.stop_signal)

    def kill(self):
        self.end(signal.SIGKILL)

    def end(self, number):
        if self.process is None:
            return
        if number != signal.SIGKILL:
            self.resume()  # else what hangs goes on for a moment, and may do what it was asked for
        self.paused = False
        members = [self.process.pid]
        if number == signal.SIGKILL:
            # PostgreSQL has a process a connection, and makes none while it stands still.
            os.kill(self.process.pid, signal.SIGSTOP)
            self.await_stopped(members)
            members = self.members()
        for pid in members:
            try:
                os.kill(pid, number)
            except ProcessLookupError:
                pass
        try:
            self.process.wait(START_S)
        except subprocess.TimeoutExpired:
            return self.end(signal.SIGKILL)
        # What is left of it a moment longer holds its memory, and then it does not start again.
        self.await_stopped(members, self.ENDED)
        self.process = None

    def members(self):
        """The processes of the server, itself first."""
        found = [self.process.pid]
        for stat in pathlib.Path("/proc").glob("[0-9]*/stat"):
            try:
                fields = stat.read_text().rsplit(")", 1)[1].split()
            except OSError:
                continue
            if int(fields[1]) == self.process.pid:
                found.append(int(stat.parent.name))
        return found

    def signal_all(self, number):
        for pid in self.members():
            try:
                os.kill(pid, number)
            except ProcessLookupError:
                pass

    def pause(self):
        """Everything of it hangs: connections stand and nothing answers."""
        self.paused = True
        self.signal_all(signal.SIGSTOP)
        # Its threads go on for a moment, which is long enough for an answer.
        self.await_stopped(self.members())

    ENDED = "ZX"  # of the states in /proc

    def await_stopped(self, pids, states="T" + ENDED):
        deadline = time.monotonic() + START_S
        while not all(self.stopped(pid, states) for pid in pids):
            if time.monotonic() > deadline:
                raise Failed(f"{self.name} does not stop")
            time.sleep(0.001)

    @staticmethod
    def stopped(pid, wanted="T" + ENDED):
        try:
            states = [(p / "stat").read_text().rsplit(")", 1)[1].split()[0] for p in pathlib.Path(f"/proc/{pid}/task").iterdir()]
        except OSError:
            return True  # ended
        return all(state in wanted for state in states)

    def resume(self):
        if self.paused and self.process is not None:
            self.signal_all(signal.SIGCONT)
        self.paused = False

    def close(self):
        self.kill()
        shutil.rmtree(self.folder, ignore_errors=True)

    def url(self, over_socket=False, user=USER, password=PASSWORD, database=DATABASE):
        host = f"[{self.socket_path()}]" if over_socket else f"127.0.0.1:{self.port}"
        quoted = (urllib.parse.quote(x, safe="") for x in (user, password, database))
        return "{0}://{1}:{2}@{host}/{3}".format(self.name, *quoted, host=host)


class MySQL(Server):
    name = "mysql"
    stop_signal = signal.SIGTERM

    def find(self):
        self.server = find("mariadbd", "mariadb-server")
        self.install = find("mariadb-install-db", "mariadb-server")
        self.client = find("mariadb", "mariadb-server")

    def socket_path(self):
        return self.folder / "s"

    def make(self):
        self.run(self.install, "--no-defaults", f"--datadir={self.data}", "--auth-root-authentication-method=normal",
                 "--skip-test-db", "--skip-name-resolve")

    def command(self):
        return [self.server, "--no-defaults", f"--datadir={self.data}", f"--socket={self.socket_path()}", f"--port={self.port}",
                "--bind-address=127.0.0.1", f"--pid-file={self.folder}/pid", "--skip-name-resolve", "--innodb-buffer-pool-size=32M",
                "--innodb-log-file-size=16M", "--performance-schema=off", "--innodb-lock-wait-timeout=30", f"--tmpdir={self.folder}",
                f"--ssl-cert={self.certificate}", f"--ssl-key={self.key}"]

    def ping(self):
        self.sql("SELECT 1", database="mysql")

    def prepare(self):
        quoted = PASSWORD.replace("'", "''")
        self.sql(f"CREATE DATABASE {DATABASE} CHARACTER SET utf8mb4;"
                 f"CREATE USER {USER}@'127.0.0.1' IDENTIFIED BY '{quoted}'; CREATE USER {USER}@localhost IDENTIFIED BY '{quoted}';"
                 f"GRANT ALL ON {DATABASE}.* TO {USER}@'127.0.0.1'; GRANT ALL ON {DATABASE}.* TO {USER}@localhost;"
                 # One that may look and do nothing else.
                 f"CREATE USER reader@'127.0.0.1' IDENTIFIED BY '{quoted}'; GRANT SELECT ON {DATABASE}.* TO reader@'127.0.0.1'",
                 database="mysql")

    def sql(self, text, database=DATABASE):
        return self.run(self.client, *self.by_hand(database), input=text)

    def by_hand(self, database=DATABASE):
        """What its client is given to be its administrator's."""
        return ["--no-defaults", f"--socket={self.socket_path()}", "-u", "root", "-N", "-B", database]


class PostgreSQL(Server):
    name = "postgres"
    stop_signal = signal.SIGINT  # "fast": does not wait for who is connected

    def find(self):
        folders = sorted(pathlib.Path("/usr/lib/postgresql").glob("*/bin"), reverse=True)
        self.server = find("postgres", "postgresql", folders)
        self.initdb = find("initdb", "postgresql", folders)
        self.client = find("psql", "postgresql", folders)

    def socket_path(self):
        return self.folder / f".s.PGSQL.{self.port}"

    def make(self):
        self.run(self.initdb, "-D", self.data, "-U", "postgres", "-E", "UTF8", "--locale=C", "--auth-local=trust",
                 "--auth-host=scram-sha-256", "--no-sync")
        # Its administrator has no password and the socket; everybody else has to prove himself there, too.
        (self.data / "pg_hba.conf").write_text("local all postgres trust\nlocal all all scram-sha-256\n"
                                               "host all all 127.0.0.1/32 scram-sha-256\n")

    def command(self):
        return [self.server, "-D", self.data, "-k", self.folder, "-h", "127.0.0.1", "-p", self.port, "-c", "shared_buffers=32MB",
                "-c", "ssl=on", "-c", f"ssl_cert_file={self.certificate}", "-c", f"ssl_key_file={self.key}"]

    def environment(self):
        return {**super().environment(), "PGTZ": "UTC"}

    def ping(self):
        self.sql("SELECT 1", database="postgres")

    def prepare(self):
        quoted = PASSWORD.replace("'", "''")
        self.sql(f"CREATE ROLE {USER} LOGIN PASSWORD '{quoted}';CREATE ROLE reader LOGIN PASSWORD '{quoted}'", database="postgres")
        self.sql(f"CREATE DATABASE {DATABASE} OWNER {USER}", database="postgres")
        self.sql(f"ALTER DEFAULT PRIVILEGES FOR ROLE {USER} GRANT SELECT ON TABLES TO reader")

    def sql(self, text, database=DATABASE):
        return self.run(self.client, *self.by_hand(database), input=text)

    def by_hand(self, database=DATABASE):
        return ["-X", "-q", "-A", "-t", "-v", "ON_ERROR_STOP=1", "-h", str(self.folder), "-p", str(self.port), "-U", "postgres", "-d", database]


SERVERS = {"mysql": MySQL, "postgres": PostgreSQL}


def start(name):
    """A running server with a database and a user. Missing: it is not installed; Failed: why it does not run."""
    return SERVERS[name]()


def serve(server):
    commands = {"start": server.start, "stop": server.stop, "kill": server.kill, "pause": server.pause, "resume": server.resume}
    for line in sys.stdin:
        word, _, rest = line.strip().partition(" ")
        try:
            if word == "url":
                database, user = DATABASE, USER
                print("ok", server.url(over_socket="socket" in rest, database="absent" if "absent" in rest else database,
                                       user="reader" if "reader" in rest else user,
                                       password="wrong" if "wrong" in rest else PASSWORD), flush=True)
            elif word == "folder":
                print("ok", server.folder, flush=True)
            elif word == "sql":
                print("ok", " ".join(server.sql(rest).split()), flush=True)
            else:
                commands[word]()
                print("ok", flush=True)
        except (Failed, KeyError) as e:
            print("no", " ".join(str(e).split()), flush=True)


def main(arguments):
    if len(arguments) < 2 or arguments[0] not in ("serve", "run") or arguments[1] not in SERVERS:
        print(__doc__, file=sys.stderr)
        return 2
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))
    try:
        with start(arguments[1]) as server:
            if arguments[0] == "serve":
                serve(server)
                return 0
            return subprocess.run(arguments[2:], env={**os.environ, "TEST_DB_URL": server.url()}).returncode
    except Missing as e:
        print(e, file=sys.stderr)
        return 77
    except Failed as e:
        print(e, file=sys.stderr)
        return 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
