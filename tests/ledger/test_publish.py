"""Guards that lie, sleep or are gone neither stop the log nor get anything published."""

import asyncio
from collections.abc import Callable, Coroutine
from pathlib import Path

import pytest

from answerable.kernel.charter import Charter
from answerable.kernel.checkpoint import Cosigned, cosigned
from answerable.kernel.errors import Refused
from answerable.ledger.log import Log
from answerable.ledger.publish import Publisher, Schedule
from answerable.ledger.sqlite import SqliteStore
from tests.fakes.ledger_guards import Guards
from tests.fakes.ledger_store import MemoryStore
from tests.ledger.logs import ORIGIN, clock, entry, open_log
from tests.simulator.constitution import GUARDS, charter

LAW = Charter(charter(), "ab" * 32)
QUICK = Schedule(renewal=0.05, answer=30, again=0.01, floor=0)


def story(
    play: Callable[[Log, Guards, Publisher], Coroutine[None, None, None]],
    schedule: Schedule = QUICK,
) -> None:
    """Open a log, four guards and a publisher, and play."""

    async def run() -> None:
        guards = Guards(ORIGIN)
        with open_log(MemoryStore()) as log:
            async with guards.client() as client:
                await play(log, guards, Publisher(log, lambda: LAW, client, clock, schedule))

    asyncio.run(run())


def shown(log: Log) -> Cosigned:
    """Open what readers are given."""
    return cosigned(log.published(), ORIGIN, LAW.guards["witness"], LAW.quorum)


async def until(fact: Callable[[], object]) -> None:
    """Wait for a fact."""
    async with asyncio.timeout(30):
        while not fact():  # noqa: ASYNC110  what is waited for is a fact about bytes, not a signal
            await asyncio.sleep(0.001)


def test_quorum_publishes() -> None:
    """A head that the guards cosign is given to readers with the lines of a quorum or more."""

    async def play(log: Log, guards: Guards, publisher: Publisher) -> None:
        assert log.published() == b""
        log.append([b"a"])
        assert await publisher.round()
        assert shown(log).checkpoint == log.head().checkpoint
        await until(lambda: len(shown(log).who) == len(GUARDS))
        assert {view.trouble for view in publisher.guards.values()} == {""}
        assert {guard.held for guard in guards.all.values()} == {log.head().checkpoint}

    story(play)


def test_growth_is_proven_to_each_guard() -> None:
    """Each later head comes with the proof from what the guard holds."""

    async def play(log: Log, guards: Guards, publisher: Publisher) -> None:
        for size in (1, 2, 300, 1):
            log.append([entry(n) for n in range(size)])
            assert await publisher.round()
            await until(lambda: not publisher._busy)
        assert shown(log).checkpoint.size == 304
        assert [len(guard.requests) for guard in guards.all.values()] == [4] * 4

    story(play)


def test_publisher_that_forgot_is_told_by_409() -> None:
    """After a restart the sizes that guards hold are learnt from their answers."""

    async def play(log: Log, guards: Guards, publisher: Publisher) -> None:
        log.append([b"a"] * 5)
        await publisher.round()
        await until(lambda: not publisher._busy)
        log.append([b"b"] * 5)
        async with guards.client() as client:
            assert await Publisher(log, lambda: LAW, client, clock, QUICK).round()
        assert shown(log).checkpoint.size == 10

    story(play)


@pytest.mark.parametrize("mood", ["down", "refuses", "liar", "half", "flood"])
def test_one_bad_guard_holds_up_nobody(mood: str) -> None:
    """With one guard down or wrong a quorum publishes, and the trouble is named."""

    async def play(log: Log, guards: Guards, publisher: Publisher) -> None:
        guards.moods(mood, ["g2"])
        log.append([b"a"])
        assert await publisher.round()
        await until(lambda: not publisher._busy)
        assert shown(log).who == {"g1", "g3", "g4"}
        assert publisher.guards["g2"].trouble

    story(play)


