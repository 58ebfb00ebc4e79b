"""add-checkpoint is what c2sp.org/tlog-witness says, and no race rolls a log back."""

import base64
import os
import random
import threading
from pathlib import Path
from struct import pack

import pytest

from answerable.kernel.checkpoint import Checkpoint, check_cosignature, cosigned, parse_checkpoint
from answerable.kernel.merkle import EMPTY
from answerable.kernel.note import ED25519, Note
from answerable.keys.sign import signature_line
from answerable.witness.follower import Step
from answerable.witness.log import Log
from answerable.witness.wire import SIZE, Answer
from tests.fakes.guards import Town
from tests.fakes.tiled_log import TiledLog, body
from tests.simulator.keys import pair


@pytest.fixture
def town(tmp_path: Path) -> Town:
    """A fleet whose report log holds ten records."""
    town = Town(tmp_path)
    town.report.entries += [b"report %d" % n for n in range(10)]
    return town


def lines_hold(town: Town, log: TiledLog, answer: Answer, guard: str = "g1") -> bool:
    """Tell whether an answer carries both signature kinds of a guard over the log's head."""
    pair = town.sim.state.law().guards["witness"][guard]
    _, good = Note(log.head() + answer.body, 1 << 18).open(pair, check_cosignature)
    return set(good) == set(pair)


def test_first_head_and_next_are_cosigned_with_both_kinds(town: Town) -> None:
    """A consistent head gets types 0x04 and 0x06, at the guard's own clock."""
    guard = town.guard()
    first = guard.witness.add_checkpoint(town.report.ask(0, 4))
    assert (first.status, guard.store.head(town.report.origin).size) == (200, 4)
    second = town.offer(guard, town.report)
    assert second.status == 200
    assert lines_hold(town, town.report, second)
    note = guard.witness.checkpoint(town.report.origin)
    law = town.sim.state.law()
    assert note
    seen = cosigned(note, town.report.origin, {"g1": law.guards["witness"]["g1"]}, 1)
    assert (seen.checkpoint.size, seen.past) == (10, town.sim.now)


def test_conflict_names_the_size_last_cosigned(town: Town) -> None:
    """409, text/x.tlog.size, decimal and LF, for every old size that is not the last one."""
    guard = town.guard()
    assert guard.witness.add_checkpoint(town.report.ask(3)) == Answer(409, b"0\n", SIZE)
    assert town.offer(guard, town.report, 7).status == 200
    for old in (0, 3, 8):
        assert guard.witness.add_checkpoint(town.report.ask(old)) == Answer(409, b"7\n", SIZE)


def test_unknown_log_is_404(town: Town) -> None:
    """A guard cosigns the logs of its charter and no others."""
    other = TiledLog("log.example/other", [b"x"])
    assert town.offer(town.guard(), other).status == 404


def test_unsigned_half_signed_and_wrongly_signed_heads_are_403(town: Town) -> None:
    """No head counts but one that the log signed with both keys."""
    guard, log = town.guard(), town.report
    good = log.head()
    forged = log.head().replace(b"\n10\n", b"\n9\n")
    other = TiledLog("log.example/other", log.entries).head()
    stripped = good.split(b"\n\n")[0] + b"\n\n" + other.split(b"\n\n")[1]
    for note in (log.head(keys=1), forged, stripped):
        assert guard.witness.add_checkpoint(log.ask(0, note=note)).status == 403
    assert guard.store.head(log.origin).size == 0


def test_old_size_above_the_new_one_is_400(town: Town) -> None:
    """A log cannot be asked to shrink."""
    assert town.guard().witness.add_checkpoint(town.report.ask(11)).status == 400


