"""Enrolment: one key, one record, the fleet's own proof, and a start that a quorum vouches for."""

import json
from collections.abc import Callable
from functools import partial
from pathlib import Path

import pytest

from answerable.host import judge, program
from answerable.host.enrol import make_record, read_charter, start, take_proof
from answerable.host.files import HomeUnavailable
from answerable.host.network.client import HttpUnavailable
from answerable.kernel.canon import Json
from answerable.kernel.errors import Refused
from answerable.kernel.fold import State
from tests.host.conftest import Site
from tests.simulator import GUARDS, Simulator
from tests.simulator.keys import signer

NONCE = "5a" * 16


def refusal(act: Callable[[], object]) -> str:
    """Give the reason of a refusal."""
    with pytest.raises(Refused) as refused:
        act()
    return refused.value.reason


def test_the_record_is_made_once(tmp_path: Path) -> None:
    """Asking again gives the same key and instance; another name is another directory's."""
    text = make_record(tmp_path, "web1", ["web", "api"], "11" * 32)
    assert make_record(tmp_path, "web1", ["api", "web"], "22" * 32) == text
    assert json.loads(text)["zones"] == ["api", "web"]
    assert (tmp_path / "key").stat().st_mode & 0o777 == 0o600
    with pytest.raises(HomeUnavailable, match="is of `web1`"):
        make_record(tmp_path, "web2", ["api", "web"], "22" * 32)


@pytest.mark.parametrize(("name", "zone"), [("Web1", "a"), ("", "a"), ("../x", "a"), ("w", "a b")])
def test_names_are_ids(tmp_path: Path, name: str, zone: str) -> None:
    """Nothing that is no id becomes a record."""
    with pytest.raises(HomeUnavailable, match="is no id"):
        make_record(tmp_path, name, [zone], "11" * 32)


def test_a_charter_needs_its_own_threshold() -> None:
    """A file that one person signed is no charter."""
    sim = Simulator()
    alone = sim.write("charter", sim.charter, "dana", fleet="")
    assert refusal(lambda: read_charter(alone)) == "not_enough_people"
    assert read_charter(sim.history[0][1])[1] == sim.fleet


def proof(site: Site, **changes: Json) -> Path:
    """Write a proof file."""
    path = site.place.with_name("proof.json")
    given = json.loads((site.place / "enrolled.json").read_text())
    path.write_text(json.dumps({**given, **changes}))
    return path


def test_only_the_proof_of_this_hosts_own_record_is_kept(site: Site) -> None:
    """Another host's proof, or one that the log does not have, changes nothing."""
    sim = site.world.sim
    other = sim.members["web2"].enrolled
    path = proof(site, record=other.record, index=other.place, path=[p.hex() for p in other.path])
    with pytest.raises(HomeUnavailable, match="another key or instance"):
        take_proof(site.place, path, sim.state)
    for changes, reason in (
        ({"index": 3}, "not_enrolled"), ({"enrolment": "ab" * 32}, "unknown_subject"),
    ):  # fmt: skip
        made = proof(site, **changes)
        assert refusal(partial(take_proof, site.place, made, sim.state)) == reason
    assert take_proof(site.place, proof(site), sim.state).body["host"] == "web1"
    with pytest.raises(HomeUnavailable, match="no proof"):
        take_proof(site.place, proof(site, extra=1), sim.state)


def test_a_zone_is_not_dropped_without_its_threshold(site: Site) -> None:
    """A new record without a zone needs that zone's own people."""
    sim = site.world.sim
    site.world.host = "pci1"
    record = {**sim.records["pci1"]}
    (site.place / "record.json").write_text(json.dumps(record))
    old = sim.members["pci1"].enrolled
    path = [step.hex() for step in old.path]
    take = proof(site, record=old.record, index=old.place, path=path)
    (site.place / "enrolled.json").unlink()
    take.write_text(take.read_text())
    take_proof(site.place, take, sim.state)
    for people, reason in ((("dana", "lee"), "zone_dropped"), (("dana", "lee", "mo"), "")):
        new = sim.enrol({"pci1": {**record, "zones": ["web"]}}, *people)["pci1"].enrolled
        take.write_text(json.dumps({
            "record": new.record, "enrolment": new.enrolment, "index": new.place,
            "path": [step.hex() for step in new.path],
        }))  # fmt: skip
        if reason:
            assert refusal(lambda: take_proof(site.place, take, sim.state)) == reason
        else:
            take_proof(site.place, take, sim.state)


# --- a start state -------------------------------------------------------------------------------


def begin(site: Site) -> State:
    """Take a start state of the world's guards."""
    home = site.home()
    asked = (signer("web1").key, NONCE)
    return start(home.client, home.follower.guards(), home.charter, home.fleet, asked)


