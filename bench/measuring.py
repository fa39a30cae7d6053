# SPDX-License-Identifier: LGPL-2.1-or-later
"""Running one tool once, and many tools many times, side by side."""
import json
import os
import re
import signal
import statistics
import subprocess
import sys
import time
from dataclasses import dataclass, field

from pairs import BenchError

RUN_TIMEOUT_S = 900
SLOW_RUN_S = 3.0      # what takes longer is run three times at most,
SLOWEST_RUN_S = 8.0   # and this twice
CALM_CORES = 0.25     # runs with more use by others are left out if three calmer ones exist
CALM_RUNS_MIN = 3
TURNS_MIN = 3         # of a case, however late it is


@dataclass
class Run:
    """One run of one tool, as bench/measure reports it."""
    wall: float
    cpu: float
    peak_rss_bytes: int
    foreign_cores: float
    wire_bytes: int = None
    remote_cpu: float = None    # of the far end, when it ran through the stand-in for ssh
    document: dict = None       # what resilver printed
    is_equal: bool = None
    is_replaced: bool = None    # the target is another file than before: a clone took its place


@dataclass
class Figures:
    """All runs of one row of a table."""
    row: "Row"
    runs: list = field(default_factory=list)

    def calm(self):
        calm = [run for run in self.runs if run.foreign_cores <= CALM_CORES]
        return calm if len(calm) >= CALM_RUNS_MIN else self.runs

    def median(self, name):
        values = [getattr(run, name) for run in self.calm() if getattr(run, name) is not None]
        return statistics.median(values) if values else None

    def least_wall(self):
        return min(run.wall for run in self.calm())

    def peak_rss_bytes(self):
        return max(run.peak_rss_bytes for run in self.runs)

    def foreign(self):
        return max(run.foreign_cores for run in self.calm())

    def result(self):
        if self.row.is_floor:
            return "ran"
        return "equal" if all(run.is_equal for run in self.runs) else "DIFFERENT"


@dataclass(frozen=True)
class Row:
    """One tool in one form."""
    name: str
    commands: object            # function(bench, pair): a list of commands that run side by side
    kind: str = "peer"          # floor, resilver or peer
    form: str = "pipe"          # pipe: two processes and the stand-in between; local; read

    @property
    def is_floor(self):
        return self.kind == "floor"


def read_json(path):
    with open(path, encoding="utf-8") as file:
        return json.load(file)


def rsync_wire_bytes(text):
    """Source: rsync(1), --stats."""
    found = re.findall(r"^Total bytes (?:sent|received): ([\d,.]+)$", text, re.MULTILINE)
    return sum(int(re.sub(r"[,.]", "", number)) for number in found) if len(found) == 2 else None


class Runner:
    """Runs commands under bench/measure; keeps nothing alive when it is interrupted."""

    def __init__(self, programs, folder, resilver):
        self.programs = programs
        self.folder = folder
        self.ssh = os.path.join(folder, "ssh")
        os.symlink(programs["measure"], self.ssh)
        self.environment = {
            **os.environ,
            "LC_ALL": "C",
            # The far end is found by its name, as it would be on another host.
            "PATH": os.path.dirname(resilver) + ":" + os.environ.get("PATH", "/usr/bin:/bin"),
        }

    def _path(self, name):
        return os.path.join(self.folder, name)

    def _forget(self, *names):
        for name in names:
            if os.path.exists(self._path(name)):
                os.unlink(self._path(name))

    def _run_to_end(self, command, environment, is_read):
        """Runs in a session of its own, so that all of it can be ended when we are."""
        # What `cat` prints is the whole disk.
        out_path = os.devnull if is_read else self._path("stdout")
        with open(out_path, "wb") as out, open(self._path("stderr"), "wb") as errors:
            process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=out,
                                       stderr=errors, env=environment, start_new_session=True)
            try:
                process.wait(timeout=RUN_TIMEOUT_S)
            except BaseException:
                os.killpg(process.pid, signal.SIGKILL)
                process.wait()
                raise
        return process.returncode

    def _text(self, name):
        if not os.path.exists(self._path(name)):
            return ""
        with open(self._path(name), encoding="utf-8", errors="replace") as file:
            return file.read()

    def run(self, row, commands, is_counted=False):
        """One run. is_counted: the bytes on the wire are counted on their way; takes time."""
        self._forget("report", "remote-report", "remote-count", "stdout")
        environment = {**self.environment, "BENCH_REMOTE_REPORT": self._path("remote-report")}
        if is_counted:
            environment["BENCH_REMOTE_COUNT"] = self._path("remote-count")
        words = []
        for command in commands:
            words += [":::", *command] if words else command
        self._run_to_end([self.programs["measure"], self._path("report"), *words], environment,
                         row.form == "read")
        report = read_json(self._path("report")) if os.path.exists(self._path("report")) else None
        if report is None or any(report["exits"]):
            raise BenchError(f"{row.name} failed: {' '.join(words)}\n" +
                             self._text("stderr") + self._text("stdout")[:2000])
        return self._digest(row, report)

    def _digest(self, row, report):
        run = Run(wall=report["wall_seconds"],
                  cpu=report["user_seconds"] + report["system_seconds"],
                  peak_rss_bytes=report["peak_rss_bytes"], foreign_cores=report["foreign_cores"])
        if os.path.exists(self._path("remote-report")):
            remote = read_json(self._path("remote-report"))
            run.remote_cpu = remote["user_seconds"] + remote["system_seconds"]
        if row.kind == "resilver":
            run.document = json.loads(self._text("stdout"))
            wire = run.document["wire"]
            if row.form != "local":
                run.wire_bytes = wire["sent_bytes"] + wire["received_bytes"]
        elif row.name.startswith("rsync"):
            run.wire_bytes = rsync_wire_bytes(self._text("stdout"))
        if os.path.exists(self._path("remote-count")):
            count = read_json(self._path("remote-count"))
            run.wire_bytes = count["to_remote_bytes"] + count["from_remote_bytes"]
        return run


def wanted_runs(runs, wall):
    """How often a tool is run that took so long the first time."""
    if wall > SLOWEST_RUN_S:
        return min(runs, 2)
    return min(runs, TURNS_MIN) if wall > SLOW_RUN_S else runs


def run_table(bench, pair, case, rows, is_cold=False):
    """Runs the rows interleaved, A B C A B C; returns {row name: Figures}."""
    table = {row.name: Figures(row) for row in rows}
    wanted = {row.name: bench.runs for row in rows}
    for turn in range(bench.runs):
        if turn >= TURNS_MIN and time.monotonic() > bench.case_deadline:
            break
        for row in rows:
            if turn >= wanted[row.name]:
                continue
            pair.prepare(case)
            (pair.chill if is_cold else pair.warm)()
            before = os.stat(pair.target).st_ino
            run = bench.runner.run(row, row.commands(bench, pair))
            run.is_replaced = os.stat(pair.target).st_ino != before
            if row.form != "read":
                run.is_equal = pair.is_equal(with_cmp=turn == 0)
                if not run.is_equal:
                    bench.say(f"  {row.name}: the target DIFFERS from the source afterwards")
            table[row.name].runs.append(run)
            if turn == 0:
                wanted[row.name] = wanted_runs(bench.runs, run.wall)
            bench.tick(row.name, run)
    return table


def say_progress(name, run):
    if sys.stderr.isatty():
        sys.stderr.write(f"\r\033[K  {name}: {run.wall:.2f} s")
        sys.stderr.flush()
