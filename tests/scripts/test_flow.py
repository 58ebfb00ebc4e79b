"""From what publishers say to a notice: what two say is permitted, what one says waits; commands.

The documents are in their publishers' forms, written here: OSV exports of two channels, CISA's
catalogue and its additions to CVE records, EPSS, Debian's tracker. Three packages are on each host:

    waitress    both channels say that it is exploited, both name the fix
    werkzeug    the catalogue alone says that it is exploited; later the other does too
    jinja2      both say that it is exploited, one names the fix
"""

import gzip
import json
import re
import shlex
import zipfile
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime, timedelta
from hashlib import sha256
from io import BytesIO
from pathlib import Path
from typing import Any

import pytest

from tests.scripts.town import GUARDS, NEW, OLD, PACKAGE, Town, answerable, ok, until
from tests.structure.source import ROOT

VECTOR = "CVSS:3.1/AV:N/AC:L/PR:N/UI:N/S:U/C:H/I:H/A:N"
FLAWS = {
    PACKAGE: ("CVE-2024-49768", OLD, NEW),
    "werkzeug": ("CVE-2024-34069", "3.0.2", "3.0.3"),
    "jinja2": ("CVE-2024-34064", "3.1.3", "3.1.4"),
}
"""Package -> its flaw, the release on the hosts, and the one that fixes it."""
_, PAGE = (ROOT / "docs/operate/feeds.md").read_text("utf-8").split("## From what is published")
"""What an operator is told: settings, a condition, commands."""
SETTINGS, CONDITION = re.findall(r"```json\n(.+?)```", PAGE, re.DOTALL)
WISH = ("--authorization", "urgent-security", "--clause", "urgent")
Json = Any


def _day(age: int) -> str:
    return (datetime.now(UTC) - timedelta(minutes=age)).strftime("%Y-%m-%dT%H:%M:%S.000Z")


def _advisory(name: str, package: str) -> Json:
    flaw, _, fixed = FLAWS[package]
    return {
        "schema_version": "1.7.0", "id": name, "modified": _day(60), "aliases": [flaw],
        "published": "2024-10-29T14:00:00Z", "summary": f"A flaw of {package}",
        "severity": [{"type": "CVSS_V3", "score": VECTOR}],
        "affected": [{"package": {"ecosystem": "PyPI", "name": package}, "ranges": [
            {"type": "ECOSYSTEM", "events": [{"introduced": "0"}, {"fixed": fixed}]}]}],
    }  # fmt: skip


def _record(package: str, exploitation: str, age: int) -> Json:
    ssvc = {"timestamp": _day(age), "role": "CISA Coordinator", "version": "2.0.3", "options": [
        {"Exploitation": exploitation}, {"Automatable": "yes"}, {"Technical Impact": "total"},
    ]}  # fmt: skip
    return {
        "dataType": "CVE_RECORD", "dataVersion": "5.1",
        "cveMetadata": {"cveId": FLAWS[package][0], "state": "PUBLISHED",
                        "assignerShortName": "GitHub_M", "datePublished": "2024-10-29T14:00:00Z",
                        "dateUpdated": _day(age)},
        "containers": {
            "cna": {"title": f"A flaw of {package}", "metrics": [{"cvssV3_1": {
                "vectorString": VECTOR}}]},
            "adp": [{"providerMetadata": {"shortName": "CISA-ADP"}, "metrics": [
                {"other": {"type": "ssvc", "content": ssvc}}]}],
        },
    }  # fmt: skip


def _catalogue(*packages: str) -> bytes:
    listed = [
        {"cveID": FLAWS[package][0], "vendorProject": "Pallets", "product": package,
         "vulnerabilityName": f"A flaw of {package}", "dateAdded": "2024-11-04",
         "shortDescription": "It is used.", "requiredAction": "Apply updates.",
         "dueDate": "2024-11-25", "knownRansomwareCampaignUse": "Unknown", "notes": "", "cwes": []}
        for package in packages
    ]  # fmt: skip
    return json.dumps({
        "title": "CISA Catalog of Known Exploited Vulnerabilities", "catalogVersion": "2026.11.20",
        "dateReleased": _day(30), "count": len(listed), "vulnerabilities": listed,
    }).encode()  # fmt: skip


