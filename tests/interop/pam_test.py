#!/usr/bin/python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""Users whose passwords PAM judges, beside others in the same file: services of our own folder, with
modules of libpam-modules that really compare, hang, and are not there."""
import base64
import concurrent.futures
import glob
import os
import pwd
import re
import signal
import sys
import time
import unittest

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
import gateway  # noqa: E402
import lib  # noqa: E402
from calls import SYSTEM  # noqa: E402

TRIES_MAX, CHECK_S = 10, 10
WRONG, LOCKED, BROKEN = 401, 429, 500
# As Debian's common-auth is written: what the one module does not take, pam_deny refuses.
JUDGE = """auth [success=1 default=ignore] pam_exec.so expose_authtok quiet {folder}/judge
auth requisite pam_deny.so
auth required pam_permit.so
account requisite pam_succeed_if.so quiet user notin expired
account required pam_permit.so
"""
# The password comes with a NUL behind it (pam_exec(8)). Each question is counted.
JUDGE_SCRIPT = """#!/bin/sh
echo "$PAM_USER $PAM_RHOST $PAM_SERVICE" >>{folder}/asked
[ "$PAM_USER" != slow ] || {{ echo $$ >>{folder}/pids; exec sleep 60; }}
case "$PAM_USER:$(tr -d '\\0')" in
'pat:pat s: pässword' | 'expired:right' | 'admin:right' | 'root:right') exit 0 ;;
esac
exit 1
"""
HANGS = """auth required pam_exec.so {folder}/hang
account required pam_permit.so
"""


def code(name, password):
    return "Basic " + base64.b64encode(("%s:%s" % (name, password)).encode()).decode()


class Pam(gateway.GatewayCase):
    SIZES = {"vda": lib.MIB}
    IS_REPLICATED = False

    def setUp(self):
        if os.environ.get("RESILVER_HAS_PAM") == "no":
            raise unittest.SkipTest("needs a gateway that is built with PAM")
        if not any(glob.glob(place + "/security/pam_exec.so")
                   for place in ("/usr/lib/*", "/usr/lib", "/usr/lib64")):
            raise unittest.SkipTest("needs pam_exec.so (libpam-modules)")
        lib.need_tool("pgrep")
        super().setUp()
        self.services = self.path("pam.d")
        os.mkdir(self.services)
        self.put("judge", JUDGE_SCRIPT, 0o755)
        self.put("resilver-gateway", JUDGE)
        self.addCleanup(self.end_scripts)

    def end_scripts(self):
        """pam_exec(8) starts a session of its own, which nobody ends with the module."""
        for pid in self.lines("pids"):
            try:
                with open("/proc/%s/cmdline" % pid) as file:
                    if file.read().startswith("sleep"):
                        os.kill(int(pid), signal.SIGKILL)
            except (FileNotFoundError, ProcessLookupError):
                pass

    def put(self, name, text, mode=0o644):
        path = os.path.join(self.services, name)
        with open(path, "w") as file:
            file.write(text.format(folder=self.services))
        os.chmod(path, mode)

    def lines(self, name):
        path = os.path.join(self.services, name)
        if not os.path.exists(path):
            return []
        with open(path) as file:
            return file.read().split("\n")[:-1]

    def gate(self, name, more="", pam_users=("pat", "expired", "slow", "admin")):
        """One more gateway, with counters of its own; the users of PAM are added as people do."""
        gate = self.owned(gateway.Gateway(self.path(name), self.a, more=more,
                                          options=["--pam-folder", self.services],
                                          users={"victor": gateway.USERS["victor"]}))
        for user in pam_users:
            self.add_pam_user(gate, user)
        return gate.start()

    def add_pam_user(self, gate, name, *words):
        lib.must([lib.program(), "gateway", "user", "add", name, "--pam", "--role", "viewer",
                  "--config", gate.config, *words])

    def status(self, gate, name, password, protocol="cimxml"):
        """200, or what was refused."""
        if protocol == "wsman":
            client = gateway.WsMan(gate.wsman_port, code(name, password))
        else:
            client = gateway.CimXml(gate.cimxml_port, code(name, password))
        try:
            if protocol == "wsman":
                client.instances(SYSTEM)
            else:
                client.names(SYSTEM)
            return 200
        except gateway.HttpError as error:
            return error.status
        finally:
            client.close()

    def reasons(self, gate):
        return gate.audit_text() + gate.log()

    def test_right_and_wrong(self):
        gate = self.gate("judged")
        for protocol in ("cimxml", "wsman"):
            self.assertEqual(self.status(gate, "pat", "pat s: pässword", protocol), 200)
            self.assertEqual(self.status(gate, "pat", "pat s: password", protocol), WRONG)
        self.assertEqual(self.status(gate, "victor", "victor's"), 200)
        self.assertEqual(self.status(gate, "victor", "right"), WRONG)
        # The password is right, and the account is not.
        self.assertEqual(self.status(gate, "expired", "right"), WRONG)
        # PAM takes these, and the file does not have them.
        asked = len(self.lines("asked"))
        for name in ("root", "pam", "PAT"):
            self.assertEqual(self.status(gate, name, "right"), WRONG)
        self.assertEqual(len(self.lines("asked")), asked)
        self.assertIn("pat 127.0.0.1 resilver-gateway", self.lines("asked"))
        self.assertNotIn("pässword", self.reasons(gate))
        self.assertIn("PAM's service 'resilver-gateway' refuses: pam_acct_mgmt", self.reasons(gate))

    def test_right_ones_are_remembered_until_the_file_changes(self):
        gate = self.gate("remembered")
        for _ in range(3):
            self.assertEqual(self.status(gate, "pat", "pat s: pässword"), 200)
        self.assertEqual(len(self.lines("asked")), 1)
        self.add_pam_user(gate, "another")
        self.assertEqual(self.status(gate, "pat", "pat s: pässword"), 200)
        self.assertEqual(len(self.lines("asked")), 2)
        lib.must([lib.program(), "gateway", "user", "remove", "pat", "--config", gate.config])
        self.assertEqual(self.status(gate, "pat", "pat s: pässword"), WRONG)
        self.assertEqual(len(self.lines("asked")), 2)

    def test_ten_wrong_ones_close_the_name(self):
        gate = self.gate("locked")
        for number in range(TRIES_MAX):
            self.assertEqual(self.status(gate, "pat", "guess %d" % number), WRONG)
        self.assertEqual(self.status(gate, "pat", "pat s: pässword"), LOCKED)
        self.assertEqual(len(self.lines("asked")), TRIES_MAX)

    def test_a_module_that_hangs_holds_up_nobody_else(self):
        gate = self.gate("hung")
        began = time.monotonic()
        with concurrent.futures.ThreadPoolExecutor(3) as pool:
            slow = [pool.submit(self.status, gate, "slow", "right") for _ in range(3)]
            lib.wait_until(lambda: len(self.lines("pids")) == 3, "the hanging modules")
            served = time.monotonic()
            for _ in range(5):
                self.assertEqual(self.status(gate, "pat", "pat s: pässword"), 200)
                self.assertEqual(self.status(gate, "victor", "victor's"), 200)
            self.assertLess(time.monotonic() - served, CHECK_S / 2)
            self.assertFalse(any(each.done() for each in slow))
            self.assertEqual([each.result() for each in slow], [WRONG] * 3)
        self.assertGreaterEqual(time.monotonic() - began, CHECK_S)
        self.assertLess(time.monotonic() - began, CHECK_S + 8)
        self.assertIn("has not answered in 10000 ms", self.reasons(gate))
        self.assertEqual(self.children(gate), [])

    def children(self, gate):
        """Of the gateway, those that are not yet waited for included."""
        return lib.run(["pgrep", "-P", str(gate.process.pid)]).out.split()

    def test_it_stops_while_a_module_hangs(self):
        gate = self.gate("stopped")
        with concurrent.futures.ThreadPoolExecutor(1) as pool:
            asked = pool.submit(self.ask_and_be_cut, gate)
            lib.wait_until(lambda: self.lines("pids"), "the hanging module")
            began = time.monotonic()
            gate.stop()
            self.assertLess(time.monotonic() - began, CHECK_S - 2)
            asked.result()

    def ask_and_be_cut(self, gate):
        try:
            self.assertNotEqual(self.status(gate, "slow", "right"), 200)
        except (OSError, gateway.http.client.HTTPException):
            pass

    def test_broken_pam_lets_nobody_in_and_shuts_nobody_else_out(self):
        self.put("nomodule", "auth required pam_nowhere.so\naccount required pam_permit.so\n")
        for service, words in (("missing", "pam_start"), ("nomodule", "Module is unknown")):
            with self.subTest(service=service):
                gate = self.gate(service, "pam-service = %s\n" % service)
                for _ in range(TRIES_MAX):
                    self.assertEqual(self.status(gate, "pat", "pat s: pässword"), BROKEN)
                self.assertEqual(self.status(gate, "pat", "pat s: pässword"), LOCKED)
                self.assertEqual(self.status(gate, "admin", "right"), BROKEN)
                self.assertEqual(self.status(gate, "victor", "victor's"), 200)
                self.assertIn(words, self.reasons(gate))
                self.assertNotIn("pässword", self.reasons(gate))

    def test_modules_have_nothing_of_the_gateway(self):
        """Its environment, its descriptors: as pam_exec(8)'s program has them."""
        self.put("look", "#!/bin/sh\n{{ env; ls -l /proc/$PPID/fd /proc/$$/fd; }} >{folder}/seen"
                         " 2>&1\n", 0o755)
        self.put("looks", "auth required pam_exec.so {folder}/look\n"
                          "account required pam_permit.so\n")
        gate = self.gate("looked", "pam-service = looks\n")
        self.assertEqual(self.status(gate, "pat", "anything"), 200)
        seen = "\n".join(self.lines("seen"))
        self.assertIn("PAM_USER=pat", seen)
        self.assertIn("/dev/null", seen)
        self.assertNotIn("HOME=", seen)
        self.assertNotIn(lib.TAG_NAME, seen)
        self.assertNotRegex(seen, re.escape(self.a.socket) + "|socket:|gateway.users|audit.log")

    def test_pam_is_asked_by_whom_root_became(self):
        lib.need_root()
        nobody = pwd.getpwnam("nobody")
        gate = self.owned(gateway.Gateway(
            self.path("dropped"), self.a, more="user = nobody\n",
            options=["--pam-folder", self.services], users={}))
        self.add_pam_user(gate, "pat")
        os.chown(gate.users, nobody.pw_uid, nobody.pw_gid)
        self.put("judge", "#!/bin/sh\n[ \"$(id -un):$(tr -d '\\0')\" = nobody:right ]\n", 0o755)
        lib.must(["chmod", "a+rx", self.path(), gate.folder])
        gate.start()
        self.assertEqual(self.status(gate, "pat", "wrong"), WRONG)
        # It gets in, and then the service does not let its new user in.
        with self.assertRaisesRegex(gateway.CimError, "may not be asked"):
            self.status(gate, "pat", "right")
        self.assertEqual(gate.audit_text().count('"login"'), 1)

    def test_the_command_line(self):
        gate = self.gate("commands")
        text = lib.must([lib.program(), "gateway", "user", "list", "--config", gate.config])
        self.assertRegex(text if isinstance(text, str) else text.decode(),
                         r"(?m)^pat +viewer +PAM +- ")
        result = lib.run([lib.program(), "gateway", "user", "add", "x", "--pam", "--role", "viewer",
                          "--password-stdin", "--config", gate.config])
        self.assertEqual(result.code, 2, result)
        self.assertIn("exclude each other", result.err)
        with open(gate.users) as file:
            self.assertIn("\npat:pam:viewer\n", file.read())
        for wrong in ("../x", "a/b", ""):
            with open(gate.config, "a") as file:
                file.write("pam-service = %s\n" % wrong)
            result = lib.run([gateway.program(), "--config", gate.config])
            self.assertEqual(result.code, 2, result)
            self.assertIn("names no service of PAM", result.err)


if __name__ == "__main__":
    lib.main()
