"""What is gathered from running servers verifies; what nobody gives is said to be missing."""

import json
from pathlib import Path

import httpx
import pytest

from answerable.evidence.collect import collect
from answerable.evidence.folder import NoEvidence
from answerable.evidence.verify import DAMAGED, GOOD, verify
from answerable.kernel.errors import Refused
from answerable.ledger.store import LedgerUnavailable
from tests.evidence.case import Court


class Town:
    """The log server, a control plane and guards' pages, over HTTP in memory."""

    def __init__(self, court: Court) -> None:
        """Serve a played fleet."""
        self.court, self.plans = court, dict(court.plans)
        self.order = court.sim.order(court.notice, "web1", court.kept[court.notice])

    def client(self) -> httpx.Client:
        """Reach nobody else."""
        return httpx.Client(transport=httpx.MockTransport(self._answer))

    def _answer(self, request: httpx.Request) -> httpx.Response:
        try:
            data = self._find(request.url.host, request.url.path[1:])
        except (LedgerUnavailable, Refused):
            data = None
        return httpx.Response(404 if data is None else 200, content=iter([data or b""]))

    def _find(self, host: str, path: str) -> bytes | None:
        room, _, rest = path.partition("/")
        if host == "log":
            log = {"authority": self.court.authority, "report": self.court.report}[room]
            return log.read(rest, 1 << 24)
        if host == "g2.example" and path == f"notices/{self.court.notice}/plan":
            return next(iter(self.court.plans.values()))
        if host == "control" and room == "plans":
            return self.plans.get(rest)
        if host == "control" and path == "bundles/web1":
            return json.dumps(["ab" * 32]).encode()
        if host == "control" and room == "bundle":
            return self.court.sim.bundle(self.order)
        return None


@pytest.fixture
def court(tmp_path: Path) -> Court:
    """An honest run."""
    court = Court(tmp_path)
    court.play_out()
    return court


def gather(town: Town, path: Path, **more: object) -> list[str]:
    """Collect everything that the town gives."""
    rows = town.court.evidence() / "hosts.json"
    given = {"log": "http://log/", "control": "http://control", "hosts": rows, **more}
    return collect(path, town.client(), **given)  # type: ignore[arg-type]


def test_what_was_gathered_verifies(court: Court, tmp_path: Path) -> None:
    """Logs, plan, hosts and the checkpoints of bundles are all that an auditor needs."""
    path = tmp_path / "gathered"
    assert gather(Town(court), path) == []
    verdict = verify(path)
    assert (verdict.code, verdict.changes) == (GOOD, 9)
    assert gather(Town(court), path) == []


def test_plan_comes_from_a_guard_if_the_control_plane_withholds_it(
    court: Court, tmp_path: Path
) -> None:
    """Attack: the control plane gives another plan, or none; any guard's page has it."""
    town = Town(court)
    for lie in ({}, dict.fromkeys(town.plans, b"{}")):
        town.plans = lie
        path = tmp_path / str(len(lie))
        assert gather(town, path) == []
        assert verify(path).code == GOOD


def test_kept_checkpoints_are_taken(court: Court, tmp_path: Path) -> None:
    """An observer's folder proves the window when no bundle is to be had."""
    path, town = tmp_path / "gathered", Town(court)
    rows = court.evidence() / "hosts.json"
    told = collect(path, town.client(), log="http://log", hosts=rows)
    assert told == []
    (path / "plans").mkdir()
    for digest, data in court.plans.items():
        (path / "plans" / f"{digest}.json").write_bytes(data)
    assert verify(path).code == DAMAGED
    kept = court.folder / "evidence" / "witnessed"
    collect(path, town.client(), kept=[kept, tmp_path / "none"])
    assert verify(path).code == GOOD


def test_nothing_to_gather_from_is_said(tmp_path: Path, court: Court) -> None:
    """Without logs, or without a file that was named, the reason is one line."""
    with pytest.raises(LedgerUnavailable, match="give `--log URL`"):
        collect(tmp_path / "empty", Town(court).client())
    with pytest.raises(NoEvidence, match="cannot read"):
        gather(Town(court), tmp_path / "x", hosts=tmp_path / "none.json")


def test_grown_logs_are_added(court: Court, tmp_path: Path) -> None:
    """Gathering again after more happened keeps the directory whole."""
    path, town = tmp_path / "gathered", Town(court)
    gather(town, path)
    court.watch(court.observer("o1"), court.observer("o2"))
    court.sim.now += 600
    court.watch(court.observer("o1"), court.observer("o2"))
    court.keep()
    court.sim.now += 10
    court.done("web3")
    gather(town, path)
    verdict = verify(path)
    assert (verdict.code, verdict.changes) == (GOOD, 12)
