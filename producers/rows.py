"""One stream of Exchange's message tracking files to events: rows over several lines, columns, counts.

The counterpart of `lines.LineReader` for a log whose rows are values between commas. A row that is open at the end of
a chunk is kept (and is in the snapshot) until its quote closes. What an open quote swallows is never read as rows: a
stranger writes subjects, and a line of one may look like a row. Only the beginning of a file, or lines that were
skipped for their length, end an open row; beyond ROW_BYTES_MAX its lines are counted as not understood until the quote
closes.
"""

from collections.abc import Iterator
from typing import Any, Final
from zoneinfo import ZoneInfo

from infra.platform.clock import SECOND
from infra.platform.settings import Source
from producers.events import Event, Ignored, NotUnderstood
from producers.lines import AHEAD_MAX, LINE_BYTES_MAX, SECONDS_COUNTED, Line, Tally
from producers.sources import exchange, exchange_rows
from producers.sources.header import Stamps

ROW_BYTES_MAX: Final = LINE_BYTES_MAX
INSTANCE: Final = "exchange"


class RowReader:
    """Reads the rows of one stream."""

    def __init__(self, source: Source, host: str | None) -> None:
        """`host` replaces what the log says, where an operator has set it."""
        self.source = source
        self.tally = Tally()
        self.newest_time: int | None = None
        self._host = host
        self._writer = b""  # the server that wrote the last row which names it: a file is one server's
        self._stamps = Stamps(ZoneInfo("UTC"))
        self._columns: tuple[str, ...] = ()
        self._open: list[bytes] = []  # the lines of a row whose quote is not closed
        self._open_offset = 0
        self._open_bytes = 0
        self._at = 0  # where the next chunk goes on
        self._skipping = False  # inside of a row that is too long
        self._seconds: dict[int, dict[bytes, int]] = {}

    def read(self, chunk: bytes, offset: int, reference_time: int) -> Iterator[tuple[Line, Event]]:
        """Rows with facts, in order; all lines are counted. The last line may lack its end."""
        if offset == 0 or offset != self._at:  # or lines between were skipped
            self._new_file()
        self._at = offset + len(chunk)
        if offset == 0 and chunk.startswith(exchange_rows.BOM):
            offset = len(exchange_rows.BOM)
            chunk = chunk[offset:]
        for line in _lines(chunk):
            start, offset = offset, offset + len(line)
            if not self._open and not self._skipping and not line.rstrip(b"\r\n"):
                continue
            self.tally.lines_read += 1
            raw = self._row(line, start)
            if raw is None:
                continue
            lines, start = len(self._open) or 1, self._open_offset if self._open else start
            self._open = []
            found = self._event(raw, start, lines, reference_time)
            if found is not None:
                yield found

    def state(self) -> dict[str, Any]:
        """What the next row depends on, as plain JSON values with bytes in latin-1."""
        return {
            "rows": True,
            "newest_time": self.newest_time,
            "columns": list(self._columns),
            "writer": self._writer.decode("latin-1"),
            "open": [[line.decode("latin-1") for line in self._open], self._open_offset, self._skipping, self._at],
            "seconds": [
                [second, [[row.decode("latin-1"), count] for row, count in rows.items()]]
                for second, rows in self._seconds.items()
            ],
        }

    def restore(self, state: dict[str, Any]) -> None:
        """Take over a `state`."""
        self.newest_time = state["newest_time"]
        self._columns = tuple(state["columns"])
        self._writer = state["writer"].encode("latin-1")
        lines, self._open_offset, self._skipping, self._at = state["open"]
        self._open = [line.encode("latin-1") for line in lines]
        self._open_bytes = sum(map(len, self._open))
        self._seconds = {
            second: {row.encode("latin-1"): count for row, count in rows} for second, rows in state["seconds"]
        }

    def finish(self) -> None:
        """The input has ended for good: a row that is still open is none."""
        self._new_file()

    def _new_file(self) -> None:
        """A row that its file did not end is lost."""
        if self._open:
            self._not_understood("exchange-row-cut", len(self._open))
        self._open, self._skipping = [], False

    def _row(self, line: bytes, start: int) -> bytes | None:
        """The row that ends with this line, without its line end; None while its quote is open."""
        turns = line.count(b'"') % 2 == 1  # from outside of quotes to inside, or back
        if self._skipping:
            self._not_understood("exchange-row-too-long", 1)
            self._skipping = not turns
            return None
        if not self._open:
            if not turns:
                return line.rstrip(b"\r\n")
            self._open_offset, self._open_bytes = start, 0
        self._open.append(line)
        self._open_bytes += len(line)
        if turns and len(self._open) > 1:
            return b"".join(self._open).rstrip(b"\r\n")
        if self._open_bytes > ROW_BYTES_MAX:
            self._not_understood("exchange-row-too-long", len(self._open))
            self._open, self._skipping = [], True
        return None

    def _event(self, raw: bytes, start: int, lines: int, reference_time: int) -> tuple[Line, Event] | None:
        if raw.startswith(b"#"):
            columns = exchange_rows.columns_of(raw)
            if columns is not None:
                self._columns = columns
            self._ignored("exchange-header", lines)
            return None
        if len(raw) > ROW_BYTES_MAX:
            self._not_understood("line-too-long", lines)
            return None
        row = exchange_rows.row_of(raw, self._columns)
        if row is None:
            self._not_understood("exchange-columns", lines)
            return None
        stamp = self._stamps.read(row["date-time"] + b" ", reference_time)
        if stamp is None:
            self._not_understood("no-header", lines)
            return None
        moment = stamp[0]
        log_time = min(moment.time, reference_time + AHEAD_MAX)
        if self.newest_time is None or log_time > self.newest_time:
            self.newest_time = log_time
        try:
            event = exchange.parse(row)
        except Exception:  # one row that a parser fails at must not end the agent; it is counted
            event = NotUnderstood("fault")
        if isinstance(event, Ignored):
            self._ignored(event.rule, lines)
            return None
        if isinstance(event, NotUnderstood):
            self._not_understood(event.reason, lines)
            return None
        self.tally.lines_understood += lines
        self._writer = exchange.host_of(row) or self._writer
        host = self._host or self._writer.decode("utf-8", "backslashreplace")
        n = self._count(raw, moment.time // SECOND)
        return Line(raw, self.source.name, start, moment, host, INSTANCE, "EXCHANGE", n), event

    def _count(self, raw: bytes, second: int) -> int:
        """How many identical rows came before in this second; seconds that are long past are let go."""
        rows = self._seconds.get(second)
        if rows is None:
            newest = max(self._seconds, default=second)
            for old in [old for old in self._seconds if old < max(newest, second) - SECONDS_COUNTED]:
                del self._seconds[old]
            rows = self._seconds[second] = {}
        n = rows.get(raw, 0)
        rows[raw] = n + 1
        return n

    def _ignored(self, rule: str, lines: int) -> None:
        self.tally.lines_ignored[rule] = self.tally.lines_ignored.get(rule, 0) + lines

    def _not_understood(self, reason: str, lines: int) -> None:
        counts = self.tally.lines_not_understood
        counts[reason] = counts.get(reason, 0) + lines


def is_tracking_log(chunk: bytes) -> bool:
    """Whether a chunk begins like a file of Exchange."""
    return chunk.startswith(exchange_rows.HEADER_BEGINS)


def _lines(chunk: bytes) -> Iterator[bytes]:
    """Lines with their ends, cut at line feeds only."""
    begin = 0
    while begin < len(chunk):
        end = chunk.find(b"\n", begin) + 1 or len(chunk)
        yield chunk[begin:end]
        begin = end
