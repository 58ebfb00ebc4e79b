"""The dry run: what is shown is what is applied."""

import pytest

from answerable.changes.plan import NoPlan
from answerable.changes.preview import effects, require, text
from tests.changes.planning import plan
from tests.exposure.fleet import NEW, OLD, host

MADE = plan([host("web1"), host("pci1", zones=("pci",))])


def test_every_change_and_every_undo_is_shown() -> None:
    """Nothing that would be done, and nobody who is left out, is missing from the page."""
    shown = text(MADE)
    for order in MADE.orders[0]:
        for change in order["changes"] + order["undo"]:
            assert f"{change['id']} (risk {change['risk']})" in shown
    assert f"openssl {OLD} -> {NEW}" in shown
    assert f"openssl {NEW} -> {OLD}" in shown
    assert "escalated: pci1: zone pci is excluded" in shown
    assert shown.endswith(f"digest: {MADE.digest}\n")
    assert text(MADE) == shown


def test_only_the_plan_that_was_shown_is_applied() -> None:
    """One changed byte is another plan, and another plan is not applied."""
    assert require(MADE.text.encode(), MADE.digest).text == MADE.text
    with pytest.raises(NoPlan, match="preview it"):
        require(MADE.text.replace("urgent fixes", "urgent fixed").encode(), MADE.digest)
    with pytest.raises(NoPlan):
        require(MADE.text.encode()[:-1], MADE.digest)


def test_effects_are_read_path_by_path() -> None:
    """What happens to a path, by whose word, and whether it is sensitive; on one line each."""
    change = {"effects": "ab" * 32, "packages": [{"name": "tool"}]}
    lines = [
        {"is": "file", "path": "/u.service", "by": "tool", "owner": "root:root", "mode": "0644",
         "sha256": "cd" * 32},
        {"is": "link", "path": "/usr/bin/t\n", "by": "tool", "owner": "root:root", "to": "tool"},
        {"is": "gone", "path": "/old", "by": "tool"},
        {"is": "package", "name": "tool", "version": "2"},
    ]  # fmt: skip
    assert effects(change, lines, {"unit": ["/u.service"]}, ["u.service restart"]) == (
        f"effects {'ab' * 32}: tool\n"
        f"  file /u.service 0644 root:root {'cd' * 8} by tool; sensitive: unit\n"
        "  link /usr/bin/t\\x0a root:root -> tool by tool\n"
        "  gone /old by tool\n"
        "  package tool 2\n"
        "  scripts ask for: u.service restart\n"
    )
