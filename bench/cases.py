# SPDX-License-Identifier: LGPL-2.1-or-later
"""What is measured: the tools, the cases, and what each case hands to the targets' table."""
import contextlib
import json
import os
import re
import shutil
import signal
import socket
import statistics
import subprocess
import time

import xfs
from measuring import Figures, Row, run_table
from pairs import GIB, MIB, BenchError, Pair

TIB = 1 << 40
SHARED_MEMORY = "/dev/shm"
SERVER_START_S = 10


# --- the tools ------------------------------------------------------------------------------------

def cat_both(_bench, pair):
    return [["cat", pair.source], ["cat", pair.target]]


def read_data_of_both(bench, pair):
    return [[bench.programs["reader"], "data", path] for path in (pair.source, pair.target)]


def read_both_direct(bench, pair):
    return [[bench.programs["reader"], "direct", path] for path in (pair.source, pair.target)]


def resilver_sync(*options):
    def commands(bench, pair):
        return [[bench.resilver, "sync", "--json", "--progress=never", f"--ssh={bench.runner.ssh}",
                 *options, pair.source, "peer:" + pair.target]]
    return commands


def resilver_local(bench, pair):
    return [[bench.resilver, "sync", "--json", "--progress=never", pair.source, pair.target]]


def rsync(*options):
    def commands(bench, pair):
        return [["rsync", "--inplace", "-I", "--stats", *options, "-e", bench.runner.ssh,
                 pair.source, "peer:" + pair.target]]
    return commands


def bdsync(bench, pair):
    server = f"{bench.runner.ssh} peer bdsync --server"
    return [["sh", "-c", f"bdsync --hash=sha256 --blocksize=65536 '{server}' {pair.source} "
             f"{pair.target} | {bench.runner.ssh} peer bdsync --patch={pair.target}"]]


FLOOR = Row("floor", cat_both, kind="floor", form="read")
FLOOR_DATA = Row("floor-data", read_data_of_both, kind="floor", form="read")
FLOOR_DIRECT = Row("floor-direct", read_both_direct, kind="floor", form="read")
RESILVER = Row("resilver", resilver_sync(), kind="resilver")
RESILVER_LOCAL = Row("resilver-local", resilver_local, kind="resilver", form="local")
RESILVER_ATOMIC = Row("resilver-atomic", resilver_sync("--atomic"), kind="resilver")
RSYNC = Row("rsync", rsync("--no-whole-file"))
RSYNC_FSYNC = Row("rsync-fsync", rsync("--no-whole-file", "--fsync"))
RSYNC_WHOLE = Row("rsync-W", rsync("-W"))
RSYNC_WHOLE_FSYNC = Row("rsync-W-fsync", rsync("-W", "--fsync"))
BDSYNC = Row("bdsync", bdsync)

ROW_TEXTS = (
    ("floor", "`cat` of both images at once, to /dev/null"),
    ("floor-data", "the data of both images read at once, the holes left out"),
    ("floor-direct", "both images read at once past the page cache, 4 MiB at a time"),
    ("resilver", "`resilver sync --ssh=STANDIN SOURCE peer:TARGET`: two processes"),
    ("resilver-local", "`resilver sync SOURCE TARGET`: one process"),
    ("resilver-atomic", "the same as resilver with `--atomic`: by a clone where the file system has "
     "them, else by a journal that is then applied"),
    ("rsync", "`rsync --inplace --no-whole-file -I -e STANDIN SOURCE peer:TARGET`"),
    ("rsync-W", "`rsync --inplace -W -I -e STANDIN SOURCE peer:TARGET`"),
    ("rsync..-fsync", "the same with `--fsync`: as durable at its end as Resilver always is"),
    ("bdsync", "`bdsync --hash=sha256 --blocksize=65536`, when it is installed"),
)


# --- helpers of the cases -------------------------------------------------------------------------

def count_wire(bench, pair, case, *options):
    """The bytes between both ends, counted on their way and not by Resilver. Not timed."""
    pair.prepare(case)
    row = Row("resilver", resilver_sync(*options), kind="resilver")
    run = bench.runner.run(row, row.commands(bench, pair), is_counted=True)
    run.is_equal = pair.is_equal(with_cmp=False)
    said = run.document["wire"]["sent_bytes"] + run.document["wire"]["received_bytes"]
    if said != run.wire_bytes:
        bench.say(f"  resilver says {said} bytes on the wire; counted were {run.wire_bytes}")
    bench.peak_rss_bytes = max(bench.peak_rss_bytes, run.peak_rss_bytes)
    return run


