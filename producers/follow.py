"""Follow one log stream over rotation: files in, chunks of whole lines out.

A stream is the live file and what became of its forerunners (`mail.log.1`, `mail.log-20261124`, `mail.log.2.gz`). A
file is known by the SHA-256 of its first bytes (up to 1,024, uncompressed); never by its path. Nothing is remembered
here: the caller keeps each chunk's position in the outbox and gives the last one back at the next start.

Rules:
1. A chunk ends at a line end, except for the last line of a file that was rotated away (or ended, for --once).
2. A rotated file is read to its end before its successor: the oldest file of the stream that is not older than it and
   was not read before (a file that is being compressed, or was copied, begins like the one that was read).
3. A file that has become shorter than what was read of it was truncated. Where a copy of it was made first, the copy is
   read on; what was written between copy and truncation is lost, and said so.
4. A line longer than LINE_BYTES_MAX is skipped to its end, never split into false lines; it is counted as one that was
   not understood. So is what a writer adds to a last line that was already read without its end.
5. A file that is gone is lost with what was not read of it; reading goes on with the oldest file after it.
"""

import os
import re
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, Final

from infra.platform import logging
from producers.errors import InputError
from producers.logfile import (
    CHUNK_BYTES_MAX,
    FINGERPRINT_BYTES_MAX,
    LINE_BYTES_MAX,
    FileIdentity,
    ends_well,
    fingerprint,
    is_plain,
    is_same,
    open_log,
    reaches,
    read_there_is,
)

# A writer may hold a rotated file open until it is told to reopen; logrotate's postrotate does so within seconds.
ROTATED_QUIET_SECONDS: Final = 2.0
FILES_READ_MAX: Final = 4096
_ROTATED: Final = re.compile(r"[.-]\d[\d.-]*(\.gz|\.zst)?")
_LOG = logging.get("agent")


@dataclass(frozen=True, slots=True)
class Chunk:
    """Whole lines of one file. `data` stands at [from_offset, to_offset); it is empty where a line was too long.

    `continued`: the bytes, which are skipped, go on with a line that an earlier chunk began.
    """

    source_name: str
    file: FileIdentity
    from_offset: int
    to_offset: int
    data: bytes
    reference_time: int
    too_long: bool = False
    continued: bool = False


@dataclass(frozen=True, slots=True)
class Lost:
    """Lines of the stream are gone; `marker` says how that was seen."""

    source_name: str
    marker: str


@dataclass(frozen=True, slots=True)
class Rotated:
    """The stream goes on in the next file, at its beginning."""

    source_name: str


Event = Chunk | Lost | Rotated


def stream_files(live: Path) -> list[Path]:
    """The live file and its rotated forms (`.1`, `-20261124`, `.2.gz`), beside it and beside what it links to."""
    found: set[Path] = set()
    for place in {live, Path(os.path.realpath(live))}:
        try:
            entries = list(place.parent.iterdir())
        except OSError:
            continue
        found |= {
            entry
            for entry in entries
            if entry.name == place.name
            or (entry.name.startswith(place.name) and _ROTATED.fullmatch(entry.name[len(place.name) :]))
        }
    return sorted(path for path in found if path.is_file())


