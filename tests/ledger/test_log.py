"""A log tells nobody of what is not durable, signs one history, and stops rather than guess."""

import threading
from concurrent.futures import Future, ThreadPoolExecutor, wait
from pathlib import Path

import pytest

from answerable.kernel.errors import Unavailable
from answerable.kernel.merkle import EMPTY, Tree, leaf_hash
from answerable.kernel.note import ED25519
from answerable.ledger.heads import open_head, sign_head
from answerable.ledger.log import LedgerBusy, Log, Pace
from answerable.ledger.sqlite import SqliteStore
from answerable.ledger.store import Commit, LedgerDamaged, LedgerUnavailable, Stored
from tests.fakes.ledger_store import MemoryStore
from tests.ledger.logs import KEYS, ORIGIN, SIGNERS, TIME, clock, entry, fill, open_log
from tests.simulator.keys import pair


def root_of(entries: list[bytes]) -> bytes:
    """Give the RFC 6962 root of entries."""
    return Tree(map(leaf_hash, entries)).root()


def test_empty_log_signs_the_empty_tree() -> None:
    """A log that has nothing says so with both signatures."""
    with open_log(MemoryStore()) as log:
        head = open_head(log.head().note, ORIGIN, KEYS)
    assert (head.size, head.root) == (0, EMPTY)


def test_each_caller_learns_where_its_entries_are() -> None:
    """Indexes are handed out in the order of submission, and the head covers them."""
    store = MemoryStore()
    with open_log(store) as log:
        first, second = log.submit([b"a", b"b"]), log.submit([b"c"])
        assert (first.result(), second.result(), log.append([b"d", b"e"])) == (0, 2, 3)
        assert store.entries(0, 5) == [b"a", b"b", b"c", b"d", b"e"]
        head = open_head(log.head().note, ORIGIN, KEYS)
    assert (head.size, head.root) == (5, root_of([b"a", b"b", b"c", b"d", b"e"]))


def test_many_submitters_at_once(tmp_path: Path) -> None:
    """Entries of one submission stay together, none is lost, and the tree is the entries'."""
    store = SqliteStore(tmp_path / "log.db")
    with open_log(store) as log, ThreadPoolExecutor(16) as pool:

        def submit(who: int) -> tuple[int, list[bytes]]:
            mine = [b"%d/%d" % (who, n) for n in range(1 + who % 7)]
            return log.append(mine), mine

        for index, mine in pool.map(submit, range(300)):
            assert store.entries(index, index + len(mine)) == mine
        head = open_head(log.head().note, ORIGIN, KEYS)
    assert head.size == sum(1 + who % 7 for who in range(300))
    assert head.root == root_of(store.entries(0, head.size))
    store.close()


def test_what_waits_is_committed_together() -> None:
    """While a commit is written, what comes in waits and goes into few commits after it."""
    sizes: list[int] = []
    gate = threading.Event()

    def before(commit: Commit) -> None:
        if commit.entries:
            gate.wait()
            sizes.append(len(commit.entries))

    with open_log(MemoryStore(before), Pace(entries=50)) as log:
        futures = [log.submit([entry(n)]) for n in range(120)]
        gate.set()
        assert [f.result() for f in futures] == list(range(120))
    assert len(sizes) <= 5
    assert max(sizes) <= 50


def test_nothing_is_told_before_it_is_durable() -> None:
    """While the store writes, there is no index, no new head, and no woken reader."""
    writing, go, woken = threading.Event(), threading.Event(), threading.Event()

    def before(commit: Commit) -> None:
        if commit.entries:
            writing.set()
            go.wait()

    with open_log(MemoryStore(before)) as log:
        log.watch(woken.set)
        index = log.submit([b"a"])
        writing.wait()
        assert (index.done(), log.head().checkpoint.size, woken.is_set()) == (False, 0, False)
        go.set()
        assert index.result() == 0
        assert woken.wait(10)
        assert log.head().checkpoint.size == 1


def test_failed_write_stops_the_log_for_good() -> None:
    """After a failed write nobody is told a later index, and the head stays at what is durable."""
    fail = threading.Event()

    def before(commit: Commit) -> None:
        if fail.is_set():
            raise LedgerUnavailable("disk full")

    log = open_log(MemoryStore(before))
    assert log.append([b"a"]) == 0
    fail.set()
    futures = [log.submit([b"b"])]
    wait(futures)
    with pytest.raises(LedgerUnavailable, match="has stopped: disk full"):
        futures[0].result()
    fail.clear()
    with pytest.raises(LedgerUnavailable, match="disk full"):
        log.submit([b"c"])
    assert log.failure() is not None
    assert log.head().checkpoint.size == 1
    log.close()


