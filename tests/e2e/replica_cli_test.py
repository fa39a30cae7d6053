#!/usr/bin/python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""`resilver replica` and `resilver recover`: what they show, what they refuse, and that the points
that they open, verify and roll back to are what the source was then."""

import fcntl
import hashlib
import json
import os
import re
import shutil
import signal
import struct
import time

import lib
from cli_test import Terminal
from lib import FAILED, KIB, MIB, USAGE

VERBS = ("list", "show", "points", "verify", "open", "rollback", "init", "set", "drop")
POINT_FIELDS = {"number": int, "time": (str, type(None)), "is_present": bool,
                "own_bytes": (int, type(None)), "is_damaged": bool, "needs": (int, type(None))}
DISK_FIELDS = {"name": str, "staged_as": (str, type(None)), "format": (str, type(None)), "size_bytes": (int, type(None)),
               "proof": (str, type(None))}
REPLICA_FIELDS = {"path": str, "state": str, "in_use": bool, "half_staged": bool,
                  "staged_bytes": int, "history": int, "point": (int, type(None)), "disks": list,
                  "points": list}


def check_points(test, points):
    for point in points:
        lib.check_fields(test, "point", point, POINT_FIELDS)
        test.assertEqual(point["is_damaged"], point["needs"] == point["number"])
        test.assertEqual(point["time"] is None, point["is_damaged"])
        test.assertRegex(point["time"] or "2000-01-01T00:00:00Z", r"^20\d\d-\d\d-\d\dT\d\d:\d\d:\d\dZ$")
        test.assertEqual(point["own_bytes"] is None, point["is_present"])
    numbers = [point["number"] for point in points]
    test.assertEqual(numbers, sorted(set(numbers)))
    test.assertEqual([p["number"] for p in points if p["is_present"]], numbers[-1:])


def check_replica(test, replica):
    lib.check_fields(test, "replica", replica, REPLICA_FIELDS)
    check_points(test, replica["points"])
    for disk in replica["disks"]:
        lib.check_fields(test, "disk", disk, DISK_FIELDS)
    return replica


class Record:
    """The bytes of `point`, `commit` and `staged`, read and written here by docs/format-replica.md
    alone."""

    def __init__(self, path):
        with open(path, "rb") as file:
            data = file.read()
        assert hashlib.sha256(data[:-32]).digest() == data[-32:], "the sum of %s" % path
        magic, version, self.number, self.base, self.time_ns, count = struct.unpack_from(
            "<4sIQQQI", data)
        assert (magic, version) == (b"rlpt", 1), (magic, version)
        at = 36
        self.disks = []
        for _ in range(count):
            name_bytes, = struct.unpack_from("<H", data, at)
            name = data[at + 2:at + 2 + name_bytes].decode()
            at += 2 + name_bytes
            fields = struct.unpack_from("<IIQ32s16sQQ", data, at)
            at += 80
            # name, format, driver, size, proof, id of the log, its groups, time of the old file
            self.disks.append([name, *fields])
        count, = struct.unpack_from("<I", data, at)
        self.segments = data[at:-32]
        assert len(self.segments) == 4 + 24 * count

    def write(self, path):
        data = struct.pack("<4sIQQQI", b"rlpt", 1, self.number, self.base, self.time_ns,
                           len(self.disks))
        for name, *fields in self.disks:
            data += struct.pack("<H", len(name)) + name.encode()
            data += struct.pack("<IIQ32s16sQQ", *fields)
        data += self.segments
        with open(path, "wb") as file:
            file.write(data + hashlib.sha256(data).digest())


class Case(lib.Case):
    def replica(self, *arguments, code=0, **options):
        """A command that says nothing on the stream that is not its."""
        result = self.resilver("replica", *arguments, cwd=self.dir, **options)
        self.assert_exit(result, code)
        self.assertEqual(result.out if code else result.err, "", result)
        return result

    def refuse(self, *arguments, words=(), code=FAILED, command="replica"):
        result = self.resilver(command, *arguments, cwd=self.dir)
        self.assert_exit(result, code)
        self.assertEqual(result.out, "", result)
        lines = result.err.splitlines()
        self.assertEqual(len(lines), 1, result)
        self.assertTrue(lines[0].startswith("resilver: "), result)
        for word in (words,) if isinstance(words, str) else words:
            self.assertIn(word, lines[0])
        json_result = self.resilver(command, *arguments, "--json", cwd=self.dir)
        self.assert_exit(json_result, code)
        lib.check_error(self, json_result)
        return lines[0]

    def show(self, path="vm"):
        result = self.replica("show", "--json", path)
        self.assertEqual(result.report["result"], "done")
        return check_replica(self, result.report["replica"])

    def numbers(self, path="vm"):
        points = self.replica("points", "--json", path).report["points"]
        check_points(self, points)
        return [point["number"] for point in points]

    def sync(self, *options, names=("a.raw",), folder="vm"):
        pairs = [word for name in names for word in ("--disk", "%s=%s/" % (name, folder))]
        return self.assert_exit(self.resilver("sync", "--create", *options, *pairs, cwd=self.dir),
                                0)

    def make_points(self, count, names=("a.raw",), history=24, size=3 * MIB + 70 * KIB):
        """A replica vm of `count` points; {number: {name: a copy of what the source was}}."""
        self.replica("init", "--history", str(history), "vm")
        saved = {}
        for name in names:
            lib.make_disk(self.path(name), size, self.rng, lib.ALL_KINDS)
        for number in range(1, count + 1):
            self.sync(names=names)
            saved[number] = {name: lib.copy_disk(self.path(name),
                                                 self.path("%s.%d" % (name, number)))
                             for name in names}
            for name in names:
                leaves = -(-size // lib.LEAF)
                lib.change_leaves(self.path(name), lib.scatter(leaves, 0.1, self.rng), self.rng,
                                  self.rng.choice(("random", "zero", "text")))
        return saved

    def interrupted(self, *options, target="vm/"):
        """A sync that is killed while it stages; the replica is half staged then."""
        process = self.start("sync", "--create", "--bwlimit=2M", "--compress=never",
                             "--refine=never", *options, "a.raw", target, cwd=self.dir)
        staged = self.path(target, "stage", "staged") if target.endswith("/") else \
            self.path(target + ".resilver", "staged")
        lib.wait_until(lambda: os.path.exists(staged), "the stage")
        process.signal(signal.SIGKILL)
        process.wait()


class Usage(Case):
    def test_what_is_missing(self):
        self.assertIn("--help", self.refuse_plain())
        self.assertIn("did you mean 'replica list'", self.refuse_plain("lsit"))
        self.assertIn("resilver replica --help", self.refuse_plain("frobnicate"))
        for verb in VERBS[1:]:
            with self.subTest(verb=verb):
                self.refuse(verb, words="no replica is named", code=USAGE)
                self.refuse(verb, "a", "b", words="one too many", code=USAGE)
                self.refuse(verb, "", words="empty", code=USAGE)
                self.refuse(verb, "--nonsense-here", words="resilver help replica " + verb,
                            code=USAGE)
        self.refuse("list", "a", "b", words="one too many", code=USAGE)
        self.refuse(words="nothing is named", code=USAGE, command="recover")
        self.refuse("set", "vm", words="--history=N", code=USAGE)
        self.refuse("drop", "vm", words="--staged", code=USAGE)
        self.refuse("drop", "vm", "--staged", "--point=1", words="either", code=USAGE)
        self.refuse("rollback", "vm", words="--to=POINT", code=USAGE)
        self.refuse("set", "vm", "--histroy=3", words="did you mean '--history'", code=USAGE)
        for value in ("25", "-1", "x", ""):
            self.refuse("set", "vm", "--history", value, words="from 0 to 24", code=USAGE)

    def refuse_plain(self, *arguments):
        result = self.resilver("replica", *arguments)
        self.assert_exit(result, USAGE)
        self.assertEqual(result.out, "")
        return result.err

    def test_help(self):
        listed = self.resilver("help", "replica").out
        self.assertEqual(listed, self.resilver("replica", "--help").out)
        for verb in VERBS:
            with self.subTest(verb=verb):
                self.assertRegex(listed, r"(?m)^  %s +\w" % verb)
                text = self.assert_exit(self.resilver("help", "replica", verb), 0).out
                self.assertEqual(text, self.resilver("replica", verb, "--help").out)
                self.assertTrue(text.startswith("resilver replica %s - " % verb))
                self.assertLessEqual(max(map(len, text.splitlines())), 100)
        self.assertIn("did you mean 'replica show'", self.resilver("help", "replica", "shwo").err)


class Empty(Case):
    def test_init(self):
        self.assertEqual(self.replica("init", "vm").out, "vm: made, to keep 0 earlier points\n")
        self.assertEqual(os.stat(self.path("vm")).st_mode & 0o777, 0o700)
        self.assertEqual(self.replica("init", "vm/").out,
                         "vm/: is a replica already, which keeps 0 earlier points\n")
        self.refuse("init", "--history=1", "vm", words=("already", "resilver replica set"))
        info = self.replica("init", "--history=1", "--json", "deep/er/vm").report["replica"]
        self.assertEqual(check_replica(self, info)["history"], 1)
        os.mkdir(self.path("full"))
        lib.make_disk(self.path("full", "a"), KIB, self.rng)
        self.refuse("init", "full", words="not empty")
        lib.make_disk(self.path("file"), KIB, self.rng)
        self.refuse("init", "file")

    def test_show(self):
        self.replica("init", "--history=2", "vm")
        self.assertEqual(self.replica("show", "vm").out,
                         "vm\n  state    empty\n  history  0 of 2 earlier points\n")
        self.assertEqual(self.replica("points", "vm").out,
                         "vm has no point yet: no copy was ever completed\n")
        info = self.show()
        self.assertEqual((info["state"], info["history"], info["point"], info["disks"],
                          info["points"]), ("empty", 2, None, [], []))
        self.assertEqual(self.numbers(), [])

    def test_no_point_to_do_anything_with(self):
        self.replica("init", "vm")
        for words in (("verify", "vm"), ("verify", "vm", "--point=3"), ("open", "vm"),
                      ("rollback", "vm", "--to=1"), ("drop", "vm", "--point=1", "--yes")):
            with self.subTest(words=words):
                self.refuse(*words, words="no point yet")

    def test_set_and_nothing_to_drop(self):
        self.replica("init", "vm")
        self.assertEqual(self.replica("set", "vm", "--history=7").out,
                         "vm: keeps 7 earlier points from now on; dropped: 0\n")
        self.assertEqual(self.show()["history"], 7)
        self.assertEqual(self.replica("drop", "vm", "--staged").out, "vm: nothing was staged\n")

    def test_list(self):
        result = self.replica("list")
        self.assertEqual(result.out, "")
        self.assertEqual(self.replica("list", "--json").report["replicas"], [])
        for name in ("vm2", "vm1", "\x1b[31mred"):
            self.replica("init", name)
        os.mkdir(self.path("no-replica"))
        lines = self.replica("list").out.splitlines()
        self.assertRegex(lines[0], r"^REPLICA +SIZE +POINT +SEALED +EARLIER +THEY COST +STATE$")
        self.assertEqual([line.split()[0] for line in lines[1:]], ["?[31mred", "vm1", "vm2"])
        self.assertTrue(lines[1].endswith("  empty"))
        found = self.replica("list", "--json", self.dir).report["replicas"]
        self.assertEqual([os.path.basename(check_replica(self, one)["path"]) for one in found],
                         ["\x1b[31mred", "vm1", "vm2"])
        self.assertEqual(len(self.replica("list", "vm1").out.splitlines()), 2)
        self.refuse("list", "nowhere", words="nowhere")

    def replica(self, *arguments, code=0, **options):
        if arguments == ("list",):  # An empty list says so on standard error.
            return self.assert_exit(self.resilver("replica", *arguments, cwd=self.dir), code)
        return super().replica(*arguments, code=code, **options)


class NotAReplica(Case):
    def each_verb(self, words, path="vm"):
        for arguments in (("show",), ("points",), ("verify",), ("open",), ("rollback", "--to=1"),
                          ("set", "--history=1"), ("drop", "--point=1", "--yes"),
                          ("drop", "--staged", "--yes")):
            with self.subTest(arguments=arguments):
                self.refuse(*arguments, path, words=words)

    def test_nothing_there(self):
        self.each_verb(("there is no replica at", "No such file"))

    def test_something_else(self):
        os.mkdir(self.path("vm"))
        self.each_verb("is not a replica")
        os.mkdir(self.path("vm", "replica"))
        self.each_verb("vm/replica")
        lib.make_disk(self.path("file"), KIB, self.rng)
        self.each_verb("file", path="file")
        self.refuse("vm", words="vm", command="recover")

    def test_another_version(self):
        self.replica("init", "vm")
        lib.change_bytes(self.path("vm", "replica"), 4, b"\x02")
        self.each_verb(("vm/replica", "version 2", "knows version 1"))
        result = self.resilver("replica", "list", cwd=self.dir)
        self.assert_exit(result, FAILED)
        self.assertIn("version 2", result.err)
        self.assertRegex(result.out, r"(?m)^vm +cannot be read$")
        result = self.resilver("replica", "list", "--json", cwd=self.dir)
        self.assert_exit(result, FAILED)
        self.assertEqual(result.report["result"], "incomplete")
        self.assertIn("version 2", result.report["replicas"][0]["error"]["message"])

    def test_damaged(self):
        self.replica("init", "vm")
        size = os.path.getsize(self.path("vm", "replica"))
        for offset in (0, 9, size - 1):
            with self.subTest(offset=offset):
                lib.flip_bit(self.path("vm", "replica"), offset)
                self.each_verb("vm/replica")
                lib.flip_bit(self.path("vm", "replica"), offset)
        os.truncate(self.path("vm", "replica"), 20)
        self.each_verb(("vm/replica", "cut off"))

    def test_a_plain_targets_folder(self):
        lib.make_disk(self.path("a.raw"), 4 * MIB, self.rng)
        self.interrupted("--atomic", target="b.raw")
        self.each_verb("target beside it", path="b.raw.resilver")
        self.refuse("b.raw.resilver", words="target beside it", command="recover")
        self.assertEqual(self.replica("list", "--json").report["replicas"], [])
        self.assertTrue(os.path.exists(self.path("b.raw.resilver", "staged")))


class InTheWay(Case):
    CHANGES = (("verify",), ("open",), ("rollback", "--to=1", "--yes"), ("set", "--history=1"),
               ("drop", "--point=1", "--yes"), ("drop", "--staged", "--yes"))

    def test_somebody_else_is_at_work(self):
        self.make_points(2)
        with open(self.path("vm", "lock")) as file:
            fcntl.flock(file, fcntl.LOCK_EX)
            for arguments in self.CHANGES:
                with self.subTest(arguments=arguments):
                    self.refuse(*arguments, "vm", words="at work on the replica")
            self.refuse("vm", words="at work on the replica", command="recover")
            self.assertIn("whole, in use", self.replica("show", "vm").out)
            self.assertTrue(self.show()["in_use"])
        self.assertIn("state    whole\n", self.replica("show", "vm").out)

    def test_a_disk_that_a_vm_has_open(self):
        lib.need_tool("qemu-nbd")
        saved = self.make_points(2)
        socket, disk = self.path("qemu.sock"), self.path("vm", "disks", "a.raw")
        server = lib.Process([lib.find_tool("qemu-nbd"), "--persistent", "--format=raw",
                              "--socket", socket, disk], is_server=True)
        self.addCleanup(server.end)
        lib.wait_until(lambda: os.path.exists(socket), "qemu-nbd")
        for arguments in (("verify",), ("open",), ("rollback", "--to=1", "--yes")):
            with self.subTest(arguments=arguments):
                self.refuse(*arguments, "vm", words=("a.raw", "in use"))
        self.replica("set", "vm", "--history=3")
        server.end()
        self.assert_same(saved[2]["a.raw"], disk)
        self.assertFalse(self.show()["half_staged"])
        self.replica("rollback", "vm", "--to=1", "--yes")

    def test_a_replica_behind_a_link(self):
        """Looking through it is fine; whoever changes anything names the folder itself."""
        self.make_points(2)
        os.symlink("vm", self.path("link"))
        words = ("link is a symbolic link", "name the folder itself, " + self.path("vm"))
        for arguments in self.CHANGES:
            with self.subTest(arguments=arguments):
                self.refuse(*arguments, "link", words=words)
        self.refuse("link/", words=words, command="recover")
        self.refuse("--create", "a.raw", "link/", words=words, command="sync")
        self.assertEqual(self.numbers("link"), [1, 2])
        os.symlink("vm/..", self.path("up"))
        self.replica("verify", "up/vm")

    def test_a_dangling_link_in_a_folders_place(self):
        os.symlink("nowhere", self.path("link"))
        lib.make_disk(self.path("a.raw"), MIB, self.rng)
        self.refuse("init", "link", words="link is a symbolic link")

    def test_a_disk_that_is_a_dangling_link(self):
        """What was staged before stays: nothing is wrong with it."""
        self.make_points(1, size=12 * MIB)
        lib.make_disk(self.path("a.raw"), 12 * MIB, self.rng)
        self.interrupted()
        disk = self.path("vm", "disks", "a.raw")
        os.rename(disk, self.path("aside.raw"))
        os.symlink("nowhere", disk)
        self.refuse("--create", "a.raw", "vm/", command="sync",
                    words=("disks/a.raw is a symbolic link", "No such file"))
        self.assertTrue(os.path.islink(disk))
        os.rename(self.path("aside.raw"), disk)
        self.assertTrue(self.show()["half_staged"])
        self.sync()
        self.assert_same(self.path("a.raw"), disk)

    def test_a_folder_that_others_may_write_to(self):
        self.make_points(2)
        os.chmod(self.path("vm"), 0o777)
        for arguments in self.CHANGES:
            with self.subTest(arguments=arguments):
                self.refuse(*arguments, "vm", words="chmod go-w")

    def test_a_read_only_file_system(self):
        lib.need_root()
        self.make_points(2)
        self.owned(lib.Mount(self.path("vm"), self.path("ro"), options="bind"))
        lib.must([lib.find_tool("mount"), "-o", "remount,ro,bind", self.path("ro")])
        self.assertEqual(self.show("ro")["point"], 2)
        self.assertEqual(self.numbers("ro"), [1, 2])
        for arguments in self.CHANGES:
            with self.subTest(arguments=arguments):
                self.refuse(*arguments, "ro", words="Read-only file system")
        self.refuse("init", "ro/new", words="Read-only file system")

    def test_another_users_folder(self):
        lib.need_root()
        self.make_points(2)
        result = self.resilver("replica", "show", self.path("vm"), user=65534)
        self.assert_exit(result, FAILED)
        self.assertIn("Permission denied", result.err)


class Points(Case):
    def test_what_is_shown(self):
        began = time.time()
        self.make_points(3, names=("a.raw", "b.raw"), history=2)
        info = self.show()
        self.assertEqual((info["state"], info["point"], info["in_use"], info["half_staged"]),
                         ("whole", 3, False, False))
        self.assertEqual([disk["name"] for disk in info["disks"]], ["a.raw", "b.raw"])
        for disk in info["disks"]:
            self.assertEqual(disk["size_bytes"], os.path.getsize(self.path(disk["name"])))
            self.assertEqual(disk["format"], "raw")
            self.assertRegex(disk["proof"], "^sha256:[0-9a-f]{64}$")
        self.assertEqual(self.numbers(), [1, 2, 3])
        text = self.replica("show", "vm").out
        found = re.search(r"present  point 3, sealed (20\d\d-\d\d-\d\d \d\d:\d\d:\d\d)\n", text)
        sealed = time.mktime(time.strptime(found.group(1), "%Y-%m-%d %H:%M:%S"))
        self.assertTrue(began - 1 <= sealed <= time.time() + 1, (began, sealed))
        self.assertRegex(text, r"history  2 of 2 earlier points, which cost \d")
        self.assertRegex(text, r"\n  a\.raw  raw     3\.1 MiB  (journal|file)  *sha256:[0-9a-f]{64}\n")
        lines = self.replica("points", "vm").out.splitlines()
        self.assertEqual([line.split()[0] for line in lines], ["POINT", "1", "2", "3"])
        self.assertTrue(lines[3].endswith("  present"))
        self.assertIn(info["disks"][0]["proof"], text)
        row = self.replica("list").out.splitlines()[1]
        self.assertRegex(row, r"^vm +6\.1 MiB +3  20.* 2 +\d.* whole$")

    def test_local_time(self):
        self.make_points(1)
        shown = [self.replica("points", "vm", env={"TZ": zone}).out.splitlines()[1].split()[2]
                 for zone in ("UTC0", "XXX-5:30")]
        minutes = [int(text[:2]) * 60 + int(text[3:5]) for text in shown]
        self.assertEqual((minutes[1] - minutes[0]) % 1440, 330)

    def test_unknown_points_say_which_there_are(self):
        self.make_points(3)
        for word in ("4", "0", "x", "-1", "2 ", "99999999999999999999999"):
            with self.subTest(word=word):
                self.refuse("verify", "vm", "--point", word, code=USAGE,
                            words=("'%s'" % word[:40], "1, 2 and 3 (present)"))
        self.refuse("open", "vm", "--point=7", code=USAGE, words="1, 2 and 3 (present)")
        self.refuse("rollback", "vm", "--to=7", code=USAGE, words="1, 2 and 3 (present)")
        self.refuse("drop", "vm", "--point=7", "--yes", code=USAGE, words="1, 2 and 3 (present)")

    def needs(self):
        """Of the points that cannot be seen, without which."""
        points = self.replica("points", "--json", "vm").report["points"]
        check_points(self, points)
        return {point["number"]: point["needs"] for point in points if point["needs"]}

    def test_a_damaged_record_is_named_and_can_be_dropped(self):
        self.make_points(5)
        is_log = self.show()["disks"][0]["staged_as"] == "journal"
        lib.flip_bit(self.path("vm", "points", "000002", "point"), 20)
        # What is seen through it is as unusable as itself; what is after it is as it was.
        self.assertEqual(self.needs(), {1: 2, 2: 2} if is_log else {2: 2})
        self.assertEqual(self.show()["state"], "whole")
        for verb in ("show", "points"):
            text = self.replica(verb, "vm").out
            self.assertIn("  damaged: resilver replica drop vm --point=2\n", text)
            self.assertEqual("  unusable without point 2\n" in text, is_log)
        for number in (3, 4, 5):
            self.replica("verify", "vm", "--point=%d" % number)
        for number in (1, 2) if is_log else (2,):
            for verb in ("verify", "open"):
                self.refuse(verb, "vm", "--point=%d" % number, words=(
                    "points/000002/point", "checksum", "resilver replica drop vm --point=2"))
            self.refuse("rollback", "vm", "--to=%d" % number, "--yes",
                        words="cannot be seen without point 2")
        if not is_log:
            self.replica("verify", "vm", "--point=1")
        self.sync()
        self.replica("rollback", "vm", "--to=3", "--yes")
        self.assertEqual(self.numbers(), [1, 2, 3, 4, 5, 6, 7])
        self.refuse("drop", "vm", "--point=9", "--yes", words="9", code=USAGE)
        self.refuse("drop", "vm", "--point=2", words="--yes")
        self.replica("drop", "vm", "--point=2", "--yes")
        self.assertEqual((self.numbers(), self.needs()), ([3, 4, 5, 6, 7], {}))

    def test_a_missing_point_hides_those_before_it(self):
        self.make_points(4)
        is_log = self.show()["disks"][0]["staged_as"] == "journal"
        shutil.rmtree(self.path("vm", "points", "000002"))
        self.assertEqual(self.numbers(), [1, 3, 4])
        self.assertEqual(self.needs(), {1: 2} if is_log else {})
        self.refuse("verify", "vm", "--point=1", words="missing") if is_log else \
            self.replica("verify", "vm", "--point=1")

    def test_what_a_commit_that_was_taken_back_left_hides_nothing(self):
        """Killed before its record, it had begun the undo logs of the present point."""
        self.make_points(3)
        os.mkdir(self.path("vm", "points", "000003"))
        lib.write_script(self.path("vm", "points", "000003", "0.undo"), "begun")
        self.assertEqual((self.numbers(), self.needs()), ([1, 2, 3], {}))
        for number in (1, 2, 3):
            self.replica("verify", "vm", "--point=%d" % number)

    def test_a_record_in_another_points_folder_is_damage(self):
        self.make_points(3)
        shutil.copy(self.path("vm", "points", "000001", "point"),
                    self.path("vm", "points", "000002", "point"))
        self.assertEqual(self.needs()[2], 2)
        self.refuse("verify", "vm", "--point=2", words="another point")

    def test_the_present_points_damaged_record_is_named(self):
        self.make_points(1)
        lib.flip_bit(self.path("vm", "point"), 20)
        self.refuse("show", "vm", words=("vm/point", "checksum"))


class Verify(Case):
    def test_every_point_is_what_was_sealed(self):
        self.make_points(4, names=("a.raw", "b.raw"))
        for number in range(1, 5):
            line = self.replica("verify", "vm", "--point=%d" % number).out
            self.assertRegex(line, r"^vm: point %d of 20.* is what was sealed: 6\.1 MiB in 2 disks, "
                                   % number)
        for words in ((), ("--point=present",), ("--point=latest",)):
            found = self.replica("verify", "vm", "--json", *words).report["verified"]
            seconds = found.pop("elapsed_seconds")
            self.assertGreaterEqual(seconds, 0)
            lib.check_fields(self, "verified", found, {
                "path": str, "point": int, "time": str, "disks": int, "size_bytes": int})
            self.assertEqual((found["point"], found["disks"]), (4, 2))

    def test_a_flipped_bit_is_found(self):
        self.make_points(3)
        lib.flip_bit(self.path("vm", "disks", "a.raw"), 5 * lib.LEAF + 17)
        self.refuse("verify", "vm", words=("a.raw", "point 3", "resynchronize"))
        lib.flip_bit(self.path("vm", "disks", "a.raw"), 5 * lib.LEAF + 17)
        self.replica("verify", "vm")

    def test_a_damaged_undo_log_is_found(self):
        self.make_points(3)
        undo = self.path("vm", "points", "000002", "0.undo")
        if not os.path.exists(undo):
            self.skipTest("this file system makes clones")
        lib.flip_bit(undo, 4096 + 8192 + 100)
        result = self.resilver("replica", "verify", "vm", "--point=2", cwd=self.dir)
        self.assert_exit(result, FAILED)
        self.replica("verify", "vm", "--point=3")

    def test_a_terminal_sees_how_far_it_is(self):
        self.make_points(1, size=64 * MIB)
        terminal = Terminal(self, ["replica", "verify", "vm"], cwd=self.dir)
        self.assertEqual(terminal.wait(), 0)
        self.assertIn(b"%, ", terminal.shown)
        self.assertTrue(terminal.shown.rstrip().endswith(b"iB/s"), terminal.shown)


class Open(Case):
    def setUp(self):
        super().setUp()
        lib.need_tool("qemu-img")

    def open(self, *arguments, count=1, **options):
        process = self.start("replica", "open", *arguments, cwd=self.dir, **options)
        lib.wait_until(lambda: process.output()[0].count(b"\n") >= count or not process.is_alive(),
                       "the export")
        out, err = process.output()
        self.assertTrue(process.is_alive(), err)
        return process, out.decode().splitlines()

    def close(self, process, number=signal.SIGTERM):
        process.signal(number)
        result = self.assert_exit(process.wait(), 0)
        self.assertEqual(result.err, "")
        return result

    def compare(self, uri, copy):
        result = lib.run(["qemu-img", "compare", "-f", "raw", "-F", "raw", uri, copy])
        self.assertEqual(result.code, 0, result)

    def test_each_disk_of_each_point(self):
        saved = self.make_points(4, names=("a.raw", "b.raw"), size=3 * MIB + 4 * KIB)
        for number, copies in saved.items():
            with self.subTest(number=number):
                process, uris = self.open("vm", "--point", str(number), count=2)
                self.assertEqual([re.match(r"nbd\+unix:///(\w\.raw)\?socket=/", uri).group(1)
                                  for uri in uris], ["a.raw", "b.raw"])
                for uri, copy in zip(uris, copies.values()):
                    self.compare(uri, copy)
                socket = uris[0].split("socket=")[1]
                self.assertEqual(os.stat(os.path.dirname(socket)).st_mode & 0o777, 0o700)
                self.assertTrue(self.show()["in_use"])
                self.refuse("set", "vm", "--history=1", words="at work")
                self.close(process)
                self.assertFalse(os.path.exists(os.path.dirname(socket)))

    def make_file_system(self, number):
        """a.raw becomes an ext4 with this number's files, which are also in a folder."""
        folder = self.path("files.%d" % number)
        os.makedirs(os.path.join(folder, "etc"))
        for name in ("kernel", "etc/passwd", "etc/motd"):
            with open(os.path.join(folder, name), "wb") as file:
                file.write(self.rng.randbytes(self.rng.randrange(1, 200000)))
        if os.path.exists(self.path("a.raw")):
            os.unlink(self.path("a.raw"))
        lib.must([lib.find_tool("mke2fs"), "-q", "-t", "ext4", "-d", folder, self.path("a.raw"),
                  "16M"])
        return folder

    def check_mounted(self, uri, folder):
        """The export, as a file, mounts, and its files are those of the folder."""
        fuse, where = self.path("fuse"), self.path("mounted")
        os.makedirs(fuse, exist_ok=True)
        disk = os.path.join(fuse, "disk")
        process = lib.Process(["nbdfuse", disk, uri], is_server=True)
        try:
            lib.wait_until(lambda: os.path.exists(disk) or not process.is_alive(), "nbdfuse")
            mount = lib.Mount(disk, where, "ext4", "ro,noload,loop")
            try:
                lib.must(["diff", "-r", "--exclude=lost+found", folder, where])
            finally:
                mount.close()
        finally:
            process.end()
            lib.run([lib.find_tool("umount"), "-l", fuse])

    def test_five_points_of_a_block_device_mount(self):
        lib.need_root()
        lib.need_tool("nbdfuse", "mke2fs", "losetup")
        self.replica("init", "--history", "5", "vm")
        with open(self.path("device"), "wb") as file:
            file.truncate(16 * MIB)
        device = self.owned(lib.LoopDevice(self.path("device")))
        os.symlink(device.device, self.path("vm", "disks", "a.raw"))
        self.check_five_points()

    def test_five_points_mount(self):
        lib.need_root()
        lib.need_tool("nbdfuse", "mke2fs", "losetup")
        self.replica("init", "--history", "5", "vm")
        self.check_five_points()

    def check_five_points(self):
        folders = {}
        for number in range(1, 6):
            folders[number] = self.make_file_system(number)
            self.sync()
        for number, folder in folders.items():
            with self.subTest(number=number):
                process, (uri,) = self.open("vm", "--point", str(number))
                self.check_mounted(uri, folder)
                self.close(process)

    def test_json_one_disk_and_a_socket_with_a_blank(self):
        saved = self.make_points(2, names=("a.raw", "b.raw"), size=2 * MIB)
        process, lines = self.open("vm", "--point=1", "--disk=b.raw", "--socket=my sock%", "--json")
        self.assertEqual(len(lines), 1)
        report = json.loads(lines[0])
        opened = report["opened"]
        self.assertEqual((report["schema"], report["result"], opened["point"]), (1, "done", 1))
        self.assertEqual(opened["socket"], self.path("my sock%"))
        disk, = opened["disks"]
        self.assertEqual((disk["name"], disk["size_bytes"]), ("b.raw", 2 * MIB))
        self.assertIn("?socket=%s/my%%20sock%%25" % self.dir, disk["uri"])
        self.assertEqual(os.stat(opened["socket"]).st_mode & 0o777, 0o600)
        self.compare(disk["uri"], saved[1]["b.raw"])
        self.close(process, signal.SIGINT)
        self.assertFalse(os.path.exists(opened["socket"]))

    def test_what_is_opened_can_be_synced_from(self):
        saved = self.make_points(3)
        process, (uri,) = self.open("vm", "--point=2")
        self.assert_exit(self.resilver("sync", "--create", uri, self.path("back.raw")), 0)
        self.assert_same(saved[2]["a.raw"], self.path("back.raw"))
        self.close(process)

    def test_runtime_folder(self):
        self.make_points(1)
        runtime = self.path("runtime")
        os.mkdir(runtime, 0o700)
        process, (uri,) = self.open("vm", env={"XDG_RUNTIME_DIR": runtime})
        self.assertIn("?socket=%s/resilver-" % runtime, uri)
        self.close(process)
        self.assertEqual(os.listdir(runtime), [])

    def test_refusals(self):
        self.make_points(1, names=("a.raw", "b.raw"))
        self.refuse("open", "vm", "--disk=c.raw", words="a.raw, b.raw", code=USAGE)
        self.refuse("open", "vm", "--socket=vm", words="vm")
        self.refuse("open", "vm", "--socket=nowhere/s", words="nowhere")
        self.refuse("open", "vm", "--socket=" + "x" * 120, words="107", code=USAGE)
        self.assertTrue(os.path.isdir(self.path("vm")))


