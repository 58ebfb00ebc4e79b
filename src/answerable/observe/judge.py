"""What a host's reports make worth a look, and what a look then says; pure.

Of the reports of one order (`due`):

* its last change succeeded and none failed: everything planned should be there, and the service
  should answer (`done`);
* a change failed: either what was planned up to it is not there, or the service does not answer
  (`failed`);
* after a failed change the whole undo succeeded: the old versions should be back (`undone`).

A look that agrees with the host is an observation. One that does not is looked at again before it
counts (observer.py), since a service may be starting.

Left out: refusals, which change nothing, and outcomes that the host itself does not know.
"""

from collections.abc import Mapping, Sequence
from typing import Literal, NamedTuple

from answerable.kernel.canon import Json
from answerable.observe.look import Sight

Claim = Literal["done", "failed", "undone"]


class Said(NamedTuple):
    """A host's newest report about one change; `leaf` is its leaf hash."""

    leaf: str
    result: str
    seq: int


class Due(NamedTuple):
    """A claim to look into: the change it ends with, its report, versions that it promises."""

    claim: Claim
    change: str
    leaf: str
    expected: Mapping[str, str]


class Verdict(NamedTuple):
    """What a look says of a claim.

    `agrees`: as the host says. `well`: versions as expected and the service answers. `cause`: why
    it is not well, as a failure record spells it. `stale`: programs that still use what was
    replaced, so that it is installed and not in effect.
    """

    agrees: bool
    well: bool
    cause: str
    detail: str
    stale: Sequence[str] = ()


def due(order: Json, said: Mapping[str, Said]) -> Due | None:
    """Give what is to be looked into of one order."""
    failed = next((c for c in order["changes"] if _is(said, c, "failed")), None)
    if failed is None:
        last = order["changes"][-1:]
        if last and _is(said, last[0], "succeeded"):
            return _due("done", last[0], said, order["changes"])
        return None
    if order["undo"] and all(_is(said, c, "succeeded") for c in order["undo"]):
        return _due("undone", order["undo"][-1], said, order["undo"])
    upto = order["changes"][: order["changes"].index(failed) + 1]
    return _due("failed", failed, said, upto)


def _is(said: Mapping[str, Said], change: Json, result: str) -> bool:
    return change["id"] in said and said[change["id"]].result == result


def _due(claim: Claim, change: Json, said: Mapping[str, Said], changes: list[Json]) -> Due:
    moved = {p["name"]: p["to"] for c in changes for p in c.get("packages", ())}
    return Due(claim, change["id"], said[change["id"]].leaf, moved)


def judge(due: Due, sight: Sight) -> Verdict:
    """Compare a claim with what was seen."""
    other = {
        name: sight.installed.get(name, "")
        for name, version in due.expected.items()
        if sight.installed.get(name) != version
    }
    cause = "health" if sight.trouble else "version" if other else ""
    wrong = [f"`{n}` is `{v or 'absent'}`, not `{due.expected[n]}`" for n, v in other.items()]
    detail = "; ".join([sight.trouble, *wrong] if sight.trouble else wrong)
    well = not cause
    agrees = well == (due.claim != "failed")
    return Verdict(agrees, well, cause, detail[:1000], sight.stale)
