"""Reading what guards show to people: text, at most `PAGE` bytes of it."""

import httpx

from answerable.kernel.errors import Unavailable

PAGE = 1 << 22
"""Largest page that is read, bytes."""


class GuardSilent(Unavailable):
    """A guard does not answer, or has no such page."""


def page(client: httpx.Client, guard: str, path: str) -> str:
    """Give a page of the guard at a URL.

    Raises:
        GuardSilent: if it cannot be had.
    """
    url, data = f"{guard.rstrip('/')}/{path}", bytearray()
    try:
        with client.stream("GET", url) as answer:
            if answer.status_code != httpx.codes.OK:
                raise GuardSilent(f"`{url}` answers {answer.status_code}")
            for part in answer.iter_bytes():
                data += part
                if len(data) > PAGE:
                    raise GuardSilent(f"`{url}` sends over {PAGE} bytes")
    except (httpx.HTTPError, httpx.InvalidURL) as error:
        raise GuardSilent(f"cannot reach `{url}`: {type(error).__name__}") from error
    return data.decode(errors="replace")
