"""Founding by the real commands: charter, authorization, enrolment, vetoes; bad input."""

import shutil
import sqlite3
from pathlib import Path

from tests.scripts.town import GUARDS, HOSTS, Town, answerable, ok, program, until

NOTICE = "ab" * 32


def test_quorum_cosigns_the_first_head(town: Town) -> None:
    """Both logs are cosigned by guards that run elsewhere, and the charter says who they are."""
    rows = ok("log", "head", *town.world(), "--output", "json").json()
    assert [(row["log"], row["size"]) for row in rows] == [("authority", 1), ("report", 0)]
    assert all(len(row["guards"]) >= 3 for row in rows)
    shown = ok("charter", "show", town.charter).out
    assert "mode       demo: weaker than `standard`" in shown
    assert all(f"{name} of {name}-team at {town.url[name]}" in shown for name in GUARDS)


def test_authorization_is_signed_logged_and_listed_once(town: Town) -> None:
    """What two people signed is in force; the same record again is refused and changes nothing."""
    note, size = town.authorize(), town.size()
    assert ok("log", "submit", note, "--log", town.log).json()["void"] == []
    until(lambda: town.size() == size + 1, town.said)
    (row,) = ok("authorization", "list", *town.world(), "--output", "json").json()
    assert (row["name"], row["by"], row["state"]) == ("urgent-security", ["dana", "lee"], "logged")
    again = answerable("log", "submit", note, "--log", town.log)
    assert again.code == 3
    assert again.err.startswith("answerable: refused: duplicate:")
    assert town.size() == size + 1


def test_one_signature_is_too_few_and_writes_nothing(town: Town, tmp_path: Path) -> None:
    """An authorization of one person is no record at all."""
    text, note = town.place / "policy.text", tmp_path / "policy.note"
    if not text.exists():
        town.authorize()
    signed = town.sign("authorization", text, "dana")
    more = ["--charter", town.charter, "--out", note]
    done = answerable("authorization", "assemble", text, *signed, *more)
    assert (done.code, done.out) == (3, "")
    assert done.err == "answerable: refused: not_enough_people: 1 of 2 for authorization\n"
    assert not note.exists()


def test_signature_over_other_words_is_refused(town: Town, tmp_path: Path) -> None:
    """Changing one digit after people signed breaks their signatures."""
    note = town.authorize()
    text, changed = town.place / "policy.text", tmp_path / "changed"
    signed = town.sign("authorization", text)
    changed.write_text(text.read_text().replace('"max_hosts":500', '"max_hosts":900'))
    done = answerable("authorization", "assemble", changed, *signed, "--charter", town.charter)
    assert (done.code, done.out) == (3, "")
    assert "bad_signature" in done.err
    assert note.exists()


def test_veto_is_held_by_every_guard_and_reaches_the_log(town: Town) -> None:
    """Lee's veto gets a receipt of each of the four guards, who hand it to the log."""
    size = town.size()
    words = ["--person", "lee", "--key", town.key("lee"), *town.world()]
    done = ok("veto", NOTICE, *words, "--reason", "not today")
    assert sorted(done.json()["receipts"]) == list(GUARDS)
    assert done.err.endswith("4 of 4 guards hold the veto; 3 must\n")
    until(lambda: town.size() == size + 1, town.said)


def test_who_may_not_object_is_refused(town: Town) -> None:
    """Dana objects for no zone: her veto is refused before anybody is asked."""
    size = town.size()
    words = ["--person", "dana", "--key", town.key("dana"), *town.world()]
    done = answerable("veto", NOTICE, *words)
    assert (done.code, done.out) == (3, "")
    assert done.err.endswith("answerable: refused: not_admissible: `dana` objects for no zone\n")
    assert town.size() == size


def test_veto_needs_no_log_and_no_control_plane(town: Town) -> None:
    """With the log server down a veto is held by the guards, and is logged when it comes back."""
    size = town.size()
    town.halt("log")
    words = ["--person", "lee", "--key", town.key("lee"), *town.world()]
    done = ok("veto", "cd" * 32, *words)
    assert sorted(done.json()["receipts"]) == list(GUARDS)
    assert "going on without the log" in done.err
    town.start("log", "log", "serve", town.place / "log")
    until(lambda: town.size() == size + 1, town.said)


def test_too_few_guards_mean_that_the_veto_is_not_done(town: Town) -> None:
    """Two receipts of four are no quorum: the command fails and says so."""
    town.halt("g3")
    town.halt("g4")
    try:
        words = ["--zone", "pci", "--person", "lee", "--key", town.key("lee"), *town.world()]
        done = answerable("halt", *words)
    finally:
        for name in ("g3", "g4"):
            town.start(name, "guard", "run", town.place / name)
    assert done.code == 1
    assert sorted(done.json()["receipts"]) == ["g1", "g2"]
    assert "2 of 4 guards hold the halt; 3 must" in done.err


def test_hosts_are_enrolled_and_believe_it_themselves(town: Town) -> None:
    """Each host checks by the log that people enrolled its key; a second key is another host."""
    town.enrol()
    for host in HOSTS:
        settings = town.place / "host.json"
        settings.write_text(f'{{"log":"{town.log}"}}')
        zone = ["--zone", HOSTS[host], "--charter", town.charter, "--settings", settings]
        ok("host", "record", town.place / host, "--name", host, *zone)
        proof = town.place / "proofs" / f"{host}.json"
        done = program("host", "prove", town.place / host, "--proof", proof)
        assert done.code == 0, done
    other = town.place / "other"
    answerable(
        "host", "record", other, "--name", "web1", "--zone", "web", "--charter", town.charter
    )
    done = answerable("host", "prove", other, "--proof", town.place / "proofs" / "web1.json")
    assert done.code == 1


def test_changed_record_in_the_database_is_named(town: Town, tmp_path: Path) -> None:
    """Somebody edits a record in a log's database: verifying says which record and how."""
    assert ok("log", "verify", town.place / "log").out == ""
    copy = tmp_path / "log"
    shutil.copytree(town.place / "log", copy)
    with sqlite3.connect(copy / "authority.db") as base:
        (entry,) = base.execute("SELECT records FROM entries WHERE id = 1").fetchone()
        base.execute("UPDATE entries SET records = ? WHERE id = 1", (entry.replace(b"1", b"7", 1),))
    done = answerable("log", "verify", copy)
    assert done.code == 1
    assert done.out.startswith("authority\t1\tthe record was changed after it was logged")


def test_export_holds_what_the_log_serves(town: Town, tmp_path: Path) -> None:
    """Both logs are written out as static files with the keys to check them by."""
    for log in ("authority", "report"):
        ok("log", "export", "--log", log, "--dir", town.place / "log", tmp_path / log)
        vkeys = (tmp_path / log / "vkeys").read_text().splitlines()
        assert len(vkeys) == 2 + 2 * len(GUARDS)
        assert (tmp_path / log / "checkpoint").read_text().startswith(f"log.example/{log}\n")
    assert (tmp_path / "authority" / "tile" / "entries").is_dir()
