#!/usr/bin/python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""The command line itself: what is refused and in which words, what a terminal shows, what ssh is
told, how a server starts and stops, and that help, manual pages and completion know the same
options."""

import fcntl
import json
import os
import pty
import re
import select
import signal
import socket
import struct
import subprocess
import termios
import time

import lib
from lib import DIFFERENT, FAILED, IN_SYNC, KIB, MIB, USAGE

TREE = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "..")


class Terminal:
    """resilver on a terminal of its own: what it shows, and a person's hands."""

    def __init__(self, case, arguments, columns=100, rows=24, term="xterm", **options):
        master, slave = pty.openpty()
        fcntl.ioctl(slave, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))
        env = lib.tagged_environment({"TERM": term, "TMPDIR": case.run_dir})
        # Its controlling terminal, so that Ctrl-C becomes a signal.
        self.popen = subprocess.Popen([lib.program(), *arguments], stdin=slave, stdout=slave,
                                      stderr=slave, env=env, start_new_session=True,
                                      preexec_fn=lambda: fcntl.ioctl(0, termios.TIOCSCTTY, 0),
                                      **options)
        os.close(slave)
        self.master = master
        self.shown = b""
        case.owned(self)

    def read(self, wait_s):
        """More of what it shows; False when it has let go of the terminal."""
        if not select.select([self.master], [], [], wait_s)[0]:
            return True
        try:
            more = os.read(self.master, 65536)
        except OSError:
            return False
        self.shown += more
        return bool(more)

    def wait_for(self, text, deadline_s=lib.DEADLINE_S):
        end = time.monotonic() + deadline_s
        while text not in self.shown:
            if not self.read(0.05) or time.monotonic() > end:
                raise AssertionError("never shown: %r in %r" % (text, self.shown[-2000:]))

    def type(self, text):
        os.write(self.master, text)

    def wait(self, deadline_s=lib.DEADLINE_S):
        end = time.monotonic() + deadline_s
        while self.read(0.05):
            if time.monotonic() > end:
                raise AssertionError("no end: %r" % self.shown[-2000:])
        return self.popen.wait(10)

    def close(self):
        if self.popen.poll() is None:
            os.killpg(self.popen.pid, signal.SIGKILL)
            self.popen.wait()
        os.close(self.master)


def screen_of(shown):
    """What is left on the screen: the few control sequences that are used, carried out."""
    lines, row = [""], 0
    for part in re.findall(rb"\r\n|\r|\n|\033\[\d*[A-Za-z]|[^\r\n\033]+|\033", shown):
        if part in (b"\r\n", b"\n"):
            row += 1
            if row == len(lines):
                lines.append("")
        elif part == b"\r" or part == b"\033[K":
            pass  # Every line is written anew from its beginning.
        elif part == b"\033[J":
            del lines[row:]
            lines.append("")
        elif re.fullmatch(rb"\033\[\d+A", part):
            row = max(0, row - int(part[2:-1]))
        elif part[:1] == b"\033":
            raise AssertionError("a control sequence that is not expected: %r" % part)
        else:
            lines[row] = part.decode()
    return [line for line in lines if line]


