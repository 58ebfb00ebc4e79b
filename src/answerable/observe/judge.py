"""What a host's reports make worth a look, and what a look then says; pure.

Of the reports of one order (`due`):

* its last change succeeded and none failed: everything planned should be there, byte for byte as
  the packages ship it, and the service should answer (`done`);
* some succeeded, none failed and the last is not said yet: the versions and files of those should
  be there (`partly`), so that a host gains nothing by never ending what it says;
* a change failed: either what was planned up to it is not there, or the service does not answer
  (`failed`);
* after a failed change the whole undo succeeded: the old versions and their files should be back
  (`undone`).

A look that agrees with the host is an observation. One that does not is looked at again before it
counts (observer.py), since a service may be starting.

Left out: refusals, which change nothing, and outcomes that the host itself does not know.
"""

from collections.abc import Mapping, Sequence
from typing import Literal, NamedTuple

from answerable.kernel.canon import Json
from answerable.observe.files import SHOWN, Compared
from answerable.observe.look import Sight
from answerable.observe.reconcile import ABSENT

DETAIL = 1_000
"""Most letters of what is wrong."""
VERSIONS, WORD = 100, 300
"""Most versions that an observation names, and most letters of one thing that it names."""

Claim = Literal["done", "partly", "failed", "undone"]


class Said(NamedTuple):
    """A host's newest report about one change; `leaf` is its leaf hash."""

    leaf: str
    result: str
    seq: int


class Due(NamedTuple):
    """A claim to look into: the change it ends with, its report, versions that it promises.

    `artefacts`: SHA-256 of the packages whose files should lie there; none of a failed change.
    """

    claim: Claim
    change: str
    leaf: str
    expected: Mapping[str, str]
    artefacts: Mapping[str, str]


class Verdict(NamedTuple):
    """What a look says of a claim.

    `agrees`: as the host says. `well`: versions as expected and the service answers. `cause`: why
    it is not well, as a failure record spells it (`files` never stands in one). `stale`: programs
    that still use what was replaced. `saw`: what an observation says of it.
    """

    agrees: bool
    well: bool
    cause: str
    detail: str
    stale: Sequence[str] = ()
    saw: Json = None


def due(order: Json, said: Mapping[str, Said]) -> Due | None:
    """Give what is to be looked into of one order."""
    failed = next((c for c in order["changes"] if _is(said, c, "failed")), None)
    if failed is None:
        last = order["changes"][-1:]
        if last and _is(said, last[0], "succeeded"):
            return _due("done", last[0], said, order["changes"])
        so_far = [c for c in order["changes"] if _is(said, c, "succeeded")]
        moved = [c for c in so_far if "packages" in c]
        return _due("partly", moved[-1], said, moved) if moved else None
    if order["undo"] and all(_is(said, c, "succeeded") for c in order["undo"]):
        return _due("undone", order["undo"][-1], said, order["undo"])
    upto = order["changes"][: order["changes"].index(failed) + 1]
    return _due("failed", failed, said, upto)


def _is(said: Mapping[str, Said], change: Json, result: str) -> bool:
    return change["id"] in said and said[change["id"]].result == result


def _due(claim: Claim, change: Json, said: Mapping[str, Said], changes: list[Json]) -> Due:
    moved = {p["name"]: p for c in changes for p in c.get("packages", ())}
    versions = {name: p["to"].replace(ABSENT, "") for name, p in moved.items()}
    there = moved if claim != "failed" else {}
    artefacts = {name: p["sha256"] for name, p in there.items() if versions[name]}
    return Due(claim, change["id"], said[change["id"]].leaf, versions, artefacts)


def judge(due: Due, sight: Sight, files: Compared | None = None) -> Verdict:
    """Compare a claim with what was seen.

    Args:
        files: of the packages; None if they were not compared, since something else is wrong.
    """
    other = {
        name: sight.installed.get(name, "")
        for name, version in due.expected.items()
        if sight.installed.get(name, "") != version
    }
    # Before the last change is said a service may still be down: it has not been restarted.
    trouble = "" if due.claim == "partly" else sight.trouble
    differ = files.differ if files else ()
    cause = "health" if trouble else "version" if other else "files" if differ else ""
    wrong = [
        f"`{n}` is `{v or 'absent'}`, not `{due.expected[n] or 'absent'}`" for n, v in other.items()
    ]
    detail = "; ".join([*([trouble] if trouble else []), *wrong, *named(differ)])
    well = not cause
    agrees = well == (due.claim != "failed")
    return Verdict(agrees, well, cause, detail[:DETAIL], sight.stale, _saw(due, sight, files))


def _saw(due: Due, sight: Sight, files: Compared | None) -> Json:
    """Spell what an observation says was seen: versions, files, what still runs on old ones."""
    there = [f"{name} {sight.installed.get(name, 'absent')}" for name in sorted(due.expected)]
    saw: Json = {"versions": named(there, VERSIONS), "stale": named(sight.stale)}
    if files:
        saw |= {"files": files.paths, "differ": named(files.differ), "kept": named(files.kept)}
    return {name: value for name, value in saw.items() if value != []}


def named(words: Sequence[str], most: int = SHOWN) -> list[str]:
    """Give the first of them, cut to a length, and say how many more there are."""
    rest = len(words) - most
    return [*(word[:WORD] for word in words[:most]), *([f"and {rest} more"] if rest > 0 else [])]
