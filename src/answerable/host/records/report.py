"""Reports: what this host says about each discrete change, signed with its key, sent until taken.

A report's body is that of the report log (`report`): notice, order, change, host, type, result,
reason, detail, caused_by, observed, seq, started, ended. `seq` numbers this host's reports; times
are POSIX seconds by the guards' clocks, 0 where no guard could be asked. A refused bundle that
could not even be read is named by its own SHA-256 as `order`, and by sixty-four zeros as `notice`.

Rules:
* a result is queued by the journal's own line, so it cannot be lost or made twice;
* the nonce is the hash of the body, so the same report is the same statement however often it is
  sent, and the log takes it once;
* a refusal is reported once for each (notice, order, change, reason) that is remembered; at most
  `AN_HOUR` an hour, since whoever hands out bundles could else write this host's reports.

Left out: batches; a host has few reports.
"""

from collections.abc import Callable, Mapping
from hashlib import sha256
from pathlib import Path
from struct import pack
from typing import NamedTuple

from answerable.host.files import HomeUnavailable, read_json, write_file
from answerable.host.network.client import Client, Declined, HttpUnavailable
from answerable.host.records.journal import Journal
from answerable.kernel.canon import Json, conforms, encode
from answerable.kernel.charter import Charter
from answerable.kernel.verify import Enrolled
from answerable.keys.sign import Signer, sign_note, statement_text

ANSWER = 65_536
"""Most that is read of the log's answer, bytes."""
DETAIL = 1000
"""Longest detail of a report, characters."""
REMEMBERED = 256
"""How many refusals are remembered, and kept until they are sent."""
REFUSALS = 4 << 20
"""Largest file of refusals, bytes."""
AN_HOUR = 60
"""Most refusals that are reported in an hour."""
NO_NOTICE = "0" * 64
_HOUR = 3600
_TAKEN = "duplicate"


class About(NamedTuple):
    """What a report is about."""

    notice: str
    order: str
    change: str
    type: str
    caused_by: str = ""


class Ended(NamedTuple):
    """How it ended: `result` and `reason` as in the report's body."""

    result: str
    reason: str = ""
    detail: str = ""
    observed: Mapping[str, str] = {}
    started: int = 0
    ended: int = 0


def body_of(host: str, about: About, ended: Ended, seq: int) -> Json:
    """Spell a report's body."""
    seen = {n: v for n, v in sorted(ended.observed.items()) if conforms(n, "id")}
    return {
        **about._asdict(), "host": host, "result": ended.result, "reason": _plain(ended.reason),
        "detail": _plain(ended.detail), "observed": seen, "seq": seq,
        "started": ended.started, "ended": ended.ended,
    }  # fmt: skip


def _plain(text: str) -> str:
    shown = "".join(c if c >= " " and c != "\x7f" else " " for c in text)
    return shown.encode("utf-8", "replace").decode()[:DETAIL]


class Refusals:
    """The refusals that this host has reported, or is about to."""

    def __init__(self, path: Path, clock: Callable[[], float]) -> None:
        """Read what is remembered; `clock` is the boot-time clock, seconds."""
        self._path, self._clock, self._times = path, clock, list[float]()
        self._rows: list[Json] = []
        if path.exists():
            self._rows = read_json(path, REFUSALS)
            if not isinstance(self._rows, list):
                raise HomeUnavailable(f"`{path}` is damaged; remove it")

    def known(self, about: About, reason: str) -> bool:
        """Tell whether this was reported, or is about to be."""
        return any(row["key"] == _key(about, reason) for row in self._rows)

    def add(self, about: About, reason: str, body: Json) -> bool:
        """Remember and queue one, durably; false if the hour is full."""
        now = self._clock()
        self._times = [t for t in self._times if now - t < _HOUR]
        if len(self._times) >= AN_HOUR:
            return False
        self._times.append(now)
        self._rows.append({"body": body, "key": _key(about, reason), "sent": False})
        self._save()
        return True

    def highest(self) -> int:
        """Give the largest number of a report in here."""
        return max((row["body"]["seq"] for row in self._rows), default=0)

    def unsent(self) -> list[Json]:
        """Give what the log does not have yet, oldest first."""
        return [row["body"] for row in self._rows if not row["sent"]]

    def sent(self, seq: int) -> None:
        """Remember that the log has it."""
        for row in self._rows:
            row["sent"] = row["sent"] or row["body"]["seq"] == seq
        self._save()

    def _save(self) -> None:
        self._rows = self._rows[-REMEMBERED:]
        write_file(self._path, encode(self._rows).encode())


def _key(about: About, reason: str) -> list[str]:
    return [about.notice, about.order, about.change, reason]


class Outbox:
    """Signs what is queued and brings it to the report log.

    Args:
        client: asks servers.
        log: URL of the report log, `<log>/report`.
        signer: the host's key.
        queues: the journal and the refusals.
    """

    def __init__(
        self, client: Client, log: str, signer: Signer, queues: tuple[Journal, Refusals]
    ) -> None:
        self._client, self._log, self._signer = client, log.rstrip("/"), signer
        self._journal, self._refusals = queues

    def waiting(self) -> list[Json]:
        """Give the bodies that the log does not have yet, by number."""
        both = [*self._journal.unsent.values(), *self._refusals.unsent()]
        return sorted(both, key=lambda body: int(body["seq"]))

    def send(self, fleet: str, law: Charter, enrolled: Enrolled) -> str:
        """Send what waits, in order; give nothing, or why the first one was not taken."""
        for body in self.waiting():
            entry = report_note(body, fleet, law, self._signer)
            try:
                self._post(entry, enrolled)
            except HttpUnavailable as error:
                return str(error)
            if body["seq"] in self._journal.unsent:
                self._journal.sent(body["seq"])
            else:
                self._refusals.sent(body["seq"])
        return ""

    def _post(self, entry: bytes, enrolled: Enrolled) -> None:
        try:
            self._add(entry)
        except Declined as declined:
            if declined.reason == _TAKEN:
                return
            if declined.reason not in _UNKNOWN_HOST:
                raise
            self._introduce(enrolled)
            self._add(entry)

    def _add(self, entry: bytes) -> None:
        data = pack(">I", len(entry)) + entry
        self._client.post(f"{self._log}/add", data, ANSWER)

    def _introduce(self, enrolled: Enrolled) -> None:
        record = {
            "enrolment": enrolled.enrolment, "index": enrolled.place,
            "path": [step.hex() for step in enrolled.path], "record": enrolled.record,
        }  # fmt: skip
        self._client.post(f"{self._log}/enrol", encode(record).encode(), ANSWER)


_UNKNOWN_HOST = frozenset({"bad_signature", "not_enrolled", "not_admissible"})


def report_note(body: Json, fleet: str, law: Charter, signer: Signer) -> bytes:
    """Spell and sign a report; the same body under the same charter gives the same bytes."""
    nonce = sha256(encode(body).encode()).hexdigest()[:32]
    origin, number = law.body["logs"]["report"]["origin"], law.body["number"]
    text = statement_text("report", body, charter=number, fleet=fleet, origin=origin, nonce=nonce)
    return sign_note(text, signer)
