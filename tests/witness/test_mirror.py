"""The mirror serves exactly the records behind the heads that the guard cosigned."""

import random
from pathlib import Path
from struct import pack

import pytest

from answerable.kernel.merkle import Tree, leaf_hash
from answerable.witness import http_log, log, mirror
from answerable.witness.mirror import Mirror, keep, root_of, settle
from answerable.witness.store import Store
from answerable.witness.tiles import SPAN, tile_path
from answerable.witness.wire import Finding, GuardUnavailable
from tests.fakes.guards import Town
from tests.fakes.tiled_log import TiledLog

ORIGIN = "log.example/x"


@pytest.fixture
def store(tmp_path: Path) -> Store:
    """An empty store."""
    return Store(tmp_path / "guard.db")


def some(size: int, start: int = 0) -> list[bytes]:
    """Give records."""
    return [b"record %d" % n for n in range(start, start + size)]


def head(store: Store, size: int, root: bytes) -> None:
    """Pretend that the guard cosigned this head."""
    with store.write() as db:
        row = (ORIGIN, size, root, b"note of %d" % size, 0)
        db.execute("REPLACE INTO head VALUES (?,?,?,?,?)", row)


@pytest.mark.parametrize("seed", range(4))
def test_tiles_grown_in_any_steps_are_those_of_the_tree(store: Store, seed: int) -> None:
    """However records arrive, tiles, bundles and roots are those of one tree."""
    draw, entries, total = random.Random(seed), some(1200), 0
    while total < len(entries):
        step = min(draw.choice((1, 7, 255, 256, 257, 600)), len(entries) - total)
        with store.write() as db:
            keep(db, ORIGIN, total, entries[total : total + step])
        total += step
        with store.read() as db:
            assert root_of(db, ORIGIN, total) == Tree(map(leaf_hash, entries[:total])).root()
    with store.write() as db:
        settle(db, ORIGIN, total, b"")
    tree, served = Tree(map(leaf_hash, entries)), Mirror(store)
    assert served.get(ORIGIN, "tile/0/004.p/176") == bytes(tree.levels[0][4 * 8192 :])
    assert served.get(ORIGIN, "tile/0/002") == bytes(tree.levels[0][2 * 8192 : 3 * 8192])
    assert served.get(ORIGIN, "tile/1/000.p/4") == bytes(tree.levels[8])
    bundle = b"".join(pack(">H", len(e)) + e for e in entries[1024:1200])
    assert served.get(ORIGIN, "tile/entries/004.p/176") == bundle
    for absent in ("tile/0/004", "tile/0/004.p/177", "tile/1/000", "tile/2/000.p/1", "tile/0/5"):
        assert served.get(ORIGIN, absent) is None


def test_three_levels(store: Store) -> None:
    """The check of the specification: 70,000 records are three levels of tiles."""
    entries = some(70_000)
    with store.write() as db:
        keep(db, ORIGIN, 0, entries)
        settle(db, ORIGIN, len(entries), b"")
        assert root_of(db, ORIGIN, len(entries)) == Tree(map(leaf_hash, entries)).root()
    served = Mirror(store)
    for level, number, width in (("0", 273, 112), ("1", 0, 256), ("1", 1, 17), ("2", 0, 1)):
        data = served.get(ORIGIN, tile_path(level, number, width))
        assert data is not None
        assert len(data) == 32 * width


def test_report_log_is_mirrored_in_the_background(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The records behind a cosigned head are fetched in steps, and served once they led to it."""
    monkeypatch.setattr(mirror, "PULL", 300)
    town = Town(tmp_path)
    guard = town.guard()
    town.report.entries += some(700)
    assert town.offer(guard, town.report).status == 200
    assert guard.mirror.checkpoint(town.report.origin) is None
    guard.chores()
    head = guard.witness.checkpoint(town.report.origin)
    assert guard.mirror.checkpoint(town.report.origin) == head
    assert guard.mirror.entries(town.report.origin) == town.report.entries


def test_nothing_unverified_is_served(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    """Half of a download is no evidence, and is not given out as such."""
    monkeypatch.setattr(mirror, "PULL", 300)
    source = TiledLog(ORIGIN, some(400))
    head(store, 400, source.tree.root())
    served = Mirror(store)
    assert served.pull(ORIGIN, source.reach()) is None
    assert served.get(ORIGIN, "tile/0/000") is None
    assert served.pull(ORIGIN, source.reach()) is None
    assert served.get(ORIGIN, "tile/0/000") is not None
    assert served.checkpoint(ORIGIN) == b"note of 400"


def test_records_that_do_not_lead_to_the_root_are_thrown_away(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A log that serves other records than it signed is found out, and may still do better."""
    monkeypatch.setattr(mirror, "PULL", 100)
    good, served = TiledLog(ORIGIN, some(600)), Mirror(store)
    head(store, 300, good.tree.root(300))
    for _ in range(3):
        assert served.pull(ORIGIN, good.reach()) is None
    head(store, 600, good.tree.root())
    bad = TiledLog(ORIGIN, [*some(450), *some(150, 9000)])
    findings = [served.pull(ORIGIN, bad.reach()) for _ in range(3)]
    assert [f.reason for f in findings if isinstance(f, Finding)] == ["split_view"]
    assert served.checkpoint(ORIGIN) == b"note of 300"
    assert served.get(ORIGIN, "tile/0/001.p/44") is not None
    assert served.get(ORIGIN, "tile/0/001.p/45") is None
    for _ in range(3):
        assert served.pull(ORIGIN, good.reach()) is None
    assert served.entries(ORIGIN) == good.entries
    assert served.checkpoint(ORIGIN) == b"note of 600"


def test_download_that_is_killed_goes_on(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What was fetched before a kill is there after it; nothing is fetched into two places."""
    monkeypatch.setattr(mirror, "PULL", 300)
    source = TiledLog(ORIGIN, some(500))
    store = Store(tmp_path / "guard.db")
    head(store, 500, source.tree.root())
    Mirror(store).pull(ORIGIN, source.reach())
    again = Mirror(Store(tmp_path / "guard.db"))
    assert again.pull(ORIGIN, source.reach()) is None
    assert again.entries(ORIGIN) == source.entries


def test_partial_bundle_that_is_gone_is_read_from_the_full_one() -> None:
    """A log may delete partial tiles once the full ones exist (c2sp.org/tlog-tiles)."""
    source = TiledLog(ORIGIN, some(300))
    reach = source.reach()
    # The tree had 40 records when this head was signed; the partial bundle of 40 is gone since.
    source.gone = {"tile/entries/000.p/40"}
    assert reach.entries(0, 40, 40) == some(40)
    assert source.served == ["tile/entries/000.p/40", "tile/entries/000"]
    assert reach.entries(290, 300, 300) == some(10, 290)


def test_too_much_at_once_is_not_read(monkeypatch: pytest.MonkeyPatch) -> None:
    """However far a log runs ahead, one request costs a bounded number of records and bytes."""
    source = TiledLog(ORIGIN, some(2 * SPAN))
    with pytest.raises(GuardUnavailable):
        source.reach().entries(0, log.STEP + 1, log.STEP + 1)
    monkeypatch.setattr(http_log, "STEP_BYTES", 100)
    with pytest.raises(GuardUnavailable):
        source.reach().entries(0, 2 * SPAN, 2 * SPAN)
    monkeypatch.undo()
    monkeypatch.setattr(http_log, "BUNDLE", 100)
    with pytest.raises(GuardUnavailable):
        source.reach().entries(0, 10, 2 * SPAN)
