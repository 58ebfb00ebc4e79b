"""Only the kernel says yes or no: a verdict made anywhere else would be a second judge."""

import ast

import pytest

from tests.structure.source import dotted, modules

VERDICTS = ("Permit", "Refused")


@pytest.mark.parametrize("verdict", VERDICTS)
def test_verdicts_are_made_only_in_the_kernel(verdict: str) -> None:
    """No other room constructs or subclasses a verdict."""
    outside = [m for m in modules("src") if not m.path.startswith("src/answerable/kernel/")]
    made = [
        f"{m.path}:{line}"
        for m in outside
        for line, name, _ in m.calls()
        if name.rpartition(".")[2] == verdict
    ]
    inherited = [
        f"{m.path}:{node.lineno}"
        for m in outside
        for node in ast.walk(m.tree)
        if isinstance(node, ast.ClassDef)
        and verdict in {dotted(base).rpartition(".")[2] for base in node.bases}
    ]
    assert made + inherited == []
