"""Line headers: when, on which host, by which program, and where the text begins.

Understood: RFC 3164 as syslog daemons write it (`Nov  3 09:08:07 host tag: text`, also with one space or a zero before
the day, as postlogd does) and RFC 3339 (`2026-11-23T21:46:00.367461+01:00 host tag: text`).

Exim's own file has neither host nor tag (`read_own_form`): the host is what the settings say, else empty, for nothing
in such a file says it.

A year that is not written is inferred: the latest one with which the time lies at most a day behind the moment of
reading; or, when the first line's year is given, counted on from there. An hour that a clock change repeats has two
candidates; the earlier one is taken and the other kept. A time outside of 1970 to 2199 is none: a broken or hostile
clock must not reach calendars that end at it.
"""

import re
from datetime import UTC, datetime, timedelta
from typing import Final, NamedTuple
from zoneinfo import ZoneInfo

from infra.platform.clock import DAY, SECOND, from_datetime
from schemas.envelope import TimeQuality

_TIME_MIN: Final = 2 * DAY  # in every zone 1970 or later
_TIME_MAX: Final = from_datetime(datetime(2200, 1, 1, tzinfo=UTC))
_OWN_FORM: Final = re.compile(rb"(\d{4}-\d\d-\d\d \d\d:\d\d:\d\d)(\.\d{3})?(?: ([+-]\d{4}))? ")
_MONTHS: Final = {
    name: number
    for number, name in enumerate(
        (b"Jan", b"Feb", b"Mar", b"Apr", b"May", b"Jun", b"Jul", b"Aug", b"Sep", b"Oct", b"Nov", b"Dec"), 1
    )
}


class Moment(NamedTuple):
    """A time stamp: microseconds, how it was known, and the other candidate of a repeated hour."""

    time: int
    quality: TimeQuality
    alternative: int | None


