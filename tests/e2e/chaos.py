#!/usr/bin/python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""Links that break: over TCP (Proxy, before a server) and over pipes (ChaosSsh, in ssh's place).

Both hand on what passes and do one thing to it, a Fault, when so many bytes have passed. Both say
what passed and whether the fault happened, which a test must ask: one that did not tests nothing.

  chaos.py STATE_FILE FAULT -- COMMAND ...   (what ChaosSsh runs at the far end)
"""

import ctypes
import json
import os
import select
import shlex
import socket
import struct
import subprocess
import sys
import threading
import time

import lib

TO_SERVER, TO_CLIENT = "to server", "to client"
CHUNK = 16384


class Fault:
    """how: 'reset' (RST to both ends; a pipe is just closed), 'close' (FIN to both), 'stall' (both
    stay open, and nothing passes any more), 'flip' (one bit is another on arrival) or None.

    at: how many bytes pass before; for a flip, the number of the byte that is changed, from 0.
    direction: whose bytes are counted; None: both together, but a flip needs one.
    rate_bytes_per_s: slows each direction down, besides.
    """

    def __init__(self, how=None, at=None, direction=None, bit=0, rate_bytes_per_s=None):
        assert how in (None, "reset", "close", "stall", "flip")
        assert how != "flip" or direction is not None
        self.how, self.at, self.direction, self.bit = how, at, direction, bit
        self.rate_bytes_per_s = rate_bytes_per_s
        self.passed = {TO_SERVER: 0, TO_CLIENT: 0}
        self.has_fired = False
        self._lock = threading.Lock()

    @property
    def passed_bytes(self):
        return sum(self.passed.values())

    def state(self):
        return {"has_fired": self.has_fired, "passed": self.passed}

    def apply(self, direction, data):
        """What arrives in place of data; None: the fault ends the link, or stalls it."""
        if self.rate_bytes_per_s:
            time.sleep(len(data) / self.rate_bytes_per_s)
        with self._lock:
            before = self.passed[self.direction] if self.direction else self.passed_bytes
            self.passed[direction] += len(data)
            if self.how is None or self.at is None or self.direction not in (None, direction):
                return None if self._has_ended() else data
            if self.how == "flip" and before <= self.at < before + len(data):
                data = bytearray(data)
                data[self.at - before] ^= 1 << self.bit
                self.has_fired = True
            elif self.how != "flip" and before + len(data) >= self.at:
                self.has_fired = True
            return None if self._has_ended() else data

    def _has_ended(self):
        return self.has_fired and self.how != "flip"


def reset(link):
    """Send RST at once: connect(2) says that AF_UNSPEC dissolves a connection. To close it with a
    linger time of 0 would wait for a thread that reads, and to wake that one sends FIN."""
    nowhere = struct.pack("H14x", socket.AF_UNSPEC)
    if ctypes.CDLL(None, use_errno=True).connect(link.fileno(), nowhere, len(nowhere)) < 0:
        raise AssertionError("cannot reset: %s" % os.strerror(ctypes.get_errno()))


class Proxy:
    """A TCP relay on loopback, to a port there, with one Fault."""

    def __init__(self, port, fault=None):
        self.fault = fault or Fault()
        self._to_port = port
        self._lock = threading.Lock()
        self._sockets = []
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port = self._listener.getsockname()[1]
        self._threads = []
        self._start(self._accept)

    @property
    def has_fired(self):
        return self.fault.has_fired

    @property
    def passed_bytes(self):
        return self.fault.passed_bytes

    def _start(self, function, *arguments):
        thread = threading.Thread(target=function, args=arguments, daemon=True)
        self._threads.append(thread)
        thread.start()

    def _accept(self):
        while True:
            try:
                client, _ = self._listener.accept()
                server = socket.create_connection(("127.0.0.1", self._to_port))
            except OSError:
                return
            with self._lock:
                self._sockets += [client, server]
            self._start(self._relay, TO_SERVER, client, server)
            self._start(self._relay, TO_CLIENT, server, client)

    def _relay(self, direction, source, target):
        try:
            while True:
                data = source.recv(CHUNK)
                arrives = self.fault.apply(direction, data)
                if arrives is None:
                    if self.fault.how != "stall":
                        self._end_all(is_reset=self.fault.how == "reset")
                    return
                if not data:
                    target.shutdown(socket.SHUT_WR)
                    return
                target.sendall(arrives)
        except OSError:
            return

    def _end_all(self, is_reset):
        with self._lock:
            for one in self._sockets:
                try:
                    if is_reset:
                        reset(one)
                    # Wakes the other thread's recv, which close() alone does not.
                    one.shutdown(socket.SHUT_RDWR)
                    one.close()
                except OSError:
                    pass
            self._sockets = []

    def close(self):
        try:
            self._listener.shutdown(socket.SHUT_RDWR)
        except OSError:
            pass  # Closed before.
        self._listener.close()
        self._end_all(is_reset=False)
        for thread in self._threads:
            thread.join(5)


class ChaosSsh(lib.StandInSsh):
    """The far end behind two pipes with a Fault between; direction 'to server' is to the far end.
    A new Fault for each run: set_fault()."""

    def __init__(self, folder, fault=None):
        self._folder = folder
        self._state_file = os.path.join(folder, "chaos.state")
        self.set_fault(fault or Fault())

    def set_fault(self, fault):
        settings = json.dumps([fault.how, fault.at, fault.direction, fault.bit,
                               fault.rate_bytes_per_s])
        if os.path.exists(self._state_file):
            os.unlink(self._state_file)
        super().__init__(self._folder, "exec %s %s %s %s -- %s serve --stdio" % (
            shlex.quote(sys.executable), shlex.quote(os.path.abspath(__file__)),
            shlex.quote(self._state_file), shlex.quote(settings), shlex.quote(lib.program())))

    def state(self):
        """{"has_fired": ..., "passed": {direction: bytes}}; to be asked when the run has ended."""
        lib.wait_until(lambda: os.path.exists(self._state_file), "the relay's state")
        with open(self._state_file) as file:
            return json.load(file)

    @property
    def has_fired(self):
        return self.state()["has_fired"]


def write_state(path, fault):
    with open(path + ".new", "w") as file:
        json.dump(fault.state(), file)
    os.rename(path + ".new", path)


def relay_pipes(fault, child):
    """Until either end has ended or the fault ends it."""
    routes = {0: (TO_SERVER, child.stdin.fileno()),
              child.stdout.fileno(): (TO_CLIENT, 1)}
    while routes:
        for fd in select.select(list(routes), [], [])[0]:
            direction, target = routes[fd]
            data = os.read(fd, CHUNK)
            arrives = fault.apply(direction, data)
            if arrives is None:
                return
            if not data:
                # The other direction may still have something to say.
                del routes[fd]
                if direction == TO_SERVER:
                    child.stdin.close()
                else:
                    os.close(target)
                continue
            while arrives:
                arrives = arrives[os.write(target, arrives):]


def stall(child):
    """Nothing passes; ends when both ends have given up."""
    fds = {0: select.POLLHUP, child.stdin.fileno(): select.POLLERR}
    poll = select.poll()
    for fd, events in fds.items():
        poll.register(fd, events)
    while fds:
        for fd, _ in poll.poll():
            poll.unregister(fd)
            del fds[fd]


def main():
    state_file, settings = sys.argv[1:3]
    assert sys.argv[3] == "--"
    fault = Fault(*json.loads(settings))
    child = subprocess.Popen(sys.argv[4:], stdin=subprocess.PIPE, stdout=subprocess.PIPE, bufsize=0)
    try:
        relay_pipes(fault, child)
    except BrokenPipeError:
        pass  # One end has ended.
    write_state(state_file, fault)
    if fault.has_fired and fault.how == "stall":
        stall(child)
    for fd in (0, 1):
        try:
            os.close(fd)
        except OSError:
            pass  # Closed before.
    if not child.stdin.closed:
        child.stdin.close()
    child.stdout.close()
    return child.wait()


if __name__ == "__main__":
    sys.exit(main())
