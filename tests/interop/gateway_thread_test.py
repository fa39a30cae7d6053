#!/usr/bin/python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""For the programs with the thread sanitizer: eight clients at once, over both protocols and with
TLS, while jobs change beneath them, users come and go, and the gateway is told to reload; then its
end while all of them still ask."""
import http.client
import json
import os
import random
import shutil
import signal
import ssl
import sys
import threading
import time

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
# Before the programs start: a race that is only printed is seen by nobody.
os.environ.setdefault("TSAN_OPTIONS", "halt_on_error=1 exitcode=66")
import calls  # noqa: E402
import gateway  # noqa: E402
import hosts  # noqa: E402
import lib  # noqa: E402
from calls import JOB, SERVICE, SYSTEM, Caller, job_of, vm  # noqa: E402
from gateway import DMTF, ENUMERATION, EVENTING, SPACES  # noqa: E402

CLIENTS = 8
TOGETHER_S = 10
RATE = 2000000  # bytes a second: a job of 4 MiB is at work for two seconds
CLASSES = (SYSTEM, SERVICE, JOB, "Msvm_ReplicationRelationship", "Msvm_ReplicationSettingData",
           "CIM_ManagedElement", "Msvm_SystemReplicationRelationship")
# What may be said of an operation instead of doing it, when others do theirs at the same time.
BUSY = (503, 429)


class Client(threading.Thread):
    """One user, one operation after another by chance, until told to stop or the gateway is gone."""

    def __init__(self, case, number, seed):
        super().__init__()
        self.case, self.rng = case, random.Random("%s %d" % (seed, number))
        self.protocol = calls.PROTOCOLS[number % 2]
        self.user = ("cimtest", "admin", "olga", "victor")[number // 2]
        self.is_tls = number >= CLIENTS - 2
        self.done, self.jobs, self.unexpected = {}, [], []
        self.contexts = []
        self.must_end = threading.Event()
        self.has_lost = False
        self.caller = None

    def connect(self):
        gate = self.case.gateway
        if self.caller is not None:
            self.caller.close()
        self.caller = Caller(gate, self.protocol, self.user)
        if self.is_tls:
            kind, port = {"cimxml": (gateway.CimXml, gate.cimxml_tls_port),
                          "wsman": (gateway.WsMan, gate.wsman_tls_port)}[self.protocol]
            self.caller.client = kind(port, gateway.basic(self.user), context=self.case.tls())

    def operations(self):
        names = [name for name in dir(self)
                 if name.startswith(("both_", self.protocol + "_"))]
        return [getattr(self, name) for name in names]

    def run(self):
        operations = self.operations()
        self.connect()
        while not self.must_end.is_set():
            operation = self.rng.choice(operations)
            try:
                operation()
                self.done[operation.__name__] = self.done.get(operation.__name__, 0) + 1
            except (OSError, http.client.HTTPException, ssl.SSLError) as error:
                # Its end is the only reason why a connection may be lost.
                if not self.case.is_ending.is_set():
                    self.unexpected.append((operation.__name__, repr(error)))
                self.has_lost = True
                break
            except calls.Refused as error:
                # A viewer may not change a thing; a context may be another's.
                if error.code not in (calls.DENIED, None) or not error.text:
                    self.unexpected.append((operation.__name__, str(error)))
            except gateway.HttpError as error:
                if error.status not in BUSY:
                    self.unexpected.append((operation.__name__, str(error)))
            except Exception as error:  # noqa: BLE001 - it is to fail the test, not the thread
                self.unexpected.append((operation.__name__, repr(error)))
        self.caller.close()

    # --- operations of both ---

    def both_enumerate(self):
        self.caller.enumerate(self.rng.choice(CLASSES))

    def both_get(self):
        self.caller.get(SERVICE, gateway.service_keys("HOST1"))

    def both_query(self):
        self.caller.query("select * from %s where Name <> 'x'" % SYSTEM)

    def both_statistics(self):
        self.caller.service("HOST1", "GetReplicationStatistics",
                            ComputerSystem=vm(self.case.vm_id))

    def both_resynchronize(self):
        value, out = self.caller.resynchronize("HOST1", self.case.vm_id)
        if value == hosts.STARTED:
            self.jobs.append(job_of(out))

    def both_change_state(self):
        self.caller.invoke(SYSTEM, gateway.vm_keys(self.case.vm_id),
                           "RequestReplicationStateChange", RequestedState=self.rng.choice((3, 7)))

    def both_what_is_not_there(self):
        try:
            self.caller.get(JOB, {"InstanceID": "no job"})
        except calls.Refused as error:
            assert error.code in (6, None), error

    def both_connect_anew(self):
        self.connect()

    # --- of one ---

    def cimxml_class(self):
        self.caller.client.intrinsic("GetClass", ClassName={"class": self.rng.choice(CLASSES)})

    def cimxml_associators(self):
        self.caller.client.intrinsic("AssociatorNames",
                                     ObjectName=(SYSTEM, gateway.vm_keys(self.case.vm_id)))

    def cimxml_pieces(self):
        client = self.caller.client
        response = client.intrinsic("OpenEnumerateInstances", ClassName={"class": SYSTEM},
                                    MaxObjectCount=1)
        while response.findtext("./PARAMVALUE[@NAME='EndOfSequence']/VALUE") != "TRUE":
            context = response.findtext("./PARAMVALUE[@NAME='EnumerationContext']/VALUE")
            if self.rng.random() < 0.3:
                client.intrinsic("CloseEnumeration", EnumerationContext=context)
                return
            response = client.intrinsic("PullInstancesWithPath", EnumerationContext=context,
                                        MaxObjectCount=1)

    def wsman_identify(self):
        self.caller.client.identify()

    def wsman_pieces(self):
        self.caller.client.enumerate(SYSTEM, pull_max=1)

    def wsman_release(self):
        client = self.caller.client
        body = client.send(ENUMERATION + "Enumerate", DMTF + SYSTEM, None, "<n:Enumerate/>")
        context = body.findtext(".//n:EnumerationContext", None, SPACES)
        client.send(ENUMERATION + "Release", DMTF + SYSTEM, None,
                    "<n:Release><n:EnumerationContext>%s</n:EnumerationContext></n:Release>"
                    % context)

    def wsman_subscribe(self):
        if len(self.contexts) >= 4:
            context = self.contexts.pop(0)
            self.caller.client.send(EVENTING + "Unsubscribe", DMTF + JOB, None, "<e:Unsubscribe/>",
                                    headers="<e:Identifier>uuid:%s</e:Identifier>" % context)
            return
        body = self.caller.client.send(
            EVENTING + "Subscribe", DMTF + "*", None,
            '<e:Subscribe><e:Delivery Mode="http://schemas.dmtf.org/wbem/wsman/1/wsman/Pull"/>'
            '<e:Expires>PT5M</e:Expires><w:Filter Dialect="%s">select * from '
            "CIM_InstModification where SourceInstance ISA '%s'</w:Filter></e:Subscribe>"
            % (gateway.WQL, JOB))
        self.contexts.append(body.findtext(".//n:EnumerationContext", None, SPACES))

    def wsman_pull(self):
        """Parked until a job changes, or the time is over."""
        if not self.contexts:
            return
        try:
            self.caller.client.send(
                ENUMERATION + "Pull", DMTF + "*", None,
                "<n:Pull><n:EnumerationContext>%s</n:EnumerationContext><n:MaxElements>5"
                "</n:MaxElements></n:Pull>" % self.rng.choice(self.contexts),
                headers="<w:OperationTimeout>PT0.5S</w:OperationTimeout>")
        except gateway.Fault as fault:
            assert fault.subcode == "TimedOut", fault

    def wsman_again(self):
        """The same message twice at once: its second answer is the first's."""
        client = self.caller.client
        text = client.envelope(gateway.TRANSFER + "Get", DMTF + SERVICE,
                               gateway.service_keys("HOST1"))
        for _ in range(2):
            client.send_text(text)