class Usage(lib.Case):
    def refuse(self, *arguments, words=(), code=USAGE):
        result = self.resilver(*arguments, cwd=self.dir, deadline_s=20)
        self.assert_exit(result, code)
        self.assertEqual(result.out, "", result)
        lines = result.err.splitlines()
        self.assertEqual(len(lines), 1, result)
        self.assertTrue(lines[0].startswith("resilver: "), result)
        for word in (words,) if isinstance(words, str) else words:
            self.assertIn(word, lines[0])
        return lines[0]

    def test_commands(self):
        self.refuse(words="--help")
        self.refuse("snyc", words="did you mean 'sync'")
        self.refuse("serv", words="did you mean 'serve'")
        self.refuse("something-else", words="--help")
        self.refuse("help", "snyc", words="did you mean 'sync'")
        self.refuse("\x1b[31m", words="?[31m")

    def test_options(self):
        self.refuse("sync", "--chekc", "a", "b", words="did you mean '--check'")
        self.refuse("sync", "--nothing-like-it", "a", "b", words="resilver help sync")
        self.refuse("sync", "-Z", "a", "b", words="-Z")
        self.refuse("sync", "--check=1", "a", "b", words="takes no value")
        self.refuse("sync", "a", "b", "--bwlimit", words="--bwlimit=RATE")
        self.refuse("sync", "--bwlimit=10", "a", "b", words="1K")
        self.refuse("sync", "--ssh='x", "a", "h:b", words="quote")
        self.refuse("sync", "--ssh=", "a", "h:b", words="--ssh is empty")
        self.refuse("serve", "--listne=:1", words="did you mean '--listen'")

    def test_endpoints(self):
        self.refuse("sync", words="SOURCE")
        self.refuse("sync", "a", words="only one")
        self.refuse("sync", "a", "b", "c", words="more than two")
        self.refuse("sync", "--disk=a=b", "c", words="one too many")
        self.refuse("sync", "--disk=a", words="SOURCE=TARGET")
        self.refuse("sync", "h1:a", "h2:b", words="both on other hosts")
        self.refuse("sync", "--disk=a=h1:b", "--disk=a=h2:b", words="not on one host")
        self.refuse("sync", "--disk=h1:a=b", "--disk=c=d", words="not on one host")
        self.refuse("sync", "-oProxyCommand=x:a", "b")
        self.refuse("sync", "--", "-oProxyCommand=x:a", "b", words="./-oProxyCommand")
        self.refuse("sync", "http://h/a", "b", words="tls://HOST:PORT/NAME")
        self.refuse("sync", "h:~/a", "b", words="home directory")

    def test_what_does_not_go_together(self):
        self.refuse("sync", "--check", "--create", "a", "b", words="--create")
        self.refuse("sync", "--format=raw", "a", "tls://h:1/b", words="--source-format")
        self.refuse("sync", "--target-format=raw", "a", "tls://h:1/b", words="--source-format")
        self.refuse("serve", words="--listen")
        self.refuse("serve", "--stdio", "--listen=:1", words="either")
        self.refuse("serve", "--listen=:1", words="--export")
        self.refuse("serve", "--stdio", "--allow=x", words="--allow")
        self.refuse("serve", "--stdio", "operand", words="--export=NAME=PATH")
        self.refuse("serve", "--listen=:1", "--export=a=b", "--export=a=c", words="'a'")
        self.refuse("serve", "--listen=:1", "--export=/a=b", words="name")
        self.refuse("serve", "--listen=:1", "--export=a=b,readonly", words="read-only")
        self.refuse("serve", "--listen=:1", "--export=a=b,read-only,create", words="both")
        self.refuse("serve", "--listen=:1", "--export=a=b,format=x", words="qcow2")

    def test_usage_errors_in_json(self):
        for arguments in (("--json",), ("--json", "--nonsense"), ("--nonsense", "--json"),
                          ("a", "a", "--json"), ("--json", "h1:a", "h2:b"),
                          ("--json", "--format=cow", "a", "b"), ("--json", "a", "\x1b[31m:b")):
            with self.subTest(arguments=arguments):
                result = self.resilver("sync", *arguments, cwd=self.dir)
                self.assert_exit(result, USAGE)
                lib.check_error(self, result, "usage")
                self.assertEqual(result.err, "")
                self.assertEqual(result.out.count("\n"), 1)

    def test_json_names_what_is_no_utf8(self):
        name = os.fsdecode(b"x\xff\xfe.raw")
        result = self.resilver("sync", "--json", name, "b", cwd=self.dir)
        json.loads(result.out)
        self.assertIn("x\ufffd\ufffd.raw", result.report["error"]["message"])

    def test_help_goes_to_standard_output(self):
        for arguments in (("--help",), ("-h",), ("help",), ("help", "help"), ("help", "version"),
                          ("sync", "-h", "whatever"), ("sync", "a", "--help"),
                          ("serve", "--help"), ("version",), ("--version",)):
            with self.subTest(arguments=arguments):
                result = self.assert_exit(self.resilver(*arguments), 0)
                self.assertTrue(result.out.endswith("\n"))
                self.assertEqual(result.err, "")
                self.assertLessEqual(max(map(len, result.out.splitlines())), 100)


# The commands that have verbs, and one of those.
A_VERB = {"replica": "rollback", "config": "show", "vm": "list", "host": "pair", "auth": "add",
          "relationship": "create", "job": "watch", "state": "backup", "cim": "invoke"}
WITHOUT_VERB = ("status", "resync", "events", "stats")


