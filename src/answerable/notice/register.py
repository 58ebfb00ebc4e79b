"""What a herald has done so far, in its own SQLite database (WAL, synchronous FULL).

Rules:

1. A step is written down before the next one begins, so that a herald that is killed anywhere goes
   on where it was: a message may be sent twice, with the same id, but a delivery is said once.
2. A notice is `open` until its plan was found to be what the notice says (`good`) or not (`bad`);
   `late` if that took longer than the notice is valid.

Left out: the rules themselves (herald.py).
"""

import json
import os
import sqlite3
import threading
from dataclasses import dataclass
from pathlib import Path

from answerable.kernel.canon import Json
from answerable.kernel.errors import Unavailable

BUSY = 10.0
"""How long another writer is waited for, seconds."""
FINDINGS = 10_000
"""Most findings that are kept; the oldest go first."""
_SCHEMA = """
PRAGMA journal_mode=WAL;
PRAGMA synchronous=FULL;
BEGIN IMMEDIATE;
CREATE TABLE IF NOT EXISTS notice(
    leaf TEXT PRIMARY KEY, number INTEGER NOT NULL, id TEXT NOT NULL, body TEXT NOT NULL,
    status TEXT NOT NULL, detail TEXT NOT NULL, subject TEXT NOT NULL, text TEXT NOT NULL,
    plan BLOB NOT NULL, again INTEGER NOT NULL,
    unlabelled INTEGER NOT NULL, ends INTEGER NOT NULL);
CREATE INDEX IF NOT EXISTS notice_ends ON notice(status, ends);
CREATE TABLE IF NOT EXISTS delivery(
    leaf TEXT, person TEXT, channel TEXT NOT NULL, time INTEGER NOT NULL, charter INTEGER NOT NULL,
    entry BLOB NOT NULL, again INTEGER NOT NULL, logged INTEGER NOT NULL,
    PRIMARY KEY(leaf, person));
CREATE TABLE IF NOT EXISTS attempt(
    leaf TEXT, person TEXT, again INTEGER NOT NULL, PRIMARY KEY(leaf, person));
CREATE TABLE IF NOT EXISTS acknowledged(
    leaf TEXT, person TEXT, time INTEGER NOT NULL, PRIMARY KEY(leaf, person));
CREATE TABLE IF NOT EXISTS finding(
    number INTEGER PRIMARY KEY AUTOINCREMENT, time INTEGER, notice TEXT, detail TEXT);
COMMIT;
"""


class HeraldUnavailable(Unavailable):
    """The herald's own database, the control plane or the log is missing or broken."""


@dataclass(frozen=True)
class Noticed:
    """A notice as the herald found it in the log; `again`: when it is looked at next."""

    leaf: str
    number: int
    id: str
    body: Json
    status: str
    detail: str
    subject: str
    text: str
    again: int
    unlabelled: bool


@dataclass(frozen=True)
class Delivered:
    """A message that a channel took, and the statement that says so."""

    leaf: str
    person: str
    channel: str
    time: int
    charter: int
    entry: bytes
    again: int


_NOTICED = "SELECT leaf,number,id,body,status,detail,subject,text,again,unlabelled FROM notice"


def _noticed(leaf: str, number: int, statement: str, body: str, *rest: Json) -> Noticed:
    status, detail, subject, text, again, unlabelled = rest
    said = (status, detail, subject, text, again)
    return Noticed(leaf, number, statement, json.loads(body), *said, bool(unlabelled))


