#!/usr/bin/python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""The habits of clients that Debian does not have (pywbem, sfcc, cimcli, omicli, dracclient, pypsrp,
PowerShell): what each was seen to send, over real sockets. Those of wbemcli, wsl, wsmancli, pywinrm
and npm's wsman-messages are in replay_test and clients_test."""
import os
import sys
import xml.etree.ElementTree as ElementTree

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
import gateway  # noqa: E402
import lib  # noqa: E402
from gateway import DMTF, MICROSOFT, NAMESPACE, SPACES  # noqa: E402

PAST = "20260101000000.000000+000"
VENDOR = "http://schemas.microsoft.com/wbem/wscim/1/cim-schema/2/"


class Habits(gateway.GatewayCase):
    def setUp(self):
        super().setUp()
        self.service = gateway.service_keys("HOST1")
        self.vm = gateway.vm_keys(self.vm_id)

    def ended(self, job):
        """The job, which was made by this call; the replica is true again."""
        self.a.wait_job(job.lower())
        self.check_replica("web1")

    def raw(self, port, head, body, path="/cimom", method="POST"):
        request = ("%s %s HTTP/1.1\r\nHost: x:1\r\nAuthorization: %s\r\n%s\r\n"
                   % (method, path, gateway.basic(), head)).encode()
        return gateway.send_raw(port, request + body)


