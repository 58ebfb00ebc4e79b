"""An observer believes a plan only if it is byte by byte the one that was noticed."""

from hashlib import sha256
from pathlib import Path

import httpx
import pytest

from answerable.kernel.canon import decode, encode
from answerable.kernel.errors import Refused
from answerable.observe.plans import PlanWithheld, fetch, read_plan
from tests.observe.stage import Stage


@pytest.fixture
def stage(tmp_path: Path) -> Stage:
    """A noticed plan."""
    return Stage(tmp_path)


def test_plan_of_the_notice_is_read(stage: Stage) -> None:
    """Every order comes with its ring."""
    notice = stage.sim.state.notices[stage.notice]["body"]
    found = read_plan(notice, stage.plans[notice["plan"]])
    assert [(one.ring, one.order["host"]) for one in found][:3] == [
        (0, "web1"), (1, "web2"), (1, "api1"),
    ]  # fmt: skip


def test_other_plan_is_refused(stage: Stage) -> None:
    """Attack: a plan with an order moved to the first ring, under a digest that fits or not."""
    notice = stage.sim.state.notices[stage.notice]["body"]
    body = decode(stage.plans[notice["plan"]], 1 << 20)
    body["rings"] = [body["rings"][0] + body["rings"][1], *body["rings"][1:]]
    data = encode(body).encode()
    with pytest.raises(Refused, match="not_in_ring"):
        read_plan(notice, data)
    with pytest.raises(Refused, match="ring 0"):
        read_plan({**notice, "plan": sha256(data).hexdigest()}, data)


def test_any_page_will_do(stage: Stage) -> None:
    """A control plane that lies or is silent is passed over for a guard that has the plan."""
    notice = stage.sim.state.notices[stage.notice]["body"]
    pages = {"/lie": b"{}", "/good": stage.plans[notice["plan"]]}

    def answer(request: httpx.Request) -> httpx.Response:
        data = pages.get(request.url.path)
        return httpx.Response(200 if data else 404, content=iter([data or b""]))

    client = httpx.Client(transport=httpx.MockTransport(answer))
    urls = [f"http://x/{name}" for name in ("none", "lie", "good")]
    assert len(fetch(client, urls, notice)) == 5
    with pytest.raises(PlanWithheld, match="withheld"):
        fetch(client, urls[:2], notice)
