# SPDX-License-Identifier: LGPL-2.1-or-later
"""mof - our MOF, read, checked and resolved: DMTF DSP0004 2.7 as far as schema/ uses it.

That is qualifier declarations, classes, and #pragma namespace. What is wrong is a MofError.
"""
import dataclasses
import re

NAMESPACES = {"root/virtualization/v2": "CIM_SPACE_VIRTUALIZATION",
              "root/interop": "CIM_SPACE_INTEROP"}
DEFAULT_NAMESPACE = "root/virtualization/v2"
INTEGERS = {"uint8": (0, 2**8 - 1), "uint16": (0, 2**16 - 1), "uint32": (0, 2**32 - 1),
            "uint64": (0, 2**64 - 1), "sint8": (-2**7, 2**7 - 1), "sint16": (-2**15, 2**15 - 1),
            "sint32": (-2**31, 2**31 - 1), "sint64": (-2**63, 2**63 - 1)}
TYPES = set(INTEGERS) | {"boolean", "real32", "real64", "char16", "string", "datetime"}
SCOPES = {"any", "class", "association", "indication", "property", "reference", "method",
          "parameter"}
FLAVORS = {"enableoverride", "disableoverride", "restricted", "tosubclass", "translatable"}
PROPERTIES_MAX = 128  # the bits of uint64_t given[2]
DATETIME = re.compile(r"\d{14}\.\d{6}[+-]\d{3}|\d{14}\.\d{6}:000")
TOKEN = re.compile(r"""
    (?P<blank>\s+|//[^\n]*|/\*.*?\*/)
  | (?P<pragma>\#pragma\b)
  | (?P<string>"(?:[^"\\\n]|\\.)*")
  | (?P<real>[+-]?\d*\.\d+(?:[eE][+-]?\d+)?)
  | (?P<number>[+-]?(?:0[xX][0-9a-fA-F]+|\d+))
  | (?P<name>[A-Za-z_][A-Za-z0-9_]*)
  | (?P<sign>[\[\]{}():;,=])
""", re.VERBOSE | re.DOTALL)
ESCAPES = {"n": "\n", "t": "\t", "r": "\r", '"': '"', "\\": "\\", "'": "'"}


class MofError(Exception):
    """Something in the MOF that cannot be, and where."""

    def __init__(self, where, text):
        super().__init__(f"{where}: {text}")


@dataclasses.dataclass
class Token:
    kind: str
    text: str
    where: str


@dataclasses.dataclass
class Declaration:
    """A qualifier as it is declared."""
    name: str
    where: str
    type: str
    is_array: bool
    default: object
    scopes: set
    flavors: set


@dataclasses.dataclass
class Qualifier:
    """A qualifier of an element; value is None, a constant or a list of constants."""
    name: str
    where: str
    value: object
    is_given: bool = True  # a bare name stands for TRUE


@dataclasses.dataclass
class Element:
    """A class, property, reference, method or parameter."""
    kind: str
    name: str
    where: str
    qualifiers: dict
    type: str = ""
    is_array: bool = False
    reference: str = ""
    default: object = None
    members: list = dataclasses.field(default_factory=list)  # of a method: its parameters
    parent: str = ""
    namespace: str = ""
    methods: list = dataclasses.field(default_factory=list)
    own: list = dataclasses.field(default_factory=list)  # of a class: what it does not inherit
    origin: str = ""
    keyed_by: tuple = ()

    def value(self, name):
        """The value of a qualifier; None when it has none."""
        found = self.qualifiers.get(name.lower())
        return found.value if found else None


# --- reading ---------------------------------------------------------------------------------


def tokens_of(name, text):
    """All tokens of a file, and one of kind "end" behind them."""
    tokens = []
    at, line = 0, 1
    while at < len(text):
        found = TOKEN.match(text, at)
        if not found:
            raise MofError(f"{name}:{line}", f"{text[at:at + 10]!r} is nothing that MOF has")
        if found.lastgroup != "blank":
            tokens.append(Token(found.lastgroup, found.group(), f"{name}:{line}"))
        line += found.group().count("\n")
        at = found.end()
    tokens.append(Token("end", "the end of the file", f"{name}:{line}"))
    return tokens


