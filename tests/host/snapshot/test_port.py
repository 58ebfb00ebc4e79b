"""What every driver of snapshots promises, by the words that it runs and the settings that it has.

The drivers are driven for real, where the machine can, by tests/live/test_snapshots.py.
"""

import json
import os
from collections.abc import Sequence
from pathlib import Path

import pytest

from answerable.host.actions.act import Actions, CannotDo, Tools
from answerable.host.driver import DriverFailed, Ran
from answerable.host.files import HomeUnavailable
from answerable.host.retention import Kept
from answerable.host.settings import make_snapshots, read_settings
from answerable.host.snapshot import lvm, overlay
from answerable.host.snapshot.lvm import Lvm
from answerable.host.snapshot.overlay import Overlay
from answerable.host.snapshot.port import SnapshotFailed, apart, checked, tool
from answerable.kernel.canon import Json
from tests.fakes.fake_driver import FakeServices

NAME = "0123456789abcdef-fedcba9876543210-snapshot-1"


class Recorder:
    """A fake of lvm's tools that keeps volumes and what was asked."""

    def __init__(self) -> None:
        self.asked: list[list[str]] = []
        self.rows = ["root;41943040;-wi-ao----;;", "home;8;-wi-ao----;;other"]
        self.free = 1 << 30

    def __call__(self, argv: Sequence[str], _: Path) -> Ran:
        """Answer as lvs, lvcreate and lvremove do."""
        self.asked.append(list(argv))
        if argv[0] == "lvcreate":
            name = argv[argv.index("--name") + 1]
            self.rows.append(f"{name};4194304;sri-a-s---;root;x,answerable")
        if argv[0] == "lvremove":
            gone = argv[-1].partition("/")[2]
            self.rows = [row for row in self.rows if row.partition(";")[0] != gone]
        if "lv_name,vg_free" in argv:
            return Ran(0, f"  WARNING: said by lvm\n  root;{self.free}\n", cut=False)
        return Ran(0, "".join(f"  {row}\n" for row in self.rows), cut=False)


@pytest.fixture
def recorder(monkeypatch: pytest.MonkeyPatch) -> Recorder:
    """No tool is run, and the agent's directory counts as apart."""
    made = Recorder()
    monkeypatch.setattr(lvm, "tool", made)
    monkeypatch.setattr(lvm, "apart", lambda *_: None)
    monkeypatch.setattr(overlay, "apart", lambda *_: None)
    return made


def test_lvm_takes_keeps_and_drops_by_these_words(recorder: Recorder, tmp_path: Path) -> None:
    """A snapshot is taken once, and only a volume of this driver's is ever removed."""
    driver = Lvm(tmp_path, volume="vg/root", room=4 << 20)
    driver.ready()
    assert driver.take(NAME) == driver.take(NAME) == f"lvm snapshot vg/answerable-{NAME}"
    assert [words for words in recorder.asked if words[0] == "lvcreate"] == [[
        "lvcreate", "--yes", "--snapshot", "--permission", "r", "--addtag", "answerable",
        "--size", "4194304b", "--name", f"answerable-{NAME}", "--", "vg/root",
    ]]  # fmt: skip
    assert driver.kept() == [Kept(NAME, "vg/root as it was", 4 << 20, frozenset({NAME[:16]}))]
    driver.drop("home")
    driver.drop(NAME)
    assert [words[-1] for words in recorder.asked if words[0] == "lvremove"] == [
        f"vg/answerable-{NAME}"
    ]
    assert driver.kept() == []


def test_lvm_tells_a_snapshot_that_lost_its_room(recorder: Recorder, tmp_path: Path) -> None:
    """Nothing can be brought back from it; and without room none is begun."""
    recorder.rows.append(f"answerable-{NAME};4194304;sri-I-s---;root;answerable")
    driver = Lvm(tmp_path, volume="vg/root", room=4 << 20)
    assert [one.of_use for one in driver.kept()] == [False]
    recorder.free = 100
    with pytest.raises(SnapshotFailed, match="make room"):
        driver.ready()


@pytest.mark.usefixtures("recorder")
def test_overlay_copies_the_layer_once_and_whole(tmp_path: Path) -> None:
    """Half a copy never bears the name of a snapshot."""
    upper, into = tmp_path / "upper", tmp_path / "into"
    upper.mkdir()
    into.mkdir()
    (upper / "file").write_text("before")
    (tmp_path / "state").mkdir()
    driver = Overlay(tmp_path / "state", upper=str(upper), into=str(into))
    (into / f".part-{NAME}").mkdir()
    (into / f".part-{NAME}/torn").touch()
    assert driver.kept() == []
    driver.take(NAME)
    (upper / "file").write_text("after")
    assert driver.take(NAME).endswith(NAME)
    assert [path.name for path in (into / NAME).iterdir()] == ["file"]
    assert (into / NAME / "file").read_text() == "before"
    assert driver.kept() == [Kept(NAME, f"{upper} as it was", 6, frozenset({NAME[:16]}))]
    driver.drop(NAME)
    driver.drop(NAME)
    assert list(into.iterdir()) == []


