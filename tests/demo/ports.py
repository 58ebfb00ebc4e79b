"""A port of loopback that nobody listens on."""

import socket


def free_port() -> int:
    """Give one."""
    with socket.socket() as trial:
        trial.bind(("127.0.0.1", 0))
        port: int = trial.getsockname()[1]
        return port
