"""`schema migrate`: make the store's tables and Kafka's topics what `schemas` says. A dry run without `execute`.

Rules for tables:
1. Files are numbered, forward only, applied in order, each once; the book of what was applied is the table `migration`.
2. Each file says in its header what it is for, whether it is dangerous, the way back, and its size.
3. A file that was applied must not change: its SHA-256 is in the book.
4. The legal zone and the retention are written into the first tables and the book; later settings must agree.
5. A store that a newer version has migrated is left alone.
Topics are in topics.py.
"""

import hashlib
import re
from dataclasses import dataclass
from typing import Final

from infra.ops import sql
from infra.ops.errors import MigrationError
from infra.ops.topics import Step, migrate_topics
from infra.platform.clickhouse import ClickHouseError, Client, code_of, connect, neutral
from infra.platform.clock import Clock, to_datetime
from infra.platform.errors import SettingsError
from infra.platform.settings import ClickHouse, Legal, Settings
from infra.platform.steps import reached
from schemas import files

__all__ = ["Migration", "Step", "applied", "check_legal", "migrate_store", "migrate_topics", "migrations", "parameters"]

Book = dict[int, tuple[str, dict[str, str]]]  # number -> (SHA-256, parameters)

_FILE_NAME: Final = re.compile(r"(\d{4})_[a-z_]+\.sql")
_HEADER: Final = ("-- purpose:", "-- dangerous:", "-- way back:", "-- size:")
_DANGEROUS: Final = re.compile(r"(yes|no)\b")
_VALUE: Final = re.compile(r"[A-Za-z0-9_+/-]+")
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
SETTINGS fsync_after_insert = 1, fsync_part_directory = 1
COMMENT 'What was applied to this store, and with which parameters'"""


@dataclass(frozen=True, slots=True)
class Migration:
    """One numbered file."""

    number: int
    name: str
    text: str
    sha256: str
    dangerous: bool

    def statements(self, values: dict[str, str]) -> list[str]:
        """Its statements, without comments, parameters filled in. MigrationError for a parameter nobody gives."""
        found = sql.statements(self.text, self.name)
        for name, value in values.items():
            found = [statement.replace("{{" + name + "}}", value) for statement in found]
        if any("{{" in statement for statement in found):
            raise MigrationError(f"{self.name} names a parameter that does not exist.", "Correct the file.")
        return found


def parameters(legal: Legal, database: str) -> dict[str, str]:
    """What is written into tables. SettingsError for a value that cannot stand in a statement as it is."""
    values = {
        "database": database,
        "legal_zone": legal.zone,
        "retention_days": str(legal.retention_days),
        "ttl_days": str(legal.retention_days + legal.ttl_margin_days),
        "drop_after_days": str(legal.retention_days + 1),
    }
    for name, value in values.items():
        if not _VALUE.fullmatch(value):
            raise SettingsError(f"{name} is {value!r}.", "Use letters, digits, _, +, / and - only.")
    return values


def migrations() -> list[Migration]:
    """All files in order. MigrationError for one that breaks rule 1 or 2."""
    found = [migration(name, files.read_text("clickhouse", name)) for name in files.names("clickhouse", ".sql")]
    if [one.number for one in found] != list(range(1, len(found) + 1)):
        raise MigrationError("Migrations are not numbered 1, 2, 3 ...", "Give each its own next number.")
    return found


def migration(name: str, text: str) -> Migration:
    """One file. MigrationError when its name or its header is not as it must be."""
    match = _FILE_NAME.fullmatch(name)
    if match is None:
        raise MigrationError(f"{name} is not named like 0001_envelope.sql.", "Give it the next number.")
    head = text.splitlines()[: len(_HEADER)]
    said = [line.removeprefix(mark).strip() for line, mark in zip(head, _HEADER, strict=False) if line.startswith(mark)]
    if len(said) < len(_HEADER) or not all(said):
        raise MigrationError(f"{name} lacks its header.", f"Begin it with {', '.join(_HEADER)}, each with its answer.")
    dangerous = _DANGEROUS.match(said[1])
    if dangerous is None:
        raise MigrationError(f"{name} does not say whether it is dangerous.", "Write yes or no, and then why.")
    return Migration(int(match[1]), name, text, hashlib.sha256(text.encode()).hexdigest(), dangerous[1] == "yes")


def migrate_store(settings: Settings, clock: Clock, *, execute: bool, allow_dangerous: bool = False) -> list[Step]:
    """Apply what is not applied; without `execute` only say it. What it did, or would do.

    May be repeated, also after a kill at any moment. SettingsError for rule 4, MigrationError for the others,
    UnreachableError or StoreError from the store; files applied before the one that failed stay applied.
    """
    store = settings.clickhouse
    client = connect(store, store.migrator, in_database=False)
    try:
        return _migrate(client, settings, clock, execute=execute, allow_dangerous=allow_dangerous)
    except ClickHouseError as error:
        raise neutral(error, store) from None
    finally:
        client.close()


def applied(client: Client, store: ClickHouse) -> Book:
    """What the book says; empty for a store that was never migrated."""
    found = client.query(
        "SELECT count() FROM system.tables WHERE database = {database:String} AND name = 'migration'",
        parameters={"database": store.database},
    )
    if not found.result_rows[0][0]:
        return {}
    rows = client.query(
        "SELECT number, sha256, parameters FROM {database:Identifier}.migration ORDER BY number, applied_time",
        parameters={"database": store.database},
    )
    return {number: (sha256, dict(values)) for number, sha256, values in rows.result_rows}


def check_legal(book: Book, legal: Legal, database: str) -> None:
    """Rule 4. SettingsError when the settings differ from what the store was made with."""
    wanted = parameters(legal, database)
    for _, values in book.values():
        for name, value in values.items():
            if wanted.get(name, value) != value:
                raise SettingsError(
                    f"The store was made with {name} = {value}; the settings say {wanted[name]}.",
                    "Set legal.* back: the legal zone and the retention of a store cannot be changed by a setting.",
                )


def missing(book: Book) -> list[Migration]:
    """Files that are not in the book yet. MigrationError for rules 1, 3 and 5."""
    known = migrations()
    if newer := sorted(set(book) - {one.number for one in known}):
        raise MigrationError(
            f"The store has migration {newer[-1]:04}, which this version does not know.",
            "Use the version of Liucun that migrated it, or a later one.",
        )
    for one in known:
        if one.number in book and book[one.number][0] != one.sha256:
            raise MigrationError(
                f"{one.name} was changed after it was applied.", "Restore it, and write a new migration."
            )
    absent = [one for one in known if one.number not in book]
    if absent and book and absent[0].number < max(book):
        raise MigrationError(
            f"{absent[0].name} is missing from a store that has later ones.",
            "The book (table migration) was tampered with, or restored in part: compare it with a backup.",
        )
    return absent


def _migrate(client: Client, settings: Settings, clock: Clock, *, execute: bool, allow_dangerous: bool) -> list[Step]:
    store = settings.clickhouse
    book = applied(client, store)
    check_legal(book, settings.legal, store.database)
    absent = missing(book)
    values = parameters(settings.legal, store.database)
    for one in absent:
        one.statements(values)
        if one.dangerous and execute and not allow_dangerous:
            raise MigrationError(f"{one.name} is dangerous.", "Read its header; then add --allow-dangerous.")
    for one in absent if execute else ():
        _apply(client, one, values, clock)
    return [
        Step(one.name, "apply (dangerous: its header says why)" if one.dangerous else "apply", execute)
        for one in absent
    ]


def _apply(client: Client, one: Migration, values: dict[str, str], clock: Clock) -> None:
    """Statements, then the book. Killed in between, the next run finds tables that exist: files say IF NOT EXISTS."""
    database = values["database"]
    client.command(f"CREATE DATABASE IF NOT EXISTS {database}")
    client.command(_BOOK.format(database=database))
    for number, statement in enumerate(one.statements(values), 1):
        try:
            client.command(statement)
        except ClickHouseError as error:
            if (code := code_of(error)) in (0, 497):
                raise
            raise MigrationError(
                f"The store refused statement {number} of {one.name} (code {code}).",
                "It is not in the book; the store's own log says why. Correct the file and run this again.",
            ) from None
    reached("migrate.statements")
    row = (one.number, one.name, one.sha256, values, to_datetime(clock.now()))
    client.insert(
        "migration",
        [row],
        ["number", "name", "sha256", "parameters", "applied_time"],
        database=database,
        settings={"async_insert": 0},
    )
