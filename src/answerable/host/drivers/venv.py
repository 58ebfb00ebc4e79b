"""Python packages in one virtual environment, through the pip that lies in it.

Rules, besides those of `driver.py`:
* only wheels, only the staged ones: no index, no dependencies of their own accord, each with its
  hash; pip reads no configuration and no environment;
* pip's own resolver previews the transaction together with every other installed package at its
  present version, so what would no longer fit is a refusal, not a warning afterwards;
* a package is installed if its RECORD (PEP 376, PEP 627) lies there and every file in it has its
  size; anything less counts as absent, and so does a name that is there twice.

Left out: packages without a RECORD; compiling anything.
"""

import csv
import email.parser
import json
import os
import re
import shutil
import time
import zipfile
import zlib
from collections.abc import Callable, Sequence
from pathlib import Path

from answerable.host.driver import (
    CHANGE_SECONDS,
    OUTPUT_LIMIT,
    QUERY_SECONDS,
    ArtefactDiffers,
    DriverFailed,
    Fetch,
    Journal,
    Package,
    Present,
    Ran,
    Staged,
    Store,
    TransactionDiffers,
    last_lines,
    run,
    wait_until_free,
)
from answerable.host.versions import ABSENT, key

METADATA_LIMIT = 1 << 20
"""Largest METADATA, WHEEL or RECORD that is read, bytes."""

_DIST_INFO = re.compile(r"([A-Za-z0-9._]+-[A-Za-z0-9._+!]+)\.dist-info/(METADATA|WHEEL)")
_TAG = re.compile(r"[A-Za-z0-9_]+-[A-Za-z0-9_]+-[A-Za-z0-9_]+")


class VenvDriver:
    """Drives one virtual environment; conforms to `driver.Driver`.

    Args:
        venv: the environment's directory; pip must be in it.
        state: directory of the agent's own.
        sleep: waits that many seconds; given, so that a test need not.
    """

    def __init__(
        self, venv: Path, state: Path, sleep: Callable[[float], None] = time.sleep
    ) -> None:
        """Make the directory for artefacts."""
        self._venv, self._state, self._sleep = venv.absolute(), state.absolute(), sleep
        self._store = Store(self._state / "artefacts", ".whl")
        self._journal = Journal(self._state / "venv.json")

    @property
    def ecosystem(self) -> str:
        """`pypi`."""
        return "pypi"

    def installed(self) -> dict[str, str]:
        """Give normalised name -> version."""
        found: dict[str, list[str]] = {}
        for folder in self._site().glob("*.dist-info"):
            # pip renames what it is about to remove to `~name`.
            if not folder.name.startswith("~") and (folder / "METADATA").is_file():
                name, version = read_metadata(_text(folder / "METADATA"))
                found.setdefault(name, []).append(version if whole(folder) else "")
        return {name: v[0] for name, v in sorted(found.items()) if len(v) == 1 and v[0]}

    def census(self) -> list[Present]:
        """Give what is wholly installed; what is not counts as absent here too."""
        tag = "cp" + self._site().parent.name.removeprefix("python").replace(".", "")
        rows = self.installed().items()
        return [Present("pypi", name, version, tag, name) for name, version in rows]

    def stage(self, packages: Sequence[Package], fetch: Fetch) -> Staged:
        """Bring the wheels here; their hash and their METADATA must be the named ones."""
        files = []
        for package in packages:
            path = self._store.bring(package.sha256, fetch)
            name, found = wheel_name(path)
            if found != (package.name, package.after):
                raise ArtefactDiffers(
                    f"artefact `{package.sha256}` holds `{found[0]}` `{found[1]}`, "
                    f"the order names `{package.name}` `{package.after}`"
                )
            files.append(self._link(path, name))
        return Staged(tuple(packages), tuple(files))

    def preview(self, staged: Staged, *, undo: bool = False) -> None:
        """Let pip resolve the named wheels beside everything else that is installed."""
        pending = self._pending(staged, undo=undo)
        if not pending:
            return
        named = {p.name for p in staged.packages}
        others = [f"{n}=={v}" for n, v in self.installed().items() if n not in named]
        report = self._state / "report.json"
        words = ["install", "--dry-run", "--no-index", "--report", str(report)]
        done = self._pip([*words, "--", *map(str, staged.files), *others])
        if done.code:
            raise TransactionDiffers(
                f"pip cannot do exactly this: {last_lines(done.output, 3)}; plan the change anew",
                done.output.strip().splitlines()[-20:],
            )
        rows = json.loads(report.read_bytes()[:OUTPUT_LIMIT])["install"]
        would = {(_normal(r["metadata"]["name"]), r["metadata"]["version"]) for r in rows}
        also = sorted(would - {(p.name, p.after) for p in staged.packages})
        if also:
            lines = [f"{name} {version}" for name, version in also]
            raise TransactionDiffers(f"pip would also touch {', '.join(lines)}", lines)

    def upgrade(self, staged: Staged) -> str:
        """Install the named versions; a lower one is refused."""
        self._change(staged, undo=False)
        return ""

    def undo(self, staged: Staged) -> str:
        """Install the older versions that are named."""
        self._change(staged, undo=True)
        return ""

    def recover(self) -> tuple[Package, ...]:
        """Wait for an orphaned pip, clear what it left, and finish a torn transaction."""
        packages, _note = self._journal.read()
        if not packages:
            return ()
        wait_until_free(self._state / "venv.lock", self._state / "venv.log", self._sleep)
        for leftover in self._site().glob("~*"):
            shutil.rmtree(leftover) if leftover.is_dir() else leftover.unlink()
        installed = self.installed()
        if all(installed.get(p.name) == p.before for p in packages):
            self._journal.end()
            return ()
        paths = [self._store.path(p.sha256) for p in packages]
        files = [self._link(path, wheel_name(path)[0]) for path in paths]
        self._install(Staged(packages, tuple(files)))
        return packages

    def _change(self, staged: Staged, *, undo: bool) -> None:
        if self._pending(staged, undo=undo):
            self.preview(staged, undo=undo)
            self._journal.begin(staged.packages)
            self._install(staged)

    def _install(self, staged: Staged) -> None:
        self._store.check(staged)
        wanted = self._state / "requirements.txt"
        rows = zip(staged.packages, staged.files, strict=True)
        wanted.write_text(
            "".join(f"{path} --hash=sha256:{p.sha256}\n" for p, path in rows), "utf-8"
        )
        words = ["install", "--no-deps", "--no-index", "--require-hashes", "--force-reinstall"]
        done = self._pip([*words, "--requirement", str(wanted)], CHANGE_SECONDS)
        installed = self.installed()
        left = [f"`{p.name}`" for p in staged.packages if installed.get(p.name) != p.after]
        if left:
            raise DriverFailed(f"pip left {', '.join(left)} undone: {last_lines(done.output)}")
        self._journal.end()

    def _pending(self, staged: Staged, *, undo: bool) -> list[Package]:
        installed = self.installed()
        pending = [p for p in staged.packages if installed.get(p.name) != p.after]
        for package in pending:
            if ABSENT in (package.before, package.after):
                raise TransactionDiffers(f"`{package.name}` would come new or go; a person does it")
            version = installed.get(package.name, package.before)
            if version != package.before:
                raise TransactionDiffers(
                    f"`{package.name}` is at `{version}`, not at `{package.before}`; "
                    "plan the change anew"
                )
            if not undo and key("pypi", package.after) < key("pypi", version or "0"):
                raise TransactionDiffers(f"`{package.name}` would go down to `{package.after}`")
        return pending

    def _link(self, path: Path, name: str) -> Path:
        # pip reads name and tags from the file name, which the order does not carry.
        folder = path.with_suffix("")
        folder.mkdir(mode=0o700, exist_ok=True)
        if not (folder / name).exists():
            os.link(path, folder / name)
        return folder / name

    def _site(self) -> Path:
        found = list(self._venv.glob("lib/python3*/site-packages"))
        if len(found) != 1:
            raise DriverFailed(f"`{self._venv}` is no virtual environment; make it anew")
        return found[0]

    def _pip(self, words: Sequence[str], seconds: int = QUERY_SECONDS) -> Ran:
        argv = [str(self._venv / "bin" / "python"), "-I", "-m", "pip", "--isolated", "--quiet"]
        argv += ["--no-input", "--no-cache-dir", "--disable-pip-version-check", *words]
        env = {"PATH": "/usr/bin:/bin", "LC_ALL": "C", "PIP_CONFIG_FILE": os.devnull}
        env["HOME"] = env["TMPDIR"] = str(self._state)
        return run(argv, self._state / "venv.log", env, seconds, self._state / "venv.lock")


