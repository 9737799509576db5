"""Lines inside of something: what carried a line is taken off, and the line is read like any other.

| begins with | is | the line inside |
|---|---|---|
| `<22>1 ` | RFC 5424 | `TIME HOST APP[PROCID]: MSG` of its fields |
| `<22>Nov 23 ...` | a datagram as /dev/log gets it | what follows; without a host, `-` is put in |
| `{"log":` | docker's json-file | `log`; parts are joined up to a line end |
| `{... "MESSAGE":` | `journalctl -o json` | see `journald` |
| `__CURSOR=` | `journalctl -o export`, many lines an entry | see `journald` |
| `TIME stdout F ` | a Kubernetes container log (CRI) | what follows; parts (`P`) are joined |
| `TIME Nov 23 ...` | `docker logs -t` | what follows |
| `mail-1  \\| ` | the console of docker compose, with or without colours | what follows |

What counts is how a line itself begins, so forms may follow one another in one file. Parts that wait for their rest are
state, and come out of `state` as plain JSON values. Only lines that have no header of their own get here.
"""

import json
import re
from collections.abc import Iterator
from typing import Any, Final, NamedTuple
from zoneinfo import ZoneInfo

from producers.events import Ignored, NotUnderstood
from producers.sources import journald
from producers.sources.header import Moment, Stamps
from producers.sources.journald import NUL, Entry
from producers.sources.settle import settled

LINE_BYTES_MAX: Final = 64 * 1024
_DEPTH_MAX: Final = 3  # compose around docker's time around a line
_PRIORITY: Final = re.compile(rb"<(\d{1,3})>(1 )?")
_COLOUR: Final = rb"(?:\x1b\[[0-9;]*m)*"
_CONSOLE: Final = re.compile(_COLOUR + rb"[A-Za-z0-9][A-Za-z0-9_.-]{0,127} *\|" + _COLOUR + rb" ?" + _COLOUR)
_CRI: Final = re.compile(rb"(std(?:out|err)) ([FP])(?::[A-Za-z0-9:]*)?(?: |\Z)")
_TAG: Final = re.compile(rb"[A-Za-z][^\s:\[]{0,80}(?:\[\d{1,10}\])?: ")
_WORDS: Final = re.compile(rb"[\x21-\x7e]{1,255}\Z")
_BOM: Final = b"\xef\xbb\xbf"
_STREAMS: Final = ("stdout", "stderr")


class Opened(NamedTuple):
    """A line as it is without what carried it, its time, and where its host begins."""

    line: bytes
    moment: Moment
    at: int


Found = Opened | Ignored | NotUnderstood
NO_HEADER: Final = NotUnderstood("no-header")
_PART: Final = Ignored("part-of-a-line")
_TOO_LONG: Final = NotUnderstood("line-too-long")


