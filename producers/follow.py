"""Follow one log stream over rotation: files in, chunks of whole lines out.

A stream is the live file and what became of its forerunners (`mail.log.1`, `mail.log-20261124`, `mail.log.2.gz`). A
file is known by the SHA-256 of its first bytes (up to 1,024, uncompressed), with device and inode as a hint among
files that begin alike; never by its path. Nothing is remembered here: the caller keeps each chunk's position in
the outbox and gives the last one back at the next start.

Rules:
1. A chunk ends at a line end, except for the last line of a file that was rotated away (or ended, for --once).
2. A rotated file is read to its end before its successor: the oldest file of the stream that is not older than it and
   was not read before (a file that is being compressed, or was copied, begins like the one that was read).
3. A file that has become shorter than what was read of it was truncated: what stood between is lost, and said so.
4. A line longer than LINE_BYTES_MAX is skipped to its end, never split into false lines; each chunk of it is counted as
   one line that was not understood.
"""

import gzip
import hashlib
import os
import re
import zlib
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, Final

from infra.platform import logging
from producers.errors import InputError

CHUNK_BYTES_MAX: Final = 256 * 1024
LINE_BYTES_MAX: Final = 64 * 1024
FINGERPRINT_BYTES_MAX: Final = 1024
# A writer may hold a rotated file open until it is told to reopen; logrotate's postrotate does so within seconds.
ROTATED_QUIET_SECONDS: Final = 2.0
FILES_READ_MAX: Final = 4096
_ROTATED: Final = re.compile(r"[.-]\d[\d.-]*(\.gz)?")
_LOG = logging.get("agent")


@dataclass(frozen=True, slots=True)
class FileIdentity:
    """A file by its beginning. `length` = how many bytes were hashed: min(size, 1,024)."""

    sha256: bytes
    length: int


@dataclass(frozen=True, slots=True)
class Chunk:
    """Whole lines of one file. `data` stands at [from_offset, to_offset); it is empty where a line was too long."""

    source_name: str
    file: FileIdentity
    from_offset: int
    to_offset: int
    data: bytes
    reference_time: int
    too_long: bool = False


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


def open_log(path: Path) -> BinaryIO:
    """Open a plain or gzip-compressed log file. InputError with advice when it cannot be read or is no file."""
    try:
        if not path.is_file():
            kind = "is a folder" if path.is_dir() else "is not a regular file" if path.exists() else "does not exist"
            raise InputError(f"{path} {kind}.", "Give the path of a log file.")
        file = path.open("rb")
    except OSError as error:
        raise InputError(
            f"{path} cannot be read ({error.strerror}).", "Let the agent's user read it (group adm on Debian)."
        ) from None
    if file.read(2) == b"\x1f\x8b":
        file.close()
        return gzip.open(path, "rb")  # type: ignore[return-value]  # GzipFile reads, seeks and tells
    file.seek(0)
    return file


def read_there_is(file: BinaryIO, size: int) -> bytes:
    """Up to `size` bytes from where the file stands; of a cut or damaged compressed file what it still gives."""
    parts: list[bytes] = []
    while size > 0:
        try:
            part = file.read1(size)  # type: ignore[attr-defined]  # a BufferedReader or a GzipFile
        except (EOFError, zlib.error, gzip.BadGzipFile):
            break
        if not part:
            break
        parts.append(part)
        size -= len(part)
    return b"".join(parts)


def fingerprint(file: BinaryIO, length: int = FINGERPRINT_BYTES_MAX) -> FileIdentity:
    """Identity from the first `length` uncompressed bytes; the file's position is kept."""
    here = file.tell()
    file.seek(0)
    head = read_there_is(file, length)
    file.seek(here)
    return FileIdentity(hashlib.sha256(head).digest(), len(head))


