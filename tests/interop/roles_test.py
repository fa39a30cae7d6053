#!/usr/bin/python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""Who may what: every role with every operation, over both protocols, and roles for single VMs."""
import os
import sys

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
import calls  # noqa: E402
import gateway  # noqa: E402
import lib  # noqa: E402
from calls import JOB, PROTOCOLS, SERVICE, SYSTEM, job_of, vm  # noqa: E402

ENTRY = "Msvm_ReplicationAuthorizationSettingData"
STATISTICS = "GetReplicationStatistics"
USERS = {"nora": ("nora's", "none"), "amy": ("amy's", "administrator")}

# What is said to each role: "yes"; "denied", the method's own 32769; "status 2", access denied
# (w:AccessDenied) where there is no return value for it; "none", as if it were not there; "HTTP
# 403". What would change something is asked for so that it is refused for another reason by those
# who may: that is a "yes", too.
NOBODY = "HTTP 403"
GOLDEN = """
operation                          viewer    operator  administrator
GetClass                           yes       yes       yes
Msvm_ComputerSystem                yes       yes       yes
Msvm_ReplicationService            yes       yes       yes
Msvm_ReplicationServiceSettingData yes       yes       yes
Msvm_ReplicationRelationship       yes       yes       yes
Msvm_ReplicationSettingData        yes       yes       yes
Msvm_StorageAllocationSettingData  yes       yes       yes
Msvm_ConcreteJob                   yes       yes       yes
AuthorizationEntries               none      none      yes
Query                              yes       yes       yes
GetReplicationStatistics           yes       yes       yes
GetErrorEx                         yes       yes       yes
GetSystemCertificates              yes       yes       yes
TestReplicationConnection          yes       yes       yes
Resynchronize                      denied    yes       yes
RequestReplicationStateChange      denied    yes       yes
RequestReplicationStateChangeEx    denied    yes       yes
RequestStateChange                 status_2  yes       yes
StartReplication                   denied    yes       yes
ResetReplicationStatistics         denied    yes       yes
InitiateFailover                   denied    yes       yes
CreateReplicationRelationship      denied    denied    yes
ModifyReplicationSettings          denied    denied    yes
RemoveReplicationRelationship      denied    denied    yes
RemoveReplicationRelationshipEx    denied    denied    yes
ModifyServiceSettings              denied    denied    yes
AddAuthorizationEntry              denied    denied    yes
ModifyAuthorizationEntry           denied    denied    yes
RemoveAuthorizationEntry           denied    denied    yes
ChangeEntry                        none      none      yes
"""

# The same for somebody who has no role but as operator of web1: what is said of web1, of web2, and
# of the host.
GOLDEN_OF_ONE_VM = """
operation                          web1      web2
Msvm_ComputerSystem                yes       none
Msvm_ReplicationRelationship       yes       none
Msvm_ReplicationSettingData        yes       none
Msvm_StorageAllocationSettingData  yes       none
Msvm_ConcreteJob                   yes       none
GetReplicationStatistics           yes       denied
GetErrorEx                         yes       none
Resynchronize                      yes       denied
RequestReplicationStateChange      yes       none
RequestStateChange                 yes       none
StartReplication                   yes       denied
ResetReplicationStatistics         yes       denied
CreateReplicationRelationship      denied    denied
ModifyReplicationSettings          denied    denied
RemoveReplicationRelationship      denied    denied
AuthorizationEntries               none      none
GetSystemCertificates              denied    denied
AddAuthorizationEntry              denied    denied
"""

# And for a viewer who is operator of web2 and nothing for web1.
GOLDEN_OF_OVERRIDES = """
operation                          web1      web2
Msvm_ComputerSystem                none      yes
Msvm_ConcreteJob                   none      yes
GetReplicationStatistics           denied    yes
Resynchronize                      denied    yes
RequestReplicationStateChange      none      yes
RequestStateChange                 none      yes
ModifyReplicationSettings          denied    denied
GetSystemCertificates              yes       yes
"""


def rows(golden):
    """{operation: {column: answer}}"""
    head, *lines = [line.split() for line in golden.strip().splitlines()]
    return {line[0]: dict(zip(head[1:], line[1:])) for line in lines}


