"""What benchmarks measured is kept: one way for all, and never a file of conditions alone."""

import json
import sys
from pathlib import Path

import pytest

from benchmarks import __main__ as runner
from tests.structure.source import ROOT

HERE = ROOT / "benchmarks"
NAMES = sorted(file.stem.removeprefix("bench_") for file in HERE.glob("bench_*.py"))


@pytest.mark.parametrize("name", NAMES)
def test_every_benchmark_has_measured_rows(name: str) -> None:
    """The results of a benchmark hold its numbers, and only the runner writes them."""
    kept = json.loads((HERE / "results" / f"{name}.json").read_text("utf-8"))
    assert runner.numbers(kept["results"])
    assert '"results"' not in (HERE / f"bench_{name}.py").read_text("utf-8")


@pytest.mark.parametrize(
    ("says", "kept"),
    [
        ('{"ms": 7, "goals": {"ms": 9}}', [{"ms": 7, "goals": {"ms": 9}}]),
        ('{"algorithms": "Ed25519", "quick": true, "goals": {"ms": 9}}', "before"),
        ("ms 7", "before"),
    ],
)
def test_runner_keeps_what_was_measured(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, says: str, kept: object
) -> None:
    """Rows with numbers replace the last results; conditions or tables alone do not."""
    package = tmp_path / "benchmarks"
    (package / "results").mkdir(parents=True)
    (package / "bench_it.py").write_text(f"print({says!r})\n", "utf-8")
    (package / "results/it.json").write_text('{"results": "before"}', "utf-8")
    monkeypatch.setattr(runner, "HERE", package)
    monkeypatch.setattr(sys, "argv", ["benchmarks", "it"])
    assert runner.main() == int(kept == "before")
    assert json.loads((package / "results/it.json").read_text("utf-8"))["results"] == kept
