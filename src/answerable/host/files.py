"""Files of the agent: private, whole or not there at all, and read up to a limit.

Rules:
* directories are 0700, files 0600; a directory or key that others can reach is refused, since
  whoever reads the key is this host;
* a file is replaced by a synced one beside it, and the directory is synced, so that after a power
  cut there is the old one or the new one;
* one agent works on a directory at a time: it holds `lock` while it lives.

Left out: telling whether the directory lies outside every snapshot; the guards' receipts find that
out (kernel, check 2).
"""

import fcntl
import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from answerable.host.driver import sync_directory
from answerable.kernel.errors import Unavailable

SETTINGS = 1 << 20
"""Largest file of settings, notes or proofs that is read, bytes."""
_OTHERS = 0o077


class HomeUnavailable(Unavailable):
    """The agent's own directory cannot be used as it is."""


def make_private(directory: Path) -> None:
    """Make a directory of mode 0700, or find that it is one.

    Raises:
        HomeUnavailable: it cannot be made, or others can reach into it.
    """
    try:
        directory.mkdir(mode=0o700, parents=True, exist_ok=True)
    except OSError as error:
        raise HomeUnavailable(f"cannot make `{directory}`: {error.strerror}") from error
    check_private(directory, "700")


def check_private(path: Path, mode: str) -> None:
    """Find that nobody else can reach a file or directory of the agent.

    Raises:
        HomeUnavailable: it is not there, another user's, or open to others.
    """
    try:
        found = path.stat(follow_symlinks=False)
    except OSError as error:
        raise HomeUnavailable(f"cannot use `{path}`: {error.strerror}") from error
    if found.st_mode & _OTHERS or found.st_uid != os.geteuid():
        raise HomeUnavailable(
            f"`{path}` is mode {found.st_mode & 0o777:o} of user {found.st_uid}, and others could "
            f"use it; run `chmod {mode} {path}` as user {os.geteuid()}, and ask who had it"
        )


def read_file(path: Path, limit: int = SETTINGS) -> bytes:
    """Read a file of at most `limit` bytes.

    Raises:
        HomeUnavailable: it is not there, or larger.
    """
    try:
        with path.open("rb") as file:
            data = file.read(limit + 1)
    except OSError as error:
        raise HomeUnavailable(f"cannot read `{path}`: {error.strerror}") from error
    if len(data) > limit:
        raise HomeUnavailable(f"`{path}` is over {limit} bytes; is it the right file")
    return data


def read_json(path: Path, limit: int = SETTINGS) -> Any:  # noqa: ANN401  what JSON holds
    """Read a JSON file of the host's own.

    Raises:
        HomeUnavailable: it is not there, larger, or no JSON.
    """
    try:
        return json.loads(read_file(path, limit))
    except (ValueError, RecursionError) as error:
        raise HomeUnavailable(f"`{path}` is no JSON: {error}; correct it") from error


def write_file(path: Path, data: bytes) -> None:
    """Put a whole file in the place of the old one, durably.

    Raises:
        HomeUnavailable: it cannot be written; the old one is still there then.
    """
    partial = path.with_name(f".{path.name}.part")
    try:
        flags = os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW
        with os.fdopen(os.open(partial, flags, 0o600), "wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        partial.rename(path)
        sync_directory(path.parent)
    except OSError as error:
        raise HomeUnavailable(f"cannot write `{path}`: {error.strerror}") from error


def append_synced(path: Path, data: bytes, size: int) -> None:
    """Write `data` at offset `size` of a file, cut off whatever was behind, and sync.

    Raises:
        HomeUnavailable: it cannot be written; what was before `size` is untouched.
    """
    try:
        flags = os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW
        with os.fdopen(os.open(path, flags, 0o600), "r+b") as file:
            file.truncate(size)
            file.seek(size)
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        if not size:
            sync_directory(path.parent)
    except OSError as error:
        raise HomeUnavailable(f"cannot write `{path}`: {error.strerror}") from error


@contextmanager
def only_one(directory: Path) -> Iterator[None]:
    """Be the only agent on this directory.

    Raises:
        HomeUnavailable: another one runs, or the directory cannot be used.
    """
    try:
        lock = os.open(directory / "lock", os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW, 0o600)
    except OSError as error:
        raise HomeUnavailable(f"cannot use `{directory}`: {error.strerror}") from error
    with os.fdopen(lock, "r+b") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            raise HomeUnavailable(
                f"another agent runs on `{directory}`; ask it with `status`, or stop it first"
            ) from error
        yield
