"""Authorizations between protobuf and the canonical document that is hashed and signed. Pure.

`document_of` is also the signer's: whoever signs makes the document from what they were shown, and hashes that.
"""

import re
from typing import Any, Final

from google.protobuf.timestamp_pb2 import Timestamp
from liucun.authorization.v1 import authorization_pb2 as pb
from liucun.authorization.v1 import scope_pb2
from liucun.registry.v1 import statement_pb2

from infra.platform.times import text_of
from infra.proof import canonical
from query_service import wire
from query_service.errors import DeskError
from query_service.state import Approval, Authorization
from query_service.wire import invalid, name_of, text

SELECTORS_MAX: Final = 100
DOCUMENT_BYTES_MAX: Final = 48_000  # an entry of the ledger holds 60,000
HANDLERS_MAX: Final = 8
HITS_MAX: Final = 10_000_000
TEXT_MAX: Final = 200
LONG_TEXT_MAX: Final = 2000
_SHA256: Final = re.compile(r"[0-9a-f]{64}")
_MEDIA_TYPE: Final = re.compile(r"[a-z0-9.+-]{1,60}/[a-z0-9.+-]{1,100}")


def document_of(message: pb.Authorization, *, name: str, requester: str, policy_version: str) -> dict[str, Any]:
    """The canonical document. REQUEST_INVALID, naming the field."""
    document = {
        "name": name,
        "agency": name.partition("/authorizations/")[0],
        "authorization_reference": text(
            message.authorization_reference, "authorization_reference", TEXT_MAX, required=False
        ),
        "legal_type": name_of(pb.LegalType, message.legal_type, "LEGAL_TYPE_", "legal_type"),
        "priority": name_of(pb.Priority, message.priority or pb.PRIORITY_ROUTINE, "PRIORITY_", "priority"),
        "timespan": wire.window_document(*wire.window(message.timespan, "timespan")),
        "served_time": _optional(message.served_time, message.HasField("served_time"), "served_time"),
        "instrument": _instrument(message.instrument),
        "document": _document(message.document),
        "scope": scope_of(message.scope),
        "received_by": name_of(
            pb.ReceivedBy, message.received_by or pb.RECEIVED_BY_ELECTRONIC, "RECEIVED_BY_", "received_by"
        ),
        "requester": requester,
        "policy_version": policy_version,
    }
    if len(canonical.encode(document)) > DOCUMENT_BYTES_MAX:
        raise invalid("authorization", f"is longer than {DOCUMENT_BYTES_MAX} bytes")
    return document


def scope_of(message: scope_pb2.Scope) -> dict[str, Any]:
    """The scope, its selectors sorted and each once."""
    if not 0 < len(message.selectors) <= SELECTORS_MAX:
        raise invalid("scope.selectors", f"has not between 1 and {SELECTORS_MAX} entries")
    if not 0 < message.max_hits <= HITS_MAX:
        raise invalid("scope.max_hits", f"is not between 1 and {HITS_MAX}")
    parsed = {wire.selector(one, f"scope.selectors[{at}]") for at, one in enumerate(message.selectors)}
    return {
        "selectors": [one.document() for one in sorted(parsed)],
        "window": wire.window_document(*wire.window(message.window, "scope.window")),
        "field_groups": wire.field_groups(message.field_groups, "scope.field_groups"),
        "max_hits": message.max_hits,
    }


def message_of(document: dict[str, Any]) -> pb.Authorization:
    """What a document says, as a message; without what only the server knows."""
    instrument, scope = document["instrument"], document["scope"]
    return pb.Authorization(
        name=document["name"],
        authorization_reference=document["authorization_reference"],
        legal_type=f"LEGAL_TYPE_{document['legal_type']}",
        priority=f"PRIORITY_{document['priority']}",
        timespan=wire.window_message(document["timespan"]),
        served_time=wire.timestamp(document["served_time"]),
        instrument=pb.Instrument(
            **{name: instrument[name] for name in ("document_number", "case_name", "case_number", "unit")},
            approver=pb.NamedPerson(**instrument["approver"]),
            handlers=[pb.NamedPerson(**one) for one in instrument["handlers"]],
            issuer=pb.NamedPerson(**instrument["issuer"]),
            issue_time=wire.timestamp(instrument["issue_time"]),
            due_time=wire.timestamp(instrument["due_time"]),
            evidence_sought=instrument["evidence_sought"],
        ),
        document=pb.Document(**document["document"]),
        scope=scope_pb2.Scope(
            selectors=[wire.selector_message(one) for one in scope["selectors"]],
            window=wire.window_message(scope["window"]),
            field_groups=wire.field_group_values(scope["field_groups"]),
            max_hits=scope["max_hits"],
        ),
        received_by=f"RECEIVED_BY_{document['received_by']}",
        requester=document["requester"],
        policy_version=document["policy_version"],
    )


