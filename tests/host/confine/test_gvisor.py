"""The strict sandbox's bundle: the copy's own disks and nothing else of the host."""

from pathlib import Path
from typing import Any

import pytest

from answerable.host.confine.gvisor import Gvisor
from answerable.host.confine.sandbox import INSIDE, Real, Rights, SandboxFailed
from answerable.host.transaction.debian.dpkg import Dpkg
from answerable.host.transaction.packages import Packages


def spec(place: Path, *mounts: str) -> dict[str, Any]:
    """Give the bundle of a copy with these disks."""
    copy = Gvisor(place, (place.parent,))
    copy._mounts = ["/", *mounts]
    return copy._spec(("apt-get", "x y"), {"A": "b"}, Path("/debs"), ("CHOWN",))


def test_only_the_copy_is_mounted() -> None:
    """Disks come from the overlay, packages are read-only, everything else is fresh."""
    given = spec(Path("/var/lib/agent/copy"), "/usr")
    assert given["root"] == {"path": "/var/lib/agent/copy/0/root", "readonly": False}
    bound = {m["destination"]: (m["source"], m["options"]) for m in given["mounts"]
             if m["type"] == "bind"}  # fmt: skip
    assert bound == {
        "/usr": ("/var/lib/agent/copy/1/root", ["rw"]),
        INSIDE: ("/var/lib/agent/copy/given", ["rw"]),
        f"{INSIDE}/packages": ("/debs", ["ro"]),
    }
    fresh = {m["destination"] for m in given["mounts"] if m["type"] == "tmpfs"}
    assert fresh >= {"/run", "/tmp", "/var/tmp", "/var/lib/agent"}  # noqa: S108
    assert given["process"]["args"] == ["apt-get", "x y"]
    assert given["process"]["env"] == ["A=b"]
    assert given["process"]["capabilities"]["bounding"] == ["CAP_CHOWN"]


def test_live_scripts_are_refused(tmp_path: Path) -> None:
    """They need sockets of the host, which gVisor does not reach."""
    copy = Gvisor(tmp_path, (), Real(("/var/lib/x",)))
    with pytest.raises(SandboxFailed, match="need bubblewrap"):
        copy.run(["true"], tmp_path / "log", {}, 1, None)
    with pytest.raises(SandboxFailed, match="need bubblewrap"):
        Gvisor(tmp_path, ()).run(["true"], tmp_path / "log", {}, 1, None, Rights(setuid=False))


def test_a_sandbox_is_one_of_two(tmp_path: Path) -> None:
    """A misspelt one is an error, never the weaker one."""
    Packages(tmp_path, {"sandbox": "gvisor"}, (), Dpkg())
    for wrong in ("gVisor", "", None, ["gvisor"]):
        with pytest.raises(TypeError):
            Packages(tmp_path, {"sandbox": wrong}, (), Dpkg())
