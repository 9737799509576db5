"""Two times of one line: the program's own, without a zone, and that of what carried it, in UTC.

The program's time counts; the carrier's settles what it leaves open: the year, which of two repeated hours, and the
zone where it is another than the one that was set. Nothing is moved unless both clocks agree within seconds.
"""

from typing import Final

from infra.platform.clock import HOUR, MINUTE, SECOND
from producers.sources.header import Moment

_QUARTER: Final = 15 * MINUTE  # zones differ by these
_LATE_MAX: Final = 10 * MINUTE  # a line may be carried so late and still be in the zone that was set
_EARLY_MAX: Final = 5 * SECOND
_AGREE_MAX: Final = 5 * SECOND  # in another zone only when both clocks tell the same moment
_ZONES_APART_MAX: Final = 26 * HOUR


def settled(line: bytes, moment: Moment, outer: int) -> Moment:
    """`moment` was read from `line` in the zone that was set, near `outer`. A time with a zone of its own is left."""
    if line[10:11] == b"T":
        return moment
    candidates = [moment.time] if moment.alternative is None else [moment.time, moment.alternative]
    for time in candidates:
        if -_EARLY_MAX <= outer - time <= _LATE_MAX:
            return Moment(time, "EXACT", None)
    late = outer - moment.time
    apart = (late + _QUARTER // 2) // _QUARTER * _QUARTER
    if abs(apart) <= _ZONES_APART_MAX and -SECOND <= late - apart <= _AGREE_MAX:
        return Moment(moment.time + apart, "EXACT", None)
    return moment if moment.alternative is not None else Moment(moment.time, "EXACT", None)
