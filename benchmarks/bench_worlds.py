"""How long a world takes to make, verify, compare and ask; and what a shock detector says of EPSS.

    python -m benchmarks.bench_worlds [--quick]

Rows: the 62,862 CVE records, the catalogue and the 74,955 advisories of ../shared/data as claims
and ranges, and as many EPSS scores as there are flaws today (300,000, drawn with a seed, a third of
them moving from day to day). The same at one tenth. Seconds are wall time, with CPU time beside.
"""

import json
import random
import resource
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from hashlib import sha256
from pathlib import Path
from typing import Any, TypeVar

import duckdb

from answerable.feeds import agree
from answerable.feeds.facts import Advisory
from answerable.feeds.rows import Claim, Field, Range, Row
from answerable.feeds.sync import Kept
from answerable.feeds.world import World, Worlds, differ, verify

DATA = Path(__file__).parents[1].parent / "shared" / "data"
NOON, DAY, FLAWS = 1_795_305_600, 86_400, 300_000
FIELDS: tuple[Field, ...] = (
    "title", "description", "cvss", "cvss", "ssvc_exploitation", "ssvc_automatable",
    "ssvc_technical_impact", "vendor", "product",
)  # fmt: skip
T = TypeVar("T")


def _asked(question: str, name: str) -> Iterator[tuple[Any, ...]]:
    store = duckdb.connect(config={"threads": 1})
    answer = store.execute(f"{question} from read_parquet(?)", [str(DATA / name)])
    while batch := answer.fetchmany(10_000):
        yield from batch


def _cves(part: int) -> Iterator[Row]:
    question = (
        "select cve, title, description, cna_cvss_vector, adp_cvss_vector, ssvc_exploitation, "
        "ssvc_automatable, ssvc_technical_impact, vendor, product, kev_date_added"
    )
    for number, (cve, *said, listed) in enumerate(_asked(question, "cve_vulnrichment.parquet")):
        if number % part:
            continue
        values = zip(FIELDS, said, strict=True)
        yield from (Claim("vulnrichment", cve, f, str(v), 0) for f, v in values if v)
        if listed:
            yield Claim("vulnrichment", cve, "exploited", "yes", 0)


def _kev(_part: int) -> Iterator[Row]:
    for (cve,) in _asked("select cveID", "kev.parquet"):
        yield Claim("kev", cve, "exploited", "yes", 0)


def _osv(part: int) -> Iterator[Row]:
    question = "select source, id, ecosystem, package, fixed, cves"
    found = enumerate(_asked(question, "osv_fixed_versions.parquet"))
    for number, (source, name, ecosystem, package, fixed, cves) in found:
        if number % part:
            continue
        for version in fixed or [""]:
            yield Range(
                f"osv/{source}", name, ecosystem.lower(), package, "binary", "affected", "",
                version, "", tuple(sorted(cves or ())), "high", 0, 0, 0,
            )  # fmt: skip


def _epss(day: int) -> Callable[[int], Iterator[Row]]:
    def rows(part: int) -> Iterator[Row]:
        first, moved = random.Random(1), random.Random(day)
        for number in range(FLAWS // part):
            score = first.random() ** 6
            if moved.random() < 1 / 3:
                score = min(1.0, max(0.0, score + moved.gauss(0, 0.003)))
            flaw, said = f"CVE-{2005 + number // 15_000}-{number % 15_000:05}", NOON + day * DAY
            yield Claim("epss", flaw, "epss", f"{score:.5f}", said)
            yield Claim("epss", flaw, "epss_percentile", f"{number * part / FLAWS:.5f}", said)

    return rows


def documents(day: int, part: int) -> list[tuple[Kept, Iterator[Row]]]:
    """Give what a sync of this day gives."""
    made = []
    for name, rows, seen in (("cve", _cves, NOON), ("kev", _kev, NOON), ("osv", _osv, NOON),
                             ("epss", _epss(day), NOON + day * DAY)):  # fmt: skip
        digest = sha256(f"{name}{seen}".encode()).hexdigest()
        kept = Kept(name, name, "usable", sha256=digest, seen=seen)
        made.append((replace(kept, published=seen), rows(part)))
    return made


def timed(what: str, told: dict[str, Any], run: Callable[[], T]) -> T:
    """Run once; note wall and CPU seconds."""
    wall, cpu = time.perf_counter(), time.process_time()
    found = run()
    wall, cpu = time.perf_counter() - wall, time.process_time() - cpu
    told[what] = {"wall": round(wall, 2), "cpu": round(cpu, 2)}
    print(f"  {what:28} {wall:8.2f} s wall {cpu:8.2f} s CPU", flush=True)
    return found


def play(part: int, home: Path) -> dict[str, Any]:
    """Two days of a world at one part of its size."""
    told: dict[str, Any] = {"part": part}
    worlds = Worlds(home)
    first: World = timed("make", told, lambda: worlds.build(documents(0, part), NOON))
    second = timed("make the next day", told, lambda: worlds.build(documents(1, part), NOON + DAY))
    timed("verify", told, lambda: verify(second))
    shocks = timed("compare", told, lambda: differ(first, second))
    fact = Advisory("x", "pypi", "django", "django", "1", "high",
                    tuple(f"CVE-2024-{n:04}" for n in range(180)), -1, exploited=False,
                    published=0)  # fmt: skip
    timed("ask about 180 flaws", told, lambda: agree.gather(second.folder, [fact], NOON + DAY))
    told["leaves"], told["shocks"] = second.size, len(shocks)
    told["bytes"] = sum(file.stat().st_size for file in second.folder.iterdir())
    told["peak_rss_mb"] = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024
    print(f"  {told['leaves']} leaves, {told['bytes']} bytes, {told['peak_rss_mb']} MB at most")
    return told


def main() -> None:
    """Play it at one tenth, then whole."""
    if not DATA.is_dir():
        print("shared/data is absent: nothing is measured")
        return
    for part in (10,) if "--quick" in sys.argv else (10, 1):
        print(f"one of {part}:")
        with tempfile.TemporaryDirectory() as folder:
            print(json.dumps(play(part, Path(folder) / "worlds")))


if __name__ == "__main__":
    main()
