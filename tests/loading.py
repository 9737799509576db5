"""What tests of the loader's failures do again and again: records put into Kafka, what the book says, the last word."""

import json
import signal
import time
from pathlib import Path
from typing import Any

import pytest
from confluent_kafka import Consumer, TopicPartition
from confluent_kafka.admin import AdminClient

from infra.platform.clickhouse import connect
from infra.platform.clock import DAY, HOUR, SystemClock
from infra.platform.settings import Settings
from schemas import topics
from tests.pipeline import Program, envelope, exactly_once, publish, rows, run, until

NOW = SystemClock().now()


def long(value: Any) -> Any:
    """A parameter for `make test-long` only: another one of its kind stands in `make test`."""
    return pytest.param(value, marks=pytest.mark.long)


def put(settings: Settings, first: int, number: int, *, days: int = 1, key: str = "test") -> None:
    """Envelopes with these sequences, over so many days."""
    publish(settings, [envelope(at, NOW - HOUR - (at % days) * DAY) for at in range(first, first + number)], key=key)


def booked(settings: Settings) -> int:
    """Messages of all batches in the book."""
    found: int = rows(settings, "SELECT sum(record_count) FROM (SELECT DISTINCT * FROM batch)")[0][0]
    return found


def settled(
    settings: Settings, file: Path, expected: int, loader: Program | None = None, rows_expected: int | None = None
) -> None:
    """Let a loader come to the end; then nothing is missing, nothing is there twice, and verify says so."""
    loader = loader or Program(file, "consumer", "run")
    until(lambda: booked(settings) >= expected, 120)
    until(lambda: listens(loader))
    assert loader.stop() == 0, loader.said()
    exactly_once(settings, expected if rows_expected is None else rows_expected)
    report = json.loads(run(file, "consumer", "verify", "--json").stdout)
    assert report["ok"], report


def listens(program: Program) -> bool:
    """Whether it takes SIGTERM for a request: what has just been started may not yet."""
    status = Path(f"/proc/{program.process.pid}/status").read_text()
    caught = next(line for line in status.splitlines() if line.startswith("SigCgt"))
    return bool(int(caught.split()[1], 16) >> (signal.SIGTERM - 1) & 1)


def as_migrator(settings: Settings, *statements: str) -> None:
    """Changes of a table, as an operator makes them."""
    client = connect(settings.clickhouse, settings.clickhouse.migrator)
    for statement in statements:
        client.command(statement)
    client.close()


def forget_group(settings: Settings, *, move_to: int | None = None) -> None:
    """Delete the group's commits, once it is empty; or move them all."""
    admin = AdminClient({"bootstrap.servers": settings.kafka.bootstrap_servers})
    group = settings.loader.group_id

    def empty() -> bool:
        (described,) = admin.describe_consumer_groups([group]).values()
        return not described.result().members

    until(empty, 60)
    if move_to is None:
        for done in admin.delete_consumer_groups([group]).values():
            done.result()
        return
    consumer = Consumer({"bootstrap.servers": settings.kafka.bootstrap_servers, "group.id": group})
    numbers = consumer.list_topics(topics.ENVELOPE.name, timeout=10).topics[topics.ENVELOPE.name].partitions
    consumer.commit(
        offsets=[TopicPartition(topics.ENVELOPE.name, number, move_to) for number in numbers], asynchronous=False
    )
    consumer.close()


def stopped(program: Program) -> bool:
    """Whether the kernel holds it."""
    status = Path(f"/proc/{program.process.pid}/stat").read_text()
    return status.rpartition(")")[2].split()[0] == "T"


class Profile:
    """Other defaults of the loader's profile, for a while."""

    def __init__(self, settings: Settings, values: str) -> None:
        folder = settings.clickhouse.loader.password_file
        assert folder is not None
        self._file = folder.parents[1] / "users.d" / "zz-test.xml"
        self._text = f"<clickhouse><profiles><liucun_writer>{values}</liucun_writer></profiles></clickhouse>"
        self._settings = settings

    def __enter__(self) -> None:
        self._file.write_text(self._text)
        time.sleep(3)  # the server looks for changed files every two seconds

    def __exit__(self, *_: object) -> None:
        self._file.unlink()
        time.sleep(3)
