"""Times that a stamp leaves open, settled by what else a line tells: its queue id, and how long delivery took.

A stamp without year, or in the hour that a clock change repeats, has several meanings. Where the queue id holds the
moment of arrival, the one is taken that agrees with it; where none agrees, the stamp stays as doubtful as it was.
"""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Final

from infra.platform.clock import DAY, MINUTE, SECOND
from producers.sources.header import Moment
from producers.sources.postfix_ids import arrival_of
from schemas.envelope import Mta

SLACK: Final = 5 * SECOND  # a stamp is cut to its second, a delay is rounded, and a line is written a little later
QUEUED_MAX: Final = 60 * DAY  # no message stays in a queue for longer
_QUARTER: Final = 15 * MINUTE  # every zone's distance from UTC is a multiple of it
_ZONES_MAX: Final = 26 * 60 * MINUTE
_ARRIVALS: Final[dict[Mta, Callable[[str], int | None]]] = {"POSTFIX": arrival_of}


def settled(moment: Moment, mta: Mta, queue_id: str, delay_seconds: float | None) -> Moment:
    """`moment` with quality EXACT where the queue id settles it; else as it is.

    `delay_seconds` = how long after the arrival that the queue id tells the line was written; None = not known.
    """
    find = _ARRIVALS.get(mta)
    arrival = find(queue_id) if find is not None and moment.quality != "EXACT" else None
    if arrival is None:
        return moment
    candidates = [moment.time] if moment.alternative is None else [moment.time, moment.alternative]
    if delay_seconds is None:
        return _later(moment, candidates, arrival)
    told = arrival + round(delay_seconds * SECOND)
    for time in candidates:
        if abs(time - told) <= SLACK:
            return Moment(time, "EXACT", None)
    for time in candidates:
        quarters = round((told - time) / _QUARTER) * _QUARTER
        if abs(quarters) <= _ZONES_MAX and abs(time + quarters - told) <= SLACK:
            return Moment(time + quarters, "EXACT", None)  # the zone of the settings is not the log's
        other = _in_year_of(time, told)
        if other is not None and abs(other - told) <= SLACK:
            return Moment(other, "EXACT", None)
    return moment


def _later(moment: Moment, candidates: list[int], arrival: int) -> Moment:
    """Known only: not before the arrival, and not long after it."""
    earliest, latest = arrival - SLACK, arrival + QUEUED_MAX
    fitting = [time for time in candidates if earliest <= time <= latest]
    if not fitting:
        moved = [_in_year_of(time, end) for time in candidates for end in (earliest, latest)]
        fitting = sorted({time for time in moved if time is not None and earliest <= time <= latest})
    return Moment(fitting[0], "EXACT", None) if len(fitting) == 1 else moment


def _in_year_of(time: int, other: int) -> int | None:
    """The same day and hour in another's year, both UTC; None where there is no such day."""
    epoch = datetime(1970, 1, 1, tzinfo=UTC)
    stamp = epoch + timedelta(microseconds=time)
    try:
        moved = stamp.replace(year=(epoch + timedelta(microseconds=other)).year)
    except ValueError:
        return None
    return (moved - epoch) // timedelta(microseconds=1)
