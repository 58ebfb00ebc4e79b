"""Which disks are copied is read from the kernel's table; what cannot be said is refused."""

import os
from collections.abc import Sequence
from pathlib import Path

import pytest

from answerable.host.confine import sandbox, seccomp
from answerable.host.confine.sandbox import (
    Rights,
    Sandbox,
    SandboxFailed,
    disks,
    left_by_scripts,
)
from answerable.host.confine.seccomp import NoSeccomp, no_setuid
from answerable.host.driver import Ran

TABLE = """\
21 1 8:1 / / rw,relatime shared:1 - ext4 /dev/sda1 rw
22 21 0:5 / /proc rw - proc proc rw
23 21 0:6 / /run rw - tmpfs tmpfs rw
24 21 8:2 / /usr rw - ext4 /dev/sda2 rw
25 21 8:3 / /proc/x rw - ext4 /dev/sda3 rw
26 21 8:4 /a /etc/hosts rw - ext4 /dev/sda1 rw
"""


def test_disks_of_a_host() -> None:
    """Root first; what the kernel makes, single files and hidden folders are left out."""
    assert disks(TABLE, ("/proc", "/run")) == ["/", "/usr"]
    assert disks("", ()) == ["/"]


def test_paths_that_options_cannot_say_are_refused(tmp_path: Path) -> None:
    """A mount point with a colon would be read as two layers."""
    bad = f"{tmp_path}/a:b"
    Path(bad).mkdir()
    with pytest.raises(SandboxFailed):
        disks(f"21 1 8:1 / {bad} rw - ext4 /dev/sda1 rw\n", ())


def test_what_scripts_put_in_place_of_a_file_is_not_followed(tmp_path: Path) -> None:
    """A link would be read on the host, by root; a pipe would hold the agent up for good."""
    asked = tmp_path / "asked"
    assert left_by_scripts(asked) == ""
    asked.write_text("nginx restart\n")
    assert left_by_scripts(asked) == "nginx restart\n"
    (tmp_path / "link").symlink_to(asked)
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "folder").mkdir()
    for name in ("link", "pipe", "folder"):
        assert left_by_scripts(tmp_path / name) == ""


class Kept:
    """What stands in for the run: keeps the words, and the filter that they name."""

    words: Sequence[str] = ()
    filter: bytes | None = None

    def __call__(self, argv: Sequence[str], *given: object) -> Ran:
        """Read the filter as bubblewrap does."""
        self.words = argv
        if "--seccomp" in argv:
            number = int(argv[argv.index("--seccomp") + 1])
            assert given[-1] == [number]
            self.filter = os.read(number, 1 << 16)
        return Ran(0, "", cut=False)


def a_copy(tmp_path: Path) -> Sandbox:
    """A copy that is not there, of a host without disks."""
    copy = Sandbox(tmp_path, ())
    copy._mounts, copy._enter = [], []
    return copy


def test_only_who_may_runs_without_the_filter(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Package tools unpack setuid files; a live script has the filter, whole."""
    ran = Kept()
    monkeypatch.setattr(sandbox, "hear", ran)
    a_copy(tmp_path).run(["true"], tmp_path / "log", {}, 1, None)
    assert "--seccomp" not in ran.words
    a_copy(tmp_path).run(["true"], tmp_path / "log", {}, 1, None, Rights((), setuid=False))
    assert ran.filter == no_setuid()
    assert ran.words.index("--seccomp") < ran.words.index("--"), "a word for bubblewrap"


def test_without_a_filter_no_live_script_runs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A machine of which the calls are not known."""
    ran = Kept()
    monkeypatch.setattr(sandbox, "hear", ran)
    monkeypatch.setattr(seccomp, "_ARCHS", {})
    with pytest.raises(NoSeccomp):
        no_setuid()
    with pytest.raises(SandboxFailed, match="needs a filter"):
        a_copy(tmp_path).run(["true"], tmp_path / "log", {}, 1, None, Rights((), setuid=False))
    assert ran.words == ()
