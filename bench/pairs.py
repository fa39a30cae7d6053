# SPDX-License-Identifier: LGPL-2.1-or-later
"""The disk pairs that are measured, and what state they are in."""
import json
import os
import subprocess

MIB = 1 << 20
GIB = 1 << 30
SEED = 20261122


class BenchError(Exception):
    """Something that ends the whole benchmark, in a sentence for its user."""


class Pair:
    """A source and a target on the disk that is measured.

    The dense cases share their source (pairgen), so one pair of files serves them all: a target
    that a tool has made equal is brought to any case's old state by writing what differs there.
    """

    def __init__(self, programs, folder, size_bytes, data_bytes=0, name="pair"):
        self.programs = programs
        self.size_bytes = size_bytes
        self.data_bytes = data_bytes
        self.source = os.path.join(folder, name + "-source.raw")
        self.target = os.path.join(folder, name + "-target.raw")
        self.is_sparse = data_bytes > 0
        self.state = None   # None: no files; "unknown"; "same"; or the case that the target shows
        self.facts = {}     # of the case that was prepared last, as pairgen counted them

    def _pairgen(self, case, *arguments):
        command = [self.programs["pairgen"], f"--case={case}", f"--size={self.size_bytes}",
                   f"--seed={SEED}", *arguments]
        if self.is_sparse:
            command.append(f"--data={self.data_bytes}")
        done = subprocess.run(command, stdout=subprocess.PIPE, check=False)
        if done.returncode != 0:
            raise BenchError("pairgen could not make the disks; the line above says why")
        self.facts = json.loads(done.stdout)

    def prepare(self, case):
        """Bring the target to the old state of the case; the source stays."""
        if self.state == case:
            return
        if self.state is None:
            self._pairgen(case, f"--source={self.source}", f"--target={self.target}")
        elif self.state == "same" and case != "same":
            self._pairgen(case, f"--target={self.target}", "--restore")
        else:
            self._pairgen(case, f"--target={self.target}")
        self.state = case

    def is_equal(self, with_cmp):
        """Whether the target is the source, byte for byte; remembers the answer as the state."""
        command = ["cmp", "-s"] if with_cmp and not self.is_sparse else \
            [self.programs["reader"], "equal"]
        done = subprocess.run([*command, self.source, self.target], stdout=subprocess.DEVNULL,
                              check=False)
        self.state = "same" if done.returncode == 0 else "unknown"
        return done.returncode == 0

    def warm(self):
        """Have both in the page cache."""
        mode = [self.programs["reader"], "data"] if self.is_sparse else ["cat"]
        subprocess.run([*mode, self.source, self.target], stdout=subprocess.DEVNULL, check=True)

    def chill(self):
        """Have neither in the page cache."""
        subprocess.run([self.programs["reader"], "drop", self.source, self.target], check=True)
        if os.geteuid() == 0:
            os.sync()
            try:
                with open("/proc/sys/vm/drop_caches", "w", encoding="ascii") as knob:
                    knob.write("3\n")
            except OSError:
                pass   # a container without the right; the files themselves were dropped above

    def remove(self):
        for path in (self.source, self.target):
            if os.path.exists(path):
                os.unlink(path)
        self.state = None
