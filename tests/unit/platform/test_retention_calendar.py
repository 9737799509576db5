"""Which days must go, and when: pure arithmetic, in zones with and without daylight saving time."""

from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from infra.platform.clock import DAY, HOUR, day_of, from_datetime, start_of_day
from infra.platform.retention import due_time, newest_due_day, readable_since, state_of
from infra.platform.settings import Legal

SHANGHAI = Legal()
# Spring and autumn changes in both hemispheres, half hours, changes at midnight, and none.
ZONES = [
    "Asia/Shanghai", "UTC", "America/New_York", "Europe/Berlin", "Australia/Lord_Howe", "Pacific/Auckland",
    "Africa/Cairo", "Asia/Beirut", "America/Havana", "Asia/Kathmandu", "Pacific/Kiritimati",
]  # fmt: skip
DAYS = st.dates(date(2024, 1, 1), date(2030, 12, 31))


def moment(text: str, zone: str = "UTC") -> int:
    """A wall-clock time in a zone, in microseconds."""
    return from_datetime(datetime.fromisoformat(text).replace(tzinfo=ZoneInfo(zone)))


def test_the_day_of_the_law() -> None:
    """24 September, kept through its sixtieth day, is due when 24 November begins in Shanghai: 16:00 UTC the day before."""
    day = date(2026, 9, 24)
    due = moment("2026-11-23T16:00:00")
    assert due_time(day, SHANGHAI) == due
    assert state_of(day, due - 1, SHANGHAI) == "WITHIN"
    assert state_of(day, due, SHANGHAI) == "DUE"
    assert state_of(day, due + DAY - 1, SHANGHAI) == "DUE"
    assert state_of(day, due + DAY, SHANGHAI) == "OVERDUE"
    assert newest_due_day(due, SHANGHAI) == day
    assert newest_due_day(due - 1, SHANGHAI) == day - timedelta(days=1)


def test_other_limits() -> None:
    ninety = Legal(retention_days=90)
    assert due_time(date(2026, 9, 24), ninety) == moment("2026-12-24T00:00:00", "Asia/Shanghai")


def test_sixty_times_twenty_four_hours_at_the_microsecond() -> None:
    now = moment("2026-11-24T12:00:00")
    limit = moment("2026-09-25T12:00:00")
    assert readable_since(now, SHANGHAI) == limit
    assert readable_since(now - 1, SHANGHAI) < limit  # a microsecond earlier the same record can still be read


def test_a_day_waits_for_the_hour_that_was_put_forward() -> None:
    """New York, 8 March 2026: sixty calendar days from 1 February are an hour short of 60 x 24 h."""
    legal = Legal(zone="America/New_York")
    day = date(2026, 2, 1)
    assert due_time(day, legal) == moment("2026-04-03T00:00:00", "America/New_York") + HOUR
    last_of_day = start_of_day(date(2026, 2, 2), legal.zone_info) - 1
    midnight = moment("2026-04-03T00:00:00", "America/New_York")
    assert last_of_day > readable_since(midnight, legal), "at midnight its last record may still be read"
    assert state_of(day, midnight, legal) == "WITHIN"
    assert newest_due_day(midnight, legal) == date(2026, 1, 31)


def test_an_hour_put_back_lets_nothing_go_early() -> None:
    """New York, 1 November 2026: the calendar is an hour longer, and the calendar counts."""
    legal = Legal(zone="America/New_York")
    assert due_time(date(2026, 9, 15), legal) == moment("2026-11-15T00:00:00", "America/New_York")


@pytest.mark.parametrize("zone", ZONES)
@given(day=DAYS)
def test_no_day_goes_while_one_record_of_it_can_be_read(zone: str, day: date) -> None:
    legal = Legal(zone=zone)
    due = due_time(day, legal)
    last_of_day = start_of_day(day + timedelta(days=1), legal.zone_info) - 1
    assert last_of_day <= readable_since(due, legal)
    assert due >= start_of_day(day + timedelta(days=61), legal.zone_info)
    assert due - start_of_day(day + timedelta(days=61), legal.zone_info) <= HOUR, "and it waits no longer than that"


@pytest.mark.parametrize("zone", ZONES)
@given(now=st.integers(moment("2024-06-01T00:00:00"), moment("2030-12-31T00:00:00")))
def test_newest_due_day_is_the_edge(zone: str, now: int) -> None:
    legal = Legal(zone=zone)
    newest = newest_due_day(now, legal)
    assert state_of(newest, now, legal) != "WITHIN"
    assert state_of(newest + timedelta(days=1), now, legal) == "WITHIN"
    assert day_of(now, legal.zone_info) - newest >= timedelta(days=61)


@pytest.mark.parametrize("zone", ZONES)
@given(day=DAYS)
def test_states_come_in_their_order(zone: str, day: date) -> None:
    legal = Legal(zone=zone)
    due = due_time(day, legal)
    states = [state_of(day, due + step, legal) for step in (-DAY, -1, 0, DAY - 1, DAY, 40 * DAY)]
    assert states == ["WITHIN", "WITHIN", "DUE", "DUE", "OVERDUE", "OVERDUE"]


def test_the_backstop_comes_after_the_job_has_had_its_time() -> None:
    """The table's TTL deletes at the start of D+63: at that moment the job was due for two days, in any zone."""
    for zone in ZONES:
        legal = Legal(zone=zone)
        for number in range(366):
            day = date(2026, 1, 1) + timedelta(days=number)
            ttl = start_of_day(day + timedelta(days=legal.retention_days + legal.ttl_margin_days), legal.zone_info)
            assert ttl - due_time(day, legal) >= 2 * DAY - 2 * HOUR


def test_times_are_utc_whatever_the_machine_is_set_to(monkeypatch: pytest.MonkeyPatch) -> None:
    import time

    monkeypatch.setenv("TZ", "America/Havana")
    time.tzset()
    try:
        assert due_time(date(2026, 9, 24), SHANGHAI) == from_datetime(datetime(2026, 11, 23, 16, tzinfo=UTC))
    finally:
        monkeypatch.undo()
        time.tzset()
