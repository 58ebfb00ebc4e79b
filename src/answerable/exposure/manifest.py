"""What a model is trained from: the examples, what they were known by, and one file that says so.

    {"adversarial":{"evasion":0,"inflation":0},"as_of":1722470400,
     "data":[{"name":"kev","sha256":"<hex>"},..],"examples":{"listed":231,"rows":43779,
     "sha256":"<hex>"},"features":"publication/1","kind":"answerable/ranking-manifest/v1",
     "left_out":{"later":18443,"unconfirmed":0,"unlisted":0},"privacy":{"delta_billionths":0,
     "epsilon_thousandths":0},"recipe":{"bags":8,"channels":2,"interactions":0,"seed":7},
     "trainer":"interpret-core 0.7.8"}

Rules:

1. An example counts if the flaw was published before `as_of`; it is a listed one if the listing was
   known before `as_of`. Everything else about it is as of its publication (features.py).
2. A flaw that fewer than `channels` independent channels name, and a listing that fewer name, is
   left out: one compromised feed trains nothing. How many were left out is counted.
3. The same examples and recipe give the same manifest, so its hash is that of the lineage.

Left out: who says by which channels something came (feeds), the training itself (training.py).
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from hashlib import sha256

from answerable.exposure.features import VERSION, Flaw, Listings, Value, features
from answerable.kernel import canon

KIND = "answerable/ranking-manifest/v1"


@dataclass(frozen=True, slots=True)
class Example:
    """A flaw, and what became of it.

    Args:
        listed: when it was listed as exploited, POSIX seconds; 0 if it was not.
        named_by: the channels by which the flaw itself came.
        listed_by: the channels by which the listing came.
    """

    flaw: Flaw
    listed: int = 0
    named_by: frozenset[str] = frozenset()
    listed_by: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True)
class Recipe:
    """How to train.

    Args:
        as_of: POSIX second after which nothing is known.
        channels: by how many independent channels a flaw and its listing must have come.
        interactions: pairs of features that get a table of their own; ten of them gained nothing on
            the shared data (benchmarks/results/ranking.json), and a letter is longer with them.
        bags: models that are averaged.
        adversarial: examples of each kind that adversary.py adds; 0 for none.
        epsilon_thousandths: privacy budget; 0 trains without differential privacy.
    """

    as_of: int
    seed: int = 7
    channels: int = 2
    interactions: int = 0
    bags: int = 8
    adversarial: int = 0
    epsilon_thousandths: int = 0
    delta_billionths: int = 10_000


Row = tuple[dict[str, Value], bool]
Forge = Callable[[Sequence[tuple[Flaw, bool]], int, int], Sequence[tuple[Flaw, bool]]]
"""Makes so many adversarial examples of each kind from examples and a seed (adversary.py)."""


@dataclass(frozen=True)
class Prepared:
    """What the trainer sees, and what the manifest says of it."""

    recipe: Recipe
    rows: tuple[Row, ...]
    listings: Listings
    left_out: Mapping[str, int]
    sha256: str
    forged: int = 0
    data: tuple[tuple[str, str], ...] = field(default=())

    def text(self, trainer: str) -> str:
        """Give the manifest, in its one spelling; `trainer` is name and version."""
        r, kinds = self.recipe, ("evasion", "inflation")
        return canon.encode({
            "kind": KIND, "features": VERSION, "as_of": r.as_of, "trainer": trainer,
            "data": [{"name": name, "sha256": digest} for name, digest in sorted(self.data)],
            "examples": {"rows": len(self.rows), "listed": sum(end for _, end in self.rows),
                         "sha256": self.sha256},
            "left_out": dict(self.left_out),
            "adversarial": dict.fromkeys(kinds, self.forged // len(kinds)),
            "recipe": {"seed": r.seed, "channels": r.channels, "bags": r.bags,
                       "interactions": 0 if r.epsilon_thousandths else r.interactions},
            "privacy": {"epsilon_thousandths": r.epsilon_thousandths,
                        "delta_billionths": r.delta_billionths * bool(r.epsilon_thousandths)},
        })  # fmt: skip


def prepare(
    examples: Iterable[Example],
    recipe: Recipe,
    data: Iterable[tuple[str, str]] = (),
    forge: Forge | None = None,
) -> Prepared:
    """Choose the examples that count, as of the recipe's second, and compute their features.

    Args:
        data: name and SHA-256 (hex) of each document that the examples came from.
        forge: makes the adversarial examples if the recipe asks for some.
    """
    known, left = _known(examples, recipe)
    pairs = [(each.flaw, bool(each.listed)) for each in known]
    listings = Listings((each.flaw, each.listed) for each in known if each.listed)
    extra: Sequence[tuple[Flaw, bool]] = ()
    if recipe.adversarial and forge:
        extra = forge(pairs, recipe.adversarial, recipe.seed)
    rows = tuple((features(flaw, listings), end) for flaw, end in [*pairs, *extra])
    digest = sha256()
    for said, end in rows:
        digest.update(canon.encode([said, end]).encode() + b"\n")
    return Prepared(recipe, rows, listings, left, digest.hexdigest(), len(extra), tuple(data))


def _known(examples: Iterable[Example], recipe: Recipe) -> tuple[list[Example], Mapping[str, int]]:
    left, known = {"later": 0, "unconfirmed": 0, "unlisted": 0}, []
    for each in examples:
        if not 0 < each.flaw.published < recipe.as_of:
            left["later"] += 1
        elif len(each.named_by) < recipe.channels:
            left["unconfirmed"] += 1
        elif not each.listed or each.listed >= recipe.as_of:
            known.append(Example(each.flaw))
        elif len(each.listed_by) < recipe.channels:
            # Neither exploited nor not: one channel's word makes no example of either kind.
            left["unlisted"] += 1
        else:
            known.append(each)
    return sorted(known, key=lambda each: (each.flaw.cve, each.flaw.published)), left
