"""A reboot is asked for once, proved by another boot, and reported once."""

from dataclasses import dataclass, field
from pathlib import Path

import pytest

from answerable.changes.build import Services
from answerable.host.actions.act import Tools
from answerable.host.actions.reboot import RETURN_SECONDS, Machine, newer_kernel
from answerable.host.agent import Agent
from answerable.host.services.service import ServiceFailed
from answerable.host.services.stale import Need
from answerable.kernel.canon import Json
from tests.changes.planning import plan
from tests.host.conftest import Site
from tests.host.test_agent import DONE, begun

ONE, OTHER = "11111111-0000-4000-8000-000000000000", "22222222-0000-4000-8000-000000000000"
OLD, NEW = "6.1.0-37-amd64", "6.1.0-40-amd64"
BOOT: Json = {"id": "boot", "type": "reboot", "caused_by": "up", "risk": "high"}
BEFORE = DONE[:2]
GOING = ("boot", "waiting", "rebooting")


@dataclass
class Box:
    """A machine as files, and how often its reboot was asked for."""

    root: Path
    now: float = 1000.0
    asked: list[str] = field(default_factory=list)
    broken: str = ""

    def boots(self, boot: str, kernel: str = OLD, first: int = 2) -> None:
        """Come up: another boot id, /run empty."""
        random = self.root / "proc/sys/kernel/random"
        random.mkdir(parents=True, exist_ok=True)
        (random / "boot_id").write_text(f"{boot}\n")
        (self.root / "proc/1").mkdir(exist_ok=True)
        (self.root / "proc/1/stat").write_text(f"1 (systemd) S {'0 ' * 18}{first} 0\n")
        (random.parent / "osrelease").write_text(f"{kernel}\n")
        for left in (self.root / "run").glob("*"):
            left.unlink()

    def ask(self) -> None:
        """Be asked for a reboot, which takes its time."""
        if self.broken:
            raise ServiceFailed(self.broken)
        self.asked.append((self.root / "proc/sys/kernel/random/boot_id").read_text().strip())

    def machine(self, note: Path) -> Machine:
        """Give the port, its note beside an agent's own files."""
        return Machine(note, lambda: self.now, self.ask, self.root)


@pytest.fixture
def box(tmp_path: Path) -> Box:
    """A machine that is up."""
    made = Box(tmp_path / "box")
    for folder in ("run", "boot"):
        (made.root / folder).mkdir(parents=True)
    made.boots(ONE)
    return made


@pytest.fixture
def order(site: Site) -> str:
    """An upgrade, a restart, a reboot, a health check; give its bundle."""

    def edit(body: Json) -> None:
        assert [c["type"] for c in body["changes"]] == ["upgrade", "restart", "health"]
        body["changes"].insert(2, BOOT)

    return site.world.hand_out(site.world.sim.permitted(edit=edit))


def agent(site: Site, box: Box) -> Agent:
    """Start the agent anew."""
    machine = box.machine(site.place / "reboot.json")
    tools = Tools(site.driver, site.services, site.checks, machine=machine)
    return site.home().agent(tools, 1)


def look(agent: Agent) -> list[tuple[str, str, str]]:
    """Make one pass."""
    return [(row.about.change, row.state, row.reason) for row in agent.look()]


def test_a_reboot_is_reported_by_the_agent_that_comes_back(
    site: Site, box: Box, order: str
) -> None:
    """Asked for once; another boot id is the proof; health follows; a third start says nothing."""
    first = agent(site, box)
    assert look(first) == [*BEFORE, GOING]
    assert look(first) == [GOING]
    assert box.asked == [ONE]
    assert site.world.said() == BEFORE
    box.boots(OTHER)
    done = [("boot", "succeeded", "rebooted"), DONE[2]]
    assert look(agent(site, box)) == done
    assert look(agent(site, box)) == []
    assert site.world.said() == [*BEFORE, *done]
    assert box.asked == [ONE]
    assert len(begun(site)) == 4


def test_what_a_planner_orders_is_done(site: Site, box: Box) -> None:
    """Its restart, its reboot and its check, behind an upgrade, by two agents in turn."""
    made = plan(services=Services(("nginx",), ("nginx",), "always"))
    planned = [c for c in made.orders[0][0]["changes"] if c["type"] not in ("snapshot", "upgrade")]

    def edit(body: Json) -> None:
        body["changes"][1:] = planned

    site.world.hand_out(site.world.sim.permitted(edit=edit))
    restart, boot, health = (change["id"] for change in planned)
    before = [BEFORE[0], (restart, *BEFORE[1][1:])]
    assert look(agent(site, box)) == [*before, (boot, "waiting", "rebooting")]
    box.boots(OTHER)
    assert look(agent(site, box)) == [(boot, "succeeded", "rebooted"), (health, *DONE[2][1:])]


def test_a_container_that_reboots_keeps_its_kernels_boot_id(box: Box, tmp_path: Path) -> None:
    """Its first process is another one."""
    machine = box.machine(tmp_path / "note")
    machine.leave("a")
    left = machine.left("a")
    assert left is not None
    assert machine.back(left) is None
    box.boots(ONE, first=70_000)
    done = machine.back(left)
    assert done is not None
    assert (done.result, done.reason) == ("succeeded", "rebooted")
    assert done.detail.startswith(f"boot `{ONE}/70000` after `{ONE}/2`")


def test_an_agent_restarted_before_the_machine_goes_down_asks_nobody_again(
    site: Site, box: Box, order: str
) -> None:
    """The note stands on disk before the reboot is asked for."""
    assert look(agent(site, box)) == [*BEFORE, GOING]
    assert look(agent(site, box)) == [GOING]
    assert box.asked == [ONE]


