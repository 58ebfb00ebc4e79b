"""From what a world says of flaws to what a ranking may count, as feeds/agree.py judges it.

Rules:

1. Of what is judged (`agree.FIELDS`) the level that two voices reach counts. What somebody says
   beyond it waits, and is shown as such.
2. Of what is only said (a title, a forecast) the value that most voices say counts; among equals
   that of the record's own publisher (`FIRST`), then the greatest by its bytes. Two voices with the
   same value agree; a listing's date is the earliest that is agreed.
3. Everything is as of one time: the world is asked for what it knew then.

Left out: which fields may rest on one channel (rank.py, `ALONE`).
"""

from collections.abc import Collection, Iterable, Iterator, Sequence
from itertools import groupby
from pathlib import Path

from answerable.exposure.features import Flaw, Listings
from answerable.exposure.manifest import Example
from answerable.exposure.rank import Context, Said, Sayings, flaw_of
from answerable.feeds import agree, tables
from answerable.feeds.agree import FIELDS, SILENT, VOICES, Believed, voice_of
from answerable.feeds.rows import Claim
from answerable.feeds.tables import Stated

PLAIN = (
    "cna", "cwe", "description", "epss", "epss_percentile", "kev_added", "kev_due",
    "kev_ransomware", "product", "published", "references", "rejected", "title", "vendor",
)  # fmt: skip
"""Fields that are taken as they are said."""
FIRST = ("vulnrichment", "nvd", "kev")
"""Whose text comes first where several say something else."""
ABOUT = ("cna", "kev_added", "product", "published", "vendor")
"""What is asked of every listed flaw, for the model."""


def sayings(stated: Iterable[Stated]) -> Iterator[tuple[str, Sayings]]:
    """Give what is believed of each flaw; claims come in the order of their flaws."""
    for name, group in groupby(stated, key=_subject):
        rows = list(group)
        found = dict(_plain(rows))
        (judged,) = agree.flaws(rows)
        found |= {field: _judged(field, judged.fields[field], rows) for field in FIELDS
                  if judged.fields[field].voices}  # fmt: skip
        yield name, found


def listed(folder: Path) -> bool:
    """Tell whether a catalogue of exploited flaws is in a world, so that absence means no."""
    return tables.speaks(folder, "kev")


def _subject(one: Stated) -> str:
    assert isinstance(one.row, Claim)
    return one.row.subject


def _judged(field: str, believed: Believed, rows: Sequence[Stated]) -> Said:
    level = believed.level if believed.level > SILENT else believed.claimed
    voices = [voice for voice in believed.voices if voice.level >= level]
    value = min(
        (voice.value for voice in believed.voices if voice.level == level), default=""
    )  # fmt: skip
    if field == "exploited":
        value = "yes" if level else "no"
    alone = believed.level == SILENT
    more = "" if believed.claimed <= level else max(
        (v.value for v in believed.voices if v.level == believed.claimed), default="")  # fmt: skip
    said = max((_said(one) for one in rows if _is(one, field)), default=0)
    state = str(believed.state) if alone else "agreed"
    who = tuple(sorted({voice.channel for voice in voices}))
    return Said(value, state, who, said or min(voice.seen for voice in voices), more)


def _said(one: Stated) -> int:
    return one.row.said if isinstance(one.row, Claim) else 0


def _is(one: Stated, field: str) -> bool:
    return isinstance(one.row, Claim) and one.row.field == field and not one.gone


def _plain(rows: Sequence[Stated]) -> Iterator[tuple[str, Said]]:
    for field in PLAIN:
        by_value: dict[str, list[Stated]] = {}
        for one in rows:
            if _is(one, field) and isinstance(one.row, Claim):
                by_value.setdefault(one.row.value, []).append(one)
        if by_value:
            yield field, _chosen(field, by_value)


def _chosen(field: str, by_value: dict[str, list[Stated]]) -> Said:
    def weight(value: str) -> tuple[int, int, int, str]:
        channels = _channels(by_value[value])
        own = max((len(FIRST) - FIRST.index(c) for c in channels if c in FIRST), default=0)
        early = -int(value) if field == "kev_added" and value.isdecimal() else 0
        return min(len({voice_of(c) for c in channels}), VOICES), early, own, value

    value = max(by_value, key=weight)
    said, channels = by_value[value], _channels(by_value[value])
    agreed = len({voice_of(channel) for channel in channels}) >= VOICES
    since = max(_said(one) for one in said)
    return Said(value, "agreed" if agreed else "single", channels,
                since or min(one.seen for one in said))  # fmt: skip


def _channels(said: Iterable[Stated]) -> tuple[str, ...]:
    return tuple(sorted({one.row.channel for one in said}))


def believed(world: Path, names: Collection[str] | None, at: int) -> dict[str, Sayings]:
    """Give what a world (its folder) knew of these flaws (all, if None) at POSIX second `at`."""
    return dict(sayings(tables.claims(world, names, at, (*FIELDS, *PLAIN))))


def listings(world: Path, at: int) -> Listings:
    """Give every agreed listing that a world knew at POSIX second `at`."""
    listed = {_subject(one) for one in tables.claims(world, None, at, ("kev_added",))}
    known = dict(sayings(tables.claims(world, listed, at, (*ABOUT, *FIELDS))))
    context = Context(at, flaws=known)
    return Listings(_listed(context))


def _listed(context: Context) -> Iterator[tuple[Flaw, int]]:
    for name in context.flaws:
        since, exploited = context.believed(name, "kev_added"), context.believed(name, "exploited")
        if exploited and exploited.value == "yes" and since and since.value.isdecimal():
            yield flaw_of(name, context), int(since.value)


def examples(world: Path, at: int) -> Iterator[Example]:
    """Give every flaw of a world as an example for training, as known at POSIX second `at`.

    A flaw that its publisher rejected is none.
    """
    for name, said in sayings(tables.claims(world, None, at, (*FIELDS, *PLAIN))):
        if "rejected" in said:
            continue
        context = Context(at, flaws={name: said})
        named_by = {voice_of(channel) for one in said.values() for channel in one.channels}
        exploited, since = said.get("exploited"), said.get("kev_added")
        listed = bool(exploited and exploited.value == "yes" and since)
        listed_by = {voice_of(c) for c in exploited.channels} if exploited and listed else set()
        yield Example(
            flaw_of(name, context),
            int(since.value) if since and listed and since.value.isdecimal() else 0,
            frozenset(named_by), frozenset(listed_by),
        )  # fmt: skip
