"""RegistryService: agencies and people, entered by one and approved by another, each by signature.

The entry carries statement and signature, and the projection checks both again: a key counts only when a chain of
signatures leads to it from the genesis, each signed after the one before.
"""

from collections.abc import Callable
from typing import Any, Final

from liucun.registry.v1 import registry_pb2 as pb
from liucun.registry.v1 import registry_pb2_grpc, statement_pb2

from infra.proof import requests, statements
from query_service import bounded, documents, names, wire
from query_service.bounded import M
from query_service.desk import Desk
from query_service.errors import DeskError
from query_service.interceptors._wrap import Call
from query_service.members import agency_document, person_document
from query_service.state import Member
from query_service.statements import fresh

REASON_MAX: Final = 500
_KINDS: Final = {"agency": "AGENCY", "person": "PERSON"}


class RegistryService(registry_pb2_grpc.RegistryServiceServicer):
    """A handler gets a `Call` where grpc would give a context."""

    def __init__(self, desk: Desk) -> None:
        self._desk = desk

    def CreateAgency(self, request: pb.CreateAgencyRequest, call: Call) -> pb.CreateAgencyResponse:  # noqa: N802
        """Enter."""
        member = self._enter(call, "agency", agency_document(request.agency), request.signed_statement)
        return pb.CreateAgencyResponse(agency=_agency(member))

    def ApproveAgency(self, request: pb.ApproveAgencyRequest, call: Call) -> pb.ApproveAgencyResponse:  # noqa: N802
        """Approve."""
        return pb.ApproveAgencyResponse(agency=_agency(self._approve(call, "agency", request)))

    def RevokeAgency(self, request: pb.RevokeAgencyRequest, call: Call) -> pb.RevokeAgencyResponse:  # noqa: N802
        """Revoke."""
        return pb.RevokeAgencyResponse(agency=_agency(self._revoke(call, "agency", request)))

    def ListAgencies(self, request: pb.ListAgenciesRequest, call: Call) -> pb.ListAgenciesResponse:  # noqa: ARG002, N802
        """By name."""
        found, token = self._list("agency", request, _agency)
        return pb.ListAgenciesResponse(agencies=found, next_page_token=token)

    def CreatePerson(self, request: pb.CreatePersonRequest, call: Call) -> pb.CreatePersonResponse:  # noqa: N802
        """Enter."""
        member = self._enter(call, "person", person_document(request.person), request.signed_statement)
        return pb.CreatePersonResponse(person=_person(member))

    def ApprovePerson(self, request: pb.ApprovePersonRequest, call: Call) -> pb.ApprovePersonResponse:  # noqa: N802
        """Approve."""
        return pb.ApprovePersonResponse(person=_person(self._approve(call, "person", request)))

    def RevokePerson(self, request: pb.RevokePersonRequest, call: Call) -> pb.RevokePersonResponse:  # noqa: N802
        """Revoke."""
        return pb.RevokePersonResponse(person=_person(self._revoke(call, "person", request)))

    def ListPersons(self, request: pb.ListPersonsRequest, call: Call) -> pb.ListPersonsResponse:  # noqa: ARG002, N802
        """By name."""
        found, token = self._list("person", request, _person)
        return pb.ListPersonsResponse(persons=found, next_page_token=token)

    def _enter(self, call: Call, kind: str, document: dict[str, Any], signed: statement_pb2.SignedStatement) -> Member:
        state, name = self._desk.state, document["name"]
        with self._desk.of_agency("registry"):
            known = state.member(name)
            if known is not None and known.state == "REVOKED":
                raise DeskError("STATE_CONFLICT")
            owners = state.keys()
            for one in document.get("officers", [document]):
                if owners.get(one["public_key"], one["name"]) != one["name"]:
                    raise wire.invalid("public_key", "belongs to somebody else: one person has one key")
            members = self._signed(call, signed, "ENTER", name, requests.registry_hash(document))
            _later(members, known)
            self._append(call, f"{_KINDS[kind]}_ENTERED", document=document, **members)
        return self._member(name)

    def _approve(self, call: Call, kind: str, request: Any) -> Member:
        with self._desk.of_agency("registry"):
            known = self._known(kind, request.name)
            if known.pending is None or known.state == "REVOKED":
                raise DeskError("STATE_CONFLICT")
            if call.caller.actor in (known.entered_by, known.name):
                raise DeskError("APPROVER_NOT_INDEPENDENT")
            document_hash = requests.registry_hash(known.pending)
            members = self._signed(call, request.signed_statement, "APPROVE", known.name, document_hash)
            _later(members, known)
            self._append(call, f"{_KINDS[kind]}_APPROVED", subject=known.name, **members)
        return self._member(request.name)

    def _revoke(self, call: Call, kind: str, request: Any) -> Member:
        why = wire.text(request.reason, "reason", REASON_MAX)
        with self._desk.of_agency("registry"):
            known = self._known(kind, request.name)
            if known.state == "REVOKED":
                raise DeskError("STATE_CONFLICT")
            document_hash = requests.registry_hash(known.document or known.pending or {})
            members = self._signed(call, request.signed_statement, "REVOKE", known.name, document_hash)
            self._append(call, f"{_KINDS[kind]}_REVOKED", subject=known.name, reason=why, **members)
        return self._member(request.name)

    def _signed(
        self, call: Call, signed: statement_pb2.SignedStatement, action: str, subject: str, document_hash: str
    ) -> dict[str, Any]:
        """The entry's members, once the caller's own signature over this action holds. APPROVAL_INVALID."""
        statement, signature = documents.statement_of(signed)
        fresh(statement, self._desk.clock.now())
        expected = requests.registry_statement(
            action=action,
            subject=subject,
            document_hash=document_hash,
            person=call.caller.actor,
            time=str(statement.get("time", "")),
        )
        signer = self._desk.state.enrolled(call.caller.actor)
        if signer is None or statement != expected or not statements.verify(signer.public_key, statement, signature):
            raise DeskError("APPROVAL_INVALID")
        return {"statement": statement, "signature": signature.hex()}

    def _append(self, call: Call, kind: str, **members: Any) -> None:
        self._desk.audit.append(kind, call.caller.actor, token_id=call.caller.token_id, **members)

    def _known(self, kind: str, name: str) -> Member:
        known = self._desk.state.member(name) if names.is_name(kind, name) else None
        if known is None:
            raise DeskError("NOT_FOUND")
        return known

    def _member(self, name: str) -> Member:
        found = self._desk.state.member(name)
        assert found is not None, "an entry that was checked must apply"
        return found

    def _list(self, kind: str, request: Any, message: Callable[[Member], M]) -> tuple[list[M], str]:
        """Names are the positions; a token holds how many were before."""
        size = self._desk.page_size(request.page_size)
        arguments = (kind, size)
        behind = self._desk.pages.position(request.page_token, *arguments)
        found = self._desk.state.members(kind, behind, size + 1)
        shown = bounded.messages((message(one) for one in found[:size]), self._desk.settings.server)
        more = len(found) > len(shown)
        return shown, self._desk.pages.token(behind + len(shown), *arguments) if more else ""


