"""Real signed metadata of a distribution, kept beside the repository and never copied into it."""

import lzma
from functools import cache
from pathlib import Path

import pytest

FOLDER = Path(__file__).parents[2].parent / "shared" / "data" / "apt_signed_feed"
TAKEN = 1_795_305_600
"""2026-11-22 00:00 UTC, when the data was fetched."""
needs_data = pytest.mark.skipif(not FOLDER.is_dir(), reason="shared/data is absent")
KEYRING = FOLDER / "debian-archive-keyring.gpg"


@cache
def unpacked(name: str) -> bytes:
    """Give one of the files, unpacked."""
    return lzma.decompress((FOLDER / f"{name}.xz").read_bytes())


def packed(name: str) -> bytes:
    """Give one of the files as it was fetched."""
    return (FOLDER / f"{name}.xz").read_bytes()