class SameOptions(lib.Case):
    """What the help lists is what manual page and completion know, and nothing else."""

    def options_of(self, *command):
        text = self.resilver("help", *command).out
        return set(re.findall(r"^ +(?:-\w, )?--([a-z-]+)", text, re.MULTILINE))

    def verbs_of(self, command):
        verbs = re.findall(r"^  (\w+) ", self.resilver("help", command).out, re.MULTILINE)
        self.assertIn(A_VERB[command], verbs)
        return verbs

    def test_manual_pages(self):
        of_verbs = {command: set() for command in A_VERB}
        for command, found in of_verbs.items():
            for verb in self.verbs_of(command):
                found |= self.options_of(command, verb)
        for command in ("sync", "serve", "recover", *A_VERB, *WITHOUT_VERB):
            with self.subTest(command=command):
                path = os.path.join(TREE, "docs", "man", "resilver-%s.1" % command)
                with open(path, encoding="utf-8") as file:
                    found = re.findall(r"^\.It (?:Fl \w , )?(?:Fl )?-([a-z-]+)", file.read(), re.M)
                self.assertEqual(set(found), of_verbs.get(command) or self.options_of(command))

    def test_completion(self):
        path = os.path.join(TREE, "packaging", "bash-completion", "resilver")
        with open(path, encoding="utf-8") as file:
            text = file.read()
        for command in ("sync", "serve", "recover"):
            with self.subTest(command=command):
                words = re.search(r"%s_options='([^']*)'" % command, text).group(1).split()
                self.assertEqual({word.strip("-=") for word in words}, self.options_of(command))

    def test_completion_of_verbs(self):
        path = os.path.join(TREE, "packaging", "bash-completion", "resilver")
        with open(path, encoding="utf-8") as file:
            text = file.read()
        for command in ("replica", "config"):
            part = text[text.index("_resilver_%s()" % command):]
            for verb in self.verbs_of(command):
                with self.subTest(command=command, verb=verb):
                    words = re.search(
                        r"(?m)^    [a-z |]*\b%s\b[a-z |]*\) _resilver_options \"\$1\" (.*) ;;" % verb,
                        part).group(1).split()
                    self.assertEqual({word.strip("-=") for word in words},
                                     self.options_of(command, verb))

    def complete(self, *words, env=None):
        path = os.path.join(TREE, "packaging", "bash-completion", "resilver")
        script = ('source "$0"; COMP_WORDS=("$@"); COMP_CWORD=$(($# - 1)); _resilver 2>/dev/null; '
                  'echo "${COMPREPLY[*]}"')
        return lib.must(["bash", "-c", script, path, "resilver", *words], env=env).strip()

    def test_completion_of_the_services_commands(self):
        lib.need_tool("bash")
        commands = [(command,) for command in WITHOUT_VERB]
        for command in A_VERB:
            if command not in ("replica", "config"):
                verbs = self.verbs_of(command)
                self.assertEqual(self.complete(command, "").split(), [*verbs, "--help"])
                commands += [(command, verb) for verb in verbs]
        for command in commands:
            with self.subTest(command=command):
                words = self.complete(*command, "--").split()
                self.assertEqual({word.strip("-=") for word in words}, self.options_of(*command))
                self.assertEqual(len(words), len(set(words)))

    def test_the_gateways_users_have_the_same_options_everywhere(self):
        """One word more than the others: resilver gateway user VERB."""
        lib.need_tool("bash")
        found = set()
        for verb in ("list", "add", "remove"):
            options = self.options_of("gateway", "user", verb)
            words = self.complete("gateway", "user", verb, "--").split()
            self.assertEqual({word.strip("-=") for word in words}, options)
            found |= options
        path = os.path.join(TREE, "docs", "man", "resilver-gateway-user.1")
        with open(path, encoding="utf-8") as file:
            named = re.findall(r"^\.It (?:Fl \w , )?(?:Fl )?-([a-z-]+)", file.read(), re.M)
        self.assertEqual(set(named), found)
        self.assertEqual(self.complete("gateway", ""), "user --help")
        self.assertEqual(self.complete("gateway", "user", "").split(),
                         ["list", "add", "remove", "--help"])
        self.assertEqual(self.complete("gateway", "user", "add", "--role", "=", "v"), "viewer")

    def test_completion_runs_nothing_that_is_in_a_name(self):
        """Names of VMs and hosts come from other hosts."""
        lib.need_tool("bash")
        made = self.path("made")
        names = ["$(touch${IFS}%s)" % made, "`touch<%s`" % made, "web1", "web 2", "we;b", "other"]
        stand_in = self.path("resilver")
        table = "NAME  MODE\n" + "".join("%s  primary\n" % name for name in names)
        lib.write_script(stand_in, "#!/bin/sh\ncat <<'END'\n%sEND\n" % table)
        env = {"PATH": "%s:%s" % (self.dir, os.environ["PATH"])}
        for words in (["vm", "show"], ["host", "revoke"], ["job", "watch"], ["resync"]):
            with self.subTest(words=words):
                self.assertEqual(self.complete(*words, "we", env=env), "web1 web\\ 2 we\\;b")
                self.assertEqual(self.complete(*words, "web\\ ", env=env), "web\\ 2")
                found = self.complete(*words, "", env=env)
                self.assertIn("other", found)
                self.assertIn("\\$\\(touch", found)
        self.assertEqual(self.complete("relationship", "create", "--host", "=", env=env), found)
        self.assertFalse(os.path.exists(made), "a name was run")

    def test_completion_completes(self):
        lib.need_tool("bash")
        for words, wanted in ((["s"], "sync serve status stats state"),
                              (["re"], "replica recover relationship resync"),
                              (["replica", "ro"], "rollback"),
                              (["replica", "open", "--so"], "--socket="),
                              (["help", "replica", "ver"], "verify"), (["config", "ch"], "check"),
                              (["config", "show", "--j"], "--json"), (["help", "config", "s"], "show"), (["sync", "--che"], "--check"),
                              (["sync", "--format", "=", "v"], "vhdx vmdk vdi"),
                              (["sync", "--compress", "="], "auto always never"),
                              (["serve", "--ex"], "--export="), (["sync", "a"], "")):
            with self.subTest(words=words):
                self.assertEqual(self.complete(*words), wanted)


