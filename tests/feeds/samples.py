"""A small valid document of each publication, written for these tests in its publisher's form."""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from answerable.feeds.publication import Publication
from answerable.feeds.publications.csaf import Csaf
from answerable.feeds.publications.debian_tracker import DebianTracker
from answerable.feeds.publications.epss import Epss
from answerable.feeds.publications.kev import Kev
from answerable.feeds.publications.nvd import Nvd
from answerable.feeds.publications.osv_export import OsvExport
from answerable.feeds.publications.updateinfo import Updateinfo
from answerable.feeds.publications.vulnrichment import Vulnrichment
from answerable.feeds.rows import Claim, Range, Row

VECTOR = "CVSS:3.1/AV:N/AC:L/PR:N/UI:N/S:U/C:H/I:H/A:H"
Json = Any
FLASK: Json = {
    "id": "GHSA-aaaa-bbbb-cccc", "modified": "2024-02-01T00:00:00Z",
    "published": "2024-01-02T03:04:05Z", "aliases": ["CVE-2024-0001"], "summary": "A flaw",
    "details": "Long text", "database_specific": {"severity": "HIGH", "cwe_ids": ["CWE-79"]},
    "severity": [{"type": "CVSS_V3", "score": VECTOR}],
    "affected": [{"package": {"ecosystem": "PyPI", "name": "Flask_App"}, "ranges": [
        {"type": "GIT", "repo": "x", "events": [{"introduced": "0"}, {"fixed": "abc"}]},
        {"type": "ECOSYSTEM", "events": [{"introduced": "0"}, {"fixed": "1.1"},
                                         {"introduced": "2.0"}, {"last_affected": "2.3"}]},
    ]}],
}  # fmt: skip
CURL: Json = {
    "id": "ALSA-2024:1", "modified": "2024-03-01T00:00:00Z", "published": "2024-03-01T00:00:00Z",
    "related": ["CVE-2024-0002", "CVE-2024-0003"], "summary": "Important: curl",
    "affected": [{"package": {"ecosystem": "AlmaLinux:9", "name": "libcurl"}, "ranges": [
        {"type": "ECOSYSTEM", "events": [{"introduced": "0"}, {"fixed": "7.76.1-29.el9"}]}]}],
}  # fmt: skip
OSV = b"".join(json.dumps(record).encode() + b"\n" for record in (FLASK, CURL))
KEV = json.dumps({
    "title": "CISA Catalog of Known Exploited Vulnerabilities", "catalogVersion": "2026.11.20",
    "dateReleased": "2026-11-20T17:04:19.9796Z", "count": 2,
    "vulnerabilities": [
        {"cveID": "CVE-2024-0001", "vendorProject": "Acme", "product": "Anvil",
         "vulnerabilityName": "Acme Anvil Flaw", "dateAdded": "2024-02-09", "dueDate": "2024-02-16",
         "shortDescription": "It falls.", "requiredAction": "Run.", "notes": "",
         "knownRansomwareCampaignUse": "Known", "cwes": ["CWE-787", "CWE-20"]},
        {"cveID": "CVE-2021-0002", "vendorProject": "Acme", "product": "Rope",
         "vulnerabilityName": "Rope", "dateAdded": "2021-11-03", "dueDate": "2021-11-17",
         "shortDescription": "It tears.", "requiredAction": "Run.", "notes": "",
         "knownRansomwareCampaignUse": "Unknown", "cwes": []},
    ],
}).encode()  # fmt: skip
EPSS = b"""#model_version:v2025.03.14,score_date:2026-11-20T12:55:00Z
cve,epss,percentile
CVE-1999-0001,0.01141,0.7769
CVE-2024-0001,4.2e-04,1.0
"""
FLAW: Json = {
    "id": "CVE-2024-0001", "sourceIdentifier": "cve@acme.example", "vulnStatus": "Analyzed",
    "published": "2024-01-02T15:15:08.123", "lastModified": "2024-02-03T00:00:00.000",
    "cisaExploitAdd": "2024-02-09", "cisaActionDue": "2024-02-16",
    "descriptions": [{"lang": "es", "value": "Cae."}, {"lang": "en", "value": "It falls."}],
    "metrics": {
        "cvssMetricV31": [{"source": "nvd@nist.gov", "type": "Primary",
                           "cvssData": {"version": "3.1", "vectorString": VECTOR,
                                        "baseScore": 9.8}}],
        "cvssMetricV2": [{"source": "nvd@nist.gov", "type": "Primary",
                          "cvssData": {"vectorString": "AV:N/AC:L/Au:N/C:P/I:P/A:P"}}]},
    "weaknesses": [{"source": "x", "type": "Primary", "description": [
        {"lang": "en", "value": "CWE-79"}, {"lang": "en", "value": "NVD-CWE-noinfo"}]}],
    "configurations": [{"nodes": [{"operator": "OR", "cpeMatch": [
        {"vulnerable": True, "criteria": "cpe:2.3:a:acme:anvil:*:*:*:*:*:*:*:*"}]}]}],
    "references": [{"url": "https://acme.example/a,b", "tags": ["Exploit"]}],
}  # fmt: skip
REJECTED = {"id": "CVE-2024-0009", "vulnStatus": "Rejected", "published": "2024-01-01T00:00:00.000",
            "lastModified": "2024-01-02T00:00:00.000", "descriptions": []}  # fmt: skip


