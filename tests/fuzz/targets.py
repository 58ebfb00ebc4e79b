"""Every parser of bytes from elsewhere: what feeds it, and what may leave it besides an answer.

A target takes bytes and an empty folder of its own. `may` are the failures that it declares; none
for a total one, which answers whatever comes. Left out: files that only this very party writes.
"""

import gzip
import io
import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path

from answerable.authority import authorization, charter
from answerable.authority.written import NotWritten
from answerable.bootstrap.rehearsing import CloneSilent, read_answer
from answerable.changes import plan
from answerable.cli.charter import load_yaml
from answerable.config import NotConfigured
from answerable.demo.scenes.founding import CHARTER, POLICY
from answerable.exposure import golden, keys
from answerable.exposure import model as ranking_model
from answerable.feeds import candidate, cvss, facts, world
from answerable.feeds.documents import unpacked as archives
from answerable.feeds.mirror import crate, reader, writer
from answerable.feeds.publication import Publication
from answerable.feeds.publications.csaf import Csaf
from answerable.feeds.publications.nvd import Nvd
from answerable.feeds.publications.updateinfo import Updateinfo
from answerable.feeds.source import Unusable
from answerable.feeds.sources import (
    changelog,
    deb,
    inrelease,
    packages,
    primary,
    pypi,
    requires,
)
from answerable.feeds.sources.curated import Curated
from answerable.host import competing, shelf
from answerable.host import enrol as host_enrol
from answerable.host.clone import read_job
from answerable.host.driver import ArtefactDiffers, DriverFailed, Package
from answerable.host.drivers import apt, venv
from answerable.host.files import HomeUnavailable
from answerable.host.network import agentd, frames
from answerable.host.network.client import Call, HttpUnavailable
from answerable.host.services import stale
from answerable.host.services.service import ServiceFailed
from answerable.host.settings import read_settings
from answerable.host.transaction.debian import database
from answerable.host.transaction.debian import deb as shipped
from answerable.host.transaction.redhat import rpmcaps, rpmfile, rpmheader
from answerable.host.transaction.redhat import rpmdb as host_rpmdb
from answerable.host.transaction.redhat.rpmheader import Damaged
from answerable.inventory import (
    apk,
    cmdb,
    cyclonedx,
    dpkg,
    image,
    purl,
    python,
    rpm,
    rpmdb,
    spdx,
    system,
)
from answerable.inventory.installed import Unreadable
from answerable.kernel import checkpoint, condition, fold, fresh, note, order, sshsig, statement
from answerable.kernel.canon import decode, encode, read, unhex
from answerable.kernel.errors import Refused
from answerable.kernel.fresh import Freshness
from answerable.kernel.verify import Enrolled, Permit
from answerable.ledger import batch, enrolments, heads, reports, tiles
from answerable.observe import btree, containers, files, look, plans, reconcile, rpmpackage, verifyd
from answerable.observe import rpmdb as rpmdb_seen
from answerable.observe import rpmheader as rpmheader_seen
from answerable.observe import shipped as shipped_by
from answerable.witness import fresh as ask
from answerable.witness import post, witness
from answerable.witness import tiles as mirrored
from tests.bootstrap.test_rehearsing import SEEN as CLONE_SEEN
from tests.exposure.models import MODEL
from tests.exposure.models import golden as golden_set
from tests.fakes import carrier
from tests.feeds import archive, samples, test_cvss
from tests.feeds import test_provenance as proof
from tests.feeds.documents import test_unpacked
from tests.feeds.fakes import MemoryFetch
from tests.feeds.mirror import publisher, test_crate, test_reader
from tests.feeds.sources import test_curated, test_deb, test_packages
from tests.feeds.sources.test_changelog import LOG
from tests.feeds.sources.test_pypi import GOOD as WHEEL_NAME
from tests.feeds.worlds import DOCUMENTS, laid_out, manifest_of
from tests.fuzz import seeds
from tests.fuzz.seeds import FRESH, HEAD, HOST, LAW, LISTED, ORDER, SIM, WEB1
from tests.host.test_clone import GOOD as CLONE_JOB
from tests.host.transaction.debian.test_deb import GOOD as DEB_TAR
from tests.host.transaction.debs import NEW_STATUS
from tests.host.transaction.debs import STATUS as OLD_STATUS
from tests.host.transaction.debs import deb as rehearsed
from tests.host.transaction.redhat.test_rpmdb import GOOD as RPM_DATABASE
from tests.host.transaction.redhat.test_rpmfile import GOOD as RPM
from tests.host.transaction.rpms import header, package
from tests.inventory import images, test_cmdb, test_signed, test_tar
from tests.inventory.generated import sample
from tests.inventory.rpms import BLOBS, ndb
from tests.inventory.test_apk import INSTALLED as APK
from tests.inventory.test_dpkg import STATUS
from tests.inventory.test_image import DEBIAN
from tests.inventory.test_rpmdb import BDB
from tests.ledger.fleet import BODIES, OWNERS, said
from tests.observe import packages as packages_seen
from tests.observe.test_btree import LOGGED as RPM_LOG
from tests.observe.test_containers import DOCKER
from tests.observe.test_containers import INDEX as PODMAN

