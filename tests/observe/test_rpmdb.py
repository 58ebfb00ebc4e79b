"""Hosts of the RPM family are read from outside: versions, files, keys; a liar gains nothing."""

import io
import os
import sqlite3
import tempfile
from contextlib import closing
from hashlib import sha256
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from answerable.observe import rpmdb
from answerable.observe.drift import weaker
from answerable.observe.files import compare
from answerable.observe.foot import answer
from answerable.observe.inside import ABSENT
from answerable.observe.look import Unseen
from answerable.observe.posture import posture
from answerable.observe.rpmdb import keys, present, redhat, rpm
from answerable.observe.rpmheader import Header
from answerable.observe.shipped import read
from tests.host.transaction.rpms import Value, database, package
from tests.host.transaction.rpms import rpm as packed
from tests.inventory.generated import ALMA, sample
from tests.kernel.near import near_bytes

KEY: dict[int, Value] = {1000: "gpg-pubkey", 1001: "8483c65d", 1002: "5ccc5b19", 1005: "-----BEGIN"}
SHIPPED = {"tool": read(io.BytesIO(packed(package())))}


def key(text: str = "-----BEGIN") -> dict[int, Value]:
    """Give an imported key, without the tag that the tests' writer does not know."""
    return {**KEY, 1005: text}


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """Make a host with a package, as rpm would."""
    for path, data in (("usr/bin/tool", b"two"), ("etc/tool.conf", b"new")):
        (tmp_path / path).parent.mkdir(parents=True)
        (tmp_path / path).write_bytes(data)
    (tmp_path / "usr/bin/t").symlink_to("tool")
    database(tmp_path, package(), key())
    return tmp_path


def differ(root: Path) -> tuple[str, ...]:
    """Compare the package with what lies there."""
    return compare(SHIPPED, redhat(root, ["tool"])).differ


def test_versions_are_read(tmp_path: Path) -> None:
    """Epochs, other architectures, several versions at once; keys are no packages."""
    native = [package(f"lib{n}", arch="x86_64") for n in range(3)]
    database(
        tmp_path, *native, package("lib0", arch="i686", epoch=1), package("all"), key(),
        package("kernel", "1", arch="x86_64"), package("kernel", "2", arch="x86_64"),
    )  # fmt: skip
    assert rpm(tmp_path) == {
        "lib0": "2-1", "lib1": "2-1", "lib2": "2-1", "lib0:i686": "1:2-1", "all": "2-1",
        "kernel": "1-1|2-1",
    }  # fmt: skip
    assert set(redhat(tmp_path, ["lib0", "lib0:i686"])) == {"lib0", "lib0:i686"}


def test_what_rpm_itself_wrote(tmp_path: Path) -> None:
    """A database of rpm's own, behind the link of newer hosts."""
    (tmp_path / "usr/lib/sysimage/rpm").mkdir(parents=True)
    (tmp_path / "usr/lib/sysimage/rpm/rpmdb.sqlite").write_bytes(sample("rpmdb.sqlite.xz"))
    assert rpm(tmp_path) == {row[1]: row[2] for row in ALMA}
    (tmp_path / "var/lib").mkdir(parents=True)
    (tmp_path / "var/lib/rpm").symlink_to("../../usr/lib/sysimage/rpm")
    assert rpm(tmp_path) == {row[1]: row[2] for row in ALMA}


def test_equal_files_are_equal(root: Path) -> None:
    """What rpm put there is what the package ships; a ghost may be there or not."""
    assert differ(root) == ()
    (root / "var/lib/ghost").write_text("made on the host")
    assert differ(root) == ()


def test_lie_in_the_database_is_found(root: Path) -> None:
    """Attack: the database says the new version, and the files are the old ones."""
    (root / "usr/bin/tool").write_bytes(b"one")
    assert rpm(root) == {"tool": "2-1"}
    assert differ(root) == ("`usr/bin/tool` of tool has other bytes",)


def test_paths_that_the_database_lacks_or_adds(root: Path) -> None:
    """Attack: the database forgets a path that was replaced, or vouches for a planted one."""
    names = ["t", "planted"]
    database(root, package(folders=["/usr/bin/"], folder_of=[0, 0], base_names=names))
    (root / "usr/bin/planted").write_text("x")
    assert differ(root) == (
        "`usr/bin/tool` of tool is not there", "`usr/bin/planted` is not of tool, as the host says"
    )  # fmt: skip
    assert redhat(root, ["tool"])["tool"].get("etc/tool.conf", ABSENT) == ABSENT


