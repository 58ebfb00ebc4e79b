"""What the machine is ordered to do, made by hand: a newer kernel, and one that cannot boot.

Orders name packages that a host has; so it has an empty one of the newer kernel's name, of a lower
version, and the upgrade brings the distribution's own package, unchanged, beside the older kernel.
Not a test.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from hashlib import sha256
from pathlib import Path

from answerable.kernel.canon import Json, encode
from tests.fakes.host_world import Answer, HostWorld
from tests.simulator import constitution as law
from tests.vm.disk import Disk, build
from tests.vm.machine import LOOPBACK

HOST = "web1"
BROKEN = "linux-image-99.0.0-1-cloud-amd64"
"""A kernel above every other, whose file is none."""


@dataclass
class Real(HostWorld):
    """A world that the machine reaches by qemu's gateway, whose control plane has the packages."""

    files: Mapping[str, Path] = field(default_factory=dict)

    def found(self, **knobs: Json) -> None:
        """See the parent; addresses are those that the machine sees."""
        self.url = self.url.replace("127.0.0.1", LOOPBACK)
        super().found(**knobs)

    def _control(self, path: str) -> Answer:
        name = path.rpartition("/")[2]
        if name in self.files:
            return 200, self.files[name].read_bytes()
        return super()._control(path)


@dataclass(frozen=True)
class Move:
    """One package, from a file to another."""

    name: str
    source: str
    old: str
    new: str
    before: Path
    after: Path

    @property
    def fix(self) -> str:
        """The advisory that the newer version fixes."""
        given = {"ecosystem": law.DEBIAN, "source": self.source}
        return law.advisory(f"CVE-2026-{len(self.name):04}", self.name, self.new, **given)

    def facts(self) -> list[str]:
        """Give the advisory, and both files."""
        rows = [self.fix]
        for version, path in ((self.old, self.before), (self.new, self.after)):
            spelled = json.loads(law.artefact(self.name, version))
            rows.append(encode({**spelled, "sha256": _hash(path), "source": self.source}))
        return rows

    def edit(self, order: Json) -> None:
        """Order a snapshot, the upgrade, a reboot, and a health check."""
        up, _, health = order["changes"]
        move = law.fix(self.name, self.old, self.new, self.fix)
        up["packages"] = [{**move, "sha256": _hash(self.after)}]
        snap = {"id": "snap", "type": "snapshot", "caused_by": "", "risk": "low"}
        boot = {"id": "boot", "type": "reboot", "caused_by": "up", "risk": "high"}
        order["changes"] = [snap, up, boot, health]
        back = {"name": self.name, "from": self.new, "to": self.old, "sha256": _hash(self.before)}
        order["undo"] = [order["undo"][0] | {"packages": [back]}]


class Plans:
    """Both orders, and what is on the machine before them.

    Args:
        disk: knows the kernels.
        place: for packages of our own.
    """

    def __init__(self, disk: Disk, place: Path) -> None:
        newer = disk.newer
        low = f"{newer.version}~empty"
        stub = build(place, newer.package, low, arch=newer.arch)
        self.kernel = Move(newer.package, newer.source, low, newer.version, stub,
                           disk.debs[newer.sha256])  # fmt: skip
        image = {f"boot/vmlinuz-{BROKEN.removeprefix('linux-image-')}": b"this is no kernel\n" * 99}
        first, second = (
            build(place, BROKEN, "1"),
            build(place, BROKEN, "2", image, "update-grub"),
        )
        self.broken = Move(BROKEN, BROKEN, "1", "2", first, second)
        self.release = newer.package.removeprefix("linux-image-")
        self.before = (stub, first)

    @property
    def files(self) -> dict[str, Path]:
        """SHA-256 -> file, of all that the control plane has."""
        moves = (self.kernel, self.broken)
        return {_hash(path): path for move in moves for path in (move.before, move.after)}

    def facts(self) -> list[str]:
        """Give what is released."""
        return sorted([*self.kernel.facts(), *self.broken.facts()], key=str.encode)


def _hash(path: Path) -> str:
    return sha256(path.read_bytes()).hexdigest()
