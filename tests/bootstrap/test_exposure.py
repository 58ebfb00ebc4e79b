"""One machine's list without any settings: all that applies, and everything that is missing."""

import json
from pathlib import Path

import pytest

from answerable.bootstrap import exposure
from answerable.bootstrap.exposure import Listed, here
from answerable.bootstrap.feed_folder import Place, recognise
from answerable.config import NotConfigured
from answerable.feeds.source import State, Unusable
from answerable.feeds.world import Worlds
from answerable.inventory.installed import Unreadable
from tests.bootstrap.carry import carry
from tests.bootstrap.folder import CVE, INSTRUCTION, OTHER, feeds, root
from tests.exposure.models import MODEL
from tests.feeds.worlds import NOON
from tests.simulator.world import Simulator


@pytest.fixture
def ground(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Lay out a machine and a folder of publications, at noon."""
    monkeypatch.setattr(exposure, "clock", lambda: NOON + 3_600)
    root(tmp_path / "root")
    feeds(tmp_path / "feeds")
    return tmp_path


def listed(ground: Path, *, public: bool | None = None) -> Listed:
    """List it."""
    place = Place(ground / "feeds", ground / "kept")
    return here(place, lambda _what, _done: None, public=public, root=ground / "root")


def test_every_flaw_of_every_package_is_listed_the_most_urgent_first(ground: Path) -> None:
    """Distribution packages and environments, each flaw once, with its fix."""
    found = listed(ground)
    rows = [(r.verdict.cve, r.exposure.installed.package, r.exposure.advisory.fixed)
            for r in found.rows]  # fmt: skip
    assert rows[0] == (CVE, "openssl", "3.0.22-1")
    assert set(rows[1:]) == {(OTHER, "openssl", "3.0.22-1"), ("CVE-2026-0003", "flask", "2.3")}
    assert found.context.listed
    assert found.rows[0].verdict.floor.row["in KEV"] == "Y"
    assert found.heading.ranking.startswith("rules alone")


def test_a_released_model_at_hand_is_asked(ground: Path) -> None:
    """And without one, the list says that rules ranked it, and why."""
    town, place = Simulator(), Place(ground / "feeds", ground / "kept")

    def heading(folder: Path) -> str:
        root = ground / "root"
        found = here(place, lambda _what, _done: None, public=None, root=root, model=folder)
        return found.heading.ranking

    carry(town, ground / "model", "dana", "fay")
    assert heading(ground / "model") == f"model {MODEL.sha256}"
    carry(town, ground / "alone", "dana")
    assert heading(ground / "alone").startswith("rules alone: not_enough_people")
    assert heading(ground / "nowhere").startswith("rules alone: no released model")


def test_asking_again_gives_the_same(ground: Path) -> None:
    """What was kept is taken up again, and changes nothing."""
    assert [r.score for r in listed(ground).rows] == [r.score for r in listed(ground).rows]


def test_the_time_begins_once(ground: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A flaw that nobody dates is due as from when we first saw it, not anew with every list."""
    first = {row.verdict.cve: row.verdict.due for row in listed(ground).rows}
    monkeypatch.setattr(exposure, "clock", lambda: NOON + 20 * 3_600)
    assert {row.verdict.cve: row.verdict.due for row in listed(ground).rows} == first


def test_being_internal_is_told_by_who_knows(ground: Path) -> None:
    """A machine of which nobody says so counts as public."""
    unknown, inside = listed(ground), listed(ground, public=False)
    assert "publicly exposed" in unknown.rows[0].verdict.floor.unknown
    assert inside.rows[0].verdict.floor.row["publicly exposed"] == "N"
    assert inside.rows[0].score < unknown.rows[0].score


def test_a_missing_catalogue_counts_as_worse(ground: Path) -> None:
    """Without the catalogue every flaw may be in it."""
    (ground / "feeds" / "known_exploited_vulnerabilities.json").unlink()
    found = listed(ground)
    assert not found.context.listed
    assert all("in KEV" in row.verdict.floor.unknown for row in found.rows)


def test_a_broken_catalogue_is_told_and_counts_as_not_read(ground: Path) -> None:
    """A file that was cut says nothing, and is not taken for an empty one."""
    path = ground / "feeds" / "known_exploited_vulnerabilities.json"
    path.write_bytes(path.read_bytes()[:-40])
    found = listed(ground)
    assert not found.context.listed
    assert any("known_exploited_vulnerabilities.json" in note for note in found.notes)


@pytest.mark.parametrize("name", ["debian-tracker.json", "osv/pypi.json"])
def test_broken_advisories_list_nothing(ground: Path, name: str) -> None:
    """Half of a tracker would read as "no flaws": nothing is listed, and it is said why."""
    path = ground / "feeds" / name
    path.write_bytes(path.read_bytes()[:-40])
    with pytest.raises(Unusable) as unusable:
        listed(ground)
    assert unusable.value.state in (State.MALFORMED, State.TRUNCATED)


def test_old_advisories_list_nothing(ground: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A frozen folder is stale, not calm."""
    listed(ground)
    monkeypatch.setattr(exposure, "clock", lambda: NOON + 90 * 86_400)
    with pytest.raises(Unusable) as unusable:
        listed(ground)
    assert unusable.value.state == State.STALE


def test_a_strange_file_is_told(ground: Path) -> None:
    """What no rule knows by its name is not left out silently."""
    (ground / "feeds" / "README.txt").write_text("x")
    assert "`README.txt` is not known by its name, and was not read" in listed(ground).notes


def test_nothing_to_read_is_no_empty_list(tmp_path: Path) -> None:
    """No folder, nothing known in it, no package database: each is said."""
    place = Place(tmp_path / "none", tmp_path / "kept")
    machine = root(tmp_path / "root")
    with pytest.raises(NotConfigured, match="--feeds"):
        here(place, lambda _what, _done: None, public=None, root=machine)
    (tmp_path / "none").mkdir()
    with pytest.raises(NotConfigured, match="known by its name"):
        here(place, lambda _what, _done: None, public=None, root=machine)
    (tmp_path / "bare").mkdir()
    with pytest.raises(Unreadable):
        here(place, lambda _what, _done: None, public=None, root=tmp_path / "bare")


def test_a_folder_of_worlds_is_taken_as_it_is(ground: Path) -> None:
    """What `feed sync` made needs no second reading."""
    listed(ground)
    place = Place(ground / "kept" / "worlds", ground / "unused")
    assert Worlds(place.folder).newest() is not None
    found = here(place, lambda _what, _done: None, public=None, root=ground / "root")
    assert len(found.rows) == 3
    assert not place.kept.exists()


def test_names_are_what_is_known(tmp_path: Path) -> None:
    """Each kind has its rule, whatever folder it lies in."""
    names = {
        "kev.json.gz": "kev", "a/known_exploited_vulnerabilities.json": "kev",
        "epss_scores-current.csv.gz": "epss", "osv/debian.jsonl.zst": "osv", "PyPI/all.zip": "osv",
        "vulnrichment-develop.zip": "vulnrichment", "nvd-2026.json.gz": "nvd",
        "security-tracker.json": "debian-tracker", "updateinfo.xml.gz": "updateinfo",
    }  # fmt: skip
    for name in names:
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_bytes(b"")
    settings, strange = recognise(tmp_path, "almalinux:9")
    found = {path: each["kind"] for each in settings for path in each["files"]}
    assert (found, strange) == (names, [])
    assert len({each["name"] for each in settings}) == len(settings)


def test_instructions_in_texts_stay_text(ground: Path) -> None:
    """A catalogue that gives orders changes no row but by its date, and shows as words."""
    orders = listed(ground)
    path = ground / "feeds" / "known_exploited_vulnerabilities.json"
    calm = json.loads(path.read_text())
    for one in calm["vulnerabilities"]:
        one["vulnerabilityName"] = one["shortDescription"] = "a flaw"
    path.write_text(json.dumps(calm))
    assert INSTRUCTION not in path.read_text()
    assert [(r.score, r.verdict) for r in listed(ground).rows] == [
        (r.score, r.verdict) for r in orders.rows
    ]


def test_a_folder_that_cannot_be_looked_into_is_said(tmp_path: Path) -> None:
    """As one below a host's own directory to a user who is not root."""
    place = Place(tmp_path / ("x" * 300), tmp_path / "kept")
    with pytest.raises(NotConfigured, match="cannot be read"):
        here(place, lambda _what, _done: None, public=None, root=root(tmp_path / "root"))
