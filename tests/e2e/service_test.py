#!/usr/bin/python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""The service end to end: two and three daemons on loopback, real disks, judged by cmp."""
import datetime
import os
import shutil
import subprocess
import sys
import time

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
import hosts  # noqa: E402
import lib  # noqa: E402
from hosts import COMPLETED, DONE, STARTED, TERMINATED, Refused  # noqa: E402

MIB = lib.MIB


def in_s(seconds):
    """A moment from now, as RFC 3339 has it."""
    moment = datetime.datetime.now(datetime.timezone.utc) + datetime.timedelta(seconds=seconds)
    return moment.isoformat(timespec="milliseconds").replace("+00:00", "Z")


def cim_time(moment):
    return moment.strftime("%Y%m%d%H%M%S.%f") + "+000"


class Path(hosts.HostsCase):
    """From two strangers to a replica, and on."""

    def test_copy_and_resynchronize(self):
        self.make_pair()
        self.a.create("web1", self.b)
        self.assertEqual(self.a.relationship("web1")["state"], 1)
        self.assertEqual(self.b.relationship(self.a.ids["web1"])["state"], 2)
        job = self.a.wait_job(self.a.start_copy("web1"))
        self.assertEqual((job["type"], job["percent"], job["error"]), (94, 100, None), job)
        self.check_replica("web1")
        self.assertEqual(self.a.wait_state("web1", 3)["health_name"], "ok")
        self.assertEqual(self.b.wait_state(self.a.ids["web1"], 3)["role_name"], "replica")

        self.change("web1")
        value, job_id = self.a.resync("web1")
        self.assertEqual(value, STARTED, job_id)
        job = self.a.wait_job(job_id)
        self.assertEqual((job["type"], job["state"]), (107, COMPLETED))
        for disk in job["report"]["disks"]:
            self.assertGreater(disk["different_bytes"], 0, disk)
            self.assertEqual(len(disk["proof"]), 64)
        self.check_replica("web1")
        self.assertIsNotNone(self.a.relationship("web1")["last_replication"])
        self.assertIn(29244, [event["code"] for event in self.a.get("/v1/events")["events"]])

    def test_nothing_differs(self):
        self.make_pair()
        self.copy()
        job = self.a.wait_job(self.a.resync("web1")[1])
        self.assertEqual([disk["different_bytes"] for disk in job["report"]["disks"]], [0, 0])

    def test_damage_at_the_replica_is_repaired(self):
        self.make_pair()
        self.copy()
        lib.flip_bit(self.b.replica(self.a.ids["web1"], "vdb"), 3 * MIB + 5)
        job = self.a.wait_job(self.a.resync("web1")[1])
        self.assertEqual([disk["different_bytes"] for disk in job["report"]["disks"]],
                         [0, lib.LEAF])
        self.check_replica("web1")

    def test_a_disk_is_left_out(self):
        self.make_pair()
        self.copy_of_one = self.a.create("web1", self.b, disks=["vda"])
        self.a.wait_job(self.a.start_copy("web1"))
        folder = os.path.dirname(self.b.replica(self.a.ids["web1"], "vda"))
        self.assertEqual(os.listdir(folder), ["vda"])

    def test_recovery_points(self):
        self.make_pair()
        self.copy(recovery_history=2)
        before = lib.copy_disk(self.a.vms["web1"]["vda"], self.path("before"))
        self.change("web1")
        self.a.wait_job(self.a.resync("web1")[1])
        folder = os.path.join(self.b.storage, self.a.ids["web1"])
        found = self.resilver("replica", "points", "--json", folder).report["points"]
        points = [point for point in found if not point["is_present"]]
        self.assertEqual(len(points), 1, found)
        self.assert_exit(self.resilver("replica", "rollback", folder, "--to",
                                       str(points[0]["number"]), "--yes"), 0)
        self.assert_same(before, self.b.replica(self.a.ids["web1"], "vda"))

    def test_three_hosts(self):
        self.make_pair()
        c = self.make_host("gamma").start()
        hosts.pair(self.b, c)
        c.allow(self.b)
        self.copy()
        vm = self.a.ids["web1"]
        self.b.create(vm, c)
        self.b.wait_job(self.b.start_copy(vm, 1))
        self.check_replica("web1", c)
        self.assertEqual(c.relationship(vm, 1)["role_name"], "extended")
        # What hop 0 brings, hop 1 follows by itself.
        self.change("web1")
        self.a.wait_job(self.a.resync("web1")[1])
        lib.wait_until(lambda: [job for job in self.b.jobs() if job["type"] == 121 and
                                job["state"] == COMPLETED], "the extended replica follows")
        self.check_replica("web1", c)
        # A resync called on the replica repairs the extended one.
        lib.flip_bit(c.replica(vm, "vda"), MIB)
        value, job = self.b.resync(vm)
        self.assertEqual(value, STARTED, job)
        self.assertEqual(self.b.wait_job(job)["type"], 121)
        self.check_replica("web1", c)
        with self.assertRaises(Refused) as refused:
            self.b.ask("DELETE", "/v1/vms/%s/relationships/0" % vm)
        self.assertEqual(refused.exception.value, 32775)

    def test_a_lost_state_at_the_replica_is_rebuilt(self):
        self.make_pair()
        self.copy()
        self.b.stop()
        shutil.rmtree(self.b.state_directory)
        self.b.start()
        value, message = self.a.resync("web1")
        self.assertEqual(value, 32777, message)  # a certificate that nobody knows
        hosts.pair(self.a, self.b)
        self.b.allow(self.a)
        value, message = self.a.resync("web1")
        self.assertEqual(value, 32775, message)
        self.assertIn("create it again", message)
        self.a.ask("DELETE", "/v1/vms/web1/relationships/0")
        self.change("web1")
        self.a.create("web1", self.b)
        job = self.a.wait_job(self.a.start_copy("web1", seeded=True))
        self.assertEqual(job["type"], 117)
        self.assertLess(sum(disk["different_bytes"] for disk in job["report"]["disks"]), 6 * MIB)
        self.check_replica("web1")


