"""A ranking model: an exact sum over tables, in whole numbers, as one file of canonical JSON.

    {"bands":[..],"features":"publication/1","intercept":-7340000,
     "kind":"answerable/ranking-model/v1","manifest":"<sha256>",
     "terms":[{"axes":[{"cuts":[40,70,90],"feature":"cvss","words":[]}],
               "scores":[0,-800000,-100000,400000,1300000,0]}, ..]}

A score is in millionths of a logit. A term looks its one or two features up in its axes: place 0 is
"not said", then the intervals between the cuts (a value equal to a cut lies above it) or the words,
then a last place for a word that training did not know. The scores of two axes stand row by row.
The sum of the terms and the intercept is the model's whole answer: there is nothing else in it, so
a reader can recompute it with a pencil, every machine gets the same number to the last digit, and
the file's SHA-256 names it (a `release` of two people puts it into service).

`bands` are seven rising scores: half, a fifth, a tenth, a twentieth, a fiftieth, a hundredth and a
five-hundredth of the flaws that it was trained on scored as high.

Left out: training (training.py), whether a file is the one in service (bootstrap).
"""

import math
from bisect import bisect_right
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from hashlib import sha256

from answerable.exposure.features import Features, Value
from answerable.kernel import canon
from answerable.kernel.canon import Json
from answerable.kernel.errors import demand

KIND = "answerable/ranking-model/v1"
SIZE = 8 << 20
"""Largest model that is read, bytes."""
TERMS, CELLS = 1_000, 65_536
"""Most terms of a model, most scores of a term."""
MILLIONTHS = 1_000_000
SHARES = (500, 200, 100, 50, 20, 10, 2)
"""Of a thousand flaws, how many score as high as each band's lower end."""
_AXIS = {"feature": "id", "cuts": ["any"], "words": ["text"]}
_SHAPE = {
    "bands": ["any"], "features": "text", "intercept": "any", "kind": (KIND,), "manifest": "hex",
    "terms": [{"axes": [_AXIS], "scores": ["any"]}],
}  # fmt: skip


@dataclass(frozen=True)
class Axis:
    """How a feature's value finds its place; either cuts or words, or neither (only presence)."""

    feature: str
    cuts: tuple[int, ...] = ()
    words: tuple[str, ...] = ()

    @cached_property
    def _known(self) -> Mapping[str, int]:
        return {word: place for place, word in enumerate(self.words, 1)}

    @property
    def places(self) -> int:
        """How many places there are."""
        return 2 + (len(self.words) if self.words else len(self.cuts) + 1)

    def place(self, value: Value) -> int:
        """Give the place of a value."""
        if value is None:
            return 0
        if isinstance(value, str):
            return self._known.get(value, self.places - 1)
        return 1 + bisect_right(self.cuts, value) if not self.words else self.places - 1

    def spelled(self, place: int) -> str:
        """Say in words which values lie at a place."""
        if place == 0:
            return "not said"
        if place == self.places - 1:
            return "another"
        if self.words:
            return self.words[place - 1]
        low = self.cuts[place - 2] if place > 1 else None
        high = self.cuts[place - 1] if place <= len(self.cuts) else None
        if low is None:
            return "any" if high is None else f"below {high}"
        return f"{low} or more" if high is None else f"{low} to {high - 1}"


@dataclass(frozen=True)
class Term:
    """A table over one or two features; scores in millionths of a logit, row by row."""

    axes: tuple[Axis, ...]
    scores: tuple[int, ...]

    @property
    def name(self) -> str:
        """The features' names."""
        return " x ".join(axis.feature for axis in self.axes)

    def cell(self, places: Sequence[int]) -> int:
        """Give the score at these places."""
        at = 0
        for axis, place in zip(self.axes, places, strict=True):
            at = at * axis.places + place
        return self.scores[at]

    def score(self, said: Features) -> int:
        """Give what this term adds for these features."""
        return self.cell([axis.place(said.get(axis.feature)) for axis in self.axes])

    def instead(self, said: Features, feature: str, value: Value) -> int:
        """Give what this term would add if one feature had another value."""
        names = (axis.feature for axis in self.axes)
        values = (value if name == feature else said.get(name) for name in names)
        return self.cell([a.place(v) for a, v in zip(self.axes, values, strict=True)])


@dataclass(frozen=True)
class Part:
    """What a term added to one score, and for which values."""

    name: str
    values: tuple[Value, ...]
    millionths: int


@dataclass(frozen=True)
class Change:
    """A value of one feature that would put the flaw into another band."""

    feature: str
    now: Value
    instead: str
    score: int
    band: int


