"""The outbox: frames in append-only segment files. It is the agent's memory and its spool.

    <outbox_dir>/lock             held by the running agent
    <outbox_dir>/outbox.json      outbox_id, agent_id, agent_epoch; written once
    <outbox_dir>/segment-<n>      frames; n = logical offset of its first byte, 20 digits
    <outbox_dir>/snapshot.json    joining state, naming the frame it stands behind (recover.py)
    <outbox_dir>/published.json   a hint: how far Kafka has it (publish.py); Kafka's own position is the truth

A frame on disk is its length and its CRC-32 (4 bytes each, big-endian), then the framed Avro of
schemas/avro/outbox_frame.v1.avsc. Bytes are durable only after `sync`; nothing beyond `durable_end` may leave
this host. A torn tail (power cut in an append) was never durable and is cut off when the outbox is opened; a
frame that fails its checksum anywhere else stops the agent.

One thread appends; another may read what is durable.
"""

import fcntl
import json
import os
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import BinaryIO, Final, Literal, TextIO, TypedDict
from uuid import uuid4

from infra.platform.durable import sync_folder, write_atomically
from infra.platform.errors import SettingsError
from producers.errors import OutboxDamagedError, OutboxFullError, OutboxInUseError
from schemas import avro

SEGMENT_BYTES_MAX: Final = 64 * 1024**2
FRAME_BYTES_MAX: Final = 256 * 1024**2
_HEAD_BYTES: Final = 8

FrameKind = Literal["CHUNK", "TICK", "COVERAGE", "ENTERED", "LOST", "FINISH"]


class Frame(TypedDict):
    """One step of the agent; field meanings in schemas/avro/outbox_frame.v1.avsc."""

    kind: FrameKind
    observed_time: int
    reference_time: int
    source_name: str
    argument: str
    fingerprint: bytes
    fingerprint_bytes: int
    from_offset: int
    to_offset: int
    stream_position: int
    records: list[bytes]
    coverage: list[bytes]
    next_sequence: int
    last_record_id: bytes
    next_coverage_sequence: int


@dataclass(frozen=True, slots=True)
class Identity:
    """Whose outbox this is."""

    outbox_id: bytes
    agent_id: str
    agent_epoch: int


def exists(folder: Path) -> bool:
    """Whether there is an outbox in this folder."""
    return (folder / "outbox.json").is_file()


def identity(folder: Path) -> Identity:
    """Read whose outbox this is; OutboxDamagedError when outbox.json cannot be understood."""
    try:
        document = json.loads((folder / "outbox.json").read_text(encoding="utf-8"))
        return Identity(bytes.fromhex(document["outbox_id"]), document["agent_id"], document["agent_epoch"])
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise OutboxDamagedError(
            f"outbox.json in {folder} cannot be read ({type(error).__name__}).",
            "Restore the folder whole from where it was copied, or start with --new-outbox.",
        ) from None


def create(folder: Path, agent_id: str, agent_epoch: int) -> None:
    """Make an empty outbox. The caller has made sure that there is none."""
    document = {"format": 1, "outbox_id": uuid4().hex, "agent_id": agent_id, "agent_epoch": agent_epoch}
    make_folder(folder)
    with _explained(folder):
        write_atomically(folder / "outbox.json", json.dumps(document).encode())


def make_folder(folder: Path) -> None:
    """Make the folder, which is no outbox yet. SettingsError when that cannot be."""
    with _explained(folder):
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)


def retire(folder: Path) -> Path:
    """Put an outbox aside, whole, under another name. OutboxInUseError when an agent runs on it."""
    with _lock(folder), _explained(folder):
        aside = folder.with_name(f"{folder.name}.retired-{uuid4().hex[:8]}")
        folder.rename(aside)
    return aside


def read_frames(folder: Path, start: int) -> Iterator[tuple[Frame, int]]:
    """Frames whose first byte is at logical offset `start` or later, each with the offset behind it.

    For readers of a folder that may be in use: stops at the first frame that is not whole. A segment may be forgotten
    between being listed and being opened; it then lies before `start`, or FileNotFoundError says that it does not.
    """
    segments = _segments(folder)
    for at, (first, path) in enumerate(segments):
        if at + 1 < len(segments) and segments[at + 1][0] <= start:
            continue
        with path.open("rb") as file:
            file.seek(max(0, start - first))
            while (body := _read_body(file)) is not None:
                yield _decode(body), first + file.tell()
            if at + 1 < len(segments) and first + file.tell() != segments[at + 1][0]:
                return


