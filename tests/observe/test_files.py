"""Files on a host are compared with what packages ship, and the host's own lists prove nothing."""

import io
import os
from hashlib import sha256
from pathlib import Path

import pytest

from answerable.observe.files import NAME as NAMED
from answerable.observe.files import Compared, compare, debian, environment
from answerable.observe.inside import UNREAD
from answerable.observe.look import Unseen
from answerable.observe.shipped import read
from tests.observe.packages import LIBRARY, deb, unpack, wheel

NAME = "libssl3"
SHIPPED = {NAME: read(io.BytesIO(deb(conffiles="/etc/ssl/openssl.cnf\n")))}


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """Make a host with the package."""
    unpack(tmp_path, f"{NAME}:amd64")
    return tmp_path


def compared(root: Path) -> Compared:
    """Compare the package."""
    return compare(SHIPPED, debian(root, [NAME]))


def test_equal_files_are_equal(root: Path) -> None:
    """What dpkg put there is what the package ships."""
    assert compared(root) == Compared(len(LIBRARY))
    assert set(debian(root, [NAME])[NAME]) == set(LIBRARY)


@pytest.mark.parametrize(
    ("path", "words"),
    [("usr/lib/x/libssl.so.3", "has other bytes"), ("usr/lib/x/libssl.so", "is a link to `evil`")],
)
def test_other_content_differs(root: Path, path: str, words: str) -> None:
    """Attack: the version is right and a file, or a link, is another."""
    (root / path).unlink()
    if path.endswith("3"):
        (root / path).write_text("old code")
    else:
        (root / path).symlink_to("evil")
    assert compared(root).differ == (f"`{path}` of {NAME} {words}",)


def test_file_that_the_host_does_not_list_is_absent(root: Path) -> None:
    """Attack: the host's list forgets the file that was replaced."""
    (root / f"var/lib/dpkg/info/{NAME}:amd64.list").write_text("/.\n/usr/lib/x/libssl.so\n")
    assert f"`usr/lib/x/libssl.so.3` of {NAME} is not there" in compared(root).differ


def test_kept_configuration_is_named(root: Path) -> None:
    """A configuration file of the host's own is no difference, and is said."""
    (root / "etc/ssl/openssl.cnf").write_text("ours")
    found = compared(root)
    assert found.differ == ()
    assert found.kept == (f"`etc/ssl/openssl.cnf` of {NAME} has other bytes",)


def test_left_out_documentation_is_no_difference(root: Path) -> None:
    """Small hosts keep no documentation (dpkg's path-exclude); changed documentation differs."""
    place = root / "usr/share/doc/libssl3/copyright"
    place.unlink()
    assert compared(root).differ == ()
    place.write_text("other")
    assert len(compared(root).differ) == 1


def test_diverted_file_is_looked_for_where_it_is(root: Path) -> None:
    """dpkg-divert moved the package's file aside for another's."""
    old, new = "usr/lib/x/libssl.so.3", "usr/lib/x/libssl.so.3.distrib"
    (root / old).rename(root / new)
    (root / "var/lib/dpkg/diversions").write_text(f"/{old}\n/{new}\nother\n")
    assert compared(root).differ == ()
    (root / "var/lib/dpkg/diversions").write_text(f"/{old}\n/{new}\n{NAME}\n")
    assert len(compared(root).differ) == 1


def test_linked_folders_are_followed_inside_the_root(root: Path, tmp_path: Path) -> None:
    """`/lib -> usr/lib` is the host's own; a link out of the root ends inside of it."""
    outside = tmp_path / "outside"
    for target in ("usr/real", "/usr/real", "../../usr/real"):
        (root / "usr/lib").rename(root / "usr/real")
        (root / "usr/lib").symlink_to(target.removeprefix("usr/") if target[0] == "u" else target)
        assert compared(root).differ == ()
        (root / "usr/lib").unlink()
        (root / "usr/real").rename(root / "usr/lib")
    (outside / "x").mkdir(parents=True)
    for name in ("libssl.so.3", "same.so"):
        (outside / "x" / name).write_bytes(b"new code")
    (outside / "x/libssl.so").symlink_to("libssl.so.3")
    (root / "usr/lib").rename(root / "usr/real")
    (root / "usr/lib").symlink_to(outside)
    assert len(compared(root).differ) == 3


def test_pipe_and_circle_do_not_hold_us(root: Path) -> None:
    """Attack: a pipe in a file's place, folders that are links to each other."""
    place = root / "usr/lib/x/libssl.so.3"
    place.unlink()
    os.mkfifo(place)
    assert compared(root).differ == (f"`usr/lib/x/libssl.so.3` of {NAME} is no plain file",)
    (root / "usr/lib").rename(root / "usr/gone")
    (root / "usr/lib").symlink_to("lib64")
    (root / "usr/lib64").symlink_to("lib")
    assert len(compared(root).differ) == 3


def test_package_that_is_not_there_is_unseen(root: Path) -> None:
    """No list of a package, or no disk, is no answer."""
    with pytest.raises(Unseen, match="no list"):
        debian(root, ["other"])
    with pytest.raises(Unseen):
        debian(root / "gone", [NAME])


def test_environment_is_compared_with_its_wheel(tmp_path: Path) -> None:
    """A project's files below site-packages are those of its wheel."""
    site = tmp_path / "lib/python3.11/site-packages"
    files = {"own/a.py": "a = 1", "Own_It-1.dist-info/METADATA": "Name: own-it\nVersion: 1\n"}
    for name, text in files.items():
        (site / name).parent.mkdir(parents=True, exist_ok=True)
        (site / name).write_text(text)
    rows = [f"{name},sha256=none,1" for name in files] + ["../../../bin/own,,", "/etc/passwd,,"]
    (site / "Own_It-1.dist-info/RECORD").write_text("\n".join(rows))
    shipped = {"own-it": read(io.BytesIO(wheel(files)))}
    found = environment(tmp_path, ["own-it"])
    assert set(found["own-it"]) == set(files)
    assert compare(shipped, found) == Compared(2)
    (site / "own/a.py").write_text("a = 2")
    found = environment(tmp_path, ["own-it"])
    assert found["own-it"]["own/a.py"] == sha256(b"a = 2").hexdigest()
    assert compare(shipped, found).differ == ("`own/a.py` of own-it has other bytes",)
    with pytest.raises(Unseen):
        environment(tmp_path, ["gone"])


def test_names_of_both_families_are_names() -> None:
    """What may be asked of a foot is a package's name, and never a path or an option."""
    good = ("libstdc++", "ModemManager", "python3-six", "glibc:i686", "lib_x", "libc6:amd64")
    assert all(map(NAMED.fullmatch, good))
    assert not any(map(NAMED.fullmatch, ("-x", "../etc", "a/b", "a b", ".x", "x:", "", "x" * 129)))


def test_private_file_may_be_unread(tmp_path: Path) -> None:
    """Who may not read a file that nobody else may read either says so; of others it differs."""
    files: dict[str, bytes | str] = {"etc/x.key": b"secret", "usr/bin/x": b"code"}
    shipped = {"x": read(io.BytesIO(deb(files)))}
    assert shipped["x"].private == {"etc/x.key"}
    unpack(tmp_path, "x", files)
    found = debian(tmp_path, ["x"])
    assert compare(shipped, found) == Compared(2)
    hidden = {"x": dict.fromkeys(files, UNREAD)}
    assert compare(shipped, hidden).differ == ("`usr/bin/x` of x cannot be read",)
    assert compare(shipped, hidden).kept == ("`etc/x.key` of x cannot be read",)
