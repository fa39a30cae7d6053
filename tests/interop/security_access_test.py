#!/usr/bin/python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""Nobody gets in without credentials: every operation, in every way of not having them; guesses are
counted; and when what decides is broken, nobody gets in at all."""
import base64
import concurrent.futures
import json
import os
import re
import ssl
import statistics
import sys
import time

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
import gateway  # noqa: E402
import hostile  # noqa: E402
import lib  # noqa: E402
from calls import SERVICE, SYSTEM  # noqa: E402

TRIES_MAX = 10


def code(text, scheme="Basic "):
    return scheme + base64.b64encode(text).decode()


RIGHT = gateway.basic("cimtest")
# Ways of being nobody, tried with each operation.
WAYS = ((), ("",), ("Basic !!!!",), (code(b"cimtest:" + b"x" * 6000),),
        ("Bearer " + RIGHT.split()[1],), (RIGHT, RIGHT))
# More of them, in turn.
MORE_WAYS = (
    ("Negotiate " + RIGHT.split()[1],), (RIGHT, ""), ("", RIGHT), (RIGHT, "Bearer x"),
    ('Digest username="cimtest", realm="", nonce="", uri="/cimom", response=""',),
    ("basicx " + RIGHT.split()[1],), (RIGHT.split()[1],), ("Basic",), (code(b"cimtest"),),
    (code(b"cimtest\0:T3st-pw!"),), (code(b":T3st-pw!"),), (RIGHT[:-2],), (RIGHT + "=",),
    (RIGHT + " " + RIGHT,), (RIGHT + ", " + RIGHT,),
)
# Those that look alike, and are not.
SIMILAR = (b"cimtest:", b"CIMTEST:T3st-pw!", b"cimtest :T3st-pw!", b" cimtest:T3st-pw!",
           b"cimtest:T3st-pw! ", b"cimtest:T3st-pw!\n", b"cimtest:t3st-pw!", b"root:",
           b"cimtest@HOST1:T3st-pw!", b"HOST1\\cimtest:T3st-pw!")


class Strangers(hostile.HostileCase):
    HAS_TLS = True

    def setUp(self):
        super().setUp()
        client = self.gateway.cimxml()
        self.model = hostile.read_model(client)
        client.close()
        self.all = hostile.operations(self.names, self.model)
        # Ten guesses close a name: none of them gets so many.
        count = len(self.all) // (TRIES_MAX - 1) + 1
        self.victims = ["victim%d" % number for number in range(count)]
        self.add_users(self.gateway, self.victims, hostile.weak_hash("victim's"))

    def test_no_operation_is_done_for_strangers(self):
        self.the_list_is_whole()
        before = self.state()
        self.no_credentials()
        self.wrong_passwords()
        self.kept_alive()
        self.over_tls()
        self.the_open_path()
        self.assertEqual(self.state(), before)
        self.check_log()
        self.the_list_is_right()
        # What was compared above does tell.
        client = self.owned(self.gateway.wsman())
        self.assertEqual(client.resynchronize("HOST1", self.vm_id)[0], 4096)
        self.assertNotEqual(self.state(), before)

    def the_list_is_whole(self):
        """Whatever is added to the program is to be added here."""
        self.assertEqual(sorted(hostile.intrinsic_table()),
                         sorted(hostile.intrinsic_calls(self.names)))
        self.assertEqual(sorted(hostile.action_table()), sorted(hostile.action_calls(self.names)))
        shown = json.loads(lib.must([lib.program(), "cim", "classes", "--json"]))
        self.assertEqual(set(shown["classes"]), set(self.model))
        self.assertIn("Resynchronize", self.model[SERVICE])
        self.assertGreater(len(self.all), 250)

    def refused(self, answer, operation, *what):
        status, headers, body = answer
        self.assertEqual(status, 401, (operation.protocol, operation.name, *what))
        self.assertRegex(headers["WWW-Authenticate"], '^Basic realm="[^"]+"$')
        self.assertLess(len(body), 100)
        self.assertNotIn(b"<", body)

    def no_credentials(self):
        for number, operation in enumerate(self.all):
            stranger = hostile.Stranger(self.ports()[operation.protocol])
            for way in (*WAYS, MORE_WAYS[number % len(MORE_WAYS)]):
                self.refused(stranger.ask(operation, *way), operation, way)
            stranger.close()

    def guess(self, number):
        operation = self.all[number]
        victim = self.victims[number % len(self.victims)]
        wrong = [b"%s:wrong" % victim.encode()]
        if number % 4 == 0:  # This takes its time.
            wrong.append(b"nobody%d:victor's" % number)
        return operation, [hostile.ask(self.ports()[operation.protocol], operation, code(each))
                           for each in wrong]

    def wrong_passwords(self):
        with concurrent.futures.ThreadPoolExecutor(4) as pool:
            for operation, answers in pool.map(self.guess, range(len(self.all))):
                for answer in answers:
                    self.refused(answer, operation, "a wrong password")
        for text in SIMILAR:
            operation = self.simple("cimxml")
            answer = hostile.ask(self.ports()["cimxml"], operation, code(text))
            self.refused(answer, operation, text)

    def each_on(self, tls=False, protocols=("cimxml", "wsman"), **how):
        """(operation, connection), a few of them on one: broken credentials close an address."""
        for protocol in protocols:
            mine = [each for each in self.all if each.protocol == protocol]
            for at in range(0, len(mine), TRIES_MAX - 2):
                stranger = hostile.Stranger(self.ports(tls)[protocol], **how)
                for operation in mine[at:at + TRIES_MAX - 2]:
                    yield operation, stranger
                stranger.close()

    def kept_alive(self, *where, **how):
        """After a right request, and after a refused one, on the same connection."""
        victor = gateway.basic("victor")
        for operation, stranger in self.each_on(*where, **how):
            simple = self.simple(operation.protocol)
            self.assertEqual(stranger.ask(simple, victor)[0], 200)
            self.refused(stranger.ask(operation), operation, "after a right one")
            self.refused(stranger.ask(operation, "Basic !!"), operation, "after a refused one")
            self.assertEqual(stranger.ask(simple, victor)[0], 200)
            self.refused(stranger.ask(operation, RIGHT, RIGHT), operation, "with two")

    def over_tls(self):
        self.kept_alive(True, context=self.tls())
        for operation, stranger in self.each_on(True, context=self.tls("client")):
            self.refused(stranger.ask(operation), operation, "with a certificate nobody knows")
        self.known_certificates()
        self.resumption()

    def known_certificates(self):
        """One that is a user's, and those like it."""
        self.gateway.add_user("carol", "carol's", "viewer", "--certificate",
                              self.certificates.file("client"))
        simple, port = self.simple("wsman"), self.ports(True)["wsman"]
        known = self.tls("client")
        self.assertEqual(hostile.ask(port, simple, context=known)[0], 200)
        for name in ("client-other-ca", "client-self-signed", "client-cn", "server"):
            answer = hostile.ask(port, simple, context=self.tls(name))
            self.refused(answer, simple, name)
        # What is said counts, not what is shown beside it.
        self.refused(hostile.ask(port, simple, "Basic !!", context=known), simple, "and broken")
        self.refused(hostile.ask(port, simple, "Bearer x", context=known), simple, "and a token")

    def resumption(self):
        """A session of somebody known is taken up again: what he had proved is not."""
        simple = self.simple("wsman")
        for version in (ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3):
            context = self.tls()
            context.minimum_version = context.maximum_version = version
            first = hostile.Stranger(self.ports(True)["wsman"], context=context)
            self.assertEqual(first.ask(simple, gateway.basic("victor"))[0], 200)
            session = first.connection.sock.session
            first.close()
            for operation, stranger in self.each_on(True, ("wsman",), context=context,
                                                    session=session):
                self.refused(stranger.ask(operation), operation, "with a session", version)

    def the_open_path(self):
        """Whoever asks who is there learns that, and nothing else, not even the version."""
        for operation, stranger in self.each_on(False, ("wsman",)):
            asked = {**operation.headers, "WSMANIDENTIFY": "unauthenticated"}
            self.as_nobody(operation, stranger.ask(operation._replace(headers=asked)))
            self.as_nobody(operation, stranger.ask(
                operation._replace(path="/wsman-anon/identify")))
            # Who says who he is is judged by that.
            self.refused(stranger.ask(operation._replace(headers=asked), "Bearer x"), operation)

    def as_nobody(self, operation, answer):
        status, _, text = answer
        if operation.name == "Identify":
            self.assertEqual(status, 200, text)
            self.assertNotIn(b"ProductVersion", text)
        else:
            self.assertEqual(status, 500, operation.name)
            self.assertIn(b"AccessDenied", text, operation.name)
            self.assertNotIn(b"HOST1", text)

    def check_log(self):
        text = self.gateway.log() + self.gateway.audit_text()
        self.assertIn("there is no such user", text)
        for secret in ("T3st-pw!", RIGHT.split()[1], "victor's", "xxxxxxxx"):
            self.assertNotIn(secret, text)

    def the_list_is_right(self):
        """Each does reach its operation when a viewer asks it."""
        tables = {**hostile.intrinsic_table(), **hostile.action_table()}
        for operation, stranger in self.each_on():
            status, _, text = stranger.ask(operation, gateway.basic("victor"))
            self.assertIn(status, (200, 500), (operation.name, text))
            is_served = tables.get(operation.name) != "NULL"
            is_unknown = any(word in text for word in (
                b'ERROR CODE="7"', b'ERROR CODE="17"', b"ActionNotSupported", b"ActionMismatch"))
            if "." in operation.name:  # Not each method is supported, but each is known.
                self.assertNotIn(b'ERROR CODE="17"', text, operation.name)
            elif operation.name not in CHANGES:
                self.assertEqual(is_unknown, not is_served, (operation.name, text))