class Outbox:
    """An open outbox. `end` counts what was appended, `durable_end` what survives a power cut."""

    def __init__(self, folder: Path) -> None:
        """Lock and check it. OutboxInUseError, OutboxDamagedError, or SettingsError with advice."""
        self.folder = folder
        self._lock = _lock(folder)
        self._descriptor: int | None = None
        self._segment: int | None = None  # logical offset of the last segment
        try:
            self.identity = identity(folder)
            self.start, self.end = self._check()
        except Exception:
            self._lock.close()
            raise
        self.durable_end = self.end
        self.bytes_unsynced = 0

    def append(self, frame: Frame) -> int:
        """Write one frame behind the last; its end offset. Not durable yet.

        OutboxFullError when the disk is full: the frame is then not in the file, and may be given again.
        """
        body = avro.encode(avro.OUTBOX_FRAME_V1, frame)
        if len(body) > FRAME_BYTES_MAX:
            raise OutboxDamagedError(f"A frame of {len(body)} bytes is beyond the bound.", "Please report this.")
        data = len(body).to_bytes(4, "big") + zlib.crc32(body).to_bytes(4, "big") + body
        descriptor, whole = self._segment_for_append()
        try:
            left = memoryview(data)
            while left:
                left = left[os.write(descriptor, left) :]
        except OSError as error:
            os.ftruncate(descriptor, whole)
            raise _full(self.folder, error) from None
        self.end += len(data)
        self.bytes_unsynced += len(data)
        return self.end

    def sync(self) -> None:
        """Make all that was appended durable. An error here ends the agent: what is on disk is then unknown."""
        if self._descriptor is not None and self.durable_end < self.end:
            os.fdatasync(self._descriptor)
        self.durable_end = self.end
        self.bytes_unsynced = 0

    def frames(self, start: int) -> Iterator[tuple[Frame, int]]:
        """Durable frames from the frame boundary `start` on, each with its end offset."""
        limit = self.durable_end
        if start < self.start:
            raise OutboxDamagedError(
                f"The outbox {self.folder} begins at {self.start}, but {start} is needed.",
                "Restore the folder whole from where it was copied, or start with --new-outbox.",
            )
        end = start
        for frame, end in read_frames(self.folder, start):
            if end > limit:
                return
            yield frame, end
        if end < limit:
            raise _damaged(self.folder, end)

    def frame_ending_at(self, end: int) -> Frame | None:
        """The durable frame that ends at this logical offset; None when the outbox does not hold such a frame."""
        holding = [first for first, _ in _segments(self.folder) if first < end]
        for frame, frame_end in self.frames(holding[-1]) if holding else ():
            if frame_end >= end:
                return frame if frame_end == end else None
        return None

    def forget(self, before: int) -> None:
        """Delete segments that end at or before `before`; the last segment always stays."""
        for (_, path), (next_first, _) in pairwise(_segments(self.folder)):
            if next_first > before:
                break
            path.unlink()
            self.start = next_first

    @property
    def size_bytes(self) -> int:
        """Bytes on disk."""
        return self.end - self.start

    def close(self) -> None:
        """Make durable what is left and let go of the lock."""
        self.sync()
        if self._descriptor is not None:
            os.close(self._descriptor)
        self._lock.close()

    def _check(self) -> tuple[int, int]:
        """Walk all frames; cut a torn tail off the last segment; (first, end) logical offsets."""
        segments = _segments(self.folder)
        if not segments:
            return 0, 0
        expected = segments[0][0]
        for index, (first, path) in enumerate(segments):
            if first != expected:
                raise OutboxDamagedError(
                    f"The outbox {self.folder} has no segment that begins at {expected}.",
                    "Restore the folder whole from where it was copied, or start with --new-outbox.",
                )
            whole = _whole_bytes(path)
            torn = path.stat().st_size - whole
            if torn and index < len(segments) - 1:
                raise _damaged(path, whole)
            if torn:
                self._cut_tail(path, whole)
            expected = first + whole
        self._segment = segments[-1][0]
        return segments[0][0], expected

    def _cut_tail(self, path: Path, whole: int) -> None:
        """Cut an append that a power cut tore. Only the very last frame may be torn; more means damage."""
        with path.open("r+b") as file:
            file.seek(whole)
            if _later_frame(file.read(FRAME_BYTES_MAX)):
                raise _damaged(path, whole)
            file.truncate(whole)
            os.fsync(file.fileno())

    def _segment_for_append(self) -> tuple[int, int]:
        """Descriptor and length of the segment that takes the next frame; a full one is made durable and left."""
        used = SEGMENT_BYTES_MAX if self._segment is None else self.end - self._segment
        if self._descriptor is not None and used >= SEGMENT_BYTES_MAX:
            self.sync()
            os.close(self._descriptor)
            self._descriptor = None
        if used >= SEGMENT_BYTES_MAX:
            self._segment, used = self.end, 0
        if self._descriptor is None:
            path = self.folder / f"segment-{self._segment:020d}"
            try:
                self._descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
                sync_folder(self.folder)
            except OSError as error:
                raise _full(self.folder, error) from None
        return self._descriptor, used


