"""record_id and message_key: names that do not depend on who reads the log, when, or from where.

Specified with test vectors in docs/spec/record-format.md.
"""

from hashlib import sha256
from typing import Final

KEY_BYTES: Final = 16
_ABSENT: Final = b"\xff\xff\xff\xff"


def record_id(host: str, instance: str, event: str, line: bytes, recipient: str | None, n: int) -> bytes:
    """First 16 bytes of SHA-256 over (host, instance, event, deciding line, recipient, n).

    `line` = the raw line without line end and transport wrapper; `n` = how many byte-identical lines came before it
    in its stream within its timestamp second.
    """
    return _digest(host, instance, event, line, recipient, n)


def message_key(host: str, instance: str, queue_id: str, line: bytes, n: int) -> bytes:
    """First 16 bytes of SHA-256 over (host, instance, queue id, the line that opened the message, n)."""
    return _digest(host, instance, queue_id, line, n)


def _digest(*parts: str | bytes | int | None) -> bytes:
    """Each part stands behind its length (4 bytes, big-endian; ff ff ff ff = absent); a number is 4 bytes itself."""
    out = []
    for part in parts:
        if part is None:
            out.append(_ABSENT)
            continue
        data = part.to_bytes(4, "big") if isinstance(part, int) else part.encode() if isinstance(part, str) else part
        out.append(len(data).to_bytes(4, "big"))
        out.append(data)
    return sha256(b"".join(out)).digest()[:KEY_BYTES]
