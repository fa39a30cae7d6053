#!/usr/bin/python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""Many who hold on to what they have: slow ones, silent ones, and one with a password who opens all
that can be opened. Others are served meanwhile, and the gateway ends when it is told to."""
import collections
import concurrent.futures
import os
import resource
import select
import signal
import socket
import statistics
import sys
import threading
import time

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
import gateway  # noqa: E402
import hostile  # noqa: E402
import lib  # noqa: E402
from calls import PROTOCOLS, SYSTEM, Caller  # noqa: E402

RIGHT = gateway.basic()
EACH = 300  # slow clients at each listener
CLOSED_S = 15
STOP_S = 10
CONTEXTS_EACH = 32


class Others:
    """Somebody who asks in order, over and over, at all listeners."""

    def __init__(self, case):
        self.case = case
        self.context = case.tls() if case.HAS_TLS else None
        self.seconds, self.failed = [], []
        self.is_over = False
        self.thread = threading.Thread(target=self.run)
        self.thread.start()

    def run(self):
        while not self.is_over:
            for tls in (False, True) if self.context else (False,):
                for protocol, port in self.case.ports(tls).items():
                    started = time.monotonic()
                    try:
                        status = hostile.ask(port, self.case.simple(protocol),
                                             gateway.basic("user"),
                                             context=self.context if tls else None)[0]
                    except OSError as error:
                        status = repr(error)
                    self.seconds.append(time.monotonic() - started)
                    if status != 200:
                        self.failed.append(status)
            time.sleep(0.02)

    def close(self):
        self.is_over = True
        self.thread.join()

    def check(self):
        self.close()
        self.case.assertEqual(self.failed, [])
        self.case.assertGreater(len(self.seconds), 5)
        self.case.assertLess(statistics.quantiles(self.seconds, n=20)[-1], 1)


class LoadCase(hostile.HostileCase):
    HAS_TLS = True

    def setUp(self):
        hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
        resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
        super().setUp()

    def request(self, protocol, operation=None, authorization=RIGHT):
        """Its bytes, and how many of them are the head."""
        operation = operation or self.simple(protocol)
        lines = ["POST %s HTTP/1.1" % operation.path, "Host: x",
                 "Content-Length: %d" % len(operation.body)]
        lines += ["%s: %s" % item for item in operation.headers.items()]
        lines += ["Authorization: " + authorization] if authorization else []
        head = "\r\n".join(lines).encode() + b"\r\n\r\n"
        return head + operation.body, len(head)


class Slow(LoadCase):
    IS_REPLICATED = False

    def kinds(self, protocol, tls):
        """(what it sends at once, what it sends a byte a second)"""
        whole, head = self.request(protocol)
        nobody, _ = self.request(protocol, authorization=None)
        if tls:
            hello = hostile.HELLO
            return ((b"", b""), (hello[:3], b""), (hello[:200], b""), (b"", hello),
                    (hello[:9], hello))
        return ((b"", b""), (b"", whole), (whole[:head // 2], b""), (whole[:head // 2], whole),
                (whole[:head - 1], b""), (whole[:head], b""), (whole[:head + 20], b""),
                (whole[:head], whole[head:]), (whole[:-1], b""),
                (nobody, b""),  # it is refused, and its answer never read
                (nobody, nobody))

    def test_slow_clients_are_closed_and_others_are_served(self):
        self.check_served()
        others = self.owned(Others(self))
        self.clients, self.poll, self.held_s = {}, select.poll(), []
        for tls in (False, True):
            for protocol, port in self.ports(tls).items():
                kinds = self.kinds(protocol, tls)
                for number in range(EACH):
                    self.begin(port, *kinds[number % len(kinds)])
        greedy = [self.begin_greedy(protocol) for protocol in PROTOCOLS for _ in range(15)]
        self.assertEqual(len(self.clients), 4 * EACH)
        usage = hostile.Usage(self.gateway.process.pid)
        late = self.wait_for_their_end()
        others.check()
        self.assertEqual(late, [])
        self.assertGreater(statistics.median(self.held_s), 5)  # they were in the way
        self.assertLess(usage.more_memory(), 256 * lib.MIB)
        for each in greedy:
            each.close()
        self.check_served()

    def begin(self, port, at_once, slowly):
        connection = hostile.connect(port)
        connection.sendall(at_once)
        connection.setblocking(False)
        self.clients[connection.fileno()] = [connection, time.monotonic(), slowly]
        # Not to read anything is part of it: only an end is waited for.
        self.poll.register(connection, select.POLLRDHUP | select.POLLHUP | select.POLLERR)

    def begin_greedy(self, protocol):
        """Asks for much, again and again, and reads nothing."""
        operation = hostile.cimxml("x", lambda client: client.intrinsic(
            "EnumerateClasses", DeepInheritance=True, LocalOnly=False, IncludeQualifiers=True))
        if protocol == "wsman":
            operation = hostile.wsman("x", lambda client: client.send(
                gateway.TRANSFER + "Get", hostile.CLASS_URI,
                {"ClassName": "Msvm_ReplicationService"}))
        connection = socket.socket()
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        connection.bind((hostile.address(), 0))
        connection.connect(("127.0.0.1", self.ports()[protocol]))
        connection.sendall(self.request(protocol, operation)[0] * 4)
        return connection

    def wait_for_their_end(self):
        """Those that were not closed in time: what they had still to say."""
        late, due = [], time.monotonic()
        while self.clients:
            for fd, _ in self.poll.poll(50):
                self.end(fd)
            now = time.monotonic()
            for fd, (_, started, slowly) in list(self.clients.items()):
                if now - started > CLOSED_S:
                    late.append((fd, slowly[:20]))
                    self.end(fd)
            if now >= due:
                due += 1
                self.drip()
        return late

    def end(self, fd):
        connection, started, _ = self.clients.pop(fd)
        self.held_s.append(time.monotonic() - started)
        self.poll.unregister(connection)
        connection.close()

    def drip(self):
        for client in self.clients.values():
            try:
                client[2] = client[2][client[0].send(client[2][:1]):]
            except OSError:
                pass  # closed: the poll tells


class Abuser(LoadCase):
    HAS_TLS = False

    def setUp(self):
        super().setUp()
        self.others = self.owned(Others(self))

    def count(self, user, operation, times):
        """{how it was answered: how often}, over one connection."""
        stranger = hostile.Stranger(self.ports()[operation.protocol])
        found = collections.Counter()
        for _ in range(times):
            status, _, text = stranger.ask(operation, gateway.basic(user))
            self.assertIn(status, (200, 500), text)
            found["limit" if b'ERROR CODE="27"' in text or b"QuotaLimit" in text
                  else "fine" if status == 200 and b"<ERROR" not in text else text] += 1
        stranger.close()
        return found

    def test_enumerations_and_subscriptions_have_a_limit(self):
        usage = hostile.Usage(self.gateway.process.pid)
        opening = hostile.cimxml("open", lambda client: client.intrinsic(
            "OpenEnumerateInstances", ClassName={"class": SYSTEM}, MaxObjectCount=0))
        enumerating = hostile.wsman("open", lambda client: client.enumerate(SYSTEM))
        subscribing = hostile.action_operation(
            "EVENTING/Subscribe", *hostile.action_calls(self.names)["EVENTING/Subscribe"])
        self.assertEqual(self.count("olga", opening, 1000),
                         {"fine": CONTEXTS_EACH, "limit": 1000 - CONTEXTS_EACH})
        # What one protocol has taken is not there in the other.
        self.assertEqual(self.count("olga", enumerating, 20), {"limit": 20})
        self.assertEqual(self.count("admin", enumerating, 200),
                         {"fine": CONTEXTS_EACH, "limit": 200 - CONTEXTS_EACH})
        self.assertEqual(self.count("victor", subscribing, 200),
                         {"fine": CONTEXTS_EACH, "limit": 200 - CONTEXTS_EACH})
        # He is not kept from all else, and others are from nothing.
        self.assertEqual(self.count("olga", self.simple("cimxml"), 3), {"fine": 3})
        for operation in (opening, enumerating, subscribing):
            self.assertEqual(self.count("cimtest", operation, 3), {"fine": 3})
        self.assertLess(usage.more_memory(), 256 * lib.MIB)
        self.others.check()

    def test_a_flood_of_resynchronizations_makes_one_job_at_a_time(self):
        before = len(self.a.jobs(True))
        with concurrent.futures.ThreadPoolExecutor(20) as pool:
            values = collections.Counter(
                value for some in pool.map(self.flood, range(20)) for value in some)
        self.assertEqual(sum(values.values()), 300)
        self.assertLessEqual(set(values), {4096, 32774, 32775}, values)
        self.assertEqual(len(self.a.jobs(True)) - before, values[4096], values)
        self.assertGreaterEqual(values[4096], 1)
        text = self.gateway.audit_text()
        self.assertEqual(sum('"Resynchronize"' in line or ".Resynchronize" in line
                             for line in text.splitlines()), 300)
        self.others.check()
        for job in self.a.jobs(True):
            self.a.wait_job(job["id"])
        self.check_replica("web1")

    def flood(self, number):
        caller = Caller(self.gateway, PROTOCOLS[number % 2], "olga")
        values = [caller.resynchronize("HOST1", self.vm_id)[0] for _ in range(15)]
        caller.close()
        return values


class Stop(LoadCase):
    def test_the_gateway_ends_with_hostile_clients_attached(self):
        self.attached = []
        for tls in (False, True):
            for protocol, port in self.ports(tls).items():
                whole, head = self.request(protocol)
                for part in ((b"", hostile.HELLO[:100]) if tls else
                             (b"", whole[:9], whole[:head], whole[:-1], whole)):
                    for _ in range(20):
                        self.attach(hostile.connect(port), part)
        context = self.tls()
        for protocol, port in self.ports(True).items():
            whole, head = self.request(protocol)
            for part in (b"", whole[:head], whole):
                self.attach(hostile.connect(port, context=context), part)
        self.wait_for_events()
        is_over = threading.Event()
        self.addCleanup(is_over.set)
        with concurrent.futures.ThreadPoolExecutor(4) as pool:
            hammers = [pool.submit(self.hammer, protocol, is_over) for protocol in PROTOCOLS * 2]
            lib.wait_until(lambda: self.answers > 50, "the answers", 20)
            started = time.monotonic()
            self.gateway.process.signal(signal.SIGTERM)
            result = self.gateway.process.wait(60)
            self.assertLess(time.monotonic() - started, STOP_S)
            is_over.set()
            self.assertLessEqual({status for each in hammers for status in each.result()},
                                 {200, 503})
        self.assertEqual(result.code, 0, result)
        for each in self.attached:
            each.close()

    answers = 0

    def attach(self, connection, part):
        connection.sendall(part)
        self.attached.append(connection)

    def wait_for_events(self):
        """Pulls that wait for what does not happen."""
        client = self.owned(self.gateway.wsman("olga"))
        for _ in range(10):
            body = client.send(gateway.EVENTING + "Subscribe",
                               gateway.DMTF + "Msvm_ConcreteJob", None, hostile.SUBSCRIBE)
            context = body.findtext(".//n:EnumerationContext", None, gateway.SPACES)
            pull = hostile.wsman("pull", lambda client: client.send(
                gateway.ENUMERATION + "Pull", gateway.DMTF + "Msvm_ConcreteJob", None,
                "<n:Pull><n:EnumerationContext>%s</n:EnumerationContext></n:Pull>" % context,
                "<w:OperationTimeout>PT60S</w:OperationTimeout>"))
            data, _ = self.request("wsman", pull, gateway.basic("olga"))
            self.attach(hostile.connect(self.ports()["wsman"]), data)

    def hammer(self, protocol, is_over):
        """Somebody honest: what he is told until the end."""
        statuses = []
        while not is_over.is_set():
            try:
                port = self.ports()[protocol]
                statuses.append(hostile.ask(port, self.simple(protocol), RIGHT)[0])
                self.answers += 1
            except (OSError, hostile.http.client.HTTPException):
                time.sleep(0.01)
        return statuses


if __name__ == "__main__":
    lib.main()
