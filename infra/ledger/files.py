"""Files that outlive a power cut: written whole or appended, and what can be taken back.

A journal keeps numbered records in files of a fixed number of records each, <folder>/<file number, 10 digits>. One
thread appends; others may read what is durable.
"""

import fcntl
import os
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from struct import Struct
from typing import Final, TextIO

from infra.ledger.errors import LedgerDamagedError, LedgerInUseError, NotCommittedError, StorageUnknownError
from infra.platform.durable import sync_folder
from infra.platform.errors import SettingsError

# struct flock of 64-bit Linux: type, whence, start, length (0 = all), pid. Open file description locks: they can be
# asked for, and two in one process exclude each other too.
_FLOCK: Final = Struct("hhqqi0q")


def lock(folder: Path) -> TextIO:
    """Hold the ledger until the file is closed. LedgerInUseError when another process does, else SettingsError."""
    try:
        file = (folder / "lock").open("a")
    except OSError as error:
        raise SettingsError(
            f"The ledger's folder {folder} cannot be used ({error.strerror}).", "Check ledger.folder and its owner."
        ) from None
    try:
        fcntl.fcntl(file, fcntl.F_OFD_SETLK, _FLOCK.pack(fcntl.F_WRLCK, 0, 0, 0, 0))
    except OSError:
        file.close()
        raise LedgerInUseError(
            f"A writer runs on the ledger {folder}.", "There is one writer a ledger: stop it first."
        ) from None
    return file


def in_use(folder: Path) -> bool:
    """Whether a process holds the ledger. Asks without taking the lock, so it is in nobody's way."""
    try:
        with (folder / "lock").open("rb") as file:
            answer = fcntl.fcntl(file, fcntl.F_OFD_GETLK, _FLOCK.pack(fcntl.F_WRLCK, 0, 0, 0, 0))
    except OSError:
        return False
    return bool(_FLOCK.unpack(answer)[0] != fcntl.F_UNLCK)


def journal_files(folder: Path) -> list[Path]:
    """A journal's files in order. LedgerDamagedError when one is missing or is none of a journal's."""
    found = sorted(folder.iterdir()) if folder.is_dir() else []
    for number, path in enumerate(found):
        if path.name != name_of(number):
            raise LedgerDamagedError(
                f"{folder} has {path.name} where {name_of(number)} should be.", "Restore the ledger from its backup."
            )
    return found


def write_again(folder: Path, first: int) -> None:
    """Make a journal's files from this number on durable, whatever became of their last sync. OSError.

    A sync alone does not do: after one that has failed their pages count as clean, and it would write nothing.
    """
    for path in journal_files(folder)[first:]:
        with path.open("r+b") as file:
            data = file.read()
            file.seek(0)
            file.write(data)
            file.flush()
            os.fsync(file.fileno())  # with its length, which may have been cut
    sync_folder(folder)


def name_of(number: int) -> str:
    """Name of a journal's file."""
    return f"{number:010d}"


@dataclass(frozen=True, slots=True)
class Mark:
    """A place in a journal to come back to."""

    count: int
    length: int


class Journal:
    """Appends records. Nothing is durable before `sync`."""

    def __init__(self, folder: Path, per_file: int, count: int, length: int) -> None:
        """Go on behind `count` records; the last file has `length` bytes. Opens nothing yet."""
        self.folder = folder
        self.per_file = per_file
        self._mark = Mark(count, length)
        self._descriptor: int | None = None
        self._unsynced: list[int] = []  # descriptors of files left behind since the last sync
        self._new_names = False

    @property
    def mark(self) -> Mark:
        """Where the journal ends now."""
        return self._mark

    def append(self, records: Sequence[bytes]) -> None:
        """Write records behind the last. NotCommittedError when the disk takes not all of them: none is left there."""
        before = self._mark
        try:
            at = 0
            while at < len(records):
                room = self.per_file - self._mark.count % self.per_file
                part = records[at : at + room]
                self._write(b"".join(part), len(part))
                at += len(part)
        except OSError as error:
            self.back_to(before)
            raise NotCommittedError(
                f"The disk of {self.folder} took nothing ({error.strerror}).", "Free space on it, and look at it."
            ) from None

    def sync(self) -> None:
        """Make all that was appended durable. StorageUnknownError: what is on disk is then not known."""
        try:
            while self._unsynced:
                os.fdatasync(self._unsynced[0])
                os.close(self._unsynced.pop(0))
            if self._descriptor is not None:
                os.fdatasync(self._descriptor)
            if self._new_names:
                sync_folder(self.folder)
                self._new_names = False
        except OSError as error:
            raise self._unknown(error) from None

    def back_to(self, mark: Mark) -> None:
        """Take back what was appended behind `mark`. StorageUnknownError when that cannot be done."""
        try:
            for number in range(self._mark.count // self.per_file + 1, mark.count // self.per_file, -1):
                (self.folder / name_of(number)).unlink(missing_ok=True)
            self.close()
            path = self.folder / name_of(mark.count // self.per_file)
            if mark.count % self.per_file == 0:
                path.unlink(missing_ok=True)
            else:
                os.truncate(path, mark.length)
            sync_folder(self.folder)
        except OSError as error:
            raise self._unknown(error) from None
        self._mark = mark

    def close(self) -> None:
        """Close the files, without a sync."""
        for descriptor in (*self._unsynced, *([] if self._descriptor is None else [self._descriptor])):
            with suppress(OSError):
                os.close(descriptor)
        self._unsynced, self._descriptor = [], None

    def _write(self, data: bytes, count: int) -> None:
        """Into the file that takes the next record."""
        first_in_file = self._mark.count % self.per_file == 0
        if first_in_file and self._descriptor is not None:
            self._unsynced.append(self._descriptor)
            self._descriptor = None
        if self._descriptor is None:
            flags = os.O_WRONLY | os.O_APPEND | (os.O_CREAT | os.O_EXCL if first_in_file else 0)
            path = self.folder / name_of(self._mark.count // self.per_file)
            self._descriptor = os.open(path, flags, 0o600)
            self._new_names = self._new_names or first_in_file
        length = 0 if first_in_file else self._mark.length
        left = memoryview(data)
        while left:
            left = left[os.write(self._descriptor, left) :]
        self._mark = Mark(self._mark.count + count, length + len(data))

    def _unknown(self, error: OSError) -> StorageUnknownError:
        return StorageUnknownError(
            f"What {self.folder} holds on disk is not known ({error.strerror}); the writer ends.",
            "Look at the disk; the next start reads what is there, and writes it again.",
        )
