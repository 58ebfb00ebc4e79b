"""Adversarial examples: what somebody would publish to steer a learned ranking.

Two kinds, made from true examples and a seed, the same each time:

- evasion: an exploited flaw, described in the words, weaknesses and scores of a harmless one;
- inflation: a harmless flaw, described in those of an exploited one.

Each keeps its end, and what its author cannot choose: the name, the date, who named it, whose
product it is in. So nothing tells them from true flaws but what became of them.

Training on them (the `adversarial` of a recipe) is measured beside training without
(benchmarks/bench_ranking.py); the manifest counts them. Left out: attacks that forge who published
(agreement of channels stops those, manifest.py rule 2).
"""

import random
from collections.abc import Sequence
from dataclasses import replace

from answerable.exposure.features import Flaw


def disguise(flaw: Flaw, like: Flaw) -> Flaw:
    """Describe a flaw as if it were another."""
    return replace(
        flaw, vector=like.vector, cwes=like.cwes, title=like.title, description=like.description,
        references=like.references,
    )  # fmt: skip


def forge(examples: Sequence[tuple[Flaw, bool]], count: int, seed: int) -> list[tuple[Flaw, bool]]:
    """Give `count` examples of each kind, or as many as there are exploited flaws and others."""
    chance = random.Random(seed)  # noqa: S311  the same each time, by intention
    bad = [flaw for flaw, end in examples if end]
    calm = [flaw for flaw, end in examples if not end]
    some = min(count, len(bad), len(calm))
    evasions = zip(chance.sample(bad, some), chance.sample(calm, some), strict=True)
    inflations = zip(chance.sample(calm, some), chance.sample(bad, some), strict=True)
    return [
        *((disguise(flaw, like), True) for flaw, like in evasions),
        *((disguise(flaw, like), False) for flaw, like in inflations),
    ]
