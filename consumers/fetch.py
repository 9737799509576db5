"""Kafka to batches: group membership, explicit offsets, and where to go on.

Where a partition begins when it is assigned. The store's book is the truth; a commit tells what was on its way:
1. A commit with an intent that follows on the book: exactly that batch again. Another topic epoch, or another count,
   stops the loader.
2. Else behind the last batch that the store knows of this topic epoch, else at the log's start. A commit without an
   intent stands there too. Where it does not, or an intent does not follow on the book, offsets were reset, the topic
   was made anew, Kafka forgot its commits, or the store was restored from a backup: then the table is asked, and
   offsets that it holds are not inserted again.
Nothing is ever left to auto.offset.reset.
"""

import threading
import time
from dataclasses import dataclass
from typing import Final, NamedTuple, Protocol

from confluent_kafka import OFFSET_INVALID, Consumer, KafkaError, KafkaException, TopicCollection, TopicPartition
from confluent_kafka import Message as KafkaMessage
from confluent_kafka.admin import AdminClient

from consumers import intent as intents
from consumers.batch import Batch, Gathering, Message, Partition
from consumers.errors import ConsumerError, IntentDisagreesError, PartitionLostError
from consumers.intent import Intent
from infra.platform import logging, metrics
from infra.platform.errors import UnreachableError
from infra.platform.kafka import LIBRARY_LOG, client_config, consumer_config
from infra.platform.settings import Settings

CONSUME_MESSAGES_MAX: Final = 10_000
CONSUME_SECONDS: Final = 0.05
MAX_POLL_INTERVAL_SECONDS: Final = 900  # longer than any insert with its retries may keep the loop
_LOST: Final = frozenset(
    {
        KafkaError.ILLEGAL_GENERATION,
        KafkaError.UNKNOWN_MEMBER_ID,
        KafkaError.REBALANCE_IN_PROGRESS,
        KafkaError.FENCED_INSTANCE_ID,
        KafkaError._ASSIGNMENT_LOST,
        KafkaError._STATE,
        KafkaError._UNKNOWN_PARTITION,
    }
)
_LOG = logging.get("loader")


class Stored(Protocol):
    """What the store knows of a partition."""

    def next_offset(self, partition: Partition) -> int | None:
        """The offset behind the last batch in the book of this topic epoch."""
        ...

    def newest_offset(self, partition: Partition) -> int | None:
        """The newest offset in the table. Slow."""
        ...


class Fetched(NamedTuple):
    """A closed batch, its intent when it is a repetition, and whether rows of it may be in the store already, put
    there under other bounds."""

    batch: Batch
    replay: Intent | None
    perhaps_stored: bool


@dataclass(slots=True)
class Assigned:
    """A partition that this loader has: what it gathers, the intent that it must repeat first, and how far rows of
    it may be in the store although nothing says so."""

    gathering: Gathering
    replay: Intent | None
    perhaps_stored_through: int = -1


