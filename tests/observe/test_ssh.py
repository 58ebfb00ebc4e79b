"""An observer's way onto a host: the real ssh client, a real SSH server, the foot behind it."""

import asyncio
import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from hashlib import sha256
from pathlib import Path

import asyncssh
import httpx
import pytest

from answerable.observe import foot, ssh
from answerable.observe.drift import weaker
from answerable.observe.foot import DISKS, answer, devices
from answerable.observe.look import Place, Unseen
from answerable.observe.ways import look, posture
from tests.observe.packages import unpack

Process = asyncssh.SSHServerProcess[bytes]
FOOT = """import os, sys, pathlib, answerable.observe.foot as foot
print(foot.answer(os.environ["SSH_ORIGINAL_COMMAND"], pathlib.Path(sys.argv[1])))"""
"""The foot on another root than this machine's own."""


def disk(root: Path) -> Path:
    """Make a small host with a kernel's tables."""
    socket = "0: 0100007F:0016 00000000:0000 0A 0:0 00:0 0 33 0 1 1 0 100 0 0 10 0"
    for path, text in {
        "var/lib/dpkg/status": "Package: openssl\nStatus: install ok installed\nVersion: 3.0\n",
        "etc/passwd": "root:x:0:0:root:/root:/bin/bash\n",
        "etc/cron.d/clean": "@daily root true\n",
        "proc/self/mountinfo": "1 0 0:1 / / rw - ext4 /dev/x rw\n2 1 0:2 / /proc rw - proc p rw\n",
        "proc/net/tcp": f"head\n   {socket}\n",
        "proc/net/tcp6": "head\n",
        "proc/modules": "nf_tables 1 0 - Live 0x0\n",
        "proc/sys/kernel/sysrq": "16\n",
        "proc/7/comm": "nginx\n",
        "proc/7/maps": "7f00-7f01 r-xp 00000000 08:01 9 /usr/lib/libssl.so.3 (deleted)\n"
        "7f02-7f03 r-xp 00000000 00:01 9 /memfd:jit (deleted)\n"
        "7f04-7f05 r-xp 00000000 08:01 9 /usr/lib/libc.so.6\n",
        "sys/kernel/security/lsm": "capability,landlock\n",
    }.items():
        file = root / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text)
    return root


class Host:
    """An SSH server on loopback whose only program is the foot, or something worse."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.program = folder, "foot"
        self.root = disk(folder / "disk")
        for name in ("host", "observer", "stranger"):
            key = asyncssh.generate_private_key("ssh-ed25519")
            key.write_private_key(str(folder / name))
            (folder / name).chmod(0o600)
            key.write_public_key(str(folder / f"{name}.pub"))
        self.loop = asyncio.new_event_loop()
        self.thread = threading.Thread(target=self.loop.run_forever, daemon=True)
        self.thread.start()
        self.server = asyncio.run_coroutine_threadsafe(self._listen(), self.loop).result(30)
        self.config = self.way("observer", "host")

    async def _listen(self) -> asyncssh.SSHAcceptor:
        return await asyncssh.listen(
            "127.0.0.1", 0, server_host_keys=[str(self.folder / "host")], encoding=None,
            authorized_client_keys=str(self.folder / "observer.pub"), process_factory=self._run,
        )  # fmt: skip

    async def _run(self, process: Process) -> None:
        if self.program == "foot":
            words = [sys.executable, "-c", FOOT, str(self.root)]
            env = {**os.environ, "SSH_ORIGINAL_COMMAND": process.command or ""}
            ran = await asyncio.to_thread(
                subprocess.run, words, env=env, capture_output=True, check=False
            )
            process.stdout.write(ran.stdout)
            process.stderr.write(ran.stderr)
            process.exit(ran.returncode)
        elif self.program == "hang":
            await asyncio.Event().wait()
        elif self.program == "endless":
            while not process.stdout.is_closing():
                process.stdout.write(b"[" * 65_536)
                await process.stdout.drain()
        else:
            process.stdout.write(self.program.encode())
            process.exit(0)

    def way(self, key: str, host_key: str) -> Path:
        """Write the ssh_config(5) file of somebody who expects a host key."""
        config, known = self.folder / "config", self.folder / "known"
        public = (self.folder / f"{host_key}.pub").read_text()
        known.write_text(f"[127.0.0.1]:{self.server.get_port()} {public}")
        config.write_text(
            f"Host host\n HostName 127.0.0.1\n Port {self.server.get_port()}\n User watch\n"
            f" IdentityFile {self.folder / key}\n IdentitiesOnly yes\n"
            f" UserKnownHostsFile {known}\n GlobalKnownHostsFile none\n"
        )
        return config

    def close(self) -> None:
        """End the server."""
        self.loop.call_soon_threadsafe(self.server.close)
        self.loop.call_soon_threadsafe(self.loop.stop)
        self.thread.join(30)


@pytest.fixture
def host(tmp_path: Path) -> Iterator[Host]:
    """Start a host."""
    made = Host(tmp_path)
    yield made
    made.close()


def test_host_is_seen_through_ssh(host: Host) -> None:
    """Versions, stale programs and posture of a host that is not mounted here."""
    with httpx.Client() as client:
        sight = look(Place(host.config, "ssh"), client)
    assert sight.installed == {"openssl": "3.0"}
    assert sight.stale == ["nginx: /usr/lib/libssl.so.3"]
    seen = posture(Place(host.config, "ssh"))
    assert seen is not None
    assert list(seen.sections["cron"]) == ["etc/cron.d/clean"]
    assert seen.sections["listening"] == {"tcp 127.0.0.1:22": "uid 33"}
    assert seen.sections["loaded"] == {"nf_tables": "loaded"}
    assert seen.sections["settings"] == {"kernel/sysrq": "16"}
    assert seen.sections["confinement"] == {"kernel/security/lsm": "capability,landlock"}


def test_files_are_seen_through_ssh(host: Host) -> None:
    """The foot hashes what lies there; what should lie there it is never told."""
    unpack(host.root, "libssl3")
    found = ssh.files(host.config, ["libssl3"])
    assert found["libssl3"]["usr/lib/x/libssl.so.3"] == sha256(b"new code").hexdigest()
    with pytest.raises(Unseen, match="has no list"):
        ssh.files(host.config, ["gone"])
    for name in ("a; id", "-o", "../x", "a b"):
        with pytest.raises(Unseen, match="a name that none has"):
            ssh.files(host.config, [name])


def test_new_listener_is_weaker(host: Host) -> None:
    """What listens after a change and did not before is named."""
    before = ssh.posture(host.config)
    table = host.root / "proc/net/tcp6"
    table.write_text(f"head\n 0: {'0' * 32}:1F90 {'0' * 32}:0000 0A 0:0 00:0 0 0 0 1\n")
    assert weaker(before, ssh.posture(host.config), ()) == ["listening: `tcp6 :::8080` came"]


def test_other_host_key_is_unseen(host: Host) -> None:
    """Attack: another machine answers at the host's address."""
    with pytest.raises(Unseen, match="Host key verification failed"):
        ssh.versions(host.way("observer", "stranger"))


