r"""Version keys of every ecosystem, and what of a package is looked up under which name.

A key sorts as bytes (host/versions.py has the form of `n(x)`, and dpkg, rpm and PEP 440). Added:

* semver 2.0.0 (npm, crates.io, Go, ...): three `n`, missing ones 0; FF for a release, else 01 and
  for each identifier of the pre-release 01 `n` or 02 text 00, then 00. Build metadata and a leading
  `v` do not count. Go's pseudo-versions are of this form already.
* apk: `n` of the first number; for each further one 21 `n`, or 20 text 00 if it begins with a 0;
  10 letter; `_alpha` 01, `_beta` 02, `_pre` 03, `_rc` 04, `_cvs` 06, `_svn` 07, `_git` 08, `_hg`
  09, `_p` 0a, each with `n`; 05, `n` of `-r`. A commit hash (`~1a2b`) does not count.
* RubyGems (`Gem::Version`): numbers and words in turn, a `-` read as `.pre.`; zeros before the
  first word or at the end do not count, and what is missing is 0, so that words stand below it and
  numbers above: 01 text 00, after zeros 02 and how many; 03 at the end; 05 `n`, after zeros 04 and
  255 less how many.
* NuGet (`NuGet.Versioning`): four `n`, missing ones 0, then as semver, letters in upper case; a
  number of a pre-release above 2^31-1 counts as text. Build metadata does not count.
* Maven (`ComparableVersion`), of the forms on which its comparison is an order at all: numbers; or
  those and `.Final`, `.GA`, `.RELEASE`, which do not count; or those and, after a `-`, numbers, or
  a word and perhaps one number (`-rc1`, `-rc-1`, `-rc.1`). For each number 05 `n`, but for zeros
  at the end; then 01 word below the release (alpha 00, beta 01, milestone 02, rc 03, snapshot 04),
  02 for the release itself, 03 01 for `sp`, 03 02 text 00 for any other word, 03 03 and numbers
  with a 02 behind. After a word 00, or 01 `n` of its number, 02 `n` if a `.` stands before it.
  `1-rc > 1.sp > 1 > 1-rc`, so forms like `1.sp` have no key.

A range of versions is two byte strings, low <= key < high (`bounds`).

A package is looked up as what it is (`binary`) by its own version, and as its source package
(`source`) by that one's version, which is what Debian's fixes are counted in. A backport
(`1.2-3~bpo12+1`) comes out of a later release than its host, so it is looked up in Debian's
unstable as well: if any of them says that it is affected, it is.

Left out: Composer and Maven's other forms (refused, and so listed as not matched); the streams of
RPM modules, which OSV records do not name and inventories do not have: an advisory about one
stream counts for a lower version of every other one as well, so too much may be listed, never too
little.
"""

import re
from functools import lru_cache
from typing import NamedTuple

from answerable.feeds.rows import Level, Range
from answerable.host import versions
from answerable.host.versions import LENGTH, Form, Read, number
from answerable.inventory.installed import Installed
from answerable.kernel.errors import demand

SEMVER = frozenset({
    "bitnami", "crates.io", "github actions", "go", "hex", "npm", "pub", "swifturl",
})  # fmt: skip
GEMS, MAVEN, NUGET = frozenset({"rubygems"}), frozenset({"maven"}), frozenset({"nuget"})
APK = frozenset({"alpine", "chainguard", "wolfi"})
UNSTABLE = "debian:sid"
"""Where Debian's backports come from."""
TOP = b"\xff\xff\xff\xff"
"""Above every key: a number's length would need more than 255 digits to begin so."""

