"""A small model and flaws that it can be asked about; every number fits on a page."""

from answerable.exposure.features import VERSION, Flaw
from answerable.exposure.golden import Golden, Question
from answerable.exposure.model import Axis, Model, Term

CVSS = Term((Axis("cvss", (40, 70, 90)),), (0, -800_000, -100_000, 400_000, 1_300_000, 0))
CNA = Term((Axis("cna", (), ("acme", "mitre")),), (0, 500_000, -250_000, 10))
PAIR = Term(
    (Axis("says_rce", (1,)), Axis("says_edge", (1,))),
    (0, 0, 0, 0, 0, -5, 7, 0, 0, 20, 900_000, 0, 0, 0, 0, 0),
)
BANDS = (-6_000_000, -5_000_000, -4_500_000, -4_000_000, -3_500_000, -3_000_000, -2_000_000)
MODEL = Model(VERSION, "ab" * 32, -5_000_000, (CVSS, CNA, PAIR), BANDS)
WORST = "CVSS:3.1/AV:N/AC:L/PR:N/UI:N/S:U/C:H/I:H/A:H"
MILD = "CVSS:3.1/AV:L/AC:H/PR:H/UI:R/S:U/C:L/I:N/A:N"


def flaw(cve: str = "CVE-2024-0001", published: int = 1_710_000_000, **more: object) -> Flaw:
    """Give a flaw; the worst there is if nothing else is said."""
    told: dict[str, object] = {
        "vector": WORST, "cwes": ("CWE-78",), "cna": "acme", "vendor": "Acme", "product": "Gate",
        "title": "", "description": "Remote code execution in a VPN gateway.", "references": 3,
    }  # fmt: skip
    return Flaw(cve, published, **{**told, **more})  # type: ignore[arg-type]


def golden(count: int = 400, every: int = 20) -> Golden:
    """Give a set in which the exploited ones have the highest scores."""
    rows = [
        Question(
            f"CVE-2024-{n:04}",
            {"cvss": 98 if n % every == 0 else n % 97, "cna": "acme" if n % every == 0 else None},
            exploited=n % every == 0,
        )
        for n in range(count)
    ]
    return Golden(VERSION, tuple(rows))
