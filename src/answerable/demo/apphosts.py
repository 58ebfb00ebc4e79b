"""Application hosts: a virtual environment each, for machines without namespaces or root.

Rules:
* the packages are real old releases with published flaws (`facts.json`), and the releases that fix
  them, fetched by pip from the index that this machine uses, wheels only;
* each host has its own environment and its own service, which imports those packages and answers
  on loopback; on one host it uses names that the fixed releases really removed;
* only processes that we started are ended, told by pid and start time.

Left out: what needs the kernel's help: uids, cables, roots. All hosts share one loopback.
"""

import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Self

from answerable.demo import appliance
from answerable.demo.alone import alone
from answerable.demo.hosts import FleetFailed
from answerable.demo.ports import free_port
from answerable.host.services.service import PidfileServices, process_start

FETCH_SECONDS = 600
"""Longest that fetching or installing the wheels may take."""
STOP_SECONDS = 10
"""How long a process of ours may take to end before it is killed."""


RECORD = "processes.txt"
"""Where a demo writes down which processes it has started."""


@dataclass(frozen=True)
class Release:
    """One project: the old release, the fixed one, and a public name that the fixed one lacks."""

    package: str
    old: str
    new: str
    removed: str = ""


RELEASES = (
    Release("waitress", "2.1.2", "3.0.2", "waitress.runner:resolve"),
    Release("werkzeug", "2.3.7", "3.0.6", "werkzeug.urls:url_quote"),
    Release("certifi", "2022.12.7", "2024.8.30"),
    Release("jinja2", "3.0.3", "3.1.6", "jinja2:Markup"),
)
_NEEDED = ("markupsafe>=2.1.1",)
"""What the releases need besides; any version will do."""
Say = Callable[[str], None]


def wheelhouse(cache: Path, say: Say) -> Path:
    """Give a folder with the wheels of `RELEASES`, fetching what is not there yet."""
    folder = cache / "wheels"
    old = [*(f"{r.package}=={r.old}" for r in RELEASES), *_NEEDED]
    new = [f"{r.package}=={r.new}" for r in RELEASES]
    with alone(cache):
        if _complete(folder, old + new):
            return folder
        folder.mkdir()
        say(f"fetching {len(old + new)} wheels with pip")
        python = _environment(cache, say)
        # pip takes one version of a project at a time.
        for wanted in (old, new):
            words = ["download", "--no-deps", "--only-binary", ":all:", "--dest", str(folder)]
            _pip(python, [*words, *wanted])
        _complete(folder, old + new, now=True)
    return folder


