# SPDX-License-Identifier: LGPL-2.1-or-later
"""Power cuts.

CrashDisk is a disk with a volatile cache (crash_disk.c, over NBD): what was not flushed when the
power is cut is lost, kept or half kept, by a seed. Rig puts a real file system on one:

    file system -> loop device (direct) -> nbdfuse -> nbdkit with crash_disk

    with power.Rig(folder, "ext4") as rig:
        process = Process([..., rig.path("b.raw")])
        rig.cut(seed, users=[process])   # or rig.plan_cut(n, seed) before, and rig.power_on(users)
        ... rig.path("b.raw") is what the kernel made of the surviving image ...

A cut leaves one of MODES; by default the seed chooses. A file system may rely on a sector of 512
bytes being written whole or not at all, so nothing within sectors is torn below one; CrashDisk
tears them if asked.
"""

import ctypes
import fcntl
import json
import os
import random
import socket
import struct
import subprocess
import time
import unittest

import lib
from lib import MIB

MODES = ("none", "all", "prefix", "writes", "sectors")

# The sizes are what mkfs asks for at least, rounded up; the images are sparse. Nothing is left for
# the kernel to initialize in the background: every write is the test's.
FILE_SYSTEMS = {
    "ext4": (96 * MIB, ["mkfs.ext4", "-q", "-F", "-E", "lazy_itable_init=0,lazy_journal_init=0"]),
    "xfs": (320 * MIB, ["mkfs.xfs", "-q", "-f"]),
    "btrfs": (128 * MIB, ["mkfs.btrfs", "-q", "-f"]),
}


def mode_of(seed):
    """Which of MODES this seed's cut leaves. The three that mix are the interesting ones."""
    return random.Random("mode %d" % seed).choice(MODES + ("prefix", "writes", "sectors"))


def plugin():
    """crash_disk.so: $RESILVER_CRASH_DISK, or that in the build folder of the program."""
    path = os.environ.get("RESILVER_CRASH_DISK", "") or os.path.join(
        os.path.dirname(lib.program()), "tests", "fault", "crash_disk.so")
    if not os.path.exists(path):
        raise unittest.SkipTest("needs RESILVER_CRASH_DISK, the plugin crash_disk.so")
    return os.path.abspath(path)


class CrashDisk:
    """image: a file that says what is on it at first; it stays as it is. After a cut the surviving
    image is the file `out`. lies: flushes are acknowledged and not done."""

    def __init__(self, folder, image, lies=False, name="crash"):
        lib.need_tool("nbdkit")
        base = os.path.join(folder, name)
        self.socket, self.control, self.out = base + ".sock", base + ".control", base + ".out"
        self.process = lib.Process(
            ["nbdkit", "--foreground", "--unix", self.socket, plugin(), "image=" + image,
             "control=" + self.control, "out=" + self.out, "lies=%d" % lies], is_server=True)
        try:
            # When the control answers, the other socket, made before it, takes connections.
            lib.wait_until(lambda: self._answers() or not self.process.is_alive(), "nbdkit",
                           every_s=0.001)
            if not self.process.is_alive():
                raise AssertionError("nbdkit ended: %s" % self.process.output())
        except AssertionError:
            self.process.end()
            raise

    def _answers(self):
        try:
            return bool(self.stats())
        except OSError:
            return False

    def url(self):
        return "nbd+unix:///?socket=%s" % self.socket

    def command(self, text):
        """Returns the counters."""
        with socket.socket(socket.AF_UNIX) as link:
            link.settimeout(lib.DEADLINE_S)
            link.connect(self.control)
            link.sendall(text.encode() + b"\n")
            answer = json.loads(link.makefile().read())
        if "error" in answer:
            raise AssertionError("%s: %s" % (text, answer["error"]))
        return answer

    def stats(self):
        return self.command("stats")

    def cut(self, seed, mode=None, torn_percent=0):
        return self.command("cut %d %s %d" % (seed, mode or mode_of(seed), torn_percent))

    def plan_cut(self, operation, seed, mode=None, torn_percent=0):
        """At that write, zero, trim or flush from now on; 1 is the next."""
        return self.command("cut_at %d %d %s %d" % (
            operation, seed, mode or mode_of(seed), torn_percent))

    def close(self):
        self.process.end()
        for path in (self.socket, self.control):
            if os.path.exists(path):
                os.unlink(path)


