"""A container image's files, read from its layers as they lie, without unpacking them to disk.

Forms: an OCI image layout (opencontainers/image-spec, image-layout.md), as a folder or a tar file;
what `docker save` writes (`manifest.json`), as a tar file. Layers are tar files, plain, gzip or
Zstandard (layer.py).
Rules:

1. Layers are laid over each other from the first to the last. `.wh.NAME` takes away what lower
   layers have of NAME, `.wh..wh..opq` all that they have in its folder (layer.md); what is no
   folder also hides what lower layers have below its name.
2. Where an image names its parts by SHA-256, they must have it. Whoever names the image's own
   digest therefore gets that image or a refusal.
3. Only files that a reader of packages may ask for are kept (`WANTED`), in memory, up to a limit.
4. Names that climb out are refused, and links lead nowhere but into the image. What unpacks to
   more than `UNPACKED`, or to more members than `MEMBERS`, is refused (bombs).
5. One with a package database that cannot be read is unreadable, never empty.

Left out: encrypted or foreign layers, fetching from registries, signatures.
"""

import hashlib
import json
import os
import re
from bisect import bisect_left
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import closing
from pathlib import Path
from typing import Any, NamedTuple

from answerable.inventory.installed import Unreadable
from answerable.inventory.layer import GZIP, ZSTD, Layer, Part
from answerable.inventory.tar import Member, Tar, plain
from answerable.inventory.tree import HOPS, Folder

DOCUMENT = 8 << 20
"""Largest index, manifest or configuration, bytes."""
LAYERS = 512
"""Most layers of an image."""
UNPACKED = 32 << 30
"""Most bytes that an image's layers may unpack to."""
MEMBERS = 4_000_000
"""Most members of all layers."""
KEPT = 1 << 30
"""Most bytes of files that are kept; links count with their length."""
ONE = 512 << 20
"""Largest file that is kept, bytes."""
NESTED = 4
"""Deepest index within an index."""
IMAGES = 1_000
"""Most images in one layout."""
WANTED = re.compile(
    r"(?:.*/)?os-release[^/]*|var/lib/dpkg/status(?:\.d/[^/]+)?|(?:usr/)?lib/apk/db/installed"
    r"|(?:var/lib|usr/lib/sysimage|usr/share)/rpm/(?:rpmdb\.sqlite(?:-wal)?|Packages(?:\.db)?)"
    r"|.*\.dist-info/METADATA",
    re.DOTALL,
)
"""Paths of files that readers of packages ask for."""
_SITE = re.compile(
    r"((?:.*/)?lib(?:64)?/python3(?:\.\d{1,3})?/site-packages)/[^/]+\.dist-info/METADATA", re.DOTALL
)
_DIGEST = re.compile(r"sha256:([0-9a-f]{64})")
_NAMED = ("org.opencontainers.image.ref.name", "io.containerd.image.name")
_GONE, _OPAQUE = ".wh.", ".wh..wh..opq"

Progress = Callable[[int, int], None]
"""Told how many layers of how many were read."""


class Image(NamedTuple):
    """An image that was read: its digest, hex, its name, its files.

    The digest is the SHA-256 of its manifest (OCI) or configuration (`docker save`).
    """

    digest: str
    name: str
    files: "Layers"


class _Layout:
    """An image's parts in a folder, by name."""

    def __init__(self, root: Path) -> None:
        self._folder = Folder(root)

    def open(self, name: str) -> Part | None:
        file = self._folder.file(name)
        return None if file is None else Part(file, 0, os.fstat(file.fileno()).st_size)


class _Archive:
    """An image's parts in a tar file: found once, and then read where they lie."""

    def __init__(self, path: Path) -> None:
        self._path, self._at = path, dict[str, tuple[int, int]]()
        links = dict[str, str]()
        with closing(Part(path.open("rb"), 0, path.stat().st_size)) as part:
            tar = Tar(part)
            for count, member in enumerate(tar.members()):
                if count > MEMBERS:
                    raise Unreadable(f"`{path}` has more than {MEMBERS} members")
                self._at[member.name] = (tar.at, member.size)
                if member.kind == "link":
                    folder = member.name.rpartition("/")[0]
                    links[member.name] = os.path.normpath(f"{folder}/{member.target}")
        # `docker save` has a layer that several images share once, and links to it.
        self._at |= {name: self._at[to] for name, to in links.items() if to in self._at}

    def open(self, name: str) -> Part | None:
        return Part(self._path.open("rb"), *self._at[name]) if name in self._at else None


