"""C2SP tlog-tiles: paths of tiles and bundles, and taking a bundle apart.

`tile/<L>/<N>[.p/<W>]` and `tile/entries/<N>[.p/<W>]`: L is 0..63 without leading zeros, N is in
groups of three digits, all but the last prefixed `x` (1234067 is `x001/x234/067`), W is 1..255. A
tile is up to 256 hashes of 32 bytes, a bundle up to 256 times `u16 length || entry`.
"""

import re

SPAN = 256
"""Hashes of a full tile, entries of a full bundle."""
_NUMBER = r"(?:x[0-9]{3}/){0,5}[0-9]{3}"
_PATH = re.compile(rf"tile/(entries|0|[1-9][0-9]?)/({_NUMBER})(?:\.p/([1-9][0-9]{{0,2}}))?")
_TOP = 63


def tile_path(level: str, number: int, width: int = SPAN) -> str:
    """Spell the path of a tile (`level` in decimal) or bundle (`level` is `entries`)."""
    digits = str(number)
    digits = digits.rjust((len(digits) + 2) // 3 * 3, "0")
    groups = [digits[i : i + 3] for i in range(0, len(digits), 3)]
    path = "/".join(["x" + group for group in groups[:-1]] + groups[-1:])
    return f"tile/{level}/{path}" + (f".p/{width}" if width < SPAN else "")


def read_path(path: str) -> tuple[int, int, int] | None:
    """Read such a path in its one spelling.

    Returns: level (-1 for a bundle), number and width, or None.
    """
    found = _PATH.fullmatch(path)
    if not found:
        return None
    level, groups, width = found.groups()
    number, wide = int(groups.replace("x", "").replace("/", "")), int(width or SPAN)
    spelt = tile_path(level, number, wide) == path
    high = level != "entries" and int(level) > _TOP
    sound = spelt and not high and (width is None or wide < SPAN)
    return (-1 if level == "entries" else int(level), number, wide) if sound else None


def split_bundle(data: bytes) -> list[bytes] | None:
    """Take a bundle apart; None if it is none."""
    entries: list[bytes] = []
    at = 0
    while at < len(data):
        end = at + 2 + int.from_bytes(data[at : at + 2], "big")
        if end > len(data) or at + 2 > len(data) or len(entries) == SPAN:
            return None
        entries.append(data[at + 2 : end])
        at = end
    return entries
