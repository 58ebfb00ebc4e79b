"""What commands are given: files, keys, addresses; and how they are read, each with a limit."""

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from answerable.config import read_bytes
from answerable.kernel.charter import Charter
from answerable.kernel.statement import open_charter

if TYPE_CHECKING:
    import httpx

    from answerable.bootstrap.follow import Logs

CharterFile = Annotated[
    Path,
    typer.Option(
        "--charter", exists=True, dir_okay=False,
        help="the fleet's first charter, from somebody you trust",
    ),
]  # fmt: skip
LogUrl = Annotated[str, typer.Option("--log", help="URL of the log server")]
Out = Annotated[Path | None, typer.Option("--out", help="file to write; stdout if left out")]
Person = Annotated[str, typer.Option("--person", help="who you are in the charter")]
Key = Annotated[
    Path, typer.Option("--key", help="your SSH key (or its .pub, with an agent or FIDO key)")
]
Reason = Annotated[str, typer.Option("--reason", help="in a few words")]


def law_of(path: Path) -> tuple[Charter, str]:
    """Read a charter that its own people signed; give it and the fleet's id.

    Raises:
        Refused: it is none, or too few signed it.
        NotConfigured: if it cannot be read.
    """
    charter, said = open_charter(read_bytes(path))
    charter.enough(said.people, "charter")
    return charter, said.envelope["fleet"] or charter.id


def client() -> "httpx.Client":
    """Make an HTTP client."""
    from answerable.bootstrap.serve import http_client

    return http_client()


def follow(log: str, charter: Path) -> "Logs":
    """Follow both logs from the first charter to what a quorum of guards cosigned.

    Raises:
        Refused, Unavailable: if the charter is none, or the logs cannot be followed.
    """
    from answerable.bootstrap.follow import Logs

    law_of(charter)
    logs = Logs(client(), log, read_bytes(charter))
    logs.refresh()
    return logs


def write(out: Path | None, data: bytes) -> None:
    """Write public data to a file, or to stdout."""
    if out is None:
        sys.stdout.buffer.write(data)
        sys.stdout.buffer.flush()
        return
    try:
        out.write_bytes(data)
    except OSError as error:
        raise typer.BadParameter(f"cannot write `{out}`: {error.strerror}") from error
