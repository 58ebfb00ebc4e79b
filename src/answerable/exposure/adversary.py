"""Adversarial examples: what somebody would publish to steer a learned ranking.

Two kinds, made from true examples and a seed, the same each time:

- evasion: an exploited flaw, described so that nothing alarms: score and weaknesses left out, every
  phrase that features.py looks for taken out of the text. It keeps its end: exploited.
- inflation: a harmless flaw, described as the worst of all: highest score, worst weaknesses, every
  alarming phrase. It keeps its end: not exploited.

Training on them (the `adversarial` of a recipe) is measured beside training without
(benchmarks/bench_ranking.py); the manifest counts them. Left out: attacks that forge who published
(agreement of channels stops those, manifest.py rule 2).
"""

import random
import re
from collections.abc import Sequence
from dataclasses import replace

from answerable.exposure.features import PHRASES, Flaw

WORST = "CVSS:3.1/AV:N/AC:L/PR:N/UI:N/S:C/C:H/I:H/A:H"
ALARMS = (
    "unauthenticated remote code execution", "authentication bypass", "command injection",
    "a specially crafted request to the web management interface", "deserialization",
    "firewall and VPN gateway appliances", "exploited in the wild", "sandbox escape",
    "arbitrary file upload", "use after free", "privilege escalation on Windows",
)  # fmt: skip
_ALARMING = re.compile("|".join(PHRASES.values()), re.IGNORECASE)


def evade(flaw: Flaw) -> Flaw:
    """Describe a flaw so that nothing alarms."""
    calm = _ALARMING.sub("an issue", flaw.description)
    return replace(flaw, vector="", cwes=(), title="", description=calm, cna="", references=1)


def inflate(flaw: Flaw, chance: random.Random) -> Flaw:
    """Describe a flaw as the worst of all; each time in other words."""
    words = chance.sample(ALARMS, len(ALARMS) // 2)
    said = f"{flaw.description[:80]} allows {', '.join(words)}"
    return replace(
        flaw, vector=WORST, cwes=("CWE-78", "CWE-288", "CWE-502"), title="", description=said,
        references=chance.randrange(1, 9),
    )  # fmt: skip


def forge(examples: Sequence[tuple[Flaw, bool]], count: int, seed: int) -> list[tuple[Flaw, bool]]:
    """Give `count` examples of each kind, or as many as there are true ones to make them from."""
    chance = random.Random(seed)  # noqa: S311  the same each time, by intention
    bad = [flaw for flaw, end in examples if end]
    calm = [flaw for flaw, end in examples if not end]
    evaded = [(evade(flaw), True) for flaw in chance.sample(bad, min(count, len(bad)))]
    some = chance.sample(calm, min(count, len(calm), len(bad) or count))
    return evaded + [(inflate(flaw, chance), False) for flaw in some]