_NUMBER = r"(0|[1-9]\d*)"
_ID = rf"(?:{_NUMBER[1:-1]}|\d*[A-Za-z-][0-9A-Za-z-]*)"
_SEMVER = re.compile(
    rf"v?{_NUMBER}(?:\.{_NUMBER})?(?:\.{_NUMBER})?(?:-({_ID}(?:\.{_ID})*))?"
    r"(?:\+[0-9A-Za-z-]+(?:\.[0-9A-Za-z-]+)*)?"
)
_SUFFIXES = {
    "alpha": 1, "beta": 2, "pre": 3, "rc": 4, "cvs": 6, "svn": 7, "git": 8, "hg": 9, "p": 10,
}  # fmt: skip
_SUFFIX = "|".join(_SUFFIXES)
_APK = re.compile(rf"(\d+)((?:\.\d+)*)([a-z]?)((?:_(?:{_SUFFIX})\d*)*)(?:~[0-9a-f]+)?(?:-r(\d+))?")
_APK_SUFFIX = re.compile(rf"_({_SUFFIX})(\d*)")
_GEM = re.compile(r"\d+(?:\.[0-9A-Za-z]+)*(?:-[0-9A-Za-z-]+(?:\.[0-9A-Za-z-]+)*)?")
_GEM_PARTS = re.compile(r"\d+|[A-Za-z]+")
_NUGET = re.compile(
    r"(\d{1,9})(?:\.(\d{1,9}))?(?:\.(\d{1,9}))?(?:\.(\d{1,9}))?"
    r"(?:-([0-9A-Za-z-]+(?:\.[0-9A-Za-z-]+)*))?(?:\+[0-9A-Za-z-]+(?:\.[0-9A-Za-z-]+)*)?"
)
_INT = (1 << 31) - 1
_MAVEN = re.compile(
    r"(\d+(?:\.\d+)*)(?:[.-](?:final|ga|release)|-(\d+(?:\.\d+)*)"
    r"|-(?!(?:final|ga|release)[.-]?\d)([a-z]+)(?:([.-]?)(\d+))?)?",
    re.IGNORECASE,
)
_WORDS = {"alpha": 0, "beta": 1, "milestone": 2, "rc": 3, "cr": 3, "snapshot": 4}
_SHORT = {"a": "alpha", "b": "beta", "m": "milestone"}
"""What they mean where a number follows at once."""
_BACKPORT = re.compile(r"~bpo\d+\+")


def _semver(found: re.Match[str]) -> bytes:
    major, minor, patch, pre = found.groups()
    out = number(major) + number(minor or "0") + number(patch or "0")
    if not pre:
        return out + b"\xff"
    out += b"\1"
    for part in pre.split("."):
        out += b"\1" + number(part) if part.isdigit() else b"\2" + part.encode() + b"\0"
    return out + b"\0"


def _apk(found: re.Match[str]) -> bytes:
    first, rest, letter, suffixes, revision = found.groups()
    out = number(first)
    for each in rest.split(".")[1:]:
        out += b"\x20" + each.encode() + b"\0" if each[0] == "0" else b"\x21" + number(each)
    if letter:
        out += b"\x10" + letter.encode()
    for suffix, count in _APK_SUFFIX.findall(suffixes):
        out += bytes((_SUFFIXES[suffix],)) + number(count)
    return out + b"\5" + number(revision or "0")


def _gem(found: re.Match[str]) -> bytes:
    out, zeros, words = b"", 0, False
    for part in _GEM_PARTS.findall(found[0].replace("-", ".pre.")):
        if not part.strip("0"):
            zeros += 1
            continue
        if part.isdigit():
            out += bytes((4, 255 - zeros)) if zeros else b"\5"
            out += number(part)
        else:
            out += bytes((2, zeros)) if zeros and words else b"\1"
            out += part.encode() + b"\0"
            words = True
        zeros = 0
    return out + b"\3"


def _nuget(found: re.Match[str]) -> bytes:
    *numbers, pre = found.groups()
    out = b"".join(number(each or "0") for each in numbers)
    if not pre:
        return out + b"\xff"
    for part in pre.upper().split("."):
        small = part.isdigit() and int(part) <= _INT
        out += b"\1" + number(part) if small else b"\2" + part.encode() + b"\0"
    return out + b"\0"


def _numbers(text: str) -> bytes:
    parts = [part.lstrip("0") for part in text.split(".")]
    while parts and not parts[-1]:
        parts.pop()
    return b"".join(b"\5" + number(part) for part in parts)


