"""What commands print: JSON as it is promised, or short lines for people."""

import json
from collections.abc import Iterable
from typing import Any

import click
from google.protobuf.message import Message
from liucun.authorization.v1 import authorization_pb2
from liucun.lookup.v1 import lookup_pb2

from query_service.plain import to_plain
from query_service.records import document_of
from query_service.wire import field_groups

_LINES = {
    "Agency": "{name}  {state}  {display_name}",
    "Person": "{name}  {state}  {display_name}  {roles}",
    "Authorization": "{name}  {status}  {instrument[document_number]}  {hits_used} of {scope[max_hits]} hits",
    "Lookup": "{name}  {state} {status_reason}  {record_count} records",
}


def one(message: Message, as_json: bool) -> None:
    """One thing."""
    document = to_plain(message)
    text = _LINES[message.DESCRIPTOR.name].format_map(document)
    click.echo(json.dumps(document, ensure_ascii=False) if as_json else text)


def many(messages: Iterable[Message], as_json: bool) -> None:
    """One line each."""
    for message in messages:
        one(message, as_json)


def record(found: lookup_pb2.Record, lookup: lookup_pb2.Lookup, as_json: bool) -> None:
    """One record: with --json the JSON form of envelope.md, its number in front."""
    document = document_of(found, field_groups(lookup.field_groups, "field_groups"))
    if as_json:
        click.echo(json.dumps({"record_number": found.record_number, "hop": found.hop, **document}, ensure_ascii=False))
        return
    ip = document.get("sender_ip") or "-"
    click.echo(
        f"{found.record_number:>6}  {document['event_time']}  {document['sender']} [{ip}] -> {document['recipient']}  "
        f"{document['outcome']}" + (f"  (hop {found.hop:+})" if found.hop else "")
    )


def what_is_signed(one_: authorization_pb2.Authorization) -> list[str]:
    """The document in a signer's words: everything that the hash covers and that decides what may be read."""
    document: dict[str, Any] = to_plain(one_)
    instrument, scope = document["instrument"], document["scope"]
    handlers = ", ".join(handler["display_name"] for handler in instrument["handlers"])
    return [
        f"You sign {document['name']} (entered by {document['requester']}, policy {document['policy_version']}):",
        f"  {document['legal_type']}  {instrument['document_number']}",
        f"  case {instrument['case_number']} {instrument['case_name']}, {instrument['unit']}",
        f"  approved by {instrument['approver']['display_name']}, handled by {handlers}, issued by "
        f"{instrument['issuer']['display_name']} at {instrument['issue_time']}",
        f"  in force {document['timespan']['start_time']} to {document['timespan']['end_time']}",
        f"  document SHA-256 {document['document']['sha256']}",
        *(f"  may look for {one['kind']} {one['value']} {one['host']}".rstrip() for one in scope["selectors"]),
        f"  from {scope['window']['start_time']} to {scope['window']['end_time']}",
        f"  at most {scope['max_hits']} hits, fields: {', '.join(scope['field_groups'])}",
        f"  request hash {document['request_hash']}",
    ]
