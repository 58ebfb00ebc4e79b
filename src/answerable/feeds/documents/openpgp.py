"""OpenPGP signatures of publishers, held to a keyring by `gpgv` and nothing else.

Rules:

1. `gpgv` alone decides, told only a keyring. Its status lines come over a descriptor of their own,
   so nothing in a document can look like one.
2. At least one good signature (not by an expired or revoked key) with SHA-256 or stronger, none
   bad. A signature by a key that the keyring lacks is ignored, since publishers sign with those of
   their successors too.
3. Of a text that is signed inline exactly one counts, and what is read is what gpgv wrote: words
   around the signed text are lost.

A keyring is binary (`gpg --dearmor`), as gpgv reads no other. Left out: weaker hashes, trust
between keys, when a signature was made.
"""

import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from itertools import pairwise
from pathlib import Path
from typing import IO

from answerable.feeds.source import State, Unusable

PATIENCE = 20
"""Longest that gpgv may take, seconds."""
_ARMOUR = b"-----BEGIN"
_STRONG = ("8", "9", "10")  # SHA-256, SHA-384, SHA-512: RFC 9580 section 9.5


def signed_text(data: bytes, keyring: Path, source: str) -> bytes:
    """Give the text of a document that is signed inline.

    Raises:
        Unusable: `forged` or `malformed`; `unreachable` if gpgv or the keyring is missing.
    """
    with _file(data) as given:
        text, status = _gpgv(keyring, source, [given], ["--output", "-"])
    _require_signature(status, source, texts=1)
    return text


def require_detached(data: bytes, signature: bytes, keyring: Path, source: str) -> None:
    """Hold a document to a signature that lies beside it, armoured or not.

    Raises:
        Unusable: as `signed_text`.
    """
    with _file(signature) as sign, _file(data) as given:
        # A text signed inline would be checked instead of the document: it is no such signature.
        _require_signature(_gpgv(keyring, source, [sign, given], [])[1], source, texts=0)


@contextmanager
def _file(data: bytes) -> Iterator[IO[bytes]]:
    with tempfile.TemporaryFile() as file:
        file.write(data)
        file.flush()
        yield file


def _gpgv(
    keyring: Path, source: str, files: Sequence[IO[bytes]], more: Sequence[str]
) -> tuple[bytes, list[list[str]]]:
    tool = shutil.which("gpgv")
    if tool is None or not keyring.is_file():
        missing = "gpgv" if tool is None else str(keyring)
        raise Unusable(State.UNREACHABLE, source, f"`{missing}` is not there; install it")
    with keyring.open("rb") as opened:
        if opened.read(len(_ARMOUR)) == _ARMOUR:
            detail = f"`{keyring}` is text, which gpgv reads none of; use `gpg --dearmor`"
            raise Unusable(State.UNREACHABLE, source, detail)
    with tempfile.TemporaryFile() as status:
        numbers = [status.fileno(), *(file.fileno() for file in files)]
        words = ["--status-fd", str(numbers[0]), "--keyring", str(keyring.resolve()), *more]
        words += [f"/dev/fd/{number}" for number in numbers[1:]]
        try:
            done = subprocess.run(
                [tool, *words],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.DEVNULL,
                pass_fds=numbers,
                env={"LC_ALL": "C", "PATH": os.defpath},
                timeout=PATIENCE,
                check=False,
            )
        except (OSError, subprocess.TimeoutExpired) as error:
            raise Unusable(State.UNREACHABLE, source, f"gpgv did not run: {error}") from error
        status.seek(0)
        lines = status.read().decode(errors="replace").splitlines()
    return done.stdout, [line.split(" ")[1:] for line in lines if line.startswith("[GNUPG:] ")]


def _require_signature(status: list[list[str]], source: str, texts: int) -> None:
    words = [line[0] for line in status if line]
    if {"NODATA", "ERROR"} & set(words) or words.count("PLAINTEXT") != texts:
        what = "one signed text" if texts else "a signature and nothing else"
        raise Unusable(State.MALFORMED, source, f"not {what}; fetch it again")
    if "BADSIG" in words:
        raise Unusable(State.FORGED, source, "a signature does not fit the text")
    for good, valid in pairwise(status):
        strong = valid[:1] == ["VALIDSIG"] and valid[8:9] and valid[8] in _STRONG
        if good[:1] == ["GOODSIG"] and strong:
            return
    raise Unusable(State.FORGED, source, "no good signature by a key of the keyring")
