# SPDX-License-Identifier: LGPL-2.1-or-later
"""A resilver-gateway before a host's resilverd, and both protocols as a client speaks them, written
from the standards and not from the gateway's code."""
import base64
import http.client
import os
import signal
import socket
import ssl
import sys
import tempfile
import uuid
import xml.etree.ElementTree as ElementTree
from xml.sax.saxutils import escape, quoteattr

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "e2e"))
import hosts  # noqa: E402
import lib  # noqa: E402

NAMESPACE = "root/virtualization/v2"
DMTF = "http://schemas.dmtf.org/wbem/wscim/1/cim-schema/2/"
MICROSOFT = "http://schemas.microsoft.com/wbem/wsman/1/wmi/root/virtualization/v2/"
ANONYMOUS = "http://schemas.xmlsoap.org/ws/2004/08/addressing/role/anonymous"
TRANSFER = "http://schemas.xmlsoap.org/ws/2004/09/transfer/"
ENUMERATION = "http://schemas.xmlsoap.org/ws/2004/09/enumeration/"
EVENTING = "http://schemas.xmlsoap.org/ws/2004/08/eventing/"
WQL = "http://schemas.microsoft.com/wbem/wsman/1/WQL"
FAULT_DETAIL = "http://schemas.dmtf.org/wbem/wsman/1/wsman/faultDetail/"
SPACES = {
    "s": "http://www.w3.org/2003/05/soap-envelope",
    "a": "http://schemas.xmlsoap.org/ws/2004/08/addressing",
    "w": "http://schemas.dmtf.org/wbem/wsman/1/wsman.xsd",
    "n": "http://schemas.xmlsoap.org/ws/2004/09/enumeration",
    "x": "http://schemas.xmlsoap.org/ws/2004/09/transfer",
    "e": "http://schemas.xmlsoap.org/ws/2004/08/eventing",
    "b": "http://schemas.dmtf.org/wbem/wsman/1/cimbinding.xsd",
    "i": "http://schemas.dmtf.org/wbem/wsman/identity/1/wsmanidentity.xsd",
    "cim": "http://schemas.dmtf.org/wbem/wscim/1/common",
    "xsi": "http://www.w3.org/2001/XMLSchema-instance",
}
USERS = {"cimtest": ("T3st-pw!", "administrator"), "user": ("pw", "administrator"),
         "admin": ("s3cret", "administrator"), "olga": ("olga's", "operator"),
         "victor": ("victor's", "viewer")}
# The VMs that the recorded requests name.
RECORDED_VM = "5FE8E4A3-6A2B-4C4E-9C7D-3B6F4E1D2A01"
RECORDED_OTHER = "9C1D7B52-0E4F-4B7B-8E0A-77A1C2D3E402"


def program():
    path = os.path.join(os.path.dirname(lib.program()), "resilver-gateway")
    if not os.access(path, os.X_OK):
        sys.exit("there is no resilver-gateway beside %s" % lib.program())
    return path


def basic(user="cimtest", password=None):
    password = USERS[user][0] if password is None else password
    return "Basic " + base64.b64encode(("%s:%s" % (user, password)).encode()).decode()


def local(element):
    return element.tag.rpartition("}")[2]


