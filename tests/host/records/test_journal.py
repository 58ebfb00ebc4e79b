"""What was begun is known after any kill; what is damaged is never guessed at."""

from pathlib import Path

import pytest

from answerable.host.files import HomeUnavailable
from answerable.host.records.journal import Journal
from answerable.kernel.canon import Json


def body(seq: int, result: str = "succeeded") -> Json:
    """Give what the journal looks at of a report's body."""
    return {"result": result, "seq": seq}


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """Where a journal lies."""
    return tmp_path / "journal"


def test_everything_is_there_again_after_a_restart(path: Path) -> None:
    """Begun, ended, sent and finished are read back as they were."""
    first = Journal(path)
    first.begin("n/o/a", "d1")
    first.end("n/o/a", body(first.next_seq()))
    first.begin("n/o/b", "d1")
    first.end("n/o/b", body(first.next_seq(), "failed"))
    first.begin("n/p/c", "d2")
    first.sent(1)
    first.finish("d1")
    for journal in (first, Journal(path)):
        assert journal.consumed == ["n/o/a", "n/o/b", "n/p/c"]
        assert journal.open == ("n/p/c", "d2")
        assert journal.failed == {"n/o/b"}
        assert list(journal.unsent) == [2]
        assert list(journal.bundles) == ["d2"]
        assert journal.next_seq() == 3


def test_a_torn_last_line_was_never_acted_on(path: Path) -> None:
    """A line without its end was not synced, so nothing was done: it is written over."""
    journal = Journal(path)
    journal.begin("n/o/a", "d")
    whole = path.read_bytes()
    for end in range(1, len(whole)):
        path.write_bytes(whole + whole[:end].rstrip(b"\n"))
        again = Journal(path)
        assert again.consumed == ["n/o/a"]
        again.begin("n/o/b", "d")
        assert Journal(path).consumed == ["n/o/a", "n/o/b"]


@pytest.mark.parametrize("line", [b"x", b"[]", b'{"is":"other"}', b'{"is":"begun"}', b"\xff"])
def test_a_damaged_line_stops_the_host(path: Path, line: bytes) -> None:
    """A host that cannot know what it has done does nothing more."""
    Journal(path).begin("n/o/a", "d")
    path.write_bytes(path.read_bytes() + line + b"\n" + path.read_bytes())
    with pytest.raises(HomeUnavailable, match="damaged at line 2"):
        Journal(path)


def test_a_full_disk_begins_nothing(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What could not be synced is not begun, and leaves nothing behind."""
    journal = Journal(path)
    journal.begin("n/o/a", "d")

    def full(_: int) -> None:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patched:
        patched.setattr("os.fsync", full)
        with pytest.raises(HomeUnavailable, match="No space left"):
            journal.begin("n/o/b", "d")
    assert journal.consumed == ["n/o/a"]
    journal.begin("n/o/c", "d")
    assert Journal(path).consumed == ["n/o/a", "n/o/c"]
