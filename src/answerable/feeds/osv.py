"""The source `osv`: facts from advisories in the Open Source Vulnerability format, one a line.

Format: ossf.github.io/osv-schema 1.7; osv_export.py reads the same format row by row. Here: `id`,
`aliases`, `published`, `withdrawn`, `severity`, `affected[].package` and of `affected[].ranges[]`
the events of the types ECOSYSTEM and SEMVER. A range from `introduced` to `fixed` gives one
advisory; its start is kept as a hint. The score is computed from a vector (cvss.py), the urgency is
that score's rating.

Rules: a withdrawn record gives nothing; a range without a fixed version is a gap, since nothing can
be installed against it; a record that is no OSV makes the file unusable. Nobody signs such a file:
an attester compares it with its own (attest.py).

Left out: `versions` lists, `last_affected`, `database_specific`, ranges of type GIT.
"""

import hashlib
import json
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any

from answerable.feeds import cvss
from answerable.feeds.facts import CVES, Advisory, Artefact, Fact, read
from answerable.feeds.source import (
    LISTING,
    RECORD,
    Bound,
    Collected,
    Fetch,
    Gap,
    Origin,
    State,
    Unusable,
)
from answerable.kernel.errors import Refused

ECOSYSTEMS = {"PyPI": "pypi", "Debian:12": "debian:12", "Debian:13": "debian:13"}
"""What is read, and how it is named in facts."""
_CVE = re.compile(r"CVE-\d{4}-\d{4,7}")
Json = Any


@dataclass(frozen=True)
class Osv:
    """The adapter.

    Args:
        fetch: where the file lies.
        path: its name there.
    """

    fetch: Fetch
    path: str
    name: str = field(default="osv", init=False)

    def collect(self, packages: Sequence[str], now: int) -> Collected:  # noqa: ARG002  undated
        """Read the advisories about these packages.

        Raises:
            Unusable: `empty`, `malformed`, `oversized`, or as the fetch.
        """
        data = self.fetch.get(self.path, LISTING)
        source = f"{self.fetch.place}/{self.path}"
        asked, facts, bounds, gaps = frozenset(packages), [], [], []
        for record in _records(data, source):
            for fact, introduced in _advisories(record, asked, source):
                if isinstance(fact, Gap):
                    gaps.append(fact)
                    continue
                facts.append(fact)
                lower = isinstance(introduced, str) and introduced not in ("", "0")
                bounds += [Bound(fact.text, introduced)] if lower else []
        origin = Origin(f"osv/{self.path}", hashlib.sha256(data).hexdigest(), 0, 0)
        unique: dict[str, Fact] = {fact.text: fact for fact in facts}
        return Collected(
            tuple(unique.values()), (origin,), signed=False, bounds=tuple(bounds), gaps=tuple(gaps)
        )

    def obtain(self, artefact: Artefact) -> Path | None:
        """Keep no artefacts."""
        del artefact
        return None


def _records(data: bytes, source: str) -> Iterator[Json]:
    lines = [line for line in data.split(b"\n") if line.strip()]
    if not lines:
        raise Unusable(State.EMPTY, source, "no record in it")
    for number, line in enumerate(lines, 1):
        if len(line) > RECORD:
            raise Unusable(State.OVERSIZED, source, f"line {number} has {len(line)} bytes")
        try:
            record = json.loads(line)
        except (ValueError, RecursionError) as error:
            raise Unusable(State.MALFORMED, source, f"line {number} is not JSON") from error
        if not isinstance(record, dict) or not isinstance(record.get("id"), str):
            raise Unusable(State.MALFORMED, source, f"line {number} is no OSV record")
        if not record.get("withdrawn"):
            yield record


def _advisories(
    record: Json, asked: frozenset[str], source: str
) -> Iterator[tuple[Advisory | Gap, str]]:
    try:
        for affected in record.get("affected") or ():
            package = affected.get("package") or {}
            ecosystem = ECOSYSTEMS.get(package.get("ecosystem", ""), "")
            if not ecosystem or package["name"] not in asked:
                continue
            for introduced, fixed in _spans(affected):
                yield _fact(record, affected, ecosystem, fixed), introduced
    except (KeyError, TypeError, AttributeError, ValueError) as error:
        name = record["id"][:64]
        raise Unusable(State.MALFORMED, source, f"record `{name}`: {error!r:.200}") from error


def _spans(affected: Json) -> Iterator[tuple[str, str]]:
    for each in affected.get("ranges") or ():
        if each["type"] not in ("ECOSYSTEM", "SEMVER"):
            continue
        introduced, open_end = "", False
        for event in each["events"]:
            if "introduced" in event:
                introduced, open_end = event["introduced"], True
            elif "fixed" in event:
                yield introduced, event["fixed"]
                open_end = False
        if open_end:
            yield introduced, ""


def _fact(record: Json, affected: Json, ecosystem: str, fixed: str) -> Advisory | Gap:
    name = affected["package"]["name"]
    if not fixed:
        return Gap(name, f"`{record['id'][:64]}` names no fixed version")
    aliases = {record["id"], *(record.get("aliases") or ())}
    cves = sorted(alias for alias in aliases if _CVE.fullmatch(alias))[:CVES]
    vectors = [*(affected.get("severity") or ()), *(record.get("severity") or ())]
    score = max((cvss.tenths(str(each.get("score", ""))) for each in vectors), default=-1)
    fact = Advisory(
        record["id"], ecosystem, name, name, fixed, cvss.rating(score), tuple(cves), score,
        exploited=False, published=_time(str(record.get("published", ""))),
    )  # fmt: skip
    try:
        read(fact.text)
    except Refused as refusal:
        return Gap(name, f"`{record['id'][:64]}` cannot be stated as a fact: {refusal.detail}")
    return fact


def _time(text: str) -> int:
    try:
        then = datetime.fromisoformat(text)
        return max(0, int(then.timestamp())) if then.tzinfo else 0
    except (ValueError, OverflowError):
        return 0
