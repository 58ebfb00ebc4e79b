"""Who is believed: from what channels say to what automation may rely on.

Rules:

1. One channel is one voice, however often it says something; all channels that begin with `osv/`
   lie in one place and are one voice.
2. What raises automation (exploited, a higher score, a fix version) is believed when two voices
   say it at the same time. What one says alone is `claimed`, shown to people, and used for nothing.
3. What was believed stands when it is no longer said, and so does what was claimed: `held`, until
   people clear it (tables.py, rule 2). Nothing gets less urgent by silence.
4. Each answer names its voices: what each said, since when we know, in which document. Questions
   are asked as of a time; what came later does not count.
5. A publisher's signed word, and a file that people keep by hand, count as they are: agreement can
   raise them, never lower them. A fact of any other source has only what is agreed, and is none at
   all (a gap) while its fix version is said by one voice alone.

6. People may rule otherwise before they sign (`Ruling`): that what is no longer said is settled, or
   that one voice is enough. Automation never does.

A value is judged by its place in `LEVELS`, or as a CVSS base score in tenths. Two channels may have
one author (CISA's catalogue and its container in CVE records): this stops a hijacked channel, not
an author who lies in both.

Left out: EPSS, which is one model's forecast and is never a fact; learned ranking (exposure/).
"""

from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from enum import StrEnum
from itertools import groupby
from pathlib import Path

from answerable.feeds import cvss, tables
from answerable.feeds.facts import URGENCIES, Advisory, Artefact, Fact
from answerable.feeds.rows import Claim, Range
from answerable.feeds.source import Bound, Collected, Gap
from answerable.feeds.tables import Stated
from answerable.host import versions
from answerable.kernel.errors import Refused

VOICES = 2
"""How many must say what raises automation."""
SILENT = -1
"""The level of what nobody says."""
LEVELS: Mapping[str, Mapping[str, int]] = {
    "exploited": {"no": 0, "yes": 1},
    "ssvc_exploitation": {"none": 0, "poc": 1, "active": 2},
    "ssvc_automatable": {"no": 0, "yes": 1},
    "ssvc_technical_impact": {"partial": 0, "total": 1},
}
FIELDS = ("cvss", *LEVELS)
"""What is judged about a flaw."""


class State(StrEnum):
    """How far something is agreed."""

    SILENT = "silent"
    AGREED = "agreed"
    SINGLE = "single"
    DISPUTED = "disputed"
    HELD = "held"


@dataclass(frozen=True, slots=True)
class Voice:
    """What one channel says or said.

    Args:
        value: as it was written; untrusted text.
        level: its place on the scale.
        seen: since when we know, POSIX seconds.
        gone: since when it is no longer said; 0 if it is.
        document: SHA-256, hex.
    """

    channel: str
    value: str
    level: int
    seen: int
    gone: int
    document: str


@dataclass(frozen=True, slots=True)
class Believed:
    """What is believed of one field of a flaw.

    Args:
        level: what automation may rely on; `SILENT` if nothing.
        claimed: the strictest that anybody says, or said and nobody has cleared.
    """

    state: State
    level: int
    claimed: int
    voices: tuple[Voice, ...]


@dataclass(frozen=True, slots=True)
class Flaw:
    """What is believed of a flaw.

    Args:
        name: such as `CVE-2024-3094`.
        fields: by the names in `FIELDS`.
    """

    name: str
    fields: Mapping[str, Believed]

    @property
    def exploited(self) -> bool:
        """Whether two voices say that it is exploited."""
        return self.fields["exploited"].level == 1

    @property
    def cvss(self) -> int:
        """The score that two voices reach, in tenths, or -1."""
        return self.fields["cvss"].level


def voice_of(channel: str) -> str:
    """Give the voice that a channel is heard as (rule 1)."""
    return "osv" if channel.startswith("osv/") else channel


def level_of(field: str, value: str) -> int:
    """Give a value's place, or `SILENT` for one that is none."""
    return cvss.tenths(value) if field == "cvss" else LEVELS[field].get(value, SILENT)


