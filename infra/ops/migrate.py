"""`schema migrate`: make the store's tables and Kafka's topics what `schemas` says. A dry run without `execute`.

Rules for tables:
1. Files are numbered, forward only, applied in order, each once; the book of what was applied is the table `migration`.
2. Each file says in its header what it is for, whether it is dangerous, the way back, and its size.
3. A file that was applied must not change: its SHA-256 is in the book.
4. The legal zone and the retention are written into the first tables and the book; later settings must agree.
"""

import hashlib
import re
from dataclasses import dataclass
from typing import Any, Final

from confluent_kafka import KafkaException
from confluent_kafka.admin import (
    AdminClient,
    AlterConfigOpType,
    ConfigEntry,
    ConfigResource,
    NewPartitions,
    NewTopic,
    ResourceType,
)

from infra.ops.errors import MigrationError
from infra.platform.clickhouse import ClickHouseError, Client, connect, neutral
from infra.platform.clock import Clock, to_datetime
from infra.platform.errors import SettingsError, UnreachableError
from infra.platform.kafka import LIBRARY_LOG, client_config
from infra.platform.settings import ClickHouse, Kafka, Legal, Settings
from schemas import files, topics
from schemas.topics import Topic

_FILE_NAME: Final = re.compile(r"(\d{4})_[a-z_]+\.sql")
_HEADER: Final = ("-- purpose:", "-- dangerous:", "-- way back:", "-- size:")
_BOOK: Final = """\
CREATE TABLE IF NOT EXISTS {database}.migration
(
    number Int32,
    name String,
    sha256 String,
    parameters Map(String, String),
    applied_time DateTime64(6, 'UTC')
)
ENGINE = MergeTree ORDER BY number
COMMENT 'What was applied to this store, and with which parameters'"""


@dataclass(frozen=True, slots=True)
class Step:
    """One thing that was, or would be, done. `subject` = a migration file or a topic."""

    subject: str
    action: str
    done: bool


@dataclass(frozen=True, slots=True)
class Migration:
    """One numbered file."""

    number: int
    name: str
    text: str
    sha256: str
    dangerous: bool

    def statements(self, parameters: dict[str, str]) -> list[str]:
        """Its statements, without comments, parameters filled in."""
        text = "\n".join(line for line in self.text.splitlines() if not line.startswith("--"))
        for name, value in parameters.items():
            text = text.replace("{{" + name + "}}", value)
        if "{{" in text:
            raise MigrationError(f"{self.name} names a parameter that does not exist.", "Correct the file.")
        return [statement.strip() for statement in text.split(";\n") if statement.strip().rstrip(";")]


def parameters(legal: Legal, database: str) -> dict[str, str]:
    """What is written into tables. Names are validated by the settings, so that they may stand in statements."""
    return {
        "database": database,
        "legal_zone": legal.zone,
        "retention_days": str(legal.retention_days),
        "ttl_days": str(legal.retention_days + legal.ttl_margin_days),
        "drop_after_days": str(legal.retention_days + 1),
    }


def migrations() -> list[Migration]:
    """All files in order. MigrationError for one that breaks rule 1 or 2."""
    found = []
    for name in files.names("clickhouse", ".sql"):
        match = _FILE_NAME.fullmatch(name)
        text = files.read_text("clickhouse", name)
        head = text.splitlines()[: len(_HEADER)]
        if match is None or [line[: len(mark)] for line, mark in zip(head, _HEADER, strict=False)] != list(_HEADER):
            raise MigrationError(f"{name} lacks its number or its header.", f"Begin it with {', '.join(_HEADER)}.")
        dangerous = not head[1].removeprefix(_HEADER[1]).strip().startswith("no")
        found.append(Migration(int(match[1]), name, text, hashlib.sha256(text.encode()).hexdigest(), dangerous))
    if [migration.number for migration in found] != list(range(1, len(found) + 1)):
        raise MigrationError("Migrations are not numbered 1, 2, 3 ...", "Give each its own next number.")
    return found


def migrate_store(settings: Settings, clock: Clock, *, execute: bool, allow_dangerous: bool = False) -> list[Step]:
    """Apply what is not applied; without `execute` only say it. What it did, or would do."""
    store = settings.clickhouse
    client = connect(store, store.migrator, in_database=False)
    try:
        return _migrate(client, settings, clock, execute=execute, allow_dangerous=allow_dangerous)
    except ClickHouseError as error:
        raise neutral(error, store) from None
    finally:
        client.close()


def applied(client: Client, store: ClickHouse) -> dict[int, tuple[str, dict[str, str]]]:
    """Number -> (SHA-256, parameters) of what the book says; empty for a store that was never migrated."""
    found = client.query(
        "SELECT count() FROM system.tables WHERE database = {database:String} AND name = 'migration'",
        parameters={"database": store.database},
    )
    if not found.result_rows[0][0]:
        return {}
    rows = client.query(
        "SELECT number, sha256, parameters FROM {database:Identifier}.migration ORDER BY number",
        parameters={"database": store.database},
    )
    return {number: (sha256, dict(values)) for number, sha256, values in rows.result_rows}