def nvd(*flaws: Json, start: int = 0, total: int | None = None) -> bytes:
    """Give a page of the API."""
    head = {"resultsPerPage": len(flaws), "startIndex": start,
            "totalResults": len(flaws) if total is None else total, "format": "NVD_CVE",
            "version": "2.0", "timestamp": "2026-11-20T00:00:00.000"}  # fmt: skip
    return json.dumps({**head, "vulnerabilities": [{"cve": flaw} for flaw in flaws]}).encode()


NVD = nvd(FLAW, REJECTED)
RECORD: Json = {
    "dataType": "CVE_RECORD", "dataVersion": "5.1",
    "cveMetadata": {"cveId": "CVE-2024-0001", "state": "PUBLISHED", "assignerShortName": "Acme",
                    "datePublished": "2024-01-02T00:00:00.000Z",
                    "dateUpdated": "2024-02-10T00:00:00.000Z"},
    "containers": {
        "cna": {"title": "Falling anvil", "descriptions": [{"lang": "en", "value": "It falls."}],
                "affected": [{"vendor": "Acme", "product": "Anvil"}],
                "problemTypes": [{"descriptions": [{"lang": "en", "cweId": "CWE-79"}]}],
                "metrics": [{"cvssV3_1": {"vectorString": VECTOR}}],
                "references": [{"url": "https://acme.example/1", "tags": ["exploit"]}]},
        "adp": [
            {"providerMetadata": {"shortName": "CISA-ADP", "dateUpdated": "2024-02-11T00:00:00Z"},
             "title": "CISA ADP Vulnrichment", "metrics": [
                 {"other": {"type": "ssvc", "content": {
                     "timestamp": "2024-02-08T00:00:00Z", "role": "CISA Coordinator",
                     "version": "2.0.3", "options": [{"Exploitation": "active"},
                                                     {"Automatable": "yes"},
                                                     {"Technical Impact": "total"}]}}},
                 {"other": {"type": "kev", "content": {"dateAdded": "2024-02-09"}}}]},
            {"providerMetadata": {"shortName": "Mallory"}, "metrics": [
                {"other": {"type": "ssvc", "content": {"options": [{"Exploitation": "none"}]}}}]},
        ],
    },
}  # fmt: skip
VULNRICHMENT = json.dumps(RECORD).encode()
TRACKER = json.dumps({
    "openssl": {"CVE-2024-0001": {"description": "It falls.", "scope": "remote", "releases": {
        "bookworm": {"status": "resolved", "repositories": {"bookworm": "3.0.11-1"},
                     "fixed_version": "3.0.13-1~deb12u1", "urgency": "high**"},
        "trixie": {"status": "resolved", "repositories": {}, "fixed_version": "0",
                   "urgency": "unimportant"},
        "bullseye": {"status": "open", "repositories": {}, "urgency": "not yet assigned"},
        "buster": {"status": "open", "repositories": {}, "urgency": "end-of-life"},
        "sid": {"status": "undetermined", "repositories": {}, "urgency": "low"}}}},
    "empty": {"TEMP-0000001-ABCDEF": {"releases": []}},
}).encode()  # fmt: skip


def _product(name: str, kind: str, **helper: str) -> Json:
    return {"category": kind, "name": name, "product": {
        "name": name, "product_id": name, "product_identification_helper": helper}}  # fmt: skip


def _pair(part: str, platform: str) -> Json:
    return {"category": "default_component_of", "product_reference": part,
            "relates_to_product_reference": platform,
            "full_product_name": {"name": part, "product_id": f"{platform}:{part}"}}  # fmt: skip


