"""`answerable exposure`: what applies where, ranked; and `answerable explain CVE`.

Without a directory it is about the machine that it runs on: its own package database and a folder
of publications. With a control plane's directory it is about the fleet.
"""

import os
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from answerable.cli.control import planning_in
from answerable.cli.show import Output, say, table

if TYPE_CHECKING:
    from answerable.bootstrap.exposure import Listed
    from answerable.exposure.charts import Picture
    from answerable.exposure.rank import Ranked

app = typer.Typer(
    help="Advisories that apply to packages on hosts, ranked and explained.", no_args_is_help=True
)
FEEDS = Path("/var/lib/answerable/feeds")
MODEL = Path("/var/lib/answerable/ranking-model")
DAY = 86_400
COLUMNS = ("due", "timeline", "score", "host", "package", "installed", "fixed", "flaw", "why")
Directory = Annotated[
    Path | None, typer.Argument(help="a control plane's directory; left out: this machine")
]
Feeds = Annotated[
    Path,
    typer.Option("--feeds", envvar="ANSWERABLE_FEEDS", help="folder of publications, or of worlds"),
]
Kept = Annotated[
    Path | None, typer.Option("--kept", help="where what was read is kept; default: the cache")
]
Root = Annotated[Path, typer.Option("--root", help="another root than this machine's own")]
Age = Annotated[
    int, typer.Option("--max-age", min=0, help="days that publications may be old; 0: as usual")
]
Public = Annotated[
    bool | None,
    typer.Option("--public/--internal", help="whether public networks reach it; else unknown"),
]
Model = Annotated[
    Path,
    typer.Option(
        "--model", envvar="ANSWERABLE_MODEL", help="of one machine: folder of a released model"
    ),
]
Everything = Annotated[
    bool, typer.Option(help="of a fleet: all that the world says, not only what was released")
]
Limit = Annotated[int, typer.Option("--limit", min=0, help="show so many at most; 0: all")]
Form = Literal["csv", "json", "sarif", "openvex", "heatmap", "ranking"]


@app.command("list")
def exposure_list(
    directory: Directory = None,
    *,
    feeds: Feeds = FEEDS,
    kept: Kept = None,
    root: Root = Path("/"),
    max_age: Age = 0,
    public: Public = None,
    model: Model = MODEL,
    everything: Everything = False,
    limit: Limit = 0,
    output: Output = "table",
) -> None:
    """List exposures, the most urgent first."""
    from answerable.exposure.rank import explain

    found = _listed(directory, feeds, kept, root, max_age, public, model, everything=everything)
    rows = found.rows[: limit or None]
    if output == "json":
        table([explain(one) for one in rows], COLUMNS, output)
    else:
        table([_row(one) for one in rows], COLUMNS, output)
    _told(found, len(rows))


@app.command("explain")
def exposure_explain(
    cve: Annotated[str, typer.Argument(help="a flaw, or an advisory's id")],
    host: Annotated[str, typer.Argument(help="left out: every host")] = "",
    *,
    directory: Annotated[
        Path | None, typer.Option("--control", help="a control plane's directory; else here")
    ] = None,
    feeds: Feeds = FEEDS,
    kept: Kept = None,
    root: Root = Path("/"),
    max_age: Age = 0,
    public: Public = None,
    model: Model = MODEL,
    everything: Everything = False,
    output: Output = "table",
) -> None:
    """Say why a flaw ranks as it does: what decided, who says so, what would change it."""
    import json

    from answerable.exposure.explain import account, lines

    found = _listed(directory, feeds, kept, root, max_age, public, model, everything=everything)
    letter = account(cve, host, found.rows, found.context)
    if output == "json":
        typer.echo(json.dumps(letter, indent=1, sort_keys=True))
        return
    for line in lines(letter):
        typer.echo(line)


