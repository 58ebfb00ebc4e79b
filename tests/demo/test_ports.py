"""A port is given to one process at a time, also while nobody listens on it."""

import subprocess
import sys

from answerable.demo.ports import free_port

_NEIGHBOUR = """
import itertools, sys
from answerable.demo import ports
draws = itertools.count(int(sys.argv[1]) - ports._FIRST)
ports.secrets.randbelow = lambda _: next(draws)
print(ports.free_port())
"""


def test_a_port_that_was_given_is_not_given_again() -> None:
    """A neighbour that draws the very same number draws another one."""
    mine = free_port()
    words = [sys.executable, "-c", _NEIGHBOUR, str(mine)]
    said = subprocess.run(words, capture_output=True, text=True, check=True).stdout
    assert int(said) > mine
