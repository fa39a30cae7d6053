#!/usr/bin/python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""Every request that real clients were recorded to send (tests/interop/requests, byte for byte but
for the port), and in the answers what those clients read."""
import glob
import os
import re
import sys
import xml.etree.ElementTree as ElementTree

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
import gateway  # noqa: E402
import lib  # noqa: E402
from gateway import SPACES  # noqa: E402

REQUESTS = os.path.join(os.path.dirname(os.path.abspath(__file__)), "requests")


def split(request):
    head, _, body = request.partition(b"\r\n\r\n")
    return head, body


def with_header(request, name, value):
    head, body = split(request)
    lines = [line for line in head.split(b"\r\n")
             if not line.lower().startswith(name.lower().encode() + b":")]
    return b"\r\n".join(lines + [("%s: %s" % (name, value)).encode()]) + b"\r\n\r\n" + body


def with_body(request, body):
    return with_header(split(request)[0] + b"\r\n\r\n" + body, "Content-Length", len(body))


class Replay(gateway.GatewayCase):
    done = set()

    def request(self, name):
        self.done.add(name)
        with open(os.path.join(REQUESTS, name + ".http"), "rb") as file:
            return file.read()

    def send(self, name, change=None):
        """(status, headers, root or None). Requests without credentials are refused first; then the
        same bytes go again with them, as those clients do."""
        request = self.request(name)
        if change is not None:
            request = change(request)
        port = self.gateway.cimxml_port if name.startswith("cimxml") else self.gateway.wsman_port
        if b"\r\nauthorization:" not in split(request)[0].lower():
            status, headers, text = gateway.send_raw(port, request)
            self.assertEqual(status, 401, (name, text))
            self.assertTrue(headers["WWW-Authenticate"].startswith("Basic realm="), headers)
            request = with_header(request, "Authorization", gateway.basic())
        status, headers, text = gateway.send_raw(port, request)
        return status, headers, ElementTree.fromstring(text) if text else None

    def cim(self, name, change=None):
        """The response element; its message has the ID that every recorded client sent."""
        status, headers, root = self.send(name, change)
        self.assertEqual((status, headers["CIMOperation"]), (200, "MethodResponse"), name)
        self.assertTrue(headers["Content-Type"].startswith("application/xml"), headers)
        response = root.find("./MESSAGE[@ID='4711']/SIMPLERSP/*")
        self.assertIsNotNone(response, ElementTree.tostring(root))
        return response

    def cim_error(self, name, code):
        error = self.cim(name).find("ERROR")
        self.assertIsNotNone(error, name)
        self.assertEqual(error.get("CODE"), str(code), error.attrib)
        return error.get("DESCRIPTION")

    def soap(self, name, change=None):
        """The body; its header relates to the request."""
        status, headers, root = self.send(name, change)
        self.assertTrue(headers["Content-Type"].startswith("application/soap+xml"), headers)
        self.assertIsNone(root.find("./s:Body/s:Fault", SPACES), ElementTree.tostring(root))
        self.assertEqual(status, 200)
        sent = re.search(rb"MessageID[^>]*>([^<]*)<", self.request(name)).group(1).decode()
        self.assertEqual(root.findtext("./s:Header/a:RelatesTo", "", SPACES), sent)
        return root.find("./s:Body", SPACES)

    def fault(self, name, subcode, detail="", change=None):
        status, _, root = self.send(name, change)
        fault = gateway.Fault(status, root)
        self.assertEqual((fault.status, fault.subcode, fault.detail), (500, subcode, detail), fault)
        self.assertNotEqual(fault.text, "")
        return fault

    # --- wbemcli ---

    def test_wbemcli_instances(self):
        names = [gateway.read_name(each) for each in
                 self.cim("cimxml-wbemcli-ein-1").findall("./IRETURNVALUE/INSTANCENAME")]
        self.assertIn(("Msvm_ComputerSystem", gateway.vm_keys(self.vm_id)), names)
        found = self.cim("cimxml-wbemcli-gi-1").find("./IRETURNVALUE/INSTANCE")
        self.assertEqual(gateway.read_instance(found)["Name"], "replicasvc")
        found = self.cim("cimxml-wbemcli-gi-proplist-1").find("./IRETURNVALUE/INSTANCE")
        self.assertEqual(sorted(each.get("NAME") for each in found), ["Name", "Status"])
        self.cim_error("cimxml-wbemcli-gi-notfound-1", 6)
        found = self.cim("cimxml-wbemcli-ei-1").findall("./IRETURNVALUE/VALUE.NAMEDINSTANCE")
        self.assertEqual(len(found), 1)
        self.assertEqual(found[0].find("INSTANCE/PROPERTY[@NAME='Caption']").get("CLASSORIGIN"),
                         "CIM_ManagedElement")
        jobs = self.cim("cimxml-wbemcli-ei-cte-user-1").findall(".//INSTANCE")
        self.assertGreaterEqual(len(jobs), 1)  # the first copy
        self.cim_error("cimxml-wbemcli-badclass-1", 5)
        self.cim_error("cimxml-wbemcli-badns-1", 3)

    def test_wbemcli_classes(self):
        names = [each.get("NAME") for each in
                 self.cim("cimxml-wbemcli-ecn-1").findall("./IRETURNVALUE/CLASSNAME")]
        for wanted in ("CIM_Service", "Msvm_ReplicationService", "Msvm_ConcreteJob"):
            self.assertIn(wanted, names)
        for name in ("cimxml-wbemcli-gc-1", "cimxml-wbemcli-gcd-1"):
            found = self.cim(name).find("./IRETURNVALUE/CLASS")
            self.assertEqual((found.get("NAME"), found.get("SUPERCLASS")),
                             ("Msvm_ReplicationService", "CIM_Service"))
        method = self.cim("cimxml-wbemcli-gc-1").find(".//METHOD[@NAME='Resynchronize']")
        self.assertEqual(method.get("TYPE"), "uint32")
        self.assertEqual(
            method.find("PARAMETER.REFERENCE[@NAME='ComputerSystem']").get("REFERENCECLASS"),
            "CIM_ComputerSystem")
        self.assertEqual(method.find("PARAMETER[@NAME='StartTime']").get("TYPE"), "datetime")
        out = method.find("PARAMETER.REFERENCE[@NAME='Job']/QUALIFIER[@NAME='Out']/VALUE")
        self.assertEqual(out.text, "TRUE")

    def test_wbemcli_associators(self):
        found = self.cim("cimxml-wbemcli-ai-1").findall(".//OBJECTPATH//INSTANCENAME")
        classes = {each.get("CLASSNAME") for each in found}
        self.assertIn("Msvm_ComputerSystem", classes)  # the host, by Msvm_HostedService

    def test_wbemcli_method(self):
        for name in ("both", "ref-only"):
            self.change("web1")
            self.cim("cimxml-wbemcli-cm-%s-1" % name)
            response = self.cim("cimxml-wbemcli-cm-%s-2" % name)
            self.assertEqual(response.findtext("./RETURNVALUE/VALUE"), "4096")
            job = response.find("./PARAMVALUE[@NAME='Job']/VALUE.REFERENCE//INSTANCENAME")
            class_name, keys = gateway.read_name(job)
            self.assertEqual(class_name, "Msvm_ConcreteJob")
            self.a.wait_job(keys["InstanceID"].lower())
            self.check_replica("web1")

    def test_wbemcli_method_refused(self):
        self.cim("cimxml-wbemcli-cm-error-1")
        for name in ("cm-error", "cm-noparams"):
            response = self.cim("cimxml-wbemcli-%s-2" % name)
            self.assertEqual(response.findtext("./RETURNVALUE/VALUE"), "32773", name)
            self.assertIsNone(response.find("./PARAMVALUE[@NAME='Job']/VALUE.REFERENCE"))
        self.cim("cimxml-wbemcli-cm-noparams-1")
        self.cim("cimxml-wbemcli-cm-nomethod-1")
        self.cim_error("cimxml-wbemcli-cm-nomethod-2", 17)

    # --- wsmancli, wsl, pywinrm, npm ---

    def pulled(self, client, names):
        """Enumerate, then the recorded pulls, each with the context of our answer before it, and more
        of the last until the end. All items."""
        body = self.soap(names[0])
        context = body.findtext(".//n:EnumerationContext", None, SPACES)
        items = list(body.iterfind("./n:EnumerateResponse/w:Items/*", SPACES))
        name = 1
        while body.find(".//n:EndOfSequence", SPACES) is None and \
                body.find(".//w:EndOfSequence", SPACES) is None:
            def change(request, context=context):
                body = re.sub(rb"(EnumerationContext[^>]*>)[^<]*", rb"\g<1>" + context.encode(),
                              split(request)[1])
                return with_body(request, body)
            body = self.soap(names[name], change)
            items += body.iterfind("./n:PullResponse/n:Items/*", SPACES)
            context = body.findtext(".//n:EnumerationContext", context, SPACES)
            name = min(name + 1, len(names) - 1)
        for unused in names[name:]:
            self.request(unused)
        return items

    def recorded(self, prefix):
        return sorted(os.path.basename(path)[:-len(".http")]
                      for path in glob.glob(os.path.join(REQUESTS, prefix + "-[0-9].http")))

    def test_enumerations(self):
        for client in ("wsman-wsl-enum", "wsman-wsmancli-enum"):
            found = [gateway.read_properties(item) for item in
                     self.pulled(client, self.recorded(client))]
            self.assertEqual(sorted(each["Name"] for each in found),
                             sorted(["HOST1", self.vm_id, self.a.ids["web2"].upper()]))
        for client in ("wsman-wsmancli-enum-epr", "wsman-wsmancli-enum-objepr"):
            names = [item.find(".//w:Selector[@Name='Name']", SPACES).text for item in
                     self.pulled(client, self.recorded(client))]
            self.assertIn(self.vm_id, names)
        body = self.soap("wsman-wsmancli-enum-opt-1")
        self.assertEqual(len(body.findall(".//w:Items/*", SPACES)), 3)
        self.assertIsNotNone(body.find(".//w:EndOfSequence", SPACES))
        body = self.soap("wsman-wsl-enum-epr-1")
        self.assertEqual(body.find(".//w:Items/a:EndpointReference//w:Selector[@Name='Name']",
                                   SPACES).text, "replicasvc")
        body = self.soap("wsman-npm-dmt-enum-1")
        self.assertTrue(body.findtext(".//n:EnumerationContext", "", SPACES))
        self.soap("wsman-npm-dmt-enum-omi-1")
        body = self.soap("wsman-pywinrm-basic-1")
        self.assertEqual(len(body.findall(".//w:Items/*", SPACES)), 3)

    def test_filters(self):
        body = self.soap("wsman-wsmancli-enum-wql-1")
        self.assertTrue(body.findtext(".//n:EnumerationContext", "", SPACES))
        body = self.soap("wsman-wsmancli-selectorfilter-1")
        self.assertTrue(body.findtext(".//n:EnumerationContext", "", SPACES))
        self.fault("wsman-wsmancli-associators-1", "CannotProcessFilter")

    def test_reading(self):
        for name in ("wsman-wsmancli-get-1", "wsman-wsmancli-get-opts-1"):
            found = gateway.read_properties(self.soap(name)[0])
            self.assertEqual((found["__CLASS"], found["Name"], found["SystemName"]),
                             ("Msvm_ReplicationService", "replicasvc", "HOST1"))
        self.fault("wsman-wsmancli-get-notfound-1", "DestinationUnreachable")
        self.fault("wsman-wsmancli-badclass-1", "DestinationUnreachable", "InvalidResourceURI")

    def test_identify(self):
        for name in ("wsman-wsmancli-identify-1", "wsman-wsl-id-1"):
            status, _, root = self.send(name)
            self.assertEqual(status, 200)
            self.assertEqual(
                root.findtext("./s:Body/i:IdentifyResponse/i:ProtocolVersion", "", SPACES),
                "http://schemas.dmtf.org/wbem/wsman/1/wsman.xsd")
            self.assertEqual(
                root.findtext("./s:Body/i:IdentifyResponse/i:ProductVendor", "", SPACES),
                "Resilver")

    def test_identify_without_credentials(self):
        """As Windows' client asks at first; it is told no version, and nothing else."""
        client = self.gateway.wsman(None)
        with self.assertRaises(gateway.HttpError) as refused:
            client.identify()
        self.assertEqual(refused.exception.status, 401)
        envelope = ('<s:Envelope xmlns:s="%s" xmlns:i="%s"><s:Header/><s:Body><i:Identify/>'
                    "</s:Body></s:Envelope>" % (SPACES["s"], SPACES["i"]))
        for path, headers in (("/wsman", {"WSMANIDENTIFY": "unauthenticated"}),
                              ("/wsman-anon/identify", {})):
            status, root = client.send_text(envelope, path, **headers)
            self.assertEqual(status, 200)
            self.assertEqual(root.findtext(".//i:ProductVendor", "", SPACES), "Resilver")
            self.assertIn(root.findtext(".//i:ProductVersion", "", SPACES), ("", "0.0.0"))
            status, root = client.send_text(
                client.envelope(gateway.ENUMERATION + "Enumerate", gateway.DMTF +
                                "Msvm_ComputerSystem", None, "<n:Enumerate/>"), path, **headers)
            self.assertEqual(gateway.Fault(status, root).subcode, "AccessDenied")

    def invoked(self, name):
        """(return value, id of the job or None)"""
        output = self.soap(name)[0]
        self.assertEqual(gateway.local(output), "Resynchronize_OUTPUT")
        value = [each.text for each in output if gateway.local(each) == "ReturnValue"]
        job = output.find("./*/a:ReferenceParameters/w:SelectorSet/w:Selector[@Name='InstanceID']",
                          SPACES)
        return int(value[0]), None if job is None else job.text

    def test_method(self):
        for name in ("wsman-wsmancli-invoke-file-1", "wsman-wsmancli-invoke-file-dt-1",
                     "wsman-wsmancli-invoke-file-dtplain-1", "wsman-wsl-invoke-1"):
            self.change("web1")
            value, job = self.invoked(name)
            self.assertEqual(value, 4096, name)
            self.a.wait_job(job.lower())
            self.check_replica("web1")

    def test_method_refused(self):
        for name in ("wsman-wsmancli-invoke-k-1", "wsman-wsmancli-invoke-kref-1",
                     "wsman-wsmancli-invoke-noargs-1", "wsman-wsmancli-mu-option-1"):
            self.assertEqual(self.invoked(name), (32773, None), name)
        self.assertEqual(self.invoked("wsman-npm-dmt-invoke-1"), (32773, None))
        self.assertEqual(self.a.jobs()[0]["type"], 94)  # the first copy: no other was made

    def test_what_is_not_here(self):
        self.fault("wsman-wsmancli-delete-1", "ActionNotSupported", "ActionMismatch")
        self.soap("wsman-wsmancli-put-1")  # Put begins with a Get
        fault = self.fault("wsman-wsmancli-put-2", "ActionNotSupported", "ActionMismatch")
        self.assertEqual(fault.code, "Sender")
        self.fault("wsman-wsmancli-pull-badctx-1", "InvalidEnumerationContext")
        self.fault("wsman-wsmancli-release-1", "InvalidEnumerationContext")
        self.fault("wsman-wsmancli-subscribe-1", "DeliveryModeRequestedUnavailable")

    def test_ntlm_client_is_told_what_there_is(self):
        """Its first request has no credentials and no body, to provoke the list."""
        status, headers, _ = gateway.send_raw(self.gateway.wsman_port,
                                              self.request("wsman-pywinrm-ntlm-1"))
        self.assertEqual(status, 401)
        self.assertIn("Basic", headers["WWW-Authenticate"])

    def test_zz_every_recorded_request_was_sent(self):
        """Runs last; needs the whole class to have run."""
        if len(self.done) < 5:
            self.skipTest("runs after the others")
        left = {os.path.basename(path)[:-len(".http")]
                for path in glob.glob(os.path.join(REQUESTS, "*.http"))} - self.done
        self.assertEqual(left, set())


if __name__ == "__main__":
    lib.main()
