"""The inverted index: one advisory to its exact hosts, the same as every other way to match."""

import random
from collections.abc import Iterator
from pathlib import Path

import pytest

from answerable.exposure.index import affected, everywhere, reached
from answerable.exposure.keys import places
from answerable.inventory.fleet import Fleet
from answerable.inventory.installed import Installed, Inventory
from tests.exposure import world
from tests.exposure.world import named, plainly, row


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Fleet]:
    """An empty fleet."""
    with Fleet(tmp_path / "fleet.db", places) as opened:
        yield opened


def put(store: Fleet, inventories: list[Inventory]) -> None:
    """Record hosts."""
    store.record_all((inventory, 1) for inventory in inventories)


@pytest.mark.parametrize("seed", range(20))
def test_the_index_finds_what_comparing_one_by_one_finds(store: Fleet, seed: int) -> None:
    """On random worlds and fleets, also after deltas."""
    chance = random.Random(seed)
    rows, inventories = world.world(chance, 60), world.fleet(chance, 8)
    put(store, inventories)
    changed = world.fleet(chance, 4)
    put(store, changed)
    findings, _ = affected(store, rows)
    packages = {number: package for number, package, _ in store.packages()}
    numbers = {id(each): n for n, each in enumerate(rows)}
    found = {
        (host, numbers[id(f.row)], named(packages[f.package]), f.flaws)
        for f in findings
        for host in store.names(f.hosts)
    }
    assert found == plainly(rows, [*changed, *inventories[4:]])
    for row_ in rows:
        assert reached(store, [row_])[0] == everywhere(affected(store, [row_])[0])
    assert reached(store, rows) == (everywhere(findings), affected(store, rows)[1])


def test_hosts_are_a_set_that_zones_cut(store: Fleet) -> None:
    """Exposed and in scope is an intersection; unknown hosts are told apart, not dropped."""
    old = Installed("pypi", "flask", "1.0", "cp311", "flask")
    new = Installed("pypi", "flask", "3.0", "cp311", "flask")
    for name, zone, package, seen in (
        ("a", "web", old, 100), ("b", "pci", old, 100), ("c", "web", new, 100),
        ("d", "web", old, 9),
    ):  # fmt: skip
        store.record(Inventory(name, "ab" * 32, frozenset({zone}), (package,)), seen)
    findings, _ = affected(store, [row("pypi", "flask", fixed="2.0", level="binary")])
    hosts = everywhere(findings)
    assert store.names(hosts) == ["a", "b", "d"]
    assert store.names(hosts & store.zone("web") & store.known(now=110, silence=60)) == ["a"]
    assert store.names(hosts - store.known(now=110, silence=60)) == ["d"]


def test_what_has_no_order_is_listed(store: Fleet) -> None:
    """A row that cannot be applied is said with its reason; the others still are."""
    put(store, [Inventory("a", "", frozenset(), (Installed("npm", "x", "1.0.0", "", "x"),))])
    rows = [
        row("npm", "x", fixed="newest"),
        row("npm", "x", fixed="2.0.0"),
        row("packagist", "x/y"),
    ]
    findings, unordered = affected(store, rows)
    assert [f.row.fixed for f in findings] == ["2.0.0"]
    assert [u.row.fixed for u in unordered] == ["newest"]


def test_nobody_affected_is_an_empty_set(store: Fleet) -> None:
    """No finding, no host."""
    assert affected(store, [row("npm", "x")]) == ([], [])
    assert not everywhere([])
