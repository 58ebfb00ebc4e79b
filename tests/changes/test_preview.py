"""The dry run: what is shown is what is applied."""

import pytest

from answerable.changes.plan import NoPlan
from answerable.changes.preview import require, text
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
