"""The publication `csaf/..`: advisories and VEX in CSAF 2.0, as Red Hat and SUSE serve them.

    https://security.access.redhat.com/data/csaf/v2/vex/changes.csv      then each document
    https://ftp.suse.com/pub/projects/security/csaf-vex/index.txt        the same
    an archive of documents (`csaf_vex_2026-11-20.tar.zst`)

Format: OASIS, Common Security Advisory Framework 2.0, sections 3.2.2 (product tree) and 3.2.3
(vulnerabilities); section 7.1.11 and 7.1.12 (`index.txt`, `changes.csv`).

    {"document":{"category":"csaf_vex","csaf_version":"2.0","tracking":{"id":"CVE-2024-1", ..}},
     "product_tree":{"branches":[
        {"category":"product_name","product":{"product_id":"BaseOS-9.4","product_identification_helper":
           {"cpe":"cpe:/o:redhat:enterprise_linux:9::baseos"}}},
        {"category":"product_version","product":{"product_id":"curl-0:7.76.1-29.el9_4.x86_64",
           "product_identification_helper":{"purl":"pkg:rpm/redhat/curl@7.76.1-29.el9_4?arch=x86_64"}}}],
       "relationships":[{"category":"default_component_of","product_reference":"curl-0:..",
           "relates_to_product_reference":"BaseOS-9.4",
           "full_product_name":{"product_id":"BaseOS-9.4:curl-0:.."}}]},
     "vulnerabilities":[{"cve":"CVE-2024-1","product_status":{"fixed":["BaseOS-9.4:curl-0:.."]}}]}

Rules:

1. A row is made for a package on a platform that hosts of the fleet can be: the platform by its CPE
   (`PLATFORMS`), the package by its purl of type rpm, else by its name. Other products say nothing
   about packages, so they give no range.
2. `fixed`, `first_fixed` and `recommended` end a range with their version. `known_affected` is a
   range without an end, unless the same package has a fixed version there, and it is not said of
   one stream of a module (`pkg:rpmmod/redhat/nodejs:20/nodejs`); what nobody will mend
   because it is out of support is `end_of_life`.
   `known_not_affected` is the publisher's word for it. `under_investigation` is silence.
3. Several products are one release to a host: modules of a service pack, streams of a module, what
   is paid for longer. If one of them says `affected`, or is still looked into, no other one's
   `known_not_affected` counts for the package: it may be this one that the host has.
4. A version is `[epoch:]version-release`, without an epoch of 0.
5. A document without a flaw is a document (some are); it is not `empty` if its category says so.

Left out: signatures of the documents (`.asc`), remediations as text, `first_affected`, containers,
which stream of a module a row is about, Red Hat's products for which a customer pays apart (EUS:
its hosts are behind the fix of the common release as well), SUSE's products that bring a host's
packages under a version of their own (Manager, Storage, OpenStack, CaaSP).
"""

import csv
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final
from urllib.parse import parse_qs, unquote

from answerable.feeds.documents.fetch import sane
from answerable.feeds.documents.unpacked import stream
from answerable.feeds.documents.values import values
from answerable.feeds.publication import (
    DOCUMENTS,
    NAME,
    TEXT,
    Listed,
    Listing,
    Reading,
    is_cve,
    plain,
    rated,
    time_of,
    well_formed,
    word,
)
from answerable.feeds.rows import Claim, Field, Level, Range, Row, Status
from answerable.feeds.source import MIB, State, Unusable

