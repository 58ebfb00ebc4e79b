"""Container images, read from their layers."""

import gzip
import json
import random
import sys
from collections.abc import Callable
from hashlib import sha256
from pathlib import Path

import pytest

from answerable.inventory import image, system
from answerable.inventory.image import Layers, open_image
from answerable.inventory.installed import Unreadable
from answerable.inventory.tar import Tar
from tests.inventory.generated import ALMA
from tests.inventory.images import Entry, layout, saved, tar
from tests.inventory.rows import plain
from tests.inventory.rpms import BLOBS, ndb
from tests.inventory.test_dpkg import STATUS
from tests.inventory.test_python import METADATA

if sys.version_info >= (3, 14):
    from compression import zstd
else:
    from backports import zstd

SITE = "opt/app/lib/python3.11/site-packages"
DEBIAN: list[Entry] = [
    ("usr/lib/os-release", b'ID=debian\nVERSION_ID="12"\n'),
    ("etc/os-release", "../usr/lib/os-release"),
    ("lib", "usr/lib"),
    ("var/lib/dpkg/status", STATUS),
]
APP: list[Entry] = [(f"{SITE}/zope-5.4.0.dist-info/METADATA", METADATA)]
SUSE: list[Entry] = [
    ("etc/os-release", b"ID=almalinux\nVERSION_ID=9.4\n"),
    ("var/lib/rpm", "../../usr/lib/sysimage/rpm"),
    ("usr/lib/sysimage/rpm/Packages.db", ndb(BLOBS)),
]


def _members(layer: bytes) -> bytes:
    return gzip.compress(layer[:700]) + gzip.compress(layer[700:]) + bytes(100)


def _frames(layer: bytes) -> bytes:
    return zstd.compress(layer[:700]) + zstd.compress(layer[700:])


def _names(path: Path, wanted: str = "") -> set[str]:
    return {row.package for row in system.read(open_image(path, wanted).files).packages}


def _laid(*layers: list[Entry]) -> Layers:
    files = Layers("test")
    for layer in layers:
        files.lay(Tar(_Whole(tar(*layer))).members())
    return files


class _Whole:
    def __init__(self, data: bytes) -> None:
        self._data, self._at = data, 0

    def read(self, size: int, /) -> bytes:
        self._at += size
        return self._data[self._at - size : self._at]

    def skip(self, size: int) -> None:
        self._at += size


@pytest.mark.parametrize("pack", [bytes, gzip.compress, zstd.compress, _members, _frames])
def test_a_layout_is_read(tmp_path: Path, pack: Callable[[bytes], bytes]) -> None:
    """Packages of the distribution and of an environment, over two layers, packed or plain."""
    digest = layout(tmp_path, tar(*DEBIAN), tar(*APP), pack=pack)
    found = open_image(tmp_path)
    assert f"sha256:{found.digest}" == digest
    rows = system.read(found.files).packages
    assert {"libssl3", "zope-interface"} <= {row.package for row in rows}
    assert {row.arch for row in rows if row.ecosystem == "pypi"} == {"cp311"}


def test_what_docker_saves_is_read(tmp_path: Path) -> None:
    """An archive is read where it lies; a layer that lies there once may be linked to."""
    file = tmp_path / "image.tar"
    file.write_bytes(saved(tar(*SUSE)))
    assert plain(system.read(open_image(file).files).packages) == ALMA
    file.write_bytes(saved(tar(*SUSE), tar(("x", b"")), tar(*SUSE)))
    assert plain(system.read(open_image(file).files).packages) == ALMA


def test_a_layout_in_a_tar_is_read(tmp_path: Path) -> None:
    """What newer tools save is a layout in one file."""
    layout(tmp_path / "in", tar(*DEBIAN), name="x")
    files = [p for p in (tmp_path / "in").rglob("*") if p.is_file()]
    entries = [(str(p.relative_to(tmp_path / "in")), p.read_bytes()) for p in files]
    (tmp_path / "x.tar").write_bytes(tar(*entries))
    assert "libssl3" in _names(tmp_path / "x.tar")


