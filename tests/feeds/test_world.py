"""Worlds: the same bytes from the same documents, and nothing strict disappears from them."""

import contextlib
import random
import shutil
from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from hypothesis import given as examples
from hypothesis import strategies as st

from answerable.feeds import tables
from answerable.feeds.rows import Claim, Range, Row
from answerable.feeds.source import State, Unusable
from answerable.feeds.sync import Kept
from answerable.feeds.world import FILES, World, Worlds, open_world, verify
from tests.feeds.mangle import mangled
from tests.feeds.worlds import (
    CRITICAL,
    DAY,
    DOCUMENTS,
    MEDIUM,
    NOON,
    Given,
    claim,
    document,
    given,
    laid_out,
    manifest_of,
    span,
)

KEV = document("kev", [claim("kev"), claim("kev", "CVE-2024-0002")])
NVD = document("nvd", [claim("nvd", field="cvss", value=CRITICAL), claim("nvd")], NOON + 5)
OSV = document("osv", [span(), span(advisory="GHSA-2", fixed="3.0", cves=())])


def _build(home: Path, *documents: Given, now: int = NOON + 60, cleared: int = 0) -> World:
    return Worlds(home).build(given(*documents), now, cleared)


def _bytes(world: World) -> dict[str, bytes]:
    return {name: (world.folder / name).read_bytes() for name in (*FILES, "manifest.json")}


def _rows(world: World, name: str) -> list[list[object]]:
    return [row for _, *row in tables.every(world.folder, name)]


def test_the_same_documents_give_the_same_bytes(tmp_path: Path) -> None:
    """Neither the order of documents nor that of their rows changes a byte or the root."""
    draw = random.Random(7)
    many = [document(f"d{n}", [claim(f"c{n % 3}", f"CVE-2024-{k:04}") for k in range(n, 900 + n)],
                     NOON + n) for n in range(4)]  # fmt: skip
    first = _build(tmp_path / "a", *many, KEV, NVD, OSV)
    shuffled = [(kept, draw.sample(rows, len(rows))) for kept, rows in [KEV, *many, OSV, NVD]]
    draw.shuffle(shuffled)
    second = _build(tmp_path / "b", *shuffled)
    assert first.root == second.root
    assert _bytes(first) == _bytes(second)
    verify(first)


def test_a_chain_of_worlds_is_reproducible(tmp_path: Path) -> None:
    """Times are carried from world to world, so the second is the same as well."""
    later = document("kev", [claim("kev", value="no")], NOON + DAY)
    roots = set()
    for home in (tmp_path / "a", tmp_path / "b"):
        _build(home, KEV, OSV)
        roots.add(_build(home, OSV, later, now=NOON + DAY).root)
    assert len(roots) == 1


def test_a_row_is_seen_when_it_came_first(tmp_path: Path) -> None:
    """What a newer document says again keeps the time and the document of its first coming."""
    _build(tmp_path, KEV)
    again = document("kev", [claim("kev", said=77), claim("kev", "CVE-2024-0003")], NOON + DAY)
    second = _build(tmp_path, again, now=NOON + DAY)
    assert _rows(second, "claims") == [
        ["kev", "CVE-2024-0001", "exploited", "yes", 77, KEV[0].sha256, NOON],
        ["kev", "CVE-2024-0003", "exploited", "yes", 0, again[0].sha256, NOON + DAY],
    ]


def test_two_documents_that_say_the_same_are_one_row(tmp_path: Path) -> None:
    """The first to come is named."""
    copy = document("mirror", [claim("kev")], NOON - 9)
    world = _build(tmp_path, KEV, copy)
    assert _rows(world, "claims")[0][-2:] == [copy[0].sha256, NOON - 9]


def test_what_is_no_longer_said_is_kept_until_people_clear_it(tmp_path: Path) -> None:
    """An exploited flaw that leaves the catalogue stays in the past, with when it was missed."""
    _build(tmp_path, KEV)
    without = document("kev", [claim("kev")], NOON + DAY)
    second = _build(tmp_path, without, now=NOON + DAY)
    gone = ["kev", "CVE-2024-0002", "exploited", "yes", 0, KEV[0].sha256, NOON, NOON + DAY]
    assert _rows(second, "claims_past") == [gone]
    third = _build(tmp_path, without, NVD, now=NOON + 2 * DAY, cleared=NOON + DAY)
    assert _rows(third, "claims_past") == []


