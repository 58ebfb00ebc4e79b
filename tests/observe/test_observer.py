"""An observer says what it saw, once, and opens a ring only when every host of the last is well."""

from collections.abc import Mapping
from pathlib import Path

import pytest

from answerable.kernel.errors import Refused
from answerable.kernel.merkle import leaf_hash
from answerable.ledger.store import LedgerUnavailable
from answerable.observe.files import Compared
from answerable.observe.look import Place, Sight, Unseen
from answerable.observe.observer import LOOKS, NotAnObserver, Observer
from answerable.observe.shipped import CannotRead
from tests.observe.stage import NEW, OLD, Stage

SOAK = 600


@pytest.fixture
def stage(tmp_path: Path) -> Stage:
    """A plan of three rings whose window is over."""
    return Stage(tmp_path)


def results(stage: Stage, by: str = "o1") -> list[tuple[str, str, str]]:
    """Give host, change and result of an observer's observations."""
    return [(o["host"], o["change"], o["result"]) for o in stage.told("observation", by)]


def test_true_report_is_observed_once(stage: Stage) -> None:
    """A host that did what it says is observed as succeeded, however often it is looked at."""
    stage.done("web1")
    stage.watch(stage.observer())
    assert results(stage) == [("web1", "health", "succeeded")]
    assert stage.told("finding") == []


def test_false_success_report_becomes_a_finding(stage: Stage) -> None:
    """Attack: a host says that it upgraded and did not; disk and report disagree for all to see."""
    for change in ("up", "restart", "health"):
        stage.say("web1", change)
    stage.watch(stage.observer(), times=LOOKS - 1)
    assert results(stage) == []
    stage.watch(stage.observer(), times=LOOKS)
    assert results(stage) == [("web1", "health", "failed")]
    found = stage.told("finding")
    assert [(f["kind"], f["subject"].split()[0]) for f in found] == [("self_report_false", "web1")]
    assert f"`libssl3` is `{OLD}`, not `{NEW}`" in found[0]["detail"]


def test_slow_service_is_no_false_report(stage: Stage) -> None:
    """A service that answers at the second look is observed as well."""
    stage.done("web1")
    stage.sick["web1"] = "starting"
    observer = stage.observer()
    stage.watch(observer, times=1)
    stage.sick.clear()
    stage.watch(observer, times=1)
    assert results(stage) == [("web1", "health", "succeeded")]


def test_real_failure_is_corroborated_in_the_authority_log(stage: Stage) -> None:
    """A service that does not come back is a failure record that names the host's own report."""
    stage.install("web1", NEW)
    for change in ("up", "restart"):
        stage.say("web1", change)
    entry = stage.say("web1", "health", "failed")
    stage.sick["web1"] = "connection refused"
    stage.watch(stage.observer("o1"), stage.observer("o2"))
    order, _ = stage.orders["web1"]
    failed = stage.sim.state.notices[stage.notice]["failures"]
    assert failed == {"web1": {"health": {"o1": [order, "health"], "o2": [order, "health"]}}}
    said = [e for e in stage.authority.entries if b'"type":"failure"' in e]
    assert all(leaf_hash(entry).hex().encode() in e for e in said)
    assert results(stage) == [("web1", "health", "failed")]


def test_failed_upgrade_is_seen_by_its_versions(stage: Stage) -> None:
    """A package tool that failed left the old version behind: the cause is the version."""
    stage.say("web1", "up", "failed")
    stage.watch(stage.observer())
    failed = stage.sim.state.notices[stage.notice]["failures"]
    assert failed["web1"]["up"]["o1"][1] == "version"


def test_made_up_failure_rolls_nothing_back(stage: Stage) -> None:
    """Attack: a host reports a failure that nobody can see; no failure record, but a finding."""
    stage.install("web1", NEW)
    for change, result in (("up", "succeeded"), ("restart", "succeeded"), ("health", "failed")):
        stage.say("web1", change, result)
    stage.watch(stage.observer(), times=2 * LOOKS)
    assert stage.sim.state.notices[stage.notice]["failures"] == {}
    assert [f["kind"] for f in stage.told("finding")] == ["failure_not_seen"]
    assert results(stage) == []


def test_restored_state_is_observed_after_an_undo(stage: Stage) -> None:
    """After a whole undo the old versions are looked for, and found."""
    stage.say("web1", "up")
    stage.say("web1", "health", "failed")
    stage.sick["web1"] = "connection refused"
    observer = stage.observer()
    stage.watch(observer)
    stage.sick.clear()
    stage.say("web1", "undo-up")
    stage.say("web1", "undo-restart")
    stage.watch(observer)
    assert results(stage)[-1] == ("web1", "undo-restart", "succeeded")


