#!/usr/bin/python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""The commands that talk to resilverd, against real daemons: what they show, what they print as JSON,
what they refuse, and that their exit status is the truth."""

import json
import os
import re
import signal
import sqlite3
import stat
import subprocess

import hosts
import lib
from cli_test import Terminal
from lib import FAILED, USAGE

KINDS = {"io", "peer", "state", "limit", "usage", "internal", "cancelled"}


def terminal_text(terminal):
    return terminal.shown.decode(errors="replace").replace("\r", "")


class Talker:
    """`resilver ... --json` as another program uses it: lines out, lines in."""

    def __init__(self, case, host, *arguments):
        self.popen = subprocess.Popen(
            [lib.program(), *arguments, "--json", "--socket=" + host.socket], text=True,
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
            env=lib.tagged_environment({"TMPDIR": case.run_dir}))
        case.owned(self)

    def until(self, state):
        """The first line with that state."""
        for line in self.popen.stdout:
            found = json.loads(line)
            if found.get("state") == state:
                return found
        raise AssertionError("never in state %s: %s" % (state, self.popen.stderr.read()))

    def say(self, text):
        self.popen.stdin.write(text + "\n")
        self.popen.stdin.flush()

    def end(self):
        """The last object, and the exit status."""
        out, _ = self.popen.communicate(timeout=lib.DEADLINE_S)
        lines = out.splitlines()
        return json.loads(lines[-1]) if lines else None, self.popen.returncode

    def close(self):
        if self.popen.poll() is None:
            self.popen.kill()
            self.popen.wait()
        for stream in (self.popen.stdin, self.popen.stdout, self.popen.stderr):
            stream.close()


class Case(hosts.HostsCase):
    def cli(self, host, *arguments, code=0, **options):
        """A command at a host; what does not belong to a stream is not on it."""
        result = self.resilver(*arguments, "--socket=" + host.socket, **options)
        self.assert_exit(result, code)
        self.assertEqual(result.out if code else result.err, "", result)
        return result

    def ask_json(self, host, *arguments, **options):
        return self.cli(host, *arguments, "--json", **options).report

    def refuse(self, host, *arguments, words=(), code=FAILED, value=None):
        """The same refusal for people and for programs."""
        result = self.cli(host, *arguments, code=code)
        lines = result.err.splitlines()
        self.assertEqual(len(lines), 1, result)
        self.assertTrue(lines[0].startswith("resilver: "), result)
        for word in (words,) if isinstance(words, str) else words:
            self.assertIn(word, lines[0])
        if value is not None:
            self.assertIn("(return value %d)" % value, lines[0])
        told = self.resilver(*arguments, "--json", "--socket=" + host.socket)
        self.assert_exit(told, code)
        self.assertEqual(told.err, "", told)
        self.assertEqual(told.report["result"], "failed")
        error = told.report["error"]
        self.assertIn(error["kind"], KINDS)
        self.assertEqual(error.get("return_value"), value, told)
        return lines[0]

    def terminal(self, host, *arguments, **options):
        return Terminal(self, [*arguments, "--socket=" + host.socket], **options)

    def rows(self, result):
        """The rows of a table, by the columns of its head."""
        lines = result.out.splitlines()
        starts = [match.start() for match in re.finditer(r"(?:(?<=  )|^)\S", lines[0])]
        heads = [lines[0][a:b].strip() for a, b in zip(starts, starts[1:] + [None])]
        return heads, [re.split(r"  +", line.strip()) for line in lines[1:]]


class PairingTest(Case):
    def setUp(self):
        super().setUp()
        self.a = self.make_host("alpha").start()
        self.b = self.make_host("beta").start()

    def address(self):
        return "127.0.0.1:%d" % self.b.port

    def test_programs_pair_by_standard_input_and_code(self):
        waiting = Talker(self, self.b, "host", "pair", "--wait")
        waiting.until("waiting")
        asking = Talker(self, self.a, "host", "pair", self.address())
        code = asking.until("code")["code"]
        self.assertEqual(waiting.until("code")["code"], code)
        self.assertRegex(code, r"^\d{6}$")
        waiting.say(code)
        # At the other host, somebody confirms what shows a code already.
        done = self.cli(self.a, "host", "pair", "--code", code[:3] + " " + code[3:])
        self.assertEqual(done.out, "paired with beta\n")
        last, status = waiting.end()
        self.assertEqual((last["state"], last["peer"]["name"], status), ("done", "alpha", 0))
        # The one that still waits for the code finds the pairing done, and takes nothing back.
        asking.end()
        self.assertEqual([host["name"] for host in self.a.get("/v1/hosts")["hosts"]], ["beta"])
        self.assertEqual([host["name"] for host in self.b.get("/v1/hosts")["hosts"]], ["alpha"])

    def test_another_code_is_no_pairing(self):
        waiting = Talker(self, self.b, "host", "pair", "--wait")
        waiting.until("waiting")
        asking = Talker(self, self.a, "host", "pair", self.address())
        code = asking.until("code")["code"]
        asking.say("%06d" % ((int(code) + 1) % 1000000))
        last, status = asking.end()
        self.assertEqual(status, FAILED)
        self.assertIn("the codes differ", last["error"]["message"])
        last, status = waiting.end()
        self.assertEqual(status, FAILED)
        self.assertEqual(self.a.get("/v1/hosts")["hosts"], [])
        self.assertEqual(self.b.get("/v1/hosts")["hosts"], [])

    def test_people_pair_at_two_terminals(self):
        waiting = self.terminal(self.b, "host", "pair", "--wait")
        waiting.wait_for(b"Waiting for the other host")
        asking = self.terminal(self.a, "host", "pair", self.address())
        for terminal in (asking, waiting):
            terminal.wait_for(b"[y/N] ")
        codes = [re.search(r"\n +(\d{3} \d{3})\n", terminal_text(t)).group(1)
                 for t in (asking, waiting)]
        self.assertEqual(codes[0], codes[1])
        asking.type(b"y\n")
        waiting.type(b"yes\n")
        self.assertEqual(asking.wait(), 0, asking.shown)
        self.assertEqual(waiting.wait(), 0, waiting.shown)
        self.assertIn("paired with beta", terminal_text(asking))
        self.assertIn("paired with alpha", terminal_text(waiting))

    def test_no_is_the_answer_of_whoever_only_presses_enter(self):
        waiting = self.terminal(self.b, "host", "pair", "--wait")
        waiting.wait_for(b"Waiting")
        asking = self.terminal(self.a, "host", "pair", self.address())
        asking.wait_for(b"[y/N] ")
        asking.type(b"\n")
        self.assertEqual(asking.wait(), FAILED)
        waiting.wait_for(b"[y/N] ")
        waiting.type(b"y\n")
        self.assertEqual(waiting.wait(), FAILED, waiting.shown)
        self.assertEqual(self.b.get("/v1/hosts")["hosts"], [])

    def test_a_stopped_wait_closes_the_window(self):
        waiting = self.terminal(self.b, "host", "pair", "--wait")
        waiting.wait_for(b"Waiting")
        waiting.type(b"\x03")
        self.assertEqual(waiting.wait(), FAILED)
        states = [p["state"] for p in self.b.get("/v1/pairings")["pairings"]]
        self.assertNotIn("waiting", states)

    def test_pair_has_no_yes(self):
        self.refuse(self.a, "host", "pair", "--yes", "--wait", words="--yes", code=USAGE)
        self.refuse(self.a, "host", "pair", code=USAGE, words="--wait")
        self.refuse(self.a, "host", "pair", "--wait", "b:1", code=USAGE, words="exclude")
        self.refuse(self.a, "host", "pair", "--code=123456", code=USAGE, words="no pairing shows")


class ServiceTest(Case):
    def setUp(self):
        super().setUp()
        self.make_pair()

    # --- copies ---

    def test_a_vm_is_replicated_and_resynchronized(self):
        made = self.cli(self.a, "relationship", "create", "web1", "--host=beta",
                        "--recovery-history=2", "--rate=800MB", "--auto-resync=18:30-06:00")
        self.assertNotEqual(made.out, "")
        settings = self.ask_json(self.a, "rel", "show", "web1")["settings"]
        self.assertEqual((settings["recovery_history"], settings["rate_bytes_per_s"]),
                         (2, 800000000))
        self.assertEqual(settings["auto_resync"],
                         {"enabled": True, "start": "18:30", "end": "06:00"})
        started = self.cli(self.a, "relationship", "start", "web1", "--wait")
        self.assertIn("initial copy of web1: completed after", started.out)
        self.check_replica("web1")
        self.change("web1")
        resynced = self.cli(self.a, "resync", "web1", "--wait")
        self.assertIn("resync of web1: completed after", resynced.out)
        self.check_replica("web1")
        job = self.ask_json(self.a, "job", "list")["jobs"][0]
        for disk in job["report"]["disks"]:
            self.assertRegex(disk["proof"], "^[0-9a-f]{64}$")
            self.assertIn("proof sha256:" + disk["proof"], resynced.out)
            self.assertIn(disk["name"] + ": ", resynced.out)

    def test_create_starts_and_waits_at_once(self):
        job = self.ask_json(self.a, "relationship", "create", "web1", "--host=beta", "--disk=vdb",
                            "--start", "--wait")
        self.assertEqual(job["state_name"], "completed")
        self.assertEqual([disk["name"] for disk in job["report"]["disks"]], ["vdb"])
        disks = self.ask_json(self.a, "relationship", "show", "web1")["disks"]
        self.assertEqual({d["name"]: d["included"] for d in disks}, {"vda": False, "vdb": True})

    def test_a_mistake_in_the_start_makes_no_relationship(self):
        self.refuse(self.a, "relationship", "create", "web1", "--host=beta", "--start",
                    "--at=nonsense", code=USAGE, words="'nonsense' is no time")
        self.assertEqual(self.a.get("/v1/relationships")["relationships"], [])

    def test_settings_change_one_by_one(self):
        self.copy()
        before = self.a.relationship("web1")["settings"]
        self.cli(self.a, "relationship", "set", "web1", "--auto-resync=20:00-21:15")
        after = self.a.relationship("web1")["settings"]
        self.assertEqual(after["auto_resync"], {"enabled": True, "start": "20:00", "end": "21:15"})
        self.cli(self.a, "relationship", "set", "web1", "--auto-resync=off", "--rate=0")
        after = self.a.relationship("web1")["settings"]
        self.assertEqual(after["auto_resync"], {"enabled": False, "start": "20:00", "end": "21:15"})
        self.assertEqual({**after, "auto_resync": 0}, {**before, "auto_resync": 0})
        self.refuse(self.a, "relationship", "set", "web1", code=USAGE, words="no setting")
        self.refuse(self.a, "relationship", "set", "web1", "--auto-resync=18:30", code=USAGE,
                    words="18:30-06:00")

    def test_a_relationship_is_suspended_resumed_and_removed(self):
        self.copy()
        self.cli(self.a, "relationship", "suspend", "web1")
        self.a.wait_state("web1", 7)
        self.cli(self.a, "relationship", "resume", "web1")
        lib.wait_until(lambda: self.a.relationship("web1")["state"] != 7, "web1 goes on")
        self.refuse(self.a, "relationship", "remove", "web1", words="--yes")
        wrong = self.terminal(self.a, "relationship", "remove", "web1")
        wrong.wait_for(b"(web1) to go on: ")
        wrong.type(b"web2\n")
        self.assertEqual(wrong.wait(), FAILED)
        self.assertEqual(len(self.a.get("/v1/relationships")["relationships"]), 1)
        right = self.terminal(self.a, "relationship", "remove", "web1")
        right.wait_for(b"(web1) to go on: ")
        right.type(b"web1\n")
        self.assertEqual(right.wait(), 0, right.shown)
        self.assertEqual(self.a.get("/v1/relationships")["relationships"], [])
        self.check_replica("web1")

    # --- jobs ---

    def test_a_scheduled_resync_is_shown_found_by_its_beginning_and_cancelled(self):
        self.copy()
        told = self.cli(self.a, "resync", "web1", "--at=+2h")
        job = re.search(r"job ([0-9a-f-]{36})\n", told.out).group(1)
        self.assertIn("resilver job watch " + job[:8], told.out)
        self.assertEqual(self.ask_json(self.a, "job", "show", job[:6])["id"], job)
        self.assertEqual(self.ask_json(self.a, "job", "show", job[:8].upper())["id"], job)
        self.assertEqual(self.ask_json(self.a, "job", "show", job)["id"], job)
        shown = self.cli(self.a, "job", "show", job[:8]).out
        self.assertIn(job, shown)
        self.assertIn("web1", shown)
        heads, rows = self.rows(self.cli(self.a, "job", "list", "--vm=web1", "--limit=1"))
        self.assertEqual(heads[:4], ["ID", "VM", "JOB", "STATE"])
        self.assertEqual([row[:4] for row in rows], [[job[:8], "web1", "resync", "new"]])
        self.assertGreater(len(self.ask_json(self.a, "job", "list", "--all")["jobs"]), 1)
        moved = self.cli(self.a, "resync", "web1", "--at=+3h")
        self.assertIn("has a new start: job " + job, moved.out)
        self.cli(self.a, "job", "cancel", job[:8])
        self.a.wait_job(job, hosts.TERMINATED)
        self.cli(self.a, "job", "watch", job[:8], code=FAILED)
        told = self.resilver("job", "watch", job, "--json", "--socket=" + self.a.socket)
        self.assert_exit(told, FAILED)
        self.assertEqual((told.report["id"], told.report["state"]), (job, hosts.TERMINATED))

    def test_ids_that_are_none(self):
        self.copy()
        self.refuse(self.a, "job", "show", "abc", code=USAGE, words="at least the first 4 digits")
        self.refuse(self.a, "job", "show", "web1", code=USAGE, words="no job's id")
        self.refuse(self.a, "job", "show", "00000000", code=USAGE, words="job list --all")

    def test_ctrl_c_stops_the_watching_and_not_the_job(self):
        self.copy()
        watched = self.terminal(self.a, "resync", "web1", "--at=+2h", "--wait")
        watched.wait_for(b"resync of web1 starts at ")
        watched.type(b"\x03")
        self.assertEqual(watched.wait(), FAILED)
        text = terminal_text(watched)
        job = self.a.jobs()[0]["id"]
        self.assertIn("the job goes on", text)
        self.assertIn("resilver job cancel " + job[:8], text)
        self.assertEqual(self.a.job(job)["state_name"], "new")
        # Another one watches it to its end.
        again = self.start("job", "watch", job, "--socket=" + self.a.socket)
        self.a.post("/v1/jobs/%s/state" % job, {"requested_state": 4})
        result = again.wait()
        self.assert_exit(result, FAILED)
        self.assertIn("terminated", result.err)

    def test_a_terminal_shows_the_disks_and_the_proof(self):
        self.a.create("web1", self.b, settings={"rate_bytes_per_s": 8 * lib.MIB})
        watched = self.terminal(self.a, "relationship", "start", "web1", "--wait")
        watched.wait_for(b"vda  ")
        watched.wait_for(b"% ")
        self.assertEqual(watched.wait(), 0, watched.shown)
        text = terminal_text(watched)
        self.assertIn("initial copy of web1: completed", text)
        self.assertEqual(len(re.findall(r"proof sha256:[0-9a-f]{64}\n", text)), 2)

    # --- tables and JSON ---

    def test_lists_show_what_there_is(self):
        self.copy()
        heads, rows = self.rows(self.cli(self.a, "vm", "list"))
        self.assertEqual(heads, ["NAME", "MODE", "DISKS", "STATE", "HEALTH", "HOST"])
        self.assertEqual(rows, [["web1", "primary", "2", "replicating", "ok", "beta"]])
        heads, rows = self.rows(self.cli(self.b, "relationship", "list"))
        self.assertEqual(rows[0][:4], ["web1", "0", "replica", "replicating"])
        heads, rows = self.rows(self.cli(self.a, "host", "list"))
        self.assertEqual(rows[0][:2], ["beta", "127.0.0.1:%d" % self.b.port])
        heads, rows = self.rows(self.cli(self.b, "auth", "list"))
        self.assertEqual(rows[0][:3], ["alpha", self.b.storage, "DEFAULT"])
        heads, rows = self.rows(self.cli(self.a, "stats", "web1"))
        self.assertEqual(heads[0], "FROM")
        status = self.cli(self.a, "status").out
        for word in ("alpha", "beta", "1 replicating", "open jobs           0"):
            self.assertIn(word, status)
        for words in (["vm", "show", "web1"], ["relationship", "show", "web1"], ["host", "show"],
                      ["host", "show", "beta"]):
            self.assertRegex(self.cli(self.a, *words).out, r"^\w+ +\S")

    def test_json_is_the_objects_of_the_api(self):
        self.copy()
        for words, path in ((["vm", "list"], "/v1/vms"), (["vm", "show", "web1"], "/v1/vms/web1"),
                            (["relationship", "list"], "/v1/relationships"),
                            (["rel", "show", "web1"], "/v1/vms/web1/relationships/0"),
                            (["host", "list"], "/v1/hosts"), (["auth", "list"], "/v1/authorizations"),
                            (["job", "list"], "/v1/jobs")):
            self.assertEqual(self.ask_json(self.a, *words), self.a.get(path), words)
        self.assertEqual(set(self.ask_json(self.a, "status")), {"host", "hosts", "vms", "jobs"})
        self.assertEqual(list(self.ask_json(self.a, "stats", "web1", "--limit=1")), ["statistics"])

    def test_the_cim_model_is_shown_asked_and_called(self):
        self.copy()
        self.change("web1")
        vms = self.ask_json(self.a, "cim", "query", "select * from Msvm_ComputerSystem where "
                            "ElementName = 'web1'")["instances"]
        self.assertEqual([each["Name"] for each in vms], [self.a.ids["web1"].upper()])
        vm = vms[0]["__PATH"]
        self.assertIn('ElementName = "web1"', self.cli(self.a, "cim", "get", vm).out)
        linked = self.ask_json(self.a, "cim", "associators", vm)["instances"]
        self.assertIn("Msvm_ReplicationRelationship", {each["__CLASS"] for each in linked})
        call = ["cim", "invoke", "Msvm_ReplicationService", "Resynchronize"]
        made = self.ask_json(self.a, *call, "ComputerSystem=" + vm)
        self.assertEqual((made["return_value"], made["message"]), (4096, ""))
        self.a.wait_job(re.search('"(.*)"', made["out"]["Job"]).group(1).lower())
        self.check_replica("web1")
        job, = self.ask_json(self.a, "cim", "get", made["out"]["Job"])["instances"]
        self.assertEqual(job["JobState"], 7)
        refused = self.assert_exit(self.resilver(*call, "ComputerSystem=" + vm, "StartTime=never",
                                                 "--json", "--socket=" + self.a.socket),
                                   FAILED).report
        self.assertEqual(refused["return_value"], 32776)
        self.assertIn("StartTime", refused["message"])

    def test_the_classes_of_the_cim_model_are_shown(self):
        names = self.ask_json(self.a, "cim", "classes")["classes"]
        self.assertEqual(self.cli(self.a, "cim", "classes").out.split(), names)
        one = self.ask_json(self.a, "cim", "classes", "Msvm_ReplicationService")
        method, = [each for each in one["methods"] if each["name"] == "Resynchronize"]
        self.assertEqual([each["name"] for each in method["parameters"]],
                         ["ComputerSystem", "StartTime", "Job"])
        self.assertIn("uint32 Resynchronize([in] ",
                      self.cli(self.a, "cim", "classes", "Msvm_ReplicationService").out)
        self.refuse(self.a, "cim", "enumerate", "Nothing", words="no class", code=USAGE)
        self.refuse(self.a, "cim", "enumerate", "CIM_Job", "--namespace=root/cimv2",
                    words="root/virtualization/v2", code=USAGE)

    def test_events_are_told_and_followed(self):
        self.copy()
        known = self.ask_json(self.a, "events", "--limit=1000")
        self.assertEqual(known["events"], self.a.get("/v1/events?after=0&limit=1000")["events"])
        self.assertEqual(self.ask_json(self.a, "events", "--limit=2")["events"],
                         known["events"][-2:])
        of_vm = self.ask_json(self.a, "events", "--vm=web1", "--limit=1000")["events"]
        self.assertEqual({event["vm"]["name"] for event in of_vm}, {"web1"})
        lines = self.cli(self.a, "events", "--limit=3").out.splitlines()
        self.assertEqual(len(lines), 3)
        follower = self.start("events", "--follow", "--json", "--limit=1", "--vm=web1",
                              "--socket=" + self.a.socket)
        lib.wait_until(lambda: follower.output()[0].count(b"\n") == 1, "the last event")
        newest = self.a.get("/v1/events?limit=1")["newest"]
        self.a.wait_job(self.a.resync("web1")[1])
        wanted = [e["id"] for e in self.a.get("/v1/events?after=%d&vm=web1" % newest)["events"]]
        self.assertGreater(len(wanted), 0)
        lib.wait_until(lambda: follower.output()[0].count(b"\n") > len(wanted), "the new events")
        follower.signal(signal.SIGINT)
        result = follower.wait()
        self.assert_exit(result, 0)
        seen = [json.loads(line)["id"] for line in result.out.splitlines()]
        self.assertEqual(seen[1:], wanted)

    def test_entries_are_added_and_removed(self):
        other = self.path("other")
        os.mkdir(other)
        added = self.ask_json(self.b, "auth", "add", "alpha", "--storage=" + other,
                              "--trust-group=east")
        self.assertEqual((added["storage_root"], added["trust_group"]), (other, "east"))
        self.refuse(self.b, "auth", "add", "alpha", code=USAGE, words="--storage")
        self.refuse(self.b, "auth", "remove", "alpha", words="--yes")
        self.cli(self.b, "auth", "remove", "alpha", "--yes")
        self.assertEqual(self.b.get("/v1/authorizations")["authorizations"], [])

    def test_a_host_is_tested_moved_and_revoked(self):
        self.cli(self.a, "host", "test", "beta")
        moved = self.ask_json(self.a, "host", "set", "beta", "--address=127.0.0.1:9")
        self.assertEqual(moved["address"], "127.0.0.1:9")
        self.cli(self.a, "host", "test", "beta", code=FAILED)
        self.refuse(self.a, "host", "show", "betta", code=USAGE, words="did you mean 'beta'?")
        asked = self.terminal(self.a, "host", "revoke", "beta")
        asked.wait_for(b"(beta) to go on: ")
        asked.type(b"beta\n")
        self.assertEqual(asked.wait(), 0, asked.shown)
        self.assertIsNotNone(self.a.get("/v1/hosts")["hosts"][0]["revoked"])

    def test_the_state_is_saved(self):
        self.copy()
        path = self.path("saved.db")
        self.cli(self.a, "state", "backup", path)
        self.assertEqual(stat.S_IMODE(os.stat(path).st_mode), 0o600)
        self.assertFalse(os.path.exists(path + ".new"))
        database = sqlite3.connect(path)
        self.assertEqual(database.execute("PRAGMA integrity_check").fetchall(), [("ok",)])
        self.assertEqual(database.execute("SELECT count(*) FROM relationships").fetchall(), [(1,)])
        database.close()
        before = os.stat(path).st_ino
        self.refuse(self.a, "state", "backup", path, words=("--yes", path))
        self.assertEqual(os.stat(path).st_ino, before)
        size = self.ask_json(self.a, "state", "backup", "--yes", path)["size_bytes"]
        self.assertEqual(size, os.path.getsize(path))
        self.assertNotEqual(os.stat(path).st_ino, before)
        beside = self.path("saved.db.new")
        with open(beside, "w", encoding="utf-8") as file:
            file.write("somebody's")
        self.refuse(self.a, "state", "backup", "--yes", path, words=(beside, "remove it"))
        with open(beside, encoding="utf-8") as file:
            self.assertEqual(file.read(), "somebody's")
        os.unlink(beside)
        link = self.path("link.db")
        os.symlink("/dev/null", link)
        self.refuse(self.a, "state", "backup", "--yes", link, words="no plain file")
        self.refuse(self.a, "state", "backup", self.path("none", "x"), words="cannot make")

    # --- refusals ---

    def test_a_mistyped_vm_is_told_with_the_nearest(self):
        for words in (["vm", "show", "wbe1"], ["resync", "wbe1"],
                      ["relationship", "show", "wbe1"], ["job", "list", "--vm=wbe1"]):
            line = self.refuse(self.a, *words, code=USAGE, words="did you mean 'web1'?",
                               value=32773)
            self.assertEqual(line.count("did you mean"), 1)

    def test_a_refusal_has_the_daemons_words_and_number(self):
        self.refuse(self.a, "relationship", "show", "web1", words="relationship create web1")
        line = self.refuse(self.a, "resync", "web1", value=32775)
        status, answer = self.a.call("POST", "/v1/vms/web1/resynchronize", {})
        self.assertIn(answer["error"]["message"], line)
        self.refuse(self.a, "relationship", "create", "web1", words="--host", code=USAGE)
        self.refuse(self.a, "relationship", "create", "web1", "--host=beta", "--wait",
                    words="--start", code=USAGE)
        self.copy()
        self.refuse(self.a, "relationship", "show", "web1", "--hop=1", code=USAGE, words="hop 1")
        self.refuse(self.a, "resync", "web1", "--at=25:00", code=USAGE, words="22:00")
        self.refuse(self.a, "resync", "web1", "--at=+30d", code=USAGE, value=32773)

    def test_a_daemon_that_is_not_there(self):
        self.a.stop()
        for words in (["status"], ["vm", "list"], ["events", "--follow"], ["job", "show", "abcd"],
                      ["state", "backup", self.path("saved.db")], ["resync", "web1", "--wait"]):
            self.refuse(self.a, *words, words=("resilverd", "systemctl status resilverd"))
        self.assertFalse(os.path.exists(self.path("saved.db.new")))

    def test_the_socket_is_taken_from_the_environment(self):
        result = self.resilver("vm", "list", env={"RESILVER_SOCKET": self.a.socket})
        self.assert_exit(result, 0)
        self.assertIn("web1", result.out)

    def test_a_watched_job_outlives_a_restart_of_the_daemon(self):
        self.copy()
        watched = self.terminal(self.a, "resync", "web1", "--at=+2h", "--wait")
        watched.wait_for(b"resync of web1 starts at ")
        self.a.stop()
        watched.wait_for(b"resilverd does not answer; waiting for it")
        self.a.start()
        self.a.post("/v1/jobs/%s/state" % self.a.jobs()[0]["id"], {"requested_state": 4})
        self.assertEqual(watched.wait(), FAILED, watched.shown)
        self.assertIn("resync of web1: terminated", terminal_text(watched))


if __name__ == "__main__":
    lib.main()
