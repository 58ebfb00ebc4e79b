"""Packages of a CycloneDX document, in JSON or XML.

Form: CycloneDX 1.2 to 1.6 (ECMA-424): `components`, nested to any depth, each with `type`, `name`,
`version`, `purl`; what the document itself describes (`metadata.component`) is no part of itself.
Verified on documents of syft 1.18 (JSON, XML), trivy 0.59 (JSON) and cyclonedx-py 7.5 (JSON).
Rules:

1. A component is placed by its package URL. One without is a `Gap`, but for those that hold others
   or are no software (files, a lock file, the operating system).
2. The release of the document's only operating system stands in for URLs that name none. Trivy's
   properties name the source package, which its URLs do not.
3. XML with a document type is refused: entities could grow without bound (billion laughs).

Left out: vulnerabilities (that is a feed's matter), services, licences, signatures in the document.
"""

import json
from collections.abc import Iterator, Mapping
from typing import Any
from xml.parsers import expat

from answerable.inventory import release
from answerable.inventory.installed import Found, Gap, Installed, Unreadable, gathered
from answerable.inventory.purl import package

DOCUMENT = 256 << 20
"""Largest document, bytes."""
COMPONENTS = 1_000_000
"""Most components of a document."""
DEEP = 64
"""Deepest nesting of XML elements."""
_HOLDERS = frozenset({"container", "data", "device", "file", "firmware", "operating-system"})
_TRIVY = {f"aquasecurity:trivy:Src{name}": name for name in ("Name", "Version", "Release", "Epoch")}
_TEXTS = frozenset({"group", "name", "version", "purl", "property"})

Component = Mapping[str, Any]


def claims(data: bytes) -> bool:
    """Tell whether bytes look like such a document."""
    head = data[:4096].lstrip(b"\xef\xbb\xbf \t\r\n")
    tail = data[-4096:]
    if head[:1] == b"{":
        return b'"CycloneDX"' in head or b'"CycloneDX"' in tail
    return head[:1] == b"<" and b"cyclonedx.org/schema/bom" in head


def read(data: bytes) -> Found:
    """Read a document.

    Raises:
        Unreadable: it is none, damaged, or too large.
    """
    if len(data) > DOCUMENT:
        raise Unreadable(f"a document of more than {DOCUMENT} bytes")
    top = _xml(data) if data.lstrip(b"\xef\xbb\xbf \t\r\n")[:1] == b"<" else _json(data)
    components = list(_flat(top))
    systems = {
        release.ecosystem(_text(c, "name"), _text(c, "version"))
        for c in components
        if c.get("type") == "operating-system"
    } - {""}
    system = systems.pop() if len(systems) == 1 else ""
    return gathered(row for c in components for row in _row(c, system))


def _json(data: bytes) -> list[Any]:
    try:
        document = json.loads(data)
    except (ValueError, RecursionError) as error:
        raise Unreadable(
            f"no whole JSON: {type(error).__name__}; make the document anew"
        ) from error
    if not isinstance(document, dict) or document.get("bomFormat") != "CycloneDX":
        raise Unreadable("no CycloneDX document: it lacks `bomFormat`")
    found = document.get("components", [])
    if not isinstance(found, list):
        raise Unreadable("`components` of the document is no list")
    return found


def _flat(top: list[Any]) -> Iterator[Component]:
    todo, count = list(reversed(top)), 0
    while todo:
        component = todo.pop()
        count += 1
        if not isinstance(component, dict) or count > COMPONENTS:
            raise Unreadable("a component that is none, or too many of them")
        inner = component.get("components")
        if inner:
            if not isinstance(inner, list):
                raise Unreadable("`components` of a component is no list")
            todo += reversed(inner)
        yield component


def _row(component: Component, system: str) -> Iterator[Installed | Gap]:
    purl = component.get("purl")
    if isinstance(purl, str) and purl:
        yield package(purl, system, _built(component))
        return
    kind, version = component.get("type"), _text(component, "version")
    if kind not in _HOLDERS and (version or kind != "application"):
        yield Gap(f"{_text(component, 'name')} {version}".strip(), "no package URL")


def _text(component: Component, name: str) -> str:
    value = component.get(name, "")
    return value[:256] if isinstance(value, str) else ""


def _built(component: Component) -> tuple[str, str]:
    said: dict[str, str] = {}
    listed = component.get("properties")
    for one in listed if isinstance(listed, list) else ():
        name = one.get("name") if isinstance(one, dict) else None
        if isinstance(name, str) and name in _TRIVY:
            said[_TRIVY[name]] = _text(one, "value")
    if not said:
        return "", ""
    version = said.get("Version", "")
    if version and said.get("Release"):
        version += f"-{said['Release']}"
    if version and said.get("Epoch", "0") != "0":
        version = f"{said['Epoch']}:{version}"
    return said.get("Name", ""), version


class _Components:
    """Collects the components of an XML document as JSON would spell them."""

    def __init__(self) -> None:
        self.top: list[dict[str, Any]] = []
        # Each open component after how many elements it stands in, so that a `name` deep inside,
        # of an ancestor in its pedigree, is not taken for its own.
        self._open: list[tuple[int, dict[str, Any]]] = []
        self._path: list[str] = []
        self._text: list[str] = []
        self._property, self._count = "", 0

    def start(self, name: str, attributes: dict[str, str]) -> None:
        tag, path = name[name.rfind(" ") + 1 :], self._path
        if not path and not (tag == "bom" and name.startswith("http://cyclonedx.org/schema/bom/")):
            raise Unreadable("no CycloneDX document")
        if len(path) >= DEEP:
            raise Unreadable("a document that is nested too deep")
        if tag == "component" and path[-1] == "components" == path[1]:
            self._begin(attributes.get("type", ""))
        elif tag == "property":
            self._property = attributes.get("name", "")
        path.append(tag)
        self._text.clear()

    def _begin(self, kind: str) -> None:
        self._count += 1
        if self._count > COMPONENTS:
            raise Unreadable("too many components")
        made: dict[str, Any] = {"type": kind, "properties": []}
        inside = self._open[-1][1].setdefault("components", []) if self._open else self.top
        inside.append(made)
        self._open.append((len(self._path), made))

    def text(self, data: str) -> None:
        if self._open and self._path[-1] in _TEXTS:
            self._text.append(data)

    def end(self, _name: str) -> None:
        tag = self._path.pop()
        if not self._open:
            return
        depth, made = self._open[-1]
        at = len(self._path) - depth
        if at == 0:
            self._open.pop()
        elif at == 1 and tag in _TEXTS:
            made[tag] = "".join(self._text).strip()
        elif at == 2 and tag == "property" and self._path[-1] == "properties":  # noqa: PLR2004
            value = "".join(self._text).strip()
            made["properties"].append({"name": self._property, "value": value})
        self._text.clear()


def _xml(data: bytes) -> list[Any]:
    # In UTF-8, whatever it declares: an encoding of its choice would be looked up among all codecs.
    parser, found = expat.ParserCreate("UTF-8", " "), _Components()
    parser.StartDoctypeDeclHandler = _refuse
    parser.StartElementHandler, parser.EndElementHandler = found.start, found.end
    parser.CharacterDataHandler, parser.buffer_text = found.text, True
    try:
        parser.Parse(data, True)  # noqa: FBT003  expat's own order
    except (expat.ExpatError, ValueError) as error:
        raise Unreadable(f"no whole XML: {error}; make the document anew") from error
    return found.top


def _refuse(*_: object) -> None:
    raise Unreadable("XML with a document type is not read: entities could grow without bound")
