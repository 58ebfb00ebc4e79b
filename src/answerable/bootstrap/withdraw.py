"""A guard withdraws artefacts or facts: its own key signs, and one is enough.

It blocks as a veto does: every host refuses what is withdrawn until enough people lift it. Left
out: when to do so, which is its operator's decision.
"""

import httpx

from answerable.authority import draft
from answerable.bootstrap.people import nonce, try_out
from answerable.config import Party
from answerable.kernel.canon import Json
from answerable.kernel.fold import State
from answerable.kernel.statement import AUTHORITY, open_statement
from answerable.keys.store import load_key
from answerable.ledger.client import submit


def withdraw(party: Party, body: Json, state: State, client: httpx.Client, log: str) -> str:
    """Sign and log a withdrawal with a guard's key; give its statement id.

    Raises:
        Refused: if it would mean nothing.
        Unavailable: if the key or the log is not there.
    """
    law = state.law()
    said = draft.text("withdrawal", body, law, state.fleet, nonce())
    entry = draft.machine(said, load_key(party.key("herald")))
    try_out(state, entry)
    submit(client, f"{log}/authority", [entry])
    return open_statement(entry, AUTHORITY, law.owners).id
