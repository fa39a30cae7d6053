#!/usr/bin/python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""resilver sync into a replica whose file system is full: it waits, says so, and goes on by itself
within 10 s of room; the replica stays at its old point meanwhile. staged.py says what must hold."""

import os
import re
import signal
import sys
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "e2e"))
# pylint: disable=wrong-import-position
import lib
import staged
from lib import MIB
from staged import NEW, OLD, StagedCase

FILE_SYSTEMS = {"log": "ext4", "clone": "xfs", "beside": "ext4"}
SIZES = {"ext4": 64 * MIB, "xfs": 320 * MIB}
GOES_ON_S = 10


class Full(StagedCase):
    def setUp(self):
        lib.Case.setUp(self)
        lib.need_root()
        self.pair = staged.Pair(self.path("pair"), self.rng, sizes=(12 * MIB, 4 * MIB + 5),
                                share=0.6)

    def mounted(self, kind, history):
        """The replica at its old point, on a file system of its own."""
        fs_type = FILE_SYSTEMS[kind]
        lib.need_tool("mkfs." + fs_type)
        image, where = self.path(fs_type + ".img"), self.path(kind)
        with open(image, "wb") as file:
            file.truncate(SIZES[fs_type])
        # Nothing is kept back for root, who runs this.
        options = ["-m", "0"] if fs_type == "ext4" else []
        lib.must([lib.find_tool("mkfs." + fs_type), "-q", *options, image])
        os.makedirs(where)
        self.mount = self.owned(lib.Mount(image, where, fs_type, "loop"))
        replica = staged.Replica(self, self.pair, kind, where, history=history)
        replica.reset()
        lib.must(["rm", "-rf", replica.template])
        self.filler = os.path.join(where, "filler")
        return replica

    def fill(self, left_bytes):
        """Leave about so much room."""
        where = os.path.dirname(self.filler)
        lib.must(["sync", "-f", where])

        def missing():
            stats = os.statvfs(where)
            return stats.f_bavail * stats.f_bsize - left_bytes
        # XFS gives room back when a file is closed that grew: again, until it stays.
        while missing() >= 65536:
            with open(self.filler, "ab") as file:
                while missing() >= 65536:
                    file.write(bytes(min(missing(), MIB)))
                    file.flush()
                    os.fsync(file.fileno())

    def start_and_wait(self, replica, left_bytes, words="no room left for the staged point"):
        self.fill(left_bytes)
        process = self.start(*replica.command("--json"))
        lib.wait_until(lambda: words.encode() in b"".join(process.output()) or
                       not process.is_alive(), "that it waits for room")
        self.assertTrue(process.is_alive(), process.output())
        return process

    def pause_and_go_on(self, kind, left_bytes, history=0, in_commit=False):
        replica = self.mounted(kind, history)
        process = self.start_and_wait(replica, left_bytes)
        self.assertEqual(os.path.exists(os.path.join(replica.folder, "commit")), in_commit)
        os.unlink(self.filler)
        freed = time.monotonic()
        result = process.wait()
        seconds = time.monotonic() - freed
        self.assert_exit(result, lib.IN_SYNC)
        self.assertLess(seconds, GOES_ON_S)
        self.assertIn("going on", result.err)
        self.assertEqual(replica.state(), NEW)
        print("%s: went on %.1f s after there was room" % (kind, seconds), flush=True)

    def test_log(self):
        self.pause_and_go_on("log", 2 * MIB)

    def test_clone(self):
        self.pause_and_go_on("clone", 6 * MIB)

    def test_below_the_reserve_nothing_is_begun(self):
        """A 64th of a small file system is kept free: with less the run waits before its first
        byte, although a few leaves would fit, and says what is free and what is wanted."""
        self.wait_for_reserve("log")

    def test_below_the_reserve_beside(self):
        self.wait_for_reserve("beside")

    def test_below_the_reserve_on_clones(self):
        self.wait_for_reserve("clone")

    def wait_for_reserve(self, kind):
        replica = self.mounted(kind, 0)
        stats = os.statvfs(replica.where)
        wanted = stats.f_blocks * stats.f_frsize // 64
        process = self.start_and_wait(replica, wanted * 2 // 3, "too little room to begin")
        said = b"".join(process.output()).decode()
        found = re.search(r"the file system of (\S+) has (\d+) bytes free and should have (\d+); "
                          "make room there", said)
        self.assertIsNotNone(found, said)
        self.assertTrue(found.group(1).startswith(replica.folder), said)
        self.assertLess(int(found.group(2)), wanted, said)
        self.assertEqual(int(found.group(3)), wanted, said)
        os.unlink(self.filler)
        result = process.wait()
        self.assert_exit(result, lib.IN_SYNC)
        self.assertIn("going on", result.err)
        self.assertEqual(replica.state(), NEW)

    def test_below_the_reserve_an_equal_disk_is_no_matter(self):
        """Nothing is written, so that nothing waits."""
        replica = self.mounted("log", 0)
        old = [self.pair.path("old", name) for name in staged.NAMES]
        stats = os.statvfs(replica.where)
        self.fill(stats.f_blocks * stats.f_frsize // 64 * 2 // 3)
        result = self.resilver("sync", "--json", *replica.pairs(old))
        self.assert_exit(result, lib.IN_SYNC)
        self.assertEqual(result.err, "")

    def test_beside(self):
        self.pause_and_go_on("beside", 2 * MIB)

    def test_the_undo_log_finds_no_room(self):
        """The journal fits, what the commit saves of the old point does not."""
        self.pause_and_go_on("log", 8 * MIB, history=2, in_commit=True)

    def test_a_disk_with_holes_finds_no_room(self):
        """The journal fits; the holes that the commit fills on the disk itself do not, and no undo
        log is kept."""
        for name in staged.NAMES:
            size = os.path.getsize(self.pair.path("old", name))
            lib.make_disk(self.pair.path("sources", name), size, self.rng)
            with open(self.pair.path("old", name), "wb") as file:
                file.truncate(size)
        self.pause_and_go_on("log", 20 * MIB, in_commit=True)

    def test_interrupted_while_it_waits(self):
        replica = self.mounted("log", 0)
        process = self.start_and_wait(replica, 2 * MIB)
        process.signal(signal.SIGINT)
        result = process.wait()
        lib.check_error(self, result, "cancelled")
        os.unlink(self.filler)
        self.assertEqual(replica.state(), OLD)
        replica.finish()


if __name__ == "__main__":
    lib.main()
