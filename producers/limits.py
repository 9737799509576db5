"""How long a text field of a record may be; beyond it a prefix is kept and the record flagged TRUNCATED.

A log line may be 64 KiB and a byte of it four characters (`\\xHH`), so without limits a record could pass 1 MiB. They
are far above what is legal in mail (RFC 5321, 4.5.3.1: a path of 256 octets, a domain of 255) and what mail systems log
(Postfix cuts a line at 2,000 characters). Written down in docs/spec/record-format.md; a test compares.
"""

from operator import itemgetter
from typing import Any, Final, cast

from schemas.envelope import Envelope

BYTES_MAX: Final[dict[str, int]] = {
    "host": 255,
    "instance": 128,
    "queue_id": 128,
    "parent_queue_id": 128,
    "next_queue_id": 128,
    "message_id": 2048,
    "sender": 2048,
    "recipient": 2048,
    "original_recipient": 2048,
    "sender_logged": 2048,
    "recipient_logged": 2048,
    "authenticated_user": 1024,
    "sender_host": 512,
    "helo": 512,
    "recipient_host": 512,
    "dsn": 32,
    "tls": 256,
    "access_protocol": 32,
    "session_id": 128,
}
_CHARACTERS: Final = tuple(most // 4 for most in BYTES_MAX.values())  # a character has up to four bytes
_texts: Final = itemgetter(*BYTES_MAX)


def bounded_texts(record: Envelope) -> Envelope:
    """The record, its texts cut where they are too long, between characters; ids were made of the whole texts."""
    for text, characters in zip(_texts(record), _CHARACTERS, strict=True):
        if text and len(text) > characters:
            return _cut(record)
    return record


def _cut(record: Envelope) -> Envelope:
    fields = cast(dict[str, Any], record)
    for name, most in BYTES_MAX.items():
        text = fields[name]
        if text is not None:
            data = text.encode("utf-8", "surrogatepass")
            if len(data) > most:
                fields[name] = data[:most].decode("utf-8", "ignore")
                if "TRUNCATED" not in record["flags"]:
                    record["flags"].append("TRUNCATED")
    return record
