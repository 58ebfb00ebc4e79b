"""How good a ranking is, and whether a new model may replace the one in service.

A golden set is one file of canonical JSON: flaws with their features as of publication and whether
they were exploited later, frozen, so that two models are asked the same questions.

    {"features":"publication/1","kind":"answerable/golden-set/v1",
     "rows":[{"cve":"CVE-2024-3094","exploited":true,"said":{"cvss":100,..}},..]}

The gate, which asks for the judgement of two people and judges nothing itself:

1. the order of the golden set moved: Spearman's rank correlation with the model in service is below
   `CORRELATION` (natural monthly updates measured 0.949 to 0.989, poisoned ones mostly below);
2. the exploited ones fell: their share in the first twentieth dropped by `DROP` or more;
3. there is no model in service to compare with, or it sees other features.

Measures (all in pure arithmetic, equal ranks shared): area under the ROC curve; coverage at an
effort, the share of exploited flaws among the first so many of all; average precision; expected
calibration error over ten equal intervals of probability.

Left out: who the two people are (kernel, `release`), what made the model worse.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from hashlib import sha256
from itertools import groupby, pairwise

from answerable.exposure.features import Features
from answerable.exposure.model import Model, probability
from answerable.kernel import canon
from answerable.kernel.canon import Json
from answerable.kernel.errors import demand

KIND = "answerable/golden-set/v1"
SIZE = 64 << 20
"""Largest golden set that is read, bytes."""
CORRELATION = 0.945
DROP = 0.05
EFFORT = 0.05
"""Share of all flaws that the gate's coverage looks at."""
MOVERS = 5
"""How many of the flaws that moved most are shown."""
_ROW = {"cve": "name", "exploited": "bool", "said": {"*": "any"}}
_SHAPE = {"features": "text", "kind": (KIND,), "rows": [_ROW]}


@dataclass(frozen=True)
class Question:
    """A flaw of the set."""

    cve: str
    said: Features
    exploited: bool


@dataclass(frozen=True)
class Golden:
    """A frozen set of flaws with known ends."""

    features: str
    rows: tuple[Question, ...]

    @cached_property
    def text(self) -> str:
        """The one spelling."""
        rows = [{"cve": r.cve, "exploited": r.exploited, "said": dict(r.said)} for r in self.rows]
        return canon.encode({"features": self.features, "kind": KIND, "rows": rows})

    @property
    def sha256(self) -> str:
        """The name of the set, hex."""
        return sha256(self.text.encode()).hexdigest()

    @property
    def ends(self) -> list[bool]:
        """Which were exploited."""
        return [row.exploited for row in self.rows]

    def scores(self, model: Model) -> list[int]:
        """Ask a model about every flaw."""
        return [model.score(row.said) for row in self.rows]


def read(data: bytes) -> Golden:
    """Read a golden set.

    Raises:
        Refused: `too_large` or `malformed`; also if none or all of it was exploited.
    """
    value = canon.read(data, SIZE, _SHAPE)
    rows = tuple(Question(r["cve"], _said(r["said"]), r["exploited"]) for r in value["rows"])
    ends = {row.exploited for row in rows}
    demand(len(ends) == 2, "malformed", "a golden set holds exploited flaws and others")  # noqa: PLR2004
    return Golden(value["features"], rows)


def _said(value: Json) -> Features:
    kinds = {type(each) for each in value.values()}
    demand(kinds <= {int, str, type(None)}, "malformed", "a feature is a number, a word or null")
    return dict(value)


def auc(scores: Sequence[int], ends: Sequence[bool]) -> float:
    """Give the chance that an exploited flaw scores above another (ties count half)."""
    ranks, good = _ranks(scores), sum(ends)
    total = sum(rank for rank, end in zip(ranks, ends, strict=True) if end)
    return (total - good * (good + 1) / 2) / (good * (len(ends) - good))


def coverage(scores: Sequence[int], ends: Sequence[bool], effort: float) -> float:
    """Give the share of exploited flaws in the first `effort` of all; ties by their share."""
    budget, found = effort * len(scores), 0.0
    for group in _groups(scores, ends):
        found += sum(group) * min(1.0, budget / len(group))
        budget -= len(group)
        if budget <= 0:
            break
    return found / sum(ends)


def precision(scores: Sequence[int], ends: Sequence[bool]) -> float:
    """Give the average precision: at each score that an exploited flaw has, how many are so."""
    seen = hits = total = 0.0
    for group in _groups(scores, ends):
        seen, hits = seen + len(group), hits + sum(group)
        total += sum(group) * hits / seen
    return total / sum(ends)


