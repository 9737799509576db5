"""A stream out of the systemd journal, live: `journalctl -o export` as a child process, resumed by cursor.

A chunk is whole entries, of each only the fields that are read, in one order: so the bytes that a restart gets for the
same cursors are the same, whatever else a later systemd writes. What stands for a file's identity in the outbox is
`<cursor before the chunk>\\n<cursor of its last entry>`, with length 0; offsets count the chunks' bytes.

Reading begins at the known entry itself, not behind it: when that entry is not the first to come, it has left the
journal, and what else did is lost.
"""

import os
import shutil
import subprocess
from collections.abc import Iterator, Sequence
from typing import Final

from infra.platform import logging
from infra.platform.clock import SECOND
from infra.platform.errors import SettingsError
from producers.follow import Chunk, Event, Lost
from producers.logfile import CHUNK_BYTES_MAX, FileIdentity
from producers.outbox import Frame
from producers.sources.journald import ENTRY_BYTES_MAX, NoEntryError, parse_export

PROGRAM: Final = "journalctl"
AGAIN_MICROSECONDS: Final = 5 * SECOND  # after the child has ended
# journalctl does not say where the past ends: there, entries are as young as this, or none has come for as long.
QUIET_MICROSECONDS: Final = 2 * SECOND
_FIELDS: Final = (
    b"__CURSOR",
    b"__REALTIME_TIMESTAMP",
    b"_SOURCE_REALTIME_TIMESTAMP",
    b"_HOSTNAME",
    b"_COMM",
    b"_PID",
    b"SYSLOG_IDENTIFIER",
    b"SYSLOG_PID",
    b"SYSLOG_TIMESTAMP",
    b"CONTAINER_ID",
    b"CONTAINER_PARTIAL_MESSAGE",
    b"MESSAGE",
)
_WANTED: Final = b",".join(name for name in _FIELDS if not name.startswith(b"__")).decode("ascii")
_LOG = logging.get("agent")
_Entry = tuple[bytes, bytes]  # cursor, bytes of the fields that are read


def check_program() -> None:
    """SettingsError when there is no journalctl."""
    if shutil.which(PROGRAM) is None:
        raise SettingsError(
            "agent.sources: a stream reads the journal, and there is no journalctl on this host.",
            "Give the path of a log file instead, or install systemd's tools.",
        )


class Journal:
    """One stream. `poll` never blocks."""

    def __init__(self, name: str, matches: Sequence[str], known: FileIdentity | None, offset: int) -> None:
        """Go on behind the entry of `known`, or begin with the journal; `matches` are journalctl's."""
        self.name = name
        self.readable = False
        self._matches = list(matches)
        self._cursor = _cursors(known)[1] if known is not None else b""
        self._offset = offset
        self._child: subprocess.Popen[bytes] | None = None
        self._started = -AGAIN_MICROSECONDS
        self._heard = 0
        self._in_past = True
        self._buffer = b""
        self._expected = b""

    def poll(self, now: int) -> Event | None:
        """The next entries, `Lost` when some have left the journal, or None when none came yet."""
        if self._child is None and not self._start(now):
            return None
        if len(self._buffer) <= CHUNK_BYTES_MAX:
            self._hear(now)
        if self._in_past and not 0 <= now - self._heard < QUIET_MICROSECONDS:
            self._in_past = False
            if not self._cursor and not self._buffer:  # what may not be read is left out without a word
                _LOG.warning(
                    "the journal gave nothing; may this user read it?", source=self.name, group="systemd-journal"
                )
        self.readable = self._child is not None and not self._in_past
        entries = self._entries()
        if not entries:
            return None
        if self._expected:
            expected, self._expected = self._expected, b""
            if _same_entry(entries[0][0], expected):
                del entries[0]
            else:
                self._buffer = b"".join(raw for _, raw in entries) + self._buffer
                return Lost(self.name, "journal-gone")
        return self._chunk(entries, now) if entries else None

    def behind_bytes(self) -> int:
        """Bytes that were heard and are not yet read; what the journal still holds, nobody tells."""
        return len(self._buffer)

    def close(self) -> None:
        """End the child."""
        if self._child is not None:
            self._child.kill()
            self._child.communicate()
        self._child = None

    def _start(self, now: int) -> bool:
        self.readable = False
        if 0 <= now - self._started < AGAIN_MICROSECONDS:
            return False
        self._started = self._heard = now
        self._in_past = True
        self._buffer = b""
        self._expected = self._cursor
        try:
            self._child = _journalctl(self._cursor, self._matches, "--follow", "--no-tail")
        except OSError as error:
            _LOG.warning("the journal cannot be read; trying again", source=self.name, reason=error.strerror)
            return False
        assert self._child.stdout is not None
        os.set_blocking(self._child.stdout.fileno(), False)
        return True

    def _hear(self, now: int) -> None:
        assert self._child is not None
        assert self._child.stdout is not None
        try:
            data = os.read(self._child.stdout.fileno(), CHUNK_BYTES_MAX)
        except BlockingIOError:
            return
        if data:
            self._buffer += data
            self._heard = now
            return
        code = self._child.wait()
        _LOG.warning("journalctl has ended; starting it again", source=self.name, exit_code=code)
        self.close()

    def _entries(self) -> list[_Entry]:
        entries, self._buffer, broken = _split(self._buffer)
        if broken or len(self._buffer) > ENTRY_BYTES_MAX:
            _LOG.error("journalctl gave what is no entry; starting it again", source=self.name)
            self.close()
            self._buffer = b""
        return entries

    def _chunk(self, entries: list[_Entry], now: int) -> Chunk:
        before, self._cursor = self._cursor, entries[-1][0]
        start = self._offset
        self._in_past = self._in_past and _time_of(entries[-1][1]) < now - QUIET_MICROSECONDS
        data = b"".join(raw for _, raw in entries)
        self._offset += len(data)
        return Chunk(
            source_name=self.name,
            file=FileIdentity(before + b"\n" + self._cursor, 0),
            from_offset=start,
            to_offset=self._offset,
            data=data,
            reference_time=now,
        )


