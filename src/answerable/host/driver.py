"""The port to the host's package tool: nouns, errors, and the rules that hold for every driver.

Rules:
* an artefact is used only if the bytes in the driver's own directory (0700) have the SHA-256 that
  the order names; they are hashed once more, in place, right before the tool reads them;
* a transaction is previewed by the tool itself and refused if it would touch anything not named;
* no shell, no inherited environment, no input; every call has a timeout, every read a limit;
* what was begun is written down and synced first, so that `recover` knows it after a kill; the
  same action may be run again at any time and ends in the same state;
* artefacts are kept, so that an undo needs no server;
* a package comes new only in an effect-verified transaction, and goes only by the undo of it.

Adapters: `apt.py`, `venv.py`. Left out: removing old artefacts.
"""

import fcntl
import hashlib
import json
import os
import select
import signal
import subprocess
import threading
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any, BinaryIO, NamedTuple, Protocol

from answerable.host.versions import ABSENT
from answerable.kernel.canon import Json
from answerable.kernel.errors import Unavailable

ARTEFACT_LIMIT = 1 << 30
"""Largest artefact, bytes."""
OUTPUT_LIMIT = 8 << 20
"""Most that is read of a tool's output, bytes."""
LINE_LIMIT = 1000
"""Most that an error message takes of one line of it, characters."""
QUERY_SECONDS = 120
"""Longest that a query of a package tool may take."""
CHANGE_SECONDS = 3600
"""Longest that a transaction of a package tool may take."""
ORPHAN_SECONDS = 900
"""How long `recover` waits for a package tool that outlived a killed agent."""
_CHUNK = 1 << 20
_CUTS = 5
"""How often a second the output of a program is looked at, whether it has grown too large."""


class DriverFailed(Unavailable):
    """The package tool, or the world around it, did not do what was asked."""


class Locked(DriverFailed):
    """Another program holds the package tool's lock; nothing was changed."""


class ArtefactDiffers(DriverFailed):
    """The bytes have another hash, or contain another package, than the order names."""


class TransactionDiffers(DriverFailed):
    """The transaction is not the one that was named; nothing was changed.

    Args:
        message: what differs, and what to do.
        also: one line for each thing that would be touched besides.
    """

    def __init__(self, message: str, also: Sequence[str] = ()) -> None:
        """Keep what would be touched besides."""
        super().__init__(message)
        self.also = tuple(also)


@dataclass(frozen=True)
class Package:
    """One package of a transaction: its name, the versions around it, the hash of its artefact.

    A package that comes new was `ABSENT` (versions.py), and its undo brings it there again; the
    hash is then of the artefact that goes.
    """

    name: str
    before: str
    after: str
    sha256: str

    @property
    def made(self) -> str:
        """The version that the artefact is of."""
        return self.before if self.after == ABSENT else self.after


class Present(NamedTuple):
    """One package as this host's inventory says it.

    `arch` is of the package, for Python the interpreter (`cp311`). `source_version` is empty where
    it is the package's own. `state` is `installed`, `held` (by whoever runs the host) or `broken`.
    """

    ecosystem: str
    package: str
    version: str
    arch: str
    source: str
    source_version: str = ""
    state: str = "installed"
    provides: tuple[str, ...] = ()


@dataclass(frozen=True)
class Staged:
    """Packages and, in the same order, their files: hashed, and found to contain those packages.

    `named`: what the order says that the change does; a driver that rehearses does just that, or
    nothing. `foreseen`: what its preview found.
    """

    packages: tuple[Package, ...]
    files: tuple[Path, ...]
    named: "Foreseen | None" = None
    foreseen: "Foreseen | None" = None