class Unwrapper:
    """Opens the lines of one stream. Deterministic: depends on the lines and `reference_time` only."""

    def __init__(self, zone: ZoneInfo, stamps: Stamps) -> None:
        """`stamps` reads the stream's own headers; lines in a carrier that knows the time need no year of it."""
        self._stamps = stamps
        self._zone = zone
        self._parts: dict[str, tuple[bytes | None, int]] = {}  # text so far (None: too long), time of its first part
        self._entry = b""  # the beginning of an entry in export format

    def state(self) -> dict[str, Any]:
        """What the next line depends on."""
        return {
            "parts": {
                name: [None if text is None else text.decode("latin-1"), time]
                for name, (text, time) in self._parts.items()
            },
            "entry": self._entry.decode("latin-1"),
        }

    def restore(self, state: dict[str, Any]) -> None:
        """Take over a `state`."""
        self._parts = {
            name: (None if text is None else text.encode("latin-1"), time)
            for name, (text, time) in state["parts"].items()
        }
        self._entry = state["entry"].encode("latin-1")

    def is_export(self, chunk: bytes) -> bool:
        """Whether a chunk is not made of lines but of the journal's export format, begun or entered in its middle."""
        return bool(self._entry) or chunk.startswith(journald.ENTRY_BEGINS) or b"\n\n__CURSOR=" in chunk

    def entries(self, chunk: bytes, offset: int) -> Iterator[tuple[Found, int]]:
        """The entries that are whole now, each with the offset of its first byte."""
        data = self._entry + chunk
        offset -= len(self._entry)
        self._entry = b""
        at = 0
        while at < len(data):
            if data[at] == 0x0A:
                at += 1
                continue
            begin = at
            go_on = -1
            if data.startswith(journald.ENTRY_BEGINS, at):
                try:
                    whole = journald.parse_export(data, at)
                except journald.NoEntryError as error:
                    go_on = error.go_on
                else:
                    if whole is not None:
                        at = whole[1]
                        yield self._journal(journald.entry_of(whole[0], Stamps(self._zone))), offset + begin
                        continue
                    if len(data) - at <= journald.ENTRY_BYTES_MAX:
                        self._entry = data[at:]
                        return
            if go_on < 0:
                go_on = data.find(b"\n\n__CURSOR=", at)
            at = go_on if go_on >= 0 else len(data)
            yield NotUnderstood("journald-export"), offset + begin

    def open(self, raw: bytes, reference_time: int, outer: int | None = None, depth: int = 0) -> Found:
        """What is inside of a line. `outer` = the time of what carried it so far."""
        if depth > _DEPTH_MAX:
            return NO_HEADER
        first = raw[:1]
        if first == b"<":
            return self._priority(raw, reference_time, outer, depth)
        if first == b"{":
            return self._json(raw, reference_time, depth)
        if raw[4:5] == b"-" and (found := self._read(raw, reference_time)) is not None:
            return self._timed(raw, found[0].time, found[1], reference_time, depth)
        if (console := _CONSOLE.match(raw)) is not None:
            return self._line(raw[console.end() :], reference_time, outer, depth)
        if outer is not None and _TAG.match(raw):  # a program that leaves the time to what carries its lines
            line = b"%s %s %s" % (journald.stamp(outer), NUL, raw)
            return Opened(line, Moment(outer, "EXACT", None), line.find(b" ") + 1)
        return NO_HEADER

    def _read(self, line: bytes, near: int) -> tuple[Moment, int] | None:
        """The stamp of a line that was written near a time. Nothing is remembered: `near` may be of any year."""
        return Stamps(self._zone).read(line, near)

    def _line(self, inner: bytes, reference_time: int, outer: int | None, depth: int) -> Found:
        """A line that came out of a carrier: with a header of its own, or in another carrier."""
        found = self._stamps.read(inner, reference_time) if outer is None else self._read(inner, outer)
        if found is None or _CRI.match(inner, found[1]) or self._stamped_twice(inner, found[1], reference_time):
            return self.open(inner, reference_time, outer, depth + 1)
        moment, at = found
        if outer is not None:
            moment = settled(inner, moment, outer)
        return without_host(inner, moment, at) or Opened(inner, moment, at)

    def _stamped_twice(self, line: bytes, at: int, reference_time: int) -> bool:
        return line[4:5] == b"-" and self._read(line[at:], reference_time) is not None

    def _priority(self, raw: bytes, reference_time: int, outer: int | None, depth: int) -> Found:
        found = _PRIORITY.match(raw)
        if found is None:
            return NO_HEADER
        if found[2]:
            return self._rfc5424(raw[found.end() :], reference_time)
        return self._line(raw[found.end() :], reference_time, outer, depth)

    def _rfc5424(self, rest: bytes, reference_time: int) -> Found:
        """`TIME HOST APP PROCID MSGID SD[ MSG]`, `-` where there is none."""
        words = rest.split(b" ", 5)
        if len(words) < 6 or not all(_WORDS.match(word) for word in words[:5]):
            return NO_HEADER
        time, host, tag, pid, _, behind = words
        end = _behind_structured_data(behind)
        found = self._read(time + b" ", reference_time)
        if found is None or end < 0:
            return NotUnderstood("no-time") if end >= 0 else NO_HEADER
        if tag == NUL:
            return NotUnderstood("no-tag")
        if pid != NUL:
            tag = b"%s[%s]" % (tag, pid)
        # rsyslog keeps the blank that stood behind the tag.
        message = behind[end:].lstrip(b" ").removeprefix(_BOM).lstrip(b" ")
        return Opened(b"%s %s %s: %s" % (time, host, tag, message), found[0], len(time) + 1)

    def _json(self, raw: bytes, reference_time: int, depth: int) -> Found:
        try:
            entry = json.loads(raw)
        except (ValueError, RecursionError):
            return NO_HEADER
        if not isinstance(entry, dict):
            return NO_HEADER
        if "__REALTIME_TIMESTAMP" in entry or "MESSAGE" in entry:
            return self._journal(journald.entry_of(journald.fields_of(entry), Stamps(self._zone)))
        text, time, stream = entry.get("log"), entry.get("time"), entry.get("stream")
        if not isinstance(text, str):
            return NO_HEADER
        stamp = time.encode("utf-8", "replace") + b" " if isinstance(time, str) else b""
        found = self._read(stamp, reference_time)
        if found is None:
            return NotUnderstood("no-time")
        inner = text.encode("utf-8", "surrogatepass")
        return self._part(
            f"docker-{stream if stream in _STREAMS else ''}",
            inner.removesuffix(b"\n"),
            found[0].time,
            reference_time,
            depth,
            whole=inner.endswith(b"\n"),
        )

    def _timed(self, raw: bytes, outer: int, at: int, reference_time: int, depth: int) -> Found:
        """A time, and behind it CRI's words or a line with a header of its own."""
        found = _CRI.match(raw, at)
        if found is None:
            return self._line(raw[at:], reference_time, outer, depth)
        return self._part(
            f"cri-{found[1].decode()}", raw[found.end() :], outer, reference_time, depth, whole=found[2] == b"F"
        )

    def _journal(self, entry: Entry | Ignored | NotUnderstood) -> Found:
        if not isinstance(entry, Entry):
            return entry
        if entry.inner:
            return self._part("journal", entry.line, entry.time, entry.time, 0, whole=not entry.partial)
        return Opened(entry.line, entry.moment, entry.line.find(b" ") + 1)

    def _part(self, name: str, text: bytes, outer: int, reference_time: int, depth: int, *, whole: bool) -> Found:
        """Join what came in parts. The time of the first part is the line's."""
        before, time = self._parts.pop(name, (b"", outer))
        joined = before + text if before is not None and len(before) + len(text) <= LINE_BYTES_MAX else None
        if not whole:
            self._parts[name] = (joined, time)
            return _PART
        if joined is None:
            return _TOO_LONG
        return self._line(joined.removesuffix(b"\r"), reference_time, time, depth)