class CimXml(Habits):
    def call(self, parameters, cim_object=None):
        """Resynchronize; (return value, id of the job)."""
        client = self.gateway.cimxml()
        target = "<LOCALINSTANCEPATH>%s%s</LOCALINSTANCEPATH>" % (
            gateway.namespace_xml(NAMESPACE), gateway.name_xml("Msvm_ReplicationService",
                                                               self.service))
        text = cim_object or gateway.path_text(NAMESPACE, "Msvm_ReplicationService", self.service)
        response = client.send("Resynchronize", target, parameters, True, text)
        job = response.find("PARAMVALUE[@NAME='Job']//KEYVALUE")
        return int(response.findtext("RETURNVALUE/VALUE")), None if job is None else job.text

    def reference(self, wrap):
        name = gateway.name_xml("Msvm_ComputerSystem", self.vm).replace(
            'VALUETYPE="string"', 'VALUETYPE="string" TYPE="string"')  # pywbem gives both
        return ('<PARAMVALUE NAME="ComputerSystem" PARAMTYPE="reference"><VALUE.REFERENCE>%s'
                "</VALUE.REFERENCE></PARAMVALUE>" % wrap(name))

    def test_references_and_times_as_each_client_writes_them(self):
        spaces = gateway.namespace_xml(NAMESPACE)
        forms = (
            # pywbem: a local path; null as an empty PARAMVALUE
            (lambda name: "<LOCALINSTANCEPATH>%s%s</LOCALINSTANCEPATH>" % (spaces, name),
             '<PARAMVALUE NAME="StartTime" PARAMTYPE="datetime"/>'),
            # sfcc, cimcli: a whole path of whatever host, with a port
            (lambda name: "<INSTANCEPATH><NAMESPACEPATH><HOST>other:5988</HOST>%s</NAMESPACEPATH>"
             "%s</INSTANCEPATH>" % (spaces, name), ""),
            # a bare name, and a time
            (lambda name: name, gateway.text_parameter("StartTime", PAST, "datetime")),
        )
        for wrap, time in forms:
            self.change("web1")
            value, job = self.call(self.reference(wrap) + time)
            self.assertEqual(value, 4096)
            self.ended(job)
        # as text, in WMI's form and in DMTF's
        for text in ('\\\\HOST1\\root\\virtualization\\v2:', NAMESPACE + ":", ""):
            path = text + gateway.path_text("", "Msvm_ComputerSystem", self.vm)[1:]
            value, job = self.call(gateway.text_parameter("ComputerSystem", path))
            self.assertEqual(value, 4096, path)
            self.ended(job)

    def test_cim_object_in_every_spelling(self):
        """wbemcli leaves = and quotes alone, sfcc encodes them, pywbem nothing; keys in any order."""
        keys = dict(reversed(self.service.items()))
        plain = gateway.path_text(NAMESPACE, "Msvm_ReplicationService", keys)
        parameters = self.reference(lambda name: name) + gateway.text_parameter(
            "StartTime", "00000000000100.000000:000")  # an interval: refused by the method itself
        for text in (plain, plain.replace("root/", "ROOT/")):
            self.assertEqual(self.call(parameters, text), (32776, None))
        body = ("<LOCALINSTANCEPATH>%s%s</LOCALINSTANCEPATH>" % (
            gateway.namespace_xml(NAMESPACE),
            gateway.name_xml("Msvm_ReplicationService", self.service))) + parameters
        encoded = "".join("%%%02X" % byte if chr(byte) in '/:=",' else chr(byte)
                          for byte in plain.encode())
        status, _, text = self.raw(
            self.gateway.cimxml_port,
            'Content-Type: application/xml; charset="utf-8"\r\nCIMOperation: MethodCall\r\n'
            "CIMMethod: Resynchronize\r\nCIMObject: %s\r\nAccept-Language: *\r\n"
            "TE: chunked, trailers\r\nContent-Length: %010d\r\n"
            % (encoded, len(self.message(body))), self.message(body))
        self.assertEqual(status, 200)
        self.assertIn(b"32776", text)

    @staticmethod
    def message(body):
        return ('<?xml version="1.0" encoding="utf-8"?><CIM CIMVERSION="2.2" DTDVERSION="2.2">'
                '<MESSAGE ID="1001" PROTOCOLVERSION="1.0"><SIMPLEREQ><METHODCALL '
                'NAME="Resynchronize">%s</METHODCALL></SIMPLEREQ></MESSAGE></CIM>' % body).encode()

    def test_discovery(self):
        """pywbem looks for the interop namespace under some names, then for the namespaces in it."""
        client = self.gateway.cimxml()
        for namespace in ("interop", "root/interop", "ROOT/Interop"):
            names = {each["Name"] for each in client.enumerate("CIM_Namespace", namespace)}
            self.assertEqual(names, {"root/interop", NAMESPACE})
            self.assertEqual(len(client.names("CIM_ObjectManager", namespace)), 1)
        with self.assertRaises(gateway.CimError) as refused:
            client.names("CIM_Namespace", "root/PG_InterOp")
        self.assertEqual(refused.exception.code, 3)
        manager = client.enumerate("CIM_ObjectManager", "interop")[0]
        self.assertEqual(client.get("CIM_ObjectManager",
                                    client.names("CIM_ObjectManager", "interop")[0][1],
                                    "interop")["Name"], manager["Name"])

    def test_pulled_enumerations(self):
        """As pywbem's Iter... do with use_pull_operations, and pywbemcli's pull commands."""
        client = self.gateway.cimxml()
        for opened, pulled, item in (
                ("OpenEnumerateInstances", "PullInstancesWithPath", "VALUE.INSTANCEWITHPATH"),
                ("OpenEnumerateInstancePaths", "PullInstancePaths", "INSTANCEPATH")):
            response = client.intrinsic(opened, ClassName={"class": "CIM_ComputerSystem"},
                                        OperationTimeout="60", MaxObjectCount="0x1")
            found = response.findall("./IRETURNVALUE/" + item)
            self.assertEqual(len(found), 1)
            while response.findtext("./PARAMVALUE[@NAME='EndOfSequence']/VALUE") == "FALSE":
                context = response.findtext("./PARAMVALUE[@NAME='EnumerationContext']/VALUE")
                response = client.intrinsic(pulled, EnumerationContext=context, MaxObjectCount="1")
                found += response.findall("./IRETURNVALUE/" + item)
            self.assertEqual(len(found), 3)
            self.assertEqual(response.findtext("./PARAMVALUE[@NAME='EnumerationContext']/VALUE"), "")
            self.assertEqual({each.find(".//HOST").text for each in found},
                             {"127.0.0.1:%d" % self.gateway.cimxml_port})
        response = client.intrinsic(
            "OpenQueryInstances", FilterQueryLanguage="DMTF:CQL", MaxObjectCount="10",
            FilterQuery="SELECT * FROM Msvm_ComputerSystem WHERE ElementName = 'web1'")
        self.assertEqual(len(response.findall("./IRETURNVALUE/INSTANCE")), 1)

    def test_parameters_in_any_order(self):
        client = self.gateway.cimxml()
        before = client.intrinsic("GetInstance", LocalOnly=False, PropertyList=["Name"],
                                  InstanceName=("Msvm_ComputerSystem", self.vm))
        after = client.intrinsic("GetInstance", InstanceName=("Msvm_ComputerSystem", self.vm),
                                 PropertyList=["Name"], LocalOnly="false")
        self.assertEqual(ElementTree.tostring(before), ElementTree.tostring(after))

    def test_m_post_is_told_to_use_post(self):
        """DSP0200 7.3: a server without it says so, and clients fall back."""
        status, headers, _ = self.raw(
            self.gateway.cimxml_port, "Man: http://www.dmtf.org/cim/mapping/http/v1.0;ns=48\r\n"
            "48-CIMOperation: MethodCall\r\nContent-Length: 0\r\n", b"", method="M-POST")
        self.assertIn(status, (405, 501))
        self.assertEqual(headers["Allow"], "POST")

    def test_associations_whose_keys_are_references(self):
        client = self.gateway.cimxml()
        found = client.names("Msvm_SystemReplicationRelationship")
        self.assertEqual(len(found), 1)
        class_name, keys = found[0]
        self.assertEqual(keys["Antecedent"], ("Msvm_ComputerSystem", self.vm))
        self.assertEqual(client.get(class_name, keys)["Antecedent"],
                         ("Msvm_ComputerSystem", self.vm))


