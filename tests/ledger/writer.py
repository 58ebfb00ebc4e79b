"""A log server in small, to be killed: `writer.py <file> <seed>` appends until it is.

It prints a line of size and root after each append, only then; and a line when it has published.
"""

import random
import sys
from pathlib import Path

from answerable.ledger.sqlite import SqliteStore
from tests.ledger.logs import entry, open_log


def main() -> None:
    """Append batches of random sizes for ever."""
    rng = random.Random(sys.argv[2])
    log = open_log(SqliteStore(Path(sys.argv[1])))
    size = log.head().checkpoint.size
    while True:
        futures = []
        for _ in range(rng.randint(1, 4)):
            count = rng.choice((1, 3, 64, 300))
            futures.append(log.submit([entry(n) for n in range(size, size + count)]))
            size += count
        for future in futures:
            future.result()
        head = log.head()
        print(head.checkpoint.size, head.checkpoint.root.hex(), flush=True)  # noqa: T201
        if rng.random() < 0.3:
            log.publish(head.note, head.checkpoint)
            print("published", head.checkpoint.size, flush=True)  # noqa: T201


if __name__ == "__main__":
    main()
