"""The logs: durable appends, admission, HTTP, proofs, audit.

    python -m benchmarks.bench_ledger [--quick]

Every append is what users get: SQLite in WAL mode with synchronous FULL, a checkpoint signed with
Ed25519 and ML-DSA-44 for each commit. The ceiling is measured in the same run: hashing the same
entries and nodes, and one write and fdatasync a batch, nothing else. The same run at a tenth of the
size comes first; figures are medians of several runs. It fails if durability is off. The last line
is JSON.
"""

import asyncio
import gc
import json
import multiprocessing
import os
import random
import resource
import statistics
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Sequence
from hashlib import sha256
from multiprocessing.connection import Connection
from pathlib import Path
from socket import socket
from typing import Any

import uvicorn

from answerable.kernel.merkle import Tree, leaf_hash, verify_inclusion
from answerable.kernel.note import signature_holds
from answerable.ledger.app import make_app
from answerable.ledger.audit import audit
from answerable.ledger.batch import frame
from answerable.ledger.client import FolderSource, fetch_checkpoint
from answerable.ledger.export import export_store
from answerable.ledger.heads import open_head
from answerable.ledger.log import Pace
from answerable.ledger.proofs import TileTree, consistency, inclusion
from answerable.ledger.sqlite import SqliteStore
from answerable.witness.consistency import verify_consistency
from tests.ledger.fleet import Fleet, founded
from tests.ledger.logs import KEYS, ORIGIN, fill, open_log
from tests.simulator.keys import signer

ENTRY = 600
"""Bytes of an entry that is already admitted."""
HOSTS = ("web1", "web2", "web3", "api1", "api2")
WRITERS = 256
WORKERS = 2
"""Processes that open reports."""
RUNS = 5
Row = dict[str, Any]


def sync_of(store: SqliteStore) -> str:
    """Give the store's durability, which must be full."""
    told = store.durability()
    assert told.endswith("journal wal, synchronous 2"), f"durability is off: {told}"
    return told


def entries_of(count: int) -> list[bytes]:
    """Give random entries."""
    rng = random.Random(count)
    return [rng.randbytes(ENTRY) for _ in range(count)]


def ceiling(batch: int, count: int, folder: Path) -> float:
    """Hash entries and nodes, write and sync once a batch; give entries a second."""
    entries, file = entries_of(batch), os.open(folder / "ceiling", os.O_CREAT | os.O_WRONLY, 0o600)
    blob, begun = b"".join(entries), time.perf_counter()
    for _ in range(count):
        level = [sha256(b"\x00" + entry).digest() for entry in entries]
        while len(level) > 1:
            pairs = zip(level[::2], level[1::2], strict=False)
            level = [sha256(b"\x01" + left + right).digest() for left, right in pairs]
        os.write(file, blob)
        os.fdatasync(file)
    took = time.perf_counter() - begun
    os.close(file)
    return batch * count / took


def append(batch: int, count: int, folder: Path) -> float:
    """Append batches, each one commit and one signed checkpoint; give entries a second."""
    store, turns = SqliteStore(folder / "log.db"), threading.Semaphore(4)
    batches = [entries_of(batch) for _ in range(4)]
    with open_log(store, Pace(entries=batch)) as log:
        begun = time.perf_counter()
        for n in range(count):
            turns.acquire()
            index = log.submit(batches[n % 4])
            index.add_done_callback(lambda _: turns.release())
        assert index.result() == batch * (count - 1)
        took = time.perf_counter() - begun
        assert log.head().checkpoint.size == batch * count
    sync_of(store)
    store.close()
    return batch * count / took


