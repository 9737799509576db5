"""The peer of `benchmarks.load`: consume, decode with fastavro, insert columns. At most once, and no rules.

python -m benchmarks.naive_loader BOOTSTRAP PORT PASSWORD COUNT
"""

import sys

import clickhouse_connect
from confluent_kafka import Consumer

from infra.platform.clock import to_datetime
from schemas import avro, topics
from schemas.envelope import FIELDS, IP_FIELDS, TIME_FIELDS, ip_text

ROWS_A_BATCH = 20_000


def main(bootstrap: str, port: str, password: str, count: str) -> None:
    """Load `count` messages."""
    consumer = Consumer(
        {
            "bootstrap.servers": bootstrap,
            "group.id": f"naive-{port}-{id(sys)}",
            "auto.offset.reset": "earliest",
            "enable.auto.commit": False,
        }
    )
    consumer.subscribe([topics.ENVELOPE.name])
    client = clickhouse_connect.get_client(
        host="127.0.0.1", port=int(port), username="liucun_loader", password=password, database="liucun"
    )
    left, rows = int(count), []
    while left:
        for message in consumer.consume(10_000, 0.2):
            value = message.value()
            if message.error() is None and value is not None:
                rows.append(_row(value))
                left -= 1
        if rows and (len(rows) >= ROWS_A_BATCH or not left):
            client.insert("envelope", rows, ["topic_epoch", "schema_id", "kafka_partition", "stored_time",
                                             "kafka_offset", *FIELDS, "kafka_offset_fence"])  # fmt: skip
            rows = []
    consumer.close()


def _row(value: bytes) -> list[object]:
    _, record = avro.decode(value)
    for name in TIME_FIELDS:
        if record[name] is not None:
            record[name] = to_datetime(record[name])
    for name in IP_FIELDS:
        if record[name] is not None:
            record[name] = ip_text(record[name])
    return [bytes(16), avro.ENVELOPE_V1, 0, to_datetime(0), 0, *(record[name] for name in FIELDS), 0]


if __name__ == "__main__":
    main(*sys.argv[1:])
