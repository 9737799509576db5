"""`--once`: rotated files as one stream, beside a live agent, without reading anything twice.

A backfill is an agent of its own: agent_id `<agent_id>+once-<8 hex of the SHA-256 of the first file's first line>`,
with its own outbox, sequence and transactional id; run again with the same files it goes on, or finds all done. Ranges
that the live agent has read, known by file beginnings in its outbox (opened read-only), are skipped and named.
"""

import hashlib
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from infra.platform import logging
from infra.platform.errors import SettingsError
from infra.platform.settings import Agent, Source
from producers import outbox, recover
from producers.capture import FileRead, SourceState
from producers.follow import CHUNK_BYTES_MAX, LINE_BYTES_MAX, Chunk, Event, fingerprint, is_same, open_log
from producers.sources.header import line_time

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
        first_line = file.readline(LINE_BYTES_MAX).rstrip(b"\r\n")
    mark = hashlib.sha256(first_line).hexdigest()[:8]
    return Backfill(
        agent_id=f"{agent.agent_id}+once-{mark}",
        folder=agent.outbox_dir / OUTBOX_FOLDER / mark,
        source=source,
        files=ordered,
    )


class FileReader:
    """The stream of a backfill: `poll` gives its chunks, then None for ever."""

    def __init__(self, backfill: Backfill, live: Path, state: SourceState) -> None:
        """`live` is the live agent's outbox folder; `state` says how far an earlier run came."""
        self.name = backfill.source.name
        self._skip = recover.files_read(live) if outbox.exists(live) else []
        self._files = list(backfill.files)
        self._state = state
        self._resumed = state.file is None
        self._path: Path | None = None
        self._ranges: list[tuple[int, int]] = []
        self._offset = 0

    @property
    def finished(self) -> bool:
        """Whether every file was read to its end."""
        return self._path is None and not self._files

    def poll(self, now: int) -> Event | None:
        """The next chunk; None at the end of all files."""
        while not self.finished:
            if self._path is None:
                self._next_file()
            chunk = self._read(now)
            if chunk is not None:
                return chunk
            self._path = None
        return None

    def behind_bytes(self) -> int:
        """Bytes on disk of the files that are not yet begun."""
        return sum(path.stat().st_size for path in self._files)

    def close(self) -> None:
        """Nothing stays open between two polls."""

    def _next_file(self) -> None:
        """Begin a file, or go on in the one in which an earlier run ended; files before that one are done."""
        while True:
            path = self._files.pop(0)
            with open_log(path) as file:
                self._ranges = _ranges_read(self._skip, path)
                self._offset = 0
                if not self._resumed:
                    known = self._state.file
                    if known is None or not is_same(file, known):
                        if not self._files:
                            return
                        continue
                    self._offset = self._state.offset
                    self._resumed = True
            self._path = path
            for start, end in self._ranges:
                _LOG.info("skipped: the live agent has read it", file=path.name, from_offset=start, to_offset=end)
            return

    def _read(self, now: int) -> Chunk | None:
        """Whole lines up to the next range that is to be skipped; None at the file's end."""
        assert self._path is not None
        with open_log(self._path) as file:
            for start, end in self._ranges:
                if start <= self._offset < end:
                    self._offset = end
            limit = min((start for start, _ in self._ranges if start > self._offset), default=None)
            file.seek(self._offset)
            room = CHUNK_BYTES_MAX if limit is None else min(CHUNK_BYTES_MAX, limit - self._offset)
            data = file.read(room)
            if not data:
                return None
            whole = data[: data.rfind(b"\n") + 1]
            too_long = not whole and len(data) == CHUNK_BYTES_MAX
            if too_long:
                data += file.readline()
            elif whole:
                data = whole
            start, self._offset = self._offset, self._offset + len(data)
            modified = self._path.stat().st_mtime_ns // 1000
            return Chunk(
                self.name,
                fingerprint(file),
                start,
                self._offset,
                b"" if too_long else data,
                min(now, modified),
                too_long,
            )


def _source_of(agent: Agent, path: Path) -> Source:
    """The configured stream whose live file's name this file's name begins with; the only stream, if there is one."""
    for source in agent.sources:
        if path.name.startswith(source.path.name):
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
        for _ in range(100):
            line = file.readline(LINE_BYTES_MAX)
            found = line_time(line, source.time_zone, min(now, modified))
            if found is not None:
                return found
    return modified


def _ranges_read(known: list[FileRead], path: Path) -> list[tuple[int, int]]:
    """Ranges of this file that the live agent has read, merged and in order."""
    merged: list[tuple[int, int]] = []
    with open_log(path) as file:
        mine = sorted(
            (read.from_offset, read.to_offset) for read in known if read.file.length and is_same(file, read.file)
        )
    for start, end in mine:
        if merged and start <= merged[-1][1]:
            merged[-1] = (merged[-1][0], max(end, merged[-1][1]))
        else:
            merged.append((start, end))
    return merged
