"""A herald tells the right people of what it checked itself, once, and says so in the log."""

from collections.abc import Callable
from pathlib import Path

import pytest

from answerable.kernel.canon import Json, decode, encode
from answerable.kernel.fold import admit
from answerable.notice.channel import Accepted, Address, Failed, Message, Outcome
from answerable.notice.words import check_words
from tests.notice.parish import Parish, details
from tests.simulator import HOUR, Simulator

RECIPIENTS = {"lee", "kim"}


@pytest.fixture
def parish(tmp_path: Path) -> Parish:
    """A fleet and its herald."""
    return Parish(tmp_path)


def test_objectors_and_recipients_are_told_and_the_log_hears_of_it(parish: Parish) -> None:
    """Everyone who may object, and whom the authorization promised it to, at their own address."""
    herald, leaf = parish.herald(), parish.notice()
    herald.tick()
    assert parish.told() == RECIPIENTS
    law, fleet = parish.sim.state.law(), parish.sim.fleet
    said = [admit(entry, law, fleet) for entry in parish.added]
    assert {s.body["person"] for s in said} == RECIPIENTS
    assert all(s.one("guard") == "g1" and s.body["notice"] == leaf for s in said)
    assert {s.body["status"] for s in said} == {"accepted"}
    parish.log()
    rows = parish.sim.state.notices[leaf]["deliveries"]
    assert {(row[0], row[1]) for row in rows} == {("g1", "lee"), ("g1", "kim")}


def test_nothing_is_told_or_said_twice(parish: Parish) -> None:
    """However often the herald looks, each person is told once and each delivery said once."""
    herald = parish.herald()
    parish.notice()
    for _ in range(3):
        herald.tick()
        parish.sim.now += 60
    assert len(parish.fake.taken) == len(parish.added) == 2
    parish.log()
    herald.tick()
    assert herald.register.unlogged() == []


def test_notice_told_to_nobody_because_the_plan_is_withheld(parish: Parish) -> None:
    """A control plane that hides the plan reaches nobody; when it shows it, people are told."""
    herald, leaf = parish.herald(), parish.notice(serve=False)
    herald.tick()
    assert (parish.told(), parish.added) == (set(), [])
    assert "withheld" in details(herald)
    assert "withheld" in (herald.page(leaf) or "")
    parish.plans = {parish.sim.state.notices[leaf]["body"]["plan"]: b"other bytes"}
    parish.sim.now += 10
    herald.tick()
    assert parish.told() == set()
    data = encode(parish.plan()).encode()
    parish.plans = {parish.sim.state.notices[leaf]["body"]["plan"]: data}
    parish.sim.now += 10
    herald.tick()
    assert parish.told() == RECIPIENTS


def test_plan_shown_too_late_is_never_told(parish: Parish) -> None:
    """A plan withheld until its notice has ended is not delivered after it."""
    herald, leaf = parish.herald(), parish.notice(serve=False)
    herald.tick()
    parish.plans = {parish.sim.state.notices[leaf]["body"]["plan"]: encode(parish.plan()).encode()}
    parish.sim.now += 13 * HOUR
    herald.tick()
    assert parish.told() == set()
    assert "not delivered in time" in (herald.page(leaf) or "")


def _change(**more: Json) -> Callable[[Json], None]:
    return lambda said: said.update(more)


def _ring(at: int, **more: Json) -> Callable[[Json], None]:
    return lambda said: said["rings"][at].update(more)


