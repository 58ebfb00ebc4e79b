"""Hand bundles to hosts that come for them: static files, which any web server can give out.

    <directory>/bundle/<sha256 of the bundle>      the bundle's bytes
    <directory>/hosts/<host>/<notice>              its bundle's SHA-256, one file a noticed plan

A host asks for the list of its bundles (`listed`) and then for each by its digest (`read`). Files
are written beside their place and renamed, so a reader never sees half of one; a digest is listed
only after its bundle is there. Nothing is secret here: bundles carry no keys, and hosts believe
them by what is signed inside.
"""

import os
import re
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from hashlib import sha256
from pathlib import Path

from answerable.kernel.canon import encode
from answerable.rollout.executor import ExecutorUnavailable
from answerable.rollout.view import Order

LISTED = 256
"""Most bundles listed for one host."""
_HOST = re.compile(r"[a-z0-9][a-z0-9._-]{0,63}")
_DIGEST = re.compile(r"[0-9a-f]{64}")

Build = Callable[[str, Order], bytes]
"""Makes the bundle of an order under a notice; raises `Unavailable` if it cannot now."""


class PullExecutor:
    """`executor.Executor` for pull hosts.

    Args:
        directory: where the files lie; created 0755.
        build: makes a bundle's bytes.
    """

    def __init__(self, directory: Path, build: Build) -> None:
        self._bundles = directory / "bundle"
        self._hosts = directory / "hosts"
        self._build = build
        for place in (self._bundles, self._hosts):
            place.mkdir(parents=True, exist_ok=True)

    def publish(self, notice: str, orders: Sequence[Order]) -> None:
        """See `Executor.publish`."""
        with _world():
            for order in orders:
                if self._out(self._entry(notice, order)):
                    continue
                data = self._build(notice, order)
                digest = sha256(data).hexdigest()
                _put(self._bundles / digest, data)
                _put(self._entry(notice, order), digest.encode())

    def withdraw(self, notice: str, orders: Sequence[Order]) -> None:
        """See `Executor.withdraw`."""
        with _world():
            for order in orders:
                self._entry(notice, order).unlink(missing_ok=True)

    def ask_undo(self, notice: str, orders: Sequence[Order]) -> None:
        """See `Executor.ask_undo`: a host looks at its listed bundles again and again."""
        self.publish(notice, orders)

    def _entry(self, notice: str, order: Order) -> Path:
        assert _HOST.fullmatch(order.host), order.host
        assert _DIGEST.fullmatch(notice), notice
        return self._hosts / order.host / notice

    def _out(self, entry: Path) -> str:
        """Give the digest that an entry names, empty if it names no bundle that is there."""
        try:
            digest = entry.read_text()
        except FileNotFoundError:
            return ""
        # A power cut may leave an empty file; then it is written again.
        whole = _DIGEST.fullmatch(digest) and (self._bundles / digest).is_file()
        return digest if whole else ""

    def listed(self, host: str) -> bytes:
        """Give the JSON list of the digests of a host's bundles, the newest notice last."""
        if not _HOST.fullmatch(host):
            return b"[]"
        with _world():
            place = self._hosts / host
            files = (
                [f for f in place.iterdir() if _DIGEST.fullmatch(f.name)] if place.is_dir() else []
            )
            found = [self._out(f) for f in sorted(files, key=_age)]
        return encode([digest for digest in found if digest][-LISTED:]).encode()

    def read(self, digest: str) -> bytes | None:
        """Give the bytes of a bundle, None if there is none."""
        if not _DIGEST.fullmatch(digest):
            return None
        try:
            return (self._bundles / digest).read_bytes()
        except FileNotFoundError:
            return None


def _age(path: Path) -> tuple[int, str]:
    try:
        return path.stat().st_mtime_ns, path.name
    except FileNotFoundError:
        return 0, path.name


def _put(path: Path, data: bytes) -> None:
    path.parent.mkdir(exist_ok=True)
    beside = path.with_name(f".{path.name}.{os.getpid()}")
    beside.write_bytes(data)
    beside.replace(path)


@contextmanager
def _world() -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise ExecutorUnavailable(f"bundles cannot be handed out: {error}") from error
