"""Packages of an SPDX document, in JSON or tag-value form.

Form: SPDX 2.2 and 2.3 (ISO/IEC 5962): packages with a name, a version, and external references, of
which `purl` says what the package is. Verified on documents of syft 1.18 and trivy 0.59, each in
both forms. Rules:

1. A package is placed by its package URL. One without is a `Gap`, but for those that the document
   itself calls a container, file, source tree or operating system.
2. The release of the document's only operating system stands in for URLs that name none. Trivy's
   `built package from: NAME VERSION` names the source package, which its URLs do not.

Left out: relationships, files, licences; SPDX 3 (no generator at hand writes it), RDF and YAML.
"""

import json
import re
from collections.abc import Iterable, Iterator
from typing import Any, NamedTuple

from answerable.inventory import release
from answerable.inventory.installed import Found, Gap, Installed, Unreadable, gathered
from answerable.inventory.purl import package

DOCUMENT = 256 << 20
"""Largest document, bytes."""
PACKAGES = 1_000_000
"""Most packages of a document."""
_HOLDERS = frozenset({"CONTAINER", "FILE", "SOURCE", "OPERATING-SYSTEM", "ARCHIVE"})
_BUILT = re.compile(r"built package from: (\S{1,256}) (\S{1,256})")
_VERSION = re.compile(r"SPDX-2\.[23]")


class _Package(NamedTuple):
    name: str
    version: str
    purls: list[str]
    purpose: str
    made: str


def claims(data: bytes) -> bool:
    """Tell whether bytes look like such a document."""
    return b"SPDXVersion:" in data[:4096] or (
        data[:64].lstrip(b"\xef\xbb\xbf \t\r\n")[:1] == b"{"
        and (b'"spdxVersion"' in data[:4096] or b'"spdxVersion"' in data[-4096:])
    )


def read(data: bytes) -> Found:
    """Read a document.

    Raises:
        Unreadable: it is none, damaged, or too large.
    """
    if len(data) > DOCUMENT:
        raise Unreadable(f"a document of more than {DOCUMENT} bytes")
    is_json = data[:64].lstrip(b"\xef\xbb\xbf \t\r\n")[:1] == b"{"
    packages = list(_json(data) if is_json else _tags(data))
    systems = {
        release.ecosystem(p.name, p.version) for p in packages if p.purpose == "OPERATING-SYSTEM"
    } - {""}
    system = systems.pop() if len(systems) == 1 else ""
    return gathered(row for each in packages for row in _rows(each, system))


def _rows(one: _Package, system: str) -> Iterator[Installed | Gap]:
    said = _BUILT.fullmatch(one.made)
    built = (said[1], said[2]) if said else ("", "")
    for purl in one.purls:
        yield package(purl, system, built)
    if not one.purls and one.purpose not in _HOLDERS:
        yield Gap(f"{one.name} {one.version}".strip()[:512], "no package URL")


def _json(data: bytes) -> Iterator[_Package]:
    try:
        document = json.loads(data)
    except (ValueError, RecursionError) as error:
        raise Unreadable(
            f"no whole JSON: {type(error).__name__}; make the document anew"
        ) from error
    version = document.get("spdxVersion") if isinstance(document, dict) else None
    if not isinstance(version, str) or not _VERSION.fullmatch(version):
        raise Unreadable("no SPDX document of version 2.2 or 2.3")
    listed = document.get("packages", [])
    if not isinstance(listed, list) or len(listed) > PACKAGES:
        raise Unreadable("`packages` of the document is no list, or too long")
    for one in listed:
        if not isinstance(one, dict):
            raise Unreadable("a package that is none")
        references = one.get("externalRefs") or ()
        if not isinstance(references, list | tuple):
            raise Unreadable("`externalRefs` of a package is no list")
        yield _Package(
            _text(one, "name"), _text(one, "versionInfo"), list(_purls(references)),
            _text(one, "primaryPackagePurpose"), _text(one, "sourceInfo"),
        )  # fmt: skip


def _purls(references: Iterable[Any]) -> Iterator[str]:
    for one in references:
        if isinstance(one, dict) and one.get("referenceType") == "purl":
            yield _text(one, "referenceLocator", 8192)


def _text(one: dict[str, Any], name: str, most: int = 1024) -> str:
    value = one.get(name, "")
    return value[:most] if isinstance(value, str) else ""


def _tags(data: bytes) -> Iterator[_Package]:
    stanzas = _stanzas(data)
    version = next((value for tag, value in next(stanzas) if tag == "SPDXVersion"), "")
    if not _VERSION.fullmatch(version):
        raise Unreadable("no SPDX document of version 2.2 or 2.3")
    for count, stanza in enumerate(stanzas, 1):
        if count > PACKAGES:
            raise Unreadable("too many packages")
        said = dict(reversed(stanza))
        # category, type, locator
        words = (value.split(None, 2) for tag, value in stanza if tag == "ExternalRef")
        purls = [three[2] for three in words if three[1:2] == ["purl"] and three[2:]]
        names = ("PackageName", "PackageVersion", "PrimaryPackagePurpose", "PackageSourceInfo")
        name, at, purpose, made = (said.get(tag, "")[:1024] for tag in names)
        yield _Package(name, at, purls, purpose, made)


def _stanzas(data: bytes) -> Iterator[list[tuple[str, str]]]:
    stanza: list[tuple[str, str]] = []
    for tag, value in _lines(data):
        if tag == "PackageName":
            yield stanza
            stanza = []
        stanza.append((tag, value))
    yield stanza


def _lines(data: bytes) -> Iterator[tuple[str, str]]:
    lines = iter(data.decode(errors="replace").splitlines())
    for line in lines:
        tag, colon, value = line.partition(":")
        value = value.strip()
        if value.startswith("<text>"):
            while "</text>" not in value:
                more = next(lines, None)
                if more is None:
                    raise Unreadable(f"the text of `{tag[:64]}` has no end; it is cut short")
                # only what is read needs its words; the rest of a licence's text is dropped
                value = f"{value[:1024]}\n{more}"
            value = value.removeprefix("<text>").partition("</text>")[0].strip()
        if colon and not line.startswith("#"):
            yield tag, value
