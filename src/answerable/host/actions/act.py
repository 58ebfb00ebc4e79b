"""Typed actions of one change, each done by the host's own tools: `Actions.act`.

| type | what is done |
|---|---|
| `snapshot` | the versions installed now are written down; what an undo needs is here by then |
| | and the file system is snapshotted, if the settings name a kind (snapshot/port.py) |
| `upgrade`, `undo` | exactly the named packages, through the package driver |
| `restart` | one unit, by the host's service tool, if it is in need of it (restarts.py) |
| `health` | one check of the host's own settings, until it passes or its time is over |
| `reboot` | this host, once (reboot.py): `leave`, and later `back` tells how it ended |

Rules:
* `prepare` brings artefacts here and lets the package tool preview; it changes nothing, and is
  called before an action is begun, so that what cannot be done is never begun;
* a failure of a tool is a result with its reason, never an exception;
* whether an action that was torn by a kill is done is looked up (`found`), not remembered.

Left out: bringing a snapshot of a file system back, which is a person's act.
"""

from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import BinaryIO, Literal, NamedTuple, cast

from answerable.host.actions.reboot import REQUIRED, Machine, only_health_after
from answerable.host.actions.restarts import ineffective, restart_in_need
from answerable.host.driver import (
    ARTEFACT_LIMIT,
    ArtefactDiffers,
    Driver,
    DriverFailed,
    Fetch,
    Foreseen,
    Package,
    Staged,
    TransactionDiffers,
)
from answerable.host.files import write_file
from answerable.host.network.client import Client
from answerable.host.records.report import Ended
from answerable.host.services.service import Check, Services, health, try_once
from answerable.host.snapshot.port import Snapshots
from answerable.host.versions import ABSENT
from answerable.kernel.canon import Json, encode

DOWNLOAD_SECONDS = 1800
"""Longest that one artefact may take to arrive."""
Found = Literal["done", "untouched", "between"]


class CannotDo(DriverFailed):
    """This host has no tool for a change; nothing was begun."""

    reason = "action_not_allowed"


class Competing(CannotDo):
    """Another program changes this host's packages by itself; nothing was begun."""

    reason = "competing_updater"


class Tools(NamedTuple):
    """What acts on this host: package driver, service tool, checks by name.

    `competing` gives why no upgrade may begin, nothing if it may (competing.py); `ask` tries a
    health check once; `machine` reboots; `snapshots` are of the file system, if there are any.
    """

    driver: Driver | None
    services: Services
    checks: Mapping[str, Check]
    competing: Callable[[], str] = str
    ask: Callable[[Check], str] = try_once
    machine: Machine | None = None
    snapshots: Snapshots | None = None


def fetch_from(client: Client, base: str) -> Fetch:
    """Give a fetch of artefacts from `<base>/<sha256>`."""

    def fetch(sha256: str) -> BinaryIO:
        url = f"{base.rstrip('/')}/{sha256}"
        body = client.stream(url, ARTEFACT_LIMIT, seconds=DOWNLOAD_SECONDS)
        return cast("BinaryIO", body)

    return fetch


def packages_of(change: Json) -> list[Package]:
    """Give the packages of an upgrade or undo, none for other changes."""
    return [Package(p["name"], p["from"], p["to"], p["sha256"]) for p in change.get("packages", ())]


def named_in(change: Json) -> Foreseen | None:
    """Give what an order says that an upgrade or undo does to files, if it says it."""
    if "effects" not in change:
        return None
    return Foreseen(change["effects"], dict.fromkeys(change["classes"], ()))


