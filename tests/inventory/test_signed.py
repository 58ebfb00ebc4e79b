"""Inventories that hosts sign."""

import contextlib
from dataclasses import replace
from hashlib import sha256
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from answerable.host.drivers.apt import AptDriver
from answerable.inventory.dpkg import installed
from answerable.inventory.signed import AHEAD, Told, host_of, open_inventory, packages
from answerable.kernel.canon import encode
from answerable.kernel.errors import Refused
from answerable.keys.sign import sign_note
from tests.feeds.mangle import mangled
from tests.simulator.keys import signer

FLEET, NOW = "ab" * 32, 1_795_305_600
ROWS = [
    ["debian:12", "libssl3", "3.0.15-1", "amd64", "openssl", "", "installed", ["libssl"]],
    ["debian:12", "passwd", "1:4.13-1+b1", "amd64", "shadow", "1:4.13-1", "held", []],
]
LISTED = encode(ROWS)


def posted(listed: str = LISTED, send: str | None = None, who: str = "web1", **said: Any) -> bytes:  # noqa: ANN401
    """Post an inventory as a host does."""
    text = {
        "fleet": FLEET, "host": "web1", "packages": sha256(listed.encode()).hexdigest(),
        "time": NOW, "type": "inventory", "version": 1, **said,
    }  # fmt: skip
    note = sign_note(encode(text) + "\n", signer(who)).decode()
    return encode({"note": note, "packages": listed if send is None else send}).encode()


GOOD = posted()


def opened(data: bytes, listed: str = "", last: int = 0) -> Told:
    """Open as web1's."""
    return open_inventory(data, signer("web1").key, FLEET, (listed, last), NOW)


def test_what_a_host_told_is_read() -> None:
    """Packages with sources and states, under the host's name and time."""
    told = opened(GOOD)
    assert host_of(GOOD) == told.host == "web1"
    assert (told.time, told.listed) == (NOW, LISTED)
    held = told.packages[1]
    assert (held.package, held.state, held.source_version) == ("passwd", "held", "1:4.13-1")
    assert told.packages[0].provides == ("libssl",)


def test_a_list_that_is_known_need_not_come_again() -> None:
    """The note alone says that nothing has changed; another list is asked for."""
    assert opened(posted(send=""), LISTED, NOW - 1).packages == opened(GOOD).packages
    with pytest.raises(Refused, match="unknown_subject"):
        opened(posted(send=""), "[]", NOW - 1)


@pytest.mark.parametrize(
    ("reason", "data"),
    [
        ("bad_signature", posted(who="web2")),
        ("bad_signature", GOOD.replace(b'\\"time\\":1', b'\\"time\\":2')),
        ("wrong_fleet", posted(fleet="cd" * 32)),
        ("malformed", posted(host="web2")),
        ("malformed", posted(send="[]")),
        ("malformed", posted(type="report")),
        ("malformed", posted(version=2)),
        ("too_early", posted(time=NOW + AHEAD + 1)),
        ("malformed", posted(listed=encode(ROWS[::-1]))),
        ("malformed", posted(listed=encode([ROWS[0], ROWS[0]]))),
        ("malformed", posted(listed=encode([[*ROWS[0][:7]]]))),
        ("malformed", posted(listed=encode([["x y\n", *ROWS[0][1:]]]))),
        ("malformed", posted(listed=encode([[*ROWS[0][:2], "1 2", *ROWS[0][3:]]]))),
        ("malformed", posted(listed=encode([[*ROWS[0][:6], "fine", []]]))),
        ("malformed", posted(listed="{}")),
        ("malformed", b"{}"),
    ],
)
def test_what_is_not_the_hosts_own_word_is_refused(reason: str, data: bytes) -> None:
    """Forged, transplanted, swapped, from the future, or nonsense: the host stays unknown."""
    with pytest.raises(Refused) as refused:
        opened(data)
    assert refused.value.reason == reason


def test_an_old_inventory_makes_no_host_look_alive() -> None:
    """Shown again, or held back until something newer was told, it is refused."""
    for last in (NOW, NOW + 1):
        with pytest.raises(Refused, match="duplicate"):
            opened(GOOD, LISTED, last)


@pytest.mark.needs("apt")
def test_a_host_counts_as_we_do(tmp_path: Path) -> None:
    """What this machine tells by dpkg-query is what is read from dpkg's own file."""
    native = {row for row in installed(Path("/"), "debian:12") if row.state != "broken"}
    listed = encode(sorted(map(list, AptDriver(tmp_path, "debian:12").census())))
    told = {replace(row, provides=()) for row in packages(listed) if row.state != "broken"}
    assert told == {replace(row, provides=()) for row in native}


@pytest.mark.fuzz
@given(st.binary(max_size=300) | mangled(GOOD))
def test_any_bytes_are_an_inventory_or_refused(data: bytes) -> None:
    """Untrusted bytes cause `Refused` and nothing else."""
    with contextlib.suppress(Refused):
        host_of(data)
    with contextlib.suppress(Refused):
        assert opened(data).host == "web1"
    with contextlib.suppress(Refused):
        packages(data.decode(errors="replace"))
