"""Who plays: parties and people, each with a directory, keys and (under root) a uid of its own.

Every party is a process of the real command; every person runs real commands with keys that
`ssh-keygen` made. This file starts them, hands files from one to the other as mail would, and shows
what they printed. Nothing here reads anybody's private key.

Left out: what they do; that is in the scenes.
"""

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

from answerable.demo.ground import Ground
from answerable.demo.hosts import FleetFailed
from answerable.demo.ports import free_port
from answerable.demo.scenes.tell import Teller

FIRST_UID = 60_110
"""Uids of the demo's parties, when root plays it; nobody else's on any sane machine."""
PEOPLE = ("dana", "lee")
GUARDS = ("g1", "g2", "g3", "g4")
OBSERVERS = ("o1", "o2")
LOG, CONTROL, READER, THIEF = "log", "control", "reader", "thief"
PARTIES = (LOG, *GUARDS, *OBSERVERS, CONTROL, READER, *PEOPLE, THIEF)
_PORT = 8400
_SECONDS = 300
_SHOWN = 2000
_REACH = """\
import socket, sys, time
for _ in range(300):
    try:
        socket.create_connection((sys.argv[1], int(sys.argv[2])), 1).close()
    except OSError:
        time.sleep(0.1)
    else:
        sys.exit(0)
sys.exit(1)
"""
Result = TypeVar("Result")
_ANSWERABLE = str(Path(sys.executable).with_name("answerable"))


class StoryFailed(FleetFailed):
    """The story cannot go on; the message says where to look."""


@dataclass(frozen=True)
class Done:
    """What a command printed, and how it ended."""

    code: int
    out: str
    err: str


