#!/usr/bin/python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""Documents that are made to hurt, requests with something left out, and values of the wrong kind:
each is refused, or answered, in no time and with little memory, and nothing else is looked at."""
import codecs
import os
import re
import socket
import sys
import xml.etree.ElementTree as ElementTree

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
import gateway  # noqa: E402
import hostile  # noqa: E402
import lib  # noqa: E402
from calls import JOB, SERVICE, SYSTEM  # noqa: E402

MEMORY_MAX = 64 * lib.MIB
FILL = 400 * 1024  # what a hostile part may have: a body may have 512 KiB
RIGHT = gateway.basic()


class Documents(hostile.HostileCase):
    IS_REPLICATED = False

    def setUp(self):
        super().setUp()
        self.pipe = self.path("pipe")
        os.mkfifo(self.pipe)
        # A reader of the pipe would let this open; nobody must read.
        self.listener = self.owned(socket.create_server(("127.0.0.1", 0)))
        self.listener.setblocking(False)
        self.url = "http://127.0.0.1:%d/dtd" % self.listener.getsockname()[1]
        self.seconds_max = 3 if hostile.is_sanitized() else 1

    def check_nothing_was_looked_at(self):
        with self.assertRaises(BlockingIOError):
            self.listener.accept()
        with self.assertRaises(OSError):  # ENXIO: nobody has it open
            os.close(os.open(self.pipe, os.O_WRONLY | os.O_NONBLOCK))

    def test_documents(self):
        for protocol in ("cimxml", "wsman"):
            simple = self.simple(protocol)
            documents = list(self.documents(simple.body.decode()))
            self.assertGreater(len(documents), 40)
            for what, document, is_harmless in documents:
                with self.subTest(what, protocol=protocol):
                    if isinstance(document, str):
                        document = document.encode()
                    self.send(protocol, simple._replace(body=document), is_harmless)
        self.check_nothing_was_looked_at()
        self.check_served()

    def send(self, protocol, operation, is_harmless):
        usage = hostile.Usage(self.gateway.process.pid)
        try:
            status, _, text = hostile.ask(self.ports()[protocol], operation, RIGHT)
        except (BrokenPipeError, ConnectionResetError):
            status, text = 413, b""  # far too long: it was not even read
            self.assertGreater(len(operation.body), lib.MIB)
        if is_harmless:
            self.assertEqual((status, b"<ERROR" in text), (200, False), text)
        elif is_harmless is False:
            self.assertTrue(status in (400, 413, 500) or b"<ERROR" in text, (status, text))
        for secret in (b"root:x:", b"secret"):
            self.assertNotIn(secret, text)
        self.assertLess(usage.more_memory(), MEMORY_MAX)
        self.assertLess(usage.more_seconds(), self.seconds_max)

    def documents(self, right):
        """(what, document, whether it says the same as the right one; None: as one likes, as
        long as it does no harm)"""
        right = re.sub(r"^<\?xml[^>]*>\s*", "", right)
        root = re.match(r"<([\w:]+)", right)[1]
        text = SYSTEM if SYSTEM in right else "replicasvc"
        # Where text stands in it, and where an element may.
        place = "uuid:" if "uuid:" in right else None

        def doctype(inside, name=root):
            return "<!DOCTYPE %s [%s]>" % (name, inside)

        def put(more):
            """In a text of the document, or where an element may stand."""
            if place:
                return right.replace(place, more + place, 1)
            return right.replace("</CIM>", more + "</CIM>", 1)

        def attributes(more):
            return right.replace("<" + root, "<%s %s" % (root, more), 1)

        laughs = "".join('<!ENTITY l%d "%s">' % (n, "&l%d;" % (n - 1) * 10) for n in range(1, 10))
        yield "a DTD", "<!DOCTYPE %s>" % root + right, False
        yield "a file DTD", '<!DOCTYPE %s SYSTEM "file://%s">' % (root, self.pipe) + right, False
        yield "a DTD elsewhere", '<!DOCTYPE %s SYSTEM "%s">' % (root, self.url) + right, False
        yield "a public DTD", '<!DOCTYPE %s PUBLIC "-//X" "%s">' % (root, self.url) + right, False
        yield "a billion laughs", doctype('<!ENTITY l0 "ha">' + laughs) + put("&l9;"), False
        yield ("quadratic", doctype('<!ENTITY a "%s">' % ("a" * 50000)) + put("&a;" * 50000), False)
        yield "an entity", doctype('<!ENTITY a "secret">') + put("&a;"), False
        yield "an unused entity", doctype('<!ENTITY a "secret">') + right, False
        yield "a circle", doctype('<!ENTITY a "&b;"><!ENTITY b "&a;">') + put("&a;"), False
        yield "a file", doctype('<!ENTITY a SYSTEM "file://%s">' % self.pipe) + put("&a;"), False
        yield "passwords", doctype('<!ENTITY a SYSTEM "file:///etc/passwd">') + put("&a;"), False
        yield "a page", doctype('<!ENTITY a SYSTEM "%s">' % self.url) + put("&a;"), False
        yield ("a parameter entity",
               doctype('<!ENTITY %% a SYSTEM "%s">%%a;' % self.url) + right, False)
        yield ("a parameter entity of a file",
               doctype('<!ENTITY %% a SYSTEM "file://%s">%%a;' % self.pipe) + right, False)
        yield ("a notation", doctype('<!NOTATION n SYSTEM "%s"><!ENTITY a SYSTEM "x" NDATA n>'
                                     % self.url) + right, False)
        yield ("default attributes", doctype('<!ATTLIST %s a CDATA "b">' % root) + right, False)
        yield "an undeclared entity", put("&nbsp;"), False
        yield ("XInclude", put('<xi:include xmlns:xi="http://www.w3.org/2001/XInclude"'
                               ' href="file://%s"'
                               ' parse="text"/>' % self.pipe), None)
        yield ("a stylesheet",
               '<?xml-stylesheet type="text/xsl" href="%s"?>' % self.url + right, False)
        yield "an instruction", put("<?php system('id')?>"), False
        yield ("a schema's place", attributes(
            'xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance" xsi:schemaLocation="a %s"'
            % self.url), None)
        yield from self.sizes(right, root, put, attributes)
        yield from self.encodings(right)
        yield from self.tricks(right, root, put, attributes, text)

    def sizes(self, right, root, put, attributes):
        count = FILL // 7
        yield "depth 10^5", put("<a>" * (FILL // 7) + "</a>" * (FILL // 7)), False
        yield "depth without end", "<a>" * (FILL // 3), False
        yield "depth 65", put("<a>" * 65 + "</a>" * 65), False
        yield "10^6 attributes", attributes(" ".join('a%d=""' % n for n in range(10 ** 6))), False
        yield "attributes", attributes(" ".join('%x=""' % n for n in
                                                range(0xa00000, 0xa00000 + FILL // 10))), False
        yield "65 attributes", attributes(" ".join('a%d=""' % n for n in range(65))), False
        yield "namespaces", attributes(" ".join('xmlns:n%d="u%d"' % (n, n)
                                                for n in range(FILL // 25))), False
        yield "a long name", put("<%s/>" % ("n" * FILL)), False
        yield "a long prefix", put(
            '<%s:a xmlns:%s="u"/>' % ("p" * (FILL // 2), "p" * (FILL // 2))), None
        yield "a long namespace", put('<a xmlns="%s"/>' % ("u" * FILL)), False
        yield "a long attribute", attributes('%s="x"' % ("n" * FILL)), False
        yield "a long value", attributes('a="%s"' % ("v" * FILL)), False
        yield "a long text", put("t" * FILL), False
        yield "empty elements", put("<a/>" * (FILL // 4)), False
        yield "a long comment", "<!--" + "c" * FILL + "-->" + right, True
        yield "comments", "<!---->" * (FILL // 7) + right, True
        yield "references", put("&#65;" * (FILL // 5)), False
        yield "blanks", right + " \n" * (FILL // 2), True
        yield "beyond the body", right + " " * (600 * 1024), False
        yield "a start and no end", right[:-1], False
        yield "a start alone", "<" + root, False
        yield "an open attribute", "<a b='" + "c" * FILL, False
        yield "an open comment", right + "<!--" + "-" * count, False
        yield "nothing", "", False
        yield "blanks alone", " \n" * 1000, False

    def encodings(self, right):
        def declared(name):
            return '<?xml version="1.0" encoding="%s"?>' % name
        utf16 = (declared("utf-16") + right)
        yield "UTF-7", declared("UTF-7").encode() + right.replace("<", "+ADw-").encode(), False
        yield "declared UTF-7", declared("UTF-7") + right, False
        yield "declared nonsense", declared("x-nonsense") + right, False
        yield "declared EBCDIC", declared("cp037").encode() + right.encode("cp037"), False
        yield "EBCDIC", (declared("cp037") + right).encode("cp037"), False
        for name in ("utf-16-le", "utf-16-be", "utf-32-le", "utf-32-be"):
            yield name, utf16.encode(name), None
            bom = {"utf-16-le": codecs.BOM_UTF16_LE, "utf-16-be": codecs.BOM_UTF16_BE,
                   "utf-32-le": codecs.BOM_UTF32_LE, "utf-32-be": codecs.BOM_UTF32_BE}[name]
            yield name + " with its mark", bom + utf16.encode(name), None
        yield "a mark alone", codecs.BOM_UTF8, False
        yield "a mark", codecs.BOM_UTF8 + right.encode(), True
        yield "declared UTF-16", declared("utf-16") + right, None
        yield "half a character", right.encode().replace(b"2", b"2\xc3", 1), False
        yield "overlong <", right.encode().replace(b"<", b"\xc0\xbc"), False
        yield "overlong /", right.encode().replace(b"2", b"\xe0\x80\xaf2", 1), False
        yield "overlong NUL", right.encode().replace(b"2", b"\xc0\x802", 1), False
        yield "a surrogate", right.encode().replace(b"2", b"\xed\xa0\x802", 1), False
        yield "two surrogates", right.encode().replace(b"2", b"\xed\xa0\xbd\xed\xb8\x802", 1), False
        yield "beyond Unicode", right.encode().replace(b"2", b"\xf4\x90\x80\x802", 1), False
        yield "five bytes", right.encode().replace(b"2", b"\xf8\x88\x80\x80\x802", 1), False
        yield "Latin 1", declared("iso-8859-1").encode() + right.encode(), None
        yield "XML 1.1", '<?xml version="1.1"?>' + right, None
        yield "XML 2.0", '<?xml version="2.0"?>' + right, None
        yield "a declaration within", right + '<?xml version="1.0"?>', False
        yield "a declaration after a blank", ' <?xml version="1.0"?>' + right, False

    def tricks(self, right, root, put, attributes, text):
        for what, reference in (("NUL", "&#0;"), ("control", "&#1;"), ("surrogate", "&#xD800;"),
                                ("noncharacter", "&#xFFFE;"), ("large", "&#x110000;"),
                                ("huge", "&#99999999999999999999;")):
            yield what + " as a reference", put(reference), False
        yield "NUL", put("\0"), False
        yield "a control character", put("\x07"), False
        yield "CDATA", right.replace(">%s<" % text, "><![CDATA[%s]]><" % text), None
        yield "CDATA without end", put("<![CDATA[<a>"), False
        yield "CDATA with its end", put("a]]>b"), False
        yield "CDATA with a tag", put("<![CDATA[</%s>]]>" % root), None
        yield "CDATA around a tag", right.replace(
            "<" + root, "<![CDATA[<%s]]>" % root, 1), False
        yield "an attribute twice", attributes('a="1" a="2"'), False
        yield ("an attribute twice by its namespace",
               attributes('xmlns:q="u" xmlns:r="u" q:a="1" r:a="2"'), False)
        yield "an unbound prefix", put("<zz:a/>"), False
        yield "an unbound prefix of an attribute", attributes('zz:a="1"'), False
        yield "xmlns bound", attributes('xmlns:xmlns="u"'), False
        yield "xml bound", attributes('xmlns:xml="u"'), False
        yield "XML's own", attributes('xmlns:q="http://www.w3.org/XML/1998/namespace"'), False
        yield "a prefix unbound", attributes('xmlns:q=""'), False
        yield "two colons", put("<s:s:a/>"), False
        yield "no local name", put("<s:/>"), False
        yield "no prefix", put("<:a/>"), False
        yield "another space", right.replace("<" + root, "<%s xmlns='urn:other'" % root, 1), None
        yield "a separator in a namespace", put("<q:a xmlns:q='u|v\x7fw'/>"), None
        yield "two roots", right + right, False
        yield "text after it", right + "x", False
        yield "a broken tag", right.replace("</", "< /", 1), False
        yield "attributes without quotes", attributes("a=1"), False
        yield "no XML", '{"a": 1}', False


# --- left out, and wrong --------------------------------------------------------------------------


class Parts(hostile.HostileCase):
    def setUp(self):
        super().setUp()
        client = self.gateway.cimxml()
        self.model = hostile.read_model(client)
        client.close()
        self.kept = {protocol: self.owned(hostile.Stranger(port))
                     for protocol, port in self.ports().items()}
        self.before = self.state()

    def send(self, operation):
        """Refused in order: by HTTP, by the protocol's error, or with a return value."""
        try:
            status, headers, text = self.kept[operation.protocol].ask(operation, RIGHT)
            is_over = headers["Connection"] == "close"
        except (BrokenPipeError, ConnectionResetError):
            self.assertGreater(len(str(operation.headers)), 16 * 1024)
            status, text, is_over = 431, b"", True
        if is_over:
            self.kept[operation.protocol] = self.owned(
                hostile.Stranger(self.ports()[operation.protocol]))
        self.assertIn(status, (200, 400, 413, 431, 500, 501), operation)
        if status == 500:
            self.assertIn(b"Fault", text, operation)
        if status == 200:
            ElementTree.fromstring(text)
        return status, text

    def check_unchanged(self):
        self.assertEqual(self.state(), self.before)
        self.check_served()

    def test_each_element_and_attribute_may_be_left_out(self):
        operations = [
            hostile.intrinsic_operation(name, parameters)
            for name, parameters in hostile.intrinsic_calls(self.names).items()]
        operations += [hostile.action_operation(name, *call)
                       for name, call in hostile.action_calls(self.names).items()]
        operations += hostile.method_operations(self.names, JOB, "RequestStateChange")
        operations += hostile.method_operations(self.names, SERVICE, "GetReplicationStatistics")
        for operation in operations:
            for document in self.shortened(operation.body.decode()):
                self.send(operation._replace(body=document))
        self.check_unchanged()

    def shortened(self, document):
        """Without each element, each element's content, and each attribute in turn."""
        root = ElementTree.fromstring(document)
        for prefix, uri in gateway.SPACES.items():
            ElementTree.register_namespace(prefix, uri)
        for parent in list(root.iter()):
            for index, child in enumerate(list(parent)):
                parent.remove(child)
                yield ElementTree.tostring(root)
                parent.insert(index, child)
                parent.insert(index, child)  # and twice
                yield ElementTree.tostring(root)
                parent.remove(child)
            tag, text = parent.tag, parent.text
            parent.tag = "other"
            yield ElementTree.tostring(root)
            parent.tag, parent.text = tag, None
            yield ElementTree.tostring(root)
            parent.text = text
            for name, value in list(parent.attrib.items()):
                del parent.attrib[name]
                yield ElementTree.tostring(root)
                parent.attrib[name] = ""
                yield ElementTree.tostring(root)
                parent.attrib[name] = value

    def test_each_parameter_may_be_of_the_wrong_kind(self):
        count = 0
        for class_name, methods in self.model.items():
            if class_name not in (SERVICE, SYSTEM, JOB):
                continue
            for method, parameters in methods.items():
                for name in parameters:
                    count += self.wrong_kinds(class_name, method, name)
        self.assertGreater(count, 800)
        self.check_unchanged()

    def keys_of(self, class_name):
        names = {SERVICE: self.names.service, SYSTEM: self.names.vm, JOB: self.names.job}
        return names[class_name][1]

    def wrong_kinds(self, class_name, method, name):
        keys, count = self.keys_of(class_name), 0
        turn = len(method + name) % 3  # a third of them for each parameter
        for xml in CIM_VALUES[turn::3]:
            self.send(hostile.cimxml(method, lambda client: client.invoke(
                class_name, keys, method,
                '<PARAMVALUE NAME="%s">%s</PARAMVALUE>' % (name, xml))))
            count += 1
        for xml in WSMAN_VALUES[turn::3]:
            self.send(hostile.wsman(method, lambda client: client.invoke(
                class_name, keys, method, xml.replace("NAME", name))))
            count += 1
        return count

    def test_keys_may_be_missing_and_wrong(self):
        wrong = ({}, {"Name": ""}, {"Name": "x" * 60000}, {"InstanceID": "x"}, {"": "x"},
                 {"Name": "%s%n"}, {"Name": "../../etc/passwd"}, {"Name": "a\"b'c<d>&e"},
                 {"Name": "x", "name": "y"}, {"Name": ("Msvm_ComputerSystem", {"Name": "x"})},
                 {"Name": "\u202e\U0001f600"}, {"Name": "a\nb"},
                 {"key%d" % number: "x" for number in range(40)},
                 {"InstanceID": "Microsoft:%s\\HVR\\0\\extra" % self.vm_id},
                 {"InstanceID": "Microsoft:" + "\\" * 5000})
        for class_name in self.model:
            for keys in wrong:
                for call in (lambda client: client.get(class_name, keys),
                             lambda client: client.invoke(class_name, keys, "RequestStateChange")):
                    for record in (hostile.cimxml, hostile.wsman):
                        if record is hostile.cimxml and isinstance(keys.get("Name"), tuple):
                            continue  # there is no text for it in CIM-XML's header
                        status, text = self.send(record(class_name, call))
                        is_answer = status == 200 and b"<ERROR" not in text
                        # In WS-Management, whoever is the only one there is needs no keys.
                        self.assertTrue(not is_answer or keys == {}, text)
        self.check_unchanged()

    def test_queries_may_be_wrong(self):
        for text in ("select * from " + SYSTEM + " where " + "not " * 4000 + "Name = 'x'",
                     "select * from " + SYSTEM + " where " + "(" * 3000 + "Name = 'x'" + ")" * 3000,
                     "select * from %s where Name = '%s'" % (SYSTEM, "x" * 100000),
                     "select * from %s where Name = '%s" % (SYSTEM, "\\" * 7000),
                     "select * from %s where Name like '%s'" % (SYSTEM, "%a" * 3000),
                     "select * from %s where Name like '%s'" % (SYSTEM, "[" * 3000),
                     "select %s from %s" % (",".join(["Name"] * 2000), SYSTEM),
                     "select * from %s where %s" % (SYSTEM, " or ".join(["Name = 'x'"] * 700)),
                     "select * from %s; drop table job" % SYSTEM, "select * from " + "x" * 8000,
                     "select * from %s where EnabledState = %s" % (SYSTEM, "9" * 5000),
                     "select * from %s where EnabledState = -1" % SYSTEM, "\0", "'", "*", "select"):
            usage = hostile.Usage(self.gateway.process.pid)
            for record in (
                    hostile.cimxml("x", lambda client: client.intrinsic(
                        "ExecQuery", QueryLanguage="WQL", Query=text.replace("\0", ""))),
                    hostile.wsman("x", lambda client: client.query(text.replace("\0", "")))):
                self.send(record)
            self.assertLess(usage.more_seconds(), 3 if hostile.is_sanitized() else 1, text[:200])
            self.assertLess(usage.more_memory(), MEMORY_MAX)
        self.check_unchanged()


