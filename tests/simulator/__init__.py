"""Fleet, logs, guards, people and adversary in memory, on the real kernel and real signatures.

`world.Simulator` plays the protocol; `constitution` holds what is signed; `keys` everybody's fixed
keys; `log` checkpoints and paths. Left out: processes, sockets, files.
"""

from tests.simulator.constitution import DAY, FACTS, GUARDS, HOUR, NEW, OLD, RINGS, T0, WEEK
from tests.simulator.world import TOLD, Member, Order, Simulator

__all__ = [
    "DAY",
    "FACTS",
    "GUARDS",
    "HOUR",
    "NEW",
    "OLD",
    "RINGS",
    "T0",
    "TOLD",
    "WEEK",
    "Member",
    "Order",
    "Simulator",
]
