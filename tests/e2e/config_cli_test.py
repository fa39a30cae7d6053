#!/usr/bin/python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""resilver config: a good configuration, what is wrong with others and in which words, and that what
is shown means the same when it is read again."""

import json
import os

import lib
from lib import FAILED, USAGE

GOOD = """\
# a comment
[host]
name = node1
group = libvirt
[control]
administrators = @wheel, alice
[replication]
listen = [::]:8490
rate = 1.5M
monitoring-start = 23:59
[gateway]
cimxml =
cimxml-tls = [::]:5989
certificate = /etc/c.pem
key = /etc/k.pem
[vm web 1]
uuid = 6F1C2A9E-73A5-4e0f-9d5f-0c4b8f6a2d11
disk.vda = /srv/vm/web 1.qcow2
"""
DROP_IN = """\
[replication]
max-jobs = 7
[vm web 1]
disk.vdb = nbd+unix:///b?socket=/run/b
format.vda = qcow2
"""


class Config(lib.Case):
    def config(self, *words, code=0):
        return self.assert_exit(self.resilver("config", *words), code)

    def write(self, text, drop_in=None):
        path = self.path("r.conf")
        with open(path, "w", encoding="utf-8") as file:
            file.write(text)
        os.chmod(path, 0o644)
        if drop_in is not None:
            folder = path + ".d"
            os.makedirs(folder, mode=0o755, exist_ok=True)
            with open(os.path.join(folder, "10-more.conf"), "w", encoding="utf-8") as file:
                file.write(drop_in)
            os.chmod(os.path.join(folder, "10-more.conf"), 0o644)
        return path

    def test_a_good_one_is_counted(self):
        path = self.write(GOOD, DROP_IN)
        result = self.config("check", path)
        self.assertEqual(result.out, "%s: good; 1 VM, 2 disks\n" % path)
        self.assertEqual(result.err, "")
        result = self.config("check", "--json", path)
        self.assertEqual(json.loads(result.out), {
            "schema": 1, "result": "done", "checked": {"path": path, "vms": 1, "disks": 2}})

    def test_what_is_wrong_is_told_with_file_line_and_key(self):
        path = self.write("[host]\n\nnmae = x\n")
        result = self.config("check", path, code=USAGE)
        self.assertEqual(result.out, "")
        self.assertIn("%s:3: nmae: this is no key of [host]; did you mean name?" % path, result.err)
        result = self.config("check", "--json", path, code=USAGE)
        error = json.loads(result.out)["error"]
        self.assertEqual(error["kind"], "usage")
        self.assertIn(":3: nmae: ", error["message"])

        path = self.write(GOOD, DROP_IN + "disk.vda = /other\n")
        result = self.config("check", path, code=USAGE)
        self.assertIn("%s.d/10-more.conf:6: disk.vda: " % path, result.err)
        self.assertIn("%s:18" % path, result.err)

    def test_what_cannot_be_believed_is_refused(self):
        path = self.write(GOOD)
        os.chmod(path, 0o664)
        result = self.config("check", path, code=FAILED)
        self.assertIn("chmod go-w %s" % path, result.err)
        result = self.config("show", path + "-none", code=FAILED)
        self.assertIn("No such file", result.err)
        result = self.config("show", "--json", path + "-none", code=FAILED)
        self.assertEqual(json.loads(result.out)["error"]["kind"], "io")

    def test_what_is_shown_is_what_holds(self):
        path = self.write(GOOD, DROP_IN)
        config = json.loads(self.config("show", "--json", path).out)["config"]
        self.assertEqual(config, {
            "host": {"name": "node1", "state_directory": "/var/lib/resilver", "group": "libvirt"},
            "control": {"socket": "/run/resilver/control.sock",
                        "administrators": ["@wheel", "alice"], "operators": [], "viewers": []},
            "replication": {"listen": "[::]:8490", "advertise": "node1:8490", "max_jobs": 7,
                            "retry_first_s": 60, "rate_bytes_per_s": 1572864,
                            "session_rate_bytes_per_s": 0, "monitoring_interval_s": 43200,
                            "monitoring_start": "23:59"},
            "gateway": {"wsman": "127.0.0.1:5985", "wsman_tls": None, "cimxml": None,
                        "cimxml_tls": "[::]:5989", "certificate": "/etc/c.pem",
                        "key": "/etc/k.pem", "users": "/etc/resilver/gateway.users",
                        "audit_log": None, "pam_service": "resilver-gateway", "user": None,
                        "plain_beyond_loopback": False},
            "vms": [{"id": "6f1c2a9e-73a5-4e0f-9d5f-0c4b8f6a2d11", "name": "web 1",
                     "disks": [{"name": "vda", "path": "/srv/vm/web 1.qcow2", "format": "qcow2"},
                               {"name": "vdb", "path": "nbd+unix:///b?socket=/run/b",
                                "format": None}]}]})

    def test_what_is_shown_can_be_read_again(self):
        for text, drop_in in ((GOOD, DROP_IN), ("[host]\n", "")):
            with self.subTest(text=text):
                path = self.write(text, drop_in)
                shown = self.config("show", path).out
                object_of = json.loads(self.config("show", "--json", path).out)
                again = self.write(shown, "")
                self.assertEqual(self.config("show", again).out, shown)
                self.assertEqual(json.loads(self.config("show", "--json", again).out),
                                 object_of)

    def test_the_example_is_good(self):
        tree = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "..")
        with open(os.path.join(tree, "packaging", "resilver.conf"), encoding="utf-8") as file:
            text = file.read()
        self.config("check", self.write(text))
        # What stands there in comments as an example is one, too.
        lines = [line[1:] if line.startswith("#") and line[1:2] not in ("", " ", "#") else line
                 for line in text.splitlines()]
        result = self.config("check", self.write("\n".join(lines) + "\n"))
        self.assertNotIn(" 0 VMs", result.out)

    def test_the_command_line(self):
        for words, said in (([], "what to do is not said"),
                            (["chekc"], "did you mean 'config check'?"),
                            (["check", "a", "b"], "'b' is one too many"),
                            (["show", "--jsn"], "--json"),
                            (["check", ""], "empty")):
            with self.subTest(words=words):
                self.assertIn(said, self.config(*words, code=USAGE).err)
        self.assertIn("resilver.conf(5)", self.config("--help").out)
        for verb in ("check", "show"):
            self.assertEqual(self.config(verb, "-h").out,
                             self.resilver("help", "config", verb).out)


if __name__ == "__main__":
    lib.main()
