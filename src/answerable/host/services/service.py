"""Services of a host: restart one, tell whether it runs, check its health.

Rules:
* an order names a unit or a check; what that means stands in the host's own configuration, so no
  argv, address or path ever comes from an order;
* a restart is the service tool's word only; health is asked separately, by connecting;
* no shell, a fixed environment, and a limit on every wait and read.

`InitdServices` (Debian without systemd), `SystemdServices`, and `PidfileServices` for hosts without
root. Left out: journals, dependencies between units, sockets and timers.
"""

import http.client
import os
import re
import signal
import socket
import subprocess
import time
import urllib.parse
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from answerable.host.driver import DriverFailed, Ran, last_lines, run
from answerable.host.services.stale import MANAGER, Need, find_need, own_unit

RESTART_SECONDS = 90
"""Longest that a service tool may take to restart a unit."""
STOP_SECONDS = 10
"""How long a unit of `PidfileServices` may take to stop before it is killed."""
CONNECT_SECONDS = 5
"""Longest that one try of a health check may take."""
WITHIN_SECONDS = 20
"""How long a health check is tried again, unless the configuration says otherwise."""
BODY_LIMIT = 65_536
"""Most that is read of a health check's answer, bytes."""

_UNIT = re.compile(r"[a-z0-9][a-z0-9@._-]{0,63}")
_ENVIRONMENT = {"PATH": "/usr/sbin:/usr/bin:/sbin:/bin", "LC_ALL": "C"}
_PAUSE = 0.2


class ServiceFailed(DriverFailed):
    """A unit is unknown, or did not do what was asked."""


class Services(Protocol):
    """What the agent asks of a service tool; each call may raise `ServiceFailed`."""

    def restart(self, unit: str) -> None:
        """Stop the unit if it runs, and start it."""

    def running(self, unit: str) -> bool:
        """Tell whether it runs, by the tool's own word."""

    def in_need(self) -> Need | None:
        """Tell which units still run what was replaced; None if this tool cannot tell."""


class InitdServices:
    """Units are scripts of /etc/init.d; service(8) of Debian's init-system-helpers runs them."""

    def __init__(self, state: Path) -> None:
        """Keep output in `state`."""
        self._log = state / "service.log"

    def restart(self, unit: str) -> None:
        """Restart by the unit's own script."""
        self._known(unit)
        done = run(["/usr/sbin/service", unit, "restart"], self._log, _ENVIRONMENT, RESTART_SECONDS)
        if done.code:
            raise ServiceFailed(f"`{unit}` did not restart: {last_lines(done.output)}")

    def running(self, unit: str) -> bool:
        """Ask the unit's own script for its status."""
        self._known(unit)
        return run(["/usr/sbin/service", unit, "status"], self._log, _ENVIRONMENT).code == 0

    def in_need(self) -> None:
        """Give None: init scripts do not say which processes are theirs."""

    def _known(self, unit: str) -> None:
        if not _UNIT.fullmatch(unit) or not Path("/etc/init.d", unit).is_file():
            raise ServiceFailed(f"no unit `{unit}` on this host; correct the plan")


class SystemdServices:
    """Units of systemd, by systemctl(1)."""

    def __init__(self, state: Path) -> None:
        """Keep output in `state`."""
        self._log = state / "service.log"

    def restart(self, unit: str) -> None:
        """Restart, and wait for the job; systemd itself is executed anew, and units run on."""
        # Whoever waits for its own end is killed by it.
        wait = ["--no-block"] if _checked(unit).removesuffix(".service") == own_unit() else []
        words = ["daemon-reexec"] if unit == MANAGER else ["restart", *wait, "--", unit]
        done = self._systemctl(*words)
        if done.code:
            raise ServiceFailed(f"`{unit}` did not restart: {last_lines(done.output)}")

    def running(self, unit: str) -> bool:
        """Tell whether systemd calls it active."""
        if unit == MANAGER:
            return True
        done = self._systemctl("show", "--property=LoadState,ActiveState", "--", _checked(unit))
        if done.code or "LoadState=not-found" in done.output:
            raise ServiceFailed(f"no unit `{unit}` on this host; correct the plan")
        return "ActiveState=active" in done.output.splitlines()

    def in_need(self) -> Need:
        """Ask the kernel which processes map what was replaced, and of which units they are."""
        return find_need()

    def reboot(self) -> None:
        """Ask for a reboot; it begins after this returns."""
        done = self._systemctl("reboot")
        if done.code:
            raise ServiceFailed(f"systemd does not reboot: {last_lines(done.output)}")

    def _systemctl(self, *words: str) -> Ran:
        argv = ["systemctl", "--no-ask-password", *words]
        return run(argv, self._log, _ENVIRONMENT, RESTART_SECONDS)