class Stamps:
    """Reads the time stamps of one stream. Deterministic: depends on the lines and `reference_time` only."""

    def __init__(self, zone: ZoneInfo, year: int | None = None) -> None:
        """`zone` for stamps without one; `year` of the stream's first line, where it is known."""
        self.zone = zone
        self.year = year
        self._month = 0
        self._last_prefix = b""
        self._last: tuple[Moment, int] | None = None
        self._last_second = (b"", 0)  # RFC 3339: what stands around the six decimals, and the second's time
        self._own_second: tuple[bytes, bytes | None] = (b"", None)
        self._own_moment = Moment(0, "EXACT", None)

    def read(self, line: bytes, reference_time: int) -> tuple[Moment, int] | None:
        """The stamp at the line's beginning and the index behind the blank that follows it; None = no known header."""
        if line[4:5] == b"-":
            return self._rfc3339(line)
        prefix = line[:16]
        if prefix == self._last_prefix:
            return self._last
        found = self._rfc3164(prefix, reference_time)
        if found is not None:
            self._last_prefix, self._last = prefix, found
        return found

    def read_own_form(self, line: bytes) -> tuple[Moment, int] | None:
        """`2026-11-23 21:49:34[.mmm][ +0100] text`, as Exim writes its own file: no host, no tag. As `read`."""
        found = _OWN_FORM.match(line)
        if found is None:
            return None
        if (found[1], found[3]) != self._own_second:
            try:
                local = datetime.fromisoformat(found[1].decode("ascii"))
                if found[3]:
                    offset = datetime.strptime(found[3].decode("ascii"), "%z").tzinfo
                    self._own_moment = Moment(from_datetime(local.replace(tzinfo=offset)), "EXACT", None)
                else:
                    self._own_moment = self._in_zone(local, "EXACT")
            except (ValueError, OverflowError):
                return None
            self._own_second = (found[1], found[3])
        moment = self._own_moment
        if not _TIME_MIN <= moment.time < _TIME_MAX:
            return None
        if found[2]:
            more = int(found[2][1:]) * 1000
            other = None if moment.alternative is None else moment.alternative + more
            moment = Moment(moment.time + more, moment.quality, other)
        return moment, found.end()

    def state(self) -> list[int | None]:
        """Year and month reached, for a snapshot."""
        return [self.year, self._month]

    def restore(self, state: list[int | None]) -> None:
        """Take over a `state`."""
        self.year, self._month = state[0], state[1] or 0

    def _rfc3339(self, line: bytes) -> tuple[Moment, int] | None:
        end = line.find(b" ", 19, 40)
        if end < 0 or line[10:11] != b"T":
            return None
        decimals = line[20:26]
        around = line[:20] + line[26:end]
        if around == self._last_second[0] and decimals.isdigit():
            return Moment(self._last_second[1] + int(decimals), "EXACT", None), end + 1
        try:
            stamp = datetime.fromisoformat(line[:end].decode("ascii"))
            moment = (
                self._in_zone(stamp, "EXACT") if stamp.tzinfo is None else Moment(from_datetime(stamp), "EXACT", None)
            )
        except (ValueError, OverflowError):
            return None
        if not _TIME_MIN <= moment.time < _TIME_MAX:
            return None
        if stamp.tzinfo is not None and line[19:20] == b"." and len(decimals) == 6 and decimals.isdigit():
            self._last_second = (around, moment.time - int(decimals))
        return moment, end + 1

    def _rfc3164(self, prefix: bytes, reference_time: int) -> tuple[Moment, int] | None:
        """`Mmm dd hh:mm:ss `, the day with a space, a zero or nothing before it."""
        month = _MONTHS.get(prefix[:3])
        if month is None or prefix[3:4] != b" ":
            return None
        rest = prefix[4:]
        start = 0 if rest[1:2].isdigit() or rest[:1] == b" " else -1
        day, clock = rest[: 2 + start], rest[3 + start : 11 + start]
        if rest[2 + start : 3 + start] != b" " or rest[11 + start : 12 + start] != b" ":
            return None
        if clock[2:3] != b":" or clock[5:6] != b":":
            return None
        try:
            numbers = (int(day), int(clock[:2]), int(clock[3:5]), int(clock[6:8]))
            moment = self._with_year(month, numbers, reference_time)
        except ValueError:
            return None
        return moment, 16 + start

    def _with_year(self, month: int, numbers: tuple[int, int, int, int], reference_time: int) -> Moment:
        day, hour, minute, second = numbers
        leap = timedelta(seconds=1) if second == 60 else timedelta(0)
        second = min(second, 59)
        if self.year is not None:
            late = self._turn(month)
            year = self.year + late
            return self._in_zone(datetime(year, month, day, hour, minute, second) + leap, "EXACT")  # noqa: DTZ001
        latest = reference_time + DAY
        reference_year = (datetime(1970, 1, 1, tzinfo=UTC) + timedelta(microseconds=latest)).year
        for year in range(reference_year, reference_year - 9, -1):  # eight years back there is a leap day
            try:
                local = datetime(year, month, day, hour, minute, second) + leap  # noqa: DTZ001
            except ValueError:
                if (month, day) != (2, 29):
                    raise
                continue
            moment = self._in_zone(local, "YEAR_INFERRED")
            if moment.time <= latest:
                return moment
        raise ValueError("no year fits")

    def _turn(self, month: int) -> int:
        """Years to add: a stream goes from December to January, and single late lines back."""
        assert self.year is not None
        if self._month - month > 6:
            self.year += 1
        elif self._month and month - self._month > 6:
            return -1
        self._month = month
        return 0

    def _in_zone(self, local: datetime, quality: TimeQuality) -> Moment:
        first = from_datetime(local.replace(tzinfo=self.zone))
        second = from_datetime(local.replace(tzinfo=self.zone, fold=1))
        if first < second:  # the hour that is repeated; in a skipped hour the order is the other way round
            return Moment(first, "AMBIGUOUS_HOUR", second)
        return Moment(first, quality, None)


def line_time(line: bytes, zone: str, reference_time: int) -> int | None:
    """Time of one line, or of a row of values between commas, microseconds; None when it has no known header."""
    stamps = Stamps(ZoneInfo(zone))
    found = (
        stamps.read(line, reference_time)
        or stamps.read_own_form(line)
        or stamps.read(line.partition(b",")[0] + b" ", reference_time)
    )
    return found[0].time if found else None


def is_of_a_log(time: int) -> bool:
    """Whether a time lies where times of logs may lie: 1970 to 2199."""
    return _TIME_MIN <= time < _TIME_MAX


__all__ = ["SECOND", "Moment", "Stamps", "is_of_a_log", "line_time"]