REFERENCE = gateway.name_xml("Msvm_Nothing", {"Name": "x"})
CIM_VALUES = (
    "", "<VALUE/>", "<VALUE>x</VALUE>", "<VALUE>-1</VALUE>", "<VALUE>99999999999999999999</VALUE>",
    "<VALUE>1e400</VALUE>", "<VALUE>TRUE</VALUE>", "<VALUE>%s</VALUE>" % ("x" * 70000),
    "<VALUE.ARRAY/>", "<VALUE.ARRAY><VALUE>x</VALUE></VALUE.ARRAY>",
    "<VALUE.ARRAY>%s</VALUE.ARRAY>" % ("<VALUE.NULL/>" * 2000), "<VALUE.NULL/>",
    "<VALUE.REFERENCE>%s</VALUE.REFERENCE>" % REFERENCE, "<VALUE.REFERENCE/>",
    '<VALUE.REFERENCE><CLASSNAME NAME="%s"/></VALUE.REFERENCE>' % SYSTEM,
    "<VALUE.REFERENCE>" * 20 + "</VALUE.REFERENCE>" * 20,
    '<INSTANCE CLASSNAME="Msvm_Nothing"/>', "<VALUE>&lt;INSTANCE CLASSNAME=</VALUE>",
    "<VALUE>&lt;!DOCTYPE a [&lt;!ENTITY b 'c'>]>&lt;INSTANCE CLASSNAME='%s'/></VALUE>" % JOB,
    "<VALUE>20260230000000.000000+000</VALUE>", "<VALUE>99999999999999.999999:000</VALUE>",
    "<VALUE>**************.******+***</VALUE>",
)
WSMAN_VALUES = tuple("<p:NAME>%s</p:NAME>" % value for value in (
    "", "x", "-1", "99999999999999999999", "true", "x" * 70000, "<p:x/>", REFERENCE,
    "<a:Address/>", "<a:ReferenceParameters/>",
    "<a:ReferenceParameters><w:ResourceURI/></a:ReferenceParameters>",
    gateway.epr_xml("Msvm_Nothing", {}),
    gateway.epr_xml("Msvm_Nothing", {"Name": "x"}, wrapped=True),
    gateway.epr_xml(JOB, {"InstanceID": (JOB, {"InstanceID": (JOB, {"InstanceID": "x"})})}),
    "<cim:Datetime>x</cim:Datetime>", "<cim:Interval>P1D</cim:Interval>",
    "&lt;INSTANCE CLASSNAME='x'&gt;",
)) + ('<p:NAME xsi:nil="true"/>', '<p:NAME xsi:nil="true">x</p:NAME>', "<p:NAME/>" * 2000,
      "<NAME>x</NAME>", '<q:NAME xmlns:q="urn:x">x</q:NAME>')


if __name__ == "__main__":
    lib.main()
