"""Kafka's topics as code: what `schemas/kafka/topics.toml` says against what the cluster has.

1. A missing topic is created, a differing configuration is set, partitions are added.
2. Partitions are never taken away, and no topic is ever deleted: both would delete records. Where the cluster has more
   partitions than the file, nothing at all is done until a person has decided which of the two is right.
3. Copies of an existing topic are not moved from here (Kafka's own reassignment does that); the doctor reports them.
"""

from dataclasses import dataclass
from typing import Any

from confluent_kafka import KafkaError, KafkaException
from confluent_kafka.admin import (
    AdminClient,
    AlterConfigOpType,
    ConfigEntry,
    ConfigResource,
    NewPartitions,
    NewTopic,
    ResourceType,
    TopicMetadata,
)

from infra.ops.errors import MigrationError
from infra.platform.errors import FoundError, LiucunError, UnreachableError
from infra.platform.kafka import LIBRARY_LOG, client_config
from infra.platform.settings import Kafka, Settings
from schemas import topics
from schemas.topics import Topic

_AWAY = frozenset({KafkaError._TRANSPORT, KafkaError._ALL_BROKERS_DOWN, KafkaError._TIMED_OUT, KafkaError._RESOLVE})


@dataclass(frozen=True, slots=True)
class Step:
    """One thing that was, or would be, done. `subject` = a migration file or a topic."""

    subject: str
    action: str
    done: bool


def migrate_topics(settings: Settings, *, execute: bool) -> list[Step]:
    """Make the cluster match the file; without `execute` only say how. What it did, or would do. May be repeated.

    MigrationError when the file has fewer partitions than the cluster (nothing was done) or Kafka refuses a step
    (steps before it are done), UnreachableError when no broker answers.
    """
    kafka = settings.kafka
    admin = AdminClient(client_config(kafka, "liucun-migrate"), logger=LIBRARY_LOG)
    try:
        present = admin.list_topics(timeout=kafka.request_timeout_seconds).topics
        _refuse_fewer(present)
        steps: list[Step] = []
        for topic in topics.all_topics():
            if topic.name not in present:
                steps.append(_create(admin, topic, kafka, execute=execute))
                continue
            steps += _grow(admin, topic, len(present[topic.name].partitions), kafka, execute=execute)
            steps += _configure(admin, topic, kafka, execute=execute)
    except KafkaException as error:
        raise neutral(error, kafka) from None
    return steps


def neutral(error: KafkaException, kafka: Kafka) -> LiucunError:
    """The library's error in our words."""
    reason = error.args[0]
    if reason.code() in _AWAY:
        return UnreachableError(
            f"No broker answers at {kafka.bootstrap_servers} ({reason.name()}).",
            "Check that the brokers run, kafka.bootstrap_servers and kafka.security_protocol.",
        )
    return MigrationError(
        f"Kafka at {kafka.bootstrap_servers} refused ({reason.name()}).",
        "Check kafka.replication_factor against the number of brokers, and this user's rights.",
    )


def check_copies(settings: Settings) -> str:
    """One sentence when every partition has its copies in step; FoundError when one has too few."""
    kafka = settings.kafka
    admin = AdminClient(client_config(kafka, "liucun-doctor"), logger=LIBRARY_LOG)
    try:
        present = admin.list_topics(timeout=kafka.request_timeout_seconds).topics
    except KafkaException as error:
        raise neutral(error, kafka) from None
    wanted = kafka.replication_factor
    for topic in topics.all_topics():
        least = int(topic.config(wanted)["min.insync.replicas"])
        for number, partition in present[topic.name].partitions.items() if topic.name in present else ():
            if len(partition.replicas) < wanted:
                raise FoundError(
                    f"{topic.name} partition {number} has {len(partition.replicas)} copies, not {wanted}.",
                    "Move copies with kafka-reassign-partitions, or set kafka.replication_factor to what you have.",
                )
            if len(partition.isrs) < least:
                raise FoundError(
                    f"{topic.name} partition {number} has {len(partition.isrs)} copies in step and needs {least} to be "
                    "written.",
                    "Look at the brokers: agents keep records in their outboxes until then.",
                )
    return f"Every partition has {wanted} copies, enough of them in step."


def _refuse_fewer(present: dict[str, TopicMetadata]) -> None:
    """Rule 2, before anything is done."""
    for topic in topics.all_topics():
        partitions = len(present[topic.name].partitions) if topic.name in present else 0
        if partitions > topic.partitions:
            raise MigrationError(
                f"{topic.name} has {partitions} partitions, schemas/kafka/topics.toml says {topic.partitions}; "
                "taking some away would delete records.",
                f"Set its partitions to {partitions} in that file.",
            )


def _create(admin: AdminClient, topic: Topic, kafka: Kafka, *, execute: bool) -> Step:
    copies = kafka.replication_factor
    if execute:
        new = NewTopic(topic.name, topic.partitions, copies, config=topic.config(copies))
        wait = kafka.request_timeout_seconds
        for done in admin.create_topics([new], request_timeout=wait, operation_timeout=wait).values():
            done.result()
    return Step(topic.name, f"create with {topic.partitions} partitions, {copies} copies", execute)


def _grow(admin: AdminClient, topic: Topic, partitions: int, kafka: Kafka, *, execute: bool) -> list[Step]:
    if partitions == topic.partitions:
        return []
    if execute:
        new = NewPartitions(topic.name, topic.partitions)
        wait = kafka.request_timeout_seconds
        for done in admin.create_partitions([new], request_timeout=wait, operation_timeout=wait).values():
            done.result()
    return [Step(topic.name, f"grow from {partitions} to {topic.partitions} partitions", execute)]


def _configure(admin: AdminClient, topic: Topic, kafka: Kafka, *, execute: bool) -> list[Step]:
    resource = ConfigResource(ResourceType.TOPIC, topic.name)
    (described,) = admin.describe_configs([resource], request_timeout=kafka.request_timeout_seconds).values()
    actual: dict[str, Any] = {name: entry.value for name, entry in described.result().items()}
    wanted = topic.config(kafka.replication_factor)
    differing = {name: value for name, value in wanted.items() if actual.get(name) != value}
    if differing and execute:
        change = ConfigResource(
            ResourceType.TOPIC,
            topic.name,
            incremental_configs=[
                ConfigEntry(name, value, incremental_operation=AlterConfigOpType.SET)
                for name, value in differing.items()
            ],
        )
        changes = admin.incremental_alter_configs([change], request_timeout=kafka.request_timeout_seconds)
        for done in changes.values():
            done.result()
    return [
        Step(topic.name, f"set {name} from {actual.get(name)} to {value}", execute) for name, value in differing.items()
    ]
