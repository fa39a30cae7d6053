#!/usr/bin/python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""resilver sync into a replica whose disk loses its power at any write or flush.

  staged_power_test.py [--cuts N] [unittest's arguments]

N cuts (200 unless said, or RESILVER_CUTS; 500 in make soak), shared out among the ways to keep a
replica, on a real file system over a disk that loses, keeps or tears what was not flushed
(power.py). staged.py says what must hold.
"""

import os
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "e2e"))
# pylint: disable=wrong-import-position
import lib
import power
import staged
from lib import KIB, MIB
from staged import NEW, OLD, StagedCase

FILE_SYSTEMS = {"log": "ext4", "clone": "xfs", "beside": "ext4"}


def take_cuts():
    for at, word in enumerate(sys.argv):
        if word == "--cuts":
            value = sys.argv[at + 1]
            del sys.argv[at:at + 2]
            return int(value)
    return int(os.environ.get("RESILVER_CUTS") or 200)


CUTS = take_cuts()


class PowerCuts(StagedCase):
    def setUp(self):
        lib.Case.setUp(self)
        self.pair = staged.Pair(self.path("pair"), self.rng, sizes=(4 * MIB, 2 * MIB + 4 * KIB + 5))

    def make_image(self, kind):
        """A file system with the replica at its old point on it, for every Rig to begin with."""
        fs_type = FILE_SYSTEMS[kind]
        power.need(fs_type)
        power.enter_private_mounts()
        image = power.make_image(self.dir, fs_type)
        where = self.path("made-" + kind)
        os.makedirs(where)
        mount = lib.Mount(image, where, fs_type, "loop")
        try:
            staged.Replica(self, self.pair, kind, where).reset()
        finally:
            mount.close()

    def sync(self, replica):
        return self.resilver(*replica.command("--json"))

    def count_operations(self, kind):
        with power.Rig(self.dir, FILE_SYSTEMS[kind]) as rig:
            before = rig.stats()["operations"]
            replica = staged.Replica(self, self.pair, kind, rig.where)
            self.assert_exit(self.sync(replica), lib.IN_SYNC)
            return rig.stats()["operations"] - before

    def cut_once(self, kind, operation, seed):
        """At which point the cut left the replica; whether it was cut while it was at work."""
        with power.Rig(self.dir, FILE_SYSTEMS[kind]) as rig:
            replica = staged.Replica(self, self.pair, kind, rig.where)
            rig.plan_cut(operation, seed)
            result = self.sync(replica)
            was_at_work = rig.stats()["is_cut"]
            if not was_at_work:
                rig.disk.cut(seed)
            rig.power_on()
            state = replica.state()
            if result.code == lib.IN_SYNC:
                self.assertEqual(state, NEW, "it said in sync: %s" % result)
            replica.finish()
            return state, was_at_work

    def cut_many(self, kind, count):
        self.make_image(kind)
        operations = self.count_operations(kind)
        states, at_work = {OLD: 0, NEW: 0}, 0
        watch = power.Stopwatch()
        for _ in range(count):
            seed = self.rng.randrange(2**31)
            operation = self.rng.randrange(1, operations + operations // 20 + 2)
            with self.subTest(kind=kind, operation=operation, seed=seed,
                              mode=power.mode_of(seed)):
                state, was_at_work = self.cut_once(kind, operation, seed)
                watch.tick()
                states[state] += 1
                at_work += was_at_work
        print("power cuts, %s on %s (%d operations): %s; %d in the middle; %d left the old point, "
              "%d the new one" % (kind, FILE_SYSTEMS[kind], operations, watch, at_work,
                                  states[OLD], states[NEW]), flush=True)
        self.assertGreater(at_work, count // 2)
        if count >= 30:
            self.assertGreater(min(states.values()), 0, states)

    def test_log(self):
        self.cut_many("log", max(CUTS * 2 // 5, 2))

    def test_clone(self):
        self.cut_many("clone", max(CUTS * 2 // 5, 2))

    def test_beside(self):
        self.cut_many("beside", max(CUTS // 5, 2))


if __name__ == "__main__":
    lib.main()
