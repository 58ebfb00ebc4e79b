"""One minimal tree of the machine's own distribution, which every host of the fleet is laid over.

Rules:
* it holds what the distribution's release suite holds and nothing of its security suite, so that
  updates that are really pending today are pending on every host;
* it is built once and kept, by one process while others wait for it; it is built anew only when
  the release suite itself has changed;
* hosts get packages only from the fleet's own mirror, and nothing else updates them: apt's timers
  and unattended-upgrades are masked.

`PACKAGES` are ordinary and small, and have often had security updates; which have one today is
computed afterwards (`mirror.py`). Left out: a kernel; an init system, unless it is asked for.
"""

import hashlib
import os
import re
import shutil
import subprocess
from collections.abc import Callable, Sequence
from pathlib import Path

from answerable.demo.alone import alone
from answerable.demo.distribution import Distribution, NoDistribution
from answerable.kernel.errors import Unavailable

BUILD_SECONDS = 1200
"""Longest that building the tree may take."""
PACKAGES = ("python3", "bubblewrap", "openssl", "curl", "rsync", "xz-utils", "jq", "zip", "unzip")
"""What hosts have besides the minimal set; python3 runs the agent, bubblewrap its rehearsals."""
OLDEST_PYTHON = (3, 11)
"""The agent needs this Python or a newer one."""
MIRROR = "mirror:8000"
"""Name and port under which hosts know the fleet's mirror."""

_TREE_VERSION = "1"
_COMPETITORS = (
    "apt-daily.service",
    "apt-daily.timer",
    "apt-daily-upgrade.service",
    "apt-daily-upgrade.timer",
    "unattended-upgrades.service",
    "packagekit.service",
)
_APT_CONF = """\
APT::Periodic::Enable "0";
APT::Install-Recommends "false";
Acquire::Languages "none";
Acquire::GzipIndexes "true";
Acquire::Retries "0";
"""
Say = Callable[[str], None]


class NoTree(Unavailable):
    """The base tree could not be built."""


def base_tree(
    cache: Path, distribution: Distribution, release: bytes, deb: Path, say: Say,
    packages: tuple[str, ...] = PACKAGES, more: tuple[Path, ...] = (),
) -> Path:  # fmt: skip
    """Give the tree, building it if there is none for this release.

    Args:
        cache: where trees are kept.
        distribution: what to build.
        release: the release suite's signed InRelease; another one means another tree.
        deb: a package without scripts that every host has besides.
        say: told what is being done.
        packages: what it holds besides the minimal set; a cache holds one tree.
        more: further packages such as `deb`.

    Raises:
        NoTree: building failed; the reason is the tool's.
    """
    text = f"{_TREE_VERSION} {distribution} {packages}".encode() + release
    text += b"".join(own.read_bytes() for own in (deb, *more))
    tree = cache / f"tree-{hashlib.sha256(text).hexdigest()[:16]}"
    with alone(cache):
        if tree.is_dir():
            return tree
        partial = tree.with_suffix(".part")
        shutil.rmtree(partial, ignore_errors=True)
        say(f"building a {distribution.codename} tree of {len(packages)} packages and their needs")
        _build(partial, distribution, say, packages)
        _settle(partial, distribution)
        for own in (deb, *more):
            _add(partial, own)
        _check_python(partial)
        for old in set(cache.glob("tree-*")) - {partial}:
            shutil.rmtree(old)
        partial.rename(tree)
    return tree


def installed(tree: Path) -> dict[str, tuple[str, str]]:
    """Give name -> (version, architecture) from a tree's own dpkg database."""
    argv = ["dpkg-query", f"--admindir={tree}/var/lib/dpkg", "--show"]
    argv.append("--showformat=${Package}\t${Version}\t${Architecture}\n")
    done = subprocess.run(argv, capture_output=True, text=True, check=True)
    rows = (line.split("\t") for line in done.stdout.splitlines())
    return {name: (version, arch) for name, version, arch in rows}


