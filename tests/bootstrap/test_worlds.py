"""A party's own look at the world: it blocks when it cannot look, and stops at what it sees."""

import json
from pathlib import Path
from typing import Any, cast

import httpx
import pytest

from answerable.bootstrap import guard as guards
from answerable.bootstrap import worlds
from answerable.bootstrap.guard import KEPT, Attester
from answerable.bootstrap.parties import found
from answerable.bootstrap.worlds import Lookout
from answerable.config import NotConfigured, Party
from answerable.feeds.candidate import Candidate
from answerable.feeds.source import State, Unusable
from answerable.kernel.errors import Unavailable
from tests.attacks.region import FEED, OPENSSL, PACKAGES, Region
from tests.feeds.fakes import MemorySource
from tests.feeds.worlds import CRITICAL, DAY


@pytest.fixture
def region(tmp_path: Path) -> Region:
    """Give a region with one world."""
    return Region(tmp_path / "region")


def _party(folder: Path, **settings: Any) -> Party:  # noqa: ANN401
    return Party(folder, "guard", "g1", "team", "", "", settings)


def test_who_names_no_publications_keeps_no_world(tmp_path: Path) -> None:
    """Facts are then as their sources state them; nothing is made on disk."""
    lookout = Lookout(_party(tmp_path), httpx.Client())
    assert not lookout.looks
    assert (lookout.gather(0), lookout.shocks(FEED, 0), lookout.problems(0)) == (None, (), ())
    lookout.accept(FEED)
    assert list(tmp_path.iterdir()) == []


def test_a_publication_that_is_none_is_named(tmp_path: Path) -> None:
    """A misspelt kind is an error at the start."""
    with pytest.raises(NotConfigured, match="no kind"):
        Lookout(_party(tmp_path, publications=[{"kind": "rumours"}]), httpx.Client())


def test_before_the_first_sync_there_is_nothing_to_believe(tmp_path: Path) -> None:
    """A guard that never looked vouches for nothing."""
    said = {"name": "kev", "kind": "kev", "folder": str(tmp_path)}
    lookout = Lookout(_party(tmp_path / "g1", publications=[said]), httpx.Client())
    assert {problem.state for problem in lookout.problems(0)} == {State.MISSING}
    with pytest.raises(Unusable, match="sync first"):
        lookout.gather(0)


def test_steps_are_told(region: Region) -> None:
    """Fetching, reading and making are told while they go on."""
    told = []
    region.kev["CVE-2024-0777"] = None
    region.now += DAY
    region.write()
    region.lookout.refresh(region.now, 0, lambda *step: told.append(step))
    assert {doing for doing, *_ in told} >= {"fetch", "read", "write"}
    assert ("write", "world") in {(doing, what) for doing, what, *_ in told}


class _Log:
    """A follower that knows fleet, charter and one release."""

    def __init__(self) -> None:
        self.releases: dict[str, Any] = {}
        self.newest: dict[str, str] = {}
        self.fleet = "f" * 64

    def law(self) -> Any:  # noqa: ANN401
        """Give charter 1."""
        return type("Law", (), {"body": {"number": 1}})

    def look(self, ask: Any) -> Any:  # noqa: ANN401  what is asked
        """Answer from this state."""
        return ask(self)

    def release(self, candidate: Candidate, time: int) -> None:
        """Put a candidate into service."""
        root = candidate.tree.root().hex()
        self.newest[candidate.feed] = root
        self.releases[root] = {"root": root, "time": time, "feed": candidate.feed, "size": 1}


