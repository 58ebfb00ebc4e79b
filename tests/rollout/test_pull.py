"""Hosts that come for their bundles get exactly what is handed out to them."""

import json
from hashlib import sha256
from pathlib import Path

import pytest

from answerable.rollout.executor import ExecutorUnavailable
from answerable.rollout.pull import PullExecutor
from answerable.rollout.view import Order
from tests.fakes.fleet import NOTICE, order

H0, H1 = order("h0"), order("h1")


def build(notice: str, one: Order) -> bytes:
    """Make a stand-in for a bundle."""
    return f"{notice} {one.digest}".encode()


def digests(executor: PullExecutor, host: str) -> list[str]:
    """Give what a host is told to fetch."""
    found = json.loads(executor.listed(host))
    assert isinstance(found, list)
    return found


def test_a_published_bundle_is_listed_for_its_host_alone(tmp_path: Path) -> None:
    """The list names digests, and each digest gives bytes that hash to it."""
    executor = PullExecutor(tmp_path, build)
    executor.publish(NOTICE, [H0])
    (digest,) = digests(executor, "h0")
    data = executor.read(digest)
    assert data == build(NOTICE, H0)
    assert sha256(data).hexdigest() == digest
    assert digests(executor, "h1") == []


def test_publishing_again_keeps_the_bundle_that_was_handed_out(tmp_path: Path) -> None:
    """A bundle carries a checkpoint of its day; doing it twice must not list two."""
    PullExecutor(tmp_path, build).publish(NOTICE, [H0])
    PullExecutor(tmp_path, lambda *_: b"another").publish(NOTICE, [H0])
    executor = PullExecutor(tmp_path, build)
    assert digests(executor, "h0") == [sha256(build(NOTICE, H0)).hexdigest()]


def test_a_withdrawn_bundle_is_listed_no_more(tmp_path: Path) -> None:
    """Taking back works again and again, and for bundles that were never out."""
    executor = PullExecutor(tmp_path, build)
    executor.publish(NOTICE, [H0, H1])
    for _ in range(2):
        executor.withdraw(NOTICE, [H0, order("h9")])
    assert digests(executor, "h0") == []
    assert len(digests(executor, "h1")) == 1


def test_bundles_of_several_notices_stand_in_the_order_of_their_coming(tmp_path: Path) -> None:
    """A host may be in several plans."""
    executor = PullExecutor(tmp_path, build)
    other = "cd" * 32
    executor.publish(other, [H0])
    executor.publish(NOTICE, [H0])
    assert digests(executor, "h0") == [
        sha256(build(other, H0)).hexdigest(), sha256(build(NOTICE, H0)).hexdigest(),
    ]  # fmt: skip


def test_an_undo_is_asked_for_by_listing_the_bundle_that_carries_it(tmp_path: Path) -> None:
    """A host whose bundle was taken back finds it again."""
    executor = PullExecutor(tmp_path, build)
    executor.publish(NOTICE, [H0])
    executor.withdraw(NOTICE, [H0])
    executor.ask_undo(NOTICE, [H0])
    assert len(digests(executor, "h0")) == 1


@pytest.mark.parametrize("name", ["..", "../hosts/h0", "/etc", "H0", "", "h0/x", "h" * 65])
def test_no_name_from_outside_becomes_a_path(tmp_path: Path, name: str) -> None:
    """Host names and digests come from the network."""
    executor = PullExecutor(tmp_path, build)
    executor.publish(NOTICE, [H0])
    assert executor.listed(name) == b"[]"
    assert executor.read(name) is None
    assert executor.read("0" * 64) is None


def test_half_written_files_are_written_again(tmp_path: Path) -> None:
    """A power cut may leave empty files; they are neither listed nor taken for done."""
    executor = PullExecutor(tmp_path, build)
    executor.publish(NOTICE, [H0])
    (tmp_path / "hosts" / "h0" / NOTICE).write_bytes(b"")
    assert digests(executor, "h0") == []
    executor.publish(NOTICE, [H0])
    assert len(digests(executor, "h0")) == 1


def test_a_full_disk_is_unavailable(tmp_path: Path) -> None:
    """What cannot be written is said to be so, and the rollout asks again."""
    executor = PullExecutor(tmp_path, build)
    (tmp_path / "hosts").rmdir()
    (tmp_path / "hosts").touch()
    with pytest.raises(ExecutorUnavailable):
        executor.publish(NOTICE, [H0])
