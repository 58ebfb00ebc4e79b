r"""Version keys that sort as bytes and compare as the package tools do: dpkg, rpm and PEP 440.

`key("debian:12", "1:2.3-1") < key("debian:12", "1:2.3-2")`. No key begins another one of its
scheme, so keys may be joined and followed by anything. Forms, in which `n(x)` is a number that
sorts by its value: one byte below 240, else 0xF0 + its length in bytes (0xFF and a two-byte length
from 15 on) and the bytes, big-endian.

* dpkg, deb-version(7): `n(epoch)`, upstream version, revision (of `1.0-1-2` that is `2`; absent it
  is `0`). A part is runs of non-digits and numbers in turn: each character (`~` 01, letters 03..36,
  others 40 + ASCII, all hex), 02, `n`; a 02 ends it. So `~` < end < letters < the rest.
  `1.0~rc1` is `02 01 | 6e 02 00 | 01 2e 1f 02 01 | 02`.
* rpm, rpm-version(7): `n(epoch)`, version, release. Of a part only runs of letters (04, text, 00)
  and digits (05, `n`), `~` (01) and `^` (03) count; 02 ends it.
* PEP 440: `n(epoch)`, 02 `n` for each number of the release but trailing zeros, 01; pre-release (00
  for one of development only, 01 a, 02 b, 03 rc with `n`, 04 none), post (00, or 01 `n`), dev (00
  `n`, or 01), local parts (01 text 00, or 02 `n`), 00.

Left out: semver and apk, which no host of ours has (exposure/keys.py).
"""

import re
from collections.abc import Callable
from functools import lru_cache

from answerable.kernel.errors import demand

ABSENT = "(none)"
"""In an order's place of a version: the package is not there (apt and rpm spell it so). No scheme
has such a version, so no artefact, advisory or inventory can say it."""
LENGTH = 255
"""Longest version that is read, characters."""
PARTS = 8_192
"""Most parts of versions whose keys are remembered: few revisions make up most versions."""
DPKG = frozenset({"debian", "ubuntu", "ubuntu-pro"})
RPM = frozenset({
    "almalinux", "amazon", "azure linux", "centos", "fedora", "mageia", "openeuler", "opensuse",
    "opensuse-leap", "opensuse-tumbleweed", "oracle", "photon os", "redhat", "rocky", "sles",
    "suse",
})  # fmt: skip
"""Distributions by their package tool; an ecosystem is `<distribution>:<release>`."""

_DEB_VERSION = re.compile(
    r"(?:(\d{1,9}):|(?!.*:))(?:([0-9][A-Za-z0-9.+~:-]*)-([A-Za-z0-9.+~]+)|([0-9][A-Za-z0-9.+~:]*))"
)
_EVR = re.compile(r"(?:(\d{1,9}):)?([A-Za-z0-9._+~^]+)(?:-([A-Za-z0-9._+~^]+))?")
_PEP440 = re.compile(
    r"v?(?:(\d+)!)?(\d+(?:\.\d+)*)(?:[-_.]?(alpha|a|beta|b|preview|pre|c|rc)[-_.]?(\d*))?"
    r"(-\d+|[-_.]?(?:post|rev|r)[-_.]?\d*)?([-_.]?dev[-_.]?\d*)?"
    r"(?:\+([a-z0-9]+(?:[-_.][a-z0-9]+)*))?",
    re.IGNORECASE,
)
_RUNS = re.compile(r"([^0-9]*)([0-9]*)")
_RPM_RUNS = re.compile(r"([A-Za-z]+)|([0-9]+)|([~^])")
_DIGITS = re.compile(r"\D")
_ZEROS = re.compile(r"(?:\.0+)+$")
_LOCAL = re.compile(r"[-_.]")
_LETTERS = sorted("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz")
_DPKG_CHARS = {
    **{ord(c): 0x40 + ord(c) for c in "+-.:"},
    **{ord(c): 3 + place for place, c in enumerate(_LETTERS)},
    ord("~"): 1,
}
_SMALL = {"": b"\0", **{str(n): bytes((n,)) for n in range(240)}}


