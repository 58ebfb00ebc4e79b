"""Clones, by their programs: what upgrades would do to the hosts of a kind, before notice.

    "clones": {"web": {"ecosystem": "debian:12", "root": "/srv/clones/web"},
               "db": {"ecosystem": "debian:12", "socket": "/run/rehearse-db.sock"},
               "gw": {"ecosystem": "debian:12", "run": ["ssh", "-T", "rehearse@clone-gw"]}},
    "hosts": {"web1": {"clone": "web", ..}, ..}

`root`: the host's program (host/clone.py) is started here, as root; `run`: by these words;
`socket`: it is behind a socket of this machine, so that whoever plans need not be root. `kind` is
the hosts' package driver, `apt` if it is not said.

Rules:
* one job for all hosts of one clone with the same upgrades and the same classes allowed
* what a clone answers is recomputed: each list of effects must have the hash that is said of it
* each list is kept as `effects/<hash>`, the very bytes that have this hash, and what belongs to it
  (classes with their paths, what scripts asked for) as `effects/<hash>.json`
* a clone that does not answer ends planning: nothing is planned as if it had been rehearsed

Left out: keeping answers for the next plan.
"""

import json
import socket
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from typing import IO, Any

from answerable.changes.rehearse import (
    Asked,
    Outcome,
    Rehearsed,
    Unfit,
    Unrehearsed,
    Upgrade,
)
from answerable.config import NotConfigured, read_bytes, write_private
from answerable.host.transaction.explain import VERSION
from answerable.host.transaction.sensitive import CLASSES
from answerable.kernel.canon import Json, conforms, encode, shape
from answerable.kernel.errors import Unavailable

SECONDS = 3_600
"""Longest that a clone may take for one job."""
ANSWER = 256 << 20
"""Largest answer of a clone, bytes."""
REASON = 1_000
"""Most characters of a reason."""
_REFUSED = shape("refused:any", paths=["any"])
_SEEN = shape("effects:hex", lines=[{"*": "any"}], asked=["text"], sensitive={"*": ["text"]})
_WAYS = {"root", "socket", "run"}
Group = tuple[str, tuple[Upgrade, ...], frozenset[str] | None]


class CloneSilent(Unavailable):
    """A clone does not answer, or answers something else than was asked."""


class Clones:
    """The clones that a control plane's settings name.

    Args:
        settings: of the control plane.
        folder: for lists of effects; artefacts lie beside it.
        bring: brings artefacts by their SHA-256, and gives where they lie.
        demanded: whether the charter demands effects of every upgrade.
    """

    def __init__(
        self,
        settings: Mapping[str, Any],
        folder: Path,
        bring: Callable[[Iterable[str]], Path],
        *,
        demanded: bool,
    ) -> None:
        self._clones: Mapping[str, Mapping[str, Any]] = settings.get("clones", {})
        self._hosts: Mapping[str, Mapping[str, Any]] = settings.get("hosts", {})
        self._folder, self._bring, self._demanded = folder, bring, demanded
        for name, how in self._clones.items():
            ways = _WAYS & how.keys()
            if len(ways) != 1 or how.keys() - _WAYS - {"kind"} != {"ecosystem"}:
                raise NotConfigured(f"clone `{name}` has `ecosystem` and one of {sorted(_WAYS)}")

    def rehearse(self, asked: Iterable[Asked]) -> Mapping[str, Sequence[Outcome]]:
        """See the port.

        Raises:
            CloneSilent: a clone does not answer.
            NotConfigured: a host names a clone that is none.
        """
        answers: dict[Group, Sequence[Outcome]] = {}
        return {each.host: self._of(each, answers) for each in asked}

    def _of(self, asked: Asked, answers: dict[Group, Sequence[Outcome]]) -> list[Outcome]:
        name = self._hosts.get(asked.host, {}).get("clone", "")
        if name and name not in self._clones:
            raise NotConfigured(f"host `{asked.host}` names the clone `{name}`, which is none")
        kept = self._clones[name]["ecosystem"] if name else ""
        mine = tuple(u for u in asked.upgrades if u.ecosystem == kept)
        group = (name, mine, asked.classes)
        if mine and group not in answers:
            answers[group] = self._ask(*group)
        told = iter(answers.get(group, ()))
        lacking = Unfit("the charter demands its effects, and no clone rehearses it")
        none = lacking if self._demanded else Unrehearsed()
        return [next(told) if u.ecosystem == kept else none for u in asked.upgrades]

    def _ask(
        self, name: str, upgrades: Sequence[Upgrade], classes: frozenset[str] | None
    ) -> list[Outcome]:
        how, ecosystem = self._clones[name], self._clones[name]["ecosystem"]
        moves = [move for upgrade in upgrades for move in upgrade.moves]
        place = self._bring(move.sha256 for move in moves)
        files = {move.sha256: place / move.sha256 for move in moves}
        rows = [
            [{"name": m.name, "from": m.before, "to": m.after, "sha256": m.sha256,
              "size": files[m.sha256].stat().st_size} for m in upgrade.moves]
            for upgrade in upgrades
        ]  # fmt: skip
        allow = sorted(CLASSES if classes is None else classes & set(CLASSES))
        kind = how.get("kind", "apt")
        job = {"allow": allow, "changes": rows, "ecosystem": ecosystem, "kind": kind}
        with tempfile.TemporaryFile(dir=self._folder) as sent:
            sent.write(encode(job).encode() + b"\n")
            for file in files.values():
                with file.open("rb") as artefact:
                    while piece := artefact.read(1 << 20):
                        sent.write(piece)
            sent.seek(0)
            found = read_answer(name, _send(name, how, sent), len(upgrades))
        return [self._outcome(name, one) for one in found]

    def _outcome(self, name: str, found: Json) -> Outcome:
        if "refused" in found:
            return Unfit(_plain(f"rehearsed on the clone `{name}`: {found['refused']}"))
        text = spelled(found["lines"])
        if sha256(text).hexdigest() != found["effects"]:
            raise CloneSilent(f"the clone `{name}` gives effects that have another hash")
        write_private(self._folder / found["effects"], text)
        beside = {"asked": found["asked"], "sensitive": found["sensitive"]}
        write_private(self._folder / f"{found['effects']}.json", encode(beside).encode())
        return Rehearsed(found["effects"], tuple(sorted(found["sensitive"])))