def test_everybody_in_the_queue_is_told_of_a_failure() -> None:
    """Batches sealed or waiting behind the one that failed fail as well, none hangs."""
    go, fail = threading.Event(), threading.Event()

    def before(commit: Commit) -> None:
        if commit.entries:
            go.wait()
            raise OSError("cable")

    log = open_log(MemoryStore(before), Pace(entries=1))
    futures = [log.submit([entry(n)]) for n in range(9)]
    go.set()
    assert all(isinstance(f.exception(), Unavailable) for f in futures)
    assert not fail.is_set()
    log.close()


def test_more_than_may_wait_is_turned_away() -> None:
    """A flood is told to come back, in entries and in bytes; what was taken is written."""
    go = threading.Event()
    store = MemoryStore(lambda commit: go.wait() if commit.entries else None)
    log = open_log(store, Pace(entries=4, waiting=8, waiting_size=100))
    taken: list[Future[int]] = []

    def flood() -> None:
        taken.extend(log.submit([entry(n)]) for n in range(1_000))

    with pytest.raises(LedgerBusy):
        flood()
    with pytest.raises(LedgerBusy):
        log.submit([b"x" * 101])
    go.set()
    assert [f.result() for f in taken] == list(range(len(taken)))
    assert log.append([b"after"]) == len(taken)
    log.close()


def test_closing_writes_what_waits() -> None:
    """Nothing that was taken is dropped when the log is closed, and nothing more is taken."""
    log = open_log(MemoryStore(), Pace(entries=1))
    futures = [log.submit([entry(n)]) for n in range(20)]
    log.close()
    assert [f.result() for f in futures] == list(range(20))
    with pytest.raises(LedgerUnavailable):
        log.submit([b"late"])


def test_opened_again_it_goes_on(tmp_path: Path) -> None:
    """A log that is opened again appends after what it had."""
    store = SqliteStore(tmp_path / "log.db")
    fill(store, 700)
    with open_log(store) as log:
        assert log.append([entry(700)]) == 700
        head = open_head(log.head().note, ORIGIN, KEYS)
    assert head.root == root_of([entry(n) for n in range(701)])
    store.close()


def test_changed_tiles_are_not_signed_over() -> None:
    """A log whose tiles were changed on disk signs nothing that contradicts its own head."""
    store = MemoryStore()
    fill(store, 300)
    store._tiles[0, 1] = bytes(32) + store._tiles[0, 1][32:]
    with pytest.raises(LedgerDamaged):
        open_log(store)


def test_another_logs_head_is_not_taken_over() -> None:
    """A store of another log, or one whose head somebody else signed, is not continued."""
    store = MemoryStore()
    fill(store, 3)
    with pytest.raises(LedgerDamaged, match="not this log's"):
        Log(store, "log.example/report", pair("log.example/report", ED25519), clock)
    forged = pair(ORIGIN, ED25519, 2)
    with open_log(store) as log:
        checkpoint = log.head().checkpoint
    store._head = Stored(3, checkpoint.root, sign_head(checkpoint, TIME, forged))
    with pytest.raises(LedgerDamaged, match="not this log's"):
        open_log(store)
    half = sign_head(checkpoint, TIME, SIGNERS).rpartition(b"\xe2\x80\x94")[0]
    store._head = Stored(3, checkpoint.root, half)
    with pytest.raises(LedgerDamaged, match="Ed25519 and ML-DSA-44"):
        open_log(store)


def test_published_is_never_ahead_of_durable() -> None:
    """A checkpoint of more than is durable cannot be published; the last one survives."""
    store = MemoryStore()
    with open_log(store) as log:
        log.append([b"a"])
        head = log.head()
        with pytest.raises(AssertionError):
            log.publish(b"note", head.checkpoint._replace(size=2))
        log.publish(head.note, head.checkpoint)
    with open_log(store) as log:
        assert log.published() == head.note


def test_watchers_end() -> None:
    """A reader that left is not woken any more."""
    heard: list[str] = []
    with open_log(MemoryStore()) as log:
        end = log.watch(lambda: heard.append("first"))
        log.watch(lambda: heard.append("second"))
        log.append([b"a"])
        end()
        end()
        log.append([b"b"])
    assert heard == ["first", "second", "second"]