def test_silent_host_is_unreachable(stage: Stage) -> None:
    """A host whose disk cannot be read is unreachable; that alone lets only people undo."""
    stage.say("web1", "up", "failed")

    def blind(place: Place) -> Sight:
        raise Unseen(f"`{place.root}` is gone")

    stage.watch(stage.observer(look=blind))
    assert results(stage) == [("web1", "up", "unreachable")]
    failed = stage.sim.state.notices[stage.notice]["failures"]
    assert failed["web1"]["up"]["o1"][1] == "unreachable"


def test_ring_opens_after_a_served_soak(stage: Stage) -> None:
    """Ring by ring: all hosts seen well, the soak between two cosigned times, then the advance."""
    both = [stage.observer("o1"), stage.observer("o2")]
    stage.done("web1")
    stage.watch(*both)
    assert stage.advances() == {}
    stage.sim.now += SOAK
    stage.watch(*both)
    assert set(stage.advances()["1"]) == {"o1", "o2"}
    assert all(until - since >= SOAK for since, until in stage.advances()["1"].values())
    stage.done("web2")
    stage.watch(*both)
    stage.sim.now += SOAK
    stage.watch(*both)
    assert "2" not in stage.advances()
    stage.done("api1")
    stage.watch(*both)
    stage.sim.now += SOAK
    stage.watch(*both)
    assert set(stage.advances()["2"]) == {"o1", "o2"}


def test_host_permits_what_observers_opened(stage: Stage) -> None:
    """The kernel takes the advances of two observers as proof that ring 1 may start."""
    both = [stage.observer("o1"), stage.observer("o2")]
    order = stage.sim.order(stage.notice, "web2", stage.kept[stage.notice])
    verdict = stage.sim.ask(order)
    assert isinstance(verdict, Refused)
    assert verdict.reason == "ring_not_open"
    stage.done("web1")
    stage.watch(*both)
    stage.sim.now += SOAK
    stage.watch(*both)
    assert not isinstance(stage.sim.ask(order), Refused)


@pytest.mark.parametrize("how", ["failed", "undone", "sick at soak"])
def test_ring_never_opens_after_a_failure(stage: Stage, how: str) -> None:
    """A host of ring 0 that failed, was undone, or falls ill in the soak keeps ring 1 shut."""
    observer = stage.observer()
    stage.install("web1", NEW)
    stage.say("web1", "up")
    if how == "sick at soak":
        stage.say("web1", "restart")
        stage.say("web1", "health")
        stage.watch(observer)
    else:
        stage.say("web1", "health", "failed")
    stage.sick["web1"] = "connection refused"
    stage.sim.now += SOAK
    stage.watch(observer)
    if how == "undone":
        stage.install("web1", OLD)
        stage.sick.clear()
        stage.say("web1", "undo-up")
        stage.say("web1", "undo-restart")
    for _ in range(3):
        stage.sim.now += SOAK
        stage.watch(observer)
    stage.sick.clear()
    stage.watch(observer)
    assert stage.advances() == {}
    assert ("web1", "health", "failed") in results(stage)


def test_restart_at_any_moment_repeats_nothing(stage: Stage) -> None:
    """An observer that is started anew for each look says everything exactly once."""
    stage.done("web1")
    for _ in range(LOOKS):
        stage.watch(stage.observer(), times=1)
    stage.sim.now += SOAK
    for _ in range(LOOKS):
        stage.watch(stage.observer(), times=1)
    assert results(stage) == [("web1", "health", "succeeded")]
    assert list(stage.advances()) == ["1"]
    said = [e for e in stage.authority.entries if b'"type":"advance"' in e]
    assert len(said) == 1


def test_lost_memory_only_delays(stage: Stage) -> None:
    """Without its memory an observer begins the soak again, and says nothing twice."""
    stage.done("web1")
    stage.watch(stage.observer())
    stage.sim.now += SOAK - 10
    (stage.folder / "o1" / "observer.json").write_text("{}")
    stage.watch(observer := stage.observer())
    stage.sim.now += 20
    stage.watch(observer)
    assert stage.advances() == {}
    stage.sim.now += SOAK
    stage.watch(observer)
    assert list(stage.advances()) == ["1"]
    assert len(results(stage)) == 1


def test_report_of_a_host_that_is_not_enrolled_is_nothing(stage: Stage) -> None:
    """Attack: somebody else's key reports in a host's name; it is not even read."""
    stage.install("web1", NEW)
    for change in ("up", "restart", "health"):
        stage.say("web1", change, by="stranger")
    observer: Observer = stage.observer()
    stage.watch(observer)
    assert results(stage) == []
    assert observer.reports.refused == 3


def test_forked_log_stops_the_observer(stage: Stage) -> None:
    """Attack: a log with another history than before, cosigned or not, is refused."""
    stage.done("web1")
    observer = stage.observer()
    stage.watch(observer)
    stage.report.entries[0] = stage.report.entries[1]
    stage.say("web2", "up")
    for one in (observer, stage.observer()):
        with pytest.raises(Refused, match="split_view"):
            one.look_around()


