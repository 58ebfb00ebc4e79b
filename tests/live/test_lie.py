"""A host that lies with its own key: real processes, and the time until observers say so."""

from collections.abc import Callable, Iterator

import pytest

from answerable.demo import ground
from answerable.demo.apphosts import RELEASES
from answerable.demo.scenes import caught, founding, patching
from answerable.demo.scenes.cast import CONTROL, Cast
from answerable.demo.scenes.hosts import Agents
from answerable.demo.scenes.stage import Stage
from answerable.demo.scenes.tell import Teller
from answerable.demo.story import spectate
from tests.live.wheels import emptied

pytestmark = [pytest.mark.live, pytest.mark.needs("ssh-keygen")]
HOSTS = (*caught.WEB, "api1")


@pytest.fixture
def stage() -> Iterator[Stage]:
    """Found a fleet of application hosts whose updates are matched."""
    tell, directory = Teller(), emptied("lie")
    laid = ground.lay_application(directory, HOSTS, "a test asks for them", tell.line)
    try:
        cast = Cast(directory, laid, tell)
        agents = Agents(cast)
        cast.prepare()
        founding.play(cast, agents, directory / "cache")
        made = Stage(cast, agents, spectate(cast))
        patching.learn(made)
        laid.start_services()
        yield made
    finally:
        laid.hosts.down()


def test_forged_success_is_found(
    stage: Stage, record_property: Callable[[str, object], None]
) -> None:
    """Two observers contradict the host, nothing of it counts, and the next ring stays shut."""
    caught.play(stage, [release.package for release in RELEASES])
    found = [row["body"] for row in stage.watch.all("finding")]
    assert {body["kind"] for body in found} == {"self_report_false"}
    (report,) = [
        row["body"] for row in stage.watch.all("report", host=caught.WEB[0], type="upgrade")
        if row["body"]["result"] == "succeeded"
    ]  # fmt: skip
    late = [body["time"] - report["ended"] for body in found]
    record_property("told", f"found {late} s after the report; an idle machine's are below 60")
    assert not stage.watch.all("observation", host=caught.WEB[0], result="succeeded")
    listed = stage.cast.run(CONTROL, "rollout", "list", stage.cast.place(CONTROL), show=False)
    assert "succeeded" not in listed.out
