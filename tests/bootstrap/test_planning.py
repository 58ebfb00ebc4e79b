"""From what is on hosts to a notice in the log, by the control plane's own composition.

Two web hosts, one in zone `pci` and one `legacy`, each a Python environment with an old `waitress`;
a wheelhouse and a file of facts, which the control plane and each guard read for themselves.
"""

import json
import shutil
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from typing import Any, cast

import httpx
import pytest

from answerable.authority.written import NotWritten
from answerable.bootstrap import guard as guards
from answerable.bootstrap import planning
from answerable.bootstrap.guard import Attester
from answerable.bootstrap.planning import NotAgreed, Planning, Wish
from answerable.bootstrap.rehearsing import CloneSilent, read_effects
from answerable.changes.plan import NoPlan, Plan
from answerable.config import NotConfigured, Party, write_party, write_private
from answerable.feeds.candidate import Candidate
from answerable.feeds.facts import read as read_fact
from answerable.feeds.source import State
from answerable.kernel.canon import Json, encode
from answerable.kernel.note import COSIGNATURE, MLDSA44
from answerable.ledger.admission import AuthorityGate
from answerable.notice.check import Checked, check
from answerable.notice.text import render
from tests.bootstrap.test_rehearsing import PROGRAM, SEEN
from tests.bootstrap.village import LOG, Village, village
from tests.simulator.constitution import FACTS, FEED, GUARDS
from tests.simulator.keys import signer

HOSTS = {"web1": "2.1.2", "web2": "2.1.2", "pci1": "2.1.2", "legacy1": "2.1.2"}
FACT = {
    "id": "CVE-2024-49768", "package": "waitress", "cvss": 9.1, "kev": "", "fixed": "3.0.1",
    "cvss_vector": "CVSS:3.1/AV:N/AC:L/PR:N/UI:N/S:U/C:H/I:H/A:N", "affected": "<3.0.1",
}  # fmt: skip
WISH = Wish("waitress tonight", "urgent-security", "urgent", canaries=("web2",))


@dataclass
class Hub:
    """A village with a control plane in it, and what guards find when they look for themselves."""

    town: Village
    planning: Planning

    @property
    def place(self) -> Path:
        """The control plane's directory."""
        return self.planning.party.directory

    def release(self) -> str:
        """Look at the hosts, propose what there is, and have it released."""
        self.planning.logs.refresh()
        self.planning.inventory()
        released = self.planning.release(self.planning.candidate("pypi"))
        self.town.published()
        self.planning.logs.refresh()
        return released

    def learn(self, *facts: Json) -> None:
        """Let everybody's files of facts say this."""
        for place in (self.town.folder / "own-feed", *self.town.folder.glob("g?-feed")):
            (place / "facts.json").write_text(json.dumps(facts))

    def plan(self, wish: Wish = WISH) -> Plan:
        """Release and plan."""
        self.release()
        return self.planning.plan(wish)


def wheels(folder: Path, facts: object = (FACT,)) -> Json:
    """Write a wheelhouse and a file of facts; give the settings of a feed that reads them."""
    house = folder / "wheels"
    house.mkdir(parents=True)
    for version in ("2.1.2", "3.0.1"):
        name = f"waitress-{version}-py3-none-any.whl"
        (house / name).write_bytes(f"the wheel of {version}".encode())
    (folder / "facts.json").write_text(json.dumps(facts))
    return {
        "kind": "application",
        "ecosystem": "pypi",
        "wheelhouse": str(house),
        "facts": str(folder / "facts.json"),
    }


def _environment(root: Path, version: str) -> Json:
    place = root / "lib/python3.11/site-packages" / f"waitress-{version}.dist-info"
    place.mkdir(parents=True, exist_ok=True)
    (place / "METADATA").write_text(f"Metadata-Version: 2.1\nName: waitress\nVersion: {version}\n")
    return {"kind": "python", "ecosystem": "pypi", "root": str(root), "units": ["app"],
            "checks": ["web"]}  # fmt: skip


def _rows(town: Village) -> list[Json]:
    kept = {name: town.sim.members[name].enrolled for name in HOSTS}
    return [
        {"record": e.record, "enrolment": e.enrolment, "place": e.place,
         "path": [step.hex() for step in e.path]}
        for e in kept.values()
    ]  # fmt: skip


