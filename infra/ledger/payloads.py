"""The journal of payloads: each encrypted under a key of its own, so that destroying that key destroys it.

A file holds 256 records, those of the entry bundle with its number. A record:

    version 01 | state `K` kept or `E` erased | length of the body (4) | request id (16) | CRC-32 (4) | body
    body = payload key, wrapped by RFC 3394 (40) || AES-256-GCM(payload key, nonce of 12 zeros, salt (32) || payload)

Numbers are big-endian. The CRC-32 is over the record without it. What GCM also authenticates: "liucun-payload-v1" 00 ||
index (8) || request id. In an erased record the request id and the body are zeros of the same length.
"""

import os
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from struct import Struct
from typing import Final

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.keywrap import InvalidUnwrap, aes_key_unwrap, aes_key_wrap

from infra.ledger.errors import LedgerDamagedError
from infra.proof.leaf import SALT_BYTES

FOLDER: Final = "payloads"
PER_FILE: Final = 256
PAYLOAD_BYTES_MAX: Final = 60_000
REQUEST_ID_BYTES: Final = 16
KEPT: Final = ord("K")
ERASED: Final = ord("E")
HEAD: Final = Struct(">BBI16s4s")
_VERSION: Final = 1
SECRET_BYTES: Final = SALT_BYTES + 32
_WRAPPED_BYTES: Final = 40
_TAG_BYTES: Final = 16
# The key is used once, so a fixed nonce is never used twice under it.
_NONCE: Final = bytes(12)
BODY_BYTES_MIN: Final = _WRAPPED_BYTES + SALT_BYTES + _TAG_BYTES
_DOMAIN: Final = b"liucun-payload-v1\x00"


class PayloadError(ValueError):
    """A record is not what was written."""


@dataclass(frozen=True, slots=True)
class Record:
    """A record, found in a file but not opened; `data` is all of it."""

    offset: int
    data: bytes

    @property
    def erased(self) -> bool:
        """Whether its payload was destroyed."""
        return self.data[1] == ERASED

    @property
    def request_id(self) -> bytes:
        """Whose append it was."""
        return self.data[6 : 6 + REQUEST_ID_BYTES]

    def check(self) -> None:
        """PayloadError unless it is whole, as far as that can be seen without a key."""
        if self.data[22:26] != _crc(self.data):
            raise PayloadError("a payload's checksum does not fit")
        if self.erased and (any(self.request_id) or any(self.data[HEAD.size :])):
            raise PayloadError("an erased payload is still there")


def seal(wrapping_key: bytes, index: int, request_id: bytes, secret: bytes, payload: bytes) -> bytes:
    """A record. `secret`: 32 random bytes of salt and 32 of key, which are used here and are nowhere else."""
    salt, key = secret[:SALT_BYTES], secret[SALT_BYTES:]
    body = aes_key_wrap(wrapping_key, key) + AESGCM(key).encrypt(_NONCE, salt + payload, _bound(index, request_id))
    return _record(KEPT, request_id, body)


def unseal(wrapping_key: bytes, index: int, record: Record) -> tuple[bytes, bytes]:
    """Salt and payload of a kept record. PayloadError when it was changed, or stood at another index."""
    record.check()
    body = record.data[HEAD.size :]
    try:
        key = aes_key_unwrap(wrapping_key, body[:_WRAPPED_BYTES])
        plain = AESGCM(key).decrypt(_NONCE, body[_WRAPPED_BYTES:], _bound(index, record.request_id))
    except (InvalidUnwrap, InvalidTag, ValueError):
        raise PayloadError("a payload does not open with the ledger's key") from None
    return plain[:SALT_BYTES], plain[SALT_BYTES:]


def blank(record: Record) -> bytes:
    """What is written over a record to erase it."""
    return _record(ERASED, bytes(REQUEST_ID_BYTES), bytes(len(record.data) - HEAD.size))


def walk(data: bytes) -> Iterator[Record]:
    """The records of a file, until one is not whole. Only lengths and states are looked at, not contents."""
    at = 0
    while at + HEAD.size <= len(data):
        version, state, length, _, _ = HEAD.unpack_from(data, at)
        end = at + HEAD.size + length
        if version != _VERSION or state not in (KEPT, ERASED) or length < BODY_BYTES_MIN or end > len(data):
            return
        yield Record(at, data[at:end])
        at = end


def read(path: Path) -> list[Record]:
    """The records of one file. LedgerDamagedError when it cannot be read."""
    try:
        return list(walk(path.read_bytes()))
    except OSError as error:
        raise LedgerDamagedError(
            f"The payloads in {path} cannot be read ({error.strerror}).", "Restore the ledger from its backup."
        ) from None


def erase(path: Path, record: Record) -> None:
    """Write over a record in its place, durably. May be repeated. OSError."""
    descriptor = os.open(path, os.O_WRONLY)
    try:
        os.pwrite(descriptor, blank(record), record.offset)
        os.fdatasync(descriptor)
    finally:
        os.close(descriptor)


def _record(state: int, request_id: bytes, body: bytes) -> bytes:
    data = HEAD.pack(_VERSION, state, len(body), request_id, bytes(4)) + body
    return data[:22] + _crc(data) + data[26:]


def _crc(data: bytes) -> bytes:
    return zlib.crc32(data[26:], zlib.crc32(data[:22])).to_bytes(4, "big")


def _bound(index: int, request_id: bytes) -> bytes:
    return _DOMAIN + index.to_bytes(8, "big") + request_id
