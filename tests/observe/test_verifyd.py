"""verifyd: who is answered, what is signed, and that an observer takes no other answer."""

import os
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path

import pytest

from answerable.kernel.canon import encode
from answerable.observe import ssh, verifyd
from answerable.observe.look import Unseen
from answerable.observe.verifyd import QUESTION, Settings, Verifyd, listen, read_settings
from tests.observe.test_ssh import disk

OWN = str(os.getuid())
NONCE = "ab" * 16


def made(folder: Path, *allow: str, name: str = "web1.foot") -> Verifyd:
    """Make one that looks at a small disk."""
    root = disk(folder / "disk")
    return Verifyd(Settings(allow or (OWN,), folder / name, name, folder / "socket"), root)


@pytest.fixture
def path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A served one; gives its socket, by a short name."""
    monkeypatch.chdir(tmp_path)
    served, path = made(tmp_path), Path("s")
    listener = listen(path)
    thread = threading.Thread(target=_serve, args=(served, listener))
    thread.start()
    yield path
    listener.shutdown(socket.SHUT_RDWR)
    thread.join()
    listener.close()


def _serve(served: Verifyd, listener: socket.socket) -> None:
    try:
        served.serve(listener)
    except OSError:
        return


def test_a_question_is_answered_as_by_the_foot(path: Path) -> None:
    """The observer's forced command hands both through; exit codes stay the foot's."""
    assert verifyd.ask("versions", path)[:2] == (0, "")
    assert b'"openssl":"3.0"' in verifyd.ask("versions", path)[2]
    assert verifyd.ask("reboot", path)[0] == 2
    assert verifyd.ask("files gone", path)[0] == 1
    assert verifyd.ask(f"signed {NONCE} reboot", path)[0] == 2
    assert verifyd.ask(f"signed {NONCE[:-1]} versions", path)[0] == 2
    assert verifyd.ask("versions\nposture", path)[0] == 1
    assert verifyd.ask("", path)[0] == 2


@pytest.mark.parametrize("data", [b"", b"x", b"\xff\n", b"x" * (QUESTION + 9), b"\n\n\n"])
def test_arbitrary_bytes_end_one_connection(path: Path, data: bytes) -> None:
    """Whatever is sent, the next observer is answered."""
    with socket.socket(socket.AF_UNIX) as sock:
        sock.connect(str(path))
        try:
            sock.sendall(data)
            sock.shutdown(socket.SHUT_WR)
            assert not sock.recv(100).startswith(b"ok")
        except OSError:
            pass
    assert verifyd.ask("versions", path)[0] == 0


def test_another_user_is_not_answered(tmp_path: Path) -> None:
    """By the kernel's word for who asks."""
    ours, theirs = socket.socketpair(socket.AF_UNIX)
    with ours, theirs:
        ours.sendall(b"versions\n")
        made(tmp_path, str(os.getuid() + 1)).one(theirs)
        theirs.close()
        # What was not read makes the kernel say so, if it was there in time.
        with suppress(ConnectionResetError):
            assert ours.recv(10) == b""


@pytest.fixture
def way(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A way to a host whose verifyd signs; ssh itself is left out."""
    served = made(tmp_path)
    config = tmp_path / "config"
    (tmp_path / "config.vkey").write_text(served.vkey + "\n")
    monkeypatch.setattr(ssh, "_said", lambda _, asked, __: served.answer(asked))
    return config


def test_an_observer_takes_what_verifyd_signed(way: Path) -> None:
    """Versions and posture, over a nonce of its own."""
    assert ssh.versions(way)[0] == {"openssl": "3.0"}
    assert ssh.posture(way).sections["loaded"] == {"nf_tables": "loaded"}


def test_answers_that_are_not_verifyd_s_are_unseen(
    way: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Unsigned, by another key, from before, to another question, changed on the way."""
    served = made(tmp_path)
    other = made(tmp_path / "other", name="web1.foot")
    old = served.answer(f"signed {NONCE} versions")
    answers: dict[str, Callable[[str], bytes]] = {
        "not text, blank line": lambda _: served.answer("versions"),
        "no line of a known key": other.answer,
        "another question": lambda _: old,
        "the line of": lambda asked: served.answer(asked).replace(b"3.0", b"3.1"),
        "another question than": lambda asked: served.answer(asked.replace("versions", "posture")),
    }
    for words, answer in answers.items():
        monkeypatch.setattr(ssh, "_said", lambda _, asked, __, answer=answer: answer(asked))
        with pytest.raises(Unseen, match=words):
            ssh.versions(way)
    (tmp_path / "config.vkey").write_text("no key")
    with pytest.raises(Unseen):
        ssh.versions(way)


def test_settings_are_closed(tmp_path: Path) -> None:
    """A member more or less is an error, and so is a user that is none."""
    file = tmp_path / "verifyd.json"
    good = {"allow": ["root"], "key": "/k", "name": "web1.foot", "socket": "/s"}
    file.write_text(encode(good) + "\n")
    assert read_settings(file).allow == ("root",)
    bads: list[dict[str, object]] = [{**good, "more": 1}, {**good, "allow": "root"}, {"allow": []}]
    for bad in bads:
        file.write_text(encode(bad))
        with pytest.raises(Unseen):
            read_settings(file)
    with pytest.raises(Unseen, match="no user"):
        made(tmp_path, "nobody-of-this-name")


def test_a_key_stays_the_same(tmp_path: Path) -> None:
    """It is made at the first start, for nobody else to read."""
    first = made(tmp_path).vkey
    assert made(tmp_path).vkey == first
    assert (tmp_path / "web1.foot").stat().st_mode & 0o777 == 0o600
