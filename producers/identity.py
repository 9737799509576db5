"""record_id and message_key: names that do not depend on who reads the log, when, or from where.

Specified with test vectors in docs/spec/record-format.md. What is hashed is a row of parts, each behind its length (4
bytes, big-endian; ff ff ff ff = absent); a number is a part of 4 bytes.
"""

from functools import lru_cache
from hashlib import sha256
from typing import Final

KEY_BYTES: Final = 16
_ABSENT: Final = b"\xff\xff\xff\xff"
_NUMBER: Final = b"\x00\x00\x00\x04"
_FIRST: Final = _NUMBER + b"\x00\x00\x00\x00"


def record_id(host: str, instance: str, event: str, line: bytes, recipient: str | None, n: int) -> bytes:
    """First 16 bytes of SHA-256 over (host, instance, event, deciding line, recipient, n).

    `line` = the raw line without line end and transport wrapper; `n` = how many byte-identical lines came before it
    in its stream within its timestamp second.
    """
    recipient_part = _ABSENT if recipient is None else _part(recipient.encode())
    parts = (_head(host, instance, event), len(line).to_bytes(4, "big"), line, recipient_part, _number(n))
    return sha256(b"".join(parts)).digest()[:KEY_BYTES]


def message_key(host: str, instance: str, queue_id: str, line: bytes, n: int) -> bytes:
    """First 16 bytes of SHA-256 over (host, instance, queue id, the line that opened the message, n)."""
    parts = (_head(host, instance), _part(queue_id.encode()), len(line).to_bytes(4, "big"), line, _number(n))
    return sha256(b"".join(parts)).digest()[:KEY_BYTES]


@lru_cache(maxsize=64)
def _head(*names: str) -> bytes:
    """The parts that seldom change."""
    return b"".join(_part(name.encode()) for name in names)


def _part(data: bytes) -> bytes:
    return len(data).to_bytes(4, "big") + data


def _number(number: int) -> bytes:
    return _NUMBER + number.to_bytes(4, "big") if number else _FIRST
