#!/usr/bin/python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""The management interface's process: how it starts and stops, what signals do, who it becomes, and
that its users are those of the command line. What it serves is tested elsewhere."""
import base64
import json
import os
import re
import signal
import socket
import subprocess
import sys
import time

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
import lib  # noqa: E402

DONE, FAILED, USAGE = 0, 1, 2
STOP_S = 10  # with whatever clients attached
IDENTIFY = ('<s:Envelope xmlns:s="http://www.w3.org/2003/05/soap-envelope" xmlns:i="http://schemas.'
            'dmtf.org/wbem/wsman/identity/1/wsmanidentity.xsd"><s:Header/><s:Body><i:Identify/>'
            '</s:Body></s:Envelope>')


def gateway_program():
    return os.path.join(os.path.dirname(lib.program()), "resilver-gateway")


def request(path, body, user=None):
    """A POST as bytes."""
    head = ["POST %s HTTP/1.1" % path, "Host: localhost", "Content-Type: application/soap+xml",
            "Content-Length: %d" % len(body), "Connection: close"]
    if user is not None:
        head.append("Authorization: Basic " + base64.b64encode(user.encode()).decode())
    return ("\r\n".join(head) + "\r\n\r\n" + body).encode()


class Process(lib.Case):
    def setUp(self):
        super().setUp()
        self.port = lib.free_port()
        self.config_path = self.write_config()
        self.audit_path = self.path("log", "audit")
        os.mkdir(self.path("log"), mode=0o777)
        os.chmod(self.path("log"), 0o777)

    def write_config(self, more=""):
        path = self.path("r.conf")
        with open(path, "w", encoding="utf-8") as file:
            file.write("[host]\nname = node1\n[control]\nsocket = %s\n[gateway]\n"
                       "wsman = 127.0.0.1:%d\ncimxml =\nusers = %s\naudit-log = %s\n%s"
                       % (self.path("control.sock"), self.port, self.path("users"),
                          self.path("log", "audit"), more))
        os.chmod(path, 0o644)
        return path

    def add_user(self, name, password, *words):
        lib.must(["sh", "-c", 'printf "%s\\n" "$0" | "$@"', password, lib.program(), "gateway",
                  "user", "add", "--config=" + self.config_path, "--password-stdin", *words, name])

    def start_gateway(self):
        process = lib.Process([gateway_program(), "--config=" + self.config_path], is_server=True)
        self.addCleanup(process.end)
        lib.wait_until(lambda: b"event=ready" in process.output()[1] or not process.is_alive(),
                       "the gateway's start")
        return process

    def stop(self, process):
        began = time.monotonic()
        process.signal(signal.SIGTERM)
        result = process.wait(STOP_S)
        self.assertLess(time.monotonic() - began, STOP_S)
        self.assertEqual(result.code, DONE, result)
        self.assertIn("event=stopped", result.err)
        return result

    def connect(self):
        connection = socket.create_connection(("127.0.0.1", self.port))
        self.addCleanup(connection.close)
        return connection

    def ask(self, *words, **more):
        connection = self.connect()
        connection.sendall(request(*words, **more))
        with connection.makefile("rb") as file:
            answer = file.read().decode()
        return int(re.match(r"HTTP/1\.1 (\d+)", answer).group(1)), answer

    def audit(self, path=None):
        with open(path or self.audit_path, encoding="utf-8") as file:
            return [json.loads(line) for line in file]

    def test_it_serves_and_stops_without_the_service(self):
        process = self.start_gateway()
        self.assertEqual(self.ask("/wsman-anon/identify", IDENTIFY)[0], 200)
        self.assertEqual(self.ask("/wsman", "<x/>")[0], 401)
        self.assertEqual(self.ask("/", "<x/>")[0], 404)
        self.stop(process)

    def test_users_come_and_go_while_it_runs(self):
        process = self.start_gateway()
        self.assertEqual(self.ask("/wsman", "<x/>", user="alice:secret")[0], 401)
        self.add_user("alice", "secret", "--role=viewer")
        self.assertNotEqual(self.ask("/wsman", "<x/>", user="alice:secret")[0], 401)
        self.add_user("alice", "other", "--role=viewer", "--replace")
        self.assertEqual(self.ask("/wsman", "<x/>", user="alice:secret")[0], 401)
        self.assertNotEqual(self.ask("/wsman", "<x/>", user="alice:other")[0], 401)
        self.assert_exit(self.resilver("gateway", "user", "remove", "--config=" + self.config_path,
                                       "alice"), DONE)
        self.assertEqual(self.ask("/wsman", "<x/>", user="alice:other")[0], 401)
        result = self.stop(process)
        refused = [line for line in self.audit() if line["operation"] == "login"]
        self.assertEqual([line["user"] for line in refused], ["alice"] * 3)
        self.assertNotIn("secret", result.err + json.dumps(refused))

    def test_a_reload_begins_another_audit_log(self):
        process = self.start_gateway()
        self.ask("/wsman", "<x/>", user="mallory:guess")
        os.rename(self.audit_path, self.audit_path + ".1")
        process.signal(signal.SIGHUP)
        lib.wait_until(lambda: b"event=reloaded" in process.output()[1], "the reload")
        self.ask("/wsman", "<x/>", user="eve:guess")
        self.stop(process)
        self.assertEqual([line["user"] for line in self.audit(self.audit_path + ".1")], ["mallory"])
        self.assertEqual([line["user"] for line in self.audit()], ["eve"])

    def test_it_stops_with_hostile_clients_attached(self):
        self.add_user("alice", "secret", "--role=viewer")
        process = self.start_gateway()
        whole = request("/wsman", "<x/>", user="alice:secret").replace(b"close", b"keep-alive")
        for i in range(60):
            connection = self.connect()
            if i % 3 == 1:
                connection.sendall(whole[:40])
            elif i % 3 == 2:
                connection.sendall(whole * 50)  # and reads none of the answers
        self.stop(process)

    def test_what_is_wrong_is_said_and_nothing_is_served(self):
        for more, words in (("wsman = 0.0.0.0:%d\n" % self.port, "clear text"),
                            ("wsman-tls = 127.0.0.1:1\n", "needs certificate"),
                            ("wsman =\n", "no address to listen at"),
                            ("certificate = /nowhere\nkey = /nowhere\nwsman-tls = :1\n",
                             "cannot read the certificate"),
                            ("audit-log = /nowhere/audit\n", "cannot open the audit log")):
            with self.subTest(more=more):
                self.write_config(more)
                result = lib.run([gateway_program(), "--config=" + self.config_path])
                self.assertIn(result.code, (FAILED, USAGE), result)
                self.assertIn(words, result.err)
                self.assertFalse(lib.can_connect(self.port))

    def test_the_command_line(self):
        result = lib.run([gateway_program(), "--version"])
        self.assertRegex(result.out, r"^resilver-gateway \d")
        self.assertIn("--config=FILE", lib.run([gateway_program(), "--help"]).out)
        self.assertEqual(lib.run([gateway_program(), "more"]).code, USAGE)
        self.assertEqual(lib.run([gateway_program(), "--wrong"]).code, USAGE)

    def test_root_becomes_its_user_for_good(self):
        lib.need_root()
        self.write_config("user = nobody\n")
        self.add_user("alice", "secret", "--role=viewer")
        subprocess.run(["chown", "nobody", self.path("users")], check=True)
        process = self.start_gateway()
        self.assertTrue(process.is_alive(), process.output())
        nobody = int(lib.must(["id", "-u", "nobody"]))
        for task in os.listdir("/proc/%d/task" % process.pid):
            with open("/proc/%d/task/%s/status" % (process.pid, task), encoding="utf-8") as file:
                status = dict(line.split(":", 1) for line in file)
            self.assertEqual(status["Uid"].split(), [str(nobody)] * 4)
            self.assertEqual(status["NoNewPrivs"].strip(), "1")
            for kind in ("CapPrm", "CapEff", "CapInh", "CapAmb"):
                self.assertEqual(int(status[kind], 16), 0, kind)
        self.assertNotEqual(self.ask("/wsman", "<x/>", user="alice:secret")[0], 401)
        self.assertEqual(os.stat(self.audit_path).st_uid, nobody)
        self.assertIn('event="privileges given up" user=nobody', self.stop(process).err)

        self.write_config("user = root\n")
        result = lib.run([gateway_program(), "--config=" + self.config_path])
        self.assertEqual(result.code, USAGE, result)
        self.assertIn("is root", result.err)


if __name__ == "__main__":
    lib.main()