class WsMan(Habits):
    def post(self, body, head="Content-Type: application/soap+xml;charset=UTF-8\r\n",
             path="/wsman", length="Content-Length: %d\r\n"):
        if isinstance(body, str):
            body = body.encode()
        status, _, text = self.raw(self.gateway.wsman_port, head + length % len(body), body, path)
        return status, ElementTree.fromstring(text)

    def get_service(self, envelope=None, **more):
        """A Get of the service in somebody's spelling is answered with it."""
        client = self.gateway.wsman(None)
        envelope = envelope or client.envelope(
            gateway.TRANSFER + "Get", DMTF + "Msvm_ReplicationService", self.service)
        status, root = self.post(envelope, **more)
        self.assertEqual(status, 200, ElementTree.tostring(root))
        self.assertEqual(gateway.read_properties(root.find("./s:Body/*", SPACES))["Name"],
                         "replicasvc")
        return root

    def test_heads(self):
        soap = "application/soap+xml"
        self.get_service(path="/wsman/")  # omicli
        self.get_service(path="/wsman?PSVersion=5.1.19041.1")  # PowerShell
        self.get_service(head="")  # dracclient gives no type
        self.get_service(head="content-type: %s; charset=utf-8\r\n" % soap)
        self.get_service(head='Content-Type: %s;charset="UTF-8"\r\n' % soap)
        self.get_service(length="Content-Length:%d\r\n")  # omicli
        self.get_service(length="content-length: %010d\r\n")  # cimcli's way
        self.get_service(head="Content-Type: %s;charset=UTF-8\r\nUser-Agent: Microsoft WinRM "
                         "Client\r\n" % soap)

    def test_envelopes(self):
        envelope = self.gateway.wsman(None).envelope(
            gateway.TRANSFER + "Get", DMTF + "Msvm_ReplicationService", self.service,
            message_id="uuid:1")
        for old, new in (
                ("http://127.0.0.1/wsman", "HTTP://windows-host:5985/wsman/"),
                ("http://127.0.0.1/wsman", "/wsman"),
                (">uuid:1<", ">0<"), (">uuid:1<", "><"),
                (">uuid:1<", ">27073F26-9BF9-4E2E-B035-2B8F1EC40157<"),
                ("s:mustUnderstand", "mustUnderstand"),  # pywinrm
                ('s:mustUnderstand="true"', 's:mustUnderstand="1"'),
                ("<s:Body></s:Body>", "<s:Body/>"),
                ("<s:Body>", "<!-- a comment --><s:Body>"),
                (">replicasvc<", "><![CDATA[replicasvc]]><"),
                ('"replicasvc"', "'replicasvc'"),
                ("</s:Header>", '<w:OptionSet s:mustUnderstand="true"></w:OptionSet></s:Header>'),
                ("</s:Header>", '<w:Locale xml:lang="de-DE" s:mustUnderstand="false"/><p:SessionId '
                 'xmlns:p="http://schemas.microsoft.com/wbem/wsman/1/wsman.xsd" '
                 's:mustUnderstand="false">uuid:2</p:SessionId></s:Header>'),
                (DMTF + "Msvm_ReplicationService<", MICROSOFT + "Msvm_ReplicationService<"),
                (DMTF + "Msvm_ReplicationService<", VENDOR + "Msvm_ReplicationService<"),
                (DMTF + "Msvm_ReplicationService<", MICROSOFT.replace("root", "ROOT") +
                 "MSVM_replicationservice<"),
                (NAMESPACE, NAMESPACE.replace("/", "\\"))):
            self.get_service(envelope.replace(old, new))
        self.get_service(('<?xml version="1.0" encoding="utf-16"?>' + envelope).encode("utf-16"),
                         head="Content-Type: application/soap+xml;charset=UTF-16\r\n")

    def test_selectors_in_the_uri(self):
        """dracclient leaves them there."""
        uri = DMTF + "Msvm_ReplicationService?%s&__cimnamespace=%s" % (
            "&".join("%s=%s" % item for item in self.service.items()), NAMESPACE)
        client = self.gateway.wsman(None)
        envelope = client.envelope(gateway.TRANSFER + "Get", uri, {})
        start, end = envelope.index("<w:SelectorSet>"), envelope.index("</w:SelectorSet>")
        self.get_service(envelope[:start] + envelope[end + len("</w:SelectorSet>"):])

    def test_references(self):
        """Unwrapped (wsl, pypsrp), wrapped, an embedded instance (omicli, PowerShell), as text."""
        client = self.gateway.wsman()
        epr = gateway.epr_xml("Msvm_ComputerSystem", self.vm)
        uri = DMTF + "Msvm_ComputerSystem"
        instance = "".join("<q:%s>%s</q:%s>" % (name, text, name) for name, text in self.vm.items())
        text = gateway.path_text(NAMESPACE, "Msvm_ComputerSystem", self.vm)
        forms = (
            "<p:ComputerSystem>%s</p:ComputerSystem>" % epr,
            "<p:ComputerSystem><a:EndpointReference>%s</a:EndpointReference></p:ComputerSystem>"
            % epr,
            '<p:ComputerSystem xmlns:q="%s" xsi:type="q:Msvm_ComputerSystem_Type">%s'
            "</p:ComputerSystem>" % (uri, instance),
            # omicli binds xsi to another URI and means the same
            '<p:ComputerSystem xmlns:q="%s" xmlns:z="http://www.w3.org/2001/XMLSchema" '
            'z:type="q:Msvm_ComputerSystem_Type">%s</p:ComputerSystem>' % (uri, instance),
            "<p:ComputerSystem>%s</p:ComputerSystem>" % text,
            "<p:ComputerSystem>\\\\HOST1\\%s</p:ComputerSystem>" % text.replace(
                "root/virtualization/v2", "root\\virtualization\\v2"),
        )
        for form in forms:
            self.change("web1")
            value, out = client.invoke("Msvm_ReplicationService", self.service, "Resynchronize",
                                       form + '<p:StartTime xsi:nil="true"/>')
            self.assertEqual(value, 4096, form)
            self.ended(out["Job"][1]["InstanceID"])

    def test_times(self):
        """The six spellings; each is the same moment, which has passed. An interval is refused."""
        client = self.gateway.wsman()
        cim = 'xmlns:cim="%s"' % SPACES["cim"]
        system = "<p:ComputerSystem>%s</p:ComputerSystem>" % gateway.epr_xml("Msvm_ComputerSystem",
                                                                             self.vm)
        for time in ("20260101020000.000000+120", "2026-01-01T02:00:00+02:00",
                     "<cim:Datetime %s>2026-01-01T00:00:00Z</cim:Datetime>" % cim,
                     "<p:Datetime>2026-01-01T00:00:00Z</p:Datetime>",
                     "<CIM_DateTime>20260101000000.000000+000</CIM_DateTime>",
                     "<cim:CIM_DateTime %s>20260101000000.000000+000</cim:CIM_DateTime>" % cim):
            value, out = client.invoke("Msvm_ReplicationService", self.service, "Resynchronize",
                                       system + "<p:StartTime>%s</p:StartTime>" % time)
            self.assertEqual(value, 4096, time)
            self.ended(out["Job"][1]["InstanceID"])
        for time in ("PT5M", "<cim:Interval %s>PT5M</cim:Interval>" % cim,
                     "00000000000500.000000:000"):
            value, out = client.invoke("Msvm_ReplicationService", self.service, "Resynchronize",
                                       system + "<p:StartTime>%s</p:StartTime>" % time)
            self.assertEqual(value, 32776, time)

    def test_how_times_are_written(self):
        """In an element for Windows, as text for those who read only that."""
        for agent, tags in ((None, ["Datetime"]), ("Microsoft WinRM Client", ["Datetime"]),
                            ("openwsman 2.2.0", [])):
            client = self.gateway.wsman(user_agent=agent)
            body = client.send(gateway.TRANSFER + "Get", DMTF + "Msvm_ReplicationService",
                               self.service)
            time = [each for each in body[0]
                    if gateway.local(each) == "TimeOfLastStateChange"][0]
            self.assertEqual([gateway.local(each) for each in time], tags, agent)

    def test_a_method_with_an_empty_body(self):
        """omicli sends none where there are no parameters."""
        client = self.gateway.wsman()
        uri = DMTF + "Msvm_ReplicationService"
        body = client.send(uri + "/GetSystemCertificates", uri, self.service, "")
        out = gateway.read_properties(body[0])
        self.assertEqual(out["ReturnValue"], "0")
        self.assertIn("EncodedCertificates", out)

    def test_class_by_ws_management(self):
        """What Get-CimClass and Invoke-CimMethod ask before they type their arguments."""
        client = self.gateway.wsman()
        body = client.send(
            gateway.TRANSFER + "Get", "http://schemas.dmtf.org/wbem/cim-xml/2/cim-schema/2/*",
            {"ClassName": "Msvm_ReplicationService"}, headers=(
                '<w:OptionSet><w:Option Name="IncludeQualifiers">true</w:Option>'
                '<w:Option Name="wmi:IncludeInheritedElements">true</w:Option></w:OptionSet>'))
        found = body.find("CLASS")
        self.assertEqual(found.get("NAME"), "Msvm_ReplicationService")
        parameter = found.find("METHOD[@NAME='Resynchronize']/PARAMETER[@NAME='StartTime']")
        self.assertEqual(parameter.get("TYPE"), "datetime")

    def test_all_classes_with_a_query(self):
        """omicli wql, winrm with -filter, and libvirt's Hyper-V driver, which polls a job so."""
        self.change("web1")
        value, out = self.gateway.wsman(prefix=MICROSOFT).resynchronize("HOST1", self.vm_id)
        self.assertEqual(value, 4096)
        job = out["Job"][1]["InstanceID"]
        client = self.gateway.wsman(prefix=MICROSOFT)

        def state():
            found = client.query("select * from Msvm_ConcreteJob where InstanceID = '%s'" % job)
            return found[0]["JobState"] == "7"
        lib.wait_until(state, "the end of the job", every_s=0.05)
        self.check_replica("web1")


if __name__ == "__main__":
    lib.main()
