"""Scenes 9 and 10: an edited record is named; everything is checked again offline, by anybody."""

import shutil
import sqlite3
from contextlib import closing
from pathlib import Path

from answerable.bootstrap.serve import boot_clock
from answerable.demo.scenes.cast import CONTROL, LOG, READER, Cast
from answerable.ledger.sqlite import cut

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


def edit(cast: Cast) -> None:
    """Scene 9: change one byte of a record in the log's database, verify, put it back."""
    tell, file = cast.tell, cast.place(LOG) / "authority.db"
    tell.scene(9, "Somebody edits a record in the authority log's database")
    cast.stop(LOG)
    index, honest = _swap(file, None)
    forged = honest.replace(b'"dana"', b'"lana"', 1)
    _swap(file, forged)
    tell.line(f"record {index}, the authorization: its owner `dana` is now `lana`")
    done = cast.run(LOG, "log", "verify", cast.place(LOG), codes=(1,))
    tell.bad(done.out.strip())
    _swap(file, honest)
    done = cast.run(LOG, "log", "verify", cast.place(LOG))
    tell.good(f"put back: {done.err.strip()}")
    cast.own(file, LOG)
    cast.start(LOG, "log", "serve")
    cast.reach(LOG)


def _swap(file: Path, new: bytes | None) -> tuple[int, bytes]:
    """Give the authorization's index and bytes; put these, as many, in its place, if any."""
    with closing(sqlite3.connect(file, isolation_level=None)) as store:
        rows = store.execute("SELECT id, sizes, records FROM entries ORDER BY id").fetchall()
        all_records = (place for row in rows for place in enumerate(cut(*row), row[0]))
        index, found = next(one for one in all_records if b'"type":"authorization"' in one[1])
        if new is not None:
            first, _, records = next(row for row in reversed(rows) if row[0] <= index)
            change = "UPDATE entries SET records = ? WHERE id = ?"
            store.execute(change, (records.replace(found, new), first))
        store.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    return index, found


def play(cast: Cast, place: Path) -> None:
    """Scene 10: verify the evidence that was gathered."""
    tell = cast.tell
    tell.scene(10, "Proof: who allowed what, who was told, what happened")
    began = boot_clock()
    done = cast.run(READER, "verify", place, codes=(0, 1, 3))
    lines = done.out.splitlines()
    tell.quote("\n".join(lines[:_SHOWN]))
    tell.line(f"answerable verify ended with {done.code} after {boot_clock() - began:.1f} s")
