"""The head of an HTTP answer, within one limit however slowly it drips.

httpx limits each wait for bytes, so a server that sends one byte of its head now and then holds
whoever asks for as long as it likes. Here another thread waits for the head; who asked goes on
after `HEAD` seconds, and what arrives later is closed.

Left out: the body, whose readers have limits of their own (fetch.py, download.py).
"""

import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from queue import Empty, SimpleQueue

import httpx

HEAD = 60.0
"""Longest time from asking to the end of the answer's head, seconds."""


@contextmanager
def answered(
    client: httpx.Client, url: str, headers: Mapping[str, str], wait: float
) -> Iterator[httpx.Response]:
    """Ask for a document; redirections are not followed.

    Args:
        wait: longest wait for the next bytes, seconds.

    Raises:
        httpx.HTTPError: as httpx; `ReadTimeout` also if the head takes too long as a whole.
        httpx.InvalidURL: for an address that is none.
    """
    request = client.build_request("GET", url, headers=headers, timeout=wait)
    response = _Asked(client, request).head()
    try:
        yield response
    finally:
        response.close()


class _Asked:
    """A request that another thread has sent."""

    def __init__(self, client: httpx.Client, request: httpx.Request) -> None:
        self._client, self._request = client, request
        self._came: SimpleQueue[httpx.Response | Exception] = SimpleQueue()
        self._late = threading.Event()
        threading.Thread(target=self._send, daemon=True).start()

    def _send(self) -> None:
        try:
            response = self._client.send(self._request, stream=True, follow_redirects=False)
        except Exception as error:  # noqa: BLE001  whoever asked raises it
            self._came.put(error)
            return
        self._came.put(response)
        if self._late.is_set():
            self._close()

    def _close(self) -> None:
        """Close what came too late, whichever thread sees it first."""
        with suppress(Empty):
            came = self._came.get_nowait()
            if isinstance(came, httpx.Response):
                came.close()

    def head(self) -> httpx.Response:
        try:
            came = self._came.get(timeout=HEAD)
        except Empty:
            self._late.set()
            self._close()
            said = f"no whole head of an answer in {HEAD:g} seconds"
            raise httpx.ReadTimeout(said, request=self._request) from None
        if isinstance(came, Exception):
            raise came
        return came
