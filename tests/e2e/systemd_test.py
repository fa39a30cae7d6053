#!/usr/bin/python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""Two machines as the README sets them up, each with a real systemd: units, users, sandboxes and
all. What is typed there is typed here."""
import json
import os
import re
import sys

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
import lib  # noqa: E402
import machine  # noqa: E402

UUID = "6f1c2a9e-73a5-4e0f-9d5f-0c4b8f6a2d11"
SIZE = 32 << 20
SPACE = "root/virtualization/v2"
CONFIG = "[replication]\nlisten = :8490\nadvertise = %s:8490\n"
VM = """
[vm web1]
uuid = %s
disk.system = /srv/vm/web1.qcow2
disk.data = /srv/vm/web1-data.raw
""" % UUID
STORAGE = "[Service]\nReadWritePaths=/srv/replica\n"
# Nobody waits for five seconds, nor for a beat every fifteen.
QUICK = "[Service]\nRestartSec=100ms\nWatchdogSec=2\n"
PASSWORD = "correct-horse"


class Systemd(lib.Case):
    def setUp(self):
        super().setUp()
        machine.need_systemd()
        lib.need_tool("meson", "setfacl", "qemu-img", "wbemcli", "wslget")
        self.node = self.owned(machine.Machine("node1", self.path("node1")))
        self.dr = self.owned(machine.Machine("dr1", self.path("dr1")))
        self.node.connect(self.dr, "10.77.0.1", "10.77.0.2")
        build = os.path.dirname(os.path.abspath(lib.program()))
        for host in (self.node, self.dr):
            host.install(build)
            host.shell("systemd-sysusers && systemd-tmpfiles --create && systemctl daemon-reload")

    def test_the_readme(self):
        self.set_up_hosts()
        self.pair()
        self.replicate()
        self.look_at_the_sandboxes()
        self.set_up_gateway()
        self.call_over_cimxml()
        self.ask_over_wsman()
        self.ask_pam()
        self.reload()
        self.beat()
        self.die_and_come_back()
        self.resynchronize_again()
        self.stop()

    # --- the steps --------------------------------------------------------------------------------

    def set_up_hosts(self):
        for host in (self.node, self.dr):
            host.shell("install -d /etc/resilver")
            host.write("/etc/resilver/resilver.conf", CONFIG % host.name)
            host.shell("install -d /etc/systemd/system/resilverd.service.d")
            host.write("/etc/systemd/system/resilverd.service.d/quick.conf", QUICK)
        self.dr.shell("install -d -o resilver -g resilver -m 0700 /srv/replica")
        self.dr.write("/etc/systemd/system/resilverd.service.d/storage.conf", STORAGE)
        self.node.shell("install -d /srv/vm")
        lib.make_disk(self.path("system.raw"), SIZE, self.rng, ("random", "text", "zero"))
        lib.must(["qemu-img", "convert", "-O", "qcow2", self.path("system.raw"),
                  self.node.path("/srv/vm/web1.qcow2")])
        lib.make_disk(self.node.path("/srv/vm/web1-data.raw"), SIZE, self.rng, ("random", "zero"))
        self.node.shell("chmod 0600 /srv/vm/*")  # so that the list of rights is what counts
        self.node.write("/etc/resilver/resilver.conf", VM, "a")
        self.node.shell("setfacl -m u:resilver:r /srv/vm/web1.qcow2 /srv/vm/web1-data.raw")
        for host in (self.node, self.dr):
            host.shell("systemctl daemon-reload && resilver config check && "
                       "systemctl enable --now resilverd")
            self.assertEqual(host.property("resilverd", "ActiveState"), "active")

    def pair(self):
        waiting = self.dr.talk("resilver", "host", "pair", "--wait", "--json")
        self.until(waiting, "waiting")
        asking = self.node.talk("resilver", "host", "pair", "dr1:8490", "--json")
        try:
            codes = {self.until(talk, "code")["code"] for talk in (waiting, asking)}
            self.assertEqual(len(codes), 1)
            for talk in (waiting, asking):
                talk.stdin.write("%s\n" % next(iter(codes)))
                talk.stdin.flush()
            for talk in (waiting, asking):
                self.until(talk, "done")
                self.assertEqual(talk.wait(lib.DEADLINE_S), 0)
        finally:
            for talk in (waiting, asking):
                talk.kill()
                talk.communicate()

    def until(self, talk, state):
        for line in talk.stdout:
            found = json.loads(line)
            if found.get("state") == state:
                return found
        return self.fail("no pairing comes to '%s'" % state)

    def replicate(self):
        self.dr.must("resilver", "auth", "add", "node1", "--storage=/srv/replica")
        self.node.must("resilver", "relationship", "create", "web1", "--host=dr1",
                       "--recovery-history=4", "--start", "--wait", deadline_s=60)
        self.compare()

    def compare(self, is_equal=True):
        """Both disks, as somebody sees them who knows nothing of us."""
        folder = self.dr.shell("dirname $(find /srv/replica -name 'data*' -type f | head -n 1)")
        names = sorted(os.listdir(self.dr.path(folder.strip())))
        system, = (name for name in names if re.fullmatch(r"system(\.\w+)?", name))
        data, = (name for name in names if re.fullmatch(r"data(\.\w+)?", name))
        results = [lib.run(["qemu-img", "compare", self.node.path(ours),
                            self.dr.path(os.path.join(folder.strip(), theirs))])
                   for ours, theirs in (("/srv/vm/web1.qcow2", system),
                                        ("/srv/vm/web1-data.raw", data))]
        self.assertEqual([result.code for result in results], [0, 0 if is_equal else 1], results)

    def look_at_the_sandboxes(self):
        for host, unit, user in ((self.node, "resilverd", "resilver"),
                                 (self.dr, "resilverd", "resilver")):
            self.look_at(host, unit, user)

    def look_at(self, host, unit, user):
        """What the kernel says, and not what the unit does."""
        main = host.property(unit, "MainPID")
        status = dict(line.split(":\t", 1) for line in
                      host.must("cat", "/proc/%s/status" % main).splitlines() if ":\t" in line)
        self.assertEqual(host.must("stat", "-c", "%U", "/proc/" + main).strip(), user)
        self.assertEqual(int(status["CapEff"], 16) | int(status["CapBnd"], 16), 0)
        self.assertEqual((status["NoNewPrivs"], status["Seccomp"]), ("1", "2"))
        # Nothing that it needs is kept from it.
        self.assertNotRegex(host.journal(unit), r"(?i)not permitted|denied|read-only file system")

    def set_up_gateway(self):
        self.node.write("/etc/resilver/resilver.conf",
                        "\n[control]\nadministrators = resilver-gateway\n", "a")
        self.node.write("/etc/resilver/password", PASSWORD)
        self.node.shell("resilver gateway user add alice --role=operator --password-stdin "
                        "< /etc/resilver/password")
        self.node.shell("systemctl restart resilverd && systemctl enable --now resilver-gateway")
        self.look_at(self.node, "resilver-gateway", "resilver-gateway")
        main = self.node.property("resilver-gateway", "MainPID")
        # Not even root sees the state from there.
        self.assertIn("state.db", self.node.must("ls", "/var/lib/resilver"))
        self.assertEqual(self.node.must("nsenter", "--target=" + main, "--mount", "ls",
                                        "/var/lib/resilver"), "")

    def wbemcli(self, *words):
        return self.node.must("wbemcli", *words).strip()

    def call_over_cimxml(self):
        self.damage()
        url = "http://%s@127.0.0.1:5988/%s" % ("alice:" + PASSWORD, SPACE)
        service = self.wbemcli("ein", url + ":Msvm_ReplicationService").splitlines()[0]
        answer = self.wbemcli(
            "cm", "http://%s@%s" % ("alice:" + PASSWORD, service),
            'Resynchronize.ComputerSystem=Msvm_ComputerSystem.CreationClassName='
            '"Msvm_ComputerSystem",Name="%s"' % UUID.upper())
        self.assertRegex(answer, r"Resynchronize: 4096")
        self.job = re.search(r'InstanceID="([^"]+)"', answer).group(1)
        job = url + ':Msvm_ConcreteJob.InstanceID="%s"' % self.job

        def is_completed():
            state = re.search(r"JobState=(\d+)", self.wbemcli("gi", job)).group(1)
            self.assertIn(state, ("2", "3", "4", "7"))
            return state == "7"
        lib.wait_until(is_completed, "the job's end", 60, 0.05)
        self.compare()

    def damage(self):
        """The replica, behind everybody's back."""
        self.dr.shell("cd /srv/replica && for f in $(find . -name 'data*' -type f); do "
                      "printf lost | dd of=$f bs=1 seek=1000000 conv=notrunc status=none; done")
        self.compare(is_equal=False)

    def ask_over_wsman(self):
        """The same job, with the other protocol."""
        said = self.node.must(
            "env", "WSENDPOINT=127.0.0.1:5985", "WSUSER=alice", "WSPASS=" + PASSWORD, "WSNOSSL=1",
            "WSAUTOMATED=1", "KEEPHISTORY=0", "wslget",
            "http://schemas.dmtf.org/wbem/wscim/1/cim-schema/2/Msvm_ConcreteJob",
            "__cimnamespace=" + SPACE, "InstanceID=" + self.job)
        self.assertRegex(said, r"JobState>7<")

    def ask_pam(self):
        """Whose password this host knows: as docs/cim.md says, with the service that is installed.
        """
        if "--pam" not in self.node.run("resilver", "gateway", "user", "add", "--help").out:
            return
        self.node.shell("useradd carol && echo carol:hers | chpasswd && "
                        "resilver gateway user add carol --role=viewer --pam")
        url = "http://carol:%%s@127.0.0.1:5988/%s:Msvm_ReplicationService" % SPACE
        self.assertNotEqual(self.node.run("wbemcli", "ein", url % "hers").code, 0)
        self.node.shell("install -d /etc/systemd/system/resilver-gateway.service.d")
        self.node.write("/etc/systemd/system/resilver-gateway.service.d/shadow.conf",
                        "[Service]\nSupplementaryGroups=shadow\n")
        self.node.shell("systemctl daemon-reload && systemctl restart resilver-gateway")
        self.assertIn("Msvm_ReplicationService", self.wbemcli("ein", url % "hers"))
        self.assertNotEqual(self.node.run("wbemcli", "ein", url % "his").code, 0)

    def reload(self):
        for unit, said in (("resilverd", r"event=(reloaded|ready)"),
                           ("resilver-gateway", r"event=reloaded")):
            main = self.node.property(unit, "MainPID")
            self.node.shell("systemctl reload " + unit)
            self.assertEqual(self.node.property(unit, "MainPID"), main)
            self.assertEqual(self.node.property(unit, "ActiveState"), "active")
            self.assertRegex(self.node.journal(unit), said)
        self.assertIn("web1", self.node.must("resilver", "relationship", "list"))

    def beat(self):
        def last():
            return int(self.dr.property("resilverd", "WatchdogTimestampMonotonic"))
        first = last()
        self.assertGreater(first, 0)
        lib.wait_until(lambda: last() > first, "a beat of the watchdog", 10, 0.05)

    def die_and_come_back(self):
        for host, unit in ((self.node, "resilver-gateway"), (self.node, "resilverd"),
                           (self.dr, "resilverd")):
            main = host.property(unit, "MainPID")
            host.shell("kill -KILL " + main)
            lib.wait_until(lambda h=host, u=unit, m=main: h.property(u, "ActiveState") == "active"
                           and h.property(u, "MainPID") not in ("0", m), unit + " again", 20, 0.05)
            self.assertEqual(host.property(unit, "NRestarts"), "1")

    def resynchronize_again(self):
        self.damage()
        self.node.must("resilver", "resync", "web1", "--wait", deadline_s=60)
        self.compare()

    def stop(self):
        for host, unit in ((self.node, "resilver-gateway"), (self.node, "resilverd"),
                           (self.dr, "resilverd")):
            host.shell("systemctl stop " + unit)
            self.assertEqual((host.property(unit, "Result"), host.property(unit, "ExecMainStatus")),
                             ("success", "0"))
            self.assertIn("event=stopped" if unit == "resilver-gateway" else "event=",
                          host.journal(unit))


if __name__ == "__main__":
    lib.main()
