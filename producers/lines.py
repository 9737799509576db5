"""One stream's bytes to events: lines, headers, programs, counts. The only place that walks over bytes.

Counts say of every line what became of it; nothing is passed over in silence. `Line` carries what identity needs: the
raw line and how many identical ones came before it in its second.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any, Final, NamedTuple
from zoneinfo import ZoneInfo

from infra.platform.clock import MINUTE, SECOND
from infra.platform.settings import Source
from producers.events import Event, Ignored, Lost, NotUnderstood
from producers.sources.header import Moment, Stamps
from producers.sources.route import TAGS_MAX, Program, program_of
from schemas.envelope import Mta

# Identical lines are told apart by counting them within their second; a line may come late by so many seconds.
SECONDS_COUNTED: Final = 5
LINE_BYTES_MAX: Final = 64 * 1024
TAG_BYTES_MAX: Final = 128
AHEAD_MAX: Final = 10 * MINUTE
_HOSTS_MAX: Final = 4096
_REPEATED: Final = (b"last message repeated ", b"message repeated ")


class Line(NamedTuple):
    """A line that carries facts."""

    raw: bytes
    source_name: str
    offset: int
    moment: Moment
    host: str
    instance: str
    mta: Mta
    n: int


@dataclass(slots=True)
class Tally:
    """What became of the lines of one stream since the last count. Times in microseconds of log time."""

    lines_read: int = 0
    lines_understood: int = 0
    lines_ignored: dict[str, int] = field(default_factory=dict)
    lines_not_understood: dict[str, int] = field(default_factory=dict)
    loss_markers: dict[str, int] = field(default_factory=dict)
    captured_through: int | None = None
    newest_time: int | None = None


class LineReader:
    """Reads the lines of one stream."""

    def __init__(self, source: Source, year: int | None, host: str | None) -> None:
        """`host` replaces what the log says, where an operator has set it."""
        self.source = source
        self.stamps = Stamps(ZoneInfo(source.time_zone), year)
        self.tally = Tally()
        self.newest_time: int | None = None
        self._host = host
        self._programs: dict[bytes, Program | Ignored] = {}
        self._hosts: dict[bytes, str] = {}
        self._seconds: dict[int, dict[bytes, int]] = {}

    def read(self, chunk: bytes, offset: int, reference_time: int) -> Iterator[tuple[Line, Event]]:
        """Lines with facts, in order; all lines are counted. The last line may lack its end."""
        tally = self.tally
        for raw_line in chunk.split(b"\n"):
            start, offset = offset, offset + len(raw_line) + 1
            if not raw_line:
                continue
            tally.lines_read += 1
            raw = raw_line[:-1] if raw_line[-1] == 13 else raw_line
            found = self._event(raw, start, reference_time)
            if found is not None:
                yield found

    def state(self) -> dict[str, Any]:
        """What the next line depends on, as plain JSON values with bytes in latin-1."""
        return {
            "stamps": self.stamps.state(),
            "newest_time": self.newest_time,
            "seconds": [
                [second, [[line.decode("latin-1"), count] for line, count in lines.items()]]
                for second, lines in self._seconds.items()
            ],
        }

    def restore(self, state: dict[str, Any]) -> None:
        """Take over a `state`."""
        self.stamps.restore(state["stamps"])
        self.newest_time = state["newest_time"]
        self._seconds = {
            second: {line.encode("latin-1"): count for line, count in lines} for second, lines in state["seconds"]
        }

    def _event(self, raw: bytes, start: int, reference_time: int) -> tuple[Line, Event] | None:
        stamp = self.stamps.read(raw, reference_time) if len(raw) <= LINE_BYTES_MAX else None
        if stamp is None:
            self._not_understood("line-too-long" if len(raw) > LINE_BYTES_MAX else "no-header")
            return None
        moment, at = stamp
        # A line from the future (a broken clock, a stranger's) must not carry log time away for good.
        log_time = min(moment.time, reference_time + AHEAD_MAX)
        if self.newest_time is None or log_time > self.newest_time:
            self.newest_time = log_time
        blank = raw.find(b" ", at)
        colon = raw.find(b": ", blank)
        if blank < 0 or colon < 0:
            self._without_tag(raw, blank)
            return None
        tag = raw[blank + 1 : colon]
        if b" " in tag or len(tag) > TAG_BYTES_MAX:
            self._without_tag(raw, blank)
            return None
        program = self._programs.get(tag) or self._program(tag)
        if isinstance(program, Ignored):
            self._ignored(program.rule)
            return None
        try:
            event = program.parse(program.daemon, program.pid, raw[colon + 2 :])
        except (
            Exception
        ):  # one line that a parser fails at must not end the agent, now and at every start; it is counted
            event = NotUnderstood("fault")
        if isinstance(event, Ignored):
            self._ignored(event.rule)
            return None
        if isinstance(event, NotUnderstood):
            self._not_understood(event.reason)
            return None
        self.tally.lines_understood += 1
        if isinstance(event, Lost):
            self._lost(event.marker, event.times)
            return None
        host = self._hosts.get(raw[at:blank]) or self._host_of(raw[at:blank])
        n = self._count(raw, moment.time // SECOND)
        return Line(raw, self.source.name, start, moment, host, program.instance, program.mta, n), event

    def _without_tag(self, raw: bytes, blank: int) -> None:
        """Talk of the syslog daemon itself; a line `message repeated` stands for lines that are not there."""
        text = raw[blank + 1 :]
        if text.startswith(_REPEATED):
            self._lost("message-repeated", 1)
            self.tally.lines_understood += 1
        else:
            self._not_understood("no-tag")

    def _count(self, raw: bytes, second: int) -> int:
        """How many identical lines came before in this second; seconds that are long past are let go."""
        lines = self._seconds.get(second)
        if lines is None:
            newest = max(self._seconds, default=second)
            for old in [old for old in self._seconds if old < max(newest, second) - SECONDS_COUNTED]:
                del self._seconds[old]
            lines = self._seconds[second] = {}
        n = lines.get(raw, 0)
        lines[raw] = n + 1
        return n

    def _program(self, tag: bytes) -> Program | Ignored:
        if len(self._programs) >= TAGS_MAX:
            self._programs.clear()
        program = self._programs[tag] = program_of(tag)
        return program

    def _host_of(self, raw: bytes) -> str:
        if len(self._hosts) >= _HOSTS_MAX:
            self._hosts.clear()
        host = self._host or raw.decode("utf-8", "backslashreplace")
        if len(raw) <= TAG_BYTES_MAX * 2:  # a longer one is no host name, and would fill memory
            self._hosts[raw] = host
        return host

    def _ignored(self, rule: str) -> None:
        ignored = self.tally.lines_ignored
        ignored[rule] = ignored.get(rule, 0) + 1

    def _not_understood(self, reason: str) -> None:
        counts = self.tally.lines_not_understood
        counts[reason] = counts.get(reason, 0) + 1

    def _lost(self, marker: str, count: int) -> None:
        self.tally.loss_markers[marker] = self.tally.loss_markers.get(marker, 0) + count
