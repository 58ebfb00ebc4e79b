"""A plan is fetched whole, within bounds, or it is withheld."""

from collections.abc import Callable
from pathlib import Path

import httpx
import pytest

from answerable.notice import http_plans
from answerable.notice.http_plans import HttpPlans
from answerable.notice.register import HeraldUnavailable, Register
from tests.notice.parish import Parish, details

Handler = Callable[[httpx.Request], httpx.Response]


def plans(handler: Handler) -> HttpPlans:
    """Give a control plane that answers so."""
    return HttpPlans(httpx.Client(transport=httpx.MockTransport(handler)), "http://control")


def away(_: httpx.Request) -> httpx.Response:
    """Be away."""
    raise httpx.ReadTimeout("slow")


def says(status: int, *parts: bytes) -> Handler:
    """Answer always the same."""
    return lambda _: httpx.Response(status, content=iter(parts))


def test_plan_is_asked_for_by_its_digest() -> None:
    """The address is the digest, and the bytes come as they are."""
    asked = []

    def answer(request: httpx.Request) -> httpx.Response:
        asked.append(request.url.path)
        return httpx.Response(200, content=iter([b"{", b"}"]))

    assert plans(answer).get("ab" * 32) == b"{}"
    assert asked == ["/plans/" + "ab" * 32]


@pytest.mark.parametrize("handler", [away, says(404), says(500), says(302), says(200, b"x" * 101)])
def test_anything_else_is_withheld(monkeypatch: pytest.MonkeyPatch, handler: Handler) -> None:
    """Away, absent, elsewhere or too large: the herald has no plan."""
    monkeypatch.setattr(http_plans, "PLAN", 100)
    with pytest.raises(HeraldUnavailable):
        plans(handler).get("ab" * 32)


def test_herald_with_a_real_client_finds_a_withheld_plan(tmp_path: Path) -> None:
    """The finding names the address that gave nothing."""
    parish = Parish(tmp_path)
    parish.notice()
    parish.get = plans(says(404)).get  # type: ignore[method-assign]
    herald = parish.herald()
    herald.tick()
    assert "/plans/" in details(herald)
    assert parish.told() == set()


def test_register_is_private_and_says_when_it_is_broken(tmp_path: Path) -> None:
    """The database is the operator's own; a broken one stops the herald with one line."""
    Register(tmp_path / "deep" / "herald.db").close()
    assert (tmp_path / "deep" / "herald.db").stat().st_mode & 0o777 == 0o600
    (tmp_path / "bad.db").write_bytes(b"not a database" * 100)
    with pytest.raises(HeraldUnavailable):
        Register(tmp_path / "bad.db")
    closed = Register(tmp_path / "deep" / "herald.db")
    closed.close()
    with pytest.raises(HeraldUnavailable):
        closed.next_number()
