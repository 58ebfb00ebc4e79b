"""Attacks on the records themselves: what the fold takes in, and what it does not."""

from collections.abc import Callable

import pytest

from answerable.kernel.canon import Json
from tests.attacks.verdict import refused
from tests.simulator import FACTS, HOUR, Simulator
from tests.simulator.constitution import approval, authorization, veto, withdrawal
from tests.simulator.keys import ssh

NOBODY = "ab" * 32
FORGED: dict[str, Json] = {
    "authorization": authorization(),
    "revocation": {"authorization": NOBODY, "reason": ""},
    "enrolment": {"size": 1, "root": NOBODY},
    "delivery": {"notice": NOBODY, "plan": NOBODY, "person": "lee", "channel": "mail",
                 "status": "acknowledged", "time": 1},
    "seen": {"notice": NOBODY},
    "approval": approval(NOBODY),
    "veto": veto(),
    "halt": {"zones": ["web"], "reason": ""},
    "lift": {"lifts": [], "reason": ""},
    "advance": {"notice": NOBODY, "ring": 1, "since": 0, "until": 1, "seen": []},
    "failure": {"notice": NOBODY, "order": NOBODY, "change": "up", "host": "web1",
                "report": NOBODY, "cause": "health"},
    "withdrawal": withdrawal(artefacts=(NOBODY,)),
}  # fmt: skip


def aimed(sim: Simulator, body: Json) -> Json:
    """Aim a forged statement at a true notice and a true authorization."""
    leaf = sim.permitted().notice
    true = {"notice": leaf, "authorization": sim.authorization}
    return {k: true[k] if v == NOBODY and k in true else v for k, v in body.items()}


@pytest.mark.parametrize("kind", FORGED)
def test_statement_signed_by_the_planner(sim: Simulator, kind: str) -> None:
    """Whoever has the planner's key says nothing but notices and releases of attesters."""
    entry = sim.write(kind, aimed(sim, FORGED[kind]), "planner1")
    verdict = sim.append(entry)
    assert verdict is not None
    assert verdict.reason in ("not_admissible", "not_enough_people")


@pytest.mark.parametrize("kind", FORGED)
def test_statement_in_the_name_of_another(sim: Simulator, kind: str) -> None:
    """A line with a true name and key id, over which that key never signed."""
    entry = sim.write(kind, aimed(sim, FORGED[kind]), "lee")
    other = sim.write("seen", {"notice": NOBODY}, "lee")
    forged = entry.rpartition(b"\n\n")[0] + b"\n\n" + other.rpartition(b"\n\n")[2]
    refused(sim.append(forged), "bad_signature")


def test_statement_said_twice(sim: Simulator) -> None:
    """The same words with another good signature are the same statement."""
    words = {"zones": ["web"], "reason": ""}
    sim.tell("halt", words, "lee", nonce="00" * 16)
    refused(sim.append(sim.write("halt", words, "lee:2", nonce="00" * 16)), "duplicate")


def test_tampered_record(sim: Simulator) -> None:
    """One letter of a stored record changed: its signature and every later root break."""
    sim.permitted()
    root = sim.state.tree.root()
    at, entry = next((i, e) for i, (_, e) in enumerate(sim.history) if b'"type":"delivery"' in e)
    sim.history[at] = (True, entry.replace(b"accepted", b"excepted"))
    assert sim.state_at(sim.state.tree.size).tree.root() != root


def test_missing_record(sim: Simulator) -> None:
    """A record left out, and another put in its place to keep the size."""
    sim.permitted()
    root, size = sim.state.tree.root(), sim.state.tree.size
    del sim.history[-2]
    sim.append(sim.write("veto", veto(), "lee"))
    assert sim.state_at(size).tree.root() != root


@pytest.mark.parametrize("who", [(), ("kim",), ("kim", "kim:2"), ("kim", "ava"), ("o1", "g1")])
def test_facts_released_by_too_few_people(sim: Simulator, who: tuple[str, ...]) -> None:
    """Where attesters disagree a threshold of people releases, and nobody less."""
    note = sim.snapshot(FACTS, guards=("g1",))
    body = {"feed": "debian-security", "checkpoint": note, "model": "", "time": sim.now}
    verdict = sim.append(sim.write("release", body, *(who or ("planner1",))))
    assert verdict is not None
    assert verdict.reason in ("not_enough_people", "no_quorum")


def test_model_released_by_attesters(sim: Simulator) -> None:
    """A model is put into service by people, never by machines alone."""
    body = {"feed": "debian-security", "checkpoint": sim.snapshot(FACTS), "model": NOBODY,
            "time": 0}  # fmt: skip
    refused(sim.append(sim.write("release", body, "planner1")), "not_enough_people")


