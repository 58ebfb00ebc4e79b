"""Changes of the RPM family are explained by what .rpms ship and by what rpm does besides."""

import fcntl
import io
from dataclasses import replace
from hashlib import sha256
from pathlib import Path

import pytest

from answerable.host.transaction.effects import Change
from answerable.host.transaction.explain import Explained, Explainer
from answerable.host.transaction.port import Look
from answerable.host.transaction.redhat import rpm as family
from answerable.host.transaction.redhat import rpmdb
from answerable.host.transaction.redhat.rpm import Host, RpmFamily
from answerable.host.transaction.redhat.rpmfile import Rpm, read_head
from tests.host.transaction.debs import change, file
from tests.host.transaction.rpms import MAGIC, database, header, package, rpm

OLD, TWO = file(b"one", 0o755), file(b"two", 0o755)
CAPABLE = (("security.capability", "01"),)
FOLDER = Look("dir", 0o755)
TOOL, CONF, DATABASE = "/usr/bin/tool", "/etc/tool.conf", "/var/lib/rpm/rpmdb.sqlite"


def tool() -> Rpm:
    """The new version of the package."""
    return read_head(io.BytesIO(rpm(package())))


@pytest.fixture(name="root")
def _root(tmp_path: Path) -> Path:
    """A host on which `tool` 1 and `other` 7 are installed; /bin is a link."""
    root = tmp_path / "root"
    (root / "usr/bin").mkdir(parents=True)
    (root / "bin").symlink_to("usr/bin")
    other = package("other", "7", base_names=["other", "o", "both", "other.conf", "og"])
    names = ["tool", "t", "both", "tool.conf", "gone"]
    database(root, package(version="1", base_names=names), other)
    return root


def explain(root: Path, *changes: Change) -> Explained:
    """Explain these changes by the new version."""
    made = [tool()]
    return Explainer(made, Host(root, made, root.parent)).explain(changes, lambda _: True)


def why(root: Path, path: str, before: Look | None, after: Look | None) -> str:
    """Tell why one change is not explained; nothing if it is."""
    found = explain(root, change(path, before, after))
    return found.unexplained[0].why if found.unexplained else ""


@pytest.mark.parametrize(
    ("path", "before", "after"),
    [
        (TOOL, OLD, TWO),
        (TOOL, replace(OLD, attributes=CAPABLE), TWO),
        ("/usr/bin/t", None, Look("link", target="tool")),
        ("/usr/share/tool", None, FOLDER),
        ("/usr/share", None, FOLDER),
        ("/var/lib/gone", OLD, None),
        (f"{CONF}.rpmnew", None, file(b"new")),
        ("/var/log/tool.log", None, file(b"log")),
        (f"{DATABASE}-shm", OLD, TWO),
    ],
)
def test_explained(root: Path, path: str, before: Look | None, after: Look | None) -> None:
    """What is shipped, what it needs, what is no longer shipped, and the tool's own tracks."""
    assert why(root, path, before, after) == ""


@pytest.mark.parametrize(
    ("path", "before", "after", "said"),
    [
        (TOOL, OLD, file(b"trojan", 0o755), "other bytes"),
        (TOOL, OLD, replace(TWO, mode=0o4755), "mode 4755"),
        (TOOL, OLD, replace(TWO, uid=99999), "owner 99999"),
        (TOOL, OLD, replace(TWO, attributes=CAPABLE), "capabilities"),
        (TOOL, OLD, Look("link", target="/srv/evil"), "a link where a file"),
        (TOOL, OLD, None, "gone, though"),
        ("/usr/share", FOLDER, Look("dir", 0o777), "nobody ships it"),
        ("/usr/share", None, Look("dir", 0o777), "mode 0777"),
        ("/usr/share", None, TWO, "a file where a dir"),
        ("/usr/bin/other", OLD, TWO, "another package"),
        ("/usr/share/both", OLD, None, "another package has it too"),
        ("/var/lib/ghost", None, TWO, "no named package ships it"),
        ("/etc/passwd", OLD, TWO, "nobody ships it"),
        (f"{CONF}.rpmnew", None, file(b"mine"), "no named package"),
        (f"{CONF}.rpmsave", None, file(b"mine"), "not what the host had"),
        ("/etc/passwd.rpmsave", None, file(b"mine"), "not what the host had"),
    ],
)
def test_unexplained(
    root: Path, path: str, before: Look | None, after: Look | None, said: str
) -> None:
    """Each thing that a script may do besides is named with why."""
    assert said in why(root, path, before, after)


