"""Explain every change of a rehearsal by the hash-pinned packages, or name it.

A change is explained only by one of these, tried in this order:

1. it is a log, a cache or a lock that nobody ships, and is not committed at all (derived.py)
2. it is the package database, and says what the packages say (dpkg.py, rpm.py)
3. it is computed by a known tool, and is computed anew (derived.py)
4. a named package ships exactly this: kind, bytes, target; mode and owner as shipped, as the host's
   own statoverride says, or as they were before; no attribute that was not there before
   (a folder that nobody ships and a shipped file needs: as the tool makes it, where none was)
5. it is gone, a named package shipped it before and does not now, and no other package has it
6. it is the shipped version of a configuration file that the host keeps its own version of, or the
   host's own version beside a shipped one, unchanged

Anything else refuses the change. What is explained is an `Effect`, in one spelling; the list of all
effects has one hash, which is the same on equal hosts (docs/spec/effects.md).

Left out: changes by alternatives, ucf, new users, generated keys: they are named, for people.
"""

import grp
import pwd
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from hashlib import sha256

from answerable.host.driver import TransactionDiffers
from answerable.host.transaction import derived
from answerable.host.transaction.effects import Change
from answerable.host.transaction.family import Database, Shipment, Shipped
from answerable.host.transaction.port import Look
from answerable.host.transaction.sensitive import CLASSES, classes
from answerable.kernel.canon import Json, encode

VERSION = "answerable/effects/v1\n"
_LIVE = ("/home/", "/root/", "/srv/", "/var/lib/", "/var/mail/", "/var/spool/", "/var/www/")


@dataclass(frozen=True)
class Unexplained:
    """A change that nothing explains; `live` if it is data of a service that may run."""

    path: str
    why: str
    live: bool


@dataclass
class Explained:
    """What a rehearsal did: effects to commit, what to compute anew, what nobody explains."""

    effects: list[Json] = field(default_factory=list)
    commit: list[Change] = field(default_factory=list)
    compute: list[Change] = field(default_factory=list)
    dropped: list[Change] = field(default_factory=list)
    unexplained: list[Unexplained] = field(default_factory=list)
    sensitive: dict[str, list[str]] = field(default_factory=dict)

    def add(self, change: Change, by: str, *, saved: bool = False) -> None:
        """Take a change as explained; `saved` is a host's own file under another name."""
        self.commit.append(change)
        own = {"by": by, "is": "saved", "path": change.path}
        self.effects.append(own if saved and change.after else effect(change, by))
        for name in classes(change.path, change.before, change.after):
            self.sensitive.setdefault(name, []).append(change.path)


