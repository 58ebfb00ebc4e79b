"""The pages on formats show what the code writes and reads, byte for byte."""

import base64
import json
import re
from pathlib import Path

import yaml

from answerable.authority import authorization, charter
from answerable.changes import preview
from answerable.changes.plan import read as read_plan
from answerable.feeds import candidate as candidates
from answerable.feeds.facts import leaf
from answerable.feeds.facts import read as read_fact
from answerable.kernel.canon import encode
from answerable.kernel.charter import CHARTER
from answerable.kernel.condition import holds
from answerable.kernel.order import read_bundle
from answerable.kernel.statement import AUTHORITY
from tests.authority.test_charter import cards
from tests.structure.source import ROOT


def page(name: str) -> str:
    """Read a page of docs/spec."""
    return (ROOT / "docs" / "spec" / f"{name}.md").read_text("utf-8")


def blocks(name: str, kind: str = "json") -> list[str]:
    """Give the fenced examples of a kind on a page."""
    return re.findall(rf"^```{kind}\n(.*?)\n```$", page(name), re.MULTILINE | re.DOTALL)


def words(name: str) -> set[str]:
    """Give every word that a page spells in backticks."""
    return {word for span in re.findall(r"`([^`\n]+)`", page(name)) for word in span.split()}


def test_the_charter_of_the_page_can_be_drafted(tmp_path: Path) -> None:
    """Whoever copies the rules from the page gets a standard charter."""
    (rules,) = blocks("charter", "yaml")
    assert charter.draft(yaml.safe_load(rules), cards(tmp_path))["mode"] == "standard"


def test_every_member_of_a_charter_is_explained() -> None:
    """No limit, threshold or role is on no page."""
    _, limits = CHARTER["limits"]
    nested = (CHARTER, limits, limits["emergency"], CHARTER["thresholds"])
    guards = CHARTER["guards"]["*"]
    assert {name for form in (*nested, guards) for name in form} <= words("charter")


def test_every_member_of_an_authorization_is_explained() -> None:
    """The page lists the members that the kernel knows, and the YAML gives the body beside it."""
    (written,), (body,) = blocks("authorization", "yaml"), blocks("authorization")
    assert AUTHORITY["authorization"].keys() <= words("authorization")
    assert encode(authorization.draft(yaml.safe_load(written))) == body


def test_the_condition_of_the_page_holds() -> None:
    """The example is a condition, and holds for the page's own advisory."""
    (condition,), (advisory, _) = blocks("condition"), blocks("fact")
    assert holds(json.loads(condition), json.loads(advisory))


def test_facts_and_their_release_are_those_of_the_candidate() -> None:
    """Each fact is in its one spelling under the name given, and the tree has the root given."""
    (data,) = blocks("candidate")
    found = candidates.read(data.encode())
    for text in blocks("fact"):
        assert read_fact(text).text == text
        assert read_fact(text) in found.facts
    advisory = read_fact(blocks("fact")[0])
    assert leaf(advisory).hex() in page("fact")
    assert base64.b64encode(found.tree.root()).decode() in page("fact")


def test_the_plan_of_the_page_has_its_digest_notice_and_dry_run() -> None:
    """Digest, ring roots, hashes and preview are what the code makes of the document."""
    document, notice = blocks("plan")
    plan, said = read_plan(document.encode()), json.loads(notice)
    assert f"with the digest `{plan.digest}`" in page("plan")
    made = {"plan": plan.digest, "rings": plan.sizes, "artefacts": plan.artefacts,
            "targets": plan.targets, "undo_artefacts": plan.undo_artefacts}  # fmt: skip
    assert {name: said[name] for name in made} == made
    assert said.keys() == AUTHORITY["notice"].keys()
    assert preview.text(plan) == blocks("plan", "text")[0] + "\n"


def test_the_bundle_of_the_page_carries_an_order_of_the_plan() -> None:
    """The bundle is one that the kernel takes apart, of the first ring of the plan's page."""
    (data,) = blocks("bundle")
    bundle, plan = read_bundle(data.encode()), read_plan(blocks("plan")[0].encode())
    assert bundle.body["order"] == plan.rings[0][0]
    assert [read_fact(row["fact"]).text for row in bundle.body["facts"]] == [
        row["fact"] for row in bundle.body["facts"]
    ]
