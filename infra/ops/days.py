"""The legal days as the store has them: what is there, what was dropped, what of a drop is still open. Reads only."""

from collections.abc import Iterator
from dataclasses import asdict, dataclass, replace
from datetime import UTC, date, datetime
from typing import Any, Literal

from infra.platform.clickhouse import Client
from infra.platform.clock import from_datetime, to_datetime
from infra.platform.retention import state_of
from infra.platform.settings import ClickHouse, Legal

State = Literal["WITHIN", "DUE", "OVERDUE", "DROPPED", "VERIFIED"]


@dataclass(frozen=True, slots=True)
class Day:
    """One legal day. Times in microseconds; None when there are no rows, or nothing was dropped.

    WITHIN, DUE, OVERDUE: it has rows. DROPPED: it has none, but the check of its drop is still open. VERIFIED: it has
    none, and that was checked.
    """

    day: date
    state: State
    row_count: int = 0
    bytes_on_disk: int = 0
    part_count: int = 0
    min_event_time: int | None = None
    max_event_time: int | None = None
    detached_part_count: int = 0
    removed_part_count: int = 0  # dropped, but its files are still on the disk: the engine removes them a little later
    dropped_row_count: int | None = None
    dropped_time: int | None = None

    def as_json(self) -> dict[str, Any]:
        """Plain values; times RFC 3339 UTC."""
        times = {
            name: None if value is None else f"{to_datetime(value):%Y-%m-%dT%H:%M:%S.%fZ}"
            for name, value in asdict(self).items()
            if name.endswith("_time")
        }
        return asdict(self) | {"day": self.day.isoformat()} | times

    @property
    def left(self) -> str:
        """What is still there and should not be; empty when nothing is."""
        counts = (
            (self.row_count, "rows"),
            (self.part_count, "active parts"),
            (self.detached_part_count, "detached parts"),
        )
        return ", ".join(f"{number} {what}" for number, what in counts if number)


@dataclass(frozen=True, slots=True)
class Attempt:
    """One attempt to drop a day, as the table `retention` has it; open until DROP_DONE."""

    day: date
    attempt_id: str
    statement: str
    done: bool
    failed: bool
    row_count: int
    last_time: int


def present(client: Client, store: ClickHouse, legal: Legal, now: int) -> dict[date, Day]:
    """Every day with rows, with its state at `now`, oldest first.

    Times are those of the partition, whatever the zone of its key: exactly what a drop would take.
    The store answers all of it from metadata, without reading a column.
    """
    parts = _parts(client, store)
    detached = _detached(client, store)
    rows = client.query(
        "SELECT _partition_value.1 AS day, count(), min(event_time), max(event_time) FROM envelope "
        "GROUP BY day ORDER BY day"
    )
    found = {}
    for day, row_count, oldest, newest in rows.result_rows:
        bytes_on_disk, part_count, removed_part_count = parts.get(day, (0, 0, 0))
        found[day] = Day(
            day=day,
            state=state_of(day, now, legal),
            row_count=row_count,
            bytes_on_disk=bytes_on_disk,
            part_count=part_count,
            min_event_time=_microseconds(oldest),
            max_event_time=_microseconds(newest),
            detached_part_count=detached.get(day, 0),
            removed_part_count=removed_part_count,
        )
    return found


def remains(client: Client, store: ClickHouse, legal: Legal, day: date) -> Day:
    """What is left of one day: rows by their event_time, parts by their name."""
    rows = client.query(
        "SELECT count(), min(event_time), max(event_time) FROM envelope "
        "WHERE toDate(event_time, {zone:String}) = {day:Date}",
        parameters={"zone": legal.zone, "day": day},
    )
    row_count, oldest, newest = rows.result_rows[0]
    bytes_on_disk, part_count, removed_part_count = _parts(client, store).get(day, (0, 0, 0))
    return Day(
        day=day,
        state="DROPPED",
        row_count=row_count,
        bytes_on_disk=bytes_on_disk,
        part_count=part_count,
        min_event_time=_microseconds(oldest) if row_count else None,
        max_event_time=_microseconds(newest) if row_count else None,
        detached_part_count=_detached(client, store).get(day, 0),
        removed_part_count=removed_part_count,
    )


def oldest_event_time(client: Client) -> int | None:
    """The oldest event_time of the whole table; None when it is empty."""
    count, oldest = client.query("SELECT count(), min(event_time) FROM envelope").result_rows[0]
    return _microseconds(oldest) if count else None


def attempts(client: Client) -> list[Attempt]:
    """The last attempt of each day. An earlier one that was left open is settled by what came of the last."""
    rows = client.query(
        "SELECT event_day, toString(attempt_id), any(statement), countIf(kind = 'DROP_DONE') > 0, "
        "countIf(kind = 'DROP_FAILED') > 0, maxIf(row_count, kind = 'DROP_INTENT'), max(recorded_time) AS last_time "
        "FROM retention GROUP BY event_day, attempt_id ORDER BY last_time, event_day"
    )
    found = {
        day: Attempt(day, attempt, statement, bool(done), bool(failed), count, _microseconds(last))
        for day, attempt, statement, done, failed, count, last in rows.result_rows
    }
    return list(found.values())


def dropped(recorded: list[Attempt]) -> Iterator[Day]:
    """Each day that was dropped, or was going to be, with its state if it has no rows now."""
    for attempt in recorded:
        yield Day(
            attempt.day,
            "VERIFIED" if attempt.done else "DROPPED",
            dropped_row_count=attempt.row_count,
            dropped_time=attempt.last_time,
        )


def with_drop(day: Day, drop: Day | None) -> Day:
    """A day with rows that was dropped before: rows came late."""
    if drop is None:
        return day
    return replace(day, dropped_row_count=drop.dropped_row_count, dropped_time=drop.dropped_time)


def _parts(client: Client, store: ClickHouse) -> dict[date, tuple[int, int, int]]:
    """Day -> (bytes, active parts, removed parts that are still on the disk).

    Parts without rows are left out: the engine makes one for a moment with every drop.
    """
    rows = client.query(
        "SELECT partition, sumIf(bytes_on_disk, active), countIf(active), countIf(NOT active) FROM system.parts "
        "WHERE database = {database:String} AND table = 'envelope' AND rows > 0 GROUP BY partition",
        parameters={"database": store.database},
    )
    return {date.fromisoformat(name): (size, active, removed) for name, size, active, removed in rows.result_rows}


def _detached(client: Client, store: ClickHouse) -> dict[date, int]:
    rows = client.query(
        "SELECT partition_id, count() FROM system.detached_parts "
        "WHERE database = {database:String} AND table = 'envelope' AND match(partition_id, '^[0-9]{8}$') "
        "GROUP BY partition_id",
        parameters={"database": store.database},
    )
    return {datetime.strptime(name, "%Y%m%d").date(): count for name, count in rows.result_rows}  # noqa: DTZ007


def _microseconds(moment: datetime) -> int:
    """A DateTime64 of the driver, which gives UTC columns without a zone."""
    return from_datetime(moment if moment.tzinfo else moment.replace(tzinfo=UTC))
