#!/usr/bin/python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""resilver sync into a replica, with one end killed at random moments.

  staged_kill_test.py [--kills N] [unittest's arguments]

N (60 unless said, or RESILVER_KILLS; 300 in make soak) of each end, shared out among the ways to
keep a replica. staged.py says what must hold; besides, what was staged is not sent again (at most 64 MiB are
allowed, and here all of it is less: the second run sends no more than what the first one left), and
what was compared is not read again where a checkpoint was made.
"""

import os
import signal
import sys
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "e2e"))
# pylint: disable=wrong-import-position
import lib
import staged
from lib import KIB, MIB
from staged import KINDS, NEW, OLD, StagedCase


def take_kills():
    for at, word in enumerate(sys.argv):
        if word == "--kills":
            value = sys.argv[at + 1]
            del sys.argv[at:at + 2]
            return int(value)
    return int(os.environ.get("RESILVER_KILLS") or 60)


KILLS = take_kills()


class Killed(StagedCase):
    def setUp(self):
        super().setUp()
        self.ssh = lib.StandInSsh(self.path("ssh"))

    def kill(self, replica, victim, moment, options):
        """kill -9 of one end, this many seconds after the start; the result of the other."""
        self.ssh.forget()
        process = self.start(*replica.command("--json", "--ssh=" + self.ssh.command, *options,
                                              host="far:"))
        remote = lib.wait_until(self.ssh.remote_pid, "the other end")
        left_s = process.started + moment - time.monotonic()
        if left_s > 0:
            time.sleep(left_s)
        if victim == "source":
            process.signal(signal.SIGKILL)
        else:
            try:
                os.kill(remote, signal.SIGKILL)
            except ProcessLookupError:
                pass  # it had ended already
        result = process.wait()
        lib.wait_for_end(remote, 15)
        return result

    def kill_many(self, victim, kind, count):
        replica = self.replica(kind)
        options = ["--bwlimit=8M", "--compress=never", "--refine=never"]
        replica.reset()
        whole = self.resilver(*replica.command("--json", "--ssh=" + self.ssh.command, *options,
                                               host="far:"))
        self.assert_exit(whole, lib.IN_SYNC)
        all_bytes = whole.report["wire"]["sent_bytes"]
        states = {OLD: 0, NEW: 0}
        resumed = again = 0
        for number in range(count):
            moment = self.rng.uniform(0, whole.seconds * 1.05)
            with self.subTest(kill=number, victim=victim, kind=kind, moment_s=moment):
                replica.reset()
                result = self.kill(replica, victim, moment, options)
                state = replica.state()
                states[state] += 1
                if result.code == lib.IN_SYNC:
                    self.assertEqual(state, NEW, "it said in sync: %s" % result)
                report = replica.finish(*options).report
                again = max(again, report["wire"]["sent_bytes"])
                self.assertLessEqual(report["wire"]["sent_bytes"], all_bytes + 64 * KIB)
                resumed += any(disk["different_bytes"] < whole_disk["different_bytes"]
                               for disk, whole_disk in zip(report["disks"],
                                                           whole.report["disks"]))
        print("kill -9 of the %s's end, %s: %d kills, %d left the old point, %d the new one; %d "
              "went on from what was staged; at most %d KiB were sent again" % (
                  victim, kind, count, states[OLD], states[NEW], resumed, again // 1024),
              flush=True)
        if count >= 30:
            self.assertGreater(resumed, 0, "nothing was ever taken up")
            self.assertGreater(states[OLD], 0)

    def kill_all(self, victim):
        for kind in KINDS:
            self.kill_many(victim, kind, max(KILLS // len(KINDS), 4))

    def test_what_is_sent_again(self):
        """A run over much data, killed late: of what was in the journal at most 64 MiB are sent
        again."""
        size, limit = 192 * MIB, 64 * MIB
        source = lib.make_disk(self.path("large.raw"), size, self.rng)
        target = lib.make_disk(self.path("target.raw"), size, self.rng)
        journal = target + ".resilver/journal"
        options = ["sync", "--json", "--atomic", "--compress=never", "--ssh=" + self.ssh.command,
                   source, "far:" + target]

        def staged_bytes():
            return os.stat(journal).st_blocks * 512 if os.path.exists(journal) else 0

        process = self.start(*options)
        lib.wait_until(lambda: staged_bytes() > size // 2 or not process.is_alive(),
                       "half of the data")
        os.kill(self.ssh.remote_pid(), signal.SIGKILL)
        lib.check_error(self, process.wait(), "peer")
        staged = staged_bytes()
        self.assertLess(staged, size + limit)
        report = self.resilver(*options).report
        sent = report["wire"]["sent_bytes"]
        print("killed with %d MiB of %d MiB in the journal: %d MiB were sent then" % (
            staged // MIB, size // MIB, sent // MIB), flush=True)
        self.assertLess(sent, size - staged + limit)
        self.assert_same(source, target)

    def test_the_source_end(self):
        self.kill_all("source")

    def test_the_target_end(self):
        self.kill_all("target")


if __name__ == "__main__":
    lib.main()
