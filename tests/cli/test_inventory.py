"""`answerable inventory`: what is brought in, and what is shown of it."""

import json
import os
from pathlib import Path

import pytest

from answerable.bootstrap import sources
from answerable.cli.main import main
from answerable.config import Party, write_party
from answerable.inventory.installed import Unreadable
from tests.inventory.generated import FOLDER
from tests.inventory.images import layout, tar
from tests.inventory.test_image import APP, DEBIAN
from tests.simulator import Simulator

SBOM = FOLDER / "syft-deb.cdx.json"


@pytest.fixture
def control(tmp_path: Path) -> Path:
    """A control plane's directory; web1 is enrolled and was never heard of."""
    place = tmp_path / "control"
    place.mkdir(mode=0o700)
    write_party(Party(place, "control", "p1", "team", "", "", {"log": "http://127.0.0.1:9"}))
    enrolled = Simulator().members["web1"].enrolled
    path = [step.hex() for step in enrolled.path]
    row = {"record": enrolled.record, "enrolment": enrolled.enrolment, "place": enrolled.place}
    (place / "hosts.json").write_text(json.dumps([{**row, "path": path}]))
    return place


def run(capfd: pytest.CaptureFixture[str], *words: object) -> tuple[int, str, str]:
    """Run a command; give its exit code and what it said."""
    code = main(["inventory", *map(str, words)])
    captured = capfd.readouterr()
    return code, captured.out, captured.err


def test_a_document_is_brought_in_and_shown(
    control: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    """A document becomes a host of the fleet, with zones and an owner; its packages are shown."""
    words = ("--name", "shop", "--zone", "pci", "--owner", "dana")
    assert run(capfd, "import", control, SBOM, *words) == (0, "shop 12\n", "")
    code, out, _ = run(capfd, "show", control, "--output", "json")
    shop, web1 = sorted(json.loads(out), key=lambda row: str(row["host"]))
    assert code == 0
    assert (shop["packages"], shop["zones"], shop["owner"]) == (12, ["pci"], "dana")
    assert (web1["host"], web1["state"], web1["heard"]) == ("web1", "unknown", "never")
    code, out, _ = run(capfd, "show", control, "shop")
    assert "debian:12\tpasswd\t1:4.13+dfsg1-1+b1\tamd64\tshadow\tinstalled" in out.splitlines()


def test_an_old_document_is_unknown(control: Path, capfd: pytest.CaptureFixture[str]) -> None:
    """What was so long ago is not known to be so today."""
    old = ("--taken", "2024-01-01")
    assert run(capfd, "import", control, SBOM, "--name", "shop", *old)[:2] == (0, "shop 12\n")
    code, out, err = run(capfd, "show", control, "shop")
    assert (code, len(out.splitlines())) == (0, 12)
    assert "nothing is fine" in err


def test_the_time_of_a_document_is_its_files(
    control: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    """A document that lay about for a year does not become fresh by being read."""
    copy = tmp_path / "shop.json"
    copy.write_bytes(SBOM.read_bytes())
    os.utime(copy, (1_700_000_000, 1_700_000_000))
    run(capfd, "import", control, copy)
    (shop,) = [r for r in json.loads(run(capfd, "show", control, "--output", "json")[1])
               if r["host"] == "shop.json"]  # fmt: skip
    assert (shop["seen"], shop["state"]) == (1_700_000_000, "unknown")


def test_an_enrolled_host_tells_for_itself(
    control: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    """Nobody brings in a document that makes an enrolled host look patched."""
    table = tmp_path / "table.csv"
    table.write_text("host,purl\nweb1,pkg:npm/a@9\n")
    for words in ((SBOM, "--name", "web1"), (table,)):
        code, _, err = run(capfd, "import", control, *words)
        assert code == 2
        assert "`web1` is enrolled and tells for itself" in err


def test_a_table_brings_hosts(
    control: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    """Hosts without packages are known by name and stay unknown; gaps are counted and shown."""
    table = tmp_path / "table.csv"
    table.write_text("ci;zone;purl\ndb1;;\ndb2;eu;pkg:npm/a@1\ndb2;eu;pkg:generic/b@1\n")
    columns = ("--column", "host=ci", "--column", "zones=zone")
    code, out, err = run(capfd, "import", control, table, *columns)
    assert (code, out) == (0, "db1 0\ndb2 1\n")
    assert "db1: no package of it is named: it stays unknown" in err
    assert "db2: 1 more match no advisory" in err
    states = {r["host"]: r["state"]
              for r in json.loads(run(capfd, "show", control, "--output", "json")[1])}  # fmt: skip
    assert states == {"db1": "unknown", "db2": "known", "web1": "unknown"}
    assert "pkg:generic/b@1" in run(capfd, "show", control, "db2")[2]


def test_an_image_is_brought_in(
    control: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    """The instance of an image is its digest."""
    layout(tmp_path / "image", tar(*DEBIAN), tar(*APP))
    code, out, _ = run(capfd, "import", control, tmp_path / "image", "--name", "shop")
    assert (code, out) == (0, "shop 6\n")
    (read,) = sources.read_source(tmp_path / "image", sources.Given())
    assert (read.kind, read.inventory.host, len(read.inventory.instance)) == ("image", "image", 64)


@pytest.mark.needs("apt")
def test_this_machine_is_shown_without_any_setting(capfd: pytest.CaptureFixture[str]) -> None:
    """The first command that somebody tries works."""
    code, out, _ = run(capfd, "show")
    assert code == 0
    assert len(out.splitlines()) > 50


@pytest.mark.parametrize(
    ("words", "code", "said"),
    [
        (["show", "nowhere"], 2, "does not exist"),
        (["import", "control", "nowhere"], 2, "does not exist"),
        (["import", "control", "a", "b", "--name", "x"], 2, "is for one source"),
        (["import", "control", "a", "--column", "x"], 2, "is no `column=name"),
        (["show", "control", "nobody"], 2, "`nobody` was never heard of"),
        (["show", "a"], 1, "is neither a root, an image, CycloneDX nor SPDX"),
        (["show", "empty"], 1, "has no package database"),
    ],
)
def test_what_cannot_be_done_is_said_in_one_line(
    control: Path,
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
    words: list[str],
    code: int,
    said: str,
) -> None:
    """Wrong usage is 2, what cannot be read is 1."""
    monkeypatch.chdir(control.parent)
    Path("a").write_text("x")
    Path("b").write_text("x")
    Path("empty").mkdir()
    found, out, err = run(capfd, *words)
    assert (found, out, err.count("\n")) == (code, "", 1)
    assert said in err


def test_a_strange_file_is_unreadable(tmp_path: Path) -> None:
    """A folder in the place of a file, and a packed archive."""
    (tmp_path / "x").write_bytes(b"\x1f\x8b....")
    with pytest.raises(Unreadable, match="unpack it first"):
        sources.read_source(tmp_path / "x", sources.Given())
