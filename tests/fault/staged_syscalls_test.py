#!/usr/bin/python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""resilver sync into a replica, with each of its system calls failing once (sweep.py and staged.py
say what must hold). What one way to keep a replica has done is left out by the next."""

import os
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "e2e"))
# pylint: disable=wrong-import-position
import lib
import staged
import sweep
from lib import KIB, MIB
from staged import NEW, StagedCase


class Staged(StagedCase):
    known = set()

    def setUp(self):
        lib.Case.setUp(self)
        sweep.need()
        self.pair = staged.Pair(self.path("pair"), self.rng,
                                sizes=(2 * MIB + 4 * KIB, MIB + 777))

    def sweep(self, kind):
        replica = self.replica(kind)

        def prepare():
            replica.reset()
            return replica.command()

        sweep.Sweep(self, prepare, lambda: self.assertEqual(replica.state(), NEW),
                    is_safe=replica.state, known=self.known, name="staged, " + kind,
                    may_fail=self.may_fail).run()

    @staticmethod
    def may_fail(site):
        """Linux never interrupts what works on names."""
        return sweep.is_never_interrupted(site) or site.function in (
            "fchmod", "fchown", "flock", "link", "linkat", "lstat64", "mkdir", "mkdirat", "opendir", "readdir64",
            "rename", "renameat", "rmdir", "unlink", "unlinkat")

    def test_1_log(self):
        self.sweep("log")

    def test_2_beside(self):
        self.sweep("beside")

    def test_3_clone(self):
        self.sweep("clone")


if __name__ == "__main__":
    lib.main()
