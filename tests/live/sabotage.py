"""Packages of our own, validly built: a benign one, one that does fifteen hostile things, a lure.

The hostile script is only ever run on throw-away hosts of the fleet.
"""

import hashlib
import subprocess
from pathlib import Path

from answerable.demo.vendor import ACTS
from answerable.host.driver import Package

NAME = "demo-agent"
PATHS = tuple(ACTS)
_CONTROL = """\
Package: {name}
Version: {version}
Architecture: all
Maintainer: Test <test@example.invalid>
Description: made by a test
"""


def build(folder: Path) -> dict[str, tuple[Package, Path]]:
    """Build versions 1.0 and 1.1, which are benign, and 1.2, which is hostile."""
    hostile = "#!/bin/sh\n" + "".join(f"({act}) || true\n" for act in ACTS.values())
    scripts = {"1.0": "", "1.1": "#!/bin/sh\ntrue\n", "1.2": hostile}
    before = {"1.0": "", "1.1": "1.0", "1.2": "1.1"}
    return {v: _build(folder, NAME, v, before[v], script) for v, script in scripts.items()}


def hostile(folder: Path) -> tuple[Package, list[Path]]:
    """Give the hostile package, the .deb of the version before it, and its own."""
    debs = build(folder)
    return debs["1.2"][0], [debs["1.1"][1], debs["1.2"][1]]


def build_sensitive(folder: Path) -> tuple[Package, Path]:
    """Build a package that ships a unit, a cron file and a setuid program, without any script."""
    modes = {"usr/bin/sensitive": 0o4755, "lib/systemd/system/sensitive.service": 0o644,
             "etc/cron.d/sensitive": 0o644}  # fmt: skip
    return _build(folder, "sensitive", "1", "", "", modes)


def _build(
    folder: Path, name: str, version: str, before: str, script: str,
    modes: dict[str, int] | None = None, depends: str = "",
) -> tuple[Package, Path]:  # fmt: skip
    root = folder / f"{name}-{version}"
    (root / "DEBIAN").mkdir(parents=True)
    needs = f"Depends: {depends}\n" if depends else ""
    (root / "DEBIAN/control").write_text(_CONTROL.format(name=name, version=version) + needs)
    if script:
        (root / "DEBIAN/postinst").write_text(script)
        (root / "DEBIAN/postinst").chmod(0o755)
    for path, mode in (modes or {f"usr/share/{name}/version": 0o644}).items():
        (root / path).parent.mkdir(parents=True, exist_ok=True)
        (root / path).write_text(version)
        (root / path).chmod(mode)
    for inner in [p for p in root.rglob("*") if p.is_dir()]:
        inner.chmod(0o755)
    deb = folder / f"{name}-{version}.deb"
    argv = ["dpkg-deb", "--root-owner-group", "--build", str(root), str(deb)]
    subprocess.run(argv, check=True, capture_output=True)
    return Package(name, before, version, hashlib.sha256(deb.read_bytes()).hexdigest()), deb