def test_whiteouts_take_away_what_lies_below() -> None:
    """A file, a folder, and all of a folder; and never what the same layer brings."""
    base = [*DEBIAN, *APP]
    assert _laid(base, [("var/lib/dpkg/.wh.status", b"")]).read("var/lib/dpkg/status", 1) is None
    assert _laid(base, [("var/lib/.wh.dpkg", b"")]).names("var/lib/dpkg") == []
    opaque: list[Entry] = [(f"{SITE}/.wh..wh..opq", b""), (f"{SITE}/b.dist-info/METADATA", b"new")]
    for layer in (opaque, opaque[::-1]):
        assert _laid(base, layer).names(SITE) == ["b.dist-info"]
    assert _laid(base, [("opt/.wh.app", b""), *APP]).environments() == [SITE]
    assert _laid(base, [("opt/.wh.ap", b"")]).environments() == [SITE]


def test_what_is_no_folder_hides_a_folder() -> None:
    """A link in the place of a folder leaves nothing of it, and a folder replaces a link."""
    base = [*DEBIAN, *APP]
    assert _laid(base, [("opt", "elsewhere")]).environments() == []
    assert _laid(base, [("etc/os-release", b"ID=x\n")]).read("etc/os-release", 99) == b"ID=x\n"
    etc: list[Entry] = [("etc/os-release", None)]
    assert _laid(base, etc).read("etc/os-release", 99) is None


def test_links_lead_nowhere_but_into_the_image() -> None:
    """Absolute and climbing links stay inside; circles and places that were not kept are said."""
    files = _laid([("usr/lib/os-release", b"x"), ("etc", "/../usr/lib"), ("a", "a"),
                   ("var/lib/dpkg", "/data/dpkg"), ("data/dpkg/status", STATUS)])  # fmt: skip
    assert files.read("etc/os-release", 9) == b"x"
    with pytest.raises(Unreadable, match="circles"):
        files.read("a/b", 9)
    with pytest.raises(Unreadable, match="not kept"):
        files.read("var/lib/dpkg/status", 1 << 20)


def test_hard_links_are_files() -> None:
    """An installer's cache and the environment share one file."""
    cache = "root/.cache/uv/x/zope-5.4.0.dist-info/METADATA"
    there = (cache, METADATA)
    link = (APP[0][0], f"={cache}")
    for layers in ([[there, link]], [[there], [link]]):
        assert _laid(*layers).read(APP[0][0], 999) == METADATA
    with pytest.raises(Unreadable, match="not kept"):
        _laid([("x", b""), (APP[0][0], "=x")])


