# SPDX-License-Identifier: LGPL-2.1-or-later
"""What both parts of the demo share: how it speaks, how it runs things, and its hosts' networks."""
import contextlib
import os
import shlex
import shutil
import signal
import subprocess
import time

MIB = 1 << 20
START_S = 10


class DemoError(Exception):
    """Ends the demo, in a sentence for who watches."""


def say(text):
    print(text, flush=True)


def run(*command, **options):
    """A step of the stage crew: silent unless it fails."""
    done = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                          stdin=options.pop("stdin", subprocess.DEVNULL), check=False, **options)
    if done.returncode != 0:
        raise DemoError(f"{shlex.join(command)} ended with {done.returncode}:\n" +
                        done.stdout.decode(errors="replace"))
    return done.stdout.decode(errors="replace")


def as_typed(word):
    """A word of a command line as a person would write it: --option='two words'."""
    name, equals, value = word.partition("=")
    if word.startswith("--") and equals:
        return name + equals + shlex.quote(value)
    return shlex.quote(word)


def end_process(process):
    """Ends what we started, by its id, and waits for it."""
    process.terminate()
    try:
        process.wait(START_S)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


class Network:
    """A network namespace for each host, joined by lines, if this may be done; else all are this
    host.

    lines: [((host, address), (host, address)), ...], a network of its own each."""

    def __init__(self, lines):
        self.lines = lines
        self.hosts = sorted({host for line in lines for host, _ in line})
        self.has_namespaces = False

    def namespace(self, host):
        return f"resilver-demo-{os.getpid()}-{host}"

    def inside(self, host):
        """The words before a command that runs on the host."""
        return ["ip", "netns", "exec", self.namespace(host)] if self.has_namespaces else []

    def _join(self, number, ends):
        device = f"eth{number}"
        first, second = (self.namespace(host) for host, _ in ends)
        run("ip", "-n", first, "link", "add", device, "type", "veth", "peer", "name", device,
            "netns", second)
        for host, address in ends:
            name = self.namespace(host)
            run("ip", "-n", name, "address", "add", address + "/24", "dev", device)
            run("ip", "-n", name, "link", "set", device, "up")

    def _make_namespaces(self):
        for host in self.hosts:
            run("ip", "netns", "add", self.namespace(host))
            run("ip", "-n", self.namespace(host), "link", "set", "lo", "up")
        for number, ends in enumerate(self.lines):
            self._join(number, ends)
        for host in self.hosts:
            # Some kernels make namespaces but do not let a program in.
            run("ip", "netns", "exec", self.namespace(host), "true")

    def make(self):
        """Returns why there are no namespaces, or None."""
        if os.geteuid() != 0 or not shutil.which("ip"):
            return "network namespaces need root and iproute2"
        try:
            self._make_namespaces()
        except DemoError as error:
            self._remove_namespaces()
            return str(error).strip().splitlines()[-1]
        except BaseException:
            self._remove_namespaces()
            raise
        self.has_namespaces = True
        return None

    def _remove_namespaces(self):
        for host in self.hosts:
            subprocess.run(["ip", "netns", "del", self.namespace(host)], check=False,
                           stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)

    def _wait_until_empty(self, host, deadline):
        pids = ["-"]
        while pids:   # sessions end by themselves when their client is gone
            pids = run("ip", "netns", "pids", self.namespace(host)).split()
            if time.monotonic() > deadline:
                for pid in pids:
                    with contextlib.suppress(ProcessLookupError):
                        os.kill(int(pid), signal.SIGKILL)
            time.sleep(0.02)

    def remove(self):
        """After what was started in it has been told to end."""
        if not self.has_namespaces:
            return
        try:
            for host in self.hosts:
                self._wait_until_empty(host, time.monotonic() + START_S)
        finally:
            self._remove_namespaces()
            self.has_namespaces = False
