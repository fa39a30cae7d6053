# SPDX-License-Identifier: LGPL-2.1-or-later
"""Hosts for tests of the service: a resilverd each, with a configuration, a state directory and ports
of its own, on loopback. Talked to over the control socket, as curl would."""
import http.client
import json
import os
import signal
import socket
import sys
import threading
import urllib.parse
import uuid

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
import lib  # noqa: E402

JOB_ENDS = (7, 8, 9, 10, 32768)
COMPLETED, TERMINATED, EXCEPTION = 7, 8, 10
DONE, STARTED = 0, 4096


def daemon_program():
    """The resilverd beside the resilver under test."""
    path = os.path.join(os.path.dirname(lib.program()), "resilverd")
    if not os.access(path, os.X_OK):
        sys.exit("there is no resilverd beside %s" % lib.program())
    return path


class Connection(http.client.HTTPConnection):
    def __init__(self, path, timeout):
        super().__init__("resilver", timeout=timeout)
        self.path = path

    def connect(self):
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.settimeout(self.timeout)
        self.sock.connect(self.path)


class Refused(AssertionError):
    """An answer that is not 2xx."""

    def __init__(self, what, status, error):
        super().__init__("%s: %d %s" % (what, status, error))
        self.status, self.error = status, error
        self.value = error.get("return_value")


def quote(text):
    return urllib.parse.quote(text, safe="")


class Host:
    """vms: {name: {disk: path}}; the same object may be started and killed many times."""

    def __init__(self, folder, name, vms=None, listen=True, retry_s=1, more="", control="",
                 state=None):
        self.state_directory = state or os.path.join(folder, "state")
        self.folder, self.name = folder, name
        os.makedirs(folder, exist_ok=True)
        self.storage = os.path.join(folder, "replicas")
        os.makedirs(self.storage, mode=0o755, exist_ok=True)
        self.socket = os.path.join(folder, "sock")
        self.config = os.path.join(folder, "resilver.conf")
        self.port = lib.free_port() if listen else None
        self.advertised_port = self.port
        self.retry_s, self.more, self.control = retry_s, more, control
        self.vms, self.ids = {}, {}
        self.process = None
        for vm, disks in (vms or {}).items():
            self.add_vm(vm, disks)
        self.write_config()

    def add_vm(self, name, disks):
        self.vms[name] = disks
        self.ids.setdefault(name, str(uuid.uuid4()))

    def write_config(self):
        lines = ["[host]", "name = " + self.name, "state-directory = " + self.state_directory]
        lines += ["[control]", "socket = " + self.socket, self.control]
        lines += ["[replication]", "retry-first = %d" % self.retry_s]
        if self.port:
            lines += ["listen = 127.0.0.1:%d" % self.port,
                      "advertise = 127.0.0.1:%d" % self.advertised_port]
        lines.append(self.more)
        for vm, disks in self.vms.items():
            lines += ["[vm %s]" % vm, "uuid = " + self.ids[vm]]
            lines += ["disk.%s = %s" % item for item in disks.items()]
        with open(self.config, "w") as file:
            file.write("\n".join(lines) + "\n")
        os.chmod(self.config, 0o644)

    @property
    def database(self):
        return os.path.join(self.state_directory, "state.db")

    def tls_file(self, name):
        return os.path.join(self.state_directory, "tls", name + ".pem")

    # --- the process ---

    def start(self, wait=True):
        assert self.process is None or not self.process.is_alive()
        self.process = lib.Process([daemon_program(), "--config", self.config], is_server=True)
        if wait:
            self.wait_ready()
        return self

    def wait_ready(self):
        def is_ready():
            if not self.process.is_alive():
                raise AssertionError("%s ended: %s" % (self.name, self.process.wait()))
            try:
                self.get("/v1/host")
                return True
            except OSError:
                return False
        lib.wait_until(is_ready, self.name + " ready", every_s=0.02)

    def kill(self):
        self.process.signal(signal.SIGKILL)
        self.process.wait()

    def stop(self):
        self.process.signal(signal.SIGTERM)
        result = self.process.wait(20)
        assert result.code == 0, result

    def log(self):
        return b"".join(self.process.output()).decode(errors="replace")

    def close(self):
        if self.process is not None and self.process.is_alive():
            self.process.end()

    # --- calls ---

    def call(self, method, path, body=None, timeout=20):
        """(status, object)"""
        connection = Connection(self.socket, timeout)
        try:
            connection.request(method, path, None if body is None else json.dumps(body))
            response = connection.getresponse()
            text = response.read()
        finally:
            connection.close()
        return response.status, json.loads(text) if text else None

    def ask(self, method, path, body=None, timeout=20):
        status, found = self.call(method, path, body, timeout)
        if status // 100 != 2:
            raise Refused("%s %s %s" % (self.name, method, path), status, found["error"])
        return found

    def get(self, path):
        return self.ask("GET", path)

    def post(self, path, body=None):
        return self.ask("POST", path, {} if body is None else body)

    # --- what tests do often ---

    def relationship(self, vm, hop=0):
        return self.get("/v1/vms/%s/relationships/%d" % (quote(vm), hop))

    def job(self, job):
        return self.get("/v1/jobs/" + job)

    def jobs(self, all_of_them=False):
        return self.get("/v1/jobs" + ("?all=true" if all_of_them else ""))["jobs"]

    def wait_job(self, job, state=COMPLETED, deadline_s=lib.DEADLINE_S):
        found = lib.wait_until(
            lambda: (lambda now: now if now["state"] in JOB_ENDS else None)(self.job(job)),
            "the end of job %s" % job, deadline_s, every_s=0.02)
        if state is not None and found["state"] != state:
            raise AssertionError("job ended in state %s: %s" % (found["state_name"], found))
        return found

    def wait_state(self, vm, state, hop=0, deadline_s=lib.DEADLINE_S):
        return lib.wait_until(
            lambda: (lambda now: now if now["state"] == state else None)(
                self.relationship(vm, hop)),
            "%s of %s in state %d" % (vm, self.name, state), deadline_s, every_s=0.02)

    def create(self, vm, peer, **more):
        return self.post("/v1/vms/%s/relationships" % quote(vm), {"host": peer.name, **more})

    def start_copy(self, vm, hop=0, **more):
        return self.post("/v1/vms/%s/relationships/%d/start" % (quote(vm), hop), more)["job"]

    def resync(self, vm, start_time=None):
        """The return value and the job, whatever the answer."""
        body = {} if start_time is None else {"start_time": start_time}
        status, found = self.call("POST", "/v1/vms/%s/resynchronize" % quote(vm), body)
        if status // 100 == 2:
            return found["return_value"], found["job"]
        return found["error"]["return_value"], found["error"]["message"]

    def request_state(self, vm, state, hop=0):
        return self.post("/v1/vms/%s/relationships/%d/state" % (quote(vm), hop),
                         {"requested_state": state})

    def allow(self, primary, storage=None):
        return self.ask("PUT", "/v1/authorizations/" + quote(primary.name),
                        {"storage_root": storage or self.storage})

    def replica(self, vm_id, disk):
        return os.path.join(self.storage, vm_id, "disks", disk)