class Gateway:
    """Listens for both protocols on free ports of loopback; `certificates` (a lib.Certs) adds TLS."""

    def __init__(self, folder, host, certificates=None, users=None, more="", wsman_address=None,
                 options=()):
        os.makedirs(folder, exist_ok=True)
        self.folder, self.host, self.options = folder, host, options
        self.config = os.path.join(folder, "gateway.conf")
        self.users = os.path.join(folder, "gateway.users")
        self.audit = os.path.join(folder, "audit.log")
        self.wsman_port, self.cimxml_port = lib.free_port(), lib.free_port()
        self.wsman_tls_port = self.cimxml_tls_port = None
        lines = ["[control]", "socket = " + host.socket, "[gateway]",
                 "wsman = " + (wsman_address or "127.0.0.1:%d" % self.wsman_port),
                 "cimxml = 127.0.0.1:%d" % self.cimxml_port,
                 "users = " + self.users, "audit-log = " + self.audit]
        if certificates:
            self.wsman_tls_port, self.cimxml_tls_port = lib.free_port(), lib.free_port()
            lines += ["wsman-tls = 127.0.0.1:%d" % self.wsman_tls_port,
                      "cimxml-tls = 127.0.0.1:%d" % self.cimxml_tls_port,
                      "certificate = " + certificates.file("server"),
                      "key = " + certificates.file("server", "key")]
        with open(self.config, "w") as file:
            file.write("\n".join(lines + [more]) + "\n")
        os.chmod(self.config, 0o644)
        self.process = self.ended = None
        for name, (password, role) in (USERS if users is None else users).items():
            self.add_user(name, password, role)

    def add_user(self, name, password, role, *more):
        """As an administrator would."""
        with tempfile.TemporaryFile() as secret:
            secret.write((password + "\n").encode())
            secret.seek(0)
            lib.must([lib.program(), "gateway", "user", "add", name, "--role", role,
                      "--password-stdin", "--config", self.config, *more], stdin=secret)

    def start(self, before=()):
        """`before`: words of a program that starts it, as prlimit."""
        self.ended = None
        self.process = lib.Process([*before, program(), "--config", self.config, *self.options],
                                   is_server=True)

        def is_ready():
            if not self.process.is_alive():
                raise AssertionError("the gateway ended: %s" % self.process.wait())
            return all(lib.can_connect(port) for port in (
                self.wsman_port, self.cimxml_port, self.wsman_tls_port, self.cimxml_tls_port)
                if port)
        lib.wait_until(is_ready, "the gateway's ports", every_s=0.02)
        return self

    def log(self):
        return b"".join(self.process.output()).decode(errors="replace")

    def audit_text(self):
        with open(self.audit) as file:
            return file.read()

    def stop(self, deadline_s=20):
        """Also says what a sanitizer found, which may be at the end only. Once is enough."""
        if self.ended is None or self.process.is_alive():  # tests start it anew in ways of their own
            self.process.signal(signal.SIGTERM)
            self.ended = self.process.wait(deadline_s)
        assert self.ended.code == 0, self.ended
        for found in ("runtime error:", "Sanitizer:"):
            assert found not in self.ended.err, self.ended
        return self.ended

    def close(self):
        if self.process is not None and self.process.is_alive():
            self.stop()

    # --- clients ---

    def wsman(self, user="cimtest", **more):
        return WsMan(self.wsman_port, None if user is None else basic(user), **more)

    def cimxml(self, user="cimtest", **more):
        return CimXml(self.cimxml_port, None if user is None else basic(user), **more)


class Client:
    """One connection. `context`: an ssl.SSLContext for TLS."""

    def __init__(self, port, authorization, context=None, timeout=20):
        self.authorization = authorization
        self.connection = (
            http.client.HTTPSConnection("127.0.0.1", port, context=context, timeout=timeout)
            if context else http.client.HTTPConnection("127.0.0.1", port, timeout=timeout))

    def post(self, path, headers, body):
        """(status, headers, bytes)"""
        headers = dict(headers)
        if self.authorization is not None:
            headers["Authorization"] = self.authorization
        if isinstance(body, str):
            body = body.encode()
        self.connection.request("POST", path, body, headers)
        response = self.connection.getresponse()
        return response.status, response.headers, response.read()

    def close(self):
        self.connection.close()


# --- CIM-XML ---------------------------------------------------------------------------------------


class CimError(AssertionError):
    def __init__(self, code, description):
        super().__init__("CIM error %s: %s" % (code, description))
        self.code, self.description = int(code), description


class HttpError(AssertionError):
    def __init__(self, status, headers, text):
        super().__init__("HTTP %d %s %r" % (status, dict(headers), text[:300]))
        self.status, self.headers, self.text = status, headers, text


def namespace_xml(namespace):
    return "<LOCALNAMESPACEPATH>%s</LOCALNAMESPACEPATH>" % "".join(
        "<NAMESPACE NAME=%s/>" % quoteattr(part) for part in namespace.split("/"))


