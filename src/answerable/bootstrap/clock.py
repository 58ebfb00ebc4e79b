"""The real clocks. Nothing else but `__main__` files may read one."""

import time


def clock() -> int:
    """Give the wall clock, POSIX seconds."""
    return int(time.time())


def boot_clock() -> float:
    """Give the boot-time clock, seconds; it also runs while the machine sleeps."""
    return time.clock_gettime(time.CLOCK_BOOTTIME)