class Jobs(hosts.HostsCase):
    """Jobs while they are at work: slowed down so that they can be caught."""
    SIZES = {"vda": 12 * MIB, "vdb": 4 * MIB}

    def setUp(self):
        super().setUp()
        self.make_pair(more="rate-per-session = 1M")

    def begin(self):
        """A resync that is at work and has moved something."""
        self.change("web1", share=0.9)
        value, job = self.a.resync("web1")
        self.assertEqual(value, STARTED, job)
        lib.wait_until(lambda: (self.a.job(job)["progress"] or {}).get("sent_bytes", 0) > 300000,
                       "the job at work")
        return job

    def quick(self):
        """From now on as fast as it goes."""
        for host in (self.a, self.b):
            host.stop()
            host.more = ""
            host.write_config()
            host.start()

    def slow_copy(self):
        self.a.create("web1", self.b)
        job = self.a.start_copy("web1")
        self.a.wait_job(job, deadline_s=120)

    def test_suspend_and_go_on(self):
        self.slow_copy()
        job = self.begin()
        began = time.monotonic()
        self.a.request_state("web1", 7)
        lib.wait_until(lambda: self.a.job(job)["state"] == 5, "suspended")
        self.assertLess(time.monotonic() - began, 2)
        self.assertEqual(self.a.relationship("web1")["state"], 11)
        self.assertEqual(self.a.request_state("web1", 3)["job"], job)
        ended = self.a.wait_job(job, deadline_s=120)
        self.assertEqual(ended["state"], COMPLETED)
        self.assertEqual(self.a.relationship("web1")["state"], 3)
        self.check_replica("web1")

    def test_cancel_leaves_the_old_point(self):
        self.slow_copy()
        old = {disk: lib.copy_disk(path, self.path("old-" + disk))
               for disk, path in self.a.vms["web1"].items()}
        job = self.begin()
        stop = self.a.request_state("web1", 9)
        self.assertEqual(stop["return_value"], STARTED)
        self.assertEqual(self.a.wait_job(stop["job"])["type"], 110)
        self.assertEqual(self.a.wait_job(job, TERMINATED)["state"], TERMINATED)
        self.assertEqual(self.a.relationship("web1")["state"], 9)
        for disk, path in old.items():
            self.assert_same(path, self.b.replica(self.a.ids["web1"], disk))
        self.quick()
        self.a.wait_job(self.a.resync("web1")[1])
        self.check_replica("web1")

    def test_another_resync_meanwhile_is_refused(self):
        self.slow_copy()
        job = self.begin()
        value, message = self.a.resync("web1")
        self.assertEqual(value, 32774, message)
        self.a.post("/v1/jobs/%s/state" % job, {"requested_state": 4})
        self.a.wait_job(job, TERMINATED)

    def test_killed_daemons_go_on(self):
        self.slow_copy()
        job = self.begin()
        for victim in (self.a, self.b, self.a):
            victim.kill()
            victim.start()
            lib.wait_until(lambda: (self.a.job(job)["progress"] or {}).get("sent_bytes", 0) > 0 or
                           self.a.job(job)["state"] == COMPLETED, "the job goes on")
        self.assertEqual(self.a.wait_job(job, deadline_s=120)["state"], COMPLETED)
        self.check_replica("web1")

    def test_stopped_in_order(self):
        self.slow_copy()
        job = self.begin()
        began = time.monotonic()
        self.a.stop()
        self.assertLess(time.monotonic() - began, 10)
        self.a.start()
        self.assertEqual(self.a.wait_job(job, deadline_s=120)["state"], COMPLETED)
        self.check_replica("web1")


