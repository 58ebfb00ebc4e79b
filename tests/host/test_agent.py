"""The agent against a served world: what it does, what it refuses, and what it says."""

import json
import shutil

import pytest

from answerable.host.driver import Foreseen
from answerable.host.services.service import Check
from answerable.kernel.canon import Json
from tests.fakes.host_world import HostWorld
from tests.host.conftest import Site
from tests.simulator import NEW, OLD, Order
from tests.simulator.constitution import EFFECTS, effects

DONE = [("up", "succeeded", ""), ("restart", "succeeded", ""), ("health", "succeeded", "")]
MOVED = [f"libssl3 {NEW}", f"openssl {NEW}"]


@pytest.fixture
def order(site: Site) -> Order:
    """An order that the host may do, handed out."""
    made = site.world.sim.permitted()
    site.world.hand_out(made)
    return made


def untouched(site: Site) -> bool:
    """Tell whether nothing was done and nothing begun."""
    return not (site.driver.applied or site.services.restarted or begun(site))


def begun(site: Site) -> list[str]:
    """Give the actions that the host wrote down as begun."""
    path = site.place / "journal"
    lines = path.read_text().splitlines() if path.exists() else []
    return [e["action"] for e in map(json.loads, lines) if e["is"] == "begun"]


def test_an_order_is_done_change_by_change_and_each_is_reported(site: Site, order: Order) -> None:
    """What was noticed, delivered, waited for and not vetoed is done once and said so."""
    assert site.outcome() == DONE
    assert sorted(site.driver.applied) == MOVED
    assert site.services.restarted == ["nginx.service"]
    assert site.world.said() == DONE
    bodies = list(site.world.reports.values())
    assert [b["seq"] for b in bodies] == [1, 2, 3]
    assert bodies[0]["observed"] == {"libssl3": NEW, "openssl": NEW}
    assert {b["order"] for b in bodies} == {order.hash}
    assert bodies[1]["caused_by"] == "up"
    assert bodies[0]["started"] >= site.world.sim.now
    assert site.outcome() == []
    assert len(begun(site)) == 3


def test_an_order_in_a_second_bundle_is_not_done_again(site: Site, order: Order) -> None:
    """The same order with newer evidence, handed out again, finds everything done."""
    site.look()
    order.checkpoint = site.world.sim.checkpoint()
    site.world.hand_out(order)
    assert site.outcome() == []
    assert sorted(site.driver.applied) == MOVED


def test_nothing_is_done_without_a_quorum_of_guards(site: Site, order: Order) -> None:
    """Two silent guards of four stop the host."""
    site.world.dead |= {"g1", "g2"}
    assert site.outcome() == [("up", "waiting", "stale_head")]
    assert untouched(site)
    site.world.dead.clear()
    assert site.outcome() == DONE


def test_one_guard_away_is_no_matter(site: Site, order: Order) -> None:
    """A quorum is three of four."""
    site.world.dead.add("g3")
    assert site.outcome() == DONE


def test_a_wait_is_reported_once_and_ends_by_itself(site: Site) -> None:
    """A bundle that comes within its window waits; the log hears of it once."""
    order = site.world.sim.play(wait=10)
    site.world.hand_out(order)
    agent = site.agent(patience=2)
    assert [r.reason for r in agent.look()] == ["window_open"]
    assert site.world.said() == []
    for _ in range(3):
        agent.look()
    assert site.world.said() == [("up", "refused", "window_open")]
    assert untouched(site)
    site.world.sim.now += 2000
    assert [r.state for r in agent.look()] == ["succeeded"] * 3
    assert agent.look() == []
    assert not agent._waited, "nothing is counted any more of what is over"


def test_a_veto_stops_it_and_a_lift_lets_it_go_on(site: Site, order: Order) -> None:
    """The host sees the veto itself; it is asked again when the log has grown."""
    sim = site.world.sim
    agent = site.agent()
    body = {"notice": order.notice, "artefacts": [], "targets": [], "undo": False,
            "authorization": "", "reason": "no"}  # fmt: skip
    veto = sim.tell("veto", body, "lee")
    assert [(r.state, r.reason) for r in agent.look()] == [("refused", "vetoed")]
    assert [(r.state, r.reason) for r in agent.look()] == [("refused", "vetoed")]
    assert site.world.said() == [("up", "refused", "vetoed")]
    assert untouched(site)
    sim.tell("lift", {"lifts": [veto], "reason": "settled"}, "dana", "kim")
    assert [r.state for r in agent.look()] == ["refused"], "the log was not followed yet"
    sim.now += 61
    assert [r.state for r in agent.look()] == ["succeeded"] * 3


