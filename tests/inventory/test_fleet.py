"""The fleet's promises, over the store that keeps them."""

import random
import sqlite3
from collections.abc import Iterator
from pathlib import Path

import pytest
from pyroaring import BitMap

from answerable.exposure.keys import key, places
from answerable.inventory import change, store
from answerable.inventory.fleet import Fleet, NoFleet
from answerable.inventory.installed import EVERYWHERE, Gap, Installed, Inventory

OPENSSL = Installed("debian:12", "openssl", "3.0.20-1", "amd64", "openssl")
BASH = Installed("debian:12", "bash", "5.2-1", "amd64", "bash", "held", ("sh",))
FLASK = Installed("pypi", "flask", "2.3.1", "cp311", "flask")


def _inventory(host: str, *packages: Installed, zones: tuple[str, ...] = ("web",)) -> Inventory:
    return Inventory(host, "ab" * 32, frozenset(zones), packages)


@pytest.fixture
def fleet(tmp_path: Path) -> Iterator[Fleet]:
    """An empty fleet."""
    with Fleet(tmp_path / "fleet.db", places) as opened:
        yield opened


def test_an_inventory_comes_back_as_it_was(tmp_path: Path) -> None:
    """Zones, states and provided names survive the store, in a file that another run opens."""
    with Fleet(tmp_path / "fleet.db", places) as fleet:
        fleet.record(_inventory("web1", BASH, OPENSSL, zones=("web", "pci")), 100)
    with Fleet(tmp_path / "fleet.db", places) as fleet:
        (host,) = fleet.hosts(now=110, silence=60)
        assert fleet.inventory(host) == _inventory("web1", BASH, OPENSSL, zones=("web", "pci"))


def test_a_newer_inventory_replaces_the_whole(fleet: Fleet) -> None:
    """What a host no longer has is no longer there."""
    fleet.record(_inventory("web1", BASH, OPENSSL), 100)
    assert fleet.record(_inventory("web1", FLASK), 101)
    (host,) = fleet.hosts(now=101, silence=60)
    assert fleet.inventory(host).packages == (FLASK,)


def test_an_older_inventory_changes_nothing(fleet: Fleet) -> None:
    """A replayed inventory cannot bring an old package back."""
    fleet.record(_inventory("web1", OPENSSL), 100)
    assert not fleet.record(_inventory("web1", BASH), 99)
    (host,) = fleet.hosts(now=100, silence=60)
    assert fleet.inventory(host).packages == (OPENSSL,)


def test_a_silent_host_is_unknown(fleet: Fleet) -> None:
    """A host that was not heard of for too long is not counted as patched."""
    fleet.record(_inventory("web1", OPENSSL), 100)
    fleet.record(_inventory("web2", OPENSSL), 150)
    states = {h.host: h.state for h in fleet.hosts(now=161, silence=60)}
    assert states == {"web1": "unknown", "web2": "known"}
    assert fleet.names(fleet.known(now=161, silence=60)) == ["web2"]


def test_versions_are_gathered_over_the_fleet(fleet: Fleet) -> None:
    """Each package of an ecosystem comes with every version that any host has."""
    newer = Installed("debian:12", "openssl", "3.0.22-1", "amd64", "openssl")
    fleet.record(_inventory("web1", OPENSSL, FLASK), 100)
    fleet.record(_inventory("web2", newer, BASH), 100)
    assert fleet.versions("debian:12") == {"openssl": {"3.0.20-1", "3.0.22-1"}, "bash": {"5.2-1"}}


def test_a_host_that_left_is_forgotten(fleet: Fleet) -> None:
    """Nothing of it stays behind."""
    fleet.record(_inventory("web1", OPENSSL), 100)
    fleet.forget("web1")
    assert fleet.hosts(now=100, silence=60) == []
    assert fleet.versions("debian:12") == {}


def test_a_damaged_store_is_said(tmp_path: Path) -> None:
    """A file that is no store is no empty fleet."""
    (tmp_path / "fleet.db").write_bytes(b"not a database" * 100)
    with pytest.raises(NoFleet):
        Fleet(tmp_path / "fleet.db", places)


def test_a_store_of_another_form_is_said(tmp_path: Path) -> None:
    """Tables of an earlier release are never read as if they were ours."""
    other = sqlite3.connect(tmp_path / "fleet.db")
    other.execute("create table host (host text primary key)")
    other.close()
    with pytest.raises(NoFleet, match="another release"):
        Fleet(tmp_path / "fleet.db", places)


def test_a_delta_changes_what_it_names(fleet: Fleet) -> None:
    """What went and what came, on one host only, with its state."""
    newer = Installed("debian:12", "openssl", "3.0.22-1", "amd64", "openssl", "broken")
    for name in ("web1", "web2"):
        fleet.record(_inventory(name, BASH, OPENSSL), 100)
    assert fleet.moved("web1", 101, [OPENSSL], [newer])
    first, second = fleet.hosts(now=101, silence=60)
    assert fleet.inventory(first).packages == (BASH, newer)
    assert fleet.inventory(second).packages == (BASH, OPENSSL)
    assert (first.seen, second.seen) == (101, 100)


