"""Plans over HTTP: `GET <control plane>/plans/<digest>`; whoever asked checks the digest."""

from dataclasses import dataclass

import httpx

from answerable.notice.check import PLAN
from answerable.notice.register import HeraldUnavailable

_PLAIN = {"accept-encoding": "identity"}


@dataclass(frozen=True)
class HttpPlans:
    """The control plane at `url`, without a final slash."""

    client: httpx.Client
    url: str

    def get(self, digest: str) -> bytes:
        """See `herald.Plans`."""
        url, data = f"{self.url}/plans/{digest}", bytearray()
        try:
            with self.client.stream("GET", url, headers=_PLAIN) as answer:
                if answer.status_code != httpx.codes.OK:
                    raise HeraldUnavailable(f"`{url}` answers {answer.status_code}")
                for part in answer.iter_raw():
                    data += part
                    if len(data) > PLAN:
                        raise HeraldUnavailable(f"`{url}` sends over {PLAN} bytes")
        except (httpx.HTTPError, httpx.InvalidURL) as error:
            raise HeraldUnavailable(f"cannot reach `{url}`: {type(error).__name__}") from error
        return bytes(data)
