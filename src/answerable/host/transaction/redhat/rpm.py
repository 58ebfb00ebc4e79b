"""The RPM family: .rpms, and rpm's database, which rpm itself computes anew (`family.Family`).

Rules:
* the database that a rehearsal leaves is thrown away, whatever scripts did to it; rpm writes it
  again, without a script, from the host's own and the hash-pinned packages (derived.py);
* what it holds then must be what the host had, with the named packages in place of their old
  versions, each by the SHA-256 of its header; nothing more, nothing less;
* while the host is changed rpm's lock is held; afterwards what SQLite keeps beside the database is
  taken away, since it is of the file that was replaced, and rpm makes it anew.

Left out: what rpm's plugins do (audit, fapolicyd): they are switched off; triggers of packages that
are not named are run in the rehearsal, and explained or refused as any script is.
"""

import fcntl
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

from answerable.host.transaction.effects import Change
from answerable.host.transaction.family import Folders, Shipped, Taken
from answerable.host.transaction.journal import Merge
from answerable.host.transaction.redhat import rpmdb, rpmundo
from answerable.host.transaction.redhat.rpmdb import Row
from answerable.host.transaction.redhat.rpmfile import Rpm, read_rpm
from answerable.host.transaction.redhat.rpmheader import paths

ROOT = Path("/")


class RpmFamily:
    """Conforms to `family.Family`.

    Args:
        place: a folder of the agent's own, in which databases are looked at.
    """

    merge: Mapping[str, Merge] = {
        f"{folder}/{rpmdb.NAME}": rpmundo.merge for folder in rpmdb.FOLDERS
    }

    def __init__(self, place: Path) -> None:
        self._place = place

    def read(self, files: Sequence[Path], root: Path) -> tuple[Sequence[Rpm], "Host"]:
        """See the port."""
        rpms = [read_rpm(file) for file in files]
        return rpms, Host(root, rpms, self._place)

    @contextmanager
    def locked(self) -> Iterator[None]:
        """See the port."""
        folder = Path(rpmdb.find(ROOT)).parent
        with rpmdb.held(folder, fcntl.LOCK_EX):
            # Before, too: after a kill nobody would come back to it.
            _clear(folder)
            yield
            _clear(folder)


class Host:
    """What rpm's database says; conforms to `family.Database`.

    Args:
        root: the host's root.
        rpms: the named packages.
        place: a folder of the agent's own.
    """

    sides = (".rpmnew",)
    saved = (".rpmsave", ".rpmorig")
    times = True
    implied = Shipped("dir", 0o755, ("root", "root"), (0, 0))

    def __init__(self, root: Path, rpms: Sequence[Rpm], place: Path) -> None:
        self._root, self._folders, self._place = root, Folders(root), place
        self._path = rpmdb.find(root)
        self._named = [Row(r.name, r.version, r.arch, r.header) for r in rpms]
        self._names = {rpm.name for rpm in rpms}
        self._before = list[Row]()
        self._listed = dict[str, str]()
        for header in rpmdb.headers(self._file()):
            row = rpmdb.row(header)
            self._before.append(row)
            if row.name in self._names:
                self._listed |= {self.place(path, row.name): row.name for path in paths(header)}

    def place(self, path: str, package: str) -> str:  # noqa: ARG002  rpm knows no diversions
        """See the port; linked folders are followed."""
        return self._folders.real(path)

    def override(self, path: str) -> tuple[str, str, int] | None:  # noqa: ARG002  nor overrides
        """See the port."""
        return None

    def listed(self) -> Mapping[str, str]:
        """See the port."""
        return self._listed

    def others(self) -> set[str]:
        """See the port."""
        named = {(row.name, row.arch) for row in self._named}
        found = set[str]()
        for header in rpmdb.headers(self._file()):
            row = rpmdb.row(header)
            if row.name not in self._names or (
                (row.name, row.arch) not in named and row.arch != "noarch"
            ):
                found |= {self.place(path, "") for path in paths(header)}
        return found

    def takes(self, change: Change) -> Taken | None:  # noqa: ARG002  it is computed
        """See the port."""
        return None

    def why(self, change: Change) -> str | None:  # noqa: ARG002  it is computed
        """See the port."""
        return None

    def settled(self, commit: Sequence[Change]) -> list[str]:
        """See the port."""
        made = [change for change in commit if change.path == self._path and change.after]
        if not made:
            return [f"`{self._path}` did not change"]
        # SQLite follows every link of a path, and those of another mount namespace lead astray.
        with rpmdb.aside(made[0].source, self._place) as copy:
            return rpmdb.also(self._before, rpmdb.rows(copy), self._named)

    def _file(self) -> Path:
        return self._root / self._path.lstrip("/")


def _clear(folder: Path) -> None:
    for name in rpmdb.SIDES:
        (folder / name).unlink(missing_ok=True)
