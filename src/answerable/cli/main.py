"""`answerable`: the commands, put together, and how each way to fail ends.

Data goes to stdout, everything else to stderr. Exit codes: 0 ok, 1 failed or unavailable, 2 wrong
usage, also in a file that a person wrote, 3 refused. A failure is one line, `answerable: ...`.
"""

import json
import os
import sys
from collections.abc import Callable, Sequence
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any, Literal

import typer

from answerable.authority.written import NotWritten
from answerable.cli import (
    authorization,
    charter,
    control,
    evidence,
    exposure,
    feed,
    guard,
    host,
    inventory,
    log,
    mirror,
    model,
    notice,
    people,
    provenance,
)
from answerable.cli.observe import observe
from answerable.config import KINDS, NotConfigured, Party, read_bytes
from answerable.kernel.errors import Refused, Unavailable

OK, FAILED, USAGE, REFUSED = 0, 1, 2, 3
INTERRUPTED = 130

app = typer.Typer(
    help="Autonomous patching that named people answer for.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)
app.add_typer(charter.app, name="charter")
app.add_typer(authorization.app, name="authorization")
app.add_typer(host.app, name="host")
app.add_typer(guard.app, name="guard")
app.add_typer(log.app, name="log")
app.add_typer(observe, name="observe")
feed.app.add_typer(mirror.app, name="mirror")
feed.app.command("provenance")(provenance.provenance)
app.add_typer(feed.app, name="feed")
app.add_typer(inventory.app, name="inventory")
app.add_typer(exposure.app, name="exposure")
exposure.app.add_typer(model.app, name="model")
app.add_typer(control.plan, name="plan")
app.add_typer(control.rollout, name="rollout")
app.command("serve")(control.serve)
app.add_typer(notice.app, name="notice")
app.command("veto")(people.veto)
app.command("approve")(people.approve)
app.command("halt")(people.halt)
app.add_typer(people.lift, name="lift")
app.command("status")(evidence.status)
app.command("explain")(evidence.explain)
app.command("verify")(evidence.verify)
app.add_typer(evidence.evidence, name="evidence")

Kind = StrEnum("Kind", {kind.upper(): kind for kind in KINDS})  # type: ignore[misc]


@app.command("init")
def init(
    kind: Annotated[Kind, typer.Argument()],
    directory: Annotated[Path, typer.Argument(help="made with mode 0700; keys stay in it")],
    name: Annotated[str, typer.Option(help="an id; a log's is the host part of its origin")],
    operator: Annotated[str, typer.Option(help="the team that runs it")] = "",
    url: Annotated[str, typer.Option(help="where others reach it")] = "",
    listen: Annotated[str, typer.Option(help="ADDRESS:PORT")] = "",
    settings: Annotated[Path | None, typer.Option(exists=True, help="JSON file")] = None,
) -> None:
    """Make a party's keys and settings; prints its card, for `charter draft`."""
    from answerable.bootstrap.parties import found

    given = _settings(settings) if settings else {}
    party = Party(directory.resolve(), kind.value, name, operator, url, listen, given)
    typer.echo(json.dumps(found(party), sort_keys=True))


@app.command("demo")
def demo(
    directory: Annotated[Path, typer.Argument(help="everything is kept there")] = Path(".demo"),
    hosts: Annotated[
        Literal["auto", "real", "application"], typer.Option(help="`auto` tries real ones first")
    ] = "auto",
    scenes: Annotated[int, typer.Option(min=1, max=10, help="the last scene to play")] = 10,
) -> None:
    """Build a small real fleet, patch it, attack it, and prove what happened."""
    from answerable.demo.story import play

    play(directory, hosts, scenes)


def _settings(path: Path) -> dict[str, object]:
    try:
        found = json.loads(read_bytes(path))
    except ValueError as error:
        raise NotConfigured(f"`{path}` is not JSON: {error}") from error
    if not isinstance(found, dict):
        raise NotConfigured(f"`{path}` holds no object of settings")
    return found


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command; give its exit code."""
    command = typer.main.get_command(app)
    words = list(sys.argv[1:] if argv is None else argv)
    try:
        code = command.main(args=words, prog_name="answerable", standalone_mode=False)
    except tuple(_ENDINGS) as error:
        code, spell = next(_ENDINGS[kind] for kind in _ENDINGS if isinstance(error, kind))
        if said := " ".join(spell(error).split()):  # nothing where the help was printed instead
            print(f"answerable: {said}", file=sys.stderr)
    except BrokenPipeError:
        # Whoever read our data has read enough.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        code = FAILED
    return code if isinstance(code, int) else OK


def _refused(refused: Any) -> str:  # noqa: ANN401  each ending takes its own kind of error
    return f"refused: {refused.reason}: {refused.detail}"


def _usage(error: Any) -> str:  # noqa: ANN401
    message = str(error.format_message())
    return message[:1].lower() + message[1:].removesuffix(".")


_ENDINGS: dict[type[BaseException], tuple[int, Callable[[Any], str]]] = {
    Refused: (REFUSED, _refused),
    NotWritten: (USAGE, str),
    NotConfigured: (USAGE, str),
    Unavailable: (FAILED, str),
    typer.TyperException: (USAGE, _usage),
    typer.Abort: (INTERRUPTED, lambda _: "interrupted"),
    KeyboardInterrupt: (INTERRUPTED, lambda _: "interrupted"),
}
"""How each failure ends: exit code, and what is said in one line; the first that fits."""

if __name__ == "__main__":
    sys.exit(main())
