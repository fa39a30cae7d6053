# SPDX-License-Identifier: LGPL-2.1-or-later
"""Resilver's targets (docs/performance.md) beside the figures of this run."""
from pairs import GIB, MIB

MEMORY_MAX_BYTES = 64 * MIB
CPU_MAX_S_PER_GIB = 0.35


class Targets:
    """Collects rows of (what, target, figure, verdict); a row without figures is left out."""

    def __init__(self, bench):
        self.bench = bench
        self.rows = []

    def add(self, what, target, figure, is_met):
        self.rows.append((what, target, figure, "met" if is_met else "NOT met"))

    def wall(self, table, row):
        figures = self.bench.tables.get(table, {}).get(row)
        return figures.median("wall") if figures and figures.runs else None

    def at_most(self, what, table, row, limit, beside="floor", name="the floor"):
        ours, other = self.wall(table, row), self.wall(table, beside)
        if ours and other:
            ratio = ours / other
            self.add(what, f"at most {limit:g} x {name}", f"{ratio:.2f} x", ratio <= limit)

    def faster(self, what, table, limit, beside, name=None):
        ours, other = self.wall(table, "resilver"), self.wall(table, beside)
        if ours and other:
            ratio = other / ours
            text = f"at least {limit:g} x faster than {name or beside}" if limit > 1 else \
                f"faster than {name or beside}"
            self.add(what, text, f"{ratio:.2f} x", ratio >= limit if limit > 1 else ratio > 1)

    def at_most_memory(self, what, peak_bytes):
        self.add(what, f"at most {MEMORY_MAX_BYTES // MIB} MiB", f"{peak_bytes / MIB:.1f} MiB",
                 peak_bytes <= MEMORY_MAX_BYTES)


def speed_targets(targets):
    for table, what, floor, rsync, bdsync in (("same", "identical disks, warm", 1.7, 2.5, 3),
                                              ("s1", "1 % differ, warm", 1.9, 3, None),
                                              ("s10", "10 % differ, warm", 3, 6.5, None)):
        targets.at_most(what, table, "resilver", floor)
        targets.faster(what, table, rsync, "rsync")
        if bdsync:
            targets.faster(what, table, bdsync, "bdsync")
    for table, what in (("diff", "every leaf differs, warm"), ("empty", "empty target, warm")):
        targets.faster(what, table, 5, "rsync", "rsync --no-whole-file")
        targets.faster(what, table, 1, "rsync-W", "rsync -W (which leaves its writes in memory)")
        targets.faster(what, table, 1, "rsync-W-fsync", "rsync -W --fsync (as durable as we are)")
    targets.at_most("1 % differ, warm, staged", "s1", "resilver-atomic", 1.5, "resilver",
                    "the in-place run")
    for state in ("warm", "cold"):
        targets.at_most(f"1 % differ, {state}, staged by a clone (XFS)", f"clone-s1-{state}",
                        "resilver-atomic", 1.5, "resilver", "the in-place run")
    targets.at_most("identical disks, cold", "cold-same", "resilver", 1.10)
    targets.at_most("1 % differ, cold", "cold-s1", "resilver", 1.10)


def wire_targets(targets):
    counted = targets.bench.counted
    if "same" in counted:
        run, size_bytes, _ = counted["same"]
        percent = 100 * run.wire_bytes / size_bytes
        targets.add("bytes on the wire, identical disks", "at most 0.001 % of the compared data",
                    f"{run.wire_bytes:,} bytes, {percent:.5f} %", percent <= 0.001)
    if "s1" in counted:
        run, size_bytes, facts = counted["s1"]
        over = (run.wire_bytes - 0.0003 * size_bytes) / facts["different_bytes"]
        targets.add("bytes on the wire, 1 % differ, not compressed",
                    "at most 1.02 x the differing data + 0.03 % of the disk",
                    f"{run.wire_bytes / MIB:.2f} MiB for {facts['different_bytes'] / MIB:.2f} MiB: "
                    f"{over:.3f} x + 0.03 %", over <= 1.02)
    for refine in ("auto", "always"):
        if "thin-" + refine in counted:
            run, _, facts = counted["thin-" + refine]
            ratio = run.wire_bytes / (facts["different_pages"] * 4096)
            targets.add(f"scattered 4 KiB changes, 2 MiB/s, --refine={refine}",
                        "at most 1.3 x the changed pages", f"{ratio:.2f} x", ratio <= 1.3)


def sparse_targets(targets):
    for table in targets.bench.tables:
        if table.startswith("sparse "):
            ours, data = targets.wall(table, "resilver"), targets.wall("packed", "resilver")
            if ours and data:
                targets.add(f"{table}, warm", "at most 1.3 x the time of its data alone",
                            f"{ours / data:.2f} x", ours <= 1.3 * data)


def cost_targets(targets):
    figures = targets.bench.tables.get("same", {}).get("resilver")
    if figures and figures.runs and figures.median("remote_cpu") is not None:
        size_gib = targets.bench.large_bytes / GIB
        far = figures.median("remote_cpu") / size_gib
        near = figures.median("cpu") / size_gib - far
        targets.add("processor cost, identical disks, warm",
                    f"at most {CPU_MAX_S_PER_GIB} core-seconds per GiB on each side",
                    f"{near:.3f} source, {far:.3f} target", max(near, far) <= CPU_MAX_S_PER_GIB)


def memory_targets(targets):
    """Of all runs together, and of those that could grow with the disk."""
    for driver in ("journal", "clone"):
        figures = targets.bench.tables.get("staged-sparse " + driver, {}).get("resilver-atomic")
        if figures and figures.runs:
            targets.at_most_memory(f"resident memory, 1 TiB staged by a {driver}",
                                   figures.peak_rss_bytes())
    if targets.bench.peak_rss_bytes:
        targets.at_most_memory("resident memory, largest process of all runs",
                               targets.bench.peak_rss_bytes)


def tls_targets(targets):
    for place, (rate, limit, _) in targets.bench.tls.items():
        targets.add(f"over TLS on loopback, every leaf differs, disks {place}",
                    "at least 0.8 x what one TLS 1.3 stream carries",
                    f"{rate / GIB:.2f} of {limit / GIB:.2f} GiB/s: {rate / limit:.2f} x",
                    rate >= 0.8 * limit)


def target_rows(bench):
    targets = Targets(bench)
    for part in (speed_targets, wire_targets, sparse_targets, cost_targets, memory_targets,
                 tls_targets):
        part(targets)
    return targets.rows
