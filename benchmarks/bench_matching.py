"""The fleet against the world: in bulk from Parquet, and one advisory or one host at a time.

    python -m benchmarks.bench_matching [hosts ..]      (default 10000 100000)

The fleet and the ranges are made from the shared real data (matching_fleet.py), once for each size,
in .cache/matching.

* *cold*: a process of its own reads flat Parquet (text only), finds the distinct packages, makes
  the keys, joins with every range, and gives each host's sums; *split*: the same from packages with
  ids; *again*: each host's sums once more. By the clock, by CPU time (the machine is shared), peak
  RSS.
* *import*: every inventory into a new store, in one transaction; of that `reading` is what it takes
  to make the inventories from the two files, without storing them.
* *advisory*: one row of the world to its set of hosts from the index on disk, 3,000 rows at random,
  and the best of three more runs of each (the machine is shared, and others' work interrupts ours);
  *findings*: the same with what is affected on them; *after deltas*: the set once more; a row that
  all hosts of the commonest system have; and the whole world, row by row.
* *plan*: from a released advisory that exposes some 500 hosts to the text of a plan for them:
  match, inventories, rank, build; without notice, log and rehearsal.
* *delta*: 12 packages of one host to their next version, in one transaction on disk, by the clock
  and by CPU time. *Floor*: after each delta the same thread overwrites as much of a file (three
  pages) and waits for the disk: what the disk, and others' work on this machine, take alone.
"""

import json
import os
import random
import statistics
import subprocess
import sys
import time
from collections import deque
from collections.abc import Callable, Iterator, Mapping
from functools import partial
from pathlib import Path
from typing import Any

import duckdb

from answerable.changes.build import Fleet as Hosts
from answerable.changes.build import Judgement, Mandate, build
from answerable.exposure.applies import Ranges
from answerable.exposure.fleet import Match
from answerable.exposure.index import affected, reached
from answerable.exposure.keys import key, places
from answerable.exposure.match import Known, Snapshot, across
from answerable.exposure.rank import Context, rank
from answerable.feeds.candidate import Candidate, propose
from answerable.feeds.facts import Fact
from answerable.feeds.rows import Range
from answerable.inventory.fleet import Fleet
from answerable.inventory.installed import Installed, Inventory
from answerable.kernel.canon import Json
from benchmarks.matching_fleet import make, ranges, write_ranges
from tests.feeds.fakes import MemorySource, advisory, artefact

CACHE = Path(__file__).parents[1] / ".cache" / "matching"
SEED, ASKED, DELTAS, MOVED, RUNS = 20_261_122, 3_000, 1_000, 12, 5
EXPOSED = 500
WRITTEN = 3 * 4096
"""Bytes that one delta writes."""
Row = dict[str, Any]


