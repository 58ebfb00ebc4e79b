"""Snapshots of a logical volume: `{"kind":"lvm","volume":"vg/root","bytes":4294967296}`.

A snapshot is a volume `<group>/answerable-<name>` with the tag `answerable`, made at one instant,
with room for so many changed bytes; when they are used up, LVM drops it, and `kept` no longer calls
it of use.

LVM locks its memory while the volume stands still; where it may not, a page that had to come from
that very volume would never come (docs/operate/privileges.md says what the unit needs).

Sources: lvcreate(8), lvs(8), lvremove(8), lvmreport(7), `activation/use_mlockall` and its kin in
lvm.conf(5). Left out: thin volumes, whose snapshots need no room of their own; merging a snapshot
back, which is a person's act.
"""

import re
from pathlib import Path

from answerable.host.retention import Kept
from answerable.host.snapshot.port import SnapshotFailed, apart, belonging, checked, tool

_VOLUME = re.compile(r"[A-Za-z0-9_][A-Za-z0-9+_.-]*/[A-Za-z0-9_][A-Za-z0-9+_.-]*")
_TAG = "answerable"
_INVALID = 4
"""Where `lv_attr` says `I`: a snapshot that has lost its room."""


class Lvm:
    """Conforms to `port.Snapshots`.

    Args:
        state: the agent's own directory.
        volume: `<group>/<volume>`.
        room: of each snapshot, bytes.
        root: what the volume is mounted as.
    """

    kind = "lvm snapshot"

    def __init__(self, state: Path, *, volume: str, room: int, root: str = "/") -> None:
        if not _VOLUME.fullmatch(volume) or room <= 0:
            raise TypeError("`volume` is like `vg/root`, and `bytes` above 0")
        self._state, self._volume, self._room = state, volume, room
        self._root, self._log = Path(root), state / "snapshot.log"
        self._group = volume.partition("/")[0]

    def ready(self) -> None:
        """See the port."""
        apart(self._state, self._root)
        fields = self._fields("lv_name,vg_free", self._volume)
        if not fields or int(fields[0][1]) < self._room:
            raise SnapshotFailed(f"`{self._group}` has no {self._room} bytes left; make room")

    def take(self, name: str) -> str:
        """See the port."""
        made = f"{_TAG}-{checked(name)}"
        if all(one.name != name for one in self.kept()):
            self.ready()
            words = ["lvcreate", "--yes", "--snapshot", "--permission", "r", "--addtag", _TAG]
            words += ["--size", f"{self._room}b", "--name", made, "--", self._volume]
            tool(words, self._log)
        return f"{self.kind} {self._group}/{made}"

    def kept(self) -> list[Kept]:
        """See the port."""
        found = list[Kept]()
        origin = self._volume.partition("/")[2]
        for row in self._fields("lv_name,lv_size,lv_attr,origin,lv_tags", self._group):
            name, size, attributes, of, tags = row
            ours = name.startswith(f"{_TAG}-") and _TAG in tags.split(",") and of == origin
            if ours:
                short = name.removeprefix(f"{_TAG}-")
                of_use = attributes[_INVALID : _INVALID + 1] != "I"
                what = f"{self._volume} as it was"
                found.append(Kept(short, what, int(size), belonging(short), of_use))
        return found

    def drop(self, name: str) -> None:
        """See the port."""
        if any(one.name == checked(name) for one in self.kept()):
            words = ["lvremove", "--yes", "--", f"{self._group}/{_TAG}-{name}"]
            tool(words, self._log)

    def _fields(self, names: str, of: str) -> list[list[str]]:
        words = ["lvs", "--noheadings", "--units", "b", "--nosuffix", "--separator", ";"]
        done = tool([*words, "--options", names, "--", of], self._log)
        rows = [line.strip().split(";") for line in done.output.splitlines()]
        return [row for row in rows if len(row) == names.count(",") + 1]
