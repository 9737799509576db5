"""Outbox to Kafka, in transactions: records, coverage and the agent's position become visible together or not at all.

At start, and after every failed or fenced transaction, in this order:
1. A new producer with transactional.id = agent_id; init_transactions ends what an earlier one left open and fences it.
2. The position is read back, committed records only, up to the end as it was after 1.
3. It must be ours: same outbox_id, and a frame of this outbox that ends where it says, with the same last record.
   Otherwise the agent ends with exit 2 and names both; two agents never write under one name.
4. Publishing goes on behind that frame.
Nothing is decided from what this process believed before the failure.
"""

import json
import threading
import time
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, Final

from confluent_kafka import Consumer, KafkaError, KafkaException, Message, Producer, TopicPartition

from infra.platform import logging, metrics
from infra.platform.durable import write_atomically
from infra.platform.errors import UnreachableError
from infra.platform.kafka import LIBRARY_LOG, consumer_config, producer_config
from infra.platform.settings import Kafka
from infra.platform.steps import reached
from producers.errors import ForeignPositionError
from producers.outbox import Frame, Outbox
from schemas import avro, topics

TRANSACTION_SECONDS_MAX: Final = 1.0
TRANSACTION_RECORDS_MAX: Final = 20_000
TRANSACTION_TIMEOUT_SECONDS: Final = 10.0
PAUSE_SECONDS_MAX: Final = 5.0
HINT_SECONDS: Final = 10.0
_LOG = logging.get("agent")


@dataclass(frozen=True, slots=True)
class Position:
    """What Kafka holds of an agent: schemas/avro/agent_position.v1.avsc, and the offset at which it stands."""

    agent_epoch: int
    outbox_id: bytes
    last_sequence: int
    last_record_id: bytes | None
    last_coverage_sequence: int
    frame_end: int
    sources: dict[str, dict[str, Any]]
    kafka_offset: int


