"""One spelling for every signed structure, and closed shapes for them.

Canonical JSON here is: UTF-8, keys sorted, no white space, no duplicate keys, integers of at most
sixteen digits, no floats, at most 32 levels; characters are not escaped unless JSON demands it. A
text is accepted only if writing it again gives the same bytes, so the bytes that were signed are
the bytes that are read, and two texts never mean the same. Example: `{"a":[1,true],"b":"é"}`.

Left out: Unicode normalisation (strings are compared as bytes).
"""

import json
import re
from contextlib import suppress
from typing import Any

from answerable.kernel.errors import Refused, demand

Json = Any
# Deepest nesting that is read, levels; integers are below this.
DEPTH, MOST = 32, 10**16

_WORDS = {w + end: re.compile(f"(?:{form}){end}").fullmatch for end in ("", "?") for w, form in {
    "hex": r"[0-9a-f]{64}", "nonce": r"[0-9a-f]{32}",
    "id": r"[a-z0-9][a-z0-9._-]{0,63}",
    "zone": r"[a-z0-9][a-z0-9._-]{0,63}|\*",
    "name": r"[^\x00-\x20\x7f]{1,255}", "vkey": r"[^\x00-\x20\x7f]{1,4096}",
    "text": r"[^\x00-\x09\x0b-\x1f\x7f]{0,4096}",
    "note": r"(?s:.{0,60000})", "order": r"(?s:.{0,262144})"}.items()}  # fmt: skip


def shape(words: str, **more: Json) -> Json:
    """Spell a closed object: `"notice:hex reason:text"`, and the members that are no words."""
    return {**dict(word.split(":") for word in words.split()), **more}


encode = json.JSONEncoder(sort_keys=True, separators=(",", ":"), ensure_ascii=False).encode
"""Write a value in its one spelling."""


def _sound(value: Json, depth: int) -> bool:
    if isinstance(value, (dict, list)):
        inner = value.values() if isinstance(value, dict) else value
        return depth > 0 and all(isinstance(one, str) or _sound(one, depth - 1) for one in inner)
    number = type(value) is int and abs(value) < MOST
    return number or value is None or isinstance(value, (str, bool))


def decode(data: bytes, limit: int) -> Json:
    """Read canonical JSON of at most `limit` bytes.

    Raises:
        Refused: `too_large`, or `malformed` for anything that is not the one spelling.
    """
    demand(len(data) <= limit, "too_large", f"{len(data)} bytes where {limit} are allowed")
    with suppress(ValueError, RecursionError):
        value = json.loads(text := data.decode())
        if _sound(value, DEPTH) and encode(value) == text:
            return value
    raise Refused("malformed", "not canonical JSON")


def conforms(value: Json, form: Json) -> bool:
    """Tell whether a decoded value has a shape.

    A shape is a word (`hex`, `int`, `bool`, `any`, ...; with `?` it may be empty), a tuple of
    alternatives (all strings that are themselves allowed, or all shapes), a list of one shape (a
    list of such), a dict (a closed object), or a dict of one key `*` (a map from ids or `*`).
    """
    if isinstance(form, str) and form in _WORDS:
        return isinstance(value, str) and _WORDS[form](value) is not None
    if isinstance(form, list):
        return isinstance(value, list) and all(conforms(item, form[0]) for item in value)
    if isinstance(form, tuple):
        return any(conforms(value, one) if type(one) is dict else value == one for one in form)
    if isinstance(form, dict):
        if "*" in form and isinstance(value, dict):
            form = {k: form["*"] for k in value if conforms(k, "zone")}
        same = isinstance(value, dict) and value.keys() == form.keys()
        return same and all(map(conforms, map(value.get, form), form.values()))
    number = type(value) is int and 0 <= value < 1 << 53
    return form == "any" or (number if form == "int" else isinstance(value, bool))


def read(data: bytes, limit: int, form: Json) -> Json:
    """Decode canonical JSON and demand a shape.

    Raises:
        Refused: `too_large` or `malformed`.
    """
    value = decode(data, limit)
    demand(conforms(value, form), "malformed", "canonical JSON of another shape")
    return value


def unhex(path: list[str]) -> list[bytes]:
    """Read a list of hashes that was found to be of the shape `["hex"]`."""
    return [bytes.fromhex(step) for step in path]
