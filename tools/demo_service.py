# SPDX-License-Identifier: LGPL-2.1-or-later
"""The second part of the demo: the service. Three hosts, a resilverd on each; host1 has a VM, host2
keeps its replica, host3 an extended replica of that. Both replicas are damaged on purpose and made
true again by Resynchronize."""
import contextlib
import glob
import http.client
import json
import os
import random
import shutil
import socket
import subprocess
import sys
import time

from demo_base import MIB, START_S, DemoError, Network, as_typed, end_process, run, say

# RFC 5737: never a real network. host1 and host3 cannot reach each other.
LINES = [(("host1", "192.0.2.1"), ("host2", "192.0.2.2")),
         (("host2", "198.51.100.2"), ("host3", "198.51.100.3"))]
HOSTS = ("host1", "host2", "host3")
PORT = 8490
VM = "web1"
VM_ID = "6f1c2a9e-73a5-4e0f-9d5f-0c4b8f6a2d11"
DISKS = ("system.raw", "data.raw")
SYSTEM_BYTES = 512 * MIB
DATA_BYTES = 256 * MIB
FILES_BYTES = 64 * MIB              # so much of files is put on the system disk
FILE_BYTES_MAX = 4 * MIB
RATE = "4M"                         # what a resynchronization may send a second
# Where replicas are damaged: (disk, at MiB, for MiB)
DAMAGE = (("system.raw", 40, 16), ("data.raw", 96, 8))
SEED = 2027
LOOK_EVERY_S = 0.5


def copy_files(tree):
    """Programs of this system, small enough and together about FILES_BYTES."""
    os.makedirs(os.path.join(tree, "usr/bin"))
    total = 0
    for path in sorted(glob.glob("/usr/bin/*")):
        if os.path.islink(path) or not os.path.isfile(path) or not os.access(path, os.R_OK):
            continue
        size = os.path.getsize(path)
        if size <= FILE_BYTES_MAX and total + size <= FILES_BYTES:
            total += size
            shutil.copyfile(path, tree + path)


class ControlConnection(http.client.HTTPConnection):
    """To the control API, on its Unix socket."""

    def __init__(self, path):
        super().__init__("resilver", timeout=START_S)
        self.path = path

    def connect(self):
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.settimeout(self.timeout)
        self.sock.connect(self.path)


