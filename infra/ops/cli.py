"""`liucun schema`, `retention`, `ops` and `doctor`: arguments only."""

import json
import signal
import sys
import threading
from pathlib import Path
from typing import Any

import click

from infra.ops import check as checking
from infra.ops import clock_guard, migrate
from infra.ops import doctor as examining
from infra.ops.retention import Retention
from infra.ops.scheduler import Scheduler
from infra.platform import logging, metrics, settings
from infra.platform.clock import clock_from_environment, to_datetime
from schemas import avro, topics

_SETTINGS = click.option("--settings", "file", type=click.Path(path_type=Path), help="Settings file (TOML).")
_JSON = click.option("--json", "as_json", is_flag=True, help="JSON for scripts.")
_EXECUTE = click.option("--execute", is_flag=True, help="Do it; without, only say what would be done.")


@click.group()
def schema() -> None:
    """Tables and topics: check, migrate, show."""


@schema.command()
@_JSON
def check(as_json: bool) -> None:
    """Check the contracts against each other; exit 3 when they do not hold."""
    found = checking.problems()
    if as_json:
        click.echo(json.dumps({"ok": not found, "problems": found}))
    else:
        click.echo("\n".join(found) or "The contracts hold.")
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
    if as_json:
        click.echo(json.dumps([{"subject": s.subject, "action": s.action, "done": s.done} for s in steps]))
        return
    for step in steps:
        click.echo(f"{'done' if step.done else 'to do'}: {step.subject}: {step.action}")
    click.echo("Nothing is to be done." if not steps else "" if execute else "A dry run; add --execute to do it.")


@schema.command()
@_JSON
def show(as_json: bool) -> None:
    """Schemas, topics and migrations of this version."""
    document: dict[str, Any] = {
        "schemas": {entry.schema_id: f"{entry.subject} version {entry.version}" for entry in avro.registry().values()},
        "topics": {topic.name: f"{topic.partitions} partitions" for topic in topics.all_topics()},
        "migrations": {migration.name: migration.sha256 for migration in migrate.migrations()},
    }
    click.echo(json.dumps(document, indent=None if as_json else 2))


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
    if as_json:
        click.echo(json.dumps([day.as_json() for day in days]))
    else:
        for day in days:
            click.echo(f"{day.day}  {day.state:<8}  {day.row_count:>12} rows  {day.bytes_on_disk:>14} bytes")
    sys.exit(3 if any(day.state == "OVERDUE" for day in days) else 0)


@retention.command()
@_SETTINGS
@_EXECUTE
@_JSON
def enforce(file: Path | None, execute: bool, as_json: bool) -> None:
    """Drop the days that are due, check that they are gone, and record both."""
    desk = Retention(settings.load(file), clock_from_environment())
    try:
        days = desk.enforce(execute=execute)
    finally:
        desk.close()
    if as_json:
        click.echo(json.dumps({"executed": execute, "days": [day.as_json() for day in days]}))
        return
    for day in days:
        click.echo(f"{day.day}: {'dropped and verified' if execute else f'would be dropped, {day.row_count} rows'}")
    click.echo("No day is due." if not days else "" if execute else "A dry run; add --execute to do it.")


@retention.command("confirm-clock")
@_SETTINGS
@_EXECUTE
def confirm_clock(file: Path | None, execute: bool) -> None:
    """Say, as a person who has looked, that this machine's clock is right; the store may then start."""
    loaded = settings.load(file)
    now = clock_from_environment().now()
    if execute:
        clock_guard.write_agreed_time(loaded.ops.state_dir, now)
    click.echo(f"{'Agreed' if execute else 'Would be agreed'}: {to_datetime(now):%Y-%m-%d %H:%M:%S}Z")


@click.group()
def ops() -> None:
    """The scheduler."""


@ops.command()
@_SETTINGS
def run(file: Path | None) -> None:
    """Run the jobs until told to stop."""
    loaded = settings.load(file)
    logging.configure(loaded.log)
    stop = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda _number, _frame: stop.set())
    metrics.serve(loaded.metrics)
    Scheduler(loaded, clock_from_environment()).run(stop)


@ops.command("clock-guard")
@_SETTINGS
def guard(file: Path | None) -> None:
    """For the store's ExecStartPre: refuse while the clock may be wrong."""
    click.echo(clock_guard.check(settings.load(file).ops.state_dir, clock_from_environment()))


@click.command()
@_SETTINGS
@_JSON
def doctor(file: Path | None, as_json: bool) -> None:
    """What is wrong with this installation; exit 3 when something is."""
    checks = examining.examine(settings.load(file), clock_from_environment())
    if as_json:
        click.echo(json.dumps({"ok": all(result["ok"] for result in checks), "checks": checks}))
    else:
        for result in checks:
            click.echo(f"{'ok ' if result['ok'] else 'BAD'} {result['name']}: {result['message']} {result['advice']}")
    sys.exit(0 if all(result["ok"] for result in checks) else 3)