def csaf(tree: Json, *flaws: Json, category: str = "csaf_vex") -> bytes:
    """Give a document of CSAF."""
    head = {"category": category, "csaf_version": "2.0", "title": "A title",
            "publisher": {"category": "vendor", "name": "Acme"},
            "aggregate_severity": {"text": "Moderate"},
            "tracking": {"id": "CVE-2024-0001", "status": "final", "version": "1",
                         "initial_release_date": "2024-03-05T00:00:00+00:00",
                         "current_release_date": "2026-11-19T15:14:45+00:00"}}  # fmt: skip
    return json.dumps({"document": head, "product_tree": tree, "vulnerabilities": flaws}).encode()


REDHAT_TREE = {
    "branches": [{"category": "vendor", "name": "Red Hat", "branches": [
        _product("BaseOS-9.4", "product_name", cpe="cpe:/o:redhat:enterprise_linux:9::baseos"),
        _product("rhel_8", "product_name", cpe="cpe:/o:redhat:enterprise_linux:8"),
        _product("ocp", "product_name", cpe="cpe:/a:redhat:openshift:4.16::el9"),
        _product("curl-1:7.76.1-29.el9.x86_64", "product_version",
                 purl="pkg:rpm/redhat/curl@7.76.1-29.el9?arch=x86_64&epoch=1"),
        _product("curl-1:7.76.1-29.el9.aarch64", "product_version",
                 purl="pkg:rpm/redhat/curl@7.76.1-29.el9?arch=aarch64&epoch=1"),
        _product("postgresql:15:9:rhel9", "product_version",
                 purl="pkg:rpmmod/redhat/postgresql@15:9:rhel9"),
        _product("pg-0:1.4-1.el9.x86_64", "product_version",
                 purl="pkg:rpm/redhat/pg@1.4-1.el9?arch=x86_64"),
        _product("curl", "product_version", purl="pkg:rpm/redhat/curl?arch=src"),
    ]}],
    "relationships": [
        _pair("curl-1:7.76.1-29.el9.x86_64", "BaseOS-9.4"),
        _pair("curl-1:7.76.1-29.el9.aarch64", "BaseOS-9.4"),
        _pair("curl-1:7.76.1-29.el9.x86_64", "ocp"),
        _pair("postgresql:15:9:rhel9", "BaseOS-9.4"),
        _pair("pg-0:1.4-1.el9.x86_64", "BaseOS-9.4:postgresql:15:9:rhel9"),
        _pair("curl", "rhel_8"),
    ],
}  # fmt: skip
REDHAT_FLAW = {
    "cve": "CVE-2024-0001", "title": "curl: it falls", "cwe": {"id": "CWE-79", "name": "x"},
    "release_date": "2024-03-05T00:00:00+00:00",
    "notes": [{"category": "description", "text": "It falls.", "title": "x"}],
    "product_status": {
        "fixed": ["BaseOS-9.4:curl-1:7.76.1-29.el9.x86_64",
                  "BaseOS-9.4:curl-1:7.76.1-29.el9.aarch64", "ocp:curl-1:7.76.1-29.el9.x86_64",
                  "BaseOS-9.4:postgresql:15:9:rhel9:pg-0:1.4-1.el9.x86_64"],
        "known_affected": ["rhel_8:curl"], "under_investigation": ["BaseOS-9.4:wget"]},
    "scores": [{"cvss_v3": {"vectorString": VECTOR}, "products": []}],
    "threats": [{"category": "impact", "details": "Important", "product_ids": []}],
    "remediations": [],
}  # fmt: skip
REDHAT = csaf(REDHAT_TREE, REDHAT_FLAW)
SUSE = csaf(
    {"branches": [_product("SLES 15 SP5", "product_name", cpe="cpe:/o:suse:sles:15:sp5")]},
    {"cve": "CVE-2024-0001", "product_status": {
        "recommended": ["SLES 15 SP5:libopenssl1_1-1.1.1l-150500.15.4"],
        "known_affected": ["SLES 15 SP5:libopenssl-1_0_0-devel"],
        "known_not_affected": ["SLES 15 SP5:openssl-3"]}},
)  # fmt: skip
UPDATEINFO = b"""<?xml version="1.0" encoding="UTF-8"?>
<updates><update from="releng@example.org" status="final" type="security" version="1">
  <id>RLSA-2024:1234</id><title>Important: curl &amp; more</title><severity>Important</severity>
  <issued date="2024-03-05 00:00:00"/><updated date="2024-03-06 00:00:00"/>
  <description>It falls.</description>
  <references><reference href="https://x.example" id="CVE-2024-0001" type="cve" title="x"/>
  </references><pkglist><collection short="r9"><name>r9</name>
    <package name="curl" epoch="1" version="7.76.1" release="29.el9" arch="x86_64"
      src="curl-7.76.1-29.el9.src.rpm"><filename>curl.rpm</filename></package>
    <package name="curl" epoch="1" version="7.76.1" release="29.el9" arch="aarch64"/>
    <package name="curl" epoch="1" version="7.76.1" release="29.el9" arch="src"/>
    <package name="libcurl" epoch="0" version="7.76.1" release="29.el9" arch="x86_64"/>
  </collection></pkglist></update>
<update from="releng@example.org" status="final" type="bugfix" version="1"><id>RLBA-2024:1</id>
  <pkglist><collection><package name="bash" version="5" release="1" arch="noarch"/></collection>
  </pkglist></update></updates>
"""
REPOMD = b"""<?xml version="1.0"?><repomd xmlns="http://linux.duke.edu/metadata/repo">
<revision>1763683200</revision>
<data type="primary"><checksum type="sha256">%s</checksum>
<location href="repodata/p.xml.gz"/></data>
<data type="updateinfo"><checksum type="sha256">%s</checksum>
<location href="repodata/u-updateinfo.xml.gz"/><timestamp>1763683200</timestamp></data></repomd>
""" % (b"0" * 64, b"a" * 64)

