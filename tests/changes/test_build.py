"""Plans: every change with its undo, every host either in a ring or escalated with its reason."""

from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from answerable.changes.build import Services
from answerable.changes.plan import NoPlan
from answerable.inventory.installed import Installed
from answerable.kernel.order import read_order
from tests.changes.planning import escalated, plan, urgent
from tests.exposure.fleet import BASH, FACTS, LIBC, MID, NEW, OLD, host, installed, known
from tests.feeds.fakes import advisory, artefact


def test_an_order_is_made_of_discrete_changes() -> None:
    """One snapshot, one upgrade a source, a restart, a check; each with id, cause and risk."""
    (ring,) = plan().orders
    changes = ring[0]["changes"]
    assert [c["id"] for c in changes] == [
        "snapshot-1", "upgrade-2", "upgrade-3", "restart-4", "health-5"
    ]  # fmt: skip
    assert [c["caused_by"] for c in changes] == ["upgrade-2", "", "", "upgrade-3", "restart-4"]
    assert changes[3]["unit"] == "nginx.service"
    assert changes[4]["check"] == "http"
    moved = {p["name"]: (p["from"], p["to"]) for c in changes for p in c.get("packages", ())}
    assert moved == {
        "libssl3": (OLD, NEW), "openssl": (OLD, NEW), "bash": ("5.2-1", "5.2-2")
    }  # fmt: skip


def test_the_undo_mirrors_the_changes() -> None:
    """Each upgrade is undone, the last first, to the version and bytes that were there."""
    order = plan().orders[0][0]
    upgrades = [c for c in order["changes"] if c["type"] == "upgrade"]
    undos = [c for c in order["undo"] if c["type"] == "undo"]
    assert [u["undoes"] for u in undos] == [c["id"] for c in reversed(upgrades)]
    for undo, upgrade in zip(undos, reversed(upgrades), strict=True):
        assert {(p["name"], p["to"], p["from"]) for p in undo["packages"]} == {
            (p["name"], p["from"], p["to"]) for p in upgrade["packages"]
        }
        for package in undo["packages"]:
            assert package["sha256"] == artefact(package["name"], package["to"]).sha256
    assert [c["type"] for c in order["undo"]] == ["undo", "undo", "restart", "health"]


def test_each_package_cites_what_is_covered() -> None:
    """Advisories are cited for the package itself, and only those that the authority covers."""
    order = plan(judged=urgent).orders[0][0]
    (upgrade,) = [c for c in order["changes"] if c["type"] == "upgrade"]
    assert {p["name"] for p in upgrade["packages"]} == {"openssl", "libssl3"}
    for package in upgrade["packages"]:
        assert len(package["advisories"]) == 1
        assert package["for"] == ""


def test_a_sibling_without_advisory_is_named_as_a_dependency() -> None:
    """What moves only because of another package says which."""
    facts = [f for f in FACTS if f.package != "libssl3" or hasattr(f, "sha256")]
    order = plan(facts=known(*facts)).orders[0][0]
    rows = {p["name"]: p for c in order["changes"] for p in c.get("packages", ())}
    assert rows["libssl3"]["for"] == "openssl"
    assert rows["libssl3"]["advisories"] == []


@pytest.mark.parametrize(
    ("hosts", "name", "word"),
    [
        ([host("pci1", zones=("web", "pci"))], "pci1", "excluded"),
        ([host("web2", installed("bash", "5.2-1", state="held"))], "web2", "held"),
        ([host("web2", installed("bash", "5.2-1", state="broken"))], "web2", "broken"),
        ([host("web2", installed("bash", "5.1-9"))], "web2", "could not be undone"),
    ],
)
def test_a_host_that_may_not_be_changed_is_escalated(
    hosts: list[object], name: str, word: str
) -> None:
    """Nothing is skipped: the host stands in the plan with its reason, and in no ring."""
    made = plan([host("web1"), *hosts])  # type: ignore[list-item]
    assert any(word in reason for reason in escalated(made)[name])
    assert made.find(name) is None
    assert made.find("web1") == (0, 0)


def test_packages_of_the_same_name_are_told_apart() -> None:
    """A wheel and a .deb of one name are two upgrades, each with its own advisories."""
    wheel = Installed("pypi", "bash", "1.0", "cp311", "bash")
    facts = known(
        *FACTS, advisory("bash", "1.1", ecosystem="pypi"),
        *(artefact("bash", v, ecosystem="pypi", arch="py3-none-any") for v in ("1.0", "1.1")),
    )  # fmt: skip
    order = plan([host("web1", BASH, wheel)], facts).orders[0][0]
    upgrades = [c for c in order["changes"] if c["type"] == "upgrade"]
    assert {(c["ecosystem"], p["to"]) for c in upgrades for p in c["packages"]} == {
        ("debian:12", "5.2-2"),
        ("pypi", "1.1"),
    }
    cited = [a for c in upgrades for p in c["packages"] for a in p["advisories"]]
    assert len(cited) == len(set(cited)) == 2


