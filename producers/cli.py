"""`liucun producer`: arguments only."""

import json
import signal
import sys
import threading
from pathlib import Path
from typing import Any

import click
from pydantic import ValidationError

from infra.platform import logging, metrics, settings
from infra.platform.clock import SystemClock
from infra.platform.errors import SettingsError
from producers import begin, speed
from producers import check as checking
from producers import replay as replaying

_MTA = click.Choice(["auto", "postfix", "exim", "sendmail", "opensmtpd", "exchange", "dovecot"])


@click.group()
def producer() -> None:
    """The agent beside the mail server: log line to Kafka."""


@producer.command()
@click.argument("files", nargs=-1, required=True, type=click.Path(path_type=Path))
@click.option("--mta", type=_MTA, default="auto", help="The mail system that wrote the log; auto decides by line.")
@click.option("--host", help="Server name to record instead of the log's.")
@click.option("--year", type=click.IntRange(1970, 2200), help="Year of the first line, where lines carry none.")
@click.option("--time-zone", default="UTC", show_default=True, help="Zone of time stamps that carry none.")
@click.option("--own-domain", "own_domains", multiple=True, help="A domain whose mailboxes are here; may be repeated.")
@click.option("--own-network", "own_networks", multiple=True, help="A network of the operator's clients, CIDR.")
@click.option("--filter", "filters", multiple=True, help="A relay that is a content filter: host, address, host:port.")
@click.option("--json", "_json", is_flag=True, help="JSON lines (the only form).")
def replay(
    files: tuple[Path, ...],
    mta: settings.MtaName,
    host: str | None,
    year: int | None,
    time_zone: str,
    own_domains: tuple[str, ...],
    own_networks: tuple[str, ...],
    filters: tuple[str, ...],
    _json: bool,
) -> None:
    """Print the envelope records of log FILES (`-`: standard input) as JSON lines; counts on standard error."""
    source = _checked(settings.Source, name="replay", path=files[0], mta=mta, time_zone=time_zone)
    site = _checked(
        settings.Site, host=host, own_domains=list(own_domains), own_networks=list(own_networks), filters=list(filters)
    )
    speed.settle()
    counts = replaying.print_records(replaying.replay(files, source, site, year, SystemClock()), sys.stdout)
    if sys.stderr.isatty() and (sentence := replaying.nothing_understood(counts)) is not None:
        click.echo(sentence, err=True)
    click.echo(json.dumps(counts), err=True)


@producer.command()
@click.option("--json", "as_json", is_flag=True, help="JSON for scripts.")
def check(as_json: bool) -> None:
    """Say which settings of the mail systems on this host lose evidence; exit 3 when one does."""
    systems = checking.examine()
    found = checking.report(systems)
    click.echo(json.dumps(found) if as_json else "\n".join(checking.sentences(systems)))
    sys.exit(0 if found["ok"] else 3)


@producer.command()
@click.option("--settings", "settings_file", type=click.Path(path_type=Path), help="Settings file (TOML).")
@click.option("--once", "once", type=click.Path(path_type=Path), help="Backfill: this file and those that follow.")
@click.argument("more", nargs=-1, type=click.Path(path_type=Path))
@click.option("--new-outbox", is_flag=True, help="The outbox is lost: begin another, at the next epoch.")
def run(settings_file: Path | None, once: Path | None, more: tuple[Path, ...], new_outbox: bool) -> None:
    """Follow the configured logs and publish their records, until told to stop.

    With --once FILE...: read rotated files once, safe beside the live agent, and end when all is in Kafka.
    """
    if (more and once is None) or (once is not None and new_outbox):
        raise SettingsError("Files go with --once, and --once does not go with --new-outbox.", "See --help.")
    loaded = settings.load(settings_file)
    logging.configure(loaded.log)
    stop = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda _number, _frame: stop.set())
    clock = SystemClock()
    speed.settle()
    if once is not None:
        begin.backfill_agent(loaded, clock, stop, [once, *more]).run(stop, once=True)
        return
    metrics.serve(loaded.metrics)
    begin.live_agent(loaded, clock, stop, new_outbox=new_outbox).run(stop)


def _checked(kind: Any, **values: Any) -> Any:
    """A settings section from arguments; a wrong one is a SettingsError."""
    try:
        return kind(**values)
    except ValidationError as error:
        raise SettingsError(f"An argument is wrong: {error.errors()[0]['msg']}.", "See --help.") from None
