"""A guard that is killed with SIGKILL at any moment has kept everything that it has said."""

import random
import subprocess
import sys
import time
from pathlib import Path

from answerable.kernel.canon import decode
from answerable.witness.post import objection
from tests.fakes.guards import Town
from tests.witness.test_fresh import consume, question

KILLS = 5


class Mortal:
    """The process."""

    def __init__(self, folder: Path) -> None:
        """Start it, and wait until it answers."""
        self.process = subprocess.Popen(
            [sys.executable, "-m", "tests.witness.mortal", str(folder)],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
        )  # fmt: skip
        assert self._line() == "ready"

    def _line(self) -> str:
        assert self.process.stdout
        return self.process.stdout.readline().strip()

    def ask(self, what: str, body: bytes) -> tuple[int, bytes]:
        """Give its answer; (0, nothing) if it is dead."""
        assert self.process.stdin
        try:
            self.process.stdin.write(f"{what} {body.hex()}\n")
            self.process.stdin.flush()
        except BrokenPipeError:
            return 0, b""
        status, _, answer = self._line().partition(" ")
        return int(status or 0), bytes.fromhex(answer)

    def kill(self) -> None:
        """End it as a power cut would."""
        self.process.kill()
        self.process.communicate()


def test_whatever_was_said_was_kept(tmp_path: Path) -> None:
    """Heads, receipts and consume notes that left the guard are there after each kill."""
    seed = 20261122
    draw, town = random.Random(seed), Town(tmp_path / "own")
    town.report.entries += [b"report %d" % n for n in range(400)]
    size, seq, receipts = 0, 0, set[str]()
    for kill in range(KILLS):
        guard = Mortal(tmp_path)
        assert guard.ask("fresh", question(town))[0] == 200
        for step in range(draw.randrange(3, 20)):
            note = consume(town, seq + 1, f"n/o/{seq}")
            if guard.ask("fresh", question(town, consume=note))[0] == 200:
                seq += 1
            entry = town.veto(reason=f"{kill} {step}")
            if guard.ask("veto", entry)[0] == 200:
                receipts.add(objection(entry, town.sim.state.law(), town.sim.fleet)[0].id)
            more = min(size + draw.randrange(1, 9), 400)
            if guard.ask("head", town.report.ask(size, more))[0] == 200:
                size = more
        # The last request is on its way when the process ends.
        assert guard.process.stdin
        guard.process.stdin.write(f"head {town.report.ask(size, min(size + 1, 400)).hex()}\n")
        guard.process.stdin.flush()
        time.sleep(draw.random() / 200)
        guard.kill()
        again = town.__class__(tmp_path).guard()
        kept = again.store.head(town.report.origin).size
        assert size <= kept <= size + 1, (seed, kill)
        size = kept
        with again.store.read() as db:
            held = {name for (name,) in db.execute("SELECT id FROM held")}
        assert receipts <= held, (seed, kill)
        answer = again.fresh.answer([question(town)])[0]
        last = decode(decode(answer.body, 99_999)["last"].partition("\n\n")[0].encode(), 4096)
        assert last["seq"] == seq, (seed, kill)
        again.close()
