"""Debian packages through apt, dpkg and nothing else.

Rules, besides those of `driver.py`:
* apt sees the staged files and the host's own dpkg database, and no other source, pin or cache;
* `apt-get --simulate` must list the named packages and versions only; one more line is a refusal;
* the files' own control fields must name the package and version of the order;
* configuration files of the host stay as they are; nothing restarts because needrestart thinks so
  (a restart is a change of its own); marks of automatic installation are kept;
* downgrades are allowed in an undo only;
* a package comes new only where the .deb of a named package that is here needs it, or one that so
  comes, and nothing installed would do; only in a transaction, whose undo takes it away again.

With the setting `transaction` apt runs in a throw-away copy of the host only, and what it did there
is explained and committed (transaction/packages.py). The host's own apt.conf stays in force: it
belongs to who runs the host, who may have hooks there. Sources: apt-get(8), apt.conf(5), dpkg(1),
deb-control(5). Left out: marks of automatic installation in a transaction, which stay as they are.
"""

import fcntl
import re
import time
from collections.abc import Callable, Collection, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from answerable.host.driver import (
    CHANGE_SECONDS,
    ORPHAN_SECONDS,
    QUERY_SECONDS,
    ArtefactDiffers,
    DriverFailed,
    Fetch,
    Foreseen,
    Journal,
    Locked,
    Package,
    Present,
    Ran,
    Staged,
    Store,
    TransactionDiffers,
    last_lines,
    run,
    wait_until_free,
)
from answerable.host.versions import ABSENT

if TYPE_CHECKING:
    from answerable.host.transaction.packages import Packages

LOCK_SECONDS = 30
"""How long apt waits for another program's lock, unless told otherwise."""

_ENVIRONMENT = {
    "PATH": "/usr/sbin:/usr/bin:/sbin:/bin",
    "HOME": "/root",
    "LC_ALL": "C",
    "DEBIAN_FRONTEND": "noninteractive",
    "DEBCONF_NONINTERACTIVE_SEEN": "true",
    "APT_LISTCHANGES_FRONTEND": "none",
    "NEEDRESTART_SUSPEND": "1",
    "UCF_FORCE_CONFFOLD": "1",
}
_OPTIONS = (
    "Dir::Etc::sourcelist=/dev/null",
    "Dir::Etc::sourceparts=/dev/null",
    "Dir::Etc::preferences=/dev/null",
    "Dir::Etc::preferencesparts=/dev/null",
    "Dir::Cache::pkgcache=",
    "Dir::Cache::srcpkgcache=",
    # The staged files lie where apt's own user cannot read, and must not.
    "APT::Sandbox::User=root",
    "APT::Get::AutomaticRemove=false",
    "APT::Get::Show-User-Simulation-Note=false",
    # A preview leaves no file behind, not even a log of what was previewed.
    "Dir::Log::Planner=",
    "Dpkg::Use-Pty=0",
    "Dpkg::Options::=--force-confdef",
    "Dpkg::Options::=--force-confold",
)
_FORMAT = "${db:Status-Abbrev}\t${Package}\t${Architecture}\t${Version}\n"
_CENSUS = (
    "${db:Status-Abbrev}\t${Package}\t${Architecture}\t${Version}\t"
    "${source:Package}\t${source:Version}\t${Provides}\n"
)
_LINE = re.compile(r"(Inst|Remv|Purg|Conf) (\S+)(?: \[\S*\])?(?: \((\S+))?")
WHOLE = "i "
"""dpkg's letters for a package that is wholly installed."""
_TORN = {"HR", "UR", "iR", "H "}
_LOCK = Path("/var/lib/dpkg/lock-frontend")


