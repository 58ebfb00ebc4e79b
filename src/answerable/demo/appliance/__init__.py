"""The service that the demo's hosts run: a small HTTP server, as a .deb or as a plain file.

On one host it is pinned: it was built for a version of a library and refuses to start beside a
newer one, as a vendor's appliance does. It asks the package database (or the import system) at
start, so it ran before the upgrade and refuses after it, for real. `program.py` is the service.
"""

import json
import os
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path
from tempfile import TemporaryDirectory

NAME = "answerable-appliance"
UNIT = "appliance"
"""The unit's name on every host, and of its health check."""
PORT = 8080
"""Where it answers on hosts that have an address of their own."""
CONFIG = "etc/appliance.json"
PROGRAM = Path(__file__).with_name("program.py")

_CONTROL = """\
Package: {name}
Version: 1.0
Architecture: all
Maintainer: Demo <demo@example.invalid>
Depends: python3
Description: small HTTP service of the demo
 Answers /health and /version; may be pinned to the version of a library.
"""


def build_deb(directory: Path) -> Path:
    """Build the package with dpkg-deb; the same bytes each time."""
    deb = directory / f"{NAME}_1.0_all.deb"
    with TemporaryDirectory(dir=directory) as place:
        root, made = Path(place, NAME), Path(place, deb.name)
        program = root / "usr/lib" / NAME / "program.py"
        script = root / "etc/init.d" / UNIT
        for file, text, mode in (
            (root / "DEBIAN/control", _CONTROL.format(name=NAME), 0o644),
            (root / "DEBIAN/conffiles", f"/etc/init.d/{UNIT}\n", 0o644),
            (program, PROGRAM.read_text("utf-8"), 0o755),
            (script, Path(__file__).with_name("init").read_text("utf-8"), 0o755),
        ):
            file.parent.mkdir(mode=0o755, parents=True, exist_ok=True)
            file.write_text(text, "utf-8")
            file.chmod(mode)
        argv = ["dpkg-deb", "--root-owner-group", "--build", str(root), str(made)]
        env = {**os.environ, "SOURCE_DATE_EPOCH": "1700000000"}
        subprocess.run(argv, env=env, check=True, capture_output=True)
        # At once: another process may be about to read the very same bytes.
        return made.replace(deb)


def configure(
    file: Path,
    address: str = "0.0.0.0",  # noqa: S104  the host's own network, which has no way out
    port: int = PORT,
    *,
    packages: Sequence[str] = (),
    imports: Sequence[str] = (),
    pinned: Mapping[str, str] | None = None,
) -> None:
    """Write a host's configuration of the service.

    Args:
        file: where it is written.
        address: where it listens.
        port: where it listens.
        packages: Debian packages whose versions /version tells.
        imports: `module` or `module:name`, imported at start; their versions are told too.
        pinned: Debian package -> newest version that it was built for.
    """
    table = {"address": address, "port": port, "packages": list(packages), "imports": list(imports)}
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(json.dumps({**table, "pinned": dict(pinned or {})}, sort_keys=True), "utf-8")