Run = Callable[[bytes, Path], object]
CYCLONEDX = [sample("syft-deb.cdx.xml"), sample("trivy-deb.cdx.json")]
SPDX = [sample(f"trivy-deb.spdx{form}") for form in ("", ".json")]
PAIRS = LAW.guards["witness"]


@dataclass(frozen=True)
class Target:
    """One parser. `costly`: it starts programs, so it gets fewer examples."""

    name: str
    run: Run
    seeds: Sequence[bytes]
    may: tuple[type[Exception], ...] = (Refused,)
    costly: bool = False


class _Served:
    def __init__(self, data: bytes) -> None:
        self._data = data

    def get(self, url: str, limit: int) -> bytes:
        """Give the bytes for any URL."""
        if len(self._data) > limit:
            raise HttpUnavailable("too large", "unavailable")
        return self._data


def _text(data: bytes) -> str:
    return data.decode(errors="replace")


def _deb_files(data: bytes) -> object:
    return shipped.read_files(io.BytesIO(data))


def _deb_control(data: bytes) -> object:
    return shipped.read_control(io.BytesIO(data))


def _rpm(data: bytes) -> object:
    return rpmfile.read_head(io.BytesIO(data))


def _rpm_header(data: bytes) -> object:
    header = rpmheader.Header(data)
    return rpmheader.version(header), rpmheader.paths(header)


def _rpm_rows(data: bytes, folder: Path) -> object:
    return host_rpmdb.rows(_file(data, folder, host_rpmdb.NAME))


def _status(data: bytes) -> object:
    database.merge_status(OLD_STATUS, NEW_STATUS, data)
    return database.status_problems(OLD_STATUS, data, {"tool:amd64": rehearsed()})


def _file(data: bytes, folder: Path, name: str) -> Path:
    path = folder / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(data)
    return path


def _verify(data: bytes, _folder: Path) -> None:
    verdict = SIM.ask(ORDER, host=HOST, bundle=data)
    assert isinstance(verdict, Permit | Refused)


def _fold(data: bytes, _folder: Path) -> None:
    state = SIM.state_at(3)
    size = state.tree.size
    fold.fold(state, [data])
    assert state.tree.size == size + 1, "every entry is counted, whatever it is"


def _canonical(data: bytes, _folder: Path) -> None:
    assert encode(decode(data, 1 << 16)).encode() == data


def _version(ecosystem: str) -> Run:
    return lambda data, _folder: keys.key(ecosystem, _text(data))


def _condition(data: bytes, _folder: Path) -> None:
    known = {"urgency": "high", "cvss": 90, "exploited": True, "zones": ["web"]}
    condition.holds(decode(data, 4096), known)


def _enrol(data: bytes, folder: Path) -> None:
    told = read(data, 1 << 17, enrolments.SHAPE)
    made = Enrolled(told["record"], told["enrolment"], told["index"], unhex(told["path"]))
    enrolments.Enrolments(folder / "book.db").enrol(made, SIM.state)


def _settings(data: bytes, folder: Path) -> None:
    read_settings(_file(data, folder, "settings.json"))


def _listed(data: bytes, folder: Path) -> None:
    shelf.Shelf(folder / "bundles", _Served(data), "http://c", "web1").listed()  # type: ignore[arg-type]


def _root(data: bytes, folder: Path) -> None:
    _file(data, folder, "var/lib/dpkg/status")
    look.dpkg(folder)


