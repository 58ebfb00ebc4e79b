"""The one door of this room to DuckDB: rows into sorted Parquet, and questions to it.

A snapshot has four tables. `ranges` and `claims` hold the fields of `rows.Range` and `rows.Claim`,
then `document` (SHA-256 of the one that stated a row first) and `seen` (POSIX seconds when it came
first). `ranges_past` and `claims_past` hold, with `gone`, what was stated once and is no longer.

Rules:

1. Each row stands once. Its `document` and `seen` are those of the snapshot before, as long as it
   was stated without a break; a claim's `said` and a range's `modified` may move meanwhile.
2. Nothing that made anybody more careful disappears silently: a range that is no longer stated
   stays in `ranges` and is listed in `ranges_past`; a claim of `STRICT` goes to `claims_past`. Both
   go when people cleared them (`cleared`: a time; what was gone by then is settled).
3. The same rows, times and snapshot before give the same bytes: one thread, one order over all
   columns, fixed settings. Text compares by its UTF-8 bytes.
4. Text from rows is data: it reaches SQL only as files and parameters. What is put into a query's
   text are the names below and paths of our own, quoted.

Left out: what the rows mean (agree.py, shock.py), and past values of EPSS, which moves every day:
open the snapshot of that day.
"""

import json
from collections.abc import Collection, Iterator, Mapping
from contextlib import closing, contextmanager
from dataclasses import dataclass, fields
from functools import cache
from pathlib import Path
from typing import Any, Final

import duckdb

from answerable.feeds.publication import TEXT, plain
from answerable.feeds.rows import Claim, Range, Row
from answerable.feeds.source import State, Unusable
from answerable.kernel.errors import Unavailable

ROWS = 50_000_000
"""Most rows of one snapshot."""
MEMORY = "2GB"
"""What DuckDB may use; while it writes a snapshot, it goes on to disk then."""
BATCH = 10_000
"""Rows fetched at once."""
STRICT = (
    "cvss", "exploit", "exploited", "kev_added", "kev_due", "kev_ransomware", "ssvc_automatable",
    "ssvc_exploitation", "ssvc_technical_impact",
)  # fmt: skip
"""Fields of which a lost value is kept until people clear it."""
NAMES: Final = ("claims", "claims_past", "ranges", "ranges_past")
MADE_BY = f"duckdb {duckdb.__version__}"
_RANGE = tuple(field.name for field in fields(Range))
_CLAIM = tuple(field.name for field in fields(Claim))
_COLUMNS: Mapping[str, tuple[str, ...]] = {
    "ranges": (*_RANGE, "document", "seen"),
    "ranges_past": (*_RANGE, "document", "seen", "gone"),
    "claims": (*_CLAIM, "document", "seen"),
    "claims_past": (*_CLAIM, "document", "seen", "gone"),
}
_NUMBERS = ("published", "modified", "withdrawn", "said", "seen", "gone")
_SAME = {
    "ranges": tuple(name for name in _RANGE if name != "modified"),
    "claims": ("channel", "subject", "field", "value"),
}
"""What makes two rows the same one."""
_SPAN = ("channel", "advisory", "ecosystem", "package", "level", "introduced", "fixed", "last")
"""What a range is about; one that is stated again about the same was not lost."""
_spell = json.JSONEncoder(ensure_ascii=False, separators=(",", ":")).encode


class Unreadable(Unavailable):
    """A table that cannot be read or written: it is none, or memory or disk ran out."""


@dataclass(frozen=True, slots=True)
class Stated:
    """A row, and who said it when.

    Args:
        document: SHA-256 of the document that stated it first, hex.
        seen: when that came here, POSIX seconds.
        gone: when it was found to be no longer stated; 0 if it stands.
    """

    row: Row
    document: str
    seen: int
    gone: int


@dataclass(frozen=True, slots=True)
class Flow:
    """How the subjects of a channel (flaws or advisories) changed from one snapshot to the next."""

    table: str
    channel: str
    before: int
    lost: int
    fresh: int


def _type(name: str) -> str:
    if name == "cves":
        return "VARCHAR[]"
    return "BIGINT" if name in _NUMBERS else "VARCHAR"


def _list(names: Collection[str], table: str = "") -> str:
    dot = f"{table}." if table else ""
    return ", ".join(f'{dot}"{name}"' for name in names)


def _quoted(path: Path) -> str:
    return "'" + str(path).replace("'", "''") + "'"


