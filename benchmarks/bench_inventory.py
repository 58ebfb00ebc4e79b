"""Reading inventories: documents, package databases, an image, what hosts tell.

    python -m benchmarks.bench_inventory [packages]

The document of that many packages (50,000) is spelled as generators spell theirs, a third of it
Debian packages with sources, a third npm, a third Go; the same in a tenth of the size comes first.
Goal: a document of 50,000 packages in less than 1 second. dpkg and rpm databases have 400 packages,
as a host has; the image has as many in its lowest layer, and 20,000 other files. Medians of five
runs, in one process, everything warm; judged by processor time, since one thread does it all and
the machine is shared. The last line is JSON.
"""

import json
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from hashlib import sha256
from pathlib import Path

from answerable.inventory import cmdb, cyclonedx, dpkg, spdx, system
from answerable.inventory.image import open_image
from answerable.inventory.rpm import read as read_header
from answerable.inventory.rpmdb import sqlite_blobs
from answerable.inventory.signed import open_inventory
from answerable.kernel.canon import encode
from answerable.keys.sign import sign_note
from tests.inventory.images import layout, tar
from tests.inventory.rpms import BLOBS, sqlite
from tests.simulator.keys import signer

RUNS = 5
HOST = 400
"""Packages of one host."""
FILES = 20_000
NOW = 1_795_305_600


def urls(count: int) -> list[str]:
    """Give package URLs, a third of each kind."""
    found = []
    for n in range(count):
        kind = n % 3
        if kind == 0:
            source = f"&upstream=source{n // 2}%401:2.{n}-1" if n % 2 else ""
            where = f"arch=amd64&distro=debian-12{source}"
            found.append(f"pkg:deb/debian/package-{n}@1:2.{n}-1%2Bdeb12u1?{where}")
        else:
            found.append(f"pkg:npm/%40scope/package-{n}@1.{n}.0" if kind == 1 else
                         f"pkg:golang/example.com/group/package-{n}@v1.{n}.0")  # fmt: skip
    return found


def documents(count: int) -> dict[str, tuple[bytes, Callable[[bytes], object]]]:
    """Spell the same packages in every form."""
    names = urls(count)
    parts = [{"bom-ref": f"{url}&package-id={n:016x}", "type": "library", "name": f"package-{n}",
              "version": f"1.{n}", "purl": url, "cpe": f"cpe:2.3:a:package:{n}:*:*:*:*:*:*:*:*",
              "properties": [{"name": "syft:package:type", "value": "x"},
                             {"name": "syft:location:0:path", "value": f"/usr/lib/{n}"}]}
             for n, url in enumerate(names)]  # fmt: skip
    packages = [{"name": f"package-{n}", "SPDXID": f"SPDXRef-{n}", "versionInfo": f"1.{n}",
                 "downloadLocation": "NOASSERTION", "filesAnalyzed": False, "externalRefs": [
                     {"referenceCategory": "SECURITY", "referenceType": "cpe23Type",
                      "referenceLocator": f"cpe:2.3:a:package:{n}"},
                     {"referenceCategory": "PACKAGE-MANAGER", "referenceType": "purl",
                      "referenceLocator": url}]} for n, url in enumerate(names)]  # fmt: skip
    xml, tags, table = [], ["SPDXVersion: SPDX-2.3"], ["host,zones,owner,purl"]
    for n, url in enumerate(names):
        spelled = url.replace("&", "&amp;")
        xml.append(
            f'<component type="library"><name>package-{n}</name><version>1.{n}</version>'
            f"<purl>{spelled}</purl><properties><property name='a'>b</property></properties>"
            "</component>"
        )
        tags += [f"PackageName: package-{n}", f"PackageVersion: 1.{n}", "FilesAnalyzed: false",
                 f"ExternalRef: PACKAGE-MANAGER purl {url}"]  # fmt: skip
        table.append(f"web{n % 100},web,shop,{url}")
    bom = '<bom xmlns="http://cyclonedx.org/schema/bom/1.6"><components>'
    return {
        "CycloneDX JSON": (json.dumps({"bomFormat": "CycloneDX", "components": parts}).encode(),
                           cyclonedx.read),
        "CycloneDX XML": ("".join([bom, *xml, "</components></bom>"]).encode(),
                          cyclonedx.read),
        "SPDX JSON": (json.dumps({"spdxVersion": "SPDX-2.3", "packages": packages}).encode(),
                      spdx.read),
        "SPDX tag-value": ("\n".join(tags).encode(), spdx.read),
        "CMDB CSV": ("\n".join(table).encode(), cmdb.read),
    }  # fmt: skip


