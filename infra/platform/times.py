"""Times as text: RFC 3339 UTC with six decimals, the one form in the ledger, in statements and in JSON."""

import re
from datetime import UTC, datetime
from typing import Final

from infra.platform.clock import from_datetime, to_datetime

_FORM: Final = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}Z")


def text_of(microseconds: int) -> str:
    """`2026-11-25T12:00:00.000000Z`."""
    return f"{to_datetime(microseconds):%Y-%m-%dT%H:%M:%S.%fZ}"


def microseconds_of(text: str) -> int:
    """The moment of such a text. ValueError for any other form."""
    if not _FORM.fullmatch(text):
        raise ValueError("not RFC 3339 UTC with six decimals")
    return from_datetime(datetime.fromisoformat(text))


def microseconds_of_person(text: str) -> int:
    """The moment that a person wrote: RFC 3339 with any zone, or a date, or without zone as UTC. ValueError."""
    moment = datetime.fromisoformat(text)
    return from_datetime(moment if moment.tzinfo else moment.replace(tzinfo=UTC))
