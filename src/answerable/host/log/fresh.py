"""Ask the guards how the log stands now, all at once, with a random nonce.

The question, canonical JSON, `POST <guard>/fresh`:

    {"consume":"<this host's last consume note, or empty>","host":"web1","nonce":"<32 hex>"}

and, for a guard that answers 403 `not_enrolled`, once more with this host's record and its proof:

    "record":{"enrolment":"<statement id>","index":0,"path":["<hex>"],"record":"<text>"}

The answer is a reply of kernel/fresh.py, judged there; here replies are only collected, up to a
size and a time, and no guard can hold the others up. The consume note tells the guards what this
host began last; their answers show whether they keep it.
"""

import queue
import threading
from collections.abc import Callable, Mapping

from answerable.host.network.client import Client, Declined, HttpUnavailable
from answerable.kernel.canon import Json, encode
from answerable.kernel.fresh import SIZE, Freshness
from answerable.kernel.verify import Enrolled

GUARD_SECONDS = 5
"""Longest that a guard may take to answer."""


class Guards:
    """Asks every guard the same question.

    Args:
        client: asks servers.
        clock: boot-time clock, seconds; it goes on while the machine sleeps.
        nonce: makes 32 random hex digits.
    """

    def __init__(
        self, client: Client, clock: Callable[[], float], nonce: Callable[[], str]
    ) -> None:
        self._client, self._clock, self._nonce = client, clock, nonce

    def ask(
        self,
        urls: Mapping[str, str],
        enrolled: Enrolled,
        consumed: str,
        enough: Callable[[Freshness], bool],
    ) -> Freshness:
        """Ask all guards, and wait until they have answered, or the answers so far are enough.

        Args:
            urls: address by guard.
            enrolled: this host's record and its proof, so that guards know its key.
            consumed: the host's last consume note, or nothing.
            enough: tells whether these answers will do; asked after each one.
        """
        answers: queue.SimpleQueue[bytes] = queue.SimpleQueue()
        asked = {"consume": consumed, "host": enrolled.body["host"], "nonce": self._nonce()}
        sent, replies = self._clock(), list[bytes]()
        for url in urls.values():
            words = (f"{url.rstrip('/')}/fresh", asked, enrolled, answers)
            threading.Thread(target=self._one, args=words, daemon=True).start()
        for _ in urls:
            left = sent + 2 * GUARD_SECONDS - self._clock()
            try:
                reply = answers.get(timeout=max(0.0, left))
            except queue.Empty:
                break
            replies += [reply] if reply else []
            fresh = Freshness(asked["nonce"], sent, tuple(replies))
            if reply and enough(fresh):
                break
        return Freshness(asked["nonce"], sent, tuple(replies))

    def _one(
        self, url: str, asked: Json, enrolled: Enrolled, answers: "queue.SimpleQueue[bytes]"
    ) -> None:
        reply = b""
        try:
            reply = self._post(url, asked)
        except Declined as declined:
            if declined.reason == "not_enrolled":
                reply = self._introduce(url, asked, enrolled)
        except HttpUnavailable:
            # A guard that is away is what a quorum is for.
            pass
        finally:
            answers.put(reply)

    def _introduce(self, url: str, asked: Json, enrolled: Enrolled) -> bytes:
        record = {
            "enrolment": enrolled.enrolment, "index": enrolled.place,
            "path": [step.hex() for step in enrolled.path], "record": enrolled.record,
        }  # fmt: skip
        try:
            return self._post(url, {**asked, "record": record})
        except HttpUnavailable:
            return b""

    def _post(self, url: str, asked: Json) -> bytes:
        return self._client.post(url, encode(asked).encode(), SIZE, seconds=GUARD_SECONDS)
