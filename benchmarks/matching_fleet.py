"""A fleet and a world of advisories to match, made from the shared real data; one seed, one fleet.

Ranges: AlmaLinux and PyPA as their OSV records give them, Debian's DSA and DLA, the versions of
Debian 12's security pocket. Hosts: 35 % Debian 11, 30 % Debian 12, 17 % AlmaLinux 8, 18 % AlmaLinux
9, each in one of 60 roles of its system, patched up to a month of the last four years; of each
host's 400 packages some 16 are its own, 20 Python projects, 3 % are held back by two years. Names
and versions are real; what a host has, how old it is, and that every 16th role rebuilds its
packages (`+site3`) are assumptions.

    flat.parquet      host, ecosystem, package, version, arch, source   one row a package and host
    kinds.parquet     id and the same but the host                      distinct
    ids.parquet       host, id                                          sorted by host
    ranges.parquet    the fields of rows.Range
"""

import json
import random
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path

import duckdb

from answerable.exposure.keys import key
from answerable.feeds.publications.osv_export import OsvExport
from answerable.feeds.rows import Range
from answerable.kernel.errors import Refused

DATA = Path(__file__).parents[1].parent / "shared" / "data"
SEED, MONTHS, ROLES = 20_261_122, 48, 60
SYSTEMS = (("debian:11", 35), ("debian:12", 30), ("almalinux:8", 17), ("almalinux:9", 18))
BASE, ROLE, PYTHON, OWN, SITES = 200, 165, 20, 17, 4
"""Packages of a host: of its system, of its role, Python projects, its own. 400 together."""
_RELEASES = {"buster": "10", "bullseye": "11", "bookworm": "12", "trixie": "13"}
Ladder = list[tuple[int, str]]
"""Versions of a package, each from a month on."""
Rows = list[tuple[object, ...]]


def ranges() -> Iterator[Range]:
    """Give what the shared data says of packages."""
    for channel, name in (("osv/almalinux", "osv_almalinux"), ("osv/pypi", "osv_pypa")):
        file = DATA / f"{name}.jsonl.zst"
        for row in OsvExport(channel, (file.name,)).read(file, file.name):
            if isinstance(row, Range):
                yield row
    notices = duckdb.read_parquet(f"{DATA}/debian_dsa_dla.parquet").order("id")
    for name, cves, fixed in notices.project("id, cves, unnest(fixed)").fetchall():
        codename, source, version = fixed.split(" ")
        release = _RELEASES.get(codename, codename)
        yield Range("debian", name, f"debian:{release}", source, "source", "affected", "", version,
                    "", tuple(cves), "unknown", 0, 0, 0)  # fmt: skip
    delta = duckdb.read_parquet(f"{DATA}/debian_bookworm_apt_delta.parquet")
    pocket = delta.filter("security_version is not null").project("source, security_version")
    for source, version in sorted(set(pocket.fetchall())):
        yield Range("debian", f"{source}@{version}", "debian:12", source, "source", "affected", "",
                    version, "", (), "unknown", 0, 0, 0)  # fmt: skip


def write_ranges(folder: Path, rows: list[Range]) -> Path:
    """Write ranges as a world snapshot has them."""
    lines, out = folder / "ranges.jsonl", folder / "ranges.parquet"
    lines.write_text("".join(json.dumps(asdict(row)) + "\n" for row in rows))
    duckdb.sql(f"copy (from read_json('{lines}')) to '{out}' (format parquet)")
    lines.unlink()
    return out


def sound(ecosystem: str, version: str) -> bytes | None:
    """Give a version's key, or nothing if it has none."""
    try:
        return key(ecosystem, version)
    except Refused:
        return None


def _ladder(ecosystem: str, versions: set[str], chance: random.Random) -> Ladder:
    keyed = sorted((k, v) for v in versions if (k := sound(ecosystem, v)) is not None)
    months = sorted(chance.randrange(MONTHS) for _ in keyed)
    return [(-1 if n == 0 else month, v) for n, (month, (_, v)) in
            enumerate(zip(months, keyed, strict=True))]  # fmt: skip


def _catalogue(rows: list[Range]) -> dict[str, dict[str, tuple[str, str, set[str]]]]:
    """Give by ecosystem and package: architecture, source, versions."""
    fixed: dict[tuple[str, str], set[str]] = {}
    for row in rows:
        if row.fixed:
            fixed.setdefault((row.ecosystem, row.package), set()).add(row.fixed)
    found: dict[str, dict[str, tuple[str, str, set[str]]]] = {"debian:11": {}, "debian:12": {}}
    names = "package, source, arch, main_version, updates_version, security_version"
    pocket = duckdb.read_parquet(f"{DATA}/debian_bookworm_apt_delta.parquet").project(names)
    for package, source, arch, main, *newer in pocket.order("package").fetchall():
        older = set[str]().union(*(fixed.get((f"debian:{n}", source), set()) for n in ("10", "11")))
        older = older or {v for v in (main, *newer) if v}
        own = {v for v in (main, *newer) if v} | fixed.get(("debian:12", source), set())
        found["debian:11"][package] = arch, source, older
        found["debian:12"][package] = arch, source, own
    for (ecosystem, package), versions in sorted(fixed.items()):
        if ecosystem in ("almalinux:8", "almalinux:9", "pypi"):
            arch = "cp311" if ecosystem == "pypi" else "x86_64"
            found.setdefault(ecosystem, {})[package] = arch, package, versions
    return found


