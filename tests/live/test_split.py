"""agentd and applyd as processes: what is left to each, and that a host is patched through both.

Run as root, so that nothing but the jail itself can be what denies. Left out: the units
(test_units.py), and an agentd that is taken over, in one process
(tests/host/network/test_through.py).
"""

import json
import os
import socket
import ssl
import subprocess
import sys
import tempfile
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from answerable.host.network.client import HttpUnavailable
from answerable.host.network.through import Through
from answerable.kernel.canon import encode
from tests.fakes.carrier import split
from tests.fakes.fake_driver import FakeDriver, FakeServices
from tests.fakes.host_world import serving
from tests.host.conftest import Site
from tests.host.network.test_client import http, server
from tests.host.test_agent import DONE

pytestmark = [pytest.mark.live, pytest.mark.needs("network", "uids")]
AGENTD = 64_001
"""The uid of agentd here."""
JAILED = Path(__file__).with_name("jailed.py")


def tried(*words: object) -> dict[str, str]:
    """Let a process jail itself and try everything."""
    done = subprocess.run(
        [sys.executable, str(JAILED), *map(str, words)], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    found: dict[str, str] = json.loads(done.stdout)
    return found


@pytest.mark.needs("landlock")
def test_agentd_can_carry_and_nothing_else(tmp_path: Path) -> None:
    """As root, in its own jail: no program, no secret, no file, no other port, no other process."""
    secret = tmp_path / "key"
    secret.write_text("secret")
    with server(http(b"")) as allowed, server(http(b"")) as other:
        ports = [url.rpartition(":")[2] for url in (allowed, other)]
        found = tried("agentd", *ports, secret)
    done = {what for what, came in found.items() if came == "done"}
    assert done == {"thread", "connect allowed"}, found
    assert found.pop("lacking") == ""
    assert {came for what, came in found.items() if what not in done} <= {"EPERM", "EACCES"}
    assert secret.read_text() == "secret"
    assert list(tmp_path.iterdir()) == [secret]


def test_applyd_has_no_network() -> None:
    """Nor what it starts: no device but the loopback of an empty namespace, no socket."""
    with server(http(b"")) as url:
        found = tried("applyd", url.rpartition(":")[2])
    assert found.pop("devices") == "lo"
    assert found.pop("unix") == "done"
    assert set(found.values()) == {"EPERM"}, found


@contextmanager
def carrying(folder: Path, *peers: str) -> Iterator[Path]:
    """Run agentd as a process with a user of its own; give its socket."""
    room, file = folder / "room", folder / "agentd.json"
    room.mkdir()
    os.chown(room, AGENTD, AGENTD)
    file.write_text(encode({"peers": list(peers), "socket": str(room / "s")}))
    argv = ["setpriv", f"--reuid={AGENTD}", f"--regid={AGENTD}", "--clear-groups", sys.executable]
    with subprocess.Popen(
        [*argv, "-m", "answerable.host", "agentd", str(file)], stderr=subprocess.PIPE, cwd="/"
    ) as agentd:
        try:
            assert agentd.stderr
            said = agentd.stderr.readline()
            assert b'"lacking": []' in said, said + agentd.stderr.read()
            yield room / "s"
        finally:
            agentd.kill()


@pytest.fixture
def room() -> Iterator[Path]:
    """A folder that every user can reach, with a short name: a socket's path has 107 bytes."""
    with tempfile.TemporaryDirectory(prefix="split-") as name:
        made = Path(name)
        made.chmod(0o755)
        yield made


@pytest.mark.needs("landlock")
def test_a_host_is_patched_through_both(room: Path) -> None:
    """Everything that one process did, with agentd another user's and jailed."""
    with serving() as world, carrying(room, world.url) as path:
        tool = room / "tool"
        site = Site(world, room / "agent", FakeDriver(tool), FakeServices(tool))
        site.enrol()
        split(site.place, path)
        settings = json.loads((site.place / "settings.json").read_text())
        settings["agentd"]["user"] = str(AGENTD)
        (site.place / "settings.json").write_text(json.dumps(settings))
        world.hand_out(world.sim.permitted())
        assert site.outcome()[:2] == DONE[:2]
        words = [sys.executable, "-m", "answerable.host", "apply", "--dir", str(site.place)]
        done = subprocess.run(words, capture_output=True, text=True, check=False)
        assert "agentd: confined" in done.stdout, done
        assert "trouble" not in done.stdout
        assert world.said()[:2] == DONE[:2]


@pytest.mark.needs("landlock")
def test_agentd_answers_root_alone(room: Path) -> None:
    """Not even its own user: whoever becomes that has gained no network by it."""
    script = (
        "import sys; from pathlib import Path; from answerable.host.network.through import Through;"
        f"print(Through(Path(sys.argv[1]), '{AGENTD}').confinement())"
    )
    with serving() as world, carrying(room, world.url) as path:
        assert Through(path, str(AGENTD)).confinement() == "confined"
        words = ["setpriv", f"--reuid={AGENTD}", "--clear-groups", sys.executable, "-c", script]
        done = subprocess.run([*words, str(path)], capture_output=True, text=True, check=False)
        assert done.stdout.strip(), done
        assert "confined" not in done.stdout


@pytest.mark.needs("landlock")
def test_names_and_certificates_are_looked_up_within_the_jail(room: Path) -> None:
    """A peer by name is found, and TLS is judged: this one's certificate is nobody's."""
    key, certificate = _certificate(room)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate, key)
    with socket.create_server(("127.0.0.1", 0)) as listener:
        threading.Thread(target=_tls_once, args=(listener, context), daemon=True).start()
        url = f"https://localhost:{listener.getsockname()[1]}"
        with carrying(room, url) as path:
            client = Through(path, str(AGENTD))
            with pytest.raises(HttpUnavailable, match="CERTIFICATE_VERIFY_FAILED"):
                client.get(f"{url}/x", 10)


def _tls_once(listener: socket.socket, context: ssl.SSLContext) -> None:
    with suppress(OSError), listener.accept()[0] as sock:
        context.wrap_socket(sock, server_side=True)


def _certificate(folder: Path) -> tuple[Path, Path]:
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "localhost")])
    now = datetime.now(UTC)
    made = (
        x509.CertificateBuilder().subject_name(name).issuer_name(name)
        .public_key(key.public_key()).serial_number(1)
        .not_valid_before(now - timedelta(days=1)).not_valid_after(now + timedelta(days=1))
        .sign(key, hashes.SHA256())
    )  # fmt: skip
    form = serialization.Encoding.PEM
    (folder / "cert.pem").write_bytes(made.public_bytes(form))
    (folder / "key.pem").write_bytes(key.private_bytes(
        form, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()))  # fmt: skip
    return folder / "key.pem", folder / "cert.pem"
