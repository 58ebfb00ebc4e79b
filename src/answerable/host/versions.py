"""Version keys that compare as the package tools do: dpkg and PEP 440.

`key("debian:12", "1:2.3-1") < key("debian:12", "1:2.3-2")`; a key is an opaque nested tuple.
dpkg: deb-version(7), split at the first `:` and the last `-`, then runs of non-digits (`~` before
the end, the end before letters, letters before the rest) and numbers in turn. PEP 440: epoch,
release without trailing zeros, pre, post, dev, local.

Left out: rpm, semver, apk (added with the hosts that need them), and keys that sort as bytes.
"""

import re
from typing import Any

from answerable.kernel.errors import demand

LENGTH = 255
"""Longest version that is read, characters."""

_DPKG = re.compile(r"(?:(\d{1,9}):)?([0-9][A-Za-z0-9.+~:-]*?)(?:-([A-Za-z0-9.+~]+)|(?<!-))")
_PEP = re.compile(
    r"v?(?:(\d+)!)?(\d+(?:\.\d+)*)(?:[-_.]?(alpha|a|beta|b|preview|pre|c|rc)[-_.]?(\d*))?"
    r"(-\d+|[-_.]?(?:post|rev|r)[-_.]?\d*)?([-_.]?dev[-_.]?\d*)?"
    r"(?:\+([a-z0-9]+(?:[-_.][a-z0-9]+)*))?"
)
Order = tuple[Any, ...]


def _number(text: str | None) -> int:
    return int("0" + re.sub(r"\D", "", text or ""))


def _runs(part: str) -> Order:
    return tuple(
        (*(-1 if c == "~" else ord(c) + 256 * (not c.isalpha()) for c in text), 0, _number(digits))
        for text, digits in re.findall(r"([^0-9]*)([0-9]*)", part)[:-1]
    )


def _dpkg(found: re.Match[str]) -> Order:
    demand(":" not in found[2] or found[1], "malformed", f"`{found[0]}` is not a Debian version")
    end = (0, 0)  # an absent run is an empty text and a zero
    return int(found[1] or 0), (*_runs(found[2]), end), (*_runs(found[3] or "0"), end)


def _pep440(found: re.Match[str]) -> Order:
    epoch, release, pre, pre_number, post, dev, local = found.groups()
    numbers = tuple(map(int, re.sub(r"(\.0+)+$", "", release).split(".")))
    stage = ({"a": 1, "b": 2}.get(pre[0], 3), _number(pre_number)) if pre else (9, 0)
    stage = (0, 0) if dev and not pre and not post else stage
    parts = tuple(
        (p.isdigit(), _number(p), "" if p.isdigit() else p)
        for p in (re.split(r"[-_.]", local) if local else ())
    )
    return _number(epoch), numbers, stage, bool(post), _number(post), not dev, _number(dev), parts


def key(ecosystem: str, version: str) -> Order:
    """Give the sort key of a version.

    Args:
        ecosystem: `debian:<release>`, `ubuntu:<release>` or `pypi`.
        version: as the package tool spells it.

    Raises:
        Refused: `malformed` for a version that the scheme does not know.
    """
    debian = ecosystem.startswith(("debian:", "ubuntu:"))
    sound = version.isascii() and len(version) <= LENGTH and (debian or ecosystem == "pypi")
    found = (_DPKG if debian else _PEP).fullmatch(version if debian else version.lower())
    demand(sound and found, "malformed", f"`{version}` is no version of `{ecosystem}`")
    assert found, "just demanded"
    return _dpkg(found) if debian else _pep440(found)
