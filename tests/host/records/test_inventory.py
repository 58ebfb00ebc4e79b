"""What a host tells of itself."""

import json
import threading
from hashlib import sha256
from pathlib import Path

import pytest

from answerable.host.driver import DriverFailed, Present
from answerable.host.drivers.apt import parse_census
from answerable.host.drivers.venv import VenvDriver
from answerable.host.network.client import Client, Declined, HttpUnavailable
from answerable.host.program import go_on
from answerable.host.records.inventory import Census
from answerable.kernel.note import Note
from tests.fakes.fake_driver import FakeDriver
from tests.host.conftest import Site
from tests.simulator.keys import signer

FLEET = "ab" * 32
QUERIED = """ii \tlibgcc-s1\tamd64\t12.2.0-14\tgcc-12\t12.2.0-14\tlibgcc1 (= 1), x
hi \ttzdata\tall\t2026a-0\ttzdata\t2026a-0\t
ii \tpasswd\tamd64\t1:4.13-1+b1\tshadow\t1:4.13-1\t
iU \tnginx\tamd64\t1.22\tnginx\t1.22\t
iHR\tnginx-x\tamd64\t1.22\tnginx\t1.22\t
rc \tgone\tamd64\t1\tgone\t1\t
ii \tlibc6\ti386\t2\tglibc\t2\t"""


class Agent:
    """An agent, as far as it is asked."""

    def __init__(self) -> None:
        """Begin at a time."""
        self.now, self.consumed = 1_000, 0

    def time(self, older_than: float) -> int:
        """Give the guards' time."""
        return self.now

    def counts(self) -> dict[str, int]:
        """Give what was begun."""
        return {"consumed": self.consumed}


class Control(Client):
    """A control plane that keeps what it is told."""

    def __init__(self) -> None:
        """Nothing was told yet."""
        super().__init__()
        self.told: list[dict[str, str]] = []
        self.fail: list[HttpUnavailable] = []

    def post(self, url: str, data: bytes, limit: int, *, seconds: float = 1) -> bytes:
        """Take it, or fail as was asked for."""
        assert url == "http://c/inventory"
        if self.fail:
            raise self.fail.pop(0)
        self.told.append(json.loads(data))
        return b"{}"


@pytest.fixture
def driver(tmp_path: Path) -> FakeDriver:
    """A package tool with two packages."""
    made = FakeDriver(tmp_path)
    made.install({"nginx": "1.22.1-9", "libc6": "2.36-9"})
    return made


def census(control: Control, every: int = 900) -> Census:
    """Make a census of web1."""
    return Census(control, "http://c/", signer("web1"), FLEET, every)


def test_what_is_told_is_signed_and_named(driver: FakeDriver) -> None:
    """The note bears the host's name, the guards' time and the list's own hash."""
    control = Control()
    assert census(control).tell(driver, Agent(), lambda: 5.0)
    (told,) = control.told
    text, _ = Note(told["note"].encode()).open([signer("web1").key])
    assert json.loads(text) == {
        "fleet": FLEET, "host": "web1", "packages": sha256(told["packages"].encode()).hexdigest(),
        "time": 1_000, "type": "inventory", "version": 1,
    }  # fmt: skip
    assert json.loads(told["packages"]) == [
        ["debian:12", "libc6", "2.36-9", "all", "libc6", "", "installed", []],
        ["debian:12", "nginx", "1.22.1-9", "all", "nginx", "", "installed", []],
    ]


def test_it_is_told_when_due_or_when_something_was_done(driver: FakeDriver) -> None:
    """A quiet host tells seldom, and a list that is known there is not sent again."""
    control, agent, now = Control(), Agent(), 5.0
    one = census(control)
    assert one.tell(driver, agent, lambda: now)
    assert not one.tell(driver, agent, lambda: now + 899)
    assert one.tell(driver, agent, lambda: now + 900)
    assert [bool(told["packages"]) for told in control.told] == [True, False]
    agent.consumed = 1
    driver.install({"nginx": "1.22.1-10", "libc6": "2.36-9"})
    assert one.tell(driver, agent, lambda: now + 901)
    assert "1.22.1-10" in control.told[-1]["packages"]
    assert not one.tell(driver, agent, lambda: now + 902)