def _maven(found: re.Match[str]) -> bytes:
    first, more, word, mark, digits = found.groups("")
    out, word = _numbers(first), word.lower()
    if rest := _numbers(more):
        return out + b"\3\3" + rest + b"\2"
    if not word:
        return out + b"\2"
    word = _SHORT.get(word, word) if digits and not mark else word
    digits = digits.lstrip("0")
    if word in _WORDS:
        out += bytes((1, _WORDS[word]))
    else:
        out += b"\3\1" if word == "sp" else b"\3\2" + word.encode() + b"\0"
    if not digits:
        return out + b"\0"
    return out + (b"\2" if mark == "." else b"\1") + number(digits)


_FORMS: tuple[tuple[frozenset[str], re.Pattern[str], Form], ...] = (
    (SEMVER, _SEMVER, _semver),
    (APK, _APK, _apk),
    (GEMS, _GEM, _gem),
    (NUGET, _NUGET, _nuget),
    (MAVEN, _MAVEN, _maven),
)


def key(ecosystem: str, version: str) -> bytes:
    """Give the sort key of a version.

    Args:
        ecosystem: as in feeds/rows.py.

    Raises:
        Refused: `malformed` for an ecosystem or a version that is not known.
    """
    form, found = read(ecosystem, version)
    return form(found)


def read(ecosystem: str, version: str) -> Read:
    """Take a version apart; its key is made when it is asked for. Raises as `key` does."""
    scheme = _scheme(ecosystem)
    if scheme is None:
        return versions.read(ecosystem, version)
    pattern, form = scheme
    found = pattern.fullmatch(version) if len(version) <= LENGTH and version.isascii() else None
    if found is None:  # spelled out only then: this is asked of every package
        demand(found, "malformed", f"`{version}` is no version of `{ecosystem}`")
    assert found, "just demanded"
    return form, found


@lru_cache(maxsize=1024)
def _scheme(ecosystem: str) -> tuple[re.Pattern[str], Form] | None:
    family = ecosystem.partition(":")[0]
    for families, pattern, form in _FORMS:
        if family in families:
            return pattern, form
    return None


Name = tuple[str, Level, str]
"""Ecosystem, level and package: what something may be said about."""


class Place(NamedTuple):
    """Under which name and key a package is looked up."""

    ecosystem: str
    level: Level
    package: str
    key: bytes


def names(installed: Installed) -> tuple[tuple[Name, str], ...]:
    """Give every name under which something may be said about a package, and its version there."""
    ecosystem, version = installed.ecosystem, installed.source_version or installed.version
    source = installed.source or installed.package
    found: tuple[tuple[Name, str], ...] = (
        ((ecosystem, "binary", installed.package), installed.version),
        ((ecosystem, "source", source), version),
    )
    if "~bpo" in version and ecosystem.startswith("debian:") and ecosystem != UNSTABLE:
        came_from = (((UNSTABLE, level, name), v) for (_, level, name), v in found)
        return (*found, *came_from) if _BACKPORT.search(version) else found
    return found


def places(installed: Installed) -> tuple[Place, ...]:
    """Give the names and keys under which a package is looked up.

    Raises:
        Refused: `malformed` for a version that has no order.
    """
    return tuple(Place(*name, key(name[0], version)) for name, version in names(installed))


def bounds(row: Range) -> tuple[bytes, bytes]:
    """Give the first key in a range and the first one above it.

    Raises:
        Refused: `malformed` if one of its versions has no order.
    """
    return span(row.ecosystem, row.introduced, row.fixed, row.last)


def span(ecosystem: str, introduced: str, fixed: str, last: str) -> tuple[bytes, bytes]:
    """Give the bounds of a range by its versions; raises as `bounds` does."""
    low = key(ecosystem, introduced) if introduced not in ("", "0") else b""
    if fixed:
        return low, key(ecosystem, fixed)
    return low, key(ecosystem, last) + b"\0" if last else TOP
