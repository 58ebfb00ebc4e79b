"""A publisher's and a site's whole life, with the commands that people type."""

import hashlib
import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from answerable.cli.main import main
from answerable.feeds.world import FILES, World, Worlds
from answerable.kernel.canon import Json
from tests.feeds.worlds import DAY, NOON, claim, document, given


@pytest.fixture(autouse=True)
def _here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def _run(capsys: pytest.CaptureFixture[str], *words: str) -> str:
    code = main(["feed", "mirror", *words])
    told = capsys.readouterr()
    assert code == 0, told.err
    return told.out.strip()


def _fails(capsys: pytest.CaptureFixture[str], *words: str) -> str:
    assert main(["feed", "mirror", *words]) == 1
    return capsys.readouterr().err.strip()


def _roster(capsys: pytest.CaptureFixture[str]) -> Json:
    people, server = ["dana", "lee"], ["server"]
    cards = [_run(capsys, "key", f"{name}.keys", "--name", name) for name in (*people, *server)]
    role = {"holders": people, "persons": 2, "days": 90}
    online = {"holders": server, "persons": 1, "days": 7}
    return {
        "holders": [key for card in cards for key in json.loads(card)],
        "roles": {"root": role, "targets": role, "snapshot": online, "timestamp": online},
    }


def _publish(capsys: pytest.CaptureFixture[str], flaw: str, now: int) -> World:
    seen = document("kev", [claim("kev", flaw)], now)
    world = Worlds(Path("out")).build(given(seen), now)
    digest = _run(capsys, "publish", "repo", str(world.folder))
    for name in ("dana", "lee"):
        _run(capsys, "sign", "repo", "targets", "--key", f"{name}.keys", "--digest", digest)
    _run(capsys, "issue", "repo", "--key", "server.keys")
    return world


@pytest.fixture
def world(capsys: pytest.CaptureFixture[str]) -> World:
    """Found a publication, publish a world, and trust the root at two sites."""
    Path("roster.json").write_text(json.dumps(_roster(capsys)))
    digest = _run(capsys, "draft", "repo", "--roster", "roster.json")
    assert json.loads(_run(capsys, "review", "repo", "root"))["digest"] == digest
    said = [
        _run(capsys, "sign", "repo", "root", "--key", f"{name}.keys", "--digest", digest)
        for name in ("dana", "lee")
    ]
    assert said == ["waiting", "issued"]
    world = _publish(capsys, "CVE-2024-0001", NOON)
    root = Path("repo/metadata/1.root.json")
    sha256 = hashlib.sha256(root.read_bytes()).hexdigest()
    for site in ("outside", "inside"):
        _run(capsys, "trust", site, str(root), "--sha256", sha256)
    return world


def test_across_an_air_gap(capsys: pytest.CaptureFixture[str], world: World) -> None:
    """Publish, export, carry, import; and last week's crate is refused next week."""
    exported = _run(capsys, "export", "outside", "repo", "x.crate")
    assert _run(capsys, "import", "inside", "x.crate", "--into", "in") == exported
    inside = Worlds(Path("in/worlds"))
    assert inside.newest() == replace(world, folder=Path("in/worlds") / world.root)
    later = _publish(capsys, "CVE-2024-0002", NOON + DAY)
    _run(capsys, "import", "inside", "repo", "--into", "in")
    newest = inside.newest()
    assert newest
    assert newest.root == later.root
    told = _fails(capsys, "import", "inside", "x.crate", "--into", "in")
    assert "rolled_back" in told


@pytest.mark.usefixtures("world")
def test_from_several_mirrors(capsys: pytest.CaptureFixture[str]) -> None:
    """One of them serves; what the others say is listed."""
    words = ["--from", "repo", "--from", "nowhere", "--name", "berlin"]
    fetched = json.loads(_run(capsys, "fetch", "inside", *words, "--into", "in"))
    assert fetched["files"] == len(FILES) + 1
    assert fetched["roles"]["targets"]["signed_by"] == ["dana", "lee"]
    listed = json.loads(_run(capsys, "status", "inside", *words, "--output", "json"))
    assert {row["mirror"]: row["state"] for row in listed} == {
        "repo": "serves",
        "nowhere": "missing",
    }


@contextmanager
def _served(folder: str) -> Iterator[str]:
    """Serve a folder as any web server would, on loopback."""

    class Quiet(SimpleHTTPRequestHandler):
        def log_message(self, *args: object) -> None:
            """Say nothing."""

    with ThreadingHTTPServer(("127.0.0.1", 0), partial(Quiet, directory=folder)) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield f"http://127.0.0.1:{server.server_address[1]}"
        server.shutdown()
        thread.join()


def test_over_http(capsys: pytest.CaptureFixture[str], world: World) -> None:
    """A mirror is a plain web server; what it serves is checked the same."""
    with _served("repo") as url:
        exported = _run(capsys, "export", "outside", url, "x.crate")
        words = ["--from", url, "--name", "berlin", "--into", "in"]
        assert _run(capsys, "fetch", "inside", *words) == exported
    newest = Worlds(Path("in/worlds")).newest()
    assert newest
    assert newest.root == world.root


def test_what_is_no_world_is_not_published(
    capsys: pytest.CaptureFixture[str], world: World
) -> None:
    """A folder that was changed, or is none of ours, is told so before people sign it."""
    (world.folder / "claims.parquet").write_bytes(b"other")
    assert "forged" in _fails(capsys, "publish", "repo", str(world.folder))


def test_a_candidate_is_published_as_a_file(
    capsys: pytest.CaptureFixture[str], world: World
) -> None:
    """Beside the worlds, under its own name."""
    assert world.size
    Path("candidate.json").write_text("{}")
    _run(capsys, "publish", "repo", "candidate.json")
    listed = json.loads(_run(capsys, "review", "repo", "targets"))["signed"]["targets"]
    assert "candidates/candidate.json" in listed


def test_failures_are_one_line(capsys: pytest.CaptureFixture[str]) -> None:
    """What is missing is named, with what to do about it."""
    assert "trust" in _fails(capsys, "import", "inside", "repo", "--into", "in")
    assert "trust" in _fails(capsys, "status", "inside", "--from", "repo", "--name", "berlin")
    told = _fails(capsys, "sign", "repo", "root", "--key", "k", "--digest", "0")
    assert "cannot read the key" in told