@pytest.mark.usefixtures("recorder")
@pytest.mark.parametrize("inside", ["into", "state"])
def test_overlay_that_would_hold_itself_or_the_agent_is_refused(
    tmp_path: Path, inside: str
) -> None:
    """A snapshot in its own layer grows for ever; a restored agent forgets."""
    places = {name: tmp_path / name for name in ("upper", "into", "state")}
    places[inside] = tmp_path / "upper" / inside
    for place in places.values():
        place.mkdir(exist_ok=True)
    upper, into = str(places["upper"]), str(places["into"])
    with pytest.raises(SnapshotFailed, match="would be snapshotted"):
        Overlay(places["state"], upper=upper, into=into).ready()


def test_the_agents_directory_must_lie_apart(tmp_path: Path) -> None:
    """On the same disk it would be set back with the host."""
    with pytest.raises(SnapshotFailed, match="of its own"):
        apart(tmp_path, tmp_path.parent)
    apart(tmp_path, Path("/proc"))
    with pytest.raises(SnapshotFailed, match="cannot use"):
        apart(tmp_path / "none", tmp_path)


@pytest.mark.parametrize("name", ["../x", "a/b", "", "-rf", ".", "x" * 101, "a\n"])
def test_names_are_parts_of_paths(name: str) -> None:
    """An order's ids are; anything else stops here."""
    with pytest.raises(SnapshotFailed):
        checked(name)
    assert checked(NAME) == NAME


def test_a_tool_that_fails_is_one_line(tmp_path: Path) -> None:
    """Missing, or with a code."""
    with pytest.raises(SnapshotFailed, match="cannot run"):
        tool(["answerable-no-such-tool"], tmp_path / "log")
    with pytest.raises(SnapshotFailed, match="`false` failed"):
        tool(["false"], tmp_path / "log")


@pytest.mark.parametrize(
    "given",
    [
        {"kind": "zfs"}, {"kind": "btrfs"}, {"kind": "btrfs", "subvolume": "/"},
        {"kind": "overlay", "upper": "/u", "into": "/i", "more": 1},
        {"kind": "lvm", "volume": "vg/root"}, {"kind": "lvm", "volume": "root", "bytes": 1},
        {"kind": "lvm", "volume": "vg/--force", "bytes": 1},
        {"kind": "lvm", "volume": "vg/root", "bytes": 0},
    ],
)  # fmt: skip
def test_settings_are_exact(tmp_path: Path, given: Json) -> None:
    """A kind that is none, or what it does not know."""
    (tmp_path / "settings.json").write_text(json.dumps({"snapshots": given}))
    with pytest.raises(HomeUnavailable, match="snapshots"):
        make_snapshots(read_settings(tmp_path / "settings.json"), tmp_path)


def test_drivers_are_made_by_name(tmp_path: Path) -> None:
    """None unless the settings name one."""

    def made(given: Json) -> object:
        (tmp_path / "settings.json").write_text(json.dumps({"snapshots": given} if given else {}))
        return make_snapshots(read_settings(tmp_path / "settings.json"), tmp_path)

    assert made({}) is None
    kinds = [
        {"kind": "btrfs", "subvolume": "/", "into": "/.snapshots"},
        {"kind": "overlay", "upper": "/rw/upper", "into": "/rw/s"},
        {"kind": "lvm", "volume": "vg/root", "bytes": 1},
    ]
    assert [type(made(one)).__name__ for one in kinds] == ["Btrfs", "Overlay", "Lvm"]


class Fake:
    """A driver that may not be ready."""

    kind = "fake"

    def __init__(self) -> None:
        self.taken: list[str] = []
        self.broken = ""

    def ready(self) -> None:
        """Fail if it shall."""
        if self.broken:
            raise SnapshotFailed(self.broken)

    def take(self, name: str) -> str:
        """Remember it."""
        self.ready()
        self.taken.append(name)
        return f"fake {name}"

    def kept(self) -> list[Kept]:
        """Nothing."""
        return []

    def drop(self, name: str) -> None:
        """Nothing."""


def test_an_order_takes_the_snapshot_that_the_settings_name(tmp_path: Path) -> None:
    """What cannot be taken is never begun; what fails then is a result."""
    fake = Fake()

    def fetch(_: str) -> object:
        raise DriverFailed("fetched")

    tools = Tools(None, FakeServices(tmp_path), {}, snapshots=fake)
    actions = Actions(tools, fetch, tmp_path, lambda _: None)  # type: ignore[arg-type]  # never
    order: Json = {"changes": [], "undo": []}
    change: Json = {"type": "snapshot", "id": "s"}
    staged = actions.prepare(order, change)
    done = actions.act(NAME, change, staged)
    assert (done.result, done.detail) == ("succeeded", f"fake {NAME}")
    assert (tmp_path / f"{NAME}.json").exists()
    fake.broken = "no room"
    with pytest.raises(CannotDo, match="no room"):
        actions.prepare(order, change)
    done = actions.act(NAME, change, staged)
    assert (done.result, done.reason, done.detail) == ("failed", "tool", "no room")


def test_a_file_that_goes_while_it_is_counted_stops_nothing(
    recorder: Recorder, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The host goes on while its upper layer is measured."""
    del recorder
    for name in ("upper", "into", "state"):
        (tmp_path / name).mkdir()
    (tmp_path / "upper/gone").write_text("x")
    seen = os.lstat

    def gone(path: str | Path, **more: int) -> os.stat_result:
        if str(path).endswith("gone"):
            raise FileNotFoundError(path)
        return seen(path, **more)

    monkeypatch.setattr(os, "lstat", gone)
    places = {name: str(tmp_path / name) for name in ("upper", "into")}
    Overlay(tmp_path / "state", **places).ready()