def _listed_files(data: bytes, folder: Path) -> None:
    _file(data, folder, "var/lib/dpkg/info/x.list")
    files.debian(folder, ["x"])


def _rpm_root(data: bytes, folder: Path) -> None:
    _file(data, folder, "var/lib/rpm/rpmdb.sqlite")
    rpmdb_seen.rpm(folder)
    rpmdb_seen.keys(folder)
    rpmdb_seen.redhat(folder, ["tool"])


def _btree(data: bytes, folder: Path) -> None:
    with _file(data, folder, "rpmdb.sqlite").open("rb") as file:
        list(btree.Store(file).table("Packages"))


def _btree_log(data: bytes, folder: Path) -> None:
    file, log = _file(RPM_DATABASE, folder, "rpmdb.sqlite"), _file(data, folder, "wal")
    with file.open("rb") as main, log.open("rb") as newer:
        list(btree.Store(main, newer).table("Packages"))


def _diversions(data: bytes, folder: Path) -> None:
    _file(b"/usr/bin/x\n", folder, "var/lib/dpkg/info/x.list")
    _file(data, folder, "var/lib/dpkg/diversions")
    files.debian(folder, ["x"])


def _environment(data: bytes, folder: Path) -> None:
    _file(data, folder, "lib/python3.11/site-packages/x-1.dist-info/METADATA")
    look.python(folder)
    python.installed(folder)


def _plan(data: bytes, _folder: Path) -> None:
    plans.read_plan({**LISTED, "plan": sha256(data).hexdigest()}, data)


def _release(data: bytes, folder: Path) -> None:
    ring = _file(archive.Publisher().keyring(), folder, "ring.gpg")
    inrelease.open_release(data, ring, "suite")


def _primary(data: bytes, folder: Path) -> None:
    file, where = _file(data, folder, "primary.xml"), ("rocky:9", "x86_64", 1 << 20)
    found = primary.read(file, "here", ["curl", "libcurl"], *where)
    names = requires.wanted(found)
    given = requires.by_name(primary.providers(file, "here", names, *where))
    for each in found:
        requires.needs(each, given, "rocky:9")


def _rules(data: bytes, folder: Path) -> None:
    charter.draft(load_yaml(_file(data, folder, "charter.yaml")), seeds.CARDS)


def _policy(data: bytes, folder: Path) -> None:
    authorization.draft(load_yaml(_file(data, folder, "policy.yaml")))


def _wheel(data: bytes, folder: Path) -> None:
    venv.wheel_name(_file(data, folder, "x.whl"))


def _sshsig(data: bytes) -> None:
    for key in seeds.PEOPLE.values():
        if sshsig.check_sshsig(key, seeds.SIGNED, data, seeds.SPACE):
            assert data in seeds.BLOBS, "another signature of the same person over the same text"


def _reply(data: bytes) -> None:
    replies = (*FRESH.replies[:3], data)
    fresh.read_head(Freshness(FRESH.nonce, FRESH.sent, replies), SIM.state, WEB1, FRESH.sent)


def _mirror(path: str) -> Run:
    root, files = test_reader.seed()
    return lambda data, _folder: reader.follow(
        MemoryFetch({**files, path: data}), {"root": root}, publisher.NOW
    )


def _kept(data: bytes, _folder: Path) -> None:
    root, files = test_reader.seed()
    reader.follow(MemoryFetch(files), {"root": root, "timestamp": data}, publisher.NOW)


def _crate(data: bytes, folder: Path) -> None:
    carried = crate.Crate(_file(data, folder, "x.crate"))
    for name in test_crate.FILES:
        carried.get(name, 4096)


def _roster(data: bytes, folder: Path) -> None:
    writer.Repository(folder).draft_root(writer.read_roster(data), publisher.NOW)


def _world(data: bytes, folder: Path) -> None:
    world.open_world(laid_out(folder, manifest=data or b"{}"))


def _world_documents(data: bytes, folder: Path) -> None:
    world.open_world(laid_out(folder, data))


def _texts(parse: Callable[[str], object]) -> Run:
    return lambda data, _folder: parse(_text(data))


def _bytes(parse: Callable[[bytes], object]) -> Run:
    return lambda data, _folder: parse(data)


def _json(*values: object) -> list[bytes]:
    return [json.dumps(value).encode() for value in values]


