# SPDX-License-Identifier: LGPL-2.1-or-later
"""What the end-to-end tests share.

Every test drives the real program on real files, devices, sockets and ssh, and believes only
judges that share no code with it: cmp, qemu-img, and its own reading of the bytes.

The program is $RESILVER. Everything random comes from one seed, printed at the start and set
again with RESILVER_TEST_SEED. A need that is not met (root, a tool) skips the test with the
reason; a script of which every test was skipped exits 77.
"""

import ctypes
import json
import os
import random
import re
import select
import shlex
import shutil
import signal
import socket
import struct
import subprocess
import sys
import tempfile
import time
import unittest

LEAF = 64 * 1024
NODE = 2 * 1024 * 1024
KIB = 1024
MIB = 1024 * 1024

IN_SYNC, FAILED, USAGE, DIFFERENT = 0, 1, 2, 3

SEED = int(os.environ.get("RESILVER_TEST_SEED") or random.SystemRandom().randrange(1, 2**31))
# Every process that a test starts inherits this; what is left over is found by it and by nothing
# wider, so that no test can ever end a process that is not its own.
TAG_NAME = "RESILVER_E2E_TAG"
TAG = "%d-%s" % (os.getpid(), os.urandom(8).hex())

# A deadline is there so that a hang is a failure with a name, not to measure speed: sanitizer
# builds and busy machines must meet it.
DEADLINE_S = 60


def program():
    """The resilver binary under test."""
    path = os.environ.get("RESILVER", "")
    if not path or not os.access(path, os.X_OK):
        sys.exit("set RESILVER to the resilver binary that is to be tested (now: %r)" % path)
    return os.path.abspath(path)


def is_root():
    return os.geteuid() == 0


def find_tool(name):
    """A program's path, also from the folders that are not in every user's PATH; None: missing."""
    return shutil.which(name, path=os.environ.get("PATH", "") + ":/usr/sbin:/sbin")


def need_tool(*names):
    for name in names:
        if find_tool(name) is None:
            raise unittest.SkipTest("needs %s" % name)


def need_root():
    if not is_root():
        raise unittest.SkipTest("needs root")


def wait_until(condition, what, deadline_s=DEADLINE_S, every_s=0.005):
    """The first true value of condition(); an AssertionError that names what after the deadline."""
    end = time.monotonic() + deadline_s
    while True:
        value = condition()
        if value:
            return value
        if time.monotonic() > end:
            raise AssertionError("%s: not within %g s" % (what, deadline_s))
        time.sleep(every_s)


# --- processes ------------------------------------------------------------------------------------


def tagged_environment(extra=None):
    env = dict(os.environ)
    env[TAG_NAME] = TAG
    env["LC_ALL"] = "C"
    env.pop("XDG_STATE_HOME", None)
    env.update(extra or {})
    return env


def tagged_processes():
    """Those alive that carry our tag, besides ourselves: {pid: command line}."""
    wanted = ("%s=%s" % (TAG_NAME, TAG)).encode()
    found = {}
    for entry in os.listdir("/proc"):
        if not entry.isdigit() or int(entry) == os.getpid():
            continue
        try:
            with open("/proc/%s/environ" % entry, "rb") as file:
                if wanted not in file.read().split(b"\0"):
                    continue
            with open("/proc/%s/cmdline" % entry, "rb") as file:
                found[int(entry)] = file.read().replace(b"\0", b" ").decode(errors="replace")
        except OSError:
            continue  # It ended meanwhile, or is not ours to look at.
    return found


def wait_for_end(pid, deadline_s=DEADLINE_S):
    """Until a process, not necessarily our child, has ended."""
    try:
        fd = os.pidfd_open(pid)
    except ProcessLookupError:
        return
    try:
        if not select.select([fd], [], [], deadline_s)[0]:
            raise AssertionError("process %d: still there after %g s" % (pid, deadline_s))
    finally:
        os.close(fd)


