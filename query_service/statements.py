"""Signed statements as they come in: recent, and about the right thing. What they say is checked where it is known."""

from typing import Any, Final

from infra.platform.clock import DAY, MINUTE
from infra.platform.times import microseconds_of
from query_service.errors import DeskError

AGE_MAX: Final = DAY  # an approval may be signed offline and handed in the same day
AHEAD_MAX: Final = 5 * MINUTE


def fresh(statement: dict[str, Any], now: int) -> None:
    """APPROVAL_INVALID for one signed long ago, or in the future."""
    try:
        signed = microseconds_of(statement.get("time", ""))
    except ValueError:
        raise DeskError("APPROVAL_INVALID") from None
    if not now - AGE_MAX <= signed <= now + AHEAD_MAX:
        raise DeskError("APPROVAL_INVALID")
