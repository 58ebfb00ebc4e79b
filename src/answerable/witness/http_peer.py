"""Another guard's veto post over HTTP: `POST <url>/veto`."""

from dataclasses import dataclass

import httpx

from answerable.witness.post import RECEIPT
from answerable.witness.wire import GuardUnavailable


@dataclass(frozen=True)
class HttpPeer:
    """The guard at `url`, without a final slash."""

    client: httpx.Client
    url: str

    def hand(self, entry: bytes) -> bytes:
        """See `Peer.hand`."""
        url, data = f"{self.url.rstrip('/')}/veto", bytearray()
        try:
            with self.client.stream("POST", url, content=entry) as response:
                for part in response.iter_raw():
                    data += part
                    if len(data) > RECEIPT:
                        raise GuardUnavailable(f"`{url}` sends over {RECEIPT} bytes")
                if response.status_code != httpx.codes.OK:
                    raise GuardUnavailable(f"`{url}` answers {response.status_code}: retry later")
        except (httpx.HTTPError, httpx.InvalidURL) as error:
            raise GuardUnavailable(f"cannot reach `{url}`: {type(error).__name__}") from error
        return bytes(data)