def name_xml(class_name, keys):
    """keys: {name: text, or (class, keys) of a reference}"""
    def binding(name, value):
        if isinstance(value, tuple):
            inner = "<VALUE.REFERENCE>%s</VALUE.REFERENCE>" % name_xml(*value)
        else:
            inner = '<KEYVALUE VALUETYPE="string">%s</KEYVALUE>' % escape(value)
        return "<KEYBINDING NAME=%s>%s</KEYBINDING>" % (quoteattr(name), inner)
    return "<INSTANCENAME CLASSNAME=%s>%s</INSTANCENAME>" % (
        quoteattr(class_name), "".join(binding(*item) for item in keys.items()))


def path_text(namespace, class_name, keys):
    return "%s:%s.%s" % (namespace, class_name, ",".join(
        '%s="%s"' % (name, value.replace("\\", "\\\\").replace('"', '\\"'))
        for name, value in keys.items()))


def read_value(element):
    """VALUE, VALUE.ARRAY, VALUE.REFERENCE, or None"""
    if element is None:
        return None
    if element.tag == "VALUE":
        return element.text or ""
    if element.tag == "VALUE.ARRAY":
        return [read_value(item) for item in element]
    return read_name(element.find(".//INSTANCENAME"))


def read_name(element):
    """(class, keys)"""
    keys = {}
    for binding in element.findall("KEYBINDING"):
        reference = binding.find("VALUE.REFERENCE")
        keys[binding.get("NAME")] = (read_name(reference.find(".//INSTANCENAME"))
                                     if reference is not None else binding.find("KEYVALUE").text)
    return element.get("CLASSNAME"), keys


def read_instance(element):
    """{property: value}, and the class under its CIM name __CLASS"""
    found = {"__CLASS": element.get("CLASSNAME")}
    for each in element:
        if each.tag.startswith("PROPERTY"):
            found[each.get("NAME")] = read_value(each[0] if len(each) else None)
    return found


class CimXml(Client):
    def send(self, name, target, parameters, is_method, cim_object, **headers):
        """The response element."""
        kind = "METHODCALL" if is_method else "IMETHODCALL"
        body = ('<?xml version="1.0" encoding="utf-8" ?>\n<CIM CIMVERSION="2.0" DTDVERSION="2.0">'
                '<MESSAGE ID="4711" PROTOCOLVERSION="1.0"><SIMPLEREQ><%s NAME=%s>%s%s</%s>'
                "</SIMPLEREQ></MESSAGE></CIM>" % (kind, quoteattr(name), target, parameters, kind))
        status, answer_headers, text = self.post("/cimom", {
            "Content-Type": 'application/xml; charset="utf-8"', "CIMProtocolVersion": "1.0",
            "CIMOperation": "MethodCall", "CIMMethod": name,
            "CIMObject": cim_object.replace("%", "%25").replace("\n", "%0A"), **headers}, body)
        if status != 200:
            raise HttpError(status, answer_headers, text)
        root = ElementTree.fromstring(text)
        response = root.find("./MESSAGE[@ID='4711']/SIMPLERSP/" + kind[:-4] + "RESPONSE")
        assert response is not None and response.get("NAME") == name, text
        error = response.find("ERROR")
        if error is not None:
            raise CimError(error.get("CODE"), error.get("DESCRIPTION"))
        return response

    def intrinsic(self, name, namespace=NAMESPACE, **parameters):
        """Parameters: str is a VALUE, bool too, list a VALUE.ARRAY, dict {"class": ...} a CLASSNAME,
        tuple an INSTANCENAME."""
        def value(given):
            if isinstance(given, dict):
                return "<CLASSNAME NAME=%s/>" % quoteattr(given["class"])
            if isinstance(given, tuple):
                return name_xml(*given)
            if isinstance(given, list):
                return "<VALUE.ARRAY>%s</VALUE.ARRAY>" % "".join(value(item) for item in given)
            if isinstance(given, bool):
                given = "TRUE" if given else "FALSE"
            return "<VALUE>%s</VALUE>" % escape(str(given))
        xml = "".join("<IPARAMVALUE NAME=%s>%s</IPARAMVALUE>" % (quoteattr(key), value(given))
                      for key, given in parameters.items() if given is not None)
        return self.send(name, namespace_xml(namespace), xml, False, namespace)

    def enumerate(self, class_name, namespace=NAMESPACE, **more):
        response = self.intrinsic("EnumerateInstances", namespace, ClassName={"class": class_name},
                                  **more)
        return [read_instance(each) for each in response.findall(".//VALUE.NAMEDINSTANCE/INSTANCE")]

    def names(self, class_name, namespace=NAMESPACE):
        response = self.intrinsic("EnumerateInstanceNames", namespace,
                                  ClassName={"class": class_name})
        return [read_name(each) for each in response.findall("./IRETURNVALUE/INSTANCENAME")]

    def get(self, class_name, keys, namespace=NAMESPACE, **more):
        response = self.intrinsic("GetInstance", namespace, InstanceName=(class_name, keys), **more)
        return read_instance(response.find("./IRETURNVALUE/INSTANCE"))

    def invoke(self, class_name, keys, method, parameters="", namespace=NAMESPACE):
        """parameters: XML of PARAMVALUEs. (return value, {name: value})"""
        target = "<LOCALINSTANCEPATH>%s%s</LOCALINSTANCEPATH>" % (
            namespace_xml(namespace), name_xml(class_name, keys))
        response = self.send(method, target, parameters, True,
                             path_text(namespace, class_name, keys))
        out = {each.get("NAME"): read_value(each[0] if len(each) else None)
               for each in response.findall("PARAMVALUE")}
        return int(response.find("RETURNVALUE/VALUE").text), out


