"""A released ranking model, in a folder as one machine has it."""

from pathlib import Path

from answerable.bootstrap.models import release_body
from tests.exposure.models import MODEL
from tests.simulator.world import Simulator

DATA = MODEL.text.encode()


def carry(town: Simulator, folder: Path, *people: str, **change: object) -> Path:
    """Have people release a model's file, and put it where one machine looks."""
    body = release_body(DATA, town.state.law(), town.fleet, town.now)
    folder.mkdir()
    (folder / "charter.note").write_bytes(town.history[0][1])
    (folder / "release").write_bytes(town.write("release", {**body, **change}, *people))
    (folder / "model").write_bytes(DATA)
    return folder