# Reach their operation, which says that jobs are not changed by it.
CHANGES = ("ModifyInstance", "SetProperty", "TRANSFER/Put")



# --- the control socket ---------------------------------------------------------------------------

NOBODY = 65534
ASK = """
import http.client, json, socket, sys
class Connection(http.client.HTTPConnection):
    def connect(self):
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.connect(sys.argv[1])
statuses = []
for verb, path, headers in json.loads(sys.argv[2]):
    try:
        connection = Connection("resilver", timeout=20)
        connection.request(verb, path, "{}" if verb in ("POST", "PUT", "PATCH") else None, headers)
        statuses.append(connection.getresponse().status)
    except OSError as error:
        statuses.append(type(error).__name__)
print(json.dumps(statuses))
"""
AS_SOMEBODY = {"Resilver-User": "cimtest", "Resilver-Role": "administrator"}


def control_calls():
    """(verb, path) of everything that the control API has, by its own description."""
    with open(os.path.join(hostile.SOURCE, "schema", "control.yaml")) as file:
        lines = file.read().partition("\npaths:\n")[2].splitlines()
    path, found = None, []
    for line in lines:
        if re.fullmatch(r"\S.*", line):
            break
        if match := re.fullmatch(r"  (/\S+):", line):
            path = re.sub(r"\{\w+\}", "web1", match[1])
        elif match := re.fullmatch(r"    (get|put|post|patch|delete):", line):
            found.append((match[1].upper(), path))
    return found