class Follower:
    """One stream. `poll` never blocks and never sleeps; the caller decides when to come again."""

    def __init__(
        self,
        name: str,
        path: Path,
        known: FileIdentity | None,
        offset: int,
        read: Iterable[FileIdentity] = (),
        since: int = 0,
    ) -> None:
        """Go on at `offset` of the file that begins like `known`; None = begin with the live file.

        `read` = files of the stream that were read before. `since` (microseconds) = when the known file was last
        written or, if it was the live one, read: files that came after it are not older. 0 = nobody knows.
        """
        self.name = name
        self.readable = True  # False while something keeps the stream's next file from being read
        self._before = [identity for identity in read if identity.length]
        self.path = path
        self._offset = offset
        self._known = known
        self._since = since
        self._file: BinaryIO | None = None
        self._inode: tuple[int, int] | None = None
        self._skipping = False
        self._quiet_since: float | None = None

    def poll(self, now: int) -> Event | None:
        """The next event of the stream, or None when there is nothing more to read at present.

        A file that cannot be opened or read at the moment (no permission yet, moved away meanwhile) is tried again at
        the next call; nothing is passed over, and `readable` is False until then.
        """
        try:
            event = self._next(now)
        except (OSError, InputError) as error:
            if self.readable:
                _LOG.warning("a stream cannot be read; trying again", source=self.name, reason=str(error))
            self.readable = False
            return None
        self.readable = True
        return event

    def _next(self, now: int) -> Event | None:
        if self._file is None:
            found = self._open()
            if found is not None or self._file is None:
                return found
        file = self._file
        if self._truncated(file):
            return self._after_truncation()
        data = self._read(file)
        complete = data[: data.rfind(b"\n") + 1]
        if self._skipping and data:
            line_end = data.find(b"\n") + 1
            return self._skip(file, data[: line_end or len(data)], now)
        if complete:
            return self._advance(file, complete, now)
        if len(data) > LINE_BYTES_MAX:
            return self._skip(file, data, now)
        return self._at_end(file, data, now)

    def behind_bytes(self) -> int:
        """Bytes on disk that are not yet read: of the file in hand, and of those that come after it."""
        try:
            return self._behind_bytes()
        except (OSError, InputError):
            return 0  # a file went away meanwhile; the next call sees what is there

    def _behind_bytes(self) -> int:
        if self._file is None:
            place = self._find()
            if place is None:
                return self.path.stat().st_size if self.path.exists() else 0
            age, offset = place.stat().st_mtime_ns, self._offset
            after = [path for path in self._younger(age) if path != place] if place != self.path else []
            return max(0, place.stat().st_size - offset) + sum(path.stat().st_size for path in after)
        total = 0
        if is_plain(self._file):
            total += max(0, os.fstat(self._file.fileno()).st_size - self._offset)
        if self._rotated_away():
            age = os.fstat(self._file.fileno()).st_mtime_ns
            total += sum(path.stat().st_size for path in self._younger(age))
        return total

    def _skip(self, file: BinaryIO, data: bytes, now: int) -> Chunk:
        """Rule 4: the beginning or the rest of a line that is not read."""
        continued, self._skipping = self._skipping, not data.endswith(b"\n")
        return self._advance(file, data, now, too_long=True, continued=continued)

    def _advance(
        self, file: BinaryIO, data: bytes, now: int, *, too_long: bool = False, continued: bool = False
    ) -> Chunk:
        self._quiet_since = None
        start, self._offset = self._offset, self._offset + len(data)
        if self._known is None or self._known.length < FINGERPRINT_BYTES_MAX:
            self._known = fingerprint(file)
        return Chunk(
            source_name=self.name,
            file=self._known,
            from_offset=start,
            to_offset=self._offset,
            data=b"" if too_long else data,
            reference_time=min(now, _modified(file, self.path, now)),
            too_long=too_long,
            continued=continued,
        )

    def _at_end(self, file: BinaryIO, rest: bytes, now: int) -> Event | None:
        """Nothing whole to read. Rule 2: leave a rotated file once its writer has let go of it."""
        if not self._rotated_away():
            self._quiet_since = None
            return None
        seconds = now / 1_000_000
        if self._quiet_since is None:
            self._quiet_since = seconds
        if seconds - self._quiet_since < ROTATED_QUIET_SECONDS and is_plain(file):
            return None
        if rest:
            self._skipping = True  # what may still come belongs to this line
            return self._advance(file, rest, now)
        successor = min(self._younger(os.fstat(file.fileno()).st_mtime_ns), key=self._order, default=None)
        if successor is None:
            return None
        damaged = not ends_well(file)
        self._leave(successor)
        return Lost(self.name, "file-damaged") if damaged else Rotated(self.name)

    def _leave(self, successor: Path) -> None:
        """Go on at the beginning of another file."""
        self._take(successor, 0)
        self._forget_known()

    def _forget_known(self) -> None:
        if self._known is not None:
            self._before = [*self._before, self._known][-FILES_READ_MAX:]
        self._known = None

    def _open(self) -> Lost | None:
        """Find the file to go on with; rule 5 when the known one is gone."""
        if self._known is None or self._known.length == 0:
            if self.path.exists():
                self._take(self.path, self._offset)
            return None
        place = self._find()
        if place is not None:
            self._take(place, self._offset)
            return None
        after = self._younger(self._since * 1000) if self._since else [path for path in (self.path,) if path.exists()]
        if not after:
            return None
        self._leave(min(after, key=self._order))
        return Lost(self.name, "file-gone")

    def _find(self) -> Path | None:
        """The file that begins like the known one and holds as much as was read of it.

        Among several: one that has not grown before one that has (it may be another file that begins alike), the live
        one before a copy, a plain one before a compressed one (which may be in the making), an older before a younger
        one. InputError or OSError when there is none, but one that cannot be looked into.
        """
        if self._known is None or not self._known.length:
            return None
        known = self._known
        found: list[tuple[tuple[bool, bool, bool, int], Path]] = []
        unreadable: Exception | None = None
        for path in stream_files(self.path):
            try:
                with open_log(path) as file:
                    if is_same(file, known) and not self._is_another(file) and reaches(file, self._offset):
                        grown = fingerprint(file) != known
                        rank = (grown, path != self.path, not is_plain(file), path.stat().st_mtime_ns)
                        found.append((rank, path))
            except FileNotFoundError:
                continue
            except (OSError, InputError) as error:
                unreadable = error
        if not found and unreadable is not None:
            raise unreadable
        return min(found)[1] if found else None

    def _is_another(self, file: BinaryIO) -> bool:
        """Whether a file that begins like the known one is one that was read before and began alike."""
        assert self._known is not None
        longer = [identity for identity in self._before if identity.length > self._known.length]
        return any(is_same(file, identity) for identity in longer)

    def _after_truncation(self) -> Lost:
        """Rule 3."""
        self._close()
        place = self._find()
        if place is not None and place != self.path and self._holds_more(place):
            self._take(place, self._offset)
        else:
            self._forget_known()
            self._offset = 0
        return Lost(self.name, "file-truncated")

    def _holds_more(self, path: Path) -> bool:
        with open_log(path) as file:
            return reaches(file, self._offset) and read_there_is(file, 1) != b""

    def _take(self, path: Path, offset: int) -> None:
        """Open the next file before the one in hand is let go."""
        file = open_log(path)
        inside = offset > 0 and reaches(file, offset - 1) and read_there_is(file, 1) != b"\n"
        reaches(file, offset)
        self._close()
        self._file, self._offset = file, offset
        self._inode = _inode(file)
        self._skipping = inside
        self._quiet_since = None

    def _read(self, file: BinaryIO) -> bytes:
        """What follows; nothing where a compressed file holds less than was read of it before it was cut."""
        return read_there_is(file, CHUNK_BYTES_MAX) if reaches(file, self._offset) else b""

    def _truncated(self, file: BinaryIO) -> bool:
        """Rule 3. A compressed file does not shrink in place."""
        if not is_plain(file):
            return False
        if os.fstat(file.fileno()).st_size < self._offset:
            return True
        return self._known is not None and self._offset > 0 and not is_same(file, self._known)

    def _rotated_away(self) -> bool:
        """Whether the live path now names another file, or none."""
        try:
            status = self.path.stat()
        except OSError:
            return self._file is not None
        return (status.st_dev, status.st_ino) != self._inode

    def _younger(self, age: int) -> list[Path]:
        """Rule 2: the live file, and rotated ones not read that were last written at `age` (nanoseconds) or later."""
        live = Path(os.path.realpath(self.path))
        younger = []
        for candidate in stream_files(self.path):
            status = candidate.stat()
            if (status.st_dev, status.st_ino) == self._inode or candidate == live != self.path:
                continue
            # An empty one may be a compressed one whose first byte is still to be written.
            unread = status.st_size > 0 and status.st_mtime_ns >= age and not self._was_read(candidate)
            if candidate == self.path or unread:
                younger.append(candidate)
        return younger

    def _order(self, path: Path) -> tuple[bool, int, Path]:
        """Rotated files by age, then the live one."""
        return path == self.path, path.stat().st_mtime_ns, path

    def _was_read(self, path: Path) -> bool:
        """Whether a file begins like the open one or one before it. A short one must be the same as a whole."""
        known = [*self._before, self._known] if self._known is not None and self._known.length else self._before
        with open_log(path) as file:
            whole = fingerprint(file)
            return any(
                whole == identity if identity.length < FINGERPRINT_BYTES_MAX else is_same(file, identity)
                for identity in reversed(known)
            )

    def _close(self) -> None:
        if self._file is not None:
            self._file.close()
        self._file = None
        self._inode = None

    close = _close


def _inode(file: BinaryIO) -> tuple[int, int]:
    status = os.fstat(file.fileno())
    return status.st_dev, status.st_ino


def _modified(file: BinaryIO, path: Path, now: int) -> int:
    """When the file was last written, microseconds: no line in it can be younger (a live file is written now)."""
    try:
        if is_plain(file) and _inode(file) == (path.stat().st_dev, path.stat().st_ino):
            return now
        return os.fstat(file.fileno()).st_mtime_ns // 1000
    except OSError:
        return now
