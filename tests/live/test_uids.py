"""Parties with uids of their own: whoever takes one over reads no key and no directory of another.

The demo's own parties, made by the real commands, each with its uid; the reader is a process of a
party's uid that tries every path of every other party. Each party reads its own, as a control.
"""

import json
import os
import shutil
import stat
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from answerable.demo.fleet import Fleet
from answerable.demo.ground import Ground
from answerable.demo.scenes.cast import CONTROL, GUARDS, LOG, OBSERVERS, PARTIES, PEOPLE, Cast
from answerable.demo.scenes.tell import Teller

pytestmark = [
    pytest.mark.live, pytest.mark.needs("mount", "network", "uids", "ssh-keygen"),
]  # fmt: skip

_TRY = """
import json, os, sys
def readable(path):
    try:
        os.listdir(path) if os.path.isdir(path) else open(path, "rb").read(1)
    except OSError:
        return False
    return True
asked = json.load(open(sys.argv[1]))
print(json.dumps({"uid": os.getuid(), "read": [p for p in asked if readable(p)]}))
"""
KEYLESS = ("reader", "thief")
"""Who signs nothing: the auditor, and the one who has only what was stolen."""


@pytest.fixture(scope="module")
def cast() -> Iterator[Cast]:
    """Everybody's directory and keys, as `answerable init` and `ssh-keygen` make them."""
    directory = Path(tempfile.mkdtemp(prefix="answerable-uids-"))
    directory.chmod(0o755)
    fleet = Fleet(directory)
    try:
        cast = Cast(directory, Ground("real", "", fleet, "debian:12", directory, ()), Teller())
        cast.prepare()
        for kind, names in (("log", (LOG,)), ("guard", GUARDS), ("observer", OBSERVERS),
                            ("control", (CONTROL,))):  # fmt: skip
            for name in names:
                cast.init(kind, name)
        for person in PEOPLE:
            key = str(cast.place(person) / "id_ed25519")
            cast.run_program(person, ["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", key])
        yield cast
    finally:
        fleet.down()
        shutil.rmtree(directory)


def _paths(cast: Cast, name: str) -> list[str]:
    place = cast.place(name)
    return [str(place), *(str(path) for path in sorted(place.rglob("*")))]


def _read_as(cast: Cast, name: str, paths: list[str]) -> list[str]:
    asked = cast.directory / f"asked-{name}.json"
    asked.write_text(json.dumps(paths), "utf-8")
    asked.chmod(0o644)
    argv = [sys.executable, "-I", "-c", _TRY, str(asked)]
    process = cast.ground.hosts.run_in_hub(argv, cast.uid(name), None, subprocess.PIPE)
    told = json.loads(process.communicate(timeout=60)[0])
    assert told["uid"] == cast.uid(name)
    found: list[str] = told["read"]
    return found


@pytest.mark.parametrize("thief", [CONTROL, *(name for name in PARTIES if name != CONTROL)])
def test_reads_nothing_of_anybody_else(cast: Cast, thief: str) -> None:
    """A process with one party's uid reads all of its own, and nothing of any other party."""
    own = _paths(cast, thief)
    assert _read_as(cast, thief, own) == own
    others = [path for name in PARTIES if name != thief for path in _paths(cast, name)]
    assert len(others) > len(PARTIES)
    assert _read_as(cast, thief, others) == []


def test_modes(cast: Cast) -> None:
    """Uids differ; keys are 0600 of their party, and the directories that hold them 0700."""
    assert len({cast.uid(name) for name in PARTIES}) == len(PARTIES)
    seen = 0
    for name in PARTIES:
        place = cast.place(name)
        assert _mode(place) == (0o700, cast.uid(name))
        for folder in (p for p in place.rglob("*") if p.is_dir()):
            assert _mode(folder) == (0o700, cast.uid(name)), folder
        keys = [p for p in place.glob("keys/*") if p.is_file()] + list(place.glob("id_ed25519"))
        assert keys or name in KEYLESS, name
        for key in keys:
            assert _mode(key) == (0o600, cast.uid(name)), key
        seen += len(keys)
    assert seen > len(PARTIES)


def _mode(path: Path) -> tuple[int, int]:
    found = os.stat(path)  # noqa: PTH116  beside `stat`, whose names it needs
    return stat.S_IMODE(found.st_mode), found.st_uid