class Lines(lib.Case):
    """The lines for people."""

    def disks(self, size=4 * MIB):
        lib.make_disk(self.path("a.raw"), size, self.rng)
        lib.copy_disk(self.path("a.raw"), self.path("b.raw"))

    def lines(self, code, *arguments):
        result = self.assert_exit(self.resilver("sync", *arguments, cwd=self.dir), code)
        self.assertEqual(result.err, "")
        return result.out.splitlines()

    def test_in_sync(self):
        self.disks()
        line, = self.lines(IN_SYNC, "a.raw", "b.raw")
        self.assertRegex(line, r"^b\.raw: in sync with a\.raw: 4\.0 MiB compared, nothing "
                               r"different, \d+\.\d s, [0-9.]+ [KMG]iB/s$")
        lib.change_leaves(self.path("b.raw"), [3, 9], self.rng)
        line, = self.lines(IN_SYNC, "--refine=never", "a.raw", "b.raw")
        self.assertRegex(line, r"^b\.raw: in sync with a\.raw: 4\.0 MiB compared, 128 KiB different"
                               r", 128 KiB written and verified, ")

    def test_different(self):
        self.disks()
        lib.change_leaves(self.path("b.raw"), [3, 9, 11], self.rng)
        self.assertEqual(self.lines(DIFFERENT, "--check", "a.raw", "b.raw"),
                         ["b.raw differs from a.raw: 3 blocks of 64 KiB (192 KiB) of 4.0 MiB"])
        self.assertEqual(self.lines(DIFFERENT, "--check", "--quiet", "a.raw", "b.raw"), [])

    def test_verbose_has_the_proof(self):
        self.disks()
        text = "\n".join(self.lines(IN_SYNC, "-v", "a.raw", "b.raw"))
        self.assertRegex(text, r"(?m)^  proof sha256:[0-9a-f]{64}$")
        self.assertRegex(text, r"(?m)^  source sent .*, received ")

    def test_several(self):
        self.disks()
        lib.copy_disk(self.path("a.raw"), self.path("c.raw"))
        lines = self.lines(IN_SYNC, "--disk=a.raw=b.raw", "--disk=a.raw=c.raw")
        self.assertEqual(len(lines), 3)
        self.assertTrue(lines[2].startswith("2 disks in sync: 8.0 MiB compared"), lines)

    def test_progress_without_a_terminal_is_plain_lines(self):
        self.disks(16 * MIB)
        os.unlink(self.path("b.raw"))
        result = self.resilver("sync", "--progress=always", "--create", "--bwlimit=16M",
                               "--compress=never", "a.raw", "b.raw", cwd=self.dir)
        self.assert_exit(result, IN_SYNC)
        self.assertNotIn("\r", result.words)
        self.assertNotIn("\033", result.words)
        for line in result.err.splitlines():
            self.assertRegex(line, r"^b\.raw +\d+%  .* compared  .* different  .* shipped  ")
        self.assertEqual(len(result.out.splitlines()), 1)


