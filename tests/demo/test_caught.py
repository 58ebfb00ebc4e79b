"""A host is as it was only if every path of it is: kind, mode, owner, attributes and bytes."""

from pathlib import Path

import pytest

from answerable.demo.scenes.caught import sweep


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """Make a small host."""
    for name in ("etc/passwd", "var/lib/answerable/journal", "proc/1/maps"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(name)
    (tmp_path / "bin").symlink_to("usr/bin")
    return tmp_path


def test_what_is_no_disk_and_the_agent_are_left_out(root: Path) -> None:
    """The agent writes down what it does, and pseudo files change by themselves."""
    before = dict(sweep(root))
    assert set(before) == {"bin", "etc", "etc/passwd", "var", "var/lib"} | (
        before.keys() & {"var/lib/answerable", "proc"}
    )
    (root / "var/lib/answerable/journal").write_text("more")
    (root / "proc/1/maps").write_text("more")
    assert dict(sweep(root)) == before


@pytest.mark.parametrize("how", ["bytes", "mode", "link", "new", "gone"])
def test_every_change_is_seen(root: Path, how: str) -> None:
    """Whatever a script did to a path, the two sweeps differ."""
    before = dict(sweep(root))
    if how == "bytes":
        (root / "etc/passwd").write_text("other")
    elif how == "mode":
        (root / "etc/passwd").chmod(0o4755)
    elif how == "new":
        (root / "etc/cron").touch()
    else:
        (root / "bin").unlink()
        if how == "link":
            (root / "bin").symlink_to("elsewhere")
    assert dict(sweep(root)) != before
