"""The journal of transactions: commit, undo, and repair of what was torn.

    <home>/<number>/pack        the bytes that will be replaced, one after another
    <home>/<number>/plan.json   every path before and after, where its bytes lie in the pack, a note
    <home>/<number>/<word>      an empty file; the last of these words is the state

| word | meaning | at start |
|---|---|---|
| none | nothing of the host was touched | the folder is removed |
| `begun` | a commit has begun | every path is brought back to what it was |
| `done` | all of it is in place, durably | nothing |
| `undoing` | an undo has begun | it is finished |
| `undone` | every path is as it was before, durably | nothing |
| `dropped` | it is being thrown away, or is | it is removed; the newest number stays taken |

Rules:
* pack and plan are durable before the state says `begun`, and that is before the first byte of the
  host changes; every path is compared with the rehearsal's view of it as it is packed;
* an undo is refused over drift: a path that is no longer what the commit made of it; a file that
  many transactions share (dpkg's status) may say how it is brought back all the same (`merge`);
* a repair leaves alone what somebody else changed since, and names it: half a transaction is worse
  than one path that a person must look at.

Left out: redoing a torn commit (it is made anew).
"""

import hashlib
import json
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import NamedTuple

from answerable.host.transaction import data
from answerable.host.transaction.bring import Want, bring, clear
from answerable.host.transaction.port import Drifted, Files, FilesFailed, Look
from answerable.kernel.canon import Json

PLAN_LIMIT = 256 << 20
"""Largest plan that is read, bytes."""
MERGED_LIMIT = 256 << 20
"""Largest file that is merged in an undo, bytes."""
WORDS = ("begun", "done", "undoing", "undone", "dropped")
"""The states, in the order in which they come."""
Merge = Callable[[bytes, bytes, bytes], bytes | None]
"""(bytes before, bytes after, bytes now) -> bytes that undo just this change, or nothing."""


@dataclass(frozen=True)
class Row:
    """One path of a transaction.

    Args:
        twin, was: the path of which it is, or was, a second name (hard links).
        offset: where the bytes before lie in the pack.
        kept: where the bytes after lie in the pack, if they can be merged; else -1.
    """

    path: str
    before: Look | None
    after: Look | None
    twin: str = ""
    was: str = ""
    offset: int = 0
    kept: int = -1


class Repaired(NamedTuple):
    """A torn transaction: its number, its note, `back` or `undone`, what was left alone."""

    number: str
    note: Json
    how: str
    left: tuple[str, ...]


