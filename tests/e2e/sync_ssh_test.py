#!/usr/bin/python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""resilver sync over ssh: a real sshd on loopback, and what stands in its place when it fails."""

import getpass
import os

import lib
from lib import DIFFERENT, IN_SYNC, LEAF, MIB


class SshCase(lib.Case):
    def setUp(self):
        super().setUp()
        self.sshd = self.owned(lib.Sshd(self.path("sshd")))

    def remote(self, path, user=""):
        return "%s127.0.0.1:%s" % (user, path)

    def disks(self, size=8 * MIB, kinds=lib.ALL_KINDS):
        source = lib.make_disk(self.path("a.raw"), size, self.rng, kinds)
        target = lib.make_disk(self.path("b.raw"), size, self.rng, kinds)
        return source, target


class OverSsh(SshCase):
    def sync(self, *arguments):
        return self.sync_report("--ssh=" + self.sshd.command(), *arguments)

    def test_push(self):
        source, target = self.disks(8 * MIB + 333)
        differ = lib.different_bytes(source, target)
        disk, = self.sync(source, self.remote(target))
        self.assertEqual(disk["different_bytes"], differ)
        self.assertEqual((disk["source"], disk["target"]), (source, self.remote(target)))
        self.assert_same(source, target)
        self.assertFalse(os.path.exists(target + ".resilver"))

    def test_pull(self):
        source, target = self.disks(8 * MIB + 333)
        disk, = self.sync(self.remote(source), target)
        self.assertEqual((disk["source"], disk["target"]), (self.remote(source), target))
        self.assert_same(source, target)

    def test_user_and_relative_path(self):
        """A path that is not absolute starts in the remote user's home, as with every tool of
        this kind; the user's name goes to ssh."""
        source, target = self.disks(MIB)
        relative = os.path.relpath(target, os.path.realpath(os.path.expanduser("~")))
        self.sync(source, self.remote(relative, getpass.getuser() + "@"))
        self.assert_same(source, target)

    def test_several_disks(self):
        options, pairs = [], []
        for index in range(3):
            source = lib.make_disk(self.path("a%d" % index), 3 * MIB, self.rng)
            target = lib.make_disk(self.path("b%d" % index), 3 * MIB, self.rng)
            options += ["--disk", "%s=%s" % (source, self.remote(target))]
            pairs.append((source, target))
        self.sync(*options)
        for source, target in pairs:
            self.assert_same(source, target)

    def test_create_and_check(self):
        source, _ = self.disks(5 * MIB)
        target = self.path("new", "b.raw")
        os.mkdir(self.path("new"))
        self.sync("--create", source, self.remote(target))
        self.assert_same(source, target)
        lib.flip_bit(target, 5 * MIB - 1)
        untouched = lib.Untouched(target)
        result = self.resilver("sync", "--check", "--json", "--ssh=" + self.sshd.command(),
                               source, self.remote(target))
        self.assert_exit(result, DIFFERENT)
        lib.check_report(self, result.report, is_check=True)
        untouched.check(self)

    def test_the_wire_is_counted_at_the_source(self):
        """Both directions report the same flow: much from the source, little back."""
        for pull in (False, True):
            with self.subTest(pull=pull):
                source, target = self.disks(8 * MIB, ("random",))
                pair = ((self.remote(source), target) if pull
                        else (source, self.remote(target)))
                result = self.resilver("sync", "--json", "--ssh=" + self.sshd.command(), *pair)
                self.assert_exit(result, IN_SYNC)
                wire = result.report["wire"]
                self.assertGreater(wire["sent_bytes"], 8 * MIB)
                self.assertLess(wire["sent_bytes"], 8 * MIB * 1.02 + 4096)
                self.assertLess(wire["received_bytes"], 64 * 1024)

    def test_errors_of_the_other_side_arrive(self):
        source, target = self.disks(MIB)
        command = "--ssh=" + self.sshd.command()
        result = self.resilver("sync", "--json", command, source,
                               self.remote(self.path("none.raw")))
        lib.check_error(self, result, words=("none\\.raw", "--create"))
        result = self.resilver("sync", "--json", command,
                               self.remote(self.path("none.raw")), target)
        lib.check_error(self, result, "io", ("none\\.raw", "not exist"))
        small = lib.make_disk(self.path("small.raw"), MIB // 2, self.rng)
        untouched = lib.Untouched(small)
        result = self.resilver("sync", "--json", command, source, self.remote(small))
        lib.check_error(self, result, "state", "small\\.raw")
        untouched.check(self)


class Limits(SshCase):
    def sync_wire(self, *options):
        """Synchronize the disks of this test with these options; the whole report."""
        lib.copy_disk(self.original, self.target)
        result = self.resilver("sync", "--json", "--ssh=" + self.sshd.command(), *options,
                               self.source, self.remote(self.target))
        self.assert_exit(result, IN_SYNC)
        lib.check_report(self, result.report)
        self.assert_same(self.source, self.target)
        return result.report

    def prepare(self, size, kinds):
        self.source, self.target = self.disks(size, kinds)
        self.original = lib.copy_disk(self.target, self.path("original.raw"))

    def test_bwlimit_is_kept_within_a_quarter(self):
        """16 MiB at 8 MiB/s take 2 s, besides what ssh needs to log in."""
        self.prepare(4096, ("random",))
        login_s = min(self.sync_wire()["elapsed_seconds"] for _ in range(3))
        self.prepare(16 * MIB, ("random",))
        for options in (("--bwlimit=8M",), ("--bwlimit=8M", "--compress=always")):
            with self.subTest(options=options):
                seconds = self.sync_wire(*options)["elapsed_seconds"] - login_s
                self.assertGreater(seconds, 2.0 * 0.75)
                self.assertLess(seconds, 2.0 * 1.25)

    def test_bwlimit_of_a_pull_binds_the_remote_source(self):
        self.prepare(8 * MIB, ("random",))
        result = self.resilver("sync", "--json", "--bwlimit=8M", "--ssh=" + self.sshd.command(),
                               self.remote(self.source), self.target)
        self.assert_exit(result, IN_SYNC)
        self.assertGreater(result.report["elapsed_seconds"], 0.75)

    def test_compression_makes_the_wire_lighter(self):
        self.prepare(8 * MIB, ("text",))
        plain = self.sync_wire("--compress=never", "--refine=never")["wire"]
        small = self.sync_wire("--compress=always", "--refine=never")["wire"]
        self.assertGreater(plain["sent_bytes"], 8 * MIB)
        self.assertEqual(plain["compressed_from_bytes"], 0)
        self.assertLess(small["sent_bytes"], plain["sent_bytes"] / 4)
        self.assertEqual(small["compressed_from_bytes"], 8 * MIB)

    def test_refinement_makes_the_wire_lighter(self):
        """Scattered 4 KiB changes cost about themselves, not their whole leaves."""
        self.prepare(16 * MIB, ("random",))
        lib.copy_disk(self.source, self.original)
        pages = self.rng.sample(range(16 * MIB // 4096), 100)
        for page in pages:
            lib.change_bytes(self.original, page * 4096, self.rng.randbytes(4096))
        leaves = len(lib.different_leaves(self.source, self.original))
        never = self.sync_wire("--refine=never", "--compress=never")["wire"]
        always = self.sync_wire("--refine=always", "--compress=never")["wire"]
        self.assertGreaterEqual(never["sent_bytes"], leaves * LEAF)
        self.assertLess(always["sent_bytes"], 100 * 4096 * 1.3)

    def test_a_thin_link_is_noticed(self):
        """With nothing said, a slow link makes the program save bytes by itself."""
        self.prepare(16 * MIB, ("text",))
        report = self.sync_wire("--bwlimit=1M")
        self.assertLess(report["wire"]["sent_bytes"], 8 * MIB)


class Failures(SshCase):
    """Every way in which there may be no resilver at the other end."""

    def refuse(self, words, known_hosts="known_hosts", deadline_s=lib.DEADLINE_S, ssh=None,
               directions=(False, True)):
        """Both directions fail with one message that says why; the target is as it was."""
        for pull in directions:
            with self.subTest(pull=pull):
                source, target = self.disks(MIB)
                untouched = lib.Untouched(target)
                pair = ((self.remote(source), target) if pull
                        else (source, self.remote(target)))
                command = ssh or self.sshd.command(known_hosts)
                result = self.resilver("sync", "--json", "--ssh=" + command, *pair,
                                       deadline_s=deadline_s)
                error = lib.check_error(self, result, ("peer", "usage"))
                # ssh itself may have said the cause on standard error.
                for word in words:
                    self.assertRegex(error["message"] + result.err, "(?i)" + word)
                untouched.check(self)

    def replace_program(self, text):
        path = os.path.join(self.sshd.bin, "resilver")
        os.unlink(path)
        if text is not None:
            lib.write_script(path, text)

    def test_unknown_host_key(self):
        self.refuse(("host key|known",), known_hosts="no_hosts")

    def test_changed_host_key(self):
        self.refuse(("host key|identification",), known_hosts="wrong_hosts")

    def test_key_that_may_not_log_in(self):
        with open(self.sshd.file("authorized"), "w"):
            pass
        self.refuse(("permission denied",))

    def test_nobody_listens(self):
        self.sshd.close()
        self.refuse(("refused",))

    def test_no_ssh_program(self):
        self.refuse(("no-such-ssh",), ssh=self.path("no-such-ssh"))

    def test_no_resilver_over_there(self):
        self.replace_program(None)
        self.refuse(("not found|127", "resilver"))

    def test_garbage_instead_of_resilver(self):
        self.replace_program("#!/bin/sh\necho Welcome to db1, the time is 12:00, have a nice day\n"
                             "exec cat 3>&1 >/dev/null\n")
        self.refuse(("not resilver|not a resilver|does not speak",), deadline_s=20)

    def test_endless_garbage(self):
        self.replace_program("#!/bin/sh\nexec tr '\\0' x </dev/zero\n")
        self.refuse(("not resilver|not a resilver|does not speak",), deadline_s=20)

    def test_a_command_that_closes_at_once(self):
        for status in (0, 3):
            self.replace_program("#!/bin/sh\nexit %d\n" % status)
            self.refuse(("ended|closed",), deadline_s=20)

    def test_a_command_that_never_answers(self):
        self.replace_program("#!/bin/sh\nexec cat 3>&1 >/dev/null\n")
        self.refuse(("said nothing",), deadline_s=45, directions=(True,))

    def test_another_version(self):
        """A peer that is Resilver, but of a future that has given up version 1: it sends our own
        HELLO back with other numbers."""
        peer = lib.write_script(self.path("future"), (
            "#!/usr/bin/python3\nimport os, sys\nhello = os.read(0, 4096)\n"
            "os.write(1, hello[:16] + bytes([7, 0, 9, 0]) + hello[20:])\n"
            "while os.read(0, 65536):\n    pass\n"))
        self.refuse(("versions? 7 to 9", "version 1"), ssh=peer, deadline_s=20)

    def test_our_own_words_sent_back(self):
        """An echo is no peer."""
        peer = lib.write_script(self.path("echo"), "#!/bin/sh\nexec cat\n")
        self.refuse((), ssh=peer, deadline_s=20)

    def test_another_program_by_remote_path(self):
        os.rename(os.path.join(self.sshd.bin, "resilver"), self.path("moved"))
        source, target = self.disks(MIB)
        self.sync_report("--ssh=" + self.sshd.command(), "--remote-path=" + self.path("moved"),
                         source, self.remote(target))
        self.assert_same(source, target)


if __name__ == "__main__":
    lib.main()
