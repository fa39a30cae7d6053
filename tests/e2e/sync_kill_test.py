#!/usr/bin/python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""resilver sync, interrupted at random moments and then started again with the same command.

  sync_kill_test.py [--kills N] [unittest's arguments]

N runs (100 unless said; RESILVER_KILLS sets it too) lose their source's end to kill -9, N others
their target's end, N/10 both, and N/10 connections are cut. Moments are drawn from the seed and
spread over the time that a whole run was measured to take.

What must hold after the interruption and the second run:
  1. the disks are equal by cmp;
  2. a leaf that was equal before is equal at every moment: nothing else is ever written;
  3. the second run finds different exactly what is still different, so that nothing durable is
     sent again;
  4. when the target's end lived on, it made a checkpoint of what it had, and the second run does
     not read that part again. A checkpoint stands at a multiple of 128 MiB, so this is asked of the
     disk that is wide enough;
  5. no process, no checkpoint and no temporary file is left at the end.
"""

import os
import signal
import sys
import time

import lib
from lib import IN_SYNC, LEAF, MIB, NODE

SIZE = 64 * MIB
WIDE_SIZE = 512 * MIB
MARK_LEAVES = 128 * MIB // LEAF  # The source tells its target every so often how far it is.
KILLS = int(os.environ.get("RESILVER_KILLS") or 100)


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


class KillCase(lib.Case):
    def setUp(self):
        super().setUp()
        self.ssh = lib.StandInSsh(self.path("ssh"))
        self.target = self.path("target.raw")

    def make_scenarios(self):
        """Every leaf differs; data that differs all over a wide disk; some leaves differ, and
        there are zeros and holes; a new target."""
        every = lib.make_disk(self.path("every.raw"), SIZE, self.rng)
        other = lib.make_disk(self.path("other.raw"), SIZE, self.rng)
        wide = self.make_wide("wide.raw")
        behind = self.make_wide("behind.raw")
        some = lib.make_disk(self.path("some.raw"), SIZE, self.rng, lib.ALL_KINDS)
        older = lib.copy_disk(some, self.path("older.raw"))
        lib.change_leaves(older, lib.scatter(SIZE // LEAF, 0.3, self.rng), self.rng)
        lib.let_age(every, wide, some)
        return [Scenario("every leaf", every, other, ["--bwlimit=160M"]),
                Scenario("wide disk", wide, behind, ["--bwlimit=160M"]),
                Scenario("some leaves", some, older, ["--bwlimit=40M"]),
                Scenario("new target", some, None, ["--bwlimit=80M", "--create"])]

    def make_wide_scenario(self):
        wide, behind = self.make_wide("wide.raw"), self.make_wide("behind.raw")
        lib.let_age(wide)
        return Scenario("wide disk", wide, behind, ["--bwlimit=160M"])

    def make_wide(self, name):
        """Every eighth node holds data, the rest are holes."""
        path = self.path(name)
        with open(path, "wb") as file:
            file.truncate(WIDE_SIZE)
            for offset in range(0, WIDE_SIZE, 8 * NODE):
                file.seek(offset)
                file.write(self.rng.randbytes(NODE))
        return path

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
        scenarios = self.make_scenarios()
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
        """Every try is killed after the same short time; each gets further than the last."""
        scenario = self.make_scenarios()[0]
        seconds = self.measure(scenario, "push")
        scenario.reset(self.target)
        command = self.command(scenario, "push")
        before = len(scenario.to_ship)
        for _ in range(40):
            self.ssh.forget()
            result = self.kill_at(self.start(*command), seconds * 0.4, "source", "push")
            left = len(self.check_interrupted(scenario))
            self.assertLessEqual(left, before)
            before = left
            if result.code == IN_SYNC:
                break
        else:
            self.fail("not done after 40 tries; %d leaves are left" % before)
        scenario.check_same(self, self.target)


class Signalled(KillCase):
    """A person's Ctrl-C, or a service manager's SIGTERM."""

    def interrupt(self, way, number, whole_group=False):
        scenario = self.scenario
        scenario.reset(self.target)
        self.ssh.forget()
        command = self.command(scenario, way)
        process = self.start(*command)
        # In the middle: the first leaves are there, the last is not.
        lib.wait_until(lambda: not process.is_alive() or
                       scenario.is_in_the_middle(self.target), "the first leaves")
        self.assertTrue(process.is_alive(), "it ended before it was interrupted")
        began = time.monotonic()
        if whole_group:
            os.killpg(process.pid, number)
        else:
            process.signal(number)
        result = process.wait()
        seconds = time.monotonic() - began
        self.assertLess(seconds, 1.0, "it did not end within a second: %s" % result)
        lib.check_error(self, result, "cancelled", "interrupt|stopp|cancel|signal")
        if way != "local":
            lib.wait_for_end(self.ssh.remote_pid(), 15)
        left = self.check_interrupted(scenario)
        self.assertTrue(left, "nothing was left to do")
        self.assertTrue(self.has_checkpoint(), "no checkpoint after %s" % result)
        self.run_again(scenario, command, left, must_resume=True)

    def test_interrupted_and_terminated(self):
        self.scenario = self.make_wide_scenario()
        for way in ("local", "push", "pull"):
            for number in (signal.SIGINT, signal.SIGTERM):
                with self.subTest(way=way, signal=number):
                    self.interrupt(way, number)

    def test_interrupted_from_the_terminal(self):
        """Ctrl-C reaches ssh as well; the message is still about the person, not about ssh."""
        self.scenario = self.make_wide_scenario()
        for way in ("local", "push", "pull"):
            with self.subTest(way=way):
                self.interrupt(way, signal.SIGINT, whole_group=True)

    def test_the_remote_end_is_terminated(self):
        scenario = self.make_wide_scenario()
        for way in ("push", "pull"):
            with self.subTest(way=way):
                scenario.reset(self.target)
                self.ssh.forget()
                command = self.command(scenario, way)
                process = self.start(*command)
                lib.wait_until(lambda: not process.is_alive() or
                               scenario.is_in_the_middle(self.target), "the first leaves")
                os.kill(self.ssh.remote_pid(), signal.SIGTERM)
                lib.check_error(self, process.wait(), ("peer", "cancelled"))
                left = self.check_interrupted(scenario)
                self.run_again(scenario, command, left, must_resume=True)


class LinkLost(KillCase):
    """The connection breaks between two ends that live."""

    def setUp(self):
        super().setUp()
        self.certs = lib.Certs(self.path("certs"))

    def tls_command(self, scenario, way, server, proxy):
        name = server.url("vm", port=proxy.port)
        ends = (scenario.source, name) if way == "push" else (name, self.target)
        return ["sync", "--json", *scenario.options, *self.certs.options("client"), *ends]

    def cut_once(self, scenario, way, server, how, cut_after):
        """One run through a proxy that cuts; returns its result, the tally is the caller's."""
        proxy = self.owned(lib.Proxy(server.port, cut_after, how))
        result = self.resilver(*self.tls_command(scenario, way, server, proxy))
        proxy.close()
        if proxy.has_cut and result.code != IN_SYNC:
            lib.check_error(self, result, "peer")
        return result

    def test_cut_at_random_bytes(self):
        scenarios = [self.make_wide_scenario()]
        tally, resumed = Tally(), 0
        for number in range(max(KILLS // 10, 8)):
            scenario = scenarios[0]
            way = ("push", "pull")[number % 2]
            how = ("reset", "close")[number // 2 % 2]
            cut_after = self.rng.randrange(len(scenario.to_ship) * LEAF)
            with self.subTest(cut=number, scenario=scenario.name, way=way, how=how,
                              cut_after=cut_after):
                scenario.reset(self.target)
                path = self.target if way == "push" else scenario.source
                server = self.owned(lib.Server(self.certs, {"vm": path}))
                self.cut_once(scenario, way, server, how, cut_after)
                if way == "push":
                    self.wait_until_target_is_free()
                left = self.check_interrupted(scenario)
                tally.add(scenario, left)
                proxy = self.owned(lib.Proxy(server.port))
                disk = self.run_again(scenario, self.tls_command(scenario, way, server, proxy),
                                      left, must_resume=scenario.can_resume(left))
                resumed += disk["resumed_bytes"] > 0
                proxy.close()
                self.assertEqual(server.stop().code, 0)
        tally.report(self, "link cut", resumed)

    def wait_until_target_is_free(self):
        """The server's end of the session lives on for a moment after the link broke."""
        stat = os.stat(self.target)
        name = "%02x:%02x:%d" % (os.major(stat.st_dev), os.minor(stat.st_dev), stat.st_ino)

        def is_free():
            with open("/proc/locks") as file:
                return not any(name in line.split() for line in file)

        lib.wait_until(is_free, "the end of the server's session", 15)

    def test_a_link_that_falls_silent(self):
        """Neither end hears that the link is gone; both give up by themselves."""
        scenario = self.make_wide_scenario()
        scenario.reset(self.target)
        server = self.owned(lib.Server(self.certs, {"vm": self.target}))
        proxy = self.owned(lib.Proxy(server.port, SIZE * 2 // 3, "stall"))
        result = self.resilver(*self.tls_command(scenario, "push", server, proxy))
        lib.check_error(self, result, "peer", "silent|nothing|answer|heard")
        self.assertLess(result.seconds, 45)
        self.wait_until_target_is_free()
        left = self.check_interrupted(scenario)
        self.assertTrue(left)
        clean = self.owned(lib.Proxy(server.port))
        self.run_again(scenario, self.tls_command(scenario, "push", server, clean), left,
                       must_resume=True)


def take_kills():
    """--kills N, or --kills=N, out of the arguments that unittest gets."""
    for at, word in enumerate(sys.argv):
        if word == "--kills":
            value = sys.argv[at + 1]
            del sys.argv[at:at + 2]
            return int(value)
        if word.startswith("--kills="):
            del sys.argv[at]
            return int(word.partition("=")[2])
    return KILLS


if __name__ == "__main__":
    KILLS = take_kills()
    lib.main()
