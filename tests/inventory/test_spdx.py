"""SPDX documents."""

import contextlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from answerable.inventory.installed import Gap, Unreadable
from answerable.inventory.spdx import claims, read
from tests.feeds.mangle import mangled
from tests.inventory.generated import DEBIAN, LOCKED, sample
from tests.inventory.rows import plain

TAGS, JSON = sample("trivy-deb.spdx"), sample("trivy-deb.spdx.json")
HEAD = b"SPDXVersion: SPDX-2.3\n"


@pytest.mark.parametrize(
    ("name", "rows"),
    [
        ("syft-deb.spdx.json", DEBIAN | LOCKED),
        ("syft-deb.spdx", DEBIAN | LOCKED),
        ("trivy-deb.spdx.json", DEBIAN),
        ("trivy-deb.spdx", DEBIAN),
    ],
)
def test_real_documents_say_the_same(name: str, rows: set[tuple[str, ...]]) -> None:
    """Two generators and two forms, of one tree: the same packages as their CycloneDX says."""
    data = sample(name)
    assert claims(data)
    found = read(data)
    assert plain(found.packages) == rows
    assert found.gaps == ()


def test_what_has_no_url_is_a_gap() -> None:
    """A package without a package URL is listed as unknown; the tree that was read is none."""
    data = HEAD + b"PackageName: /srv\nPrimaryPackagePurpose: FILE\nPackageName: x\n"
    assert read(data + b"PackageVersion: 1\n").gaps == (Gap("x 1", "no package URL"),)


def test_long_texts_are_passed_over() -> None:
    """A licence's text may hold what looks like packages."""
    text = b"PackageName: a\nPackageComment: <text>one\nPackageName: b\n</text>\n"
    data = HEAD + text + b"ExternalRef: PACKAGE-MANAGER purl pkg:npm/a@1\n"
    assert [row.package for row in read(data).packages] == ["a"]


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"{}",
        b"[]",
        b'{"spdxVersion":"SPDX-3.0"}',
        b'{"spdxVersion":"SPDX-2.3","packages":{}}',
        b'{"spdxVersion":"SPDX-2.3","packages":[1]}',
        b'{"spdxVersion":"SPDX-2.3","packages":[{"externalRefs":1}]}',
        b'{"spdxVersion":' + b"[" * 100_000,
        b"PackageName: x\n",
        HEAD + b"PackageComment: <text>one\n",
        JSON[:-400],
    ],
)
def test_what_is_no_document_is_unreadable(data: bytes) -> None:
    """A document that is cut short or none at all is never an empty list of packages."""
    with pytest.raises(Unreadable):
        read(data)


@pytest.mark.fuzz
@given(st.binary(max_size=300) | mangled(TAGS) | mangled(JSON))
def test_any_bytes_are_packages_or_unreadable(data: bytes) -> None:
    """Untrusted bytes cause `Unreadable` and nothing else."""
    with contextlib.suppress(Unreadable):
        read(data)