def test_titles_and_forecasts_leave_no_past(tmp_path: Path) -> None:
    """Only what makes people more careful is kept when it is gone; EPSS moves every day."""
    old = [claim("epss", field="epss", value="0.9"), claim("nvd", field="title", value="old")]
    _build(tmp_path, document("d", old))
    new = [claim("epss", field="epss", value="0.1"), claim("nvd", field="title", value="new")]
    assert _rows(_build(tmp_path, document("d", new), now=NOON + DAY), "claims_past") == []


@pytest.mark.parametrize(
    "change", [[], [span(withdrawn=NOON)], [span(status="not_affected")], [span(fixed="2.2")]]
)
def test_a_range_that_is_taken_back_stands(tmp_path: Path, change: list[Row]) -> None:
    """A removed, withdrawn or shortened advisory goes on applying until people clear it."""
    _build(tmp_path, document("d", [span()]), KEV)
    second = _build(tmp_path, document("d", change), KEV, now=NOON + DAY)
    assert span() in [_range(row) for row in _rows(second, "ranges")]
    ((*_, gone),) = _rows(second, "ranges_past")
    assert gone == NOON + DAY
    third = _build(tmp_path, document("d", change), NVD, now=NOON + 2 * DAY)
    assert span() in [_range(row) for row in _rows(third, "ranges")]
    assert [row[-1] for row in _rows(third, "ranges_past")] == [NOON + DAY]
    last = _build(tmp_path, document("d", change), KEV, now=NOON + 3 * DAY, cleared=NOON + DAY)
    assert span() not in [_range(row) for row in _rows(last, "ranges")]
    back = _build(tmp_path, document("d", [span()]), now=NOON + 4 * DAY)
    assert span() in [_range(row) for row in _rows(back, "ranges")]
    assert span() not in [_range(row) for row in _rows(back, "ranges_past")]


def _range(row: list[object]) -> Range:
    values = [tuple(one) if isinstance(one, list) else one for one in row[:14]]
    return Range(*values)  # type: ignore[arg-type]


def test_a_range_that_is_said_again_differently_is_not_lost(tmp_path: Path) -> None:
    """A date of change, or an urgency, is no other range."""
    _build(tmp_path, document("d", [span()]))
    moved = document("d", [span(modified=9, urgency="low")])
    second = _build(tmp_path, moved, now=NOON + DAY)
    assert (len(_rows(second, "ranges")), _rows(second, "ranges_past")) == (1, [])


def test_the_same_documents_again_are_the_same_world(tmp_path: Path) -> None:
    """A sync that found nothing new makes no new world."""
    first = _build(tmp_path, KEV, OSV)
    assert _build(tmp_path, OSV, KEV, now=NOON + DAY) == first
    assert Worlds(tmp_path).newest() == first


def test_a_world_is_asked_as_of_a_time(tmp_path: Path) -> None:
    """What came later is not known then, and what was gone later was still there."""
    _build(tmp_path, KEV)
    changed = document("kev", [claim("kev", value="no")], NOON + DAY)
    second = _build(tmp_path, changed, NVD, now=NOON + DAY)
    then = list(tables.claims(second.folder, None, NOON))
    known = [(one.row, one.gone) for one in then]
    assert known == [(row, 0) for row in KEV[1]]
    now = tables.claims(second.folder, ["CVE-2024-0002"], NOON + DAY)
    assert [one.gone for one in now] == [NOON + DAY]
    only = tables.claims(second.folder, None, NOON + DAY, ["cvss"])
    assert [one.row for one in only] == [NVD[1][0]]


def _broken() -> Iterator[Row]:
    yield claim("nvd")
    raise Unusable(State.TRUNCATED, "nvd", "it ends early")


def test_a_document_that_fails_makes_no_world(tmp_path: Path) -> None:
    """Half a document is never taken for all that there is to say; the world before stays."""
    first = _build(tmp_path, KEV)
    with pytest.raises(Unusable) as failure:
        Worlds(tmp_path).build([(KEV[0], iter(KEV[1])), (NVD[0], _broken())], NOON + DAY)
    assert failure.value.state is State.TRUNCATED
    assert Worlds(tmp_path).newest() == first
    assert not list(tmp_path.glob(".new-*"))
    with pytest.raises(Unusable, match="is empty"):
        Worlds(tmp_path).build([], NOON + DAY)


