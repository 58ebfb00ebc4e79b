"""Effect-verified transactions on real hosts: times against plain apt, and how much is explained.

    python -m benchmarks.bench_transaction [--rounds 5] [--tree DIRECTORY] [--place DIRECTORY]

* openssl and libssl3, or another pending source: upgrade and undo through the apt driver as it is
  (`apt`), and as a transaction; artefacts are there already, each round on a fresh host, in turns.
  Milliseconds of the driver's call: preview, rehearsal, explanation and commit; no download. CPU
  milliseconds (of it and all its programs) beside, since the machine is shared.
* all pending updates of the small host in one transaction, and their undo.
* posture: what an observer's foot answers, in a process that has done so once before.

With `--tree` the same of a large host, a server of many services (`server.txt`), whose tree is
built in that folder and kept there: what the distribution's release suite holds, without its
security suite. So what is pending are all updates since the point release, computed on the day.

* study: each source package with pending updates, rehearsed by itself: explained; sensitive only;
  flagged, and why; broken, if apt alone cannot install it here either.
* many: `MANY` of those that are explained, and the same when rehearsed again, in one transaction,
  undone; every path compared.

Root and real hosts only. `--place` is where the hosts' own layers lie.
"""

import argparse
import json
import shutil
import statistics
import sys
import tempfile
import time
from collections import defaultdict
from collections.abc import Iterator
from itertools import islice
from pathlib import Path
from typing import Any

import answerable
from answerable.demo import appliance, basetree, mirror
from answerable.demo.distribution import this_machine
from answerable.demo.fleet import Fleet
from answerable.demo.mirror import Update
from tests.live.test_fleet import World
from tests.live.test_transaction import differing, drive, sweep

CACHE = Path(".cache/fleet").resolve()
SERVER = (*basetree.PACKAGES, *Path(__file__).with_name("server.txt").read_text("utf-8").split())
"""What a server of many services holds; which of it has an update pending is computed."""
GOALS = {"upgrade_ms": 1000, "undo_ms": 100, "explained_of_50": 45, "posture_ms": 150}
MANY = 25
"""Source packages of one large transaction."""
LOOKS = 9
LOOK = f"""
import json, time
from pathlib import Path
from answerable.observe.foot import answer
def look():
    begun, cpu = time.perf_counter(), time.process_time()
    answer("posture", Path("/"))
    return (time.perf_counter() - begun) * 1e3, (time.process_time() - cpu) * 1e3
print(json.dumps([look() for _ in range({LOOKS} + 1)]))
"""


def world(fleet: Fleet, cache: Path, packages: tuple[str, ...]) -> World:
    """Build the tree of these packages if it is not in the cache; serve what is pending on it."""
    distribution, root = this_machine(), cache / "mirror"
    releases = [mirror.fetch_release(root, s) for s in (distribution.main, distribution.security)]
    deb = appliance.build_deb(cache)
    tree = basetree.base_tree(cache, distribution, releases[0], deb, print, packages)
    made = mirror.make_mirror(root, distribution, basetree.installed(tree), int(time.time()))
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


def posture(here: World) -> dict[str, object]:
    """Look at the posture of a host from inside, as its observer's foot does."""
    here.up("seen")
    room = Path(answerable.__file__).parent / "observe"
    shutil.copytree(room, here.fleet.root("seen") / "opt/answerable/observe")
    argv = ["/usr/bin/env", "PYTHONPATH=/opt", "/usr/bin/python3", "-c", LOOK]
    first, *again = json.loads(here.said("seen", *argv))
    paths = int(here.said("seen", "sh", "-c", "find / -xdev | wc -l"))
    here.fleet.stop("seen")
    wall, cpu = zip(*again, strict=True)
    return {"posture_ms": round(statistics.median(wall)), "posture_best_ms": round(min(wall)),
            "posture_cpu_ms": round(statistics.median(cpu)), "posture_first_ms": round(first[0]),
            "paths": paths}  # fmt: skip


