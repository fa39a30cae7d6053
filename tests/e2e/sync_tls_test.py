#!/usr/bin/python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""resilver sync against `resilver serve --listen`: TLS 1.3 with certificates of both sides, and
everybody who must not come in. The server survives all of them and serves afterwards; the kernel
(inotify) is the witness that no disk was touched for those who were refused."""

import os
import signal
import socket
import ssl
import threading
import time

import chaos
import lib
from lib import DIFFERENT, FAILED, IN_SYNC, MIB, USAGE


class TlsCase(lib.Case):
    def setUp(self):
        super().setUp()
        self.certs = lib.Certs(self.path("certs"))

    def disks(self, size=4 * MIB, kinds=lib.ALL_KINDS):
        return (lib.make_disk(self.path("a.raw"), size, self.rng, kinds),
                lib.make_disk(self.path("b.raw"), size, self.rng, kinds))

    def serve(self, exports, *options, **more):
        return self.owned(lib.Server(self.certs, exports, options, **more))

    def sync(self, *arguments, name="client", **options):
        return self.resilver("sync", "--json", *self.certs.options(name), *arguments, **options)

    def assert_in_sync(self, result):
        self.assert_exit(result, IN_SYNC)
        return lib.check_report(self, result.report)


class OverTls(TlsCase):
    def test_push(self):
        source, target = self.disks(4 * MIB + 99)
        differ = lib.different_bytes(source, target)
        server = self.serve({"vm1": target})
        disk, = self.assert_in_sync(self.sync(source, server.url("vm1")))
        self.assertEqual(disk["different_bytes"], differ)
        self.assertEqual(disk["target"], server.url("vm1"))
        self.assert_same(source, target)
        self.assertFalse(os.path.exists(target + ".resilver"))

    def test_pull(self):
        source, target = self.disks(4 * MIB + 99)
        server = self.serve({"vm1": source + ",read-only"})
        self.assert_in_sync(self.sync(server.url("vm1"), target))
        self.assert_same(source, target)

    def test_check_of_an_export_that_may_only_be_read(self):
        source, target = self.disks()
        server = self.serve({"vm1": target + ",read-only"})
        untouched = lib.Untouched(target)
        result = self.sync("--check", source, server.url("vm1"))
        self.assert_exit(result, DIFFERENT)
        lib.check_report(self, result.report, is_check=True)
        untouched.check(self)

    def test_several_exports_in_one_run(self):
        exports, options, pairs = {}, [], []
        for index in range(3):
            source = lib.make_disk(self.path("a%d" % index), 2 * MIB, self.rng)
            target = lib.make_disk(self.path("b%d" % index), 2 * MIB, self.rng)
            exports["vm/disk%d" % index] = target
            pairs.append((source, "vm/disk%d" % index))
        server = self.serve(exports)
        for source, name in pairs:
            options += ["--disk", "%s=%s" % (source, server.url(name))]
        self.assert_in_sync(self.sync(*options))
        for source, name in pairs:
            self.assert_same(source, exports[name])

    def test_many_at_the_same_time(self):
        exports, pairs = {}, []
        for index in range(5):
            source = lib.make_disk(self.path("a%d" % index), 4 * MIB, self.rng)
            exports["d%d" % index] = lib.make_disk(self.path("b%d" % index), 4 * MIB, self.rng)
            pairs.append((source, "d%d" % index))
        server = self.serve(exports)
        runs = [self.start("sync", "--bwlimit=8M", *self.certs.options("client"), source,
                           server.url(name)) for source, name in pairs]
        for process in runs:
            self.assert_exit(process.wait(), IN_SYNC)
        for source, name in pairs:
            self.assert_same(source, exports[name])

    def test_a_slow_link_is_noticed(self):
        """With nothing said, the program compresses once it sees how slow the link is."""
        source, target = self.disks(24 * MIB, ("text",))
        server = self.serve({"vm1": target})
        proxy = self.owned(chaos.Proxy(server.port, chaos.Fault(rate_bytes_per_s=4 * MIB)))
        result = self.sync(source, server.url("vm1", port=proxy.port))
        self.assert_in_sync(result)
        self.assert_same(source, target)
        wire = result.report["wire"]
        self.assertLess(wire["sent_bytes"], 24 * MIB * 0.75, result)
        self.assertGreater(wire["compressed_from_bytes"], 0)

    def test_by_address(self):
        source, target = self.disks(MIB)
        server = self.serve({"vm1": source})
        self.assert_in_sync(self.sync(server.url("vm1", host="127.0.0.1"), target))

    def test_the_server_ends_when_told_also_in_a_session(self):
        source, target = self.disks(16 * MIB, ("random",))
        for number in (signal.SIGTERM, signal.SIGINT):
            with self.subTest(signal=number):
                server = self.serve({"vm1": target})
                lib.make_disk(target, 16 * MIB, self.rng)
                process = self.start("sync", "--json", "--bwlimit=4M",
                                     *self.certs.options("client"), source, server.url("vm1"))
                lib.wait_until(lambda: lib.leaf_is_equal(source, target, 1), "the first leaves")
                server.process.signal(number)
                began = time.monotonic()
                result = server.process.wait(10)
                self.assertLess(time.monotonic() - began, 2)
                self.assertIn(result.code, (0, 1), result)
                lib.check_error(self, process.wait(), ("peer", "cancelled"))


class TlsServer:
    """Somebody else's TLS server, in a thread: shakes hands with any certificate that it is told
    to show, and says nothing. The program would not even start with most of them."""

    def __init__(self, certs, name):
        self.context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self.context.load_cert_chain(certs.file(name), certs.file(name, "key"))
        self.context.load_verify_locations(certs.file("ca"))
        self.context.verify_mode = ssl.CERT_OPTIONAL
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.port = self.listener.getsockname()[1]
        self.heard = b""
        self.thread = threading.Thread(target=self._serve, daemon=True)
        self.thread.start()

    def _serve(self):
        try:
            plain, _ = self.listener.accept()
            with plain, self.context.wrap_socket(plain, server_side=True) as secure:
                secure.settimeout(20)
                self.heard = secure.recv(4096)
        except OSError:
            pass  # The client hung up, as it should.

    def close(self):
        try:
            self.listener.shutdown(socket.SHUT_RDWR)
        except OSError:
            pass
        self.listener.close()
        self.thread.join(5)


class Refused(TlsCase):
    """The same disks, the same server; only who asks differs."""

    def setUp(self):
        super().setUp()
        self.source, self.target = self.disks(MIB)
        self.watch = self.owned(lib.Watch(self.target))
        self.mark()

    def mark(self):
        """From here on the disk shall not be touched."""
        self.untouched = lib.Untouched(self.target)
        self.watch.seen()

    def assert_not_touched(self):
        self.assertEqual(self.watch.seen(), 0, "the disk was opened for one who was refused")
        self.untouched.check(self)
        self.watch.seen()  # The check itself has just read it.

    def assert_refused(self, server, result, words):
        """result failed with these words; the disk was not touched, and the server still serves
        whoever may come in."""
        lib.check_error(self, result, ("peer", "usage", "state"), words)
        self.assert_not_touched()
        self.assert_still_serves(server)

    def assert_still_serves(self, server, name="client", host="localhost"):
        self.assertTrue(server.is_alive(), server.log())
        self.assert_in_sync(self.sync(self.source, server.url("vm1", host), name=name))
        self.assert_same(self.source, self.target)
        self.assertNotEqual(self.watch.seen(), 0, "the witness sees nothing")
        lib.flip_bit(self.target, self.rng.randrange(MIB))
        self.mark()

    def serve_target(self, *options, **more):
        return self.serve({"vm1": self.target}, *options, **more)

    WRONG_CLIENTS = (("client-other-ca", "certificate|unknown CA"), ("client-expired", "expired"),
                     ("client-future", "valid"), ("client-self-signed", "self.signed|unknown CA"),
                     ("client-for-servers", "purpose"))

    def test_clients_with_a_wrong_certificate(self):
        """A client that does not look at its own certificate, so the server has to."""
        server = self.serve_target()
        for name, words in self.WRONG_CLIENTS:
            with self.subTest(client=name):
                said_before = len(server.log())
                context = self.client_context(certificate=name)
                self.assertEqual(self.talk_tls(server, context), b"")
                line = lib.wait_until(lambda: server.log()[said_before:], "the server's log")
                self.assertRegex(line, "(?i)" + words)
                self.assert_not_touched()
                self.assert_still_serves(server)

    def test_what_the_program_says_about_a_wrong_certificate(self):
        server = self.serve_target()
        for name, words in self.WRONG_CLIENTS:
            with self.subTest(client=name):
                result = self.sync(self.source, server.url("vm1"), name=name)
                self.assert_refused(server, result, words)

    def test_clients_that_allow_does_not_name(self):
        server = self.serve_target("--allow", "client.example", "--allow", "db7.example")
        self.assert_still_serves(server, name="host")  # It bears the name among others.
        server.close()
        server = self.serve_target("--allow", "db7.example", "--allow", "client")
        result = self.sync(self.source, server.url("vm1"))
        lib.check_error(self, result, "peer", "let in|allow")
        self.assert_not_touched()
        self.assertTrue(server.is_alive())

    def test_a_name_without_alternative_names_is_the_common_name(self):
        server = self.serve_target("--allow", "client.example")
        self.assert_still_serves(server, name="client-cn")

    def test_client_without_a_certificate(self):
        server = self.serve_target()
        self.assertEqual(self.talk_tls(server, self.client_context()), b"")
        self.assert_not_touched()
        self.assert_still_serves(server)

    def test_client_of_an_older_tls(self):
        server = self.serve_target()
        context = self.client_context(certificate="client")
        context.maximum_version = ssl.TLSVersion.TLSv1_2
        self.assertEqual(self.talk_tls(server, context), b"")
        self.assert_not_touched()
        self.assert_still_serves(server)

    def client_context(self, certificate=None):
        context = ssl.create_default_context(cafile=self.certs.file("ca"))
        if certificate is not None:
            context.load_cert_chain(self.certs.file(certificate),
                                    self.certs.file(certificate, "key"))
        return context

    def talk_tls(self, server, context):
        """Shake hands as far as it goes, say something, and return what came back."""
        with socket.create_connection(("127.0.0.1", server.port), 15) as plain:
            try:
                with context.wrap_socket(plain, server_hostname="localhost") as secure:
                    secure.sendall(b"RSLV" + bytes(60))
                    return secure.recv(1000)
            except (ssl.SSLError, ConnectionError):
                return b""

    def test_plain_text_client(self):
        server = self.serve_target()
        for text in (b"GET / HTTP/1.1\r\n\r\n", bytes(1000), b"\x16\x03\x01\xff\xff" + bytes(70000),
                     self.rng.randbytes(5000)):
            with socket.create_connection(("127.0.0.1", server.port), 15) as plain:
                plain.sendall(text)
                answer = b""
                try:
                    while chunk := plain.recv(4096):
                        answer += chunk
                except ConnectionError:
                    pass
            self.assertLess(len(answer), 16, "more than a TLS alert for one who speaks no TLS")
        self.assert_not_touched()
        self.assert_still_serves(server)

    def test_silent_clients_do_not_keep_others_out(self):
        server = self.serve_target()
        silent = [socket.create_connection(("127.0.0.1", server.port), 15) for _ in range(3)]
        try:
            began = time.monotonic()
            self.assert_still_serves(server)
            self.assertLess(time.monotonic() - began, 8, "served only after the silent ones")
            for one in silent:
                one.settimeout(20)
                try:
                    self.assertEqual(one.recv(100), b"", "a silent client was answered")
                except ConnectionError:
                    pass
            self.assertLess(time.monotonic() - began, 15, "a silent client holds its slot")
        finally:
            for one in silent:
                one.close()
        self.assert_still_serves(server)

    def test_authorized_but_silent_after_the_handshake(self):
        server = self.serve_target()
        context = self.client_context(certificate="client")
        with socket.create_connection(("127.0.0.1", server.port), 15) as plain, \
                context.wrap_socket(plain, server_hostname="localhost") as secure:
            secure.settimeout(45)
            began = time.monotonic()
            try:
                while secure.recv(4096):
                    pass
            except (ConnectionError, ssl.SSLError):
                pass
            self.assertLess(time.monotonic() - began, 40)
        self.assert_not_touched()
        self.assert_still_serves(server)

    def test_unknown_export(self):
        server = self.serve_target()
        self.assert_refused(server, self.sync(self.source, server.url("vm2")), "vm2")

    def test_a_path_is_no_export(self):
        server = self.serve_target()
        for name in ("vm1/../b.raw", "b.raw", self.target[1:]):
            self.assert_refused(server, self.sync(self.source, server.url(name)), ())

    def test_export_that_may_only_be_read_as_target(self):
        server = self.serve({"vm1": self.target + ",read-only"})
        result = self.sync(self.source, server.url("vm1"))
        lib.check_error(self, result, words=("vm1", "read-only"))
        self.assertEqual(self.watch.seen() & lib.Watch.MODIFY, 0)
        self.untouched.check(self)
        self.assertTrue(server.is_alive())

    def test_create_gives_a_peer_no_new_rights(self):
        """--create from afar makes no file and changes no size unless the server says so."""
        missing = self.path("missing.raw")
        larger = lib.make_disk(self.path("larger.raw"), 2 * MIB, self.rng)
        server = self.serve({"vm1": self.target, "gone": missing})
        for source, name in ((larger, "vm1"), (self.source, "gone"), (self.source, "new")):
            lib.check_error(self, self.sync("--create", source, server.url(name)), words=name)
        self.assertFalse(os.path.exists(missing))
        self.untouched.check(self)
        server.close()
        server = self.serve({"vm1": self.target + ",create", "gone": missing + ",create"})
        for source, name, path in ((larger, "vm1", self.target), (self.source, "gone", missing)):
            self.assert_in_sync(self.sync("--create", source, server.url(name)))
            self.assert_same(source, path)

    def test_the_format_is_for_the_server_to_say(self):
        """What a guest wrote into its raw disk must not be opened as an image."""
        server = self.serve_target()
        self.assert_refused(server, self.sync("--format=qcow2", self.source, server.url("vm1")), ())

    # --- the server is the one that is not believed

    def test_servers_with_a_wrong_certificate(self):
        for name, words in (("server-other-ca", "certificate"),
                            ("server-other-name", "localhost"),
                            ("server-expired", "expired"),
                            ("server-future", "valid"),
                            ("server-self-signed", "certificate"),
                            ("server-for-clients", "certificate|purpose")):
            with self.subTest(server=name):
                server = TlsServer(self.certs, name)
                try:
                    result = self.sync(self.source, "tls://localhost:%d/vm1" % server.port)
                    lib.check_error(self, result, "peer", words)
                finally:
                    server.close()
                self.assertEqual(server.heard, b"", "it spoke to a server that it must not trust")

    def test_a_server_looks_at_its_own_certificate_first(self):
        for name, words in (("server-expired", "expired"), ("server-future", "valid"),
                            ("server-for-clients", "purpose")):
            with self.subTest(server=name):
                result = self.resilver("serve", "--listen", "127.0.0.1:0", "--export",
                                       "vm1=" + self.target, *self.certs.options(name))
                self.assertIn(result.code, (FAILED, USAGE), result)
                self.assertRegex(result.err, words)

    def test_no_tls_at_the_other_end(self):
        with socket.create_server(("127.0.0.1", 0)) as listener:
            process = self.start("sync", "--json", *self.certs.options("client"), self.source,
                                 "tls://localhost:%d/vm1" % listener.getsockname()[1])
            listener.settimeout(20)
            peer, _ = listener.accept()
            with peer:
                peer.sendall(b"220 mail.example ESMTP\r\n")
                lib.check_error(self, process.wait(30), "peer", "TLS")

    def test_an_end_that_never_answers(self):
        with socket.create_server(("127.0.0.1", 0)) as listener:
            result = self.sync(self.source, "tls://localhost:%d/vm1" % listener.getsockname()[1],
                               deadline_s=40)
            lib.check_error(self, result, "peer", "answer|within|time")

    def test_nobody_there(self):
        result = self.sync(self.source, "tls://localhost:%d/vm1" % lib.free_port())
        lib.check_error(self, result, "peer", "refused")

    def test_files_that_cannot_be_used(self):
        nowhere = "tls://localhost:%d/vm1" % lib.free_port()
        for option, path, words in (
                ("--key", self.certs.file("client-readable", "key"), "chmod|read"),
                ("--key", self.certs.file("client-locked", "key"), "passphrase|encrypted"),
                ("--key", self.certs.file("server", "key"), "match|belong"),
                ("--key", self.source, ()), ("--cert", self.source, ()), ("--ca", self.source, ()),
                ("--cert", self.certs.file("garbage"), ()), ("--ca", self.path("none"), "No such")):
            with self.subTest(option=option, path=os.path.basename(path)):
                options = self.certs.options("client")
                options[options.index(option) + 1] = path
                result = self.resilver("sync", "--json", *options, self.source, nowhere)
                lib.check_error(self, result, "usage", words, disk=os.path.basename(path))

    def test_certificates_are_demanded_on_both_sides(self):
        env = {"HOME": self.dir, "XDG_CONFIG_HOME": ""}
        result = self.resilver("sync", self.source, "tls://localhost:1/vm1", env=env)
        self.assertEqual(result.code, USAGE, result)
        self.assertIn("--cert", result.err)
        result = self.resilver("serve", "--listen", "127.0.0.1:0", "--export",
                               "vm1=" + self.target, env=env)
        self.assertEqual(result.code, USAGE, result)
        self.assertIn("--cert", result.err)


if __name__ == "__main__":
    lib.main()
