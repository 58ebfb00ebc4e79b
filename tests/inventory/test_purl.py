"""Package URLs."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from answerable.inventory.installed import Gap, Installed
from answerable.inventory.purl import package


@pytest.mark.parametrize(
    ("url", "ecosystem", "name", "version"),
    [
        ("pkg:npm/%40babel/core@7.24.0", "npm", "@babel/core", "7.24.0"),
        ("pkg:npm/@babel/core@7.24.0", "npm", "@babel/core", "7.24.0"),
        ("pkg:pypi/Zope.Interface@5.4", "pypi", "zope-interface", "5.4"),
        ("pkg:golang/golang.org/x/net@v0.1.0#html", "go", "golang.org/x/net", "0.1.0"),
        ("pkg:maven/org.apache/commons@1.0?type=jar", "maven", "org.apache:commons", "1.0"),
        ("pkg:composer/Laravel/Framework@5", "packagist", "laravel/framework", "5"),
        ("pkg:nuget/Newtonsoft.Json@13.0.1", "nuget", "newtonsoft.json", "13.0.1"),
        ("pkg:cargo/rand@0.7.2", "crates.io", "rand", "0.7.2"),
        ("pkg:gem/rails@7?platform=java", "rubygems", "rails", "7"),
        ("pkg:deb/debian/curl@7.50.3-1?distro=bookworm", "debian:12", "curl", "7.50.3-1"),
        ("pkg:deb/ubuntu/curl@7?distro=ubuntu-24.04", "ubuntu:24.04", "curl", "7"),
        ("pkg:deb/debian/x@4-1?distro=debian-12.5&epoch=1", "debian:12", "x", "1:4-1"),
        ("pkg:deb/debian/x@1:4-1?distro=debian-12.5&epoch=1", "debian:12", "x", "1:4-1"),
        ("pkg:rpm/redhat/x@1-2?distro=redhat-8.4", "redhat:8", "x", "1-2"),
        ("pkg:rpm/rocky/x@1-2?distro=rocky-9.3", "rocky:9", "x", "1-2"),
        ("pkg:rpm/opensuse/x@1-2?distro=opensuse-leap-15.5", "opensuse-leap:15.5", "x", "1-2"),
        ("pkg:apk/alpine/x@1-r2?distro=alpine-3.19.1", "alpine:3.19", "x", "1-r2"),
        ("PKG:npm/x@1", "", "", ""),
        ("pkg:deb/debian/x@1", "debian:11", "x", "1"),
    ],
)
def test_names_are_those_of_advisories(url: str, ecosystem: str, name: str, version: str) -> None:
    """A package is found under the name by which its ecosystem's advisories call it."""
    row = package(url, "debian:11")
    if ecosystem:
        assert isinstance(row, Installed)
        assert (row.ecosystem, row.package, row.version) == (ecosystem, name, version)
    else:
        assert isinstance(row, Gap)


@pytest.mark.parametrize(
    "url",
    [
        "",
        "pkg:",
        "pkg:npm",
        "pkg:npm/",
        "pkg:npm/a",
        "pkg:npm/@scope/name",
        "pkg:npm/a%20b@1",
        "pkg:npm/a@1%00",
        "pkg:generic/openssl@1",
        "pkg:deb/debian/x@1?distro=sid",
        "pkg:deb/debian/x?distro=debian-12",
        "pkg:deb/debian/x@1?distro=debian-12&upstream=a%20b",
        "pkg:npm/" + "a" * 5000 + "@1",
    ],
)
def test_what_cannot_be_placed_is_a_gap(url: str) -> None:
    """What no advisory could name is listed with the reason, not guessed at."""
    assert isinstance(package(url), Gap)


def test_the_document_says_what_the_url_does_not() -> None:
    """Trivy's URLs name no source package; its documents do."""
    row = package("pkg:deb/debian/passwd@1?distro=debian-12", "", ("shadow", "2"))
    assert isinstance(row, Installed)
    assert (row.source, row.source_version) == ("shadow", "2")


@given(st.text(max_size=60).map("pkg:".__add__) | st.text(max_size=60))
def test_any_text_is_a_package_or_a_gap(url: str) -> None:
    """No URL breaks the reading of a document."""
    row = package(url)
    assert isinstance(row, Gap) or (row.package and row.version)