_has_private_mounts = []


def enter_private_mounts():
    """From now on what this process mounts is seen by it and its children alone, and is gone when
    they are. To be called before any thread is started."""
    if _has_private_mounts:
        return
    lib.need_root()
    libc = ctypes.CDLL(None, use_errno=True)
    clone_newns, ms_rec, ms_private = 0x20000, 0x4000, 1 << 18
    if libc.unshare(clone_newns) < 0 or \
            libc.mount(b"none", b"/", None, ms_rec | ms_private, None) < 0:
        raise unittest.SkipTest("needs a mount namespace (%s)" % os.strerror(ctypes.get_errno()))
    _has_private_mounts.append(True)


def need(fs_type):
    """Skip unless a Rig of this file system can be had here."""
    lib.need_root()
    lib.need_tool("nbdkit", "nbdfuse", "losetup", FILE_SYSTEMS[fs_type][1][0])
    if not os.path.exists("/dev/fuse"):
        raise unittest.SkipTest("needs /dev/fuse")
    with open("/proc/filesystems") as file:
        if fs_type not in file.read().split():
            raise unittest.SkipTest("needs a kernel with %s" % fs_type)
    plugin()


def make_image(folder, fs_type, size=None):
    """A formatted image, made once for a folder; every Rig begins with it."""
    least, command = FILE_SYSTEMS[fs_type]
    path = os.path.join(folder, "%s-%d.image" % (fs_type, size or least))
    if not os.path.exists(path):
        with open(path, "wb") as file:
            file.truncate(size or least)
        lib.must([lib.find_tool(command[0]), *command[1:], path])
    return path


def run_quietly(*argv):
    """A tool of ours, cheaply; returns whether it succeeded, and what it said."""
    done = subprocess.run(argv, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                          stderr=subprocess.STDOUT, timeout=lib.DEADLINE_S, check=False)
    return done.returncode == 0, done.stdout.decode(errors="replace").strip()


def must_quietly(*argv):
    is_good, said = run_quietly(*argv)
    if not is_good:
        raise AssertionError("the test's own command failed: %s: %s" % (" ".join(argv), said))
    return said