def appending(batch: int, count: int) -> Row:
    """Measure appends against their ceiling, in turns."""
    found, most = list[float](), list[float]()
    for _ in range(RUNS):
        with tempfile.TemporaryDirectory() as name:
            most.append(ceiling(batch, max(count // 4, 1), Path(name)))
            found.append(append(batch, count, Path(name)))
    rate, top = statistics.median(found), statistics.median(most)
    return {"batch": batch, "entries": batch * count, "per_second": round(rate),
            "ceiling": round(top), "share": round(rate / top, 2)}  # fmt: skip


def reports(fleet: Fleet, count: int) -> list[bytes]:
    """Sign reports of the enrolled hosts."""
    return [
        fleet.report_entry("report", "host", host=host, by=lambda _, host=host: host, seq=n)
        for n in range(count // len(HOSTS) + 1)
        for host in HOSTS
    ][:count]


def fleet_in(folder: Path) -> Fleet:
    """Found a fleet whose hosts report."""
    fleet = founded(folder)
    fleet.enrol(*HOSTS)
    return fleet


def verifying(count: int = 2_000) -> float:
    """Check signatures and nothing else; give how many a second one core checks now."""
    maker, texts = signer("web1"), entries_of(count)
    kind, public, made = maker.key.kind, maker.key.public, [maker.sign_raw(t) for t in texts]
    begun = time.perf_counter()
    for signature, text in zip(made, texts, strict=True):
        assert signature_holds.__wrapped__(kind, public, signature, text)
    return count / (time.perf_counter() - begun)


def admission(count: int, batch: int = 256) -> Row:
    """Admit and append reports on one core, one signature checked each."""
    found, most, cores = list[float](), list[float](), os.sched_getaffinity(0)
    for _ in range(RUNS):
        with tempfile.TemporaryDirectory() as name:
            fleet = fleet_in(Path(name))
            signed = reports(fleet, count)
            os.sched_setaffinity(0, {min(cores)})
            most.append(verifying())
            begun = time.perf_counter()
            batches = (signed[i : i + batch] for i in range(0, count, batch))
            last = [fleet.report.submit(some).index for some in batches][-1]
            last.result()
            found.append(count / (time.perf_counter() - begun))
            os.sched_setaffinity(0, cores)
            fleet.close()
    rate, top = statistics.median(found), statistics.median(most)
    return {"entries": count, "batch": batch, "cores": 1, "bytes": len(signed[0]),
            "per_second": round(rate), "verify_only": round(top), "share": round(rate / top, 2),
            }  # fmt: skip


def server(folder: str, port: Connection) -> None:
    """Be a log server; send the port when it listens."""
    fleet = fleet_in(Path(folder))
    app = make_app(fleet.authority, fleet.report, {}, workers=WORKERS)
    config = uvicorn.Config(app, port=0, log_level="error", access_log=False, lifespan="on")

    class Server(uvicorn.Server):
        async def startup(self, sockets: list[socket] | None = None) -> None:
            await super().startup(sockets)
            port.send(self.servers[0].sockets[0].getsockname()[1])

    Server(config).run()


async def writer(port: int, bodies: Sequence[bytes], pause: float, waits: list[float]) -> None:
    """Post batches over one connection, one every `pause` seconds (0: at once)."""
    reader, out = await asyncio.open_connection("127.0.0.1", port)
    due = time.perf_counter() + pause * random.random()
    for body in bodies:
        await asyncio.sleep(max(0.0, due - time.perf_counter()) if pause else 0)
        begun = due if pause else time.perf_counter()
        head = f"POST /report/add HTTP/1.1\r\nHost: log\r\nContent-Length: {len(body)}\r\n\r\n"
        out.write(head.encode() + body)
        answer = await reader.readuntil(b"\r\n\r\n")
        assert answer.startswith(b"HTTP/1.1 200"), answer
        length = int(answer.lower().partition(b"content-length: ")[2].partition(b"\r\n")[0])
        await reader.readexactly(length)
        waits.append(time.perf_counter() - begun)
        due += pause
    out.close()


def over_http(batch: int, posts: int, rate: float) -> Row:
    """Let 256 writers post `posts` batches each, `rate` entries a second altogether (0: all)."""
    with tempfile.TemporaryDirectory() as name, tempfile.TemporaryDirectory() as twin:
        ours, theirs = multiprocessing.Pipe()
        process = multiprocessing.Process(target=server, args=(name, theirs), daemon=True)
        process.start()
        port = ours.recv()
        fleet = fleet_in(Path(twin))
        signed = reports(fleet, batch * posts * WRITERS)
        fleet.close()
        bodies = [frame(signed[i : i + batch]) for i in range(0, len(signed), batch)]
        pause, waits = batch * WRITERS / rate if rate else 0.0, list[float]()

        async def all_writers() -> None:
            shares = (bodies[i::WRITERS] for i in range(WRITERS))
            await asyncio.gather(*(writer(port, share, pause, waits) for share in shares))

        verify, load = verifying(), os.getloadavg()[0]
        gc.freeze()
        begun = time.perf_counter()
        asyncio.run(all_writers())
        took = time.perf_counter() - begun
        process.terminate()
        process.join()
        gc.unfreeze()
    waits.sort()
    return {
        "writers": WRITERS, "workers": WORKERS, "batch": batch, "entries": len(signed),
        "offered": round(rate),
        "per_second": round(len(signed) / took),
        "p50_ms": round(waits[len(waits) // 2] * 1e3, 1),
        "p99_ms": round(waits[int(len(waits) * 0.99)] * 1e3, 1),
        "verify_only": round(verify), "load": round(load, 1),
    }  # fmt: skip


def rate_of(run: Callable[[int], object], count: int) -> int:
    """Give how often a second something runs; the median of several rounds."""
    found = []
    for _ in range(RUNS):
        begun = time.perf_counter()
        for n in range(count):
            run(n)
        found.append(count / (time.perf_counter() - begun))
    return round(statistics.median(found))


def proving(size: int) -> Row:
    """Make and verify proofs in a log of this size."""
    rng, tree = random.Random(size), Tree(leaf_hash(b"%d" % n) for n in range(size))
    root, picks = tree.root(), [rng.randrange(1, size) for _ in range(1_000)]
    paths = [inclusion(tree.subtree, i, size) for i in picks]
    olds = [consistency(tree.subtree, i, size) for i in picks]
    leaves, roots = [leaf_hash(b"%d" % i) for i in picks], [tree.root(i) for i in picks]

    def tile(level: int, index: int) -> bytes:
        return bytes(tree.levels[8 * level][index * 8_192 : (index + 1) * 8_192])

    tiles = TileTree(tile)
    count = len(picks)
    return {
        "records": size,
        "inclusion_verified_per_second": rate_of(
            lambda n: verify_inclusion(leaves[n], picks[n], size, paths[n], root), count
        ),
        "consistency_verified_per_second": rate_of(
            lambda n: verify_consistency(picks[n], size, olds[n], roots[n], root), count
        ),
        "inclusion_made_from_tiles_per_second": rate_of(
            lambda n: inclusion(tiles.subtree, picks[n], size), count // 5
        ),
    }


def audited(folder: str, answer: Connection) -> None:
    """Audit an exported log in a process of its own, to see its memory."""
    source = FolderSource(Path(folder))
    begun = time.perf_counter()
    found = audit(source, open_head(fetch_checkpoint(source), ORIGIN, KEYS))
    took = time.perf_counter() - begun
    assert found.good
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024
    answer.send({"records": found.checkpoint.size, "seconds": round(took, 2), "rss_mb": peak})


def auditing(size: int) -> Row:
    """Fill, export and audit a log."""
    with tempfile.TemporaryDirectory() as name:
        store = SqliteStore(Path(name) / "log.db")
        some = entries_of(1_000)
        with open_log(store) as log:
            for _ in range(size // 1_000):
                log.append(some)
        begun = time.perf_counter()
        export_store(store, ORIGIN, KEYS, (), Path(name) / "out")
        took = time.perf_counter() - begun
        store.close()
        ours, theirs = multiprocessing.get_context("spawn").Pipe()
        spawn = multiprocessing.get_context("spawn")
        process = spawn.Process(target=audited, args=(str(Path(name) / "out"), theirs))
        process.start()
        row: Row = ours.recv()
        process.join()
    return {**row, "export_seconds": round(took, 2)}


def measured(scale: float) -> dict[str, list[Row]]:
    """Measure everything at a share of its full size."""

    def at(count: int) -> int:
        return max(1, round(count * scale))

    return {
        "durable append": [appending(b, at(c)) for b, c in ((1, 2_000), (64, 3_000), (1_024, 250))],
        "admission, one core": [admission(at(20_000))],
        "over HTTP, as fast as it goes": [over_http(32, max(1, at(10)), 0)],
        "over HTTP, 8,200 a second offered": [over_http(32, max(3, at(12)), 8_200)],
        "proofs": [proving(at(1_000_000))],
        "audit of an export": [auditing(at(1_000_000))],
    }


def run(quick: bool = False) -> dict[str, Any]:  # noqa: FBT001, FBT002  the runner's own call
    """Measure at a tenth and, unless `quick`, at full size; print tables; give all of it."""
    with tempfile.TemporaryDirectory() as name:
        store = SqliteStore(Path(name) / "log.db")
        fill(store, 1)
        results: dict[str, Any] = {"store": sync_of(store)}
        store.close()
    results["algorithms"] = "Ed25519 and ML-DSA-44 on every checkpoint; Ed25519 on records"
    print(*results.values(), sep="; ")
    for name, scale in (("tenth", 0.1),) if quick else (("tenth", 0.1), ("full", 1.0)):
        results[name] = measured(scale)
        for title, rows in results[name].items():
            for row in rows:
                print(f"{name:6} {title:36}" + "  ".join(f"{k} {v}" for k, v in row.items()))
    return results


if __name__ == "__main__":
    print(json.dumps(run("--quick" in sys.argv)))
