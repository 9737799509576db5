"""AuthorizationService: an instrument entered, read, signed by two, rejected, revoked. Each act is an entry first."""

import hashlib
from typing import Any, Final

from liucun.authorization.v1 import authorization_pb2 as pb
from liucun.authorization.v1 import authorization_pb2_grpc

from infra.proof import canonical, requests
from query_service import approvals, bounded, documents, names, policy, wire
from query_service.desk import Desk, request_id
from query_service.errors import AuditUnavailableError, DeskError
from query_service.interceptors._wrap import Call
from query_service.state import Authorization
from query_service.statements import fresh

DOCUMENT_BYTES_MAX: Final = 1024**2
REASON_MAX: Final = 500
_BEFORE_ALL: Final = 2**62


class AuthorizationService(authorization_pb2_grpc.AuthorizationServiceServicer):
    """A handler gets a `Call` where grpc would give a context."""

    def __init__(self, desk: Desk) -> None:
        self._desk = desk

    def CreateAuthorization(  # noqa: N802
        self, request: pb.CreateAuthorizationRequest, call: Call
    ) -> pb.CreateAuthorizationResponse:
        """Enter an instrument: judged by the policy at once, in force with two signatures."""
        desk, agency = self._desk, request.parent
        if not names.is_name("agency", agency):
            raise DeskError("NOT_FOUND")
        policy.may_see(call.caller, agency)
        received = request.authorization.received_by or pb.RECEIVED_BY_ELECTRONIC
        policy.may_enter(
            call.caller, agency, wire.name_of(pb.ReceivedBy, received, "RECEIVED_BY_", "authorization.received_by")
        )
        known_agency = desk.state.member(agency)
        if known_agency is None or known_agency.state != "ACTIVE" or known_agency.document is None:
            raise DeskError("NOT_FOUND")
        identifier = request_id(request.request_id)
        body = _body(request.authorization.document)
        with desk.of_agency(agency):
            name = f"{agency}/authorizations/{desk.new_id()}"
            document = documents.document_of(
                request.authorization,
                name=name,
                requester=call.caller.actor,
                policy_version=policy.matrix().version,
            )
            fingerprint = requests.request_fingerprint({**document, "name": agency, "policy_version": ""})
            known = desk.state.authorization_of_request(agency, identifier)
            if known is not None:
                if known.fingerprint != fingerprint:
                    raise DeskError("REQUEST_ID_REUSED")
                if body and not desk.documents.has(_group(known.name)):
                    _keep(desk, known.name, body)  # the entry was committed, and its answer lost
                    desk.documents.settle(_group(known.name))
                return pb.CreateAuthorizationResponse(authorization=self._message(known))
            policy.judge_authorization(document, known_agency.document["agency_class"], desk.clock.now())
            members = {
                "document": document,
                "request_hash": requests.authorization_hash(document),
                "request_id": identifier,
                "fingerprint": fingerprint,
                "document_kept": bool(body),
            }
            self._enter(call, name, body, members)
        return pb.CreateAuthorizationResponse(authorization=self._message(desk.authorization(name)))

    def _enter(self, call: Call, name: str, body: bytes, members: dict[str, Any]) -> None:
        """The document before the entry that says it is kept; without the entry it does not stay.

        Where it is not known whether there is an entry, the document waits for `sweep`.
        """
        desk = self._desk
        with desk.running.one(name, ""):
            try:
                if body:
                    _keep(desk, name, body)
                desk.audit.append("AUTHORIZATION_ENTERED", call.caller.actor, token_id=call.caller.token_id, **members)
            except AuditUnavailableError:
                raise
            except Exception:
                desk.documents.destroy(_group(name))
                raise
            desk.documents.settle(_group(name))

    def GetAuthorization(self, request: pb.GetAuthorizationRequest, call: Call) -> pb.GetAuthorizationResponse:  # noqa: N802
        """As it stands."""
        return pb.GetAuthorizationResponse(authorization=self._message(self._seen(call, request.name)))

    def GetDocument(self, request: pb.GetDocumentRequest, call: Call) -> pb.GetDocumentResponse:  # noqa: N802
        """Its bytes; that they were read is an entry."""
        one = self._seen(call, request.name)
        group = _group(one.name)
        if not self._desk.documents.has(group):
            raise DeskError("NOT_FOUND")
        body = self._desk.documents.read(group, "document", one.name.encode())
        sha256 = hashlib.sha256(body).hexdigest()
        if sha256 != one.document["document"]["sha256"]:
            raise DeskError("FAULT")
        self._desk.audit.append(
            "RECORDS_READ", call.caller.actor, authorization=one.name, how="DOCUMENT", record_count=1
        )
        media_type = one.document["document"]["media_type"]
        return pb.GetDocumentResponse(document=pb.Document(sha256=sha256, media_type=media_type, body=body))

    def ListAuthorizations(  # noqa: N802
        self, request: pb.ListAuthorizationsRequest, call: Call
    ) -> pb.ListAuthorizationsResponse:
        """Newest first."""
        desk, agency = self._desk, request.parent
        if agency != "agencies/-" and not names.is_name("agency", agency):
            raise DeskError("NOT_FOUND")
        policy.may_see(call.caller, agency)
        size = desk.page_size(request.page_size)
        arguments = ("authorizations", agency, size)
        before = desk.pages.position(request.page_token, *arguments) or _BEFORE_ALL
        found = desk.state.authorizations(agency, before, size + 1)
        shown = bounded.messages((self._message(one) for _, one in found[:size]), desk.settings.server)
        more = len(found) > len(shown)
        return pb.ListAuthorizationsResponse(
            authorizations=shown,
            next_page_token=desk.pages.token(found[len(shown) - 1][0], *arguments) if more else "",
        )

    def ApproveAuthorization(  # noqa: N802
        self, request: pb.ApproveAuthorizationRequest, call: Call
    ) -> pb.ApproveAuthorizationResponse:
        """One signature, checked here and again by the executor before every read."""
        desk = self._desk
        one = self._seen(call, request.name)
        with desk.of_agency(one.agency):
            one = desk.authorization(one.name)
            if one.status != "AWAITING_APPROVAL":
                raise DeskError("STATE_CONFLICT")
            policy.may_sign(call.caller, one.requester, [approval.approver for approval in one.approvals])
            statement, signature = documents.statement_of(request.signed_statement)
            fresh(statement, desk.clock.now())
            if not approvals.holds(desk.state, one, call.caller.actor, statement, signature):
                raise DeskError("APPROVAL_INVALID")
            agency = desk.state.member(one.agency)
            if agency is None or agency.document is None:
                raise DeskError("STATE_CONFLICT")
            row = policy.judge_authorization(one.document, agency.document["agency_class"], desk.clock.now())
            signers = approvals.standing(desk.state, one) | {call.caller.actor: call.caller.roles}
            desk.audit.append(
                "AUTHORIZATION_APPROVED",
                call.caller.actor,
                authorization=one.name,
                statement=statement,
                signature=signature.hex(),
                enough=policy.signed_enough(row, one.requester, signers),
                token_id=call.caller.token_id,
            )
        return pb.ApproveAuthorizationResponse(authorization=self._message(desk.authorization(one.name)))

    def RejectAuthorization(  # noqa: N802
        self, request: pb.RejectAuthorizationRequest, call: Call
    ) -> pb.RejectAuthorizationResponse:
        """For good."""
        one = self._end(call, request.name, request.reason, "AUTHORIZATION_REJECTED", ("AWAITING_APPROVAL",))
        return pb.RejectAuthorizationResponse(authorization=one)

    def RevokeAuthorization(  # noqa: N802
        self, request: pb.RevokeAuthorizationRequest, call: Call
    ) -> pb.RevokeAuthorizationResponse:
        """For good; streams end within a second (streams.py)."""
        allowed = ("AWAITING_APPROVAL", "APPROVED")
        one = self._end(call, request.name, request.reason, "AUTHORIZATION_REVOKED", allowed)
        return pb.RevokeAuthorizationResponse(authorization=one)

    def _end(self, call: Call, name: str, reason: str, kind: str, allowed: tuple[str, ...]) -> pb.Authorization:
        desk = self._desk
        one = self._seen(call, name)
        why = wire.text(reason, "reason", REASON_MAX)
        with desk.of_agency(one.agency):
            if desk.authorization(one.name).status not in allowed:
                raise DeskError("STATE_CONFLICT")
            desk.audit.append(
                kind, call.caller.actor, authorization=one.name, reason=why, token_id=call.caller.token_id
            )
        return self._message(desk.authorization(one.name))

    def _seen(self, call: Call, name: str) -> Authorization:
        policy.may_see(call.caller, names.owner("authorization", name))
        call.facts["authorization"] = name
        return self._desk.authorization(name)

    def _message(self, one: Authorization) -> pb.Authorization:
        status = approvals.status_of(self._desk.state, one, self._desk.clock.now())
        return documents.full_message(one, status)