@pytest.mark.parametrize(
    ("edit", "word"),
    [
        (_ring(0, root="ab" * 32), "root"), (_ring(1, size=1), "ring 1"),
        (_ring(2, size=500), "ring"), (lambda said: said["rings"].reverse(), "ring 0"),
        (lambda said: said["rings"].pop(), "rings"),
        (lambda said: said["rings"].append({"size": 1, "root": "ab" * 32}), "rings"),
        (_change(artefacts=[]), "artefacts"), (_change(artefacts=["ab" * 32]), "artefacts"),
        (lambda said: said["artefacts"].append("ab" * 32), "artefacts"),
        (lambda said: said["artefacts"].append(said["artefacts"][0]), "artefacts"),
        (_change(targets=[]), "targets"), (_change(undo_artefacts=[]), "undo_artefacts"),
        (_change(zones=["web"]), "zones"), (_change(zones=[]), "zones"),
        (_change(zones=["api", "legacy", "web"]), "zones"), (_change(author="other"), "author"),
        (_change(clause="medium"), "clause"), (_change(basis="approvals"), "basis"),
        (_change(releases=["ab" * 32]), "releases"),
    ],
)  # fmt: skip
def test_notice_that_does_not_say_what_the_plan_does_is_not_delivered(
    parish: Parish, edit: Callable[[Json], None], word: str
) -> None:
    """Wrong ring root, grown ring, hidden artefact, own zones: a finding, and nobody is told."""
    herald, leaf = parish.herald(), parish.notice(edit=edit)
    herald.tick()
    assert (parish.told(), parish.added) == (set(), [])
    assert word.rstrip("s") in details(herald)
    assert "NOT DELIVERED" in (herald.page(leaf) or "")
    parish.sim.now += 60
    herald.tick()
    assert parish.told() == set()


def _order(edit: Callable[[Json], object]) -> Callable[[Parish], Json]:
    return lambda parish: parish.plan(order=edit)


def _plan(edit: Callable[[Json], object]) -> Callable[[Parish], Json]:
    return lambda parish: parish.plan(plan=edit)


@pytest.mark.parametrize(
    "make",
    [
        _order(lambda order: order.update(fleet="ab" * 32)),
        _order(lambda order: order.update(ring=5)),
        _order(lambda order: order["changes"].append({"id": "x", "type": "shell", "run": "true"})),
        _order(lambda order: order["changes"][0]["packages"][0].update(name="--force")
               or order["changes"][0].update(options=["-y"])),
        _plan(lambda plan: plan.update(fleet="ab" * 32)),
        _plan(lambda plan: plan.update(more=1)),
        _plan(lambda plan: plan["rings"][1].append(plan["rings"][0][0])),
        _plan(lambda plan: plan.pop("escalated")),
    ],
)  # fmt: skip
def test_plan_that_is_none_is_not_delivered(parish: Parish, make: Callable[[Parish], Json]) -> None:
    """Orders of another fleet or ring, free commands, a host twice: nobody is told."""
    herald = parish.herald()
    parish.notice(make(parish))
    herald.tick()
    assert parish.told() == set()
    assert details(herald)


def test_own_package_is_seen_by_everybody_who_is_told(parish: Parish) -> None:
    """A package of the planner's own cannot be left out of what people read."""

    def own(order: Json) -> None:
        order["changes"][0]["packages"][1]["name"] = "backdoor"
        order["undo"][0]["packages"][1]["name"] = "backdoor"

    herald = parish.herald()
    parish.notice(parish.plan(order=own))
    herald.tick()
    assert parish.told() == RECIPIENTS
    assert all("backdoor" in message.text for message in parish.fake.taken.values())


def test_host_without_a_zone_means_everybody_is_told(parish: Parish) -> None:
    """An unlabelled host counts as in every zone, so all objectors hear of it."""
    herald = parish.herald()
    parish.notice(parish.plan(rings=[["web1"], ["bare1"]]))
    herald.tick()
    assert parish.told() == {"dana", "lee", "kim", "mo"}


def test_person_without_an_address_is_a_finding(parish: Parish) -> None:
    """Nobody counts as told whom the guard's own book does not know."""
    parish.book = {"lee": [Address("pager", "x")]}
    herald = parish.herald()
    parish.notice()
    herald.tick()
    assert parish.added == []
    assert "`kim` was not told: no address in the book" in details(herald)
    assert "no channel `pager`" in details(herald)


