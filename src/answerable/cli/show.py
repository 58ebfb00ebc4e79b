"""How commands print: data to stdout, a table for people or JSON for machines; talk to stderr."""

import json
import sys
from collections.abc import Iterable, Mapping, Sequence
from typing import Annotated, Any, Literal

import typer

from answerable.exposure.plain import plain

Output = Annotated[
    Literal["table", "json"], typer.Option("--output", help="`table` for people, or `json`")
]


def say(line: str) -> None:
    """Tell a person how it goes, in one line (stderr)."""
    typer.echo(plain(line), err=True)


def write_lines(lines: Iterable[str]) -> None:
    """Print lines: what others wrote (feeds, guards, evidence) is data, and makes no line."""
    for line in lines:
        typer.echo(plain(line))


def table(rows: Sequence[Mapping[str, Any]], names: Sequence[str], output: str) -> None:
    """Print rows: JSON whole, or these members as a table (plain lines if not a terminal)."""
    if output == "json":
        typer.echo(json.dumps(list(rows), indent=2, sort_keys=True))
        return
    if not sys.stdout.isatty():
        for row in rows:
            typer.echo("\t".join(_cell(row.get(name, "")) for name in names))
        return
    from rich.console import Console  # a fifth of the time that any command takes to start
    from rich.table import Table
    from rich.text import Text

    drawn = Table(*names)
    for row in rows:
        drawn.add_row(*(Text(_cell(row.get(name, ""))) for name in names))
    Console().print(drawn)


def _cell(value: Any) -> str:  # noqa: ANN401  any JSON value
    return plain(value) if isinstance(value, str) else json.dumps(value, sort_keys=True)
