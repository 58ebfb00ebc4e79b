"""The dry run: the exact transaction of a plan, for people, and the digest that stands for it.

`text` prints every change and every undo of every host, in the order in which they would be done,
with the hash of each upgrade's effects on files and their sensitive classes, and ends in the plan's
digest. `require` is the other half: what is applied is the plan with that
digest, bit for bit, or nothing.

Left out: what apt itself would do on a host (its driver previews that, and refuses surprises).
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence

from answerable.changes.plan import NoPlan, Plan, read
from answerable.exposure.plain import plain
from answerable.host.versions import ABSENT
from answerable.kernel.canon import Json


def text(plan: Plan) -> str:
    """Print a plan, deterministically, one change a line."""
    return "".join(f"{plain(line)}\n" for line in _lines(plan))


_LINKS = {"to": "->", "twin": "same file as", "by": "by"}
Paths = Mapping[str, Sequence[str]]
"""Class of sensitive effects -> its paths."""


def effects(change: Json, lines: Iterable[Json], sensitive: Paths, asked: Sequence[str]) -> str:
    """Print what an upgrade does to files, one path a line.

    Args:
        change: an upgrade that names the hash of these effects.
        lines: of the list (docs/spec/effects.md).
        asked: what its scripts want done to services; that is not done, nor part of the hash.
    """
    names = ", ".join(package["name"] for package in change["packages"])
    shown = [f"effects {change['effects']}: {names}"]
    shown += [f"  {_effect(line)}{_marked(sensitive, line)}" for line in lines]
    shown += [f"  scripts ask for: {', '.join(asked)}"] if asked else []
    return "".join(f"{plain(line)}\n" for line in shown)


def _effect(line: Json) -> str:
    told = {name: str(value) for name, value in line.items()}
    words = [told.get(n, "") for n in ("is", "name", "version", "path", "mode", "owner")]
    words.append(told.get("sha256", "")[:16])
    words += [f"{word} {told[n]}" for n, word in _LINKS.items() if n in told]
    return " ".join(filter(None, words))


def _marked(sensitive: Paths, line: Json) -> str:
    names = [name for name, paths in sensitive.items() if line.get("path", "") in paths]
    return f"; sensitive: {', '.join(names)}" if names else ""


def require(data: bytes, digest: str) -> Plan:
    """Give the plan that was previewed, or nothing.

    Args:
        data: the plan's bytes.
        digest: as the preview printed it, hex.

    Raises:
        NoPlan: if these bytes are no plan, or another one.
    """
    plan = read(data)
    if plan.digest != digest:
        raise NoPlan(f"this is plan `{plan.digest}`, not `{digest}`; preview it before applying")
    return plan


def _lines(plan: Plan) -> Iterator[str]:
    body = plan.body
    yield f"plan: {body['title']}"
    yield f"author: {body['author']}"
    yield f"basis: {body['basis']} {body['clause']}".rstrip()
    yield from (f"release: {release}" for release in body["releases"])
    for number, orders in enumerate(plan.orders):
        size = plan.sizes[number]
        yield f"ring {number + 1}: {size['size']} host(s), root {size['root']}"
        for order in orders:
            yield f"  {order['host']}"
            for change in order["changes"]:
                yield f"    {_change(change)}"
                yield from _seen(change)
            yield from (f"    if it fails: {_change(change)}" for change in order["undo"])
    for row in body["escalated"]:
        yield f"escalated: {row['host']}: {row['reason']}"
    yield f"reboots: {plan.reboots} host(s)"
    blind = sum("effects" not in change for _, change in plan.upgrades)
    yield f"effects: {len(plan.effects)} different list(s); {blind} upgrade(s) not rehearsed"
    yield f"digest: {plan.digest}"


def _seen(change: Json) -> Iterator[str]:
    if "effects" in change:
        classes = ", ".join(change["classes"]) or "none"
        yield f"      effects {change['effects']}; sensitive: {classes}"


def _change(change: Json) -> str:
    said = f"{change['id']} (risk {change['risk']})"
    moves = ", ".join(_move(package) for package in change.get("packages", ()))
    what = change.get("unit") or change.get("check") or moves
    back = f" of {change['undoes']}" if "undoes" in change else ""
    cause = f", because of {change['caused_by']}" if change["caused_by"] else ""
    return f"{said}{back}{': ' if what else ''}{what}{cause}"


def _move(package: Json) -> str:
    cause = f", needed by {package['for']}" if package.get("for") else ""
    short = package["sha256"][:16]
    way = f"{package['from']} -> {package['to']}"
    if package["from"] == ABSENT:
        way = f"{package['to']}, newly installed"
    elif package["to"] == ABSENT:
        way = f"{package['from']}, taken away again"
    return f"{package['name']} {way} [{short}{cause}]"