class Actions:
    """Does typed actions, and looks up what is installed.

    Args:
        tools: what acts.
        fetch: where artefacts come from.
        notes: directory of the snapshots' notes.
        sleep: waits that many seconds between tries of a health check.
    """

    def __init__(
        self, tools: Tools, fetch: Fetch, notes: Path, sleep: Callable[[float], None]
    ) -> None:
        self._tools, self._fetch, self._notes, self._sleep = tools, fetch, notes, sleep

    def installed(self, change: Json = None) -> dict[str, str]:
        """Give `<ecosystem>/<package>` -> version, `ABSENT` of what a change names beside them."""
        driver, have = self._tools.driver, dict[str, str]()
        if driver is None:
            return {}
        for package in packages_of(change or {}):
            have[f"{change['ecosystem']}/{package.name}"] = ABSENT
        return have | {f"{driver.ecosystem}/{n}": v for n, v in driver.installed().items()}

    def recover(self) -> None:
        """Let the package tool finish what a kill has torn."""
        if self._tools.driver:
            self._tools.driver.recover()

    def prepare(self, order: Json, change: Json) -> Staged:
        """Bring everything here that a change needs, and preview it.

        Raises:
            ArtefactDiffers, TransactionDiffers, DriverFailed, HttpUnavailable: it cannot be done as
                it is now; nothing was changed.
        """
        kind = change["type"]
        if kind == "reboot":
            self._may_reboot(order, change)
        if kind == "health" and change["check"] not in self._tools.checks:
            raise CannotDo(f"no health check `{change['check']}` in the settings; add it")
        if kind == "snapshot":
            for one in order["undo"]:
                if packages := packages_of(one):
                    self._driver(one).stage(packages, self._fetch)
            self._may_snapshot()
        packages = packages_of(change)
        if not packages:
            return Staged((), ())
        driver = self._driver(change)
        # An undo goes on: what it brings back is worse left as it is.
        if kind == "upgrade" and (why := self._tools.competing()):
            raise Competing(why)
        staged = replace(driver.stage(packages, self._fetch), named=named_in(change))
        return replace(staged, foreseen=driver.preview(staged, undo=kind == "undo"))

    def _may_snapshot(self) -> None:
        try:
            if self._tools.snapshots:
                self._tools.snapshots.ready()
        except DriverFailed as error:
            raise CannotDo(f"no snapshot can be taken: {error}") from error

    def _may_reboot(self, order: Json, change: Json) -> None:
        machine = self._tools.machine
        if machine is None or not machine.able:
            raise CannotDo("this host cannot reboot itself; leave it out of the plan")
        if not only_health_after(order, change):
            raise CannotDo("only health checks may follow a reboot; order restarts before it")

    def back(self, name: str) -> Ended | None:
        """Tell how a reboot ended that was asked for; None while the machine goes down.

        Raises:
            LookupError: it was not asked for.
        """
        machine = self._tools.machine
        left = machine.left(name) if machine else None
        if machine is None or left is None:
            raise LookupError(name)
        return machine.back(left)

    def leave(self, name: str) -> Ended | None:
        """Ask for a reboot, now; None if it was asked for, and `back` will tell how it ended."""
        machine = self._tools.machine
        assert machine, "prepare refuses where nobody can reboot"
        try:
            machine.leave(name)
        except DriverFailed as error:
            return Ended("failed", "reboot", str(error))
        return None

    def act(self, name: str, change: Json, staged: Staged) -> Ended:
        """Do any other change, now; `name` is of the file that a snapshot writes."""
        kind = change["type"]
        try:
            if kind == "snapshot":
                write_file(self._notes / f"{name}.json", encode(self.installed()).encode())
                taken = self._tools.snapshots.take(name) if self._tools.snapshots else ""
                return Ended("succeeded", "", taken)
            if kind == "restart":
                return restart_in_need(self._tools.services, change["unit"])
            if kind == "health":
                why = health(self._tools.checks[change["check"]], self._sleep, self._tools.ask)
                return Ended("failed", "health", why) if why else Ended("succeeded")
            return self._move(change, staged)
        except DriverFailed as error:
            return Ended("failed", _REASONS.get(kind, "tool"), str(error))

    def found(self, change: Json) -> Found:
        """Tell what is there of a change that moves packages; other changes leave no trace."""
        have, packages = self._versions(change), packages_of(change)
        if packages and all(have.get(p.name, ABSENT) == p.after for p in packages):
            return "done"
        untouched = all(have.get(p.name, ABSENT) == p.before for p in packages)
        return "untouched" if untouched else "between"

    def _move(self, change: Json, staged: Staged) -> Ended:
        driver = self._driver(change)
        trouble = said = ""
        try:
            said = (driver.undo if change["type"] == "undo" else driver.upgrade)(staged)
        except TransactionDiffers as error:
            trouble, reason = str(error), "transaction_differs"
        except ArtefactDiffers as error:
            trouble, reason = str(error), "artefact_swapped"
        except DriverFailed as error:
            trouble, reason = str(error), "tool"
        have = self._versions(change)
        if trouble:
            return Ended("failed", reason, trouble, have)
        here = packages_of(change)
        left = sorted(p.name for p in here if have.get(p.name, ABSENT) != p.after)
        if left:
            return Ended("failed", "tool", f"{', '.join(left)} not at the named version", have)
        needed = self._tools.machine.needed() if self._tools.machine else []
        told = [said, ineffective(self._tools.services.in_need()), *needed]
        return Ended("succeeded", REQUIRED if needed else "", "; ".join(filter(None, told)), have)

    def observed(self, change: Json) -> dict[str, str]:
        """Give the versions of a change's packages that are installed now."""
        return self._versions(change)

    def _versions(self, change: Json) -> dict[str, str]:
        names = {p.name for p in packages_of(change)}
        if not names:
            return {}
        return {n: v for n, v in self._driver(change).installed().items() if n in names}

    def _driver(self, change: Json) -> Driver:
        driver, wanted = self._tools.driver, change["ecosystem"]
        if driver is None or driver.ecosystem != wanted:
            raise CannotDo(f"this host has no driver for `{wanted}`; name it in the settings")
        return driver


_REASONS = {"restart": "service"}