class Asking:
    """The operations of the tables, by their names there."""

    def __init__(self, caller, vm_id, job, entry, spare_id):
        """spare_id: a VM that whoever may can do nothing to."""
        self.caller, self.vm_id, self.job, self.entry = caller, vm_id.upper(), job.upper(), entry
        self.spare_id = spare_id

    def answer(self, operation):
        """A word of the tables."""
        try:
            given = getattr(self, operation, None)
            found = given() if given else self.method(operation)
        except calls.Refused as refusal:
            return {2: "status_2", 6: "none"}.get(refusal.code, "status_%s" % refusal.code)
        except gateway.HttpError as error:
            return "HTTP %d" % error.status
        if isinstance(found, int):
            return "denied" if found == 32769 else "yes"
        return "yes" if found else "none"

    def method(self, name):
        """Of the service, for the VM or the host; nothing else is given."""
        if name.endswith(("AuthorizationEntry", "ServiceSettings", "Certificates")):
            return self.caller.service("HOST1", name)[0]
        return self.of_vm(name)

    def of_vm(self, name, **more):
        return self.caller.service("HOST1", name, ComputerSystem=vm(self.vm_id), **more)[0]

    def of_class(self, class_name, key="InstanceID"):
        """What he sees of the VM, among what he sees at all, and one of these by its path."""
        found = [each for each in self.caller.enumerate(class_name) if self.vm_id in each[key]]
        if found and key == "InstanceID":
            assert self.caller.get(class_name, {key: found[0][key]})[key] == found[0][key]
        return found

    def GetClass(self):
        if self.caller.protocol == "cimxml":
            return self.caller.ask("intrinsic", "GetClass", ClassName={"class": SYSTEM}) is not None
        return self.caller.ask(
            "send", gateway.TRANSFER + "Get",
            "http://schemas.dmtf.org/wbem/cim-xml/2/cim-schema/2/*",
            {"ClassName": SYSTEM}) is not None

    def Msvm_ComputerSystem(self):
        found = self.of_class(SYSTEM, "Name")
        one = self.caller.get(SYSTEM, gateway.vm_keys(self.vm_id))
        assert found and one["Name"] == self.vm_id
        return found

    def Msvm_ReplicationService(self):
        return self.caller.get(SERVICE, gateway.service_keys("HOST1"))

    def Msvm_ReplicationServiceSettingData(self):
        return self.caller.enumerate("Msvm_ReplicationServiceSettingData")

    def Msvm_ReplicationRelationship(self):
        return self.of_class("Msvm_ReplicationRelationship")

    def Msvm_ReplicationSettingData(self):
        return self.of_class("Msvm_ReplicationSettingData")

    def Msvm_StorageAllocationSettingData(self):
        return self.of_class("Msvm_StorageAllocationSettingData")

    def Msvm_ConcreteJob(self):
        ids = [each["InstanceID"] for each in self.caller.enumerate(JOB)]
        one = self.caller.get(JOB, {"InstanceID": self.job})
        assert self.job in ids and one["InstanceID"] == self.job, ids
        return one

    def AuthorizationEntries(self):
        return self.caller.enumerate(ENTRY)

    def ChangeEntry(self):
        keys = {"InstanceID": self.entry}
        if self.caller.protocol == "cimxml":
            return self.caller.ask("intrinsic", "SetProperty", InstanceName=(ENTRY, keys),
                                   PropertyName="TrustGroup", NewValue="DEFAULT") is not None
        return self.caller.ask(
            "send", gateway.TRANSFER + "Put", gateway.DMTF + ENTRY, keys,
            '<p:%s xmlns:p="%s"><p:TrustGroup>DEFAULT</p:TrustGroup></p:%s>'
            % (ENTRY, gateway.DMTF + ENTRY, ENTRY)) is not None

    def Query(self):
        return self.caller.query("select Name from %s where Name = '%s'" % (SYSTEM, self.vm_id))

    def GetErrorEx(self):
        return self.caller.invoke(JOB, {"InstanceID": self.job}, "GetErrorEx")[0]

    def RequestStateChange(self):
        return self.caller.invoke(JOB, {"InstanceID": self.job}, "RequestStateChange",
                                  RequestedState=77)[0]

    def Resynchronize(self):
        return self.of_vm("Resynchronize", StartTime="20990101000000.000000+000")

    def StartReplication(self):
        return self.of_vm("StartReplication", InitialReplicationType=9)

    def RequestReplicationStateChange(self, name="RequestReplicationStateChange"):
        return self.caller.invoke(SYSTEM, gateway.vm_keys(self.vm_id), name, RequestedState=77)[0]

    def RequestReplicationStateChangeEx(self):
        return self.RequestReplicationStateChange("RequestReplicationStateChangeEx")

    def RemoveReplicationRelationship(self):
        return self.caller.service("HOST1", "RemoveReplicationRelationship",
                                   ComputerSystem=vm(self.spare_id))[0]

    def TestReplicationConnection(self):
        return self.caller.service("HOST1", "TestReplicationConnection",
                                   RecoveryConnectionPoint="HOST2")[0]


