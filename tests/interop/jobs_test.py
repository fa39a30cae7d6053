#!/usr/bin/python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""Jobs as management clients watch and steer them, and every method once from end to end."""
import base64
import datetime
import os
import ssl
import sys
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "e2e"))
sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
import calls  # noqa: E402
import gateway  # noqa: E402
import lib  # noqa: E402
import service_test  # noqa: E402
from calls import JOB, SERVICE, SYSTEM, embedded, job_of, read_embedded, vm  # noqa: E402
from gateway import DMTF, ENUMERATION, EVENTING, SPACES  # noqa: E402

DONE, STARTED, NOT_SUPPORTED, INVALID = 0, 4096, 32770, 32773
RELATIONSHIP = "Msvm_ReplicationRelationship"
SETTINGS = "Msvm_ReplicationSettingData"
ENTRY = "Msvm_ReplicationAuthorizationSettingData"
RATE = 6000000  # bytes a second: what differs takes some seconds
GUESTS = ("ChangeReplicationModeToPrimary", "CommitFailover", "ImportInitialReplica",
          "InitiateFailback", "InitiateFailover", "ReverseReplicationRelationship",
          "RevertFailover", "SetAuthorizationEntry", "SetFailoverNetworkAdapterSettings",
          "TestReplicaSystem")


def hop_id(vm_id, hop=0):
    return "Microsoft:%s\\HVR\\%d" % (vm_id.upper(), hop)


class JobsCase(calls.CallsCase):
    SIZES = {"vda": 16 * lib.MIB}

    def setUp(self):
        super().setUp()
        self.cimxml, self.wsman = self.callers()

    def ok(self, answer, *values):
        """The outputs of a call that is to have returned one of the values."""
        value, out = answer
        self.assertIn(value, values or (DONE,), self.audited())
        return out


