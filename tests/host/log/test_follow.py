"""Following: nothing is folded that a quorum did not cosign, whoever serves it and however."""

import shutil
from collections.abc import Callable

import pytest

from answerable.host.home import Home
from answerable.host.log.follow import tile_path
from answerable.host.network.client import HttpUnavailable
from answerable.kernel.canon import Json
from answerable.kernel.checkpoint import Checkpoint
from answerable.kernel.errors import Refused
from answerable.kernel.merkle import leaf_hash
from answerable.kernel.note import COSIGNATURE
from answerable.keys.sign import cosign
from tests.fakes.host_world import HostWorld
from tests.host.conftest import Site
from tests.simulator import GUARDS
from tests.simulator.keys import pair, vkeys
from tests.simulator.log import cosigned_note, fork

CHECKPOINT = "/log/authority/checkpoint"


def grow(world: HostWorld, count: int) -> None:
    """Append records that the fold makes nothing of."""
    for _ in range(count):
        world.sim.append(b"record %d" % len(world.entries))


def same(home: Home, world: HostWorld) -> bool:
    """Tell whether a host's fold is the world's."""
    return home.kept.state.digest() == world.sim.state.digest()


def refusal(act: Callable[[], object]) -> str:
    """Give the reason of a refusal."""
    with pytest.raises(Refused) as refused:
        act()
    return refused.value.reason


@pytest.mark.parametrize("total", [255, 256, 257, 512, 700])
def test_any_size_is_followed_from_nothing(site: Site, total: int) -> None:
    """Full and partial tiles and bundles, also where one just fills up."""
    grow(site.world, total - len(site.world.entries))
    home = site.home()
    assert home.follower.follow() == total
    assert same(home, site.world)


def test_it_goes_on_where_it_stood_before_a_restart(site: Site) -> None:
    """Growth of many sizes, a new process each time, always the world's own state."""
    for count in (1, 2, 250, 3, 1, 300, 1):
        grow(site.world, count)
        home = site.home()
        home.follower.follow()
        assert same(home, site.world)


def test_few_new_records_cost_few_bytes(site: Site) -> None:
    """Only the rest of a tile and of a bundle is asked for."""
    grow(site.world, 100)
    site.home().follower.follow()
    site.world.ranges.clear()
    size = len(site.world.entries)
    grow(site.world, 1)
    site.home().follower.follow()
    offset = sum(len(e) + 2 for e in site.world.entries[:size])
    assert site.world.ranges == [f"bytes={size * 32}-", f"bytes={offset}-"]


def test_a_full_tile_stands_in_for_a_partial_one_that_is_gone(site: Site) -> None:
    """C2SP tlog-tiles: partial tiles may be removed once the full one is there."""
    grow(site.world, 100)
    note = site.world.answer("GET", CHECKPOINT, b"")[1]
    size = len(site.world.entries)
    grow(site.world, 300)
    site.world.instead[CHECKPOINT] = note
    real = site.world.answer

    def answer(method: str, target: str, body: bytes) -> tuple[int, bytes]:
        return (404, b"") if f".p/{size}" in target else real(method, target, body)

    site.world.answer = answer  # type: ignore[method-assign]
    assert site.home().follower.follow() == size


def test_two_guards_make_no_quorum(site: Site) -> None:
    """A head that too few cosigned is not followed."""
    at = Checkpoint(
        site.world.sim.origin, len(site.world.entries), site.world.sim.state.tree.root()
    )
    site.world.instead[CHECKPOINT] = cosigned_note(at, "witness", {"g1": 5, "g2": 5})
    site.world.dead |= set(GUARDS)
    home = site.home()
    with pytest.raises((Refused, HttpUnavailable)):
        home.follower.follow()
    assert home.kept.state.tree.size == 0


def test_the_mirrors_make_a_quorum_together(site: Site) -> None:
    """With the log gone, the guards' own lines over the same head are put together."""
    site.world.dead.add("log")
    home = site.home()
    home.follower.follow()
    assert same(home, site.world)


def test_one_lying_mirror_does_not_spoil_the_others(site: Site) -> None:
    """A bad line of a known key would refuse the whole note; the liar's note is left out."""
    site.world.dead.add("log")
    home = site.home()
    mirror = home.follower.mirrors()[0].base.removeprefix(site.world.url)
    at = Checkpoint(
        site.world.sim.origin, len(site.world.entries), site.world.sim.state.tree.root()
    )
    bad = cosigned_note(at, "witness", {"g1": 5}).replace(b"g1.example", b"g2.example")
    site.world.instead[f"{mirror}/checkpoint"] = bad
    home.follower.follow()
    assert same(home, site.world)


def test_another_history_is_refused(site: Site) -> None:
    """Guards that cosign a fork of what this host has are found out, also at an older size."""
    home = site.home()
    home.follower.follow()
    size = home.kept.state.tree.size
    forked = fork(site.world.sim.state.tree, [leaf_hash(b"x")] * 3, size - 2)
    times = dict.fromkeys(GUARDS, site.world.sim.now)
    for many in (size - 1, size + 1):
        at = Checkpoint(site.world.sim.origin, many, forked.root(many))
        site.world.instead[CHECKPOINT] = cosigned_note(at, "witness", times)
        site.world.dead |= set(GUARDS)
        grow(site.world, 1)
        assert refusal(home.follower.follow) == "split_view"
        assert home.kept.state.tree.size == size