RECORD: Final = 64 * MIB
"""Longest document, characters: those about the kernel name every product there is."""
DEPTH: Final = 32
"""Deepest branch of a product tree."""
PLATFORMS: Final = (
    (re.compile(r"cpe:/[oa]:redhat:enterprise_linux:(\d+)(?:::.*)?"), "redhat:{0}"),
    (
        re.compile(
            r"cpe:/o:suse:(?:suse[-_])?(?:sle[ds]?(?:[-_][\w.-]+)?|packagehub[\w.-]*)"
            r":(\d+)(?::sp(\d+))?(?::.*)?"
        ),
        "sles:{0}.{1}",
    ),
    (re.compile(r"cpe:/o:suse:(?:sle?-micro|suse-microos):(\d+)\.(\d+)(?::.*)?"), "sles:{0}.{1}"),
    (re.compile(r"cpe:/o:opensuse:leap:(\d+)\.(\d+)"), "opensuse-leap:{0}.{1}"),
    (re.compile(r"cpe:/o:opensuse:tumbleweed(?::.*)?"), "opensuse-tumbleweed:rolling"),
)
"""Platforms by their CPE, and the ecosystem that each is; a number that is not there is 0."""
_FIXED = ("fixed", "first_fixed", "recommended")
_INDEX = 64 * MIB
_RPM = re.compile(r"pkg:rpm/(?:[^/@?#]+/)?([^/@?#]+)(?:@([^?#]+))?(?:\?([^#]+))?(?:#.*)?")
_MODULE = re.compile(r"pkg:rpmmod/(?:[^/@?#]+/)?([^/@?#:]+:[^/@?#:]+)/([^/@?#]+)")
_FLATPAK = ":flatpak"
_NEVRA = re.compile(
    r"(.+)-(?:(\d+):)?([^-:]+-[^-:]+?)(?:\.(src|nosrc|noarch|x86_64|aarch64(?:_ilp32)?|armv\d\w*"
    r"|i[3-6]86|ia64|loongarch64|ppc(?:64(?:le)?)?|riscv64|s390x?))?"
)
_UNSUPPORTED = "out of support scope"
_FLAWLESS = frozenset(
    {"csaf_base", "csaf_informational_advisory", "csaf_security_incident_response"}
)
Json = Any


@dataclass(frozen=True, slots=True)
class Component:
    """A package, the version that a product reference names, and the module's stream, if any."""

    name: str
    level: Level
    version: str
    stream: str = ""


@dataclass
class Tree:
    """The product tree of a document: what each product id stands for."""

    platforms: dict[str, str] = field(default_factory=dict)
    parts: dict[str, Component | None] = field(default_factory=dict)
    pairs: dict[str, tuple[str, str]] = field(default_factory=dict)

    def ecosystem(self, product: str, depth: int = 4) -> str:
        """Give the ecosystem of a platform, or of the platform that a module is part of."""
        if product in self.platforms or not depth or product not in self.pairs:
            return self.platforms.get(product, "")
        return self.ecosystem(self.pairs[product][1], depth - 1)

    def resolve(self, product: str, *, versioned: bool) -> tuple[str, Component] | None:
        """Give ecosystem and package of a product, if both are known."""
        part, platform = self.pairs.get(product) or self._split(product)
        ecosystem = self.ecosystem(platform)
        if not ecosystem:
            return None
        found = self.parts[part] if part in self.parts else _by_name(part, versioned=versioned)
        if found is None or (versioned and not found.version):
            return None
        return ecosystem, found

    def _split(self, product: str) -> tuple[str, str]:
        """Some documents relate nothing and only write `<platform>:<package>`."""
        at = product.find(":")
        while at >= 0:
            if product[:at] in self.platforms:
                return product[at + 1 :], product[:at]
            at = product.find(":", at + 1)
        return "", ""