def median(run: Callable[[], object]) -> tuple[float, float]:
    """Time a few runs; give the medians of wall and processor time, seconds."""
    took = []
    for _ in range(RUNS):
        begun, used = time.perf_counter(), time.process_time()
        run()
        took.append((time.perf_counter() - begun, time.process_time() - used))
    wall, cpu = zip(*took, strict=True)
    return statistics.median(wall), statistics.median(cpu)


def hosts(folder: Path) -> dict[str, float]:
    """Time what one host or image has, in each form."""
    status = "".join(
        f"Package: package-{n}\nStatus: install ok installed\nPriority: optional\nSection: libs\n"
        f"Installed-Size: 100\nMaintainer: Somebody <x@example.com>\nArchitecture: amd64\n"
        f"Source: source-{n} (1.{n}-1)\nVersion: 1.{n}-1+b1\nDepends: libc6 (>= 2.36)\n"
        f"Description: a package\n{' words of it' * 60}\n\n" for n in range(HOST)
    ).encode()  # fmt: skip
    database = sqlite(folder / "rpmdb.sqlite", (BLOBS * HOST)[:HOST])
    rows = [["debian:12", f"package-{n:03}", f"1.{n}-1+b1", "amd64", f"source-{n}", f"1.{n}-1",
             "installed", []] for n in range(HOST)]  # fmt: skip
    listed = encode(rows)
    said = {"fleet": "ab" * 32, "host": "web1", "packages": sha256(listed.encode()).hexdigest(),
            "time": NOW, "type": "inventory", "version": 1}  # fmt: skip
    note = sign_note(encode(said) + "\n", signer("web1")).decode()
    told = encode({"note": note, "packages": listed}).encode()
    key = signer("web1").key
    files = [(f"usr/share/doc/package-{n}/copyright", b"words " * 200) for n in range(FILES)]
    layout(folder / "image", tar(("etc/os-release", b"ID=debian\nVERSION_ID=12\n"),
                                 ("var/lib/dpkg/status", status), *files))  # fmt: skip
    runs: dict[str, Callable[[], object]] = {
        "dpkg": lambda: dpkg.read(status, "debian:12"),
        "rpmdb.sqlite": lambda: [row for blob in sqlite_blobs(database, b"")
                                 for row in read_header(blob, "almalinux:9")],
        "signed": lambda: open_inventory(told, key, "ab" * 32, ("", 0), NOW),
        "image": lambda: system.read(open_image(folder / "image").files),
    }  # fmt: skip
    print(f"\n{'one host, ' + str(HOST) + ' packages':28}{'CPU ms':>10}{'KB':>10}")
    sizes = {"dpkg": len(status), "rpmdb.sqlite": len(database), "signed": len(told)}
    found = {}
    for name, run in runs.items():
        found[name] = round(median(run)[1] * 1000, 2)
        print(f"{name:28}{found[name]:>10}{sizes.get(name, 0) // 1000:>10}")
    return found


def main() -> None:
    """Print tables; fail if the goal is missed."""
    most = int(sys.argv[1]) if len(sys.argv) > 1 else 50_000
    result: dict[str, object] = {}
    for count in (most // 10, most):
        print(f"\n{count:>6} packages{'s':>14}{'CPU s':>10}{'packages/CPU s':>16}{'MB':>8}")
        rows = {}
        for name, (data, read) in documents(count).items():
            wall, cpu = median(lambda read=read, data=data: read(data))  # type: ignore[misc]
            rows[name] = {"seconds": round(wall, 3), "cpu_seconds": round(cpu, 3),
                          "per_cpu_second": round(count / cpu), "bytes": len(data)}  # fmt: skip
            rate = f"{count / cpu:>16,.0f}{len(data) / 1e6:>8.1f}"
            print(f"{name:15}{wall:>14.3f}{cpu:>10.3f}{rate}")
        result[str(count)] = rows
        if count == 50_000:
            slow = [n for n, row in rows.items() if row["cpu_seconds"] >= 1]
            assert not slow, f"missed the goal of 1 s: {slow}"
    with tempfile.TemporaryDirectory() as folder:
        result["host_ms"] = hosts(Path(folder))
    print(json.dumps(result))


if __name__ == "__main__":
    main()