class Fetcher:
    """A member of the consumer group. Callbacks run inside `next_batch`."""

    def __init__(self, settings: Settings, topics: list[str], stored: Stored) -> None:
        """Nothing is connected yet."""
        self._bounds = settings.loader
        self._timeout = settings.kafka.request_timeout_seconds
        self._topics = topics
        self._stored = stored
        self._assigned: dict[Partition, Assigned] = {}
        self._admin = AdminClient(client_config(settings.kafka, "liucun-loader"), logger=LIBRARY_LOG)
        config = consumer_config(settings.kafka, "liucun-loader", settings.loader.group_id) | {
            "partition.assignment.strategy": "cooperative-sticky",
            "session.timeout.ms": settings.loader.session_timeout_seconds * 1000,
            "heartbeat.interval.ms": settings.loader.session_timeout_seconds * 200,
            "max.poll.interval.ms": MAX_POLL_INTERVAL_SECONDS * 1000,
        }
        self._consumer = Consumer(config, logger=LIBRARY_LOG)
        self.cluster_id = ""
        self.epochs: dict[str, bytes] = {}

    def start(self, stop: threading.Event) -> None:
        """Learn the topics' ids and join the group. Waits for the brokers; UnreachableError when told to stop."""
        pause = 0.5
        while not self._learn():
            _LOG.warning("Kafka does not answer, or lacks a topic; waiting", pause_seconds=pause)
            if stop.wait(pause):
                raise UnreachableError(
                    "Kafka did not answer.", "Check kafka.bootstrap_servers; `liucun schema migrate`."
                )
            pause = min(2 * pause, 5.0)
        self._consumer.subscribe(
            self._topics, on_assign=self._on_assign, on_revoke=self._on_revoke, on_lost=self._on_revoke
        )

    def next_batch(self) -> Fetched | None:
        """A closed batch; None when none is ready within CONSUME_SECONDS. UnreachableError when Kafka is away."""
        try:
            messages = self._consumer.consume(CONSUME_MESSAGES_MAX, CONSUME_SECONDS)
        except KafkaException as error:  # from a callback: where to go on could not be asked
            raise _away(error) from None
        for message in messages:
            self._take(message)
        now = time.monotonic()
        held = sum(assigned.gathering.size_bytes for assigned in self._assigned.values())
        for partition, assigned in self._assigned.items():
            gathering = assigned.gathering
            full = held >= self._bounds.batch_bytes_max and gathering.until is None and bool(gathering.messages)
            if full or gathering.ready(self._bounds, now):
                # The next round begins behind this partition, so that a busy one does not starve the others.
                self._assigned[partition] = self._assigned.pop(partition)
                return self._close(assigned)
        return None

    def commit(self, partition: Partition, offset: int, intent: Intent | None) -> None:
        """Commit and wait for it. PartitionLostError when the partition is not ours any more."""
        metadata = intent.to_metadata() if intent else ""
        position = TopicPartition(partition.topic, partition.number, offset, metadata)
        deadline = time.monotonic() + 6 * self._timeout
        while True:
            try:
                (done,) = self._consumer.commit(offsets=[position], asynchronous=False)
                if done.error is not None:
                    raise KafkaException(done.error)
            except KafkaException as error:
                code = error.args[0].code()
                if code in _LOST:
                    raise PartitionLostError("The partition went to another loader.") from None
                if time.monotonic() > deadline:
                    raise UnreachableError("Kafka did not take a commit.", "Look at the brokers.") from None
                _LOG.warning("a commit failed; trying again", reason=error.args[0].name())
                time.sleep(0.5)
                continue
            return

    def give_back(self, partition: Partition, offset: int) -> None:
        """Read this partition again from `offset`."""
        assigned = self._assigned.get(partition)
        if assigned is not None:
            assigned.gathering = Gathering(partition, offset)
            self._consumer.seek(TopicPartition(partition.topic, partition.number, offset))

    def drop(self, partition: Partition) -> None:
        """Let a partition go whose batch could not be committed; if it is still ours, begin with it again.

        While a group rebalances, Kafka takes no commits, also not for partitions that stay where they are, and no
        callback tells of those. UnreachableError when Kafka does not say where to go on.
        """
        self._assigned.pop(partition, None)
        here = TopicPartition(partition.topic, partition.number)
        try:
            if here in self._consumer.assignment():
                (position,) = self._consumer.committed([here], timeout=self._timeout)
                self._assigned[partition] = self._begin(self._consumer, partition, position)
                self._consumer.seek(TopicPartition(partition.topic, partition.number, position.offset))
        except KafkaException as error:
            raise _away(error) from None

    def is_ours(self, partition: Partition) -> bool:
        """Whether the partition is assigned to this loader, as far as it knows."""
        return partition in self._assigned

    def close(self) -> None:
        """Leave the group."""
        self._consumer.close()

    def _learn(self) -> bool:
        try:
            self.cluster_id = self._admin.list_topics(timeout=self._timeout).cluster_id or ""
            self.epochs = topic_epochs(self._admin, self._topics, self._timeout)
        except KafkaException:
            return False
        return True

    def _take(self, message: KafkaMessage) -> None:
        error = message.error()
        if error is not None:
            self._handle(error)
            return
        topic, number, offset, value = message.topic(), message.partition(), message.offset(), message.value()
        assert topic is not None
        assert number is not None
        assert offset is not None
        assigned = self._assigned.get(Partition(topic, number))
        if assigned is not None:
            assigned.gathering.add(Message(offset, value or b""))

    def _handle(self, error: KafkaError) -> None:
        """An error instead of a message. Brokers that are away come back; a lost offset never does."""
        if error.code() in (KafkaError._AUTO_OFFSET_RESET, KafkaError.OFFSET_OUT_OF_RANGE):
            raise ConsumerError(
                "Kafka no longer holds the offset at which a partition must go on.",
                "Records were deleted before they were loaded: run `liucun consumer verify`, see docs/runbook.",
            )
        _LOG.warning("Kafka", reason=error.name())

    def _close(self, assigned: Assigned) -> Fetched:
        batch = assigned.gathering.take(self._bounds)
        replay, assigned.replay = assigned.replay, None
        if replay is not None and (batch.first, batch.last, len(batch.messages)) != (
            replay.first,
            replay.last,
            replay.count,
        ):
            raise IntentDisagreesError(
                f"Partition {batch.partition.number} of {batch.partition.topic}: the stored intent names "
                f"{replay.count} messages from {replay.first} to {replay.last}; Kafka gives {len(batch.messages)} "
                f"from {batch.first} to {batch.last}.",
                "Records were deleted or offsets reset: see docs/runbook before doing anything.",
            )
        return Fetched(batch, replay, batch.first <= assigned.perhaps_stored_through)

    def _on_assign(self, consumer: Consumer, partitions: list[TopicPartition]) -> None:
        committed = consumer.committed(partitions, timeout=self._timeout)
        for position in committed:
            partition = Partition(position.topic, position.partition)
            self._assigned[partition] = self._begin(consumer, partition, position)
        positions = [TopicPartition(position.topic, position.partition, position.offset) for position in committed]
        consumer.incremental_assign(positions)
        _LOG.info("assigned", partitions=[f"{position.topic}/{position.partition}" for position in positions])

    def _begin(self, consumer: Consumer, partition: Partition, position: TopicPartition) -> Assigned:
        """Set `position.offset` by the module's rules."""
        if position.error is not None:
            raise KafkaException(position.error)
        committed = position.offset if position.offset != OFFSET_INVALID and position.offset >= 0 else None
        replay = self._intent(partition, position) if committed is not None else None
        low, _ = consumer.get_watermark_offsets(TopicPartition(*partition), timeout=self._timeout)
        booked = self._stored.next_offset(partition)
        if replay is not None and _follows(replay, booked, low):  # 1
            return Assigned(Gathering(partition, replay.after, until=replay.last), replay)
        position.offset = low if booked is None else max(booked, low)  # 2
        gathering = Gathering(partition, position.offset)
        if committed == booked == position.offset and replay is None:
            return Assigned(gathering, None)
        if (committed, booked) != (None, None):
            _LOG.warning(
                "Kafka's commit and the store's book disagree; the table is asked what it holds",
                topic=partition.topic,
                partition=partition.number,
                committed=committed,
                booked=booked,
                first_in_kafka=low,
            )
        if booked is not None and low > booked:
            self._gone(partition, booked, low)
        newest = self._stored.newest_offset(partition)
        return Assigned(gathering, None, -1 if newest is None else newest)

    def _gone(self, partition: Partition, booked: int, low: int) -> None:
        """Kafka deleted what was not loaded: records, or only the marker behind the last transaction of a quiet topic.

        Which of the two, sequences tell (`consumer verify`). What is still there is loaded before it goes too.
        """
        metrics.OFFSETS_GONE.labels(partition.topic).inc(low - booked)
        _LOG.error(
            "Kafka has deleted offsets that were not loaded; run `liucun consumer verify`",
            topic=partition.topic,
            partition=partition.number,
            first=booked,
            last=low - 1,
        )

    def _intent(self, partition: Partition, position: TopicPartition) -> Intent | None:
        try:
            replay = intents.from_metadata(position.metadata)
        except ValueError as error:
            raise IntentDisagreesError(
                f"Partition {partition.number} of {partition.topic} has an intent that this version does not "
                f"understand: {error}.",
                "Let the version that wrote it finish, or see docs/runbook.",
            ) from None
        if replay is not None and replay.topic_epoch != self.epochs[partition.topic]:
            raise IntentDisagreesError(
                f"{partition.topic} was made anew since partition {partition.number}'s intent was stored.",
                "See docs/runbook before doing anything.",
            )
        return replay

    def _on_revoke(self, consumer: Consumer, partitions: list[TopicPartition]) -> None:
        for position in partitions:
            self._assigned.pop(Partition(position.topic, position.partition), None)
        consumer.incremental_unassign(partitions)
        _LOG.info("revoked", partitions=[f"{position.topic}/{position.partition}" for position in partitions])


def _follows(replay: Intent, booked: int | None, low: int) -> bool:
    """Whether an intent is for the batch that comes next by the book, or for the last one in it."""
    if booked is None:
        return replay.after <= low
    return replay.after <= booked <= replay.first or booked == replay.last + 1


def _away(error: KafkaException) -> UnreachableError:
    return UnreachableError(
        f"Kafka did not say where a partition goes on ({error.args[0].name()}).", "Nothing is lost; start again."
    )


def topic_epochs(admin: AdminClient, topics: list[str], timeout: float) -> dict[str, bytes]:
    """Kafka's ids of these topics (16 bytes), which change when a topic is deleted and made anew.

    KafkaException when a broker does not answer or a topic is not there.
    """
    described = admin.describe_topics(TopicCollection(topics), request_timeout=timeout)
    out = {}
    for topic, future in described.items():
        uuid = future.result().topic_id
        raw = (uuid.get_most_significant_bits() & (2**64 - 1)).to_bytes(8, "big")
        raw += (uuid.get_least_significant_bits() & (2**64 - 1)).to_bytes(8, "big")
        out[topic] = raw
    return out
