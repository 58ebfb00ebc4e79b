"""What every channel promises; each adapter and the shipped fake runs these."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from answerable.notice.channel import TEXT, Accepted, Failed, Message
from tests.notice.posts import FolderHarness, Harness, HookHarness, MailHarness, harness

MESSAGE = Message("notice-" + "ab" * 32, "Change notice: openssl on 3 hosts", "What  x\n\nWhy  é\n")


@pytest.fixture(params=["file", "fake", "mail", "webhook"])
def end(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Harness]:
    """One channel with its other end."""
    with harness(request.param, tmp_path) as made:
        yield made


def test_text_arrives_as_it_was_given(end: Harness) -> None:
    """Subject, text and id are the same at the other end, check words and all."""
    assert isinstance(end.channel.deliver(end.address, MESSAGE), Accepted)
    assert end.arrived() == [(MESSAGE.id, MESSAGE.subject, MESSAGE.text)]


def test_long_and_dotted_lines_survive(end: Harness) -> None:
    """No channel folds, cuts or unstuffs a line."""
    text = "." + "x" * 3000 + "\n.\n..\nFrom here\n" + "é" * 500 + "\n" + "\n" * 3 + "end\n"
    assert isinstance(end.channel.deliver(end.address, Message("a", "b", text)), Accepted)
    assert end.arrived() == [("a", "b", text)]


def test_twice_delivered_is_recognised(end: Harness) -> None:
    """A herald that was killed sends again, and the reader sees one message."""
    for _ in range(2):
        assert isinstance(end.channel.deliver(end.address, MESSAGE), Accepted)
    assert len(end.arrived()) == 1


def test_broken_channel_says_so_and_raises_nothing(end: Harness) -> None:
    """Nobody counts as told whose channel is away."""
    end.break_it()
    outcome = end.channel.deliver(end.address, MESSAGE)
    assert isinstance(outcome, Failed)
    assert outcome.detail


def test_strange_addresses_are_not_used(end: Harness) -> None:
    """An address book that somebody else filled reaches no other file, host or person."""
    for address in end.strange:
        assert isinstance(end.channel.deliver(address, MESSAGE), Failed), address
    assert end.arrived() == []


@pytest.mark.parametrize(
    "message",
    [
        Message("a", "b\r\nBcc: mo@x", "c"), Message("a\n", "b", "c"), Message("../a", "b", "c"),
        Message("", "b", "c"), Message("a", "", "c"), Message("a", "b", "x" * (TEXT + 1)),
    ],
)  # fmt: skip
def test_message_that_would_say_something_else_is_refused(end: Harness, message: Message) -> None:
    """Neither subject nor id adds a header, a recipient or a path."""
    assert isinstance(end.channel.deliver(end.address, message), Failed)
    assert end.arrived() == []


def test_mail_needs_the_encryption_that_was_asked_for(tmp_path: Path) -> None:
    """A server that offers no STARTTLS gets no notice where the operator asked for it."""
    with harness("mail", tmp_path) as made:
        assert isinstance(made, MailHarness)
        for more in ({"tls": True}, {"login": ("me", "secret")}):
            outcome = made.make(**more).deliver(made.address, MESSAGE)
            assert isinstance(outcome, Failed)
            assert "secret" not in outcome.detail
        assert "secret" not in repr(made.make(login=("me", "secret")))


@pytest.mark.parametrize("status", [301, 307, 400, 500])
def test_web_hook_that_does_not_say_yes_has_not_taken_it(tmp_path: Path, status: int) -> None:
    """Only 2xx is a yes, and a redirect is not followed."""
    with harness("webhook", tmp_path) as made:
        assert isinstance(made, HookHarness)
        made.status = status
        assert isinstance(made.channel.deliver(made.address, MESSAGE), Failed)
        assert len(made.bodies) == 1


def test_files_are_private_and_whole(tmp_path: Path) -> None:
    """Only the owner reads what people are told, and no half file lies about."""
    with harness("file", tmp_path) as made:
        assert isinstance(made, FolderHarness)
        made.channel.deliver("lee", MESSAGE)
        files = [file for file in (tmp_path / "out").rglob("*") if file.is_file()]
        assert [file.name for file in files] == [f"{MESSAGE.id}.txt"]
        assert files[0].stat().st_mode & 0o777 == 0o600
