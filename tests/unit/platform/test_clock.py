"""Clocks and times: exact to the microsecond, days by zone."""

import time
from datetime import UTC, date, datetime, timedelta, timezone
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from infra.platform import clock
from infra.platform.clock import DAY, HOUR, MINUTE, SECOND, MovedClock, SystemClock
from infra.platform.errors import SettingsError

SHANGHAI = ZoneInfo("Asia/Shanghai")
BERLIN = ZoneInfo("Europe/Berlin")
MOMENTS = st.integers(0, 4_000_000_000 * SECOND)


class Fixed:
    """A clock that stands."""

    def now(self) -> int:
        """Always the same."""
        return 1_800_000_000 * SECOND


def test_units() -> None:
    assert (SECOND, MINUTE, HOUR, DAY) == (1_000_000, 60_000_000, 3_600_000_000, 86_400_000_000)


def test_the_system_clock_tells_microseconds() -> None:
    before = time.time_ns() // 1000
    now = SystemClock().now()
    assert before <= now <= time.time_ns() // 1000


def test_a_moved_clock_stands_by_so_much_from_its_base() -> None:
    assert MovedClock(Fixed(), -DAY).now() == Fixed().now() - DAY
    assert MovedClock(MovedClock(Fixed(), HOUR), HOUR).now() == Fixed().now() + 2 * HOUR


def test_the_environment_moves_the_clock(monkeypatch: pytest.MonkeyPatch) -> None:
    for nothing in (None, ""):
        if nothing is None:
            monkeypatch.delenv("LIUCUN_CLOCK_OFFSET_SECONDS", raising=False)
        else:
            monkeypatch.setenv("LIUCUN_CLOCK_OFFSET_SECONDS", nothing)
        assert isinstance(clock.clock_from_environment(), SystemClock)
    monkeypatch.setenv("LIUCUN_CLOCK_OFFSET_SECONDS", "-86400.5")
    moved = clock.clock_from_environment()
    assert isinstance(moved, MovedClock)
    assert moved.by == -DAY - SECOND // 2


@pytest.mark.parametrize("text", ["tomorrow", "nan", "inf", "1e999", "1,5", "0x10"])
def test_an_offset_that_is_no_number_is_one_sentence(monkeypatch: pytest.MonkeyPatch, text: str) -> None:
    monkeypatch.setenv("LIUCUN_CLOCK_OFFSET_SECONDS", text)
    with pytest.raises(SettingsError, match="is not a number"):
        clock.clock_from_environment()


@given(MOMENTS, st.sampled_from([UTC, SHANGHAI, BERLIN]))
def test_a_time_there_and_back_is_the_same_microsecond(moment: int, zone: ZoneInfo) -> None:
    assert clock.from_datetime(clock.to_datetime(moment, zone)) == moment


def test_times_are_exact_where_floats_are_not() -> None:
    moment = datetime(2026, 11, 24, 9, 0, 0, 367_461, tzinfo=UTC)
    assert clock.from_datetime(moment) % SECOND == 367_461
    assert clock.from_datetime(moment.astimezone(timezone(timedelta(hours=5, minutes=45)))) == clock.from_datetime(
        moment
    )
    assert clock.from_datetime(datetime(1969, 12, 31, 23, 59, 59, 999_999, tzinfo=UTC)) == -1


def test_a_time_without_a_zone_is_refused() -> None:
    with pytest.raises(ValueError, match="without a zone"):
        clock.from_datetime(datetime(2026, 11, 24))  # noqa: DTZ001  (that is the point)


def test_a_day_in_shanghai_begins_at_sixteen_utc() -> None:
    start = clock.start_of_day(date(2026, 11, 24), SHANGHAI)
    assert clock.to_datetime(start) == datetime(2026, 11, 23, 16, tzinfo=UTC)
    assert clock.day_of(start, SHANGHAI) == date(2026, 11, 24)
    assert clock.day_of(start - 1, SHANGHAI) == date(2026, 11, 23)
    assert clock.day_of(start, UTC) == date(2026, 11, 23)


def test_days_of_a_clock_change_have_23_and_25_hours() -> None:
    lengths = {
        day: clock.start_of_day(day + timedelta(days=1), BERLIN) - clock.start_of_day(day, BERLIN)
        for day in (date(2026, 3, 29), date(2026, 10, 25), date(2026, 10, 26))
    }
    assert list(lengths.values()) == [23 * HOUR, 25 * HOUR, 24 * HOUR]


@given(MOMENTS, st.sampled_from([UTC, SHANGHAI, BERLIN]))
def test_every_time_lies_in_its_day(moment: int, zone: ZoneInfo) -> None:
    day = clock.day_of(moment, zone)
    assert clock.start_of_day(day, zone) <= moment < clock.start_of_day(day + timedelta(days=1), zone)
