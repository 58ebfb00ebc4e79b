"""Container images that lie on a host, by the indexes of what keeps them: files alone, no daemon.

    {"podman:docker.io/library/nginx:1.27":["<digest>","<another of it>",..],"docker:app:2":[..],
     "home/alice:localhost/tool:latest":[..]}

| kept by | index, below the host's root |
|---|---|
| podman, CRI-O, buildah | `images.json` of each `var/lib/containers/storage/<driver>-images` |
| the same without root | likewise below `home/<user>/.local/share/containers/storage` |
| Docker | `repositories.json` of each `var/lib/docker/image/<driver>` |

Rules: an image has several digests (of its manifest, of the list that led there, of its
configuration, which is its id); any of them may be the one that somebody named. The first is the
one that it is known by. One without a name is named by its id. An index that is there and cannot be
read is `Unseen`.

Sources: containers/storage images.go; moby distribution's reference store. Needs the standard
library alone, since the foot on a host reads so too (foot.py). Left out: containerd's own store (a
database of its own form); whether the layers are what their digests say; what runs of them.
"""

import re
from collections.abc import Iterator
from json import loads
from pathlib import Path

from answerable.kernel.canon import Json
from answerable.observe.inside import Inside
from answerable.observe.look import Unseen

INDEX = 16 << 20
"""Largest index, bytes."""
IMAGES = 20_000
"""Most names of images on one host."""
USERS = 1_000
"""Most users whose own images are looked for."""
_STORAGE = ("var/lib/containers/storage", ".local/share/containers/storage")
_DOCKER = "var/lib/docker/image"
_DIGEST = re.compile(r"(?:sha256:)?([0-9a-f]{64})")

Held = dict[str, list[str]]
"""Name -> digests in hex, the one that it is known by first."""


def held(root: Path) -> Held:
    """Give the images that lie on a host.

    Raises:
        Unseen: if an index cannot be read, or is none.
    """
    found: Held = {}
    with Inside(root) as inside:
        stores = [("podman", _STORAGE[0])]
        users = inside.names("home")[:USERS]
        stores += [(f"home/{user}", f"home/{user}/{_STORAGE[1]}") for user in users]
        for keeper, place in stores:
            for folder in inside.names(place):
                if folder.endswith("-images"):
                    found |= _named(keeper, _read(inside, f"{place}/{folder}", "images.json"))
        for driver in inside.names(_DOCKER):
            found |= docker(_read(inside, f"{_DOCKER}/{driver}", "repositories.json"))
    if len(found) > IMAGES:
        raise Unseen(f"`{root}` has more than {IMAGES} images")
    return found


def _named(keeper: str, data: bytes) -> Held:
    return {f"{keeper}:{name}": digests for name, digests in storage(data).items()}


def _read(inside: Inside, folder: str, name: str) -> bytes:
    try:
        with inside.file(folder, name) as file:
            data = file.read(INDEX + 1)
    except FileNotFoundError:
        return b""
    except OSError as error:
        raise Unseen(f"`{inside.root}/{folder}/{name}`: {error.strerror}") from error
    if len(data) > INDEX:
        raise Unseen(f"`{inside.root}/{folder}/{name}` has more than {INDEX} bytes")
    return data


def storage(index: bytes) -> Held:
    """Read an `images.json` of containers/storage; empty bytes are no image.

    Raises:
        Unseen: if it is none.
    """
    try:
        rows: Json = loads(index or b"[]")
        if not isinstance(rows, list):
            raise TypeError("no list")
        return {
            str(name): digests
            for row in rows
            for digests in [list(dict.fromkeys(_digests(row)))]
            for name in row.get("names") or [digests[-1]]
        }
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise Unseen(f"not an index of images: {error!r:.100}") from error


def _digests(row: Json) -> Iterator[str]:
    if row.get("digest"):
        yield _hex(row["digest"])
    for name, digest in (row.get("big-data-digests") or {}).items():
        if name.startswith("manifest"):
            yield _hex(digest)
    yield _hex(row["id"])


def docker(index: bytes) -> Held:
    """Read a `repositories.json` of Docker; empty bytes are no image.

    Raises:
        Unseen: if it is none.
    """
    try:
        found: Json = loads(index or b'{"Repositories":{}}')["Repositories"]
        rows = [(name, _hex(of)) for each in found.values() for name, of in each.items()]
        manifests: Held = {}
        for name, of in rows:
            if "@" in name:
                manifests.setdefault(of, []).append(_hex(name.partition("@")[2]))
        return {
            f"docker:{name}": [*sorted(manifests.get(of, [])), of]
            for name, of in rows
            if "@" not in name
        }
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise Unseen(f"not an index of images: {error!r:.100}") from error


def _hex(spelt: str) -> str:
    found = _DIGEST.fullmatch(spelt)
    if found is None:
        raise ValueError(f"`{spelt[:80]}` is no sha256 digest")
    return found[1]