@dataclass
class Cast:
    """The parties of one fleet.

    Args:
        directory: everything of theirs is kept below it.
        ground: the hosts, and where the others' processes run.
        tell: shows what is done.
    """

    directory: Path
    ground: Ground
    tell: Teller
    running: dict[str, "subprocess.Popen[bytes]"] = field(default_factory=dict)
    ports: dict[str, int] = field(default_factory=dict)

    def prepare(self) -> None:
        """Make everybody's directory, and let the machine know their uids."""
        self.root = os.geteuid() == 0 and self.ground.kind == "real"
        for folder in ("parties", "output"):
            (self.directory / folder).mkdir(exist_ok=True)
        for name in PARTIES:
            self.own(self.place(name), name, folder=True)
        if self.root:
            self._passwd()
        for at, name in enumerate((LOG, *GUARDS, CONTROL)):
            self.ports[name] = _PORT + at if self.root else free_port()

    def uid(self, name: str) -> int:
        """Give somebody's uid; 0 where there are none."""
        return FIRST_UID + PARTIES.index(name) if self.root else 0

    def place(self, name: str) -> Path:
        """Give somebody's own directory."""
        return self.directory / "parties" / name

    def url(self, name: str) -> str:
        """Give the address at which a party serves."""
        return f"http://{self.ground.hosts.hub_address}:{self.ports[name]}"

    def own(self, path: Path, name: str, *, folder: bool = False) -> None:
        """Give a path to somebody, for nobody else to enter."""
        if folder:
            path.mkdir(mode=0o700, exist_ok=True)
        if self.root:
            os.chown(path, self.uid(name), self.uid(name))

    def hand(self, path: Path, *names: str, called: str = "") -> None:
        """Give a copy of a file to others, as mail would."""
        for name in names:
            copy = self.place(name) / (called or path.name)
            if copy != path:
                shutil.copyfile(path, copy)
            self.own(copy, name)

    def write(self, name: str, file: str, text: str) -> Path:
        """Let somebody have written a file."""
        path = self.place(name) / file
        path.write_text(text, "utf-8")
        self.own(path, name)
        return path

    def run(self, who: str, *words: object, show: bool = True, codes: Sequence[int] = (0,)) -> Done:
        """Run `answerable ..` as somebody, in their own directory.

        Raises:
            StoryFailed: if it ends with another code than these.
        """
        return self.run_program(who, [_ANSWERABLE, *map(str, words)], show=show, codes=codes)

    def run_program(
        self, who: str, argv: Sequence[str], *, show: bool = True, codes: Sequence[int] = (0,)
    ) -> Done:
        """Run any program as somebody, in their own directory; as `run`."""
        place = self.place(who)
        if show:
            words = [Path(argv[0]).name, *(_short(word, self.directory) for word in argv[1:])]
            self.tell.command(who, words)
        process = self.ground.hosts.run_in_hub(
            argv, self.uid(who), self._env(place), subprocess.PIPE, subprocess.PIPE, place
        )
        out, err = process.communicate(timeout=_SECONDS)
        done = Done(
            process.returncode, out.decode("utf-8", "replace"), err.decode(errors="replace")
        )
        if done.code not in codes:
            said = (done.err or done.out).strip()[-_SHOWN:]
            raise StoryFailed(f"`{' '.join(argv[1:4])}` of {who} ended with {done.code}: {said}")
        return done

    def init(self, kind: str, name: str, settings: Mapping[str, Any] | None = None) -> str:
        """Let a party make its keys and settings; give its card."""
        file = self.write(name, "settings.json", json.dumps(settings or {}, indent=1))
        words: list[object] = ["init", kind, self.place(name), "--name", name, "--settings", file]
        words[4] = "log.example" if name == LOG else name
        words += ["--operator", f"team-{name}"]
        if name in self.ports:
            words += ["--url", self.url(name), "--listen", self.url(name).removeprefix("http://")]
        return self.run(name, *words, show=False).out

    def start(self, name: str, *words: str) -> None:
        """Start a party's process; what it says goes to `output/<name>.txt`."""
        argv = [_ANSWERABLE, *words, str(self.place(name))]
        self.running[name] = self.launch(name, argv, name)

    def reach(self, name: str) -> None:
        """Wait until a party answers at its port.

        Raises:
            StoryFailed: if it does not within half a minute.
        """
        address = [self.ground.hosts.hub_address, str(self.ports[name])]
        self.run_program(READER, [sys.executable, "-I", "-c", _REACH, *address], show=False)

    def launch(self, who: str, argv: Sequence[str], output: str) -> "subprocess.Popen[bytes]":
        """Start any program as somebody."""
        place = self.place(who)
        with (self.directory / "output" / f"{output}.txt").open("ab") as file:
            return self.ground.hosts.run_in_hub(
                argv, self.uid(who), self._env(place), file, subprocess.STDOUT, place
            )

    def stop(self, name: str) -> None:
        """End a party's process."""
        process = self.running.pop(name)
        process.terminate()
        process.wait(_SECONDS)

    def check(self) -> None:
        """Raise `StoryFailed` if a process that should run does not."""
        for name, process in self.running.items():
            if process.poll() is not None:
                said = self.directory / "output" / f"{name}.txt"
                tail = said.read_text("utf-8", "replace")[-_SHOWN:] if said.exists() else ""
                raise StoryFailed(f"the process of {name} ended ({process.returncode}): {tail}")

    def _env(self, place: Path) -> dict[str, str]:
        path = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
        return {"PATH": path, "LC_ALL": "C.UTF-8", "HOME": str(place), "COLUMNS": "200",
                "PYTHONDONTWRITEBYTECODE": "1"}  # fmt: skip

    def _passwd(self) -> None:
        # ssh-keygen insists that its user has a name; only the hub sees this file.
        rows = [f"{n}:x:{self.uid(n)}:{self.uid(n)}::{self.place(n)}:/bin/sh" for n in PARTIES]
        file = self.directory / "passwd"
        file.write_text(Path("/etc/passwd").read_text("utf-8") + "\n".join(rows) + "\n", "utf-8")
        mount = ["mount", "--bind", str(file), "/etc/passwd"]
        if self.ground.hosts.run_in_hub(mount).wait():
            raise StoryFailed("cannot give the parties names in the hub")


def at_once(do: Callable[[str], Result], names: Iterable[str]) -> list[Result]:
    """Do one thing for each of some names, as many at a time as the machine has processors."""
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        return list(pool.map(do, names))


def _short(word: str, directory: Path) -> str:
    word = word.replace(f"{directory}/", "")
    return f"'{word}'" if " " in word or not word else word
