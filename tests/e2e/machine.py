# SPDX-License-Identifier: LGPL-2.1-or-later
"""A machine with a systemd of its own: this one's files below a layer that is thrown away, in new
namespaces, with no unit but systemd's own. What it is told to start, systemd starts as it would
anywhere: with the units' users, sandboxes, limits and watchdogs.

What would reach the machine around it is not there: its /sys and /proc/sys are for reading, and
nobody in it may set the clock, load a module or reboot.
"""
import os
import signal
import subprocess
import sys
import unittest

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
import lib  # noqa: E402

SYSTEMD = "/lib/systemd/systemd"
NEEDED = ("unshare", "nsenter", "setpriv", "mount", "ip")
ENVIRONMENT = ("PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
               "LC_ALL=C.UTF-8", "HOME=/root", "USER=root")

# In new namespaces of mounts and processes. $1: a folder for all of it, $2: the group of
# processes, $3: the machine's name, $4: its PATH, as a setting.
BOOT = r"""
set -eu
mount --make-rprivate /
cd "$1"
mount -t tmpfs -o mode=755 layer layer
mkdir layer/upper layer/work
mount -t overlay -o lowerdir=/,upperdir="$1"/layer/upper,workdir="$1"/layer/work overlay root
mount -t cgroup2 cgroup2 cgroup
mkdir "cgroup/$2"
echo $$ > "cgroup/$2/cgroup.procs"
umount cgroup
exec unshare --cgroup --uts --ipc --net sh -euc '
cd "$1/root"
hostname "$2"
echo "$2" > etc/hostname
mount -t proc proc proc
mount --bind proc/sys proc/sys
mount -o remount,bind,ro proc/sys
mount -t sysfs -o ro sysfs sys
mount -t cgroup2 cgroup2 sys/fs/cgroup
mount -t tmpfs -o mode=755 run run
mount -t tmpfs -o mode=1777 tmp tmp
mount -t tmpfs -o mode=755 dev dev
for name in null zero full random urandom tty; do
    : > dev/$name
    mount --bind /dev/$name dev/$name
done
mkdir dev/pts dev/shm
mount -t devpts -o newinstance,ptmxmode=666 devpts dev/pts
ln -s pts/ptmx dev/ptmx
mount -t tmpfs -o mode=1777 shm dev/shm
rm -rf etc/systemd/system etc/resilver var/lib/resilver etc/machine-id
mkdir etc/systemd/system
: > etc/machine-id
ip link set lo up
mkdir tmp/around
pivot_root . tmp/around
umount -l tmp/around
exec env -i container=test "$3" setpriv --bounding-set=-sys_time,-sys_module,-sys_boot,-sys_rawio \
    /lib/systemd/systemd --unit=basic.target --show-status=no --log-target=journal
' sh "$1" "$3" "$4"
"""


def need_systemd():
    lib.need_root()
    lib.need_tool(*NEEDED)
    if not os.path.exists(SYSTEMD):
        raise unittest.SkipTest("needs %s" % SYSTEMD)
    # Whether one may have a file system over another here, and a group of processes.
    tried = lib.run(["unshare", "--mount", "--pid", "--fork", "--cgroup", "--net", "sh", "-ec",
                     "mount --make-rprivate / && mount -t tmpfs layer /mnt && "
                     "mkdir /mnt/upper /mnt/work /mnt/cgroup && mount -t overlay -o "
                     "lowerdir=/,upperdir=/mnt/upper,workdir=/mnt/work overlay /tmp && "
                     "mount -t cgroup2 cgroup2 /mnt/cgroup && "
                     "mkdir /mnt/cgroup/resilver-%d && rmdir /mnt/cgroup/resilver-%d"
                     % (os.getpid(), os.getpid())])
    if tried.code != 0:
        raise unittest.SkipTest("no systemd can be started here: %s" % tried.err.strip()[-200:])


