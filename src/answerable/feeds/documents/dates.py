"""Whether a signed document is fresh: a frozen or wound-back mirror must not pass for today's.

Rules: it is not from the future, not older than the newest one that was seen before, not after the
date until which its publisher stands by it, and not older than the caller's limit.

Left out: where the newest date is kept (blobs.py).
"""

from answerable.feeds.source import AHEAD, State, Unusable


def require_fresh(
    published: int, valid_until: int, source: str, max_age: int, now: int, floor: int = 0
) -> None:
    """Judge a document's dates at POSIX second `now`.

    Args:
        published: POSIX seconds.
        valid_until: POSIX seconds, or 0.
        max_age: how old it may be, seconds.
        floor: the newest date that was seen on it before, POSIX seconds.

    Raises:
        Unusable: `postdated`, `expired`, `stale` or `rolled_back`.
    """
    if published > now + AHEAD:
        raise Unusable(State.POSTDATED, source, f"dated {published - now} s ahead; check the clock")
    if published < floor:
        raise Unusable(State.ROLLED_BACK, source, f"{floor - published} s older than one seen")
    if valid_until and now > valid_until:
        late = now - valid_until
        raise Unusable(State.EXPIRED, source, f"expired {late} s ago; use another mirror")
    if now - published > max_age:
        late = now - published - max_age
        raise Unusable(State.STALE, source, f"{late} s older than the rule; use another mirror")