class Rollback(Case):
    def check_disks(self, copies):
        for name, copy in copies.items():
            self.assert_same(copy, self.path("vm", "disks", name))

    def test_back_and_forth(self):
        saved = self.make_points(4, names=("a.raw", "b.raw"))
        line = self.replica("rollback", "vm", "--to=2", "--yes").out
        self.assertEqual(line, "vm: point 2 is present again, as point 5; what was present is kept "
                               "as point 4\n")
        self.check_disks(saved[2])
        self.assertEqual(self.numbers(), [1, 2, 3, 4, 5])
        info = self.replica("rollback", "vm", "--to=4", "--yes", "--json").report["replica"]
        self.assertEqual(check_replica(self, info)["point"], 6)
        self.check_disks(saved[4])
        for number in range(1, 7):
            self.replica("verify", "vm", "--point=%d" % number)
        self.sync(names=("a.raw", "b.raw"))
        for name in saved[1]:
            self.assert_same(self.path(name), self.path("vm", "disks", name))

    def test_the_oldest_goes_when_there_are_too_many(self):
        saved = self.make_points(4, history=2)
        self.assertEqual(self.numbers(), [2, 3, 4])
        self.refuse("rollback", "vm", "--to=3", words=("point 2, the oldest", "--yes"))
        self.replica("rollback", "vm", "--to=2", "--yes")
        self.assertEqual(self.numbers(), [3, 4, 5])
        self.check_disks(saved[2])

    def test_the_present_one(self):
        self.make_points(2)
        for word in ("2", "present", "latest"):
            self.refuse("rollback", "vm", "--yes", "--to", word, words="already", code=USAGE)

    def test_nobody_to_ask(self):
        saved = self.make_points(2)
        self.refuse("rollback", "vm", "--to=1", words=("point 1", "point 2", "--yes"))
        self.check_disks(saved[2])
        self.assertEqual(self.numbers(), [1, 2])

    def test_the_folders_name_typed_back(self):
        saved = self.make_points(2)
        for answer in (b"yes\n", b"\n", b"VM\n", b"./vm\n", b"\x04", b"\x03"):
            with self.subTest(answer=answer):
                terminal = Terminal(self, ["replica", "rollback", "./vm", "--to=1"], cwd=self.dir)
                terminal.wait_for(b"folder (vm) to go on: ")
                terminal.type(answer)
                self.assertEqual(terminal.wait(), FAILED)
                self.check_disks(saved[2])
        terminal = Terminal(self, ["replica", "rollback", "./vm", "--to=1"], cwd=self.dir)
        terminal.wait_for(b"folder (vm) to go on: ")
        self.assertIn(b"point 1 of 20", terminal.shown)
        terminal.type(b"vm\n")
        self.assertEqual(terminal.wait(), 0)
        self.check_disks(saved[1])

    def test_what_is_half_staged_is_dropped(self):
        saved = self.make_points(2, size=4 * MIB)
        lib.make_disk(self.path("a.raw"), 4 * MIB, self.rng)
        self.interrupted()
        self.assertTrue(self.show()["half_staged"])
        self.refuse("rollback", "vm", "--to=1", words="half staged is dropped")
        self.replica("rollback", "vm", "--to=1", "--yes")
        self.assertFalse(self.show()["half_staged"])
        self.check_disks(saved[1])
        self.sync()
        self.assert_same(self.path("a.raw"), self.path("vm", "disks", "a.raw"))


    def test_a_full_file_system(self):
        """It fails at once, and the replica is what it was; or it is sealed, and recovered when
        there is room."""
        lib.need_root()
        lib.need_tool("mkfs.ext4")
        lib.must(["truncate", "--size", "96M", self.path("image")])
        lib.must([lib.find_tool("mkfs.ext4"), "-q", "-m", "0", self.path("image")])
        self.owned(lib.Mount(self.path("image"), self.path("small"), "ext4", "loop"))
        self.replica("init", "--history=2", "small/vm")
        saved = {}
        for number in (1, 2):
            lib.make_disk(self.path("a.raw"), 8 * MIB, self.rng)
            saved[number] = lib.copy_disk(self.path("a.raw"), self.path("a.raw.%d" % number))
            self.sync(folder="small/vm")
        disk = self.path("small", "vm", "disks", "a.raw")
        for left in (0, 4 * MIB, 10 * MIB):
            with self.subTest(left=left):
                lib.must(["sync", "-f", self.path("small")])
                stats = os.statvfs(self.path("small"))
                filler = self.path("small", "filler")
                lib.must(["fallocate", "--length", stats.f_bavail * stats.f_bsize - left - 65536,
                          filler])
                result = self.resilver("replica", "rollback", "small/vm", "--to=1", "--yes",
                                       cwd=self.dir)
                self.assert_exit(result, FAILED)
                self.assertIn("No space left", result.err)
                is_sealed = self.show("small/vm")["state"] == "unfinished"
                self.assertEqual("is sealed" in result.err, is_sealed)
                self.assertEqual(os.path.exists(disk), not is_sealed)
                os.unlink(filler)
                self.assert_exit(self.resilver("recover", self.path("small", "vm")), 0)
                self.assert_same(saved[1 if is_sealed else 2], disk)
                if is_sealed:
                    break
        self.assertTrue(is_sealed)