class OnATerminal(lib.Case):
    def setUp(self):
        super().setUp()
        self.source = lib.make_disk(self.path("a.raw"), 16 * MIB, self.rng)

    def slow(self, *options, **more):
        """A run of about two seconds."""
        return Terminal(self, ["sync", "--create", "--bwlimit=8M", "--compress=never",
                               "--refine=never", *options], cwd=self.dir, **more)

    def test_a_line_that_moves_and_one_that_stays(self):
        terminal = self.slow("a.raw", "b.raw")
        self.assertEqual(terminal.wait(), IN_SYNC)
        self.assertIn(b"%", terminal.shown)
        self.assertIn(b"\033[1A", terminal.shown)
        self.assertRegex(terminal.shown, rb"\d+\.\d MiB shipped  \d")
        screen = screen_of(terminal.shown)
        self.assertEqual(len(screen), 1, screen)
        self.assertTrue(screen[0].startswith("b.raw: in sync with a.raw: "), screen)
        self.assert_same(self.source, self.path("b.raw"))

    def test_one_line_a_disk(self):
        terminal = self.slow("--disk=a.raw=b.raw", "--disk=a.raw=c.raw", columns=70)
        terminal.wait_for(b"\033[2A")
        self.assertEqual(terminal.wait(), IN_SYNC)
        self.assertEqual(len(screen_of(terminal.shown)), 3)

    def test_no_line_is_wider_than_the_terminal(self):
        name = "a-name-that-is-quite-long-for-a-disk-but-has-to-be-cut.raw"
        for columns in (20, 40, 80):
            with self.subTest(columns=columns):
                if os.path.exists(self.path(name)):
                    os.unlink(self.path(name))
                terminal = self.slow("--progress=auto", "a.raw", name, columns=columns)
                terminal.wait_for(b"\033[1A")
                live = terminal.shown.split(b"\033[1A")[0].replace(b"\033[K", b"")
                for line in live.strip().splitlines():
                    self.assertLess(len(line.strip()), columns)
                terminal.type(b"\x03")
                self.assertEqual(terminal.wait(), FAILED)

    def test_a_name_moves_no_cursor(self):
        os.rename(self.source, self.path("x\x1b[5A\r\n.raw"))
        terminal = self.slow("x\x1b[5A\r\n.raw", "y\x1b[7Bz\x9b.raw")
        self.assertEqual(terminal.wait(), IN_SYNC)
        self.assertNotIn(b"\033[5A", terminal.shown)
        self.assertNotIn(b"\033[7B", terminal.shown)
        self.assertEqual(len(screen_of(terminal.shown)), 1)

    def test_silence_where_it_is_wanted(self):
        for options, term in ((("--progress=never",), "xterm"), (("--quiet",), "xterm"),
                              ((), "dumb")):
            with self.subTest(options=options, term=term):
                if os.path.exists(self.path("b.raw")):
                    os.unlink(self.path("b.raw"))
                terminal = Terminal(self, ["sync", "--create", *options, "a.raw", "b.raw"],
                                    term=term, cwd=self.dir)
                self.assertEqual(terminal.wait(), IN_SYNC)
                self.assertNotIn(b"\033", terminal.shown)
                self.assertEqual(len(screen_of(terminal.shown)), 0 if "--quiet" in options else 1)

    def test_ctrl_c(self):
        terminal = self.slow("a.raw", "b.raw")
        terminal.wait_for(b"%")
        began = time.monotonic()
        terminal.type(b"\x03")
        self.assertEqual(terminal.wait(), FAILED)
        self.assertLess(time.monotonic() - began, 1.5)
        last = screen_of(terminal.shown.replace(b"^C", b""))[-1]
        self.assertRegex(last, "^resilver: stopped by SIGINT; the same command resumes")
        self.assertEqual(Terminal(self, ["sync", "--create", "a.raw", "b.raw"],
                                  cwd=self.dir).wait(), IN_SYNC)
        self.assert_same(self.source, self.path("b.raw"))

    def test_a_stopped_terminal_does_not_stop_the_run(self):
        """Ctrl-S: nothing is taken from us. The run goes on to its end all the same."""
        terminal = self.slow("a.raw", "b.raw")
        terminal.wait_for(b"%")
        terminal.type(b"\x13")
        # Only the result, at the end, waits for the person; by then the target is whole.
        lib.wait_until(lambda: os.path.getsize(self.path("b.raw")) == 16 * MIB and
                       not lib.different_leaves(self.source, self.path("b.raw")) and
                       not os.path.exists(self.path("b.raw.resilver")), "the end of the run")
        terminal.type(b"\x11")
        self.assertEqual(terminal.wait(), IN_SYNC)


