#!/usr/bin/python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""Every way to be refused: HTTP's, CIM-XML's status codes (DSP0200 1.4, table 2, and 7.3) and
WS-Management's faults (DSP0226 section 14), each told apart from the others."""
import base64
import io
import os
import re
import socket
import sys
import xml.etree.ElementTree as ElementTree
from xml.sax.saxutils import quoteattr

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
import calls  # noqa: E402
import gateway  # noqa: E402
import lib  # noqa: E402
from calls import JOB, SERVICE, SYSTEM  # noqa: E402
from gateway import DMTF, ENUMERATION, EVENTING, NAMESPACE, SPACES, TRANSFER  # noqa: E402

CONTEXTS_EACH = 32
ENTRY = "Msvm_ReplicationAuthorizationSettingData"
NO_JOB = {"InstanceID": "00000000-1111-2222-3333-444444444444"}
PULL_MODE = "http://schemas.dmtf.org/wbem/wsman/1/wsman/Pull"


class ErrorsCase(calls.CallsCase):
    SIZES = {"vda": lib.MIB}

    def setUp(self):
        super().setUp()
        self.job = self.a.jobs()[0]["id"].upper()  # the first copy, which has ended


# --- HTTP -----------------------------------------------------------------------------------------

CIM_HEADERS = {"Content-Type": 'application/xml; charset="utf-8"', "CIMProtocolVersion": "1.0",
               "CIMOperation": "MethodCall", "CIMMethod": "EnumerateInstanceNames",
               "CIMObject": "root%2Fvirtualization%2Fv2"}
CALL = ('<IMETHODCALL NAME="EnumerateInstanceNames">%s<IPARAMVALUE NAME="ClassName">'
        '<CLASSNAME NAME="Msvm_ComputerSystem"/></IPARAMVALUE></IMETHODCALL>'
        % gateway.namespace_xml(NAMESPACE))


def message(inner="<SIMPLEREQ>%s</SIMPLEREQ>" % CALL, cim="2.0", dtd="2.0", protocol="1.0",
            prologue='<?xml version="1.0" encoding="utf-8" ?>'):
    return ('%s<CIM CIMVERSION="%s" DTDVERSION="%s"><MESSAGE ID="1" PROTOCOLVERSION="%s">%s'
            "</MESSAGE></CIM>" % (prologue, cim, dtd, protocol, inner))


def without(name):
    return {key: value for key, value in CIM_HEADERS.items() if key != name}


def having(**given):
    return {**CIM_HEADERS, **{name.replace("_", "-"): value for name, value in given.items()}}


# What is wrong, headers, body, status, CIMError.
CIM_REFUSALS = (
    ("no Content-Type", without("Content-Type"), message(), 400, None),
    ("a Content-Type of another kind", having(Content_Type="text/plain"), message(), 415, None),
    ("no CIMOperation", without("CIMOperation"), message(), 400, None),
    ("another CIMOperation", having(CIMOperation="MethodResponse"), message(), 400,
     "unsupported-operation"),
    ("no CIMMethod", without("CIMMethod"), message(), 400, "header-mismatch"),
    ("another CIMMethod", having(CIMMethod="GetInstance"), message(), 400, "header-mismatch"),
    ("no CIMObject", without("CIMObject"), message(), 400, "header-mismatch"),
    ("another CIMObject", having(CIMObject="root%2Finterop"), message(), 400, "header-mismatch"),
    ("a CIMObject with a broken escape", having(CIMObject="root%2"), message(), 400,
     "header-mismatch"),
    ("another CIMProtocolVersion", having(CIMProtocolVersion="1.1"), message(), 400,
     "header-mismatch"),
    ("not well-formed", CIM_HEADERS, message()[:-3], 400, "request-not-well-formed"),
    ("an entity", CIM_HEADERS, message().replace("Msvm_ComputerSystem", "&secret;"), 400,
     "request-not-well-formed"),
    ("no body", CIM_HEADERS, "", 400, "request-not-valid"),
    ("a DOCTYPE", CIM_HEADERS, message(prologue="<!DOCTYPE CIM>"), 400, "request-not-valid"),
    ("a DOCTYPE with entities", CIM_HEADERS, message(
        prologue='<!DOCTYPE CIM [<!ENTITY a "aaaa"><!ENTITY b "&a;&a;&a;&a;">]>'), 400,
     "request-not-valid"),
    ("another root", CIM_HEADERS, "<MIC/>", 400, "request-not-valid"),
    ("an unknown element", CIM_HEADERS, message("<SIMPLEREQ><CALL/></SIMPLEREQ>"), 400,
     "request-not-valid"),
    ("no call", CIM_HEADERS, message("<SIMPLEREQ></SIMPLEREQ>"), 400, "request-not-valid"),
    ("two calls", CIM_HEADERS, message("<SIMPLEREQ>%s%s</SIMPLEREQ>" % (CALL, CALL)), 400,
     "request-not-valid"),
    ("an answer", CIM_HEADERS, message("<SIMPLERSP>%s</SIMPLERSP>" % CALL), 400,
     "request-not-valid"),
    ("CIM 3", CIM_HEADERS, message(cim="3.0"), 501, "unsupported-cim-version"),
    ("DTD 3", CIM_HEADERS, message(dtd="3.0"), 501, "unsupported-dtd-version"),
    ("a batch", CIM_HEADERS, message("<MULTIREQ><SIMPLEREQ>%s</SIMPLEREQ><SIMPLEREQ>%s"
                                     "</SIMPLEREQ></MULTIREQ>" % (CALL, CALL)), 501,
     "multiple-requests-unsupported"),
    ("too long a body", CIM_HEADERS, message(prologue=" " * (600 * 1024)), 413, None),
)


