"""A guard as a process that is killed: reads one request a line, answers each with one line.

`python mortal.py FOLDER`; a line is `head|veto|fresh <hex of the body>`, the answer
`<status> <hex of the body>`. Says `ready` first.
"""

import sys
from collections.abc import Callable
from pathlib import Path

from answerable.witness.wire import Answer
from tests.fakes.guards import Town


def main() -> None:
    """Answer until killed."""
    town = Town(Path(sys.argv[1]))
    guard = town.guard()
    town.offer(guard)
    handlers: dict[str, Callable[[bytes], Answer]] = {
        "head": guard.witness.add_checkpoint,
        "veto": guard.veto,
        "fresh": lambda body: guard.fresh.answer([body])[0],
    }
    sys.stdout.write("ready\n")
    sys.stdout.flush()
    for line in sys.stdin:
        what, body = line.split()
        answer = handlers[what](bytes.fromhex(body))
        sys.stdout.write(f"{answer.status} {answer.body.hex()}\n")
        sys.stdout.flush()


if __name__ == "__main__":
    main()
