"""Debian's own matcher, asked about the same rows and the same host."""

import shutil
import subprocess
import zlib
from collections.abc import Sequence
from pathlib import Path

from answerable.exposure.applies import subjects
from answerable.feeds.rows import Range
from answerable.inventory.installed import Installed

PROGRAM = shutil.which("debsecan") or ""
Pairs = set[tuple[str, str]]
"""Flaw and package."""


def write_feed(folder: Path, rows: Sequence[Range]) -> None:
    """Write rows of one release as the tracker serves them to debsecan (`VERSION 1`)."""
    flaws = sorted({flaw for row in rows for flaw in subjects(row)})
    number = {flaw: place for place, flaw in enumerate(flaws)}
    lines = ["VERSION 1", *(f"{flaw},,about {flaw}" for flaw in flaws), ""]
    for row in rows:
        kind = "B" if row.level == "binary" else "S"
        lines += [f"{row.package},{number[flaw]},{kind} ?F,{row.fixed}," for flaw in subjects(row)]
    text = "\n".join([*lines, "", ""]) + "\n"
    (folder / "GENERIC").write_bytes(zlib.compress(text.encode()))


def write_status(file: Path, packages: Sequence[Installed]) -> None:
    """Write what is installed as dpkg does."""
    stanzas = []
    for package in packages:
        version = f" ({package.source_version})" if package.source_version else ""
        stanzas.append(
            f"Package: {package.package}\nStatus: install ok installed\nArchitecture: amd64\n"
            f"Source: {package.source or package.package}{version}\nVersion: {package.version}\n"
        )
    file.write_text("\n".join(stanzas))


def ask(folder: Path, status: Path) -> Pairs:
    """Ask debsecan; the feed lies in the folder."""
    words = [PROGRAM, "--config", "/dev/null", "--source", f"file://{folder}", "--format", "simple",
             "--status", str(status)]  # fmt: skip
    done = subprocess.run(words, capture_output=True, text=True, check=True)
    found = (line.split(" ") for line in done.stdout.splitlines())
    return {(words[0], words[1]) for words in found}