def believe(voices: Iterable[Voice]) -> Believed:
    """Judge what was said about one thing."""
    heard = sorted((v for v in voices if v.level > SILENT), key=_order)
    if not heard:
        return Believed(State.SILENT, SILENT, SILENT, ())
    now = [voice for voice in heard if not voice.gone]
    times = sorted({voice.seen for voice in heard})
    stands = max(_reached([v for v in heard if v.seen <= t and not 0 < v.gone <= t]) for t in times)
    says, claimed = _reached(now), max(voice.level for voice in heard)
    loudest = max((voice.level for voice in now), default=SILENT)
    if stands > says or claimed > loudest:
        state = State.HELD
    elif says == loudest:
        state = State.AGREED
    else:
        alone = len({voice_of(voice.channel) for voice in now}) < VOICES
        state = State.SINGLE if alone else State.DISPUTED
    return Believed(state, stands, claimed, tuple(heard))


def _order(voice: Voice) -> tuple[str, int, str, int]:
    return (voice.channel, voice.seen, voice.value, voice.gone)


def _reached(voices: Iterable[Voice]) -> int:
    """Give the level that enough voices say, or more than it."""
    levels: dict[str, int] = {}
    for voice in voices:
        name = voice_of(voice.channel)
        levels[name] = max(levels.get(name, SILENT), voice.level)
    return sorted([*levels.values(), *[SILENT] * VOICES], reverse=True)[VOICES - 1]


def flaws(stated: Iterable[Stated]) -> Iterator[Flaw]:
    """Judge claims, which come in the order of their flaws."""
    for name, group in groupby(stated, key=lambda one: _claim(one).subject):
        heard: dict[str, list[Voice]] = {field: [] for field in FIELDS}
        for one in group:
            said = _claim(one)
            if said.field in heard:
                level = level_of(said.field, said.value)
                heard[said.field].append(
                    Voice(said.channel, said.value, level, one.seen, one.gone, one.document)
                )
            if said.field == "ssvc_exploitation" and said.value == "active":
                heard["exploited"].append(
                    Voice(said.channel, "active", 1, one.seen, one.gone, one.document)
                )
        yield Flaw(name, {field: believe(voices) for field, voices in heard.items()})


def _claim(one: Stated) -> Claim:
    assert isinstance(one.row, Claim)
    return one.row


def known(folder: Path, names: Iterable[str] | None, at: int) -> Iterator[Flaw]:
    """Judge flaws (all, if None) on what a world knew at POSIX second `at`, in their order."""
    subjects = None if names is None else frozenset(names)
    yield from flaws(tables.claims(folder, subjects, at, FIELDS))


@dataclass(frozen=True)
class Ruling:
    """How people judge, for a release that they sign themselves (rule 6).

    Args:
        settled: what is no longer said does not count.
        alone: one voice is enough.
        about: only these flaws; all, if empty.
    """

    settled: bool = False
    alone: bool = False
    about: frozenset[str] = frozenset()

    def hear(self, stated: Iterable[Stated]) -> Iterator[Stated]:
        """Leave out what is settled."""
        for one in stated:
            row = one.row
            names = {row.subject} if isinstance(row, Claim) else {row.advisory, *row.cves}
            if not (one.gone and self.settled and self.covers(names)):
                yield one

    def covers(self, names: Collection[str]) -> bool:
        """Tell whether it is about any of these flaws."""
        return not self.about or not self.about.isdisjoint(names)

    def raised(self, believed: Believed, names: Collection[str]) -> Believed:
        """Let one voice count, if people say so."""
        enough = self.alone and self.covers(names)
        return replace(believed, level=believed.claimed) if enough else believed


AUTOMATIC = Ruling()
"""What holds wherever nobody signs."""


