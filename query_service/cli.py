"""`liucun agency`, `person`, `authorization`: arguments only. [client] of the settings says for whom they speak."""

import hashlib
import json
import uuid
from pathlib import Path
from typing import Any

import click
from liucun.authorization.v1 import authorization_pb2
from liucun.registry.v1 import registry_pb2

from infra.platform import tls
from infra.platform.clock import clock_from_environment
from infra.platform.errors import SettingsError
from infra.proof import requests
from query_service import show, tokens
from query_service.members import agency_document, person_document
from query_service.plain import from_plain, to_plain
from query_service.session import client, owner, signing_key

_PATH = click.Path(path_type=Path)
SETTINGS = click.option("--settings", "settings", type=_PATH, help="Settings file (TOML) with [client].")
JSON = click.option("--json", "as_json", is_flag=True, help="JSON for scripts.")
KEY = click.option("--key", type=_PATH, help="Signing key file (PEM, Ed25519) instead of client.signing_key_file.")
_FILE = click.option("--file", type=_PATH, required=True, help="JSON file; docs/officer.md has an example.")
_REASON = click.option("--reason", required=True, help="Why, in a sentence; it stays in the ledger.")
RECEIVED = ("counter", "fax", "letter", "portal")


@click.group()
def agency() -> None:
    """Agencies and their officers: entered by one person, approved by another."""


@agency.command("create")
@_FILE
@KEY
@SETTINGS
@JSON
def create_agency(file: Path, key: Path | None, settings: Path | None, as_json: bool) -> None:
    """Enter an agency, or a new version of one."""
    message = registry_pb2.Agency()
    from_plain(read_json(file), message)
    with client(settings, key) as desk:
        signed = desk.registration("ENTER", message.name, requests.registry_hash(agency_document(message)))
        request = registry_pb2.CreateAgencyRequest(agency=message, signed_statement=signed)
        show.one(desk.call(desk.registry.CreateAgency, request).agency, as_json)


@agency.command("approve")
@click.argument("name")
@KEY
@SETTINGS
@JSON
def approve_agency(name: str, key: Path | None, settings: Path | None, as_json: bool) -> None:
    """Approve what another person entered."""
    with client(settings, key) as desk:
        found = _listed(desk, "agency", name)
        signed = desk.registration("APPROVE", name, found.pending_document_hash)
        request = registry_pb2.ApproveAgencyRequest(name=name, signed_statement=signed)
        show.one(desk.call(desk.registry.ApproveAgency, request).agency, as_json)


@agency.command("revoke")
@click.argument("name")
@_REASON
@KEY
@SETTINGS
@JSON
def revoke_agency(name: str, reason: str, key: Path | None, settings: Path | None, as_json: bool) -> None:
    """Revoke an agency at once, for good."""
    with client(settings, key) as desk:
        found = _listed(desk, "agency", name)
        signed = desk.registration("REVOKE", name, found.document_hash or found.pending_document_hash)
        request = registry_pb2.RevokeAgencyRequest(name=name, signed_statement=signed, reason=reason)
        show.one(desk.call(desk.registry.RevokeAgency, request).agency, as_json)


@agency.command("list")
@SETTINGS
@JSON
def list_agencies(settings: Path | None, as_json: bool) -> None:
    """All agencies."""
    with client(settings) as desk:
        show.many(_pages(desk.call, desk.registry.ListAgencies, registry_pb2.ListAgenciesRequest, "agencies"), as_json)


@click.group()
def person() -> None:
    """People of the provider, and tokens."""


@person.command("create")
@_FILE
@KEY
@SETTINGS
@JSON
def create_person(file: Path, key: Path | None, settings: Path | None, as_json: bool) -> None:
    """Enter a person, or a new version of one."""
    message = registry_pb2.Person()
    from_plain(read_json(file), message)
    with client(settings, key) as desk:
        signed = desk.registration("ENTER", message.name, requests.registry_hash(person_document(message)))
        request = registry_pb2.CreatePersonRequest(person=message, signed_statement=signed)
        show.one(desk.call(desk.registry.CreatePerson, request).person, as_json)