def steady(here: World, rows: dict[str, dict[str, Any]]) -> Iterator[str]:
    """Give the sources that are explained, and have the same effects when rehearsed again."""
    for source, row in rows.items():
        names = [n for n, u in here.updates.items() if u.new.source == source]
        if row["state"] == "explained":
            again = drive(here, "study", "preview", *names).get("seen", ["another"])[0]
            if again == row["effects"]:
                yield source
            else:
                print(f"{source}: other effects when rehearsed again")


def many(here: World, sources: list[str]) -> dict[str, object]:
    """Do the updates of these sources in one transaction, and undo it; no path may differ."""
    names = sorted(n for n, u in here.updates.items() if u.new.source in sources)
    here.up("many")
    before = sweep(here, "many")
    done = drive(here, "many", "upgrade", *names)
    assert done["installed"] == here.versions(names, "new"), done
    changed = len(differing(before, sweep(here, "many")))
    back = drive(here, "many", "undo", *names, undo=True)
    assert back["installed"] == here.versions(names, "old"), back
    left = differing(before, sweep(here, "many"))
    here.fleet.stop("many")
    return {"many": sources, "packages": len(names), "upgrade_ms": done["ms"], "paths": len(before),
            "undo_ms": back["ms"], "changed": changed, "differing": left}  # fmt: skip


def plain(here: World, names: list[str]) -> bool:
    """Tell whether apt alone can install these on a fresh host."""
    here.up("plain")
    done = drive(here, "plain", "upgrade", *names, transaction=None)
    here.fleet.stop("plain")
    return "error" not in done


def study(here: World) -> dict[str, Any]:
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
        if state == "flagged" and not plain(here, names):
            state = "broken"
        lines = done.get("also", [said] if said else [])
        rows[source] = {"state": state, "ms": done["ms"], "packages": len(names),
                        "count": len(lines), "said": said[:300], "why": lines[:6],
                        "effects": done.get("seen", [""])[0]}  # fmt: skip
        print(f"{source:24} {state:10} {done['ms']:6} ms {len(lines):5} {lines[:2]}", flush=True)
    counts = {s: sum(r["state"] == s for r in rows.values())
              for s in ("explained", "sensitive", "flagged", "broken")}  # fmt: skip
    return {
        "study": rows, **counts, "sources": len(rows),
        "installed": len(basetree.installed(here.tree)),
        "median_ms": statistics.median(r["ms"] for r in rows.values()),
        "worst_ms": max(r["ms"] for r in rows.values()),
    }  # fmt: skip


def told(row: dict[str, Any]) -> None:
    """Print a result as a line of JSON, and the numbers in it for people."""
    print("  ".join(f"{k} {v}" for k, v in row.items() if isinstance(v, int | float)))
    print(json.dumps(row), flush=True)


def small(folder: Path, place: str, rounds: int) -> None:
    """Measure on the demo's host."""
    with Fleet(folder, [CACHE]) as fleet:
        here = world(fleet, CACHE, basetree.PACKAGES)
        for names, count in ((here.group(), rounds), (sorted(here.updates), 1)):
            told({"place": place, **times(here, names, count)})
        told({"place": place, **posture(here)})


def large(folder: Path, place: str, rounds: int, cache: Path) -> None:
    """Measure on a server of many services."""
    with Fleet(folder, [cache]) as fleet:
        here = world(fleet, cache, SERVER)
        found = study(here)
        told(found)
        told({"place": place, **many(here, [*islice(steady(here, found["study"]), MANY)])})
        told({"place": place, "tree": "large", **times(here, here.group(), rounds)})
        told({"place": place, "tree": "large", **posture(here)})


def main() -> None:
    """Measure, print, and give the results as lines of JSON."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--tree", type=Path)
    parser.add_argument("--place", type=Path, help="where hosts lie, in memory; else a disk")
    given = parser.parse_args()
    print(json.dumps({"goals": GOALS}))
    with tempfile.TemporaryDirectory(dir=given.place) as folder:
        place = "memory" if given.place else "disk"
        small(Path(folder) / "small", place, given.rounds)
        if given.tree:
            large(Path(folder) / "large", place, given.rounds, given.tree.resolve())


if __name__ == "__main__":
    main()
