"""The Kafka topics, read from kafka/topics.toml."""

import tomllib
from dataclasses import dataclass
from functools import cache
from typing import Any, Final

from schemas import files

_DAY_MS: Final = 86_400_000


@dataclass(frozen=True, slots=True)
class Topic:
    """One topic as it must be. Durations in milliseconds; `retention_ms` -1 = compacted, kept for ever."""

    name: str
    partitions: int
    cleanup_policy: str
    retention_ms: int
    segment_ms: int
    replication_factor: int
    min_insync_replicas: int
    max_message_bytes: int
    message_timestamp_type: str

    def config(self, replication_factor: int) -> dict[str, str]:
        """Topic-level configuration in Kafka's own words, for a cluster with this replication factor."""
        return {
            "cleanup.policy": self.cleanup_policy,
            "retention.ms": str(self.retention_ms),
            "segment.ms": str(self.segment_ms),
            "min.insync.replicas": str(min(self.min_insync_replicas, max(1, replication_factor - 1))),
            "max.message.bytes": str(self.max_message_bytes),
            "message.timestamp.type": self.message_timestamp_type,
        }


@cache
def _topics() -> dict[str, Topic]:
    document: dict[str, Any] = tomllib.loads(files.read_text("kafka", "topics.toml"))
    document.pop("version")
    defaults = document.pop("defaults")
    topics = {key: Topic(**defaults, **values) for key, values in document.items()}
    for topic in topics.values():
        if topic.segment_ms > _DAY_MS:
            raise ValueError(f"{topic.name}: segment_ms must be at most one day, or records outlive their retention")
    return topics


def all_topics() -> list[Topic]:
    """Every topic, in the file's order."""
    return list(_topics().values())


ENVELOPE: Final = _topics()["envelope"]
COVERAGE: Final = _topics()["coverage"]
DEAD_LETTER: Final = _topics()["dead_letter"]
AGENT_POSITION: Final = _topics()["agent_position"]
