"""Looking into a log server's databases: what was changed there is named."""

import shutil
import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest

from answerable.bootstrap.parties import found, pair_of
from answerable.bootstrap.stored import verify_logs
from answerable.config import Party
from answerable.kernel.errors import Unavailable
from answerable.ledger.log import Log
from answerable.ledger.sqlite import SqliteStore
from tests.ledger.logs import edited

SIZE = 300
Edit = Callable[[Path], None]


@pytest.fixture(scope="module")
def kept(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Give the directory of a log server with two logs of some records."""
    place = tmp_path_factory.mktemp("log")
    party = Party(place, "log", "log.example", "team", "", "", {})
    found(party)
    for name in ("authority", "report"):
        store = SqliteStore(place / f"{name}.db")
        with Log(store, f"log.example/{name}", pair_of(party, name), lambda: 1) as log:
            log.submit([f"record {at}".encode() for at in range(SIZE)]).result()
    return place


def _party(place: Path) -> Party:
    return Party(place, "log", "log.example", "team", "", "", {})


def test_untouched_logs_are_good(kept: Path) -> None:
    """Nothing is reported where nothing was changed."""
    assert verify_logs(_party(kept)) == []


def _one(file: Path) -> None:
    edited(file, 271, b"\0")


def _run(statement: str) -> Edit:
    def edit(file: Path) -> None:
        with closing(sqlite3.connect(file)) as base, base:
            base.execute(statement)

    return edit


@pytest.mark.parametrize(
    ("edit", "record", "how"),
    [
        (_one, 271, "changed after it was logged"),
        (_run("DELETE FROM entries WHERE id = 64"), 64, "missing"),
        (
            _run("UPDATE entries SET records = x'00' WHERE id = 128"),
            128,
            "not those of its",
        ),
        (_run("UPDATE entries SET sizes = x'00' WHERE id = 128"), 128, "not those of its"),
        (_run("UPDATE head SET note = x'41'"), 0, "not this log's"),
    ],
    ids=["changed", "removed", "cut", "uneven", "head"],
)
def test_a_change_is_named(kept: Path, tmp_path: Path, edit: Edit, record: int, how: str) -> None:
    """Which record it was, and what was done to it."""
    copy = tmp_path / "log"
    shutil.copytree(kept, copy)
    edit(copy / "report.db")
    rows = verify_logs(_party(copy))
    assert {row["log"] for row in rows} == {"report"}
    assert rows[0]["record"] == record
    assert how in rows[0]["how"]


def test_a_directory_without_logs_is_said(tmp_path: Path) -> None:
    """No logs at all is not a good log."""
    party = _party(tmp_path)
    found(party)
    with pytest.raises(Unavailable, match="no log at"):
        verify_logs(party)
