"""A feed's sources, built from a party's settings; each party has its own.

    {"kind":"debian","ecosystem":"debian:12","keyring":"/usr/share/keyrings/..gpg","arch":"amd64",
     "suites":[{"name":"bookworm","url":"http://deb.example/debian","component":"main",
                "max_age":864000,"base":true}, ..]}
    {"kind":"rpm","ecosystem":"rocky:9","keyring":"/usr/share/keyrings/..gpg","arch":"x86_64",
     "repositories":[{"name":"baseos","url":"https://rpm.example/9/BaseOS/x86_64/os",
                      "max_age":864000}, ..]}
    {"kind":"application","ecosystem":"pypi","wheelhouse":"/srv/wheels","facts":"/srv/facts.json"}
    {"kind":"published","ecosystem":"pypi","wheelhouse":"/srv/wheels"}

A suite or repository has a `url` or a `folder`; `max_age` is how old its signed release file or
index may be, seconds; exactly one suite is the `base` that the others update; a repository may have
a `keyring` of its own. What is fetched is kept in the party's
directory. An `application`'s facts are a file that people keep; what is `published` comes out of
the party's own world, as far as two voices agree (worlds.py). A feed may have `provenance`
(feeds/proven.py); where the charter demands it and it is not configured, no artefact is a fact.
Left out: package indexes over the network, which a later kind adds.
"""

import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import httpx

from answerable.config import NotConfigured, Party, read_bytes
from answerable.feeds.documents.blobs import Blobs
from answerable.feeds.documents.fetch import Folder, Http
from answerable.feeds.proven import Evidence, Expected, ProvenSource
from answerable.feeds.source import Fetch, Source
from answerable.feeds.sources.curated import Curated
from answerable.feeds.sources.debian import Debian, Suite
from answerable.feeds.sources.published import Published
from answerable.feeds.sources.pypi import Wheelhouse
from answerable.feeds.sources.rpm import Repository, Rpm
from answerable.feeds.world import Worlds
from answerable.kernel.charter import Charter

Settings = Mapping[str, Any]


def sources(
    feed: Settings, party: Party, client: httpx.Client, demanded: Callable[[], bool]
) -> Sequence[ProvenSource]:
    """Give the sources of one feed.

    Args:
        demanded: whether the charter now in force demands provenance of this feed.

    Raises:
        NotConfigured: the settings are of no known kind, or lack something.
        Unavailable: provenance is configured, and its trust root or its library is not there.
    """
    kind = feed.get("kind", "")
    try:
        found = _sources(kind, feed, party, client)
        given = feed.get("provenance")
        evidence = _evidence(given, party, client) if given else None
    except (KeyError, TypeError, AttributeError) as error:
        raise NotConfigured(f"a feed of kind `{kind}` lacks {error}: see its settings") from error
    return tuple(ProvenSource(source, evidence, demanded) for source in found)


def demands(law: Charter, feed: str) -> bool:
    """Tell whether a charter demands provenance of a feed."""
    return bool(law.body["feeds"].get(feed, {}).get("provenance") == "required")


def _sources(kind: str, feed: Settings, party: Party, client: httpx.Client) -> Sequence[Source]:
    if kind == "debian":
        return (_debian(feed, party, client),)
    if kind == "rpm":
        return (_rpm(feed, party, client),)
    if kind == "application":
        facts = Path(feed["facts"])
        return (Wheelhouse(Path(feed["wheelhouse"])), Curated(Folder(facts.parent), facts.name))
    if kind == "published":
        if not party.settings.get("publications"):
            raise NotConfigured("a `published` feed needs `publications` in the settings")
        worlds = Worlds(party.directory / "worlds")
        return (Wheelhouse(Path(feed["wheelhouse"])), Published(worlds, feed["ecosystem"]))
    kinds = "`debian`, `rpm`, `application` or `published`"
    raise NotConfigured(f"`{kind}` is no kind of feed: it is {kinds}")


def _evidence(given: Settings, party: Party, client: httpx.Client) -> Evidence:
    from answerable.feeds import provenance  # noqa: PLC0415  an extra, and slow to load

    judge = provenance.Sigstore(read_bytes(Path(given["root"])), given["sha256"])
    identities = {
        package: Expected(who["issuer"], who["identity"], tuple(who.get("predicates", ())))
        for package, who in given["identities"].items()
    }
    place = str(given["bundles"])
    key = "url" if place.startswith(("http://", "https://")) else "folder"
    return Evidence(judge, _fetch({key: place}, party, client), identities)


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


def _rpm(feed: Settings, party: Party, client: httpx.Client) -> Rpm:
    repositories = tuple(
        Repository(
            each["name"], _fetch(each, party, client),
            Path(each.get("keyring") or feed["keyring"]), int(each["max_age"]),
        )
        for each in feed["repositories"]
    )  # fmt: skip
    if not repositories or len({each.name for each in repositories}) < len(repositories):
        raise NotConfigured("an rpm feed needs repositories, each with a `name` of its own")
    kept = Blobs(party.directory / "blobs")
    return Rpm(feed["ecosystem"], repositories, feed["arch"], kept)


def _fetch(suite: Settings, party: Party, client: httpx.Client) -> Fetch:
    if folder := suite.get("folder"):
        return Folder(Path(folder))
    return Http(suite["url"], client, time.monotonic, party.directory / "fetched")
