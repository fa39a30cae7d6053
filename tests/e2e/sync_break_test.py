#!/usr/bin/python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""resilver sync, told to stop, or with its link cut, and then started again with the same command.

  sync_break_test.py [--kills N] [unittest's arguments]

N/10 links are cut at random bytes (N is 100 unless said). interrupted.py says what must hold.
"""

import os
import signal
import time

import chaos
import lib
from interrupted import KILLS, SIZE, KillCase, Tally
from lib import IN_SYNC, LEAF


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
        self.scenario = self.fixtures.wide
        for way in ("local", "push", "pull"):
            for number in (signal.SIGINT, signal.SIGTERM):
                with self.subTest(way=way, signal=number):
                    self.interrupt(way, number)

    def test_interrupted_from_the_terminal(self):
        """Ctrl-C reaches ssh as well; the message is still about the person, not about ssh."""
        self.scenario = self.fixtures.wide
        for way in ("local", "push", "pull"):
            with self.subTest(way=way):
                self.interrupt(way, signal.SIGINT, whole_group=True)

    def test_the_remote_end_is_terminated(self):
        scenario = self.fixtures.wide
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
        proxy = self.owned(chaos.Proxy(server.port, chaos.Fault(how, cut_after)))
        result = self.resilver(*self.tls_command(scenario, way, server, proxy))
        proxy.close()
        if proxy.has_fired and result.code != IN_SYNC:
            lib.check_error(self, result, "peer")
        return result

    def test_cut_at_random_bytes(self):
        scenario = self.fixtures.wide
        tally, resumed = Tally(), 0
        for number in range(max(KILLS // 10, 8)):
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
                proxy = self.owned(chaos.Proxy(server.port))
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
        scenario = self.fixtures.wide
        scenario.reset(self.target)
        server = self.owned(lib.Server(self.certs, {"vm": self.target}))
        proxy = self.owned(chaos.Proxy(server.port, chaos.Fault("stall", SIZE * 2 // 3)))
        result = self.resilver(*self.tls_command(scenario, "push", server, proxy))
        lib.check_error(self, result, "peer", "silent|nothing|answer|heard")
        self.assertTrue(proxy.has_fired, "the link did not fall silent")
        self.assertLess(result.seconds, 45)
        self.wait_until_target_is_free()
        left = self.check_interrupted(scenario)
        self.assertTrue(left)
        clean = self.owned(chaos.Proxy(server.port))
        self.run_again(scenario, self.tls_command(scenario, "push", server, clean), left,
                       must_resume=True)


if __name__ == "__main__":
    lib.main()
