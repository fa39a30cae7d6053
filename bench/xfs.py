# SPDX-License-Identifier: LGPL-2.1-or-later
"""A file system with reflinks to measure on, where the disks' own folder may have none."""
import contextlib
import os
import shutil
import signal
import subprocess
import time

from pairs import BenchError

STOP_SIGNALS = (signal.SIGTERM, signal.SIGHUP, signal.SIGINT)
UMOUNT_WAIT_S = 10
SYSTEM_FOLDERS = "/usr/sbin:/sbin"   # not in everybody's PATH


def find_tool(name):
    return shutil.which(name) or shutil.which(name, path=SYSTEM_FOLDERS)


def why_not():
    """Why no XFS can be made here, or nothing."""
    if os.geteuid() != 0:
        return "only root can mount the image of an XFS"
    if not find_tool("mkfs.xfs"):
        return "mkfs.xfs is missing; tools/install-deps bench installs it"
    if not (find_tool("mount") and find_tool("umount")):
        return "mount is missing; tools/install-deps bench installs it"
    return ""


def _run(*command):
    """Returns (whether it went well, what it said)."""
    done = subprocess.run([find_tool(command[0]) or command[0], *command[1:]],
                          stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                          stderr=subprocess.STDOUT, encoding="utf-8", errors="replace", check=False)
    return done.returncode == 0, done.stdout.strip()


@contextlib.contextmanager
def _signals_held():
    """A signal that comes meanwhile ends the benchmark afterwards: umount must not be cut short."""
    before = signal.pthread_sigmask(signal.SIG_BLOCK, STOP_SIGNALS)
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def _read_past_the_host(folder):
    """Without it the image's pages are in the host's page cache as well: what Resilver reads back
    "from the medium" would come from there. Best effort: not every file system below can do so."""
    with open("/proc/self/mounts", encoding="utf-8") as file:
        devices = [words[0] for words in map(str.split, file) if words[1] == folder]
    if devices:
        _run("losetup", "--direct-io=on", devices[-1])


def _mount(image, folder, size_bytes):
    """Returns why it could not be done, or nothing."""
    with open(image, "wb") as file:
        file.truncate(size_bytes)
    is_made, said = _run("mkfs.xfs", "-q", "-m", "reflink=1", image)
    if is_made:
        # util-linux gives the loop device back by itself when this is unmounted.
        is_made, said = _run("mount", "-o", "loop", "-t", "xfs", image, folder)
    if is_made:
        _read_past_the_host(folder)
    return "" if is_made else "no XFS: " + (said.splitlines() or ["it cannot be mounted"])[0]


def _unmount(folder):
    deadline = time.monotonic() + UMOUNT_WAIT_S
    # More than once: a process that was just killed may still be there, and have a file open.
    while os.path.ismount(folder):
        is_gone, said = _run("umount", folder)
        if not is_gone and time.monotonic() > deadline:
            _run("umount", "--lazy", folder)
            raise BenchError(f"{folder} could only be unmounted lazily: {said}")
        if not is_gone:
            time.sleep(0.1)


@contextlib.contextmanager
def mounted(bench, size_bytes):
    """(A folder on an XFS of this size, whose image takes what is used of it, and ""); or, where
    that cannot be had, (None, why). However the block is left, nothing stays mounted."""
    why = why_not()
    folder, image = (os.path.join(bench.folder, name) for name in ("xfs", "xfs.image"))
    try:
        with _signals_held():
            if not why:
                os.mkdir(folder)
                why = _mount(image, folder, size_bytes)
        yield (None, why) if why else (folder, "")
    finally:
        with _signals_held():
            _unmount(folder)
            if os.path.exists(image):
                os.unlink(image)
            if os.path.isdir(folder):
                os.rmdir(folder)
