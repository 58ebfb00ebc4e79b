"""`answerable feed mirror`: publish world snapshots under TUF, and take them in from mirrors."""

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from answerable.cli.feed import progress
from answerable.cli.show import Output, say, table

if TYPE_CHECKING:
    from answerable.feeds.mirror.rotation import Counsel
    from answerable.feeds.mirror.writer import Signing

app = typer.Typer(
    help="Publish world snapshots under TUF; take them in from mirrors, or across an air gap.",
    no_args_is_help=True,
)
Folder = Annotated[Path, typer.Argument(help="the publication's folder, at its publisher")]
Site = Annotated[Path, typer.Argument(help="what this site trusts (made by `trust`)")]
Place = Annotated[str, typer.Argument(help="a mirror: a web address, a folder, or a crate")]
Into = Annotated[Path, typer.Option("--into", help="where files are put")]
Mirrors = Annotated[list[str], typer.Option("--from", help="a mirror; name each of them")]
Name = Annotated[str, typer.Option("--name", help="this site's; says whose turn is when")]
Keys = Annotated[list[Path], typer.Option("--key", help="a holder's folder of keys")]
Role = Annotated[Literal["root", "targets"], typer.Argument()]


@app.command("key")
def key(
    directory: Annotated[Path, typer.Argument(help="made with mode 0700; the keys stay in it")],
    name: Annotated[str, typer.Option(help="whose they are: an id")],
) -> None:
    """Make a holder's two keys; prints what a roster lists of them."""
    from answerable.bootstrap.mirror import make_keys

    typer.echo(json.dumps(make_keys(directory, name)))


@app.command("draft")
def draft(
    folder: Folder,
    roster: Annotated[Path, typer.Option(exists=True, dir_okay=False, help="who signs what")],
) -> None:
    """Draft the first or the next root from a roster; prints its digest."""
    from answerable.bootstrap.mirror import draft_root

    _drafted(folder, draft_root(folder, roster))


@app.command("publish")
def publish(
    folder: Folder,
    path: Annotated[list[Path], typer.Argument(exists=True, help="world folders, candidates")],
    keep: Annotated[int, typer.Option(min=1, help="how many of each stay published")] = 3,
) -> None:
    """Copy world snapshots and candidates in, and draft the list of them; prints its digest."""
    from answerable.bootstrap import mirror

    _drafted(folder, mirror.publish(folder, path, keep))


@app.command("review")
def review(folder: Folder, role: Role) -> None:
    """Show a draft as it would be signed, with its digest."""
    from answerable.bootstrap import mirror

    typer.echo(json.dumps(mirror.review(folder, role), indent=2, sort_keys=True))


@app.command("sign")
def sign(
    folder: Folder,
    role: Role,
    key: Keys,
    digest: Annotated[str, typer.Option(help="of the draft that you looked at")],
) -> None:
    """Sign exactly this draft; the last person who is needed issues it."""
    from answerable.bootstrap import mirror

    done = mirror.sign(folder, role, key, digest)
    say(_told(done))
    typer.echo("issued" if done.issued else "waiting")


@app.command("issue")
def issue(folder: Folder, key: Keys) -> None:
    """Issue snapshot and timestamp over the newest list; each day again."""
    from answerable.bootstrap import mirror

    mirror.issue(folder, key)


@app.command("trust")
def trust(
    site: Site,
    root: Annotated[Path, typer.Argument(exists=True, dir_okay=False, help="1.root.json")],
    sha256: Annotated[str, typer.Option(help="of that file, from somebody you trust")],
) -> None:
    """Pin the first root that a site believes."""
    from answerable.bootstrap import mirror

    mirror.trust(site, root, sha256)


@app.command("fetch")
def fetch(site: Site, mirrors: Mirrors, name: Name, into: Into) -> None:
    """Ask every mirror, and take in what this week's serves; prints what was believed."""
    from answerable.bootstrap import mirror

    with progress() as heard:
        counsel, published = mirror.fetch(site, mirrors, name, into, heard)
    for each in counsel.heard:
        say(f"{each.mirror}: {each.state}: {each.detail}")
    typer.echo(mirror.card(published))


@app.command("status")
def status(site: Site, mirrors: Mirrors, name: Name, output: Output = "table") -> None:
    """List what every mirror says, in this week's order; takes nothing in."""
    from answerable.bootstrap import mirror

    _heard(mirror.ask(site, mirrors, name), output)


@app.command("export")
def export(
    site: Site,
    place: Place,
    crate: Annotated[Path, typer.Argument(help="the file to write; same content, same bytes")],
) -> None:
    """Check what a mirror publishes and write it into one file; prints what was believed."""
    from answerable.bootstrap import mirror

    with progress() as heard:
        published = mirror.export(site, place, crate, heard)
    typer.echo(mirror.card(published))


@app.command("import")
def import_(site: Site, place: Place, into: Into) -> None:
    """Take in a crate (or one mirror) after checking it; prints what was believed."""
    from answerable.bootstrap import mirror

    with progress() as heard:
        published = mirror.take(site, place, into, heard)
    typer.echo(mirror.card(published))


def _drafted(folder: Path, drafted: "Signing") -> None:
    from answerable.bootstrap import mirror

    say(_told(drafted))
    typer.echo(mirror.review(folder, drafted.role)["digest"])


def _told(signing: "Signing") -> str:
    who = ", ".join(sorted(signing.signed)) or "nobody"
    return f"{signing.role} {signing.version}: {signing.need} persons needed; signed: {who}"


def _heard(counsel: "Counsel", output: str) -> None:
    rows = [{"mirror": h.mirror, "state": h.state, "detail": h.detail} for h in counsel.heard]
    table(rows, ("mirror", "state", "detail"), output)