def test_other_key_gets_nothing(host: Host) -> None:
    """A key that the host does not know sees nothing."""
    with pytest.raises(Unseen, match="Permission denied"):
        ssh.versions(host.way("stranger", "host"))


def test_hanging_host_is_unseen(host: Host) -> None:
    """Attack: a host that keeps its observer waiting costs the time given, and is unseen."""
    host.program = "hang"
    with pytest.raises(Unseen, match="ended with -9"):
        ssh.ask(host.config, "versions", seconds=2)


def test_endless_host_is_unseen(host: Host, monkeypatch: pytest.MonkeyPatch) -> None:
    """Attack: a host that answers without end costs the limit, and is unseen."""
    monkeypatch.setattr(ssh, "ANSWER", 1 << 20)
    host.program = "endless"
    with pytest.raises(Unseen):
        ssh.ask(host.config, "versions")


OTHER = (
    "", "[]", "{}", "{" * 10_000,
    '{"installed":{},"stale":[1]}', '{"installed":{"a":1},"stale":[]}',
    '{"openssl":{"etc":1}}', '{"openssl":[]}',
    '{"sections":{"setuid":[]},"unread":[]}', '{"sections":{},"unread":[1]}',
)  # fmt: skip


@pytest.mark.parametrize("said", OTHER)
def test_other_answer_is_unseen(host: Host, said: str) -> None:
    """Whatever a host says that is no answer of a foot, it is unseen and nothing is believed."""
    host.program = said
    for ask in (ssh.versions, ssh.posture, lambda config: ssh.files(config, ["openssl"])):
        with pytest.raises(Unseen, match="foot"):
            ask(host.config)


@pytest.mark.parametrize(
    "asked",
    ["", "versions; id", "posture /etc", "--help", "\x1b[2J", "files", "files ../etc", "files -x"],
)
def test_foot_answers_nothing_else(asked: str) -> None:
    """Attack: more is asked of the foot than it gives; no word of it is a path or an option."""
    words, env = [sys.executable, "-m", "answerable.observe.foot"], dict(os.environ)
    ran = subprocess.run(
        words, env={**env, "SSH_ORIGINAL_COMMAND": asked}, capture_output=True, check=False
    )
    assert (ran.returncode, ran.stdout) == (2, b"")
    assert b"\x1b" not in ran.stderr


def test_own_file_systems_are_the_disks(tmp_path: Path) -> None:
    """Other disks of the host are walked, pseudo file systems and broken rows are not."""
    rows = (
        "1 0 0:1 / / rw - ext4 d rw\n2 1 0:2 / /gone rw - ext4 d rw\n3 1 0:3 / / rw - proc p rw\nx"
    )
    assert devices(rows, tmp_path) == {tmp_path.stat().st_dev}
    assert devices(rows.replace("ext4", "nfs"), tmp_path) == frozenset()
    assert "nfs4" not in DISKS


def test_foot_refuses_what_is_no_verb(tmp_path: Path) -> None:
    """The closed set holds within the program as well."""
    with pytest.raises(Unseen, match="only versions, posture, images, files"):
        answer("shell", tmp_path)


def test_foot_needs_the_standard_library_alone() -> None:
    """The program on the host brings no library that somebody could poison there."""
    source = Path(foot.__file__).parents[2]
    code = f"import sys; sys.path.insert(0, {str(source)!r}); import answerable.observe.foot"
    subprocess.run([sys.executable, "-I", "-S", "-c", code], check=True)
