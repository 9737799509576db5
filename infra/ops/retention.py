"""Days that must go: found, recorded, dropped, checked, recorded again.

A drop, in this order; killed between any two steps, the next run begins at 1 and completes it:
1. By the application's clock the day is due, by the store's own clock too, and both clocks agree.
2. The store was made with these legal settings, so its partition is the day that we mean.
3. No row of the partition is younger than the limit.
4. DROP_INTENT is recorded, with what is there. No record, no drop.
5. The partition is dropped.
6. Nothing of it is left: no row, no active part, no detached part.
7. DROP_DONE is recorded, or DROP_FAILED with what was found.
"""

from collections.abc import Iterator
from dataclasses import asdict, dataclass, replace
from datetime import date
from typing import Any, Final, Literal
from uuid import uuid4

from infra.ops import migrate
from infra.ops.errors import RetentionError
from infra.platform import logging, metrics
from infra.platform.clickhouse import ClickHouseError, Client, connect, neutral
from infra.platform.clock import SECOND, Clock, SystemClock, from_datetime, to_datetime
from infra.platform.retention import newest_due_day, readable_since, state_of
from infra.platform.settings import Settings
from infra.platform.steps import reached

ACTOR: Final = "liucun retention"
_LOG = logging.get("retention")
State = Literal["WITHIN", "DUE", "OVERDUE", "DROPPED", "VERIFIED"]


@dataclass(frozen=True, slots=True)
class Day:
    """One legal day in the store. Times in microseconds; None when there are no rows."""

    day: date
    state: State
    row_count: int = 0
    bytes_on_disk: int = 0
    part_count: int = 0
    min_event_time: int | None = None
    max_event_time: int | None = None
    detached_part_count: int = 0

    def as_json(self) -> dict[str, Any]:
        """Plain values."""
        times = {
            name: None if value is None else f"{to_datetime(value):%Y-%m-%dT%H:%M:%S.%fZ}"
            for name, value in (("min_event_time", self.min_event_time), ("max_event_time", self.max_event_time))
        }
        return asdict(self) | {"day": self.day.isoformat()} | times