class Layers:
    """Layers laid over each other; conforms to `tree.Tree`."""

    def __init__(self, name: str) -> None:
        """Begin with none."""
        self._name = name
        self._files: dict[str, bytes] = {}
        self._links: dict[str, str] = {}
        self._members = self._kept = 0

    def __str__(self) -> str:
        """Name the image."""
        return self._name

    def lay(self, members: Iterator[Member]) -> None:
        """Lay one more layer over those that are there.

        Raises:
            Unreadable: damaged, or over a limit.
        """
        low = sorted([*self._files, *self._links])
        files, links, gone = dict[str, bytes](), dict[str, str](), set[str]()
        for member in members:
            self._members += 1
            if self._members > MEMBERS:
                raise Unreadable(f"the layers have more than {MEMBERS} members; is it a bomb?")
            folder, _, base = member.name.rpartition("/")
            if base == _OPAQUE:
                gone.update(_below(low, folder))
            elif base.startswith(_GONE):
                away = plain(f"{folder}/{base.removeprefix(_GONE)}")
                gone.update([away, *_below(low, away)])
            else:
                files.pop(member.name, None)
                links.pop(member.name, None)
                gone.update([member.name] if member.kind == "folder" else
                            [member.name, *_below(low, member.name)])  # fmt: skip
                self._keep(member, files, links)
        for name in gone:
            self._files.pop(name, None)
            self._links.pop(name, None)
        self._files |= files
        self._links |= links

    def _keep(self, member: Member, files: dict[str, bytes], links: dict[str, str]) -> None:
        name = member.name
        if member.kind == "link":
            links[name] = member.target
            self._kept += len(name) + len(member.target)
        elif member.kind in ("file", "hard") and WANTED.fullmatch(name):
            if member.kind == "file":
                files[name] = member.read(ONE)
            else:
                to = plain(member.target)
                if to not in files and to not in self._files:
                    raise Unreadable(f"`{name[:200]}` is a link to a file that was not kept")
                files[name] = files.get(to, self._files.get(to, b""))
            self._kept += len(files[name])
        if self._kept > KEPT:
            raise Unreadable(f"the layers have more than {KEPT} bytes of package databases")

    def _real(self, path: str) -> str:
        todo, at, hops = path.split("/")[::-1], list[str](), 0
        while todo:
            part = todo.pop()
            if part in ("", "."):
                continue
            if part == "..":
                del at[-1:]
                continue
            at.append(part)
            target = self._links.get("/".join(at))
            if target is None:
                continue
            hops += 1
            if hops > HOPS:
                raise Unreadable(f"`{path}` of `{self}`: links lead in circles")
            at = [] if target.startswith("/") else at[:-1]
            todo += target.split("/")[::-1]
        return "/".join(at)

    def read(self, path: str, limit: int) -> bytes | None:
        """As `Tree.read`."""
        real = self._real(path)
        data = self._files.get(real)
        if data is None and real != path and not WANTED.fullmatch(real):
            raise Unreadable(f"`{path}` of `{self}` leads to `{real[:200]}`, which is not kept")
        if data is not None and len(data) > limit:
            raise Unreadable(f"`{path}` of `{self}` has more than {limit} bytes")
        return data

    def names(self, folder: str) -> list[str]:
        """As `Tree.names`, of files that are kept."""
        under = f"{self._real(folder)}/"
        kept = (name for each in (self._files, self._links) for name in each)
        return sorted({n[len(under) :].partition("/")[0] for n in kept if n.startswith(under)})

    def environments(self) -> list[str]:
        """Give every folder of Python's that holds a distribution."""
        sites = (_SITE.fullmatch(name) for name in self._files)
        return sorted({site[1] for site in sites if site})


def _below(low: Sequence[str], name: str) -> Iterator[str]:
    under = f"{name}/" if name else ""
    for at in range(bisect_left(low, under), len(low)):
        if not low[at].startswith(under):
            return
        yield low[at]


def open_image(path: Path, wanted: str = "", progress: Progress = lambda _done, _of: None) -> Image:
    """Read an image from a layout or an archive.

    Args:
        wanted: its name, its digest (`sha256:..`) or its platform (`linux/arm64`), where there are
            several.

    Raises:
        Unreadable: it is none, there are several, or it breaks a rule of this module.
    """
    try:
        if not path.is_dir():
            _refuse_packed(path)
        parts = _Layout(path) if path.is_dir() else _Archive(path)
        index = _document(parts, "index.json")
        if index is not None:
            return _oci(parts, index, wanted, progress)
        saved = _document(parts, "manifest.json")
        if saved is not None:
            return _saved(parts, saved, wanted, progress)
    except OSError as error:
        raise Unreadable(f"`{path}`: {error.strerror or error}") from error
    except (KeyError, TypeError, AttributeError, IndexError) as error:
        raise Unreadable(f"`{path}`: a manifest of another shape: {error}") from error
    raise Unreadable(f"`{path}` holds neither `index.json` nor `manifest.json`; is it an image?")


def _refuse_packed(path: Path) -> None:
    with path.open("rb") as file:
        head = file.read(4)
    if head[:2] == GZIP or head == ZSTD:
        raise Unreadable(f"`{path}` is packed as a whole: unpack it first")


