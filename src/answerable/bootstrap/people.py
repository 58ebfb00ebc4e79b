"""What people do: sign a statement with their own SSH key and hand it to guards and log.

The private key is read by `ssh-keygen` alone (or by the agent or FIDO key behind it). A veto or
halt counts as done only with receipts of a quorum of guards; the control plane takes no part.
"""

import secrets
import subprocess
import tempfile
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from copy import deepcopy
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx

from answerable.authority import draft
from answerable.kernel.canon import Json
from answerable.kernel.charter import Charter
from answerable.kernel.errors import Refused, Unavailable
from answerable.kernel.fold import State, fold
from answerable.kernel.note import parse_vkey
from answerable.kernel.statement import Statement
from answerable.ledger.client import submit
from answerable.witness.http_peer import HttpPeer
from answerable.witness.post import read_receipt

ARMOUR = 65_536
"""Largest signature file that is read, bytes."""
SECONDS = 120
"""How long `ssh-keygen` may take; a person may have to touch a key."""
TO_GUARDS = ("veto", "halt")


class NotSigned(Unavailable):
    """`ssh-keygen` is missing, or did not sign."""


@dataclass(frozen=True)
class Said:
    """A statement that was handed in, and which guards gave a receipt.

    `logged`: the log has it, or guards who hold it hand it to the log until it does.
    """

    entry: bytes
    statement: Statement
    receipts: tuple[str, ...]
    logged: bool


def nonce() -> str:
    """Give 32 random hex digits."""
    return secrets.token_hex(16)


def sign(said: str, kind: str, key: Path) -> str:
    """Let `ssh-keygen` sign a text; give the armoured signature.

    Raises:
        NotSigned: with what it said.
    """
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "statement"
        file.write_text(said)
        namespace = f"answerable/{kind}/v1"
        words = ["ssh-keygen", "-q", "-Y", "sign", "-f", str(key), "-n", namespace, str(file)]
        try:
            done = subprocess.run(words, capture_output=True, timeout=SECONDS, check=False)
        except (OSError, subprocess.TimeoutExpired) as error:
            raise NotSigned(f"cannot run ssh-keygen: {error}") from error
        if done.returncode:
            raise NotSigned(f"ssh-keygen: {done.stderr.decode(errors='replace').strip()[:500]}")
        with file.with_suffix(".sig").open(encoding="ascii") as signature:
            return signature.read(ARMOUR)


def say(
    kind: str, body: Json, person: str, key: Path, state: State, client: httpx.Client, log: str
) -> Said:
    """Draft, sign and hand in what one person says.

    Raises:
        Refused: if the statement is none that may be logged.
        Unavailable: if it cannot be signed, or neither guards nor log take it.
    """
    law = state.law()
    said = draft.text(kind, body, law, state.fleet, nonce())
    entry, statement = draft.assemble(said, [(person, sign(said, kind, key))], law)
    try_out(state, entry)
    if kind not in TO_GUARDS:
        submit(client, f"{log}/authority", [entry])
        return Said(entry, statement, (), logged=True)
    receipts = hand_to_guards(entry, statement, state, client)
    if len(receipts) >= law.quorum:
        return Said(entry, statement, receipts, logged=True)
    try:
        submit(client, f"{log}/authority", [entry])
    except Unavailable:
        if not receipts:
            raise
    except Refused as refusal:
        if refusal.reason != "duplicate":  # a guard has handed it on already
            raise
    return Said(entry, statement, receipts, logged=True)


def try_out(state: State, entry: bytes) -> None:
    """Fold it into a copy first, so that nothing is handed in that would mean nothing.

    Raises:
        Refused: why it would.
    """
    trial = State(state.fleet, deepcopy(state.tables))
    (refusal,) = fold(trial, [entry])
    if refusal:
        raise refusal


def hand_to_guards(
    entry: bytes, statement: Statement, state: State, client: httpx.Client
) -> tuple[str, ...]:
    """Hand a veto or halt to every guard at once; give those whose receipt names it."""

    def took(guard: Mapping[str, Any]) -> bool:
        try:
            receipt = HttpPeer(client, guard["url"]).hand(entry)
            read_receipt(receipt, parse_vkey(guard["herald"]), state.fleet, statement.id)
        except (Unavailable, Refused):
            return False
        return True

    guards = state.law().body["guards"]
    with ThreadPoolExecutor(len(guards)) as pool:
        answers = dict(zip(guards, pool.map(took, guards.values()), strict=True))
    return tuple(sorted(name for name, good in answers.items() if good))


def done(said: Said, law: Charter) -> bool:
    """Tell whether enough guards hold it that no log can swallow it."""
    return bool(len(said.receipts) >= law.quorum)


def describe(said: Said) -> Mapping[str, Any]:
    """Give what a command prints about it."""
    return {
        "statement": said.statement.id, "type": said.statement.kind,
        "receipts": list(said.receipts), "logged": said.logged,
    }  # fmt: skip
