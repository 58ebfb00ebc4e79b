"""The control plane's commands: `plan`, `rollout`, `serve`."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from answerable.cli.show import Output, table
from answerable.config import read_party

if TYPE_CHECKING:
    from answerable.bootstrap.planning import Planning

plan = typer.Typer(help="Plans: discrete changes with their undos, previewed and noticed.")
rollout = typer.Typer(help="Rollouts of noticed plans.")

Directory = Annotated[Path, typer.Argument(help="the control plane's directory")]


def planning_in(directory: Path, *, follow: bool = True) -> "Planning":
    """Open a control plane's directory, and follow both logs."""
    from answerable.bootstrap.planning import Planning
    from answerable.bootstrap.serve import http_client

    planning = Planning(read_party(directory, "control"), http_client())
    if follow:
        planning.logs.refresh()
    return planning


@plan.command("make")
def plan_make(  # noqa: PLR0917  one option each
    directory: Directory,
    title: Annotated[str, typer.Option(help="what people read first")] = "security updates",
    authorization: Annotated[str, typer.Option(help="empty: people approve the plan")] = "",
    clause: Annotated[str, typer.Option(help="of the authorization")] = "",
    zone: Annotated[list[str] | None, typer.Option(help="only hosts in one of these")] = None,
    canary: Annotated[list[str] | None, typer.Option(help="hosts that go first")] = None,
    package: Annotated[list[str] | None, typer.Option(help="only these packages")] = None,
    ring: Annotated[list[int] | None, typer.Option(help="ring sizes, if people approve")] = None,
) -> None:
    """Make a plan and print the dry run; its last line is the digest that apply demands."""
    from answerable.bootstrap.planning import Wish
    from answerable.changes import preview

    wish = Wish(
        title, authorization, clause, frozenset(zone or ()), tuple(canary or ()),
        tuple(ring or Wish.rings), frozenset(package or ()),
    )  # fmt: skip
    typer.echo(preview.text(planning_in(directory).plan(wish)), nl=False)


@plan.command("show")
def plan_show(
    directory: Directory,
    digest: str,
    *,
    effects: Annotated[bool, typer.Option("--effects", help="and each path that changes")] = False,
) -> None:
    """Print a plan's dry run again."""
    from answerable.bootstrap.rehearsing import read_effects
    from answerable.changes import preview

    planning = planning_in(directory, follow=False)
    chosen = planning.read_plan(digest)
    for found, change in chosen.effects.items() if effects else ():
        kept = read_effects(planning.party.directory / "effects", found)
        said = preview.effects(change, kept.lines, kept.sensitive, kept.asked)
        typer.echo(said, nl=False)
    typer.echo(preview.text(chosen), nl=False)


@plan.command("apply")
def plan_apply(
    directory: Directory,
    digest: str,
    authorization: Annotated[str, typer.Option(help="the one it was made under")] = "",
    valid: Annotated[int, typer.Option(help="seconds; the clause's if 0")] = 0,
) -> None:
    """Log the notice of exactly the plan with this digest; prints the notice's leaf hash."""
    planning = planning_in(directory)
    chosen = planning.read_plan(digest)
    terms = planning.terms(chosen, authorization, {})
    if valid:
        terms = planning.terms(chosen, authorization, {"not_after": terms.not_before + valid})
    typer.echo(planning.notice(chosen, terms))


@rollout.command("list")
def rollout_list(directory: Directory, output: Output = "table") -> None:
    """List notices and how far each is, as the logs say it."""
    from answerable.bootstrap.control import Control

    control = Control(read_party(directory, "control"))
    rows = []
    for notice in control.planning.logs.authority().state.notices:
        ended = control.view.outcome(notice)
        look = control.rollouts.look(notice)
        rows.append({"notice": notice, "state": ended.state if ended else look.life,
                     "why": ended.detail if ended else look.why})  # fmt: skip
    table(rows, ("notice", "state", "why"), output)


def serve(directory: Directory) -> None:
    """Serve plans, bundles and artefacts, and roll out what was noticed."""
    from answerable.bootstrap.control import run_control

    run_control(read_party(directory, "control"))