KERNEL = [
    Target("note", _bytes(lambda d: note.Note(d).open([WEB1])), [seeds.CONSUME]),
    Target("vkey", _texts(note.parse_vkey), [WEB1.vkey().encode(), seeds.LOG_KEY]),
    Target("checkpoint", _bytes(checkpoint.parse_checkpoint), [HEAD.partition(b"\n\n")[0] + b"\n"]),
    Target("cosigned", _bytes(lambda d: checkpoint.cosigned(d, SIM.origin, PAIRS, 3)), [HEAD]),
    Target("sshsig", _bytes(_sshsig), seeds.BLOBS),
    Target("ssh key line", _texts(lambda t: sshsig.person_key("dana", t)), seeds.LINES),
    Target("canonical JSON", _canonical, [seeds.BUNDLE, seeds.PLAN]),
    Target(
        "statement",
        _bytes(lambda d: statement.open_statement(d, statement.AUTHORITY, LAW.owners)),
        seeds.RECORDS,
    ),
    Target("charter", _bytes(statement.open_charter), seeds.RECORDS[:1]),
    Target("fold", _fold, [*seeds.RECORDS, seeds.VETO], ()),
    Target("order", _texts(order.read_order), [ORDER.text.encode()]),
    Target("bundle", _bytes(order.read_bundle), [seeds.BUNDLE]),
    Target("verify", _verify, [seeds.BUNDLE], ()),
    Target("fresh reply", _bytes(_reply), FRESH.replies),
    Target(
        "consume note", _bytes(lambda d: fresh.read_consume(d, SIM.fleet, WEB1)), [seeds.CONSUME]
    ),
    Target("condition", _condition, [seeds.CONDITION]),
    Target("Debian version", _version("debian:12"), [b"1:2.3-1~deb12u1", b"0~1.2-x"]),
    Target("Python version", _version("pypi"), [b"2.0rc1.post2+local.7", b"1!2.dev3"]),
    Target("RPM version", _version("almalinux:9"), [b"2:1.0~rc1-3.el9", b"1.0^git1_a-1"]),
    Target("semantic version", _version("npm"), [b"1.2.3-beta.11+build.5", b"v0.1"]),
    Target("Alpine version", _version("alpine:3.19"), [b"1.02.3b_rc1_p2-r4", b"1~1a2b"]),
]
LOGS = [
    Target("batch", _bytes(lambda d: batch.unframe(d, 1024)), [batch.frame(seeds.RECORDS)]),
    Target("tile path", _texts(tiles.parse_tile), [b"tile/0/x001/234.p/7", b"tile/entries/000"]),
    Target(
        "entry bundle",
        _bytes(lambda d: tiles.read_bundle(d, 3)),
        [tiles.pack_bundle(seeds.RECORDS[:3])],
    ),
    Target(
        "log head",
        _bytes(lambda d: heads.open_head(d, SIM.origin, LAW.logs["authority"])),
        [seeds.OWN_HEAD],
    ),
    Target(
        "report statement",
        _bytes(lambda d: reports.open_report(d, OWNERS)),
        [said(kind, next(iter(reports.SIGNERS[kind]))) for kind in BODIES],
    ),
    Target("enrolment", _enrol, [encode(seeds.PROOF).encode()]),
]
GUARDS = [
    Target("add-checkpoint", _bytes(witness.read_request), [seeds.ADD]),
    Target("ask", _bytes(ask.read_ask), [seeds.ASK]),
    Target("veto", _bytes(lambda d: post.objection(d, LAW, SIM.fleet)), [seeds.VETO]),
    Target(
        "receipt",
        _bytes(lambda d: post.read_receipt(d, seeds.GUARD, SIM.fleet, "ab" * 32)),
        [seeds.RECEIPT],
    ),
    Target("mirrored path", _texts(mirrored.read_path), [b"tile/0/x001/234.p/7"], ()),
    Target(
        "mirrored bundle", _bytes(mirrored.split_bundle), [tiles.pack_bundle(seeds.RECORDS[:3])], ()
    ),
]
FEEDS = [
    Target(
        "InRelease",
        _release,
        [archive.Publisher().sign(seeds.RELEASE, archive.NOW)],
        (Unusable,),
        costly=True,
    ),
    Target(
        "packed index",
        _bytes(lambda d: packages.unpack(d, "Packages.gz", 4096)),
        [gzip.compress(test_packages.INDEX)],
        (Unusable,),
    ),
    Target(
        "Packages",
        _bytes(lambda d: packages.read(d, ["libssl3"], "s", base=False)),
        [test_packages.INDEX],
        (Unusable,),
    ),
    Target(
        ".deb",
        lambda d, folder: deb.changelog(_file(d, folder, "x.deb")),
        [test_deb.GOOD],
        (Unusable,),
        costly=True,
    ),
    Target(
        "changelog",
        _bytes(lambda d: changelog.advisories(d, "openssl", "bookworm", None)),
        [LOG],
        (),
    ),
    Target(
        "curated",
        _bytes(lambda d: Curated(MemoryFetch({"a": d}), "a").collect(["waitress"], 0)),
        [test_curated.TEXT],
        (Unusable,),
    ),
    Target("packages of an RPM repository", _primary, [samples.PRIMARY], (Unusable,)),
    Target("candidate", _bytes(candidate.read), [seeds.CANDIDATE], (Unusable,)),
    Target("world manifest", _world, [manifest_of()], (Unusable,)),
    Target("world documents", _world_documents, [DOCUMENTS], (Unusable,)),
    Target("fact", _texts(facts.read), [text.encode() for text in seeds.FACTS]),
    Target("wheel name", _texts(pypi.wheel), [WHEEL_NAME.encode()], ()),
]
MIRRORS = [
    Target("TUF root", _bytes(reader.read_root), [test_reader.seed()[0]], (Unusable,)),
    *(
        Target(f"TUF {path}", _mirror(path), [test_reader.seed()[1][path]], (Unusable,))
        for path in sorted(test_reader.seed()[1])
        if path.startswith("metadata/")
    ),
    Target(
        "TUF, kept",
        _kept,
        [test_reader.seed()[1]["metadata/timestamp.json"]],
        (Unusable,),
    ),
    Target(
        "provenance",
        _bytes(lambda d: proof.judge().check(d, proof.ARTEFACT, proof.EXPECTED)),
        [proof.real(name) for name in proof.REAL],
        (),
    ),
    Target("crate", _crate, [test_crate.GOOD], (Unusable,)),
    Target("roster", _roster, _json(publisher.roster()), (Unusable, writer.Unready)),
]


