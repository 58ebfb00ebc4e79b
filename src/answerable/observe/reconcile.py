"""Reconciliation: what is installed against the records of changes; what nobody ordered is listed.

    <folder>/web1.json
    {"artefacts":{"libssl3":"<sha256>"},"installed":{"libssl3":"3.0.22-1~deb12u2",..},
     "looked":<POSIX second>,"open":{"jq":["1.7",<POSIX second>,2]},"told":["web1 jq 1.6 1.7"]}

Rules:

1. `installed` is what is accounted for: at the first look, which belongs to the enrolment, whatever
   is there; afterwards only what moves of noticed orders that the host reported lead to, one after
   the other (`libssl3` 1 -> 2 -> 3). Everything else that differs is `open`.
2. What is open at `LOOKS` looks in a row is unexplained, and is said. While an order that would
   bring that very version is under way on the host, it has `UNDER_WAY` seconds to be reported.
3. It stays open, and is listed, until it is back as it was, or a reported move leads to it.
4. `artefacts` are the packages that moves brought: their files are compared again and again.
5. What no package is called (too long, with controls) counts under its hash, and what would make an
   account too large to be read again is not written: nothing that a host says makes its next look
   a first one.
6. An image is a name with a digest (`of_layout`, `of_list`; containers.py of what lies on a host,
   whose account is `images@<host>`); a notice that names the digest among its artefacts explains
   it, whichever of an image's digests that is. An image that has left a host explains itself.

Left out: accepting a change after the fact. Whoever runs the observer takes the host's file away,
and the next look is its first. What changed before the first look.
"""

import re
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from hashlib import sha256
from json import loads
from pathlib import Path
from typing import NamedTuple

from answerable.kernel.canon import Json, conforms, decode, encode
from answerable.kernel.errors import Refused
from answerable.observe.containers import Held
from answerable.observe.look import Unseen
from answerable.observe.memory import write

LOOKS = 2
"""Looks in a row that must show the same before it is said."""
UNDER_WAY = 1_800
"""How long a change may be there before the host reports it, seconds."""
FILE = 64 << 20
"""Largest file of one host, bytes."""
IMAGES = 16 << 20
"""Largest index of images, bytes."""
ARTEFACTS = 500
"""Most packages of one host whose files are compared again, the newest."""
TOLD = 1_000
"""Most things said of one host that are remembered."""
WORD = 255
"""Longest name or version that is kept as it is, characters."""
ANY = "*"
"""Stands for whatever was there before; as a name for every one."""
ABSENT = "(none)"
"""Stands in an order for the version of a package that is not there (docs/spec/order.md)."""
_SHAPE = {"artefacts": "any", "installed": "any", "looked": "int", "open": "any", "told": ["text"]}
_IMAGE = re.compile(r"(\S{1,255})[ \t]+sha256:([0-9a-f]{64})")


class Move(NamedTuple):
    """A package that a reported change moved, and the SHA-256 of what it brought."""

    name: str
    before: str
    after: str
    sha256: str


Images = tuple[Mapping[str, str], Sequence[Move]]
"""Images by name, and what explains that they are there."""


class Unexplained(NamedTuple):
    """Something that no record of a change explains; empty `found` if it is gone."""

    host: str
    name: str
    recorded: str
    found: str
    since: int

    @property
    def subject(self) -> str:
        """Name it, for a finding."""
        return f"{self.host} {self.name} {self.recorded or 'absent'} {self.found or 'absent'}"

    @property
    def words(self) -> str:
        """Say it, for people."""
        now, then = self.found or "absent", self.recorded or "absent"
        return f"`{self.name}` is `{now}`; no reported change leads there from `{then}`"


@dataclass
class _Account:
    artefacts: dict[str, str] = field(default_factory=dict)
    installed: dict[str, str] = field(default_factory=dict)
    looked: int = 0
    open: dict[str, list[Json]] = field(default_factory=dict)
    told: list[str] = field(default_factory=list)


