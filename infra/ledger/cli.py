"""`liucun ledger` and `liucun audit`: arguments only."""

import asyncio
import json
import sys
from pathlib import Path
from typing import Any

import click

from infra.ledger import audit as auditing
from infra.ledger import examine, init
from infra.ledger.client import LedgerClient
from infra.ledger.run import Writer
from infra.platform import logging, metrics, settings
from infra.platform.clock import clock_from_environment
from infra.platform.errors import SettingsError
from infra.proof.genesis import ROLES, TERM_DAYS_MAX

_SETTINGS = click.option("--settings", "file", type=click.Path(path_type=Path), help="Settings file (TOML).")
_JSON = click.option("--json", "as_json", is_flag=True, help="JSON for scripts.")
_PATH = click.Path(path_type=Path)
_ACTOR = click.option(
    "--actor", default=None, help="Who reads, as a resource name; without, users/<name of the Unix user>."
)


def _say(as_json: bool, document: Any, lines: list[str]) -> None:
    click.echo(json.dumps(document, ensure_ascii=False) if as_json else "\n".join(lines))


@click.group()
def ledger() -> None:
    """The query log's one writer, and its check."""


@ledger.command("run")
@_SETTINGS
def run_writer(file: Path | None) -> None:
    """Write the ledger until told to stop; exit 2 when another writer runs, or the files are damaged."""
    loaded = settings.load(file)
    logging.configure(loaded.log)
    metrics.serve(loaded.metrics)
    writer = Writer(loaded.ledger, clock_from_environment())
    asyncio.run(writer.run())


@ledger.command("init")
@click.option("--genesis", "genesis_file", type=_PATH, required=True, help="The genesis, signed by all three persons.")
@_SETTINGS
@_JSON
def init_ledger(genesis_file: Path, file: Path | None, as_json: bool) -> None:
    """Begin a ledger with its first entry; exit 2 when there is one already."""
    loaded = settings.load(file).ledger
    found = init.read(genesis_file)
    head = init.init(loaded, clock_from_environment(), found)
    document = {"origin": head.origin, "log_key": str(found.log_key), "size": head.size, "root": head.root.hex()}
    _say(as_json, document, [f"The ledger {head.origin} is begun. Its key, for everybody: {found.log_key}"])


@ledger.command()
@_SETTINGS
@_JSON
def fsck(file: Path | None, as_json: bool) -> None:
    """Compute everything anew from a ledger at rest; exit 3 with what differs."""
    report = examine.fsck(settings.load(file).ledger)
    _say(as_json, report, examine.sentences(report))
    sys.exit(0 if report["ok"] else 3)


@ledger.command()
@click.argument("index", type=click.IntRange(0))
@click.option("--actor", required=True, help="Who orders it, as a resource name.")
@click.option("--reason", required=True, help="Why, in a sentence; it stays in the ledger.")
@click.option("--execute", is_flag=True, help="Do it; without, only say what would be done.")
@_SETTINGS
@_JSON
def erase(index: int, actor: str, reason: str, execute: bool, file: Path | None, as_json: bool) -> None:
    """Destroy the payload of an entry past its term; its leaf and all proofs stay."""
    loaded = settings.load(file).ledger
    if not execute:
        _say(as_json, {"executed": False, "index": index}, [f"Would erase entry {index}.", "Add --execute to do it."])
        return
    erased_by = LedgerClient(loaded).erase(index, actor, reason)
    document = {"executed": True, "index": index, "erased_by": erased_by}
    _say(as_json, document, [f"Entry {index} is erased; entry {erased_by} says so."])


@ledger.group()
def genesis() -> None:
    """The first entry: made on the ledger's host, signed by three persons."""


@genesis.command("new")
@click.option(
    "--person",
    "persons",
    multiple=True,
    required=True,
    help="NAME=PUBLICKEYFILE:ROLE,ROLE ... (three times). Roles: " + ", ".join(ROLES) + ".",
)
@click.option("--display-name", "names", multiple=True, help="NAME=TEXT, how people call that person.")
@click.option("--policy-version", default="cn-1", show_default=True, help="Version of the policy that applies.")
@click.option(
    "--erase-after-days",
    type=click.IntRange(0, TERM_DAYS_MAX),
    default=None,
    help="Term of every entry; without, the setting ledger.erase_after_days_min.",
)
@click.option("--output", type=_PATH, required=True, help="File to write; the three then sign it.")
@_SETTINGS
def genesis_new(
    persons: tuple[str, ...],
    names: tuple[str, ...],
    policy_version: str,
    erase_after_days: int | None,
    output: Path,
    file: Path | None,
) -> None:
    """Make the log's key and a genesis that is not signed yet."""
    loaded = settings.load(file).ledger
    called = dict(_pair(text) for text in names)
    days = loaded.erase_after_days_min if erase_after_days is None else erase_after_days
    three = [_person(text, called) for text in persons]
    found = init.new(loaded, clock_from_environment(), policy_version, days, three)
    init.write(output, found)
    click.echo(f"{output} is to be signed by {', '.join(found.public_keys)}.")


