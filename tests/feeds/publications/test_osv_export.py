"""OSV databases, record by record."""

import json
from collections import defaultdict
from collections.abc import Mapping, Sequence
from copy import deepcopy
from pathlib import Path
from typing import Any

import duckdb
import pytest

from answerable.feeds.publication import time_of
from answerable.feeds.publications.osv_export import OsvExport, _named, ecosystem_of
from answerable.feeds.rows import Claim, Range
from answerable.feeds.source import State, Unusable
from tests.feeds.documents.test_unpacked import zipped
from tests.feeds.real import FOLDER, needs_data
from tests.feeds.samples import CURL, FLASK, VECTOR, claims, ranges, read

ADAPTER = OsvExport("osv/x", ("all.zip",))
Json = Any


def _affected(ecosystem: str, events: Sequence[Mapping[str, str]], *versions: str) -> Json:
    affected: Json = {"package": {"ecosystem": ecosystem, "name": "p"}, "versions": list(versions)}
    if events:
        affected["ranges"] = [{"type": "ECOSYSTEM", "events": events}]
    return {"id": "X-1", "modified": "2024-01-01T00:00:00Z", "affected": [affected]}


def _spans(record: Json, folder: Path) -> list[tuple[str, str, str]]:
    rows, _ = read(ADAPTER, json.dumps(record).encode(), folder)
    return [(r.introduced, r.fixed, r.last) for r in ranges(rows)]


def test_ranges_end_with_a_fix_or_with_the_last_bad_version(tmp_path: Path) -> None:
    """`fixed` is not in the range, `last_affected` is; ranges of commits are none of versions."""
    assert _spans(FLASK, tmp_path) == [("", "1.1", ""), ("2.0", "", "2.3")]


EVENTS = [{"introduced": "2.0"}, {"fixed": "1.1"}, {"fixed": "2.3"}, {"introduced": "0"}]


def test_events_are_ordered_where_we_know_how(tmp_path: Path) -> None:
    """OSV lets events stand in any order; where we do not know it, nothing is read as harmless."""
    assert _spans(_affected("PyPI", EVENTS), tmp_path) == [("", "1.1", ""), ("2.0", "2.3", "")]
    unknown = _spans(_affected("npm", EVENTS), tmp_path)
    assert ("", "", "") in unknown


@pytest.mark.parametrize(
    ("events", "found"),
    [
        ("i0.13.0 f0.14.0rc1 i0.12.2 f0.13.0", [("0.13.0", "0.14.0rc1"), ("0.12.2", "0.13.0")]),
        ("i2.11 f2.11.7 i0 f2.11.6", [("2.11", "2.11.7"), ("", "2.11.6")]),
        ("f0.13.0 i0.12.2 i0.13.0 f0.14.0rc1", [("0.12.2", "0.13.0"), ("0.13.0", "0.14.0rc1")]),
        ("f2.0 i1.0", [("1.0", "2.0")]),
    ],
)
def test_pairs_of_events_are_ranges_of_their_own(
    events: str, found: list[tuple[str, str]], tmp_path: Path
) -> None:
    """As real records have them: another pair's fix, or one at the same version, ends nothing."""
    kinds = {"i": "introduced", "f": "fixed"}
    record = _affected("PyPI", [{kinds[word[0]]: word[1:]} for word in events.split()])
    assert [span[:2] for span in _spans(record, tmp_path)] == found


def test_a_second_start_inside_a_range_changes_nothing(tmp_path: Path) -> None:
    """OSV evaluates events in turn: affected stays affected until a fix."""
    events = [{"introduced": "0"}, {"introduced": "1.5"}, {"fixed": "2.0"}]
    assert _spans(_affected("PyPI", events), tmp_path) == [("", "2.0", "")]
    assert ("1.5", "2.0", "") in _spans(_affected("npm", events), tmp_path)
    assert ("", "", "") in _spans(_affected("npm", events), tmp_path)


