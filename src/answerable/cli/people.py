"""What people say with their own SSH key: `veto`, `approve`, `halt`, `lift`, `notice seen`.

Vetoes and halts go to the guards first, and need neither log nor control plane: where the logs
cannot be followed, the charter of the file is what is signed under.
"""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from answerable.cli.given import (
    CharterFile,
    Key,
    LogUrl,
    Out,
    Person,
    Reason,
    client,
    follow,
    law_of,
    write,
)
from answerable.cli.show import say as tell
from answerable.cli.sign import Signatures, assemble, sign_next
from answerable.config import read_bytes
from answerable.kernel.canon import Json, encode
from answerable.kernel.errors import Unavailable
from answerable.kernel.fold import State, succeed

if TYPE_CHECKING:
    from answerable.bootstrap.people import Said

Notice = Annotated[str, typer.Argument(help="the notice's leaf hash")]
Undo = Annotated[bool, typer.Option("--undo", help="the undo, instead of the changes")]


def speak(kind: str, body: Json, who: tuple[str, Path], state: State, log: str) -> "Said":
    """Sign with (person, key), hand in, and print what became of it."""
    from answerable.bootstrap import people

    person, key = who
    if not key.is_file():
        raise typer.BadParameter(f"there is no key `{key}`", param_hint="--key")
    if person not in state.law().body["people"]:
        known = ", ".join(sorted(state.law().body["people"]))
        raise typer.BadParameter(
            f"`{person}` is not in the charter, which knows {known}", param_hint="--person"
        )
    said = people.say(kind, body, person, key, state, client(), log.rstrip("/"))
    typer.echo(encode(dict(people.describe(said))))
    return said


def _state(log: str, charter: Path) -> State:
    """Follow the log, or stand on the charter alone if it cannot be followed."""
    try:
        return follow(log, charter).state
    except Unavailable as error:
        tell(f"going on without the log: {error}")
        law, fleet = law_of(charter)
        state = State(fleet)
        if law.body["number"] == 1:
            succeed(state, read_bytes(charter))
        else:
            state.charter = law
        return state


def _object(kind: str, body: Json, who: tuple[str, Path], state: State, log: str) -> None:
    from answerable.bootstrap import people

    said, law = speak(kind, body, who, state, log), state.law()
    held = f"{len(said.receipts)} of {len(law.body['guards'])} guards hold the {kind}"
    tell(f"{held}; {law.quorum} must")
    if not people.done(said, law):
        tell("it is not done: say it again, or by other ways, until a quorum of guards holds it")
        raise typer.Exit(1)


def veto(
    notice: Notice,
    person: Person,
    key: Key,
    charter: CharterFile,
    log: LogUrl,
    reason: Reason = "",
    undo: Annotated[bool, typer.Option("--undo", help="forbid the undo as well")] = False,
) -> None:
    """Object to a notice: what it would install, and the same in any other notice."""
    state = _state(log, charter)
    known = state.notices.get(notice, {"body": {"artefacts": [], "targets": []}})["body"]
    if notice not in state.notices:
        tell(f"`{notice}` is not in the log as far as it could be followed; vetoed all the same")
    body = {
        "notice": notice, "artefacts": known["artefacts"], "targets": known["targets"],
        "undo": undo, "authorization": "", "reason": reason,
    }  # fmt: skip
    _object("veto", body, (person, key), state, log)


def halt(
    zone: Annotated[list[str], typer.Option(help="every change in this zone; `*` for the rest")],
    person: Person,
    key: Key,
    charter: CharterFile,
    log: LogUrl,
    reason: Reason = "",
) -> None:
    """Halt every change in zones that you may object for."""
    body = {"zones": zone, "reason": reason}
    _object("halt", body, (person, key), _state(log, charter), log)


def approve(
    notice: Notice,
    person: Person,
    key: Key,
    charter: CharterFile,
    log: LogUrl,
    reason: Reason = "",
    undo: Undo = False,
) -> None:
    """Approve a notice: exactly the plan that it names."""
    state = follow(log, charter).state
    state.find("notices", notice)
    speak("approval", {"notice": notice, "reason": reason, "undo": undo}, (person, key), state, log)


lift = typer.Typer(
    help="Lift vetoes, halts and withdrawals, by several people together.", no_args_is_help=True
)


@lift.command("draft")
def lift_draft(
    statement: Annotated[list[str], typer.Argument(help="ids of vetoes, halts; withdrawn hashes")],
    charter: CharterFile,
    reason: Reason = "",
    out: Out = None,
) -> None:
    """Draft a lift of vetoes, halts or withdrawals; prints the text to sign."""
    from answerable.authority import draft
    from answerable.bootstrap.people import nonce

    law, fleet = law_of(charter)
    body = {"lifts": statement, "reason": reason}
    write(out, draft.text("lift", body, law, fleet, nonce()).encode())
    sign_next("lift", out)


@lift.command("assemble")
def lift_assemble(
    text: Annotated[Path, typer.Argument(exists=True, dir_okay=False, help="as drafted")],
    signature: Signatures,
    charter: CharterFile,
    out: Out = None,
) -> None:
    """Put people's signatures under a lift; prints the record to submit."""
    assemble("lift", text, signature, charter, out)
