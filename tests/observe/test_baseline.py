"""What a host was like is compared with what it is like, and nothing becomes normal unsaid."""

from pathlib import Path

import pytest

from answerable.observe.baseline import Baselines
from answerable.observe.look import Place, Unseen
from answerable.observe.posture import Posture, posture


@pytest.fixture
def place(tmp_path: Path) -> Place:
    """Make a host with one unit."""
    put(tmp_path / "web1", "web.service")
    return Place(tmp_path / "web1", "dpkg")


def put(root: Path, unit: str) -> None:
    """Add a unit."""
    file = root / "etc/systemd/system" / unit
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text("[Service]\n")


def baselines(place: Place) -> Baselines:
    """Start an observer's memory of postures."""
    return Baselines(place.root.parent / "postures", lambda at: posture(at.root))


def test_first_look_finds_nothing(place: Place) -> None:
    """There is nothing to compare a host with that was never looked at."""
    known = baselines(place)
    known.first("web1", place)
    assert known.weaker("web1", place, ()) == ""


def test_weakness_is_found_until_it_was_said(place: Place) -> None:
    """An observer that is killed before it spoke finds the same again; afterwards it is normal."""
    baselines(place).first("web1", place)
    put(place.root, "own.service")
    for _ in range(2):
        known = baselines(place)
        known.first("web1", place)
        assert "own.service" in known.weaker("web1", place, ())
    known.keep("web1")
    again = baselines(place)
    again.first("web1", place)
    assert again.weaker("web1", place, ()) == ""


@pytest.mark.parametrize("damage", [b"", b"{", b"[]", b'{"sections":{},"unread":[]}', b"\xff"])
def test_damaged_memory_is_said(place: Place, damage: bytes) -> None:
    """A baseline that somebody damaged is replaced, and not in silence."""
    baselines(place).first("web1", place)
    file = place.root.parent / "postures/web1.json"
    file.write_bytes(damage)
    known = baselines(place)
    with pytest.raises(Unseen, match="damaged"):
        known.first("web1", place)
    known.first("web1", place)
    assert known.weaker("web1", place, ()) == ""


def test_environment_without_a_disk_has_no_posture(place: Place) -> None:
    """A Python environment is looked at in other ways, and nothing is made up for it."""
    known = Baselines(place.root.parent / "postures", lambda _: None)
    known.first("web1", place)
    assert known.weaker("web1", place, ()) == ""
    assert not (place.root.parent / "postures").exists()


def test_host_that_cannot_be_looked_at_is_no_answer(place: Place) -> None:
    """A look that fails is neither well nor weaker."""

    def nothing(_: Place) -> Posture:
        raise Unseen("away")

    with pytest.raises(Unseen):
        Baselines(place.root.parent / "postures", nothing).first("web1", place)
