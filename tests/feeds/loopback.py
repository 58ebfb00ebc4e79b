"""A real server on this machine that serves documents well or badly, as each test wants it."""

import ssl
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from ipaddress import IPv4Address
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

MODIFIED = "Fri, 20 Nov 2026 00:00:00 GMT"


@dataclass
class Site:
    """What a server has, and what it was asked.

    Args:
        documents: path -> bytes.
        cut: path -> after how many bytes the connection is closed, once each time listed.
        own: path -> what answers instead.
        etag: whether documents have one; else they have `Last-Modified`.
    """

    documents: dict[str, bytes] = field(default_factory=dict)
    cut: dict[str, list[int]] = field(default_factory=dict)
    own: dict[str, Callable[[BaseHTTPRequestHandler], None]] = field(default_factory=dict)
    etag: bool = True
    asked: list[tuple[str, dict[str, str]]] = field(default_factory=list)
    base: str = ""

    def headers(self, path: str) -> list[str]:
        """Give what a path was asked with, request by request: `range` or `if-..` or nothing."""
        wanted = ("range", "if-none-match", "if-modified-since")
        return [next((n for n in wanted if n in h), "") for p, h in self.asked if p == path]

    def answer(self, path: str, asked: dict[str, str]) -> tuple[int, bytes, dict[str, str]]:
        """Give a document, its rest, or that it has not changed, as RFC 9110 says."""
        data = self.documents.get(path)
        if data is None:
            return 404, b"", {}
        name = f'"{hash(data):x}"' if self.etag else MODIFIED
        edition = {"etag" if self.etag else "last-modified": name}
        if name in (asked.get("if-none-match"), asked.get("if-modified-since")):
            return 304, b"", edition
        start = int(asked.get("range", "bytes=0-").removeprefix("bytes=").rstrip("-"))
        if not start or asked.get("if-range", name) != name:
            return 200, data, edition
        if start >= len(data):
            return 416, b"", {"content-range": f"bytes */{len(data)}"}
        told = f"bytes {start}-{len(data) - 1}/{len(data)}"
        return 206, data[start:], {**edition, "content-range": told}


def _handler(site: Site) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            """Serve a document, or what the test wants instead."""
            path = self.path.lstrip("/")
            headers = {name.lower(): value for name, value in self.headers.items()}
            site.asked.append((path, headers))
            if path in site.own:
                self.close_connection = True
                site.own[path](self)
                return
            self.reply(*site.answer(path, headers), path)

        def reply(self, code: int, body: bytes, headers: dict[str, str], path: str) -> None:
            """Answer, and break off where the test wants it."""
            self.send_response(code)
            for name, value in {"content-length": str(len(body)), **headers}.items():
                self.send_header(name, value)
            self.end_headers()
            cuts = site.cut.get(path, [])
            if cuts:
                self.wfile.write(body[: cuts.pop(0)])
                self.wfile.flush()
                self.close_connection = True
                return
            self.wfile.write(body)

        def log_message(self, *args: object) -> None:
            """Say nothing."""

    return Handler


def certificate(folder: Path) -> Path:
    """Make a certificate of this machine's own for 127.0.0.1, with its key in the same file."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "127.0.0.1")])
    now = datetime.now(UTC)
    made = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=1))
        .add_extension(
            x509.SubjectAlternativeName([x509.IPAddress(IPv4Address("127.0.0.1"))]), critical=False
        )
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .sign(key, hashes.SHA256())
    )
    file = folder / "server.pem"
    form = serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8
    secret = key.private_bytes(*form, serialization.NoEncryption())
    file.write_bytes(made.public_bytes(serialization.Encoding.PEM) + secret)
    return file


@contextmanager
def serving(site: Site, pem: Path | None = None) -> Iterator[Site]:
    """Serve a site on a port of its own, over TLS if there is a certificate."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), _handler(site))
    server.daemon_threads = True
    if pem:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(pem)
        server.socket = context.wrap_socket(server.socket, server_side=True)
    threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True).start()
    site.base = f"{'https' if pem else 'http'}://127.0.0.1:{server.server_port}"
    try:
        yield site
    finally:
        server.shutdown()
        server.server_close()
