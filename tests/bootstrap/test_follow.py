"""Whoever is no host follows both logs too, and takes nothing that no quorum cosigned."""

import json
from collections.abc import Iterator
from hashlib import sha256
from pathlib import Path

import httpx
import pytest

from answerable.bootstrap.follow import LAST, Logs, NotFollowed, read_hosts
from answerable.feeds.candidate import Candidate
from answerable.feeds.release import by_people
from answerable.kernel.checkpoint import Checkpoint
from answerable.kernel.merkle import Tree, leaf_hash
from tests.bootstrap.village import LOG, Village, reason, served, village
from tests.ledger.fleet import HASH
from tests.simulator.constitution import FEED
from tests.simulator.log import cosigned_note


@pytest.fixture(scope="module")
def _founded(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Village]:
    with village(tmp_path_factory.mktemp("village")) as made:
        made.fleet.enrol("web1", "web2")
        yield made


@pytest.fixture
def town(_founded: Village) -> Village:
    """Give a village in which nobody meddles."""
    _founded.meddle.clear()
    return _founded


def logs(town: Village, kept: Path | None = None) -> Logs:
    """Follow from the first charter."""
    return Logs(town.client(), LOG, town.charter, kept)


def test_both_logs_are_followed_to_their_heads(town: Village) -> None:
    """The state is the one that every host folds, and each report is opened with its key."""
    town.say("report", town.fleet.report_entry("report", "host"))
    followed = logs(town)
    followed.hosts = [town.sim.members["web1"].enrolled]
    followed.refresh()
    assert followed.state.digest() == town.sim.state.digest()
    assert [row.said.kind for row in followed.reports if row.said][-1] == "report"


def test_what_is_new_is_added(town: Village) -> None:
    """A second look reads what was said since, once."""
    followed = logs(town)
    followed.refresh()
    size = followed.state.tree.size
    followed.refresh()
    assert followed.state.tree.size == size
    body = {"artefacts": ["cd" * 32], "facts": [], "reason": "replaced"}
    town.follow("withdrawal", body, "dana")
    assert "cd" * 32 in followed.authority().state.withdrawn


def test_what_people_released_is_told_from_what_guards_did(town: Village) -> None:
    """Only people settle what had gone; a release of attesters settles nothing."""
    followed = logs(town)
    followed.refresh()
    assert followed.by_people == {}
    state = followed.state
    body = by_people(Candidate(FEED, (), (), (), (), {}, ()), state.law(), state.fleet, 1 << 40)
    town.follow("release", body, "dana", "kim")
    followed.refresh()
    assert followed.by_people == {FEED: 1 << 40}


def test_reports_by_unknown_keys_are_not_believed(town: Village) -> None:
    """A report whose host is not known here keeps its place, and says nothing."""
    town.say("report", town.fleet.report_entry("report", "host", notice="12" * 32))
    followed = logs(town)
    followed.refresh()
    assert followed.reports[-1].said is None
    assert followed.said("12" * 32) == []


def test_what_was_said_of_a_notice_is_found(town: Village) -> None:
    """Reports by their host, observations by observers, outcomes by planners."""
    about = "34" * 32
    kinds = {"report": "host", "observation": "observer", "outcome": "planner"}
    for kind, who in kinds.items():
        town.say("report", town.fleet.report_entry(kind, who, notice=about))
    followed = logs(town)
    followed.hosts = [town.sim.members["web1"].enrolled]
    followed.refresh()
    assert [said.kind for said in followed.said(about)] == list(kinds)
    assert followed.said(HASH[::-1]) == []