def test_old_snapshot_released_again(sim: Simulator) -> None:
    """An older snapshot with true cosignatures does not come back into service."""
    older = sim.snapshot(FACTS, time=sim.now - 3 * HOUR)
    body = {"feed": "debian-security", "checkpoint": older, "model": "", "time": 0}
    refused(sim.append(sim.write("release", body, "planner1")), "stale_snapshot")


def test_snapshot_of_another_feed(sim: Simulator) -> None:
    """Cosignatures over one feed's facts, released as another's."""
    other = sim.snapshot(FACTS, feed="pypi")
    body = {"feed": "debian-security", "checkpoint": other, "model": "", "time": 0}
    refused(sim.append(sim.write("release", body, "planner1")), "wrong_origin")


def test_veto_by_somebody_who_may_not(sim: Simulator) -> None:
    """Fay approves and objects for no zone."""
    refused(sim.append(sim.write("veto", veto(), "fay")), "not_admissible")


def test_halt_of_a_zone_of_others(sim: Simulator) -> None:
    """Kim objects for `api` and halts nothing else."""
    words = {"zones": ["api", "web"], "reason": ""}
    refused(sim.append(sim.write("halt", words, "kim")), "not_admissible")


def swap(body: Json) -> None:
    """Name a planner of the thief's own."""
    body["planners"] = {"planner1": body["observers"].pop("o1")["key"]}


CHARTERS: dict[str, tuple[Callable[[Json], object], tuple[str, ...], str]] = {
    "one person": (swap, ("dana",), "bad_charter"),
    "two keys of one person": (lambda _: None, ("dana", "dana:2"), "not_enough_people"),
    "a number skipped": (lambda b: b.update(number=3), ("dana", "lee"), "stale_charter"),
    "another past": (lambda b: b.update(previous=NOBODY), ("dana", "lee"), "stale_charter"),
    "too few guards": (lambda b: b["guards"].pop("g4"), ("dana", "lee"), "bad_charter"),
    "one liar too many": (lambda b: b.update(faults=2), ("dana", "lee"), "bad_charter"),
    "thresholds of one": (
        lambda b: b["thresholds"].update(approval=1), ("dana", "lee"), "bad_charter"),
    "a zone of one approver": (
        lambda b: b["zones"]["pci"].update(threshold=1),
        ("dana", "lee"),
        "bad_charter",
    ),
    "no window": (lambda b: b["limits"].update(window=899), ("dana", "lee"), "bad_charter"),
    "nobody to object": (
        lambda b: b["zones"]["*"].update(objectors=[]), ("dana", "lee"), "bad_charter"),
    "an objector who is not listed": (
        lambda b: b["zones"]["web"].update(objectors=["eve"]), ("dana", "lee"), "bad_charter"),
    "one operator twice": (
        lambda b: b["guards"]["g1"].update(operator="g2-operator"), ("dana", "lee"),
        "bad_charter"),
    "one key twice": (
        lambda b: b["people"]["kim"].update(keys=b["people"]["lee"]["keys"]), ("dana", "lee"),
        "bad_charter"),
    "a new log that forgets": (
        lambda b: b["logs"]["authority"].update(origin="log.example/new"), ("dana", "lee"),
        "bad_start"),
}  # fmt: skip


@pytest.mark.parametrize("what", CHARTERS)
def test_charter_that_is_not_obeyed(sim: Simulator, what: str) -> None:
    """A successor needs its rules, its number, its past, and persons of the old and of the new."""
    edit, by, reason = CHARTERS[what]
    refused(sim.append(sim.next_charter(edit, *by)), reason)
    assert sim.state.law().body["number"] == 1


def test_charter_by_people_whom_it_names_itself(sim: Simulator) -> None:
    """Two strangers write themselves in: nobody of the old charter signed."""

    def strangers(body: Json) -> None:
        body["people"] |= {
            n: {"keys": [ssh(n).line], "roles": ["approver"]} for n in ("eve", "mal")
        }

    sim.charter["people"] |= {"eve": {}, "mal": {}}
    entry = sim.next_charter(strangers, "eve", "mal")
    refused(sim.append(entry), "bad_signature")


def test_charter_by_people_whom_it_removes(sim: Simulator) -> None:
    """The old people alone cannot hand the fleet to others who did not sign."""

    def without(body: Json) -> None:
        for person in ("dana", "lee"):
            body["people"].pop(person)
        for zone in body["zones"].values():
            zone |= {"objectors": ["mo"], "approvers": []}

    refused(sim.append(sim.next_charter(without, "dana", "lee", "mo")), "not_enough_people")