class Http(ErrorsCase):
    IS_REPLICATED = False

    def setUp(self):
        gateway.GatewayCase.setUp(self)

    def test_refusals(self):
        self.cim_messages()
        self.paths_and_methods()
        self.heads()
        self.wsman_types()
        self.credentials()

    def cim_messages(self):
        for what, headers, body, status, cim_error in CIM_REFUSALS:
            with self.subTest(what):
                client = self.gateway.cimxml()
                found, answer, text = client.post("/cimom", headers, body)
                client.close()
                self.assertEqual((found, answer["CIMError"]), (status, cim_error), text)
                self.assertIsNotNone(answer["Content-Length"])
                if cim_error:
                    self.assertEqual((answer["Content-Length"], text), ("0", b""))
        client = self.gateway.cimxml()  # the same without any fault
        status, _, text = client.post("/cimom", CIM_HEADERS, message())
        self.assertEqual(status, 200)
        self.assertIn(b"INSTANCENAME", text)
        client.close()

    def ports(self):
        return ((self.gateway.wsman_port, "/wsman"), (self.gateway.cimxml_port, "/cimom"))

    def paths_and_methods(self):
        for port, path in self.ports():
            for target in ("/", "/other", path + "/../etc/passwd", path + "%00", "/..%2f.."):
                status, _, _ = self.raw(port, "POST %s HTTP/1.1" % target)
                self.assertIn(status, (400, 404), target)
            for verb in ("GET", "PUT", "DELETE", "OPTIONS", "PATCH", "M-POST", "TRACE"):
                status, headers, _ = self.raw(port, "%s %s HTTP/1.1" % (verb, path))
                self.assertEqual((status, headers["Allow"]), (405, "POST"), verb)

    def raw(self, port, first, *lines, body=b"", authorization=gateway.basic()):
        head = [first] + ([] if any(line.startswith("Host") for line in lines) else ["Host: x"])
        if authorization:
            head.append("Authorization: " + authorization)
        head += [line for line in lines if line != "Host"]
        if not any("ontent-Length" in line or "ransfer-" in line for line in lines):
            head.append("Content-Length: %d" % len(body))
        try:
            return gateway.send_raw(port, "\r\n".join(head).encode() + b"\r\n\r\n" + body)
        except ConnectionError:
            return None, {}, b""

    def heads(self):
        for port, path in self.ports():
            first = "POST %s HTTP/1.1" % path
            for what, lines, status in (
                    ("no Host", ("Host",), 400),
                    ("two Hosts", ("Host: a", "Host: b"), 400),
                    ("two lengths", ("Content-Length: 5", "Content-Length: 6"), 400),
                    ("a negative length", ("Content-Length: -1",), 400),
                    ("no number", ("Content-Length: 0x10",), 400),
                    ("a signed length", ("Content-Length: +5",), 400),
                    ("length and chunks", ("Content-Length: 5", "Transfer-Encoding: chunked"), 400),
                    ("another coding", ("Transfer-Encoding: gzip",), 501),
                    ("a huge length", ("Content-Length: 1000000000000",), 413),
                    ("compressed", ("Content-Encoding: gzip",), 415)):
                with self.subTest(what, path=path):
                    self.assertEqual(self.raw(port, first, *lines)[0], status)
            with self.subTest("another version", path=path):
                # MHD may close without a word when it cannot read the line.
                self.assertIn(self.raw(port, "POST %s HTTP/2.0" % path)[0], (400, 505, None))
            with self.subTest("a head without end", path=path):
                status = self.raw(port, first, "X-Long: " + "x" * 70000)[0]
                self.assertIn(status, (413, 431, None))

    def wsman_types(self):
        port = self.gateway.wsman_port
        for kind in ("text/plain", "application/json", "multipart/encrypted"):
            status, _, _ = self.raw(port, "POST /wsman HTTP/1.1", "Content-Type: " + kind)
            self.assertEqual(status, 415, kind)
        status, _, _ = self.raw(port, "POST /wsman HTTP/1.1", body=b" " * (600 * 1024))
        self.assertEqual(status, 413)

    def credentials(self):
        def code(text):
            return "Basic " + base64.b64encode(text).decode()
        # A gateway of its own: wrong passwords close it.
        gate = self.owned(gateway.Gateway(self.path("second"), self.a)).start()
        for port, path in ((gate.cimxml_port, "/cimom"), (gate.wsman_port, "/wsman")):
            first = "POST %s HTTP/1.1" % path
            for what, authorization in (
                    ("none", None), ("empty", ""), ("no token", "Basic"), ("no base64", "Basic !!"),
                    ("another scheme", "Negotiate abcd"), ("no colon", code(b"cimtest")),
                    ("NUL", code(b"cimtest\0:T3st-pw!")), ("nobody", code(b":"))):
                with self.subTest(what, path=path):
                    status, headers, _ = self.raw(port, first, authorization=authorization)
                    self.assertEqual(status, 401)
                    self.assertRegex(headers["WWW-Authenticate"], '^Basic realm="')
            with self.subTest("twice", path=path):
                line = "Authorization: " + gateway.basic()
                self.assertEqual(self.raw(port, first, line)[0], 401)
        for _ in range(10):
            self.raw(gate.cimxml_port, "POST /cimom HTTP/1.1", authorization=code(b"cimtest:x"))
        for port, path in ((gate.cimxml_port, "/cimom"), (gate.wsman_port, "/wsman")):
            status, headers, _ = self.raw(port, "POST %s HTTP/1.1" % path)  # even the right one
            self.assertEqual(status, 429, path)
        gate_log = gate.log() + gate.audit_text()
        self.assertIn("login", gate_log)
        for secret in ("T3st-pw!", gateway.basic().split()[1]):
            self.assertNotIn(secret, gate_log)

    def test_nobody_is_served_when_the_users_file_is_broken(self):
        client = self.gateway.cimxml()
        client.names(SERVICE)
        with open(self.gateway.users, "a") as file:
            file.write("this is no user\n")
        self.assertEqual(client.post("/cimom", CIM_HEADERS, message())[0], 500)
        client.close()

    def test_half_a_request_keeps_nobody_waiting(self):
        halves = [socket.create_connection(("127.0.0.1", self.gateway.wsman_port))
                  for _ in range(50)]
        for half in halves:
            half.sendall(b"POST /wsman HTTP/1.1\r\nHo")
        client = self.owned(self.gateway.wsman())
        self.assertEqual(client.get(SERVICE, {})["Name"], "replicasvc")
        for half in halves:
            half.close()


