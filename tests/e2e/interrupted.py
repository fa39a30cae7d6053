# SPDX-License-Identifier: LGPL-2.1-or-later
"""Runs that are interrupted and started again with the same command: the disks and the judges that
sync_kill_test.py and sync_break_test.py share.

What must hold after the interruption and the second run:
  1. the disks are equal;
  2. a leaf that was equal before is equal at every moment: nothing else is ever written;
  3. the second run finds different exactly what is still different, so that nothing durable is
     sent again;
  4. when the target's end lived on, it made a checkpoint of what it had, and the second run does
     not read that part again. A checkpoint stands at a multiple of 128 MiB, so this is asked of the
     disk that is wide enough;
  5. no process, no checkpoint and no temporary file is left at the end.

How many runs there are of each kind: N (100 unless said), set by --kills N or RESILVER_KILLS.
"""

import os
import random
import shutil
import sys
import tempfile
import unittest

import lib
from lib import IN_SYNC, LEAF, MIB, NODE

SIZE = 64 * MIB
WIDE_SIZE = 512 * MIB
MARK_LEAVES = 128 * MIB // LEAF  # The source tells its target every so often how far it is.


class Scenario:
    """A pair of disks, and the options that stretch a run to about half a second."""

    def __init__(self, name, source, original, options):
        self.name, self.source, self.original, self.options = name, source, original, options
        self.size = os.path.getsize(source)
        if original is None:
            # The target is to be made: as if it had been all zeros.
            self.to_ship = [leaf for leaf in range(self.size // LEAF) if not self.is_zero(leaf)]
        else:
            self.to_ship = lib.different_leaves(source, original)

    def is_zero(self, leaf):
        with open(self.source, "rb") as file:
            return os.pread(file.fileno(), LEAF, leaf * LEAF) == bytes(LEAF)

    def reset(self, target):
        if self.original is not None:
            lib.copy_disk(self.original, target)
        elif os.path.exists(target):
            os.unlink(target)

    def left_to_ship(self, target):
        """Which leaves still differ; a target that is missing or short counts as zeros there."""
        if not os.path.exists(target):
            return self.to_ship
        if os.path.getsize(target) == self.size:
            return lib.different_leaves(self.source, target)
        padded = lib.copy_disk(target, target + ".padded")
        os.truncate(padded, self.size)
        try:
            return lib.different_leaves(self.source, padded)
        finally:
            os.unlink(padded)

    def check_same(self, test, target):
        """By cmp; but on the wide disk that would mostly be reading holes."""
        if self.size == SIZE:
            test.assert_same(self.source, target)
        else:
            test.assertEqual(lib.different_leaves(self.source, target), [])

    def can_resume(self, left):
        """Whether a target that ended in order had something to make a checkpoint of: all before
        a mark is there, and so much behind it that the source must have told of it."""
        reached = left[0] if left else self.size // LEAF
        return bool(left) and reached >= MARK_LEAVES + MARK_LEAVES // 4

    def is_in_the_middle(self, target):
        """Some of what is to ship is there, and enough for a checkpoint where there can be one."""
        at = self.to_ship[len(self.to_ship) // 2]
        return lib.leaf_is_equal(self.source, target, at)


class Fixtures:
    """The disks of all tests of this script, made once; only their targets are written to."""

    made = None

    @classmethod
    def get(cls):
        if cls.made is None:
            cls.made = cls()
        return cls.made

    def __init__(self):
        self.rng = random.Random("%d disks" % lib.SEED)
        self.dir = tempfile.mkdtemp(prefix="resilver-e2e-")
        unittest.addModuleCleanup(shutil.rmtree, self.dir)
        every, other = (self.make(name, ("random",)) for name in ("every.raw", "other.raw"))
        wide, behind = self.make_wide("wide.raw"), self.make_wide("behind.raw")
        some = self.make("some.raw", lib.ALL_KINDS)
        older = lib.copy_disk(some, self.path("older.raw"))
        lib.change_leaves(older, lib.scatter(SIZE // LEAF, 0.3, self.rng), self.rng)
        lib.let_age(every, wide, some)
        self.every = Scenario("every leaf", every, other, ["--bwlimit=160M"])
        self.wide = Scenario("wide disk", wide, behind, ["--bwlimit=160M"])
        self.some = Scenario("some leaves", some, older, ["--bwlimit=40M"])
        self.new = Scenario("new target", some, None, ["--bwlimit=80M", "--create"])

    def path(self, name):
        return os.path.join(self.dir, name)

    def make(self, name, kinds):
        return lib.make_disk(self.path(name), SIZE, self.rng, kinds)

    def make_wide(self, name):
        """Every eighth node holds data, the rest are holes."""
        path = self.path(name)
        with open(path, "wb") as file:
            file.truncate(WIDE_SIZE)
            for offset in range(0, WIDE_SIZE, 8 * NODE):
                file.seek(offset)
                file.write(self.rng.randbytes(NODE))
        return path


class KillCase(lib.Case):
    def setUp(self):
        super().setUp()
        self.ssh = lib.StandInSsh(self.path("ssh"))
        self.target = self.path("target.raw")
        self.fixtures = Fixtures.get()

    def command(self, scenario, way):
        """The arguments of one run: push and pull through the stand-in for ssh, or local."""
        ends = {"local": (scenario.source, self.target),
                "push": (scenario.source, "far:" + self.target),
                "pull": ("far:" + scenario.source, self.target)}[way]
        ssh = [] if way == "local" else ["--ssh=" + self.ssh.command]
        return ["sync", "--json", *scenario.options, *ssh, *ends]

    def measure(self, scenario, way):
        """How long a whole run takes, from its start to its end."""
        scenario.reset(self.target)
        result = self.resilver(*self.command(scenario, way))
        self.assert_exit(result, IN_SYNC)
        scenario.check_same(self, self.target)
        return result.seconds

    def run_again(self, scenario, command, before, must_resume):
        """The second run and its proof of 1 and 3 to 5."""
        result = self.resilver(*command)
        self.assert_exit(result, IN_SYNC)
        disk, = lib.check_report(self, result.report)
        scenario.check_same(self, self.target)
        self.assertEqual(disk["different_bytes"], len(before) * LEAF, disk)
        self.assertLessEqual(disk["written_bytes"], len(before) * LEAF, disk)
        if must_resume:
            self.assertGreater(disk["resumed_bytes"], 0, disk)
        self.assertFalse(os.path.exists(self.target + ".resilver"), "a checkpoint was left")
        return disk

    def check_interrupted(self, scenario):
        """What is still to ship, having checked 2."""
        left = scenario.left_to_ship(self.target)
        self.assertLessEqual(set(left), set(scenario.to_ship), "a leaf nobody named was changed")
        return left

    def has_checkpoint(self):
        return os.path.exists(self.target + ".resilver/checkpoint")


class Tally:
    """In which state the interruptions found the runs."""

    def __init__(self):
        self.counts = {}

    def add(self, scenario, left):
        if len(left) == len(scenario.to_ship):
            where = "before the first write"
        elif left:
            where = "in the middle"
        else:
            where = "after the last write"
        self.counts[where] = self.counts.get(where, 0) + 1

    def report(self, test, what, resumed):
        total = sum(self.counts.values())
        print("%s: %d runs, interrupted %s; %d were resumed" % (
            what, total, ", ".join("%d %s" % (count, where)
                                   for where, count in sorted(self.counts.items())), resumed),
              flush=True)
        # The target writes in batches of 8 MiB, so much of a run lies before its first write. A few
        # runs may all miss the middle by chance.
        test.assertGreater(self.counts.get("in the middle", 0), total / 8 if total >= 16 else -1,
                           "too few interruptions hit the middle of a run")


def take_count():
    """N, and --kills N or --kills=N out of the arguments that unittest gets."""
    for at, word in enumerate(sys.argv):
        if word == "--kills":
            value = sys.argv[at + 1]
            del sys.argv[at:at + 2]
            return int(value)
        if word.startswith("--kills="):
            del sys.argv[at]
            return int(word.partition("=")[2])
    return int(os.environ.get("RESILVER_KILLS") or 100)


KILLS = take_count()
