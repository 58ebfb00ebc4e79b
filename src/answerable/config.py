"""A party's directory: who it is, where it listens, and its settings; frozen once read.

    <directory>/party.json    {"kind":"guard","listen":"127.0.0.1:8411","name":"g1",
                               "operator":"acme","settings":{..},"url":"http://g1.example"}
    <directory>/keys/         one file a key, mode 0600 (keys/store.py)
    <directory>/charter.note  the fleet's charter as this party was given it

`kind` is `log`, `guard`, `observer` or `control`. `settings` differ by kind and are checked by the
composition that reads them (bootstrap). Left out: hosts, which have settings of their own
(host/settings.py), and people, who only have an SSH key.
"""

import fcntl
import json
import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from answerable.kernel.errors import Unavailable

FILE = 1 << 20
"""Largest settings or charter file that is read, bytes."""
KINDS = ("log", "guard", "observer", "control")
_PARTY = {"kind", "listen", "name", "operator", "settings", "url"}


class NotConfigured(Unavailable):
    """A party's directory is missing, unreadable or says something that is not known."""


class InUse(Unavailable):
    """Another process works on a party's directory."""


@dataclass(frozen=True)
class Party:
    """One party's directory, read once."""

    directory: Path
    kind: str
    name: str
    operator: str
    url: str
    listen: str
    settings: Mapping[str, Any]

    @property
    def address(self) -> tuple[str, int]:
        """Host and port to listen on."""
        host, _, port = self.listen.rpartition(":")
        return host, int(port)

    def key(self, name: str) -> Path:
        """Give the place of one of its keys."""
        return self.directory / "keys" / name

    def charter(self) -> bytes:
        """Read the charter note it was given.

        Raises:
            NotConfigured: if it was given none.
        """
        return read_bytes(self.directory / "charter.note")


def read_bytes(path: Path, limit: int = FILE) -> bytes:
    """Read a small file.

    Raises:
        NotConfigured: if it is not there, or larger than `limit` bytes.
    """
    try:
        with path.open("rb") as file:
            data = file.read(limit + 1)
    except OSError as error:
        raise NotConfigured(f"cannot read `{path}`: {error.strerror}") from error
    if len(data) > limit:
        raise NotConfigured(f"`{path}` is larger than {limit} bytes")
    return data


def read_party(directory: Path, kind: str) -> Party:
    """Read a party's directory.

    Raises:
        NotConfigured: if it is none of this kind.
    """
    path = directory / "party.json"
    try:
        body = json.loads(read_bytes(path))
    except ValueError as error:
        raise NotConfigured(f"`{path}` is not JSON; make it with `answerable init`") from error
    if not isinstance(body, dict) or body.keys() != _PARTY or body["kind"] != kind:
        raise NotConfigured(f"`{directory}` is no directory of a {kind}; see `answerable init`")
    host, _, port = str(body["listen"]).rpartition(":")
    if body["listen"] and not (host and port.isdigit()):
        raise NotConfigured(f"`{path}`: `{body['listen']}` is no address and port to listen on")
    return Party(directory.resolve(), **body)


def write_party(party: Party) -> None:
    """Write a party's settings, replacing what was there."""
    body = {name: getattr(party, name) for name in sorted(_PARTY)}
    text = json.dumps(body, indent=2, sort_keys=True, default=dict) + "\n"
    write_private(party.directory / "party.json", text.encode())


@contextmanager
def only_one(directory: Path) -> Iterator[None]:
    """Be the only process that works on a party's directory.

    Raises:
        InUse: another one does.
    """
    with (directory / "lock").open("a") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            raise InUse(f"`{directory}` is in use: stop what runs on it first") from error
        yield


def write_private(path: Path, data: bytes, mode: int = 0o600) -> None:
    """Write a file at once, in a directory of mode 0700."""
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    beside = path.with_name(f".{path.name}.{os.getpid()}")
    with os.fdopen(os.open(beside, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, mode), "wb") as file:
        file.write(data)
        file.flush()
        os.fsync(file.fileno())
    beside.replace(path)
