"""The tables of a world: asked as of a time, compared with another, or unreadable in one word."""

from pathlib import Path

import pytest

from answerable.feeds import tables
from answerable.feeds.rows import Row
from answerable.feeds.tables import Flow, Stated, Unreadable
from answerable.feeds.world import World, Worlds
from tests.feeds.worlds import CRITICAL, DAY, MEDIUM, NOON, Given, claim, document, given, span


def _build(home: Path, *documents: Given, now: int = NOON) -> World:
    return Worlds(home).build(given(*documents), now)


def test_flows_count_flaws_and_advisories_once(tmp_path: Path) -> None:
    """A flaw of which much is said is one; what is kept although it is gone counts as lost."""
    old = [claim("nvd"), claim("nvd", field="title", value="x"), claim("nvd", "CVE-2024-0002")]
    spans: list[Row] = [span(), span(package="other"), span(advisory="GHSA-2")]
    first = _build(tmp_path, document("a", [*old, *spans]))
    new: list[Row] = [claim("nvd"), claim("nvd", "CVE-2024-0003"), claim("kev"), span()]
    second = _build(tmp_path, document("a", new), now=NOON + DAY)
    assert tables.flows(first.folder, second.folder) == [
        Flow("claims", "kev", 0, 0, 1), Flow("claims", "nvd", 2, 1, 1),
        Flow("ranges", "osv/pypi", 2, 1, 0),
    ]  # fmt: skip
    assert tables.flows(first.folder, first.folder)[0] == Flow("claims", "nvd", 2, 0, 0)


def test_pairs_are_of_what_both_say(tmp_path: Path) -> None:
    """Of several values the last by its bytes counts, in both worlds alike."""
    old = [claim("nvd", field="cvss", value=MEDIUM), claim("nvd", field="cvss", value=CRITICAL),
           claim("nvd", "CVE-2024-0002", "cvss", MEDIUM), claim("nvd")]  # fmt: skip
    first = _build(tmp_path, document("a", old))
    second = _build(tmp_path, document("a", old[:1]), now=NOON + DAY)
    found = list(tables.pairs(first.folder, second.folder, ["cvss"]))
    assert found == [("nvd", "cvss", "CVE-2024-0001", max(MEDIUM, CRITICAL), MEDIUM)]
    counted = list(tables.values(first.folder, ["cvss", "exploited"]))
    assert counted == [
        ("nvd", "cvss", CRITICAL, 1), ("nvd", "cvss", MEDIUM, 2), ("nvd", "exploited", "yes", 1),
    ]  # fmt: skip


def test_ranges_are_asked_as_of_a_time(tmp_path: Path) -> None:
    """Each with who said it first and when, and since when it is gone."""
    kept = document("a", [span(), span(fixed="3.0")])
    _build(tmp_path, kept)
    changed = document("a", [span(), span(fixed="4.0")], NOON + DAY)
    world = _build(tmp_path, changed, now=NOON + DAY)
    before = list(tables.ranges(world.folder, ["flask"], NOON + DAY - 1))
    assert before == [Stated(row, kept[0].sha256, NOON, 0) for row in kept[1]]
    after = {one.row: (one.document, one.seen, one.gone)
             for one in tables.ranges(world.folder, ["flask", "x"], NOON + DAY)}  # fmt: skip
    assert after == {
        span(): (kept[0].sha256, NOON, 0),
        span(fixed="3.0"): (kept[0].sha256, NOON, NOON + DAY),
        span(fixed="4.0"): (changed[0].sha256, NOON + DAY, 0),
    }
    assert list(tables.ranges(world.folder, ["other"], NOON + DAY)) == []


def test_all_claims_come_in_the_order_of_their_flaws(tmp_path: Path) -> None:
    """Whoever judges one flaw after the other holds one flaw at a time."""
    flaws = [f"CVE-2024-{n:04}" for n in (7, 3, 5)]
    rows = [claim(channel, flaw) for channel in ("nvd", "kev") for flaw in flaws]
    world = _build(tmp_path, document("a", rows))
    found = [one.row for one in tables.claims(world.folder, None, NOON)]
    assert found == [claim(c, flaw) for flaw in sorted(flaws) for c in ("kev", "nvd")]


def test_a_table_that_is_none_is_unreadable(tmp_path: Path) -> None:
    """What the engine cannot read ends in one family of failure, and names no line of its own."""
    world = _build(tmp_path, document("a", [claim("kev")]))
    (world.folder / "claims.parquet").write_bytes(b"no table")
    with pytest.raises(Unreadable, match="a table of the world"):
        list(tables.claims(world.folder, None, NOON))


def test_words_of_a_row_are_never_a_query(tmp_path: Path) -> None:
    """Quotes, semicolons and names of files in advisories are text like any other."""
    word = "x'); DROP TABLE claims; --"
    world = _build(tmp_path / "it's", document("a", [claim(word, word), span(package=word)]))
    assert [one.row for one in tables.claims(world.folder, [word], NOON)] == [claim(word, word)]
    assert [one.row for one in tables.ranges(world.folder, [word], NOON)] == [span(package=word)]
