# SPDX-License-Identifier: LGPL-2.1-or-later
"""The figures as text, as Markdown and as one JSON object."""
import datetime
import os
import platform
import re
import subprocess

from cases import ROW_TEXTS
from measuring import CALM_CORES
from pairs import GIB, MIB
from targets import target_rows

COLUMNS = ("tool", "runs", "wall s (least)", "x floor", "rsync takes", "CPU s", "peak RSS MiB",
           "wire MiB", "result", "foreign cores")


def number(value, form):
    return "" if value is None else format(value, form)


def row_cells(figures, floor_wall, rsync_wall):
    wall = figures.median("wall")
    wire = figures.median("wire_bytes")
    is_compared = rsync_wall is not None and figures.row.kind == "resilver"
    return (figures.row.name, str(len(figures.calm())),
            f"{wall:.2f} ({figures.least_wall():.2f})",
            number(wall / floor_wall if floor_wall else None, ".2f"),
            f"{rsync_wall / wall:.1f} x" if is_compared else "",
            number(figures.median("cpu"), ".2f"), number(figures.peak_rss_bytes() / MIB, ".1f"),
            number(wire / MIB if wire is not None else None, ".3f"), figures.result(),
            number(figures.foreign(), ".2f"))


def table_cells(table):
    present = [figures for figures in table.values() if figures.runs]

    def wall_of(names):
        for name in names:
            if name in table and table[name].runs:
                return table[name].median("wall")
        return None

    floor_wall, rsync_wall = wall_of(("floor", "floor-data")), wall_of(("rsync",))
    present.sort(key=lambda figures: figures.median("wall"))
    return [row_cells(figures, floor_wall, rsync_wall) for figures in present]


def as_text(columns, rows, first_left=1):
    widths = [max(len(line[i]) for line in [columns, *rows]) for i in range(len(columns))]
    lines = []
    for line in [columns, *rows]:
        cells = [cell.ljust(width) if i < first_left else cell.rjust(width)
                 for i, (cell, width) in enumerate(zip(line, widths))]
        lines.append("  " + "  ".join(cells).rstrip())
    return "\n".join(lines)


def as_markdown(columns, rows, first_left=1):
    marks = ["---" if i < first_left else "---:" for i in range(len(columns))]
    return "\n".join("| " + " | ".join(cell or " " for cell in line) + " |"
                     for line in [columns, marks, *rows])


def first_line_of(command):
    try:
        done = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                              check=False, encoding="utf-8", errors="replace")
    except OSError:
        return ""
    return done.stdout.splitlines()[0].strip() if done.stdout else ""


def file_system_of(folder):
    """The type of the longest mount point that holds the folder. Source: proc(5), mounts."""
    best = ("", "")
    with open("/proc/mounts", encoding="utf-8") as file:
        for line in file:
            _, place, kind = line.split()[:3]
            inside = (folder + "/").startswith(place.rstrip("/") + "/")
            if inside and len(place) >= len(best[0]):
                best = (place, kind)
    return best[1]


def machine(bench):
    """Name and value of what the figures depend on, the date first."""
    with open("/proc/cpuinfo", encoding="utf-8") as file:
        model = re.search(r"^model name\s*: (.*)$", file.read(), re.MULTILINE)
    with open("/proc/meminfo", encoding="utf-8") as file:
        memory = int(re.search(r"^MemTotal:\s+(\d+)", file.read()).group(1)) * 1024
    rsync = re.search(r"version (\S+)", first_line_of(["rsync", "--version"]))
    with open("/etc/os-release", encoding="utf-8") as file:
        system = re.search(r'^PRETTY_NAME="?([^"\n]*)', file.read(), re.MULTILINE)
    return [
        ("date", datetime.date.today().isoformat()),
        ("processor", f"{model.group(1) if model else platform.machine()}, "
         f"{len(os.sched_getaffinity(0))} cores"),
        ("memory", f"{memory / GIB:.0f} GiB"),
        ("file system", file_system_of(bench.folder)),
        ("system", f"{system.group(1) if system else 'Linux'}, Linux {platform.release()}"),
        ("versions", ", ".join(filter(None, (
            first_line_of([bench.resilver, "--version"]),
            f"rsync {rsync.group(1)}" if rsync else "",
            first_line_of(["openssl", "version"]))))),
        ("disks", f"{bench.large_bytes / GIB:g} GiB; where all of the disk is copied "
         f"{bench.small_bytes / GIB:g} GiB"),
    ]


