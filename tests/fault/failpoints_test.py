#!/usr/bin/python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""resilver sync into a replica, killed before and after each durable step.

Every name that tools/list_failpoints finds in the source is reached, in each way to keep a replica
that comes by it, the first few times; staged.py says what must hold then.
"""

import os
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "e2e"))
# pylint: disable=wrong-import-position
import failpoints
import lib
import staged
from lib import MIB
from staged import KINDS, NEW, OLD

TIMES = (1, 2, 3, 5, 8, 13)


class Failpoints(staged.StagedCase):
    """The failpoint is in the end that is the target: this program, or one reached by ssh."""

    def sweep(self, points, kind, way):
        replica = self.replica(kind)
        ssh = lib.StandInSsh(self.path("ssh"))
        command = replica.command() if way == "local" else \
            replica.command("--json", "--ssh=" + ssh.command, host="far:")
        kills, states, reached = 0, {OLD: 0, NEW: 0}, set()
        for name in points.names:
            for time in TIMES:
                with self.subTest(kind=kind, failpoint=name, time=time, way=way):
                    replica.reset()
                    result = points.kill_at(name, command, time, is_remote=way != "local",
                                            may_miss=True)
                    if result is None:
                        break
                    if way != "local":
                        lib.check_error(self, result, "peer")
                    kills += 1
                    reached.add(name)
                    states[replica.state()] += 1
                    replica.finish()
        print("%s, %s: %d failpoints of %d reached, %d kills; %d left the old point, %d the new "
              "one" % (kind, way, len(reached), len(points.names), kills, states[OLD],
                       states[NEW]), flush=True)
        self.assertGreater(min(states.values()), 0, states)

    def test_every_failpoint(self):
        points = failpoints.Points(self)
        for kind in KINDS:
            self.sweep(points, kind, "local")
        points.check_all_fired()

    def test_at_the_far_end(self):
        self.sweep(failpoints.Points(self), "log", "push")

    def test_a_sealed_journal_that_lost_its_end(self):
        """Applied as it is found it would make neither point."""
        points = failpoints.Points(self)
        replica = self.replica("log")
        points.kill_at("commit.record.after", replica.command())
        journal = os.path.join(replica.folder, "stage", "0.journal")
        if not os.path.exists(journal):
            self.skipTest("needs a file system without clones")
        kept = lib.copy_disk(journal, self.path("kept"))
        lib.cut_journal(journal)
        result = self.resilver("recover", replica.folder)
        self.assert_exit(result, lib.FAILED)
        self.assertIn("0.journal is damaged", result.err)
        os.rename(kept, journal)
        self.assertEqual(replica.state(), NEW)
        replica.finish()


class Guards(staged.StagedCase):
    """What a recovery must not do."""

    def crash_at(self, replica, name, time=1):
        """Kill a run into this replica there."""
        points = failpoints.Points(self)
        self.assertIsNotNone(points.kill_at(name, replica.command(), time))

    def test_a_foreign_file_under_a_hidden_name(self):
        """Whatever somebody put where the hidden disk was is not put aside for it."""
        for name in ("commit.record.before", "commit.record.after"):
            with self.subTest(failpoint=name):
                replica = self.replica("log")
                self.crash_at(replica, name)
                foreign = lib.make_disk(replica.disks()[0], MIB, self.rng)
                copy = lib.copy_disk(foreign, self.path("copy"))
                result = self.resilver("recover", replica.folder)
                self.assert_exit(result, 1)
                self.assertIn("move it away", result.err)
                self.assert_same(foreign, copy)
                os.unlink(foreign)
                self.assertEqual(replica.state(), OLD if name.endswith("before") else NEW)
                replica.finish()

    def test_a_clone_that_was_used_after_the_seal(self):
        """A VM that ran on the old file between the crash and the recovery loses nothing."""
        replica = self.replica("clone")
        self.crash_at(replica, "commit.record.after")
        lib.change_bytes(replica.disks()[1], 5, b"written by a VM")
        used = lib.copy_disk(replica.disks()[1], self.path("used"))
        result = self.resilver("recover", replica.folder)
        self.assert_exit(result, 1)
        self.assertIn("was written to after", result.err)
        self.assert_same(replica.disks()[1], used)
        os.rename(replica.disks()[1], os.path.join(replica.where, "moved"))
        self.assertEqual(replica.state(), NEW)
        # The old point without that disk is none.
        self.assertEqual(replica.points(), [])
        self.assert_exit(self.resilver("replica", "verify", replica.folder), 0)

    def test_an_undo_log_that_is_damaged_while_it_is_filled(self):
        """The replica is finished all the same; the points that cannot be seen any more are gone,
        and not shown as something else."""
        replica = self.replica("log")
        replica.finish()
        self.assertEqual(replica.points(), ["000001"])
        lib.change_leaves(self.pair.sources()[0], [1, 2, 3], self.rng)
        self.crash_at(replica, "apply.write.written")
        undo = os.path.join(replica.folder, "points", "000002", "0.undo")
        with open(undo, "r+b") as file:
            file.seek(4096)  # behind the head: the first group's index
            file.write(bytes(8192))
        self.assertEqual(replica.state(), NEW)
        self.assertEqual(replica.points(), [])
        self.assert_exit(self.resilver("replica", "verify", replica.folder), 0)


if __name__ == "__main__":
    lib.main()
