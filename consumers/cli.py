"""`liucun consumer`: arguments only."""

import json
import signal
import sys
import threading
from pathlib import Path

import click

from consumers import dead_letter as letters
from consumers import lag as lagging
from consumers import start
from consumers import verify as verifying
from consumers.load import Loader
from infra.ledger.client import LedgerClient, actor_of_this_user
from infra.platform import logging, metrics, settings
from infra.platform.clock import clock_from_environment
from infra.platform.errors import SettingsError

_SETTINGS = click.option("--settings", "file", type=click.Path(path_type=Path), help="Settings file (TOML).")
_JSON = click.option("--json", "as_json", is_flag=True, help="JSON for scripts.")


@click.group()
def consumer() -> None:
    """The loader: Kafka to the store, and its proof."""


@consumer.command()
@_SETTINGS
def run(file: Path | None) -> None:
    """Load batches until told to stop."""
    loaded = settings.load(file)
    logging.configure(loaded.log)
    stop = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda _number, _frame: stop.set())
    metrics.serve(loaded.metrics)
    clock = clock_from_environment()
    loader = Loader(loaded, clock, stop)
    start.check(loader.store, loaded)
    loader.run()


@consumer.command()
@_SETTINGS
@_JSON
def lag(file: Path | None, as_json: bool) -> None:
    """How far behind the loader is, by partition, in records and seconds."""
    rows = lagging.lag(settings.load(file), clock_from_environment())
    if as_json:
        click.echo(json.dumps(rows))
        return
    for row in rows:
        click.echo(
            f"{row['topic']}/{row['partition']}: {row['lag_records']} records, oldest {row['lag_seconds']} s, "
            f"committed {'nothing' if row['committed'] is None else row['committed']} of {row['end']}"
        )


@consumer.command()
@_SETTINGS
@_JSON
def verify(file: Path | None, as_json: bool) -> None:
    """Prove from the store that each record is there once; exit 3 when one is not."""
    report = verifying.verify(settings.load(file), clock_from_environment())
    if as_json:
        click.echo(json.dumps(report))
    else:
        for line in verifying.sentences(report):
            click.echo(line)
    sys.exit(0 if report["ok"] else 3)


@consumer.group("dead-letter")
def dead_letter() -> None:
    """Messages that could not be loaded; shown masked, unless revealed one by one."""


@dead_letter.command("list")
@_SETTINGS
@_JSON
def list_letters(file: Path | None, as_json: bool) -> None:
    """All dead letters that are still kept: where they stand, and why."""
    for letter in letters.read_all(settings.load(file).kafka):
        shown = letters.shown(letter)
        text = "{topic}/{partition} offset {offset}: {reason}, {length} bytes".format_map(shown)
        click.echo(json.dumps(shown) if as_json else text)


@dead_letter.command("show")
@click.argument("topic")
@click.argument("partition", type=int)
@click.argument("offset", type=int)
@click.option(
    "--reveal", is_flag=True, help="Show the record itself; that it was shown is an entry of the ledger first."
)
@click.option("--reason", default="", help="With --reveal: why; it stays in the ledger.")
@click.option("--actor", default=None, help="With --reveal: who, as a resource name; without, the Unix user.")
@_SETTINGS
@_JSON
def show_letter(
    topic: str,
    partition: int,
    offset: int,
    reveal: bool,
    reason: str,
    actor: str | None,
    file: Path | None,
    as_json: bool,
) -> None:
    """One dead letter, its values masked unless revealed."""
    wanted = (topic, partition, offset)
    loaded = settings.load(file)
    for letter in letters.read_all(loaded.kafka):
        if (letter["topic"], letter["partition"], letter["offset"]) == wanted:
            if reveal:
                ledger = LedgerClient(loaded.ledger)
                document = letters.revealed(letter, ledger, actor or actor_of_this_user(), reason)
                ledger.close()
            else:
                document = letters.masked(letter)
            click.echo(json.dumps(document, ensure_ascii=False, indent=None if as_json else 2))
            return
    raise SettingsError(
        f"There is no dead letter of {topic}/{partition} at offset {offset}.", "See `liucun consumer dead-letter list`."
    )
