# SPDX-License-Identifier: LGPL-2.1-or-later
"""What the tests of security share: strangers of many addresses, all operations that there are, by
the program's own lists, bytes as they are, and what a process takes of memory and time."""
import collections
import ctypes
import hashlib
import http.client
import itertools
import os
import re
import socket
import sys

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
import gateway  # noqa: E402
import lib  # noqa: E402
from calls import JOB, SERVICE, SYSTEM, embedded  # noqa: E402
from gateway import DMTF, ENUMERATION, EVENTING, NAMESPACE, TRANSFER  # noqa: E402

HELLO = bytes.fromhex("16030101fc010001f80303") + bytes(300)  # the beginning of a TLS handshake
SOURCE = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "..")
PULL_MODE = "http://schemas.dmtf.org/wbem/wsman/1/wsman/Pull"
CLASS_URI = "http://schemas.dmtf.org/wbem/cim-xml/2/cim-schema/2/*"

# Memory that AddressSanitizer keeps back would be counted as the program's own.
os.environ["ASAN_OPTIONS"] = os.environ.get("ASAN_OPTIONS", "") + ":quarantine_size_mb=4"


def is_sanitized():
    with open(gateway.program(), "rb") as file:
        return b"__asan_init" in file.read()


# --- addresses ------------------------------------------------------------------------------------

_numbers = itertools.count(1)


def address():
    """One of loopback's addresses that nobody has used: wrong passwords are counted for each."""
    number = next(_numbers)
    return "127.77.%d.%d" % (number >> 8 & 0xff, number & 0xff)


def connect(port, source=None, context=None, session=None, timeout=20):
    """A socket from that address, over TLS when there is a context."""
    raw = socket.create_connection(("127.0.0.1", port), timeout, (source or address(), 0))
    raw.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return context.wrap_socket(raw, session=session) if context else raw


class Stranger:
    """One kept-alive connection from an address of its own."""

    def __init__(self, port, source=None, context=None, session=None):
        self.connection = http.client.HTTPConnection("127.0.0.1", port, timeout=20)
        self.connection.sock = connect(port, source, context, session)
        self.connection.auto_open = 0  # a connection that was closed is an error

    def ask(self, operation, *authorizations):
        """(status, headers, body)"""
        self.connection.putrequest("POST", operation.path)
        for name, value in operation.headers.items():
            self.connection.putheader(name, value.encode())
        for value in authorizations:
            self.connection.putheader("Authorization", value)
        self.connection.putheader("Content-Length", str(len(operation.body)))
        self.connection.endheaders(operation.body)
        response = self.connection.getresponse()
        return response.status, response.headers, response.read()

    def close(self):
        self.connection.close()


def ask(port, operation, *authorizations, source=None, context=None, session=None):
    """Over a connection of its own."""
    stranger = Stranger(port, source, context, session)
    try:
        return stranger.ask(operation, *authorizations)
    finally:
        stranger.close()


def weak_hash(password):
    """One that is computed in no time: for tests that are not about time."""
    crypt = ctypes.CDLL("libcrypt.so.1").crypt
    crypt.restype = ctypes.c_char_p
    return crypt(password.encode(), b"$6$rounds=1000$resilver").decode()


# --- bytes ----------------------------------------------------------------------------------------


def read_all(connection, timeout=15):
    """(bytes, whether the other side ended it)"""
    connection.settimeout(timeout)
    data = b""
    try:
        while part := connection.recv(65536):
            data += part
    except ConnectionResetError:
        return data, True
    except TimeoutError:
        return data, False
    return data, True


def read_answers(connection, count=1, timeout=15):
    """The statuses of so many answers; fewer when the other side ends before."""
    statuses = []
    connection.settimeout(timeout)
    file = connection.makefile("rb")
    while len(statuses) < count:
        line = file.readline()
        if not line:
            break
        found = re.fullmatch(rb"HTTP/1\.[01] (\d{3}) [^\r\n]*\r\n", line)
        assert found, line
        headers = http.client.parse_headers(file)
        if found[1] != b"100":
            statuses.append(int(found[1]))
        if len(statuses) < count:  # to HEAD there is a length and nothing else
            file.read(int(headers["Content-Length"] or 0))
    file.detach()
    return statuses


