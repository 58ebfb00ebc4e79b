"""An agent's own directory, and the agent put together from what lies in it.

    settings.json    the operator's settings (settings.py)
    charter.note     the charter that the host was given; the log must come to it or to a later one
    key              the host's private key, mode 0600
    record.json      the record that is to be enrolled; enrolled.json: its proof
    log/             the followed log (state.py)
    journal          what was begun and how it ended (journal.py)
    reboot.json      the reboot that was last asked for (reboot.py)
    refusals.json    refusals reported, or about to be (report.py)
    bundles/         bundles by digest (shelf.py)
    snapshots/       versions before a change, one file a snapshot
    driver/          the package driver's own; services/: the service tool's
    status.json      the last pass, for `status`
    retention.json   what an undo still needs, and until when it is kept (retention.py)
    lock             held while an agent runs

The directory must lie outside of everything that is ever restored: a snapshot that held it would
forget what this host has done. Nothing here reads a clock or makes randomness: both are given.
"""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import NamedTuple

from answerable.host.actions.act import Actions, Tools, fetch_from
from answerable.host.actions.reboot import Machine
from answerable.host.agent import Agent, Parts
from answerable.host.competing import find, refusal
from answerable.host.enrol import read_charter, read_proof
from answerable.host.files import HomeUnavailable, check_private, make_private, read_file
from answerable.host.judge import Identity, Judge
from answerable.host.log.follow import Follower
from answerable.host.log.fresh import Guards
from answerable.host.log.state import LogState
from answerable.host.network.client import Client
from answerable.host.records.inventory import Census
from answerable.host.records.journal import Journal
from answerable.host.records.report import Outbox, Refusals
from answerable.host.retention import DAYS, LIMIT, Folder, Keeper, Retention
from answerable.host.services.service import Check, SystemdServices, try_once
from answerable.host.settings import (
    Settings,
    make_driver,
    make_services,
    make_snapshots,
    read_settings,
)
from answerable.host.shelf import Shelf
from answerable.host.snapshot.port import Snapshots
from answerable.keys.sign import Signer
from answerable.keys.store import load_key

ONE_PROCESS = "none: one process has network and host"
"""What status says of agentd where there is none."""


class World(NamedTuple):
    """What an agent must be given: boot-time clock (seconds), nonces (32 hex), a way to wait."""

    clock: Callable[[], float]
    nonce: Callable[[], str]
    sleep: Callable[[float], None]


class Home:
    """An agent's directory, opened.

    Raises:
        HomeUnavailable, KeyUnavailable: it is missing, open to others, or broken.
        Refused: its charter is none.
    """

    def __init__(self, directory: Path, world: World) -> None:
        check_private(directory, "700")
        check_private(directory / "key", "600")
        self.directory, self.world = directory, world
        self.settings: Settings = read_settings(directory / "settings.json")
        self.client, self.ask, self.confinement = _way(self.settings.agentd)
        self.pinned = read_file(directory / "charter.note")
        charter, self.fleet = read_charter(self.pinned)
        self.signer: Signer = load_key(directory / "key")
        self.kept = LogState(directory / "log", self.fleet)
        log = f"{self.settings.log}/authority" if self.settings.log else ""
        self.follower = Follower(
            self.client, self.kept, self.pinned, world.clock, log, self.settings.guards
        )
        self.charter = self.kept.state.charter or charter

    def identity(self) -> Identity:
        """Give who this host is.

        Raises:
            HomeUnavailable: it is not enrolled yet.
        """
        path = self.directory / "enrolled.json"
        if not path.exists():
            raise HomeUnavailable(
                f"`{self.directory}` is not enrolled: let people sign its record, then give its "
                "proof with `enrol --proof FILE`"
            )
        return Identity(read_proof(path), self.signer, self.settings.zones)

    def tools(self) -> Tools:
        """Make the tools that the settings name."""
        services = make_services(self.settings, self.directory / "services", self.world.sleep)
        reboot = services.reboot if isinstance(services, SystemdServices) else None
        return Tools(
            make_driver(self.settings, self.directory / "driver"),
            services,
            self.settings.checks,
            self._competing,
            self.ask,
            Machine(self.directory / "reboot.json", self.world.clock, reboot),
            self._snapshots(),
        )

    def _snapshots(self) -> Snapshots | None:
        return make_snapshots(self.settings, self.directory)

    def _competing(self) -> str:
        # Whatever updates the system's packages leaves an environment of Python's alone.
        apart = self.settings.driver.get("kind") == "venv"
        return "" if apart else refusal(find(Path("/")), self.settings.competing)

    def census(self) -> Census:
        """Give what tells the control plane what is installed here."""
        given = self.settings
        return Census(self.client, given.control, self.signer, self.fleet, given.inventory)

    def retention(self) -> Retention:
        """Give what throws away what no undo needs any more."""
        path, keep = self.directory / "retention.json", self.settings.keep
        days, limit = keep.get("days", DAYS), keep.get("bytes", LIMIT)
        return Retention(path, self._keepers, days, limit)

    def _keepers(self) -> list[Keeper]:
        place = self.directory
        found: list[Keeper] = [Folder("package", place / "driver/artefacts")]
        found.append(Folder("versions", place / "snapshots"))
        if snapshots := self._snapshots():
            found.append(snapshots)
        if (place / "driver/transactions").is_dir():
            # Only where it is used: a host keeps its memory for its work.
            from answerable.host.transaction.kept import Journals  # noqa: PLC0415

            found.append(Journals(place / "driver/transactions"))
        return found

    def agent(self, tools: Tools, patience: int) -> Agent:
        """Put the agent together; it acts through `tools`."""
        me, world, place = self.identity(), self.world, self.directory
        journal = Journal(place / "journal")
        refusals = Refusals(place / "refusals.json", world.clock)
        guards = Guards(self.client, world.clock, world.nonce)
        judge = Judge(me, self.kept, self.follower, guards, journal, world.clock)
        make_private(place / "snapshots")
        control = self.settings.control
        fetch = fetch_from(self.client, f"{control}/artefacts")
        actions = Actions(tools, fetch, place / "snapshots", world.sleep)
        shelf = Shelf(place / "bundles", self.client, control, self.signer.key.name)
        report_log = f"{self.settings.log}/report"
        outbox = Outbox(self.client, report_log, self.signer, (journal, refusals))
        parts = Parts(me, judge, shelf, journal, refusals, outbox, actions)
        return Agent(parts, world.clock, patience, self.settings.retry)


def opened(directory: Path, world: World) -> Home:
    """Open an agent's directory; where agentd has the network, leave it for good.

    Raises:
        HomeUnavailable: also if the network cannot be left.
    """
    home = Home(directory, world)
    if home.settings.agentd:
        # Only where it is used: a host keeps its memory for its work.
        from answerable.host.network.through import alone  # noqa: PLC0415

        alone()
    return home


def _way(
    agentd: Mapping[str, str],
) -> tuple[Client, Callable[[Check], str], Callable[[], str]]:
    if not agentd:
        return Client(), try_once, lambda: ONE_PROCESS
    from answerable.host.network.through import Through  # noqa: PLC0415

    client = Through(Path(agentd["socket"]), agentd["user"])
    return client, client.check, client.confinement
