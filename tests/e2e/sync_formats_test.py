#!/usr/bin/python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""resilver sync with image formats, block devices, NBD exports, and disks that are in use."""

import json
import os
import subprocess
import sys

import lib
from lib import DIFFERENT, FAILED, IN_SYNC, LEAF, MIB


class ImageCase(lib.Case):
    def setUp(self):
        super().setUp()
        lib.need_tool("qemu-img", "qemu-nbd", "qemu-io")

    def make_raw(self, name, size=16 * MIB, kinds=lib.ALL_KINDS):
        return lib.make_disk(self.path(name), size, self.rng, kinds)

    def convert(self, raw, name, file_format, *options):
        image = self.path(name)
        lib.must(["qemu-img", "convert", "-f", "raw", "-O", file_format, *options, raw, image])
        return image

    def assert_same_content(self, path_a, format_a, path_b, format_b):
        """By qemu-img, both images whole and of one size. Its strict mode would also want holes to
        be where they are in the source; that is asked where it is promised."""
        sizes = [json.loads(lib.must(["qemu-img", "info", "--output=json", "-f", file_format,
                                      path]))["virtual-size"]
                 for path, file_format in ((path_a, format_a), (path_b, format_b))]
        self.assertEqual(sizes[0], sizes[1])
        result = lib.run(["qemu-img", "compare", "-f", format_a, "-F", format_b, path_a, path_b])
        self.assertEqual(result.code, 0, result)
        for path, file_format in ((path_a, format_a), (path_b, format_b)):
            if file_format in ("qcow2", "vhdx", "vdi"):
                result = lib.run(["qemu-img", "check", "-q", "-f", file_format, path])
                self.assertEqual(result.code, 0, result)

    def sync_images(self, source, format_a, target, format_b, *options):
        disk, = self.sync_report(*options, source, target)
        self.assert_same_content(source, format_a, target, format_b)
        self.assertFalse(os.path.exists(target + ".resilver"))
        return disk


