"""Ranking models of a fleet: which one is in service, and how another comes into service.

A model is released like a snapshot: under the feed `ranking-model`, as a checkpoint of size 1 whose
root is the leaf hash of the model's file, in a `release` that names the file's SHA-256 and that
people signed (kernel, fold: a release that names a model needs the charter's threshold of people;
no quorum of guards can stand in for them).

    <directory>/models/<sha256>             the model
    <directory>/models/<manifest sha256>    its manifest
    <directory>/models/golden               the golden set

Rules:

1. Only the file that the newest release names is loaded: its bytes must give the released root, and
   the record must name it. Anything else is no model, with the reason, and rules rank alone.
2. A release is drafted with what the gate saw (golden.py); if the gate asks for two people, a
   charter whose `release` threshold is one gets no draft.

Left out: training (cli, with the extra), throwing old models away.
"""

from hashlib import sha256
from pathlib import Path

import httpx

from answerable.bootstrap.carried import FEED, Served, checked
from answerable.bootstrap.follow import Logs
from answerable.config import Party, read_bytes, write_private
from answerable.exposure import golden
from answerable.exposure import model as models
from answerable.exposure.golden import Golden, Shadow, shadow
from answerable.exposure.model import Model
from answerable.kernel.canon import Json
from answerable.kernel.charter import MANY, Charter
from answerable.kernel.checkpoint import Checkpoint
from answerable.kernel.errors import Refused, Unavailable, demand
from answerable.kernel.fold import release_origin
from answerable.kernel.merkle import leaf_hash
from answerable.kernel.statement import AUTHORITY, open_statement
from answerable.ledger.client import HttpSource, Reader

__all__ = [
    "FEED", "Served", "checked", "compare", "demand_people", "keep", "named", "read_golden",
    "release_body", "served",
]  # fmt: skip


def served(party: Party, logs: Logs, client: httpx.Client) -> Served:
    """Load the model in service."""
    state = logs.state
    number = state.newest.get(FEED)
    if number is None:
        return Served(None, "no model was released")
    try:
        name = named(party, logs, client, number)
        data = read_bytes(party.directory / "models" / name, models.SIZE)
        return Served(checked(data, name, bytes.fromhex(state.releases[number]["root"])))
    except Unavailable as error:
        return Served(None, str(error))
    except Refused as refusal:
        return Served(None, f"{refusal.reason}: {refusal.detail}")


def named(party: Party, logs: Logs, client: httpx.Client, number: str) -> str:
    """Give the SHA-256 that a release statement names, from its record in the log.

    Raises:
        Refused: `malformed` if it names none, or as the log's proofs.
        Unavailable: if the log cannot be asked.
    """
    place, url = logs.state.seen[number], str(party.settings["log"]).rstrip("/")
    reader = Reader(HttpSource(client, f"{url}/authority"), logs.heads["authority"].checkpoint)
    (entry,) = reader.entries(place, place + 1)
    said = open_statement(entry, AUTHORITY, logs.law.owners)
    by_people = said.id == number and said.body["model"] and said.people
    demand(by_people, "malformed", f"release `{number}` names no model that people signed")
    return str(said.body["model"])


def release_body(data: bytes, law: Charter, fleet: str, now: int) -> Json:
    """Give the body of the release that would put a model's file into service.

    Raises:
        Refused: if the file is no model.
    """
    models.read(data)
    origin = release_origin(fleet, law.body["number"], FEED)
    checkpoint = Checkpoint(origin, 1, leaf_hash(data))
    return {"feed": FEED, "checkpoint": checkpoint.text(), "model": sha256(data).hexdigest(),
            "time": now}  # fmt: skip


def compare(serving: Model | None, data: bytes, asked: Golden) -> Shadow:
    """Let a proposed model answer the golden set beside the one in service.

    Raises:
        Refused: if the file is no model.
    """
    return shadow(serving, models.read(data), asked)


def demand_people(found: Shadow, law: Charter) -> None:
    """Demand that two people can only release together what the gate stopped.

    Raises:
        Refused: `not_enough_people` if the charter lets one person release.
    """
    alone = law.body["thresholds"]["release"] < MANY
    why = f"the gate asks for two people: {'; '.join(found.reasons)}"
    demand(not (found.reasons and alone), "not_enough_people", why)


def keep(directory: Path, data: bytes, manifest: str) -> str:
    """Keep a model and its manifest; give the model's name."""
    name = sha256(data).hexdigest()
    write_private(directory / name, data)
    write_private(directory / sha256(manifest.encode()).hexdigest(), manifest.encode())
    return name


def read_golden(path: Path) -> Golden:
    """Read a golden set; raises `NotConfigured` or `Refused`."""
    return golden.read(read_bytes(path, golden.SIZE))
