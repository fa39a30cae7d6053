#!/usr/bin/python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""Bytes that are no HTTP, or more than one reading of it (RFC 9112): refused or read in the only
way, and nothing that hides behind a request is ever taken for another."""
import os
import re
import socket
import sys

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
import gateway  # noqa: E402
import hostile  # noqa: E402
import lib  # noqa: E402

BODY_MAX = 512 * 1024
CLOSED = 0  # no answer: the connection ends
RIGHT = gateway.basic("victor").encode()


def chunk(data):
    return b"%x\r\n%s\r\n" % (len(data), data)


class HttpCase(hostile.HostileCase):
    IS_REPLICATED = False
    HAS_TLS = False

    def setUp(self):
        super().setUp()
        # Who has no VM is asked for all the same.
        self.operations = {protocol: self.simple(protocol) for protocol in ("cimxml", "wsman")}
        self.status, _, self.right = hostile.ask(self.ports()["cimxml"], self.operations["cimxml"],
                                                 RIGHT.decode())
        self.assertEqual(self.status, 200)

    def head(self, protocol, *lines, first=None, without=(), authorization=RIGHT, host=True):
        """A right head of the operation, without its length."""
        operation = self.operations[protocol]
        found = [first or b"POST %s HTTP/1.1" % operation.path.encode()]
        found += [b"Host: gateway"] if host else []
        found += [b"Authorization: " + authorization] if authorization else []
        found += [("%s: %s" % item).encode() for item in operation.headers.items()
                  if item[0] not in without]
        return b"\r\n".join(found + list(lines)) + b"\r\n\r\n"

    def whole(self, protocol, *lines, **more):
        body = self.operations[protocol].body
        return self.head(protocol, b"Content-Length: %d" % len(body), *lines, **more) + body

    def exchange(self, port, data, count=1, timeout=15, is_all=False):
        """The statuses of what comes, up to `count` of them; is_all: nothing else will be said."""
        connection = hostile.connect(port)
        try:
            connection.sendall(data)
            if is_all:
                connection.shutdown(socket.SHUT_WR)  # or it would wait for more
            return hostile.read_answers(connection, count, timeout)
        except OSError:
            return []
        finally:
            connection.close()


class Framing(HttpCase):
    """Each case ends with a whole right request that must not be answered where there is doubt."""

    def test_where_a_request_ends(self):
        for protocol, port in self.ports().items():
            body = self.operations[protocol].body
            for what, data, statuses in self.cases(protocol, body):
                with self.subTest(what, protocol=protocol):
                    self.check(protocol, port, data, statuses)
        self.check_served()

    def check(self, protocol, port, data, statuses):
        hidden = self.whole(protocol)
        if statuses == [200]:  # it was right: the one behind it is answered, too
            self.assertEqual(self.exchange(port, data + hidden, 2), [200, 200])
            return
        connection = hostile.connect(port)
        try:
            connection.sendall(data + hidden)
            connection.shutdown(socket.SHUT_WR)  # or it would wait for more
        except OSError:
            pass  # refused before it was whole
        # Who waits for more may do so; that he does not for long is seen elsewhere.
        waits = statuses == [CLOSED]
        answer, is_closed = hostile.read_all(connection, 1 if waits else 15)
        connection.close()
        self.assertTrue(is_closed or waits)
        # libmicrohttpd writes the head of some of its refusals twice: all of them are looked at.
        for status in re.findall(rb"HTTP/1\.[01] (\d{3}) ", answer):
            self.assertIn(int(status), statuses, answer)
        if not answer:
            self.assertIn(CLOSED, statuses)

    def cases(self, protocol, body):
        def length(text, sent=body):
            return self.head(protocol, b"Content-Length: " + text) + sent

        def chunked(sent, *lines):
            return self.head(protocol, b"Transfer-Encoding: chunked", *lines) + sent
        size = b"%d" % len(body)
        whole = chunk(body) + b"0\r\n\r\n"
        bad, right = [400, CLOSED], [200]
        return (
            ("a right length", length(size), right),
            ("a padded length", length(b"000" + size), [200]),
            ("blanks before it", length(b"  \t" + size), right),
            ("too small", length(b"%d" % (len(body) - 9)), [400, 405, 500, CLOSED]),
            ("negative", length(b"-" + size), bad),
            ("signed", length(b"+" + size), bad),
            ("in hex", length(b"0x%x" % len(body)), bad),
            ("empty", length(b""), bad),
            ("with a letter", length(size + b"a"), bad),
            ("with a point", length(size + b".0"), bad),
            ("a list", length(size + b", " + size), bad),
            ("two in one", length(size + b" " + size), bad),
            ("beyond 64 bits", length(b"1" + b"0" * 30), [400, 413, CLOSED]),
            ("2^64 and the length", length(b"%d" % (2 ** 64 + len(body))), [400, 413, CLOSED]),
            ("2^63", length(b"%d" % 2 ** 63), [400, 413, CLOSED]),
            ("2^64-1", length(b"%d" % (2 ** 64 - 1)), [400, 413, CLOSED]),
            ("huge", length(b"1000000000"), [413, CLOSED]),
            ("twice the same", length(size + b"\r\nContent-Length: " + size), bad),
            ("twice another", length(size + b"\r\nContent-Length: 0"), bad),
            ("a blank before the colon",
             self.head(protocol, b"Content-Length : " + size) + body, bad),
            ("with chunks", self.head(protocol, b"Content-Length: " + size,
                                      b"Transfer-Encoding: chunked") + whole, bad),
            ("with chunks, the other way", self.head(protocol, b"Transfer-Encoding: chunked",
                                                     b"Content-Length: " + size) + whole, bad),
            ("right chunks", chunked(whole), right),
            ("many chunks", chunked(b"".join(chunk(body[at:at + 7])
                                             for at in range(0, len(body), 7)) + b"0\r\n\r\n"), right),
            ("chunks with an extension", chunked(b"%x;a=b\r\n%s\r\n0\r\n\r\n" % (len(body), body)),
             [200]),
            ("chunks with a trailer", chunked(chunk(body) + b"0\r\nX-More: 1\r\n\r\n"), [200]),
            ("a chunk that overflows",
             chunked(b"%x\r\n%s\r\n0\r\n\r\n" % (2 ** 64 + len(body), body)),
             [400, 413, CLOSED]),
            ("a chunk of 2^63", chunked(b"8000000000000000\r\n%s\r\n" % body), [CLOSED]),
            ("a negative chunk", chunked(b"-%x\r\n%s\r\n" % (len(body), body)), bad),
            ("a signed chunk", chunked(b"+%x\r\n%s\r\n0\r\n\r\n" % (len(body), body)), bad),
            ("a chunk with 0x", chunked(b"0x%x\r\n%s\r\n0\r\n\r\n" % (len(body), body)), bad),
            ("a chunk without a size", chunked(b"\r\n%s\r\n0\r\n\r\n" % body), bad),
            ("a chunk of letters", chunked(b"xyz\r\n%s\r\n0\r\n\r\n" % body), bad),
            ("a chunk that is longer",
             chunked(b"%x\r\n%s\r\n0\r\n\r\n" % (len(body) - 5, body)), bad),
            ("chunks twice", self.head(protocol, b"Transfer-Encoding: chunked",
                                       b"Transfer-Encoding: chunked") + whole, [400, 501, CLOSED]),
            ("chunked, identity",
             self.head(protocol, b"Transfer-Encoding: chunked, identity") + whole,
             [400, 501, CLOSED]),
            ("another coding", self.head(protocol, b"Transfer-Encoding: gzip, chunked") + whole,
             [400, 501, CLOSED]),
            ("an unknown coding", self.head(protocol, b"Transfer-Encoding: xchunked") + whole,
             [400, 501, CLOSED]),
            ("chunked with a tab", self.head(protocol, b"Transfer-Encoding:\x0bchunked") + whole,
             [400, 501, CLOSED]),
            ("chunks in HTTP/1.0", self.head(protocol, b"Transfer-Encoding: chunked",
                                             first=self.first(protocol, b"HTTP/1.0")) + whole, bad),
        )

    def first(self, protocol, version):
        return b"POST %s %s" % (self.operations[protocol].path.encode(), version)


class Heads(HttpCase):
    def test_heads(self):
        for protocol, port in self.ports().items():
            for what, data, statuses in self.cases(protocol, self.operations[protocol]):
                with self.subTest(what, protocol=protocol):
                    is_answered = 200 in statuses or CLOSED not in statuses
                    found = self.exchange(port, data, 1, 15 if is_answered else 2,
                                          is_all=not is_answered) or [CLOSED]
                    self.assertIn(found[0], statuses)
            self.check_served()

    def cases(self, protocol, operation):
        path = operation.path.encode()

        def first(line, *lines, **more):
            return self.whole(protocol, *lines, first=line, **more)

        def line(*lines, **more):
            return self.whole(protocol, *lines, **more)
        refused, gone = [400, CLOSED], [400, 404, CLOSED]
        long = [413, 414, 431, 400, CLOSED]
        yield from (
            ("10^4 headers", line(*(b"X-%d: 1" % number for number in range(10000))), long),
            ("a long header", line(b"X-Long: " + b"x" * 100000), long),
            ("a long name", line(b"X" * 100000 + b": 1"), long),
            ("a long path", first(b"POST /" + b"a" * 100000 + b" HTTP/1.1"), long),
            ("a long method", first(b"P" * 100000 + b" %s HTTP/1.1" % path), long + [405]),
            # libmicrohttpd ends a value there, and so nobody sees what is behind it.
            ("a NUL in a header", line(b"X-Nul: a\0b"), refused + [200]),
            ("a NUL in a name", line(b"X\0Nul: a"), refused),
            ("a NUL behind the password", line(authorization=RIGHT + b"\0x"), refused + [200]),
            ("a blank in a name", line(b"X Blank: a"), refused),
            ("a bracket in a name", line(b"X(a): a"), refused),
            ("a NUL in the path", first(b"POST %s\0.html HTTP/1.1" % path), gone),
            ("an escaped NUL", first(b"POST %s%%00 HTTP/1.1" % path), gone),
            ("a CR in a header", line(b"X-Cr: a\rb"), refused),
            ("up", first(b"POST /..%s HTTP/1.1" % path), gone),
            ("up and down", first(b"POST /x/../../etc/passwd HTTP/1.1"), gone),
            ("escaped dots", first(b"POST /%%2e%%2e%s HTTP/1.1" % path), gone),
            ("escaped slashes", first(b"POST ..%2f..%2fetc%2fpasswd HTTP/1.1"), gone),
            ("two slashes", first(b"POST /%s HTTP/1.1" % path), gone),
            ("another case", first(b"POST %s HTTP/1.1" % path.upper()), gone),
            ("a fragment", first(b"POST %s#x HTTP/1.1" % path), gone),
            ("a broken escape", first(b"POST %s%%4 HTTP/1.1" % path), gone),
            ("an absolute URI", first(b"POST http://else.where%s HTTP/1.1" % path), [200]),
            ("another scheme", first(b"POST file://%s HTTP/1.1" % path), gone),
            ("an absolute URI with a name", first(b"POST http://a:b@c%s HTTP/1.1" % path), [200]),
            ("an authority", first(b"CONNECT gateway:443 HTTP/1.1"), gone + [405]),
            ("no path", first(b"POST * HTTP/1.1"), gone),
            ("OPTIONS *", first(b"OPTIONS * HTTP/1.1"), gone + [405]),
            ("an empty path", first(b"POST  HTTP/1.1"), gone),
            ("blanks in the path", first(b"POST %s /x HTTP/1.1" % path), gone + [505]),
            ("a query", first(b"POST %s?user=admin HTTP/1.1" % path), [200]),
            ("HTTP/0.9", b"GET %s\r\n" % path, [400, 404, 405, 505, CLOSED]),
            ("HTTP/1.2", first(b"POST %s HTTP/1.2" % path), [400, 505, CLOSED]),
            ("HTTP/3", first(b"POST %s HTTP/3" % path), [400, 505, CLOSED]),
            ("HTTP/11", first(b"POST %s HTTP/11" % path), [400, 505, CLOSED]),
            ("lower case", first(b"POST %s http/1.1" % path), [400, 505, CLOSED]),
            ("HTTP/2", b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + b"\0\0\0\x04\0\0\0\0\0",
             [400, 404, 405, 505, CLOSED]),
            ("an upgrade", line(b"Connection: Upgrade, HTTP2-Settings", b"Upgrade: h2c",
                                b"HTTP2-Settings: AAMAAABkAAQAAP__"), [200]),
            ("PROXY", b"PROXY TCP4 127.0.0.1 127.0.0.1 1 2\r\n" + line(), [400, 405, 505, CLOSED]),
            ("PROXY 2", b"\r\n\r\n\0\r\nQUIT\n\x20\0\0\0" + line(), [400, 405, 505, CLOSED]),
            ("TLS", hostile.HELLO + b"\r\n\r\n",
             [400, 405, 505, CLOSED]),
            ("no Host", line(host=False), refused),
            ("two Hosts", line(b"Host: other"), refused),
            ("Expect", line(b"Expect: 100-continue"), [200]),
            ("Expect another", line(b"Expect: 200-ok"), [417, 400, CLOSED]),
            ("a line without a colon", line(b"nonsense"), refused),
            # libmicrohttpd takes it for the end of the head: what follows is no right body then.
            ("an empty name", line(b": x"), refused + [500]),
            ("a folded line", line(b"X-Fold: a\r\n b"), refused + [200]),
            ("compressed", line(b"Content-Encoding: gzip"), [415]),
            ("bare line ends", line().replace(b"\r\n", b"\n"), refused + [200]),
        )
        for verb in (b"GET", b"HEAD", b"PUT", b"DELETE", b"OPTIONS", b"TRACE", b"PATCH", b"M-POST",
                     b"PROPFIND", b"post", b"POSTX", b"CONNECT"):
            yield verb.decode(), first(b"%s %s HTTP/1.1" % (verb, path)), [405]
        yield "no method", first(b" %s HTTP/1.1" % path), [400, 405, CLOSED]

    def test_a_trace_tells_nothing(self):
        for port in self.ports().values():
            connection = hostile.connect(port)
            connection.sendall(self.whole("cimxml", b"Connection: close",
                                          first=b"TRACE /cimom HTTP/1.1"))
            data, is_closed = hostile.read_all(connection)
            connection.close()
            self.assertTrue(is_closed)
            self.assertNotIn(RIGHT, data)

    def test_a_forwarded_address_is_not_believed(self):
        """It would free whoever guesses from his count, and lay the guesses at another's door."""
        source = hostile.address()
        wrong = gateway.basic("victor", "wrong")
        for number in range(11):
            operation = self.operations["cimxml"]
            operation = operation._replace(headers={
                **operation.headers, "X-Forwarded-For": "203.0.113.%d" % number,
                "Forwarded": "for=203.0.113.%d" % number, "X-Real-IP": "203.0.113.%d" % number})
            found = hostile.ask(self.ports()["cimxml"], operation,
                                wrong.replace("victor", "v%d" % number), source=source)[0]
            self.assertEqual(found, 401 if number < 10 else 429)
        self.assertNotIn("203.0.113", self.gateway.audit_text())
        self.assertIn(source, self.gateway.audit_text())

    def test_pipelined_requests_are_answered_in_order(self):
        for protocol, port in self.ports().items():
            right, wrong = self.whole(protocol), self.whole(protocol, authorization=None)
            found = self.exchange(port, (right + wrong) * 100, 200, 30)
            self.assertEqual(found, [200, 401] * 100, protocol)

    def test_a_body_may_have_its_size_and_no_byte_more(self):
        for protocol, port in self.ports().items():
            body = self.operations[protocol].body
            for size, statuses in ((BODY_MAX, [200]), (BODY_MAX + 1, [413])):
                for framed in (lambda data: self.head(protocol, b"Content-Length: %d" % len(data))
                               + data,
                               lambda data: self.head(protocol, b"Transfer-Encoding: chunked")
                               + chunk(data) + b"0\r\n\r\n"):
                    data = framed(body + b" " * (size - len(body)))
                    self.assertEqual(self.exchange(port, data), statuses, (protocol, size))
            # What is far too long is not even read to its end.
            endless = self.head(protocol, b"Transfer-Encoding: chunked") + chunk(b" " * 60000) * 100
            self.assertIn(self.exchange(port, endless), ([413], []))
        self.check_served()

    def test_each_header_may_be_left_out(self):
        for protocol, port in self.ports().items():
            for name in (*self.operations[protocol].headers, "Host", "Authorization"):
                with self.subTest(name, protocol=protocol):
                    found = self.exchange(port, self.whole(
                        protocol, without=(name,), host=name != "Host",
                        authorization=None if name == "Authorization" else RIGHT))
                    is_fine = name == "CIMProtocolVersion" or protocol == "wsman"
                    refused = name in ("Host", "Authorization") or not is_fine
                    self.assertIn(found[0], (400, 401, 415) if refused else (200,))
        self.check_served()


