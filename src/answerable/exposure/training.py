"""Training a ranking model: an Explainable Boosting Machine, turned into whole numbers.

The trainer is interpret-core (extra `train`), and this file its only door. What it learned is read
out of it table by table, rounded to millionths of a logit, and checked against its own answers;
the model's file (model.py) needs nothing of it.

Rules:

1. The same manifest, seed and version of the trainer give the same model.
2. Words that fewer than `FEW` examples use have no place of their own.
3. The own tables of score and earlier listings only rise (`RISING`), so that an explanation can be
   read without surprise; a table of two features may bend that.
4. Differential privacy is an option with a price in quality, which the caller measures. It protects
   people whose records are trained on; it does not protect a model from poisoned examples, and
   nothing here says so.

Left out: how good the model is (golden.py), whether it may serve.
"""

import math
import warnings
from collections import Counter
from collections.abc import Mapping, Sequence
from hashlib import sha256
from importlib.metadata import version
from typing import Any

from answerable.exposure.features import VERSION, Value
from answerable.exposure.manifest import Prepared, Row
from answerable.exposure.model import MILLIONTHS, SHARES, Axis, Model, Term
from answerable.kernel.errors import Unavailable

FEW = 25
OTHER = "(other)"
RISING = ("cvss", "vendor_kev", "product_kev")
CLOSE = 1e-3
"""How far the whole numbers may be from the trainer's own answer, logits."""
CHECKED = 500
"""Rows on which that is checked."""
ABSENT, SAID_NOT = -1, "(not said)"
"""How the private trainer, which knows no absence, is told of it."""
BOUNDS = {"cvss": 100, "refs": 20, "words": 400, "lag": 10, "vendor_kev": 300, "product_kev": 100,
          "cna_kev": 300}  # fmt: skip
"""Largest numbers that count under differential privacy, whose bounds must not be those of the
data; of every other feature it is 1."""


class Untrainable(Unavailable):
    """The trainer is not installed, or what it made cannot be used."""


def fit(prepared: Prepared, jobs: int = 1) -> tuple[Model, str]:
    """Train; give the model and the manifest's text.

    Args:
        jobs: processes at once.

    Raises:
        Untrainable: without the extra, without listed examples, or if the tables do not add up to
            what the trainer says.
    """
    try:
        import pandas as pd  # noqa: PLC0415  an extra
        from interpret import glassbox, privacy  # noqa: PLC0415  an extra
    except ImportError as error:
        raise Untrainable("training needs the extra: pip install 'answerable[train]'") from error
    ends = [end for _, end in prepared.rows]
    if len(set(ends)) != 2:  # noqa: PLR2004  both kinds
        raise Untrainable("training needs flaws that were listed as exploited, and others")
    names = list(prepared.rows[0][0])
    words = {name: _words(prepared.rows, name) for name in names}
    recipe = prepared.recipe
    private = bool(recipe.epsilon_thousandths)
    frame = pd.DataFrame({
        name: _column(prepared.rows, name, words[name], private=private) for name in names
    })  # fmt: skip
    kinds = ["continuous" if words[name] is None else "nominal" for name in names]
    if private:
        bounds = {name: (ABSENT, BOUNDS.get(name, 1)) for name in names if words[name] is None}
        learner = privacy.DPExplainableBoostingClassifier(
            names, kinds, epsilon=recipe.epsilon_thousandths / 1000,
            delta=recipe.delta_billionths / 1e9, privacy_bounds=bounds,
            random_state=recipe.seed, n_jobs=jobs,
        )  # fmt: skip
    else:
        learner = glassbox.ExplainableBoostingClassifier(
            names, kinds, interactions=recipe.interactions, outer_bags=recipe.bags,
            random_state=recipe.seed, n_jobs=jobs,
        )  # fmt: skip
    with warnings.catch_warnings():
        # It warns of what was not said: that its own charts leave it out, that nothing was said
        # at all. The model's file has a place for that.
        warnings.simplefilter("ignore")
        learner.fit(frame, [int(end) for end in ends])
    _rise(learner)
    manifest = prepared.text(f"interpret-core {version('interpret-core')}")
    model = _model(learner, words, prepared, manifest)
    _check(learner, frame, model, prepared)
    return model, manifest