def _forecast() -> bytes:
    rows = "".join(f"{flaw},0.97,0.99\n" for flaw, _, _ in FLAWS.values())
    head = f"#model_version:v2025.03.14,score_date:{_day(40)}\ncve,epss,percentile\n"
    return gzip.compress((head + rows).encode())


def _tracker() -> bytes:
    bookworm = {"status": "open", "repositories": {"bookworm": "2.1.2-2"}, "urgency": "unimportant"}
    flaw = {"description": "A flaw.", "scope": "remote", "releases": {"bookworm": bookworm}}
    return json.dumps({PACKAGE: {FLAWS[PACKAGE][0]: flaw}}).encode()


def _zip(members: Mapping[str, Json]) -> bytes:
    made = BytesIO()
    with zipfile.ZipFile(made, "w") as archive:
        for name, value in members.items():
            archive.writestr(name, json.dumps(value))
    return made.getvalue()


class Readers(Town):
    """A town whose control plane and guards make worlds of a directory, and facts of those."""

    def _init(self, kind: str, name: str, settings: dict[str, Any]) -> Path:
        if kind in ("guard", "control"):
            said = json.loads(SETTINGS.replace("/srv/", f"{self.place}/"))
            settings = {**settings, **said, "look": 1}
        return super()._init(kind, name, settings)

    def _ground(self) -> None:
        super()._ground()
        for package, (_, old, new) in FLAWS.items():
            if package != PACKAGE:
                self.install(package, old, new)

    def publish(self, path: str, data: bytes) -> None:
        """Let a publisher's document change at once."""
        file = self.place / "said" / path
        file.parent.mkdir(parents=True, exist_ok=True)
        (self.place / "new").write_bytes(data)
        (self.place / "new").replace(file)

    def enrich(self, age: int, **exploitation: str) -> None:
        """Let CISA say how far each package's flaw is exploited, `age` minutes ago."""
        self.publish("vulnrichment.zip", _zip({
            f"vulnrichment-develop/2024/0xxx/{FLAWS[package][0]}.json": _record(package, word, age)
            for package, word in exploitation.items()
        }))  # fmt: skip

    def looked(self) -> bool:
        """Tell whether every guard has made a world of the documents as they are now."""
        files = (file for file in (self.place / "said").rglob("*") if file.is_file())
        now = {sha256(file.read_bytes()).hexdigest() for file in files}
        return all(self._read(name) == now for name in GUARDS)

    def _read(self, name: str) -> set[str]:
        worlds = self.place / name / "worlds"
        try:
            root = (worlds / "newest").read_text()
            documents = json.loads((worlds / root / "documents.json").read_text())
        except OSError:
            return set()
        return {str(document["sha256"]) for document in documents}


@pytest.fixture(scope="module")
def town(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Readers]:
    """Found it among publishers who all have spoken."""
    made = Readers(tmp_path_factory.mktemp("flow"))
    made.publish("PyPI/all.zip", _zip({
        f"PYSEC-2024-{n}.json": _advisory(f"PYSEC-2024-{n}", p) for n, p in enumerate(FLAWS)
    }))  # fmt: skip
    folder = "advisory-database-main/advisories/github-reviewed/2024/10"
    names = {PACKAGE: "GHSA-9298-4cf8-g4wj", "werkzeug": "GHSA-2g68-c3qc-8985"}
    made.publish("archive/refs/heads/main.zip", _zip({
        f"{folder}/{name}/{name}.json": _advisory(name, package) for package, name in names.items()
    }))  # fmt: skip
    made.publish("known_exploited_vulnerabilities.json", _catalogue(*FLAWS))
    made.publish("epss_scores-current.csv.gz", _forecast())
    made.publish("tracker/data/json", _tracker())
    made.enrich(20, waitress="active", werkzeug="poc", jinja2="active")
    made.found()
    try:
        made.start_log_and_guards()
        yield made
    finally:
        made.stop()


