"""Between protobuf and what the rest works with: times, enums, windows. Pure; REQUEST_INVALID for what does not fit."""

from collections.abc import Iterable
from datetime import UTC, datetime
from typing import Any, Final

from google.protobuf.timestamp_pb2 import Timestamp
from liucun.authorization.v1 import scope_pb2

from infra.platform.clock import SECOND, from_datetime
from infra.platform.times import microseconds_of, text_of
from query_service import selectors
from query_service.errors import DeskError
from query_service.selectors import Selector

TIME_MIN: Final = 0  # nothing here is older than 1970 ...
TIME_MAX: Final = from_datetime(datetime(2200, 1, 1, tzinfo=UTC))  # ... or later than this


def invalid(field: str, what: str) -> DeskError:
    """The refusal of a malformed request; `what` never repeats a value."""
    return DeskError("REQUEST_INVALID", f"The field {field} {what}.", field=field)


def microseconds(stamp: Timestamp, field: str) -> int:
    """The moment; fractions of a microsecond are cut off."""
    found = stamp.seconds * SECOND + stamp.nanos // 1000
    if not TIME_MIN < found < TIME_MAX or not 0 <= stamp.nanos < 10**9:
        raise invalid(field, "is missing or no sensible time")
    return found


def timestamp(text_or_microseconds: str | int | None) -> Timestamp | None:
    """The other way; None stays None."""
    if text_or_microseconds is None:
        return None
    value = text_or_microseconds
    moment = value if isinstance(value, int) else microseconds_of(value)
    return Timestamp(seconds=moment // SECOND, nanos=moment % SECOND * 1000)


def window(message: scope_pb2.TimeWindow, field: str) -> tuple[int, int]:
    """(start, end), the end behind the start."""
    begin = microseconds(message.start_time, f"{field}.start_time")
    end = microseconds(message.end_time, f"{field}.end_time")
    if begin >= end:
        raise invalid(field, "ends before it begins")
    return begin, end


def window_document(begin: int, end: int) -> dict[str, str]:
    """For canonical JSON."""
    return {"start_time": text_of(begin), "end_time": text_of(end)}


def window_message(document: dict[str, str] | None) -> scope_pb2.TimeWindow | None:
    """The other way."""
    if document is None:
        return None
    return scope_pb2.TimeWindow(start_time=timestamp(document["start_time"]), end_time=timestamp(document["end_time"]))


def selector(message: scope_pb2.Selector, field: str) -> Selector:
    """In canonical form."""
    kind = name_of(scope_pb2.Selector.Kind, message.kind, "KIND_", f"{field}.kind")
    return selectors.parse(kind, message.value, message.host, field=field)


def selector_message(document: dict[str, Any]) -> scope_pb2.Selector:
    """The other way."""
    return scope_pb2.Selector(kind=f"KIND_{document['kind']}", value=document["value"], host=document["host"])


def field_groups(values: Iterable[int], field: str) -> list[str]:
    """Names, in order, CORE always among them."""
    found = {name_of(scope_pb2.FieldGroup, value, "FIELD_GROUP_", field) for value in values} | {"CORE"}
    return [name for name in ("CORE", "SENDER_SIDE", "RECIPIENT_SIDE", "DIAGNOSTICS") if name in found]


def field_group_values(names: Iterable[str]) -> list[scope_pb2.FieldGroup | str]:
    """The other way."""
    return [f"FIELD_GROUP_{name}" for name in names]


def name_of(enum: Any, value: int, prefix: str, field: str) -> str:
    """The value's name without its prefix; REQUEST_INVALID for unset and unknown ones."""
    if value == 0 or value not in enum.values():
        raise invalid(field, "is not set or not known")
    name: str = enum.Name(value)
    return name.removeprefix(prefix)


def text(value: str, field: str, characters_max: int, *, required: bool = True) -> str:
    """A text of bounded length without control characters."""
    stripped = value.strip()
    if required and not stripped:
        raise invalid(field, "is missing")
    if len(stripped) > characters_max or any(ord(character) < 32 or ord(character) == 127 for character in stripped):
        raise invalid(field, f"is longer than {characters_max} characters or has control characters")
    return stripped
