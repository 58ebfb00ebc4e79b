"""How long a host keeps what an undo needs: old packages, journals, snapshots; and what it shows.

Rules:
1. what a notice names, whose undo is still allowed (`undo_not_after`), is never thrown away;
2. what nothing can be undone with any more, and what was kept for `days`, is thrown away;
3. above `limit` bytes the oldest goes first, but nothing of rule 1;
4. age is counted by the guards' time, from the first look that saw it: this host's clock is never
   read, and a lost `retention.json` only makes things be kept for longer;
5. each kind is thrown away by whoever keeps it: a stop at any point leaves a thing whole or gone.

    retention.json   {"bytes","days","limit","rows":[{"kind","name","what","bytes","since","until",
                     "needed"}]}: what the last look kept, `needed` the end of rule 1, or 0

Left out: compressing; moving old journals to another host.
"""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple, Protocol

from answerable.host.files import read_json, write_file
from answerable.kernel.canon import Json, encode

DAYS, LIMIT = 35, 8 << 30
"""For how long and how many bytes are kept, unless the settings say otherwise."""
EVERY = 3600
"""Seconds between two looks, if nothing was done in between."""
TABLE = 64 << 20
"""Largest `retention.json` that is read, bytes."""
_DAY = 86_400


class Kept(NamedTuple):
    """One thing that is kept.

    `artefacts`: SHA-256 of the packages that it belongs to, or the first 16 digits of its notice's
    leaf hash. `what` is for people. `of_use`: an undo may need it.
    """

    name: str
    what: str
    size: int
    artefacts: frozenset[str]
    of_use: bool = True


class Keeper(Protocol):
    """Whoever keeps one kind of things; calls may raise `Unavailable`."""

    @property
    def kind(self) -> str:
        """The kind, for people."""

    def kept(self) -> Sequence[Kept]:
        """Give what there is."""

    def drop(self, name: str) -> None:
        """Throw one thing away, so that a stop at any point leaves it whole or gone."""


class Folder:
    """Files of one folder, each kept under the hash that starts its name, or under its name.

    Args:
        kind: for people.
        folder: where they lie; it need not be there.
    """

    def __init__(self, kind: str, folder: Path) -> None:
        self.kind, self._folder = kind, folder

    def kept(self) -> list[Kept]:
        """Give the files; what a snapshot wrote bears the start of its notice.

        What arrives does so within a look, so what is half here now was left by one that ended.
        """
        if not self._folder.is_dir():
            return []
        files = [p for p in sorted(self._folder.iterdir()) if p.is_file() and not p.is_symlink()]
        for part in [p for p in files if p.suffix == ".part"]:
            part.unlink()
        whole = [p for p in files if p.suffix != ".part"]
        return [Kept(p.name, p.name, p.stat().st_size, frozenset({p.stem, p.stem[:16]}))
                for p in whole]  # fmt: skip

    def drop(self, name: str) -> None:
        """Remove one."""
        (self._folder / name).unlink(missing_ok=True)


class Retention:
    """Throws away what need not be kept, and remembers since when the rest is.

    Args:
        path: `retention.json`.
        keepers: who keeps what.
        days, limit: as in the settings.
    """

    def __init__(
        self, path: Path, keepers: Callable[[], Sequence[Keeper]], days: int, limit: int
    ) -> None:
        self._path, self._keepers, self._days, self._limit = path, keepers, days, limit
        self._last, self._done = 0, -1

    def tidy(self, now: int, notices: Mapping[str, Json], done: int) -> list[Json]:
        """Throw away what may go; give the rows that are kept, or nothing if it is too early.

        Args:
            now: a POSIX second that has surely come; 0 if none is known, and nothing is done then.
            notices: leaf hash -> body of all notices of the log.
            done: how many actions were begun; if it is another number, it is not too early.
        """
        if not now or (done == self._done and now - self._last < EVERY):
            return []
        needed = _needed(notices, now)
        known = {f"{r['kind']}/{r['name']}": int(r["since"]) for r in self.rows()}
        rows, owners = list[Json](), {keeper.kind: keeper for keeper in self._keepers()}
        for kind, keeper in owners.items():
            for one in keeper.kept():
                since = known.get(f"{kind}/{one.name}", now)
                last = max((needed.get(a, 0) for a in one.artefacts), default=0)
                until = max(since + self._days * _DAY if one.of_use else since, last)
                rows.append({"kind": kind, "name": one.name, "what": one.what, "bytes": one.size,
                             "since": since, "until": until, "needed": last})  # fmt: skip
        kept = _kept(rows, now, self._limit)
        for row in [row for row in rows if row not in kept]:
            owners[row["kind"]].drop(row["name"])
        told = {"bytes": sum(r["bytes"] for r in kept), "days": self._days, "limit": self._limit,
                "rows": kept}  # fmt: skip
        write_file(self._path, encode(told).encode())
        self._last, self._done = now, done
        return kept

    def rows(self) -> list[Json]:
        """Give what the last look kept; raises `HomeUnavailable`."""
        return list(read_json(self._path, TABLE)["rows"]) if self._path.exists() else []


def _needed(notices: Mapping[str, Json], now: int) -> dict[str, int]:
    """Give artefact -> until when a notice allows an undo that needs it, if that is to come."""
    found = dict[str, int]()
    for leaf, body in notices.items():
        if body["undo_not_after"] >= now:
            for artefact in (leaf[:16], *body["artefacts"], *body["undo_artefacts"]):
                found[artefact] = max(found.get(artefact, 0), body["undo_not_after"])
    return found


def _kept(rows: Sequence[Json], now: int, limit: int) -> list[Json]:
    kept = [row for row in rows if row["until"] > now or row["needed"]]
    size = sum(row["bytes"] for row in kept)
    for row in sorted(kept, key=lambda row: (row["since"], row["name"])):
        if size <= limit:
            break
        if not row["needed"]:
            kept.remove(row)
            size -= row["bytes"]
    return kept