class Dropped(HttpCase):
    HAS_TLS = True

    def test_a_connection_may_end_anywhere(self):
        self.plain()
        self.over_tls()
        self.one_byte_at_a_time()
        self.check_served()
        self.check_leftovers()

    def plain(self):
        """After each byte of the head, at some of the body, and before the answer is there; with an
        end, and with a reset."""
        for protocol, port in self.ports().items():
            data = self.whole(protocol)
            points = [*range(0, data.index(b"\r\n\r\n") + 5), *range(len(data) - 200, len(data), 3),
                      len(data)]
            for number, point in enumerate(points):
                connection = hostile.connect(port)
                connection.sendall(data[:point])
                if number % 2:
                    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER,
                                          b"\1\0\0\0\0\0\0\0")
                connection.close()

    def check_leftovers(self):
        """No connection stays open at the gateway for longer than a request may take."""
        def count():
            with open("/proc/net/tcp") as file:
                rows = [line.split() for line in file.readlines()[1:]]
            ports = {"%04X" % port for tls in (False, True) for port in self.ports(tls).values()}
            return [row for row in rows
                    if row[1].rpartition(":")[2] in ports and row[3] in ("01", "08")]
        lib.wait_until(lambda: not count(), "the end of the connections", 15, every_s=0.1)

    def over_tls(self):
        context = self.tls()
        for protocol, port in self.ports(True).items():
            data = self.whole(protocol)
            for point in range(0, len(data), 40):
                connection = hostile.connect(port, context=context)
                connection.sendall(data[:point])
                connection.close()
            # And within the handshake.
            for point in range(0, 60):
                connection = hostile.connect(port)
                connection.sendall(hostile.HELLO[:point])
                connection.close()
            connection = hostile.connect(port)
            connection.sendall(data)  # who thinks that it is HTTP
            _, is_closed = hostile.read_all(connection)
            connection.close()
            self.assertTrue(is_closed)

    def one_byte_at_a_time(self):
        for protocol, port in self.ports().items():
            connection = hostile.connect(port)
            for at in self.whole(protocol):
                connection.sendall(bytes([at]))
            self.assertEqual(hostile.read_answers(connection), [200])
            connection.close()


if __name__ == "__main__":
    lib.main()