def _engine(spill: Path | None = None) -> duckdb.DuckDBPyConnection:
    """Start an empty database in memory; it writes to no other folder than `spill`, if to any."""
    config: dict[str, str | bool | int | float | list[str]] = {
        "threads": "1", "memory_limit": MEMORY, "preserve_insertion_order": "true",
        "autoinstall_known_extensions": "false", "autoload_known_extensions": "false",
        "temp_directory": str(spill or ""),
    }  # fmt: skip
    return duckdb.connect(":memory:", config=config)


_reader = cache(_engine)
"""One engine for all readers; each has a connection of its own, and makes temporary views only."""


@contextmanager
def _opened(spill: Path | None = None) -> Iterator[duckdb.DuckDBPyConnection]:
    """Open a connection: to an engine of its own that may spill, or for reading."""
    try:
        with closing(_engine(spill) if spill else _reader().cursor()) as database:
            yield database
    except duckdb.Error as error:
        raise Unreadable(f"a table of the world: {str(error)[:500]}; sync again") from error


class Staging:
    """Rows on their way into a snapshot, as files in a folder of its own."""

    def __init__(self, folder: Path) -> None:
        """Start in an empty folder."""
        self.folder, self.count = folder, 0
        self._files = {
            name: (folder / f"{name}.jsonl").open("w", encoding="utf-8", errors="replace")
            for name in ("ranges", "claims")
        }

    def add(self, row: Row, document: str, seen: int) -> None:
        """Add a row of a document that came at POSIX second `seen`.

        Raises:
            Unusable: `oversized`.
        """
        name, columns = ("ranges", _RANGE) if isinstance(row, Range) else ("claims", _CLAIM)
        value: dict[str, Any] = {column: getattr(row, column) for column in columns}
        line = _spell(value)
        if not line.isascii() or "\\u" in line:
            line = _spell({column: _clean(said) for column, said in value.items()})
        self._files[name].write(f'{line[:-1]},"document":"{document}","seen":{seen}}}\n')
        self.count += 1
        if self.count > ROWS:
            raise Unusable(State.OVERSIZED, document, f"more than {ROWS} rows in a snapshot")

    def close(self) -> None:
        """Put the rest on disk."""
        for file in self._files.values():
            file.close()

    def load(self, database: duckdb.DuckDBPyConnection) -> None:
        """Make the tables `new_ranges` and `new_claims`, each row once (rule 1)."""
        for name, moving in (("ranges", "modified"), ("claims", "said")):
            columns = {column: _type(column) for column in _COLUMNS[name]}
            same = _list(_SAME[name])
            database.execute(
                f"CREATE TABLE new_{name} AS SELECT {same}, max({moving}) AS {moving}, "
                "min(printf('%020d', seen) || document) AS first "
                "FROM read_json(?, format = 'newline_delimited', columns = "
                f"{columns!r}, maximum_object_size = 67108864) GROUP BY {same}",
                [str(self.folder / f"{name}.jsonl")],
            )


def _clean(value: Any) -> Any:  # noqa: ANN401  a row's field, of any type
    if isinstance(value, str):
        return plain(value, TEXT)
    return [plain(one, TEXT) for one in value] if isinstance(value, tuple) else value


def write(staged: Staging, before: Path | None, out: Path, now: int, cleared: int) -> None:
    """Write the four tables of a snapshot.

    Args:
        before: folder of the snapshot before, if there is one.
        out: folder to write to.
        now: POSIX seconds; when what is missing is found to be gone.
        cleared: what was gone by then is settled.
    """
    staged.close()
    with _opened(staged.folder / "spill") as database:
        staged.load(database)
        for name in NAMES:
            old = f"CREATE TABLE old_{name} AS SELECT * FROM "
            if before is None:
                columns = ", ".join(f'"{c}" {_type(c)}' for c in _COLUMNS[name])
                database.execute(f"CREATE TABLE old_{name} ({columns})")
            else:
                database.execute(old + "read_parquet(?)", [str(before / f"{name}.parquet")])
        for name in ("ranges", "claims"):
            _carry(database, name)
        _past_claims(database, now, cleared)
        _past_ranges(database, now, cleared)
        for name in NAMES:
            every = _list(_COLUMNS[name])
            database.execute(
                f"COPY (SELECT {every} FROM {name} ORDER BY {every}) "
                f"TO {_quoted(out / f'{name}.parquet')} "
                "(FORMAT parquet, COMPRESSION zstd, ROW_GROUP_SIZE 122880)"
            )


