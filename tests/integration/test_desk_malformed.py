"""Entries that anybody who may append could write: none stops the desk, and none changes what it should not."""

import copy
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from liucun.authorization.v1 import authorization_pb2
from liucun.lookup.v1 import lookup_pb2
from liucun.registry.v1 import registry_pb2

from infra.platform import tls
from infra.proof import requests
from query_service import documents, projection, registry
from query_service.client import RefusedError
from query_service.lookups import LookupService
from query_service.members import person_document
from query_service.selectors import from_document
from query_service.shapes import SHAPES
from query_service.state import State
from tests import desk as kit
from tests.desk import AGENCY, OFFICER, RunningDesk
from tests.pipeline import until
from tests.places import ALICE, Place, ask, cancel, reason, revoke_agency, revoke_person

JUNK: tuple[Any, ...] = (None, True, -1, 2**53 - 1, "", "x", "agencies/x/lookups/y", [], [1], [[]], {}, {"a": 1})


@pytest.fixture
def place(tmp_path: Path) -> Place:
    return Place(tmp_path)


def everything(place: Place, desk: RunningDesk) -> None:
    """Acts that leave an entry of every kind that the projection knows."""
    place.world.enrol(desk, place.world.agency())
    one = kit.approved(desk)
    sun = registry_pb2.Person(
        name="persons/sun", display_name="孙", roles=["ROLE_AUDITOR"],
        public_key=tls.public_key_hex(place.world.key("persons/sun")),
    )  # fmt: skip
    document_hash = requests.registry_hash(person_document(sun))
    with desk.client("persons/li") as li, desk.client("persons/wang") as wang, desk.client(OFFICER) as officer:
        signed = li.registration("ENTER", sun.name, document_hash)
        li.call(li.registry.CreatePerson, registry_pb2.CreatePersonRequest(person=sun, signed_statement=signed))
        signed = wang.registration("APPROVE", sun.name, document_hash)
        wang.call(
            wang.registry.ApprovePerson, registry_pb2.ApprovePersonRequest(name=sun.name, signed_statement=signed)
        )
        ask(officer, one)
        cancel(officer, ask(officer, one).name)
        for kind in ("Reject", "Revoke"):
            other = kit.enter(officer, kit.instrument())
            request = getattr(authorization_pb2, f"{kind}AuthorizationRequest")(name=other.name, reason="no")
            wang.call(getattr(wang.authorizations, f"{kind}Authorization"), request)
    revoke_person(desk, "persons/sun")
    revoke_agency(desk)


def altered(value: Any) -> Iterator[Any]:
    """The value with each of its parts left out, or replaced by what it is not."""
    parts = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for at, inner in parts:
        for other in (*JUNK, *altered(inner)):
            changed = copy.copy(value)
            changed[at] = other
            yield changed
        changed = copy.copy(value)
        del changed[at]
        yield changed
    if isinstance(value, dict):
        yield value | {"more": 1}


def read_all(state: State) -> None:
    """All that calls make of the tables."""
    service = LookupService.__new__(LookupService)
    state.keys()
    for _, one in state.authorizations("agencies/-", 2**62, 1000):
        documents.full_message(one, one.status)
        [from_document(selector) for selector in one.document["scope"]["selectors"]]
    for row in state._rows("SELECT name FROM lookup"):
        found = state.intent(row[0])
        assert found is not None
        service._message(found)
    for member in state.members("agency", 0, 1000):
        registry._agency(member)
    for member in state.members("person", 0, 1000):
        registry._person(member)
        state.enrolled(member.name)


class Upto:
    """A ledger as it was when it had so many entries."""

    def __init__(self, ledger: kit.MemoryLedger, size: int) -> None:
        self.entries = ledger.entries[:size]

    def read(self, start: int, limit: int = 1000) -> list[kit.Entry]:
        return self.entries[start : start + limit]

    def checkpoint(self) -> str:
        return kit.head_of(self.entries)


