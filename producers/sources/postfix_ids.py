"""The moment inside a long Postfix queue id (enable_long_queue_ids): when the message arrived, in UTC.

Six digits of base 52 are seconds, four are microseconds, then `z` and the inode. Written by the server's own clock, it
does not depend on year, zone or daylight saving as a time stamp of syslog does.
"""

from functools import lru_cache
from typing import Final

from infra.platform.clock import SECOND

_DIGITS: Final = "0123456789BCDFGHJKLMNPQRSTVWXYZbcdfghjklmnpqrstvwxyz"
_VALUES: Final = {digit: value for value, digit in enumerate(_DIGITS)}
_LENGTH_MIN: Final = 12
_SECONDS_MIN: Final = 1_300_000_000  # 2011: Postfix 2.9 was the first to write them
_SECONDS_MAX: Final = 7_258_118_400  # 2200


@lru_cache(maxsize=4096)
def arrival_of(queue_id: str) -> int | None:
    """Microseconds since the epoch; None for a short id, or what is none."""
    if len(queue_id) < _LENGTH_MIN or queue_id[10] != "z":
        return None
    seconds, microseconds = _number(queue_id[:6]), _number(queue_id[6:10])
    if seconds is None or microseconds is None:
        return None
    if not _SECONDS_MIN <= seconds < _SECONDS_MAX or microseconds >= SECOND:
        return None
    return seconds * SECOND + microseconds


def _number(text: str) -> int | None:
    number = 0
    for digit in text:
        value = _VALUES.get(digit)
        if value is None:
            return None
        number = number * len(_DIGITS) + value
    return number
