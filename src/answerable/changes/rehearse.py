"""The port to clones: what each upgrade would do to a host's files, found before anybody is told.

Rules:

1. Each host's upgrades are rehearsed in their order on a clone of its kind; equal hosts, by what is
   asked of them, get equal answers.
2. `Rehearsed` goes into the order, whose host refuses any other effects. `Unfit` is escalated with
   its reason and is left out; the upgrades behind it were rehearsed without it.
3. `Unrehearsed` goes into the order without effects: there is no clone of that kind.

The adapter is bootstrap's (rehearsing.py). Left out: what effects are (docs/spec/effects.md).
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass


@dataclass(frozen=True)
class Move:
    """One package of an upgrade: the versions around it, the hash of what is installed."""

    name: str
    before: str
    after: str
    sha256: str


@dataclass(frozen=True)
class Upgrade:
    """One upgrade: packages of one ecosystem that move at once."""

    ecosystem: str
    moves: tuple[Move, ...]


@dataclass(frozen=True)
class Asked:
    """What is to be rehearsed for one host.

    Args:
        classes: of sensitive effects, that its authorization names; None where people decide.
    """

    host: str
    upgrades: tuple[Upgrade, ...]
    classes: frozenset[str] | None


@dataclass(frozen=True)
class Rehearsed:
    """The hash of an upgrade's effects, hex, and their sensitive classes, sorted."""

    effects: str
    classes: tuple[str, ...]


@dataclass(frozen=True)
class Unfit:
    """The upgrade must not be planned, and why, with the paths that are the reason."""

    reason: str


@dataclass(frozen=True)
class Unrehearsed:
    """There is no clone for it."""


Outcome = Rehearsed | Unfit | Unrehearsed
Rehearse = Callable[[Iterable[Asked]], Mapping[str, Sequence[Outcome]]]
"""Hosts' upgrades -> by host, one outcome for each of its upgrades."""


def no_clone(asked: Iterable[Asked]) -> Mapping[str, Sequence[Outcome]]:
    """Rehearse nothing: a fleet without clones."""
    return {each.host: [Unrehearsed()] * len(each.upgrades) for each in asked}
