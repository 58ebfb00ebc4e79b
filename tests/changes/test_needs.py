"""What moves together: closed under needs, or blocked; never more than is installed."""

from answerable.changes.build import needs_of
from answerable.changes.needs import Blocked, Closure, Move
from answerable.exposure.match import Known
from answerable.feeds.source import Relation
from answerable.inventory.installed import Installed
from tests.exposure.fleet import FACTS, LIBC, NEW, OLD, host, installed, known
from tests.feeds.fakes import artefact

SSL = host("web1").packages[:2]
OPENSSL = SSL[1]


def _closure(facts: Known, *packages: Installed) -> Closure:
    return Closure(packages, facts, needs_of(facts))


def _moves(found: list[Move] | Blocked | None) -> dict[str, str]:
    assert isinstance(found, list), found
    return {move.to.package: move.cause for move in found}


def test_packages_of_one_source_move_together() -> None:
    """A library never stays behind the program that needs exactly its version."""
    facts = known(needs=())
    moved = _moves(_closure(facts, *SSL, LIBC).upgrade(OPENSSL))
    assert moved == {"openssl": "", "libssl3": "openssl"}


def test_a_need_that_is_met_moves_nothing() -> None:
    """A dependency that is new enough stays as it is."""
    assert "libc6" not in _moves(_closure(known(), *SSL, LIBC).upgrade(OPENSSL))


def test_an_unmet_need_brings_what_meets_it() -> None:
    """A dependency that is too old comes along, named with its cause, and its siblings too."""
    needs = (Relation("openssl", NEW, ("libc6 (>= 2.37)",)),)
    facts = known(
        *FACTS, artefact("libc6", "2.37-1", source="glibc"), artefact("libc6", "2.36-9"),
        artefact("libc-bin", "2.37-1", source="glibc"), needs=needs,
    )  # fmt: skip
    sibling = installed("libc-bin", "2.36-9", source="glibc")
    moved = _moves(_closure(facts, *SSL, LIBC, sibling).upgrade(OPENSSL))
    assert moved["libc6"] == moved["libc-bin"] == "openssl"


def test_a_need_that_nothing_meets_blocks() -> None:
    """A package that is not on the host comes only from a snapshot (`test_new_packages.py`)."""
    needs = (Relation("openssl", NEW, ("libnew1 (>= 1)",)),)
    closure = _closure(known(needs=needs), *SSL, LIBC)
    found = closure.upgrade(OPENSSL)
    assert isinstance(found, Blocked)
    assert "libnew1" in found.reason
    assert closure.now["debian:12", "openssl"] == OLD


def test_an_alternative_or_a_provided_name_meets_a_need() -> None:
    """Any package of the list is enough, also by a name that another one stands for."""
    needs = (Relation("openssl", NEW, ("libnew1 | libc6", "virtual-thing")),)
    provider = Installed("debian:12", "provider", "1", "all", "provider", "installed",
                         ("virtual-thing",))  # fmt: skip
    assert "openssl" in _moves(_closure(known(needs=needs), *SSL, LIBC, provider).upgrade(OPENSSL))


def test_a_need_that_was_there_before_does_not_block() -> None:
    """What the installed version needs too is met somehow, by something that we cannot see."""
    need = ("some-virtual-package",)
    needs = (Relation("openssl", NEW, need), Relation("openssl", OLD, need))
    assert "openssl" in _moves(_closure(known(needs=needs), *SSL, LIBC).upgrade(OPENSSL))


def test_a_held_package_blocks() -> None:
    """Who runs the host said no; that is not overruled by a dependency."""
    held = installed("libssl3", OLD, source="openssl", state="held")
    found = _closure(known(), OPENSSL, held, LIBC).upgrade(OPENSSL)
    assert isinstance(found, Blocked)
    assert "held" in found.reason


def test_a_package_that_has_moved_does_not_move_again() -> None:
    """The second package of a source finds its work done by the first."""
    closure = _closure(known(), *SSL, LIBC)
    assert closure.upgrade(OPENSSL)
    assert closure.upgrade(SSL[0]) is None


def test_a_need_in_an_unknown_form_blocks() -> None:
    """What cannot be read is not taken for met."""
    needs = (Relation("openssl", NEW, ("libc6 (~ 2)",)),)
    assert isinstance(_closure(known(needs=needs), *SSL, LIBC).upgrade(OPENSSL), Blocked)
