"""Bytes of a log to canonical values: text, addresses, IP addresses. Pure; never raises on any bytes."""

import re
from collections.abc import Iterator
from functools import lru_cache
from ipaddress import IPv6Address
from socket import AF_INET, inet_pton
from typing import Final

from producers.events import Address

CACHED_BYTES_MAX: Final = 320  # RFC 5321: 64 octets, @, 255 octets; what is longer is rare, and would fill the cache
IP_BYTES_MAX: Final = 128  # with prefix and zone
_NEEDS_QUOTES: Final = re.compile(r'[\s"(),:;<>@\[\\\]]')
_V4_PREFIX: Final = b"\x00" * 10 + b"\xff\xff"
# What may stand in a local part without quotes: the bytes that _NEEDS_QUOTES does not find.
_PLAIN: Final = bytes(byte for byte in range(0x21, 0x7F) if byte not in b'"(),:;<>@[\\]')


def decode(raw: bytes) -> tuple[str, bool]:
    """UTF-8 text, and whether bytes had to be written as `\\xHH`.

    Reversible: only when there are such bytes, a backslash before `x` is itself written as `\\x5c`.
    """
    try:
        return raw.decode("utf-8"), False
    except UnicodeDecodeError:
        escaped = raw.replace(b"\\x", b"\\x5cx")
        return escaped.decode("utf-8", "backslashreplace"), True


def address(raw: bytes) -> Address:
    """An address without its angle brackets, in external form (RFC 5321, 4.1.2: quoted local part where needed)."""
    return _address(raw) if len(raw) <= CACHED_BYTES_MAX else _read_address(raw)


def _read_address(raw: bytes) -> Address:
    if raw.translate(None, _PLAIN) == b"@":  # one at sign, and nothing that is special anywhere
        return Address(raw.decode("ascii"))
    text, invalid = decode(raw)
    if invalid:  # what stands for its bytes is no address form; it is kept so that the bytes can be had back
        return Address(text, None, ("INVALID_BYTES",))
    local, at, domain = text.rpartition("@")
    if not at:
        local, domain = text, ""
    quoted = len(local) >= 2 and local[0] == local[-1] == '"'
    if not local or quoted or not _NEEDS_QUOTES.search(local):
        return Address(text)
    requoted = '"' + local.replace("\\", "\\\\").replace('"', '\\"') + '"' + at + domain
    return Address(requoted, text, ("ADDRESS_REQUOTED",))


_address: Final = lru_cache(maxsize=65536)(_read_address)


def ip_address(raw: bytes) -> bytes | None:
    """16 bytes of an address in text form (IPv4 mapped; `IPv6:` prefix and zone allowed); None when it is none."""
    return _ip_address(raw) if len(raw) <= IP_BYTES_MAX else None


@lru_cache(maxsize=65536)
def _ip_address(raw: bytes) -> bytes | None:
    try:
        text = raw.decode("ascii").removeprefix("IPv6:").partition("%")[0]
        if ":" in text:
            return IPv6Address(text).packed
        return _V4_PREFIX + inet_pton(AF_INET, text)
    except (ValueError, OSError):
        return None


def bounded(raw: bytes, most: int) -> int | None:
    """A decimal number of at most `most`; None when it is none, or greater: no log that is to be believed has it."""
    if not raw.isdigit() or len(raw) > len(str(most)):
        return None
    number = int(raw)
    return number if number <= most else None


def scan_address(text: bytes, start: int) -> int:
    """Index of the `>` that closes the address which begins at `start`; -1 when none does.

    Honours quoted strings and backslashes (RFC 5321, 4.1.2).
    """
    end = text.find(b">", start)
    if end < 0:
        return -1
    inside = text[start:end]
    if b'"' not in inside and b"\\" not in inside:
        return end
    return next((index for index, byte in outside_quotes(text, start) if byte == 0x3E), -1)


def outside_quotes(text: bytes, start: int = 0) -> Iterator[tuple[int, int]]:
    """(index, byte) of what stands in no quoted string, and behind no backslash (RFC 5321, 4.1.2)."""
    quoted = escaped = False
    for index in range(start, len(text)):
        byte = text[index]
        if escaped:
            escaped = False
        elif byte == 0x5C:
            escaped = True
        elif byte == 0x22:
            quoted = not quoted
        elif not quoted:
            yield index, byte