class Schedules(hosts.HostsCase):
    def setUp(self):
        super().setUp()
        self.make_pair()
        self.copy()

    def test_scheduled_then_moved(self):
        value, job = self.a.resync("web1", in_s(3600))
        self.assertEqual(value, STARTED, job)
        found = self.a.job(job)
        self.assertEqual(found["state"], 2)
        self.assertIsNotNone(found["scheduled_start"])
        self.assertEqual(self.a.relationship("web1")["state"], 9)
        self.assertEqual(self.a.resync("web1", in_s(7200)), (DONE, job))
        self.assertGreater(self.a.job(job)["scheduled_start"], found["scheduled_start"])
        self.assertEqual(self.a.resync("web1"), (DONE, job))
        self.a.wait_job(job)
        self.assertEqual(self.a.relationship("web1")["state"], 3)

    def test_cancelled_before_it_began(self):
        _, job = self.a.resync("web1", in_s(3600))
        self.a.request_state("web1", 9)
        self.assertEqual(self.a.job(job)["state"], TERMINATED)
        self.assertEqual(self.a.relationship("web1")["state"], 3)

    def test_missed_while_the_daemon_was_down(self):
        _, job = self.a.resync("web1", in_s(1.5))
        self.a.kill()
        lib.wait_until(lambda: in_s(0) > self.scheduled(job), "the time has passed")
        self.a.start()
        self.a.wait_job(job)

    def scheduled(self, job):
        self.times = getattr(self, "times", {})
        return self.times.setdefault(job, in_s(1.6))

    def test_runs_at_its_time(self):
        _, job = self.a.resync("web1", in_s(1))
        found = self.a.wait_job(job)
        self.assertGreaterEqual(found["started"][:19], found["scheduled_start"][:19])


