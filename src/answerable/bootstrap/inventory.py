"""The fleet as it is known, and what is entered into it from sources that people name.

Only the host itself (inbox.py), or the control plane's own look at its root (planning.py), says
what is on an enrolled host: a document or table that bears such a host's name is refused, since
anybody can write one.
"""

from collections.abc import Iterable, Iterator
from typing import Any

from answerable.bootstrap.follow import read_hosts
from answerable.bootstrap.sources import Read
from answerable.config import NotConfigured, Party
from answerable.exposure import keys
from answerable.inventory.fleet import Fleet
from answerable.inventory.installed import Gap, Inventory

SILENCE = 86_400
"""After so long without news a host is unknown, seconds, unless the settings say otherwise."""


def open_fleet(party: Party) -> Fleet:
    """Open a control plane's store of what is on the hosts; close it after use."""
    return Fleet(party.directory / "fleet.db", keys.places)


def enter(party: Party, reads: Iterable[Read]) -> Iterator[tuple[Read, bool]]:
    """Put what was read into the fleet's store; give each, and whether it was news.

    Raises:
        NotConfigured: one bears the name of an enrolled host.
    """
    own, todo = enrolled(party), list(reads)
    for each in todo:
        if each.inventory.host in own:
            name = each.inventory.host
            raise NotConfigured(f"`{name}` is enrolled and tells for itself: use another name")
    with open_fleet(party) as store:
        known = {host.host: host.seen for host in store.hosts(0, 0)}
        # One transaction for many hosts is ten times faster than one for each.
        store.record_all((each.inventory, each.seen) for each in todo if not each.gaps)
        for each in todo:
            if each.gaps:
                store.record(each.inventory, each.seen, each.gaps)
            yield each, each.seen >= known.get(each.inventory.host, 0)


def hosts(party: Party, now: int) -> list[dict[str, Any]]:
    """List every host that is known by name, with how long ago it was heard of.

    One that is enrolled and was never heard of is listed too: nobody knows it to be fine.
    """
    silence = int(party.settings.get("silence", SILENCE))
    with open_fleet(party) as store:
        rows = [
            {
                "host": h.host, "state": h.state, "seen": h.seen, "age": now - h.seen,
                "packages": len(store.ids(h.host)), "zones": sorted(h.zones), "owner": h.owner,
            }
            for h in store.hosts(now, silence)
        ]  # fmt: skip
    heard = {each["host"] for each in rows}
    rows += [
        {"host": name, "state": "unknown", "seen": 0, "age": now, "packages": 0,
         "zones": sorted(body["zones"]), "owner": ""}
        for name, body in enrolled(party).items() if name not in heard
    ]  # fmt: skip
    return sorted(rows, key=lambda each: str(each["host"]))


def enrolled(party: Party) -> dict[str, Any]:
    """Give the record of every enrolled host that the control plane was told of, by name."""
    records = read_hosts(party.directory / "hosts.json")
    return {str(each.body["host"]): each.body for each in records}


def on_host(party: Party, name: str, now: int) -> tuple[Inventory, tuple[Gap, ...], str]:
    """Give what is on a host, what of it matches nothing, and whether the host is known.

    Raises:
        NotConfigured: nobody ever heard of it.
    """
    with open_fleet(party) as store:
        silence = int(party.settings.get("silence", SILENCE))
        host = next((h for h in store.hosts(now, silence) if h.host == name), None)
        if host is None:
            raise NotConfigured(f"`{name}` was never heard of; see `answerable inventory show`")
        gaps = tuple(gap for gap, those in store.gaps() if host.id in those)
        return store.inventory(host), gaps, host.state