class ControlSocket(hostile.HostileCase):
    def setUp(self):
        lib.need_root()
        super().setUp()

    def ask_as(self, user, calls):
        return json.loads(lib.must([sys.executable, "-c", ASK, self.a.socket, json.dumps(calls)],
                                   user=user))

    def test_no_other_user_is_served(self):
        calls = [(verb, path, headers) for verb, path in control_calls()
                 for headers in ({}, AS_SOMEBODY)]
        self.assertGreater(len(calls), 60)
        before = self.state()
        self.assertEqual(set(self.ask_as(NOBODY, calls)), {"PermissionError"})
        # Whoever opens the socket to all of them has not let them in.
        os.chmod(self.a.socket, 0o666)
        for call, status in zip(calls, self.ask_as(NOBODY, calls)):
            self.assertEqual(status, 403, call)
        self.assertEqual(self.state(), before)
        self.assertEqual(self.ask_as(None, [("GET", "/v1/host", {})]), [200])

    def test_files_are_for_their_owners(self):
        self.gateway.cimxml().names(SYSTEM)
        for path, most in ((self.gateway.users, 0o640), (self.gateway.audit, 0o640),
                           (self.a.socket, 0o660), (self.a.database, 0o600),
                           (self.a.tls_file("host"), 0o644)):
            if os.path.exists(path):
                mode = os.stat(path).st_mode & 0o7777
                self.assertEqual(mode & ~most, 0, "%s: %o" % (path, mode))
        old = os.umask(0)
        self.addCleanup(os.umask, old)
        loose = self.gate("loose")
        hostile.ask(loose.cimxml_port, self.simple("cimxml"), code(b"cimtest:x"))
        for path in (loose.users, loose.audit):
            self.assertEqual(os.stat(path).st_mode & 0o7777 & ~0o640, 0, path)


# --- guesses --------------------------------------------------------------------------------------


