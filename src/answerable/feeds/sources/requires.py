"""What a version of an RPM requires, as the planner reads it: `libcurl (>= 7.76.1-29.el9)`.

A requirement is a capability (a library, a file, a package); the repositories say which packages
provide it, and from which version on. So each becomes one alternative list of packages, in the form
that changes/needs.py reads:

    libcurl.so.4()(64bit)              libcurl (>= 7.76.1-14.el9) | libcurl-minimal (>= ..)
    libcurl(x86-64) = 7.76.1-29.el9    libcurl (= 7.76.1-29.el9)

Rules: a hint to the planner and proven by nobody: rpm itself refuses on the host what does not fit.
A requirement that the package meets itself, that nobody in the repositories provides, or that is
rpm's own (`rpmlib(..)`) gives nothing.

Left out: conditional requirements, `(a if b)`.
"""

from collections.abc import Iterable, Mapping, Sequence

from answerable.feeds.sources.primary import Capability, Package, Provider
from answerable.host import versions
from answerable.kernel.errors import Refused

_BELOW = ("LT", "LE")


def wanted(packages: Iterable[Package]) -> frozenset[str]:
    """Name the capabilities that packages require and rpm does not have by itself."""
    return frozenset(
        each.name
        for package in packages
        for each in package.requires
        if not each.name.startswith(("rpmlib(", "("))
    )


def by_name(found: Iterable[Provider]) -> Mapping[str, Sequence[Provider]]:
    """Put providers under the name of what they provide."""
    named: dict[str, list[Provider]] = {}
    for each in found:
        named.setdefault(each.capability.name, []).append(each)
    return named


def needs(
    package: Package, providers: Mapping[str, Sequence[Provider]], ecosystem: str
) -> tuple[str, ...]:
    """Give the needs of a version, each once, in the order of its requirements."""
    found: dict[str, None] = {}
    for required in package.requires:
        meeting: dict[str, list[str]] = {}
        for each in providers.get(required.name, ()):
            if _meets(each.capability, required, ecosystem):
                meeting.setdefault(each.package, []).append(each.version)
        # Another version of this very package will not be there any more.
        if meeting and package.version not in meeting.pop(package.name, ()):
            lists = (_bound(name, meeting[name], required, ecosystem) for name in sorted(meeting))
            found[" | ".join(lists)] = None
    return tuple(need for need in found if need)


def names(need: str) -> list[str]:
    """Give the packages of a need."""
    return [part.partition(" ")[0] for part in need.split(" | ")]


def _bound(name: str, those: Iterable[str], required: Capability, ecosystem: str) -> str:
    rising = sorted(set(those), key=lambda version: versions.key(ecosystem, version))
    if required.flags in _BELOW:
        return f"{name} (<= {rising[-1]})"
    exact = required.flags == "EQ" and len(rising) == 1
    return f"{name} ({'=' if exact else '>='} {rising[0]})"


def _meets(provided: Capability, required: Capability, ecosystem: str) -> bool:
    """Tell whether one meets the other, as rpmdsCompare (rpm's lib/rpmds.c) does.

    Where one has no release the release of the other does not count; without a version all meet.
    """
    if not provided.flags or not required.flags:
        return True
    have, want = provided.version, required.version
    if "-" not in have or "-" not in want:
        have, want = have.partition("-")[0], want.partition("-")[0]
    try:
        mine, other = versions.key(ecosystem, have), versions.key(ecosystem, want)
    except Refused:
        return False
    return {
        "EQ": mine == other, "GE": mine >= other, "GT": mine > other, "LE": mine <= other,
        "LT": mine < other,
    }.get(required.flags, False)  # fmt: skip