# --- operations -----------------------------------------------------------------------------------

Operation = collections.namedtuple("Operation", "protocol name path headers body")


class _Recorded(Exception):
    pass


def _record(protocol, name, client, call):
    """What a client would send, without a connection."""
    def post(path, headers, body):
        raise _Recorded(path, headers, body)
    client.post = post
    try:
        call(client)
    except _Recorded as recorded:
        path, headers, body = recorded.args
        return Operation(protocol, name, path, headers,
                         body.encode() if isinstance(body, str) else body)
    raise AssertionError("nothing was sent")


def cimxml(name, call):
    return _record("cimxml", name, gateway.CimXml(0, None), call)


def wsman(name, call):
    return _record("wsman", name, gateway.WsMan(0, None), call)


def table_of(path, pattern):
    """The rows that a table of the program's source has: {name: function, or "NULL"}."""
    with open(os.path.join(SOURCE, "src", "gateway", path)) as file:
        return {"".join(row[:-1]): row[-1] for row in re.findall(pattern, file.read())}


def intrinsic_table():
    return table_of("cimxml.c", r'\{"(\w+)", (\w+)\}')


def action_table():
    return table_of("wsman.c", r'\{NS_(\w+) "(/\w+)", (\w+)\}')


class Names:
    """What operations are asked about."""

    def __init__(self, vm_id, job, host_name="HOST1"):
        self.vm = (SYSTEM, gateway.vm_keys(vm_id))
        self.job = (JOB, {"InstanceID": job.upper()})
        self.service = (SERVICE, gateway.service_keys(host_name))


def _opening(**more):
    return dict(OperationTimeout=1, MaxObjectCount=1, **more)


def intrinsic_calls(names):
    """{operation: its parameters}: a dict, or XML. Each would do something if it might."""
    by_class = {"ClassName": {"class": SYSTEM}}
    by_name = {"InstanceName": names.vm}
    context = {"EnumerationContext": "none", "MaxObjectCount": 1}
    instance = '<IPARAMVALUE NAME="%s">%s</IPARAMVALUE>'
    query = {"QueryLanguage": "WQL", "Query": "select * from " + SYSTEM}
    changed = "<VALUE.NAMEDINSTANCE>%s%s</VALUE.NAMEDINSTANCE>" % (
        gateway.name_xml(*names.job), embedded(JOB, Caption="mine"))
    return {
        "Associators": {"ObjectName": names.vm}, "AssociatorNames": {"ObjectName": names.vm},
        "References": {"ObjectName": names.vm}, "ReferenceNames": {"ObjectName": names.vm},
        "CloseEnumeration": {"EnumerationContext": "none"},
        "EnumerationCount": {"EnumerationContext": "none"},
        "CreateClass": instance % ("NewClass", '<CLASS NAME="New"/>'),
        "ModifyClass": instance % ("ModifiedClass", '<CLASS NAME="%s"/>' % SYSTEM),
        "DeleteClass": by_class, "GetClass": by_class,
        "CreateInstance": instance % ("NewInstance", embedded(JOB, Caption="mine")),
        "ModifyInstance": instance % ("ModifiedInstance", changed),
        "DeleteInstance": {"InstanceName": names.job}, "GetInstance": by_name,
        "GetQualifier": {"QualifierName": "Key"}, "DeleteQualifier": {"QualifierName": "Key"},
        "SetQualifier": instance % ("QualifierDeclaration",
                                    '<QUALIFIER.DECLARATION NAME="Mine" TYPE="string"/>'),
        "EnumerateQualifiers": {}, "EnumerateClasses": {}, "EnumerateClassNames": {},
        "EnumerateInstances": by_class, "EnumerateInstanceNames": by_class,
        "ExecQuery": query,
        "GetProperty": {**by_name, "PropertyName": "Name"},
        "SetProperty": {"InstanceName": names.job, "PropertyName": "Caption", "NewValue": "mine"},
        "OpenEnumerateInstances": _opening(**by_class),
        "OpenEnumerateInstancePaths": _opening(**by_class),
        "OpenAssociatorInstances": _opening(**by_name),
        "OpenAssociatorInstancePaths": _opening(**by_name),
        "OpenReferenceInstances": _opening(**by_name),
        "OpenReferenceInstancePaths": _opening(**by_name),
        "OpenQueryInstances": _opening(FilterQueryLanguage="WQL", FilterQuery=query["Query"]),
        "PullInstances": context, "PullInstancePaths": context, "PullInstancesWithPath": context,
    }


