"""One list of packages against some advisories, in a process of its own, for bench_scanners.py.

    python -m benchmarks.scan_list rows.json list.cdx.json

It prints the findings, and what of its time was the match alone. Nothing that it does not need is
imported, and garbage is not collected: it lives for less than a second.
"""

import gc
import json
import sys
import time
from pathlib import Path

from answerable.exposure.applies import Ranges
from answerable.feeds.rows import Range
from answerable.inventory import cyclonedx


def main() -> None:
    """Read both files, match, and say what was found."""
    gc.disable()
    rows_file, list_file = map(Path, sys.argv[1:])
    rows = [
        Range(**{**one, "cves": tuple(one["cves"])}) for one in json.loads(rows_file.read_text())
    ]
    listed = cyclonedx.read(list_file.read_bytes()).packages
    begun, cpu = time.perf_counter(), time.process_time()
    ranges = Ranges(rows)
    found = [
        (flaw, package.package, package.version)
        for package in listed for _, flaws in ranges.on(package) for flaw in flaws
    ]  # fmt: skip
    took = {"seconds": time.perf_counter() - begun, "cpu_seconds": time.process_time() - cpu}
    print(json.dumps({"match": took, "packages": len(listed), "findings": found}))


if __name__ == "__main__":
    main()