class AppHosts:
    """The hosts; conforms to `hosts.Hosts`.

    Args:
        directory: where hosts are kept; made if it is not there.
    """

    def __init__(self, directory: Path) -> None:
        """End what an earlier demo may have left running."""
        self.directory = directory.resolve()
        self._ports: dict[str, int] = {}
        self._started: list[subprocess.Popen[bytes]] = []
        self.directory.mkdir(parents=True, exist_ok=True)
        self._record = self.directory / RECORD
        end_leftovers(self.directory)

    def __enter__(self) -> Self:
        """Give the hosts; they are taken down at the end of the block."""
        return self

    def __exit__(self, *_: object) -> None:
        """Take them down."""
        self.down()

    @property
    def names(self) -> list[str]:
        """The hosts that are up."""
        return list(self._ports)

    @property
    def hub_address(self) -> str:
        """Loopback: there is no hub of its own."""
        return "127.0.0.1"

    def up(self, names: Sequence[str], say: Say) -> None:
        """Make fresh hosts, each with the old releases installed."""
        cache = self.directory / "cache"
        template = self._template(cache, wheelhouse(cache, say), say)
        for name in names:
            assert name not in self._ports, name
            root = self.directory / "hosts" / name
            shutil.rmtree(root, ignore_errors=True)
            shutil.copytree(template, root / "venv", symlinks=True)
            (root / "services").mkdir(mode=0o700)
            self._ports[name] = free_port()
            self.configure(name)

    def configure(self, host: str, *, imports: Sequence[str] = ()) -> None:
        """Write a host's service configuration; `imports` are names that it insists on."""
        file = self.root(host) / "appliance.json"
        wanted = [*(r.package for r in RELEASES), *imports]
        appliance.configure(file, "127.0.0.1", self.port(host), imports=wanted)

    def unit(self, host: str) -> tuple[str, ...]:
        """Give the argv of a host's service."""
        root = self.root(host)
        python = str(root / "venv/bin/python")
        return (python, "-I", str(appliance.PROGRAM), str(root / "appliance.json"))

    def services(self, host: str) -> PidfileServices:
        """Give the service port of a host, as its agent has it."""
        return PidfileServices(self.root(host) / "services", {appliance.UNIT: self.unit(host)})

    def address(self, host: str) -> str:
        """Loopback, for every host."""
        assert host in self._ports, host
        return "127.0.0.1"

    def port(self, host: str) -> int:
        """Give the port of a host's own service."""
        return self._ports[host]

    def root(self, host: str) -> Path:
        """Give a host's directory."""
        return self.directory / "hosts" / host

    def root_in_hub(self, host: str) -> Path:
        """Give a host's directory."""
        return self.root(host)

    def start_in(
        self,
        host: str,
        argv: Sequence[str],
        env: Mapping[str, str] | None = None,
        stdout: int | IO[bytes] = subprocess.DEVNULL,
        stderr: int | IO[bytes] = subprocess.STDOUT,
    ) -> "subprocess.Popen[bytes]":
        """Start a program in a host's directory."""
        return self.run_in_hub(argv, 0, env, stdout, stderr, self.root(host))

    def run_in_hub(
        self,
        argv: Sequence[str],
        uid: int = 0,  # noqa: ARG002  there is one uid
        env: Mapping[str, str] | None = None,
        stdout: int | IO[bytes] = subprocess.DEVNULL,
        stderr: int | IO[bytes] = subprocess.STDOUT,
        cwd: Path = Path("/"),
    ) -> "subprocess.Popen[bytes]":
        """Start a program; everybody has the uid of whoever plays the demo."""
        process = subprocess.Popen(
            list(argv), stdin=subprocess.DEVNULL, stdout=stdout, stderr=stderr, cwd=cwd,
            env=dict(os.environ if env is None else env), start_new_session=True,
        )  # fmt: skip
        self._started.append(process)
        with self._record.open("a", encoding="ascii") as record:
            record.write(f"{process.pid} {process_start(process.pid)}\n")
        return process

    def cut(self, host: str) -> None:
        """Refuse: these hosts share one loopback."""
        raise FleetFailed(f"`{host}` is an application host and has no cable to pull")

    def join(self, host: str) -> None:
        """Refuse, as `cut`."""
        self.cut(host)

    def down(self) -> None:
        """End every process that was started here, and the hosts' services."""
        for process in self._started:
            process.terminate()
        for process in self._started:
            try:
                process.wait(STOP_SECONDS)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
        for host in self._ports:
            self.services(host).stop(appliance.UNIT)
        self._started, self._ports = [], {}
        self._record.unlink(missing_ok=True)

    def _template(self, cache: Path, wheels: Path, say: Say) -> Path:
        template = cache / "template"
        old = [f"{r.package}=={r.old}" for r in RELEASES] + list(_NEEDED)
        with alone(cache):
            if _complete(template, old):
                return template
            say("making an environment with the old releases")
            shutil.copytree(_environment(cache, say).parents[1], template, symlinks=True)
            words = ["install", "--no-index", "--find-links", str(wheels), "--no-deps", *old]
            _pip(template / "bin/python", words)
            _complete(template, old, now=True)
        return template


def end_leftovers(directory: Path) -> None:
    """End what a demo that was killed has left running, by what lies in its directory."""
    record = directory / RECORD
    lines = record.read_text("ascii").splitlines() if record.is_file() else []
    for line in lines:
        pid, _, started = line.partition(" ")
        if pid.isdigit() and started and process_start(int(pid)) == started:
            os.kill(int(pid), signal.SIGKILL)
    for state in (directory / "hosts").glob("*/services"):
        PidfileServices(state, {}).stop(appliance.UNIT)
    record.unlink(missing_ok=True)


def _environment(cache: Path, say: Say) -> Path:
    """Give the Python of an empty environment with pip in it."""
    folder = cache / "empty"
    if not _complete(folder, []):
        say("making a virtual environment")
        _run([sys.executable, "-m", "venv", str(folder)])
        _complete(folder, [], now=True)
    return folder / "bin/python"


def _complete(folder: Path, wanted: Sequence[str], *, now: bool = False) -> bool:
    """Tell whether a folder was made with these words by this Python; clear it if it was not."""
    mark, text = folder / ".complete", "\n".join([sys.version, sys.base_prefix, *wanted])
    if now:
        mark.write_text(text, "utf-8")
    if mark.is_file() and mark.read_text("utf-8") == text:
        return True
    shutil.rmtree(folder, ignore_errors=True)
    return False


def _pip(python: Path, words: Sequence[str]) -> None:
    _run([str(python), "-m", "pip", "--quiet", "--disable-pip-version-check", *words])


def _run(argv: Sequence[str]) -> None:
    try:
        done = subprocess.run(
            argv, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False,
            timeout=FETCH_SECONDS,
        )  # fmt: skip
    except subprocess.TimeoutExpired as error:
        raise FleetFailed(f"`{argv[0]}` took more than {FETCH_SECONDS} seconds") from error
    if done.returncode:
        why = " / ".join(done.stderr.strip().splitlines()[-3:])
        raise FleetFailed(f"`{' '.join(argv[:5])} ..` failed: {why}")