class Formats(ImageCase):
    SIZE = 16 * MIB

    def pair(self, format_a, format_b, options_a=(), options_b=()):
        """A source and a target image whose contents differ in some leaves, and in how many."""
        raw_a = self.make_raw("one", self.SIZE)
        raw_b = lib.copy_disk(raw_a, self.path("two"))
        lib.change_leaves(raw_b, lib.scatter(self.SIZE // LEAF, 0.2, self.rng), self.rng)
        differ = lib.different_bytes(raw_a, raw_b)
        return (self.convert(raw_a, "a." + format_a, format_a, *options_a),
                self.convert(raw_b, "b." + format_b, format_b, *options_b), differ)

    def sync_formats(self, format_a, format_b, options_a=(), options_b=()):
        source, target, differ = self.pair(format_a, format_b, options_a, options_b)
        disk = self.sync_images(source, format_a, target, format_b)
        self.assertEqual(disk["size_bytes"], self.SIZE)
        self.assertEqual(disk["different_bytes"], differ)
        again = self.sync_images(source, format_a, target, format_b)
        self.assertEqual(again["different_bytes"], 0)

    def test_qcow2_to_raw(self):
        self.sync_formats("qcow2", "raw")

    def test_raw_to_qcow2(self):
        self.sync_formats("raw", "qcow2")

    def test_compressed_qcow2_to_qcow2_of_other_clusters(self):
        self.sync_formats("qcow2", "qcow2", ("-c",), ("-o", "extended_l2=on,cluster_size=128k"))

    def test_vhdx_to_qcow2(self):
        self.sync_formats("vhdx", "qcow2")

    def test_qcow2_to_vhdx(self):
        self.sync_formats("qcow2", "vhdx")

    def test_vmdk_to_raw(self):
        self.sync_formats("vmdk", "raw")

    def test_vdi_to_qcow2(self):
        self.sync_formats("vdi", "qcow2")

    def test_raw_to_vmdk_and_vdi(self):
        self.sync_formats("raw", "vmdk")
        self.sync_formats("raw", "vdi")

    def test_size_in_sectors_that_is_no_multiple_of_a_leaf(self):
        raw_a = self.make_raw("one", 3 * MIB + 3 * 512)
        raw_b = self.make_raw("two", 3 * MIB + 3 * 512)
        source = self.convert(raw_a, "a.qcow2", "qcow2")
        target = self.convert(raw_b, "b.qcow2", "qcow2")
        self.sync_images(source, "qcow2", target, "qcow2")

    def test_check_of_an_image_writes_nothing(self):
        source, target, differ = self.pair("qcow2", "qcow2")
        untouched = [lib.Untouched(source), lib.Untouched(target)]
        result = self.resilver("sync", "--check", "--json", source, target)
        self.assert_exit(result, DIFFERENT)
        disk, = lib.check_report(self, result.report, is_check=True)
        self.assertEqual(disk["different_bytes"], differ)
        for one in untouched:
            one.check(self)

    def test_backing_chain_to_raw(self):
        """What the chain shows as one disk arrives; its parts are not touched."""
        raw = self.make_raw("base.raw", self.SIZE)
        middle, top = self.path("middle.qcow2"), self.path("top.qcow2")
        lib.must(["qemu-img", "create", "-q", "-f", "qcow2", "-b", raw, "-F", "raw", middle])
        lib.must(["qemu-io", "-f", "qcow2", "-c", "write -P 0x5a 1M 300k", middle])
        lib.must(["qemu-img", "create", "-q", "-f", "qcow2", "-b", middle, "-F", "qcow2", top])
        lib.must(["qemu-io", "-f", "qcow2", "-c", "write -P 0xa5 5M 70k", "-c",
                  "write -z 8M 1M", top])
        target = lib.copy_disk(raw, self.path("target.raw"))
        untouched = [lib.Untouched(one) for one in (raw, middle, top)]
        self.sync_images(top, "qcow2", target, "raw")
        for one in untouched:
            one.check(self)
        with open(target, "rb") as file:
            file.seek(5 * MIB)
            self.assertEqual(file.read(70 * 1024), b"\xa5" * (70 * 1024))

    def test_a_missing_part_of_a_chain_is_named(self):
        raw = self.make_raw("base.raw")
        top = self.path("top.qcow2")
        lib.must(["qemu-img", "create", "-q", "-f", "qcow2", "-b", raw, "-F", "raw", top])
        os.unlink(raw)
        target = self.make_raw("target.raw")
        untouched = lib.Untouched(target)
        result = self.resilver("sync", "--json", top, target)
        lib.check_error(self, result, words=("top\\.qcow2", "base\\.raw"))
        untouched.check(self)

    def test_create_makes_an_image_of_the_format_of_its_name(self):
        source = self.make_raw("a.raw")
        for file_format in ("qcow2", "vhdx", "vmdk", "vdi"):
            with self.subTest(format=file_format):
                target = self.path("new." + file_format)
                self.sync_images(source, "raw", target, file_format, "--create")

    def test_sizes_of_images_are_compared_before_anything_is_written(self):
        source = self.make_raw("a.raw", 8 * MIB)
        target = self.path("b.qcow2")
        lib.must(["qemu-img", "create", "-q", "-f", "qcow2", target, "9M"])
        untouched = lib.Untouched(target)
        result = self.resilver("sync", "--json", source, target)
        lib.check_error(self, result, "state", "b\\.qcow2")
        untouched.check(self)

    def test_many_images_in_one_run(self):
        options, pairs = [], []
        for index in range(4):
            raw_a = self.make_raw("one%d" % index, 4 * MIB)
            raw_b = self.make_raw("two%d" % index, 4 * MIB)
            source = self.convert(raw_a, "a%d.qcow2" % index, "qcow2")
            target = self.convert(raw_b, "b%d.qcow2" % index, "qcow2")
            options += ["--disk", "%s=%s" % (source, target)]
            pairs.append((source, target))
        self.sync_report(*options)
        for source, target in pairs:
            self.assert_same_content(source, "qcow2", target, "qcow2")


class WrongFormat(ImageCase):
    def test_named_format_that_it_is_not(self):
        source, target = self.make_raw("a.raw", MIB), self.make_raw("b.raw", MIB)
        untouched = lib.Untouched(target)
        for file_format in ("qcow2", "vhdx", "vmdk", "vdi"):
            with self.subTest(format=file_format):
                result = self.resilver("sync", "--json", "--format=" + file_format,
                                       source, target)
                lib.check_error(self, result, words=("\\.raw", file_format))
                untouched.check(self)

    def test_name_that_promises_a_format(self):
        raw = self.make_raw("one", MIB)
        named = self.path("really-raw.qcow2")
        os.rename(raw, named)
        target = self.make_raw("b.raw", MIB)
        untouched = lib.Untouched(target)
        result = self.resilver("sync", "--json", named, target)
        lib.check_error(self, result, words=("really-raw\\.qcow2", "qcow2"))
        untouched.check(self)

    def test_an_image_cut_short(self):
        raw = self.make_raw("one", 8 * MIB, ("random",))
        image = self.convert(raw, "cut.qcow2", "qcow2")
        os.truncate(image, 100)
        target = self.make_raw("b.raw", 8 * MIB)
        untouched = lib.Untouched(target)
        result = self.resilver("sync", "--json", image, target)
        lib.check_error(self, result, words="cut\\.qcow2")
        untouched.check(self)

    def test_formats_of_both_sides_named(self):
        """File names that say nothing: the options do."""
        raw_a, raw_b = self.make_raw("one", 2 * MIB), self.make_raw("two", 2 * MIB)
        source = self.convert(raw_a, "a.img", "qcow2")
        target = self.convert(raw_b, "b.img", "vhdx")
        self.sync_images(source, "qcow2", target, "vhdx", "--source-format=qcow2",
                         "--target-format=vhdx")
        self.sync_images(source, "qcow2", raw_b, "raw", "--source-format=qcow2")

    def test_format_raw_takes_the_container_itself(self):
        """--format=raw on an image says: its bytes as they lie, on purpose."""
        raw = self.make_raw("one", MIB)
        image = self.convert(raw, "image", "qcow2")
        target = self.path("copy")
        self.sync_report("--format=raw", "--create", image, target)
        self.assert_same(image, target)


class BlockDevices(lib.Case):
    SIZE = {"ext4": 16 * MIB, "xfs": 320 * MIB}

    def setUp(self):
        super().setUp()
        lib.need_root()
        lib.need_tool("losetup", "mount", "umount")

    def make_file_system(self, fs_type, name):
        """A disk that holds a file system with some files, as a VM would leave it."""
        lib.need_tool("mkfs." + fs_type)
        path = self.path(name)
        with open(path, "wb") as file:
            file.truncate(self.SIZE[fs_type])
        lib.must([lib.find_tool("mkfs." + fs_type), "-q", path])
        mount = lib.Mount(path, self.path("mnt"), fs_type, "loop")
        try:
            for index in range(20):
                with open(os.path.join(mount.where, "file%d" % index), "wb") as file:
                    file.write(self.rng.randbytes(self.rng.randrange(300000)))
        finally:
            mount.close()
        return path

    def change_file_system(self, path, fs_type):
        mount = lib.Mount(path, self.path("mnt"), fs_type, "loop")
        try:
            for index in range(0, 20, 3):
                os.unlink(os.path.join(mount.where, "file%d" % index))
            content = self.rng.randbytes(777777)
            with open(os.path.join(mount.where, "new"), "wb") as file:
                file.write(content)
        finally:
            mount.close()
        return content

    def sync_file_system(self, fs_type):
        source = self.make_file_system(fs_type, "a.raw")
        behind = lib.copy_disk(source, self.path("behind"))
        content = self.change_file_system(source, fs_type)
        loop = self.owned(lib.LoopDevice(behind))
        disk, = self.sync_report(source, loop.device)
        self.assertGreater(disk["written_bytes"], 777777)
        self.assert_same(source, loop.device)
        options = "ro,norecovery" if fs_type == "xfs" else "ro,noload"
        mount = self.owned(lib.Mount(loop.device, self.path("look"), fs_type, options))
        with open(os.path.join(mount.where, "new"), "rb") as file:
            self.assertEqual(file.read(), content)
        self.assertFalse(os.path.exists(os.path.join(mount.where, "file0")))
        mount.close()
        loop.close()
        self.assert_same(source, behind)

    def test_raw_to_a_device_with_ext4_inside(self):
        self.sync_file_system("ext4")

    def test_raw_to_a_device_with_xfs_inside(self):
        self.sync_file_system("xfs")

    def test_device_to_device_and_to_a_new_file(self):
        devices = []
        for name in ("a", "b"):
            path = lib.make_disk(self.path(name), 8 * MIB + 512, self.rng, lib.ALL_KINDS)
            devices.append(self.owned(lib.LoopDevice(path)).device)
        self.sync_report(*devices)
        self.assert_same(*devices)
        self.sync_report("--create", devices[0], self.path("new.raw"))
        self.assert_same(devices[0], self.path("new.raw"))

    def test_devices_with_large_sectors(self):
        devices = []
        for name, sector_bytes in (("a", 4096), ("b", 4096), ("c", 512)):
            path = lib.make_disk(self.path(name), 6 * MIB + 4096, self.rng, lib.ALL_KINDS)
            devices.append(self.owned(lib.LoopDevice(path, sector_bytes)).device)
        large_a, large_b, small = devices
        self.sync_report(large_a, large_b)
        self.assert_same(large_a, large_b)
        self.sync_report(large_a, small)
        self.assert_same(large_a, small)
        other = lib.make_disk(self.path("other.raw"), 6 * MIB + 4096, self.rng, lib.ALL_KINDS)
        self.sync_report(other, large_b)
        self.assert_same(other, large_b)

    def test_an_interrupted_run_to_a_device(self):
        """Its checkpoint cannot lie beside it; wherever it lies, it goes when the run is done."""
        source = lib.make_disk(self.path("a.raw"), 32 * MIB, self.rng)
        path = lib.make_disk(self.path("b"), 32 * MIB, self.rng)
        before = self.state_files()
        loop = self.owned(lib.LoopDevice(path))
        process = self.start("sync", "--bwlimit=32M", source, loop.device)
        lib.wait_until(lambda: not process.is_alive() or
                       lib.leaf_is_equal(source, loop.device, 0), "the first leaves")
        process.signal(15)
        self.assertEqual(process.wait().code, FAILED)
        self.assertNotEqual(lib.run(["cmp", source, loop.device]).code, 0)
        self.sync_report(source, loop.device)
        self.assert_same(source, loop.device)
        self.assertEqual(self.state_files(), before)

    def state_files(self):
        return sorted(name for _, folders, files in os.walk("/var/lib/resilver")
                      for name in folders + files)

    def test_a_device_is_never_made_larger(self):
        path = lib.make_disk(self.path("a"), MIB, self.rng)
        loop = self.owned(lib.LoopDevice(path))
        source = lib.make_disk(self.path("large.raw"), 2 * MIB, self.rng)
        untouched = lib.Untouched(path)
        result = self.resilver("sync", "--json", "--create", source, loop.device)
        lib.check_error(self, result, words=loop.device)
        untouched.check(self)

    def test_a_mounted_device_is_refused_as_target(self):
        source = self.make_file_system("ext4", "a.raw")
        behind = lib.copy_disk(source, self.path("behind"))
        self.change_file_system(source, "ext4")
        loop = self.owned(lib.LoopDevice(behind))
        mount = self.owned(lib.Mount(loop.device, self.path("look"), "ext4"))
        before = lib.must(["sha256sum", loop.device])
        result = self.resilver("sync", "--json", source, loop.device)
        lib.check_error(self, result, "state", (loop.device, "mount|in use"))
        self.assertEqual(before, lib.must(["sha256sum", loop.device]))
        mount.close()
        self.sync_report(source, loop.device)
        self.assert_same(source, loop.device)


class InUse(ImageCase):
    """A program with QEMU's own locks stands for a running VM."""

    def hold(self, image, file_format, *options):
        """Keep the image open as a VM would; returns what to close."""
        socket = self.path("vm-%d.sock" % self.rng.getrandbits(32))
        holder = lib.Process(["qemu-nbd", "--persistent", "--shared=2", "-f", file_format,
                              *options, "-k", socket, image], is_server=True)
        self.addCleanup(holder.end)
        lib.wait_until(lambda: os.path.exists(socket) or not holder.is_alive(), "qemu-nbd")
        self.assertTrue(holder.is_alive(), holder.output())
        return holder

    def images(self, file_format):
        raw_a = self.make_raw("one", 4 * MIB)
        raw_b = self.make_raw("two", 4 * MIB)
        return (self.convert(raw_a, "a." + file_format, file_format),
                self.convert(raw_b, "b." + file_format, file_format))

    def test_a_disk_that_somebody_writes_to_is_refused_on_both_sides(self):
        for file_format in ("raw", "qcow2"):
            source, target = self.images(file_format)
            for held in (source, target):
                with self.subTest(format=file_format, held=os.path.basename(held)):
                    holder = self.hold(held, file_format)
                    untouched = [lib.Untouched(source), lib.Untouched(target)]
                    result = self.resilver("sync", "--json", source, target)
                    lib.check_error(self, result, "state", ("in use|running|write",
                                                            os.path.basename(held)))
                    for one in untouched:
                        one.check(self)
                    holder.end()
            self.sync_images(source, file_format, target, file_format)

    def test_a_disk_of_a_storage_daemon_is_refused(self):
        lib.need_tool("qemu-storage-daemon")
        source, target = self.images("raw")
        socket = self.path("qsd.sock")
        daemon = lib.Process([
            "qemu-storage-daemon", "--blockdev", "driver=file,node-name=f,filename=" + target,
            "--nbd-server", "addr.type=unix,addr.path=" + socket,
            "--export", "type=nbd,id=e,node-name=f,name=e,writable=on"], is_server=True)
        self.addCleanup(daemon.end)
        lib.wait_until(lambda: os.path.exists(socket), "qemu-storage-daemon")
        untouched = lib.Untouched(target)
        result = self.resilver("sync", "--json", source, target)
        lib.check_error(self, result, "state", "in use|running|write")
        untouched.check(self)

    def test_a_reader_does_not_disturb_a_source(self):
        source, target = self.images("raw")
        self.hold(source, "raw", "--read-only")
        self.sync_images(source, "raw", target, "raw")

    def test_no_vm_starts_on_a_disk_being_synchronized(self):
        for file_format in ("raw", "qcow2"):
            with self.subTest(format=file_format):
                source, target = self.images(file_format)
                process = self.start("sync", "--bwlimit=500K", source, target)
                lib.wait_until(lambda: self.is_locked(target), "the lock on the target")
                for image in (source, target):
                    result = lib.run(["qemu-io", "-f", file_format, "-c", "write 0 512", image])
                    self.assertTrue(process.is_alive(), process.output())
                    self.assertNotEqual(result.code, 0, result)
                    self.assertIn("lock", result.words)
                process.signal(15)
                self.assertEqual(process.wait().code, FAILED)
                lib.must(["qemu-io", "-f", file_format, "-c", "write 0 512", target])

    def is_locked(self, path):
        """Whether somebody has marked this file as being written to (byte 101 of QEMU's locks),
        by the kernel's own list. Those who only look at it in passing do not."""
        stat = os.stat(path)
        name = "%02x:%02x:%d" % (os.major(stat.st_dev), os.minor(stat.st_dev), stat.st_ino)
        with open("/proc/locks") as file:
            locks = [line.split()[-3:] for line in file]
        return any(inode == name and int(start) <= 101 and (end == "EOF" or int(end) >= 101)
                   for inode, start, end in locks)

    def test_two_runs_to_one_target(self):
        source, target = self.images("raw")
        first = self.start("sync", "--bwlimit=2M", source, target)
        lib.wait_until(lambda: self.is_locked(target), "the lock on the target")
        result = self.resilver("sync", "--json", source, target)
        lib.check_error(self, result, "state", "b\\.raw")
        self.assertEqual(first.wait().code, IN_SYNC)
        self.assert_same(source, target)

    def test_one_source_for_two_runs(self):
        source, target = self.images("raw")
        other = lib.copy_disk(target, self.path("c.raw"))
        first = self.start("sync", "--bwlimit=2M", source, target)
        lib.wait_until(lambda: self.is_locked(target), "the lock on the target")
        self.sync_report(source, other)
        self.assertEqual(first.wait().code, IN_SYNC)


class NbdExports(lib.Case):
    def setUp(self):
        super().setUp()
        lib.need_tool("nbdkit")

    def test_export_as_source_and_as_target(self):
        a = lib.make_disk(self.path("a"), 8 * MIB + 512, self.rng, lib.ALL_KINDS)
        b = lib.make_disk(self.path("b"), 8 * MIB + 512, self.rng, lib.ALL_KINDS)
        source = self.owned(lib.Nbdkit(self.dir, "source", "file", a, readonly=True))
        target = self.owned(lib.Nbdkit(self.dir, "target", "file", b))
        differ = lib.different_bytes(a, b)
        disk, = self.sync_report(source.url(), target.url())
        self.assertEqual(disk["different_bytes"], differ)
        self.assert_same(a, b)
        c = lib.make_disk(self.path("c.raw"), 8 * MIB + 512, self.rng, lib.ALL_KINDS)
        self.sync_report(source.url(), c)
        self.assert_same(a, c)

    def test_export_by_name(self):
        os.mkdir(self.path("exports"))
        a = lib.make_disk(self.path("exports", "vm 1.disk"), MIB, self.rng)
        server = self.owned(lib.Nbdkit(self.dir, "s", "file", "dir=" + self.path("exports")))
        self.sync_report("--create", server.url("vm%201.disk"), self.path("b.raw"))
        self.assert_same(a, self.path("b.raw"))
        result = self.resilver("sync", "--json", server.url("no-such"), self.path("b.raw"))
        lib.check_error(self, result, words="no-such")

    def test_a_server_that_only_reads_as_target(self):
        a = lib.make_disk(self.path("a.raw"), MIB, self.rng)
        b = lib.make_disk(self.path("b"), MIB, self.rng)
        server = self.owned(lib.Nbdkit(self.dir, "s", "file", b, readonly=True))
        untouched = lib.Untouched(b)
        result = self.resilver("sync", "--json", a, server.url())
        lib.check_error(self, result, words="read-only|readonly|writ")
        untouched.check(self)

    def test_no_server(self):
        b = lib.make_disk(self.path("b.raw"), MIB, self.rng)
        result = self.resilver("sync", "--json", "nbd+unix:///?socket=" + self.path("none"), b)
        lib.check_error(self, result, words="none")

    def test_a_server_that_never_answers(self):
        """A listening socket that nobody accepts from: an error within the deadline."""
        path = self.path("silent.sock")
        listener = subprocess.Popen(
            [sys.executable, "-c",
             "import socket,sys,time; s=socket.socket(socket.AF_UNIX); s.bind(sys.argv[1]); "
             "s.listen(); time.sleep(120)", path])
        self.addCleanup(listener.wait)
        self.addCleanup(listener.kill)
        lib.wait_until(lambda: os.path.exists(path), "the socket")
        b = lib.make_disk(self.path("b.raw"), MIB, self.rng)
        result = self.resilver("sync", "--json", "nbd+unix:///?socket=" + path, b, deadline_s=45)
        lib.check_error(self, result, words="silent\\.sock")


if __name__ == "__main__":
    lib.main()