class AptDriver:
    """Drives the apt of the root it runs in; conforms to `driver.Driver`.

    Args:
        state: directory of the agent's own, outside every snapshot.
        ecosystem: `debian:<release>`.
        sleep: waits that many seconds; given, so that a test need not.
        lock_seconds: how long apt waits for another program's lock before `Locked`.
        transaction: settings of effect-verified transactions; without them apt changes the host.
        hidden: folders that packages' scripts must not see in a rehearsal.
    """

    def __init__(
        self,
        state: Path,
        ecosystem: str,
        sleep: Callable[[float], None] = time.sleep,
        lock_seconds: int = LOCK_SECONDS,
        transaction: Mapping[str, object] | None = None,
        hidden: Sequence[Path] = (),
    ) -> None:
        """Make the directory for artefacts."""
        self._ecosystem, self._sleep = ecosystem, sleep
        self._options = (*_OPTIONS, f"DPkg::Lock::Timeout={lock_seconds}")
        self._store = Store(state / "artefacts", ".deb")
        self._journal = Journal(state / "apt.json")
        self._log, self._lock = state / "apt.log", state / "apt.lock"
        self._native = ""
        self._apart: Packages | None = None
        if transaction is not None:
            # Loaded only where it is used: a host keeps its memory for its work.
            from answerable.host.transaction import packages  # noqa: PLC0415
            from answerable.host.transaction.debian import dpkg  # noqa: PLC0415

            self._apart = packages.Packages(state, transaction, hidden, dpkg.Dpkg())

    @property
    def ecosystem(self) -> str:
        """`debian:<release>`."""
        return self._ecosystem

    def installed(self) -> dict[str, str]:
        """Give name -> version; a package of a foreign architecture is `name:arch`."""
        return {n: version for n, (flags, version) in self._database().items() if flags == WHOLE}

    def census(self) -> list[Present]:
        """Give what dpkg has, each with its source package; foreign architectures are left out."""
        done = self._run(["dpkg-query", "--show", f"--showformat={_CENSUS}"])
        if done.code or done.cut:
            raise DriverFailed(f"dpkg-query cannot list the packages: {last_lines(done.output)}")
        return parse_census(done.output, self._ecosystem, self._arch())

    def stage(self, packages: Sequence[Package], fetch: Fetch) -> Staged:
        """Bring the .debs here; their hash and their control fields must be the named ones."""
        files = []
        for package in packages:
            path = self._store.bring(package.sha256, fetch)
            self._check_fields(package, path)
            files.append(path)
        return Staged(tuple(packages), tuple(files))

    def preview(self, staged: Staged, *, undo: bool = False) -> Foreseen | None:
        """Let apt simulate and compare, line by line, with what was named; rehearse, if set."""
        pending = self._pending(staged)
        if not pending:
            return None
        if self._apart and undo and (number := self._apart.number(staged)):
            return self._apart.preview_undo(number)
        self._may_come(staged, undo=undo)
        done = self._apt(["--simulate", *self._flags(undo=undo)], staged)
        if done.code:
            raise TransactionDiffers(
                f"apt cannot do exactly this: {last_lines(done.output)}; plan the change anew",
                [x.strip() for x in done.output.splitlines() if re.match(r"E: | .* : ", x)],
            )
        also = unnamed(done.output, pending, self._arch())
        if also:
            raise TransactionDiffers(
                f"apt would also touch {', '.join(f'`{line}`' for line in also[:5])}; "
                "name it in the plan, or leave this host out",
                also,
            )
        if not self._apart:
            return None
        self._store.check(staged)
        return self._apart.preview(staged, self._words_apart(undo=undo), _ENVIRONMENT).foreseen

    def upgrade(self, staged: Staged) -> str:
        """Install the named versions; downgrades are refused by apt itself."""
        return self._change(staged, undo=False)

    def undo(self, staged: Staged) -> str:
        """Install the older versions that are named."""
        return self._change(staged, undo=True)

    def recover(self) -> tuple[Package, ...]:
        """Wait for an orphaned apt, mend what is half-done, and finish a torn transaction."""
        if self._apart:
            self._apart.repair()
        packages, note = self._journal.read()
        if not packages:
            return ()
        self._wait_for_lock()
        self._dpkg("--configure", "--pending")
        staged = Staged(packages, tuple(self._store.path(p.sha256) for p in packages))
        database = self._database()
        if all(database.get(p.name) == (WHOLE, p.before) for p in packages):
            self._journal.end()
            return ()
        self._mend(staged)
        self._install(staged, undo=note["undo"], auto=note["auto"])
        return packages

    def _change(self, staged: Staged, *, undo: bool) -> str:
        if not self._pending(staged):
            return ""
        self._mend(staged)
        if self._apart:
            return self._change_apart(self._apart, staged, undo=undo)
        self.preview(staged, undo=undo)
        auto = self._run(["apt-mark", "showauto", *(p.name for p in staged.packages)])
        marks = auto.output.split() if auto.code == 0 else []
        self._journal.begin(staged.packages, undo=undo, auto=marks)
        try:
            self._install(staged, undo=undo, auto=marks)
        except Locked:
            self._journal.end()
            raise
        return ""

    def _change_apart(self, apart: "Packages", staged: Staged, *, undo: bool) -> str:
        number = apart.number(staged) if undo else ""
        if number:
            said = apart.undo(number, staged.named)
        else:
            self.preview(staged, undo=undo)
            said = apart.upgrade(staged, self._words_apart(undo=undo), _ENVIRONMENT)
        if pending := self._pending(staged):
            names = ", ".join(f"`{p.name}`" for p in pending)
            raise DriverFailed(f"the transaction left {names} undone; {said}")
        return said

    def _mend(self, staged: Staged) -> None:
        """Bring named packages that an earlier kill tore to where apt will handle them again."""
        database = self._database()
        flags = {p.name: database.get(p.name, (WHOLE, ""))[0] for p in staged.packages}
        if all(flag == WHOLE for flag in flags.values()):
            return
        self._store.check(staged)
        rows = zip(staged.packages, staged.files, strict=True)
        # apt refuses to touch a half-unpacked package; dpkg unpacks it again over itself.
        if torn := [str(file) for p, file in rows if flags[p.name] in _TORN]:
            self._dpkg("--unpack", *torn)
        self._dpkg("--configure", *(name for name, flag in flags.items() if flag != WHOLE))

    def _install(self, staged: Staged, *, undo: bool, auto: list[str]) -> None:
        self._store.check(staged)
        done = self._apt(self._flags(undo=undo), staged, CHANGE_SECONDS)
        if "Could not get lock" in done.output or "Unable to acquire the dpkg" in done.output:
            self._journal.end()
            raise Locked(
                f"{last_lines(done.output, 2)}; end the other package tool, then try again"
            )
        if pending := self._pending(staged):
            names = ", ".join(f"`{p.name}`" for p in pending)
            raise DriverFailed(f"apt left {names} undone: {last_lines(done.output)}")
        if auto:
            self._run(["apt-mark", "auto", *auto])
        self._journal.end()

    def _pending(self, staged: Staged) -> list[Package]:
        database = self._database()
        nothing = (WHOLE, ABSENT)
        pending = [p for p in staged.packages if database.get(p.name, nothing) != (WHOLE, p.after)]
        for package in pending:
            flags, version = database.get(package.name, nothing)
            # Half of a package is neither there nor absent.
            whole = flags == WHOLE or package.before == ABSENT
            if whole and version != (package.before or ABSENT):
                raise TransactionDiffers(
                    f"`{package.name}` is at `{version.replace(ABSENT, 'nothing')}`, "
                    f"not at `{package.before}`; plan the change anew"
                )
        return pending

    def _database(self) -> dict[str, tuple[str, str]]:
        done = self._run(["dpkg-query", "--show", f"--showformat={_FORMAT}"])
        if done.code or done.cut:
            raise DriverFailed(f"dpkg-query cannot list the packages: {last_lines(done.output)}")
        return parse_database(done.output, self._arch())

    def _arch(self) -> str:
        if not self._native:
            said = self._run(["dpkg", "--print-architecture"]).output
            self._native = said.strip().rpartition("\n")[2]  # behind what it warns of
        return self._native

    def _may_come(self, staged: Staged, *, undo: bool) -> None:
        """Refuse what comes new, or goes, in any other way than a transaction with its undo."""
        odd = [p.name for p in staged.packages if ABSENT in (p.before, p.after)]
        if not odd:
            return
        if undo or not self._apart:
            raise TransactionDiffers(
                f"{', '.join(f'`{name}`' for name in odd)} would come new or go, and by no "
                "transaction of this host; a person must do it"
            )
        rows = zip(staged.packages, staged.files, strict=True)
        fields = {p.name: self._fields(file) for p, file in rows}
        here = {p.name for p in staged.packages if p.before != ABSENT}
        if wrong := unneeded(fields, here, self.installed()):
            raise TransactionDiffers(
                f"nothing that is upgraded needs {', '.join(f'`{name}`' for name in wrong)}, which "
                "would come new; leave it out of the plan",
                wrong,
            )

    def _fields(self, path: Path) -> str:
        words = ["dpkg-deb", "--field", str(path), "Pre-Depends", "Depends"]
        lines = self._run(words).output.splitlines()
        return ",".join(line.partition(": ")[2] for line in lines)

    def _check_fields(self, package: Package, path: Path) -> None:
        done = self._run(["dpkg-deb", "--field", str(path), "Package", "Version", "Architecture"])
        fields = dict(line.split(": ", 1) for line in done.output.splitlines() if ": " in line)
        found = (fields.get("Package"), fields.get("Version"))
        architecture = package.name.partition(":")[2] or self._arch()
        if found != (package.name.partition(":")[0], package.made) or fields.get(
            "Architecture"
        ) not in {"all", architecture}:
            raise ArtefactDiffers(
                f"artefact `{package.sha256}` holds `{found[0]}` `{found[1]}`, "
                f"the order names `{package.name}` `{package.made}`"
            )

    def _flags(self, *, undo: bool) -> list[str]:
        return ["--allow-downgrades"] if undo else []

    def _apt(self, flags: Sequence[str], staged: Staged, seconds: int = QUERY_SECONDS) -> Ran:
        argv = [*self._words(flags), "install", "--", *map(str, staged.files)]
        return run(argv, self._log, _ENVIRONMENT, seconds, self._lock)

    def _words(self, flags: Sequence[str]) -> list[str]:
        options = [word for option in self._options for word in ("--option", option)]
        return ["apt-get", "--yes", "--no-install-recommends", "--no-remove", *options, *flags]

    def _words_apart(self, *, undo: bool) -> list[str]:
        # What lies in a copy in memory need not be synced.
        unsafe = ["--option", "Dpkg::Options::=--force-unsafe-io"]
        flags = [*unsafe, *self._flags(undo=undo)]
        return [*self._words(flags), "install", "--", "{packages}"]

    def _dpkg(self, *words: str) -> Ran:
        argv = ["dpkg", "--force-confdef", "--force-confold", *words]
        return run(argv, self._log, _ENVIRONMENT, CHANGE_SECONDS, self._lock)

    def _run(self, argv: Sequence[str]) -> Ran:
        return run(argv, self._log, _ENVIRONMENT)

    def _wait_for_lock(self) -> None:
        wait_until_free(self._lock, self._log, self._sleep)
        for _ in range(ORPHAN_SECONDS * 5):
            with _LOCK.open("a") as lock:
                try:
                    fcntl.lockf(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
                except OSError:
                    pass
                else:
                    return
            self._sleep(0.2)
        raise Locked(f"`{_LOCK}` was held for {ORPHAN_SECONDS} seconds; end its holder")


def parse_database(text: str, native: str) -> dict[str, tuple[str, str]]:
    """Read `dpkg-query` lines into name -> (state and error letter, version).

    The letters are those of `${db:Status-Abbrev}`; only `WHOLE` is an installed package.
    """
    found = {}
    for line in text.splitlines():
        status, package, arch, version = line.split("\t")
        if status[1] not in "nc":
            name = package if arch in {native, "all"} else f"{package}:{arch}"
            found[name] = (status[1:3], version)
    return found


def parse_census(text: str, ecosystem: str, native: str) -> list[Present]:
    """Read `dpkg-query` lines into packages; what is there only in part is `broken`.

    The letters are those of `${db:Status-Abbrev}`: what is wanted, what is there, an error.
    """
    found = []
    for line in text.splitlines():
        letters, package, arch, version, source, made, provides = line.split("\t")
        if letters[1] in "nc" or arch not in {native, "all"}:
            continue
        state = "installed" if letters[1:3] in {"i ", "t ", "W "} else "broken"
        state = "held" if state == "installed" and letters[0] == "h" else state
        names = tuple(sorted({word.split()[0] for word in provides.split(",") if word.strip()}))
        own = "" if made == version else made
        found.append(Present(ecosystem, package, version, arch, source, own, state, names))
    return found


def unneeded(
    fields: Mapping[str, str], here: Collection[str], installed: Collection[str]
) -> list[str]:
    """Give the named packages that come new though no other named package needs them.

    A need counts if nothing of it is installed, so that it cannot be met without what comes.

    Args:
        fields: name -> its `Pre-Depends` and `Depends`, with a comma between.
        here: the named packages that are installed already.
    """
    needed, waiting = set(here), list(here)
    while waiting:
        for need in fields[waiting.pop()].split(","):
            names = {re.split(r"[ (:\[]", part.strip(), maxsplit=1)[0] for part in need.split("|")}
            found = set() if names & set(installed) else names & fields.keys() - needed
            needed |= found
            waiting += found
    return sorted(fields.keys() - needed)


def unnamed(simulation: str, named: Sequence[Package], native: str) -> list[str]:
    """Give the lines of a simulated transaction that nobody named; order is kept.

    `Inst name [old] (new ...)` and `Conf name (new ...)` must have a named name and version; `Remv`
    and `Purg` are never named. A named package that is missing is given too.
    """
    wanted = {p.name: p for p in named}
    also, seen = [], set()
    for line in simulation.splitlines():
        found = _LINE.match(line)
        if not found:
            continue
        what, name, new = found.groups()
        package = wanted.get(name.removesuffix(f":{native}"))
        if package and what in {"Inst", "Conf"} and new == package.after:
            seen.add(package.name)
        else:
            also.append(line)
    return also + [f"not: {name}" for name in wanted if name not in seen]
