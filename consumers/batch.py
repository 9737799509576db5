"""A batch: one partition, one contiguous range of offsets, bounded in records, bytes and age.

Control records of transactions take offsets that no consumer sees, so a range is its first and last offset and its
count.
"""

import time
from dataclasses import dataclass, field
from typing import NamedTuple

from infra.platform.settings import Loader
from schemas.topics import Topic


class Partition(NamedTuple):
    """A Kafka partition of a topic that is loaded."""

    topic: str
    number: int


class Message(NamedTuple):
    """What the loader needs of a Kafka message."""

    offset: int
    value: bytes


@dataclass(slots=True)
class Batch:
    """A closed batch. `messages` are in offset order and not empty; `after` = where reading of it began: behind the
    batch before, and before `first` by what control records took."""

    partition: Partition
    after: int
    messages: list[Message]

    @property
    def first(self) -> int:
        """Offset of the first message."""
        return self.messages[0].offset

    @property
    def last(self) -> int:
        """Offset of the last message."""
        return self.messages[-1].offset


@dataclass(slots=True)
class Gathering:
    """Messages of one partition from offset `after` on, until their batch closes. `until`: a replayed batch ends there
    and nowhere else."""

    partition: Partition
    after: int
    until: int | None = None
    messages: list[Message] = field(default_factory=list)
    size_bytes: int = 0
    begun: float = 0.0

    def add(self, message: Message) -> None:
        """Take one more message."""
        if not self.messages:
            self.begun = time.monotonic()
        self.messages.append(message)
        self.size_bytes += len(message.value)

    def ready(self, bounds: Loader, now: float) -> bool:
        """Whether the batch is to be closed. A replayed one closes at its end and nowhere else."""
        if not self.messages:
            return False
        if self.until is not None:
            return self.messages[-1].offset >= self.until
        return (
            len(self.messages) >= bounds.batch_records_max
            or self.size_bytes >= bounds.batch_bytes_max
            or now - self.begun >= bounds.batch_age_seconds_max
        )

    def take(self, bounds: Loader) -> Batch:
        """The batch, within its bounds; what is beyond them stays."""
        if self.until is None:
            count = self._within(bounds)
        else:
            count = sum(message.offset <= self.until for message in self.messages)
        taken, self.messages = self.messages[:count], self.messages[count:]
        self.size_bytes = sum(len(message.value) for message in self.messages)
        self.begun = time.monotonic()
        self.until = None
        batch = Batch(self.partition, self.after, taken)
        self.after = batch.last + 1
        return batch

    def _within(self, bounds: Loader) -> int:
        """How many messages stay within both bounds; at least one."""
        size = 0
        for count, message in enumerate(self.messages[: bounds.batch_records_max]):
            size += len(message.value)
            if count and size > bounds.batch_bytes_max:
                return count
        return min(len(self.messages), bounds.batch_records_max)


@dataclass(frozen=True, slots=True)
class Stream:
    """A topic and the table it is loaded into. `timed`: its records have the time rules of envelopes."""

    topic: Topic
    table: str
    timed: bool

    @property
    def subject(self) -> str:
        """Registry subject of the topic's values."""
        return f"{self.topic.name}-value"