def test_killed_before_the_note_it_is_permitted_and_asked_for_anew(
    site: Site, box: Box, order: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An action begun and never acted on goes on, after the kernel was asked once more."""

    def killed(_: Machine, __: str) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(Machine, "leave", killed)
        with pytest.raises(KeyboardInterrupt):
            look(agent(site, box))
    assert len(begun(site)) == 3
    assert look(agent(site, box)) == [GOING]
    assert (box.asked, len(begun(site))) == ([ONE], 3)


def test_an_agent_that_is_restarted_itself_goes_on(site: Site, box: Box) -> None:
    """The action stays begun, is done by the agent that starts then, and is reported once."""
    site.world.hand_out(site.world.sim.permitted())
    site.services.need = Need({"nginx": "/usr/lib/libssl.so.3"}, own="nginx")
    first = agent(site, box)
    assert look(first) == []
    assert ["is being restarted" in words for words in first.trouble] == [True]
    assert site.world.said() == DONE[:1]
    site.services.need = Need({}, own="nginx")
    done = [("restart", "succeeded", "not_needed"), DONE[2]]
    assert look(agent(site, box)) == done
    assert site.world.said() == [DONE[0], *done]
    assert (site.services.restarted, len(begun(site))) == (["nginx.service"], 3)


def test_a_machine_that_does_not_go_down_has_failed(site: Site, box: Box, order: str) -> None:
    """After its time in the same boot, without being asked again."""
    assert look(agent(site, box)) == [*BEFORE, GOING]
    box.now += RETURN_SECONDS + 1
    rows = look(agent(site, box))
    assert rows[0] == ("boot", "failed", "reboot")
    assert "health" not in [row[0] for row in rows]
    assert box.asked == [ONE]


def test_a_service_tool_that_refuses_is_a_failure(site: Site, box: Box, order: str) -> None:
    """And nothing is left that could be taken for a reboot later."""
    box.broken = "inhibited"
    assert look(agent(site, box))[2] == ("boot", "failed", "reboot")
    assert not (site.place / "reboot.json").exists()


def test_a_host_back_with_its_old_kernel_has_failed(site: Site, box: Box, order: str) -> None:
    """Coming back is not enough: what the reboot was for must be so."""
    for name in (OLD, NEW):
        (box.root / f"boot/vmlinuz-{name}").touch()
    assert GOING in look(agent(site, box))
    box.boots(OTHER, OLD)
    assert look(agent(site, box))[0] == ("boot", "failed", "reboot")


def test_a_host_back_with_its_new_kernel_has_succeeded(site: Site, box: Box, order: str) -> None:
    """The marker went with /run."""
    (box.root / "run/reboot-required").touch()
    for name in (OLD, NEW):
        (box.root / f"boot/vmlinuz-{name}").touch()
    assert GOING in look(agent(site, box))
    box.boots(OTHER, NEW)
    assert look(agent(site, box))[0] == ("boot", "succeeded", "rebooted")


def test_restarts_come_before_a_reboot(site: Site, box: Box) -> None:
    """An order that would go on changing a host after its reboot is never begun."""

    def edit(body: Json) -> None:
        body["changes"].insert(0, BOOT)

    site.world.hand_out(site.world.sim.permitted(change="boot", edit=edit))
    assert look(agent(site, box))[0] == ("boot", "refused", "action_not_allowed")
    assert (box.asked, begun(site)) == ([], [])


def test_an_upgrade_that_needs_a_reboot_says_so(site: Site, box: Box) -> None:
    """The change is installed, and in effect only later."""
    (box.root / "run/reboot-required").touch()
    (box.root / "run/reboot-required.pkgs").write_text("libssl3\nlinux-image\nlibssl3\n")
    site.world.hand_out(site.world.sim.permitted())
    rows = agent(site, box).look()
    assert (rows[0].state, rows[0].reason) == ("succeeded", "reboot_required")
    assert "libssl3, linux-image" in rows[0].detail


@pytest.mark.parametrize(
    ("runs", "installed", "newest"),
    [
        (OLD, [OLD, NEW], NEW),
        (OLD, ["6.1.0-9-amd64", OLD], OLD),
        (OLD, [NEW], OLD),
        ("6.18.44-fc", [], "6.18.44-fc"),
        (OLD, [OLD, "6.12.0-1-rt-amd64"], OLD),
        ("5.15.0-91-generic", ["5.15.0-91-generic", "5.15.0-100-generic", "6.8.0-1-aws"],
         "5.15.0-100-generic"),
        ("5.14.0-70.13.1.el9_0.x86_64", ["5.14.0-70.13.1.el9_0.x86_64", "0-rescue-0a1b",
         "5.14.0-427.el9.x86_64"], "5.14.0-427.el9.x86_64"),
        ("6.1.0-rc7-amd64", ["6.1.0-rc7-amd64", "6.1.0-1-amd64"], "6.1.0-1-amd64"),
        (OLD, [OLD, f"{OLD}.old", "no version", "é"], OLD),
    ],
)  # fmt: skip
def test_the_newest_kernel_of_its_kind(runs: str, installed: list[str], newest: str) -> None:
    """A foreign kernel, as in containers, says nothing; other flavours do not count."""
    assert newer_kernel(runs, installed) == newest


def test_a_note_of_another_reboot_is_none(box: Box, tmp_path: Path) -> None:
    """Each reboot has its own name."""
    machine = box.machine(tmp_path / "note")
    machine.leave("a")
    assert machine.left("b") is None
    (tmp_path / "note").write_text("{}")
    assert machine.left("a") is None