class PidfileServices:
    """Units that this host starts itself: each is told by pid and start time, so never mistaken.

    Args:
        state: where pid files and logs are kept.
        units: name -> argv, from the host's own configuration.
        sleep: waits that many seconds; given, so that a test need not.
    """

    def __init__(
        self,
        state: Path,
        units: Mapping[str, tuple[str, ...]],
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        """Keep the units."""
        self._state, self._units, self._sleep = state, units, sleep

    def restart(self, unit: str) -> None:
        """Stop it, then start it; whether it stays up is for `running` and health to say."""
        argv = self._units.get(_checked(unit))
        if argv is None:
            raise ServiceFailed(f"no unit `{unit}` on this host; correct the plan")
        self.stop(unit)
        pidfile = self._pidfile(unit)
        with (self._state / f"{unit}.log").open("ab") as log:
            try:
                subprocess.Popen(
                    list(argv), stdin=subprocess.DEVNULL, stdout=log, stderr=subprocess.STDOUT,
                    cwd=self._state, env=_ENVIRONMENT, start_new_session=True,
                    # The child writes it itself, so a kill here leaves no unit that nobody knows.
                    preexec_fn=lambda: _write_self(pidfile),  # noqa: PLW1509
                )  # fmt: skip
            except (OSError, subprocess.SubprocessError) as error:
                raise ServiceFailed(f"cannot start `{unit}`: {error}") from error

    def running(self, unit: str) -> bool:
        """Tell whether the process that was started still runs."""
        return self._process(_checked(unit)) > 0

    def in_need(self) -> None:
        """Give None: what such a host runs maps none of its packages."""

    def stop(self, unit: str) -> None:
        """Ask it to end, then kill it; nothing if it does not run."""
        for number in (signal.SIGTERM, signal.SIGKILL):
            pid = self._process(_checked(unit))
            if not pid:
                return
            with suppress(ProcessLookupError):  # it may just have ended
                os.kill(pid, number)
            for _ in range(int(STOP_SECONDS / _PAUSE)):
                if not self._process(unit):
                    return
                self._sleep(_PAUSE)
        raise ServiceFailed(f"`{unit}` does not end; look at its process")

    def _pidfile(self, unit: str) -> Path:
        return self._state / f"{unit}.pid"

    def _process(self, unit: str) -> int:
        try:
            pid, started = self._pidfile(unit).read_text("ascii").split()
        except (OSError, ValueError):
            return 0
        _reap(int(pid))
        return int(pid) if process_start(int(pid)) == started else 0


@dataclass(frozen=True)
class Check:
    """One health check of the host's own configuration.

    `kind` is `http` (wants `status` from `path`) or `tcp` (wants a connection); it is tried again
    for `within` seconds.
    """

    kind: str
    host: str
    port: int
    path: str = "/"
    status: int = 200
    within: int = WITHIN_SECONDS


def read_checks(table: Mapping[str, Mapping[str, object]]) -> dict[str, Check]:
    """Read `{"web": {"url": "http://127.0.0.1:8080/health", "status": 200, "within": 20}}`.

    The address is `http://host:port/path` or `tcp://host:port`. Raises `ServiceFailed` otherwise.
    """
    checks = {}
    for name, row in table.items():
        url = urllib.parse.urlsplit(str(row.get("url", "")))
        if url.scheme not in {"http", "tcp"} or not url.hostname or not url.port:
            raise ServiceFailed(f"health check `{name}` needs a url like `http://127.0.0.1:80/`")
        numbers = [row.get("status", 200), row.get("within", WITHIN_SECONDS)]
        if not all(isinstance(n, int) for n in numbers) or set(row) - {"url", "status", "within"}:
            raise ServiceFailed(f"health check `{name}` has url, status and within, no more")
        status, within = (int(str(n)) for n in numbers)
        path = url.path or "/"
        checks[name] = Check(url.scheme, url.hostname, url.port, path, status, within)
    return checks


def try_once(check: Check) -> str:
    """Try a check once; give why it failed, or nothing."""
    try:
        if check.kind == "tcp":
            socket.create_connection((check.host, check.port), CONNECT_SECONDS).close()
            return ""
        connection = http.client.HTTPConnection(check.host, check.port, timeout=CONNECT_SECONDS)
        try:
            connection.request("GET", check.path)
            answer = connection.getresponse()
            answer.read(BODY_LIMIT)
        finally:
            connection.close()
    except (OSError, http.client.HTTPException) as error:
        return f"no answer on port {check.port}: {error or type(error).__name__}"
    return "" if answer.status == check.status else f"answered {answer.status}"


def health(
    check: Check,
    sleep: Callable[[float], None] = time.sleep,
    ask: Callable[[Check], str] = try_once,
) -> str:
    """Give nothing if the check passes within its time, else why the last try failed."""
    for _ in range(max(1, int(check.within / _PAUSE))):
        why = ask(check)
        if not why:
            return ""
        sleep(_PAUSE)
    return why


def process_start(pid: int) -> str:
    """Give a process's start time (clock ticks since boot, proc(5)); nothing if it is no more."""
    try:
        with open(f"/proc/{pid}/stat", encoding="utf-8", errors="replace") as file:  # noqa: PTH123
            fields = file.read(4096).rpartition(")")[2].split()
    except OSError:
        return ""
    return "" if fields[0] in "ZX" else fields[19]


def _checked(unit: str) -> str:
    if not _UNIT.fullmatch(unit):
        raise ServiceFailed(f"`{unit}` is no name of a unit; correct the plan")
    return unit


def _write_self(pidfile: Path) -> None:
    pid = os.getpid()
    partial = pidfile.with_suffix(".part")
    partial.write_text(f"{pid} {process_start(pid)}", "ascii")
    partial.rename(pidfile)


def _reap(pid: int) -> None:
    try:
        os.waitpid(pid, os.WNOHANG)
    except ChildProcessError:
        # Started by an earlier agent: not our child.
        return
