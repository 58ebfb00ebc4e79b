"""Explain every change of a rehearsal by the hash-pinned packages, or name it.

A change is explained only by one of these, tried in this order:

1. it is a log, a cache or a lock that nobody ships, and is not committed at all (derived.py)
2. it is dpkg's database, and says what the packages say (database.py)
3. it is computed by a known tool, and is computed anew (derived.py)
4. a named package ships exactly this: kind, bytes, target; mode and owner as shipped, as the host's
   own statoverride says, or as they were before; no attribute that was not there before
5. it is gone, a named package shipped it before and does not now, and no other package has it
6. it is the shipped version of a configuration file that the host keeps its own version of

Anything else refuses the change. What is explained is an `Effect`, in one spelling; the list of all
effects has one hash, which is the same on equal hosts (docs/spec/effects.md).

Left out: changes by alternatives, ucf, new users, generated keys: they are named, for people.
"""

import grp
import os
import pwd
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from hashlib import sha256
from pathlib import Path

from answerable.host.transaction import database, derived
from answerable.host.transaction.deb import Deb, Shipped
from answerable.host.transaction.effects import Change
from answerable.host.transaction.port import Look
from answerable.host.transaction.sensitive import CLASSES, classes
from answerable.kernel.canon import Json, encode

VERSION = "answerable/effects/v1\n"
_LIVE = ("/home/", "/root/", "/srv/", "/var/lib/", "/var/mail/", "/var/spool/", "/var/www/")
_SIDES = (".dpkg-dist", ".dpkg-new", ".ucf-dist")


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

    def add(self, change: Change, by: str) -> None:
        """Take a change as explained."""
        self.commit.append(change)
        self.effects.append(effect(change, by))
        for name in classes(change.path, change.before, change.after):
            self.sensitive.setdefault(name, []).append(change.path)


class Host:
    """What the host says itself: who diverts and overrides, and whose files are whose.

    Args:
        root: the host's root.
    """

    def __init__(self, root: Path) -> None:
        self._root, self._folders = root, dict[str, str]()
        self._diverted = _diversions(self._lines("diversions"))
        rows = (line.split(" ", 3) for line in self._lines("statoverride"))
        self._overrides = {w[3]: (w[0], w[1], int(w[2], 8)) for w in rows}

    def place(self, path: str, package: str) -> str:
        """Give where a file that a package ships lies on this host: diversions, linked folders."""
        to, by = self._diverted.get(path, ("", ""))
        path = to if to and by != package else path
        folder, _, name = path.rpartition("/")
        if folder not in self._folders:
            real = os.path.realpath(self._root / folder.lstrip("/"))
            inside = os.path.relpath(real, os.path.realpath(self._root))
            self._folders[folder] = "" if inside == "." else f"/{inside}"
        return f"{self._folders[folder]}/{name}"

    def override(self, path: str) -> tuple[str, str, int] | None:
        """Give (user, group, mode) that this host gives a path itself."""
        return self._overrides.get(path)

    def listed(self, deb: Deb) -> set[str]:
        """Give what the installed version of a package ships, where it lies."""
        arch = deb.fields.get("Architecture", "")
        for stem in (f"{deb.name}:{arch}", deb.name):
            paths = database.listed(self._read(f"info/{stem}.list"))
            if paths:
                return {self.place(path, deb.name) for path in paths if path != "/."}
        return set()

    def others(self, debs: Iterable[Deb]) -> set[str]:
        """Give what all other packages ship."""
        named = {deb.name for deb in debs}
        found = set[str]()
        for file in (self._root / "var/lib/dpkg/info").glob("*.list"):
            if file.stem.partition(":")[0] not in named:
                found |= database.listed(file.read_bytes())
        return {self.place(path, "") for path in found if path != "/."}

    def status(self) -> bytes:
        """Give the package database."""
        return self._read("status")

    def triggers(self) -> bytes:
        """Give the table of packages that wait for files."""
        return self._read("triggers/File")

    def _lines(self, name: str) -> list[str]:
        return self._read(name).decode("utf-8", "surrogateescape").splitlines()

    def _read(self, name: str) -> bytes:
        try:
            return (self._root / "var/lib/dpkg" / name).read_bytes()
        except OSError:
            return b""


