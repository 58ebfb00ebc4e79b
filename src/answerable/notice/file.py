"""A folder as a channel: one folder a person, one file a message, for pagers and other programs.

`<folder>/<address>/<id>.txt` holds subject, an empty line, and text, in UTF-8; mode 0600, synced
before it gets its name, so a reader never sees half of it.
"""

import os
import re
import tempfile
from dataclasses import dataclass
from pathlib import Path

from answerable.notice.channel import Accepted, Failed, Message, Outcome, wrong

_ADDRESS = re.compile(r"[a-z0-9][a-z0-9._-]{0,63}")


@dataclass(frozen=True)
class FileChannel:
    """Writes below one folder and nowhere else."""

    folder: Path

    def deliver(self, address: str, message: Message) -> Outcome:
        """See `Channel.deliver`; the address is the name of a folder."""
        if problem := wrong(address, message):
            return Failed(problem)
        if not _ADDRESS.fullmatch(address) or message.id.startswith("."):
            return Failed(f"`{address}` is no folder name of small letters, digits, `.`, `_`, `-`")
        target = self.folder / address / f"{message.id}.txt"
        try:
            target.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            _write(target, f"{message.subject}\n\n{message.text}".encode())
        except (OSError, UnicodeEncodeError) as error:
            return Failed(f"cannot write `{target}`: {error}")
        return Accepted(str(target))


def _write(target: Path, data: bytes) -> None:
    descriptor, name = tempfile.mkstemp(dir=target.parent, prefix=".new-")
    try:
        with os.fdopen(descriptor, "wb") as out:
            out.write(data)
            out.flush()
            os.fsync(descriptor)
        Path(name).replace(target)
    except BaseException:
        Path(name).unlink(missing_ok=True)
        raise
    folder = os.open(target.parent, os.O_RDONLY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)