def test_a_delta_that_does_not_fit_changes_nothing(fleet: Fleet) -> None:
    """Older, of an unknown host, or of what is not there: the whole inventory is wanted."""
    fleet.record(_inventory("web1", OPENSSL), 100)
    assert not fleet.moved("web1", 99, [OPENSSL], [])
    assert not fleet.moved("web9", 101, [], [OPENSSL])
    assert not fleet.moved("web1", 101, [FLASK], [BASH])
    (host,) = fleet.hosts(now=101, silence=60)
    assert (fleet.inventory(host).packages, host.seen) == ((OPENSSL,), 100)


def test_what_fails_halfway_did_not_happen(fleet: Fleet) -> None:
    """Hosts, packages and bitmaps are one transaction; ids that were not kept are not used."""
    fleet.record(_inventory("web1", OPENSSL), 100)

    def rows() -> Iterator[tuple[Inventory, int]]:
        yield _inventory("web1", FLASK), 101
        yield _inventory("web2", FLASK, BASH), 101
        raise RuntimeError("stop")

    with pytest.raises(RuntimeError):
        fleet.record_all(rows())
    assert [h.host for h in fleet.hosts(now=101, silence=60)] == ["web1"]
    assert [p for _, p, _ in fleet.packages()] == [OPENSSL]
    assert fleet.record(_inventory("web2", FLASK), 102)
    assert fleet.versions("pypi") == {"flask": {"2.3.1"}}


def test_zones_and_owners_are_sets_of_hosts(fleet: Fleet) -> None:
    """A host moves between zones; one without a label stands in every zone."""
    fleet.record(Inventory("web1", "ab" * 32, frozenset({"web"}), (), "ana"), 100)
    fleet.record(Inventory("db1", "ab" * 32, frozenset({"pci"}), (), "ana"), 100)
    fleet.record(Inventory("old1", "ab" * 32, EVERYWHERE, ()), 100)
    assert fleet.names(fleet.zone("web")) == ["old1", "web1"]
    assert fleet.names(fleet.owner("ana")) == ["db1", "web1"]
    fleet.record(Inventory("web1", "ab" * 32, frozenset({"pci"}), (), "bo"), 101)
    assert fleet.names(fleet.zone("web")) == ["old1"]
    assert fleet.names(fleet.zone("pci") - fleet.zone("web")) == ["db1", "web1"]
    assert {n: fleet.names(h) for n, h in fleet.members("owner").items()} == {
        "ana": ["db1"], "bo": ["web1"],
    }  # fmt: skip
    assert set(fleet.members("zone")) == {"pci", "*"}


def test_what_matches_nothing_is_listed(fleet: Fleet) -> None:
    """A version without an order and a file of no ecosystem are gaps with their hosts."""
    odd = Installed("npm", "left-pad", "latest", "any", "left-pad")
    fleet.record(_inventory("web1", odd), 100, [Gap("/opt/thing", "no package manager")])
    fleet.record(_inventory("web2", odd), 100)
    found = [(gap.name, fleet.names(hosts)) for gap, hosts in fleet.gaps()]
    assert found == [("/opt/thing", ["web1"]), ("left-pad", ["web1", "web2"])]
    fleet.forget("web1")
    assert [(gap.name, fleet.names(hosts)) for gap, hosts in fleet.gaps()] == [
        ("left-pad", ["web2"])
    ]


def test_a_place_gives_who_has_what_between_two_keys(fleet: Fleet) -> None:
    """The index answers by sort key, below the upper end."""
    for number, version in enumerate(("1.0-1", "1.0-2", "1.0-10")):
        row = Installed("debian:12", "libssl3", version, "amd64", "openssl")
        fleet.record(_inventory(f"web{number}", row), 100)
    low, high = key("debian:12", "1.0-2"), key("debian:12", "1.0-10")
    found = fleet.within("debian:12", "source", "openssl", low, high)
    assert [fleet.names(hosts) for _, hosts in found] == [["web1"]]
    assert {e: fleet.names(h) for e, h in fleet.ecosystems().items()} == {
        "debian:12": ["web0", "web1", "web2"]
    }


def test_any_history_ends_in_what_a_new_store_would_hold(fleet: Fleet, tmp_path: Path) -> None:
    """Recorded, moved, forgotten and recorded again: bitmaps and hosts agree with a plain dict."""
    chance = random.Random(20_261_122)
    pool = [
        Installed("pypi", f"p{n % 7}", f"1.{n}", "cp311", f"p{n % 7}",
                  chance.choice(("installed", "held")))
        for n in range(30)
    ]  # fmt: skip
    truth: dict[str, Inventory] = {}
    for seen in range(200):
        name = f"h{chance.randrange(8)}"
        some = tuple(sorted(chance.sample(pool, 5), key=lambda p: (p.package, p.version)))
        if chance.random() < 0.2:
            fleet.forget(name)
            truth.pop(name, None)
        elif chance.random() < 0.3 and name in truth:
            gone = truth[name].packages[:2]
            left = (*truth[name].packages[2:], *(p for p in some if p not in truth[name].packages))
            fleet.moved(name, seen, gone, [p for p in some if p not in truth[name].packages])
            truth[name] = _inventory(name, *sorted(left, key=lambda p: (p.package, p.version)))
        else:
            fleet.record(_inventory(name, *some), seen)
            truth[name] = _inventory(name, *some)
    hosts = {h.host: h for h in fleet.hosts(now=200, silence=300)}
    assert {name: fleet.inventory(h) for name, h in hosts.items()} == truth
    with Fleet(tmp_path / "again.db", places) as again:
        again.record_all((inventory, 1) for inventory in truth.values())
        assert _spelled(fleet) == _spelled(again)


