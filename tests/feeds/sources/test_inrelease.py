"""The release file: what its signature covers, and how fresh it is."""

import contextlib
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from answerable.feeds.documents.dates import require_fresh
from answerable.feeds.source import AHEAD, State, Unusable
from answerable.feeds.sources.inrelease import Release, open_release
from tests.feeds.archive import DAY, NOW, Archive, Publisher
from tests.feeds.mangle import mangled
from tests.feeds.real import KEYRING, TAKEN, needs_data, unpacked

TEXT = f"Suite: s\nCodename: c\nDate: Fri, 20 Nov 2026 00:12:41 UTC\nSHA256:\n {'a' * 64} 7 x/y\n"


@pytest.fixture(scope="module")
def keyring(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A keyring with the publisher's key."""
    return Archive(tmp_path_factory.mktemp("keyring")).keyring()


def _state(data: bytes, keyring: Path) -> State:
    with pytest.raises(Unusable) as failure:
        open_release(data, keyring, "suite")
    return failure.value.state


@needs_data
@pytest.mark.parametrize(
    ("name", "codename", "files"),
    [
        ("bookworm.InRelease", "bookworm", 500),
        ("bookworm-updates.InRelease", "bookworm-updates", 100),
        ("bookworm-security.InRelease", "bookworm-security", 100),
    ],
)
def test_a_real_release_opens_with_the_distributions_keyring(
    name: str, codename: str, files: int
) -> None:
    """What Debian signed is read, dates and hashes and all."""
    release = open_release(unpacked(name), KEYRING, name)
    assert release.codename == codename
    assert len(release.files) > files
    assert release.files["main/binary-amd64/Packages.xz"][1] > 0
    assert release.by_hash


@needs_data
def test_a_real_release_expires_by_its_own_word_and_by_our_rule() -> None:
    """The security suite is fresh for a week, and stale or expired afterwards."""
    release = open_release(unpacked("bookworm-security.InRelease"), KEYRING, "security")
    require_fresh(release.published, release.valid_until, "security", 7 * DAY, TAKEN)
    assert release.valid_until == release.published + 7 * DAY
    for now, age, state in (
        (release.valid_until + 1, 30 * DAY, State.EXPIRED),
        (TAKEN, DAY, State.STALE),
        (release.published - AHEAD - 1, DAY, State.POSTDATED),
    ):
        with pytest.raises(Unusable) as failure:
            require_fresh(release.published, release.valid_until, "security", age, now)
        assert failure.value.state is state


@needs_data
@pytest.mark.fuzz
@settings(max_examples=40)
@given(st.data())
def test_a_real_release_cut_or_changed_is_never_read_as_another(data: st.DataObject) -> None:
    """Truncation and forgery end in a named state, or in the very text that was signed."""
    whole = unpacked("bookworm-security.InRelease")
    known = open_release(whole, KEYRING, "security")
    with contextlib.suppress(Unusable):
        read = open_release(data.draw(mangled(whole)), KEYRING, "security")
        assert (read.files, read.published) == (known.files, known.published)


@pytest.mark.fuzz
@settings(max_examples=40, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.binary(max_size=2048) | mangled(Publisher().sign(TEXT, NOW)))
def test_any_bytes_are_read_or_unusable(keyring: Path, data: bytes) -> None:
    """Untrusted bytes cause `Unusable` and nothing else."""
    with contextlib.suppress(Unusable):
        open_release(data, keyring, "suite")


@pytest.mark.fuzz
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=40)
@given(st.text(st.characters(codec="utf-8", exclude_characters="\r"), max_size=300))
def test_a_signed_text_of_any_kind_is_read_or_unusable(keyring: Path, text: str) -> None:
    """A publisher who signs nonsense causes `Unusable` and nothing else."""
    with contextlib.suppress(Unusable):
        open_release(Publisher().sign(TEXT + text, NOW), keyring, "suite")


def test_only_the_signed_text_counts(keyring: Path) -> None:
    """Words put before and after the signed text are not read."""
    data = b"Codename: evil\n" + Publisher().sign(TEXT, NOW) + b"Valid-Until: never\n"
    release = open_release(data, keyring, "suite")
    assert (release.codename, release.valid_until) == ("c", 0)


def test_two_signed_texts_are_refused(keyring: Path) -> None:
    """A second signed text cannot hide behind the first one's signature."""
    one = Publisher().sign(TEXT, NOW)
    assert _state(one + one, keyring) is State.MALFORMED


def test_another_key_is_forgery(keyring: Path) -> None:
    """A release signed by a key outside the keyring is forged."""
    assert _state(Publisher(seed=2).sign(TEXT, NOW), keyring) is State.FORGED


def test_a_changed_text_is_forgery(keyring: Path) -> None:
    """One changed letter breaks the signature."""
    data = Publisher().sign(TEXT, NOW).replace(b"Codename: c", b"Codename: d")
    assert _state(data, keyring) is State.FORGED


def test_a_weak_hash_is_forgery(keyring: Path) -> None:
    """A signature over SHA-1 proves nothing."""
    assert _state(Publisher().sign(TEXT, NOW, digest=2), keyring) in (
        State.FORGED,
        State.MALFORMED,
    )


def test_nothing_is_empty(keyring: Path) -> None:
    """An empty file is named as empty, and so is one that names no files."""
    assert _state(b"\n", keyring) is State.EMPTY
    bare = "Suite: s\nCodename: c\nDate: Fri, 20 Nov 2026 00:12:41 UTC\n"
    assert _state(Publisher().sign(bare, NOW), keyring) is State.EMPTY


def test_a_missing_keyring_is_said(tmp_path: Path) -> None:
    """Without a keyring nothing is believed."""
    assert _state(Publisher().sign(TEXT, NOW), tmp_path / "none") is State.UNREACHABLE


def test_an_older_release_than_one_seen_is_a_rollback() -> None:
    """A mirror cannot be wound back to a release that lacks the newest updates."""
    release = Release(("s", "s"), "s", NOW, 0, by_hash=False, files={}, sha256="")
    require_fresh(release.published, release.valid_until, "suite", DAY, NOW, floor=NOW)
    with pytest.raises(Unusable) as failure:
        require_fresh(release.published, release.valid_until, "suite", DAY, NOW, floor=NOW + 1)
    assert failure.value.state is State.ROLLED_BACK


@pytest.mark.parametrize("date", ["", "Fri, 31 Feb 2026 00:00:00 UTC", "20 Nov 2026", "x" * 99])
def test_a_date_that_is_none_is_malformed(keyring: Path, date: str) -> None:
    """A release without a readable date has no age, so it is not used."""
    text = TEXT.replace("Fri, 20 Nov 2026 00:12:41 UTC", date)
    assert _state(Publisher().sign(text, NOW), keyring) is State.MALFORMED