@dataclass(frozen=True)
class Kept:
    """A list of effects that was kept: its lines, the paths of its classes, what scripts want."""

    lines: list[Json]
    sensitive: Mapping[str, Sequence[str]]
    asked: Sequence[str]


def read_effects(folder: Path, effects: str) -> Kept:
    """Read a list of effects by its hash.

    Raises:
        NotConfigured: it is not there.
        CloneSilent: it has another hash.
    """
    text = read_bytes(folder / effects, ANSWER)
    if sha256(text).hexdigest() != effects:
        raise CloneSilent(f"`{folder / effects}` is another list; make the plan again")
    beside = json.loads(read_bytes(folder / f"{effects}.json", ANSWER))
    lines = [json.loads(line) for line in text.decode().splitlines()[1:]]
    return Kept(lines, beside["sensitive"], beside["asked"])


def spelled(lines: Iterable[Json]) -> bytes:
    """Give the bytes of a list of effects, whose SHA-256 is its hash."""
    return (VERSION + "".join(f"{line}\n" for line in sorted(map(encode, lines)))).encode()


def read_answer(name: str, data: bytes, many: int) -> list[Json]:
    """Read a clone's answer.

    Raises:
        CloneSilent: it is none, or of another number of changes.
    """
    try:
        found = json.loads(data)
    except (ValueError, RecursionError) as error:
        raise CloneSilent(f"the clone `{name}` gives no answer; try its program by hand") from error
    if conforms(found, {"error": "any"}):
        raise CloneSilent(_plain(f"the clone `{name}` cannot rehearse: {found['error']}"))
    if not conforms(found, {"changes": [(_REFUSED, _SEEN)]}) or len(found["changes"]) != many:
        raise CloneSilent(f"the clone `{name}` answers something else than was asked")
    rows: list[Json] = found["changes"]
    return rows


def _send(name: str, how: Mapping[str, Any], job: IO[bytes]) -> bytes:
    words = [sys.executable, "-m", "answerable.host.clone", str(how.get("root", ""))]
    try:
        if "socket" in how:
            return _over(how["socket"], job)
        with tempfile.TemporaryFile() as out:
            argv = list(map(str, how.get("run", words)))
            subprocess.run(argv, stdin=job, stdout=out, check=False, timeout=SECONDS)
            out.seek(0)
            return out.read(ANSWER)
    except (OSError, subprocess.TimeoutExpired) as error:
        raise CloneSilent(f"the clone `{name}` does not answer: {error}") from error


def _over(path: str, job: IO[bytes]) -> bytes:
    with socket.socket(socket.AF_UNIX) as line:
        line.settimeout(SECONDS)
        line.connect(path)
        line.sendfile(job)
        line.shutdown(socket.SHUT_WR)
        with line.makefile("rb") as answer:
            return answer.read(ANSWER)


def _plain(text: str) -> str:
    return "".join(c if c.isprintable() else " " for c in text)[:REASON]