def number(digits: str) -> bytes:
    """Give `n(digits)`; no digits are 0."""
    small = _SMALL.get(digits)
    if small is not None:
        return small
    value = int("0" + digits)
    if value < 240:  # noqa: PLR2004  the module's text
        return bytes((value,))
    size = (value.bit_length() + 7) // 8
    head = bytes((0xF0 + size,)) if size < 15 else b"\xff" + size.to_bytes(2)  # noqa: PLR2004
    return head + value.to_bytes(size)


@lru_cache(maxsize=PARTS)
def _dpkg_part(text: str) -> bytes:
    out = b""
    for chars, digits in _RUNS.findall(text)[:-1]:
        out += chars.translate(_DPKG_CHARS).encode("latin-1") + b"\2" + number(digits)
    return out + b"\2"


def _dpkg(found: re.Match[str]) -> bytes:
    epoch, upstream, revision, native = found.groups()
    return number(epoch or "0") + _dpkg_part(upstream or native) + _dpkg_part(revision or "0")


@lru_cache(maxsize=PARTS)
def _rpm_part(text: str) -> bytes:
    out = b""
    for letters, digits, mark in _RPM_RUNS.findall(text):
        if digits:
            out += b"\5" + number(digits)
        elif letters:
            out += b"\4" + letters.encode() + b"\0"
        else:
            out += b"\1" if mark == "~" else b"\3"
    return out + b"\2"


def _rpm(found: re.Match[str]) -> bytes:
    epoch, version, release = found.groups()
    return number(epoch or "0") + _rpm_part(version) + _rpm_part(release or "")


def _pep440(found: re.Match[str]) -> bytes:
    epoch, release, pre, pre_number, post, dev, local = found.groups()
    pre, local = pre and pre.lower(), local and local.lower()
    out = number(epoch or "0")
    for each in _ZEROS.sub("", release).split("."):
        out += b"\2" + number(each)
    if pre:
        out += b"\1" + {"a": b"\1", "b": b"\2"}.get(pre[0], b"\3") + number(pre_number)
    else:
        out += b"\1\0" if dev and not post else b"\1\4"
    out += b"\1" + number(_DIGITS.sub("", post)) if post else b"\0"
    out += b"\0" + number(_DIGITS.sub("", dev)) if dev else b"\1"
    for part in _LOCAL.split(local) if local else ():
        out += b"\2" + number(part) if part.isdigit() else b"\1" + part.encode() + b"\0"
    return out + b"\0"


Form = Callable[[re.Match[str]], bytes]
"""Makes a key of a version that was taken apart."""
Read = tuple[Form, re.Match[str]]
"""A version that was taken apart: it has an order."""


def key(ecosystem: str, version: str) -> bytes:
    """Give the sort key of a version.

    Args:
        ecosystem: `pypi`, or a distribution of the lists above and its release: `debian:12`.
        version: as the package tool spells it.

    Raises:
        Refused: `malformed` for an ecosystem or a version that is not known.
    """
    form, found = read(ecosystem, version)
    return form(found)


def order(ecosystem: str, version: str) -> bytes:
    """Give `key`, or, of what is not there, what sorts below every version. Raises as `key`."""
    return b"" if version == ABSENT else key(ecosystem, version)


def read(ecosystem: str, version: str) -> Read:
    """Take a version apart; its key is made when it is asked for. Raises as `key` does."""
    scheme = _scheme(ecosystem)
    sound = scheme and len(version) <= LENGTH and version.isascii()
    found = scheme[0].fullmatch(version) if scheme and sound else None
    demand(found, "malformed", f"`{version}` is no version of `{ecosystem}`")
    assert scheme and found, "just demanded"  # noqa: PT018
    return scheme[1], found


@lru_cache(maxsize=1024)
def _scheme(ecosystem: str) -> tuple[re.Pattern[str], Form] | None:
    family, colon, _ = ecosystem.partition(":")
    if colon and family in DPKG:
        return _DEB_VERSION, _dpkg
    if colon and family in RPM:
        return _EVR, _rpm
    return (_PEP440, _pep440) if ecosystem == "pypi" else None