def test_wrong_proofs_are_422(town: Town) -> None:
    """A fork, a proof where none belongs, another root of the same size, a wrong empty root."""
    guard, log = town.guard(), town.report
    assert guard.witness.add_checkpoint(body(0, [EMPTY], log.head())).status == 422
    wrong = wrong_empty(log.origin)
    assert guard.witness.add_checkpoint(body(0, [], wrong)).status == 422
    assert town.offer(guard, log, 6).status == 200
    fork = TiledLog(log.origin, [b"other"] * 9)
    assert guard.witness.add_checkpoint(fork.ask(6)).status == 422
    assert guard.witness.add_checkpoint(body(6, [], fork.head(6))).status == 422
    assert guard.witness.add_checkpoint(body(6, [EMPTY], log.head(6))).status == 422
    assert guard.witness.add_checkpoint(body(6, [], log.head())).status == 422
    assert guard.store.head(log.origin).size == 6
    assert {f.reason for _, f in guard.store.findings()} == {"split_view"}


def wrong_empty(origin: str) -> bytes:
    """Sign a head of size 0 and another root, as a log may that obeys no specification."""
    root, name = b"\1" * 32, origin.encode()
    text = f"{origin}\n0\n{base64.b64encode(root).decode()}\n"
    first, second = pair(origin, ED25519)
    message = b"subtree/v1\n\0" + bytes([len(name)]) + name + pack(">Q", 0)
    message += bytes([len(name)]) + name + pack(">QQ", 0, 0) + root
    lines = signature_line(first.key, first.sign_raw(text.encode()))
    lines += signature_line(second.key, pack(">Q", 0) + second.sign_raw(message))
    return f"{text}\n{lines}".encode()


def test_empty_log_is_cosigned(town: Town) -> None:
    """A log that holds nothing yet can be witnessed from its beginning."""
    guard = town.guard()
    assert town.offer(guard, town.report, 0).status == 200
    assert town.offer(guard, town.report).status == 200


def test_unchanged_head_is_cosigned_again_with_a_new_time(town: Town) -> None:
    """Renewal: old size and size equal, same root, no proof."""
    guard = town.guard()
    first = town.offer(guard, town.report)
    town.sim.now += 60
    again = town.offer(guard, town.report)
    assert (again.status, again.body == first.body) == (200, False)
    assert lines_hold(town, town.report, again)


def test_guard_renews_what_it_serves_when_the_log_is_silent(town: Town) -> None:
    """The head at the guard's own page is at most a minute old while nothing moves."""
    guard = town.guard()
    town.offer(guard, town.report)
    town.sim.now += 61
    guard.chores()
    law = town.sim.state.law()
    note = guard.witness.checkpoint(town.report.origin) or b""
    seen = cosigned(note, town.report.origin, {"g1": law.guards["witness"]["g1"]}, 1)
    assert seen.past == town.sim.now
    assert len(Note(note, 1 << 18).lines) == 4


@pytest.mark.parametrize(
    "broken",
    [
        b"", b"\n", b"old\n\n", b"old -1\n\n", b"old 01\n\n", b"old 0", b"old 0\n", b"old 1\n2\n",
        b"old 0\nAAAA\n\n", b"old 0\n!\n\n", b"old 99999999999999999999\n\n", b"\xff" * 100,
        b"old 0\r\n\r\n", b"old 0\n" + b"A\n" * 64 + b"\n", b"old 0\n\n\n\n\n", bytes(300_000),
    ],
)  # fmt: skip
def test_malformed_requests_are_400(town: Town, broken: bytes) -> None:
    """Whatever the request lacks, the answer is a 400 and nothing is kept."""
    guard = town.guard()
    for tail in (b"", b"x\n", town.report.head()):
        assert guard.witness.add_checkpoint(broken + tail).status == 400
    assert guard.store.head(town.report.origin).size == 0


