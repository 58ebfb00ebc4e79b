"""From a repository's signed index to the patched RPM host, and back: attested to undone.

The repository is made and signed here, its packages are built by rpmbuild; what attests, matches,
plans and rehearses is what the commands use, the host runs its own agent with real rpm. Log, guards
and control plane are the simulator's. The commands themselves: tests/scripts/test_flow_rpm.py.
"""

import shutil
import subprocess
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from answerable.bootstrap.rehearsing import Clones
from answerable.changes.build import Fleet, Judgement, Mandate, Services
from answerable.changes.build import build as planned_by
from answerable.changes.plan import Noticed, Plan, Terms, bundle
from answerable.demo.scenes.hosts import ARTEFACT, HOME, build_artefact
from answerable.exposure.match import Known, Snapshot, match
from answerable.exposure.rank import Context, rank
from answerable.feeds.attest import Agreed, Disagreed, attest
from answerable.feeds.candidate import Candidate, propose
from answerable.feeds.documents.blobs import Blobs
from answerable.feeds.documents.fetch import Folder
from answerable.feeds.facts import Artefact
from answerable.feeds.sources import rpm
from answerable.host.driver import Package
from answerable.host.versions import ABSENT
from answerable.inventory.installed import Inventory
from answerable.inventory.rpm import found as on_host
from answerable.inventory.tree import Folder as Root
from answerable.kernel.canon import Json, encode
from tests.fakes.fake_driver import FakeDriver, FakeServices
from tests.fakes.host_world import Answer, HostWorld, serving
from tests.feeds.archive import NOW
from tests.feeds.repository import Repository
from tests.host.conftest import Site
from tests.host.rpms import File, build
from tests.live.test_fleet import until
from tests.live.test_rpm import (  # noqa: F401  fixtures are found by their names here
    Hosts,
    Rocky,
    _ground,
    _hosts,
)
from tests.live.test_transaction import differing
from tests.simulator import Order
from tests.simulator import constitution as law

pytestmark = [
    pytest.mark.live,
    pytest.mark.needs(
        "mount", "overlay", "stacked", "network", "uids", "mmdebstrap", "apt", "rpmbuild",
        "host-python",
    ),
]  # fmt: skip
HOST = "web1"
GUARDS = ("g1", "g2", "g3", "g4")


@dataclass
class Real(HostWorld):
    """A world whose control plane has the repository's packages."""

    files: dict[str, Path] = field(default_factory=dict)

    def _control(self, path: str) -> Answer:
        name = path.rpartition("/")[2]
        if name in self.files:
            return 200, self.files[name].read_bytes()
        return super()._control(path)


def repository(hosts: Hosts, root: Path) -> Repository:
    """Publish both versions of the tool, and an advisory of the second."""
    made = Repository(root, pack="zst")
    for name in ("tool-1", "tool-2"):
        package, file = hosts.made[name]
        made.add("tool", package.after, arch="noarch", data=file.read_bytes())
    made.update("RLSA-2026:1", "tool 2-1", cves=["CVE-2026-0001"], arch="noarch")
    made.publish(NOW)
    return made


def source(made: Repository, folder: Path) -> rpm.Rpm:
    """Read it as one party does, by a copy of its own."""
    copy = folder / "copy"
    shutil.copytree(made.root, copy)
    own = rpm.Repository("baseos", Folder(copy), made.keyring(), 86_400)
    return rpm.Rpm(Rocky.ecosystem, (own,), "x86_64", Blobs(folder / "blobs"))


def released(made: Repository, folder: Path) -> tuple[Candidate, rpm.Rpm]:
    """Propose what the repository says, and let every guard attest it by its own copy."""
    own = source(made, folder / "control")
    candidate = propose(law.FEED, [own], own.pending({"tool": ["1-1"]}, NOW), NOW)
    assert isinstance(candidate, Candidate), candidate
    for guard in GUARDS:
        verdict = attest(candidate, [source(made, folder / guard)], NOW)
        assert isinstance(verdict, Agreed), verdict
        assert verdict.root == candidate.tree.root()
    made.add("tool", "3-1", arch="noarch", data=b"another's")
    made.publish(NOW)
    assert isinstance(attest(candidate, [source(made, folder / "g5")], NOW), Disagreed)
    return candidate, own


