"""Version keys: held to the reference tools on real and damaged versions, and how fast they are.

    python -m benchmarks.bench_keys [--quick]

Each scheme's real versions come from the shared data; a third of the pairs are two of them, the
others one and what damage makes of it. Pairs of which either is no version (for us or for the tool)
are drawn anew. A mismatch is printed and fails the run. Tools: apt_pkg and dpkg itself, rpm's
labelCompare, packaging, node-semver; those that are not installed are named as not asked. Maven's
`ComparableVersion` is asked of made-up versions, in the forms that have an order.

Rates: keys built a second by this thread's CPU time, and comparisons of ready keys a second.
"""

import json
import random
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from functools import cache
from itertools import pairwise

from packaging.version import InvalidVersion, Version

from answerable.exposure.keys import key
from answerable.kernel.errors import Refused
from tests.exposure import maven
from tests.exposure.versions import (
    Pair,
    bound,
    by_binding,
    by_node,
    by_packaging,
    pairs,
    real_versions,
)

SEED, CHUNK = 20_261_122, 50_000
Tool = Callable[[Sequence[Pair]], list[int]]


def _dpkg(asked: Sequence[Pair]) -> list[int]:
    found = []
    for old, new in asked:
        less, same = (
            subprocess.run(
                ["/usr/bin/dpkg", "--compare-versions", old, how, new],
                check=False, stderr=subprocess.DEVNULL,
            ).returncode == 0
            for how in ("lt", "eq")
        )  # fmt: skip
        found.append(-1 if less else int(not same))
    return found


def _known_to_packaging(version: str) -> bool:
    try:
        Version(version)
    except InvalidVersion:
        return False
    return True


TOOLS: tuple[tuple[str, str, int, bool, Tool], ...] = (
    ("apt_pkg", "debian:12", 2_000_000, bound("apt_pkg"), lambda p: by_binding("apt_pkg", p)),
    ("dpkg", "debian:12", 20_000, True, _dpkg),
    ("rpm", "almalinux:9", 400_000, bound("rpm"), lambda p: by_binding("rpm", p)),
    ("node-semver", "npm", 300_000, True, by_node),
    ("packaging", "pypi", 300_000, True, by_packaging),
    ("ComparableVersion", "maven", 300_000, maven.there(), maven.by_maven),
)


def _made(count: int) -> Iterator[list[Pair]]:
    chance = random.Random(SEED)
    while count > 0:
        asked: list[Pair] = []
        while len(asked) < min(count, CHUNK):
            asked += pairwise(maven.made(chance))
        yield asked[:count]
        count -= len(asked)


def _asked(ecosystem: str, count: int, known: Callable[[str], bool]) -> Iterator[list[Pair]]:
    if ecosystem == "maven":
        yield from _made(count)
        return
    chance, real = random.Random(SEED), [v for v in real_versions(ecosystem) if known(v)]
    while count > 0:
        sound = [
            pair for pair in pairs(chance, ecosystem, real, CHUNK) if all(map(known, pair))
        ][:count]  # fmt: skip
        count -= len(sound)
        yield sound


def hold(name: str, ecosystem: str, count: int, tool: Tool) -> dict[str, object]:
    """Compare so many pairs; give how many differ."""
    one = cache(key)

    @cache
    def known(version: str) -> bool:
        try:
            key(ecosystem, version)
        except Refused:
            return False
        return ecosystem != "pypi" or _known_to_packaging(version)

    done = equal = wrong = 0
    for asked in _asked(ecosystem, count, known):
        for (old, new), theirs in zip(asked, tool(asked), strict=True):
            a, b = one(ecosystem, old), one(ecosystem, new)
            ours = (a > b) - (a < b)
            done, equal = done + 1, equal + (theirs == 0)
            if ours != theirs:
                wrong += 1
                print(f"{name}: `{old}` and `{new}`: {ours}, not {theirs}")
    return {"tool": name, "pairs": done, "equal": equal, "mismatches": wrong}


def rates(ecosystem: str) -> dict[str, object]:
    """Give how many keys are built, and how many comparisons made, in a second of CPU."""
    real = real_versions(ecosystem)
    begun, keys = time.thread_time(), []
    for version in real:
        try:
            keys.append(key(ecosystem, version))
        except Refused:
            continue
    built = len(keys) / (time.thread_time() - begun)
    random.Random(SEED).shuffle(keys)
    begun = time.thread_time()
    for old, new in pairwise(keys):
        old < new  # noqa: B015  what is timed
    compared = len(keys) / (time.thread_time() - begun)
    sizes = sum(map(len, keys)) / len(keys)
    return {"ecosystem": ecosystem, "distinct": len(real), "refused": len(real) - len(keys),
            "keys_per_second": round(built), "compared_per_second": round(compared),
            "bytes_each": round(sizes, 1)}  # fmt: skip


def main() -> int:
    """Measure; fail on a mismatch."""
    share, wrong = 100 if "--quick" in sys.argv else 1, 0
    for name, ecosystem, count, there, tool in TOOLS:
        if not there:
            print(f"{name}: not installed, not asked")
            continue
        row = hold(name, ecosystem, count // share, tool)
        wrong += int(str(row["mismatches"]))
        print(f"{name}: {row['mismatches']} mismatches in {row['pairs']} pairs")
        print(json.dumps(row))
    for ecosystem in ("debian:12", "almalinux:9", "npm", "pypi"):
        row = rates(ecosystem)
        print(f"{ecosystem}: {row['keys_per_second']} keys a second")
        print(json.dumps(row))
    return int(wrong > 0)


if __name__ == "__main__":
    sys.exit(main())
