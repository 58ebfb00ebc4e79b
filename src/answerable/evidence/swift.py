"""The common spellings of report-log records, read by one expression each instead of as JSON.

An audit opens a million records. Most reports, observations and decisions consist of plain ASCII
strings without escapes; for those, one regular expression says as much as reading, spelling again
and comparing shapes does (kernel/canon.py), in a fifth of the time. Rules:

* it only ever says yes: whatever does not match, or whose signature fails here, is opened by the
  kernel's own way, and that verdict counts;
* what matches is what the kernel would take, with the same fields; a test holds both together on
  mutated records.

Signatures are not cut short: each is checked by the kernel's `Note`.
"""

import re
from collections.abc import Mapping
from contextlib import suppress
from typing import NamedTuple

from answerable.kernel.canon import conforms, decode
from answerable.kernel.charter import Signatory
from answerable.kernel.errors import Refused
from answerable.kernel.note import ED25519, ENTRY, Key, Note
from answerable.ledger.reports import SIGNERS

_WORDS = {
    "id": r"[a-z0-9][a-z0-9._-]{0,63}",
    "id?": r"(?:[a-z0-9][a-z0-9._-]{0,63})?",
    "hex": r"[0-9a-f]{64}",
    "nonce": r"[0-9a-f]{32}",
    "int": r"0|[1-9][0-9]{0,14}",
    "text": r"[ !#-\[\]-~]{0,4096}",
    "name": r"[!#-\[\]-~]{1,255}",
    "flat": r"\{[^{}]*\}",
}
_FIELDS = {
    "report": "caused_by:id? change:id detail:text ended:int host:id notice:hex observed:flat "
              "order:hex reason:text result:id seq:int started:int type:id",
    "observation": "change:id host:id notice:hex order:hex result:id saw:flat time:int",
    "decision": "owner:id reason:text state:id subject:text time:int until:int",
}  # fmt: skip
_RESULTS = {
    "report": frozenset({"succeeded", "failed", "refused", "outcome_unknown"}),
    "observation": frozenset({"succeeded", "failed", "unreachable"}),
}


class Swift(NamedTuple):
    """A record that was opened: its kind, fields as text, charter, fleet, origin and signer."""

    kind: str
    body: Mapping[str, str]
    charter: int
    fleet: str
    origin: str
    signer: Signatory


def _pattern(kind: str) -> re.Pattern[str]:
    parts = []
    for field in _FIELDS[kind].split():
        name, _, word = field.partition(":")
        plain = word in ("int", "flat")
        parts.append(f'"{name}":(?P<{name}>{_WORDS[word]})' if plain
                     else f'"{name}":"(?P<{name}>{_WORDS[word]})"')  # fmt: skip
    return re.compile(
        r"\{\"body\":\{" + ",".join(parts) + r"\},"
        rf'"charter":(?P<_charter>{_WORDS["int"]}),"fleet":"(?P<_fleet>{_WORDS["hex"]})",'
        rf'"nonce":"{_WORDS["nonce"]}","origin":"(?P<_origin>{_WORDS["name"]})",'
        rf'"type":"{kind}","version":1\}}'
    )


_PATTERNS = {kind: _pattern(kind) for kind in _FIELDS}


def swift(entry: bytes, owners: Mapping[Key, Signatory]) -> Swift | None:
    """Open a record of a common spelling with the keys that it names; None if it is another."""
    text = entry.rpartition(b"\n\n")[0]
    kind = text[-64:].rpartition(b'"type":"')[2].partition(b'"')[0].decode(errors="replace")
    pattern = _PATTERNS.get(kind)
    if pattern is None or len(entry) > ENTRY or any(key.kind != ED25519 for key in owners):
        return None
    found = pattern.fullmatch(text.decode(errors="replace"))
    if found is None:
        return None
    fields = found.groupdict()
    charter, fleet, origin = (fields.pop(f"_{name}") for name in ("charter", "fleet", "origin"))
    results = _RESULTS.get(kind)
    if (results and fields["result"] not in results) or not _flat(kind, fields):
        return None
    with suppress(Refused):
        _, good = Note(entry).open(owners)
        signers = {owners[key] for key in good}
        if len(signers) == 1:
            (signer,) = signers
            own = kind != "report" or signer[1] == fields["host"]
            if own and signer[0] in SIGNERS[kind]:
                return Swift(kind, fields, int(charter), fleet, origin, signer)
    return None


def _flat(kind: str, fields: Mapping[str, str]) -> bool:
    """Tell whether the one member that is an object is canonical, and of its shape."""
    name = {"report": "observed", "observation": "saw"}.get(kind, "")
    data = fields.get(name, "{}")
    if data == "{}":
        return True
    with suppress(Refused):
        value = decode(data.encode(), ENTRY)
        return kind == "observation" or conforms(value, {"*": "text"})
    return False
