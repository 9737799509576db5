"""One record in three forms: the store's row, JSON as envelope.md has it, protobuf. Pure.

The JSON form is what is hashed; protobuf carries the same values, so whoever has a `Record` can make the JSON form of
it (`document_of`) and check the segment's root. Fields that were not granted are in neither.
"""

from collections.abc import Sequence
from functools import cache
from typing import Any, Final

from google.protobuf.timestamp_pb2 import Timestamp
from liucun.lookup.v1 import envelope_pb2, lookup_pb2

from infra.platform.clock import SECOND
from query_service.wire import timestamp
from schemas.envelope import IP_FIELDS, KEY_FIELDS, TIME_FIELDS, time_text
from schemas.field_groups import fields_of

_ENUMS: Final = {
    "time_quality": "TimeQuality", "mta": "Mta", "event": "Event", "kind": "Kind", "direction": "Direction",
    "sender_ip_origin": "SenderIpOrigin", "recipient_ip_origin": "RecipientIpOrigin", "outcome": "Outcome",
}  # fmt: skip


def document_of_row(fields: Sequence[str], row: Sequence[Any]) -> dict[str, Any]:
    """A row of the store, whose times are microseconds and whose keys are bytes, as JSON."""
    out: dict[str, Any] = {}
    for field, value in zip(fields, row, strict=True):
        if value is None:
            out[field] = None
        elif field in TIME_FIELDS:
            out[field] = time_text(value)
        elif field in KEY_FIELDS:
            out[field] = bytes(value).hex()
        elif field in IP_FIELDS:
            out[field] = str(getattr(value, "ipv4_mapped", None) or value)
        elif field == "flags":
            out[field] = list(value)
        else:
            out[field] = value
    return out


def message_of(number: int, document: dict[str, Any], hop: int = 0) -> lookup_pb2.Record:
    """The JSON form as protobuf."""
    envelope = envelope_pb2.Envelope()
    for field, value in document.items():
        if value is None:
            continue
        if field in TIME_FIELDS:
            stamp = timestamp(value)
            assert stamp is not None
            getattr(envelope, field).CopyFrom(stamp)
        elif field in _ENUMS:
            setattr(envelope, field, _values(field)[value])
        elif field == "flags":
            envelope.flags.extend(value)
        else:
            setattr(envelope, field, value)
    return lookup_pb2.Record(record_number=number, envelope=envelope, hop=hop)


def document_of(record: lookup_pb2.Record, groups: Sequence[str]) -> dict[str, Any]:
    """Protobuf as JSON; `groups` says which fields were granted, and so which of the unset ones are null."""
    out: dict[str, Any] = {}
    envelope = record.envelope
    for field in fields_of(list(groups)):
        value = getattr(envelope, field)
        if field == "flags":
            out[field] = list(value)
        elif envelope.DESCRIPTOR.fields_by_name[field].has_presence and not envelope.HasField(field):
            out[field] = None
        elif isinstance(value, Timestamp):
            out[field] = time_text(value.seconds * SECOND + value.nanos // 1000)
        elif field in _ENUMS:
            out[field] = _names(field)[value]
        else:
            out[field] = value
    return out


@cache
def _values(field: str) -> dict[str, int]:
    enum = envelope_pb2.Envelope.DESCRIPTOR.enum_types_by_name[_ENUMS[field]]
    prefix = _prefix(field)
    return {value.name.removeprefix(prefix): value.number for value in enum.values if value.number}


@cache
def _names(field: str) -> dict[int, str]:
    return {number: name for name, number in _values(field).items()}


def _prefix(field: str) -> str:
    return field.upper() + "_"
