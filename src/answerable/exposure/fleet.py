r"""All advisories on all hosts in one go, in DuckDB, from Parquet to Parquet.

The rules are those of applies.py, in SQL: versions become keys (keys.py) once for each distinct
one, then sort as bytes. A fleet comes in one of two forms:

* flat: one row for each package of each host, text only, as inventories of other systems come:
  `host, ecosystem, package, version, source` and, if it is there, `source_version`;
* split: `kinds`, the distinct packages with an `id`, and `ids`, rows of `host` and `id`.

    with Match(world / "ranges.parquet") as match:
        match.flat(fleet)               # or match.split(kinds, ids)
        match.per_host()                # (host, exposed packages, findings) of each that has any
        match.write(out)                # every finding: host, package, its row and flaws

Both forms and `ranges` are read where they lie, in bounded memory; what does not fit spills into
the folder that the caller names. What has no order is listed (`unordered`), on either side.

Left out: one advisory on all hosts, which the index answers in microseconds (index.py); hosts that
were not heard of for too long, which the caller cuts off.
"""

from pathlib import Path
from types import TracebackType
from typing import Any, Self

import duckdb

from answerable.exposure.keys import TOP, UNSTABLE, key
from answerable.kernel.errors import Refused, Unavailable

MEMORY = "1GB"
"""What DuckDB may use before it spills."""
_FAMILY = "concat(split_part(ecosystem, ':', 1), if(contains(ecosystem, ':'), ':', ''))"
_ROWS = f"""
create temp table row as
select file_row_number as n, channel, ecosystem, level, package, status, introduced, fixed, last,
    {_FAMILY} as family
from read_parquet($1, file_row_number = true) where withdrawn = 0
"""  # noqa: S608  our own names
_KINDS = f"""
create temp table kind as
select *, {_FAMILY} as family, coalesce(nullif(source, ''), package) as built_from,
    coalesce(nullif(source_version, ''), version) as built_as
from ({{}})
"""  # noqa: S608
_FLAT = """
select row_number() over () as id, * from (
    select distinct ecosystem, package, version, source, {} as source_version
    from read_parquet($1) f
)
"""
_SPLIT = """
select id, ecosystem, package, version, source, {} as source_version from read_parquet($1) f
"""
_VERSIONS = """
select family, version from kind
union select family, built_as from kind
union select family, unnest([introduced, fixed, last]) from row
"""
_KEYED = """
create temp table keyed as
select unnest($1) as family, unnest($2) as version, unnest($3::blob[]) as key
"""
# A package is looked up as itself and as its source, a backport in unstable as well (keys.places).
_PLACES = """
create temp table place as
with own_and_source as (
    select id, ecosystem, package, built_from, own.key as own, src.key as src,
        ecosystem like 'debian:%' and ecosystem <> $1
            and regexp_matches(built_as, '~bpo[0-9]+\\+') as backport
    from kind join keyed own using (family, version)
    join keyed src on src.family = kind.family and src.version = built_as
    where own.key is not null and src.key is not null
), named as (
    select id, ecosystem, 'binary' as level, package, own as key, backport from own_and_source
    union all select id, ecosystem, 'source', built_from, src, backport from own_and_source
)
select id, ecosystem, level, package, key from named
union all select id, $1, level, package, key from named where backport
"""
_SPANS = """
create temp table span as
select n, row.ecosystem, level, package, channel, status, row.introduced, row.fixed, row.last,
    if(introduced in ('', '0'), ''::blob, first.key) as low,
    case when fixed <> '' then above.key when last <> '' then final.key || '\\x00'::blob
        else $1::blob end as high
from row
left join keyed first on first.family = row.family and first.version = introduced
left join keyed above on above.family = row.family and above.version = fixed
left join keyed final on final.family = row.family and final.version = last
"""
_HITS = """
create temp table hit as
select id, n, channel, status from place join span using (ecosystem, level, package)
where key >= low and key < high
"""
_CLEARED = """
create temp table cleared as
select id, channel, list(distinct flaw) as flaws
from hit join (
    select file_row_number as n, unnest(if(len(cves) > 0, cves, [advisory])) as flaw
    from read_parquet($1, file_row_number = true) where withdrawn = 0 and status = 'not_affected'
) using (n) group by all
"""
_FINDINGS = """
create temp table finding as
select id, n, null::varchar[] as flaws from hit
where status <> 'not_affected' and (id, channel) not in (select (id, channel) from cleared)
union all
select id, n, flaws from (
    select hit.id, n, list_filter(
        if(len(cves) > 0, cves, [advisory]), lambda flaw: not list_contains(cleared.flaws, flaw)
    ) as flaws
    from hit join cleared using (id, channel)
    join (select file_row_number as n, cves, advisory
          from read_parquet($1, file_row_number = true)) using (n)
    where status <> 'not_affected'
) where len(flaws) > 0
"""
_COUNTED = "create temp table counted as select id, count(*) as findings from finding group by id"
_BY_HOST = "select host, count(*) as packages, sum(findings)::bigint as findings from"
_FLAT_HOSTS = f"""
{_BY_HOST} (
    select host, findings from read_parquet($1) f join (
        select ecosystem, package, version, source, source_version, findings
        from kind join counted using (id)
    ) k on f.package = k.package and f.version = k.version and f.source = k.source
        and f.ecosystem = k.ecosystem and {{}} = k.source_version
) group by host
"""  # noqa: S608
_SPLIT_HOSTS = f"{_BY_HOST} read_parquet($1) join counted using (id) group by host"
_OUT = """
select f.host, kind.ecosystem, kind.package, kind.version, kind.source, finding.n as row,
    span.status, coalesce(finding.flaws, if(len(r.cves) > 0, r.cves, [r.advisory])) as flaws
from {} f join kind using (id) join finding using (id) join span using (n)
join (select file_row_number as n, cves, advisory
      from read_parquet($2, file_row_number = true)) r using (n)
"""
_WITH_IDS = """(
    select f.host, k.id from read_parquet($1) f join kind k on f.package = k.package
    and f.version = k.version and f.source = k.source and f.ecosystem = k.ecosystem
    and {} = k.source_version
)"""