def _control(town: Village, feed: Json) -> Party:
    folder = town.folder / "control"
    hosts = {name: _environment(town.folder / "roots" / name, v) for name, v in HOSTS.items()}
    settings = {"log": LOG, "feeds": dict.fromkeys(("pypi", FEED), feed), "hosts": hosts}
    party = Party(folder, "control", "planner1", "infra", "", "", settings)
    write_party(party)
    (folder / "charter.note").write_bytes(town.charter)
    (folder / "hosts.json").write_text(json.dumps(_rows(town)))
    town.machine_key(party.key("planner"), signer("planner1"), "planner1/1/1")
    facts = tuple(map(read_fact, FACTS))
    released = Candidate(FEED, (), facts, (), (), {}, ())
    write_private(folder / "candidates" / released.sha256, released.text.encode())
    return party


class _Fixed:
    """A follower that knows fleet and charter."""

    def __init__(self, gate: AuthorityGate) -> None:
        self.state = gate.state

    def look(self, ask: Any) -> Any:  # noqa: ANN401  what is asked
        return ask(self.state)


@dataclass
class _Guard:
    follower: _Fixed


def attester(town: Village, name: str, feed: Json) -> Attester:
    """Give a guard's real attester, with sources of its own."""
    party = Party(town.folder / name, "guard", name, "", "", "", {"feeds": {"pypi": feed}})
    for kind, word in ((COSIGNATURE, "ed25519"), (MLDSA44, "mldsa44")):
        at, secret = f"{name}.example/attester", f"{name}.example/attester/{kind}/1"
        town.machine_key(party.key(f"attester-{word}"), signer(at, kind), secret)
    known = cast("Any", _Guard(_Fixed(town.fleet.authority)))
    return Attester(party, known, town.client())


@pytest.fixture
def hub(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Hub]:
    """Found a village with a control plane, and guards that look at wheelhouses of their own."""
    with village(tmp_path) as town:
        for module in (planning, guards):
            monkeypatch.setattr(module, "clock", lambda: town.sim.now)
        asked = {n: attester(town, n, wheels(tmp_path / f"{n}-feed")) for n in GUARDS}

        def attest(request: httpx.Request) -> httpx.Response:
            answer = asked[request.url.host.removesuffix(".example")].answer(request.content)
            return httpx.Response(answer.status, content=iter([answer.body]))

        town.attest = attest
        party = _control(town, wheels(tmp_path / "own-feed"))
        yield Hub(town, Planning(party, town.client()))


def test_a_candidate_that_guards_find_too_is_released(hub: Hub) -> None:
    """Four attesters looked for themselves; the release stands in the log under their quorum."""
    released = hub.release()
    row = hub.planning.logs.state.releases[released]
    assert (row["feed"], row["size"]) == ("pypi", 3)
    (snapshot,) = hub.planning.snapshots([released])
    assert snapshot.candidate.tree.root().hex() == row["root"]


def test_a_plan_is_what_the_authorization_covers(hub: Hub) -> None:
    """Web hosts are planned, the canary first; pci and legacy are escalated, never skipped."""
    made = hub.plan()
    hosts = [[json.loads(order)["host"] for order in ring] for ring in made.rings]
    assert hosts == [["web2"], ["web1"]]
    told = {row["host"]: row["reason"] for row in made.body["escalated"]}
    assert sorted(told) == ["legacy1", "pci1"]
    assert "zone `pci` is excluded" in told["pci1"]
    kinds = [change["type"] for change in made.orders[0][0]["changes"]]
    assert kinds == ["snapshot", "upgrade", "restart", "health"]


def test_plan_and_artefacts_are_kept_by_their_hashes(hub: Hub) -> None:
    """What is served is what its name says, old versions for the undo included."""
    made = hub.plan()
    assert sha256(hub.planning.plan_bytes(made.digest)).hexdigest() == made.digest
    for name in (*made.artefacts, *made.undo_artefacts):
        data = (hub.place / "artefacts" / name).read_bytes()
        assert sha256(data).hexdigest() == name
    assert len(made.artefacts) == len(made.undo_artefacts) == 1


def test_the_notice_is_one_that_heralds_deliver(hub: Hub) -> None:
    """Every root, size and hash of the logged notice is recomputed from the plan and agrees."""
    made = hub.plan()
    leaf = hub.planning.notice(made, hub.planning.terms(made, "urgent-security", {}))
    hub.town.published()
    hub.planning.logs.refresh()
    body = hub.planning.logs.state.notices[leaf]["body"]
    assert isinstance(check(body, hub.town.sim.fleet, made.text.encode()), Checked)


def clone(hub: Hub, answer: Json) -> None:
    """Let the web hosts have a clone that answers this."""
    place = hub.town.folder / "clone"
    place.mkdir(exist_ok=True)
    (place / "program.py").write_text(PROGRAM)
    (place / "answer").write_text(json.dumps(answer))
    settings = cast("dict[str, Any]", hub.planning.party.settings)
    words = [sys.executable, str(place / "program.py"), str(place)]
    settings["clones"] = {"web": {"ecosystem": "pypi", "run": words}}
    for name in ("web1", "web2"):
        settings["hosts"][name]["clone"] = "web"


