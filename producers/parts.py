"""Lines that Exim cut for syslog, put together again: `[1/3] text`, in one process, one behind the other.

A part that ends with a backslash for a slash ended a line of the original; what follows it are headers of a refused
message, which are content and are let go unread. A part that is missing costs its line, which is counted as lost.
"""

from typing import Any, Final, NamedTuple

from infra.platform.clock import SECOND
from producers.events import Event, Ignored, NotUnderstood, SyslogPart
from producers.lines import LINE_BYTES_MAX, Line, Tally
from producers.sources import exim
from producers.transactions import Key, from_plain, to_plain

WINDOW: Final = 10 * SECOND
OPEN_MAX: Final = 1000


class _Open(NamedTuple):
    """Parts 1 to `number`. `text` is None when the line was read and only headers follow."""

    first: Line
    number: int
    text: bytes | None


class Parts:
    """The lines that are not whole yet."""

    def __init__(self) -> None:
        """None."""
        self._open: dict[Key, _Open] = {}
        self._newest = 0

    def add(self, line: Line, part: SyslogPart, tally: Tally) -> tuple[Line, Event] | None:
        """The whole line and its event, when this part ends it. The tally says what became of the line."""
        key = (line.host, line.instance, part.session)
        self._newest = max(self._newest, line.moment.time)
        before = self._open.pop(key, None)
        if before is not None and line.moment.time - before.first.moment.time > WINDOW:
            before = None
        if part.number == 1:
            begun = _Open(line, 1, part.text)
        elif before is not None and before.number == part.number - 1:
            text = None if before.text is None else before.text + part.text
            begun = _Open(before.first, part.number, text)
        else:
            tally.loss_markers["line-part-missing"] = tally.loss_markers.get("line-part-missing", 0) + 1
            return None
        ended = part.number == part.of
        whole = begun.text if ended or part.ends_line else None
        if not ended:
            self._keep(key, begun._replace(text=None) if part.ends_line else begun)
        return None if whole is None else self._whole(begun.first, whole, part, tally)

    def waiting(self) -> list[Line]:
        """First parts of lines whose other parts may still come."""
        return [
            entry.first
            for entry in self._open.values()
            if entry.text is not None and self._newest - entry.first.moment.time <= WINDOW
        ]

    def state(self) -> Any:
        """Everything as plain JSON values."""
        return [[to_plain(key), to_plain(tuple(entry))] for key, entry in self._open.items()]

    def restore(self, state: Any) -> None:
        """Take over a `state`; None = that of an agent that knew no parts."""
        self._open = {from_plain(key): _Open(*from_plain(entry)) for key, entry in state or ()}

    def _keep(self, key: Key, entry: _Open) -> None:
        if entry.text is not None and len(entry.text) > LINE_BYTES_MAX:
            entry = entry._replace(text=None)
        self._open[key] = entry
        if len(self._open) > OPEN_MAX:
            del self._open[next(iter(self._open))]

    def _whole(self, first: Line, text: bytes, part: SyslogPart, tally: Tally) -> tuple[Line, Event] | None:
        """The event of a text; counted anew when it is none."""
        event = exim.parse(b"", part.session.encode("ascii", "replace"), text)
        counts: dict[str, int] | None = None
        if isinstance(event, Ignored):
            counts, name = tally.lines_ignored, event.rule
        elif isinstance(event, NotUnderstood):
            counts, name = tally.lines_not_understood, event.reason
        elif isinstance(event, SyslogPart):
            counts, name = tally.lines_not_understood, "exim-part"
        if counts is not None:
            tally.lines_understood -= 1
            counts[name] = counts.get(name, 0) + 1
            return None
        begin = first.raw.find(b": [1") + 2
        return first._replace(raw=first.raw[:begin] + text), event
