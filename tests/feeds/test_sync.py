"""Every document's state is written down, and nothing is built upon one that cannot be used."""

import fcntl
import gzip
import hashlib
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from answerable.feeds.documents.download import TRIES, Local, Remote
from answerable.feeds.documents.repomd import REPOMD
from answerable.feeds.publication import time_of
from answerable.feeds.publications.csaf import Csaf
from answerable.feeds.publications.epss import Epss
from answerable.feeds.publications.kev import Kev
from answerable.feeds.publications.nvd import Nvd
from answerable.feeds.publications.osv_export import OsvExport
from answerable.feeds.publications.updateinfo import Updateinfo
from answerable.feeds.source import AHEAD, State, Unusable
from answerable.feeds.sync import USABLE, Kept, Step, Subscription, rows, status, sync
from answerable.kernel.errors import Unavailable
from tests.feeds.loopback import Site, serving
from tests.feeds.samples import CURL, EPSS, FLASK, FLAW, KEV, REDHAT, SUSE, UPDATEINFO, nvd
from tests.feeds.samples import REPOMD as REPOSITORY

NOW = time_of("2026-11-21")
DAY = 86_400
OSV = b"".join(json.dumps(record).encode() + b"\n" for record in (FLASK, CURL))


class Town:
    """A server with publications, and a party that syncs them."""

    def __init__(self, site: Site, folder: Path, client: httpx.Client) -> None:
        """Serve KEV and EPSS."""
        self.site, self.folder = site, folder
        self.place = Remote(site.base, client, time.monotonic)
        self.steps: list[Step] = []
        self.wanted = [
            Subscription("kev", Kev("kev.json"), self.place, 14 * DAY),
            Subscription("epss", Epss("epss.csv"), self.place, 3 * DAY),
        ]
        site.documents |= {"kev.json": KEV, "epss.csv": EPSS}

    def sync(self, now: int = NOW) -> dict[str, Kept]:
        """Sync, and give what is written down by path."""
        return {kept.path: kept for kept in sync(self.wanted, self.folder, now, self.steps.append)}

    def count(self, now: int = NOW) -> int:
        """Count the rows in service."""
        return sum(1 for _, found in rows(self.wanted, self.folder, now) for _ in found)

    def refused(self, now: int = NOW) -> State:
        """Give the state for which nothing is built."""
        with pytest.raises(Unusable) as failure:
            self.count(now)
        return failure.value.state


@pytest.fixture
def town(tmp_path: Path) -> Iterator[Town]:
    """A town of its own."""
    with serving(Site()) as site, httpx.Client() as client:
        yield Town(site, tmp_path / "feed", client)


def test_what_came_is_written_down_and_gives_its_rows(town: Town) -> None:
    """Hash, size, rows and times of each document, and its rows for whoever builds on it."""
    found = town.sync()
    kept = found["kev.json"]
    assert (kept.state, kept.size, kept.rows) == (USABLE, len(KEV), 16)
    assert kept.sha256 == hashlib.sha256(KEV).hexdigest()
    assert kept.published == time_of("2026-11-20T17:04:19Z")
    assert (kept.seen, kept.checked, kept.tried) == (NOW, NOW, NOW)
    assert town.count() == 20
    assert tuple(found.values()) == status(town.wanted, town.folder, NOW)
    assert {(s.publication, s.doing) for s in town.steps} == {
        (name, doing) for name in ("kev", "epss") for doing in ("fetch", "read")
    }


def test_nothing_is_known_before_the_first_sync(town: Town) -> None:
    """An empty folder is `missing`, not a world without flaws."""
    assert {kept.state for kept in status(town.wanted, town.folder, NOW)} == {State.MISSING}
    assert town.refused() is State.MISSING


def test_unchanged_documents_do_not_travel(town: Town) -> None:
    """The second time nothing is fetched, and it is written down when it was checked."""
    town.sync()
    found = town.sync(NOW + 60)
    assert town.site.headers("kev.json") == ["", "if-none-match"]
    assert (found["kev.json"].seen, found["kev.json"].checked) == (NOW, NOW + 60)
    assert town.count() == 20


