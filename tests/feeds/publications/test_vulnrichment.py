"""CVE records with CISA's container."""

import json
from copy import deepcopy
from pathlib import Path

import pytest

from answerable.feeds.publication import time_of
from answerable.feeds.publications.vulnrichment import Vulnrichment
from answerable.feeds.source import State, Unusable
from tests.feeds.documents.test_unpacked import tarred, zipped
from tests.feeds.samples import RECORD, VECTOR, VULNRICHMENT, claims, read

ADAPTER = Vulnrichment()


def test_ssvc_is_said_when_it_was_decided(tmp_path: Path) -> None:
    """The three decision points carry the decision's own time, not the record's."""
    rows, published = read(ADAPTER, VULNRICHMENT, tmp_path)
    assert published == time_of("2024-02-11")
    points = ("ssvc_exploitation", "ssvc_automatable", "ssvc_technical_impact")
    assert [claims(rows, point) for point in points] == [["active"], ["yes"], ["total"]]
    said = {r.said for r in rows if getattr(r, "field", "") in points}  # type: ignore[union-attr]
    assert said == {time_of("2024-02-08")}


def test_the_exploited_flag_comes_by_this_channel_as_well(tmp_path: Path) -> None:
    """It is the second way by which a flaw is known to be exploited."""
    rows, _ = read(ADAPTER, VULNRICHMENT, tmp_path)
    assert claims(rows, "exploited") == ["yes"]
    assert claims(rows, "kev_added") == [str(time_of("2024-02-09"))]
    assert claims(rows, "cvss") == [VECTOR]
    assert claims(rows, "cna") == ["Acme"]


def test_nobody_else_s_container_is_read(tmp_path: Path) -> None:
    """Another party's container cannot call an exploited flaw harmless."""
    rows, _ = read(ADAPTER, VULNRICHMENT, tmp_path)
    assert "none" not in claims(rows, "ssvc_exploitation")
    record = deepcopy(RECORD)
    del record["containers"]["adp"][0]
    rows, _ = read(ADAPTER, json.dumps(record).encode(), tmp_path)
    assert claims(rows, "ssvc_exploitation") == []


def test_a_rejected_record_says_that_and_nothing_else(tmp_path: Path) -> None:
    """What was said of it does not stand any more."""
    record = deepcopy(RECORD)
    record["cveMetadata"]["state"] = "REJECTED"
    rows, _ = read(ADAPTER, json.dumps(record).encode(), tmp_path)
    assert [(r.field, r.value) for r in rows] == [("rejected", "yes")]  # type: ignore[union-attr]


def test_the_archive_of_the_repository_is_read(tmp_path: Path) -> None:
    """Records lie in folders by year and number; other files of a repository are not records."""
    files = {"v-develop/2024/0xxx/CVE-2024-0001.json": VULNRICHMENT, "v-develop/README.md": b"#",
             "v-develop/.github/config.json": b"{}"}  # fmt: skip
    single, _ = read(ADAPTER, VULNRICHMENT, tmp_path)
    assert read(ADAPTER, zipped(files), tmp_path)[0] == single
    assert read(ADAPTER, tarred(files), tmp_path)[0] == single


@pytest.mark.parametrize("where", ["cveMetadata", "containers"])
def test_a_record_of_another_form_is_named(where: str, tmp_path: Path) -> None:
    """One bad record makes the archive malformed, and the message says which."""
    record = {name: value for name, value in RECORD.items() if name != where}
    files = {"2024/CVE-2024-0001.json": json.dumps(record).encode()}
    with pytest.raises(Unusable, match="CVE-2024-0001") as failure:
        read(ADAPTER, zipped(files), tmp_path)
    assert failure.value.state is State.MALFORMED
