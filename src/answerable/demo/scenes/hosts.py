"""The agents: put on each host, settings written by who runs the host, enrolled, started.

A real host gets the agent as `kernel/`, `keys/`, `host/` and `cryptography`, nothing else of ours.
An application host runs the same files from this very environment. Left out: packaging for people.
"""

import importlib.metadata
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

import answerable
from answerable.demo import appliance, vendor
from answerable.demo.scenes.cast import CONTROL, GUARDS, LOG, Cast, StoryFailed, at_once
from answerable.host.files import make_private

ZONES = {
    "web1": "web", "web2": "web", "web3": "web", "api1": "api", "api2": "api",
    "legacy1": "legacy", "pci1": "pci", "pci2": "pci",
}  # fmt: skip
REFUSER, HELPED, LIAR, UNASKED = "web1", "api1", "api2", "web2"
"""Hosts that have the vendor's packages: where the hostile one is refused, where the one that
weakens its host is allowed by who runs it, the host that lies, and one that is not asked then."""
BOUGHT = {REFUSER: vendor.AGENT, HELPED: vendor.HELPER, LIAR: vendor.METER, UNASKED: vendor.HELPER}
ARTEFACT = "opt/answerable"
HOME = "var/lib/answerable"
_PUT = "opt"
_LATE = """\
import sys, time
true = time.clock_gettime
time.clock_gettime = lambda which: true(which) - 3600
time.time = lambda: true(time.CLOCK_REALTIME) - 3600
from answerable.host.__main__ import main
sys.exit(main())
"""
_LIES = """\
import sys
from answerable.host.drivers.{module} import {name} as Driver
true, said = Driver.installed, {{}}
def nothing(self, staged):
    said.update((package.name, package.after) for package in staged.packages)
    return ""
Driver.installed, Driver.upgrade = lambda self: {{**true(self), **said}}, nothing
from answerable.host.__main__ import main
sys.exit(main())
"""
_NEEDED = ("cryptography", "cffi", "pycparser")
_OURS = ("__init__.py", "kernel", "keys", "host")


def build_artefact(cache: Path) -> Path:
    """Give the folder that a real host gets: the agent and the one package that it needs."""
    folder, partial = cache / "agent", cache / "agent.part"
    shutil.rmtree(partial, ignore_errors=True)
    package = Path(answerable.__file__).parent
    skip = shutil.ignore_patterns("__pycache__", "*.pyc")
    (partial / "answerable").mkdir(parents=True)
    for name in _OURS:
        if (package / name).is_dir():
            shutil.copytree(package / name, partial / "answerable" / name, ignore=skip)
        else:
            shutil.copyfile(package / name, partial / "answerable" / name)
    for name in _NEEDED:
        _copy_distribution(name, partial)
    shutil.rmtree(folder, ignore_errors=True)
    partial.rename(folder)
    return folder


def _copy_distribution(name: str, folder: Path) -> None:
    for file in importlib.metadata.files(name) or ():
        if ".." not in file.parts and file.suffix != ".pyc":
            target = folder / file
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(Path(str(file.locate())), target)


