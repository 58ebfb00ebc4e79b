"""A table of an SQLite file is read without SQLite: what SQLite reads, or damage, and in bounds."""

import sqlite3
import tempfile
from contextlib import closing
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from answerable.observe import btree
from answerable.observe.btree import Damaged, Row, Store
from tests.kernel.near import near_bytes

TABLE = "create table Packages (hnum integer primary key autoincrement, blob blob not null)"
LONG = [bytes([n % 251]) * (n * 37 % 9_000) for n in range(120)]


def made(folder: Path, blobs: list[bytes], page: int = 512, *more: str) -> Path:
    """Write a file of these blobs."""
    file = folder / "rpmdb.sqlite"
    file.unlink(missing_ok=True)
    with closing(sqlite3.connect(file)) as store, store:
        store.execute(f"pragma page_size = {page}")
        for words in (TABLE, *more):
            store.execute(words)
        store.executemany("insert into Packages (blob) values (?)", [(blob,) for blob in blobs])
    return file


def rows(file: Path) -> list[Row]:
    """Read the table."""
    log = file.with_name(f"{file.name}-wal")
    with file.open("rb") as main:
        if not log.exists():
            return list(Store(main).table("Packages"))
        with log.open("rb") as newer:
            return list(Store(main, newer).table("Packages"))


@settings(max_examples=25, deadline=None)
@given(
    st.lists(st.integers(0, 20_000).map(lambda n: bytes([n % 251]) * n), max_size=30),
    st.sampled_from([512, 1024, 4096, 65_536]),
)
def test_what_sqlite_reads(blobs: list[bytes], page: int) -> None:
    """Rows of any size, on pages of any size, are those that were written, in their order."""
    with tempfile.TemporaryDirectory() as folder:
        file = made(Path(folder), blobs, page, "create index i on Packages (blob)")
        assert rows(file) == [[None, blob] for blob in blobs]


def test_many_rows_have_pages_above_pages(tmp_path: Path) -> None:
    """A tree of several levels, with other tables before it."""
    more = [f"create table t{n} (a, b text, c real)" for n in range(30)]
    blobs = [b"%d" % n * 20 for n in range(5_000)]
    assert rows(made(tmp_path, blobs, 512, *more)) == [[None, blob] for blob in blobs]


def test_log_counts_up_to_the_last_closed_transaction(tmp_path: Path) -> None:
    """What is committed and not yet in the file is read; what is torn off is not."""
    file = made(tmp_path, LONG)
    log = file.with_name(f"{file.name}-wal")
    with closing(sqlite3.connect(file)) as store:
        store.execute("pragma journal_mode = wal")
        with store:
            store.execute("delete from Packages where hnum > 3")
        first = log.stat().st_size
        with store:
            store.execute("insert into Packages (blob) values (?)", (b"new" * 3_000,))
        kept, newer = file.read_bytes(), log.read_bytes()
    expected = [[None, blob] for blob in LONG[:3]]
    for length, after in (
        (len(newer), [[None, b"new" * 3_000]]),
        (len(newer) - 1, []),
        (first, []),
    ):
        file.write_bytes(kept)
        log.write_bytes(newer[:length])
        assert rows(file) == [*expected, *after]
    log.write_bytes(newer[:100] + b"x" + newer[101:])
    assert rows(file) == [[None, blob] for blob in LONG]
    log.write_bytes(b"")
    assert len(rows(file)) == len(LONG)


def test_pages_are_entered_once(tmp_path: Path) -> None:
    """Attack: a tree or a chain in circles, or one page under many rows, to keep us busy."""
    file = made(tmp_path, [bytes(3_000)] * 40)
    data = file.read_bytes()
    for at in range(512, len(data), 512):
        number = at // 512 + 1
        circle = number.to_bytes(4)
        if data[at] == 5:
            data = data[: at + 8] + circle + data[at + 12 :]
        elif data[at] not in (13, 10):
            data = data[:at] + circle + data[at + 4 :]
    file.write_bytes(data)
    with pytest.raises(Damaged, match="twice"):
        rows(file)


def test_rows_of_a_page_do_not_overlap(tmp_path: Path) -> None:
    """Attack: a page whose places all lead to one large row, to make much of little."""
    file = made(tmp_path, [b"x" * 3_000, b"y"], 4096)
    data = bytearray(file.read_bytes())
    leaf = next(at for at in range(4096, len(data), 4096) if data[at] == 13 and data[at + 4] == 2)
    first = data[leaf + 8 : leaf + 10]
    data[leaf + 3 : leaf + 5] = (50).to_bytes(2)
    data[leaf + 8 : leaf + 108] = first * 50
    file.write_bytes(bytes(data))
    with pytest.raises(Damaged, match="overlap"):
        rows(file)


@pytest.mark.parametrize(
    "words", ["create view Packages as select 1 as hnum, zeroblob(9) as blob", "select 1"]
)
def test_only_a_table_is_read(tmp_path: Path, words: str) -> None:
    """Attack: a view by the table's name, whose query would be its writer's; or nothing."""
    file = tmp_path / "rpmdb.sqlite"
    with closing(sqlite3.connect(file)) as store, store:
        store.execute("create table other (a)")
        store.execute(words)
    with pytest.raises(Damaged, match="no table"):
        rows(file)


def test_limits_hold(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Too large a row, too many pages, too long a log: damage, said as such."""
    file = made(tmp_path, LONG)
    for name, most in (("ROW", 100), ("PAGES", 5)):
        with monkeypatch.context() as patched:
            patched.setattr(btree, name, most)
            with pytest.raises(Damaged):
                rows(file)
    with closing(sqlite3.connect(file)) as store:
        store.execute("pragma journal_mode = wal")
        with store:
            store.execute("delete from Packages")
        monkeypatch.setattr(btree, "LOG", 1_000)
        with pytest.raises(Damaged, match="a log of more"):
            rows(file)


def _good() -> bytes:
    with tempfile.TemporaryDirectory() as folder:
        return made(Path(folder), LONG[:20]).read_bytes()


def _logged() -> bytes:
    with tempfile.TemporaryDirectory() as folder:
        file = made(Path(folder), LONG[:20])
        with closing(sqlite3.connect(file)) as store:
            store.execute("pragma journal_mode = wal")
            with store:
                store.execute("delete from Packages where hnum > 3")
            return file.with_name(f"{file.name}-wal").read_bytes()


GOOD, LOGGED = _good(), _logged()


@settings(deadline=None)
@given(near_bytes(GOOD, LOGGED) | st.binary(max_size=200))
def test_nothing_else_leaves_it(data: bytes) -> None:
    """Whatever the bytes, of the file or of its log, there are rows or `Damaged`."""
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder, "rpmdb.sqlite")
        for main, log in ((data, b""), (GOOD, data)):
            file.write_bytes(main)
            file.with_name(f"{file.name}-wal").write_bytes(log)
            try:
                rows(file)
            except Damaged:
                continue
