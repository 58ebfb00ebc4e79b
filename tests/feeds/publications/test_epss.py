"""FIRST's daily scores; the form is that of the publisher's file, the values are real ones."""

import gzip
from pathlib import Path

import duckdb
import pytest

from answerable.feeds.publication import time_of
from answerable.feeds.publications.epss import LINE, PATH, Epss
from answerable.feeds.source import State, Unusable
from tests.feeds.real import FOLDER, needs_data
from tests.feeds.samples import EPSS, claims, read

HEAD = b"#model_version:v2025.03.14,score_date:2025-06-30T00:00:00+0000\ncve,epss,percentile\n"


def _state(data: bytes, folder: Path) -> State:
    with pytest.raises(Unusable) as failure:
        read(Epss(), data, folder)
    return failure.value.state


def test_scores_keep_their_text_and_the_day_they_were_made(tmp_path: Path) -> None:
    """Score and percentile are what the publisher wrote, said on the day of the model's run."""
    rows, published = read(Epss(), EPSS, tmp_path)
    assert published == time_of("2026-11-20T12:55:00Z")
    assert (claims(rows, "epss"), claims(rows, "epss_percentile")) == (["4.2e-04"], ["1.0"])
    assert {row.said for row in rows} == {published}  # type: ignore[union-attr]


def test_both_ways_to_write_the_day_are_read(tmp_path: Path) -> None:
    """Older files write the day with `+0000`."""
    _, published = read(Epss(), HEAD + b"CVE-2024-0001,0.5,0.5\r\n", tmp_path)
    assert published == time_of("2025-06-30")


@pytest.mark.parametrize(
    "line",
    [b"CVE-2024-0001,1.5,0.5", b"CVE-2024-0001,-0.5,0.5", b"CVE-2024-0001,nan,0.5", b"x,0.5,0.5",
     b"CVE-2024-0001,0.5", b"CVE-2024-0001,0.5,0.5,0.5", b"", b"CVE-2024-0001;0.5;0.5"],
)  # fmt: skip
def test_a_line_of_another_form_makes_it_malformed(line: bytes, tmp_path: Path) -> None:
    """A score outside the scale is not passed over, and neither is a line that is none."""
    assert _state(HEAD + b"CVE-2024-0002,0.1,0.2\n" + line + b"\n", tmp_path) is State.MALFORMED


def test_a_file_without_its_first_lines_is_malformed(tmp_path: Path) -> None:
    """Without day and columns nobody knows what the numbers are."""
    assert _state(HEAD.split(b"\n", 1)[1] + b"CVE-2024-0001,0.5,0.5\n", tmp_path) is (
        State.MALFORMED
    )
    assert _state(HEAD.replace(b"epss,perc", b"perc,epss"), tmp_path) is State.MALFORMED
    assert _state(HEAD, tmp_path) is State.EMPTY
    assert _state(HEAD + b"C" * 2 * LINE, tmp_path) in (State.OVERSIZED, State.TRUNCATED)


def test_it_is_one_document() -> None:
    """Its name is the publisher's."""
    assert [d.path for d in Epss().listing(None, "").documents] == [PATH]


@needs_data
def test_a_day_of_real_scores_comes_back_as_it_was(tmp_path: Path) -> None:
    """Real scores of one day, written in the publisher's form, are read without loss."""
    table = FOLDER.parent / "epss_kev_daily.parquet"
    found = duckdb.execute(
        "SELECT cve, epss, percentile FROM read_parquet($1) WHERE percentile IS NOT NULL "
        "AND date = (SELECT max(date) FROM read_parquet($1)) ORDER BY cve",
        [str(table)],
    ).fetchall()
    lines = [f"{name},{score!r},{rank!r}\n" for name, score, rank in found]
    rows, _ = read(Epss(), gzip.compress(HEAD + "".join(lines).encode()), tmp_path)
    assert len(rows) == 2 * len(found) > 1_900
    assert [float(row.value) for row in rows[::2]] == [score for _, score, _ in found]  # type: ignore[union-attr]
