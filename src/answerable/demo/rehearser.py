"""The clone of the demo's hosts, behind a socket, as systemd would serve it.

    python -m answerable.demo.rehearser SOCKET ROOT

Each connection gets a run of the host's own program (host/clone.py), with the connection as its
input and output; this process is root, and who plans need not be. Left out: two jobs at once.
"""

import os
import socket
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path


def serve(path: Path, root: Path) -> None:
    """Serve until this process ends."""
    # The name of a socket is short, and a directory's may be long.
    os.chdir(path.parent)
    with socket.socket(socket.AF_UNIX) as listening:
        listening.bind(path.name)
        path.chmod(0o666)
        listening.listen()
        while True:
            with listening.accept()[0] as line:
                words = [sys.executable, "-m", "answerable.host.clone", str(root)]
                subprocess.run(words, stdin=line.fileno(), stdout=line.fileno(), check=False)


def main(argv: Sequence[str]) -> None:
    """Serve."""
    serve(Path(argv[0]).resolve(), Path(argv[1]))


if __name__ == "__main__":
    main(sys.argv[1:])
