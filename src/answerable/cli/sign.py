"""Texts that several people sign elsewhere, with `ssh-keygen`, and the records they become."""

from pathlib import Path
from typing import Annotated

import typer

from answerable.cli.given import law_of, write
from answerable.cli.show import say
from answerable.config import read_bytes
from answerable.kernel.errors import demand
from answerable.kernel.note import ENTRY

Signatures = Annotated[
    list[str], typer.Option("--signature", help="PERSON=FILE, as `ssh-keygen -Y sign` wrote it")
]


def signatures(given: list[str]) -> list[tuple[str, str]]:
    """Read signature files: (person, armoured signature)."""
    from answerable.bootstrap.people import ARMOUR

    found = []
    for one in given:
        person, is_pair, file = one.partition("=")
        if not (person and is_pair):
            raise typer.BadParameter(f"`{one}` is not PERSON=FILE", param_hint="--signature")
        armoured = read_bytes(Path(file), ARMOUR).decode("ascii", "replace")
        found.append((person, armoured))
    return found


def read_text(path: Path) -> str:
    """Read a drafted text.

    Raises:
        Refused: `malformed`, if it is not one line with its LF.
    """
    said = read_bytes(path, ENTRY).decode(errors="replace")
    whole = said.endswith("}\n") and said.count("\n") == 1
    demand(whole, "malformed", f"`{path}` is no drafted text: one line of JSON")
    return said


def assemble(
    kind: str, text: Path, signed: list[str], charter: Path, out: Path | None
) -> tuple[bytes, str]:
    """Assemble a record that needs several people; give it and its statement id.

    Raises:
        Refused: if too few signed it, or it is of another kind or fleet.
    """
    from answerable.authority import draft

    law, fleet = law_of(charter)
    note, said = draft.assemble(read_text(text), signatures(signed), law)
    demand(said.kind == kind, "malformed", f"a `{said.kind}`, not a `{kind}`")
    demand(said.envelope["fleet"] == fleet, "wrong_fleet", f"`{said.envelope['fleet']}`")
    law.enough(said.people, kind)
    write(out, note)
    say(f"{kind} {said.id}, signed by {', '.join(sorted(said.people))}")
    return note, said.id


def sign_next(kind: str, out: Path | None) -> None:
    """Say how people sign a text."""
    file = out or "FILE"
    say(f"each person signs it: ssh-keygen -Y sign -f KEY -n answerable/{kind}/v1 {file}")
