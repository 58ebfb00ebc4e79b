"""Pictures: every host has its place, and no text in them does anything."""

from xml.etree import ElementTree as ET

import pytest
from hypothesis import given
from hypothesis import strategies as st

from answerable.exposure.charts import ROWS, Box, Picture, Text, heat_map, ranking, svg
from answerable.exposure.png import png
from answerable.exposure.rank import Ranked, rank
from tests.exposure.test_plain import HOSTILE
from tests.exposure.test_rank import CVE, GRAVE, context, exposure, said

SVG = "{http://www.w3.org/2000/svg}"


def rows(count: int = 3, host: str = "web") -> list[Ranked]:
    """Give exposures of as many hosts."""
    flaws = {CVE: said(**GRAVE, exploited="yes")}
    return rank([exposure(f"{host}{n}") for n in range(count)], context(flaws))


def _words(picture: Picture) -> list[str]:
    return [shape.text for shape in picture.shapes if isinstance(shape, Text)]


def test_every_host_has_a_row() -> None:
    """A host without exposures is shown, and one of which nothing is known is shown as such."""
    words = _words(heat_map(rows(), ["web0", "web1", "web2", "calm"], ["lost"]))
    assert {"web0", "web1", "web2", "calm", "lost"} <= set(words)
    assert words.count("nothing is known") == 1


def test_a_large_fleet_is_shown_by_zone() -> None:
    """Rows stay few, and hosts of which nothing is known are counted."""
    picture = heat_map(rows(ROWS + 1), [f"web{n}" for n in range(ROWS + 1)], ["lost"])
    words = _words(picture)
    assert "web" in words
    assert any("of 1 hosts nothing is known" in word for word in words)
    assert str(ROWS + 1) in words


def test_a_bar_is_the_sum_of_its_parts() -> None:
    """Parts stand one after the other, none on another."""
    picture = ranking(rows(1), "rules alone")
    bars = [s for s in picture.shapes if isinstance(s, Box) and s.title]
    ends = [bar.x + bar.width for bar in bars]
    assert [bar.x for bar in bars][1:] == ends[:-1]
    assert "rules alone" in _words(picture)


@pytest.mark.parametrize("text", [*HOSTILE.values(), "<script>x</script>", "]]>&\"'"])
def test_hostile_text_is_text(text: str) -> None:
    """No element comes from a feed; the picture is whole XML with boxes and texts only."""
    for picture in (heat_map(rows(2, text), [], [text]), ranking(rows(2, text), text)):
        root = ET.fromstring(svg(picture))  # noqa: S314  our own output
        assert {e.tag for e in root.iter()} <= {
            f"{SVG}{name}" for name in ("svg", "title", "rect", "text")
        }
        keys = {key for element in root.iter() for key in element.attrib}
        assert not [key for key in keys if "href" in key or key.startswith("on")]


@given(st.text())
def test_any_text_gives_whole_xml(text: str) -> None:
    """Also characters that XML cannot hold."""
    picture = Picture(9, 9, text, (Text(1, 1, text), Box(0, 0, 1, 1, "#000000", text)))
    ET.fromstring(svg(picture))  # noqa: S314  our own output


def test_the_same_rows_give_the_same_picture() -> None:
    """A picture can be compared."""
    assert svg(heat_map(rows(), [], [])) == svg(heat_map(rows(), [], []))
    assert svg(ranking(rows(), "x")) == svg(ranking(rows(), "x"))


def test_nothing_exposed_is_a_picture() -> None:
    """An empty fleet is drawn, not an error."""
    ET.fromstring(svg(heat_map([], [], [])))  # noqa: S314  our own output
    ET.fromstring(svg(ranking([], "rules alone")))  # noqa: S314  our own output


def test_a_picture_is_painted() -> None:
    """PNG has the size of the picture, twice as fine."""
    pytest.importorskip("PIL", reason="Pillow is absent")
    picture = heat_map(rows(), ["web0"], ["lost"])
    data = png(picture)
    assert data.startswith(b"\x89PNG\r\n\x1a\n")
    assert int.from_bytes(data[16:20]) == 2 * picture.width
