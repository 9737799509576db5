"""One file of a log: plain, gzip or zstd, known by its first bytes; of a cut or damaged one, what it still gives.

zstd is read by Python's own module (`compression.zstd`, or its backport on older Pythons), else by the program `zstd`.
"""

import gzip
import hashlib
import importlib
import io
import os
import shutil
import subprocess
import zlib
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO, Final
from weakref import WeakSet

from producers.errors import InputError

CHUNK_BYTES_MAX: Final = 256 * 1024
LINE_BYTES_MAX: Final = 64 * 1024
FINGERPRINT_BYTES_MAX: Final = 1024
_GZIP: Final = b"\x1f\x8b"
_ZSTD: Final = b"\x28\xb5\x2f\xfd"


@dataclass(frozen=True, slots=True)
class FileIdentity:
    """A file by its beginning. `length` = how many bytes were hashed: min(size, 1,024)."""

    sha256: bytes
    length: int


def _zstd_module() -> Any:
    """Python's module for zstd; None where there is none."""
    for name in ("compression.zstd", "backports.zstd"):
        try:
            return importlib.import_module(name)
        except ImportError:
            continue
    return None


_ZSTD_MODULE: Final = _zstd_module()
_ZSTD_ERRORS: Final[tuple[type[Exception], ...]] = (_ZSTD_MODULE.ZstdError,) if _ZSTD_MODULE else ()
# What the end of a cut file, or its damaged middle, raises.
DAMAGE: Final[tuple[type[Exception], ...]] = (EOFError, zlib.error, gzip.BadGzipFile, *_ZSTD_ERRORS)
_DAMAGED: Final[WeakSet[BinaryIO]] = WeakSet()  # open files whose damage was met; gzip tells it only once


class ZstdProgram(io.RawIOBase):
    """A zstd file, unpacked by the program `zstd`. Going back means beginning anew."""

    def __init__(self, file: BinaryIO) -> None:
        """Starts the program on an open file, which stays readable though it is renamed or deleted."""
        self._packed = file
        self._process = self._start()
        self._at = 0

    def _start(self) -> "subprocess.Popen[bytes]":
        os.lseek(self._packed.fileno(), 0, os.SEEK_SET)
        return subprocess.Popen(["zstd", "-dcq"], stdin=self._packed, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)

    def readable(self) -> bool:
        """It is."""
        return True

    def read1(self, size: int) -> bytes:
        """What there is, at most `size` bytes. EOFError when the file ends before its end."""
        assert isinstance(self._process.stdout, io.BufferedReader)
        data = self._process.stdout.read1(size)
        self._at += len(data)
        if not data and size > 0 and self._process.wait() != 0:
            raise EOFError("the compressed file was cut or is damaged")
        return data

    def readinto(self, buffer: Any) -> int:
        """For `read`."""
        view = memoryview(buffer)
        data = self.read1(len(view))
        view[: len(data)] = data
        return len(data)

    def seekable(self) -> bool:
        """It is, slowly."""
        return True

    def seek(self, offset: int, whence: int = os.SEEK_SET) -> int:
        """From the beginning only; stops at the end of the file. EOFError as in `read1`."""
        assert whence == os.SEEK_SET
        if offset < self._at:
            self._end()
            self._process, self._at = self._start(), 0
        while self._at < offset and self.read1(min(CHUNK_BYTES_MAX, offset - self._at)):
            pass
        return self._at

    def tell(self) -> int:
        """Uncompressed bytes before the next one."""
        return self._at

    def fileno(self) -> int:
        """The compressed file's."""
        return self._packed.fileno()

    def close(self) -> None:
        """End the program."""
        if not self.closed:
            self._end()
            self._packed.close()
        super().close()

    def _end(self) -> None:
        self._process.kill()
        self._process.communicate()


def open_log(path: Path) -> BinaryIO:
    """Open a log file, plain or compressed. InputError with advice when it cannot be read or is no file."""
    try:
        if not path.is_file():
            kind = "is a folder" if path.is_dir() else "is not a regular file" if path.exists() else "does not exist"
            raise InputError(f"{path} {kind}.", "Give the path of a log file.")
        file = path.open("rb")
    except OSError as error:
        raise InputError(
            f"{path} cannot be read ({error.strerror}).", "Let the agent's user read it (group adm on Debian)."
        ) from None
    head = file.read(4)
    if head[:2] == _GZIP:
        file.close()
        return gzip.open(path, "rb")  # type: ignore[return-value]  # GzipFile reads, seeks and tells
    file.seek(0)
    return _open_zstd(path, file) if head == _ZSTD else file


def _open_zstd(path: Path, file: BinaryIO) -> BinaryIO:
    if _ZSTD_MODULE is not None:
        file.close()
        unpacked: BinaryIO = _ZSTD_MODULE.open(path, "rb")
        return unpacked
    if shutil.which("zstd") is None:
        file.close()
        raise InputError(
            f"{path} is compressed with zstd, and nothing here can unpack it.",
            "Install the Python package backports.zstd or the program zstd.",
        )
    return ZstdProgram(file)  # type: ignore[return-value]  # it reads, seeks and tells


def is_plain(file: BinaryIO) -> bool:
    """Whether its bytes are those on disk."""
    return isinstance(file, io.BufferedReader)


def read_there_is(file: BinaryIO, size: int) -> bytes:
    """Up to `size` bytes from where the file stands; of a cut or damaged compressed file what it still gives."""
    parts: list[bytes] = []
    while size > 0:
        try:
            part = file.read1(size)  # type: ignore[attr-defined]  # every kind that `open_log` gives has it
        except DAMAGE:
            _DAMAGED.add(file)
            break
        if not part:
            break
        parts.append(part)
        size -= len(part)
    return b"".join(parts)


def reaches(file: BinaryIO, offset: int) -> bool:
    """Go to `offset`; False when the file ends before it."""
    if is_plain(file) and os.fstat(file.fileno()).st_size < offset:
        return False
    try:
        return file.seek(offset) == offset
    except DAMAGE:
        _DAMAGED.add(file)
        return False
    except OSError:
        return False


def ends_well(file: BinaryIO) -> bool:
    """Whether a file that was read to its end has its proper end; a plain one always has."""
    return not read_there_is(file, 1) and file not in _DAMAGED


def fingerprint(file: BinaryIO, length: int = FINGERPRINT_BYTES_MAX) -> FileIdentity:
    """Identity from the first `length` uncompressed bytes; the file's position is kept."""
    here = file.tell()
    file.seek(0)
    head = read_there_is(file, length)
    reaches(file, here)
    return FileIdentity(hashlib.sha256(head).digest(), len(head))


def is_same(file: BinaryIO, known: FileIdentity) -> bool:
    """Whether the file begins as the known one did. An identity of no bytes fits every file."""
    return fingerprint(file, known.length) == known
