"""What people say is signed by their own `ssh-keygen`, and counts only where it cannot be lost."""

from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from answerable.authority.written import NotWritten
from answerable.bootstrap import people
from answerable.bootstrap.people import NotSigned
from answerable.kernel.canon import Json
from answerable.kernel.errors import Refused, Unavailable
from answerable.kernel.note import Note
from answerable.kernel.statement import AUTHORITY, open_statement
from answerable.keys.sign import sign_note
from tests.bootstrap.village import LOG, Meddle, Village, served, village
from tests.simulator.constitution import veto
from tests.simulator.keys import signer


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Village]:
    """Found a village."""
    with village(tmp_path_factory.mktemp("village")) as made:
        yield made


@pytest.fixture
def town(place: Village) -> Village:
    """Give a village in which nobody is away and nobody meddles."""
    place.meddle.clear()
    place.away.clear()
    place.asked.clear()
    return place


def say(town: Village, kind: str, body: Json, who: str = "lee", key: str = "") -> people.Said:
    """Let a person say something with a key file."""
    path = town.ssh_key(key or who)
    return people.say(kind, body, who, path, town.sim.state, town.client(), LOG)


def _vetoes() -> Iterator[str]:
    yield from (f"https://{guard}.example/veto" for guard in ("g1", "g2", "g3", "g4"))


def test_ssh_keygen_signs_for_the_statements_own_type(town: Village) -> None:
    """The namespace is that of the type, so a signature is of no use for another statement."""
    said = say(town, "veto", veto(reason="the namespace"))
    owners = town.sim.state.law().owners
    assert open_statement(said.entry, AUTHORITY, owners).people == {"lee"}
    text = said.entry.rpartition(b"\n\n")[0] + b"\n"
    tail = said.entry.rpartition(b"\n\n")[2]
    halt = text.replace(b'"type":"veto"', b'"type":"halt"')
    with pytest.raises(Refused):
        open_statement(halt + b"\n" + tail, AUTHORITY, owners)


def test_a_veto_goes_to_every_guard_and_not_to_the_log(town: Village) -> None:
    """A log server in a thief's hands is not asked whether a veto may pass."""
    said = say(town, "veto", veto(reason="to guards"))
    assert said.receipts == ("g1", "g2", "g3", "g4")
    assert people.done(said, town.sim.state.law())
    assert sorted(town.asked) == [f"POST {url}" for url in _vetoes()]


def test_a_veto_is_done_with_receipts_of_a_quorum(town: Village) -> None:
    """One guard may be away; with two away it is said that the veto is not done."""
    town.away = {"g4"}
    assert people.done(say(town, "veto", veto(reason="one away")), town.sim.state.law())
    town.away = {"g3", "g4"}
    said = say(town, "veto", veto(reason="two away"))
    assert said.receipts == ("g1", "g2")
    assert not people.done(said, town.sim.state.law())


def test_the_log_takes_a_veto_that_no_guard_took(town: Village) -> None:
    """Whoever can reach only the log may still say no; it is not shown as done."""
    town.away = {"g1", "g2", "g3", "g4"}
    said = say(town, "veto", veto(reason="only the log"))
    town.published()
    assert (said.receipts, said.logged) == ((), True)
    assert said.entry in town.fleet.authority.log.store.entries(
        0, town.fleet.authority.log.head().checkpoint.size
    )
    assert not people.done(said, town.sim.state.law())


def test_nobody_takes_it(town: Village) -> None:
    """A person who reaches nobody is told so."""
    town.away = {"g1", "g2", "g3", "g4", "log"}
    with pytest.raises(Unavailable):
        say(town, "veto", veto(reason="nobody"))


def _forged(answer: httpx.Response) -> httpx.Response:
    text = Note(answer.read())._text.decode()
    return served(sign_note(text, signer("g1.example/herald", generation=2)))


@pytest.mark.parametrize(
    "meddle",
    [_forged, lambda _: served(b"done\n"), lambda _: served(b""),
     lambda _: served(b"", 403), lambda _: served(b"x" * 100_000)],
    ids=["another key", "no note", "nothing", "refused", "flood"],
)  # fmt: skip
def test_what_is_no_receipt_does_not_count(
    town: Village, meddle: Meddle, request: pytest.FixtureRequest
) -> None:
    """A thief between person and guard cannot make a veto look done that nobody holds."""
    town.meddle = dict.fromkeys(_vetoes(), meddle)
    said = say(town, "veto", veto(reason=request.node.name))
    assert said.receipts == ()


def test_the_receipt_of_another_veto_does_not_count(town: Village) -> None:
    """An old receipt, played back, is not one for what is said now."""
    old: dict[str, bytes] = {}

    def played_back(answer: httpx.Response) -> httpx.Response:
        return served(old.setdefault("receipt", answer.read()))

    town.meddle = dict.fromkeys(_vetoes(), played_back)
    assert len(say(town, "veto", veto(reason="first")).receipts) == 1
    assert say(town, "veto", veto(reason="second")).receipts == ()


def test_other_statements_go_to_the_log(town: Village) -> None:
    """A withdrawal is logged at once and asks no guard."""
    body = {"artefacts": ["cd" * 32], "facts": [], "reason": "replaced"}
    said = say(town, "withdrawal", body, "dana")
    assert town.asked == [f"POST {LOG}/authority/add"]
    assert (said.receipts, said.logged) == ((), True)


def test_what_would_mean_nothing_is_not_handed_in(town: Village) -> None:
    """Somebody who may not object, or names a notice that is not there, hears it at once."""
    with pytest.raises(Refused, match="not_admissible"):
        say(town, "veto", veto(), "ava")
    with pytest.raises(Refused, match="unknown_subject"):
        say(town, "seen", {"notice": "ab" * 32})
    assert town.asked == []
    assert town.sim.state.digest() == town.sim.state_at(town.sim.state.tree.size).digest()


def test_another_persons_key_does_not_speak(town: Village) -> None:
    """Lee's veto is not made with Dana's key, and a stranger says nothing."""
    with pytest.raises(NotWritten, match="does not list"):
        say(town, "veto", veto(), "lee", key="dana")
    with pytest.raises(NotWritten, match="`mallory` is not in the charter"):
        say(town, "veto", veto(), "mallory", key="dana")
    assert town.asked == []


def test_ssh_keygen_says_why_it_did_not_sign(town: Village, tmp_path: Path) -> None:
    """A key that is not there, or is damaged, is named in ssh-keygen's own words."""
    with pytest.raises(NotSigned, match="none"):
        people.sign("text\n", "veto", tmp_path / "none")
    (tmp_path / "bad").write_text("no key\n")
    with pytest.raises(NotSigned, match="ssh-keygen"):
        people.sign("text\n", "veto", tmp_path / "bad")


def test_without_ssh_keygen_it_says_so(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """A machine without OpenSSH names what is missing."""
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(NotSigned, match="cannot run ssh-keygen"):
        people.sign("text\n", "veto", tmp_path / "key")


def test_nonces_are_never_the_same() -> None:
    """The same words twice are two statements: a nonce is 32 random hex digits."""
    made = {people.nonce() for _ in range(100)}
    assert len(made) == 100
    assert all(len(one) == 32 and int(one, 16) >= 0 for one in made)


def test_what_a_command_prints(town: Village) -> None:
    """The statement's id, its type, who holds it, and whether it is under way to the log."""
    said = say(town, "veto", veto(reason="printed"))
    told = people.describe(said)
    assert told["statement"] == said.statement.id
    assert (told["type"], told["receipts"], told["logged"]) == (
        "veto", ["g1", "g2", "g3", "g4"], True,
    )  # fmt: skip