@pytest.mark.parametrize("mood", ["down", "refuses", "liar", "half", "flood"])
def test_without_a_quorum_the_older_stays(mood: str) -> None:
    """Two bad guards of four: readers keep the older checkpoint, and appending goes on."""

    async def play(log: Log, guards: Guards, publisher: Publisher) -> None:
        log.append([b"a"])
        await publisher.round()
        await until(lambda: not publisher._busy)
        older = log.published()
        guards.moods(mood, ["g2", "g3"])
        log.append([b"b"])
        assert not await publisher.round()
        assert log.published() == older
        assert log.append([b"c"]) == 2
        guards.moods("good", GUARDS)
        assert await publisher.round()
        assert shown(log).checkpoint.size == 3

    story(play)


def test_stuck_guard_is_left_behind() -> None:
    """Rounds go on while one guard hangs; it catches up when it answers."""

    async def play(log: Log, guards: Guards, publisher: Publisher) -> None:
        guards.moods("stuck", ["g4"])
        task = asyncio.create_task(publisher.run())
        for _ in range(5):
            log.append([b"a"])
            await until(lambda: log.published() and shown(log).checkpoint == log.head().checkpoint)
        assert len(guards.all["g4"].requests) == 1
        guards.all["g4"].released.set()
        await until(lambda: "g4" in shown(log).who)
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)

    story(play)


def test_idle_heads_are_renewed() -> None:
    """When nothing is appended, cosignatures become newer all the same."""

    async def play(log: Log, guards: Guards, publisher: Publisher) -> None:
        task = asyncio.create_task(publisher.run())
        await until(log.published)
        before = shown(log).past
        guards.time += 60
        await until(lambda: shown(log).past == before + 60)
        assert shown(log).checkpoint.size == 0
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)

    story(play)


def test_log_that_went_back_is_noticed() -> None:
    """A log restored from an old copy publishes nothing, and says who holds more than it has."""

    async def play(log: Log, guards: Guards, publisher: Publisher) -> None:
        with open_log(MemoryStore()) as ahead:
            ahead.append([b"a"] * 9)
            async with guards.client() as client:
                first = Publisher(ahead, lambda: LAW, client, clock, QUICK)
                assert await first.round()
                await until(lambda: not first._busy)
        log.append([b"a"] * 4)
        assert not await publisher.round()
        assert log.published() == b""
        assert "did it go back" in publisher.guards["g1"].trouble

    story(play)


def test_forked_log_is_noticed() -> None:
    """A log with another history gets no cosignature, and publishes nothing."""

    async def play(log: Log, guards: Guards, publisher: Publisher) -> None:
        with open_log(MemoryStore()) as other:
            other.append([b"other"])
            async with guards.client() as client:
                first = Publisher(other, lambda: LAW, client, clock, QUICK)
                assert await first.round()
                await until(lambda: not first._busy)
        log.append([b"a", b"b"])
        assert not await publisher.round()
        assert "422" in publisher.guards["g1"].trouble

    story(play)


def test_without_a_charter_nothing_is_published() -> None:
    """Before the first charter there are no guards to ask."""

    async def play(log: Log, guards: Guards, _: Publisher) -> None:
        async with guards.client() as client:
            assert not await Publisher(log, lambda: None, client, clock, QUICK).round()

    story(play)


def test_published_survives_a_restart(tmp_path: Path) -> None:
    """Readers are given the same cosigned checkpoint after a restart, before any guard answers."""

    async def run() -> bytes:
        guards, store = Guards(ORIGIN), SqliteStore(tmp_path / "log.db")
        with open_log(store) as log:
            log.append([b"a"])
            async with guards.client() as client:
                publisher = Publisher(log, lambda: LAW, client, clock, QUICK)
                assert await publisher.round()
                await until(lambda: not publisher._busy)
            note = log.published()
        store.close()
        return note

    note = asyncio.run(run())
    store = SqliteStore(tmp_path / "log.db")
    with open_log(store) as log:
        assert log.published() == note
    store.close()


def test_no_quorum_is_what_the_kernel_says() -> None:
    """The quorum that is counted here is the one that hosts will count."""
    with open_log(MemoryStore()) as log, pytest.raises(Refused):
        cosigned(log.head().note, ORIGIN, LAW.guards["witness"], LAW.quorum)