def _later(members: dict[str, Any], known: Member | None) -> None:
    """APPROVAL_INVALID for a statement that is older than the last one about the same member: it could be a copy."""
    if known is not None and members["statement"]["time"] <= known.statement_time:
        raise DeskError("APPROVAL_INVALID", later_than=known.statement_time)


def _agency(member: Member) -> pb.Agency:
    document = member.document or member.pending or {}
    return pb.Agency(
        name=member.name,
        display_name=document["display_name"],
        agency_class=f"AGENCY_CLASS_{document['agency_class']}",
        officers=[pb.Officer(**officer) for officer in document["officers"]],
        **_enrolment(member),
    )


def _person(member: Member) -> pb.Person:
    document = member.document or member.pending or {}
    return pb.Person(
        name=member.name,
        display_name=document["display_name"],
        roles=[f"ROLE_{role.upper()}" for role in document["roles"]],
        public_key=document["public_key"],
        **_enrolment(member),
    )


def _enrolment(member: Member) -> dict[str, Any]:
    return {
        "state": f"ENROLMENT_STATE_{member.state}",
        "document_hash": requests.registry_hash(member.document) if member.document else "",
        "pending_document_hash": requests.registry_hash(member.pending) if member.pending else "",
        "create_time": wire.timestamp(member.create_time),
    }
