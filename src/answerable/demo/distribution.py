"""The machine's own distribution: its name, its suites, and where this machine gets them from.

Rules:
* nothing is assumed: name and release come from os-release(5), addresses from the machine's own
  apt sources (sources.list(5), both spellings), the keyring from there or from the distribution;
* everything is fetched by apt's own helper, so the machine's proxies, certificates and mirrors are
  honoured as for any other `apt-get`.

Left out: distributions that are not of the Debian family, and third parties' sources.
"""

import re
import subprocess
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from answerable.kernel.errors import Unavailable

FETCH_SECONDS = 900
"""Longest that one round of fetching may take."""
SOURCES_LIMIT = 1 << 20
"""Largest file of apt sources that is read, bytes."""
_HELPER = "/usr/lib/apt/apt-helper"
_KEYRINGS = {
    "debian": "/usr/share/keyrings/debian-archive-keyring.gpg",
    "ubuntu": "/usr/share/keyrings/ubuntu-archive-keyring.gpg",
}


class NoDistribution(Unavailable):
    """This machine's distribution cannot be used for real hosts."""


@dataclass(frozen=True)
class Suite:
    """One suite: what we call it (`main`, `security`), where it lies, and its name there."""

    label: str
    uri: str
    name: str


@dataclass(frozen=True)
class Distribution:
    """Id, release and codename as in os-release, dpkg's architecture, keyring, the two suites."""

    id: str
    release: str
    codename: str
    arch: str
    keyring: Path
    main: Suite
    security: Suite

    @property
    def ecosystem(self) -> str:
        """`debian:<release>`, as in facts."""
        return f"{self.id}:{self.release}"


def this_machine(root: Path = Path("/")) -> Distribution:
    """Read the machine's own distribution; raises `NoDistribution`."""
    release = _os_release((root / "etc/os-release").read_text("utf-8"))
    family, codename = release.get("ID", ""), release.get("VERSION_CODENAME", "")
    if family not in _KEYRINGS or not codename:
        raise NoDistribution(f"`{family or 'this system'}` is not Debian or Ubuntu")
    places = {suite: uri for uri, suite in sources(root)}
    security = f"{codename}-security"
    for suite in (codename, security):
        if suite not in places:
            raise NoDistribution(f"no apt source of this machine has `{suite}`; add it")
    keyring = root / _KEYRINGS[family].lstrip("/")
    if not keyring.exists():
        raise NoDistribution(f"`{keyring}` is missing; install the archive's keyring package")
    return Distribution(
        family,
        release.get("VERSION_ID", ""),
        codename,
        _architecture(),
        keyring,
        Suite("main", places[codename], codename),
        Suite("security", places[security], security),
    )


def sources(root: Path) -> Iterator[tuple[str, str]]:
    """Give (uri, suite) of each source of packages that has the component `main`."""
    files = [root / "etc/apt/sources.list", *sorted((root / "etc/apt/sources.list.d").glob("*"))]
    for file in files:
        if not file.is_file() or file.suffix not in {".list", ".sources"}:
            continue
        with file.open(encoding="utf-8", errors="replace") as opened:
            text = opened.read(SOURCES_LIMIT)
        yield from _stanzas(text) if file.suffix == ".sources" else _lines(text)


def fetch(rows: Sequence[tuple[str, Path, str]]) -> None:
    """Fetch (uri, path, SHA-256 or nothing) by apt's own helper, which checks each hash.

    Raises:
        Unavailable: one could not be fetched, or was not what its hash says.
    """
    words: list[str] = []
    for uri, path, sha256 in rows:
        path.parent.mkdir(parents=True, exist_ok=True)
        words += [uri, str(path), *([f"SHA256:{sha256}"] if sha256 else [])]
    if not words:
        return
    argv = [_HELPER, "-o", "APT::Sandbox::User=root", "-o", "Acquire::Retries=3", "download-file"]
    try:
        done = subprocess.run(
            [*argv, *words], stdin=subprocess.DEVNULL, capture_output=True, text=True,
            check=False, timeout=FETCH_SECONDS,
        )  # fmt: skip
    except (OSError, subprocess.TimeoutExpired) as error:
        raise Unavailable(f"cannot fetch with apt: {error}") from error
    missing = [str(path) for _uri, path, _sha256 in rows if not path.is_file()]
    if done.returncode or missing:
        why = " / ".join(done.stderr.strip().splitlines()[-3:])
        raise Unavailable(f"cannot fetch {len(missing) or 'all'} of {len(rows)} files: {why}")


def _os_release(text: str) -> dict[str, str]:
    rows = re.findall(r'^([A-Z_]+)="?([^"\n]*)"?$', text, re.MULTILINE)
    return dict(rows)


def _lines(text: str) -> Iterator[tuple[str, str]]:
    for line in text.splitlines():
        found = re.match(r"\s*deb\s+(?:\[[^\]]*\]\s+)?(\S+)\s+(\S+)\s+(.*)", line)
        if found and "main" in found[3].partition("#")[0].split():
            yield found[1].rstrip("/"), found[2]


def _stanzas(text: str) -> Iterator[tuple[str, str]]:
    for stanza in re.split(r"\n\s*\n", text):
        plain = "\n".join(line for line in stanza.splitlines() if not line.startswith("#"))
        rows = re.findall(r"^([A-Za-z-]+):[ \t]*(.*(?:\n[ \t]+.*)*)", plain, re.MULTILINE)
        fields = {name.lower(): value.split() for name, value in rows}
        off = fields.get("enabled", ["yes"])[0].lower() in {"no", "false", "0", "off"}
        wanted = "deb" in fields.get("types", []) and "main" in fields.get("components", [])
        if wanted and not off:
            for uri in fields.get("uris", []):
                yield from ((uri.rstrip("/"), suite) for suite in fields.get("suites", []))


def _architecture() -> str:
    argv = ["dpkg", "--print-architecture"]
    return subprocess.run(argv, capture_output=True, text=True, check=True).stdout.strip()
