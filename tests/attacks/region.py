"""A party of one region: publications in their publishers' own formats, sources, and its world.

Known here: CVE-2024-0001 in openssl, exploited (KEV and NVD say so), scored 9.8 by two; CVE-2024-
0002 in flask, scored 5.3 by two, its fix 2.3.1 named by two; and three hundred more.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import httpx

from answerable.bootstrap.worlds import Lookout
from answerable.config import Party
from answerable.feeds.attest import Verdict, attest
from answerable.feeds.candidate import Candidate, propose
from answerable.feeds.facts import Advisory, Fact
from answerable.feeds.source import Source
from answerable.feeds.world import World
from tests.feeds.fakes import MemorySource, artefact
from tests.feeds.worlds import CRITICAL, DAY, MEDIUM, NOON

FEED = "debian-security"
OPENSSL, FLASK = "CVE-2024-0001", "CVE-2024-0002"
SIGNED = (
    Advisory("openssl@3.0.22-1", "debian:12", "openssl", "openssl", "3.0.22-1", "high", (OPENSSL,),
             -1, exploited=False, published=1_790_000_000),
    artefact("openssl", "3.0.22-1"),
)  # fmt: skip
FIX = Advisory("GHSA-1", "pypi", "flask", "flask", "2.3.1", "critical", (FLASK,), 98,
               exploited=True, published=1_790_000_000)  # fmt: skip
"""As an unsigned source states it: its score and urgency are its own, and count for nothing."""
WHEEL = artefact("flask", "2.3.1", ecosystem="pypi", arch="py3-none-any")
HOSTILE = artefact("flask", "9.9.9", ecosystem="pypi", arch="py3-none-any")
PACKAGES = ("flask", "openssl")
Json = Any


@dataclass
class Region:
    """One party. Change what its publishers say, then `sync`."""

    folder: Path
    kev: dict[str, None] = field(default_factory=lambda: {OPENSSL: None, "CVE-2024-0050": None})
    scores: dict[str, dict[str, str]] = field(default_factory=lambda: {
        "nvd": {OPENSSL: CRITICAL, FLASK: MEDIUM}, "ghsa": {OPENSSL: CRITICAL, FLASK: MEDIUM},
    })  # fmt: skip
    listed: set[str] = field(default_factory=lambda: {OPENSSL})
    fixes: dict[str, dict[str, str]] = field(
        default_factory=lambda: {"osv": {"2.3.1": FLASK}, "ghsa": {"2.3.1": FLASK}}
    )
    titles: dict[str, str] = field(default_factory=dict)
    signed: Sequence[Fact] = SIGNED
    moving: Sequence[Fact] = (FIX, WHEEL)
    now: int = NOON

    def __post_init__(self) -> None:
        """Begin with three hundred flaws that nobody exploits, and one world."""
        for number in range(100, 400):
            self.scores["nvd"][f"CVE-2024-{number:04}"] = MEDIUM
        said = self.folder / "said"
        said.mkdir(parents=True)
        place = {"folder": str(said)}
        publications = [
            {"name": "kev", "kind": "kev", "max_age": 3 * DAY, **place},
            {"name": "nvd", "kind": "nvd", "files": ["nvd.json"], "max_age": 9 * DAY, **place},
            {"name": "osv", "kind": "osv", "channel": "osv/pypi", "files": ["osv.jsonl"],
             "max_age": 9 * DAY, **place},
            {"name": "ghsa", "kind": "osv", "channel": "ghsa", "files": ["ghsa.jsonl"],
             "max_age": 9 * DAY, **place},
        ]  # fmt: skip
        self.lookout_settings = publications
        party = Party(self.folder, "guard", "g1", "", "", "", {"publications": publications})
        self.lookout = Lookout(party, httpx.Client())
        self.sync()

    def write(self) -> None:
        """Let every publisher publish what it says now."""
        said = self.folder / "said"
        flaws = [{"cveID": name, "dateAdded": "2024-05-01", "dueDate": "2024-05-22",
                  "vulnerabilityName": self.titles.get(name, "")} for name in self.kev]  # fmt: skip
        (said / "known_exploited_vulnerabilities.json").write_text(json.dumps({
            "title": "KEV", "catalogVersion": "1", "dateReleased": self._iso(),
            "count": len(flaws), "vulnerabilities": flaws,
        }))  # fmt: skip
        (said / "nvd.json").write_text(json.dumps(self._nvd()))
        for name in ("osv", "ghsa"):
            (said / f"{name}.jsonl").write_text("\n".join(map(json.dumps, self._osv(name))))

    def _iso(self) -> str:
        return datetime.fromtimestamp(self.now, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")

    def _nvd(self) -> Json:
        flaws = []
        for name, vector in self.scores["nvd"].items():
            flaw: Json = {
                "id": name, "published": self._iso(), "lastModified": self._iso(),
                "descriptions": [{"lang": "en", "value": self.titles.get(name, "a flaw")}],
                "metrics": {"cvssMetricV31": [
                    {"source": "nvd", "type": "Primary", "cvssData": {"vectorString": vector}}
                ]},
            }  # fmt: skip
            if name in self.listed:
                flaw |= {"cisaExploitAdd": "2024-05-01", "cisaActionDue": "2024-05-22"}
            flaws.append({"cve": flaw})
        return {"resultsPerPage": len(flaws), "startIndex": 0, "totalResults": len(flaws),
                "format": "NVD_CVE", "version": "2.0", "timestamp": self._iso(),
                "vulnerabilities": flaws}  # fmt: skip

    def _osv(self, name: str) -> list[Json]:
        records = [
            {"id": f"{name.upper()}-{flaw}", "modified": self._iso(), "published": self._iso(),
             "aliases": [flaw], "summary": "x", "affected": [{
                 "package": {"ecosystem": "PyPI", "name": "flask"},
                 "ranges": [{"type": "ECOSYSTEM", "events": [
                     {"introduced": "0"}, {"fixed": version}]}]}]}
            for version, flaw in self.fixes[name].items()
        ]  # fmt: skip
        scores = self.scores.get(name, {})
        records += [
            {"id": flaw, "modified": self._iso(), "published": self._iso(),
             "severity": [{"type": "CVSS_V3", "score": vector}], "affected": [{
                 "package": {"ecosystem": "npm", "name": "x"},
                 "ranges": [{"type": "SEMVER", "events": [{"introduced": "0"}]}]}]}
            for flaw, vector in scores.items()
        ]  # fmt: skip
        return records

    def sync(self, later: int = 0, *, publish: bool = True) -> World:
        """Publish, unless a thief keeps them from it, and make the newest world of it."""
        self.now += later
        if publish:
            self.write()
        return self.lookout.refresh(self.now)

    def sources(self) -> list[Source]:
        """Give what states facts."""
        return [MemorySource(self.signed), MemorySource(self.moving, signed=False)]

    def proposed(self) -> Candidate:
        """Propose what this party believes now."""
        gather = self.lookout.gather(self.now)
        found = propose(FEED, self.sources(), PACKAGES, self.now, gather)
        assert isinstance(found, Candidate), found
        return found

    def proposed_anyway(self) -> Candidate:
        """Propose as a thief does, whatever the world is worth."""
        found = propose(FEED, self.sources(), PACKAGES, self.now)
        assert isinstance(found, Candidate)
        return found

    def judge(self, candidate: Candidate, standing: Candidate | None = None) -> Verdict:
        """Attest a candidate as a guard of this region does."""
        own = self.lookout.own(FEED, self.now, standing, 0)
        return attest(candidate, self.sources(), self.now, own)

    def states(self) -> Mapping[str, str]:
        """Give the state of each publication that is not usable."""
        return {problem.source: problem.state.value for problem in self.lookout.problems(self.now)}
