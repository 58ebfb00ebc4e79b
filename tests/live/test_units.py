"""The three units on hosts with real systemd: they start, stay within their walls, and work."""

import json
import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest

from answerable.host.install import UNITS
from answerable.kernel.canon import encode
from scripts.host_artefact import build
from tests.fakes.fake_driver import FakeDriver, FakeServices
from tests.fakes.host_world import HostWorld
from tests.host.conftest import Site
from tests.live import sabotage
from tests.live.systemd import (  # noqa: F401  fixtures are found by their names here
    NEEDS,
    Booted,
    _ground,
    _world,
)
from tests.live.test_fleet import until
from tests.live.test_transaction import PLAIN, differing, sweep
from tests.structure.source import ROOT

pytestmark = [pytest.mark.live, NEEDS, pytest.mark.needs("landlock", "host-python")]
AGENT = ("/usr/bin/python3", "-I", "-S", "/usr/local/lib/answerable")
DIRECTORY = "var/lib/answerable"
MOST_MB = 70
"""What the processes of an agent may take together, megabytes (PSS)."""


@pytest.fixture(scope="module")
def artefact(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The built agent."""
    out = tmp_path_factory.mktemp("artefact") / "agent"
    build(out)
    return out


def installed(world: Booted, artefact: Path, tmp_path: Path) -> Path:
    """Boot a host, install the agent as its operator would, enrol it; give its root."""
    world.up("a")
    root = world.fleet.root("a")
    words = ["/usr/bin/python3", "-I", "-S", str(artefact), "install", "--root", str(root)]
    assert (
        "systemd-sysusers" in subprocess.run(words, capture_output=True, check=True).stdout.decode()
    )
    world.said("a", "systemd-sysusers")
    _write(root / "etc/answerable/agentd.json", {
        "peers": ["http://127.0.0.1:1"], "socket": "/run/answerable-agentd/socket"})  # fmt: skip
    _write(root / "etc/answerable/verifyd.json", {
        "allow": ["answerable-look"], "key": "/var/lib/answerable-verifyd/key", "name": "a.foot",
        "socket": "/run/answerable-verifyd/socket"})  # fmt: skip
    served = HostWorld(url="http://127.0.0.1:1")
    served.found()
    tool = tmp_path / "tool"
    site = Site(served, tmp_path / "site", FakeDriver(tool), FakeServices(tool))
    site.enrol()
    settings = json.loads((site.place / "settings.json").read_text())
    settings |= {
        "agentd": {"socket": "/run/answerable-agentd/socket", "user": "answerable-agentd"},
        "services": {"kind": "systemd"},
    }
    (site.place / "settings.json").write_text(encode(settings))
    (root / DIRECTORY).mkdir(mode=0o700)
    for file in site.place.iterdir():
        (root / DIRECTORY / file.name).write_bytes(file.read_bytes())
        (root / DIRECTORY / file.name).chmod(0o600)
    world.said("a", "systemctl", "daemon-reload")
    return root


def _write(path: Path, value: dict[str, object]) -> None:
    path.parent.mkdir(exist_ok=True)
    path.write_text(encode(value))


def test_three_processes_run_within_their_walls(
    world: Booted, artefact: Path, tmp_path: Path
) -> None:
    """Started by systemd: each has its user, no more rights than it says, and all are small."""
    root = installed(world, artefact, tmp_path)
    world.said("a", "systemctl", "start", *UNITS)
    pids = {unit: world.pid("a", unit) for unit in UNITS}
    assert all(pids.values()), pids
    status = root / DIRECTORY / "status.json"

    def told() -> str:
        return status.read_text() if status.exists() else ""

    until(lambda: '"agentd": "confined"' in told(), "applyd has found agentd")
    # It came to agentd, and agentd to the port that nobody listens on.
    until(lambda: "cannot ask `http://127.0.0.1:1" in told(), "agentd has asked")

    def of(unit: str, file: str) -> str:
        return world.said("a", "cat", f"/proc/{pids[unit]}/{file}")

    agentd, applyd, verifyd = UNITS
    assert re.search(r"Seccomp_filters:\t[2-9]", of(agentd, "status")), "its own, over the unit's"
    assert "CapEff:\t0000000000000000" in of(agentd, "status")
    rows = of(applyd, "net/dev").splitlines()[2:]
    assert [row.partition(":")[0].strip() for row in rows] == ["lo"]
    assert "NoNewPrivs:\t1" in of(applyd, "status")
    # CAP_DAC_READ_SEARCH and CAP_SYS_PTRACE.
    assert "CapEff:\t0000000000080004" in of(verifyd, "status")
    sizes = [re.search(r"Pss: +(\d+) kB", of(unit, "smaps_rollup")) for unit in UNITS]
    assert sum(int(size[1]) for size in sizes if size) < MOST_MB * 1024, sizes
    for unit in UNITS:
        shown = world.said("a", "systemctl", "show", "--property=NRestarts", "--value", unit)
        assert shown.strip() == "0", unit


def test_verifyd_answers_observers_alone_and_signs(
    world: Booted, artefact: Path, tmp_path: Path
) -> None:
    """The observers' user sees what it could never read; another user sees nothing."""
    root = installed(world, artefact, tmp_path)
    world.said("a", "systemctl", "start", "answerable-verifyd")
    (root / "root/.ssh").mkdir(mode=0o700, exist_ok=True)
    (root / "root/.ssh/authorized_keys").write_text("ssh-ed25519 AAAA somebody\n")

    def look(user: str, asked: str) -> tuple[int, str]:
        words = ["setpriv", f"--reuid={user}", "--clear-groups", *AGENT, "look"]
        env = {"PATH": "/usr/bin:/bin", "SSH_ORIGINAL_COMMAND": asked}
        process = world.fleet.start_in("a", words, env, subprocess.PIPE, subprocess.PIPE)
        out, err = process.communicate(timeout=120)
        return process.returncode, (out or err).decode()

    until(lambda: look("answerable-look", "versions")[0] == 0, "verifyd listens")
    code, said = look("answerable-look", "posture")
    assert code == 0, said
    posture = json.loads(said)
    assert any(path.startswith("root/.ssh") for path in posture["sections"]["authorized_keys"])
    assert posture["unread"] == []
    assert json.loads(look("answerable-look", "versions")[1])["installed"]["openssl"]
    nonce = "ab" * 16
    code, note = look("answerable-look", f"signed {nonce} versions")
    text, _, line = note.rpartition("\n\n")
    assert json.loads(text)["nonce"] == nonce
    assert line.startswith("— a.foot ")
    code, said = look("nobody", "versions")
    assert code == 1
    assert said.startswith("error: ")
    assert look("answerable-look", "reboot")[0] == 2


class Walled:
    """Drives a host's tools within every wall of applyd's unit."""

    def __init__(self, world: Booted, root: Path) -> None:
        self.world, self.root, self.out = world, root, root / "var/lib/answerable-test.out"
        unit = (root / "etc/systemd/system/answerable-applyd.service").read_text()
        script = (
            'import sys; sys.path[:0] = ["/usr/local/lib/answerable", "/opt"];'
            'sys.argv = ["drive", open("/job.json").read()]; import drive'
        )
        start = f"ExecStart=/usr/bin/python3 -c '{script}'"
        unit = re.sub(r"(?m)^ExecStart=.*$", lambda _: start, unit)
        out = f"Type=oneshot\nStandardOutput=file:/var/lib/{self.out.name}"
        unit = re.sub(r"(?m)^Restart=.*$", out, unit)
        (root / "etc/systemd/system/applyd-try.service").write_text(unit)
        world.said("a", "systemctl", "daemon-reload")

    def drive(self, do: str, **more: object) -> dict[str, Any]:
        """Do one job of drive.py; give its answer."""
        job = {"do": do, "undo": False, "ecosystem": self.world.distribution.ecosystem, **more}
        (self.root / "job.json").write_text(json.dumps(job))
        self.out.unlink(missing_ok=True)
        self.world.said("a", "systemctl", "start", "--wait", "applyd-try")
        told: dict[str, Any] = json.loads(self.out.read_text().splitlines()[-1])
        return told


def test_a_transaction_within_applyd_s_walls(world: Booted, artefact: Path, tmp_path: Path) -> None:
    """The copy, its empty network and the commit need no right that the unit does not leave."""
    root = installed(world, artefact, tmp_path)
    debs = sabotage.build(tmp_path)
    for _, file in debs.values():
        (root / file.name).write_bytes(file.read_bytes())
    world.said("a", "dpkg", "--install", f"/{debs['1.0'][1].name}")
    walled = Walled(world, root)

    def upgrade(version: str) -> dict[str, Any]:
        package, file = debs[version]
        row = [package.name, package.before, package.after, package.sha256]
        urls = {package.sha256: f"file:///{file.name}"}
        return walled.drive("upgrade", packages=[row], urls=urls, transaction=PLAIN)

    assert upgrade("1.1")["installed"] == {sabotage.NAME: "1.1"}
    before = sweep(world, "a")
    done = upgrade("1.2")
    assert done["error"] == "TransactionDiffers", done
    own = ("/job", "/var/lib/answerable", "/var/log/")
    changed = differing(before, sweep(world, "a"))
    assert [path for path in changed if not path.startswith(own)] == []


def test_services_within_applyd_s_walls(world: Booted, artefact: Path, tmp_path: Path) -> None:
    """It sees which units of others' run replaced files, and systemd restarts them for it."""
    root = installed(world, artefact, tmp_path)
    walled = Walled(world, root)
    assert walled.drive("need")["need"] == {}
    program = root / "usr/sbin/nginx"
    again = program.with_suffix(".again")
    again.write_bytes(program.read_bytes())
    again.chmod(0o755)
    again.rename(program)
    assert set(walled.drive("need")["need"]) == {"nginx"}
    pid = world.pid("a", "nginx")
    done = walled.drive("restart", unit="nginx")
    assert done["result"] == "succeeded", done
    assert world.pid("a", "nginx") not in (0, pid)
    assert walled.drive("need")["need"] == {}


@pytest.mark.needs("runsc")
def test_gvisor_needs_two_lines_more(world: Booted, artefact: Path, tmp_path: Path) -> None:
    """Applyd's own walls are too narrow for gVisor; with the page's drop-in it runs."""
    root = installed(world, artefact, tmp_path)
    runsc = shutil.which("runsc")
    assert runsc
    shutil.copy(runsc, root / "usr/bin/runsc")
    debs = sabotage.build(tmp_path)
    package, file = debs["1.0"]
    (root / file.name).write_bytes(file.read_bytes())
    page = (ROOT / "docs/operate/privileges.md").read_text("utf-8")
    lines = re.findall(r"(?m)^    (RestrictNamespaces=no|SystemCallFilter=ptrace)$", page)
    assert len(lines) == 2
    walled = Walled(world, root)
    job = {"packages": [[package.name, "", package.after, package.sha256]],
           "urls": {package.sha256: f"file:///{file.name}"},
           "transaction": {"allow": [], "sandbox": "gvisor"}}  # fmt: skip
    assert "error" in walled.drive("upgrade", **job)
    more = root / "etc/systemd/system/applyd-try.service.d/gvisor.conf"
    more.parent.mkdir()
    more.write_text("\n".join(["[Service]", *lines, ""]))
    world.said("a", "systemctl", "daemon-reload")
    assert walled.drive("upgrade", **job)["installed"] == {sabotage.NAME: "1.0"}
