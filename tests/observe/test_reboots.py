"""A host that does not come back from its reboot holds its ring; one that does lets it go on."""

from pathlib import Path

import pytest

from answerable.kernel.canon import Json
from answerable.observe.look import Place, Sight, Unseen
from tests.observe.stage import NEW, Stage

SOAK = 600
LONG = 5


@pytest.fixture
def stage(tmp_path: Path) -> Stage:
    """A plan whose orders reboot their hosts before the health check; web1 has gone that far."""

    def edit(body: Json) -> None:
        boot = {"id": "boot", "type": "reboot", "caused_by": "up", "risk": "high"}
        body["changes"].insert(2, boot)

    made = Stage(tmp_path, edit=edit)
    made.install("web1", NEW)
    made.say("web1", "up", reason="reboot_required")
    made.say("web1", "restart")
    return made


@pytest.mark.parametrize("away", [False, True])
def test_no_advance_without_the_host(stage: Stage, *, away: bool) -> None:
    """Neither silence nor an answer from outside stands for the report of the reboot."""

    def look(place: Place) -> Sight:
        if away:
            raise Unseen("no route to host")
        return stage.look(place)

    both = [stage.observer(name, look=look) for name in ("o1", "o2")]
    for _ in range(LONG):
        stage.watch(*both)
        stage.sim.now += SOAK
    assert stage.advances() == {}
    order = stage.sim.order(stage.notice, "web2", stage.kept[stage.notice])
    assert getattr(stage.sim.ask(order), "reason", "") == "ring_not_open"


def test_a_host_that_is_back_lets_its_ring_advance(stage: Stage) -> None:
    """It reports the reboot and its health, and observers see both for themselves."""
    both = [stage.observer("o1"), stage.observer("o2")]
    stage.watch(*both)
    stage.say("web1", "boot", reason="rebooted")
    stage.say("web1", "health")
    stage.watch(*both)
    stage.sim.now += SOAK
    stage.watch(*both)
    assert set(stage.advances()["1"]) == {"o1", "o2"}


def test_a_failed_reboot_keeps_the_ring_shut(stage: Stage) -> None:
    """The same boot after its time, or an old kernel: the host says failed, and no ring opens."""
    observer = stage.observer()
    stage.say("web1", "boot", "failed", reason="reboot")
    for _ in range(LONG):
        stage.watch(observer)
        stage.sim.now += SOAK
    assert stage.advances() == {}
