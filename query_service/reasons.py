"""The catalogue of reasons: every refusal of the service, with its gRPC code and what to do. Closed.

docs/reference/errors.md is made from it. A reason travels as google.rpc.ErrorInfo, domain DOMAIN.
"""

from dataclasses import dataclass
from typing import Final

from grpc import StatusCode

DOMAIN: Final = "liucun.example"


@dataclass(frozen=True, slots=True)
class Reason:
    """One reason. `meaning` and `advice` are one sentence each, the same for everybody: they reveal nothing."""

    name: str
    code: StatusCode
    meaning: str
    advice: str


_CODES: Final = StatusCode
_ENTRIES: Final[tuple[Reason, ...]] = (
    # Who is it?
    Reason("CERTIFICATE_INVALID", _CODES.UNAUTHENTICATED, "The client certificate names nobody here.",
           "Use a certificate in force with exactly one SPIFFE URI of this service's trust domain."),
    Reason("TOKEN_MISSING", _CODES.UNAUTHENTICATED, "There is no token.",
           "Send metadata `authorization: Bearer <token>`; `liucun person token` makes one."),
    Reason("TOKEN_INVALID", _CODES.UNAUTHENTICATED, "The token is not valid.",
           "Make a new one with the key that is registered for its owner."),
    Reason("TOKEN_EXPIRED", _CODES.UNAUTHENTICATED, "The token is expired or not yet valid.",
           "Make a new one, at most 5 minutes long; check the clock."),
    Reason("TOKEN_NOT_BOUND", _CODES.UNAUTHENTICATED, "The token does not belong to this client certificate.",
           "Make one for the certificate that is used for the connection, by an officer of its agency."),
    Reason("TOKEN_REPLAYED", _CODES.UNAUTHENTICATED, "The token was used before, and this call takes a new one.",
           "Make a new token for every call that creates, cancels, approves, rejects or revokes."),
    Reason("NOT_ENROLLED", _CODES.UNAUTHENTICATED, "The caller is not enrolled, or not any more.",
           "Ask the provider's legal desk."),
    # May they?
    Reason("PERMISSION_MISSING", _CODES.PERMISSION_DENIED, "The caller may not do this.",
           "Ask somebody who has the role; docs/officer.md says which."),
    Reason("NOT_FOUND", _CODES.NOT_FOUND, "There is no such thing for this caller.",
           "Check the name. Things of others look the same as things that do not exist."),
    Reason("AUTHORIZATION_NOT_APPROVED", _CODES.PERMISSION_DENIED, "The authorization is not approved.",
           "Wait for two signatures, or see its invalid_reason."),
    Reason("AUTHORIZATION_EXPIRED", _CODES.PERMISSION_DENIED, "The authorization is not in force at this time.",
           "Have a new instrument entered."),
    Reason("AUTHORIZATION_REVOKED", _CODES.PERMISSION_DENIED, "The authorization was revoked.",
           "Have a new instrument entered."),
    Reason("APPROVAL_INVALID", _CODES.PERMISSION_DENIED, "A signature does not hold.",
           "It must be a statement over this very document by the caller's own registered key."),
    Reason("APPROVER_NOT_INDEPENDENT", _CODES.PERMISSION_DENIED,
           "Who entered it, or has signed it already, cannot sign it.", "Ask another person."),
    Reason("OUT_OF_SCOPE", _CODES.PERMISSION_DENIED, "The question lies outside the authorization.",
           "Ask for what the instrument names, or have another one entered; metadata says which part it is."),
    Reason("HITS_EXHAUSTED", _CODES.PERMISSION_DENIED, "The authorization's maximum of hits is used up.",
           "Have a new instrument entered."),
    Reason("POLICY_FORBIDS", _CODES.PERMISSION_DENIED, "The policy does not allow such an authorization.",
           "See schemas/policy; metadata names the rule and what it rests on."),
    # Is it well-formed?
    Reason("REQUEST_INVALID", _CODES.INVALID_ARGUMENT, "The request is not well-formed.",
           "Correct the field that metadata names."),
    Reason("PAGE_TOKEN_INVALID", _CODES.INVALID_ARGUMENT, "The page token or cursor is not one for this request.",
           "Start again without it, or send it with the same arguments as before."),
    Reason("REQUEST_ID_REUSED", _CODES.ALREADY_EXISTS, "The request_id was used for another request.",
           "Take a new UUID for a new request."),
    Reason("STATE_CONFLICT", _CODES.FAILED_PRECONDITION, "It is not in a state for this.", "Get it and see its state."),
    Reason("OUTSIDE_RETENTION", _CODES.OUT_OF_RANGE, "Nothing of the window is kept any more.",
           "Metadata names the oldest moment that can be read."),
    Reason("METHOD_UNKNOWN", _CODES.UNIMPLEMENTED, "There is no such method.",
           "Use the interface of this version, schemas/proto."),
    # Too much.
    Reason("RATE_LIMITED", _CODES.RESOURCE_EXHAUSTED, "Too many calls.", "Wait a little and go on more slowly."),
    Reason("RESULT_TOO_LARGE", _CODES.RESOURCE_EXHAUSTED, "The question is too large for the store's limits.",
           "Ask for a shorter window or a narrower selector."),
    Reason("STREAM_IDLE", _CODES.RESOURCE_EXHAUSTED, "Nothing was read from the stream for too long.",
           "Open a stream again from the last cursor."),
    # Ended.
    Reason("LOOKUP_CANCELLED", _CODES.CANCELLED, "The lookup was cancelled.", "Create another one if it is needed."),
    Reason("LOOKUP_EXPIRED", _CODES.FAILED_PRECONDITION, "The lookup's records are no longer kept for fetching.",
           "Create another one."),
    Reason("DEADLINE_EXCEEDED", _CODES.DEADLINE_EXCEEDED, "The question was not answered in time.",
           "Give it more time, or ask for less."),
    # Not now.
    Reason("AUDIT_UNAVAILABLE", _CODES.UNAVAILABLE, "The ledger does not commit, so nothing is answered.",
           "Try again later; operators look at the ledger and its disk."),
    Reason("STORE_UNAVAILABLE", _CODES.UNAVAILABLE, "The store does not answer.", "Try again later."),
    Reason("FAULT", _CODES.INTERNAL, "A fault in the service.", "Report the request id of the trailing metadata."),
)  # fmt: skip
REASONS: Final[dict[str, Reason]] = {entry.name: entry for entry in _ENTRIES}
