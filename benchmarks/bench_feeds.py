"""Reading publications: rows and bytes a second of each adapter, and the memory it takes.

    python -m benchmarks.bench_feeds [runs]

KEV and OSV are the real files of shared/data. EPSS, NVD, Vulnrichment, the Debian tracker, CSAF and
updateinfo are written here in their publishers' forms (300,000 flaws scored, 30,000 flaws in a
year's file, 20,000 records, ..), since no real file is at hand; their sizes are real ones. Each is
read to its end as a sync reads it, in a process of its own; medians of CPU seconds, the peak of
resident memory above the interpreter with everything imported. The run at one tenth comes first.
The last line is JSON.
"""

import gzip
import json
import random
import statistics
import sys
import tempfile
import time
import zipfile
from collections.abc import Callable, Iterator
from multiprocessing import get_context
from pathlib import Path

from answerable.feeds.documents.unpacked import stream
from answerable.feeds.publication import Publication
from answerable.feeds.publications.csaf import Csaf
from answerable.feeds.publications.debian_tracker import DebianTracker
from answerable.feeds.publications.epss import Epss
from answerable.feeds.publications.kev import Kev
from answerable.feeds.publications.nvd import Nvd
from answerable.feeds.publications.osv_export import OsvExport
from answerable.feeds.publications.updateinfo import Updateinfo
from answerable.feeds.publications.vulnrichment import Vulnrichment
from tests.feeds import samples

SHARED = Path(__file__).parents[1].parent / "shared" / "data"
SEED = 20_261_122
Write = Callable[[Path, float], None]


def _cves(count: int) -> Iterator[str]:
    return (f"CVE-{2000 + n % 27}-{10_000 + n}" for n in range(count))


def epss(file: Path, part: float) -> None:
    """Write a day of scores, packed with gzip."""
    choose = random.Random(SEED)
    with gzip.open(file, "wt", compresslevel=1) as out:
        out.write("#model_version:v2025.03.14,score_date:2026-11-20T12:55:00Z\n")
        out.write("cve,epss,percentile\n")
        for name in _cves(int(300_000 * part)):
            out.write(f"{name},{choose.random():.5f},{choose.random():.5f}\n")


def nvd(file: Path, part: float) -> None:
    """Write a year's file, packed with gzip."""
    flaws = [{**samples.FLAW, "id": name, "descriptions": [
        {"lang": "en", "value": "It falls from a great height. " * 12}],
        "configurations": samples.FLAW["configurations"] * 8} for name in _cves(
            int(30_000 * part))]  # fmt: skip
    file.write_bytes(gzip.compress(samples.nvd(*flaws), 1))


def vulnrichment(file: Path, part: float) -> None:
    """Write an archive of records."""
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED, compresslevel=1) as out:
        for name in _cves(int(20_000 * part)):
            record = json.dumps(samples.RECORD).replace("CVE-2024-0001", name)
            out.writestr(f"v-develop/x/{name}.json", record)


def tracker(file: Path, part: float) -> None:
    """Write the tracker's file: 3,000 packages, 12 flaws each, five releases."""
    record = json.loads(samples.TRACKER)["openssl"]["CVE-2024-0001"]
    names = list(_cves(36_000))
    with file.open("w") as out:
        out.write("{")
        for n in range(int(3_000 * part)):
            flaws = dict.fromkeys(names[n * 12 : n * 12 + 12], record)
            out.write(f'{"," if n else ""}"package{n}":{json.dumps(flaws)}')
        out.write("}")


def csaf(file: Path, part: float) -> None:
    """Write an archive of VEX documents."""
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED, compresslevel=1) as out:
        for name in _cves(int(10_000 * part)):
            data = samples.REDHAT.replace(b"CVE-2024-0001", name.encode())
            out.writestr(f"2024/{name}.json", data)


def updates(file: Path, part: float) -> None:
    """Write a repository's updates, 20 packages each."""
    head, one, tail = samples.UPDATEINFO.partition(b"<update ")
    body, _, _ = tail.partition(b"</update>")
    first, package, rest = body.partition(b"<package ")
    many = (package + rest.partition(b"</collection>")[0]) * 5
    with gzip.open(file, "wb", compresslevel=1) as out:
        out.write(head)
        for name in _cves(int(8_000 * part)):
            update = one + first + many + b"</collection></pkglist></update>"
            out.write(update.replace(b"CVE-2024-0001", name.encode()))
        out.write(b"</updates>")