class CutOnATerminal(lib.Case):
    def setUp(self):
        super().setUp()
        self.source = lib.make_disk(self.path("a.raw"), MIB, self.rng)
        self.target = lib.make_disk(self.path("b.raw"), MIB + 64 * KIB, self.rng)

    def ask(self, *options, names=("a.raw", "b.raw")):
        return Terminal(self, ["sync", "--create", *options, *names], cwd=self.dir)

    def test_the_name_typed_back_cuts(self):
        terminal = self.ask()
        terminal.wait_for(b"Type its name to cut it: ")
        self.assertIn(b"b.raw is larger (1.1 MiB) than its source (1.0 MiB)", terminal.shown)
        terminal.type(b"b.raw\n")
        self.assertEqual(terminal.wait(), IN_SYNC)
        self.assert_same(self.source, self.target)

    def test_anything_else_does_not(self):
        untouched = lib.Untouched(self.target)
        for answer in (b"yes\n", b"\n", b"b.raw \n", b"B.RAW\n", b"\x04", b"\x03"):
            with self.subTest(answer=answer):
                terminal = self.ask()
                terminal.wait_for(b"Type its name to cut it: ")
                terminal.type(answer)
                self.assertEqual(terminal.wait(), FAILED)
                untouched.check(self)

    def test_each_disk_is_asked_about(self):
        lib.make_disk(self.path("d.raw"), 3 * MIB, self.rng)
        lib.copy_disk(self.source, self.path("c.raw"))
        untouched = lib.Untouched(self.path("d.raw"))
        terminal = Terminal(self, ["sync", "--create", "--disk=a.raw=b.raw", "--disk=c.raw=d.raw"],
                            cwd=self.dir)
        terminal.wait_for(b"b.raw is larger")
        terminal.wait_for(b"cut it: ")
        terminal.type(b"b.raw\n")
        terminal.wait_for(b"d.raw is larger")
        terminal.type(b"b.raw\n")
        self.assertEqual(terminal.wait(), FAILED)
        untouched.check(self)

    def test_yes_does_not_ask(self):
        terminal = self.ask("--yes")
        self.assertEqual(terminal.wait(), IN_SYNC)
        self.assertNotIn(b"Type its name", terminal.shown)
        self.assert_same(self.source, self.target)

    def test_without_a_terminal_yes_is_needed(self):
        untouched = lib.Untouched(self.target)
        result = self.resilver("sync", "--create", self.source, self.target)
        self.assert_exit(result, FAILED)
        self.assertIn("--yes", result.err)
        untouched.check(self)
        self.sync_pair(self.source, self.target, "--create", "--yes")

    def test_an_image_of_another_format_is_asked_about_too(self):
        lib.need_tool("qemu-img", "qemu-nbd")
        image = self.path("b.qcow2")
        lib.must(["qemu-img", "create", "-q", "-f", "qcow2", image, "3M"])
        result = self.resilver("sync", "--create", self.source, image)
        self.assert_exit(result, FAILED)
        self.assertIn("--yes", result.err)


