"""A published log convinces an auditor that we did not write, and no changed copy of it does."""

import shutil
import socket
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from threading import Thread
from types import SimpleNamespace
from typing import Any, cast

import pytest
import uvicorn

from answerable.ledger.admission import AuthorityGate, ReportGate
from answerable.ledger.app import make_app
from answerable.ledger.log import Log
from answerable.ledger.proofs import TileTree, consistency, inclusion
from tests.conformance.export import Exported, export, moved, published
from tests.conformance.foreign import Answer, ask, unb64
from tests.conformance.make_vectors import ORIGIN

EDGES = [0, 1, 2, 255, 256, 257, 511, 512, 513, 65_536, 65_537]
"""Sizes around the edges of tiles: a tile is 256 wide, so level 2 begins at 65,536."""


def audit(log: Exported, **more: str | list[str]) -> dict[str, Any]:
    """Give the job of auditing a log whole."""
    return {"op": "audit", "dir": str(log.folder), "origin": ORIGIN, "keys": log.keys, **more}


def levels(size: int) -> int:
    """Count the tiles that a tree of this size has, as tlog-tiles says."""
    tiles = 0
    while size:
        tiles += (size + 255) // 256
        size //= 256
    return tiles


@pytest.mark.parametrize("size", EDGES)
def test_auditor_accepts_the_export(verifier: Path, tmp_path: Path, size: int) -> None:
    """Checkpoint, all ten signatures, every bundle and tile of a log verify with foreign code."""
    log = export(tmp_path, size)
    (answer,) = ask(verifier, audit(log))
    assert answer["ok"], answer
    assert (answer["size"], unb64(answer["root"])) == (log.head.size, log.head.root)
    assert (answer["bundles"], answer["tiles"]) == ((size + 255) // 256, levels(size))
    assert sorted(one["type"] for one in answer["verified"]) == [1, 4, 4, 4, 4, 6, 6, 6, 6, 6]


@pytest.fixture(scope="module")
def log(tmp_path_factory: pytest.TempPathFactory) -> Exported:
    """A log with two full tiles and a partial one."""
    return export(tmp_path_factory.mktemp("log"), 513)


def flip(name: str, at: int = 40) -> Callable[[Path], None]:
    """Change one bit of a file."""

    def change(folder: Path) -> None:
        data = bytearray((folder / name).read_bytes())
        data[at] ^= 1
        (folder / name).write_bytes(bytes(data))

    return change


def cut(name: str, count: int = 32) -> Callable[[Path], None]:
    """Take bytes from the end of a file."""

    def change(folder: Path) -> None:
        (folder / name).write_bytes((folder / name).read_bytes()[:-count])

    return change


def drop(name: str) -> Callable[[Path], None]:
    """Take a file away."""
    return lambda folder: (folder / name).unlink()


def put(name: str, data: bytes) -> Callable[[Path], None]:
    """Add a file."""

    def change(folder: Path) -> None:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(data)

    return change


def head(edit: Callable[[bytes], bytes]) -> Callable[[Path], None]:
    """Change the checkpoint."""

    def change(folder: Path) -> None:
        path = folder / "checkpoint"
        path.write_bytes(edit(path.read_bytes()))

    return change


def without(line: int) -> Callable[[bytes], bytes]:
    """Leave out one signature line."""

    def edit(note: bytes) -> bytes:
        lines = note.split(b"\n")
        del lines[lines.index(b"") + 1 + line]
        return b"\n".join(lines)

    return edit


CHANGES = {
    "an entry changed": flip("tile/entries/000"),
    "an entry of the last bundle changed": flip("tile/entries/002.p/1", 3),
    "a bundle missing": drop("tile/entries/001"),
    "a bundle cut short": cut("tile/entries/001", 11),
    "a hash of a full tile changed": flip("tile/0/000"),
    "a hash of a partial tile changed": flip("tile/0/002.p/1", 0),
    "a hash of a higher tile changed": flip("tile/1/000.p/2", 33),
    "a tile missing": drop("tile/0/001"),
    "a tile cut short": cut("tile/0/001"),
    "a partial tile that the size does not imply": put("tile/1/000.p/3", bytes(96)),
    "an older partial tile with another hash": put("tile/0/000.p/1", bytes(32)),
    "a tile of a level that does not exist": put("tile/2/000.p/1", bytes(32)),
    "a file that is no tile": put("tile/0/notes", b"hello"),
    "size changed": head(lambda note: note.replace(b"\n513\n", b"\n512\n")),
    "root changed": head(lambda note: note.replace(note.split(b"\n")[2], b"A" * 43 + b"=")),
    "extension line added": head(lambda note: note.replace(b"=\n\n", b"=\nmore\n\n", 1)),
    "log's 0x01 missing": head(without(0)),
    "log's 0x06 missing": head(without(1)),
    "a guard's 0x04 missing": head(without(2)),
    "a guard's 0x06 missing": head(without(3)),
    "time of a 0x04 moved": head(lambda note: moved(note, 2, -600)),
    "time of a 0x06 moved": head(lambda note: moved(note, 3, -600)),
    "time of the log's 0x06 moved": head(lambda note: moved(note, 1, 600)),
}


@pytest.fixture(scope="module")
def verdicts(
    verifier: Path, log: Exported, tmp_path_factory: pytest.TempPathFactory
) -> dict[str, Answer]:
    """The foreign auditor's answer on each changed copy."""
    base, jobs = tmp_path_factory.mktemp("changed"), []
    for number, change in enumerate(CHANGES.values()):
        copy = base / str(number)
        shutil.copytree(log.folder, copy)
        change(copy)
        jobs.append(audit(log, dir=str(copy)))
    return dict(zip(CHANGES, ask(verifier, *jobs), strict=True))


@pytest.mark.parametrize("change", CHANGES)
def test_changed_copy_is_refused(verdicts: dict[str, Answer], change: str) -> None:
    """One change anywhere in the published files is found by a foreign auditor."""
    assert not verdicts[change]["ok"], change


def test_unchanged_copy_and_older_partial_tiles_are_accepted(
    verifier: Path, log: Exported, tmp_path: Path
) -> None:
    """The copies above fail for their change alone; partial tiles of earlier sizes may stay."""
    shutil.copytree(log.folder, tmp_path / "copy")
    full = (log.folder / "tile/0/001").read_bytes()
    put("tile/0/001.p/7", full[: 7 * 32])(tmp_path / "copy")
    (answer,) = ask(verifier, audit(log, dir=str(tmp_path / "copy")))
    assert answer["ok"], answer


@contextmanager
def served(log: Log) -> Iterator[str]:
    """Serve a log as the log server does; give the address of its prefix."""
    gate = SimpleNamespace(log=log)
    app = make_app(cast("AuthorityGate", gate), cast("ReportGate", gate), {})
    server = uvicorn.Server(uvicorn.Config(app, log_config=None))
    with socket.socket() as listening:
        listening.bind(("127.0.0.1", 0))
        listening.listen()
        thread = Thread(target=server.run, kwargs={"sockets": [listening]}, daemon=True)
        thread.start()
        yield f"http://127.0.0.1:{listening.getsockname()[1]}/authority/"
        server.should_exit = True
        thread.join()


def test_auditor_accepts_the_log_server(verifier: Path, tmp_path: Path) -> None:
    """A foreign client audits the log from its server, by the paths that tlog-tiles gives."""
    with published(tmp_path, 300) as (log, keys), served(log) as url:
        spelt = [key.vkey() for key in keys]
        job = {"op": "audit", "url": url, "origin": ORIGIN, "keys": spelt}
        (answer,) = ask(verifier, job)
    assert answer["ok"], answer
    assert (answer["size"], answer["bundles"], answer["tiles"]) == (300, 2, 3)


def test_export_to_the_same_folder_grows_it(verifier: Path, tmp_path: Path) -> None:
    """A folder exported to before stands for the larger log, older partial tiles and all."""
    export(tmp_path / "old", 300)
    shutil.copytree(tmp_path / "old" / "static", tmp_path / "new" / "static")
    grown = export(tmp_path / "new", 513)
    assert (grown.folder / "tile/0/001.p/44").exists()
    (answer,) = ask(verifier, audit(grown))
    assert answer["ok"], answer


def test_proofs_from_tiles_agree_with_go(verifier: Path, tmp_path: Path) -> None:
    """Proofs that a foreign client makes from our tiles are those that our log makes."""
    log = export(tmp_path, 700)
    tree = TileTree(lambda level, index: tile(log.folder, level, index))
    cases = [(0, 1), (255, 256), (256, 257), (511, 600), (699, 700)]
    jobs = [
        {"op": "tiles", "dir": str(log.folder), "size": 700, "index": index, "old": old}
        for index, old in cases
    ]
    for (index, old), answer in zip(cases, ask(verifier, *jobs), strict=True):
        assert answer["ok"], answer
        made = [unb64(step) for step in answer.get("inclusion", [])]
        assert made == inclusion(tree.subtree, index, 700)
        grown = [unb64(step) for step in answer.get("consistency", [])]
        assert grown == consistency(tree.subtree, old, 700)


def tile(folder: Path, level: int, index: int) -> bytes:
    """Read a tile's hashes so far from an export."""
    found = list((folder / "tile" / str(level)).glob(f"{index:03}")) or list(
        (folder / "tile" / str(level)).glob(f"{index:03}.p/*")
    )
    return found[0].read_bytes() if found else b""


def test_keys_must_be_the_right_ones(verifier: Path, log: Exported) -> None:
    """An auditor with another key of the same name, or another origin, is not convinced."""
    name, _, rest = log.keys[0].partition("+")
    wrong = f"{name}+{'0' * 8}+{rest.partition('+')[2]}"
    answers = ask(
        verifier,
        audit(log, keys=[wrong, *log.keys[1:]]),
        audit(log, origin="log.example/report"),
        audit(log, keys=log.keys[:1]),
    )
    assert [answer["ok"] for answer in answers] == [False, False, True]
