"""A publisher's and a site's whole life, with the commands that people type."""

import hashlib
import json
from pathlib import Path

import pytest

from answerable.cli.main import main
from answerable.kernel.canon import Json

WORLD = "a" * 64


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


def _publish(capsys: pytest.CaptureFixture[str], world: str) -> None:
    folder = Path("out") / world
    folder.mkdir(parents=True)
    (folder / "manifest.json").write_text("{}\n")
    (folder / "claims.parquet").write_text(world)
    digest = _run(capsys, "publish", "repo", str(folder))
    for name in ("dana", "lee"):
        _run(capsys, "sign", "repo", "targets", "--key", f"{name}.keys", "--digest", digest)
    _run(capsys, "issue", "repo", "--key", "server.keys")


@pytest.fixture
def _published(capsys: pytest.CaptureFixture[str]) -> None:
    Path("roster.json").write_text(json.dumps(_roster(capsys)))
    digest = _run(capsys, "draft", "repo", "--roster", "roster.json")
    assert json.loads(_run(capsys, "review", "repo", "root"))["digest"] == digest
    said = [
        _run(capsys, "sign", "repo", "root", "--key", f"{name}.keys", "--digest", digest)
        for name in ("dana", "lee")
    ]
    assert said == ["waiting", "issued"]
    _publish(capsys, WORLD)
    root = Path("repo/metadata/1.root.json")
    sha256 = hashlib.sha256(root.read_bytes()).hexdigest()
    for site in ("outside", "inside"):
        _run(capsys, "trust", site, str(root), "--sha256", sha256)


@pytest.mark.usefixtures("_published")
def test_across_an_air_gap(capsys: pytest.CaptureFixture[str]) -> None:
    """Publish, export, carry, import; and last week's crate is refused next week."""
    exported = _run(capsys, "export", "outside", "repo", "x.crate")
    assert _run(capsys, "import", "inside", "x.crate", "--into", "in") == exported
    assert Path("in/worlds", WORLD, "claims.parquet").read_text() == WORLD
    _publish(capsys, "b" * 64)
    _run(capsys, "import", "inside", "repo", "--into", "in")
    told = _fails(capsys, "import", "inside", "x.crate", "--into", "in")
    assert "rolled_back" in told


@pytest.mark.usefixtures("_published")
def test_from_several_mirrors(capsys: pytest.CaptureFixture[str]) -> None:
    """One of them serves; what the others say is listed."""
    words = ["--from", "repo", "--from", "nowhere", "--name", "berlin"]
    fetched = json.loads(_run(capsys, "fetch", "inside", *words, "--into", "in"))
    assert fetched["files"] == 2
    assert fetched["roles"]["targets"]["signed_by"] == ["dana", "lee"]
    listed = json.loads(_run(capsys, "status", "inside", *words, "--output", "json"))
    assert {row["mirror"]: row["state"] for row in listed} == {
        "repo": "serves",
        "nowhere": "missing",
    }


def test_failures_are_one_line(capsys: pytest.CaptureFixture[str]) -> None:
    """What is missing is named, with what to do about it."""
    assert "trust" in _fails(capsys, "import", "inside", "repo", "--into", "in")
    told = _fails(capsys, "sign", "repo", "root", "--key", "k", "--digest", "0")
    assert "cannot read the key" in told