# --- CIM-XML --------------------------------------------------------------------------------------


class CimXml(ErrorsCase):
    def setUp(self):
        super().setUp()
        self.client = self.owned(self.gateway.cimxml())

    def error(self, code, name, *words, client=None, **parameters):
        with self.subTest(code=code, name=name, parameters=parameters):
            with self.assertRaises(gateway.CimError) as refusal:
                (client or self.client).intrinsic(name, **parameters)
            self.check(refusal.exception, code, words)

    def check(self, error, code, words):
        self.assertEqual(error.code, code, error)
        self.assertRegex(error.description, "^CIM_ERR_[A-Z_]+: .")
        for word in words:
            self.assertIn(word, error.description)

    def call_error(self, code, class_name, keys, method, parameters="", *words, client=None):
        with self.subTest(code=code, method=method, parameters=parameters):
            with self.assertRaises(gateway.CimError) as refusal:
                (client or self.client).invoke(class_name, keys, method, parameters)
            self.check(refusal.exception, code, words)

    def send_error(self, code, name, parameters, *words, namespace=NAMESPACE):
        """With the parameters as XML."""
        with self.subTest(code=code, name=name, parameters=parameters):
            with self.assertRaises(gateway.CimError) as refusal:
                self.client.send(name, gateway.namespace_xml(namespace), parameters, False,
                                 namespace)
            self.check(refusal.exception, code, words)

    def test_codes(self):
        self.not_allowed()
        self.not_found()
        self.parameters()
        self.not_supported()
        self.properties()
        self.queries()
        self.enumerations()
        self.methods()
        self.service_is_stopped()

    def not_allowed(self):
        self.gateway.add_user("nora", "nora's", "none")
        self.gateway.add_user("otto", "otto's", "viewer", "--vm", "web2=operator")
        nora = self.owned(gateway.CimXml(self.gateway.cimxml_port, gateway.basic("nora", "nora's")))
        otto = self.owned(gateway.CimXml(self.gateway.cimxml_port, gateway.basic("otto", "otto's")))
        with self.assertRaises(gateway.HttpError) as refusal:  # not even to the model
            nora.intrinsic("EnumerateClassNames")
        self.assertEqual(refusal.exception.status, 403)
        kill = gateway.text_parameter("RequestedState", "4")
        for client in (otto, self.owned(self.gateway.cimxml("victor"))):
            self.call_error(2, JOB, {"InstanceID": self.job}, "RequestStateChange", kill,
                            "operator", client=client)
        self.a.allow(self.b)
        entry = {"InstanceID": self.client.enumerate(ENTRY)[0]["InstanceID"]}
        self.error(6, "SetProperty", client=self.owned(self.gateway.cimxml("olga")),
                   InstanceName=(ENTRY, entry), PropertyName="TrustGroup", NewValue="blue")

    def not_found(self):
        for namespace in ("root/cimv2", "root", "no/where"):
            self.error(3, "EnumerateInstances", namespace, namespace=namespace,
                       ClassName={"class": SYSTEM})
        for name in ("EnumerateInstances", "EnumerateInstanceNames", "GetClass",
                     "EnumerateClasses"):
            self.error(5, name, "Msvm_Nothing", ClassName={"class": "Msvm_Nothing"})
        self.error(5, "GetInstance", InstanceName=("Msvm_Nothing", {"Name": "x"}))
        for class_name, keys in ((JOB, NO_JOB), (JOB, {"InstanceID": "no id"}),
                                 (SYSTEM, gateway.vm_keys("nobody")),
                                 (SERVICE, gateway.service_keys("HOST2")),
                                 ("Msvm_ReplicationRelationship",
                                  {"InstanceID": "Microsoft:%s\\HVR\\1" % self.vm_id})):
            self.error(6, "GetInstance", "there is no " + class_name,
                       InstanceName=(class_name, keys))

    def parameters(self):
        self.error(4, "GetInstance", "InstanceName")
        self.error(4, "GetInstance", "Colour", InstanceName=(JOB, {"InstanceID": self.job}),
                   Colour="blue")
        self.error(4, "EnumerateInstances", "ClassName", ClassName="a text")
        self.error(4, "EnumerateInstances", "DeepInheritance", ClassName={"class": SYSTEM},
                   DeepInheritance="perhaps")
        self.error(4, "GetInstance", "PropertyList", PropertyList="Name",
                   InstanceName=(JOB, {"InstanceID": self.job}))
        one = '<IPARAMVALUE NAME="ClassName"><CLASSNAME NAME=%s/></IPARAMVALUE>' % quoteattr(SYSTEM)
        self.send_error(4, "EnumerateInstances", one + one, "twice")
        self.send_error(4, "EnumerateInstances", one + "<SOMETHING/>")
        self.error(4, "GetInstance", "InstanceID", InstanceName=(JOB, {}))
        self.error(4, "GetInstance", "Name", InstanceName=(JOB, {"Name": "x"}))
        self.error(4, "GetInstance", "Colour", InstanceName=(
            JOB, {"InstanceID": self.job, "Colour": "blue"}))
        self.error(4, "Associators", ObjectName=(SYSTEM, gateway.vm_keys(self.vm_id)),
                   AssocClass={"class": "Msvm_Nothing"})
        self.send_error(4, "ModifyInstance", '<IPARAMVALUE NAME="ModifiedInstance"><VALUE>x</VALUE>'
                                             "</IPARAMVALUE>", "VALUE.NAMEDINSTANCE")

    def not_supported(self):
        for name in ("CreateInstance", "DeleteInstance", "CreateClass", "ModifyClass",
                     "DeleteClass", "GetQualifier", "SetQualifier", "DeleteQualifier",
                     "EnumerateQualifiers", "MakeCoffee"):
            self.error(7, name, name)
        job = "<VALUE.NAMEDINSTANCE>%s%s</VALUE.NAMEDINSTANCE>" % (
            gateway.name_xml(JOB, {"InstanceID": self.job}),
            calls.embedded(JOB, InstanceID=self.job))
        self.send_error(7, "ModifyInstance",
                        '<IPARAMVALUE NAME="ModifiedInstance">%s</IPARAMVALUE>' % job, JOB)
        self.error(7, "OpenQueryInstances", FilterQueryLanguage="WQL", ReturnQueryResultClass=True,
                   FilterQuery="select * from " + JOB)

    def properties(self):
        job = (JOB, {"InstanceID": self.job})
        self.error(12, "GetProperty", "Colour", InstanceName=job, PropertyName="Colour")
        self.error(12, "SetProperty", "Colour", InstanceName=job, PropertyName="Colour",
                   NewValue="1")
        self.error(13, "SetProperty", "Priority", InstanceName=job, PropertyName="Priority",
                   NewValue="much")
        self.error(13, "SetProperty", "Caption", InstanceName=job, PropertyName="Caption",
                   NewValue=["a", "b"])
        self.error(7, "SetProperty", JOB, InstanceName=job, PropertyName="Caption", NewValue="x")

    def queries(self):
        for name, language, query in (("ExecQuery", "QueryLanguage", "Query"),
                                      ("OpenQueryInstances", "FilterQueryLanguage", "FilterQuery")):
            self.error(14, name, "SQL", **{language: "SQL", query: "select * from " + JOB})
            for text in ("", "select", "select * from %s where" % JOB, "delete from " + JOB,
                         "select * from %s where Colour = 1" % JOB,
                         "select * from %s where JobState = 'many'" % JOB):
                self.error(15, name, **{language: "WQL", query: text})
            self.error(5, name, "Msvm_Nothing",
                       **{language: "WQL", query: "select * from Msvm_Nothing"})

    def opened(self, client=None, **more):
        response = (client or self.client).intrinsic(
            "OpenEnumerateInstancePaths", ClassName={"class": SYSTEM}, MaxObjectCount=1, **more)
        return response.findtext("./PARAMVALUE[@NAME='EnumerationContext']/VALUE")

    def enumerations(self):
        for name in ("PullInstancePaths", "PullInstancesWithPath", "PullInstances"):
            self.error(21, name, EnumerationContext="nothing", MaxObjectCount=1)
        self.error(21, "CloseEnumeration", EnumerationContext="nothing")
        self.error(21, "EnumerationCount", EnumerationContext="nothing")
        text = self.opened()
        self.error(21, "PullInstancesWithPath", EnumerationContext=text, MaxObjectCount=1)
        olga = self.owned(self.gateway.cimxml("olga"))  # a context is its user's
        self.error(21, "PullInstancePaths", client=olga, EnumerationContext=text, MaxObjectCount=1)
        self.error(4, "PullInstancePaths", "MaxObjectCount", EnumerationContext=text)
        self.client.intrinsic("CloseEnumeration", EnumerationContext=text)
        self.error(21, "PullInstancePaths", EnumerationContext=text, MaxObjectCount=1)
        of = {"ClassName": {"class": SYSTEM}}
        for seconds in (0, 601):
            self.error(22, "OpenEnumerateInstances", "600", OperationTimeout=seconds, **of)
        self.error(25, "OpenEnumerateInstances", FilterQueryLanguage="DMTF:FQL",
                   FilterQuery="Name = 'x'", **of)
        self.error(26, "OpenEnumerateInstances", ContinueOnError=True, **of)
        self.error(5, "OpenEnumerateInstances", ClassName={"class": "Msvm_Nothing"})
        olgas = [self.opened(olga) for _ in range(CONTEXTS_EACH)]
        self.error(27, "OpenEnumerateInstancePaths", client=olga, MaxObjectCount=1, **of)
        self.opened()  # only she has too many
        olga.intrinsic("CloseEnumeration", EnumerationContext=olgas[0])
        self.opened(olga)

    def methods(self):
        service = gateway.service_keys("HOST1")
        self.call_error(17, SERVICE, service, "MakeCoffee")
        self.call_error(17, JOB, {"InstanceID": self.job}, "Resynchronize")
        self.call_error(16, SYSTEM, gateway.vm_keys(self.vm_id), "RequestStateChange")
        self.call_error(5, "Msvm_Nothing", service, "Resynchronize")
        self.call_error(6, SERVICE, gateway.service_keys("HOST2"), "Resynchronize")
        self.call_error(6, JOB, NO_JOB, "GetError")
        given = gateway.text_parameter("Colour", "blue")
        self.call_error(4, SERVICE, service, "Resynchronize", given, "Colour")
        self.call_error(4, SERVICE, service, "Resynchronize",
                        gateway.reference_parameter("Job", JOB, {"InstanceID": self.job}), "Job")
        twice = gateway.text_parameter("StartTime", "20990101000000.000000+000")
        self.call_error(4, SERVICE, service, "Resynchronize", twice + twice, "twice")
        with self.assertRaises(gateway.CimError) as refusal:
            self.client.invoke(SERVICE, service, "Resynchronize", namespace="root/other")
        self.assertEqual(refusal.exception.code, 3)

    def service_is_stopped(self):
        self.a.stop()
        self.error(1, "GetInstance", InstanceName=(JOB, {"InstanceID": self.job}))
        self.error(1, "EnumerateInstances", ClassName={"class": SYSTEM})
        self.call_error(1, SERVICE, gateway.service_keys("HOST1"), "Resynchronize")
        self.assertTrue(self.client.intrinsic("GetClass", ClassName={"class": SYSTEM}))
        self.a.start()
        self.assertEqual(len(self.client.enumerate(SERVICE)), 1)