def test_second_address_is_used_when_the_first_fails(parish: Parish) -> None:
    """A person is reached by the first channel that works, tried again later if none does."""

    class Broken:
        """Takes nothing."""

        def deliver(self, address: str, message: Message) -> Outcome:
            """See `Channel.deliver`."""
            return Failed("no route")

    parish.book = {p: [Address("broken", p), Address("fake", f"{p}@x")] for p in RECIPIENTS}
    herald = parish.herald()
    herald._world = _with(herald, "broken", Broken())
    parish.notice()
    parish.fake.broken = "down"
    herald.tick()
    assert parish.told() == set()
    parish.fake.broken = ""
    herald.tick()
    assert parish.told() == set()
    parish.sim.now += 61
    herald.tick()
    assert parish.told() == RECIPIENTS


def _with(herald: Json, name: str, channel: Json) -> Json:
    from dataclasses import replace  # noqa: PLC0415

    world = herald._world
    return replace(world, channels={**world.channels, name: channel})


def test_log_that_is_away_or_refuses_is_asked_again(parish: Parish) -> None:
    """A delivery is handed in until it stands in the log, as the same statement."""
    herald = parish.herald()
    parish.notice()
    parish.silent = True
    herald.tick()
    first = {told.entry for told in herald.register.unlogged()}
    parish.silent, parish.refusal = False, "not_admissible"
    parish.sim.now += 10
    herald.tick()
    assert "not_admissible" in details(herald)
    parish.refusal = ""
    for _ in range(2):
        parish.sim.now += 10
        herald.tick()
    assert set(parish.added) == first


def test_swallowed_delivery_is_handed_in_again(parish: Parish) -> None:
    """A log that says yes and drops it is asked again: only the folded state counts."""
    herald = parish.herald()
    parish.notice()
    herald.tick()
    parish.added.clear()
    parish.sim.now += 10
    herald.tick()
    assert len(parish.added) == 2


def test_new_charter_in_between_is_signed_for(parish: Parish) -> None:
    """A delivery that was signed under an older charter is signed anew before it is handed in."""
    herald, leaf = parish.herald(), parish.notice()
    parish.silent = True
    herald.tick()
    parish.sim.succeed(lambda _: None, "dana", "lee")
    parish.silent = False
    parish.sim.now += 10
    herald.tick()
    parish.log()
    assert len(parish.sim.state.notices[leaf]["deliveries"]) == 2


class _Killed(BaseException):
    """The process ends here."""


@pytest.mark.parametrize("step", range(9))
def test_herald_that_is_killed_anywhere_goes_on(
    parish: Parish, monkeypatch: pytest.MonkeyPatch, step: int
) -> None:
    """Killed before any of its steps: after a restart each person was told, and said, once."""
    parish.notice()
    herald, left = parish.herald(), [step]

    def mortal(inner: Callable[..., Json]) -> Callable[..., Json]:
        def run(*args: Json, **more: Json) -> Json:
            if left[0] == 0:
                raise _Killed
            left[0] -= 1
            return inner(*args, **more)

        return run

    for thing, name in (
        (herald.register, "add"), (herald.register, "good"), (herald.register, "deliver"),
        (parish.fake, "deliver"), (parish, "add"),
    ):  # fmt: skip
        monkeypatch.setattr(thing, name, mortal(getattr(thing, name)))
    with pytest.raises(_Killed):
        herald.tick()
    monkeypatch.undo()
    again = parish.herald()
    for _ in range(3):
        again.tick()
        parish.sim.now += 10
    parish.log()
    again.tick()
    rows = next(iter(parish.sim.state.notices.values()))["deliveries"]
    assert sorted(row[1] for row in rows) == ["kim", "lee"]
    assert len({admit(e, parish.sim.state.law(), parish.sim.fleet).id for e in parish.added}) == 2


def test_pages_show_what_was_delivered(parish: Parish) -> None:
    """The page, the mail and the log mean the same bytes: same text, same check words."""
    herald, leaf = parish.herald(), parish.notice()
    assert herald.index() == "no notice yet\n"
    herald.tick()
    page = herald.page(leaf) or ""
    assert {message.text for message in parish.fake.taken.values()} == {page}
    words = check_words(parish.sim.state.notices[leaf]["id"])
    assert words in page
    assert leaf in herald.index()
    assert words in herald.index()
    plan = herald.plan(leaf) or b""
    assert decode(plan, 1 << 20)["title"] == "openssl of today"
    assert herald.page("ab" * 32) is None
    assert herald.plan("ab" * 32) is None


