"""The agent's program: what reads clocks, randomness and arguments, and nothing else.

`program.py` says what the commands do. It is loaded only after `floor.py` has found that this host
can check what must be checked.
"""

import gc
import os
import sys
import time
from collections.abc import Sequence
from pathlib import Path

from answerable.host.floor import missing

_WORDS = 2


def boot_time() -> float:
    """Read the clock that counts from boot, also while the machine sleeps; nobody can set it."""
    return time.clock_gettime(time.CLOCK_BOOTTIME)


def collect_rarely() -> None:
    """Look for unreachable circles a hundred times less often than Python does.

    A fold is plain values without circles: to look through all of it in the middle of a verdict
    takes longer than the verdict.
    """
    gc.set_threshold(70_000, 100, 100)


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command; give its exit code."""
    words = sys.argv[1:] if argv is None else list(argv)
    if words[:1] == ["agentd"] and len(words) == _WORDS:
        # It holds no key and checks no signature: the kernel, and its memory, are applyd's.
        from answerable.host.network.agentd import main as carry  # noqa: PLC0415

        return carry(Path(words[1]))
    if words[:1] == ["install"]:
        from answerable.host.install import main as install  # noqa: PLC0415

        return install(words[1:])
    if lacking := missing():
        print(f"error: {lacking}", file=sys.stderr)
        return 1
    # Only now: the kernel cannot be loaded without ML-DSA.
    from answerable.host.home import World  # noqa: PLC0415
    from answerable.host.program import main as run  # noqa: PLC0415

    collect_rarely()
    return run(argv, World(boot_time, lambda: os.urandom(16).hex(), time.sleep))


if __name__ == "__main__":
    sys.exit(main())
