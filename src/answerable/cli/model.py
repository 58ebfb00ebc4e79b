"""`answerable exposure model`: train a ranking model, hold it to the gate, have it released."""

from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from answerable.cli.exposure import bar
from answerable.cli.given import CharterFile, Out, law_of, write
from answerable.cli.show import Output, say, table
from answerable.cli.sign import Signatures, assemble, sign_next

if TYPE_CHECKING:
    from answerable.exposure.golden import Golden, Shadow
    from answerable.exposure.manifest import Recipe
    from answerable.exposure.model import Model

app = typer.Typer(
    help="Train ranking models, compare them, and have two people release one.",
    no_args_is_help=True,
)
REFUSED = 3
Worlds = Annotated[
    Path, typer.Option("--worlds", exists=True, file_okay=False, help="folder of worlds")
]
Day = Annotated[datetime, typer.Option(formats=["%Y-%m-%d"], help="midnight UTC")]
GoldenFile = Annotated[
    Path, typer.Option("--golden", exists=True, dir_okay=False, help="as `model golden` wrote it")
]
ModelFile = Annotated[Path, typer.Argument(exists=True, dir_okay=False, help="a model's file")]
Serving = Annotated[
    Path | None, typer.Option("--serving", help="the model in service, if there is one")
]


@app.command("train")
def model_train(
    worlds: Worlds,
    as_of: Day,
    out: Annotated[Path, typer.Option("--out", help="a control plane's `models`, or any folder")],
    *,
    golden: Annotated[Path | None, typer.Option("--golden", help="to measure it by")] = None,
    seed: Annotated[int, typer.Option(help="the same seed gives the same model")] = 7,
    bags: Annotated[int, typer.Option(min=1, help="models that are averaged")] = 8,
    interactions: Annotated[int, typer.Option(min=0, help="tables of two features")] = 0,
    adversarial: Annotated[
        int, typer.Option(min=0, help="disguised flaws of each kind to train on as well")
    ] = 0,
    epsilon: Annotated[
        float, typer.Option(min=0, help="differential privacy; no defence against poisoning")
    ] = 0,
) -> None:
    """Train a model from the newest world; prints its hash, its manifest's, and what it costs.

    With `--epsilon` or `--adversarial` it is trained without as well, so that the price shows.
    """
    from answerable.bootstrap import training
    from answerable.exposure.manifest import Recipe

    recipe = Recipe(
        _second(as_of), seed=seed, bags=bags, interactions=interactions, adversarial=adversarial,
        epsilon_thousandths=round(epsilon * 1000),
    )  # fmt: skip
    plain = replace(recipe, adversarial=0, epsilon_thousandths=0)
    asked = _golden(golden) if golden else None
    with bar() as progress:
        model, manifest = training.fit(training.gather(worlds, recipe, progress), progress)
        other = None
        if asked and recipe != plain:
            other, _ = training.fit(training.gather(worlds, plain, progress), progress)
    name = training.keep(out, model, manifest)
    if asked:
        rows = {"this model": model, **({"without": other} if other else {})}
        _measured(rows, asked, recipe)
    say(f"manifest {model.manifest}")
    typer.echo(name)


@app.command("golden")
def model_golden(
    worlds: Worlds,
    since: Day,
    until: Day,
    out: Annotated[Path, typer.Option("--out", help="file to write")],
) -> None:
    """Freeze flaws published in a span of time, with what became of them, as a golden set."""
    from answerable.bootstrap import training
    from answerable.config import write_private

    with bar() as progress:
        made = training.golden(worlds, _second(since), _second(until), progress)
    write_private(out.absolute(), made.text.encode(), 0o644)
    say(f"{len(made.rows)} flaws, {sum(made.ends)} of them exploited")
    typer.echo(made.sha256)


@app.command("compare")
def model_compare(
    proposed: ModelFile, golden: GoldenFile, serving: Serving = None, output: Output = "table"
) -> None:
    """Ask both models the golden set. Exit code 3: the gate asks for two people."""
    found = _shadow(proposed, golden, serving)
    row = {
        "correlation": round(found.correlation, 4),
        "coverage_before": round(found.coverage[0], 4),
        "coverage_after": round(found.coverage[1], 4), "auc_before": round(found.auc[0], 4),
        "auc_after": round(found.auc[1], 4), "proposed": found.proposed, "serving": found.serving,
        "moved": [f"{cve} {old} -> {new}" for cve, old, new in found.movers],
        "reasons": list(found.reasons),
    }  # fmt: skip
    table([row], tuple(row), output)
    for reason in found.reasons:
        say(f"two people must look: {reason}")
    if found.reasons:
        raise typer.Exit(REFUSED)


@app.command("draft")
def model_draft(
    proposed: ModelFile,
    golden: GoldenFile,
    charter: CharterFile,
    serving: Serving = None,
    out: Out = None,
) -> None:
    """Draft the release of a model, after the gate looked at it; prints the text to sign."""
    from answerable.authority import draft
    from answerable.bootstrap import models
    from answerable.bootstrap.people import nonce
    from answerable.bootstrap.serve import clock
    from answerable.config import read_bytes
    from answerable.exposure.model import SIZE

    law, fleet = law_of(charter)
    found = _shadow(proposed, golden, serving)
    models.demand_people(found, law)
    for reason in found.reasons or ("the gate sees nothing unusual",):
        say(reason)
    body = models.release_body(read_bytes(proposed, SIZE), law, fleet, clock())
    write(out, draft.text("release", body, law, fleet, nonce()).encode())
    sign_next("release", out)


@app.command("assemble")
def model_assemble(
    text: Annotated[Path, typer.Argument(exists=True, dir_okay=False, help="as drafted")],
    signature: Signatures,
    charter: CharterFile,
    out: Out = None,
) -> None:
    """Put people's signatures under a release; prints the record to submit."""
    assemble("release", text, signature, charter, out)


def _second(day: datetime) -> int:
    return int(day.replace(tzinfo=UTC).timestamp())


def _golden(path: Path) -> "Golden":
    from answerable.bootstrap.models import read_golden

    return read_golden(path)


def _shadow(proposed: Path, golden: Path, serving: Path | None) -> "Shadow":
    from answerable.bootstrap import models
    from answerable.config import read_bytes
    from answerable.exposure import model

    before = model.read(read_bytes(serving, model.SIZE)) if serving else None
    return models.compare(before, read_bytes(proposed, model.SIZE), _golden(golden))


def _measured(rows: Mapping[str, "Model"], asked: "Golden", recipe: "Recipe") -> None:
    from answerable.exposure.golden import quality

    for name, model in rows.items():
        found = quality(asked.scores(model), asked.ends)
        words = ", ".join(f"{what} {value:.4f}" for what, value in found.items())
        say(f"{name}: {words}")
    if recipe.epsilon_thousandths:
        say("differential privacy protects whose records were trained on; it stops no poisoning")