def _bytes(parts: _Layout | _Archive, name: str) -> bytes | None:
    part = parts.open(name)
    if part is None:
        return None
    with closing(part):
        data = part.read(DOCUMENT + 1)
    if len(data) > DOCUMENT:
        raise Unreadable(f"`{name}` has more than {DOCUMENT} bytes")
    return data


def _document(parts: _Layout | _Archive, name: str, digest: str = "") -> Any:  # noqa: ANN401  JSON
    data = _bytes(parts, name)
    if data is None and not digest:
        return None
    if data is None or (digest and hashlib.sha256(data).hexdigest() != digest):
        raise Unreadable(f"`{name}` of the image is missing, or other bytes than it names")
    try:
        return json.loads(data)
    except (ValueError, RecursionError) as error:
        raise Unreadable(f"`{name}` of the image is no JSON") from error


def _blob(digest: str) -> tuple[str, str]:
    found = _DIGEST.fullmatch(digest)
    if not found:
        raise Unreadable(f"a part of the image has no SHA-256: `{digest[:100]}`")
    return f"blobs/sha256/{found[1]}", found[1]


class _Choice(NamedTuple):
    name: str
    digest: str
    platform: str


def _choices(
    parts: _Layout | _Archive, index: Mapping[str, Any], name: str = "", depth: int = 0
) -> Iterator[_Choice]:
    for one in index["manifests"][:IMAGES]:
        notes, where = one.get("annotations") or {}, one.get("platform") or {}
        called = next((str(notes[key]) for key in _NAMED if key in notes), name)
        if "index" in one.get("mediaType", "") or "list" in one.get("mediaType", ""):
            if depth >= NESTED:
                raise Unreadable("an index within an index, too deep")
            inner = _document(parts, *_blob(one["digest"]))
            yield from _choices(parts, inner, called, depth + 1)
        elif "vnd.docker.reference.type" not in notes and where.get("os") != "unknown":
            yield _Choice(called, one["digest"], f"{where.get('os')}/{where.get('architecture')}")


def _one(choices: Sequence[_Choice], wanted: str) -> _Choice:
    fit = {c.digest: c for c in choices if not wanted or wanted in c}
    if len(fit) != 1:
        there = "; ".join(f"{c.name} {c.platform} {c.digest}" for c in choices[:20])
        raise Unreadable(f"{len(fit)} images fit: name one of: {there or 'none is there'}")
    return next(iter(fit.values()))


def _oci(
    parts: _Layout | _Archive, index: Mapping[str, Any], wanted: str, progress: Progress
) -> Image:
    chosen = _one(list(_choices(parts, index)), wanted)
    place, digest = _blob(chosen.digest)
    manifest = _document(parts, place, digest)
    names = [_blob(layer["digest"]) for layer in manifest["layers"]]
    files = _laid(parts, [(at, want, "") for at, want in names], chosen.name or digest, progress)
    return Image(digest, chosen.name, files)


def _saved(
    parts: _Layout | _Archive, saved: Sequence[Mapping[str, Any]], wanted: str, progress: Progress
) -> Image:
    choices = [_Choice(tag, str(at), "") for at, one in enumerate(saved[:IMAGES])
               for tag in one.get("RepoTags") or [""]]  # fmt: skip
    chosen = _one(choices, wanted)
    one = saved[int(chosen.digest)]
    config = _bytes(parts, one["Config"])
    digest = hashlib.sha256(config or b"").hexdigest()
    if config is None or digest not in one["Config"]:
        raise Unreadable("the image's configuration is missing, or other bytes than it names")
    plain_hashes = [_blob(d)[1] for d in _document(parts, one["Config"])["rootfs"]["diff_ids"]]
    if len(plain_hashes) != len(one["Layers"]):
        raise Unreadable("the image names other layers than its configuration")
    layers = [(at, "", want) for at, want in zip(one["Layers"], plain_hashes, strict=True)]
    return Image(digest, chosen.name, _laid(parts, layers, chosen.name or digest, progress))


def _laid(
    parts: _Layout | _Archive, layers: Sequence[tuple[str, str, str]], name: str, progress: Progress
) -> Layers:
    if len(layers) > LAYERS:
        raise Unreadable(f"an image of more than {LAYERS} layers")
    files, left = Layers(name), UNPACKED
    for done, (place, packed, unpacked) in enumerate(layers):
        progress(done, len(layers))
        part = parts.open(place)
        if part is None:
            raise Unreadable(f"the layer `{place}` is not there; fetch the whole image")
        with closing(part):
            layer = Layer(part, left)
            files.lay(Tar(layer).members())
            layer.drain()
        left -= layer.unpacked
        hashes = (layer.packed_hash.hexdigest(), layer.plain_hash.hexdigest())
        if packed not in ("", hashes[0]) or unpacked not in ("", hashes[1]):
            raise Unreadable(f"the layer `{place}` has other bytes than the image names")
    progress(len(layers), len(layers))
    return files
