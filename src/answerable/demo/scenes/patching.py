"""Scenes 2 to 4: updates arrive, are attested, planned, noticed, and rolled out ring by ring."""

from answerable.demo.scenes.cast import Cast
from answerable.demo.scenes.hosts import Agents
from answerable.demo.scenes.watch import Watch


def play(cast: Cast, agents: Agents, watch: Watch) -> None:
    """Patch."""
