"""A log whose keys are gone, moved by people: every party a process, every step a real command.

The old log is killed and its keys forgotten. People sign a charter that names a new one, where the
old one ends; guards and log server take it, a host follows by hand, and patches. Who was not told
refuses and says so; a start that is another is refused by everybody.
"""

import json
import subprocess
import sys
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
import yaml

from answerable.demo.ports import free_port
from tests.scripts.town import GUARDS, HOSTS, NEW, OLD, PACKAGE, Town, answerable, ok, until

pytestmark = [pytest.mark.live, pytest.mark.needs("ssh-keygen")]
TOLD = GUARDS[:3]


class MovingTown(Town):
    """A town with a real environment on web1, and wheels that pip can install."""

    def _ground(self) -> None:
        (self.place / "wheels").mkdir()
        old, _ = (_wheel(self.place / "wheels", version) for version in (OLD, NEW))
        for host in HOSTS:
            root = self.root(host)
            subprocess.run([sys.executable, "-m", "venv", str(root)], check=True)
            pip = [str(root / "bin" / "python"), "-m", "pip", "install", "-q", "--no-index"]
            subprocess.run([*pip, "--no-deps", str(old)], check=True)

    def draft(self, name: str, *more: object) -> Path:
        """Let both people sign a second charter, with the new log's card."""
        cards = [self.place / f"{p}.card.json" for p in ("log2", "o1", "o2", "control", *GUARDS)]
        named = [word for card in cards for word in ("--card", card)]
        text, note = self.place / f"{name}.text", self.place / f"{name}.note"
        rules = ["--rules", self.place / "rules.yaml", "--previous", self.charter]
        ok("charter", "draft", *rules, *named, *more, "--out", text)
        ok("charter", "assemble", text, *self.sign("charter", text), "--out", note)
        return note

    def settle(self, party: str, **settings: Any) -> None:  # noqa: ANN401  any setting
        """Change a party's settings, as its operator would with an editor."""
        file = self.place / party / "party.json"
        body = json.loads(file.read_text())
        body["settings"] |= settings
        file.write_text(json.dumps(body))


def _wheel(folder: Path, version: str) -> Path:
    path, info = folder / f"{PACKAGE}-{version}-py3-none-any.whl", f"{PACKAGE}-{version}.dist-info"
    files = {
        f"{PACKAGE}/__init__.py": f"VERSION = {version!r}\n",
        f"{info}/METADATA": f"Metadata-Version: 2.1\nName: {PACKAGE}\nVersion: {version}\n",
        f"{info}/WHEEL": "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
    }
    rows = "".join(f"{name},,{len(text)}\n" for name, text in files.items())
    with zipfile.ZipFile(path, "w") as archive:
        for name, text in {**files, f"{info}/RECORD": f"{rows}{info}/RECORD,,\n"}.items():
            archive.writestr(zipfile.ZipInfo(name), text)
    return path


@pytest.fixture(scope="module")
def town(tmp_path_factory: pytest.TempPathFactory) -> Iterator[MovingTown]:
    """A fleet at work, whose log server has just died and left no keys; web1 has followed it."""
    made = MovingTown(tmp_path_factory.mktemp("moving"))
    made.found()
    try:
        made.start_log_and_guards()
        ok("log", "export", "--log", "authority", "--dir", made.place / "log", made.place / "early")
        made.enrol()
        size = made.size()
        ok("log", "submit", made.authorize(), "--log", made.log)
        until(lambda: made.size() == size + 1, made.said)
        _enter(made)
        _guards_reach(made, size + 1)
        made.running.pop("log").kill()
        (made.place / "log" / "keys").rename(made.place / "gone")
        made.url["log2"] = f"http://127.0.0.1:{free_port()}"
        made._init("log", "log2", {"renewal": 1})
        yield made
    finally:
        made.stop()


def _enter(town: Town) -> None:
    settings = town.place / "web1.json"
    driver = {"kind": "venv", "path": str(town.root("web1"))}
    given = {"log": town.log, "control": town.url["control"], "driver": driver, "poll": 0.2}
    settings.write_text(json.dumps(given))
    place = town.place / "web1"
    words = ["--name", "web1", "--zone", HOSTS["web1"], "--charter", town.charter]
    ok("host", "record", place, *words, "--settings", settings)
    ok("host", "prove", place, "--proof", town.place / "proofs" / "web1.json")


