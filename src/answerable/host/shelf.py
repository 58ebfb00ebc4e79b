"""Bundles: the listing of this host's, fetched once, kept while they matter.

    GET <control>/bundles/<host>     ["<sha256 of a bundle>", ...]
    GET <control>/bundle/<sha256>    its bytes

Whoever serves them is trusted for nothing: a bundle is kept only under the hash of its own bytes,
and what is in it is for the kernel to judge. At most `LISTED` are looked at. A bundle of which
something was begun stays on the shelf until its order is at its end, listed or not: a half-patched
host must be able to go on and to undo.
"""

import json
import re
from collections.abc import Collection, Iterable
from hashlib import sha256
from pathlib import Path

from answerable.host.files import make_private, read_file, write_file
from answerable.host.network.client import Client, HttpUnavailable
from answerable.kernel.order import BUNDLE

LISTED = 64
"""Most bundles that are looked at."""
LISTING = 65_536
"""Largest listing that is read, bytes."""
_DIGEST = re.compile(r"[0-9a-f]{64}")


class Shelf:
    """Bundles on this host's disk, by digest."""

    def __init__(self, directory: Path, client: Client, control: str, host: str) -> None:
        make_private(directory)
        self._directory, self._client = directory, client
        self._control, self._host = control.rstrip("/"), host

    def listed(self) -> list[str]:
        """Ask which bundles there are for this host.

        Raises:
            HttpUnavailable: the control plane does not say.
        """
        if not self._control:
            return []
        data = self._client.get(f"{self._control}/bundles/{self._host}", LISTING)
        try:
            found = json.loads(data)
        except (ValueError, RecursionError) as error:
            raise HttpUnavailable("the control plane lists no bundles; look at it") from error
        sound = isinstance(found, list) and all(isinstance(d, str) for d in found)
        if not sound or not all(_DIGEST.fullmatch(d) for d in found):
            raise HttpUnavailable("the control plane lists what is no bundle; look at it")
        return list(dict.fromkeys(found))[-LISTED:]

    def get(self, digest: str) -> bytes:
        """Give a bundle, from the shelf or from the control plane.

        Raises:
            HttpUnavailable: it cannot be had, or is another one.
        """
        path = self._directory / digest
        if path.exists():
            data = read_file(path, BUNDLE)
            if sha256(data).hexdigest() == digest:
                return data
        data = self._client.get(f"{self._control}/bundle/{digest}", BUNDLE)
        if sha256(data).hexdigest() != digest:
            raise HttpUnavailable(f"the control plane gives another bundle than `{digest}`")
        write_file(path, data)
        return data

    def tidy(self, keep: Collection[str]) -> None:
        """Throw away every bundle but these."""
        for path in list(self._files()):
            if path.name not in keep:
                path.unlink(missing_ok=True)

    def _files(self) -> Iterable[Path]:
        return (p for p in self._directory.iterdir() if p.is_file())