def time_of_line(line: bytes, zone: str, reference_time: int) -> int | None:
    """Time of one line by itself, whatever carries it, microseconds; None when it has none that is known."""
    stamps = Stamps(ZoneInfo(zone))
    found = stamps.read(line, reference_time)
    if found is not None:
        return found[0].time
    name, _, value = line.partition(b"=")
    if name == b"__REALTIME_TIMESTAMP" and value.isdigit():
        return int(value[:19])
    opened = Unwrapper(stamps.zone, stamps).open(line, reference_time)
    return opened.moment.time if isinstance(opened, Opened) else None


def without_host(line: bytes, moment: Moment, at: int) -> Opened | None:
    """A line in which the tag follows the time at once, with `-` for its host; None when there is a host.

    No host ends with a colon, and every tag does.
    """
    blank = line.find(b" ", at)
    if blank <= at or line[blank - 1] != 0x3A:
        return None
    return Opened(b"%s%s %s" % (line[:at], NUL, line[at:]), moment, at)


def _behind_structured_data(text: bytes) -> int:
    """Index behind `-` or `[id name="value"]...`, where a blank or the end follows; -1 when there is neither."""
    if text[:1] == NUL:
        return 1 if text[1:2] in (b" ", b"") else -1
    at = 0
    while text[at : at + 1] == b"[":
        quoted = False
        at += 1
        while at < len(text):
            byte = text[at]
            at += 1
            if byte == 0x5C and quoted:
                at += 1
            elif byte == 0x22:
                quoted = not quoted
            elif byte == 0x5D and not quoted:
                break
        else:
            return -1
    return at if at > 0 and text[at : at + 1] in (b" ", b"") else -1