class Guesses(hostile.HostileCase):
    IS_REPLICATED = False

    def answer(self, text, source=None, protocol="cimxml", gate=None):
        port = getattr(gate or self.gateway, protocol + "_port")
        return hostile.ask(port, self.simple(protocol), code(text), source=source)

    def test_an_unknown_user_and_a_wrong_password_look_alike(self):
        self.add_users(self.gateway, ["user%d" % number for number in range(15)])
        seconds = {"user": [], "nobody": []}
        seen = set()
        for number in range(15):
            for kind in seconds:
                started = time.monotonic()
                status, headers, body = self.answer(b"%s%d:wrong" % (kind.encode(), number))
                seconds[kind].append(time.monotonic() - started)
                seen.add((status, body, tuple((name, value) for name, value in headers.items()
                                              if name != "Date")))
        self.assertEqual(len(seen), 1, seen)
        self.assertEqual(seen.pop()[0], 401)
        medians = sorted(statistics.median(each) for each in seconds.values())
        self.assertLess(medians[1] / medians[0], 2, seconds)

    def test_ten_guesses_a_minute(self):
        self.a_name_is_closed()
        self.an_address_is_closed()
        self.at_once()
        self.broken_ones_count()

    def locked(self, answer):
        status, headers, _ = answer
        self.assertEqual(status, 429)
        self.assertEqual(headers["Retry-After"], "60")
        self.assertIsNone(headers["WWW-Authenticate"])

    def a_name_is_closed(self):
        self.assertEqual(self.answer(b"olga:olga's")[0], 200)  # she is even remembered
        for number in range(TRIES_MAX):
            protocol = ("cimxml", "wsman")[number % 2]
            self.assertEqual(self.answer(b"olga:wrong%d" % number, protocol=protocol)[0], 401)
        for protocol in ("cimxml", "wsman"):
            self.locked(self.answer(b"olga:wrong", protocol=protocol))
            self.locked(self.answer(b"olga:olga's", protocol=protocol))
        self.assertEqual(self.answer(b"victor:victor's")[0], 200)
        # Names that are nobody's are closed as well, or they would tell who is somebody.
        for _ in range(TRIES_MAX):
            self.assertEqual(self.answer(b"ghost:x")[0], 401)
        self.locked(self.answer(b"ghost:x"))

    def an_address_is_closed(self):
        source = hostile.address()
        for number in range(TRIES_MAX):
            self.assertEqual(self.answer(b"someone%d:x" % number, source)[0], 401)
        self.locked(self.answer(b"victor:victor's", source))
        self.locked(self.answer(b"victor:victor's", source, "wsman"))
        self.assertEqual(self.answer(b"victor:victor's")[0], 200)

    def at_once(self):
        """Who guesses many times at once has no more guesses."""
        with concurrent.futures.ThreadPoolExecutor(25) as pool:
            answers = list(pool.map(lambda _: self.answer(b"admin:wrong")[0], range(25)))
        self.assertEqual(sorted(answers), [401] * TRIES_MAX + [429] * (25 - TRIES_MAX))

    def broken_ones_count(self):
        source = hostile.address()
        for _ in range(TRIES_MAX):
            self.assertEqual(self.answer(b"no colon", source)[0], 401)
        self.locked(self.answer(b"victor:victor's", source))


# --- what decides is broken -----------------------------------------------------------------------

EMPTY = b"<IRETURNVALUE>\n</IRETURNVALUE>"


