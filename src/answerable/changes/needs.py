"""What must move together: an upgrade is closed under what its packages need.

Rules, the simplest that are sound for apt and rpm (which preview the transaction on the host and
are refused if they would touch anything else):

1. All installed packages of one source package move together, since they need each other in exactly
   one version (`libssl-dev` needs `libssl3 (= 3.0.22-1~deb12u2)`).
2. A need of a new version that no installed package meets brings the package that would meet it, in
   its newest version, and that one's needs and siblings in turn.
3. A need that nothing on the host can meet brings a package that is not there (`ABSENT`): of the
   alternatives the first whose released artefact meets it, and its needs in turn.
4. A need that nothing released meets blocks.
5. A need that the installed version has too, in the same words, is met.

A need is one alternative list of a Depends field (Debian Policy 7.1), such as
`libc6 (>= 2.34) | musl`; of an RPM it is made of its requirements (feeds/sources/requires.py), with
the lowest version that meets them in the repositories, which hosts may be below.

Left out: Breaks and Conflicts, versioned Provides, names that only a package which is not there
would provide, needs of wheels.
"""

import re
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace

from answerable.exposure.match import ANYWHERE, Known, order_of
from answerable.feeds.facts import Artefact
from answerable.host.versions import ABSENT
from answerable.inventory.installed import Installed
from answerable.kernel.errors import Refused

_NEED = re.compile(
    r"([A-Za-z0-9][A-Za-z0-9_+.-]{0,127})(?::[a-z0-9-]+)?"
    r"(?:\s*\((<<|<=|=|>=|>>)\s*([^() ]{1,255})\))?(?:\s*\[[^\]]*\])?"
)
MOVES = 200
"""Most packages that one upgrade moves."""


@dataclass(frozen=True, slots=True)
class Move:
    """One package that goes to another version, or comes new.

    Args:
        installed: as it is; one that comes new is of version `ABSENT`.
        cause: the package of the same upgrade that needs this one; empty for the one that began.
    """

    installed: Installed
    to: Artefact
    cause: str


@dataclass(frozen=True, slots=True)
class Blocked:
    """An upgrade that cannot be made, and why."""

    package: str
    reason: str


Needs = Mapping[tuple[str, str], tuple[str, ...]]
"""(package, version) -> needs, as the index writes them."""


class Closure:
    """The packages of one host, as they will be after the upgrades taken so far."""

    def __init__(self, packages: Iterable[Installed], known: Known, needs: Needs) -> None:
        """Begin with what is installed."""
        self.packages = {(p.ecosystem, p.package): p for p in packages}
        self.known = known
        self.needs = needs
        self.now = {place: p.version for place, p in self.packages.items()}
        self.siblings: dict[tuple[str, str], list[Installed]] = {}
        for package in self.packages.values():
            self.siblings.setdefault((package.ecosystem, package.source), []).append(package)
        archs = Counter(p.arch for p in self.packages.values() if p.arch not in ANYWHERE)
        self.arch = archs.most_common(1)[0][0] if archs else "all"
        self.provided = {
            (p.ecosystem, name) for p in self.packages.values() for name in p.provides
        }  # fmt: skip

    def upgrade(self, seed: Installed) -> list[Move] | Blocked | None:
        """Give the moves that bring a package to its newest version, and take them.

        Returns: the moves, the seed's first; or why they cannot be made, in which case nothing is
            taken; or nothing if the package is there already.
        """
        moves: dict[str, Move] = {}
        after = dict(self.now)
        waiting = [(seed, "")]
        while waiting:
            package, cause = waiting.pop(0)
            to = self.known.newest(package)
            place = (package.ecosystem, package.package)
            if package.package in moves or to is None or after.get(place) == to.version:
                continue
            if len(moves) >= MOVES or package.state != "installed":
                reason = "is " + package.state if len(moves) < MOVES else "is one of too many"
                return Blocked(seed.package, f"`{package.package}` {reason}")
            moves[package.package] = Move(package, to, cause)
            after[place] = to.version
            root = cause or package.package
            siblings = self.siblings.get((package.ecosystem, package.source), [])
            waiting += [(sibling, root) for sibling in siblings]
            missing = self._unmet(package, to, after)
            if isinstance(missing, Blocked):
                return missing
            waiting += [(each, root) for each in missing]
        self.now = after
        return list(moves.values()) or None

    def _unmet(
        self, package: Installed, to: Artefact, after: Mapping[tuple[str, str], str]
    ) -> list[Installed] | Blocked:
        found = []
        has = self.needs.get((package.package, package.version), ())
        before = {_names(need) for need in has}
        for need in self.needs.get((to.package, to.version), ()):
            if need in has:
                continue
            alternatives = [_NEED.fullmatch(part.strip()) for part in need.split("|")]
            if any(a and self._met(to.ecosystem, a, after) for a in alternatives):
                continue
            bringer = self._bringer(to.ecosystem, alternatives)
            if bringer is None and _names(need) not in before:
                bringer = self._new(to, alternatives)
            if bringer:
                found.append(bringer)
            elif _names(need) not in before:
                return Blocked(to.package, f"`{to.package}` `{to.version}` needs `{need}`")
        return found

    def _met(
        self, ecosystem: str, need: re.Match[str], after: Mapping[tuple[str, str], str]
    ) -> bool:
        place = (ecosystem, need[1])
        if place in after and _holds(ecosystem, after[place], need):
            return True
        return place in self.provided and not need[2]

    def _bringer(
        self, ecosystem: str, alternatives: Iterable[re.Match[str] | None]
    ) -> Installed | None:
        for need in alternatives:
            package = self.packages.get((ecosystem, need[1])) if need else None
            newest = self.known.newest(package) if package else None
            if need and package and newest and _holds(ecosystem, newest.version, need):
                return package
        return None

    def _new(self, by: Artefact, alternatives: Iterable[re.Match[str] | None]) -> Installed | None:
        """Give what would come new to meet a need, as it is: not there."""
        for need in alternatives:
            if need is None or (by.ecosystem, need[1]) in self.packages:
                continue
            arch = self.arch if by.arch in ANYWHERE else by.arch
            bare = Installed(by.ecosystem, need[1], ABSENT, arch, "")
            newest = self.known.newest(bare)
            if newest and _holds(by.ecosystem, newest.version, need):
                return replace(bare, source=newest.source)
        return None


def _names(need: str) -> frozenset[str]:
    found = (_NEED.fullmatch(part.strip()) for part in need.split("|"))
    return frozenset(match[1] for match in found if match)


def _holds(ecosystem: str, version: str, need: re.Match[str]) -> bool:
    if not need[2]:
        return True
    try:
        have, want = order_of(ecosystem, version), order_of(ecosystem, need[3])
    except Refused:
        return False
    return {
        "<<": have < want, "<=": have <= want, "=": have == want,
        ">=": have >= want, ">>": have > want,
    }[need[2]]  # fmt: skip