def calibration(scores: Sequence[int], ends: Sequence[bool], bins: int = 10) -> float:
    """Give the expected calibration error of the probabilities that the scores stand for."""
    sums = [[0.0, 0.0] for _ in range(bins)]
    for score, end in zip(scores, ends, strict=True):
        chance = probability(score)
        at = sums[min(int(chance * bins), bins - 1)]
        at[0], at[1] = at[0] + chance, at[1] + end
    return sum(abs(expected - came) for expected, came in sums) / len(scores)


def correlation(one: Sequence[int], other: Sequence[int]) -> float:
    """Give Spearman's rank correlation; 0 if either says the same of all."""
    a, b = _ranks(one), _ranks(other)
    mean = (len(a) + 1) / 2
    cross = sum((x - mean) * (y - mean) for x, y in zip(a, b, strict=True))
    spread = sum((x - mean) ** 2 for x in a) * sum((y - mean) ** 2 for y in b)
    return cross / spread**0.5 if spread else 0.0


def quality(scores: Sequence[int], ends: Sequence[bool]) -> dict[str, float]:
    """Measure a ranking in every way."""
    efforts = (1, 5, 10, 20)
    covered = {f"coverage_{share}": coverage(scores, ends, share / 100) for share in efforts}
    return {
        "auc": auc(scores, ends), "precision": precision(scores, ends), **covered,
        "calibration": calibration(scores, ends),
    }  # fmt: skip


def _groups(scores: Sequence[int], ends: Sequence[bool]) -> Iterator[list[bool]]:
    order = sorted(zip(scores, ends, strict=True), key=lambda row: -row[0])
    for _, rows in groupby(order, key=lambda row: row[0]):
        yield [end for _, end in rows]


def _ranks(scores: Sequence[int]) -> list[float]:
    order = sorted(range(len(scores)), key=scores.__getitem__)
    ranks = [0.0] * len(scores)
    edges = [0, *(n for n in range(1, len(order)) if _differ(scores, order, n)), len(order)]
    for low, high in pairwise(edges):
        for at in order[low:high]:
            ranks[at] = (low + 1 + high) / 2
    return ranks


def _differ(scores: Sequence[int], order: Sequence[int], n: int) -> bool:
    return scores[order[n]] != scores[order[n - 1]]


@dataclass(frozen=True)
class Shadow:
    """What a new model says of the golden set beside the one in service.

    Args:
        serving: SHA-256 of the model in service, or empty.
        correlation: 1 if there is none in service.
        movers: flaw, its old and its new place (0 is the first), the farthest moved first.
        reasons: why two people must look; empty if the gate stays quiet.
    """

    serving: str
    proposed: str
    correlation: float
    coverage: tuple[float, float]
    auc: tuple[float, float]
    movers: tuple[tuple[str, int, int], ...]
    reasons: tuple[str, ...]


def shadow(serving: Model | None, proposed: Model, golden: Golden) -> Shadow:
    """Let a proposed model answer beside the one in service, and say what the gate sees."""
    ends, new = golden.ends, golden.scores(proposed)
    usable = serving is not None and serving.features == proposed.features == golden.features
    old = golden.scores(serving) if usable and serving else new
    rho = correlation(old, new)
    covered = (coverage(old, ends, EFFORT), coverage(new, ends, EFFORT))
    reasons = []
    if not usable:
        reasons.append("no model in service sees the same features, so nothing can be compared")
    if rho < CORRELATION:
        reasons.append(f"the order moved: rank correlation {rho:.3f} is below {CORRELATION}")
    if covered[0] - covered[1] >= DROP - 1e-9:  # a drop of exactly 0.05 is one, also in binary
        reasons.append(f"exploited flaws fell: coverage {covered[0]:.3f} to {covered[1]:.3f}")
    name = serving.sha256 if serving else ""
    return Shadow(
        name, proposed.sha256, rho, covered, (auc(old, ends), auc(new, ends)),
        tuple(_movers(golden, old, new)), tuple(reasons),
    )  # fmt: skip


def _movers(golden: Golden, old: Sequence[int], new: Sequence[int]) -> list[tuple[str, int, int]]:
    places = [_places(golden, scores) for scores in (old, new)]
    rows = [(row.cve, places[0][row.cve], places[1][row.cve]) for row in golden.rows]
    rows.sort(key=lambda row: (-abs(row[1] - row[2]), row[0]))
    return [row for row in rows[:MOVERS] if row[1] != row[2]]


def _places(golden: Golden, scores: Sequence[int]) -> Mapping[str, int]:
    named = zip((row.cve for row in golden.rows), scores, strict=True)
    order = sorted(named, key=lambda row: (-row[1], row[0]))
    return {cve: place for place, (cve, _) in enumerate(order)}