class Meeting(calls.CallsCase):
    HAS_TLS = True

    def test_eight_clients_at_once_and_the_end_amid_them(self):
        self.is_ending = threading.Event()
        self.a.ask("PATCH", "/v1/vms/web1/relationships/0", {"rate_bytes_per_s": RATE})
        clients = [Client(self, number, lib.SEED) for number in range(CLIENTS)]
        for client in clients:
            client.start()
        try:
            self.change_everything()
            self.end_amid(clients)
        finally:
            self.is_ending.set()
            for client in clients:
                client.must_end.set()
            for client in clients:
                client.join(30)
        self.judge(clients)

    def change_everything(self):
        """Beneath them: disks and jobs, users, the audit log, the certificate."""
        until = time.monotonic() + TOGETHER_S
        number = 0
        while time.monotonic() < until:
            number += 1
            self.change("web1", share=0.5)
            self.a.resync("web1")
            self.add_and_remove_a_user(number)
            if number % 2 == 0:
                os.rename(self.gateway.audit, "%s.%d" % (self.gateway.audit, number))
            self.renew_certificate(number)
            self.gateway.process.signal(signal.SIGHUP)
            time.sleep(0.3)
            self.assertTrue(self.gateway.process.is_alive(), self.gateway.log()[-4000:])

    def add_and_remove_a_user(self, number):
        name = "guest%d" % number
        self.gateway.add_user(name, "guest's", "viewer")
        caller = Caller(self.gateway, self.rng.choice(calls.PROTOCOLS), name, "guest's")
        try:
            caller.get(SERVICE, gateway.service_keys("HOST1"))
        except gateway.HttpError as error:
            self.assertIn(error.status, BUSY)
        lib.must([lib.program(), "gateway", "user", "remove", name, "--config",
                  self.gateway.config])
        with self.assertRaises(gateway.HttpError) as caught:
            caller.get(SERVICE, gateway.service_keys("HOST1"))
        self.assertIn(caught.exception.status, (401, *BUSY))
        caller.close()

    def renew_certificate(self, number):
        """Alternately another one of the same authority's, and again the first."""
        for kind in ("pem", "key"):
            shown, kept = self.certificates.file("server", kind), self.path("kept." + kind)
            if not os.path.exists(kept):
                shutil.copy(shown, kept)
            other = kept if number % 2 == 0 else self.certificates.file("server2", kind)
            shutil.copy(other, shown + ".new")
            os.replace(shown + ".new", shown)

    def end_amid(self, clients):
        self.is_ending.set()
        began = time.monotonic()
        self.gateway.stop(30)
        self.assertLess(time.monotonic() - began, 20)
        for client in clients:
            client.join(30)
            self.assertFalse(client.is_alive(), "a client hangs")

    def judge(self, clients):
        for client in clients:
            self.assertEqual(client.unexpected, [], client.protocol)
            # All of them asked until the end, and did most kinds of things.
            self.assertTrue(client.has_lost)
            self.assertGreater(len(client.done), 4, client.done)
        known = {each["id"] for each in self.a.jobs(True)}
        told = {job for client in clients for job in client.jobs}
        self.assertEqual(told - known, set())
        self.check_audit(clients)
        self.a.stop()
        self.b.stop()

    def check_audit(self, clients):
        """Every line is whole, whichever of the files it is in; every job that was told of is there."""
        lines = []
        for name in os.listdir(self.gateway.folder):
            if name.startswith("audit.log"):
                with open(os.path.join(self.gateway.folder, name)) as file:
                    lines += [json.loads(line) for line in file]
        asked = sum(client.done.get("both_resynchronize", 0) for client in clients)
        written = sum(each["operation"].endswith(".Resynchronize") for each in lines)
        self.assertGreaterEqual(written, asked)


if __name__ == "__main__":
    lib.main()
