"""Where messages arrive in tests: a real mail server, a real web server, a folder, a fake."""

import asyncio
import json
import threading
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from email import message_from_bytes
from email.policy import SMTP as POLICY
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, Protocol

import httpx
from aiosmtpd.controller import Controller
from aiosmtpd.smtp import SMTP

from answerable.notice.channel import Channel, FakeChannel
from answerable.notice.file import FileChannel
from answerable.notice.mail import MailChannel
from answerable.notice.webhook import WebhookChannel

Arrived = tuple[str, str, str]
"""Message id, subject, text."""


class Harness(Protocol):
    """One channel, and a look at what arrived at its other end."""

    channel: Channel
    address: str
    strange: tuple[str, ...]
    """Addresses that this channel must not take."""

    def arrived(self) -> list[Arrived]:
        """Give what arrived so far, each message id once."""

    def break_it(self) -> None:
        """Take the other end away."""


@dataclass
class FolderHarness:
    """`notice/file.py`."""

    folder: Path
    address: str = "lee"
    strange: tuple[str, ...] = ("../up", "a/b", "", ".hidden", "lee\n", "Lee", "x" * 70)

    def __post_init__(self) -> None:
        """Use a folder below a test's own."""
        self.channel: Channel = FileChannel(self.folder / "out")

    def arrived(self) -> list[Arrived]:
        """See `Harness`."""
        found = sorted((self.folder / "out").glob("*/*"))
        parts = [(file.stem, *file.read_text().split("\n\n", 1)) for file in found]
        return [(name, subject, text) for name, subject, text in parts]

    def break_it(self) -> None:
        """See `Harness`."""
        (self.folder / "out").write_text("a file where the folder should be")


@dataclass
class FakeHarness:
    """`FakeChannel`, which others test with."""

    address: str = "lee"
    strange: tuple[str, ...] = ("", "lee\n")

    def __post_init__(self) -> None:
        """Use a new one."""
        self.fake = FakeChannel()
        self.channel: Channel = self.fake

    def arrived(self) -> list[Arrived]:
        """See `Harness`."""
        return [(m.id, m.subject, m.text) for m in self.fake.taken.values()]

    def break_it(self) -> None:
        """See `Harness`."""
        self.fake.broken = "no route"


class _Mailbox:
    """Keeps what an SMTP client hands over."""

    def __init__(self) -> None:
        self.mails: list[tuple[list[str], bytes]] = []

    async def handle_DATA(self, _server: SMTP, _session: object, envelope: Any) -> str:  # noqa: ANN401, N802  aiosmtpd's own names
        """Take a mail."""
        self.mails.append((envelope.rcpt_tos, envelope.content))
        return "250 kept"


class _Server(Controller):
    """A mail server on a free port."""

    def _trigger_server(self) -> None:
        assert isinstance(self.server, asyncio.Server)
        self.port = self.server.sockets[0].getsockname()[1]
        super()._trigger_server()  # type: ignore[no-untyped-call]


class MailHarness:
    """`notice/mail.py` against aiosmtpd."""

    address = "lee@people.example"
    strange: tuple[str, ...] = (
        "lee",
        "@x",
        "lee@",
        "a b@x",
        "lee@x>\nRCPT TO:<mo@x",
        "lee@x,mo@x",
        "<lee@x>",
        "",
    )

    def __init__(self) -> None:
        """Start a server on a free port."""
        self.box = _Mailbox()
        self.controller = _Server(self.box, hostname="127.0.0.1", port=0)
        self.controller.start()
        self.port = self.controller.port
        self.channel: Channel = self.make()

    def make(self, **more: Any) -> MailChannel:  # noqa: ANN401  settings of the channel
        """Give a channel to this server."""
        given = {"tls": False, **more}
        return MailChannel(
            "127.0.0.1", self.port, "g1@guard.example", lambda: 1_800_000_000, **given
        )

    def arrived(self) -> list[Arrived]:
        """See `Harness`."""
        found = {}
        for to, data in self.box.mails:
            mail = message_from_bytes(data, policy=POLICY)
            assert to == [self.address] == [mail["To"]]
            name = mail["Message-ID"].strip("<>").partition("@")[0]
            text = mail.get_content().replace("\r\n", "\n")
            found[name] = (name, str(mail["Subject"]), text)
        return list(found.values())

    def break_it(self) -> None:
        """See `Harness`."""
        if not self.controller.loop.is_closed():
            self.controller.stop()


@dataclass
class HookHarness:
    """`notice/webhook.py` against a web server."""

    bodies: list[bytes] = field(default_factory=list)
    status: int = 204
    strange: tuple[str, ...] = ("", "ftp://x", "lee", "http://\n", "http://[", "file:///etc/passwd")

    def __post_init__(self) -> None:
        """Start a server on a free port."""
        harness = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                size = int(self.headers["content-length"])
                harness.bodies.append(self.rfile.read(size))
                self.send_response(harness.status)
                self.send_header("location", harness.address + "/elsewhere")
                self.send_header("content-length", "0")
                self.end_headers()

            def log_message(self, *_: object) -> None:
                """Keep the test's output clean."""

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        threading.Thread(target=self.server.serve_forever, args=(0.01,), daemon=True).start()
        self.address = f"http://127.0.0.1:{self.server.server_port}/hook"
        self.client = httpx.Client(timeout=10)
        self.channel: Channel = WebhookChannel(self.client)

    def arrived(self) -> list[Arrived]:
        """See `Harness`."""
        said = [json.loads(body) for body in self.bodies]
        found = {one["id"]: (one["id"], one["subject"], one["text"]) for one in said}
        return list(found.values())

    def break_it(self) -> None:
        """See `Harness`."""
        self.server.shutdown()
        self.server.server_close()


@contextmanager
def harness(name: str, folder: Path) -> Iterator[Harness]:
    """Give one of `file`, `fake`, `mail`, `webhook`."""
    with ExitStack() as stack:
        if name == "mail":
            mail = MailHarness()
            stack.callback(mail.break_it)
            yield mail
        elif name == "webhook":
            hook = HookHarness()
            stack.callback(hook.server.server_close)
            stack.callback(hook.server.shutdown)
            stack.callback(hook.client.close)
            yield hook
        else:
            yield FolderHarness(folder) if name == "file" else FakeHarness()
