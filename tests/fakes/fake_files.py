"""A host's files in memory that forget, at a power cut, what was not synced.

Each operation is counted and may be the last one. What is durable: bytes and looks of a file as
they were at its last `sync`; names of a folder as they were at its last `sync`. Of names that were
not synced any may have arrived all the same: `survives` says which, for each change of a name.
"""

import hashlib
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field, replace

from answerable.host.transaction.port import Look


class PowerCut(BaseException):
    """The machine stops here."""


@dataclass(eq=False)
class Node:
    """A file, folder or link, as processes see it, and as the disk holds it."""

    look: Look
    data: bytes = b""
    names: dict[str, "Node"] = field(default_factory=dict)
    kept: tuple[Look, bytes] | None = None
    held: dict[str, "Node"] = field(default_factory=dict)


def folder() -> Node:
    """An empty folder, durable."""
    look = Look("dir", 0o755)
    return Node(look, kept=(look, b""))


class MemoryFiles:
    """Conforms to `port.Files`."""

    def __init__(self) -> None:
        self.root, self.left = folder(), -1
        self.steps, self.log = 0, list[str]()

    def look(self, path: str) -> Look | None:
        """See the port."""
        node = self._find(path)
        if node is None or node.look.kind != "file":
            return node.look if node else None
        sha256 = hashlib.sha256(node.data).hexdigest()
        return replace(node.look, sha256=sha256, size=len(node.data))

    def names(self, path: str) -> list[str]:
        """See the port."""
        node = self._find(path)
        return sorted(node.names) if node else []

    def read(self, path: str, offset: int = 0, size: int = 1 << 62) -> Iterator[bytes]:
        """See the port."""
        node = self._find(path)
        assert node, path
        yield node.data[offset : offset + size]

    def write(self, path: str, pieces: Iterable[bytes]) -> None:
        """See the port."""
        data = b"".join(pieces)
        self._step(f"make {path}")
        node = self._put(path, Node(Look("file", 0o600)))
        self._step(f"write {path}")
        node.data = data

    def dress(self, path: str, look: Look) -> None:
        """See the port."""
        node = self._find(path)
        assert node, path
        self._step(f"own {path}")
        node.look = replace(node.look, uid=look.uid, gid=look.gid)
        self._step(f"dress {path}")
        node.look = replace(node.look, mode=look.mode, attributes=look.attributes, mtime=look.mtime)

    def link(self, path: str, target: str) -> None:
        """See the port."""
        self._step(f"link {path}")
        look = Look("link", target=target)
        self._put(path, Node(look, kept=(look, b"")))

    def twin(self, path: str, old: str) -> None:
        """See the port."""
        node = self._find(old)
        assert node, old
        self._step(f"twin {path}")
        self._put(path, node)

    def rename(self, old: str, new: str) -> None:
        """See the port."""
        node = self._find(old)
        assert node, old
        there = self._find(new)
        assert there is None or there.look.kind != "dir", new
        self._step(f"rename {new}")
        above, name = self._above(old)
        del above.names[name]
        self._put(new, node)

    def mkdir(self, path: str) -> None:
        """See the port."""
        assert self._find(path) is None, path
        self._step(f"mkdir {path}")
        look = Look("dir", 0o700)
        self._put(path, Node(look, kept=(look, b"")))

    def unlink(self, path: str) -> None:
        """See the port."""
        if node := self._find(path):
            assert node.look.kind != "dir", path
            self._step(f"unlink {path}")
            above, name = self._above(path)
            del above.names[name]

    def rmdir(self, path: str) -> bool:
        """See the port."""
        node = self._find(path)
        if node and node.names:
            return False
        if node:
            self._step(f"rmdir {path}")
            above, name = self._above(path)
            del above.names[name]
        return True

    def sync(self, *paths: str) -> None:
        """See the port; each by itself, so that the power may fail in between."""
        for path in paths:
            node = self._find(path)
            assert node, path
            self._step(f"sync {path}")
            node.kept = (node.look, node.data)
            node.held = dict(node.names)

    def settle(self) -> None:
        """Make everything durable, as after a long while."""
        for node in self._nodes(self.root, set()):
            node.kept, node.held = (node.look, node.data), dict(node.names)

    def cut(self, survives: Callable[[], bool]) -> None:
        """Cut the power: only what is durable is there afterwards, and names that `survives`."""
        for node in self._nodes(self.root, set()):
            if node.look.kind == "dir":
                for name in sorted(node.names.keys() | node.held.keys()):
                    new, old = node.names.get(name), node.held.get(name)
                    if new is not old and survives():
                        _set(node.held, name, new)
        for node in self._nodes(self.root, set()):
            # Bytes that never reached the disk read as nothing.
            empty = replace(node.look, mode=0o600, uid=0, gid=0, attributes=())
            node.look, node.data = node.kept or (empty, b"")
            node.names = dict(node.held)
        self.settle()

    def tree(self) -> dict[str, object]:
        """Give every path with its look and the identity of its file."""
        found: dict[str, object] = {}
        self._walk("", self.root, found)
        return found

    def _walk(self, path: str, node: Node, found: dict[str, object]) -> None:
        look = self.look(path or "/")
        found[path or "/"] = look
        for name, below in node.names.items():
            self._walk(f"{path}/{name}", below, found)

    def _nodes(self, node: Node, seen: set[int]) -> Iterator[Node]:
        if id(node) in seen:
            return
        seen.add(id(node))
        yield node
        for below in [*node.names.values(), *node.held.values()]:
            yield from self._nodes(below, seen)

    def _step(self, what: str) -> None:
        if self.steps == self.left:
            raise PowerCut(what)
        self.steps += 1
        self.log.append(what)

    def _find(self, path: str) -> Node | None:
        node: Node | None = self.root
        for name in path.strip("/").split("/") if path != "/" else ():
            node = node.names.get(name) if node else None
        return node

    def _above(self, path: str) -> tuple[Node, str]:
        parent, _, name = path.rpartition("/")
        node = self._find(parent or "/")
        assert node, path
        return node, name

    def _put(self, path: str, node: Node) -> Node:
        above, name = self._above(path)
        above.names[name] = node
        return node


def _set(names: dict[str, Node], name: str, node: Node | None) -> None:
    if node is None:
        names.pop(name, None)
    else:
        names[name] = node