class ReturnValues(hosts.HostsCase):
    """Each of Resynchronize's return values from a real cause (DESIGN 7). 0, 4096 and 32774 are seen
    above, 32778 in service_load_test.py."""
    SIZES = {"vda": 2 * MIB}

    def expect(self, value, *words, vm="web1", start_time=None, host=None):
        found, message = (host or self.a).resync(vm, start_time)
        self.assertEqual(found, value, message)
        for word in words:
            self.assertRegex(message, word)

    def test_access_denied(self):
        lib.need_root()
        control = "viewers = nobody"
        self.a = self.make_host("alpha", {"web1": self.make_vm("web1")}, control=control).start()
        os.chmod(self.dir, 0o755)
        os.chmod(self.a.folder, 0o755)
        os.chmod(self.a.socket, 0o666)
        script = ("import sys; sys.path.insert(0, %r); import hosts; h = hosts.Connection(%r, 10); "
                  "h.request('POST', '/v1/vms/web1/resynchronize', '{}'); r = h.getresponse(); "
                  "print(r.status, r.read().decode())" % (os.path.dirname(hosts.__file__),
                                                          self.a.socket))
        for user, status in (("nobody", "403"), ("daemon", "403")):
            result = subprocess.run([sys.executable, "-c", script], user=user, capture_output=True,
                                    env={**os.environ, "RESILVER": lib.program()}, text=True)
            self.assertTrue(result.stdout.startswith(status), result)
            self.assertIn("32769", result.stdout)

    def test_not_supported(self):
        self.make_pair()
        self.expect(32770, "this host", vm="alpha")
        self.copy()
        os.rename(self.a.vms["web1"]["vda"], self.path("away"))
        os.mkdir(self.a.vms["web1"]["vda"])
        self.expect(32770, "vda")

    def test_invalid_parameter(self):
        self.make_pair()
        self.copy()
        self.expect(32773, "web1", vm="web2")
        self.expect(32773, "7 days", start_time=in_s(8 * 86400))

    def test_wrong_type(self):
        self.make_pair()
        self.copy()
        self.expect(32776, "interval", start_time="00000001000000.000000:000")
        self.expect(32776, "tomorrow", start_time="tomorrow")
        now = datetime.datetime.now(datetime.timezone.utc)
        value, job = self.a.resync("web1", cim_time(now + datetime.timedelta(hours=1)))
        self.assertEqual(value, STARTED, job)

    def test_invalid_state(self):
        self.make_pair()
        self.expect(32775, "not replicated")
        self.a.create("web1", self.b)
        self.expect(32775)
        self.expect(32775, "alpha", vm=self.a.ids["web1"], host=self.b)

    def test_file_not_found(self):
        self.make_pair()
        self.copy()
        os.rename(self.a.vms["web1"]["vda"], self.path("away"))
        self.expect(32779, "vda")
        os.rename(self.path("away"), self.a.vms["web1"]["vda"])
        self.assertEqual(self.a.resync("web1")[0], STARTED)

    def test_not_available(self):
        self.make_pair()
        self.copy()
        self.b.stop()
        self.expect(32777, "beta")
        self.b.start()
        self.a.stop()
        vms, self.a.vms = self.a.vms, {}
        self.a.write_config()
        self.a.start()
        self.expect(32777, "gone", vm=self.a.ids["web1"])
        self.a.vms = vms

    def test_timeout_and_unknown(self):
        self.make_pair()
        self.copy()
        self.b.stop()
        for how, value in (("silent", 32772), ("garbled", 32771)):
            server = self.owned(FalsePeer(self.b, how))
            began = time.monotonic()
            self.expect(value, "beta")
            self.assertLess(time.monotonic() - began, 8)
            self.assertGreater(server.count(), 0)
            server.close()

    def test_in_use(self):
        self.make_pair()
        self.copy()
        disk = self.a.vms["web1"]["vda"]
        lib.need_tool("qemu-nbd", "nbdinfo")
        holder = self.owned(Holder(disk))
        self.expect(32774, "vda")
        holder.close()
        self.assertEqual(self.a.resync("web1")[0], STARTED)

    def test_sizes_differ(self):
        self.make_pair()
        self.copy()
        with open(self.a.vms["web1"]["vda"], "r+b") as file:
            file.truncate(3 * MIB)
        self.expect(32775, "vda", "bytes")

    def test_failed(self):
        """A link that leads to itself: a failure that has no number of its own."""
        self.make_pair()
        self.copy()
        disk = self.a.vms["web1"]["vda"]
        os.rename(disk, self.path("away"))
        os.symlink(disk, disk)
        self.expect(32768, "vda")
        os.unlink(disk)
        os.rename(self.path("away"), disk)
        self.assertEqual(self.a.resync("web1")[0], STARTED)

    def test_an_image_that_is_none(self):
        lib.need_tool("qemu-img", "qemu-nbd")
        image = self.path("web1.qcow2")
        lib.must(["qemu-img", "create", "-q", "-f", "qcow2", image, "2M"])
        self.make_pair({"web1": {"vda": image}})
        self.a.create("web1", self.b)
        self.a.wait_job(self.a.start_copy("web1"))
        lib.change_bytes(image, 0, bytes(4096))
        self.expect(32770, "web1.qcow2")

    def test_an_authorization_that_is_gone(self):
        self.make_pair()
        self.copy()
        self.b.ask("DELETE", "/v1/authorizations/alpha")
        self.expect(32769, "auth add")


class FalsePeer:
    """Has the host's key, and is no daemon: says nothing, or what nobody understands."""

    def __init__(self, host, how):
        script = os.path.join(os.path.dirname(os.path.abspath(__file__)), "false_peer.py")
        self.process = lib.Process([sys.executable, script, host.tls_file("cert"),
                                    host.tls_file("key"), str(host.port), how], is_server=True)
        lib.wait_until(lambda: lib.can_connect(host.port), "the false peer")

    def count(self):
        return self.process.output()[0].count(b"connection")

    def close(self):
        self.process.end()


class Holder:
    """A program that has a disk open as a VM would, for writing."""

    def __init__(self, disk):
        socket = disk + ".nbd"
        self.process = lib.Process(["qemu-nbd", "-f", "raw", "-t", "-k", socket, disk],
                                   is_server=True)
        # It listens before it opens the disk.
        lib.wait_until(lambda: lib.run(["nbdinfo", "--size", "nbd+unix:///?socket=" + socket]).code
                       == 0, "the server on the disk")

    def close(self):
        self.process.end()