@dataclass(frozen=True)
class Csaf:
    """The adapter.

    Args:
        channel: such as `csaf/redhat`.
        index: `changes.csv` or `index.txt` below the place it is fetched from; or empty.
        files: the documents' or archives' names, if there is no index.
    """

    channel: str
    index: str = ""
    files: tuple[str, ...] = ()
    limit: int = 1024 * MIB

    def listing(self, index: Path | None, source: str) -> Listing:
        """Name the documents.

        Raises:
            Unusable: the index is `empty`, `malformed` or `oversized`.
        """
        if index is None:
            return Listing(tuple(map(Listed, self.files)))
        lines = _lines(index, source)
        found = [_listed(row, source) for row in csv.reader(lines) if row]
        if not found:
            raise Unusable(State.EMPTY, source, "it names no document")
        if len(found) > DOCUMENTS:
            raise Unusable(State.OVERSIZED, source, f"it names {len(found)} documents")
        newest = max(time_of(each.stamp) for each in found)
        return Listing(tuple({each.path: each for each in found}.values()), newest)

    def read(self, file: Path, source: str) -> Reading:
        """Give the state of each flaw in each package, and what is said of the flaw.

        Raises:
            Unusable: see the port.
        """
        newest, flawless, rows = 0, False, 0
        for document in values(file, source, RECORD):
            head = document.get("document") if isinstance(document, dict) else None
            with well_formed(source, "document"):
                newest = max(newest, time_of(head["tracking"]["current_release_date"]))  # type: ignore[index]
                flawless = flawless or head["category"] in _FLAWLESS  # type: ignore[index]
                for row in self._of(document):
                    rows += 1
                    yield row
        if not rows and not flawless:
            raise Unusable(State.EMPTY, source, "nothing in it concerns any version or flaw")
        return newest

    def _of(self, document: Json) -> Iterator[Row]:
        tree, head = _tree(document.get("product_tree") or {}), document["document"]
        tracking = head["tracking"]
        modified = time_of(tracking["current_release_date"])
        withdrawn = modified if head["category"] == "csaf_withdrawn" else 0
        dates = time_of(tracking["initial_release_date"]), modified, withdrawn
        for flaw in document.get("vulnerabilities") or ():
            name = flaw.get("cve", "")
            yield from self._ranges(word(tracking["id"]), flaw, tree, _urgency(flaw, head), dates)
            if is_cve(name) and not withdrawn:
                for said, value in _said(flaw, head):
                    if value:
                        yield Claim(self.channel, name, said, value, modified)

    def _ranges(
        self, advisory: str, flaw: Json, tree: Tree, urgency: str, dates: tuple[int, int, int]
    ) -> Iterator[Range]:
        cves = (flaw["cve"],) if is_cve(flaw.get("cve", "")) else ()
        seen, mended, doubtful = set(), set(), _looked_into(flaw, tree)
        for status, product, versioned in _states(flaw):
            resolved = tree.resolve(product, versioned=versioned)
            if resolved is None:
                continue
            ecosystem, part = resolved
            fixed, package = part.version if versioned else "", (ecosystem, part.name, part.level)
            if versioned:
                mended.add(package)
            if status != "not_affected":
                doubtful.add(package[:2])
            place = (*package, status, fixed)
            endless = status == "affected" and not versioned and package in mended
            endless = endless and not part.stream  # another stream's fix is none of this one
            denied = status == "not_affected" and package[:2] in doubtful
            if place not in seen and not endless and not denied:  # one for all architectures
                seen.add(place)
                yield Range(
                    self.channel, advisory, ecosystem, part.name, part.level, status, "", fixed,
                    "", cves, urgency, *dates,
                )  # fmt: skip


def _lines(index: Path, source: str) -> list[str]:
    data = bytearray()
    for piece in stream(index, source):
        data += piece
        if len(data) > _INDEX:
            raise Unusable(State.OVERSIZED, source, f"an index above {_INDEX} bytes")
    try:
        return data.decode().splitlines()
    except UnicodeDecodeError as error:
        raise Unusable(State.MALFORMED, source, "no UTF-8") from error


def _listed(row: list[str], source: str) -> Listed:
    path, stamp = row[0], row[1] if len(row) > 1 else ""
    if not sane(path) or not path.endswith(".json") or len(stamp) > NAME:
        raise Unusable(State.MALFORMED, source, f"`{path[:80]!r}` is no path of a document")
    return Listed(path, stamp)


def _tree(tree: Json) -> Tree:
    found = Tree()
    for product in _products(tree.get("branches") or (), DEPTH):
        _add(found, product)
    for product in tree.get("full_product_names") or ():
        _add(found, product)
    for each in tree.get("relationships") or ():
        pair = each["product_reference"], each["relates_to_product_reference"]
        found.pairs[each["full_product_name"]["product_id"]] = pair
    return found


