#!/usr/bin/python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""resilver sync into replicas and with --atomic: all kinds of disks, points, resuming, refusals.
What happens to it when it is interrupted is tests/fault's."""

import fcntl
import os
import struct

import lib
from lib import FAILED, IN_SYNC, LEAF, MIB

USAGE = 2
SIZE = 6 * MIB + 12345


class Staged(lib.Case):
    def setUp(self):
        super().setUp()
        self.source = lib.make_disk(self.path("vm.raw"), SIZE, self.rng, lib.ALL_KINDS)
        self.old = lib.copy_disk(self.source, self.path("old.raw"))
        lib.change_leaves(self.old, lib.scatter(SIZE // LEAF, 0.3, self.rng), self.rng)
        self.replica = self.path("replica")

    def convert(self, source, form, name):
        target = self.path(name)
        lib.must(["qemu-img", "convert", "-f", "raw", "-O", form, source, target])
        return target

    def assert_images_equal(self, form, image, raw):
        done = lib.run(["qemu-img", "compare", "-f", form, "-F", "raw", image, raw])
        self.assertEqual(done.code, 0, done)

    def sync(self, *arguments, code=IN_SYNC):
        result = self.resilver("sync", *arguments)
        self.assert_exit(result, code)
        return result

    def wide_pair(self):
        """A source that takes a while, and what it is later."""
        source, newer = self.path("wide.raw"), self.path("newer.raw")
        with open(source, "wb") as file:
            file.truncate(640 * MIB)
            for offset in range(0, 640 * MIB, 16 * MIB):
                file.seek(offset)
                file.write(self.rng.randbytes(LEAF))
        lib.copy_disk(source, newer)
        # More than a batch of the stage, and then, far behind it, what the run is killed in: more
        # than another, for leaves are not shipped quite in their order.
        lib.change_leaves(newer, list(range(0, 2000, 10)) + list(range(10000, 10200)), self.rng)
        return source, newer

    def interrupted(self, *command, checkpoint):
        """A sync that is killed once it has made a checkpoint."""
        process = self.start("sync", "--bwlimit=6M", "--compress=never", "--refine=never",
                             *command)
        lib.wait_until(lambda: not process.is_alive() or os.path.exists(checkpoint),
                       "a checkpoint")
        self.assertTrue(process.is_alive(), "it ended before it was killed")
        process.signal(9)
        process.wait()


class Atomic(Staged):
    """Plain targets."""

    def atomic(self, target, *options):
        self.sync("--atomic", *options, self.source, target)
        self.assertFalse(os.path.exists(target + ".resilver"), "something was left")

    def test_raw(self):
        target = lib.copy_disk(self.old, self.path("target.raw"))
        os.chmod(target, 0o640)
        self.atomic(target)
        self.assert_same(self.source, target)
        self.assertEqual(os.stat(target).st_mode & 0o7777, 0o640)

    def test_images(self):
        for form in ("qcow2", "vhdx", "vmdk", "vdi"):
            with self.subTest(format=form):
                # Formats without sizes to the byte round up.
                source = lib.copy_disk(self.source, self.path("whole.raw"))
                os.truncate(source, 6 * MIB)
                old = lib.copy_disk(self.old, self.path("whole-old.raw"))
                os.truncate(old, 6 * MIB)
                target = self.convert(old, form, "target." + form)
                self.sync("--atomic", source, target)
                self.assert_images_equal(form, target, source)
                self.assertFalse(os.path.exists(target + ".resilver"))

    def test_a_block_device(self):
        lib.need_root()
        image = lib.copy_disk(self.old, self.path("device.img"))
        os.truncate(image, 7 * MIB)
        source = lib.copy_disk(self.source, self.path("source.img"))
        os.truncate(source, 7 * MIB)
        device = self.owned(lib.LoopDevice(image))
        self.sync("--atomic", source, device.device)
        device.close()
        self.assert_same(source, image)

    def test_a_target_that_is_made(self):
        target = self.path("new.raw")
        self.atomic(target, "--create")
        self.assert_same(self.source, target)

    def test_nothing_differs(self):
        target = lib.copy_disk(self.source, self.path("target.raw"))
        self.atomic(target)
        self.assert_same(self.source, target)

    def test_the_target_is_not_touched_before_the_commit(self):
        """A source that fails in the middle: not a byte of the target is another."""
        target = lib.copy_disk(self.old, self.path("target.raw"))
        process = self.start("sync", "--json", "--atomic", "--bwlimit=1M", self.source, target)
        lib.wait_until(lambda: not process.is_alive() or
                       os.path.exists(target + ".resilver/staged"), "the stage")
        process.signal(2)
        lib.check_error(self, process.wait(), "cancelled")
        self.assert_same(self.old, target)
        self.atomic(target)
        self.assert_same(self.source, target)

    def test_refusals_change_nothing(self):
        target = lib.copy_disk(self.old, self.path("target.raw"))
        short = self.path("short.raw")
        with open(short, "wb") as file:
            file.truncate(MIB)
        link = self.path("link.raw")
        os.symlink(target, link)
        for words, arguments, code in (
                ("must be of the same size", (self.source, short), FAILED),
                ("does not exist", (self.source, self.path("none.raw")), FAILED),
                ("cannot go together", ("--check", self.source, target), USAGE),
                ("cannot go together", ("--in-place", self.source, target), USAGE),
                ("cannot be staged", (self.source, "nbd+unix:///x?socket=/none"), USAGE)):
            with self.subTest(arguments=arguments):
                before = lib.Untouched(target)
                result = self.sync("--atomic", *arguments, code=code)
                self.assertIn(words, result.err)
                before.check(self)
                left = [name for name in os.listdir(self.dir) if name.endswith(".resilver")]
                self.assertEqual(left, [], "something was left")

    def test_a_target_in_use_by_a_vm(self):
        """QEMU's lock on byte 101 of a running VM's disk."""
        target = lib.copy_disk(self.old, self.path("target.raw"))
        with open(target, "rb") as file:
            lock = struct.pack("hhqqi", fcntl.F_RDLCK, 0, 101, 1, 0)
            fcntl.fcntl(file.fileno(), 37, lock)  # F_OFD_SETLK
            result = self.sync("--atomic", self.source, target, code=FAILED)
            self.assertIn("in use", result.err)
        self.assertFalse(os.path.exists(target + ".resilver"))
        self.atomic(target)

    def test_two_disks_are_at_one_point(self):
        data = lib.make_disk(self.path("data.raw"), 3 * MIB, self.rng)
        targets = [lib.copy_disk(self.old, self.path("t1.raw")), self.path("t2.raw")]
        with open(targets[1], "wb") as file:
            file.truncate(3 * MIB)
        self.sync("--atomic", "--disk=%s=%s" % (self.source, targets[0]),
                  "--disk=%s=%s" % (data, targets[1]))
        self.assert_same(self.source, targets[0])
        self.assert_same(data, targets[1])

    def test_named_by_a_link(self):
        """What is staged lies beside the file itself, whatever name it was given."""
        target = lib.copy_disk(self.old, self.path("target.raw"))
        os.makedirs(self.path("links"))
        link = self.path("links", "vm.raw")
        os.symlink(target, link)
        process = self.start("sync", "--atomic", "--bwlimit=1M", self.source, link)
        lib.wait_until(lambda: not process.is_alive() or
                       os.path.exists(target + ".resilver/staged"), "the stage")
        process.signal(9)
        process.wait()
        self.assertTrue(os.path.islink(link))
        self.sync(self.source, link)
        self.assertFalse(os.path.exists(target + ".resilver"), "the stage was not seen")
        self.sync("--atomic", self.source, link)
        self.assert_same(self.source, target)

    def test_a_file_that_is_begun_anew_is_not_resumed(self):
        """The checkpoint is of another file, which had the same name."""
        _, source = self.wide_pair()
        lib.let_age(source)
        target = self.path("target.raw")
        state = target + ".resilver"
        self.interrupted("--atomic", "--create", source, target,
                         checkpoint=os.path.join(state, "checkpoint"))
        os.unlink(os.path.join(state, "next"))
        report = self.sync("--json", "--atomic", "--create", source, target).report
        self.assertEqual(report["disks"][0]["resumed_bytes"], 0)
        self.assertEqual(lib.different_leaves(source, target), [])

    def test_written_in_place_instead(self):
        """What was staged for it is dropped by a run in place."""
        target = lib.copy_disk(self.old, self.path("target.raw"))
        process = self.start("sync", "--atomic", "--bwlimit=1M", self.source, target)
        lib.wait_until(lambda: not process.is_alive() or
                       os.path.exists(target + ".resilver/staged"), "the stage")
        process.signal(9)
        process.wait()
        self.sync(self.source, target)
        self.assert_same(self.source, target)
        self.assertFalse(os.path.exists(target + ".resilver"))


class Folder(Staged):
    """Replicas in a folder."""

    def disk(self, name="vm.raw"):
        return os.path.join(self.replica, "disks", name)

    def test_made_and_brought_up_to_date(self):
        self.sync("--create", self.source, self.replica + "/")
        self.assert_same(self.source, self.disk())
        lib.change_leaves(self.source, [3, 4, 40], self.rng)
        report = self.sync("--json", self.source, self.replica + "/").report
        self.assertEqual(report["disks"][0]["different_bytes"], 3 * LEAF)
        self.assert_same(self.source, self.disk())
        self.assertEqual(self.sync("--check", self.source, self.replica + "/").code, IN_SYNC)

    def test_images_in_a_replica(self):
        os.truncate(self.source, 6 * MIB)
        image = self.convert(self.source, "qcow2", "disk.qcow2")
        self.sync("--create", image, self.replica + "/")
        self.assert_images_equal("qcow2", self.disk("disk.qcow2"), self.source)
        lib.change_leaves(self.source, [5, 60], self.rng)
        os.unlink(image)
        image = self.convert(self.source, "qcow2", "disk.qcow2")
        self.sync(image, self.replica + "/")
        self.assert_images_equal("qcow2", self.disk("disk.qcow2"), self.source)

    def check_points(self):
        """Five points, each opened and compared with what was saved at its time."""
        self.assert_exit(self.resilver("replica", "set", self.replica, "--history=4"), 0)
        saved = {}
        for number in range(1, 6):
            if number > 1:
                lib.change_leaves(self.source, lib.scatter(SIZE // LEAF, 0.15, self.rng), self.rng)
            self.sync("--create", self.source, self.replica + "/")
            saved[number] = lib.copy_disk(self.source, self.path("saved-%d" % number))
        for number, path in saved.items():
            with self.subTest(point=number):
                socket = self.path("socket-%d" % number)
                process = self.start("replica", "open", self.replica, "--point=%d" % number,
                                     "--socket=" + socket)
                lib.wait_until(lambda at=socket: os.path.exists(at), "the export")
                self.assert_images_equal("raw", "nbd+unix:///vm.raw?socket=" + socket, path)
                copy = self.path("copy-%d" % number)
                lib.must(["qemu-img", "convert", "-f", "raw", "-O", "raw",
                          "nbd+unix:///vm.raw?socket=" + socket, copy])
                os.truncate(copy, os.path.getsize(path))  # NBD's clients see whole sectors
                self.assert_same(copy, path)
                process.signal(2)
                process.wait()
                self.assert_exit(self.resilver("replica", "verify", self.replica,
                                               "--point=%d" % number), 0)
        self.assertEqual(sorted(os.listdir(os.path.join(self.replica, "points"))),
                         ["%06d" % number for number in range(1, 5)])

    def test_each_point_is_what_was_then(self):
        self.assert_exit(self.resilver("replica", "init", self.replica), 0)
        self.check_points()

    def test_each_point_on_xfs(self):
        """Where points are clones."""
        lib.need_root()
        lib.need_tool("mkfs.xfs")
        image, where = self.path("xfs.img"), self.path("xfs")
        with open(image, "wb") as file:
            file.truncate(512 * MIB)
        lib.must([lib.find_tool("mkfs.xfs"), "-q", image])
        os.makedirs(where)
        self.owned(lib.Mount(image, where, "xfs", "loop"))
        self.replica = os.path.join(where, "replica")
        self.assert_exit(self.resilver("replica", "init", self.replica), 0)
        self.check_points()
        self.assertTrue(os.path.exists(os.path.join(self.replica, "points/000001/0.disk")))

    def check_first_copy_in_place(self):
        """Onto a device it needs no journal; until it is whole the replica is empty."""
        process = self.start("sync", "--bwlimit=1M", self.source, self.replica + "/")
        lib.wait_until(lambda: not process.is_alive() or
                       os.path.exists(os.path.join(self.replica, "stage", "staged")), "the stage")
        self.assertNotIn("0.journal", os.listdir(os.path.join(self.replica, "stage")))
        process.signal(9)
        process.wait()
        shown = self.resilver("replica", "show", "--json", self.replica).report["replica"]
        self.assertEqual(shown["state"], "empty")

    def test_each_point_of_a_block_device(self):
        """A device that the operator put into the replica by a link."""
        lib.need_root()
        os.truncate(self.source, 6 * MIB)
        image = self.path("device.img")
        with open(image, "wb") as file:
            file.truncate(6 * MIB)
        device = self.owned(lib.LoopDevice(image))
        self.assert_exit(self.resilver("replica", "init", self.replica), 0)
        os.symlink(device.device, self.disk())
        self.check_first_copy_in_place()
        self.check_points()
        self.assertTrue(os.path.islink(self.disk()))
        device.close()
        self.assert_same(image, self.source)

    def test_over_ssh_and_back(self):
        ssh = lib.StandInSsh(self.path("ssh"))
        self.sync("--ssh=" + ssh.command, "--create", self.source, "far:" + self.replica + "/")
        self.assert_same(self.source, self.disk())
        back = self.path("back.raw")
        self.sync("--ssh=" + ssh.command, "--create", "far:" + self.disk(), back)
        self.assert_same(self.source, back)

    def interrupted_replica(self):
        """The source of a replica that is half staged, with a checkpoint."""
        source, newer = self.wide_pair()
        self.sync("--create", source, self.replica + "/")
        os.rename(newer, source)
        lib.let_age(source)
        self.interrupted(source, self.replica + "/",
                         checkpoint=os.path.join(self.replica, "stage", "checkpoint"))
        return source

    def test_a_resumed_run_does_not_read_again(self):
        """Killed, and with the same source: what was compared is not compared again."""
        source = self.interrupted_replica()
        report = self.sync("--json", source, self.replica + "/").report
        self.assertLess(report["disks"][0]["different_bytes"], 201 * LEAF)
        self.assertGreater(report["disks"][0]["resumed_bytes"], 0)
        self.assertEqual(lib.different_leaves(source, self.disk("wide.raw")), [])
        self.assert_exit(self.resilver("replica", "verify", self.replica), 0)

    def test_a_journal_that_lost_its_end_is_not_resumed_from(self):
        """What the checkpoint says to be settled is not there any more."""
        source = self.interrupted_replica()
        journal = os.path.join(self.replica, "stage", "0.journal")
        if not os.path.exists(journal):
            self.skipTest("needs a file system without clones")
        lib.cut_journal(journal)
        report = self.sync("--json", source, self.replica + "/").report
        self.assertEqual(report["disks"][0]["resumed_bytes"], 0)
        self.assertEqual(lib.different_leaves(source, self.disk("wide.raw")), [])

    def test_refusals(self):
        self.sync("--create", self.source, self.replica + "/")
        other = lib.make_disk(self.path("other.raw"), MIB, self.rng)
        foreign = self.path("foreign")
        os.makedirs(os.path.join(foreign, "things"))
        for words, arguments in (
                ("vm.raw, and other.raw was named", (other, self.replica + "/")),
                ("not a replica", (self.source, foreign + "/")),
                ("not empty", ("--create", self.source, foreign + "/")),
                ("no replica at", (self.source, self.path("nowhere") + "/"))):
            with self.subTest(words=words):
                result = self.sync(*arguments, code=FAILED)
                self.assertIn(words, result.err)
        self.assertEqual(os.listdir(foreign), ["things"])
        os.rename(self.disk(), self.path("taken"))
        self.assertIn("put it back", self.sync(self.source, self.replica + "/", code=FAILED).err)
        os.rename(self.path("taken"), self.disk())
        with open(os.path.join(self.replica, "lock"), "r+b") as file:
            fcntl.flock(file, fcntl.LOCK_EX)
            self.assertIn("at work", self.sync(self.source, self.replica + "/", code=FAILED).err)
        self.sync(self.source, self.replica + "/")

    def test_damaged_records(self):
        """Every record, flipped: named and refused, and the disk is as it was."""
        self.sync("--create", self.source, self.replica + "/")
        lib.change_leaves(self.source, [7], self.rng)
        for name in ("replica", "point"):
            with self.subTest(record=name):
                path = os.path.join(self.replica, name)
                with open(path, "rb") as file:
                    good = file.read()
                lib.flip_bit(path, self.rng.randrange(8, len(good)), 3)
                before = lib.Untouched(self.disk())
                result = self.sync(self.source, self.replica + "/", code=FAILED)
                self.assertIn(path, result.err)
                self.assertIn("damaged", result.err)
                before.check(self)
                with open(path, "wb") as file:
                    file.write(good)
        self.sync(self.source, self.replica + "/")

    def test_flips_in_points_are_found(self):
        """A flipped bit in a point's undo log is refused or found by verify, never shown."""
        self.sync("--create", self.source, self.replica + "/")
        self.assert_exit(self.resilver("replica", "set", self.replica, "--history=2"), 0)
        lib.change_leaves(self.source, lib.scatter(SIZE // LEAF, 0.2, self.rng), self.rng)
        self.sync(self.source, self.replica + "/")
        undo = os.path.join(self.replica, "points", "000001", "0.undo")
        if not os.path.exists(undo):
            self.skipTest("needs a file system without clones")
        used = data_pages(undo)
        found = harmless = 0
        for _ in range(20):
            offset = self.rng.choice(used) + self.rng.randrange(4096)
            bit = self.rng.randrange(8)
            lib.flip_bit(undo, offset, bit)
            result = self.resilver("replica", "verify", self.replica, "--point=1")
            found += result.code != 0
            harmless += result.code == 0
            lib.flip_bit(undo, offset, bit)
        self.assert_exit(self.resilver("replica", "verify", self.replica, "--point=1"), 0)
        print("flips in an undo log: %d found, %d harmless" % (found, harmless), flush=True)
        self.assertGreater(found, 0)


def data_pages(path):
    """Where each 4 KiB page with data in it begins."""
    offsets, size = [], os.path.getsize(path)
    with open(path, "rb") as file:
        at = 0
        while at < size:
            try:
                at = os.lseek(file.fileno(), at, os.SEEK_DATA)
            except OSError:
                break
            end = os.lseek(file.fileno(), at, os.SEEK_HOLE)
            offsets += range(at // 4096 * 4096, end, 4096)
            at = end
    return offsets


if __name__ == "__main__":
    lib.main()
