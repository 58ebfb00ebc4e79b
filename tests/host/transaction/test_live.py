"""What counts as a live change, and what a script is refused for."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from answerable.host.files import HomeUnavailable
from answerable.host.transaction.debian.deb import Deb
from answerable.host.transaction.debian.dpkg import Host
from answerable.host.transaction.effects import Change
from answerable.host.transaction.explain import Explained, Unexplained
from answerable.host.transaction.live import Live, folder_of, take, wanted
from answerable.host.transaction.port import Look
from tests.host.transaction.debs import STATUS, change, deb, file
from tests.host.transaction.test_packages import driver

DATA = "/var/lib/tool/data"


def host(root: Path, *, others: str = "") -> Path:
    """A host with the package, its data, and what another package ships."""
    info = root / "var/lib/dpkg/info"
    info.mkdir(parents=True)
    (root / "var/lib/dpkg/status").write_bytes(STATUS)
    (info / "other.list").write_text(f"/.\n{others}\n")
    for name in ("tool", "more"):
        (root / "var/lib" / name).mkdir(parents=True)
    return root


def judged(
    root: Path, paths: Sequence[str] = (DATA,), after: Look | None = None, *,
    live: bool = True, package: Deb | None = None, hidden: Sequence[Path] = (),
) -> Live | None:  # fmt: skip
    """Judge a rehearsal that changed these paths."""
    made = [change(path, file(b"1"), after or file(b"2")) for path in paths]
    found = Explained(unexplained=[Unexplained(path, "why", live) for path in paths])
    packages = [package or deb()]
    return wanted(found, made, packages, Host(root, packages), hidden, root)


def test_data_of_the_package_is_live(tmp_path: Path) -> None:
    """The script, by its own name, with the version that it comes from."""
    live = judged(host(tmp_path))
    assert live
    assert live.argv == ("/var/lib/dpkg/info/tool.postinst", "configure", "1")
    assert (live.folders, live.flagged) == (("/var/lib/tool",), (DATA,))
    found = Explained(unexplained=[Unexplained(DATA, "why", live=True)])
    take(found, live)
    assert found.unexplained == []
    assert found.sensitive == {"live": ["/var/lib/tool", DATA]}
    assert found.effects == [{"by": "tool", "is": "live", "path": "/var/lib/tool"}]


def test_a_folder_that_is_shipped_is_the_packages_own(tmp_path: Path) -> None:
    """Under whatever name; with the architecture in the script's name if many may be there."""
    package = deb()
    package.files["/var/lib/more"] = package.files["/usr"]
    package.fields["Multi-Arch"] = "same"
    live = judged(host(tmp_path), ["/var/lib/more/x"], package=package)
    assert live
    assert live.argv[0] == "/var/lib/dpkg/info/tool:amd64.postinst"


@pytest.mark.parametrize(
    "paths",
    [
        [DATA, "/etc/tool"], ["/var/lib/more/x"], ["/var/lib/gone/x"], ["/home/tool/x"],
        ["/var/lib/dpkg/x"], ["/var/spool/cron/crontabs/x"], ["/root/x"], ["/var/lib"], [],
    ],
)  # fmt: skip
def test_anything_else_is_not(tmp_path: Path, paths: list[str]) -> None:
    """Another place, another's folder, one that is not there, one that never is."""
    assert judged(host(tmp_path), paths) is None


def test_rights_that_are_no_data_are_not(tmp_path: Path) -> None:
    """A setuid file, a capability."""
    root = host(tmp_path)
    assert judged(root, after=file(b"2", 0o4755)) is None
    assert judged(root, after=replace(file(b"2"), attributes=(("security.x", "01"),))) is None


def test_folders_of_others_are_not(tmp_path: Path) -> None:
    """Another package ships it too, or the agent works in it, or it is a link."""
    assert judged(host(tmp_path / "a", others="/var/lib/tool")) is None
    root = host(tmp_path / "b")
    assert judged(root, hidden=[Path("/var/lib/tool/agent")]) is None
    (root / "var/lib/tool").rmdir()
    (root / "var/lib/tool").symlink_to("more")
    assert judged(root) is None


def test_only_what_was_installed_and_has_the_script(tmp_path: Path) -> None:
    """A first installation has no data that is live."""
    root = host(tmp_path)
    package = deb()
    del package.members["postinst"]
    assert judged(root, package=package) is None
    (root / "var/lib/dpkg/status").write_bytes(b"")
    assert judged(root) is None
    assert judged(root, live=False) is None


def test_what_a_script_wrote_outside_is_named() -> None:
    """Logs and caches are thrown away; what is explained may be written again as it is."""
    live = Live("tool", (), {}, ("/var/lib/tool",), (DATA,))
    two = file(b"2")
    made = [
        change(DATA, None, two), change("/var/log/x", None, two),
        change("/etc/ld.so.cache", None, two), change("/usr/bin/tool", None, two),
        change("/etc/passwd", None, two),
    ]  # fmt: skip
    explained = [change("/usr/bin/tool", None, two)]
    assert live._outside(made, explained) == ["/etc/passwd: outside of its data"]
    other: list[Change] = [change("/usr/bin/tool", None, file(b"3"))]
    assert live._outside(made, other)[0] == "/usr/bin/tool: outside of its data"


@pytest.mark.parametrize(
    ("path", "folder"),
    [(DATA, "/var/lib/tool"), ("/srv/a/b/c", "/srv/a"), ("/var/www/a", "/var/www/a"),
     ("/var/lib", ""), ("/etc/x/y", ""), ("/var/libx/y", "")],
)  # fmt: skip
def test_folder_of(path: str, folder: str) -> None:
    """The first folder below one of four places."""
    assert folder_of(path) == folder


@pytest.mark.parametrize("given", [["/run/mysqld"], ["/run/postgresql", "/run/x.y"]])
def test_sockets_are_folders_of_run(tmp_path: Path, given: list[str]) -> None:
    """As the host's own settings name them."""
    assert driver(tmp_path, {"sockets": given})


@pytest.mark.parametrize(
    "given", [["/run"], ["/run/systemd"], ["/run/dbus"], ["/run/a/../dbus"], ["/etc"], "/run/x"]
)
def test_other_sockets_are_an_error(tmp_path: Path, given: Any) -> None:  # noqa: ANN401  anything
    """The bus and systemd would do anything for root."""
    with pytest.raises(HomeUnavailable, match="sockets"):
        driver(tmp_path, {"sockets": given})