def _add(tree: Tree, product: Json) -> None:
    name, helper = product["product_id"], product.get("product_identification_helper") or {}
    for pattern, ecosystem in PLATFORMS:
        if found := pattern.fullmatch(helper.get("cpe") or ""):
            tree.platforms[name] = ecosystem.format(*found.groups("0"))
    if purl := helper.get("purl"):
        tree.parts[name] = _by_purl(purl)


def _products(branches: Iterable[Json], depth: int) -> Iterator[Json]:
    if not depth:
        raise ValueError(f"branches deeper than {DEPTH}")
    for branch in branches:
        if "product" in branch:
            yield branch["product"]
        yield from _products(branch.get("branches") or (), depth - 1)


def _by_purl(purl: str) -> Component | None:
    if module := _MODULE.fullmatch(unquote(purl)):  # a flatpak's packages are none of the host's
        known = not module[1].endswith(_FLATPAK)
        return Component(word(module[2]), "source", "", module[1]) if known else None
    found = _RPM.fullmatch(purl)
    if found is None:
        return None
    more = parse_qs(found[3] or "", max_num_fields=16)
    epoch = more.get("epoch", ["0"])[0]
    version = unquote(found[2] or "")
    level: Level = "source" if more.get("arch") == ["src"] else "binary"
    full = f"{epoch}:{version}" if version and epoch != "0" else version
    return Component(word(unquote(found[1])), level, word(full) if full else "")


def _by_name(text: str, *, versioned: bool) -> Component | None:
    """Without a purl: `curl-0:7.76.1-29.el9_4.x86_64`, or the name alone."""
    if not versioned:
        return Component(word(text), "binary", "") if text else None
    found = _NEVRA.fullmatch(text[: 2 * NAME])
    if found is None:
        return None
    version = f"{found[2]}:{found[3]}" if found[2] and found[2] != "0" else found[3]
    level: Level = "source" if found[4] in ("src", "nosrc") else "binary"
    return Component(word(found[1]), level, word(version))


def _looked_into(flaw: Json, tree: Tree) -> set[tuple[str, str]]:
    """Give ecosystem and name of packages of which some product does not know yet."""
    products = (flaw.get("product_status") or {}).get("under_investigation") or ()
    found = (tree.resolve(product, versioned=False) for product in products)
    return {(ecosystem, part.name) for ecosystem, part in filter(None, found)}


def _states(flaw: Json) -> Iterator[tuple[Status, str, bool]]:
    told = flaw.get("product_status") or {}
    for name in _FIXED:
        for product in told.get(name) or ():
            yield "affected", product, True
    unsupported = {
        product
        for remedy in flaw.get("remediations") or ()
        if str(remedy.get("details", "")).lower() == _UNSUPPORTED
        for product in remedy.get("product_ids") or ()
    }
    for product in told.get("known_affected") or ():
        yield "end_of_life" if product in unsupported else "affected", product, False
    for product in told.get("known_not_affected") or ():
        yield "not_affected", product, False


def _urgency(flaw: Json, head: Json) -> str:
    impacts = [t.get("details") for t in flaw.get("threats") or () if t.get("category") == "impact"]
    overall = (head.get("aggregate_severity") or {}).get("text")
    return next((u for u in map(rated, [*impacts, overall]) if u != "unknown"), "unknown")


def _said(flaw: Json, head: Json) -> Iterator[tuple[Field, str]]:
    notes = flaw.get("notes") or ()
    described = [n.get("text") for n in notes if n.get("category") in ("description", "general")]
    yield "title", plain(flaw.get("title") or head.get("title"))
    yield "description", plain(next(iter(described), ""), TEXT)
    yield "published", str(time_of(flaw.get("release_date")) or "")
    yield "cwe", plain((flaw.get("cwe") or {}).get("id"))
    scores = flaw.get("scores") or ()
    kinds = ("cvss_v4", "cvss_v3", "cvss_v2")
    found = {plain(s[kind].get("vectorString")) for s in scores for kind in kinds if kind in s}
    for vector in sorted(found - {""}):
        yield "cvss", vector
