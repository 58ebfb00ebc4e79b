"""Images of our own making: tar files, layers, layouts, archives."""

import gzip
import io
import json
import tarfile
from collections.abc import Callable
from hashlib import sha256
from pathlib import Path
from typing import Any

Entry = tuple[str, bytes | str | None]
"""A name and its bytes; a `str` is the target of a link, `None` a folder."""


def tar(*entries: Entry, form: int = tarfile.PAX_FORMAT) -> bytes:
    """Make a tar file; a target that begins with `=` is that of a hard link."""
    made = io.BytesIO()
    with tarfile.open(fileobj=made, mode="w", format=form) as file:
        for name, data in entries:
            info = tarfile.TarInfo(name)
            if isinstance(data, bytes):
                info.size = len(data)
                file.addfile(info, io.BytesIO(data))
                continue
            hard = data is not None and data.startswith("=")
            info.type = tarfile.DIRTYPE if data is None else tarfile.SYMTYPE
            info.type = tarfile.LNKTYPE if hard else info.type
            info.linkname = (data or "").removeprefix("=")
            file.addfile(info)
    return made.getvalue()


def _put(root: Path, data: bytes) -> str:
    digest = sha256(data).hexdigest()
    place = root / "blobs/sha256" / digest
    place.parent.mkdir(parents=True, exist_ok=True)
    place.write_bytes(data)
    return f"sha256:{digest}"


def layout(
    root: Path,
    *layers: bytes,
    pack: Callable[[bytes], bytes] = gzip.compress,
    **more: Any,  # noqa: ANN401
) -> str:
    """Write an OCI layout with one image; give its digest. `more` goes to its descriptor."""
    blobs = [pack(layer) for layer in layers]
    config = _put(root, json.dumps({"rootfs": {"diff_ids": []}}).encode())
    manifest = {
        "schemaVersion": 2, "config": {"digest": config},
        "layers": [{"digest": _put(root, blob), "size": len(blob)} for blob in blobs],
    }  # fmt: skip
    digest = _put(root, json.dumps(manifest).encode())
    index = root / "index.json"
    there = json.loads(index.read_text())["manifests"] if index.exists() else []
    listed = [*there, {"digest": digest, "mediaType": "manifest+json", **more}]
    index.write_text(json.dumps({"schemaVersion": 2, "manifests": listed}))
    return digest


def saved(*layers: bytes, tags: tuple[str, ...] = ("web:1",), names: Any = None) -> bytes:  # noqa: ANN401
    """Make what `docker save` wrote before it wrote layouts; a layer that is there is linked to."""
    ids = [f"sha256:{sha256(layer).hexdigest()}" for layer in layers]
    config = json.dumps({"rootfs": {"type": "layers", "diff_ids": ids}}).encode()
    name = f"{sha256(config).hexdigest()}.json"
    places = names or [f"{at}/layer.tar" for at in range(len(layers))]
    manifest = [{"Config": name, "RepoTags": list(tags), "Layers": places}]
    first = {layer: f"../{place}" for place, layer in zip(places[::-1], layers[::-1], strict=False)}
    files: list[Entry] = [
        (place, layer if first[layer] == f"../{place}" else first[layer])
        for place, layer in zip(places, layers, strict=False)
    ]
    return tar((name, config), *files, ("manifest.json", json.dumps(manifest).encode()))
