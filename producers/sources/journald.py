"""Entries of the systemd journal: from JSON, from the export format, and as one line of syslog.

An entry has no header; its fields are written as `TIME HOST IDENTIFIER[PID]: MESSAGE`, the time in UTC with six
decimals, the host `-` where the entry names none. Both forms of an entry give the same line, so its records have the
same names whichever way it came. The time is the program's own (SYSLOG_TIMESTAMP) where it says another second than
the journal.
"""

import re
from collections.abc import Mapping
from typing import Any, Final, NamedTuple

from infra.platform.clock import SECOND, to_datetime
from producers.events import Ignored, NotUnderstood
from producers.sources.header import Moment, Stamps, is_of_a_log
from producers.sources.settle import settled

ENTRY_BEGINS: Final = b"__CURSOR="
ENTRY_BYTES_MAX: Final = 1024**2
NUL: Final = b"-"  # what stands where nothing is known, as in RFC 5424
_WORD: Final = re.compile(rb"[^\s:]+(?::[^\s:]+)*\Z")  # a host or a program's name: no blank, no colon at its end
_NUMBER: Final = re.compile(rb"\d{1,19}\Z")
# A container's entry: its MESSAGE is a line of the program inside.
_CONTAINER: Final = b"CONTAINER_ID"


class Entry(NamedTuple):
    """What of an entry matters. `inner`: the message is a line with a header of its own. `time` is the journal's."""

    line: bytes
    time: int
    moment: Moment
    inner: bool
    partial: bool


def fields_of(entry: Mapping[str, Any]) -> dict[bytes, bytes | None]:
    """The fields of an entry in JSON. A value is text, a list of byte numbers, null (too long), or a list of those."""
    return {name.encode("utf-8", "surrogatepass"): _value(value) for name, value in entry.items()}


def _value(value: Any) -> bytes | None:
    if isinstance(value, list) and value and not isinstance(value[0], int):
        value = value[0]  # a field that stands several times
    if isinstance(value, str):
        return value.encode("utf-8", "surrogatepass")
    if isinstance(value, list) and all(isinstance(byte, int) and 0 <= byte < 256 for byte in value):
        return bytes(value)
    return None


def entry_of(fields: Mapping[bytes, bytes | None], stamps: Stamps) -> Entry | Ignored | NotUnderstood:
    """The entry's line. `stamps` reads SYSLOG_TIMESTAMP, in the stream's zone."""
    message = fields.get(b"MESSAGE")
    if message is None:
        return NotUnderstood("journald-field-left-out") if b"MESSAGE" in fields else Ignored("journald-no-message")
    time = _time(fields)
    if time is None:
        return NotUnderstood("no-time")
    moment = _moment(fields, time, stamps)
    if _CONTAINER in fields:
        partial = fields.get(b"CONTAINER_PARTIAL_MESSAGE") == b"true"
        return Entry(message, time, moment, inner=True, partial=partial)
    tag = fields.get(b"SYSLOG_IDENTIFIER") or fields.get(b"_COMM") or b""
    host = fields.get(b"_HOSTNAME") or NUL
    if not _WORD.match(tag) or not _WORD.match(host):
        return NotUnderstood("no-tag")
    pid = fields.get(b"SYSLOG_PID") or fields.get(b"_PID")
    if pid and _NUMBER.match(pid):
        tag = b"%s[%s]" % (tag, pid)
    # A message of several lines stays one line, written as syslog daemons do; no line of it can pass for another's.
    message = message.rstrip(b"\n").replace(b"\n", b"#012")
    line = b"%s %s %s: %s" % (stamp(moment.time), host, tag, message)
    return Entry(line, time, moment, inner=False, partial=False)


def stamp(time: int) -> bytes:
    """RFC 3339, UTC, six decimals."""
    return f"{to_datetime(time):%Y-%m-%dT%H:%M:%S.%f}Z".encode("ascii")


def _time(fields: Mapping[bytes, bytes | None]) -> int | None:
    for name in (b"_SOURCE_REALTIME_TIMESTAMP", b"__REALTIME_TIMESTAMP"):
        value = fields.get(name)
        if value is not None and _NUMBER.match(value) and is_of_a_log(int(value)):
            return int(value)
    return None


def _moment(fields: Mapping[bytes, bytes | None], time: int, stamps: Stamps) -> Moment:
    """The program's own time; within its second the journal's is the finer one."""
    own = fields.get(b"SYSLOG_TIMESTAMP")
    found = stamps.read(own.rstrip() + b" ", time) if own else None
    if own is None or found is None:
        return Moment(time, "EXACT", None)
    moment = settled(own, found[0], time)
    return Moment(time, "EXACT", None) if 0 <= time - moment.time < SECOND else moment


class NoEntryError(ValueError):
    """The bytes are no whole entry; `go_on` = where the next one may begin, -1 when nobody knows."""

    def __init__(self, go_on: int) -> None:
        super().__init__("no entry of the journal")
        self.go_on = go_on


def parse_export(data: bytes, start: int) -> tuple[dict[bytes, bytes | None], int] | None:
    """The fields of the entry that begins at `start` and the index behind it; None while it is not whole.

    NoEntryError when it breaks off. Of a field that stands twice the first counts, as in JSON.
    """
    fields: dict[bytes, bytes | None] = {}
    at = start
    while (end := data.find(b"\n", at)) >= 0:
        if end == at:
            return fields, end + 1
        if fields and data.startswith(ENTRY_BEGINS, at):
            raise NoEntryError(at)
        name, mark, value = data[at:end].partition(b"=")
        if mark:
            at = end + 1
        else:
            begin = end + 9
            if len(data) < begin:
                return None
            size = int.from_bytes(data[end + 1 : begin], "little")
            if size > ENTRY_BYTES_MAX:
                raise NoEntryError(-1)
            at = begin + size + 1
            if len(data) < at:
                return None
            if data[at - 1] != 0x0A:
                raise NoEntryError(-1)
            value = data[begin : at - 1]
        fields.setdefault(name, value)
    return None
