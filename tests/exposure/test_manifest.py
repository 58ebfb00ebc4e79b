"""Lineage: what a model was trained from can be named, and one channel alone trains nothing."""

import json
from dataclasses import replace

from answerable.exposure.adversary import disguise, forge
from answerable.exposure.manifest import Example, Recipe, prepare
from tests.exposure.models import flaw

TWO = frozenset({"cve", "nvd"})
AS_OF = 1_720_000_000
RECIPE = Recipe(AS_OF)


def example(number: int, listed: int = 0, **more: object) -> Example:
    """Give an example that two channels name."""
    return Example(flaw(f"CVE-2024-{number:04}", 1_710_000_000 + number, **more), listed, TWO, TWO)


SOME = [example(n, 1_715_000_000 if n % 5 == 0 else 0) for n in range(20)]


def test_the_same_examples_give_the_same_manifest_in_any_order() -> None:
    """The lineage has one name."""
    one, other = prepare(SOME, RECIPE), prepare(SOME[::-1], RECIPE)
    assert one.text("trainer 1") == other.text("trainer 1")
    assert one.text("trainer 1") != prepare(SOME[1:], RECIPE).text("trainer 1")
    said = json.loads(one.text("trainer 1"))
    assert said["examples"]["rows"] == 20
    assert said["examples"]["listed"] == 4


def test_what_came_later_is_not_known() -> None:
    """A flaw, and a listing, from after the manifest's second do not exist for it."""
    late = example(1, AS_OF + 5)
    future = replace(example(2), flaw=flaw("CVE-2024-0002", AS_OF))
    found = prepare([late, future], RECIPE)
    assert [end for _, end in found.rows] == [False]
    assert found.left_out["later"] == 1
    known = prepare([example(1, AS_OF + 5), example(2)], RECIPE)
    assert known.rows[1][0]["vendor_kev"] == 0


def test_one_compromised_feed_trains_nothing() -> None:
    """500 forged flaws and 500 forged listings of one channel leave the rows as they were."""
    one = frozenset({"feed"})
    forged = [replace(example(n, AS_OF - 9), named_by=one, listed_by=one) for n in range(100, 600)]
    clean, dirty = prepare(SOME, RECIPE), prepare([*SOME, *forged], RECIPE)
    assert dirty.rows == clean.rows
    assert dirty.sha256 == clean.sha256
    assert dirty.left_out["unconfirmed"] == 500
    lied = [replace(e, listed=AS_OF - 9, listed_by=one) for e in SOME if not e.listed]
    assert prepare([*SOME, *lied], RECIPE).left_out["unlisted"] == len(lied)


def test_adversarial_examples_are_made_from_the_seed_and_counted() -> None:
    """The same seed forges the same; the manifest says how many."""
    recipe = replace(RECIPE, adversarial=3)
    found = prepare(SOME, recipe, forge=forge)
    assert found.rows == prepare(SOME, recipe, forge=forge).rows
    assert len(found.rows) == len(SOME) + 6
    assert json.loads(found.text("t"))["adversarial"] == {"evasion": 3, "inflation": 3}
    assert [end for _, end in found.rows[-6:]] == [True] * 3 + [False] * 3


def test_a_disguise_keeps_what_its_author_cannot_choose() -> None:
    """Name, date, publisher and product stay; words, weaknesses and score are another's."""
    calm = flaw("CVE-2024-9999", 1, vector="", cwes=(), description="calm", cna="x", vendor="y")
    found = disguise(flaw(), calm)
    assert (found.cve, found.published, found.cna, found.vendor) == (
        flaw().cve, flaw().published, flaw().cna, flaw().vendor,
    )  # fmt: skip
    assert (found.vector, found.cwes, found.description) == ("", (), "calm")
