"""The port to a log that the guard follows: read its records, and hand it one.

Everything read is untrusted until it leads to a root that the log signed. One adapter: `http_log`.
"""

from typing import Protocol

STEP = 65_536
"""Most records that are fetched at once."""
STEP_BYTES = 64 << 20
"""Most bytes of records that are fetched at once."""


class Log(Protocol):
    """One log, as the guard reaches it."""

    def entries(self, start: int, end: int, size: int) -> list[bytes]:
        """Fetch the records [start, end) of a tree of `size` (at least `end`) records.

        Raises:
            GuardUnavailable: if the log does not give them all.
        """

    def add(self, entry: bytes) -> str:
        """Hand the log a record.

        Returns: an empty string if the log has it durably, else the log's reason word.

        Raises:
            GuardUnavailable: if it cannot be reached or understood.
        """
