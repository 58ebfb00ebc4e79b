"""How people write times: `90`, `90s`, `15m`, `4h`, `30d`; a date, or POSIX seconds."""

import re
from datetime import UTC, date, datetime
from typing import Any

from answerable.kernel.errors import Unavailable


class NotWritten(Unavailable):
    """What a person wrote is incomplete or cannot be meant; the message says what to mend."""


_UNITS = {"": 1, "s": 1, "m": 60, "h": 3_600, "d": 86_400}


def duration(written: object) -> int:
    """Read a duration, seconds.

    Raises:
        NotWritten: if it is none.
    """
    found = re.fullmatch(r"(\d{1,9})([smhd]?)", str(written))
    if not found:
        raise NotWritten(f"`{written}` is no duration such as `90`, `15m`, `4h`, `30d`")
    return int(found[1]) * _UNITS[found[2]]


def moment(written: Any) -> int:  # noqa: ANN401  what YAML makes of it
    """Read a moment, POSIX seconds; a date is its first second, UTC.

    Raises:
        NotWritten: if it is none.
    """
    if isinstance(written, datetime):
        return int((written if written.tzinfo else written.replace(tzinfo=UTC)).timestamp())
    if isinstance(written, date):
        return int(datetime(written.year, written.month, written.day, tzinfo=UTC).timestamp())
    if isinstance(written, int) and not isinstance(written, bool) and written >= 0:
        return written
    raise NotWritten(f"`{written}` is no date and no POSIX second")