class Publisher:
    """Publishes one outbox in a thread of its own; `published_end` and `failure` may be read from outside."""

    def __init__(self, kafka: Kafka, outbox: Outbox) -> None:
        """Nothing is connected yet."""
        self._kafka = kafka
        self._outbox = outbox
        self._agent_id = outbox.identity.agent_id
        self._sources: dict[str, dict[str, Any]] = {}  # position of each stream, as far as published
        self._position_offset = _hint(outbox)
        self._hint_written = 0.0
        self._wake = threading.Event()
        self.published_end = outbox.start
        self.failure: Exception | None = None
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="publisher", daemon=True)

    def wake(self) -> None:
        """Say that more is durable."""
        self._wake.set()

    def start(self) -> None:
        """Begin publishing in a thread."""
        self._thread.start()

    def end(self) -> None:
        """Stop publishing; returns when the transaction in hand has ended, in bounded time."""
        self._stop.set()
        self._wake.set()
        self._thread.join(3 * TRANSACTION_TIMEOUT_SECONDS)

    def _run(self) -> None:
        """Publish until told to stop; an error that ends the agent is left in `failure`."""
        pause = 0.2
        while not self._stop.is_set():
            try:
                producer = self._begin()
                pause = 0.2
                while not self._stop.is_set():
                    self._transaction(producer)
                    if self.drained():
                        self._wake.wait(0.5)
                        self._wake.clear()
            except (KafkaException, UnreachableError) as error:
                reason = _reason(error)
                metrics.PUBLISH_FAILURES.labels(reason).inc()
                _LOG.warning("publishing begins again", reason=reason, pause_seconds=pause)
                self._stop.wait(pause)
                pause = min(2 * pause, PAUSE_SECONDS_MAX)
            except Exception as error:  # handed to the main thread, which raises it
                self.failure = error
                return
        self._write_hint(force=True)

    def drained(self) -> bool:
        """Whether all that is durable is in Kafka."""
        return self.published_end == self._outbox.durable_end

    def _begin(self) -> Producer:
        """Steps 1 to 4 of the module's list."""
        producer = open_producer(self._kafka, self._agent_id)  # 1
        position = read_position(self._kafka, self._agent_id, self._position_offset or 0)  # 2
        self._check_ours(position)  # 3
        if position is not None and position.outbox_id == self._outbox.identity.outbox_id:  # 4
            self.published_end = position.frame_end
            self._sources = position.sources
            self._position_offset = position.kafka_offset
        _LOG.info("publishing", agent_id=self._agent_id, frame_end=self.published_end)
        return producer

    def _check_ours(self, position: Position | None) -> None:
        who = self._outbox.identity
        if position is None:
            if self._position_offset is None and self._outbox.start == 0:
                return
            raise ForeignPositionError(
                f"Kafka holds no position of agent {who.agent_id}, but its outbox has published before.",
                "If the topics were made anew, start with --new-outbox; else check kafka.bootstrap_servers.",
            )
        if position.agent_epoch == who.agent_epoch - 1 and self._position_offset is None:
            return  # made with --new-outbox, nothing published yet
        if position.outbox_id != who.outbox_id:
            raise ForeignPositionError(
                f"Agent {who.agent_id} has published from outbox {position.outbox_id.hex()} (epoch "
                f"{position.agent_epoch}); this outbox is {who.outbox_id.hex()} (epoch {who.agent_epoch}).",
                "Another agent uses this agent.agent_id: give each its own. If the other outbox is lost for ever, "
                "start this one with --new-outbox.",
            )
        frame = self._outbox.frame_ending_at(position.frame_end)
        if (
            frame is None
            or frame["next_sequence"] - 1 != position.last_sequence
            or (frame["last_record_id"] != (position.last_record_id or b""))
        ):
            raise ForeignPositionError(
                f"Agent {who.agent_id} has published up to sequence {position.last_sequence}, which the outbox "
                f"{self._outbox.folder} does not hold.",
                "It was restored from an older copy, or copied to a second host: stop the other agent, or start this "
                "one with --new-outbox.",
            )

    def _transaction(self, producer: Producer) -> None:
        """Publish the next frames, at most one second of them; nothing when there are none."""
        deadline = time.monotonic() + TRANSACTION_SECONDS_MAX
        last: Frame | None = None
        end, records = self.published_end, 0
        for frame, frame_end in self._outbox.frames(self.published_end):
            if last is None:
                producer.begin_transaction()
            for framed in frame["records"]:
                self._produce(producer, topics.ENVELOPE.name, framed)
            for framed in frame["coverage"]:
                self._produce(producer, topics.COVERAGE.name, framed)
            if frame["kind"] == "CHUNK":
                self._sources[frame["source_name"]] = _source_position(frame)
            last, end = frame, frame_end
            records += len(frame["records"])
            if records >= TRANSACTION_RECORDS_MAX or time.monotonic() > deadline:
                break
        if last is None:
            return
        self._produce(producer, topics.AGENT_POSITION.name, self._position(last, end), self._position_delivered)
        reached("agent.produced")
        producer.commit_transaction(TRANSACTION_TIMEOUT_SECONDS)
        reached("agent.committed")
        self.published_end = end
        metrics.PUBLISHED.inc(records)
        metrics.OUTBOX_UNPUBLISHED_BYTES.set(self._outbox.durable_end - end)
        self._write_hint()

    def _produce(self, producer: Producer, topic: str, framed: bytes, delivered: Any = None) -> None:
        while True:
            try:
                producer.produce(topic, framed, key=self._agent_id, on_delivery=delivered)
            except BufferError:
                producer.poll(0.1)  # librdkafka's queue is full: wait for deliveries
                continue
            return

    def _position(self, frame: Frame, end: int) -> bytes:
        who = self._outbox.identity
        return avro.encode(
            avro.AGENT_POSITION_V1,
            {
                "agent_id": who.agent_id,
                "agent_epoch": who.agent_epoch,
                "outbox_id": who.outbox_id,
                "last_sequence": frame["next_sequence"] - 1,
                "last_record_id": frame["last_record_id"] or None,
                "last_coverage_sequence": frame["next_coverage_sequence"] - 1,
                "frame_end": end,
                "sources": list(self._sources.values()),
            },
        )

    def _position_delivered(self, error: KafkaError | None, message: Message) -> None:
        if error is None:
            self._position_offset = message.offset()

    def _write_hint(self, *, force: bool = False) -> None:
        if force or time.monotonic() - self._hint_written > HINT_SECONDS:
            document = {"frame_end": self.published_end, "position_offset": self._position_offset}
            self._hint_written = time.monotonic()
            with suppress(OSError):  # a hint: without it the position topic is read from its start
                write_atomically(self._outbox.folder / "published.json", json.dumps(document).encode())


