"""Services by name only: what a name means stands in the host's own configuration."""

import contextlib
import http.server
import os
import socket
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from answerable.host.services.service import (
    Check,
    InitdServices,
    PidfileServices,
    ServiceFailed,
    SystemdServices,
    health,
    process_start,
    read_checks,
)

FOREVER = (sys.executable, "-c", "import signal; signal.pause()")


@contextlib.contextmanager
def _services(folder: Path, argv: tuple[str, ...] = FOREVER) -> Iterator[PidfileServices]:
    services = PidfileServices(folder, {"web": argv})
    try:
        yield services
    finally:
        services.stop("web")


@contextlib.contextmanager
def _server(status: int) -> Iterator[int]:
    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(status if self.path == "/health" else 404)
            self.end_headers()

        def log_message(self, *_: object) -> None:
            return

    server = http.server.HTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield server.server_port
    server.shutdown()
    thread.join()
    server.server_close()


def test_restart_is_another_process(tmp_path: Path) -> None:
    """After a restart the old process is gone and a new one runs."""
    with _services(tmp_path) as services:
        assert not services.running("web")
        services.restart("web")
        first = (tmp_path / "web.pid").read_text()
        services.restart("web")
        assert services.running("web")
        assert (tmp_path / "web.pid").read_text() != first
        assert process_start(int(first.split()[0])) == ""
        services.stop("web")
        assert not services.running("web")


def test_unit_is_known_to_the_next_agent(tmp_path: Path) -> None:
    """An agent that was killed leaves no unit that nobody can stop."""
    with _services(tmp_path) as services:
        services.restart("web")
        assert PidfileServices(tmp_path, {"web": FOREVER}).running("web")


def test_reused_pid_is_never_ended(tmp_path: Path) -> None:
    """A process that only has the pid of a unit of ours is not taken for it."""
    (tmp_path / "web.pid").write_text(f"{os.getpid()} 1")
    services = PidfileServices(tmp_path, {"web": FOREVER})
    assert not services.running("web")
    services.stop("web")


def test_unit_that_ends_at_once_does_not_run(tmp_path: Path) -> None:
    """A service that refuses to start is seen not to run."""
    with _services(tmp_path, (sys.executable, "-c", "raise SystemExit(3)")) as services:
        services.restart("web")
        pid = int((tmp_path / "web.pid").read_text().split()[0])
        os.waitid(os.P_PID, pid, os.WEXITED | os.WNOWAIT)
        assert not services.running("web")


def test_unit_that_ends_while_it_is_stopped(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Between the look and the signal: that is what was wanted."""
    pids = iter([4711, 0])

    def gone(*_: int) -> None:
        raise ProcessLookupError

    monkeypatch.setattr(PidfileServices, "_process", lambda *_: next(pids))
    monkeypatch.setattr(os, "kill", gone)
    PidfileServices(tmp_path, {"web": FOREVER}).stop("web")
    assert next(pids, None) is None


@pytest.mark.parametrize("unit", ["../../bin/sh", "a b", "-x", "", "web\n", "db"])
def test_order_cannot_name_anything_but_a_unit(unit: str, tmp_path: Path) -> None:
    """A path, a flag or an unknown name is no unit, for any service tool."""
    for services in (PidfileServices(tmp_path, {"web": FOREVER}), InitdServices(tmp_path)):
        with pytest.raises(ServiceFailed):
            services.restart(unit)
    if unit != "db":
        with pytest.raises(ServiceFailed):
            SystemdServices(tmp_path).restart(unit)


def test_health_is_what_the_service_answers() -> None:
    """A check passes only with the status that the host's configuration names."""
    with _server(200) as port:
        assert health(Check("http", "127.0.0.1", port, "/health", within=0)) == ""
        assert health(Check("tcp", "127.0.0.1", port, within=0)) == ""
        assert health(Check("http", "127.0.0.1", port, "/", within=0)) == "answered 404"
    with _server(503) as port:
        assert health(Check("http", "127.0.0.1", port, "/health", within=0)) == "answered 503"


def test_service_that_is_not_there_is_tried_again() -> None:
    """A service has its time to come up, and then the reason is given."""
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        check = Check("http", "127.0.0.1", unused.getsockname()[1], within=1)
        tries: list[float] = []
        assert "no answer" in health(check, tries.append)
        assert len(tries) == 5


def test_checks_are_read_from_the_configuration() -> None:
    """Address, status and time are local words with plain defaults."""
    table: dict[str, dict[str, object]] = {
        "web": {"url": "http://127.0.0.1:80/health", "within": 3}, "db": {"url": "tcp://[::1]:5432"}
    }  # fmt: skip
    assert read_checks(table) == {
        "web": Check("http", "127.0.0.1", 80, "/health", 200, 3),
        "db": Check("tcp", "::1", 5432),
    }


@pytest.mark.parametrize(
    "row",
    [{}, {"url": "file:///etc/passwd"}, {"url": "http://127.0.0.1/"},
     {"url": "tcp://h:1", "command": "x"}, {"url": "tcp://h:1", "status": "200"}],
)  # fmt: skip
def test_check_that_is_not_understood_is_an_error(row: dict[str, object]) -> None:
    """A mistake in the configuration is found when it is read, not when it is needed."""
    with pytest.raises(ServiceFailed):
        read_checks({"web": row})
