"""How far behind the loader is: per partition, in records and in seconds."""

from typing import Any

from confluent_kafka import Consumer, KafkaException, TopicPartition

from consumers.load import STREAMS
from infra.platform import metrics
from infra.platform.clock import SECOND, Clock
from infra.platform.errors import UnreachableError
from infra.platform.kafka import LIBRARY_LOG, consumer_config
from infra.platform.settings import Settings


def lag(settings: Settings, clock: Clock) -> list[dict[str, Any]]:
    """One entry a partition: committed offset (null = none yet), end, records behind, age of the oldest in seconds.

    The commit of a batch in hand stands at its first offset, so it counts as not loaded. UnreachableError.
    """
    config = consumer_config(settings.kafka, "liucun-lag", settings.loader.group_id) | {"enable.partition.eof": True}
    timeout = settings.kafka.request_timeout_seconds
    consumer = Consumer(config, logger=LIBRARY_LOG)
    out: list[dict[str, Any]] = []
    try:
        for stream in STREAMS:
            numbers = consumer.list_topics(stream.topic.name, timeout=timeout).topics[stream.topic.name].partitions
            partitions = [TopicPartition(stream.topic.name, number) for number in sorted(numbers)]
            committed = consumer.committed(partitions, timeout=timeout)
            out += [_of(consumer, position, clock, timeout) for position in committed]
    except KafkaException as error:
        raise UnreachableError(
            f"Kafka did not tell the lag ({error.args[0].name()}).", "Check kafka.bootstrap_servers."
        ) from None
    finally:
        consumer.close()
    return out


def _of(consumer: Consumer, position: TopicPartition, clock: Clock, timeout: float) -> dict[str, Any]:
    low, high = consumer.get_watermark_offsets(position, timeout=timeout)
    committed = position.offset if position.offset >= 0 else None
    start = low if committed is None else max(committed, low)
    age = _age(consumer, position, start, high, clock, timeout) if start < high else None
    behind = 0 if age is None else high - start
    age = age or 0.0
    metrics.LAG_RECORDS.labels(position.topic, position.partition).set(behind)
    metrics.LAG_SECONDS.labels(position.topic, position.partition).set(age)
    return {
        "topic": position.topic,
        "partition": position.partition,
        "committed": committed,
        "end": high,
        "lag_records": behind,
        "lag_seconds": round(age, 3),
    }


def _age(
    consumer: Consumer, position: TopicPartition, start: int, high: int, clock: Clock, timeout: float
) -> float | None:
    """Age of the first message at or behind `start`; None when only control records of transactions stand there."""
    consumer.assign([TopicPartition(position.topic, position.partition, start)])
    message = consumer.poll(min(timeout, 2.0))
    consumer.unassign()
    if message is None or message.error() is not None or (message.offset() or 0) >= high:
        return None
    return max(0.0, clock.now() / SECOND - message.timestamp()[1] / 1000)