def test_a_reboot_needs_the_hosts_setting(hub: Hub) -> None:
    """By the settings and the people who approve; another word is refused before planning."""
    settings = cast("dict[str, Any]", hub.planning.party.settings)
    settings["hosts"]["pci1"]["reboot"] = "always"
    hub.release()
    wish = Wish("pci by hand", zones=frozenset({"pci", "web"}))
    order = {o["host"]: [c["type"] for c in o["changes"]]
             for ring in hub.planning.plan(wish).orders for o in ring}  # fmt: skip
    assert order["pci1"] == ["snapshot", "upgrade", "restart", "reboot", "health"]
    assert "reboot" not in order["web1"] + order["web2"]
    settings["hosts"]["pci1"]["reboot"] = "sometimes"
    with pytest.raises(NotConfigured, match="`reboot` of `pci1` is `sometimes`"):
        hub.planning.plan(wish)


def test_a_host_that_waits_is_rebooted_with_its_next_upgrade(hub: Hub) -> None:
    """It said so, its setting is `needed`, and the authorization names `reboot`."""
    settings = cast("dict[str, Any]", hub.planning.party.settings)
    settings["hosts"]["web1"]["reboot"] = "needed"
    hub.town.fleet.enrol("web1")
    said = {"host": "web1", "reason": "reboot_required"}
    hub.town.say("report", hub.town.fleet.report_entry("report", "host", **said))
    made = hub.plan()
    assert made.reboots == 1
    assert "web1" not in {row["host"] for row in made.body["escalated"]}
    settings["hosts"]["web1"]["reboot"] = "never"
    assert hub.planning.plan(Wish("by hand", zones=frozenset({"web"}))).reboots == 0


def test_effects_are_noticed_before_anything_is_done(hub: Hub) -> None:
    """What a clone did stands in every order, its list is kept, and heralds show its hash."""
    clone(hub, {"changes": [{**SEEN, "sensitive": {}}]})
    made = hub.plan()
    assert list(made.effects) == [SEEN["effects"]]
    assert read_effects(hub.place / "effects", SEEN["effects"]).lines
    terms = hub.planning.terms(made, "urgent-security", {})
    checked = check(made.notice(terms), hub.town.sim.fleet, made.text.encode())
    assert isinstance(checked, Checked)
    law = hub.planning.logs.law
    page = render("ab" * 32, "cd" * 32, made.notice(terms), checked, law, None)
    assert f"{SEEN['effects']} waitress (2 hosts)" in page


def test_what_a_clone_refuses_is_told_to_nobody(hub: Hub) -> None:
    """A package that does more than it ships ends before a notice, with its paths."""
    why = "1 effects are not explained by the named packages: /etc/ld.so.preload: nobody ships it"
    clone(hub, {"changes": [{"refused": why, "paths": []}]})
    with pytest.raises(NoPlan, match=r"/etc/ld\.so\.preload"):
        hub.plan()


def test_a_clone_that_is_away_stops_planning(hub: Hub) -> None:
    """A plan without the rehearsal that the settings promise is no plan."""
    clone(hub, {"error": "the disk is full"})
    with pytest.raises(CloneSilent, match="the disk is full"):
        hub.plan()


def test_terms_are_never_below_the_charter(hub: Hub) -> None:
    """Options lengthen window and soak and cannot shorten them; validity ends with the clause's."""
    made = hub.plan()
    limits, now = hub.planning.logs.law.limits, hub.town.sim.now
    short = hub.planning.terms(made, "urgent-security", {"window": 1, "soak": 1})
    assert (short.window, short.soak) == (limits["window"], limits["soak"])
    long = hub.planning.terms(made, "urgent-security", {"window": 9_999, "soak": 9_999})
    assert (long.window, long.soak) == (9_999, 9_999)
    assert short.not_after - short.not_before <= limits["validity"]
    assert short.not_before == now
    assert short.authorization in hub.planning.logs.state.authorizations


def test_people_may_be_asked_for_what_is_excluded(hub: Hub) -> None:
    """A plan without an authorization is one that waits for approvals, for one zone only."""
    hub.release()
    made = hub.planning.plan(Wish("pci by hand", zones=frozenset({"pci"})))
    assert [json.loads(order)["host"] for ring in made.rings for order in ring] == ["pci1"]
    terms = hub.planning.terms(made, "", {})
    assert (made.body["basis"], terms.authorization) == ("approvals", "")


def test_nothing_to_do_is_said(hub: Hub) -> None:
    """A wish that no host is left for is no plan, and the reasons are named."""
    hub.release()
    with pytest.raises(NoPlan, match="no host is left"):
        hub.planning.plan(Wish("other", "urgent-security", "urgent", packages=frozenset({"flask"})))