class Rig:
    """folder: for its images, sockets and mounts; several Rigs may follow each other in one, not
    at the same time. Nothing in the test may hold a file of it open over power_on()."""

    def __init__(self, folder, fs_type="ext4", size=None, lies=False, options=""):
        need(fs_type)
        enter_private_mounts()
        self.fs_type, self.options = fs_type, options
        self.where = os.path.join(folder, "mnt")
        self._fuse = os.path.join(folder, "fuse")
        for path in (self.where, self._fuse):
            os.makedirs(path, exist_ok=True)
        self._nbdfuse = None
        self._is_mounted = self._has_fuse = False
        self._loop = None
        self.is_direct = False
        self._folder, self._boots = folder, 0
        self.disk = None
        try:
            self._boot(make_image(folder, fs_type, size), lies)
        except BaseException:
            self.close()
            raise

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    def path(self, *names):
        return os.path.join(self.where, *names)

    def stats(self):
        return self.disk.stats()

    def flushed(self):
        """How many times anything was made durable."""
        stats = self.disk.stats()
        return stats["flushes"] + stats["fua"]

    def _boot(self, image, lies=False):
        """A new crash disk, with a name of its own: its image may be what the last one left."""
        self._boots += 1
        before = self.disk
        self.disk = CrashDisk(self._folder, image, lies, "crash-%d" % self._boots)
        if before is not None:
            os.unlink(before.out)
        file = os.path.join(self._fuse, "disk")
        self._nbdfuse = lib.Process(["nbdfuse", file, self.disk.url()], is_server=True)
        self._has_fuse = True
        lib.wait_until(lambda: os.path.exists(file) or not self._nbdfuse.is_alive(), "nbdfuse",
                       every_s=0.001)
        if not self._nbdfuse.is_alive():
            raise AssertionError("nbdfuse ended: %s" % self._nbdfuse.output())
        self._attach(file)

    def _attach(self, file):
        """Mount the file through a loop device that goes when the mount goes."""
        losetup = lib.find_tool("losetup")
        is_good, said = run_quietly(losetup, "--find", "--show", "--direct-io=on", file)
        if not is_good:
            said = must_quietly(losetup, "--find", "--show", file)
        self._loop = said.split()[-1]
        with open("/sys/block/%s/loop/dio" % os.path.basename(self._loop)) as flag:
            self.is_direct = flag.read().strip() == "1"
        argv = [lib.find_tool("mount"), "-t", self.fs_type]
        argv += ["-o", self.options] if self.options else []
        is_good, said = run_quietly(*argv, self._loop, self.where)
        # While it is in use this only marks it.
        must_quietly(losetup, "--detach", self._loop)
        if not is_good:
            raise AssertionError("cannot mount: %s" % said)
        self._is_mounted = True

    def _shut_down(self):
        """Tell the file system what it would find out: nothing it writes arrives any more."""
        go_down = 0x8004587d  # FS_IOC_SHUTDOWN; XFS_IOC_GOINGDOWN is the same
        without_flush = struct.pack("I", 2)
        try:
            fd = os.open(self.where, os.O_RDONLY)
        except OSError:
            return
        try:
            fcntl.ioctl(fd, go_down, without_flush)
        except OSError:
            pass  # Not every file system has it; then it finds out.
        finally:
            os.close(fd)

    def _unmount(self):
        if self._is_mounted:
            umount = lib.find_tool("umount")
            if not run_quietly(umount, self.where)[0]:
                must_quietly(umount, "--lazy", self.where)
            self._is_mounted = False

    def _tear_down(self):
        self._unmount()
        if self._nbdfuse is not None:
            self._nbdfuse.end()
            self._nbdfuse = None
        if self._has_fuse:
            run_quietly(lib.find_tool("umount"), "--lazy", self._fuse)
            self._has_fuse = False
        self.disk.close()

    def plan_cut(self, operation, seed, mode=None):
        """Cut at that write or flush of the device from now on; then power_on()."""
        self.disk.plan_cut(operation, seed, mode)

    def wait_for_cut(self, deadline_s=lib.DEADLINE_S):
        lib.wait_until(lambda: self.disk.stats()["is_cut"], "the planned cut", deadline_s)

    def cut(self, seed, mode=None, users=()):
        """Cut now, and go on with what is left; returns the counters."""
        self.disk.cut(seed, mode)
        return self.power_on(users)

    def power_on(self, users=(), can_be_cut=False):
        """End the processes (lib.Process) that were using it and mount what the cut has left, as a
        kernel does that starts again; returns the counters of before. can_be_cut: on a crash disk
        again, and not on a disk that does what it is told."""
        for process in users:
            process.end()
        stats = self.disk.stats()
        if not stats["is_cut"]:
            raise AssertionError("the power was not cut: %s" % stats)
        self._shut_down()
        self._tear_down()
        if can_be_cut:
            self._boot(self.disk.out)
        else:
            self._attach(self.disk.out)
        return stats

    def close(self):
        if self.disk is not None:
            self._tear_down()
            if os.path.exists(self.disk.out):
                os.unlink(self.disk.out)
            self.disk = None


class Stopwatch:
    """How long cycles took, for the line that a test prints at its end."""

    def __init__(self):
        self.began, self.count = time.monotonic(), 0

    def tick(self):
        self.count += 1

    def __str__(self):
        seconds = time.monotonic() - self.began
        return "%d in %.1f s, %.3f s each" % (self.count, seconds, seconds / max(1, self.count))
