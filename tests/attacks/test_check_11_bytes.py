"""Check 11: typed actions, never down, and the bytes about to be used are those noticed."""

from collections.abc import Callable

from answerable.kernel.canon import Json
from tests.attacks.verdict import refused
from tests.simulator import NEW, OLD, Simulator
from tests.simulator.constitution import DEBIAN, blob


def without(field: str, value: str) -> Callable[[Json], None]:
    """Let a notice leave one thing out."""

    def edit(notice: Json) -> None:
        notice[field] = [one for one in notice[field] if one != value]

    return edit


def test_artefact_swapped_on_the_way(sim: Simulator) -> None:
    """The bytes that lie on the host are not the bytes that were noticed."""
    order = sim.permitted()
    sim.members["web1"].staged["libssl3"] = "ab" * 32
    refused(sim.ask(order), "artefact_swapped")


def test_artefact_never_fetched(sim: Simulator) -> None:
    """Nothing is staged for one of the packages."""
    order = sim.permitted()
    staged = {"libssl3": blob("libssl3", NEW)}
    refused(sim.ask(order, staged=staged), "artefact_swapped")


def test_artefact_that_the_notice_does_not_name(sim: Simulator) -> None:
    """The order holds bytes that nobody was told about."""
    sim.permitted()
    swapped = without("artefacts", blob("openssl", NEW))
    refused(sim.mutant(notice=swapped), "artefact_swapped")


def test_target_that_the_notice_does_not_name(sim: Simulator) -> None:
    """A version that nobody was told about, so that no veto of it would hold."""
    sim.permitted()
    hidden = without("targets", f"{DEBIAN}/libssl3@{NEW}")
    refused(sim.mutant(notice=hidden), "downgrade")


def test_downgrade_dressed_as_a_patch(sim: Simulator) -> None:
    """A dependency of a true fix that goes down."""
    sim.permitted()

    def down(order: Json) -> None:
        tool = order["changes"][0]["packages"][1]
        tool |= {"from": NEW, "to": OLD, "sha256": blob("openssl", OLD)}
        order["undo"][0]["packages"][1] |= {"from": OLD, "to": NEW, "sha256": blob("openssl", NEW)}

    twin = Simulator()
    order = twin.play(edit=down)
    twin.members["web1"].installed[f"{DEBIAN}/openssl"] = NEW
    refused(twin.ask(order), "downgrade")


def test_upgrade_to_the_same_version(sim: Simulator) -> None:
    """Other bytes of the version that is installed already."""
    sim.permitted()

    def again(order: Json) -> None:
        tool = order["changes"][0]["packages"][1]
        tool |= {"to": OLD, "sha256": blob("openssl", OLD)}
        order["undo"][0]["packages"][1] |= {"from": OLD, "to": OLD, "sha256": blob("openssl", OLD)}

    refused(sim.mutant(edit=again), "downgrade")


def test_version_drift(sim: Simulator) -> None:
    """The host has another version than the one that people were told it moves from."""
    order = sim.permitted()
    sim.members["web1"].installed[f"{DEBIAN}/libssl3"] = "3.0.15-1~deb12u1"
    refused(sim.ask(order), "drift")


def test_package_that_is_not_installed(sim: Simulator) -> None:
    """A fix for something the host does not have would install it."""
    order = sim.permitted()
    del sim.members["web1"].installed[f"{DEBIAN}/openssl"]
    refused(sim.ask(order), "drift")


def test_undo_with_other_bytes(sim: Simulator) -> None:
    """The old version of an undo is as frozen as the new one."""
    order = sim.permitted()
    for change in ("up", "restart", "health"):
        sim.act(order, change)
    sim.fail(order)
    sim.members["web1"].staged["libssl3"] = "ab" * 32
    refused(sim.ask(order, "undo-up"), "artefact_swapped")