def _publication(publication: Publication) -> Run:
    return lambda d, folder: list(publication.read(_file(d, folder, "document"), "here"))


def _listing(publication: Publication) -> Run:
    return lambda d, folder: publication.listing(_file(d, folder, "index"), "here")


def _members(data: bytes, folder: Path) -> None:
    for name, _ in archives.members(_file(data, folder, "archive"), "here", 1 << 16) or ():
        assert ".." not in name.split("/")


PUBLICATIONS = [
    *(
        Target(f"publication {c.name}", _publication(c.publication), [c.data], (Unusable,))
        for c in samples.CASES
    ),
    Target(
        "CSAF index", _listing(Csaf("csaf/x", "index.txt")), [b'"a.json","2026"\n'], (Unusable,)
    ),
    Target(
        "repomd", _listing(Updateinfo("updateinfo/x", "rocky:9")), [samples.REPOMD], (Unusable,)
    ),
    Target("NVD index", _listing(Nvd.api()), [samples.NVD], (Unusable,)),
    Target("archive", _members, [test_unpacked.ZIP, test_unpacked.TAR], (Unusable,)),
    Target("CVSS vector", _texts(cvss.tenths), test_cvss.VECTORS, ()),
]


def _image(data: bytes, folder: Path) -> None:
    system.read(image.open_image(_file(data, folder, "image.tar")).files, "debian:12")


def _sqlite(data: bytes, _folder: Path) -> None:
    list(rpmdb.sqlite_blobs(data, b""))


