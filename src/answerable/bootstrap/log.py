"""`answerable log serve`: both logs in one process, each with its keys, store and publisher.

The first charter is the party's `charter.note`; it is the authority log's first record. Settings:
`renewal`, seconds between two cosignatures of an unchanged head (60 if left out).
"""

from hashlib import sha256

import httpx

from answerable.bootstrap.parties import LOGS, pair_of
from answerable.bootstrap.serve import SECONDS, clock, serve
from answerable.config import NotConfigured, Party
from answerable.kernel.statement import open_charter
from answerable.ledger.admission import AuthorityGate, ReportGate
from answerable.ledger.app import make_app
from answerable.ledger.enrolments import Enrolments
from answerable.ledger.log import Log
from answerable.ledger.publish import Publisher, Schedule
from answerable.ledger.sqlite import SqliteStore


def fleet_of(charter: bytes) -> str:
    """Give the fleet that a first charter founds: the SHA-256 of its text, in hex."""
    return sha256(charter.rpartition(b"\n\n")[0] + b"\n").hexdigest()


def open_logs(party: Party) -> dict[str, Log]:
    """Open both logs of a log server's directory."""
    return {
        name: Log(
            SqliteStore(party.directory / f"{name}.db"),
            f"{party.name}/{name}",
            pair_of(party, name),
            clock,
        )
        for name in LOGS
    }


def run_log(party: Party) -> None:
    """Serve both logs until a signal ends it.

    Raises:
        Unavailable: if keys, charter or databases are missing or damaged.
        Refused: if the charter is none to begin with.
    """
    charter = party.charter()
    logs = open_logs(party)
    authority = AuthorityGate(logs["authority"], fleet_of(charter), clock)
    if authority.law() is None:
        if open_charter(charter)[0].origin != logs["authority"].origin:
            raise NotConfigured("the first charter names another log: see `answerable log charter`")
        authority.submit([charter]).index.result()
    enrolments = Enrolments(party.directory / "enrolments.db")
    report = ReportGate(logs["report"], authority, enrolments, clock)
    client = httpx.AsyncClient(timeout=SECONDS, follow_redirects=False, trust_env=False)
    schedule = Schedule(renewal=party.settings.get("renewal", 60))
    publishers = {
        name: Publisher(log, authority.law, client, clock, schedule) for name, log in logs.items()
    }
    try:
        serve(make_app(authority, report, publishers), party.address)
    finally:
        for log in logs.values():
            log.close()
