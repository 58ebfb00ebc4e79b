"""What an attack must end in."""

from answerable.kernel.errors import Refused
from answerable.kernel.verify import Permit


def refused(verdict: Permit | Refused | None, reason: str) -> None:
    """Demand a refusal with this reason word."""
    assert isinstance(verdict, Refused), verdict
    assert verdict.reason == reason, (verdict.reason, verdict.detail)


def allowed(verdict: Permit | Refused) -> None:
    """Demand a permit."""
    assert isinstance(verdict, Permit), verdict
