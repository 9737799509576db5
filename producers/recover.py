"""The joining state over a restart: snapshots, and running again what came after the last one.

A snapshot is the whole `Capture` as lines of JSON, naming the outbox frame behind which it stands, then a checksum; it
is written as it is made, so that a long queue does not stand in memory twice. At start the newest one is
loaded and the frames after it are run again, in their order, from the same bytes of the same files; what they give
is compared with what they gave (count and record_ids) and thrown away. So a transaction that was half read when the
agent was killed is joined as if nothing had happened.

If the bytes are gone (the file was deleted or rewritten in the meantime), joining begins anew behind the last frame:
nothing is sent twice, messages that were half read come out with PARTIAL_START, and the coverage says `state-lost`.
"""

import json
import zlib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, BinaryIO, Final, Literal, NamedTuple, Protocol

from infra.platform import logging
from infra.platform.clock import MINUTE
from infra.platform.durable import write_parts_atomically
from producers.capture import TOO_LONG, TOO_LONG_ON, Capture, FileRead
from producers.errors import InputError, OutboxDamagedError, OutboxInUseError, RerunDiffersError
from producers.follow import Chunk
from producers.logfile import FileIdentity, is_same, open_log, reaches, read_there_is
from producers.outbox import Frame, Outbox, read_frames
from schemas import avro

SNAPSHOT_MICROSECONDS: Final = MINUTE
READS_MAX: Final = 5
SNAPSHOT_LOG_BYTES: Final = 64 * 1024**2
_CRC_BYTES: Final = 9  # in hexadecimal digits, and a line end
_LOG = logging.get("agent")


class Snapshot(NamedTuple):
    """What was written: the frame behind which it stands, the state of the `Capture`, and its assembler's snapshot."""

    frame_end: int
    state: dict[str, Any]
    joining: bytes


def save(outbox: Outbox, capture: Capture) -> None:
    """Write a snapshot behind the last durable frame. The caller has synced the outbox."""
    assert outbox.durable_end == outbox.end
    write(outbox.folder, outbox.end, capture)


def write(folder: Path, frame_end: int, capture: Capture) -> None:
    """Write a snapshot that stands behind `frame_end`. OSError when the disk takes no more; the old one stays."""
    write_parts_atomically(folder / "snapshot.json", _lines(frame_end, capture))


def _lines(frame_end: int, capture: Capture) -> Iterator[bytes]:
    head = json.dumps({"format": 2, "frame_end": frame_end, "capture": capture.state()}).encode() + b"\n"
    crc = zlib.crc32(head)
    yield head
    for line in capture.assembler.snapshot_lines():
        crc = zlib.crc32(line, crc)
        yield line
    yield b"%08x\n" % crc


def load(folder: Path) -> Snapshot | None:
    """The snapshot; None when there is none. OutboxDamagedError when it does not check."""
    try:
        data = (folder / "snapshot.json").read_bytes()
    except FileNotFoundError:
        return None
    if not data.startswith(b"{"):
        return _load_format_1(folder, data)
    if data[-_CRC_BYTES:] != b"%08x\n" % zlib.crc32(memoryview(data)[:-_CRC_BYTES]):
        raise _damaged(folder)
    end = data.index(b"\n") + 1
    document = json.loads(data[:end])
    return Snapshot(document["frame_end"], document["capture"], data[end:-_CRC_BYTES])


def _load_format_1(folder: Path, data: bytes) -> Snapshot:
    """The checksum before one document, which has the assembler's snapshot as text."""
    crc, _, body = data.partition(b"\n")
    if crc != b"%08x" % zlib.crc32(body):
        raise _damaged(folder)
    document = json.loads(body)
    state = document["capture"]
    return Snapshot(document["frame_end"], state, state.pop("assembler").encode())


def _damaged(folder: Path) -> OutboxDamagedError:
    return OutboxDamagedError(
        f"snapshot.json in {folder} is damaged.", "Restore the folder whole from where it was copied."
    )


class Bytes(Protocol):
    """Where the bytes of a chunk may be had again."""

    def read(self, frame: Frame) -> bytes | None:
        """The bytes; None when they are not to be had any more."""
        ...

    def close(self) -> None:
        """Let go of what is open."""
        ...


def recover(outbox: Outbox, capture: Capture, files: Bytes) -> Literal["new", "exact", "anew"]:
    """Bring `capture` to the end of the outbox; `anew` when the lines to run again are gone.

    RerunDiffersError when the lines are there but give other records.
    """
    snapshot = load(outbox.folder)
    start = outbox.start
    if snapshot is not None:
        start = snapshot.frame_end
        capture.restore(snapshot.state, snapshot.joining)
        if start > outbox.end:
            raise OutboxDamagedError(
                f"The outbox {outbox.folder} ends before its snapshot.",
                "Restore the folder whole from where it was copied, or start with --new-outbox.",
            )
    elif outbox.start > 0:
        raise OutboxDamagedError(
            f"The outbox {outbox.folder} has lost its snapshot.",
            "Restore the folder whole from where it was copied, or start with --new-outbox.",
        )
    exact = True
    try:
        for frame, _ in outbox.frames(start):
            exact = exact and _again(capture, frame, files)
            if not exact:
                _follow_numbers(capture, frame)
    finally:
        files.close()
    if exact:
        return "new" if outbox.end == 0 else "exact"
    capture.start_anew()
    _LOG.warning("lines to run again are gone; joining begins anew")
    return "anew"