def text_parameter(name, value, kind=None):
    kind = "" if kind is None else ' PARAMTYPE="%s"' % kind
    return "<PARAMVALUE NAME=%s%s><VALUE>%s</VALUE></PARAMVALUE>" % (
        quoteattr(name), kind, escape(value))


def reference_parameter(name, class_name, keys):
    return ("<PARAMVALUE NAME=%s><VALUE.REFERENCE>%s</VALUE.REFERENCE></PARAMVALUE>"
            % (quoteattr(name), name_xml(class_name, keys)))


def vm_keys(vm_id):
    return {"CreationClassName": "Msvm_ComputerSystem", "Name": vm_id.upper()}


def service_keys(host_name):
    return {"SystemCreationClassName": "Msvm_ComputerSystem", "SystemName": host_name,
            "CreationClassName": "Msvm_ReplicationService", "Name": "replicasvc"}


# --- WS-Management ---------------------------------------------------------------------------------


class Fault(AssertionError):
    """A SOAP fault: subcode without its prefix, its namespace, detail without the common part."""

    def __init__(self, status, root):
        fault = root.find("./s:Body/s:Fault", SPACES)
        assert fault is not None, ElementTree.tostring(root)
        self.status = status
        self.code = fault.findtext("./s:Code/s:Value", "", SPACES).rpartition(":")[2]
        self.subcode = fault.findtext("./s:Code/s:Subcode/s:Value", "", SPACES).rpartition(":")[2]
        self.text = fault.findtext("./s:Reason/s:Text", "", SPACES)
        detail = fault.findtext("./s:Detail/w:FaultDetail", "", SPACES)
        self.detail = detail.rpartition("/")[2]
        self.action = root.findtext("./s:Header/a:Action", "", SPACES)
        self.relates_to = root.findtext("./s:Header/a:RelatesTo", "", SPACES)
        self.root = root
        super().__init__("fault %s %s %s: %s" % (self.code, self.subcode, self.detail, self.text))


def selectors_xml(keys, namespace=NAMESPACE):
    all_of_them = dict(keys)
    if namespace is not None:
        all_of_them["__cimnamespace"] = namespace

    def value(given):
        return epr_xml(*given, wrapped=True) if isinstance(given, tuple) else escape(given)
    return "<w:SelectorSet>%s</w:SelectorSet>" % "".join(
        "<w:Selector Name=%s>%s</w:Selector>" % (quoteattr(name), value(given))
        for name, given in all_of_them.items())


