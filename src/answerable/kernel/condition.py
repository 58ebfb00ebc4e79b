"""Conditions of authorizations: matchers over named facts, joined by all, any and not.

`{"all":[{"fact":"urgency","in":["high","critical"]},{"not":{"fact":"exploited","is":true}}]}`

A fact that is missing, or of another type than the matcher needs, and a condition of another shape
block the whole (`not_covered`), also inside `not` and `any`: what is unknown never opens anything.
"""

from collections.abc import Mapping

from answerable.kernel.canon import Json, conforms
from answerable.kernel.errors import Refused


def holds(condition: Json, facts: Mapping[str, Json], depth: int = 8) -> bool:
    """Evaluate a condition over facts, every part of it, at most `depth` levels deep.

    Raises:
        Refused: `not_covered` if it is no condition, or a fact that it names is unknown.
    """
    match condition:
        case {"all": [_, *_] as parts, **rest} if not rest and depth:
            return all([holds(part, facts, depth - 1) for part in parts])  # noqa: C419  each is read
        case {"any": [_, *_] as parts, **rest} if not rest and depth:
            return any([holds(part, facts, depth - 1) for part in parts])  # noqa: C419  each is read
        case {"not": part, **rest} if not rest and depth:
            return not holds(part, facts, depth - 1)
        case {"fact": str(name), "in": list(allowed), **rest} if not rest:
            value = facts.get(name)
            values = value if isinstance(value, list) else [value]
            if conforms(values, ["text"]) and conforms(allowed, ["text"]):
                return not set(values).isdisjoint(allowed)
        case {"fact": str(name), "at_least": int(least), **rest} if not rest:
            if conforms(facts.get(name), "int"):
                return bool(facts[name] >= least)
        case {"fact": str(name), "is": bool(wanted), **rest} if not rest:
            if conforms(facts.get(name), "bool"):
                return facts[name] is wanted
    raise Refused("not_covered", "an unknown fact, or a condition of another shape")