def measure_case(bench, title, pair, case, rows, is_cold=False):
    rows = [row for row in rows if bench.has_row(row)]
    bench.say(f"{title} ...")
    table = run_table(bench, pair, case, rows, is_cold)
    for figures in table.values():
        if figures.row.kind == "resilver":
            bench.peak_rss_bytes = max(bench.peak_rss_bytes, figures.peak_rss_bytes())
    bench.add_table(title, case, pair, table, is_cold)
    return table


def dense_rows(*rows):
    return [*rows, *([BDSYNC] if shutil.which("bdsync") else [])]


# --- the cases ------------------------------------------------------------------------------------

def case_same(bench):
    pair = bench.large_pair()
    table = measure_case(bench, "identical disks, warm", pair, "same",
                         dense_rows(FLOOR, RESILVER, RESILVER_LOCAL, RSYNC))
    bench.tables["same"] = table
    if bench.has_row(RESILVER):
        bench.counted["same"] = (count_wire(bench, pair, "same"), pair.size_bytes, dict(pair.facts))


def dense_case(case, text, *more_rows):
    def measure(bench):
        pair = bench.large_pair()
        bench.tables[case] = measure_case(bench, f"{text}, warm", pair, case,
                                          dense_rows(FLOOR, RESILVER, *more_rows, RSYNC))
        if bench.has_row(RESILVER):
            run = count_wire(bench, pair, case, *bench.option("--compress=never"))
            bench.counted[case] = (run, pair.size_bytes, dict(pair.facts))
    return measure


def whole_case(case, text):
    def measure(bench):
        bench.tables[case] = measure_case(
            bench, f"{text}, warm", bench.small_pair(), case,
            dense_rows(FLOOR, RESILVER, RSYNC_WHOLE, RSYNC_WHOLE_FSYNC, RSYNC))
    return measure


def cold_case(case, text, *more_rows):
    def measure(bench):
        bench.tables["cold-" + case] = measure_case(
            bench, f"{text}, cold", bench.large_pair(), case,
            [FLOOR, RESILVER, *more_rows], is_cold=True)
    return measure


def case_thin(bench):
    if not bench.has_row(RESILVER):
        return
    bench.say("4 KiB changes on a thin link ...")
    pair = bench.small_pair()
    for refine in ("auto", "always"):
        options = [*bench.option("--refine=" + refine), "--bwlimit=2M"]
        run = count_wire(bench, pair, "s1g4", *options)
        bench.counted["thin-" + refine] = (run, pair.size_bytes, dict(pair.facts))


def case_sparse(bench):
    data_bytes = bench.large_bytes // 2
    sizes = {"packed": 4 * bench.large_bytes, "16 GiB": 4 * bench.large_bytes, "1 TiB": TIB,
             "16 TiB": 16 * TIB - MIB}   # ext4's largest file is 4 KiB less than 16 TiB
    for name, size_bytes in sizes.items():
        kind = "packed" if name == "packed" else "sparse"
        if name == "16 GiB":
            name = f"{size_bytes / GIB:.0f} GiB"
        pair = Pair(bench.programs, bench.folder, size_bytes, data_bytes, name="sparse")
        text = "the same amount of data without holes" if kind == "packed" else \
            f"sparse, {name} with {data_bytes / GIB:g} GiB of data"
        rows = [FLOOR_DATA, RESILVER, *([RESILVER_LOCAL] if kind == "packed" else [])]
        try:
            table = measure_case(bench, f"{text}, warm", pair, kind, rows)
            if size_bytes == 4 * bench.large_bytes and kind == "sparse" and bench.has_row(RSYNC):
                measure_once(bench, pair, kind, table)
        except BenchError as error:
            bench.say(f"  left out: {error}")
            continue
        finally:
            pair.remove()
        bench.tables[name if kind == "packed" else "sparse " + name] = table


def measure_once(bench, pair, case, table):
    """rsync reads and hashes every hole: one run says enough."""
    pair.prepare(case)
    pair.warm()
    run = bench.runner.run(RSYNC, RSYNC.commands(bench, pair))
    run.is_equal = pair.is_equal(with_cmp=False)
    table[RSYNC.name] = Figures(RSYNC, [run])
    bench.tick(RSYNC.name, run)


# --- staging --------------------------------------------------------------------------------------

