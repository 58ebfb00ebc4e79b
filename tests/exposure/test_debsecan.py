"""The same findings as Debian's own matcher, on the same feed and the same hosts."""

import random
from pathlib import Path

import duckdb
import pytest

from answerable.exposure.applies import Ranges
from answerable.feeds.rows import Range
from answerable.inventory.installed import Installed
from tests.exposure.debsecan import PROGRAM, Pairs, ask, write_feed, write_status
from tests.exposure.versions import DATA
from tests.exposure.world import VERSIONS, row

needs_debsecan = pytest.mark.skipif(not PROGRAM, reason="debsecan is absent")
needs_data = pytest.mark.skipif(not DATA.is_dir(), reason="shared/data is absent")


def ours(rows: list[Range], packages: list[Installed]) -> Pairs:
    """Give flaw and package as we find them."""
    ranges = Ranges(rows)
    return {(f, p.package) for p in packages for _, flaws in ranges.on(p) for f in flaws}


@needs_debsecan
def test_rebuilds_epochs_and_open_flaws_as_debsecan(tmp_path: Path) -> None:
    """Made-up packages: source versions of their own, epochs, no fix yet."""
    chance, pool = random.Random(20_261_122), VERSIONS["debian:12"]
    pool = [version for version in pool if "bpo" not in version]
    rows = [
        row("debian:12", f"s{n % 7}", fixed=chance.choice(["", *pool]), cves=(f"CVE-2024-{n:04d}",))
        for n in range(40)
    ]
    packages = [
        Installed("debian:12", f"b{n}", chance.choice(pool), "amd64", f"s{n % 9}",
                  source_version=chance.choice(["", *pool]))
        for n in range(60)
    ]  # fmt: skip
    write_feed(tmp_path, rows)
    write_status(tmp_path / "status", packages)
    found = ask(tmp_path, tmp_path / "status")
    assert found == ours(rows, packages)
    assert found


@needs_debsecan
@needs_data
def test_real_advisories_on_real_packages_as_debsecan(tmp_path: Path) -> None:
    """Debian 12's packages at their first, updated and latest versions; every fix that is known."""
    names = "package, source, main_version, updates_version, security_version"
    delta = duckdb.read_parquet(f"{DATA}/debian_bookworm_apt_delta.parquet").project(names)
    listed = delta.order("package").fetchall()
    changes = duckdb.read_parquet(f"{DATA}/debian_changelog_cves.parquet")
    fixes = changes.filter("dist like 'bookworm%' and len(cves) > 0")
    rows = [
        row("debian:12", source, fixed=version, cves=tuple(sorted(set(cves))))
        for source, version, cves in fixes.project("source, version, cves").order("all").fetchall()
    ]
    chance, hosts = random.Random(20_261_122), 0
    write_feed(tmp_path, rows)
    for _ in range(2):
        packages = []
        for package, source, *versions in chance.sample(listed, 1_500):
            version = chance.choice([v for v in versions if v] or ["0"])
            packages.append(Installed("debian:12", package, version, "amd64", source))
        write_status(tmp_path / "status", packages)
        found = ask(tmp_path, tmp_path / "status")
        assert found == ours(rows, packages)
        hosts += bool(found)
    assert hosts == 2