@dataclass(frozen=True)
class Model:
    """A model; made only by `read` or `Model(..)` of a trainer.

    Args:
        features: name of the set of features that it expects.
        manifest: SHA-256 of the manifest it was trained from, hex.
        bands: lower ends, rising (see above).
    """

    features: str
    manifest: str
    intercept: int
    terms: tuple[Term, ...]
    bands: tuple[int, ...]

    @cached_property
    def text(self) -> str:
        """The one spelling."""
        return canon.encode({
            "kind": KIND, "features": self.features, "manifest": self.manifest,
            "intercept": self.intercept, "bands": list(self.bands),
            "terms": [
                {"axes": [{"feature": a.feature, "cuts": list(a.cuts), "words": list(a.words)}
                          for a in term.axes], "scores": list(term.scores)}
                for term in self.terms
            ],
        })  # fmt: skip

    @cached_property
    def sha256(self) -> str:
        """The name of the model, hex."""
        return sha256(self.text.encode()).hexdigest()

    def score(self, said: Features) -> int:
        """Give the score of a flaw, millionths of a logit."""
        return self.intercept + sum(term.score(said) for term in self.terms)

    def band(self, score: int) -> int:
        """Give how many bands' lower ends a score reaches, 0 to `len(SHARES)`."""
        return bisect_right(self.bands, score)

    def parts(self, said: Features) -> list[Part]:
        """Take a score apart: the parts and the intercept add up to it exactly; largest first."""
        found = [
            Part(term.name, tuple(said.get(a.feature) for a in term.axes), term.score(said))
            for term in self.terms
        ]
        return sorted(found, key=lambda part: (-abs(part.millionths), part.name))

    def changes(self, said: Features) -> Iterator[Change]:
        """Give for each feature the value nearest in score that would change the band, if any."""
        now = self.score(said)
        for feature, terms in self._by_feature.items():
            rest = now - sum(term.score(said) for term in terms)
            best: Change | None = None
            for value, spelled in _alternatives(feature, terms):
                score = rest + sum(term.instead(said, feature, value) for term in terms)
                band = self.band(score)
                nearer = best is None or abs(score - now) < abs(best.score - now)
                if band != self.band(now) and nearer:
                    best = Change(feature, said.get(feature), spelled, score, band)
            if best:
                yield best

    @cached_property
    def _by_feature(self) -> Mapping[str, list[Term]]:
        names = sorted({axis.feature for term in self.terms for axis in term.axes})
        return {
            name: [term for term in self.terms if name in {axis.feature for axis in term.axes}]
            for name in names
        }


def _alternatives(feature: str, terms: Sequence[Term]) -> Iterator[tuple[Value, str]]:
    seen = set()
    for axis in (axis for term in terms for axis in term.axes if axis.feature == feature):
        for place in range(axis.places - 1):
            value = _value(axis, place)
            if value not in seen:
                seen.add(value)
                yield value, axis.spelled(place)


def _value(axis: Axis, place: int) -> Value:
    if place == 0:
        return None
    if axis.words:
        return axis.words[place - 1]
    if not axis.cuts:
        return 0
    return axis.cuts[place - 2] if place > 1 else axis.cuts[0] - 1


def probability(score: int) -> float:
    """Give the probability that a score stands for; for people, never for a decision."""
    return 1 / (1 + math.exp(-max(-60.0, min(60.0, score / MILLIONTHS))))


def read(data: bytes) -> Model:
    """Read a model's file.

    Raises:
        Refused: `too_large` or `malformed`.
    """
    value = canon.read(data, SIZE, _SHAPE)
    demand(0 < len(value["terms"]) <= TERMS, "malformed", f"at most {TERMS} terms, and one")
    terms = tuple(_term(term) for term in value["terms"])
    numbers = [value["intercept"], *value["bands"]]
    demand(_whole(numbers), "malformed", "scores are whole numbers")
    bands = tuple(value["bands"])
    demand(len(bands) == len(SHARES) and bands == tuple(sorted(bands)), "malformed", "the bands")
    return Model(value["features"], value["manifest"], value["intercept"], terms, bands)


def _term(value: Json) -> Term:
    demand(len(value["axes"]) in (1, 2), "malformed", "a term has one axis or two")
    axes = tuple(_axis(axis) for axis in value["axes"])
    scores = tuple(value["scores"])
    cells = math.prod(axis.places for axis in axes)
    demand(_whole(scores) and len(scores) == cells <= CELLS, "malformed", "the scores of a term")
    return Term(axes, scores)


def _axis(value: Json) -> Axis:
    cuts, words = value["cuts"], value["words"]
    demand(_whole(cuts) and cuts == sorted(set(cuts)), "malformed", "cuts rise")
    demand(len(set(words)) == len(words) and not (cuts and words), "malformed", "words stand once")
    return Axis(value["feature"], tuple(cuts), tuple(words))


def _whole(numbers: Sequence[Json]) -> bool:
    return all(type(number) is int for number in numbers)
