"""One change of packages as a transaction: rehearse, explain, commit, undo, repair.

    change = Transaction(state, family)           the agent's own directory, on this host
    with change.rehearse(argv, ...) as found:     nothing of the host is touched
        number = change.commit(found, note)       exactly what was explained, or nothing

A rehearsal that holds anything unexplained, or a sensitive class that is not allowed, is refused
with every path named. A script that must touch a service's data is live.py's.
"""

import json
import os
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path

from answerable.host.confine.sandbox import INSIDE, Sandbox
from answerable.host.driver import (
    CHANGE_SECONDS,
    DriverFailed,
    Foreseen,
    Ran,
    TransactionDiffers,
    last_lines,
)
from answerable.host.files import make_private
from answerable.host.transaction import data, derived, effects, menu
from answerable.host.transaction.details import details
from answerable.host.transaction.disk import Disk
from answerable.host.transaction.explain import Explained, Explainer, digest, sensitive
from answerable.host.transaction.family import Database, Family
from answerable.host.transaction.initrd import Disks
from answerable.host.transaction.journal import Repaired, Row, Transactions
from answerable.host.transaction.live import Live, take, wanted
from answerable.host.transaction.port import CHUNK, Drifted
from answerable.kernel.canon import Json

NAMED = 20
"""How many unexplained paths a refusal's message names; `also` has all of them."""
ROOT = Path("/")


@dataclass(frozen=True)
class Rehearsal:
    """What a change would do: its effects, their hash, sensitive classes, services it asked for."""

    explained: Explained
    digest: str
    sensitive: Mapping[str, Sequence[str]]
    asked: tuple[str, ...]
    sandbox: Sandbox
    live: Live | None = None
    env: Mapping[str, str] = field(default_factory=dict)
    menu: bool = False

    @property
    def foreseen(self) -> Foreseen:
        """Give it in the words of the driver's port."""
        found = {name: tuple(self.sensitive[name]) for name in sensitive(self.sensitive)}
        return Foreseen(self.digest, found, self.explained.effects, self.asked)

    def refuse(self, allowed: Iterable[str]) -> None:
        """Raise `TransactionDiffers` if anything is unexplained, or of a class not allowed."""
        unknown = self.explained.unexplained
        if unknown:
            lines = [f"{u.path}: {u.why}{' (live data)' if u.live else ''}" for u in unknown]
            raise TransactionDiffers(
                f"{len(unknown)} effects are not explained by the named packages: "
                f"{'; '.join(lines[:NAMED])}; a person must look at them",
                lines,
            )
        missing = [name for name in sensitive(self.sensitive) if name not in set(allowed)]
        if missing:
            lines = [f"{path}: {name}" for name in missing for path in self.sensitive[name]]
            raise TransactionDiffers(
                f"effects of the classes {', '.join(f'`{m}`' for m in missing)} are not allowed "
                f"here: {'; '.join(lines[:NAMED])}",
                lines,
            )


