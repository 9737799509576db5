"""`liucun doctor`: what is wrong with this installation, check by check, in sentences. One failure hides no other.

It only reads. A host that runs one part has the settings of that part: an account whose password this user may not read
is said to be not tested, and the agent's checks are made where an agent is configured.
"""

import os
import re
import shutil
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any, Final

from confluent_kafka import KafkaException
from confluent_kafka.admin import AdminClient

from infra.ledger.client import LedgerClient
from infra.ops import check, clocks, migrate, topics
from infra.ops.errors import MigrationError
from infra.ops.retention import Retention
from infra.platform import settings as settings_module
from infra.platform.clickhouse import ClickHouseError, Client, connect, neutral
from infra.platform.clock import Clock
from infra.platform.errors import FoundError, LiucunError, SettingsError
from infra.platform.kafka import LIBRARY_LOG, client_config
from infra.platform.settings import Settings, StoreUser

STORE_VERSION_MIN: Final = (25, 8)  # what the driver supports; 26.9 is what the tests run on
ROLES: Final = ("migrator", "loader", "ops", "reader")
Result = dict[str, Any]
Check = Callable[[], str]
_VERSION: Final = re.compile(r"(\d+)\.(\d+)")
_WINDOW: Final = re.compile(r"non_replicated_deduplication_window = (\d+)")


def examine(file: Path | None, clock: Clock) -> list[Result]:
    """Every check: `{name, ok, message, advice}`. Without good settings there is only the one that says so."""
    loaded: list[Settings] = []

    def load() -> str:
        loaded.append(settings_module.load(file))
        return "The settings are understood."

    results = [_result("settings", load)]
    return results + [_result(name, one) for settings in loaded for name, one in _checks(settings, clock)]


def _checks(settings: Settings, clock: Clock) -> Iterator[tuple[str, Check]]:
    yield "kafka", partial(_kafka, settings)
    yield "topics", partial(_topics, settings)
    yield "topic-copies", partial(topics.check_copies, settings)
    for role in ROLES:
        yield f"store-{role}", partial(_account, settings, getattr(settings.clickhouse, role))
    for name, one in (
        ("store-version", _version),
        ("legal", _legal),
        ("migrations", _migrations),
        ("tables", _tables),
        ("deduplication", _deduplication),
    ):
        yield name, partial(_asked, settings, one)
    yield "clock", partial(_asked, settings, lambda client, _: _clock(client, settings, clock))
    yield "ledger", partial(_ledger, settings)
    yield "retention", partial(_retention, settings, clock)
    if settings.agent.agent_id:
        yield "outbox", partial(_outbox, settings)
        for source in settings.agent.sources:
            yield f"source-{source.name}", partial(_source, source.path)


def _result(name: str, one: Check) -> Result:
    try:
        return {"name": name, "ok": True, "message": one(), "advice": ""}
    except LiucunError as error:
        return {"name": name, "ok": False, "message": error.message, "advice": error.advice}
    except Exception as error:  # one check that breaks must not hide the others
        message = f"The check itself failed ({type(error).__name__})."
        return {"name": name, "ok": False, "message": message, "advice": "Please report this."}


def _kafka(settings: Settings) -> str:
    kafka = settings.kafka
    admin = AdminClient(client_config(kafka, "liucun-doctor"), logger=LIBRARY_LOG)
    try:
        brokers = len(admin.list_topics(timeout=kafka.request_timeout_seconds).brokers)
    except KafkaException as error:
        raise topics.neutral(error, kafka) from None
    if brokers < kafka.replication_factor:
        raise FoundError(
            f"{brokers} brokers cannot keep {kafka.replication_factor} copies.",
            "Add brokers, or set kafka.replication_factor to 1 and accept that a broken disk loses records.",
        )
    return f"{brokers} brokers answer."


def _topics(settings: Settings) -> str:
    if steps := topics.migrate_topics(settings, execute=False):
        raise _to_do([f"{step.subject}: {step.action}" for step in steps])
    return "The topics are as they should be."


def _to_do(steps: list[str]) -> MigrationError:
    return MigrationError(
        f"{len(steps)} steps are to be done, first: {steps[0]}.", "Run `liucun schema migrate --execute`."
    )


def _account(settings: Settings, role: StoreUser) -> str:
    file = role.password_file
    if role.password is None and file is not None and file.exists() and not os.access(file, os.R_OK):
        return f"{role.user} was not tested: its password is for another user's eyes."
    client = connect(settings.clickhouse, role, in_database=False)
    try:
        client.query("SELECT 1")
    except ClickHouseError as error:
        raise neutral(error, settings.clickhouse) from None
    finally:
        client.close()
    return f"{role.user} is let in."


def _asked(settings: Settings, one: Callable[[Client, Settings], str]) -> str:
    """A check that asks the store, as its ops user."""
    store = settings.clickhouse
    client = connect(store, store.ops, in_database=False)
    try:
        return one(client, settings)
    except ClickHouseError as error:
        raise neutral(error, store) from None
    finally:
        client.close()