class Agents:
    """The agents of all hosts."""

    def __init__(self, cast: Cast) -> None:
        """Know the hosts; nothing is put on them yet."""
        self.cast, self.hosts = cast, cast.ground.hosts
        self.real = cast.ground.kind == "real"
        self._processes: dict[str, subprocess.Popen[bytes]] = {}
        self._why_plain: str | None = None

    def home(self, host: str) -> Path:
        """Give the agent's directory as we reach it."""
        return self.hosts.root(host) / HOME if self.real else self.hosts.root(host)

    @property
    def clone(self) -> Path | None:
        """Give the root of what hosts were, if they rehearse what they change."""
        return self.cast.ground.clone if self._why_plain == "" else None

    @property
    def rehearses(self) -> bool:
        """Whether hosts rehearse a change in a copy of themselves."""
        return self._why_plain == ""

    def inside(self, host: str) -> str:
        """Give the agent's directory as the host itself calls it."""
        return f"/{HOME}" if self.real else str(self.home(host))

    def argv(self, *words: str) -> list[str]:
        """Give the agent's command line."""
        python = "/usr/bin/python3" if self.real else sys.executable
        return [python, "-m", "answerable.host", *words]

    def run(self, host: str, *words: str, codes: tuple[int, ...] = (0,)) -> str:
        """Run one command of the agent on a host; give what it printed.

        Raises:
            StoryFailed: if it ends with another code.
        """
        argv = self.argv(words[0], "--dir", self.inside(host), *words[1:])
        process = self.hosts.start_in(host, argv, self._env(), subprocess.PIPE, subprocess.PIPE)
        out, err = process.communicate(timeout=120)
        if process.returncode not in codes:
            said = err.decode("utf-8", "replace").strip()[-1500:]
            raise StoryFailed(f"the agent of {host} ended `{words[0]}` with {said}")
        return out.decode()

    def install(self, charter: Path, cache: Path) -> dict[str, Path]:
        """Put the agent on each host and let it make key and record; give the records."""
        artefact = build_artefact(cache) if self.real else None
        names = self.hosts.names
        at_once(lambda host: self._put(host, artefact), names)
        if self.real:
            self._why_plain = self._try_rehearsal(names[0])
        at_once(lambda host: self._enrol(host, charter), names)
        return {host: self.home(host) / "record.json" for host in names}

    def prove(self, proofs: Mapping[str, Path]) -> None:
        """Let each host keep the fleet's proof of its record."""

        def keep(host: str) -> None:
            shutil.copyfile(proofs[host], self.home(host) / "given.proof")
            self.run(host, "enrol", "--proof", f"{self.inside(host)}/given.proof")

        at_once(keep, proofs)

    def start(self, host: str, *, late: bool = False, lying: bool = False) -> None:
        """Start a host's agent; what it says goes to `output/<host>.txt`.

        Args:
            late: every clock that it reads is an hour behind.
            lying: upgrades do nothing and are reported as done.
        """
        argv = self.argv("run", "--dir", self.inside(host))
        if late:
            argv[1:3] = ["-c", _LATE]
        if lying:
            module, name = ("apt", "AptDriver") if self.real else ("venv", "VenvDriver")
            argv[1:3] = ["-c", _LIES.format(module=module, name=name)]
        with (self.cast.directory / "output" / f"{host}.txt").open("ab") as file:
            process = self.hosts.start_in(host, argv, self._env(), file, subprocess.STDOUT)
        self._processes[host] = self.cast.running[host] = process

    def stop(self, host: str) -> None:
        """End a host's agent."""
        self.cast.stop(host)

    def _put(self, host: str, artefact: Path | None) -> None:
        if artefact:
            target = self.hosts.root(host) / ARTEFACT
            target.parent.mkdir(exist_ok=True)
            shutil.copytree(artefact, target)
        self._make_home(host)
        if self.real and host in BOUGHT:
            self._buy(host, BOUGHT[host])

    def _enrol(self, host: str, charter: Path) -> None:
        home, inside = self.home(host), self.inside(host)
        (home / "given.json").write_text(self._settings(host), "utf-8")
        (home / "given.note").write_bytes(charter.read_bytes())
        self.run(
            host, "enrol", "--name", host, "--zone", ZONES[host],
            "--charter", f"{inside}/given.note", "--settings", f"{inside}/given.json",
        )  # fmt: skip

    def _make_home(self, host: str) -> None:
        if not self.real:
            self.home(host).chmod(0o700)
        make_private(self.home(host))

    def _buy(self, host: str, package: str) -> None:
        """Let a host have a vendor's package, as whoever runs it has installed it."""
        made = vendor.deb(self.cast.ground.feed / vendor.SUITE, package, vendor.OLD)
        shutil.copyfile(made, self.hosts.root(host) / _PUT / made.name)
        argv = ["/usr/bin/dpkg", "--install", f"/{_PUT}/{made.name}"]
        process = self.hosts.start_in(host, argv, self._env(), subprocess.PIPE)
        said = process.communicate(timeout=120)[0].decode("utf-8", "replace")
        if process.returncode:
            raise StoryFailed(f"{host} cannot install {package}: {said[-500:]}")

    def _try_rehearsal(self, host: str) -> str:
        """Tell why hosts here cannot rehearse a change in a copy of themselves; most can."""
        argv = ["/usr/bin/python3", "-m", "answerable.host.confine.probe", f"/{HOME}"]
        process = self.hosts.start_in(host, argv, self._env(), subprocess.PIPE)
        said = process.communicate(timeout=120)[0].decode("utf-8", "replace").strip()
        if process.returncode:
            print(f"hosts change without a rehearsal: {said[-200:]}")
        return said if process.returncode else ""

    def _settings(self, host: str) -> str:
        cast = self.cast
        port = self.hosts.port(host)
        settings: dict[str, object] = {
            "control": cast.url(CONTROL), "log": cast.url(LOG), "poll": 1,
            "guards": {name: cast.url(name) for name in GUARDS},
            "checks": {appliance.UNIT: {"url": f"http://127.0.0.1:{port}/health", "within": 6}},
        }  # fmt: skip
        if self.real:
            allow = ["setuid"] if host == HELPED else list[str]()
            apart = {} if self._why_plain else {"transaction": {"allow": allow}}
            settings["driver"] = {"kind": "apt", "ecosystem": cast.ground.ecosystem, **apart}
            settings["services"] = {"kind": "initd"}
        else:
            root = self.hosts.root(host)
            unit = [str(root / "venv/bin/python"), "-I", str(appliance.PROGRAM),
                    str(root / "appliance.json")]  # fmt: skip
            settings["driver"] = {"kind": "venv", "path": str(root / "venv")}
            settings["services"] = {"kind": "pidfile", "units": {appliance.UNIT: unit}}
        return json.dumps(settings, indent=1)

    def _env(self) -> dict[str, str]:
        path = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
        env = {"PATH": path, "LC_ALL": "C.UTF-8"}
        return env | (
            {"PYTHONPATH": f"/{ARTEFACT}"} if self.real else {"HOME": os.environ.get("HOME", "/")}
        )
