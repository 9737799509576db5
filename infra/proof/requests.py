"""What is hashed and signed about a lawful query: the authorization, its approvals, registrations, records, segments.

Each hash has a word of its own in front, so that bytes of one kind can never be taken for another. The statements are
plain objects for `statements.sign` and `statements.verify`. docs/spec/proof-formats.md has the same with vectors.
"""

from collections.abc import Iterable, Sequence
from hashlib import sha256
from typing import Any, Final

from infra.proof import canonical, merkle

APPROVAL: Final = "liucun-approval-v1"
REGISTRY: Final = "liucun-registry-v1"
_AUTHORIZATION_DOMAIN: Final = b"liucun-authorization-v1\x00"
_REGISTRY_DOMAIN: Final = b"liucun-registry-v1\x00"
_REQUEST_DOMAIN: Final = b"liucun-request-v1\x00"
_RECORD_DOMAIN: Final = b"liucun-record-v1\x00"


def authorization_hash(document: dict[str, Any]) -> str:
    """The request hash, hex: what the two signers of an authorization sign. CanonicalError."""
    return sha256(_AUTHORIZATION_DOMAIN + canonical.encode(document)).hexdigest()


def registry_hash(document: dict[str, Any]) -> str:
    """The hash of an agency's or a person's document, hex. CanonicalError."""
    return sha256(_REGISTRY_DOMAIN + canonical.encode(document)).hexdigest()


def request_fingerprint(request: dict[str, Any]) -> str:
    """The hash of one request as asked, hex: the same request sent again is known by it. CanonicalError."""
    return sha256(_REQUEST_DOMAIN + canonical.encode(request)).hexdigest()


def record_hash(record: dict[str, Any]) -> bytes:
    """The hash of a record in its JSON form, without the fields that were not granted. CanonicalError."""
    return sha256(_RECORD_DOMAIN + canonical.encode(record)).digest()


def segment_root(record_hashes: Iterable[bytes]) -> str:
    """The root over a segment's records, hex: RFC 9162, each leaf's data being a record's hash."""
    return merkle.root(merkle.leaf_hash(one) for one in record_hashes).hex()


def outcome_root(segment_roots: Sequence[str]) -> str:
    """The root over a lookup's segment roots, hex: RFC 9162, each leaf's data being a root's 32 bytes."""
    return merkle.root(merkle.leaf_hash(bytes.fromhex(one)) for one in segment_roots).hex()


def approval_statement(
    *, authorization: str, request_hash: str, instrument_sha256: str, policy_version: str, approver: str, time: str
) -> dict[str, str]:
    """What a provider person signs to approve an authorization. `time` is RFC 3339 UTC with six decimals."""
    return {
        "type": APPROVAL,
        "authorization": authorization,
        "request_hash": request_hash,
        "instrument_sha256": instrument_sha256,
        "policy_version": policy_version,
        "approver": approver,
        "decision": "APPROVE",
        "time": time,
    }


def registry_statement(*, action: str, subject: str, document_hash: str, person: str, time: str) -> dict[str, str]:
    """What a provider person signs to ENTER, APPROVE or REVOKE an agency or a person."""
    return {
        "type": REGISTRY,
        "action": action,
        "subject": subject,
        "document_hash": document_hash,
        "person": person,
        "time": time,
    }
