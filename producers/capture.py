"""Inputs to frames: the deterministic heart of the agent.

    chunk of lines │
    tick of time   ├─> Assembler ─> envelopes ─> sequences ─> CoverageBook ─> Avro ─> Frame
    lines lost ... │

A `Capture` reads no clock and no file and writes none: the same inputs in the same order give the same frames, byte
for byte. That is what lets `recover` run the inputs again after a crash and compare, and what the tests lean on.
Sequences are given here, once.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final
from zoneinfo import ZoneInfo

from infra.platform.settings import Site, Source
from producers.assemble import Assembler, Tally
from producers.coverage import Closed, CoverageBook
from producers.follow import Chunk
from producers.logfile import FileIdentity
from producers.outbox import Frame, FrameKind, Identity
from schemas import envelope_avro
from schemas.envelope import Envelope

# A file is remembered so that a later backfill skips what was read; older entries are let go, oldest first.
FILES_READ_MAX: Final = 4096
# `argument` of a frame whose bytes were skipped: a line beyond the bound begins, or goes on.
TOO_LONG: Final = "too-long"
TOO_LONG_ON: Final = "too-long-on"


@dataclass(slots=True)
class SourceState:
    """How far one stream was read: the file, the byte in it, and the bytes of the stream over all files.

    `reference_time` = when that file was last written or, if it was the live one, read (microseconds; 0 = unknown).
    `cut` = its last line was read without its end.
    """

    file: FileIdentity | None = None
    offset: int = 0
    stream_position: int = 0
    reference_time: int = 0
    cut: bool = False


@dataclass(slots=True)
class FileRead:
    """A range of one file that was read: [from_offset, to_offset)."""

    source_name: str
    file: FileIdentity
    from_offset: int
    to_offset: int


class Capture:
    """The state between inputs and frames of one agent."""

    def __init__(self, who: Identity, zone: ZoneInfo, site: Site, sources: Sequence[Source], now: int) -> None:
        """Empty, at sequence 0; the first coverage interval begins at `now`."""
        names = [source.name for source in sources]
        self.who = who
        self.site = site
        self.configured = sources
        self.assembler = Assembler(site, sources)
        self.book = CoverageBook(who.agent_id, who.agent_epoch, zone, names, now)
        self.positions = {name: SourceState() for name in names}
        self.files_read: list[FileRead] = []
        self.names_entered: list[str] = []
        self.next_sequence = 0
        self.last_record_id = b""
        self.lines_of_frame: dict[str, Tally] = {}

    def chunk(self, chunk: Chunk, observed_time: int) -> Frame:
        """Read lines."""
        position = self.positions[chunk.source_name]
        position.file = chunk.file
        position.offset = chunk.to_offset
        position.stream_position += chunk.to_offset - chunk.from_offset
        position.reference_time = chunk.reference_time
        self.remember(chunk.source_name, chunk.file, chunk.from_offset, chunk.to_offset)
        records: list[Envelope] = []
        if chunk.too_long:
            if not chunk.continued or position.cut:
                self._count_skipped(chunk.source_name, "rest-of-a-line" if chunk.continued else "line-too-long")
            position.cut = False
        else:
            position.cut = not chunk.data.endswith(b"\n")
            records = self.assembler.read(
                chunk.source_name, chunk.data, chunk.from_offset, observed_time, chunk.reference_time
            )
        frame = self._frame("CHUNK", observed_time, records, source_name=chunk.source_name)
        frame["reference_time"] = chunk.reference_time
        frame["fingerprint"] = chunk.file.sha256
        frame["fingerprint_bytes"] = chunk.file.length
        frame["from_offset"] = chunk.from_offset
        frame["to_offset"] = chunk.to_offset
        frame["argument"] = (TOO_LONG_ON if chunk.continued else TOO_LONG) if chunk.too_long else ""
        return frame

    def tick(self, log_time: int, observed_time: int) -> Frame:
        """Every stream is at its end: log time is at least `log_time`."""
        frame = self._frame("TICK", observed_time, self.assembler.tick(log_time))
        frame["reference_time"] = log_time
        return frame

    def close_coverage(self, reason: Closed, observed_time: int) -> Frame:
        """End the coverage interval."""
        frame = self._frame("COVERAGE", observed_time, [])
        frame["argument"] = reason
        frame["coverage"].append(self.book.close(reason, observed_time))
        frame["next_coverage_sequence"] = self.book.next_coverage_sequence
        return frame

    def entered(self, source_name: str, at: str, observed_time: int, file: FileIdentity | None = None) -> Frame:
        """A stream is read for the first time, from its `start` or in its `middle`.

        `file` = its live file: it is read from its beginning though it is rotated before the first chunk is durable.
        """
        self.assembler.entered(source_name, at == "start")
        self.note_entered(source_name, observed_time, file)
        frame = self._frame("ENTERED", observed_time, [], source_name=source_name)
        frame["argument"] = at
        if file is not None and file.length:
            frame["fingerprint"], frame["fingerprint_bytes"] = file.sha256, file.length
        return frame

    def note_entered(self, source_name: str, observed_time: int, file: FileIdentity | None) -> None:
        """That a stream was entered, and with which file; a position that is known already stays."""
        self.names_entered.append(source_name)
        position = self.positions[source_name]
        if file is not None and file.length and position.file is None:
            position.file, position.reference_time = file, observed_time

    def lost(self, source_name: str, marker: str, observed_time: int) -> Frame:
        """Lines of a stream are gone, and `marker` says how that was seen."""
        self.assembler.lost(source_name, marker)
        frame = self._frame("LOST", observed_time, [], source_name=source_name)
        frame["argument"] = marker
        return frame

    def finish(self, observed_time: int) -> Frame:
        """The input has ended for good (--once): what is open comes out."""
        return self._frame("FINISH", observed_time, self.assembler.finish())

    def state(self) -> dict[str, Any]:
        """Everything but the joining state (`assembler.snapshot`) as plain JSON values, for a snapshot."""
        return {
            "book": self.book.state(),
            "positions": {name: _position_out(position) for name, position in self.positions.items()},
            "files_read": [
                [read.source_name, read.file.sha256.hex(), read.file.length, read.from_offset, read.to_offset]
                for read in self.files_read
            ],
            "names_entered": self.names_entered,
            "next_sequence": self.next_sequence,
            "last_record_id": self.last_record_id.hex(),
        }

    def restore(self, state: dict[str, Any], joining: bytes) -> None:
        """Take over a `state` of this agent, and the snapshot of its joining state."""
        self.assembler = Assembler.restore(joining, self.site, self.configured)
        self.book.restore(state["book"])
        for name, values in state["positions"].items():
            self.positions[name] = _position_in(values)
        self.files_read = [
            FileRead(name, FileIdentity(bytes.fromhex(sha256), length), start, end)
            for name, sha256, length, start, end in state["files_read"]
        ]
        self.names_entered = state["names_entered"]
        self.next_sequence = state["next_sequence"]
        self.last_record_id = bytes.fromhex(state["last_record_id"])

    def start_anew(self) -> None:
        """Forget the joining state (its lines are gone); positions, sequences and coverage stay."""
        self.assembler = Assembler(self.site, self.configured)

    def _frame(self, kind: FrameKind, now: int, records: list[Envelope], source_name: str = "") -> Frame:
        """Give sequences, count, encode."""
        framed: list[bytes] = []
        coverage: list[bytes] = []
        for record in records:
            closed = self.book.add_record(record["event_time"], now)
            if closed is not None:
                coverage.append(closed)
            record["agent_id"] = self.who.agent_id
            record["agent_epoch"] = self.who.agent_epoch
            record["agent_sequence"] = self.next_sequence
            self.next_sequence += 1
            self.last_record_id = record["record_id"]
            framed.append(envelope_avro.encode(record))
        self._count_lines()
        return Frame(
            kind=kind,
            observed_time=now,
            reference_time=now,
            source_name=source_name,
            argument="",
            fingerprint=b"",
            fingerprint_bytes=0,
            from_offset=0,
            to_offset=0,
            stream_position=self.positions[source_name].stream_position if source_name else 0,
            records=framed,
            coverage=coverage,
            next_sequence=self.next_sequence,
            last_record_id=self.last_record_id,
            next_coverage_sequence=self.book.next_coverage_sequence,
        )

    def _count_skipped(self, source_name: str, reason: str) -> None:
        lines = self.book.sources[source_name]
        lines.lines_read += 1
        lines.lines_not_understood[reason] = lines.lines_not_understood.get(reason, 0) + 1

    def _count_lines(self) -> None:
        """Lines go into the interval that is open after their chunk."""
        self.lines_of_frame = self.assembler.take_tallies()
        for name, tally in self.lines_of_frame.items():
            lines = self.book.sources[name]
            lines.add(
                {
                    "lines_read": tally.lines_read,
                    "lines_understood": tally.lines_understood,
                    "lines_ignored": tally.lines_ignored,
                    "lines_not_understood": tally.lines_not_understood,
                    "loss_markers": tally.loss_markers,
                }
            )
            lines.captured_through = tally.captured_through
            if name in self.positions:
                lines.to_position = self.positions[name].stream_position

    def remember(self, source_name: str, file: FileIdentity, from_offset: int, to_offset: int) -> None:
        """A range was read: extend the one that it continues, or begin a new one."""
        last = next((read for read in reversed(self.files_read) if read.source_name == source_name), None)
        if last is not None and last.to_offset == from_offset > 0:
            last.file, last.to_offset = file, to_offset
            return
        self.files_read.append(FileRead(source_name, file, from_offset, to_offset))
        del self.files_read[:-FILES_READ_MAX]


def _position_out(position: SourceState) -> list[Any]:
    file = position.file
    return [
        file.sha256.hex() if file else None,
        file.length if file else 0,
        position.offset,
        position.stream_position,
        position.reference_time,
        position.cut,
    ]


def _position_in(values: list[Any]) -> SourceState:
    sha256, length, *rest = values  # older snapshots end before the reference time
    return SourceState(FileIdentity(bytes.fromhex(sha256), length) if sha256 else None, *rest)
