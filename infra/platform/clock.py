"""Time, injected. Code that must know the time takes a `Clock`; tests give it a `MovedClock`.

All times are integers: microseconds since 1970-01-01T00:00:00Z.
"""

import os
import time
from datetime import UTC, date, datetime, timedelta, tzinfo
from typing import Final, Protocol

from infra.platform.errors import SettingsError

SECOND: Final = 1_000_000
MINUTE: Final = 60 * SECOND
HOUR: Final = 60 * MINUTE
DAY: Final = 24 * HOUR
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)


class Clock(Protocol):
    """Tells the wall clock's time."""

    def now(self) -> int:
        """Microseconds since the epoch."""
        ...


class SystemClock:
    """The machine's clock."""

    def now(self) -> int:
        """Microseconds since the epoch."""
        return time.time_ns() // 1000


class MovedClock:
    """A clock that stands `by` microseconds from another one: retention tests, `LIUCUN_CLOCK_OFFSET_SECONDS`."""

    def __init__(self, base: Clock, by: int) -> None:
        self.base = base
        self.by = by

    def now(self) -> int:
        """The other clock's time, moved."""
        return self.base.now() + self.by


def clock_from_environment() -> Clock:
    """The machine's clock; in tests, moved by $LIUCUN_CLOCK_OFFSET_SECONDS. SettingsError when that is no number."""
    offset = os.environ.get("LIUCUN_CLOCK_OFFSET_SECONDS")
    if not offset:
        return SystemClock()
    try:
        return MovedClock(SystemClock(), round(float(offset) * SECOND))
    except (ValueError, OverflowError):
        raise SettingsError("LIUCUN_CLOCK_OFFSET_SECONDS is not a number.", "Unset it; it is for tests only.") from None


def to_datetime(microseconds: int, zone: tzinfo = UTC) -> datetime:
    """An aware datetime, exact to the microsecond."""
    return (_EPOCH + timedelta(microseconds=microseconds)).astimezone(zone)


def from_datetime(moment: datetime) -> int:
    """Microseconds of an aware datetime, exact."""
    if moment.tzinfo is None:
        raise ValueError("a datetime without a zone has no place in time")
    return (moment - _EPOCH) // timedelta(microseconds=1)


def day_of(microseconds: int, zone: tzinfo) -> date:
    """The calendar day in `zone`."""
    return to_datetime(microseconds, zone).date()


def start_of_day(day: date, zone: tzinfo) -> int:
    """The first microsecond of `day` in `zone`."""
    return from_datetime(datetime(day.year, day.month, day.day, tzinfo=zone))
