"""A guard's own composition: its settings, its address book, and what its attester answers."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from answerable.bootstrap.feeds import sources
from answerable.bootstrap.guard import Attester, _book, _limits, setting
from answerable.bootstrap.parties import found
from answerable.config import NotConfigured, Party
from answerable.feeds import release
from answerable.feeds.candidate import Candidate, propose
from answerable.kernel.checkpoint import check_cosignature
from answerable.kernel.note import Note, parse_vkey
from answerable.notice.channel import Address
from tests.fakes.guards import Town

FACTS = [{
    "id": "CVE-2024-49768", "package": "waitress", "affected": "<3.0.1", "fixed": "3.0.1",
    "cvss_vector": "CVSS:3.1/AV:N/AC:L/PR:N/UI:N/S:U/C:H/I:H/A:N", "cvss": 9.1, "kev": "",
}]  # fmt: skip


def _party(folder: Path, settings: dict[str, Any]) -> Party:
    return Party(folder, "guard", "g1", "team", "", "", settings)


def _feed(folder: Path) -> dict[str, Any]:
    (folder / "wheels").mkdir(parents=True)
    (folder / "wheels" / "waitress-3.0.1-py3-none-any.whl").write_bytes(b"a wheel")
    (folder / "facts.json").write_text(json.dumps(FACTS))
    return {"kind": "application", "ecosystem": "pypi", "wheelhouse": str(folder / "wheels"),
            "facts": str(folder / "facts.json")}  # fmt: skip


class Feed:
    """A guard with sources of its own, and what the control plane finds elsewhere."""

    def __init__(self, folder: Path) -> None:
        """Found both."""
        self.theirs, self.mine = folder / "theirs", folder / "mine"
        self._control = _party(folder / "control", {"app": _feed(self.theirs)})
        self.party = _party(folder / "g1", {"feeds": {"app": _feed(self.mine)}})
        self.card = found(self.party)
        self.town = Town(folder / "town")
        self.attester = Attester(self.party, self.town.guard("g1"), httpx.Client())

    def proposed(self) -> Candidate:
        """Give what the control plane proposes."""
        app = self._control.settings["app"]
        own = sources(app, self._control, httpx.Client(), lambda: False)
        made = propose("app", own, ["waitress"], 0)
        assert isinstance(made, Candidate)
        return made


@pytest.fixture
def feed(tmp_path: Path) -> Iterator[Feed]:
    """Give a guard whose sources say what everybody else's do."""
    made = Feed(tmp_path)
    yield made
    for guard in made.town.guards.values():
        guard.close()


def test_equal_facts_are_cosigned_with_both_attester_keys(feed: Feed) -> None:
    """The lines are over the release's checkpoint, of both types, and of no other role's key."""
    proposed = feed.proposed()
    answer = feed.attester.answer(proposed.text.encode())
    assert answer.status == 200
    agreed = release.checkpoint(proposed, feed.town.sim.state.fleet, 1)
    note = release.joined(agreed, [answer.body.decode()])
    keys = [parse_vkey(vkey) for vkey in feed.card["attester"]]
    _, good = Note(note.encode(), 1 << 20).open(keys, check_cosignature)
    assert set(good) == set(keys)


def test_an_invented_fact_is_named(feed: Feed) -> None:
    """The control plane's own wheel, or a worse score than mine, is a disagreement with names."""
    (feed.theirs / "wheels" / "waitress-3.0.1-py3-none-any.whl").write_bytes(b"an evil wheel")
    answer = feed.attester.answer(feed.proposed().text.encode())
    assert answer.status == 409
    told = json.loads(answer.body)
    assert told["feed"] == "app"
    assert "waitress" in told["facts"][0]


def test_where_provenance_is_demanded_artefacts_need_it(
    feed: Feed, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The charter says so: a wheel without a word of its makers is attested by no guard."""
    proposed = feed.proposed().text.encode()
    law = feed.town.sim.state.law()
    monkeypatch.setitem(law.body["feeds"], "app", {"max_age": 9, "provenance": "required"})
    follower = feed.attester._guard.follower
    monkeypatch.setattr(follower, "look", lambda ask: ask(feed.town.sim.state))
    answer = feed.attester.answer(proposed)
    assert answer.status == 409
    assert b"waitress-3.0.1" in answer.body


def test_a_guard_that_cannot_look_abstains(feed: Feed) -> None:
    """Its facts are gone: it vouches for nothing and says why."""
    (feed.mine / "facts.json").unlink()
    answer = feed.attester.answer(feed.proposed().text.encode())
    assert answer.status == 503
    assert b"missing" in answer.body


@pytest.mark.parametrize("body", [b"", b"{}", b"\xff", b'{"feed":"app"}'])
def test_what_is_no_candidate_is_answered(feed: Feed, body: bytes) -> None:
    """Any bytes get an answer and no cosignature."""
    assert feed.attester.answer(body).status == 400


def test_a_feed_without_sources_is_not_attested(feed: Feed) -> None:
    """A guard vouches for no feed that it does not look at."""
    other = feed.proposed().text.replace('"feed":"app"', '"feed":"other"')
    assert feed.attester.answer(other.encode()).status == 404


def test_addresses_are_one_or_several(tmp_path: Path) -> None:
    """A person may be reached by a second channel where the first one fails."""
    lee = [{"channel": "mail", "at": "lee@team.example"}, {"channel": "file", "at": "lee"}]
    book = _book(_party(tmp_path, {"addresses": {"lee": lee, "dana": lee[1]}}))
    assert book["lee"] == [Address("mail", "lee@team.example"), Address("file", "lee")]
    assert book["dana"] == [Address("file", "lee")]


@pytest.mark.parametrize("given", [{"lee": {"channel": "mail"}}, {"lee": "mail"}, ["lee"]])
def test_an_address_that_is_none_is_named(tmp_path: Path, given: object) -> None:
    """A guard that could tell nobody does not start."""
    with pytest.raises(NotConfigured, match="an address needs"):
        _book(_party(tmp_path, {"addresses": given}))


def test_settings_must_name_log_and_control_plane(tmp_path: Path) -> None:
    """An address that is missing, or no URL, is said at the start."""
    for given in ({}, {"log": 7}, {"log": "log.example"}):
        with pytest.raises(NotConfigured, match="no URL as `log`"):
            setting(_party(tmp_path, given), "log")
    assert setting(_party(tmp_path, {"log": "http://l/"}), "log") == "http://l"


def test_limits_are_whole_numbers(tmp_path: Path) -> None:
    """A limit that is none is said at the start; the others keep their defaults."""
    assert _limits(_party(tmp_path, {"veto_hold": 5, "log": "x"})).veto_hold == 5
    for odd in (True, -1, "5", 1.5):
        with pytest.raises(NotConfigured, match="must be"):
            _limits(_party(tmp_path, {"veto_hold": odd}))
