"""Write docs/cli.md from the commands' own `--help`, so that it cannot drift.

The Typer application is `answerable.cli.main.app`. Each command's help is printed 80 columns wide
without colour. `python -m scripts.cli_docs` writes the file; tests/structure/test_docs.py compares.
"""

import importlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from typer.main import get_command
from typer.testing import CliRunner

PAGE = Path(__file__).resolve().parents[1] / "docs" / "cli.md"
_HEAD = "# Commands\n\nWritten by `make docs` from each command's `--help`; do not edit.\n"
_PLAIN = {"COLUMNS": "80", "TERMINAL_WIDTH": "80", "NO_COLOR": "1", "TERM": "dumb"}


def application() -> Any:  # noqa: ANN401  Typer's own type is only there once the command line is
    """Load the command line's Typer application."""
    return importlib.import_module("answerable.cli.main").app


def commands() -> Iterator[tuple[str, ...]]:
    """Give the path of every command, the program itself first as the empty path."""
    pending: list[tuple[tuple[str, ...], Any]] = [((), get_command(application()))]
    while pending:
        path, command = pending.pop(0)
        yield path
        children = getattr(command, "commands", {})
        pending.extend(((*path, name), children[name]) for name in sorted(children))


def page() -> str:
    """Give the text of docs/cli.md."""
    runner = CliRunner()
    parts = [_HEAD]
    for path in commands():
        done = runner.invoke(application(), [*path, "--help"], env=_PLAIN, prog_name="answerable")
        lines = "\n".join(line.rstrip() for line in done.stdout.strip("\n").splitlines())
        parts.append(f"## `{' '.join(('answerable', *path))}`\n\n```\n{lines}\n```\n")
    return "\n".join(parts)


def main() -> None:
    """Write docs/cli.md."""
    PAGE.write_text(page(), "utf-8")


if __name__ == "__main__":
    main()