# --- WS-Management --------------------------------------------------------------------------------

ADDRESSING_FAULT = SPACES["a"] + "/fault"
WSMAN_FAULT = "http://schemas.dmtf.org/wbem/wsman/1/wsman/fault"
ACTIONS = {"a": ADDRESSING_FAULT, "": ADDRESSING_FAULT, "w": WSMAN_FAULT,
           "n": SPACES["n"] + "/fault", "x": SPACES["x"] + "/fault", "e": SPACES["e"] + "/fault",
           "b": "http://schemas.dmtf.org/wbem/wsman/1/cimbinding/fault"}
RECEIVER = ("InternalError", "QuotaLimit", "TimedOut", "InvalidEnumerationContext", "UnableToRenew",
            "EndpointUnavailable")


def filter_xml(text, dialect=gateway.WQL):
    return '<w:Filter Dialect="%s">%s</w:Filter>' % (dialect, text)


class WsMan(ErrorsCase):
    def setUp(self):
        super().setUp()
        self.client = self.owned(self.gateway.wsman())

    def fault(self, subcode, *arguments, client=None, words=(), edit=None, http=None, status=None,
              is_related=True, **more):
        """subcode: "w:InvalidSelectors/DuplicateSelectors", "MustUnderstand". `edit`: what is done
        to the envelope before it goes; http: more headers. `status`: of the CIM_Error inside. Not
        related: to what no MessageID could be read of."""
        client = client or self.client
        envelope = client.envelope(*arguments, **more)
        text = envelope if edit is None else edit(envelope)
        is_related = is_related and "<a:MessageID>" in text
        with self.subTest(subcode, arguments=arguments[:2], **more):
            http_status, root = client.send_text(text, **(http or {}))
            fault = gateway.Fault(http_status, root)
            name, _, detail = subcode.partition("/")
            prefix, _, name = name.rpartition(":")
            self.assertEqual(http_status, 500)
            if prefix:
                code = "Receiver" if name in RECEIVER else "Sender"
                self.assertEqual((fault.code, fault.subcode, fault.detail), (code, name, detail),
                                 fault)
                self.check_prefix(client, root, prefix)
            else:
                self.assertEqual((fault.code, fault.subcode), (name, ""), fault)
            self.assertEqual(fault.action, ACTIONS[prefix])
            self.assertEqual(fault.relates_to, client.message_id if is_related else "")
            self.assertNotEqual(fault.text, "")
            self.assertEqual(calls.status_of(fault), status)
            for word in words:
                self.assertIn(word, fault.text)
            return fault

    def check_prefix(self, client, root, prefix):
        """The subcode is a QName: its prefix must be bound to that namespace."""
        given = root.findtext(".//s:Subcode/s:Value", "", SPACES).partition(":")[0]
        bound = [uri for _, (name, uri) in
                 ElementTree.iterparse(io.BytesIO(client.text), ["start-ns"]) if name == given]
        self.assertEqual(bound, [SPACES[prefix]])

    def pull(self, context, extra=""):
        return ("<n:Pull><n:EnumerationContext>%s</n:EnumerationContext>%s</n:Pull>"
                % (context, extra))

    def enumerate_body(self, inner=""):
        return "<n:Enumerate>%s</n:Enumerate>" % inner

    def subscribe_body(self, inner="", mode=PULL_MODE):
        return '<e:Subscribe><e:Delivery Mode="%s"/>%s</e:Subscribe>' % (mode, inner)

    def test_faults(self):
        self.envelopes()
        self.headers()
        self.addressing()
        self.targets()
        self.changes()
        self.enumerations()
        self.subscriptions()
        self.methods()
        self.not_allowed()
        self.too_many()
        self.service_is_stopped()

    GET_SERVICE = (TRANSFER + "Get", DMTF + SERVICE)

    def envelopes(self):
        ask = self.GET_SERVICE
        schema = "w:SchemaValidationError"
        for text in ("", "<", "no XML", "<s:Envelope/>", "<?xml version='1.0'?><!DOCTYPE x><x/>",
                     '<!DOCTYPE x [<!ENTITY a "b">]><x>&a;</x>', "<Envelope/>", "<x/>"):
            self.fault(schema if text != "<Envelope/>" else "VersionMismatch", *ask,
                       edit=lambda _, text=text: text)
        self.fault("VersionMismatch", *ask, edit=lambda text: text.replace(
            SPACES["s"], "http://schemas.xmlsoap.org/soap/envelope/"))
        self.fault(schema, *ask, edit=lambda text: text[:-12], is_related=False)
        self.fault(schema, *ask, edit=lambda text: re.sub("<s:Body>.*</s:Body>", "", text))
        self.fault(schema, *ask, body="<x/><y/>")
        self.fault("w:EncodingLimit/CharacterSet", *ask, is_related=False,
                   http={"content_type": "application/soap+xml;charset=KOI8-R"})
        self.fault("w:EncodingLimit/CharacterSet", *ask, is_related=False,
                   edit=lambda text: '<?xml version="1.0" encoding="KOI8-R"?>' + text)
        self.fault("w:EncodingLimit/ServiceEnvelopeLimit", *ask, is_related=False,
                   edit=lambda text: text.replace(
                       "<s:Body>", "<s:Body>" + "<d>" * 100 + "</d>" * 100))

    def headers(self):
        ask = self.GET_SERVICE
        must = ' xmlns:q="urn:q" s:mustUnderstand="%s"'
        for value in ("true", "1"):
            self.fault("MustUnderstand", *ask, headers="<q:Magic%s/>" % (must % value),
                       words=["Magic"])
        self.fault("w:InvalidOptions/NotSupported", *ask, headers='<w:OptionSet><w:Option '
                   'Name="Magic" MustComply="true">1</w:Option></w:OptionSet>', words=["Magic"])
        for size in ("8191", "1", "0"):
            self.fault("w:EncodingLimit/MinimumEnvelopeLimit", *ask,
                       headers="<w:MaxEnvelopeSize>%s</w:MaxEnvelopeSize>" % size, words=["8192"])
        self.fault("w:EncodingLimit/MaxEnvelopeSize", TRANSFER + "Get",
                   "http://schemas.dmtf.org/wbem/cim-xml/2/cim-schema/2/*",
                   {"ClassName": SERVICE}, headers="<w:MaxEnvelopeSize>8192</w:MaxEnvelopeSize>")
        self.fault("w:UnsupportedFeature/FragmentLevelAccess", *ask,
                   headers='<w:FragmentTransfer s:mustUnderstand="true">Name</w:FragmentTransfer>')
        invalid = "a:InvalidMessageInformationHeader"
        for header in ("<w:OperationTimeout>2026-01-01T00:00:00Z</w:OperationTimeout>",
                       "<w:OperationTimeout>soon</w:OperationTimeout>",
                       "<w:MaxEnvelopeSize>many</w:MaxEnvelopeSize>",
                       "<a:To>twice</a:To>"):
            self.fault(invalid, *ask, headers=header)

    def addressing(self):
        ask = self.GET_SERVICE
        for name in ("ReplyTo", "FaultTo"):
            self.fault("w:UnsupportedFeature/AddressingMode", *ask,
                       headers="<a:%s><a:Address>http://elsewhere/</a:Address></a:%s>"
                       % (name, name), edit=lambda text: re.sub(
                           "<a:ReplyTo><a:Address>%s</a:Address></a:ReplyTo>"
                           % re.escape(gateway.ANONYMOUS), "", text))
        needed = "a:MessageInformationHeaderRequired"
        self.fault(needed, *ask, edit=lambda text: re.sub("<a:Action.*</a:Action>", "", text),
                   words=["Action"])
        self.fault(needed, *ask, edit=lambda text: re.sub(
            "<a:MessageID>.*</a:MessageID>", "", text), words=["MessageID"])
        self.fault(needed, *ask, http={"SOAPAction": '"urn:other"'}, words=["SOAPAction"])
        self.client.send_text(self.client.envelope(*ask), SOAPAction='"%sGet"' % TRANSFER)
        for action in ("urn:unknown", TRANSFER + "Steal", DMTF + SERVICE + "/MakeCoffee",
                       DMTF + JOB + "/Resynchronize"):
            self.fault("a:ActionNotSupported", action, DMTF + SERVICE,
                       gateway.service_keys("HOST1"))
        self.fault("a:ActionNotSupported", DMTF + SYSTEM + "/RequestStateChange", DMTF + SYSTEM,
                   gateway.vm_keys(self.vm_id), status=16)
        for action in (TRANSFER + "Create", TRANSFER + "Delete", ENUMERATION + "Renew"):
            self.fault("a:ActionNotSupported/ActionMismatch", action, DMTF + SERVICE)
        # What is odd and yet allowed: clients do it.
        for message_id in ("0", "no uri at all", "", "uuid:\u00fc&<>"):
            status, root = self.client.send_text(self.client.envelope(*ask, message_id=message_id))
            self.assertEqual((status, root.findtext("./s:Header/a:RelatesTo", "", SPACES)),
                             (200, message_id))

    def targets(self):
        get, unreachable = TRANSFER + "Get", "a:DestinationUnreachable"
        for uri in ("http://example.org/Msvm_ComputerSystem", DMTF, DMTF + "*", "text",
                    gateway.MICROSOFT + "a/b/"):
            self.fault(unreachable + "/InvalidResourceURI", get, uri)
        self.fault(unreachable + "/InvalidResourceURI", get, DMTF + "Msvm_Nothing", status=5)
        self.fault(unreachable + "/InvalidResourceURI", get, DMTF + SERVICE,
                   edit=lambda text: re.sub("<w:ResourceURI.*?</w:ResourceURI>", "", text, 1))
        self.fault(unreachable, get, "http://schemas.microsoft.com/wbem/wsman/1/wmi/root/cimv2/"
                   "Win32_Service", client=self.owned(self.gateway.wsman(prefix=gateway.MICROSOFT)))
        self.fault(unreachable, get, DMTF + JOB, NO_JOB, status=6)
        self.fault(unreachable, get, DMTF + SYSTEM, gateway.vm_keys("nobody"), status=6)
        selectors = "w:InvalidSelectors"
        self.fault(selectors + "/InsufficientSelectors", get, DMTF + JOB)
        self.fault(selectors + "/InsufficientSelectors", get, DMTF + SYSTEM, {"Name": self.vm_id})
        self.fault(selectors + "/UnexpectedSelectors", get, DMTF + JOB,
                   {"InstanceID": self.job, "Colour": "blue"}, words=["Colour"])
        self.fault(selectors + "/UnexpectedSelectors", get, DMTF + JOB, {"Caption": "x"})
        self.fault(selectors + "/DuplicateSelectors", get, DMTF + JOB,
                   {"InstanceID": self.job, "instanceid": self.job})
        self.fault(selectors + "/DuplicateSelectors", get, DMTF + JOB + "?InstanceID=x",
                   {"InstanceID": self.job})
        self.fault(selectors + "/TypeMismatch", get, DMTF + JOB,
                   {"InstanceID": (SYSTEM, gateway.vm_keys(self.vm_id))})
        self.fault(selectors, get, DMTF + JOB + "?nothing")
        self.fault(selectors, get, DMTF + JOB, edit=lambda text: text.replace(
            "<w:SelectorSet>", "<w:SelectorSet><w:Selector>x</w:Selector>"))
        self.fault(selectors + "/UnexpectedSelectors", ENUMERATION + "Enumerate", DMTF + JOB,
                   {"InstanceID": self.job}, self.enumerate_body())

    def changes(self):
        """Put: of what cannot be changed, and what cannot be so."""
        self.a.allow(self.b)
        keys = {"InstanceID": self.client.instances(ENTRY)[0]["InstanceID"]}
        put = (TRANSFER + "Put", DMTF + ENTRY, keys)

        def entry(inner):
            return '<p:%s xmlns:p="%s">%s</p:%s>' % (ENTRY, DMTF + ENTRY, inner, ENTRY)
        self.fault("w:SchemaValidationError", *put)
        self.fault("w:SchemaValidationError", *put, body="<q/>")
        self.fault("w:InvalidParameter/InvalidName", *put,
                   body=entry("<p:Colour>blue</p:Colour>"), words=["Colour"])
        self.fault("w:InvalidParameter/TypeMismatch", *put, words=["TrustGroup"], body=entry(
            "<p:TrustGroup>a</p:TrustGroup><p:TrustGroup>b</p:TrustGroup>"))
        self.fault("x:InvalidRepresentation/InvalidValues", *put, status=4, words=["InstanceID"],
                   body=entry("<p:InstanceID>other</p:InstanceID>"))
        self.fault("x:InvalidRepresentation/InvalidValues", *put, status=4,
                   body=entry("<p:AllowedPrimaryHostSystem>x</p:AllowedPrimaryHostSystem>"))
        self.fault("a:ActionNotSupported/ActionMismatch", TRANSFER + "Put", DMTF + JOB,
                   {"InstanceID": self.job}, '<p:%s xmlns:p="%s"><p:Caption>x</p:Caption></p:%s>'
                   % (JOB, DMTF + JOB, JOB), status=7)
        self.assertEqual([each["trust_group"] for each in self.a.get("/v1/authorizations")[
            "authorizations"]], ["DEFAULT"])
        body = self.client.send(*put, body=entry("<p:TrustGroup>blue</p:TrustGroup>"))
        self.assertEqual(gateway.read_properties(body[0])["TrustGroup"], "blue")
        self.assertEqual([each["trust_group"] for each in self.a.get("/v1/authorizations")[
            "authorizations"]], ["blue"])

    def enumerations(self):
        ask = (ENUMERATION + "Enumerate", DMTF + JOB, None)
        self.fault("w:SchemaValidationError", *ask)
        self.fault("w:SchemaValidationError", *ask, body="<n:Pull/>")
        self.fault("w:SchemaValidationError", *ask, body=self.enumerate_body(
            "<w:MaxElements>0</w:MaxElements>"))
        self.fault("w:UnsupportedFeature", *ask, body=self.enumerate_body(
            "<w:EnumerationMode>Everything</w:EnumerationMode>"))
        self.fault("w:UnsupportedFeature/AddressingMode", *ask, body=self.enumerate_body(
            "<n:EndTo><a:Address>http://elsewhere/</a:Address></n:EndTo>"))
        self.fault("b:PolymorphismModeNotSupported", *ask, body=self.enumerate_body(
            "<b:PolymorphismMode>Some</b:PolymorphismMode>"))
        for expires in ("", "yesterday", "2001-01-01T00:00:00Z", "P-1D"):
            self.fault("n:InvalidExpirationTime", *ask, body=self.enumerate_body(
                "<n:Expires>%s</n:Expires>" % expires))
        self.fault("n:FilterDialectRequestedUnavailable", *ask, body=self.enumerate_body(
            filter_xml("//x", "http://www.w3.org/TR/1999/REC-xpath-19991116")))
        for text in ("", "select", "select * from %s where Colour = 1" % JOB,
                     "select * from " + SYSTEM, "<x/>"):
            self.fault("n:CannotProcessFilter", *ask, body=self.enumerate_body(filter_xml(text)))
        self.fault("n:CannotProcessFilter", *ask, status=5, body=self.enumerate_body(
            filter_xml("select * from Msvm_Nothing")))
        selector = "http://schemas.dmtf.org/wbem/wsman/1/wsman/SelectorFilter"
        self.fault("n:CannotProcessFilter", *ask,
                   body=self.enumerate_body(filter_xml("", selector)))
        self.fault("n:CannotProcessFilter", *ask, body=self.enumerate_body(filter_xml(
            '<w:SelectorSet><w:Selector Name="Colour">blue</w:Selector></w:SelectorSet>',
            selector)))
        for action, name in ((ENUMERATION + "Pull", "Pull"), (ENUMERATION + "Release", "Release")):
            self.fault("n:InvalidEnumerationContext", action, DMTF + JOB, None,
                       "<n:%s><n:EnumerationContext>no</n:EnumerationContext></n:%s>"
                       % (name, name))
            self.fault("w:SchemaValidationError", action, DMTF + JOB, None, "<n:%s/>" % name)
            self.fault("w:SchemaValidationError", action, DMTF + JOB, None)
        context = self.opened(self.client)
        self.fault("w:SchemaValidationError", ENUMERATION + "Pull", DMTF + SYSTEM, None,
                   self.pull(context, "<n:MaxElements>-1</n:MaxElements>"))
        self.fault("w:EncodingLimit/MaxEnvelopeSize", ENUMERATION + "Pull", DMTF + SYSTEM, None,
                   self.pull(context, "<n:MaxCharacters>10</n:MaxCharacters>"))
        olga = self.owned(self.gateway.wsman("olga"))  # a context is its user's
        self.fault("n:InvalidEnumerationContext", ENUMERATION + "Pull", DMTF + SYSTEM, None,
                   self.pull(context), client=olga)
        body = self.client.send(ENUMERATION + "Pull", DMTF + SYSTEM, None, self.pull(context))
        self.assertEqual(len(body.findall("./n:PullResponse/n:Items/*", SPACES)), 1)

    def opened(self, client):
        body = client.send(ENUMERATION + "Enumerate", DMTF + SYSTEM, None, self.enumerate_body())
        return body.findtext(".//n:EnumerationContext", None, SPACES)

    def subscriptions(self):
        ask = (EVENTING + "Subscribe", DMTF + JOB, None)
        self.fault("w:SchemaValidationError", *ask)
        for mode in ("", EVENTING + "DeliveryModes/Push",
                     "http://schemas.dmtf.org/wbem/wsman/1/wsman/PushWithAck"):
            self.fault("e:DeliveryModeRequestedUnavailable", *ask, body=self.subscribe_body(
                mode=mode))
        for expires in ("", "2001-01-01T00:00:00Z"):
            self.fault("e:InvalidExpirationTime", *ask, body=self.subscribe_body(
                "<e:Expires>%s</e:Expires>" % expires))
        for given in (filter_xml("//x", "urn:xpath"), filter_xml("select"),
                      filter_xml("select * from Msvm_Nothing")):
            self.fault("e:FilteringRequestedUnavailable", *ask, body=self.subscribe_body(given))
        for name in ("Unsubscribe", "Renew", "GetStatus"):
            self.fault("e:InvalidMessage", EVENTING + name, DMTF + JOB, None, "<e:%s/>" % name)
            self.fault("e:UnableToRenew" if name == "Renew" else "e:InvalidMessage",
                       EVENTING + name, DMTF + JOB, None, "<e:%s/>" % name,
                       headers="<e:Identifier>uuid:nothing</e:Identifier>")
            self.fault("w:SchemaValidationError", EVENTING + name, DMTF + JOB, None)
        body = self.client.send(*ask, body=self.subscribe_body())
        context = body.findtext(".//n:EnumerationContext", None, SPACES)
        identifier = body.find(".//e:Identifier", SPACES)
        fault = self.fault("w:TimedOut", ENUMERATION + "Pull", DMTF + JOB, None,
                           self.pull(context), words=[],
                           headers="<w:OperationTimeout>PT0.2S</w:OperationTimeout>")
        code = fault.root.find(
            ".//{http://schemas.microsoft.com/wbem/wsman/1/wsmanfault}WSManFault")
        self.assertEqual(code.get("Code"), "2150858793")  # after which Windows asks again
        self.client.send(EVENTING + "Unsubscribe", DMTF + JOB, None, "<e:Unsubscribe/>",
                         headers="<e:Identifier>%s</e:Identifier>" % identifier.text)
        self.fault("n:InvalidEnumerationContext", ENUMERATION + "Pull", DMTF + JOB, None,
                   self.pull(context))

    def methods(self):
        resynchronize = (DMTF + SERVICE + "/Resynchronize", DMTF + SERVICE,
                         gateway.service_keys("HOST1"))

        def given(inner, name="Resynchronize"):
            return '<p:%s_INPUT xmlns:p="%s">%s</p:%s_INPUT>' % (name, DMTF + SERVICE, inner, name)
        self.fault("w:InvalidParameter/InvalidName", *resynchronize,
                   body=given("<p:Colour>blue</p:Colour>"), words=["Colour"])
        self.fault("w:InvalidParameter/InvalidName", *resynchronize, body=given("<p:Job>x</p:Job>"))
        self.fault("w:SchemaValidationError", *resynchronize, body=given("", "StartReplication"))
        self.fault("a:DestinationUnreachable", resynchronize[0], DMTF + SERVICE,
                   gateway.service_keys("HOST2"), given(""), status=6)

    def not_allowed(self):
        self.gateway.add_user("nora", "nora's", "none")
        nora = self.owned(gateway.WsMan(self.gateway.wsman_port, gateway.basic("nora", "nora's")))
        victor = self.owned(self.gateway.wsman("victor"))
        with self.assertRaises(gateway.HttpError) as refusal:
            nora.get(SERVICE, {})
        self.assertEqual(refusal.exception.status, 403)
        self.fault("w:AccessDenied", DMTF + JOB + "/RequestStateChange", DMTF + JOB,
                   {"InstanceID": self.job}, '<p:RequestStateChange_INPUT xmlns:p="%s">'
                   "<p:RequestedState>4</p:RequestedState></p:RequestStateChange_INPUT>"
                   % (DMTF + JOB), client=victor, status=2)
        anonymous = self.owned(self.gateway.wsman(None))
        with self.assertRaises(gateway.HttpError) as refusal:
            anonymous.get(SERVICE, {})
        self.assertEqual(refusal.exception.status, 401)

    def too_many(self):
        olga = self.owned(self.gateway.wsman("olga"))
        for _ in range(CONTEXTS_EACH):
            context = self.opened(olga)
        self.fault("w:QuotaLimit", ENUMERATION + "Enumerate", DMTF + SYSTEM, None,
                   self.enumerate_body(), client=olga, words=["32"])
        self.fault("w:QuotaLimit", EVENTING + "Subscribe", DMTF + JOB, None, self.subscribe_body(),
                   client=olga)
        self.opened(self.client)
        olga.send(ENUMERATION + "Release", DMTF + SYSTEM, None,
                  "<n:Release><n:EnumerationContext>%s</n:EnumerationContext></n:Release>"
                  % context)
        self.opened(olga)

    def service_is_stopped(self):
        self.a.stop()
        self.fault("w:InternalError", *self.GET_SERVICE, status=1)
        self.fault("w:InternalError", ENUMERATION + "Enumerate", DMTF + SYSTEM, None,
                   self.enumerate_body(), status=1)
        status, root = self.client.identify()  # who is there is said all the same
        self.assertEqual(status, 200)
        self.a.start()
        self.assertEqual(self.client.get(SERVICE, {})["Name"], "replicasvc")


if __name__ == "__main__":
    lib.main()
