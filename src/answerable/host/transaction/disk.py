"""The host's real files, below one root.

Rules:
* a path is walked folder by folder without following any link, and what is done is done in the
  folder that was reached: a user who swaps a folder of theirs for a link redirects nothing;
* bytes are hashed as they are read.

Sources: openat(2), xattr(7), syncfs(2). Left out: folders that are moved while they are used.
"""

import contextlib
import ctypes
import hashlib
import os
import stat
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Self

from answerable.host.transaction.port import CHUNK, FilesFailed, Look

OPEN_FOLDERS = 200
"""Most folders that are held open at once."""
FEW = 4
"""Most paths that are made durable one by one."""
_SKIPPED = ("security.selinux", "trusted.overlay.")
_FOLDER = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
_FILE = os.O_NOFOLLOW | os.O_CLOEXEC | os.O_NONBLOCK


class Disk:
    """Conforms to `port.Files`; a context manager, since it holds folders open.

    Args:
        root: what `/` of the paths is.
    """

    def __init__(self, root: Path) -> None:
        self._root, self._open = root, dict[str, int]()

    def __enter__(self) -> Self:
        """Give it."""
        return self

    def __exit__(self, *_: object) -> None:
        """Close every folder."""
        self._forget("/")

    def look(self, path: str) -> Look | None:
        """See the port."""
        self._trim()
        with _telling("read", path), contextlib.suppress(FileNotFoundError, NotADirectoryError):
            folder, name = self._place(path)
            found = os.stat(name, dir_fd=folder, follow_symlinks=False)
            return self._seen(folder, name, found)
        return None

    def names(self, path: str) -> list[str]:
        """See the port."""
        with _telling("list", path), contextlib.suppress(FileNotFoundError, NotADirectoryError):
            return sorted(os.listdir(self._folder(path)))  # noqa: PTH208  of a descriptor
        return []

    def read(self, path: str, offset: int = 0, size: int = 1 << 62) -> Iterator[bytes]:
        """See the port."""
        with _telling("read", path), self._opened(path) as descriptor:
            os.lseek(descriptor, offset, os.SEEK_SET)
            while size > 0 and (piece := os.read(descriptor, min(size, CHUNK))):
                size -= len(piece)
                yield piece

    def write(self, path: str, pieces: Iterable[bytes]) -> None:
        """See the port."""
        self.unlink(path)
        flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL
        with _telling("write", path), self._opened(path, flags) as descriptor:
            for piece in pieces:
                left = memoryview(piece)
                while left:
                    left = left[os.write(descriptor, left) :]

    def dress(self, path: str, look: Look) -> None:
        """See the port."""
        with _telling("dress", path):
            if look.kind == "link":
                folder, name = self._place(path)
                os.chown(name, look.uid, look.gid, dir_fd=folder, follow_symlinks=False)
                return
            with self._opened(path) as descriptor:
                # First the owner: chown(2) takes setuid bits and capabilities away.
                os.fchown(descriptor, look.uid, look.gid)
                os.fchmod(descriptor, look.mode)
                _put_attributes(descriptor, look)
                if look.kind == "file":
                    os.utime(descriptor, ns=(look.mtime, look.mtime))

    def link(self, path: str, target: str) -> None:
        """See the port."""
        self.unlink(path)
        with _telling("make", path):
            folder, name = self._place(path)
            os.symlink(target, name, dir_fd=folder)

    def twin(self, path: str, old: str) -> None:
        """See the port."""
        self.unlink(path)
        with _telling("make", path):
            (there, first), (here, name) = self._place(old), self._place(path)
            os.link(first, name, src_dir_fd=there, dst_dir_fd=here, follow_symlinks=False)

    def rename(self, old: str, new: str) -> None:
        """See the port."""
        with _telling("replace", new):
            (there, first), (here, name) = self._place(old), self._place(new)
            os.rename(first, name, src_dir_fd=there, dst_dir_fd=here)

    def mkdir(self, path: str) -> None:
        """See the port."""
        with _telling("make", path):
            folder, name = self._place(path)
            os.mkdir(name, 0o700, dir_fd=folder)

    def unlink(self, path: str) -> None:
        """See the port."""
        self._trim()
        with _telling("remove", path), contextlib.suppress(FileNotFoundError, NotADirectoryError):
            folder, name = self._place(path)
            os.unlink(name, dir_fd=folder)

    def rmdir(self, path: str) -> bool:
        """See the port."""
        self._forget(path)
        with contextlib.suppress(FileNotFoundError, NotADirectoryError):
            folder, name = self._place(path)
            try:
                os.rmdir(name, dir_fd=folder)
            except OSError:
                return False
        return True

    def sync(self, *paths: str) -> None:
        """See the port."""
        self._trim()
        done = set[int]()
        for path in paths:
            with _telling("sync", path), self._opened(path) as descriptor:
                if len(paths) <= FEW:
                    os.fsync(descriptor)
                elif (disk := os.fstat(descriptor).st_dev) not in done:
                    # One flush of the whole disk is cheaper than many of its files.
                    done.add(disk)
                    _syncfs(descriptor)

    def _seen(self, folder: int, name: str, found: os.stat_result) -> Look:
        mode, owner = stat.S_IMODE(found.st_mode), (found.st_uid, found.st_gid)
        if stat.S_ISLNK(found.st_mode):
            return Look("link", 0, *owner, target=os.readlink(name, dir_fd=folder))
        if not (stat.S_ISREG(found.st_mode) or stat.S_ISDIR(found.st_mode)):
            return Look("other", mode, *owner)
        descriptor = os.open(name, os.O_RDONLY | _FILE, dir_fd=folder)
        try:
            pairs = _attributes(descriptor)
            if stat.S_ISDIR(found.st_mode):
                return Look("dir", mode, *owner, attributes=pairs)
            digest, size = hashlib.sha256(), 0
            while piece := os.read(descriptor, CHUNK):
                digest.update(piece)
                size += len(piece)
        finally:
            os.close(descriptor)
        return Look("file", mode, *owner, digest.hexdigest(), size, "", found.st_mtime_ns, pairs)

    @contextlib.contextmanager
    def _opened(self, path: str, flags: int = os.O_RDONLY) -> Iterator[int]:
        folder, name = self._place(path)
        descriptor = os.open(name, flags | _FILE, 0o600, dir_fd=folder)
        try:
            yield descriptor
        finally:
            os.close(descriptor)

    def _place(self, path: str) -> tuple[int, str]:
        assert path.startswith("/"), path
        parent, _, name = path.rstrip("/").rpartition("/")
        return self._folder(parent or "/"), name or "."

    def _folder(self, path: str) -> int:
        if path not in self._open:
            if path == "/":
                self._open[path] = os.open(self._root, _FOLDER & ~os.O_NOFOLLOW)
            else:
                above, _, name = path.rpartition("/")
                self._open[path] = os.open(name, _FOLDER, dir_fd=self._folder(above or "/"))
        return self._open[path]

    def _trim(self) -> None:
        if len(self._open) >= OPEN_FOLDERS:
            self._forget("/")

    def _forget(self, path: str) -> None:
        below = path.rstrip("/") + "/"
        for known in [p for p in self._open if p == path or p.startswith(below)]:
            os.close(self._open.pop(known))


def _syncfs(descriptor: int) -> None:
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.syncfs(descriptor):
        raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))


def _attributes(descriptor: int) -> tuple[tuple[str, str], ...]:
    try:
        names = [n for n in os.listxattr(descriptor) if not n.startswith(_SKIPPED)]
    except OSError:
        return ()
    return tuple((n, os.getxattr(descriptor, n).hex()) for n in sorted(names))


def _put_attributes(descriptor: int, look: Look) -> None:
    wanted = dict(look.attributes)
    for name, _ in _attributes(descriptor):
        if name not in wanted:
            os.removexattr(descriptor, name)
    for name, value in wanted.items():
        os.setxattr(descriptor, name, bytes.fromhex(value))


@contextlib.contextmanager
def _telling(verb: str, path: str) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise FilesFailed(f"cannot {verb} `{path}`: {error.strerror}") from error
