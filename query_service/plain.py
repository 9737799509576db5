"""Messages as plain JSON, for people's files and for `--json`: this form is stable.

Names are the proto's; times RFC 3339 UTC with six decimals; enum values without their type's prefix; whole numbers are
numbers; bytes are base64; what is not set is null. Reading takes the same form, and full enum names too.
"""

import base64
import binascii
from typing import Any

from google.protobuf.descriptor import FieldDescriptor
from google.protobuf.message import Message
from google.protobuf.timestamp_pb2 import Timestamp

from infra.platform.clock import SECOND
from infra.platform.errors import SettingsError
from infra.platform.times import microseconds_of_person, text_of


def to_plain(message: Message) -> dict[str, Any]:
    """The whole message, unset fields as null or as their zero."""
    out: dict[str, Any] = {}
    for field in message.DESCRIPTOR.fields:
        value = getattr(message, field.name)
        if field.is_repeated:
            out[field.name] = [_plain(field, one) for one in value]
        elif field.message_type is not None and not message.HasField(field.name):
            out[field.name] = None
        else:
            out[field.name] = _plain(field, value)
    return out


def from_plain(document: Any, message: Message, where: str = "") -> None:
    """Fill a message. SettingsError, naming the place, for what does not fit; an unknown name is an error."""
    if not isinstance(document, dict):
        raise _wrong(where or "the file", "is not a JSON object")
    fields = message.DESCRIPTOR.fields_by_name
    for name, value in document.items():
        place = f"{where}.{name}".lstrip(".")
        if name not in fields:
            raise _wrong(place, "is not known")
        if value is not None:
            _fill(message, fields[name], value, place)


def prefix_of(enum: Any) -> str:
    """What all values of an enum begin with: the name of its zero without UNSPECIFIED."""
    zero: str = enum.values_by_number[0].name
    return zero.removesuffix("UNSPECIFIED")


def _plain(field: Any, value: Any) -> Any:
    if isinstance(value, Timestamp):
        return text_of(value.seconds * SECOND + value.nanos // 1000)
    if isinstance(value, Message):
        return to_plain(value)
    if field.enum_type is not None:
        known = field.enum_type.values_by_number.get(value)
        return value if known is None else known.name.removeprefix(prefix_of(field.enum_type))
    return base64.b64encode(value).decode() if isinstance(value, bytes) else value


def _fill(message: Message, field: Any, value: Any, place: str) -> None:
    if not field.is_repeated:
        if field.message_type is not None:
            inner = getattr(message, field.name)
            inner.SetInParent()
            _message(inner, value, place)
        else:
            _set(lambda: setattr(message, field.name, _scalar(field, value, place)), place)
        return
    if not isinstance(value, list):
        raise _wrong(place, "is not a list")
    target = getattr(message, field.name)
    for at, one in enumerate(value):
        if field.message_type is not None:
            _message(target.add(), one, f"{place}[{at}]")
        else:
            found = _scalar(field, one, f"{place}[{at}]")
            _set(lambda found=found: target.append(found), f"{place}[{at}]")


def _message(message: Message, value: Any, place: str) -> None:
    if not isinstance(message, Timestamp):
        from_plain(value, message, place)
        return
    try:
        moment = microseconds_of_person(value)
    except (ValueError, TypeError):
        raise _wrong(place, "is not a time such as 2026-11-25T09:00:00+08:00") from None
    message.seconds, message.nanos = moment // SECOND, moment % SECOND * 1000


def _scalar(field: Any, value: Any, place: str) -> Any:
    if field.enum_type is not None:
        names = field.enum_type.values_by_name
        for name in (value, f"{prefix_of(field.enum_type)}{value}"):
            if name in names:
                return names[name].number
        raise _wrong(place, "is none of the words that it can be")
    if field.type == FieldDescriptor.TYPE_BYTES:
        try:
            return base64.b64decode(value, validate=True)
        except (binascii.Error, ValueError, TypeError):
            raise _wrong(place, "is not base64") from None
    return value


def _set(work: Any, place: str) -> None:
    try:
        work()
    except (TypeError, ValueError):
        raise _wrong(place, "has the wrong type") from None


def _wrong(place: str, what: str) -> SettingsError:
    return SettingsError(f"{place} {what}.", "docs/officer.md has a whole example.")