def _guards_reach(town: Town, size: int) -> None:
    """Wait until every guard has the whole log."""

    def all_of_it() -> bool:
        status = httpx.get(f"{town.log}/authority/status").json()
        return all(status["guards"].get(g, {"size": 0})["size"] == size for g in GUARDS)

    until(all_of_it, town.said)


@pytest.fixture(scope="module")
def charter(town: MovingTown) -> Path:
    """The charter that both people signed, where a quorum of the guards says that the log ends."""
    words = [word for g in GUARDS for word in ("--old", town.url[g])]
    return town.draft("charter-2", *words)


def test_too_few_guards_do_not_say_where_a_log_ends(town: MovingTown) -> None:
    """People do not sign a start that only two guards know."""
    words = [word for g in GUARDS[:2] for word in ("--old", town.url[g])]
    cards = ["--card", town.place / "log2.card.json"]
    rules = ["--rules", town.place / "rules.yaml", "--previous", town.charter]
    done = answerable("charter", "draft", *rules, *cards, *words)
    assert done.code == 3
    assert "no_quorum" in done.err


def test_another_start_is_refused_by_everybody(town: MovingTown, charter: Path) -> None:
    """Signed by both people, and still not where the state stands: guard, host and log refuse."""
    assert charter.exists()
    rules = town.place / "rules.yaml"
    kept = rules.read_text()
    rules.write_text(yaml.safe_dump(yaml.safe_load(kept) | {"start": "ab" * 32}))
    forked = town.draft("forked")
    rules.write_text(kept)
    town.halt("g1")
    for words in (
        ("guard", "charter", town.place / "g1", forked),
        ("host", "charter", town.place / "web1", forked),
    ):
        done = answerable(*words)
        assert (done.code, "bad_start" in done.err) == (3, True), done
    (town.place / "log2" / "charter.note").write_bytes(town.charter.read_bytes())
    early = ("log", "charter", town.place / "log2", charter, "--from", town.place / "early")
    done = answerable(*early)
    assert (done.code, "bad_start" in done.err) == (3, True), done
    town.start("g1", "guard", "run", town.place / "g1")


def test_running_guard_is_not_touched(town: MovingTown, charter: Path) -> None:
    """A charter taken behind a running guard's back would be forgotten: it says stop it first."""

    def refused() -> bool:
        done = answerable("guard", "charter", town.place / "g2", charter)
        return done.code == 1 and "stop what runs on it first" in done.err

    until(refused, lambda: answerable("guard", "charter", town.place / "g2", charter))


def test_new_log_goes_on_under_the_guards_that_were_told(town: MovingTown, charter: Path) -> None:
    """Three guards take the charter; the new log carries the records over and is cosigned."""
    until(lambda: _up(town, "g1"), town.said)
    size = int(httpx.get(_mirror(town, "g1")).text.split("\n")[1])
    veto = ["--person", "lee", "--key", town.key("lee"), "--charter", town.charter]
    held = ok("veto", "ab" * 32, *veto, "--log", town.log)
    assert len(held.json()["receipts"]) == len(GUARDS)
    for name in TOLD:
        town.halt(name)
        done = ok("guard", "charter", town.place / name, charter, "--log", town.url["log2"])
        assert f"stands on {size} records" in done.err
        town.start(name, "guard", "run", town.place / name)
    until(lambda: _up(town, "g1"), town.said)
    done = ok("log", "charter", town.place / "log2", charter, "--from", town.url["g1"])
    assert f"goes on from record {size} of `log.example/authority`" in done.err
    town.start("log2", "log", "serve", town.place / "log2")
    town.url["log"] = town.url["log2"]
    # The charter is record `size`; the veto that the guards held while there was no log, the next.
    until(lambda: town.size() == size + 2, town.said)
    (row, _) = ok("log", "head", *town.world(), "--output", "json").json()
    assert (row["origin"], row["guards"]) == ("log2.example/authority", list(TOLD))


