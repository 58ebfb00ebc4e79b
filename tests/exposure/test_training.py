"""Training, where its extra is there: the file says what the trainer says, each time the same."""

import random
import sys
from dataclasses import replace

import pytest

from answerable.exposure import training
from answerable.exposure.features import VERSION
from answerable.exposure.golden import Golden, Question, shadow
from answerable.exposure.manifest import Example, Prepared, Recipe, prepare
from answerable.exposure.model import SHARES, read
from answerable.exposure.training import Untrainable, fit
from tests.exposure.models import MILD, WORST, flaw

TWO = frozenset({"cve", "nvd"})
RECIPE = Recipe(1_720_000_000, bags=1)


def examples() -> Prepared:
    """Give flaws of which the worst are mostly exploited."""
    chance, made = random.Random(7), []
    for n in range(600):
        grave = chance.random() < 0.3
        about = flaw(
            f"CVE-2024-{n:04}", 1_710_000_000 + n, vector=WORST if grave else MILD,
            cna=chance.choice(["acme", "mitre", "rare"]) if n % 50 else "once",
            description="remote code execution" if chance.random() < 0.5 else "a calm text",
            references=chance.choice([-1, 3]), cwes=() if n % 3 else ("CWE-78",),
        )  # fmt: skip
        listed = 1_715_000_000 if grave and chance.random() < 0.5 else 0
        made.append(Example(about, listed, TWO, TWO))
    return prepare(made, RECIPE)


def test_training_without_its_extra_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nobody sees a traceback of an import."""
    monkeypatch.setitem(sys.modules, "interpret", None)
    with pytest.raises(Untrainable, match=r"answerable\[train\]"):
        fit(examples())


@pytest.fixture(scope="module")
def trained() -> tuple[str, str]:
    """Train once for all of these tests."""
    pytest.importorskip("interpret", reason="the extra `train` is absent")
    model, manifest = fit(examples())
    return model.text, manifest


def test_a_trained_model_is_read_again(trained: tuple[str, str]) -> None:
    """What is written is a whole model, and it learned what there was to learn."""
    model = read(trained[0].encode())
    assert len(model.bands) == len(SHARES)
    grave = model.score({"cvss": 98, "says_rce": 1})
    assert grave > model.score({"cvss": 20, "says_rce": 1})
    assert {axis.feature for term in model.terms for axis in term.axes} >= {"cvss", "cna"}
    words = next(a.words for t in model.terms for a in t.axes if a.feature == "cna")
    assert words == ("acme", "mitre", "rare")


def test_a_higher_score_never_lowers(trained: tuple[str, str]) -> None:
    """The own table of the score rises."""
    model = read(trained[0].encode())
    (table,) = (t for t in model.terms if t.name == "cvss")
    rising = table.scores[1:-1]
    assert list(rising) == sorted(rising)


def test_the_same_manifest_gives_the_same_model(trained: tuple[str, str]) -> None:
    """Bit for bit, so that a second person can train it again and compare hashes."""
    model, manifest = fit(examples())
    assert (model.text, manifest) == trained


def test_poisoned_rows_are_stopped_by_the_gate(trained: tuple[str, str]) -> None:
    """Training in which the worst flaws are called harmless moves the order: people are asked."""
    clean = examples()
    turned = tuple((said, not end) for said, end in clean.rows)
    poisoned, manifest = fit(replace(clean, rows=turned, sha256="ab" * 32))
    asked = Golden(VERSION, tuple(
        Question(f"CVE-2024-{n:04}", said, end) for n, (said, end) in enumerate(clean.rows)
    ))  # fmt: skip
    found = shadow(read(trained[0].encode()), poisoned, asked)
    assert len(found.reasons) == 2
    assert manifest != trained[1]
    assert shadow(read(trained[0].encode()), read(trained[0].encode()), asked).reasons == ()


def test_training_needs_both_ends() -> None:
    """Without an exploited flaw there is nothing to learn."""
    pytest.importorskip("interpret", reason="the extra `train` is absent")
    calm = prepare([Example(flaw(), 0, TWO, TWO)], RECIPE)
    with pytest.raises(Untrainable, match="listed as exploited, and others"):
        fit(calm)


def test_privacy_is_an_option_and_makes_another_model(trained: tuple[str, str]) -> None:
    """With a budget the noise is in the tables, and the manifest says so."""
    prepared = examples()
    recipe = replace(prepared.recipe, epsilon_thousandths=1_000)
    model, manifest = fit(replace(prepared, recipe=recipe))
    assert '"epsilon_thousandths":1000' in manifest
    assert model.text != trained[0]


def test_tables_that_do_not_add_up_are_no_model(monkeypatch: pytest.MonkeyPatch) -> None:
    """What is written is what was trained, or nothing is written."""
    pytest.importorskip("interpret", reason="the extra `train` is absent")
    monkeypatch.setattr(training, "CLOSE", 0.0)
    with pytest.raises(Untrainable, match="logits away"):
        fit(examples())
