"""What cannot be loaded: written to the dead-letter topic, shown masked.

A dead letter always says where the message stands in Kafka, why it was not loaded, its length and its SHA-256. Its
bytes are kept only when its event_time can be read, is not in the future, and lies so far from its limit that this
topic's own retention ends first; so no address outlives the law here.
"""

import time
from collections.abc import Iterator
from hashlib import sha256
from typing import Any, Final, cast

from confluent_kafka import Consumer, KafkaError, KafkaException, Producer, TopicPartition

from consumers.batch import Message, Partition
from consumers.judge import peek_event_time
from infra.ledger.client import LedgerClient
from infra.platform import metrics
from infra.platform.clock import DAY
from infra.platform.errors import UnreachableError
from infra.platform.kafka import LIBRARY_LOG, consumer_config, producer_config
from infra.platform.settings import Kafka
from schemas import avro, envelope, topics

# 14 days in the topic, one in its open segment, one to spare (decided against topics.toml by a test).
RAW_KEPT_BEFORE_LIMIT: Final = 16 * DAY
FLUSH_SECONDS_MAX: Final = 60.0


def record(
    partition: Partition, topic_epoch: bytes, message: Message, reason: str, *, decided_at: int, retention_days: int
) -> dict[str, Any]:
    """The dead letter of one message (schemas/avro/dead_letter.v1.avsc)."""
    value = message.value
    try:
        schema_id = avro.schema_id_of(value)
    except avro.NotFramedError:
        schema_id = None
    event_time = peek_event_time(value) if schema_id == avro.ENVELOPE_V1 else None
    if event_time is not None and not 0 <= event_time <= decided_at + DAY:
        event_time = None  # not to be believed
    limit = retention_days * DAY
    keep = event_time is not None and event_time + limit - decided_at >= RAW_KEPT_BEFORE_LIMIT
    return {
        "topic": partition.topic,
        "topic_epoch": topic_epoch,
        "partition": partition.number,
        "offset": message.offset,
        "reason": reason,
        "decided_time": decided_at,
        "schema_id": schema_id,
        "event_time": event_time,
        "length": len(value),
        "sha256": sha256(value).digest(),
        "raw": value if keep else None,
    }


class DeadLetters:
    """Writes dead letters. Writing the same one twice is harmless: readers go by coordinates."""

    def __init__(self, kafka: Kafka) -> None:
        """Connects at the first dead letter."""
        self._kafka = kafka
        self._producer: Producer | None = None

    def write(self, letters: list[dict[str, Any]]) -> None:
        """Write and wait until the brokers have them all. UnreachableError when they do not take them in time."""
        if not letters:
            return
        if self._producer is None:
            self._producer = Producer(producer_config(self._kafka, "liucun-loader"), logger=LIBRARY_LOG)
        failed: list[KafkaError] = []

        def delivered(error: KafkaError | None, _message: Any) -> None:
            if error is not None:
                failed.append(error)

        for letter in letters:
            key = letter["topic_epoch"] + letter["partition"].to_bytes(4, "big") + letter["offset"].to_bytes(8, "big")
            value = avro.encode(avro.DEAD_LETTER_V1, letter)
            while True:
                try:
                    self._producer.produce(topics.DEAD_LETTER.name, value, key=key, on_delivery=delivered)
                    break
                except BufferError:
                    self._producer.poll(0.1)
        if self._producer.flush(FLUSH_SECONDS_MAX) or failed:
            raise UnreachableError(
                "The brokers did not take the dead letters of a batch.",
                "Look at the brokers; nothing of the batch was committed.",
            )
        for letter in letters:
            metrics.DEAD_LETTERS.labels(letter["reason"]).inc()


def read_all(kafka: Kafka) -> Iterator[dict[str, Any]]:
    """Every dead letter that the topic holds, once each, oldest first within a partition. UnreachableError."""
    name = topics.DEAD_LETTER.name
    config = consumer_config(kafka, "liucun-dead-letter", "liucun-dead-letter-list") | {"enable.partition.eof": True}
    consumer = Consumer(config, logger=LIBRARY_LOG)
    seen: set[tuple[bytes, int, int]] = set()
    try:
        present = consumer.list_topics(name, timeout=kafka.request_timeout_seconds).topics[name].partitions
        starts = []
        for number in present:
            low, _ = consumer.get_watermark_offsets(TopicPartition(name, number), timeout=kafka.request_timeout_seconds)
            starts.append(TopicPartition(name, number, low))
        consumer.assign(starts)
        ended: set[int] = set()
        deadline = time.monotonic() + 10 * kafka.request_timeout_seconds
        while len(ended) < len(present) and time.monotonic() < deadline:
            message = consumer.poll(0.5)
            if message is None:
                continue
            error = message.error()
            if error is not None:
                if error.code() != KafkaError._PARTITION_EOF:
                    raise KafkaException(error)
                ended.add(message.partition() or 0)
                continue
            _, letter = avro.decode(message.value() or b"")
            place = (letter["topic_epoch"], letter["partition"], letter["offset"])
            if place not in seen:
                seen.add(place)
                yield letter
    except KafkaException as error:
        raise UnreachableError(
            f"The dead letters cannot be read ({error.args[0].name()}).", "Check that the brokers run."
        ) from None
    finally:
        consumer.close()


def shown(letter: dict[str, Any]) -> dict[str, Any]:
    """A dead letter for people: coordinates and reason; of its bytes only whether they are kept."""
    return {
        "topic": letter["topic"],
        "topic_epoch": letter["topic_epoch"].hex(),
        "partition": letter["partition"],
        "offset": letter["offset"],
        "reason": letter["reason"],
        "decided_time": letter["decided_time"],
        "schema_id": letter["schema_id"],
        "event_time": letter["event_time"],
        "length": letter["length"],
        "sha256": letter["sha256"].hex(),
        "raw_kept": letter["raw"] is not None,
    }


def masked(letter: dict[str, Any]) -> dict[str, Any]:
    """`shown`, and the fields of the record as far as it decodes: text as its length only, never its letters."""
    out = shown(letter)
    if letter["raw"] is None:
        return out
    try:
        _, fields = avro.decode(letter["raw"])
    except Exception:  # it is a dead letter because something is wrong with it
        return out | {"fields": None}
    return out | {"fields": {name: _masked_value(value) for name, value in fields.items()}}


def revealed(letter: dict[str, Any], ledger: LedgerClient, actor: str, reason: str) -> dict[str, Any]:
    """`shown`, and the record as it is. That it was revealed is COMMITTED before anything of it is returned.

    LedgerUnavailableError: then nothing is shown. `raw` is its bytes in hex; `fields` is None when it does not decode.
    """
    out = shown(letter)
    place = {name: out[name] for name in ("topic", "topic_epoch", "partition", "offset", "sha256")}
    index = ledger.append("DEAD_LETTER_REVEALED", actor, reason=reason, **place)
    out["ledger_index"] = index
    if letter["raw"] is None:
        return out
    fields = None
    try:
        schema_id, record_ = avro.decode(letter["raw"])
        if schema_id == avro.ENVELOPE_V1:
            fields = envelope.json_object(cast(envelope.Envelope, record_))
    except Exception:  # noqa: S110  (it is a dead letter because something is wrong with it)
        pass
    return out | {"fields": fields, "raw": letter["raw"].hex()}


def _masked_value(value: Any) -> Any:
    if isinstance(value, (str, bytes, list)):
        return f"{type(value).__name__} of {len(value)}"
    return value
