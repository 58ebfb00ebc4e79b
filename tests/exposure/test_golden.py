"""The gate: it sees an order that moved and exploited flaws that fell, and nothing natural."""

import random
from dataclasses import replace

import pytest

from answerable.exposure import golden as measures
from answerable.exposure.golden import DROP, read, shadow
from answerable.exposure.model import Term
from answerable.kernel.errors import Refused
from tests.exposure.models import CNA, CVSS, MODEL, golden

ENDS = [True, False, False, True, False]


def test_measures_of_a_small_ranking() -> None:
    """By hand: scores 5 4 3 2 1, exploited the first and the fourth."""
    scores = [5, 4, 3, 2, 1]
    assert measures.auc(scores, ENDS) == pytest.approx(4 / 6)
    assert measures.coverage(scores, ENDS, 0.2) == 0.5
    assert measures.coverage(scores, ENDS, 1.0) == 1.0
    assert measures.precision(scores, ENDS) == pytest.approx((1 + 2 / 4) / 2)


def test_equal_scores_share_their_ranks() -> None:
    """A model that says the same of all is worth nothing, in any order of the rows."""
    assert measures.auc([7] * 5, ENDS) == 0.5
    assert measures.coverage([7] * 5, ENDS, 0.2) == pytest.approx(0.2)
    assert measures.correlation([7] * 5, [1, 2, 3, 4, 5]) == 0.0


def test_correlation_is_of_ranks() -> None:
    """Stretching a scale moves nothing; turning it round turns the sign."""
    scores = random.Random(7).sample(range(10_000), 50)
    assert measures.correlation(scores, [s**3 for s in scores]) == pytest.approx(1)
    assert measures.correlation(scores, [-s for s in scores]) == pytest.approx(-1)


def test_calibration_counts_what_came() -> None:
    """A model that says one half, of which half comes, is calibrated."""
    assert measures.calibration([0] * 4, [True, False, True, False]) == 0
    assert measures.calibration([0] * 4, [False] * 4) == pytest.approx(0.5)


def test_the_same_model_passes() -> None:
    """Nothing moved, so nobody is asked by the gate."""
    found = shadow(MODEL, MODEL, golden())
    assert found.reasons == ()
    assert found.correlation == pytest.approx(1)
    assert found.movers == ()


def test_a_small_update_passes() -> None:
    """A score that grows a little is no reason for alarm."""
    update = replace(CVSS, scores=tuple(s + s // 10 for s in CVSS.scores))
    assert shadow(MODEL, replace(MODEL, terms=(update, *MODEL.terms[1:])), golden()).reasons == ()


def test_an_order_that_moved_needs_people() -> None:
    """Poisoned training that turns the scale round is seen, with what moved most."""
    turned = replace(CVSS, scores=tuple(-s for s in CVSS.scores))
    found = shadow(MODEL, replace(MODEL, terms=(turned, *MODEL.terms[1:])), golden())
    assert any("the order moved" in reason for reason in found.reasons)
    assert found.movers


def test_exploited_flaws_that_fell_need_people() -> None:
    """Hiding exploited flaws in training keeps most of the order, and is seen all the same."""
    hidden: Term = replace(CNA, scores=(0, -9_000_000, -250_000, 10))
    found = shadow(MODEL, replace(MODEL, terms=(CVSS, hidden, *MODEL.terms[2:])), golden())
    assert found.coverage[0] - found.coverage[1] >= DROP
    assert any("exploited flaws fell" in reason for reason in found.reasons)


def test_nothing_to_compare_with_needs_people() -> None:
    """The first model, and one that sees other features, are never routine."""
    for serving in (None, replace(MODEL, features="publication/0")):
        assert "nothing can be compared" in shadow(serving, MODEL, golden()).reasons[0]


def test_a_golden_set_is_read_as_it_was_written() -> None:
    """Its hash names it, so two models are asked the same questions."""
    made = golden()
    assert read(made.text.encode()) == made
    assert read(made.text.encode()).sha256 == made.sha256


def test_a_golden_set_without_an_end_is_refused() -> None:
    """A set in which nothing was exploited would pass every model."""
    with pytest.raises(Refused):
        read(golden(every=1).text.encode())