def test_two_channels_permit_what_one_does_not(town: Readers) -> None:
    """Publishers, world, agreement, release, rank, plan under `exploited`, notice."""
    control = town.place / "control"
    town.enrol()
    ok("log", "submit", town.authorize(json.loads(CONDITION)), "--log", town.log)
    town.start("control", "serve", control)
    ok("inventory", "import", control)

    assert "6 documents" in ok("feed", "sync", control).err
    until(town.looked, town.said)
    first = ok("feed", "sync", control, "app")
    assert "jinja2: `3.1.4` as the fix of `PYSEC-2024-2` is said by osv/pypi alone" in first.err
    until(lambda: _in_force(control, first.out), town.said)
    assert _waiting(control) == {FLAWS["werkzeug"][0]}
    assert _exploited(control) == {PACKAGE: True, "werkzeug": False}
    one = ok("plan", "make", control, *WISH).out
    assert f"release: {first.out.strip()}" in one
    assert f"{PACKAGE} {OLD} -> {NEW}" in one
    assert "escalated: web1: `werkzeug`: no authorization covers it" in one
    assert "escalated: pci1: zone `pci` is excluded" in one
    alone = answerable("plan", "make", control, *WISH, "--package", "werkzeug")
    assert (alone.code, "web1: `werkzeug`: no authorization covers it" in alone.err) == (1, True)

    town.enrich(10, waitress="active", werkzeug="active", jinja2="active")
    until(town.looked, town.said)
    done = _told(town, control)
    assert _waiting(control) == set()
    assert _exploited(control) == {PACKAGE: True, "werkzeug": True}
    assert "it is known to be exploited [kev, vulnrichment;" in done["explain"]
    both = done["plan make"]
    assert f"release: {done['feed sync'].strip()}" in both
    assert f"{PACKAGE} {OLD} -> {NEW}" in both
    assert "werkzeug 3.0.2 -> 3.0.3" in both
    assert "no authorization covers it" not in both
    _notice(town, done["plan apply"].strip())


def _told(town: Readers, control: Path) -> dict[str, str]:
    """Do what the page tells an operator; give what each command printed, the last time."""
    printed: dict[str, str] = {}
    digest = ""
    for line in re.findall(r"^    answerable (.+)$", PAGE, re.MULTILINE):
        told = line.replace("/srv/control", str(control)).replace("DIGEST", digest)
        words = shlex.split(told, comments=True)
        name = " ".join(words[:1] if words[0] == "explain" else words[:2])
        if name == "feed status":
            until(lambda: _in_force(control, printed["feed sync"]), town.said)
        printed[name] = ok(*words).out
        digest = printed[name].split()[-1] if name == "plan make" else digest
    return printed


def _in_force(control: Path, release: str) -> bool:
    return ok("feed", "status", control).out.startswith(f"app\t{release.strip()}")


def _waiting(control: Path) -> set[str]:
    """Which flaws one channel alone calls exploited."""
    rows = ok("feed", "diff", control, "--output", "json").json()
    return {row["name"] for row in rows if (row["what"], row["state"]) == ("exploited", "single")}


def _exploited(control: Path) -> dict[str, bool]:
    """What released facts say of each exposed package, the most urgent first."""
    rows = ok("exposure", "list", control, "--output", "json").json()
    assert [row["score"] for row in rows] == sorted((row["score"] for row in rows), reverse=True)
    return {row["package"]: row["exploited"] for row in rows}


def _notice(town: Readers, leaf: str) -> None:
    told = [town.place / name / "told" / "lee" / f"notice-{leaf}.txt" for name in GUARDS]
    until(lambda: all(file.exists() for file in told), town.said)
    (text,) = {file.read_text() for file in told}
    assert f"{PACKAGE} {OLD} to {NEW}" in text
    assert "werkzeug 3.0.2 to 3.0.3" in text
