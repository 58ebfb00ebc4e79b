"""applyd behind an agentd that somebody else owns: whatever that one does, nothing is done."""

import ctypes
import json
import os
import socket
from hashlib import sha256
from pathlib import Path

import pytest

from answerable.host.files import HomeUnavailable
from answerable.host.network import through
from answerable.host.network.client import Call, Client, HttpUnavailable
from answerable.host.network.frames import PIECE
from answerable.host.network.through import Through, alone
from answerable.host.settings import read_settings
from tests.fakes.carrier import Evil, carried, said, split
from tests.host.conftest import Site
from tests.host.test_agent import DONE, MOVED, begun, untouched
from tests.simulator import NEW, Order

FOREVER = 1 << 20


def patched(site: Site, evil: Evil) -> list[tuple[str, str, str]]:
    """Let the host look once through such an agentd."""
    with carried((site.world.url,), evil) as path:
        split(site.place, path)
        return site.outcome()


@pytest.fixture
def order(site: Site) -> Order:
    """An order that the host may do, handed out."""
    made = site.world.sim.permitted()
    site.world.hand_out(made)
    return made


def test_an_order_is_done_through_an_honest_one(site: Site, order: Order) -> None:
    """Log, guards, bundle, artefacts, health and reports go through the socket."""
    with carried((site.world.url, site.world.url.replace("http", "tcp"))) as path:
        split(site.place, path)
        assert site.outcome() == DONE
    assert site.world.said() == DONE


@pytest.mark.parametrize(
    "data",
    [
        b"", b"\0", b"\xff" * 100, b"HTTP/1.1 200 OK\r\n\r\n", b"\x00\x00\x00\x02{}",
        said(200, b""), said(200, b"null"), said(200, b"{}"), said(200, b"x" * 200_000),
        said(206, b"[]"), said(404, b""), said(403, b'{"reason":"duplicate"}'), said(500, b"x"),
        said(200, b"\0" * 64),
    ],
)  # fmt: skip
def test_arbitrary_bytes_do_nothing(site: Site, order: Order, data: bytes) -> None:
    """No frame, no JSON, no note, any status: the host waits, and nothing has begun."""

    def evil(_: Call, sock: socket.socket) -> bool:
        sock.sendall(data)
        return True

    assert {state for _, state, _ in patched(site, evil)} <= {"waiting"}
    assert untouched(site)


@pytest.mark.parametrize("part", ["/fresh", "/bundles/", "/bundle/", "/authority/", "/artefacts/"])
def test_what_is_withheld_does_nothing(site: Site, order: Order, part: str) -> None:
    """Any one kind of answer is enough to stop the host."""

    def evil(call: Call, _: socket.socket) -> bool:
        return part in call.url or (part == "/authority/" and "/mirror/" in call.url)

    assert {state for _, state, _ in patched(site, evil)} <= {"waiting", "refused"}
    assert untouched(site)


def test_replies_of_guards_from_before_are_worth_nothing(site: Site) -> None:
    """The nonce is applyd's own, so what guards said once cannot be said again."""
    kept: dict[str, bytes] = {}
    honest = Client()

    def record(call: Call, sock: socket.socket) -> bool:
        if not call.url.endswith("/fresh"):
            return False
        data = kept.setdefault(call.url, honest.post(call.url, call.body, call.limit))
        sock.sendall(said(200, data))
        return True

    site.world.hand_out(site.world.sim.permitted())
    # The first answers are true; all later ones are the same bytes, to other nonces.
    for _ in range(2):
        assert patched(site, record) == [("up", "waiting", "stale_head")]
        assert untouched(site)


def test_a_veto_cannot_be_held_back(site: Site, order: Order) -> None:
    """An agentd that shows the log as it was before cannot show guards that agree with it."""
    size = len(site.world.entries)
    body = {"notice": order.notice, "artefacts": [], "targets": [], "undo": False,
            "authorization": "", "reason": "no"}  # fmt: skip
    site.world.sim.tell("veto", body, "lee")
    site.world.frozen = size
    rows = patched(site, lambda call, _: "/mirror/" in call.url)
    assert {state for _, state, _ in rows} <= {"waiting", "refused"}
    assert untouched(site)


def handing_out(bundle: bytes) -> Evil:
    """Give an agentd that hands out this bundle and no other."""

    def evil(call: Call, sock: socket.socket) -> bool:
        if "/bundles/" in call.url:
            sock.sendall(said(200, json.dumps([sha256(bundle).hexdigest()]).encode()))
        elif "/bundle/" in call.url:
            sock.sendall(said(200, bundle))
        else:
            return False
        return True

    return evil


@pytest.mark.parametrize("word", ["nginx.service", NEW, "web1", "upgrade", "libssl3", "restart"])
def test_a_forged_order_is_refused(site: Site, order: Order, word: str) -> None:
    """Another unit, version, host, type or package, in a bundle under its own hash."""
    true = site.world.bundles[0]
    forged = true.replace(word.encode(), word[:-1].encode() + b"9", 1)
    assert forged != true
    rows = patched(site, handing_out(forged))
    assert all(state != "succeeded" for _, state, _ in rows)
    assert untouched(site)


