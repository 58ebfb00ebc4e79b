"""Blocks of versions: quicker, and never another answer."""

import random
from pathlib import Path

import pytest
from pyroaring import BitMap

from answerable.exposure.keys import key, places
from answerable.inventory import blocks, change
from answerable.inventory.fleet import Fleet
from answerable.inventory.installed import Installed, Inventory

ARCHES = ("x86_64",), ("i686", "x86_64"), ("i686",)
TOP = b"\xff\xff\xff\xff"


def _kernel(version: int, arch: str = "x86_64") -> Installed:
    return Installed("almalinux:9", "kernel", f"5.14.0-{version}.el9", arch, "kernel")


def _inventory(host: int, versions: set[int]) -> Inventory:
    packages = tuple(_kernel(v, arch) for v in sorted(versions) for arch in ARCHES[v % 3])
    return Inventory(f"h{host}", "ab" * 32, frozenset({"web"}), packages)


def _bound(version: int) -> bytes:
    return key("almalinux:9", f"5.14.0-{version}.el9")


def _agree(fleet: Fleet, truth: dict[str, set[int]], chance: random.Random, top: int) -> None:
    """Hold blocks to each version asked by itself, and to a plain dict."""
    for _ in range(10):
        low, high = sorted(chance.sample(range(top + 2), 2))
        ends = chance.choice((_bound(low), b"")), chance.choice((_bound(high), TOP))
        found = fleet.reached("almalinux:9", "binary", "kernel", *ends)
        each = fleet.within("almalinux:9", "binary", "kernel", *ends)
        assert found == BitMap.union(BitMap(), *(hosts for _, hosts in each))
        from_, to = low if ends[0] else 0, high if ends[1] != TOP else top + 2
        names = {h for h, have in truth.items() if any(from_ <= v < to for v in have)}
        assert set(fleet.names(found)) == names


@pytest.mark.parametrize("seed", range(6))
def test_blocks_answer_as_each_version_does(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, seed: int
) -> None:
    """Imported, moved, folded, forgotten, with versions that come later; also to another reader."""
    chance, top = random.Random(seed), 60
    monkeypatch.setattr(blocks, "MANY", 4)
    monkeypatch.setattr(change, "FEW", 30)
    monkeypatch.setattr(change, "KEPT", chance.choice((0, 500, 10_000)))
    monkeypatch.setattr(change, "LOOK", 4)
    truth: dict[str, set[int]] = {}

    def some(versions: range) -> set[int]:
        return {v for v in versions if chance.random() < 0.2}

    with Fleet(tmp_path / "f.db", places) as fleet, Fleet(tmp_path / "f.db", places) as other:
        truth = {f"h{n}": some(range(0, top, 2)) for n in range(20)}
        fleet.record_all((_inventory(int(h[1:]), have), 1) for h, have in truth.items())
        assert fleet.reached("almalinux:9", "binary", "kernel", b"", TOP)
        for seen in range(2, 60):
            name = f"h{chance.randrange(24)}"
            if chance.random() < 0.1:
                fleet.forget(name)
                truth.pop(name, None)
            else:
                truth[name] = some(range(top))
                fleet.record(_inventory(int(name[1:]), truth[name]), seen)
            _agree(chance.choice((fleet, other)), truth, chance, top)


def test_a_change_that_was_undone_leaves_no_trace_in_blocks(tmp_path: Path) -> None:
    """A version that came in a transaction that failed is in no block."""
    with Fleet(tmp_path / "fleet.db", places) as fleet:
        rows = (_inventory(n, set(range(n % 40))) for n in range(200))
        fleet.record_all((row, 1) for row in rows)
        before = fleet.reached("almalinux:9", "binary", "kernel", b"", TOP)

        def broken() -> object:
            yield _inventory(0, {99}), 2
            raise RuntimeError("stop")

        with pytest.raises(RuntimeError):
            fleet.record_all(broken())  # type: ignore[arg-type]
        assert fleet.record(_inventory(5, {98}), 3)
        assert fleet.reached("almalinux:9", "binary", "kernel", b"", TOP) == before
        newest = fleet.reached("almalinux:9", "binary", "kernel", _bound(50), TOP)
        assert fleet.names(newest) == ["h5"]


def test_a_whole_fleet_at_once_is_host_after_host(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One transaction, with lists that become bitmaps in between, gives the same store."""
    chance = random.Random(7)
    monkeypatch.setattr(change, "GATHERED", 500)
    shared = [_kernel(n) for n in range(50)]
    hosts = [
        Inventory(f"h{n}", "ab" * 32, frozenset({"web", f"z{n % 3}"}),
                  tuple(p for p in shared if chance.random() < 0.5), f"team{n % 2}")
        for n in range(150)
    ]  # fmt: skip
    # The first fifty come again in the same transaction, with other packages.
    again = [Inventory(h.host, h.instance, h.zones, h.packages[::2], "") for h in hosts[:50]]
    with Fleet(tmp_path / "a.db", places) as one, Fleet(tmp_path / "b.db", places) as many:
        assert one.record_all((h, 1) for h in [*hosts, *again]) == 200
        for each in [*hosts, *again]:
            many.record(each, 1)
        assert _all(one) == _all(many)


def _all(fleet: Fleet) -> list[object]:
    return [
        {p: fleet.names(hosts) for _, p, hosts in fleet.packages()},
        [fleet.inventory(host) for host in fleet.hosts(now=1, silence=9)],
        {name: fleet.names(hosts) for name, hosts in fleet.members("zone").items()},
        {name: fleet.names(hosts) for name, hosts in fleet.members("owner").items()},
    ]