def test_a_veto_while_the_guards_keep_the_note_stops_the_action(site: Site, order: Order) -> None:
    """The kernel is asked once more after the guards' receipts, right before acting."""
    sim = site.world.sim
    body = {"notice": order.notice, "artefacts": [], "targets": [], "undo": False,
            "authorization": "", "reason": "no"}  # fmt: skip

    def veto(path: str) -> None:
        if path.endswith("/fresh") and begun(site) and not sim.state.vetoes:
            sim.tell("veto", body, "lee")

    site.world.before = veto
    assert site.outcome() == [("up", "refused", "vetoed")]
    assert site.driver.applied == []
    assert site.world.said() == [("up", "refused", "vetoed")]
    assert site.outcome() == []


def test_an_action_waits_until_a_quorum_keeps_its_note(site: Site, order: Order) -> None:
    """Begun and synced, but not acted on while two guards do not keep what the host begins."""
    site.world.deaf |= {"g1", "g2"}
    assert site.outcome() == [("up", "waiting", "not_acknowledged")]
    assert site.driver.applied == []
    assert len(begun(site)) == 1
    assert site.outcome() == [("up", "waiting", "not_acknowledged")]
    site.world.deaf.clear()
    assert site.outcome() == DONE
    assert sorted(site.driver.applied) == MOVED
    assert len(begun(site)) == 3


def test_a_restored_snapshot_is_found_out(site: Site, order: Order) -> None:
    """A host whose own memory was set back is told by the guards, and does nothing."""
    copy = site.place.with_name("copy")
    shutil.copytree(site.place, copy)
    site.look()
    shutil.rmtree(site.place)
    copy.rename(site.place)
    assert site.outcome() == [("up", "refused", "state_rolled_back")]
    assert sorted(site.driver.applied) == MOVED
    assert begun(site) == []
    assert ("up", "refused", "state_rolled_back") in site.world.said()


def test_a_delayed_log_is_followed_from_the_mirrors(site: Site, order: Order) -> None:
    """A log that shows an old head is found out by the guards, and passed by."""
    site.world.frozen = 3
    assert site.outcome() == DONE


def test_a_host_that_is_kept_behind_waits(site: Site, order: Order) -> None:
    """If nobody gives the newest records, the guards' heads still say that there are some."""
    home = site.home()
    size = home.follower.follow()
    site.world.sim.append(b"something that the host does not get to see")
    site.world.frozen = size
    for mirror in home.follower.mirrors():
        path = mirror.base.removeprefix(site.world.url) + "/checkpoint"
        site.world.instead[path] = b"nothing"
    assert site.outcome() == [("up", "waiting", "behind")]
    assert untouched(site)
    site.world.frozen = None
    assert site.outcome() == DONE