def _words(rows: Sequence[Row], name: str) -> frozenset[str] | None:
    """Give the words of a feature that has words."""
    counts = Counter(value for said, _ in rows if isinstance(value := said[name], str))
    return frozenset(word for word, count in counts.items() if count >= FEW) if counts else None


def _column(
    rows: Sequence[Row], name: str, known: frozenset[str] | None, *, private: bool
) -> list[Any]:
    if known is None:
        absent = ABSENT if private else math.nan
        return [float(absent if said[name] is None else said[name]) for said, _ in rows]  # type: ignore[arg-type]
    return [_shown(said[name], known, private=private) for said, _ in rows]


def _shown(value: Value, known: frozenset[str], *, private: bool) -> str | None:
    if value is None:
        return SAID_NOT if private else None
    return str(value) if value in known else OTHER


def _rise(learner: Any) -> None:  # noqa: ANN401  the trainer's own kind
    for at, features in enumerate(learner.term_features_):
        rising = len(features) == 1 and learner.feature_names_in_[features[0]] in RISING
        if rising and min(learner.bin_weights_[at][1:-1], default=0) > 0:
            learner.monotonize(at, increasing=True)


def _model(
    learner: Any,  # noqa: ANN401
    words: Mapping[str, frozenset[str] | None],
    prepared: Prepared,
    manifest: str,
) -> Model:
    names, terms = list(words), []
    for features, scores in zip(learner.term_features_, learner.term_scores_, strict=True):
        axes, keep = [], []
        for at in features:
            levels = learner.bins_[at]
            bins = levels[min(len(levels), len(features)) - 1]
            private = bool(prepared.recipe.epsilon_thousandths)
            axis, places = _axis(names[at], bins, words[names[at]], private=private)
            axes.append(axis)
            keep.append(places)
        terms.append(Term(tuple(axes), tuple(_cells(scores, keep))))
    whole = round(float(learner.intercept_[0]) * MILLIONTHS)
    digest = sha256(manifest.encode()).hexdigest()
    bare = Model(VERSION, digest, whole, tuple(terms), (0,) * len(SHARES))
    said = sorted(bare.score(said) for said, _ in prepared.rows)
    bands = tuple(said[-max(1, len(said) * share // 1000)] for share in SHARES)
    return Model(VERSION, digest, whole, tuple(terms), bands)


def _axis(
    name: str,
    bins: Any,  # noqa: ANN401
    known: frozenset[str] | None,
    *,
    private: bool,
) -> tuple[Axis, list[int]]:
    """Give an axis, and which of the trainer's places its places are."""
    if known is not None:
        # The private trainer puts words that few use among those it has not seen.
        unseen, words = len(set(bins.values())) + 1, tuple(sorted(known))
        first = bins.get(SAID_NOT, unseen) if private else 0
        last = bins.get(OTHER, unseen)
        # Without words an axis still tells whether anything was said.
        middle = [bins.get(word, unseen) for word in words] or [last]
        return Axis(name, (), words), [first, *middle, last]
    # Values are whole numbers, so a cut at 6.5 is one at 7; two cuts may fall together.
    cuts = [math.ceil(cut) for cut in bins]
    # The private trainer was told -1, which lies below every cut that is not below it too.
    places = [1 + sum(cut <= ABSENT for cut in cuts) if private else 0]
    for at in range(len(cuts) + 1):
        empty = 0 < at < len(cuts) and cuts[at - 1] == cuts[at]
        places += [] if empty else [at + 1]
    return Axis(name, tuple(sorted(set(cuts)))), [*places, len(cuts) + 2]


def _cells(scores: Any, keep: Sequence[Sequence[int]]) -> list[int]:  # noqa: ANN401
    if len(keep) == 1:
        return [round(float(scores[place]) * MILLIONTHS) for place in keep[0]]
    return [round(float(scores[row][column]) * MILLIONTHS) for row in keep[0] for column in keep[1]]


def _check(learner: Any, frame: Any, model: Model, prepared: Prepared) -> None:  # noqa: ANN401
    theirs = learner.decision_function(frame[:CHECKED])
    ours = [model.score(said) / MILLIONTHS for said, _ in prepared.rows[:CHECKED]]
    worst = max(abs(float(a) - b) for a, b in zip(theirs, ours, strict=True))
    if not worst < CLOSE:
        raise Untrainable(f"the tables are {worst:.6f} logits away from the trainer's own answer")