def test_a_start_that_a_quorum_vouches_for_is_taken(site: Site) -> None:
    """Size, root and digest of three guards agree; the host goes on from there."""
    home = site.home()
    home.kept.start_from(begin(site))
    site.world.sim.append(b"later")
    home = site.home()
    assert home.follower.follow() == len(site.world.entries)
    assert home.kept.state.digest() == site.world.sim.state.digest()


def test_one_guard_behind_and_one_away_leave_no_quorum(site: Site) -> None:
    """Three must say the same size, root and digest."""
    site.world.dead.add("g1")
    begin(site)
    site.world.behind["g2"] = 2
    assert refusal(lambda: begin(site)) == "stale_head"
    site.world.dead |= set(GUARDS)
    with pytest.raises(HttpUnavailable):
        begin(site)


def forged(site: Site, edit: Callable[[Json], object]) -> None:
    """Let whoever sits between change every guard's start state."""
    real = site.world.answer

    def answer(method: str, target: str, body: bytes) -> tuple[int, bytes]:
        status, data = real(method, target, body)
        if "/start" in target:
            given = json.loads(data)
            edit(given)
            data = json.dumps(given).encode()
        return status, data

    site.world.answer = answer  # type: ignore[method-assign]


@pytest.mark.parametrize(
    ("edit", "reasons"),
    [
        (lambda g: g["tables"]["halts"].update(x={}), {"state_diverged"}),
        (lambda g: g["tables"]["charter"]["body"].update(expires=1), {"bad_start"}),
        (lambda g: g["tables"]["charter"].update(id="ab" * 32), {"bad_start"}),
        (lambda g: g["tables"].update(charter={}), {"bad_charter"}),
        (lambda g: g.update(tables=[1]), {"bad_start"}),
        (lambda g: g.update(leaves="BA"[g["leaves"][0] == "B"] + g["leaves"][1:]), {"split_view"}),
    ],
)
def test_a_forged_start_is_refused(
    site: Site, edit: Callable[[Json], object], reasons: set[str]
) -> None:
    """Tables, charter and leaves are all under the digest that a quorum signs."""
    forged(site, edit)
    assert refusal(lambda: begin(site)) in reasons


@pytest.mark.parametrize("key", ["leaves", "reply", "tables"])
def test_garbage_for_a_start_is_none(site: Site, key: str) -> None:
    """Guards that answer nonsense are passed by."""
    forged(site, lambda given: given.update({key: 7}))
    with pytest.raises((HttpUnavailable, Refused)):
        begin(site)


def test_a_start_under_another_charter_is_refused(site: Site) -> None:
    """The person at the keyboard gave a charter; the guards must stand under that one."""
    site.world.sim.succeed(lambda _: None, "dana", "lee")
    assert refusal(lambda: begin(site)) == "bad_start"


def _hostile(what: str, tables: Json, leaf: str) -> None:
    """Break one row."""
    if what == "a notice that is none":
        tables["notices"][leaf] = {}
    elif what == "a notice without a body":
        del tables["notices"][leaf]["body"]
    elif what == "a body that is a number":
        tables["notices"][leaf]["body"] = 7
    elif what == "a veto without members":
        tables["vetoes"]["x"] = {}
    else:
        tables["authorizations"] = dict.fromkeys(tables["authorizations"])


HOSTILE = (
    "a notice that is none", "a notice without a body", "a body that is a number",
    "a veto without members", "an authorization of null",
)  # fmt: skip


@pytest.mark.parametrize("what", HOSTILE)
def test_hostile_rows_of_a_start_are_refused_by_their_digest(
    site: Site, what: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Attack: tables whose rows break the kernel reach no kernel question: no quorum signed them.

    The agent's own commands, over real loopback HTTP; the guards' signed answers are untouched.
    """
    order = site.world.sim.permitted()
    site.world.hand_out(order)
    forged(site, lambda given: _hostile(what, given["tables"], order.notice))
    asked: list[object] = []
    monkeypatch.setattr(judge, "verify", lambda *words: asked.append(words))
    (site.place / "enrolled.json").rename(proof := site.place.with_name("proof.json"))
    world = site.home().world
    words = ["enrol", "--dir", str(site.place), "--proof", str(proof), "--start", "guards"]
    assert program.main(words, world) == program.REFUSED
    assert "refused: state_diverged" in capsys.readouterr().err
    assert not (site.place / "enrolled.json").exists()
    assert site.home().kept.state.tree.size == 0
    assert asked == []


def test_an_honest_start_then_permits(site: Site) -> None:
    """The same commands with the tables as they are: the order is carried out."""
    order = site.world.sim.permitted()
    site.world.hand_out(order)
    (site.place / "enrolled.json").rename(proof := site.place.with_name("proof.json"))
    words = ["enrol", "--dir", str(site.place), "--proof", str(proof), "--start", "guards"]
    assert program.main(words, site.home().world) == program.OK
    assert ("up", "succeeded", "") in site.outcome()
