"""The source `curated`: a small file of facts that people keep by hand, for packages of PyPI.

A JSON list of objects such as

    {"id": "CVE-2019-10906", "package": "jinja2", "cvss_vector": "CVSS:3.0/AV:N/...", "cvss": 8.6,
     "kev": "", "affected": "<2.10.1", "fixed": "2.10.1"}

Rules: the score must be the one that the vector gives; `kev` is the day on which the flaw was
listed as known to be exploited, or empty; urgency is the rating that CVSS gives the score.
`affected` is a list of `>=`, `>` and `<` with versions, of which a lower bound is kept as a hint.
One bad object makes the file unusable. Further keys (a link, a note) are for people and not read.

Nobody signs such a file: an attester compares it with its own copy (attest.py). Left out: other
ecosystems.
"""

import hashlib
import json
import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from decimal import Decimal, InvalidOperation
from pathlib import Path
from typing import Any

from answerable.feeds import cvss
from answerable.feeds.facts import Advisory, Artefact, read
from answerable.feeds.source import (
    LISTING,
    Bound,
    Collected,
    Fetch,
    Origin,
    State,
    Unusable,
)
from answerable.feeds.sources.pypi import normal
from answerable.kernel.errors import Refused

_LOWER = re.compile(r">=?\s*([A-Za-z0-9.!+_-]{1,64})")
_CVE = re.compile(r"CVE-\d{4}-\d{4,7}")
_DAY = re.compile(r"\d{4}-\d{2}-\d{2}")


@dataclass(frozen=True)
class Curated:
    """The adapter.

    Args:
        fetch: where the file lies.
        path: its name there.
    """

    fetch: Fetch
    path: str
    name: str = field(default="curated", init=False)

    def collect(self, packages: Sequence[str], now: int) -> Collected:  # noqa: ARG002  undated
        """Read the facts about these packages.

        Raises:
            Unusable: `empty`, `malformed`, or as the fetch.
        """
        data = self.fetch.get(self.path, LISTING)
        source = f"{self.fetch.place}/{self.path}"
        found = [_advisory(each, source) for each in _objects(data, source)]
        asked = {normal(package) for package in packages}
        ours = [(fact, low) for fact, low in found if fact.package in asked]
        origin = Origin(f"curated/{self.path}", hashlib.sha256(data).hexdigest(), 0, 0)
        bounds = tuple(Bound(fact.text, low) for fact, low in ours if low)
        return Collected(
            tuple(fact for fact, _ in ours), (origin,), signed=False, bounds=bounds,
            kept_by_people=True,
        )  # fmt: skip

    def obtain(self, artefact: Artefact) -> Path | None:
        """Keep no artefacts."""
        del artefact
        return None


def _objects(data: bytes, source: str) -> list[Any]:
    try:
        value = json.loads(data, parse_float=Decimal)
    except (ValueError, RecursionError, InvalidOperation) as error:
        raise Unusable(State.MALFORMED, source, f"not JSON: {error}") from error
    if not isinstance(value, list):
        raise Unusable(State.MALFORMED, source, "not a list of facts")
    if not value:
        raise Unusable(State.EMPTY, source, "no fact in it")
    return value


def _advisory(value: Any, source: str) -> tuple[Advisory, str]:  # noqa: ANN401  decoded JSON
    try:
        words = {k: value[k] for k in ("id", "package", "cvss_vector", "affected", "fixed")}
        if not all(isinstance(word, str) and word.isascii() for word in words.values()):
            raise TypeError(words)
        score, kev = _tenths(value["cvss"]), value.get("kev") or ""
        low = _LOWER.search(words["affected"])
        fact = _fact(words, score, exploited=bool(kev))
    except (KeyError, TypeError, AttributeError, ArithmeticError, ValueError, Refused) as error:
        name = str(value.get("id", ""))[:64] if isinstance(value, dict) else ""
        raise Unusable(State.MALFORMED, source, f"the fact `{name}`: {error!r:.200}") from error
    if score != cvss.tenths(words["cvss_vector"]):
        raise Unusable(State.MALFORMED, source, f"`{fact.id}`: the vector gives another score")
    if kev and not (isinstance(kev, str) and _DAY.fullmatch(kev)):
        raise Unusable(State.MALFORMED, source, f"`{fact.id}`: `kev` is no day")
    return fact, low[1] if low else ""


def _tenths(score: object) -> int:
    if isinstance(score, bool) or not isinstance(score, (int, Decimal)):
        raise TypeError(score)
    exact = Decimal(score) * 10
    if exact != int(exact):
        raise ValueError(score)
    return int(exact)


def _fact(words: dict[str, str], score: int, *, exploited: bool) -> Advisory:
    name = normal(words["package"])
    cves = (words["id"],) if _CVE.fullmatch(words["id"]) else ()
    fact = Advisory(
        words["id"], "pypi", name, name, words["fixed"], cvss.rating(score), cves, score,
        exploited, 0,
    )  # fmt: skip
    read(fact.text)
    return fact
