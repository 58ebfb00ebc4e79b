"""Ranked exposures in the forms that other programs read: JSON, CSV, SARIF, OpenVEX.

- JSON: what `rank.explain` gives, one object an exposure, ASCII only.
- CSV (RFC 4180): the same without the reasons' sources; every cell quoted, none a formula.
- SARIF 2.1.0 (OASIS): a rule for each flaw, a result for each exposure, with a fingerprint of its
  own, so that another run's result is known again. The level follows the timeline.
- OpenVEX 0.2.0: `affected` for each flaw of each package that is installed, with the action: the
  fixed version and the date. It says nothing of what is not affected: silence proves nothing.

Rules: all text of a feed is plain text in each of them (plain.py). The same rows give the same
bytes; the time is an argument.

Left out: SARIF's suppressions and baselines; VEX of what a person judged.
"""

import csv
import io
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from hashlib import sha256
from typing import Any
from urllib.parse import quote

from answerable.exposure.plain import cell, plain, sarif
from answerable.exposure.rank import Ranked, explain
from answerable.host.versions import DPKG, RPM
from answerable.inventory.installed import Installed
from answerable.kernel.canon import encode

COLUMNS = (
    "due", "timeline", "score", "host", "zones", "ecosystem", "package", "installed", "fixed",
    "available", "advisory", "cves", "urgency", "exploited", "not_known", "reasons",
)  # fmt: skip
_LEVELS = {"FSU": "note", "60D": "warning", "14D": "error", "3D": "error", "3DF": "error"}
_SEVERITY = {"FSU": "2.0", "60D": "5.0", "14D": "7.5", "3D": "9.0", "3DF": "10.0"}
"""What dashboards sort by (`security-severity`): of the timeline, not of any score."""
_PURL = dict.fromkeys(DPKG, "deb") | dict.fromkeys(RPM, "rpm") | {"alpine": "apk"}
_LANGUAGES = {"go": "golang", "crates.io": "cargo", "rubygems": "gem", "packagist": "composer"}


@dataclass(frozen=True, slots=True)
class Heading:
    """What stands at the head of a document.

    Args:
        now: POSIX seconds.
        version: of this program.
        ranking: by what was ranked: a model's hash, or why there is none.
    """

    now: int
    version: str
    ranking: str


def moment(second: int) -> str:
    """Spell a POSIX second (RFC 3339); empty for 0."""
    return datetime.fromtimestamp(second, UTC).strftime("%Y-%m-%dT%H:%M:%SZ") if second else ""


def json_text(rows: Sequence[Ranked], heading: Heading) -> str:
    """Give JSON: the ranking's heading and a list of exposures."""
    head = {"time": heading.now, "ranking": heading.ranking}
    body = {**head, "exposures": [explain(one) for one in rows]}
    return json.dumps(body, indent=1, sort_keys=True) + "\n"


def csv_text(rows: Sequence[Ranked], heading: Heading) -> str:
    """Give CSV with a header line."""
    del heading
    made = io.StringIO()
    writer = csv.writer(made, quoting=csv.QUOTE_ALL)
    writer.writerow(COLUMNS)
    for one in rows:
        writer.writerow([cell(value) for value in flat(one).values()])
    return made.getvalue()


def flat(one: Ranked) -> dict[str, Any]:
    """Give an exposure as one row of words and numbers, in the order of `COLUMNS`."""
    said = explain(one)
    said["due"] = moment(said["due"])
    said["reasons"] = "; ".join(f"{r['points']} {r['because']}" for r in said["reasons"])
    for name in ("zones", "cves", "not_known"):
        said[name] = " ".join(str(each).replace(" ", "-") for each in said[name])
    return {name: said[name] for name in COLUMNS}


def sarif_text(rows: Sequence[Ranked], heading: Heading) -> str:
    """Give a SARIF log with one run."""
    names = list(dict.fromkeys(_flaw(one) for one in rows))
    place = {name: at for at, name in enumerate(names)}
    top: dict[str, Ranked] = {}
    for one in rows:
        top.setdefault(_flaw(one), one)
    driver = {
        "name": "answerable", "version": heading.version,
        "rules": [_rule(name, top[name]) for name in names],
    }  # fmt: skip
    run = {
        "tool": {"driver": driver}, "columnKind": "unicodeCodePoints",
        "properties": {"ranking": plain(heading.ranking), "time": moment(heading.now)},
        "results": [_result(one, place[_flaw(one)]) for one in rows],
    }  # fmt: skip
    schema = (
        "https://docs.oasis-open.org/sarif/sarif/v2.1.0/errata01/os/schemas/sarif-schema-2.1.0.json"
    )
    return json.dumps({"$schema": schema, "version": "2.1.0", "runs": [run]}, indent=1) + "\n"


