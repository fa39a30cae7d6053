# SPDX-License-Identifier: LGPL-2.1-or-later
"""A VM of two disks whose replica is staged, for tests that interrupt it.

What must hold after whatever happened, once `resilver recover` has been run:

  1. both disks are at one and the same point, the old or the new one, byte for byte; before the
     commit it is the old one;
  2. the same command, run again, succeeds, and both disks are at the new point;
  3. nothing is left over: no stage, no commit, no state folder beside a plain target;
  4. the earlier points are kept, and each is what it was when it was sealed.

KINDS are the ways to keep a replica: `log` (a folder on a file system without clones), `clone` (a
folder on one with), `beside` (`--atomic`, plain targets).
"""

import os
import shutil
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "e2e"))
# pylint: disable=wrong-import-position
import lib
from lib import IN_SYNC, LEAF, MIB

KINDS = ("log", "clone", "beside")
NAMES = ("system.raw", "data.raw")
SIZES = (8 * MIB, 5 * MIB + 777)
OLD, NEW = "old", "new"


class Pair:
    """The two states of the VM's disks, made once: sources/ is the new one, old/ the old one."""

    def __init__(self, folder, rng, sizes=SIZES, share=0.2):
        self.folder = folder
        for name in ("sources", "old"):
            os.makedirs(self.path(name), exist_ok=True)
        for name, size in zip(NAMES, sizes):
            new = lib.make_disk(self.path("sources", name), size, rng, lib.ALL_KINDS)
            old = lib.copy_disk(new, self.path("old", name))
            lib.change_leaves(old, lib.scatter(size // LEAF, share, rng), rng)
            lib.let_age(new)

    def path(self, *names):
        return os.path.join(self.folder, *names)

    def sources(self):
        return [self.path("sources", name) for name in NAMES]

    def is_state(self, state, disks):
        """Whether these files are, byte for byte, the old or the new state."""
        where = "old" if state == OLD else "sources"
        return all(os.path.exists(disk) and
                   lib.run(["cmp", "-s", disk, self.path(where, name)]).code == 0
                   for disk, name in zip(disks, NAMES))


class Replica:
    """A replica of `kind` at the old point, in a folder of its own below `where`."""

    def __init__(self, case, pair, kind, where, history=2):
        self.case, self.pair, self.kind, self.where = case, pair, kind, where
        self.history = history
        self.folder = os.path.join(where, "replica")
        self.template = os.path.join(where, "template")

    def disks(self):
        below = self.folder if self.kind == "beside" else os.path.join(self.folder, "disks")
        return [os.path.join(below, name) for name in NAMES]

    def pairs(self, sources=None, host=""):
        """The --disk options."""
        sources = sources or self.pair.sources()
        return ["--disk=%s=%s%s" % (source, host, target)
                for source, target in zip(sources, self.disks() if self.kind == "beside"
                                          else [self.folder + "/"] * len(NAMES))]

    def command(self, *options, host=""):
        atomic = ["--atomic"] if self.kind == "beside" else []
        return ["sync", *atomic, *options, *self.pairs(host=host)]

    def _make(self):
        """By resilver itself, from the old state."""
        old = [self.pair.path("old", name) for name in NAMES]
        if self.kind == "beside":
            os.makedirs(self.folder)
            for source, target in zip(old, self.disks()):
                lib.copy_disk(source, target)
            return
        self.case.assert_exit(self.case.resilver("replica", "init", self.folder,
                                                 "--history=%d" % self.history), 0)
        self.case.assert_exit(self.case.resilver("sync", "--create", *self.pairs(old)), IN_SYNC)

    def reset(self):
        """At the old point again; the first time made, then copied."""
        shutil.rmtree(self.folder, ignore_errors=True)
        if not os.path.exists(self.template):
            self._make()
            os.rename(self.folder, self.template)
        lib.must(["cp", "-a", "--reflink=auto", self.template, self.folder])

    def recover(self):
        targets = self.disks() if self.kind == "beside" else [self.folder]
        result = self.case.resilver("recover", *targets)
        self.case.assert_exit(result, 0)
        return result

    def state(self):
        """Recover, and say at which point both disks are (1)."""
        self.recover()
        for state in (OLD, NEW):
            if self.pair.is_state(state, self.disks()):
                return state
        for disk, name in zip(self.disks(), NAMES):
            print(disk, "exists" if os.path.exists(disk) else "is missing",
                  [state for state, where in ((OLD, "old"), (NEW, "sources"))
                   if os.path.exists(disk) and
                   lib.run(["cmp", "-s", disk, self.pair.path(where, name)]).code == 0])
        self.case.fail("a mixture: the disks are at neither point, or not at one")

    def finish(self, *options, host=""):
        """The same command again (2), and what must be gone (3) and kept (4) then."""
        result = self.case.resilver(*self.command("--json", *options, host=host))
        self.case.assert_exit(result, IN_SYNC)
        if not self.pair.is_state(NEW, self.disks()):
            self.case.fail("in sync, and not at the new point: %s" % result)
        left = sorted(os.listdir(self.folder))
        wanted = sorted(NAMES) if self.kind == "beside" else \
            ["disks", "lock", "point", "points", "replica"]
        self.case.assertEqual([name for name in left if name not in wanted], [],
                              "left over in the replica")
        self.check_points()
        return result

    def points(self):
        """The numbers of its earlier points."""
        return sorted(os.listdir(os.path.join(self.folder, "points"))) \
            if self.kind != "beside" else []

    def check_points(self):
        """(4) The first is the old state."""
        if self.kind == "beside" or self.history == 0:
            return
        points = [int(name) for name in self.points()]
        self.case.assertIn(1, points, "the old point was not kept")
        for number in points:
            self.case.assert_exit(self.case.resilver("replica", "verify", self.folder,
                                                     "--point=%d" % number), 0)


class StagedCase(lib.Case):
    """Gives each test a Pair, and folders on file systems with and without clones."""

    def setUp(self):
        super().setUp()
        self.pair = Pair(self.path("pair"), self.rng)

    def where(self, kind):
        """A folder for a replica of this kind; the test is skipped where it cannot be had."""
        where = self.path(kind)
        os.makedirs(where, exist_ok=True)
        if kind != "clone" or self.can_clone(where):
            return where
        return self.mount_clones(where)

    def can_clone(self, where):
        one, two = os.path.join(where, "one"), os.path.join(where, "two")
        with open(one, "wb") as file:
            file.write(bytes(65536))
        is_good = lib.run(["cp", "--reflink=always", one, two]).code == 0
        for path in (one, two):
            if os.path.exists(path):
                os.unlink(path)
        return is_good

    def mount_clones(self, where):
        """An XFS of our own."""
        lib.need_root()
        lib.need_tool("mkfs.xfs")
        image = self.path("xfs.img")
        with open(image, "wb") as file:
            file.truncate(512 * MIB)
        lib.must([lib.find_tool("mkfs.xfs"), "-q", image])
        self.owned(lib.Mount(image, where, "xfs", "loop"))
        return where

    def replica(self, kind, **options):
        replica = Replica(self, self.pair, kind, self.where(kind), **options)
        replica.reset()
        return replica
