"""The letter: every number can be checked by hand, and what is not known is said."""

from dataclasses import replace
from typing import Any

import pytest

from answerable.exposure.explain import NotExposed, account, lines, model_of
from answerable.exposure.rank import Context, Said, rank
from tests.exposure.models import MODEL, WORST
from tests.exposure.test_plain import HOSTILE
from tests.exposure.test_rank import CVE, GRAVE, NOW, context, exposure, said

TOLD = said(
    **GRAVE, exploited="yes", kev_added=str(NOW - 7_200), cvss=WORST, cna="acme", epss="0.4",
    description="Remote code execution in a VPN gateway", published="1710000000",
)  # fmt: skip


def given(**more: object) -> Context:
    """Give a context with a model and one flaw."""
    return context({CVE: TOLD}, model=MODEL, **more)


def letter(host: str = "", known: Context | None = None, count: int = 2) -> dict[str, Any]:
    """Explain the flaw on some hosts."""
    known = known or given()
    return account(CVE, host, rank([exposure(f"web{n}") for n in range(count)], known), known)


def test_rules_and_model_add_up_exactly() -> None:
    """A reader who adds the parts gets the score, twice."""
    told = letter()
    assert sum(part["points"] for part in told["parts"]) == told["score"]
    model = told["model"]
    parts = sum(term["millionths"] for term in model["terms"])
    assert model["intercept"] + parts == model["score"]
    assert model["sha256"] == MODEL.sha256


def test_it_says_what_decided_who_says_so_and_since_when() -> None:
    """The rule, the channels, the age."""
    text = "\n".join(lines(letter()))
    assert "decided by the rule: BOD 26-04: remediate within 3 days and look for signs" in text
    assert "it is known to be exploited [one, two; 2026-11-21T23:59:53Z, " in text
    assert "0 h old]" in text
    assert "within it, also the model puts" in text


def test_it_says_what_would_change_it() -> None:
    """From the directive's table, and from the model's."""
    changes = letter()["changes"]
    assert any(c.startswith("in KEV N would mean: remediate within 3 days") for c in changes)
    assert any(c.startswith("cvss ") and "logits" in c for c in changes)


def test_it_says_what_is_not_known() -> None:
    """Nobody takes a guess for knowledge."""
    known = given(public={})
    missing = letter(known=replace(known, model=None))["not_known"]
    assert any(line.startswith("publicly exposed: nobody said so") for line in missing)
    assert any("what a model would say: no model was released" in line for line in missing)
    assert any("fixed version could be had from" in line for line in missing)


def test_it_says_what_waits() -> None:
    """What one channel alone says is shown with its channel, and did not count."""
    single = {"exploited": Said("yes", "single", ("kev",), NOW)}
    told = letter(known=context({CVE: single}))
    assert [one["field"] for one in told["waiting"]] == ["exploited"]
    text = "\n".join(lines(told))
    assert "exploited = yes (single, by kev)" in text
    assert "it is known to be exploited" not in text


def test_without_a_model_it_says_why() -> None:
    """Rules alone, and the reason."""
    known = context({CVE: TOLD}, without="the file `x` is not the released model")
    text = "\n".join(lines(letter(known=known)))
    assert "no model had a say: the file `x` is not the released model" in text
    assert model_of(None, known.without).startswith("rules alone")
    assert model_of(MODEL, "").endswith(MODEL.sha256)


def test_one_host_is_one_host() -> None:
    """HOST narrows it down; many hosts are counted."""
    assert [row["host"] for row in letter("web1")["exposed"]] == ["web1"]
    text = "\n".join(lines(letter(count=30)))
    assert "and 10 more" in text


def test_what_applies_nowhere_is_said_so() -> None:
    """No exposure is no explanation, and no all-clear."""
    with pytest.raises(NotExposed, match="as far as is known"):
        letter("web9")


@pytest.mark.parametrize("text", HOSTILE.values(), ids=HOSTILE.keys())
def test_hostile_text_is_plain_text(text: str) -> None:
    """Whatever a feed, a host or a vendor writes, the letter is printable lines."""
    told = {name: Said(text, "held", (text,), NOW) for name in ("exploited", "title", "cvss")}
    known = context({text: {**said(cna=text, vendor=text), **told}}, model=MODEL)
    about = exposure(text)
    fact = replace(about.advisory, id=text, fixed=text, package=text, cves=(text,))
    rows = rank([replace(about, advisory=fact)], known)
    for line in lines(account(text, "", rows, known)):
        assert line.isprintable()