@dataclass(frozen=True)
class Beliefs:
    """What is believed of the flaws and fixes that some facts are about.

    Args:
        flaws: by name.
        fixes: (ecosystem, package) -> what channels say of its versions.
    """

    flaws: Mapping[str, Flaw]
    fixes: Mapping[tuple[str, str], Sequence[Stated]]
    ruling: Ruling = AUTOMATIC

    def enrich(self, fact: Advisory, *, own: bool) -> Advisory:
        """Give a fact with what is agreed about its flaws.

        Args:
            own: whether what the fact says already is its publisher's signed word, or people's.
        """
        about = [self.flaws[name] for name in fact.cves if name in self.flaws]
        score = max((flaw.cvss for flaw in about), default=SILENT)
        exploited = any(flaw.exploited for flaw in about)
        if not own:
            return replace(fact, cvss=score, urgency=cvss.rating(score), exploited=exploited)
        score = max(score, fact.cvss)
        urgency = cvss.rating(score) if fact.urgency == URGENCIES[0] else fact.urgency
        return replace(fact, cvss=score, urgency=urgency, exploited=exploited or fact.exploited)

    def fix(self, fact: Advisory) -> Believed:
        """Judge whether a fact's version is the fix of its flaws."""
        flaws_of = {fact.id, *fact.cves}
        heard = []
        for one in self.fixes.get((fact.ecosystem, fact.package), ()):
            said = one.row
            assert isinstance(said, Range)
            same = said.fixed == fact.fixed and flaws_of & {said.advisory, *said.cves}
            if same and said.status == "affected" and not said.withdrawn:
                heard.append(Voice(said.channel, said.fixed, 1, one.seen, one.gone, one.document))
        return self.ruling.raised(believe(heard), flaws_of)


def gather(folder: Path, facts: Iterable[Fact], at: int, ruling: Ruling = AUTOMATIC) -> Beliefs:
    """Take from a world what it knew at POSIX second `at` of these facts' flaws and packages."""
    about = [fact for fact in facts if isinstance(fact, Advisory)]
    names = {name for fact in about for name in fact.cves}
    fixes: dict[tuple[str, str], list[Stated]] = {}
    for one in ruling.hear(tables.ranges(folder, {fact.package for fact in about}, at)):
        assert isinstance(one.row, Range)
        fixes.setdefault((one.row.ecosystem, one.row.package), []).append(one)
    judged = flaws(ruling.hear(tables.claims(folder, names, at, FIELDS)))
    return Beliefs({flaw.name: _ruled(flaw, ruling) for flaw in judged}, fixes, ruling)


def _ruled(flaw: Flaw, ruling: Ruling) -> Flaw:
    fields = {name: ruling.raised(one, {flaw.name}) for name, one in flaw.fields.items()}
    return replace(flaw, fields=fields)


Gather = Callable[[Iterable[Fact]], Beliefs]
"""Gives what is believed about facts: `gather`, of one's own world and time."""


def agreed(collected: Collected, beliefs: Beliefs) -> Collected:
    """Give what a source collected as far as it is agreed (rule 5)."""
    own = collected.signed or collected.kept_by_people
    spelt: dict[str, Fact] = {}
    gaps = list(collected.gaps)
    for fact in collected.facts:
        if isinstance(fact, Artefact):
            spelt[fact.text] = fact
        elif own or (fix := beliefs.fix(fact)).level == 1:
            spelt[fact.text] = beliefs.enrich(fact, own=own)
        else:
            gaps.append(Gap(fact.package, _alone(fact, fix)))
    bounds = tuple(
        Bound(spelt[bound.advisory].text, bound.introduced)
        for bound in collected.bounds
        if bound.advisory in spelt
    )
    return replace(collected, facts=tuple(spelt.values()), gaps=tuple(gaps), bounds=bounds)


def _alone(fact: Advisory, fix: Believed) -> str:
    who = ", ".join(sorted({voice.channel for voice in fix.voices})) or "its source"
    return f"`{fact.fixed}` as the fix of `{fact.id}` is said by {who} alone: people decide"


def no_less(new: Advisory, old: Advisory) -> bool:
    """Tell whether a fact is at least as strict as another about the same advisory."""
    if (new.ecosystem, new.package, new.id) != (old.ecosystem, old.package, old.id):
        return False
    calmer = URGENCIES.index(new.urgency) < URGENCIES.index(old.urgency) or new.cvss < old.cvss
    if calmer or new.exploited < old.exploited or not set(old.cves) <= set(new.cves):
        return False
    try:
        before, after = (versions.key(old.ecosystem, fact.fixed) for fact in (old, new))
    except Refused:
        return False
    return before <= after