def _spelled(fleet: Fleet) -> dict[tuple[str, str], list[str]]:
    return {(p.package, p.version): fleet.names(hosts) for _, p, hosts in fleet.packages()}


def test_packages_are_given_by_id(fleet: Fleet) -> None:
    """Some or all, each with who has it; more than one query holds."""
    rows = [Installed("pypi", f"p{n}", "1.0", "cp311", f"p{n}") for n in range(1_200)]
    fleet.record(_inventory("web1", *rows), 100)
    ids = fleet.ids("web1")
    assert len(list(fleet.packages(ids))) == len(list(fleet.packages())) == 1_200
    assert list(fleet.packages(BitMap())) == []
    assert fleet.ids("web9") == BitMap()


@pytest.mark.parametrize("few", [0, 3, 10_000])
@pytest.mark.parametrize("kept", [0, 10_000])
def test_moves_count_wherever_they_are_kept(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, few: int, kept: int
) -> None:
    """Written down as such, put into bitmaps, or some here and some there: the same answers."""
    monkeypatch.setattr(change, "FEW", few)
    monkeypatch.setattr(change, "KEPT", kept)
    monkeypatch.setattr(change, "LOOK", 5)
    chance, truth = random.Random(few), dict[str, set[str]]()
    with Fleet(tmp_path / "fleet.db", places) as fleet:
        for seen in range(60):
            name = f"h{chance.randrange(4)}"
            if chance.random() < 0.1:
                fleet.forget(name)
                truth.pop(name, None)
                continue
            truth[name] = {f"p{n}" for n in range(9) if chance.random() < 0.5}
            rows = (Installed("npm", p, "1.0.0", "", p) for p in sorted(truth[name]))
            fleet.record(_inventory(name, *rows), seen)
        having = {f"p{n}": {h for h in truth if f"p{n}" in truth[h]} for n in range(9)}
        having = {name: hosts for name, hosts in having.items() if hosts}
        assert {n: set(h) for (n, _), h in _spelled(fleet).items()} == having
        assert set(fleet.versions("npm")) == set(having)
        for name in having:
            ((_, hosts),) = fleet.within("npm", "binary", name, b"", b"\xff")
            assert set(fleet.names(hosts)) == having[name]
        assert set(fleet.names(fleet.ecosystems()["npm"])) == set().union(*having.values())


def test_who_writes_often_grows_the_log_once(tmp_path: Path) -> None:
    """A commit then overwrites; nothing of what grew the log counts, here or for another reader."""
    log = tmp_path / "fleet.db-wal"
    with Fleet(tmp_path / "fleet.db", places) as fleet:
        for second in range(store.OFTEN - 1):
            fleet.record(_inventory("web1", OPENSSL if second % 2 else BASH), second)
        assert log.stat().st_size < store.WAL * store.PAGE
        fleet.record(_inventory("web2", BASH), 100)
        grown = log.stat().st_size
        assert grown >= store.WAL * store.PAGE
        fleet.record(_inventory("web1", OPENSSL), 100)
        assert log.stat().st_size == grown
        with Fleet(tmp_path / "fleet.db", places) as other:
            web1, web2 = other.hosts(now=100, silence=60)
            assert other.inventory(web1).packages == (OPENSSL,)
            assert other.inventory(web2).packages == (BASH,)


def test_opening_writes_nothing(tmp_path: Path) -> None:
    """A reader does not wait for whoever writes, nor for the disk."""
    with Fleet(tmp_path / "fleet.db", places):
        pass
    before = (tmp_path / "fleet.db").read_bytes()
    with Fleet(tmp_path / "fleet.db", places) as fleet:
        assert not fleet.hosts(now=0, silence=0)
    assert (tmp_path / "fleet.db").read_bytes() == before, "opening writes nothing"


def test_states_survive_an_import_of_many_that_share_packages(
    fleet: Fleet, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Also of packages that were seen before, and after what is remembered was thrown away."""
    monkeypatch.setattr(change, "CACHED", 2)
    others = [Installed("debian:12", f"p{n}", "1-1", "amd64", f"p{n}") for n in range(5)]
    packages = (BASH, *others)
    fleet.record_all([(_inventory(f"web{n}", *packages), 100) for n in range(3)])
    for host in fleet.hosts(now=100, silence=60):
        held = [p for p in fleet.inventory(host).packages if p.state == "held"]
        assert held == [BASH], host.host
