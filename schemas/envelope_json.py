"""Envelope records to JSON lines, written in one go: the text that `json.dumps` makes of `envelope.json_object`.

tests/unit/test_envelope_forms.py holds the two to the same text.
"""

from functools import lru_cache
from json.encoder import encode_basestring as _quoted
from operator import itemgetter
from typing import Final

from schemas.envelope import FIELDS, Envelope, ip_text, time_text

_FORM: Final = "{" + ",".join(f'"{field}":%s' for field in FIELDS) + "}"
_values = itemgetter(*FIELDS)


@lru_cache(maxsize=1024)
def _time(microseconds: int) -> str:
    return f'"{time_text(microseconds)}"'


@lru_cache(maxsize=4096)
def _ip(address: bytes) -> str:
    return f'"{ip_text(address)}"'


def _text(text: str | None) -> str:
    return "null" if text is None else _quoted(text)


def _number(number: int | None) -> str:
    return "null" if number is None else str(number)


def line(record: Envelope) -> str:
    """One record as a JSON object without blanks, text not escaped beyond need; no line end."""
    (
        record_id, event_time, accept_time, observed_time, time_quality, alternative_event_time, mta, host, instance,
        queue_id, message_key, parent_message_key, parent_queue_id, next_queue_id, message_id, event, kind, direction,
        sender, recipient, original_recipient, sender_logged, recipient_logged, authenticated_user, local_uid,
        sender_ip, sender_port, sender_ip_origin, sender_host, helo, recipient_ip, recipient_port,
        recipient_ip_origin, recipient_host, server_ip, outcome, is_final, attempts, dsn, smtp_code, size_bytes,
        recipient_count, tls, access_protocol, session_id, flags, agent_id, agent_epoch, agent_sequence, source_name,
        source_offset,
    ) = _values(record)  # fmt: skip
    return _FORM % (
        f'"{record_id.hex()}"',
        _time(event_time),
        "null" if accept_time is None else _time(accept_time),
        _time(observed_time),
        _quoted(time_quality),
        "null" if alternative_event_time is None else _time(alternative_event_time),
        _quoted(mta),
        _quoted(host),
        _quoted(instance),
        _quoted(queue_id),
        f'"{message_key.hex()}"',
        "null" if parent_message_key is None else f'"{parent_message_key.hex()}"',
        _text(parent_queue_id),
        _text(next_queue_id),
        _text(message_id),
        _quoted(event),
        _quoted(kind),
        _quoted(direction),
        _text(sender),
        _text(recipient),
        _text(original_recipient),
        _text(sender_logged),
        _text(recipient_logged),
        _text(authenticated_user),
        _number(local_uid),
        "null" if sender_ip is None else _ip(sender_ip),
        _number(sender_port),
        _quoted(sender_ip_origin),
        _text(sender_host),
        _text(helo),
        "null" if recipient_ip is None else _ip(recipient_ip),
        _number(recipient_port),
        _quoted(recipient_ip_origin),
        _text(recipient_host),
        "null" if server_ip is None else _ip(server_ip),
        _quoted(outcome),
        "true" if is_final else "false",
        attempts,
        _text(dsn),
        _number(smtp_code),
        _number(size_bytes),
        _number(recipient_count),
        _text(tls),
        _text(access_protocol),
        _text(session_id),
        f"[{','.join(map(_quoted, flags))}]",
        _quoted(agent_id),
        agent_epoch,
        agent_sequence,
        _quoted(source_name),
        source_offset,
    )
