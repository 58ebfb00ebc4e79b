"""The publications of a feed, built from settings.

    [{"name":"osv-debian","kind":"osv","channel":"osv/debian","files":["Debian/all.zip"],
      "url":"https://osv-vulnerabilities.storage.googleapis.com","max_age":259200},
     {"name":"kev","kind":"kev","folder":"/srv/carried/kev","max_age":604800},
     {"name":"rocky9-baseos","kind":"updateinfo","channel":"updateinfo/rocky",
      "ecosystem":"rocky:9","url":"https://dl.rockylinux.org/pub/rocky/9/BaseOS/x86_64/os"}]

Each has a `name`, a `kind` and a `url` or a `folder`; `max_age` is how old its newest document may
be, seconds (`AGES` if it is not given); `also` are other hosts that the server may lead to. Left
out: which of them a fleet should have (docs/operate/feeds.md proposes a list).
"""

import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, Final

import httpx

from answerable.config import NotConfigured
from answerable.feeds.documents.download import Local, Place, Remote
from answerable.feeds.documents.repomd import REPOMD
from answerable.feeds.publication import Publication
from answerable.feeds.publications.csaf import Csaf
from answerable.feeds.publications.debian_tracker import PATH as TRACKER
from answerable.feeds.publications.debian_tracker import DebianTracker
from answerable.feeds.publications.epss import PATH as EPSS
from answerable.feeds.publications.epss import Epss
from answerable.feeds.publications.kev import PATH as KEV
from answerable.feeds.publications.kev import Kev
from answerable.feeds.publications.nvd import Nvd
from answerable.feeds.publications.osv_export import OsvExport
from answerable.feeds.publications.updateinfo import Updateinfo
from answerable.feeds.publications.vulnrichment import PATH as VULNRICHMENT
from answerable.feeds.publications.vulnrichment import Vulnrichment
from answerable.feeds.sync import NAME, Subscription

DAY: Final = 86_400
AGES: Final = {
    "osv": 3 * DAY, "kev": 14 * DAY, "epss": 3 * DAY, "nvd": 3 * DAY, "vulnrichment": 7 * DAY,
    "debian-tracker": 2 * DAY, "csaf": 7 * DAY, "updateinfo": 90 * DAY,
}  # fmt: skip
"""How old a publication of each kind may be, if its settings do not say, seconds."""
Settings = Mapping[str, Any]


def _one(settings: Settings, usual: str) -> str:
    return str(settings.get("files", [usual])[0])


def _nvd(settings: Settings) -> Nvd:
    return Nvd(tuple(settings["files"])) if "files" in settings else Nvd.api()


def _updateinfo(settings: Settings) -> Updateinfo:
    files = tuple(settings.get("files", ()))
    index = "" if files else settings.get("index", REPOMD)
    return Updateinfo(settings["channel"], settings["ecosystem"], files, index)


KINDS: Final[Mapping[str, Callable[[Settings], Publication]]] = {
    "osv": lambda s: OsvExport(s["channel"], tuple(s["files"])),
    "kev": lambda s: Kev(_one(s, KEV)),
    "epss": lambda s: Epss(_one(s, EPSS)),
    "nvd": _nvd,
    "vulnrichment": lambda s: Vulnrichment(tuple(s.get("files", (VULNRICHMENT,)))),
    "debian-tracker": lambda s: DebianTracker(_one(s, TRACKER)),
    "csaf": lambda s: Csaf(s["channel"], s.get("index", ""), tuple(s.get("files", ()))),
    "updateinfo": _updateinfo,
}
"""How each kind of publication is made from its settings."""


def subscriptions(
    settings: Sequence[Settings],
    client: httpx.Client,
    clock: Callable[[], float] = time.monotonic,
) -> tuple[Subscription, ...]:
    """Give the subscriptions of a feed.

    Raises:
        NotConfigured: the settings are of no known kind, lack something, or name one twice.
    """
    found = tuple(_subscription(each, client, clock) for each in settings)
    names = [each.name for each in found]
    if len(set(names)) != len(names):
        raise NotConfigured(f"two publications have one name: {sorted(names)}")
    return found


def _subscription(
    settings: Settings, client: httpx.Client, clock: Callable[[], float]
) -> Subscription:
    if not isinstance(settings, Mapping) or not isinstance(settings.get("kind", ""), str):
        raise NotConfigured(f"`{settings!r:.80}` is no publication's settings")
    kind = settings.get("kind", "")
    if kind not in KINDS:
        raise NotConfigured(f"`{kind}` is no kind of publication: it is one of {sorted(KINDS)}")
    try:
        max_age = int(settings.get("max_age", AGES[kind]))
        name, place = settings["name"], _place(settings, client, clock)
        if not NAME.fullmatch(name):
            raise NotConfigured(f"`{name}` is no name of a publication: small letters, digits, `-`")
        return Subscription(name, KINDS[kind](settings), place, max_age)
    except (KeyError, TypeError, IndexError, ValueError) as error:
        raise NotConfigured(f"a publication of kind `{kind}` lacks {error}") from error


def _place(settings: Settings, client: httpx.Client, clock: Callable[[], float]) -> Place:
    if folder := settings.get("folder"):
        return Local(Path(folder))
    if not str(settings["url"]).startswith(("http://", "https://")):
        raise NotConfigured(f"`{settings['url']}` is no address; it starts with https://")
    return Remote(settings["url"], client, clock, frozenset(settings.get("also", ())))