def planned(around: Real, candidate: Candidate, clones: Clones, root: Path) -> Plan:
    """Match the release with what the host's own database says, rehearse, and plan."""
    known = Known([Snapshot(around.sim.released, candidate)])
    record = around.sim.records[HOST]
    there = on_host(Root(root), Rocky.ecosystem).packages
    inventory = Inventory(HOST, record["instance"], frozenset(record["zones"]), there)
    mandate = Mandate(around.sim.fleet, "planner1", "tool", "authorization", "urgent", (1,), 15)
    ranked = rank(match(known, [inventory], []).exposures, Context())
    fleet = Fleet([inventory], {HOST: Services((), ("app",))})
    return planned_by(mandate, fleet, ranked, known, _judge, clones.rehearse)


def _judge(host: str, zones: frozenset[str], facts: Mapping[str, Json]) -> Judgement:
    assert host or zones
    return Judgement(frozenset(facts), "", frozenset())


def noticed(around: Real, plan: Plan, candidate: Candidate) -> Order:
    """Give notice, wait, and let the control plane hand out the host's bundle."""
    sim = around.sim
    terms = Terms(sim.authorization, 1800, 600, sim.now, sim.now + 12 * law.HOUR,
                  sim.now + law.WEEK)  # fmt: skip
    notice = sim.notice(plan.notice(terms))
    sim.deliver(notice)
    whole = Noticed(notice, sim.checkpoint(), sim.authorized)
    sim.now += 2_000
    snapshots = [Snapshot(sim.released, candidate)]
    around.bundles.append(bundle(plan, 0, 0, whole, snapshots).encode())
    return Order(HOST, plan.rings[0][0], 0, 0, [], notice, whole.checkpoint, [])


@contextmanager
def agent(hosts: Hosts, around: Real, folder: Path) -> Iterator[None]:
    """Run the host's own agent on it, enrolled."""
    root, fleet = hosts.world.fleet.root(HOST), hosts.world.fleet
    shutil.rmtree(root / "opt")
    (root / "opt").mkdir()
    shutil.copytree(build_artefact(folder), root / ARTEFACT)
    site = Site(around, folder / "site", FakeDriver(folder), FakeServices(folder))
    site.enrol()
    (site.place / "settings.json").write_text(encode({
        "control": f"{around.url}/control", "log": f"{around.url}/log", "poll": 1,
        "checks": {"app": {"url": "http://127.0.0.1:9/", "within": 1}},
        "driver": {"kind": "rpm", "ecosystem": Rocky.ecosystem,
                   "transaction": {"allow": list[str]()}},
    }))  # fmt: skip
    (root / HOME).mkdir(mode=0o700)
    for file in site.place.iterdir():
        (root / HOME / file.name).write_bytes(file.read_bytes())
        (root / HOME / file.name).chmod(0o600)
    words = ["/usr/bin/python3", "-m", "answerable.host", "run", "--dir", f"/{HOME}"]
    env = {"PATH": "/usr/sbin:/usr/bin:/sbin:/bin", "PYTHONPATH": f"/{ARTEFACT}"}
    with (folder / "agent.txt").open("ab") as out:
        process = fleet.start_in(HOST, words, env, out, subprocess.STDOUT)
    try:
        yield
    finally:
        process.terminate()
        process.wait(30)


@contextmanager
def served(hosts: Hosts, candidate: Candidate, own: rpm.Rpm) -> Iterator[Real]:
    """Release a candidate in a world that the host can reach, and serve its packages there."""
    facts = [fact.text for fact in candidate.facts]
    with ExitStack() as stack:
        with hosts.world.fleet.in_network():
            address = hosts.world.fleet.hub_address
            around = stack.enter_context(serving(HOST, address, Real, facts=facts))
        assert isinstance(around, Real)
        around.files = {a.sha256: _obtained(own, a) for a in candidate.artefacts}
        yield around