class Transaction:
    """The transactions of one host.

    Args:
        state: folder of the agent's own, outside every snapshot; it is hidden from scripts.
        family: of the packages.
        hidden: more folders that are hidden from scripts.
        sockets: folders of services' sockets that a live script may speak to.
        sandbox: what programs run in.
    """

    def __init__(
        self, state: Path, family: Family, hidden: Sequence[Path] = (),
        sockets: Sequence[str] = (), sandbox: type[Sandbox] = Sandbox,
    ) -> None:  # fmt: skip
        make_private(state / "transactions")
        self._sockets, self._sandbox = tuple(sockets), sandbox
        self._state, self._family = Path(os.path.realpath(state)), family
        self._hidden = (self._state, *hidden)

    @contextmanager
    def rehearse(
        self,
        argv: Sequence[str],
        files: Sequence[Path],
        env: Mapping[str, str],
        succeeded: Callable[[Ran], str],
    ) -> Iterator[Rehearsal]:
        """Run a package tool in a copy of this host, and explain what it did.

        Args:
            argv: words of the tool, with `derived.ARGUMENTS` for the packages' files.
            files: the packages, all in one folder.
            env: the tool's whole environment.
            succeeded: tells why the tool's end is a failure; nothing if it is none.

        Raises:
            TransactionDiffers: the tool, or a script, failed in the copy.
            SandboxFailed: no copy could be made.
        """
        with ExitStack() as stack:
            pool = stack.enter_context(ThreadPoolExecutor(1))
            opened = pool.submit(self._family.read, files, ROOT)
            copy = stack.enter_context(self._sandbox(self._state / "copy", self._hidden))
            log = self._state / "copy.log"
            done = copy.run(_with(argv, files), log, env, CHANGE_SECONDS, files[0].parent)
            if why := succeeded(done):
                raise TransactionDiffers(
                    f"the packages cannot be installed in a copy of this host: {why}",
                    done.output.splitlines()[-20:],
                )
            packages, database = opened.result()
            explainer = Explainer(packages, database)
            made = effects.changes(copy.layers, ROOT, times=database.times)
            found = explainer.explain(made, copy.sees)
            live, anew = wanted(found, made, packages, database, self._hidden), False
            if live:
                take(found, live)
                _keep(copy, found)
                live.rehearse(copy, found, env, log)
                _keep(copy, found)
            if not found.unexplained:
                self._settle(copy, found, files, env)
                _check(database, found)
                anew = menu.due((change.path for change in found.commit), ROOT)
            if anew:
                menu.take(found.effects, found.sensitive, live=live is not None)
                menu.rehearse(log, env, self._hidden)
            looks = {change.path: change for change in made}
            found.unexplained = [
                replace(one, why=one.why + details(looks[one.path], ROOT))
                for one in found.unexplained
            ]
            told = digest(found.effects), found.sensitive, copy.asked
            yield Rehearsal(found, *told, copy, live, env, anew)

    def _settle(
        self, copy: Sandbox, found: Explained, files: Sequence[Path], env: Mapping[str, str]
    ) -> None:
        """Compute anew, in a copy of what is explained alone, what tools compute."""
        if not found.compute:
            return
        _keep(copy, found)
        log = self._state / "copy.log"
        paths = [change.path for change in found.compute]

        def listed(disk: str) -> list[str]:
            done = copy.run(["/usr/bin/lsinitramfs", disk], log, env, CHANGE_SECONDS, None)
            if done.code or done.cut:
                raise TransactionDiffers(f"`{disk}` cannot be listed: {last_lines(done.output)}")
            return done.output.splitlines()

        disks = Disks(paths, listed, ROOT)
        for command in derived.commands(paths, copy.sees):
            words = _with(command, files)
            done = copy.run(words, log, env, CHANGE_SECONDS, files[0].parent)
            if done.code:
                raise TransactionDiffers(f"`{command[0]}` failed: {last_lines(done.output)}")
        disks.demand()
        self._compute(copy, found)

    def _compute(self, copy: Sandbox, found: Explained) -> None:
        explained = {change.path for change in found.commit}
        for change in effects.changes(copy.layers, ROOT):
            tool = derived.tool_of(change.path)
            if change.path in explained or derived.discarded(change.path):
                continue
            if tool is None:
                raise TransactionDiffers(f"a tool changed `{change.path}`, which it does not own")
            found.commit.append(change)
            found.effects.append({"by": tool.name, "is": "computed", "path": change.path})
        found.commit.sort(key=lambda change: change.path)

    def commit(self, rehearsal: Rehearsal, note: Json) -> str:
        """Do exactly what was explained; give the transaction's number.

        Raises:
            Drifted: the host changed since the rehearsal; nothing was changed.
            DriverFailed: it could not be done, and was brought back.
        """
        known = {change.path: change for change in rehearsal.explained.commit}
        rows = [Row(c.path, c.before, c.after, *_known(c, known)) for c in known.values()]
        note = {**note, "digest": rehearsal.digest, "sensitive": sensitive(rehearsal.sensitive)}

        def read(path: str) -> Iterator[bytes]:
            with known[path].source.open("rb") as file:
                while piece := file.read(CHUNK):
                    yield piece

        def then(place: str) -> None:
            if rehearsal.live:
                self._run_live(rehearsal.live, rehearsal.env, place)
            if rehearsal.menu:
                with Disk(ROOT) as disk:
                    log = self._state / "copy.log"
                    menu.renew(disk, place, log, rehearsal.env, self._hidden)

        try:
            with self._journal() as journal:
                return journal.commit(rows, read, note, then)
        except BaseException as error:
            # With folders opened anew: a script may have moved those that were open.
            if left := [path for repaired in self.repair() for path in repaired.left]:
                raise DriverFailed(f"{error}; look at {', '.join(left[:NAMED])}") from error
            raise

    def _run_live(self, live: Live, env: Mapping[str, str], place: str) -> None:
        with Disk(ROOT) as disk:
            data.keep(disk, place, live.folders)
        real = live.real(self._sockets)
        with self._sandbox(self._state / "live", self._hidden, real) as copy:
            live.run(copy, env, self._state / "copy.log")
        with Disk(ROOT) as disk:
            live.settled(disk, place)

    def find(self, matches: Callable[[Json], bool]) -> str:
        """Give the number of the newest transaction in force whose note matches, or nothing."""
        with self._journal() as journal:
            numbers = reversed(journal.numbers("done"))
            return next((n for n in numbers if matches(journal.note(n))), "")

    def drift(self, number: str) -> list[str]:
        """Give the paths for which an undo would be refused."""
        with self._journal() as journal:
            return [*journal.drift(number), *self._menu(number)]

    def _menu(self, number: str) -> list[str]:
        with Disk(ROOT) as disk:
            return menu.drifted(disk, str(self._state / "transactions" / number))

    def made(self, number: str) -> list[str]:
        """Give the paths that came with a transaction, and go with its undo."""
        with self._journal() as journal:
            return journal.made(number)

    def note(self, number: str) -> Json:
        """Give what was noted of a transaction."""
        with self._journal() as journal:
            return journal.note(number)

    def undo(self, number: str) -> Json:
        """Bring every path back to what it was before; give the note. Raises `Drifted`."""
        if drifted := self._menu(number):
            raise Drifted(f"{drifted[0]} changed since; plan a change instead", drifted)
        with self._journal() as journal:
            journal.undo(number)
            return journal.note(number)

    def repair(self) -> list[Repaired]:
        """Mend what a kill or a power cut has torn; call it before anything else."""
        with self._journal() as journal:
            return journal.repair()

    @contextmanager
    def _journal(self) -> Iterator[Transactions]:
        with Disk(ROOT) as disk:
            yield Transactions(disk, str(self._state / "transactions"), self._family.merge)


