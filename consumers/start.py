"""Before the first batch: is the store as the loader needs it? Refuses to run otherwise, with advice.

1. Every table has exactly the columns, names and types, that the records have (a wrong unit of time corrupts silently).
2. The deduplication window is open; without replication its default is closed, and a retried batch would come twice.
3. The store was made with these legal settings.
4. Its clock agrees with ours.
"""

from typing import Any, Final

from consumers.errors import StoreNotReadyError
from consumers.insert import Store, window_of
from consumers.load import STREAMS
from infra.platform.clickhouse import Client
from infra.platform.clock import SECOND, SystemClock
from infra.platform.errors import SettingsError
from infra.platform.settings import Settings
from schemas import avro, columns

CLOCK_DIFFERENCE_SECONDS_MAX: Final = 60
_SCHEMA_IDS: Final = {"envelope": avro.ENVELOPE_V1, "coverage": avro.COVERAGE_V1}


def check(store: Store, settings: Settings) -> None:
    """All four; StoreNotReadyError, or SettingsError for 3, at the first that fails."""
    database = settings.clickhouse.database
    for stream in STREAMS:
        _check_columns(store, database, stream.table)
        _check_window(store, database, stream.table)
    _check_window(store, database, "batch")
    _check_legal(store, settings)
    _check_clock(store)


def _check_columns(store: Store, database: str, table: str) -> None:
    rows = _rows(
        store,
        "SELECT name, type FROM system.columns WHERE database = {database:String} AND table = {table:String}",
        {"database": database, "table": table},
    )
    actual = {name: " ".join(kind.split()).replace("( ", "(").replace(" )", ")") for name, kind in rows}
    wanted = [(name, kind) for name, _, kind in columns.PREFIX]
    wanted += columns.stored_fields(avro.schema(_SCHEMA_IDS[table]).document)
    for name, kind in wanted:
        if actual.get(name) != kind:
            raise StoreNotReadyError(
                f"Table {table}, column {name} is {actual.get(name, 'missing')}, not {kind}.",
                "Run `liucun schema migrate --execute` with this version.",
            )


def _check_window(store: Store, database: str, table: str) -> None:
    rows = _rows(
        store,
        "SELECT engine_full FROM system.tables WHERE database = {database:String} AND name = {table:String}",
        {"database": database, "table": table},
    )
    if not rows or window_of(rows[0][0]).blocks == 0:
        raise StoreNotReadyError(
            f"Table {table} does not deduplicate: its deduplication window is 0.",
            "Run `liucun schema migrate --execute`, or set the window of that table.",
        )


def _check_legal(store: Store, settings: Settings) -> None:
    rows = _rows(store, "SELECT parameters FROM migration ORDER BY number LIMIT 1", {})
    parameters = dict(rows[0][0]) if rows else {}
    wanted = {"legal_zone": settings.legal.zone, "retention_days": str(settings.legal.retention_days)}
    for name, value in wanted.items():
        if parameters.get(name) != value:
            raise SettingsError(
                f"The store was made with {name} = {parameters.get(name)}, the settings say {value}.",
                "Correct legal.* in the settings.",
            )


def _check_clock(store: Store) -> None:
    ((seconds,),) = _rows(store, "SELECT toUnixTimestamp64Micro(now64(6))", {})
    difference = round((seconds - SystemClock().now()) / SECOND)
    if abs(difference) > CLOCK_DIFFERENCE_SECONDS_MAX:
        raise StoreNotReadyError(
            f"The store's clock differs from this machine's by {difference} seconds.",
            "Synchronise both clocks.",
        )


def _rows(store: Store, query: str, parameters: dict[str, Any]) -> list[Any]:
    def ask(client: Client) -> list[Any]:
        return list(client.query(query, parameters=parameters).result_rows)

    rows: list[Any] = store.call(ask)
    return rows