def test_a_signed_repository_becomes_a_patched_host(hosts: Hosts, tmp_path: Path) -> None:
    """The host does what its clone found, says so, and is undone when its service stays away."""
    hosts.up(HOST)
    root, clone = hosts.world.fleet.root(HOST), tmp_path / "clone"
    subprocess.run(["cp", "-ax", str(root), str(clone)], check=True)
    candidate, own = released(repository(hosts, tmp_path / "mirror"), tmp_path)
    (tmp_path / "effects").mkdir()
    clones = Clones(
        {"clones": {"web": {"ecosystem": Rocky.ecosystem, "kind": "rpm", "root": str(clone)}},
         "hosts": {HOST: {"clone": "web"}}},
        tmp_path / "effects", lambda _: own.blobs.folder, demanded=True,
    )  # fmt: skip
    with served(hosts, candidate, own) as around:
        plan = planned(around, candidate, clones, root)
        (order,) = plan.orders[0]
        upgrade, health = (c for c in order["changes"] if c["type"] in ("upgrade", "health"))
        undo = next(c["id"] for c in order["undo"] if c["type"] == "undo")
        assert plan.targets == ["rocky:9/tool@2-1"]
        given = noticed(around, plan, candidate)
        with agent(hosts, around, tmp_path):
            until(lambda: around.said(health["id"]), "it reports upgrade and health")
            done = {body["change"]: body for body in around.reports.values()}
            assert done[upgrade["id"]]["result"] == "succeeded", done
            assert upgrade["effects"] in done[upgrade["id"]]["detail"], done
            assert done[health["id"]]["result"] == "failed", done
            assert on(hosts) == "tool-2-1.noarch"
            around.sim.fail(given, health["id"])
            until(lambda: (undo, "succeeded", "") in around.said(undo), "it reports the undo")
            assert on(hosts) == "tool-1-1.noarch"


def test_a_package_comes_new_and_goes_with_the_undo(hosts: Hosts, tmp_path: Path) -> None:
    """A library that was split off: refused without its class, brought, taken away to the byte."""
    data = {"/usr/share/split/data": File(b"x")}
    old = build(tmp_path, "split", "1", data)
    new = build(tmp_path, "split", "2", data, before="1-1", lines=["Requires: libsplit"])
    lib = build(tmp_path, "libsplit", "1", {"/usr/lib/libsplit": File(b"y")}, before=ABSENT)
    hosts.up(HOST)
    hosts.said(HOST, "rpm", "--install", hosts.give(HOST, old))
    before = hosts.sweep(HOST)
    refused = hosts.drive(HOST, "upgrade", new, lib)
    assert (refused["error"], differing(before, hosts.sweep(HOST))) == ("TransactionDiffers", [])
    done = hosts.drive(HOST, "upgrade", new, lib, transaction={"allow": ["install"]})
    assert done["installed"] == {"split": "2-1", "libsplit": "1-1"}, done
    hosts.said(HOST, "rpm", "--verify", "split", "libsplit")
    back = Package("split", "2-1", "1-1", old[0].sha256), old[1]
    gone = Package("libsplit", "1-1", ABSENT, lib[0].sha256), lib[1]
    undone = hosts.drive(HOST, "undo", back, gone, undo=True)
    assert undone["installed"] == {"split": "1-1"}, undone
    assert differing(before, hosts.sweep(HOST)) == []
    hosts.said(HOST, "rpmdb", "--verifydb")


def on(hosts: Hosts) -> str:
    """Give which version is on the host; every file of it is as rpm knows it."""
    hosts.said(HOST, "rpm", "--verify", "tool")
    return hosts.said(HOST, "rpm", "--query", "tool").strip()


def _obtained(own: rpm.Rpm, artefact: Artefact) -> Path:
    file = own.obtain(artefact)
    assert file
    return file
