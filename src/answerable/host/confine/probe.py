"""Tells whether this host can rehearse changes: `python -m answerable.host.confine.probe DIR`.

It makes a copy of the host in `DIR/copy`, runs `true` in it, and throws it away. Exit code 0, or 1
with the reason on one line. Left out: trying a package tool.
"""

import sys
from pathlib import Path

from answerable.host.confine.sandbox import Sandbox
from answerable.host.driver import DriverFailed, last_lines

SECONDS = 20
"""Longest that it may take."""


def why_not(state: Path) -> str:
    """Give nothing, or why this host cannot rehearse changes; `state` is a private folder."""
    try:
        with Sandbox(state / "copy", (state,)) as copy:
            env = {"PATH": "/usr/bin:/bin"}
            done = copy.run(["true"], state / "copy.log", env, SECONDS, state)
            return last_lines(done.output) or "bwrap failed" if done.code else ""
    except (DriverFailed, OSError) as error:
        return str(error)


if __name__ == "__main__":
    lacking = why_not(Path(sys.argv[1]))
    sys.stdout.write(f"{lacking}\n" if lacking else "")
    sys.exit(bool(lacking))
