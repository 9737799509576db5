"""Sixty days, as arithmetic: when a record may no longer be read, and when its day must go. Pure.

a record is unreadable   from event_time + retention_days x 24 h, asked at every read by the application's clock
its day D is DUE         from the start of day D + retention_days + 1 (legal zone), and never before all of it is
                         unreadable: where clocks are put forward meanwhile the 60 days are an hour short, and it waits
its day is OVERDUE       24 h after that
the table's TTL          at the start of day D + retention_days + margin: the backstop
"""

from datetime import date, timedelta
from typing import Final, Literal

from infra.platform.clock import DAY, day_of, start_of_day
from infra.platform.settings import Legal

OVERDUE_AFTER: Final = DAY
DayState = Literal["WITHIN", "DUE", "OVERDUE"]


def readable_since(now: int, legal: Legal) -> int:
    """Records with an event_time up to and including this moment must not be read any more. Microseconds."""
    return now - legal.retention_days * DAY


def due_time(day: date, legal: Legal) -> int:
    """The moment from which a legal day must be dropped. Microseconds."""
    zone = legal.zone_info
    calendar = start_of_day(day + timedelta(days=legal.retention_days + 1), zone)
    last_unreadable = start_of_day(day + timedelta(days=1), zone) + legal.retention_days * DAY
    return max(calendar, last_unreadable)


def state_of(day: date, now: int, legal: Legal) -> DayState:
    """Where a legal day stands."""
    due = due_time(day, legal)
    if now < due:
        return "WITHIN"
    return "DUE" if now < due + OVERDUE_AFTER else "OVERDUE"


def newest_due_day(now: int, legal: Legal) -> date:
    """The newest day that must be gone."""
    day = day_of(now, legal.zone_info) - timedelta(days=legal.retention_days + 1)
    return day if now >= due_time(day, legal) else day - timedelta(days=1)
