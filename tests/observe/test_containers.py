"""Container images on a host are listed from files, and those that nobody named are found."""

import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from answerable.observe.containers import docker, held, storage
from answerable.observe.foot import answer
from answerable.observe.look import Place, Unseen
from answerable.observe.observer import Rounds
from answerable.observe.reconcile import Books
from answerable.observe.ways import images
from tests.kernel.near import near_bytes
from tests.observe.stage import Stage

ID, MANIFEST, LIST = "a" * 64, "b" * 64, "c" * 64
NGINX = "docker.io/library/nginx:1.27"
STORAGE, ROOTLESS = "var/lib/containers/storage", "home/alice/.local/share/containers/storage"
ROW = {
    "id": ID, "digest": f"sha256:{MANIFEST}", "names": [NGINX], "layer": "x", "created": "2026",
    "big-data-names": ["manifest"],
    "big-data-digests": {f"sha256:{ID}": f"sha256:{ID}", "manifest": f"sha256:{MANIFEST}",
                         f"manifest-sha256:{LIST}": f"sha256:{LIST}"},
}  # fmt: skip
INDEX = json.dumps([ROW]).encode()
DOCKER = json.dumps({"Repositories": {"app": {
    "app:2": f"sha256:{ID}", f"app@sha256:{MANIFEST}": f"sha256:{ID}"
}}}).encode()  # fmt: skip


def lay(root: Path, place: str, data: bytes) -> None:
    """Write a file of a host."""
    (root / place).parent.mkdir(parents=True, exist_ok=True)
    (root / place).write_bytes(data)


def test_images_of_every_keeper_are_listed(tmp_path: Path) -> None:
    """Podman with and without root, Docker; with every digest that somebody may have named."""
    assert held(tmp_path) == {}
    lay(tmp_path, f"{STORAGE}/overlay-images/images.json", INDEX)
    lay(tmp_path, f"{STORAGE}/overlay-layers/layers.json", b"not ours")
    lay(tmp_path, f"{ROOTLESS}/vfs-images/images.json", json.dumps([{"id": ID}]).encode())
    lay(tmp_path, "var/lib/docker/image/overlay2/repositories.json", DOCKER)
    expected = {
        f"podman:{NGINX}": [MANIFEST, LIST, ID], f"home/alice:{ID}": [ID],
        "docker:app:2": [MANIFEST, ID],
    }  # fmt: skip
    assert held(tmp_path) == images(Place(tmp_path, "rpm")) == expected
    assert json.loads(answer("images", tmp_path)) == expected
    assert images(Place(tmp_path, "python")) == {}


@pytest.mark.parametrize(
    "data", [b"{}", b"[1]", b"[{}]", b'[{"id":"x"}]', b'[{"id":1}]', b"[" * 99_999, b"\xff"]
)
def test_index_that_cannot_be_read_is_unseen(tmp_path: Path, data: bytes) -> None:
    """Silence proves nothing: a damaged index is no empty one."""
    lay(tmp_path, f"{STORAGE}/overlay-images/images.json", data)
    with pytest.raises(Unseen):
        held(tmp_path)


def test_index_that_is_a_link_or_too_large_is_unseen(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Attack: an index that leads to our own files, or has no end."""
    place = f"{STORAGE}/overlay-images/images.json"
    lay(tmp_path, place, INDEX)
    monkeypatch.setattr("answerable.observe.containers.INDEX", 10)
    with pytest.raises(Unseen, match="more than 10 bytes"):
        held(tmp_path)
    (tmp_path / place).unlink()
    (tmp_path / place).symlink_to("/etc/passwd")
    with pytest.raises(Unseen):
        held(tmp_path)


def test_image_on_a_host_that_no_notice_names_is_listed(tmp_path: Path) -> None:
    """Attack: an image is pulled, or moved under a known name, beside every plan."""
    stage = Stage(tmp_path)
    place = f"web1/{STORAGE}/overlay-images/images.json"
    artefact = next(iter(stage.sim.state.notices.values()))["body"]["artefacts"][0]
    lay(tmp_path, place, INDEX)
    observer = stage.observer(rounds=Rounds(0))
    stage.watch(observer, times=1)
    named = {**ROW, "big-data-digests": {"manifest-sha256:x": f"sha256:{artefact}"}}
    lay(tmp_path, place, json.dumps([{**named, "digest": f"sha256:{LIST}"}]).encode())
    stage.watch(observer)
    assert stage.told("finding") == []
    other = {**ROW, "id": "e" * 64, "digest": f"sha256:{'d' * 64}", "big-data-digests": {}}
    more = {"id": "f" * 64, "names": ["localhost/miner:latest"]}
    lay(tmp_path, place, json.dumps([other, more]).encode())
    stage.watch(observer)
    found = {row["subject"] for row in stage.told("finding")}
    assert found == {
        f"images@web1 podman:{NGINX} {LIST} {'d' * 64}",
        f"images@web1 podman:localhost/miner:latest absent {'f' * 64}",
    }
    lay(tmp_path, place, b"[]")
    stage.watch(observer)
    assert Books(tmp_path / "o1/reconciled").all()["images@web1"][1] == []
    lay(tmp_path, place, b"damaged")
    stage.watch(observer, times=1)
    assert [line[:13] for line in observer.trouble] == ["`images@web1`"]


@given(near_bytes(INDEX, DOCKER) | st.binary(max_size=80))
def test_nothing_else_leaves_it(data: bytes) -> None:
    """Whatever the bytes, there are images or `Unseen`."""
    for read in (storage, docker):
        try:
            assert all(read(data).values())
        except Unseen:
            continue
