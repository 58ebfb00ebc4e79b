"""An observer composed from its directory looks at real files and speaks to a real log's URL."""

import base64
import json
import os
import signal
import threading
from dataclasses import replace
from hashlib import sha256
from pathlib import Path
from typing import Any

import httpx
import pytest

from answerable.bootstrap import observer as composed
from answerable.bootstrap.observer import make_observer, run_observer, watched
from answerable.cli.main import main
from answerable.config import NotConfigured, Party, write_party
from answerable.kernel.canon import Json
from answerable.kernel.errors import Refused
from answerable.ledger.batch import unframe
from answerable.ledger.store import LedgerUnavailable
from tests.observe.packages import deb, unpack
from tests.observe.stage import NEW, Stage
from tests.simulator.keys import seed, signer

DEB = deb()
SHA256 = sha256(DEB).hexdigest()
"""What both packages of the plan ship."""


def real(order: Json) -> None:
    """Let an order name a package that is one."""
    for change in (*order["changes"], *order["undo"]):
        for package in change.get("packages", ()):
            package["sha256"] = SHA256


class Wire:
    """A log server, a control plane and the hosts' services, over HTTP in memory."""

    def __init__(self, stage: Stage) -> None:
        """Serve a stage."""
        self.stage, self.asked = stage, list[str]()

    def client(self) -> httpx.Client:
        """Reach nobody else."""
        return httpx.Client(transport=httpx.MockTransport(self._answer))

    def _answer(self, request: httpx.Request) -> httpx.Response:
        self.asked.append(str(request.url))
        room, _, rest = request.url.path[1:].partition("/")
        if request.method == "POST":
            return self._add(room, request.content)
        if request.url.host == "control":
            data = {**self.stage.plans, SHA256: DEB}.get(rest)
        elif request.url.host == "log":
            log = {"authority": self.stage.authority, "report": self.stage.report}[room]
            try:
                data = log.read(rest, 1 << 24)
            except (LedgerUnavailable, Refused):
                data = None
        else:
            data = None if request.url.host in self.stage.sick else b"well"
        return httpx.Response(404 if data is None else 200, content=iter([data or b""]))

    def _add(self, log: str, data: bytes) -> httpx.Response:
        try:
            (entry,) = unframe(data, 1)
            self.stage.submit(log, entry)
        except Refused as refusal:
            return httpx.Response(403, json={"reason": refusal.reason, "detail": refusal.detail})
        return httpx.Response(200, json={"count": 1, "index": 0, "void": []})


def settings(stage: Stage) -> Json:
    """Spell the settings of an observer of every host."""
    hosts = {
        host: {"root": str(stage.folder / host), "kind": "dpkg", "health": f"http://{host}/",
               "record": m.enrolled.record, "enrolment": m.enrolled.enrolment,
               "place": m.enrolled.place, "path": [step.hex() for step in m.enrolled.path]}
        for host, m in stage.sim.members.items()
    }  # fmt: skip
    return {"log": "http://log/", "control": "http://control", "poll": 0.01, "hosts": hosts}


@pytest.fixture
def stage(tmp_path: Path) -> Stage:
    """A host that has patched."""
    stage = Stage(tmp_path, edit=real)
    stage.done("web1")
    for name in ("libssl3", "openssl"):
        unpack(tmp_path / "web1", name)
    return stage


@pytest.fixture
def party(stage: Stage, tmp_path: Path) -> Party:
    """The directory of observer `o1`."""
    directory = tmp_path / "o1"
    (directory / "keys").mkdir(parents=True)
    key, secret = signer("o1").key, base64.b64encode(b"\x01" + seed("o1/1/1")).decode()
    (directory / "keys" / "observer").write_text(f"PRIVATE+KEY+o1+{key.id.hex()}+{secret}\n")
    (directory / "charter.note").write_bytes(stage.sim.history[0][1])
    return Party(directory, "observer", "o1", "o1", "", "", settings(stage))


def test_composed_observer_looks_and_tells(stage: Stage, party: Party) -> None:
    """Files, health, plan, both logs: everything over the ports that it will have."""
    wire = Wire(stage)
    observer = make_observer(party, wire.client(), wire.client())
    observer.look_around()
    assert [o["result"] for o in stage.told("observation")] == ["succeeded"]
    assert "http://web1/" in wire.asked
    assert observer.trouble == []