def test_what_no_authorization_covers_is_escalated() -> None:
    """The covered package is planned, the other one is shown to people."""
    made = plan(judged=urgent)
    assert escalated(made) == {"web1": ["`bash`: no authorization covers it"]}
    assert made.find("web1") == (0, 0)


def test_an_advisory_without_artefact_is_escalated() -> None:
    """A flaw that cannot be closed yet is not forgotten."""
    made = plan(facts=known(*FACTS, advisory("libc6", "2.37-1")))
    assert any("no artefact" in reason for reason in escalated(made)["web1"])


def test_an_unknown_host_is_escalated() -> None:
    """A host that nobody heard of is not counted as patched."""
    assert "not heard of" in escalated(plan(unknown=["web9"]))["web9"][0]


def test_rings_are_filled_to_their_sizes() -> None:
    """One canary, then two, then the rest; the last size counts for all further rings."""
    hosts = [host(f"web{n}") for n in range(8)]
    made = plan(hosts, rings=(1, 2), canaries=("web5",))
    assert [[o["host"] for o in ring] for ring in made.orders] == [
        ["web5"], ["web0", "web1"], ["web2", "web3"], ["web4", "web6"], ["web7"]
    ]  # fmt: skip
    assert [o["ring"] for ring in made.orders for o in ring] == [0, 1, 1, 2, 2, 3, 3, 4]


def test_hosts_beyond_the_authorised_number_are_escalated() -> None:
    """A plan never grows past what was authorised."""
    made = plan([host(f"web{n}") for n in range(5)], most=3)
    assert sum(ring["size"] for ring in made.sizes) == 3
    assert set(escalated(made)) == {"web3", "web4"}


def test_nothing_to_do_is_no_plan() -> None:
    """A plan without a host cannot be noticed, and says why there is none."""
    with pytest.raises(NoPlan, match="excluded"):
        plan([host("pci1", zones=("pci",))])
    with pytest.raises(NoPlan, match="nothing is exposed"):
        plan([host("web1", LIBC)])


def test_a_core_package_is_a_high_risk() -> None:
    """People see at once that a host may not boot afterwards."""
    facts = known(
        artefact("libc6", "2.36-9"), artefact("libc6", "2.37-1"), advisory("libc6", "2.37-1")
    )
    changes = plan([host("web1", LIBC)], facts).orders[0][0]["changes"]
    assert {c["type"]: c["risk"] for c in changes}["upgrade"] == "high"


@given(
    st.lists(
        st.tuples(
            st.sampled_from(["web", "api", "pci"]),
            st.sets(st.sampled_from(["openssl", "libssl3", "bash", "libc6"]), min_size=1),
            st.sampled_from([OLD, MID, NEW]),
        ),
        min_size=1,
        max_size=6,
    ),
    st.lists(st.integers(1, 3), min_size=1, max_size=3),
)
def test_every_exposed_host_is_in_a_ring_or_escalated(
    hosts: list[tuple[str, set[str], str]], sizes: list[int]
) -> None:
    """Whatever is installed: orders are typed, rings within their sizes, nobody is lost."""
    every: dict[str, Callable[[str], Installed]] = {
        "openssl": lambda v: installed("openssl", v, source="openssl"),
        "libssl3": lambda v: installed("libssl3", v, source="openssl"),
        "bash": lambda version: BASH if version else LIBC,
        "libc6": lambda version: LIBC if version else BASH,
    }
    fleet = [
        host(f"h{n}", *(every[name](version) for name in sorted(names)), zones=(zone,))
        for n, (zone, names, version) in enumerate(hosts)
    ]
    exposed = {
        f"h{n}"
        for n, (_, names, version) in enumerate(hosts)
        if "bash" in names or (names & {"openssl", "libssl3"} and version != NEW)
    }
    try:
        made = plan(fleet, rings=tuple(sizes), services=Services())
    except NoPlan:
        return
    ringed = {order["host"] for ring in made.orders for order in ring}
    assert ringed | escalated(made).keys() >= exposed
    assert not {h.host for h in fleet if "pci" in h.zones} & ringed
    for number, ring in enumerate(made.rings):
        assert len(ring) <= sizes[min(number, len(sizes) - 1)]
        for text in ring:
            read_order(text)