class Explainer:
    """Explains changes by these packages on this host."""

    def __init__(self, packages: Sequence[Shipment], host: Database) -> None:
        self._packages, self._host = packages, host
        self._shipped: dict[str, tuple[Shipment, Shipped, bool]] = {}
        for package in packages:
            conffiles = package.conffiles
            for path, shipped in package.files.items():
                place = host.place(path, package.name) if path != "/" else "/"
                self._shipped[place] = (package, shipped, path in conffiles)
        self._needed = _above(self._shipped) if host.implied else {}
        self._before = host.listed()
        self._others: set[str] | None = None
        self._looks: Mapping[str, Change] = {}

    def explain(self, changes: Sequence[Change], exists: Callable[[str], bool]) -> Explained:
        """Explain all of it; `exists` tells whether a path is there afterwards."""
        found = Explained()
        self._looks = {change.path: change for change in changes}
        for change in changes:
            self._one(change, found, exists)
        found.effects += [package.effect for package in self._packages]
        return found

    def _one(self, change: Change, found: Explained, exists: Callable[[str], bool]) -> None:
        path = change.path
        if change.before and change.before.same(change.after):
            (found.commit if self._as_set(change) else found.dropped).append(change)
        elif derived.discarded(path) and path not in self._shipped:
            found.dropped.append(change)
        elif taken := self._host.takes(change):
            for problem in taken.problems:
                found.unexplained.append(Unexplained(path, problem, live=False))
            found.commit.append(change)
            found.effects += taken.effects
        elif why := self._why(change):
            gone = change.after is None and not exists(derived.source_of(path) or path)
            tool = derived.tool_of(path)
            if tool and gone and tool.argument:
                found.add(change, tool.name)
            elif tool:
                found.compute.append(change)
            else:
                found.unexplained.append(Unexplained(path, why, path.startswith(_LIVE)))
        else:
            own = path not in self._shipped and path.endswith(self._host.saved)
            found.add(change, self._by(path), saved=own)

    def _as_set(self, change: Change) -> bool:
        """Tell whether only the time changed, to what a package ships: it is set, and no effect."""
        shipped = self._shipped.get(change.path)
        seconds = change.after.mtime // 1_000_000_000 if change.after else 0
        return shipped is not None and shipped[1].mtime == seconds

    def _by(self, path: str) -> str:
        for end in ("", *self._host.sides, *self._host.saved):
            stem = path.removesuffix(end)
            if path.endswith(end) and stem in self._shipped:
                return self._shipped[stem][0].name
        if path in self._needed:
            return self._shipped[self._needed[path]][0].name
        return self._before.get(path) or path.rpartition("/")[2].partition(".")[0].partition(":")[0]

    def _why(self, change: Change) -> str:
        path, after = change.path, change.after
        if (why := self._host.why(change)) is not None:
            return why
        if path in self._shipped:
            return self._as_shipped(change)
        if after is None:
            return self._gone(path)
        if path in self._needed and not change.before and self._host.implied:
            return self._looks_shipped(path, self._host.implied, None, after)
        for ends, judge in ((self._host.sides, self._side), (self._host.saved, self._kept)):
            if end := next((end for end in ends if path.endswith(end)), ""):
                return judge(path.removesuffix(end), after)
        nobody = "changed, and nobody ships it" if change.before else "no named package ships it"
        return "belongs to another package" if self._owned(path) else nobody

    def _as_shipped(self, change: Change) -> str:
        shipped, after = self._shipped[change.path][1], change.after
        if after is None:
            return "gone, though it is shipped"
        return self._looks_shipped(change.path, shipped, change.before, after)

    def _looks_shipped(self, path: str, shipped: Shipped, before: Look | None, after: Look) -> str:
        if after.kind != shipped.kind:
            return f"a {after.kind} where a {shipped.kind} is shipped"
        if (after.sha256, after.target) != (shipped.sha256, shipped.target):
            return "other bytes than are shipped"
        had = before.attributes if before else ()
        if after.attributes != (had if shipped.attributes is None else shipped.attributes):
            return "attributes or capabilities that are not shipped"
        if before and _rights(before) == _rights(after):
            return ""
        return self._wrong_rights(path, shipped, after)

    def _wrong_rights(self, path: str, shipped: Shipped, after: Look) -> str:
        user, group, mode = self._host.override(path) or (*shipped.owner, shipped.mode)
        ids = (_uid(user, shipped.ids[0]), _gid(group, shipped.ids[1]))
        if (after.uid, after.gid) != ids:
            return f"owner {after.uid}:{after.gid} where {ids[0]}:{ids[1]} is shipped"
        wrong = after.kind != "link" and after.mode != mode
        return f"mode {after.mode:04o} where {mode:04o} is shipped" if wrong else ""

    def _gone(self, path: str) -> str:
        if path not in self._before:
            return "gone, and no named package had it"
        return "gone, and another package has it too" if self._owned(path) else ""

    def _owned(self, path: str) -> bool:
        if self._others is None:
            self._others = self._host.others()
        return path in self._others

    def _side(self, stem: str, after: Look) -> str:
        _, shipped, conffile = self._shipped.get(stem, (None, None, False))
        same = shipped and conffile and after.sha256 == shipped.sha256
        return "" if same and not after.mode & 0o7022 else "no named package ships it"

    def _kept(self, stem: str, after: Look) -> str:
        was = self._looks[stem].before if stem in self._looks else None
        known = stem in self._shipped or stem in self._before
        return "" if known and after.same(was) else "not what the host had in its place"


def effect(change: Change, by: str) -> Json:
    """Spell one effect: what the path is afterwards, and by whose word."""
    look = change.after
    if look is None:
        return {"by": by, "is": "gone", "path": change.path}
    told: dict[str, Json] = {"by": by, "is": look.kind, "path": change.path}
    told["owner"] = f"{_user(look.uid)}:{_group(look.gid)}"
    if look.kind == "link":
        return {**told, "to": look.target}
    told["mode"] = f"{look.mode:04o}"
    if look.kind == "file":
        told["sha256"] = look.sha256
    if change.twin:
        told["twin"] = change.twin
    if look.attributes:
        told["attributes"] = [list(pair) for pair in look.attributes]
    return told


def digest(effects: Iterable[Json]) -> str:
    """Give the hash of a list of effects, hex; their order does not matter.

    Raises:
        TransactionDiffers: a path or link in it is no text.
    """
    lines = sorted(encode(one) for one in effects)
    text = VERSION + "".join(f"{line}\n" for line in lines)
    try:
        return sha256(text.encode()).hexdigest()
    except UnicodeEncodeError as error:
        near = text[error.start - 80 : error.end]
        raise TransactionDiffers(f"a path or link is not UTF-8, near {near!a}") from error


def sensitive(found: Mapping[str, Sequence[str]]) -> list[str]:
    """Give the classes that were found, in the order of `CLASSES`."""
    return [name for name in CLASSES if found.get(name)]


def _above(shipped: Iterable[str]) -> dict[str, str]:
    """Give folder -> a path below it, for the folders of these paths."""
    found = dict[str, str]()
    for path in shipped:
        above = path.rpartition("/")[0]
        while above and above not in found:
            found[above] = path
            above = above.rpartition("/")[0]
    return found


def _rights(look: Look) -> tuple[str, int, int, int]:
    return (look.kind, look.mode, look.uid, look.gid)


def _uid(name: str, number: int) -> int:
    try:
        return pwd.getpwnam(name).pw_uid
    except (KeyError, ValueError):
        return number


def _gid(name: str, number: int) -> int:
    try:
        return grp.getgrnam(name).gr_gid
    except (KeyError, ValueError):
        return number


def _user(number: int) -> str:
    try:
        return pwd.getpwuid(number).pw_name
    except KeyError:
        return str(number)


def _group(number: int) -> str:
    try:
        return grp.getgrgid(number).gr_name
    except KeyError:
        return str(number)