def _carry(database: duckdb.DuckDBPyConnection, name: str) -> None:
    """Give each row the document and time of its first coming (rule 1)."""
    same = " AND ".join(f'n."{c}" IS NOT DISTINCT FROM o."{c}"' for c in _SAME[name])
    own = [c for c in _COLUMNS[name] if c not in ("document", "seen")]
    database.execute(
        f"CREATE TABLE {name} AS SELECT {_list(own, 'n')}, "
        "coalesce(o.document, n.first[21:]) AS document, "
        "coalesce(o.seen, CAST(n.first[:20] AS BIGINT)) AS seen "
        f"FROM new_{name} n LEFT JOIN old_{name} o ON {same}"
    )


def _past_claims(database: duckdb.DuckDBPyConnection, now: int, cleared: int) -> None:
    own = _list(_COLUMNS["claims"])
    same = _list(_SAME["claims"])
    database.execute(
        f"CREATE TABLE claims_past AS SELECT {own}, gone FROM old_claims_past "
        "WHERE gone > $cleared "
        f"UNION ALL SELECT {own}, $now AS gone FROM old_claims ANTI JOIN claims USING ({same}) "
        "WHERE field IN (SELECT unnest($strict)) AND $now > $cleared",
        {"cleared": cleared, "now": now, "strict": list(STRICT)},
    )


def _past_ranges(database: duckdb.DuckDBPyConnection, now: int, cleared: int) -> None:
    own, span = _list(_COLUMNS["ranges"]), _list(_SPAN)
    # What the snapshot before kept although it was gone is in both of its tables.
    database.execute(
        "CREATE TABLE lost AS SELECT * FROM old_ranges_past UNION ALL "
        f"SELECT {own}, $now AS gone FROM old_ranges ANTI JOIN old_ranges_past USING ({own})",
        {"now": now},
    )
    stands = "withdrawn = 0 AND status <> 'not_affected'"
    database.execute(
        f"CREATE TABLE ranges_past AS SELECT * FROM lost "
        f"ANTI JOIN (SELECT * FROM ranges WHERE {stands}) USING ({span}) "
        f"WHERE {stands} AND gone > $cleared",
        {"cleared": cleared},
    )
    database.execute(f"INSERT INTO ranges SELECT {own} FROM ranges_past")


def _read(
    database: duckdb.DuckDBPyConnection, question: str, given: Mapping[str, object] | None = None
) -> Iterator[tuple[Any, ...]]:
    answer = database.execute(question, dict(given or {}))
    while batch := answer.fetchmany(BATCH):
        yield from batch


def every(folder: Path, *names: str) -> Iterator[tuple[Any, ...]]:
    """Give each row of these tables in its order: the table's name, then its columns."""
    with _opened() as database:
        for name in names:
            question = f"SELECT $name, {_list(_COLUMNS[name])} FROM read_parquet($file)"
            yield from _read(
                database, question, {"name": name, "file": str(folder / f"{name}.parquet")}
            )


def _views(database: duckdb.DuckDBPyConnection, folder: Path, prefix: str = "") -> None:
    """Make one view a kind: every row with its `gone`, 0 while it is stated."""
    for name in NAMES:
        file = _quoted(folder / f"{name}.parquet")
        database.execute(
            f"CREATE TEMP VIEW {prefix}all_{name} AS SELECT * FROM read_parquet({file})"
        )
    own = _list(_COLUMNS["ranges"])
    database.execute(
        f"CREATE TEMP VIEW {prefix}ranges AS SELECT *, 0 AS gone FROM {prefix}all_ranges "
        f"ANTI JOIN {prefix}all_ranges_past USING ({own}) "
        f"UNION ALL SELECT * FROM {prefix}all_ranges_past"
    )
    database.execute(
        f"CREATE TEMP VIEW {prefix}claims AS SELECT *, 0 AS gone FROM {prefix}all_claims "
        f"UNION ALL SELECT * FROM {prefix}all_claims_past"
    )


