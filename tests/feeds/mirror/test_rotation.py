"""No mirror serves a site for ever, and none tells one site another story."""

from collections import Counter
from datetime import UTC, datetime
from pathlib import Path

import pytest

from answerable.feeds.mirror.rotation import WEEK, consult, turn, week
from answerable.feeds.source import State, Unusable
from tests.feeds.fakes import MemoryFetch
from tests.feeds.mirror.publisher import (
    DAY,
    NOW,
    SERVER,
    Files,
    Publisher,
    both,
    read,
    write,
)

LATER = NOW + DAY
MIRRORS = ("m1", "m2", "m3")


@pytest.fixture
def publisher(tmp_path: Path) -> Publisher:
    """Publish once."""
    made = Publisher(tmp_path / "repo")
    made.world("a" * 64)
    return made


def _first(site: str, now: int) -> str:
    return turn(MIRRORS, site, now)[0]


def test_weeks_begin_on_monday() -> None:
    """2026-11-23 is a Monday."""
    monday = int(datetime(2026, 11, 23, tzinfo=UTC).timestamp())
    assert week(monday) == week(monday - 1) + 1
    assert week(monday) == week(monday + WEEK - 1)


def test_each_mirror_serves_each_site_in_turn() -> None:
    """Over as many weeks as there are mirrors, each serves once; the week after, another one."""
    for site in ("berlin", "rennes", "oulu"):
        served = [_first(site, NOW + n * WEEK) for n in range(3)]
        assert Counter(served) == dict.fromkeys(MIRRORS, 1)
        assert served[0] == _first(site, NOW) == _first(site, NOW + 3 * WEEK)


def test_sites_are_spread() -> None:
    """Not everybody asks the same mirror in the same week."""
    spread = Counter(_first(f"site{n}", NOW) for n in range(300))
    assert min(spread.values()) > 60


def _consult(mirrors: dict[str, Files], publisher: Publisher) -> dict[str, str]:
    fetches = {name: MemoryFetch(files, name) for name, files in mirrors.items()}
    counsel = consult(fetches, "berlin", {"root": publisher.root}, LATER)
    states = {each.mirror: each.state for each in counsel.heard}
    assert states[counsel.serves] == "serves"
    return states


def test_mirrors_that_agree(publisher: Publisher) -> None:
    """This week's mirror serves, the others agree."""
    states = _consult(dict.fromkeys(MIRRORS, publisher.served()), publisher)
    assert states == dict.fromkeys(MIRRORS, "agrees") | {_first("berlin", LATER): "serves"}


def test_a_mirror_that_lags_is_passed_over(publisher: Publisher) -> None:
    """A mirror that holds back what others have is behind, also in its own week."""
    old = publisher.served()
    publisher.world("b" * 64, LATER)
    slow = _first("berlin", LATER)
    mirrors = {name: publisher.served() for name in MIRRORS} | {slow: old}
    states = _consult(mirrors, publisher)
    assert states[slow] == "behind"
    assert sorted(states.values()) == ["agrees", "behind", "serves"]


@pytest.mark.parametrize(
    ("served", "state"), [({}, "missing"), ({"metadata/timestamp.json": b"?"}, "malformed")]
)
def test_a_mirror_that_cannot_be_read_is_recorded(
    publisher: Publisher, served: Files, state: str
) -> None:
    """It has that state, and another one serves."""
    bad = _first("berlin", LATER)
    states = _consult(dict.fromkeys(MIRRORS, publisher.served()) | {bad: served}, publisher)
    assert states[bad] == state


def test_if_none_can_be_read_the_first_says_why(publisher: Publisher) -> None:
    """Nothing is served, and the reason is named."""
    with pytest.raises(Unusable) as caught:
        _consult({name: {} for name in MIRRORS}, publisher)
    assert caught.value.state == State.MISSING


def test_two_stories_stop_everything(publisher: Publisher) -> None:
    """Two regions are shown two timestamps of one version: neither is believed."""
    files = publisher.served()
    stamp = read(files, "metadata/timestamp.json")
    stamp.signed.expires = stamp.signed.expires.replace(minute=1)
    write(files, "metadata/timestamp.json", stamp, both(SERVER))
    mirrors = dict.fromkeys(MIRRORS, publisher.served()) | {"m2": files}
    with pytest.raises(Unusable) as caught:
        _consult(mirrors, publisher)
    assert caught.value.state == State.SPLIT


def test_two_roots_of_one_version_stop_everything(publisher: Publisher) -> None:
    """Enough people signed two second roots."""
    served = []
    for day in (1, 2):
        files = publisher.served()
        root = read(files, "metadata/1.root.json")
        root.signed.version = 2
        root.signed.expires = root.signed.expires.replace(day=day)
        write(files, "metadata/2.root.json", root, both("lee", "dana"))
        served.append(files)
    with pytest.raises(Unusable) as caught:
        _consult({"m1": served[0], "m2": served[1]}, publisher)
    assert caught.value.state == State.SPLIT


def test_asking_changes_nothing_that_is_believed(publisher: Publisher) -> None:
    """To ask is not to believe."""
    kept = {"root": publisher.root}
    consult({"m1": MemoryFetch(publisher.served())}, "berlin", kept, LATER)
    assert kept == {"root": publisher.root}