@pytest.mark.parametrize(
    ("ecosystem", "events", "versions", "found"),
    [
        ("PyPI", [], ["1.0", "1.1"], [("1.0", "", "1.0"), ("1.1", "", "1.1")]),
        ("PyPI", [{"introduced": "0"}, {"fixed": "2.0"}], ["1.0", "1.5"], [("", "2.0", "")]),
        ("PyPI", [{"introduced": "0"}, {"fixed": "2.0"}], ["1.0", "4.1"],
         [("", "2.0", ""), ("4.1", "", "4.1")]),
        ("PyPI", [{"introduced": "0"}, {"fixed": "2.0"}], ["1.0-NA"],
         [("", "2.0", ""), ("1.0-NA", "", "1.0-NA")]),
        ("Debian:12", [{"introduced": "0"}, {"fixed": "1:2-1"}], ["1:1-1", "9-1", "2:0-1"],
         [("", "1:2-1", ""), ("2:0-1", "", "2:0-1")]),
        ("npm", [{"introduced": "1.0.0"}, {"fixed": "2.0.0"}], ["1.0.0"],
         [("1.0.0", "2.0.0", ""), ("1.0.0", "", "1.0.0")]),
        ("npm", [{"introduced": "0"}], ["1.0.0", "2.0.0"], [("", "", "")]),
    ],
)  # fmt: skip
def test_a_listed_version_outside_every_range_is_a_row(
    ecosystem: str, events: Json, versions: list[str], found: Json, tmp_path: Path
) -> None:
    """A version is affected if it is listed or in a range; one in a range is not said twice."""
    assert _spans(_affected(ecosystem, events, *versions), tmp_path) == found


@pytest.mark.parametrize(
    ("name", "ours"),
    [("Debian:12", "debian:12"), ("Ubuntu:24.04:LTS", "ubuntu:24.04"),
     ("Ubuntu:25.10", "ubuntu:25.10"), ("Ubuntu:Pro:16.04:LTS", "ubuntu-pro:16.04"),
     ("Ubuntu:Pro:FIPS-updates:20.04:LTS", "ubuntu-pro-fips-updates:20.04"),
     ("AlmaLinux:9", "almalinux:9"), ("Rocky Linux:9", "rocky:9"), ("Alpine:v3.19", "alpine:3.19"),
     ("Red Hat:enterprise_linux:9::baseos", "redhat:9"), ("Red Hat:rhel_eus:9.2::baseos",
      "redhat:rhel_eus:9.2::baseos"), ("SUSE:Linux Enterprise Server 15 SP5", "sles:15.5"),
     ("openSUSE:Leap 15.5", "opensuse-leap:15.5"),
     ("openSUSE:Tumbleweed", "opensuse-tumbleweed:rolling"),
     ("SUSE:Linux Enterprise Server 12", "sles:12.0"),
     ("SUSE:Linux Enterprise Software Development Kit 12 SP1", "sles:12.1"),
     ("SUSE:Linux Enterprise Module for Python 3 15 SP5", "sles:15.5"),
     ("SUSE:Linux Enterprise Server 12 SP2-LTSS", "sles:12.2"),
     ("SUSE:Linux Enterprise Micro 5.3", "sles:5.3"), ("SUSE:Package Hub 15 SP5", "sles:15.5"),
     ("SUSE:Manager Server 4.2", "sles:manager server 4.2"),
     ("PyPI", "pypi"), ("Go", "go"), ("npm", "npm"), ("crates.io", "crates.io")],
)  # fmt: skip
def test_releases_are_named_as_their_hosts_name_them(name: str, ours: str) -> None:
    """A row's ecosystem is what an inventory calls the system it was taken from."""
    assert ecosystem_of(name) == ours


@pytest.mark.parametrize(
    ("ecosystem", "name", "ours"),
    [("PyPI", "Zope.Interface", "zope-interface"), ("NuGet", "Newtonsoft.Json", "newtonsoft.json"),
     ("Packagist", "Laravel/Framework", "laravel/framework"), ("npm", "JSONStream", "JSONStream")],
)  # fmt: skip
def test_a_project_is_named_as_inventories_name_it(ecosystem: str, name: str, ours: str) -> None:
    """Where case tells nothing apart, a flaw is not missed for it."""
    assert _named(name, ecosystem.lower())[0] == ours


