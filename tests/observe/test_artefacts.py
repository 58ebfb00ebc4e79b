"""Packages are fetched from anybody, believed by their hash alone, and read once."""

from concurrent.futures import ThreadPoolExecutor
from hashlib import sha256
from pathlib import Path
from threading import Barrier

import httpx
import pytest

from answerable.observe.artefacts import SECONDS, Artefacts
from answerable.observe.shipped import CannotRead
from tests.observe.packages import LIBRARY, deb

DEB = deb()
DIGEST = sha256(DEB).hexdigest()


def artefacts(
    folder: Path, given: dict[str, bytes], asked: list[str], late: float = 0
) -> Artefacts:
    """Answer for servers; `given` is host -> what it gives for everything."""
    clock = iter([0.0, *([late] * 100)])

    def answer(request: httpx.Request) -> httpx.Response:
        asked.append(request.url.host)
        data = given.get(request.url.host)
        return httpx.Response(404) if data is None else httpx.Response(200, content=iter([data]))

    client = httpx.Client(transport=httpx.MockTransport(answer))
    urls = ["http://own.example/", "http://control.example"]
    return Artefacts(folder, client, urls, lambda: next(clock))


def test_package_is_fetched_once(tmp_path: Path) -> None:
    """The first who has the right bytes is believed, and nobody is asked again."""
    asked: list[str] = []
    found = artefacts(tmp_path, {"own.example": b"other", "control.example": DEB}, asked)
    for _ in range(2):
        assert set(found.shipped({"libssl3": DIGEST})["libssl3"].files) == set(LIBRARY)
    assert asked == ["own.example", "control.example"]


def test_hosts_side_by_side_have_the_same_package(tmp_path: Path) -> None:
    """A ring is looked at at once: each host gets the table, whoever writes it first."""
    waits = Barrier(4)

    def answer(_: httpx.Request) -> httpx.Response:
        waits.wait(60)
        return httpx.Response(200, content=iter([DEB]))

    client = httpx.Client(transport=httpx.MockTransport(answer))
    found = Artefacts(tmp_path, client, ["http://own.example"], lambda: 0.0)
    with ThreadPoolExecutor(4) as pool:
        tables = list(pool.map(found.shipped, [{"libssl3": DIGEST}] * 4))
    assert all(table == tables[0] for table in tables)


def test_damaged_table_is_made_anew(tmp_path: Path) -> None:
    """A table that a crash or a hand has damaged is none."""
    asked: list[str] = []
    found = artefacts(tmp_path, {"own.example": DEB}, asked)
    found.shipped({"libssl3": DIGEST})
    (tmp_path / f"{DIGEST}.json").write_text("{}")
    found.shipped({"libssl3": DIGEST})
    assert len(asked) == 2


@pytest.mark.parametrize("given", [{}, {"own.example": DEB + b"x"}])
def test_package_that_nobody_gives_cannot_be_read(tmp_path: Path, given: dict[str, bytes]) -> None:
    """Attack: other bytes, or none; then nothing was compared."""
    with pytest.raises(CannotRead, match="cannot be had"):
        artefacts(tmp_path, given, []).shipped({"libssl3": DIGEST})
    assert not list(tmp_path.iterdir())


def test_package_that_drips_is_cut_off(tmp_path: Path) -> None:
    """Attack: a server that never ends keeps nobody."""
    with pytest.raises(CannotRead, match="cannot be had"):
        artefacts(tmp_path, {"own.example": DEB}, [], SECONDS + 1).shipped({"libssl3": DIGEST})