class Transactions:
    """The journal of one host.

    Args:
        files: the host's files.
        home: folder of the journal, by the same port; it is there.
        merge: paths that many transactions share, and how to bring them back.
    """

    def __init__(self, files: Files, home: str, merge: Mapping[str, Merge]) -> None:
        self._files, self._home, self._merge = files, home, merge

    def numbers(self, word: str) -> list[str]:
        """Give the transactions in this state, oldest first."""
        return [n for n in self._files.names(self._home) if self._state(n) == word]

    def note(self, number: str) -> Json:
        """Give what was noted with a transaction."""
        return self._plan(number)[1]

    def commit(
        self, rows: Sequence[Row], read: Callable[[str], Iterable[bytes]], note: Json,
        then: Callable[[str], object] | None = None,
    ) -> str:  # fmt: skip
        """Make every path what its row says it shall be; give the transaction's number.

        Args:
            rows: sorted by path.
            read: gives the new bytes of a path.
            note: kept with it, as JSON holds it.
            then: what is done when all is in place, and before it counts as done; it gets the
                transaction's folder, and may have kept data there (data.py).

        Raises:
            Drifted: a path is not as its row says; nothing was changed.
            FilesFailed: something could not be read or written; it is repaired at the next start.
        """
        number = self._next()
        packed = self._pack(number, rows, read)
        plan = {"note": note, "rows": [_spelled(row) for row in packed]}
        place = f"{self._home}/{number}"
        self._files.write(f"{place}/plan.json", [json.dumps(plan, sort_keys=True).encode()])
        self._files.sync(f"{place}/pack", f"{place}/plan.json", place, self._home)
        self._say(number, "begun")

        def reader(row: Row) -> Callable[[], Iterator[bytes]]:
            return lambda: _checked(read(row.path), row)

        wants = [Want(r.path, r.before, r.after, r.twin, reader(r)) for r in packed]
        left = bring(self._files, wants, _tag(number))
        if left:
            raise FilesFailed(f"folders are in use by others: {', '.join(left)}; repair undoes it")
        if then:
            then(place)
        self._say(number, "done")
        return number

    def drift(self, number: str) -> list[str]:
        """Give the paths that are no longer what the commit made of them."""
        rows = self._plan(number)[0]
        return self._drift(number, rows, [self._files.look(row.path) for row in rows])

    def made(self, number: str) -> list[str]:
        """Give the paths that were not there before the commit."""
        return [row.path for row in self._plan(number)[0] if row.before is None]

    def undo(self, number: str) -> None:
        """Bring every path back to what it was.

        Raises:
            Drifted: a path is not what the commit made of it; nothing was changed.
            FilesFailed: something could not be read or written; it is finished at the next start.
        """
        rows = self._plan(number)[0]
        looks = [self._files.look(row.path) for row in rows]
        if drifted := self._drift(number, rows, looks):
            raise Drifted(
                f"{len(drifted)} paths changed since, {_few(drifted)}; plan a change instead",
                drifted,
            )
        data.keep_since(self._files, f"{self._home}/{number}")
        self._say(number, "undoing")
        left = self._back(number, rows, looks)
        self._say(number, "undone")
        if left:
            raise Drifted(f"undone, but {_few(left)} changed meanwhile; look at them", left)

    def repair(self) -> list[Repaired]:
        """Bring back what a stopped commit or undo has torn; call it before anything else."""
        done = []
        self._tidy()
        for number in self._files.names(self._home):
            word = self._state(number)
            if word in ("begun", "undoing"):
                rows, note = self._plan(number)
                looks = [self._files.look(row.path) for row in rows]
                left = self._back(number, rows, looks)
                self._say(number, "undone")
                how = "back" if word == "begun" else "undone"
                done.append(Repaired(number, note, how, tuple(left)))
        return done

    def drop(self, number: str) -> None:
        """Throw a transaction away that is done or undone: it cannot be undone from then on."""
        assert self._state(number) in ("done", "undone"), number
        self._say(number, "dropped")
        self._clear(f"{self._home}/{number}", "dropped")

    def _tidy(self) -> None:
        """Remove what came to nothing or was dropped; no number is given twice."""
        states = {n: self._state(n) for n in self._files.names(self._home) if n.isdigit()}
        newest = max((number for number, word in states.items() if word), default="")
        for number in [n for n, word in states.items() if word in ("", "dropped")]:
            place = f"{self._home}/{number}"
            self._clear(place, "dropped")
            if number != newest:
                # The word goes last: without it, what is left of the others would count.
                self._files.sync(place)
                self._files.unlink(f"{place}/dropped")
                self._files.rmdir(place)

    def _clear(self, place: str, keep: str = "") -> None:
        """Remove all that is in a folder, but for one name."""
        for name in [name for name in self._files.names(place) if name != keep]:
            inner = f"{place}/{name}"
            look = self._files.look(inner) if name not in ("pack", "plan.json") else None
            if look and look.kind == "dir":
                self._clear(inner)
                self._files.rmdir(inner)
            else:
                self._files.unlink(inner)

    def _drift(self, number: str, rows: Sequence[Row], looks: Sequence[Look | None]) -> list[str]:
        made, drifted = {row.path for row in rows}, list[str]()
        folders = tuple(f"{f}/" for f in data.folders(self._files, f"{self._home}/{number}"))

        def live(row: Row) -> bool:
            return row.path.startswith(folders)

        for row, now in zip(rows, looks, strict=True):
            if not (_same(now, row.after) or self._merged(number, row, now) is not None):
                drifted.append(row.path)
            elif row.before is None and row.after and row.after.kind == "dir" and not live(row):
                inside = (f"{row.path}/{name}" for name in self._files.names(row.path))
                drifted += [path for path in inside if path not in made]
        return drifted

    def _back(self, number: str, rows: Sequence[Row], looks: Sequence[Look | None]) -> list[str]:
        wants, left, place = [], list[str](), f"{self._home}/{number}"
        if data.folders(self._files, place):
            left += data.back(self._files, place, f"{_tag(number)}-data")
            looks = [self._files.look(row.path) for row in rows]
        for row, now in zip(rows, looks, strict=True):
            wants.append(self._want_back(number, row, now))
            if wants[-1].now == wants[-1].look and not _same(now, row.before):
                left.append(row.path)
        clear(self._files, wants, _tag(number))
        return left + bring(self._files, wants, _tag(number))

    def _want_back(self, number: str, row: Row, now: Look | None) -> Want:
        def read() -> Iterator[bytes]:
            size = row.before.size if row.before else 0
            return self._files.read(f"{self._home}/{number}/pack", row.offset, size)

        if _same(now, row.before) or _same(now, row.after) or _between(now, row):
            return Want(row.path, now, row.before, row.was, read)
        data = self._merged(number, row, now)
        if data is None or row.before is None:
            return Want(row.path, now, now, "", read)
        look = replace(row.before, size=len(data), sha256=hashlib.sha256(data).hexdigest())
        return Want(row.path, now, look, "", lambda: [data])

    def _merged(self, number: str, row: Row, now: Look | None) -> bytes | None:
        merge = self._merge.get(row.path)
        if not (merge and row.before and row.after and now and now.kind == "file"):
            return None
        if row.kept < 0 or now.size > MERGED_LIMIT:
            return None
        pack = f"{self._home}/{number}/pack"
        before = b"".join(self._files.read(pack, row.offset, row.before.size))
        after = b"".join(self._files.read(pack, row.kept, row.after.size))
        return merge(before, after, b"".join(self._files.read(row.path)))

    def _pack(
        self, number: str, rows: Sequence[Row], read: Callable[[str], Iterable[bytes]]
    ) -> list[Row]:
        packed, size, drifted = list[Row](), 0, list[str]()
        for row in rows:
            now = self._files.look(row.path)
            if not _same(now, row.before):
                drifted.append(row.path)
                continue
            offset = size
            size += now.size if now else 0
            kept = size if row.path in self._merge and row.after else -1
            size += row.after.size if kept >= 0 and row.after else 0
            packed.append(replace(row, before=now, offset=offset, kept=kept))
        if drifted:
            raise Drifted(
                f"{_few(drifted)} changed since the rehearsal; rehearse it again", drifted
            )
        self._files.write(f"{self._home}/{number}/pack", self._pieces(packed, read))
        return packed

    def _pieces(
        self, rows: Sequence[Row], read: Callable[[str], Iterable[bytes]]
    ) -> Iterator[bytes]:
        for row in rows:
            if row.before and row.before.kind == "file":
                digest, size = hashlib.sha256(), 0
                for piece in self._files.read(row.path):
                    digest.update(piece)
                    size += len(piece)
                    yield piece
                if (digest.hexdigest(), size) != (row.before.sha256, row.before.size):
                    raise Drifted(f"`{row.path}` changed just now; rehearse it again", [row.path])
            if row.kept >= 0:
                yield from _checked(read(row.path), row)

    def _next(self) -> str:
        taken = [n for n in self._files.names(self._home) if self._state(n)]
        number = f"{int(max(taken, default='0')) + 1:06d}"
        place = f"{self._home}/{number}"
        self._clear(place)
        if self._files.look(place) is None:
            self._files.mkdir(place)
        return number

    def _plan(self, number: str) -> tuple[list[Row], Json]:
        try:
            plan = json.loads(self._small(f"{self._home}/{number}/plan.json"))
            return [_row(told) for told in plan["rows"]], plan["note"]
        except (ValueError, KeyError, TypeError) as error:
            raise FilesFailed(f"the plan of transaction `{number}` is damaged: {error}") from error

    def _state(self, number: str) -> str:
        if not number.isdigit():
            return ""
        names = self._files.names(f"{self._home}/{number}")
        return next((word for word in reversed(WORDS) if word in names), "")

    def _say(self, number: str, word: str) -> None:
        self._files.write(f"{self._home}/{number}/{word}", [])
        self._files.sync(f"{self._home}/{number}")

    def _small(self, path: str) -> bytes:
        return b"".join(self._files.read(path, 0, PLAN_LIMIT))


