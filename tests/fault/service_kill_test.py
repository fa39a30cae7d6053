#!/usr/bin/python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""Jobs of the service, whose daemons are killed and restarted and whose line is cut at random moments:
every job ends as it should, and what it says is done is the same on both sides, by cmp.

RESILVER_JOBS (100): how many jobs."""
import collections
import os
import sys
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "e2e"))
import hosts  # noqa: E402
import lib  # noqa: E402
from hosts import COMPLETED, JOB_ENDS, STARTED, TERMINATED, Refused  # noqa: E402

VMS = ("web1", "db1", "mail", "files")


def jobs():
    return int(os.environ.get("RESILVER_JOBS") or 100)


class Faults(hosts.HostsCase):
    SIZES = {"vda": 3 * lib.MIB, "vdb": 1 * lib.MIB}

    def setUp(self):
        super().setUp()
        vms = {name: self.make_vm(name) for name in VMS}
        self.a = self.make_host("alpha", vms, more="rate-per-session = 2M").start()
        self.b = self.make_host("beta")
        self.line = self.owned(hosts.Line(self.b.port))
        self.b.advertised_port = self.line.port
        self.b.write_config()
        self.b.start()
        hosts.pair(self.a, self.b)
        self.b.allow(self.a)
        for name in VMS:
            self.copy(name)
        self.fired = collections.Counter()

    # --- faults ---

    def kill_source(self):
        self.a.kill()
        self.a.start()

    def kill_target(self):
        self.b.kill()
        self.b.start()

    def kill_both(self):
        self.a.kill()
        self.b.kill()
        self.b.start()
        self.a.start()

    def restart_source(self):
        self.a.stop()
        self.a.start()

    def restart_target(self):
        self.b.stop()
        self.b.start()

    def partition(self):
        self.line.cut()
        # Until somebody has noticed, or has nothing to notice.
        lib.wait_until(lambda: all(job["next_try"] or job["state"] in JOB_ENDS or
                                   job["started"] is None for job in self.a.jobs()),
                       "the cut is noticed", every_s=0.02)
        self.line.mend()

    FAULTS = (kill_source, kill_target, kill_both, restart_source, restart_target, partition)

    # --- rounds ---

    def begin(self):
        started = {}
        for name in VMS:
            self.change(name, share=0.8)
            value, job = self.a.resync(name)
            self.assertEqual(value, STARTED, job)
            started[name] = job
        return started

    def open_jobs(self, started):
        return [job for job in started.values() if self.a.job(job)["state"] not in JOB_ENDS]

    def let_some_time_pass(self, started):
        """A part of what a job takes."""
        wanted = self.rng.random() * 0.6
        end = time.monotonic() + wanted
        lib.wait_until(lambda: time.monotonic() > end or not self.open_jobs(started), "time",
                       every_s=0.02)

    def wait_all(self, started):
        return {name: self.a.wait_job(job, None, deadline_s=120)
                for name, job in started.items()}

    def check_relationships(self):
        for name in VMS:
            self.assertIsNone(self.a.relationship(name)["job"])

    def test_every_job_ends_well(self):
        done = collections.Counter()
        interrupted = 0
        while sum(done.values()) < jobs():
            started = self.begin()
            for _ in range(self.rng.randrange(1, 4)):
                self.let_some_time_pass(started)
                open_before = len(self.open_jobs(started))
                fault = self.rng.choice(self.FAULTS)
                fault(self)
                self.fired[fault.__name__] += 1
                interrupted += open_before > 0
            ended = self.wait_all(started)
            for name, job in ended.items():
                self.assertEqual(job["state"], COMPLETED, job)
                self.assertTrue(all(disk["proof"] for disk in job["report"]["disks"]), job)
                self.check_replica(name)
                self.assertEqual(self.a.wait_state(name, 3)["state"], 3)
            done["completed"] += len(ended)
            self.check_relationships()
        print("jobs: %d, all ended well and equal by cmp; faults: %s; %d of them met jobs at work" % (
            sum(done.values()), dict(self.fired), interrupted), flush=True)
        self.assertGreater(interrupted, sum(self.fired.values()) // 3)

    def test_suspended_and_cancelled_beside_faults(self):
        """A wish that was answered holds, whatever comes after it."""
        ends = collections.Counter()
        for _ in range(max(3, jobs() // 16)):
            started = self.begin()
            wishes = {}
            self.let_some_time_pass(started)
            for name in VMS:
                wish = self.rng.choice((None, 7, 9))
                if wish is None or self.a.job(started[name])["state"] in JOB_ENDS:
                    continue
                try:
                    self.a.request_state(name, wish)
                    wishes[name] = wish
                except Refused as refused:  # it waits for its turn, or has just ended
                    self.assertEqual(refused.value, 32775, refused)
            self.rng.choice(self.FAULTS[:5])(self)
            unequal = set()
            for name, job in started.items():
                wish = wishes.get(name)
                if wish == 7:
                    self.go_on(name)
                ended = self.a.wait_job(job, None, deadline_s=120)
                allowed = (TERMINATED, COMPLETED) if wish == 9 else (COMPLETED,)
                self.assertIn(ended["state"], allowed, (wish, ended))
                ends[ended["state_name"]] += 1
                if ended["state"] == TERMINATED:
                    unequal.add(name)
            for name in VMS:
                if name in unequal:
                    self.a.wait_job(self.a.resync(name)[1])
                self.check_replica(name)
            self.check_relationships()
        print("jobs: %s" % dict(ends), flush=True)
        self.assertGreater(len(ends), 1, ends)

    def go_on(self, name):
        def try_it():
            try:
                self.a.request_state(name, 3)
                return True
            except Refused as refused:
                if refused.value == 32774:
                    return False  # still being suspended
                raise
        lib.wait_until(try_it, name + " goes on")


if __name__ == "__main__":
    lib.main()