class Broken(hostile.HostileCase):
    def test_nothing_succeeds_without_the_service(self):
        client = self.gateway.cimxml()
        model = hostile.read_model(client)
        client.close()
        everything = hostile.operations(self.names, model)
        self.a.stop()
        for operation in everything:
            answer = hostile.ask(self.ports()[operation.protocol], operation, RIGHT)
            self.failed(operation, *answer)
        self.a.start()
        self.check_served()

    def failed(self, operation, status, _headers, text):
        word = operation.name.partition(" ")[0]
        if word in KNOWN_WITHOUT:
            self.assertEqual(status, 200, (operation.name, text))
        elif operation.protocol == "wsman":
            if status == 200 and word == "Enumerate" and operation.name not in NEEDED:
                return
            self.assertEqual(status, 500, (operation.name, text))
        elif b"<ERROR " not in text:
            self.assertNotIn(operation.name, NEEDED)
            self.assertEqual(word, "EnumerateInstances", text)

    def test_nobody_is_let_in_by_a_broken_users_file(self):
        with open(self.gateway.users) as file:
            good = file.read()
        for number, (what, breaking, why) in enumerate(self.ways_to_break(good)):
            with self.subTest(what):
                self.broken("gate%d" % number, good, breaking, why)

    def broken(self, name, good, breaking, why):
        gate = gateway.Gateway(self.path(name), self.a, users={})
        self.rewrite(gate.users, good)
        self.owned(gate.start())
        simple = self.simple("cimxml")
        kept = self.owned(hostile.Stranger(gate.cimxml_port))
        self.assertEqual(kept.ask(simple, RIGHT)[0], 200)
        os.rename(gate.users, gate.users + ".good")
        breaking(gate.users)
        for answer in (kept.ask(simple, RIGHT), hostile.ask(gate.cimxml_port, simple, RIGHT)):
            status, headers, text = answer
            self.assertEqual(status, 500, text)
            self.assertIsNone(headers["WWW-Authenticate"])
            self.assertNotIn(gate.users.encode(), text)  # that is for the log
        self.assertEqual(hostile.ask(gate.wsman_port, self.simple("wsman"))[0], 401)
        self.assertIn(gate.users, gate.audit_text())
        self.assertRegex(gate.audit_text(), why)
        os.rename(gate.users, gate.users + ".bad")
        self.assertEqual(kept.ask(simple, RIGHT)[0], 401)  # no file: no users
        os.rename(gate.users + ".good", gate.users)
        self.assertEqual(kept.ask(simple, RIGHT)[0], 200)
        gate.close()

    def ways_to_break(self, good):
        def having(text, mode=0o640):
            def write(path):
                with open(path, "w") as file:
                    file.write(text)
                os.chmod(path, mode)
            return write
        first = good.splitlines(True)[0]
        return (
            ("a folder", os.mkdir, "no file"),
            ("a link to itself", lambda path: os.symlink(path, path), "users' file"),
            ("a pipe", lambda path: os.mkfifo(path, 0o640), "no file"),
            ("others may write", having(good, 0o660), "chmod"),
            ("all may read", having(good, 0o644), "chmod"),
            ("no user's line", having(good + "this is no user\n"), "NAME:HASH:ROLE"),
            ("half a line", having(good[:-8]), "NAME:HASH:ROLE"),
            ("a NUL", having(good + "a\0:*:viewer\n"), "NUL"),
            ("an unknown role", having(good + "eve:*:root\n"), "role"),
            ("a password in clear", having(good + "eve:secret:viewer\n"), "crypt"),
            ("a user twice", having(good + first), "already"),
            ("too many", having(good + "".join("u%d:*:viewer\n" % n for n in range(300))), "256"),
            ("bytes", having("\x01\x02\x03" * 5000), "NAME:HASH:ROLE"),
        )

    def test_a_change_of_the_users_file_is_in_force_at_once(self):
        gate = self.gateway
        with open(gate.users) as file:
            good = file.read()
        olga, client = gateway.basic("olga"), self.owned(self.gateway.wsman("olga"))
        stranger = self.owned(hostile.Stranger(self.ports()["cimxml"]))
        simple = self.simple("cimxml")

        def line(name, role):
            return re.sub(r"(?m)^(%s:[^:]+):.*$" % name, r"\1:" + role, good)

        self.assertEqual(stranger.ask(simple, olga)[0], 200)
        self.rewrite(gate.users, re.sub(r"(?m)^olga:.*\n", "", good))
        self.assertEqual(stranger.ask(simple, olga)[0], 401)
        self.rewrite(gate.users, line("olga", "none"))
        self.assertEqual(stranger.ask(simple, olga)[0], 403)
        self.rewrite(gate.users, line("olga", "viewer"))
        self.assertEqual(client.resynchronize("HOST1", self.vm_id)[0], 32769)
        new = "olga:" + hostile.weak_hash("new")
        self.rewrite(gate.users, re.sub(r"(?m)^olga:[^:]*", new, good))
        self.assertEqual(stranger.ask(simple, olga)[0], 401)
        self.assertEqual(stranger.ask(simple, code(b"olga:new"))[0], 200)
        # Written to in place, and of the same length.
        with open(gate.users, "r+") as file:
            text = file.read()
            file.seek(0)
            file.write(text.replace("olga:$6$rounds=1000$", "olgb:$6$rounds=1000$"))
        self.assertEqual(stranger.ask(simple, code(b"olga:new"))[0], 401)
        self.rewrite(gate.users, good)
        self.assertEqual(client.resynchronize("HOST1", self.vm_id)[0], 4096)


# What the program itself knows; a subscription waits for the service, and says nothing until then.
KNOWN_WITHOUT = ("GetClass", "EnumerateClasses", "EnumerateClassNames", "Identify",
                 "EVENTING/Subscribe")
# Of these the service alone knows; others have none, or are the host's own.
NEEDED = tuple(word + name for word in ("EnumerateInstances ", "Enumerate ") for name in (
    SYSTEM, SERVICE, "Msvm_ConcreteJob", "Msvm_ReplicationRelationship"))


if __name__ == "__main__":
    lib.main()
