"""`producer replay`: log files to envelope records as JSON lines, without Kafka and without an outbox.

Several files are one stream, in the order given. At the end what is still open comes out with is_final false.
"""

import sys
import time
from collections.abc import Generator, Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any, BinaryIO, TextIO

from infra.platform.clock import Clock
from infra.platform.settings import Site, Source
from producers.assemble import Assembler
from producers.errors import OutputError
from producers.logfile import CHUNK_BYTES_MAX, LINE_BYTES_MAX, ends_well, open_log, read_there_is
from schemas import envelope_json
from schemas.envelope import Envelope

AGENT_ID = "replay"


Replayed = Generator[Envelope, None, dict[str, Any]]


def replay(files: Sequence[Path], source: Source, site: Site, year: int | None, clock: Clock) -> Replayed:
    """Records in the order in which they become final, with sequences; returns the counts (`StopIteration.value`)."""
    begun = time.monotonic()
    assembler = Assembler(site, [source], year)
    assembler.entered(source.name, at_start_of_stream=True)
    sequence = 0
    totals: dict[str, Any] = {"lines_read": 0, "lines_understood": 0, "lines_ignored": 0, "lines_not_understood": 0}
    reasons: dict[str, dict[str, int]] = {"ignored": {}, "not_understood": {}, "loss_markers": {}}
    for records in _records(assembler, files, source, clock):
        for record in records:
            record["agent_id"] = AGENT_ID
            record["agent_sequence"] = sequence
            sequence += 1
            yield record
        tally = assembler.take_tallies()[source.name]
        totals["lines_read"] += tally.lines_read
        totals["lines_understood"] += tally.lines_understood
        totals["lines_ignored"] += sum(tally.lines_ignored.values())
        totals["lines_not_understood"] += sum(tally.lines_not_understood.values())
        _add(reasons["ignored"], tally.lines_ignored)
        _add(reasons["not_understood"], tally.lines_not_understood)
        _add(reasons["loss_markers"], tally.loss_markers)
    return totals | {"records": sequence, "seconds": round(time.monotonic() - begun, 3)} | reasons


def _add(total: dict[str, int], counts: dict[str, int]) -> None:
    for name, count in counts.items():
        total[name] = total.get(name, 0) + count


def nothing_understood(counts: dict[str, Any]) -> str | None:
    """One sentence when there were lines, and none of them was a line of a mail system; else None."""
    if not counts["lines_read"] or counts["lines_understood"]:
        return None
    reasons = counts["not_understood"] | counts["ignored"]
    most = max(reasons, key=lambda reason: reasons[reason])
    return (
        f"None of {counts['lines_read']} lines was understood (most often: {most}). "
        "Is this the log of a mail system that --mta knows?"
    )


def print_records(records: Replayed, out: TextIO) -> dict[str, Any]:
    """Write one JSON object a line; the counts. OutputError when `out` takes no more."""
    while True:
        try:
            record = next(records)
        except StopIteration as end:
            counts: dict[str, Any] = end.value
            _write(out, "")
            return counts
        _write(out, envelope_json.line(record) + "\n")


def _write(out: TextIO, text: str) -> None:
    try:
        out.write(text)
        if not text:
            out.flush()
    except BrokenPipeError:
        raise
    except OSError as error:
        raise OutputError(
            f"The records cannot be written ({error.strerror}).", "Free space where they are written to."
        ) from None


def _records(assembler: Assembler, files: Iterable[Path], source: Source, clock: Clock) -> Iterator[list[Envelope]]:
    for path in files:
        if str(path) == "-":
            yield from _chunks(assembler, sys.stdin.buffer, source.name, clock.now(), clock)
            continue
        with open_log(path) as file:
            modified = path.stat().st_mtime_ns // 1000
            yield from _chunks(assembler, file, source.name, min(modified, clock.now()), clock)
            if not ends_well(file):
                assembler.lost(source.name, "file-damaged")
    yield assembler.finish()


def _chunks(
    assembler: Assembler, file: BinaryIO, name: str, reference_time: int, clock: Clock
) -> Iterator[list[Envelope]]:
    """Whole lines at a time. A line beyond LINE_BYTES_MAX is handed on cut, so that it is counted once as too long."""
    offset = 0
    rest = b""
    skipping = False
    while True:
        data = read_there_is(file, CHUNK_BYTES_MAX)
        buffer = rest + data
        if skipping:
            end = buffer.find(b"\n") + 1 or len(buffer)
            skipping = not buffer.endswith(b"\n", 0, end) and bool(data)
            offset, buffer = offset + end, buffer[end:]
        end = buffer.rfind(b"\n") + 1 if data else len(buffer)
        whole, rest = buffer[:end], buffer[end:]
        if whole:
            yield assembler.read(name, whole, offset, clock.now(), reference_time)
            offset += len(whole)
        if len(rest) > LINE_BYTES_MAX:
            yield assembler.read(name, rest[: LINE_BYTES_MAX + 1], offset, clock.now(), reference_time)
            offset, rest, skipping = offset + len(rest), b"", True
        if not data:
            return