def full_message(one: Authorization, status: str) -> pb.Authorization:
    """An authorization as it stands; `status` is decided by who knows the time."""
    message = message_of(one.document)
    message.MergeFrom(pb.Authorization(status=f"AUTHORIZATION_STATUS_{status}"))
    message.request_hash = one.request_hash
    message.invalid_reason = one.invalid_reason
    message.generation = one.generation
    message.hits_used = one.hits_used
    message.create_time.CopyFrom(_stamp(one.create_time))
    if one.termination_time is not None:
        message.termination_time.CopyFrom(_stamp(one.termination_time))
    message.approval_details.extend(_approval(approval) for approval in one.approvals)
    return message


def statement_of(message: statement_pb2.SignedStatement) -> tuple[dict[str, Any], bytes]:
    """The statement and its signature. APPROVAL_INVALID for what is not canonical JSON of text members."""
    try:
        statement = canonical.decode(message.statement)
    except ValueError:
        raise DeskError("APPROVAL_INVALID") from None
    if not isinstance(statement, dict) or not all(isinstance(value, str) for value in statement.values()):
        raise DeskError("APPROVAL_INVALID")
    return statement, message.signature


def _approval(approval: Approval) -> pb.ApprovalDetails:
    return pb.ApprovalDetails(
        approver=approval.approver,
        approval_time=_stamp(approval.time),
        approval_digital_signature=statement_pb2.SignedStatement(
            statement=canonical.encode(approval.statement), signature=approval.signature
        ),
        ledger_index=approval.ledger_index,
    )


def _instrument(message: pb.Instrument) -> dict[str, Any]:
    if not 0 < len(message.handlers) <= HANDLERS_MAX:
        raise invalid("instrument.handlers", f"has not between 1 and {HANDLERS_MAX} entries")
    due = _optional(message.due_time, message.HasField("due_time"), "instrument.due_time")
    return {
        **{
            name: text(getattr(message, name), f"instrument.{name}", TEXT_MAX)
            for name in ("document_number", "case_name", "case_number", "unit")
        },
        "approver": _named(message.approver, "instrument.approver"),
        "handlers": [_named(one, f"instrument.handlers[{at}]") for at, one in enumerate(message.handlers)],
        "issuer": _named(message.issuer, "instrument.issuer"),
        "issue_time": text_of(wire.microseconds(message.issue_time, "instrument.issue_time")),
        "due_time": due,
        "evidence_sought": text(message.evidence_sought, "instrument.evidence_sought", LONG_TEXT_MAX, required=False),
    }


def _named(message: pb.NamedPerson, field: str) -> dict[str, str]:
    return {
        "display_name": text(message.display_name, f"{field}.display_name", TEXT_MAX),
        "role": text(message.role, f"{field}.role", TEXT_MAX, required=False),
        "identity": text(message.identity, f"{field}.identity", TEXT_MAX, required=False),
    }


def _document(message: pb.Document) -> dict[str, str]:
    if not _SHA256.fullmatch(message.sha256):
        raise invalid("document.sha256", "is not 64 lower-case hex digits")
    media_type = message.media_type or "application/octet-stream"
    if not _MEDIA_TYPE.fullmatch(media_type):
        raise invalid("document.media_type", "is not a media type")
    return {"sha256": message.sha256, "media_type": media_type}


def _optional(stamp: Timestamp, given: bool, field: str) -> str | None:
    return text_of(wire.microseconds(stamp, field)) if given else None


def _stamp(value: str) -> Timestamp:
    found = wire.timestamp(value)
    assert found is not None
    return found
