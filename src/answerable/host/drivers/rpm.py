"""RPM packages through rpm and nothing else, each change an effect-verified transaction.

Rules, besides those of `driver.py`:
* rpm sees the staged files and the host's own database; repositories, modules and weak
  dependencies are the planner's affair, so no dnf is asked, and none of its history is used;
* rpm writes the change into a copy of its database first, without any script: what is there then
  must be what was there, with the named packages in place of their old versions;
* rpm and the packages' scripts run in a throw-away copy of the host only, and what they did there
  is explained and committed (transaction/packages.py); without the setting there is no driver;
* the files' own headers must name the package, version and architecture of the order;
* downgrades are allowed in an undo only, and an undo goes back by the journal where it can;
* a package comes new only where a named one that is here requires what it provides, or one that so
  comes, and nothing else on the host does; its undo by the journal takes it away again.

A package is `name`, or `name:architecture` if it is of another one than the host; its version is
`<epoch>:<version>-<release>`, an epoch of 0 left out. The host's own macros stay in force: they
belong to who runs the host. Sources: rpm(8), rpm-version(7). Left out: packages of which several
versions are kept side by side (kernels), which are refused; versions that dnf holds back.
"""

import fcntl
import os
import re
import time
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from pathlib import Path
from typing import TypeVar

from answerable.host.driver import (
    ArtefactDiffers,
    DriverFailed,
    Fetch,
    Foreseen,
    Locked,
    Package,
    Present,
    Staged,
    Store,
    TransactionDiffers,
    last_lines,
    run,
)
from answerable.host.transaction import derived
from answerable.host.transaction.packages import Packages
from answerable.host.transaction.redhat import rpmdb
from answerable.host.transaction.redhat.rpm import ROOT, RpmFamily
from answerable.host.transaction.redhat.rpmdb import Row
from answerable.host.transaction.redhat.rpmfile import Rpm, read_rpm
from answerable.host.transaction.redhat.rpmheader import Tag, paths
from answerable.host.versions import ABSENT, key

LOCK_SECONDS = 30
"""How long another program's lock on rpm's database is waited for, unless told otherwise."""
_PAUSE = 0.2
_T = TypeVar("_T")
_ENVIRONMENT = {"PATH": "/usr/sbin:/usr/bin:/sbin:/bin", "HOME": "/", "LC_ALL": "C"}
_SOURCE = re.compile(r"(.+)-([^-]+-[^-]+)\.(?:no)?src\.rpm")