@dataclass(frozen=True)
class Foreseen:
    """What a change would do to this host, found without doing it (docs/spec/effects.md).

    `effects`: the hash of `lines`, hex; `sensitive`: class -> its paths; `asked`: what scripts want
    done to services. `lines` are empty for what goes back by a journal.
    """

    effects: str
    sensitive: Mapping[str, Sequence[str]]
    lines: Sequence[Json] = ()
    asked: tuple[str, ...] = ()

    @property
    def classes(self) -> list[str]:
        """The sensitive classes, sorted."""
        return sorted(self.sensitive)

    def does(self, named: "Foreseen | None") -> bool:
        """Tell whether this is what an order names; it need not name any."""
        mine = (self.effects, self.classes)
        return named is None or (named.effects, named.classes) == mine

    def demand(self, named: "Foreseen | None") -> None:
        """Raise `TransactionDiffers` if an order names something else."""
        if named and not self.does(named):
            raise TransactionDiffers(
                f"its effects are `{self.effects}` of the classes {self.classes}, and the order "
                f"names `{named.effects}` of {named.classes}; plan the change anew"
            )


Fetch = Callable[[str], BinaryIO]
"""SHA-256 in hex -> a stream of what claims to be that artefact."""


class Driver(Protocol):
    """What the agent asks of a package tool; each call may raise `DriverFailed`."""

    @property
    def ecosystem(self) -> str:
        """The ecosystem of its packages, as in facts: `debian:12`, `pypi`."""

    def installed(self) -> dict[str, str]:
        """Give name -> version of what is wholly installed; half-installed counts as absent."""

    def census(self) -> list[Present]:
        """Give all that is there, also held back and half installed."""

    def stage(self, packages: Sequence[Package], fetch: Fetch) -> Staged:
        """Bring the artefacts here and check them; raises `ArtefactDiffers`."""

    def preview(self, staged: Staged, *, undo: bool = False) -> Foreseen | None:
        """Raise `TransactionDiffers` if anything but the named packages would be touched.

        Gives what the change would do here, if this driver rehearses.
        """

    def upgrade(self, staged: Staged) -> str:
        """Preview, then install; never goes down. Packages already there are left alone.

        Gives what a report shall say of it besides the versions, or nothing.
        """

    def undo(self, staged: Staged) -> str:
        """Preview, then install the older versions of `staged`; as `upgrade`."""

    def recover(self) -> tuple[Package, ...]:
        """Finish a transaction that was torn; give its packages, or nothing if none was begun."""


@dataclass(frozen=True)
class Ran:
    """How a program ended: exit code, and its output (the last `OUTPUT_LIMIT` bytes of it)."""

    code: int
    output: str
    cut: bool


def run(
    argv: Sequence[str],
    log: Path,
    env: Mapping[str, str],
    seconds: int = QUERY_SECONDS,
    lock: Path | None = None,
) -> Ran:
    """Run a program in a session of its own, its output in a file.

    The output is a file and not a pipe, so that a package tool outlives an agent that is killed: it
    must never be torn because nobody reads what it says. While the agent, or its successor, waits
    for it, the file is cut each time it has twice `OUTPUT_LIMIT` bytes: the last of them are kept.
    The program itself, not the agent, holds `lock` while it lives, so that the agent's successor
    can wait for it.

    Raises:
        DriverFailed: it is missing, or ran longer than `seconds` (it is killed then).
        Locked: an earlier program still holds `lock`.
    """
    with ExitStack() as stack:
        out = stack.enter_context(_private(log, os.O_APPEND)).fileno()
        held = [stack.enter_context(_take(lock)).fileno()] if lock else []
        process, before = _start(argv, out, env, held), bytearray()
        try:
            code = _wait(process, seconds, lambda: _cut(out, before))
        except subprocess.TimeoutExpired as error:
            raise _ended(process, argv[0], seconds) from error
        _cut(out, before)
        said = bytes(before) + os.pread(out, 2 * OUTPUT_LIMIT, 0)
        if cut := bool(before) or len(said) > OUTPUT_LIMIT:
            said = said[-OUTPUT_LIMIT:]
            os.ftruncate(out, 0)
            os.write(out, said)
    return Ran(code, said.decode("utf-8", "replace"), cut)


