"""The postures of hosts as this observer last saw them, one file a host.

    <folder>/web1.json   {"sections":{"setuid":{"usr/bin/su":"0:0 4755"},..},"unread":[..]}

Rules:

1. The first look at a host is its first baseline; nothing came before it that could be compared.
2. `weaker` compares with the baseline and `keep` makes the new posture the baseline, as two steps:
   what was found must have been said before it becomes the normal state.
3. What happened between two looks belongs to the change that is looked into: an observer cannot
   know who did it, and nobody else may change a host in that time either.
4. A file that is damaged is no baseline: the host is met anew, and `first` says so once.

Left out: keeping old postures; the report log has what was said of them.
"""

from collections.abc import Callable, Collection, Iterable
from pathlib import Path

from answerable.kernel.canon import conforms, decode, encode
from answerable.kernel.errors import Refused, demand
from answerable.observe.drift import sentence, weaker
from answerable.observe.look import Place, Unseen
from answerable.observe.memory import write
from answerable.observe.posture import SECTIONS, Posture

FILE = 64 << 20
"""Largest baseline that is read, bytes."""
_SHAPE = {"sections": dict.fromkeys(SECTIONS, "any"), "unread": ["any"]}


class Baselines:
    """What each host was like.

    Args:
        folder: made when first needed, mode 0700.
        take: looks at a host's disk; None where there is none. Raises `Unseen`.
    """

    def __init__(self, folder: Path, take: Callable[[Place], Posture | None]) -> None:
        self._folder = folder
        self._take = take
        self._known: dict[str, Posture] = {}
        self._new: dict[str, Posture] = {}
        self._without: set[str] = set()

    def unmet(self, hosts: Iterable[str]) -> list[str]:
        """Name those that were never looked at since this observer runs."""
        return [host for host in hosts if host not in self._known and host not in self._without]

    def first(self, host: str, place: Place) -> None:
        """Look at a host that was never looked at.

        Raises:
            Unseen: if it cannot be looked at, or its baseline is damaged and was taken anew.
        """
        file = self._folder / f"{host}.json"
        damage = ""
        if file.exists():
            try:
                self._known[host] = _read(file)
            except (OSError, Refused) as error:
                damage = f"the baseline `{file}` is damaged ({error}); the host is met anew"
            else:
                return
        self._look(host, place)
        self.keep(host)
        if damage:
            raise Unseen(damage)

    def _look(self, host: str, place: Place) -> Posture | None:
        taken = self._take(place)
        if taken is None:
            self._without.add(host)
        else:
            self._new[host] = taken
        return taken

    def weaker(self, host: str, place: Place, announced: Collection[str]) -> str:
        """Say in what the host is weaker than it was; empty if in nothing.

        Raises:
            Unseen: if it cannot be looked at.
        """
        after = self._look(host, place)
        if after is None or host not in self._known:
            return ""
        return sentence(weaker(self._known[host], after, announced))

    def keep(self, host: str) -> None:
        """Let the posture that was seen last be the normal one.

        Raises:
            MemoryUnavailable: if it cannot be written.
        """
        if host in self._new:
            self._known[host] = taken = self._new.pop(host)
            text = encode({"sections": taken.sections, "unread": taken.unread})
            write(self._folder / f"{host}.json", text.encode())


def _read(file: Path) -> Posture:
    with file.open("rb") as opened:
        found = decode(opened.read(FILE + 1), FILE)
    sound = conforms(found, _SHAPE) and all(isinstance(v, dict) for v in found["sections"].values())
    demand(sound, "malformed", "not a posture with these sections")
    return Posture(found["sections"], found["unread"])