class Ssh(lib.Case):
    """What an ssh client is given: fixed words, and nothing that a shell would have to quote."""

    def setUp(self):
        super().setUp()
        self.record = self.path("record")
        self.fake = lib.write_script(self.path("fake ssh"), "#!/bin/sh\nfor word; do "
                                     "printf '%%s\\n' \"$word\"; done >'%s'\nexit 255\n"
                                     % self.record)

    def words(self, *arguments, ssh=None):
        result = self.resilver("sync", "--ssh=" + (ssh or "'%s'" % self.fake), *arguments)
        self.assert_exit(result, FAILED)
        with open(self.record) as file:
            return file.read().splitlines()

    def test_the_words(self):
        source = lib.make_disk(self.path("a.raw"), MIB, self.rng)
        self.assertEqual(self.words(source, "db1:x"), ["db1", "resilver", "serve", "--stdio"])
        self.assertEqual(self.words("anna@db1:x; reboot", source),
                         ["anna@db1", "resilver", "serve", "--stdio"])
        self.assertEqual(self.words(source, "[::1]:$(reboot)"),
                         ["::1", "resilver", "serve", "--stdio"])
        self.assertEqual(self.words("--remote-path=sudo -n resilver", source, "db1:x"),
                         ["db1", "sudo -n resilver", "serve", "--stdio"])

    def test_options_of_the_client(self):
        source = lib.make_disk(self.path("a.raw"), MIB, self.rng)
        self.assertEqual(
            self.words(source, "db1:x", ssh="'%s' -p 2222 -i \"my key\" $HOME\\;x" % self.fake),
            ["-p", "2222", "-i", "my key", "$HOME;x", "db1", "resilver", "serve", "--stdio"])

    def test_the_remote_disk_is_named_as_it_was_written(self):
        """An error of the other end's disk says on which host it is."""
        source = lib.make_disk(self.path("a.raw"), MIB, self.rng)
        local = lib.write_script(self.path("local"), "#!/bin/sh\nshift; exec %s serve --stdio\n"
                                 % lib.program())
        result = self.resilver("sync", "--ssh=" + local, source, "db1:" + self.path("b.raw"))
        self.assert_exit(result, FAILED)
        self.assertIn("db1:" + self.path("b.raw"), result.err)
        self.assertEqual(len(result.err.splitlines()), 1, "both ends told it: %s" % result)

    def test_exports_bound_what_an_ssh_key_may_do(self):
        source = lib.make_disk(self.path("a.raw"), MIB, self.rng)
        target = lib.make_disk(self.path("b.raw"), MIB, self.rng)
        other = lib.make_disk(self.path("c.raw"), MIB, self.rng)
        untouched = lib.Untouched(other)
        forced = lib.write_script(self.path("forced"), "#!/bin/sh\nexec %s serve --stdio "
                                  "--export=vm=%s\n" % (lib.program(), target))
        self.assert_exit(self.resilver("sync", "--ssh=" + forced, source, "db1:" + other), USAGE)
        untouched.check(self)
        self.assert_exit(self.resilver("sync", "--ssh=" + forced, source, "db1:vm"), IN_SYNC)
        self.assert_same(source, target)


