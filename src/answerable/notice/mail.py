"""Mail as a channel: one plain-text message by SMTP to the operator's own mail server.

The message id is stable (`<id@sender's domain>`), so a mail that was sent twice is shown once. The
server's acceptance is all that is known; a bounce comes later and to the sender. With `tls` the
server must offer STARTTLS and a certificate for its name.
"""

import smtplib
import ssl
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from email.errors import MessageError
from email.message import EmailMessage
from email.policy import SMTP
from email.utils import format_datetime

from answerable.notice.channel import Accepted, Failed, Message, Outcome, wrong

SECONDS = 10.0
"""How long one step of the conversation may take."""
_PLAIN = frozenset("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._+-=")


@dataclass(frozen=True)
class MailChannel:
    """Sends from one address through one server; `clock` gives POSIX seconds for the date."""

    host: str
    port: int
    sender: str
    clock: Callable[[], int]
    tls: bool = True
    login: tuple[str, str] | None = field(default=None, repr=False)

    def deliver(self, address: str, message: Message) -> Outcome:
        """See `Channel.deliver`; the address is `local@domain`."""
        if problem := wrong(address, message):
            return Failed(problem)
        local, at, domain = address.partition("@")
        if not at or not local or not domain or not set(local + domain) <= _PLAIN:
            return Failed(f"`{address}` is no mail address of plain characters")
        try:
            mail = self._mail(address, message)
            # A name of our own: smtplib would ask the resolver for this machine's.
            named = self.sender.partition("@")[2]
            with smtplib.SMTP(self.host, self.port, named, SECONDS) as server:
                if self.tls:
                    server.starttls(context=ssl.create_default_context())
                if self.login:
                    server.login(*self.login)
                server.send_message(mail, self.sender, [address])
        except (OSError, smtplib.SMTPException, MessageError, ValueError) as error:
            return Failed(f"`{self.host}:{self.port}`: {type(error).__name__} {error}"[:500])
        return Accepted(f"`{self.host}` took it for `{address}`")

    def _mail(self, address: str, message: Message) -> EmailMessage:
        mail = EmailMessage(policy=SMTP)
        mail["From"], mail["To"], mail["Subject"] = self.sender, address, message.subject
        mail["Date"] = format_datetime(datetime.fromtimestamp(self.clock(), UTC))
        mail["Message-ID"] = f"<{message.id}@{self.sender.partition('@')[2]}>"
        mail["Auto-Submitted"] = "auto-generated"
        mail.set_content(message.text)
        return mail