def files_read(folder: Path) -> list[FileRead]:
    """All file ranges that the agent of this outbox has read, for a reader that must not lock it (--once).

    The agent may run meanwhile and forget segments behind a newer snapshot: then it is read again, READS_MAX times.
    """
    for _ in range(READS_MAX):
        snapshot = load(folder)
        start = snapshot.frame_end if snapshot else 0
        ranges = ranges_of(snapshot.state["files_read"]) if snapshot else []
        try:
            for frame, _ in read_frames(folder, start):
                if frame["kind"] == "CHUNK":
                    file = _identity(frame)
                    ranges.append(FileRead(frame["source_name"], file, frame["from_offset"], frame["to_offset"]))
        except FileNotFoundError:
            continue
        if load(folder) == snapshot:
            return ranges
    raise OutboxInUseError(f"The outbox {folder} changes faster than it can be read.", "Try again in a minute.")


def ranges_of(plain: list[list[Any]]) -> list[FileRead]:
    """Ranges as a snapshot has them."""
    return [
        FileRead(name, FileIdentity(bytes.fromhex(sha256), length), begin, end)
        for name, sha256, length, begin, end in plain
    ]


class LogFiles:
    """Finds the bytes of a chunk again, among the files of its stream."""

    def __init__(self, candidates: Callable[[str], list[Path]]) -> None:
        """`candidates` names the files in which a stream's bytes may be. At most one file is open at a time."""
        self._candidates = candidates
        self._open: tuple[Path, BinaryIO] | None = None

    def read(self, frame: Frame) -> bytes | None:
        """The bytes [from_offset, to_offset) of the frame's file; None when they are not to be had any more."""
        known = _identity(frame)
        length = frame["to_offset"] - frame["from_offset"]
        paths = self._candidates(frame["source_name"])
        if self._open is not None and self._open[0] in paths:
            paths.insert(0, self._open[0])
        for path in paths:
            file = self._file(path)
            if file is None:
                continue
            try:
                if is_same(file, known) and reaches(file, frame["from_offset"]):
                    data = read_there_is(file, length)
                    if len(data) == length:
                        return data
            except OSError:
                continue
        return None

    def close(self) -> None:
        """Close what is open."""
        if self._open is not None:
            self._open[1].close()
            self._open = None

    def _file(self, path: Path) -> BinaryIO | None:
        if self._open is not None and self._open[0] == path:
            return self._open[1]
        try:
            file = open_log(path)
        except InputError:
            return None
        self.close()
        self._open = (path, file)
        return file


def _again(capture: Capture, frame: Frame, files: Bytes) -> bool:
    """Run one frame's input again and compare; False when its lines are gone."""
    kind, observed, name = frame["kind"], frame["observed_time"], frame["source_name"]
    if kind == "CHUNK":
        data = files.read(frame)
        if data is None:
            return False
        too_long = frame["argument"] in (TOO_LONG, TOO_LONG_ON)
        again = capture.chunk(
            Chunk(
                source_name=name,
                file=_identity(frame),
                from_offset=frame["from_offset"],
                to_offset=frame["to_offset"],
                data=b"" if too_long else data,
                reference_time=frame["reference_time"],
                too_long=too_long,
                continued=frame["argument"] == TOO_LONG_ON,
            ),
            observed,
        )
    elif kind == "TICK":
        again = capture.tick(frame["reference_time"], observed)
    elif kind == "COVERAGE":
        again = capture.close_coverage(frame["argument"], observed)  # type: ignore[arg-type]  # written by us
    elif kind == "ENTERED":
        again = capture.entered(name, frame["argument"], observed, _identity(frame))
    elif kind == "LOST":
        again = capture.lost(name, frame["argument"], observed)
    else:
        again = capture.finish(observed)
    if _outcome(again) != _outcome(frame):
        raise RerunDiffersError(
            f"Lines of stream {name!r} read again after a restart gave {len(again['records'])} records "
            f"where they had given {len(frame['records'])}, or other ones.",
            "The log was rewritten, or the agent was upgraded before it had ended cleanly. Keep the outbox for "
            "inspection and start with --new-outbox.",
        )
    return True


def _identity(frame: Frame) -> FileIdentity:
    return FileIdentity(frame["fingerprint"], frame["fingerprint_bytes"])


def _outcome(frame: Frame) -> tuple[int, bytes, int, list[bytes]]:
    """What must be the same: sequences, and the record_id that stands first in every record."""
    ids = [record[avro.FRAME_BYTES : avro.FRAME_BYTES + 16] for record in frame["records"]]
    return frame["next_sequence"], frame["last_record_id"], frame["next_coverage_sequence"], ids


def _follow_numbers(capture: Capture, frame: Frame) -> None:
    """Lines are gone: take sequences, positions, ranges and the coverage interval from what the frame holds."""
    if frame["kind"] == "CHUNK":
        file = _identity(frame)
        capture.remember(frame["source_name"], file, frame["from_offset"], frame["to_offset"])
    elif frame["kind"] == "ENTERED" and frame["source_name"] not in capture.names_entered:
        capture.note_entered(frame["source_name"], frame["observed_time"], _identity(frame))
    capture.next_sequence = frame["next_sequence"]
    capture.last_record_id = frame["last_record_id"]
    closed = [avro.decode(framed)[1] for framed in frame["coverage"]]
    last_event_time = avro.decode(frame["records"][-1])[1]["event_time"] if frame["records"] else None
    capture.book.go_on_behind(closed, frame["next_sequence"], last_event_time, frame["observed_time"])
    if frame["kind"] == "CHUNK":
        position = capture.positions[frame["source_name"]]
        position.file = _identity(frame)
        position.offset = frame["to_offset"]
        position.stream_position = frame["stream_position"]
        position.reference_time = frame["reference_time"]
        capture.book.sources[frame["source_name"]].to_position = frame["stream_position"]