class Desk:
    """A guard's real attester over a region, its log and its clock by hand."""

    def __init__(self, region: Region, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        """Found it."""
        settings = json.loads(json.dumps(region.lookout_settings))
        party = _party(folder, publications=settings)
        found(party)
        self.log, self.region, self.folder = _Log(), region, folder
        known = cast("Any", type("Guard", (), {"follower": self.log}))
        monkeypatch.setattr(guards, "clock", lambda: region.now)
        self.attester = Attester(party, known, httpx.Client())
        self.attester._sources = cast("Any", {FEED: region.sources()})
        self.attester.refresh()

    def ask(self, candidate: Candidate) -> tuple[int, Any]:
        """Hand it a candidate; give the answer."""
        answer = self.attester.answer(candidate.text.encode())
        body = answer.body.decode()
        return answer.status, json.loads(body) if body.startswith("{") else body


@pytest.fixture
def desk(region: Region, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Desk:
    """Give an attester that has looked once."""
    return Desk(region, tmp_path / "g1", monkeypatch)


def test_a_guard_vouches_for_what_its_own_world_agrees_on(desk: Desk) -> None:
    """The facts that two channels raised are cosigned; those that one alone raises are named."""
    assert desk.ask(desk.region.proposed())[0] == 200
    plain = Region(desk.folder / "other")
    plain.kev["CVE-2024-0002"] = None
    plain.listed.add("CVE-2024-0002")
    plain.sync()
    status, told = desk.ask(plain.proposed())
    assert (status, len(told["facts"])) == (409, 1)


def test_a_guard_stops_at_a_shock_until_a_release_settles_it(desk: Desk) -> None:
    """What it saw is named, and is not called an attack; people's release ends it."""
    assert desk.ask(desk.region.proposed())[0] == 200
    desk.region.scores["ghsa"] |= {f"CVE-2026-{n:04}": CRITICAL for n in range(1_000)}
    desk.region.sync(DAY)
    desk.attester.refresh()
    status, told = desk.ask(desk.region.proposed())
    assert (status, told["reason"]) == (409, "a shock: people release")
    assert told["facts"][0].startswith("flood of claims in ghsa: ")
    assert "attack" not in json.dumps(told)
    desk.log.release(desk.region.proposed(), desk.region.now)
    assert desk.ask(desk.region.proposed())[0] == 200


def test_a_guard_that_was_never_shown_what_stands_asks_for_it(desk: Desk) -> None:
    """It cannot tell what would be lowered, so it vouches for nothing until it was shown."""
    before = desk.region.proposed()
    desk.log.release(before, desk.region.now)
    desk.region.kev["CVE-2024-0777"] = None
    desk.region.signed = (*desk.region.signed, *MemorySource().facts)
    desk.region.moving = desk.region.moving[1:]
    other = desk.region.proposed()
    status, told = desk.ask(other)
    assert (status, told["reason"]) == (428, "unknown_subject")
    assert desk.ask(before)[0] == 200
    status, told = desk.ask(other)
    assert status == 409
    assert "lowered" in told["reason"]


def test_a_guard_whose_publications_are_stale_abstains(desk: Desk) -> None:
    """A frozen catalogue is no ground to stand on."""
    desk.region.now += 4 * DAY
    desk.attester.refresh()
    status, told = desk.ask(desk.region.proposed_anyway())
    assert (status, told["reason"]) == (503, "unavailable")
    assert "stale" in told["detail"]


def test_a_guard_keeps_the_last_few_and_what_is_in_force(desk: Desk) -> None:
    """Whoever floods it with candidates fills no disk, and drives out no released snapshot."""
    first = desk.region.proposed()
    assert desk.ask(first)[0] == 200
    desk.log.release(first, desk.region.now)
    for number in range(2 * KEPT):
        packages = (*PACKAGES, f"p{number:02}")
        desk.ask(Candidate(FEED, packages, first.facts[number % 2 :], (), (), {}, ()))
        facts = first.facts[: 1 + number % 3]
        desk.ask(Candidate(FEED, packages, facts, (), (), {}, ()))
    kept = {file.name for file in (desk.folder / "shown" / FEED).iterdir()}
    assert first.tree.root().hex() in kept
    assert len(kept) <= KEPT + 1


def test_a_failing_look_does_not_end_the_guard(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    """A world that cannot be made is written down by the sync, and is no fault of the process."""

    def fails(*_: object) -> None:
        raise Unavailable("somebody else is at it")

    monkeypatch.setattr(worlds.Lookout, "refresh", fails)
    desk.attester.refresh()
    assert OPENSSL in desk.region.kev