def test_the_wall_clock_is_never_asked(
    site: Site, order: Order, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A clock set back or forth by years changes nothing."""
    monkeypatch.setattr("time.time", lambda: 0.0)
    order = site.world.sim.play(wait=10, rings=(("web1",),))
    site.world.bundles.clear()
    site.world.hand_out(order)
    assert site.outcome() == [("up", "waiting", "window_open")]


def test_it_stops_between_two_changes(site: Site, order: Order) -> None:
    """Told to stop, it ends the change under way and begins no other; the next agent goes on."""
    agent = site.agent()
    agent.stopping = lambda: bool(site.driver.applied)
    assert [(r.about.change, r.state) for r in agent.look()] == [("up", "succeeded")]
    assert agent.counts()["unsent"] == 0
    assert site.outcome() == DONE[1:]


# --- what the control plane can do ---------------------------------------------------------------


@pytest.mark.parametrize("listing", [b"", b"{}", b'["../etc"]', b"[" * 60_000, b'[{"a":1}]'])
def test_a_listing_that_is_none_changes_nothing(site: Site, order: Order, listing: bytes) -> None:
    """Garbage for a listing is trouble, not an error."""
    site.world.instead["/control/bundles/web1"] = listing
    agent = site.agent()
    assert agent.look() == []
    assert "the control plane lists" in agent.trouble[0]


def test_bytes_of_another_bundle_are_not_taken(site: Site, order: Order) -> None:
    """A bundle is its hash."""
    site.world.hand_out(order, index=5)
    digest = json.loads(site.world.answer("GET", "/control/bundles/web1", b"")[1])[1]
    site.world.bundles.pop(0)
    site.world.instead[f"/control/bundle/{digest}"] = b"x"
    agent = site.agent()
    assert agent.look() == []
    assert "another bundle" in agent.trouble[0]


@pytest.mark.parametrize(
    ("data", "reason"),
    [(b"garbage", "malformed"), (b'{"order":1}', "malformed"), (b"[]" * 300_000, "malformed")],
)
def test_a_bundle_that_is_none_is_refused_once(site: Site, data: bytes, reason: str) -> None:
    """What cannot be read is refused by the hash of its bytes, and never looked at again."""
    site.world.bundles.append(data)
    agent = site.agent()
    assert agent.look() == []
    agent.look()
    site.look()
    assert site.world.said() == [("none", "refused", reason)]


def test_an_oversized_bundle_is_not_read(site: Site) -> None:
    """A megabyte is the most."""
    site.world.bundles.append(b" " * (1 << 21))
    agent = site.agent()
    assert agent.look() == []
    assert "sends over 1048576 bytes" in agent.trouble[0]


def test_another_hosts_order_is_refused(site: Site) -> None:
    """An order is for the host that it names."""
    order = site.world.sim.play("web2")
    site.world.hand_out(order)
    assert site.outcome() == [("up", "refused", "not_mine")]
    assert untouched(site)


def test_a_flood_of_bad_bundles_cannot_write_more_than_an_hours_reports(site: Site) -> None:
    """Whoever hands out bundles cannot fill the report log in this host's name."""
    site.world.bundles += [b"%d" % n for n in range(200)]
    agent = site.agent()
    for _ in range(4):
        agent.look()
        site.world.bundles = site.world.bundles[50:]
    assert len(site.world.said()) == 60


def test_swapped_bytes_are_refused_before_anything_begins(site: Site, order: Order) -> None:
    """The artefact that comes is hashed; another one is never used."""
    blob = json.loads(order.text)["changes"][0]["packages"][0]["sha256"]
    site.world.instead[f"/control/artefacts/{blob}"] = b"\0evil"
    assert site.outcome() == [("up", "refused", "artefact_swapped")]
    assert untouched(site)


def test_bytes_swapped_after_staging_are_not_used(site: Site, order: Order) -> None:
    """The very bytes are hashed once more right before the tool reads them."""
    blob = json.loads(order.text)["changes"][0]["packages"][0]["sha256"]

    def swap(where: str) -> None:
        if where == "preview" and begun(site):
            site.driver.store.path(blob).write_bytes(b"\0evil")

    site.driver.pause = swap
    rows = site.outcome()
    assert rows[0] == ("up", "failed", "artefact_swapped")
    assert site.driver.applied == []


def test_nothing_is_downloaded_that_the_kernel_would_not_permit(site: Site) -> None:
    """A forged order cannot make the host fetch gigabytes."""
    site.world.hand_out(site.world.sim.play("web2"))
    site.look()
    assert not [path for path in site.world.asked if "artefacts" in path]


def test_an_artefact_that_is_away_is_waited_for(site: Site, order: Order) -> None:
    """Missing bytes are the world's fault: nothing is begun, nothing reported."""
    blob = json.loads(order.text)["changes"][0]["packages"][0]["sha256"]
    agent = site.agent()
    real = site.world.answer

    def answer(method: str, target: str, body: bytes) -> tuple[int, bytes]:
        return (404, b"") if blob in target else real(method, target, body)

    site.world.answer = answer  # type: ignore[method-assign]
    assert [(r.state, r.reason) for r in agent.look()] == [("waiting", "unavailable")]
    assert untouched(site)
    assert site.world.said() == []
    site.world.answer = real  # type: ignore[method-assign]
    assert [r.state for r in agent.look()] == ["succeeded"] * 3


def test_a_begun_order_goes_on_without_the_control_plane(site: Site, order: Order) -> None:
    """A half-patched host finishes from its own shelf."""
    site.world.deaf |= {"g1", "g2"}
    site.look()
    site.world.deaf.clear()
    site.world.bundles.clear()
    assert site.outcome() == DONE


# --- reports -------------------------------------------------------------------------------------


def test_reports_wait_for_a_log_that_is_away_and_come_once(site: Site, order: Order) -> None:
    """Nothing that was done is lost, and nothing is said twice."""
    site.world.dead.add("report")
    agent = site.agent()
    agent.look()
    assert agent.counts()["unsent"] == 3
    assert site.world.said() == []
    site.world.dead.clear()
    site.look()
    site.look()
    assert site.world.said() == DONE


def test_a_report_that_the_log_has_already_counts_as_sent(site: Site, order: Order) -> None:
    """A host that was killed before it noted the log's answer sends the same statement again."""
    site.look()
    lines = (site.place / "journal").read_bytes().splitlines(keepends=True)
    (site.place / "journal").write_bytes(b"".join(x for x in lines if b'"is":"sent"' not in x))
    agent = site.agent()
    agent.look()
    assert agent.counts()["unsent"] == 0
    assert len(site.world.reports) == 3


# --- failure and undo ----------------------------------------------------------------------------


def failing(site: Site) -> Order:
    """Let the health check fail after the upgrade."""
    order = site.world.sim.permitted()
    site.world.hand_out(order)
    site.checks["nginx"] = Check("tcp", "127.0.0.1", 1, within=0)
    return order


def observe(world: HostWorld, order: Order, change: str = "health") -> None:
    """Let an observer say that a change failed."""
    body = {"notice": order.notice, "order": order.hash, "change": change, "host": "web1",
            "report": "cd" * 32, "cause": "health"}  # fmt: skip
    world.sim.tell("failure", body, "o1")


def test_a_failure_is_undone_only_when_an_observer_agrees(site: Site) -> None:
    """The host's word alone undoes nothing; then each step of the undo is a change of its own."""
    order = failing(site)
    assert site.outcome() == [
        *DONE[:2], ("health", "failed", "health"),
        ("undo-up", "waiting", "failure_not_corroborated"),
    ]  # fmt: skip
    assert sorted(site.driver.applied) == MOVED
    observe(site.world, order)
    assert site.outcome() == [("undo-up", "succeeded", ""), ("undo-restart", "succeeded", "")]
    assert site.driver.installed()["libssl3"] == OLD
    causes = {b["change"]: b["caused_by"] for b in site.world.reports.values()}
    assert causes["undo-up"] == causes["undo-restart"] == "health"
    assert site.outcome() == []


def test_what_comes_after_a_failed_change_is_not_done(site: Site, order: Order) -> None:
    """A restart that fails leaves the health check undone and unreported."""
    site.services.broken = "it refuses to start"
    rows = site.outcome()
    assert rows[:2] == [DONE[0], ("restart", "failed", "service")]
    assert "health" not in [row[0] for row in rows]
    assert site.world.said()[1] == ("restart", "failed", "service")


def test_an_upgrade_that_changed_nothing_has_nothing_to_undo(site: Site, order: Order) -> None:
    """The undo of what was never done is said to be done; what follows still needs the observer."""
    site.driver.broken = "the tool is broken"
    assert site.outcome() == [
        ("up", "failed", "tool"), ("undo-up", "succeeded", "already"),
        ("undo-restart", "waiting", "failure_not_corroborated"),
    ]  # fmt: skip
    assert site.driver.applied == []


def test_a_reboot_is_refused_before_anything_is_begun(site: Site) -> None:
    """The schema knows it, this agent cannot."""

    def edit(body: Json) -> None:
        body["changes"].insert(0, {"id": "boot", "type": "reboot", "caused_by": "", "risk": "high"})

    site.world.hand_out(site.world.sim.permitted(change="boot", edit=edit))
    assert site.outcome() == [("boot", "refused", "action_not_allowed")]
    assert untouched(site)


def test_a_snapshot_brings_what_the_undo_needs(site: Site) -> None:
    """Before anything is changed the old artefacts are here, and the versions are written down."""

    def edit(body: Json) -> None:
        snapshot = {"id": "snap", "type": "snapshot", "caused_by": "", "risk": "low"}
        body["changes"].insert(0, snapshot)

    site.world.hand_out(site.world.sim.permitted(change="snap", edit=edit))
    assert site.outcome() == [("snap", "succeeded", ""), *DONE]
    notes = list((site.place / "snapshots").iterdir())
    assert json.loads(notes[0].read_bytes())["debian:12/libssl3"] == OLD
    assert len(list((site.driver.place / "artefacts").glob("*.deb"))) == 4


def test_an_unknown_check_is_refused_before_anything_is_begun(site: Site) -> None:
    """A name that the operator did not set up is no action."""
    site.world.hand_out(site.world.sim.permitted())
    site.checks.clear()
    assert site.outcome()[-1] == ("health", "refused", "action_not_allowed")


def test_the_effects_that_people_were_told_are_done(site: Site) -> None:
    """What the host's own rehearsal finds reaches the kernel before anything is begun."""
    site.world.hand_out(site.world.sim.permitted(edit=effects()))
    site.driver.foreseen = Foreseen(EFFECTS, {})
    assert site.outcome() == DONE


@pytest.mark.parametrize(
    "found", [None, Foreseen("ab" * 32, {}), Foreseen(EFFECTS, {"setuid": ("/usr/bin/x",)})]
)
def test_other_effects_are_refused_before_they_happen(site: Site, found: Foreseen | None) -> None:
    """A host that would do something else, or cannot tell, begins nothing and says so."""
    site.world.hand_out(site.world.sim.permitted(edit=effects()))
    site.driver.foreseen = found
    assert site.outcome() == [("up", "refused", "effects_differ")]
    assert site.world.said() == [("up", "refused", "effects_differ")]
    assert untouched(site)
