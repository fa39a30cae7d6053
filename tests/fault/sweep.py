# SPDX-License-Identifier: LGPL-2.1-or-later
"""Every system call of a command fails once, and so does every allocation of memory.

A Sweep runs a command once to see which calls it makes and where, and then once for each such
place (and each errno, and not only the first time) with that one call failing. After each run:

  - the fault fired, and the program neither crashed, nor made a sanitizer speak, nor waited for
    something that could not come any more;
  - exit 0 means done: the caller's is_done() looks;
  - anything else is exit 1 and one line on standard error, and the caller's is_safe() looks;
  - an interrupted call (EINTR) is no reason to fail, but where the caller says so;
  - the command, run once more without a fault, succeeds, and is_done() looks.

    sweep.Sweep(case, prepare, is_done).run()

prepare() makes everything anew and returns the command's arguments; again(), prepare()'s by default,
those of the second run.
"""

import errno
import os
import subprocess
import unittest

import lib

ERRNOS = (errno.EIO, errno.ENOSPC, errno.EINTR)
SLOW_S = 8  # Below the shortest time that one side gives the other to say something.
SANITIZER_WORDS = ("Sanitizer", "runtime error:")


# What Linux never interrupts, so that EINTR from it is a fault like any other. And what must not be
# tried again: after an fsync that failed nobody knows what is on the disk.
NEVER_INTERRUPTED = ("eventfd", "fcntl64", "fstat64", "fstatat64", "fsync", "ioctl", "lseek64",
                     "mmap64", "pipe2", "socketpair", "stat64")


# These can only be out of memory.
ALLOCATIONS = ("aligned_alloc", "calloc", "malloc", "realloc", "strdup")


def is_never_interrupted(site):
    return site.function in NEVER_INTERRUPTED


def library():
    """fail_syscalls.so: $RESILVER_FAIL_SYSCALLS, or that in the build folder of the program."""
    path = os.environ.get("RESILVER_FAIL_SYSCALLS", "") or os.path.join(
        os.path.dirname(lib.program()), "tests", "fault", "fail_syscalls.so")
    if not os.path.exists(path):
        raise unittest.SkipTest("needs RESILVER_FAIL_SYSCALLS, the library fail_syscalls.so")
    return os.path.abspath(path)


def need():
    """Skip where a preloaded library does not see the program's calls."""
    library()
    lib.need_tool("readelf")
    with open(lib.program(), "rb") as file:
        has_runtime = b"__asan_init" in file.read()
    # clang links the runtime into the program, and its wrappers come before any library's; gcc's
    # is a library.
    if has_runtime and "[libasan.so" not in lib.must(["readelf", "--dynamic", lib.program()]):
        raise unittest.SkipTest("needs a program without clang's address sanitizer")


def environment(**settings):
    env = {"LD_PRELOAD": library(), "ASAN_OPTIONS": "verify_asan_link_order=0",
           "FAIL_SYSCALLS_PROGRAM": os.path.realpath(lib.program())}
    env.update({"FAIL_SYSCALLS" + ("_" + name.upper() if name != "fail" else ""): value
                for name, value in settings.items() if value is not None})
    return env


class Site:
    """A place of the program where it makes a call, and how often the recorded run came by."""

    def __init__(self, function, address, count):
        self.function, self.address, self.count = function, address, count
        self.place = "?"

    def __str__(self):
        return "%s at %s (%s)" % (self.function, self.place, self.address)


def find_places(sites):
    """Name source line and function of each site, where the program has its debug information."""
    if lib.find_tool("addr2line") is None or not sites:
        return
    # A return address is that of the next instruction.
    addresses = ["0x%x" % (int(site.address, 16) - 1) for site in sites]
    said = subprocess.run(["addr2line", "-f", "-s", "-e", lib.program(), *addresses],
                          capture_output=True, text=True, check=True).stdout.splitlines()
    for at, site in enumerate(sites):
        site.place = "%s %s()" % (said[2 * at + 1].split(" ")[0], said[2 * at])