class RpmDriver:
    """Drives the rpm of the root it runs in; conforms to `driver.Driver`.

    Args:
        state: directory of the agent's own, outside every snapshot.
        ecosystem: `<distribution>:<release>`, as `rocky:9`.
        transaction: settings of effect-verified transactions.
        sleep: waits that many seconds; given, so that a test need not.
        lock_seconds: how long another program's lock is waited for before `Locked`.
        hidden: folders that packages' scripts must not see in a rehearsal.
    """

    def __init__(
        self,
        state: Path,
        ecosystem: str,
        transaction: Mapping[str, object],
        sleep: Callable[[float], None] = time.sleep,
        lock_seconds: int = LOCK_SECONDS,
        hidden: Sequence[Path] = (),
    ) -> None:
        """Make the directory for artefacts."""
        self._ecosystem, self._root = ecosystem, ROOT
        self._sleep, self._tries = sleep, int(lock_seconds / _PAUSE)
        self._store, self._state = Store(state / "artefacts", ".rpm"), state
        self._known: tuple[tuple[int, ...], list[Row]] = ((), [])
        self._apart = Packages(state, transaction, hidden, RpmFamily(state))

    @property
    def ecosystem(self) -> str:
        """`<distribution>:<release>`."""
        return self._ecosystem

    def installed(self) -> dict[str, str]:
        """Give name -> version; of several versions of one package the newest."""
        found = dict[str, str]()
        for row in self._rows():
            name = _name(row)
            if name not in found or self._older(found[name], row.version):
                found[name] = row.version
        return found

    def census(self) -> list[Present]:
        """Give what rpm has, each with its source package, in every version and architecture."""
        return self._patiently(self._census)

    def stage(self, packages: Sequence[Package], fetch: Fetch) -> Staged:
        """Bring the .rpms here; their hash and their headers must be the named ones."""
        files = []
        for package in packages:
            path = self._store.bring(package.sha256, fetch)
            _check_header(package, path)
            files.append(path)
        return Staged(tuple(packages), tuple(files))

    def preview(self, staged: Staged, *, undo: bool = False) -> Foreseen | None:
        """Let rpm write its database in a copy, compare, and rehearse the change."""
        pending = self._pending(staged)
        if not pending.packages:
            return None
        if undo and (number := self._apart.number(staged)):
            return self._apart.preview_undo(number)
        self._store.check(pending)
        self._may_come(pending, undo=undo)
        self._try(pending, undo=undo)
        return self._apart.preview(pending, self._words(undo=undo), _ENVIRONMENT).foreseen

    def upgrade(self, staged: Staged) -> str:
        """Install the named versions; downgrades are refused by rpm itself."""
        return self._change(staged, undo=False)

    def undo(self, staged: Staged) -> str:
        """Go back by the journal, or install the older versions that are named."""
        return self._change(staged, undo=True)

    def recover(self) -> tuple[Package, ...]:
        """Bring back what was torn; nothing is finished, so nothing is given."""
        self._apart.repair()
        return ()

    def _change(self, staged: Staged, *, undo: bool) -> str:
        if not self._pending(staged).packages:
            return ""
        number = self._apart.number(staged) if undo else ""
        if number:
            said = self._apart.undo(number, staged.named)
        else:
            self.preview(staged, undo=undo)
            said = self._apart.upgrade(self._pending(staged), self._words(undo=undo), _ENVIRONMENT)
        if left := self._pending(staged).packages:
            names = ", ".join(f"`{p.name}`" for p in left)
            raise DriverFailed(f"the transaction left {names} undone; {said}")
        return said

    def _pending(self, staged: Staged) -> Staged:
        have, kept = self.installed(), list[tuple[Package, Path]]()
        for package, file in zip(staged.packages, staged.files, strict=True):
            version = have.get(package.name, ABSENT)
            if version == package.after:
                continue
            if version != (package.before or ABSENT):
                raise TransactionDiffers(
                    f"`{package.name}` is at `{version.replace(ABSENT, 'nothing')}`, "
                    f"not at `{package.before}`; plan the change anew"
                )
            kept.append((package, file))
        packages, files = tuple(p for p, _ in kept), tuple(f for _, f in kept)
        return replace(staged, packages=packages, files=files)

    def _may_come(self, staged: Staged, *, undo: bool) -> None:
        """Refuse what comes new and nothing needs, and what goes by no transaction."""
        odd = [p.name for p in staged.packages if ABSENT in (p.before, p.after)]
        if odd and undo:
            names = ", ".join(f"`{name}`" for name in odd)
            raise TransactionDiffers(
                f"{names} would go, and by no transaction of this host; a person must do it"
            )
        if not odd:
            return
        named = {p.name: read_rpm(f) for p, f in zip(staged.packages, staged.files, strict=True)}
        here = {p.name for p in staged.packages if p.before != ABSENT}
        asked = frozenset[str]().union(*(rpm.requires for rpm in named.values()))
        has, replaced = set[str](), {rpm.name for rpm in named.values()}
        for header in rpmdb.headers(self._database()):
            if header.text(Tag.NAME) not in replaced:
                has |= asked & {*header.texts(Tag.PROVIDES), *paths(header)}
        if wrong := unneeded(named, here, has):
            names = ", ".join(f"`{name}`" for name in wrong)
            raise TransactionDiffers(
                f"nothing that is upgraded needs {names}, which would come new; leave it out of "
                "the plan",
                wrong,
            )

    def _try(self, staged: Staged, *, undo: bool) -> None:
        """Let rpm write the change into a copy of its database; raises `TransactionDiffers`."""
        with self._aside() as copy:
            before = rpmdb.rows(copy)
            words = [w for w in derived.JUST_DATABASE if undo or w != "--oldpackage"]
            argv = ["rpm", f"--dbpath={copy.parent}", *(w for w in words if w != "--nodeps"), "--"]
            done = run([*argv, *map(str, staged.files)], self._state / "rpm.log", _ENVIRONMENT)
            if done.code:
                raise TransactionDiffers(
                    f"rpm cannot do exactly this: {last_lines(done.output)}; plan the change anew",
                    [line.strip() for line in done.output.splitlines()],
                )
            named = [Row(r.name, r.version, r.arch, r.header) for r in map(read_rpm, staged.files)]
            also = rpmdb.also(before, rpmdb.rows(copy), named)
        if also:
            raise TransactionDiffers(
                f"rpm would do more than was named: {', '.join(also[:5])}; "
                "name it in the plan, or leave this host out",
                also,
            )

    @contextmanager
    def _aside(self) -> Iterator[Path]:
        source = self._database()
        with ExitStack() as stack:
            with rpmdb.held(source.parent, fcntl.LOCK_SH):
                copy = stack.enter_context(rpmdb.aside(source, self._state))
            yield copy

    def _words(self, *, undo: bool) -> list[str]:
        words = ["rpm", f"--dbpath={Path(rpmdb.find(self._root)).parent}", "--upgrade"]
        words += ["--noplugins", *(["--oldpackage"] if undo else [])]
        return [*words, "--", derived.ARGUMENTS]

    def _database(self) -> Path:
        return self._root / rpmdb.find(self._root).lstrip("/")

    def _rows(self) -> list[Row]:
        file = self._database()
        found = file.stat()
        mark = (found.st_ino, found.st_mtime_ns, found.st_size)
        if mark != self._known[0]:
            self._known = (mark, self._patiently(lambda: rpmdb.rows(file)))
        return self._known[1]

    def _census(self) -> list[Present]:
        found = []
        for header in rpmdb.headers(self._database()):
            row, source = rpmdb.row(header), _SOURCE.fullmatch(header.text(Tag.SOURCE))
            epoch = row.version.partition(":")[0] + ":" if ":" in row.version else ""
            made = epoch + source[2] if source else row.version
            own = "" if made == row.version else made
            name = source[1] if source else row.name
            told = (self._ecosystem, row.name, row.version, row.arch, name, own)
            found.append(Present(*told))
        return found

    def _patiently(self, read: Callable[[], _T]) -> _T:
        for _ in range(self._tries):
            try:
                return read()
            except Locked:
                self._sleep(_PAUSE)
        return read()

    def _older(self, one: str, other: str) -> bool:
        return key(self._ecosystem, one) < key(self._ecosystem, other)


def unneeded(named: Mapping[str, Rpm], here: Collection[str], has: Collection[str]) -> list[str]:
    """Give the named packages that come new though no other named package needs them.

    Args:
        named: what is installed, by its name in the order.
        here: the named packages that are installed already.
        has: what the rest of the host provides of what they require; their old versions are gone.
    """
    needed, waiting = set(here), sorted(here)
    met = set(has).union(*({*named[name].provides, *named[name].files} for name in here))
    while waiting:
        for required in named[waiting.pop()].requires - met:
            for name in named.keys() - needed:
                if required in named[name].provides or required in named[name].files:
                    needed.add(name)
                    waiting.append(name)
    return sorted(named.keys() - needed)


def _check_header(package: Package, path: Path) -> None:
    found = read_rpm(path)
    row = Row(found.name, found.version, found.arch, found.header)
    if (_name(row), found.version) != (package.name, package.made):
        raise ArtefactDiffers(
            f"artefact `{package.sha256}` holds `{_name(row)}` `{found.version}`, "
            f"the order names `{package.name}` `{package.made}`"
        )


def _name(row: Row) -> str:
    own = {"noarch", os.uname().machine}
    return row.name if row.arch in own else f"{row.name}:{row.arch}"