class Watched(JobsCase):
    def setUp(self):
        super().setUp()
        self.a.ask("PATCH", "/v1/vms/web1/relationships/0", {"rate_bytes_per_s": RATE})

    def begin(self, caller):
        """A resync that is at work."""
        self.change("web1", share=0.9)
        job = job_of(self.ok(caller.resynchronize("HOST1", self.vm_id), STARTED))
        lib.wait_until(lambda: (self.a.job(job)["progress"] or {}).get("sent_bytes", 0) > 100000,
                       "the job at work")
        return job

    def look(self, caller, job):
        return caller.get(JOB, {"InstanceID": job.upper()})

    def until(self, caller, job, *states):
        """What a client saw of it until it was in one of the states."""
        seen = []

        def is_there():
            seen.append(self.look(caller, job))
            return int(seen[-1]["JobState"]) in states
        lib.wait_until(is_there, "job state %s" % (states,), every_s=0.05)
        return seen

    def change_state(self, caller, state, method="RequestReplicationStateChange", **more):
        return self.ok(caller.invoke(SYSTEM, gateway.vm_keys(self.vm_id), method,
                                     RequestedState=state, **more), DONE, STARTED)

    def states(self):
        """The VM's replication state as each protocol and class tells it: all say the same."""
        found = {each.get(class_name, keys)["ReplicationState"]
                 for each in (self.cimxml, self.wsman)
                 for class_name, keys in ((SYSTEM, gateway.vm_keys(self.vm_id)),
                                          (RELATIONSHIP, {"InstanceID": hop_id(self.vm_id)}))}
        self.assertEqual(len(found), 1, found)
        return found.pop()

    def test_from_the_other_protocol(self):
        """Begun over one protocol, and watched, suspended, resumed, ended over the other."""
        job = self.begin(self.cimxml)
        now = self.look(self.wsman, job)
        self.assertEqual((now["JobState"], now["JobType"], now["ErrorCode"]), ("4", "107", "0"))
        self.assertEqual(self.states(), "10")
        self.grew(self.until(self.wsman, job, 7))
        self.assertEqual(self.states(), "3")
        self.check_replica("web1")
        self.linked(job)
        self.states_that_cannot_be()
        self.suspended_and_resumed(self.begin(self.wsman))
        self.ended_by_its_own_method(self.begin(self.wsman))
        self.cancelled(self.begin(self.cimxml))
        self.check_errors_of(job, [])

    def grew(self, seen):
        percents = [int(each["PercentComplete"]) for each in seen]
        self.assertEqual(percents, sorted(percents))
        self.assertGreater(len(set(percents)), 3, percents)
        self.assertEqual(percents[-1], 100)
        self.assertEqual({each["JobState"] for each in seen[:-1]} - {"2", "3"}, {"4"})
        last = seen[-1]
        self.assertEqual((last["ErrorCode"], last["Cancellable"]), ("0", "false"))
        self.assertIsNone(last["ErrorDescription"])

    def suspended_and_resumed(self, job):
        self.change_state(self.wsman, 7)
        self.assertEqual(self.until(self.cimxml, job, 5)[-1]["JobState"], "5")
        self.assertEqual(self.states(), "11")
        percent = self.look(self.wsman, job)["PercentComplete"]
        time.sleep(0.3)
        self.assertEqual(self.look(self.cimxml, job)["PercentComplete"], percent)
        relationship = embedded(RELATIONSHIP, InstanceID=hop_id(self.vm_id))
        out = self.change_state(self.cimxml, 3, "RequestReplicationStateChangeEx",
                                ReplicationRelationship=relationship)
        self.assertEqual(job_of(out), job)
        # Suspended again; a resynchronization that is called for then is this one, which goes on.
        self.change_state(self.cimxml, 7)
        self.assertEqual(self.look(self.wsman, job)["JobState"], "5")
        out = self.ok(self.wsman.resynchronize("HOST1", self.vm_id), STARTED)
        self.assertEqual(job_of(out), job)
        self.until(self.wsman, job, 7)
        self.assertEqual(self.states(), "3")
        self.check_replica("web1")

    def states_that_cannot_be(self):
        """Of a VM that replicates, and does nothing else."""
        for caller in (self.cimxml, self.wsman):
            for state, value in ((9, 32775), (4, NOT_SUPPORTED), (77, INVALID), (None, INVALID),
                                 (70000, 32776)):
                found, out = caller.invoke(SYSTEM, gateway.vm_keys(self.vm_id),
                                           "RequestReplicationStateChange", RequestedState=state)
                self.assertEqual((found, job_of(out)), (value, None), (caller.protocol, state))
        self.assertEqual(self.states(), "3")

    def linked(self, job):
        """The job and its VM lead to each other."""
        response = self.cimxml.client.intrinsic(
            "AssociatorNames", ObjectName=(JOB, {"InstanceID": job.upper()}),
            ResultClass={"class": SYSTEM})
        names = [gateway.read_name(each)[1]["Name"]
                 for each in response.findall(".//INSTANCENAME")]
        self.assertIn(self.vm_id, names)
        found = self.wsman.query("associators of {%s.CreationClassName='%s',Name='%s'} "
                                 "where ResultClass=%s" % (SYSTEM, SYSTEM, self.vm_id, JOB))
        self.assertIn(job.upper(), [each["InstanceID"] for each in found])

    def ended_by_its_own_method(self, job):
        keys = {"InstanceID": job.upper()}
        for caller in (self.cimxml, self.wsman):
            for state, value in ((6, 1), (1, 5), (77, 5), (None, 5)):
                self.assertEqual(caller.invoke(JOB, keys, "RequestStateChange",
                                               RequestedState=state)[0], value, state)
            self.assertEqual(caller.invoke(JOB, keys, "RequestStateChange", RequestedState=4,
                                           TimeoutPeriod="00000000000010.000000:000")[0], 4098)
            self.assertEqual(caller.invoke(JOB, keys, "KillJob", DeleteOnKill=True)[0], 1)
        self.assertEqual(self.look(self.wsman, job)["JobState"], "4")
        self.ok(self.wsman.invoke(JOB, keys, "RequestStateChange", RequestedState=3), DONE, STARTED)
        self.until(self.cimxml, job, 5)
        self.ok(self.cimxml.invoke(JOB, keys, "RequestStateChange", RequestedState=2),
                DONE, STARTED)
        self.until(self.wsman, job, 4)
        self.ok(self.cimxml.invoke(JOB, keys, "RequestStateChange", RequestedState=4),
                DONE, STARTED)
        self.until(self.wsman, job, 8)
        for caller in (self.cimxml, self.wsman):
            self.assertEqual(caller.invoke(JOB, keys, "RequestStateChange", RequestedState=2)[0],
                             4097)

    def cancelled(self, job):
        out = self.change_state(self.wsman, 9, "RequestReplicationStateChangeEx")
        stop = self.look(self.wsman, job_of(out))
        self.assertEqual(stop["JobType"], "110")
        self.until(self.cimxml, job_of(out), 7)
        self.until(self.cimxml, job, 8)
        self.assertEqual(self.states(), "9")

    def test_a_request_that_comes_twice(self):
        """With one MessageID: wsl asks again after a failed exchange. There is one job."""
        keys = gateway.service_keys("HOST1")
        client = self.wsman.client
        uri = DMTF + SERVICE
        body = '<p:Resynchronize_INPUT xmlns:p="%s"><p:ComputerSystem>%s</p:ComputerSystem>' \
               "</p:Resynchronize_INPUT>" % (uri, gateway.epr_xml(*vm(self.vm_id)))
        envelope = client.envelope(uri + "/Resynchronize", uri, keys, body)
        self.change("web1", share=0.9)
        before = len(self.a.jobs(all_of_them=True))
        first = self.output(client.send_text(envelope))
        self.assertEqual(first[0], "4096")
        self.assertEqual(self.output(client.send_text(envelope)), first)
        other = self.owned(self.gateway.wsman())
        self.assertEqual(self.output(other.send_text(envelope)), first)
        olga = self.owned(self.gateway.wsman("olga"))  # another user's is another request
        self.assertEqual(self.output(olga.send_text(envelope)), ("32774", None))
        again = client.envelope(uri + "/Resynchronize", uri, keys, body)
        self.assertEqual(self.output(client.send_text(again)), ("32774", None))
        self.assertEqual(len(self.a.jobs(all_of_them=True)), before + 1)

    def output(self, answer):
        """(return value, id of the job or None)"""
        status, root = answer
        self.assertEqual(status, 200)
        found = gateway.read_properties(root.find("./s:Body/*", SPACES))
        return found["ReturnValue"], job_of(found)

    def test_zz_every_method_was_called(self):
        """Runs last; needs the whole script to have run."""
        if len(calls.Caller.called) < 20:
            self.skipTest("runs after the others")
        client = self.cimxml.client
        for class_name in (SERVICE, SYSTEM, JOB):
            found = client.intrinsic("GetClass", ClassName={"class": class_name},
                                     LocalOnly=False)
            there = {(class_name, each.get("NAME")) for each in found.iter("METHOD")
                     if class_name == SERVICE or each.get("CLASSORIGIN") in (None, class_name)}
            self.assertEqual(there - calls.Caller.called, set())

    # --- errors ---

    def test_a_failed_job(self):
        """Planned, so that nobody looks at the disks when it is called for."""
        moment = datetime.datetime.now(datetime.timezone.utc) + datetime.timedelta(seconds=1)
        disk = self.a.vms["web1"]["vda"]
        job = job_of(self.ok(self.wsman.resynchronize(
            "HOST1", self.vm_id, StartTime=service_test.cim_time(moment)), STARTED))
        os.rename(disk, self.path("away"))
        last = self.until(self.cimxml, job, 10)[-1]
        os.rename(self.path("away"), disk)
        self.assertGreaterEqual(int(last["ErrorCode"]), 32768)
        self.assertIn("vda", last["ErrorDescription"])
        self.assertEqual(self.look(self.wsman, job)["ErrorDescription"], last["ErrorDescription"])
        self.check_errors_of(job, [last["ErrorDescription"]])
        self.issues()

    def check_errors_of(self, job, messages):
        """GetError and GetErrorEx: the text of Msvm_Error, whatever the protocol."""
        for caller in (self.cimxml, self.wsman):
            with self.subTest(caller.protocol):
                keys = {"InstanceID": job.upper()}
                errors = self.ok(caller.invoke(JOB, keys, "GetErrorEx")).get("Errors")
                errors = [] if errors is None else errors if isinstance(errors, list) else [errors]
                one = self.ok(caller.invoke(JOB, keys, "GetError")).get("Error")
                read = [read_embedded(text) for text in errors]
                self.assertEqual([each["Message"] for each in read], messages)
                self.assertEqual({each["__CLASS"] for each in read} or {"Msvm_Error"},
                                 {"Msvm_Error"})
                self.assertEqual(one, errors[0] if errors else None)

    def issues(self):
        """What the relationship's health comes from, with the statistics."""
        for caller in (self.cimxml, self.wsman):
            with self.subTest(caller.protocol):
                out = self.ok(caller.service("HOST1", "GetReplicationStatistics",
                                             ComputerSystem=vm(self.vm_id)))
                issues = out["ReplicationHealthIssues"]
                issue = read_embedded(issues[0] if isinstance(issues, list) else issues)
                self.assertEqual(issue["__CLASS"], "Msvm_Error")
                self.assertIn("vda", issue["Message"])

    # --- subscriptions ---

    def test_a_subscription(self):
        client = self.wsman.client
        jobs = self.subscribe(client, "select * from CIM_InstModification where SourceInstance "
                                      "ISA '%s'" % JOB)
        states = self.subscribe(client, "select * from " + RELATIONSHIP)
        job = self.begin(self.cimxml)
        # What is pulled is the object as it is by then.
        seen = self.pulled(client, states, lambda each: each["ReplicationState"] == "10")
        seen = self.pulled(client, jobs, lambda each: each["JobState"] == "7" and
                           each["InstanceID"] == job.upper())
        percents = [int(each["PercentComplete"]) for each in seen]
        self.assertEqual(percents, sorted(percents))
        self.assertGreater(len(set(percents)), 2, percents)
        self.assertEqual({each["InstanceID"] for each in seen}, {job.upper()})
        seen = self.pulled(client, states, lambda each: each["ReplicationState"] == "3")
        self.assertEqual({each["InstanceID"] for each in seen}, {hop_id(self.vm_id)})
        for context in (jobs, states):
            client.send(EVENTING + "Unsubscribe", DMTF + JOB, None, "<e:Unsubscribe/>",
                        headers="<e:Identifier>uuid:%s</e:Identifier>" % context)

    def subscribe(self, client, query):
        body = client.send(
            EVENTING + "Subscribe", DMTF + "*", None,
            '<e:Subscribe><e:Delivery Mode="http://schemas.dmtf.org/wbem/wsman/1/wsman/Pull"/>'
            '<e:Expires>PT5M</e:Expires><w:Filter Dialect="%s">%s</w:Filter></e:Subscribe>'
            % (gateway.WQL, query))
        self.assertEqual(client.answer.findtext("./s:Header/a:Action", "", SPACES),
                         EVENTING + "SubscribeResponse")
        self.assertEqual(body.findtext(".//e:Expires", "", SPACES), "PT5M")
        return body.findtext(".//n:EnumerationContext", None, SPACES)

    def pulled(self, client, context, is_last):
        """The changed instances, until the one that is_last()."""
        seen = []
        while not (seen and is_last(seen[-1])):
            body = client.send(
                ENUMERATION + "Pull", DMTF + "*", None,
                "<n:Pull><n:EnumerationContext>%s</n:EnumerationContext><n:MaxElements>20"
                "</n:MaxElements></n:Pull>" % context,
                headers="<w:OperationTimeout>PT15S</w:OperationTimeout>")
            self.assertIsNone(body.find(".//n:EndOfSequence", SPACES))
            for item in body.findall(".//n:Items/*", SPACES):
                self.assertEqual(gateway.local(item), "CIM_InstModification")
                source = [each for each in item if gateway.local(each) == "SourceInstance"][0]
                seen.append(gateway.read_properties(source))
        return seen


