"""A released ranking model that was carried to one machine, without logs.

    <folder>/charter.note    the fleet's charter
    <folder>/release         the record of the release, as `exposure model assemble` prints it
    <folder>/model           the model's file

Rules:

1. The file must be the one that the release names and whose hash its checkpoint has.
2. The release must be of this charter, and signed by as many people as it asks for.
3. Anything else is no model, with the reason; rules then rank alone.

Whoever may write into the folder chooses the charter, as whoever may write into the folder of feeds
chooses what is said: nothing but a reader's eye depends on a list of one machine. Left out: whether
the release was logged, or a newer one was (models.py, where there are logs).
"""

from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path

from answerable.config import read_bytes
from answerable.exposure import model as models
from answerable.exposure.model import Model
from answerable.kernel.checkpoint import parse_checkpoint
from answerable.kernel.errors import Refused, Unavailable, demand
from answerable.kernel.fold import release_origin
from answerable.kernel.merkle import leaf_hash
from answerable.kernel.statement import AUTHORITY, open_charter, open_statement

FEED = "ranking-model"
NONE = "no released model lies at hand (`--model`)"


@dataclass(frozen=True)
class Served:
    """The model in service, or why there is none."""

    model: Model | None
    why: str = ""


def carried(folder: Path) -> Served:
    """Load the model of a folder."""
    try:
        if not folder.exists():
            return Served(None, NONE)
        law, _ = open_charter(read_bytes(folder / "charter.note"))
        said = open_statement(read_bytes(folder / "release"), AUTHORITY, law.owners)
        about = said.kind == "release" and said.body["feed"] == FEED
        demand(about and said.body["model"], "malformed", "`release` names no ranking model")
        law.enough(said.people, "release")
        snapshot = parse_checkpoint(said.body["checkpoint"].encode())
        origin = release_origin(said.envelope["fleet"], law.body["number"], FEED)
        demand(snapshot.origin == origin, "wrong_origin", f"`{snapshot.origin}`")
        data = read_bytes(folder / "model", models.SIZE)
        return Served(checked(data, said.body["model"], snapshot.root))
    except Unavailable as error:
        return Served(None, str(error))
    except OSError as error:  # as of a host's own directory, to those who may not look into it
        return Served(None, f"`{folder}` cannot be read: {error.strerror}")
    except Refused as refusal:
        return Served(None, f"{refusal.reason}: {refusal.detail}")


def checked(data: bytes, name: str, root: bytes) -> Model:
    """Read a model's file if it is the released one.

    Args:
        name: SHA-256 that the release names, hex.
        root: of the release's checkpoint.

    Raises:
        Refused: `fact_not_proven` if it is another file, or as `model.read`.
    """
    same = sha256(data).hexdigest() == name and leaf_hash(data) == root
    demand(same, "fact_not_proven", f"the file `{name}` is not the released model")
    return models.read(data)