@contextlib.contextmanager
def xfs_folder(bench, case, used_bytes):
    """A folder with reflinks and room for so many bytes, or None."""
    # XFS keeps some room for itself, and refuses to be smaller than 300 MiB.
    with xfs.mounted(bench, used_bytes + used_bytes // 8 + 512 * MIB) as (folder, why):
        if why:
            bench.skipped[case] = why
            bench.say(f"  skipped: {why}")
        yield folder


def check_cloned(table):
    """A clone takes the target's place by its name; a journal would be another measurement."""
    figures = table.get(RESILVER_ATOMIC.name)
    if figures and not all(run.is_replaced for run in figures.runs):
        raise BenchError("the staged target on XFS was not a clone")


def case_clone(bench):
    """What staging costs where it is a clone, beside the in-place run on the same file system."""
    if not (bench.has_row(RESILVER) or bench.has_row(RESILVER_ATOMIC)):
        return
    bench.say("staging by a clone, on XFS ...")
    bench.forget_pairs()
    # Source, target, and what a clone holds that the target does not.
    with xfs_folder(bench, "clone", 2 * bench.large_bytes + bench.large_bytes // 4) as folder:
        if folder is None:
            return
        pair = Pair(bench.programs, folder, bench.large_bytes)
        # A clone is a file of its own: nothing of it is in the page cache when the run begins,
        # whatever is known of the target. So the cold runs are what the driver itself costs.
        for case, percent, is_cold in (("s1", 1, False), ("s10", 10, False), ("s1", 1, True)):
            state = "cold" if is_cold else "warm"
            table = measure_case(bench, f"{percent} % of the leaves differ, XFS, {state}", pair,
                                 case, [FLOOR, RESILVER, RESILVER_ATOMIC], is_cold)
            check_cloned(table)
            bench.tables[f"clone-{case}-{state}"] = table


def staged_sparse(bench, folder, driver):
    data_bytes = bench.large_bytes // 2
    pair = Pair(bench.programs, folder, TIB, data_bytes, name="sparse")
    try:
        table = measure_case(
            bench, f"staged by a {driver}, 1 TiB with {data_bytes / GIB:g} GiB of data, warm", pair,
            "sparse", [FLOOR_DATA, RESILVER, RESILVER_ATOMIC])
    finally:
        pair.remove()
    bench.tables["staged-sparse " + driver] = table
    return table


def case_staged_sparse(bench):
    """How much memory staging takes when the disk is large."""
    if not bench.has_row(RESILVER_ATOMIC):
        return
    bench.forget_pairs()
    staged_sparse(bench, bench.folder, "journal")
    bench.say("the same by a clone, on XFS ...")
    with xfs_folder(bench, "staged-sparse", bench.large_bytes + GIB) as folder:
        if folder is not None:
            check_cloned(staged_sparse(bench, folder, "clone"))


# --- TLS ------------------------------------------------------------------------------------------

def make_certificates(folder):
    """An authority and one certificate for each side; returns {name: path}."""
    def openssl(*arguments):
        subprocess.run(["openssl", *arguments], cwd=folder, check=True, stdout=subprocess.DEVNULL,
                       stderr=subprocess.DEVNULL)

    key = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes"]
    openssl("req", "-x509", *key, "-days", "2", "-subj", "/CN=bench-authority", "-keyout",
            "ca.key", "-out", "ca.pem")
    for side in ("source", "target"):
        extensions = os.path.join(folder, side + ".ext")
        with open(extensions, "w", encoding="ascii") as file:
            file.write("subjectAltName=IP:127.0.0.1,DNS:localhost\n"
                       "extendedKeyUsage=serverAuth,clientAuth\n")
        openssl("req", *key, "-subj", f"/CN=bench-{side}", "-keyout", side + ".key", "-out",
                side + ".csr")
        openssl("x509", "-req", "-in", side + ".csr", "-CA", "ca.pem", "-CAkey", "ca.key",
                "-CAcreateserial", "-days", "2", "-extfile", extensions, "-out", side + ".pem")
    return {side: [f"--cert={folder}/{side}.pem", f"--key={folder}/{side}.key",
                   f"--ca={folder}/ca.pem"] for side in ("source", "target")}


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def wait_until_listening(process, port):
    """Looks into the kernel's table, so that no connection disturbs the server."""
    deadline = time.monotonic() + SERVER_START_S
    wanted = re.compile(rf"^ *\d+: 0100007F:{port:04X} 00000000:0000 0A ", re.MULTILINE)
    while time.monotonic() < deadline and process.poll() is None:
        with open("/proc/net/tcp", encoding="ascii") as file:
            if wanted.search(file.read()):
                return
        time.sleep(0.02)
    raise BenchError(f"'resilver serve --listen' does not listen on port {port}")


@contextlib.contextmanager
def tls_server(bench, pair, credentials):
    port = free_port()
    command = [bench.resilver, "serve", f"--listen=127.0.0.1:{port}", *credentials,
               "--export", f"disk={pair.target}"]
    with open(os.path.join(bench.folder, "server-log"), "wb") as log:
        process = subprocess.Popen(command, stdout=log, stderr=log, start_new_session=True)
    try:
        wait_until_listening(process, port)
        yield process, port
    finally:
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGTERM)
        try:
            process.wait(timeout=SERVER_START_S)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()


def move_by_tls(bench, size_bytes):
    done = subprocess.run([bench.programs["tlsmover"], str(size_bytes)], stdout=subprocess.PIPE,
                          check=False)
    if done.returncode != 0:
        raise BenchError("tlsmover failed; the line above says why")
    moved = json.loads(done.stdout)
    return moved["bytes"] / moved["seconds"]


def tls_place(bench, folder, credentials):
    """One folder's figures: bytes per second on the wire, by the plain mover in between, and the
    most that others used of the processors."""
    pair = Pair(bench.programs, folder, bench.small_bytes, name="tls")
    rates, limits, foreign_cores = [], [], 0
    try:
        pair.prepare("diff")
        with tls_server(bench, pair, credentials["target"]) as (server, port):
            row = Row("resilver-tls", None, kind="resilver", form="tls")
            command = [bench.resilver, "sync", "--json", "--progress=never",
                       *bench.option("--compress=never"), *credentials["source"], pair.source,
                       f"tls://127.0.0.1:{port}/disk"]
            for _ in range(max(3, bench.runs)):
                pair.prepare("diff")
                pair.warm()
                limits.append(move_by_tls(bench, pair.size_bytes))
                run = bench.runner.run(row, [command])
                if not pair.is_equal(with_cmp=False):
                    raise BenchError("over TLS the target is different afterwards")
                rates.append(run.document["wire"]["sent_bytes"] / run.wall)
                foreign_cores = max(foreign_cores, run.foreign_cores)
                bench.tick("resilver-tls", run)
            with open(f"/proc/{server.pid}/status", encoding="ascii") as file:
                peak = re.search(r"^VmHWM:\s+(\d+) kB", file.read(), re.MULTILINE)
            bench.peak_rss_bytes = max(bench.peak_rss_bytes, int(peak.group(1)) * 1024)
    finally:
        pair.remove()
    return statistics.median(rates), statistics.median(limits), foreign_cores


def case_tls(bench):
    if not bench.has_row(RESILVER):
        return
    bench.say("every leaf different, over TLS on loopback ...")
    credentials = make_certificates(bench.folder)
    bench.tls["on the disk"] = tls_place(bench, bench.folder, credentials)
    room = shutil.disk_usage(SHARED_MEMORY).free if os.path.isdir(SHARED_MEMORY) else 0
    if room < 3 * bench.small_bytes:
        bench.say("  not measured in memory: /dev/shm is too small")
        return
    folder = os.path.join(SHARED_MEMORY, os.path.basename(bench.folder))
    os.mkdir(folder)
    bench.folders.append(folder)
    bench.tls["in memory"] = tls_place(bench, folder, credentials)


# In an order in which no disk has to be made twice.
CASES = {
    "same": case_same,
    "s1": dense_case("s1", "1 % of the leaves differ", RESILVER_LOCAL, RESILVER_ATOMIC,
                     RSYNC_FSYNC),
    "s10": dense_case("s10", "10 % of the leaves differ", RESILVER_ATOMIC),
    "s1g4": dense_case("s1g4", "one 4 KiB page in 1 % of the leaves differs"),
    "cold-same": cold_case("same", "identical disks"),
    "cold-s1": cold_case("s1", "1 % of the leaves differ", FLOOR_DIRECT, RSYNC),
    "clone": case_clone,
    "diff": whole_case("diff", "every leaf differs"),
    "empty": whole_case("empty", "the target is empty"),
    "thin": case_thin,
    "sparse": case_sparse,
    "staged-sparse": case_staged_sparse,
    "tls": case_tls,
}
