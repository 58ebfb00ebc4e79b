"""Effect-verified transactions on real hosts: times against plain apt, and how much is explained.

    python -m benchmarks.bench_transaction [--rounds 5] [--tree DIRECTORY]

* openssl and libssl3, or another pending source: upgrade and undo through the apt driver as it is
  (`apt`), and as a transaction; artefacts are there already, each round on a fresh host, in turns.
  Milliseconds of the driver's call: preview, rehearsal, explanation and commit; no download. CPU
  milliseconds (of it and all its programs) beside, since the machine is shared.
* all pending updates of the small host in one transaction, and their undo.
* study: each source with pending updates on a host of many packages (`--tree`: cache of a larger
  tree, made like the demo's), rehearsed by itself: explained, sensitive only, or flagged, and why.

Root and real hosts only. Results go to benchmarks/results/transaction.json.
"""

import argparse
import json
import statistics
import sys
import tempfile
import time
from collections import defaultdict
from pathlib import Path
from typing import Any

from answerable.demo import appliance, basetree, mirror
from answerable.demo.distribution import this_machine
from answerable.demo.fleet import Fleet
from answerable.demo.mirror import Update
from tests.live.test_fleet import World
from tests.live.test_transaction import drive

CACHE = Path(".cache/fleet").resolve()
GOALS = {"upgrade_ms": 1000, "undo_ms": 100, "explained_of_50": 45}


def world(fleet: Fleet, tree: Path, cache: Path) -> World:
    """Serve what is pending on hosts of a tree."""
    distribution = this_machine()
    root = cache / "mirror"
    for suite in (distribution.main, distribution.security):
        mirror.fetch_release(root, suite)
    installed = basetree.installed(tree)
    made = mirror.make_mirror(root, distribution, installed, int(time.time()))
    fleet.run_in_hub(made.serve(sys.executable, fleet.hub_address, 8000), 60_100)
    time.sleep(1)
    updates = {u.new.package: u for u in made.updates}
    return World(fleet, tree, distribution, updates)


def one(here: World, names: list[str], transaction: object) -> tuple[float, float, float, float]:
    """Upgrade and undo on a fresh host; give wall and CPU milliseconds of both."""
    host = f"h{time.monotonic_ns() % 100_000}"
    here.up(host)
    for undo in (False, True):
        drive(here, host, "preview", *names, undo=undo, transaction=None)
    done = drive(here, host, "upgrade", *names, transaction=transaction)
    assert done["installed"] == here.versions(names, "new"), done
    back = drive(here, host, "undo", *names, undo=True, transaction=transaction)
    assert back["installed"] == here.versions(names, "old"), back
    here.fleet.stop(host)
    return done["ms"], back["ms"], done["cpu_ms"], back["cpu_ms"]


def times(here: World, names: list[str], rounds: int) -> dict[str, object]:
    """Measure both ways in turns; give medians."""
    found = defaultdict[str, list[tuple[float, float, float, float]]](list)
    for _ in range(rounds):
        for way, transaction in (("apt", None), ("transaction", {"allow": []})):
            found[way].append(one(here, names, transaction))
    told: dict[str, object] = {"packages": len(names), "names": names[:4], "rounds": rounds}
    for way, rows in found.items():
        columns = zip(*rows, strict=True)
        for what, column in zip(
            ("upgrade", "undo", "upgrade_cpu", "undo_cpu"), columns, strict=True
        ):
            told[f"{way}_{what}_ms"] = statistics.median(column)
            told[f"{way}_{what}_best_ms"] = min(column)
    return told


def study(here: World) -> dict[str, object]:
    """Rehearse each source's updates by themselves, on one host; nothing is committed."""
    groups = defaultdict[str, list[Update]](list)
    for update in here.updates.values():
        groups[update.new.source].append(update)
    here.up("study")
    rows = dict[str, dict[str, Any]]()
    for source, updates in sorted(groups.items()):
        names = [u.new.package for u in updates]
        done = drive(here, "study", "preview", *names)
        said = done.get("message", "")
        state = "explained" if not said else "flagged"
        state = "sensitive" if said.startswith("effects of the classes") else state
        lines = done.get("also", [said] if said else [])
        rows[source] = {"state": state, "ms": done["ms"], "packages": len(names),
                        "count": len(lines), "why": lines[:6]}  # fmt: skip
        print(f"{source:24} {state:10} {done['ms']:6} ms {len(lines):5} {lines[:2]}", flush=True)
    counts = {s: sum(r["state"] == s for r in rows.values())
              for s in ("explained", "sensitive", "flagged")}  # fmt: skip
    return {
        "study": rows, **counts, "sources": len(rows),
        "installed": len(basetree.installed(here.tree)),
        "median_ms": statistics.median(r["ms"] for r in rows.values()),
        "worst_ms": max(r["ms"] for r in rows.values()),
    }  # fmt: skip


def main() -> None:
    """Measure, print, and give the results as lines of JSON."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--tree", type=Path)
    parser.add_argument("--place", type=Path, help="where hosts lie, in memory; else a disk")
    given = parser.parse_args()
    print(json.dumps({"goals": GOALS}))
    with tempfile.TemporaryDirectory(dir=given.place) as folder:
        if given.rounds:
            with Fleet(Path(folder) / "small", [CACHE]) as fleet:
                distribution = this_machine()
                release = mirror.fetch_release(CACHE / "mirror", distribution.main)
                deb = appliance.build_deb(CACHE)
                tree = basetree.base_tree(CACHE, distribution, release, deb, print)
                here = world(fleet, tree, CACHE)
                for names, rounds in ((here.group(), given.rounds), (sorted(here.updates), 1)):
                    told = times(here, names, rounds)
                    print("  ".join(f"{k} {v}" for k, v in told.items() if k != "names"))
                    print(
                        json.dumps({"place": "memory" if given.place else "disk", **told}),
                        flush=True,
                    )
        if given.tree:
            with Fleet(Path(folder) / "large", [given.tree.resolve()]) as fleet:
                tree = next(p for p in given.tree.glob("tree-*") if p.suffix != ".part")
                print(json.dumps(study(world(fleet, tree, given.tree.resolve()))), flush=True)


if __name__ == "__main__":
    main()
