"""Envelope records to framed Avro without walking the schema: the same bytes as `avro.encode(avro.ENVELOPE_V1, ...)`.

The schema is released and fixed, so its walk can be written down: each field's bytes in their order, joined once.
tests/unit/test_envelope_forms.py holds this to fastavro's bytes and to its refusals.
"""

from functools import lru_cache
from operator import itemgetter
from typing import Any, Final

from schemas import avro
from schemas.envelope import FIELDS, Envelope
from schemas.varint import varint

_FRAME: Final = b"\x00" + avro.ENVELOPE_V1.to_bytes(4, "big")
_ABSENT: Final = b"\x00"  # the first branch of a union
_PRESENT: Final = b"\x02"  # its second
_FIXED_BYTES: Final = 16
_values = itemgetter(*FIELDS)


_SMALL: Final = [varint(number) for number in range(1024)]
_OPTIONAL_SMALL: Final = [_PRESENT + small for small in _SMALL]
_time = lru_cache(maxsize=1024)(varint)  # many records share their second, and all of a chunk their reading


def _symbols(field: str) -> dict[str, bytes]:
    """The bytes of an enum's symbols."""
    (found,) = (entry["type"] for entry in avro.schema(avro.ENVELOPE_V1).document["fields"] if entry["name"] == field)
    return {symbol: varint(number) for number, symbol in enumerate(found["symbols"])}


_TIME_QUALITY: Final = _symbols("time_quality")
_MTA: Final = _symbols("mta")
_EVENT: Final = _symbols("event")
_KIND: Final = _symbols("kind")
_DIRECTION: Final = _symbols("direction")
_SENDER_IP_ORIGIN: Final = _symbols("sender_ip_origin")
_RECIPIENT_IP_ORIGIN: Final = _symbols("recipient_ip_origin")
_OUTCOME: Final = _symbols("outcome")


def _long(number: int) -> bytes:
    return _SMALL[number] if 0 <= number < 1024 else varint(number)


def _optional_long(number: int | None) -> bytes:
    if number is None:
        return _ABSENT
    return _OPTIONAL_SMALL[number] if 0 <= number < 1024 else _PRESENT + varint(number)


def _text(text: str) -> bytes:
    data = text.encode()
    return _long(len(data)) + data


def _optional_text(text: str | None) -> bytes:
    if text is None:
        return _ABSENT
    data = text.encode()
    size = len(data)
    return (_OPTIONAL_SMALL[size] if size < 1024 else _PRESENT + varint(size)) + data


def _fixed(data: bytes) -> bytes:
    if len(data) != _FIXED_BYTES:
        raise ValueError(f"{len(data)} bytes where {_FIXED_BYTES} must be")
    return data


def _optional_fixed(data: bytes | None) -> bytes:
    return _ABSENT if data is None else _PRESENT + _fixed(data)


@lru_cache(maxsize=256)
def _names(*names: str) -> bytes:
    """Texts that stand in one row and seldom change."""
    return b"".join(map(_text, names))


def _flags(flags: list[str]) -> bytes:
    return _long(len(flags)) + b"".join(map(_text, flags)) + _ABSENT if flags else _ABSENT


def encode(record: Envelope) -> bytes:
    """One record as framed Avro. ValueError, TypeError or KeyError when it does not fit the schema."""
    (
        record_id, event_time, accept_time, observed_time, time_quality, alternative_event_time, mta, host, instance,
        queue_id, message_key, parent_message_key, parent_queue_id, next_queue_id, message_id, event, kind, direction,
        sender, recipient, original_recipient, sender_logged, recipient_logged, authenticated_user, local_uid,
        sender_ip, sender_port, sender_ip_origin, sender_host, helo, recipient_ip, recipient_port,
        recipient_ip_origin, recipient_host, server_ip, outcome, is_final, attempts, dsn, smtp_code, size_bytes,
        recipient_count, tls, access_protocol, session_id, flags, agent_id, agent_epoch, agent_sequence, source_name,
        source_offset,
    ) = _values(record)  # fmt: skip
    parts: tuple[Any, ...] = (
        _FRAME,
        _fixed(record_id),
        _time(event_time),
        _ABSENT if accept_time is None else _PRESENT + _time(accept_time),
        _time(observed_time),
        _TIME_QUALITY[time_quality],
        _optional_long(alternative_event_time),
        _MTA[mta],
        _names(host, instance),
        _text(queue_id),
        _fixed(message_key),
        _optional_fixed(parent_message_key),
        _optional_text(parent_queue_id),
        _optional_text(next_queue_id),
        _optional_text(message_id),
        _EVENT[event],
        _KIND[kind],
        _DIRECTION[direction],
        _optional_text(sender),
        _optional_text(recipient),
        _ABSENT if original_recipient is None else _optional_text(original_recipient),
        _ABSENT if sender_logged is None else _optional_text(sender_logged),
        _ABSENT if recipient_logged is None else _optional_text(recipient_logged),
        _ABSENT if authenticated_user is None else _optional_text(authenticated_user),
        _ABSENT if local_uid is None else _optional_long(local_uid),
        _optional_fixed(sender_ip),
        _optional_long(sender_port),
        _SENDER_IP_ORIGIN[sender_ip_origin],
        _optional_text(sender_host),
        _optional_text(helo),
        _optional_fixed(recipient_ip),
        _optional_long(recipient_port),
        _RECIPIENT_IP_ORIGIN[recipient_ip_origin],
        _optional_text(recipient_host),
        _optional_fixed(server_ip),
        _OUTCOME[outcome],
        b"\x01" if is_final else b"\x00",
        _long(attempts),
        _optional_text(dsn),
        _optional_long(smtp_code),
        _optional_long(size_bytes),
        _optional_long(recipient_count),
        _optional_text(tls),
        _optional_text(access_protocol),
        _optional_text(session_id),
        _flags(flags),
        _names(agent_id),
        _long(agent_epoch),
        _long(agent_sequence),
        _names(source_name),
        _long(source_offset),
    )
    return b"".join(parts)