def epr_xml(class_name, keys, prefix=DMTF, wrapped=False):
    namespace = NAMESPACE if prefix == DMTF else None
    inner = ("<a:Address>%s</a:Address><a:ReferenceParameters><w:ResourceURI>%s</w:ResourceURI>%s"
             "</a:ReferenceParameters>" % (ANONYMOUS, prefix + class_name,
                                           selectors_xml(keys, namespace)))
    return "<a:EndpointReference>%s</a:EndpointReference>" % inner if wrapped else inner


def read_epr(element):
    """(resource URI, {selector: text})"""
    selectors = {each.get("Name"): each.text for each in element.iterfind(".//w:Selector", SPACES)}
    return element.findtext(".//w:ResourceURI", "", SPACES), selectors


def read_properties(element):
    """{name: text, None when nil, list when it repeats}; a value in an element of its own
    (cim:Datetime) is its text."""
    found = {"__CLASS": local(element)}
    nil = "{%s}nil" % SPACES["xsi"]
    for each in element:
        name = local(each)
        if each.get(nil) == "true":
            value = None
        elif each.find(".//w:ResourceURI", SPACES) is not None:
            value = read_epr(each)
        elif len(each):
            value = each[0].text
        else:
            value = each.text or ""
        if name in found:
            value = (found[name] if isinstance(found[name], list) else [found[name]]) + [value]
        found[name] = value
    return found


class WsMan(Client):
    def __init__(self, port, authorization, prefix=DMTF, user_agent=None, **more):
        super().__init__(port, authorization, **more)
        self.prefix, self.user_agent = prefix, user_agent
        self.namespace = NAMESPACE if prefix == DMTF else None

    def send_text(self, body, path="/wsman", content_type="application/soap+xml;charset=UTF-8",
                  **headers):
        """(status, root)"""
        if content_type is not None:
            headers["Content-Type"] = content_type
        if self.user_agent:
            headers["User-Agent"] = self.user_agent
        status, answer_headers, text = self.post(path, headers, body)
        self.text = text
        if "xml" not in answer_headers.get("Content-Type", ""):
            raise HttpError(status, answer_headers, text)
        return status, ElementTree.fromstring(text)

    def envelope(self, action, resource, keys=None, body="", headers="", message_id=None,
                 must="true"):
        selectors = "" if keys is None and self.namespace is None else selectors_xml(
            keys or {}, self.namespace)
        message_id = "uuid:" + str(uuid.uuid4()) if message_id is None else message_id
        self.message_id = message_id
        spaces = " ".join('xmlns:%s="%s"' % item for item in SPACES.items())
        return ("<s:Envelope %s><s:Header><a:To>http://127.0.0.1/wsman</a:To>"
                '<w:ResourceURI s:mustUnderstand="%s">%s</w:ResourceURI>'
                "<a:ReplyTo><a:Address>%s</a:Address></a:ReplyTo>"
                '<a:Action s:mustUnderstand="%s">%s</a:Action>'
                "<a:MessageID>%s</a:MessageID>%s%s</s:Header><s:Body>%s</s:Body></s:Envelope>"
                % (spaces, must, escape(resource), ANONYMOUS, must, escape(action),
                   escape(message_id), selectors, headers, body))

    def send(self, *arguments, **more):
        """The body of the answer; raises Fault."""
        status, root = self.send_text(self.envelope(*arguments, **more))
        self.answer = root
        if status != 200 or root.find("./s:Body/s:Fault", SPACES) is not None:
            raise Fault(status, root)
        assert root.findtext("./s:Header/a:RelatesTo", None, SPACES) == self.message_id, root
        return root.find("./s:Body", SPACES)

    def identify(self):
        return self.send_text('<s:Envelope xmlns:s="%s" xmlns:i="%s"><s:Header/><s:Body>'
                              "<i:Identify/></s:Body></s:Envelope>" % (SPACES["s"], SPACES["i"]))

    def get(self, class_name, keys, **more):
        return read_properties(self.send(TRANSFER + "Get", self.prefix + class_name, keys,
                                         **more)[0])

    def enumerate(self, class_name, inner="", optimize=False, max_elements=None, pull_max=None):
        """All items, as elements."""
        options = ("<w:OptimizeEnumeration/>" if optimize else "") + (
            "" if max_elements is None else "<w:MaxElements>%d</w:MaxElements>" % max_elements)
        body = self.send(ENUMERATION + "Enumerate", self.prefix + class_name, None,
                         "<n:Enumerate>%s%s</n:Enumerate>" % (inner, options))
        items = list(body.iterfind("./n:EnumerateResponse/w:Items/*", SPACES))
        if body.find("./n:EnumerateResponse/w:EndOfSequence", SPACES) is not None:
            return items
        context = body.findtext("./n:EnumerateResponse/n:EnumerationContext", None, SPACES)
        while True:
            more = "" if pull_max is None else "<n:MaxElements>%d</n:MaxElements>" % pull_max
            body = self.send(ENUMERATION + "Pull", self.prefix + class_name, None,
                             "<n:Pull><n:EnumerationContext>%s</n:EnumerationContext>%s</n:Pull>"
                             % (context, more))
            items += body.iterfind("./n:PullResponse/n:Items/*", SPACES)
            if body.find("./n:PullResponse/n:EndOfSequence", SPACES) is not None:
                return items
            context = body.findtext("./n:PullResponse/n:EnumerationContext", context, SPACES)

    def instances(self, class_name, **more):
        return [read_properties(item) for item in self.enumerate(class_name, **more)]

    def query(self, text, dialect=WQL, **more):
        return self.instances("*", inner='<w:Filter Dialect="%s">%s</w:Filter>'
                              % (dialect, escape(text)), **more)

    def invoke(self, class_name, keys, method, parameters="", **more):
        """parameters: XML with prefix p. (return value, {name: value})"""
        uri = self.prefix + class_name
        body = self.send(uri + "/" + method, uri, keys,
                         '<p:%s_INPUT xmlns:p="%s">%s</p:%s_INPUT>'
                         % (method, uri, parameters, method), **more)
        out = read_properties(body[0])
        assert out.pop("__CLASS") == method + "_OUTPUT", out
        return int(out.pop("ReturnValue")), out

    def resynchronize(self, host_name, vm_id, start_time="", **more):
        return self.invoke(
            "Msvm_ReplicationService", service_keys(host_name), "Resynchronize",
            "<p:ComputerSystem>%s</p:ComputerSystem>%s"
            % (epr_xml("Msvm_ComputerSystem", vm_keys(vm_id), self.prefix), start_time), **more)


