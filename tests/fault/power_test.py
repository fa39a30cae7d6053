#!/usr/bin/python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""Whether the power cuts of power.py are what they say: what was flushed survives, what was not is
sometimes lost, and a disk that lies about flushes is found out. And what every `resilver sync` into
a disk promises about them.

  power_test.py [--cuts N] [unittest's arguments]

N cuts (50 unless said; RESILVER_CUTS sets it too) of each kind.
"""

import mmap
import os
import random
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "e2e"))
# pylint: disable=wrong-import-position
import lib
import power
from lib import IN_SYNC, LEAF, MIB

RECORD = 64 * 1024
SECTOR = 512


def take_count():
    for at, word in enumerate(sys.argv):
        if word.startswith("--cuts="):
            del sys.argv[at]
            return int(word.partition("=")[2])
        if word == "--cuts":
            value = sys.argv[at + 1]
            del sys.argv[at:at + 2]
            return int(value)
    return int(os.environ.get("RESILVER_CUTS") or 50)


CUTS = take_count()


def write_durably(path, data):
    with open(path, "wb") as file:
        file.write(data)
        file.flush()
        os.fsync(file.fileno())
    folder = os.open(os.path.dirname(path), os.O_RDONLY)
    os.fsync(folder)
    os.close(folder)


def write_to_the_cache(path, data):
    """Over blocks that are there already, as far as the disk but not flushed: past the kernel's
    cache, so that nothing of it is left to be lost in there."""
    aligned = mmap.mmap(-1, len(data))
    aligned.write(data)
    fd = os.open(path, os.O_WRONLY | os.O_DIRECT)
    try:
        if os.pwrite(fd, aligned, 0) != len(data):
            raise AssertionError("short write")
    finally:
        os.close(fd)
        aligned.close()


def count_kinds(data, old, new):
    """How many sectors are old, new, and neither."""
    kinds = {"old": 0, "new": 0, "neither": 0}
    for at in range(0, len(data), SECTOR):
        sector = data[at:at + SECTOR]
        kinds["old" if sector == old[at:at + SECTOR] else
              "new" if sector == new[at:at + SECTOR] else "neither"] += 1
    return kinds


class FileSystems(lib.Case):
    """The rig itself."""

    def cut_once(self, fs_type, seed, lies=False):
        """(whether the flushed file survived, kinds of sectors of the unflushed one)."""
        rng = random.Random(seed)
        old, new, safe = (rng.randbytes(RECORD) for _ in range(3))
        with power.Rig(self.dir, fs_type, lies=lies) as rig:
            self.assertTrue(rig.is_direct, "the kernel's cache lies between")
            write_durably(rig.path("loose"), old)
            before = rig.flushed()
            write_durably(rig.path("safe"), safe)
            self.assertGreater(rig.flushed(), before, "fsync did not reach the disk")
            writes = rig.stats()["writes"]
            write_to_the_cache(rig.path("loose"), new)
            self.assertGreater(rig.stats()["writes"], writes, "a write did not reach the disk")
            try:
                rig.cut(seed)
                with open(rig.path("safe"), "rb") as file:
                    is_safe = file.read() == safe
                with open(rig.path("loose"), "rb") as file:
                    loose = file.read()
            except (OSError, AssertionError):
                if not lies:
                    raise
                return False, None  # Not even the file system could be mounted.
            return is_safe, count_kinds(loose, old, new)

    def cut_many(self, fs_type, count):
        seen = {"all old": 0, "all new": 0, "mixed": 0}
        watch = power.Stopwatch()
        for _ in range(count):
            seed = self.rng.randrange(2**31)
            with self.subTest(fs_type=fs_type, seed=seed, mode=power.mode_of(seed)):
                is_safe, kinds = self.cut_once(fs_type, seed)
                watch.tick()
                self.assertTrue(is_safe, "what was flushed is gone")
                self.assertEqual(kinds["neither"], 0, "a sector of neither content")
                seen["all old" if not kinds["new"] else
                     "all new" if not kinds["old"] else "mixed"] += 1
        print("%s: %s cuts; unflushed: %s" % (fs_type, watch, seen), flush=True)
        if count >= 50:
            self.assertGreater(min(seen.values()), 0, seen)

    def test_ext4(self):
        self.cut_many("ext4", CUTS)

    def test_xfs(self):
        self.cut_many("xfs", CUTS)

    def test_btrfs(self):
        """Unflushed data is in blocks of its own here, which nothing refers to after the cut."""
        count = max(1, CUTS // 5)
        watch = power.Stopwatch()
        for _ in range(count):
            seed = self.rng.randrange(2**31)
            with self.subTest(seed=seed, mode=power.mode_of(seed)):
                is_safe, kinds = self.cut_once("btrfs", seed)
                watch.tick()
                self.assertTrue(is_safe, "what was flushed is gone")
                self.assertEqual(kinds["neither"], 0, "a sector of neither content")
        print("btrfs: %s cuts" % watch, flush=True)

    def test_a_disk_that_lies_is_found_out(self):
        lost = 0
        for seed in range(10):
            is_safe, _ = self.cut_once("ext4", seed, lies=True)
            lost += not is_safe
        print("lying disk: %d of 10 lost what was flushed" % lost, flush=True)
        self.assertGreater(lost, 0)

    def test_a_planned_cut(self):
        """At the n-th operation: nothing of the device succeeds after it."""
        for operation in (1, 2, 5):
            with power.Rig(self.dir, "ext4") as rig:
                write_durably(rig.path("safe"), b"x" * RECORD)
                rig.plan_cut(operation, seed=operation)
                with self.assertRaises(OSError):
                    for number in range(operation):
                        write_durably(rig.path("new-%d" % number), b"y" * RECORD)
                rig.wait_for_cut()
                rig.power_on()
                with open(rig.path("safe"), "rb") as file:
                    self.assertEqual(file.read(), b"x" * RECORD)

    def test_cut_after_cut(self):
        """What comes back after a cut can be cut again, in the middle of the recovery."""
        rng = random.Random(7)
        safe = [rng.randbytes(RECORD) for _ in range(4)]
        with power.Rig(self.dir, "ext4") as rig:
            for number, data in enumerate(safe):
                write_durably(rig.path("safe-%d" % number), data)
                rig.disk.cut(seed=number)
                rig.power_on(can_be_cut=True)
                for name, known in enumerate(safe[:number + 1]):
                    with open(rig.path("safe-%d" % name), "rb") as file:
                        self.assertEqual(file.read(), known)
                self.assertGreater(rig.stats()["operations"], 0, "it recovered without writing")


class Syncs(lib.Case):
    """`resilver sync` straight into a disk that loses power. Sectors may be torn here."""

    SIZE = 16 * MIB
    TORN_PERCENT = 10

    def setUp(self):
        super().setUp()
        self.source = lib.make_disk(self.path("a.raw"), self.SIZE, self.rng, lib.ALL_KINDS)
        self.target = lib.copy_disk(self.source, self.path("b.raw"))
        leaves = self.SIZE // LEAF
        self.changed = lib.scatter(leaves, 0.2, self.rng)
        lib.change_leaves(self.target, self.changed, self.rng)

    def count_operations(self):
        disk = self.owned(power.CrashDisk(self.dir, self.target))
        self.assert_exit(self.resilver("sync", self.source, disk.url()), IN_SYNC)
        stats = disk.stats()
        disk.close()
        return stats["operations"]

    def test_in_sync_is_durable(self):
        """Whatever a cache without power forgets: at exit 0 there is nothing in it any more."""
        for mode in power.MODES:
            with self.subTest(mode=mode):
                disk = self.owned(power.CrashDisk(self.dir, self.target))
                self.assert_exit(self.resilver("sync", self.source, disk.url()), IN_SYNC)
                stats = disk.cut(1, mode, self.TORN_PERCENT)
                self.assertGreater(stats["flushes"], 0)
                self.assertEqual(stats["unflushed"], 0)
                disk.close()
                self.assert_same(self.source, disk.out)

    def test_cut_at_any_operation(self):
        """What was never named is never changed, and the same command finishes."""
        operations = self.count_operations()
        watch = power.Stopwatch()
        for _ in range(CUTS):
            operation = self.rng.randrange(1, operations + 1)
            seed = self.rng.randrange(2**31)
            with self.subTest(operation=operation, seed=seed, mode=power.mode_of(seed)):
                disk = self.owned(power.CrashDisk(self.dir, self.target))
                disk.plan_cut(operation, seed, torn_percent=self.TORN_PERCENT)
                result = self.resilver("sync", "--json", self.source, disk.url())
                self.assertTrue(disk.stats()["is_cut"], "the power was not cut: %s" % result)
                disk.close()
                lib.check_error(self, result, ("io", "peer"))
                left = lib.different_leaves(self.source, disk.out)
                self.assertLessEqual(set(left), set(self.changed), "a leaf nobody named")
                self.sync_pair(self.source, disk.out)
                watch.tick()
        print("cuts of a sync (%d operations): %s" % (operations, watch), flush=True)

    def copy_target(self, rig):
        """The target in the rig's file system, whole and durable."""
        target = lib.copy_disk(self.target, rig.path("b.raw"))
        fd = os.open(target, os.O_RDONLY)
        os.fsync(fd)
        os.close(fd)
        return target

    def count_operations_in_a_file_system(self):
        with power.Rig(self.dir, "ext4") as rig:
            target = self.copy_target(rig)
            before = rig.stats()["operations"]
            self.assert_exit(self.resilver("sync", self.source, target), IN_SYNC)
            return rig.stats()["operations"] - before

    def test_a_target_in_a_file_system(self):
        """As a file, where the cut also meets the file system; both what is sparse and what is
        not. At exit 0 everything is there; before that, the same command finishes."""
        operations = self.count_operations_in_a_file_system()
        done, watch = 0, power.Stopwatch()
        for number in range(max(4, CUTS // 2)):
            seed = self.rng.randrange(2**31)
            is_planned = number % 4 != 0
            with self.subTest(seed=seed, mode=power.mode_of(seed), is_planned=is_planned), \
                    power.Rig(self.dir, "ext4") as rig:
                target = self.copy_target(rig)
                if is_planned:
                    rig.plan_cut(self.rng.randrange(1, operations + 1), seed)
                result = self.resilver("sync", "--json", self.source, target)
                if not rig.stats()["is_cut"]:
                    self.assert_exit(result, IN_SYNC)
                    rig.cut(seed)
                else:
                    rig.power_on()
                if result.code == IN_SYNC:
                    self.assert_same(self.source, target)
                    done += 1
                else:
                    lib.check_error(self, result)
                    left = lib.different_leaves(self.source, target)
                    self.assertLessEqual(set(left), set(self.changed), "a leaf nobody named")
                    self.sync_pair(self.source, target)
                watch.tick()
        print("cuts of a sync into a file on ext4 (%d operations): %s, %d after its end" % (
            operations, watch, done), flush=True)


if __name__ == "__main__":
    lib.main()
