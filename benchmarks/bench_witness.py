"""A guard: add-checkpoint with both signature kinds, and hosts' nonces answered together.

    python -m benchmarks.bench_witness [requests]

Each add-checkpoint is whole: parse, both signatures of the log, consistency proof, one durable
transaction (SQLite, synchronous FULL), both cosignatures. The run at a tenth of the size comes
first. Seen before: 810 a second. The last line is JSON. It fails if durability is off.
"""

import json
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from answerable.kernel.checkpoint import Checkpoint
from answerable.kernel.merkle import Tree, leaf_hash
from answerable.kernel.note import ED25519
from answerable.keys.sign import cosign
from answerable.ledger.proofs import consistency
from answerable.witness.guard import Guard
from tests.fakes.guards import REPORT, Town
from tests.fakes.tiled_log import body
from tests.simulator.keys import pair
from tests.witness.test_fresh import question

RECORDS = 100_000
"""Size of the log whose heads are offered."""
STEP = 37
"""Records from one head to the next."""
BATCHES = (1, 16, 64, 256)
"""Hosts that are answered together."""


def heads(count: int) -> list[bytes]:
    """Sign heads of a growing log, each with its proof from the one before."""
    tree = Tree(leaf_hash(b"%d" % n) for n in range(RECORDS + STEP * count))
    keys, asks, old = pair(REPORT, ED25519), [], 0
    for size in range(RECORDS, RECORDS + STEP * count, STEP):
        at = Checkpoint(REPORT, size, tree.root(size))
        proof = consistency(tree.subtree, old, size)
        asks.append(body(old, proof, f"{at.text()}\n{cosign(at, 0, *keys)}".encode()))
        old = size
    return asks


def timed(run: Callable[[], object], count: int) -> list[float]:
    """Time each of so many runs, seconds."""
    took = []
    for _ in range(count):
        begun = time.perf_counter()
        run()
        took.append(time.perf_counter() - begun)
    return took


def cosigning(guard: Guard, count: int) -> dict[str, float]:
    """Offer heads one after the other."""
    asks = iter(heads(count))

    def offer() -> None:
        answer = guard.witness.add_checkpoint(next(asks))
        assert answer.status == 200, answer

    return summary(timed(offer, count), 1)


def answering(town: Town, guard: Guard, batch: int, count: int) -> dict[str, float]:
    """Answer batches of questions."""
    hosts = [f"{host}" for host in town.sim.members]
    for host in hosts:
        assert guard.fresh.answer([question(town, host)])[0].status == 200
    asks = [question(town, hosts[n % len(hosts)], record=False) for n in range(batch)]

    def answer() -> None:
        assert {given.status for given in guard.fresh.answer(asks)} == {200}

    return summary(timed(answer, count), batch)


def summary(took: list[float], each: int) -> dict[str, float]:
    """Give rate, median and 99th percentile in milliseconds."""
    took.sort()
    rate = each * len(took) / sum(took)
    worst = took[int(len(took) * 0.99)]
    return {"per_second": rate, "p50_ms": statistics.median(took) * 1e3, "p99_ms": worst * 1e3}


def durable(guard: Guard) -> str:
    """Give the synchronous mode, which must be FULL."""
    with guard.store.read() as db:
        mode = int(db.execute("PRAGMA synchronous").fetchone()[0])
    assert mode == 2, "durability is off"
    return "FULL"


def main() -> None:
    """Print a table, and the same as JSON."""
    count = int(sys.argv[1]) if len(sys.argv) > 1 else 2_000
    results: dict[str, object] = {"algorithms": "Ed25519 and ML-DSA-44", "records": RECORDS}
    for requests in (count // 10, count):
        with tempfile.TemporaryDirectory() as folder:
            town = Town(Path(folder))
            guard = town.guard()
            assert town.offer(guard).status == 200
            results["synchronous"] = durable(guard)
            rows = {"add-checkpoint": cosigning(guard, requests)}
            for batch in BATCHES:
                rows[f"fresh, {batch} together"] = answering(town, guard, batch, requests // 10)
            guard.close()
        print(f"{requests} requests, synchronous {results['synchronous']}")
        for name, row in rows.items():
            print(f"  {name:22}" + "".join(f"{key} {value:10.2f}  " for key, value in row.items()))
        results[str(requests)] = rows
    print(json.dumps(results))


if __name__ == "__main__":
    main()
