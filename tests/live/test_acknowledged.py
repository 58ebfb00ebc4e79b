"""A charter that opens windows by a person's act: guards' own links, pressed at two of four."""

from collections.abc import Iterator
from copy import deepcopy
from pathlib import Path

import httpx
import pytest

from answerable.bootstrap.follow import Logs
from tests.scripts import town as towns
from tests.scripts.town import GUARDS, Town, ok, until

pytestmark = [pytest.mark.live, pytest.mark.needs("ssh-keygen")]


@pytest.fixture(scope="module")
def town(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Town]:
    """Log server, guards and control plane under such a charter, and an enrolled fleet."""
    made, rules = Town(tmp_path_factory.mktemp("acknowledged")), deepcopy(towns.RULES)
    with pytest.MonkeyPatch.context() as patch:
        rules["limits"]["opens"] = "acknowledged"
        patch.setattr(towns, "RULES", rules)
        made.found()
    try:
        made.start_log_and_guards()
        made.enrol()
        ok("log", "submit", made.authorize(), "--log", made.log)
        made.start("control", "serve", made.place / "control")
        yield made
    finally:
        made.stop()


def _noticed(town: Town) -> str:
    control = town.place / "control"
    ok("inventory", "import", control)
    release = ok("feed", "sync", control, "app").out.strip()
    until(lambda: ok("feed", "status", control).out.startswith(f"app\t{release}"), town.said)
    words = ["--authorization", "urgent-security"]
    digest = ok("plan", "make", control, *words, "--clause", "urgent").out.split()[-1]
    return ok("plan", "apply", control, digest, *words).out.strip()


def _said(town: Town, leaf: str) -> set[tuple[str, str, str]]:
    with httpx.Client() as client:
        logs = Logs(client, town.log, town.charter.read_bytes())
        logs.refresh()
    return {tuple(row[:3]) for row in logs.state.notices[leaf]["deliveries"]}


def test_objector_acknowledges_at_two_guards(town: Town) -> None:
    """Each guard has a link of its own, says the act in the log, and takes no other's link."""
    leaf = _noticed(town)
    told = {name: town.place / name / "told" / "lee" / f"notice-{leaf}.txt" for name in GUARDS}
    until(lambda: all(file.exists() for file in told.values()), town.said)
    links = {name: _link(file) for name, file in told.items()}
    assert len(set(links.values())) == len(GUARDS)
    until(lambda: len(_said(town, leaf)) == len(GUARDS), town.said)
    shown = httpx.get(links["g1"])
    assert "<button>" in shown.text
    assert "script" not in shown.text
    assert shown.headers["content-security-policy"].startswith("default-src 'none'")
    stolen = links["g1"].replace(town.url["g1"], town.url["g2"])
    assert httpx.post(stolen).status_code == 404
    for name in ("g1", "g2"):
        assert "lee has acknowledged" in httpx.post(links[name]).text
    wanted = {(name, "lee", "acknowledged") for name in ("g1", "g2")}
    until(lambda: wanted <= _said(town, leaf), town.said)
    assert {row for row in _said(town, leaf) if row[2] == "acknowledged"} == wanted


def _link(file: Path) -> str:
    (link,) = [line.strip() for line in file.read_text().splitlines() if "/seen/" in line]
    return link