def test_hosts_that_wait_for_a_reboot_are_known(town: Village) -> None:
    """By the last report about it, their own; a reboot that failed ends no waiting."""
    followed = logs(town)
    followed.hosts = [town.sim.members["web1"].enrolled]
    for result, why, waits in (
        ("succeeded", "reboot_required", True), ("failed", "reboot", True),
        ("succeeded", "", True), ("succeeded", "rebooted", False),
        ("succeeded", "not_needed", False), ("succeeded", "reboot_required", True),
    ):  # fmt: skip
        fields = {"result": result, "reason": why, "order": sha256(why.encode()).hexdigest()}
        town.say("report", town.fleet.report_entry("report", "host", **fields))
        followed.refresh()
        assert followed.waiting() == (frozenset({"web1"}) if waits else frozenset()), why


def test_the_first_checkpoint_of_a_size_is_kept(town: Village, tmp_path: Path) -> None:
    """A notice's time is that of the first head that covers it, also after a restart."""
    followed = logs(town, tmp_path)
    first = followed.authority().seen[-1]
    head = town.fleet.authority.log.head().checkpoint
    later = cosigned_note(head, "witness", dict.fromkeys(town.guards, 2_000_000_000))
    url = f"{LOG}/authority/checkpoint"
    town.meddle[url] = lambda _: served(later)
    for again in (followed, logs(town, tmp_path)):
        seen = {row.size: row for row in again.authority().seen[:-1]}
        assert seen[head.size].note == first.note
        assert again._seen[LAST].past == 2_000_000_000


@pytest.mark.parametrize(
    ("guards", "why"), [(2, "no_quorum"), (0, "bad_signature")], ids=["two guards", "no guard"]
)
def test_a_head_without_a_quorum_is_not_followed(town: Village, guards: int, why: str) -> None:
    """A thief with the log's keys and one or two guards cannot show another log."""
    followed = logs(town)
    followed.refresh()
    before = followed.state.digest()
    at = Checkpoint(town.sim.origin, 1, Tree([leaf_hash(b"mine")]).root())
    times = dict.fromkeys(list(town.guards)[:guards], 1)
    note = cosigned_note(at, "witness", times, log=town.sim.origin)
    town.meddle[f"{LOG}/authority/checkpoint"] = lambda _: served(note)
    with pytest.raises(NotFollowed) as failed:
        followed.refresh()
    assert (reason(failed.value), followed.state.digest()) == (why, before)


def test_another_history_is_a_split_view(town: Village) -> None:
    """Even a quorum that lies about the past is noticed: the leaves that are known do not fit."""
    followed = logs(town)
    followed.refresh()
    size = followed.state.tree.size
    other = Tree([leaf_hash(b"%d" % n) for n in range(size)])
    at = Checkpoint(town.sim.origin, size, other.root())
    note = cosigned_note(at, "witness", dict.fromkeys(town.guards, 1))
    town.meddle[f"{LOG}/authority/checkpoint"] = lambda _: served(note)
    with pytest.raises(NotFollowed) as failed:
        followed.refresh()
    assert reason(failed.value) == "split_view"


def test_a_changed_record_is_refused(town: Village) -> None:
    """A record that was edited on the way, or in the server's database, is not folded."""
    size = town.fleet.authority.log.head().checkpoint.size

    def edited(answer: httpx.Response) -> httpx.Response:
        data = bytearray(answer.read())
        data[-1] ^= 1
        return served(bytes(data))

    town.meddle[f"{LOG}/authority/tile/entries/000.p/{size}"] = edited
    followed = logs(town)
    with pytest.raises(NotFollowed) as failed:
        followed.refresh()
    assert reason(failed.value) == "bad_inclusion"


def test_hosts_read_back(tmp_path: Path, town: Village) -> None:
    """A file of enrolled hosts gives the records with their proofs; no file, no hosts."""
    member = town.sim.members["web1"].enrolled
    row = {"record": member.record, "enrolment": member.enrolment, "place": member.place,
           "path": [step.hex() for step in member.path]}  # fmt: skip
    (tmp_path / "hosts.json").write_text(json.dumps([row]))
    assert read_hosts(tmp_path / "hosts.json") == [member]
    assert read_hosts(tmp_path / "none.json") == []
