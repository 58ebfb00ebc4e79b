"""What several people sign is what is logged; a wrong person, key, text or namespace is named."""

from collections.abc import Callable
from pathlib import Path

import pytest

from answerable.authority import draft
from answerable.authority.written import NotWritten
from answerable.kernel.errors import Refused
from answerable.kernel.note import ED25519
from answerable.kernel.statement import AUTHORITY, open_statement
from answerable.keys.sign import Signer
from tests.authority.desk import FLEET, NONCE, Desk
from tests.simulator.constitution import authorization

SPACE = "answerable/authorization/v1"


@pytest.fixture
def desk(tmp_path: Path) -> Desk:
    """Give a folder of keys."""
    return Desk(tmp_path)


def _said(desk: Desk) -> str:
    return draft.text("authorization", authorization(), desk.law(), FLEET, NONCE)


def test_two_people_sign_one_text(desk: Desk) -> None:
    """Both signatures stand under the text as it was drafted, and both persons count."""
    said = _said(desk)
    signed = [(person, desk.sign(person, said, SPACE)) for person in ("dana", "lee")]
    note, statement = draft.assemble(said, signed, desk.law())
    assert note.decode().startswith(said + "\n")
    assert (statement.people, statement.body) == ({"dana", "lee"}, authorization())
    assert desk.law().enough(statement.people, "authorization") == {"dana", "lee"}


def test_signing_twice_is_one_person(desk: Desk) -> None:
    """A person who signs again is still one of the persons that a threshold asks for."""
    said = _said(desk)
    signed = [("dana", desk.sign("dana", said, SPACE))] * 2
    _, statement = draft.assemble(said, signed, desk.law())
    assert statement.people == {"dana"}
    with pytest.raises(Refused, match="not_enough_people"):
        desk.law().enough(statement.people, "authorization")


Wrong = Callable[[Desk, str], tuple[str, str, str]]
WRONG: dict[str, tuple[Wrong, type[Exception], str]] = {
    "a stranger": (
        lambda d, s: (s, "mallory", d.sign("mallory", s, SPACE)), NotWritten,
        "`mallory` is not in the charter"),
    "a key that is not listed": (
        lambda d, s: (s, "lee", d.sign("lee-at-home", s, SPACE)), NotWritten,
        "`lee` signed with a key that the charter does not list"),
    "somebody else's signature": (
        lambda d, s: (s, "lee", d.sign("dana", s, SPACE)), NotWritten,
        "`lee` signed with a key that the charter does not list"),
    "a signature for another type of statement": (
        lambda d, s: (s, "lee", d.sign("lee", s, "answerable/approval/v1")), Refused,
        "bad_signature"),
    "a signature for git": (
        lambda d, s: (s, "lee", d.sign("lee", s, "git")), Refused, "bad_signature"),
    "a signature over another text": (
        lambda d, s: (s, "lee", d.sign("lee", s.replace("15", "16"), SPACE)), Refused,
        "bad_signature"),
    "a text that was changed after signing": (
        lambda d, s: (s.replace('"max_hosts":15', '"max_hosts":99'), "lee",
                      d.sign("lee", s, SPACE)), Refused, "bad_signature"),
    "a file that is no signature": (
        lambda d, s: (s, "lee", d.line("lee")), Refused, "malformed"),
    "a cut signature": (
        lambda d, s: (s, "lee", d.sign("lee", s, SPACE)[:200]), Refused, "malformed"),
}  # fmt: skip


@pytest.mark.parametrize("how", WRONG)
def test_what_hosts_would_refuse_is_not_assembled(desk: Desk, how: str) -> None:
    """A wrong person, key, namespace or text is found at the desk and not in the log."""
    wrong, kind, message = WRONG[how]
    said, person, armoured = wrong(desk, _said(desk))
    with pytest.raises(kind, match=message):
        draft.assemble(said, [(person, armoured)], desk.law())


def test_nobody_signed(desk: Desk) -> None:
    """A text without signatures is no record."""
    with pytest.raises(Refused, match="malformed"):
        draft.assemble(_said(desk), [], desk.law())


def test_a_charter_is_signed_by_the_people_that_it_names(desk: Desk) -> None:
    """Charter 1 has no predecessor: its own people sign it, and its id is the fleet's."""
    said = draft.charter_text(desk.charter(), NONCE)
    signed = [(p, desk.sign(p, said, "answerable/charter/v1")) for p in ("dana", "lee")]
    _, statement = draft.assemble(said, signed, None)
    assert (statement.people, statement.envelope["fleet"]) == ({"dana", "lee"}, "")
    with pytest.raises(NotWritten, match="not in the charter"):
        draft.assemble(said, [("mallory", signed[0][1])], None)


def test_a_later_charter_names_fleet_and_number(desk: Desk) -> None:
    """A successor is said in the fleet that charter 1 founded, under its own number."""
    body = desk.charter() | {"number": 2, "previous": "ab" * 32}
    said = draft.charter_text(body, NONCE, FLEET)
    signed = [("dana", desk.sign("dana", said, "answerable/charter/v1"))]
    envelope = draft.assemble(said, signed, None)[1].envelope
    assert (envelope["fleet"], envelope["charter"]) == (FLEET, 2)


def test_a_text_names_the_log_that_it_is_for(desk: Desk) -> None:
    """What is said for one log cannot be put into the other."""
    law = desk.law()
    texts = {log: draft.text("x", {}, law, FLEET, NONCE, log) for log in ("authority", "report")}
    for log, said in texts.items():
        assert f'"origin":"{law.body["logs"][log]["origin"]}"' in said


def test_a_machine_signs_its_own_statement(desk: Desk) -> None:
    """A planner's statement opens under its key, and as nobody else's."""
    planner = Signer.from_seed("planner1", ED25519, bytes(32))
    said = draft.text("seen", {"notice": FLEET}, desk.law(), FLEET, NONCE)
    note = draft.machine(said, planner)
    owners = {planner.key: ("planner", "planner1")}
    assert open_statement(note, AUTHORITY, owners).signers == {("planner", "planner1")}
    with pytest.raises(Refused, match="bad_signature"):
        open_statement(note, AUTHORITY, desk.law().owners)
