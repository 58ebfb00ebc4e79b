"""`answerable notice`: what the guards tell people, and saying that one has seen it."""

from typing import Annotated

import typer

from answerable.cli.given import CharterFile, Key, LogUrl, Person, client, follow
from answerable.cli.people import Notice, speak
from answerable.cli.show import say, write_lines
from answerable.kernel.errors import demand

app = typer.Typer(help="Read notices at the guards.", no_args_is_help=True)
Guards = Annotated[list[str], typer.Option("--guard", help="URL of a guard; several are compared")]


def _print(guards: list[str], path: str) -> None:
    from answerable.bootstrap.pages import GuardSilent, page

    pages, silent = dict[str, str](), list[GuardSilent]()
    for guard in guards:
        try:
            pages[guard] = page(client(), guard, path)
        except GuardSilent as error:
            silent.append(error)
            say(str(error))
    if not pages:
        raise silent[0]
    first = next(iter(pages))
    write_lines(pages[first].removesuffix("\n").split("\n"))
    for guard, text in pages.items():
        same = text == pages[first]
        demand(same, "malformed", f"`{guard}` says another thing than `{first}`: ask people")
    if len(guards) > 1:
        say(f"{len(pages)} of {len(guards)} guards say the same")


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
