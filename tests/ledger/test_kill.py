"""Killed at any moment, a log is whole when it is opened again, and keeps every word it gave."""

import os
import random
import subprocess
import sys
from contextlib import suppress
from pathlib import Path

import pytest

from answerable.kernel.checkpoint import parse_checkpoint
from answerable.ledger.audit import audit
from answerable.ledger.client import StoreSource
from answerable.ledger.proofs import TileTree
from answerable.ledger.sqlite import SqliteStore
from tests.ledger.logs import entry, open_log

ROOT = Path(__file__).resolve().parents[2]
KILLS = int(os.environ.get("KILLS", "50"))


def killed(path: Path, seed: int, moment: float) -> list[str]:
    """Run a writer, kill it `moment` seconds after its first word, give all it had said."""
    command = [sys.executable, "-m", "tests.ledger.writer", str(path), str(seed)]
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True) as writer:
        assert writer.stdout is not None
        first = writer.stdout.readline()
        with suppress(subprocess.TimeoutExpired):
            writer.wait(moment)
        writer.kill()
        rest = writer.stdout.read()
    return [line for line in (first + rest).splitlines(keepends=True) if line.endswith("\n")]


def check(path: Path, said: dict[int, str], published: int) -> int:
    """Open what the writer left; give its size."""
    store = SqliteStore(path)
    with open_log(store) as log:
        head = log.head().checkpoint
        assert head.size >= max(said)
        tree = TileTree(store.tile)
        assert {size: tree.root(size).hex() for size in said} == said
        assert store.entries(0, head.size) == [entry(n) for n in range(head.size)]
        assert audit(StoreSource(store, head.size), head).good
        kept = (
            parse_checkpoint(log.published().partition(b"\n\n")[0] + b"\n") if published else None
        )
        assert kept is None or head.size >= kept.size >= published
    store.close()
    return head.size


def story(tmp_path: Path, kills: int) -> None:
    """Kill so many times, each time going on where the last writer was killed."""
    seed = random.SystemRandom().randrange(1 << 32)
    print(f"seed {seed}, {kills} kills")  # noqa: T201
    rng, said, published, path = random.Random(seed), dict[int, str](), 0, tmp_path / "log.db"
    for kill in range(kills):
        for line in killed(path, seed + kill, rng.uniform(0, 0.4)):
            word, _, rest = line.strip().partition(" ")
            if word == "published":
                published = int(rest)
            else:
                said[int(word)] = rest
        print(f"kill {kill}: size {check(path, said, published)}")  # noqa: T201


def test_killed_five_times(tmp_path: Path) -> None:
    """After each kill -9 the log holds all it had said, is consistent with it, and goes on."""
    story(tmp_path, 5)


@pytest.mark.live
def test_killed_many_times(tmp_path: Path) -> None:
    """The same, as often as `KILLS` says, but not less than twenty times."""
    story(tmp_path, max(KILLS, 20))