@pytest.mark.parametrize(
    "line",
    [
        "\u2014 log.example/report\n", "- a AAAA\n", "\u2014 a AAAA\n", "\u2014 a AAAAAA=\n",
        "\u2014 a \u2014\n", "\u2014  AAAAAAAA\n", "\u2014 a+b AAAAAAAA\n", "garbage\n", "\u2014\n",
        "\u2014 log.example/report " + base64.b64encode(os.urandom(68)).decode() + "\n\n",
    ],
)  # fmt: skip
def test_malformed_signature_lines_are_400_or_403(town: Town, line: str) -> None:
    """A line that is no signature line never makes a 500 (the trap of litewitness's vectors)."""
    text = town.report.head().split(b"\n\n")[0] + b"\n\n"
    for note in (text + line.encode(), town.report.head() + line.encode()):
        answer = town.guard().witness.add_checkpoint(body(0, [], note))
        assert answer.status in (400, 403)


@pytest.mark.fuzz
def test_mutated_requests_are_never_cosigned_nor_a_crash(town: Town) -> None:
    """Bits flipped, bytes cut and doubled in an honest request: 4xx, or the very same head."""
    guard, seed = town.guard(), 20261122
    draw, good = random.Random(seed), town.report.ask(0)
    for step in range(300):
        data = bytearray(good)
        at = draw.randrange(len(data))
        match draw.randrange(3):
            case 0:
                data[at] ^= 1 << draw.randrange(8)
            case 1:
                del data[at : at + draw.randrange(1, 40)]
            case _:
                data[at:at] = data[at : at + draw.randrange(1, 40)]
        answer = guard.witness.add_checkpoint(bytes(data))
        assert answer.status in (400, 403, 404, 409, 422), (seed, step)
    assert guard.store.head(town.report.origin).size == 0


def test_stalled_request_cannot_roll_the_log_back(town: Town) -> None:
    """The race of the specification: A checked, B kept, then A must lose (one stalled on purpose).

    The stall is in the fetch of A's records, after its checks and before anything is kept.
    """
    guard, log = town.guard(), town.authority
    size = len(log.entries)
    assert town.offer(guard, log, size - 2).status == 200
    stalled, go = threading.Event(), threading.Event()
    reach = guard.follower.fetch

    def slowly(checkpoint: Checkpoint, log: Log) -> Step:
        step = reach(checkpoint, log)
        if checkpoint.size == size - 1:
            stalled.set()
            assert go.wait(30)
        return step

    guard.follower.fetch = slowly  # type: ignore[method-assign]
    answers: list[Answer] = []
    ask = log.ask(size - 2, size - 1)
    slow = threading.Thread(target=lambda: answers.append(guard.witness.add_checkpoint(ask)))
    slow.start()
    assert stalled.wait(30)
    assert town.offer(guard, log, size).status == 200
    go.set()
    slow.join(30)
    assert answers == [Answer(409, b"%d\n" % size, SIZE)]
    assert guard.store.head(log.origin).size == size
    assert guard.follower.look(lambda s: s.tree.size) == size


def test_two_processes_race_for_one_head(town: Town) -> None:
    """Two guards on one database: of two different successors of a head exactly one is kept."""
    log, fork = town.report, TiledLog(town.report.origin, [*town.report.entries[:5], b"fork"])
    first = town.guard()
    assert town.offer(first, log, 5).status == 200
    town.guards.clear()
    second, answers = town.guard(), []
    asks = [(first, log.ask(5)), (second, fork.ask(5))]
    start = threading.Barrier(2)

    def race(at: int) -> None:
        start.wait(30)
        answers.append(asks[at][0].witness.add_checkpoint(asks[at][1]).status)

    threads = [threading.Thread(target=race, args=(at,)) for at in (0, 1)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    assert sorted(answers) == [200, 409]
    first.close()


def test_head_outlives_the_guard(town: Town) -> None:
    """What was cosigned is remembered after a restart: a frozen or rolled-back log is a 409."""
    assert town.offer(town.guard(), town.report).status == 200
    again = town.guard()
    assert again.witness.add_checkpoint(town.report.ask(0, 5)) == Answer(409, b"10\n", SIZE)
    head = again.witness.checkpoint(town.report.origin) or b""
    assert parse_checkpoint(head.partition(b"\n\n")[0] + b"\n").size == 10