def _tables(database: duckdb.DuckDBPyConnection, rows: list[Range], chance: random.Random) -> None:
    """Make `what` (a package), `rung` (its versions), `has` (of roles), `places` (how many)."""
    what, rungs, has, places = Rows(), Rows(), Rows(), dict[str, int]()
    for ecosystem, packages in _catalogue(rows).items():
        for place, (package, (arch, source, versions)) in enumerate(sorted(packages.items())):
            what.append((ecosystem, place, package, arch, source))
            ladder = _ladder(ecosystem, versions, chance)
            rungs += [(len(rungs) + n, ecosystem, place, *rung) for n, rung in enumerate(ladder)]
        places[ecosystem] = len(packages)
    for system, _ in SYSTEMS:
        base = chance.sample(range(places[system]), BASE)
        others = sorted(set(range(places[system])) - set(base))
        for role in range(ROLES):
            has += [(system, role, system, p) for p in base + chance.sample(others, ROLE)]
            python = chance.sample(range(places["pypi"]), PYTHON)
            has += [(system, role, "pypi", p) for p in python]
    _insert(database, "what(ecosystem, place, package, arch, source)", what)
    _insert(database, "rung(id, ecosystem, place, since, version)", rungs)
    _insert(database, "has(system, role, ecosystem, place)", has)
    _insert(database, "places(ecosystem, count)", list(places.items()))


def _insert(
    database: duckdb.DuckDBPyConnection, table: str, rows: list[tuple[object, ...]]
) -> None:
    name, _, columns = table.rstrip(")").partition("(")
    parts = ", ".join(f"unnest(?) as {column.strip()}" for column in columns.split(","))
    database.execute(
        f"create table {name} as select {parts}", list(map(list, zip(*rows, strict=True)))
    )


def _hosts(chance: random.Random, count: int) -> Rows:
    names = [name for name, _ in SYSTEMS]
    weights = [weight for _, weight in SYSTEMS]
    rows = Rows()
    for number in range(count):
        role = chance.randrange(ROLES)
        month = MONTHS - 1 - min(MONTHS - 1, int(chance.expovariate(1 / 8)))
        site = role // 16 if role % 16 == 0 else 0  # at most 3, below SITES
        rows.append((number, f"h{number:06d}", *chance.choices(names, weights), role, month, site))
    return rows


_FLEET = f"""
create table stock as
select ecosystem, place, month, arg_max(id, since) as rung
from rung, range({MONTHS}) m(month) where since <= month group by all;
create table fleet as
with has_all as (
    select h.number, h.month, h.site, a.ecosystem, a.place
    from host h join has a using (system, role)
    union
    select h.number, h.month, h.site, h.system, (h.number * 7919 + n * 104729 + 13) % p.count
    from host h join places p on p.ecosystem = h.system, range({OWN}) r(n)
), dated as (
    select number, ecosystem, place, site, case when (number * 31 + place * 17) % 33 = 0
        then greatest(0, month - 24) else month end as month from has_all
)
select d.number::uinteger as host, (s.rung * {SITES} + d.site)::uinteger as id
from dated d join stock s using (ecosystem, place, month) order by host, id;
create table kind as
select f.id, w.ecosystem, w.package,
    r.version || case when f.id % {SITES} = 0 then '' else '+site' || f.id % {SITES} end as version,
    w.arch, w.source
from (select distinct id from fleet) f join rung r on r.id = f.id // {SITES}
join what w using (ecosystem, place);
"""  # noqa: S608  our own numbers


_FLAT = """
select h.name as host, k.* exclude (id) from fleet f join kind k using (id)
join host h on h.number = f.host
"""


def make(folder: Path, hosts: int) -> dict[str, int]:
    """Write the four files; give how much is in them."""
    folder.mkdir(parents=True, exist_ok=True)
    chance, rows = random.Random(SEED), list(ranges())
    write_ranges(folder, rows)
    with duckdb.connect(config={"memory_limit": "6GB", "temp_directory": str(folder)}) as database:
        database.execute("set enable_progress_bar = false")
        _tables(database, rows, chance)
        _insert(database, "host(number, name, system, role, month, site)", _hosts(chance, hosts))
        database.execute(_FLEET)
        for name, query in (
            ("ids", "from fleet"),
            ("kinds", "from kind order by id"),
            ("flat", _FLAT),
        ):  # fmt: skip
            out = folder / f"{name}.parquet"
            database.execute(f"copy ({query}) to '{out}' (format parquet, compression zstd)")
        counts = database.execute(
            "select count(*), count(distinct id), count(distinct host) from fleet"
        ).fetchone()
    assert counts
    names = ("rows", "kinds", "hosts")
    return {**dict(zip(names, counts, strict=True)), "ranges": len(rows)}
