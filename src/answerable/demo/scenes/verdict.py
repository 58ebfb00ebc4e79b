"""Scene 9: everything is checked again offline, from logs and public keys, and one row a change."""

import shutil
import time
from pathlib import Path

from answerable.demo.scenes.cast import CONTROL, LOG, READER, Cast

_SHOWN = 400


def collect(cast: Cast) -> Path:
    """Let somebody without keys gather the evidence; give its directory."""
    place = cast.directory / "evidence"
    cast.own(place, READER, folder=True)
    kept = cast.place(READER) / "checkpoints"
    shutil.copytree(cast.place(CONTROL) / "checkpoints", kept, dirs_exist_ok=True)
    for path in (kept, *kept.iterdir()):
        cast.own(path, READER)
    words = ["--log", cast.url(LOG), "--control", cast.url(CONTROL), "--kept", kept]
    done = cast.run(READER, "evidence", "collect", place, "--hosts", "hosts.json", *words)
    cast.tell.quote(done.err)
    return place


def play(cast: Cast) -> None:
    """Play the scene."""
    tell = cast.tell
    tell.scene(9, "Proof: who allowed what, who was told, what happened")
    place = collect(cast)
    began = time.monotonic()
    done = cast.run(READER, "verify", place, codes=(0, 1, 3))
    lines = done.out.splitlines()
    tell.quote("\n".join(lines[:_SHOWN]))
    tell.line(f"answerable verify ended with {done.code} after {time.monotonic() - began:.1f} s")
