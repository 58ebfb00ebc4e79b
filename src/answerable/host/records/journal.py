"""What this host has begun and how it ended, written down and synced before and after it acts.

One line of canonical JSON an event, only ever appended:

    {"action":"<consumption>","bundle":"<hex>","is":"begun"}
    {"action":"<consumption>","body":{<report body>},"is":"ended"}
    {"id":<seq>,"is":"sent"}
    {"bundle":"<hex>","is":"finished"}

Rules:
* `begun` is synced before the host acts, so an action that was acted on is known to be begun
  whenever the agent is killed; an action begun and not ended is `open`, and there is at most one;
* `ended` holds the report itself, so that result and report are kept or lost together;
* `finished` says that nothing of a bundle is left to do;
* a last line without its line end was never synced to its end, so nobody has acted on it: it is
  cut off;
* the `begun` lines in their order are what the host tells the guards (kernel/fresh.py): its n-th
  is number n.

Left out: throwing old lines away; 64 MiB are some 50,000 changes.
"""

import json
from pathlib import Path
from typing import NamedTuple

from answerable.host.files import HomeUnavailable, append_synced, read_file
from answerable.kernel.canon import Json, encode

JOURNAL = 1 << 26
"""Largest journal that is read, bytes."""


class Open(NamedTuple):
    """An action that was begun and has not ended, and the bundle it came with."""

    action: str
    bundle: str


class Journal:
    """The events of one host, in memory and on disk.

    `consumed`: every action begun, in turn. `ended`: report body by action. `open`: the action
    that was begun and has not ended. `bundles`: those of which something was begun and something
    may be left. `unsent`: bodies by number. `seq`: the number of the last report.
    """

    def __init__(self, path: Path) -> None:
        """Read what is there.

        Raises:
            HomeUnavailable: it is damaged; then nobody knows what this host has done.
        """
        self._path, self._size = path, 0
        self.consumed: list[str] = []
        self.ended: dict[str, Json] = {}
        self.open: Open | None = None
        self.unsent: dict[int, Json] = {}
        self.bundles: dict[str, None] = {}
        self.seq = 0
        data = read_file(path, JOURNAL) if path.exists() else b""
        whole = data[: data.rfind(b"\n") + 1]
        self._size = len(whole)
        for number, line in enumerate(whole.splitlines(), 1):
            try:
                self._apply(json.loads(line))
            except (ValueError, KeyError, TypeError, AssertionError) as error:
                raise HomeUnavailable(
                    f"`{path}` is damaged at line {number}; enrol this host anew, it cannot know "
                    "what it has done"
                ) from error

    @property
    def failed(self) -> frozenset[str]:
        """The actions that this host reported as failed."""
        return frozenset(a for a, body in self.ended.items() if body["result"] == "failed")

    def begin(self, action: str, bundle: str) -> None:
        """Write down that an action begins, synced; only then may it."""
        self._append({"action": action, "bundle": bundle, "is": "begun"})

    def end(self, action: str, body: Json) -> None:
        """Write down how an action ended, with its report's body, and queue the report."""
        self._append({"action": action, "body": body, "is": "ended"})

    def sent(self, seq: int) -> None:
        """Write down that the report log has a report."""
        self._append({"id": seq, "is": "sent"})

    def finish(self, bundle: str) -> None:
        """Write down that nothing of a bundle is left to do."""
        self._append({"bundle": bundle, "is": "finished"})

    def next_seq(self) -> int:
        """Give the number of the next report, counted up and never given twice by this process."""
        self.seq += 1
        return self.seq

    def _append(self, event: Json) -> None:
        line = encode(event).encode() + b"\n"
        if self._size + len(line) > JOURNAL:
            raise HomeUnavailable(f"`{self._path}` is full; enrol this host anew")
        append_synced(self._path, line, self._size)
        self._size += len(line)
        self._apply(event)

    def _apply(self, event: Json) -> None:
        kind = event["is"]
        assert kind in ("begun", "ended", "sent", "finished"), kind
        if kind == "begun":
            self.consumed.append(event["action"])
            self.bundles[event["bundle"]] = None
            self.open = Open(event["action"], event["bundle"])
        elif kind == "ended":
            body = event["body"]
            self.ended[event["action"]] = body
            self.unsent[body["seq"]] = body
            self.seq = max(self.seq, body["seq"])
            if self.open and self.open.action == event["action"]:
                self.open = None
        elif kind == "sent":
            self.unsent.pop(event["id"], None)
        else:
            self.bundles.pop(event["bundle"], None)