@genesis.command("sign")
@click.argument("path", type=_PATH)
@click.option("--person", "name", required=True, help="Who signs, as named in the genesis.")
@click.option("--key", type=_PATH, required=True, help="That person's Ed25519 private key (PEM).")
def genesis_sign(path: Path, name: str, key: Path) -> None:
    """Add one person's signature to a genesis, after reading it."""
    try:
        secret = init.private_key(key, None)
    except TypeError:
        passphrase = click.prompt(f"Passphrase of {key}", hide_input=True, err=True)
        secret = init.private_key(key, passphrase.encode())
    found = init.sign(init.read(path), _full(name), secret)
    init.write(path, found)
    left = found.unsigned()
    click.echo(f"Still to sign: {', '.join(left)}." if left else "All three have signed.")


@click.group()
def audit() -> None:
    """What is in the ledger, and whether it is what was written."""


@audit.command("list")
@click.option("--start", type=click.IntRange(0), default=0, show_default=True, help="First index.")
@click.option("--limit", type=click.IntRange(1, 100_000), default=100, show_default=True, help="How many at most.")
@click.option("--kind", default=None, help="Only entries of this kind.")
@_ACTOR
@_SETTINGS
@_JSON
def list_entries(start: int, limit: int, kind: str | None, actor: str | None, file: Path | None, as_json: bool) -> None:
    """Entries in order; that they were read is an entry itself."""
    desk = auditing.Desk(settings.load(file).ledger, actor)
    for entry in desk.entries(start, limit, kind):
        document = {"index": entry.index, "kind": entry.kind, "payload": entry.payload}
        click.echo(json.dumps(document, ensure_ascii=False) if as_json else auditing.line(entry))


@audit.command()
@click.argument("index", type=click.IntRange(0))
@_ACTOR
@_SETTINGS
@_JSON
def show(index: int, actor: str | None, file: Path | None, as_json: bool) -> None:
    """One entry, and the proof that it is in the published tree; that it was read is an entry itself."""
    document = auditing.Desk(settings.load(file).ledger, actor).show(index)
    click.echo(json.dumps(document, ensure_ascii=False, indent=None if as_json else 2))


@audit.command()
@click.option("--day", type=click.DateTime(["%Y-%m-%d"]), default=None, help="Open only the payloads of this day.")
@click.option("--folder", type=_PATH, default=None, help="Another folder than ledger.folder: a copy, a backup.")
@click.option("--key", default=None, help="The log's public key; without, that of the keys, else <folder>/log.vkey.")
@_SETTINGS
@_JSON
def verify(day: Any, folder: Path | None, key: str | None, file: Path | None, as_json: bool) -> None:
    """Compute everything anew from the files, and compare with the running writer; exit 3 on any difference."""
    loaded = settings.load(file)
    report = examine.verify(
        loaded.ledger, folder=folder, key=key, day=day.date() if day else None, zone=loaded.legal.zone_info
    )
    _say(as_json, report, examine.sentences(report))
    sys.exit(0 if report["ok"] else 3)


@audit.command()
@click.option("--output", type=_PATH, required=True, help="File to write; it must not exist.")
@_ACTOR
@_SETTINGS
@_JSON
def export(output: Path, actor: str | None, file: Path | None, as_json: bool) -> None:
    """Every entry with what opens its leaf, one JSON object a line; that it was exported is an entry itself."""
    count = auditing.Desk(settings.load(file).ledger, actor).export(output)
    _say(as_json, {"output": str(output), "entries": count}, [f"{count} entries are in {output}."])


def _person(text: str, called: dict[str, str]) -> init.Person:
    name, rest = _pair(text)
    path, _, roles = rest.rpartition(":")
    if not path or not roles:
        raise SettingsError(f"--person {text} is not NAME=PUBLICKEYFILE:ROLE,ROLE.", "For example li=li.pub:preparer.")
    public_key = init.public_key(Path(path))
    return init.Person(name, called.get(name, name.removeprefix("persons/")), roles.split(","), public_key)


def _pair(text: str) -> tuple[str, str]:
    name, sign, rest = text.partition("=")
    if not sign or not rest:
        raise SettingsError(f"{text} is not NAME=...", "Write for example li=li.pub:preparer,operator.")
    return _full(name), rest


def _full(name: str) -> str:
    return name if name.startswith("persons/") else f"persons/{name}"