class Sweep:
    """case: a lib.Case. every: names of calls that fail at each occurrence (at most every_max of a
    place), not only at the first and at one other. may_fail(site): whether EINTR there may fail the
    command. env: for the command. known: a set of the sites that other sweeps did, which are left
    out and added to. ends: how many processes of ours share the command's standard error, each with
    a line of its own. name: for the line at the end."""

    def __init__(self, case, prepare, is_done, again=None, is_safe=None, errnos=ERRNOS, every=(),
                 every_max=20, may_fail=None, env=None, known=None, ends=1, name="sweep"):
        self.case, self.prepare, self.is_done, self.again = case, prepare, is_done, again
        self.is_safe, self.errnos, self.every, self.every_max = is_safe, errnos, every, every_max
        self.may_fail, self.env = may_fail or is_never_interrupted, env or {}
        self.known, self.name = known if known is not None else set(), name
        self.record, self.report = case.path("calls"), case.path("fired")
        self.sites = []
        self.ends = ends
        self.runs = self.failed = self.missed = 0

    def start(self, arguments, **settings):
        result = self.case.resilver(*arguments, env={**self.env, **environment(**settings)})
        said = result.words
        self.case.assertFalse([word for word in SANITIZER_WORDS if word in said],
                              "a sanitizer speaks: %s" % result)
        self.case.assertIn(result.code, (lib.IN_SYNC, lib.FAILED), "a crash: %s" % result)
        self.case.assertLess(result.seconds, SLOW_S, "it waited for nothing: %s" % result)
        return result

    def find_sites(self):
        """Run the command without a fault and see which calls it makes."""
        result = self.start(self.prepare(), record=self.record)
        self.case.assert_exit(result, lib.IN_SYNC)
        self.is_done()
        with open(self.record) as file:
            lines = [tuple(line.split()) for line in file]
        os.unlink(self.record)
        counts = {}
        for key in lines:
            counts[key] = counts.get(key, 0) + 1
        self.sites = [Site(function, address, count)
                      for (function, address), count in sorted(counts.items())
                      if (function, address) not in self.known]
        self.known.update(counts)
        find_places(self.sites)
        return self.sites

    def has_fired(self):
        """Whether the fault happened; forgets it."""
        has = os.path.exists(self.report)
        for path in (self.report, self.report + ".claim"):
            if os.path.exists(path):
                os.unlink(path)
        return has

    def check_failure(self, site, number, result):
        self.failed += 1
        if number == errno.EINTR and not self.may_fail(site):
            self.case.fail("an interrupted call is a failure: %s" % result)
        lines = result.err.strip().splitlines()
        self.case.assertIn(len(lines), range(1, self.ends + 1), "not one line of error: %s" % result)
        for line in lines:
            self.case.assertTrue(line.startswith("resilver: "), result)
        if self.is_safe is not None:
            self.is_safe()

    def fail_once(self, site, time, number):
        """One run with one fault, and one without. Returns whether it fired."""
        arguments = self.prepare()
        result = self.start(arguments, report=self.report,
                            fail="%s:%s:%d:%d" % (site.function, site.address, time, number))
        if not self.has_fired():
            self.case.assertGreater(time, 1, "the fault did not fire: %s" % result)
            self.missed += 1  # How often a call is made may depend on the moment.
            return False
        self.runs += 1
        if result.code == lib.IN_SYNC:
            self.is_done()
        else:
            self.check_failure(site, number, result)
        second = self.start(self.again() if self.again is not None else arguments)
        self.case.assert_exit(second, lib.IN_SYNC)
        self.is_done()
        return True

    def errnos_of(self, site):
        return (errno.ENOMEM,) if site.function in ALLOCATIONS else self.errnos

    def times(self, site):
        """At which occurrences it fails."""
        if site.function in self.every:
            return range(1, min(site.count, self.every_max) + 1)
        return [1] if site.count < 2 else [1, self.case.rng.randint(2, site.count)]

    def run(self):
        """The whole sweep; prints how much it was, and fails if anything was wrong."""
        need()
        for site in self.find_sites():
            errnos = self.errnos_of(site)
            for time in self.times(site):
                # The first time with each errno, later ones with the first.
                for number in errnos if time == 1 else errnos[:1]:
                    with self.case.subTest(site=str(site), time=time, errno=errno.errorcode[number]):
                        self.fail_once(site, time, number)
                    self.has_fired()
        allocations = sum(site.function in ALLOCATIONS for site in self.sites)
        calls = len(self.sites) - allocations
        print("%s: %d sites x %d errors, %d allocations, and %d later calls: %d runs failed as they "
              "should, %d finished all the same; all fired%s" % (
                  self.name, calls, len(self.errnos), allocations,
                  self.runs - calls * len(self.errnos) - allocations, self.failed,
                  self.runs - self.failed,
                  "" if not self.missed else " but %d later ones, which did not come again" %
                  self.missed), flush=True)

    def run_short(self, seeds):
        """Reads and writes move fewer bytes than asked, which is no failure."""
        need()
        for seed in seeds:
            with self.case.subTest(short=seed):
                result = self.start(self.prepare(), report=self.report, short=str(seed))
                self.case.assertTrue(self.has_fired(), "nothing was short: %s" % result)
                self.case.assert_exit(result, lib.IN_SYNC)
                self.is_done()
        print("%s: %d runs of short reads and writes" % (self.name, len(seeds)), flush=True)
