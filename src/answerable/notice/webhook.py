"""A web hook as a channel: `POST` of `{"id":..,"subject":..,"text":..}`, taken if it answers 2xx.

Redirects are not followed: the address is the one in the herald's own book. The receiver knows by
`id` that it was told before.
"""

from dataclasses import dataclass

import httpx

from answerable.notice.channel import Accepted, Failed, Message, Outcome, wrong


@dataclass(frozen=True)
class WebhookChannel:
    """Posts with a client whose time limits the caller has set."""

    client: httpx.Client

    def deliver(self, address: str, message: Message) -> Outcome:
        """See `Channel.deliver`; the address is an http or https URL."""
        if problem := wrong(address, message):
            return Failed(problem)
        if not address.startswith(("https://", "http://")):
            return Failed(f"`{address}` is no http address")
        body = {"id": message.id, "subject": message.subject, "text": message.text}
        try:
            # The answer's body is nobody's business, however long it is.
            with self.client.stream("POST", address, json=body, follow_redirects=False) as answer:
                status = answer.status_code
        except (httpx.HTTPError, httpx.InvalidURL, UnicodeError) as error:
            return Failed(f"cannot reach `{address}`: {type(error).__name__}")
        if httpx.codes.is_success(status):
            return Accepted(f"`{address}` answers {status}")
        return Failed(f"`{address}` answers {status}")
