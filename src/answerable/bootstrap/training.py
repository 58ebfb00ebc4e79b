"""Training data of a control plane: the newest world's flaws, and a golden set frozen from them.

The world is asked for what it knows now; what counts of it is decided by the publishers' own dates
(manifest.py). Texts and scores are those that the world holds now: a description that was changed
after its first day is the changed one.
"""

from collections.abc import Callable, Sequence
from pathlib import Path

from answerable.bootstrap.models import keep as keep_file
from answerable.config import NotConfigured
from answerable.exposure import adversary, beliefs, training
from answerable.exposure.features import VERSION, features
from answerable.exposure.golden import Golden, Question
from answerable.exposure.manifest import Example, Prepared, Recipe, prepare
from answerable.exposure.model import Model
from answerable.feeds.world import World, Worlds

Progress = Callable[[str, int], None]
EVERY = 1_000
FEW = 10_000
"""Below so many examples a second process costs more than it saves."""


def gather(home: Path, recipe: Recipe, progress: Progress) -> Prepared:
    """Prepare the newest world's flaws for a recipe.

    Raises:
        NotConfigured: if there is no world.
        Unusable: if it is damaged.
    """
    world = _newest(home)
    found = _examples(world, progress)
    return prepare(found, recipe, documents(world), adversary.forge)


def _newest(home: Path) -> World:
    world = Worlds(home).newest()
    if world is None:
        raise NotConfigured(f"`{home}` holds no world: make one with `answerable feed sync`")
    return world


def documents(world: World) -> list[tuple[str, str]]:
    """Name what a world was made of, for a manifest."""
    named = [(f"{d['publication']}/{d['path']}", str(d["sha256"])) for d in world.documents]
    return [("world", world.root), *named]


def _examples(world: World, progress: Progress) -> Sequence[Example]:
    found = []
    for count, example in enumerate(beliefs.examples(world.folder, world.time), 1):
        found.append(example)
        if count % EVERY == 0:
            progress("flaws", count)
    return found


def fit(data: Prepared, progress: Progress) -> tuple[Model, str]:
    """Train on what was prepared.

    Raises:
        Untrainable: without the extra, or without exploited flaws.
    """
    progress(f"train on {len(data.rows)} flaws", 0)
    return training.fit(data, jobs=1 if len(data.rows) < FEW else 2)


def golden(home: Path, since: int, until: int, progress: Progress) -> Golden:
    """Freeze the flaws published from `since` to before `until` (POSIX seconds).

    Raises:
        NotConfigured, Unusable: as `gather`.
    """
    world = _newest(home)
    listings = beliefs.listings(world.folder, world.time)
    rows = [
        Question(each.flaw.cve, features(each.flaw, listings), bool(each.listed))
        for each in _examples(world, progress)
        if since <= each.flaw.published < until
    ]
    return Golden(VERSION, tuple(rows))


def keep(folder: Path, model: Model, manifest: str) -> str:
    """Keep a model and its manifest in a folder; give the model's name."""
    return keep_file(folder.absolute(), model.text.encode(), manifest)