def _later(day: str, data: bytes = KEV) -> bytes:
    return data.replace(b"2026-11-20T17:04:19.9796Z", f"{day}T00:00:00Z".encode())


def test_a_new_edition_takes_the_old_one_s_place(town: Town) -> None:
    """Its rows are those that count, and when it came is its own time."""
    town.sync()
    town.site.documents["kev.json"] = _later("2026-11-21")
    found = town.sync(NOW + 60)
    assert (found["kev.json"].seen, found["epss.csv"].seen) == (NOW + 60, NOW)
    assert found["kev.json"].published == time_of("2026-11-21")


@pytest.mark.parametrize(
    ("data", "state"),
    [
        (b"", State.EMPTY),
        (KEV[:-30], State.TRUNCATED),
        (b"<html>maintenance</html>", State.MALFORMED),
        (_later("2026-11-19"), State.ROLLED_BACK),
        (_later("2026-11-30"), State.POSTDATED),
        (KEV.replace(b"dateReleased", b"dateSomething"), State.ROLLED_BACK),
        (gzip.compress(b" " * (70 << 20)), State.OVERSIZED),
        (None, State.MISSING),
    ],
)
def test_a_bad_document_has_its_state_and_blocks(
    data: bytes | None, state: State, town: Town
) -> None:
    """Each failure is a word; the one in service stays on the disk, and nothing is built."""
    first = town.sync()["kev.json"]
    if data is None:
        del town.site.documents["kev.json"]
    else:
        town.site.documents["kev.json"] = data
    kept = town.sync(NOW + 60)["kev.json"]
    assert (kept.state, kept.sha256, kept.seen) == (state, first.sha256, NOW)
    assert (kept.checked, kept.tried) == (NOW, NOW + 60)
    assert kept.detail
    assert town.refused() is state
    assert list((town.folder / "partial").iterdir()) == []
    town.site.documents["kev.json"] = KEV
    assert town.sync(NOW + 120)["kev.json"].state == USABLE
    assert town.count() == 20


def test_a_cut_connection_goes_on_the_next_time(town: Town) -> None:
    """What broke off is `truncated`, stays, and only its rest is fetched by the next sync."""
    whole = KEV + b" " * 400_000
    town.site.documents["kev.json"] = whole
    town.site.cut["kev.json"] = [100_000] * TRIES
    assert town.sync()["kev.json"].state == State.TRUNCATED
    assert town.refused() is State.TRUNCATED
    assert town.sync(NOW + 60)["kev.json"].state == USABLE
    assert town.site.headers("kev.json") == ["", "range", "range", "range"]
    assert list((town.folder / "partial").iterdir()) == []


def test_an_old_edition_with_a_short_clock_is_postdated_only_beyond_the_allowance(
    town: Town,
) -> None:
    """A publisher whose clock is a little ahead is no forger."""
    published = time_of("2026-11-20T17:04:19Z")
    assert town.sync(published - AHEAD)["kev.json"].state == USABLE
    fresh = Town(town.site, town.folder / "other", town.place.client)
    assert fresh.sync(published - AHEAD - 1)["kev.json"].state == State.POSTDATED


def test_what_never_changes_is_stale(town: Town) -> None:
    """A frozen mirror that says "unchanged" for ever is found out by the document's own date."""
    town.sync()
    late = NOW + 4 * DAY
    found = town.sync(late)
    assert (found["epss.csv"].state, found["kev.json"].state) == (State.STALE, USABLE)
    assert town.refused(late) is State.STALE
    assert town.count(NOW) == 20  # what was known then can be told again


