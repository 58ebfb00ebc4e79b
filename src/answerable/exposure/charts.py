"""Two pictures of a ranked list: where the fleet is exposed, and what is most urgent and why.

A picture is a list of boxes and texts; `svg` writes it (SVG 1.1, no script, no style, no link, no
outside resource), png.py paints the same. The heat map has a row for each host, or for each zone
where hosts are many, and a column for each timeline; the colour is the share of the fullest cell,
on a scale of light to dark that also reads without colour. The ranking chart has a bar for each of
the first exposures, put together from the parts of its score.

Rules: text of a feed or a host is plain text (plain.py), cut to length. The same rows give the
same bytes.

Left out: time series; anything that moves.
"""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from answerable.exposure.bod2604 import DAYS
from answerable.exposure.plain import plain, xml
from answerable.exposure.rank import TIMELINE, Kind, Ranked, Reason

ROWS = 40
"""Most rows of a heat map before it shows zones instead of hosts; most bars of a chart."""
LENGTH = 42
"""Longest label, characters."""
INK, PAPER, FAINT = "#1a1a1a", "#ffffff", "#6b6b6b"
_EMPTY, _LIGHT, _DARK = (0xF3, 0xF3, 0xF3), (0xFD, 0xE0, 0xC5), (0x8B, 0x1E, 0x3F)
_KINDS: Mapping[Kind, tuple[str, str]] = {
    "directive": ("BOD 26-04", "#8b1e3f"), "exploitation": ("exploitation", "#3c6997"),
    "forecast": ("EPSS", "#5b8c5a"), "model": ("model", "#c98c2b"),
    "severity": ("severity", "#6c5b7b"), "place": ("place", "#8c8c8c"),
}  # fmt: skip
_TITLES = {"FSU": "on upgrade", "60D": "60 days", "14D": "14 days", "3D": "3 days",
           "3DF": "3 days + forensics"}  # fmt: skip
_LINE, _LEFT, _TOP, _CELL, _BAR = 22, 320, 74, 118, 560
_STEP = 3_000
"""Points' worth of bar that a step of the timeline has; more than parts within one differ by."""


@dataclass(frozen=True, slots=True)
class Box:
    """A filled rectangle, pixels; `title` is shown where a pointer rests."""

    x: int
    y: int
    width: int
    height: int
    colour: str
    title: str = ""


@dataclass(frozen=True, slots=True)
class Text:
    """A line of text on its base line, pixels."""

    x: int
    y: int
    text: str
    size: int = 13
    anchor: Literal["start", "middle", "end"] = "start"
    colour: str = INK


@dataclass(frozen=True)
class Picture:
    """What is drawn, back to front, pixels."""

    width: int
    height: int
    title: str
    shapes: tuple[Box | Text, ...]


def svg(picture: Picture) -> str:
    """Write a picture as SVG."""
    size = f'width="{picture.width}" height="{picture.height}"'
    head = f'<svg xmlns="http://www.w3.org/2000/svg" {size} role="img" font-family="sans-serif"'
    box = f'viewBox="0 0 {picture.width} {picture.height}">'
    body = "\n".join(_element(shape) for shape in picture.shapes)
    return f"{head} {box}\n<title>{xml(picture.title)}</title>\n{body}\n</svg>\n"


def _element(shape: Box | Text) -> str:
    if isinstance(shape, Text):
        place = f'x="{shape.x}" y="{shape.y}" font-size="{shape.size}"'
        words = f'text-anchor="{shape.anchor}" fill="{shape.colour}"'
        return f"<text {place} {words}>{xml(shape.text)}</text>"
    place = f'x="{shape.x}" y="{shape.y}" width="{shape.width}" height="{shape.height}"'
    title = f"<title>{xml(shape.title)}</title>" if shape.title else ""
    return f'<rect {place} fill="{shape.colour}">{title}</rect>'


def short(text: str) -> str:
    """Cut a label to length."""
    text = plain(text)
    return text if len(text) <= LENGTH else text[: LENGTH - 1] + "\u2026"