def _keep(copy: Sandbox, found: Explained) -> None:
    """Make the copy hold what is explained, and nothing else."""
    for layer in copy.layers:
        effects.keep(layer, {change.path for change in found.commit}, ROOT)
    copy.remount()


def _with(argv: Sequence[str], files: Sequence[Path]) -> list[str]:
    """Give a tool's words with the files of the packages, as the copy sees them."""
    inside = [f"{INSIDE}/packages/{file.name}" for file in files]
    return [w for word in argv for w in (inside if word == derived.ARGUMENTS else [word])]


def _check(database: Database, found: Explained) -> None:
    if problems := database.settled(found.commit):
        raise TransactionDiffers(
            f"the package database would say something else: {'; '.join(problems[:NAMED])}; "
            "name it in the plan, or leave this host out",
            problems,
        )


def _known(change: effects.Change, known: Mapping[str, effects.Change]) -> tuple[str, str]:
    return (change.twin if change.twin in known else "", change.was if change.was in known else "")


def spelled(rehearsal: Rehearsal) -> str:
    """Give the effects as text, one a line, with their hash: for people and for plans."""
    told = {"digest": rehearsal.digest, "effects": rehearsal.explained.effects,
            "sensitive": {n: list(p) for n, p in rehearsal.sensitive.items()},
            "asked": list(rehearsal.asked)}  # fmt: skip
    return json.dumps(told, indent=1, sort_keys=True)
