"""The CVSS base score of a vector, in tenths.

Versions 3.0 and 3.1 are computed here (FIRST, CVSS v3.1 Specification Document, section 7.1 and
appendix A; 3.0 is rounded as 3.1), 2.0 and 4.0 by the library `cvss`, from the base metrics alone.
Examples:
    CVSS:3.1/AV:N/AC:L/PR:N/UI:N/S:U/C:H/I:H/A:H                         98
    CVSS:4.0/AV:N/AC:L/AT:N/PR:N/UI:N/VC:H/VI:H/VA:H/SC:N/SI:N/SA:N      93
    AV:N/AC:L/Au:N/C:P/I:P/A:P                    (2.0 has no prefix)    75

What is no vector is -1, absent.

Left out: temporal, threat and environmental metrics, which say nothing about the flaw itself.
"""

from collections.abc import Callable
from functools import lru_cache

from cvss import CVSS2, CVSS4  # type: ignore[import-untyped]
from cvss.exceptions import CVSSError  # type: ignore[import-untyped]

_WEIGHTS: dict[str, dict[str, float]] = {
    "AV": {"N": 0.85, "A": 0.62, "L": 0.55, "P": 0.2},
    "AC": {"L": 0.77, "H": 0.44},
    "PR": {"N": 0.85, "L": 0.62, "H": 0.27},
    "UI": {"N": 0.85, "R": 0.62},
    "S": {"U": 0.0, "C": 1.0},
    "C": {"H": 0.56, "L": 0.22, "N": 0.0},
    "I": {"H": 0.56, "L": 0.22, "N": 0.0},
    "A": {"H": 0.56, "L": 0.22, "N": 0.0},
}
_PRIVILEGES_CHANGED = {"N": 0.85, "L": 0.68, "H": 0.5}
LENGTH = 256
"""Longest vector that is read, characters."""
_CACHED = 1 << 16
_BASE2 = ("AV", "AC", "Au", "C", "I", "A")
_BASE4 = ("AV", "AC", "AT", "PR", "UI", "VC", "VI", "VA", "SC", "SI", "SA")
_RATINGS = ((90, "critical"), (70, "high"), (40, "medium"), (1, "low"))


@lru_cache(maxsize=_CACHED)
def tenths(vector: str) -> int:
    """Give the base score in tenths, or -1 if it is no vector."""
    version, *parts = vector[:LENGTH].split("/")
    if version in ("CVSS:3.0", "CVSS:3.1"):
        return _third(_letters(parts))
    if version == "CVSS:4.0":
        return _by_library(CVSS4, "CVSS:4.0/", _BASE4, _letters(parts))
    return _by_library(CVSS2, "", _BASE2, _letters([version, *parts]))


def _letters(parts: list[str]) -> dict[str, str]:
    return {name: letter for name, _, letter in (part.partition(":") for part in parts)}


def _by_library(
    score: Callable[..., object], prefix: str, names: tuple[str, ...], letters: dict[str, str]
) -> int:
    if not all(letters.get(name, "").isalpha() for name in names):
        return -1
    try:
        found = score(prefix + "/".join(f"{name}:{letters[name]}" for name in names))
    except CVSSError:
        return -1
    return round(10 * float(getattr(found, "base_score", -0.1)))


def _third(letters: dict[str, str]) -> int:
    if not all(letters.get(name, "") in row for name, row in _WEIGHTS.items()):
        return -1
    weight = {name: row[letters[name]] for name, row in _WEIGHTS.items()}
    changed = letters["S"] == "C"
    if changed:
        weight["PR"] = _PRIVILEGES_CHANGED[letters["PR"]]
    return _base(weight, changed=changed)


def _base(w: dict[str, float], *, changed: bool) -> int:
    lost = 1 - (1 - w["C"]) * (1 - w["I"]) * (1 - w["A"])
    impact = 6.42 * lost
    if changed:
        impact = 7.52 * (lost - 0.029) - 3.25 * (lost - 0.02) ** 15
    if impact <= 0:
        return 0
    ease = 8.22 * w["AV"] * w["AC"] * w["PR"] * w["UI"]
    total = min((1.08 if changed else 1.0) * (impact + ease), 10.0)
    return -(-round(total * 100_000) // 10_000)


def rating(score: int) -> str:
    """Give the qualitative rating of a score in tenths (section 5); `unknown` for none or zero."""
    return next((word for least, word in _RATINGS if score >= least), "unknown")