class Trust(hosts.HostsCase):
    SIZES = {"vda": 1 * MIB}

    def test_a_wrong_code_ends_it(self):
        a = self.make_host("alpha").start()
        b = self.make_host("beta").start()
        window = b.post("/v1/pairings", {"wait": True})
        a.post("/v1/pairings", {"address": "127.0.0.1:%d" % b.port})
        code = lib.wait_until(lambda: b.get("/v1/pairings/" + window["id"])["code"], "the code")
        wrong = "%06d" % ((int(code) + 1) % 1000000)
        with self.assertRaises(Refused):
            b.post("/v1/pairings/%s/confirm" % window["id"], {"code": wrong})
        self.assertEqual(b.get("/v1/pairings/" + window["id"])["state"], "failed")
        self.assertEqual(b.get("/v1/hosts")["hosts"], [])
        lib.wait_until(lambda: a.get("/v1/pairings")["pairings"][0]["state"] == "failed", "both")
        self.assertEqual(a.get("/v1/hosts")["hosts"], [])

    def test_nobody_waits(self):
        a = self.make_host("alpha").start()
        b = self.make_host("beta").start()
        asked = a.post("/v1/pairings", {"address": "127.0.0.1:%d" % b.port})
        lib.wait_until(lambda: a.get("/v1/pairings/" + asked["id"])["state"] == "failed", "refused")

    def test_revoked(self):
        self.make_pair()
        self.copy()
        self.b.ask("DELETE", "/v1/hosts/alpha")
        value, message = self.a.resync("web1")
        self.assertEqual(value, 32777, message)
        hosts.pair(self.a, self.b)
        self.b.allow(self.a)
        value, job = self.a.resync("web1")
        self.assertEqual(value, STARTED, job)
        self.a.wait_job(job)

    def test_not_allowed(self):
        self.a = self.make_host("alpha", {"web1": self.make_vm("web1")}).start()
        self.b = self.make_host("beta").start()
        hosts.pair(self.a, self.b)
        with self.assertRaises(Refused) as refused:
            self.a.create("web1", self.b)
        self.assertEqual(refused.exception.value, 32769)
        self.assertIn("auth add alpha", refused.exception.error["message"])
        self.assertEqual(os.listdir(self.b.storage), [])

    def test_connection(self):
        self.make_pair()
        self.assertIn("beta", self.a.post("/v1/hosts/beta/test")["message"])
        self.b.stop()
        with self.assertRaises(Refused) as refused:
            self.a.post("/v1/hosts/beta/test")
        self.assertEqual(refused.exception.value, 32777)


class Daemon(hosts.HostsCase):
    def test_a_second_one_is_refused(self):
        a = self.make_host("alpha").start()
        result = lib.run([hosts.daemon_program(), "--config", a.config])
        self.assertEqual(result.code, 1, result)
        self.assertIn("another resilverd", result.err)
        a.get("/v1/host")

    def test_a_wrong_configuration(self):
        a = self.make_host("alpha")
        with open(a.config, "a") as file:
            file.write("[replication]\nlissten = :1\n")
        result = lib.run([hosts.daemon_program(), "--config", a.config])
        self.assertEqual(result.code, 2, result)
        self.assertRegex(result.err, r"resilver\.conf:\d+: lissten.*listen")

    def test_reload(self):
        a = self.make_host("alpha").start()
        a.add_vm("db1", self.make_vm("db1", {"vda": MIB}))
        a.write_config()
        a.process.signal(1)
        lib.wait_until(lambda: self.has_vm(a, "db1"), "the new VM")
        with open(a.config, "a") as file:
            file.write("nonsense\n")
        a.process.signal(1)
        lib.wait_until(lambda: "not reloaded" in a.log(), "the refusal")
        self.assertTrue(self.has_vm(a, "db1"))

    @staticmethod
    def has_vm(host, name):
        try:
            return name in [vm["name"] for vm in host.get("/v1/vms")["vms"]]
        except (OSError, Refused):
            return False  # between two lives

    def test_backup(self):
        self.make_pair()
        self.copy()
        connection = hosts.Connection(self.a.socket, 10)
        connection.request("GET", "/v1/backup")
        image = connection.getresponse().read()
        self.a.stop()
        with open(self.a.database, "wb") as file:
            file.write(image)
        self.a.start()
        self.assertEqual(self.a.relationship("web1")["state"], 3)
        self.a.wait_job(self.a.resync("web1")[1])

    def test_a_damaged_database(self):
        a = self.make_host("alpha").start()
        a.stop()
        with open(a.database, "r+b") as file:
            file.truncate(os.path.getsize(a.database) // 2)
        result = lib.run([hosts.daemon_program(), "--config", a.config])
        self.assertEqual(result.code, 1, result)
        self.assertRegex(result.err, "damaged.*backup")


if __name__ == "__main__":
    lib.main()
