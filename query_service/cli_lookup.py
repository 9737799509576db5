"""`liucun lookup`: arguments only."""

from pathlib import Path
from typing import Any

import click
from liucun.authorization.v1 import scope_pb2
from liucun.lookup.v1 import lookup_pb2

from infra.platform.errors import LiucunError, SettingsError
from infra.platform.times import microseconds_of_person
from query_service import show, wire
from query_service.cli import JSON, SETTINGS
from query_service.session import client

_SELECTORS = {
    "sender": "Envelope sender.",
    "recipient": "Envelope recipient, also before an alias.",
    "address": "Sender or recipient.",
    "domain": "Domain of sender or recipient.",
    "ip": "IP address or CIDR network, at either side.",
    "sender_ip": "IP address or CIDR network that mail came from.",
    "recipient_ip": "IP address or CIDR network that took mail over, or read a mailbox.",
    "message_id": "Message-ID.",
    "queue_id": "Queue id; give --host where it is known.",
    "user": "Login name.",
}


def _selector_options(command: Any) -> Any:
    for name, text in reversed(_SELECTORS.items()):
        command = click.option(f"--{name.replace('_', '-')}", name, help=text)(command)
    return command


@click.group()
def lookup() -> None:
    """Lawful questions and their answers."""


@lookup.command()
@click.option("--authorization", required=True, help="Under which authorization (its name).")
@_selector_options
@click.option("--host", default="", help="With --queue-id: the server.")
@click.option("--begin", required=True, help="Start of the window, RFC 3339; included.")
@click.option("--end", required=True, help="End of the window, RFC 3339; not included.")
@click.option("--max-records", type=click.IntRange(1), help="At most so many records.")
@click.option("--count-only", is_flag=True, help="Only how many there are.")
@click.option("--existence-only", is_flag=True, help="Only whether there are any.")
@click.option("--validate-only", is_flag=True, help="Only whether it would be allowed; that is logged too.")
@click.option("--include-non-final", is_flag=True, help="Also undecided records whose final one exists.")
@click.option("--request-id", default="", help="UUID; the same one gives the same lookup and runs nothing twice.")
@SETTINGS
@JSON
def create(
    authorization: str,
    host: str,
    begin: str,
    end: str,
    max_records: int | None,
    count_only: bool,
    existence_only: bool,
    validate_only: bool,
    include_non_final: bool,
    request_id: str,
    settings: Path | None,
    as_json: bool,
    **selectors: str | None,
) -> None:
    """Ask. It runs once; `lookup records` and `lookup stream` read what it found."""
    given = [(name, value) for name, value in selectors.items() if value is not None]
    if len(given) != 1 or count_only + existence_only + validate_only > 1:
        raise SettingsError("Ask for exactly one thing, in one way.", "See `liucun lookup create --help`.")
    ((name, value),) = given
    disclosure = "COUNT" if count_only else "EXISTENCE" if existence_only else "RECORDS"
    asked = lookup_pb2.Lookup(
        authorization=authorization,
        selector=scope_pb2.Selector(kind=f"KIND_{name.upper()}", value=value, host=host),
        window=scope_pb2.TimeWindow(start_time=_time("--begin", begin), end_time=_time("--end", end)),
        max_records=max_records or 0,
        disclosure=f"DISCLOSURE_{disclosure}",
        include_non_final=include_non_final,
    )
    with client(settings) as desk:
        show.one(desk.create_lookup(asked, request_id=request_id, validate_only=validate_only), as_json)


@lookup.command()
@click.argument("name")
@SETTINGS
@JSON
def get(name: str, settings: Path | None, as_json: bool) -> None:
    """One lookup as it stands."""
    with client(settings) as desk:
        answer = desk.call(desk.lookups.GetLookup, lookup_pb2.GetLookupRequest(name=name))
        show.one(answer.lookup, as_json)


@lookup.command()
@click.argument("name")
@click.option("--page-size", type=click.IntRange(1), default=None, help="Records a page; the service bounds it.")
@SETTINGS
@JSON
def records(name: str, page_size: int | None, settings: Path | None, as_json: bool) -> None:
    """All its records, fetched by pages; each page is logged."""
    with client(settings) as desk:
        one = desk.call(desk.lookups.GetLookup, lookup_pb2.GetLookupRequest(name=name)).lookup
        for found in desk.records(name, page_size=page_size or 0):
            show.record(found, one, as_json)


@lookup.command()
@click.argument("name")
@click.option("--cursor", default="", help="Go on behind it: printed when a stream is cut off.")
@SETTINGS
@JSON
def stream(name: str, cursor: str, settings: Path | None, as_json: bool) -> None:
    """All its records in one stream; exit 1, with the cursor to go on from, when it does not come to its end."""
    with client(settings) as desk:
        one = desk.call(desk.lookups.GetLookup, lookup_pb2.GetLookupRequest(name=name)).lookup
        done, reason = False, "it ended without its last message"
        try:
            for message in desk.stream(name, cursor=cursor):
                for found in message.records.records:
                    show.record(found, one, as_json)
                cursor = message.records.cursor or cursor
                done = message.HasField("done")
        except LiucunError as error:
            reason = str(error)
    if not done:
        raise LiucunError(f"The stream is not complete: {reason}", f"Go on with --cursor {cursor}." if cursor else "")


@lookup.command()
@click.argument("name")
@SETTINGS
@JSON
def cancel(name: str, settings: Path | None, as_json: bool) -> None:
    """End it: what runs is stopped, and its records can no longer be read."""
    with client(settings) as desk:
        answer = desk.call(desk.lookups.CancelLookup, lookup_pb2.CancelLookupRequest(name=name))
        show.one(answer.lookup, as_json)


def _time(option: str, text: str) -> Any:
    try:
        return wire.timestamp(microseconds_of_person(text))
    except ValueError:
        raise SettingsError(f"{option} is not a time.", "Write for example 2026-11-25T09:00:00+08:00.") from None