def claims(
    folder: Path, subjects: Collection[str] | None, at: int, names: Collection[str] | None = None
) -> Iterator[Stated]:
    """Give the claims about these flaws (all, if None), as they were known at POSIX second `at`.

    Only claims of the fields in `names`, if any are given.

    Claims that were gone by then come as well, with `gone`; what came later does not. They are in
    the order of their subjects.
    """
    about = "" if subjects is None else "AND subject IN (SELECT unnest($subjects)) "
    given: dict[str, object] = {"at": at}
    if subjects is not None:
        given["subjects"] = sorted(subjects)
    if names is not None:
        about += "AND field IN (SELECT unnest($names)) "
        given["names"] = sorted(names)
    with _opened() as database:
        _views(database, folder)
        every_column = _list(_COLUMNS["claims_past"])
        for *row, document, seen, gone in _read(
            database,
            f"SELECT {every_column} FROM claims WHERE seen <= $at {about}"
            f"ORDER BY subject, {every_column}",
            given,
        ):
            yield Stated(Claim(*row), document, seen, gone if gone <= at else 0)


def ranges(folder: Path, packages: Collection[str], at: int) -> Iterator[Stated]:
    """Give the ranges about packages of these names, as they were known at POSIX second `at`."""
    with _opened() as database:
        _views(database, folder)
        every_column = _list(_COLUMNS["ranges_past"])
        for *row, document, seen, gone in _read(
            database,
            f"SELECT {every_column} FROM ranges WHERE seen <= $at "
            f"AND package IN (SELECT unnest($packages)) ORDER BY {every_column}",
            {"at": at, "packages": sorted(packages)},
        ):
            place = _RANGE.index("cves")
            row[place] = tuple(row[place])
            yield Stated(Range(*row), document, seen, gone if gone <= at else 0)


def flows(before: Path, after: Path) -> list[Flow]:
    """Compare how many flaws or advisories each channel speaks of, in two snapshots."""
    with _opened() as database:
        _views(database, before, "old_")
        _views(database, after)
        found: list[tuple[Any, ...]] = []
        for table, subject in (("claims", "subject"), ("ranges", "advisory")):
            found += _read(
                database,
                f"WITH o AS (SELECT DISTINCT channel, {subject} FROM old_{table} WHERE gone = 0), "
                f"n AS (SELECT DISTINCT channel, {subject} FROM {table} WHERE gone = 0) "
                "SELECT $table, coalesce(o.channel, n.channel) AS name, count(o.channel), "
                "count(*) FILTER (n.channel IS NULL), count(*) FILTER (o.channel IS NULL) "
                f"FROM o FULL JOIN n ON o.channel = n.channel AND o.{subject} = n.{subject} "
                "GROUP BY name ORDER BY name",
                {"table": table},
            )
    return [Flow(*row) for row in found]


def counts(folder: Path) -> dict[tuple[str, str], int]:
    """Count the flaws or advisories that each (table, channel) speaks of now."""
    with _opened() as database:
        _views(database, folder)
        found: dict[tuple[str, str], int] = {}
        for table, subject in (("claims", "subject"), ("ranges", "advisory")):
            question = (
                f"SELECT channel, count(DISTINCT {subject}) FROM {table} "
                "WHERE gone = 0 GROUP BY channel ORDER BY channel"
            )
            found |= {(table, channel): size for channel, size in _read(database, question)}
    return found


def pairs(
    before: Path, after: Path, names: Collection[str]
) -> Iterator[tuple[str, str, str, str, str]]:
    """Give (channel, field, flaw, old value, new value) of each claim that both snapshots have.

    Where a channel gives a flaw several values of one field, the last by their bytes counts.
    """
    with _opened() as database:
        _views(database, before, "old_")
        _views(database, after)
        one = "SELECT channel, field, subject, max(value) AS value"
        only = "WHERE field IN (SELECT unnest($names)) GROUP BY channel, field, subject"
        yield from _read(
            database,
            f"SELECT channel, field, subject, o.value, n.value FROM ({one} FROM old_all_claims "
            f"{only}) o JOIN ({one} FROM all_claims {only}) n USING (channel, field, subject) "
            "ORDER BY channel, field, subject",
            {"names": sorted(names)},
        )


def values(folder: Path, names: Collection[str]) -> Iterator[tuple[str, str, str, int]]:
    """Give (channel, field, value, how many flaws) of these fields."""
    with _opened() as database:
        _views(database, folder)
        yield from _read(
            database,
            "SELECT channel, field, value, count(*) FROM all_claims "
            "WHERE field IN (SELECT unnest($names)) GROUP BY ALL ORDER BY ALL",
            {"names": sorted(names)},
        )


def speaks(folder: Path, channel: str) -> bool:
    """Tell whether a channel says anything of any flaw now."""
    with _opened() as database:
        _views(database, folder)
        question = "SELECT 1 FROM claims WHERE channel = $channel AND gone = 0 LIMIT 1"
        return any(_read(database, question, {"channel": channel}))
