"""The settings of one host, from its own file; nothing here ever comes from an order.

    {"checks":{"web":{"url":"http://127.0.0.1:8080/"}},
     "control":"https://control.example","log":"https://log.example",
     "driver":{"kind":"apt","ecosystem":"debian:12"},
     "services":{"kind":"systemd"},
     "guards":{"g1":"https://g1.example"},"poll":5,"retry":60,"inventory":900,"zones":["web"]}

`driver` is also `{"kind":"venv","path":"/srv/app"}`, or of kind `rpm` with an `ecosystem` like
`rocky:9`; apt takes, and rpm needs, `"transaction":{"allow":[..]}`, which makes each change an
effect-verified transaction (docs/spec/effects.md). `services`
also `initd`, or `{"kind":"pidfile","units":{"app":["/srv/app/bin/serve"]}}`. `guards` holds
addresses that differ from the charter's, `zones` what the host adds to its record. `poll`: seconds
between two looks at the control plane; `retry`: seconds after which what was refused is asked
again; `inventory`: seconds between two inventories (inventory.py), none if 0; `competing`: what to
do about other updaters, `refuse`, `own` or `report` (competing.py); `keep`: for how long an undo
stays possible, `{"days":35,"bytes":8589934592}` (retention.py); `snapshots`: of the file system,
`{"kind":"btrfs","subvolume":"/","into":"/.snapshots"}` (snapshot/). Members may be left out; one
that is not known is an error, since a misspelt rule would be no rule.

`"agentd":{"socket":"/run/answerable-agentd/socket","user":"answerable-agentd"}` makes the agent
applyd: it leaves the network, and asks servers through agentd (through.py).
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from answerable.host.competing import RULES
from answerable.host.driver import Driver
from answerable.host.files import HomeUnavailable, make_private, read_json
from answerable.host.retention import DAYS, LIMIT
from answerable.host.services.service import Check, Services, read_checks
from answerable.host.snapshot.port import Snapshots

POLL, RETRY, INVENTORY = 5, 60, 900
"""Seconds, unless the settings say otherwise."""


@dataclass(frozen=True)
class Settings:
    """What the operator of a host sets."""

    control: str = ""
    log: str = ""
    guards: Mapping[str, str] = field(default_factory=dict)
    zones: frozenset[str] = frozenset()
    poll: float = POLL
    retry: int = RETRY
    inventory: int = INVENTORY
    driver: Mapping[str, Any] = field(default_factory=dict)
    services: Mapping[str, Any] = field(default_factory=dict)
    checks: Mapping[str, Check] = field(default_factory=dict)
    competing: str = "refuse"
    keep: Mapping[str, int] = field(default_factory=dict)
    snapshots: Mapping[str, Any] = field(default_factory=dict)
    agentd: Mapping[str, str] = field(default_factory=dict)


_KINDS: Mapping[str, type | tuple[type, ...]] = {
    "control": str, "log": str, "guards": dict, "zones": list, "poll": (int, float), "retry": int,
    "inventory": int, "driver": dict, "services": dict, "checks": dict, "competing": str,
    "keep": dict, "snapshots": dict,
    "agentd": dict,
}  # fmt: skip


def read_settings(path: Path) -> Settings:
    """Read a file of settings.

    Raises:
        HomeUnavailable: it is not there, or says something that is not known.
        ServiceFailed: a health check is no check.
    """
    given = read_json(path)
    if not isinstance(given, dict):
        raise HomeUnavailable(f"`{path}` is no object of settings; see docs/spec/host.md")
    for name, value in given.items():
        if name not in _KINDS or not isinstance(value, _KINDS[name]) or value is True:
            raise HomeUnavailable(f"`{path}`: `{name}` is no setting; see docs/spec/host.md")
    if given.get("competing", "refuse") not in RULES:
        raise HomeUnavailable(f"`{path}`: `competing` is one of {', '.join(RULES)}")
    if "agentd" in given:
        _check_split(path, given["agentd"], given.get("services", {}))
    more = dict(given)
    if "keep" in more:
        more["keep"] = _keep(path, more["keep"])
    if "zones" in more:
        more["zones"] = frozenset(map(str, more["zones"]))
    if "checks" in more:
        more["checks"] = read_checks(more["checks"])
    return Settings(**more)


def _check_split(path: Path, agentd: Mapping[str, Any], services: Mapping[str, Any]) -> None:
    if set(agentd) != {"socket", "user"} or not all(isinstance(v, str) for v in agentd.values()):
        raise HomeUnavailable(f"`{path}`: `agentd` has socket and user; see docs/spec/host.md")
    if services.get("kind") != "systemd":
        raise HomeUnavailable(
            f"`{path}`: with `agentd`, services are of kind `systemd`: what applyd started itself "
            "would have no network"
        )


def _keep(path: Path, given: Mapping[str, Any]) -> dict[str, int]:
    known = {"days": DAYS, "bytes": LIMIT}
    if given.keys() - known or not all(type(n) is int and n > 0 for n in given.values()):
        raise HomeUnavailable(f"`{path}`: `keep` has `days` and `bytes`, whole numbers above 0")
    return known | dict(given)


def make_driver(settings: Settings, state: Path) -> Driver | None:
    """Make the package driver that the settings name, with `state` as its own directory.

    Raises:
        HomeUnavailable: it is none that this agent has.
    """
    # Each adapter is loaded only where it is used: a host keeps its memory for its work.
    given = dict(settings.driver)
    if not given:
        return None
    make_private(state)
    kind = given.pop("kind", "")
    try:
        if kind == "apt":
            from answerable.host.drivers.apt import AptDriver  # noqa: PLC0415

            return AptDriver(state, hidden=(state.parent,), **given)
        if kind == "rpm":
            from answerable.host.drivers.rpm import RpmDriver  # noqa: PLC0415

            return RpmDriver(state, hidden=(state.parent,), **given)
        if kind == "venv":
            from answerable.host.drivers.venv import VenvDriver  # noqa: PLC0415

            return VenvDriver(Path(given.pop("path")), state, **given)
    except (TypeError, KeyError) as error:
        raise HomeUnavailable(f"the driver `{kind}` has other settings: {error}") from error
    raise HomeUnavailable(f"`{kind}` is no package driver; it is `apt`, `rpm` or `venv`")


def make_snapshots(settings: Settings, state: Path) -> Snapshots | None:
    """Make the driver of snapshots that the settings name, none if they name none.

    Args:
        state: the agent's own directory, which no snapshot may hold.

    Raises:
        HomeUnavailable: it is none that this agent has.
    """
    given = dict(settings.snapshots)
    if not given:
        return None
    kind = given.pop("kind", "")
    try:
        if kind == "btrfs":
            from answerable.host.snapshot.btrfs import Btrfs  # noqa: PLC0415

            return Btrfs(state, **given)
        if kind == "overlay":
            from answerable.host.snapshot.overlay import Overlay  # noqa: PLC0415

            return Overlay(state, **given)
        if kind == "lvm":
            from answerable.host.snapshot.lvm import Lvm  # noqa: PLC0415

            return Lvm(state, room=given.pop("bytes"), **given)
    except (TypeError, KeyError) as error:
        raise HomeUnavailable(f"the snapshots `{kind}` have other settings: {error}") from error
    raise HomeUnavailable(f"`{kind}` makes no snapshots; it is `btrfs`, `overlay` or `lvm`")


def make_services(settings: Settings, state: Path, sleep: Callable[[float], None]) -> Services:
    """Make the service tool that the settings name, `initd` if none.

    Raises:
        HomeUnavailable: it is none that this agent has.
    """
    from answerable.host.services import service  # noqa: PLC0415

    make_private(state)
    given = dict(settings.services)
    kind = given.pop("kind", "initd")
    if kind == "initd" and not given:
        return service.InitdServices(state)
    if kind == "systemd" and not given:
        return service.SystemdServices(state)
    units = given.pop("units", {})
    if kind != "pidfile" or given or not isinstance(units, dict):
        raise HomeUnavailable(f"`{kind}` is no service tool; it is initd, systemd or pidfile")
    argv = {str(name): tuple(map(str, words)) for name, words in units.items()}
    return service.PidfileServices(state, argv, sleep)
