"""Rows of Exchange's message tracking files: columns by name, values between commas (RFC 4180).

A file begins with `#Software:`, `#Version:`, `#Log-type:`, `#Date:` and `#Fields:` (the column names), perhaps behind a
byte order mark. A value that holds a comma, a quote or a line end stands in quotes, so a row may be several lines: a
stranger writes the subject. Which columns there are is told by `#Fields:`; where that is missing, by their number.
"""

import csv
from typing import Final

from producers.text import outside_quotes

BOM: Final = b"\xef\xbb\xbf"
HEADER_BEGINS: Final = (b"#Software: Microsoft Exchange", BOM + b"#Software: Microsoft Exchange")
_FIELDS: Final = "#Fields:"
_2010: Final = [
    *("date-time", "client-ip", "client-hostname", "server-ip", "server-hostname", "source-context", "connector-id"),
    *("source", "event-id", "internal-message-id", "message-id", "recipient-address", "recipient-status"),
    *("total-bytes", "recipient-count", "related-recipient-address", "reference", "message-subject"),
    *("sender-address", "return-path", "message-info", "directionality", "tenant-id", "original-client-ip"),
    *("original-server-ip", "custom-data"),
]
_2013: Final = [*_2010[:11], "network-message-id", *_2010[11:]]
_2016: Final = [*_2013, "transport-traffic-type", "log-id", "schema-version"]
LAYOUTS: Final = {len(columns): tuple(columns) for columns in (_2010, _2013, _2016)}
_NEEDED: Final = frozenset(("date-time", "source", "event-id", "recipient-address"))
# What is read; all else is dropped where it is cut out, the subject and the header's sender among it.
_READ: Final = {
    *("date-time", "client-ip", "client-hostname", "server-ip", "server-hostname", "source-context", "connector-id"),
    *("source", "event-id", "internal-message-id", "message-id", "network-message-id", "recipient-address"),
    *("recipient-status", "total-bytes", "recipient-count", "related-recipient-address", "reference", "return-path"),
    *("directionality", "original-client-ip", "custom-data"),
}


def columns_of(header: bytes) -> tuple[str, ...] | None:
    """The column names of a `#Fields:` line; None for another header line, or where it is no tracking log's."""
    text = header.decode("utf-8", "replace").strip()
    if not text.startswith(_FIELDS):
        return None
    columns = tuple(name.strip() for name in text[len(_FIELDS) :].split(","))
    return columns if _NEEDED.issubset(columns) else ()


def row_of(raw: bytes, columns: tuple[str, ...]) -> dict[str, bytes] | None:
    """A row's values by column, of those that are read; None when it has neither these columns nor known ones.

    `columns` may be empty: no `#Fields:` was seen.
    """
    try:
        rows = list(csv.reader([raw.decode("utf-8", "surrogateescape")], strict=False))
    except csv.Error:
        return None
    if len(rows) != 1:
        return None
    values = rows[0]
    if len(values) != len(columns):
        columns = LAYOUTS.get(len(values), ())
    if len(values) != len(columns):
        return None
    return {
        name: value.encode("utf-8", "surrogateescape")
        for name, value in zip(columns, values, strict=True)
        if name in _READ
    }


def addresses(value: bytes) -> list[bytes]:
    """`a@x;b@x`: the parts. A semicolon in a quoted local part separates nothing."""
    if b'"' not in value:
        return [part for part in value.split(b";") if part]
    parts: list[bytes] = []
    begin = 0
    for index, byte in outside_quotes(value):
        if byte == 0x3B:
            parts.append(value[begin:index])
            begin = index + 1
    parts.append(value[begin:])
    return [part for part in parts if part]