class Drop(Case):
    def test_points(self):
        self.make_points(4)
        self.refuse("drop", "vm", "--point=2", words=("point 2 and those before it", "--yes"))
        self.assertEqual(self.numbers(), [1, 2, 3, 4])
        self.refuse("drop", "vm", "--point=4", "--yes", words="present", code=USAGE)
        self.assertEqual(self.replica("drop", "vm", "--point=2", "--yes").out,
                         "vm: dropped: 2 points\n")
        self.assertEqual(self.numbers(), [3, 4])
        self.assertEqual(os.listdir(self.path("vm", "points")), ["000003"])
        self.replica("verify", "vm", "--point=3")

    def test_fewer_points_are_kept(self):
        self.make_points(4)
        self.refuse("set", "vm", "--history=1", words=("oldest 2 of 3", "--yes"))
        self.assertEqual(self.numbers(), [1, 2, 3, 4])
        self.assertEqual(self.replica("set", "vm", "--history=1", "--yes").out,
                         "vm: keeps 1 earlier point from now on; dropped: 2\n")
        self.assertEqual(self.numbers(), [3, 4])
        self.replica("set", "vm", "--history=5")
        self.sync()
        self.assertEqual(self.numbers(), [3, 4, 5])

    def test_staged(self):
        lib.make_disk(self.path("a.raw"), 4 * MIB, self.rng)
        self.replica("init", "vm")
        self.interrupted()
        self.assertIn("state    empty, half staged", self.replica("show", "vm").out)
        self.refuse("drop", "vm", "--staged", words=("half staged", "--yes"))
        self.assertEqual(self.replica("drop", "vm", "--staged", "--yes").out,
                         "vm: what was staged is dropped\n")
        self.assertFalse(self.show()["half_staged"])
        self.sync()
        self.assert_same(self.path("a.raw"), self.path("vm", "disks", "a.raw"))

    def test_being_written(self):
        lib.make_disk(self.path("a.raw"), 4 * MIB, self.rng)
        process = self.start("sync", "--create", "--bwlimit=1M", "--compress=never",
                             "--refine=never", "a.raw", "vm/", cwd=self.dir)
        lib.wait_until(lambda: os.path.exists(self.path("vm", "stage", "staged")), "the stage")
        self.assertIn("state    empty, being written", self.replica("show", "vm").out)
        self.assert_exit(process.wait(), 0)
        self.assertIn("state    whole\n", self.replica("show", "vm").out)