class Result:
    """How a command ended, with what it said."""

    def __init__(self, argv, code, out, err, seconds):
        self.argv, self.code, self.seconds = argv, code, seconds
        self.out, self.err = out.decode(errors="replace"), err.decode(errors="replace")

    @property
    def report(self):
        """The one JSON object on standard output."""
        try:
            return json.loads(self.out)
        except ValueError as error:
            raise AssertionError("no JSON object on standard output (%s)\n%s" % (error, self))

    @property
    def words(self):
        """Everything that was said, for searching a message."""
        return self.out + self.err

    def __str__(self):
        return "%s\n  exit %s after %.3f s\n  stdout: %s\n  stderr: %s" % (
            shlex.join(self.argv), self.code, self.seconds,
            self.out.strip()[:4000] or "-", self.err.strip()[:4000] or "-")


class Process:
    """A command in a process group of its own; its output goes to files, so that nothing that
    outlives it (an ssh, a helper) can keep us waiting at a pipe.

    is_server: it would not end by itself, so the kernel ends it if we are killed."""

    def __init__(self, argv, env=None, stdin=subprocess.DEVNULL, cwd=None, user=None,
                 is_server=False, terminal=None):
        self.argv = [str(word) for word in argv]
        if is_server and find_tool("setpriv"):
            self.argv[:0] = ["setpriv", "--pdeathsig", "KILL", "--"]
        self._out, self._err = tempfile.TemporaryFile(), tempfile.TemporaryFile()
        self.started = time.monotonic()
        # A terminal, a descriptor, stands for standard input and standard error.
        self.popen = subprocess.Popen(
            self.argv, stdin=stdin if terminal is None else terminal, stdout=self._out,
            stderr=self._err if terminal is None else terminal, cwd=cwd,
            env=tagged_environment(env), start_new_session=True, user=user, group=user,
            extra_groups=[] if user is not None else None)
        self.pid = self.popen.pid

    def is_alive(self):
        return self.popen.poll() is None

    def output(self):
        """What it printed until now, both streams."""
        parts = []
        for file in (self._out, self._err):
            size = os.fstat(file.fileno()).st_size
            parts.append(os.pread(file.fileno(), size, 0))
        return parts

    def signal(self, number):
        self.popen.send_signal(number)

    def wait(self, deadline_s=DEADLINE_S):
        try:
            code = self.popen.wait(deadline_s)
        except subprocess.TimeoutExpired:
            self.end()
            out, err = self.output()
            raise AssertionError("no end within %g s: %s" % (
                deadline_s, Result(self.argv, None, out, err, deadline_s)))
        seconds = time.monotonic() - self.started
        out, err = self.output()
        self._out.close()
        self._err.close()
        return Result(self.argv, code, out, err, seconds)

    def end(self):
        """Make sure that it and its process group are gone."""
        if self.is_alive():
            try:
                os.killpg(self.pid, signal.SIGKILL)
            except ProcessLookupError:
                pass
            self.popen.wait()


def run(argv, deadline_s=DEADLINE_S, **options):
    return Process(argv, **options).wait(deadline_s)


def must(argv, deadline_s=DEADLINE_S, **options):
    """Run a tool of the test itself; its failure is the test's error. Returns its output."""
    result = run(argv, deadline_s, **options)
    if result.code != 0:
        raise AssertionError("the test's own command failed: %s" % result)
    return result.out


# --- disks ----------------------------------------------------------------------------------------

WORDS = b"a disk holds blocks and a block holds what somebody once thought worth keeping; "