def check_legal(book: dict[int, tuple[str, dict[str, str]]], legal: Legal, database: str) -> None:
    """Rule 4. SettingsError when the settings differ from what the store was made with."""
    wanted = parameters(legal, database)
    for _, values in book.values():
        for name, value in values.items():
            if wanted.get(name, value) != value:
                raise SettingsError(
                    f"The store was made with {name} = {value}; the settings say {wanted[name]}.",
                    "Set legal.* back: the legal zone and the retention of a store cannot be changed by a setting.",
                )


def _migrate(client: Client, settings: Settings, clock: Clock, *, execute: bool, allow_dangerous: bool) -> list[Step]:
    store = settings.clickhouse
    values = parameters(settings.legal, store.database)
    book = applied(client, store)
    check_legal(book, settings.legal, store.database)
    steps = []
    for migration in migrations():
        if migration.number in book:
            if book[migration.number][0] != migration.sha256:
                raise MigrationError(
                    f"{migration.name} was changed after it was applied.", "Restore it, and write a new migration."
                )
            continue
        if migration.dangerous and execute and not allow_dangerous:
            raise MigrationError(f"{migration.name} is dangerous.", "Read its header; then add --allow-dangerous.")
        if execute:
            _apply(client, migration, values, clock)
        steps.append(Step(migration.name, "apply", execute))
    return steps


def _apply(client: Client, migration: Migration, values: dict[str, str], clock: Clock) -> None:
    """Statements, then the book. Killed in between, the next run finds tables that exist: files say IF NOT EXISTS."""
    database = values["database"]
    client.command(f"CREATE DATABASE IF NOT EXISTS {database}")
    client.command(_BOOK.format(database=database))
    for statement in migration.statements(values):
        client.command(statement.rstrip(";"))
    row = (migration.number, migration.name, migration.sha256, values, to_datetime(clock.now()))
    client.insert("migration", [row], ["number", "name", "sha256", "parameters", "applied_time"], database=database)


def migrate_topics(settings: Settings, *, execute: bool) -> list[Step]:
    """Create missing topics, add partitions, correct configuration; never delete anything. What it did or would do."""
    kafka = settings.kafka
    admin = AdminClient(client_config(kafka, "liucun-migrate"), logger=LIBRARY_LOG)
    try:
        present = admin.list_topics(timeout=kafka.request_timeout_seconds).topics
        steps: list[Step] = []
        for topic in topics.all_topics():
            if topic.name not in present:
                steps.append(_create(admin, topic, kafka, execute=execute))
                continue
            steps += _grow(admin, topic, len(present[topic.name].partitions), execute=execute)
            steps += _configure(admin, topic, kafka, execute=execute)
    except KafkaException as error:
        raise UnreachableError(
            f"Kafka at {kafka.bootstrap_servers} did not do it ({error.args[0].name()}).",
            "Check that the brokers run, kafka.bootstrap_servers, and kafka.replication_factor against their number.",
        ) from None
    return steps


def _create(admin: AdminClient, topic: Topic, kafka: Kafka, *, execute: bool) -> Step:
    factor = min(topic.replication_factor, kafka.replication_factor)
    if execute:
        new = NewTopic(topic.name, topic.partitions, factor, config=topic.config(factor))
        for done in admin.create_topics([new], request_timeout=kafka.request_timeout_seconds).values():
            done.result()
    return Step(topic.name, f"create with {topic.partitions} partitions, {factor} copies", execute)


def _grow(admin: AdminClient, topic: Topic, partitions: int, *, execute: bool) -> list[Step]:
    """Partitions are only ever added: taking one away would delete records."""
    if partitions >= topic.partitions:
        return []
    if execute:
        for done in admin.create_partitions([NewPartitions(topic.name, topic.partitions)]).values():
            done.result()
    return [Step(topic.name, f"grow from {partitions} to {topic.partitions} partitions", execute)]


def _configure(admin: AdminClient, topic: Topic, kafka: Kafka, *, execute: bool) -> list[Step]:
    resource = ConfigResource(ResourceType.TOPIC, topic.name)
    (described,) = admin.describe_configs([resource]).values()
    actual: dict[str, Any] = {name: entry.value for name, entry in described.result().items()}
    wanted = topic.config(min(topic.replication_factor, kafka.replication_factor))
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
        for done in admin.incremental_alter_configs([change]).values():
            done.result()
    return [
        Step(topic.name, f"set {name} from {actual.get(name)} to {value}", execute) for name, value in differing.items()
    ]
