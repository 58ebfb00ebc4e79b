"""The enrolled hosts whose reports the report log takes.

A host's key is believed after its record was proven to stand in an enrolment of the authority log
(`Enrolled.prove`); records are kept in an SQLite file, as durable as a log, and proven again under
each new charter, since a removed person's signatures stop counting. A record replaces an older one
of the same host as on a host itself (`replace_record`), and never a newer one: a stolen old key
does not come back.

Left out: un-enrolling. Who is no longer to report is named by a new enrolment or a new charter.
"""

from collections import OrderedDict
from pathlib import Path
from struct import pack, unpack
from threading import Lock

from answerable.kernel.canon import shape
from answerable.kernel.errors import Refused, demand
from answerable.kernel.fold import State
from answerable.kernel.note import ED25519, Key, parse_vkey
from answerable.kernel.verify import Enrolled, replace_record
from answerable.ledger.frontier import hashes
from answerable.ledger.sqlite import connect, failing, transaction

SHAPE = shape("record:text enrolment:hex index:int", path=["hex"])
"""What a host posts: its record's text, the enrolment's id, index and path of the record."""
REMEMBERED = 65_536
"""Most hosts whose proven key is kept in memory."""
_SCHEMA = """
CREATE TABLE IF NOT EXISTS enrolled(
  host TEXT PRIMARY KEY, record TEXT NOT NULL, enrolment TEXT NOT NULL,
  place BLOB NOT NULL, path BLOB NOT NULL) STRICT;
"""


def host_key(enrolled: Enrolled) -> Key:
    """Give the key of an enrolled host, which bears the host's name.

    Raises:
        Refused: `malformed` or `bad_key`.
    """
    body = enrolled.body
    key = parse_vkey(body["key"])
    good = key.kind == ED25519 and key.name == body["host"]
    demand(good, "bad_key", f"the key of `{body['host']}` is not of type 1 and its name")
    return key


class Enrolments:
    """The book of enrolled hosts, in one file."""

    def __init__(self, path: Path) -> None:
        """Open or make the file.

        Raises:
            LedgerUnavailable: if it cannot be used.
        """
        self._path, self._lock = path, Lock()
        self._proven: OrderedDict[str, tuple[str, Key]] = OrderedDict()
        with failing(path):
            path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            path.touch(mode=0o600)
        self._base = connect(path)
        with failing(path):
            self._base.executescript(_SCHEMA)

    def find(self, host: str) -> Enrolled | None:
        """Give the record last taken for a host."""
        query = "SELECT record, enrolment, place, path FROM enrolled WHERE host=?"
        with self._lock, failing(self._path):
            found = self._base.execute(query, (host,)).fetchone()
        if found is None:
            return None
        record, enrolment, place, path = found
        return Enrolled(record, enrolment, unpack(">Q", place)[0], hashes(path))

    def enrol(self, new: Enrolled, state: State) -> str:
        """Take a host's record that the authority log enrolled; give the host's id.

        Raises:
            Refused: if it is not enrolled, or may not replace the record that is known.
        """
        host, old = host_key(new).name, self.find(new.body["host"])
        new.prove(state)
        if old is not None:
            replace_record(old, new, state)
            newer = state.seen.get(new.enrolment, 0) >= state.seen.get(old.enrolment, 0)
            demand(newer, "not_enrolled", f"a newer record of `{host}` is known")
        place = pack(">Q", new.place)
        row = (host, new.record, new.enrolment, place, b"".join(new.path))
        with self._lock, failing(self._path), transaction(self._base) as base:
            base.execute("INSERT OR REPLACE INTO enrolled VALUES(?, ?, ?, ?, ?)", row)
        self._proven.pop(host, None)
        return host

    def key(self, host: str, state: State) -> Key | None:
        """Give a host's key if its enrolment holds under the charter in force."""
        law = state.law().id
        known = self._proven.get(host)
        if known and known[0] == law:
            return known[1]
        enrolled = self.find(host)
        if enrolled is None:
            return None
        try:
            enrolled.prove(state)
            key = host_key(enrolled)
        except Refused:
            return None
        self._proven[host] = (law, key)
        if len(self._proven) > REMEMBERED:
            self._proven.popitem(last=False)
        return key

    def close(self) -> None:
        """Let go of the file."""
        self._base.close()
