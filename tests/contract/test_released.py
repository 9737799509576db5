"""What was released is never edited: schemas by their bytes, ids by their subjects, topics by their rules."""

import hashlib
import json
from pathlib import Path

import pytest

from infra.ops import check
from infra.platform.settings import Kafka
from schemas import avro, files, topics

GOLDEN = Path(__file__).with_name("released.json")
DAY_MS = 86_400_000


def _now() -> dict[str, str]:
    """SHA-256 of every contract file that a running installation has taken over."""
    found = {}
    for folder, suffix in (("avro", ".avsc"), ("clickhouse", ".sql")):
        for name in files.names(folder, suffix):
            found[f"{folder}/{name}"] = hashlib.sha256(files.read_text(folder, name).encode()).hexdigest()
    return found


def test_released_files_are_unchanged() -> None:
    """A change is a new file: payloads of the old schema lie in Kafka, tables of the old migration in stores.

    Before the first release: python -m tests.contract.test_released
    """
    released = json.loads(GOLDEN.read_text(encoding="utf-8"))
    now = _now()
    assert {name: now.get(name) for name in released} == released
    assert set(now) == set(released), "a new contract file: add it to released.json with the release that ships it"


def test_ids_are_fixed() -> None:
    assert {entry.schema_id: (entry.subject, entry.version) for entry in avro.registry().values()} == {
        1: ("liucun.envelope-value", 1),
        2: ("liucun.coverage-value", 1),
        3: ("liucun.dead-letter-value", 1),
        4: ("liucun.agent-position-value", 1),
        5: ("liucun.outbox-frame", 1),
    }


def test_every_schema_file_is_registered() -> None:
    registry = json.loads(files.read_text("avro", "registry.json"))
    assert sorted(entry["file"] for entry in registry.values()) == files.names("avro", ".avsc")


def test_the_contracts_hold() -> None:
    assert check.problems() == []


def test_topics_keep_nothing_longer_than_they_may() -> None:
    for topic in topics.all_topics():
        assert topic.segment_ms <= DAY_MS, "Kafka deletes whole segments only"
        assert topic.message_timestamp_type == "CreateTime"
        if topic.cleanup_policy == "compact":
            assert topic.retention_ms == -1
        else:
            assert topic.cleanup_policy == "delete"
            assert 0 < topic.retention_ms <= 14 * DAY_MS
    assert topics.ENVELOPE.retention_ms == 7 * DAY_MS
    assert [topic for topic in topics.all_topics() if topic.cleanup_policy == "compact"] == [topics.AGENT_POSITION]


def test_positions_are_one_short_log() -> None:
    """More partitions would not break the key's order, but an agent reads the whole topic at its start."""
    assert topics.AGENT_POSITION.partitions == 1


@pytest.mark.parametrize(("copies", "least"), [(1, "1"), (2, "1"), (3, "2"), (5, "2")])
def test_a_lost_copy_never_stops_writing(copies: int, least: str) -> None:
    for topic in topics.all_topics():
        assert topic.config(copies)["min.insync.replicas"] == least


def test_copies_by_default_are_those_of_the_file() -> None:
    assert {topic.replication_factor for topic in topics.all_topics()} == {Kafka().replication_factor}


def test_topic_names() -> None:
    assert [topic.name for topic in topics.all_topics()] == [
        "liucun.envelope",
        "liucun.coverage",
        "liucun.dead-letter",
        "liucun.agent-position",
    ]


if __name__ == "__main__":
    GOLDEN.write_text(json.dumps(_now(), indent=2) + "\n", encoding="utf-8")
