"""What a ranking may count of a world: what two channels say, as of a time."""

from pathlib import Path

from answerable.exposure.beliefs import believed, listings
from answerable.exposure.rank import Context, Said, rank
from answerable.feeds.rows import Row
from answerable.feeds.world import World, Worlds
from tests.exposure.models import MODEL, WORST
from tests.exposure.test_rank import exposure
from tests.feeds.worlds import NOON, claim, document, given

CVE = "CVE-2026-0001"


def world(home: Path, *rows: Row, now: int = NOON + 60) -> World:
    """Make a world of one document."""
    return Worlds(home).build(given(document("d", rows)), now)


def test_two_channels_agree_and_one_alone_waits(tmp_path: Path) -> None:
    """A listing in the catalogue and in the CVE record counts; in one of them alone it waits."""
    both = world(
        tmp_path,
        claim("kev", CVE, "exploited", "yes"),
        claim("vulnrichment", CVE, "exploited", "yes"),
        claim("kev", "CVE-2026-0002", "exploited", "yes"),
    )
    flaws = believed(both.folder, None, NOON + 60)
    context = Context(NOON, flaws=flaws)
    agreed = context.believed(CVE, "exploited")
    assert agreed is not None
    assert (agreed.value, agreed.channels) == ("yes", ("kev", "vulnrichment"))
    assert context.believed("CVE-2026-0002", "exploited") is None
    assert [name for name, _ in context.waiting("CVE-2026-0002")] == ["exploited"]


def test_a_higher_score_of_one_channel_waits(tmp_path: Path) -> None:
    """The score that two reach counts, the higher one is shown."""
    mild = "CVSS:3.1/AV:L/AC:H/PR:H/UI:R/S:U/C:L/I:N/A:N"
    made = world(
        tmp_path,
        claim("nvd", CVE, "cvss", WORST),
        claim("vulnrichment", CVE, "cvss", mild),
    )
    said = believed(made.folder, [CVE], NOON + 60)[CVE]["cvss"]
    assert (said.value, said.more) == (mild, WORST)


def test_a_single_publisher_is_enough_where_there_is_but_one(tmp_path: Path) -> None:
    """EPSS has one publisher; its forecast counts with its channel beside it."""
    made = world(tmp_path, claim("epss", CVE, "epss", "0.5"),
                 claim("vulnrichment", CVE, "ssvc_automatable", "no"))  # fmt: skip
    context = Context(NOON, flaws=believed(made.folder, None, NOON + 60))
    assert context.believed(CVE, "epss") == Said("0.5", "single", ("epss",), NOON)
    assert context.believed(CVE, "ssvc_automatable") is not None


def test_what_came_later_is_not_known(tmp_path: Path) -> None:
    """A decision can be replayed on what was known then."""
    made = world(tmp_path, claim("epss", CVE, "epss", "0.5"))
    assert believed(made.folder, None, NOON - 1) == {}


def test_five_hundred_forged_flaws_of_one_feed_rank_nothing(tmp_path: Path) -> None:
    """From documents to the list: the ranking is the same to the last bit."""
    honest = [
        row
        for n in range(20)
        for row in (
            claim("nvd", f"CVE-2026-{n:04}", "cvss", WORST),
            claim("vulnrichment", f"CVE-2026-{n:04}", "ssvc_technical_impact", "total"),
            claim("epss", f"CVE-2026-{n:04}", "epss", f"0.{n:02}"),
        )
    ]
    forged = [
        row
        for n in range(500)
        for row in (
            claim("kev", f"CVE-2026-{n:04}", "exploited", "yes"),
            claim("kev", f"CVE-2026-{n:04}", "kev_added", str(NOON)),
            claim("kev", f"CVE-2026-{n:04}", "kev_ransomware", "yes"),
        )
    ]
    rows = [exposure(f"h{n}", cves=(f"CVE-2026-{n:04}",)) for n in range(20)]
    ranked = []
    for home, said in (("clean", honest), ("dirty", [*honest, *forged])):
        made = world(tmp_path / home, *said)
        flaws = believed(made.folder, None, NOON + 60)
        known = listings(made.folder, NOON + 60)
        ranked.append(rank(rows, Context(NOON, flaws=flaws, listed=True, model=MODEL,
                                         listings=known)))  # fmt: skip
    assert ranked[0] == ranked[1]


def test_agreed_listings_are_counted_for_the_model(tmp_path: Path) -> None:
    """A vendor's earlier listings are known if two channels say so."""
    rows = [
        row
        for cve, channels in (
            ("CVE-2025-1000", ("kev", "vulnrichment")),
            ("CVE-2025-1001", ("kev",)),
        )
        for row in (
            *(claim(channel, cve, "exploited", "yes") for channel in channels),
            *(claim(channel, cve, "kev_added", "1000") for channel in channels),
            claim("vulnrichment", cve, "vendor", "Acme"),
        )
    ]
    known = listings(world(tmp_path, *rows).folder, NOON + 60)
    assert known.before(2_000, "v", "acme") == 1
    assert known.before(1_000, "v", "acme") == 0