class Retention:
    """Retention of one store."""

    def __init__(self, settings: Settings, clock: Clock) -> None:
        """UnreachableError or StoreError when the store does not answer."""
        self._settings = settings
        self._legal = settings.legal
        self._clock = clock
        self._client = connect(settings.clickhouse, settings.clickhouse.ops)

    def close(self) -> None:
        """Close the connection."""
        self._client.close()

    def status(self) -> list[Day]:
        """Every day that has rows, and every day that was dropped, oldest first."""
        try:
            present = {day.day: day for day in self._present()}
            for day, kind in self._recorded():
                if day not in present and kind in ("DROP_DONE", "DROP_INTENT"):
                    present[day] = Day(day, "VERIFIED" if kind == "DROP_DONE" else "DROPPED")
        except ClickHouseError as error:
            raise neutral(error, self._settings.clickhouse) from None
        return [present[day] for day in sorted(present)]

    def enforce(self, *, execute: bool) -> list[Day]:
        """Drop every due day; without `execute` only say which. What was dropped and checked, or would be.

        RetentionError when a drop is refused or did not do what it should; days before it stay dropped.
        """
        try:
            self._check_store()
            due = [day for day in self._present() if day.state != "WITHIN"]
            if not execute:
                return due
            done = [self._drop(day) for day in due]
            self._complete_intents({day.day for day in done})
        except ClickHouseError as error:
            raise neutral(error, self._settings.clickhouse) from None
        finally:
            self._measure()
        return done

    def _check_store(self) -> None:
        """1 and 2."""
        migrate.check_legal(
            migrate.applied(self._client, self._settings.clickhouse), self._legal, self._settings.clickhouse.database
        )
        difference = clock_difference(self._client)
        if abs(difference) > self._settings.ops.clock_difference_seconds_max:
            raise RetentionError(
                f"The store's clock differs from this machine's by {difference:.0f} seconds; no day is dropped.",
                "Synchronise both clocks.",
            )

    def _drop(self, day: Day) -> Day:
        """1 (again, for this day), and 3 to 7."""
        now = self._clock.now()
        if state_of(day.day, now, self._legal) == "WITHIN" or day.day > newest_due_day(now, self._legal):
            raise RetentionError(f"{day.day} is not due.", "Look at the clock.")
        if day.max_event_time is not None and day.max_event_time > readable_since(now, self._legal):
            raise RetentionError(
                f"Partition {day.day} holds a row that is younger than {self._legal.retention_days} days; not dropped.",
                "The table's partition key is not the legal day: run `liucun doctor`.",
            )
        attempt = str(uuid4())
        statement = "ALTER TABLE envelope DROP PARTITION {day:String}"
        self.record("DROP_INTENT", day, attempt, statement)
        reached("retention.intent")
        self._client.command(statement, parameters={"day": day.day.isoformat()}, settings={"alter_sync": 2})
        reached("retention.dropped")
        return self._verified(day.day, attempt, statement)

    def _verified(self, day: date, attempt: str, statement: str) -> Day:
        """6 and 7."""
        left = self._day(day)
        if left.row_count or left.part_count or left.detached_part_count:
            detail = (
                f"{left.row_count} rows, {left.part_count} parts, {left.detached_part_count} detached parts are left"
            )
            self.record("DROP_FAILED", left, attempt, statement, detail)
            raise RetentionError(f"{day} was dropped, but {detail}.", "See docs/runbook.md, `a day that will not go`.")
        done = replace(left, state="VERIFIED")
        self.record("DROP_DONE", done, attempt, statement)
        reached("retention.done")
        _LOG.info("dropped and verified", day=day.isoformat())
        return done

    def _complete_intents(self, done: set[date]) -> None:
        """A run that was killed between 5 and 7 left an intent without an outcome: check, and record what is found."""
        last: dict[date, tuple[str, str, str]] = {}
        rows = self._client.query(
            "SELECT event_day, kind, toString(attempt_id), statement FROM retention ORDER BY recorded_time"
        )
        for day, kind, attempt, statement in rows.result_rows:
            last[day] = (kind, attempt, statement)
        for day, (kind, attempt, statement) in last.items():
            if kind == "DROP_INTENT" and day not in done:
                self._verified(day, attempt, statement)

    def record(self, kind: str, day: Day, attempt: str, statement: str, detail: str = "") -> None:
        """Write one step of a deletion where it stays. The only place that does, until there is a ledger."""
        days = self._legal.retention_days
        row = {
            "recorded_time": to_datetime(self._clock.now()),
            "kind": kind,
            "event_day": day.day,
            "attempt_id": attempt,
            "rule": f"unreadable {days} x 24 h after event_time; DUE from the start of D+{days + 1}",
            "legal_zone": self._legal.zone,
            "retention_days": days,
            "actor": ACTOR,
            "row_count": day.row_count,
            "bytes_on_disk": day.bytes_on_disk,
            "part_count": day.part_count,
            "min_event_time": None if day.min_event_time is None else to_datetime(day.min_event_time),
            "max_event_time": None if day.max_event_time is None else to_datetime(day.max_event_time),
            "detached_part_count": day.detached_part_count,
            "statement": statement.replace("{day:String}", f"'{day.day}'"),
            "query_id": "",
            "detail": detail,
        }
        self._client.insert("retention", [list(row.values())], list(row), settings={"async_insert": 0})

    def _present(self) -> Iterator[Day]:
        """Days that have active parts."""
        rows = self._client.query(
            "SELECT partition, sum(rows), sum(bytes_on_disk), count() FROM system.parts "
            "WHERE database = {database:String} AND table = 'envelope' AND active "
            "GROUP BY partition ORDER BY partition",
            parameters={"database": self._settings.clickhouse.database},
        )
        for partition, row_count, size, parts in rows.result_rows:
            if row_count:
                yield self._with_times(Day(date.fromisoformat(partition), "WITHIN", row_count, size, parts))

    def _with_times(self, day: Day) -> Day:
        """Add the oldest and newest event_time, detached parts, and the state."""
        row = self._client.query(
            "SELECT min(event_time), max(event_time) FROM envelope "
            "WHERE toDate(event_time, {zone:String}) = {day:Date}",
            parameters={"zone": self._legal.zone, "day": day.day},
        ).result_rows[0]
        detached = self._client.query(
            "SELECT count() FROM system.detached_parts WHERE database = {database:String} AND table = 'envelope' "
            "AND partition_id = {partition:String}",
            parameters={"database": self._settings.clickhouse.database, "partition": f"{day.day:%Y%m%d}"},
        ).result_rows[0][0]
        oldest, newest = ((_utc(moment) if day.row_count else None) for moment in row)
        state = state_of(day.day, self._clock.now(), self._legal)
        return replace(day, state=state, min_event_time=oldest, max_event_time=newest, detached_part_count=detached)

    def _day(self, day: date) -> Day:
        for present in self._present():
            if present.day == day:
                return present
        return self._with_times(Day(day, "WITHIN"))

    def _recorded(self) -> list[tuple[date, str]]:
        """The last recorded step of each day."""
        rows = self._client.query(
            "SELECT event_day, argMax(kind, (recorded_time, kind)) FROM retention GROUP BY event_day"
        )
        return [(day, kind) for day, kind in rows.result_rows]

    def _measure(self) -> None:
        """Metrics, whatever happened."""
        try:
            overdue = sum(day.state == "OVERDUE" for day in self._present())
        except ClickHouseError:
            return
        metrics.DAYS_OVERDUE.set(overdue)
        metrics.RETENTION_VERIFIED.set(self._clock.now() / SECOND)


def clock_difference(client: Client) -> float:
    """The store's clock less this machine's, in seconds. Both real: an application clock moved by a test is none."""
    machine = SystemClock()
    before = machine.now()
    store: int = client.query("SELECT toUnixTimestamp64Micro(now64(6))").result_rows[0][0]
    difference = (store - (before + machine.now()) / 2) / SECOND
    metrics.CLOCK_DIFFERENCE.set(difference)
    return difference


def _utc(moment: Any) -> int:
    """A DateTime64 of the driver, which gives UTC columns without a zone, in microseconds."""
    return from_datetime(moment if moment.tzinfo else moment.replace(tzinfo=to_datetime(0).tzinfo))