def test_an_authorization_that_is_not_in_force_plans_nothing(hub: Hub) -> None:
    """A name or clause that nobody signed is refused before anything is planned."""
    hub.release()
    with pytest.raises(NotWritten, match="no authorization `bold`"):
        hub.planning.plan(Wish("x", "bold", "urgent"))
    with pytest.raises(NotWritten, match="no clause `medium`"):
        hub.planning.plan(Wish("x", "urgent-security", "medium"))


def test_a_forged_fact_is_not_released(hub: Hub) -> None:
    """A control plane that invents a flaw gets no quorum, and is told by each guard why."""
    forged = {**FACT, "id": "CVE-2024-99999"}
    settings = cast("dict[str, Any]", hub.planning.party.settings)
    settings["feeds"]["pypi"] = wheels(hub.town.folder / "forged", [FACT, forged])
    hub.planning.inventory()
    with pytest.raises(NotAgreed, match="g1: ") as told:
        hub.planning.release(hub.planning.candidate("pypi"))
    assert "CVE-2024-99999" in str(told.value)
    assert hub.planning.logs.state.newest.keys() <= {FEED}


def test_an_artefact_of_our_own_is_not_released(hub: Hub) -> None:
    """Other bytes under the name of a fixed version are seen by every guard."""
    own = hub.town.folder / "own-feed" / "wheels" / "waitress-3.0.1-py3-none-any.whl"
    own.write_bytes(b"a package of the thief's")
    hub.planning.inventory()
    with pytest.raises(NotAgreed) as told:
        hub.planning.release(hub.planning.candidate("pypi"))
    assert all(f"{name}: " in str(told.value) for name in GUARDS)


def test_a_guard_that_lost_what_stands_is_shown_it_first(hub: Hub) -> None:
    """Without the released snapshot a guard asks for it, and then attests what follows it."""
    first = hub.release()
    for name in GUARDS:
        shutil.rmtree(hub.town.folder / name / "shown")
    hub.learn({**FACT, "id": "CVE-2024-1"}, FACT)
    hub.town.asked.clear()
    second = hub.release()
    assert second != first
    assert hub.town.asked.count("POST https://g1.example/attest") == 3


def test_what_stands_cannot_be_left_out(hub: Hub) -> None:
    """A fact that vanishes from everybody's files stays in service until people release less."""
    hub.release()
    hub.learn({**FACT, "id": "CVE-2024-1"})
    with pytest.raises(NotAgreed, match="lowered or left out"):
        hub.release()


def test_one_guard_may_be_away_and_two_may_not(hub: Hub) -> None:
    """A quorum of three of four releases."""
    hub.planning.logs.refresh()
    hub.planning.inventory()
    proposed = hub.planning.candidate("pypi")
    hub.town.away = {"g1", "g2"}
    with pytest.raises(NotAgreed, match="g1: ConnectError"):
        hub.planning.release(proposed)
    hub.town.away = {"g1"}
    assert hub.planning.release(proposed)


def test_a_feed_that_gives_nothing_says_why(hub: Hub) -> None:
    """A missing file of facts is a named result, not an empty feed."""
    (hub.town.folder / "own-feed" / "facts.json").unlink()
    hub.planning.inventory()
    with pytest.raises(NotAgreed, match=f"is {State.MISSING}"):
        hub.planning.candidate("pypi")


def test_a_host_that_is_not_enrolled_is_not_looked_at(hub: Hub) -> None:
    """Settings cannot bring a host into the fleet."""
    settings = cast("dict[str, Any]", hub.planning.party.settings)
    settings["hosts"]["stranger"] = settings["hosts"]["web1"]
    with pytest.raises(NotConfigured, match="`stranger` has no record"):
        hub.planning.inventory()


def test_a_plan_that_was_edited_is_another_plan(hub: Hub) -> None:
    """What is noticed is the plan of that digest, or nothing."""
    made = hub.plan()
    edited = encode({**made.body, "title": "nothing to see"}).encode()
    write_private(hub.place / "plans" / made.digest, edited)
    with pytest.raises(NoPlan, match="is another plan"):
        hub.planning.read_plan(made.digest)
    with pytest.raises(NoPlan, match="there is no plan"):
        hub.planning.read_plan("ab" * 32)


def test_a_released_candidate_that_was_lost_is_named(hub: Hub) -> None:
    """A release whose facts are not on disk cannot be planned with."""
    hub.release()
    for place in (hub.place / "candidates").iterdir():
        place.unlink()
    with pytest.raises(NotAgreed, match="is not on disk"):
        hub.planning.plan(WISH)