INVENTORIES = [
    Target("CycloneDX", _bytes(cyclonedx.read), CYCLONEDX, (Unreadable,)),
    Target("SPDX", _bytes(spdx.read), SPDX, (Unreadable,)),
    Target("package URL", _texts(purl.package), [b"pkg:deb/debian/x@1?distro=debian-12"], ()),
    Target("CMDB", _bytes(cmdb.read), [test_cmdb.CSV, test_cmdb.JSON], (Unreadable,)),
    Target("apk database", _bytes(lambda d: apk.read(d, "alpine:3")), [APK], (Unreadable,)),
    Target("rpm header", _bytes(lambda d: list(rpm.read(d, "almalinux:9"))), BLOBS, (Unreadable,)),
    Target("rpmdb.sqlite", _sqlite, [sample("rpmdb.sqlite.xz")], (Unreadable,), costly=True),
    Target("Packages.db", _bytes(lambda d: list(rpmdb.ndb_blobs(d))), [ndb(BLOBS)], (Unreadable,)),
    Target("Packages of rpm", _bytes(lambda d: list(rpmdb.bdb_blobs(d))), [BDB], (Unreadable,)),
    Target("tar", _bytes(test_tar.listed), [test_tar.GOOD], (Unreadable,)),
    Target("image", _image, [images.saved(images.tar(*DEBIAN))], (Unreadable,)),
    Target("inventory, signed", _bytes(test_signed.opened), [test_signed.GOOD]),
]
MAPS = b"7f00-7f01 r-xp 00000000 00:2a 4711   /usr/lib/libcrypto.so.3 (deleted)\n7f02-7f03 r--p"
CGROUP = b"1:name=systemd:/system.slice/nginx.service\n0::/system.slice/nginx.service\n"


def _exactly(data: bytes) -> Callable[[int], bytes]:
    left = io.BytesIO(data)

    def take(size: int) -> bytes:
        part = left.read(size)
        if len(part) < size:
            raise frames.Broken("broke off early")
        return part

    return take


def _frame_asked(data: bytes) -> object:
    return frames.asked(_exactly(data))


def _frame_answered(data: bytes) -> object:
    answered = frames.Answered(_exactly(data))
    return b"".join(iter(lambda: answered.read(1000), b""))


FRAME_ASKED = frames.ask(Call("POST", "https://log.example/x", b"body", 3, 100, 30.0))
FRAME_ANSWERED = carrier.said(200, b"x" * 3000)
VERIFYD = b'{"allow":["look"],"key":"/k","name":"web1.foot","socket":"/s"}\n'
APT_CONF = b'// Debian\nAPT::Periodic::Enable "1";\nAPT { Periodic { Enable 0; }; };\n#clear X;\n'
AGENTD = b'{"lacks":["landlock"],"peers":["https://log.example/a","tcp://[::1]:22"],"socket":"/s"}'

