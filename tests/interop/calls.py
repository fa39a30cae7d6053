# SPDX-License-Identifier: LGPL-2.1-or-later
"""One user who asks over one of the protocols: what he gives and hears looks the same over both, so
that a test says once what must be so on each."""
import collections
import json
import os
import re
import sys
from xml.sax.saxutils import escape, quoteattr
import xml.etree.ElementTree as ElementTree

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
import gateway  # noqa: E402

PROTOCOLS = ("cimxml", "wsman")
SERVICE, SYSTEM, JOB = "Msvm_ReplicationService", "Msvm_ComputerSystem", "Msvm_ConcreteJob"
DENIED = 2  # CIM_ERR_ACCESS_DENIED

Reference = collections.namedtuple("Reference", "class_name keys")


def vm(vm_id):
    return Reference(SYSTEM, gateway.vm_keys(vm_id))


def job_of(out):
    """The id of the job that a method returned, as the control API writes it; None: none."""
    job = out.get("Job")
    return None if job is None else job[1]["InstanceID"].lower()


def embedded(class_name, **properties):
    """An instance as the text that methods take: a list is an array; None is left null."""
    def value(given):
        if isinstance(given, bool):
            given = "TRUE" if given else "FALSE"
        return "<VALUE>%s</VALUE>" % escape(str(given))

    def one(name, given):
        kind = ("boolean" if isinstance(given, bool) else "uint16" if isinstance(given, int)
                else "datetime" if re.fullmatch(r"[0-9]{14}\.[0-9]{6}[:+-][0-9]{3}", str(given))
                else "string")
        head = "NAME=%s TYPE=%s" % (quoteattr(name), quoteattr(kind))
        if isinstance(given, list):
            return "<PROPERTY.ARRAY %s><VALUE.ARRAY>%s</VALUE.ARRAY></PROPERTY.ARRAY>" % (
                head, "".join(value(item) for item in given))
        return "<PROPERTY %s>%s</PROPERTY>" % (head, "" if given is None else value(given))
    return "<INSTANCE CLASSNAME=%s>%s</INSTANCE>" % (
        quoteattr(class_name), "".join(one(*item) for item in properties.items()))


def read_embedded(text):
    """{property: value} of an instance that travels as text."""
    return gateway.read_instance(ElementTree.fromstring(text))


class Refused(AssertionError):
    """A CIM status code instead of an answer, over whichever protocol."""

    def __init__(self, code, text):
        super().__init__("refused with %s: %s" % (code, text))
        self.code, self.text = code, text


def status_of(fault):
    """The CIM status that a fault tells beside its subcode; None: it came from no operation."""
    for element in fault.root.iter():
        if gateway.local(element) == "CIMStatusCode":
            return int(element.text)
    return None


class Caller:
    called = set()  # (class, method), of all of them

    def __init__(self, gate, protocol, user="cimtest", password=None):
        self.protocol, self.user = protocol, user
        kind, port = {"cimxml": (gateway.CimXml, gate.cimxml_port),
                      "wsman": (gateway.WsMan, gate.wsman_port)}[protocol]
        self.client = kind(port, gateway.basic(user, password))

    def close(self):
        self.client.close()

    def ask(self, method, *arguments, **more):
        """Of the protocol's client."""
        try:
            return getattr(self.client, method)(*arguments, **more)
        except gateway.CimError as error:
            raise Refused(error.code, error.description) from None
        except gateway.Fault as fault:
            raise Refused(status_of(fault), str(fault)) from None

    def get(self, class_name, keys):
        return self.ask("get", class_name, keys)

    def enumerate(self, class_name):
        if self.protocol == "cimxml":
            return self.ask("enumerate", class_name)
        return self.ask("instances", class_name, optimize=True, max_elements=100)

    def query(self, text):
        if self.protocol == "wsman":
            return self.ask("query", text)
        response = self.ask("intrinsic", "ExecQuery", QueryLanguage="WQL", Query=text)
        return [gateway.read_instance(each) for each in response.findall(".//INSTANCE")]

    def invoke(self, class_name, keys, method, **arguments):
        """(return value, {name: what came out})"""
        self.called.add((class_name, method))
        parameters = "".join(self._parameter(*item) for item in arguments.items())
        return self.ask("invoke", class_name, keys, method, parameters)

    def service(self, host_name, method, **arguments):
        return self.invoke(SERVICE, gateway.service_keys(host_name), method, **arguments)

    def resynchronize(self, host_name, vm_id, **arguments):
        return self.service(host_name, "Resynchronize", ComputerSystem=vm(vm_id), **arguments)

    # --- parameters: a text, a number, a boolean, a Reference, None, or a list of them ---

    def _parameter(self, name, value):
        if self.protocol == "cimxml":
            return "<PARAMVALUE NAME=%s>%s</PARAMVALUE>" % (quoteattr(name), self._cimxml(value))
        items = value if isinstance(value, list) else [value]
        return "".join(self._wsman(name, item) for item in items)

    def _cimxml(self, value):
        if value is None:
            return ""
        if isinstance(value, Reference):
            return "<VALUE.REFERENCE>%s</VALUE.REFERENCE>" % gateway.name_xml(*value)
        if isinstance(value, list):
            return "<VALUE.ARRAY>%s</VALUE.ARRAY>" % "".join(self._cimxml(item) for item in value)
        return "<VALUE>%s</VALUE>" % escape(self._text(value))

    def _wsman(self, name, value):
        if value is None:
            return '<p:%s xsi:nil="true"/>' % name
        if isinstance(value, Reference):
            inner = gateway.epr_xml(*value, self.client.prefix)
        else:
            inner = escape(self._text(value))
        return "<p:%s>%s</p:%s>" % (name, inner, name)

    @staticmethod
    def _text(value):
        return str(value).lower() if isinstance(value, bool) else str(value)


class CallsCase(gateway.GatewayCase):
    """Callers of both protocols, and what the audit log says of their last call."""

    def tearDown(self):
        """Whatever was said to it, the gateway ends in order, and a sanitizer has found nothing."""
        result = self.gateway.stop()
        for word in ("Sanitizer", "runtime error"):
            self.assertNotIn(word, result.err)
        super().tearDown()

    def caller(self, protocol, user="cimtest", password=None):
        return self.owned(Caller(self.gateway, protocol, user, password))

    def callers(self, user="cimtest"):
        return [self.caller(protocol, user) for protocol in PROTOCOLS]

    def audited(self):
        """The last entry of the audit log."""
        return json.loads(self.gateway.audit_text().splitlines()[-1])

    def refused(self, code, call, *arguments, **more):
        with self.assertRaises(Refused) as refusal:
            call(*arguments, **more)
        self.assertEqual(refusal.exception.code, code, refusal.exception)
        return refusal.exception
