#!/usr/bin/python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""What the gateway does when something runs out: descriptors, the disk of the audit log, the service
itself. It neither ends nor hangs, and tells nobody of a job that is not there."""
import http.client
import json
import os
import random
import socket
import sys
import threading
import time

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
import calls  # noqa: E402
import gateway  # noqa: E402
import hosts  # noqa: E402
import lib  # noqa: E402
from calls import JOB, SERVICE, Caller, job_of, vm  # noqa: E402

CONNECTIONS = 1000


def cpu_seconds(pid):
    with open("/proc/%d/stat" % pid) as file:
        fields = file.read().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def descriptors(pid):
    return len(os.listdir("/proc/%d/fd" % pid))


class ExhaustionCase(calls.CallsCase):
    def start_again(self, *before):
        """With another program before it, as prlimit."""
        self.gateway.stop()
        return self.gateway.start(before)

    @property
    def pid(self):
        return self.gateway.process.pid

    def serves(self):
        for caller in self.callers():
            found = caller.get(SERVICE, gateway.service_keys("HOST1"))
            self.assertEqual(found["Name"], "replicasvc")
            caller.close()


class Descriptors(ExhaustionCase):
    def test_more_connections_than_descriptors(self):
        lib.need_tool("prlimit")
        self.start_again("prlimit", "--nofile=128")
        connections = []
        for number in range(400):
            port = (self.gateway.wsman_port, self.gateway.cimxml_port)[number % 2]
            connections.append(socket.create_connection(("127.0.0.1", port), 10))
        lib.wait_until(lambda: descriptors(self.pid) >= 40, "the connections")
        before = cpu_seconds(self.pid)
        time.sleep(1)
        self.assertLess(cpu_seconds(self.pid) - before, 0.3, "it waits busily")
        self.assertLess(descriptors(self.pid), 128)
        for connection in connections:
            connection.close()
        self.serves()
        lib.wait_until(lambda: descriptors(self.pid) < 40, "the end of the connections")

    def test_too_few_to_begin_with(self):
        lib.need_tool("prlimit")
        self.gateway.stop()
        result = lib.run(["prlimit", "--nofile=64", gateway.program(), "--config",
                          self.gateway.config])
        self.assertEqual(result.code, 1, result)
        self.assertIn("64 descriptors are too few for 2 listeners", result.err)
        self.gateway.start()


class Connections(ExhaustionCase):
    def test_a_thousand_that_say_anything(self):
        """Whole requests, halves, and rubbish; ended in order, half closed, or reset."""
        before = descriptors(self.pid)
        threads = [threading.Thread(target=self.bother, args=(number,)) for number in range(16)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(60)
            self.assertFalse(thread.is_alive(), "a client hangs")
        self.serves()
        lib.wait_until(lambda: descriptors(self.pid) <= before + 16, "the end of the connections")

    def bother(self, number):
        rng = random.Random("%d %d" % (lib.SEED, number))
        for _ in range(CONNECTIONS // 16):
            port, path = rng.choice(((self.gateway.wsman_port, "/wsman"),
                                     (self.gateway.cimxml_port, "/cimom")))
            try:
                with socket.create_connection(("127.0.0.1", port), 0.2) as connection:
                    self.say(rng, connection, path)
            except OSError:
                pass  # it was cut, or said nothing: both are right

    @staticmethod
    def say(rng, connection, path):
        head = ("POST %s HTTP/1.1\r\nHost: x\r\nAuthorization: %s\r\nContent-Type: "
                "application/soap+xml\r\nContent-Length: 500\r\n\r\n"
                % (path, gateway.basic())).encode()
        whole = head + b"x" * 500
        connection.sendall(rng.choice((
            b"", head[:rng.randrange(len(head))], whole[:rng.randrange(len(head), len(whole))],
            whole, whole * 5, rng.randbytes(rng.randrange(2000)))))
        if rng.random() < 0.3:
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
        if rng.random() < 0.1:
            connection.shutdown(socket.SHUT_WR)
        if rng.random() < 0.3:
            connection.recv(100)


class Audit(ExhaustionCase):
    IS_REPLICATED = False

    def setUp(self):
        lib.need_root()
        super().setUp()

    def test_a_full_disk(self):
        """Work goes on, the log says that nothing is written down, and every line that is in the
        file is whole, but for the one that the disk had no room for."""
        folder = self.path("small")
        os.mkdir(folder)
        self.owned(lib.Mount("tmpfs", folder, "tmpfs", "size=64k"))
        self.owned(self.gateway)  # it ends before the file system goes
        self.gateway.stop()
        with open(self.gateway.config) as file:
            text = file.read()
        audit = os.path.join(folder, "audit.log")
        with open(self.gateway.config, "w") as file:
            file.write(text.replace(self.gateway.audit, audit))
        self.gateway.audit = audit
        self.gateway.start()
        self.fill_the_rest(folder)
        log = self.call_until_full()
        self.assertIn("a line is missing in the audit log", log)
        self.gateway.stop()
        os.unlink(os.path.join(folder, "fill"))
        self.gateway.start()
        self.call(self.callers()[0])
        torn = 0
        lines = self.gateway.audit_text().splitlines()
        for line in lines:
            try:
                json.loads(line)
            except ValueError:
                torn += 1
        self.assertLessEqual(torn, 1)
        json.loads(lines[-1])

    def fill_the_rest(self, folder):
        with open(os.path.join(folder, "fill"), "wb", buffering=0) as file:
            file.write(bytes(56 * 1024))

    def call(self, caller):
        return caller.service("HOST1", "GetReplicationStatistics", ComputerSystem=vm(self.vm_id))

    def call_until_full(self):
        for _ in range(60):
            for caller in self.callers():
                self.call(caller)
                caller.close()
            log = self.gateway.log()
            if "a line is missing in the audit log" in log:
                break
        return log


class Service(ExhaustionCase):
    def test_killed_amid_calls(self):
        """A job that somebody was told of is there when the service is there again."""
        self.told, self.unexpected, self.refusals = [], [], 0
        self.must_end = threading.Event()
        threads = [threading.Thread(target=self.ask_on, args=(number,)) for number in range(6)]
        for thread in threads:
            thread.start()
        for _ in range(8):
            time.sleep(self.rng.uniform(0.2, 0.8))
            self.a.kill()
            time.sleep(self.rng.uniform(0, 0.3))
            self.a.start()
        self.must_end.set()
        for thread in threads:
            thread.join(60)
            self.assertFalse(thread.is_alive(), "a client hangs")
        self.assertEqual(self.unexpected, [])
        self.assertGreater(self.refusals, 0)
        known = {each["id"] for each in self.a.jobs(True)}
        self.assertEqual(set(self.told) - known, set())
        self.serves()

    def ask_on(self, number):
        rng = random.Random("%d %d" % (lib.SEED, number))
        caller = Caller(self.gateway, calls.PROTOCOLS[number % 2])
        while not self.must_end.is_set():
            try:
                if rng.random() < 0.5:
                    value, out = caller.resynchronize("HOST1", self.vm_id)
                    if value == hosts.STARTED:
                        self.told.append(job_of(out))
                else:
                    caller.enumerate(JOB)
            except calls.Refused as error:
                self.refusals += 1
                if "resilverd" not in error.text:
                    self.unexpected.append(str(error))
            except (OSError, http.client.HTTPException, gateway.HttpError) as error:
                self.unexpected.append(repr(error))
                break
        caller.close()


if __name__ == "__main__":
    lib.main()