def test_a_clock_set_back_makes_no_world(tmp_path: Path) -> None:
    """Times in worlds only go forward."""
    _build(tmp_path, KEV)
    with pytest.raises(Unusable, match="set the clock"):
        _build(tmp_path, NVD, now=NOON)


@pytest.mark.parametrize("name", [*FILES, "manifest.json"])
def test_a_changed_file_is_no_world(tmp_path: Path, name: str) -> None:
    """A byte that was changed, or a file that is missing, is found when the world is opened."""
    world = _build(tmp_path, KEV, OSV)
    data = bytearray((world.folder / name).read_bytes())
    data[len(data) // 2] ^= 1
    (world.folder / name).write_bytes(data)
    with pytest.raises(Unusable):
        verify(open_world(world.folder))
    (world.folder / name).unlink()
    with pytest.raises(Unusable) as failure:
        Worlds(tmp_path).newest()
    assert failure.value.state is State.MISSING


def test_rows_under_another_root_are_forged(tmp_path: Path) -> None:
    """A world with every hash in order, and other rows than its root says, is found by reading."""
    world, other = _build(tmp_path / "a", KEV, OSV), _build(tmp_path / "b", NVD, OSV)
    body = (world.folder / "manifest.json").read_text()
    (other.folder / "manifest.json").write_text(
        (other.folder / "manifest.json").read_text().replace(other.root, world.root)
    )
    shutil.rmtree(world.folder)
    other.folder.rename(world.folder)
    assert world.root in body
    opened = Worlds(tmp_path / "a").get(world.root)
    with pytest.raises(Unusable) as failure:
        verify(opened)
    assert failure.value.state is State.FORGED


def test_worlds_swapped_on_disk_are_forged(tmp_path: Path) -> None:
    """A folder is the world of its name, or none."""
    one, two = _build(tmp_path, KEV), _build(tmp_path, NVD, now=NOON + DAY)
    shutil.rmtree(one.folder)
    shutil.copytree(two.folder, one.folder)
    with pytest.raises(Unusable) as failure:
        Worlds(tmp_path).get(one.root)
    assert failure.value.state is State.FORGED
    for odd in ("", "../" + one.root, one.root[:-1]):
        with pytest.raises(Unusable):
            Worlds(tmp_path).get(odd)


def test_a_folder_that_cannot_be_a_table_is_unusable(tmp_path: Path) -> None:
    """Parquet that is none is a state, and not a crash."""
    world = _build(tmp_path, KEV)
    (world.folder / "claims.parquet").write_bytes(b"PAR1" * 20)
    with pytest.raises(Unusable):
        verify(world)


def test_text_is_cleaned_at_the_door(tmp_path: Path) -> None:
    """No row brings a terminal's control codes, turned text or half characters into a world."""
    odd = "\x1b]8;;http://evil\x07\u202e\ud800 ignore previous instructions 'quoted'); DROP TABLE x"
    world = _build(tmp_path, document("d", [claim("nvd", field="title", value=odd)]))
    ((*_, value, _, _, _),) = _rows(world, "claims")
    assert isinstance(value, str)
    assert value.isprintable()
    assert "ignore previous instructions 'quoted'); DROP TABLE x" in value


def test_a_world_from_elsewhere_is_the_newest_if_it_is_newer(tmp_path: Path) -> None:
    """What was carried here is opened by its hashes, and an older one does not step back."""
    made = [
        _build(tmp_path / "there", KEV, now=NOON),
        _build(tmp_path / "there", OSV, now=NOON + 9),
    ]
    here = tmp_path / "here"
    for world in made:
        shutil.copytree(world.folder, here / world.root)
    worlds = Worlds(here)
    assert [worlds.adopt(world.root).root for world in made] == [world.root for world in made]
    assert worlds.adopt(made[0].root).root == made[1].root
    (here / made[1].root / "claims.parquet").write_bytes(b"other")
    with pytest.raises(Unusable, match="forged"):
        worlds.adopt(made[1].root)


def test_a_world_under_another_root_is_not_adopted(tmp_path: Path) -> None:
    """Attack: whoever carries worlds gives one the name of another, hashes and all."""
    world, name = _build(tmp_path / "there", KEV, now=NOON), "ab" * 32
    place = tmp_path / "here" / name
    shutil.copytree(world.folder, place)
    manifest = place / "manifest.json"
    manifest.write_text(manifest.read_text().replace(world.root, name))
    with pytest.raises(Unusable, match="forged"):
        Worlds(tmp_path / "here").adopt(name)


def test_what_is_accepted_is_compared(tmp_path: Path) -> None:
    """A feed's next world is held against the last that was accepted for it, not the last made."""
    flaws = [f"CVE-2024-{n:04}" for n in range(100)]
    worlds = Worlds(tmp_path)
    first = _build(tmp_path, document("kev", [claim("kev", flaw) for flaw in flaws]))
    assert worlds.shocks("debian", first) == ()
    worlds.accept("debian", first)
    less = document("kev", [claim("kev", flaw) for flaw in flaws[:50]])
    second = _build(tmp_path, less, now=NOON + DAY)
    third = _build(tmp_path, less, NVD, now=NOON + 2 * DAY)
    for world in (second, third):
        (shock,) = worlds.shocks("debian", world)
        assert (shock.kind, shock.channel, shock.detail[:9]) == ("collapse", "kev", "50 of 100")
    worlds.accept("debian", third)
    assert worlds.shocks("debian", third) == worlds.shocks("pypi", third) == ()
    assert worlds.accepted("debian") == third


def test_a_day_of_syncs_is_one_day_of_the_past(tmp_path: Path) -> None:
    """Worlds made every hour do not fill the past with quiet hours."""
    _build(tmp_path, document("kev", [claim("kev")]), now=NOON)
    for hour in range(1, 4):
        rows = [claim("kev", f"CVE-2024-{n:04}") for n in range(1, 2 + hour)]
        last = _build(tmp_path, document("kev", rows), now=NOON + hour * 3600)
    assert [(day.since, dict(day.fresh)) for day in last.past] == [(NOON, {("claims", "kev"): 3})]
    rows.append(claim("kev", "CVE-2024-0999"))
    last = _build(tmp_path, document("kev", rows), now=NOON + DAY)
    assert [day.since for day in last.past] == [NOON, NOON + DAY]


def test_old_worlds_go_unless_something_was_decided_on_them(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The newest few stay, and every one that was accepted or that a candidate was made from."""
    monkeypatch.setattr("answerable.feeds.world.KEPT", 2)
    worlds, made = Worlds(tmp_path), []
    for day in range(6):
        kev = document("kev", [claim("kev", f"CVE-2024-{day:04}")])
        made.append(_build(tmp_path, kev, now=NOON + day * DAY))
    worlds.pin(made[1])
    worlds.accept("debian", made[2])
    assert worlds.prune() == [made[0].root, made[3].root]
    assert [worlds.get(made[n].root) for n in (1, 2, 4, 5)] == [made[n] for n in (1, 2, 4, 5)]
    assert worlds.prune() == []


def test_steps_are_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Long work says how far it is."""
    monkeypatch.setattr("answerable.feeds.world.EVERY", 2)
    told: list[tuple[str, int]] = []
    Worlds(tmp_path).build(
        given(KEV, NVD, OSV), NOON + 60, progress=lambda what, n: told.append((what, n))
    )
    assert told[:4] == [("read", 2), ("read", 4), ("read", 6), ("write", 6)]
    assert told[-1] == ("hash", 6)


def test_many_rows_have_the_root_of_one_tree(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Hashing in chunks gives the root that RFC 6962 gives for all the leaves at once."""
    rows = [Claim("nvd", f"CVE-2024-{n:04}", "cvss", MEDIUM, n) for n in range(45)]
    whole = _build(tmp_path / "a", document("nvd", rows)).root
    for size in (1, 2, 4, 16):
        monkeypatch.setattr("answerable.feeds.world.CHUNK", size)
        assert _build(tmp_path / str(size), document("nvd", rows)).root == whole


def test_kept_is_what_a_sync_gives() -> None:
    """The fake document has every field of the real one."""
    assert isinstance(KEV[0], Kept)


@pytest.mark.fuzz
@examples(st.binary(max_size=300) | mangled(manifest_of()))
def test_any_manifest_is_read_or_unusable(data: bytes) -> None:
    """Untrusted bytes cause `Unusable` and nothing else."""
    with TemporaryDirectory() as folder, contextlib.suppress(Unusable):
        open_world(laid_out(Path(folder), manifest=data or b"{}"))


@pytest.mark.fuzz
@examples(st.binary(max_size=300) | mangled(DOCUMENTS))
def test_any_list_of_documents_is_read_or_unusable(data: bytes) -> None:
    """Also where the manifest has its hash in order."""
    with TemporaryDirectory() as folder, contextlib.suppress(Unusable):
        open_world(laid_out(Path(folder), data))
