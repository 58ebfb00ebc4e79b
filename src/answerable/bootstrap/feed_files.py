"""The files of a folder of publications, read: what each says, or why it says nothing.

Rules: where a publication of advisories cannot be used nothing is given, since silence would read
as "no flaws"; one that only says more about flaws is left out, and told with its state.

Left out: which files there are, and what they are (feed_folder.py).
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import httpx

from answerable.bootstrap.publications import subscriptions
from answerable.feeds import sync
from answerable.feeds.rows import Row
from answerable.feeds.source import State, Unusable
from answerable.feeds.sync import USABLE, Kept, Step, Subscription

ADVISORIES = frozenset({"osv", "debian-tracker", "csaf", "updateinfo"})
"""Kinds without which nothing is listed."""


def rows_of(
    settings: Sequence[Mapping[str, Any]],
    kept: Path,
    now: int,
    progress: Callable[[str, int], None],
) -> tuple[Iterator[tuple[Kept, Iterator[Row]]], list[str]]:
    """Give the rows of each document that can be used, and notes on those that cannot.

    Args:
        settings: of publications that lie in folders.
        kept: where what was read is kept.

    Raises:
        NotConfigured: a setting of another shape.
        Unusable: advisories that cannot be used.
    """
    with httpx.Client() as client:  # every place is a folder: nothing is asked over the network
        wanted = subscriptions(settings, client)
    kinds = {each["name"]: each["kind"] for each in settings}
    usable, told = _usable(wanted, kinds, kept, now, progress)
    return sync.rows(usable, kept / "documents", now), told


def _usable(
    wanted: Sequence[Subscription],
    kinds: Mapping[str, str],
    kept: Path,
    now: int,
    progress: Callable[[str, int], None],
) -> tuple[list[Subscription], list[str]]:
    def tell(step: Step) -> None:
        progress(f"{step.doing} {step.path}", step.done)

    (kept / "documents").mkdir(mode=0o700, parents=True, exist_ok=True)
    bad: dict[str, str] = {}
    for one in sync.sync(wanted, kept / "documents", now, tell):
        if one.state != USABLE:
            if kinds[one.publication] in ADVISORIES:
                raise Unusable(State(one.state), f"{one.publication}/{one.path}", one.detail)
            bad[one.publication] = f"`{one.path}` is {one.state}, and says nothing: {one.detail}"
    return [each for each in wanted if each.name not in bad], list(bad.values())
