"""Enrolling hosts in batches: the tree that people sign, and each host's place in it.

A batch is an RFC 6962 tree over the records' texts, in their bytes' order; the signed `enrolment`
names its size and root. A row of hosts.json is

    {"enrolment":"<statement id>","path":["<hex>",..],"place":0,"record":"<text>"}

and a host's proof file the same with `index` for `place` (host/enrol.py).
"""

import json
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import httpx

from answerable.bootstrap.follow import HOSTS, read_hosts
from answerable.config import read_bytes, write_private
from answerable.kernel.canon import Json, encode, read
from answerable.kernel.errors import demand
from answerable.kernel.merkle import Tree, leaf_hash
from answerable.kernel.note import ENTRY
from answerable.kernel.verify import RECORD, Enrolled
from answerable.ledger import client as ledger
from answerable.ledger.enrolments import host_key
from answerable.ledger.proofs import inclusion


def read_records(files: Iterable[Path]) -> list[str]:
    """Read records that hosts made, sorted as they stand in the tree.

    Raises:
        NotConfigured: if a file cannot be read.
        Refused: `malformed` or `bad_key`; a host stands twice.
    """
    records = [read_bytes(file, ENTRY).decode(errors="replace").rstrip("\n") for file in files]
    hosts = []
    for record in records:
        read(record.encode(), ENTRY, RECORD)
        hosts.append(host_key(Enrolled(record, "", 0, [])).name)
    demand(hosts, "malformed", "a batch needs one host's record at least")
    demand(len(set(hosts)) == len(hosts), "malformed", "a host stands twice")
    return sorted(records, key=str.encode)


def _tree(records: Sequence[str]) -> Tree:
    return Tree(leaf_hash(record.encode()) for record in records)


def body(records: Sequence[str]) -> Json:
    """Give the body of the enrolment of these records."""
    return {"size": len(records), "root": _tree(records).root().hex()}


def rows(records: Sequence[str], enrolment: str) -> list[Json]:
    """Give each host's row, once the enrolment's statement id is known."""
    tree, size = _tree(records), len(records)
    return [
        {
            "record": record, "enrolment": enrolment, "place": place,
            "path": [step.hex() for step in inclusion(tree.subtree, place, size)],
        }
        for place, record in enumerate(records)
    ]  # fmt: skip


def write_rows(file: Path, made: Sequence[Json]) -> None:
    """Add rows to a file of hosts; one of a host that stands there replaces it."""
    kept = json.loads(read_bytes(file, HOSTS)) if file.exists() else []
    named = {_host(row): row for row in [*kept, *made]}
    write_private(file, json.dumps([named[host] for host in sorted(named)], indent=1).encode())


def write_proofs(folder: Path, made: Sequence[Json]) -> None:
    """Write each host's row as a file of its own, `<host>.json`, for `answerable host prove`."""
    for row in made:
        proof = {name: value for name, value in row.items() if name != "place"}
        proof["index"] = row["place"]
        write_private(folder / f"{_host(row)}.json", encode(proof).encode())


def _host(row: Mapping[str, Any]) -> str:
    return str(read(row["record"].encode(), ENTRY, RECORD)["host"])


def register(client: httpx.Client, log: str, file: Path) -> list[str]:
    """Tell the log server at a URL of every host of a file; give their names.

    Raises:
        Refused: if the authority log does not enrol one, as far as that server has followed.
        Unavailable: if the file or the server cannot be reached.
    """
    url = f"{log.rstrip('/')}/report"
    return [str(ledger.enrol(client, url, enrolled)["host"]) for enrolled in read_hosts(file)]
