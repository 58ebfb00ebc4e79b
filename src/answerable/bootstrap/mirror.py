"""Mirrors for the command line: places by their address, keys by their folder, time by the clock.

Left out: serving a mirror (any web server over `metadata/` and `targets/`, or a copied folder).
"""

import json
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx

from answerable.bootstrap.serve import clock, http_client
from answerable.bootstrap.worlds import Heard, silent
from answerable.feeds.documents.fetch import WAIT, Folder, Http
from answerable.feeds.mirror.crate import Crate
from answerable.feeds.mirror.reader import LIMITS, File, Published
from answerable.feeds.mirror.rotation import Counsel, consult
from answerable.feeds.mirror.site import Site
from answerable.feeds.mirror.writer import Repository, Signing, digest_of, read_roster
from answerable.feeds.source import Fetch
from answerable.feeds.world import Worlds
from answerable.kernel.note import ED25519, MLDSA44
from answerable.keys.sign import Signer
from answerable.keys.store import load_key, make_key

KEYS = (("ed25519", ED25519), ("ml-dsa-44", MLDSA44))
"""Names of a holder's two key files, and their types."""
ROSTER = 1 << 20
"""Largest roster, bytes."""


@dataclass(frozen=True)
class Watched:
    """A place whose files are told of while they come."""

    inner: Fetch
    heard: Heard

    @property
    def place(self) -> str:
        """The address."""
        return self.inner.place

    def stream(self, path: str, limit: int) -> Iterator[bytes]:
        """Give a document in pieces, and tell how far it is.

        Raises:
            Unusable: as the place.
        """
        name, done = path.rpartition("/")[2].partition(".")[2], 0
        for piece in self.inner.stream(path, limit):
            done += len(piece)
            self.heard("read", name, done, limit)
            yield piece

    def get(self, path: str, limit: int) -> bytes:
        """Give a whole document, which is small.

        Raises:
            Unusable: as the place.
        """
        return self.inner.get(path, limit)


@contextmanager
def places(addresses: Iterable[str], heard: Heard = silent) -> Iterator[Mapping[str, Fetch]]:
    """Open mirrors: web addresses, folders or crates.

    Raises:
        Unusable: a crate that is none.
    """
    with http_client(WAIT) as client:
        yield {address: Watched(_place(address, client), heard) for address in addresses}


def _place(address: str, client: httpx.Client) -> Fetch:
    if address.startswith(("http://", "https://")):
        return Http(address, client, time.monotonic)
    return Crate(Path(address)) if Path(address).is_file() else Folder(Path(address))


def make_keys(directory: Path, name: str) -> list[str]:
    """Make a holder's two keys; give what a roster lists of them."""
    return [make_key(directory / each, name, kind).key.vkey() for each, kind in KEYS]


def load_keys(directories: Sequence[Path]) -> list[Signer]:
    """Read the keys of some holders.

    Raises:
        KeyUnavailable: as keys/store.py says.
    """
    return [load_key(directory / each) for directory in directories for each, _ in KEYS]


def draft_root(folder: Path, roster: Path) -> Signing:
    """Draft a root from a roster.

    Raises:
        Unready, Unusable: as writer.py says.
    """
    with roster.open("rb") as file:
        given = read_roster(file.read(ROSTER))
    return Repository(folder).draft_root(given, clock())


def review(folder: Path, role: str) -> dict[str, Any]:
    """Give a draft as people read it, and the digest of what they would sign.

    Raises:
        Unready, Unusable: there is no draft, or it is none.
    """
    draft = Repository(folder).draft(role)
    return {"signed": draft.signed.to_dict(), "digest": digest_of(draft)}


def publish(folder: Path, paths: Sequence[Path], keep: int) -> Signing:
    """Draft targets over folders (as `worlds/<name>/..`) and files (as `candidates/<name>`).

    Raises:
        Unready, Unusable: as writer.py says.
    """
    files: dict[str, Path] = {}
    for path in paths:
        if path.is_dir():
            world = Worlds(path.resolve().parent).get(path.resolve().name)
            inner = [each for each in sorted(world.folder.iterdir()) if each.is_file()]
            files |= {f"worlds/{world.root}/{each.name}": each for each in inner}
        else:
            files[f"candidates/{path.name}"] = path
    return Repository(folder).draft_targets(files, keep, clock())


def sign(folder: Path, role: str, keys: Sequence[Path], digest: str) -> Signing:
    """Sign a draft.

    Raises:
        Unready, Unusable, KeyUnavailable.
    """
    return Repository(folder).sign(role, load_keys(keys), digest)


def issue(folder: Path, keys: Sequence[Path]) -> None:
    """Issue snapshot and timestamp.

    Raises:
        Unready, Unusable, KeyUnavailable.
    """
    Repository(folder).issue(load_keys(keys), clock())


def trust(site: Path, root: Path, sha256: str) -> None:
    """Pin a site's first root.

    Raises:
        Unusable: as site.py says.
    """
    with root.open("rb") as file:
        Site(site).trust(file.read(LIMITS["root"] + 1), sha256)


def take(site: Path, address: str, into: Path, heard: Heard = silent) -> Published:
    """Bring in what one place publishes; its newest world becomes the newest here.

    Raises:
        Unusable: as site.py says; or a world that is none.
    """
    with places([address], heard) as found:
        return _take(site, found[address], into)


def fetch(
    site: Path, addresses: Sequence[str], name: str, into: Path, heard: Heard = silent
) -> tuple[Counsel, Published]:
    """Ask all mirrors, and bring in what this week's serves, as `take`.

    Raises:
        Unusable: as rotation.py and site.py say; or a world that is none.
    """
    with places(addresses, heard) as found:
        counsel = consult(found, name, Site(site).trusted, clock())
        return counsel, _take(site, found[counsel.serves], into)


def _take(site: Path, place: Fetch, into: Path) -> Published:
    published = Site(site).take(place, into, clock())
    for root in sorted({_root(file) for file in published.files} - {""}):
        Worlds(into / "worlds").adopt(root)
    return published


def _root(file: File) -> str:
    top, _, rest = file.path.partition("/")
    return rest.partition("/")[0] if top == "worlds" else ""


def ask(site: Path, addresses: Sequence[str], name: str) -> Counsel:
    """Ask all mirrors how far they are.

    Raises:
        Unusable: as rotation.py says.
    """
    with places(addresses) as found:
        return consult(found, name, Site(site).trusted, clock())


def export(site: Path, address: str, crate: Path, heard: Heard = silent) -> Published:
    """Write what one place publishes into a crate.

    Raises:
        Unusable: as site.py says.
    """
    with places([address], heard) as found:
        return Site(site).pack(found[address], crate, clock())


def card(published: Published) -> str:
    """Spell what was believed, as one line of JSON."""
    roles = {
        role: {
            "version": published.versions[role],
            "expires": published.expires[role],
            "signed_by": sorted(published.signers[role]),
        }
        for role in sorted(published.versions)
    }
    return json.dumps({"files": len(published.files), "roles": roles}, sort_keys=True)
