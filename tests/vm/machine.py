"""One virtual machine: qemu around its disks, and the door to speak to it by. Not a test.

qemu emulates the processor in software unless `ACCEL` says otherwise, on one core, with 1 GiB. The
machine sees this one's loopback at `LOOPBACK` (qemu's own network), and nothing answers it there
but what a test serves. What its screen would show is in `console.log`.
"""

import json
import os
import re
import select
import socket
import subprocess
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

MEGABYTES = 1024
LOOPBACK = "10.0.2.2"
"""Where the machine finds this one's loopback: qemu's own gateway."""
SECONDS = 7200
"""Longest that anything in the machine may take before the test gives up."""


@dataclass
class Machine:
    """A running machine.

    Args:
        place: for its console and the socket of its door.
        disks: images, `vda` first.
        kernel: kernel, initrd and command line; without them the disk's own boot sector is used.
    """

    place: Path
    disks: Sequence[Path]
    kernel: tuple[Path, Path, str] | None = None
    boots: list[tuple[str, float]] = field(default_factory=list)
    """The id of each boot, and how many seconds it took until the door was open."""

    def __post_init__(self) -> None:
        """Start qemu; it ends with this process."""
        self.place.mkdir(parents=True, exist_ok=True)
        door = self.place / "door"
        door.unlink(missing_ok=True)
        self.console = self.place / "console.log"
        words = [
            "setpriv", "--pdeathsig", "KILL", "nice", "-n", "10", "qemu-system-x86_64",
            "-accel", os.environ.get("ACCEL", "tcg"), "-m", str(MEGABYTES), "-smp", "1",
            "-nodefaults", "-no-user-config", "-display", "none",
            "-chardev", f"file,id=console,append=on,path={self.console}",
            "-serial", "chardev:console", "-device", "virtio-rng-pci",
            "-device", "virtio-serial-pci",
            "-chardev", f"socket,id=door,path={door},server=on,wait=on",
            "-device", "virtserialport,chardev=door,name=door",
            "-netdev", "user,id=net", "-device", "virtio-net-pci,netdev=net,romfile=",
        ]  # fmt: skip
        for disk in self.disks:
            words += ["-drive", f"file={disk},if=virtio,format=raw,cache=unsafe"]
        if self.kernel:
            image, initrd, line = self.kernel
            words += ["-kernel", str(image), "-initrd", str(initrd), "-append", line]
        self._began = time.monotonic()
        self._process = subprocess.Popen(words)
        self._socket, self._read = socket.socket(socket.AF_UNIX), b""
        while True:
            try:
                self._socket.connect(str(door))
                break
            except OSError:
                assert self._process.poll() is None, "qemu ended; is it installed?"
                time.sleep(0.05)

    def up(self) -> str:
        """Wait until the machine has booted, also anew; give the boot's id."""
        boot = self._line()
        assert re.fullmatch(r"[0-9a-f-]{36}", boot), boot[:200]
        self.boots.append((boot, round(time.monotonic() - self._began, 1)))
        return boot

    def ask(self, **job: Any) -> dict[str, Any]:  # noqa: ANN401  JSON
        """Ask what is inside.py's to answer."""
        self._socket.sendall(json.dumps(job).encode() + b"\n")
        return dict(json.loads(self._line()))

    def run(self, *argv: str, given: str = "") -> tuple[int, str]:
        """Run a program as root; give its exit code, and what it said."""
        done = self.ask(argv=argv, given=given)
        return done["code"], done["out"]

    def do(self, *argv: str, given: str = "") -> str:
        """Run a program that must not fail; give what it said."""
        code, out = self.run(*argv, given=given)
        assert code == 0, (argv, code, out)
        return out

    def sweep(self, root: str) -> dict[str, str]:
        """Give a hash of each path of one of its disks."""
        found: dict[str, str] = json.loads(self.ask(sweep=root)["out"])
        return found

    def restarting(self) -> None:
        """Count the next boot's seconds from now."""
        self._began = time.monotonic()

    def said(self) -> str:
        """Give what its screen has shown."""
        return self.console.read_text("utf-8", "replace") if self.console.exists() else ""

    def off(self) -> None:
        """Write its disks, and switch it off as by its plug."""
        self.do("sync")
        self.end()

    def end(self) -> None:
        """End qemu."""
        self._socket.close()
        self._process.kill()
        self._process.wait()

    def _line(self) -> str:
        deadline = time.monotonic() + SECONDS
        while b"\n" not in self._read:
            if select.select([self._socket], [], [], 5)[0]:
                part = self._socket.recv(1 << 20)
                assert part, f"qemu ended: {self.said()[-2000:]}"
                self._read += part
                continue
            late = time.monotonic() > deadline or "Kernel panic" in self.said()
            assert not late, f"the machine is silent: {self.said()[-2000:]}"
        line, _, self._read = self._read.partition(b"\n")
        return line.decode()


@contextmanager
def running(machine: Machine) -> Iterator[Machine]:
    """End a machine with the block."""
    try:
        yield machine
    finally:
        machine.end()