def hear(
    argv: Sequence[str], log: Path, env: Mapping[str, str], seconds: int, fds: Sequence[int] = ()
) -> Ran:
    """Run a program that ends with this one; as `run`, with its output in a pipe.

    However much it says, the last `OUTPUT_LIMIT` bytes are kept, and written to `log` at its end.

    Args:
        fds: descriptors that it gets besides, under their numbers.

    Raises:
        DriverFailed: it is missing, or ran longer than `seconds` (it is killed then).
    """
    source, out = os.pipe2(os.O_CLOEXEC)
    with os.fdopen(source, "rb", buffering=0) as pipe, _private(log) as kept:
        try:
            process = _start(argv, out, env, fds)
        finally:
            os.close(out)
        said, ended = _Tail(), os.pidfd_open(process.pid)
        reader = threading.Thread(target=said.take, args=(pipe.fileno(), ended))
        reader.start()
        try:
            reader.join(seconds)
        finally:
            late = _ended(process, argv[0], seconds) if reader.is_alive() else None
            reader.join()
            os.close(ended)
        kept.write(said.end)
        if late:
            raise late
        return Ran(process.wait(), said.end.decode("utf-8", "replace"), said.size > OUTPUT_LIMIT)


class _Tail:
    """The end of what a program says."""

    def __init__(self) -> None:
        self.end, self.size = bytearray(), 0

    def take(self, source: int, ended: int) -> None:
        """Read until the program itself has ended: what it left behind may hold the pipe open."""
        poll = select.poll()
        poll.register(ended, select.POLLIN)
        poll.register(source, select.POLLIN)
        ready = dict[int, int]()
        while ended not in ready:
            ready = dict(poll.poll())
            if source in ready:
                # More than any pipe of an unprivileged process holds (pipe(7)).
                piece = os.read(source, _CHUNK)
                self.size += len(piece)
                self.end += piece
                if len(self.end) > 2 * OUTPUT_LIMIT:
                    del self.end[:-OUTPUT_LIMIT]
                if not piece:
                    poll.unregister(source)
        del self.end[:-OUTPUT_LIMIT]


def _start(
    argv: Sequence[str], out: int, env: Mapping[str, str], fds: Sequence[int]
) -> "subprocess.Popen[bytes]":
    try:
        return subprocess.Popen(
            list(argv), stdin=subprocess.DEVNULL, stdout=out, stderr=subprocess.STDOUT,
            env=dict(env), cwd="/", start_new_session=True, umask=0o022, pass_fds=fds,
        )  # fmt: skip
    except OSError as error:
        raise DriverFailed(f"cannot run `{argv[0]}`: {error.strerror}") from error


def _ended(process: "subprocess.Popen[bytes]", name: str, seconds: int) -> DriverFailed:
    """End a program that took too long, with all of its session that stayed in its group."""
    os.killpg(process.pid, signal.SIGKILL)
    process.wait()
    return DriverFailed(f"`{name}` was ended after {seconds} seconds")


def _cut(out: int, kept: bytearray) -> None:
    """Empty a file that has grown too large, and keep its end."""
    size = os.fstat(out).st_size
    if size > 2 * OUTPUT_LIMIT:
        kept[:] = os.pread(out, OUTPUT_LIMIT, size - OUTPUT_LIMIT)
        os.ftruncate(out, 0)


