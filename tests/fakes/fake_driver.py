"""A package tool in files: real artefacts, real hashes, and a count of what it did.

`packages.json` is what is installed, `applied.log` one line a package that was moved: what is moved
twice is there twice. `pause` is called at each step with its name, so that a test can kill the
process there. Services are files too.
"""

import json
import os
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from answerable.host.driver import (
    DriverFailed,
    Fetch,
    Foreseen,
    Journal,
    Package,
    Present,
    Staged,
    Store,
    TransactionDiffers,
)
from answerable.host.services.service import ServiceFailed
from answerable.host.services.stale import Need


def no_pause(_: str) -> None:
    """Go on."""


class FakeDriver:
    """Conforms to `driver.Driver`; ecosystem `debian:12`."""

    ecosystem = "debian:12"

    def __init__(self, place: Path, pause: Callable[[str], None] = no_pause) -> None:
        place.mkdir(mode=0o700, parents=True, exist_ok=True)
        self.place, self.pause = place, pause
        self.store, self.journal = Store(place / "artefacts", ".deb"), Journal(place / "torn.json")
        self.broken = ""
        self.foreseen: Foreseen | None = None

    def install(self, packages: Mapping[str, str]) -> None:
        """Say what is installed, without any change being counted."""
        beside = self.place / "packages.part"
        beside.write_text(json.dumps(packages))
        beside.replace(self.place / "packages.json")

    def installed(self) -> dict[str, str]:
        """See the port."""
        path = self.place / "packages.json"
        found: dict[str, str] = json.loads(path.read_text()) if path.exists() else {}
        return found

    def census(self) -> list[Present]:
        """See the port."""
        return [Present(self.ecosystem, n, v, "all", n) for n, v in self.installed().items()]

    @property
    def applied(self) -> list[str]:
        """Every move of a package: `name version`."""
        path = self.place / "applied.log"
        return path.read_text().splitlines() if path.exists() else []

    def stage(self, packages: Sequence[Package], fetch: Fetch) -> Staged:
        """See the port."""
        self.pause("stage")
        files = tuple(self.store.bring(p.sha256, fetch) for p in packages)
        return Staged(tuple(packages), files)

    def preview(self, staged: Staged, *, undo: bool = False) -> Foreseen | None:
        """See the port."""
        del undo
        self.pause("preview")
        have = self.installed()
        for p in staged.packages:
            if have.get(p.name) not in (p.before, p.after):
                raise TransactionDiffers(f"`{p.name}` is at `{have.get(p.name)}`")
        return self.foreseen

    def upgrade(self, staged: Staged) -> str:
        """See the port."""
        self._move(staged)
        return ""

    def undo(self, staged: Staged) -> str:
        """See the port."""
        self._move(staged, undo=True)
        return ""

    def recover(self) -> tuple[Package, ...]:
        """See the port."""
        self.pause("recover")
        packages, _ = self.journal.read()
        have = self.installed()
        if packages and any(have.get(p.name) != p.before for p in packages):
            self._apply(packages)
        self.journal.end()
        return packages

    def _move(self, staged: Staged, *, undo: bool = False) -> None:
        self.preview(staged, undo=undo)
        if self.broken:
            raise DriverFailed(self.broken)
        self.store.check(staged)
        self.journal.begin(staged.packages)
        self.pause("begun")
        self._apply(staged.packages)
        self.journal.end()
        self.pause("moved")

    def _apply(self, packages: Sequence[Package]) -> None:
        for package in packages:
            have = self.installed()
            if have.get(package.name) != package.after:
                with (self.place / "applied.log").open("a") as log:
                    log.write(f"{package.name} {package.after}\n")
                self.install({**have, package.name: package.after})
            self.pause("package")


class FakeServices:
    """Conforms to `service.Services`; a restart is a line in a file."""

    def __init__(self, place: Path, pause: Callable[[str], None] = no_pause) -> None:
        self.place, self.pause, self.broken = place, pause, ""
        self.need: Need | None = None

    @property
    def restarted(self) -> list[str]:
        """Every restart of a unit."""
        path = self.place / "restarted.log"
        return path.read_text().splitlines() if path.exists() else []

    def restart(self, unit: str) -> None:
        """See the port."""
        self.pause("restart")
        if self.broken:
            raise ServiceFailed(self.broken)
        descriptor = os.open(
            self.place / "restarted.log", os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600
        )
        os.write(descriptor, f"{unit}\n".encode())
        os.close(descriptor)
        self.pause("restarted")

    def running(self, unit: str) -> bool:
        """See the port."""
        return unit in self.restarted

    def in_need(self) -> Need | None:
        """See the port; `need` is for tests to set."""
        return self.need
