"""From advisories to a notice that people are told of, by the real commands and processes."""

from tests.scripts.town import GUARDS, NEW, OLD, PACKAGE, Town, answerable, ok, until


def test_feed_is_attested_planned_noticed_and_told(town: Town) -> None:
    """Four guards look for themselves, fetch the plan, tell Lee, and all say the same."""
    town.enrol()
    ok("log", "submit", town.authorize(), "--log", town.log)
    control = town.place / "control"
    town.start("control", "serve", control)
    assert ok("inventory", "import", control).out == "pci1 1\nweb1 1\n"
    release = ok("feed", "sync", control, "app").out.strip()
    until(lambda: ok("feed", "status", control).out.startswith(f"app\t{release}"), town.said)
    wish = ["--authorization", "urgent-security", "--clause", "urgent"]
    preview = ok("plan", "make", control, *wish).out
    assert f"{PACKAGE} {OLD}" in preview.replace("  ", " ")
    digest = preview.split()[-1]
    leaf = ok("plan", "apply", control, digest, "--authorization", "urgent-security").out.strip()
    told = [town.place / name / "told" / "lee" / f"notice-{leaf}.txt" for name in GUARDS]
    until(lambda: all(file.exists() for file in told), town.said)
    texts = {file.read_text() for file in told}
    assert len(texts) == 1
    assert f"{PACKAGE} {OLD} to {NEW}" in texts.pop()
    guards = [word for name in GUARDS for word in ("--guard", town.url[name])]
    shown = ok("notice", "show", leaf, *guards)
    assert shown.err == "4 of 4 guards say the same\n"
    assert "Check words" in shown.out
    assert leaf in ok("notice", "list", *guards).out
    _object(town, leaf)


def _object(town: Town, leaf: str) -> None:
    size = town.size()
    who = ["--person", "lee", "--key", town.key("lee"), *town.world()]
    assert ok("notice", "seen", leaf, *who).json()["logged"]
    assert ok("approve", leaf, *who).json()["logged"]
    done = ok("veto", leaf, *who)
    assert len(done.json()["receipts"]) == len(GUARDS)
    assert "is not in the log" not in done.err
    until(lambda: town.size() >= size + 3, town.said)
    assert answerable("approve", "ab" * 32, *who).code == 3
