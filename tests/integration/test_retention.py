"""Sixty days on the real store: what is due goes and is recorded, what is not due stays, whatever happens in between."""

import json
import subprocess
import threading
import uuid
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import pytest

from consumers.batch import Message
from consumers.insert import Store
from consumers.splice import column_names, file
from infra.ops.retention import Retention
from infra.platform.clickhouse import connect
from infra.platform.clock import DAY, HOUR, MovedClock, SystemClock, day_of, start_of_day
from infra.platform.settings import Settings
from schemas import avro
from tests.pipeline import envelope, rows, run, until, write_settings

STEPS = ("intent", "dropped", "done")


def _noon(settings: Settings, days_ago: int) -> int:
    """Noon of a legal day, microseconds."""
    zone = settings.legal.zone_info
    return start_of_day(_day(settings, days_ago), zone) + 12 * HOUR


def _day(settings: Settings, days_ago: int) -> date:
    return day_of(SystemClock().now(), settings.legal.zone_info) - timedelta(days=days_ago)


def _store(settings: Settings, *event_times: int) -> None:
    """Put records straight into the store, as a loader would have done in time."""
    messages = [Message(offset, envelope(offset, moment)) for offset, moment in enumerate(event_times)]
    data = file(messages, topic_epoch=bytes(16), schema_id=avro.ENVELOPE_V1, partition=0, stored_time=event_times[0])
    store = Store(settings.clickhouse, threading.Event(), 1)
    names = column_names(avro.ENVELOPE_V1)
    store.insert_avro("envelope", data, names, token=uuid.uuid4().hex, rows=len(messages), fence=lambda: None)


def _as_migrator(settings: Settings, statement: str) -> None:
    client = connect(settings.clickhouse, settings.clickhouse.migrator)
    try:
        client.command(statement)
    finally:
        client.close()


def _kinds(settings: Settings) -> list[str]:
    return [row[0] for row in rows(settings, "SELECT toString(kind) FROM retention ORDER BY recorded_time, kind")]


def _asked(settings: Settings, query: str, **parameters: str) -> list[tuple[Any, ...]]:
    """What the store says of its parts, as ops ask it."""
    client = connect(settings.clickhouse, settings.clickhouse.ops)
    try:
        return [tuple(row) for row in client.query(query, parameters=parameters).result_rows]
    finally:
        client.close()


def _days_left(settings: Settings) -> set[str]:
    query = (
        "SELECT DISTINCT partition FROM system.parts WHERE table = 'envelope' AND database = 'liucun' "
        "AND active AND rows > 0"
    )
    return {row[0] for row in _asked(settings, query)}


@pytest.fixture
def fresh(recorded: Settings) -> Settings:
    """Every drop needs a ledger."""
    return recorded


@pytest.fixture
def conf(fresh: Settings, tmp_path: Path) -> Path:
    """A settings file; the store holds a day that is due, the youngest that is not, and today."""
    _store(fresh, *(_noon(fresh, 61) + at for at in range(5)), _noon(fresh, 59), SystemClock().now())
    return write_settings(tmp_path / "liucun.toml", fresh)


def _enforce(conf: Path, **environment: str) -> subprocess.CompletedProcess[str]:
    return run(conf, "retention", "enforce", "--execute", "--json", **environment)


def _status(conf: Path) -> tuple[dict[str, dict[str, Any]], int]:
    answer = run(conf, "retention", "status", "--json")
    return {entry["day"]: entry for entry in json.loads(answer.stdout)}, answer.returncode


def test_what_is_due_goes_and_the_rest_stays(fresh: Settings, conf: Path) -> None:
    due, kept = _day(fresh, 61).isoformat(), _day(fresh, 59).isoformat()
    dry = json.loads(run(conf, "retention", "enforce", "--json").stdout)
    assert [day["day"] for day in dry["days"]] == [due]
    assert due in _days_left(fresh)
    assert _kinds(fresh) == []
    states, _ = _status(conf)
    assert (states[due]["state"], states[kept]["state"]) == ("DUE", "WITHIN")
    done = _enforce(conf)
    assert done.returncode == 0, done.stderr
    assert due not in _days_left(fresh)
    assert kept in _days_left(fresh)
    assert _kinds(fresh) == ["DROP_INTENT", "DROP_DONE"]
    before, after = rows(fresh, "SELECT row_count, part_count, attempt_id FROM retention ORDER BY recorded_time")
    assert (before[0], after[0], after[1]) == (5, 0, 0)
    assert before[2] == after[2]
    states, code = _status(conf)
    assert (states[due]["state"], states[due]["dropped_row_count"], code) == ("VERIFIED", 5, 0)
    assert json.loads(_enforce(conf).stdout)["days"] == []


@pytest.mark.parametrize("step", STEPS)
def test_a_drop_that_was_killed_is_completed(fresh: Settings, conf: Path, step: str) -> None:
    """kill -9 between any two steps: the next run ends the same attempt, once."""
    killed = _enforce(conf, LIUCUN_KILL_AT=f"retention.{step}")
    assert killed.returncode == -9
    done = _enforce(conf)
    assert done.returncode == 0, done.stderr
    assert _kinds(fresh) == ["DROP_INTENT", "DROP_DONE"]
    assert rows(fresh, "SELECT uniqExact(attempt_id) FROM retention") == [(1,)]
    assert _day(fresh, 61).isoformat() not in _days_left(fresh)
    assert len(_days_left(fresh)) == 2


