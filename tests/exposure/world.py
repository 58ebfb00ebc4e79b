"""Small random worlds and fleets, and the plainest way to match them."""

import json
import random
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path

import duckdb

from answerable.exposure.keys import key
from answerable.feeds.rows import Level, Range, Status
from answerable.inventory.installed import Installed, Inventory
from answerable.kernel.errors import Refused

VERSIONS = {
    "debian:12": [
        "1.0-1", "1.0-1+deb12u1", "1:0.9-1", "1.0-2", "1.2-1~bpo12+1", "1.2-1", "2.0~rc1-1",
    ],
    "debian:sid": ["1.0-2", "1.2-1", "2.0-1"],
    "almalinux:9": ["1.0-1.el9", "1.0-2.el9", "1:1.0-1.el9", "1.0~rc1-1", "1.0^git1-1"],
    "pypi": ["1.0", "1.0rc1", "1.0.post1", "2.0", "10.0", "nonsense!"],
    "npm": ["1.0.0", "1.0.0-beta.2", "1.10.0", "2.0.0", "latest"],
    "packagist": ["1.0", "2.0"],
}  # fmt: skip
Found = set[tuple[str, int, str, tuple[str, ...]]]
"""Host, number of the row, package as it is installed with its version, flaws."""


def row(ecosystem: str, package: str, **what: object) -> Range:
    """Give a range; what is not said is empty."""
    fields: dict[str, object] = {
        "channel": "a", "advisory": "A-1", "ecosystem": ecosystem, "package": package,
        "level": "source", "status": "affected", "introduced": "", "fixed": "", "last": "",
        "cves": (), "urgency": "unknown", "published": 0, "modified": 0, "withdrawn": 0,
    }  # fmt: skip
    return Range(**{**fields, **what})  # type: ignore[arg-type]


def world(chance: random.Random, count: int) -> list[Range]:
    """Give rows of three channels that agree and disagree."""
    statuses: list[Status] = [
        "affected", "affected", "affected", "affected", "affected", "affected", "not_affected",
        "not_affected", "end_of_life",
    ]  # fmt: skip
    levels: list[Level] = ["source", "binary"]
    rows = []
    for number in range(count):
        ecosystem = chance.choice(list(VERSIONS))
        ends = ["", "", *VERSIONS[ecosystem]]
        first = chance.choice(["", "0", *VERSIONS[ecosystem]])
        fixed, last = chance.choice([(chance.choice(ends), ""), ("", chance.choice(ends))])
        cves = tuple(sorted(chance.sample(["CVE-1", "CVE-2", "CVE-3"], chance.randrange(3))))
        rows.append(
            row(
                ecosystem, f"p{chance.randrange(3)}", channel=chance.choice("abc"),
                advisory=f"A-{number % 9}", level=chance.choice(levels),
                status=chance.choice(statuses), introduced=first, fixed=fixed, last=last,
                cves=cves, withdrawn=int(chance.random() < 0.1),
            )
        )  # fmt: skip
    return rows


def fleet(chance: random.Random, hosts: int) -> list[Inventory]:
    """Give hosts with packages of every ecosystem."""
    found = []
    for number in range(hosts):
        packages = {}
        for _ in range(chance.randrange(8)):
            ecosystem = chance.choice(list(VERSIONS))
            version, built_as = (chance.choice(VERSIONS[ecosystem]) for _ in "ab")
            name, source = (f"p{chance.randrange(3)}" for _ in "ab")
            one = Installed(
                ecosystem, name, version, "any", chance.choice([source, name, ""]),
                source_version=chance.choice(["", built_as]),
            )  # fmt: skip
            packages[ecosystem, name, version] = one
        rows = tuple(packages[place] for place in sorted(packages))
        found.append(Inventory(f"h{number}", "ab" * 32, frozenset({"web"}), rows))
    return found


def plainly(rows: Sequence[Range], inventories: Sequence[Inventory]) -> Found:
    """Compare every row with every package of every host, rule by rule."""
    found: Found = set()
    for inventory in inventories:
        for package in inventory.packages:
            applying = [n for n, each in enumerate(rows) if _applies(each, package)]
            for number in applying:
                cleared = {
                    (rows[n].channel, flaw)
                    for n in applying if rows[n].status == "not_affected"
                    for flaw in rows[n].cves or (rows[n].advisory,)
                }  # fmt: skip
                mine = rows[number]
                flaws = tuple(
                    f for f in mine.cves or (mine.advisory,) if (mine.channel, f) not in cleared
                )
                if mine.status != "not_affected" and flaws:
                    found.add((inventory.host, number, named(package), flaws))
    return found


def named(package: Installed) -> str:
    """Spell a package so that two are told apart."""
    return f"{package.ecosystem} {package.package} {package.version}"


def _applies(each: Range, package: Installed) -> bool:
    built_as = package.source_version or package.version
    try:
        own, source = key(package.ecosystem, package.version), key(package.ecosystem, built_as)
        low = key(each.ecosystem, each.introduced) if each.introduced not in ("", "0") else b""
        fixed = key(each.ecosystem, each.fixed) if each.fixed else None
        last = key(each.ecosystem, each.last) if each.last and not each.fixed else None
    except Refused:
        return False
    backport = package.ecosystem == "debian:12" and "~bpo12+" in built_as
    there = each.ecosystem in (package.ecosystem, "debian:sid" if backport else "")
    if each.level == "source":
        name, version = package.source or package.package, source
    else:
        name, version = package.package, own
    below = (fixed is None or version < fixed) and (last is None or version <= last)
    return there and each.package == name and low <= version and below and not each.withdrawn


def write_ranges(file: Path, rows: Sequence[Range]) -> None:
    """Write rows as a world's snapshot has them."""
    _write(file, [asdict(each) for each in rows])


def write_flat(file: Path, inventories: Sequence[Inventory]) -> None:
    """Write a fleet as one row for each package of each host."""
    rows = [
        {"host": inventory.host, **asdict(package)}
        for inventory in inventories
        for package in inventory.packages
    ]
    _write(file, rows)


def write_split(folder: Path, inventories: Sequence[Inventory]) -> tuple[Path, Path]:
    """Write a fleet as packages with ids, and who has which."""
    ids: dict[Installed, int] = {}
    hosts = [
        {"host": number, "id": ids.setdefault(package, len(ids))}
        for number, inventory in enumerate(inventories)
        for package in inventory.packages
    ]
    _write(folder / "kinds.parquet", [{"id": n, **asdict(p)} for p, n in ids.items()])
    _write(folder / "ids.parquet", hosts)
    return folder / "kinds.parquet", folder / "ids.parquet"


def _write(file: Path, rows: Sequence[Mapping[str, object]]) -> None:
    lines = file.with_suffix(".jsonl")
    lines.write_text("".join(json.dumps(each) + "\n" for each in rows))
    duckdb.read_json(str(lines)).write_parquet(str(file))