@person.command("approve")
@click.argument("name")
@KEY
@SETTINGS
@JSON
def approve_person(name: str, key: Path | None, settings: Path | None, as_json: bool) -> None:
    """Approve whom another person entered."""
    with client(settings, key) as desk:
        found = _listed(desk, "person", name)
        signed = desk.registration("APPROVE", name, found.pending_document_hash)
        request = registry_pb2.ApprovePersonRequest(name=name, signed_statement=signed)
        show.one(desk.call(desk.registry.ApprovePerson, request).person, as_json)


@person.command("revoke")
@click.argument("name")
@_REASON
@KEY
@SETTINGS
@JSON
def revoke_person(name: str, reason: str, key: Path | None, settings: Path | None, as_json: bool) -> None:
    """Revoke a person at once, for good."""
    with client(settings, key) as desk:
        found = _listed(desk, "person", name)
        signed = desk.registration("REVOKE", name, found.document_hash or found.pending_document_hash)
        request = registry_pb2.RevokePersonRequest(name=name, signed_statement=signed, reason=reason)
        show.one(desk.call(desk.registry.RevokePerson, request).person, as_json)


@person.command("list")
@SETTINGS
@JSON
def list_persons(settings: Path | None, as_json: bool) -> None:
    """All people."""
    with client(settings) as desk:
        show.many(_pages(desk.call, desk.registry.ListPersons, registry_pb2.ListPersonsRequest, "persons"), as_json)


@person.command()
@click.option("--key", type=_PATH, required=True, help="Signing key file (PEM, Ed25519) of who the token is for.")
@click.option("--certificate", type=_PATH, required=True, help="Client certificate (PEM) that the token is bound to.")
@click.option("--name", default="", help="agencies/.../officers/...; without, the person of the certificate.")
@JSON
def token(key: Path, certificate: Path, name: str, as_json: bool) -> None:
    """Print a token for another client, such as grpcurl: good for four minutes, once for calls that act."""
    loaded = tls.read_certificate(certificate)
    speaks_for = name or owner(certificate)
    if speaks_for.startswith("agencies/") and "/officers/" not in speaks_for:
        raise SettingsError(f"{certificate} is an agency's.", "Say which officer: --name agencies/.../officers/...")
    made = tokens.mint(signing_key(key), speaks_for, tls.der(loaded), clock_from_environment().now())
    click.echo(json.dumps({"name": speaks_for, "token": made}) if as_json else made)


@click.group()
def authorization() -> None:
    """Legal instruments: entered, signed by two, rejected, revoked."""


@authorization.command("create")
@_FILE
@click.option("--on-behalf-of", "agency_name", help="Agency whose paper this is (agencies/...); for provider people.")
@click.option("--received-by", type=click.Choice(RECEIVED), help="With --on-behalf-of: how the paper came.")
@click.option("--document", type=_PATH, help="The scan or electronic document, kept encrypted.")
@click.option("--request-id", default="", help="UUID; the same one gives the same authorization.")
@SETTINGS
@JSON
def create_authorization(
    file: Path,
    agency_name: str | None,
    received_by: str | None,
    document: Path | None,
    request_id: str,
    settings: Path | None,
    as_json: bool,
) -> None:
    """Enter an instrument."""
    if (agency_name is None) != (received_by is None):
        raise SettingsError("--on-behalf-of and --received-by belong together.", "Give both for paper, none otherwise.")
    message = authorization_pb2.Authorization()
    from_plain(read_json(file), message)
    if document is not None:
        message.document.body = tls.read(document)
        message.document.sha256 = hashlib.sha256(message.document.body).hexdigest()
    if received_by is not None:
        message.MergeFrom(authorization_pb2.Authorization(received_by=f"RECEIVED_BY_{received_by.upper()}"))
    with client(settings) as desk:
        parent = agency_name or desk.identity.name.partition("/officers/")[0]
        request = authorization_pb2.CreateAuthorizationRequest(
            parent=parent, authorization=message, request_id=request_id or str(uuid.uuid4())
        )
        show.one(desk.call(desk.authorizations.CreateAuthorization, request).authorization, as_json)