@pytest.mark.parametrize("offset_days", [2, -2])
def test_a_clock_that_is_wrong_drops_nothing(fresh: Settings, conf: Path, offset_days: int) -> None:
    before = _days_left(fresh)
    refused = _enforce(conf, LIUCUN_CLOCK_OFFSET_SECONDS=str(offset_days * DAY // 10**6))
    assert refused.returncode == 1
    assert "clock" in refused.stderr
    assert refused.stderr.count("\n") == 1
    assert _days_left(fresh) == before
    assert _kinds(fresh) == []


def test_a_day_with_a_detached_part_is_not_called_gone(fresh: Settings, conf: Path) -> None:
    """Rows that were put aside by hand are still there: the drop says so, exit 1, until they go too."""
    due = _day(fresh, 61)
    _store(fresh, _noon(fresh, 61) + HOUR)
    part = _asked(fresh, "SELECT name FROM system.parts WHERE table = 'envelope' AND active AND partition = {day:String}",
                day=due.isoformat())[0][0]  # fmt: skip
    _as_migrator(fresh, f"ALTER TABLE envelope DETACH PART '{part}'")
    failed = _enforce(conf)
    assert failed.returncode == 1
    assert "detached" in failed.stderr
    assert _kinds(fresh) == ["DROP_INTENT", "DROP_FAILED"]
    states, _ = _status(conf)
    assert states[due.isoformat()]["state"] == "DROPPED"
    _as_migrator(
        fresh, f"ALTER TABLE envelope DROP DETACHED PARTITION '{due.isoformat()}' SETTINGS allow_drop_detached = 1"
    )
    assert _enforce(conf).returncode == 0
    assert _kinds(fresh) == ["DROP_INTENT", "DROP_FAILED", "DROP_DONE"]
    assert _status(conf)[0][due.isoformat()]["state"] == "VERIFIED"


def test_an_overdue_day_is_exit_3(fresh: Settings, conf: Path) -> None:
    """And a late record of a day that was dropped goes with the next run."""
    assert _enforce(conf).returncode == 0
    _store(fresh, _noon(fresh, 62))
    states, code = _status(conf)
    assert (states[_day(fresh, 62).isoformat()]["state"], code) == ("OVERDUE", 3)
    _store(fresh, _noon(fresh, 61) + 2 * HOUR)
    assert _enforce(conf).returncode == 0
    assert {_day(fresh, 61).isoformat(), _day(fresh, 62).isoformat()}.isdisjoint(_days_left(fresh))
    assert _kinds(fresh).count("DROP_DONE") == 3


def test_a_table_that_is_partitioned_otherwise_is_left_alone(fresh: Settings, conf: Path) -> None:
    made = rows(fresh, "SELECT create_table_query FROM system.tables WHERE database = 'liucun' AND name = 'envelope'")
    statement = made[0][0].replace(
        "PARTITION BY toDate(event_time, 'Asia/Shanghai')", "PARTITION BY toDate(event_time)"
    )
    assert statement != made[0][0]
    _as_migrator(fresh, "DROP TABLE envelope SYNC")
    _as_migrator(fresh, statement)
    refused = _enforce(conf)
    assert refused.returncode == 2
    assert "not partitioned by the legal day" in refused.stderr


def test_the_store_drops_by_itself_what_the_job_did_not(fresh: Settings, conf: Path) -> None:
    """The backstop: three days after the job's time. Rows that old go with the next merge, often with their insert."""
    _store(fresh, _noon(fresh, 64))
    until(lambda: _day(fresh, 64).isoformat() not in _days_left(fresh), 120)
    assert _day(fresh, 61).isoformat() in _days_left(fresh)
    assert _kinds(fresh) == []


def test_a_clock_set_forward_by_less_than_a_day_drops_nothing_early(fresh: Settings, tmp_path: Path) -> None:
    """The guard lets a day pass; a drop needs the day to be due at the last agreed time too."""
    conf = write_settings(tmp_path / "liucun.toml", fresh)
    _store(fresh, _noon(fresh, 60))
    assert run(conf, "retention", "confirm-clock", "--execute").returncode == 0
    moved = fresh.model_copy(update={"ops": fresh.ops.model_copy(update={
        "state_dir": tmp_path / "ops", "clock_difference_seconds_max": 10**6})})  # fmt: skip
    desk = Retention(moved, MovedClock(SystemClock(), DAY - HOUR))
    try:
        states = {day.day: day.state for day in desk.status()}
        assert desk.enforce(execute=True) == []
    finally:
        desk.close()
    assert states[_day(fresh, 60)] in ("DUE", "WITHIN")  # DUE but for the last hour of the legal day
    assert _day(fresh, 60).isoformat() in _days_left(fresh)
