"""Mirrors for the command line: places by their address, keys by their folder, time by the clock.

Left out: serving a mirror (any web server over `metadata/` and `targets/`, or a copied folder).
"""

import json
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from answerable.bootstrap.serve import clock, http_client
from answerable.feeds.fetch import WAIT, Folder, Http
from answerable.feeds.mirror.crate import Crate
from answerable.feeds.mirror.reader import LIMITS, Published
from answerable.feeds.mirror.rotation import Counsel, consult
from answerable.feeds.mirror.site import Site
from answerable.feeds.mirror.writer import Repository, Signing, Unready, digest_of, read_roster
from answerable.feeds.source import Fetch
from answerable.kernel.note import ED25519, MLDSA44
from answerable.keys.sign import Signer
from answerable.keys.store import load_key, make_key

KEYS = (("ed25519", ED25519), ("ml-dsa-44", MLDSA44))
"""Names of a holder's two key files, and their types."""
ROSTER = 1 << 20
"""Largest roster, bytes."""


@contextmanager
def places(addresses: Iterable[str]) -> Iterator[Mapping[str, Fetch]]:
    """Open mirrors: web addresses, folders or crates.

    Raises:
        Unusable: a crate that is none.
    """
    with http_client(WAIT) as client:
        found: dict[str, Fetch] = {}
        for address in addresses:
            if address.startswith(("http://", "https://")):
                found[address] = Http(address, client, time.monotonic)
            elif Path(address).is_file():
                found[address] = Crate(Path(address))
            else:
                found[address] = Folder(Path(address))
        yield found


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
            inner = [each for each in sorted(path.iterdir()) if each.is_file()]
            files |= {f"worlds/{path.resolve().name}/{each.name}": each for each in inner}
        else:
            files[f"candidates/{path.name}"] = path
    if paths and not files:
        raise Unready(f"no file in `{paths[0]}`")
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


def take(site: Path, address: str, into: Path) -> Published:
    """Bring in what one place publishes.

    Raises:
        Unusable: as site.py says.
    """
    with places([address]) as found:
        return Site(site).take(found[address], into, clock())


def fetch(site: Path, addresses: Sequence[str], name: str, into: Path) -> tuple[Counsel, Published]:
    """Ask all mirrors, and bring in what this week's serves.

    Raises:
        Unusable: as rotation.py and site.py say.
    """
    with places(addresses) as found:
        counsel = consult(found, name, Site(site).trusted, clock())
        return counsel, Site(site).take(found[counsel.serves], into, clock())


def ask(site: Path, addresses: Sequence[str], name: str) -> Counsel:
    """Ask all mirrors how far they are.

    Raises:
        Unusable: as rotation.py says.
    """
    with places(addresses) as found:
        return consult(found, name, Site(site).trusted, clock())


def export(site: Path, address: str, crate: Path) -> Published:
    """Write what one place publishes into a crate.

    Raises:
        Unusable: as site.py says.
    """
    with places([address]) as found:
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
