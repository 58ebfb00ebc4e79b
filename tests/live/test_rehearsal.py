"""What a clone finds before notice is what real hosts do; a host that is otherwise refuses."""

import shutil
import subprocess
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest

from answerable.bootstrap.rehearsing import Clones, read_effects
from answerable.changes.rehearse import Asked, Move, Outcome, Rehearsed, Unfit, Upgrade
from answerable.host.driver import Package
from tests.live import sabotage
from tests.live.test_fleet import (  # noqa: F401  fixtures are found by their names here
    MIRROR,
    World,
    _ground,
    _world,
)
from tests.live.test_transaction import differing, drive, sweep

pytestmark = [
    pytest.mark.live,
    pytest.mark.needs("mount", "overlay", "stacked", "network", "uids", "mmdebstrap", "apt"),
]
HOST = "a"


class Planner:
    """A planner with one clone, at a root."""

    def __init__(self, folder: Path, ecosystem: str, root: Path, kind: str = "apt") -> None:
        for name in ("artefacts", "effects"):
            (folder / name).mkdir()
        self.artefacts, self.effects = folder / "artefacts", folder / "effects"
        settings: dict[str, Any] = {
            "clones": {"web": {"ecosystem": ecosystem, "kind": kind, "root": str(root)}},
            "hosts": {HOST: {"clone": "web"}},
        }
        self.ecosystem = ecosystem
        self.clones = Clones(settings, self.effects, lambda _: self.artefacts, demanded=True)

    def rehearse(
        self, *upgrades: Iterable[tuple[Package, Path]], classes: frozenset[str] | None = None
    ) -> Sequence[Outcome]:
        """Rehearse upgrades, one after another, from these files."""
        asked = []
        for upgrade in upgrades:
            moves = []
            for p, file in upgrade:
                shutil.copyfile(file, self.artefacts / p.sha256)
                moves.append(Move(p.name, p.before, p.after, p.sha256))
            asked.append(Upgrade(self.ecosystem, tuple(moves)))
        return self.clones.rehearse([Asked(HOST, tuple(asked), classes)])[HOST]


def files(world: World, *names: str) -> list[tuple[Package, Path]]:
    """Give pending updates with their files in the mirror."""
    found = []
    for name in names:
        update = world.updates[name]
        p = Package(name, update.old.version, update.new.version, update.new.sha256)
        found.append((p, MIRROR / update.new.suite / update.new.path))
    return found


def sources(world: World) -> list[list[str]]:
    """Give pending updates by their source: three or fewer, quick ones, last `group`."""
    found: dict[str, list[str]] = {}
    for name, update in sorted(world.updates.items()):
        found.setdefault(update.new.source, []).append(name)
    last = world.group()
    quick = sorted((g for g in found.values() if g != last), key=lambda g: (len(g), g))
    return [*quick[:2], last]


def named(found: Outcome) -> list[Any]:
    """Give what an order would name."""
    assert isinstance(found, Rehearsed), found
    return [found.effects, list(found.classes)]


def looks(root: Path) -> Mapping[str, tuple[int, ...]]:
    """Give kind, owner, size and times of every path below a folder."""
    found = {}
    for path in [root, *root.rglob("*")]:
        seen = path.lstat()
        found[str(path)] = (seen.st_mode, seen.st_uid, seen.st_size, seen.st_mtime_ns)
    return found


def test_hosts_do_exactly_what_the_clone_found(world: World, tmp_path: Path) -> None:
    """Real updates one after another: each hash is the clone's, and the clone is as it was."""
    groups, before = sources(world), looks(world.tree)
    planner = Planner(tmp_path, world.distribution.ecosystem, world.tree)
    found = planner.rehearse(*(files(world, *group) for group in groups))
    assert looks(world.tree) == before
    world.up(HOST)
    for group, one in zip(groups, found, strict=True):
        done = drive(world, HOST, "upgrade", *group, named=named(one))
        assert done["installed"] == world.versions(group, "new"), done
        assert done["said"].startswith(f"effects {named(one)[0]},")
        assert read_effects(planner.effects, named(one)[0]).lines


