"""`--once`: rotated files as one stream, beside a live agent, without reading anything twice.

A backfill is an agent of its own: agent_id `<agent_id>+once-<8 hex of the SHA-256 of the first file's first line>`,
with its own outbox, sequence and transactional id; run again with the same files it goes on, or finds all done. Ranges
that the live agent has read, known by file beginnings in its outbox (opened read-only), are skipped and named.
"""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, Final

from infra.platform import logging
from infra.platform.errors import SettingsError
from infra.platform.settings import Agent, Source
from producers import outbox, recover
from producers.capture import FileRead
from producers.follow import Chunk, Event, Lost
from producers.logfile import (
    CHUNK_BYTES_MAX,
    LINE_BYTES_MAX,
    ends_well,
    fingerprint,
    is_same,
    open_log,
    reaches,
    read_there_is,
)
from producers.sources.wrap import time_of_line

_LOG = logging.get("agent")
OUTBOX_FOLDER: Final = "once"


@dataclass(frozen=True, slots=True)
class Backfill:
    """One `--once` run: who it is, where its outbox lies, its one stream, and its files in log order."""

    agent_id: str
    folder: Path
    source: Source
    files: list[Path]


def plan(agent: Agent, files: list[Path], now: int) -> Backfill:
    """Order the files by the time of their first line. InputError or SettingsError with advice."""
    source = _source_of(agent, files[0])
    ordered = sorted(files, key=lambda path: _first_time(path, source, now))
    with open_log(ordered[0]) as file:
        lines = _lines(file)
    # Exchange's files all begin with the same comments, perhaps behind a byte order mark.
    first_line = next((line for line in lines if line.removeprefix(b"\xef\xbb\xbf")[:1] != b"#"), lines[0]).rstrip(
        b"\r"
    )
    mark = hashlib.sha256(first_line).hexdigest()[:8]
    return Backfill(
        agent_id=f"{agent.agent_id}+once-{mark}",
        folder=agent.outbox_dir / OUTBOX_FOLDER / mark,
        source=source,
        files=ordered,
    )


class FileReader:
    """The stream of a backfill: `poll` gives its chunks, then None for ever."""

    def __init__(self, backfill: Backfill, live: Path, done: Sequence[FileRead]) -> None:
        """`live` is the live agent's outbox folder; `done` says what earlier runs of this backfill have read."""
        self.name = backfill.source.name
        self.readable = True
        self._skip = [*done, *(recover.files_read(live) if outbox.exists(live) else [])]
        self._files = list(backfill.files)
        self._path: Path | None = None
        self._file: BinaryIO | None = None
        self._ranges: list[tuple[int, int]] = []
        self._offset = 0

    def poll(self, now: int) -> Event | None:
        """The next chunk; None at the end of all files."""
        while self._file is not None or self._files:
            if self._file is None:
                self._next_file()
            chunk = self._read(now)
            if chunk is not None:
                return chunk
            damaged = self._file is not None and not ends_well(self._file)
            self.close()
            if damaged:
                return Lost(self.name, "file-damaged")
        return None

    def behind_bytes(self) -> int:
        """Bytes on disk of the files that are not yet begun."""
        return sum(path.stat().st_size for path in self._files)

    def close(self) -> None:
        """Let go of the file in hand."""
        if self._file is not None:
            self._file.close()
        self._file = self._path = None

    def _next_file(self) -> None:
        self._path = self._files.pop(0)
        self._file = open_log(self._path)
        self._ranges = _ranges_read(self._skip, self._file)
        self._offset = 0
        for start, end in self._ranges:
            _LOG.info("skipped: it was read before", file=self._path.name, from_offset=start, to_offset=end)

    def _read(self, now: int) -> Chunk | None:
        """Whole lines up to the next range that is to be skipped; None at the file's end."""
        assert self._file is not None
        assert self._path is not None
        for start, end in self._ranges:
            if start <= self._offset < end:
                self._offset = end
        limit = min((start for start, _ in self._ranges if start > self._offset), default=None)
        room = CHUNK_BYTES_MAX if limit is None else min(CHUNK_BYTES_MAX, limit - self._offset)
        data = self._bytes(self._offset, room)
        if not data:
            return None
        whole = data[: data.rfind(b"\n") + 1]
        too_long = not whole and len(data) == CHUNK_BYTES_MAX
        start = self._offset
        self._offset = self._line_end(start + len(data)) if too_long else start + len(whole or data)
        modified = self._path.stat().st_mtime_ns // 1000
        return Chunk(
            self.name,
            fingerprint(self._file),
            start,
            self._offset,
            b"" if too_long else whole or data,
            min(now, modified),
            too_long,
        )

    def _bytes(self, offset: int, size: int) -> bytes:
        """What the file holds there; less, or nothing, where a compressed file was cut."""
        assert self._file is not None
        return read_there_is(self._file, size) if reaches(self._file, offset) else b""

    def _line_end(self, offset: int) -> int:
        """Behind the end of the line that goes on at `offset`; the file's end when it has none."""
        while data := self._bytes(offset, CHUNK_BYTES_MAX):
            if (end := data.find(b"\n") + 1) > 0:
                return offset + end
            offset += len(data)
        return offset


def _source_of(agent: Agent, path: Path) -> Source:
    """The configured stream whose live file's name this file's name begins with; the only stream, if there is one."""
    for source in agent.sources:
        if source.path is not None and path.name.startswith(source.path.name):
            return source
    if len(agent.sources) == 1:
        return agent.sources[0]
    raise SettingsError(
        f"{path.name} belongs to none of the streams in agent.sources.",
        "Give files whose names begin like a stream's path (mail.log.1 for mail.log).",
    )


def _first_time(path: Path, source: Source, now: int) -> int:
    """Log time of the first line that has one, microseconds; the file's own time when none of its first lines has."""
    with open_log(path) as file:
        modified = path.stat().st_mtime_ns // 1000
        for line in _lines(file)[:100]:
            found = time_of_line(line, source.time_zone, min(now, modified))
            if found is not None:
                return found
    return modified


def _lines(file: BinaryIO) -> list[bytes]:
    """The lines at a file's beginning; one at least, which may be empty."""
    return read_there_is(file, LINE_BYTES_MAX).split(b"\n")


def _ranges_read(known: Sequence[FileRead], file: BinaryIO) -> list[tuple[int, int]]:
    """Ranges of this file that were read before, merged and in order."""
    merged: list[tuple[int, int]] = []
    mine = sorted((read.from_offset, read.to_offset) for read in known if read.file.length and is_same(file, read.file))
    for start, end in mine:
        if merged and start <= merged[-1][1]:
            merged[-1] = (merged[-1][0], max(end, merged[-1][1]))
        else:
            merged.append((start, end))
    return merged
