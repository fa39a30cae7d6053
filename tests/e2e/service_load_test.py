#!/usr/bin/python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""A host with more jobs than may be open: the next is refused (32778), and nothing else suffers."""
import os
import shutil
import sys
import tempfile
import time

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
import hosts  # noqa: E402
import lib  # noqa: E402
from hosts import STARTED, Refused  # noqa: E402

OPEN_JOBS = 1024  # JOBS_OPEN_MAX


class Load(hosts.HostsCase):
    SIZES = {"vda": lib.MIB}

    def test_more_jobs_than_may_be(self):
        disk = lib.make_disk(self.path("disk.raw"), lib.MIB, self.rng)
        vms = {"web1": self.make_vm("web1")}
        vms.update(("vm%04d" % number, {"vda": disk}) for number in range(OPEN_JOBS))
        # Thousands of flushes say nothing here: in memory they cost nothing.
        self.shm = tempfile.mkdtemp(prefix="resilver-e2e-", dir="/dev/shm")
        self.addCleanup(shutil.rmtree, self.shm)
        self.a = self.make_host("alpha", vms, state=os.path.join(self.shm, "a")).start()
        self.b = self.make_host("beta", state=os.path.join(self.shm, "b")).start()
        hosts.pair(self.a, self.b)
        self.b.allow(self.a)
        self.copy()
        later = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(time.time() + 86400))
        jobs = []
        for name in list(vms)[1:]:
            self.a.create(name, self.b)
            jobs.append(self.a.start_copy(name, start_time=later))
        value, message = self.a.resync("web1")
        self.assertEqual(value, 32778, message)
        self.assertIn("job", message)
        self.assertEqual(self.a.relationship("web1")["state"], 3)
        with self.assertRaises(Refused) as refused:
            self.a.post("/v1/vms/web1/resynchronize", {"start_time": later})
        self.assertEqual(refused.exception.status, 429)
        # All of them outlive the daemon, and one that goes makes room.
        self.a.kill()
        self.a.start()
        self.assertEqual(self.a.get("/v1/host")["open_jobs"], OPEN_JOBS)
        self.a.post("/v1/jobs/%s/state" % jobs[0], {"requested_state": 4})
        value, job = self.a.resync("web1")
        self.assertEqual(value, STARTED, job)
        self.a.wait_job(job)


if __name__ == "__main__":
    lib.main()
