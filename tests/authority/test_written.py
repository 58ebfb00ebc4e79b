"""People write times as they say them; what cannot be meant is named, not guessed."""

from datetime import UTC, date, datetime

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from answerable.authority.written import NotWritten, duration, moment

UNITS = {"": 1, "s": 1, "m": 60, "h": 3_600, "d": 86_400}


@given(st.integers(0, 999_999_999), st.sampled_from(sorted(UNITS)))
def test_a_duration_is_its_number_of_seconds(number: int, unit: str) -> None:
    """Every duration that can be written is read, as an integer of seconds."""
    assert duration(f"{number}{unit}") == number * UNITS[unit]


@given(st.integers(0, 999_999_999))
def test_a_bare_number_is_seconds(number: int) -> None:
    """YAML's own integers are read as they stand."""
    assert duration(number) == duration(str(number)) == number


@given(st.text(max_size=12).filter(lambda text: not text[:1].isdigit()))
def test_what_is_no_duration_is_named(text: str) -> None:
    """No text that does not begin with a digit is a duration, and the message says what is one."""
    with pytest.raises(NotWritten, match="no duration such as"):
        duration(text)


@pytest.mark.parametrize("odd", [-1, 1.5, None, True, "15 m", "15min", "1h30m", "15M", "\u0661m\n"])
def test_what_might_be_meant_is_not_guessed(odd: object) -> None:
    """A window that nobody meant is not drafted from a misspelt one."""
    with pytest.raises(NotWritten):
        duration(odd)


@given(st.dates(min_value=date(1970, 1, 1)))
def test_a_date_is_its_first_second_in_utc(day: date) -> None:
    """A review date means the same on every machine, wherever it stands."""
    start = int(datetime(day.year, day.month, day.day, tzinfo=UTC).timestamp())
    assert moment(day) == moment(yaml.safe_load(day.isoformat())) == start
    assert start % 86_400 == 0


@given(st.datetimes(min_value=datetime(1970, 1, 2), timezones=st.timezones()))  # noqa: DTZ001
def test_a_time_with_its_zone_is_that_moment(at: datetime) -> None:
    """A moment is the same however its zone is written."""
    assert moment(at) == moment(at.astimezone(UTC)) == int(at.timestamp())


@given(st.datetimes(min_value=datetime(1970, 1, 1)))  # noqa: DTZ001
def test_a_time_without_a_zone_is_utc(at: datetime) -> None:
    """The machine on which a charter is drafted does not move its times."""
    assert moment(at) == int(at.replace(tzinfo=UTC).timestamp())


@given(st.integers(0, 1 << 52))
def test_seconds_are_read_as_they_stand(second: int) -> None:
    """POSIX seconds are a moment."""
    assert moment(second) == second


@pytest.mark.parametrize("odd", [-1, True, 1.5, None, "2027-03-01", "tomorrow", [2027]])
def test_what_is_no_moment_is_named(odd: object) -> None:
    """A review date that was quoted, or is none, stops the draft."""
    with pytest.raises(NotWritten, match="no date and no POSIX second"):
        moment(odd)