def test_a_host_refuses_when_its_own_effects_differ_from_those_noticed(
    world: World, tmp_path: Path
) -> None:
    """A diversion that the clone lacks sends a file elsewhere: not one byte of it is changed."""
    group = world.group()
    planner = Planner(tmp_path, world.distribution.ecosystem, world.tree)
    (found,) = planner.rehearse(files(world, *group))
    world.up(HOST)
    lines = read_effects(planner.effects, named(found)[0]).lines
    changed = [line["path"] for line in lines if line["is"] == "file"]
    # Whatever is pending today: a file that it changes, and that the host's programs do without.
    path = min(changed, key=lambda path: (not path.startswith("/usr/share/"), path))
    divert = ["dpkg-divert", "--local", "--rename", "--divert", f"{path}.real"]
    world.said(HOST, *divert, "--add", path)
    before = sweep(world, HOST)
    own = drive(world, HOST, "preview", *group, named=named(found))["seen"]
    assert own[0] != named(found)[0]
    done = drive(world, HOST, "upgrade", *group, named=named(found))
    assert done["error"] == "TransactionDiffers", done
    assert named(found)[0] in done["message"]
    assert differing(before, sweep(world, HOST)) == []


def prepared(world: World, folder: Path, *debs: Path) -> Path:
    """Give a clone of its own, and start the host, both with packages of ours installed."""
    clone = folder / "clone"
    subprocess.run(["cp", "-a", str(world.tree), str(clone)], check=True)
    world.up(HOST)
    for deb in debs:
        argv = ["dpkg", f"--root={clone}", "--install", str(deb)]
        subprocess.run(argv, check=True, capture_output=True)
        (world.fleet.root(HOST) / deb.name).write_bytes(deb.read_bytes())
        world.said(HOST, "dpkg", "--install", f"/{deb.name}")
    return clone


def ours(world: World, made: tuple[Package, Path], **more: Any) -> dict[str, Any]:  # noqa: ANN401
    """Upgrade the host to a package of ours."""
    package, file = made
    (world.fleet.root(HOST) / file.name).write_bytes(file.read_bytes())
    row = [package.name, package.before, package.after, package.sha256]
    urls = {package.sha256: f"file:///{file.name}"}
    return drive(world, HOST, "upgrade", packages=[row], urls=urls, **more)


def test_what_a_package_does_beyond_what_it_ships_is_found_before_notice(
    world: World, tmp_path: Path
) -> None:
    """The sabotage package is refused on the clone, by its paths; its benign version passes."""
    debs = sabotage.build(tmp_path)
    clone = prepared(world, tmp_path, debs["1.0"][1])
    before = looks(clone)
    planner = Planner(tmp_path, world.distribution.ecosystem, clone)
    benign, hostile = planner.rehearse([debs["1.1"]], [debs["1.2"]])
    assert isinstance(hostile, Unfit), hostile
    assert all(path in hostile.reason for path in sorted(sabotage.PATHS)[:3]), hostile.reason
    assert looks(clone) == before
    assert ours(world, debs["1.1"], named=named(benign))["installed"] == {sabotage.NAME: "1.1"}


def test_sensitive_classes_are_shown_to_people_and_then_done(world: World, tmp_path: Path) -> None:
    """A cron job that a package ships is escalated unless named; what people named is done."""
    first, second = (
        sabotage._build(tmp_path, "timed", version, before, "", modes)
        for version, before, modes in (("1", "", None), ("2", "1", {"etc/cron.d/timed": 0o644}))
    )
    clone = prepared(world, tmp_path, first[1])
    planner = Planner(tmp_path, world.distribution.ecosystem, clone)
    (unnamed,) = planner.rehearse([second], classes=frozenset({"unit"}))
    assert isinstance(unnamed, Unfit)
    assert "`cron` are not allowed here: /etc/cron.d/timed: cron" in unnamed.reason
    (found,) = planner.rehearse([second], classes=frozenset({"cron"}))
    assert named(found)[1] == ["cron"]
    assert read_effects(planner.effects, named(found)[0]).sensitive["cron"] == ["/etc/cron.d/timed"]
    assert ours(world, second, named=[named(found)[0], []])["error"] == "TransactionDiffers"
    assert ours(world, second, named=named(found))["installed"] == {"timed": "2"}