@pytest.mark.parametrize(
    ("ecosystem", "level"),
    [("Debian:12", "source"), ("Ubuntu:24.04:LTS", "source"), ("Alpine:v3.19", "source"),
     ("Rocky Linux:9", "source"), ("AlmaLinux:9", "binary"), ("npm", "binary")],
)  # fmt: skip
def test_names_are_of_source_packages_where_publishers_say_so(
    ecosystem: str, level: str, tmp_path: Path
) -> None:
    """Debian speaks of source packages, AlmaLinux of what is installed."""
    data = json.dumps(_affected(ecosystem, [{"introduced": "0"}])).encode()
    assert ranges(read(ADAPTER, data, tmp_path)[0])[0].level == level


@pytest.mark.parametrize(
    ("told", "cves"),
    [
        ({"aliases": ["CVE-2024-0001", "GHSA-x"]}, ("CVE-2024-0001",)),
        ({"upstream": ["CVE-2024-0002", "CVE-2024-0001"]}, ("CVE-2024-0001", "CVE-2024-0002")),
        ({"related": ["CVE-2024-0003"]}, ("CVE-2024-0003",)),
        ({"aliases": ["GHSA-x"], "related": ["CVE-2024-0003"]}, ()),
        ({"id": "CVE-2024-0004"}, ("CVE-2024-0004",)),
    ],
)
def test_flaws_are_those_that_the_record_is_about(
    told: Json, cves: tuple[str, ...], tmp_path: Path
) -> None:
    """A flaw that is only similar is not taken for this one."""
    record = {**_affected("PyPI", [{"introduced": "0"}]), **told}
    (row,) = ranges(read(ADAPTER, json.dumps(record).encode(), tmp_path)[0])
    assert row.cves == cves


def test_a_withdrawn_record_keeps_its_ranges_and_says_nothing(tmp_path: Path) -> None:
    """What its author took back is seen to be taken back, and is no claim about a flaw."""
    record = {**FLASK, "withdrawn": "2024-03-01T00:00:00Z"}
    rows, _ = read(ADAPTER, json.dumps(record).encode(), tmp_path)
    assert {row.withdrawn for row in ranges(rows)} == {time_of("2024-03-01")}
    assert not [row for row in rows if isinstance(row, Claim)]
    with pytest.raises(Unusable):
        read(ADAPTER, json.dumps({**FLASK, "withdrawn": "yes"}).encode(), tmp_path)


def test_a_flaw_s_words_come_from_records_about_it_alone(tmp_path: Path) -> None:
    """The title of an advisory about two flaws is the title of neither."""
    rows, published = read(ADAPTER, json.dumps(CURL).encode(), tmp_path)
    assert published == time_of("2024-03-01")
    assert not [row for row in rows if isinstance(row, Claim)]
    rows, _ = read(ADAPTER, json.dumps(FLASK).encode(), tmp_path)
    assert (claims(rows, "cvss"), claims(rows, "cwe")) == ([VECTOR], ["CWE-79"])
    alone = {**FLASK, "aliases": []}
    rows, _ = read(ADAPTER, json.dumps(alone).encode(), tmp_path)
    assert claims(rows, "title", FLASK["id"]) == ["A flaw"]


