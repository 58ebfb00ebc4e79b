"""Directories of application hosts, whose wheels and environments are fetched once for all of them.

Not a test.
"""

import shutil
from pathlib import Path

from answerable.demo.apphosts import end_leftovers
from tests.structure.source import ROOT


def emptied(name: str) -> Path:
    """Give a directory that holds nothing yet but what every one of them shares."""
    directory, shared = ROOT / ".cache" / name, ROOT / ".cache/wheels"
    end_leftovers(directory)
    shutil.rmtree(directory, ignore_errors=True)
    directory.mkdir(parents=True)
    shared.mkdir(exist_ok=True)
    (directory / "cache").symlink_to(shared)
    return directory
