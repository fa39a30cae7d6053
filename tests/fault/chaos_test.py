#!/usr/bin/python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""Links that break or change what they carry (chaos.py), over pipes and over TLS.

  chaos_test.py [--flips N] [unittest's arguments]

N bits are flipped (60 unless said; RESILVER_FLIPS sets it too) on the way through pipes, and N/3
within TLS: each is noticed, nothing that was not named is ever written, and the same command
finishes.
"""

import os
import socket
import sys
import threading
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "e2e"))
# pylint: disable=wrong-import-position
import chaos
import lib
from chaos import TO_CLIENT, TO_SERVER, Fault
from lib import IN_SYNC, LEAF, MIB


def take_count():
    for at, word in enumerate(sys.argv):
        if word.startswith("--flips="):
            del sys.argv[at]
            return int(word.partition("=")[2])
        if word == "--flips":
            value = sys.argv[at + 1]
            del sys.argv[at:at + 2]
            return int(value)
    return int(os.environ.get("RESILVER_FLIPS") or 60)


FLIPS = take_count()


class Proxies(lib.Case):
    """The faults themselves, with a server that answers what it is told."""

    def setUp(self):
        super().setUp()
        self.listener = self.owned(socket.create_server(("127.0.0.1", 0)))
        self.answering = []

    def echo(self):
        link, _ = self.listener.accept()
        with link:
            try:
                while data := link.recv(65536):
                    link.sendall(data)
            except OSError:
                pass

    def talk(self, fault, sent, wait_s=lib.DEADLINE_S):
        """What comes back; an OSError's name when the link breaks, 'silence' when nothing comes."""
        server = threading.Thread(target=self.echo)
        server.start()
        proxy = chaos.Proxy(self.listener.getsockname()[1], fault)
        back = b""
        try:
            with socket.create_connection(("127.0.0.1", proxy.port)) as link:
                link.settimeout(wait_s)
                link.sendall(sent)
                while len(back) < len(sent):
                    data = link.recv(65536)
                    if not data:
                        return back + b"|closed"
                    back += data
        except ConnectionResetError:
            return back + b"|reset"
        except TimeoutError:
            return back + b"|silence"
        finally:
            proxy.close()
            server.join()
        return back

    def test_no_fault(self):
        fault = Fault()
        self.assertEqual(self.talk(fault, b"x" * 100000), b"x" * 100000)
        self.assertFalse(fault.has_fired)
        self.assertEqual(fault.passed, {TO_SERVER: 100000, TO_CLIENT: 100000})

    def test_cut(self):
        for how, said in (("reset", b"|reset"), ("close", b"|closed")):
            fault = Fault(how, 10, TO_SERVER)
            self.assertEqual(self.talk(fault, b"x" * 20), said)
            self.assertTrue(fault.has_fired)

    def test_stall(self):
        fault = Fault("stall", 10, TO_CLIENT)
        self.assertEqual(self.talk(fault, b"x" * 20, wait_s=0.2), b"|silence")
        self.assertTrue(fault.has_fired)
        self.assertEqual(fault.passed[TO_SERVER], 20)

    def test_flip(self):
        for direction in (TO_SERVER, TO_CLIENT):
            for at in (0, 7, 99):
                fault = Fault("flip", at, direction, bit=3)
                expected = bytearray(b"x" * 100)
                expected[at] ^= 8
                self.assertEqual(self.talk(fault, b"x" * 100), bytes(expected))
                self.assertTrue(fault.has_fired)

    def test_a_fault_that_never_comes(self):
        for fault in (Fault("flip", 100, TO_SERVER), Fault("reset", 101, TO_CLIENT)):
            self.assertEqual(self.talk(fault, b"x" * 100), b"x" * 100)
            self.assertFalse(fault.has_fired)

    def test_slow(self):
        began = time.monotonic()
        self.talk(Fault(rate_bytes_per_s=100000), b"x" * 20000)
        self.assertGreater(time.monotonic() - began, 0.3)


class Links(lib.Case):
    SIZE = 6 * MIB

    def setUp(self):
        super().setUp()
        self.source = lib.make_disk(self.path("a.raw"), self.SIZE, self.rng, lib.ALL_KINDS)
        self.original = lib.copy_disk(self.source, self.path("original"))
        self.changed = lib.scatter(self.SIZE // LEAF, 0.3, self.rng)
        lib.change_leaves(self.original, self.changed, self.rng)
        self.target = self.path("b.raw")

    def check_broken(self, result, kinds=("peer",)):
        lib.check_error(self, result, kinds)
        left = lib.different_leaves(self.source, self.target)
        self.assertLessEqual(set(left), set(self.changed), "a leaf nobody named")

    def random_flip(self, passed):
        direction = self.rng.choice((TO_SERVER, TO_CLIENT))
        return Fault("flip", self.rng.randrange(passed[direction]), direction,
                     self.rng.randrange(8))

    def report(self, what, runs, slowest, after):
        print("%s: %d flips, all noticed, %d of them after the last word; the slowest took %.1f s"
              % (what, runs, after, slowest), flush=True)

    def flip_many(self, count, measure, run, has_fired, what):
        """measure(): the bytes of a whole run; run(fault): a result. How many bytes a run has may
        depend on the moment, so not every fault comes to happen; those are not counted."""
        passed = measure()
        runs, slowest, after = 0, 0.0, 0
        for _ in range(3 * count):
            fault = self.random_flip(passed)
            lib.copy_disk(self.original, self.target)
            with self.subTest(at=fault.at, bit=fault.bit, direction=fault.direction):
                result = run(fault)
                if not has_fired(fault):
                    continue
                runs += 1
                slowest = max(slowest, result.seconds)
                if result.code == IN_SYNC:
                    # What was flipped is what nobody waits for: the goodbye.
                    after += 1
                    self.assert_same(self.source, self.target)
                else:
                    self.check_broken(result)
                self.sync_pair(self.source, self.target)
            if runs == count:
                break
        self.assertEqual(runs, count, "too few faults came to happen")
        self.report(what, runs, slowest, after)


class Pipes(Links):
    def setUp(self):
        super().setUp()
        self.ssh = chaos.ChaosSsh(self.path("ssh"))

    def run_through(self, fault, is_push=True):
        self.ssh.set_fault(fault)
        ends = (self.source, "far:" + self.target) if is_push else ("far:" + self.source, self.target)
        return self.resilver("sync", "--json", "--ssh=" + self.ssh.command, *ends)

    def measure(self, is_push):
        lib.copy_disk(self.original, self.target)
        self.assert_exit(self.run_through(Fault(), is_push), IN_SYNC)
        state = self.ssh.state()
        self.assertFalse(state["has_fired"])
        return state["passed"]

    def test_flipped_bits(self):
        for is_push in (True, False):
            self.flip_many(FLIPS // 2, lambda: self.measure(is_push),
                           lambda fault: self.run_through(fault, is_push),
                           lambda fault: self.ssh.has_fired,
                           "push over pipes" if is_push else "pull over pipes")

    def test_a_flipped_length(self):
        """The receiver waits for the rest of a frame that has none; what is said to keep the link
        alive must not fill it."""
        version = self.resilver("--version").out.split()[1]
        hello = 8 + 50 + len(version)
        lib.copy_disk(self.original, self.target)
        self.ssh.set_fault(Fault("flip", hello + 1, TO_SERVER, 3))
        result = self.resilver("sync", "--json", "--ssh=" + self.ssh.command, self.source,
                               "far:" + self.target)
        self.assertTrue(self.ssh.has_fired)
        self.assertGreater(result.seconds, 25, "the frame was refused at once: flip another bit")
        self.check_broken(result)

    def test_cut(self):
        for is_push in (True, False):
            passed = self.measure(is_push)
            for direction in (TO_SERVER, TO_CLIENT):
                for _ in range(4):
                    lib.copy_disk(self.original, self.target)
                    at = self.rng.randrange(1, passed[direction] // 2)
                    with self.subTest(is_push=is_push, direction=direction, at=at):
                        result = self.run_through(Fault("close", at, direction), is_push)
                        self.assertTrue(self.ssh.has_fired)
                        self.check_broken(result)
                        self.sync_pair(self.source, self.target)


class Tls(Links):
    def test_flipped_bits(self):
        certs = lib.Certs(self.path("certs"))
        lib.copy_disk(self.original, self.target)
        server = self.owned(lib.Server(certs, {"vm": self.target}))

        def run(fault):
            proxy = self.owned(chaos.Proxy(server.port, fault))
            result = self.resilver("sync", "--json", *certs.options("client"), self.source,
                                   server.url("vm", port=proxy.port))
            proxy.close()
            self.wait_until_free()
            return result

        def measure():
            fault = Fault()
            self.assert_exit(run(fault), IN_SYNC)
            return fault.passed

        self.flip_many(FLIPS // 3, measure, run, lambda fault: fault.has_fired, "push over TLS")
        self.assertEqual(server.stop().code, 0)

    def wait_until_free(self):
        """The server's end of the session lives on for a moment."""
        stat = os.stat(self.target)
        name = "%02x:%02x:%d" % (os.major(stat.st_dev), os.minor(stat.st_dev), stat.st_ino)

        def is_free():
            with open("/proc/locks") as file:
                return not any(name in line.split() for line in file)

        lib.wait_until(is_free, "the end of the server's session", 15)


if __name__ == "__main__":
    lib.main()
