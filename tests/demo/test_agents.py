"""Agents that are not as they should be are the agent itself, with one thing bent."""

import subprocess
import sys

import pytest

from answerable.demo.scenes import hosts


@pytest.mark.parametrize("text", [
    hosts._LATE,
    hosts._LIES.format(module="apt", name="AptDriver"),
    hosts._LIES.format(module="venv", name="VenvDriver"),
])  # fmt: skip
def test_bent_agent_starts(text: str) -> None:
    """Everything that is bent is where it is looked for, and the agent reads its arguments."""
    words = [sys.executable, "-c", text, "--help"]
    done = subprocess.run(words, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert "usage" in done.stdout