def action_calls(names):
    """{action as in the program's table: (class, keys, body)}"""
    context = "<%s><n:EnumerationContext>none</n:EnumerationContext></%s>"
    manager = "<w:Identifier>none</w:Identifier>"
    return {
        "TRANSFER/Get": (*names.vm, ""), "TRANSFER/Delete": (*names.job, ""),
        "TRANSFER/Put": (*names.job, '<p:%s xmlns:p="%s"><p:Caption>mine</p:Caption></p:%s>'
                         % (JOB, DMTF + JOB, JOB)),
        "TRANSFER/Create": (JOB, {}, '<p:%s xmlns:p="%s"/>' % (JOB, DMTF + JOB)),
        "ENUMERATION/Enumerate": (SYSTEM, {}, "<n:Enumerate/>"),
        "ENUMERATION/Pull": (SYSTEM, {}, context % ("n:Pull", "n:Pull")),
        "ENUMERATION/Release": (SYSTEM, {}, context % ("n:Release", "n:Release")),
        "ENUMERATION/Renew": (SYSTEM, {}, context % ("n:Renew", "n:Renew")),
        "ENUMERATION/GetStatus": (SYSTEM, {}, context % ("n:GetStatus", "n:GetStatus")),
        "EVENTING/Subscribe": (JOB, {}, SUBSCRIBE),
        "EVENTING/Unsubscribe": (JOB, {}, "<e:Unsubscribe/>", manager),
        "EVENTING/Renew": (JOB, {}, "<e:Renew><e:Expires>PT60S</e:Expires></e:Renew>", manager),
        "EVENTING/GetStatus": (JOB, {}, "<e:GetStatus/>", manager),
    }


SUBSCRIBE = '<e:Subscribe><e:Delivery Mode="%s"/></e:Subscribe>' % PULL_MODE
ACTIONS = {"TRANSFER": TRANSFER, "ENUMERATION": ENUMERATION, "EVENTING": EVENTING}


def intrinsic_operation(name, parameters):
    if isinstance(parameters, dict):
        return cimxml(name, lambda client: client.intrinsic(name, **parameters))
    return cimxml(name, lambda client: client.send(name, gateway.namespace_xml(NAMESPACE),
                                                   parameters, False, NAMESPACE))


def action_operation(name, class_name, keys, body, headers=""):
    space, _, verb = name.partition("/")
    return wsman(name, lambda client: client.send(ACTIONS[space] + verb, DMTF + class_name, keys,
                                                  body, headers))


def class_operations(class_name):
    return [
        cimxml("GetInstance " + class_name, lambda client: client.get(class_name, {"Name": "x"})),
        cimxml("EnumerateInstances " + class_name, lambda client: client.enumerate(class_name)),
        wsman("Get " + class_name, lambda client: client.get(class_name, {"Name": "x"})),
        wsman("GetClass " + class_name, lambda client: client.send(
            TRANSFER + "Get", CLASS_URI, {"ClassName": class_name})),
        wsman("Enumerate " + class_name, lambda client: client.enumerate(class_name)),
    ]


def method_operations(names, class_name, method):
    """With the VM's name in place, so that what needs no more would be done."""
    keys = {SERVICE: names.service[1], SYSTEM: names.vm[1]}.get(class_name, names.job[1])
    has_vm = class_name == SERVICE
    return [
        cimxml("%s.%s" % (class_name, method), lambda client: client.invoke(
            class_name, keys, method,
            gateway.reference_parameter("ComputerSystem", *names.vm) if has_vm else "")),
        wsman("%s.%s" % (class_name, method), lambda client: client.invoke(
            class_name, keys, method, "<p:ComputerSystem>%s</p:ComputerSystem>"
            % gateway.epr_xml(*names.vm) if has_vm else "")),
    ]


