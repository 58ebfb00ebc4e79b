"""`answerable notice`: what the guards tell people, and saying that one has seen it."""

from typing import Annotated

import typer

from answerable.cli.given import CharterFile, Key, LogUrl, Person, client, follow
from answerable.cli.people import Notice, speak
from answerable.cli.show import say
from answerable.kernel.errors import Refused, Unavailable

app = typer.Typer(help="Read notices at the guards.", no_args_is_help=True)
Guards = Annotated[list[str], typer.Option("--guard", help="URL of a guard; several are compared")]
PAGE = 1 << 22
"""Largest page of a guard that is read, bytes."""


class GuardSilent(Unavailable):
    """A guard does not answer, or has no such page."""


def _page(guard: str, path: str) -> str:
    import httpx

    url = f"{guard.rstrip('/')}/{path}"
    try:
        answer = client().get(url)
    except (httpx.HTTPError, httpx.InvalidURL) as error:
        raise GuardSilent(f"cannot reach `{url}`: {type(error).__name__}") from error
    if answer.status_code != httpx.codes.OK or len(answer.content) > PAGE:
        raise GuardSilent(f"`{url}` answers {answer.status_code}")
    return answer.text


def _print(guards: list[str], path: str) -> None:
    pages = {guard: _page(guard, path) for guard in guards}
    typer.echo(pages[guards[0]], nl=False)
    odd = [guard for guard in guards if pages[guard] != pages[guards[0]]]
    if odd:
        raise Refused("malformed", f"`{odd[0]}` says another thing than `{guards[0]}`: ask people")
    if len(guards) > 1:
        say(f"{len(guards)} guards say the same")


@app.command("list")
def notice_list(guard: Guards) -> None:
    """List notices, newest first, with their check words."""
    _print(guard[:1], "notices")


@app.command("show")
def notice_show(notice: Notice, guard: Guards) -> None:
    """Show the text of a notice as people were told; its check words stand at the end."""
    _print(guard, f"notices/{notice}")


@app.command("seen")
def notice_seen(
    notice: Notice, person: Person, key: Key, charter: CharterFile, log: LogUrl
) -> None:
    """Say in the log that you have seen a notice."""
    state = follow(log, charter).state
    state.find("notices", notice)
    speak("seen", {"notice": notice}, (person, key), state, log)
