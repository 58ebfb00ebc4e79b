"""`answerable inventory`: bring in what is on hosts, and show it."""

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Any

import typer

from answerable.cli.show import Output, say, table
from answerable.config import read_party

app = typer.Typer(help="Which packages are on which hosts.", no_args_is_help=True)
Directory = Annotated[Path, typer.Argument(help="the control plane's directory")]
_HOSTS = ("host", "state", "heard", "packages", "zones", "owner")
_PACKAGES = ("ecosystem", "package", "version", "arch", "source", "state")
_MINUTE, _HOUR, _DAY = 60, 3_600, 86_400


@contextmanager
def progress() -> Iterator[Callable[[str, int, int], None]]:
    """Draw bars on a terminal while something long is read; say nothing elsewhere."""
    if not sys.stderr.isatty():
        yield lambda _what, _done, _of: None
        return
    from rich.console import Console
    from rich.progress import Progress

    with Progress(console=Console(stderr=True), transient=True) as drawn:
        bars: dict[str, Any] = {}

        def told(what: str, done: int, of: int) -> None:
            if what not in bars:
                bars[what] = drawn.add_task(what, total=of)
            drawn.update(bars[what], completed=done, total=of)

        yield told


@app.command("import")
def inventory_import(  # noqa: PLR0917  one option each
    directory: Directory,
    source: Annotated[
        list[Path] | None,
        typer.Argument(
            exists=True,
            help="roots, images (OCI layout, `docker save`), SBOMs (CycloneDX, SPDX), a CMDB's "
            "CSV or JSON; none: hear or look at every host that the settings name",
        ),
    ] = None,
    name: Annotated[str, typer.Option(help="the host that one source is entered as")] = "",
    zone: Annotated[list[str] | None, typer.Option(help="its zones; none: every zone")] = None,
    owner: Annotated[str, typer.Option(help="whom its findings go to")] = "",
    ecosystem: Annotated[str, typer.Option(help="of a root that names none: `debian:12`")] = "",
    image: Annotated[str, typer.Option(help="name, digest or platform, among several")] = "",
    column: Annotated[
        list[str] | None, typer.Option(help="`host=installed_on`: what a table calls a column")
    ] = None,
    taken: Annotated[
        datetime | None, typer.Option(help="when it was so; else the file's own time")
    ] = None,
) -> None:
    """Take in what is on hosts; prints each with its number of packages."""
    from answerable.bootstrap import inventory, sources

    party = read_party(directory, "control")
    if not source:
        _look(directory)
        return
    if name and len(source) > 1:
        raise typer.BadParameter("`--name` is for one source; import the others one by one")
    at = int((taken if taken.tzinfo else taken.replace(tzinfo=UTC)).timestamp()) if taken else 0
    columns = dict(_column(each) for each in column or ())
    given = sources.Given(name, frozenset(zone or ()), owner, ecosystem, image, columns, at)
    with progress() as told:
        for place in source:
            for read, news in inventory.enter(party, sources.read_source(place, given, told)):
                _say_read(read, news=news)


def _column(text: str) -> tuple[str, str]:
    known, _, called = text.partition("=")
    if not called:
        raise typer.BadParameter(f"`{text}` is no `column=name in the table`")
    return known, called


def _say_read(read: Any, *, news: bool) -> None:  # noqa: ANN401  bootstrap's own row
    host, count = read.inventory.host, len(read.inventory.packages)
    typer.echo(f"{host} {count}")
    if not read.seen:
        say(f"{host}: no package of it is named: it stays unknown")
    elif not news:
        say(f"{host}: something newer was known; nothing was changed")
    if read.gaps:
        say(f"{host}: {len(read.gaps)} more match no advisory: see `inventory show`")


def _look(directory: Path) -> None:
    from answerable.bootstrap.planning import Planning
    from answerable.bootstrap.serve import http_client

    planning = Planning(read_party(directory, "control"), http_client())
    planning.logs.refresh()
    rows = planning.inventory()
    typer.echo("\n".join(f"{row.host} {len(row.packages)}" for row in rows))
    for name in planning.party.settings.get("hosts", {}).keys() - {row.host for row in rows}:
        say(f"{name}: told nothing for too long, and no root is named: it stays unknown")


@app.command("show")
def inventory_show(
    place: Annotated[
        Path, typer.Argument(exists=True, help="a control plane's directory, or any source")
    ] = Path("/"),
    host: Annotated[str, typer.Argument(help="one host of the control plane's")] = "",
    output: Output = "table",
    ecosystem: Annotated[str, typer.Option(help="of a root that names none: `debian:12`")] = "",
    image: Annotated[str, typer.Option(help="name, digest or platform, among several")] = "",
) -> None:
    """Show hosts, or what is on one; without anything, what is on this machine."""
    from answerable.bootstrap import sources

    if not (place / "party.json").exists():
        given = sources.Given(ecosystem=ecosystem, image=image)
        with progress() as told:
            reads = sources.read_source(place, given, told)
        for read in reads:
            _packages(read.inventory.packages, read.gaps, output)
        return
    from answerable.bootstrap import inventory
    from answerable.bootstrap.serve import clock

    party, now = read_party(place, "control"), clock()
    if not host:
        rows = [{**each, "heard": _ago(each)} for each in inventory.hosts(party, now)]
        table(rows, _HOSTS, output)
        return
    found, gaps, state = inventory.on_host(party, host, now)
    if state == "unknown":
        say(f"{host}: not heard of for too long: this is what was last known, nothing is fine")
    _packages(found.packages, gaps, output)


def _packages(packages: Any, gaps: Any, output: str) -> None:  # noqa: ANN401
    from answerable.bootstrap.sources import row

    table([row(package) for package in packages], _PACKAGES, output)
    for gap in gaps:
        say(f"{gap.name}: {gap.reason}: no advisory can match it")


def _ago(host: dict[str, Any]) -> str:
    if not host["seen"]:
        return "never"
    age = int(host["age"])
    for unit, name in ((_DAY, "days"), (_HOUR, "hours"), (_MINUTE, "minutes")):
        if age >= 2 * unit:
            return f"{age // unit} {name} ago"
    return f"{age} seconds ago"
