# SPDX-License-Identifier: LGPL-2.1-or-later
"""The program, ended as by a crash at each of its named places (src/base/failpoint.h).

    points = failpoints.Points(case, prefix="log.")
    for name in points.names:
        with case.subTest(point=name):
            prepare()
            points.kill_at(name, ["sync", ...])      # asserts that it fired
            check(); run again; check()
    points.check_all_fired()
"""

import os
import subprocess
import unittest

import lib

LISTER = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "..", "tools",
                      "list_failpoints")


def need():
    """Skip where the program was built without -Dfailpoints=true."""
    with open(lib.program(), "rb") as file:
        if b"RESILVER_FAILPOINT_LOG" not in file.read():
            raise unittest.SkipTest("needs a program with failpoints (-Dfailpoints=true)")


def names(prefix=""):
    """All names in the source that begin so."""
    said = subprocess.run([LISTER], capture_output=True, text=True, check=True).stdout
    return [name for name in said.split() if name.startswith(prefix)]


class Points:
    """case: a lib.Case. prefix: what the names that are meant begin with."""

    def __init__(self, case, prefix=""):
        need()
        self.case, self.names = case, names(prefix)
        case.assertTrue(self.names, "there is no such place")
        self.fired = set()
        self._log = case.path("failpoint.log")

    def environment(self, name, time=1):
        """For a process that the caller starts; then has_fired()."""
        if os.path.exists(self._log):
            os.unlink(self._log)
        return {"RESILVER_FAILPOINT": "%s:%d" % (name, time), "RESILVER_FAILPOINT_LOG": self._log}

    def has_fired(self, name):
        if not os.path.exists(self._log):
            return False
        with open(self._log) as file:
            lines = file.read().split()
        self.case.assertEqual(set(lines), {name}, "another place fired")
        self.fired.add(name)
        return True

    def kill_at(self, name, arguments, time=1, is_remote=False, may_miss=False):
        """Run the program and have it end there; returns its Result, or None if it never came by
        (an error unless may_miss). is_remote: the place is in a process that this one starts."""
        result = self.case.resilver(*arguments, env=self.environment(name, time))
        if not self.has_fired(name):
            self.case.assertTrue(may_miss, "%s did not fire: %s" % (name, result))
            return None
        if not is_remote:
            self.case.assertEqual(result.code, -9, result)
        return result

    def check_all_fired(self):
        never = [name for name in self.names if name not in self.fired]
        self.case.assertEqual(never, [], "places that no run came by")
