"""What was read and what was recorded, interval by interval: the agent's claim of completeness.

An interval holds records of one legal day, at most RECORDS_MAX of them, and lasts at most SECONDS_MAX; it is also
closed at a rotation and at a stop, and it is written when it is empty. Lines are counted into the interval in which
their chunk ended. The book reads no clock: the same calls give the same records.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final, Literal
from zoneinfo import ZoneInfo

from infra.platform.clock import MINUTE, day_of, start_of_day
from schemas import avro

RECORDS_MAX: Final = 4096
MICROSECONDS_MAX: Final = MINUTE

Closed = Literal["RECORDS", "TIME", "EVENT_DAY", "ROTATION", "STOP"]
_COUNTS: Final = ("lines_ignored", "lines_not_understood", "loss_markers")
_EPOCH_ORDINAL: Final = 719_163  # date(1970, 1, 1).toordinal()


@dataclass(slots=True)
class SourceLines:
    """What was read of one stream in the interval. Positions count bytes over all files of the stream."""

    from_position: int = 0
    to_position: int = 0
    lines_read: int = 0
    lines_understood: int = 0
    lines_ignored: dict[str, int] = field(default_factory=dict)
    lines_not_understood: dict[str, int] = field(default_factory=dict)
    loss_markers: dict[str, int] = field(default_factory=dict)
    captured_through: int | None = None

    def add(self, counts: Mapping[str, Any]) -> None:
        """Add line counts of a chunk (keys as the fields here)."""
        self.lines_read += counts["lines_read"]
        self.lines_understood += counts["lines_understood"]
        for name in _COUNTS:
            mine: dict[str, int] = getattr(self, name)
            for key, count in counts[name].items():
                mine[key] = mine.get(key, 0) + count

    def clear(self) -> None:
        """Begin the next interval where this one ended."""
        self.from_position = self.to_position
        self.lines_read = self.lines_understood = 0
        for name in _COUNTS:
            setattr(self, name, {})


class CoverageBook:
    """The open interval of one agent."""

    def __init__(self, agent_id: str, agent_epoch: int, zone: ZoneInfo, source_names: list[str], now: int) -> None:
        """Begin the first interval at `now`, at sequence 0."""
        self.agent_id = agent_id
        self.agent_epoch = agent_epoch
        self.zone = zone
        self.next_coverage_sequence = 0
        self.first_sequence = 0
        self.record_count = 0
        self.event_day: int | None = None
        self.begun = now
        self.sources = {name: SourceLines() for name in source_names}
        self._day_bounds = (0, 0)
        self._day_number = 0

    def add_record(self, event_time: int, now: int) -> bytes | None:
        """Count one record; the framed coverage record of the interval that had to be closed before it, if one had."""
        day = self._day(event_time)
        closed = None
        if self.record_count == RECORDS_MAX:
            closed = self.close("RECORDS", now)
        elif self.event_day not in (None, day):
            closed = self.close("EVENT_DAY", now)
        self.event_day = day
        self.record_count += 1
        return closed

    def due(self, now: int) -> bool:
        """Whether the interval has lasted its time. True also when the clock went back."""
        return not self.begun <= now < self.begun + MICROSECONDS_MAX

    def close(self, reason: Closed, now: int) -> bytes:
        """End the interval and begin the next; the ended one as a framed coverage record."""
        record = {
            "agent_id": self.agent_id,
            "agent_epoch": self.agent_epoch,
            "coverage_sequence": self.next_coverage_sequence,
            "first_sequence": self.first_sequence,
            "record_count": self.record_count,
            "event_day": self.event_day,
            "from": self.begun,
            "to": now,
            "closed": reason,
            "sources": [
                {
                    "source_name": name,
                    "from_position": source.from_position,
                    "to_position": source.to_position,
                    "lines_read": source.lines_read,
                    "lines_understood": source.lines_understood,
                    "lines_ignored": source.lines_ignored,
                    "lines_not_understood": source.lines_not_understood,
                    "loss_markers": source.loss_markers,
                    "captured_through": source.captured_through,
                }
                for name, source in self.sources.items()
            ],
            "previous_hash": None,
            "leaf_hashes": None,
            "records_root": None,
            "key_id": None,
            "signature": None,
        }
        framed = avro.encode(avro.COVERAGE_V1, record)
        self.next_coverage_sequence += 1
        self.first_sequence += self.record_count
        self.record_count = 0
        self.event_day = None
        self.begun = now
        for source in self.sources.values():
            source.clear()
        return framed

    def state(self) -> dict[str, Any]:
        """Everything as plain JSON values, for a snapshot."""
        return {
            "next_coverage_sequence": self.next_coverage_sequence,
            "first_sequence": self.first_sequence,
            "record_count": self.record_count,
            "event_day": self.event_day,
            "begun": self.begun,
            "sources": {
                name: {key: getattr(source, key) for key in SourceLines.__slots__}
                for name, source in self.sources.items()
            },
        }

    def restore(self, state: Mapping[str, Any]) -> None:
        """Take over a `state`. Streams that are no longer configured stay in it until the interval closes."""
        self.next_coverage_sequence = state["next_coverage_sequence"]
        self.first_sequence = state["first_sequence"]
        self.record_count = state["record_count"]
        self.event_day = state["event_day"]
        self.begun = state["begun"]
        for name, values in state["sources"].items():
            self.sources[name] = SourceLines(**values)

    def go_on_behind(
        self, closed: list[dict[str, Any]], next_sequence: int, last_event_time: int | None, now: int
    ) -> None:
        """Take over what a frame wrote without having seen its lines; their counts stay unknown."""
        for record in closed:
            self.next_coverage_sequence = record["coverage_sequence"] + 1
            self.first_sequence = record["first_sequence"] + record["record_count"]
            self.begun = now
            for source in self.sources.values():
                source.clear()
        self.record_count = next_sequence - self.first_sequence
        if self.record_count == 0:
            self.event_day = None
        elif last_event_time is not None:
            self.event_day = self._day(last_event_time)

    def _day(self, event_time: int) -> int:
        """Days since the epoch of the legal day of a time. Days are long: most hit the last one's bounds."""
        start, end = self._day_bounds
        if not start <= event_time < end:
            day = day_of(event_time, self.zone)
            start = start_of_day(day, self.zone)
            self._day_bounds = (start, start_of_day(day.fromordinal(day.toordinal() + 1), self.zone))
            self._day_number = day.toordinal() - _EPOCH_ORDINAL
        return self._day_number
