#!/usr/bin/python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""resilver sync, killed at random moments and then started again with the same command.

  sync_kill_test.py [--kills N] [unittest's arguments]

N runs (100 unless said; RESILVER_KILLS sets it too) lose their source's end to kill -9, N others
their target's end, and N/10 both. Moments are drawn from the seed and spread over the time that a
whole run was measured to take. interrupted.py says what must hold.
"""

import os
import signal
import time

import lib
from interrupted import KILLS, KillCase, Tally
from lib import IN_SYNC


class Killed(KillCase):
    def kill_at(self, process, moment, victim, way):
        """kill -9 one end, or both, this many seconds after the start; wait until both ended."""
        if way != "local":
            remote = lib.wait_until(self.ssh.remote_pid, "the other end")
        left_s = process.started + moment - time.monotonic()
        if left_s > 0:
            time.sleep(left_s)
        is_local_source = way == "push"
        if way == "local" or victim == "both" or (victim == "source") == is_local_source:
            process.signal(signal.SIGKILL)
        if way != "local" and (victim == "both" or (victim == "source") != is_local_source):
            try:
                os.kill(remote, signal.SIGKILL)
            except ProcessLookupError:
                pass  # It had ended already.
        result = process.wait()
        if way != "local":
            lib.wait_for_end(remote, 15)
        else:
            lib.wait_until(lambda: not lib.tagged_processes(), "the end of all processes", 15)
        return result

    def check_survivor(self, result, left):
        """The end that was not killed, if it was the one that reports."""
        if result.code in (-signal.SIGKILL, IN_SYNC):
            if result.code == IN_SYNC:
                self.assertEqual(left, [], "it said in sync: %s" % result)
            return
        lib.check_error(self, result, "peer")

    def kill_many(self, victim, count, ways):
        scenarios = [self.fixtures.every, self.fixtures.wide, self.fixtures.some,
                     self.fixtures.new]
        durations = {}
        tally, resumed = Tally(), 0
        for number in range(count):
            scenario = scenarios[number % len(scenarios)]
            way = ways[number // len(scenarios) % len(ways)]
            if (scenario, way) not in durations:
                durations[scenario, way] = self.measure(scenario, way)
            moment = self.rng.uniform(0, durations[scenario, way] * 1.02)
            with self.subTest(kill=number, scenario=scenario.name, way=way, moment_s=moment):
                scenario.reset(self.target)
                self.ssh.forget()
                command = self.command(scenario, way)
                result = self.kill_at(self.start(*command), moment, victim, way)
                left = self.check_interrupted(scenario)
                tally.add(scenario, left)
                self.check_survivor(result, left)
                must_resume = victim == "source" and self.has_checkpoint()
                if victim == "source" and scenario.can_resume(left):
                    self.assertTrue(must_resume, "no checkpoint of what had arrived: %s" % result)
                disk = self.run_again(scenario, command, left, must_resume)
                resumed += disk["resumed_bytes"] > 0
        tally.report(self, "kill -9 of %s" % ("both ends" if victim == "both" else
                                              "the %s's end" % victim), resumed)
        if victim == "source" and count >= 50:
            self.assertGreater(resumed, 0, "no run was ever resumed")

    def test_the_source_end(self):
        self.kill_many("source", KILLS, ("push", "pull"))

    def test_the_target_end(self):
        self.kill_many("target", KILLS, ("push", "pull"))

    def test_both_ends(self):
        self.kill_many("both", max(KILLS // 10, 6), ("local", "push", "pull"))

    def test_again_and_again_until_it_is_done(self):
        """Every try is killed before it can be done; none undoes what one before it did. One that
        got no further, on a busy machine, makes the next ones longer."""
        scenario = self.fixtures.every
        moment = self.measure(scenario, "push") * 0.4
        scenario.reset(self.target)
        command = self.command(scenario, "push")
        before = len(scenario.to_ship)
        for _ in range(60):
            self.ssh.forget()
            result = self.kill_at(self.start(*command), moment, "source", "push")
            left = len(self.check_interrupted(scenario))
            self.assertLessEqual(left, before)
            if result.code == IN_SYNC:
                break
            moment *= 1.0 if left < before else 1.2
            before = left
        else:
            self.fail("not done after 60 tries; %d leaves are left" % before)
        scenario.check_same(self, self.target)


if __name__ == "__main__":
    lib.main()