def _checked(pieces: Iterable[bytes], row: Row) -> Iterator[bytes]:
    digest = hashlib.sha256()
    for piece in pieces:
        digest.update(piece)
        yield piece
    if row.after is None or digest.hexdigest() != row.after.sha256:
        raise FilesFailed(f"the new bytes of `{row.path}` are not those that were explained")


def _same(one: Look | None, other: Look | None) -> bool:
    return one.same(other) if one else other is None


def _between(now: Look | None, row: Row) -> bool:
    """Tell whether a path is in a state that only this transaction passes through.

    A folder's mode and owner are no single step, and a path that turns from one kind into another
    is gone for a moment.
    """
    kinds = [look.kind for look in (row.before, row.after) if look]
    if now is None:
        return len(set(kinds)) > 1
    return now.kind == "dir" and "dir" in kinds


def _few(paths: Sequence[str]) -> str:
    shown = ", ".join(f"`{path}`" for path in paths[:5])
    return shown + (f" and {len(paths) - 5} more" if len(paths) > 5 else "")  # noqa: PLR2004


def _tag(number: str) -> str:
    return f"answerable-{number}"


def _spelled(row: Row) -> Json:
    looks = {name: look.spelled() if (look := getattr(row, name)) else None
             for name in ("before", "after")}  # fmt: skip
    return {"path": row.path, "twin": row.twin, "was": row.was, "offset": row.offset,
            "kept": row.kept, **looks}  # fmt: skip


def _row(told: Json) -> Row:
    looks = {name: Look.of(told[name]) if told[name] else None for name in ("before", "after")}
    return Row(**{**told, **looks})
