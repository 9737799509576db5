"""`liucun server` and `certs`: arguments only."""

import signal
import threading
from datetime import UTC, datetime
from pathlib import Path

import click

from infra.ledger.client import LedgerClient
from infra.platform import logging, metrics
from infra.platform import settings as settings_module
from infra.platform.clock import clock_from_environment
from query_service import development
from query_service.server import Service

_SETTINGS = click.option("--settings", "settings", type=click.Path(path_type=Path), help="Settings file (TOML).")
_PATH = click.Path(path_type=Path)


@click.group()
def server() -> None:
    """The query service."""


@server.command()
@_SETTINGS
def run(settings: Path | None) -> None:
    """Answer lawful questions until told to stop."""
    loaded = settings_module.load(settings)
    logging.configure(loaded.log)
    stop = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda _number, _frame: stop.set())
    metrics.serve(loaded.metrics)
    ledger = LedgerClient(loaded.ledger)
    Service(loaded, clock_from_environment(), ledger).run(stop)
    ledger.close()


@click.group()
def certs() -> None:
    """Certificates for development."""


@certs.command()
@click.option("--folder", type=_PATH, default=Path("certs"), show_default=True, help="A new folder.")
@click.option("--host", "hosts", multiple=True, help="Name or address of the service; without, that of server.host.")
@_SETTINGS
def init(folder: Path, hosts: tuple[str, ...], settings: Path | None) -> None:
    """Make an authority, a server, an agency with one officer, and four people of the provider."""
    loaded = settings_module.load(settings)
    written = development.init(folder, loaded, list(hosts) or [loaded.server.host], datetime.now(UTC))
    for path in written:
        click.echo(path)
    click.echo(f"warning: {development.WARNING}", err=True)
