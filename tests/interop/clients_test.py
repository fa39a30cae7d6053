#!/usr/bin/python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""Real clients, as their users run them: wbemcli (sblim), wsl, pywinrm, and npm's maker of
WS-Management envelopes. Each does what it can do; the disks are judged by cmp."""
import http.server
import json
import os
import re
import socketserver
import sys
import threading
import time
import urllib.error
import urllib.request
import xml.etree.ElementTree as ElementTree

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
import gateway  # noqa: E402
import lib  # noqa: E402
from gateway import DMTF, NAMESPACE, SPACES  # noqa: E402

PASSWORD = gateway.USERS["cimtest"][0]


class Wbemcli(gateway.GatewayCase):
    HAS_TLS = True

    def setUp(self):
        lib.need_tool("wbemcli")
        super().setUp()
        self.base = "http://cimtest:%s@127.0.0.1:%d/%s" % (
            PASSWORD, self.gateway.cimxml_port, NAMESPACE)
        self.service = "%s:Msvm_ReplicationService.%s" % (self.base, ",".join(
            '%s="%s"' % item for item in gateway.service_keys("HOST1").items()))
        self.vm = 'Msvm_ComputerSystem.CreationClassName="Msvm_ComputerSystem",Name="%s"' \
            % self.vm_id

    def wbemcli(self, *arguments, code=0):
        result = lib.run(["wbemcli", *arguments])
        self.assertEqual(result.code, code, result)
        return result.out + result.err if code else result.out

    def test_reading(self):
        names = self.wbemcli("ein", self.base + ":Msvm_ComputerSystem").splitlines()
        self.assertEqual(len(names), 3)
        self.assertTrue(any(self.vm_id in name for name in names), names)
        found = self.wbemcli("-nl", "ei", self.base + ":CIM_ComputerSystem")
        self.assertIn('-ElementName="web1"', found)
        self.assertIn("-ReplicationState=3", found)
        found = self.wbemcli("-nl", "gi", self.service)
        self.assertIn('-Name="replicasvc"', found)
        found = self.wbemcli("-nl", "gi", self.service, "Name,Started")
        self.assertEqual(sorted(line.split("=")[0] for line in found.split("\n")[1:] if line),
                         ["-Name", "-Started"])
        for line in self.wbemcli("ecn", self.base).splitlines():
            name = line.rpartition(":")[2]
            if name.startswith("Msvm_"):
                self.wbemcli("ei", "%s:%s" % (self.base, name))
                self.wbemcli("gc", "%s:%s" % (self.base, name))

    def test_associations(self):
        found = self.wbemcli("ain", self.service)
        self.assertIn("HOST1", found)
        vm = "%s:%s" % (self.base, self.vm)
        found = self.wbemcli("ain", vm)
        self.assertIn("Msvm_ReplicationRelationship.InstanceID=", found)
        self.assertIn("HVR", self.wbemcli("ai", "-ac", "Msvm_SystemReplicationRelationship", vm))
        self.assertIn("Msvm_SystemReplicationRelationship", self.wbemcli("rin", vm))
        self.assertIn("Dependent=", self.wbemcli("ri", vm))

    def job_of(self, printed):
        return re.search(r'Msvm_ConcreteJob\.InstanceID="([^"]+)"', printed).group(1).lower()

    def test_method(self):
        self.change("web1")
        printed = self.wbemcli("cm", self.service, "Resynchronize.ComputerSystem=" + self.vm)
        self.assertIn("Resynchronize: 4096", printed)
        self.a.wait_job(self.job_of(printed))
        self.check_replica("web1")
        self.change("web1")
        printed = self.wbemcli(
            "cm", self.service,
            "Resynchronize.StartTime=20260101000000.000000+060,ComputerSystem=" + self.vm)
        self.assertIn("Resynchronize: 4096", printed)
        self.a.wait_job(self.job_of(printed))
        self.check_replica("web1")

    def test_over_tls(self):
        base = self.base.replace("http:", "https:").replace(
            str(self.gateway.cimxml_port), str(self.gateway.cimxml_tls_port))
        names = self.wbemcli("-noverify", "ein", base + ":Msvm_ComputerSystem")
        self.assertIn(self.vm_id, names)

    def test_errors(self):
        self.assertIn("(5)", self.wbemcli("ein", self.base + ":No_Such", code=16))
        self.assertIn("(6)", self.wbemcli("gi", self.base + ':Msvm_ComputerSystem.'
                                          'CreationClassName="Msvm_ComputerSystem",Name="x"',
                                          code=16))
        self.assertIn("(17)", self.wbemcli("cm", self.service, "Nothing.A=1", code=16))
        wrong = self.base.replace(PASSWORD, "wrong")
        self.assertIn("Invalid username/password",
                      self.wbemcli("ein", wrong + ":Msvm_ComputerSystem", code=16))


class Relay:
    """Before the gateway: passes requests on, and hides the first answer behind an error 500."""

    def __init__(self, port):
        relay = self
        self.requests = []

        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_POST(self):
                body = self.rfile.read(int(self.headers["Content-Length"]))
                relay.requests.append(body)
                headers = {name: self.headers[name] for name in ("Content-Type", "Authorization")}
                request = urllib.request.Request("http://127.0.0.1:%d%s" % (port, self.path), body,
                                                 headers)
                try:
                    with urllib.request.urlopen(request) as answer:
                        status, text = answer.status, answer.read()
                except urllib.error.HTTPError as error:
                    status, text = error.code, error.read()
                if len(relay.requests) == 1:
                    status, text = 500, b"lost on the way"
                self.send_response(status)
                self.send_header("Content-Type", "application/soap+xml;charset=UTF-8")
                self.send_header("Content-Length", str(len(text)))
                self.end_headers()
                self.wfile.write(text)

            def log_message(self, *arguments):
                pass

        self.server = socketserver.ThreadingTCPServer(("127.0.0.1", 0), Handler)
        self.server.daemon_threads = True
        self.port = self.server.server_address[1]
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def close(self):
        self.server.shutdown()
        self.server.server_close()


class Wsl(gateway.GatewayCase):
    def setUp(self):
        lib.need_tool("wslinvoke", "curl", "xmllint", "xsltproc")
        super().setUp()
        self.work = self.path("wsl")
        os.mkdir(self.work)
        self.write_epr("vm-epr.xml", "Msvm_ComputerSystem", gateway.vm_keys(self.vm_id))
        self.write_epr("service-epr.xml", "Msvm_ReplicationService",
                       gateway.service_keys("HOST1"))

    def write_epr(self, name, class_name, keys):
        """One element a line: wsl reads them with grep."""
        text = gateway.epr_xml(class_name, keys, wrapped=True)
        for short in ("a", "w"):
            text = text.replace("<%s:" % short, "\n<%s:" % {"a": "wsa", "w": "wsman"}[short])
            text = text.replace("</%s:" % short, "</%s:" % {"a": "wsa", "w": "wsman"}[short])
        with open(os.path.join(self.work, name), "w") as file:
            file.write(re.sub(r"(</wsman:SelectorSet>|</wsa:ReferenceParameters>)", r"\n\1\n",
                              text).strip() + "\n")

    def wsl(self, *arguments, port=None, code=0):
        env = {"WSENDPOINT": "127.0.0.1:%d" % (port or self.gateway.wsman_port),
               "WSUSER": "cimtest", "WSPASS": PASSWORD, "WSNOSSL": "1", "KEEPHISTORY": "0",
               "WSAUTOMATED": "1", "WSDEFAULTSCHEMA": "schemas.dmtf.org", "HOME": self.work,
               "WSLPATH": self.work, "TERM": "dumb"}
        result = lib.run(list(arguments), env=env, cwd=self.work)
        self.assertEqual(result.code, code, result)
        return result.out

    def test_reading(self):
        self.assertIn("Resilver", self.wsl("wslid", "check"))
        found = self.wsl("wslenum", DMTF + "Msvm_ComputerSystem", "-ns", NAMESPACE)
        self.assertIn(self.vm_id, found)
        found = self.wsl("wslenum", DMTF + "Msvm_ReplicationService", "-ns", NAMESPACE,
                         "-m", "epr")
        self.assertIn("replicasvc", found)
        selectors = {"__cimnamespace": NAMESPACE, **gateway.service_keys("HOST1")}
        found = self.wsl("wslget", DMTF + "Msvm_ReplicationService",
                         *["%s=%s" % item for item in selectors.items()])
        self.assertIn("replicasvc", found)

    def invoke(self, *more, port=None):
        return self.wsl("wslinvoke", DMTF + "Msvm_ReplicationService", "Resynchronize",
                        "ComputerSystem=FILE:vm-epr.xml", *more, "-i", "service-epr.xml",
                        port=port)

    def job_of(self, printed):
        self.assertIn("4096", printed)
        return re.search(r'Name="InstanceID">([^<]+)<', printed).group(1).lower()

    def test_method(self):
        for more in ((), ("StartTime=2026-01-01T00:00:00Z",)):
            self.change("web1")
            self.a.wait_job(self.job_of(self.invoke(*more)))
            self.check_replica("web1")

    def test_a_request_sent_again_makes_no_second_job(self):
        """curl takes a 500 for transient, and wsl sends the same bytes again."""
        relay = self.owned(Relay(self.gateway.wsman_port))
        self.change("web1")
        before = len(self.a.jobs(True))
        job = self.job_of(self.invoke(port=relay.port))
        self.assertEqual(len(relay.requests), 2)
        self.assertEqual(relay.requests[0], relay.requests[1])
        self.a.wait_job(job)
        self.assertEqual(len(self.a.jobs(True)), before + 1)
        self.check_replica("web1")


class Pywinrm(gateway.GatewayCase):
    def setUp(self):
        try:
            import winrm.protocol
        except ImportError:
            self.skipTest("needs python3-winrm")
        super().setUp()
        self.protocol = winrm.protocol.Protocol(
            "http://127.0.0.1:%d/wsman" % self.gateway.wsman_port, transport="plaintext",
            username="cimtest", password=PASSWORD)

    def send(self, action, class_name, body, selectors=()):
        """Its own envelope, headers and transport, with a body of ours."""
        import xmltodict
        message = self.protocol._get_soap_header(
            action=action, resource_uri=gateway.MICROSOFT + class_name)
        if selectors:
            message["env:Header"]["w:SelectorSet"] = {"w:Selector": [
                {"@Name": name, "#text": text} for name, text in selectors.items()]}
        message["env:Body"] = body
        answer = self.protocol.send_message(xmltodict.unparse({"env:Envelope": message}))
        return ElementTree.fromstring(answer)

    def test_enumerate(self):
        root = self.send(gateway.ENUMERATION + "Enumerate", "Msvm_ComputerSystem", {
            "n:Enumerate": {"w:OptimizeEnumeration": None, "w:MaxElements": "32000"}})
        found = [gateway.read_properties(each) for each in
                 root.findall(".//w:Items/*", SPACES)]
        self.assertIn("web1", [each["ElementName"] for each in found])

    def test_get(self):
        root = self.send(gateway.TRANSFER + "Get", "Msvm_ReplicationService", {},
                         gateway.service_keys("HOST1"))
        self.assertEqual(gateway.read_properties(root.find("./s:Body/*", SPACES))["Name"],
                         "replicasvc")

    def test_method(self):
        self.change("web1")
        uri = gateway.MICROSOFT + "Msvm_ReplicationService"
        root = self.send(uri + "/Resynchronize", "Msvm_ReplicationService", {
            "p:Resynchronize_INPUT": {
                "@xmlns:p": uri,
                "p:ComputerSystem": {
                    "a:Address": gateway.ANONYMOUS,
                    "a:ReferenceParameters": {
                        "w:ResourceURI": gateway.MICROSOFT + "Msvm_ComputerSystem",
                        "w:SelectorSet": {"w:Selector": [
                            {"@Name": name, "#text": text}
                            for name, text in gateway.vm_keys(self.vm_id).items()]}}},
                "p:StartTime": {"cim:Datetime": {"@xmlns:cim": SPACES["cim"],
                                                 "#text": "2026-01-01T00:00:00Z"}}}},
            gateway.service_keys("HOST1"))
        out = gateway.read_properties(root.find("./s:Body/*", SPACES))
        self.assertEqual(out["ReturnValue"], "4096")
        self.a.wait_job(out["Job"][1]["InstanceID"].lower())
        self.check_replica("web1")

    def test_a_fault_is_understood(self):
        import winrm.exceptions
        with self.assertRaises(winrm.exceptions.WinRMError) as caught:
            self.send(gateway.TRANSFER + "Get", "Msvm_Nothing", {}, {"Name": "x"})
        self.assertIn("DestinationUnreachable", str(caught.exception))


class Npm(gateway.GatewayCase):
    def setUp(self):
        self.modules = os.environ.get("RESILVER_NODE_MODULES", "")
        if not os.path.isdir(os.path.join(self.modules, "@device-management-toolkit")):
            self.skipTest("needs RESILVER_NODE_MODULES with "
                          "@device-management-toolkit/wsman-messages (make node-modules)")
        lib.need_tool("node")
        super().setUp()

    def node(self, *arguments):
        script = os.path.join(os.path.dirname(os.path.abspath(__file__)), "npm", "client.js")
        out = lib.must(["node", script, str(self.gateway.wsman_port), "cimtest:" + PASSWORD,
                        *arguments], env={"NODE_PATH": self.modules})
        return [(each["status"], ElementTree.fromstring(each["text"])) for each in json.loads(out)]

    def test_enumerate(self):
        answers = self.node("enumerate", "Msvm_ComputerSystem")
        self.assertEqual({status for status, _ in answers}, {200})
        names = [gateway.read_properties(item)["Name"] for _, root in answers
                 for item in root.findall(".//n:Items/*", SPACES)]
        self.assertEqual(len(names), 3)
        self.assertIn(self.vm_id, names)

    def test_get(self):
        """It makes at most one selector: enough for a job, and for what there is once."""
        status, root = self.node("get", "Msvm_ReplicationService")[0]
        self.assertEqual(status, 200)
        self.assertEqual(gateway.read_properties(root.find("./s:Body/*", SPACES))["Name"],
                         "replicasvc")
        job = self.a.jobs()[0]["id"].upper()
        status, root = self.node("get", "Msvm_ConcreteJob", "InstanceID", job)[0]
        self.assertEqual(gateway.read_properties(root.find("./s:Body/*", SPACES))["JobState"], "7")

    def test_method(self):
        """What it makes of a reference is no XML; a time it can say, in an element of its own."""
        status, root = self.node("invoke", "Msvm_ReplicationService", "Resynchronize", json.dumps(
            {"StartTime": {"Datetime": "2026-01-01T00:00:00Z"}}))[0]
        out = gateway.read_properties(root.find("./s:Body/*", SPACES))
        self.assertEqual((status, out.get("ReturnValue")), (200, "32773"), out)

    def test_cancel_a_job(self):
        later = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(time.time() + 3600))
        value, job = self.a.resync("web1", later)
        self.assertEqual(value, 4096, job)
        status, root = self.node("state", "Msvm_ConcreteJob", job.upper(), "4")[0]
        out = gateway.read_properties(root.find("./s:Body/*", SPACES))
        self.assertEqual(status, 200, out)
        self.assertIn(out["ReturnValue"], ("0", "4096"))
        self.assertEqual(self.a.wait_job(job, None)["state"], 8)


if __name__ == "__main__":
    lib.main()