class Configured(JobsCase):
    """Relationships made, changed and ended, hosts allowed and tried."""

    def test_a_relationship_from_beginning_to_end(self):
        for number, caller in enumerate((self.cimxml, self.wsman)):
            with self.subTest(caller.protocol):
                self.one_relationship(caller, is_seeded=number > 0)
        self.not_built()
        self.stubs()

    def one_relationship(self, caller, is_seeded):
        web2 = vm(self.a.ids["web2"])
        keys = {"InstanceID": hop_id(self.a.ids["web2"])}
        before = caller.get(SETTINGS, keys)
        self.assertEqual(before["VirtualSystemIdentifier"], self.a.ids["web2"].upper())

        def settings(**more):
            return embedded(SETTINGS, InstanceID=keys["InstanceID"], **more)

        def create(**more):
            return caller.service("HOST1", "CreateReplicationRelationship", ComputerSystem=web2,
                                  ReplicationSettingData=settings(**more))
        self.assertEqual(create(RecoveryConnectionPoint="HOST3")[0], INVALID)
        self.assertEqual(create()[0], INVALID)
        self.assertEqual(create(RecoveryConnectionPoint="HOST2", AuthenticationType=1)[0],
                         NOT_SUPPORTED)
        self.assertEqual(create(RecoveryConnectionPoint="HOST2", IncludedDisks=["nothing"])[0],
                         INVALID)
        self.ok(create(RecoveryConnectionPoint="HOST2", RecoveryServerPortNumber=self.b.port,
                       AuthenticationType=2, RecoveryHistory=2, ReplicationInterval=300,
                       IncludedDisks=["Microsoft:%s\\vda" % self.a.ids["web2"].upper()]))
        self.assertEqual(create(RecoveryConnectionPoint="HOST2")[0], 32775)
        made = self.a.relationship("web2")
        self.assertEqual((made["state"], made["peer"], made["settings"]["recovery_history"]),
                         (1, "HOST2", 2))
        self.started(caller, web2, is_seeded)
        self.modified(caller, web2, keys, settings)
        self.statistics(caller, web2, keys)
        self.removed(caller, web2, keys)

    def started(self, caller, web2, is_seeded):
        def start(kind, **more):
            return caller.service("HOST1", "StartReplication", ComputerSystem=web2,
                                  InitialReplicationType=kind, **more)
        self.assertEqual(start(2)[0], NOT_SUPPORTED)
        self.assertEqual(start(9)[0], INVALID)
        self.assertEqual(start(1, StartTime="00000000001000.000000:000")[0], 32776)
        job = job_of(self.ok(start(3 if is_seeded else 1, StartTime=None), STARTED))
        self.assertEqual(self.a.wait_job(job)["type"], 117 if is_seeded else 94)
        self.check_replica("web2")
        self.assertEqual(caller.get(JOB, {"InstanceID": job})["JobState"], "7")

    def modified(self, caller, web2, keys, settings):
        def modify(**more):
            return caller.service("HOST1", "ModifyReplicationSettings", ComputerSystem=web2,
                                  ReplicationSettingData=settings(**more))
        self.ok(modify(RecoveryHistory=3, CompressionEnabled=False, AutoResynchronizeEnabled=True,
                       AutoResynchronizeIntervalStart="00000000220000.000000:000"))
        now = self.a.relationship("web2")["settings"]
        self.assertEqual((now["recovery_history"], now["compression"],
                          now["auto_resync"]["enabled"], now["auto_resync"]["start"]),
                         (3, False, True, "22:00"))
        read = caller.get(SETTINGS, keys)
        self.assertEqual((read["RecoveryHistory"], read["CompressionEnabled"].lower(),
                          read["RecoveryConnectionPoint"]), ("3", "false", "HOST2"))
        self.assertEqual(modify(RecoveryHistory=25)[0], INVALID)
        self.assertEqual(modify(RecoveryConnectionPoint="HOST3")[0], INVALID)
        other = caller.service("HOST1", "ModifyReplicationSettings", ComputerSystem=web2,
                               ReplicationSettingData=embedded(SETTINGS,
                                                               InstanceID=hop_id(self.vm_id)))
        self.assertEqual(other[0], INVALID)
        for text, value in (("no XML", 32776), ("<INSTANCE/>", 32776), (None, INVALID),
                            (embedded(JOB, InstanceID="x"), 32776)):
            found, _ = caller.service("HOST1", "ModifyReplicationSettings", ComputerSystem=web2,
                                      ReplicationSettingData=text)
            self.assertEqual(found, value, text)
        self.assertEqual(self.a.relationship("web2")["settings"], now)

    def statistics(self, caller, web2, keys):
        relationship = embedded(RELATIONSHIP, InstanceID=keys["InstanceID"])
        for name, more in (("GetReplicationStatistics", {}), (
                "GetReplicationStatisticsEx", {"ReplicationRelationship": relationship})):
            out = self.ok(caller.service("HOST1", name, ComputerSystem=web2, **more))
            found = out["ReplicationStatistics"]
            read = read_embedded(found[0] if isinstance(found, list) else found)
            self.assertEqual((read["__CLASS"], read["ReplicationHealth"]),
                             ("Msvm_ReplicationStatistics", "1"))
            self.assertGreater(int(read["ReplicationSuccessCount"]), 0)
            self.assertFalse(out.get("ReplicationHealthIssues"))
        self.assertEqual(caller.service("HOST1", "GetReplicationStatisticsEx",
                                        ComputerSystem=web2)[0], INVALID)
        self.ok(caller.service("HOST1", "ResetReplicationStatistics", ComputerSystem=web2))
        self.ok(caller.service("HOST1", "ResetReplicationStatisticsEx", ComputerSystem=web2,
                               ReplicationRelationship=relationship))
        out = self.ok(caller.service("HOST1", "GetReplicationStatistics", ComputerSystem=web2))
        found = out.get("ReplicationStatistics") or []
        for text in found if isinstance(found, list) else [found]:
            self.assertEqual(read_embedded(text)["ReplicationSuccessCount"], "0")

    def removed(self, caller, web2, keys):
        extended = embedded(RELATIONSHIP, InstanceID=hop_id(self.a.ids["web2"], 1))
        self.assertNotEqual(caller.service(
            "HOST1", "RemoveReplicationRelationshipEx", ComputerSystem=web2,
            ReplicationRelationship=extended)[0], DONE)
        self.assertEqual(caller.service("HOST1", "RemoveReplicationRelationshipEx",
                                        ComputerSystem=web2)[0], INVALID)
        if caller.protocol == "wsman":
            self.ok(caller.service(
                "HOST1", "RemoveReplicationRelationshipEx", ComputerSystem=web2,
                ReplicationRelationship=embedded(RELATIONSHIP, InstanceID=keys["InstanceID"])))
        else:
            self.ok(caller.service("HOST1", "RemoveReplicationRelationship", ComputerSystem=web2))
        self.assertEqual(self.a.get("/v1/vms/web2")["relationships"], [])
        self.assertEqual([each["InstanceID"] for each in caller.enumerate(RELATIONSHIP)],
                         [hop_id(self.vm_id)])
        self.assertTrue(os.path.exists(self.b.replica(self.a.ids["web2"], "vda")))  # disks stay
        self.assertEqual(caller.service("HOST1", "RemoveReplicationRelationship",
                                        ComputerSystem=web2)[0], 32775)

    def not_built(self):
        for caller in (self.cimxml, self.wsman):
            for name in GUESTS:
                value, out = caller.service("HOST1", name, ComputerSystem=vm(self.vm_id))
                self.assertEqual((value, job_of(out)), (NOT_SUPPORTED, None), name)

    def stubs(self):
        for caller in (self.cimxml, self.wsman):
            for name, arguments in (("StartService", {}), ("StopService", {}),
                                    ("RequestStateChange", {"RequestedState": 3})):
                self.assertEqual(caller.service("HOST1", name, **arguments)[0], 1, name)
            self.assertEqual(caller.get(SERVICE, gateway.service_keys("HOST1"))["Started"].lower(),
                             "true")
            self.refused(16, caller.invoke, SYSTEM, gateway.vm_keys(self.vm_id),
                         "RequestStateChange", RequestedState=3)  # VMs are libvirt's to start

    def test_hosts(self):
        for caller in (self.cimxml, self.wsman):
            with self.subTest(caller.protocol):
                self.certificates_of_the_host(caller)
                self.connection(caller)
                self.entries(caller)
                self.service_settings(caller)

    def certificates_of_the_host(self, caller):
        found = self.ok(caller.service("HOST1", "GetSystemCertificates"))["EncodedCertificates"]
        text = found[0] if isinstance(found, list) else found
        self.assertEqual(text, self.a.get("/v1/host")["certificate"])
        self.assertIn("BEGIN", ssl.DER_cert_to_PEM_cert(base64.b64decode(text)))

    def connection(self, caller):
        def test(point, **more):
            return caller.service("HOST1", "TestReplicationConnection",
                                  RecoveryConnectionPoint=point, **more)[0]
        self.assertEqual(test("HOST2", RecoveryServerPortNumber=self.b.port, AuthenticationType=2,
                              CertificateThumbPrint="", BypassProxyServer=False), DONE)
        self.assertEqual(test("127.0.0.1:%d" % self.b.port), DONE)
        self.assertEqual(test("HOST2", AuthenticationType=1), NOT_SUPPORTED)
        self.assertEqual(test("HOST2", AuthenticationType=3), INVALID)
        self.assertEqual(test("HOST2", CertificateThumbPrint="00ff"), INVALID)
        self.assertEqual(test("HOST2", RecoveryServerPortNumber=1), INVALID)
        self.assertEqual(test("HOST3"), INVALID)
        self.assertEqual(test(None), INVALID)
        self.assertIn(test("HOST2", RecoveryServerPortNumber="much"), (INVALID, 32776))

    def entries(self, caller):
        root = self.path("kept-" + caller.protocol)
        os.mkdir(root, 0o755)

        def change(name, **entry):
            return caller.service("HOST1", name, AuthorizationEntry=embedded(ENTRY, **entry))[0]
        self.assertEqual(change("AddAuthorizationEntry", AllowedPrimaryHostSystem="HOST3",
                                ReplicaStorageLocation=root), INVALID)
        self.assertEqual(change("AddAuthorizationEntry", AllowedPrimaryHostSystem="HOST2"), INVALID)
        self.assertEqual(change("ModifyAuthorizationEntry", AllowedPrimaryHostSystem="HOST2",
                                TrustGroup="blue"), INVALID)
        self.assertEqual(change("AddAuthorizationEntry", AllowedPrimaryHostSystem="HOST2",
                                ReplicaStorageLocation=root, TrustGroup="red"), DONE)
        self.assertEqual(change("AddAuthorizationEntry", AllowedPrimaryHostSystem="HOST2",
                                ReplicaStorageLocation=root), INVALID)
        self.assertEqual(change("ModifyAuthorizationEntry", AllowedPrimaryHostSystem="HOST2",
                                TrustGroup="blue"), DONE)
        found, = caller.enumerate(ENTRY)
        self.assertEqual((found["AllowedPrimaryHostSystem"], found["TrustGroup"],
                          found["ReplicaStorageLocation"]), ("HOST2", "blue", root))
        entry, = self.a.get("/v1/authorizations")["authorizations"]
        self.assertEqual((entry["trust_group"], entry["storage_root"]), ("blue", root))

        def remove(host):
            return caller.service("HOST1", "RemoveAuthorizationEntry",
                                  AllowedPrimaryHostSystem=host)[0]
        self.assertEqual(remove("HOST2"), DONE)
        self.assertEqual(remove("HOST2"), INVALID)
        self.assertEqual(remove(None), INVALID)
        self.assertEqual(caller.enumerate(ENTRY), [])

    def service_settings(self, caller):
        name = "Msvm_ReplicationServiceSettingData"
        now, = caller.enumerate(name)
        self.assertEqual((now["RecoveryServerEnabled"].lower(), now["HttpsPort"]),
                         ("true", str(self.a.port)))

        def modify(**settings):
            return caller.service("HOST1", "ModifyServiceSettings",
                                  SettingData=embedded(name, **settings))[0]
        self.assertEqual(modify(RecoveryServerEnabled=True, HttpsPort=self.a.port), DONE)
        self.assertEqual(modify(RecoveryServerEnabled=False), NOT_SUPPORTED)
        self.assertIn("listen", self.audited()["message"])


if __name__ == "__main__":
    lib.main()