def whole(dist_info: Path) -> bool:
    """Tell whether every file of a package's RECORD is there with its size."""
    try:
        rows = list(csv.reader(_text(dist_info / "RECORD").splitlines()))
    except DriverFailed:
        return False
    for path, _digest, size in (row for row in rows if len(row) == 3):  # noqa: PLR2004  PEP 376
        # Byte code is written and removed by whoever runs Python.
        if path.endswith(".pyc"):
            continue
        try:
            found = (dist_info.parent / path).stat().st_size
        except OSError:
            return False
        if size and int(size) != found:
            return False
    return bool(rows)


def read_metadata(text: str) -> tuple[str, str]:
    """Give the normalised name (PEP 503) and the version of a METADATA text."""
    fields = email.parser.HeaderParser().parsestr(text)
    return _normal(fields.get("Name", "")), fields.get("Version", "")


_NO_WHEEL = (
    zipfile.BadZipFile, zlib.error, EOFError, KeyError, OSError, ValueError,
    RuntimeError,  # a member is encrypted, or compressed in a way that zipfile does not know
)  # fmt: skip


def wheel_name(path: Path) -> tuple[str, tuple[str, str]]:
    """Give a wheel's file name, spelled from its contents, and its (name, version).

    Raises:
        ArtefactDiffers: it is no wheel.
    """
    try:
        with zipfile.ZipFile(path) as wheel:
            parts = {}
            for entry in wheel.infolist():
                found = _DIST_INFO.fullmatch(entry.filename)
                if found and entry.file_size <= METADATA_LIMIT:
                    parts[found[2]] = (found[1], wheel.read(entry).decode("utf-8", "replace"))
        stem, text = parts["METADATA"]
        tags = email.parser.HeaderParser().parsestr(parts["WHEEL"][1]).get_all("Tag", [])
        if not tags or not all(_TAG.fullmatch(tag) for tag in tags):
            raise ValueError(tags)
    except _NO_WHEEL as error:
        raise ArtefactDiffers(f"`{path.name}` is no wheel") from error
    columns = zip(*(tag.split("-") for tag in tags), strict=True)
    spelled = "-".join(".".join(sorted(set(column))) for column in columns)
    return f"{stem}-{spelled}.whl", read_metadata(text)


def _normal(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()


def _text(path: Path) -> str:
    try:
        with path.open("rb") as file:
            return file.read(METADATA_LIMIT).decode("utf-8", "replace")
    except OSError as error:
        raise DriverFailed(f"cannot read `{path}`: {error.strerror}") from error