class Recover(Case):
    def recover(self, *arguments, code=0):
        result = self.resilver("recover", *arguments, cwd=self.dir)
        self.assert_exit(result, code)
        return result.out

    def recovered(self, *arguments):
        result = self.assert_exit(self.resilver("recover", "--json", *arguments, cwd=self.dir), 0)
        self.assertEqual((result.report["schema"], result.report["result"]), (1, "done"))
        for target in result.report["targets"]:
            lib.check_fields(self, "target", target, {"target": str, "did": str, "dropped": bool,
                                                      "half_staged": bool})
        return result.report["targets"]

    def test_nothing_to_do(self):
        self.make_points(2)
        self.assertEqual(self.recover("vm", "a.raw"),
                         "vm: nothing to do\na.raw: nothing to do\n")
        self.assertEqual([one["did"] for one in self.recovered("vm", "a.raw")], ["nothing"] * 2)
        result = self.resilver("recover", "nowhere", "vm", cwd=self.dir)
        self.assert_exit(result, FAILED)
        self.assertEqual(result.out, "vm: nothing to do\n")
        self.assertIn("nowhere", result.err)
        result = self.resilver("recover", "--json", "nowhere", "vm", cwd=self.dir)
        self.assert_exit(result, FAILED)
        self.assertEqual(result.report["result"], "incomplete")
        self.assertEqual(result.report["targets"][0]["error"]["kind"], "io")
        self.assertEqual(result.report["targets"][1]["did"], "nothing")

    def test_a_hidden_disk_gets_its_name_back(self):
        saved = self.make_points(2)
        os.mkdir(self.path("vm", "stage"), 0o700)
        os.rename(self.path("vm", "disks", "a.raw"), self.path("vm", "stage", "0.applying"))
        self.assertEqual(self.recover("vm"), "vm: kept its old point\n")
        self.assert_same(saved[2]["a.raw"], self.path("vm", "disks", "a.raw"))
        self.assertEqual(self.recover("vm"), "vm: nothing to do\n")
        self.replica("verify", "vm")

    def seal_by_hand(self):
        """What a run leaves that is killed right after its commit's record is durable."""
        record = Record(self.path("vm", "point"))
        record.base, record.number = record.number, record.number + 1
        for disk in record.disks:
            disk[2] = 1  # a file of its own
            disk[7] = os.stat(self.path("vm", "disks", disk[0])).st_mtime_ns
        os.mkdir(self.path("vm", "stage"), 0o700)
        for index, disk in enumerate(record.disks):
            shutil.copy(self.path(disk[0]), self.path("vm", "stage", "%d.next" % index))
        record.write(self.path("vm", "stage", "staged"))
        record.write(self.path("vm", "commit"))

    def test_a_sealed_point_is_finished(self):
        saved = self.make_points(2, names=("a.raw", "b.raw"))
        for how in ("recover", "verb"):
            with self.subTest(how=how):
                self.seal_by_hand()
                self.assertEqual(self.show()["state"], "unfinished")
                self.assertIn("unfinished: run resilver recover", self.replica("show", "vm").out)
                self.assertIn("unfinished: run resilver recover", self.replica("list").out)
                if how == "recover":
                    self.assertEqual(self.recover("vm"), "vm: the sealed point was finished\n")
                    # The point before has a file of its own now.
                    self.assert_same(saved[2]["a.raw"], self.path("vm", "points", "000002",
                                                                  "0.disk"))
                else:
                    self.replica("set", "vm", "--history=5")
                self.assertEqual(self.show()["state"], "whole")
                for name in saved[1]:
                    self.assert_same(self.path(name), self.path("vm", "disks", name))
                self.assertFalse(os.path.exists(self.path("vm", "stage")))
        self.assertEqual(self.numbers(), [1, 2, 3, 4])
        self.replica("verify", "vm", "--point=2")
        self.assertEqual(self.recovered("vm")[0]["did"], "nothing")

    def test_what_was_written_to_after_the_seal_is_not_replaced(self):
        self.make_points(2)
        self.seal_by_hand()
        disk = self.path("vm", "disks", "a.raw")
        lib.flip_bit(disk, 17)
        self.refuse("vm", words=("disks/a.raw", "move it away"), command="recover")
        os.rename(disk, self.path("aside.raw"))
        self.assertEqual(self.recover("vm"), "vm: the sealed point was finished\n")
        self.assert_same(self.path("a.raw"), disk)

    def test_a_name_that_somebody_took_is_left_to_him(self):
        saved = self.make_points(2)
        disk = self.path("vm", "disks", "a.raw")
        os.mkdir(self.path("vm", "stage"), 0o700)
        os.rename(disk, self.path("vm", "stage", "0.applying"))
        untouched = lib.Untouched(lib.make_disk(disk, MIB, self.rng))
        self.refuse("vm", words=("disks/a.raw", "move it away"), command="recover")
        untouched.check(self)
        os.unlink(disk)
        self.assertEqual(self.recover("vm"), "vm: kept its old point\n")
        self.assert_same(saved[2]["a.raw"], disk)

    def test_a_damaged_commit_is_named(self):
        self.make_points(1)
        self.seal_by_hand()
        lib.flip_bit(self.path("vm", "commit"), 50)
        self.refuse("vm", words=("vm/commit", "checksum"), command="recover")
        self.refuse("set", "vm", "--history=5", words=("vm/commit", "checksum"))

    def test_half_staged(self):
        self.make_points(1, size=4 * MIB)
        lib.make_disk(self.path("a.raw"), 4 * MIB, self.rng)
        self.interrupted()
        line = self.recover("vm")
        self.assertRegex(line, r"^vm: nothing to do; the next point is half staged: sync again")
        found, = self.recovered("vm")
        self.assertEqual((found["did"], found["dropped"], found["half_staged"]),
                         ("nothing", False, True))
        self.assertEqual(self.recover("--drop", "vm"), "vm: what was staged was dropped\n")
        self.assertEqual(self.recover("--drop", "vm"), "vm: nothing to do\n")

    def test_plain_targets(self):
        lib.make_disk(self.path("a.raw"), 4 * MIB, self.rng)
        old = lib.make_disk(self.path("b.raw"), 4 * MIB, self.rng)
        copy = lib.copy_disk(old, self.path("old.raw"))
        self.interrupted("--atomic", target="b.raw")
        self.assert_same(old, copy)
        self.assertIn("b.raw: nothing to do; the next point is half staged", self.recover("b.raw"))
        self.assert_same(old, copy)
        self.assertEqual(self.recover("--drop", "b.raw"),
                         "b.raw: what was staged was dropped\n")
        self.assert_same(old, copy)
        self.assertFalse(os.path.exists(self.path("b.raw.resilver")))
        self.interrupted("--atomic", target="b.raw")
        os.rename(self.path("b.raw"), self.path("b.raw.resilver", "applying"))
        self.assertIn("b.raw: kept its old point; the next point is half staged",
                      self.recover("b.raw"))
        self.assert_same(old, copy)
        self.sync_pair(self.path("a.raw"), self.path("b.raw"), "--atomic")

    def test_a_target_behind_a_link(self):
        lib.make_disk(self.path("a.raw"), 4 * MIB, self.rng)
        os.mkdir(self.path("disks"))
        old = lib.make_disk(self.path("disks", "b.raw"), 4 * MIB, self.rng)
        copy = lib.copy_disk(old, self.path("old.raw"))
        os.symlink("disks/b.raw", self.path("link.raw"))
        self.interrupted("--atomic", target="disks/b.raw")
        self.assertIn("half staged", self.recover("link.raw"))
        os.rename(old, self.path("disks", "b.raw.resilver", "applying"))
        self.assertIn("link.raw: kept its old point", self.recover("--drop", "link.raw"))
        self.assert_same(old, copy)
        self.assertFalse(os.path.exists(old + ".resilver"))

    def test_a_file_that_never_was_a_target(self):
        lib.make_disk(self.path("a.raw"), MIB, self.rng)
        untouched = lib.Untouched(self.path("a.raw"))
        self.assertEqual(self.recover("--drop", "a.raw"), "a.raw: nothing to do\n")
        untouched.check(self)


class OnClones:
    """The same where the file system makes clones: a point is a file then, and no undo log."""

    def setUp(self):
        super().setUp()
        lib.need_root()
        lib.need_tool("mkfs.xfs")
        image = self.path("xfs.image")
        lib.must(["truncate", "--size", "1G", image])
        lib.must([lib.find_tool("mkfs.xfs"), "-q", image])
        self.owned(lib.Mount(image, self.path("xfs"), "xfs", "loop"))
        self.dir = self.path("xfs")

    def make_points(self, count, **options):
        saved = super().make_points(count, **options)
        if count > 1:
            last = "%06d" % (count - 1)
            self.assertIn("0.disk", os.listdir(self.path("vm", "points", last)))
        return saved


class PointsOnClones(OnClones, Points):
    pass


class VerifyOnClones(OnClones, Verify):
    pass


class OpenOnClones(OnClones, Open):
    pass


class RollbackOnClones(OnClones, Rollback):
    test_a_full_file_system = None


class DropOnClones(OnClones, Drop):
    pass


class RecoverOnClones(OnClones, Recover):
    pass


if __name__ == "__main__":
    lib.main()