def disturbance(bench):
    """A sentence about others who used the machine, or nothing."""
    most = max([figures.foreign() for *_, table, _ in bench.finished
                for figures in table.values() if figures.runs] +
               [foreign for *_, foreign in bench.tls.values()], default=0)
    if most <= CALM_CORES:
        return []
    return [f"Others used up to {most:.1f} cores of this machine meanwhile: times of rows where "
            f"the last column is above {CALM_CORES} are not to be trusted."]


def wire_rows(bench):
    """What was counted between both ends, apart from the timed runs."""
    rows = []
    for name, (run, size_bytes, facts) in bench.counted.items():
        differs = 0 if name == "same" else facts["different_bytes"]
        pages = facts["different_pages"] * 4096 if name.startswith(("s1g4", "thin")) else 0
        rows.append((name, f"{size_bytes / GIB:g}", f"{differs / MIB:.2f}",
                     f"{pages / MIB:.2f}" if pages else "", f"{run.wire_bytes / MIB:.3f}",
                     f"{100 * run.wire_bytes / size_bytes:.5f}"))
    return rows


WIRE_COLUMNS = ("case", "disk GiB", "differing leaves MiB", "changed pages MiB", "wire MiB",
                "% of the disk")
TARGET_COLUMNS = ("what", "target", "figure", "verdict")


def rendered(bench, is_markdown):
    """The whole report."""
    cells = as_markdown if is_markdown else as_text
    head = (lambda text: f"### {text}\n") if is_markdown else (lambda text: f"{text}:")
    parts = [cells(("what", "value"), machine(bench), 2), *disturbance(bench)]
    for title, _, _, table, _ in bench.finished:
        parts.append(head(title) + "\n" + cells(COLUMNS, table_cells(table)))
    if bench.counted:
        parts.append(head("bytes on the wire, both ways, counted between the ends") + "\n" +
                     cells(WIRE_COLUMNS, wire_rows(bench)))
    parts += [f"The case {case} was skipped: {why}." for case, why in bench.skipped.items()]
    rows = target_rows(bench)
    if rows:
        parts.append(head("targets") + "\n" + cells(TARGET_COLUMNS, rows, 4))
    names = {figures.row.name for *_, table, _ in bench.finished for figures in table.values()}
    if any(name.endswith("-fsync") for name in names):
        names.add("rsync..-fsync")
    legend = [(name, text if is_markdown else text.replace("`", "")) for name, text in ROW_TEXTS
              if name in names]
    parts.append(head("the rows") + "\n" + cells(("tool", "what it is"), legend, 2))
    return "\n\n".join(parts) + "\n"


def figures_as_json(figures):
    return {
        "wall_seconds": figures.median("wall"), "least_wall_seconds": figures.least_wall(),
        "cpu_seconds": figures.median("cpu"), "remote_cpu_seconds": figures.median("remote_cpu"),
        "peak_rss_bytes": figures.peak_rss_bytes(), "wire_bytes": figures.median("wire_bytes"),
        "result": figures.result(), "foreign_cores": figures.foreign(),
        "runs": [{"wall_seconds": run.wall, "cpu_seconds": run.cpu,
                  "foreign_cores": run.foreign_cores} for run in figures.runs],
    }


def as_json(bench):
    return {
        "schema": 1,
        "machine": dict(machine(bench)),
        "tables": [{"title": title, "case": case, "cold": is_cold, "size_bytes": size_bytes,
                    "rows": {name: figures_as_json(figures)
                             for name, figures in table.items() if figures.runs}}
                   for title, case, size_bytes, table, is_cold in bench.finished],
        "wire": [dict(zip(("case", "disk_gib", "different_mib", "changed_pages_mib", "wire_mib",
                           "percent"), row)) for row in wire_rows(bench)],
        "skipped": dict(bench.skipped),
        "targets": [dict(zip(TARGET_COLUMNS, row)) for row in target_rows(bench)],
    }
