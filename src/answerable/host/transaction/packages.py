"""Upgrades and undos of packages as transactions, for a driver of a package tool.

Settings: `{"allow": ["setuid", ..]}`, the classes of sensitive effects (sensitive.py) that changes
may have on this host; `{}` allows none. `{"sockets": ["/run/postgresql"]}`: folders of sockets that
a live script may speak to (live.py).

Rules:
* what `preview` rehearsed is what `upgrade` commits, as long as the packages are the same; the
  journal refuses if the host moved in between;
* an undo of a transaction goes back by the journal: no tool, no script, no server; only what was
  installed without a transaction is rehearsed as any other change;
* a package that comes new is of the class `install`, whatever it ships;
* no undo takes away the kernel that runs, its modules or its initial disk;
* the package database's own locks are held while the host is changed.

Left out: keeping a rehearsal over a restart of the agent.
"""

import os
import re
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path

from answerable.host.confine.sandbox import Sandbox
from answerable.host.driver import (
    DriverFailed,
    Foreseen,
    Package,
    Ran,
    Staged,
    TransactionDiffers,
    last_lines,
)
from answerable.host.transaction.family import Family
from answerable.host.transaction.port import Drifted
from answerable.host.transaction.rehearsal import Rehearsal, Transaction
from answerable.host.transaction.sensitive import CLASSES, INSTALL
from answerable.host.versions import ABSENT
from answerable.kernel.canon import Json

SANDBOXES = ("bubblewrap", "gvisor")
"""What package tools and scripts may run in."""
# The bus and systemd would do anything for root.
_SOCKETS = r"/run/(?!(systemd|dbus)$)[a-z0-9][a-z0-9_.-]*"


