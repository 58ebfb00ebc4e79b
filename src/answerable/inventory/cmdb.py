"""What a CMDB says of hosts: a table in CSV, or JSON.

    host,zones,owner,ecosystem,package,version,arch,source,source_version
    web1,web;eu,shop,debian:12,libssl3,3.0.15-1~deb12u1,amd64,openssl,

    [{"host":"web1","zones":["web"],"owner":"shop","packages":[
      {"ecosystem":"debian:12","package":"libssl3","version":"3.0.15-1~deb12u1"},
      "pkg:npm/minimist@1.2.5"]}]

A column `purl` may stand for all from `ecosystem` on; columns that nobody knows are passed over,
and `columns` says what known ones are called in this table. Rules: a host without zones counts as
every zone; a host without packages is one that nobody looked at, not one with nothing on it; what
has no sound ecosystem, name or version is a `Gap` of its host. Lines of a host need not stand
together.

Left out: what else a CMDB knows; asking one over the network.
"""

import csv
import io
import json
import re
from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

from answerable.inventory.installed import (
    EVERYWHERE,
    Found,
    Gap,
    Installed,
    Unreadable,
    gathered,
)
from answerable.inventory.purl import package

TABLE = 512 << 20
"""Largest table, bytes."""
ROWS = 20_000_000
"""Most lines of a table, or packages of a document."""
FIELD = 8_192
"""Longest field, characters."""
COLUMNS = ("host", "zones", "owner", "ecosystem", "package", "version", "arch", "source",
           "source_version", "purl")  # fmt: skip
_HOST = re.compile(r"[a-z0-9][a-z0-9._-]{0,63}")
_ZONE = re.compile(r"[a-z0-9][a-z0-9._-]{0,63}|\*")
_ECOSYSTEM = re.compile(r"[a-z0-9][a-z0-9 .+-]{0,63}(?::[a-z0-9][a-z0-9.+_-]{0,63})?")
_WORD = re.compile(r"[^\x00-\x20\x7f]{1,255}")
_BETWEEN = re.compile(r"[;, |]+")


class Listed(NamedTuple):
    """A host as a CMDB knows it; `found` is None if it names no package at all."""

    host: str
    zones: frozenset[str]
    owner: str
    found: Found | None


class _Host(NamedTuple):
    zones: set[str]
    owners: set[str]
    rows: list[Installed | Gap]


def read(data: bytes, columns: Mapping[str, str] | None = None) -> tuple[Listed, ...]:
    """Read a table or document.

    Args:
        columns: what known columns are called in this table: `{"host": "installed_on"}`.

    Raises:
        Unreadable: none of it, damaged, too large, or a host without a sound name.
    """
    if len(data) > TABLE:
        raise Unreadable(f"a table of more than {TABLE} bytes")
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise Unreadable("a table that is not in UTF-8: save it so") from error
    hosts: dict[str, _Host] = {}
    lines = _json(text) if text.lstrip()[:1] in ("[", "{") else _csv(text, columns or {})
    for count, (place, row) in enumerate(lines):
        if count > ROWS:
            raise Unreadable(f"a table of more than {ROWS} lines")
        _take(hosts, place, row)
    if not hosts:
        raise Unreadable("a table that names no host")
    return tuple(
        Listed(name, frozenset(h.zones) or EVERYWHERE, min(h.owners, default=""),
               gathered(h.rows) if h.rows else None)
        for name, h in sorted(hosts.items())
    )  # fmt: skip


def _take(hosts: dict[str, _Host], place: str, row: Mapping[str, Any]) -> None:
    name, owner, zones = (row.get(key) or "" for key in ("host", "owner", "zones"))
    if not isinstance(name, str) or not _HOST.fullmatch(name.strip().lower()):
        raise Unreadable(f"{place}: `{name!r:.100}` is no host's name")
    listed = _BETWEEN.split(zones.strip()) if isinstance(zones, str) else zones
    if not isinstance(listed, list):
        raise Unreadable(f"{place}: `zones` is no list")
    labels = {str(zone).lower() for zone in listed if zone}
    if not all(map(_ZONE.fullmatch, labels)) or not isinstance(owner, str) or len(owner) > FIELD:
        raise Unreadable(f"{place}: no sound zones or owner")
    host = hosts.setdefault(name.strip().lower(), _Host(set(), set(), []))
    host.zones.update(labels)
    host.owners.update([owner.strip()] if owner.strip() else [])
    if found := _package(row):
        host.rows.append(found)


def _package(row: Mapping[str, Any]) -> Installed | Gap | None:
    if purl := row.get("purl"):
        return package(str(purl)[:FIELD])
    ecosystem, name, version, arch, source, made = (
        str(row.get(key) or "").strip()[:FIELD]
        for key in ("ecosystem", "package", "version", "arch", "source", "source_version")
    )
    if not (ecosystem or name or version):
        return None
    if not _ECOSYSTEM.fullmatch(ecosystem.lower()):
        return Gap(f"{name} {version}".strip()[:512], "no ecosystem that is known by its form")
    words = (name, version, source or name, made or version)
    if not all(map(_WORD.fullmatch, words)):
        return Gap(f"{name} {version}".strip()[:512], "no sound name or version")
    made = "" if made == version else made
    return Installed(ecosystem.lower(), name, version, arch[:32], source or name,
                     source_version=made)  # fmt: skip


def _csv(text: str, columns: Mapping[str, str]) -> Iterator[tuple[str, dict[str, str]]]:
    head = text.partition("\n")[0]
    comma = max(",;\t", key=head.count)
    called = {columns.get(name, name).strip().lower(): name for name in COLUMNS}
    try:
        lines = csv.reader(io.StringIO(text, newline=""), delimiter=comma, strict=True)
        names = [called.get(name.strip().lower(), "") for name in next(lines, [])]
        if "host" not in names:
            wanted = columns.get("host", "host")
            raise Unreadable(f"a table without a column `{wanted}`: say what it is called")
        for line in lines:
            if any(line):
                if len(line) != len(names):
                    raise Unreadable(f"line {lines.line_num}: {len(line)} fields, not {len(names)}")
                row = {name: value for name, value in zip(names, line, strict=True) if name}
                yield f"line {lines.line_num}", row
    except csv.Error as error:
        raise Unreadable(f"no whole table in CSV: {error}") from error


def _json(text: str) -> Iterator[tuple[str, dict[str, Any]]]:
    try:
        document = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise Unreadable("no whole JSON; export it anew") from error
    hosts = document.get("hosts") if isinstance(document, dict) else document
    if not isinstance(hosts, list):
        raise Unreadable("no list of hosts")
    for at, host in enumerate(hosts):
        place = f"host {at + 1}"
        packages = host.get("packages", []) if isinstance(host, dict) else None
        if not isinstance(packages, list):
            raise Unreadable(f"{place} of the list is of another shape")
        about = {key: host.get(key) for key in ("host", "zones", "owner")}
        yield place, about
        for one in packages:
            if not isinstance(one, dict | str):
                raise Unreadable(f"{place}: a package of another shape")
            yield place, {**({"purl": one} if isinstance(one, str) else one), **about}
