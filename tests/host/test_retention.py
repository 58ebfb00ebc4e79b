"""What an undo needs is kept for as long as it is allowed, whatever the limits; the rest goes."""

import json
from hashlib import sha256
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from answerable.host.__main__ import main
from answerable.host.files import HomeUnavailable
from answerable.host.retention import EVERY, Folder, Kept, Retention
from answerable.host.settings import read_settings
from answerable.kernel.canon import Json
from tests.host.conftest import Site

DAY = 86_400
NOW = 1_800_000_000


class Keeper:
    """Keeps what it is given."""

    kind = "thing"

    def __init__(self, *things: Kept) -> None:
        self.things = {one.name: one for one in things}

    def kept(self) -> list[Kept]:
        """Give what is there."""
        return list(self.things.values())

    def drop(self, name: str) -> None:
        """Throw one away."""
        del self.things[name]


def thing(name: str, size: int = 1, *artefacts: str, of_use: bool = True) -> Kept:
    """One thing."""
    return Kept(name, f"what {name} is", size, frozenset(artefacts), of_use)


def notice(until: int, *artefacts: str, undo: tuple[str, ...] = ()) -> tuple[str, Json]:
    """A notice that allows an undo for a while, under a leaf hash of its own."""
    body = {"undo_not_after": until, "artefacts": list(artefacts), "undo_artefacts": list(undo)}
    return sha256(repr(body).encode()).hexdigest(), body


def retention(path: Path, keeper: Keeper, days: int = 35, limit: int = 1000) -> Retention:
    """One that asks this keeper."""
    return Retention(path / "retention.json", lambda: [keeper], days, limit)


def test_what_is_old_goes_by_the_guards_time(tmp_path: Path) -> None:
    """Age counts from the first look that saw it, also over a restart of the agent."""
    keeper = Keeper(thing("a"))
    rows = retention(tmp_path, keeper).tidy(NOW, {}, 0)
    assert [(row["since"], row["until"]) for row in rows] == [(NOW, NOW + 35 * DAY)]
    keeper.things["b"] = thing("b")
    retention(tmp_path, keeper).tidy(NOW + DAY, {}, 0)
    rows = retention(tmp_path, keeper).tidy(NOW + 35 * DAY, {}, 0)
    assert [row["name"] for row in rows] == ["b"]
    assert set(keeper.things) == {"b"}
    assert retention(tmp_path, keeper).rows() == rows


def test_what_a_notice_still_allows_to_undo_stays(tmp_path: Path) -> None:
    """Neither age nor bytes throw it away; when its time is over they do."""
    keeper = Keeper(thing("a", 900, "one"), thing("b", 900, "two"), thing("c", 900, "none"))
    notices = dict([notice(NOW + 90 * DAY, "one"), notice(NOW + 2 * DAY, undo=("two",))])
    keep = retention(tmp_path, keeper)
    keep.tidy(NOW, notices, 0)
    assert set(keeper.things) == {"a", "b"}
    keep.tidy(NOW + 3 * DAY, notices, 0)
    assert set(keeper.things) == {"a"}
    rows = keep.tidy(NOW + 80 * DAY, notices, 0)
    assert [(row["until"], row["needed"]) for row in rows] == [(NOW + 90 * DAY,) * 2]
    assert keep.tidy(NOW + 91 * DAY, notices, 0) == []
    assert not keeper.things


def test_what_a_snapshot_left_belongs_to_its_notice(tmp_path: Path) -> None:
    """By the start of the notice's hash in its name."""
    leaf, body = notice(NOW + 60 * DAY)
    keeper = Keeper(thing("a", 1, leaf[:16]))
    rows = retention(tmp_path, keeper, days=1).tidy(NOW, {leaf: body}, 0)
    assert [row["until"] for row in rows] == [NOW + 60 * DAY]


def test_above_the_limit_the_oldest_goes(tmp_path: Path) -> None:
    """One by one, until the rest fits."""
    keeper = Keeper()
    keep = retention(tmp_path, keeper)
    for day in range(5):
        keeper.things[f"{day}"] = thing(f"{day}", 400)
        keep.tidy(NOW + day * DAY, {}, 0)
    assert set(keeper.things) == {"3", "4"}