class Packages:
    """Transactions of one host's packages.

    Args:
        state: folder of the driver's own.
        given: the settings.
        hidden: folders that scripts must not see besides.
        family: of the packages.
    """

    def __init__(
        self, state: Path, given: Mapping[str, object], hidden: Sequence[Path], family: Family
    ) -> None:
        allow, sockets = given.get("allow", []), given.get("sockets", [])
        if not isinstance(allow, list) or set(allow) - set(CLASSES):
            raise TypeError(f"`transaction` takes `allow`, a list of {', '.join(CLASSES)}")
        sockets = list(map(str, sockets)) if isinstance(sockets, list) else [""]
        wrong = [path for path in sockets if not re.fullmatch(_SOCKETS, path)]
        if given.keys() - {"allow", "sandbox", "sockets"} or wrong:
            raise TypeError(
                "`transaction` takes `allow`, `sandbox`, and `sockets`, a list like `/run/mysqld`"
            )
        self._allowed, self._family = tuple(map(str, allow)), family
        self._transaction = Transaction(
            state, family, hidden, sockets, _sandbox(given.get("sandbox", "bubblewrap"))
        )
        self._held, self._rehearsed, self._stack = ("", ()), None, ExitStack()

    _held: tuple[str, tuple[Package, ...]]
    _rehearsed: Rehearsal | None

    def preview(self, staged: Staged, argv: Sequence[str], env: Mapping[str, str]) -> Rehearsal:
        """Rehearse, unless that is done; refuse what is unexplained or not allowed.

        Args:
            argv: the tool's words, with `derived.ARGUMENTS`.
        """
        wanted = (" ".join(argv), staged.packages)
        if self._rehearsed is None or self._held != wanted:
            self.forget()
            made = self._transaction.rehearse(argv, staged.files, env, _why)
            rehearsed = self._stack.enter_context(made)
            if new := [p.name for p in staged.packages if p.before == ABSENT]:
                rehearsed = replace(rehearsed, sensitive={**rehearsed.sensitive, INSTALL: new})
            self._held, self._rehearsed = wanted, rehearsed
        try:
            # Classes that the order names are for the kernel to allow, and not for this host.
            self._rehearsed.refuse(staged.named.classes if staged.named else self._allowed)
        except TransactionDiffers:
            self.forget()
            raise
        found = self._rehearsed
        if not found.foreseen.does(staged.named):
            # The kernel refuses it; what the host may do by then is rehearsed anew.
            self.forget()
        return found

    def upgrade(self, staged: Staged, argv: Sequence[str], env: Mapping[str, str]) -> str:
        """Do exactly what was rehearsed; give what a report shall say of it."""
        rehearsed = self.preview(staged, argv, env)
        rehearsed.foreseen.demand(staged.named)
        try:
            with self._family.locked():
                note = {"packages": [[p.name, p.before, p.after] for p in staged.packages],
                        "artefacts": [p.sha256 for p in staged.packages]}  # fmt: skip
                number = self._transaction.commit(rehearsed, note)
        except Drifted as error:
            raise TransactionDiffers(str(error), error.paths) from error
        finally:
            self.forget()
        asked = f"; scripts asked for {', '.join(rehearsed.asked)}" if rehearsed.asked else ""
        live = f"; live in {', '.join(rehearsed.live.folders)}" if rehearsed.live else ""
        return f"effects {rehearsed.digest}, transaction {number}{live}{asked}"

    def number(self, staged: Staged) -> str:
        """Give the transaction in force that an undo of these packages reverses, or nothing."""
        back = sorted([p.name, p.after, p.before] for p in staged.packages)

        def matches(note: Json) -> bool:
            return sorted(note["packages"]) == back

        return self._transaction.find(matches)

    def preview_undo(self, number: str) -> Foreseen:
        """Raise `TransactionDiffers` if the host drifted; give what the upgrade did."""
        if drifted := self._transaction.drift(number):
            raise TransactionDiffers(
                f"{len(drifted)} paths changed since the change, so it cannot be undone: "
                f"{', '.join(drifted[:5])}; plan a change instead",
                drifted,
            )
        self._spare_kernel(number)
        return self._did(number)

    def _spare_kernel(self, number: str) -> None:
        """Refuse to take away what the kernel that runs was booted from, or loads modules from."""
        if gone := [path for path in self._transaction.made(number) if runs_from(path)]:
            raise TransactionDiffers(
                f"this host runs the kernel that would go, {gone[0]}; boot the one before, then "
                "undo",
                gone,
            )

    def _did(self, number: str) -> Foreseen:
        note = self._transaction.note(number)
        return Foreseen(note["digest"], dict.fromkeys(note["sensitive"], ()))

    def undo(self, number: str, named: Foreseen | None = None) -> str:
        """Go back by the journal; give what a report shall say of it.

        Args:
            named: what the order says that the upgrade did.
        """
        self._did(number).demand(named)
        self._spare_kernel(number)
        try:
            with self._family.locked():
                note = self._transaction.undo(number)
        except Drifted as error:
            raise TransactionDiffers(str(error), error.paths) from error
        return f"effects {note['digest']} undone, transaction {number}"

    def repair(self) -> None:
        """Mend what was torn.

        Raises:
            DriverFailed: some paths were changed by somebody else since; all others are mended.
        """
        left = [path for repaired in self._transaction.repair() for path in repaired.left]
        if left:
            raise DriverFailed(
                f"a torn change was brought back, but {', '.join(left[:5])} had changed since; "
                "look at them"
            )

    def forget(self) -> None:
        """Throw the rehearsal away."""
        self._rehearsed = None
        self._stack.close()


def runs_from(path: str, release: str = "") -> bool:
    """Tell whether a kernel's release (the running one's) was booted from a path, or needs it."""
    release = release or os.uname().release
    folders = (f"/lib/modules/{release}", f"/usr/lib/modules/{release}")
    boot = (f"/boot/vmlinuz-{release}", f"/boot/initrd.img-{release}")
    return path in boot or f"{path}/".startswith(tuple(f"{folder}/" for folder in folders))


def _sandbox(kind: object) -> type[Sandbox]:
    if kind not in SANDBOXES:
        raise TypeError(f"`sandbox` of `transaction` is {' or '.join(SANDBOXES)}")
    if kind == "bubblewrap":
        return Sandbox
    # Only where it is used: a host keeps its memory for its work.
    from answerable.host.confine.gvisor import Gvisor  # noqa: PLC0415

    return Gvisor


def _why(done: Ran) -> str:
    return last_lines(done.output, 6) or f"exit {done.code}" if done.code else ""