@pytest.mark.parametrize("share", range(0, 100, 7))
def test_a_bundle_with_a_wrong_byte_does_what_was_ordered_or_nothing(
    site: Site, order: Order, share: int
) -> None:
    """Evidence may be damaged where there is more of it than is needed; the order may not."""
    data = bytearray(site.world.bundles[0])
    data[len(data) * share // 100] ^= 1
    patched(site, handing_out(bytes(data)))
    assert sorted(site.driver.applied) in ([], MOVED)
    assert site.services.restarted in ([], ["nginx.service"])


def test_swapped_artefacts_are_refused(site: Site, order: Order) -> None:
    """The hash stands in the order."""

    def evil(call: Call, sock: socket.socket) -> bool:
        if "/artefacts/" in call.url:
            sock.sendall(said(200, b"a trojan"))
            return True
        return False

    assert patched(site, evil) == [("up", "refused", "artefact_swapped")]
    assert untouched(site)


def test_a_flood_costs_no_more_than_the_caller_s_limit(site: Site) -> None:
    """Pieces without end are cut at the limit; a piece that says it is huge is not waited for."""
    sent = [0]

    def evil(_: Call, sock: socket.socket) -> bool:
        sock.sendall(said(200, b"")[:-4])
        while sent[0] < 64 * FOREVER:
            sock.sendall(PIECE.to_bytes(4, "big") + bytes(PIECE))
            sent[0] += PIECE
        return True

    with carried((), evil) as path:
        client = Through(path, str(os.getuid()))
        with pytest.raises(HttpUnavailable, match="sends over 1000 bytes"):
            client.get("http://x/", 1000)
        assert sent[0] < 64 * FOREVER


def test_silence_is_cut_when_the_time_is_over(monkeypatch: pytest.MonkeyPatch) -> None:
    """An agentd that holds a connection open holds applyd no longer than the caller says."""
    monkeypatch.setattr(through, "GRACE", 0.1)

    def evil(_: Call, sock: socket.socket) -> bool:
        sock.recv(1)
        return True

    with carried((), evil) as path:
        client = Through(path, str(os.getuid()))
        with pytest.raises(HttpUnavailable):
            client.get("http://x/", 10, seconds=0)


def test_nobody_else_can_stand_in_agentd_s_place(site: Site, order: Order) -> None:
    """A socket that another user listens on is not asked anything."""
    asked: list[str] = []

    def evil(call: Call, _: socket.socket) -> bool:
        asked.append(call.url)
        return False

    with carried((site.world.url,), evil) as path:
        split(site.place, path)
        settings = json.loads((site.place / "settings.json").read_text())
        settings["agentd"]["user"] = str(os.getuid() + 1)
        (site.place / "settings.json").write_text(json.dumps(settings))
        assert site.outcome() == []
    assert asked == []
    assert untouched(site)


def test_a_false_word_on_health_makes_no_more_than_a_false_word(site: Site, order: Order) -> None:
    """It can make a sound change look failed; what is undone then needs an observer too."""

    def evil(call: Call, sock: socket.socket) -> bool:
        if call.url.startswith("tcp:"):
            sock.sendall(said(503, b""))
            return True
        return False

    rows = patched(site, evil)
    assert rows[2:] == [
        ("health", "failed", "health"), ("undo-up", "waiting", "failure_not_corroborated")
    ]  # fmt: skip
    assert len(begun(site)) == 3


def test_settings_of_applyd(tmp_path: Path) -> None:
    """Both members, a user that there is, and services that systemd starts."""
    path = tmp_path / "settings.json"
    good = {"agentd": {"socket": "s", "user": "0"}, "services": {"kind": "systemd"}}
    path.write_text(json.dumps(good))
    assert read_settings(path).agentd == good["agentd"]
    bads: list[dict[str, object]] = [
        {"agentd": {"socket": "s"}}, {"agentd": {"socket": "s", "user": 0}},
        {"services": {"kind": "initd"}}, {"services": {}},
    ]  # fmt: skip
    for bad in bads:
        path.write_text(json.dumps({**good, **bad}))
        with pytest.raises(HomeUnavailable):
            read_settings(path)
    with pytest.raises(HomeUnavailable, match="no user"):
        Through(Path("s"), "nobody-of-this-name")


def test_a_network_that_cannot_be_left_stops_applyd(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What it finds after leaving is what counts."""
    table = tmp_path / "dev"
    table.write_text("Inter-|\n face |\n    lo: 0\n  eth0: 0\n")

    class Kept:
        def unshare(self, _: int) -> int:
            return 0

    monkeypatch.setattr(ctypes, "CDLL", lambda *_, **__: Kept())
    with pytest.raises(HomeUnavailable, match="still there: eth0"):
        alone(table)