def test_records_that_are_not_the_cosigned_ones_are_not_folded(site: Site) -> None:
    """A log that serves other bytes behind an honest head is passed by for a mirror."""
    size = len(site.world.entries)
    path = f"/log/authority/tile/entries/000.p/{size}"
    honest = site.world.answer("GET", path, b"")[1]
    site.world.instead[path] = honest[:-3] + b"xyz"
    home = site.home()
    site.world.dead |= set(GUARDS)
    assert refusal(home.follower.follow) == "bad_inclusion"
    assert home.kept.state.tree.size == size - 1, "what came before was right"
    site.world.dead.clear()
    home.follower.follow()
    assert same(home, site.world)


@pytest.mark.parametrize("data", [b"", b"\xff\xff", b"\0", b"x" * 100_000])
def test_garbage_for_tiles_is_no_record(site: Site, data: bytes) -> None:
    """Short, long and senseless bytes are refused, and what is kept stays as it was."""
    size = len(site.world.entries)
    site.world.dead |= set(GUARDS)
    for level in ("0", "entries"):
        site.world.instead = {f"/log/authority/tile/{level}/000.p/{size}": data}
        home = site.home()
        with pytest.raises((Refused, HttpUnavailable)):
            home.follower.follow()
        assert home.kept.state.tree.size == 0


def test_a_head_of_an_absurd_size_is_not_fetched(site: Site) -> None:
    """An unsigned head cannot make the host read for ever."""
    at = Checkpoint(site.world.sim.origin, 1 << 59, b"\0" * 32)
    site.world.instead[CHECKPOINT] = cosigned_note(at, "witness", {"g1": 5})
    site.world.dead |= set(GUARDS)
    assert refusal(site.home().follower.follow) == "too_large"
    assert not [path for path in site.world.asked if "/tile/" in path]


def test_a_charter_among_the_new_records_brings_its_own_guards(site: Site) -> None:
    """Guards whose keys changed cosign the very head that holds the charter which names them."""
    home = site.home()
    home.follower.follow()

    def rotate(body: Json) -> None:
        for guard in GUARDS:
            keys = pair(f"{guard}.example/witness", COSIGNATURE, generation=2)
            body["guards"][guard]["witness"] = vkeys(keys)

    site.world.sim.succeed(rotate, "dana", "lee")
    grow(site.world, 2)
    tree = site.world.sim.state.tree
    at = Checkpoint(site.world.sim.origin, tree.size, tree.root())
    lines = "".join(
        cosign(at, 5, *pair(f"{g}.example/witness", COSIGNATURE, generation=2)) for g in GUARDS
    )
    site.world.instead[CHECKPOINT] = f"{at.text()}\n{lines}".encode()
    home.follower.follow()
    assert home.kept.state.law().body["number"] == 2
    assert same(home, site.world)


def test_a_charter_from_elsewhere_is_kept(site: Site) -> None:
    """`host charter FILE`: in force at once, and after a restart."""
    home = site.home()
    home.follower.follow()
    note = site.world.sim.succeed(lambda _: None, "dana", "lee", logged=False)
    home.follower.take(note)
    assert site.home().kept.state.law().body["number"] == 2
    assert same(site.home(), site.world)
    assert refusal(lambda: home.follower.take(note)) == "stale_charter"


def test_a_log_of_another_charter_is_refused(site: Site) -> None:
    """The host was given one charter 1 by a person; a log with another is another fleet's."""
    other = HostWorld(url=site.world.url)
    other.found(charter=lambda body: body.update(name="another"))
    site.world.sim = other.sim
    home = site.home()
    assert refusal(home.follower.follow) in ("bad_charter", "wrong_fleet")


def test_a_torn_save_is_cut_off(site: Site) -> None:
    """Leaf hashes that were appended before the power went are not believed."""
    home = site.home()
    home.follower.follow()
    with (site.place / "log" / "leaves").open("ab") as file:
        file.write(b"x" * 33)
    assert same(site.home(), site.world)
    grow(site.world, 1)
    home = site.home()
    home.follower.follow()
    assert same(home, site.world)
    assert same(site.home(), site.world)


@pytest.mark.parametrize("name", ["leaves", "state.json"])
def test_damage_to_the_kept_log_is_found(site: Site, name: str) -> None:
    """A flipped bit, or half a file, is said, and the way out with it."""
    site.home().follower.follow()
    path = site.place / "log" / name
    data = path.read_bytes()
    for broken in (data[: len(data) // 2], b"x" + data[1:]):
        path.write_bytes(broken)
        with pytest.raises(Exception, match=r"damaged|no JSON") as error:
            site.home()
        assert "remove" in str(error.value) or "correct" in str(error.value)
    shutil.rmtree(site.place / "log")
    home = site.home()
    home.follower.follow()
    assert same(home, site.world)


def test_tile_names_are_those_of_c2sp() -> None:
    """The example of tlog-tiles."""
    assert tile_path("0", 1234067) == "tile/0/x001/x234/067"
    assert tile_path("entries", 0) == "tile/entries/000"
