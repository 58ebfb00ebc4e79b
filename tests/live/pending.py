"""Updates of packages of our own: they are pending on any day, and nothing maps their files.

Left out: scripts (`store.py`, `sabotage.py`).
"""

import os
import subprocess
from hashlib import sha256
from pathlib import Path
from tempfile import TemporaryDirectory

from answerable.demo.mirror import Artefact, Update

NAMES = ("answerable-pending", "answerable-pending-too")
FILES = 100
"""How many files one replaces: a commit of it can be cut in its middle."""
_SUITE = "own"


def pending(mirrored: Path) -> list[Update]:
    """Build all versions into a mirror: the same bytes each time, so that others may do it too."""
    (mirrored / _SUITE).mkdir(parents=True, exist_ok=True)
    return [Update(_build(mirrored, name, "2"), _build(mirrored, name, "1")) for name in NAMES]


def _build(mirrored: Path, package: str, version: str) -> Artefact:
    with TemporaryDirectory(dir=mirrored / _SUITE) as place:
        root, deb = Path(place) / "root", Path(place) / "deb"
        for folder in (root / "DEBIAN", root / f"usr/share/{package}"):
            folder.mkdir(parents=True)
        (root / "DEBIAN/control").write_text(
            f"Package: {package}\nVersion: {version}\nArchitecture: all\n"
            "Maintainer: Test <test@example.invalid>\nDescription: made by a test\n"
        )
        for n in range(FILES):
            (root / f"usr/share/{package}/{n}").write_text(f"{n} of {version}\n")
        for path in [root, *root.rglob("*")]:
            path.chmod(0o755 if path.is_dir() else 0o644)
            os.utime(path, (0, 0))
        argv = ["dpkg-deb", "--root-owner-group", "--build", str(root), str(deb)]
        env = {"PATH": "/usr/bin:/bin", "SOURCE_DATE_EPOCH": "0"}
        subprocess.run(argv, check=True, capture_output=True, env=env)
        made, name = deb.read_bytes(), f"{package}_{version}_all.deb"
        deb.rename(mirrored / _SUITE / name)
    digest = sha256(made).hexdigest()
    return Artefact(_SUITE, package, version, "all", package, name, digest, len(made))
