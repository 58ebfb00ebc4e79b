"""`answerable verify` of a whole fleet's evidence: 1,000,000 records with 100,000 changes.

    python -m benchmarks.bench_audit [--quick]

The report log holds one report a change, two observations a change, and decisions for the rest;
every record has its own Ed25519 signature and every signature is checked. The authority log is
folded, every plan read, every trail put together. The run at a tenth of the size comes first.
Memory is the sum of the peaks of all processes. Goal: 60 s, 500 MB. The yardstick of the same run
is `signatures_seconds`: checking as many Ed25519 signatures and nothing else, on all cores.
"""

import json
import multiprocessing
import os
import resource
import sys
import tempfile
import time
from collections.abc import Iterator
from hashlib import sha256
from pathlib import Path
from typing import Any

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from answerable.evidence.verify import verify
from answerable.kernel.canon import Json, encode
from answerable.kernel.note import ED25519
from answerable.keys.sign import Signer, sign_note, statement_text
from answerable.ledger.export import export_store
from answerable.ledger.log import Log
from answerable.ledger.proofs import inclusion
from answerable.ledger.sqlite import SqliteStore
from tests.simulator import Simulator
from tests.simulator.constitution import order
from tests.simulator.keys import pair, public, signer
from tests.simulator.log import cosigned_note, tree_of

REPORTS = "log.example/report"
HOSTS = 5_000
"""Hosts under one notice, of three changes each."""
CHANGES = ("up", "restart", "health")
CORES = os.cpu_count() or 1


class Fleet:
    """A played fleet of many hosts, and what it says in the report log."""

    def __init__(self, hosts: int) -> None:
        """Found it and enrol the hosts."""
        self.sim, self.hosts = Simulator(), [f"h{n:05}" for n in range(hosts)]
        self.keys = {host: signer(host) for host in self.hosts}
        self.plans: dict[str, bytes] = {}
        self.nonce = 0
        self.records = [
            encode({"host": host, "instance": sha256(host.encode()).hexdigest(),
                    "key": key.key.vkey(), "zones": ["web"]})
            for host, key in self.keys.items()
        ]  # fmt: skip
        tree = tree_of(self.records)
        body = {"size": tree.size, "root": tree.root().hex()}
        batch = self.sim.tell("enrolment", body, "dana", "lee")
        self.rows = [
            {"record": text, "enrolment": batch, "place": at,
             "path": [step.hex() for step in inclusion(tree.subtree, at, tree.size)]}
            for at, text in enumerate(self.records)
        ]  # fmt: skip

    def notice(self) -> tuple[str, list[str], str]:
        """Notice a plan for every host; give its leaf, the orders' digests and a checkpoint."""
        texts = [
            encode(order(self.sim.fleet, host, sha256(host.encode()).hexdigest(), 0))
            for host in self.hosts
        ]
        body = self.sim.notice_body([texts])
        body["zones"] = ["web"]
        zones = [{"host": host, "zones": ["web"]} for host in self.hosts]
        same = {k: body[k] for k in ("author", "basis", "clause", "releases")}
        plan = {**same, "escalated": [], "exposures": zones, "fleet": self.sim.fleet,
                "rings": [texts], "title": "many"}  # fmt: skip
        data = encode(plan).encode()
        body["plan"] = sha256(data).hexdigest()
        self.plans[body["plan"]] = data
        leaf = self.sim.notice(body)
        self.sim.deliver(leaf)
        told = self.sim.checkpoint()
        self.sim.now += 4_000
        return leaf, [sha256(text.encode()).hexdigest() for text in texts], told

    def said(self, kind: str, body: Json, by: Signer) -> bytes:
        """Sign a record of the report log."""
        self.nonce += 1
        fleet, nonce = self.sim.fleet, f"{self.nonce:032x}"
        text = statement_text(kind, body, charter=1, fleet=fleet, origin=REPORTS, nonce=nonce)
        return sign_note(text, by)

    def changes(self, leaf: str, orders: list[str], count: int) -> Iterator[bytes]:
        """Give reports of so many changes, each with two observations."""
        now, seers = self.sim.now, [signer(o) for o in ("o1", "o2")]
        for number in range(count):
            at, change = divmod(number, len(CHANGES))
            host, kind = self.hosts[at], ("upgrade", "restart", "health")[number % len(CHANGES)]
            about = {"notice": leaf, "order": orders[at], "change": CHANGES[change], "host": host}
            yield self.said("report", {
                **about, "type": kind, "result": "succeeded", "reason": "", "detail": "",
                "caused_by": "", "observed": {}, "seq": number, "started": now, "ended": now + 1,
            }, self.keys[host])  # fmt: skip
            for seer in seers:
                saw = {**about, "result": "succeeded", "saw": {}, "time": now}
                yield self.said("observation", saw, seer)

    def decisions(self, count: int) -> Iterator[bytes]:
        """Give so many decisions not to patch."""
        planner = signer("planner1")
        for number in range(count):
            yield self.said("decision", {
                "subject": f"CVE-2026-{number:07} on h{number % HOSTS:05}", "state": "deferred",
                "owner": "dana", "reason": "no exploit is known; looked at again in a week",
                "until": self.sim.now + 604_800, "time": self.sim.now,
            }, planner)  # fmt: skip