@pytest.mark.parametrize(
    ("where", "said", "urgency"),
    [("record", {"database_specific": {"severity": "MODERATE"}}, "medium"),
     ("affected", {"ecosystem_specific": {"urgency": "unimportant"}}, "low"),
     ("affected", {"severity": [{"type": "Ubuntu", "score": "high"}]}, "high"),
     ("record", {"severity": [{"type": "CVSS_V3", "score": VECTOR}]}, "critical"),
     ("record", {"severity": [{"type": "CVSS_V3", "score": "x"}]}, "unknown")],
)  # fmt: skip
def test_urgency_is_the_publisher_s_word_else_its_score(
    where: str, said: Json, urgency: str, tmp_path: Path
) -> None:
    """Debian's and GitHub's words come first; without one the vector is rated."""
    record = deepcopy(_affected("Debian:12", [{"introduced": "0"}]))
    (record if where == "record" else record["affected"][0]).update(said)
    (row,) = ranges(read(ADAPTER, json.dumps(record).encode(), tmp_path)[0])
    assert row.urgency == urgency


def test_a_list_of_ids_and_times_is_no_record(tmp_path: Path) -> None:
    """SUSE's archive holds one among its records; any other list is malformed."""
    entry, record = {"id": "X-1", "modified": "2024-01-01T00:00:00Z"}, json.dumps(FLASK).encode()
    files = {"osv/X-1.json": record, "osv/all.json": json.dumps([entry]).encode()}
    assert read(ADAPTER, zipped(files), tmp_path) == read(ADAPTER, record, tmp_path)
    files["osv/all.json"] = json.dumps([entry, FLASK]).encode()
    with pytest.raises(Unusable) as failure:
        read(ADAPTER, zipped(files), tmp_path)
    assert failure.value.state is State.MALFORMED


def test_a_repository_s_own_files_are_no_records(tmp_path: Path) -> None:
    """GitHub's archive of its advisories holds settings as well."""
    record = json.dumps(FLASK).encode()
    files = {"db-main/advisories/GHSA.json": record, "db-main/.github/x.json": b"{}"}
    assert read(ADAPTER, zipped(files), tmp_path) == read(ADAPTER, record, tmp_path)


@pytest.mark.parametrize(
    "change",
    [{"id": 7}, {"id": "a\nb"}, {"affected": 7}, {"affected": [7]}, {"aliases": 7},
     {"affected": [{"package": {"name": "x"}}]},
     {"affected": [{"package": {"ecosystem": "npm", "name": "x"}, "versions": [7]}]},
     {"affected": [{"package": {"ecosystem": "npm", "name": "x"},
                    "ranges": [{"type": "SEMVER", "events": [{"fixed": ""}]}]}]}],
)  # fmt: skip
def test_a_record_of_another_form_makes_it_malformed(change: Json, tmp_path: Path) -> None:
    """One bad record stops the database: half of one must not pass for the whole."""
    data = json.dumps(FLASK).encode() + b"\n" + json.dumps({**FLASK, **change}).encode()
    with pytest.raises(Unusable) as failure:
        read(ADAPTER, data, tmp_path)
    assert failure.value.state is State.MALFORMED


@needs_data
def test_real_databases_say_what_another_reader_found(tmp_path: Path) -> None:
    """Fixed versions of 70,000 real packages, taken out of the same records by other hands."""
    theirs = defaultdict[tuple[str, str, str], set[str]](set)
    ours = defaultdict[tuple[str, str, str], set[str]](set)
    table = str(FOLDER.parent / "osv_fixed_versions.parquet")
    told = duckdb.execute(
        "SELECT id, ecosystem, package, fixed FROM read_parquet(?)", [table]
    ).fetchall()
    for advisory, ecosystem, package, fixed in told:
        name = package if ecosystem != "PyPI" else package.lower().replace(".", "-")
        theirs[advisory, ecosystem_of(ecosystem), name.replace("_", "-")] |= set(fixed)
    for database in ("pypa", "golang", "almalinux"):
        file = FOLDER.parent / f"osv_{database}.jsonl.zst"
        for row in OsvExport(f"osv/{database}", ("x",)).read(file, database):
            if isinstance(row, Range):
                place = row.advisory, row.ecosystem, row.package.replace("_", "-")
                ours[place] |= {row.fixed} - {""}
    assert len(ours) > 70_000
    silent = {place for place, fixed in theirs.items() if not fixed} - ours.keys()
    assert ours == {place: fixed for place, fixed in theirs.items() if place not in silent}