def _mirror(town: Town, guard: str) -> str:
    from answerable.witness.mirror import log_name  # noqa: PLC0415

    return f"{town.url[guard]}/mirror/{log_name('log.example/authority')}/checkpoint"


def _up(town: Town, guard: str) -> bool:
    try:
        return httpx.get(_mirror(town, guard)).status_code == 200
    except httpx.HTTPError:
        return False


def test_guard_that_was_not_told_refuses_and_says_why(town: MovingTown) -> None:
    """The log server's status shows what its operator has to do."""
    trouble = httpx.get(f"{town.log}/authority/status").json()["guards"]["g4"]["trouble"]
    assert "answerable guard charter" in trouble


def test_host_that_was_not_told_refuses_and_says_why(town: MovingTown) -> None:
    """It has an order under the new log, whose window is over: it names that log, and waits."""
    _point(town, town.log)
    hosts = town.place / "control" / "hosts.json"
    ok("host", "register", hosts, "--log", town.log)
    _notice(town)
    told = dict[str, str]()

    def refused() -> bool:
        done = answerable("host", "apply", town.place / "web1", "--output", "json")
        found = done.json()
        told.update((row["reason"], row["state"]) for row in found["changes"])
        told["trouble"] = " ".join(found["trouble"])
        assert not found["changes"] or done.code == 3
        return bool(found["changes"])

    until(refused, town.said)
    why = "`log2.example/authority`, not `log.example/authority`; if people moved it, let this host"
    assert f"wrong_origin: {why} take their charter by hand" in told.pop("trouble")
    assert told == {"no_notice": "waiting"}


def _point(town: Town, log: str) -> None:
    file = town.place / "web1" / "settings.json"
    file.write_text(json.dumps(json.loads(file.read_text()) | {"log": log}))


def test_change_is_permitted_afterwards(town: MovingTown, charter: Path) -> None:
    """The host takes the charter from a person's hand, follows the new log, and patches."""
    ok("host", "charter", town.place / "web1", charter)
    rows: list[dict[str, str]] = []

    def patched() -> bool:
        done = answerable("host", "apply", town.place / "web1", "--output", "json")
        rows[:] = done.json()["changes"]
        assert not [row for row in rows if row["state"] == "failed"], rows
        return bool(rows) and all(row["state"] == "succeeded" for row in rows)

    until(patched, lambda: (rows, town.said()))
    asked = f"print(__import__({PACKAGE!r}).VERSION)"
    program = [str(town.root("web1") / "bin" / "python"), "-c", asked]
    shown = subprocess.run(program, capture_output=True, text=True, check=True)
    assert shown.stdout.strip() == NEW


def _notice(town: MovingTown) -> None:
    control = town.place / "control"
    town.settle("control", log=town.log)
    town.start("control", "serve", control)
    ok("inventory", "import", control)
    release = ok("feed", "sync", control, "app").out.strip()
    until(lambda: ok("feed", "status", control).out.startswith(f"app\t{release}"), town.said)
    wish = ["--authorization", "urgent-security", "--clause", "urgent"]
    digest = ok("plan", "make", control, *wish).out.split()[-1]
    ok("plan", "apply", control, digest, "--authorization", "urgent-security")


def test_evidence_reaches_back_over_the_move(town: MovingTown) -> None:
    """An auditor checks the new log alone: it holds the old records and the charter between."""
    evidence = town.place / "evidence"
    words = ["--log", town.log, "--control", town.url["control"]]
    more = ["--hosts", town.place / "control" / "hosts.json"]
    ok("evidence", "collect", evidence, *words, *more,
       "--kept", town.place / "control" / "checkpoints")  # fmt: skip
    done = answerable("verify", evidence)
    assert done.code == 0, done
    assert "web1" in done.out


def test_guard_that_was_away_is_told_later(town: MovingTown, charter: Path) -> None:
    """The fourth guard takes the charter days later, and cosigns what it missed."""
    town.halt("g4")
    ok("guard", "charter", town.place / "g4", charter, "--log", town.log)
    town.start("g4", "guard", "run", town.place / "g4")

    def joined() -> bool:
        (row, _) = ok("log", "head", *town.world(), "--output", "json").json()
        return bool(row["guards"] == list(GUARDS))

    until(joined, town.said)
