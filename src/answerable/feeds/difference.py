"""What a candidate would change, and what waits for people: two lists that people read.

Advisories are compared by ecosystem, package and id; artefacts by their text. `lowered` is what no
attester vouches for (attest.py, rule 5), `raised` what two voices or the publisher say now.

Left out: who decides.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Literal

from answerable.feeds.agree import Flaw, State, no_less
from answerable.feeds.candidate import Candidate
from answerable.feeds.facts import Advisory, Artefact, Fact, leaf

Change = Literal["new", "gone", "raised", "lowered"]


@dataclass(frozen=True, slots=True)
class Difference:
    """One fact that a candidate would change.

    Args:
        fact: its leaf hash, hex; of the new one, if there is one.
        hash: of the artefact's bytes, hex; empty for an advisory.
        detail: for people; made of feeds' words.
    """

    change: Change
    fact: str
    hash: str
    package: str
    detail: str


def differences(old: Candidate | None, new: Candidate) -> Iterator[Difference]:
    """Give what a candidate changes against the released snapshot, if there is one."""
    before = {_place(fact): fact for fact in (old.facts if old else ())}
    after = {_place(fact): fact for fact in new.facts}
    for place in sorted(before.keys() | after.keys()):
        was, now = before.get(place), after.get(place)
        if now is None and was is not None:
            yield _said("gone", was, _spell(was))
        elif was is None and now is not None:
            yield _said("new", now, _spell(now))
        elif isinstance(was, Advisory) and isinstance(now, Advisory) and was.text != now.text:
            change: Change = "raised" if no_less(now, was) else "lowered"
            yield _said(change, now, f"{_spell(was)} -> {_spell(now)}")


def _place(fact: Fact) -> tuple[str, ...]:
    if isinstance(fact, Artefact):
        return (fact.ecosystem, fact.package, "artefact", fact.text)
    return (fact.ecosystem, fact.package, "advisory", fact.id)


def _said(change: Change, fact: Fact, detail: str) -> Difference:
    digest = fact.sha256 if isinstance(fact, Artefact) else ""
    return Difference(change, leaf(fact).hex(), digest, f"{fact.ecosystem}/{fact.package}", detail)


def _spell(fact: Fact) -> str:
    if isinstance(fact, Artefact):
        return f"artefact {fact.version} {fact.arch}"
    score = f" {fact.cvss // 10}.{fact.cvss % 10}" if fact.cvss >= 0 else ""
    known = " exploited" if fact.exploited else ""
    return f"advisory {fact.id}, fixed in {fact.fixed}, {fact.urgency}{score}{known}"


@dataclass(frozen=True, slots=True)
class Waiting:
    """Something said about a flaw that automation does not count, or goes on counting.

    Args:
        level: what counts, as in agree.py.
        claimed: the strictest that was said.
    """

    flaw: str
    field: str
    state: State
    level: int
    claimed: int
    channels: tuple[str, ...]


def waiting(flaws: Iterable[Flaw]) -> Iterator[Waiting]:
    """Give what people should look at: what is held, and exploitation that one voice claims."""
    for flaw in flaws:
        for field, believed in flaw.fields.items():
            alone = field == "exploited" and believed.claimed > max(believed.level, 0)
            if believed.state is State.HELD or alone:
                channels = tuple(sorted({voice.channel for voice in believed.voices}))
                yield Waiting(
                    flaw.name, field, believed.state, believed.level, believed.claimed, channels
                )
