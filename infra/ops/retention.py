"""Days that must go: found, recorded, dropped, checked, recorded again.

A drop, in this order. Killed between any two steps, the next run completes it, under the same attempt:
1. The store's clock and the application's agree, and are near the last agreed time (clock_guard.py).
2. The store was made with these legal settings, and its partition key is the legal day.
3. By the application's clock and the last agreed time the day is due, and no row of it is younger than the limit.
4. DROP_INTENT is recorded in the ledger, with what is there. No ledger, no drop.
5. The partition is dropped.
6. Nothing of it is left: no row, no active part, no detached part, no file of a removed part.
7. DROP_DONE is recorded, or DROP_FAILED with what was found. A failed one is looked at again in every run.
One day that will not go does not keep the others. Each record is an entry of the ledger first and then a row of table
`retention`, which repeats it. Killed in between, the next run records the step once more, so the ledger may hold a step
twice, and never a drop without its intent.
"""

import time
from dataclasses import replace
from datetime import date
from typing import Any, Final
from uuid import uuid4

from infra.ledger.client import LedgerClient
from infra.ops import clock_guard, clocks, days, migrate
from infra.ops.days import Attempt, Day
from infra.ops.errors import ClockError, RetentionError
from infra.platform import logging, metrics
from infra.platform.clickhouse import ClickHouseError, connect, neutral
from infra.platform.clock import SECOND, Clock, to_datetime
from infra.platform.errors import SettingsError
from infra.platform.retention import newest_due_day, readable_since, state_of
from infra.platform.settings import Settings
from infra.platform.steps import reached

ACTOR: Final = "services/ops"
FILES_GONE_SECONDS_MAX: Final = 10.0  # how long one run waits for the engine to remove dropped files
_STATEMENT: Final = "ALTER TABLE envelope DROP PARTITION {day:String}"
_LOG = logging.get("retention")


