"""The CVSS base score of a vector, in tenths.

Versions 3.0 and 3.1 (FIRST, CVSS v3.1 Specification Document, section 7.1 and appendix A; 3.0 is
rounded as 3.1). Example: `CVSS:3.1/AV:N/AC:L/PR:N/UI:N/S:U/C:H/I:H/A:H` is 98. Left out: 2.0 and
4.0, temporal and environmental scores: -1, absent.
"""

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
_RATINGS = ((90, "critical"), (70, "high"), (40, "medium"), (1, "low"))


def tenths(vector: str) -> int:
    """Give the base score in tenths, or -1 if the vector is of no version that is read."""
    version, *parts = vector[:LENGTH].split("/")
    letters = dict(part.split(":", 1) for part in parts if ":" in part)
    known = all(letters.get(name, "") in row for name, row in _WEIGHTS.items())
    if version not in ("CVSS:3.0", "CVSS:3.1") or not known:
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