HOSTS = [
    Target("bundle list", _listed, [seeds.LISTED_BUNDLES], (HttpUnavailable,)),
    Target("settings", _settings, _json(seeds.SETTINGS), (HomeUnavailable, ServiceFailed)),
    Target(
        "proof",
        lambda d, folder: host_enrol.read_proof(_file(d, folder, "proof.json")),
        _json(seeds.PROOF),
        (HomeUnavailable, Refused),
    ),
    Target("charter of a person", _bytes(host_enrol.read_charter), seeds.RECORDS[:1]),
    Target("frame to agentd", _bytes(_frame_asked), [FRAME_ASKED], (HttpUnavailable,)),
    Target("frame of agentd", _bytes(_frame_answered), [FRAME_ANSWERED], (HttpUnavailable,)),
    Target(
        "settings of agentd",
        lambda d, folder: agentd.read_settings(_file(d, folder, "agentd.json")),
        [AGENTD],
        (HomeUnavailable,),
    ),
    Target(
        "settings of verifyd",
        lambda d, folder: verifyd.read_settings(_file(d, folder, "verifyd.json")),
        [VERIFYD],
        (look.Unseen,),
    ),
    Target("settings of apt", _texts(lambda t: competing.apt_settings([t])), [APT_CONF], ()),
    Target(
        "apt's preview",
        _texts(lambda t: apt.unnamed(t, [Package("libssl3", "1", "2", "")], "amd64")),
        [seeds.SIMULATED],
        (),
    ),
    Target(
        "needs of a .deb",
        _texts(lambda t: apt.unneeded({"a": t, "b": t}, {"a"}, {"a"})),
        [b"libc6 (>= 2.36), b:any [amd64] | c, linux-image-6.1.0-56-amd64 (= 6.1.192-2)"],
        (),
    ),
    Target("files of a .deb", _bytes(_deb_files), [DEB_TAR], (ArtefactDiffers,)),
    Target("control of a .deb", _bytes(_deb_control), [DEB_TAR], (ArtefactDiffers,)),
    Target("status, rehearsed", _bytes(_status), [NEW_STATUS], ()),
    Target(".rpm", _bytes(_rpm), [RPM], (ArtefactDiffers,)),
    Target("header of an .rpm", _bytes(_rpm_header), [header(package())], (Damaged,)),
    Target("rpm database", _rpm_rows, [RPM_DATABASE], (DriverFailed,)),
    Target("capabilities", _texts(rpmcaps.attribute), [b"= cap_kill+ep"], (ArtefactDiffers,)),
    Target("job of a clone", _bytes(read_job), [encode(CLONE_JOB).encode()]),
    Target("wheel", _wheel, [seeds.wheel()], (ArtefactDiffers,)),
    Target("mapped files", _texts(stale.replaced), [MAPS], ()),
    Target("cgroup", _texts(stale.unit_of), [CGROUP], ()),
    Target("METADATA", _texts(venv.read_metadata), [seeds.METADATA], ()),
]
OTHERS = [
    Target("dpkg status, observed", _root, [STATUS], (look.Unseen,)),
    Target("environment, observed", _environment, [seeds.METADATA], (look.Unseen, Unreadable)),
    Target("plan, observed", _plan, [seeds.PLAN]),
    Target(
        "package, observed",
        lambda d, _: shipped_by.read(io.BytesIO(d)),
        [packages_seen.deb(packing=".gz"), packages_seen.wheel({"a": "b"}), RPM],
        (shipped_by.CannotRead,),
    ),
    Target(
        "list of a package, observed", _listed_files, [b"/.\n/usr\n/usr/bin/x\n"], (look.Unseen,)
    ),
    Target(
        "image layout, observed",
        _bytes(reconcile.of_layout),
        [b'{"manifests":[{"digest":"sha256:' + b"a" * 64 + b'"}]}'],
        (look.Unseen,),
    ),
    Target("images of podman, observed", _bytes(containers.storage), [PODMAN], (look.Unseen,)),
    Target("images of Docker, observed", _bytes(containers.docker), [DOCKER], (look.Unseen,)),
    Target(
        "images, observed",
        _bytes(reconcile.of_list),
        [b"x sha256:" + b"a" * 64 + b"\n"],
        (look.Unseen,),
    ),
    Target("rpm database, observed", _rpm_root, [RPM_DATABASE], (look.Unseen,)),
    Target("table of a database, observed", _btree, [RPM_DATABASE], (btree.Damaged,)),
    Target("log of a database, observed", _btree_log, [RPM_LOG], (btree.Damaged,)),
    Target(
        "rpm header, observed",
        _bytes(lambda d: list(rpmheader_seen.Header(d).paths())),
        [header(package())],
        (rpmheader_seen.Damaged,),
    ),
    Target(
        "capabilities, observed",
        _texts(rpmpackage.capabilities),
        [b"= cap_kill+ep"],
        (rpmheader_seen.Damaged,),
    ),
    Target("diversions, observed", _diversions, [b"/a\n/b\nx\n"], (look.Unseen,)),
    Target(
        "dpkg status, planned for",
        _bytes(lambda d: dpkg.read(d, "debian:12")),
        [STATUS],
        (Unreadable,),
    ),
    Target("ranking model", _bytes(ranking_model.read), [MODEL.text.encode()]),
    Target("golden set", _bytes(golden.read), [golden_set(20, 4).text.encode()]),
    Target(
        "answer of a clone",
        _bytes(lambda d: read_answer("web", d, 1)),
        _json({"changes": [CLONE_SEEN]}),
        (CloneSilent,),
    ),
    Target("plan, noticed", _bytes(plan.read), [seeds.WHOLE_PLAN], (plan.NoPlan,)),
    Target("charter in YAML", _rules, [seeds.yaml(CHARTER)], (NotConfigured, NotWritten, Refused)),
    Target("authorization in YAML", _policy, [seeds.yaml(POLICY)], (NotConfigured, NotWritten)),
]
TABLE = [*KERNEL, *LOGS, *GUARDS, *FEEDS, *PUBLICATIONS, *MIRRORS, *INVENTORIES, *HOSTS, *OTHERS]
"""Every target."""
