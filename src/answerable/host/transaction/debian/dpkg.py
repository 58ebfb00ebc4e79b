"""The Debian family: .debs, and dpkg's database with diversions and overrides (`family.Family`)."""

import fcntl
import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path

from answerable.host.transaction.debian import database
from answerable.host.transaction.debian.deb import Deb, read_deb
from answerable.host.transaction.effects import Change
from answerable.host.transaction.family import Folders, Taken, hold
from answerable.host.transaction.journal import Merge

# What linux-update-symlinks(1) keeps: the newest kernel and its initial disk, and those before.
_BOOTED = re.compile(r"/(boot/)?(vmlinuz|initrd\.img)(\.old)?")
_LOCKS = ("lock-frontend", "lock")


class Dpkg:
    """Conforms to `family.Family`."""

    merge: Mapping[str, Merge] = {
        database.STATUS: database.merge_status,
        database.TRIGGERS: database.merge_lines,
    }

    def read(self, files: Sequence[Path], root: Path) -> tuple[Sequence[Deb], "Host"]:
        """See the port."""
        debs = [read_deb(file) for file in files]
        return debs, Host(root, debs)

    @contextmanager
    def locked(self) -> Iterator[None]:
        """See the port."""
        with ExitStack() as stack:
            for name in _LOCKS:
                hold(stack.enter_context(Path(database.HOME, name).open("ab")), fcntl.LOCK_EX)
            yield


class Host:
    """What the host says itself; conforms to `family.Database`.

    Args:
        root: the host's root.
        debs: the named packages.
    """

    sides = (".dpkg-dist", ".dpkg-new", ".ucf-dist")
    saved = ()
    times = False
    implied = None

    def __init__(self, root: Path, debs: Sequence[Deb]) -> None:
        self._root, self._debs, self._folders = root, debs, Folders(root)
        self._keyed = {f"{d.name}:{d.fields.get('Architecture', '')}": d for d in debs}
        self._diverted = _diversions(self._lines("diversions"))
        rows = (line.split(" ", 3) for line in self._lines("statoverride"))
        self._overrides = {w[3]: (w[0], w[1], int(w[2], 8)) for w in rows}

    def place(self, path: str, package: str) -> str:
        """See the port; diversions and linked folders are followed."""
        to, by = self._diverted.get(path, ("", ""))
        path = to if to and by != package else path
        return self._folders.real(path)

    def override(self, path: str) -> tuple[str, str, int] | None:
        """See the port."""
        return self._overrides.get(path)

    def listed(self) -> Mapping[str, str]:
        """See the port."""
        return {path: deb.name for deb in self._debs for path in self._listed(deb)}

    def others(self) -> set[str]:
        """See the port."""
        named = {deb.name for deb in self._debs}
        found = set[str]()
        for file in (self._root / "var/lib/dpkg/info").glob("*.list"):
            if file.stem.partition(":")[0] not in named:
                found |= database.listed(file.read_bytes())
        return {self.place(path, "") for path in found if path != "/."}

    def takes(self, change: Change) -> Taken | None:
        """See the port."""
        if change.path not in (database.STATUS, database.TRIGGERS):
            return None
        text = change.source.read_bytes() if change.after else b""
        if change.path == database.STATUS:
            return Taken(database.status_problems(self._read("status"), text, self._keyed))
        before = self._read("triggers/File")
        computed = {"by": "dpkg", "is": "computed", "path": change.path}
        return Taken(database.trigger_problems(before, text, self._keyed), [computed])

    def why(self, change: Change) -> str | None:
        """See the port."""
        path, after = change.path, change.after
        if found := _BOOTED.fullmatch(path):
            return self._booted(change, found[1] or "", found[2], old=bool(found[3]))
        if not path.startswith(f"{database.HOME}/info/"):
            return None
        lines = change.source.read_bytes() if after and path.endswith(".list") else b""
        return database.info_problem(path, after, lines, self._keyed)

    def _booted(self, change: Change, folder: str, name: str, *, old: bool) -> str | None:
        """Explain a link to the kernel that a named package ships, or to the one before it."""
        look = change.after
        if look is None or (look.kind, look.uid, look.gid, look.attributes) != ("link", 0, 0, ()):
            return None
        if old:
            link = self._root / f"{folder}{name}"
            return "" if link.is_symlink() and str(link.readlink()) == look.target else None
        shipped = {path for deb in self._debs for path in deb.files}
        release = look.target.removeprefix("" if folder else "boot/").removeprefix(f"{name}-")
        sound = look.target == f"{'' if folder else 'boot/'}{name}-{release}"
        return "" if sound and f"/boot/vmlinuz-{release}" in shipped else None

    def settled(self, commit: Sequence[Change]) -> list[str]:  # noqa: ARG002  all was judged before
        """See the port."""
        return []

    def _listed(self, deb: Deb) -> set[str]:
        arch = deb.fields.get("Architecture", "")
        for stem in (f"{deb.name}:{arch}", deb.name):
            paths = database.listed(self._read(f"info/{stem}.list"))
            if paths:
                return {self.place(path, deb.name) for path in paths if path != "/."}
        return set()

    def _lines(self, name: str) -> list[str]:
        return self._read(name).decode("utf-8", "surrogateescape").splitlines()

    def _read(self, name: str) -> bytes:
        try:
            return (self._root / "var/lib/dpkg" / name).read_bytes()
        except OSError:
            return b""


def _diversions(lines: Sequence[str]) -> dict[str, tuple[str, str]]:
    rows = zip(lines[::3], lines[1::3], lines[2::3], strict=False)
    return {path: (to, by) for path, to, by in rows}