class Serve(lib.Case):
    def setUp(self):
        super().setUp()
        self.certs = lib.Certs(self.path("certs"))

    def serve(self, exports, *options):
        return self.owned(lib.Server(self.certs, exports, options))

    def sync(self, *arguments, **options):
        return self.resilver("sync", "--json", *self.certs.options("client"), *arguments, **options)

    def test_stdio_is_not_for_a_terminal(self):
        terminal = Terminal(self, ["serve", "--stdio"])
        self.assertEqual(terminal.wait(), USAGE)
        self.assertIn(b"ssh", terminal.shown)

    def test_the_port_is_told_on_standard_output_alone(self):
        target = lib.make_disk(self.path("b.raw"), MIB, self.rng)
        server = self.serve({"vm": target})
        out = server.process.output()[0].decode()
        self.assertEqual(out, "listening on 127.0.0.1:%d\n" % server.port)
        result = server.stop()
        self.assertEqual(result.code, 0, result)
        self.assertIn("server stops", result.err)

    def test_a_taken_port(self):
        target = lib.make_disk(self.path("b.raw"), MIB, self.rng)
        server = self.serve({"vm": target})
        result = self.resilver("serve", "--listen=127.0.0.1:%d" % server.port, "--export=vm=/x",
                               *self.certs.options("server"))
        self.assert_exit(result, FAILED)
        self.assertIn("127.0.0.1:%d" % server.port, result.err)
        self.assertIn("in use", result.err)

    def test_a_missing_export_is_warned_of(self):
        server = self.serve({"gone": self.path("gone.raw"), "new": self.path("n.raw") + ",create"})
        self.assertIn("disk=gone", server.log())
        self.assertNotIn("disk=new", server.log())

    def test_log_lines_of_a_session(self):
        source = lib.make_disk(self.path("a.raw"), MIB, self.rng)
        target = lib.make_disk(self.path("b.raw"), MIB, self.rng)
        server = self.serve({"vm": target})
        self.assert_exit(self.sync(source, server.url("vm")), IN_SYNC)
        self.assert_exit(self.sync(source, server.url("other")), USAGE)
        log = lib.wait_until(lambda: "session refused" in server.log() and server.log(), "the log")
        done, = [line for line in log.splitlines() if "session done" in line]
        self.assertRegex(done, r'^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ notice disk=vm event="session '
                               r'done" peer="127\.0\.0\.1:\d+ \(.*\)" role=target '
                               r'compared_bytes=1048576 different_bytes=\d+ written_bytes=\d+$')
        refused, = [line for line in log.splitlines() if "session refused" in line]
        self.assertRegex(refused, r" warning disk=other event=.* kind=usage error=\"")

    def test_a_flood_of_strangers_does_not_flood_the_log(self):
        target = lib.make_disk(self.path("b.raw"), MIB, self.rng)
        server = self.serve({"vm": target})
        for _ in range(60):
            with socket.create_connection(("127.0.0.1", server.port), 15) as plain:
                plain.sendall(b"GET / HTTP/1.1\r\n\r\n")
                try:
                    while plain.recv(1000):
                        pass
                except ConnectionError:
                    pass
        lines = [line for line in server.log().splitlines() if "connection refused" in line]
        self.assertGreater(len(lines), 0)
        self.assertLessEqual(len(lines), 45, "two windows of 20 lines, and a few that raced")

    def test_no_more_sessions_than_there_may_be(self):
        target = lib.make_disk(self.path("b.raw"), MIB, self.rng)
        server = self.serve({"vm": target})
        waiting = [socket.create_connection(("127.0.0.1", server.port), 15) for _ in range(8)]
        try:
            with socket.create_connection(("127.0.0.1", server.port), 15) as ninth:
                ninth.settimeout(5)
                try:
                    self.assertEqual(ninth.recv(1), b"", "the ninth was let in")
                except ConnectionError:
                    pass
            self.assertRegex(server.log(), "as many sessions")
        finally:
            for one in waiting:
                one.close()
        source = lib.make_disk(self.path("a.raw"), MIB, self.rng)
        lib.wait_until(lambda: self.sync(source, server.url("vm")).code == IN_SYNC, "a free place")

    def test_an_export_is_written_by_one_session_alone(self):
        source = lib.make_disk(self.path("a.raw"), 16 * MIB, self.rng)
        target = lib.make_disk(self.path("b.raw"), 16 * MIB, self.rng)
        server = self.serve({"vm": target})
        first = self.start("sync", "--json", "--bwlimit=4M", "--compress=never",
                           *self.certs.options("client"), source, server.url("vm"))
        lib.wait_until(lambda: lib.leaf_is_equal(source, target, 1), "the first leaves")
        other = lib.make_disk(self.path("c.raw"), 16 * MIB, self.rng)
        untouched = lib.Untouched(other)
        for pair in ((source, server.url("vm")), (server.url("vm"), other)):
            result = self.sync(*pair)
            lib.check_error(self, result, "state", ("vm", "another session"))
        untouched.check(self)
        self.assert_exit(first.wait(), IN_SYNC)
        self.assert_same(source, target)

    def test_killed_server_takes_its_sessions_with_it(self):
        source = lib.make_disk(self.path("a.raw"), 16 * MIB, self.rng)
        target = lib.make_disk(self.path("b.raw"), 16 * MIB, self.rng)
        server = self.serve({"vm": target})
        first = self.start("sync", "--json", "--bwlimit=4M", "--compress=never",
                           *self.certs.options("client"), source, server.url("vm"))
        lib.wait_until(lambda: lib.leaf_is_equal(source, target, 1), "the first leaves")
        os.kill(server.process.pid, signal.SIGKILL)
        lib.check_error(self, first.wait(), ("peer", "cancelled"))


if __name__ == "__main__":
    lib.main()