class Retention:
    """Retention of one store. Not for use from several threads."""

    def __init__(self, settings: Settings, clock: Clock) -> None:
        """UnreachableError or StoreError when the store does not answer."""
        self._settings = settings
        self._legal = settings.legal
        self._clock = clock
        self._client = connect(settings.clickhouse, settings.clickhouse.ops)
        self._ledger = LedgerClient(settings.ledger)

    def close(self) -> None:
        """Close the connections."""
        self._client.close()
        self._ledger.close()

    def status(self) -> list[Day]:
        """Every day that has rows, and every day that was dropped, oldest first."""
        try:
            present = self._present(self._clock.now())
            dropped = {day.day: day for day in days.dropped(days.attempts(self._client))}
        except ClickHouseError as error:
            raise neutral(error, self._settings.clickhouse) from None
        _measure(present)
        found = dropped | {day: days.with_drop(entry, dropped.get(day)) for day, entry in present.items()}
        return [found[day] for day in sorted(found)]

    def enforce(self, *, execute: bool) -> list[Day]:
        """Drop every due day; without `execute` only say which. What was dropped, or would be, oldest first.

        ClockError or SettingsError when nothing may be dropped now; nothing was. RetentionError when a day would not
        go; the others did.
        """
        try:
            self._check_store()
            present = self._present(self._believed_time())
            if not execute:
                return [day for day in present.values() if day.state != "WITHIN"]
            done = self._drop_all(present, self._open_attempts())
            _measure(self._present(self._clock.now()))
        except ClickHouseError as error:
            raise neutral(error, self._settings.clickhouse) from None
        metrics.RETENTION_VERIFIED.set(self._clock.now() / SECOND)
        return done

    def record(self, kind: str, day: Day, attempt_id: str, statement: str, detail: str = "") -> None:
        """Write one step of a deletion where it stays: into the ledger, then as a row. The only place that does.

        Returns when both are durable; raises when they are not (LedgerUnavailableError), and nothing may be dropped.
        """
        limit = self._legal.retention_days
        facts: dict[str, Any] = {
            "event_day": day.day.isoformat(),
            "attempt_id": attempt_id,
            "rule": f"unreadable {limit} x 24 h after event_time; DUE from the start of D+{limit + 1}",
            "legal_zone": self._legal.zone,
            "retention_days": limit,
            "row_count": day.row_count,
            "bytes_on_disk": day.bytes_on_disk,
            "part_count": day.part_count,
            "min_event_time": day.as_json()["min_event_time"],
            "max_event_time": day.as_json()["max_event_time"],
            "detached_part_count": day.detached_part_count,
            "statement": statement,
            "query_id": attempt_id,
            "detail": detail,
        }
        row = facts | {
            "ledger_index": self._ledger.append(kind, ACTOR, **facts),
            "recorded_time": to_datetime(self._clock.now()),
            "kind": kind,
            "actor": ACTOR,
            "event_day": day.day,
            "min_event_time": None if day.min_event_time is None else to_datetime(day.min_event_time),
            "max_event_time": None if day.max_event_time is None else to_datetime(day.max_event_time),
        }
        reached("retention.recorded")
        self._client.insert("retention", [list(row.values())], list(row), settings={"async_insert": 0})

    def _check_store(self) -> None:
        """1 and 2."""
        store = self._settings.clickhouse
        book = migrate.applied(self._client, store)
        if not book:
            raise SettingsError("The store has no tables yet.", "Run `liucun schema migrate --execute`.")
        migrate.check_legal(book, self._legal, store.database)
        keys = self._client.query(
            "SELECT partition_key FROM system.tables WHERE database = {database:String} AND name = 'envelope'",
            parameters={"database": store.database},
        ).result_rows
        if keys != [(f"toDate(event_time, '{self._legal.zone}')",)]:
            raise SettingsError(
                f"Table envelope is not partitioned by the legal day in {self._legal.zone}; no day is dropped.",
                "It was not made by `liucun schema migrate` of this installation.",
            )
        clocks.check(self._client, self._settings, self._clock)

    def _present(self, now: int) -> dict[date, Day]:
        return days.present(self._client, self._settings.clickhouse, self._legal, now)

    def _open_attempts(self) -> dict[date, Attempt]:
        """Attempts without DROP_DONE: killed on their way, or failed."""
        return {attempt.day: attempt for attempt in days.attempts(self._client) if not attempt.done}

    def _drop_all(self, present: dict[date, Day], begun: dict[date, Attempt]) -> list[Day]:
        """3 to 7 for every due day; 6 and 7 for those that an earlier run has dropped and left open."""
        done: list[Day] = []
        failures: list[RetentionError] = []
        due = {day for day, entry in present.items() if entry.state != "WITHIN"}
        for day in sorted(due | (begun.keys() - present.keys())):
            attempt = begun.get(day)
            try:
                if day in due:
                    done.append(self._drop(present[day], attempt))
                elif attempt is not None:
                    done.append(self._verify(day, attempt.attempt_id, attempt.statement, failed=attempt.failed))
            except ClockError:
                raise
            except RetentionError as error:
                failures.append(error)
                _LOG.error("a day will not go", day=day.isoformat(), reason=error.reason)
        if failures:
            more = f" And {len(failures) - 1} other days would not go." if len(failures) > 1 else ""
            raise RetentionError(failures[0].message + more, failures[0].advice)
        return done

    def _drop(self, day: Day, attempt: Attempt | None) -> Day:
        """1 (again), 3 to 7. An attempt that is open already has its intent."""
        clocks.check(self._client, self._settings, self._clock)
        now = self._believed_time()
        if state_of(day.day, now, self._legal) == "WITHIN" or day.day > newest_due_day(now, self._legal):
            raise RetentionError(f"{day.day} is not due.", "Look at the clock.")
        if day.max_event_time is None or day.max_event_time > readable_since(now, self._legal):
            raise RetentionError(
                f"Partition {day.day} holds a row that is younger than {self._legal.retention_days} days; not dropped.",
                "Its rows are not where their time says: run `liucun doctor`.",
            )
        statement = _STATEMENT.replace("{day:String}", f"'{day.day}'")
        attempt_id = attempt.attempt_id if attempt else str(uuid4())
        if attempt is None:
            self.record("DROP_INTENT", day, attempt_id, statement)
        reached("retention.intent")
        self._client.command(
            _STATEMENT,
            parameters={"day": day.day.isoformat()},
            settings={"alter_sync": 2, "query_id": attempt_id},
        )
        reached("retention.dropped")
        return self._verify(day.day, attempt_id, statement, failed=attempt is not None and attempt.failed)

    def _believed_time(self) -> int:
        """The application's clock, but not later than the last agreed time: a clock set forward drops nothing early."""
        now = self._clock.now()
        agreed = clock_guard.agreed_time(self._settings.ops.state_dir)
        return now if agreed is None else min(now, agreed)

    def _verify(self, day: date, attempt_id: str, statement: str, *, failed: bool) -> Day:
        """6 and 7. `failed`: it was found and recorded before that something is left; it is not recorded twice."""
        left = days.remains(self._client, self._settings.clickhouse, self._legal, day)
        deadline = time.monotonic() + FILES_GONE_SECONDS_MAX
        while not left.left and left.removed_part_count and time.monotonic() < deadline:
            time.sleep(0.1)
            left = days.remains(self._client, self._settings.clickhouse, self._legal, day)
        if left.left:
            if not failed:
                self.record("DROP_FAILED", left, attempt_id, statement, f"left: {left.left}")
            raise RetentionError(
                f"{day} was dropped, but it still has {left.left}.",
                f"Detached parts go with ALTER TABLE envelope DROP DETACHED PARTITION '{day}' SETTINGS "
                "allow_drop_detached = 1, rows with the next run.",
            )
        if left.removed_part_count:
            _LOG.info("dropped, files not yet removed; the next run looks again", day=day.isoformat())
            return left
        oldest = days.oldest_event_time(self._client)
        detail = "oldest record left: " + ("none" if oldest is None else f"{to_datetime(oldest):%Y-%m-%dT%H:%M:%SZ}")
        self.record("DROP_DONE", left, attempt_id, statement, detail)
        reached("retention.done")
        _LOG.info("dropped and verified", day=day.isoformat())
        return replace(left, state="VERIFIED")


def _measure(present: dict[date, Day]) -> None:
    metrics.DAYS_OVERDUE.set(sum(day.state == "OVERDUE" for day in present.values()))