def open_producer(kafka: Kafka, agent_id: str) -> Producer:
    """A transactional producer that has fenced every earlier one of this agent. KafkaException when that fails."""
    config = producer_config(kafka, agent_id) | {
        "transactional.id": agent_id,
        "transaction.timeout.ms": round(TRANSACTION_TIMEOUT_SECONDS * 1000),
        "delivery.timeout.ms": round(TRANSACTION_TIMEOUT_SECONDS * 1000),
    }
    producer = Producer(config, logger=LIBRARY_LOG)
    producer.init_transactions(kafka.request_timeout_seconds)
    return producer


def read_position(kafka: Kafka, agent_id: str, start: int = 0) -> Position | None:
    """The newest committed position of this agent at or after `start`; None when there is none.

    Blocks until the log is read up to its end as of now, at most some seconds for other agents' open transactions.
    UnreachableError when no broker answers or the topic is not there.
    """
    name = topics.AGENT_POSITION.name
    wait = kafka.request_timeout_seconds
    end = _end_offset(kafka, agent_id, name)
    config = consumer_config(kafka, agent_id, "liucun-agent-position") | {"enable.partition.eof": True}
    consumer = Consumer(config, logger=LIBRARY_LOG)
    try:
        consumer.assign([TopicPartition(name, 0, min(start, end))])
        found: Position | None = None
        deadline = time.monotonic() + wait + TRANSACTION_TIMEOUT_SECONDS
        while time.monotonic() < deadline:
            message = consumer.poll(0.2)
            if message is None:
                continue
            error = message.error()
            if error is None:
                if message.key() == agent_id.encode():
                    found = _decoded(message)
            elif error.code() != KafkaError._PARTITION_EOF:
                raise KafkaException(error)
            elif (message.offset() or 0) >= end:
                return found
    finally:
        consumer.close()
    raise UnreachableError("The position topic could not be read to its end in time.", "Look at the brokers.")


def _end_offset(kafka: Kafka, agent_id: str, topic: str) -> int:
    """The high watermark, which counts open transactions too (a read-committed consumer is told less)."""
    config = consumer_config(kafka, agent_id, "liucun-agent-position") | {"isolation.level": "read_uncommitted"}
    consumer = Consumer(config, logger=LIBRARY_LOG)
    try:
        _, end = consumer.get_watermark_offsets(TopicPartition(topic, 0), timeout=kafka.request_timeout_seconds)
        return int(end)
    finally:
        consumer.close()


def _decoded(message: Message) -> Position:
    value, offset = message.value(), message.offset()
    assert value is not None
    assert offset is not None
    _, record = avro.decode(value)
    record.pop("agent_id")
    sources = {source["source_name"]: source for source in record.pop("sources")}
    return Position(**record, sources=sources, kafka_offset=offset)


def _source_position(frame: Frame) -> dict[str, Any]:
    return {
        "source_name": frame["source_name"],
        "fingerprint": frame["fingerprint"],
        "fingerprint_bytes": frame["fingerprint_bytes"],
        "offset": frame["to_offset"],
        "stream_position": frame["stream_position"],
    }


def _hint(outbox: Outbox) -> int | None:
    """Where this agent's last position stands in Kafka, as far as known."""
    try:
        offset = json.loads((outbox.folder / "published.json").read_bytes())["position_offset"]
    except (OSError, ValueError, KeyError, TypeError):
        return None
    return offset if isinstance(offset, int) else None


def _reason(error: Exception) -> str:
    """A word of a closed set for logs and metrics."""
    if isinstance(error, KafkaException) and error.args and isinstance(error.args[0], KafkaError):
        return error.args[0].name()
    return getattr(error, "reason", type(error).__name__)