PRIMARY = b"""<?xml version="1.0" encoding="UTF-8"?>
<metadata xmlns="http://linux.duke.edu/metadata/common"
  xmlns:rpm="http://linux.duke.edu/metadata/rpm" packages="2">
<package type="rpm"><name>curl</name><arch>x86_64</arch>
  <version epoch="0" ver="7.76.1" rel="29.el9"/>
  <checksum type="sha256" pkgid="YES">%s</checksum>
  <summary>A tool</summary><size package="301245" installed="704712" archive="707436"/>
  <location href="Packages/c/curl-7.76.1-29.el9.x86_64.rpm"/>
  <format><rpm:sourcerpm>curl-7.76.1-29.el9.src.rpm</rpm:sourcerpm>
    <rpm:provides><rpm:entry name="curl" flags="EQ" epoch="0" ver="7.76.1" rel="29.el9"/>
    </rpm:provides><rpm:requires><rpm:entry name="libcurl.so.4()(64bit)"/>
    <rpm:entry name="libcurl" flags="GE" epoch="0" ver="7.76.1"/></rpm:requires>
    <file>/usr/bin/curl</file></format></package>
<package type="rpm"><name>libcurl</name><arch>x86_64</arch>
  <version epoch="1" ver="7.76.1" rel="29.el9"/>
  <checksum type="sha256" pkgid="YES">%s</checksum>
  <size package="7" installed="7" archive="7"/>
  <location href="Packages/l/libcurl-7.76.1-29.el9.x86_64.rpm"/>
  <format><rpm:sourcerpm>curl-7.76.1-29.el9.src.rpm</rpm:sourcerpm>
    <rpm:provides><rpm:entry name="libcurl.so.4()(64bit)"/>
    <rpm:entry name="libcurl" flags="EQ" epoch="1" ver="7.76.1" rel="29.el9"/></rpm:provides>
  </format></package></metadata>
""" % (b"0" * 64, b"a" * 64)


@dataclass(frozen=True)
class Case:
    """An adapter and a valid document for it."""

    name: str
    publication: Publication
    data: bytes


CASES = (
    Case("osv", OsvExport("osv/x", ("all.zip",)), OSV),
    Case("kev", Kev(), KEV),
    Case("epss", Epss(), EPSS),
    Case("nvd", Nvd(("a",)), NVD),
    Case("vulnrichment", Vulnrichment(), VULNRICHMENT),
    Case("debian-tracker", DebianTracker(), TRACKER),
    Case("csaf/redhat", Csaf("csaf/redhat", "changes.csv"), REDHAT),
    Case("csaf/suse", Csaf("csaf/suse", "index.txt"), SUSE),
    Case("updateinfo", Updateinfo("updateinfo/rocky", "rocky:9"), UPDATEINFO),
)


def read(publication: Publication, data: bytes, folder: Path) -> tuple[list[Row], int]:
    """Give a document's rows and its date."""
    file, rows = folder / "document", list[Row]()
    file.write_bytes(data)
    reading = publication.read(file, "here")
    while True:
        try:
            rows.append(next(reading))
        except StopIteration as end:
            return rows, end.value


def ranges(rows: list[Row]) -> list[Range]:
    """Give the ranges among rows."""
    return [row for row in rows if isinstance(row, Range)]


def claims(rows: list[Row], field: str, subject: str = "CVE-2024-0001") -> list[str]:
    """Give the values that are claimed of a flaw."""
    found: Iterator[Claim] = (row for row in rows if isinstance(row, Claim))
    return [row.value for row in found if (row.field, row.subject) == (field, subject)]
