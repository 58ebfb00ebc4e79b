"""From signed RPM repositories to a notice, by the real commands.

The hosts' packages are read from their own rpm databases; repositories and keys are made here.
"""

import json
import re
import shlex
import shutil
from collections.abc import Iterator
from pathlib import Path
from time import time
from typing import Any

import pytest

from tests.feeds.archive import Publisher
from tests.feeds.repository import Repository
from tests.host.transaction.rpms import database, package
from tests.scripts.town import GUARDS, HOSTS, Town, answerable, ok, until
from tests.structure.source import ROOT

PAGE = (ROOT / "docs/operate/feeds.md").read_text("utf-8")
SECTION = PAGE.partition("## Repositories of RPM hosts")[2].partition("\n## ")[0]
"""What an operator is told: settings and commands."""
(SETTINGS,) = re.findall(r"```json\n(.+?)```", SECTION, re.DOTALL)
PARTIES = ("control", *GUARDS)


class Redhats(Town):
    """A town whose hosts are of the RPM family; each party has a mirror of its own."""

    def _init(self, kind: str, name: str, settings: dict[str, Any]) -> Path:
        if kind in ("guard", "control"):
            said = SETTINGS.replace("/srv/mirror", f"{self.place}/mirrors/{name}")
            settings = {**settings, **json.loads(said.replace("/srv/keys", f"{self.place}/keys"))}
        if kind == "control":
            where = {"kind": "rpm", "ecosystem": "rocky:9"}
            settings["hosts"] = {h: {"root": str(self.root(h)), **where} for h in HOSTS}
        return super()._init(kind, name, settings)

    def _ground(self) -> None:
        extras = Publisher(seed=2)
        self.made = {
            "baseos": Repository(self.place / "made/baseos"),
            "extras": Repository(self.place / "made/extras", extras, "zst"),
        }
        for name, packages in (("baseos", ("tool", "tool-libs")), ("extras", ("plugin",))):
            for each in packages:
                for version in ("1-1", "2-1"):
                    source = "tool" if name == "baseos" else ""
                    self.made[name].add(each, version, source=source, arch="noarch")
        self.made["baseos"].update(
            "RLSA-2026:1", "tool 2-1", "tool-libs 2-1", cves=["CVE-2026-0001"], arch="noarch"
        )
        self.made["extras"].update(
            "EXTRA-2026:1", "plugin 2-1", cves=["CVE-2026-0002"], arch="noarch", severity="Low"
        )
        (self.place / "keys").mkdir()
        (self.place / "keys/rocky9.gpg").write_bytes(Publisher().keyring())
        (self.place / "keys/extras.gpg").write_bytes(extras.keyring())
        self.publish()
        told = {"release": "1", "arch": "noarch"}
        for host in HOSTS:
            sources = {"tool": "tool", "tool-libs": "tool", "plugin": "plugin"}
            database(self.root(host), *(
                package(name, "1", source=f"{source}-1-1.src.rpm", **told)
                for name, source in sources.items()
            ))  # fmt: skip

    def publish(self) -> None:
        """Publish at once, and let every party's mirror have it."""
        for each in self.made.values():
            each.publish(int(time()))
        for name in PARTIES:
            shutil.rmtree(self.place / "mirrors" / name, ignore_errors=True)
            shutil.copytree(self.place / "made", self.place / "mirrors" / name)


@pytest.fixture(scope="module")
def town(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Redhats]:
    """Found it."""
    made = Redhats(tmp_path_factory.mktemp("redhats"))
    made.found()
    try:
        made.start_log_and_guards()
        yield made
    finally:
        made.stop()


def test_signed_repositories_become_a_notice(town: Redhats) -> None:
    """Signature, release by the guards, match, plan under `urgent`, notice; unsigned is nothing."""
    control = town.place / "control"
    town.enrol()
    ok("log", "submit", town.authorize(), "--log", town.log)
    town.start("control", "serve", control)
    signature = town.place / "mirrors/control/baseos/repodata/repomd.xml.asc"
    kept = signature.read_bytes()
    signature.unlink()
    ok("inventory", "import", control)
    refused = answerable("feed", "sync", control, "app")
    assert (refused.code, "repomd.xml` is unsigned" in refused.err) == (1, True), refused
    signature.write_bytes(kept)

    done = _told(town, control)
    plan = done["plan make"]
    assert f"release: {done['feed sync'].strip()}" in plan
    assert "tool 1-1 -> 2-1" in plan
    assert "tool-libs 1-1 -> 2-1" in plan
    assert "plugin 1-1 ->" not in plan
    assert "escalated: web1: `plugin`: no authorization covers it" in plan
    assert "escalated: pci1: zone `pci` is excluded" in plan
    leaf = done["plan apply"].strip()
    told = [town.place / name / "told" / "lee" / f"notice-{leaf}.txt" for name in GUARDS]
    until(lambda: all(file.exists() for file in told), town.said)
    (text,) = {file.read_text() for file in told}
    assert "tool 1-1 to 2-1" in text


def _told(town: Redhats, control: Path) -> dict[str, str]:
    """Do what the page tells an operator; give what each command printed."""
    printed: dict[str, str] = {}
    digest = ""
    for line in re.findall(r"^    answerable (.+)$", SECTION, re.MULTILINE):
        told = line.replace("/srv/control", str(control)).replace("DIGEST", digest)
        words = shlex.split(told, comments=True)
        name = " ".join(words[:2])
        if name == "feed status":
            until(lambda: _in_force(control, printed["feed sync"]), town.said)
        printed[name] = ok(*words).out
        digest = printed[name].split()[-1] if name == "plan make" else digest
    return printed


def _in_force(control: Path, release: str) -> bool:
    return ok("feed", "status", control).out.startswith(f"app\t{release.strip()}")
