"""`liucun doctor`: what is wrong with this installation, check by check, in sentences. One failure hides no other."""

import os
import shutil
from collections.abc import Callable, Iterator
from typing import Any

from confluent_kafka import KafkaException
from confluent_kafka.admin import AdminClient

from infra.ops import migrate
from infra.ops.errors import MigrationError
from infra.ops.retention import Retention, clock_difference
from infra.platform.clickhouse import ClickHouseError, connect, neutral
from infra.platform.clock import Clock
from infra.platform.errors import FoundError, LiucunError, SettingsError, UnreachableError
from infra.platform.kafka import LIBRARY_LOG, client_config
from infra.platform.settings import Settings, StoreUser

Check = Callable[[], str]


def examine(settings: Settings, clock: Clock) -> list[dict[str, Any]]:
    """Every check: `{name, ok, message, advice}`."""
    return [_result(name, check) for name, check in _checks(settings, clock)]


def _checks(settings: Settings, clock: Clock) -> Iterator[tuple[str, Check]]:
    yield "kafka", lambda: _kafka(settings)
    yield "topics", lambda: _steps(migrate.migrate_topics(settings, execute=False), "The topics are as they should be.")
    store = settings.clickhouse
    for role in ("migrator", "loader", "ops", "reader"):
        yield f"store-{role}", lambda role=role: _account(settings, getattr(store, role))  # type: ignore[misc]
    yield "tables", lambda: _steps(migrate.migrate_store(settings, clock, execute=False), "All migrations are applied.")
    yield "clock", lambda: _clock(settings)
    yield "retention", lambda: _retention(settings, clock)
    if settings.agent.agent_id:
        yield "outbox", lambda: _outbox(settings)
        for source in settings.agent.sources:
            yield f"source-{source.name}", lambda source=source: _source(source.path)  # type: ignore[misc]


def _result(name: str, check: Check) -> dict[str, Any]:
    try:
        return {"name": name, "ok": True, "message": check(), "advice": ""}
    except LiucunError as error:
        return {"name": name, "ok": False, "message": error.message, "advice": error.advice}


def _kafka(settings: Settings) -> str:
    kafka = settings.kafka
    admin = AdminClient(client_config(kafka, "liucun-doctor"), logger=LIBRARY_LOG)
    try:
        brokers = len(admin.list_topics(timeout=kafka.request_timeout_seconds).brokers)
    except KafkaException as error:
        raise UnreachableError(
            f"No broker answers at {kafka.bootstrap_servers} ({error.args[0].name()}).",
            "Check that the brokers run, kafka.bootstrap_servers and kafka.security_protocol.",
        ) from None
    if brokers < kafka.replication_factor:
        raise FoundError(
            f"{brokers} brokers cannot keep {kafka.replication_factor} copies.",
            "Add brokers, or set kafka.replication_factor to 1 and accept that a broken disk loses records.",
        )
    return f"{brokers} brokers answer."


def _account(settings: Settings, role: StoreUser) -> str:
    client = connect(settings.clickhouse, role, in_database=False)
    try:
        version = client.query("SELECT version()").result_rows[0][0]
    except ClickHouseError as error:
        raise neutral(error, settings.clickhouse) from None
    finally:
        client.close()
    return f"{role.user} is let in by ClickHouse {version}."


def _steps(steps: list[migrate.Step], good: str) -> str:
    if steps:
        first = steps[0]
        raise MigrationError(
            f"{len(steps)} steps are to be done, first: {first.subject}: {first.action}.",
            "Run `liucun schema migrate --execute`.",
        )
    return good


def _clock(settings: Settings) -> str:
    client = connect(settings.clickhouse, settings.clickhouse.ops, in_database=False)
    try:
        difference = clock_difference(client)
    except ClickHouseError as error:
        raise neutral(error, settings.clickhouse) from None
    finally:
        client.close()
    if abs(difference) > settings.ops.clock_difference_seconds_max:
        raise FoundError(
            f"The store's clock differs from this machine's by {difference:.0f} seconds.", "Synchronise both clocks."
        )
    return f"The store's clock differs by {difference:.3f} seconds."


def _retention(settings: Settings, clock: Clock) -> str:
    retention = Retention(settings, clock)
    try:
        overdue = [day.day.isoformat() for day in retention.status() if day.state == "OVERDUE"]
    finally:
        retention.close()
    if overdue:
        raise FoundError(
            f"{len(overdue)} days are overdue, the oldest {overdue[0]}.",
            "Run `liucun ops run`, or `liucun retention enforce --execute`.",
        )
    return "No day is overdue."


def _outbox(settings: Settings) -> str:
    folder = settings.agent.outbox_dir
    parent = next(path for path in (folder, *folder.parents) if path.exists())
    if not os.access(parent, os.W_OK):
        raise SettingsError(f"{folder} cannot be written.", "Check agent.outbox_dir and its owner.")
    free = shutil.disk_usage(parent).free
    if free < settings.agent.disk_free_bytes_min:
        raise FoundError(
            f"The outbox's disk has {free // 1024**2} MiB free, less than agent.disk_free_bytes_min.",
            "Free some space.",
        )
    return f"The outbox can be written; its disk has {free // 1024**2} MiB free."


def _source(path: Any) -> str:
    if not path.is_file():
        raise SettingsError(f"{path} is not there.", "Check agent.sources, or wait for the mail server's first line.")
    if not os.access(path, os.R_OK):
        raise SettingsError(f"{path} cannot be read.", "Put the agent's user into the group that may (Debian: adm).")
    return f"{path} can be read."
