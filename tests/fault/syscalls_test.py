#!/usr/bin/python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""resilver sync, with each of its system calls failing once (sweep.py says what must hold)."""

import os
import shutil
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "e2e"))
# pylint: disable=wrong-import-position
import lib
import sweep
from lib import KIB, LEAF, MIB


class InPlace(lib.Case):
    """Sites that one of these tests has done are left out by the next."""

    known = set()
    SIZE = 4 * MIB + 4 * KIB

    def setUp(self):
        super().setUp()
        sweep.need()
        self.source = lib.make_disk(self.path("a.raw"), self.SIZE, self.rng, lib.ALL_KINDS)
        self.original = lib.copy_disk(self.source, self.path("original"))
        lib.change_leaves(self.original, self.rng.sample(range(self.SIZE // LEAF), 10), self.rng)
        self.folder = self.path("target")
        self.target = self.path("target", "b.raw")

    def prepare(self):
        shutil.rmtree(self.folder, ignore_errors=True)
        os.mkdir(self.folder)
        shutil.copyfile(self.original, self.target)
        return ["sync", self.source, self.target]

    def prepare_nothing(self):
        shutil.rmtree(self.folder, ignore_errors=True)
        os.mkdir(self.folder)
        return ["sync", "--create", self.source, self.target]

    def is_done(self):
        self.assert_same(self.source, self.target)

    def sweep(self, prepare, name, **options):
        sweep.Sweep(self, prepare, self.is_done, known=self.known, name=name, **options).run()

    def test_1_every_call_fails_once(self):
        self.sweep(self.prepare, "sync")

    def test_2_while_the_target_is_made(self):
        self.sweep(self.prepare_nothing, "sync --create")

    def test_3_at_both_ends_of_a_pipe(self):
        ssh = lib.StandInSsh(self.path("ssh"))

        def prepare():
            _, source, target = self.prepare()
            return ["sync", "--ssh=" + ssh.command, source, "far:" + target]

        self.sweep(prepare, "sync over ssh", ends=2)

    def test_short_reads_and_writes(self):
        sweep.Sweep(self, self.prepare, self.is_done, name="sync").run_short(range(1, 11))


if __name__ == "__main__":
    lib.main()