class Reader:
    """One file's declarations, read from its tokens."""

    def __init__(self, name, text):
        self.tokens = tokens_of(name, text)
        self.at = 0
        self.namespace = DEFAULT_NAMESPACE
        self.declarations = []
        self.classes = []

    def peek(self):
        return self.tokens[self.at]

    def take(self):
        token = self.tokens[self.at]
        self.at += token.kind != "end"
        return token

    def has(self, text):
        """Take the next token if it is this sign or word."""
        token = self.peek()
        if token.kind in ("sign", "name") and token.text.lower() == text:
            self.at += 1
            return True
        return False

    def expect(self, text):
        if not self.has(text):
            raise MofError(self.peek().where, f"expected '{text}', found {self.peek().text}")

    def expect_kind(self, kind, what):
        token = self.take()
        if token.kind != kind:
            raise MofError(token.where, f"expected {what}, found {token.text}")
        return token

    def name(self, what):
        return self.expect_kind("name", what)

    def string(self):
        """One string, of one or more literals behind each other."""
        text = ""
        token = self.expect_kind("string", "a string")
        while True:
            text += self.unescape(token)
            if self.peek().kind != "string":
                return text
            token = self.take()

    @staticmethod
    def unescape(token):
        def one(found):
            if found.group(1) not in ESCAPES:
                raise MofError(token.where, f"the escape {found.group()} is not known")
            return ESCAPES[found.group(1)]
        return re.sub(r"\\(.)", one, token.text[1:-1])

    def constant(self):
        token = self.peek()
        if token.kind == "string":
            return self.string()
        self.take()
        if token.kind == "number":
            return int(token.text, 16 if "x" in token.text.lower() else 10)
        if token.kind == "real":
            return float(token.text)
        words = {"true": True, "false": False, "null": None}
        if token.kind == "name" and token.text.lower() in words:
            return words[token.text.lower()]
        raise MofError(token.where, f"expected a value, found {token.text}")

    def constants(self):
        """{ constant, ... }, its brace taken."""
        values = []
        while not self.has("}"):
            if values:
                self.expect(",")
            values.append(self.constant())
        return values

    def names(self, known, what):
        """( name, ... ) of known names, in lower case."""
        self.expect("(")
        names = set()
        while not self.has(")"):
            if names:
                self.expect(",")
            token = self.name(what)
            if token.text.lower() not in known:
                raise MofError(token.where, f"{token.text} is no {what}")
            names.add(token.text.lower())
        return names

    def read(self):
        while self.peek().kind != "end":
            if self.peek().kind == "pragma":
                self.read_pragma()
            elif self.has("qualifier"):
                self.read_declaration()
            else:
                self.read_class()
        return self

    def read_pragma(self):
        self.take()
        token = self.name("the name of a pragma")
        if token.text.lower() != "namespace":
            raise MofError(token.where, f"#pragma {token.text} is not supported; only namespace is")
        self.expect("(")
        self.namespace = self.string()
        self.expect(")")
        if self.namespace not in NAMESPACES:
            raise MofError(token.where, f"there is no namespace {self.namespace}; there are "
                           + ", ".join(sorted(NAMESPACES)))

    def read_array(self):
        """Whether [] follows."""
        if not self.has("["):
            return False
        self.expect("]")
        return True

    def read_type(self):
        token = self.name("a type")
        if token.text.lower() not in TYPES:
            raise MofError(token.where, f"{token.text} is no type")
        return token.text.lower()

    def read_declaration(self):
        token = self.name("the name of a qualifier")
        self.expect(":")
        declared = Declaration(token.text, token.where, self.read_type(), self.read_array(), None,
                               set(), set())
        if self.has("="):
            declared.default = self.constants() if self.has("{") else self.constant()
        while self.has(","):
            if self.has("scope"):
                declared.scopes = self.names(SCOPES, "scope")
            else:
                self.expect("flavor")
                declared.flavors = self.names(FLAVORS, "flavor")
        self.expect(";")
        if not declared.scopes:
            raise MofError(token.where, f"qualifier {token.text} has no Scope()")
        self.declarations.append(declared)

    def read_qualifiers(self):
        """[ name, name(value), name{value, value} ], or nothing."""
        qualifiers = {}
        if not self.has("["):
            return qualifiers
        while True:
            token = self.name("the name of a qualifier")
            qualifier = Qualifier(token.text, token.where, True, False)
            if self.has("("):
                qualifier.value, qualifier.is_given = self.constant(), True
                self.expect(")")
            elif self.has("{"):
                qualifier.value, qualifier.is_given = self.constants(), True
            if token.text.lower() in qualifiers:
                raise MofError(token.where, f"qualifier {token.text} is there twice")
            qualifiers[token.text.lower()] = qualifier
            if self.has("]"):
                return qualifiers
            self.expect(",")

    def read_class(self):
        qualifiers = self.read_qualifiers()
        self.expect("class")
        token = self.name("the name of a class")
        read = Element("class", token.text, token.where, qualifiers, namespace=self.namespace)
        for kind in ("association", "indication"):
            if read.value(kind):
                read.kind = kind
        if self.has(":"):
            read.parent = self.name("the name of the parent").text
        self.expect("{")
        while not self.has("}"):
            self.read_feature(read)
        self.expect(";")
        self.classes.append(read)

    def read_typed(self, kind):
        """[qualifiers] TYPE NAME or [qualifiers] CLASS REF NAME."""
        qualifiers = self.read_qualifiers()
        token = self.name("a type or the name of a class")
        if self.has("ref"):
            name = self.name("a name")
            return Element("reference" if kind == "property" else kind, name.text, name.where,
                           qualifiers, type="reference", reference=token.text)
        if token.text.lower() not in TYPES:
            raise MofError(token.where, f"{token.text} is no type, and REF does not follow it")
        name = self.name("a name")
        return Element(kind, name.text, name.where, qualifiers, type=token.text.lower())

    def read_feature(self, of):
        feature = self.read_typed("property")
        feature.origin = of.name
        if self.has("("):
            feature.kind = "method"
            if feature.type == "reference":
                raise MofError(feature.where, f"method {feature.name} returns a reference")
            while not self.has(")"):
                if feature.members:
                    self.expect(",")
                parameter = self.read_typed("parameter")
                parameter.is_array = self.read_array()
                feature.members.append(parameter)
            of.methods.append(feature)
        else:
            feature.is_array = self.read_array()
            if self.has("="):
                token = self.peek()
                feature.default = self.constant()
                if feature.is_array or feature.type == "reference":
                    raise MofError(token.where, f"{feature.name} is an array or reference; "
                                   "those have no defaults here")
            of.members.append(feature)
        self.expect(";")


