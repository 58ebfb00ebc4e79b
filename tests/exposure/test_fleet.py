"""The bulk match: the same answer as one by one, from files of both forms."""

import random
from pathlib import Path

import duckdb
import pytest

from answerable.exposure.fleet import Match, Unmatched
from answerable.inventory.installed import Inventory
from tests.exposure.world import (
    fleet,
    named,
    plainly,
    row,
    world,
    write_flat,
    write_ranges,
    write_split,
)


def _written(
    file: Path, hosts: list[str] | None = None
) -> set[tuple[str, int, str, tuple[str, ...]]]:
    rows = duckdb.read_parquet(str(file)).fetchall()
    return {
        (hosts[host] if hosts else host, number, f"{ecosystem} {package} {version}", tuple(flaws))
        for host, ecosystem, package, version, _, number, _, flaws in rows
    }


@pytest.mark.parametrize("seed", range(12))
def test_both_forms_find_what_comparing_one_by_one_finds(tmp_path: Path, seed: int) -> None:
    """On random worlds and fleets: every finding, every host's sums, no row lost or doubled."""
    chance = random.Random(seed)
    rows, inventories = world(chance, 60), fleet(chance, 8)
    expected = plainly(rows, inventories)
    names = [inventory.host for inventory in inventories]
    write_ranges(tmp_path / "ranges.parquet", rows)
    write_flat(tmp_path / "flat.parquet", inventories)
    kinds, ids = write_split(tmp_path, inventories)
    with Match(tmp_path / "ranges.parquet", tmp_path / "spill") as match:
        match.flat(tmp_path / "flat.parquet")
        assert match.write(tmp_path / "out.parquet") == len(expected)
        assert _written(tmp_path / "out.parquet") == expected
        flat = {host: (packages, findings) for host, packages, findings in match.per_host()}
    with Match(tmp_path / "ranges.parquet") as match:
        match.split(kinds, ids)
        match.write(tmp_path / "again.parquet")
        assert _written(tmp_path / "again.parquet", names) == expected
        assert {names[h]: (p, f) for h, p, f in match.per_host()} == flat
        assert match.totals()[2] >= 0
    assert {host: findings for host, (_, findings) in flat.items()} == {
        name: sum(1 for host, *_ in expected if host == name)
        for name in {host for host, *_ in expected}
    }


def test_what_has_no_order_is_listed_on_either_side(tmp_path: Path) -> None:
    """Packages and rows that cannot be compared are named; the rest is matched."""
    inventories = fleet(random.Random(3), 12)
    packages = {p for i in inventories for p in i.packages}
    rows = [row("npm", "p0"), row("npm", "p0", fixed="newest"), row("packagist", "p1", fixed="1.0")]
    write_ranges(tmp_path / "ranges.parquet", rows)
    write_flat(tmp_path / "flat.parquet", inventories)
    with Match(tmp_path / "ranges.parquet") as match:
        match.flat(tmp_path / "flat.parquet")
        unordered, numbers = match.unordered()
    odd = {"latest", "nonsense!"}
    expected = {
        (p.ecosystem, p.package, p.version)
        for p in packages
        if p.ecosystem == "packagist" or {p.version, p.source_version} & odd
    }
    assert expected
    assert set(unordered) == expected
    assert numbers == [1, 2]


def test_columns_that_are_not_there(tmp_path: Path) -> None:
    """`source_version` may be absent; a table without packages is said, not taken as empty."""
    (inventory,) = [i for i in fleet(random.Random(5), 30) if i.packages][:1]
    plain = Inventory(inventory.host, "", frozenset(), inventory.packages)
    write_flat(tmp_path / "flat.parquet", [plain])
    short = duckdb.read_parquet(str(tmp_path / "flat.parquet"))
    short.project("host, ecosystem, package, version, source").write_parquet(
        str(tmp_path / "short.parquet")
    )
    write_ranges(tmp_path / "ranges.parquet", [row(p.ecosystem, p.package, level="binary")
                                               for p in plain.packages])  # fmt: skip
    with Match(tmp_path / "ranges.parquet") as match:
        match.flat(tmp_path / "short.parquet")
        assert match.per_host()
    short.project("host").write_parquet(str(tmp_path / "none.parquet"))
    with (
        Match(tmp_path / "ranges.parquet") as match,
        pytest.raises(Unmatched, match="none"),
    ):
        match.flat(tmp_path / "none.parquet")


@pytest.mark.parametrize("cut", [0, 4, 100, -9])
def test_a_damaged_file_is_said(tmp_path: Path, cut: int) -> None:
    """A truncated table is no fleet without findings."""
    inventories = fleet(random.Random(5), 5)
    write_ranges(tmp_path / "ranges.parquet", world(random.Random(1), 20))
    write_flat(tmp_path / "flat.parquet", inventories)
    whole = (tmp_path / "flat.parquet").read_bytes()
    (tmp_path / "cut.parquet").write_bytes(whole[:cut])
    with Match(tmp_path / "ranges.parquet") as match, pytest.raises(Unmatched, match="cut"):
        match.flat(tmp_path / "cut.parquet")
    with pytest.raises(Unmatched, match="absent"):
        Match(tmp_path / "absent.parquet")


def test_names_differ() -> None:
    """The spelling that the tests compare tells packages apart."""
    packages = {p for i in fleet(random.Random(3), 12) for p in i.packages}
    assert len({(named(p), p.source, p.source_version) for p in packages}) == len(packages)