def _wait(process: "subprocess.Popen[bytes]", seconds: int, meanwhile: Callable[[], None]) -> int:
    """Wait as `Popen.wait`, which sleeps up to 50 ms after the end; a short call should not."""
    descriptor = os.pidfd_open(process.pid)
    try:
        poll = select.poll()
        poll.register(descriptor, select.POLLIN)
        for _ in range(seconds * _CUTS):
            if poll.poll(1000 // _CUTS):
                break
            meanwhile()
    finally:
        os.close(descriptor)
    return process.wait(0.001)


def wait_until_free(lock: Path, log: Path, sleep: Callable[[float], None]) -> None:
    """Wait for a program that outlived a killed agent, and keep its log small.

    Raises:
        Locked: after `ORPHAN_SECONDS`.
    """
    for _ in range(ORPHAN_SECONDS * _CUTS):
        try:
            _take(lock).close()
        except Locked:
            with suppress(FileNotFoundError), log.open("r+b") as out:
                _cut(out.fileno(), bytearray())
            sleep(1 / _CUTS)
        else:
            return
    raise Locked(f"`{lock}` was held for {ORPHAN_SECONDS} seconds; end its holder")


def last_lines(text: str, count: int = 4) -> str:
    """Give the end of a tool's output as one line of an error message."""
    return " / ".join(line.strip()[:LINE_LIMIT] for line in text.strip().splitlines()[-count:])


class Store:
    """Artefacts by SHA-256 in a directory that only this user can enter; nothing is removed."""

    def __init__(self, directory: Path, suffix: str) -> None:
        """Make the directory."""
        directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        self._directory, self._suffix = directory, suffix

    def path(self, sha256: str) -> Path:
        """Where the artefact with this hash lies, or will lie."""
        assert len(sha256) == 64 and not set(sha256) - set("0123456789abcdef"), sha256  # noqa: PLR2004, PT018
        return self._directory / f"{sha256}{self._suffix}"

    def bring(self, sha256: str, fetch: Fetch) -> Path:
        """Give the artefact's path, fetching it if it is not here; raises `ArtefactDiffers`."""
        path = self.path(sha256)
        if path.exists() and _hash(path) == sha256:
            return path
        partial = path.with_suffix(".part")
        digest, size = hashlib.sha256(), 0
        with fetch(sha256) as source, _private(partial) as copy:
            while block := source.read(_CHUNK):
                size += len(block)
                if size > ARTEFACT_LIMIT:
                    partial.unlink()
                    raise ArtefactDiffers(f"artefact `{sha256}` is over {ARTEFACT_LIMIT} bytes")
                digest.update(block)
                copy.write(block)
            copy.flush()
            os.fsync(copy.fileno())
        if digest.hexdigest() != sha256:
            partial.unlink()
            raise ArtefactDiffers(f"got `{digest.hexdigest()}` where `{sha256}` was named")
        partial.rename(path)
        sync_directory(self._directory)
        return path

    def check(self, staged: Staged) -> None:
        """Hash again what the tool is about to read; raises `ArtefactDiffers`."""
        for package, path in zip(staged.packages, staged.files, strict=True):
            if not path.is_file() or _hash(path) != package.sha256:
                raise ArtefactDiffers(f"`{path.name}` changed since it was staged; stage it again")


class Journal:
    """The transaction that is being done, synced to disk before it is begun."""

    def __init__(self, path: Path) -> None:
        """Remember where it is written."""
        self._path = path

    def begin(self, packages: Sequence[Package], **more: object) -> None:
        """Write it down and sync."""
        rows = [[p.name, p.before, p.after, p.sha256] for p in packages]
        partial = self._path.with_suffix(".part")
        with _private(partial) as out:
            out.write(json.dumps({"packages": rows, **more}, sort_keys=True).encode())
            out.flush()
            os.fsync(out.fileno())
        partial.rename(self._path)
        sync_directory(self._path.parent)

    def read(self) -> tuple[tuple[Package, ...], dict[str, Any]]:
        """Give the transaction that was begun and not ended, and what was noted with it."""
        if not self._path.exists():
            return (), {}
        entry = json.loads(self._path.read_bytes()[:OUTPUT_LIMIT])
        return tuple(Package(*row) for row in entry.pop("packages")), entry

    def end(self) -> None:
        """Forget it: it is done, or was never begun."""
        self._path.unlink(missing_ok=True)
        sync_directory(self._path.parent)


def sync_directory(directory: Path) -> None:
    """Make names in a directory durable."""
    descriptor = os.open(directory, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _take(lock: Path) -> IO[bytes]:
    file = _private(lock)
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        file.close()
        raise Locked(f"a program started earlier holds `{lock}`; wait for it") from error
    return file


def _private(path: Path, more: int = 0) -> IO[bytes]:
    flags = os.O_RDWR | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW | more
    return os.fdopen(os.open(path, flags, 0o600), "w+b")


def _hash(path: Path) -> str:
    with path.open("rb") as source:
        return hashlib.file_digest(source, "sha256").hexdigest()