def pair(asking, waiting):
    """As two people would: each confirms the code that the other's host shows."""
    window = waiting.post("/v1/pairings", {"wait": True})
    asked = asking.post("/v1/pairings", {"address": "127.0.0.1:%d" % waiting.advertised_port})

    def code_of(host, pairing):
        def look():
            now = host.get("/v1/pairings/" + pairing["id"])
            if now["state"] == "failed":
                raise AssertionError("pairing failed at %s: %s" % (host.name, now["message"]))
            return now["code"]
        return lib.wait_until(look, "the code at " + host.name)

    def is_done(host, pairing):
        return host.get("/v1/pairings/" + pairing["id"])["state"] == "done"

    code = code_of(asking, asked)
    assert code == code_of(waiting, window), "the codes differ"
    waiting.post("/v1/pairings/%s/confirm" % window["id"], {"code": code})
    asking.post("/v1/pairings/%s/confirm" % asked["id"], {"code": code})
    lib.wait_until(lambda: is_done(asking, asked) and is_done(waiting, window), "the pairing")


class Line:
    """The line to a host's replication port: may be cut, and mended."""

    def __init__(self, port):
        self.target = port
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.port = self.listener.getsockname()[1]
        self.is_cut = False
        self.lock = threading.Lock()
        self.sockets = set()
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self):
        while True:
            try:
                near, _ = self.listener.accept()
                with self.lock:
                    if self.is_cut:
                        near.close()
                        continue
                far = socket.create_connection(("127.0.0.1", self.target))
            except OSError:
                if self.listener.fileno() < 0:
                    return
                near.close()
                continue
            with self.lock:
                self.sockets |= {near, far}
            for one, other in ((near, far), (far, near)):
                threading.Thread(target=self._relay, args=(one, other), daemon=True).start()

    def _relay(self, one, other):
        try:
            while data := one.recv(65536):
                other.sendall(data)
            other.shutdown(socket.SHUT_WR)
        except OSError:
            self._drop(one, other)

    def _drop(self, *sockets):
        with self.lock:
            self.sockets -= set(sockets)
        for each in sockets:
            try:
                each.shutdown(socket.SHUT_RDWR)
            except OSError:
                pass
            each.close()

    def cut(self):
        with self.lock:
            self.is_cut = True
            sockets = list(self.sockets)
        self._drop(*sockets)

    def mend(self):
        self.is_cut = False

    def close(self):
        self.listener.close()
        self.cut()


class HostsCase(lib.Case):
    """Two hosts, a and b; a has VM web1 of two disks, which b may keep."""
    SIZES = {"vda": 16 * lib.MIB, "vdb": 6 * lib.MIB}

    def make_vm(self, name, sizes=None):
        disks = {}
        for disk, size in (sizes or self.SIZES).items():
            disks[disk] = lib.make_disk(self.path("%s-%s.raw" % (name, disk)), size, self.rng,
                                        lib.ALL_KINDS)
        return disks

    def make_host(self, name, vms=None, **options):
        return self.owned(Host(self.path(name), name, vms, **options))

    def make_pair(self, vms=None, **options):
        self.a = self.make_host("alpha", vms or {"web1": self.make_vm("web1")}, **options).start()
        self.b = self.make_host("beta", **options).start()
        pair(self.a, self.b)
        self.b.allow(self.a)

    def change(self, vm, host=None, share=0.1):
        """Some leaves of every disk get other content."""
        for path in (host or self.a).vms[vm].values():
            size = os.path.getsize(path)
            lib.change_leaves(path, lib.scatter(size // lib.LEAF, share, self.rng), self.rng)

    def copy(self, vm="web1", **settings):
        self.a.create(vm, self.b, **({"settings": settings} if settings else {}))
        job = self.a.start_copy(vm)
        self.a.wait_job(job)
        self.check_replica(vm)
        return job

    def check_replica(self, vm, target=None, source=None):
        source = source or self.a
        for disk, path in source.vms[vm].items():
            self.assert_same(path, (target or self.b).replica(source.ids[vm], disk))
