"""Publications are built from settings, or the settings are told what they lack."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import httpx
import pytest

from answerable.bootstrap.publications import AGES, KINDS, subscriptions
from answerable.config import NotConfigured
from answerable.feeds.documents.download import Local, Remote
from answerable.feeds.sync import Subscription, status, sync
from tests.feeds.samples import KEV

URL = "https://feeds.example/x"
EACH: list[dict[str, Any]] = [
    {"kind": "osv", "channel": "osv/debian", "files": ["Debian/all.zip"]},
    {"kind": "kev"},
    {"kind": "epss", "also": ["other.example"]},
    {"kind": "nvd", "files": ["nvdcve-2.0-2024.json.gz"]},
    {"kind": "nvd"},
    {"kind": "vulnrichment"},
    {"kind": "debian-tracker"},
    {"kind": "csaf", "channel": "csaf/redhat", "index": "changes.csv"},
    {"kind": "csaf", "channel": "csaf/suse", "files": ["all.tar.xz"]},
    {"kind": "updateinfo", "channel": "updateinfo/rocky", "ecosystem": "rocky:9"},
    {"kind": "updateinfo", "channel": "updateinfo/x", "ecosystem": "rocky:9", "files": ["u.xml"]},
]


def _built(*settings: Mapping[str, Any]) -> tuple[Subscription, ...]:
    with httpx.Client() as client:
        return subscriptions(settings, client, lambda: 0.0)


def test_each_kind_is_built() -> None:
    """Every kind there is can be named, and has an age of its own."""
    found = _built(*({"name": f"p{n}", "url": URL, **each} for n, each in enumerate(EACH)))
    assert {each["kind"] for each in EACH} == set(KINDS) == set(AGES)
    for each, subscription in zip(EACH, found, strict=True):
        assert subscription.max_age == AGES[each["kind"]]
        assert isinstance(subscription.place, Remote)
        publication = subscription.publication
        assert publication.index or publication.listing(None, "").documents
        assert publication.limit > 0


def test_a_folder_stands_for_a_server(tmp_path: Path) -> None:
    """A site without a network reads what was carried to it."""
    (tmp_path / "kev.json").write_bytes(KEV)
    settings = {"name": "kev", "kind": "kev", "folder": str(tmp_path), "files": ["kev.json"],
                "max_age": 7}  # fmt: skip
    (found,) = _built(settings)
    assert isinstance(found.place, Local)
    assert found.max_age == 7
    (kept,) = sync([found], tmp_path / "feed", 1_795_305_600, lambda _: None)
    assert kept.rows == 16
    assert status([found], tmp_path / "feed", kept.published)[0].state == "usable"


@pytest.mark.parametrize(
    ("settings", "says"),
    [
        ({"name": "x", "kind": "oval", "url": URL}, "`oval` is no kind"),
        ({"name": "x", "url": URL}, "is no kind"),
        ({"name": "x", "kind": "kev"}, "url"),
        ({"name": "x", "kind": "kev", "url": "ftp://x"}, "is no address"),
        ({"kind": "kev", "url": URL}, "name"),
        ({"name": "x", "kind": "osv", "url": URL}, "channel"),
        ({"name": "x", "kind": "osv", "channel": "osv/x", "url": URL}, "files"),
        ({"name": "x", "kind": "kev", "url": URL, "files": []}, "kev"),
        ({"name": "x", "kind": "kev", "url": URL, "max_age": "old"}, "old"),
        ({"name": "X/Y", "kind": "kev", "url": URL}, "X/Y"),
        (7, "publication"),
    ],
)
def test_settings_that_lack_something_say_what(settings: Any, says: str) -> None:  # noqa: ANN401
    """Nobody guesses what a feed is made of."""
    with pytest.raises(NotConfigured, match=says):
        _built(settings)


def test_names_are_unique() -> None:
    """Two publications of one name would write over each other."""
    one = {"name": "kev", "kind": "kev", "url": URL}
    with pytest.raises(NotConfigured, match="one name"):
        _built(one, one)
