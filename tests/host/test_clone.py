"""Jobs of a clone: closed, bounded, done in turn; what is refused leaves the others as they are."""

import io
from collections.abc import Mapping, Sequence
from hashlib import sha256
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from answerable.host import clone
from answerable.host.clone import driver_of, read_job, rehearse
from answerable.host.driver import ArtefactDiffers, Foreseen, Staged, TransactionDiffers
from answerable.host.files import HomeUnavailable
from answerable.kernel.canon import Json, encode
from answerable.kernel.errors import Refused
from tests.fakes.fake_driver import FakeDriver
from tests.kernel.near import near_bytes

BLOBS = {"a": b"bytes of a", "b": b"of b"}


def move(name: str, before: str = "1", after: str = "2") -> Json:
    """One package of a job."""
    data = BLOBS[name]
    digest = sha256(data).hexdigest()
    return {"name": name, "from": before, "to": after, "sha256": digest, "size": len(data)}


def job(*changes: Sequence[Json], allow: Sequence[str] = ()) -> Json:
    """A job of such changes."""
    moves = [list(change) for change in changes]
    return {"allow": list(allow), "changes": moves, "ecosystem": "debian:12", "kind": "apt"}


GOOD = job([move("a")], [move("b")], allow=["unit"])


class Clone(FakeDriver):
    """A driver whose rehearsals are told beforehand: by package, the effects or a refusal."""

    told: Mapping[str, Foreseen | TransactionDiffers]

    def preview(self, staged: Staged, *, undo: bool = False) -> Foreseen | None:
        """See the port."""
        super().preview(staged, undo=undo)
        found = self.told.get(staged.packages[0].name)
        if isinstance(found, TransactionDiffers):
            raise found
        return found


def made(folder: Path, told: Mapping[str, Foreseen | TransactionDiffers]) -> Clone:
    """A clone on which `a` and `b` are at 1."""
    driver = Clone(folder / "clone")
    driver.install({"a": "1", "b": "1"})
    driver.told = told
    return driver


SEEN = Foreseen("ab" * 32, {"unit": ("/u",)}, [{"is": "gone", "path": "/x"}], ("x.service start",))


def test_changes_are_done_one_after_another(tmp_path: Path) -> None:
    """Each finds the clone as those before left it; nobody needs the last one to be done."""
    driver = made(tmp_path, {"a": SEEN, "b": SEEN})
    again = job([move("a")], [move("a", "2", "3"), move("b")])
    found = rehearse(again, io.BytesIO(BLOBS["a"] + BLOBS["b"]), driver)
    told = {"effects": "ab" * 32, "lines": [{"is": "gone", "path": "/x"}],
            "sensitive": {"unit": ["/u"]}, "asked": ["x.service start"]}  # fmt: skip
    assert found == [told, told]
    assert driver.applied == ["a 2"]


def test_a_refused_change_is_left_out_and_the_next_goes_on(tmp_path: Path) -> None:
    """What a change would do that nobody explains is named; it is never done, also not here."""
    why = TransactionDiffers("not explained", ["/etc/x: nobody ships it"])
    driver = made(tmp_path, {"a": why, "b": SEEN})
    found = rehearse(GOOD, io.BytesIO(BLOBS["a"] + BLOBS["b"]), driver)
    assert found[0] == {"refused": "not explained", "paths": ["/etc/x: nobody ships it"]}
    assert found[1]["effects"] == "ab" * 32
    assert driver.applied == []


def test_a_clone_that_has_it_already_is_named(tmp_path: Path) -> None:
    """Without a rehearsal there is no hash, so there is no answer that looks like one."""
    found = rehearse(GOOD, io.BytesIO(BLOBS["a"] + BLOBS["b"]), made(tmp_path, {}))
    assert "already" in found[0]["refused"]


@pytest.mark.parametrize("data", [b"bytes of A" + BLOBS["b"], b"bytes", b""])
def test_other_bytes_are_no_rehearsal(tmp_path: Path, data: bytes) -> None:
    """Artefacts are hashed before any tool reads them."""
    with pytest.raises(ArtefactDiffers):
        rehearse(GOOD, io.BytesIO(data), made(tmp_path, {"a": SEEN, "b": SEEN}))


def test_a_job_is_closed() -> None:
    """It comes from whoever plans, and what reads it is root."""
    assert read_job(encode(GOOD).encode()) == GOOD
    twice = job([move("a")], [{**move("a"), "size": 11}])
    big = job([{**move("a"), "size": (1 << 30) + 1}])
    many = job(*[[move("a")]] * 257)
    path = {**GOOD, "root": "/"}
    for odd in (twice, big, many, path, job([]), job([move("a")], allow=["everything"])):
        with pytest.raises(Refused, match="malformed"):
            read_job(encode(odd).encode())


@given(near_bytes(encode(GOOD).encode()) | st.binary(max_size=200))
def test_nothing_but_a_refusal_leaves_it(data: bytes) -> None:
    """Untrusted bytes are a job or refused."""
    try:
        read = read_job(data)
    except Refused:
        return
    assert encode(read).encode() == data


def test_only_drivers_of_packages_rehearse(tmp_path: Path) -> None:
    """A kind that needs more than a job may say, such as a path, is none."""
    with pytest.raises(HomeUnavailable):
        driver_of({**GOOD, "kind": "venv"}, tmp_path / "state")
    with pytest.raises(HomeUnavailable):
        driver_of({**GOOD, "kind": "sh"}, tmp_path / "state")


def test_what_is_no_clone_is_an_answer(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whoever asked reads one line of JSON whatever happens."""
    monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO(b"no job\n")))
    monkeypatch.setattr(clone, "STATE", tmp_path / "state")
    assert clone.main([]) == 1
    assert "canonical JSON" in capsys.readouterr().out