def test_two_heralds_tell_the_same_text(tmp_path: Path) -> None:
    """Two guards, one notice, word for word the same: people can compare."""
    one = Parish(tmp_path / "one")
    two = Parish(tmp_path / "two", sim=one.sim)
    leaf = one.notice()
    two.plans = one.plans
    first, second = one.herald("g1"), two.herald("g2")
    first.tick()
    second.tick()
    assert first.page(leaf) == second.page(leaf)
    assert isinstance(one.fake.deliver("a@x", Message("a", "b", "c")), Accepted)


def acknowledging(tmp_path: Path) -> Parish:
    """A fleet whose charter counts a notice as told once a person has acknowledged it."""
    edit = Simulator(charter=lambda body: body["limits"].update(opens="acknowledged"))
    return Parish(tmp_path, edit)


def link(parish: Parish, person: str) -> list[str]:
    """Give leaf, person and token of the link in a person's message."""
    (text,) = (m.text for (at, _), m in parish.fake.taken.items() if at == f"{person}@x")
    (line,) = (line for line in text.splitlines() if "/seen/" in line)
    leaf, _, who, token = line.strip().rsplit("/", 4)[1:]
    return [leaf, who, token]


def test_person_acknowledges_by_the_link_of_the_message(tmp_path: Path) -> None:
    """Looking is no act; pressing is one, said once, and it opens what acceptance does not."""
    parish = acknowledging(tmp_path)
    herald, leaf = parish.herald(), parish.notice()
    herald.tick()
    where = link(parish, "lee")
    page = herald.acknowledge(*where, pressed=False)
    assert page
    assert "<form method" in page
    herald.tick()
    assert len(parish.added) == 2
    parish.sim.now += 30
    for _ in range(2):
        assert "Check words" in (herald.acknowledge(*where, pressed=True) or "")
        herald.tick()
        parish.sim.now += 30
    parish.log()
    rows = [row[:3] for row in parish.sim.state.notices[leaf]["deliveries"] if row[1] == "lee"]
    assert rows == [["g1", "lee", "accepted"], ["g1", "lee", "acknowledged"]]
    herald.tick()
    assert herald.register.unlogged() == []


def test_link_of_one_person_acknowledges_for_nobody_else(tmp_path: Path) -> None:
    """Attack: who has a link of their own, or none, acknowledges in an objector's name."""
    parish = acknowledging(tmp_path)
    herald = parish.herald()
    leaf, other = parish.notice(), "ab" * 32
    herald.tick()
    _, _, token = link(parish, "kim")
    for place in ([leaf, "lee", token], [other, "kim", token], [leaf, "kim", ""], [leaf, "é", "é"]):
        assert herald.acknowledge(*place, pressed=True) is None
    herald.tick()
    assert len(parish.added) == 2


def test_acknowledgement_is_signed_again_under_a_new_charter(tmp_path: Path) -> None:
    """A charter that came in between does not lose a person's act."""
    parish = acknowledging(tmp_path)
    parish.silent = True
    herald, leaf = parish.herald(), parish.notice()
    herald.tick()
    herald.acknowledge(*link(parish, "lee"), pressed=True)
    parish.sim.succeed(lambda body: body.update(name="renamed"), "dana", "lee")
    parish.silent = False
    parish.sim.now += 10
    herald.tick()
    parish.log()
    rows = {tuple(row[1:3]) for row in parish.sim.state.notices[leaf]["deliveries"]}
    assert ("lee", "acknowledged") in rows


def test_no_link_where_acceptance_opens(parish: Parish) -> None:
    """The same words at every guard, where nothing has to be pressed."""
    parish.herald().tick()
    parish.notice()
    parish.herald().tick()
    assert not any("/seen/" in message.text for message in parish.fake.taken.values())
