"""agentd: whom it answers, whom it asks, and what its settings may say."""

import json
import os
import socket
from pathlib import Path

import pytest

from answerable.host.confine import landlock, seccomp
from answerable.host.files import HomeUnavailable
from answerable.host.network.agentd import (
    Carrier,
    Settings,
    jail,
    listen,
    main,
    may_ask,
    read_settings,
)
from answerable.host.network.client import Call, HttpUnavailable
from answerable.host.network.frames import Answered, ask, reader
from answerable.host.network.through import Through
from answerable.host.services.service import Check
from tests.fakes.carrier import carried
from tests.fakes.host_world import HostWorld
from tests.host.network.test_client import http, server

PEERS = ("https://log.example", "http://127.0.0.1:80/guard/", "tcp://127.0.0.1:22")


@pytest.mark.parametrize(
    ("url", "may"),
    [
        ("https://log.example/authority/checkpoint", True),
        ("https://log.example", True),
        ("http://127.0.0.1:80/guard/start?host=web1&nonce=ab", True),
        ("tcp://127.0.0.1:22", True),
        ("https://log.example.evil/x", False),
        ("https://log.example@evil/x", False),
        ("https://log.example:444/x", False),
        ("http://log.example/x", False),
        ("http://127.0.0.1:80/guardian", False),
        ("http://127.0.0.1:80/guard/../other", False),
        ("http://127.0.0.1:80/guard/%2e%2e/other", True),
        ("http://127.0.0.1:80/guard/x\r\nHost: evil", False),
        ("http://127.0.0.1:80/guard/x y", False),
        ("http://127.0.0.1:80/guard//", True),
        ("tcp://127.0.0.1:22/x", False),
        ("tcp://127.0.0.1:221", False),
        ("file:///etc/shadow", False),
        ("", False),
    ],
)
def test_only_what_lies_below_a_peer_is_asked(url: str, may: bool) -> None:  # noqa: FBT001
    """Other servers, ports, schemes, folders beside, and headers slipped in are not."""
    assert may_ask(url, PEERS) is may


def test_settings_give_ports_and_whether_names_are_looked_up(tmp_path: Path) -> None:
    """What Landlock and seccomp leave follows from the peers."""
    path = tmp_path / "agentd.json"
    path.write_text(json.dumps({"peers": list(PEERS), "socket": "/run/x/s"}))
    settings = read_settings(path)
    assert (settings.ports, settings.names) == ({443, 80, 22, 53}, True)
    assert not Settings(PEERS[1:], Path("s")).names
    assert Settings(PEERS[1:], Path("s")).ports == {80, 22}


@pytest.mark.parametrize(
    "change",
    [
        {"peers": ["ftp://x"]}, {"peers": ["https://"]}, {"peers": ["tcp://x"]},
        {"peers": ["http://[::1"]}, {"peers": "https://x"}, {"lacks": ["everything"]},
        {"allow": "0"}, {"allow": True}, {"socket": 1}, {"more": 1},
    ],
)  # fmt: skip
def test_settings_that_are_none(tmp_path: Path, change: dict[str, object]) -> None:
    """A misspelt rule would be no rule."""
    path = tmp_path / "agentd.json"
    path.write_text(json.dumps({"peers": list(PEERS), "socket": "/run/x/s", **change}))
    with pytest.raises(HomeUnavailable):
        read_settings(path)
    assert main(path) == 1


def test_another_user_is_not_answered(tmp_path: Path) -> None:
    """The kernel says who asks; that one gets nothing, and the next one is answered."""
    with carried(()) as path, socket.socket(socket.AF_UNIX) as sock:
        sock.connect(str(path))
        sock.sendall(ask(Call("GET", "", b"", 0, 0, 1.0)))
        with pytest.raises(HttpUnavailable, match="confined"):
            Answered(reader(sock))
    other = Carrier(Settings((), tmp_path / "s", os.getuid() + 1), ())
    ours, theirs = socket.socketpair(socket.AF_UNIX)

    class Listener:
        def __init__(self) -> None:
            self.left = [theirs]

        def accept(self) -> tuple[socket.socket, None]:
            if not self.left:
                raise StopIteration
            return self.left.pop(), None

    with ours:
        with pytest.raises(StopIteration):
            other.serve(Listener())  # type: ignore[arg-type]
        assert ours.recv(10) == b""


def test_answers_come_through_as_servers_give_them(world: HostWorld) -> None:
    """Bodies, 404, 403 with its reason, a server that is away, limits: as without agentd."""
    big, absent = http(b"x" * 70_000), http(b"no", "404 Not Found")
    forbidden = http(b'{"reason":"not_enrolled"}', "403 Forbidden")
    with server(big, absent, forbidden, http(b"abc"), http(b"12345")) as url:
        peers = (url, "http://127.0.0.1:1")
        with carried(peers) as path:
            client = Through(path, str(os.getuid()))
            assert client.get(f"{url}/x", 70_000) == b"x" * 70_000
            with pytest.raises(HttpUnavailable, match="answers 404"):
                client.get(f"{url}/x", 10)
            with pytest.raises(HttpUnavailable, match="not_enrolled"):
                client.post(f"{url}/x", b"data", 10)
            assert client.get(f"{url}/x", 10, skip=1) == b"bc"
            with pytest.raises(HttpUnavailable, match="broke off"):
                client.get(f"{url}/x", 3)
            with pytest.raises(HttpUnavailable, match="cannot ask"):
                client.get("http://127.0.0.1:1/x", 3)


def test_health_is_asked_through_it() -> None:
    """HTTP by status, TCP by connecting; nothing else of an answer counts."""
    with server(http(b"fine"), http(b"", "500 Oh")) as url:
        port = int(url.rpartition(":")[2])
        with carried((url, f"tcp://127.0.0.1:{port}")) as path:
            client = Through(path, str(os.getuid()))
            check = Check("http", "127.0.0.1", port, "/health")
            assert client.check(check) == ""
            assert client.check(check) == "answered 500"
            assert client.check(Check("tcp", "127.0.0.1", port)) == ""
            assert "below no peer" in client.check(Check("tcp", "127.0.0.1", 1))


def test_a_kernel_without_a_part_of_the_jail_stops_it(monkeypatch: pytest.MonkeyPatch) -> None:
    """Fail closed; unless its operator has said so, and then it says so itself."""

    def none(**_: object) -> None:
        raise seccomp.NoSeccomp

    monkeypatch.setattr(landlock, "abi", lambda: 0)
    monkeypatch.setattr(seccomp, "only", none)
    with pytest.raises(HomeUnavailable, match="lacks landlock, landlock_network, seccomp"):
        jail(Settings((), Path("s")))
    settings = Settings((), Path("s"), lacks=("landlock", "landlock_network", "seccomp"))
    assert jail(settings) == ["landlock", "landlock_network", "seccomp"]


def test_a_socket_is_replaced_and_a_file_is_not(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Only what is a socket is removed; nobody but its user may connect."""
    monkeypatch.chdir(tmp_path)
    path = Path("s")
    listen(path).close()
    listen(path).close()
    assert path.stat().st_mode & 0o777 == 0o600
    path.unlink()
    path.write_text("precious")
    with pytest.raises(HomeUnavailable):
        listen(path)
    assert path.read_text() == "precious"