def _build(tree: Path, distribution: Distribution, say: Say, packages: Sequence[str]) -> None:
    tool = next((t for t in ("mmdebstrap", "debootstrap") if shutil.which(t)), "")
    if not tool:
        tool = _install_tool(say)
    argv = _mmdebstrap if tool == "mmdebstrap" else _debootstrap
    with (tree.parent / "tree.log").open("wb") as log:
        try:
            code = subprocess.run(
                argv(tree, distribution, packages),
                stdin=subprocess.DEVNULL, stdout=log, stderr=log, check=False,
                timeout=BUILD_SECONDS, umask=0o022,
            ).returncode  # fmt: skip
        except subprocess.TimeoutExpired as error:
            raise NoTree(f"`{tool}` took more than {BUILD_SECONDS} seconds") from error
    if code:
        raise NoTree(f"`{tool}` ended with {code}; its words are in `{tree.parent}/tree.log`")


def _install_tool(say: Say) -> str:
    say("installing mmdebstrap with apt-get")
    env = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
    for words in (["update"], ["install", "--yes", "--no-install-recommends", "mmdebstrap"]):
        argv = ["apt-get", "--quiet", "--quiet", *words]
        if subprocess.run(argv, env=env, capture_output=True, check=False).returncode:
            raise NoTree("cannot install `mmdebstrap`; install it or `debootstrap` by hand")
    return "mmdebstrap"


def _mmdebstrap(tree: Path, distribution: Distribution, packages: Sequence[str]) -> list[str]:
    main = distribution.main
    settings = [f"--aptopt={line}" for line in _transport()]
    source = f"deb [signed-by={distribution.keyring}] {main.uri} {main.name} main"
    return [
        "mmdebstrap", "--mode=root", "--variant=minbase", "--components=main", *settings,
        f"--include={','.join(packages)}", main.name, str(tree), source,
    ]  # fmt: skip


def _debootstrap(tree: Path, distribution: Distribution, packages: Sequence[str]) -> list[str]:
    main = distribution.main
    return [
        "debootstrap", "--variant=minbase", "--components=main",
        f"--keyring={distribution.keyring}", f"--include={','.join(packages)}",
        main.name, str(tree), main.uri,
    ]  # fmt: skip


def _transport() -> list[str]:
    """Give the machine's own settings of how apt reaches its sources (mmdebstrap reads none)."""
    done = subprocess.run(["apt-config", "dump"], capture_output=True, text=True, check=True)
    wanted = re.compile(r'(?i)Acquire::(https?::|ftp::|Check-|.*Proxy)\S* "[^"]+";')
    return [line for line in done.stdout.splitlines() if wanted.match(line)]


def _settle(tree: Path, distribution: Distribution) -> None:
    apt = tree / "etc/apt"
    shutil.rmtree(apt / "sources.list.d", ignore_errors=True)
    (apt / "sources.list.d").mkdir()
    suites = (distribution.main, distribution.security)
    lines = (f"deb http://{MIRROR}/{s.label} {s.name} main\n" for s in suites)
    (apt / "sources.list").write_text("".join(lines), "utf-8")
    (apt / "apt.conf.d/99mmdebstrap").unlink(missing_ok=True)
    (apt / "apt.conf.d/99fleet").write_text(_APT_CONF, "utf-8")
    units = tree / "etc/systemd/system"
    units.mkdir(parents=True, exist_ok=True)
    for unit in _COMPETITORS:
        (units / unit).unlink(missing_ok=True)
        (units / unit).symlink_to("/dev/null")
    for leftover in ("etc/hostname", "etc/resolv.conf"):
        (tree / leftover).unlink(missing_ok=True)


def _add(tree: Path, deb: Path) -> None:
    # Inside, since packages' overrides name users whom only the tree knows.
    inside = Path(shutil.copy(deb, tree))
    argv = ["chroot", str(tree), "dpkg", "--install", f"/{deb.name}"]
    done = subprocess.run(argv, capture_output=True, text=True, check=False)
    inside.unlink()
    if done.returncode:
        raise NoTree(f"cannot add `{deb.name}` to the tree: {done.stderr.strip()}")


def _check_python(tree: Path) -> None:
    found = [p.name for p in (tree / "usr/bin").glob("python3.*")]
    numbers = [tuple(map(int, n[6:].split("."))) for n in found if re.fullmatch(r"python3\.\d+", n)]
    if not numbers or max(numbers) < OLDEST_PYTHON:
        raise NoDistribution(f"this distribution has Python {numbers}, the agent needs 3.11")
