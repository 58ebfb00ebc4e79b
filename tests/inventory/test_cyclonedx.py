"""CycloneDX documents."""

import contextlib
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from answerable.inventory.cyclonedx import claims, read
from answerable.inventory.installed import Gap, Unreadable
from tests.feeds.mangle import mangled
from tests.inventory.generated import ALMA, DEBIAN, LOCKED, sample
from tests.inventory.rows import plain

XML = sample("syft-deb.cdx.xml")


def _document(*components: object) -> bytes:
    return json.dumps({"bomFormat": "CycloneDX", "components": components}).encode()


@pytest.mark.parametrize(
    ("name", "rows"),
    [
        ("syft-deb.cdx.json", DEBIAN | LOCKED),
        ("syft-deb.cdx.xml", DEBIAN | LOCKED),
        ("trivy-deb.cdx.json", DEBIAN),
        ("syft-alma.cdx.json", ALMA),
    ],
)
def test_real_documents_say_the_same(name: str, rows: set[tuple[str, ...]]) -> None:
    """Two generators and two forms, of one tree: the same packages with the same sources."""
    data = sample(name)
    assert claims(data)
    found = read(data)
    assert plain(found.packages) == rows
    assert found.gaps == ()


def test_what_has_no_url_is_a_gap() -> None:
    """A package that a generator could not place is listed as unknown, not dropped."""
    found = read(sample("trivy-alma.cdx.json"))
    assert found.packages == ()
    assert Gap("openssl 1:3.0.7-27.el9_4", "no package URL") in found.gaps
    assert len(found.gaps) == 4


def test_nested_components_are_found_and_holders_are_none() -> None:
    """Components hang in each other; files and the system itself are no packages."""
    inner = {"type": "library", "name": "a", "purl": "pkg:npm/a@1"}
    apk = {"type": "library", "name": "b", "purl": "pkg:apk/alpine/b@1.2-r3"}
    system = {"type": "operating-system", "name": "alpine", "version": "3.19.1"}
    outer = {"type": "file", "name": "x", "components": [{"type": "application", "name": "y",
             "components": [inner, inner]}]}  # fmt: skip
    found = read(_document(outer, system, apk))
    assert {(r.ecosystem, r.package) for r in found.packages} == {
        ("npm", "a"),
        ("alpine:3.19", "b"),
    }
    assert found.gaps == ()


def test_two_systems_leave_none_to_assume() -> None:
    """Where a document describes two systems, a URL without a release is not guessed."""
    systems = [{"type": "operating-system", "name": "debian", "version": v} for v in ("11", "12")]
    deb = {"type": "library", "name": "b", "purl": "pkg:deb/debian/b@1"}
    assert read(_document(*systems, deb)).packages == ()


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"[]",
        b"{}",
        b'{"bomFormat":"CycloneDX","components":{}}',
        b'{"bomFormat":"CycloneDX","components":[1]}',
        b'{"bomFormat":"CycloneDX","components":[{"components":3}]}',
        b"[" * 100_000,
        b"<bom/>",
        b"<bom xmlns='http://cyclonedx.org/schema/bom/1.6'>",
        b"<bom xmlns='http://cyclonedx.org/schema/bom/1.6'>" + b"<a>" * 1000,
        sample("syft-deb.cdx.json")[:-400],
        XML[:-400],
        XML.decode().encode("utf-16"),
    ],
)
def test_what_is_no_document_is_unreadable(data: bytes) -> None:
    """A document that is cut short or none at all is never an empty list of packages."""
    with pytest.raises(Unreadable):
        read(data)


def test_entities_are_refused() -> None:
    """A billion laughs: no document type is read at all."""
    bomb = b'<!DOCTYPE bom [<!ENTITY a "haha">]>' + XML.partition(b"?>")[2]
    with pytest.raises(Unreadable, match="document type"):
        read(bomb)


@pytest.mark.parametrize("name", [b"TTF-8", b"rot13", b"utf-7"])
def test_a_declared_encoding_is_not_looked_up(name: bytes) -> None:
    """A document is read as UTF-8, whatever it calls itself."""
    assert plain(read(XML.replace(b"UTF-8", name, 1)).packages) == DEBIAN | LOCKED


def test_a_name_deep_inside_is_not_the_components() -> None:
    """The pedigree of a component names its ancestors, which are not installed."""
    data = (
        b'<bom xmlns="http://cyclonedx.org/schema/bom/1.6"><metadata><tools><components>'
        b'<component type="library"><name>tool</name><purl>pkg:npm/tool@1</purl></component>'
        b'</components></tools></metadata><components><component type="library"><name>a</name>'
        b"<purl>pkg:npm/a@2</purl><pedigree><ancestors><component type='library'><name>old</name>"
        b"<purl>pkg:npm/old@1</purl></component></ancestors></pedigree></component></components>"
        b"</bom>"
    )
    assert {row.package for row in read(data).packages} == {"a"}


@pytest.mark.fuzz
@given(st.binary(max_size=300) | mangled(sample("trivy-deb.cdx.json")) | mangled(XML))
def test_any_bytes_are_packages_or_unreadable(data: bytes) -> None:
    """Untrusted bytes cause `Unreadable` and nothing else."""
    with contextlib.suppress(Unreadable):
        read(data)
