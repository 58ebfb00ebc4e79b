"""An evidence directory of a played fleet, written as the real collector and exporter write it."""

import json
from pathlib import Path

from answerable.kernel.canon import Json
from answerable.kernel.merkle import Tree, leaf_hash
from answerable.kernel.note import ED25519
from answerable.ledger.export import export
from answerable.ledger.heads import open_head
from answerable.ledger.tiles import TileName, pack_bundle, read_bundle
from tests.observe.stage import Served, Stage
from tests.simulator.keys import pair, public

SOAK = 600


class Court(Stage):
    """A stage whose checkpoints are kept as they come, and which writes evidence."""

    def __init__(self, folder: Path, **knobs: Json) -> None:
        """Play as `Stage` does."""
        self.witnessed: dict[str, bytes] = {}
        super().__init__(folder, **knobs)
        self.witnessed["authorized"] = self.sim.authorized.encode()
        self.witnessed["told"] = self.kept[self.notice].encode()

    def keep(self) -> None:
        """Keep both logs' checkpoints of this moment."""
        for log in (self.authority, self.report):
            self.witnessed[f"{len(self.witnessed):04}"] = log.checkpoint()

    def told_by(self, *entries: Json) -> None:
        """Let people or machines say something now, and keep the checkpoint that covers it."""
        for kind, body, *who in entries:
            self.sim.tell(kind, body, *who)
        self.settle()
        self.keep()

    def play_out(self) -> None:
        """Patch ring 0, soak, and open and patch ring 1: an honest run."""
        both = [self.observer("o1"), self.observer("o2")]
        self.done("web1")
        self.watch(*both)
        self.sim.now += SOAK
        self.watch(*both)
        self.keep()
        self.sim.now += 5
        self.done("web2", "api1")
        self.watch(*both)

    def evidence(self) -> Path:
        """Write the directory."""
        path = self.folder / "evidence"
        for name, log in (("authority", self.authority), ("report", self.report)):
            write_log(log, path / name)
        (path / "charter.note").write_bytes(self.authority.entries[0])
        (path / "hosts.json").write_text(json.dumps([
            {"record": m.enrolled.record, "enrolment": m.enrolled.enrolment,
             "place": m.enrolled.place, "path": [step.hex() for step in m.enrolled.path]}
            for m in self.sim.members.values()
        ]))  # fmt: skip
        for folder, files, end in (
            ("plans", self.plans, "json"),
            ("witnessed", self.witnessed, "note"),
        ):
            (path / folder).mkdir(exist_ok=True)
            for name, data in files.items():
                (path / folder / f"{name}.{end}").write_bytes(data)
        return path


def write_log(log: Served, folder: Path) -> None:
    """Export a served log."""
    note, keys = log.checkpoint(), public(pair(log.origin, ED25519))
    export(log, note, open_head(note, log.origin, keys), keys, folder)


def edit_record(folder: Path, index: int, old: bytes, new: bytes) -> None:
    """Change the bytes of one record of an exported log, as somebody with the disk would."""
    place, entries = entries_of(folder)
    assert old in entries[index]
    entries[index] = entries[index].replace(old, new)
    place.write_bytes(pack_bundle(entries))


def entries_of(folder: Path) -> tuple[Path, list[bytes]]:
    """Give the file of a small exported log's entries, and them."""
    place = next(p for p in (folder / "tile/entries").rglob("*") if p.is_file())
    return place, read_bundle(place.read_bytes(), int(place.name))


def rewrite(folder: Path, entries: list[bytes]) -> None:
    """Rewrite a small exported log's records and level 0, so that both agree with each other."""
    place, old = entries_of(folder)
    tree = Tree(map(leaf_hash, entries))
    place.write_bytes(pack_bundle(entries))
    level = folder / TileName(0, 0, len(old)).path()
    level.write_bytes(bytes(tree.levels[0])[: len(old) * 32])