def real(name: str) -> Write:
    """Take a real file of one record a line, or so much of it."""

    def write(file: Path, part: float) -> None:
        data = b"".join(stream(SHARED / name, name))
        lines = data.splitlines(keepends=True)
        file.write_bytes(b"".join(lines[: max(1, int(len(lines) * part))]))

    return write


def kev(file: Path, part: float) -> None:
    """Take the real catalogue, or so much of it."""
    whole = json.loads(gzip.decompress((SHARED / "kev_cisagov_2025-08-25.json.gz").read_bytes()))
    taken = whole["vulnerabilities"][: int(len(whole["vulnerabilities"]) * part)]
    whole |= {"vulnerabilities": taken, "count": len(taken)}
    file.write_text(json.dumps(whole))


CASES: dict[str, tuple[Publication, Write, str]] = {
    "osv almalinux": (OsvExport("osv/a", ("x",)), real("osv_almalinux.jsonl.zst"), "real"),
    "osv go": (OsvExport("osv/g", ("x",)), real("osv_golang.jsonl.zst"), "real"),
    "osv pypi": (OsvExport("osv/p", ("x",)), real("osv_pypa.jsonl.zst"), "real"),
    "kev": (Kev(), kev, "real"),
    "epss": (Epss(), epss, "written"),
    "nvd": (Nvd(("x",)), nvd, "written"),
    "vulnrichment": (Vulnrichment(), vulnrichment, "written"),
    "debian-tracker": (DebianTracker(), tracker, "written"),
    "csaf": (Csaf("csaf/x"), csaf, "written"),
    "updateinfo": (Updateinfo("updateinfo/x", "rocky:9"), updates, "written"),
}


def once(name: str, file: str) -> tuple[int, float, int]:
    """Read a document to its end; give its rows, CPU seconds, and the memory it took, KiB."""
    Path("/proc/self/clear_refs").write_text("5")  # forget the peak so far: proc(5)
    before = _memory("VmHWM")
    begun = time.process_time()
    count = sum(1 for _ in CASES[name][0].read(Path(file), name))
    took = time.process_time() - begun
    return count, took, _memory("VmHWM") - before


def _memory(name: str) -> int:
    lines = Path("/proc/self/status").read_text().splitlines()
    return int(next(line for line in lines if line.startswith(name)).split()[1])


def measure(name: str, part: float, runs: int, folder: Path) -> dict[str, object]:
    """Write a document and read it so many times, each in a process of its own."""
    _, write, origin = CASES[name]
    file = folder / "document"
    write(file, part)
    size = sum(len(piece) for piece in stream(file, name))
    with get_context("spawn").Pool(1, maxtasksperchild=1) as pool:
        found = [pool.apply(once, (name, str(file))) for _ in range(runs)]
    rows, cpu = found[0][0], statistics.median(took for _, took, _ in found)
    return {
        "document": origin, "rows": rows, "bytes": size, "cpu_s": cpu,
        "rows_per_second": rows / cpu, "mb_per_second": size / cpu / 1e6,
        "memory_mb": max(kib for _, _, kib in found) / 1024,
    }  # fmt: skip


def main() -> None:
    """Print a table, and the same as JSON."""
    runs = int(sys.argv[1]) if len(sys.argv) > 1 else 3
    results: dict[str, object] = {"seed": SEED, "runs": runs}
    names = [name for name in CASES if CASES[name][2] != "real" or SHARED.is_dir()]
    for part in (0.1, 1.0):
        rows = {}
        print(f"{part:.0%} of the size")
        for name in names:
            with tempfile.TemporaryDirectory() as folder:
                rows[name] = found = measure(name, part, runs, Path(folder))
            print(f"  {name:16}{found['document']:9}{found['rows']:9} rows "
                  f"{found['rows_per_second']:10.0f}/s {found['mb_per_second']:8.1f} MB/s "
                  f"{found['memory_mb']:7.1f} MB", flush=True)  # fmt: skip
        results[f"{part:.0%}"] = rows
    print(json.dumps(results))


if __name__ == "__main__":
    main()
