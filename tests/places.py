"""A desk whose neighbours a test can break, and what tests do at it."""

import uuid
from pathlib import Path
from typing import Any

import pytest
from liucun.audit.v1 import audit_pb2
from liucun.authorization.v1 import authorization_pb2
from liucun.lookup.v1 import lookup_pb2
from liucun.registry.v1 import registry_pb2, statement_pb2

from infra.platform.clock import MovedClock, SystemClock
from infra.proof import canonical
from query_service.client import Client, RefusedError
from tests import desk as kit
from tests.desk import AGENCY, RunningDesk, World

ALICE = kit.selector("SENDER", "alice@example.org")


class Place:
    """A desk whose parts a test can break."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.clock = MovedClock(SystemClock(), 0)
        self.world = World()
        self.ledger = kit.MemoryLedger(self.world.genesis(), self.clock)
        self.store = kit.FakeStore(25)
        self.store.ledger = self.ledger

    def kinds(self) -> list[str]:
        return [entry.kind for entry in self.ledger.entries]

    def running(self, **server: Any) -> Any:
        return kit.running(self.folder, self.world, self.ledger, clock=self.clock, store=self.store, **server)


def reason(work: Any) -> str:
    """What a call is refused with."""
    with pytest.raises(RefusedError) as caught:
        work()
    return caught.value.reason


def last(ledger: kit.MemoryLedger) -> dict[str, Any]:
    """The newest entry."""
    payload = ledger.entries[-1].payload
    assert payload is not None
    return payload


def ask(client: Client, one: authorization_pb2.Authorization, **changes: Any) -> lookup_pb2.Lookup:
    return client.create_lookup(kit.question(one, changes.pop("selector", ALICE), **changes))


def create(client: Client, one: authorization_pb2.Authorization, token: str) -> None:
    request = lookup_pb2.CreateLookupRequest(
        parent=AGENCY, lookup=kit.question(one, ALICE), request_id=str(uuid.uuid4())
    )
    client.call(client.lookups.CreateLookup, request, token=token)


def cancel(client: Client, name: str) -> lookup_pb2.Lookup:
    found: lookup_pb2.Lookup = client.call(
        client.lookups.CancelLookup, lookup_pb2.CancelLookupRequest(name=name)
    ).lookup
    return found


def approve(client: Client, name: str, signed: statement_pb2.SignedStatement) -> None:
    request = authorization_pb2.ApproveAuthorizationRequest(name=name, signed_statement=signed)
    client.call(client.authorizations.ApproveAuthorization, request)


def revoke_person(desk: RunningDesk, name: str) -> None:
    with desk.client("persons/zhao") as zhao:
        people = zhao.call(zhao.registry.ListPersons, registry_pb2.ListPersonsRequest()).persons
        (found,) = [person for person in people if person.name == name]
        request = registry_pb2.RevokePersonRequest(
            name=name, reason="left", signed_statement=zhao.registration("REVOKE", name, found.document_hash)
        )
        zhao.call(zhao.registry.RevokePerson, request)


def revoke_agency(desk: RunningDesk) -> None:
    with desk.client("persons/zhao") as zhao:
        found = zhao.call(zhao.registry.ListAgencies, registry_pb2.ListAgenciesRequest()).agencies[0]
        request = registry_pb2.RevokeAgencyRequest(
            name=AGENCY, reason="closed", signed_statement=zhao.registration("REVOKE", AGENCY, found.document_hash)
        )
        zhao.call(zhao.registry.RevokeAgency, request)


def entry_of(desk: RunningDesk, index: int) -> dict[str, Any]:
    """An entry, through the projection's own ledger: asked as an auditor would."""
    with desk.client("persons/zhao") as auditor:
        answer = auditor.call(auditor.audit.GetAuditEntry, audit_pb2.GetAuditEntryRequest(name=f"auditEntries/{index}"))
    found: dict[str, Any] = canonical.decode(answer.audit_entry.payload.encode())
    return found