def build(path: Path, records: int) -> None:
    """Write an evidence directory of this many records, a tenth of them changes."""
    fleet, changes = Fleet(min(HOSTS, records // 10 // len(CHANGES))), records // 10
    (path / "witnessed").mkdir(parents=True)
    (path / "plans").mkdir()
    (path / "hosts.json").write_text(json.dumps(fleet.rows))
    store = SqliteStore(path / "report.db")
    with Log(store, REPORTS, pair(REPORTS, ED25519), lambda: fleet.sim.now) as log:
        left = changes
        while left:
            leaf, orders, told = fleet.notice()
            (path / "witnessed" / f"{leaf[:16]}.note").write_text(told)
            some = min(left, len(fleet.hosts) * len(CHANGES))
            _append(log, fleet.changes(leaf, orders, some))
            left -= some
        _append(log, fleet.decisions(records - 3 * changes))
    _publish(path, "report", store, REPORTS, fleet)
    store = SqliteStore(path / "authority.db")
    entries = [entry for _, entry in fleet.sim.history]
    with Log(store, fleet.sim.origin, pair(fleet.sim.origin, ED25519), lambda: 0) as log:
        _append(log, iter(entries))
    _publish(path, "authority", store, fleet.sim.origin, fleet)
    (path / "charter.note").write_bytes(entries[0])
    for digest, data in fleet.plans.items():
        (path / "plans" / f"{digest}.json").write_bytes(data)


def _append(log: Log, entries: Iterator[bytes]) -> None:
    batch: list[bytes] = []
    for entry in entries:
        batch.append(entry)
        if len(batch) == 1_000:
            log.append(batch)
            batch = []
    if batch:
        log.append(batch)


def _publish(path: Path, name: str, store: SqliteStore, origin: str, fleet: Fleet) -> None:
    from answerable.ledger.heads import open_head  # noqa: PLC0415

    head, keys = store.head(), public(pair(origin, ED25519))
    assert head
    at = open_head(head.note, origin, keys)
    times = dict.fromkeys(("g1", "g2", "g3", "g4"), fleet.sim.now)
    store.publish(cosigned_note(at, "witness", times, log=origin))
    export_store(store, origin, keys, (), path / name)
    store.close()
    for file in path.glob(f"{name}.*"):
        file.unlink()


def audited(path: str, answer: Any) -> None:  # noqa: ANN401  a pipe's end
    """Verify in a process of its own, and say how long and how much."""
    begun = time.perf_counter()
    verdict = verify(Path(path))
    took = time.perf_counter() - begun
    assert verdict.code == 0, (verdict.damage, verdict.faults, verdict.missing)
    own, others = map(resource.getrusage, (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))
    mine, child = own.ru_maxrss, others.ru_maxrss
    cpu = own.ru_utime + own.ru_stime + others.ru_utime + others.ru_stime
    several = verdict.reports.counts["report"] and verdict.logs[1].checkpoint.size > 20_000
    answer.send({
        "records": verdict.logs[1].checkpoint.size + verdict.logs[0].checkpoint.size,
        "changes": verdict.changes, "hosts": verdict.hosts, "seconds": round(took, 1),
        "cpu_seconds": round(cpu, 1), "mb": (mine + CORES * child * bool(several)) // 1024,
    })  # fmt: skip


def _children() -> float:
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def signatures(count: int) -> dict[str, float]:
    """Check so many signatures on all cores and do nothing else; give wall and CPU seconds."""
    key, text = signer("h00000"), b"x" * 500
    payload, public = key.sign_raw(text), Ed25519PublicKey.from_public_bytes(key.key.public)
    fork = multiprocessing.get_context("fork")

    def some() -> None:
        for _ in range(count // CORES):
            public.verify(payload, text)

    begun, before = time.perf_counter(), _children()
    workers = [fork.Process(target=some) for _ in range(CORES)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
        assert worker.exitcode == 0, "a worker of the yardstick died"
    took, cpu = time.perf_counter() - begun, _children() - before
    return {"signatures_seconds": round(took, 1), "signatures_cpu_seconds": round(cpu, 1)}


def measured(records: int) -> dict[str, Any]:
    """Build, verify, and compare with the yardstick."""
    with tempfile.TemporaryDirectory() as name:
        path = Path(name) / "evidence"
        begun = time.perf_counter()
        build(path, records)
        built = time.perf_counter() - begun
        spawn = multiprocessing.get_context("spawn")
        ours, theirs = spawn.Pipe()
        process = spawn.Process(target=audited, args=(str(path), theirs))
        process.start()
        row: dict[str, Any] = ours.recv()
        process.join()
    return {**row, **signatures(records), "build_seconds": round(built, 1)}


def run(quick: bool = False) -> dict[str, Any]:  # noqa: FBT001, FBT002  the runner's own call
    """Measure at a tenth and, unless `quick`, at full size."""
    results: dict[str, Any] = {"cores": CORES, "algorithms": "Ed25519 on every record"}
    for name, records in (("tenth", 100_000),) if quick else (("tenth", 100_000), ("full", 10**6)):
        results[name] = measured(records)
        print(f"{name:6}", "  ".join(f"{k} {v}" for k, v in results[name].items()), flush=True)
    return results


if __name__ == "__main__":
    print(json.dumps(run("--quick" in sys.argv)))