# --- checking and resolving ------------------------------------------------------------------


def fits(value, kind):
    """Whether a constant can be of a type."""
    if kind in INTEGERS:
        low, high = INTEGERS[kind]
        return type(value) is int and low <= value <= high
    if kind == "boolean":
        return type(value) is bool
    if kind in ("real32", "real64"):
        return type(value) in (int, float)
    if kind == "datetime":
        return isinstance(value, str) and bool(DATETIME.fullmatch(value))
    return isinstance(value, str) and (kind != "char16" or len(value) == 1)


class Model:
    """All classes, with what they inherit."""

    def __init__(self, readers):
        self.declarations = {}
        for declared in (d for reader in readers for d in reader.declarations):
            if declared.name.lower() in self.declarations:
                raise MofError(declared.where, f"qualifier {declared.name} is declared twice")
            self.declarations[declared.name.lower()] = declared
        self.by_name = {}
        for read in (c for reader in readers for c in reader.classes):
            if read.name.lower() in self.by_name:
                raise MofError(read.where, f"class {read.name} is there twice, first at "
                               + self.by_name[read.name.lower()].where)
            self.by_name[read.name.lower()] = read
        self.classes = self.in_order()
        for read in self.classes:
            self.resolve(read)
        self.spaces = self.find_spaces()

    def parent_of(self, read):
        if not read.parent:
            return None
        if read.parent.lower() not in self.by_name:
            raise MofError(read.where, f"class {read.name}: its parent {read.parent} is not there")
        return self.by_name[read.parent.lower()]

    def in_order(self):
        """The classes, each after its parent, else by name."""
        ordered, placed = [], set()
        for name in sorted(self.by_name):
            line = []
            read = self.by_name[name]
            while read and read.name not in placed:
                if read in line:
                    raise MofError(read.where, f"class {read.name} descends from itself")
                line.append(read)
                read = self.parent_of(read)
            for read in reversed(line):
                placed.add(read.name)
                ordered.append(read)
        return ordered

    def is_a(self, name, ancestor):
        read = self.by_name.get(name.lower())
        while read:
            if read.name.lower() == ancestor.lower():
                return True
            read = self.parent_of(read)
        return False

    def known_class(self, name, where, what):
        if name.lower() not in self.by_name:
            raise MofError(where, f"{what}: there is no class {name}")
        return self.by_name[name.lower()].name

    def resolve(self, read):
        """Check one class, whose parent is resolved, and give it what it inherits."""
        parent = self.parent_of(read)
        if parent and parent.kind != "class":
            read.kind = parent.kind
        self.check_qualifiers(read)
        self.check_described(read)
        if parent:
            self.inherit_qualifiers(read, parent)
        if not re.fullmatch(r"\d+\.\d+\.\d+", read.value("Version") or ""):
            raise MofError(read.where, f'class {read.name} has no Version("n.n.n")')
        read.own = read.members + read.methods
        read.members = self.merge(read, parent, "members")
        read.methods = self.merge(read, parent, "methods")
        self.check_keys(read, parent)
        if len(read.members) > PROPERTIES_MAX:
            raise MofError(read.where, f"class {read.name} has {len(read.members)} properties; "
                           f"at most {PROPERTIES_MAX} can be")

    def merge(self, read, parent, which):
        """The parent's features with the class's own in their place, then its new ones."""
        merged = {f.name.lower(): f for f in getattr(parent, which)} if parent else {}
        all_names = {f.name.lower() for f in read.members + read.methods}
        if len(all_names) != len(read.members) + len(read.methods) and which == "members":
            raise MofError(read.where, f"class {read.name} has two features of one name")
        for order, feature in enumerate(getattr(read, which)):
            self.check_feature(feature)
            above = merged.get(feature.name.lower())
            self.check_override(feature, above, read)
            if above:
                self.inherit(feature, above)
            if feature.value("Key") and not feature.keyed_by:
                feature.keyed_by = (self.depth(read), order)
            self.check_described(feature)
            merged[feature.name.lower()] = feature
        return list(merged.values())

    def depth(self, read):
        parent = self.parent_of(read)
        return 1 + self.depth(parent) if parent else 0

    def inherit(self, feature, above):
        feature.origin = above.origin
        feature.keyed_by = above.keyed_by
        if feature.default is None:
            feature.default = above.default
        self.inherit_qualifiers(feature, above)
        for parameter, upper in zip(feature.members, above.members):
            self.inherit_qualifiers(parameter, upper)

    def inherit_qualifiers(self, element, above):
        for name, upper in above.qualifiers.items():
            flavors = self.declarations[name].flavors
            if "restricted" in flavors:
                continue
            own = element.qualifiers.setdefault(name, upper)
            if "disableoverride" in flavors and own.value != upper.value:
                raise MofError(own.where, f"{element.name}: {own.name} cannot be changed in a "
                               "descendant (DisableOverride)")

    def check_override(self, feature, above, read):
        named = feature.value("Override")
        if above is None and named is not None:
            raise MofError(feature.where, f"{feature.name} overrides {named}, which no ancestor of "
                           f"{read.name} has")
        if above is None:
            return
        if named is None or named.lower() != feature.name.lower():
            raise MofError(feature.where, f"{feature.name} is inherited from {above.origin}; to "
                           f'override it, say Override("{above.name}")')
        if not self.is_compatible(feature, above):
            raise MofError(feature.where, f"{feature.name} has not the type that it has in "
                           f"{above.origin} ({above.where})")

    def is_compatible(self, lower, upper):
        if (lower.kind, lower.type, lower.is_array) != (upper.kind, upper.type, upper.is_array):
            return False
        if lower.reference and not self.is_a(lower.reference, upper.reference):
            return False
        narrow, wide = lower.value("EmbeddedInstance"), upper.value("EmbeddedInstance")
        if narrow and wide and not self.is_a(narrow, wide):
            return False
        if len(lower.members) != len(upper.members):
            return False
        return all(mine.name.lower() == other.name.lower() and self.is_compatible(mine, other)
                   and all(mine.value(way) == other.value(way) for way in ("In", "Out"))
                   for mine, other in zip(lower.members, upper.members))

    @staticmethod
    def check_described(element):
        for each in [element] + (element.members if element.kind == "method" else []):
            if not each.value("Description"):
                raise MofError(each.where, f"{each.kind} {each.name} has no Description")

    def check_feature(self, feature):
        for element in [feature] + feature.members:
            self.check_qualifiers(element)
        if feature.default is not None and not fits(feature.default, feature.type):
            raise MofError(feature.where, f"{feature.name}: {feature.default!r} is no "
                           f"{feature.type}")
        names = [parameter.name.lower() for parameter in feature.members]
        if len(names) != len(set(names)):
            raise MofError(feature.where, f"method {feature.name} has two parameters of one name")
        for element in [feature] + feature.members:
            self.check_values(element)
            if element.reference:
                element.reference = self.known_class(element.reference, element.where,
                                                     element.name)

    def check_values(self, element):
        """ValueMap, Values, EmbeddedInstance."""
        numbers, names = element.value("ValueMap"), element.value("Values")
        if (numbers is None) != (names is None) or len(numbers or ()) != len(names or ()):
            raise MofError(element.where, f"{element.name}: ValueMap has {len(numbers or ())} "
                           f"items and Values {len(names or ())}")
        if len(set(numbers or ())) != len(numbers or ()):
            raise MofError(element.where, f"{element.name}: ValueMap has an item twice")
        for number in (numbers or ()) if element.type in INTEGERS else ():
            if not re.fullmatch(r"-?\d+", number) or not fits(int(number), element.type):
                raise MofError(element.where, f"{element.name}: '{number}' of ValueMap is no "
                               f"{element.type}")
        embedded = element.qualifiers.get("embeddedinstance")
        if embedded:
            if element.type != "string":
                raise MofError(embedded.where, f"{element.name} is no string; EmbeddedInstance is "
                               "of strings only")
            embedded.value = self.known_class(embedded.value, embedded.where, element.name)

    def check_qualifiers(self, element):
        for name, qualifier in element.qualifiers.items():
            declared = self.declarations.get(name)
            where, what = qualifier.where, f"qualifier {qualifier.name} of {element.name}"
            if not declared:
                raise MofError(where, f"{what} is not declared")
            if element.kind not in declared.scopes and "any" not in declared.scopes:
                raise MofError(where, f"{what}: it cannot be of a {element.kind}")
            if not qualifier.is_given and declared.type != "boolean":
                raise MofError(where, f"{what} has no value")
            if isinstance(qualifier.value, list) != declared.is_array:
                raise MofError(where, f"{what}: it has {'{...}' if declared.is_array else '(...)'}")
            for value in qualifier.value if declared.is_array else [qualifier.value]:
                if not fits(value, declared.type):
                    raise MofError(where, f"{what}: {value!r} is no {declared.type}")
            qualifier.name = declared.name

    def check_keys(self, read, parent):
        keys = [m for m in read.members if m.value("Key")]
        inherited = [m for m in parent.members if m.value("Key")] if parent else []
        if inherited and len(keys) != len(inherited):
            raise MofError(read.where, f"class {read.name} adds a key to those of {parent.name}")
        references = [m for m in read.members if m.type == "reference"]
        if read.kind != "association" and references:
            raise MofError(references[0].where, f"class {read.name} has a reference and is no "
                           "association")
        if read.kind == "association" and (len(references) < 2 or keys != references):
            raise MofError(read.where, f"association {read.name}: its keys must be its references, "
                           "two or more")
        for key in keys:
            if key.is_array or key.type in ("real32", "real64") or key.value("EmbeddedInstance"):
                raise MofError(key.where, f"{key.name} cannot be a key: it is an array, a real or "
                               "an embedded instance")
        if not read.value("Abstract") and not keys and parent is not None \
                and self.is_a(read.name, "CIM_ManagedElement"):
            raise MofError(read.where, f"class {read.name} has no key, and is not Abstract")

    def find_spaces(self):
        """By class, the namespaces: those where it stands, and where others of them need it."""
        spaces = {read.name: {read.namespace} for read in self.classes}
        is_changed = True
        while is_changed:
            is_changed = False
            for read in self.classes:
                for needed in self.needs(read):
                    if not spaces[read.name] <= spaces[needed]:
                        spaces[needed] |= spaces[read.name]
                        is_changed = True
        return spaces

    def needs(self, read):
        """The classes that a class names."""
        names = {self.parent_of(read).name} if read.parent else set()
        for feature in read.members + read.methods:
            for element in [feature] + feature.members:
                names |= {element.reference, element.value("EmbeddedInstance") or ""}
        return names - {""}


def model_of_texts(texts):
    """The model of (file name, text) pairs."""
    return Model([Reader(name, text).read() for name, text in texts])


def model_of_files(names):
    texts = []
    for name in names:
        with open(name, encoding="utf-8") as file:
            texts.append((name, file.read()))
    return model_of_texts(texts)