def _lock(folder: Path) -> TextIO:
    """Hold the outbox until the file is closed; OutboxInUseError when another process does."""
    with _explained(folder):
        file = (folder / "lock").open("w")
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        file.close()
        raise OutboxInUseError(
            f"Another agent is running on the outbox {folder}.",
            "Stop it first, or give this one its own agent.outbox_dir and agent.agent_id.",
        ) from None
    return file


@contextmanager
def _explained(folder: Path) -> Iterator[None]:
    """Turn an OSError on the outbox folder into one sentence."""
    try:
        yield
    except OSError as error:
        raise SettingsError(
            f"The outbox folder {folder} cannot be used ({error.strerror}).",
            "Check agent.outbox_dir, its owner and its disk.",
        ) from None


def _full(folder: Path, error: OSError) -> OutboxFullError:
    return OutboxFullError(
        f"The outbox {folder} cannot be written ({error.strerror}).",
        "Free space on its disk and check its permissions; reading of logs waits, nothing is lost.",
    )


def _segments(folder: Path) -> list[tuple[int, Path]]:
    """Segments by logical offset."""
    found = (path for path in folder.iterdir() if path.name.startswith("segment-"))
    return sorted((int(path.name.removeprefix("segment-")), path) for path in found)


def _read_body(file: BinaryIO) -> bytes | None:
    """The next frame's body, checked; None (and the file where it was) when it is not whole."""
    start = file.tell()
    head = file.read(_HEAD_BYTES)
    if len(head) == _HEAD_BYTES:
        length, crc = int.from_bytes(head[:4], "big"), int.from_bytes(head[4:], "big")
        if length <= FRAME_BYTES_MAX:
            body = file.read(length)
            if len(body) == length and zlib.crc32(body) == crc:
                return body
    file.seek(start)
    return None


def _whole_bytes(path: Path) -> int:
    with path.open("rb") as file:
        while _read_body(file) is not None:
            pass
        return file.tell()


def _later_frame(data: bytes) -> bool:
    """Whether a whole frame stands behind the one that does not check: then it is damage, not a torn end."""
    length = int.from_bytes(data[:4], "big")
    rest = data[_HEAD_BYTES + length :]
    if len(rest) < _HEAD_BYTES:
        return False
    next_length, crc = int.from_bytes(rest[:4], "big"), int.from_bytes(rest[4:8], "big")
    body = rest[_HEAD_BYTES : _HEAD_BYTES + next_length]
    return len(body) == next_length > 0 and zlib.crc32(body) == crc


def _damaged(path: Path, offset: int) -> OutboxDamagedError:
    return OutboxDamagedError(
        f"The outbox file {path} is damaged at byte {offset}.",
        "Restore the folder whole from where it was copied, or start with --new-outbox.",
    )


def _decode(body: bytes) -> Frame:
    _, frame = avro.decode(body)
    return frame  # type: ignore[return-value]  # the schema is the TypedDict's
