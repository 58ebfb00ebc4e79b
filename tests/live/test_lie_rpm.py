"""A host of the RPM family that lies with its own key is found by what its own disk says.

Real rpm on real hosts, an observer that reads them from outside, the foot inside of them; the logs
are played.
"""

import shutil
import subprocess
from pathlib import Path

import httpx
import pytest

import answerable
from answerable.kernel.canon import Json, decode
from answerable.observe import ways
from answerable.observe.artefacts import Artefacts
from answerable.observe.look import Place
from answerable.observe.memory import Memory
from answerable.observe.observer import BOOKS, Observer, Ports, Rounds, Watched
from answerable.observe.posture import posture
from answerable.observe.reconcile import Books, images
from answerable.observe.rpmdb import redhat, rpm
from tests.live.test_rpm import (  # noqa: F401  fixtures are found by their names here
    Hosts,
    Rocky,
    _ground,
    _hosts,
)
from tests.observe.stage import Stage
from tests.simulator.keys import signer

pytestmark = [
    pytest.mark.live,
    pytest.mark.needs(
        "mount", "overlay", "stacked", "network", "uids", "mmdebstrap", "apt", "rpmbuild"
    ),
]
TRUE, IDLE, FORGED = "web1", "web2", "web3"
FOOT = "import sys; sys.path.insert(0, '/opt'); from answerable.observe.foot import main; main()"


def stage(hosts: Hosts, folder: Path) -> Stage:
    """Play a plan that moves the tool on every host."""
    tool, old = hosts.made["tool-2"][0], hosts.made["tool-1"][0]

    def edit(order: Json) -> None:
        up, undo = order["changes"][0], order["undo"][0]
        up["packages"] = [{**up["packages"][0], "name": tool.name, "from": tool.before,
                           "to": tool.after, "sha256": tool.sha256}]  # fmt: skip
        undo["packages"] = [{"name": tool.name, "from": tool.after, "to": tool.before,
                             "sha256": old.sha256}]  # fmt: skip
        up["ecosystem"] = undo["ecosystem"] = Rocky.ecosystem

    return Stage(folder, [[TRUE, IDLE, FORGED]], edit=edit)


def observer(played: Stage, hosts: Hosts) -> Observer:
    """Watch the hosts' disks; packages are fetched by their hash."""
    files = {package.sha256: file for package, file in hosts.made.values()}

    def serve(request: httpx.Request) -> httpx.Response:
        return httpx.Response(200, content=iter([files[request.url.path[1:]].read_bytes()]))

    client = httpx.Client(transport=httpx.MockTransport(serve))
    own = played.folder / "o1"
    artefacts = Artefacts(own / "shipped", client, ["http://packages"], lambda: 0.0)
    ports = Ports(
        authority=played.authority, report=played.report, plans=played.plan,
        look=lambda place: ways.look(place, client), submit=played.submit,
        clock=lambda: played.sim.now, posture=lambda place: posture(place.root),
        files=lambda place, wanted: ways.files(place, wanted, artefacts), images=images,
        held=ways.images,
    )  # fmt: skip
    watched = {
        host: Watched(Place(hosts.world.fleet.root(host), "rpm"), played.sim.members[host].enrolled)
        for host in (TRUE, IDLE, FORGED)
    }
    memory = Memory.load(own / "observer.json")
    law = played.sim.history[0][1]
    return Observer(ports, signer("o1"), law, watched, memory, Rounds(0))


def asked(hosts: Hosts, host: str, question: str) -> Json:
    """Ask a host's foot, as sshd would run it."""
    root = hosts.world.fleet.root(host) / "opt/answerable/observe"
    shutil.copytree(Path(answerable.__file__).parent / "observe", root, dirs_exist_ok=True)
    env = {"SSH_ORIGINAL_COMMAND": question, "PATH": "/usr/bin:/bin"}
    argv = ["/usr/bin/python3", "-I", "-S", "-c", FOOT]
    process = hosts.world.fleet.start_in(host, argv, env, subprocess.PIPE)
    said = process.communicate(timeout=300)[0]
    assert process.returncode == 0, said
    return decode(said.strip(), 1 << 26)


def test_lies_of_an_rpm_host_are_found(hosts: Hosts, tmp_path: Path) -> None:
    """One host does what it says, one does nothing, one writes the version alone; all say it."""
    hosts.up(TRUE, IDLE, FORGED)
    played = stage(hosts, tmp_path / "stage")
    watching = observer(played, hosts)
    played.watch(watching, times=1)
    assert watching.trouble == []
    assert hosts.drive(TRUE, "upgrade", hosts.made["tool-2"])["installed"] == {"tool": "2-1"}
    file = hosts.give(FORGED, hosts.made["tool-2"])
    hosts.said(FORGED, "rpm", "--upgrade", "--justdb", file)
    for host in (TRUE, IDLE, FORGED):
        for change in ("up", "restart", "health"):
            played.say(host, change)
    played.watch(watching)
    assert watching.trouble == []
    saw = {row["host"]: row["result"] for row in played.told("observation")}
    assert saw == {TRUE: "succeeded", IDLE: "failed", FORGED: "failed"}
    found = {(row["kind"], row["subject"].split(" ")[0]) for row in played.told("finding")}
    assert found == {
        ("self_report_false", IDLE), ("self_report_false", FORGED), ("files_differ", FORGED)
    }  # fmt: skip
    # By hand, beside every plan; and old bytes put back long after the look.
    hosts.said(TRUE, "rpm", "--install", hosts.give(TRUE, hosts.made["demo-1"]))
    (hosts.world.fleet.root(TRUE) / "usr/bin/tool").write_bytes(b"#!/bin/sh\necho one\n")
    played.watch(watching)
    later = {(row["kind"], row["subject"].partition(" ")[0]) for row in played.told("finding")}
    assert later - found == {("unexplained_change", TRUE), ("files_differ", TRUE)}
    listed = Books(tmp_path / "stage/o1" / BOOKS).all()
    assert [row.name for row in listed[TRUE][1]] == ["demo-agent"]


def test_foot_and_disk_say_the_same(hosts: Hosts) -> None:
    """What the foot answers inside a host is what is read from outside, capabilities included."""
    hosts.up(TRUE)
    root = hosts.world.fleet.root(TRUE)
    hosts.said(TRUE, "rpm", "--install", hosts.give(TRUE, hosts.made["sensitive"]))
    there = redhat(root, ["sensitive", "tool"])
    assert " " in there["sensitive"]["usr/bin/capable"]
    assert asked(hosts, TRUE, "files sensitive tool") == there
    assert asked(hosts, TRUE, "versions")["installed"] == rpm(root)
    assert asked(hosts, TRUE, "posture")["sections"]["sources"].keys() >= {
        "etc/rpm/macros", "etc/yum.repos.d/sensitive.repo"
    }  # fmt: skip