def test_bombs_are_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What unpacks to too much, or has too many members, ends the reading."""
    layout(tmp_path, tar(("zeros", bytes(3 << 20)), *DEBIAN))
    for limit, most in (("UNPACKED", 1 << 20), ("MEMBERS", 2), ("KEPT", 100)):
        with monkeypatch.context() as patch:
            patch.setattr(image, limit, most)
            with pytest.raises(Unreadable, match="more than"):
                open_image(tmp_path)


def test_a_name_that_climbs_out_is_refused(tmp_path: Path) -> None:
    """A layer cannot reach out of itself, by a name or by a whiteout."""
    for name in ("../../etc/os-release", "a/.wh...", "a/.wh../.."):
        root = tmp_path / str(len(name))
        layout(root, tar((name, b"x")))
        with pytest.raises(Unreadable):
            open_image(root)


def test_other_bytes_than_named_are_refused(tmp_path: Path) -> None:
    """A layer or manifest that was swapped under its name is found."""
    layout(tmp_path, tar(*DEBIAN))
    for blob in sorted((tmp_path / "blobs/sha256").iterdir()):
        data = blob.read_bytes()
        blob.write_bytes(data[:-1] + bytes([data[-1] ^ 1]))
        if b"diff_ids" in data:
            continue  # the configuration of a layout is not needed, and not read
        with pytest.raises(Unreadable):
            open_image(tmp_path)
        blob.write_bytes(data)
    archive = saved(tar(*SUSE))
    at = archive.index(b"BlbS") + 40
    (tmp_path / "x.tar").write_bytes(archive[:at] + b"?" + archive[at + 1 :])
    with pytest.raises(Unreadable, match="other bytes"):
        open_image(tmp_path / "x.tar")


def test_one_image_must_be_named_among_several(tmp_path: Path) -> None:
    """Nothing is picked by chance; attestations beside an image are no images."""
    arm = {"os": "linux", "architecture": "arm64"}
    first = layout(tmp_path, tar(*DEBIAN), platform={"os": "linux", "architecture": "amd64"})
    layout(tmp_path, tar(*SUSE), platform=arm)
    layout(tmp_path, tar(), platform={"os": "unknown", "architecture": "unknown"})
    with pytest.raises(Unreadable, match="2 images fit"):
        open_image(tmp_path)
    assert "libssl3" in _names(tmp_path, first)
    assert "bash" in _names(tmp_path, "linux/arm64")
    with pytest.raises(Unreadable, match="0 images fit"):
        open_image(tmp_path, "linux/mips")


def test_an_index_in_an_index_is_followed(tmp_path: Path) -> None:
    """Images for several platforms hang one level deeper."""
    digest = layout(tmp_path, tar(*DEBIAN))
    inner = json.loads((tmp_path / "index.json").read_text())
    (tmp_path / "index.json").unlink()
    place = image._blob(digest)[0]
    layout(tmp_path, tar())
    blob = tmp_path / place
    data = json.dumps(inner).encode()
    name = blob.with_name(sha256(data).hexdigest())
    name.write_bytes(data)
    listed = [{"mediaType": "x.index.v1+json", "digest": f"sha256:{name.name}"}]
    (tmp_path / "index.json").write_text(json.dumps({"manifests": listed}))
    assert f"sha256:{open_image(tmp_path).digest}" == digest


@pytest.mark.parametrize(
    ("name", "data"),
    [
        ("x", b""),
        ("x", b"not an image"),
        ("x", gzip.compress(saved(tar(*SUSE)))),
        ("x", saved(tar(*SUSE))[:-20_000]),
        ("x", tar(("index.json", b"{}"))),
        ("x", tar(("index.json", b"[]"))),
        ("x", tar(("manifest.json", b"[{}]"))),
        ("x", tar(("manifest.json", b"[1]"))),
        ("x", saved(tar(*SUSE), names=["nothing"] * 2)),
        ("x", saved(b"\x28\xb5\x2f\xfd....")),
        ("x", saved(zstd.compress(tar(*SUSE))[:-9])),
        ("x", saved(gzip.compress(tar(*SUSE))[:-9])),
    ],
)
def test_what_is_no_whole_image_is_unreadable(tmp_path: Path, name: str, data: bytes) -> None:
    """An image that is cut short or none at all is never one without packages."""
    (tmp_path / name).write_bytes(data)
    with pytest.raises(Unreadable):
        open_image(tmp_path / name)


def test_progress_is_told(tmp_path: Path) -> None:
    """Whoever waits sees which layer is read."""
    layout(tmp_path, tar(*DEBIAN), tar(*APP))
    told: list[tuple[int, int]] = []
    open_image(tmp_path, progress=lambda done, of: told.append((done, of)))
    assert told == [(0, 2), (1, 2), (2, 2)]


def _on_disk(layers: list[list[Entry]]) -> dict[str, object]:
    """Lay layers over each other as a file system would, name by name."""
    disk: dict[str, object] = {}
    for layer in layers:
        new: dict[str, object] = {}
        for name, data in layer:
            folder, _, base = name.rpartition("/")
            inside = f"{folder}/" if folder else ""
            away = f"{inside}{base.removeprefix('.wh.')}"
            for below in list(disk):
                opaque = base == ".wh..wh..opq" and below.startswith(inside)
                if opaque or below == away or below.startswith(f"{away}/"):
                    del disk[below]
            if not base.startswith(".wh."):
                new[name] = data
        disk |= new
    return {name: data for name, data in disk.items() if image.WANTED.fullmatch(name)}


def _random_layer(rng: random.Random) -> list[Entry]:
    layer: list[Entry] = []
    for _ in range(rng.randint(0, 5)):
        folder = [rng.choice("abc") for _ in range(rng.randint(0, 2))]
        last = rng.choice([
            "x.dist-info/METADATA", "y.dist-info/METADATA", ".wh..wh..opq", ".wh.x.dist-info",
            f".wh.{rng.choice('abc')}", rng.choice("abc"),
        ])  # fmt: skip
        name = "/".join([*folder, last])
        if not any(f"{n}/".startswith(f"{name}/") or f"{name}/".startswith(f"{n}/")
                   for n, _ in layer):  # fmt: skip
            layer.append((name, b"%d" % rng.randint(0, 99)))
    return layer


@pytest.mark.parametrize("seed", range(8))
def test_layers_lie_over_each_other_as_on_a_disk(seed: int) -> None:
    """Random layers with whiteouts end in the files that laying them out one by one would leave."""
    rng = random.Random(seed)
    for _ in range(40):
        layers = [_random_layer(rng) for _ in range(rng.randint(1, 4))]
        assert _laid(*layers)._files == _on_disk(layers), layers