# --- the case --------------------------------------------------------------------------------------


class GatewayCase(hosts.HostsCase):
    """Two hosts with a VM that is replicated, and a gateway before the first. The names are those of
    the recorded requests."""
    SIZES = {"vda": 4 * lib.MIB}
    IS_REPLICATED = True
    HAS_TLS = False

    def setUp(self):
        super().setUp()
        self.a = self.owned(hosts.Host(self.path("one"), "HOST1", {}))
        self.a.vms = {"web1": self.make_vm("web1"), "web2": self.make_vm("web2")}
        self.a.ids = {"web1": RECORDED_VM.lower(), "web2": RECORDED_OTHER.lower()}
        self.a.write_config()
        self.a.start()
        self.b = self.owned(hosts.Host(self.path("two"), "HOST2")).start()
        hosts.pair(self.a, self.b)
        self.b.allow(self.a)
        if self.IS_REPLICATED:
            self.copy()
        self.certificates = lib.Certs(self.path("certs")) if self.HAS_TLS else None
        self.gateway = self.owned(Gateway(self.path("gateway"), self.a, self.certificates)).start()

    @property
    def vm_id(self):
        return self.a.ids["web1"].upper()

    def tls(self, name=None):
        """A client's context; with the certificate of that name."""
        context = ssl.create_default_context(cafile=self.certificates.file("ca"))
        context.check_hostname = False
        if name:
            context.load_cert_chain(self.certificates.file(name),
                                    self.certificates.file(name, "key"))
        return context


def send_raw(port, data, timeout=10):
    """The bytes of one answer to raw bytes, by its Content-Length."""
    with socket.create_connection(("127.0.0.1", port), timeout) as connection:
        connection.sendall(data)
        response = http.client.HTTPResponse(connection)
        response.begin()
        return response.status, response.headers, response.read()
