"""What helps a person to judge a change that nothing explains: rights, links, how much is new.

Rules:
* contents are never told, only counted: reasons go into plans and logs, and files may hold secrets;
* a link's target may be the words of whoever made it: it is cut, and shown in ASCII with escapes.

Left out: binary files, and files above `LIMIT`.
"""

from collections import Counter
from pathlib import Path

from answerable.host.transaction.effects import Change
from answerable.host.transaction.port import Look

LIMIT = 1 << 20
"""Largest file whose lines are counted, bytes."""
SHOWN = 100
"""Most of a link's target that is shown, characters."""


def details(change: Change, root: Path) -> str:
    """Tell more of a change, for the end of its reason; nothing if there is nothing to tell.

    Args:
        root: below which the bytes before lie.
    """
    before, after = change.before, change.after
    told = []
    if before and before.kind == "link":
        told.append(f"was a link to {_shown(before.target)}")
    if after and after.kind == "link":
        told.append(f"is a link to {_shown(after.target)}")
    if before and after and before.kind == after.kind:
        told += _rights(before, after)
    if before and after and before.kind == after.kind == "file" and before.sha256 != after.sha256:
        told += _counted(root / change.path.lstrip("/"), change.source)
    return "".join(f"; {words}" for words in told)


def _rights(before: Look, after: Look) -> list[str]:
    rows = (("mode", f"{before.mode:04o}", f"{after.mode:04o}"),
            ("owner", f"{before.uid}:{before.gid}", f"{after.uid}:{after.gid}"))  # fmt: skip
    told = [f"{what} {now}, was {was}" for what, was, now in rows if was != now]
    return told + ["other attributes"] * (before.attributes != after.attributes)


def _shown(target: str) -> str:
    return f"`{ascii(target)[1:-1][:SHOWN]}`"


def _counted(old: Path, new: Path) -> list[str]:
    was, now = (_read(file) for file in (old, new))
    if was is None or now is None:
        return []
    come, gone = now - was, was - now
    if not come and not gone:
        return ["the same lines in another order"]
    return [f"{come.total()} lines come, {gone.total()} go"]


def _read(file: Path) -> Counter[bytes] | None:
    try:
        with file.open("rb") as opened:
            data = opened.read(LIMIT + 1)
    except OSError:
        return None
    return None if len(data) > LIMIT or b"\0" in data else Counter(data.splitlines())