def test_no_entry_of_a_wrong_shape_stops_anybody(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    """Every part of an entry of every kind, left out and replaced: some 30,000 entries, and all readers behind each."""
    with place.running() as desk:
        everything(place, desk)
    assert {entry.kind for entry in place.ledger.entries} >= SHAPES.keys()
    monkeypatch.setattr("query_service.answers.expire_time", lambda _desk, _lookup: 1)
    service_clock = type("Desk", (), {"clock": place.clock})()
    monkeypatch.setattr(LookupService, "_desk", service_clock, raising=False)
    state = State()
    seen: set[str] = set()
    for entry in list(place.ledger.entries):
        state.catch_up(Upto(place.ledger, entry.index))
        if entry.kind in SHAPES and entry.kind not in seen:
            seen.add(entry.kind)
            refused = 0
            for changed in altered(entry.payload):
                changed |= {name: entry.payload[name] for name in ("kind", "time", "actor")}  # the ledger's own
                state._database.execute("SAVEPOINT one")
                if projection.apply(state._database, entry.index, entry.kind, changed):
                    read_all(state)
                else:
                    refused += 1
                state._database.execute("ROLLBACK TO one")
            assert refused > 0
    assert seen == SHAPES.keys()


def test_the_desk_goes_on_behind_entries_of_others(place: Place) -> None:
    """While it runs, and when it is made anew from them."""
    place.store.count = 3
    with place.running() as desk:
        place.world.enrol(desk, place.world.agency())
        one = kit.approved(desk)
        place.ledger.append("AGENCY_ENTERED", "services/ops", document={})
        place.ledger.append("GENESIS", "services/ops", statement=1)
        place.ledger.append("LOOKUP_SEGMENT", "services/ops", lookup=None)
        place.ledger.append("REFUSED", "services/ops", token_id={})
        with desk.client(OFFICER) as officer:
            assert ask(officer, one).record_count == 3
    with place.running() as desk, desk.client(OFFICER) as officer:
        assert ask(officer, one).record_count == 3


def test_a_ledger_restored_from_a_backup_is_read_anew(place: Place) -> None:
    """What was written behind the backup is gone; a revocation that comes afterwards is obeyed."""
    with place.running() as desk:
        place.world.enrol(desk, place.world.agency())
        one = kit.approved(desk)
        backup = list(place.ledger.entries)
        with desk.client(OFFICER) as officer:
            lookup = ask(officer, one)
            assert len(list(officer.records(lookup.name))) == lookup.record_count
            with place.ledger._lock:
                place.ledger.entries = backup
            until(lambda: _reads(lambda: ask(officer, one)), 10)
            revoke = authorization_pb2.RevokeAuthorizationRequest(name=one.name, reason="closed")
            officer.call(officer.authorizations.RevokeAuthorization, revoke)
            assert reason(lambda: ask(officer, one)) == "AUTHORIZATION_REVOKED"
            assert reason(lambda: list(officer.records(lookup.name))) == "NOT_FOUND"
    with place.running() as desk, desk.client(OFFICER) as officer:
        assert reason(lambda: ask(officer, one)) == "AUTHORIZATION_REVOKED"


def _reads(work: Any) -> bool:
    """Whether it is answered; while the ledger is read anew it is not."""
    try:
        work()
    except RefusedError:
        return False
    return True


def test_a_service_cannot_end_or_sign_an_authorization(place: Place) -> None:
    """It takes somebody who is enrolled; a signature that is not the signer's takes nobody's place."""
    with place.running() as desk:
        place.world.enrol(desk, place.world.agency())
        with desk.client(OFFICER) as officer:
            one = kit.enter(officer, kit.instrument())
        forged = {"statement": {"decision": "APPROVE"}, "signature": "00" * 64, "enough": True}
        for actor in ("services/ops", "persons/nobody", "agencies/other/officers/zhang", f"{AGENCY}/officers/nobody"):
            place.ledger.append("AUTHORIZATION_REVOKED", actor, authorization=one.name, reason="x")
        for actor in ("persons/wang", "persons/zhao"):
            place.ledger.append("AUTHORIZATION_APPROVED", actor, authorization=one.name, **forged)
        with desk.client(OFFICER) as officer:
            assert reason(lambda: ask(officer, one)) == "AUTHORIZATION_NOT_APPROVED"
        for person in ("persons/wang", "persons/zhao"):
            with desk.client(person) as signer:
                one = signer.approve(kit.fetched(signer, one.name))
        first = next(entry for entry in place.ledger.entries if entry.kind == "AUTHORIZATION_APPROVED"
                     and entry.payload and entry.payload["signature"] != "00" * 64)  # fmt: skip
        members = {
            name: value for name, value in (first.payload or {}).items() if name not in ("kind", "time", "actor")
        }
        place.ledger.append("AUTHORIZATION_APPROVED", "persons/wang", **members)  # once more: counts once
        with desk.client(OFFICER) as officer:
            assert ask(officer, one, selector=ALICE).state == lookup_pb2.Lookup.STATE_DISCLOSED
            assert kit.fetched(officer, one.name).generation == one.generation
        place.ledger.append("AUTHORIZATION_REVOKED", OFFICER, authorization=one.name)  # no reason is no hindrance
        with desk.client(OFFICER) as officer:
            assert reason(lambda: ask(officer, one)) == "AUTHORIZATION_REVOKED"
