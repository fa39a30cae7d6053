#!/usr/bin/python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""Who comes to the replication port without a right to: refused with no disk opened, while others are
served."""
import os
import socket
import ssl
import sys
import time

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
import hosts  # noqa: E402
import lib  # noqa: E402
from hosts import COMPLETED, STARTED  # noqa: E402


class Strangers(hosts.HostsCase):
    SIZES = {"vda": 2 * lib.MIB}

    def setUp(self):
        super().setUp()
        self.make_pair()
        self.copy()
        self.folder = os.path.join(self.b.storage, self.a.ids["web1"])
        self.sockets = []

    def tearDown(self):
        for each in self.sockets:
            each.close()
        super().tearDown()

    def connect(self, address="127.0.0.1"):
        each = socket.create_connection(("127.0.0.1", self.b.port), 20, (address, 0))
        self.sockets.append(each)
        return each

    def context(self, cert=None, version=None):
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
        if version:
            context.maximum_version = version
        if cert:
            context.load_cert_chain(*cert)
        return context

    def stranger(self):
        """A key and certificate that nobody was ever paired with."""
        cert, key = self.path("stranger.pem"), self.path("stranger.key")
        lib.must(["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt",
                  "ec_paramgen_curve:P-256", "-nodes", "-subj", "/CN=alpha", "-days", "2",
                  "-keyout", key, "-out", cert])
        return cert, key

    def speak(self, context, protocol):
        """What a stranger gets who shakes hands and then speaks."""
        context.set_alpn_protocols([protocol])
        raw = self.connect()
        try:
            with context.wrap_socket(raw) as link:
                link.sendall(b"\0\0\0\x20" + b'{"resilver": 1, "call": "hello"}')
                return link.recv(4096)
        except OSError:
            return b""

    def opened(self):
        """What of the replica the daemon has open."""
        folder = "/proc/%d/fd" % self.b.process.pid
        found = []
        for fd in os.listdir(folder):
            try:
                found.append(os.readlink(os.path.join(folder, fd)))
            except OSError:
                continue
        return [path for path in found if path.startswith(self.b.storage)]

    def check_served(self):
        self.assertEqual(self.opened(), [])
        self.change("web1")
        value, job = self.a.resync("web1")
        self.assertEqual(value, STARTED, job)
        self.assertEqual(self.a.wait_job(job)["state"], COMPLETED)
        self.check_replica("web1")

    def test_a_certificate_that_nobody_knows(self):
        for protocol in ("resilver-peer/1", "resilver-session/1", "resilver-pair/1"):
            self.assertEqual(self.speak(self.context(self.stranger()), protocol), b"", protocol)
        self.check_served()

    def test_no_certificate(self):
        self.assertEqual(self.speak(self.context(), "resilver-peer/1"), b"")
        self.check_served()

    def test_the_right_certificate_with_another_key(self):
        """The certificate is no secret; its key is."""
        _, key = self.stranger()
        result = lib.run(["openssl", "s_client", "-connect", "127.0.0.1:%d" % self.b.port, "-cert",
                          self.a.tls_file("cert"), "-key", key, "-alpn", "resilver-peer/1"])
        self.assertNotEqual(result.code, 0, result)
        self.check_served()

    def test_an_older_tls(self):
        cert = (self.a.tls_file("cert"), self.a.tls_file("key"))
        self.assertEqual(self.speak(self.context(cert, ssl.TLSVersion.TLSv1_2), "resilver-peer/1"),
                         b"")
        self.check_served()

    def test_an_unknown_protocol(self):
        cert = (self.a.tls_file("cert"), self.a.tls_file("key"))
        self.assertEqual(self.speak(self.context(cert), "http/1.1"), b"")
        self.check_served()

    def test_plain_text(self):
        for words in (b"GET / HTTP/1.1\r\n\r\n", b"RESILVER" * 8, bytes(600), b"\x16\x03\x01\xff\xff"):
            each = self.connect()
            each.sendall(words)
            each.shutdown(socket.SHUT_WR)
            while each.recv(4096):
                pass  # an alert at most, then the end
        self.check_served()

    def test_stalled_and_flooding(self):
        stalled = [self.connect("127.0.0.%d" % (2 + number % 3)) for number in range(45)]
        for each in stalled:
            each.setblocking(False)
        for _ in range(100):  # from one address: most are closed at once
            self.connect("127.0.0.9").setblocking(False)
        self.check_served()
        end = time.monotonic() + 20

        def is_closed(each):
            try:
                return each.recv(1) == b""
            except BlockingIOError:
                return False
            except OSError:
                return True
        lib.wait_until(lambda: all(is_closed(each) for each in stalled) or
                       time.monotonic() > end, "the stalled are cut", 30)
        self.assertTrue(all(is_closed(each) for each in stalled))
        self.check_served()

    def test_one_that_may_ask_for_more_than_its_own(self):
        """A paired host names another's VM: there is nothing of the kind for it."""
        c = self.make_host("gamma", {"web9": self.make_vm("web9")})
        c.ids["web9"] = self.a.ids["web1"]
        c.write_config()
        c.start()
        hosts.pair(c, self.b)
        self.b.allow(c)
        before = lib.Untouched(self.b.replica(self.a.ids["web1"], "vda"))
        with self.assertRaises(hosts.Refused) as refused:
            c.create("web9", self.b)
        self.assertEqual(refused.exception.value, 32774)
        before.check(self)
        self.check_served()

    def test_an_entry_that_is_gone(self):
        self.b.ask("DELETE", "/v1/authorizations/alpha")
        value, message = self.a.resync("web1")
        self.assertEqual(value, 32769, message)
        self.assertEqual(self.opened(), [])
        self.b.allow(self.a)
        self.check_served()


if __name__ == "__main__":
    lib.main()
