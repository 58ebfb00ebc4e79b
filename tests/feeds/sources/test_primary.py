"""The list of packages of an RPM repository is read as it was written, for those asked for."""

from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from hypothesis import given
from hypothesis import strategies as st

from answerable.feeds.source import State, Unusable
from answerable.feeds.sources import primary
from tests.feeds.repository import Repository
from tests.feeds.samples import PRIMARY

WHERE = ("rocky:9", "x86_64", 1 << 20)
_NAMES = st.from_regex(r"[A-Za-z0-9][A-Za-z0-9_+.-]{0,12}", fullmatch=True)
_VERSIONS = st.from_regex(r"([1-9]:)?[0-9][A-Za-z0-9._+~^]{0,9}-[0-9]{1,3}[.]el9", fullmatch=True)
_CAPABILITIES = st.from_regex(r"[A-Za-z/][A-Za-z0-9()./:_+<>&\"' -]{0,20}", fullmatch=True)


def _file(folder: Path, data: bytes) -> Path:
    file = folder / "primary.xml"
    file.write_bytes(data)
    return file


@given(
    st.dictionaries(_NAMES, st.tuples(_VERSIONS, st.sampled_from(["x86_64", "noarch", "i686"])),
                    min_size=1, max_size=5),
    _CAPABILITIES.map(lambda name: name.replace(" ", "")),
)  # fmt: skip
def test_what_was_written_is_read(packages: dict[str, tuple[str, str]], capability: str) -> None:
    """Names, versions, hashes, sizes, paths and requirements; other architectures not at all."""
    with TemporaryDirectory() as place:
        made = Repository(Path(place))
        for name, (version, arch) in packages.items():
            made.add(name, version, arch=arch, requires=[capability], provides=[capability])
        file = _file(Path(place), made.primary())
        found = primary.read(file, "here", list(packages), *WHERE)
        expected = {(n, *rest) for n, rest in packages.items() if rest[1] != "i686"}
        assert {(p.name, p.version, p.arch) for p in found} == expected
        for each in found:
            assert (Path(place) / each.path).stat().st_size == each.size
            assert each.requires == (primary.Capability(capability),)
        asked = primary.providers(file, "here", [capability], *WHERE)
        assert {(p.package, p.version) for p in asked} == {(n, v) for n, v, _ in expected}
        assert primary.read(file, "here", [], *WHERE) == []


def test_a_document_that_is_cut_is_never_half_read(tmp_path: Path) -> None:
    """At whatever byte it ends, it is not taken for a shorter list."""
    whole = PRIMARY.rstrip()
    for end in range(1, len(whole), 7):
        with pytest.raises(Unusable):
            primary.read(_file(tmp_path, whole[:end]), "here", ["curl"], *WHERE)
    found = primary.read(_file(tmp_path, whole), "here", ["curl", "libcurl"], *WHERE)
    assert [(p.name, p.version) for p in found] == [
        ("curl", "7.76.1-29.el9"), ("libcurl", "1:7.76.1-29.el9"),
    ]  # fmt: skip


def test_more_than_the_limits_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Bytes that the index does not say, and requirements without end."""
    file = _file(tmp_path, PRIMARY)
    with pytest.raises(Unusable) as failure:
        primary.read(file, "here", ["curl"], "rocky:9", "x86_64", len(PRIMARY) - 1)
    assert failure.value.state is State.OVERSIZED
    monkeypatch.setattr(primary, "CAPABILITIES", 1)
    with pytest.raises(Unusable) as failure:
        primary.read(file, "here", ["curl"], *WHERE)
    assert failure.value.state is State.MALFORMED