def test_what_is_undone_goes_at_once(tmp_path: Path) -> None:
    """Nothing can be undone with it, unless a notice names its packages."""
    keeper = Keeper(thing("a", of_use=False), thing("b", 1, "one", of_use=False))
    retention(tmp_path, keeper).tidy(NOW, dict([notice(NOW + DAY, "one")]), 0)
    assert set(keeper.things) == {"b"}


def test_it_looks_when_due_or_when_something_was_done(tmp_path: Path) -> None:
    """And never without a time that the guards vouch for."""
    keep = retention(tmp_path, Keeper(thing("a")))
    assert keep.tidy(0, {}, 0) == []
    assert not (tmp_path / "retention.json").exists()
    assert [bool(keep.tidy(NOW + late, {}, done)) for late, done in (
        (0, 0), (1, 0), (1, 1), (EVERY, 1), (EVERY + 1, 1),
    )] == [True, False, True, False, True]  # fmt: skip


def test_files_are_kept_by_the_hash_in_their_name(tmp_path: Path) -> None:
    """What never arrived whole goes."""
    name = "ab" * 32
    (tmp_path / f"{name}.deb").write_bytes(b"bytes")
    (tmp_path / f"{name}.part").write_bytes(b"by")
    folder = Folder("package", tmp_path)
    assert folder.kept() == [Kept(f"{name}.deb", f"{name}.deb", 5, frozenset({name, name[:16]}))]
    assert [file.name for file in tmp_path.iterdir()] == [f"{name}.deb"]
    folder.drop(f"{name}.deb")
    assert folder.kept() == []
    assert Folder("package", tmp_path / "none").kept() == []


@given(
    st.lists(st.tuples(st.integers(1, 400), st.integers(-2, 40), st.booleans()), max_size=12),
    st.integers(1, 1500),
    st.integers(1, 40),
)
def test_no_limit_ever_throws_away_what_is_needed(
    tmp_path_factory: pytest.TempPathFactory,
    rows: list[tuple[int, int, bool]],
    limit: int,
    days: int,
) -> None:
    """Any sizes, any ages, any notices."""
    things = [thing(f"{n}", size, f"{n}", of_use=use) for n, (size, _, use) in enumerate(rows)]
    notices = dict(notice(NOW + left * DAY, f"{n}") for n, (_, left, _) in enumerate(rows))
    keeper = Keeper(*things)
    keep = retention(tmp_path_factory.mktemp("keep"), keeper, days, limit)
    for day in range(0, 41, 8):
        kept = keep.tidy(NOW + day * DAY, notices, day)
        needed = {f"{n}" for n, (_, left, _) in enumerate(rows) if left >= day}
        assert needed <= set(keeper.things) == {row["name"] for row in kept}
        assert needed == set(keeper.things) or sum(row["bytes"] for row in kept) <= limit


@pytest.mark.parametrize("keep", [{"days": 0}, {"day": 1}, {"bytes": "1"}, {"days": True}])
def test_settings_are_exact(tmp_path: Path, keep: Json) -> None:
    """A misspelt limit would be none."""
    (tmp_path / "settings.json").write_text(json.dumps({"keep": keep}))
    with pytest.raises(HomeUnavailable, match="keep"):
        read_settings(tmp_path / "settings.json")
    (tmp_path / "settings.json").write_text('{"keep":{"days":7}}')
    assert read_settings(tmp_path / "settings.json").keep == {"days": 7, "bytes": 8 << 30}


def test_status_shows_what_is_kept_and_until_when(
    site: Site, capsys: pytest.CaptureFixture[str]
) -> None:
    """After a look, and in words for people."""
    artefacts = site.place / "driver/artefacts"
    artefacts.mkdir(parents=True)
    (artefacts / f"{'ab' * 32}.deb").write_bytes(b"bytes")
    site.world.hand_out(site.world.sim.play())
    assert main(["apply", "--dir", str(site.place)]) in (0, 1, 3)
    capsys.readouterr()
    assert main(["status", "--dir", str(site.place)]) == 0
    lines = capsys.readouterr().out.splitlines()
    kept = [line for line in lines if line.startswith("kept: ")]
    assert len(kept) == 1
    assert kept[0].startswith("kept: package abababababab until 20")
    main(["status", "--dir", str(site.place), "--output", "json"])
    told = json.loads(capsys.readouterr().out)["kept"]
    assert (told["days"], told["bytes"]) == (35, 5)
