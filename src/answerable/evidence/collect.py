"""Gathering an evidence directory (folder.py) from running servers, and from what was kept.

| what | where from |
|---|---|
| both logs | `<log>/<name>/...`, tile by tile; or already there, by `answerable log export` |
| `charter.note` | the first record of the authority log |
| `hosts.json` | a file that is given |
| `plans/` | `<control>/plans/<digest>`, or any guard's `/notices/<leaf>/plan` |
| `witnessed/` | the checkpoints in hosts' bundles; folders where followers keep checkpoints |

Nothing is believed while it is gathered; `verify` judges. Gathering again adds what is new. What
nobody gives is listed, and makes less provable.
"""

import json
from collections.abc import Iterable, Sequence
from hashlib import sha256
from pathlib import Path

import httpx

from answerable.evidence.authority import read_authority
from answerable.evidence.folder import PLAN, Folder, NoEvidence
from answerable.evidence.heads import claimed
from answerable.kernel.canon import Json
from answerable.kernel.charter import Charter
from answerable.kernel.checkpoint import CHECKPOINT
from answerable.kernel.errors import Refused
from answerable.kernel.note import Key
from answerable.kernel.order import BUNDLE, read_bundle
from answerable.kernel.statement import open_charter
from answerable.ledger.client import HttpSource, Reader
from answerable.ledger.export import export
from answerable.ledger.store import LedgerUnavailable

LISTED = 1 << 24
"""Largest list of a host's bundles, bytes."""
LOGS = ("authority", "report")


class Collector:
    """Gathers into one directory; `missing` lists what nobody gave."""

    def __init__(self, path: Path, client: httpx.Client) -> None:
        """Gather into this directory, which may have evidence in it already."""
        self.path, self._client = path, client
        self.missing: list[str] = []

    def logs(self, url: str) -> None:
        """Copy both logs from a log server.

        Raises:
            LedgerUnavailable: if they cannot be read, or differ from what was gathered before.
        """
        law: Charter | None = None
        for name in LOGS:
            source = HttpSource(self._client, f"{url.rstrip('/')}/{name}")
            try:
                note, checkpoint = claimed(source, name)
            except NoEvidence:
                self.missing.append(f"the {name} log has no cosigned checkpoint yet")
                continue
            if name == "authority":
                entries = list(Reader(source, checkpoint).entries(0, 1))
                self._write("charter.note", entries[0])
                law = open_charter(entries[0])[0]
            keys = _keys(law, name) if law else []
            export(source, note, checkpoint, keys, self.path / name)

    def hosts(self, file: Path) -> None:
        """Copy host records: a JSON list of {"record","enrolment","place","path"}."""
        try:
            self._write("hosts.json", file.read_bytes())
        except OSError as error:
            raise NoEvidence(f"cannot read `{file}`: {error.strerror}") from error

    def kept(self, folders: Iterable[Path]) -> None:
        """Copy checkpoints that followers kept (an observer's `seen`, a control plane's)."""
        for folder in folders:
            if not folder.is_dir():
                self.missing.append(f"no folder `{folder}`")
                continue
            for place in sorted(folder.iterdir()):
                if place.is_file() and place.stat().st_size <= CHECKPOINT:
                    self._witnessed(place.read_bytes())

    def control(self, url: str) -> None:
        """Fetch plans and the checkpoints in bundles from a control plane (and guards)."""
        known, _ = read_authority(Folder(self.path))
        base = url.rstrip("/")
        state = known.state
        guards = known.laws[-1][1].body["guards"].values() if known.laws else ()
        hosts = set[str]()
        for leaf, row in state.notices.items():
            digest = row["body"]["plan"]
            pages = [f"{guard['url'].rstrip('/')}/notices/{leaf}/plan" for guard in guards]
            data = self._plan(digest, [f"{base}/plans/{digest}", *pages])
            hosts |= _hosts(data)
        for host in sorted(hosts):
            self._bundles(base, host)

    def _plan(self, digest: str, urls: Sequence[str]) -> bytes:
        place = self.path / "plans" / f"{digest}.json"
        if place.exists():
            return place.read_bytes()
        for url in urls:
            data = self._get(url, PLAN)
            if data and sha256(data).hexdigest() == digest:
                self._write(f"plans/{digest}.json", data)
                return data
        self.missing.append(f"nobody gives the plan `{digest}`")
        return b""

    def _bundles(self, base: str, host: str) -> None:
        listed = self._get(f"{base}/bundles/{host}", LISTED)
        try:
            digests = json.loads(listed or b"[]")
        except ValueError:
            digests = []
        for digest in digests if isinstance(digests, list) else []:
            data = self._get(f"{base}/bundle/{digest}", BUNDLE)
            try:
                body = read_bundle(data or b"").body
            except Refused:
                continue
            for note in (body["checkpoint"], body["authorization_checkpoint"]):
                if note:
                    self._witnessed(note.encode())

    def _witnessed(self, note: bytes) -> None:
        if note.count(b"\n\n") >= 1:
            self._write(f"witnessed/{sha256(note).hexdigest()[:32]}.note", note)

    def _get(self, url: str, limit: int) -> bytes | None:
        data = bytearray()
        try:
            with self._client.stream("GET", url) as answer:
                if answer.status_code != httpx.codes.OK:
                    return None
                for part in answer.iter_bytes():
                    data += part
                    if len(data) > limit:
                        return None
        except (httpx.HTTPError, httpx.InvalidURL):
            return None
        return bytes(data)

    def _write(self, name: str, data: bytes) -> None:
        place = self.path / name
        try:
            place.parent.mkdir(parents=True, exist_ok=True)
            if not place.exists() or place.read_bytes() != data:
                place.write_bytes(data)
        except OSError as error:
            raise NoEvidence(f"cannot write `{place}`: {error.strerror}") from error


def _keys(law: Charter, name: str) -> list[Key]:
    guards = law.guards["witness"].values()
    return [*law.logs[name], *(key for pair in guards for key in pair)]


def _hosts(plan: bytes) -> set[str]:
    """Name the hosts of a plan; only used to ask for bundles."""
    try:
        body: Json = json.loads(plan or b"{}")
        orders = [json.loads(text) for ring in body["rings"] for text in ring]
        return {str(order["host"]) for order in orders}
    except (ValueError, KeyError, TypeError):
        return set()


def collect(
    path: Path, client: httpx.Client, *, log: str = "", control: str = "",
    hosts: Path | None = None, kept: Sequence[Path] = (),
) -> list[str]:  # fmt: skip
    """Gather evidence; give what is missing.

    Raises:
        NoEvidence, LedgerUnavailable: if logs or files cannot be read or written.
    """
    work = Collector(path, client)
    if log:
        work.logs(log)
    elif not all((path / name / "checkpoint").exists() for name in LOGS):
        raise LedgerUnavailable(f"no logs in `{path}`: give `--log URL`, or export them there")
    if not (path / "charter.note").exists():
        source = Folder(path).log("authority")
        _, checkpoint = claimed(source, "authority")
        (path / "charter.note").write_bytes(next(Reader(source, checkpoint).entries(0, 1)))
    if hosts:
        work.hosts(hosts)
    work.kept(kept)
    if control:
        work.control(control)
    return work.missing
