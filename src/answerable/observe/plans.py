"""The orders behind a notice, from whoever has the plan; believed only by what the notice says.

1. the bytes are those whose SHA-256 the notice names
2. each ring has the size and the RFC 6962 root that the notice names
3. each order is typed (kernel/order.py)

`GET <control plane>/plans/<digest>` is asked first, then each guard's `/notices/<leaf>/plan`.
"""

from collections.abc import Sequence
from hashlib import sha256
from typing import NamedTuple

import httpx

from answerable.kernel.canon import Json, decode
from answerable.kernel.errors import Refused, Unavailable, demand
from answerable.kernel.merkle import Tree, leaf_hash
from answerable.kernel.order import read_order

PLAN = 64 << 20
"""Largest plan that is read, bytes."""
_PLAIN = {"accept-encoding": "identity"}


class PlanWithheld(Unavailable):
    """Nobody who was asked gives the plan that a notice names."""


class Planned(NamedTuple):
    """An order of a plan: its digest, its ring (from 0) and itself."""

    digest: str
    ring: int
    order: Json


def read_plan(notice: Json, data: bytes) -> list[Planned]:
    """Read a plan's orders, ring by ring.

    Raises:
        Refused: `malformed`, `not_in_ring` or `action_not_allowed` if it is not what was noticed.
    """
    demand(sha256(data).hexdigest() == notice["plan"], "not_in_ring", "other bytes than noticed")
    body = decode(data, PLAN)
    rings = body.get("rings") if isinstance(body, dict) else None
    sound = isinstance(rings, list) and len(rings) == len(notice["rings"])
    demand(sound, "malformed", "a plan of other rings than its notice")
    found: list[Planned] = []
    for number, (texts, claim) in enumerate(zip(rings or (), notice["rings"], strict=True)):
        known = isinstance(texts, list) and all(isinstance(text, str) for text in texts)
        demand(known, "malformed", "an order that is no text")
        tree = Tree(leaf_hash(text.encode()) for text in texts)
        same = [tree.size, tree.root().hex()] == [claim["size"], claim["root"]]
        demand(same, "not_in_ring", f"ring {number} is not the one that was noticed")
        found += [Planned(sha256(t.encode()).hexdigest(), number, read_order(t)) for t in texts]
    return found


def fetch(client: httpx.Client, urls: Sequence[str], notice: Json) -> list[Planned]:
    """Ask these URLs in turn for the plan of a notice's body.

    Raises:
        PlanWithheld: if none of them gives it.
    """
    why = "nobody to ask"
    for url in urls:
        try:
            return read_plan(notice, _get(client, url))
        except Refused as refusal:
            why = f"`{url}`: {refusal.reason} {refusal.detail}"
        except (httpx.HTTPError, httpx.InvalidURL) as error:
            why = f"`{url}` does not answer: {type(error).__name__}"
    raise PlanWithheld(f"the plan `{notice['plan']}` is withheld; {why}")


def _get(client: httpx.Client, url: str) -> bytes:
    data = bytearray()
    with client.stream("GET", url, headers=_PLAIN) as answer:
        demand(answer.status_code == httpx.codes.OK, "malformed", f"answers {answer.status_code}")
        for part in answer.iter_raw():
            data += part
            demand(len(data) <= PLAN, "too_large", f"over {PLAN} bytes")
    return bytes(data)