def test_replaced_file_is_seen(stage: Stage, party: Party) -> None:
    """Attack: the database says the new version, and the library is the old one."""
    (stage.folder / "web1/usr/lib/x/libssl.so.3").write_text("old code")
    wire = Wire(stage)
    stage.watch(make_observer(party, wire.client(), wire.client()))
    found = {f["kind"]: f["detail"] for f in stage.told("finding")}
    assert found.keys() == {"self_report_false", "files_differ"}
    assert "`usr/lib/x/libssl.so.3` of libssl3 has other bytes" in found["files_differ"]
    assert f"http://control/artefacts/{SHA256}" in wire.asked


def test_unexplained_change_is_listed(
    stage: Stage, party: Party, capsys: pytest.CaptureFixture[str]
) -> None:
    """`observe reconcile` lists what the observer found, and ends with 1 until that is nothing."""
    command = ["observe", "reconcile", str(party.directory)]
    party = replace(party, settings={**party.settings, "reconcile": 0})
    write_party(party)
    assert main(command) == 1
    wire = Wire(stage)
    observer = make_observer(party, wire.client(), wire.client())
    stage.watch(observer, times=1)
    assert main(command) == 0
    stage.install("web2", NEW)
    stage.watch(observer, times=2)
    capsys.readouterr()
    assert main([*command, "--output", "json"]) == 1
    rows = json.loads(capsys.readouterr().out)
    assert [(row["host"], row["name"], row["found"]) for row in rows] == [
        ("web2", name, NEW) for name in ("libssl3", "openssl")
    ]


def test_sick_service_is_seen_over_http(stage: Stage, party: Party) -> None:
    """A service that answers no 200 contradicts its host's report."""
    stage.sick["web1"] = "down"
    wire = Wire(stage)
    observer = make_observer(party, wire.client(), wire.client())
    stage.watch(observer)
    assert [f["kind"] for f in stage.told("finding")] == ["self_report_false"]


def test_hosts_may_stand_in_a_file(stage: Stage, party: Party, tmp_path: Path) -> None:
    """A large fleet's hosts are a file of their own."""
    file = tmp_path / "hosts.json"
    file.write_text(json.dumps(party.settings["hosts"]))
    found = watched({"hosts_file": str(file)})
    assert found.keys() == stage.sim.members.keys()


@pytest.mark.parametrize("edit", [{"kind": "apk"}, {"more": 1}, {"path": ["zz"]}])
def test_wrong_settings_are_named(party: Party, edit: Json) -> None:
    """A host that is no host is named, before anything is looked at."""
    hosts = party.settings["hosts"]
    with pytest.raises(NotConfigured, match="host `web1`"):
        watched({"hosts": {"web1": {**hosts["web1"], **edit}}})


def test_missing_address_is_named(party: Party) -> None:
    """An observer without a log has nothing to say."""
    with pytest.raises(NotConfigured, match="need `log`"):
        make_observer(replace(party, settings={}), httpx.Client(), httpx.Client())


def test_run_ends_with_a_signal(
    stage: Stage, party: Party, monkeypatch: pytest.MonkeyPatch
) -> None:
    """SIGTERM ends the loop; what is in the way is told once, and looked at again."""
    wire, told = Wire(stage), list[str]()
    monkeypatch.setattr(composed, "http_client", lambda *_: wire.client())
    plans, stage.plans = stage.plans, {}

    def tell(line: str) -> None:
        told.append(line)
        stage.plans = plans

    def stop(*_: Any) -> None:  # noqa: ANN401  as the loop's own client is closed
        if stage.told("observation"):
            os.kill(os.getpid(), signal.SIGTERM)
        else:
            threading.Timer(0.02, stop).start()

    before = {n: signal.getsignal(n) for n in (signal.SIGINT, signal.SIGTERM)}
    threading.Timer(0.02, stop).start()
    try:
        run_observer(party, tell)
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
    assert len([line for line in told if "withheld" in line]) == 1
    assert [o["result"] for o in stage.told("observation")] == ["succeeded"]
