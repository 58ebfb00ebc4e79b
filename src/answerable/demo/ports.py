"""Ports of loopback, each given to one process of this machine at a time.

Rules: a port lies below those of outgoing connections (ip_local_port_range(5): 32768 and above); a
socket named after it, which one process alone can have, keeps other demos and tests away until this
process ends. Left out: who knows nothing of that socket, and takes the port in between.
"""

import secrets
import socket

_FIRST, _COUNT = 10_000, 22_000
_held: list[socket.socket] = []


def free_port() -> int:
    """Give a port of 127.0.0.1 that stays free until its server starts."""
    while True:
        number = _FIRST + secrets.randbelow(_COUNT)
        mine = socket.socket(socket.AF_UNIX)
        try:
            # unix(7): an abstract name is taken by one socket alone, and goes with it.
            mine.bind(f"\0answerable-port-{number}")
            with socket.socket() as asked:
                asked.bind(("127.0.0.1", number))
        except OSError:
            mine.close()
            continue
        _held.append(mine)
        return number