def is_same(file: BinaryIO, known: FileIdentity) -> bool:
    """Whether the file begins as the known one did. An identity of no bytes fits every file."""
    return fingerprint(file, known.length) == known


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
        self, name: str, path: Path, known: FileIdentity | None, offset: int, read: Iterable[FileIdentity] = ()
    ) -> None:
        """Go on at `offset` of the file that begins like `known`; None = begin with the live file.

        `read` = files of the stream that were read before.
        """
        self.name = name
        self.readable = True  # False while something keeps the stream's next file from being read
        self._before = [identity for identity in read if identity.length]
        self.path = path
        self._offset = offset
        self._known = known
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
                _LOG.warning("a stream cannot be read; trying again", source=self.name, reason=type(error).__name__)
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
            self._close()
            self._known, self._offset = None, 0
            return Lost(self.name, "file-truncated")
        data = self._read(file)
        complete = data[: data.rfind(b"\n") + 1]
        if complete or self._skipping:
            return self._chunk(file, complete, data, now)
        if len(data) > LINE_BYTES_MAX:
            self._skipping = True
            return self._chunk(file, b"", data, now)
        return self._at_end(file, data, now)

    def behind_bytes(self) -> int:
        """Bytes of the open file and the live file that are not yet read; 0 when neither is there."""
        total = 0
        if self._file is not None and not isinstance(self._file, gzip.GzipFile):
            total += max(0, os.fstat(self._file.fileno()).st_size - self._offset)
        if self._rotated_away():
            try:
                total += self.path.stat().st_size
            except OSError:
                return total
        return total

    def _chunk(self, file: BinaryIO, complete: bytes, data: bytes, now: int) -> Chunk:
        """Rule 1 and rule 4: whole lines, or the rest of a line that is too long."""
        self._quiet_since = None
        if not self._skipping:
            return self._advance(file, complete, now)
        line_end = data.find(b"\n") + 1
        self._skipping = line_end == 0
        return self._advance(file, data[: line_end or len(data)], now, too_long=True)

    def _advance(self, file: BinaryIO, data: bytes, now: int, *, too_long: bool = False) -> Chunk:
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
        )

    def _at_end(self, file: BinaryIO, rest: bytes, now: int) -> Event | None:
        """Nothing whole to read. Rule 2: leave a rotated file once its writer has let go of it."""
        if not self._rotated_away():
            self._quiet_since = None
            return None
        seconds = now / 1_000_000
        if self._quiet_since is None:
            self._quiet_since = seconds
        if seconds - self._quiet_since < ROTATED_QUIET_SECONDS and not isinstance(file, gzip.GzipFile):
            return None
        if rest:
            return self._advance(file, rest, now)
        successor = self._successor()
        if successor is None:
            return None
        damaged = isinstance(file, gzip.GzipFile) and not _ends_well(file)
        self._take(successor, 0)
        if self._known is not None:
            self._before = [*self._before, self._known][-FILES_READ_MAX:]
        self._known = None
        return Lost(self.name, "file-damaged") if damaged else Rotated(self.name)

    def _open(self) -> Lost | None:
        """Find the file to go on with; Lost when the known one is gone."""
        if self._known is None or self._known.length == 0:
            if self.path.exists():
                self._take(self.path, self._offset)
            return None
        for candidate in stream_files(self.path):
            try:
                file = open_log(candidate)
            except InputError:
                continue
            with file:
                try:
                    same = is_same(file, self._known) and file.seek(self._offset) == self._offset
                except (OSError, EOFError, zlib.error):
                    continue
            if same:
                self._take(candidate, self._offset)
                return None
        if not self.path.exists():
            return None
        self._take(self.path, 0)
        self._known = None
        return Lost(self.name, "file-gone")

    def _take(self, path: Path, offset: int) -> None:
        """Open the next file before the one in hand is let go."""
        file = open_log(path)
        file.seek(offset)
        self._close()
        self._file, self._offset = file, offset
        self._inode = _inode(file)
        self._skipping = False
        self._quiet_since = None

    def _read(self, file: BinaryIO) -> bytes:
        try:
            file.seek(self._offset)
        except (EOFError, zlib.error, gzip.BadGzipFile):
            return b""  # it holds less than was read of it before it was cut
        return read_there_is(file, CHUNK_BYTES_MAX)

    def _truncated(self, file: BinaryIO) -> bool:
        """Rule 3. A compressed file does not shrink in place."""
        if isinstance(file, gzip.GzipFile):
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

    def _successor(self) -> Path | None:
        """Rule 2."""
        assert self._file is not None
        age = os.fstat(self._file.fileno()).st_mtime_ns
        live = Path(os.path.realpath(self.path))
        younger = []
        for candidate in stream_files(self.path):
            status = candidate.stat()
            if (status.st_dev, status.st_ino) == self._inode or candidate == live != self.path:
                continue
            if candidate == self.path or (status.st_mtime_ns >= age and not self._was_read(candidate)):
                younger.append((candidate == self.path, status.st_mtime_ns, candidate))
        return min(younger)[2] if younger else None

    def _was_read(self, path: Path) -> bool:
        """Whether a file begins like the open one or one before it."""
        known = [*self._before, self._known] if self._known is not None and self._known.length else self._before
        with open_log(path) as file:
            return any(is_same(file, identity) for identity in reversed(known))

    def _close(self) -> None:
        if self._file is not None:
            self._file.close()
        self._file = None
        self._inode = None

    close = _close


def _ends_well(file: BinaryIO) -> bool:
    """Whether a compressed file that was read to its end has its proper end."""
    try:
        return file.read(1) == b""
    except (EOFError, zlib.error, gzip.BadGzipFile):
        return False


def _inode(file: BinaryIO) -> tuple[int, int]:
    status = os.fstat(file.fileno())
    return status.st_dev, status.st_ino


def _modified(file: BinaryIO, path: Path, now: int) -> int:
    """When the file was last written, microseconds: no line in it can be younger (a live file is written now)."""
    try:
        if not isinstance(file, gzip.GzipFile) and _inode(file) == (path.stat().st_dev, path.stat().st_ino):
            return now
        return os.fstat(file.fileno()).st_mtime_ns // 1000
    except OSError:
        return now
