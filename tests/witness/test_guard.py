"""A guard keeps its roles apart, and goes on whatever is broken around it."""

from pathlib import Path

import pytest

from answerable.kernel.errors import Refused
from answerable.witness.guard import Guard, World, fleet_of
from answerable.witness.post import Peer
from answerable.witness.wire import GuardUnavailable, Settings
from tests.fakes.guards import Town, keys_of


@pytest.fixture
def town(tmp_path: Path) -> Town:
    """A fleet whose first guard has cosigned the log so far."""
    town = Town(tmp_path)
    assert town.offer(town.guard()).status == 200
    return town


def test_each_role_has_its_own_key() -> None:
    """Nothing that one role signed can pass for another's."""
    keys = keys_of("g1")
    public = [s.key.public for s in (*keys.witness, *keys.post, keys.herald)]
    assert len(set(public)) == 5


def test_fleet_is_the_first_charter_s_text(town: Town) -> None:
    """The fleet's id follows from charter 1 alone, as the kernel says."""
    assert fleet_of(town.sim.history[0][1]) == town.sim.fleet


def test_other_charter_founds_no_guard(town: Town) -> None:
    """A guard starts only with a charter that its own people signed."""
    world = World({}, _nobody, lambda: town.sim.now)
    for charter in (b"", b"x\n\ny", town.authority.entries[1]):
        with pytest.raises(Refused):
            Guard(town.folder / "other" / "guard.db", "g1", charter, keys_of("g1"), world)


def _nobody(url: str) -> Peer:
    raise GuardUnavailable(f"`{url}` is away")


def test_chores_go_on_when_everything_is_away(town: Town) -> None:
    """Log silent, guards away: findings, no exception, and what is held stays held."""
    guard = town.guards["g1"]
    town.report.entries.append(b"x")
    assert town.offer(guard, town.report).status == 200
    town.authority.silent = town.report.silent = True
    town.away = {"g2", "g3", "g4"}
    guard.veto(town.veto())
    for _ in range(3):
        guard.chores()
        town.sim.now += 10
    assert "unavailable" in {finding.reason for _, finding in guard.store.findings()}
    assert guard.follower.overdue(town.sim.now + 60)


def test_chores_report_a_log_that_serves_other_records(town: Town) -> None:
    """What the mirror finds out is a finding, and is not served."""
    guard = town.guards["g1"]
    town.report.entries += [b"a", b"b"]
    assert town.offer(guard, town.report).status == 200
    town.report.entries[1] = b"c"
    guard.chores()
    assert [finding.reason for _, finding in guard.store.findings()] == ["split_view"]
    assert guard.mirror.checkpoint(town.report.origin) is None


def test_clock_set_back_does_not_stop_the_chores(town: Town) -> None:
    """A clock that jumps back by a year does not put renewal off by a year."""
    guard, origin = town.guards["g1"], town.sim.origin
    guard.chores()
    town.sim.now -= 365 * 86_400
    before = guard.witness.checkpoint(origin)
    guard.chores()
    assert guard.witness.checkpoint(origin) != before


def test_guard_that_is_killed_between_keeping_and_folding_catches_up(
    town: Town, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Records that were kept but not folded are folded on restart, before anything is said."""
    guard = town.guards["g1"]
    town.say(town.sim.write("seen", {"notice": "ab" * 32}, "lee"))
    monkeypatch.setattr(guard.follower, "fold", lambda _: None)
    assert town.offer(guard).status == 200
    again = town.guard()
    assert again.follower.look(lambda s: s.tree.size) == len(town.authority.entries)
    root = again.follower.look(lambda s: s.tree.root())
    assert root == town.authority.tree.root()


def test_settings_have_the_protocol_s_defaults() -> None:
    """A minute of hold, a minute between renewals."""
    assert (Settings().veto_hold, Settings().renew) == (60, 60)
