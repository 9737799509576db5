"""`liucun schema`, `retention`, `ops` and `doctor`: arguments only."""

import json
import signal
import sys
import threading
from pathlib import Path
from typing import Any

import click

from infra.ops import check as checking
from infra.ops import clock_guard, migrate, scheduler
from infra.ops import doctor as examining
from infra.ops.retention import Retention
from infra.platform import logging, metrics, settings
from infra.platform.clock import clock_from_environment, to_datetime
from schemas import avro, topics

_SETTINGS = click.option("--settings", "file", type=click.Path(path_type=Path), help="Settings file (TOML).")
_JSON = click.option("--json", "as_json", is_flag=True, help="JSON for scripts.")
_EXECUTE = click.option("--execute", is_flag=True, help="Do it; without, only say what would be done.")
_DRY_RUN = "A dry run; add --execute to do it."


def _say(as_json: bool, document: Any, lines: list[str]) -> None:
    click.echo(json.dumps(document) if as_json else "\n".join(lines))


@click.group()
def schema() -> None:
    """Tables and topics: check, migrate, show."""


@schema.command()
@_SETTINGS
@_JSON
def check(file: Path | None, as_json: bool) -> None:
    """Check the contracts against each other; exit 3 when they do not hold."""
    settings.load(file)
    found = checking.problems()
    _say(as_json, {"ok": not found, "problems": found}, found or ["The contracts hold."])
    sys.exit(3 if found else 0)


@schema.command("migrate")
@_SETTINGS
@_EXECUTE
@click.option("--allow-dangerous", is_flag=True, help="Also apply migrations that their header calls dangerous.")
@_JSON
def migrate_all(file: Path | None, execute: bool, allow_dangerous: bool, as_json: bool) -> None:
    """Make the store's tables and Kafka's topics what this version needs."""
    loaded = settings.load(file)
    clock = clock_from_environment()
    steps = migrate.migrate_store(loaded, clock, execute=execute, allow_dangerous=allow_dangerous)
    steps += migrate.migrate_topics(loaded, execute=execute)
    lines = [f"{'done' if step.done else 'to do'}: {step.subject}: {step.action}" for step in steps]
    if not steps:
        lines = ["Nothing is to be done."]
    elif not execute:
        lines.append(_DRY_RUN)
    _say(as_json, [{"subject": step.subject, "action": step.action, "done": step.done} for step in steps], lines)


@schema.command()
@_SETTINGS
@_JSON
def show(file: Path | None, as_json: bool) -> None:
    """Schemas, topics and migrations of this version."""
    settings.load(file)
    document: dict[str, Any] = {
        "schemas": {entry.schema_id: f"{entry.subject} version {entry.version}" for entry in avro.registry().values()},
        "topics": {topic.name: f"{topic.partitions} partitions" for topic in topics.all_topics()},
        "migrations": {migration.name: migration.sha256 for migration in migrate.migrations()},
    }
    _say(as_json, document, [json.dumps(document, indent=2)])


@click.group()
def retention() -> None:
    """Sixty days: the state of each day, and the drop."""


@retention.command()
@_SETTINGS
@_JSON
def status(file: Path | None, as_json: bool) -> None:
    """Every day that is kept or was dropped; exit 3 when one is overdue."""
    desk = Retention(settings.load(file), clock_from_environment())
    try:
        days = desk.status()
    finally:
        desk.close()
    lines = [f"{day.day}  {day.state:<8}  {day.row_count:>12} rows  {day.bytes_on_disk:>14} bytes" for day in days]
    _say(as_json, [day.as_json() for day in days], lines or ["No day has rows, and none was dropped."])
    sys.exit(3 if any(day.state == "OVERDUE" for day in days) else 0)


@retention.command()
@_SETTINGS
@_EXECUTE
@_JSON
def enforce(file: Path | None, execute: bool, as_json: bool) -> None:
    """Drop the days that are due, check that they are gone, and have both in the ledger."""
    loaded = settings.load(file)
    logging.configure(loaded.log)
    desk = Retention(loaded, clock_from_environment())
    try:
        days = desk.enforce(execute=execute)
    finally:
        desk.close()
    ends = {"VERIFIED": "dropped and verified", "DROPPED": "dropped; its files are not removed yet, the next run looks"}
    lines = [f"{day.day}: {ends.get(day.state, f'would be dropped, {day.row_count} rows')}" for day in days]
    if not days:
        lines = ["No day is due."]
    elif not execute:
        lines.append(_DRY_RUN)
    _say(as_json, {"executed": execute, "days": [day.as_json() for day in days]}, lines)


@retention.command("confirm-clock")
@_SETTINGS
@_EXECUTE
@_JSON
def confirm_clock(file: Path | None, execute: bool, as_json: bool) -> None:
    """Say, as a person who has looked, that this machine's clock is right; the store may then start."""
    loaded = settings.load(file)
    now = clock_from_environment().now()
    if execute:
        clock_guard.write_agreed_time(loaded.ops.state_dir, now)
    text = f"{to_datetime(now):%Y-%m-%dT%H:%M:%SZ}"
    lines = [f"Agreed: {text}"] if execute else [f"Would be agreed: {text}", _DRY_RUN]
    _say(as_json, {"executed": execute, "agreed_time": text}, lines)


@click.group()
def ops() -> None:
    """The scheduler, and the guard of the store's start."""


@ops.command()
@_SETTINGS
def run(file: Path | None) -> None:
    """Run the jobs until told to stop; exit 2 when another scheduler runs."""
    loaded = settings.load(file)
    logging.configure(loaded.log)
    stop = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda _number, _frame: stop.set())
    metrics.serve(loaded.metrics)
    scheduler.run(loaded, clock_from_environment(), stop)


@ops.command("clock-guard")
@_SETTINGS
@_JSON
def guard(file: Path | None, as_json: bool) -> None:
    """For the store's ExecStartPre: refuse, with exit 1, while the clock may be wrong."""
    sentence = clock_guard.check_start(
        settings.load(file).ops.state_dir, clock_from_environment(), synchronised=clock_guard.synchronised()
    )
    _say(as_json, {"ok": True, "message": sentence}, [sentence])


@click.command()
@_SETTINGS
@_JSON
def doctor(file: Path | None, as_json: bool) -> None:
    """What is wrong with this installation; exit 3 when something is."""
    results = examining.examine(file, clock_from_environment())
    ok = all(result["ok"] for result in results)
    marks = {True: "ok ", False: "BAD"}
    lines = [f"{marks[r['ok']]} {r['name']}: {r['message']} {r['advice']}".rstrip() for r in results]
    _say(as_json, {"ok": ok, "checks": results}, lines)
    sys.exit(0 if ok else 3)