class Explainer:
    """Explains changes by these packages on this host."""

    def __init__(self, debs: Sequence[Deb], host: Host) -> None:
        self._debs, self._host = debs, host
        self._keyed = {f"{d.name}:{d.fields.get('Architecture', '')}": d for d in debs}
        self._shipped: dict[str, tuple[Deb, Shipped, bool]] = {}
        for deb in debs:
            conffiles = deb.conffiles
            for path, shipped in deb.files.items():
                place = host.place(path, deb.name) if path != "/" else "/"
                self._shipped[place] = (deb, shipped, path in conffiles)
        self._before: dict[str, str] = {p: d.name for d in debs for p in host.listed(d)}
        self._others: set[str] | None = None

    def explain(self, changes: Sequence[Change], exists: Callable[[str], bool]) -> Explained:
        """Explain all of it; `exists` tells whether a path is there afterwards."""
        found = Explained()
        for change in changes:
            self._one(change, found, exists)
        found.effects += [{"is": "package", "name": d.name, "version": d.fields["Version"]}
                          for d in self._debs]  # fmt: skip
        return found

    def _one(self, change: Change, found: Explained, exists: Callable[[str], bool]) -> None:
        path = change.path
        if derived.discarded(path) and path not in self._shipped:
            found.dropped.append(change)
        elif path == database.STATUS:
            self._status(change, found)
        elif path == database.TRIGGERS:
            self._triggers(change, found)
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
            found.add(change, self._by(path))

    def _status(self, change: Change, found: Explained) -> None:
        text = change.source.read_bytes() if change.after else b""
        for problem in database.status_problems(self._host.status(), text, self._keyed):
            found.unexplained.append(Unexplained(database.STATUS, problem, live=False))
        found.commit.append(change)

    def _triggers(self, change: Change, found: Explained) -> None:
        text = change.source.read_bytes() if change.after else b""
        before = self._host.triggers()
        for problem in database.trigger_problems(before, text, self._keyed):
            found.unexplained.append(Unexplained(change.path, problem, live=False))
        found.commit.append(change)
        found.effects.append({"by": "dpkg", "is": "computed", "path": change.path})

    def _by(self, path: str) -> str:
        if path in self._shipped:
            return self._shipped[path][0].name
        stem = next((path.removesuffix(s) for s in _SIDES if path.endswith(s)), "")
        if stem in self._shipped:
            return self._shipped[stem][0].name
        return self._before.get(path) or path.rpartition("/")[2].partition(".")[0].partition(":")[0]

    def _why(self, change: Change) -> str:
        path, after = change.path, change.after
        if path.startswith(f"{database.HOME}/info/"):
            lines = change.source.read_bytes() if after and path.endswith(".list") else b""
            return database.info_problem(path, after, lines, self._keyed)
        if path in self._shipped:
            return self._as_shipped(change)
        if after is None:
            return self._gone(path)
        if path.endswith(_SIDES):
            return self._side(path, after)
        if self._owned(path):
            return "belongs to another package"
        return "no named package ships it" if not change.before else "changed, and nobody ships it"

    def _as_shipped(self, change: Change) -> str:
        _, shipped, _ = self._shipped[change.path]
        before, after = change.before, change.after
        if after is None:
            return "gone, though it is shipped"
        if after.kind != shipped.kind:
            return f"a {after.kind} where a {shipped.kind} is shipped"
        if (after.sha256, after.target) != (shipped.sha256, shipped.target):
            return "other bytes than are shipped"
        if after.attributes != (before.attributes if before else ()):
            return "attributes or capabilities that are not shipped"
        if before and _rights(before) == _rights(after):
            return ""
        return self._wrong_rights(change.path, shipped, after)

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
            self._others = self._host.others(self._debs)
        return path in self._others

    def _side(self, path: str, after: Look) -> str:
        stem = next(path.removesuffix(side) for side in _SIDES if path.endswith(side))
        _, shipped, conffile = self._shipped.get(stem, (None, None, False))
        same = shipped and conffile and after.sha256 == shipped.sha256
        return "" if same and not after.mode & 0o7022 else "no named package ships it"


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
    """Give the hash of a list of effects, hex; their order does not matter."""
    lines = sorted(encode(one) for one in effects)
    return sha256(VERSION.encode() + "".join(f"{line}\n" for line in lines).encode()).hexdigest()


def sensitive(found: Mapping[str, Sequence[str]]) -> list[str]:
    """Give the classes that were found, in the order of `CLASSES`."""
    return [name for name in CLASSES if found.get(name)]


def _rights(look: Look) -> tuple[str, int, int, int]:
    return (look.kind, look.mode, look.uid, look.gid)


def _diversions(lines: Sequence[str]) -> dict[str, tuple[str, str]]:
    rows = zip(lines[::3], lines[1::3], lines[2::3], strict=False)
    return {path: (to, by) for path, to, by in rows}


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
