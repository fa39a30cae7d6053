#!/usr/bin/python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""resilver sync between raw files of one host: content, sizes, holes, refusals and the report."""

import os

import lib
from lib import DIFFERENT, FAILED, IN_SYNC, LEAF, MIB, NODE, USAGE

ODD_SIZES = (0, 1, 511, 512, 513, 4095, 4096, 4097, 65535, 65536, 65537, 2 * MIB - 1, 2 * MIB,
             2 * MIB + 1, 3 * MIB + 1)


class Content(lib.Case):
    """Whatever the two disks held, afterwards cmp finds no difference."""

    def pair(self, size, kinds=("random",), name="disk"):
        """Two equal disks."""
        source = lib.make_disk(self.path(name + "-a.raw"), size, self.rng, kinds)
        return source, lib.copy_disk(source, self.path(name + "-b.raw"))

    def test_equal_disks_are_left_alone(self):
        source, target = self.pair(8 * MIB, lib.ALL_KINDS)
        untouched = lib.Untouched(target)
        disk = self.sync_pair(source, target)
        self.assertEqual(disk["written_bytes"], 0)
        untouched.check(self)

    def test_one_bit_in_the_last_sector(self):
        source, target = self.pair(9 * MIB + 512)
        lib.flip_bit(target, 9 * MIB + 511, self.rng.randrange(8))
        disk = self.sync_pair(source, target)
        self.assertEqual(disk["different_bytes"], 512)
        self.assertEqual(disk["written_bytes"], 512)

    def test_every_leaf_differs(self):
        source, target = self.pair(16 * MIB)
        lib.change_leaves(target, range(16 * MIB // LEAF), self.rng)
        disk = self.sync_pair(source, target, "--refine=never")
        self.assertEqual(disk["written_bytes"], 16 * MIB)

    def test_scattered_leaves(self):
        source, target = self.pair(64 * MIB, lib.ALL_KINDS)
        lib.change_leaves(source, lib.scatter(64 * MIB // LEAF, 0.03, self.rng), self.rng)
        disk = self.sync_pair(source, target, "--refine=never")
        self.assertEqual(disk["written_bytes"], disk["different_bytes"])

    def test_scattered_pages(self):
        source, target = self.pair(16 * MIB)
        for _ in range(200):
            lib.flip_bit(source, self.rng.randrange(16 * MIB), self.rng.randrange(8))
        for refine in ("always", "never", "auto"):
            with self.subTest(refine=refine):
                copy = lib.copy_disk(target, self.path("copy-%s.raw" % refine))
                self.sync_pair(source, copy, "--refine=" + refine)

    def test_content_of_every_kind_over_content_of_every_kind(self):
        size = 12 * MIB + 4096 * 3 + 100
        source = lib.make_disk(self.path("a.raw"), size, self.rng, lib.ALL_KINDS)
        for compress in ("always", "never", "auto"):
            for refine in ("always", "never"):
                with self.subTest(compress=compress, refine=refine):
                    target = lib.make_disk(self.path("b.raw"), size, self.rng, lib.ALL_KINDS)
                    self.sync_pair(source, target, "--compress=" + compress,
                                   "--refine=" + refine)

    def test_sizes_that_are_a_multiple_of_nothing(self):
        for size in ODD_SIZES:
            with self.subTest(size=size):
                source, target = self.pair(size, name="odd%d" % size)
                disk = self.sync_pair(source, target)
                self.assertEqual(disk["different_bytes"], 0)
                if size > 0:
                    lib.flip_bit(target, size - 1)
                    disk = self.sync_pair(source, target)
                    self.assertGreater(disk["different_bytes"], 0)

    def test_the_same_again_is_in_sync(self):
        source, target = self.pair(4 * MIB)
        lib.change_leaves(target, [1, 5, 33], self.rng)
        self.sync_pair(source, target)
        disk = self.sync_pair(source, target)
        self.assertEqual((disk["different_bytes"], disk["written_bytes"]), (0, 0))

    def test_a_name_with_blanks_and_signs(self):
        source = lib.make_disk(self.path("a b=c;$(d)'.raw"), MIB, self.rng)
        target = lib.make_disk(self.path("-e f\\g%n.raw"), MIB, self.rng)
        self.sync_pair(source, target)

    def test_paths_relative_to_the_working_directory(self):
        lib.make_disk(self.path("a.raw"), MIB, self.rng)
        lib.make_disk(self.path("b.raw"), MIB, self.rng)
        self.sync_report("a.raw", "./b.raw", cwd=self.dir)
        self.assert_same(self.path("a.raw"), self.path("b.raw"))


class Holes(lib.Case):
    """Sparse stays sparse, and a hole on one side is never taken for content on the other."""

    SIZE = 32 * MIB

    def test_sparse_source_over_a_full_target_frees_its_space(self):
        source = self.path("a.raw")
        with open(source, "wb") as file:
            file.truncate(self.SIZE)
        lib.change_leaves(source, [0, 100, 511], self.rng)
        target = lib.make_disk(self.path("b.raw"), self.SIZE, self.rng)
        self.assertGreaterEqual(lib.used_bytes(target), self.SIZE)
        self.sync_pair(source, target)
        self.assertLess(lib.used_bytes(target), MIB)

    def test_full_source_over_a_sparse_target(self):
        source = lib.make_disk(self.path("a.raw"), self.SIZE, self.rng)
        target = self.path("b.raw")
        with open(target, "wb") as file:
            file.truncate(self.SIZE)
        disk = self.sync_pair(source, target)
        self.assertEqual(disk["written_bytes"], self.SIZE)

    def test_written_zeros_do_not_fill_the_target(self):
        source = lib.make_disk(self.path("a.raw"), self.SIZE, self.rng, ("zero",))
        self.assertGreaterEqual(lib.used_bytes(source), self.SIZE)
        target = self.path("b.raw")
        with open(target, "wb") as file:
            file.truncate(self.SIZE)
        self.sync_pair(source, target)
        self.assertLess(lib.used_bytes(target), MIB)

    def test_a_new_target_is_as_sparse_as_its_source(self):
        source = lib.make_disk(self.path("a.raw"), self.SIZE, self.rng, ("hole", "random"))
        target = self.path("b.raw")
        self.sync_pair(source, target, "--create")
        self.assertLessEqual(lib.used_bytes(target), lib.used_bytes(source) + MIB)

    def test_every_mixture_of_hole_and_data(self):
        """Each leaf of the source meets each kind in the target, at unaligned edges too."""
        size = 8 * NODE
        source = lib.make_disk(self.path("a.raw"), size, self.rng, lib.ALL_KINDS)
        target = lib.make_disk(self.path("b.raw"), size, self.rng, lib.ALL_KINDS)
        for path in (source, target):
            for _ in range(40):
                at = self.rng.randrange(size)
                lib.punch_hole(path, at, self.rng.randrange(1, min(size - at, 300000) + 1))
        self.sync_pair(source, target)

    def test_a_hole_that_both_have_is_not_read(self):
        source, target = self.path("a.raw"), self.path("b.raw")
        size = 15 * 1024 * 1024 * MIB  # No machine reads 15 TiB within the deadline.
        for path in (source, target):
            with open(path, "wb") as file:
                file.truncate(size)
            lib.change_leaves(path, [17, size // LEAF // 2, size // LEAF - 1], self.rng)
        disk, = self.sync_report(source, target)
        self.assertGreaterEqual(disk["skipped_zero_bytes"], size - 16 * NODE)
        for leaf in (17, size // LEAF // 2, size // LEAF - 1):
            with open(source, "rb") as file_a, open(target, "rb") as file_b:
                file_a.seek(leaf * LEAF)
                file_b.seek(leaf * LEAF)
                self.assertEqual(file_a.read(LEAF), file_b.read(LEAF))


class SeveralDisks(lib.Case):
    def test_several_in_one_run(self):
        options, pairs = [], []
        for index, size in enumerate((5 * MIB + 77, 0, MIB, 24 * MIB, 512)):
            source = lib.make_disk(self.path("a%d.raw" % index), size, self.rng, lib.ALL_KINDS)
            target = lib.make_disk(self.path("b%d.raw" % index), size, self.rng, lib.ALL_KINDS)
            pairs.append((source, target, lib.different_bytes(source, target)))
            options += ["--disk", "%s=%s" % (source, target)]
        disks = self.sync_report(*options)
        self.assertEqual([(disk["source"], disk["target"], disk["different_bytes"])
                          for disk in disks], pairs)
        for source, target, _ in pairs:
            self.assert_same(source, target)

    def test_one_bad_disk_stops_all_before_anything_is_written(self):
        good_a = lib.make_disk(self.path("a1.raw"), MIB, self.rng)
        good_b = lib.make_disk(self.path("b1.raw"), MIB, self.rng)
        bad_a = lib.make_disk(self.path("a2.raw"), MIB, self.rng)
        bad_b = lib.make_disk(self.path("b2.raw"), 2 * MIB, self.rng)
        untouched = [lib.Untouched(good_b), lib.Untouched(bad_b)]
        result = self.resilver("sync", "--json", "--disk", "%s=%s" % (good_a, good_b),
                               "--disk", "%s=%s" % (bad_a, bad_b))
        lib.check_error(self, result, disk="b2.raw")
        for one in untouched:
            one.check(self)

    def test_the_same_target_twice(self):
        a1 = lib.make_disk(self.path("a1.raw"), MIB, self.rng)
        a2 = lib.make_disk(self.path("a2.raw"), MIB, self.rng)
        target = lib.make_disk(self.path("b.raw"), MIB, self.rng)
        untouched = lib.Untouched(target)
        result = self.resilver("sync", "--disk", "%s=%s" % (a1, target),
                               "--disk", "%s=%s" % (a2, target))
        self.assertIn(result.code, (FAILED, USAGE), result)
        untouched.check(self)


class Check(lib.Case):
    def test_one_bit_in_the_last_sector_is_a_difference(self):
        for size in (9 * MIB, 9 * MIB + 100):
            with self.subTest(size=size):
                source = lib.make_disk(self.path("a%d.raw" % size), size, self.rng)
                target = lib.copy_disk(source, self.path("b%d.raw" % size))
                lib.flip_bit(target, size - 1 - self.rng.randrange(100), self.rng.randrange(8))
                untouched = [lib.Untouched(source), lib.Untouched(target)]
                result = self.assert_exit(
                    self.resilver("sync", "--check", "--json", source, target), DIFFERENT)
                disk, = lib.check_report(self, result.report, is_check=True)
                self.assertEqual(disk["different_bytes"], size % LEAF or LEAF)
                for one in untouched:
                    one.check(self)

    def test_equal_disks(self):
        source = lib.make_disk(self.path("a.raw"), 9 * MIB + 1, self.rng, lib.ALL_KINDS)
        target = lib.copy_disk(source, self.path("b.raw"))
        untouched = [lib.Untouched(source), lib.Untouched(target)]
        result = self.resilver("sync", "--check", "--json", source, target)
        self.assert_exit(result, IN_SYNC)
        disk, = lib.check_report(self, result.report, is_check=True)
        self.assertEqual(disk["different_bytes"], 0)
        for one in untouched:
            one.check(self)

    def test_a_target_that_may_not_be_written(self):
        if not lib.is_root():
            self.skipTest("needs root, to become another user")
        source = lib.make_disk(self.path("a.raw"), MIB, self.rng)
        target = lib.copy_disk(source, self.path("b.raw"))
        os.chmod(target, 0o444)
        self.assert_exit(self.resilver("sync", "--check", source, target, user=65534), IN_SYNC)

    def test_counts_all_that_differs(self):
        source = lib.make_disk(self.path("a.raw"), 16 * MIB + 5, self.rng, lib.ALL_KINDS)
        target = lib.make_disk(self.path("b.raw"), 16 * MIB + 5, self.rng, lib.ALL_KINDS)
        result = self.resilver("sync", "--check", "--json", source, target)
        self.assert_exit(result, DIFFERENT)
        disk, = lib.check_report(self, result.report, is_check=True)
        self.assertEqual(disk["different_bytes"], lib.different_bytes(source, target))

    def test_sizes_that_differ(self):
        source = lib.make_disk(self.path("a.raw"), 2 * MIB, self.rng)
        target = lib.make_disk(self.path("b.raw"), 3 * MIB, self.rng)
        untouched = lib.Untouched(target)
        result = self.resilver("sync", "--check", "--json", source, target)
        lib.check_error(self, result, words="size|larger|smaller|bytes")
        untouched.check(self)


class Create(lib.Case):
    def test_a_missing_target_is_made_only_when_asked(self):
        source = lib.make_disk(self.path("a.raw"), 3 * MIB + 1, self.rng)
        target = self.path("b.raw")
        result = self.resilver("sync", "--json", source, target)
        lib.check_error(self, result, words=("b\\.raw", "--create"))
        self.assertEqual(sorted(os.listdir(self.dir)), ["a.raw", "run"])
        self.sync_pair(source, target, "--create")

    def test_create_takes_an_existing_target_too(self):
        source = lib.make_disk(self.path("a.raw"), MIB, self.rng)
        target = lib.make_disk(self.path("b.raw"), MIB, self.rng)
        self.sync_pair(source, target, "--create")

    def test_a_too_small_target(self):
        source = lib.make_disk(self.path("a.raw"), 3 * MIB + 1, self.rng)
        target = lib.make_disk(self.path("b.raw"), 2 * MIB, self.rng)
        untouched = lib.Untouched(target)
        result = self.resilver("sync", "--json", source, target)
        lib.check_error(self, result, "state", ("b\\.raw", "--create"))
        untouched.check(self)
        self.sync_pair(source, target, "--create")

    def test_a_too_large_target_is_never_cut_by_create_alone(self):
        source = lib.make_disk(self.path("a.raw"), 2 * MIB, self.rng)
        target = lib.make_disk(self.path("b.raw"), 3 * MIB + 1, self.rng)
        untouched = lib.Untouched(target)
        for options in ((), ("--create",)):
            with self.subTest(options=options):
                result = self.resilver("sync", "--json", *options, source, target)
                lib.check_error(self, result, "state", "b\\.raw")
                untouched.check(self)

    def too_large_a_target(self):
        source = lib.make_disk(self.path("a.raw"), 2 * MIB, self.rng)
        return source, lib.make_disk(self.path("b.raw"), 3 * MIB + 1, self.rng)

    def test_a_too_large_target_is_cut_with_yes(self):
        source, target = self.too_large_a_target()
        self.sync_pair(source, target, "--create", "--yes")
        self.assertEqual(os.path.getsize(target), 2 * MIB)

    def answer_on_a_terminal(self, source, target, answer):
        """Run as a person would, who types answer when asked; the exit status and the screen."""
        ours, theirs = os.openpty()
        try:
            process = self.start("sync", "--create", source, target, terminal=theirs)
            os.set_blocking(ours, False)
            screen = b""

            def read_screen():
                nonlocal screen
                try:
                    screen += os.read(ours, 4096)
                except OSError:
                    pass
                return b"Type" in screen or not process.is_alive()

            lib.wait_until(read_screen, "the question")
            os.write(ours, answer.encode() + b"\n")
            return process.wait().code, screen.decode()
        finally:
            os.close(ours)
            os.close(theirs)

    def test_a_too_large_target_is_cut_when_its_name_is_typed_back(self):
        source, target = self.too_large_a_target()
        untouched = lib.Untouched(target)
        for answer in ("", "yes", "y", self.path("a.raw")):
            with self.subTest(answer=answer):
                code, screen = self.answer_on_a_terminal(source, target, answer)
                self.assertEqual(code, FAILED, screen)
                self.assertIn("b.raw", screen)
                untouched.check(self)
        code, screen = self.answer_on_a_terminal(source, target, target)
        self.assertEqual(code, IN_SYNC, screen)
        self.assert_same(source, target)

    def test_a_new_target_of_an_empty_disk(self):
        source = lib.make_disk(self.path("a.raw"), 0, self.rng)
        self.sync_pair(source, self.path("b.raw"), "--create")

    def test_in_a_folder_that_is_not_there(self):
        source = lib.make_disk(self.path("a.raw"), MIB, self.rng)
        result = self.resilver("sync", "--json", "--create", source, self.path("no", "b.raw"))
        lib.check_error(self, result, words="not exist|No such")

    def test_a_failure_before_the_start_leaves_no_new_target(self):
        result = self.resilver("sync", "--json", "--create", self.path("missing.raw"),
                               self.path("b.raw"))
        lib.check_error(self, result, disk="missing.raw")
        self.assertEqual(os.listdir(self.dir), ["run"])


class Refusals(lib.Case):
    """One line that names disk, cause and cure; exit 1 or 2; nothing written."""

    def refuse(self, source, target, words, options=(), kind=None, target_file=None, **run):
        target_file = target_file or target
        untouched = lib.Untouched(target_file) if os.path.isfile(target_file) else None
        result = self.resilver("sync", "--json", *options, source, target, **run)
        lib.check_error(self, result, kind, words)
        plain = self.resilver("sync", *options, source, target, **run)
        self.assertEqual(plain.code, result.code, plain)
        lines = plain.err.strip().splitlines()
        self.assertEqual(len(lines), 1, "one line for people: %s" % plain)
        self.assertTrue(lines[0].startswith("resilver: "), plain)
        if untouched is not None:
            untouched.check(self)
        return result

    def disks(self):
        return (lib.make_disk(self.path("a.raw"), MIB, self.rng),
                lib.make_disk(self.path("b.raw"), MIB, self.rng))

    def test_missing_source(self):
        _, target = self.disks()
        self.refuse(self.path("none.raw"), target, ("none\\.raw", "not exist"), kind="io")

    def test_directory(self):
        source, target = self.disks()
        self.refuse(self.dir, target, "directory")
        self.refuse(source, self.dir, "directory")

    def test_neither_file_nor_block_device(self):
        source, target = self.disks()
        fifo = self.path("fifo.raw")
        os.mkfifo(fifo)
        self.refuse(fifo, target, "fifo\\.raw", deadline_s=20)
        self.refuse(source, fifo, "fifo\\.raw", deadline_s=20)
        self.refuse("/dev/zero", target, "/dev/zero", deadline_s=20)

    def test_the_same_file_twice(self):
        source, _ = self.disks()
        hard, soft = self.path("hard.raw"), self.path("soft.raw")
        os.link(source, hard)
        os.symlink(source, soft)
        for other in (source, hard, soft, self.path(".", "a.raw")):
            with self.subTest(other=os.path.basename(other)):
                untouched = lib.Untouched(source)
                result = self.resilver("sync", "--json", source, other)
                lib.check_error(self, result)
                untouched.check(self)

    def test_raw_that_is_an_image_of_another_format(self):
        source, target = self.disks()
        for file_format in ("qcow2", "vmdk", "vdi", "vhdx"):
            with self.subTest(format=file_format):
                if lib.find_tool("qemu-img") is None:
                    self.skipTest("needs qemu-img")
                image = self.path("image-%s" % file_format)
                lib.must(["qemu-img", "create", "-q", "-f", file_format, image, "1M"])
                self.refuse(image, target, (file_format, "--format"))
                self.refuse(source, image, (file_format, "--format"))

    def test_target_that_may_only_be_read(self):
        lib.need_root()
        source, target = self.disks()
        os.chmod(target, 0o444)
        self.refuse(source, target, ("b\\.raw", "permission"), user=65534)

    def test_source_that_may_not_be_read(self):
        lib.need_root()
        source, target = self.disks()
        os.chmod(source, 0o600)
        os.chmod(target, 0o666)
        self.refuse(source, target, ("a\\.raw", "permission"), user=65534)

    def test_source_in_a_folder_that_may_not_be_entered(self):
        lib.need_root()
        os.mkdir(self.path("closed"), 0o700)
        source = lib.make_disk(self.path("closed", "a.raw"), MIB, self.rng)
        target = lib.make_disk(self.path("b.raw"), MIB, self.rng)
        os.chmod(target, 0o666)
        self.refuse(source, target, "permission", user=65534)

    def test_control_bytes_in_a_name_never_reach_the_terminal(self):
        _, target = self.disks()
        result = self.resilver("sync", self.path("x\x1b[31m\nresilver: done"), target)
        self.assertEqual(result.code, FAILED, result)
        self.assertNotIn("\x1b", result.words)
        self.assertEqual(len(result.err.strip().splitlines()), 1, result)


class Usage(lib.Case):
    def test_bad_command_lines(self):
        lib.make_disk(self.path("a.raw"), MIB, self.rng)
        lib.make_disk(self.path("b.raw"), MIB, self.rng)
        for arguments in ((), ("a.raw",), ("a.raw", "b.raw", "c.raw"), ("--nonsense",),
                          ("--bwlimit=fast", "a.raw", "b.raw"), ("--bwlimit=-1", "a.raw", "b.raw"),
                          ("--bwlimit=99999999999999999999", "a.raw", "b.raw"),
                          ("--format=cow", "a.raw", "b.raw"),
                          ("--progress=sometimes", "a.raw", "b.raw"),
                          ("--compress=perhaps", "a.raw", "b.raw"),
                          ("--disk", "a.raw"), ("--disk", "a.raw="), ("--disk", "=b.raw"),
                          ("--disk", "a.raw=b.raw", "a.raw", "b.raw"),
                          ("host1:a.raw", "host2:b.raw"), ("", "b.raw"), ("a.raw", ""),
                          ("tls://localhost", "b.raw"), ("tls://:1/x", "b.raw"),
                          ("tls://localhost:99999/x", "b.raw"), ("nbd+unix:///", "b.raw")):
            with self.subTest(arguments=arguments):
                untouched = lib.Untouched(self.path("b.raw"))
                result = self.resilver("sync", *arguments, cwd=self.dir, deadline_s=20)
                self.assertEqual(result.code, USAGE, result)
                self.assertTrue(result.err.strip(), "it does not say what was wrong")
                self.assertLessEqual(len(result.err.strip().splitlines()), 2, result)
                untouched.check(self)

    def test_unknown_command(self):
        self.assertEqual(self.resilver("resync").code, USAGE)
        self.assertEqual(self.resilver().code, USAGE)

    def test_help_and_version(self):
        for arguments, word in ((("--help",), "sync"), (("help",), "serve"),
                                (("help", "sync"), "--bwlimit"), (("sync", "--help"), "--check"),
                                (("help", "serve"), "--export"), (("--version",), r"\d+\.\d+")):
            with self.subTest(arguments=arguments):
                result = self.assert_exit(self.resilver(*arguments), 0)
                self.assertRegex(result.out, word)
                self.assertEqual(result.err, "")
        self.assertEqual(self.resilver("help", "nonsense").code, USAGE)

    def test_a_closed_standard_output_is_a_failure(self):
        if not os.path.exists("/dev/full"):
            self.skipTest("needs /dev/full")
        for arguments in (["--help"], ["sync", "--json", self.path("a"), self.path("b")]):
            lib.make_disk(self.path("a"), 4096, self.rng)
            lib.copy_disk(self.path("a"), self.path("b"))
            shell = '"$0" "$@" >/dev/full'
            result = lib.run(["sh", "-c", shell, lib.program(), *arguments])
            self.assertEqual(result.code, FAILED, result)


class Report(lib.Case):
    def test_the_proof_is_fresh_in_every_run(self):
        source = lib.make_disk(self.path("a.raw"), MIB, self.rng)
        target = lib.copy_disk(source, self.path("b.raw"))
        proofs = {self.sync_pair(source, target)["proof"] for _ in range(3)}
        self.assertEqual(len(proofs), 3, "the key of a session was used twice")

    def test_names_are_given_as_they_were_written(self):
        lib.make_disk(self.path("a.raw"), 4096, self.rng)
        lib.make_disk(self.path("b.raw"), 4096, self.rng)
        disk, = self.sync_report("./a.raw", "b.raw", cwd=self.dir)
        self.assertEqual((disk["source"], disk["target"]), ("./a.raw", "b.raw"))

    def test_little_goes_over_the_wire_for_equal_disks(self):
        size = 256 * MIB
        source = lib.make_disk(self.path("a.raw"), size, self.rng, ("text",))
        target = lib.copy_disk(source, self.path("b.raw"))
        result = self.assert_exit(self.resilver("sync", "--json", source, target), IN_SYNC)
        wire = result.report["wire"]
        # 16 bytes a node, frames, and the session's beginning and end.
        self.assertLess(wire["sent_bytes"] + wire["received_bytes"], 16 * size // NODE + 4096)

    def test_compression_is_counted(self):
        source = lib.make_disk(self.path("a.raw"), 8 * MIB, self.rng, ("text",))
        target = lib.make_disk(self.path("b.raw"), 8 * MIB, self.rng)
        result = self.assert_exit(
            self.resilver("sync", "--json", "--compress=always", source, target), IN_SYNC)
        wire = result.report["wire"]
        self.assertEqual(wire["compressed_from_bytes"], 8 * MIB)
        self.assertLess(wire["sent_bytes"], 2 * MIB)

    def test_for_people_it_is_one_line_a_disk_and_no_live_line(self):
        source = lib.make_disk(self.path("a.raw"), MIB, self.rng)
        target = lib.make_disk(self.path("b.raw"), MIB, self.rng)
        result = self.assert_exit(self.resilver("sync", source, target), IN_SYNC)
        self.assertNotIn("\r", result.words)
        lines = result.words.strip().splitlines()
        self.assertTrue(any("b.raw" in line or "a.raw" in line for line in lines), result)
        self.assertLessEqual(len(lines), 3, result)

    def test_quiet_says_nothing_but_errors(self):
        source = lib.make_disk(self.path("a.raw"), MIB, self.rng)
        target = lib.make_disk(self.path("b.raw"), MIB, self.rng)
        self.assertEqual(self.resilver("sync", "--check", "--quiet", source, target).code,
                         DIFFERENT)
        result = self.assert_exit(self.resilver("sync", "--quiet", source, target), IN_SYNC)
        self.assertEqual(result.words, "")
        self.assertNotEqual(self.resilver("sync", "-q", source, self.path("none")).err, "")

    def test_progress_can_be_asked_for(self):
        source = lib.make_disk(self.path("a.raw"), 8 * MIB, self.rng)
        target = lib.make_disk(self.path("b.raw"), 8 * MIB, self.rng)
        result = self.assert_exit(
            self.resilver("sync", "--progress=always", "--bwlimit=16M", source, target), IN_SYNC)
        self.assertRegex(result.err, r"\r|\x1b|%", "no live line: %s" % result)
        result = self.assert_exit(
            self.resilver("sync", "--progress=always", "--json", source, target), IN_SYNC)
        lib.check_report(self, result.report)


if __name__ == "__main__":
    lib.main()
