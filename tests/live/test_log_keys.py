"""New keys for the same log, by the real commands: a charter through the log, then the keys."""

import json
import shutil
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from tests.scripts.town import GUARDS, Town, answerable, ok, program, until

pytestmark = [pytest.mark.live, pytest.mark.needs("ssh-keygen")]


@pytest.fixture(scope="module")
def town(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Town]:
    """A log server and its guards, of which the fourth is down."""
    made = Town(tmp_path_factory.mktemp("keys"))
    made.found()
    try:
        made.start_log_and_guards()
        made.halt("g4")
        yield made
    finally:
        made.stop()


@pytest.fixture(scope="module")
def charter(town: Town) -> Path:
    """A second charter that names new keys of the same log, signed by both people."""
    new = town.place / "newkeys"
    words = ["--name", "log.example", "--operator", "log-team", "--url", town.log]
    card = ok("init", "log", new, *words, "--listen", "127.0.0.1:1").out
    (town.place / "newkeys.card.json").write_text(card)
    parties = ("newkeys", "o1", "o2", "control", *GUARDS)
    cards = [w for p in parties for w in ("--card", town.place / f"{p}.card.json")]
    text, note = town.place / "charter-2.text", town.place / "charter-2.note"
    rules = ["--rules", town.place / "rules.yaml", "--previous", town.charter]
    ok("charter", "draft", *rules, *cards, "--out", text)
    ok("charter", "assemble", text, *town.sign("charter", text), "--out", note)
    return note


def test_charter_is_not_taken_by_hand_while_its_log_lives(town: Town, charter: Path) -> None:
    """Taken too early it would split a guard from its log: it belongs into the log."""
    done = answerable("guard", "charter", town.place / "g4", charter)
    assert done.code == 3
    assert "answerable log submit" in done.err


def test_keys_follow_the_charter_and_the_log_goes_on(town: Town, charter: Path) -> None:
    """Under its old keys until a quorum has the charter; then the heads are signed anew."""
    early = answerable("log", "charter", town.place / "log", charter)
    assert (early.code, "other keys" in early.err) == (2, True)
    ok("log", "submit", charter, "--log", town.log)
    until(lambda: town.size() == 2, town.said)
    town.halt("log")
    shutil.rmtree(town.place / "log" / "keys")
    shutil.copytree(town.place / "newkeys" / "keys", town.place / "log" / "keys")
    refused = program("log", "serve", town.place / "log")
    assert refused.code == 1
    assert "answerable log charter" in refused.err
    done = ok("log", "charter", town.place / "log", charter)
    assert done.err.count("bears the new keys") == 2
    assert "already" in ok("log", "charter", town.place / "log", charter).err
    town.start("log", "log", "serve", town.place / "log")
    veto = ["--person", "lee", "--key", town.key("lee"), *town.world()]
    ok("veto", "ab" * 32, *veto)
    until(lambda: town.size() == 3, town.said)
    assert ok("log", "verify", town.place / "log").out == ""


def test_guard_that_was_down_takes_the_charter_from_the_log(town: Town, charter: Path) -> None:
    """It knows the old keys alone and refuses the new heads; a quorum's word brings it on."""
    town.start("g4", "guard", "run", town.place / "g4")

    def trouble() -> str:
        status = httpx.get(f"{town.log}/authority/status").json()
        return str(status["guards"].get("g4", {}).get("trouble", ""))

    until(lambda: "bad_signature" in trouble(), town.said)
    town.halt("g4")
    done = ok("guard", "charter", town.place / "g4", charter, "--from", town.log)
    assert "charter 2 is in force" in done.err
    town.start("g4", "guard", "run", town.place / "g4")

    def joined() -> bool:
        (row, _) = ok("log", "head", *town.world(), "--output", "json").json()
        return bool(row["guards"] == list(GUARDS))

    until(joined, town.said)
    assert json.loads(ok("charter", "show", charter, "--output", "json").out)["body"]["number"] == 2


def test_lost_disk_is_filled_from_the_guards(town: Town, charter: Path) -> None:
    """With its keys a log server goes on from the guard that has most; nothing is lost."""
    size = town.size()
    town.halt("log")
    for file in (town.place / "log").glob("*.db*"):
        file.unlink()
    given = [word for g in GUARDS for word in ("--from", town.url[g])]
    ok("log", "charter", town.place / "log", charter, *given)
    town.start("log", "log", "serve", town.place / "log")
    veto = ["--person", "lee", "--key", town.key("lee"), *town.world()]
    ok("veto", "cd" * 32, *veto)
    until(lambda: town.size() == size + 1, town.said)