def test_a_list_that_was_lost_there_is_sent_again(driver: FakeDriver) -> None:
    """A control plane that was set up anew asks for the whole list."""
    control, agent = Control(), Agent()
    one = census(control, every=1)
    assert one.tell(driver, agent, lambda: 0)
    control.fail = [Declined("no such list", "unknown_subject")]
    assert one.tell(driver, agent, lambda: 10)
    assert [bool(told["packages"]) for told in control.told] == [True, True]


@pytest.mark.parametrize(
    "error", [HttpUnavailable("away"), Declined("no", "not_enrolled"), Declined("no", "duplicate")]
)
def test_what_cannot_be_told_is_told_later(driver: FakeDriver, error: HttpUnavailable) -> None:
    """Nothing that a host does hangs on it."""
    control, agent = Control(), Agent()
    one = census(control)
    control.fail = [error]
    assert not one.tell(driver, agent, lambda: 0)
    assert not one.tell(driver, agent, lambda: 59)
    assert one.tell(driver, agent, lambda: 60)


def test_nothing_is_told_without_a_time(
    driver: FakeDriver, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An inventory without a time could be shown again later as if it were new."""
    control, agent = Control(), Agent()
    agent.now = 0
    assert not census(control).tell(driver, agent, lambda: 0)
    assert not census(control, every=0).tell(driver, Agent(), lambda: 0)
    assert not census(control).tell(None, Agent(), lambda: 0)

    def torn() -> list[Present]:
        raise DriverFailed("dpkg is locked")

    monkeypatch.setattr(driver, "census", torn)
    assert not census(control).tell(driver, Agent(), lambda: 0)
    assert control.told == []


def test_the_agent_tells_after_a_look(site: Site) -> None:
    """The running agent asks its guards for the time, and its control plane gets the list."""
    home, stop = site.home(), threading.Event()
    agent, told = site.agent(), list[bool]()

    def after() -> None:
        told.append(home.census().tell(site.driver, agent, home.world.clock))
        stop.set()

    site.world.instead["/control/inventory"] = b"{}"
    assert go_on(home, agent, stop, after) == 0
    assert told == [True]
    assert "POST /control/inventory" in site.world.asked


def test_dpkg_lines_are_read() -> None:
    """Source packages, their versions, holds, torn states; no foreign or removed package."""
    rows = parse_census(QUERIED, "debian:12", "amd64")
    assert [(r.package, r.source, r.source_version, r.state) for r in rows] == [
        ("libgcc-s1", "gcc-12", "", "installed"), ("tzdata", "tzdata", "", "held"),
        ("passwd", "shadow", "1:4.13-1", "installed"), ("nginx", "nginx", "", "broken"),
        ("nginx-x", "nginx", "", "broken"),
    ]  # fmt: skip
    assert rows[0].provides == ("libgcc1", "x")


def test_an_environment_is_counted(tmp_path: Path) -> None:
    """Each whole distribution, with the interpreter's tag."""
    place = tmp_path / "venv/lib/python3.11/site-packages/waitress-2.1.2.dist-info"
    place.mkdir(parents=True)
    (place / "METADATA").write_text("Metadata-Version: 2.1\nName: waitress\nVersion: 2.1.2\n")
    info = place.name
    (place / "RECORD").write_text(f"{info}/METADATA,,\n{info}/RECORD,,\n")
    (tmp_path / "venv/bin").mkdir()
    (tmp_path / "venv/bin/python").write_text("")
    rows = VenvDriver(tmp_path / "venv", tmp_path / "state").census()
    assert rows == [Present("pypi", "waitress", "2.1.2", "cp311", "waitress")]
