"""A feed's sources, built from a party's settings; each party has its own.

    {"kind":"debian","ecosystem":"debian:12","keyring":"/usr/share/keyrings/..gpg","arch":"amd64",
     "suites":[{"name":"bookworm","url":"http://deb.example/debian","component":"main",
                "max_age":864000,"base":true}, ..]}
    {"kind":"application","ecosystem":"pypi","wheelhouse":"/srv/wheels","facts":"/srv/facts.json"}

A suite has a `url` or a `folder`; `max_age` is how old its signed release file may be, seconds;
exactly one suite is the `base` that the others update. What is fetched is kept in the party's
directory. Left out: OSV and package indexes over the network, which a later kind adds.
"""

import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import httpx

from answerable.config import NotConfigured, Party
from answerable.feeds.blobs import Blobs
from answerable.feeds.curated import Curated
from answerable.feeds.debian import Debian, Suite
from answerable.feeds.fetch import Folder, Http
from answerable.feeds.pypi import Wheelhouse
from answerable.feeds.source import Fetch, Source

Settings = Mapping[str, Any]


def sources(feed: Settings, party: Party, client: httpx.Client) -> Sequence[Source]:
    """Give the sources of one feed.

    Raises:
        NotConfigured: the settings are of no known kind, or lack something.
    """
    kind = feed.get("kind", "")
    try:
        if kind == "debian":
            return (_debian(feed, party, client),)
        if kind == "application":
            facts = Path(feed["facts"])
            return (Wheelhouse(Path(feed["wheelhouse"])), Curated(Folder(facts.parent), facts.name))
    except (KeyError, TypeError) as error:
        raise NotConfigured(f"a feed of kind `{kind}` lacks {error}: see its settings") from error
    raise NotConfigured(f"`{kind}` is no kind of feed: it is `debian` or `application`")


def _debian(feed: Settings, party: Party, client: httpx.Client) -> Debian:
    suites = tuple(
        Suite(
            suite["name"], _fetch(suite, party, client), suite.get("component", "main"),
            feed["arch"], int(suite["max_age"]), bool(suite.get("base", False)),
        )
        for suite in feed["suites"]
    )  # fmt: skip
    if sum(suite.base for suite in suites) != 1:
        raise NotConfigured("a debian feed needs exactly one suite with `base`")
    kept = Blobs(party.directory / "blobs")
    return Debian(feed["ecosystem"], suites, Path(feed["keyring"]), kept)


def _fetch(suite: Settings, party: Party, client: httpx.Client) -> Fetch:
    if folder := suite.get("folder"):
        return Folder(Path(folder))
    return Http(suite["url"], client, time.monotonic, party.directory / "fetched")
