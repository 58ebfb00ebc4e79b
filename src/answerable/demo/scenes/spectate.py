"""A spectator: follows both logs as anybody may, and prints each record as one JSON line.

    python -m answerable.demo.scenes.spectate LOG-URL CHARTER HOSTS

    {"body":{..},"by":["dana"],"id":"..","index":3,"leaf":"..","log":"authority","type":"notice"}

It holds no key. Only what a quorum of guards cosigned is printed; the story is told from this.
Left out: everything else; `answerable verify` is the judge.
"""

import json
import sys
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

from answerable.bootstrap.follow import Logs, read_hosts
from answerable.bootstrap.serve import http_client
from answerable.kernel.canon import Json
from answerable.kernel.errors import Refused, Unavailable
from answerable.kernel.statement import AUTHORITY, Statement, open_statement
from answerable.ledger.client import HttpSource, Reader

EVERY = 0.3
"""Seconds between two looks."""


def rows(logs: Logs, source: HttpSource, known: int) -> Iterator[Json]:
    """Give the records of the authority log from `known` on."""
    head = logs.heads["authority"].checkpoint
    if head.size <= known:
        return
    for index, entry in enumerate(Reader(source, head).entries(known, head.size), known):
        try:
            said = open_statement(entry, AUTHORITY, logs.law.owners)
        except Refused:
            continue
        yield _row("authority", index, said)


def _row(log: str, index: int, said: Statement) -> Json:
    by = sorted(name for _, name in said.signers)
    return {"log": log, "index": index, "id": said.id, "leaf": said.leaf, "type": said.kind,
            "by": by, "body": said.body}  # fmt: skip


def main(argv: Sequence[str]) -> None:
    """Follow until killed."""
    url, charter, hosts = argv
    client = http_client()
    logs = Logs(client, url, Path(charter).read_bytes())
    source, sizes = HttpSource(client, f"{url}/authority"), [0, 0]
    while True:
        try:
            logs.hosts = read_hosts(Path(hosts))
            logs.refresh()
            for row in rows(logs, source, sizes[0]):
                sys.stdout.write(json.dumps(row) + "\n")
            for place, _, said in logs.reports[sizes[1] :]:
                if said:
                    sys.stdout.write(json.dumps(_row("report", place, said)) + "\n")
            sizes = [max(sizes[0], logs.heads["authority"].checkpoint.size), len(logs.reports)]
        except (Refused, Unavailable) as error:
            sys.stderr.write(f"{error}\n")
        sys.stdout.flush()
        time.sleep(EVERY)


if __name__ == "__main__":
    main(sys.argv[1:])