def _flaw(one: Ranked) -> str:
    return plain(one.verdict.cve or one.exposure.advisory.id)


def _rule(name: str, one: Ranked) -> Mapping[str, Any]:
    timeline = one.verdict.floor.timeline
    return {
        "id": name,
        "shortDescription": {"text": sarif(f"{name} in {one.exposure.advisory.source}")},
        "defaultConfiguration": {"level": _LEVELS[timeline]},
        "properties": {"security-severity": _SEVERITY[timeline], "tags": ["security"]},
    }


def _result(one: Ranked, rule: int) -> Mapping[str, Any]:
    exposure, verdict = one.exposure, one.verdict
    installed, fact = exposure.installed, exposure.advisory
    about = f"{exposure.host}/{fact.ecosystem}/{installed.package}"
    due = f"; due {moment(verdict.due)}" if verdict.due else ""
    said = (
        f"{installed.package} {installed.version} on {exposure.host} has {_flaw(one)}; "
        f"fixed in {fact.fixed or 'no version yet'}{due}. {one.reasons[0].because}"
    )
    name = encode([plain(about), plain(fact.id), _flaw(one)])
    return {
        "ruleId": _flaw(one),
        "ruleIndex": rule,
        "level": _LEVELS[verdict.floor.timeline],
        "rank": min(100.0, one.score / 500),
        "message": {"text": sarif(said)},
        "locations": [{
            "physicalLocation": {"artifactLocation": {"uri": _quoted(about, "/")}},
            "logicalLocations": [{"fullyQualifiedName": plain(about), "kind": "module"}],
        }],
        "partialFingerprints": {"exposure/v1": sha256(name.encode()).hexdigest()},
        "properties": {
            "score": one.score, "timeline": verdict.floor.timeline, "due": moment(verdict.due),
            "reasons": [sarif(f"{r.points} {r.because}") for r in one.reasons],
        },
    }  # fmt: skip


def purl(installed: Installed) -> str:
    """Give a package URL (package-url/purl-spec)."""
    system, _, release = installed.ecosystem.partition(":")
    kind = _PURL.get(system, _LANGUAGES.get(system, system))
    version, name = _quoted(installed.version), _quoted(installed.package, "/")
    if system not in _PURL:
        return f"pkg:{_quoted(kind)}/{name}@{version}"
    more = f"?arch={_quoted(installed.arch)}&distro={_quoted(f'{system}-{release}')}"
    return f"pkg:{kind}/{_quoted(system)}/{name}@{version}{more}"


def _quoted(text: str, safe: str = "") -> str:
    return quote(plain(text), safe=safe)


def openvex_text(rows: Sequence[Ranked], heading: Heading) -> str:
    """Give an OpenVEX document: what is affected, and what to do by when."""
    found: dict[tuple[str, str], dict[str, Any]] = {}
    for one in rows:
        fact, product = one.exposure.advisory, purl(one.exposure.installed)
        action = f"upgrade to {fact.fixed}" if fact.fixed else "there is no fixed version yet"
        due = moment(one.verdict.due)
        for name in fact.cves or (fact.id,):
            found.setdefault((plain(name), product), {
                "vulnerability": {"name": plain(name)}, "products": [{"@id": product}],
                "status": "affected",
                "action_statement": plain(f"{action}{f' by {due}' if due else ''}"),
            })  # fmt: skip
    statements = [found[key] for key in sorted(found)]
    digest = sha256(encode(statements).encode()).hexdigest()
    document = {
        "@context": "https://openvex.dev/ns/v0.2.0", "@id": f"urn:answerable:vex:{digest}",
        "author": "answerable", "role": "ranks exposures; judges nobody's code",
        "timestamp": moment(heading.now), "version": 1, "tooling": f"answerable {heading.version}",
        "statements": statements,
    }  # fmt: skip
    return json.dumps(document, indent=1) + "\n"


FORMATS: Mapping[str, Callable[[Sequence[Ranked], Heading], str]] = {
    "csv": csv_text, "json": json_text, "openvex": openvex_text, "sarif": sarif_text,
}  # fmt: skip
"""Every form by its name."""
