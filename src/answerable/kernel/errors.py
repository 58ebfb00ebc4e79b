"""The three families of failure.

* bad evidence: `Refused`, with one word of the published list (docs/spec/reasons.md; a test holds
  list and code together). It is raised by every parser and returned by `verify`; nothing else is
  ever raised on untrusted bytes.
* bad world: `Unavailable`; a file, a peer or a tool is missing. Each room has its own subclass.
* bad caller: an assertion.
"""


class Refused(Exception):
    """Evidence that does not convince; `reason` is one word of the published list.

    `detail` says what was found and where, for people; it is never parsed.
    """

    def __init__(self, reason: str, detail: str = "") -> None:
        """Keep the word and what was found."""
        super().__init__(reason, detail)
        self.reason, self.detail = reason, detail


class Unavailable(Exception):
    """Something outside this process is missing or broken; retrying later may help."""


def demand(fact: object, reason: str, detail: str = "") -> None:
    """Go on only if the fact holds.

    Raises:
        Refused: with this reason otherwise.
    """
    if not fact:
        raise Refused(reason, detail)