class Register:
    """The database of one herald; threads may share it."""

    def __init__(self, path: Path) -> None:
        """Open it, or make it with mode 0600.

        Raises:
            HeraldUnavailable: if it is not usable.
        """
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        os.close(os.open(path, os.O_CREAT | os.O_RDWR, 0o600))
        self._lock = threading.RLock()
        try:
            self._db = sqlite3.connect(
                path, timeout=BUSY, isolation_level=None, check_same_thread=False
            )
            self._db.executescript(_SCHEMA)
        except sqlite3.Error as error:
            raise HeraldUnavailable(f"`{path}` is not a usable database: {error}") from error

    def run(self, statement: str, *values: str | int | bytes) -> list[tuple[Json, ...]]:
        """Run one statement, durable when it returns.

        Raises:
            HeraldUnavailable: if the database fails.
        """
        with self._lock:
            try:
                return self._db.execute(statement, values).fetchall()
            except sqlite3.Error as error:
                raise HeraldUnavailable(f"the herald's database fails: {error}") from error

    def next_number(self) -> int:
        """Give the index in the log after the last notice known."""
        return int(self.run("SELECT coalesce(max(number), -1) + 1 FROM notice")[0][0])

    def add(self, leaf: str, number: int, statement: str, body: Json) -> None:
        """Write down a notice that was found in the log."""
        row = (leaf, number, statement, json.dumps(body), body["not_after"])
        self.run("INSERT OR IGNORE INTO notice VALUES (?,?,?,?,'open','','','',x'',0,0,?)", *row)

    def notices(self, status: str, now: int) -> list[Noticed]:
        """Give the notices of a status that had not ended at this second, in the log's order."""
        ask = f"{_NOTICED} WHERE status=? AND ends>? ORDER BY number"
        return [_noticed(*row) for row in self.run(ask, status, now)]

    def newest(self, count: int) -> list[Noticed]:
        """Give the newest notices of any status, newest first."""
        rows = self.run(f"{_NOTICED} ORDER BY number DESC LIMIT ?", count)
        return [_noticed(*row) for row in rows]

    def lapse(self, now: int) -> None:
        """Give up the notices that ended before their plan was seen."""
        change = "UPDATE notice SET status='late' WHERE status='open' AND ends<=?"
        self.run(change, now)

    def notice(self, leaf: str) -> Noticed | None:
        """Give one notice."""
        rows = self.run(f"{_NOTICED} WHERE leaf=?", leaf)
        return _noticed(*rows[0]) if rows else None

    def good(self, leaf: str, subject: str, text: str, *, plan: bytes, unlabelled: bool) -> None:
        """Write down that a notice says what its plan does."""
        change = "UPDATE notice SET status='good', detail='', subject=?, text=?, plan=?"
        self.run(f"{change}, unlabelled=? WHERE leaf=?", subject, text, plan, unlabelled, leaf)

    def judge(self, leaf: str, status: str, detail: str, again: int = 0) -> None:
        """Write down another verdict on a notice."""
        change = "UPDATE notice SET status=?, detail=?, again=? WHERE leaf=?"
        self.run(change, status, detail, again, leaf)

    def plan(self, leaf: str) -> bytes | None:
        """Give the plan behind a notice that was found good."""
        rows = self.run("SELECT plan FROM notice WHERE leaf=? AND status='good'", leaf)
        return bytes(rows[0][0]) if rows else None

    def told(self, leaf: str) -> set[str]:
        """Name the persons a notice was delivered to."""
        return {p for (p,) in self.run("SELECT person FROM delivery WHERE leaf=?", leaf)}

    def due(self, leaf: str, person: str, now: int) -> bool:
        """Tell whether a person may be tried now."""
        ask = "SELECT again FROM attempt WHERE leaf=? AND person=?"
        rows = self.run(ask, leaf, person)
        return not rows or rows[0][0] <= now

    def delivered(self, leaf: str, person: str) -> Delivered | None:
        """Give what was delivered to a person, None if nothing was."""
        ask = "SELECT leaf,person,channel,time,charter,entry,again FROM delivery"
        rows = self.run(f"{ask} WHERE leaf=? AND person=?", leaf, person)
        return Delivered(*rows[0]) if rows else None

    def acknowledge(self, leaf: str, person: str, now: int) -> None:
        """Write down that a person acknowledged; the first time counts."""
        self.run("INSERT OR IGNORE INTO acknowledged VALUES (?,?,?)", leaf, person, now)

    def acknowledged(self, leaf: str, person: str) -> int:
        """Give the second at which a person acknowledged, 0 if never."""
        ask = "SELECT time FROM acknowledged WHERE leaf=? AND person=?"
        rows = self.run(ask, leaf, person)
        return int(rows[0][0]) if rows else 0

    def later(self, leaf: str, person: str, again: int) -> None:
        """Try a person again at this second."""
        self.run("REPLACE INTO attempt VALUES (?,?,?)", leaf, person, again)

    def deliver(self, one: Delivered) -> None:
        """Write down a delivery, or its statement anew."""
        row = (one.leaf, one.person, one.channel, one.time, one.charter, one.entry, one.again)
        self.run("REPLACE INTO delivery VALUES (?,?,?,?,?,?,?,0)", *row)

    def unlogged(self) -> list[Delivered]:
        """Give the deliveries that do not stand in the log yet."""
        ask = "SELECT leaf,person,channel,time,charter,entry,again FROM delivery WHERE NOT logged"
        return [Delivered(*row) for row in self.run(f"{ask} ORDER BY time")]

    def logged(self, leaf: str, person: str) -> None:
        """Write down that a delivery stands in the log, or never will."""
        self.run("UPDATE delivery SET logged=1 WHERE leaf=? AND person=?", leaf, person)

    def find(self, time: int, notice: str, detail: str) -> None:
        """Keep a finding about a notice, unless it is the last one about it again."""
        ask = "SELECT detail FROM finding WHERE notice=? ORDER BY number DESC LIMIT 1"
        if self.run(ask, notice) == [(detail,)]:
            return
        row = (time, notice, detail)
        self.run("INSERT INTO finding(time, notice, detail) VALUES (?,?,?)", *row)
        old = "DELETE FROM finding WHERE number <= (SELECT max(number) FROM finding) - ?"
        self.run(old, FINDINGS)

    def findings(self) -> list[tuple[int, str, str]]:
        """Give second, notice and detail of each finding, oldest first."""
        rows = self.run("SELECT time, notice, detail FROM finding ORDER BY number")
        return [(time, notice, detail) for time, notice, detail in rows]

    def forget(self, size: int) -> None:
        """Forget the notices from record `size` on, which the log has no more."""
        self.run("DELETE FROM notice WHERE number>=?", size)
        self.run("DELETE FROM delivery WHERE leaf NOT IN (SELECT leaf FROM notice)")
        self.run("DELETE FROM attempt WHERE leaf NOT IN (SELECT leaf FROM notice)")
        self.run("DELETE FROM acknowledged WHERE leaf NOT IN (SELECT leaf FROM notice)")

    def close(self) -> None:
        """Close the database."""
        with self._lock:
            self._db.close()
