"""Check 11: typed actions, never down, and the bytes about to be used are those noticed."""

from collections.abc import Callable

from answerable.kernel.canon import Json
from tests.attacks.verdict import allowed, refused
from tests.simulator import NEW, OLD, Simulator
from tests.simulator.constitution import (
    DEBIAN,
    EFFECTS,
    FACTS,
    blob,
    demanding,
    effects,
    fix,
    move,
    upgrade,
)

OTHER = "ab" * 32


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


def test_host_that_would_do_something_else(sim: Simulator) -> None:
    """The host's own rehearsal has another effect, or a class more, than people were told."""
    order = sim.permitted(edit=effects())
    for found in ((OTHER, list[str]()), (EFFECTS, ["setuid"])):
        refused(sim.ask(order, rehearsed={"up": found}), "effects_differ")


def test_change_that_the_host_did_not_rehearse(sim: Simulator) -> None:
    """A host that cannot rehearse, or rehearsed another change, does not take the order's word."""
    order = sim.permitted(edit=effects())
    for found in ({}, {"restart": (EFFECTS, list[str]())}):
        refused(sim.ask(order, rehearsed=found), "effects_differ")


def two(order: Json) -> None:
    """Let an order upgrade in two changes that do different things."""
    xz = next(fact for fact in FACTS if "0004" in fact)
    order["changes"].append(upgrade("xz", fix("liblzma5", "5.4.1-0", "5.4.2-0", xz)))
    back = {"id": "undo-xz", "type": "undo", "undoes": "xz", "caused_by": "xz", "risk": "low"}
    moved = move("liblzma5", "5.4.2-0", "5.4.1-0")
    order["undo"].append({**back, "ecosystem": DEBIAN, "packages": [moved]})
    for change in (order["changes"][0], order["undo"][0]):
        change |= {"effects": EFFECTS, "classes": []}
    for change in (order["changes"][-1], order["undo"][-1]):
        change |= {"effects": OTHER, "classes": []}


def test_effects_swapped_between_two_changes(sim: Simulator) -> None:
    """Each change does what people were told, of the other one."""
    found = {"up": (EFFECTS, list[str]()), "xz": (OTHER, list[str]())}
    sim.members["web1"].rehearsed |= found
    sim.permitted(edit=two)

    def swapped(order: Json) -> None:
        two(order)
        for part, at in (("changes", 0), ("changes", -1), ("undo", 0), ("undo", -1)):
            change = order[part][at]
            change["effects"] = EFFECTS if change["effects"] == OTHER else OTHER

    twin = Simulator()
    twin.members["web1"].rehearsed |= found
    refused(twin.ask(twin.play(edit=swapped)), "effects_differ")


def test_classes_in_another_order(sim: Simulator) -> None:
    """One list has one spelling: each class once, sorted."""
    grown = Simulator(authorization=lambda body: body.update(effects=["setuid", "unit"]))
    grown.permitted(edit=effects("setuid", "unit"))
    for classes in (("unit", "setuid"), ("setuid", "setuid", "unit"), ("setuid",)):
        twin = Simulator(*grown.knobs)
        twin.members["web1"].rehearsed["up"] = (EFFECTS, ["setuid", "unit"])
        refused(twin.ask(twin.play(edit=effects(*classes))), "effects_differ")


def test_effects_left_out_where_the_charter_demands_them(sim: Simulator) -> None:
    """Who says nothing of files may touch none, not even in an emergency."""
    strict = Simulator(charter=demanding)
    strict.permitted(edit=effects())
    refused(strict.mutant(), "effects_not_named")


def test_undo_of_something_else(sim: Simulator) -> None:
    """What the host did was not what people were told, so its reversal is not either."""
    order = sim.permitted(edit=effects())
    for change in ("up", "restart", "health"):
        sim.act(order, change)
    sim.fail(order)
    allowed(sim.ask(order, "undo-up"))
    for found in ({}, {"undo-up": (OTHER, list[str]())}):
        refused(sim.ask(order, "undo-up", rehearsed=found), "effects_differ")