@app.command("export")
def exposure_export(
    form: Annotated[Form, typer.Argument(help="`heatmap` and `ranking` are pictures")],
    *,
    out: Annotated[Path, typer.Option("--out", help="file to write; pictures: .svg or .png")],
    directory: Annotated[
        Path | None, typer.Option("--control", help="a control plane's directory; else here")
    ] = None,
    feeds: Feeds = FEEDS,
    kept: Kept = None,
    root: Root = Path("/"),
    max_age: Age = 0,
    public: Public = None,
    model: Model = MODEL,
    everything: Everything = False,
) -> None:
    """Write exposures for other programs, or draw them."""
    from answerable.config import write_private
    from answerable.exposure.charts import heat_map, ranking
    from answerable.exposure.export import FORMATS

    picture = form in ("heatmap", "ranking")
    if picture and out.suffix not in (".svg", ".png"):
        raise typer.BadParameter(f"`{out}` is neither .svg nor .png", param_hint="--out")
    found = _listed(directory, feeds, kept, root, max_age, public, model, everything=everything)
    if form == "heatmap":
        data = _painted(heat_map(found.rows, found.hosts, found.unknown), out.suffix)
    elif form == "ranking":
        data = _painted(ranking(found.rows, found.heading.ranking), out.suffix)
    else:
        data = FORMATS[form](found.rows, found.heading).encode()
    write_private(out.absolute(), data, 0o644)
    _told(found, len(found.rows))
    typer.echo(str(out))


def _painted(picture: "Picture", suffix: str) -> bytes:
    from answerable.exposure.charts import svg
    from answerable.exposure.png import png

    return png(picture) if suffix == ".png" else svg(picture).encode()


def _listed(
    directory: Path | None,
    feeds: Path,
    kept: Path | None,
    root: Path,
    max_age: int,
    public: bool | None,
    model: Path,
    *,
    everything: bool,
) -> "Listed":
    from answerable.bootstrap.exposure import everything as all_of
    from answerable.bootstrap.exposure import fleet, here
    from answerable.bootstrap.feed_folder import Place

    if directory is not None:
        planning = planning_in(directory)
        if not everything:
            return fleet(planning)
        with bar() as progress:
            return all_of(planning, progress)
    cache = kept or Path(os.environ.get("XDG_CACHE_HOME") or "~/.cache").expanduser() / "answerable"
    with bar() as progress:
        place = Place(feeds, cache, max_age * DAY)
        return here(place, progress, public=public, root=root, model=model)


def _row(one: "Ranked") -> dict[str, object]:
    from answerable.exposure.export import moment
    from answerable.exposure.plain import plain

    exposure, verdict, installed = one.exposure, one.verdict, one.exposure.installed
    why = max(one.reasons[1:], key=lambda reason: reason.points, default=one.reasons[0])
    words = {
        "host": exposure.host, "package": installed.package, "installed": installed.version,
        "fixed": exposure.advisory.fixed or "none", "why": why.because,
        "flaw": verdict.cve or exposure.advisory.id,
    }  # fmt: skip
    return {
        **{name: plain(text) for name, text in words.items()},
        "due": moment(verdict.due)[:10] or "no date", "timeline": verdict.floor.timeline,
        "score": one.score,
    }  # fmt: skip


def _told(found: "Listed", shown: int) -> None:
    """Say on stderr what stands behind the list, and what is not in it."""
    for host in found.unknown:
        say(f"{host}: not heard of for too long, so nothing is known about it")
    for note in found.notes:
        say(f"note: {note}")
    context = found.context
    cves = {cve for one in found.rows for cve in one.exposure.advisory.cves}
    waiting = sum(any(context.waiting(cve)) for cve in cves)
    if waiting:
        say(f"note: of {waiting} flaws more is said than two channels agree on; see `explain`")
    if not context.listed:
        say("note: no catalogue of exploited flaws was read, so every flaw counts as listed")
    more = f", {shown} shown" if shown < len(found.rows) else ""
    say(f"{len(found.rows)} exposures on {len(found.hosts)} hosts{more}; {found.heading.ranking}")


@contextmanager
def bar() -> Iterator[Callable[[str, int], None]]:
    """Show on stderr, if that is a terminal, what is being done and how far it is."""
    if not sys.stderr.isatty():
        yield lambda _what, _done: None
        return
    from rich.console import Console
    from rich.progress import BarColumn, Progress, SpinnerColumn, TextColumn

    columns: Sequence[SpinnerColumn | TextColumn | BarColumn] = (
        SpinnerColumn(), TextColumn("{task.description}", markup=False), BarColumn(),
        TextColumn("{task.completed:,}"),
    )  # fmt: skip
    with Progress(*columns, console=Console(stderr=True), transient=True) as shown:
        task = shown.add_task("starting", total=None)
        yield lambda what, done: shown.update(task, description=what[:60], completed=done)
