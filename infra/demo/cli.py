"""`liucun demo`: arguments only."""

import json
import os
import signal
import sys
import threading

import click

from infra.demo.tour import Tour
from infra.local import tether
from infra.local.runtime import home_from_environment
from infra.platform.errors import SettingsError


@click.group()
def demo() -> None:
    """The whole way on this machine, on real parts."""


@demo.command()
def up() -> None:
    """Run the tour. On a terminal, stay until Ctrl-C; else end all that was started."""
    home = home_from_environment()
    stop = threading.Event()
    signal.signal(signal.SIGTERM, _interrupt)
    lines: list[str] = []

    def say(line: str) -> None:
        lines.append(line)
        click.echo(line)

    tour = Tour(home, say)
    try:
        tour.run()
        (home / "demo" / "tour.txt").write_text("\n".join(lines) + "\n", encoding="utf-8")
        if sys.stdin.isatty() and sys.stdout.isatty():
            tour.stay()
            _stay(stop)
    except KeyboardInterrupt:
        click.echo("Stopping ...", err=True)
    finally:
        tour.close()


@demo.command("tour")
def show() -> None:
    """Show the last tour again."""
    file = home_from_environment() / "demo" / "tour.txt"
    if not file.exists():
        raise SettingsError("No demo has run here.", "Run `make demo`.")
    click.echo(file.read_text(encoding="utf-8"), nl=False)


@demo.command()
def down() -> None:
    """End a demo that stays up in another terminal."""
    file = home_from_environment() / "demo" / "stays.pid"
    try:
        pid, begun = map(int, file.read_text().split())
    except (OSError, ValueError):
        raise SettingsError("No demo stays up here.", "Run `make demo` on a terminal.") from None
    if tether.start_time(pid) != begun:
        file.unlink()
        raise SettingsError("The demo has already ended.", "Run `make demo` for another.")
    os.kill(pid, signal.SIGTERM)


def _stay(stop: threading.Event) -> None:
    folder = home_from_environment() / "demo"
    pid_file = folder / "stays.pid"
    pid_file.write_text(f"{os.getpid()} {tether.start_time(os.getpid())}")
    settings = folder / "liucun.toml"
    click.echo("\nIt stays up. In another terminal:")
    for command in ("consumer lag", "consumer verify", "retention status", "audit list", "doctor"):
        click.echo(f"  .venv/bin/liucun {command} --settings {os.path.relpath(settings)}")
    lookup = json.loads((folder / "report.json").read_text(encoding="utf-8"))["lookup"]
    click.echo(
        f"  .venv/bin/liucun lookup stream {lookup} --settings {os.path.relpath(folder / 'certs' / 'zhang.toml')}"
    )
    click.echo("Ctrl-C ends it.")
    try:
        stop.wait()
    finally:
        pid_file.unlink(missing_ok=True)


def _interrupt(_number: int, _frame: object) -> None:
    raise KeyboardInterrupt
