"""What a control plane knows when it ranks, beside the exposures.

    <directory>/worlds/            what the world says of flaws, as `feed sync` makes it
    <directory>/models/<sha256>    models; only the released one is loaded (models.py)

and from the settings `weights` (zone -> points) and `public` (zone -> whether its hosts can be
reached from public networks). Each may be missing: the ranking then says what it lacks.
"""

from collections.abc import Iterable
from dataclasses import replace
from typing import TypeVar

import httpx

from answerable.bootstrap import models
from answerable.bootstrap.follow import Logs
from answerable.config import NotConfigured, Party
from answerable.exposure import beliefs
from answerable.exposure.match import Exposure
from answerable.exposure.rank import Context
from answerable.feeds.world import Worlds

Kind = TypeVar("Kind", int, bool)


def context(
    party: Party, logs: Logs, client: httpx.Client, found: Iterable[Exposure], now: int
) -> tuple[Context, tuple[str, ...]]:
    """Give what ranking knows at POSIX second `now`, and in words what it lacks.

    Raises:
        NotConfigured: a setting of another shape.
        Unusable: the newest world is damaged.
    """
    known = Context(now, _zones(party, "weights", int), _zones(party, "public", bool))
    place = party.directory / "worlds"
    world = Worlds(place).newest() if place.is_dir() else None
    if world is None:
        why = "no world was made, so only released facts are weighed"
        return replace(known, without=why), (f"{why}; see `answerable feed sync`",)
    cves = frozenset(cve for each in found for cve in each.advisory.cves)
    served = models.served(party, logs, client)
    told = replace(
        known, flaws=beliefs.believed(world.folder, cves, now), listed=beliefs.listed(world.folder),
        model=served.model, without=served.why,
    )  # fmt: skip
    if served.model is None:
        return told, (f"ranked by rules alone: {served.why}",)
    return replace(told, listings=beliefs.listings(world.folder, now)), ()


def _zones(party: Party, name: str, kind: type[Kind]) -> dict[str, Kind]:
    said = party.settings.get(name, {})
    if not isinstance(said, dict) or not all(type(value) is kind for value in said.values()):
        raise NotConfigured(f"the setting `{name}` gives each zone a {kind.__name__}")
    return said