class Service:
    """Use as a context; ends everything that it started."""

    def __init__(self, folder, resilver, resilverd):
        self.folder = folder
        self.resilver = resilver
        self.resilverd = resilverd
        self.network = Network(LINES)
        self.daemons = {}
        self.others = []
        self.ports = {}
        self.gateway_ports = ()

    # --- commands ---

    def environment(self, host):
        """As an operator of that host has it."""
        return {**os.environ, "RESILVER_SOCKET": os.path.join(self.folder, host, "control.sock"),
                "PATH": os.path.dirname(self.resilver) + ":" + os.environ["PATH"]}

    def start(self, host, *command, **options):
        return subprocess.Popen([*self.network.inside(host), *command], cwd=self.folder,
                                env=self.environment(host), stdin=subprocess.DEVNULL, **options)

    @staticmethod
    def print_command(host, *command):
        say(f"{host}$ {' '.join(map(as_typed, command))}")

    def show(self, host, *command, expect=0, what=None):
        """Shows the command, runs it on the host, checks its exit status."""
        self.print_command(host, *command)
        with self.start(host, *command) as process:
            self.finish(process, expect)
        if what:
            say(f"  exit status {expect}: {what}")

    @staticmethod
    def finish(process, expect=0):
        if process.wait() != expect:
            raise DemoError(f"the exit status is {process.returncode}, not {expect}")

    def read(self, host, *command):
        done = subprocess.run([*self.network.inside(host), *command, "--json"], cwd=self.folder,
                              env=self.environment(host), stdin=subprocess.DEVNULL,
                              stdout=subprocess.PIPE, check=False)
        return json.loads(done.stdout) if done.stdout else {}

    def say_progress(self, host, seen):
        for job in self.read(host, "resilver", "job", "list").get("jobs", []):
            progress = job["progress"]
            if progress is None or (job["id"], job["percent"]) in seen:
                continue
            seen.add((job["id"], job["percent"]))
            disks = ", ".join(
                f"{disk['name']} {disk['compared_bytes'] // MIB} of {disk['size_bytes'] // MIB} MiB"
                for disk in progress["disks"])
            say(f"  {job['percent']:3} %  compared: {disks}; "
                f"sent {progress['sent_bytes'] / MIB:.1f} MiB")

    def show_job(self, host, *command):
        """A command that waits for its job: on a terminal it shows the progress by itself."""
        self.print_command(host, *command)
        seen = set()
        with self.start(host, *command) as process:
            while not sys.stderr.isatty():
                with contextlib.suppress(subprocess.TimeoutExpired):
                    process.wait(LOOK_EVERY_S)
                if process.poll() is not None:
                    break
                self.say_progress(host, seen)
            self.finish(process)

    # --- the hosts ---

    def address(self, host, to):
        """Where the host is reached by its neighbour."""
        if self.network.has_namespaces:
            ends = next(dict(line) for line in LINES if {host, to} == {end for end, _ in line})
            return f"{ends[host]}:{PORT}"
        return f"127.0.0.1:{self.ports[host]}"

    def choose_ports(self):
        for host in HOSTS:
            with socket.socket() as probe:
                probe.bind(("127.0.0.1", 0))
                self.ports[host] = probe.getsockname()[1]
        with socket.socket() as first, socket.socket() as second:
            for probe in (first, second):
                probe.bind(("127.0.0.1", 0))
            self.gateway_ports = (first.getsockname()[1], second.getsockname()[1])

    def disk(self, name):
        return os.path.join("host1", "vm", name)

    def replica(self, host, name):
        return os.path.join(host, "replicas", VM_ID, "disks", name)

    def write_config(self, host):
        # What host2 gives others as its address is used by host3 to reach it, never by host1.
        neighbour = {"host1": "host2", "host2": "host3", "host3": "host2"}[host]
        listen = f"0.0.0.0:{PORT}" if self.network.has_namespaces else self.address(host, neighbour)
        lines = ["[host]", f"name = {host}", f"state-directory = {self.folder}/{host}/state",
                 "[control]", f"socket = {self.folder}/{host}/control.sock",
                 "[replication]", f"listen = {listen}",
                 f"advertise = {self.address(host, neighbour)}"]
        if host == "host1":
            lines += [f"[vm {VM}]", f"uuid = {VM_ID}"]
            lines += [f"disk.{name} = {self.folder}/{self.disk(name)}" for name in DISKS]
            lines += ["[gateway]", f"wsman = 127.0.0.1:{self.gateway_ports[0]}",
                      f"cimxml = 127.0.0.1:{self.gateway_ports[1]}",
                      f"users = {self.folder}/host1/gateway.users",
                      f"audit-log = {self.folder}/host1/audit.log"]
        path = os.path.join(self.folder, host, "resilver.conf")
        with open(path, "w", encoding="utf-8") as file:
            file.write("\n".join(lines) + "\n")
        os.chmod(path, 0o644)

    def make_vm(self):
        tree = os.path.join(self.folder, "vm-files")
        copy_files(tree)
        system = os.path.join(self.folder, self.disk("system.raw"))
        with open(system, "wb") as file:
            file.truncate(SYSTEM_BYTES)
        run("mke2fs", "-q", "-F", "-t", "ext4", "-L", VM, "-d", tree, system)
        shutil.rmtree(tree)
        chance = random.Random(SEED)
        with open(os.path.join(self.folder, self.disk("data.raw")), "wb") as file:
            file.truncate(DATA_BYTES)
            for at in range(0, DATA_BYTES, 16 * MIB):  # data, then holes
                file.seek(at)
                file.write(chance.randbytes(4 * MIB))

    def start_daemon(self, host):
        self.print_command(host, "resilverd", f"--config={host}/resilver.conf")
        with open(os.path.join(self.folder, host, "log"), "wb") as log:
            self.daemons[host] = self.start(host, self.resilverd,
                                            f"--config={host}/resilver.conf", stdout=log,
                                            stderr=log, start_new_session=True)

    def wait_ready(self, host):
        deadline = time.monotonic() + START_S
        while "host" not in self.read(host, "resilver", "status"):
            if self.daemons[host].poll() is not None or time.monotonic() > deadline:
                with open(os.path.join(self.folder, host, "log"), encoding="utf-8") as log:
                    raise DemoError(f"resilverd of {host} does not answer:\n{log.read()}")
            time.sleep(0.05)

    def __enter__(self):
        try:
            self.choose_ports()
            why_not = self.network.make()
            for host in HOSTS:
                os.makedirs(os.path.join(self.folder, host, "replicas"), 0o700)
            os.mkdir(os.path.join(self.folder, "host1", "vm"))
            say("Three hosts: " + (
                f"all are this one ({why_not}), each with a port of its own." if why_not else
                "network namespaces. host1 - host2 - host3 are joined by a line each; host1 and "
                "host3 cannot reach each other."))
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_error):
        try:
            for process in [*self.others, *self.daemons.values()]:
                end_process(process)
        finally:
            self.network.remove()

    # --- the play ---

    def pairing_in(self, host, state):
        """The host's pairing in that state, once it has one."""
        deadline = time.monotonic() + START_S
        while time.monotonic() < deadline:
            connection = ControlConnection(os.path.join(self.folder, host, "control.sock"))
            with contextlib.closing(connection):
                connection.request("GET", "/v1/pairings")
                found = json.loads(connection.getresponse().read())["pairings"]
            for pairing in found:
                if pairing["state"] == state:
                    return pairing
            time.sleep(0.05)
        raise DemoError(f"{host} has no pairing in state '{state}'")

    def start_silent(self, host, *command):
        """It says that nobody is at a terminal to compare the code; we do, in its place."""
        self.print_command(host, *command)
        process = self.start(host, *command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE,
                             start_new_session=True)
        self.others.append(process)
        return process

    def pair(self, asking, waiting):
        say(f"\n{asking} and {waiting}: are made known to each other. Both show a code; only if it "
            "is the same is nobody in between.")
        window = self.start_silent(waiting, "resilver", "host", "pair", "--wait")
        self.pairing_in(waiting, "waiting")
        asked = self.start_silent(asking, "resilver", "host", "pair",
                                  self.address(waiting, asking))
        codes = {host: self.pairing_in(host, "code")["code"] for host in (asking, waiting)}
        for process in (window, asked):
            _, said = process.communicate()
            if process.returncode != 1:
                raise DemoError(f"pairing failed: {said.decode(errors='replace')}")
        for host, code in codes.items():
            say(f"  {host} shows {code[:3]} {code[3:]}")
        if codes[asking] != codes[waiting]:
            raise DemoError("the codes differ")
        say("  The same; so it is confirmed at both:")
        confirmed = []
        for host in (asking, waiting):
            command = ("resilver", "host", "pair", f"--code={codes[host]}")
            self.print_command(host, *command)
            confirmed.append(self.start(host, *command, start_new_session=True))
            self.others.append(confirmed[-1])
        for process in confirmed:
            self.finish(process)

    def replicate(self, source, target):
        self.show(target, "resilver", "auth", "add", source,
                  f"--storage={self.folder}/{target}/replicas")
        self.show_job(source, "resilver", "relationship", "create", VM, f"--host={target}",
                      "--start", "--wait")
        self.compare(target, 0)

    def compare(self, host, expect):
        """By a program that knows nothing of Resilver."""
        for name in DISKS:
            self.show(host, "cmp", self.disk(name), self.replica(host, name), expect=expect,
                      what="they differ" if expect else "the same, byte for byte")

    def damage(self, host):
        for name, at, count in DAMAGE:
            self.show(host, "dd", "if=/dev/urandom", f"of={self.replica(host, name)}", "bs=1M",
                      f"seek={at}", f"count={count}", "conv=notrunc,fsync", "status=none")
            say(f"  {name}: {count} MiB at {at} MiB are random bytes now")
        self.compare(host, 1)

    def mend(self, source, target):
        self.show(source, "resilver", "relationship", "set", VM, f"--rate={RATE}")
        self.show_job(source, "resilver", "resync", VM, "--wait")
        self.compare(target, 0)
        self.show(target, "e2fsck", "-fn", self.replica(target, "system.raw"), what="clean")

    def play(self):
        self.make_vm()
        for host in HOSTS:
            self.write_config(host)
        say(f"host1 has the VM '{VM}': a system disk of {SYSTEM_BYTES // MIB} MiB (ext4 with "
            f"files) and a data disk of {DATA_BYTES // MIB} MiB. Its service is told so by a file:")
        self.show("host1", "cat", "host1/resilver.conf")
        say("\nOn every host the service is started (by hand here; else by systemd). Which one a "
            "command talks to is said by RESILVER_SOCKET, another on each host.")
        for host in HOSTS:
            self.start_daemon(host)
        for host in HOSTS:
            self.wait_ready(host)
        self.pair("host1", "host2")
        self.pair("host2", "host3")
        say("\nhost2: lets host1 replicate to it. host1: does, and makes the initial copy.")
        self.replicate("host1", "host2")
        say("\nhost2: its replica is damaged, on purpose and behind Resilver's back.")
        self.damage("host2")
        say(f"\nhost1: Resynchronize, with at most {RATE}iB a second on the line.")
        self.mend("host1", "host2")
        say("\nhost3: lets host2 replicate to it. host2: extends the replica to there.")
        self.replicate("host2", "host3")
        say("\nhost3: the extended replica is damaged, too.")
        self.damage("host3")
        say("\nhost2: Resynchronize of the extended replica.")
        self.mend("host2", "host3")
        say("\nWhat the services know now:")
        for host in HOSTS:
            self.show(host, "resilver", "status")
        for host in ("host1", "host2"):
            self.show(host, "resilver", "job", "list")