def test_shrunk_log_stops_the_observer(stage: Stage) -> None:
    """Attack: a log that went back behind what was seen before a restart."""
    stage.done("web1")
    stage.watch(stage.observer())
    del stage.report.entries[-1]
    with pytest.raises(Refused, match="behind"):
        stage.observer().look_around()


def test_checkpoint_without_a_quorum_is_nothing(stage: Stage) -> None:
    """Attack: the log's own word, with one guard's, moves nothing."""
    stage.done("web1")
    stage.report.guards = ("g1",)
    with pytest.raises(Refused, match="no_quorum"):
        stage.observer().look_around()


def test_withheld_plan_and_lost_log_are_waited_for(stage: Stage) -> None:
    """A plan that nobody gives, or a log that is away, is trouble now and not later."""
    stage.done("web1")
    plans, stage.plans = stage.plans, {}
    observer = stage.observer()
    stage.watch(observer)
    assert "nobody has it" in observer.trouble
    stage.plans, stage.report.away = plans, True
    with pytest.raises(LedgerUnavailable):
        observer.look_around()
    stage.report.away = False
    stage.watch(observer)
    assert results(stage) == [("web1", "health", "succeeded")]


def test_stranger_is_no_observer(stage: Stage) -> None:
    """A key that the charter does not name observes nothing."""
    with pytest.raises(NotAnObserver):
        stage.observer("web1")


def test_patch_that_weakens_the_host_is_no_success(stage: Stage) -> None:
    """A true report of a change that also left a setuid program: a finding, and the ring stays."""
    observer = stage.observer()
    stage.watch(observer)
    program = stage.folder / "web1/opt/own"
    program.parent.mkdir()
    program.touch()
    program.chmod(0o4755)
    stage.done("web1")
    stage.watch(observer)
    assert [f["kind"] for f in stage.told("finding")] == ["posture_weakened"]
    assert "opt/own" in stage.told("finding")[0]["detail"]
    assert [o["result"] for o in stage.told("observation")] == ["failed"]
    stage.sim.now += 10 * SOAK
    stage.watch(observer)
    assert not stage.sim.state.notices[stage.notice]["advances"]


def test_right_version_with_other_files_is_no_success(stage: Stage) -> None:
    """Attack: a host writes the new version into its database and leaves an old file in place."""
    stage.done("web1")
    stage.tampered["web1"] = ("`usr/lib/x/libssl.so.3` of libssl3 has other bytes",)
    stage.watch(stage.observer())
    assert [f["kind"] for f in stage.told("finding")] == ["self_report_false", "files_differ"]
    (seen,) = stage.told("observation")
    assert seen["result"] == "failed"
    assert seen["saw"]["differ"] == ["`usr/lib/x/libssl.so.3` of libssl3 has other bytes"]
    stage.sim.now += 10 * SOAK
    stage.watch(stage.observer())
    assert stage.advances() == {}


def test_old_file_put_back_after_the_look_is_found_at_the_soak(stage: Stage) -> None:
    """Attack: a host is looked at, seen well, and then brings the old file back."""
    observer = stage.observer()
    stage.done("web1")
    stage.watch(observer)
    assert results(stage) == [("web1", "health", "succeeded")]
    stage.tampered["web1"] = ("`usr/lib/x/libssl.so.3` of libssl3 has other bytes",)
    stage.sim.now += SOAK
    stage.watch(observer)
    assert [f["kind"] for f in stage.told("finding")] == ["files_differ"]
    assert results(stage)[-1] == ("web1", "health", "failed")
    assert stage.advances() == {}


def test_lie_about_a_part_is_found_before_the_end(stage: Stage) -> None:
    """Attack: a host says that it upgraded, and never says the last change, to stay unseen."""
    stage.say("web1", "up")
    stage.watch(stage.observer(), times=LOOKS)
    assert [f["kind"] for f in stage.told("finding")] == ["self_report_false"]
    assert results(stage) == [("web1", "up", "failed")]


def test_true_part_is_waited_for(stage: Stage) -> None:
    """A host that has upgraded and whose service is still down is not spoken of yet."""
    observer = stage.observer()
    stage.install("web1", NEW)
    stage.say("web1", "up")
    stage.sick["web1"] = "not restarted yet"
    stage.watch(observer)
    assert stage.told("observation") == stage.told("finding") == []
    stage.sick.clear()
    stage.done("web1")
    stage.watch(observer)
    assert results(stage) == [("web1", "health", "succeeded")]


def test_package_that_nobody_gives_holds_the_ring(stage: Stage) -> None:
    """What cannot be compared is no success, and no accusation either."""

    def nothing(_place: Place, _wanted: Mapping[str, str]) -> Compared:
        raise CannotRead("nobody gives it")

    stage.done("web1")
    observer = stage.observer(files=nothing)
    stage.watch(observer)
    assert observer.trouble == ["`web1`: nobody gives it"]
    assert stage.told("observation") == stage.told("finding") == []
