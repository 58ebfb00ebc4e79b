"""What nobody ordered is listed: versions, images and files that no record of a change explains."""

import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from answerable.observe.look import Unseen
from answerable.observe.observer import Rounds
from answerable.observe.reconcile import (
    ANY,
    ARTEFACTS,
    LOOKS,
    UNDER_WAY,
    Books,
    Move,
    Unexplained,
    images,
    moved,
    of_layout,
    of_list,
)
from tests.observe.stage import NEW, OLD, Stage

FIRST = {"libssl3": "1", "jq": "1"}
UP = Move("libssl3", "1", "2", "a" * 64)
DIGEST, OTHER = "d" * 64, "e" * 64


@pytest.fixture
def books(tmp_path: Path) -> Books:
    """Accounts of a host that was met."""
    made = Books(tmp_path)
    assert made.check("web1", FIRST, (), (), 10) == []
    return made


def after(books: Books, found: dict[str, str], *moves: Move, now: int = 20) -> list[Unexplained]:
    """Look as often as it takes; give what is unexplained."""
    said: list[Unexplained] = []
    for _ in range(LOOKS):
        said = books.check("web1", found, moves, (), now)
    return said


def test_unchanged_host_explains_itself(books: Books) -> None:
    """What was there at the first look is the host's own."""
    assert after(books, FIRST) == []


@pytest.mark.parametrize(
    ("found", "name", "version"),
    [({**FIRST, "jq": "2"}, "jq", "2"), ({**FIRST, "nc": "1"}, "nc", "1"),
     ({"libssl3": "1"}, "jq", "")],
)  # fmt: skip
def test_change_without_a_record_is_listed(
    books: Books, found: dict[str, str], name: str, version: str
) -> None:
    """Attack: somebody upgrades, installs or removes a package beside every plan."""
    want = Unexplained("web1", name, FIRST.get(name, ""), version, 20)
    assert after(books, found, UP) == [want]
    assert books.all() == {"web1": (20, [want])}
    assert after(books, FIRST, now=30) == []
    assert books.all() == {"web1": (30, [])}


def test_one_look_accuses_nobody(books: Books) -> None:
    """A package tool may be in the middle of something."""
    assert books.check("web1", {}, (), (), 20) == []


def test_reported_moves_explain(books: Books) -> None:
    """Forth, further, and back again, also if several happened between two looks."""
    more = Move("libssl3", "2", "3", "b" * 64)
    assert after(books, {**FIRST, "libssl3": "3"}, UP, more) == []
    assert books.artefacts("web1") == {"libssl3": "b" * 64}
    back = Move("libssl3", "3", "1", "c" * 64)
    assert after(books, FIRST, UP, more, back) == []
    assert books.artefacts("web1") == {"libssl3": "c" * 64}


def test_package_that_came_new_and_went_again_is_explained(books: Books) -> None:
    """An order spells what is not there `(none)`; what went is compared with no artefact."""
    packages = [{"name": "nc", "from": "(none)", "to": "1", "sha256": "b" * 64}]
    back = [{"name": "nc", "from": "1", "to": "(none)", "sha256": "b" * 64}]
    order = {
        "changes": [{"id": "up", "packages": packages}],
        "undo": [{"id": "b", "packages": back}],
    }
    came, waits = moved([(order, {"up": "succeeded"})])
    assert waits == [("nc", "")]
    assert after(books, {**FIRST, "nc": "1"}, *came) == []
    assert books.artefacts("web1") == {"nc": "b" * 64}
    went, _ = moved([(order, {"up": "succeeded", "b": "succeeded"})])
    assert after(books, FIRST, *went) == []
    assert books.artefacts("web1") == {}


def test_move_of_another_package_explains_nothing(books: Books) -> None:
    """Attack: the version of one package behind a record of another, or the other way round."""
    other = Move("jq", "1", "2", "a" * 64), Move("libssl3", "2", "1", "a" * 64)
    assert [row.name for row in after(books, {**FIRST, "libssl3": "2"}, *other)] == ["libssl3"]


def test_order_under_way_has_time_to_report(books: Books) -> None:
    """What an order is about to bring may be there before the host says so, but not for ever."""
    found, way = {**FIRST, "libssl3": "2"}, [("libssl3", "2")]
    for now in (20, 30, 20 + UNDER_WAY - 1):
        assert books.check("web1", found, (), way, now) == []
    assert len(books.check("web1", found, (), way, 20 + UNDER_WAY)) == 1
    assert books.check("web1", found, [UP], (), 20 + UNDER_WAY) == []


def test_damaged_account_is_a_first_look(books: Books, tmp_path: Path) -> None:
    """A file that no observer wrote accounts for nothing."""
    (tmp_path / "web1.json").write_text("{}")
    assert books.all() == {}
    assert books.check("web1", {"jq": "9"}, (), (), 20) == []


def test_account_stays_small(tmp_path: Path) -> None:
    """Only so many packages' files are compared again and again."""
    books, many = Books(tmp_path), range(ARTEFACTS + 5)
    books.check("web1", {f"p{n}": "1" for n in many}, (), (), 10)
    moves = [Move(f"p{n}", "1", "2", "a" * 64) for n in many]
    books.check("web1", {f"p{n}": "2" for n in many}, moves, (), 20)
    assert len(books.artefacts("web1")) == ARTEFACTS


