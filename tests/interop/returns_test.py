#!/usr/bin/python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""Each return value of Resynchronize from a real cause, over both protocols; the words that go with
it are in the audit log."""
import contextlib
import datetime
import os
import sqlite3
import sys
import threading
import time
import uuid

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "e2e"))
sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
import calls  # noqa: E402
import gateway  # noqa: E402
import hosts  # noqa: E402
import lib  # noqa: E402
import service_test  # noqa: E402
from calls import JOB, PROTOCOLS, job_of  # noqa: E402

DONE, STARTED = 0, 4096
OPEN_JOBS = 1024  # JOBS_OPEN_MAX
NOBODYS_VM = "00000000-1111-2222-3333-444444444444"


def at(**ahead):
    """A CIM datetime that much ahead."""
    return service_test.cim_time(datetime.datetime.now(datetime.timezone.utc)
                                 + datetime.timedelta(**ahead))


class ReturnsCase(calls.CallsCase):
    SIZES = {"vda": 2 * lib.MIB}

    def setUp(self):
        super().setUp()
        self.both = self.callers()

    def expect(self, value, *words, vm_id=None, callers=None, **arguments):
        """That value over both protocols, no job with it, and words that say why."""
        before = [job["id"] for job in self.a.jobs(all_of_them=True)]
        for caller in callers or self.both:
            found, out = caller.resynchronize("HOST1", vm_id or self.vm_id, **arguments)
            entry = self.audited()
            self.assertEqual(found, value, (caller.protocol, entry))
            self.assertIsNone(job_of(out), caller.protocol)
            self.assertEqual((entry["protocol"], entry["user"], entry["operation"],
                              entry["result"].split()[0]),
                             (caller.protocol, caller.user, "Msvm_ReplicationService.Resynchronize",
                              str(value)), entry)
            for word in words:
                self.assertRegex(entry["message"], word, caller.protocol)
        self.assertEqual([job["id"] for job in self.a.jobs(all_of_them=True)], before)

    def expect_started(self):
        """What was wrong is mended: it works again, over each."""
        for caller in self.both:
            value, out = caller.resynchronize("HOST1", self.vm_id)
            self.assertEqual(value, STARTED, (caller.protocol, self.audited()))
            self.a.wait_job(job_of(out))


class Returns(ReturnsCase):
    def test_what_was_asked(self):
        self.started()
        self.scheduled_and_moved()
        self.denied()
        with self.subTest("the host itself"):
            self.expect(32770, "host itself", vm_id="HOST1")
        with self.subTest("no such VM"):
            self.expect(32773, "no VM", vm_id=NOBODYS_VM)
            self.expect(32773, "no VM", vm_id="web1")  # names are no keys
        with self.subTest("more than a week ahead"):
            self.expect(32773, "7 days", StartTime=at(days=8))
        with self.subTest("no moment"):
            self.expect(32776, "interval", StartTime="00000001000000.000000:000")
            self.expect(32776, "StartTime", StartTime="tomorrow")
        with self.subTest("not replicated"):
            self.expect(32775, "not replicated", vm_id=self.a.ids["web2"])
            self.a.create("web2", self.b)
            self.expect(32775, vm_id=self.a.ids["web2"])  # never copied
        with self.subTest("no reference"):
            for caller in self.both:
                for wrong in (None, "web1", calls.Reference(JOB, {"InstanceID": self.vm_id}),
                              calls.Reference("Msvm_ComputerSystem", {"Name": self.vm_id})):
                    value, _ = caller.service("HOST1", "Resynchronize", ComputerSystem=wrong)
                    self.assertEqual(value, 32773, (caller.protocol, wrong))
        self.expect_started()

    def started(self):
        for caller in self.both:
            self.change("web1")
            value, out = caller.resynchronize("HOST1", self.vm_id, StartTime=None)
            self.assertEqual(value, STARTED, caller.protocol)
            self.assertEqual(self.a.wait_job(job_of(out))["type"], 107)
            self.assertEqual(caller.get(JOB, {"InstanceID": job_of(out)})["JobState"], "7")
            self.check_replica("web1")

    def scheduled_and_moved(self):
        for caller, other in (self.both, self.both[::-1]):
            value, out = caller.resynchronize("HOST1", self.vm_id, StartTime=at(hours=1))
            self.assertEqual(value, STARTED)
            job = job_of(out)
            found = caller.get(JOB, {"InstanceID": job.upper()})
            self.assertEqual(found["JobState"], "2")
            first = found["ScheduledStartTime"]
            value, out = other.resynchronize("HOST1", self.vm_id, StartTime=at(hours=3))
            self.assertEqual((value, job_of(out)), (DONE, job))
            self.assertGreater(caller.get(JOB, {"InstanceID": job})["ScheduledStartTime"], first)
            value, out = caller.resynchronize("HOST1", self.vm_id)
            self.assertEqual((value, job_of(out)), (DONE, job))
            self.a.wait_job(job)

    def denied(self):
        with self.subTest("a viewer"):
            self.expect(32769, "operator", callers=self.callers("victor"))
            # He is not even told what there is.
            self.expect(32769, vm_id=NOBODYS_VM, callers=self.callers("victor"))

    def test_the_disks(self):
        disk = self.a.vms["web1"]["vda"]
        away = self.path("away")

        @contextlib.contextmanager
        def moved():
            os.rename(disk, away)
            yield
            os.rename(away, disk)

        with self.subTest("no file"), moved():
            self.expect(32779, "vda")
        with self.subTest("a folder"), moved():
            os.mkdir(disk)
            self.expect(32770, "vda")
            os.rmdir(disk)
        with self.subTest("a link to itself"), moved():
            os.symlink(disk, disk)
            self.expect(32768, "vda")
            os.unlink(disk)
        with self.subTest("another size"):
            os.truncate(disk, 3 * lib.MIB)
            self.expect(32775, "vda", "bytes")
            os.truncate(disk, 2 * lib.MIB)
        self.used_by_another()
        self.expect_started()
        self.check_replica("web1")

    def used_by_another(self):
        if lib.find_tool("qemu-nbd") and lib.find_tool("nbdinfo"):
            with self.subTest("used by another program"):
                holder = self.owned(service_test.Holder(self.a.vms["web1"]["vda"]))
                self.expect(32774, "vda")
                holder.close()
        with self.subTest("at work already"):
            self.a.ask("PATCH", "/v1/vms/web1/relationships/0", {"rate_bytes_per_s": 1000000})
            self.change("web1", share=0.9)
            value, out = self.both[0].resynchronize("HOST1", self.vm_id)
            self.assertEqual(value, STARTED)
            lib.wait_until(lambda: self.a.job(job_of(out))["state"] == 4, "the job at work")
            self.expect(32774)
            self.a.post("/v1/jobs/%s/state" % job_of(out), {"requested_state": 4})
            self.a.wait_job(job_of(out), hosts.TERMINATED)
            self.a.ask("PATCH", "/v1/vms/web1/relationships/0", {"rate_bytes_per_s": 0})

    def test_the_other_host(self):
        self.copy("web2")
        with self.subTest("no authorization"):
            self.b.ask("DELETE", "/v1/authorizations/HOST1")
            self.expect(32769, "auth add")
            self.b.allow(self.a)
            self.expect_started()
        self.b.stop()
        with self.subTest("nobody there"):
            self.expect(32777, "HOST2")
        with self.subTest("one that nobody understands"):
            server = self.owned(service_test.FalsePeer(self.b, "garbled"))
            self.expect(32771, "HOST2")
            server.close()
        with self.subTest("one that says nothing"):
            server = self.owned(service_test.FalsePeer(self.b, "silent"))
            began = time.monotonic()
            found = {}
            threads = [threading.Thread(target=self.ask_one, args=(caller, name, found))
                       for caller, name in zip(self.both, ("web1", "web2"))]
            for thread in threads:
                thread.start()
            for thread in threads:
                thread.join()
            self.assertEqual(found, {protocol: 32772 for protocol in PROTOCOLS})
            self.assertLess(time.monotonic() - began, 8)
            self.check_one_of_two_alike()
            server.close()
        self.b.start()
        self.expect_started()
        with self.subTest("the VM is gone from here"):
            self.a.stop()
            vms, self.a.vms = self.a.vms, {"web2": self.a.vms["web2"]}
            self.a.write_config()
            self.a.start()
            self.expect(32777, "gone")
            self.a.vms = vms

    def check_one_of_two_alike(self):
        """The same request while the first is under way: it is not called twice."""
        keys = gateway.service_keys("HOST1")
        uri = gateway.DMTF + "Msvm_ReplicationService"
        envelope = self.gateway.wsman(None).envelope(
            uri + "/Resynchronize", uri, keys,
            '<p:Resynchronize_INPUT xmlns:p="%s"><p:ComputerSystem>%s</p:ComputerSystem>'
            "</p:Resynchronize_INPUT>" % (uri, gateway.epr_xml(
                "Msvm_ComputerSystem", gateway.vm_keys(self.vm_id))))
        found = []
        threads = [threading.Thread(target=lambda: found.append(
            self.gateway.wsman().send_text(envelope))) for _ in range(2)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        (early, refused), (late, answer) = found
        fault = gateway.Fault(early, refused)
        self.assertEqual((fault.status, fault.subcode), (500, "Concurrency"), fault)
        self.assertEqual(late, 200)
        self.assertEqual(gateway.read_properties(
            answer.find("./s:Body/*", gateway.SPACES))["ReturnValue"], "32772")

    def ask_one(self, caller, name, found):
        found[caller.protocol] = caller.resynchronize("HOST1", self.a.ids[name])[0]


class Limit(ReturnsCase):
    def test_as_many_jobs_as_may_be(self):
        """One planned job is real; the others are copies that the daemon finds at its start."""
        self.copy("web2")
        _, job = self.a.resync("web2", at(hours=5))
        self.a.stop()
        self.fill(OPEN_JOBS - 1)
        self.a.start()
        self.assertEqual(self.a.get("/v1/host")["open_jobs"], OPEN_JOBS)
        self.expect(32778, "1024 jobs")
        self.expect(32778, "1024 jobs", StartTime=at(hours=1))
        for caller in self.both:  # all of them are there to be seen
            self.assertEqual(len(caller.query("select * from Msvm_ConcreteJob where JobState = 2")),
                             OPEN_JOBS)
        self.a.post("/v1/jobs/%s/state" % job, {"requested_state": 4})
        self.expect_started()

    def fill(self, count):
        with contextlib.closing(sqlite3.connect(self.a.database)) as database, database:
            columns = [row[1] for row in database.execute("PRAGMA table_info(jobs)")
                       if row[1] not in ("sequence", "id")]
            names = ", ".join(columns)
            for _ in range(count):
                database.execute("INSERT INTO jobs (id, %s) SELECT ?, %s FROM jobs "
                                 "WHERE ended_us = 0 LIMIT 1" % (names, names),
                                 (uuid.uuid4().bytes,))


if __name__ == "__main__":
    lib.main()
