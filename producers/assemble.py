"""Events of many lines to envelope records: one for each recipient, when it is decided. Knows no mail system.

A message is known by host, instance and queue id while it is in the queue; its `message_key` for ever. Timers run on
log time only, line by line, so chunks of any size give the same records. What becomes of messages is in `messages`;
`joining` is what each event says of them.
"""

import io
import json
from collections.abc import Iterator, Sequence
from typing import Any

from infra.platform.settings import Site, Source
from producers.joining import Joining
from producers.limits import bounded_texts
from producers.lines import LineReader, Tally
from producers.messages import Messages
from producers.rows import RowReader, is_tracking_log
from producers.shortcuts import PostfixShortcuts
from producers.transactions import from_plain, to_plain
from schemas.envelope import Envelope

__all__ = ["Assembler", "Tally"]


class Assembler:
    """The joining state of one agent. The same calls in the same order give the same records."""

    def __init__(self, site: Site, sources: Sequence[Source], year: int | None = None) -> None:
        """Empty. `year` of the first lines, where it is known and not written in them."""
        self._messages = Messages(site, sources, self.lost)
        self._host = site.host
        self._readers: dict[str, LineReader | RowReader] = {
            source.name: RowReader(source, site.host)
            if source.mta == "exchange"
            else LineReader(source, year, site.host)
            for source in sources
        }
        self._joining = Joining(site, self._messages, self._readers, self.lost)
        for reader in self._readers.values():
            if isinstance(reader, LineReader) and reader.source.mta != "opensmtpd":  # its lines may get a tag put in
                reader.shortcuts = PostfixShortcuts(self._messages, self._joining, reader)

    @property
    def open_transactions(self) -> int:
        """Messages seen and not yet ended."""
        return len(self._messages)

    def read(
        self, source_name: str, chunk: bytes, offset: int, observed_time: int, reference_time: int
    ) -> list[Envelope]:
        """Records that these lines decide, in order. `chunk` = whole lines (the very last may lack its end)."""
        self._messages.observed_time = observed_time
        reader = self._readers[source_name]
        if is_tracking_log(chunk) and isinstance(reader, LineReader) and reader.source.mta == "auto":
            reader = self._as_rows(reader)
        for line, event in reader.read(chunk, offset, reference_time):
            self._joining.run_timers(source_name, reader.newest_time or line.moment.time)
            self._joining.take(line, event)
        return self._take()

    def tick(self, source_time: int) -> list[Envelope]:
        """Every stream is at its end: log time is at least `source_time`."""
        for reader in self._readers.values():
            reader.newest_time = max(reader.newest_time or source_time, source_time)
        self._joining.tick()
        return self._take()

    def entered(self, source_name: str, at_start_of_stream: bool) -> None:
        """Reading of a stream begins; in its middle, messages without a beginning are to be expected."""
        if not at_start_of_stream:
            self.lost(source_name, "entered-in-the-middle")

    def lost(self, source_name: str, marker: str) -> None:
        """Lines of a stream are gone."""
        markers = self._readers[source_name].tally.loss_markers
        markers[marker] = markers.get(marker, 0) + 1

    def finish(self) -> list[Envelope]:
        """The input has ended for good: what is open comes out as far as it is known."""
        self._joining.finish()
        for reader in self._readers.values():
            if isinstance(reader, RowReader):
                reader.finish()
        return self._take()

    def take_tallies(self) -> dict[str, Tally]:
        """Line counts of each stream since the last call; `captured_through` as of now."""
        out = {}
        for name, reader in self._readers.items():
            tally, reader.tally = reader.tally, Tally()
            tally.newest_time = reader.newest_time
            if reader.newest_time is not None:
                tally.captured_through = reader.newest_time - 1  # more lines of that very moment may follow
            out[name] = tally
        for line in self._joining.waiting():
            tally = out.get(line.source_name, Tally())  # a stream that is no longer configured makes no claim
            if tally.captured_through is not None:
                tally.captured_through = min(tally.captured_through, line.moment.time - 1)
        return out

    def snapshot(self) -> bytes:
        """Everything as lines of JSON. Tallies are taken before."""
        return b"".join(self.snapshot_lines())

    def snapshot_lines(self) -> Iterator[bytes]:
        """The same, made line by line: a line for each message, behind one for all else."""
        state = {
            "format": 2,
            **self._joining.state(),
            "readers": {name: reader.state() for name, reader in self._readers.items()},
        }
        yield json.dumps(state).encode() + b"\n"
        for transaction in self._messages.open_ones():
            yield json.dumps(to_plain(transaction)).encode() + b"\n"

    @classmethod
    def restore(cls, snapshot: bytes, site: Site, sources: Sequence[Source], year: int | None = None) -> "Assembler":
        """The assembler of a `snapshot`; streams that are configured anew begin empty."""
        lines = io.BytesIO(snapshot)
        state: dict[str, Any] = json.loads(lines.readline())
        # Format 1 was one document with all messages in it.
        messages = state["messages"]["transactions"] if state["format"] == 1 else map(json.loads, lines)
        self = cls(site, sources, year)
        self._joining.restore(state, map(from_plain, messages))
        for name, values in state["readers"].items():
            reader = self._readers.get(name)
            if isinstance(reader, LineReader) and "rows" in values:
                reader = self._as_rows(reader)
            if reader is not None:
                reader.restore(values)
        return self

    def _as_rows(self, reader: LineReader) -> RowReader:
        """The stream turned out to be a tracking log: its lines are rows from here on."""
        rows = RowReader(reader.source, self._host)
        rows.tally, rows.newest_time = reader.tally, reader.newest_time
        self._readers[reader.source.name] = rows
        return rows

    def _take(self) -> list[Envelope]:
        out, self._messages.made = self._messages.made, []
        return [bounded_texts(record) for record in out]
