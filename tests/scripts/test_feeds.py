"""A catalogue shrinks: machines stop, people look, sign and go on; by the real commands."""

import json
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from answerable.kernel.merkle import leaf_hash
from tests.scripts.town import GUARDS, PEOPLE, Town, answerable, ok, until

LISTED = tuple(f"CVE-2024-{number:04}" for number in range(60))
FILE = "known_exploited_vulnerabilities.json"


class Readers(Town):
    """A town whose control plane and guards read a catalogue each, by their own ways."""

    def _init(self, kind: str, name: str, settings: dict[str, Any]) -> Path:
        if kind in ("guard", "control"):
            said = {"name": "kev", "kind": "kev", "folder": str(self.place / "said" / name)}
            settings = {**settings, "publications": [said], "look": 1}
        return super()._init(kind, name, settings)

    def publish(self, flaws: Sequence[str], age: int) -> None:
        """Let every party's copy of the catalogue list these flaws, dated `age` minutes ago."""
        released = datetime.now(UTC) - timedelta(minutes=age)
        body = {
            "title": "KEV", "catalogVersion": "1", "dateReleased": released.isoformat(),
            "count": len(flaws),
            "vulnerabilities": [{"cveID": flaw, "dateAdded": "2024-05-01"} for flaw in flaws],
        }  # fmt: skip
        for name in ("control", *GUARDS):
            folder = self.place / "said" / name
            folder.mkdir(parents=True, exist_ok=True)
            (folder / ".new").write_text(json.dumps(body))
            (folder / ".new").replace(folder / FILE)

    def looked(self, flaws: int) -> bool:
        """Tell whether every guard has made a world of a catalogue of so many flaws."""
        return all(self._listed(name) == flaws for name in GUARDS)

    def _listed(self, name: str) -> int:
        worlds = self.place / name / "worlds"
        try:
            root = (worlds / "newest").read_text()
            documents = json.loads((worlds / root / "documents.json").read_text())
        except OSError:
            return -1
        (kev,) = documents
        return int(kev["rows"]) // 2


@pytest.fixture(scope="module")
def town(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Readers]:
    """Found it, and let everybody look once."""
    made = Readers(tmp_path_factory.mktemp("readers"))
    made.publish(LISTED, 20)
    made.found()
    try:
        made.start_log_and_guards()
        until(lambda: made.looked(len(LISTED)), made.said)
        yield made
    finally:
        made.stop()


def _released(control: Path, release: str) -> bool:
    return ok("feed", "status", control).out.startswith(f"app\t{release}")


def test_a_shock_goes_to_people_who_release(town: Readers) -> None:
    """Guards release by themselves, stop at a collapse, and go on when two people have signed."""
    control = town.place / "control"
    town.enrol()
    ok("inventory", "import", control)
    assert ok("feed", "sync", control).out == ""
    first = ok("feed", "sync", control, "app")
    assert "\n" not in first.out.strip()
    until(lambda: _released(control, first.out.strip()), town.said)
    assert f"kev/{FILE}" in ok("feed", "status", control).out

    town.publish(LISTED[:9], 10)
    until(lambda: town.looked(9), town.said)
    stopped = answerable("feed", "sync", control, "app")
    assert stopped.code == 1
    assert "collapse of claims in kev: 51 of 60 are no longer there" in stopped.err
    assert "people decide" in stopped.err
    assert "collapse" in ok("feed", "status", control).out
    waits = ok("feed", "diff", control, "--output", "json").json()
    held = [row for row in waits if row["state"] == "held" and row["what"] == "exploited"]
    assert len(held) == 51
    assert "60 before, 51 lost, 0 new" in {row["detail"] for row in waits}

    second = _sign(town, control)
    until(lambda: _released(control, second), town.said)
    assert ok("feed", "sync", control, "app").out
    assert "collapse" not in ok("feed", "status", control).out
    assert ok("feed", "diff", control, "app").out == ""
    _quarantine(town, control)


def _sign(town: Readers, control: Path) -> str:
    text, note = town.place / "release.text", town.place / "release.note"
    drafted = ok("feed", "release", "draft", control, "app", "--settle", "--out", text)
    assert "ssh-keygen -Y sign" in drafted.err
    one = answerable("feed", "release", "assemble", text, *town.sign("release", text, "dana"),
                     "--charter", town.charter, "--out", note)  # fmt: skip
    assert (one.code, "not_enough_people" in one.err) == (3, True)
    both = ok("feed", "release", "assemble", text, *town.sign("release", text, *PEOPLE),
              "--charter", town.charter, "--out", note)  # fmt: skip
    ok("log", "submit", note, "--log", town.log)
    return both.err.split()[1].removesuffix(",")


def _quarantine(town: Readers, control: Path) -> None:
    """A person withdraws an artefact, and a guard a fact; wrong uses say what is missing."""
    file = next(f for f in (control / "candidates").iterdir() if not f.name.startswith("."))
    facts = json.loads(file.read_text())["facts"]
    wheel = next(json.loads(fact) for fact in facts if '"artefact"' in fact)
    size = town.size()
    lee = ["--person", "lee", "--key", town.key("lee")]
    ok("feed", "quarantine", "--artefact", wheel["sha256"], *lee, *town.world())
    fact = leaf_hash(facts[0].encode()).hex()
    ok("feed", "quarantine", "--fact", fact, "--guard", town.place / "g2", *town.world())
    until(lambda: town.size() == size + 2, town.said)
    assert answerable("feed", "quarantine", *lee, *town.world()).code == 2
    assert answerable("feed", "quarantine", "--fact", fact, *town.world()).code == 2
    short = answerable("feed", "quarantine", "--fact", "ab", *lee, *town.world())
    assert (short.code, "malformed" in short.err) == (3, True)