def test_configuration_laid_aside_is_the_hosts_own(root: Path) -> None:
    """`.rpmsave` holds what lay in its place; its bytes are the host's own, so no effect."""
    mine = file(b"mine")
    found = explain(root, change(CONF, mine, file(b"new")), change(f"{CONF}.rpmsave", None, mine))
    assert found.unexplained == []
    assert {"by": "tool", "is": "saved", "path": f"{CONF}.rpmsave"} in found.effects
    for other in (file(b"evil"), replace(mine, mode=0o666), replace(mine, uid=7)):
        rows = (change(CONF, mine, file(b"new")), change(f"{CONF}.rpmsave", None, other))
        assert len(explain(root, *rows).unexplained) == 1


def test_times_are_set_as_shipped_and_are_no_effect(root: Path) -> None:
    """The tool checks times of files that stayed the same; nobody else's times are touched."""
    as_shipped, other = (replace(TWO, mtime=n * 10**9) for n in (1_795_000_000, 7))
    found = explain(root, change(TOOL, TWO, as_shipped))
    assert ([c.path for c in found.commit], len(found.effects)) == ([TOOL], 1)
    for one in (change(TOOL, TWO, other), change("/usr/bin/other", TWO, as_shipped)):
        found = explain(root, one)
        assert (found.commit, found.unexplained) == ([], [])


def test_shipped_file_of_such_a_name_is_an_effect_with_its_bytes(root: Path) -> None:
    """A package cannot hide bytes from the hash by calling its file a saved one."""
    made = [tool()]
    made[0].files["/usr/bin/x.rpmsave"] = made[0].files[TOOL]
    explainer = Explainer(made, Host(root, made, root.parent))
    found = explainer.explain([change("/usr/bin/x.rpmsave", None, TWO)], lambda _: True)
    assert found.effects[0]["sha256"] == TWO.sha256


def test_database_is_computed_and_says_what_was_named(root: Path, tmp_path: Path) -> None:
    """What scripts leave of the database is not taken; what rpm makes anew is judged."""
    found = explain(root, change(DATABASE, OLD, TWO))
    assert ([c.path for c in found.compute], found.commit) == ([DATABASE], [])
    made = [tool()]
    host = Host(root, made, tmp_path)
    assert host.settled([]) == [f"`{DATABASE}` did not change"]
    others = package("other", "7", base_names=["other", "o", "both", "other.conf", "og"])
    for tags, said in (
        ([package(), others], []),
        ([package()], ["also removed: `other-7-1.noarch`"]),
        ([package(), others, package("evil")], ["also installed: `evil-2-1.noarch`"]),
    ):
        source = database(tmp_path / "copy", *tags)
        assert host.settled([change(DATABASE, OLD, TWO, source)]) == said
    assert not (tmp_path / "rpmdb").exists()


def test_header_of_the_package_is_the_effect(root: Path) -> None:
    """The package's own effect holds the hash that rpm's database keeps."""
    (effect,) = explain(root).effects
    assert effect["header"] == sha256(MAGIC + header(package())).hexdigest()


def test_lock_is_held_and_what_is_beside_goes(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """While the host is changed rpm waits; SQLite's side files belong to the replaced database."""
    monkeypatch.setattr(family, "ROOT", root)
    monkeypatch.setattr(rpmdb, "find", lambda _: str(root / DATABASE[1:]))
    folder = root / "var/lib/rpm"
    for name in rpmdb.SIDES:
        (folder / name).touch()
    taken = list[int]()
    monkeypatch.setattr(fcntl, "lockf", lambda _, how: taken.append(how))
    with RpmFamily(root.parent).locked():
        assert taken == [fcntl.LOCK_EX | fcntl.LOCK_NB]
    assert sorted(file.name for file in folder.iterdir()) == [rpmdb.LOCK, rpmdb.NAME]