def test_image_is_explained_by_its_digest(books: Books) -> None:
    """An image that a notice names is known, another is not."""
    books.check("images-r", {"app": DIGEST}, (), (), 10)
    known = [Move("app", ANY, OTHER, "")]
    assert books.check("images-r", {"app": OTHER}, known, (), 20) == []
    for _ in range(LOOKS):
        said = books.check("images-r", {"app": "f" * 64}, known, (), 30)
    assert [row.found for row in said] == ["f" * 64]


def test_images_are_read(tmp_path: Path) -> None:
    """From the index of a layout, or from a list."""
    name = {"org.opencontainers.image.ref.name": "app"}
    rows = [{"digest": f"sha256:{DIGEST}", "annotations": name}, {"digest": f"sha256:{OTHER}"}]
    (tmp_path / "index.json").write_text(json.dumps({"schemaVersion": 2, "manifests": rows}))
    assert images(tmp_path) == {"app": DIGEST, f"sha256:{OTHER}": OTHER}
    file = tmp_path / "list"
    file.write_text(f"# ours\n\nregistry/app:1 sha256:{DIGEST}\n")
    assert images(file) == {"registry/app:1": DIGEST}
    with pytest.raises(Unseen):
        images(tmp_path / "gone")


@pytest.mark.parametrize("odd", ["9" * 5000, "1\t2", "1\x1b[2J"])
def test_no_word_of_a_host_makes_its_next_look_a_first_one(books: Books, odd: str) -> None:
    """Attack: a version that no account can hold, so that the host is met anew and believed."""
    (row,) = after(books, {**FIRST, "jq": odd})
    assert row.found.startswith("odd-")
    books.tell("web1", row.subject)
    assert not books.untold("web1", row.subject)
    assert after(books, {**FIRST, odd: "1"})[0].found == "1"
    assert [each.name for each in after(books, {**FIRST, "nc": "1"})] == ["nc"]


def test_an_account_that_could_not_be_read_again_is_not_written(
    books: Books, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Attack: a host says so much that its account is cut, and is met anew."""
    monkeypatch.setattr("answerable.observe.reconcile.FILE", 1000)
    with pytest.raises(Unseen, match="more than 1000 bytes"):
        books.check("web1", {f"p{n}": "1" for n in range(100)}, (), (), 20)
    assert [each.name for each in after(books, {**FIRST, "nc": "1"})] == ["nc"]


@given(st.binary(max_size=80) | st.sampled_from([b'{"manifests":[1]}', b"[]", b'{"manifests":0}',
       b'{"manifests":[{"digest":1}]}', b'{"manifests":[{"digest":"md5:1"}]}']))  # fmt: skip
def test_what_is_no_index_is_unseen(data: bytes) -> None:
    """Whatever the bytes, there is a table or `Unseen`."""
    for read in (of_layout, of_list):
        try:
            assert isinstance(read(data), dict)
        except Unseen:
            continue


@pytest.fixture
def stage(tmp_path: Path) -> Stage:
    """A plan of three rings whose window is over."""
    return Stage(tmp_path)


def kinds(stage: Stage) -> list[tuple[str, str]]:
    """Give kind and subject of what was found."""
    return [(f["kind"], f["subject"]) for f in stage.told("finding")]


def test_noticed_change_is_explained(stage: Stage) -> None:
    """A host that does what was ordered, and says so, leaves nothing open."""
    observer = stage.observer(rounds=Rounds(0))
    stage.watch(observer, times=1)
    stage.done("web1")
    stage.watch(observer)
    assert kinds(stage) == []


def test_change_beside_the_plan_is_found(stage: Stage) -> None:
    """Attack: a host changes to the very version that is planned, without order or report."""
    observer = stage.observer(rounds=Rounds(0))
    stage.watch(observer, times=1)
    stage.install("web2", NEW)
    stage.watch(observer)
    assert kinds(stage) == [
        ("unexplained_change", f"web2 {name} {OLD} {NEW}") for name in ("libssl3", "openssl")
    ]
    stage.watch(stage.observer(rounds=Rounds(0)))
    assert len(kinds(stage)) == 2


def test_file_put_back_later_is_found(stage: Stage) -> None:
    """Attack: long after the look and the soak an old file is put back."""
    observer = stage.observer(rounds=Rounds(0))
    stage.watch(observer, times=1)
    stage.done("web1")
    stage.watch(observer)
    stage.tampered["web1"] = ("`usr/lib/x/libssl.so.3` of libssl3 has other bytes",)
    stage.watch(observer)
    assert [kind for kind, _ in kinds(stage)] == ["files_differ"]


def test_image_that_no_notice_names_is_found(stage: Stage) -> None:
    """Attack: another image under a known name."""
    file = stage.folder / "images"
    file.write_text(f"app sha256:{DIGEST}\n")
    observer = stage.observer(rounds=Rounds(0, {"registry": file}))
    stage.watch(observer, times=1)
    file.write_text(f"app sha256:{OTHER}\n")
    stage.watch(observer)
    assert kinds(stage) == [("unexplained_change", f"images-registry app {DIGEST} {OTHER}")]