@authorization.command("approve")
@click.argument("name")
@KEY
@SETTINGS
@JSON
def approve_authorization(name: str, key: Path | None, settings: Path | None, as_json: bool) -> None:
    """Sign it: what is signed is shown first (on standard error), made from what the service sent."""
    with client(settings, key) as desk:
        request = authorization_pb2.GetAuthorizationRequest(name=name)
        one = desk.call(desk.authorizations.GetAuthorization, request).authorization
        click.echo("\n".join(show.what_is_signed(one)), err=True)
        show.one(desk.approve(one), as_json)


@authorization.command("reject")
@click.argument("name")
@_REASON
@SETTINGS
@JSON
def reject_authorization(name: str, reason: str, settings: Path | None, as_json: bool) -> None:
    """Reject it for good."""
    with client(settings) as desk:
        request = authorization_pb2.RejectAuthorizationRequest(name=name, reason=reason)
        show.one(desk.call(desk.authorizations.RejectAuthorization, request).authorization, as_json)


@authorization.command("revoke")
@click.argument("name")
@_REASON
@SETTINGS
@JSON
def revoke_authorization(name: str, reason: str, settings: Path | None, as_json: bool) -> None:
    """Revoke it for good; its streams end within a second."""
    with client(settings) as desk:
        request = authorization_pb2.RevokeAuthorizationRequest(name=name, reason=reason)
        show.one(desk.call(desk.authorizations.RevokeAuthorization, request).authorization, as_json)


@authorization.command("get")
@click.argument("name")
@click.option("--document", type=_PATH, help="Also fetch the document, into this new file; that is logged.")
@SETTINGS
@JSON
def get_authorization(name: str, document: Path | None, settings: Path | None, as_json: bool) -> None:
    """One authorization as it stands."""
    with client(settings) as desk:
        if document is not None:
            fetched = desk.call(desk.authorizations.GetDocument, authorization_pb2.GetDocumentRequest(name=name))
            tls.write_secret(document, fetched.document.body)
        request = authorization_pb2.GetAuthorizationRequest(name=name)
        show.one(desk.call(desk.authorizations.GetAuthorization, request).authorization, as_json)


@authorization.command("list")
@click.option("--agency", "agency_name", help="Of this agency; without, the caller's, or for provider people all.")
@SETTINGS
@JSON
def list_authorizations(agency_name: str | None, settings: Path | None, as_json: bool) -> None:
    """Authorizations, newest first."""
    with client(settings) as desk:
        own, is_officer, _ = desk.identity.name.partition("/officers/")
        parent = agency_name or (own if is_officer else "agencies/-")

        def request(**values: Any) -> authorization_pb2.ListAuthorizationsRequest:
            return authorization_pb2.ListAuthorizationsRequest(parent=parent, **values)

        show.many(_pages(desk.call, desk.authorizations.ListAuthorizations, request, "authorizations"), as_json)


def read_json(path: Path) -> Any:
    """A JSON file. SettingsError."""
    try:
        return json.loads(tls.read(path))
    except ValueError:
        raise SettingsError(f"{path} is not JSON.", "docs/officer.md has an example.") from None


def _pages(call: Any, method: Any, request: Any, field: str) -> list[Any]:
    """All pages of a list."""
    found, page_token = [], ""
    while True:
        answer = call(method, request(page_token=page_token))
        found += getattr(answer, field)
        page_token = answer.next_page_token
        if not page_token:
            return found


def _listed(desk: Any, kind: str, name: str) -> Any:
    """One of the registry, with the hashes that are signed. SettingsError when it is not there."""
    if kind == "agency":
        found = _pages(desk.call, desk.registry.ListAgencies, registry_pb2.ListAgenciesRequest, "agencies")
    else:
        found = _pages(desk.call, desk.registry.ListPersons, registry_pb2.ListPersonsRequest, "persons")
    for one in found:
        if one.name == name:
            click.echo(json.dumps(to_plain(one), ensure_ascii=False, indent=2), err=True)
            return one
    raise SettingsError(f"{name} is not in the registry.", f"See `liucun {kind} list`.")