def sweep(desk: Desk) -> None:
    """Documents whose entry a kill, or a ledger that was away, has left open. AuditUnavailableError."""
    pending = desk.documents.pending()
    if not pending:
        return
    on_their_way = {_group(name) for name in desk.running.names()}
    desk.audit.learn()  # behind the look at who is on the way: the entries of all others are known then
    entered = {_group(name) for name in desk.state.authorization_names()}
    for group in pending:
        if group in on_their_way:
            continue
        if group in entered:
            desk.documents.settle(group)
        else:
            desk.documents.destroy(group)


def _keep(desk: Desk, name: str, body: bytes) -> None:
    desk.documents.write(_group(name), "document", body, name.encode(), pending=True)


def _body(message: pb.Document) -> bytes:
    """The document's bytes, which must be those of its hash. REQUEST_INVALID."""
    body = bytes(message.body)
    if len(body) > DOCUMENT_BYTES_MAX:
        raise wire.invalid("authorization.document.body", f"has more than {DOCUMENT_BYTES_MAX} bytes")
    if body and hashlib.sha256(body).hexdigest() != message.sha256:
        raise wire.invalid("authorization.document.sha256", "is not the hash of the body")
    return body


def _group(name: str) -> str:
    """A folder's name."""
    return hashlib.sha256(canonical.encode(name)).hexdigest()