class Roles(calls.CallsCase):
    SIZES = {"vda": lib.MIB}

    def setUp(self):
        super().setUp()
        self.a.allow(self.b)
        self.entry = self.caller("cimxml").enumerate(ENTRY)[0]["InstanceID"]
        self.jobs = {"web1": self.a.jobs()[0]["id"]}

    def asking(self, protocol, user, password, name="web1"):
        return Asking(self.caller(protocol, user, password), self.a.ids[name], self.jobs[name],
                      self.entry, self.a.ids["web2"])

    def check(self, golden, columns):
        """columns: {column: a function from protocol to Asking}. All answers, as a table."""
        expected = rows(golden)
        for protocol in PROTOCOLS:
            asking = {column: make(protocol) for column, make in columns.items()}
            found = {operation: {column: asking[column].answer(operation) for column in row}
                     for operation, row in expected.items()}
            self.assertEqual(found, expected, protocol)

    def test_every_role_with_every_operation(self):
        for name, (password, role) in USERS.items():
            self.gateway.add_user(name, password, role)
        before = (self.a.jobs(all_of_them=True), self.a.relationship("web1"),
                  self.a.get("/v1/authorizations"))
        self.check(GOLDEN, {
            role: lambda protocol, user=user: self.asking(protocol, user, None)
            for role, user in (("viewer", "victor"), ("operator", "olga"))} | {
                "administrator": lambda protocol: self.asking(protocol, "amy", "amy's")})
        for protocol in PROTOCOLS:
            nora = self.asking(protocol, "nora", "nora's")
            self.assertEqual({nora.answer(operation) for operation in rows(GOLDEN)}, {NOBODY})
        self.assertEqual((self.a.jobs(all_of_them=True), self.a.relationship("web1"),
                          self.a.get("/v1/authorizations")), before)

    def test_roles_for_single_vms(self):
        self.copy("web2")
        self.jobs["web2"] = self.a.jobs()[0]["id"]
        self.gateway.add_user("bob", "bob's", "none", "--vm", "web1=operator")
        self.gateway.add_user("dora", "dora's", "viewer", "--vm", "web1=none", "--vm",
                              self.a.ids["web2"] + "=operator")
        for golden, user, password in ((GOLDEN_OF_ONE_VM, "bob", "bob's"),
                                       (GOLDEN_OF_OVERRIDES, "dora", "dora's")):
            with self.subTest(user):
                self.check(golden, {
                    name: lambda protocol, name=name: self.asking(protocol, user, password, name)
                    for name in ("web1", "web2")})
        for protocol in PROTOCOLS:
            self.one_vm(self.caller(protocol, "bob", "bob's"))

    def test_a_role_that_changes(self):
        """What is changed counts from the next request on, on open connections, too."""
        def user(*arguments):
            lib.must([lib.program(), "gateway", "user", *arguments, "--config",
                      self.gateway.config])
        asked = [self.asking(protocol, "pia", "pia's") for protocol in PROTOCOLS]
        for role, answers in (("operator", ("yes", "yes")), ("viewer", ("denied", "yes")),
                              ("administrator", ("yes", "yes")), ("none", (NOBODY, NOBODY)),
                              (None, ("HTTP 401", "HTTP 401")), ("viewer", ("denied", "yes"))):
            if role:
                self.gateway.add_user("pia", "pia's", role)
            for asking in asked:
                self.assertEqual((asking.answer("Resynchronize"), asking.answer("GetErrorEx")),
                                 answers, (role, asking.caller.protocol))
            if role:
                user("remove", "pia")

    def one_vm(self, bob):
        """What he sees at all, and what he may really do."""
        web1 = self.a.ids["web1"].upper()
        self.assertEqual({each["Name"] for each in bob.enumerate(SYSTEM)} - {"HOST1"}, {web1})
        owned = bob.enumerate(JOB)
        self.assertNotIn(self.jobs["web2"].upper(), [each["InstanceID"] for each in owned])
        for query, count in (
                ("select * from %s where Name = '%s'" % (SYSTEM, self.a.ids["web2"]), 0),
                ("associators of {%s.CreationClassName='%s',Name='%s'}" % (SYSTEM, SYSTEM, web1),
                 None)):
            found = bob.query(query)
            self.assertNotIn(self.a.ids["web2"].upper(), repr(found).upper())
            if count is not None:
                self.assertEqual(len(found), count)
        self.change("web1")
        value, out = bob.resynchronize("HOST1", web1)
        self.assertEqual(value, 4096, self.audited())
        job = self.a.wait_job(job_of(out))
        self.assertRegex(job["owner"], "^bob ")
        self.assertEqual(bob.get(JOB, {"InstanceID": job["id"].upper()})["JobState"], "7")
        self.check_replica("web1")
        value, out = bob.resynchronize("HOST1", self.a.ids["web2"])
        self.assertEqual((value, job_of(out)), (32769, None))
        entry = self.audited()
        self.assertEqual((entry["user"], entry["result"].split()[0]), ("bob", "32769"))
        self.assertIn(self.a.ids["web2"].upper(), entry["arguments"])


if __name__ == "__main__":
    lib.main()