class Books:
    """The accounts of hosts, one file each below a folder."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def check(
        self, host: str, found: Mapping[str, str], moves: Collection[Move],
        under_way: Collection[tuple[str, str]], now: int,
    ) -> list[Unexplained]:  # fmt: skip
        """Compare a host with its account, and bring that up to date.

        Args:
            found: what is there, name -> version.
            moves: what its reported changes moved.
            under_way: (name, version) that orders which were begun would still bring.
            now: POSIX seconds.

        Raises:
            Unseen: if it says more than an account holds.
        """
        account, found = self._read(host), {_called(n): _called(v) for n, v in found.items()}
        if account is None:
            self._write(host, _Account(installed=found, looked=now))
            return []
        for name in sorted({*account.installed, *found, *account.open}):
            before, after = account.installed.get(name, ""), found.get(name, "")
            seen = account.open.get(name, ["", now, 0])
            if before == after:
                account.open.pop(name, None)
            elif (last := _explained(name, before, after, moves)) is not None:
                account.open.pop(name, None)
                account.installed[name] = after
                account.artefacts.pop(name, None)
                if after:
                    account.artefacts[name] = last.sha256
            else:
                since, looks = (seen[1], seen[2]) if seen[0] == after else (now, 0)
                account.open[name] = [after, since, looks + 1]
        while len(account.artefacts) > ARTEFACTS:
            account.artefacts.pop(next(iter(account.artefacts)))
        account.looked = now
        self._write(host, account)
        waits = {name for name, after in under_way if found.get(name, "") == after}
        return [
            row for row in _rows(host, account)
            if account.open[row.name][2] >= LOOKS
            and not (row.name in waits and now - row.since < UNDER_WAY)
        ]  # fmt: skip

    def artefacts(self, host: str) -> dict[str, str]:
        """Give the packages whose files should lie there: name -> SHA-256 of the artefact."""
        account = self._read(host)
        still = account and {n: s for n, s in account.artefacts.items() if n not in account.open}
        return still or {}

    def untold(self, host: str, subject: str) -> bool:
        """Tell whether this was not said of a host yet."""
        account = self._read(host)
        return account is None or subject not in account.told

    def tell(self, host: str, subject: str) -> None:
        """Note that it was said: the log need not be read again from its start to know."""
        if (account := self._read(host)) is not None:
            account.told = [*account.told, subject][-TOLD:]
            self._write(host, account)

    def all(self) -> dict[str, tuple[int, list[Unexplained]]]:
        """Give, by host, when it was looked at, and what is open there."""
        found = {}
        for file in sorted(self._folder.glob("*.json")):
            if account := self._read(file.stem):
                found[file.stem] = (account.looked, list(_rows(file.stem, account)))
        return found

    def _read(self, host: str) -> _Account | None:
        try:
            with (self._folder / f"{host}.json").open("rb") as file:
                found = decode(file.read(FILE + 1), FILE)
        except (OSError, Refused):
            return None
        return _Account(**found) if conforms(found, _SHAPE) else None

    def _write(self, host: str, account: _Account) -> None:
        data = encode(vars(account)).encode()
        if len(data) > FILE:
            raise Unseen(f"its account would have more than {FILE} bytes; look at what it says")
        write(self._folder / f"{host}.json", data)


def moved(
    orders: Iterable[tuple[Json, Mapping[str, str]]],
) -> tuple[list[Move], list[tuple[str, str]]]:
    """Give what a host's orders moved, and what those that were begun would still bring.

    Args:
        orders: each with the results of its changes that were reported, by id.
    """
    moves, under_way = list[Move](), list[tuple[str, str]]()
    for order, results in orders:
        for change in [*order["changes"], *order["undo"]] if results else ():
            told = results.get(change["id"], "refused") != "refused"
            for p in change.get("packages", ()):
                before, after = (p[end].replace(ABSENT, "") for end in ("from", "to"))
                if told:
                    moves.append(Move(p["name"], before, after, p["sha256"]))
                else:
                    under_way.append((p["name"], after))
    return moves, under_way


def _rows(host: str, account: _Account) -> Iterable[Unexplained]:
    for name, (found, since, _) in sorted(account.open.items()):
        yield Unexplained(host, name, account.installed.get(name, ""), found, since)


def _called(text: str) -> str:
    sound = conforms(text, "text") and len(text) <= WORD
    return text if sound else f"odd-{sha256(text.encode(errors='replace')).hexdigest()}"


def _explained(name: str, before: str, after: str, moves: Collection[Move]) -> Move | None:
    """Give the last of the moves that lead from one version to the other."""
    mine = [move for move in moves if move.name in (name, ANY)]
    reached, last = {before}, dict[str, Move]()
    for _ in mine:
        for move in mine:
            if move.before in (*reached, ANY) and move.after not in reached:
                reached.add(move.after)
                last[move.after] = move
    return last.get(after)


def given(found: Mapping[str, str], known: Collection[str]) -> Images:
    """Give images of a place that was named, and what explains them; arguments as of `lying`."""
    return found, [Move(n, ANY, d, "") for n, d in found.items() if d in known]


def lying(held: Held, known: Collection[str]) -> Images:
    """Give the images of a host, and what explains them.

    Args:
        held: name -> digests.
        known: digests that notices name.
    """
    found = {name: digests[0] for name, digests in held.items()}
    moves = [Move(n, ANY, found[n], "") for n, of in held.items() if not set(of).isdisjoint(known)]
    return found, [*moves, Move(ANY, ANY, "", "")]


def images(place: Path) -> dict[str, str]:
    """Give images by name: a folder is an OCI image layout, a file a list of them.

    Raises:
        Unseen: if it is neither.
    """
    try:
        layout = place.is_dir()
        with (place / "index.json" if layout else place).open("rb") as file:
            data = file.read(IMAGES + 1)
        if len(data) > IMAGES:
            raise Unseen(f"`{place}` has more than {IMAGES} bytes")
        return of_layout(data) if layout else of_list(data)
    except OSError as error:
        raise Unseen(f"`{place}`: {error.strerror}") from error


def of_layout(index: bytes) -> dict[str, str]:
    """Read the `index.json` of an OCI image layout (image-spec 1.1, image-layout.md).

    An image without a name (`org.opencontainers.image.ref.name`) is named by its digest.
    """
    try:
        rows: list[Json] = loads(index)["manifests"]
        digests = [(row.get("annotations") or {}, row["digest"]) for row in rows]
        return {
            str(notes.get("org.opencontainers.image.ref.name", digest)): _digest(digest)
            for notes, digest in digests
        }
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise Unseen(f"not the index of an image layout: {error!r:.100}") from error


def of_list(text: bytes) -> dict[str, str]:
    """Read lines `name sha256:<hex>`; empty ones and comments (`#`) are passed over."""
    found = {}
    for row in text.decode(errors="replace").splitlines():
        if row.strip() and not row.startswith("#"):
            match = _IMAGE.fullmatch(row.strip())
            if match is None:
                raise Unseen(f"not `name sha256:<hex>`: `{row[:100]}`")
            found[match[1]] = match[2]
    return found


def _digest(spelt: str) -> str:
    found = re.fullmatch(r"sha256:([0-9a-f]{64})", spelt)
    if found is None:
        raise ValueError(f"`{spelt[:80]}` is no sha256 digest")
    return found[1]
