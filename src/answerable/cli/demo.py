"""`answerable demo`: the whole story, with real processes, hosts and packages."""

from pathlib import Path
from typing import Annotated, Literal

import typer


def demo(
    directory: Annotated[Path, typer.Option(help="kept; what an earlier demo left is replaced")] = (
        Path(".demo")
    ),
    hosts: Annotated[
        Literal["auto", "real", "application"],
        typer.Option(help="`auto` tries real hosts first and says why not"),
    ] = "auto",
    scene: Annotated[int, typer.Option(help="the last scene before the proof", min=1, max=9)] = 9,
) -> None:
    """Found a small fleet, patch it, attack it, show the proof; the last line is where it lies."""
    from answerable.demo.story import play

    play(directory, hosts, scene)
