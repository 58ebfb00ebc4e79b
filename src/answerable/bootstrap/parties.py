"""Founding a party: its keys, its settings, and the card that goes into a charter.

A card holds only public keys; whoever drafts the charter (authority/charter.py) gets one from each
party. Making a party twice changes nothing: keys that are there are kept.
"""

from collections.abc import Mapping
from typing import Any

from answerable.config import Party, write_party
from answerable.kernel.note import COSIGNATURE, ED25519, MLDSA44
from answerable.keys.sign import Signer
from answerable.keys.store import load_key, load_or_make

GUARD_ROLES = ("witness", "post", "attester")
LOGS = ("authority", "report")


def found(party: Party) -> Mapping[str, Any]:
    """Make what a party lacks and give its card."""
    party.directory.mkdir(mode=0o700, parents=True, exist_ok=True)
    write_party(party)
    return {"log": _log, "guard": _guard, "observer": _observer, "control": _control}[party.kind](
        party
    )


def _pair(party: Party, name: str, key: str, first: int) -> list[str]:
    kinds = ((f"{key}-ed25519", first), (f"{key}-mldsa44", MLDSA44))
    return [load_or_make(party.key(file), name, kind).key.vkey() for file, kind in kinds]


def pair_of(party: Party, key: str) -> tuple[Signer, Signer]:
    """Load a party's two keys of one role.

    Raises:
        KeyUnavailable: if one is missing or broken.
    """
    return load_key(party.key(f"{key}-ed25519")), load_key(party.key(f"{key}-mldsa44"))


def _log(party: Party) -> dict[str, Any]:
    origins = {log: f"{party.name}/{log}" for log in LOGS}
    logs = {
        log: {"origin": origin, "keys": _pair(party, origin, log, ED25519)}
        for log, origin in origins.items()
    }
    return {"party": "log", "name": party.name, "url": party.url, "logs": logs}


def _guard(party: Party) -> dict[str, Any]:
    pairs = {
        role: _pair(party, f"{party.name}.{party.operator}/{role}", role, COSIGNATURE)
        for role in GUARD_ROLES
    }
    herald = load_or_make(party.key("herald"), f"{party.name}.{party.operator}/herald", ED25519)
    card = {"party": "guard", "name": party.name, "operator": party.operator, "url": party.url}
    return {**card, **pairs, "herald": herald.key.vkey()}


def _observer(party: Party) -> dict[str, Any]:
    key = load_or_make(party.key("observer"), f"{party.name}.{party.operator}/observer", ED25519)
    card = {"party": "observer", "name": party.name, "operator": party.operator}
    return {**card, "key": key.key.vkey()}


def _control(party: Party) -> dict[str, Any]:
    key = load_or_make(party.key("planner"), f"{party.name}/planner", ED25519)
    return {"party": "control", "name": party.name, "url": party.url, "key": key.key.vkey()}
