"""Put a built agent and its units where systemd finds them.

    python3 -I -S ARTEFACT install [--root TREE]

copies the artefact that runs this to `/usr/local/lib/answerable`, its units to
`/etc/systemd/system`, its users to `/etc/sysusers.d`, below TREE (`/` if not given). An older
artefact there is replaced at once, by renaming. It starts nothing and enables nothing: what to do
next is printed. Left out: removing it again; hosts without systemd.
"""

import argparse
import shutil
import sys
from collections.abc import Sequence
from pathlib import Path

UNITS = ("answerable-agentd.service", "answerable-applyd.service", "answerable-verifyd.service")
"""One unit for each process."""
USERS = "answerable.conf"
"""The users that are not root, as sysusers.d(5)."""
HOME = Path("usr/local/lib/answerable")
_NEXT = """\
installed below {root}; as root on that host:
  systemd-sysusers
  write /etc/answerable/agentd.json and /etc/answerable/verifyd.json (docs/operate/privileges.md)
  systemctl daemon-reload
  systemctl enable --now answerable-agentd answerable-applyd answerable-verifyd
"""


def install(artefact: Path, root: Path) -> None:
    """Copy a built artefact, its units and users below a root.

    Raises:
        OSError: it cannot be copied.
    """
    place, units = root / HOME, artefact / "answerable/host/units"
    fresh, old = place.with_suffix(".new"), place.with_suffix(".old")
    for leftover in (fresh, old):
        shutil.rmtree(leftover, ignore_errors=True)
    shutil.copytree(artefact, fresh)
    if place.exists():
        place.rename(old)
    fresh.rename(place)
    shutil.rmtree(old, ignore_errors=True)
    rows = [(name, root / "etc/systemd/system") for name in UNITS]
    for name, folder in (*rows, (USERS, root / "etc/sysusers.d")):
        folder.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes((units / name).read_bytes())
        (folder / name).chmod(0o644)


def main(words: Sequence[str]) -> int:
    """Install the artefact that this runs from; give 1 if it cannot."""
    parser = argparse.ArgumentParser(prog="answerable-host install", description=__doc__)
    parser.add_argument("--root", type=Path, default=Path("/"), help="the tree to install into")
    root = parser.parse_args(words).root
    artefact = Path(__file__).parents[2]
    if not (artefact / "SHA256SUMS").is_file():
        sys.stderr.write(
            f"error: `{artefact}` is no built artefact; see scripts/host_artefact.py\n"
        )
        return 1
    try:
        install(artefact, root)
    except OSError as error:
        sys.stderr.write(f"error: cannot install below `{root}`: {error}\n")
        return 1
    sys.stdout.write(_NEXT.format(root=root))
    return 0