class Machine:
    def __init__(self, name, folder):
        """Starts it, and waits until it is up. close() ends it."""
        self.name, self.folder = name, folder
        self.group = "resilver-%s-%d" % (name, os.getpid())
        for part in ("layer", "root", "cgroup"):
            os.makedirs(os.path.join(folder, part))
        self.outside = lib.Process(
            ["unshare", "--mount", "--pid", "--fork", "--kill-child=KILL", "sh", "-c", BOOT, "sh",
             folder, self.group, name, ENVIRONMENT[0]], is_server=True)
        self.pid = None
        try:
            self.pid = lib.wait_until(self._first_process, "the first process of %s" % name)
            lib.wait_until(self._is_up, "%s to be up" % name, 60, 0.05)
        except BaseException:
            self.close()
            raise

    def _first_process(self):
        if not self.outside.is_alive():
            raise AssertionError("%s does not start: %s" % (self.name, self.outside.output()))
        path = "/proc/%d/task/%d/children" % (self.outside.pid, self.outside.pid)
        with open(path) as file:
            children = file.read().split()
        return int(children[0]) if children else None

    def _is_up(self):
        if not self.outside.is_alive():
            raise AssertionError("%s ended: %s" % (self.name, self.outside.output()))
        with open("/proc/%d/comm" % self.pid) as file:
            if file.read().strip() != "systemd":
                return False
        return self.run("systemctl", "is-system-running").out.strip() in ("running", "degraded")

    def words(self, *command):
        """What runs the command there."""
        return ["nsenter", "--target=%d" % self.pid, "--mount", "--pid", "--uts", "--ipc", "--net",
                "--cgroup", "--root", "env", "-i", "--chdir=/", *ENVIRONMENT, *command]

    def run(self, *command, **options):
        return lib.run(self.words(*command), **options)

    def must(self, *command, **options):
        """What it printed; it must end with 0."""
        result = self.run(*command, **options)
        if result.code != 0:
            raise AssertionError("%s: %s" % (self.name, result))
        return result.out

    def shell(self, script, **options):
        return self.must("sh", "-euc", script, **options)

    def talk(self, *command):
        """As a program does that reads and writes lines."""
        return subprocess.Popen(self.words(*command), text=True, stdin=subprocess.PIPE,
                                stdout=subprocess.PIPE, stderr=subprocess.DEVNULL,
                                env=lib.tagged_environment())

    def path(self, path):
        """A file of it, as it is seen from outside."""
        return "/proc/%d/root%s" % (self.pid, path)

    def write(self, path, text, mode="w"):
        with open(self.path(path), mode) as file:
            file.write(text)

    def connect(self, other, address, other_address):
        """A cable between the two."""
        lib.must(["nsenter", "--target=%d" % self.pid, "--net", "ip", "link", "add", "eth0", "type",
                  "veth", "peer", "name", "eth0", "netns", str(other.pid)])
        for machine, own in ((self, address), (other, other_address)):
            machine.must("ip", "address", "add", own + "/24", "dev", "eth0")
            machine.must("ip", "link", "set", "eth0", "up")
        hosts = "127.0.0.1 localhost\n%s %s\n%s %s\n" % (address, self.name, other_address,
                                                         other.name)
        for machine in (self, other):
            machine.write("/etc/hosts", hosts)

    def install(self, build):
        """As `make install` does."""
        lib.must(["meson", "install", "-C", build, "--no-rebuild", "--quiet",
                  "--destdir", self.path("")], deadline_s=120)

    def property(self, unit, name):
        return self.must("systemctl", "show", "--property=" + name, "--value", unit).strip()

    def journal(self, unit):
        return self.must("journalctl", "--no-pager", "--output=cat", "--unit=" + unit)

    def close(self):
        if self.outside.is_alive() and self.pid is not None:
            os.kill(self.pid, signal.SIGKILL)  # and the kernel ends whatever is in there
        self.outside.end()
        lib.wait_until(self._remove_group, "the end of the processes of %s" % self.name)

    def _remove_group(self):
        script = ("mount -t cgroup2 cgroup2 /mnt && { [ ! -d /mnt/%s ] || "
                  "find /mnt/%s -depth -type d -exec rmdir {} +; }" % (self.group, self.group))
        return lib.run(["unshare", "--mount", "sh", "-c", script]).code == 0