class JournalAgain:
    """Finds the bytes of a journal's chunks again, after a crash."""

    def __init__(self, matches: Sequence[str]) -> None:
        """`matches` as they were."""
        self._matches = list(matches)
        self._child: subprocess.Popen[bytes] | None = None
        self._coming: Iterator[_Entry] = iter(())
        self._at = b""

    def read(self, frame: Frame) -> bytes | None:
        """The bytes of the frame's chunk; None when its entries are not all there any more."""
        before, last = _cursors(FileIdentity(frame["fingerprint"], 0))
        length = frame["to_offset"] - frame["from_offset"]
        if (self._child is None or self._at != before) and not self._begin(before):
            return None
        data = b""
        for cursor, raw in self._coming:
            data += raw
            if cursor == last:
                self._at = last
                return data if len(data) == length else None
            if len(data) > length:
                break
        self.close()
        return None

    def close(self) -> None:
        """End the child."""
        if self._child is not None:
            self._child.kill()
            self._child.communicate()
        self._child = None

    def _begin(self, before: bytes) -> bool:
        self.close()
        try:
            self._child = _journalctl(before, self._matches)
        except OSError:
            return False
        self._coming = _all_entries(self._child)
        if not before:
            return True
        first = next(self._coming, None)
        return first is not None and _same_entry(first[0], before)


def _journalctl(cursor: bytes, matches: Sequence[str], *more: str) -> "subprocess.Popen[bytes]":
    at = [f"--cursor={cursor.decode('ascii', 'replace')}"] if cursor else []
    return subprocess.Popen(
        [PROGRAM, "--output=export", f"--output-fields={_WANTED}", "--quiet", "--no-pager", *more, *at, *matches],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
    )


def _all_entries(child: "subprocess.Popen[bytes]") -> Iterator[_Entry]:
    """Every entry until the child's end; blocks."""
    assert child.stdout is not None
    buffer = b""
    while data := os.read(child.stdout.fileno(), CHUNK_BYTES_MAX):
        entries, buffer, broken = _split(buffer + data)
        yield from entries
        if broken:
            return


def _split(buffer: bytes) -> tuple[list[_Entry], bytes, bool]:
    """The whole entries of a buffer, about one chunk of them; the rest; whether something was no entry."""
    entries: list[_Entry] = []
    at = size = 0
    while at < len(buffer) and size < CHUNK_BYTES_MAX:
        if buffer[at] == 0x0A:
            at += 1
            continue
        try:
            found = parse_export(buffer, at)
        except NoEntryError:
            return entries, b"", True
        if found is None:
            break
        fields, at = found
        cursor = fields.get(b"__CURSOR")
        if not cursor:
            return entries, b"", True
        raw = b"".join(_field(name, value) for name in _FIELDS if (value := fields.get(name)) is not None) + b"\n"
        entries.append((cursor, raw))
        size += len(raw)
    return entries, buffer[at:], False


def _field(name: bytes, value: bytes) -> bytes:
    if b"\n" in value:
        return name + b"\n" + len(value).to_bytes(8, "little") + value + b"\n"
    return name + b"=" + value + b"\n"


def _time_of(raw: bytes) -> int:
    """When the journal took an entry in, microseconds; 0 when it does not say."""
    value = raw.partition(b"\n__REALTIME_TIMESTAMP=")[2].partition(b"\n")[0]
    return int(value[:19]) if value.isdigit() else 0


def _cursors(identity: FileIdentity) -> tuple[bytes, bytes]:
    """The cursor before a chunk and that of its last entry."""
    before, _, last = identity.sha256.partition(b"\n")
    return before, last


def _same_entry(cursor: bytes, other: bytes) -> bool:
    """Whether two cursors mean one entry: boot, time and the hash of its data; in which file it stands may change."""
    if cursor == other:
        return True
    parts = [dict(part.partition(b"=")[::2] for part in one.split(b";")) for one in (cursor, other)]
    return all(parts[0].get(name) == parts[1].get(name) is not None for name in (b"b", b"t", b"x"))