class Unmatched(Unavailable):
    """A file that is missing, damaged or has other columns, or too little room."""


class Match:
    """One match; use it in a `with`."""

    def __init__(self, ranges: Path, spill: Path | None = None) -> None:
        """Read what the world says.

        Args:
            ranges: Parquet with the fields of `rows.Range`.
            spill: where to put what does not fit in memory; without it that is an error.

        Raises:
            Unmatched: see there; so does every method.
        """
        self._ranges, self._fleet, self._hosts, self._each = str(ranges), "", "", ""
        config: dict[str, str | bool | int | float | list[str]] = {
            "memory_limit": MEMORY, "preserve_insertion_order": "false",
            "temp_directory": str(spill or ""), "autoinstall_known_extensions": "false",
            "autoload_known_extensions": "false",
        }  # fmt: skip
        self._database = duckdb.connect(config=config)
        self._run("set enable_progress_bar = false")
        self._run(_ROWS, self._ranges)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:  # fmt: skip
        self._database.close()

    def _run(self, query: str, *values: Any) -> duckdb.DuckDBPyConnection:  # noqa: ANN401
        try:
            return self._database.execute(query, list(values))
        except duckdb.Error as error:
            raise Unmatched(f"`{self._fleet or self._ranges}`: {error}") from error

    def flat(self, fleet: Path) -> None:
        """Match a fleet of one row for each package of each host."""
        version = self._source_version(fleet)
        self._match(_FLAT.format(version), fleet)
        self._fleet, self._hosts = str(fleet), _FLAT_HOSTS.format(version)
        self._each = _WITH_IDS.format(version)

    def split(self, kinds: Path, ids: Path) -> None:
        """Match a fleet whose packages have ids."""
        self._match(_SPLIT.format(self._source_version(kinds)), kinds)
        self._fleet, self._hosts, self._each = str(ids), _SPLIT_HOSTS, "read_parquet($1)"

    def _source_version(self, file: Path) -> str:
        self._fleet = str(file)
        columns = self._run("describe from read_parquet($1)", self._fleet).fetchall()
        return "f.source_version" if any(c[0] == "source_version" for c in columns) else "''"

    def _match(self, kinds: str, file: Path) -> None:
        assert not self._hosts, "one match, one fleet"
        self._run(_KINDS.format(kinds), str(file))
        versions = self._run(_VERSIONS).fetchall()
        keys = [_key(family, version) for family, version in versions]
        self._run(_KEYED, [v[0] for v in versions], [v[1] for v in versions], keys)
        self._run(_PLACES, UNSTABLE)
        self._run(_SPANS, TOP)
        self._run(_HITS)
        self._run(_CLEARED, self._ranges)
        self._run(_FINDINGS, self._ranges)
        self._run(_COUNTED)

    def totals(self) -> tuple[int, int, int]:
        """Give how many distinct packages there are, how many are exposed, and their findings."""
        row = self._run(
            "select (select count(*) from kind), count(*), coalesce(sum(findings), 0)::bigint"
            " from counted"
        ).fetchone()
        assert row, "an aggregate has one row"
        return row

    def per_host(self) -> list[tuple[Any, int, int]]:
        """Give each host that has any finding: its exposed packages and its findings."""
        return self._run(self._hosts, self._fleet).fetchall()

    def write(self, out: Path) -> int:
        """Write every finding as Parquet; give how many.

        Columns: host, ecosystem, package, version, source, row (place in `ranges`, from 0), status,
        flaws.
        """
        target = str(out).replace("'", "''")
        query = f"copy ({_OUT.format(self._each)}) to '{target}' (format parquet, compression zstd)"
        row = self._run(query, self._fleet, self._ranges).fetchone()
        assert row, "copy says how much it wrote"
        return int(row[0])

    def unordered(self) -> tuple[list[tuple[str, str, str]], list[int]]:
        """Give what has no order.

        Returns: packages (ecosystem, package, version) and places of rows in `ranges`, both sorted.
        """
        packages = self._run(
            "select distinct ecosystem, package, version from kind"
            " where id not in (select id from place) order by all"
        ).fetchall()
        rows = self._run("select n from span where low is null or high is null order by n")
        return packages, [row[0] for row in rows.fetchall()]


def _key(family: str, version: str) -> bytes | None:
    try:
        return key(family, version)
    except Refused:
        return None