def test_a_document_without_a_date_is_as_old_as_its_bytes(town: Town, tmp_path: Path) -> None:
    """From a folder of undated documents: counted from when these bytes were first seen."""
    (tmp_path / "x.jsonl").write_bytes(
        json.dumps({**FLASK, "modified": "", "published": ""}).encode()
    )
    local = Local(tmp_path)
    town.wanted = [Subscription("osv", OsvExport("osv/x", ("x.jsonl",)), local, 3 * DAY)]
    assert town.sync()["x.jsonl"].dated == NOW
    assert town.sync(NOW + 2 * DAY)["x.jsonl"].state == USABLE
    assert town.sync(NOW + 4 * DAY)["x.jsonl"].state == State.STALE


def test_bytes_that_were_changed_on_the_disk_are_not_read(town: Town) -> None:
    """What a thief edits in our folder is not what was judged."""
    kept = town.sync()["kev.json"]
    file = town.folder / "documents" / kept.sha256
    file.write_bytes(KEV.replace(b"Known", b"Knowm"))
    assert town.refused() is State.FORGED
    file.unlink()
    assert town.refused() is State.MISSING
    assert town.sync(NOW + 60)["kev.json"].state == USABLE
    assert town.count() == 20


def test_one_syncs_at_a_time(town: Town) -> None:
    """Two at once would spoil each other's partial files."""
    town.sync()
    with (town.folder / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        with pytest.raises(Unavailable, match="somebody else"):
            town.sync()
    assert town.sync()["kev.json"].state == USABLE


def test_a_folder_that_cannot_be_written_is_said(town: Town, tmp_path: Path) -> None:
    """It is no state of a document."""
    (tmp_path / "file").write_text("")
    town.folder = tmp_path / "file"
    with pytest.raises(Unavailable, match="cannot use"):
        town.sync()


def _csaf(town: Town, stamp: str = "2026-11-20T00:00:00Z") -> None:
    town.wanted = [Subscription("csaf", Csaf("csaf/x", "changes.csv"), town.place, 7 * DAY)]
    town.site.documents |= {
        "changes.csv": f'"a.json","{stamp}"\n"b.json","2026-11-19T00:00:00Z"\n'.encode(),
        "a.json": REDHAT, "b.json": SUSE,
    }  # fmt: skip


def test_an_index_says_what_to_fetch_and_what_is_unchanged(town: Town) -> None:
    """A document whose stamp is the same is not even asked for; one that is listed no more goes."""
    _csaf(town)
    assert {k.state for k in town.sync().values()} == {USABLE}
    assert [kept.path for kept, _ in rows(town.wanted, town.folder, NOW)] == ["a.json", "b.json"]
    _csaf(town, "2026-11-20T09:00:00Z")
    assert {k.state for k in town.sync().values()} == {USABLE}
    assert town.site.headers("b.json") == [""]
    assert town.site.headers("a.json") == ["", "if-none-match"]
    town.site.documents["changes.csv"] = b'"a.json","2026-11-20T09:00:00Z"\n'
    assert sorted(town.sync()) == ["a.json", "changes.csv"]


def test_an_index_that_cannot_be_used_blocks_all_of_its_documents(town: Town) -> None:
    """Nor does an older index come back, or one whose documents never came."""
    _csaf(town)
    town.sync()
    _csaf(town, "2026-11-18T00:00:00Z")
    found = town.sync()
    assert (found["changes.csv"].state, found["a.json"].state) == (State.ROLLED_BACK, USABLE)
    assert town.refused() is State.ROLLED_BACK
    town.site.documents["changes.csv"] = b""
    assert town.sync()["changes.csv"].state == State.EMPTY
    _csaf(town)
    del town.site.documents["b.json"]
    town.folder = town.folder / "other"
    assert town.sync()["b.json"].state == State.MISSING
    assert town.refused() is State.MISSING


def test_a_repository_s_index_binds_the_bytes(town: Town) -> None:
    """Bytes other than those whose hash the index names are `forged`."""
    town.wanted = [Subscription("r9", Updateinfo("updateinfo/r", "rocky:9"), town.place, 9**9)]
    name = "repodata/u-updateinfo.xml.gz"
    data = gzip.compress(UPDATEINFO)
    right = REPOSITORY.replace(b"a" * 64, hashlib.sha256(data).hexdigest().encode())
    town.site.documents |= {REPOMD: REPOSITORY, name: data}
    assert town.sync()[name].state == State.FORGED
    town.site.documents[REPOMD] = right
    assert town.sync()[name].state == USABLE
    assert town.count() == 5
    asked = len(town.site.asked)
    town.sync()
    assert [path for path, _ in town.site.asked[asked:]] == [REPOMD]


def test_an_api_is_read_page_by_page(town: Town) -> None:
    """The pages follow from the total; all of them are needed."""
    town.wanted = [Subscription("nvd", Nvd.api(), town.place, 3 * DAY)]
    page = "cves/2.0?resultsPerPage=2000&startIndex={}"
    many = [{**FLAW, "id": f"CVE-2024-{n}"} for n in range(10_000, 12_001)]
    town.site.documents |= {
        "cves/2.0?resultsPerPage=1&startIndex=0": nvd(many[0], total=2001),
        page.format(0): nvd(*many[:2000], total=2001),
        page.format(2000): nvd(many[2000], start=2000, total=2001),
    }
    found = town.sync()
    assert {kept.state for kept in found.values()} == {USABLE}
    assert len(found) == 3
    del town.site.documents[page.format(2000)]
    town.sync(NOW + 60)
    assert town.refused() is State.MISSING


def test_a_folder_is_synced_like_a_server(town: Town, tmp_path: Path) -> None:
    """Carried over an air gap, documents have the same states."""
    carried = tmp_path / "carried"
    carried.mkdir()
    (carried / "kev.json").write_bytes(KEV)
    town.wanted = [Subscription("kev", Kev("kev.json"), Local(carried), 14 * DAY)]
    assert town.sync()["kev.json"].state == USABLE
    assert town.sync(NOW + 60)["kev.json"].seen == NOW
    (carried / "kev.json").write_bytes(_later("2026-11-01"))
    assert town.sync(NOW + 60)["kev.json"].state == State.ROLLED_BACK
    (carried / "kev.json").unlink()
    assert town.sync(NOW + 60)["kev.json"].state == State.MISSING


KILLED = """
import os, sys, time
from pathlib import Path
import httpx
from answerable.feeds.documents.download import Remote
from answerable.feeds.publications.kev import Kev
from answerable.feeds.sync import Subscription, sync

def tell(step):
    if (step.doing, step.publication) == (sys.argv[3], "second"):
        os.kill(os.getpid(), 9)

with httpx.Client() as client:
    place = Remote(sys.argv[1], client, time.monotonic)
    wanted = [Subscription(n, Kev(f"{n}.json"), place, 10**9) for n in ("first", "second")]
    sync(wanted, Path(sys.argv[2]), int(sys.argv[4]), tell)
"""


@pytest.mark.parametrize("doing", ["fetch", "read"])
def test_whoever_is_killed_loses_nothing(doing: str, town: Town) -> None:
    """Killed in the second document, the first is written down, and the next sync goes on."""
    town.site.documents |= {f"{n}.json": KEV + b" " * 300_000 for n in ("first", "second")}
    command = [sys.executable, "-c", KILLED, town.site.base, str(town.folder), doing, str(NOW)]
    run = subprocess.run(command, check=False, env={**os.environ, "PYTHONPATH": "src"})
    assert run.returncode == -signal.SIGKILL
    town.wanted = [
        Subscription(n, Kev(f"{n}.json"), town.place, 10**9) for n in ("first", "second")
    ]
    states = [kept.state for kept in status(town.wanted, town.folder, NOW)]
    assert states == [USABLE, State.MISSING]
    assert {kept.state for kept in town.sync(NOW + 1).values()} == {USABLE}
    assert town.site.headers("first.json") == ["", "if-none-match"]
    if doing == "fetch":
        assert town.site.headers("second.json")[1] == "range"
