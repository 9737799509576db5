"""One stream's bytes to events: lines, headers, programs, counts. The only place that walks over bytes.

Counts say of every line what became of it; nothing is passed over in silence. `Line` carries what identity needs: the
raw line and how many identical ones came before it in its second.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any, Final, NamedTuple, Protocol
from zoneinfo import ZoneInfo

from infra.platform.clock import MINUTE, SECOND
from infra.platform.settings import Source
from producers.events import Event, Ignored, Lost, NotUnderstood
from producers.sources import dovecot, opensmtpd_console
from producers.sources.header import Moment, Stamps
from producers.sources.route import DOVECOT_FILE, OWN_FORM, TAGS_MAX, Parse, Program, program_of
from producers.sources.wrap import NO_HEADER, Found, Unwrapper, without_host
from schemas.envelope import Mta

# Identical lines are told apart by counting them within their second; a line may come late by so many seconds.
SECONDS_COUNTED: Final = 5
LINE_BYTES_MAX: Final = 64 * 1024
TAG_BYTES_MAX: Final = 128
AHEAD_MAX: Final = 10 * MINUTE
_HOSTS_MAX: Final = 4096
_CARRIAGE_RETURN: Final = 13
_PLACES_MAX: Final = 1000
_NAME_BYTES_MAX: Final = 100  # with a process id it is a tag
_NO_MOMENT: Final = Moment(0, "EXACT", None)
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


class Place(NamedTuple):
    """Where lines of one beginning come from: what stands between stamp and process id, understood once."""

    host: str
    program: Program


class Shortcuts(Protocol):
    """A faster way for lines of the commonest forms of one mail system, with all that the general way does for them."""

    parse: Parse  # the parser whose lines these are

    def cut(self, chunk: bytes) -> list[tuple[bytes, ...]]:
        """Each line as (line, stamp, what stands between it and the process id, ...); with a stamp only if plain."""
        ...

    def take(
        self, found: tuple[bytes, ...], place: Place, start: int, moment: Moment, counts: dict[bytes, int]
    ) -> bool:
        """Do what a line says and count it; or leave it to the general way (False).

        `start` = its offset; `counts` = the identical lines of its second.
        """
        ...


class LineReader:
    """Reads the lines of one stream."""

    def __init__(self, source: Source, year: int | None, host: str | None) -> None:
        """`host` replaces what the log says, where an operator has set it."""
        self.source = source
        self.stamps = Stamps(ZoneInfo(source.time_zone), year)
        self._wrapped = Unwrapper(ZoneInfo(source.time_zone), self.stamps)
        self.tally = Tally()
        self.newest_time: int | None = None
        self.shortcuts: Shortcuts | None = None
        self._host = host
        self._programs: dict[bytes, Program | Ignored] = {}
        self._places: dict[bytes, Place] = {}
        self._hosts: dict[bytes, str] = {}
        self._seconds: dict[int, dict[bytes, int]] = {}

    def read(self, chunk: bytes, offset: int, reference_time: int) -> Iterator[tuple[Line, Event]]:
        """Lines with facts, in order; all lines are counted. The last line may lack its end.

        Lines that a shortcut takes are not given.
        """
        tally = self.tally
        if self._wrapped.is_export(chunk):
            yield from self._entries(chunk, offset, reference_time)
            return
        if self.shortcuts is not None and b"\r\n" not in chunk and not chunk.endswith(b"\r"):
            yield from self._read_plain(self.shortcuts, chunk, offset, reference_time)
            return
        for raw_line in chunk.split(b"\n"):
            start, offset = offset, offset + len(raw_line) + 1
            if not raw_line:
                continue
            tally.lines_read += 1
            raw = raw_line[:-1] if raw_line[-1] == _CARRIAGE_RETURN else raw_line
            found = self._event(raw, start, reference_time)
            if found is not None:
                yield found

    def _read_plain(
        self, shortcuts: Shortcuts, chunk: bytes, offset: int, reference_time: int
    ) -> Iterator[tuple[Line, Event]]:
        """The same, where most lines may be plain. What a stamp means is found out once for lines that follow another.

        Only a line whose place is known goes to the shortcuts: of it is certain that log time comes to its stamp.
        """
        take, places, seconds = shortcuts.take, self._places, self._seconds
        last_stamp, moment, gone_on = b"", _NO_MOMENT, False
        at = 0
        counts: dict[bytes, int] | None = None  # of the stamp's second; None = to be looked up
        for found in shortcuts.cut(chunk):
            raw, stamp = found[0], found[1]
            start, offset = offset, offset + len(raw) + 1
            if not raw:
                continue
            self.tally.lines_read += 1
            if not stamp or len(raw) > LINE_BYTES_MAX:
                last_stamp, counts = b"", None
                line = self._event(raw, start, reference_time)
                if line is not None:
                    yield line
                continue
            if stamp != last_stamp:
                read = self.stamps.read(raw, reference_time)
                counts = None
                if read is None or read[1] != len(stamp):
                    last_stamp = b""
                    line = self._event(raw, start, reference_time)
                    if line is not None:
                        yield line
                    continue
                moment, at = read
                last_stamp, gone_on = stamp, False
            place = places.get(found[2])
            if place is not None:
                if not gone_on:
                    self._goes_on(moment, reference_time)
                    gone_on = True
                if counts is None:
                    counts = seconds.get(moment.time // SECOND)
                if counts is not None and take(found, place, start, moment, counts):
                    continue
            counts = None
            line = self._facts(raw, moment, at, start, reference_time)
            if line is not None:
                yield line

    def state(self) -> dict[str, Any]:
        """What the next line depends on, as plain JSON values with bytes in latin-1."""
        return {
            "stamps": self.stamps.state(),
            "wrapped": self._wrapped.state(),
            "newest_time": self.newest_time,
            "seconds": [
                [second, [[line.decode("latin-1"), count] for line, count in lines.items()]]
                for second, lines in self._seconds.items()
            ],
        }

    def restore(self, state: dict[str, Any]) -> None:
        """Take over a `state`."""
        self.stamps.restore(state["stamps"])
        if "wrapped" in state:  # not in snapshots of before there were carriers
            self._wrapped.restore(state["wrapped"])
        self.newest_time = state["newest_time"]
        self._seconds = {
            second: {line.encode("latin-1"): count for line, count in lines} for second, lines in state["seconds"]
        }

    def _entries(self, chunk: bytes, offset: int, reference_time: int) -> Iterator[tuple[Line, Event]]:
        """Entries of the journal's export format, which are counted as lines."""
        for found, start in self._wrapped.entries(chunk, offset):
            self.tally.lines_read += 1
            event = self._opened(found, start, reference_time)
            if event is not None:
                yield event

    def _event(self, raw: bytes, start: int, reference_time: int) -> tuple[Line, Event] | None:
        if len(raw) > LINE_BYTES_MAX:
            self._not_understood("line-too-long")
            return None
        stamp = self.stamps.read(raw, reference_time)
        if stamp is not None:
            return self._facts(raw, stamp[0], stamp[1], start, reference_time)
        stamp = self.stamps.read_own_form(raw)
        if stamp is None:
            return self._opened(self._wrapped.open(raw, reference_time), start, reference_time)
        moment, at = stamp
        self._goes_on(moment, reference_time)
        return self._told(raw, moment, DOVECOT_FILE if dovecot.is_own_form(raw[at:]) else OWN_FORM, at, at, at, start)

    def _opened(self, found: Found, start: int, reference_time: int) -> tuple[Line, Event] | None:
        """A line that came inside of something."""
        if isinstance(found, Ignored):
            self._ignored(found.rule)
        elif isinstance(found, NotUnderstood):
            self._not_understood(found.reason)
        else:
            return self._facts(found.line, found.moment, found.at, start, reference_time, carried=True)
        return None

    def _facts(
        self, raw: bytes, moment: Moment, at: int, start: int, reference_time: int, *, carried: bool = False
    ) -> tuple[Line, Event] | None:
        if self.source.mta == "opensmtpd":
            raw = opensmtpd_console.with_tag(raw, at)
        blank = raw.find(b" ", at)
        colon = raw.find(b": ", blank)
        if blank < 0 or colon < 0:
            return self._without_tag(raw, moment, at, start, reference_time, carried=carried)
        tag = raw[blank + 1 : colon]
        if b" " in tag or len(tag) > TAG_BYTES_MAX:
            return self._without_tag(raw, moment, at, start, reference_time, carried=carried)
        self._goes_on(moment, reference_time)
        program = self._programs.get(tag) or self._program(tag)
        if isinstance(program, Ignored):
            if not carried and (found := without_host(raw, moment, at)) is not None:
                return self._opened(found, start, reference_time)
            self._ignored(program.rule)
            return None
        if program.bare:
            return self._told(raw, moment, program, at, at, at, start)
        if b"(" in raw[at:blank]:  # no host: a line of Dovecot's own file, and a user's name in it
            self._not_understood("no-tag")
            return None
        return self._told(raw, moment, program, colon + 2, at, blank, start)

    def _goes_on(self, moment: Moment, reference_time: int) -> None:
        """Log time comes to here. A line from the future (a broken clock, a stranger's) must not carry it away."""
        log_time = min(moment.time, reference_time + AHEAD_MAX)
        if self.newest_time is None or log_time > self.newest_time:
            self.newest_time = log_time

    def _told(
        self, raw: bytes, moment: Moment, program: Program, text_at: int, host_at: int, host_end: int, start: int
    ) -> tuple[Line, Event] | None:
        """What a program's text says; the host stands between `host_at` and `host_end`."""
        try:
            event = program.parse(program.daemon, program.pid, raw[text_at:])
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
        named = raw[host_at:host_end]
        host = self._hosts.get(named) or self._host_of(named)
        n = self._count(raw, moment.time // SECOND)
        if self.shortcuts is not None and program.parse is self.shortcuts.parse:
            self._remember(raw[host_at:text_at], Place(host, program))
        return Line(raw, self.source.name, start, moment, host, program.instance, program.mta, n), event

    def _remember(self, begin: bytes, place: Place) -> None:
        """Keep a place by what stands between stamp and process id, as the shortcuts cut it out."""
        key, bracket, _ = begin.partition(b"[")
        if bracket and key not in self._places and len(key) <= 2 * _NAME_BYTES_MAX and place.program.pid.isdigit():
            name = key.rpartition(b" ")[2]
            if len(name) > _NAME_BYTES_MAX:
                return
            if len(self._places) >= _PLACES_MAX:
                self._places.clear()
            self._places[key] = place

    def _without_tag(
        self, raw: bytes, moment: Moment, at: int, start: int, reference_time: int, *, carried: bool
    ) -> tuple[Line, Event] | None:
        """A time, and no `host tag: ` behind it.

        The line of a container, a line without a host, or talk of the syslog daemon itself; `message repeated` stands
        for lines that are not there.
        """
        if not carried:
            found = without_host(raw, moment, at) or self._wrapped.open(raw, reference_time)
            if found != NO_HEADER:
                return self._opened(found, start, reference_time)
        blank = raw.find(b" ", at)
        if blank >= 0 and raw.startswith(_REPEATED, blank + 1):
            self._lost("message-repeated", 1)
            self.tally.lines_understood += 1
        else:
            self._not_understood("no-tag")
        return None

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
        host = self._host or ("" if raw == b"-" else raw.decode("utf-8", "backslashreplace"))
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
