"""What is published was signed by enough people, and a reader believes it."""

import json
from pathlib import Path

import pytest

from answerable.feeds.documents.fetch import Folder
from answerable.feeds.mirror import reader
from answerable.feeds.mirror.writer import Repository, Unready, digest_of, read_roster
from answerable.feeds.source import Unusable
from tests.feeds.mirror.publisher import DAY, NOW, SERVER, Publisher, both, hands, roster, sign

WORLDS = [letter * 64 for letter in "abcd"]


def _published(publisher: Publisher, now: int = NOW) -> list[str]:
    kept = {"root": publisher.root}
    published = reader.follow(Folder(publisher.folder), kept, now)
    return sorted({file.path.split("/")[1] for file in published.files})


def test_people_sign_one_after_the_other(tmp_path: Path) -> None:
    """A draft travels from one to the next, and becomes metadata with the last who is needed."""
    repository = Repository(tmp_path)
    drafted = repository.draft_root(roster(), NOW)
    assert (drafted.need, drafted.signed, drafted.issued) == (2, frozenset(), False)
    first = sign(repository, "root", *both("lee"))
    assert (first.signed, first.issued) == (frozenset({"lee"}), False)
    assert sign(repository, "root", *both("lee")).signed == {"lee"}, "twice counts once"
    assert not sign(repository, "root", *hands("sam")[:1]).issued, "half a person is none"
    assert sign(repository, "root", *hands("sam")[1:]).issued
    assert not list(tmp_path.rglob("draft/*.json"))


def test_what_was_looked_at_is_signed(tmp_path: Path) -> None:
    """A draft that was swapped after a person looked at it is not signed."""
    repository = Repository(tmp_path)
    repository.draft_root(roster(), NOW)
    seen = digest_of(repository.draft("root"))
    repository.draft_root(roster(("mallory", "trudy")), NOW)
    with pytest.raises(Unready, match="another one by now"):
        repository.sign("root", both("lee"), seen)


def test_only_those_in_the_role_sign(tmp_path: Path) -> None:
    """A key that signs nothing here is told so, rather than counted for nothing."""
    repository = Repository(tmp_path)
    repository.draft_root(roster(), NOW)
    with pytest.raises(Unready, match="mallory"):
        sign(repository, "root", *both("mallory"))
    with pytest.raises(Unready, match=SERVER):
        sign(repository, "root", *both(SERVER))


def test_the_old_people_let_the_new_ones_in(tmp_path: Path) -> None:
    """A new root needs enough of the old root's persons and of its own."""
    publisher = Publisher(tmp_path / "repo")
    repository = publisher.repository
    repository.draft_root(roster(("ann", "bob")), NOW)
    assert not sign(repository, "root", *both("ann", "bob")).issued
    assert not sign(repository, "root", *both("lee")).issued
    assert sign(repository, "root", *both("dana")).issued


def test_the_newest_parts_stay_published(tmp_path: Path) -> None:
    """Old worlds leave the list, and the disk one publication later."""
    publisher = Publisher(tmp_path / "repo")
    for day, name in enumerate(WORLDS):
        publisher.world(name, NOW + day * DAY)
    assert _published(publisher, NOW + 3 * DAY) == WORLDS[2:]
    on_disk = sorted(file.name for file in (publisher.folder / "targets" / "worlds").iterdir())
    assert set(WORLDS[1:]) <= set(on_disk)
    first = publisher.folder / "targets" / "worlds" / WORLDS[0]
    assert not list(first.glob("*"))


def test_renewal_needs_nobody(tmp_path: Path) -> None:
    """Each day the server says that nothing changed, with its own keys."""
    publisher = Publisher(tmp_path / "repo")
    publisher.world(WORLDS[0])
    publisher.repository.issue(both(SERVER), NOW + 6 * DAY)
    assert _published(publisher, NOW + 7 * DAY) == WORLDS[:1]


def test_old_metadata_leaves_the_disk(tmp_path: Path) -> None:
    """A publication that is renewed every day does not grow for ever; roots stay."""
    publisher = Publisher(tmp_path / "repo")
    publisher.world(WORLDS[0])
    for hour in range(12):
        publisher.repository.issue(both(SERVER), NOW + hour * 3600)
    names = sorted(file.name for file in (publisher.folder / "metadata").iterdir())
    assert [name for name in names if "snapshot" not in name] == [
        "1.root.json", "1.targets.json", "timestamp.json",
    ]  # fmt: skip
    assert sum("snapshot" in name for name in names) == 8
    assert _published(publisher) == WORLDS[:1]


def test_what_no_reader_believes_is_not_issued(tmp_path: Path) -> None:
    """A server cannot stretch what the people signed: their list is old."""
    publisher = Publisher(tmp_path / "repo", targets=1)
    publisher.world(WORLDS[0])
    before = (publisher.folder / "metadata" / "timestamp.json").read_bytes()
    with pytest.raises(Unusable, match="expired"):
        publisher.repository.issue(both(SERVER), NOW + DAY)
    assert (publisher.folder / "metadata" / "timestamp.json").read_bytes() == before


def test_what_is_missing_is_said(tmp_path: Path) -> None:
    """Each step that comes too early names the one before."""
    repository = Repository(tmp_path)
    with pytest.raises(Unready, match="no root yet"):
        repository.draft_targets({}, 2, NOW)
    with pytest.raises(Unready, match="no draft of targets"):
        repository.sign("targets", both("lee"), "")
    publisher = Publisher(tmp_path / "repo")
    with pytest.raises(Unready, match="nothing is published yet"):
        publisher.repository.issue(both(SERVER), NOW)
    publisher.world(WORLDS[0])
    with pytest.raises(Unready, match="snapshot needs the keys of 1"):
        publisher.repository.issue(hands(SERVER)[:1], NOW)


def test_a_roster_is_read_strictly(tmp_path: Path) -> None:
    """No shape, no key, no rule is guessed."""
    repository = Repository(tmp_path)
    given = roster()
    assert read_roster(json.dumps(given).encode()) == given
    with pytest.raises(Unready, match="no JSON"):
        read_roster(b"{")
    with pytest.raises(Unready, match="no roster"):
        repository.draft_root({"holders": []}, NOW)
    with pytest.raises(Unready, match="key"):
        repository.draft_root({**given, "holders": ["lee+00000000+AA=="]}, NOW)
    for days in (0, 1 << 50):
        with pytest.raises(Unready, match="`days` are"):
            repository.draft_root(roster(root=days), NOW)
    lonely = roster()
    lonely["roles"]["root"]["persons"] = 1
    with pytest.raises(Unusable, match="rule 6"):
        repository.draft_root(lonely, NOW)
