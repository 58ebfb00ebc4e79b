"""Asking the guards: all at once, and nobody holds the others up."""

import threading
import time
from collections.abc import Callable

from answerable.host.log.fresh import Guards
from answerable.host.network.client import Client
from answerable.kernel.errors import Refused
from answerable.kernel.fresh import Freshness, read_head
from tests.fakes.host_world import HostWorld
from tests.host.conftest import Site
from tests.simulator import GUARDS
from tests.simulator.keys import signer


def ask(world: HostWorld, enough: Callable[[Freshness], bool], consumed: str = "") -> Freshness:
    """Ask the world's guards as its host."""
    urls = {guard: f"{world.url}/{guard}" for guard in GUARDS}
    guards = Guards(Client(), world.sim.boot, lambda: "ab" * 16)
    return guards.ask(urls, world.enrolled(), consumed, enough)


def whole(world: HostWorld) -> Callable[[Freshness], bool]:
    """Tell whether the kernel counts a quorum."""

    def enough(fresh: Freshness) -> bool:
        try:
            read_head(fresh, world.sim.state, signer("web1").key, world.sim.boot())
        except Refused:
            return False
        return True

    return enough


def test_a_guard_that_does_not_know_the_host_is_told(site: Site) -> None:
    """The record goes along once; later questions are short."""
    assert len(ask(site.world, lambda _: False).replies) == 4
    count = len(site.world.asked)
    assert count == 8
    ask(site.world, lambda _: False)
    assert len(site.world.asked) - count == 4


def test_a_silent_guard_does_not_hold_up_a_quorum(site: Site) -> None:
    """Three answers are enough while the fourth says nothing."""
    release = threading.Event()
    real = site.world.answer

    def answer(method: str, target: str, body: bytes) -> tuple[int, bytes]:
        if target.startswith("/g2/"):
            release.wait(30)
        return real(method, target, body)

    site.world.answer = answer  # type: ignore[method-assign]
    begun = time.monotonic()
    fresh = ask(site.world, whole(site.world))
    assert time.monotonic() - begun < 4, "well before the silent guard's time is over"
    assert len(fresh.replies) == 3
    release.set()


def test_garbage_does_not_count_as_an_answer(site: Site) -> None:
    """A liar that answers first and nonsense does not end the asking."""
    site.world.instead["/g1/fresh"] = b"x" * 1000
    fresh = ask(site.world, whole(site.world))
    assert whole(site.world)(fresh)


def test_an_oversized_answer_is_none(site: Site) -> None:
    """64 KiB is the most of a reply."""
    site.world.instead["/g1/fresh"] = b"x" * 70_000
    assert len(ask(site.world, lambda _: False).replies) == 3