def heat_map(rows: Sequence[Ranked], hosts: Sequence[str], unknown: Sequence[str]) -> Picture:
    """Draw who is exposed to how much, by timeline.

    Args:
        rows: exposures.
        hosts: every host that is known, so that one without exposures has its row.
        unknown: hosts of which nothing is known; each has its row, and no number.
    """
    by_zone = len(hosts) + len(unknown) > ROWS
    counts = _counts(rows, by_zone=by_zone)
    names = sorted({name for name, _ in counts} | (set() if by_zone else set(hosts)))
    names.sort(key=lambda name: [-counts[name, timeline] for timeline in reversed(DAYS)])
    blind = [] if by_zone else sorted(unknown)
    title = (
        f"Exposures by {'zone' if by_zone else 'host'} and timeline: "
        f"{len(rows)} on {len(hosts)} hosts"
    )
    shapes: list[Box | Text] = []
    for at, timeline in enumerate(reversed(DAYS)):
        middle = _LEFT + at * _CELL + _CELL // 2
        shapes.append(Text(middle, _TOP - 10, _TITLES[timeline], 12, "middle", FAINT))
    most = max(counts.values(), default=1)
    for line, name in enumerate(names[:ROWS]):
        shapes += _cells(line, name, [counts[name, timeline] for timeline in reversed(DAYS)], most)
    lines = len(names[:ROWS])
    for line, name in enumerate(blind, lines):
        y = _TOP + line * _LINE + 15
        shapes.append(Text(_LEFT - 10, y, short(name), 13, "end"))
        shapes.append(Text(_LEFT + 8, y, "nothing is known", 12, "start", FAINT))
    more = len(names) - lines
    note = f"{more} zones more" if more else "darker is more"
    if by_zone and unknown:
        note += f"; of {len(unknown)} hosts nothing is known"
    width = _LEFT + _CELL * len(DAYS) + 24
    return _framed(shapes, width, lines + len(blind), title, note)


def _counts(rows: Sequence[Ranked], *, by_zone: bool) -> Counter[tuple[str, str]]:
    counts: Counter[tuple[str, str]] = Counter()
    for row in rows:
        names = sorted(row.exposure.zones) or ["(no zone)"] if by_zone else [row.exposure.host]
        counts.update((name, row.verdict.floor.timeline) for name in names)
    return counts


def _cells(line: int, name: str, counts: Sequence[int], most: int) -> Iterator[Box | Text]:
    y = _TOP + line * _LINE
    yield Text(_LEFT - 10, y + 15, short(name), 13, "end")
    for at, (count, timeline) in enumerate(zip(counts, reversed(DAYS), strict=True)):
        x = _LEFT + at * _CELL
        title = f"{name}: {count} x {_TITLES[timeline]}"
        yield Box(x + 1, y + 1, _CELL - 2, _LINE - 2, _shade(count, most), title)
        if count:
            dark = 2 * count > most
            colour = PAPER if dark else INK
            yield Text(x + _CELL // 2, y + 15, str(count), 12, "middle", colour)


def _shade(count: int, most: int) -> str:
    if not count:
        return _hex(_EMPTY)
    mixed = [low + (high - low) * count // most for low, high in zip(_LIGHT, _DARK, strict=True)]
    return _hex(mixed)


def _hex(parts: Sequence[int]) -> str:
    return "#" + "".join(f"{part:02x}" for part in parts)


def ranking(rows: Sequence[Ranked], by: str) -> Picture:
    """Draw the first exposures and what their scores are made of; `by` says who ranked."""
    shown = list(rows[:ROWS])
    title = f"The most urgent {len(shown)} of {len(rows)} exposures"
    shapes: list[Box | Text] = []
    x = _LEFT
    for name, colour in _KINDS.values():
        shapes += [Box(x, _TOP - 24, 11, 11, colour), Text(x + 16, _TOP - 14, name, 12)]
        x += 30 + 8 * len(name)
    most = max((_length(one) for one in shown), default=1)
    for line, one in enumerate(shown):
        shapes += _bar(line, one, most)
    return _framed(shapes, _LEFT + _BAR + 90, len(shown), title, by[:90])


def _length(one: Ranked) -> int:
    return sum(_points(reason) for reason in one.reasons)


def _points(reason: Reason) -> int:
    """Give a part's length: a step of the timeline is drawn shorter than it counts."""
    return reason.points * _STEP // TIMELINE if reason.kind == "directive" else reason.points


def _bar(line: int, one: Ranked, most: int) -> Iterator[Box | Text]:
    y, x, exposure = _TOP + line * _LINE, _LEFT, one.exposure
    name = one.verdict.cve or exposure.advisory.id
    yield Text(_LEFT - 10, y + 15, short(f"{name} {exposure.host}"), 12, "end")
    for kind, (_, colour) in _KINDS.items():
        mine = [reason for reason in one.reasons if reason.kind == kind]
        width = sum(_points(reason) for reason in mine) * _BAR // max(most, 1)
        if width:
            title = "; ".join(f"{reason.points} {reason.because}" for reason in mine)
            yield Box(x, y + 3, width, _LINE - 6, colour, title)
            x += width
    yield Text(x + 8, y + 15, str(one.score), 12)


def _framed(shapes: Sequence[Box | Text], width: int, lines: int, title: str, note: str) -> Picture:
    height = _TOP + max(lines, 1) * _LINE + 40
    paper, head = Box(0, 0, width, height, PAPER), Text(24, 32, title, 17)
    foot = Text(_LEFT, height - 14, note, 11, "start", FAINT)
    return Picture(width, height, title, (paper, head, *shapes, foot))
