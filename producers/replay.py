"""`producer replay`: log files to envelope records as JSON lines, without Kafka and without an outbox.

Several files are one stream, in the order given. At the end what is still open comes out with is_final false.
"""

import json
import sys
import time
from collections.abc import Generator, Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any, BinaryIO, TextIO

from infra.platform.clock import Clock
from infra.platform.settings import Site, Source
from producers.assemble import Assembler
from producers.follow import CHUNK_BYTES_MAX, LINE_BYTES_MAX, open_log
from schemas.envelope import Envelope, json_object

AGENT_ID = "replay"


Replayed = Generator[Envelope, None, dict[str, Any]]


def replay(files: Sequence[Path], source: Source, site: Site, year: int | None, clock: Clock) -> Replayed:
    """Records in the order in which they become final, with sequences; returns the counts (`StopIteration.value`)."""
    begun = time.monotonic()
    assembler = Assembler(site, [source], year)
    assembler.entered(source.name, at_start_of_stream=True)
    sequence = 0
    totals: dict[str, Any] = {"lines_read": 0, "lines_understood": 0, "lines_ignored": 0, "lines_not_understood": 0}
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
    return totals | {"records": sequence, "seconds": round(time.monotonic() - begun, 3)}


def print_records(records: Replayed, out: TextIO) -> dict[str, Any]:
    """Write one JSON object a line; the counts."""
    while True:
        try:
            record = next(records)
        except StopIteration as end:
            counts: dict[str, Any] = end.value
            return counts
        out.write(json.dumps(json_object(record), ensure_ascii=False, separators=(",", ":")) + "\n")


def _records(assembler: Assembler, files: Iterable[Path], source: Source, clock: Clock) -> Iterator[list[Envelope]]:
    for path in files:
        if str(path) == "-":
            yield from _chunks(assembler, sys.stdin.buffer, source.name, clock.now(), clock)
            continue
        with open_log(path) as file:
            modified = path.stat().st_mtime_ns // 1000
            yield from _chunks(assembler, file, source.name, min(modified, clock.now()), clock)
    yield assembler.finish()


def _chunks(
    assembler: Assembler, file: BinaryIO, name: str, reference_time: int, clock: Clock
) -> Iterator[list[Envelope]]:
    """Whole lines at a time; a compressed file that is cut short is read as far as it goes."""
    offset = 0
    rest = b""
    while True:
        try:
            data = file.read(CHUNK_BYTES_MAX)
        except (EOFError, OSError):
            data = b""
        whole, rest = _split(rest + data) if data else (rest, b"")
        if whole:
            yield assembler.read(name, whole, offset, clock.now(), reference_time)
            offset += len(whole)
        if not data:
            return


def _split(data: bytes) -> tuple[bytes, bytes]:
    """Whole lines and the rest; a rest that is longer than any line may be is handed on, to be counted."""
    end = data.rfind(b"\n") + 1
    if end == 0 and len(data) > LINE_BYTES_MAX + CHUNK_BYTES_MAX:
        return data, b""
    return data[:end], data[end:]
