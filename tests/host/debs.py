"""Small .debs of our own, built by dpkg-deb, for the tests of the apt driver."""

import hashlib
import subprocess
from pathlib import Path

from answerable.host.driver import Package


def build(
    folder: Path, name: str, version: str, *more: str, before: str = ""
) -> tuple[Package, Path]:
    """Build an empty package with these further control lines; give it and its file."""
    root = folder / f"{name}-{version}"
    (root / "DEBIAN").mkdir(parents=True)
    lines = [
        f"Package: {name}",
        f"Version: {version}",
        "Architecture: all",
        "Maintainer: Test <test@example.invalid>",
        *more,
        "Description: made by a test",
    ]
    (root / "DEBIAN/control").write_text("\n".join(lines) + "\n")
    deb = folder / f"{name}-{version}.deb"
    argv = ["dpkg-deb", "--root-owner-group", "--build", str(root), str(deb)]
    subprocess.run(argv, check=True, capture_output=True)
    sha256 = hashlib.sha256(deb.read_bytes()).hexdigest()
    return Package(name, before, version, sha256), deb