def bulk(folder: Path, form: str) -> None:
    """Match once in this process, and say how it was."""
    begun, cpu = time.perf_counter(), time.process_time()
    with Match(folder / "ranges.parquet") as match:
        if form == "flat":
            match.flat(folder / "flat.parquet")
        else:
            match.split(folder / "kinds.parquet", folder / "ids.parquet")
        hosts = match.per_host()
        took, cpu = time.perf_counter() - begun, time.process_time() - cpu
        peak = _peak_mb()
        again = []
        for _ in range(RUNS):
            begun, more = time.perf_counter(), time.process_time()
            match.per_host()
            again.append((time.perf_counter() - begun, time.process_time() - more))
        kinds, exposed, pairs = match.totals()
    seconds, more = sorted(again)[RUNS // 2]
    print(json.dumps({
        "seconds": took, "cpu_seconds": cpu, "peak_mb": peak, "again_seconds": seconds,
        "again_cpu_seconds": more, "kinds": kinds, "kinds_exposed": exposed, "pairs": pairs,
        "hosts": len(hosts), "packages": sum(h[1] for h in hosts),
        "findings": sum(h[2] for h in hosts),
    }))  # fmt: skip


def _peak_mb() -> float:
    """Give the peak of this program alone; ru_maxrss begins with that of who started it."""
    rows = Path("/proc/self/status").read_text().splitlines()
    return next(int(row.split()[1]) for row in rows if row.startswith("VmHWM")) / 1024


def in_bulk(folder: Path, form: str) -> Row:
    """Match in processes of their own; give the median run by the clock."""
    command = [sys.executable, "-m", "benchmarks.bench_matching", "--bulk", str(folder), form]
    runs: list[Row] = [
        json.loads(subprocess.run(command, capture_output=True, text=True, check=True).stdout)
        for _ in range(RUNS if form == "split" else 3)
    ]
    return {**sorted(runs, key=lambda r: r["seconds"])[len(runs) // 2], "load": os.getloadavg()[0]}


def _inventories(folder: Path) -> Iterator[tuple[Inventory, int]]:
    kinds = {
        row[0]: Installed(row[1], row[2], row[3], row[4], row[5])
        for row in duckdb.read_parquet(f"{folder}/kinds.parquet")
        .project("id, ecosystem, package, version, arch, source")
        .fetchall()
    }
    ids_of = duckdb.read_parquet(f"{folder}/ids.parquet")
    last = ids_of.max("host").fetchall()[0][0]
    for start in range(0, last + 1, 2_000):
        some = ids_of.filter(f"host between {start} and {start + 1_999}")
        for host, ids in some.aggregate("host, list(id)", "host").order("host").fetchall():
            zones = frozenset({("web", "pci", "dev")[host % 3]})
            packages = tuple(kinds[each] for each in ids)
            yield Inventory(f"h{host:06d}", "ab" * 32, zones, packages, f"team{host % 40}"), 1_000


def load(folder: Path) -> Row:
    """Import the fleet into a new store."""
    file = folder / "fleet.db"
    for each in folder.glob("fleet.db*"):
        each.unlink()
    begun = time.process_time()
    deque(_inventories(folder), maxlen=0)
    reading = time.process_time() - begun
    begun, cpu = time.perf_counter(), time.process_time()
    with Fleet(file, places) as fleet:
        count = fleet.record_all(_inventories(folder))
    took, cpu = time.perf_counter() - begun, time.process_time() - cpu
    return {"hosts": count, "seconds": took, "cpu_seconds": cpu, "reading_cpu_seconds": reading,
            "mb": file.stat().st_size / (1 << 20)}  # fmt: skip


def _spread(took: list[float]) -> Row:
    took.sort()
    return {"p50_ms": took[len(took) // 2] * 1e3, "p99_ms": took[int(len(took) * 0.99)] * 1e3,
            "max_ms": took[-1] * 1e3}  # fmt: skip


def _timed(what: Callable[[], object], runs: int = 1) -> float:
    took = []
    for _ in range(runs):
        begun = time.perf_counter()
        what()
        took.append(time.perf_counter() - begun)
    return statistics.median(took)


def advisories(folder: Path, rows: list[Range]) -> Row:
    """Ask the index about one row at a time, and about all."""
    chance = random.Random(SEED)
    with Fleet(folder / "fleet.db", places) as fleet:
        own = set(fleet.ecosystems())
        asked = chance.sample([row for row in rows if row.ecosystem in own], ASKED)

        def ask(row: Range) -> int:
            return len(reached(fleet, [row])[0])

        def name(row: Range) -> int:
            return len(affected(fleet, [row])[0])

        sizes = [ask(row) for row in asked[:100]]
        took = [_timed(partial(ask, row)) for row in asked]
        best = [min(_timed(partial(ask, row)) for _ in range(3)) for row in asked]
        named = [_timed(partial(name, row)) for row in asked]
        sizes = [ask(row) for row in asked]
        most = asked[max(range(len(sizes)), key=sizes.__getitem__)]
        ecosystem, hosts = max(
            fleet.ecosystems().items(), key=lambda e: len(e[1]) * (e[0] != "pypi")
        )
        names: dict[str, int] = {}
        for _, package, having in fleet.packages():
            if package.ecosystem == ecosystem:
                names[package.package] = names.get(package.package, 0) + len(having)
        everyone = Range("bench", "B-1", ecosystem, max(names, key=names.__getitem__), "binary",
                         "affected", "", "", "", (), "unknown", 0, 0, 0)  # fmt: skip
        everyone_hosts = ask(everyone)
        slowest = _timed(lambda: ask(everyone), 200)
        begun = time.perf_counter()
        findings, _ = affected(fleet, rows)
        whole = time.perf_counter() - begun
        total = sum(len(f.hosts) for f in findings)
    sizes.sort()
    return {
        **_spread(took), "best_of_three": _spread(best), "findings": _spread(named),
        "asked": ASKED,
        "hosts_median": sizes[len(sizes) // 2], "hosts_max": max(sizes),
        "most": most.package, "everyone_hosts": everyone_hosts,
        "everyone_of": len(hosts), "everyone_ms": slowest * 1e3, "world_seconds": whole,
        "world_findings": total,
    }  # fmt: skip


def deltas(folder: Path) -> Row:
    """Move packages of one host after the other to another version that somebody has."""
    chance, took, cpu, floor = random.Random(SEED), list[float](), list[float](), list[float]()
    with Fleet(folder / "fleet.db", places) as fleet, (folder / "floor").open("w+b") as file:
        os.write(file.fileno(), bytes(WRITTEN * DELTAS))
        by_name: dict[tuple[str, str], list[Installed]] = {}
        for _, package, _ in fleet.packages():
            by_name.setdefault((package.ecosystem, package.package), []).append(package)
        known = fleet.hosts(now=1_000, silence=10**9)
        for number, host in enumerate(chance.sample(known, min(DELTAS, len(known)))):
            have = fleet.inventory(host).packages
            gone = [p for p in have if len(by_name[p.ecosystem, p.package]) > 1]
            gone = chance.sample(gone, min(MOVED, len(gone)))
            come = [_other(by_name[p.ecosystem, p.package], p) for p in gone]
            begun, used = time.perf_counter(), time.thread_time()
            assert fleet.moved(host.host, 2_000 + number, gone, come)
            took.append(time.perf_counter() - begun)
            cpu.append(time.thread_time() - used)
            begun = time.perf_counter()
            os.pwrite(file.fileno(), bytes(WRITTEN), WRITTEN * number)
            os.fdatasync(file.fileno())
            floor.append(time.perf_counter() - begun)
    return {**_spread(took), "deltas": len(took), "moved": MOVED, "cpu": _spread(cpu),
            "floor": _spread(floor)}  # fmt: skip


def _other(rows: list[Installed], than: Installed) -> Installed:
    return rows[(rows.index(than) + 1) % len(rows)]


def plans(folder: Path) -> Row:
    """From one released advisory to the text of a plan for the hosts that it exposes."""
    with Fleet(folder / "fleet.db", places) as fleet:
        facts = _released(fleet)
        made = propose("debian", [MemorySource(facts)], {fact.package for fact in facts}, 0)
        assert isinstance(made, Candidate)
        took, shown = list[tuple[float, float]](), 0
        for _ in range(RUNS):
            begun, cpu = time.perf_counter(), time.process_time()
            known = Known([Snapshot("ab" * 32, made)])
            hosts = fleet.hosts(now=1_000, silence=10**9)
            found = across(known, fleet, hosts)
            exposed = {each.host for each in found}
            inventories = fleet.inventories([h for h in hosts if h.host in exposed])
            mandate = Mandate("ab" * 32, "bench", "b", "approvals", "", (1, len(hosts)), len(hosts))
            plan = build(mandate, Hosts(inventories), rank(found, Context(1_000)), known, _covered)
            took.append((time.perf_counter() - begun, time.process_time() - cpu))
            shown = len(plan.text)
    seconds, cpu = sorted(took)[RUNS // 2]
    return {"hosts": len(hosts), "exposed": len(exposed), "seconds": seconds, "cpu_seconds": cpu,
            "plan_bytes": shown}  # fmt: skip


def _covered(_host: str, _zones: frozenset[str], facts: Mapping[str, Json]) -> Judgement:
    return Judgement(frozenset(facts))


def _released(fleet: Fleet) -> list[Fact]:
    """Give an advisory that exposes some 500 hosts, and the artefacts of its package."""
    ladders: dict[str, list[tuple[bytes, Installed, int]]] = {}
    for _, package, hosts in fleet.packages():
        if package.ecosystem == "debian:12" and "+site" not in package.version:
            row = key(package.ecosystem, package.version), package, len(hosts)
            ladders.setdefault(package.package, []).append(row)
    best: tuple[int, Installed, list[Installed]] | None = None
    for rows in ladders.values():
        rows.sort(key=lambda row: row[0])
        for end in range(1, len(rows)):
            off = abs(EXPOSED - sum(count for _, _, count in rows[:end]))
            if best is None or off < best[0]:
                best = off, rows[end][1], [row[1] for row in rows[: end + 1]]
    assert best, "there are packages of Debian 12"
    _, to, packages = best
    artefacts = [artefact(p.package, p.version, source=p.source) for p in packages]
    return [advisory(to.package, to.version, source=to.source), *artefacts]


def agree(folder: Path, rows: list[Range]) -> Row:
    """Hold 50 hosts of the fleet against the plain lookup: the same findings."""
    world, checked, found = Ranges(rows), 0, 0
    with Match(folder / "ranges.parquet") as match:
        match.split(folder / "kinds.parquet", folder / "ids.parquet")
        sums = {f"h{host:06d}": findings for host, _, findings in match.per_host()}
    for number, (inventory, _) in enumerate(_inventories(folder)):
        if number % 1_999 == 0:
            mine = sum(len(world.on(package)) for package in inventory.packages)
            assert mine == sums.get(inventory.host, 0), inventory.host
            checked, found = checked + 1, found + mine
    return {"checked_hosts": checked, "findings": found}


def measure(hosts: int) -> Row:
    """Measure one size."""
    folder = CACHE / str(hosts)
    if not (folder / "made.json").exists():
        (folder / "made.json").write_text(json.dumps(make(folder, hosts)))
    rows = list(ranges())
    write_ranges(folder, rows)
    said: Row = {"fleet": {**json.loads((folder / "made.json").read_text()), "ranges": len(rows)}}
    steps: tuple[tuple[str, Callable[[], Row]], ...] = (
        ("agree", lambda: agree(folder, rows)),
        ("cold", lambda: in_bulk(folder, "flat")), ("split", lambda: in_bulk(folder, "split")),
        ("import", lambda: load(folder)), ("advisory", lambda: advisories(folder, rows)),
        ("plan", lambda: plans(folder)),
        ("delta", lambda: deltas(folder)), ("after deltas", lambda: advisories(folder, rows)),
    )  # fmt: skip
    for name, step in steps:
        said[name] = step()
        print(f"{hosts} hosts, {name}:", _short(said[name]), flush=True)
    return said


def _short(row: Row) -> str:
    return ", ".join(f"{k} {v:.3g}" if isinstance(v, float) else f"{k} {v}" for k, v in row.items())


def main() -> None:
    """Measure each size."""
    if sys.argv[1:2] == ["--bulk"]:
        bulk(Path(sys.argv[2]), sys.argv[3])
        return
    for hosts in map(int, sys.argv[1:] or ("10000", "100000")):
        print(json.dumps(measure(hosts)))


if __name__ == "__main__":
    main()