def leaf_bytes(rng, kind):
    """One leaf of content: random, text (compresses well), mixed (pages of both) or zero."""
    if kind == "random":
        return rng.randbytes(LEAF)
    if kind == "text":
        start = b"%016x " % rng.getrandbits(64)
        return (start + WORDS * (LEAF // len(WORDS) + 1))[:LEAF]
    if kind == "mixed":
        pages = [rng.choice((rng.randbytes(4096), bytes(4096), (WORDS * 60)[:4096]))
                 for _ in range(LEAF // 4096)]
        return b"".join(pages)
    if kind == "zero":
        return bytes(LEAF)
    raise ValueError(kind)


def make_disk(path, size, rng, kinds=("random",)):
    """A raw disk of leaves whose kinds are drawn from kinds; 'hole' leaves stay unwritten."""
    with open(path, "wb") as file:
        file.truncate(size)
        for offset in range(0, size, LEAF):
            kind = rng.choice(kinds)
            if kind != "hole":
                file.seek(offset)
                file.write(leaf_bytes(rng, kind)[:size - offset])
    return path


ALL_KINDS = ("random", "text", "mixed", "zero", "hole")


def copy_disk(source, target):
    """An independent copy that keeps the holes."""
    must(["cp", "--reflink=never", "--sparse=always", source, target])
    return target


def change_bytes(path, offset, data):
    with open(path, "r+b") as file:
        file.seek(offset)
        file.write(data)


def flip_bit(path, offset, bit=0):
    with open(path, "r+b") as file:
        file.seek(offset)
        byte = file.read(1)[0]
        file.seek(offset)
        file.write(bytes([byte ^ (1 << bit)]))


def cut_journal(path):
    """Leave a journal its head alone: all that it held is gone, and nothing in it says so."""
    size = os.path.getsize(path)
    os.truncate(path, 4096)
    os.truncate(path, size)


def punch_hole(path, offset, length):
    must(["fallocate", "--punch-hole", "--offset", offset, "--length", length, path])


def change_leaves(path, leaves, rng, kind="random"):
    """Give these leaves other content, which differs in their first byte at least."""
    size = os.path.getsize(path)
    with open(path, "r+b") as file:
        for leaf in leaves:
            file.seek(leaf * LEAF)
            old = file.read(1)
            data = bytearray(leaf_bytes(rng, kind)[:size - leaf * LEAF])
            if data[:1] == old:
                data[0] ^= 0xff
            file.seek(leaf * LEAF)
            file.write(data)


def let_age(*paths):
    """Wait until these files are old enough for their time of change to prove that nobody has
    written to them since: the kernel's clock for files is coarse, and the program trusts no time
    that is younger than two seconds."""
    wait_until(lambda: all(time.time() - os.stat(path).st_ctime > 2.2 for path in paths),
               "the age of the files", 30, every_s=0.05)


def scatter(count, share, rng):
    """A sorted sample of share (0..1) of range(count), at least one."""
    return sorted(rng.sample(range(count), max(1, int(count * share))))


def used_bytes(path):
    return os.stat(path).st_blocks * 512


def leaf_len(size, leaf):
    return min(LEAF, size - leaf * LEAF)


def next_data(file, offset, size):
    """Where a file's next bytes are that are not a hole; size: nowhere."""
    try:
        return os.lseek(file.fileno(), offset, os.SEEK_DATA)
    except OSError:  # ENXIO: nothing but a hole is left.
        return size


def different_leaves(path_a, path_b):
    """Which leaves differ, read with no help from the program under test."""
    size = os.path.getsize(path_a)
    if size != os.path.getsize(path_b):
        raise AssertionError("sizes differ: %s %s" % (path_a, path_b))
    # Not mapped: to map a hole of a full tmpfs and look at it ends in a bus error.
    found = []
    with open(path_a, "rb") as file_a, open(path_b, "rb") as file_b:
        start = 0
        while (start := min(next_data(file_a, start, size), next_data(file_b, start, size))) < size:
            start -= start % LEAF
            part_a, part_b = (os.pread(file.fileno(), NODE, start) for file in (file_a, file_b))
            if part_a != part_b:
                found += [(start + at) // LEAF for at in range(0, len(part_a), LEAF)
                          if part_a[at:at + LEAF] != part_b[at:at + LEAF]]
            start += NODE
    return found


def leaf_is_equal(path_a, path_b, leaf):
    with open(path_a, "rb") as file_a, open(path_b, "rb") as file_b:
        return (os.pread(file_a.fileno(), LEAF, leaf * LEAF) ==
                os.pread(file_b.fileno(), LEAF, leaf * LEAF))


def different_bytes(path_a, path_b):
    size = os.path.getsize(path_a)
    return sum(leaf_len(size, leaf) for leaf in different_leaves(path_a, path_b))


class Untouched:
    """Evidence that a file was not written: content, modification time, size and space."""

    def __init__(self, path):
        self.path = path
        # Blocks that are still to be allocated would be counted only later.
        fd = os.open(path, os.O_RDONLY)
        os.fsync(fd)
        os.close(fd)
        self.before = self._look()

    def _look(self):
        stat = os.stat(self.path)
        digest = must(["sha256sum", "--binary", self.path]).split()[0]
        return (digest, stat.st_mtime_ns, stat.st_size, stat.st_blocks, stat.st_ino)

    def check(self, test):
        test.assertEqual(self.before, self._look(), "%s was changed" % self.path)
        test.assertFalse(os.path.exists(self.path + ".resilver"),
                         "a checkpoint was left beside %s" % self.path)


class Watch:
    """Whether a file was opened or read by anybody, from the kernel's own notices (inotify)."""

    OPEN, ACCESS, MODIFY = 0x20, 0x1, 0x2
    EVENT = struct.Struct("iIII")

    def __init__(self, path):
        libc = ctypes.CDLL(None, use_errno=True)
        self.fd = libc.inotify_init1(os.O_NONBLOCK | os.O_CLOEXEC)
        if self.fd < 0:
            raise unittest.SkipTest("needs inotify")
        if libc.inotify_add_watch(self.fd, os.fsencode(path),
                                  self.OPEN | self.ACCESS | self.MODIFY) < 0:
            os.close(self.fd)
            raise OSError(ctypes.get_errno(), "inotify_add_watch", path)

    def seen(self):
        """The union of events since the last call; 0: nobody touched it."""
        mask = 0
        try:
            data = os.read(self.fd, 65536)
        except BlockingIOError:
            return 0
        at = 0
        while at < len(data):
            _, event, _, name_len = self.EVENT.unpack_from(data, at)
            mask |= event
            at += self.EVENT.size + name_len
        return mask

    def close(self):
        os.close(self.fd)


# --- loop devices and small file systems ----------------------------------------------------------


class LoopDevice:
    def __init__(self, path, sector_bytes=512):
        self.device = must([find_tool("losetup"), "--find", "--show", "--sector-size",
                            sector_bytes, path]).strip()

    def close(self):
        if self.device is not None:
            must([find_tool("losetup"), "--detach", self.device])
            self.device = None


class Mount:
    def __init__(self, what, where, fs_type=None, options=None):
        os.makedirs(where, exist_ok=True)
        argv = [find_tool("mount")]
        argv += ["-t", fs_type] if fs_type else []
        argv += ["-o", options] if options else []
        must(argv + [what, where])
        self.where = where

    def close(self):
        if self.where is not None:
            must([find_tool("umount"), self.where])
            self.where = None


# --- servers --------------------------------------------------------------------------------------


def free_port():
    """A port that was free a moment ago; whoever binds it retries if it was taken since."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def can_connect(port):
    try:
        socket.create_connection(("127.0.0.1", port), 1).close()
    except OSError:
        return False
    return True


class Sshd:
    """An sshd on loopback with throwaway keys of host and user, for the user who runs the test."""

    def __init__(self, folder):
        need_tool("sshd", "ssh", "ssh-keygen")
        self.folder = folder
        os.makedirs(folder, mode=0o700)
        for name in ("host", "user", "other"):
            must(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", name, "-f",
                  self.file(name)])
        shutil.copy(self.file("user.pub"), self.file("authorized"))
        self.bin = self.file("bin")
        os.mkdir(self.bin)
        os.symlink(program(), os.path.join(self.bin, "resilver"))
        if is_root():
            os.makedirs("/run/sshd", mode=0o755, exist_ok=True)  # sshd's own demand of root
        self.process = None
        for _ in range(5):
            if self._start():
                break
        else:
            raise AssertionError("sshd does not start: %s" % self.process.output())
        self._write_known_hosts("known_hosts", "host.pub")
        self._write_known_hosts("wrong_hosts", "other.pub")
        open(self.file("no_hosts"), "w").close()

    def file(self, name):
        return os.path.join(self.folder, name)

    def _start(self):
        self.port = free_port()
        with open(self.file("config"), "w") as config:
            config.write(
                "Port %d\nListenAddress 127.0.0.1\nHostKey %s\nAuthorizedKeysFile %s\n"
                "PidFile none\nStrictModes no\nUsePAM no\nPasswordAuthentication no\n"
                "KbdInteractiveAuthentication no\nPermitRootLogin yes\nUseDNS no\n"
                "PrintMotd no\nLogLevel ERROR\nMaxStartups 50\n"
                "SetEnv \"PATH=%s:/usr/bin:/bin\" \"%s=%s\"\n" % (
                    self.port, self.file("host"), self.file("authorized"),
                    self.bin, TAG_NAME, TAG))
        self.process = Process([find_tool("sshd"), "-D", "-e", "-f", self.file("config")],
                               is_server=True)
        try:
            wait_until(lambda: not self.process.is_alive() or can_connect(self.port), "sshd", 10)
        except AssertionError:
            self.process.end()
        return self.process.is_alive()

    def _write_known_hosts(self, name, public_key):
        with open(self.file(public_key)) as file:
            key = " ".join(file.read().split()[:2])
        with open(self.file(name), "w") as file:
            file.write("[127.0.0.1]:%d %s\n" % (self.port, key))

    def command(self, known_hosts="known_hosts"):
        """For --ssh: an ssh client that trusts exactly what known_hosts names."""
        return ("ssh -F none -p %d -i %s -o IdentitiesOnly=yes -o BatchMode=yes "
                "-o StrictHostKeyChecking=yes -o UserKnownHostsFile=%s "
                "-o GlobalKnownHostsFile=none" % (
                    self.port, self.file("user"), self.file(known_hosts)))

    def close(self):
        self.process.end()


def write_script(path, text):
    with open(path, "w") as file:
        file.write(text)
    os.chmod(path, 0o755)
    return path


class StandInSsh:
    """In ssh's place: no network, no login, but another process at the end of two pipes, whose
    process id is written down. Makes hundreds of runs cheap."""

    def __init__(self, folder, body=None):
        os.makedirs(folder, exist_ok=True)
        self.pid_file = os.path.join(folder, "remote.pid")
        self.argv_file = os.path.join(folder, "remote.argv")
        body = body or "exec %s serve --stdio" % shlex.quote(program())
        self.command = write_script(os.path.join(folder, "ssh"), (
            "#!/bin/sh\nprintf '%%s\\n' \"$@\" >%s\necho $$ >%s.new && mv %s.new %s\n%s\n" % (
                *(shlex.quote(name) for name in
                  (self.argv_file, self.pid_file, self.pid_file, self.pid_file)), body)))

    def forget(self):
        if os.path.exists(self.pid_file):
            os.unlink(self.pid_file)

    def remote_pid(self):
        try:
            with open(self.pid_file) as file:
                return int(file.read())
        except (OSError, ValueError):
            return None


class Certs:
    """Right and wrong certificates, made anew for each test by tests/lib/make_certs.c; the list of
    names is in tests/lib/certs.h. The program is $RESILVER_MAKE_CERTS, or in the build folder of
    the program under test."""

    def __init__(self, folder):
        maker = os.environ.get("RESILVER_MAKE_CERTS", "") or os.path.join(
            os.path.dirname(program()), "tests", "e2e", "make_certs")
        if not os.access(maker, os.X_OK):
            raise unittest.SkipTest("needs RESILVER_MAKE_CERTS, the program make_certs")
        self.folder = folder
        os.mkdir(folder, 0o700)
        must([os.path.abspath(maker), folder])

    def file(self, name, kind="pem"):
        return os.path.join(self.folder, "%s.%s" % (name, kind))

    def options(self, name, ca="ca"):
        """The options of one end; both ends trust ca unless said otherwise."""
        return ["--cert", self.file(name), "--key", self.file(name, "key"),
                "--ca", self.file(ca)]


class Server:
    """`resilver serve --listen` on a port that the kernel chooses; exports: {name: path}."""

    def __init__(self, certs, exports, options=(), name="server"):
        argv = [program(), "serve", "--listen", "127.0.0.1:0", *certs.options(name), *options]
        for export, path in exports.items():
            argv += ["--export", "%s=%s" % (export, path)]
        self.process = Process(argv, is_server=True)
        try:
            self.port = wait_until(self._find_port, "the server's port")
        except AssertionError:
            out, err = self.process.output()
            self.process.end()
            raise AssertionError("no server: %s %s %s" % (argv, out, err))

    def _find_port(self):
        if not self.process.is_alive():
            raise AssertionError("ended")
        found = re.search(rb"127\.0\.0\.1:(\d+)", b"".join(self.process.output()))
        return int(found.group(1)) if found and found.group(1) != b"0" else None

    def url(self, name, host="localhost", port=None):
        return "tls://%s:%d/%s" % (host, port or self.port, name)

    def is_alive(self):
        return self.process.is_alive()

    def log(self):
        return b"".join(self.process.output()).decode(errors="replace")

    def stop(self, deadline_s=10):
        """Ask it to end; returns its Result."""
        self.process.signal(signal.SIGTERM)
        return self.process.wait(deadline_s)

    def close(self):
        self.process.end()


class Nbdkit:
    """nbdkit on a private Unix socket, with its verbose log as evidence of what it did."""

    def __init__(self, folder, name, *arguments, readonly=False):
        need_tool("nbdkit")
        self.socket = os.path.join(folder, name + ".sock")
        argv = ["nbdkit", "--foreground", "--verbose", "--unix", self.socket]
        argv += ["--readonly"] if readonly else []
        self.process = Process(argv + list(arguments), is_server=True)
        try:
            wait_until(lambda: os.path.exists(self.socket) or not self.process.is_alive(),
                       "nbdkit", 10)
            if not self.process.is_alive():
                raise AssertionError("nbdkit ended: %s" % self.log()[-2000:])
        except AssertionError:
            self.process.end()
            raise

    def url(self, export=""):
        return "nbd+unix:///%s?socket=%s" % (export, self.socket)

    def log(self):
        return b"".join(self.process.output()).decode(errors="replace")

    def close(self):
        self.process.end()


# --- the report -----------------------------------------------------------------------------------

DISK_FIELDS = {
    "source": str, "target": str, "size_bytes": int, "compared_bytes": int,
    "skipped_zero_bytes": int, "resumed_bytes": int, "different_bytes": int,
    "written_bytes": int, "verified_bytes": int, "proof": (str, type(None)),
}
WIRE_FIELDS = {"sent_bytes": int, "received_bytes": int, "compressed_from_bytes": int}
ERROR_KINDS = ("io", "peer", "state", "limit", "usage", "internal", "cancelled")


def check_fields(test, where, found, wanted):
    test.assertEqual(sorted(found), sorted(wanted), "fields of %s" % where)
    for name, kind in wanted.items():
        kinds = kind if isinstance(kind, tuple) else (kind,)
        test.assertIn(type(found[name]), kinds, "%s.%s is %r" % (where, name, found[name]))
        if kind is int:
            test.assertGreaterEqual(found[name], 0, "%s.%s" % (where, name))


def check_disk_report(test, disk, is_check):
    """The sums that must hold in any complete run, whatever the disks were."""
    check_fields(test, "disk", disk, DISK_FIELDS)
    test.assertEqual(disk["compared_bytes"], disk["size_bytes"], disk)
    test.assertLessEqual(disk["skipped_zero_bytes"] + disk["resumed_bytes"],
                         disk["size_bytes"], disk)
    test.assertLessEqual(disk["different_bytes"], disk["size_bytes"], disk)
    if is_check:
        test.assertEqual(disk["written_bytes"], 0, disk)
        test.assertEqual(disk["verified_bytes"], 0, disk)
    else:
        test.assertEqual(disk["verified_bytes"], disk["written_bytes"], disk)
        test.assertLessEqual(disk["written_bytes"], disk["different_bytes"], disk)
        test.assertEqual(disk["written_bytes"] == 0, disk["different_bytes"] == 0, disk)


def check_report(test, report, is_check=False):
    """A report of a run that came to its end."""
    wanted = {"schema": int, "result": str, "disks": list, "wire": dict}
    seconds = report.get("elapsed_seconds")
    test.assertIn(type(seconds), (int, float), report)
    test.assertGreaterEqual(seconds, 0)
    rest = {name: value for name, value in report.items() if name != "elapsed_seconds"}
    check_fields(test, "report", rest, wanted)
    test.assertEqual(report["schema"], 1)
    check_fields(test, "wire", report["wire"], WIRE_FIELDS)
    differs = False
    for disk in report["disks"]:
        check_disk_report(test, disk, is_check)
        differs = differs or disk["different_bytes"] > 0
        if is_check and disk["different_bytes"] > 0:
            test.assertIsNone(disk["proof"], "a proof of disks that differ")
        else:
            test.assertRegex(disk["proof"], r"^sha256:[0-9a-f]{64}$")
    test.assertEqual(report["result"], "different" if is_check and differs else "in-sync")
    return report["disks"]


def check_error(test, result, kind=None, words=(), disk=None):
    """A run with --json that failed as it should: exit status (2 for what could never be, 1 for
    the rest), one error object, one sentence that contains each of words (a regular expression,
    any case)."""
    test.assertIn(result.code, (FAILED, USAGE), result)
    report = result.report
    test.assertEqual(report.get("schema"), 1, result)
    test.assertEqual(report.get("result"), "failed", result)
    error = report.get("error")
    test.assertIs(type(error), dict, result)
    test.assertIn(error.get("kind"), ERROR_KINDS, result)
    test.assertEqual(result.code == USAGE, error["kind"] == "usage", result)
    test.assertEqual(sorted(error), ["disk", "kind", "message", "offset_bytes"], result)
    message = error.get("message")
    test.assertIs(type(message), str, result)
    test.assertTrue(message.strip(), result)
    test.assertNotIn("\n", message)
    if kind is not None:
        test.assertIn(error["kind"], kind if isinstance(kind, tuple) else (kind,), result)
    for word in (words,) if isinstance(words, str) else words:
        test.assertRegex(message + " " + str(error.get("disk")), "(?i)" + word, str(result))
    if disk is not None:
        test.assertIn(disk, message + " " + str(error.get("disk")), str(result))
    return error


# --- the test case --------------------------------------------------------------------------------


class Case(unittest.TestCase):
    """A temporary folder, a random source that depends on the seed and the test's name, and at
    the end proof that the test left no process and no file of the program's behind."""

    maxDiff = None

    def setUp(self):
        self.rng = random.Random("%d %s" % (SEED, self.id().split(".", 1)[-1]))
        self.dir = tempfile.mkdtemp(prefix="resilver-e2e-")
        os.chmod(self.dir, 0o755)
        self.addCleanup(shutil.rmtree, self.dir)
        self.run_dir = self.path("run")
        os.mkdir(self.run_dir)
        os.chmod(self.run_dir, 0o1777)
        self.addCleanup(self._check_nothing_left)

    def _check_nothing_left(self):
        try:
            wait_until(lambda: not tagged_processes(), "the end of every process", 15)
        except AssertionError:
            left = tagged_processes()
            for pid in left:
                try:
                    os.kill(pid, signal.SIGKILL)
                except ProcessLookupError:
                    pass
            if left:
                self.fail("processes left behind: %s" % left)
        self.assertEqual(os.listdir(self.run_dir), [], "left in the temporary directory")

    def path(self, *names):
        return os.path.join(self.dir, *names)

    def owned(self, thing):
        """Close it at the end of the test, before the folder goes."""
        self.addCleanup(thing.close)
        return thing

    def start(self, *arguments, **options):
        """Start resilver; the caller waits for it."""
        if told_to_end:
            self.fail("told to end")
        env = dict(options.pop("env", None) or {})
        env.setdefault("TMPDIR", self.run_dir)
        argv = [program(), *arguments]
        if options.get("user") is not None:
            # Another user may not be able to enter the folder of the build.
            argv[0] = self.path("resilver-for-others")
            shutil.copy(program(), argv[0])
        process = Process(argv, env=env, **options)
        self.addCleanup(process.end)
        return process

    def resilver(self, *arguments, deadline_s=DEADLINE_S, **options):
        return self.start(*arguments, **options).wait(deadline_s)

    def assert_same(self, path_a, path_b):
        result = run(["cmp", path_a, path_b])
        self.assertEqual(result.code, 0, result)

    def assert_exit(self, result, code):
        self.assertEqual(result.code, code, str(result))
        return result

    def sync_report(self, *arguments, **options):
        """`resilver sync --json` that must succeed; its disks' reports, all sums checked."""
        result = self.resilver("sync", "--json", *arguments, **options)
        self.assert_exit(result, IN_SYNC)
        return check_report(self, result.report)

    def sync_pair(self, source, target, *options):
        """Sync one pair of raw files and check everything about the result; its disk report."""
        must_differ = None
        if os.path.exists(target) and os.path.getsize(source) == os.path.getsize(target):
            must_differ = different_bytes(source, target)
        disk, = self.sync_report(source, target, *options)
        self.assert_same(source, target)
        self.assertEqual(disk["size_bytes"], os.path.getsize(source))
        if must_differ is not None:
            self.assertEqual(disk["different_bytes"], must_differ)
        self.assertFalse(os.path.exists(target + ".resilver"), "the checkpoint was not removed")
        return disk


told_to_end = []


def on_end_signal(number, _frame):
    """Told to end, as after a timeout: the test at hand fails, so that everything it started is
    ended and removed, and no other begins."""
    told_to_end.append(number)
    raise AssertionError("told to end by %s" % signal.Signals(number).name)


class CountingResult(unittest.TextTestResult):
    """Knows how many passed and how long each took, which unittest itself does not."""

    def __init__(self, *arguments, **options):
        super().__init__(*arguments, **options)
        self.passed = 0
        self.seconds = {}

    def startTest(self, test):
        if told_to_end:
            self.stop()
        self.seconds[test.id()] = -time.monotonic()
        super().startTest(test)

    def stopTest(self, test):
        super().stopTest(test)
        self.seconds[test.id()] += time.monotonic()

    def addSuccess(self, test):
        super().addSuccess(test)
        self.passed += 1


def main():
    """Run the calling script's tests; exit 77 if none ran because all were skipped."""
    print("seed %d (the same again: RESILVER_TEST_SEED=%d)" % (SEED, SEED), flush=True)
    program()
    signal.signal(signal.SIGTERM, on_end_signal)
    signal.signal(signal.SIGINT, on_end_signal)
    runner = unittest.TextTestRunner(verbosity=2, resultclass=CountingResult)
    result = unittest.main(exit=False, testRunner=runner).result
    for name in sorted(result.seconds, key=result.seconds.get)[:-6:-1]:
        print("%7.1f s  %s" % (result.seconds[name], name), flush=True)
    for test, reason in result.skipped:
        print("skipped: %s: %s" % (test, reason), flush=True)
    if not result.wasSuccessful():
        print("failed with RESILVER_TEST_SEED=%d" % SEED, flush=True)
        sys.exit(1)
    sys.exit(77 if result.passed == 0 and result.skipped else 0)