def read_model(client):
    """{class: {method: {parameter: type}}}, of both the program's answers; a class has the methods
    of those above it."""
    root = client.intrinsic("EnumerateClasses", DeepInheritance=True, LocalOnly=False)
    found = {}
    for each in root.iter("CLASS"):
        found[each.get("NAME")] = {
            method.get("NAME"): {parameter.get("NAME"): parameter
                                 for parameter in method if parameter.tag.startswith("PARAMETER")}
            for method in each.iter("METHOD")}
    return found


def operations(names, model):
    """Every one there is."""
    found = [intrinsic_operation(*item) for item in intrinsic_calls(names).items()]
    found += [action_operation(name, *call) for name, call in action_calls(names).items()]
    found.append(wsman("Identify", lambda client: client.identify()))
    for class_name, methods in model.items():
        found += class_operations(class_name)
        for method in methods:
            found += method_operations(names, class_name, method)
    return found


# --- what a process takes -------------------------------------------------------------------------


class Usage:
    """Of a process, from now on."""

    def __init__(self, pid):
        self.pid = pid
        with open("/proc/%d/clear_refs" % pid, "w") as file:
            file.write("5")  # the highest is the present one
        self.memory, self.seconds = self._memory("VmRSS"), self._seconds()

    def _memory(self, name):
        with open("/proc/%d/status" % self.pid) as file:
            return int(re.search(r"%s:\s*(\d+) kB" % name, file.read())[1]) * 1024

    def _seconds(self):
        with open("/proc/%d/stat" % self.pid) as file:
            fields = file.read().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

    def more_memory(self):
        """How much more it had at any time since."""
        return self._memory("VmHWM") - self.memory

    def more_seconds(self):
        return self._seconds() - self.seconds


# --- the case -------------------------------------------------------------------------------------


class HostileCase(gateway.GatewayCase):
    SIZES = {"vda": lib.MIB}

    def setUp(self):
        super().setUp()
        self.names = Names(self.vm_id, self.a.jobs()[0]["id"] if self.IS_REPLICATED else "none")

    def state(self):
        """All that the service remembers: the database's bytes, and the jobs."""
        with open(self.a.database, "rb") as file:
            return hashlib.sha256(file.read()).hexdigest(), self.a.jobs(True)

    def ports(self, tls=False):
        gate = self.gateway
        if tls:
            return {"cimxml": gate.cimxml_tls_port, "wsman": gate.wsman_tls_port}
        return {"cimxml": gate.cimxml_port, "wsman": gate.wsman_port}

    def gate(self, name="more", **options):
        """One more gateway, with counters of its own."""
        return self.owned(gateway.Gateway(self.path(name), self.a, **options)).start()

    def add_users(self, gate, names, hashed=None, role="viewer"):
        """hashed: of their password; none is that of victor's."""
        with open(gate.users) as file:
            text = file.read()
        hashed = hashed or re.search(r"^victor:([^:]+):", text, re.MULTILINE)[1]
        self.rewrite(gate.users, text + "".join(
            "%s:%s:%s\n" % (name, hashed, role) for name in names))

    def rewrite(self, path, text):
        """As an administrator's editor would: a new file in the place of the old."""
        with open(path + ".new", "w") as file:
            file.write(text)
        os.chmod(path + ".new", 0o640)
        os.rename(path + ".new", path)

    def check_served(self, gate=None):
        """It is there, and answers somebody else."""
        gate = gate or self.gateway
        self.assertTrue(gate.process.is_alive(), gate.log()[-3000:])
        for protocol, port in (("cimxml", gate.cimxml_port), ("wsman", gate.wsman_port)):
            status, _, text = ask(port, self.simple(protocol), gateway.basic())
            self.assertEqual(status, 200, text)

    def simple(self, protocol):
        """A right request that changes nothing."""
        if protocol == "cimxml":
            return intrinsic_operation("EnumerateInstanceNames", {"ClassName": {"class": SYSTEM}})
        return action_operation("TRANSFER/Get", *self.names.service, "")