def test_capabilities_are_compared(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Attack: a program gets capabilities that its package does not give it, or loses its own."""
    raw = bytes.fromhex("010000030020000000000000000000000000000010270000")
    place = (root / "usr/bin/tool").stat().st_ino

    def of(file: int, name: str) -> bytes:
        assert name == "security.capability"
        if os.fstat(file).st_ino != place:
            raise OSError
        return raw

    monkeypatch.setattr(os, "getxattr", of)
    assert differ(root) == ("`usr/bin/tool` of tool has other capabilities",)
    words = ["cap_net_raw=ep", "", "", "", ""]
    capable = {"tool": read(io.BytesIO(packed(package(capabilities=words))))}
    assert compare(capable, redhat(root, ["tool"])).differ == ()
    place = 0
    assert len(compare(capable, redhat(root, ["tool"])).differ) == 1


def test_imported_keys_and_sources_are_posture(root: Path) -> None:
    """Attack: a change brings a key that signs packages, or a setting that checks none."""
    before = posture(root)
    assert before.sections["sources"] == {
        "gpg-pubkey 8483c65d-5ccc5b19": sha256(b"-----BEGIN").hexdigest()
    }
    database(root, package(), key("-----OTHER"))
    for path in ("etc/rpm/macros", "etc/yum.repos.d/evil.repo", "etc/crypto-policies/config"):
        (root / path).parent.mkdir(parents=True)
        (root / path).write_text("x")
    assert weaker(before, posture(root), ()) == [
        "sources: `etc/rpm/macros` came", "sources: `etc/yum.repos.d/evil.repo` came",
        "sources: `gpg-pubkey 8483c65d-5ccc5b19` changed",
        "crypto: `etc/crypto-policies/config` came",
    ]  # fmt: skip


def test_foot_tells_the_family(root: Path) -> None:
    """A host of either family may have the other's tool; what is installed decides."""
    (root / "proc").mkdir()
    (root / "var/lib/dpkg").mkdir(parents=True)
    (root / "var/lib/dpkg/status").write_text("")
    assert answer("versions", root) == '{"installed":{"tool":"2-1"},"stale":[]}'
    assert "usr/bin/tool" in answer("files tool", root)
    stanza = "Package: dpkg\nStatus: install ok installed\nVersion: 1\n"
    (root / "var/lib/dpkg/status").write_text(stanza)
    assert answer("versions", root) == '{"installed":{"dpkg":"1"},"stale":[]}'


def test_nothing_to_see_is_not_an_empty_host(tmp_path: Path) -> None:
    """No database, another form of it, keys alone, a pipe in its place: unseen."""
    place = tmp_path / "var/lib/rpm/rpmdb.sqlite"
    assert not present(tmp_path)
    for make in (lambda: None, lambda: place.write_bytes(b"\0" * 4096),
                 lambda: database(tmp_path, key()), lambda: os.mkfifo(place)):  # fmt: skip
        place.parent.mkdir(parents=True, exist_ok=True)
        place.unlink(missing_ok=True)
        make()
        with pytest.raises(Unseen):
            rpm(tmp_path)
    place.unlink()
    (place.parent / "Packages").write_bytes(b"Berkeley DB")
    with pytest.raises(Unseen, match=r"no `rpmdb\.sqlite`"):
        rpm(tmp_path)


def test_database_that_is_being_written_is_unseen(
    root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What changes under our hands is read again later, and half of it is never believed."""
    file = root / "var/lib/rpm/rpmdb.sqlite"

    def header(blob: bytes) -> Header:
        os.utime(file, (1, 1))
        return Header(blob)

    with monkeypatch.context() as patched:
        patched.setattr(rpmdb, "Header", header)
        with pytest.raises(Unseen, match="being written"):
            rpm(root)
    file.with_name("rpmdb.sqlite-journal").write_bytes(b"half")
    with pytest.raises(Unseen, match="half written"):
        rpm(root)


def test_limits_hold(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Too large a file, too many packages, paths that fill the memory."""
    for name in ("DATABASE", "PACKAGES", "LISTED"):
        with monkeypatch.context() as patched:
            patched.setattr(rpmdb, name, 1)
            with pytest.raises(Unseen):
                redhat(root, ["tool"])
    with pytest.raises(Unseen, match="has no `other`"):
        redhat(root, ["other"])


def test_other_table_is_unseen(root: Path) -> None:
    """Attack: rows of another form under the name that is asked for."""
    file = root / "var/lib/rpm/rpmdb.sqlite"
    with closing(sqlite3.connect(file)) as store, store:
        store.execute("insert into Packages (blob) values ('text')")
    with pytest.raises(Unseen):
        rpm(root)


def _good() -> bytes:
    with tempfile.TemporaryDirectory() as folder:
        return database(Path(folder), package(), package("other"), key()).read_bytes()


GOOD = _good()


@settings(deadline=None)
@given(near_bytes(GOOD) | st.binary(max_size=200))
def test_nothing_else_leaves_it(data: bytes) -> None:
    """Whatever the bytes, there is an answer or `Unseen`."""
    with tempfile.TemporaryDirectory() as folder:
        place = Path(folder, "var/lib/rpm/rpmdb.sqlite")
        place.parent.mkdir(parents=True)
        place.write_bytes(data)
        for read_it in (rpm, keys, lambda root: redhat(root, ["tool"])):
            try:
                read_it(Path(folder))
            except Unseen:
                continue