def _version(client: Client, _: Settings) -> str:
    text: str = client.query("SELECT version()").result_rows[0][0]
    matched = _VERSION.match(text)
    if matched is None or (int(matched[1]), int(matched[2])) < STORE_VERSION_MIN:
        raise FoundError(
            f"ClickHouse {text} is older than {'.'.join(map(str, STORE_VERSION_MIN))}.", "Upgrade the store."
        )
    return f"The store is ClickHouse {text}."


def _legal(client: Client, settings: Settings) -> str:
    book = migrate.applied(client, settings.clickhouse)
    migrate.check_legal(book, settings.legal, settings.clickhouse.database)
    return f"The legal day is that of {settings.legal.zone}, kept for {settings.legal.retention_days} days."


def _migrations(client: Client, settings: Settings) -> str:
    absent = migrate.missing(migrate.applied(client, settings.clickhouse))
    if absent:
        raise _to_do([f"{one.name}: apply" for one in absent])
    return "All migrations are applied."


def _tables(client: Client, settings: Settings) -> str:
    """The tables may be older than the book: their files say IF NOT EXISTS."""
    rows = client.query(
        "SELECT table, name, type FROM system.columns WHERE database = {database:String} ORDER BY table, position",
        parameters={"database": settings.clickhouse.database},
    ).result_rows
    for table in check.tables().values():
        there = [(name, kind) for of, name, kind in rows if of == table.name]
        wanted = [column for column in table.columns if column[0] not in table.ephemeral]
        there = [column for column in there if column[0] not in table.ephemeral]
        if not there:
            raise MigrationError(f"Table {table.name} is not there.", "Run `liucun schema migrate --execute`.")
        if there != wanted:
            odd = sorted({name for name, _ in set(there) ^ set(wanted)}) or ["their order"]
            raise FoundError(
                f"Table {table.name} is not as the files say: {', '.join(odd)}.",
                "It was made or changed by something else: restore it, or move it away and migrate again.",
            )
    return "The tables have the columns that they should have."


def _deduplication(client: Client, settings: Settings) -> str:
    """Without a window the loader's retry of a batch would be stored twice. Replicated engines have their own."""
    rows = client.query(
        "SELECT name, engine, engine_full FROM system.tables "
        "WHERE database = {database:String} AND name IN ('envelope', 'coverage', 'batch')",
        parameters={"database": settings.clickhouse.database},
    ).result_rows
    for name, engine, full in rows:
        window = _WINDOW.search(full)
        if not engine.startswith("Replicated") and (window is None or int(window[1]) == 0):
            raise FoundError(
                f"Table {name} does not deduplicate inserts: a retried batch would be stored twice.",
                f"ALTER TABLE {name} MODIFY SETTING non_replicated_deduplication_window = 100000.",
            )
    return f"{len(rows)} tables deduplicate inserts."


def _clock(client: Client, settings: Settings, clock: Clock) -> str:
    return f"The store's clock differs by {clocks.check(client, settings, clock):.3f} seconds."


def _ledger(settings: Settings) -> str:
    """Without it no day is dropped and nothing is answered."""
    client = LedgerClient(settings.ledger, patient=False)
    try:
        return f"The ledger takes entries; it has {client.ready()}."
    finally:
        client.close()


def _retention(settings: Settings, clock: Clock) -> str:
    retention = Retention(settings, clock)
    try:
        days = retention.status()
    finally:
        retention.close()
    overdue = [day.day.isoformat() for day in days if day.state == "OVERDUE"]
    if overdue:
        raise FoundError(
            f"{len(overdue)} days are overdue, the oldest {overdue[0]}.",
            "Run `liucun ops run`, or `liucun retention enforce --execute`.",
        )
    return "No day is overdue."


def _outbox(settings: Settings) -> str:
    folder = settings.agent.outbox_dir
    parent = next(path for path in (folder, *folder.parents) if path.exists())
    if not parent.is_dir() or not os.access(parent, os.W_OK | os.X_OK):
        raise SettingsError(f"{folder} cannot be written.", "Check agent.outbox_dir and its owner.")
    free = shutil.disk_usage(parent).free
    if free < settings.agent.disk_free_bytes_min:
        raise FoundError(
            f"The outbox's disk has {free // 1024**2} MiB free, less than agent.disk_free_bytes_min.",
            "Free some space.",
        )
    return f"The outbox can be written; its disk has {free // 1024**2} MiB free."


def _source(path: Path | None) -> str:
    if path is None:
        if shutil.which("journalctl") is None:
            raise SettingsError("There is no journalctl on this host.", "Give the path of a log file instead.")
        return "The journal is read by journalctl."
    if not path.is_file():
        raise SettingsError(f"{path} is not there.", "Check agent.sources, or wait for the mail server's first line.")
    if not os.access(path, os.R_OK):
        raise SettingsError(f"{path} cannot be read.", "Put the agent's user into the group that may (Debian: adm).")
    return f"{path} can be read."
