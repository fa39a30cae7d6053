#!/usr/bin/python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""Disks that fail, fill up or change while resilver works. Each test proves that its fault
happened: a fault that did not fire tests nothing."""

import os
import signal
import threading
import time

import lib
from lib import FAILED, LEAF, MIB


class FailingDisks(lib.Case):
    SIZE = 16 * MIB

    def setUp(self):
        super().setUp()
        lib.need_tool("nbdkit")

    def test_a_source_with_a_bad_spot(self):
        """The error names disk and offset; what was done is kept, and the spot mended, the same
        command finishes."""
        source = lib.make_disk(self.path("a"), self.SIZE, self.rng)
        target = lib.make_disk(self.path("b.raw"), self.SIZE, self.rng)
        bad = self.rng.randrange(self.SIZE // 2, self.SIZE)
        server = self.owned(self.serve_with_bad_spot(source, bad, "pread"))
        result = self.resilver("sync", "--json", server.url(), target)
        error = lib.check_error(self, result, "io", "Input/output error")
        self.assertTrue(os.path.exists(self.path("fired")), "the fault did not fire")
        self.assert_read_with(error, bad)
        self.assertIn(server.socket, str(error["disk"]))
        server.close()
        self.sync_pair(source, target)

    def test_a_target_with_a_bad_spot(self):
        for call in ("pread", "pwrite"):
            with self.subTest(call=call):
                source = lib.make_disk(self.path("a.raw"), self.SIZE, self.rng)
                target = lib.make_disk(self.path("b"), self.SIZE, self.rng)
                bad = self.rng.randrange(self.SIZE // 2, self.SIZE)
                server = self.owned(self.serve_with_bad_spot(target, bad, call))
                result = self.resilver("sync", "--json", source, server.url())
                self.assertTrue(os.path.exists(self.path("fired")), "the fault did not fire")
                os.unlink(self.path("fired"))
                error = lib.check_error(self, result, "io", "Input/output error")
                self.assertIn(server.socket, str(error["disk"]))
                if call == "pread":
                    self.assert_read_with(error, bad)
                server.close()
                self.sync_pair(source, target)

    def assert_read_with(self, error, bad):
        """The offset is that of the read, of 256 KiB at most, which met the bad byte."""
        self.assertLessEqual(error["offset_bytes"], bad)
        self.assertGreater(error["offset_bytes"] + 4 * LEAF, bad)

    def serve_with_bad_spot(self, path, offset, call):
        """An export of path where this call fails whenever it touches the byte at offset."""
        spot = ("if [ $4 -le {0} ] && [ $(($4+$3)) -gt {0} ]; then touch {1}; "
                "echo EIO bad spot >&2; exit 1; fi; ").format(offset, self.path("fired"))
        reads = "dd if={0} iflag=skip_bytes,count_bytes skip=$4 count=$3 status=none".format(path)
        writes = "dd of={0} oflag=seek_bytes conv=notrunc seek=$4 bs=64K status=none".format(path)
        return lib.Nbdkit(
            self.dir, "spot-" + call, "eval",
            "get_size=echo %d" % os.path.getsize(path),
            "pread=" + (spot if call == "pread" else "") + reads,
            "pwrite=" + (spot if call == "pwrite" else "") + writes,
            "flush=true", "can_write=exit 0", "can_flush=exit 0")

    def sync_with_error_filter(self, failing, role, *settings):
        """Run over an export whose calls start to fail in the middle; returns the disks."""
        a = lib.make_disk(self.path("a.raw"), self.SIZE, self.rng)
        b = lib.make_disk(self.path("b.raw"), self.SIZE, self.rng)
        trigger = self.path("trigger")
        server = self.owned(lib.Nbdkit(
            self.dir, "failing", "--filter=error", "file", a if role == "source" else b,
            "error=EIO", "error-rate=0", *settings, "error-%s-file=%s" % (failing, trigger)))
        pair = (server.url(), b) if role == "source" else (a, server.url())
        process = self.start("sync", "--json", "--bwlimit=16M", *pair)
        time.sleep(0.4)  # Not to wait for anything: to let the fault come in the middle.
        open(trigger, "w").close()
        result = process.wait()
        self.assertIn("error: injecting EIO", server.log(), "the fault did not fire")
        error = lib.check_error(self, result, "io", "Input/output error")
        self.assertIn(server.socket, str(error["disk"]))
        server.close()
        return a, b

    def test_a_source_that_fails_in_the_middle(self):
        a, b = self.sync_with_error_filter("pread", "source", "error-pread-rate=100%")
        self.sync_pair(a, b)

    def test_a_target_whose_writes_fail_in_the_middle(self):
        a, b = self.sync_with_error_filter("pwrite", "target", "error-pwrite-rate=100%")
        self.sync_pair(a, b)

    def test_a_target_whose_reads_fail_in_the_middle(self):
        a, b = self.sync_with_error_filter("pread", "target", "error-pread-rate=100%")
        self.sync_pair(a, b)

    def test_a_server_that_dies_in_the_middle(self):
        for role in ("source", "target"):
            with self.subTest(role=role):
                a = lib.make_disk(self.path("a.raw"), self.SIZE, self.rng)
                b = lib.make_disk(self.path("b.raw"), self.SIZE, self.rng)
                server = self.owned(lib.Nbdkit(self.dir, "dying-" + role, "file",
                                               a if role == "source" else b))
                pair = (server.url(), b) if role == "source" else (a, server.url())
                process = self.start("sync", "--json", "--bwlimit=16M", *pair)
                lib.wait_until(lambda: "pread" in server.log(), "the first read")
                server.close()
                lib.check_error(self, process.wait(), ("io", "peer"), server.socket)
                self.sync_pair(a, b)


class FullDisks(lib.Case):
    SIZE = 24 * MIB

    def setUp(self):
        super().setUp()
        lib.need_root()

    def sync_to_small_file_system(self, where):
        """A sparse target grows until there is no room; then room is made, and the same command
        goes on and ends equal."""
        filler = os.path.join(where, "filler")
        with open(filler, "wb") as file:
            file.write(bytes(20 * MIB))
        target = os.path.join(where, "b.raw")
        with open(target, "wb") as file:
            file.truncate(self.SIZE)
        source = lib.make_disk(self.path("a.raw"), self.SIZE, self.rng)
        result = self.resilver("sync", "--json", source, target)
        error = lib.check_error(self, result, "limit", "No space left on device")
        self.assertIn("b.raw", str(error["disk"]) + error["message"])
        left = lib.different_bytes(source, target)
        self.assertGreater(left, 0, "the disk was not full")
        os.unlink(filler)
        disk, = self.sync_report(source, target)
        self.assert_same(source, target)
        self.assertLessEqual(disk["written_bytes"], left)
        self.assertEqual(os.listdir(where), [name for name in os.listdir(where)
                                             if name in ("b.raw", "lost+found")])

    def test_tmpfs(self):
        mount = self.owned(lib.Mount("tmpfs", self.path("small"), "tmpfs", "size=36m"))
        self.sync_to_small_file_system(mount.where)

    def test_ext4(self):
        lib.need_tool("mkfs.ext4", "losetup")
        with open(self.path("fs"), "wb") as file:
            file.truncate(40 * MIB)
        lib.must([lib.find_tool("mkfs.ext4"), "-q", self.path("fs")])
        mount = self.owned(lib.Mount(self.path("fs"), self.path("small"), "ext4", "loop"))
        self.sync_to_small_file_system(mount.where)

    def test_no_room_for_the_new_target(self):
        mount = self.owned(lib.Mount("tmpfs", self.path("small"), "tmpfs", "size=4m"))
        source = lib.make_disk(self.path("a.raw"), 16 * MIB, self.rng)
        target = os.path.join(mount.where, "b.raw")
        result = self.resilver("sync", "--json", "--create", source, target)
        lib.check_error(self, result, "limit", "No space left on device")


class ChangingSource(lib.Case):
    """A raw file that something without QEMU's locks writes to while it is read."""

    SIZE = 32 * MIB

    def run_with_writer(self, offsets, *options):
        source = lib.make_disk(self.path("a.raw"), self.SIZE, self.rng)
        target = lib.make_disk(self.path("b.raw"), self.SIZE, self.rng)
        stop, count = threading.Event(), [0]

        def write():
            with open(source, "r+b", buffering=0) as file:
                while not stop.is_set():
                    file.seek(offsets[count[0] % len(offsets)])
                    file.write(os.urandom(512))
                    count[0] += 1
                    stop.wait(0.002)

        writer = threading.Thread(target=write)
        process = self.start("sync", "--json", "--bwlimit=64M", *options, source, target)
        writer.start()
        try:
            result = process.wait()
        finally:
            stop.set()
            writer.join()
        self.assertGreater(count[0], 2, "the writer did not write")
        return source, target, result

    def test_a_leaf_written_again_and_again(self):
        source, target, result = self.run_with_writer([self.rng.randrange(self.SIZE // 512) * 512])
        lib.check_error(self, result, "state", ("a\\.raw", "changed"))
        self.sync_pair(source, target)

    def test_writes_all_over_the_disk(self):
        offsets = [self.rng.randrange(self.SIZE // 512) * 512 for _ in range(5000)]
        source, target, result = self.run_with_writer(offsets)
        lib.check_error(self, result, "state", ("a\\.raw", "changed"))
        self.sync_pair(source, target)

    def test_check_does_not_say_equal_either(self):
        source, target, result = self.run_with_writer([0, self.SIZE // 2, self.SIZE - 512],
                                                      "--check")
        self.assertIn(result.code, (FAILED, lib.DIFFERENT), result)

    def test_one_write_after_its_leaf_was_read(self):
        """The run's result would be the disk as it no longer is."""
        source = lib.make_disk(self.path("a.raw"), self.SIZE, self.rng)
        target = lib.make_disk(self.path("b.raw"), self.SIZE, self.rng)
        process = self.start("sync", "--json", "--bwlimit=32M", source, target)
        lib.wait_until(lambda: not process.is_alive() or
                       lib.leaf_is_equal(source, target, 20), "the first leaves")
        self.assertTrue(process.is_alive(), "it ended before the change")
        lib.change_bytes(source, 0, os.urandom(512))
        lib.check_error(self, process.wait(), "state", ("a\\.raw", "changed"))
        self.sync_pair(source, target)

    def test_a_source_that_is_cut_short(self):
        source = lib.make_disk(self.path("a.raw"), self.SIZE, self.rng)
        target = lib.make_disk(self.path("b.raw"), self.SIZE, self.rng)
        process = self.start("sync", "--json", "--bwlimit=32M", source, target)
        lib.wait_until(lambda: not process.is_alive() or
                       lib.leaf_is_equal(source, target, 20), "the first leaves")
        self.assertTrue(process.is_alive(), "it ended before the change")
        os.truncate(source, self.SIZE // 2)
        lib.check_error(self, process.wait(), ("state", "io"), "a\\.raw")


class ChangingTarget(lib.Case):
    SIZE = 32 * MIB

    def test_a_target_that_somebody_else_writes_to(self):
        """What was verified and then spoilt is found, or at least never called proven."""
        source = lib.make_disk(self.path("a.raw"), self.SIZE, self.rng)
        target = lib.make_disk(self.path("b.raw"), self.SIZE, self.rng)
        process = self.start("sync", "--json", "--bwlimit=16M", source, target)
        lib.wait_until(lambda: not process.is_alive() or
                       lib.leaf_is_equal(source, target, 20), "the first leaves")
        self.assertTrue(process.is_alive(), "it ended before the change")
        process.signal(signal.SIGKILL)
        process.wait()
        lib.change_bytes(target, 0, os.urandom(LEAF))
        self.sync_pair(source, target)


if __name__ == "__main__":
    lib.main()
